"""Exclusions that protect nobody: a typo overwrites the account that was meant."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError
from contact_sync.config import SyncConfig

from operate.aws import Aws, code_of, each

MANAGER, UNIT, ACCOUNT = "manager", "unit", "account"


def exclusion_faults(aws: Aws, manager: str, config: SyncConfig) -> Iterator[tuple[str, str]]:
    """Yield what is wrong (MANAGER, UNIT or ACCOUNT), and in words."""
    organizations = aws.client("organizations")
    if manager in config.excluded_accounts:
        yield (
            MANAGER,
            f"excluded_accounts: {manager} is the management account, which is never written: "
            "leave it out. If another account was meant, its contacts are overwritten",
        )
    for unit in _missing(
        config.excluded_organizational_units,
        lambda one: organizations.describe_organizational_unit(OrganizationalUnitId=one),
        "OrganizationalUnitNotFoundException",
    ):
        yield (
            UNIT,
            f"excluded_organizational_units: {unit} does not exist in the organization, and every "
            "run refuses it",
        )
    for account in _missing(
        config.excluded_accounts,
        lambda one: organizations.describe_account(AccountId=one),
        "AccountNotFoundException",
    ):
        yield (
            ACCOUNT,
            f"excluded_accounts: {account} is not in the organization. If it is a typo, the "
            "account that was meant is not protected",
        )


def _missing(ids: Iterable[str], describe: Callable[[str], Any], code: str) -> list[str]:
    def is_missing(one: str) -> bool:
        try:
            describe(one)
        except ClientError as error:
            if code_of(error) != code:
                raise
            return True
        return False

    return [one for one, gone in each(is_missing, dict.fromkeys(ids)) if gone]
