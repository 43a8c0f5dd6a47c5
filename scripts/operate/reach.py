"""The effect of overrides: how many accounts each reaches, and whose contacts change origin."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from account_lister.selection import select_accounts
from account_lister.sets import check_overrides
from contact_sync.accounts import Account, Scope
from contact_sync.aws.organization import OrganizationClient
from contact_sync.config import SyncConfig
from contact_sync.contact_sets import Origin, Overrides
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidConfigError

from operate.aws import Aws
from operate.console import OperateError, out, warn

MOST_CHANGES = 50


@dataclass(frozen=True)
class Change:
    """A contact that gets another origin."""

    account_id: str
    contact_type: ContactType
    before: str
    after: str


class Reach:
    """The accounts that runs sync, and the overrides that apply to each."""

    def __init__(self, aws: Aws, manager: str, old: SyncConfig | None, new: SyncConfig) -> None:
        self._organization = OrganizationClient(aws.client("organizations"))
        self._old = old.overrides_by_subject if old else Overrides()
        self._new = new
        self.warnings: list[str] = []
        self._accounts = self._list(manager)

    def _list(self, manager: str) -> list[Account]:
        overrides, config = self._new.overrides_by_subject, self._new
        accounts = {account.id: account for account in self._organization.accounts()}
        check_overrides(accounts.values(), overrides.units, self._organization.missing_units)
        scope = Scope(
            management_account_id=manager,
            excluded_accounts=config.excluded_accounts,
            excluded_organizational_units=config.excluded_organizational_units,
            overrides=overrides,
        )
        selection = select_accounts(accounts.values(), scope, self._organization.in_units)
        self.warnings = [one for one in selection.warnings if one.startswith("overrides")]
        return [accounts[one] for one in selection.account_ids]

    def origins(self, account: Account, overrides: Overrides) -> dict[ContactType, Origin]:
        """Return the origin of each synced contact of an account."""
        depths = self._organization.depths(account, overrides.units) if overrides.units else {}
        return {
            name: overrides.origin(name, account.id, depths) for name in self._new.ordered_types
        }

    def overrides(self) -> Iterator[tuple[str, int]]:
        """Yield each override, and how many accounts it reaches."""
        reached: Counter[int] = Counter()
        for account in self._accounts:
            origins = self.origins(account, self._new.overrides_by_subject)
            reached.update({override_of(self._new, n, one) for n, one in origins.items() if one.of})
        for number, override in enumerate(self._new.overrides):
            gives = ", ".join(f"{name} {which}" for name, which in override.contacts.items())
            yield f"overrides.{number} ({gives})", reached[number]

    def changes(self) -> Iterator[Change]:
        """Yield each contact that gets another origin."""
        for account in self._accounts:
            before = self.origins(account, self._old)
            for name, after in self.origins(account, self._new.overrides_by_subject).items():
                if before[name].which != after.which:
                    yield Change(account.id, name, before[name].which, after.which)


def override_of(config: SyncConfig, contact_type: ContactType, origin: Origin) -> int:
    """Return the number of the override that an origin comes from."""
    return next(
        number
        for number, override in enumerate(config.overrides)
        if origin.of in override.subjects and contact_type in override.contacts
    )


def show_reach(aws: Aws, manager: str, old: SyncConfig | None, new: SyncConfig) -> None:
    """Print the effect of the new overrides; raise OperateError for one that runs would refuse."""
    try:
        reach = Reach(aws, manager, old, new)
        for override, count in reach.overrides():
            out(f"{override}: {count} accounts")
        changes = list(reach.changes())
    except InvalidConfigError as error:
        raise OperateError(f"{error}. Every run would refuse it; nothing was written") from None
    for one in reach.warnings:
        warn(one)
    for change in changes[:MOST_CHANGES]:
        out(f"{change.account_id}  {change.contact_type}: {change.before} -> {change.after}")
    if (more := len(changes) - MOST_CHANGES) > 0:
        out(f"and {more} more contacts")
