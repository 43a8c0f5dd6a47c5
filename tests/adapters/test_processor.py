"""What a processor keeps between accounts: the source, a lost lock, and refused calls."""

from collections.abc import Iterator
from typing import Any

import pytest
from contact_sync.account_sync import LOST_DIGIT, SKIPPED_DIGIT, UNCHANGED_DIGIT, UPDATED_DIGIT
from contact_sync.aws.lock_table import LockTable
from contact_sync.aws.runs_bucket import SETS, RunsBucket, beside
from contact_sync.contact_sets import same_for_all
from contact_sync.contacts import ALTERNATE_TYPES, ContactType
from contact_sync.errors import ApiRefusedError, RepeatAccountError
from contact_sync.processor import Processor
from standin.organization import OrganizationClient
from support import emf
from support.builders import (
    LATER_PLAN,
    MEMBER,
    NOW,
    OTHER,
    PLANNED_AT,
    SOURCE_KEY,
    SYNC_ID,
    make_child_input,
    make_source,
    make_world,
)
from support.moto_stack import BUCKET, STATE_TABLE

BILLING = ContactType.BILLING
LATER = "runs/run-2/later/source.json"


class Setting:
    """A run that holds the lock, with its source stored, and one processor."""

    def __init__(self, table: Any, bucket: Any, organization: OrganizationClient) -> None:
        self.organization = organization
        self.lock = LockTable(table, STATE_TABLE)
        self.bucket = RunsBucket(bucket, BUCKET)
        self.processor = Processor(ALTERNATE_TYPES)
        self.hold(SYNC_ID, PLANNED_AT)
        self.store(SOURCE_KEY, BILLING)

    def store(self, key: str, *types: ContactType) -> None:
        """Store the source and the contact sets of a run of these types."""
        self.bucket.store_source(key, make_source(types))
        self.bucket.store_sets(beside(key, SETS), [same_for_all(types)])

    def hold(self, sync_id: str, planned_at: str) -> None:
        self.lock.release(self.lock.read().holder or "")
        self.lock.take(sync_id, NOW)
        self.lock.record_plan(sync_id, planned_at, {})

    def handle(self, account_id: str = MEMBER, **child_input: Any) -> int:
        event = make_child_input(account_id=account_id, **child_input)
        return self.processor.handle(event)["digit"]

    def handle_later(self, account_id: str = MEMBER) -> int:
        """Handle an account of a later run."""
        return self.handle(account_id, sync_id="run-2", planned_at=LATER_PLAN, source_key=LATER)

    @property
    def calls(self) -> list[str]:
        return [f"{call['operation']} {call['account_id']}" for call in self.organization.calls()]


@pytest.fixture
def setting(
    state_table: Any,
    bucket: Any,
    organization: OrganizationClient,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Setting]:
    organization.reset(make_world(MEMBER, OTHER))
    for service in ("ACCOUNT", "ORGANIZATIONS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", organization.url)
    monkeypatch.setenv("QUOTA_SHARE", "1000")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    return Setting(state_table, bucket, organization)


def test_only_types_of_both_the_run_and_the_processor_are_synced(setting: Setting) -> None:
    assert UPDATED_DIGIT == setting.handle()
    assert [f"GetAlternateContact {MEMBER}", f"PutAlternateContact {MEMBER}"] == setting.calls


def test_a_processor_with_nothing_to_do_makes_no_call(
    setting: Setting,
) -> None:
    setting.store(LATER, ContactType.PRIMARY)
    assert UNCHANGED_DIGIT == setting.handle_later()
    assert [] == setting.calls


def test_the_source_is_loaded_once_per_run(setting: Setting) -> None:
    assert UPDATED_DIGIT == setting.handle()
    setting.bucket.delete(SOURCE_KEY)
    assert UPDATED_DIGIT == setting.handle(OTHER)
    with pytest.raises(ApiRefusedError, match="load runs/run-2"):
        setting.handle_later()


def test_a_run_that_lost_its_lock_makes_no_more_calls_and_the_next_run_works(
    setting: Setting,
) -> None:
    setting.hold("run-2", LATER_PLAN)
    assert LOST_DIGIT == setting.handle()
    setting.organization.clear_calls()
    assert [LOST_DIGIT, LOST_DIGIT] == [setting.handle(), setting.handle(OTHER)]
    assert [] == setting.calls
    setting.store(LATER, BILLING)
    assert UPDATED_DIGIT == setting.handle_later()


def test_an_account_that_denies_access_is_looked_up(setting: Setting) -> None:
    setting.organization.set_account(MEMBER, state="CLOSED")
    assert SKIPPED_DIGIT == setting.handle()


@pytest.mark.parametrize(("times", "refused"), [(0, []), (1, [1]), (3, [3])])
def test_every_refused_call_is_counted_once(
    times: int, refused: list[int], setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both those that the client retries, and those on which it gives up."""
    if times:
        setting.organization.add_fault(
            {
                "operation": "PutAlternateContact",
                "error": "TooManyRequestsException",
                "times": times,
            }
        )
    capsys.readouterr()
    try:
        assert UPDATED_DIGIT == setting.handle()
    except RepeatAccountError:
        assert 3 == times
        assert UPDATED_DIGIT == setting.handle()
    counted = emf.values(capsys.readouterr().out)
    assert [{"RefusedCalls": one} for one in refused] == counted
