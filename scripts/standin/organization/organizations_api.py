"""The read operations of AWS Organizations, and EnableAWSServiceAccess."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from standin.organization.errors import ApiError
from standin.organization.model import Account, OrganizationalUnit, Policy
from standin.organization.state import Organization
from standin.organization.validation import ServiceRules, Violation

TARGET_PREFIX = "AWSOrganizationsV20161128."
PAGE_SIZE = 20
# An arbitrary time in the past.
JOINED = 1_700_000_000.0

Params = Mapping[str, Any]
Answer = dict[str, Any] | None

_REASONS = {
    "required": "INPUT_REQUIRED",
    "pattern": "INVALID_PATTERN",
    "enum": "INVALID_ENUM",
    "min length": "MIN_LENGTH_EXCEEDED",
    "max length": "MAX_LENGTH_EXCEEDED",
    "min value": "MIN_VALUE_EXCEEDED",
    "max value": "MAX_VALUE_EXCEEDED",
}


class OrganizationsApi:
    """Validates and performs operations of the management account."""

    def __init__(self) -> None:
        self.rules = ServiceRules("organizations")
        self.operations = frozenset(_OPERATIONS)

    def handle(self, organization: Organization, operation: str, params: Params) -> Answer:
        """Answer one call. Raises ApiError."""
        for violation in self.rules.violations(operation, params):
            raise _invalid_input(violation)
        if organization.world.organization_id is None:
            text = "Your account is not a member of an organization."
            raise ApiError("AWSOrganizationsNotInUseException", text)
        return _OPERATIONS[operation](organization, params)


def _invalid_input(violation: Violation) -> ApiError:
    return ApiError("InvalidInputException", violation.message, Reason=_REASONS[violation.rule])


def _describe_organization(organization: Organization, _: Params) -> Answer:
    world = organization.world
    management = organization.management_account
    return {
        "Organization": {
            "Id": world.organization_id,
            "Arn": _arn(organization, "organization"),
            "FeatureSet": world.feature_set,
            "MasterAccountArn": _arn(organization, "account", management.id),
            "MasterAccountId": management.id,
            "MasterAccountEmail": management.email,
        }
    }


def _list_accounts(organization: Organization, params: Params) -> Answer:
    return _accounts_page(organization, "ListAccounts", params, organization.accounts())


def _list_accounts_for_parent(organization: Organization, params: Params) -> Answer:
    parent = _parent(organization, params)
    children = [account for account in organization.accounts() if account.parent == parent]
    return _accounts_page(organization, "ListAccountsForParent", params, children)


def _describe_account(organization: Organization, params: Params) -> Answer:
    account = organization.account(params["AccountId"])
    if account is None:
        text = "You specified an account that doesn't exist."
        raise ApiError("AccountNotFoundException", text)
    return {"Account": _account(organization, account)}


def _list_roots(organization: Organization, params: Params) -> Answer:
    root_id = organization.world.root_id
    root = {
        "Id": root_id,
        "Arn": _arn(organization, "root", root_id),
        "Name": "Root",
        "PolicyTypes": [],
    }
    return _page(organization, "ListRoots", params, "Roots", [root])


def _list_units_for_parent(organization: Organization, params: Params) -> Answer:
    parent = _parent(organization, params)
    children = [unit for unit in organization.units.values() if unit.parent == parent]
    units = [_unit(organization, unit) for unit in children]
    operation = "ListOrganizationalUnitsForParent"
    return _page(organization, operation, params, "OrganizationalUnits", units)


def _describe_unit(organization: Organization, params: Params) -> Answer:
    unit = organization.units.get(params["OrganizationalUnitId"])
    if unit is None:
        text = "You specified an organizational unit that doesn't exist."
        raise ApiError("OrganizationalUnitNotFoundException", text)
    return {"OrganizationalUnit": _unit(organization, unit)}


def _list_service_access(organization: Organization, params: Params) -> Answer:
    principals = [
        {"ServicePrincipal": principal, "DateEnabled": JOINED}
        for principal in sorted(organization.world.trusted_access)
    ]
    operation = "ListAWSServiceAccessForOrganization"
    return _page(organization, operation, params, "EnabledServicePrincipals", principals)


def _enable_service_access(organization: Organization, params: Params) -> Answer:
    organization.enable_access(params["ServicePrincipal"])
    return None


def _list_policies(organization: Organization, params: Params) -> Answer:
    policies = [_policy_summary(organization, one) for one in organization.world.policies]
    return _page(organization, "ListPolicies", params, "Policies", policies)


def _describe_policy(organization: Organization, params: Params) -> Answer:
    policy = _policy(organization, params)
    summary = _policy_summary(organization, policy)
    return {"Policy": {"PolicySummary": summary, "Content": json.dumps(policy.content)}}


def _list_targets_for_policy(organization: Organization, params: Params) -> Answer:
    kinds = {"r": "ROOT", "o": "ORGANIZATIONAL_UNIT"}
    targets = [
        {"TargetId": one, "Arn": "", "Name": one, "Type": kinds.get(one[0], "ACCOUNT")}
        for one in _policy(organization, params).targets
    ]
    return _page(organization, "ListTargetsForPolicy", params, "Targets", targets)


def _policy(organization: Organization, params: Params) -> Policy:
    for policy in organization.world.policies:
        if policy.id == params["PolicyId"]:
            return policy
    raise ApiError("PolicyNotFoundException", "You specified a policy that doesn't exist.")


def _policy_summary(organization: Organization, policy: Policy) -> dict[str, Any]:
    return {
        "Id": policy.id,
        "Arn": _arn(organization, "policy", "service_control_policy", policy.id),
        "Name": policy.name,
        "Description": "",
        "Type": "SERVICE_CONTROL_POLICY",
        "AwsManaged": False,
    }


def _parent(organization: Organization, params: Params) -> str:
    parent_id: str = params["ParentId"]
    if not organization.has_parent(parent_id):
        text = "You specified a root or organizational unit that doesn't exist."
        raise ApiError("ParentNotFoundException", text)
    return parent_id


def _accounts_page(
    organization: Organization, operation: str, params: Params, accounts: list[Account]
) -> Answer:
    page = _page(organization, operation, params, "Accounts", accounts)
    page["Accounts"] = [_account(organization, account) for account in page["Accounts"]]
    return page


def _page(
    organization: Organization, operation: str, params: Params, key: str, entries: Sequence[Any]
) -> dict[str, Any]:
    """Return one page of a listing.

    AWS may return an empty page although more follow. If the world has empty pages, every listing
    starts with one, to catch callers that read a single page or stop at an empty one.
    """
    scope = [operation, params.get("ParentId")]
    token = params.get("NextToken")
    if token is None and organization.world.empty_pages and entries:
        return {key: [], "NextToken": _token(scope, 0)}
    start = 0 if token is None else _offset(scope, token)
    end = start + params.get("MaxResults", PAGE_SIZE)
    page: dict[str, Any] = {key: entries[start:end]}
    if end < len(entries):
        page["NextToken"] = _token(scope, end)
    return page


def _token(scope: list[str | None], offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([*scope, offset]).encode()).decode()


def _offset(scope: list[str | None], token: str) -> int:
    try:
        *token_scope, offset = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError):
        token_scope, offset = [], 0
    if token_scope != scope:
        text = "You provided an invalid value for NextToken."
        raise ApiError("InvalidInputException", text, Reason="INVALID_NEXT_TOKEN")
    return int(offset)


def _account(organization: Organization, account: Account) -> dict[str, Any]:
    # State only: AWS retired Status.
    described = {
        "Id": account.id,
        "Arn": _arn(organization, "account", account.id),
        "Email": account.email,
        "Name": account.name,
        "State": account.state,
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": JOINED,
    }
    if account.id not in organization.world.omit_paths:
        described["Paths"] = [f"{organization.path(account.parent)}{account.id}/"]
    return described


def _unit(organization: Organization, unit: OrganizationalUnit) -> dict[str, Any]:
    return {
        "Id": unit.id,
        "Arn": _arn(organization, "ou", unit.id),
        "Name": unit.name,
        "Path": organization.path(unit.id),
    }


def _arn(organization: Organization, kind: str, *ids: str) -> str:
    world = organization.world
    resource = "/".join([kind, str(world.organization_id), *ids])
    return f"arn:aws:organizations::{world.management_account_id}:{resource}"


_OPERATIONS: dict[str, Callable[[Organization, Params], Answer]] = {
    "DescribeOrganization": _describe_organization,
    "ListAccounts": _list_accounts,
    "DescribeAccount": _describe_account,
    "ListRoots": _list_roots,
    "ListOrganizationalUnitsForParent": _list_units_for_parent,
    "ListAccountsForParent": _list_accounts_for_parent,
    "DescribeOrganizationalUnit": _describe_unit,
    "ListAWSServiceAccessForOrganization": _list_service_access,
    "EnableAWSServiceAccess": _enable_service_access,
    "ListPolicies": _list_policies,
    "DescribePolicy": _describe_policy,
    "ListTargetsForPolicy": _list_targets_for_policy,
}
