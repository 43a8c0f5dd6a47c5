"""Exclusions that match no account: a typo leaves the intended account unprotected."""

from collections.abc import Iterator

from contact_sync.aws.organization import OrganizationClient
from contact_sync.config import SyncConfig

from operate.aws import Aws, each

MANAGER, UNIT, ACCOUNT = "manager", "unit", "account"


def exclusion_faults(aws: Aws, manager: str, config: SyncConfig) -> Iterator[tuple[str, str]]:
    """Yield the kind of each fault (MANAGER, UNIT or ACCOUNT), and its description."""
    organization = OrganizationClient(aws.client("organizations"))
    units = dict.fromkeys(config.excluded_organizational_units)
    accounts = dict.fromkeys(config.excluded_accounts)
    if manager in accounts:
        yield (
            MANAGER,
            f"excluded_accounts: {manager} is the management account, which is never written: "
            "remove it. If you meant another account, that one is not protected",
        )
    for unit, missing in each(lambda one: organization.missing_units([one]), units):
        if missing:
            yield (
                UNIT,
                f"excluded_organizational_units: {unit} does not exist in the organization, so "
                "every run would fail: correct or remove it",
            )
    for account, missing in each(lambda one: organization.missing_accounts([one]), accounts):
        if missing:
            yield (
                ACCOUNT,
                f"excluded_accounts: {account} is not in the organization. If this is a typo, the "
                "account that you meant is not protected",
            )
