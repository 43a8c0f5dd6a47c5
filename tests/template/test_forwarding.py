"""The forwarding stack forwards the events that start runs in the home Region, and little else."""

import re
from typing import Any

import pytest
from operate import redrive_dlq
from support.events import (
    CONTACT_CHANGES,
    EVENTS,
    MASKED_CONTACT_CHANGES,
    MATCHERS,
    OTHER_CONTACT_CHANGES,
    OTHER_MASKED_CONTACT_CHANGES,
    matched,
)
from support.stack import ACCOUNT, REGION, Stack, forwarding_template

HOME = "eu-west-1"
HOME_BUS = f"arn:aws:events:{HOME}:{ACCOUNT}:event-bus/default"
MATCHING = {
    # Only the home Region knows the stack's roles, whose masked writes cannot be excluded here.
    "ContactChangedRule": CONTACT_CHANGES | MASKED_CONTACT_CHANGES,
    "BillingContactChangedRule": OTHER_CONTACT_CHANGES | OTHER_MASKED_CONTACT_CHANGES,
    "OrganizationRule": {
        "create-account-result",
        "create-account-result-as-api-call",
        "create-account-result-failed",
        "create-account-result-in-progress",
        "account-joined-organization-as-api-call",
        "account-joined-organization-created",
        "account-joined-organization-invited",
        "account-joined-organization-other-source",
        "account-joined-organization-unnamed",
        "account-departed-organization-cleaned",
        "account-departed-organization-left",
        "account-departed-organization-removed",
        "account-departed-organization-unnamed",
        "close-account-result",
        "move-account",
        "move-account-denied",
        "move-account-failed",
        "close-account-result-failed",
    },
    "ControlTowerRule": {
        "create-managed-account",
        "create-managed-account-as-api-call",
        "create-managed-account-failed",
        "update-managed-account",
        "update-managed-account-failed",
    },
}
KINDS = {
    "Account": {"ContactChangedRule", "BillingContactChangedRule", "OrganizationRule"},
    "ControlTower": {"ControlTowerRule"},
    "Both": set(MATCHING),
}


@pytest.fixture(scope="module", name="forwarding_template")
def _forwarding_template() -> dict[str, Any]:
    return forwarding_template()


@pytest.fixture(name="forwarding")
def _forwarding(forwarding_template: dict[str, Any]) -> Stack:
    return Stack(forwarding_template, HomeRegion=HOME, Kind="Both")


@pytest.fixture(params=MATCHING, name="rule_id")
def _rule_id(request: pytest.FixtureRequest) -> str:
    rule_id: str = request.param
    return rule_id


class TestRules:
    @pytest.mark.rule(8)
    @pytest.mark.parametrize("matcher", MATCHERS)
    def test_rule_matches_exactly_its_events(
        self, forwarding: Stack, rule_id: str, matcher: str
    ) -> None:
        """Own writes, reads, and events of other accounts and Regions are not forwarded."""
        pattern = forwarding.properties(rule_id)["EventPattern"]

        assert MATCHING[rule_id] == matched(pattern, MATCHERS[matcher])

    @pytest.mark.rule(18)
    def test_every_event_that_starts_a_run_is_forwarded_once(
        self, stack: Stack, forwarding: Stack
    ) -> None:
        """Each event of this Region that a rule of the stack matches is forwarded, by one rule."""
        wanted = {
            name
            for rule in stack.of_type("AWS::Events::Rule").values()
            for name in matched(rule["EventPattern"])
            if EVENTS[name]["region"] == REGION and EVENTS[name]["source"] != "aws.states"
        }
        forwarded = [
            name
            for rule in forwarding.of_type("AWS::Events::Rule").values()
            for name in matched(rule["EventPattern"])
        ]

        assert wanted
        assert wanted <= set(forwarded)
        assert len(forwarded) == len(set(forwarded))

    def test_event_is_sent_home_unchanged(self, forwarding: Stack, rule_id: str) -> None:
        """The home Region's default bus gets the event itself, or the queue keeps it."""
        [target] = forwarding.properties(rule_id)["Targets"]

        assert {
            "Id": "home",
            "Arn": HOME_BUS,
            "RoleArn": forwarding.arn("ForwardingRole"),
            "DeadLetterConfig": {"Arn": forwarding.arn("DeadLetterQueue")},
        } == target

    @pytest.mark.rule(18)
    @pytest.mark.parametrize("kind", KINDS)
    def test_kind_chooses_the_rules(self, forwarding_template: dict[str, Any], kind: str) -> None:
        """A Region forwards only the kinds of events that it has."""
        stack = Stack(forwarding_template, HomeRegion=HOME, Kind=kind)

        assert KINDS[kind] == set(stack.of_type("AWS::Events::Rule"))

    def test_nothing_is_forwarded_to_the_same_bus(
        self, forwarding_template: dict[str, Any]
    ) -> None:
        """If deployed to the home Region by mistake, it has no rule, which would cause a loop."""
        stack = Stack(forwarding_template, HomeRegion=REGION, Kind="Both")

        assert {} == stack.of_type("AWS::Events::Rule")


class TestSurroundings:
    def test_alarm_notifies_a_topic_in_its_region(self, forwarding: Stack) -> None:
        """An event that could not be forwarded raises an alarm in its own Region."""
        [alarm] = forwarding.of_type("AWS::CloudWatch::Alarm").values()

        assert ("ApproximateNumberOfMessagesVisible", "GreaterThanThreshold", 0) == (
            alarm["MetricName"],
            alarm["ComparisonOperator"],
            alarm["Threshold"],
        )
        assert [forwarding.arn("NotificationTopic")] == alarm["AlarmActions"]
        [options] = re.findall(r"'bash scripts/redrive-dlq\.sh (.+)'", alarm["AlarmDescription"])
        given = redrive_dlq.parser().parse_args(options.replace("ENVIRONMENT", "dev").split())
        assert (HOME, REGION) == (given.region, given.forwarding_region)

    def test_key_is_used_as_the_stacks_own(self, stack: Stack, forwarding: Stack) -> None:
        """Dead letters hold contact values: the key has the policy of the stack's key."""
        for kept in ("DeadLetterQueue", "NotificationTopic"):
            assert forwarding.arn("Key") == forwarding.properties(kept)["KmsMasterKeyId"]
        assert stack.properties("Key")["KeyPolicy"] == forwarding.properties("Key")["KeyPolicy"]
