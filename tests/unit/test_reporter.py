"""The end of rounds and of the run: counted, recorded, and said in words."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import emf
import pytest
from builders import (
    KEY,
    MEMBER,
    OTHER,
    SECRET_VALUES,
    STARTED_AT,
    SYNC_ID,
    THIRD,
    make_contact,
    make_failure,
    make_round,
    make_source,
)
from contact_sync.contacts import ContactType
from contact_sync.errors import ServiceUnavailableError
from contact_sync.reporter import MOST_CAUSE_CHARACTERS, Ending, Reporter, Round
from contact_sync.request import RoundRequest
from fakes import FakeAccountItems, FakeBucket, FakeRuns

BILLING, SECURITY = ContactType.BILLING, ContactType.SECURITY
MANIFEST_KEY, SOURCE_KEY, SCOPE_KEY = "manifest.json", "source.json", "scope.json"
NOTIFICATION = {
    "notify_on_failure": True,
    "notify_on_success": False,
    "notify_on_partial_failure": True,
    "failure_threshold": 1,
}


def record(status: str = "unchanged", **changes: Any) -> dict[str, Any]:
    return {"status": status, "sync_id": SYNC_ID, "round": 1, **changes}


def failed(error: str = "ThrottledError", **changes: Any) -> dict[str, Any]:
    return record("failed", error=error, **changes)


def make_ended_round(**changes: Any) -> Round:
    defaults: dict[str, Any] = {
        "sync_id": SYNC_ID,
        "started_at": STARTED_AT,
        "number": 1,
        "dry_run": False,
        "contact_types": [BILLING],
        "skipped_types": {},
        "left_alone": {},
        "planned_at": STARTED_AT,
        "estimated_seconds": 60,
        "key_replaced": False,
        "manifest_key": MANIFEST_KEY,
        "source_key": SOURCE_KEY,
        "scope_key": SCOPE_KEY,
        "digest_key_id": "key-1",
        "digits": [],
        "error": None,
    }
    return Round(**{**defaults, **changes})


class Given:
    """A round's accounts and objects, and the reporter over them."""

    def __init__(self, request: RoundRequest | None = None, **items: dict[str, Any]) -> None:
        """Take account items by `_<account id>`."""
        accounts = {name.removeprefix("_"): item for name, item in items.items()}
        self.states = FakeAccountItems(accounts)
        self.runs = FakeRuns()
        self.runs.update(
            STARTED_AT, SYNC_ID, {"request": (request or RoundRequest()).stored(), "round": 1}
        )
        self.bucket = FakeBucket()
        self.bucket.objects = {
            MANIFEST_KEY: list(accounts),
            SOURCE_KEY: make_source(),
            SCOPE_KEY: "scope",
        }
        self.reporter = Reporter(self.states, self.runs, self.bucket)  # type: ignore[arg-type]

    def ends(self, **changes: Any) -> Mapping[str, int]:
        return self.reporter.record_round(make_ended_round(**changes))

    @property
    def run(self) -> dict[str, Any]:
        return self.runs.read(STARTED_AT, SYNC_ID)


# Rounds


def test_a_round_counts_its_accounts() -> None:
    given = Given(
        _1={"billing": record("updated")},
        _2={"billing": record()},
        _3={"billing": failed()},
        _4={"billing": record("not_accepted", error="NotAcceptedError")},
        _5={},
    )
    assert {"updated": 1, "unchanged": 1, "failed": 3} == given.ends()


def test_a_round_is_recorded_in_the_runs_item() -> None:
    given = Given(_1={"billing": record("updated")}, _2={"billing": failed()})
    given.ends(
        skipped_types={"primary": "why"},
        left_alone={"excluded": 3},
        planned_at=None,
        key_replaced=True,
        digits=[1, 2],
    )
    assert 1 == given.run["failed"]
    assert [make_failure("2", billing="ThrottledError")] == given.run["failures"]
    assert given.run["round_1"] == {
        "contact_types": ["billing"],
        "skipped_types": {"primary": "why"},
        "left_alone": {"excluded": 3},
        "estimated_seconds": 60,
        "seconds": None,
        "key_replaced": True,
        "accounts": {"updated": 1, "failed": 1},
        "types": {"billing": {"updated": 1, "failed": 1}},
        "compares_everything": True,
        "only_if_changed": False,
        "lost_children": 0,
        "error": None,
    }


def test_a_round_tells_how_long_it_took() -> None:
    given = Given(_1={"billing": record()})
    given.ends(planned_at=(datetime.now(UTC) - timedelta(minutes=2)).isoformat())
    assert 120 <= given.run["round_1"]["seconds"] < 180


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (RoundRequest(), True),
        (RoundRequest(only_if_changed=True), False),
        (RoundRequest(contact_types=[BILLING]), False),
        (RoundRequest(account_ids=[MEMBER]), False),
        (RoundRequest(organizational_units=["ou-exam-workloads"]), False),
    ],
)
def test_a_round_compares_everything_or_not(request_: RoundRequest, *, expected: bool) -> None:
    given = Given(request_, _1={"billing": record()})
    given.ends()
    assert expected == given.run["round_1"]["compares_everything"]


@pytest.mark.parametrize("only_if_changed", [True, False])
def test_a_round_tells_whether_it_started_from_a_change(*, only_if_changed: bool) -> None:
    given = Given(RoundRequest(only_if_changed=only_if_changed), _1={"billing": record()})
    given.ends()
    assert only_if_changed is given.run["round_1"]["only_if_changed"]


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
        "round": 1,
        "dry_run": False,
        "status": "failed",
        "statuses": {"billing": "failed"},
        "errors": {"billing": "ThrottledError"},
        "expires_at": 1802167200,
    }


def test_an_account_that_failed_and_is_well_in_a_later_round_is_corrected() -> None:
    given = Given(_1={"billing": record(round=2)}, _2={"billing": record(round=2)})
    given.runs.failed[SYNC_ID] = ["1", "9"]
    given.ends(number=2)
    assert ["unchanged#1"] == [item["gsi1sk"] for item in given.states.written]
    assert 1 == given.run["failed"]


def test_only_failures_that_still_stand_are_named() -> None:
    given = Given(_1={"billing": record(round=2)}, _2={"billing": failed(round=2)})
    given.runs.failed[SYNC_ID] = ["1", "9"]
    given.runs.update(STARTED_AT, SYNC_ID, {"failures": [make_failure("1"), make_failure("9")]})
    given.ends(number=2)
    assert [make_failure("9"), make_failure("2")] == given.run["failures"]


def test_the_first_round_has_no_earlier_failures() -> None:
    given = Given(_1={"billing": record()})
    given.runs.failed[SYNC_ID] = ["9"]
    given.ends()
    assert 0 == given.run["failed"]


@pytest.mark.parametrize(
    ("digits", "lost"),
    [([0, 1, 2, 3], 0), ([0, {"Error": "States.Timeout"}, 2, None], 2), ([0], 3), ([], 4)],
)
def test_children_that_told_nothing_are_counted(digits: list[Any], lost: int) -> None:
    given = Given(**{f"_{n}": {"billing": record()} for n in range(4)})
    given.ends(digits=digits)
    assert lost == given.run["round_1"]["lost_children"]


def test_source_and_scope_are_deleted_and_the_manifest_is_kept() -> None:
    given = Given()
    given.ends()
    assert [MANIFEST_KEY] == list(given.bucket.objects)


def test_a_round_that_stored_nothing_is_recorded() -> None:
    given = Given()
    keys = dict.fromkeys(("manifest_key", "source_key", "scope_key", "digest_key_id"))
    assert {} == given.ends(**keys, contact_types=[], error="InvalidConfigError")
    assert "InvalidConfigError" == given.run["round_1"]["error"]


# A round that is recorded again, as its answer was lost or the function died

ACCOUNTS = {
    "_1": {"billing": record("updated")},
    "_2": {"billing": record()},
    "_3": {"billing": failed()},
    "_4": {"billing": record("not_accepted", error="NotAcceptedError")},
    "_5": {},
}


def refuse() -> None:
    raise ServiceUnavailableError("not now")


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("accounts", [ACCOUNTS, {"_1": {"billing": record("updated")}}])
def test_a_round_recorded_twice_tells_and_leaves_the_same(
    accounts: dict[str, Any], *, dry_run: bool
) -> None:
    given = Given(**accounts)
    first = given.ends(dry_run=dry_run)
    left = repr((given.run, given.runs.synced_entries, given.states.written))
    assert first == given.ends(dry_run=dry_run)
    assert left == repr((given.run, given.runs.synced_entries, given.states.written))


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_round_whose_own_record_failed_is_counted_the_same_again(*, dry_run: bool) -> None:
    given, undisturbed = Given(**ACCOUNTS), Given(**ACCOUNTS)
    given.runs.before_update = refuse
    with pytest.raises(ServiceUnavailableError):
        given.ends(dry_run=dry_run)
    assert "round_1" not in given.run
    given.runs.before_update = lambda: None
    assert undisturbed.ends(dry_run=dry_run) == given.ends(dry_run=dry_run)
    assert undisturbed.run == given.run
    assert undisturbed.states.written == given.states.written[:4] == given.states.written[4:]


def test_a_clean_round_whose_own_record_failed_still_finds_its_source() -> None:
    given = Given(_1={"billing": record("updated")})
    given.runs.before_update = refuse
    with pytest.raises(ServiceUnavailableError):
        given.ends()
    given.runs.before_update = lambda: None
    given.ends()
    assert ["billing"] == list(given.runs.synced_entries)
    assert SOURCE_KEY not in given.bucket.objects


def test_a_recorded_round_whose_objects_could_not_be_deleted_deletes_them_again() -> None:
    given = Given(_1={"billing": record("updated")})
    given.bucket.before_delete = refuse
    with pytest.raises(ServiceUnavailableError):
        given.ends()
    given.bucket.before_delete = lambda: None
    assert {"updated": 1} == given.ends()
    assert [MANIFEST_KEY] == list(given.bucket.objects)
    assert 1 == len(given.states.written)


def test_a_round_recorded_late_does_not_undo_what_was_synced_since() -> None:
    given = Given(_1={"billing": record("updated")})
    given.ends()
    newer = {"digest": "newer", "sync_id": "run-2"}
    given.runs.synced_entries["billing"] = newer
    given.ends()
    assert newer == given.runs.synced_entries["billing"]


def test_an_item_of_the_run_holds_only_what_was_recorded_in_its_round() -> None:
    item = {"billing": record("updated"), "security": record(sync_id="run-0"), "at": "then"}
    given = Given(_1=item)
    given.ends(contact_types=[BILLING, SECURITY])
    (written,) = given.states.written
    assert record("updated") == written["billing"]
    assert [] == [name for name in ("security", "at") if name in written]


# What every account has from the source now


def test_what_every_account_has_is_recorded() -> None:
    given = Given(_1={"billing": record("updated")}, _2={"billing": record()})
    given.ends()
    entry = given.runs.synced_entries["billing"]
    assert make_contact().digest(KEY) == entry["digest"]
    assert ("key-1", SYNC_ID) == (entry["key_id"], entry["sync_id"])


def test_what_was_synced_is_recorded_with_its_time() -> None:
    given = Given(_1={"billing": record()})
    given.ends()
    assert datetime.now(UTC) >= datetime.fromisoformat(given.runs.synced_entries["billing"]["at"])


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_round_reads_the_items_of_its_own_run(*, dry_run: bool) -> None:
    given = Given(_1={"billing": record()})
    given.ends(dry_run=dry_run)
    assert [(SYNC_ID, STARTED_AT, dry_run)] == given.states.asked


def test_a_run_of_which_no_round_was_recorded_has_failed_at_nothing() -> None:
    given = Given()
    given.run.clear()
    assert ("success", None) == tuple(summarize(given)[name] for name in ("status", "error"))


def test_a_type_for_which_an_account_failed_is_not_recorded() -> None:
    given = Given(
        _1={"billing": failed(), "security": record()},
        _2={"billing": record(), "security": record("updated")},
    )
    given.ends(contact_types=[BILLING, SECURITY])
    assert ["security"] == list(given.runs.synced_entries)


def test_what_was_not_accepted_is_not_recorded() -> None:
    given = Given(_1={"billing": record("not_accepted", error="NotAcceptedError")})
    given.ends()
    assert {} == given.runs.synced_entries


@pytest.mark.parametrize(
    "scope", [{"account_ids": [MEMBER]}, {"organizational_units": ["ou-exam-workloads"]}]
)
def test_a_round_over_some_accounts_does_not_tell_of_all(scope: dict[str, Any]) -> None:
    given = Given(RoundRequest(**scope), _1={"billing": record("updated")})
    given.ends()
    assert {} == given.runs.synced_entries


@pytest.mark.parametrize(
    "changes",
    [{"dry_run": True}, {"error": "States.Timeout"}, {"source_key": None}, {"digest_key_id": None}],
)
def test_only_a_real_whole_round_is_recorded_as_synced(changes: dict[str, Any]) -> None:
    given = Given(_1={"billing": record()})
    given.ends(**changes)
    assert {} == given.runs.synced_entries


def test_an_error_deletes_the_source_all_the_same() -> None:
    given = Given(_1={"billing": record()})
    given.ends(error="States.Timeout")
    assert SOURCE_KEY not in given.bucket.objects


# The run


def summarize(
    given: Given, notification: dict[str, Any] | None = NOTIFICATION, **ending: Any
) -> dict[str, Any]:
    values = {"sync_id": SYNC_ID, "started_at": STARTED_AT, "error": None, "cause": "", **ending}
    return given.reporter.summarize_run(
        Ending(notification=notification, **values), "test", {"Execution": "https://example.com/1"}
    )


def after(*rounds: dict[str, int], failed: int = 0, **run: Any) -> Given:
    given = Given()
    numbered = {f"round_{n}": make_round(one) for n, one in enumerate(rounds, start=1)}
    given.runs.update(
        STARTED_AT, SYNC_ID, {**numbered, "round": len(rounds), "failed": failed, **run}
    )
    return given


def test_a_run_without_failures_is_a_success_and_quiet() -> None:
    given = after({"updated": 2})
    summary = summarize(given)
    assert ("success", None, "", False) == tuple(
        summary[name] for name in ("status", "error", "cause", "notify")
    )
    assert "[test] contact sync success: 2 updated" == summary["subject"]
    assert "Execution: https://example.com/1" in summary["message"]


def test_the_end_is_recorded_with_the_runs_keys() -> None:
    given = after({"updated": 1})
    summarize(given)
    assert ("success", None) == (given.run["status"], given.run["error"])
    assert (f"RUN#{SYNC_ID}", "RUN") == (given.run["gsi1pk"], given.run["gsi1sk"])
    assert 1802167200 == given.run["expires_at"]
    assert datetime.now(UTC) >= datetime.fromisoformat(given.run["ended_at"])


def test_a_run_that_never_started_a_round_is_recorded_too() -> None:
    given = Given()
    given.runs.items.clear()
    summary = summarize(given, None, error="InvalidRequestError", cause="account_ids: wrong")
    assert ("failure", "account_ids: wrong") == (summary["status"], summary["cause"])
    assert "InvalidRequestError" == summary["error"] == given.run["error"]
    assert (SYNC_ID, STARTED_AT) == (given.run["sync_id"], given.run["started_at"])


def test_failures_at_the_threshold_fail_the_execution_and_name_the_accounts() -> None:
    given = after({"failed": 7, "updated": 1}, failed=7)
    failures = [make_failure(str(n), billing="X", security="Y", primary="X") for n in range(7)]
    given.run["failures"] = failures
    summary = summarize(given)
    assert ("partial", "PartialSyncError", True) == (
        summary["status"],
        summary["error"],
        summary["notify"],
    )
    assert summary["cause"].endswith(" Failed: 0 (X, Y), 1 (X, Y), 2 (X, Y), 3 (X, Y), 4 (X, Y)")


def test_failures_below_the_threshold_do_not_fail_the_execution() -> None:
    given = after({"failed": 1, "updated": 1}, failed=1)
    summary = summarize(given, NOTIFICATION | {"failure_threshold": 2})
    assert ("partial", None) == (summary["status"], summary["error"])


def test_without_a_readable_configuration_one_failure_is_enough() -> None:
    summary = summarize(after({"failed": 1, "updated": 1}, failed=1), None)
    assert "PartialSyncError" == summary["error"]


def test_all_accounts_failed_is_a_failure() -> None:
    summary = summarize(after({"failed": 2}, failed=2))
    assert ("failure", "SyncFailedError") == (summary["status"], summary["error"])


def test_a_dry_run_never_fails() -> None:
    summary = summarize(after({"failed": 2}, failed=2, dry_run=True))
    assert ("partial", None) == (summary["status"], summary["error"])


def test_an_aborted_run_is_told_as_such() -> None:
    summary = summarize(after(), error="ABORTED", cause="whatever")
    assert ("aborted", "ABORTED", "the execution was aborted", True) == tuple(
        summary[name] for name in ("status", "error", "cause", "notify")
    )


def test_a_round_that_was_not_recorded_is_left_out() -> None:
    given = after({"updated": 1})
    given.run["round"] = 2
    assert "[test] contact sync success: 1 updated" == summarize(given)["subject"]


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (json.dumps({"errorMessage": "the message", "stackTrace": ["x"]}), "the message"),
        (json.dumps({"other": 1}), '{"other": 1}'),
        ("[1]", "[1]"),
        ("plain words", "plain words"),
        ("", ""),
        ("x" * 3000, "x" * MOST_CAUSE_CHARACTERS),
    ],
)
def test_the_cause_is_the_functions_message(cause: str, expected: str) -> None:
    assert expected == summarize(after(), error="SomeError", cause=cause)["cause"]


@pytest.mark.parametrize("is_wanted", [True, False])
@pytest.mark.parametrize(
    ("setting", "given", "error"),
    [
        ("notify_on_success", after({"updated": 1}), None),
        ("notify_on_partial_failure", after({"updated": 1, "failed": 1}, failed=1), None),
        ("notify_on_failure", after({"failed": 1}, failed=1), None),
        ("notify_on_failure", after(), "LockLostError"),
        ("notify_on_failure", after(), "ABORTED"),
    ],
)
def test_each_outcome_is_published_as_configured(
    setting: str,
    given: Given,
    error: str | None,
    *,
    is_wanted: bool,
) -> None:
    others = dict.fromkeys(NOTIFICATION, not is_wanted)
    settings = {**others, setting: is_wanted, "failure_threshold": 1}
    assert is_wanted is summarize(given, settings, error=error)["notify"]


@pytest.mark.parametrize(
    ("given", "error", "is_published"),
    [
        (after({"updated": 1}), None, False),
        (after(), None, False),
        (after({"updated": 1, "failed": 1}, failed=1), None, True),
        (after({"failed": 1}, failed=1), None, True),
        (after(), "InvalidConfigError", True),
        (after(), "ABORTED", True),
    ],
)
def test_without_a_readable_configuration_all_but_a_success_is_published(
    given: Given, error: str | None, *, is_published: bool
) -> None:
    assert is_published is summarize(given, None, error=error)["notify"]


def test_a_summary_never_holds_a_contact_value() -> None:
    given = Given(_1={"billing": failed()})
    given.ends()
    printed = json.dumps(summarize(given)) + repr((given.run, given.runs.synced_entries))
    assert [] == [value for value in SECRET_VALUES if value in printed]


def test_accounts_are_named_by_id_alone() -> None:
    given = Given(**{f"_{one}": {"billing": failed()} for one in (MEMBER, OTHER, THIRD)})
    given.ends()
    assert [MEMBER, OTHER, THIRD] == [failure["account_id"] for failure in given.run["failures"]]


# The run in numbers


def numbers(
    capsys: pytest.CaptureFixture[str],
    *rounds: dict[str, Any],
    error: str | None = None,
    **run: Any,
) -> dict[str, float]:
    """Return the metrics of a run that ended, as integers but for its seconds."""
    given = Given()
    recorded = {f"round_{number}": one for number, one in enumerate(rounds, start=1)}
    given.runs.update(STARTED_AT, SYNC_ID, {**recorded, "round": len(rounds), **run})
    summarize(given, error=error)
    (values,) = emf.values(capsys.readouterr().out)
    return values


FULL = {"compares_everything": True}


def test_a_run_is_told_in_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    told = numbers(capsys, make_round({"updated": 2, "unchanged": 3, "skipped": 1}, **FULL))
    assert told.pop("RunSeconds") > 0
    assert told == {
        "AccountsUpdated": 2,
        "AccountsUnchanged": 3,
        "AccountsFailed": 0,
        "AccountsDrifted": 2,
        "FullRuns": 1,
    }


def test_a_dry_run_has_found_drift_and_updated_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = numbers(capsys, make_round({"updated": 2, "unchanged": 3}, **FULL), dry_run=True)
    assert {"AccountsDrifted": 2, "AccountsFailed": 0} == told


def test_what_differs_after_a_change_has_not_drifted(capsys: pytest.CaptureFixture[str]) -> None:
    told = numbers(capsys, make_round({"updated": 5}, only_if_changed=True), make_round())
    assert (5, 0, 0) == (
        told["AccountsUpdated"],
        told["AccountsUnchanged"],
        told["AccountsDrifted"],
    )


@pytest.mark.parametrize(
    ("changes", "error", "full_runs"),
    [
        (FULL, None, 1),
        ({}, None, 0),
        ({**FULL, "error": "States.Timeout"}, "States.Timeout", 0),
        (FULL, "LockLostError", 0),
    ],
)
def test_only_a_full_run_that_ended_well_counts_as_one(
    changes: dict[str, Any],
    error: str | None,
    full_runs: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = numbers(capsys, make_round({"unchanged": 1}, **changes), error=error)
    assert full_runs == told["FullRuns"]


def test_failed_accounts_fail_the_full_run(capsys: pytest.CaptureFixture[str]) -> None:
    told = numbers(capsys, make_round({"unchanged": 1, "failed": 2}, **FULL), failed=2)
    assert (2, 0) == (told["AccountsFailed"], told["FullRuns"])


def test_an_execution_that_did_no_round_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    told = numbers(capsys, error="InvalidRequestError")
    assert (0, 0) == (told["AccountsUpdated"], told["FullRuns"])


def test_a_run_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    given = Given()
    summarize(given)
    summarize(given)
    assert [SYNC_ID] == [blob["sync_id"] for blob in emf.blobs(capsys.readouterr().out)]
