"""Undo: put back what a run replaced where an account still has what that run wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contact_sync.comparison import UNSETTLED, Decision, KnownContact, Status, may_hide
from contact_sync.contacts import ABSENT, Contact, ContactType, digest_of

NOT_WRITTEN = "not written by that run"
CHANGED_SINCE = "changed since that run"
NOT_DELETABLE = "was not set, and a primary contact cannot be deleted"


@dataclass(frozen=True)
class Replaced:
    """A contact that a run replaced, None where there was none, and the digest of the new one."""

    contact: Contact | None
    written: str


@dataclass(frozen=True)
class Former:
    """What an undo does with a contact, and the contact that it puts back, if any."""

    decision: Decision
    contact: Contact | None = None


def former(  # noqa: PLR0913 - each is one fact that the decision needs
    contact_type: ContactType,
    links: Sequence[Replaced],
    seen: str,
    known: KnownContact,
    key: bytes,
    *,
    planned_at: str,
    now: datetime,
) -> Former:
    """Decide what to put back; `links` are what the runs to undo replaced, latest first.

    `seen` is the digest of the account's contact. A contact that is as before is unchanged.
    """
    current = _behind(seen, known, now)
    contact, digest = None, current
    for link in links:
        if link.written == digest:
            contact, digest = link.contact, digest_of(link.contact, key)
    if digest == current:
        if any(current == digest_of(link.contact, key) for link in links):
            return Former(_as_before(current, known, planned_at))
        return Former(Decision(Status.SKIPPED, reason=CHANGED_SINCE))
    if contact is None and contact_type is ContactType.PRIMARY:
        return Former(Decision(Status.SKIPPED, reason=NOT_DELETABLE))
    status = Status.UPDATED if contact else Status.DELETED
    return Former(Decision(status, writes=True), contact)


def _behind(seen: str, known: KnownContact, now: datetime) -> str:
    """Return the digest that the account has: that of our last write, if the read may hide it.

    An undo that did not record its write may not have made it: if the read shows that, it repeats.
    """
    ours = [one for one in (known.written, known.intended, known.undone) if one]
    hiding = [one for one in ours if may_hide(one, seen, now)]
    return max(hiding, key=lambda one: one.at).digest if hiding else seen


def _as_before(current: str, known: KnownContact, planned_at: str) -> Decision:
    """Return the result of a contact that is as before; this run may have put it back."""
    if known.status and known.status_of == planned_at and known.status not in UNSETTLED:
        return Decision(known.status)
    for wrote in (known.undoing, known.undone):
        if wrote and (wrote.planned_at, wrote.digest) == (planned_at, current):
            status = Status.DELETED if current == ABSENT else Status.UPDATED
            return Decision(status, wrote=wrote)
    return Decision(Status.UNCHANGED)
