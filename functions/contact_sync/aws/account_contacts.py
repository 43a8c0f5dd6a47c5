"""Account Management API: the contacts of the management account, and of its members."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ParamValidationError

from contact_sync.aws.clients import error_code, named_errors
from contact_sync.contacts import Contact, ContactType
from contact_sync.errors import ContactRefusedError, ServiceUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_account import AccountClient


class AccountContactsClient:
    """Reads and writes contacts.

    Without an account ID a call acts on the caller's own account, which is the only way to read
    the management account's contacts (API_GetAlternateContact).
    """

    def __init__(self, client: "AccountClient") -> None:
        self._client = client

    def get(self, account_id: str | None, contact_type: ContactType) -> Contact | None:
        """Return the contact, None where it is not set."""
        try:
            return Contact.from_api(contact_type, self._read(account_id, contact_type))
        except _NotSetError:
            return None

    def put(self, account_id: str, contact: Contact) -> None:
        """Replace the member's contact."""
        subject = _subject("put", account_id, contact.type)
        if contact.type is ContactType.PRIMARY:
            request = {"ContactInformation": contact.to_api()}
            self._call("put_contact_information", subject, AccountId=account_id, **request)
        else:
            self._call(
                "put_alternate_contact",
                subject,
                AccountId=account_id,
                AlternateContactType=contact.type.upper(),
                **contact.to_api(),
            )

    def delete(self, account_id: str, contact_type: ContactType) -> None:
        """Delete the member's alternate contact, if it is set."""
        try:
            self._call(
                "delete_alternate_contact",
                _subject("delete", account_id, contact_type),
                AccountId=account_id,
                AlternateContactType=contact_type.upper(),
            )
        except _NotSetError:
            return

    def _read(self, account_id: str | None, contact_type: ContactType) -> dict[str, str]:
        subject = _subject("get", account_id, contact_type)
        target = {"AccountId": account_id} if account_id else {}
        if contact_type is ContactType.PRIMARY:
            answer = self._call("get_contact_information", subject, **target)
            return _contact_in(answer, "ContactInformation", subject)
        answer = self._call(
            "get_alternate_contact", subject, AlternateContactType=contact_type.upper(), **target
        )
        return _contact_in(answer, "AlternateContact", subject)

    def _call(self, operation: str, subject: str, **request: Any) -> Any:
        with named_errors(subject):
            try:
                return getattr(self._client, operation)(**request)
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    raise _NotSetError from None
                raise
            except ParamValidationError:
                # A read may lack a field that a write requires; the SDK refuses that.
                raise ContactRefusedError(f"{subject}: a required field is not set") from None


class _NotSetError(Exception):
    """The account has no such contact."""


def _contact_in(answer: Any, name: str, subject: str) -> dict[str, str]:
    """Return the contact in an answer; the API's model allows an answer without one."""
    if name not in answer:
        raise ServiceUnavailableError(f"{subject}: no contact in the answer")
    return dict(answer[name])


def _subject(verb: str, account_id: str | None, contact_type: ContactType) -> str:
    return f"{verb} {contact_type} contact of account {account_id or '(own)'}"
