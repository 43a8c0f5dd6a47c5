"""The lock's decisions: runs do not overlap, nothing queued is lost, a dead run holds no lock."""

from collections.abc import Callable
from typing import Any

import pytest
from builders import MEMBER, OTHER, STARTED_AT, THIRD, make_recovery, make_request, make_run
from contact_sync.errors import (
    InvalidRequestError,
    LockLostError,
    ServiceUnavailableError,
    ThrottledError,
)
from contact_sync.executions import Execution
from contact_sync.request import RoundRequest
from contact_sync.run_control import Decision, Recovery, RunControl
from fakes import FakeExecutions, FakeLock, FakeRuns

DEAD_START = "2026-01-05T08:00:00.000Z"
QUEUED = RoundRequest(account_ids=[OTHER])


class Given:
    """A lock, runs and executions, and the control over them."""

    def __init__(
        self,
        holder: str | None = None,
        pending: RoundRequest | None = None,
        executions: tuple[Execution, ...] = (),
    ) -> None:
        self.lock = FakeLock(holder, pending)
        self.runs = FakeRuns()
        self.lock.runs = self.runs
        self.control = RunControl(self.lock, self.runs, FakeExecutions(*executions))  # type: ignore[arg-type]

    def item(self, sync_id: str, started_at: str = STARTED_AT) -> dict[str, Any]:
        return self.runs.read(started_at, sync_id)


def execution(
    status: str,
    name: str = "dead",
    *,
    recovers: bool = False,
    **execution_input: Any,
) -> Execution:
    request = make_recovery("first").request if recovers else make_request(**execution_input)
    return Execution(name, status, DEAD_START, request)


def changes_always(lock: FakeLock) -> Callable[[], None]:
    def change() -> None:
        count = len(lock.item.get("pending", {}).get("reasons", []))
        lock.item = {**lock.item, "pending": {"reasons": ["x"] * (count + 1)}}

    return change


# Queueing


@pytest.mark.parametrize("status", ["RUNNING", "PENDING_REDRIVE"])
def test_a_request_queues_behind_a_living_holder(status: str) -> None:
    given = Given("first", executions=(execution(status, "first"),))
    assert (Decision.QUEUED, "first") == given.control.queue_behind(make_run(account_ids=[MEMBER]))
    assert RoundRequest(account_ids=[MEMBER]) == given.lock.read().pending
    assert "first" == given.lock.read().holder


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT", "FORGOTTEN"])
def test_a_dead_holder_is_to_be_recovered(status: str) -> None:
    given = Given("dead", executions=(execution(status),))
    assert (Decision.RECOVER, "dead") == given.control.queue_behind(make_run())
    assert given.lock.read().pending is None


@pytest.mark.parametrize("holder", [None, "run-1"])
def test_a_lock_that_is_free_or_our_own_is_to_be_taken(holder: str | None) -> None:
    assert (Decision.TAKE_LOCK, None) == Given(holder).control.queue_behind(make_run())


def test_a_request_merges_with_what_is_queued() -> None:
    given = Given("first", QUEUED, executions=(execution("RUNNING", "first"),))
    given.control.queue_behind(make_run(account_ids=[MEMBER]))
    pending = given.lock.read().pending
    assert pending is not None
    assert [OTHER, MEMBER] == pending.account_ids


def test_a_queued_full_resync_is_not_lost() -> None:
    given = Given("first", executions=(execution("RUNNING", "first"),))
    given.control.queue_behind(make_run())
    assert RoundRequest() == given.lock.read().pending
    given.control.queue_behind(make_run("run-2", account_ids=[MEMBER]))
    pending = given.lock.read().pending
    assert pending is not None
    assert pending.covers_all_accounts


def test_a_lock_that_changed_in_between_is_looked_at_again() -> None:
    given = Given("first", executions=(execution("RUNNING", "first"),))

    def release() -> None:
        given.lock.item = {}

    given.lock.before_change = release
    assert (Decision.TAKE_LOCK, None) == given.control.queue_behind(make_run())


def test_a_lock_that_keeps_changing_is_a_passing_failure() -> None:
    given = Given("first", executions=(execution("RUNNING", "first"),))
    given.lock.before_change = changes_always(given.lock)
    with pytest.raises(ServiceUnavailableError, match=r"^queue behind .* the lock kept changing$"):
        given.control.queue_behind(make_run())


# Retrying the failed accounts of a run


def test_retry_of_asks_for_the_accounts_that_failed() -> None:
    given = Given()
    given.runs.update(DEAD_START, "run-0", {"sync_id": "run-0"})
    given.runs.failed["run-0"] = [MEMBER, THIRD]
    wanted = given.control.wanted(make_request(retry_of="run-0", reason="again"))
    assert RoundRequest(account_ids=[MEMBER, THIRD], reasons=["again"]) == wanted


def test_retry_of_an_unknown_run_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="there is no run run-0"):
        Given().control.wanted(make_request(retry_of="run-0"))


def test_retry_of_a_run_without_failures_is_refused_and_never_means_everyone() -> None:
    given = Given()
    given.runs.update(DEAD_START, "run-0", {"sync_id": "run-0"})
    with pytest.raises(InvalidRequestError, match="no account failed in run run-0"):
        given.control.wanted(make_request(retry_of="run-0"))


def test_a_wrong_retry_does_not_queue() -> None:
    given = Given("first", executions=(execution("RUNNING", "first"),))
    with pytest.raises(InvalidRequestError):
        given.control.queue_behind(make_run(retry_of="run-0"))
    assert given.lock.read().pending is None


def test_retry_of_very_many_failed_accounts_queues_as_every_account() -> None:
    given = Given("first", executions=(execution("RUNNING", "first"),))
    given.runs.update(DEAD_START, "run-0", {"sync_id": "run-0"})
    given.runs.failed["run-0"] = [str(100_000_000_000 + n) for n in range(5_001)]
    given.control.queue_behind(make_run(retry_of="run-0"))
    assert RoundRequest() == given.lock.read().pending


# Starting a round


def test_the_first_round_is_the_executions_own_request() -> None:
    given = Given("run-1")
    wanted = RoundRequest(account_ids=[MEMBER], reasons=["moved"])
    run = make_run(account_ids=[MEMBER], reason="moved")
    assert wanted == given.control.start_round(run, 1)
    assert given.item("run-1") == {
        "gsi1pk": "RUN#run-1",
        "gsi1sk": "RUN",
        "sync_id": "run-1",
        "started_at": STARTED_AT,
        "expires_at": 1802167200,
        "dry_run": False,
        "trigger": {"source": "by_hand"},
        "round": 1,
        "request": wanted.stored(),
    }


def test_a_round_takes_what_is_queued() -> None:
    given = Given("run-1", QUEUED)
    started = given.control.start_round(make_run(account_ids=[MEMBER]), 1)
    assert started is not None
    assert [MEMBER, OTHER] == started.account_ids
    assert given.lock.read().pending is None
    assert "run-1" == given.lock.read().holder


def test_a_later_round_is_only_what_is_queued() -> None:
    assert QUEUED == Given("run-1", QUEUED).control.start_round(make_run(), 2)


def test_a_queued_full_resync_becomes_a_round() -> None:
    given = Given("run-1", RoundRequest())
    given.lock.item["pending"] = {}
    assert RoundRequest() == given.control.start_round(make_run(account_ids=[MEMBER]), 2)
    assert given.lock.read().pending is None


def test_a_later_round_with_nothing_queued_asks_for_nothing() -> None:
    given = Given("run-1")
    assert given.control.start_round(make_run(), 2) is None
    assert {} == given.item("run-1")


def test_the_trigger_is_recorded() -> None:
    given = Given("recovery-1", QUEUED)
    given.control.start_round(make_recovery("dead"), 1)
    recorded = given.item("recovery-1")["trigger"]
    assert "recovery" == recorded["source"]
    assert "account_id" not in recorded


@pytest.mark.parametrize("holder", [None, "other"])
def test_a_round_does_not_start_without_the_lock(holder: str | None) -> None:
    given = Given(holder)
    with pytest.raises(LockLostError, match=f"held by {holder or 'nobody'}"):
        given.control.start_round(make_run(), 1)
    assert {} == given.runs.items


def test_a_lock_lost_in_between_stops_the_round() -> None:
    given = Given("run-1")

    def steal() -> None:
        given.lock.item = {"holder": "other"}

    given.lock.before_change = steal
    with pytest.raises(LockLostError, match="held by other"):
        given.control.start_round(make_run(), 1)
    assert {} == given.runs.items


def test_a_request_queued_in_between_is_taken_too() -> None:
    given = Given("run-1")

    def queue_once() -> None:
        given.lock.before_change = lambda: None
        given.lock.queue(given.lock.read(), QUEUED)

    given.lock.before_change = queue_once
    started = given.control.start_round(make_run(account_ids=[MEMBER]), 1)
    assert started is not None
    assert [MEMBER, OTHER] == started.account_ids


def test_a_lock_that_keeps_changing_starts_no_round() -> None:
    given = Given("run-1")
    given.lock.before_change = changes_always(given.lock)
    with pytest.raises(ServiceUnavailableError, match="start round 1: the lock kept changing"):
        given.control.start_round(make_run(), 1)


@pytest.mark.parametrize("number", [1, 2])
def test_a_round_whose_answer_was_lost_starts_the_same_again(number: int) -> None:
    given = Given("run-1", QUEUED)
    run = make_run(account_ids=[MEMBER])
    first = given.control.start_round(run, number)
    assert first == given.control.start_round(run, number)
    assert first is not None
    assert first.stored() == given.item("run-1")["request"]


def test_a_repeated_start_adds_what_was_queued_since() -> None:
    given = Given("run-1", QUEUED)
    run = make_run(account_ids=[MEMBER])
    given.control.start_round(run, 1)
    given.lock.queue(given.lock.read(), RoundRequest(account_ids=[THIRD]))
    again = given.control.start_round(run, 1)
    assert again is not None
    assert [MEMBER, OTHER, THIRD] == again.account_ids


def test_a_dry_run_takes_nothing_queued_and_leaves_the_lock_alone() -> None:
    given = Given("other", QUEUED)
    run = make_run(dry_run=True, account_ids=[MEMBER])
    assert RoundRequest(account_ids=[MEMBER]) == given.control.start_dry_run(run)
    assert QUEUED == given.lock.read().pending
    assert given.item("run-1")["dry_run"]
    assert given.item("run-1")["request"] == {"account_ids": [MEMBER]}


def test_a_dry_run_has_one_round() -> None:
    given = Given()
    given.control.start_dry_run(make_run(dry_run=True))
    assert 1 == given.item("run-1")["round"]


# Recovering


def recover(given: Given, dead: str = "dead") -> Recovery:
    return given.control.recover(make_recovery(dead), dead)


def died_in(given: Given, request: RoundRequest, **values: Any) -> None:
    record = {"started_at": DEAD_START, "request": request.stored(), **values}
    given.runs.update(DEAD_START, "dead", record)


def test_a_living_execution_is_left_alone() -> None:
    given = Given("dead", executions=(execution("RUNNING"),))
    assert Recovery(took_over=False, unpublished=None, request=None) == recover(given)
    assert "dead" == given.lock.read().holder


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT"])
def test_a_dead_runs_lock_is_taken_with_what_its_round_had_left(status: str) -> None:
    given = Given("dead", QUEUED, executions=(execution(status),))
    died_in(given, RoundRequest(account_ids=[MEMBER]))
    recovery = recover(given)
    assert recovery.took_over
    assert RoundRequest(account_ids=[MEMBER]) == recovery.request
    assert ("recovery-1", QUEUED) == (given.lock.read().holder, given.lock.read().pending)
    assert make_recovery("dead").started_at == given.lock.item["since"]


def test_a_run_that_died_before_its_round_leaves_its_input() -> None:
    given = Given("dead", executions=(execution("FAILED", account_ids=[MEMBER]),))
    assert RoundRequest(account_ids=[MEMBER]) == recover(given).request


def test_a_dead_full_resync_is_left_whole() -> None:
    given = Given("dead", executions=(execution("FAILED"),))
    died_in(given, RoundRequest())
    assert RoundRequest() == recover(given).request


def test_a_run_aborted_by_hand_leaves_nothing_but_what_was_queued() -> None:
    given = Given("dead", QUEUED, executions=(execution("ABORTED"),))
    died_in(given, RoundRequest(account_ids=[MEMBER]))
    recovery = recover(given)
    assert recovery.took_over
    assert recovery.request is None
    assert QUEUED == given.control.start_round(make_recovery("dead"), 1)


def test_a_forgotten_run_gives_up_its_lock_and_leaves_nothing() -> None:
    given = Given("dead")
    assert Recovery(took_over=True, unpublished=None, request=None) == recover(given)


@pytest.mark.parametrize("holder", [None, "other"])
def test_a_dead_run_that_freed_its_lock_leaves_nothing(holder: str | None) -> None:
    given = Given(holder, executions=(execution("FAILED", account_ids=[MEMBER]),))
    recovery = recover(given)
    assert not recovery.took_over
    assert recovery.request is None
    assert holder == given.lock.read().holder


def test_a_dead_recovery_frees_the_lock_and_keeps_what_is_queued() -> None:
    given = Given("dead", QUEUED, executions=(execution("FAILED", recovers=True),))
    recovery = recover(given)
    assert not recovery.took_over
    assert recovery.request is None
    assert given.lock.read().holder is None
    assert QUEUED == given.lock.read().pending


def test_a_repeated_recovery_finds_the_lock_its_own() -> None:
    given = Given("dead", executions=(execution("FAILED"),))
    died_in(given, RoundRequest(account_ids=[MEMBER]))
    assert recover(given) == recover(given)


def test_a_lock_that_keeps_changing_is_not_taken_over() -> None:
    given = Given("dead", executions=(execution("FAILED"),))
    given.lock.before_change = changes_always(given.lock)
    with pytest.raises(ServiceUnavailableError, match="take over from dead"):
        recover(given)


def test_only_one_of_two_recoveries_takes_over() -> None:
    given = Given("dead", executions=(execution("FAILED", account_ids=[MEMBER]),))
    first = given.control.recover(make_recovery("dead", "recovery-1"), "dead")
    second = given.control.recover(make_recovery("dead", "recovery-2"), "dead")
    assert (True, False) == (first.took_over, second.took_over)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_dead_wrong_retry_leaves_nothing_and_gives_up_its_lock(*, is_known: bool) -> None:
    given = Given("dead", QUEUED, executions=(execution("FAILED", retry_of="run-0"),))
    if is_known:
        given.runs.update(DEAD_START, "run-0", {"sync_id": "run-0"})
    recovery = recover(given)
    assert (True, None) == (recovery.took_over, recovery.request)
    assert "recovery-1" == given.lock.read().holder
    assert QUEUED == given.control.start_round(make_recovery("dead"), 1, recovery.request)


def test_a_dead_retry_leaves_the_accounts_that_failed() -> None:
    given = Given("dead", executions=(execution("FAILED", retry_of="run-0"),))
    given.runs.update(DEAD_START, "run-0", {"sync_id": "run-0"})
    given.runs.failed["run-0"] = [MEMBER]
    assert RoundRequest(account_ids=[MEMBER]) == recover(given).request


def test_a_lock_is_not_taken_before_what_is_left_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = Given("dead", QUEUED, executions=(execution("FAILED", retry_of="run-0"),))
    given.runs.update(DEAD_START, "run-0", {"sync_id": "run-0"})
    given.runs.failed["run-0"] = [MEMBER]

    def throttled(_: str) -> list[str]:
        raise ThrottledError("find run run-0")

    with monkeypatch.context() as patch:
        patch.setattr(given.runs, "failed_accounts", throttled)
        with pytest.raises(ThrottledError):
            recover(given)
    assert "dead" == given.lock.read().holder
    assert RoundRequest(account_ids=[MEMBER]) == recover(given).request


def test_a_dead_run_that_did_not_publish_is_published_for() -> None:
    given = Given("dead", executions=(execution("TIMED_OUT"),))
    unpublished = recover(given).unpublished
    assert unpublished is not None
    assert ("dead", "TIMED_OUT", DEAD_START) == (
        unpublished.name,
        unpublished.status,
        unpublished.started_at,
    )


def test_a_published_run_is_not_published_again() -> None:
    given = Given(executions=(execution("FAILED"),))
    died_in(given, RoundRequest(), published_at="2026-01-05T08:10:00Z")
    assert recover(given).unpublished is None


def test_the_recorded_start_wins_because_it_is_the_items_key() -> None:
    given = Given("dead", executions=(execution("FAILED"),))
    given.runs.update("2026-01-05T08:00:00.001Z", "dead", {"started_at": "recorded"})
    unpublished = recover(given).unpublished
    assert unpublished is not None
    assert "recorded" == unpublished.started_at


def test_a_recoverys_first_round_is_what_the_dead_run_left_and_what_was_queued() -> None:
    given = Given("recovery-1", QUEUED)
    left = RoundRequest(account_ids=[MEMBER])
    started = given.control.start_round(make_recovery("dead"), 1, left)
    assert started is not None
    assert [MEMBER, OTHER] == started.account_ids


def test_a_recovery_with_nothing_left_does_nothing() -> None:
    assert Given("recovery-1").control.start_round(make_recovery("dead"), 1) is None


def test_an_execution_that_found_a_dead_one_does_both() -> None:
    given = Given("run-1")
    left = RoundRequest(account_ids=[OTHER])
    started = given.control.start_round(make_run(account_ids=[MEMBER]), 1, left)
    assert started is not None
    assert [MEMBER, OTHER] == started.account_ids
