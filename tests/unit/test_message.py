"""The message of a run: a short subject, and a text that says what to do."""

from dataclasses import replace
from typing import Any

import pytest
from contact_sync.comparison import Status
from contact_sync.contacts import ContactType
from support.builders import MEMBER, OTHER, STARTED_AT, SYNC_ID, THIRD, make_report, make_result
from sync_reporter.message import body, next_command, subject
from sync_reporter.outcome import AccountResult, ContactRecord, RunOutcome, RunStatus

PARTIAL = RunOutcome(RunStatus.PARTIAL)
LINKS = {"Execution": "https://example.com/execution", "Dashboard": "https://example.com/board"}
RETRY = f"bash scripts/resync.sh --environment prod --retry-of {SYNC_ID}"


def failure(error: str) -> RunOutcome:
    return RunOutcome(RunStatus.FAILURE, error, "why")


def text(*results: AccountResult, **changes: Any) -> str:
    return body("prod", make_report(*results, **changes), LINKS)


def title(*results: AccountResult, **changes: Any) -> str:
    return subject("prod", make_report(*results, **changes))


def many(count: int, **statuses: str) -> list[AccountResult]:
    return [make_result(str(100_000_000_001 + n), **statuses) for n in range(count)]


# The subject


def test_a_subject_has_environment_status_and_counts_in_a_fixed_order() -> None:
    results = [
        *many(2, billing="failed"),
        *many(3, billing="skipped"),
        *many(1, billing="unchanged"),
        *many(57, billing="updated"),
    ]
    expected = "[prod] contact sync partial: 57 updated, 1 unchanged, 3 skipped, 2 failed"
    assert expected == title(*results, outcome=PARTIAL)


def test_a_dry_runs_subject_says_so_first_and_that_accounts_would_change() -> None:
    expected = "DRY RUN [prod] contact sync success: 2 would change, 1 unchanged"
    results = [*many(2, billing="updated"), make_result(billing="unchanged")]
    assert expected == title(*results, dry_run=True)


def test_a_subject_without_counts_has_the_error() -> None:
    expected = "[prod] contact sync failure: InvalidConfigError"
    assert expected == title(outcome=failure("InvalidConfigError"))


def test_a_subject_of_a_run_without_accounts_says_so() -> None:
    assert "[prod] contact sync success: nothing to do" == title()


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_subject_stays_under_100_characters_on_one_line(*, dry_run: bool) -> None:
    made = title(outcome=failure("Long\nError\x00" * 50), dry_run=dry_run)
    assert 99 == len(made)
    assert made.isprintable()


# The text


def test_a_text_names_who_started_the_run_when_and_why() -> None:
    made = text(
        trigger={"source": "contact_changed", "event_name": "Put\nAlternateContact"},
        reasons=["moved\noffice", "and again"],
    )
    assert made.startswith(
        f"Status: success\nRun: {SYNC_ID}\n"
        f"Trigger: contact changed (Put AlternateContact), {STARTED_AT}\n"
        "Reason: moved office\n"
        "Reason: and again\n\n"
    )


def test_a_text_about_a_run_of_an_unknown_trigger_says_so() -> None:
    assert f"Trigger: unknown, {STARTED_AT}\n" in text(trigger={})


def test_a_text_names_the_error_and_its_cause_on_one_line() -> None:
    outcome = RunOutcome(RunStatus.FAILURE, "InvalidConfigError", "first\nsecond")
    assert "Error: InvalidConfigError: first second\n" in text(outcome=outcome)


def test_a_text_lists_what_the_run_did() -> None:
    results = [
        *many(1, billing="updated", security="deleted"),
        *many(2, billing="unchanged", security="contested"),
    ]
    made = text(
        *results,
        left_out={"primary": "invalid: primary.City is not set"},
        missing=["operations"],
        skipped={"SUSPENDED": 3},
        named_skips={MEMBER: "SUSPENDED"},
        estimated_seconds=120,
        seconds=124,
        lost_children=2,
    )
    assert (
        "\n\nAccounts: 1 updated, 2 failed\n"
        "  billing: 1 updated, 2 unchanged\n"
        "  security: 1 deleted, 2 contested\n"
        "  primary: left out, invalid: primary.City is not set\n"
        "  operations: not set in the management account\n"
        "  skipped, SUSPENDED: 3\n"
        f"  skipped: {MEMBER}, SUSPENDED\n"
        "  took 2 min 4 s; expected 2 min 0 s under the API's quotas\n"
        "  2 child executions ended without a result\n\n"
    ) in made


def test_a_missing_contact_that_was_left_out_is_mentioned_once() -> None:
    made = text(left_out={"security": "not set in the management account"}, missing=["security"])
    assert 1 == made.count("not set in the management account")


def test_a_run_that_got_to_no_account_says_so_without_a_time() -> None:
    made = text(outcome=failure("InvalidConfigError"), seconds=1)
    assert "\n\nAccounts: none to sync\n\nExecution: " in made


def test_where_nobody_can_know_what_differs_the_expected_time_is_a_range() -> None:
    made = text(*many(1, billing="unchanged"), estimated_seconds=60, most_seconds=120, seconds=80)
    assert "\n  took 1 min 20 s; expected 1 min 0 s to 2 min 0 s under the API's quotas\n" in made


def test_warnings_are_listed() -> None:
    warnings = ["billing and security share one e-mail address", "two\nlines"]
    assert (
        "\n\nWarnings:\n  billing and security share one e-mail address\n  two lines\n\n"
    ) in text(warnings=warnings)


def test_a_superseded_run_names_the_one_that_goes_on() -> None:
    made = text(outcome=failure("LockLostError"), superseded_by="run-2")
    assert "Superseded by: run-2\n" in made


def test_a_text_ends_with_the_links() -> None:
    expected = (
        "\n\nExecution: https://example.com/execution\nDashboard: https://example.com/board\n"
    )
    assert text().endswith(expected)


# Dry runs


def test_a_dry_run_names_the_accounts_that_would_change_and_says_that_none_was_written() -> None:
    made = text(
        make_result(MEMBER, billing="updated", security="deleted"),
        make_result(OTHER, billing="unchanged", security="unchanged"),
        dry_run=True,
    )
    assert "Dry run: no account was written." in made.splitlines()
    assert "  billing: 1 would change, 1 unchanged\n" in made
    assert "  security: 1 would be deleted, 1 unchanged\n" in made
    assert f"\n\nAccounts that would change:\n  {MEMBER}  billing, security\n\n" in made


def test_a_dry_run_names_a_few_accounts_and_counts_the_others_that_would_change() -> None:
    results = [*many(27, billing="updated"), *many(3, billing="updated", security="failed")]
    made = text(*results, dry_run=True)
    assert "  and 5 more; the state table's index lists all\n\nFailed accounts:" in made


def test_only_a_dry_run_lists_what_would_change() -> None:
    made = text(make_result(billing="updated"))
    assert [] == [words for words in ("would", "Dry run", "DRY RUN") if words in made]


# Failures, and what to do


@pytest.mark.rule(6)
def test_a_text_names_failed_accounts_and_each_remedy_once() -> None:
    made = text(
        make_result(MEMBER, "ThrottledError", billing="failed"),
        make_result(OTHER, "ThrottledError", billing="failed", security="contested"),
    )
    assert (
        "\n\nFailed accounts:\n"
        f"  {MEMBER}  billing: ThrottledError\n"
        f"  {OTHER}  billing: ThrottledError, security: ThrottledError\n"
        "What to do:\n"
        "  ThrottledError: Retry the failed accounts. If other tools use the same quota, lower "
        "QuotaShare.\n\n"
    ) in made


@pytest.mark.parametrize(("failed", "more"), [(30, 5), (26, 1), (45, 20)])
def test_a_text_counts_the_failed_accounts_that_it_does_not_name(failed: int, more: int) -> None:
    expected = f"\n  and {more} more; the state table's index lists all\nWhat to do:\n"
    assert expected in text(*many(failed, billing="failed"))


@pytest.mark.parametrize("count", [1, 25])
def test_a_text_that_names_every_failed_account_counts_no_others(count: int) -> None:
    made = text(*many(count, billing="failed"))
    assert f"  {100_000_000_000 + count}  billing: X\nWhat to do:" in made
    assert " more; " not in made


def test_the_next_command_repeats_what_failed() -> None:
    made = text(make_result(billing="failed"), outcome=PARTIAL)
    assert f"\nNext: {RETRY}\n" in made


def test_without_a_failure_there_is_no_next_command() -> None:
    assert "Next:" not in text(make_result(billing="updated"))


@pytest.mark.parametrize(
    ("error", "command"),
    [
        ("InvalidRequestError", "bash scripts/resync.sh --help"),
        ("InvalidConfigError", "bash scripts/config.sh show --environment prod"),
        ("LockLostError", "bash scripts/resync.sh --environment prod"),
        ("SyncFailedError", RETRY),
        ("Lambda.Unknown", RETRY),
    ],
)
def test_each_error_has_its_next_command(error: str, command: str) -> None:
    assert command == next_command("prod", make_report(outcome=failure(error)))


@pytest.mark.parametrize(
    ("error", "command"),
    [
        ("InvalidSourceError", f"{RETRY} --dry-run"),
        ("InvalidConfigError", "bash scripts/config.sh show --environment prod"),
    ],
)
def test_the_next_command_after_a_dry_run_writes_nothing_either(error: str, command: str) -> None:
    assert command == next_command("prod", make_report(outcome=failure(error), dry_run=True))


# Drift


def drifted(account_id: str = MEMBER) -> AccountResult:
    record = ContactRecord(Status.UPDATED, drifted=True)
    return AccountResult(
        account_id, dict.fromkeys([ContactType.BILLING, ContactType.PRIMARY], record)
    )


@pytest.mark.parametrize("dry_run", [True, False])
def test_drifted_accounts_are_named_with_their_contacts(*, dry_run: bool) -> None:
    made = text(drifted(), make_result(OTHER, billing="updated"), dry_run=dry_run)
    assert f"\n\nDrifted accounts:\n  {MEMBER}  billing, primary\n\n" in made


def test_a_few_accounts_are_named_and_the_others_counted() -> None:
    made = text(*[drifted(str(100_000_000_001 + n)) for n in range(30)])
    assert "  and 5 more; the state table's index lists all\n\nExecution" in made
    made = text(*many(30, billing="skipped"), undoes=["run-1"])
    assert "  and 5 more\n\nExecution" in made


# An undo


def undone(**changes: Any) -> str:
    results = [
        make_result(
            MEMBER, "changed since", billing="updated", primary="updated", security="skipped"
        ),
        make_result(THIRD, "changed since", billing="skipped", security="skipped"),
        replace(make_result(OTHER, billing="updated"), stays=("billing",)),
    ]
    return text(*results, undoes=["run-2", "run-1"], **changes)


def test_an_undo_names_its_runs_what_it_left_and_what_will_be_overwritten() -> None:
    made = undone()
    assert "\nUndoes: run run-2, run run-1\n" in made
    assert "Accounts: 2 put back, 1 skipped\n" in made
    both = "billing: changed since, security: changed since"
    left = f"Not put back:\n  {MEMBER}  security: changed since\n  {THIRD}  {both}"
    assert f"\n\n{left}\n\n" in made
    overwritten = "The next contact change or full run overwrites these:"
    remedy = (
        "To prevent this, correct the source or the override, exclude the account (bash "
        "scripts/config.sh exclude --environment prod ACCOUNT), or give it an override with the "
        "value own."
    )
    assert f"\n\n{overwritten}\n  {MEMBER}  billing, primary\n  {remedy}\n" in made


def test_an_undo_that_nothing_overwrites_does_not_warn() -> None:
    stays = replace(make_result(OTHER, billing="updated"), stays=("billing",))
    assert "overwrites" not in text(stays, undoes=["run-1"])


def test_the_subject_of_an_undo_says_so() -> None:
    changes = {"undoes": ["run-1"], "dry_run": False}
    assert "[prod] undo of a contact sync success: 1 put back" == title(
        make_result(billing="updated"), **changes
    )
    changes["dry_run"] = True
    assert "DRY RUN [prod] undo of a contact sync success: 1 would be put back" == title(
        make_result(billing="updated"), **changes
    )


def test_only_an_undo_names_each_contact_that_it_skipped() -> None:
    assert "Not put back" not in text(make_result(MEMBER, "X", billing="skipped"))


def test_a_run_that_goes_on_with_a_dead_one_says_so() -> None:
    assert "\nContinues: run dead, which did not finish\n" in text(continues=["dead"])
