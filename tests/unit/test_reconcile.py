"""One contact compared: equal is never written, a deletion undoes only what we wrote."""

from datetime import timedelta

import pytest
from builders import KEY, NOW, make_contact, make_last_write
from contact_sync.contacts import Contact
from contact_sync.reconcile import LastWrite, Status, decide

NEW, OLD = make_contact(), make_contact(Name="Formerly Tester")
TEN_MINUTES = timedelta(minutes=10)


def decided(
    desired: Contact | None,
    actual: Contact | None,
    last_write: LastWrite | None = None,
    after: timedelta = TEN_MINUTES,
    key: bytes = KEY,
) -> Status:
    return decide(desired, actual, last_write, key, NOW + after)


def over(replaced: Contact | None, written: Contact = NEW) -> LastWrite:
    digest = replaced.digest(KEY) if replaced else "absent"
    return make_last_write(digest=written.digest(KEY), replaced=digest)


@pytest.mark.parametrize("contact", [NEW, None])
@pytest.mark.parametrize("last_write", [None, over(OLD)])
def test_what_is_equal_is_unchanged(contact: Contact | None, last_write: LastWrite | None) -> None:
    assert Status.UNCHANGED is decided(contact, contact, last_write)


@pytest.mark.parametrize("actual", [OLD, None])
def test_what_differs_or_is_not_set_is_updated(actual: Contact | None) -> None:
    assert Status.UPDATED is decided(NEW, actual)


@pytest.mark.parametrize("replaced", [OLD, None])
def test_what_still_shows_the_replaced_value_after_10_minutes_is_not_accepted(
    replaced: Contact | None,
) -> None:
    assert Status.NOT_ACCEPTED is decided(NEW, replaced, over(replaced), TEN_MINUTES)


def test_before_10_minutes_a_stale_read_is_no_evidence() -> None:
    early = TEN_MINUTES - timedelta(microseconds=1)
    assert Status.UPDATED is decided(NEW, OLD, over(OLD), early)


@pytest.mark.parametrize("desired", [OLD, None])
def test_before_10_minutes_what_our_write_replaced_may_be_gone(desired: Contact | None) -> None:
    """The source went back to it at once: the read shows it, and may be older than our write."""
    early = TEN_MINUTES - timedelta(microseconds=1)
    status = Status.UPDATED if desired else Status.DELETED
    assert status is decided(desired, desired, over(desired), early)
    assert Status.UNCHANGED is decided(desired, desired, over(desired), TEN_MINUTES)


def test_before_10_minutes_what_our_write_replaced_hides_what_we_wrote() -> None:
    early = TEN_MINUTES - timedelta(microseconds=1)
    assert Status.DELETED is decided(None, OLD, over(OLD), early)
    assert Status.SKIPPED is decided(None, OLD, over(OLD), TEN_MINUTES)


def test_a_write_that_replaced_nothing_hides_nothing() -> None:
    again = over(NEW, written=NEW)
    assert Status.UNCHANGED is decided(NEW, NEW, again, timedelta())


def test_what_is_there_again_long_after_its_deletion_is_somebody_elses() -> None:
    deletion = make_last_write(digest="absent", replaced=NEW.digest(KEY))
    assert Status.DELETED is decided(None, NEW, deletion, timedelta())
    assert Status.SKIPPED is decided(None, NEW, deletion)


def test_a_third_value_is_somebody_elses_change() -> None:
    assert Status.UPDATED is decided(NEW, make_contact(Name="Third"), over(OLD))


def test_a_write_that_was_accepted_once_is_made_again() -> None:
    accepted = make_last_write(digest=NEW.digest(KEY), replaced=None)
    assert Status.UPDATED is decided(NEW, OLD, accepted)


def test_a_changed_source_is_written_again() -> None:
    assert Status.UPDATED is decided(make_contact(Name="Newer"), OLD, over(OLD))


def test_another_key_makes_old_digests_say_nothing() -> None:
    assert Status.UPDATED is decided(NEW, OLD, over(OLD), key=b"another")


def test_what_we_wrote_is_deleted_with_the_source() -> None:
    assert Status.DELETED is decided(None, NEW, over(OLD))


@pytest.mark.parametrize("last_write", [None, over(OLD, written=OLD)])
def test_what_we_did_not_write_is_never_deleted(last_write: LastWrite | None) -> None:
    assert Status.SKIPPED is decided(None, NEW, last_write)


def test_nothing_is_deleted_by_another_keys_digest() -> None:
    assert Status.SKIPPED is decided(None, NEW, over(OLD), key=b"another")
