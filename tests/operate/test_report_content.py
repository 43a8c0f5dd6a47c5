"""What the report makes of the state table's items, without any service."""

import csv
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from browser.sample import sample_report
from operate.report.checks import Result, judge
from operate.report.content import About, Report
from operate.report.csv_file import csv_text, safe
from operate.report.organization import Member, Organization
from operate.report.page import page
from operate.report.runs import Links, drift_by_day, listed_runs, run_of
from operate.report.state import (
    FAILING,
    KEPT_WHY,
    LEFT,
    AccountState,
    ContactState,
    Knowledge,
    State,
    account_states,
)

Json = dict[str, Any]

MANAGER, ID = "999999999999", "100000000001"
PLAN, LATER = "2026-11-27T03:00:00+00:00", "2026-11-28T03:00:00+00:00"


def run_item(**more: Any) -> Json:
    return {
        "pk": "RUN",
        "sync_id": "run-1",
        "started_at": PLAN,
        "planned_at": PLAN,
        "status": "success",
        "source": {"security": "1:0f", "primary": "absent"},
        **more,
    }


def member(**more: Any) -> Member:
    return Member(**{"id": ID, "name": "one", "state": "ACTIVE", **more})


def accounts_of(
    item: Json | None, *members: Member, runs: list[Json] | None = None, **configuration: Any
) -> list[AccountState]:
    listed = [*(members or [member()]), Member(MANAGER, "management", "ACTIVE")]
    knowledge = Knowledge(
        Organization("o-x", MANAGER, listed),
        {"contact_types": ["security"], **configuration},
        [run_item()] if runs is None else runs,
    )
    items = [] if item is None else [{"pk": f"ACCOUNT#{ID}", "sk": "STATE", **item}]
    return account_states(knowledge, items)


def contact_of(item: Json | None, *members: Member, **more: Any) -> ContactState:
    found = next(one for one in accounts_of(item, *members, **more) if one.id == ID)
    return found.contacts[0]


def record(status: str, **more: Any) -> Json:
    return {"security": {"status": status, "planned_at": PLAN, "at": PLAN, **more}}


@pytest.mark.parametrize(
    ("item", "state", "why", "is_set"),
    [
        (None, State.NOT_COMPARED, "", None),
        ({}, State.NOT_COMPARED, "", None),
        ({"security": "of another release"}, State.NOT_COMPARED, "", None),
        (record("updated"), State.IN_SYNC, "", True),
        (record("updated") | {"left_at": LATER}, State.NOT_COMPARED, "", None),
        (record("unchanged"), State.IN_SYNC, "", True),
        (record("unchanged", planned_at=LATER), State.IN_SYNC, "", None),
        (record("unchanged") | {"security_in_sync_with": "absent"}, State.NOT_SET, "", False),
        (record("deleted"), State.NOT_SET, "", False),
        (record("skipped", error="just joined"), State.SKIPPED, "just joined", None),
        (record("skipped"), State.KEPT, KEPT_WHY, None),
        (record("failed", error="ThrottledError"), State.FAILED, "ThrottledError", None),
        (record("failed"), State.FAILED, "NotRecordedError", None),
        (record("contested", error="ContestedError"), State.CONTESTED, "ContestedError", True),
    ],
)
def test_state(item: Json | None, state: State, why: str, *, is_set: bool | None) -> None:
    """What the last comparison recorded; equal to a contact that nobody has is "not set"."""
    contact = contact_of(item)

    assert (state, why, is_set) == (contact.state, contact.why, contact.is_set)
    assert bool(contact.remedy) == (state in (State.FAILED, State.CONTESTED))


def test_died_function() -> None:
    """Its error counts if it is newer than what it recorded, for the types of its run."""
    failure = {"alternate_failure": {"planned_at": LATER, "error": "States.Timeout"}}
    runs = [run_item(), run_item(sync_id="run-2", planned_at=LATER)]

    newer = contact_of(record("unchanged") | failure, runs=runs)
    runs[1]["contact_types"] = ["billing"]
    other = contact_of(record("unchanged") | failure, runs=runs)
    older = contact_of(record("unchanged", planned_at="2026-11-29") | failure, runs=runs)

    assert (State.FAILED, "States.Timeout", "run-2") == (newer.state, newer.why, newer.attempted_by)
    assert [State.IN_SYNC, State.IN_SYNC] == [older.state, other.state]


@pytest.mark.parametrize(
    ("configuration", "more", "state", "why"),
    [
        ({"excluded_accounts": [ID]}, {"state": "SUSPENDED"}, State.EXCLUDED, "by the "),
        ({"excluded_organizational_units": ["ou-exam-bbbbbbbb"]}, {}, State.EXCLUDED, "by the "),
        ({}, {"state": "SUSPENDED"}, State.SKIPPED, "SUSPENDED"),
        ({"overrides": [{"account_ids": [ID], "security": "own"}]}, {}, State.OWN, "by the "),
    ],
)
def test_left_alone(configuration: Json, more: Json, state: State, why: str) -> None:
    """What holds now comes before what a run recorded."""
    contact = contact_of(
        record("unchanged"),
        member(unit_ids=("ou-exam-aaaaaaaa", "ou-exam-bbbbbbbb"), **more),
        **configuration,
    )

    assert state == contact.state
    assert contact.why.startswith(why)
    assert (Result.UNKNOWN, f"{state}: {contact.why}") == judge(contact)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], (None, None)),
        (
            [{"organizational_units": ["ou-exam-aaaaaaaa"], "security": "source"}],
            (None, "ou-exam-aaaaaaaa"),
        ),
        (
            [
                {"organizational_units": ["ou-exam-bbbbbbbb"], "security": "deep"},
                {"organizational_units": ["ou-exam-aaaaaaaa"], "security": "shallow"},
            ],
            ("deep", "ou-exam-bbbbbbbb"),
        ),
        ([{"account_ids": [ID], "security": "mine"}], ("mine", ID)),
    ],
)
def test_override(overrides: list[Json], expected: tuple[str | None, str | None]) -> None:
    """The most specific override names the account's contact."""
    under = member(unit_ids=("ou-exam-aaaaaaaa", "ou-exam-bbbbbbbb"))

    contact = contact_of(record("updated"), under, overrides=overrides)

    assert expected == (contact.contact, contact.override_of)
    assert (contact.contact or "") in page(report_of([AccountState(ID, "", "", "", (contact,))]))


def test_times() -> None:
    """Last change, its run, and since when; a failure keeps the time that it was last in sync."""
    written = {"security_written": {"at": LATER, "planned_at": PLAN}}
    times = {"security_in_sync_at": LATER, "security_in_sync_since": PLAN}

    good = contact_of(record("unchanged", sync_id="run-9") | written | times)
    bad = contact_of(record("failed", error="ThrottledError") | written | times)

    assert (LATER, "run-1", "run-9") == (good.changed_at, good.changed_by, good.attempted_by)
    assert (PLAN, LATER) == (good.in_sync_since, good.in_sync_at)
    assert (None, LATER) == (bad.in_sync_since, bad.in_sync_at)
    assert contact_of(record("unchanged") | written, runs=[]).changed_by is None


def test_undone() -> None:
    """What an undo put back is not in sync, until a run finds it equal or writes it again."""
    undone = {"security_undone": {"at": LATER, "planned_at": PLAN}}

    put_back = contact_of(record("updated") | undone)
    equal = record("unchanged") | {"security_in_sync_with": "1:0f"}
    equal_again = contact_of(equal | undone)
    as_before = contact_of(equal, runs=[run_item(undoes=["run-0"])])
    failed = contact_of(record("failed", error="ThrottledError") | undone)
    deleted = contact_of(record("deleted") | undone)

    assert (State.PUT_BACK, LATER, "run-1") == (
        put_back.state,
        put_back.changed_at,
        put_back.changed_by,
    )
    assert (Result.UNKNOWN, "put back: by an undo") == judge(put_back) == judge(as_before)
    assert (Result.FAIL, "not set, read 2026-11-27 03:00") == judge(deleted)
    assert as_before.is_set is None
    assert [State.IN_SYNC, State.FAILED] == [equal_again.state, failed.state]


def test_order() -> None:
    """Accounts that need attention are first, then by name; one that left has its row."""
    knowledge = Knowledge(
        Organization("o-x", MANAGER, [member(id=f"{n}" * 12, name=f"n{9 - n}") for n in range(4)]),
        {"contact_types": ["security"]},
        [],
    )
    items = [
        {"pk": "ACCOUNT#" + "2" * 12, **record("failed")},
        {"pk": "ACCOUNT#" + "0" * 12, **record("updated")},
        {"pk": "ACCOUNT#" + "1" * 12, **record("updated")},
        {"pk": "ACCOUNT#" + "7" * 12, "left_at": PLAN},
    ]

    found = account_states(knowledge, items)

    assert ["2", "3", "7", "1", "0"] == [one.id[0] for one in found]
    assert "left the organization" == found[2].contacts[0].why


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], (Result.UNKNOWN, "source: not read yet")),
        ([run_item()], (Result.PASS, "source: set when the newest run read it, 2026-11-27 03:00")),
        ([run_item(source={"security": "absent"})], (Result.FAIL, "not set, read ")),
    ],
)
def test_management_account(runs: list[Json], expected: tuple[Result, str]) -> None:
    """The management account has its row: what the newest run read of the source."""
    found = next(one for one in accounts_of(None, runs=runs) if one.id == MANAGER)

    result, evidence = judge(found.contacts[0])
    assert State.SOURCE == found.contacts[0].state
    assert expected[0] == result
    assert evidence.startswith(expected[1])


def test_a_pass_needs_evidence() -> None:
    """Of all states only two can pass, and only where the contact is known to be set."""
    passing = {
        (state, is_set)
        for state in State
        for is_set in (True, False, None)
        if judge(ContactState("security", state, is_set=is_set))[0] is Result.PASS
    }

    assert {(State.IN_SYNC, True), (State.SOURCE, True)} == passing
    assert Result.UNKNOWN == judge(None)[0]


def test_failed_is_unknown_with_what_was_known() -> None:
    failed = ContactState("security", State.FAILED, "ThrottledError", attempted_at=LATER)
    since = ContactState("security", State.FAILED, "ThrottledError", in_sync_at=PLAN)

    assert "failed: ThrottledError, tried 2026-11-28 03:00; never in sync" == judge(failed)[1]
    assert judge(since)[1].endswith("last in sync 2026-11-27 03:00")


def test_listed_runs() -> None:
    """What only queued is no run; one under way is, and an earlier one that changed something."""
    items = [
        run_item(),
        run_item(sync_id="now", started_at=LATER, status=None),
        {"sync_id": "queued", "started_at": LATER, "done_by": "now"},
        run_item(sync_id="old", started_at="2026-10-01T00:00:00+00:00"),
    ]

    changed = AccountState(ID, "", "", "", (ContactState("security", State.OWN, changed_by="old"),))

    assert ["now", "run-1"] == [one["sync_id"] for one in listed_runs(items, "2026-11-01")]
    with_earlier = listed_runs(items, "2026-11-01", [changed])
    assert ["now", "run-1", "old"] == [one["sync_id"] for one in with_earlier]


def test_earlier_run() -> None:
    """An account's last change leads to its run, with trigger and event, however old that is."""
    old = run_item(
        started_at="2026-10-01T00:00:00+00:00",
        trigger={"source": "contact_changed", "event_name": "Put", "event_id": "event-9"},
    )
    written = {"security_written": {"at": "2026-10-01T00:01:00+00:00", "planned_at": PLAN}}
    report = report_of(
        accounts_of(record("updated") | written, runs=[old]),
        (run_of(old, [], Links("https://example.com"), {}, "dev"),),
    )

    assert [] == report.recent_runs
    shown = page(report)
    assert "event <code>event-9</code>" in shown
    assert "<a href=#r1>changed 2026-10-01</a>" in shown
    row = next(
        row for row in csv.DictReader(csv_text(report).splitlines()) if row["account_id"] == ID
    )
    assert ("contact changed", "event-9") == (
        row["changed_by_trigger"],
        row["changed_by_event_ids"],
    )


def test_run() -> None:
    """A run says what started it, what it counted, and what has become of what failed."""
    item = run_item(
        trigger={"source": "contact_changed", "event_name": "PutAlternateContact", "event_id": "a"},
        request={"event_ids": ["a", "b"], "reasons": ["new desk"], "is_change": True},
        accounts={"updated": 3, "unchanged": 0},
        error="SyncFailedError",
    )
    in_run = {"pk": f"ACCOUNT#{ID}", "statuses": {"security": "failed"}}
    gone = {"pk": "ACCOUNT#200000000001", "errors": {"security": "ThrottledError"}}
    in_run |= {"errors": {"security": "ThrottledError", "billing": "ThrottledError"}}
    later = record("updated", sync_id="run-2", at=LATER)
    now = {one.id: one for one in accounts_of(later)}

    run = run_of(item, [gone, in_run], Links("https://example.com"), now, "dev")

    assert ("contact changed", ("a", "b"), ("new desk",)) == (
        run.trigger,
        run.event_ids,
        run.reasons,
    )
    assert ({"updated": 3}, 0) == (run.counts, run.drifted)
    assert "--environment dev --retry-of run-1" in run.command
    dry = run_of({**item, "dry_run": True}, [], Links("https://example.com"), now, "dev")
    assert f"{run.command} --dry-run" == dry.command
    assert [
        ("security", "in sync", "run-2"),
        ("billing", "no longer synchronized", None),
        ("security", "no longer synchronized", None),
    ] == [(one.type, one.now, one.tried_by) for one in run.failures]


def test_failure_that_nobody_tried_again() -> None:
    in_run = {"pk": f"ACCOUNT#{ID}", "errors": {"security": "ThrottledError"}}
    now = {one.id: one for one in accounts_of(record("failed", sync_id="run-1"))}

    (failure,) = run_of(run_item(failed=1), [in_run], Links(""), now, "dev").failures

    assert ("failed", None) == (failure.now, failure.tried_at)


@pytest.mark.parametrize(
    ("more", "drifted"),
    [
        ({"accounts": {"updated": 2}}, 2),
        ({"accounts": {"updated": 2}, "request": {"is_change": True}}, 0),
        ({"accounts": {"updated": 2}, "drifted": 1}, 1),
        ({"accounts": {"updated": 2}, "request": "of another release"}, 2),
        ({}, 0),
    ],
)
def test_drift(more: Json, drifted: int) -> None:
    """What a run recorded as drift, else what it changed although the source had not changed."""
    run = run_of(run_item(**more), [], Links(""), {}, "dev")

    dry = replace(run, dry_run=True)
    days = drift_by_day([run, dry, run, dry], date(2026, 11, 26), date(2026, 11, 28))

    assert [("2026-11-26", 0), ("2026-11-27", 2 * drifted), ("2026-11-28", 0)] == days
    alone = drift_by_day([dry, dry], date(2026, 11, 27), date(2026, 11, 27))
    assert [("2026-11-27", drifted)] == alone


def test_drifted_accounts() -> None:
    """An account that drifted in two runs is one, with every type that did; one that left none."""

    def in_run(account: str, **records: Json) -> Json:
        statuses = dict.fromkeys(("security", "billing"), "updated")
        return {"pk": f"ACCOUNT#{account}", "statuses": statuses, **records}

    drift = {"drifted": True}
    skipped = {"account_id": "200000000002", "contact_types": ["security"]}
    both = run_item(drifted=2)
    first = [in_run(ID, security=drift, billing={}), in_run("200000000001", security=drift)]
    second = [in_run(ID, billing=drift)]
    none = [in_run(ID)]
    runs = [
        run_of(item, some, Links(""), {}, "dev")
        for item, some in (
            (both, first),
            (run_item(drifted=1, drifts=[skipped]), second),
            (run_item(drifted=0), none),
            (run_item(request={"is_change": True}, accounts={"updated": 1}), none),
        )
    ]
    report = report_of(accounts_of(None), tuple(runs))

    assert [
        {ID: ("security",), "200000000001": ("security",)},
        {ID: ("billing",), "200000000002": ("security",)},
        {},
        {},
    ] == [{one.account_id: one.types for one in run.drifts} for run in runs]
    assert {ID: ["security"]} == report.drifted
    assert {"security": 1} == report.document()["summary"]["drifted_by_type"]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"dry_run": True}, "would change"),
        ({"undoes": ["run-0"]}, "put back"),
        ({"undoes": ["run-0"], "dry_run": True}, "would be put back"),
    ],
)
def test_words_of_counts(more: Json, word: str) -> None:
    """A dry run only would change, and an undo puts back."""
    run = run_of(run_item(accounts={"updated": 2}, **more), [], Links(""), {}, "dev")

    shown = page(report_of([], (run,)))
    assert {word: 2} == run.counts
    assert f"2 {word}" in shown
    assert run.dry_run == ("</a>, dry run, unknown" in shown)


def report_of(accounts: list[AccountState], runs: tuple[Any, ...] = ()) -> Report:
    about = About(
        environment="dev",
        stack="aws-contact-sync-dev",
        region="us-east-1",
        management_account_id=MANAGER,
        organization_id="o-x",
        generated_at=LATER,
        first_day=date(2026, 11, 27),
        last_day=date(2026, 11, 28),
        contact_types=["security"],
        accounts_url="https://console.aws.amazon.com/organizations/v2/home/accounts/",
        dashboard_url="",
    )
    return Report(about, accounts, runs)


def test_summary_adds_up() -> None:
    """Each member is counted once, by the contact that needs attention most."""
    members = [member(id=f"{number}" * 12) for number in range(3)]
    accounts = accounts_of(None, *members, excluded_accounts=["0" * 12])
    report = report_of(accounts)

    expected = "3 member accounts: 0 in sync, 0 failing, 2 not compared yet, 1 left alone"
    assert expected == report.summary


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),  # noqa: RUF001 - what a spreadsheet takes for the same
        ("a=1", "a=1"),
        ("2026-11-27 03:00:00", "2026-11-27 03:00:00"),
    ],
)
def test_no_formula(cell: str, expected: str) -> None:
    assert expected == safe(cell)


def test_csv() -> None:
    """Names come back as they are, whatever is in them."""
    name = 'Über "Größe", Zürich\n東京'
    accounts = accounts_of(record("updated"), member(name=name))

    rows = list(csv.DictReader(csv_text(report_of(accounts)).splitlines(keepends=True)))

    row = next(row for row in rows if row["account_id"] == ID)
    assert (name, "in sync", "pass") == (
        row["account_name"],
        row["state"],
        row["AWS Security Hub CSPM Account.1"],
    )
    assert "2026-11-27 03:00:00" == row["compared_utc"]


def test_hostile_name() -> None:
    """A name is text, and so is what it would hide: markup, script, template and control signs.

    A script's own space and joiner hide nothing.
    """
    name = "</bdi></title><script>alert(1)</script>{{ 7 * 7 }}\"'\u202e\x07a\u3000b\u200dc"
    shown = page(report_of(accounts_of(record("updated"), member(name=name))))

    assert 1 == shown.count("<script>")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}" in shown
    assert "\u202e" not in shown
    assert "\x07" not in shown
    assert "a\u3000b\u200dc</bdi>" in shown


def test_page_without_anything() -> None:
    """Before the first run there is a page, too."""
    shown = page(report_of([]))

    assert "0 member accounts" in shown
    assert "No run in the last 2 days" in shown


def test_sample_is_consistent() -> None:
    """What the sample's runs say is what its accounts say: the page shows both."""
    report = sample_report(120)
    by_id = {one.id: one for one in report.accounts}

    for run in report.recent_runs:
        for changed in run.changed:
            account = by_id[changed.account_id]
            assert account.state in ("ACTIVE", LEFT)
            for contact in account.contacts if account.state != LEFT else ():
                assert contact.state in (State.IN_SYNC, *FAILING)
                if contact.type in changed.types:
                    assert run.started_at < str(contact.changed_at)
                    if contact.in_sync_since:
                        assert run.started_at < contact.in_sync_since == contact.changed_at
        assert run.trigger != "contact changed" or {len(one.types) for one in run.changed} == {1}
    newest = report.runs[0]
    in_run = sum(newest.accounts.values()) + sum(newest.skipped.values())
    assert len(report.members) == in_run + report.members_of(State.NOT_COMPARED)
    never = [one for one in report.members if one.worst in (State.EXCLUDED, State.SKIPPED)]
    assert 5 == len(never)
    assert [None] * 5 == [one.attempted_at for one in never]
