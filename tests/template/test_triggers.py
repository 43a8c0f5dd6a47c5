"""The triggers match the right events, pass on nothing but identifiers, and lose no event."""

import copy
import json
import re
from typing import Any

import pytest
from contact_sync.request import parse_request
from contact_sync.request_checks import Trigger
from operate import resync
from support.event_rules import requires, transform
from support.events import EVENTS, MATCHERS, MATCHING, MEMBER, STOPPED, matched
from support.stack import ACCOUNT, ROOT, Stack, event_rule, forwarding_template

SOURCES = {
    event_rule("ContactChanged"): "contact_changed",
    event_rule("BillingContactChanged"): "contact_changed",
    event_rule("AccountCreated"): "account_joined",
    event_rule("AccountJoined"): "account_joined",
    event_rule("UnnamedAccountJoined"): "schedule",
    event_rule("ManagedAccountCreated"): "account_joined",
    event_rule("ManagedAccountUpdated"): "account_joined",
    event_rule("AccountMoved"): "account_moved",
    event_rule("AccountDeparted"): "account_left",
    event_rule("AccountClosed"): "account_left",
}
ABOUT_ONE_ACCOUNT = {"account_joined", "account_left", "account_moved"}


@pytest.fixture(params=MATCHING, name="rule_id")
def _rule_id(request: pytest.FixtureRequest) -> str:
    rule_id: str = request.param
    return rule_id


@pytest.fixture(name="rule")
def _rule(stack: Stack, rule_id: str) -> dict[str, Any]:
    return stack.properties(rule_id)


def execution_inputs(stack: Stack, rule_id: str) -> dict[str, Any]:
    """Return the input of the rule's target for each event that the rule matches."""
    [target] = stack.properties(rule_id)["Targets"]
    return {name: transform(target["InputTransformer"], EVENTS[name]) for name in MATCHING[rule_id]}


def trigger_of(execution_input: Any) -> Trigger:
    """Return the trigger that the state machine's first function parses from its input."""
    trigger = parse_request(execution_input, ACCOUNT).trigger
    assert trigger is not None
    return trigger


class TestPatterns:
    def test_every_rule_is_tested(self, stack: Stack) -> None:
        """The tests of this file cover each rule."""
        assert set(MATCHING) == set(stack.of_type("AWS::Events::Rule"))

    @pytest.mark.rule(7)
    @pytest.mark.rule(8)
    @pytest.mark.rule(16)
    @pytest.mark.parametrize("matcher", MATCHERS)
    def test_rule_matches_exactly_its_events(
        self, rule: dict[str, Any], rule_id: str, matcher: str
    ) -> None:
        """Own writes, failed calls, reads, other accounts and other machines start no run."""
        assert MATCHING[rule_id] == matched(rule["EventPattern"], MATCHERS[matcher])

    def test_no_event_starts_two_executions(self, stack: Stack) -> None:
        """No event is matched by two rules that start the machine."""
        machine = stack.arn("ContactSyncStateMachine")
        started = [
            event
            for rule_id, properties in stack.of_type("AWS::Events::Rule").items()
            for target in properties["Targets"]
            for event in MATCHING[rule_id]
            if target["Arn"] == machine
        ]

        assert len(started) == len(set(started))

    def test_each_failed_execution_is_either_recovered_or_reported(self, stack: Stack) -> None:
        """Of failed executions, only a recovery that published its own message matches no rule."""
        machine = stack.arn("ContactSyncStateMachine")
        ended = {
            name
            for name, event in EVENTS.items()
            if event["detail"].get("stateMachineArn") == machine
            and event["detail"]["status"] in ("FAILED", "ABORTED", "TIMED_OUT")
        }
        recovered, stopped = MATCHING[event_rule("Recovery")], MATCHING[STOPPED]

        assert ended - {"execution-failed-recovery-published"} == recovered | stopped
        for name in recovered | stopped:
            trigger = json.loads(EVENTS[name]["detail"].get("input") or "{}").get("trigger", {})
            assert (trigger.get("source") != "recovery") == (name in recovered)

    @pytest.mark.rule(7)
    def test_both_rules_recognize_the_input_of_a_recovery(self, stack: Stack) -> None:
        """If an execution that Recovery started fails, Recovery ignores it."""
        for started in execution_inputs(stack, event_rule("Recovery")).values():
            for status in ("FAILED", "ABORTED", "TIMED_OUT"):
                event = copy.deepcopy(EVENTS["execution-failed"])
                event["detail"] |= {"status": status, "input": json.dumps(started)}
                event["detail"] |= {"error": "States.Runtime"}
                for matcher in MATCHERS.values():
                    assert not matcher(self.pattern(stack, event_rule("Recovery")), event)
                    assert matcher(self.pattern(stack, STOPPED), event)

    def pattern(self, stack: Stack, rule_id: str) -> dict[str, Any]:
        found: dict[str, Any] = stack.properties(rule_id)["EventPattern"]
        return found

    @pytest.mark.rule(18)
    def test_region_does_not_matter(self, rule: dict[str, Any]) -> None:
        """A forwarded event keeps its original Region, and still matches."""
        assert not {"region"} & rule["EventPattern"].keys()
        assert not {"awsRegion"} & rule["EventPattern"]["detail"].keys()

    @pytest.mark.rule(1)
    def test_paths_are_required_by_the_pattern(self, rule: dict[str, Any]) -> None:
        """The transformer uses only paths that each matching event has."""
        [target] = rule["Targets"]
        paths = set(target["InputTransformer"]["InputPathsMap"].values())

        assert set() == {path for path in paths if not requires(rule["EventPattern"], path)}


class TestExecutionInputs:
    @pytest.mark.parametrize("rule_id", SOURCES)
    def test_event_becomes_a_request(self, stack: Stack, rule_id: str) -> None:
        """The input contains identifiers of the event and its account, and nothing else of it."""
        source = SOURCES[rule_id]
        about = {"account_id": MEMBER} if source in ABOUT_ONE_ACCOUNT else {}
        beside = {"reason"} if rule_id == event_rule("UnnamedAccountJoined") else set()

        for name, execution_input in execution_inputs(stack, rule_id).items():
            detail = EVENTS[name]["detail"]

            assert {
                "source": source,
                "event_id": detail["eventID"],
                "event_name": detail["eventName"],
                "event_time": detail["eventTime"],
                **about,
            } == execution_input["trigger"]
            assert about.get("account_id") == trigger_of(execution_input).account_id
            assert {"trigger"} | beside == execution_input.keys()

    def test_unnamed_account_becomes_a_full_run(self, stack: Stack) -> None:
        """If the event does not name the account, the run compares every account, with a reason."""
        [execution_input] = execution_inputs(stack, event_rule("UnnamedAccountJoined")).values()
        request = parse_request(execution_input, ACCOUNT)

        assert "an account joined, and its event does not name it" == request.reason
        assert request.account_ids is None

    def test_dead_execution_becomes_a_request(self, stack: Stack) -> None:
        """The input of the recovery names the dead execution and how it ended."""
        for name, execution_input in execution_inputs(stack, event_rule("Recovery")).items():
            event = EVENTS[name]

            assert {
                "trigger": {
                    "source": "recovery",
                    "event_id": event["id"],
                    "event_name": event["detail"]["status"],
                    "event_time": event["time"],
                    "execution_arn": event["detail"]["executionArn"],
                }
            } == execution_input
            assert trigger_of(execution_input)

    def test_stopped_execution_becomes_a_message(self, stack: Stack) -> None:
        """Subscribers read what was dropped, what will be done, and what to type."""
        for name, message in execution_inputs(stack, STOPPED).items():
            detail = EVENTS[name]["detail"]

            assert (
                f"aws-contact-sync-dev: execution {detail['name']} ended as {detail['status']}. "
                "The next execution does the requests that wait in the queue; the requests that an "
                "ABORTED execution had taken are dropped. To sync every account now, "
                "run: bash scripts/resync.sh --environment dev --follow "
                f"({detail['executionArn']})"
            ) == message

    def test_message_names_a_command_that_exists(self, expanded: dict[str, Any]) -> None:
        """The command is for the stack's own environment, and the script has its options."""
        for environment in ("dev", "staging", "prod"):
            stack = Stack(expanded, environment)
            [target] = stack.properties(STOPPED)["Targets"]
            text = target["InputTransformer"]["InputTemplate"]
            command = re.search(r"bash (scripts/\S+\.sh) (--environment (\S+)) (--\w+)", text)

            assert command
            assert environment == command[3]
            assert (ROOT / command[1]).is_file()
            options = resync.parser().format_usage()
            assert all(option in options for option in ("--environment", command[4]))

    def test_schedule_starts_a_full_run(self, stack: Stack) -> None:
        """Scheduler fills in the invocation; the run compares every account."""
        text = stack.properties("Schedule")["Target"]["Input"]
        filled = text.replace("<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3").replace(
            "<aws.scheduler.scheduled-time>", "2026-11-25T03:00:00Z"
        )
        request = parse_request(json.loads(filled), ACCOUNT)

        assert {
            "source": "schedule",
            "event_id": "d32c5kddcf5bb8c3",
            "event_name": "aws-contact-sync-dev-schedule",
            "event_time": "2026-11-25T03:00:00Z",
        } == json.loads(filled)["trigger"]
        assert request.account_ids is None


class TestDelivery:
    @pytest.mark.rule(15)
    def test_rule_retries_and_then_keeps_the_event(
        self, stack: Stack, rule: dict[str, Any], rule_id: str
    ) -> None:
        """EventBridge retries for a day, by default; then the event becomes a dead letter."""
        [target] = rule["Targets"]
        expected = "NotificationTopic" if rule_id == STOPPED else "ContactSyncStateMachine"

        assert stack.arn(expected) == target["Arn"]
        assert {"Arn": stack.arn("DeadLetterQueue")} == target["DeadLetterConfig"]
        assert "RetryPolicy" not in target

    def test_schedule_retries_and_then_keeps_its_input(self, stack: Stack) -> None:
        """The schedule does the same."""
        target = stack.properties("Schedule")["Target"]

        assert stack.arn("ContactSyncStateMachine") == target["Arn"]
        assert {"Arn": stack.arn("DeadLetterQueue")} == target["DeadLetterConfig"]
        assert "RetryPolicy" not in target


class TestSchedule:
    def test_runs_daily_in_its_own_group(self, stack: Stack) -> None:
        """By default, every account is compared once a day."""
        schedule = stack.properties("Schedule")

        assert "cron(0 3 * * ? *)" == schedule["ScheduleExpression"]
        assert "FLEXIBLE" == schedule["FlexibleTimeWindow"]["Mode"]
        assert "aws-contact-sync-dev" == schedule["GroupName"]
        assert {"ScheduleGroup"} == set(stack.of_type("AWS::Scheduler::ScheduleGroup"))

    def test_another_expression_can_be_chosen(self, expanded: dict[str, Any]) -> None:
        """A parameter sets the schedule's expression."""
        stack = Stack(expanded, ScheduleExpression="rate(12 hours)")

        assert "rate(12 hours)" == stack.properties("Schedule")["ScheduleExpression"]

    def test_empty_expression_leaves_it_out(self, expanded: dict[str, Any]) -> None:
        """Without an expression, neither schedule nor group nor role is deployed."""
        stack = Stack(expanded, ScheduleExpression="")
        types = ("AWS::Scheduler::Schedule", "AWS::Scheduler::ScheduleGroup")

        assert [{}, {}] == [stack.of_type(each) for each in types]
        assert "ScheduleRole" not in stack.of_type("AWS::IAM::Role")


@pytest.mark.rule(19)
@pytest.mark.parametrize("state", ["ENABLED", "DISABLED"])
def test_triggers_can_be_turned_off(expanded: dict[str, Any], state: str) -> None:
    """The parameter Triggers enables or disables every rule and the schedule."""
    stack = Stack(expanded, Triggers=state)
    triggers = {
        **stack.of_type("AWS::Events::Rule"),
        **stack.of_type("AWS::Scheduler::Schedule"),
    }

    forwarding = Stack(forwarding_template(), HomeRegion="eu-west-1", Kind="Both", Triggers=state)
    forwarded = forwarding.of_type("AWS::Events::Rule")

    assert {*MATCHING, "Schedule"} == set(triggers)
    assert {state} == {each["State"] for each in (*triggers.values(), *forwarded.values())}
