"""The lock's decisions: runs do not overlap, nothing queued is lost, a dead run holds no lock."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from contact_sync.aws.executions import Execution
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidRequestError, ServiceUnavailableError
from contact_sync.request import RunRequest
from contact_sync_handler import run_control
from contact_sync_handler.run_control import LockDecision, RunControl, Turn
from support.builders import (
    EARLIER,
    MANAGEMENT,
    MEMBER,
    NOW,
    OTHER,
    SYNC_ID,
    THIRD,
    make_execution,
    make_queued,
    make_recovery_run,
    make_run,
    make_trigger,
)
from support.clock import stop_clock
from support.fakes import FakeExecutions, FakeLock, FakeRuns

QUIET = 130
QUIET_UNTIL = NOW + timedelta(seconds=QUIET)
CHANGE = RunRequest(is_change=True)


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clock(monkeypatch, run_control)


class Given:
    """A lock, runs and executions, and the control over them."""

    def __init__(self, holder: str | None = None, *executions: Execution, **item: Any) -> None:
        self.lock = FakeLock(holder, **item)
        self.runs = FakeRuns()
        executions_ = FakeExecutions(*executions)
        self.control = RunControl(self.lock, self.runs, executions_, MANAGEMENT)  # type: ignore[arg-type]

    def queues(self, *names: str) -> "Given":
        for name in names:
            self.lock.add(name)
        return self

    def had_run(self, sync_id: str = "dead", **item: Any) -> "Given":
        self.runs.update(EARLIER, sync_id, item)
        return self

    @property
    def dead(self) -> dict[str, Any]:
        return self.runs.read(EARLIER, "dead")

    @property
    def holder(self) -> str | None:
        return self.lock.item.get("holder")

    @property
    def waiting(self) -> list[str]:
        return sorted(self.lock.requests)


def at_operation(number: int, meanwhile: Callable[[], None]) -> Callable[[str], None]:
    """Return a hook that lets something happen before the lock's operation of this number."""
    seen = 0

    def count(_operation: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            meanwhile()

    return count


# Taking the lock


def test_a_free_lock_is_taken_with_the_request_queued() -> None:
    given = Given()
    turn = given.control.take_lock(make_run(account_ids=[MEMBER], reason="moved"))
    assert Turn(LockDecision.TAKEN, SYNC_ID, 0) == turn
    assert {"holder": SYNC_ID, "since": NOW.isoformat()} == given.lock.item
    (queued,) = given.lock.requests.values()
    assert make_queued(queued.name, queued.request, make_run().started_at) == queued
    assert ([MEMBER], ["moved"]) == (queued.request.account_ids, queued.request.reasons)


@pytest.mark.parametrize("status", ["RUNNING", "PENDING_REDRIVE"])
def test_a_living_holder_keeps_the_lock_and_the_request_waits(status: str) -> None:
    given = Given("first", make_execution(status, "first"))
    assert Turn(LockDecision.QUEUED, "first") == given.control.take_lock(make_run())
    assert ("first", [SYNC_ID]) == (given.holder, given.waiting)


@pytest.mark.rule(7)
@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "SUCCEEDED"])
def test_a_dead_holder_loses_the_lock_and_its_late_writes_are_waited_for(status: str) -> None:
    given = Given("dead", make_execution(status)).queues("waits")
    assert Turn(LockDecision.TAKEN, SYNC_ID, QUIET) == given.control.take_lock(make_run())
    assert (SYNC_ID, QUIET_UNTIL.isoformat()) == (given.holder, given.lock.item["quiet_until"])
    assert [SYNC_ID, "waits"] == given.waiting


@pytest.mark.parametrize(("status", "error"), [("FAILED", "Lambda.Unknown"), ("TIMED_OUT", None)])
def test_how_a_dead_holder_ended_is_noted_in_its_item(status: str, error: str | None) -> None:
    given = Given("dead", make_execution(status, error=error))
    given.control.take_lock(make_run())
    assert ("failure", error or status, NOW.isoformat()) == tuple(
        given.dead[name] for name in ("status", "error", "ended_at")
    )


def test_the_outcome_that_a_dead_holder_recorded_itself_stays() -> None:
    given = Given("dead", make_execution()).had_run(status="success", ended_at="then")
    given.control.take_lock(make_run())
    assert ("success", "then") == (given.dead["status"], given.dead["ended_at"])


@pytest.mark.rule(7)
@pytest.mark.parametrize("minutes", [0, 59])
def test_a_holder_that_is_not_known_yet_is_alive(minutes: int) -> None:
    given = Given("first", since=(NOW - timedelta(minutes=minutes)).isoformat())
    assert Turn(LockDecision.QUEUED, "first") == given.control.take_lock(make_run())
    assert "first" == given.holder


@pytest.mark.parametrize(
    "item", [{"since": (NOW - timedelta(hours=1)).isoformat()}, {"since": "then"}, {}]
)
def test_a_holder_that_is_not_known_for_an_hour_is_dead(item: dict[str, str]) -> None:
    given = Given("dead", **item)
    assert Turn(LockDecision.TAKEN, SYNC_ID, QUIET) == given.control.take_lock(make_run())


@pytest.mark.parametrize(
    ("status", "item", "waiting"),
    [
        ("ABORTED", {"taken": ["dead", "taken"]}, ["behind"]),
        # An undo was before its own request.
        ("ABORTED", {"taken": ["taken"]}, ["behind"]),
        # Aborted before its plan, it had taken its own request.
        ("ABORTED", None, ["behind", "taken"]),
        # Aborted after it recorded its end, it has nothing to drop.
        ("ABORTED", {"taken": ["taken"], "ended_at": "then"}, ["behind", "dead", "taken"]),
        ("FAILED", {"taken": ["dead", "taken"]}, ["behind", "dead", "taken"]),
    ],
)
def test_what_an_aborted_holder_had_taken_is_dropped_and_the_rest_is_kept(
    status: str, item: dict[str, Any] | None, waiting: list[str]
) -> None:
    given = Given("dead", make_execution(status)).queues("dead", "taken", "behind")
    if item:
        given.had_run(**item)
    given.control.take_lock(make_run())
    assert sorted([SYNC_ID, *waiting]) == given.waiting


def test_the_end_of_a_dead_run_is_noted_in_the_item_that_it_began() -> None:
    """Step Functions and the machine may write the same time differently."""
    given = Given("dead", replace(make_execution(), started_at="2026-01-05T09:50:00Z"))
    given.had_run(taken=[])
    given.control.take_lock(make_recovery_run())
    assert "failure" == given.dead["status"]


def test_repeating_an_attempt_whose_answer_was_lost_changes_nothing() -> None:
    given = Given("dead", make_execution()).queues("waits")
    first = given.control.take_lock(make_run())
    state = (dict(given.lock.item), dict(given.lock.requests), given.dead)
    assert first == given.control.take_lock(make_run())
    assert state == (given.lock.item, given.lock.requests, given.dead)


def test_a_lock_that_keeps_changing_is_a_passing_failure() -> None:
    given = Given(None, make_execution("FAILED", "other"))

    def steal(operation: str) -> None:
        if operation == "take":
            given.lock.item["holder"] = "other"

    given.lock.before = steal
    with pytest.raises(ServiceUnavailableError, match=r"^take the lock: it kept changing$"):
        given.control.take_lock(make_run())


def test_a_request_that_another_run_did_meanwhile_leaves_nothing_to_do() -> None:
    given = Given()

    def do_it() -> None:
        given.lock.requests.clear()

    given.lock.before = at_operation(2, do_it)
    assert Turn(LockDecision.NOTHING_TO_DO) == given.control.take_lock(make_run())


def continuation() -> Any:
    return make_run("next", trigger=make_trigger("continuation"))


def test_a_continuation_does_what_is_queued_and_brings_no_request() -> None:
    given = Given().queues("waits")
    assert Turn(LockDecision.TAKEN, "next") == given.control.take_lock(continuation())
    assert ["waits"] == given.waiting


@pytest.mark.rule(7)
def test_a_continuation_with_nothing_queued_has_nothing_to_do() -> None:
    given = Given()
    assert Turn(LockDecision.NOTHING_TO_DO) == given.control.take_lock(continuation())
    assert given.holder is None


def test_a_continuation_frees_a_dead_holders_lock_also_with_nothing_to_do() -> None:
    given = Given("dead", make_execution())
    assert Turn(LockDecision.NOTHING_TO_DO) == given.control.take_lock(continuation())
    assert {"quiet_until": QUIET_UNTIL.isoformat()} == given.lock.item


def test_what_version_1_queued_is_something_to_do() -> None:
    given = Given(pending={"account_ids": [OTHER]})
    assert LockDecision.TAKEN is given.control.take_lock(continuation()).decision


# Settling before the plan


@pytest.mark.rule(9)
@pytest.mark.parametrize(("age", "seconds"), [(0, 30), (10, 20), (29.5, 1), (30, 0), (300, 0)])
def test_the_plan_waits_until_the_newest_change_is_30_seconds_old(age: float, seconds: int) -> None:
    given = Given()
    given.lock.add("old", CHANGE, queued_at=NOW - timedelta(minutes=5))
    given.lock.add("new", CHANGE, queued_at=NOW - timedelta(seconds=age))
    assert seconds == given.control.take_lock(make_run()).settle_seconds


@pytest.mark.rule(7)
@pytest.mark.parametrize(("left", "seconds"), [(-1, 0), (0.2, 1), (60, 60), (10_000, QUIET)])
def test_the_plan_waits_for_writes_in_flight_and_never_longer_than_they_last(
    left: float, seconds: int
) -> None:
    given = Given(quiet_until=(NOW + timedelta(seconds=left)).isoformat())
    assert seconds == given.control.take_lock(make_run()).settle_seconds


# Recovering


def test_a_recovery_takes_the_dead_runs_lock_and_asks_for_everything() -> None:
    given = Given("dead", make_execution(error="Lambda.Unknown")).queues("dead", "behind")
    turn = given.control.take_lock(make_recovery_run())
    assert Turn(LockDecision.TAKEN, "recovery-1", QUIET) == turn
    assert ["behind", "dead", "recovery-1"] == given.waiting
    assert RunRequest(reasons=["recovery of dead"]) == given.lock.requests["recovery-1"].request


@pytest.mark.rule(7)
def test_a_recovery_asks_for_everything_also_where_the_dead_run_never_came_to_its_request() -> None:
    given = Given(None, make_execution())
    assert LockDecision.TAKEN is given.control.take_lock(make_recovery_run()).decision
    assert ["recovery-1"] == given.waiting


@pytest.mark.rule(7)
def test_the_recovery_of_a_change_reads_the_source_as_after_a_change() -> None:
    """It may be read stale; without a second look, the stale contact would stay for a day."""
    changed = {"trigger": make_trigger("contact_changed", hop=2)}
    given = Given(None, make_execution(execution_input=changed))
    given.control.take_lock(make_recovery_run())
    asked = given.lock.requests["recovery-1"].request
    assert (True, 2, None, None) == (
        asked.is_change,
        asked.hop,
        asked.account_ids,
        asked.contact_types,
    )


@pytest.mark.parametrize(("minutes", "is_change"), [(-1, False), (0, False), (1, True)])
def test_a_recovery_does_not_check_a_source_that_has_settled(
    minutes: int, *, is_change: bool
) -> None:
    """A check that fails for good would be told twice."""
    changed = {"trigger": make_trigger("contact_changed")}
    check_at = (NOW + timedelta(minutes=minutes)).isoformat()
    given = Given(None, make_execution(execution_input=changed))
    given.had_run(planned_at=EARLIER, check_source_at=check_at)
    given.control.take_lock(make_recovery_run())
    assert is_change is given.lock.requests["recovery-1"].request.is_change


def test_a_recovery_insists_on_the_account_that_joined() -> None:
    """A full run skips it without a word if it is not ready; no other run is to come."""
    joined = {"trigger": make_trigger("account_joined", account_id=MEMBER)}
    given = Given(None, make_execution(execution_input=joined))
    given.control.take_lock(make_recovery_run())
    assert [MEMBER] == given.lock.requests["recovery-1"].request.insisted


def test_a_recovery_waits_behind_another_holder() -> None:
    given = Given("other", make_execution(), make_execution("RUNNING", "other"))
    assert Turn(LockDecision.QUEUED, "other") == given.control.take_lock(make_recovery_run())
    assert ("other", ["recovery-1"]) == (given.holder, given.waiting)


@pytest.mark.rule(7)
@pytest.mark.parametrize("waiting", [[], ["behind"]])
def test_a_run_that_ended_with_a_named_error_is_not_repeated(waiting: list[str]) -> None:
    given = Given("dead", make_execution(error="InvalidConfigError")).queues(*waiting)
    decision = given.control.take_lock(make_recovery_run()).decision
    assert (LockDecision.TAKEN if waiting else LockDecision.NOTHING_TO_DO) is decision
    assert waiting == given.waiting
    assert given.holder != "dead"


@pytest.mark.rule(7)
@pytest.mark.parametrize("described", ["ABORTED", "RUNNING"])
def test_abort_means_stop_for_what_the_run_had_taken_alone(described: str) -> None:
    given = Given("dead", make_execution(described)).queues("dead", "taken", "behind")
    given.had_run(taken=["dead", "taken"])
    recovery = make_recovery_run(status="ABORTED")
    assert Turn(LockDecision.TAKEN, "recovery-1", QUIET) == given.control.take_lock(recovery)
    assert ["behind"] == given.waiting
    assert "aborted" == given.dead["status"]


@pytest.mark.rule(7)
@pytest.mark.parametrize("described", ["FAILED", "RUNNING"])
def test_a_dead_dry_run_never_leads_to_a_real_run(described: str) -> None:
    dead = make_execution(described, execution_input={"dry_run": True})
    given = Given(None, dead)
    assert Turn(LockDecision.NOTHING_TO_DO) == given.control.take_lock(make_recovery_run())
    assert [] == given.waiting


def test_an_input_that_is_no_object_is_no_dry_run() -> None:
    given = Given(None, make_execution(execution_input=["dry_run"]))
    assert LockDecision.TAKEN is given.control.take_lock(make_recovery_run()).decision


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT"])
@pytest.mark.parametrize("described", ["RUNNING", "PENDING_REDRIVE"])
def test_the_event_is_believed_where_the_answer_still_shows_a_living_run(
    status: str, described: str
) -> None:
    given = Given("dead", make_execution(described))
    turn = given.control.take_lock(make_recovery_run(status=status))
    assert (LockDecision.TAKEN, "recovery-1") == (turn.decision, given.holder)
    assert ("failure", status) == (given.dead["status"], given.dead["error"])


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_run_that_was_redriven_after_its_end_is_alive(seconds: int) -> None:
    dead = make_execution("RUNNING", redriven_at=NOW + timedelta(seconds=seconds))
    given = Given("dead", dead)
    recovery = make_recovery_run(event_time=NOW.isoformat())
    assert Turn(LockDecision.QUEUED, "dead") == given.control.take_lock(recovery)
    assert ("dead", [], {}) == (given.holder, given.waiting, given.dead)


def test_a_run_that_was_redriven_and_succeeded_is_not_recovered() -> None:
    """A full run would overwrite what an undo has put back since."""
    given = Given(None, make_execution("SUCCEEDED"))
    assert Turn(LockDecision.NOTHING_TO_DO) == given.control.take_lock(make_recovery_run())


def test_a_run_that_was_redriven_before_it_ended_again_is_dead() -> None:
    dead = make_execution("RUNNING", redriven_at=NOW - timedelta(seconds=1))
    given = Given("dead", dead)
    given.control.take_lock(make_recovery_run(event_time=NOW.isoformat()))
    assert "recovery-1" == given.holder


def test_a_dead_run_that_is_not_known_yet_is_asked_for_again() -> None:
    given = Given("dead", since=NOW.isoformat()).queues("dead")
    with pytest.raises(ServiceUnavailableError, match="execution dead: not found yet"):
        given.control.take_lock(make_recovery_run())
    assert ("dead", ["dead"]) == (given.holder, given.waiting)


def test_repeating_a_recovery_changes_nothing() -> None:
    given = Given("dead", make_execution("ABORTED")).queues("dead", "behind")
    recovery = make_recovery_run(status="ABORTED")
    first = given.control.take_lock(recovery)
    state = (dict(given.lock.item), given.waiting, given.dead)
    assert first == given.control.take_lock(recovery)
    assert state == (given.lock.item, given.waiting, given.dead)


# Releasing the lock


@pytest.mark.parametrize("waiting", [[], ["waits"]])
def test_the_lock_is_freed_and_what_waits_is_counted(waiting: list[str]) -> None:
    given = Given(SYNC_ID, since=NOW.isoformat()).queues(*waiting)
    assert bool(waiting) is given.control.release_lock(make_run(), map_failed=False)
    assert {} == given.lock.item


def test_what_version_1_queued_waits_too() -> None:
    given = Given(SYNC_ID, pending={})
    assert given.control.release_lock(make_run(), map_failed=False)


@pytest.mark.rule(7)
def test_children_of_a_map_that_failed_are_waited_for() -> None:
    given = Given(SYNC_ID).queues("waits")
    given.control.release_lock(make_run(), map_failed=True)
    assert {"quiet_until": QUIET_UNTIL.isoformat()} == given.lock.item


def test_another_executions_lock_is_not_freed_and_it_does_what_waits() -> None:
    given = Given("other").queues("waits")
    assert not given.control.release_lock(make_run(), map_failed=True)
    assert {"holder": "other"} == given.lock.item


def test_repeating_a_release_counts_again_what_waits() -> None:
    given = Given(SYNC_ID).queues("waits")
    assert given.control.release_lock(make_run(), map_failed=True)
    item = dict(given.lock.item)
    assert given.control.release_lock(make_run(), map_failed=True)
    assert item == given.lock.item


# A request never falls between a run that ends and an execution that asks


@pytest.mark.rule(7)
@pytest.mark.parametrize("number", [1, 2])
def test_a_run_that_ends_while_another_asks_does_not_miss_its_request(number: int) -> None:
    given = Given("first", make_execution("RUNNING", "first"))
    starts_next: list[bool] = []

    def end() -> None:
        starts_next.append(given.control.release_lock(make_run("first"), map_failed=False))

    given.lock.before = at_operation(number, end)
    turn = given.control.take_lock(make_run())
    assert starts_next == [True] or turn.decision is LockDecision.TAKEN


@pytest.mark.rule(7)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_request_made_while_a_run_ends_is_not_missed(number: int) -> None:
    given = Given("first", make_execution("RUNNING", "first"))
    turns: list[Turn] = []

    def ask() -> None:
        turns.append(given.control.take_lock(make_run()))

    given.lock.before = at_operation(number, ask)
    starts_next = given.control.release_lock(make_run("first"), map_failed=False)
    assert starts_next or [LockDecision.TAKEN] == [turn.decision for turn in turns]


# Retrying what failed in a run


def retried(given: Given, **execution_input: Any) -> RunRequest | None:
    return given.control.request_of(make_run("retry", retry_of="run-0", **execution_input))


def ended(given: Given, *failed: str, **item: Any) -> Given:
    given.runs.failed["run-0"] = list(failed)
    return given.had_run("run-0", **{"status": "partial", "ended_at": "then", **item})


def test_a_retry_asks_for_the_accounts_that_failed() -> None:
    given = ended(Given(), MEMBER, THIRD, request={"contact_types": ["billing"]})
    expected = RunRequest(account_ids=[MEMBER, THIRD], reasons=["again"])
    assert expected == retried(given, reason="again")


def test_a_retry_of_very_many_failed_accounts_asks_for_every_account() -> None:
    ids = [str(100_000_000_000 + n) for n in range(5_001)]
    assert ids[1:] == getattr(retried(ended(Given(), *ids[1:])), "account_ids", None)
    assert RunRequest() == retried(ended(Given(), *ids))


@pytest.mark.rule(15)
def test_a_retry_of_a_run_without_failures_is_refused_and_never_means_everyone() -> None:
    with pytest.raises(InvalidRequestError, match="no account failed in run run-0"):
        retried(ended(Given(), status="success"))


def test_a_retry_of_a_run_that_failed_after_its_record_asks_for_the_same() -> None:
    given = Given(None, make_execution("FAILED", "run-0", error="SourceNotSettledError"))
    item = {"status": "success", "request": {"contact_types": ["billing"]}}
    expected = RunRequest(contact_types=[ContactType.BILLING], reasons=["again"])
    assert expected == retried(ended(given, **item), reason="again")


def test_a_retry_waits_until_the_index_shows_every_account_that_failed() -> None:
    with pytest.raises(ServiceUnavailableError, match="1 of 2 failed accounts"):
        retried(ended(Given(), MEMBER, failed=2))


def test_a_retry_of_an_unknown_run_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="run run-0 not found"):
        retried(Given())


@pytest.mark.parametrize("item", [None, {"taken": ["run-0"], "request": {}}])
def test_a_retry_of_a_run_that_is_under_way_is_refused(item: dict[str, Any] | None) -> None:
    given = Given("run-0", make_execution("RUNNING", "run-0"))
    if item is not None:
        given.had_run("run-0", **item)
    with pytest.raises(InvalidRequestError, match="run run-0 is still running"):
        retried(given)


def test_a_run_that_recorded_its_end_and_still_watches_the_source_can_be_retried() -> None:
    given = Given(None, make_execution("RUNNING", "run-0"))
    assert RunRequest(account_ids=[MEMBER]) == retried(ended(given, MEMBER))


@pytest.mark.parametrize("outcome", [{}, {"status": "failure", "ended_at": "then"}])
def test_a_run_that_recorded_no_account_is_asked_for_again(outcome: dict[str, str]) -> None:
    given = Given(None, make_execution("FAILED", "run-0"))
    given.had_run("run-0", request={"account_ids": [OTHER], "reasons": ["then"]}, **outcome)
    assert RunRequest(account_ids=[OTHER]) == retried(given)


def test_a_run_that_ended_before_it_noted_its_request_is_asked_for_again() -> None:
    given = Given(None, make_execution("FAILED", "run-0", {"account_ids": [OTHER]}))
    assert RunRequest(account_ids=[OTHER]) == retried(given)


def test_a_retry_of_a_queued_execution_asks_for_the_same_again() -> None:
    given = Given(None, make_execution("SUCCEEDED", "run-0", {"contact_types": ["billing"]}))
    given.had_run("run-0", done_by="run-9")
    assert RunRequest(contact_types=[ContactType.BILLING]) == retried(given)


@pytest.mark.parametrize(
    ("refused", "fault"),
    [({"accounts": [OTHER]}, "accounts: unknown"), ({"account_ids": [MANAGEMENT]}, "account_ids")],
)
def test_a_retry_of_a_refused_input_is_refused_and_never_means_everyone(
    refused: dict[str, Any], fault: str
) -> None:
    given = Given(None, make_execution("FAILED", "run-0", refused))
    given.had_run("run-0", status="failure", ended_at="then")
    with pytest.raises(InvalidRequestError, match=f"run run-0: execution input: {fault}"):
        retried(given)


@pytest.mark.rule(15)
def test_a_wrong_retry_is_not_queued() -> None:
    given = Given()
    with pytest.raises(InvalidRequestError):
        given.control.take_lock(make_run(retry_of="run-0"))
    assert (None, []) == (given.holder, given.waiting)


@pytest.mark.parametrize(("source", "expected"), [("continuation", []), ("recovery", ["run-2"])])
def test_what_a_dead_run_without_a_request_had_to_do(source: str, expected: list[str]) -> None:
    """What a continuation had to do is still queued; a recovery's own request may not be."""
    dead = make_execution("FAILED", "run-0", execution_input={"trigger": _trigger(source)})
    given = Given(None, dead, make_execution("FAILED"))
    given.control.take_lock(make_run("run-2", retry_of="run-0"))
    assert expected == given.waiting


def _trigger(source: str) -> dict[str, Any]:
    return make_trigger(source, execution_arn="x:dead")


@pytest.mark.parametrize("retry_of", ["run-1", "run-2"])
def test_runs_that_retry_each_other_are_refused(retry_of: str) -> None:
    first = make_execution("FAILED", "run-1", execution_input={"retry_of": retry_of})
    second = make_execution("FAILED", "run-2", execution_input={"retry_of": "run-1"})
    with pytest.raises(InvalidRequestError, match="run-1 retries itself"):
        Given(None, first, second).control.request_of(make_run("run-3", retry_of="run-1"))


@pytest.mark.parametrize("item", [{}, {"dry_run": True}])
def test_a_dry_run_is_retried_dry_alone(item: dict[str, Any]) -> None:
    dry = make_execution("FAILED", "run-1", execution_input={} if item else {"dry_run": True})
    given = Given(None, dry).had_run("run-1", **item)
    with pytest.raises(InvalidRequestError, match="was a dry run: add dry_run"):
        given.control.request_of(make_run("run-2", retry_of="run-1"))
    assert RunRequest() == given.control.request_of(
        make_run("run-2", retry_of="run-1", dry_run=True)
    )


def test_a_dead_retry_of_itself_is_no_request() -> None:
    given = Given("dead", make_execution(execution_input={"retry_of": "dead"}))
    given.control.take_lock(make_recovery_run())
    assert [] == given.waiting


def test_a_dead_continuation_asks_for_nothing() -> None:
    dead = make_execution(execution_input={"trigger": _trigger("continuation")})
    given = Given("dead", dead).queues("undo")
    given.control.take_lock(make_recovery_run())
    assert ["undo"] == given.waiting


# An undo


UNDO = RunRequest(undo="run-0", account_ids=[MEMBER])


def test_an_undo_is_checked_and_queued() -> None:
    given = Given().had_run("run-0", ended_at=EARLIER)
    given.control.take_lock(make_run(undo="run-0", account_ids=[MEMBER]))
    assert "run-0" == given.lock.requests[SYNC_ID].request.undo
    with pytest.raises(InvalidRequestError, match="run run-9 not found"):
        given.control.take_lock(make_run(undo="run-9"))


def test_of_an_undo_only_what_failed_is_put_back_again() -> None:
    undo = RunRequest(
        undo="run-0", contact_types=[ContactType.BILLING], organizational_units=["ou-ab12-34cd56ef"]
    )
    given = Given(None, make_execution(name="run-2")).had_run("run-2", request=undo.stored())
    given.runs.failed["run-2"] = [OTHER]
    asked = given.control.request_of(make_run(retry_of="run-2"))
    expected = RunRequest(undo="run-0", account_ids=[OTHER], contact_types=[ContactType.BILLING])
    assert expected == asked


def test_an_undo_that_failed_almost_everywhere_is_repeated_as_it_was() -> None:
    given = Given(None, make_execution(name="run-2")).had_run("run-2", request=UNDO.stored())
    given.runs.failed["run-2"] = [str(n) for n in range(5_001)]
    asked = given.control.request_of(make_run(retry_of="run-2"))
    assert UNDO == asked


def test_after_a_dead_undo_not_every_account_is_synced() -> None:
    """That would overwrite what it put back; it is still queued."""
    given = Given("dead", make_execution("TIMED_OUT")).queues("undo")
    given.had_run(planned_at=EARLIER, request=UNDO.stored())
    turn = given.control.take_lock(make_recovery_run(status="TIMED_OUT"))
    assert LockDecision.TAKEN is turn.decision
    assert ["undo"] == given.waiting


def test_an_undo_names_the_dead_run_that_it_continues() -> None:
    given = Given("dead", make_execution("TIMED_OUT"))
    given.lock.add("asked", UNDO)
    given.had_run(planned_at=EARLIER, request=UNDO.stored(), taken=["asked"])
    given.control.take_lock(make_recovery_run(status="TIMED_OUT"))
    assert ["dead"] == given.lock.requests["asked"].request.continues


@pytest.mark.parametrize(
    ("queued", "item", "execution_input", "waiting"),
    [
        ([], {}, {"undo": "run-0"}, ["recovery-1"]),
        (["dead"], {}, {"undo": "run-0"}, ["dead"]),
        ([], {"planned_at": EARLIER}, {"undo": "run-0"}, []),
        ([], {}, {"undo": "run-0", "retry_of": "x"}, []),
    ],
)
def test_an_undo_that_died_before_it_was_queued_is_queued_by_its_recovery(
    queued: list[str], item: dict[str, Any], execution_input: Any, waiting: list[str]
) -> None:
    dead = make_execution("FAILED", execution_input=execution_input)
    given = Given("dead", dead).queues(*queued)
    if item:
        given.had_run(**item)
    given.control.take_lock(make_recovery_run())
    assert waiting == given.waiting
    if waiting == ["recovery-1"]:
        assert "run-0" == given.lock.requests["recovery-1"].request.undo


def test_a_recovery_names_the_run_that_it_goes_on_with() -> None:
    given = Given("dead", make_execution()).had_run(planned_at=EARLIER)
    given.control.take_lock(make_recovery_run())
    assert ["dead"] == given.lock.requests["recovery-1"].request.continues
