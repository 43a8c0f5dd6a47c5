"""Compare one contact of one account with the source, and say what must be done."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from contact_sync.contacts import Contact, digest_of

# A read may show the old value for minutes after a write; only a later one is evidence.
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

    A deletion writes ABSENT. `replaced` is None once a later read has shown the new value: the API
    accepted it.
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

    A contact that the source lacks is deleted only where it is what we wrote. A read that shows
    what our last write replaced, and may be older than it, is not believed: not even where it
    shows what is desired.
    """
    seen = digest_of(actual, key)
    if last_write and seen == last_write.replaced != last_write.digest:
        if now - last_write.at < READS_SETTLE_AFTER:
            return Status.UPDATED if desired else Status.DELETED
        if desired and last_write.digest == desired.digest(key):
            return Status.NOT_ACCEPTED
    if desired == actual:
        return Status.UNCHANGED
    if desired:
        return Status.UPDATED
    ours = last_write and last_write.digest == seen
    return Status.DELETED if ours else Status.SKIPPED
