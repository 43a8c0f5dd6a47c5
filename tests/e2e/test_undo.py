"""An undo restores the accounts' former contacts; a repeated undo does nothing."""

from typing import Any

from standin.organization import drifted_world
from support.machine import Machine


def contacts(machine: Machine, account_ids: list[str]) -> dict[str, Any]:
    world = machine.organization.world()
    return {one: world["contacts"].get(one, {}) for one in account_ids}


def members(world: dict[str, Any]) -> list[str]:
    return [account["id"] for account in world["accounts"]]


def test_a_run_over_300_drifted_accounts_is_undone(machine: Machine) -> None:
    world = drifted_world(300, missing=0.2)
    machine.reset(world)
    accounts = members(world)
    changed, excluded, closed, *others = accounts
    former = contacts(machine, accounts)

    run = machine.run()

    assert "SUCCEEDED" == run.status()
    synced = contacts(machine, accounts)
    assert former != synced

    own = {**synced[changed]["SECURITY"], "Title": "Changed In Between"}
    machine.organization.set_contact(changed, "SECURITY", own)
    machine.organization.set_account(closed, state="SUSPENDED")
    machine.configure(excluded_accounts=[excluded])

    undo = machine.run({"undo": run.name})

    now = contacts(machine, accounts)
    assert {one: former[one] for one in others} == {one: now[one] for one in others}
    assert former[excluded] == now[excluded]
    assert synced[closed] == now[closed]
    assert own == now[changed]["SECURITY"]
    rest = {name: value for name, value in former[changed].items() if name != "SECURITY"}
    assert rest == {name: value for name, value in now[changed].items() if name != "SECURITY"}
    assert "SUCCEEDED" == undo.status()
    message = machine.messages()[-1].body
    assert f"{changed}  security: changed since that run" in message
    assert f"skipped: {closed}, SUSPENDED" in message
    assert "The next contact change or full run overwrites these:" in message

    machine.organization.clear_calls()
    again = machine.run({"undo": run.name})

    assert "SUCCEEDED" == again.status()
    assert [] == machine.writes()
    assert now == contacts(machine, accounts)


def test_an_undo_can_be_narrowed_run_dry_and_undone(machine: Machine) -> None:
    world = drifted_world(4)
    machine.reset(world, notification_settings={"notify_on_success": True})
    first, *others = members(world)
    former = contacts(machine, [first, *others])
    run = machine.run()
    synced = contacts(machine, [first, *others])
    machine.organization.clear_calls()

    dry = machine.run({"undo": run.name, "dry_run": True})

    assert "SUCCEEDED" == dry.status()
    assert [] == machine.writes()
    assert "would be put back" in str(machine.messages()[-1].subject)

    scope = {"account_ids": [first], "contact_types": ["security"]}
    undo = machine.run({"undo": run.name, **scope})

    now = contacts(machine, [first, *others])
    assert former[first].get("SECURITY") == now[first].get("SECURITY")
    assert synced == {**now, first: {**now[first], "SECURITY": synced[first]["SECURITY"]}}
    # The next run syncs it again, although nothing else has changed.
    assert "security" not in machine.lock()["held"]

    machine.run({"undo": undo.name})

    assert synced == contacts(machine, [first, *others])
