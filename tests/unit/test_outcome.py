"""What a run did in sum, and how it ends."""

from typing import Any

import pytest
from contact_sync.comparison import Status
from contact_sync.contacts import ContactType
from support.builders import EARLIER_PLAN, MEMBER, PLANNED_AT, make_counts, make_result
from sync_reporter.outcome import (
    LEFT,
    MAX_NAMED_ACCOUNTS,
    AccountResult,
    ContactRecord,
    RunOutcome,
    RunStatus,
    account_result,
    run_outcome,
)

PRIMARY, BILLING, OPERATIONS, SECURITY = ContactType


def record(status: str = "unchanged", **changes: Any) -> dict[str, Any]:
    return {"status": status, "planned_at": PLANNED_AT, **changes}


def read(item: dict[str, Any], *types: ContactType) -> AccountResult:
    return account_result(MEMBER, item, types or (BILLING,), PLANNED_AT)


# One account


@pytest.mark.rule(6)
@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["unchanged", "unchanged"], "unchanged"),
        (["unchanged", "skipped"], "unchanged"),
        (["skipped", "skipped"], "skipped"),
        (["unchanged", "updated"], "updated"),
        (["skipped", "deleted"], "updated"),
        (["updated", "failed"], "failed"),
        (["unchanged", "contested"], "failed"),
        ([], "unchanged"),
    ],
)
def test_an_accounts_status_is_that_of_its_worst_contact(
    statuses: list[str], expected: str
) -> None:
    assert expected == make_result(**dict(zip(ContactType, statuses, strict=False))).status


def test_what_was_recorded_in_this_run_counts_and_is_known_by_contact() -> None:
    item = {
        "billing": record("updated"),
        "security": record("failed", error="ThrottledError"),
        "primary": record("contested", error="ContestedError"),
        "operations": record("deleted"),
    }
    found = read(item, *ContactType)
    assert {"security": "ThrottledError", "primary": "ContestedError"} == found.errors
    assert ["billing", "operations"] == found.changed


@pytest.mark.rule(6)
@pytest.mark.parametrize("item", [{}, {"billing": record("updated", planned_at=EARLIER_PLAN)}])
def test_a_contact_without_a_record_of_this_plan_has_failed(item: dict[str, Any]) -> None:
    assert {"billing": "NotRecordedError"} == read(item).errors


def test_the_error_of_a_function_that_died_is_known_by_its_childs_record() -> None:
    failure = {"planned_at": PLANNED_AT, "error": "Lambda.Unknown"}
    assert {
        "billing": "Lambda.Unknown",
        "security": "Lambda.Unknown",
        "primary": "NotRecordedError",
    } == read({"alternate_failure": failure}, BILLING, SECURITY, PRIMARY).errors
    assert {"primary": "Lambda.Unknown"} == read({"primary_failure": failure}, PRIMARY).errors


def test_a_childs_record_of_another_run_is_ignored() -> None:
    failure = {"planned_at": EARLIER_PLAN, "error": "Lambda.Unknown"}
    assert {"billing": "NotRecordedError"} == read({"alternate_failure": failure}).errors


def test_what_a_processor_recorded_wins_over_its_childs_record() -> None:
    failure = {"planned_at": PLANNED_AT, "error": "Lambda.Unknown"}
    found = read({"alternate_failure": failure, "billing": record("updated")})
    assert (Status.UPDATED, {}) == (found.status, found.errors)


@pytest.mark.parametrize("item", [{}, {"billing": record("failed", error="AccessDeniedError")}])
def test_an_account_that_left_during_the_run_is_skipped(item: dict[str, Any]) -> None:
    found = read({**item, "left_at": "2026-01-05T10:00:05.001Z"})
    assert MEMBER == found.account_id
    assert (Status.SKIPPED, LEFT, {}) == (found.status, found.skipped, found.errors)


@pytest.mark.parametrize("left_at", ["2026-01-05T10:00:04.999Z", PLANNED_AT])
def test_an_account_that_had_left_and_joined_again_before_the_run_is_not_skipped(
    left_at: str,
) -> None:
    found = read({"left_at": left_at})
    assert {"billing": "NotRecordedError"} == found.errors


# All accounts


def test_accounts_and_contacts_are_counted() -> None:
    counts = make_counts(
        make_result(billing="updated", security="unchanged"),
        make_result(billing="failed", security="updated"),
        make_result(billing="failed", security="updated"),
        make_result(billing="updated", security="updated"),
    )
    assert {"updated": 2, "failed": 2} == counts.accounts
    assert {
        BILLING: {"updated": 2, "failed": 2},
        SECURITY: {"unchanged": 1, "updated": 3},
    } == counts.types
    assert {BILLING: {"X": 2}} == counts.errors
    assert 2 == counts.failed


@pytest.mark.rule(10)
def test_a_few_failed_changed_and_skipped_accounts_are_named_and_all_are_counted() -> None:
    numbers = [str(n) for n in range(30)]
    counts = make_counts(
        *(make_result(n, billing="failed") for n in numbers),
        *(make_result(n, billing="updated") for n in numbers),
        *(make_result(n, "CLOSED", billing="skipped") for n in numbers),
    )
    assert {"failed": 30, "updated": 30, "skipped": 30} == counts.accounts
    assert ({"CLOSED": 30}, 30) == (counts.skipped, counts.changes)
    named = (counts.failures, counts.changed, counts.named_skips)
    assert [MAX_NAMED_ACCOUNTS] * 3 == [len(one) for one in named] == [25] * 3


def test_an_account_of_which_one_contact_changed_and_another_failed_is_named_as_both() -> None:
    counts = make_counts(make_result(billing="updated", security="failed"))
    assert [MEMBER] == [one.account_id for one in counts.changed]
    assert [MEMBER] == [one.account_id for one in counts.failures]
    assert 1 == counts.changes


def test_a_skipped_account_is_named_with_the_reason() -> None:
    counts = make_counts(make_result(error=LEFT, billing="skipped"))
    assert ({LEFT: 1}, {MEMBER: LEFT}) == (counts.skipped, counts.named_skips)


def test_the_reason_of_any_skipped_contact_is_the_accounts() -> None:
    contacts = {
        BILLING: ContactRecord(Status.SKIPPED),
        SECURITY: ContactRecord(Status.SKIPPED, "CLOSED"),
    }
    assert "CLOSED" == AccountResult(MEMBER, contacts).skipped


def test_a_contact_that_is_not_ours_to_delete_is_skipped_without_a_name() -> None:
    counts = make_counts(AccountResult(MEMBER, {BILLING: ContactRecord(Status.SKIPPED)}))
    assert {"skipped": 1} == counts.accounts
    assert ({}, {}) == (counts.skipped, counts.named_skips)


def test_a_partly_skipped_account_is_named_with_the_contacts_and_not_counted_as_skipped() -> None:
    counts = make_counts(
        make_result(error="just joined", billing="skipped", security="skipped", primary="updated")
    )
    assert {MEMBER: "billing, security: just joined"} == counts.named_skips
    assert ({"updated": 1}, {}) == (counts.accounts, counts.skipped)


def test_a_type_was_not_tried_where_an_account_has_no_record_or_was_not_ready() -> None:
    counts = make_counts(
        make_result(billing="failed", security="updated"),
        make_result(error="NotRecordedError", primary="failed", security="unchanged"),
        make_result(error="just joined", operations="skipped"),
        make_result(error="NotReadyError", billing="unchanged", security="failed"),
    )
    assert {PRIMARY, OPERATIONS, SECURITY} == counts.not_tried


# The outcome


def outcome(
    *results: AccountResult,
    threshold: int = 1,
    states: dict[str, int] | None = None,
    has_invalid: bool = False,
    dry_run: bool = False,
) -> RunOutcome:
    return run_outcome(
        make_counts(*results),
        failure_threshold=threshold,
        unknown_states=states or {},
        has_invalid=has_invalid,
        dry_run=dry_run,
    )


WELL = make_result("1", billing="updated", security="unchanged")
SKIPPED = make_result("2", billing="skipped", security="skipped")
DENIED = make_result("3", "AccessDeniedError", billing="failed", security="unchanged")
LOST = make_result("4", "NotRecordedError", billing="failed", security="failed")


@pytest.mark.parametrize("results", [[], [WELL], [WELL, SKIPPED], [SKIPPED]])
def test_without_a_failed_account_a_run_succeeds(results: list[AccountResult]) -> None:
    assert RunOutcome(RunStatus.SUCCESS) == outcome(*results)


def test_a_run_of_which_every_contact_failed_is_a_failure() -> None:
    found = outcome(LOST, LOST, threshold=100)
    assert (RunStatus.FAILURE, "SyncFailedError") == (found.status, found.error)
    assert found.cause.startswith(
        "billing failed in 2 of 2 accounts (NotRecordedError); "
        "security failed in 2 of 2 accounts (NotRecordedError). Failed accounts: 2, first 4 "
    )


def test_the_cause_names_the_type_that_failed_everywhere_and_the_types_without_failure() -> None:
    found = outcome(DENIED, DENIED)
    assert (RunStatus.PARTIAL, "PartialSyncError") == (found.status, found.error)
    assert found.cause.startswith(
        "billing failed in 2 of 2 accounts (AccessDeniedError); security: no failure. "
        "Failed accounts: 2, first 3 (AccessDeniedError), 3 (AccessDeniedError). Correct the"
    )


def test_the_cause_lists_types_and_errors() -> None:
    errors = {
        BILLING: ContactRecord(Status.FAILED, "AccessDeniedError"),
        SECURITY: ContactRecord(Status.FAILED, "ThrottledError"),
    }
    well = dict.fromkeys((ContactType.PRIMARY, ContactType.OPERATIONS), "unchanged")
    other = make_result("4", "ThrottledError", billing="failed", **well)
    found = outcome(AccountResult("3", errors), other)
    assert found.cause.startswith(
        "billing failed in 2 of 2 accounts (AccessDeniedError, ThrottledError); "
        "security failed in 1 of 1 accounts (ThrottledError); primary, operations: no failure. "
        "Failed accounts: 2, first 3 (AccessDeniedError, ThrottledError), 4 (ThrottledError). "
    )


def test_a_cause_names_the_first_five_failed_accounts() -> None:
    failed = [make_result(str(n), billing="failed", security="updated") for n in range(7)]
    assert (
        " Failed accounts: 7, first 0 (X), 1 (X), 2 (X), 3 (X), 4 (X). " in outcome(*failed).cause
    )


def test_some_failed_below_the_threshold_is_partial_and_no_error() -> None:
    found = outcome(WELL, DENIED, threshold=2)
    assert (RunStatus.PARTIAL, None) == (found.status, found.error)
    assert "Failed accounts: 1, first 3 (AccessDeniedError)." in found.cause


def test_as_many_failed_as_the_threshold_is_an_error() -> None:
    found = outcome(WELL, DENIED, DENIED, threshold=2)
    assert (RunStatus.PARTIAL, "PartialSyncError") == (found.status, found.error)


def test_a_contact_left_out_as_invalid_is_at_least_partial() -> None:
    assert RunOutcome(RunStatus.PARTIAL) == outcome(WELL, has_invalid=True)


@pytest.mark.rule(5)
def test_accounts_in_an_unknown_state_are_an_error() -> None:
    found = outcome(WELL, states={"ZOMBIE": 1, "HIBERNATED": 2})
    assert (RunStatus.PARTIAL, "UnknownAccountStateError") == (found.status, found.error)
    assert found.cause.startswith("accounts in an unknown state: 2 HIBERNATED, 1 ZOMBIE. Update")


@pytest.mark.parametrize(
    ("results", "how", "status"),
    [
        ([LOST], {}, RunStatus.PARTIAL),
        ([WELL, DENIED], {}, RunStatus.PARTIAL),
        ([WELL], {"has_invalid": True}, RunStatus.PARTIAL),
        ([WELL], {"states": {"ZOMBIE": 1}}, RunStatus.SUCCESS),
        ([WELL], {}, RunStatus.SUCCESS),
    ],
)
def test_a_dry_run_succeeds_whatever_it_finds(
    results: list[AccountResult], how: dict[str, Any], status: RunStatus
) -> None:
    assert RunOutcome(status) == outcome(*results, dry_run=True, **how)
