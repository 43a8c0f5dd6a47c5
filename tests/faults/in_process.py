"""Runs one case in process and checks, as it goes and at its end, what must hold in any case."""

import random
from typing import Any

from contact_sync import keys
from faults import cases
from faults.cases import JOINING, TYPES, Case, Event, asked_for, eligible, trigger
from faults.system import DEAD, Execution, System
from standin import search
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, contact_values

Json = dict[str, Any]

# Keys of an input that is about less than every contact of every account.
NARROW = {"account_ids", "organizational_units", "contact_types", "dry_run"}


class Trial:
    """One case: `run` raises AssertionError with the name of the invariant that broke."""

    def __init__(self, system: System, case: Case) -> None:
        self.system = system
        self.case = case
        self.order = random.Random(case.order)  # noqa: S311 - to be repeatable, not secret
        self.notes: dict[str, Execution] = {}
        self.served: set[str] = set()
        self.plans: dict[tuple[str, int], Json] = {}
        self.values = contact_values(case.world)
        self.writable = eligible(case.world, case.config)
        self.asked: set[str] = set()
        self.failed_accounts: set[str] = set()

    def run(self) -> None:
        system, case = self.system, self.case
        system.reset(case.world, case.config)
        system.after = self._after
        for fault in case.organization_faults:
            system.organization.add_fault(fault)
        system.faults.plans = [dict(one) for one in (*case.function_faults, *case.service_faults)]
        self._run_agenda()
        self._check_end()
        self._check_repair()
        self._check_no_leak()

    # What happens.

    def _run_agenda(self) -> None:
        """Start what is to be started, and let happen what is to happen, at its step."""
        agenda: list[tuple[int, Any]] = [*self.case.requests]
        agenda += [(event.at, event) for event in self.case.events]
        agenda.sort(key=lambda entry: entry[0])

        def at(step: int) -> None:
            idle = not any(one.status == "RUNNING" for one in self.system.executions)
            while agenda and (agenda[0][0] <= step or idle):
                self._happen(agenda.pop(0)[1])
                idle = False

        while agenda:
            self.system.run(self.order, at)

    def _happen(self, what: Any) -> None:
        if not isinstance(what, Event):
            self._start(what)
            return
        world = self.system.organization.world()
        ids = [account["id"] for account in world["accounts"]]
        match what.kind:
            case "change" | "lose source":
                self._change_source(what)
            case "close" if ids:
                account_id = ids[what.number % len(ids)]
                self.system.organization.set_account(account_id, state="SUSPENDED")
            case "join" if JOINING not in ids:
                self.system.organization.add_account(JOINING)
                self.writable |= {JOINING} & eligible(
                    self.system.organization.world(), self.case.config
                )
                self._start(trigger("account_joined", f"join-{what.at}", account_id=JOINING))
            case "abort" | "time out":
                running = [one for one in self.system.executions if one.status == "RUNNING"]
                if running:
                    status = "ABORTED" if what.kind == "abort" else "TIMED_OUT"
                    self.system.stop(running[what.number % len(running)], status)

    def _change_source(self, event: Event) -> None:
        """Change or delete a contact of the source; its event may come twice."""
        name = TYPES[event.number % len(TYPES)]
        lost = event.kind == "lose source" and name != "primary"
        value = None if lost else cases.changed_contact(name, event.at)
        self.values |= {text for text in (value or {}).values() if len(text) >= 8}
        self.system.organization.set_contact(MANAGEMENT_ACCOUNT_ID, name.upper(), value)
        for _ in range(1 + event.number % 2):
            self._start(trigger("contact_changed", f"change-{event.at}-{len(self.notes)}"))

    def _start(self, execution_input: Json) -> Execution:
        execution = self.system.start(execution_input)
        self.notes[_note(execution_input)] = execution
        return execution

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
        if not execution.input.get("dry_run"):
            self.asked |= covered
        for note in _notes(request):
            self.served.add(note)
            wanted = self.notes[note].input
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
        expected = asked_for(world, request) & eligible(world, self.case.config)
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
        for account_id in self.system.load(event["manifest_key"]):
            key = keys.account_run(account_id, execution.started_text, execution.name)
            statuses = self.system.item(key).get("statuses", {})
            state = self.system.item(keys.account_state(account_id))
            for name in event["contact_types"]:
                actual = world["contacts"][account_id].get(name.upper())
                status = statuses.get(name)
                if status in ("failed", "not_accepted"):
                    self.failed_accounts.add(account_id)
                    continue
                if actual == source[name]:
                    continue
                may_be_skipped = source[name] is None or account_id not in active
                is_skipped = state.get(name, {}).get("status") == "skipped"
                told = f"{account_id} {name} is {status}"
                assert may_be_skipped, f"every account is equal or recorded as failed: {told}"
                assert is_skipped, f"every account is equal or recorded as failed: {told}"

    # What must hold at the end.

    def _check_end(self) -> None:
        self._check_writes()
        self._check_queue()
        self._check_published()
        dead = [one for one in self.system.executions if one.status in DEAD]
        lock = self.system.item(keys.LOCK)
        if "holder" in lock:
            assert any(one.is_recovery for one in dead), "the lock is free"
        if "pending" in lock:
            assert dead, "nothing waits behind a free lock"
        if not dead:
            self._check_calm()

    def _check_writes(self) -> None:
        calls = self.system.organization.calls()
        written = {
            one["account_id"] for one in calls if one["operation"].startswith(("Put", "Delete"))
        }
        assert written <= self.writable, f"no forbidden account: {sorted(written - self.writable)}"
        assert written <= self.asked, f"no account unasked: {sorted(written - self.asked)}"

    def _check_queue(self) -> None:
        items = self.system.items()
        kept = {
            note
            for item in items
            for request in (item.get("request"), item.get("pending"))
            for note in _notes(request or {})
        }
        for note, execution in self.notes.items():
            if isinstance(execution.output, dict) and "queued_behind" in execution.output:
                assert note in self.served | kept, f"nothing queued is lost: {note}"

    def _check_published(self) -> None:
        for one in self.system.executions:
            if one.status in DEAD:
                assert self._is_told(one), f"every failure is published: {one.error} of {one.name}"

    def _is_told(self, dead: Execution) -> bool:
        """Tell whether a message is about the dead execution, or about its dead recovery."""
        settings = self.case.config["notification_settings"]
        if dead.error == "PartialSyncError" and not settings["notify_on_partial_failure"]:
            return True
        if dead.status != "FAILED" and dead.states[-1] in ("HowDidItEnd", "Synchronized"):
            return True  # it was stopped when all was done and told
        for message in self.system.messages:
            status = message["MessageAttributes"]["status"]["StringValue"]
            about = message["MessageAttributes"]["sync_id"]["StringValue"] == dead.name
            if status != "success" and (
                about or f"run {dead.name} could not" in message["Message"]
            ):
                return True
        return any(
            one.status in DEAD and self._is_told(one)
            for one in self.system.executions
            if one.input.get("trigger", {}).get("execution_arn", "").endswith(f":{dead.name}")
        )

    def _check_calm(self) -> None:
        """Nothing died: whatever was asked for last is done."""
        everyone = any(
            not NARROW & one.input.keys()
            and one.input.get("trigger", {}).get("source") not in ("account_joined", "account_left")
            for one in self.notes.values()
        )
        if everyone:
            self._check_equal(excused=self.failed_accounts)

    def _check_equal(self, excused: set[str]) -> None:
        world = self.system.organization.world()
        source = world["contacts"][MANAGEMENT_ACCOUNT_ID]
        for account_id in eligible(world, self.case.config) - excused:
            for name in self.case.config["contact_types"]:
                wanted = source.get(name.upper())
                if wanted is not None:
                    actual = world["contacts"][account_id].get(name.upper())
                    assert wanted == actual, f"equal at the end: {account_id} {name}"

    def _check_repair(self) -> None:
        """A run without faults puts all right, whatever went before."""
        system = self.system
        system.faults.plans = []
        system.organization.clear_faults()
        system.pass_time(3_600)
        self.failed_accounts = set()
        final = self._start(trigger("schedule", "the final run"))
        system.run(self.order)
        assert {} == _values(system.item(keys.LOCK)), "the lock is free, and nothing queued"
        error = self._expected_error()
        if error:
            assert error == final.error, f"the final run ends as {error}, not {final.error}"
        else:
            denied = set(self.case.world["denied_accounts"]) & eligible(
                system.organization.world(), self.case.config
            )
            assert denied >= self.failed_accounts, "the final run fails where access is denied"
            assert denied or final.status == "SUCCEEDED", f"the final run succeeds: {final.error}"
            self._check_equal(excused=denied)
        self._check_writes()
        self._check_published()
        for name in system.objects():
            done = f"/{final.name}/" in name and name.endswith("source.json")
            assert not done, "the source object is deleted"

    def _expected_error(self) -> str | None:
        world = self.system.organization.world()
        source = world["contacts"][MANAGEMENT_ACCOUNT_ID]
        configured = self.case.config["contact_types"]
        values = [source[name.upper()] for name in configured if name.upper() in source]
        if not values:
            return "EmptySourceError"
        if any(one.get("EmailAddress") == cases.REFUSED_ADDRESS for one in values):
            return "InvalidSourceError"
        return None if world["accounts"] else "NoMemberAccountsError"

    def _check_no_leak(self) -> None:
        found = search.find(self.values, self.system.stored_texts())
        assert [] == found, f"no contact value anywhere: {found[:3]}"


def _note(execution_input: Json) -> str:
    """Return what tells a request apart in those that it is merged with."""
    if "reason" in execution_input:
        return str(execution_input["reason"])
    return str(execution_input["trigger"]["event_id"])


def _notes(request: Json) -> list[str]:
    events = [one for one in request.get("event_ids", []) if not one.startswith("death of ")]
    return [*request.get("reasons", []), *events]


def _values(item: Json) -> Json:
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}
