"""Organizations API: the checks before a run, and the accounts and units of the organization."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contact_sync.accounts import NOT_FOUND, Account
from contact_sync.aws.clients import error_code, named_errors
from contact_sync.errors import (
    AllFeaturesRequiredError,
    NotManagementAccountError,
    OrganizationNotInUseError,
    TrustedAccessRequiredError,
)

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_organizations.type_defs import AccountTypeDef, OrganizationTypeDef

ACCOUNT_MANAGEMENT = "account.amazonaws.com"


class OrganizationClient:
    """Reads the organization of the management account."""

    def __init__(self, client: "OrganizationsClient") -> None:
        self._client = client
        self._listed: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def check(self, management_account_id: str) -> None:
        """Raise an error with its remedy if no member's contacts can be written.

        Raises OrganizationNotInUseError, NotManagementAccountError, AllFeaturesRequiredError,
        TrustedAccessRequiredError.
        """
        organization = self._describe()
        actual = organization["MasterAccountId"]
        if actual != management_account_id:
            raise NotManagementAccountError(
                f"the stack's ManagementAccountId is {management_account_id}, but the "
                f"organization's management account is {actual}"
            )
        if organization["FeatureSet"] != "ALL":
            raise AllFeaturesRequiredError(AllFeaturesRequiredError.remedy)
        if ACCOUNT_MANAGEMENT not in self._trusted_services():
            raise TrustedAccessRequiredError(TrustedAccessRequiredError.remedy)

    def accounts(self) -> Iterator[Account]:
        """Yield every account, page by page (20 a page, some of them empty)."""
        with named_errors("list accounts"):
            for page in self._client.get_paginator("list_accounts").paginate():
                yield from (_account(item) for item in page["Accounts"])

    def account(self, account_id: str) -> Account:
        """Return the account; its state is NOT_FOUND where the organization has no such account."""
        with named_errors(f"describe account {account_id}"):
            try:
                answer = self._client.describe_account(AccountId=account_id)
            except ClientError as error:
                if error_code(error) == "AccountNotFoundException":
                    return Account(account_id, NOT_FOUND)
                raise
        return _account(answer["Account"])

    def missing_accounts(self, account_ids: Collection[str]) -> list[str]:
        """Return those of the accounts that are not in the organization."""
        return [one for one in account_ids if self.account(one).state == NOT_FOUND]

    def missing_units(self, units: Collection[str]) -> list[str]:
        """Return those of the organizational units that do not exist."""
        return [unit for unit in units if not self._has_unit(unit)]

    def _has_unit(self, unit: str) -> bool:
        with named_errors(f"describe organizational unit {unit}"):
            try:
                self._client.describe_organizational_unit(OrganizationalUnitId=unit)
            except ClientError as error:
                if error_code(error) == "OrganizationalUnitNotFoundException":
                    return False
                raise
        return True

    def in_units(self, account: Account, units: Collection[str]) -> bool:
        """Return whether the account is under one of the OUs: by its paths, else by listing."""
        if account.paths:
            return any(unit in path.split("/") for path in account.paths for unit in units)
        return any(account.id in self._accounts_under(unit) for unit in units)

    def depths(self, account: Account, units: Collection[str]) -> dict[str, int]:
        """Return those of the OUs that the account is under, with numbers that grow with depth."""
        if account.paths:
            return {
                step: depth
                for path in account.paths
                for depth, step in enumerate(path.split("/"))
                if step in units
            }
        above = [unit for unit in units if account.id in self._accounts_under(unit)]
        # Of two units above one account, the deeper one is under the other.
        return {unit: sum(unit in self._under(other)[1] for other in above) for unit in above}

    def _accounts_under(self, unit: str) -> frozenset[str]:
        return self._under(unit)[0]

    def _under(self, parent: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the accounts and the units under one at any depth; each is listed once."""
        if parent not in self._listed:
            with named_errors(f"list organizational unit {parent}"):
                accounts = self._children(parent, "list_accounts_for_parent", "Accounts")
                listing = "list_organizational_units_for_parent"
                units = self._children(parent, listing, "OrganizationalUnits")
            below = [self._under(unit) for unit in units]
            self._listed[parent] = (
                accounts.union(*(some for some, _ in below)),
                units.union(*(some for _, some in below)),
            )
        return self._listed[parent]

    def _children(self, parent: str, operation: Any, key: str) -> frozenset[str]:
        pages: Any = self._client.get_paginator(operation)
        return frozenset(one["Id"] for page in pages.paginate(ParentId=parent) for one in page[key])

    def _describe(self) -> "OrganizationTypeDef":
        with named_errors("describe organization"):
            try:
                return self._client.describe_organization()["Organization"]
            except ClientError as error:
                if error_code(error) == "AWSOrganizationsNotInUseException":
                    raise OrganizationNotInUseError(OrganizationNotInUseError.remedy) from None
                raise

    def _trusted_services(self) -> set[str]:
        pages = self._client.get_paginator("list_aws_service_access_for_organization")
        with named_errors("list trusted services"):
            return {
                service["ServicePrincipal"]
                for page in pages.paginate()
                for service in page["EnabledServicePrincipals"]
            }


def _account(item: "AccountTypeDef") -> Account:
    # AWS replaces `Status` with `State`; an account with neither does not count as active.
    state = item.get("State") or item.get("Status") or "UNKNOWN"
    return Account(item["Id"], state, tuple(item.get("Paths", ())), item.get("JoinedTimestamp"))
