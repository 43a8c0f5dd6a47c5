"""Runs one case in process, and checks the invariants at each step."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from faults import system as in_process
from faults.cases import Act, Case, choice_for, eligible
from faults.clock import text
from faults.promise import Asked, Pair, Trial, is_dry, same
from faults.system import Execution, MemberCall, digits_only
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID

Json = dict[str, Any]

RELEASES = Path(__file__).parents[1] / "support" / "releases"
# A contact that is missing for less than this does not count as deleted.
DELETED_AFTER = 55.0
# Acts that may make an account unreachable.
UNDECIDED = ("close", "leave", "reopen", "fail", "join")


class Undo(NamedTuple):
    """An undo: the undone run, the execution, the time, and the accounts' contacts at that time."""

    name: str
    by: Execution
    at: float
    actual: dict[Pair, Json]
    seen: int


class InProcessTrial(Trial):
    """One case in process: draws the order of steps, and checks every call of the Account API."""

    system: in_process.System

    def __init__(self, system: in_process.System, case: Case) -> None:
        super().__init__(system, case)
        self.worlds: list[tuple[float, Json]] = [(-1.0, case.world)]
        self.configs: list[tuple[float, Json]] = [(-1.0, case.config)]
        self.sources: list[tuple[float, Json]] = [(-1.0, self.first)]
        self.began: list[Execution] = []
        self.ours: dict[Pair, Json] = {}
        self.phones: dict[str, set[str]] = {}
        self.undos: list[Undo] = []
        self.undoing: dict[str, bool] = {}
        self.drifted_at = -1.0
        # The contacts in each account, and those that each run found and left there.
        contacts = case.world["contacts"].items()
        self.actual: dict[Pair, Json] = {
            (one, name.lower()): value for one, some in contacts for name, value in some.items()
        }
        self.found: dict[tuple[str, Pair], Json | None] = {}
        self.left: dict[tuple[str, Pair], Json | None] = {}
        self.seen = 0
        self.size = (0, 0)

    def run(self) -> None:
        self._reset()
        for act in self.case.acts:
            self._await(act)
            self.happen(act)
        self.system.finish()
        self.check_quiet()
        self.heal()
        self.system.finish()
        self.check_quiet()
        execution = self.repair()
        self.system.finish()
        self.check_quiet()
        self.check_repaired(execution)
        self._check_no_leak(execution)

    def _reset(self) -> None:
        case, system = self.case, self.system
        items = (
            json.loads((RELEASES / "v1" / f"{case.items}.json").read_text()) if case.items else []
        )
        if case.items_are_later:
            items = [_of_a_later_release(item) for item in items]
        more = {"conditions": case.conditions, "items": items}
        system.reset(case.world, case.config, case.order, **more)
        system.write_book(case.book)
        for fault in case.organization_faults:
            system.organization.add_fault(fault)
        system.faults.plans = [dict(one) for one in case.faults]
        system.watch = self._watch

    def _await(self, act: Act) -> None:
        if act.after is None:
            self.system.run()
        else:
            self.system.run(act.after)
        if act.before:
            self.system.run_up_to(act.before)

    def _time_of_day(self) -> str:
        return text(self.system.clock.at())

    def _see_scope(self) -> None:
        super()._see_scope()
        now = self.system.now()
        self.worlds.append((now, self.system.world()))
        self.configs.append((now, self.config))
        self.sources.append((now, self._source()))

    # Invariants.

    def _watch(self) -> None:
        for call in self.system.member_calls[self.seen :]:
            self._check_call(call)
        self.seen = len(self.system.member_calls)
        size = (len(self.system.executions()), len(self.system.messages()))
        if size != self.size:
            self.size = size
            self._check_bounds()

    def _check_call(self, call: MemberCall) -> None:
        if not call.is_write:
            return
        if call.execution not in self.began:
            self.began.append(call.execution)
        detail = f"{call.execution.name} {call.operation} {call.account_id} {call.type}"
        assert not is_dry(call.execution), f"a dry run writes nothing: {detail}"
        is_undo = self._is_undo(call.execution)
        is_allowed = self._is_active(call) if is_undo else self._was_allowed(call)
        assert is_allowed, f"only accounts in scope are written: {detail}"
        later = self.began[self.began.index(call.execution) + 1 :]
        taken_over = not call.is_given_up and bool(later)
        assert not taken_over, f"a run stops writing once a later one writes: {detail}"
        if call.operation == "DeleteAlternateContact" and not is_undo:
            is_gone = self._longest_absence(call.type) >= DELETED_AFTER
            assert is_gone, f"one read is not enough to delete a contact: {detail}"
        assert is_undo or self._keeps_phone(call), f"an account keeps its phone number: {detail}"
        if call.accepted:
            self._remember(call, is_undo=is_undo)

    def _remember(self, call: MemberCall, *, is_undo: bool) -> None:
        pair, name = (call.account_id, call.type), call.execution.name
        if is_undo:  # an undo restores the member's own contact
            self.ours.pop(pair, None)
        else:
            self.ours[pair] = call.value
        if any(act.kind == "undo" for act in self.case.acts):
            self.found.setdefault((name, pair), self.actual.get(pair))
            self._see(pair)
            self.left[name, pair] = self.actual.get(pair)

    def _see(self, pair: Pair) -> None:
        contacts = self.system.organization.world()["contacts"].get(pair[0], {})
        self.actual.pop(pair, None)
        if value := contacts.get(pair[1].upper()):
            self.actual[pair] = value

    def _drift(self, account_id: str, name: str, value: int) -> None:
        super()._drift(account_id, name, value)
        self.drifted_at = self.system.now()
        self._see((account_id, name))

    def _undo(self, what: Json) -> Any:
        undone = super()._undo(what)
        if undone:
            by = self.system.executions()[-1]
            seen = len(self.system.member_calls)
            self.undos.append(Undo(undone.name, by, self.system.now(), dict(self.actual), seen))
        return undone

    def _is_undo(self, execution: Execution) -> bool:
        """Tell whether the run is an undo, even if its input does not say so."""
        name = execution.name
        if name not in self.undoing:
            items = [one for one in self.system.items() if one["pk"] == "RUN"]
            mine = [one for one in items if one.get("sync_id") == name]
            self.undoing[name] = any(one.get("undoes") for one in mine)
        return self.undoing[name]

    def _is_active(self, call: MemberCall) -> bool:
        worlds = _since(self.worlds, call.execution.started_at)
        active = {a["id"] for w in worlds for a in w["accounts"] if a["state"] == "ACTIVE"}
        return call.account_id != MANAGEMENT_ACCOUNT_ID and call.account_id in active

    def check_quiet(self) -> None:
        for undo in self.undos:
            if self._is_certain(undo):
                self._check_undone(undo)
        self.undos = []
        super().check_quiet()

    def _is_certain(self, undo: "Undo") -> bool:
        """Tell whether the undo alone determines the accounts' current contacts."""
        case, later = self.case, self.system.member_calls[undo.seen :]
        is_rough = (
            self.system.last_fault() >= 0
            or self.stops
            or self.redrives
            or any(act.kind in UNDECIDED for act in case.acts)
            or case.organization_faults
            or case.world["denied_accounts"]
        )
        return (
            undo.by.status == "SUCCEEDED"
            and not is_rough
            and self.drifted_at < undo.at - float(case.world["read_delay"])
            and all(one.execution is undo.by for one in later if one.is_write)
        )

    def _check_undone(self, undo: "Undo") -> None:
        for (name, pair), left in self.left.items():
            if name != undo.name or undo.by.input.get("dry_run"):
                continue
            found, before = self.found[name, pair], undo.actual.get(pair)
            if pair[1] == "primary" and found is None:
                continue
            expected = found if same(before, left) else before
            message = f"an undo restores exactly what its run replaced: {pair} of {name}"
            assert same(self.actual.get(pair), expected), message

    def _was_allowed(self, call: MemberCall) -> bool:
        """Tell whether the contact was in scope at some time during that execution."""
        began = call.execution.started_at
        return call.account_id != MANAGEMENT_ACCOUNT_ID and any(
            call.account_id in eligible(world, config)
            and choice_for(world, config, call.account_id, call.type) != "own"
            for world in _since(self.worlds, began)
            for config in _since(self.configs, began)
        )

    def _keeps_phone(self, call: MemberCall) -> bool:
        """Tell whether a written primary contact has a previous phone number of the account."""
        if call.type != "primary":
            return True
        began = call.execution.started_at
        is_kept = all(config["primary_keeps"] for config in _since(self.configs, began))
        had = {
            world["contacts"].get(call.account_id, {}).get("PRIMARY", {}).get("PhoneNumber")
            for _, world in self.worlds
        }
        phone = call.value["PhoneNumber"]
        seen = self.phones.get(call.account_id, set()) | had - {None}
        is_right = not is_kept or not seen or digits_only(phone) in map(digits_only, seen)
        self.phones[call.account_id] = seen | {phone}
        return is_right

    def _longest_absence(self, name: str) -> float:
        """Return the longest continuous time for which reads of the source missed the contact."""
        longest, missing_since = 0.0, None
        now = self.system.now() - float(self.case.world["read_delay"])
        for at, source in [*self.sources, (now, {name: None})]:
            if missing_since is not None:
                longest = max(longest, min(at, now) - missing_since)
            if at <= now and source.get(name) is None:
                missing_since = at if missing_since is None else missing_since
            else:
                missing_since = None
        return longest

    # Checks when all is quiet.

    def _is_ours(self, pair: Pair, actual: Json) -> bool:
        ours = self.ours.get(pair)
        return ours is not None and same({name: ours.get(name) for name in actual}, actual)

    def _worked_before(self, execution: Any, asked: Asked) -> bool:
        return any(
            call.execution is execution and call.at < asked.at and "processor" in call.function
            for call in self.system.member_calls
        )

    def _last_work(self, pair: Pair, asked: Asked) -> tuple[float, str]:
        calls = [
            call
            for call in self.system.member_calls
            if (call.account_id, call.type) == pair
            and (self._need_not_try_again(asked) or call.at >= asked.at)
            and "processor" in call.function
            and not is_dry(call.execution)
        ]
        if calls:
            return calls[-1].at, calls[-1].execution.name
        return (-1.0 if asked.heals else asked.at), ""

    def _check_bounds(self) -> None:
        super()._check_bounds()
        for one in self.system.executions():
            made = [other for other in self.system.executions() if other.parent is one]
            continued = sum(not other.is_recovery for other in made)
            recoveries = len(made) - continued
            assert continued <= 2, f"a run starts at most one other run and one hop: {one.name}"
            assert recoveries <= 1 + one.redrives, f"at most one recovery per end: {one.name}"

    def _check_no_leak(self, execution: Execution) -> None:
        places = self._places_of_values(self.system.stored_texts())
        assert not places, f"no contact value is stored: {places[:3]}"
        left = [name for name in self.system.objects() if f"/{execution.name}/" in name]
        held = [name for name in left if not name.startswith("replaced/")]
        kept = self._places_of_values((name, self.system.load(name)) for name in held)
        assert not kept, f"the stored source is deleted at the end of its run: {kept}"

    def _places_of_values(self, texts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        found = list(texts)
        everything = "\n".join(text for _, text in found)
        leaked = [value for value in self.values if value in everything]
        return [(value, where) for value in leaked for where, text in found if value in text]


def _since(history: list[tuple[float, Json]], at: float) -> list[Json]:
    """Return the values in effect at that time and later."""
    before = [value for when, value in history if when <= at][-1:]
    return before + [value for when, value in history if when > at]


def _of_a_later_release(value: Any) -> Any:
    """Return the item as a later release with more keys could write it."""
    if isinstance(value, dict):
        more = {name: _of_a_later_release(part) for name, part in value.items()}
        return {**more, "of_a_later_release": {"wanted": ["all"]}}
    return [_of_a_later_release(part) for part in value] if isinstance(value, list) else value
