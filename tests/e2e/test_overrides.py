"""All cases of overrides through the deployed machine, in one organization."""

from collections import Counter
from typing import Any

import pytest
from standin.organization.worlds import SOURCE_CONTACTS
from support.builders import MANAGEMENT, make_contact, make_world
from support.machine import Machine
from support.override_tables import BOOK, CASES
from support.search import SEARCHABLE, search

Json = dict[str, Any]

TYPES = ("primary", "billing", "operations", "security")
OWN = {
    name.upper(): make_contact(name, **{field: f"Themselves {name.title()}"}).to_api()
    for name, field in (("primary", "FullName"), *((one, "Name") for one in TYPES[1:]))
}
UNITS = [unit for case in CASES for unit in case.units()]


def at(step: int, what: str) -> list[Any]:
    """Return the accounts or overrides of every case at a step, or at its last step."""
    return [one for case in CASES for one in getattr(case, what)(min(step, len(case.steps) - 1))]


def expected(step: int) -> dict[str, dict[str, str]]:
    """Return the contacts of every account that do not come from the source, by contact type."""
    return {
        account_id: gets
        for case in CASES
        for account_id, gets in case.expected(min(step, len(case.steps) - 1)).items()
    }


def wanted(before: Json, gets: dict[str, str], name: str) -> Json:
    """Return the contact that an account must have after a run."""
    which = gets.get(name, "source")
    if which == "own":
        return dict(before[name.upper()])
    return dict(SOURCE_CONTACTS[name.upper()] if which == "source" else BOOK[which])


def check(machine: Machine, before: dict[str, Json], step: int) -> dict[str, Json]:
    """Check every contact of every account; return them."""
    now: dict[str, Json] = machine.organization.world()["contacts"]
    for account_id, gets in expected(step).items():
        for name in TYPES:
            where = f"{account_id} {name} in step {step}"
            assert wanted(before[account_id], gets, name) == now[account_id][name.upper()], where
    return now


@pytest.mark.rule(1)
@pytest.mark.rule(11)
@pytest.mark.rule(12)
@pytest.mark.parametrize("has_paths", [True, False], ids=["with paths", "without"])
def test_each_account_gets_the_contacts_of_its_rules_before_and_after_a_change(
    machine: Machine, *, has_paths: bool
) -> None:
    accounts = at(0, "accounts")
    contacts = {MANAGEMENT: SOURCE_CONTACTS, **{one["id"]: OWN for one in accounts}}
    omitted = [] if has_paths else [one["id"] for one in accounts]
    world = make_world(*accounts, organizational_units=UNITS, contacts=contacts, omit_paths=omitted)
    machine.reset(world, overrides=at(0, "overrides"), contact_types=list(TYPES))
    machine.put_config({"config_key": "contacts", "version": "v1", "contacts": BOOK})

    first = machine.run()
    assert "SUCCEEDED" == first.status(), first.describe()
    has = check(machine, contacts, 0)
    item = machine.run_item(first)
    counts = Counter(gets.get("security", "source") for gets in expected(0).values())
    counted = {which: sum(some.values()) for which, some in item["sets"]["security"].items()}
    keeps_all = item["skipped"]["keeps its own contacts"]
    assert {**counts, "own": counts["own"] - keeps_all} == counted
    assert "v1" == item["versions"]["contacts"]

    for one in at(1, "accounts"):
        machine.organization.set_account(one["id"], parent=one["parent"])
    machine.configure(overrides=at(1, "overrides"), contact_types=list(TYPES))
    second = machine.run()
    assert "SUCCEEDED" == second.status(), second.describe()
    check(machine, has, 1)

    values = {value for one in BOOK.values() for value in one.values() if len(value) >= SEARCHABLE}
    assert [] == search(machine.standin, values)
