"""What a round did in sum, and how the run ends."""

from typing import Any

import pytest
from builders import MEMBER, SYNC_ID, make_round
from contact_sync.contacts import ContactType
from contact_sync.outcome import (
    MOST_NAMED_FAILURES,
    AccountResult,
    RoundSummary,
    RunOutcome,
    RunStatus,
    account_result,
    record_of,
    run_outcome,
)
from contact_sync.reconcile import Status

BILLING, PRIMARY, SECURITY = ContactType.BILLING, ContactType.PRIMARY, ContactType.SECURITY


def record(status: str = "unchanged", **changes: Any) -> dict[str, Any]:
    return {"status": status, "sync_id": SYNC_ID, "round": 1, **changes}


def result_of(item: dict[str, Any], *types: ContactType) -> AccountResult:
    return account_result(MEMBER, item, types or (BILLING,), SYNC_ID, 1)


def result(account_id: str = MEMBER, **statuses: str) -> AccountResult:
    errors = {ContactType(name): "X" for name, status in statuses.items() if status == "failed"}
    return AccountResult(
        account_id, {ContactType(name): Status(one) for name, one in statuses.items()}, errors
    )


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["unchanged", "unchanged"], "unchanged"),
        (["unchanged", "skipped"], "unchanged"),
        (["skipped", "skipped"], "skipped"),
        (["unchanged", "updated"], "updated"),
        (["skipped", "deleted"], "updated"),
        (["updated", "failed"], "failed"),
        (["unchanged", "not_accepted"], "failed"),
        ([], "unchanged"),
    ],
)
def test_an_accounts_status_is_that_of_its_worst_contact(
    statuses: list[str], expected: str
) -> None:
    named = dict(zip(ContactType, map(Status, statuses), strict=False))
    assert expected == AccountResult(MEMBER, named, {}).status


def test_what_was_recorded_in_this_round_counts() -> None:
    item = {"billing": record("updated"), "primary": record("failed", error="ThrottledError")}
    assert result_of(item, BILLING, PRIMARY) == AccountResult(
        MEMBER,
        {BILLING: Status.UPDATED, PRIMARY: Status.FAILED},
        {PRIMARY: "ThrottledError"},
    )


def test_what_was_not_accepted_has_an_error() -> None:
    item = {"billing": record("not_accepted", error="NotAcceptedError")}
    assert {BILLING: "NotAcceptedError"} == result_of(item).errors


@pytest.mark.parametrize(
    "item",
    [{}, {"billing": record(sync_id="another")}, {"billing": record(round=2)}],
)
def test_an_account_without_a_record_of_this_round_lost_its_child(item: dict[str, Any]) -> None:
    assert AccountResult(MEMBER, {BILLING: Status.FAILED}, {BILLING: "ChildLostError"}) == (
        result_of(item)
    )


@pytest.mark.parametrize(
    ("name", "sync_id", "number", "is_found"),
    [
        ("billing", SYNC_ID, 1, True),
        ("primary", SYNC_ID, 1, False),
        ("billing", "another", 1, False),
        ("billing", SYNC_ID, 2, False),
    ],
)
def test_a_record_is_that_of_its_round_alone(
    name: str, sync_id: str, number: int, *, is_found: bool
) -> None:
    found = record_of({"billing": record("updated")}, name, sync_id, number)
    assert (record("updated") if is_found else None) == found


def test_a_processor_that_could_not_record_is_known_by_its_childs_record() -> None:
    failure = {"sync_id": SYNC_ID, "round": 1, "error": "Lambda.Unknown"}
    item = {"alternate_failure": failure}
    assert {
        BILLING: "Lambda.Unknown",
        SECURITY: "Lambda.Unknown",
        PRIMARY: "ChildLostError",
    } == result_of(item, BILLING, SECURITY, PRIMARY).errors
    assert {PRIMARY: "Lambda.Unknown"} == result_of({"primary_failure": failure}, PRIMARY).errors


@pytest.mark.parametrize("other", [{"sync_id": "another"}, {"round": 2}])
def test_a_childs_record_of_another_round_says_nothing(other: dict[str, Any]) -> None:
    failure = {"sync_id": SYNC_ID, "round": 1, "error": "Lambda.Unknown", **other}
    assert {BILLING: "ChildLostError"} == result_of({"alternate_failure": failure}).errors


def test_what_a_processor_recorded_wins_over_the_childs_record() -> None:
    failure = {"sync_id": SYNC_ID, "round": 1, "error": "Lambda.Unknown"}
    item = {"alternate_failure": failure, "billing": record("updated")}
    assert {BILLING: Status.UPDATED} == result_of(item).statuses


def test_a_round_counts_accounts_and_contacts() -> None:
    summary = RoundSummary()
    summary.add(result(billing="updated", security="unchanged"))
    summary.add(result(billing="failed", security="updated"))
    assert {"updated": 1, "failed": 1} == summary.accounts
    assert {
        BILLING: {"updated": 1, "failed": 1},
        SECURITY: {"unchanged": 1, "updated": 1},
    } == summary.types
    assert [MEMBER] == [one.account_id for one in summary.failures]


def test_contacts_of_one_status_add_up() -> None:
    summary = RoundSummary()
    for account_id in ("1", "2", "3"):
        summary.add(result(account_id, billing="updated"))
    assert {BILLING: {"updated": 3}} == summary.types


def test_a_round_names_a_few_failed_accounts_and_counts_all() -> None:
    summary = RoundSummary()
    for n in range(30):
        summary.add(result(str(n), billing="failed"))
    assert {"failed": 30} == summary.accounts
    assert MOST_NAMED_FAILURES == len(summary.failures) == 25


@pytest.mark.parametrize(
    ("status", "is_clean"),
    [("unchanged", True), ("updated", True), ("failed", False), ("not_accepted", False)],
)
def test_a_type_is_clean_where_no_account_failed_for_it(status: str, *, is_clean: bool) -> None:
    summary = RoundSummary()
    summary.add(result(billing=status, security="unchanged"))
    assert is_clean == summary.is_clean(BILLING)
    assert summary.is_clean(SECURITY)


def test_a_type_of_no_account_is_clean() -> None:
    assert RoundSummary().is_clean(PRIMARY)


def ending(failed: int, *rounds: dict[str, int], threshold: int = 1, **how: Any) -> RunOutcome:
    dry_run = how.get("dry_run", False)
    return run_outcome(map(make_round, rounds), failed, threshold, dry_run=dry_run)


@pytest.mark.parametrize("rounds", [(), ({},), ({"updated": 1, "unchanged": 1},)])
def test_without_a_failed_account_a_run_succeeds(rounds: Any) -> None:
    assert RunOutcome(RunStatus.SUCCESS) == ending(0, *rounds)


def test_what_failed_first_and_was_well_later_is_a_success() -> None:
    assert RunOutcome(RunStatus.SUCCESS) == ending(0, {"failed": 1}, {"updated": 1})


def test_all_accounts_failed_is_a_failure() -> None:
    outcome = ending(2, {"failed": 2}, threshold=100)
    assert (RunStatus.FAILURE, "SyncFailedError") == (outcome.status, outcome.error)
    assert outcome.cause.startswith("Every account failed. ")


def test_some_failed_below_the_threshold_is_partial_and_succeeds() -> None:
    outcome = ending(1, {"failed": 1, "unchanged": 1}, threshold=2)
    assert (RunStatus.PARTIAL, None) == (outcome.status, outcome.error)
    assert "Failed accounts: 1; failure_threshold is 2." == outcome.cause


def test_as_many_failed_as_the_threshold_fails_the_execution() -> None:
    outcome = ending(2, {"failed": 2, "skipped": 1}, threshold=2)
    assert (RunStatus.PARTIAL, "PartialSyncError") == (outcome.status, outcome.error)
    assert outcome.cause.startswith("Failed accounts: 2; failure_threshold is 2. See the failed")


@pytest.mark.parametrize("accounts", [{"failed": 2}, {"failed": 2, "updated": 1}])
def test_a_dry_run_succeeds_whatever_it_finds(accounts: dict[str, int]) -> None:
    assert RunOutcome(RunStatus.PARTIAL) == ending(2, accounts, dry_run=True)
