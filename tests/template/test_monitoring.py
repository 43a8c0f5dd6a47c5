"""Alarms, dashboard and queries: what they use exists, and they are free."""

import json
import re
from importlib import import_module
from typing import Any

import pytest
from contact_sync.metrics import NAMESPACE, Metric
from support.stack import Stack

STACK = "aws-contact-sync-dev"
OWN = [{"Name": "service", "Value": STACK}]
ALARMS = {
    "account-processor-errors": ("AccountsFailed", "GreaterThanOrEqualToThreshold", "notBreaching"),
    "contact-sync-errors": ("HandlerErrors", "GreaterThanOrEqualToThreshold", "notBreaching"),
    "dlq-messages": (
        "ApproximateNumberOfMessagesVisible",
        "GreaterThanThreshold",
        "notBreaching",
    ),
    "failed-runs": ("ExecutionsFailed", "GreaterThanOrEqualToThreshold", "notBreaching"),
    "many-executions": ("ExecutionsStarted", "GreaterThanThreshold", "notBreaching"),
    "no-full-run": ("FullRuns", "LessThanThreshold", "breaching"),
    "recoveries": ("Recoveries", "GreaterThanOrEqualToThreshold", "notBreaching"),
}
# Free each month, without time limit: alarms, custom metrics, and metrics of a dashboard.
FREE_ALARMS, FREE_METRICS, FREE_DASHBOARD_METRICS = 10, 10, 50
HOUR, DAY = 3600, 86400


@pytest.fixture(name="alarms")
def _alarms(stack: Stack) -> dict[str, dict[str, Any]]:
    return {
        alarm["AlarmName"].removeprefix(f"{STACK}-"): alarm
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
    }


class TestAlarms:
    def test_each_watches_its_metric(self, alarms: dict[str, dict[str, Any]]) -> None:
        """The guide's three, and those of runs; missing data raises only the one for full runs."""
        assert ALARMS == {
            name: (alarm["MetricName"], alarm["ComparisonOperator"], alarm["TreatMissingData"])
            for name, alarm in alarms.items()
        }

    def test_each_notifies_the_topic(self, stack: Stack, alarms: dict[str, dict[str, Any]]) -> None:
        """And its description is a sentence."""
        for alarm in alarms.values():
            assert [stack.arn("NotificationTopic")] == alarm["AlarmActions"]
            assert alarm["AlarmDescription"].endswith(".")

    def test_commands_in_their_descriptions_exist(self, alarms: dict[str, dict[str, Any]]) -> None:
        descriptions = " ".join(alarm["AlarmDescription"] for alarm in alarms.values())
        commands = re.findall(r"'bash scripts/(\S+)\.sh (.+?)'", descriptions)

        assert {"deploy", "redrive-dlq", "resync"} == {name for name, _ in commands}
        for name, options in commands:
            import_module(f"operate.{name.replace('-', '_')}").parser().parse_args(options.split())

    def test_metrics_are_those_that_the_functions_write(
        self, stack: Stack, alarms: dict[str, dict[str, Any]]
    ) -> None:
        """With their namespace, and their service as the dimension."""
        own = [alarm for alarm in alarms.values() if alarm["Namespace"] == NAMESPACE]
        services = {
            each["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
            for each in stack.of_type("AWS::Lambda::Function").values()
        }

        assert 4 == len(own)
        assert {alarm["MetricName"] for alarm in own} <= set(Metric)
        assert [OWN] * 4 == [alarm["Dimensions"] for alarm in own]
        assert {STACK} == services

    def test_dead_letters_are_those_of_the_queue(
        self, stack: Stack, alarms: dict[str, dict[str, Any]]
    ) -> None:
        """The first one raises the alarm."""
        alarm = alarms["dlq-messages"]
        queue = stack.properties("DeadLetterQueue")["QueueName"]

        assert [{"Name": "QueueName", "Value": queue}] == alarm["Dimensions"]
        assert ("AWS/SQS", "Maximum", 0) == (
            alarm["Namespace"],
            alarm["Statistic"],
            alarm["Threshold"],
        )

    def test_none_counts_attempts(self, alarms: dict[str, dict[str, Any]]) -> None:
        """Lambda counts each throttled attempt as an error, although it is retried."""
        assert "AWS/Lambda" not in {alarm["Namespace"] for alarm in alarms.values()}

    @pytest.mark.parametrize("name", ["failed-runs", "many-executions"])
    def test_executions_are_those_of_the_machine(
        self, stack: Stack, alarms: dict[str, dict[str, Any]], name: str
    ) -> None:
        """Not those of its children, whose metrics have another dimension."""
        machine = stack.arn("ContactSyncStateMachine")

        assert [{"Name": "StateMachineArn", "Value": machine}] == alarms[name]["Dimensions"]

    def test_many_executions_are_more_than_twenty_an_hour(
        self, alarms: dict[str, dict[str, Any]]
    ) -> None:
        """Each event starts at most two executions, so these come from more than ten events."""
        alarm = alarms["many-executions"]

        assert ("AWS/States", "Sum", HOUR, 1, 20) == (
            alarm["Namespace"],
            alarm["Statistic"],
            alarm["Period"],
            alarm["EvaluationPeriods"],
            alarm["Threshold"],
        )

    @pytest.mark.parametrize("hours", [1, 25, 168])
    def test_no_alarm_exceeds_the_longest_evaluation_range(
        self, expanded: dict[str, Any], hours: int
    ) -> None:
        """A week at most, or a day if the period is shorter than an hour."""
        stack = Stack(expanded, MostHoursWithoutRun=hours)

        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
            longest = 7 * DAY if alarm["Period"] >= HOUR else DAY
            assert alarm["Period"] * int(alarm["EvaluationPeriods"]) <= longest

    def test_a_run_is_missing_after_25_hours(self, alarms: dict[str, dict[str, Any]]) -> None:
        """The schedule is daily, and a run takes some time."""
        alarm = alarms["no-full-run"]

        assert 25 * HOUR == alarm["Period"] * int(alarm["EvaluationPeriods"])
        assert "DatapointsToAlarm" not in alarm

    @pytest.mark.parametrize(
        "parameters",
        [{"Triggers": "DISABLED"}, {"ScheduleExpression": ""}, {"MostHoursWithoutRun": 0}],
    )
    def test_no_alarm_expects_a_run_without_a_schedule(
        self, expanded: dict[str, Any], parameters: dict[str, Any]
    ) -> None:
        """Without a schedule, only the other alarms exist."""
        alarms = Stack(expanded, **parameters).of_type("AWS::CloudWatch::Alarm")

        assert len(ALARMS) - 1 == len(alarms)
        assert "FullRunAlarm" not in alarms

    def test_everything_is_free(self, stack: Stack, alarms: dict[str, dict[str, Any]]) -> None:
        """Alarms and custom metrics stay within what is free in CloudWatch."""
        metrics = [metric for widget in widgets(stack) for metric in widget["metrics"]]

        assert len(alarms) <= FREE_ALARMS
        assert len(Metric) <= FREE_METRICS
        assert len(metrics) <= FREE_DASHBOARD_METRICS


def widgets(stack: Stack) -> list[dict[str, Any]]:
    found = json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]
    return [widget["properties"] for widget in found]


class TestDashboard:
    def test_every_own_metric_is_shown(self, stack: Stack) -> None:
        """The dashboard shows exactly the metrics that the functions write."""
        shown = {
            metric[1]
            for widget in widgets(stack)
            if widget["metrics"][0][0] == NAMESPACE
            for metric in widget["metrics"]
        }

        assert set(Metric) == shown

    def test_widgets_do_not_overlap(self, stack: Stack) -> None:
        """Each has its place in a grid of 24 columns."""
        found = json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]
        cells = [
            (x, y)
            for each in found
            for x in range(each["x"], each["x"] + each["width"])
            for y in range(each["y"], each["y"] + each["height"])
        ]

        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24


class TestQueries:
    def test_each_reads_logs_of_the_stack(self, stack: Stack) -> None:
        """Only functions write the fields that the queries read."""
        groups = {
            each["LogGroupName"]
            for each in stack.of_type("AWS::Logs::LogGroup").values()
            if each["LogGroupName"].startswith("/aws/lambda/")
        }

        for query in stack.of_type("AWS::Logs::QueryDefinition").values():
            assert set(query["LogGroupNames"]) <= groups
            assert re.match(r"(fields|filter) ", query["QueryString"])
