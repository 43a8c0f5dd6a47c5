"""Runs one case in process, and checks between the states what must hold."""

import random
from typing import Any

from contact_sync import keys
from faults import system as in_process
from faults.cases import TYPES, Case, asked_for, eligible
from faults.invariants import Trial, note_of
from faults.system import Execution
from standin import search

Json = dict[str, Any]


class InProcessTrial(Trial):
    """One case in process: its order is drawn, and every step is looked at."""

    system: in_process.System

    def __init__(self, system: in_process.System, case: Case) -> None:
        super().__init__(system, case)
        self.order = random.Random(case.order)  # noqa: S311 - to be repeatable, not secret
        self.served: set[str] = set()
        self.plans: dict[tuple[str, int], Json] = {}

    def run(self) -> None:
        system, case = self.system, self.case
        system.reset(case.world, case.config)
        system.after = self._after
        for fault in case.organization_faults:
            system.organization.add_fault(fault)
        system.faults.plans = [dict(one) for one in (*case.function_faults, *case.service_faults)]
        self._run_agenda()
        self._check_end()
        self._check_queue()
        self._check_repair()
        self._check_no_leak()

    def _run_agenda(self) -> None:
        """Start what is to be started, and let happen what is to happen, at its step."""
        agenda = self.agenda()

        def at(step: int) -> None:
            idle = not any(one.status == "RUNNING" for one in self.system.executions())
            while agenda and (agenda[0][0] <= step or idle):
                self._happen(agenda.pop(0)[1])
                idle = False

        while agenda:
            self.system.run(self.order, at)

    def _finish(self) -> None:
        self.system.run(self.order)

    # What must hold while it happens.

    def _after(self, execution: Execution, action: str, event: Json, result: Any) -> None:
        match action:
            case "start_round" if result["asked_for"] != "nothing":
                self._check_round_start(execution)
            case "plan_round":
                self._remember_plan(execution, event["round"], result)
            case "list_accounts":
                self._check_manifest(execution, event["manifest_key"])
            case "sync":
                self._check_turn(execution, event)
            case "record_round" if event["manifest_key"] and not event["dry_run"]:
                self._check_round_end(execution, event)

    def _check_round_start(self, execution: Execution) -> None:
        request = self.system.run_item(execution)["request"]
        world = self.system.organization.world()
        covered = asked_for(world, request)
        for note in _notes(request):
            self.served.add(note)
            wanted = self.notes[note]
            about = wanted.get("trigger", {}).get("account_id")
            scope = {"account_ids": [about]} if about else wanted
            assert asked_for(world, scope) <= covered, f"nothing queued is lost: scope of {note}"
            types = request.get("contact_types")
            wanted_types = set(wanted.get("contact_types") or TYPES)
            assert types is None or wanted_types <= set(types), f"nothing queued is lost: {note}"

    def _remember_plan(self, execution: Execution, number: int, plan: Json) -> None:
        if plan["contact_types"]:
            source = self.system.load(plan["source_key"])["contacts"]
            self.plans[execution.name, number] = source

    def _check_manifest(self, execution: Execution, manifest_key: str) -> None:
        world = self.system.organization.world()
        request = self.system.run_item(execution)["request"]
        # An account that joined since the round began is listed as well.
        asked = asked_for(world, request)
        if not execution.input.get("dry_run"):
            self.asked |= asked
        expected = asked & eligible(world, self.case.config)
        listed = self.system.load(manifest_key)
        assert sorted(expected) == sorted(listed), "exactly the accounts in scope are listed"

    def _check_turn(self, execution: Execution, event: Json) -> None:
        if not event["dry_run"]:
            holder = self.system.item(keys.LOCK).get("holder")
            assert holder == execution.name, "at most one run at a time"

    def _check_round_end(self, execution: Execution, event: Json) -> None:
        """Every account of the round is equal to the round's source, or recorded as failed."""
        world = self.system.organization.world()
        active = {one["id"] for one in world["accounts"] if one["state"] == "ACTIVE"}
        source = self.plans[execution.name, event["round"]]
        synced = self.system.item(keys.SOURCE)
        assert set(event["digits"]) <= {0, 1, 2, 3}, "a child tells of its account in one digit"
        for account_id in self.system.load(event["manifest_key"]):
            key = keys.account_run(account_id, execution.started_text, execution.name)
            statuses = self.system.item(key).get("statuses", {})
            state = self.system.item(keys.account_state(account_id))
            for name in event["contact_types"]:
                actual = world["contacts"][account_id].get(name.upper())
                status = statuses.get(name)
                if status in ("failed", "not_accepted"):
                    self.failed_accounts.add(account_id)
                    claimed = synced.get(name, {}).get("sync_id") == execution.name
                    is_first = event["round"] == 1
                    assert not (claimed and is_first), f"SOURCE is what every account has: {name}"
                    continue
                if actual == source[name]:
                    continue
                may_be_skipped = source[name] is None or account_id not in active
                is_skipped = state.get(name, {}).get("status") == "skipped"
                told = f"{account_id} {name} is {status}"
                assert may_be_skipped, f"every account is equal or recorded as failed: {told}"
                assert is_skipped, f"every account is equal or recorded as failed: {told}"

    def _check_queue(self) -> None:
        items = self.system.items()
        kept = {
            note
            for item in items
            for request in (item.get("request"), item.get("pending"))
            for note in _notes(request or {})
        }
        for one in self.system.executions():
            if isinstance(one.output, dict) and "queued_behind" in one.output:
                note = note_of(one.input)
                assert note in self.served | kept, f"nothing queued is lost: {note}"

    def _check_no_leak(self) -> None:
        found = search.find(self.values, self.system.stored_texts())
        assert [] == found, f"no contact value anywhere: {found[:3]}"


def _notes(request: Json) -> list[str]:
    events = [one for one in request.get("event_ids", []) if not one.startswith("death of ")]
    return [*request.get("reasons", []), *events]
