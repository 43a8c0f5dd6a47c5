"""The message of a run: a short subject, and a text that says what to do."""

from typing import Any

import pytest
from builders import MEMBER, OTHER, STARTED_AT, SYNC_ID, make_failure, make_round
from contact_sync.message import body, counts_text, duration, subject, totals
from contact_sync.outcome import RunOutcome, RunStatus

PARTIAL = RunOutcome(RunStatus.PARTIAL)
NAMED = [make_failure(str(100_000_000_001 + n)) for n in range(25)]
LINKS = {"Execution": "https://example.com/execution", "Dashboard": "https://example.com/board"}


def text(*rounds: dict[str, Any], outcome: RunOutcome = PARTIAL, **run: Any) -> str:
    return body({"sync_id": SYNC_ID, "started_at": STARTED_AT, **run}, outcome, list(rounds), LINKS)


def test_a_subject_tells_environment_status_and_counts() -> None:
    rounds = [make_round({"updated": 57, "unchanged": 1}), make_round({"failed": 2, "updated": 1})]
    expected = "[prod] contact sync partial: 58 updated, 1 unchanged, 2 failed"
    assert expected == subject("prod", {"failed": 2}, PARTIAL, rounds)


def test_a_subject_counts_no_failure_that_a_later_round_has_mended() -> None:
    rounds = [make_round({"failed": 2}), make_round({"updated": 2})]
    assert "[dev] contact sync success: 2 updated" == subject(
        "dev", {"failed": 0}, RunOutcome(RunStatus.SUCCESS), rounds
    )


def test_a_subject_without_counts_tells_the_error() -> None:
    outcome = RunOutcome(RunStatus.FAILURE, "InvalidConfigError", "cause")
    assert "[dev] contact sync failure: InvalidConfigError" == subject("dev", {}, outcome, [])


def test_a_subject_of_a_run_without_accounts_says_so() -> None:
    outcome = RunOutcome(RunStatus.SUCCESS)
    assert "[dev] contact sync success: nothing to do" == subject(
        "dev", {}, outcome, [make_round()]
    )


def test_a_subject_stays_under_100_characters_on_one_line() -> None:
    outcome = RunOutcome(RunStatus.FAILURE, "Long\nError\x00" * 50)
    made = subject("dev", {}, outcome, [])
    assert 99 == len(made)
    assert made.isprintable()


def test_counts_come_in_a_fixed_order_without_zeros() -> None:
    counts = {"failed": 1, "updated": 2, "unchanged": 0, "not_accepted": 3, "deleted": 4}
    assert "2 updated, 4 deleted, 1 failed, 3 not_accepted" == counts_text(counts)


def test_totals_add_up_over_rounds() -> None:
    rounds = [make_round({"updated": 1, "failed": 1}), make_round({"updated": 2})]
    assert {"updated": 3, "failed": 1} == totals(rounds)


def test_a_text_tells_who_started_the_run_when_and_why() -> None:
    made = text(
        trigger={"source": "contact_changed", "event_name": "Put\nAlternateContact"},
        started_at="2026-01-05T10:00:00Z",
        request={"reasons": ["moved\noffice", "and again"]},
    )
    expected = (
        f"Status: partial\nRun: {SYNC_ID}\n"
        "Started by: contact_changed Put AlternateContact, 2026-01-05T10:00:00Z\n"
        "Reason: moved office\n"
        "Reason: and again\n"
    )
    assert made.startswith(expected)


def test_a_text_about_a_run_that_left_no_trigger_says_so() -> None:
    assert f"Started by: unknown, {STARTED_AT}\n" in text()


def test_a_text_names_the_error_on_one_line() -> None:
    outcome = RunOutcome(RunStatus.FAILURE, "InvalidConfigError", "first\nsecond")
    assert "Error: InvalidConfigError: first second\n" in text(outcome=outcome)


@pytest.mark.parametrize("dry_run", [True, False])
def test_only_a_dry_run_says_that_nothing_was_written(*, dry_run: bool) -> None:
    assert dry_run == ("Dry run: no account was written to" in text(dry_run=dry_run))


def test_the_dry_runs_line_is_a_line() -> None:
    line = "Dry run: no account was written to; `updated` means it would have been."
    assert line in text(dry_run=True).splitlines()


def test_a_run_that_ended_before_any_count_names_no_account() -> None:
    outcome = RunOutcome(RunStatus.FAILURE, "InvalidConfigError", "cause")
    assert "Failed accounts" not in text(outcome=outcome)
    assert "\n\n\n" not in text(outcome=outcome)


def test_a_text_describes_each_round() -> None:
    made = text(
        make_round(
            {"updated": 1, "unchanged": 2},
            types={"billing": {"updated": 1, "unchanged": 2}},
            skipped_types={"security": "not set in the management account"},
            left_alone={"SUSPENDED": 3},
            estimated_seconds=120,
            seconds=124,
            lost_children=2,
            key_replaced=True,
        ),
        make_round(),
    )
    expected = (
        "Round 1: 1 updated, 2 unchanged\n"
        "  billing: 1 updated, 2 unchanged\n"
        "  security: skipped, not set in the management account\n"
        "  left alone, SUSPENDED: 3\n"
        "  took 2 min 4 s; the quotas allow for 2 min 0 s\n"
        "  2 children ended without telling of their account.\n"
        "  The digest key was replaced: nothing is known of what was synced before.\n"
        "\n"
        "Round 2: no account to sync\n"
    )
    assert expected in made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (36_060, "10 h 1 min"),
    ],
)
def test_a_duration_is_told_by_its_largest_units(seconds: int, text: str) -> None:
    assert text == duration(seconds)


def test_a_text_names_failed_accounts_and_each_remedy_once() -> None:
    made = text(
        failed=2,
        failures=[
            make_failure(MEMBER, billing="ThrottledError"),
            make_failure(OTHER, billing="ThrottledError", primary="Lambda.Unknown"),
        ],
    )
    expected = (
        "Failed accounts:\n"
        f"  {MEMBER}  billing: ThrottledError\n"
        f"  {OTHER}  billing: ThrottledError, primary: Lambda.Unknown\n"
        "What to do:\n"
        "  ThrottledError: Other tools may use the same quota; repeat with retry_of.\n"
        "  Lambda.Unknown: See the execution's history and the function's log group.\n"
    )
    assert expected in made


@pytest.mark.parametrize(("failed", "more"), [(30, 5), (26, 1), (45, 20)])
def test_a_text_tells_how_many_failed_accounts_it_does_not_name(failed: int, more: int) -> None:
    expected = f"\n  and {more} more; the state table's index has them all\nWhat to do:\n"
    assert expected in text(failed=failed, failures=NAMED)


@pytest.mark.parametrize("count", [1, 25])
def test_a_text_that_names_every_failed_account_tells_of_no_more(count: int) -> None:
    made = text(failed=count, failures=NAMED[:count])
    assert f"  {NAMED[count - 1]['account_id']}  billing: ThrottledError\nWhat to do:" in made
    assert " more; " not in made


def test_a_text_without_failures_names_none() -> None:
    assert "Round 1: 1 updated\n\nExecution: " in text(make_round({"updated": 1}))


def test_a_text_ends_with_the_links() -> None:
    expected = "\nExecution: https://example.com/execution\nDashboard: https://example.com/board\n"
    assert text().endswith(expected)
