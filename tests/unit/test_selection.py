"""Which accounts a round syncs: never the source, an excluded one or one that is not ACTIVE."""

from collections.abc import Collection
from typing import Any

import pytest
from builders import (
    INNER_UNIT,
    MANAGEMENT,
    MEMBER,
    OTHER,
    OTHER_UNIT,
    STRANGER,
    THIRD,
    UNIT,
    make_account,
    make_scope,
)
from contact_sync.errors import (
    AccessDeniedError,
    InvalidConfigError,
    InvalidRequestError,
    NoMemberAccountsError,
)
from contact_sync.selection import (
    MOST_NAMED_SKIPS,
    Account,
    Scope,
    Selection,
    check_units,
    in_units_by_path,
    scattered,
    select_accounts,
)

MISSING_UNIT, OTHER_MISSING_UNIT = "ou-exam-nowhere00", "ou-exam-nowhere11"
SOURCE_ACCOUNT = make_account(MANAGEMENT)
ORGANIZATION = [
    SOURCE_ACCOUNT,
    make_account(MEMBER, path=f"{UNIT}/{INNER_UNIT}/"),
    make_account(OTHER, path=f"{OTHER_UNIT}/"),
    make_account(THIRD),
]


def select(accounts: list[Account] | None = None, **scope: Any) -> Selection:
    return select_accounts(accounts or ORGANIZATION, make_scope(**scope))


def test_every_member_but_never_the_management_account_is_selected() -> None:
    assert Selection([MEMBER, OTHER, THIRD]) == select()


def test_the_management_account_is_not_selected_even_where_it_is_named() -> None:
    assert Selection([MEMBER]) == select(account_ids=[MEMBER, MANAGEMENT])


def test_the_management_account_is_not_selected_with_its_ou() -> None:
    accounts = [make_account(MANAGEMENT, path=f"{UNIT}/"), *ORGANIZATION[1:]]
    assert [MEMBER] == select(accounts, organizational_units=[UNIT]).account_ids


def test_an_excluded_account_is_left_alone() -> None:
    selection = select(excluded_accounts=[OTHER])
    assert [MEMBER, THIRD] == selection.account_ids
    assert {"excluded": 1} == selection.skipped


@pytest.mark.parametrize("unit", [UNIT, INNER_UNIT])
def test_an_account_under_an_excluded_ou_is_left_alone_at_any_depth(unit: str) -> None:
    assert [OTHER, THIRD] == select(excluded_organizational_units=[unit]).account_ids


def test_exclusion_wins_over_being_named() -> None:
    selection = select(account_ids=[OTHER], excluded_accounts=[OTHER])
    assert [] == selection.account_ids
    assert {OTHER: "excluded"} == selection.named_skips


@pytest.mark.parametrize(
    "state", ["SUSPENDED", "PENDING_CLOSURE", "CLOSED", "PENDING_ACTIVATION", "UNKNOWN", ""]
)
def test_only_active_accounts_are_selected(state: str) -> None:
    selection = select([SOURCE_ACCOUNT, make_account(MEMBER, state), make_account(OTHER)])
    assert [OTHER] == selection.account_ids
    assert {state: 1} == selection.skipped


def test_only_named_accounts_are_selected_in_the_order_listed() -> None:
    assert [MEMBER, THIRD] == select(account_ids=[THIRD, MEMBER]).account_ids


@pytest.mark.parametrize("unit", [UNIT, INNER_UNIT])
def test_an_ou_selects_its_accounts_at_any_depth(unit: str) -> None:
    assert [MEMBER] == select(organizational_units=[unit]).account_ids


def test_named_accounts_and_ous_add_up() -> None:
    assert [MEMBER, THIRD] == select(account_ids=[THIRD], organizational_units=[UNIT]).account_ids


def test_a_path_matches_whole_ids_only() -> None:
    account = make_account(MEMBER, path=f"{UNIT}2/")
    assert not in_units_by_path(account, [UNIT])


def test_an_account_without_paths_is_in_no_unit_by_path() -> None:
    assert not in_units_by_path(Account(MEMBER, "ACTIVE"), [UNIT])


def test_units_can_be_resolved_in_another_way() -> None:
    scope = make_scope(excluded_organizational_units=[UNIT])
    selection = select_accounts(ORGANIZATION, scope, lambda account, _: account.id == THIRD)
    assert [MEMBER, OTHER] == selection.account_ids


def test_a_named_stranger_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequestError, match=f"not in the organization: {STRANGER}$"):
        select(account_ids=[MEMBER, STRANGER])


def test_named_strangers_are_listed() -> None:
    with pytest.raises(InvalidRequestError, match=f"organization: {STRANGER}, 123123123124$"):
        select(account_ids=[STRANGER, "123123123124"])


def test_of_very_many_named_strangers_the_first_are_listed() -> None:
    strangers = [str(123_000_000_000 + n) for n in range(17_000)]
    with pytest.raises(InvalidRequestError, match=r"123000000019, and 16980 more$"):
        select(account_ids=strangers)


def test_a_queued_stranger_is_skipped() -> None:
    selection = select(account_ids=[MEMBER, STRANGER], must_exist=False)
    assert [MEMBER] == selection.account_ids
    assert {STRANGER: "not in the organization"} == selection.named_skips
    assert {"not in the organization": 1} == selection.skipped


@pytest.mark.parametrize("accounts", [[], [SOURCE_ACCOUNT]])
def test_an_organization_without_members_is_an_error(accounts: list[Account]) -> None:
    expected = "^Organizations lists no account but the management account$"
    with pytest.raises(NoMemberAccountsError, match=expected):
        select_accounts(accounts, make_scope())


def test_members_of_which_none_is_in_scope_are_no_error() -> None:
    assert [] == select(excluded_accounts=[MEMBER, OTHER, THIRD]).account_ids


def test_skips_are_named_only_where_the_request_named_them() -> None:
    assert {} == select(excluded_accounts=[OTHER]).named_skips


def test_at_most_20_skips_are_named_and_all_are_counted() -> None:
    ids = [str(100_000_000_000 + n) for n in range(25)]
    accounts = [SOURCE_ACCOUNT, *(make_account(one, "CLOSED") for one in ids)]
    selection = select(accounts, account_ids=ids)
    assert {"CLOSED": 25} == selection.skipped
    assert MOST_NAMED_SKIPS == len(selection.named_skips) == 20


# Organizational units that do not exist


def missing_units(units: Collection[str]) -> list[str]:
    return [unit for unit in units if unit in (MISSING_UNIT, OTHER_MISSING_UNIT)]


def checked(**scope: Any) -> Scope:
    return check_units(make_scope(**scope), missing_units)


@pytest.mark.parametrize("must_exist", [True, False])
@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"account_ids": [MEMBER]},
        {"organizational_units": [UNIT, OTHER_UNIT]},
        {"organizational_units": [UNIT], "excluded_organizational_units": [INNER_UNIT]},
    ],
)
def test_a_scope_of_units_that_exist_stays_as_it_is(
    scope: dict[str, Any], *, must_exist: bool
) -> None:
    expected = make_scope(**scope, must_exist=must_exist)
    assert expected == checked(**scope, must_exist=must_exist)


@pytest.mark.parametrize("must_exist", [True, False])
def test_an_unknown_excluded_unit_is_always_an_error_and_never_no_exclusion(
    *, must_exist: bool
) -> None:
    units = [MISSING_UNIT, UNIT, OTHER_MISSING_UNIT]
    expected = (
        "excluded_organizational_units: not in the organization: "
        f"{MISSING_UNIT}, {OTHER_MISSING_UNIT}$"
    )
    with pytest.raises(InvalidConfigError, match=expected):
        checked(excluded_organizational_units=units, must_exist=must_exist)


def test_an_unknown_requested_unit_is_refused_by_name() -> None:
    expected = f"^organizational_units: not in the organization: {MISSING_UNIT}$"
    with pytest.raises(InvalidRequestError, match=expected):
        checked(organizational_units=[UNIT, MISSING_UNIT])


def test_unknown_requested_units_are_listed() -> None:
    expected = f"organization: {MISSING_UNIT}, {OTHER_MISSING_UNIT}$"
    with pytest.raises(InvalidRequestError, match=expected):
        checked(organizational_units=[MISSING_UNIT, OTHER_MISSING_UNIT])


def test_a_wrong_configuration_is_told_before_a_wrong_request() -> None:
    with pytest.raises(InvalidConfigError):
        checked(organizational_units=[MISSING_UNIT], excluded_organizational_units=[MISSING_UNIT])


def test_a_queued_requests_unknown_unit_is_left_out() -> None:
    scope = {"excluded_organizational_units": [INNER_UNIT], "must_exist": False}
    expected = make_scope(organizational_units=[UNIT], **scope)
    assert expected == checked(organizational_units=[MISSING_UNIT, UNIT], **scope)


def test_queued_unknown_units_alone_match_nobody_and_never_everyone() -> None:
    units = [MISSING_UNIT, OTHER_MISSING_UNIT]
    scope = checked(organizational_units=units, must_exist=False)
    assert [] == select_accounts(ORGANIZATION, scope).account_ids


def test_a_queued_unknown_unit_does_not_keep_named_accounts_from_their_turn() -> None:
    scope = checked(
        account_ids=[THIRD], organizational_units=[MISSING_UNIT, UNIT], must_exist=False
    )
    assert [MEMBER, THIRD] == select_accounts(ORGANIZATION, scope).account_ids


def test_units_that_cannot_be_looked_up_are_not_taken_for_missing() -> None:
    def denied(_: Collection[str]) -> list[str]:
        raise AccessDeniedError("describe organizational unit")

    with pytest.raises(AccessDeniedError):
        check_units(make_scope(organizational_units=[UNIT], must_exist=False), denied)


def test_neighbours_are_parted() -> None:
    listed = [f"{number:012}" for number in range(1, 1001)]
    chosen = scattered(listed)
    assert sorted(chosen) == listed
    drifted = set(listed[:500])
    for start in range(0, 1000, 100):
        assert 30 <= sum(account in drifted for account in chosen[start : start + 100]) <= 70


def test_the_order_is_the_same_however_they_were_listed() -> None:
    assert scattered([MEMBER, OTHER, THIRD]) == scattered([THIRD, MEMBER, OTHER])
