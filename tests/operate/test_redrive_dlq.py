"""Redriving dead letters: `redrive-dlq`, and what it makes of a message."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import boto3
import pytest
from operate.aws import Aws
from operate.dead_letters import Letter, Plan, Rules, execution_name
from operate.stacks import get_stack
from standin.organization.worlds import SOURCE_CONTACTS
from support.aws import Operate, Told, refusal
from support.deployed import STACK as STACK_NAME
from support.deployed import Deployed
from support.event_rules import matches, transform
from support.events import EVENTS, MEMBER
from support.stack import ACCOUNT, Stack, expand, forwarding_template, source_template

RULES = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{STACK_NAME}"
SCHEDULE = f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule/{STACK_NAME}/{STACK_NAME}-schedule"
SCHEDULED = {
    "SCHEDULE_ARN": SCHEDULE,
    "EXECUTION_ID": "d32c5kddcf5bb8c3",
    "SCHEDULED_TIME": "2026-11-25T03:00:00Z",
}
Redrive = Operate


@pytest.fixture(scope="module", name="stack")
def _stack() -> Stack:
    return Stack(expand(source_template()))


@pytest.fixture(scope="module", name="deployed_rules")
def _deployed_rules(stack: Stack) -> dict[str, Any]:
    """The rules of the template by their name."""
    return {rule["Name"]: rule for rule in stack.of_type("AWS::Events::Rule").values()}


@pytest.fixture(scope="module", name="forwarding")
def _forwarding() -> Stack:
    return Stack(forwarding_template(), HomeRegion="eu-west-1", Kind="Both")


@pytest.fixture(name="environment", autouse=True)
def _environment(account: Deployed, stack: Stack, deployed_rules: dict[str, Any]) -> Deployed:
    """The environment with the machine, the topic and the rules of the template."""
    own = {
        "StateMachineArn": "ContactSyncStateMachine",
        "NotificationTopicArn": "NotificationTopic",
    }
    for output in account.stack["Outputs"]:
        if output["OutputKey"] in own:
            output["OutputValue"] = stack.arn(own[output["OutputKey"]])
    patterns = [
        {"Name": name, "EventPattern": json.dumps(rule["EventPattern"])}
        for name, rule in deployed_rules.items()
    ]
    account.stacks.resources[STACK_NAME] = [
        {"ResourceType": "AWS::Events::Rule", "PhysicalResourceId": name} for name in deployed_rules
    ]
    account.aws.answers |= {
        "events.ListRules": {"Rules": patterns},
        "events.ListTargetsByRule": lambda _, given: {
            "Targets": deployed_rules[given["Rule"]]["Targets"]
        },
        "events.TestEventPattern": lambda _, given: {
            "Result": matches(json.loads(given["EventPattern"]), json.loads(given["Event"]))
        },
    }
    return account


def rules(*, forwarded: bool = False) -> Rules:
    return Rules(get_stack(Aws("us-east-1", None), "dev"), forwarded=forwarded)


def letter(body: Any, **attributes: str) -> Letter:
    return Letter("id", "receipt", body, attributes)


class TestMapping:
    @pytest.mark.parametrize("name", EVENTS)
    def test_agrees_with_the_rules(
        self, stack: Stack, deployed_rules: dict[str, Any], name: str
    ) -> None:
        """An event starts what its rule would have started, and one without a rule nothing."""
        machine, found = stack.arn("ContactSyncStateMachine"), rules()
        expected = [
            (rule, transform(target["InputTransformer"], EVENTS[name]))
            for rule, properties in deployed_rules.items()
            for target in properties["Targets"]
            if target["Arn"] == machine and matches(properties["EventPattern"], EVENTS[name])
        ]

        planned = [
            (rule, json.loads(one.payload))
            for rule in deployed_rules
            if (one := found.plan(letter(EVENTS[name], RULE_ARN=f"rule/{rule}")))
            and one.target == machine
        ]

        assert expected == planned

    def test_forwarded(self, deployed_rules: dict[str, Any], forwarding: Stack) -> None:
        """What is forwarded only for the stack's rules to leave it out starts nothing."""
        forwarded = [
            event
            for event in EVENTS.values()
            if any(
                matches(rule["EventPattern"], event)
                for rule in forwarding.of_type("AWS::Events::Rule").values()
            )
        ]
        found = rules(forwarded=True)

        for event in forwarded:
            starts = any(matches(one["EventPattern"], event) for one in deployed_rules.values())
            planned = found.plan(letter(event))

            assert planned
            assert bool(planned.target) == starts

    def test_event_of_no_rule_stays(self) -> None:
        """In the stack's own queue is only what a rule matched, or somebody changed the rule."""
        denied = letter(EVENTS["set-contact-address-denied"])

        assert rules().plan(denied) is None

    def test_forwarded_to_a_deleted_rule_stays(self, environment: Deployed) -> None:
        """Whether it would have started an execution is not known until the rule is back."""
        patterns = environment.aws.answers["events.ListRules"]["Rules"]
        event = EVENTS["set-additional-contacts"]
        rule = next(one for one in patterns if matches(json.loads(one["EventPattern"]), event))
        patterns.remove(rule)

        assert rules(forwarded=True).plan(letter(event)) is None

    @pytest.mark.parametrize("missing", ["eventID", "eventTime"])
    def test_incomplete_event_is_not_dropped(self, missing: str) -> None:
        """A change that cannot be identified is left for somebody to look at."""
        event = EVENTS["put-alternate-contact"]
        detail = {key: value for key, value in event["detail"].items() if key != missing}

        assert rules(forwarded=True).plan(letter({**event, "detail": detail})) is None

    @pytest.mark.parametrize("text", ["Severine Padlockton", "a\tb", "", 7])
    def test_no_identifiers(self, text: Any) -> None:
        """A trigger that has any text of people in it is not understood."""
        event = EVENTS["put-alternate-contact"]

        planned = rules().plan(letter({**event, "detail": {**event["detail"], "eventID": text}}))

        assert planned is None

    @pytest.mark.parametrize(
        "name", ["execution-aborted", "execution-failed-recovery", "execution-timed-out"]
    )
    def test_agrees_with_the_notice(self, stack: Stack, name: str) -> None:
        """What the topic did not get of a stopped execution is the line that the rule writes."""
        (target,) = stack.properties("ExecutionStoppedRule")["Targets"]
        expected = transform(target["InputTransformer"], EVENTS[name])

        planned = rules().plan(letter(EVENTS[name], RULE_ARN=f"{RULES}-execution-stopped"))

        assert Plan("notice of a stopped execution", target["Arn"], expected) == planned

    def test_agrees_with_the_schedule(self, stack: Stack) -> None:
        """The schedule's input is rebuilt of the attributes, whatever the body says."""
        text = stack.properties("Schedule")["Target"]["Input"]
        expected = text.replace("<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3").replace(
            "<aws.scheduler.scheduled-time>", "2026-11-25T03:00:00Z"
        )

        planned = rules().plan(letter(None, **SCHEDULED))

        assert planned
        assert json.loads(expected) == json.loads(planned.payload)

    @pytest.mark.parametrize(
        "attributes",
        [{"EXECUTION_ID": ""}, {"SCHEDULED_TIME": "now\n"}, {"SCHEDULE_ARN": "Severine Padlock"}],
    )
    def test_odd_schedule(self, attributes: dict[str, str]) -> None:
        assert rules().plan(letter(None, **(SCHEDULED | attributes))) is None

    @pytest.mark.parametrize("body", [None, 7, [], {}, {"detail": {}}, {"trigger": "schedule"}])
    def test_garbage(self, body: Any) -> None:
        """What is no event of a rule is not understood."""
        assert rules(forwarded=True).plan(letter(body)) is None

    @pytest.mark.parametrize("added", [{"Arn": "arn:aws:logs:x"}, {"Input": "{}"}], ids=str)
    def test_added_by_others(
        self, stack: Stack, environment: Deployed, added: dict[str, str]
    ) -> None:
        """A rule for a time, and a target that is not of the template, are left alone."""
        answers, machine = environment.aws.answers, stack.arn("ContactSyncStateMachine")
        usual = answers["events.ListTargetsByRule"]
        answers["events.ListTargetsByRule"] = lambda *given: {
            "Targets": [{"Arn": machine, **added}, *usual(*given)["Targets"]]
        }
        nightly = {"Name": f"{STACK_NAME}-nightly", "ScheduleExpression": "rate(1 day)"}
        answers["events.ListRules"]["Rules"].insert(0, nightly)

        planned = rules().plan(letter(EVENTS["put-alternate-contact"]))

        assert planned
        assert planned.name.startswith("redrive-")

    def test_refused_event(self, environment: Deployed) -> None:
        """EventBridge takes no event that lacks what every event has."""
        environment.aws.answers["events.TestEventPattern"] = refusal("ValidationException")

        assert rules().plan(letter(EVENTS["put-alternate-contact"])) is None

    def test_plan_has_identifiers_only(self) -> None:
        """Nothing of what an event says of contacts or people is in the plan of its message."""
        found = rules(forwarded=True)
        for name, event in EVENTS.items():
            texts = {
                text
                for text in leaves(event["detail"].get("requestParameters"))
                if len(text) > 4 and text != MEMBER
            }
            planned = str(found.plan(letter(event)))

            assert [] == [text for text in texts if text in planned], name

    def test_odd_attributes_are_not_shown(self) -> None:
        """What should name a rule and an error, and does not, is left out."""
        sent = letter(None, RULE_ARN="rule/a\tb", ERROR_CODE="Severine Padlockton")

        assert "unknown origin, no error code" == sent.origin

    def test_name(self) -> None:
        """An event has one name, which Step Functions takes."""
        odd = execution_name("a:b/c")

        assert "redrive-1a2b" == execution_name("1a2b")
        assert odd == execution_name("a:b/c")
        assert 80 >= len(odd) == len(odd.encode())
        assert ":" not in odd


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    elif isinstance(value, str):
        yield value


@pytest.fixture(name="queue")
def _queue(environment: Deployed) -> "Queue":
    return Queue(environment)


class Queue:
    """The dead-letter queue, and a machine that remembers what was started."""

    def __init__(self, account: Deployed) -> None:
        self.account = account
        self.started: dict[str, Any] = {}
        self.published: list[str] = []
        account.aws.answers |= {
            "stepfunctions.StartExecution": self._start,
            "sns.Publish": self._publish,
        }

    def send(self, body: Any, **attributes: str) -> str:
        message = self.account.sqs.send_message(
            QueueUrl=self.account.queue_url,
            MessageBody=body if isinstance(body, str) else json.dumps(body),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )
        return str(message["MessageId"])

    def visible(self) -> list[str]:
        answer = self.account.sqs.receive_message(
            QueueUrl=self.account.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [message["MessageId"] for message in answer.get("Messages", [])]

    def _start(self, _: str, given: Any) -> Any:
        if given["name"] in self.started:
            return refusal("ExecutionAlreadyExists")
        self.started[given["name"]] = json.loads(given["input"])["trigger"]
        return {"executionArn": f"x:{given['name']}"}

    def _publish(self, _: str, given: Any) -> Any:
        self.published.append(given["Message"])
        return {"MessageId": "m"}


@pytest.fixture(name="redrive")
def _redrive(operate: Operate, monkeypatch: pytest.MonkeyPatch) -> Redrive:
    monkeypatch.setattr("operate.redrive_dlq.WAIT_SECONDS", 0)
    return partial(operate, "redrive-dlq", "--environment", "dev")


class TestRedrive:
    def test_every_origin(self, queue: Queue, redrive: Redrive) -> None:
        """Each message's execution is started and the message deleted; garbage stays."""
        names = {
            "put-alternate-contact-pascal": "contact-changed",
            "create-account-result": "account-created",
            "create-managed-account": "managed-account-created",
        }
        for name, rule in names.items():
            queue.send(EVENTS[name], RULE_ARN=f"{RULES}-{rule}", ERROR_CODE="AccessDeniedException")
        aborted = EVENTS["execution-aborted"]
        queue.send(aborted, RULE_ARN=f"{RULES}-recovery", ERROR_CODE="THROTTLING")
        queue.send(aborted, RULE_ARN=f"{RULES}-execution-stopped")
        queue.send(
            '{"StateMachineArn": "x", "Input": "',
            ERROR_CODE="AccessDeniedException",
            **SCHEDULED,
        )
        garbage = queue.send("Severine Padlockton", ERROR_CODE="SDK_CLIENT_ERROR")

        told = redrive("--yes")

        about = {EVENTS[name]["detail"]["eventID"]: EVENTS[name]["detail"] for name in names}
        expected = {
            **{event_id: detail["eventName"] for event_id, detail in about.items()},
            aborted["id"]: "ABORTED",
            "d32c5kddcf5bb8c3": f"{STACK_NAME}-schedule",
        }
        assert 1 == told.code
        assert expected == {
            name.removeprefix("redrive-"): trigger["event_name"]
            for name, trigger in queue.started.items()
        }
        assert [garbage] == queue.visible()
        warning = f"warning: message {garbage} (unknown origin, SDK_CLIENT_ERROR) is not understood"
        assert warning in told.err
        assert "6 redriven, 1 left in the queue" == told.error
        assert any("ended as ABORTED" in text for text in queue.published)
        changed = EVENTS["put-alternate-contact-pascal"]["detail"]["eventID"]
        assert (
            f" ({STACK_NAME}-contact-changed, AccessDeniedException): contact_changed {changed}, "
            f"started as redrive-{changed}\n" in told.out
        )
        assert not shown(told)

    def test_again(self, queue: Queue, redrive: Redrive) -> None:
        """An event that was redriven before is not started again, and its message goes."""
        event_id = EVENTS["delete-alternate-contact"]["detail"]["eventID"]
        queue.started[f"redrive-{event_id}"] = {}
        queue.send(EVENTS["delete-alternate-contact"])

        told = redrive("--yes")

        assert 0 == told.code
        assert f"{event_id}, already started as redrive-{event_id}\n" in told.out
        assert [] == queue.visible()

    @pytest.mark.parametrize("error", [refusal("AccessDeniedException"), KeyboardInterrupt()])
    def test_ended_in_the_middle(
        self, queue: Queue, redrive: Redrive, error: BaseException
    ) -> None:
        """Whatever ends it, a message that was not redriven is in the queue at once."""
        queue.send(EVENTS["put-contact-information"])

        def end(*_: Any) -> None:
            raise error

        queue.account.aws.answers["stepfunctions.StartExecution"] = end

        told = redrive("--yes")

        assert (130 if isinstance(error, KeyboardInterrupt) else 1, "") == (told.code, told.out)
        assert 1 == len(queue.visible())

    def test_question(self, queue: Queue, redrive: Redrive) -> None:
        """Without a yes, nothing is touched."""
        queue.send(EVENTS["put-contact-information-root"])

        refused = redrive(answer="no\n")
        left = queue.visible()
        agreed = redrive(answer="y\n")

        assert (1, "error: not confirmed; nothing was changed") == (refused.code, refused.error)
        assert f"About 1 messages in {STACK_NAME}-dlq. Start the execution of each?" in refused.err
        assert 1 == len(left)
        assert 0 == agreed.code
        assert [] == queue.visible()

    def test_forwarded(self, queue: Queue, redrive: Redrive) -> None:
        """What could not be forwarded from another region starts its execution in this one."""
        there = "us-west-2"
        sqs: Any = boto3.client("sqs", there)
        url = sqs.create_queue(QueueName="forwarding")["QueueUrl"]
        name = f"{STACK_NAME}-forwarding"
        queue.account.stacks.put(name, region=there, outputs={"DeadLetterQueueUrl": url})
        for event in ("set-additional-contacts", "set-contact-address-denied"):
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(EVENTS[event]))

        told = redrive("--yes", "--forwarding-region", there)

        event_id = EVENTS["set-additional-contacts"]["detail"]["eventID"]
        assert (0, "2 redriven, 0 left in the queue\n") == (told.code, told.err)
        assert f"contact_changed {event_id}, started as redrive-{event_id}" in told.out
        assert "SetContactAddress starts nothing, deleted" in told.out
        assert [f"redrive-{event_id}"] == list(queue.started)

    @pytest.mark.usefixtures("queue")
    def test_nothing_is_forwarded(self, redrive: Redrive) -> None:
        told = redrive("--yes", "--forwarding-region", "eu-west-1")

        missing = f"there is no stack {STACK_NAME}-forwarding in eu-west-1"
        assert f"error: {missing}: check --forwarding-region" == told.error

    @pytest.mark.usefixtures("queue")
    def test_empty(self, redrive: Redrive) -> None:
        """An empty queue is no failure."""
        told = redrive("--yes")

        assert (0, "", "0 redriven, 0 left in the queue\n") == (told.code, told.out, told.err)


def shown(told: Told) -> list[str]:
    """Return the values of contacts that the command printed."""
    values = set(leaves(SOURCE_CONTACTS)) | {
        text
        for event in EVENTS.values()
        for text in leaves(event["detail"].get("requestParameters"))
    }
    return [
        text for text in values if len(text) > 4 and text != MEMBER and text in told.out + told.err
    ]
