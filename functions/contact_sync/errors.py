"""Every error by name: the state machine retries, catches and reports by these class names."""

from collections.abc import Sequence

# A cause has no room for the ten thousand faults that an input or a configuration may have.
MAX_LISTED = 20


class SyncError(Exception):
    """Base of all named errors; the message holds identifiers only, never a contact value.

    `remedy` says what to do, `command` what to type; {environment} and {sync_id} are filled in.
    """

    remedy = "Check the execution history and the function's log group."
    command = "bash scripts/resync.sh --environment {environment} --retry-of {sync_id}"


class InvalidRequestError(SyncError):
    """The execution input is invalid, or asks for something that cannot be done."""

    remedy = "Correct the named keys of the input, then start a new run. Nothing was written."
    command = "bash scripts/resync.sh --help"


class InvalidConfigError(SyncError):
    """The configuration item is missing or invalid."""

    remedy = (
        "Correct the item `default` in the configuration table, then start a new run. "
        "Nothing was written."
    )
    command = "bash scripts/config.sh show --environment {environment}"


class InvalidSourceError(SyncError):
    """Every contact that the run asks for violates the API's rules for member accounts."""

    remedy = "Correct the named fields of the management account's contacts, then retry the run."


class EmptySourceError(SyncError):
    """The management account has none of the configured contacts."""

    remedy = "Set the management account's contacts, or configure contact_types that it has."


class OrganizationNotInUseError(SyncError):
    """The account is not in an organization."""

    remedy = "Deploy the stack in the management account of an AWS organization."
    command = "aws organizations describe-organization"


class NotManagementAccountError(SyncError):
    """The stack's ManagementAccountId is not the organization's management account."""

    remedy = "Deploy the stack in the management account, with that account's ID."
    command = "aws organizations describe-organization"


class AllFeaturesRequiredError(SyncError):
    """The organization has only the consolidated billing features."""

    remedy = "Enable all features in the organization."
    command = "aws organizations enable-all-features"


class TrustedAccessRequiredError(SyncError):
    """Trusted access for Account Management is off."""

    remedy = "Enable trusted access for AWS Account Management."
    command = (
        "aws organizations enable-aws-service-access --service-principal account.amazonaws.com"
    )


class NoMemberAccountsError(SyncError):
    """Organizations returned no member account, usually because of a missing permission."""

    remedy = (
        "Check the Organizations permissions of account-lister, and the organization's accounts."
    )
    command = "aws organizations list-accounts"


class NoActiveAccountsError(SyncError):
    """No member account of the organization is ACTIVE."""

    remedy = "Check the accounts' states: a run writes only to ACTIVE accounts."
    command = "aws organizations list-accounts"


class UnknownAccountStateError(SyncError):
    """Organizations lists accounts in a state that this release does not know."""

    remedy = "Update the stack: runs skip accounts in an unknown state."
    command = "aws organizations list-accounts"


class LockLostError(SyncError):
    """Another execution took over the lock during this run."""

    remedy = "No action is needed: the other run continues. To be sure, start a full run."
    command = "bash scripts/resync.sh --environment {environment}"


class SourceNotSettledError(SyncError):
    """In every run for one change, the source kept changing or its reads stayed stale."""

    remedy = "Check the management account's contacts in the console, then start a full run."
    command = "bash scripts/resync.sh --environment {environment}"


class ThrottledError(SyncError):
    """The API throttled a call and all its retries."""

    remedy = "Retry the failed accounts. If other tools use the same quota, lower QuotaShare."


class ServiceUnavailableError(SyncError):
    """The API failed or could not be reached."""

    remedy = "Retry the failed accounts when the service has recovered."


class AccessDeniedError(SyncError):
    """The API denied the call for this account."""

    remedy = (
        "Check trusted access for account.amazonaws.com, the processor's role, and policies "
        "that name this account."
    )


class NotReadyError(SyncError):
    """The account joined less than half an hour ago, and still denies the call."""

    remedy = "Retry the failed accounts half an hour after they joined."


class ApiRefusedError(SyncError):
    """An AWS API refused a call for any other reason."""


class ContactRefusedError(SyncError):
    """The API refused a contact's value for this account."""

    remedy = (
        "Correct the named fields in the management account or the address book, then retry the "
        "failed accounts. What an undo cannot put back, set in the account itself."
    )


class InvalidContactError(SyncError):
    """The contact from a rule, with the fields that the account keeps, violates the API's rules."""

    remedy = (
        "Correct the named fields in the address book, or in the account if it keeps them "
        "(primary_keeps)."
    )
    command = "bash scripts/config.sh contacts show --environment {environment}"


class ReplacedNotStoredError(SyncError):
    """The contact that a write replaces could not be stored, so nothing was written."""

    remedy = "Check the runs bucket and the stack's key, then retry the failed accounts."


class ContestedError(SyncError):
    """Several runs in a row wrote the contact, and each time it differed again."""

    remedy = (
        "Find what changes the contact back in the account's CloudTrail events. If nothing does, "
        "compare both contacts: the API may store this one differently. A primary contact is "
        "written again by a run that names the account (--account)."
    )


class NotRecordedError(SyncError):
    """The account has no result in this run: its functions ended before they recorded one."""

    remedy = "Check the account's child execution in the Map Run, then retry the failed accounts."


class RepeatAccountError(SyncError):
    """Contacts of this account failed for a transient reason; the attempt is repeated."""


class SyncFailedError(SyncError):
    """Every contact of every account of the run failed."""

    remedy = "Look for a common cause in the accounts' errors."


class PartialSyncError(SyncError):
    """At least failure_threshold accounts failed."""

    remedy = "Correct the failed accounts' errors, then retry the accounts."


TRANSIENT = (ThrottledError, ServiceUnavailableError)


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Join the names for an error message: the first MAX_LISTED, then how many more."""
    shown = list(names[:MAX_LISTED])
    if more := len(names) - len(shown):
        shown.append(f"and {more} more")
    return separator.join(shown)


def error_class(name: str) -> type[SyncError]:
    """Return the error class of that name; SyncError for platform errors."""
    error = globals().get(name)
    return error if isinstance(error, type) and issubclass(error, SyncError) else SyncError


def command_after(name: str | None, environment: str, sync_id: str, *, dry_run: bool) -> str:
    """Return the command that retries or corrects what failed in a run with this error, if any."""
    command = error_class(name or "").command
    if dry_run and "--retry-of" in command:
        command += " --dry-run"
    return command.format(environment=environment, sync_id=sync_id)


def is_named(name: str | None) -> bool:
    """Return whether an execution's error is one of ours, not a platform error."""
    return name is not None and error_class(name) is not SyncError
