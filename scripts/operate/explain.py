"""Which contacts an account gets, and by which override, without contact values."""

from collections.abc import Iterator

from contact_sync.accounts import ACTIVE, Account
from contact_sync.aws.organization import OrganizationClient
from contact_sync.config import SyncConfig
from contact_sync.contact_sets import SOURCE, Origin
from contact_sync.contacts import ContactType

from operate.aws import Aws
from operate.reach import override_of


def explained(aws: Aws, manager: str, config: SyncConfig, account_id: str) -> Iterator[str]:
    """Yield a line about the account and, if runs write to it, one for each contact type."""
    organization = OrganizationClient(aws.client("organizations"))
    account = organization.account(account_id)
    units = {*config.overrides_by_subject.units, *config.excluded_organizational_units}
    depths = organization.depths(account, units)
    if reason := _left_alone(account, manager, config, set(depths)):
        yield f"{account_id}: {reason}"
        return
    yield f"{account_id}: {account.state}"
    for name in ContactType:
        if name not in config.contact_types:
            yield f"  {name:<10}  not synced: not in contact_types"
            continue
        origin = config.overrides_by_subject.origin(name, account_id, depths)
        yield f"  {name:<10}  {_why(config, name, origin)}"


def _left_alone(account: Account, manager: str, config: SyncConfig, above: set[str]) -> str | None:
    """Return why runs do not write to the account, None if they do."""
    excluded = {account.id, *above} & {
        *config.excluded_accounts,
        *config.excluded_organizational_units,
    }
    if account.id == manager:
        return "the management account, which is the source and never written"
    if excluded:
        return f"excluded by {', '.join(sorted(excluded))}: never written"
    return None if account.state == ACTIVE else f"{account.state}: not written"


def _why(config: SyncConfig, name: ContactType, origin: Origin) -> str:
    kept = ", ".join(config.primary_keeps)
    keeps = f"; the account keeps {kept}" if kept and name is ContactType.PRIMARY else ""
    if origin.of is None:
        return f"{SOURCE}: no override{keeps}"
    kind = "organizational unit" if origin.of.startswith("ou-") else "account"
    number = override_of(config, name, origin)
    return f"{origin.which}: overrides.{number}, for {kind} {origin.of}{keeps}"
