"""Compare one contact of one account with the source, and say what must be done."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from contact_sync.contacts import Contact, digest_of

# A read may show the old value for minutes after a write, so only a later read is evidence.
READS_SETTLE_AFTER = timedelta(minutes=10)


class Status(StrEnum):
    """What became of one contact of one account."""

    UNCHANGED = "unchanged"
    UPDATED = "updated"
    DELETED = "deleted"
    SKIPPED = "skipped"
    FAILED = "failed"
    NOT_ACCEPTED = "not_accepted"


CHANGED = frozenset({Status.UPDATED, Status.DELETED})
FAILURES = frozenset({Status.FAILED, Status.NOT_ACCEPTED})


@dataclass(frozen=True)
class LastWrite:
    """What we last wrote for one contact: digests of the new and the replaced value, and when.

    `replaced` is None once a later read has shown the new value: the API accepted it.
    """

    digest: str
    replaced: str | None
    at: datetime


def decide(
    desired: Contact | None,
    actual: Contact | None,
    last_write: LastWrite | None,
    key: bytes,
    now: datetime,
) -> Status:
    """Return the status that syncing this contact leads to; UPDATED and DELETED ask for a write.

    A contact that the source lacks is deleted only where it is what we wrote.
    """
    if desired == actual:
        return Status.UNCHANGED
    if desired is None:
        ours = last_write and last_write.digest == digest_of(actual, key)
        return Status.DELETED if ours else Status.SKIPPED
    if last_write and _was_refused_silently(desired, actual, last_write, key, now):
        return Status.NOT_ACCEPTED
    return Status.UPDATED


def _was_refused_silently(
    desired: Contact, actual: Contact | None, last_write: LastWrite, key: bytes, now: datetime
) -> bool:
    return (
        last_write.digest == desired.digest(key)
        and last_write.replaced == digest_of(actual, key)
        and now - last_write.at >= READS_SETTLE_AFTER
    )
