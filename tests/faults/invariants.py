"""What happens in a case, and what must hold in any: the same in process and on the stand-in."""

from collections.abc import Mapping
from typing import Any, Protocol

from contact_sync import keys
from faults import cases
from faults.cases import JOINING, TYPES, Case, Event, eligible, trigger
from standin.organization import OrganizationClient
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID, contact_values
from standin.stack import Message

Json = dict[str, Any]

DEAD = ("FAILED", "ABORTED", "TIMED_OUT")
# Keys of an input that is about less than every contact of every account.
NARROW = {"account_ids", "organizational_units", "contact_types", "dry_run"}


class Execution(Protocol):
    """An execution as the checks see it; `states` are those entered so far."""

    name: str
    input: Any
    status: str
    output: Any
    error: str | None

    @property
    def states(self) -> list[str]: ...

    @property
    def is_recovery(self) -> bool: ...


class System(Protocol):
    """What a case does to the system, and sees of it."""

    organization: OrganizationClient

    def start(self, execution_input: Json) -> Any: ...
    def stop(self, execution: Any, status: str) -> None: ...
    def clear_faults(self) -> None: ...
    def executions(self) -> list[Any]: ...
    def messages(self) -> list[Message]: ...
    def item(self, key: Mapping[str, str]) -> Json: ...
    def objects(self) -> list[str]: ...


class Trial:
    """One case; a check raises AssertionError with the name of the invariant that broke."""

    def __init__(self, system: System, case: Case) -> None:
        self.system = system
        self.case = case
        # What was asked for, by the note that tells it apart in what it is merged with.
        self.notes: dict[str, Json] = {}
        self.values = contact_values(case.world) | {cases.MARK}
        self.writable = eligible(case.world, case.config)
        self.asked: set[str] = set()
        self.failed_accounts: set[str] = set()

    def agenda(self) -> list[tuple[int, Any]]:
        """Return the requests and events of the case, in their order."""
        agenda: list[tuple[int, Any]] = [*self.case.requests]
        agenda += [(event.at, event) for event in self.case.events]
        return sorted(agenda, key=lambda entry: entry[0])

    def _finish(self) -> None:
        """Let all that runs come to its end."""
        raise NotImplementedError

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
                running = [one for one in self.system.executions() if one.status == "RUNNING"]
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

    def _start(self, execution_input: Json) -> str:
        """Start an execution; return its name."""
        self.notes[note_of(execution_input)] = execution_input
        return str(self.system.start(execution_input).name)

    # What must hold at the end.

    def _check_end(self) -> None:
        self._check_writes()
        self._check_published()
        dead = [one for one in self.system.executions() if one.status in DEAD]
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

    def _check_published(self) -> None:
        for one in self.system.executions():
            if one.status in DEAD:
                assert self._is_told(one), f"every failure is published: {one.error} of {one.name}"

    def _is_told(self, dead: Execution) -> bool:
        """Tell whether a message is about the dead execution, or about its dead recovery."""
        settings = self.case.config["notification_settings"]
        if dead.error == "PartialSyncError" and not settings["notify_on_partial_failure"]:
            return True
        if dead.status != "FAILED" and dead.states[-1:] in (["HowDidItEnd"], ["Synchronized"]):
            return True  # it was stopped when all was done and told
        for message in self.system.messages():
            # An alarm's message has no attributes.
            is_about = message.attributes.get("sync_id") == dead.name
            is_named = f"run {dead.name} could not" in message.body
            if message.attributes.get("status") != "success" and (is_about or is_named):
                return True
        return any(
            one.status in DEAD and self._is_told(one)
            for one in self.system.executions()
            if one.input.get("trigger", {}).get("execution_arn", "").endswith(f":{dead.name}")
        )

    def _check_calm(self) -> None:
        """Nothing died: whatever was asked for last is done."""
        everyone = any(
            not NARROW & wanted.keys()
            and wanted.get("trigger", {}).get("source") not in ("account_joined", "account_left")
            for wanted in self.notes.values()
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
        system.clear_faults()
        self.failed_accounts = set()
        name = self._start(trigger("schedule", "the final run"))
        self._finish()
        final = next(one for one in self.system.executions() if one.name == name)
        lock = system.item(keys.LOCK)
        assert not {"holder", "pending"} & lock.keys(), "the lock is free, and nothing queued"
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
        left = [name for name in system.objects() if f"/{final.name}/" in name]
        assert not any(name.endswith("source.json") for name in left), "the source is deleted"

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


def note_of(execution_input: Json) -> str:
    """Return what tells a request apart in those that it is merged with."""
    if "reason" in execution_input:
        return str(execution_input["reason"])
    return str(execution_input["trigger"]["event_id"])
