"""The end of a run: counted, recorded, handed on, and said in words."""

import json
from datetime import timedelta
from typing import Any

import pytest
from contact_sync.accounts import ListedAccount
from contact_sync.contact_sets import same_for_all
from contact_sync.contacts import ContactType
from contact_sync.errors import LockLostError, ServiceUnavailableError
from contact_sync.request import RunRequest
from support import emf
from support.builders import (
    EARLIER,
    LATER_PLAN,
    MEMBER,
    NOW,
    OTHER,
    PLANNED_AT,
    STARTED_AT,
    SYNC_ID,
    THIRD,
    UNIT,
    make_failure,
    make_listed,
    make_plan,
    make_run_ended,
    make_trigger,
)
from support.clock import stop_clock
from support.fakes import FakeAccountItems, FakeBucket, FakeLock, FakeRuns
from sync_reporter import reporter
from sync_reporter.reporter import MAX_CAUSE_CHARACTERS, Reporter, RunEnd

PREFIX = f"runs/{SYNC_ID}/{PLANNED_AT}"
KEPT = [f"{PREFIX}/manifest.json", f"{PREFIX}/sets.json"]
SOURCE = {"billing": "1:billing", "security": "1:security"}
HELD = {"billing": "1:earlier", "security": "1:earlier", "configuration": "earlier"}
NOTIFICATION = make_plan()["notification"]
SILENT = {**dict.fromkeys(NOTIFICATION, False), "failure_threshold": 1}
PLAN_ERROR = {"plan": None, "listed": None, "digits": []}


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clock(monkeypatch, reporter, at=NOW + timedelta(minutes=2))


def record(status: str = "unchanged", **changes: Any) -> dict[str, Any]:
    return {"status": status, "sync_id": SYNC_ID, "planned_at": PLANNED_AT, **changes}


def failed(error: str = "ThrottledError", **changes: Any) -> dict[str, Any]:
    return record("failed", error=error, **changes)


def every(number: int, item: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"_{n}": item for n in range(number)}


class Given:
    """A run that holds the lock and has planned, its accounts and objects, and the reporter."""

    def __init__(self, request: RunRequest | None = None, **items: dict[str, Any]) -> None:
        """Take account items by `_<account id>`."""
        self.accounts = {name.removeprefix("_"): item for name, item in items.items()}
        self.states = FakeAccountItems(self.accounts)
        self.lock = FakeLock(SYNC_ID, planned_at=PLANNED_AT, held=dict(HELD))
        self.lock.add(SYNC_ID, request, started_at=STARTED_AT)
        self.runs = FakeRuns()
        self.noted(
            planned_at=PLANNED_AT,
            taken=[SYNC_ID],
            taken_started_at=[STARTED_AT],
            request=(request or RunRequest()).stored(),
            contact_types=["billing"],
            source=dict(SOURCE),
            configuration="present",
        )
        self.bucket = FakeBucket(
            {
                f"{PREFIX}/manifest.json": [ListedAccount(one) for one in self.accounts],
                f"{PREFIX}/sets.json": [same_for_all([ContactType.BILLING])],
                f"{PREFIX}/source.json": "source",
                f"{PREFIX}/scope.json": "scope",
            }
        )
        self.reporter = Reporter(self.states, self.runs, self.lock, self.bucket)  # type: ignore[arg-type]

    def noted(self, **values: Any) -> "Given":
        self.runs.update(STARTED_AT, SYNC_ID, values)
        return self

    def took(self, name: str, started_at: str = EARLIER) -> "Given":
        self.lock.add(name, started_at=started_at)
        taken = [*self.run["taken"], name]
        return self.noted(taken=taken, taken_started_at=[*self.run["taken_started_at"], started_at])

    def ends(self, **changes: Any) -> dict[str, Any]:
        """Let the run end; `error` is a name, `plan` changes of the plan."""
        event = make_run_ended(digits=[0] * len(self.accounts))
        event |= changes
        if changes.get("plan"):
            event["plan"] = make_plan(**changes["plan"])
            types = [ContactType(name) for name in event["plan"]["contact_types"]]
            self.bucket.objects[KEPT[1]] = event.pop("sets", [same_for_all(types)])
        if isinstance(changes.get("error"), str):
            event["error"] = {"name": changes["error"], "cause": changes.get("cause", "why")}
        links = {"Execution": "https://example.com/1"}
        return self.reporter.record(RunEnd.from_event(event), "test", links)

    @property
    def run(self) -> dict[str, Any]:
        return self.runs.read(STARTED_AT, SYNC_ID)

    @property
    def held(self) -> dict[str, str]:
        held: dict[str, str] = self.lock.item["held"]
        return held

    @property
    def state(self) -> str:
        """What the run leaves behind but for its accounts' items."""
        left = (self.runs.items, self.lock.item, self.lock.requests, self.bucket.objects)
        return repr(left)


def how(answer: dict[str, Any]) -> tuple[Any, ...]:
    return answer["status"], answer["error"], answer["notify"]


# Counting and recording


def test_a_run_that_went_well_is_a_success_and_quiet() -> None:
    given = Given(_1={"billing": record("updated")}, _2={"billing": record()})
    answer = given.ends()
    message = answer.pop("message")
    assert answer == {
        "status": "success",
        "error": None,
        "cause": "",
        "notify": False,
        "subject": "[test] contact sync success: 1 updated, 1 unchanged",
        "may_continue": True,
        "check_source_in": None,
    }
    assert "\n  billing: 1 updated, 1 unchanged\n" in message
    assert message.endswith("\n\nExecution: https://example.com/1\n")


def test_the_end_is_recorded_in_the_runs_item() -> None:
    given = Given(_1={"billing": record("updated")}, _2={"billing": failed()})
    given.noted(warnings=["one"], trigger={"source": "schedule"})
    given.ends(
        listed=make_listed(2, skipped={"SUSPENDED": 3}, warnings=["two"]),
        plan={"notification": {**NOTIFICATION, "failure_threshold": 2}},
    )
    cause = given.run["cause"]
    assert cause.startswith("billing failed in 1 of 2 accounts (ThrottledError).")
    expected = {
        "dry_run": False,
        "trigger": {"source": "schedule"},
        "status": "partial",
        "error": None,
        "cause": cause,
        "warnings": ["one", "two"],
        "accounts": {"updated": 1, "failed": 1},
        "types": {"billing": {"updated": 1, "failed": 1}},
        "skipped": {"SUSPENDED": 3},
        "named_skips": {},
        "failed": 1,
        "failures": [make_failure("2")],
        "seconds": 115,
        "estimated_seconds": 60,
        "lost_children": 0,
        "superseded_by": None,
        "ended_at": "2026-01-05T10:02:00+00:00",
    }
    assert expected == {name: given.run[name] for name in expected}


def test_changed_and_failed_accounts_get_an_item_of_the_run() -> None:
    given = Given(
        _1={"billing": record("updated")}, _2={"billing": record()}, _3={"billing": failed()}
    )
    given.ends()
    assert ["1", "3"] == [item["pk"].removeprefix("ACCOUNT#") for item in given.states.written]
    assert given.states.written[1] == {
        "pk": "ACCOUNT#3",
        "sk": f"RUN#{STARTED_AT}#{SYNC_ID}",
        "gsi1pk": f"RUN#{SYNC_ID}",
        "gsi1sk": "failed#3",
        "billing": failed(),
        "planned_at": PLANNED_AT,
        "dry_run": False,
        "status": "failed",
        "statuses": {"billing": "failed"},
        "errors": {"billing": "ThrottledError"},
        "expires_at": 1802167200,
    }


def test_an_account_in_the_run_holds_only_what_was_recorded_in_the_run() -> None:
    item = {"billing": record("updated"), "security": record(planned_at=EARLIER), "at": "then"}
    given = Given(_1=item)
    given.ends(plan={"contact_types": ["billing", "security"]})
    (written,) = given.states.written
    assert record("updated") == written["billing"]
    assert [] == [name for name in ("security", "at") if name in written]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_run_reads_the_items_of_its_own_kind(*, dry_run: bool) -> None:
    given = Given(_1={"billing": record()})
    given.ends(input={"dry_run": dry_run}, may_hold_lock=not dry_run)
    assert [(SYNC_ID, STARTED_AT, dry_run)] == given.states.asked


def test_accounts_skipped_before_and_during_the_run_add_up() -> None:
    given = Given(_1={"billing": record("skipped", error="CLOSED")})
    given.ends(
        listed=make_listed(skipped={"CLOSED": 2, "excluded": 1}, named_skips={"9": "CLOSED"})
    )
    assert {"CLOSED": 3, "excluded": 1} == given.run["skipped"]
    assert {"9": "CLOSED", "1": "CLOSED"} == given.run["named_skips"]


def test_accounts_in_an_unknown_state_end_no_run_green() -> None:
    answer = Given().ends(listed=make_listed(0, unknown_states={"HIBERNATED": 5}))
    assert ("partial", "UnknownAccountStateError", True) == how(answer)


def test_the_threshold_of_the_configuration_counts() -> None:
    given = Given(_1={"billing": failed()}, _2={"billing": record()})
    answer = given.ends(plan={"notification": {**NOTIFICATION, "failure_threshold": 2}})
    assert ("partial", None, True) == how(answer)


@pytest.mark.parametrize(
    ("digits", "lost"),
    [([0, 1, 2, 3], 0), ([0, {"Error": "States.Timeout"}, 4, None], 2), ([0], 3), ([], 4)],
)
def test_children_without_a_result_are_counted(digits: list[Any], lost: int) -> None:
    given = Given(**every(4, {"billing": record()}))
    given.ends(digits=digits)
    assert lost == given.run["lost_children"]


def test_the_message_repeats_the_reasons_that_people_gave() -> None:
    given = Given(RunRequest(reasons=["moved", "again"]), _1={"billing": record()})
    assert "\nReason: moved\nReason: again\n" in given.ends()["message"]


def test_a_map_that_ended_with_an_error_does_not_mean_that_its_children_did() -> None:
    given = Given(_1={"billing": record("updated")}, _2={})
    answer = given.ends(digits=[], error="States.ExceedToleratedFailureThreshold")
    assert ("failure", "States.ExceedToleratedFailureThreshold", True) == how(answer)
    assert ({"updated": 1, "failed": 1}, 0) == (given.run["accounts"], given.run["lost_children"])


@pytest.mark.parametrize(("listed", "most"), [(make_listed(3), 2), (None, None)])
def test_the_most_that_a_run_may_take_follows_from_its_accounts(
    listed: dict[str, Any] | None, most: int | None
) -> None:
    given = Given().noted(milliseconds_per_account={"least": 300, "expected": 300, "most": 600})
    given.ends(listed=listed, error=None if listed else "InvalidConfigError")
    assert most == given.run["most_seconds"]


@pytest.mark.rule(12)
def test_source_and_scope_are_deleted_and_the_rest_is_kept() -> None:
    given = Given()
    given.ends()
    assert KEPT == list(given.bucket.objects)


def test_a_run_that_had_nothing_to_sync_counts_nothing() -> None:
    given = Given()
    given.bucket.objects.clear()
    answer = given.ends(plan={"contact_types": []}, listed=None)
    assert "[test] contact sync success: nothing to do" == answer["subject"]


# Runs that ended with an error


def test_a_refused_input_is_recorded_and_published() -> None:
    given = Given()
    given.runs.items.clear()
    answer = given.ends(
        **PLAN_ERROR, may_hold_lock=False, input={"x": 1}, error="InvalidRequestError"
    )
    assert ("failure", "InvalidRequestError", True) == how(answer)
    assert (False, None) == (answer["may_continue"], answer["check_source_in"])
    assert ({"source": "unknown"}, SYNC_ID) == (given.run["trigger"], given.run["sync_id"])
    assert [SYNC_ID] == list(given.lock.requests)


def test_the_trigger_is_known_also_of_a_run_that_noted_none() -> None:
    given = Given()
    given.runs.items.clear()
    given.ends(**PLAN_ERROR, input={"trigger": make_trigger("schedule")}, error="Lambda.Unknown")
    assert "schedule" == given.run["trigger"]["source"]


@pytest.mark.rule(12)
@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (json.dumps({"errorMessage": "the message", "stackTrace": ["x"]}), "the message"),
        (json.dumps({"other": 1}), '{"other": 1}'),
        ("[1]", "[1]"),
        ("plain words", "plain words"),
        ("", ""),
        ("x" * 3000, "x" * MAX_CAUSE_CHARACTERS),
    ],
)
def test_the_cause_is_the_functions_message(cause: str, expected: str) -> None:
    answer = Given().ends(**PLAN_ERROR, error={"name": "SomeError", "cause": cause})
    assert expected == answer["cause"]


def test_an_error_without_a_cause_is_recorded_too() -> None:
    assert "" == Given().ends(**PLAN_ERROR, error={"name": "States.Timeout"})["cause"]


# What is published


@pytest.mark.parametrize("is_wanted", [True, False])
@pytest.mark.parametrize(
    ("setting", "statuses", "error"),
    [
        ("notify_on_success", ["updated"], None),
        ("notify_on_partial_failure", ["updated", "failed"], None),
        ("notify_on_failure", ["failed"], None),
        ("notify_on_failure", ["updated"], "States.Timeout"),
    ],
)
def test_each_outcome_is_published_as_configured(
    setting: str, statuses: list[str], error: str | None, *, is_wanted: bool
) -> None:
    given = Given(**{f"_{n}": {"billing": record(one)} for n, one in enumerate(statuses)})
    others = dict.fromkeys(NOTIFICATION, not is_wanted)
    settings = {**others, setting: is_wanted, "failure_threshold": 1}
    assert is_wanted is given.ends(plan={"notification": settings}, error=error)["notify"]


@pytest.mark.rule(16)
@pytest.mark.parametrize(
    ("error", "is_published"),
    [("InvalidConfigError", True), ("LockLostError", True), (None, False)],
)
def test_without_a_plan_every_failure_is_published(
    error: str | None, *, is_published: bool
) -> None:
    assert is_published is Given().ends(**PLAN_ERROR, error=error)["notify"]


def test_answer_and_items_hold_no_key_or_object_of_the_source() -> None:
    given = Given(_1={"billing": record("updated")})
    printed = json.dumps(given.ends())
    assert [] == [value for value in (*SOURCE.values(), "present") if value in printed]


# Dry runs


def test_a_dry_run_is_marked_names_what_would_change_and_touches_no_lock() -> None:
    given = Given(_1={"billing": record("updated")}, _2={"billing": record()})
    before = (dict(given.lock.item), list(given.lock.requests))
    answer = given.ends(
        input={"dry_run": True},
        may_hold_lock=False,
        plan={"notification": {**SILENT, "notify_on_success": True}},
    )
    assert ("success", None, True) == how(answer)
    assert "DRY RUN [test] contact sync success: 1 would change, 1 unchanged" == answer["subject"]
    assert "Accounts that would change:\n  1  billing\n" in answer["message"]
    assert (False, None) == (answer["may_continue"], answer["check_source_in"])
    assert before == (given.lock.item, list(given.lock.requests))
    assert [True] == [item["dry_run"] for item in given.states.written]


def test_a_dry_run_succeeds_whatever_it_finds() -> None:
    given = Given(**every(2, {"billing": failed()}))
    answer = given.ends(input={"dry_run": True}, may_hold_lock=False)
    assert ("partial", None) == (answer["status"], answer["error"])
    assert "--environment test --retry-of run-1 --dry-run\n" in answer["message"]


@pytest.mark.parametrize("execution_input", [[], {"dry_run": "yes"}, {}])
def test_an_input_that_is_no_dry_run_is_recorded_as_none(execution_input: Any) -> None:
    given = Given()
    given.ends(**PLAN_ERROR, input=execution_input, error="InvalidRequestError")
    assert given.run["dry_run"] is False


# What was tried everywhere


def test_a_run_over_every_account_holds_what_it_tried() -> None:
    given = Given(_1={"billing": record("updated")}, _2={"billing": failed()})
    given.ends(plan={"notification": {**NOTIFICATION, "failure_threshold": 9}})
    expected = {"billing": "1:billing", "security": "1:earlier", "configuration": "present"}
    assert expected == given.held


@pytest.mark.rule(9)
@pytest.mark.parametrize("billing", [{}, {"billing": record("skipped", error="just joined")}])
def test_a_type_that_was_not_tried_in_an_account_is_not_held(billing: dict[str, Any]) -> None:
    """Else a change of another contact would leave that account alone."""
    item = {"security": record()}
    given = Given(_1={**item, "billing": record()}, _2={**item, **billing})
    given.lock.item["held"] = {"configuration": "present", "billing": "1:billing"}
    given.ends(plan={"contact_types": ["billing", "security"]})
    assert {"security": "1:security", "configuration": "present"} == given.held


@pytest.mark.rule(9)
@pytest.mark.parametrize(
    ("request_", "changes"),
    [
        (RunRequest(account_ids=[MEMBER]), {}),
        (RunRequest(organizational_units=[UNIT]), {}),
        (None, {"error": "States.Timeout"}),
        (None, {"listed": None}),
        (None, PLAN_ERROR),
        (None, {"input": {"dry_run": True}, "may_hold_lock": False}),
    ],
)
def test_only_a_complete_run_over_every_account_holds_anything(
    request_: RunRequest | None, changes: dict[str, Any]
) -> None:
    given = Given(request_, _1={"billing": record("updated")})
    given.ends(**changes)
    assert HELD == given.held


# Contacts that differ by account


def test_each_account_is_counted_by_the_contacts_of_its_set() -> None:
    given = Given(
        _1={"billing": record("updated"), "security": record()},
        _2={"billing": record(), "security": record("updated")},
        _3={"billing": record()},
    )
    given.bucket.objects[KEPT[0]] = [ListedAccount(str(n + 1), n) for n in range(3)]
    sets = [("source", "source"), ("source", "payments"), ("source", "own")]
    answer = given.ends(
        plan={"contact_types": ["billing", "security"]},
        sets=[{ContactType.BILLING: one, ContactType.SECURITY: other} for one, other in sets],
    )
    assert {"updated": 2, "unchanged": 1} == given.run["accounts"]
    assert {"updated": 1, "unchanged": 1} == given.run["types"]["security"]
    expected = {"source": {"unchanged": 1}, "payments": {"updated": 1}, "own": {"own": 1}}
    assert {"security": expected} == given.run["sets"]
    assert (
        "  security: 1 updated, 1 unchanged\n"
        "    source: 1 unchanged\n"
        "    payments: 1 updated\n"
        "    own: 1 kept\n"
    ) in answer["message"]


@pytest.mark.rule(4)
@pytest.mark.parametrize(("why", "status"), [("missing", "success"), ("invalid", "partial")])
@pytest.mark.parametrize("unused", [[], ["security"]])
def test_a_left_out_contact_of_the_source_is_always_published_unless_nobody_gets_it(
    why: str, status: str, unused: list[str]
) -> None:
    given = Given(_1={"billing": record()})
    given.noted(left_out={"security": "so and so"}, **{why: ["security"]})
    answer = given.ends(listed=make_listed(unused=unused), plan={"notification": SILENT})
    expected = ("success", None, False) if unused else (status, None, True)
    assert expected == how(answer)
    assert bool(unused) is ("  security: left out, so and so\n" not in answer["message"])


@pytest.mark.rule(9)
def test_a_contact_of_the_source_that_was_left_out_is_not_held() -> None:
    given = Given(_1={"billing": record(), "security": record()})
    given.noted(left_out={"security": "not set"})
    given.lock.item["held"] = {}
    given.ends(plan={"contact_types": ["billing", "security"]})
    assert {"billing": "1:billing", "configuration": "present"} == given.held


# The requests that the run took


def test_taken_requests_are_removed_and_say_which_run_did_them() -> None:
    given = Given(_1={"billing": record()}).took("asked").took("changed")
    given.lock.add("since")
    answer = given.ends()
    assert (["since"], True) == (list(given.lock.requests), answer["may_continue"])
    assert [SYNC_ID, SYNC_ID] == [
        given.runs.read(EARLIER, name)["done_by"] for name in ("asked", "changed")
    ]
    assert "done_by" not in given.run


def test_an_unreadable_request_without_a_start_is_removed_too() -> None:
    given = Given().took("unreadable", started_at="")
    given.ends()
    assert ({}, [SYNC_ID]) == (
        given.lock.requests,
        [item["sync_id"] for item in given.runs.items.values()],
    )


@pytest.mark.parametrize("plan", [None, {}])
def test_requests_of_a_run_that_ended_with_an_error_are_reported_and_not_tried_again(
    plan: dict[str, Any] | None,
) -> None:
    given = Given(_1={}).took("asked")
    answer = given.ends(plan=plan, listed=None, error="InvalidConfigError")
    assert ({}, True) == (given.lock.requests, answer["may_continue"])
    assert "InvalidConfigError" in answer["message"]


@pytest.mark.rule(7)
def test_a_run_that_took_nothing_leaves_the_queue_as_it_is_and_starts_no_other() -> None:
    given = Given()
    given.runs.items.clear()
    answer = given.ends(**PLAN_ERROR, error="Lambda.Unknown")
    assert ([SYNC_ID], False) == (list(given.lock.requests), answer["may_continue"])


@pytest.mark.parametrize("changes", [{}, {**PLAN_ERROR, "error": "InvalidConfigError"}])
def test_what_version_1_queued_is_removed_with_the_others(changes: dict[str, Any]) -> None:
    given = Given(_1={"billing": record()})
    given.lock.item["pending"] = {}
    given.ends(**changes)
    assert not given.lock.has_queued()


def test_what_version_1_queued_stays_where_the_run_took_nothing() -> None:
    given = Given()
    given.runs.items.clear()
    given.lock.item["pending"] = {}
    given.ends(**PLAN_ERROR, error="Lambda.Unknown")
    assert "pending" in given.lock.item


@pytest.mark.parametrize(
    ("check_at", "seconds"),
    [(NOW + timedelta(minutes=5), 180), (NOW + timedelta(minutes=1), 0), (None, None)],
)
def test_the_source_is_checked_when_the_plan_said(check_at: Any, seconds: int | None) -> None:
    given = Given(_1={"billing": record()})
    given.noted(check_source_at=check_at.isoformat() if check_at else None)
    assert seconds == given.ends()["check_source_in"]


@pytest.mark.rule(9)
def test_the_source_is_checked_also_after_a_run_that_failed() -> None:
    given = Given().noted(check_source_at=(NOW + timedelta(minutes=5)).isoformat())
    assert 180 == given.ends(**PLAN_ERROR, error="InvalidSourceError")["check_source_in"]


# Runs that lost the lock


def lose(given: Given, **lock: Any) -> Given:
    given.lock.item = {"held": dict(HELD), **lock}
    return given.noted(check_source_at=NOW.isoformat())


@pytest.mark.parametrize(
    ("lock", "by"),
    [
        ({"holder": "other", "planned_at": LATER_PLAN}, "other"),
        ({"holder": "other", "planned_at": PLANNED_AT}, "other"),
        ({"holder": SYNC_ID, "planned_at": LATER_PLAN}, SYNC_ID),
        ({"planned_at": PLANNED_AT}, "nobody"),
    ],
)
def test_a_run_that_lost_the_lock_records_itself_alone_and_sends_one_message(
    lock: dict[str, str], by: str
) -> None:
    given = lose(Given(_1={"billing": record("updated")}).took("asked"), **lock)
    answer = given.ends(plan={"notification": SILENT})
    assert ("failure", "LockLostError", True) == how(answer)
    assert answer["cause"] == f"the lock is held by {by}. {LockLostError.remedy}"
    assert f"Superseded by: {by}\n" in answer["message"]
    assert (False, None) == (answer["may_continue"], answer["check_source_in"])
    assert ("failure", by, {}) == tuple(
        given.run[name] for name in ("status", "superseded_by", "accounts")
    )
    assert {"held": HELD, **lock} == given.lock.item
    assert ([], {SYNC_ID, "asked"}) == (given.states.written, set(given.lock.requests))


def test_a_late_record_of_an_aborted_run_leaves_it_aborted() -> None:
    given = Given()
    given.lock.item = {"holder": "another", "planned_at": LATER_PLAN}
    given.noted(status="aborted", ended_at=NOW.isoformat())

    assert LockLostError.__name__ == given.ends()["error"]
    assert "aborted" == given.run["status"]


def test_a_lock_lost_while_counting_is_lost_too() -> None:
    given = Given(_1={"billing": record("updated")}).took("asked")

    def steal(operation: str) -> None:
        if operation == "record_end":
            given.lock.item |= {"holder": "other", "planned_at": LATER_PLAN}

    given.lock.before = steal
    answer = given.ends()
    assert ("failure", "LockLostError", True) == how(answer)
    assert ("other", {}) == (given.run["superseded_by"], given.run["accounts"])
    assert ({SYNC_ID, "asked"}, False) == (set(given.lock.requests), answer["may_continue"])


def test_a_lock_lost_before_the_plan_is_lost_too() -> None:
    given = lose(Given().took("asked"), holder="other")
    answer = given.ends(**PLAN_ERROR, error="LockLostError")
    assert ("failure", "LockLostError", True) == how(answer)
    assert ("other", False) == (given.run["superseded_by"], answer["may_continue"])
    assert {SYNC_ID, "asked"} == set(given.lock.requests)


# A record that is repeated, as its answer was lost or the function died

ACCOUNTS = {
    "_1": {"billing": record("updated")},
    "_2": {"billing": record()},
    "_3": {"billing": failed()},
    "_4": {"billing": record("contested", error="ContestedError")},
    "_5": {},
}
DRY_RUN: dict[str, Any] = {"input": {"dry_run": True}, "may_hold_lock": False}


def refuse() -> None:
    raise ServiceUnavailableError("not now")


@pytest.mark.parametrize("changes", [{}, DRY_RUN, {**PLAN_ERROR, "error": "InvalidConfigError"}])
def test_recording_a_run_twice_gives_the_same_answer_and_state(changes: dict[str, Any]) -> None:
    given = Given(**ACCOUNTS).took("asked")
    first = given.ends(**changes)
    state, written = given.state, list(given.states.written)
    assert first == given.ends(**changes)
    assert state == given.state
    assert [*written, *written] == given.states.written


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, 1),
        ({}, 2),
        (DRY_RUN, 1),
        ({**PLAN_ERROR, "error": "InvalidConfigError"}, 2),
    ],
)
def test_a_run_whose_record_failed_on_the_way_is_recorded_the_same_later(
    changes: dict[str, Any], number: int
) -> None:
    given, undisturbed = Given(**ACCOUNTS).took("asked"), Given(**ACCOUNTS).took("asked")
    updates = iter(range(1, 9))

    def refuse_one() -> None:
        if next(updates) == number:
            refuse()

    given.runs.before_update = refuse_one
    with pytest.raises(ServiceUnavailableError):
        given.ends(**changes)
    assert "ended_at" not in given.run
    assert undisturbed.ends(**changes) == given.ends(**changes)
    assert undisturbed.state == given.state


def test_objects_that_could_not_be_deleted_are_deleted_by_the_repeated_record() -> None:
    given = Given(_1={"billing": record("updated")})
    given.bucket.before_delete = refuse
    with pytest.raises(ServiceUnavailableError):
        given.ends()
    assert "ended_at" not in given.run
    given.bucket.before_delete = lambda: None
    assert given.ends()["may_continue"]
    assert KEPT == list(given.bucket.objects)


# The run in numbers


def numbers(capsys: pytest.CaptureFixture[str], given: Given, **ending: Any) -> dict[str, float]:
    """Return the metrics of a run that ended."""
    given.ends(**ending)
    (values,) = emf.values(capsys.readouterr().out)
    return values


def full(**items: dict[str, Any]) -> Given:
    return Given(**items).noted(left_out={"security": "not set"})


def test_a_run_emits_its_counts(capsys: pytest.CaptureFixture[str]) -> None:
    statuses = ["updated", "unchanged", "skipped"]
    items = {f"_{n}": {"billing": record(one)} for n, one in enumerate(statuses)}
    given = full(**items, _9={"billing": record("updated", drifted=True)})
    assert numbers(capsys, given) == {
        "AccountsUpdated": 2,
        "AccountsUnchanged": 1,
        "AccountsFailed": 0,
        "AccountsDrifted": 1,
        "FullRuns": 1,
        "RunSeconds": 120,
    }


def test_a_dry_run_has_found_drift_and_updated_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    drifted = {"billing": record("updated", drifted=True)}
    given = full(_1=drifted, _2={"billing": failed()})
    values = numbers(capsys, given, input={"dry_run": True}, may_hold_lock=False)
    assert {"AccountsDrifted": 1, "AccountsFailed": 1} == values


@pytest.mark.parametrize(
    ("noted", "ending", "full_runs"),
    [
        ({}, {}, 1),
        ({"left_out": {}}, {}, 0),
        ({"request": {"account_ids": [OTHER, THIRD]}}, {}, 0),
        ({}, {"error": "States.Timeout"}, 0),
    ],
)
def test_only_a_run_over_every_account_and_type_counts_as_full(
    noted: dict[str, Any],
    ending: dict[str, Any],
    full_runs: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = full(_1={"billing": record()}).noted(**noted)
    assert full_runs == numbers(capsys, given, **ending)["FullRuns"]


def test_a_refused_execution_emits_metrics_too(capsys: pytest.CaptureFixture[str]) -> None:
    given = Given()
    given.runs.items.clear()
    values = numbers(capsys, given, **PLAN_ERROR, may_hold_lock=False, error="InvalidRequestError")
    assert (0, 0) == (values["AccountsUpdated"], values["FullRuns"])


@pytest.mark.rule(15)
def test_a_run_emits_its_metrics_once(capsys: pytest.CaptureFixture[str]) -> None:
    given = Given()
    given.ends()
    given.ends()
    assert [SYNC_ID] == [blob["sync_id"] for blob in emf.blobs(capsys.readouterr().out)]


# Drift and undo


@pytest.mark.parametrize(("threshold", "notify"), [(None, False), (2, False), (1, True), (0, True)])
def test_a_run_with_more_drift_than_the_threshold_is_published(
    threshold: int | None, *, notify: bool
) -> None:
    given = Given(**every(2, {"billing": record("updated", drifted=True)}))
    settings = {**SILENT, "drift_threshold": threshold}
    assert notify == given.ends(plan={"notification": settings})["notify"]
    assert 2 == given.run["drifted"]
    assert {"account_id": "0", "contact_types": ["billing"]} == given.run["drifts"][0]


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_undo_is_published_sets_no_entry_and_counts_as_no_full_run(
    capsys: pytest.CaptureFixture[str], *, dry_run: bool
) -> None:
    given = Given(RunRequest(undo="run-0"), _1={"billing": record("updated")})
    given.noted(undoes=["run-0"], source={})
    ended = given.ends(
        plan={"notification": SILENT}, input={"dry_run": dry_run}, may_hold_lock=not dry_run
    )
    assert ended["notify"] == (not dry_run)
    assert ended["check_source_in"] is None
    assert HELD == given.held
    (values,) = emf.values(capsys.readouterr().out)
    assert (0, 0) == (values["AccountsDrifted"], values.get("FullRuns", 0))


def test_an_undo_names_each_skipped_contact_once() -> None:
    given = Given(RunRequest(undo="run-0"), _1={"billing": record("skipped", error="changed")})
    given.noted(undoes=["run-0"])
    message = given.ends(plan={"notification": SILENT})["message"]
    assert 1 == message.count("1  billing: changed")
    assert "skipped: 1," not in message


# An undo, and a recovery


def test_an_undo_counts_no_contact_and_names_what_the_next_run_overwrites() -> None:
    both = [ContactType.BILLING, ContactType.SECURITY]
    given = Given(_1=dict.fromkeys(both, record("updated"))).noted(undoes=["run-0"])
    given.bucket.objects[KEPT[0]] = [ListedAccount("1", stays=("billing",))]
    given.bucket.objects[KEPT[1]] = [dict.fromkeys(both, "run-0")]
    message = given.ends()["message"]
    assert {} == given.run.get("sets", {})
    assert "\n  1  security\n  To prevent this" in message


def test_a_recovery_names_the_run_that_it_goes_on_with() -> None:
    given = Given(RunRequest(continues=["dead"]))
    assert "Continues: run dead" in given.ends()["message"]
    assert "Continues" not in Given().ends()["message"]
