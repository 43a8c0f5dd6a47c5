"""Every error by name: the state machine retries, catches and reports by these class names."""

from collections.abc import Sequence

# An input or a configuration may have ten thousand faults; a cause has room for fewer.
MOST_LISTED = 20


class SyncError(Exception):
    """Base of all named errors; the message holds identifiers only, never a contact value."""

    remedy = "See the execution's history and the function's log group."


class InvalidRequestError(SyncError):
    """The execution input asks for something that cannot be done."""

    remedy = "Correct the execution input as named and start again; nothing was written."


class InvalidConfigError(SyncError):
    """The configuration item is missing or broken."""

    remedy = "Correct the item `default` in the configuration table; nothing was written."


class InvalidSourceError(SyncError):
    """A contact of the management account breaks the API's rules for members."""

    remedy = "Correct the named fields of the management account's contact."


class EmptySourceError(SyncError):
    """The management account has none of the configured contacts."""

    remedy = "Set the contacts of the management account, or narrow contact_types."


class OrganizationNotInUseError(SyncError):
    """The account is in no organization."""

    remedy = "Deploy into the management account of an AWS organization."


class NotManagementAccountError(SyncError):
    """The stack's ManagementAccountId is not the organization's management account."""

    remedy = "Deploy with the management account's id, into the management account."


class AllFeaturesRequiredError(SyncError):
    """The organization has only consolidated billing."""

    remedy = "Enable all features: aws organizations enable-all-features"


class TrustedAccessRequiredError(SyncError):
    """Trusted access for Account Management is off."""

    remedy = (
        "Enable it: aws organizations enable-aws-service-access "
        "--service-principal account.amazonaws.com"
    )


class NoMemberAccountsError(SyncError):
    """The organization lists no member account, which is never true of one worth syncing."""

    remedy = "Check the Organizations permissions of account-lister and the organization itself."


class LockLostError(SyncError):
    """Another execution holds the lock that this run believed to hold."""

    remedy = "None needed: the other execution goes on; start again to repeat this run."


class ThrottledError(SyncError):
    """The API refused a call for its rate, more often than the client repeats."""

    remedy = "Other tools may use the same quota; repeat with retry_of."


class ServiceUnavailableError(SyncError):
    """The API failed or could not be reached."""

    remedy = "Repeat with retry_of once the service is healthy."


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


class NotAcceptedError(SyncError):
    """The API took the same contact before, yet still shows another."""

    remedy = "Compare the contact in both accounts; it is written again when the source changes."


class ChildLostError(SyncError):
    """The account's child execution left no result."""

    remedy = "See the child execution in the Map Run; repeat with retry_of."


class SyncFailedError(SyncError):
    """Every account of the run failed."""

    remedy = "The accounts' own errors tell; a cause common to all is likely."


class PartialSyncError(SyncError):
    """At least failure_threshold accounts failed."""

    remedy = "See the failed accounts; repeat them with resync.sh --retry-of and the sync_id."


TRANSIENT = (ThrottledError, ServiceUnavailableError)


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Return the names for an error's message; of very many the first, and how many more."""
    shown = list(names[:MOST_LISTED])
    if more := len(names) - len(shown):
        shown.append(f"and {more} more")
    return separator.join(shown)


def remedy_for(error_name: str) -> str:
    """Return what to do about an error by its name; platform errors get the base remedy."""
    error = globals().get(error_name)
    if isinstance(error, type) and issubclass(error, SyncError):
        return error.remedy
    return SyncError.remedy
