"""Exclusions that protect nobody: a typo overwrites the account that was meant."""

from collections.abc import Iterator

from contact_sync.aws.organization import OrganizationClient
from contact_sync.config import SyncConfig

from operate.aws import Aws, each

MANAGER, UNIT, ACCOUNT = "manager", "unit", "account"


def exclusion_faults(aws: Aws, manager: str, config: SyncConfig) -> Iterator[tuple[str, str]]:
    """Yield what is wrong (MANAGER, UNIT or ACCOUNT), and in words."""
    organization = OrganizationClient(aws.client("organizations"))
    units = dict.fromkeys(config.excluded_organizational_units)
    accounts = dict.fromkeys(config.excluded_accounts)
    if manager in accounts:
        yield (
            MANAGER,
            f"excluded_accounts: {manager} is the management account, which is never written: "
            "leave it out. If another account was meant, its contacts are overwritten",
        )
    for unit, missing in each(lambda one: organization.missing_units([one]), units):
        if missing:
            yield (
                UNIT,
                f"excluded_organizational_units: {unit} does not exist in the organization, and "
                "every run refuses it",
            )
    for account, missing in each(lambda one: organization.missing_accounts([one]), accounts):
        if missing:
            yield (
                ACCOUNT,
                f"excluded_accounts: {account} is not in the organization. If it is a typo, the "
                "account that was meant is not protected",
            )
