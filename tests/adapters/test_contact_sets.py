"""The contacts that each account gets, in all cases of overrides, with and without Paths."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from account_lister.selection import select_accounts
from account_lister.sets import KEEPS_ITS_OWN, LEFT_OUT, RunSets, check_overrides
from contact_sync.accounts import INVALID, Account, ListedAccount, Scope
from contact_sync.aws.organization import OrganizationClient as Organization
from contact_sync.config import parse_config
from contact_sync.contact_sets import SOURCE, ContactSet, Overrides
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidConfigError, InvalidSourceError
from standin.organization import OrganizationClient
from support.builders import (
    INNER_UNIT,
    MEMBER,
    OTHER,
    OTHER_UNIT,
    THIRD,
    UNIT,
    make_account,
    make_config,
    make_scope,
    make_world,
)
from support.override_tables import CASES, Case

SECURITY, BILLING = ContactType.SECURITY, ContactType.BILLING
TYPES = tuple(ContactType)
Make = Callable[[str], Any]


def given_contacts(
    organization: Organization, scope: Scope, types: tuple[ContactType, ...] = TYPES
) -> dict[str, ContactSet]:
    """Return the contacts of the accounts that a run of the scope would list."""
    accounts = list(organization.accounts())
    check_overrides(accounts, scope.overrides.units, organization.missing_units)
    sets = RunSets(scope, types, organization.depths)
    selection = select_accounts(accounts, scope, organization.in_units, sets.add)
    return {one.account_id: sets.sets[one.contact_set] for one in selection.accounts}


@pytest.mark.rule(1)
@pytest.mark.rule(11)
@pytest.mark.parametrize("without_paths", ["none", "some", "all"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_account_gets_the_contact_of_its_most_specific_rule(
    case: Case, without_paths: str, organization: OrganizationClient, client_of: Make
) -> None:
    for step in range(len(case.steps)):
        accounts = case.accounts(step)
        ids = [one["id"] for one in accounts]
        some = random.Random(case.number).sample(ids, 2)  # noqa: S311 - repeatable, not for security
        omitted = {"none": [], "some": some, "all": ids}[without_paths]
        organization.reset(
            make_world(*accounts, organizational_units=case.units(), omit_paths=omitted)
        )
        config = parse_config(make_config(overrides=case.overrides(step)))
        found = given_contacts(
            Organization(client_of("organizations")),
            make_scope(overrides=config.overrides_by_subject),
        )
        for account_id, gets in case.expected(step).items():
            expected = {str(name): gets.get(name, SOURCE) for name in TYPES}
            if set(expected.values()) == {"own"}:
                assert account_id not in found
            else:
                assert expected == found[account_id], account_id


def test_accounts_with_the_same_contacts_share_one_set() -> None:
    overrides = Overrides({MEMBER: {SECURITY: "payments"}, OTHER: {SECURITY: "payments"}})
    sets = RunSets(make_scope(overrides=overrides), [SECURITY], lambda *_: {})
    assert [0, 0, 1] == [sets.add(make_account(one)) for one in (MEMBER, OTHER, THIRD)]
    assert [{SECURITY: "payments"}, {SECURITY: SOURCE}] == sets.sets


def test_a_repeated_attempt_numbers_the_sets_as_the_first_one_did() -> None:
    overrides = Overrides({MEMBER: {SECURITY: "own"}})
    sets = RunSets(make_scope(overrides=overrides), [SECURITY, BILLING], lambda *_: {})
    accounts = [ListedAccount(one, sets.add(make_account(one))) for one in (MEMBER, OTHER)]  # type: ignore[arg-type]
    first = sets.sets[::-1]
    assert [ListedAccount(MEMBER, 1), ListedAccount(OTHER, 0)] == sets.numbered_as(first, accounts)
    with pytest.raises(ValueError, match="not in list"):
        sets.numbered_as(first[:1], accounts)


def test_the_time_of_a_run_follows_from_what_each_account_gets() -> None:
    overrides = Overrides({MEMBER: {SECURITY: "own"}})
    seconds = {SECURITY: {"Get": 0.1, "Put": 0.2}, BILLING: {"Get": 0.1}}
    sets = RunSets(
        make_scope(overrides=overrides, seconds=seconds), [SECURITY, BILLING], lambda *_: {}
    )
    for one in (MEMBER, OTHER, THIRD):
        sets.add(make_account(one))
    assert pytest.approx(0.5) == sets.seconds


def test_an_account_with_nothing_to_sync_is_skipped_with_a_reason() -> None:
    overrides = Overrides({MEMBER: {SECURITY: "own"}, OTHER: {SECURITY: "payments"}})
    scope = make_scope(overrides=overrides, left_out={SECURITY: "not set"})
    sets = RunSets(scope, [SECURITY], lambda *_: {})
    assert [KEEPS_ITS_OWN, 0, LEFT_OUT] == [
        sets.add(make_account(one)) for one in (MEMBER, OTHER, THIRD)
    ]


def test_a_type_whose_source_contact_no_account_gets_is_unused() -> None:
    overrides = Overrides({MEMBER: {SECURITY: "own"}})
    sets = RunSets(
        make_scope(overrides=overrides, left_out={SECURITY: "x"}), [BILLING], lambda *_: {}
    )
    sets.add(make_account(MEMBER))
    assert [SECURITY] == sets.unused
    sets.add(make_account(OTHER))
    assert [] == sets.unused


@pytest.mark.rule(4)
def test_a_run_in_which_every_account_gets_an_invalid_contact_is_an_error() -> None:
    scope = make_scope(left_out={SECURITY: f"{INVALID}security.Name is not set", BILLING: "no"})
    sets = RunSets(scope, [SECURITY], lambda *_: {})
    sets.check_any({})
    assert LEFT_OUT == sets.add(make_account())
    with pytest.raises(InvalidSourceError, match=r"^security.Name is not set$"):
        sets.check_any({LEFT_OUT: 1})


def test_units_at_equal_depth_on_two_paths_have_equal_rank() -> None:
    overrides = Overrides(units={UNIT: {SECURITY: "own"}, OTHER_UNIT: {SECURITY: "payments"}})
    paths = tuple(f"o-exampleorg1/r-exam/{unit}/{MEMBER}/" for unit in (UNIT, OTHER_UNIT))
    account = Account(MEMBER, "ACTIVE", paths)
    depths = Organization(None).depths(account, overrides.units)  # type: ignore[arg-type]
    with pytest.raises(InvalidConfigError, match=f"have equal rank .* {MEMBER}"):
        overrides.origin(SECURITY, MEMBER, depths)


@pytest.mark.rule(4)
def test_an_override_for_an_unknown_unit_is_refused_and_names_it(
    organization: OrganizationClient, client_of: Make
) -> None:
    organization.reset(make_world({"id": MEMBER, "parent": INNER_UNIT}))
    members = Organization(client_of("organizations"))
    accounts = list(members.accounts())
    missing = "ou-exam-nowhere00"
    with pytest.raises(InvalidConfigError, match=f"organizational_units: .*: {missing}$"):
        check_overrides(accounts, [UNIT, INNER_UNIT, OTHER_UNIT, missing], members.missing_units)
    looked_up = [one for one in organization.calls() if one["operation"].startswith("DescribeOrg")]
    assert 2 == len(looked_up)  # the other two are in the account's path
