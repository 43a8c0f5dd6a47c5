"""The acts of a case, and the system's promise, the same in process and on the stand-in.

The promise is checked from outside, without knowledge of the implementation: each requested
contact is in its account, or the newest message about the account says that it failed and why.
The promise covers requests after the last fault. The checks read only the organization's
contacts, executions with inputs and ends, messages and the configuration; they read stored items
only if messages are off or were refused.
"""

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from faults import cases
from faults.cases import INVALID, JOINING, TYPES, Act, Case, asked_for, eligible
from standin.organization import OrganizationClient
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID
from support.search import contact_values

Json = dict[str, Any]
Pair = tuple[str, str]  # an account and a contact type

DEAD = ("FAILED", "ABORTED", "TIMED_OUT")
# Errors whose messages list the failures per account.
ABOUT_ACCOUNTS = ("PartialSyncError", "SyncFailedError")
MOST_HOPS = 3
HEALED = 3_600.0
# Number of a member's own changes after which a contact may be reported instead of corrected.
CONTESTED_AFTER = 3


class Execution(Protocol):
    """An execution as the checks see it."""

    name: str
    input: Any
    status: str
    error: str | None
    redrives: int

    @property
    def trigger(self) -> Json: ...

    @property
    def is_recovery(self) -> bool: ...


class Message(Protocol):
    """A message as a subscriber of the topic receives it, at the time `at`."""

    at: float
    body: str

    @property
    def attributes(self) -> Any: ...


class System(Protocol):
    """The interface through which a case drives and observes the system."""

    organization: OrganizationClient

    def now(self) -> float: ...
    def world(self) -> Json: ...
    def configure(self, config: Json) -> None: ...
    def write_book(self, book: Json) -> None: ...
    def change_source(self, name: str, value: Json | None) -> None: ...
    def start(self, execution_input: Any) -> Any: ...
    def stop(self, execution: Any, status: str) -> str | None: ...
    def redrive(self, execution: Any) -> None: ...
    def leave(self, account_id: str) -> None: ...
    def join(self, account_id: str) -> None: ...
    def after(self, seconds: float, action: Any) -> None: ...
    def pass_time(self, seconds: float) -> None: ...
    def finish(self) -> None: ...
    def end_faults(self) -> None: ...
    def executions(self) -> Sequence[Any]: ...
    def messages(self) -> Sequence[Any]: ...
    def items(self) -> list[Json]: ...
    def last_fault(self) -> float: ...
    def topic_refused(self, since: float) -> bool: ...


@dataclass(frozen=True)
class Asked:
    """A request of the case, for these accounts and types, or (None) for all.

    `is_sure` is false if the system may refuse it.
    """

    execution: Any
    at: float
    accounts: frozenset[str] | None = None
    types: frozenset[str] | None = None
    is_sure: bool = True
    is_invalid: bool = False
    heals: bool = False

    def covers(self, pair: Pair) -> bool:
        in_accounts = self.accounts is None or pair[0] in self.accounts
        return in_accounts and (self.types is None or pair[1] in self.types)


class Trial:
    """One case; a check raises AssertionError with the broken promise."""

    def __init__(self, system: System, case: Case) -> None:
        self.system = system
        self.case = case
        self.config: Json = case.config
        self.book: Json = dict(case.book)
        self.first = {name.lower(): c for name, c in self._contacts(case.world).items()}
        self.values = contact_values(case.world) | {cases.MARK}
        self._see_values(*case.book.values())
        self.asked: list[Asked] = []
        self.stops: list[tuple[float, Any, str]] = []
        self.redrives = 0
        self.changes = 0
        # When something other than the system last changed a pair: only later requests promise it.
        self.since: dict[Pair, float] = {}
        self.fought: Counter[Pair] = Counter()
        self.refused_at: dict[str, float] = {}
        self.known: dict[Pair, Any] | None = None
        self.ever_in_scope = eligible(case.world, case.config)
        # Executions whose failed accounts may not have been published.
        self.unreported: set[str] = set()
        self.was_hopeless = self.was_invalid = False
        self.ready_at = -1.0  # when the new account's contacts become readable
        self.number = 0

    # Acts.

    def happen(self, act: Act) -> None:
        what = act.what
        match act.kind:
            case "start":
                self._ask(what["input"])
            case "change":
                self._change(what)
            case "abort" | "time out":
                self._stop(what["which"], "ABORTED" if act.kind == "abort" else "TIMED_OUT")
            case "redrive":
                self._redrive(what["which"])
            case "configure" | "edit":
                (self._configure if act.kind == "configure" else self._edit_book)(what)
            case "pass":
                self.system.pass_time(what["seconds"])
            case "fail":
                self.system.organization.add_fault(what)
            case "undo":
                self._undo(what)
            case "join":
                self._join(with_event=what["with_event"])
            case kind:
                self._change_account(kind, what)
        self._see_scope()

    def heal(self) -> None:
        """End the faults, and start the request that must repair everything."""
        self.system.end_faults()
        self.system.pass_time(HEALED)
        healing = self.case.healing
        retried = [one for one in self.system.executions() if self._is_to_be_retried(one)]
        if healing == "retry" and retried:
            of = retried[self.case.order % len(retried)]
            was = next((one for one in self.asked if one.execution is of), Asked(of, 0.0))
            # A retry excludes accounts that came into scope since.
            was = replace(was, accounts=self._retried(of.name) or was.accounts)
            execution = self.system.start({"retry_of": of.name})
            self.asked.append(replace(was, execution=execution, at=self.system.now(), heals=False))
        elif healing == "change":
            source = self._source()
            name = next(one for one in TYPES if one in source and self._is_valid(source[one]))
            what = {"type": name, "value": 7, "copies": 1, "late": 0.0}
            self._change(what, heals=True)
        else:
            self._ask({"trigger": {"source": "schedule"}} if healing == "schedule" else {})

    def repair(self) -> Any:
        """Start the full run by hand that must repair everything; return it."""
        return self._ask({}).execution

    def _ask(self, execution_input: Any) -> Asked:
        completed = self._completed(execution_input)
        request = completed if isinstance(completed, dict) else {}
        is_invalid = execution_input in INVALID
        retry = self._retried(request.get("retry_of"))
        is_sure = not is_invalid and not self._may_be_refused(request)
        if "retry_of" in request:
            is_sure = retry is not None
        accounts: frozenset[str] | None = retry
        if retry is None and request.keys() & {"account_ids", "organizational_units"} and is_sure:
            accounts = frozenset(asked_for(self.system.world(), request))
        asks = is_sure and not request.get("dry_run")
        types = request.get("contact_types") if asks else []
        asked = Asked(
            self.system.start(completed),
            self.system.now(),
            accounts,
            None if types is None else frozenset(types),
            is_sure=is_sure,
            is_invalid=is_invalid,
        )
        self.asked.append(asked)
        return asked

    def _completed(self, execution_input: Any) -> Any:
        """Complete the input with names, times, and the failed run, which are known only now."""
        if not isinstance(execution_input, dict):
            return execution_input
        completed = dict(execution_input)
        if "trigger" in completed:
            completed["trigger"] = self._trigger(**completed["trigger"])
        if "retry_of" in completed:
            ended = [one for one in self.system.executions() if one.status in DEAD]
            completed["retry_of"] = ended[-1].name if ended else "no-such-run"
        return completed

    def _trigger(self, **more: Any) -> Json:
        self.number += 1
        at = self._time_of_day()
        return {"event_id": f"event-{self.number}", "event_name": "Named", "event_time": at, **more}

    def _time_of_day(self) -> str:
        raise NotImplementedError

    def _change(self, what: Json, *, heals: bool = False) -> None:
        """Change the source; its event may come late, and twice."""
        name, number = what["type"], what["value"]
        value = self.first.get(name)
        if number is None:
            value = None
        elif number:
            value = cases.changed_contact(name, number)
        if value is None and (number is not None or name == "primary"):
            return
        if value is not None and not self._is_valid(value):
            return
        self.changes += 1
        self.values |= {text for text in (value or {}).values() if len(text) >= 8}
        if self._source().get(name) is not None or value is not None:
            self.system.change_source(name, value)
        trigger = self._trigger(source="contact_changed")

        def start() -> None:
            execution = self.system.start({"trigger": trigger})
            types = None if heals else frozenset({name})
            self.asked.append(Asked(execution, self.system.now(), types=types, heals=heals))

        for _ in range(what["copies"]):
            self.system.after(what["late"], start)

    def _stop(self, which: int, status: str) -> None:
        running = [one for one in self.system.executions() if one.status == "RUNNING"]
        if running:
            execution = running[which % len(running)]
            if stopped := self.system.stop(execution, status):
                self.stops.append((self.system.now(), execution, stopped))

    def _redrive(self, which: int) -> None:
        dead = [one for one in self.system.executions() if one.status in DEAD]
        if dead:
            self.redrives += 1
            self.system.redrive(dead[which % len(dead)])

    def _undo(self, what: Json) -> Any:
        """Undo a run that has ended; return it, None if there is none."""
        ended = [one for one in self.system.executions() if one.status != "RUNNING"]
        if not ended:
            return None
        undone = ended[what["which"] % len(ended)]
        request = {"undo": undone.name, "dry_run": True} if what["dry"] else {"undo": undone.name}
        execution = self.system.start(request)
        asked = Asked(execution, self.system.now(), types=frozenset(), is_sure=False)
        self.asked.append(asked)
        if not what["dry"]:
            # Restored contacts may remain, or be overwritten by an earlier or later request.
            everywhere = cases.ids_of(self.system.world())
            self.since |= {(one, name): math.inf for one in everywhere for name in TYPES}
        return undone

    def _join(self, *, with_event: bool) -> None:
        if JOINING in cases.ids_of(self.system.world()):
            return
        self.system.join(JOINING)
        self.ready_at = self.system.now() + self.case.conditions.joins_denied
        if with_event:
            trigger = self._trigger(source="account_joined", account_id=JOINING)
            execution = self.system.start({"trigger": trigger})
            self._see_scope()
            self.asked.append(Asked(execution, self.system.now(), frozenset({JOINING})))

    def _configure(self, config: Json) -> None:
        if self._is_silent():
            self.unreported |= {one.name for one in self.system.executions()}
        self.config = config
        self.system.configure(config)

    def _edit_book(self, what: Json) -> None:
        contact = cases.named_contact(what["name"], what["value"])
        self._see_values(contact)
        self.book = {**self.book, what["name"]: contact}
        self.system.write_book(self.book)

    def _see_values(self, *contacts: Json) -> None:
        self.values |= {text for one in contacts for text in one.values() if len(text) >= 8}

    def _change_account(self, kind: str, what: Json) -> None:
        ids = cases.ids_of(self.system.world())
        if not ids:
            return
        account_id = ids[what["account"] % len(ids)]
        organization = self.system.organization
        match kind:
            case "drift":
                self._drift(account_id, what["type"], what["value"])
                return
            case "close":
                organization.set_account(account_id, state="SUSPENDED")
            case "reopen":
                organization.set_account(account_id, state="ACTIVE")
            case "move":
                organization.set_account(account_id, parent=what["parent"])
                if what.get("with_event"):
                    self._tell_of_move(account_id)
                return
            case "leave":
                self.system.leave(account_id)
                self.asked = [
                    replace(one, is_sure=False) if _is_named(one.execution, account_id) else one
                    for one in self.asked
                ]
        if what.get("with_event"):
            trigger = self._trigger(source="account_left", account_id=account_id)
            execution = self.system.start({"trigger": trigger})
            self.asked.append(Asked(execution, self.system.now(), types=frozenset()))

    def _tell_of_move(self, account_id: str) -> None:
        self._see_scope()
        trigger = self._trigger(source="account_moved", account_id=account_id)
        execution = self.system.start({"trigger": trigger})
        self.asked.append(Asked(execution, self.system.now(), frozenset({account_id})))

    def _drift(self, account_id: str, name: str, value: int) -> None:
        contact = cases.changed_contact(name, 500 + value)
        if not value:  # the initial contact
            contact = self.case.world["contacts"].get(account_id, {}).get(name.upper(), contact)
        self.values |= {text for text in contact.values() if len(text) >= 8}
        self.system.organization.set_contact(account_id, name.upper(), contact)
        self.since[account_id, name] = self.system.now()
        self.fought[account_id, name] += 1

    def _see_scope(self) -> None:
        """Record scope changes: only later requests promise what has come into scope."""
        world = self.system.world()
        now = {
            (one, name): self._meant(world, (one, name))
            for one in self._scope()
            for name in self.config["contact_types"]
        }
        for pair, meant in now.items():
            if self.known is not None and self.known.get(pair) != meant:
                self.since[pair] = max(self.since.get(pair, -1.0), self.system.now())
        self.known = now
        self.ever_in_scope |= self._scope()
        self.was_hopeless |= self._is_hopeless()
        self.was_invalid |= not all(self._is_valid(one) for one in self._source().values())

    # Expectations.

    def _contacts(self, world: Json) -> Json:
        contacts: Json = world["contacts"][MANAGEMENT_ACCOUNT_ID]
        return contacts

    def _source(self) -> dict[str, Json]:
        return {name.lower(): c for name, c in self._contacts(self.system.world()).items()}

    def _scope(self) -> set[str]:
        return eligible(self.system.world(), self.config)

    def _meant(self, world: Json, pair: Pair) -> Any:
        """Return what determines the contact besides the source."""
        which = cases.choice_for(world, self.config, *pair)
        kept = self.config["primary_keeps"] if pair[1] == "primary" else []
        return which, self.book.get(which), kept

    def _is_valid(self, contact: Json) -> bool:
        return contact.get("EmailAddress") != cases.REFUSED_ADDRESS

    def _is_hopeless(self) -> bool:
        """Tell whether a full run can do nothing, and must fail."""
        world = self.system.world()
        is_active = any(one["state"] == "ACTIVE" for one in world["accounts"])
        configured = {name.upper() for name in self.config["contact_types"]}
        has_named = any(
            rule.get(name) in cases.NAMES
            for rule in self.config["overrides"]
            for name in self.config["contact_types"]
        )
        return not (is_active and (has_named or configured & self._contacts(world).keys()))

    def _may_be_refused(self, request: Json) -> bool:
        types = set(request.get("contact_types", []))
        return (
            not set(request.get("account_ids", [])) <= set(cases.ids_of(self.system.world()))
            or not types <= set(self.config["contact_types"])
            or bool(types - self._source().keys())
        )

    def _retried(self, name: str | None) -> frozenset[str] | None:
        """Return the accounts that messages name as failed in that run, if it can be retried."""
        found = next((one for one in self.system.executions() if one.name == name), None)
        if found is None or found.status == "RUNNING" or is_dry(found):
            return None
        bodies = [one.body for one in self.system.messages() if _mentions(one, str(name))]
        # An account may have left since.
        named = {(one, body) for body in bodies for one in re.findall(r"\b[0-9]{12}\b", body)}
        return frozenset(one for one, body in named if _names(body, one, "")) or None

    def _is_to_be_retried(self, execution: Any) -> bool:
        """Tell whether a message asks to retry this execution."""
        return (
            execution.status in DEAD
            and not is_dry(execution)
            and any(
                _mentions(one, execution.name) and re.search(r"retry.of", one.body)
                for one in self.system.messages()
            )
        )

    def _is_promised(self, asked: Asked) -> bool:
        """Tell whether neither a fault nor a stop came after the request.

        After a fault has ended an execution, the request may stay queued behind it while
        DescribeExecution still reports it as running.
        """
        fault = self.system.last_fault()
        is_faulty = fault >= 0 and fault + self.case.conditions.end_lag >= asked.at
        if asked.is_invalid or not asked.is_sure or is_faulty:
            return False
        for at, execution, status in self.stops:
            if at < asked.at:
                continue
            dropped = status == "ABORTED" and not self._worked_before(execution, asked)
            # A request that waits for a new account does not continue in another execution.
            waited = asked.accounts == {JOINING} and at < self.ready_at
            if dropped or waited or execution.is_recovery:
                return False
        return True

    # Facts that are unknown outside the functions.

    def _worked_before(self, _execution: Any, _asked: Asked) -> bool:
        """Tell whether the execution wrote before the request, so it cannot include the request."""
        return False

    def _is_ours(self, _pair: Pair, _actual: Json) -> bool:
        """Tell whether the system wrote the contact."""
        return False

    def _last_work(self, pair: Pair, asked: Asked) -> tuple[float, str]:
        """Return when an execution last worked on the contact, and which; its report is current.

        Work before the request counts only if the request need not retry the contact.
        """
        raise NotImplementedError

    def _need_not_try_again(self, asked: Asked) -> bool:
        """Tell whether the request may skip earlier failures.

        A healing change concerns another contact, and a change that finds only an invalid contact
        different requests only that contact.
        """
        return asked.heals or self.was_invalid

    def _promised(self) -> Iterator[tuple[Pair, Asked]]:
        """Yield each promised pair, with the last request that covers it."""
        promised: dict[Pair, Asked] = {}
        scope = [(one, name) for one in self._scope() for name in self.config["contact_types"]]
        for asked in self.asked:
            if self._is_promised(asked):
                promised |= {pair: asked for pair in scope if self._reaches(asked, pair)}
        yield from promised.items()

    def _reaches(self, asked: Asked, pair: Pair) -> bool:
        """Tell whether the request covers the pair and the pair has not changed since."""
        since = self.since.get(pair, -1.0)
        if asked.heals:
            return since < 0
        waits = asked.accounts == {JOINING}
        is_early = pair[0] == JOINING and asked.at < self.ready_at and not waits
        return asked.covers(pair) and since <= asked.at and not is_early

    # Checks.

    def check_quiet(self) -> None:
        """Check everything that must hold when nothing runs."""
        self._check_requests()
        self._check_bounds()
        self._check_reported()
        source, world = self._source(), self.system.world()
        for pair, asked in self._promised():
            if not self._is_right(world, source, pair) and not self._is_reported(pair, asked):
                raise AssertionError(
                    f"every requested contact is synced, or reported as failed: {pair}, "
                    f"requested by {asked.execution.name}"
                )
        self._check_calm()
        is_undone = [pair for pair, since in self.since.items() if since == math.inf]
        self.since |= dict.fromkeys(is_undone, self.system.now())

    def check_repaired(self, execution: Any) -> None:
        """Check that a full run without faults has repaired everything."""
        if self._is_hopeless():
            assert execution.status == "FAILED", "a run that can do nothing fails"
            return
        source, world = self._source(), self.system.world()
        denied = set(self.case.world["denied_accounts"]) & self._scope()
        fought = {pair for pair, times in self.fought.items() if times >= CONTESTED_AFTER}
        invalid = [
            n for n in self.config["contact_types"] if n in source and not self._is_valid(source[n])
        ]
        if not (denied or fought or invalid):
            assert execution.status == "SUCCEEDED", f"the last run succeeds: {execution.error}"
        for account_id in self._scope() - denied:
            for name in self.config["contact_types"]:
                is_right = self._is_right(world, source, (account_id, name))
                message = f"the last run repairs everything: {account_id} {name}"
                assert is_right or (account_id, name) in fought, message

    def _is_right(self, world: Json, source: dict[str, Json], pair: Pair) -> bool:
        account_id, name = pair
        actual = world["contacts"][account_id].get(name.upper())
        which, contact, kept = self._meant(world, pair)
        if which == "own":
            return True
        wanted = source.get(name) if which == "source" else contact
        if wanted and actual:  # kept fields do not change
            wanted = {**wanted, **{one: actual[one] for one in kept if one in actual}}
        if wanted is None:
            deletes = self.config["on_source_deleted"] == "delete" and name != "primary"
            return not (deletes and actual and self._is_ours(pair, actual))
        return not self._is_valid(wanted) or same(wanted, actual)

    def _is_reported(self, pair: Pair, asked: Asked) -> bool:
        """Tell whether the newest message about the account says that the contact failed."""
        since, worker = self._last_work(pair, asked)
        for message in self.system.messages():
            if message.at < since or message.attributes.get("status") == "success":
                continue
            error = re.search(r"^Error: (\w+)", message.body, re.M)
            is_whole = error and error[1] not in (*ABOUT_ACCOUNTS, "LockLostError")
            if (is_whole and self._may_fail_whole()) or _names(message.body, *pair):
                return True
        if self._is_silent() or worker in self.unreported or self.system.topic_refused(since):
            texts = [json.dumps(item, default=str) for item in self.system.items()]
            return any(
                pair[0] in text and worker in text and _names(text, *pair) and "fail" in text
                for text in texts
            )
        return False

    def _is_silent(self) -> bool:
        """Tell whether messages about failed accounts are off."""
        return not self.config["notification_settings"]["notify_on_partial_failure"]

    def _may_fail_whole(self) -> bool:
        return self._is_hopeless() or self.system.last_fault() > -1 or bool(self.stops)

    def _check_requests(self) -> None:
        for asked in self.asked:
            one = asked.execution
            if asked.is_sure:
                message = f"a valid request is not refused: {one.input}"
                assert one.error != "InvalidRequestError", message
            faulty = self.system.last_fault() >= asked.at or self.stops or self.redrives
            if asked.is_invalid and not faulty:
                message = f"an invalid request is refused: {one.input} {one.status} {one.error}"
                assert one.error == "InvalidRequestError", message

    def _check_bounds(self) -> None:
        """Check at most two executions and three messages per event, and three hops per change."""
        executions = self.system.executions()
        recoveries = sum(one.is_recovery for one in executions)
        hops = sum("hop" in one.trigger for one in executions)
        continued = sum(one.trigger.get("source") == "continuation" for one in executions)
        others = len(executions) - recoveries - hops - continued
        redrives = sum(one.redrives for one in executions)
        detail = (
            f"{len(executions)} executions, {recoveries} recoveries, {hops} hops, "
            f"{continued} continuations"
        )
        is_bounded = (
            hops <= MOST_HOPS * self.changes * 2
            and continued <= others + hops + recoveries
            and recoveries <= len(executions) - recoveries + redrives
        )
        assert is_bounded, f"at most two executions per event: {detail}"
        assert not any(
            one.is_recovery and self._named(one.trigger["execution_arn"]).is_recovery
            for one in executions
        ), f"a recovery starts no other recovery: {detail}"
        events = others + hops + continued + redrives + len(self.stops)
        messages = len(self.system.messages())
        assert messages <= 3 * events, f"at most three messages per event: {messages} for {events}"

    def _named(self, arn: str) -> Any:
        name = arn.rpartition(":")[2]
        return next(one for one in self.system.executions() if one.name == name)

    def _check_reported(self) -> None:
        """Check that a message reports every dead execution."""
        for one in self.system.executions():
            if one.status in DEAD:
                message = f"every failure is reported: {one.error or one.status} of {one.name}"
                assert self._is_known(one), message

    def _is_known(self, dead: Execution) -> bool:
        if dead.error in ABOUT_ACCOUNTS and (self._is_silent() or dead.name in self.unreported):
            return True
        if self.system.topic_refused(0.0):
            return True
        return any(
            _mentions(message, dead.name) and message.attributes.get("status") != "success"
            for message in self.system.messages()
        )

    def _check_calm(self) -> None:
        """Check that nothing fails without a fault that counts."""
        if not self._is_calm():
            return
        for asked in self.asked:
            one = asked.execution
            if asked.is_sure and (asked.types is None or asked.types):
                assert one.status == "SUCCEEDED", f"nothing fails without a fault: {one.error}"

    def _is_calm(self) -> bool:
        return not (
            self.was_hopeless
            or self.was_invalid
            or self.stops
            or self.redrives
            or self.case.world["denied_accounts"]
            or self.case.organization_faults
            or self.system.last_fault() > -1
            or any(act.kind == "fail" for act in self.case.acts)
            or any(times >= CONTESTED_AFTER for times in self.fought.values())
        )


def same(one: Json | None, other: Json | None) -> bool:
    """Tell whether two contacts are equivalent."""
    if one is None or other is None:
        return one is other
    return all(
        _normal(name, one.get(name)) == _normal(name, other.get(name)) for name in {*one, *other}
    )


def _normal(name: str, value: str | None) -> str:
    text = unicodedata.normalize("NFC", value or "").strip()
    if name == "PhoneNumber":
        return re.sub(r"(?!^[+])[^0-9]", "", text)
    local, at, domain = text.rpartition("@")
    return f"{local}{at}{domain.lower()}" if name == "EmailAddress" else text


def _is_named(execution: Any, account_id: str) -> bool:
    """Tell whether a request names the account, and so may be refused without it."""
    asked = execution.input if isinstance(execution.input, dict) else {}
    return account_id in (asked.get("account_ids") or [])


def _mentions(message: Message, name: str) -> bool:
    is_named = re.search(rf"\b{re.escape(name)}(?![\w-])", message.body)
    return bool(is_named) or message.attributes.get("sync_id") == name


def is_dry(execution: Any) -> bool:
    """Tell whether the execution must not lead to a write."""
    return isinstance(execution.input, dict) and execution.input.get("dry_run") is True


def _names(text: str, account_id: str, contact_type: str) -> bool:
    """Tell whether a line names the account, the contact and an error."""
    return any(
        account_id in line
        and contact_type in line
        and re.search(r"[A-Z]\w+(Error|Exception)|ontested", line)
        for line in text.splitlines()
    )
