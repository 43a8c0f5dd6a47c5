"""Which accounts a run syncs: never the source, an excluded one or one that is not ACTIVE."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest
from account_lister.selection import (
    MAX_NAMED_SKIPS,
    Selection,
    check_units,
    scattered,
    select_accounts,
)
from contact_sync.accounts import Account, ListedAccount, Scope
from contact_sync.contact_sets import OWN, Overrides
from contact_sync.contacts import ContactType
from contact_sync.errors import (
    InvalidConfigError,
    NoActiveAccountsError,
    NoMemberAccountsError,
)
from support.builders import (
    INNER_UNIT,
    MANAGEMENT,
    MEMBER,
    OTHER,
    OTHER_UNIT,
    STRANGER,
    THIRD,
    UNIT,
    in_units,
    make_account,
    make_scope,
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
    return select_accounts(accounts or ORGANIZATION, make_scope(**scope), in_units)


def selected(*account_ids: str, **skipped: int) -> Selection:
    return Selection([ListedAccount(one) for one in account_ids], Counter(skipped))


def test_each_account_has_the_number_of_its_contact_set() -> None:
    numbers = {MEMBER: 2, OTHER: 0, THIRD: 1}
    selection = select_accounts(
        ORGANIZATION, make_scope(), in_units, lambda account: numbers[account.id]
    )
    assert numbers == {one.account_id: one.contact_set for one in selection.accounts}


# Who is in


@pytest.mark.rule(2)
def test_every_member_but_never_the_management_account_is_selected() -> None:
    assert selected(MEMBER, OTHER, THIRD) == select()


def test_the_management_account_is_not_selected_even_where_it_is_named() -> None:
    assert selected(MEMBER) == select(account_ids=[MEMBER, MANAGEMENT])


def test_an_account_that_is_listed_twice_is_selected_once() -> None:
    accounts = [*ORGANIZATION, make_account(MEMBER, "SUSPENDED"), make_account(OTHER)]
    assert selected(OTHER, THIRD, SUSPENDED=1) == select(accounts)


def test_only_named_accounts_are_selected() -> None:
    assert [MEMBER, THIRD] == sorted(select(account_ids=[THIRD, MEMBER]).account_ids)


@pytest.mark.parametrize("unit", [UNIT, INNER_UNIT])
def test_an_ou_selects_its_accounts_at_any_depth(unit: str) -> None:
    assert [MEMBER] == select(organizational_units=[unit]).account_ids


def test_named_accounts_and_ous_add_up() -> None:
    assert [MEMBER, THIRD] == select(account_ids=[THIRD], organizational_units=[UNIT]).account_ids


# Who is out


@pytest.mark.rule(2)
def test_an_excluded_account_is_skipped() -> None:
    selection = select(excluded_accounts=[OTHER])
    assert [MEMBER, THIRD] == selection.account_ids
    assert {"excluded": 1} == selection.skipped


@pytest.mark.rule(2)
@pytest.mark.parametrize("unit", [UNIT, INNER_UNIT])
def test_an_account_under_an_excluded_ou_is_skipped_at_any_depth(unit: str) -> None:
    assert [OTHER, THIRD] == select(excluded_organizational_units=[unit]).account_ids


def test_exclusion_wins_over_being_named() -> None:
    selection = select(account_ids=[OTHER], excluded_accounts=[OTHER])
    assert [] == selection.account_ids
    assert {OTHER: "excluded"} == selection.named_skips


@pytest.mark.rule(2)
@pytest.mark.parametrize("state", ["SUSPENDED", "PENDING_CLOSURE", "CLOSED", "PENDING_ACTIVATION"])
def test_only_active_accounts_are_selected(state: str) -> None:
    selection = select([SOURCE_ACCOUNT, make_account(MEMBER, state), make_account(OTHER)])
    assert [OTHER] == selection.account_ids
    assert ({state: 1}, {}) == (selection.skipped, selection.unknown_states)


@pytest.mark.parametrize("state", ["HIBERNATED", "UNKNOWN", ""])
def test_accounts_in_an_unknown_state_are_skipped_and_counted(state: str) -> None:
    accounts = [*ORGANIZATION, *(make_account(str(n), state) for n in range(2))]
    selection = select(accounts)
    assert [MEMBER, OTHER, THIRD] == selection.account_ids
    assert {state: 2} == selection.skipped == selection.unknown_states


def test_the_state_of_an_excluded_account_does_not_matter() -> None:
    accounts = [*ORGANIZATION, make_account(STRANGER, "HIBERNATED")]
    assert {} == select(accounts, excluded_accounts=[STRANGER]).unknown_states


def test_a_named_account_that_is_not_in_the_organization_is_skipped_by_name() -> None:
    selection = select(account_ids=[MEMBER, STRANGER])
    assert [MEMBER] == selection.account_ids
    assert {STRANGER: "not in the organization"} == selection.named_skips
    assert {"not in the organization": 1} == selection.skipped


def test_skips_are_named_only_where_the_request_named_them() -> None:
    assert {} == select(excluded_accounts=[OTHER], organizational_units=[OTHER_UNIT]).named_skips


def test_at_most_20_skips_are_named_and_all_are_counted() -> None:
    ids = [str(100_000_000_000 + n) for n in range(25)]
    accounts = [SOURCE_ACCOUNT, *(make_account(one, "CLOSED") for one in ids)]
    selection = select(accounts, account_ids=ids)
    assert {"CLOSED": 25} == selection.skipped
    assert MAX_NAMED_SKIPS == len(selection.named_skips) == 20


# Organizations that cannot be synced


@pytest.mark.rule(5)
@pytest.mark.parametrize("scope", [{}, {"account_ids": [MEMBER]}])
@pytest.mark.parametrize("accounts", [[], [SOURCE_ACCOUNT]])
def test_an_organization_without_members_is_an_error(
    accounts: list[Account], scope: dict[str, Any]
) -> None:
    expected = "^Organizations lists only the management account$"
    with pytest.raises(NoMemberAccountsError, match=expected):
        select_accounts(accounts, make_scope(**scope), in_units)


CLOSING = [SOURCE_ACCOUNT, *(make_account(one, "SUSPENDED") for one in (MEMBER, OTHER))]


@pytest.mark.rule(5)
def test_a_run_over_every_account_of_which_none_is_active_is_an_error() -> None:
    accounts = [*CLOSING, make_account(THIRD, "HIBERNATED")]
    expected = "^no member account is ACTIVE: 1 HIBERNATED, 2 SUSPENDED$"
    with pytest.raises(NoActiveAccountsError, match=expected):
        select(accounts)


def test_a_run_over_some_accounts_of_which_none_is_active_is_no_error() -> None:
    assert {"SUSPENDED": 1} == select(CLOSING, account_ids=[MEMBER]).skipped


def test_members_of_which_all_are_excluded_are_no_error() -> None:
    assert [] == select(excluded_accounts=[MEMBER, OTHER, THIRD]).account_ids


# Exclusions that protect nobody


def test_excluded_accounts_that_are_not_in_the_organization_are_warned_of() -> None:
    selection = select(excluded_accounts=["123123123124", STRANGER, MEMBER])
    expected = f"excluded_accounts: not in the organization: {STRANGER}, 123123123124"
    assert [expected] == selection.warnings


def test_an_excluded_management_account_is_warned_of() -> None:
    (warning,) = select(excluded_accounts=[MANAGEMENT]).warnings
    assert (
        f"excluded_accounts: {MANAGEMENT} is the management account, which is never written"
    ) == warning


def test_a_rule_of_an_account_that_is_not_in_the_organization_is_warned_of() -> None:
    overrides = Overrides(accounts={STRANGER: {ContactType.BILLING: OWN}})
    assert [f"overrides: not in the organization: {STRANGER}"] == select(
        overrides=overrides
    ).warnings


def test_of_very_many_unknown_exclusions_the_first_are_named() -> None:
    strangers = [str(123_000_000_000 + n) for n in range(17_000)]
    (warning,) = select(excluded_accounts=strangers).warnings
    assert warning.endswith("123000000019, and 16980 more")


def test_exclusions_that_protect_an_account_are_not_warned_of() -> None:
    assert [] == select(excluded_accounts=[MEMBER]).warnings


# Organizational units that do not exist


def missing_units(units: Collection[str]) -> list[str]:
    return [unit for unit in units if unit in (MISSING_UNIT, OTHER_MISSING_UNIT)]


def checked(**scope: Any) -> tuple[Scope, list[str]]:
    return check_units(make_scope(**scope), missing_units)


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"account_ids": [MEMBER]},
        {"organizational_units": [UNIT, OTHER_UNIT]},
        {"organizational_units": [UNIT], "excluded_organizational_units": [INNER_UNIT]},
    ],
)
def test_a_scope_of_units_that_exist_stays_as_it_is(scope: dict[str, Any]) -> None:
    assert (make_scope(**scope), []) == checked(**scope)


@pytest.mark.rule(11)
def test_an_unknown_excluded_unit_is_an_error_and_never_no_exclusion() -> None:
    units = [MISSING_UNIT, UNIT, OTHER_MISSING_UNIT]
    expected = (
        "excluded_organizational_units: not in the organization: "
        f"{MISSING_UNIT}, {OTHER_MISSING_UNIT}$"
    )
    with pytest.raises(InvalidConfigError, match=expected):
        checked(excluded_organizational_units=units)


def test_an_unknown_requested_unit_is_left_out_by_name() -> None:
    scope = {"excluded_organizational_units": [INNER_UNIT]}
    expected = make_scope(organizational_units=[UNIT], **scope)
    answer = checked(organizational_units=[MISSING_UNIT, UNIT], **scope)
    assert (expected, [MISSING_UNIT]) == answer


def test_unknown_requested_units_alone_match_nobody_and_never_everyone() -> None:
    scope, _ = checked(organizational_units=[MISSING_UNIT, OTHER_MISSING_UNIT])
    assert [] == select_accounts(ORGANIZATION, scope, in_units).account_ids


# The order


def test_neighbours_are_not_processed_together() -> None:
    listed = [f"{number:012}" for number in range(1, 1001)]
    chosen = [one.account_id for one in scattered(map(ListedAccount, listed))]
    assert sorted(chosen) == listed
    drifted = set(listed[:500])
    for start in range(0, 1000, 100):
        assert 30 <= sum(account in drifted for account in chosen[start : start + 100]) <= 70


def test_the_order_is_the_same_however_they_were_listed() -> None:
    one, other = ListedAccount(MEMBER), ListedAccount(OTHER, 1)
    assert scattered([one, other]) == scattered([other, one])
