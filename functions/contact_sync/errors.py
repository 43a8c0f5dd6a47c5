"""Every error by name: the state machine retries, catches and reports by these class names."""

from collections.abc import Sequence

# An input or a configuration may have ten thousand faults; a cause has room for fewer.
MAX_LISTED = 20


class SyncError(Exception):
    """Base of all named errors; the message holds identifiers only, never a contact value.

    `remedy` says what to do, `command` what to type; {environment} and {sync_id} are filled in.
    """

    remedy = "See the execution's history and the function's log group."
    command = "bash scripts/resync.sh --environment {environment} --retry-of {sync_id}"


class InvalidRequestError(SyncError):
    """The execution input asks for something that cannot be done."""

    remedy = "Correct the execution input as named and start again; nothing was written."
    command = "bash scripts/resync.sh --help"


class InvalidConfigError(SyncError):
    """The configuration item is missing or broken."""

    remedy = "Correct the item `default` in the configuration table; nothing was written."
    command = "bash scripts/config.sh show --environment {environment}"


class InvalidSourceError(SyncError):
    """Every contact that the run asks for breaks the API's rules for members."""

    remedy = "Correct the named fields of the management account's contact."


class EmptySourceError(SyncError):
    """The management account has none of the configured contacts."""

    remedy = "Set the contacts of the management account, or narrow contact_types."


class OrganizationNotInUseError(SyncError):
    """The account is in no organization."""

    remedy = "Deploy into the management account of an AWS organization."
    command = "aws organizations describe-organization"


class NotManagementAccountError(SyncError):
    """The stack's ManagementAccountId is not the organization's management account."""

    remedy = "Deploy with the management account's id, into the management account."
    command = "aws organizations describe-organization"


class AllFeaturesRequiredError(SyncError):
    """The organization has only consolidated billing."""

    remedy = "Enable all features of the organization."
    command = "aws organizations enable-all-features"


class TrustedAccessRequiredError(SyncError):
    """Trusted access for Account Management is off."""

    remedy = "Enable trusted access for AWS Account Management."
    command = (
        "aws organizations enable-aws-service-access --service-principal account.amazonaws.com"
    )


class NoMemberAccountsError(SyncError):
    """Organizations returned no member account, usually because of a missing permission."""

    remedy = "Check the Organizations permissions of account-lister and the organization itself."
    command = "aws organizations list-accounts"


class NoActiveAccountsError(SyncError):
    """No member account of the organization is ACTIVE."""

    remedy = "Check the states of the accounts: none can be written."
    command = "aws organizations list-accounts"


class UnknownAccountStateError(SyncError):
    """Organizations lists accounts in a state that this release does not know."""

    remedy = "Update this stack: accounts in an unknown state are not written."
    command = "aws organizations list-accounts"


class LockLostError(SyncError):
    """Another execution took the lock over while this run worked."""

    remedy = "Nothing to do: the other run continues. Start a full run to be sure."
    command = "bash scripts/resync.sh --environment {environment}"


class SourceNotSettledError(SyncError):
    """The source kept changing, or its reads stayed stale, however often a change was repeated."""

    remedy = "Compare the management account's contacts in the console, then start a full run."
    command = "bash scripts/resync.sh --environment {environment}"


class ThrottledError(SyncError):
    """The API throttled a call more often than the client retries it."""

    remedy = "Other tools may use the same quota; retry the failed accounts."


class ServiceUnavailableError(SyncError):
    """The API failed or could not be reached."""

    remedy = "Retry the failed accounts once the service is healthy."


class AccessDeniedError(SyncError):
    """The API denied the call for this account."""

    remedy = (
        "Check trusted access for account.amazonaws.com, the processor's role, and policies "
        "that name this account."
    )


class ApiRefusedError(SyncError):
    """An AWS API refused a call for a reason that is none of the others."""


class ContactRefusedError(SyncError):
    """The API refused a contact's value for this account."""

    remedy = "Correct the named fields of the management account's contact."


class InvalidContactError(SyncError):
    """The contact that a rule gives an account, or what it keeps of it, breaks the API's rules."""

    remedy = (
        "Correct the named fields of the contact in the address book, or those that the account "
        "keeps (primary_keeps)."
    )
    command = "bash scripts/config.sh contacts show --environment {environment}"


class ReplacedNotStoredError(SyncError):
    """What a write replaces could not be stored, so that nothing was written."""

    remedy = "Check the runs bucket and the stack's key, then retry the failed accounts."


class ContestedError(SyncError):
    """Run after run wrote the contact, and each time something changed it back."""

    remedy = (
        "Something in the account sets the contact back, or the API stores it differently: "
        "find who writes it in the account's CloudTrail, or compare both contacts."
    )


class NotRecordedError(SyncError):
    """The account has no result in this run: its functions died before they recorded one."""

    remedy = "See the account's child execution in the Map Run; retry the failed accounts."


class RepeatAccountError(SyncError):
    """Contacts of this account failed for a reason that may pass; the attempt is repeated."""


class SyncFailedError(SyncError):
    """Every contact of every account of the run failed."""

    remedy = "Look for a common cause in the accounts' errors."


class PartialSyncError(SyncError):
    """At least failure_threshold accounts failed."""

    remedy = "See the failed accounts, then retry them."


TRANSIENT = (ThrottledError, ServiceUnavailableError)


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Return the names for an error's message; of very many the first, and how many more."""
    shown = list(names[:MAX_LISTED])
    if more := len(names) - len(shown):
        shown.append(f"and {more} more")
    return separator.join(shown)


def error_class(name: str) -> type[SyncError]:
    """Return the error of that name; SyncError for errors of the platform."""
    error = globals().get(name)
    return error if isinstance(error, type) and issubclass(error, SyncError) else SyncError


def is_named(name: str | None) -> bool:
    """Return whether an execution's error is one of ours, not one of the platform."""
    return name is not None and error_class(name) is not SyncError
