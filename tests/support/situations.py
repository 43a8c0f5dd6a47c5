"""Every path through the machine: a situation, and the states that it passes through.

Two interpreters that share no code run them: test_paths.py and test_second_interpreter.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from standin.organization.worlds import SOURCE_CONTACTS, drifted_world
from standin.stack import Execution
from support.machine import RUN_SECONDS, Machine

Json = dict[str, Any]

FIRST, SECOND, UNKNOWN = "100000000001", "100000000002", "100000000009"
MANAGEMENT = "999999999999"
TYPES = ["primary", "billing", "security"]
CONFIG: Json = {
    "contact_types": TYPES,
    "notification_settings": {"notify_on_success": True},
    "retry_config": {"max_attempts": 2, "base_delay": 1, "max_delay": 1},
}

# Twenty attempts at a throttled account hold the Map as long as a test needs.
PATIENT = {"max_attempts": 20, "base_delay": 600, "max_delay": 600}
THROTTLED: Json = {"account_id": FIRST, "error": "TooManyRequestsException"}

HANDLER, LISTER, REPORTER = "contact-sync-handler", "account-lister", "sync-reporter"
ALTERNATE, PRIMARY = "alternate-contact-processor", "primary-contact-processor"

START, LOCK = "CheckRequest ChooseStart", "TakeLock IsLockTaken"
PLAN, SYNC = "PlanRun IsPlanComplete", "ListAccounts HasAccounts SyncAccounts"
RECORD, RELEASE = "RecordRun TookLock", "ReleaseLock HasNext"
PUBLISH, END = "ShouldPublish PublishResult MustCheckSource", "HowDidItEnd Synchronized"
FAILURE = f"{PUBLISH} HowDidItEnd SyncFailed"
RUN = f"{START} {LOCK} {PLAN} {SYNC} {RECORD} {RELEASE}"
CHANGE = f"{START} {LOCK} Settle {PLAN} {SYNC} {RECORD} {RELEASE} {PUBLISH} AwaitSource CheckSource"


@dataclass(frozen=True)
class Situation:
    """A situation and its result.

    `arrange` prepares it; `during` runs while the Map runs. `message` is part of the last message;
    `look` checks what remains.
    """

    states: str
    error: str | None = None
    input: Any = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    faults: Sequence[Json] = ()
    arrange: Callable[[Machine], Any] | None = None
    during: Callable[[Machine, Execution], Any] | None = None
    message: str = ""
    look: Callable[[Machine, Execution], Any] | None = None

    def take(self, machine: Machine) -> Execution:
        """Create the situation, and check its result."""
        patient = {"retry_config": PATIENT} if self.during else {}
        machine.reset(drifted_world(2, missing=0), **CONFIG | self.config | patient)
        machine.standin.set_faults(list(self.faults))
        if self.arrange:
            self.arrange(machine)
        if self.during:
            execution = start_and_hold(machine, self.input, self.during)
        else:
            execution = machine.stack.start(self.input)
        outcome = execution.wait(RUN_SECONDS)
        assert self.states.split() == execution.states()
        assert self.error == outcome.error
        if self.message:
            last = machine.messages()[-1]
            assert self.message in last.body
            assert not (self.error and last.attributes["status"] == "success")
        holds = machine.lock().get("holder") == execution.name
        assert holds == ("ReleaseLock ShouldPublish" in self.states)
        if self.look:
            self.look(machine, execution)
        return execution


def start_and_hold(
    machine: Machine, execution_input: Any, during: Callable[[Machine, Execution], Any]
) -> Execution:
    """Start an execution, and hold it in its Map until `during` is done; needs PATIENT retries."""
    throttled(machine)
    execution = machine.stack.start(execution_input)
    while "SyncAccounts" not in execution.states():
        assert execution.status() == "RUNNING"
    during(machine, execution)
    machine.organization.clear_faults()
    return execution


def trigger(source: str, **details: Any) -> Json:
    """Return an execution input as a rule creates it."""
    event = {"event_id": "e-1", "event_name": "Named", "event_time": "2026-11-24T00:00:00Z"}
    return {"trigger": {"source": source, **event, **details}}


def crash(function: str, match: str = "", error: str = "CrashError", times: int = 1) -> Json:
    """Return a fault: the function raises an error."""
    return {"function": function, "match": match, "kind": "error", "error": error, "times": times}


def dies(function: str, match: str) -> Json:
    """Return a fault: the function's process dies at each attempt."""
    return {"function": function, "match": match, "kind": "kill", "delay": 0, "times": 3}


def refused(service: str, operation: str, match: str = "", times: int = 1) -> Json:
    """Return a fault: the machine's own call is refused."""
    call = {"service": service, "operation": operation, "match": match}
    return {**call, "error": "AccessDeniedException", "times": times}


def unready_for_a_minute(machine: Machine) -> None:
    fault = {"account_id": FIRST, "error": "AccessDeniedException", "times": 1}
    machine.organization.add_fault({**fault, "operation": "GetAlternateContact"})


def throttled(machine: Machine) -> None:
    machine.organization.add_fault({**THROTTLED, "operation": "*", "times": None})


def throttled_once(machine: Machine) -> None:
    """Throttle every call of one attempt: the client tries each contact three times."""
    for operation, contacts in {"GetAlternateContact": 2, "GetContactInformation": 1}.items():
        fault = {**THROTTLED, "operation": operation}
        machine.organization.add_fault({**fault, "times": 3 * contacts})


def source_without_security(machine: Machine) -> None:
    machine.organization.set_contact(MANAGEMENT, "SECURITY", None)


def source_changes(machine: Machine, _: Execution) -> None:
    machine.organization.set_contact(
        MANAGEMENT, "BILLING", {**SOURCE_CONTACTS["BILLING"], "Name": "Somebody Else"}
    )


def dead_holder(machine: Machine) -> None:
    machine.put({"pk": "LOCK", "sk": "LOCK", "holder": "forgotten-run"})


NEWER = {"pk": f"ACCOUNT#{FIRST}", "sk": "STATE", "planned_at": "9999-01-01T00:00:00+00:00"}


def newer_run(machine: Machine) -> None:
    machine.put(NEWER)


def newer_record_stays(machine: Machine, _: Execution) -> None:
    assert NEWER == machine.account(FIRST)


def late_request(machine: Machine, _: Execution) -> None:
    machine.put({"pk": "LOCK", "sk": "QUEUE#late", "started_at": "2026-11-24T00:00:00Z"})


def second_run_is_queued(machine: Machine, holder: Execution) -> None:
    second = machine.run({"reason": "again"})

    assert f"{START} {LOCK} Queued".split() == second.states()
    assert {"queued_behind": holder.name} == second.wait().output


def next_run_does_it(machine: Machine, _: Execution) -> None:
    last = machine.stack.wait_for_executions(1)[-1]

    assert last.name.startswith("next-")
    assert f"{RUN} {PUBLISH} {END}".split() == last.states()
    assert [] == [item for item in machine.items() if item["sk"].startswith("QUEUE#")]


def change_is_repeated(machine: Machine, _: Execution) -> None:
    last = machine.stack.wait_for_executions(1)[-1]

    assert 1 == last.input()["trigger"]["hop"]
    assert f"{CHANGE} IsSourceSettled {END}".split() == last.states()
    assert "Somebody Else" == machine.organization.contacts(FIRST)["BILLING"]["Name"]


def account_has_left(machine: Machine, execution: Execution) -> None:
    assert {"left": FIRST} == execution.wait().output
    assert {"pk", "sk", "left_at", "expires_at"} == set(machine.account(FIRST))


def alternates_failed(error: str) -> Callable[[Machine, Execution], None]:
    def look(machine: Machine, _: Execution) -> None:
        assert error == machine.account(FIRST)["alternate_failure"]["error"]
        assert "updated" == machine.account(FIRST)["primary"]["status"]
        assert "updated" == machine.account(SECOND)["billing"]["status"]

    return look


def account_is_untouched(machine: Machine, _: Execution) -> None:
    assert {} == machine.account(FIRST)


def nothing_was_written(machine: Machine, _: Execution) -> None:
    assert [] == machine.writes()


def wrong(execution_input: Any, message: str = "execution input: ") -> Situation:
    states = f"CheckRequest {RECORD} {FAILURE}"
    return Situation(
        states, "InvalidRequestError", execution_input, message=message, look=nothing_was_written
    )


JOINED, LEFT = (trigger(f"account_{what}", account_id=FIRST) for what in ("joined", "left"))
CHANGED = trigger("contact_changed")
PARTIAL = (f"{RUN} {FAILURE}", "PartialSyncError")
TOO_LARGE = "input of 255 KB"

SITUATIONS = {
    "success": Situation(f"{RUN} {PUBLISH} {END}"),
    "success without notification": Situation(
        f"{RUN} ShouldPublish MustCheckSource {END}",
        config={"notification_settings": {"notify_on_success": False}},
    ),
    "dry run": Situation(
        f"{START} {PLAN} {SYNC} {RECORD} {PUBLISH} {END}",
        input={"dry_run": True},
        look=nothing_was_written,
    ),
    "unknown key": wrong({"unknown": True}),
    "null": wrong({"account_ids": None}),
    "a list": wrong([]),
    "text": wrong("text"),
    TOO_LARGE: wrong({"account_ids": [FIRST] * 17_400}, "at most 120,000 characters"),
    "repeats an unknown run": wrong({"retry_of": "no-such-run"}, "run no-such-run not found"),
    "account joined, ready a minute later": Situation(
        f"{START} CheckAccount IsAccountReady AwaitAccount CheckAccount IsAccountReady"
        f" {RUN.removeprefix(START)} {PUBLISH} {END}",
        input=JOINED,
        arrange=unready_for_a_minute,
    ),
    "account joined, never ready": Situation(
        f"{START} CheckAccount IsAccountReady {'AwaitAccount CheckAccount IsAccountReady ' * 30}"
        f"{LOCK} {PLAN} ListAccounts HasAccounts {RECORD} {RELEASE} {PUBLISH} {END}",
        input=trigger("account_joined", account_id=UNKNOWN),
        message=f"{UNKNOWN}, not in the organization",
    ),
    "account joined, but cannot be checked": Situation(
        f"{START} CheckAccount {RUN.removeprefix(START)} {PUBLISH} {END}",
        input=JOINED,
        faults=[crash(LISTER, "check_account")],
    ),
    "account left": Situation(f"{START} MarkLeft", input=LEFT, look=account_has_left),
    "account left, cannot be marked": Situation(
        f"{START} MarkLeft {RECORD} {FAILURE}",
        "DynamoDB.AccessDeniedException",
        LEFT,
        faults=[refused("dynamodb", "UpdateItem", "left_at", times=9)],
    ),
    "nothing to do": Situation(f"{START} {LOCK} NothingToDo", input=trigger("continuation")),
    "lock cannot be taken": Situation(
        f"{START} TakeLock {RECORD} {RELEASE} {FAILURE}",
        "CrashError",
        faults=[crash(HANDLER, "take_lock")],
    ),
    "dead holder": Situation(
        f"{START} {LOCK} Settle {RUN.partition(LOCK)[2]} {PUBLISH} {END}", arrange=dead_holder
    ),
    "second run is queued": Situation(
        f"{RUN} StartNext {PUBLISH} {END}", during=second_run_is_queued, look=next_run_does_it
    ),
    "next run already started": Situation(
        f"{RUN} StartNext {PUBLISH} {END}",
        during=late_request,
        faults=[
            {**refused("states", "StartExecution"), "error": "ExecutionAlreadyExistsException"}
        ],
    ),
    "next run cannot be started": Situation(
        f"{RUN} StartNext {FAILURE}",
        "StepFunctions.AccessDeniedException",
        during=late_request,
        faults=[refused("states", "StartExecution", times=9)],
        message="The next execution does them.",
    ),
    "invalid configuration": Situation(
        f"{START} {LOCK} PlanRun {RECORD} {RELEASE} {FAILURE}",
        "InvalidConfigError",
        config={"contact_types": ["fax"]},
    ),
    "nothing to sync": Situation(
        f"{START} {LOCK} {PLAN} {RECORD} {RELEASE} {PUBLISH} {END}",
        input={"contact_types": ["security"]},
        arrange=source_without_security,
    ),
    "deletion is confirmed": Situation(
        f"{START} {LOCK} {PLAN} ConfirmDeletion {RUN.partition(LOCK)[2]} {PUBLISH} {END}",
        config={"on_source_deleted": "delete"},
        arrange=source_without_security,
    ),
    "accounts cannot be listed": Situation(
        f"{START} {LOCK} {PLAN} ListAccounts {RECORD} {RELEASE} {FAILURE}",
        "CrashError",
        faults=[crash(LISTER, "list_accounts")],
    ),
    "no account in scope": Situation(
        f"{START} {LOCK} {PLAN} ListAccounts HasAccounts {RECORD} {RELEASE} {PUBLISH} {END}",
        input={"account_ids": [FIRST]},
        config={"excluded_accounts": [FIRST]},
    ),
    "manifest cannot be read": Situation(
        f"{RUN} {FAILURE}",
        "States.ItemReaderFailed",
        faults=[refused("s3", "GetObject", "manifest")],
        look=lambda machine, _: machine.lock()["quiet_until"],
    ),
    "run cannot be recorded": Situation(
        f"{RUN} {FAILURE}",
        "CrashError",
        faults=[crash(REPORTER)],
        message="ended with CrashError; sync-reporter could not add details.\nNext: bash scripts/",
    ),
    "neither planned nor recorded": Situation(
        f"{START} {LOCK} PlanRun {RECORD} {RELEASE} {FAILURE}",
        "FirstError",
        faults=[crash(HANDLER, "plan_run", "FirstError"), crash(REPORTER)],
        message="ended with FirstError",
    ),
    "lock cannot be freed": Situation(
        f"{RUN.removesuffix(' HasNext')} {FAILURE}",
        "CrashError",
        config={"notification_settings": {"notify_on_success": False}},
        faults=[crash(HANDLER, "release_lock")],
        message="The next execution frees it.",
    ),
    "result cannot be published": Situation(
        f"{RUN} {FAILURE}",
        "SNS.AccessDeniedException",
        faults=[refused("sns", "Publish", times=13)],
    ),
    "recovery, result cannot be published": Situation(
        f"{START} TakeLock {RECORD} {RELEASE} {FAILURE}",
        "NotPublishedError",
        trigger(
            "recovery",
            execution_arn="arn:aws:states:us-east-1:999999999999:execution:any:long-gone",
        ),
        faults=[refused("sns", "Publish", times=13)],
    ),
    "change": Situation(f"{CHANGE} IsSourceSettled {END}", input=CHANGED),
    "change, and the source differs after it": Situation(
        f"{CHANGE} IsSourceSettled RepeatChange {END}",
        input=CHANGED,
        during=source_changes,
        look=change_is_repeated,
    ),
    "change, already repeated": Situation(
        f"{CHANGE} IsSourceSettled RepeatChange {END}",
        input=CHANGED,
        during=source_changes,
        faults=[
            {**refused("states", "StartExecution"), "error": "ExecutionAlreadyExistsException"}
        ],
    ),
    "change, cannot be repeated": Situation(
        f"{CHANGE} IsSourceSettled RepeatChange PublishResult MustCheckSource"
        " HowDidItEnd SyncFailed",
        "StepFunctions.AccessDeniedException",
        CHANGED,
        during=source_changes,
        faults=[refused("states", "StartExecution", times=9)],
        message="check of the source failed: StepFunctions.AccessDeniedException",
    ),
    "change, and the source differs after the last hop": Situation(
        f"{CHANGE} PublishResult MustCheckSource HowDidItEnd SyncFailed",
        "SourceNotSettledError",
        trigger("contact_changed", hop=3),
        during=source_changes,
        message="check of the source failed: SourceNotSettledError",
    ),
    # The children.
    "attempt is repeated": Situation(f"{RUN} {PUBLISH} {END}", arrange=throttled_once),
    "account stays throttled": Situation(
        *PARTIAL,
        arrange=throttled,
        look=lambda machine, _: machine.account(FIRST)["primary_failure"]["error"],
    ),
    "function dies": Situation(
        *PARTIAL,
        faults=[dies(ALTERNATE, FIRST)],
        message="Runtime.ExitError",
        look=alternates_failed("Runtime.ExitError"),
    ),
    "function dies, and its failure cannot be recorded": Situation(
        *PARTIAL,
        faults=[dies(PRIMARY, FIRST), refused("dynamodb", "UpdateItem", "#failure", times=9)],
        message="NotRecordedError",
    ),
    "function dies after a newer run": Situation(
        *PARTIAL,
        faults=[dies(PRIMARY, FIRST)],
        arrange=newer_run,
        message="NotRecordedError",
        look=newer_record_stays,
    ),
    "function dies in a dry run": Situation(
        f"{START} {PLAN} {SYNC} {RECORD} {PUBLISH} {END}",
        input={"dry_run": True},
        faults=[dies(ALTERNATE, FIRST)],
        message="NotRecordedError",
        look=account_is_untouched,
    ),
}
