"""The contact operations of AWS Account Management, called by the management account."""

from collections.abc import Callable, Mapping
from typing import Any

from standin.organization.errors import ApiError, InactiveAccountError
from standin.organization.model import Contact
from standin.organization.state import Organization
from standin.organization.validation import ServiceRules, Violation, violation

SERVICE_PRINCIPAL = "account.amazonaws.com"

# A documented rule that the model lacks.
COUNTRIES_WITH_STATES = frozenset({"US", "CA", "GB", "DE", "JP", "IN", "BR"})

Params = Mapping[str, Any]
Answer = dict[str, Any] | None


class AccountApi:
    """Validates, authorizes and performs contact operations."""

    def __init__(self) -> None:
        self.rules = ServiceRules("account")
        self.operations = frozenset(_OPERATIONS)
        self.paths = self.rules.paths(_OPERATIONS)

    def handle(self, organization: Organization, operation: str, params: Params) -> Answer:
        """Answer one call. Raises ApiError."""
        violations = self._violations(operation, params)
        _refuse([found for found in violations if found.field == "AccountId"])
        account_id = _authorise(organization, operation, params.get("AccountId"))
        _refuse(violations)
        if operation.startswith(("Put", "Delete")):
            _refuse_inactive(organization, account_id)
        return _OPERATIONS[operation](organization, account_id, params)

    def _violations(self, operation: str, params: Params) -> list[Violation]:
        violations = self.rules.violations(operation, params)
        if operation == "PutContactInformation":
            violations += _state_violations(params.get("ContactInformation") or {})
        return violations


def _state_violations(contact: Params) -> list[Violation]:
    if contact.get("CountryCode") not in COUNTRIES_WITH_STATES or contact.get("StateOrRegion"):
        return []
    field = "ContactInformation.StateOrRegion"
    return [violation(field, "required", None, "Member must not be null for this country")]


def _refuse(violations: list[Violation]) -> None:
    if not violations:
        return
    count = len(violations)
    noun = "error" if count == 1 else "errors"
    details = "; ".join(found.message for found in violations)
    raise ApiError(
        "ValidationException",
        f"{count} validation {noun} detected: {details}",
        reason="fieldValidationFailed",
        fieldList=[{"name": found.field, "message": found.message} for found in violations],
    )


def _authorise(organization: Organization, operation: str, account_id: str | None) -> str:
    """Return the account that the call targets.

    Without AccountId, a call is in standalone mode and targets the caller's own account, regardless
    of the organization. With AccountId, every unmet condition gives the same AccessDeniedException.
    AWS documents it for the caller's own ID, and users report it for missing trusted access.
    For an account outside the organization, the documentation only requires a member: the error
    code is inferred.
    """
    world = organization.world
    if account_id is None:
        return world.management_account_id
    allowed = (
        account_id != world.management_account_id
        and world.organization_id is not None
        and world.feature_set == "ALL"
        and SERVICE_PRINCIPAL in world.trusted_access
        and organization.account(account_id) is not None
        and account_id not in world.denied_accounts
    )
    if not allowed:
        raise _access_denied(world.management_account_id, operation, account_id)
    return account_id


def _access_denied(caller: str, operation: str, account_id: str) -> ApiError:
    return ApiError(
        "AccessDeniedException",
        f"User: arn:aws:sts::{caller}:assumed-role/standin/session is not authorized to perform: "
        f"account:{operation} on account {account_id}",
    )


def _refuse_inactive(organization: Organization, account_id: str) -> None:
    # The response of AWS to such a write is undocumented; reads are known to work.
    account = organization.account(account_id)
    if account is not None and account.state != "ACTIVE":
        text = f"Account {account_id} is in state {account.state}"
        raise InactiveAccountError(account_id, text)


def _get_alternate(organization: Organization, account_id: str, params: Params) -> Answer:
    contact_type = params["AlternateContactType"]
    contact = organization.read(account_id, contact_type)
    if contact is None:
        raise _not_found(contact_type)
    return {"AlternateContact": {**contact, "AlternateContactType": contact_type}}


def _put_alternate(organization: Organization, account_id: str, params: Params) -> Answer:
    names = ("Name", "Title", "EmailAddress", "PhoneNumber")
    contact = {name: params[name] for name in names}
    organization.write(account_id, params["AlternateContactType"], contact)
    return None


def _delete_alternate(organization: Organization, account_id: str, params: Params) -> Answer:
    contact_type = params["AlternateContactType"]
    if not organization.write(account_id, contact_type, None):
        raise _not_found(contact_type)
    return None


def _get_primary(organization: Organization, account_id: str, _: Params) -> Answer:
    contact = organization.read(account_id, "PRIMARY")
    if contact is None:
        raise _not_found("PRIMARY")
    return {"ContactInformation": contact, "VerificationStatus": "VERIFIED"}


def _put_primary(organization: Organization, account_id: str, params: Params) -> Answer:
    # A Put replaces the whole structure: it removes optional fields that it omits.
    given = params["ContactInformation"].items()
    contact: Contact = {name: value for name, value in given if value is not None}
    organization.write(account_id, "PRIMARY", contact)
    return None


def _not_found(contact_type: str) -> ApiError:
    text = f"No contact of the inputted type {contact_type} found."
    return ApiError("ResourceNotFoundException", text)


_OPERATIONS: dict[str, Callable[[Organization, str, Params], Answer]] = {
    "GetAlternateContact": _get_alternate,
    "PutAlternateContact": _put_alternate,
    "DeleteAlternateContact": _delete_alternate,
    "GetContactInformation": _get_primary,
    "PutContactInformation": _put_primary,
}
