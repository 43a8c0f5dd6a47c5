"""Redriving dead letters: `scripts/redrive-dlq.sh`, and what it makes of a message."""

import json
import shlex
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from lib import dead_letters
from lib.dead_letters import Letter
from standin.organization.worlds import SOURCE_CONTACTS, drifted_world
from support.cli import Cli, FakeAws, Result, run, wait_until
from support.event_rules import matches, transform
from support.events import EVENTS, MEMBER
from support.machine import Machine
from support.stack import ACCOUNT, Stack, expand, forwarding_template, source_template

STACK = "aws-contact-sync-dev"
RULES = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{STACK}"
SCHEDULE = f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule/{STACK}/{STACK}-schedule"
FORWARDING = """
Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: forwarding}}}
Outputs: {DeadLetterQueueUrl: {Value: !Ref Queue}}
"""
DENIED = {
    "service": "events",
    "operation": "StartExecution",
    "error": "AccessDeniedException",
    "times": 1,
}


@pytest.fixture(scope="module", name="stack")
def _stack() -> Stack:
    return Stack(expand(source_template()))


@pytest.fixture(scope="module", name="forwarding")
def _forwarding() -> Stack:
    return Stack(forwarding_template(), HomeRegion="eu-west-1", Kind="Both")


@pytest.fixture(name="machine_arn")
def _machine_arn(stack: Stack) -> str:
    return stack.arn("ContactSyncStateMachine")


def letter(body: Any, **attributes: str) -> Letter:
    return Letter("id", "receipt", body, attributes)


class TestMapping:
    @pytest.mark.parametrize("name", EVENTS)
    def test_agrees_with_the_rules(self, stack: Stack, machine_arn: str, name: str) -> None:
        """An event starts what the rule would have started, and one without a rule nothing."""
        rules = stack.of_type("AWS::Events::Rule").values()
        inputs = [
            transform(target["InputTransformer"], EVENTS[name])
            for rule in rules
            for target in rule["Targets"]
            if target["Arn"] == machine_arn and matches(rule["EventPattern"], EVENTS[name])
        ]

        found = dead_letters.execution_input(letter(EVENTS[name]), machine_arn)

        assert inputs == ([] if found is None else [found])

    @pytest.mark.parametrize("name", EVENTS)
    def test_agrees_with_the_forwarding_rules(
        self, stack: Stack, forwarding: Stack, machine_arn: str, name: str
    ) -> None:
        """What is forwarded only for the stack's rules to leave it out is dropped, nothing else."""
        patterns = [
            [
                rule["EventPattern"]
                for rule in each.of_type("AWS::Events::Rule").values()
                if rule["Targets"][0]["Arn"] != stack.arn("NotificationTopic")
            ]
            for each in (stack, forwarding)
        ]
        here, forwarded = (
            any(matches(pattern, EVENTS[name]) for pattern in found) for found in patterns
        )

        *_, action, _, _, _ = dead_letters.plan(letter(EVENTS[name]), machine_arn)

        if here:
            assert "start" == action
        elif forwarded:
            assert "drop" == action

    @pytest.mark.parametrize("missing", ["eventID", "eventTime"])
    def test_incomplete_event_is_not_dropped(self, machine_arn: str, missing: str) -> None:
        """A change that cannot be identified is left for somebody to look at."""
        event = EVENTS["put-alternate-contact"]
        detail = {key: value for key, value in event["detail"].items() if key != missing}

        *_, action, _, _, _ = dead_letters.plan(letter({**event, "detail": detail}), machine_arn)

        assert "leave" == action

    @pytest.mark.parametrize(
        "name", ["execution-aborted", "execution-failed-recovery", "execution-timed-out"]
    )
    def test_agrees_with_the_notice(self, stack: Stack, machine_arn: str, name: str) -> None:
        """What the topic did not get of a stopped execution is the line that the rule writes."""
        (target,) = stack.properties("ExecutionStoppedRule")["Targets"]
        expected = transform(target["InputTransformer"], EVENTS[name])
        sent = letter(EVENTS[name], TARGET_ARN=target["Arn"])

        *_, action, _, text, _ = dead_letters.plan(sent, machine_arn)

        assert ("publish", expected) == (action, text)

    def test_agrees_with_the_schedule(self, stack: Stack, machine_arn: str) -> None:
        """The schedule's input is rebuilt of the attributes, whatever the body says."""
        text = stack.properties("Schedule")["Target"]["Input"]
        expected = text.replace("<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3").replace(
            "<aws.scheduler.scheduled-time>", "2026-11-25T03:00:00Z"
        )
        attributes = {
            "SCHEDULE_ARN": SCHEDULE,
            "EXECUTION_ID": "d32c5kddcf5bb8c3",
            "SCHEDULED_TIME": "2026-11-25T03:00:00Z",
        }

        found = dead_letters.execution_input(letter(None, **attributes), machine_arn)

        assert json.loads(expected) == found

    @pytest.mark.parametrize("key", ["Input", "input"])
    @pytest.mark.parametrize("as_text", [True, False])
    def test_given_input(self, machine_arn: str, key: str, as_text: bool) -> None:  # noqa: FBT001
        """An input that is made already is taken, alone or in a request to Step Functions."""
        given = {"trigger": trigger(source="schedule")}
        request = {"StateMachineArn": machine_arn, key: json.dumps(given) if as_text else given}

        for body in (given, request):
            assert given == dead_letters.execution_input(letter(body), machine_arn)

    @pytest.mark.parametrize(
        "body",
        [
            None,
            7,
            [],
            {},
            {"detail": {}},
            {"detail": []},
            {"Input": "no JSON"},
            {"trigger": "schedule"},
            {"trigger": {}},
            {"trigger": {"source": "schedule"}},
        ],
    )
    def test_garbage(self, machine_arn: str, body: Any) -> None:
        """What is no event of a rule is not understood."""
        assert dead_letters.execution_input(letter(body), machine_arn) is None

    @pytest.mark.parametrize(
        "change",
        [
            {"source": "elsewhere"},
            {"source": "account_joined"},
            {"source": "account_joined", "account_id": "1"},
            {"source": "recovery"},
            {"source": "recovery", "execution_arn": "arn:aws:states:::execution:other:f00d"},
            {"event_id": ""},
            {"event_id": 7},
            {"event_name": "Severine Padlockton"},
            {"event_name": "a\tb"},
            {"event_time": "now\n"},
            {"contact": "x"},
        ],
    )
    def test_no_identifiers(self, machine_arn: str, change: dict[str, Any]) -> None:
        """A trigger that is incomplete, or has any text in it, is not understood."""
        body = {"trigger": {**trigger(source="schedule"), **change}}

        assert dead_letters.execution_input(letter(body), machine_arn) is None

    @pytest.mark.parametrize(
        "more", [{"reason": "call Severine"}, {"account_ids": [MEMBER]}, {"contact_types": []}]
    )
    def test_no_input_of_a_rule(self, machine_arn: str, more: dict[str, Any]) -> None:
        """An input that no rule makes is not understood."""
        body = {"trigger": trigger(source="schedule"), **more}

        assert dead_letters.execution_input(letter(body), machine_arn) is None

    def test_plan_has_identifiers_only(self, machine_arn: str) -> None:
        """Nothing of what an event says of contacts or people is in the plan of its message."""
        for name, event in EVENTS.items():
            texts = {
                text
                for text in leaves(event["detail"].get("requestParameters"))
                if len(text) > 4 and text != MEMBER
            }
            line = "\t".join(dead_letters.plan(letter(event), machine_arn))

            assert [] == [text for text in texts if text in line], name
            assert 7 == line.count("\t")

    def test_odd_attributes_are_not_shown(self, machine_arn: str) -> None:
        """What should name a rule and an error, and does not, is left out."""
        sent = letter(None, RULE_ARN="rule/a\tb", ERROR_CODE="Severine Padlockton")

        plan = dead_letters.plan(sent, machine_arn)

        assert ("id", "receipt", "unknown origin", "no error code", "leave", "-", "-", "-") == plan

    def test_name(self) -> None:
        """An event has one name, which Step Functions takes."""
        odd = dead_letters.execution_name({"trigger": {"event_id": "a:b/c"}})

        assert "redrive-1a2b" == dead_letters.execution_name({"trigger": {"event_id": "1a2b"}})
        assert odd == dead_letters.execution_name({"trigger": {"event_id": "a:b/c"}})
        assert 80 >= len(odd) == len(odd.encode())
        assert ":" not in odd


def trigger(**changes: Any) -> dict[str, Any]:
    given = {"event_id": "1a2b", "event_name": "x", "event_time": "2026-11-25T03:00:00Z"}
    return {**given, **changes}


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    elif isinstance(value, str):
        yield value


class TestOptions:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, fake_aws: FakeAws, option: str) -> None:
        """Help is an answer, not an error."""
        fake_aws.answers = ["exit 99"]

        result = run("redrive-dlq.sh", option, environment=fake_aws.environment)

        assert (0, "") == (result.returncode, result.stderr)
        for named in ("--environment ENV", "--forwarding-region R", "--yes", "--region R"):
            assert named in result.stdout

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("", "--environment is required"),
            ("--yes", "--environment is required"),
            ("--environment", "--environment needs a value"),
            ("--environment test", "'test' is no environment"),
            ("--environment dev --region x", "'x' is no region"),
            ("--environment dev --forwarding-region x", "'x' is no region"),
            ("--environment dev --profile", "--profile needs a value"),
            ("--environment dev --force", "unknown option: --force"),
            ("dev", "unknown option: dev"),
        ],
    )
    def test_wrong(self, fake_aws: FakeAws, options: str, complaint: str) -> None:
        """A wrong option is told on stderr with the usage and exit code 2, before any call."""
        fake_aws.answers = ["exit 99"]

        result = run("redrive-dlq.sh", *shlex.split(options), environment=fake_aws.environment)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr.splitlines()[0]
        assert "Usage: scripts/redrive-dlq.sh" in result.stderr
        assert 0 == fake_aws.calls


class Queue:
    """The deployed dead-letter queue."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.url = machine.stack.outputs["DeadLetterQueueUrl"]
        self.sqs = machine.standin.client("sqs")

    def fill(self, *events: dict[str, Any]) -> None:
        """Put events on the bus whose executions cannot be started."""
        for event in events:
            wanted = len(self.messages()) + 1
            self.machine.standin.set_faults([DENIED])
            self.machine.standin.put_event(event)
            wait_until(partial(self.has, wanted))
        self.machine.standin.clear_faults()

    def send(self, body: str, **attributes: str) -> str:
        message = self.sqs.send_message(
            QueueUrl=self.url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )
        return str(message["MessageId"])

    def has(self, count: int) -> bool:
        return len(self.messages()) == count

    def messages(self) -> list[dict[str, Any]]:
        return self.machine.standin.queued_messages(self.url)

    def visible(self) -> list[str]:
        return [message["MessageId"] for message in self.messages() if message["IsVisible"]]


@pytest.fixture(name="queue")
def _queue(machine: Machine) -> Iterator[Queue]:
    machine.stack.wait_for_executions(0)
    machine.reset(drifted_world(6))
    queue = Queue(machine)
    yield queue
    machine.standin.clear_faults()
    queue.sqs.purge_queue(QueueUrl=queue.url)
    machine.stack.wait_for_executions(0)


def inputs(machine: Machine) -> dict[str, Any]:
    """Return the inputs of the executions that were redriven, by their event."""
    return {
        each.name.removeprefix("redrive-"): each.input().get("trigger")
        for each in machine.stack.executions()
        if each.name.startswith("redrive-")
    }


class TestRedrive:
    def test_every_origin(self, queue: Queue, cli: Cli) -> None:
        """Each message's execution is started and the message deleted; garbage stays."""
        names = ["put-alternate-contact-pascal", "create-account-result", "create-managed-account"]
        events = {name: EVENTS[name] for name in names}
        queue.fill(*events.values())
        aborted = EVENTS["execution-aborted"]
        stopped = f"{RULES}-execution-stopped"
        topic = queue.machine.stack.outputs["NotificationTopicArn"]
        queue.send(json.dumps(aborted), RULE_ARN=f"{RULES}-recovery", ERROR_CODE="THROTTLING")
        queue.send(json.dumps(aborted), RULE_ARN=stopped, TARGET_ARN=topic)
        queue.send(
            '{"StateMachineArn": "x", "Input": "',
            SCHEDULE_ARN=SCHEDULE,
            EXECUTION_ID="d32c5kddcf5bb8c3",
            SCHEDULED_TIME="2026-11-25T03:00:00Z",
            ERROR_CODE="AccessDeniedException",
        )
        garbage = queue.send("Severine Padlockton", ERROR_CODE="SDK_CLIENT_ERROR")

        result = cli.run("redrive-dlq.sh", "--yes")

        started = inputs(queue.machine)
        about = {
            **{event["detail"]["eventID"]: event["detail"] for event in events.values()},
            aborted["id"]: {"eventName": "ABORTED"},
            "d32c5kddcf5bb8c3": {"eventName": f"{STACK}-schedule"},
        }
        assert 1 == result.returncode
        assert {event_id: detail["eventName"] for event_id, detail in about.items()} == {
            event_id: each["event_name"] for event_id, each in started.items() if event_id in about
        }
        assert [garbage] == [message["MessageId"] for message in queue.messages()]
        assert [garbage] == queue.visible()
        assert f"message {garbage} (unknown origin, SDK_CLIENT_ERROR) is not understood" in (
            result.stderr
        )
        assert "6 redriven, 1 left in the queue" == result.stderr.splitlines()[-1]
        assert any("ended as ABORTED" in sent.body for sent in queue.machine.messages())
        changed = events["put-alternate-contact-pascal"]["detail"]["eventID"]
        assert (
            f" ({STACK}-contact-changed, AccessDeniedException): contact_changed {changed}, "
            f"started as redrive-{changed}\n" in result.stdout
        )
        assert not shown(result)

    def test_again(self, queue: Queue, cli: Cli) -> None:
        """An event that was redriven before is not started again, and its message goes."""
        event = EVENTS["delete-alternate-contact"]
        event_id = event["detail"]["eventID"]
        earlier = queue.machine.stack.start({"reason": "before"}, name=f"redrive-{event_id}")
        queue.send(json.dumps(event))

        result = cli.run("redrive-dlq.sh", "--yes")

        assert 0 == result.returncode
        assert f"{event_id}, was started before as redrive-{event_id}\n" in result.stdout
        assert [] == queue.messages()
        names = [each.name for each in queue.machine.stack.executions()]
        assert 1 == names.count(earlier.name)

    def test_refused(self, queue: Queue, cli: Cli) -> None:
        """Where the execution cannot be started either, the message is in the queue at once."""
        queue.send(json.dumps(EVENTS["put-contact-information"]))
        queue.machine.standin.set_faults([DENIED])

        result = cli.run("redrive-dlq.sh", "--yes")

        assert (1, "") == (result.returncode, result.stdout)
        assert "error: the AWS credentials do not suffice" in result.stderr
        assert 1 == len(queue.visible())

    def test_bodies_are_not_traced(self, queue: Queue, cli: Cli) -> None:
        """Debugging shows commands, and no message."""
        queue.send(json.dumps({"detail": SOURCE_CONTACTS}))
        queue.send(json.dumps(EVENTS["put-contact-information-pascal"]))
        environment = {**cli.environment, "DEBUG": "1"}

        result = run("redrive-dlq.sh", "--environment", "dev", "--yes", environment=environment)

        assert 1 == result.returncode
        assert "sqs receive-message" in result.stderr
        assert not shown(result)

    def test_question(self, queue: Queue, cli: Cli) -> None:
        """Without a yes, nothing is touched."""
        queue.send(json.dumps(EVENTS["put-contact-information-root"]))

        refused = [cli.run("redrive-dlq.sh", answer=answer) for answer in ("", "no\n")]
        left = queue.visible()
        agreed = cli.run("redrive-dlq.sh", answer="y\n")

        for result in refused:
            assert (1, "") == (result.returncode, result.stdout)
            assert f"About 1 messages in {STACK}-dlq." in result.stderr
            assert result.stderr.endswith("error: not confirmed; nothing was done\n")
        assert 1 == len(left)
        assert 0 == agreed.returncode
        assert [] == queue.messages()

    def test_forwarded(self, queue: Queue, cli: Cli) -> None:
        """What could not be forwarded from another region starts its execution in this one."""
        there = "us-west-2"
        stack = queue.machine.standin.client("cloudformation", there)
        queues = queue.machine.standin.client("sqs", there)
        stack.create_stack(StackName=f"{STACK}-forwarding", TemplateBody=FORWARDING)
        stack.get_waiter("stack_create_complete").wait(
            StackName=f"{STACK}-forwarding", WaiterConfig={"Delay": 1}
        )
        url = queues.get_queue_url(QueueName="forwarding")["QueueUrl"]
        for name in ("set-additional-contacts", "set-contact-address-denied"):
            queues.send_message(QueueUrl=url, MessageBody=json.dumps(EVENTS[name]))

        result = cli.run("redrive-dlq.sh", "--yes", "--forwarding-region", there)

        event_id = EVENTS["set-additional-contacts"]["detail"]["eventID"]
        assert (0, "2 redriven, 0 left in the queue\n") == (result.returncode, result.stderr)
        assert f"contact_changed {event_id}, started as redrive-{event_id}" in result.stdout
        assert "SetContactAddress starts nothing, deleted" in result.stdout
        assert event_id in inputs(queue.machine)

    @pytest.mark.usefixtures("queue")
    def test_empty(self, cli: Cli) -> None:
        """An empty queue is no failure."""
        result = cli.run("redrive-dlq.sh", "--yes")

        assert (0, "") == (result.returncode, result.stdout)
        assert "0 redriven, 0 left in the queue\n" == result.stderr

    def test_no_stack(self, cli: Cli) -> None:
        """The stack that is not there is named."""
        environment = cli.environment

        result = run("redrive-dlq.sh", "--environment", "staging", environment=environment)

        assert (1, "") == (result.returncode, result.stdout)
        assert "there is no stack aws-contact-sync-staging" in result.stderr


def shown(result: Result) -> list[str]:
    """Return the values of contacts that the script printed."""
    values = set(leaves(SOURCE_CONTACTS)) | {
        text
        for event in EVENTS.values()
        for text in leaves(event["detail"].get("requestParameters"))
    }
    return [
        text
        for text in values
        if len(text) > 4 and text != MEMBER and text in result.stdout + result.stderr
    ]
