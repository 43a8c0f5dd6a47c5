"""Metrics that AWS derives from logs and executions, and CloudWatch's evaluation of alarms."""

import json
import operator
import time
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs, lambda_svc
from ministack.services import stepfunctions as sfn

from standin.ministack.executions import Json
from standin.ministack.registry import hook
from standin.ministack.routes import route

_OPERATORS = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_METRICS_OF_STATUS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "ABORTED": "ExecutionsAborted",
    "TIMED_OUT": "ExecutionsTimedOut",
}
_EMBEDDED = '{"_aws":'


@route("POST", "/_standin/alarms")
def evaluate_alarms(_: Any) -> dict[str, str]:
    """Evaluate every alarm now and run its actions, as CloudWatch does once a minute."""
    for alarm in cloudwatch._alarms.values():
        _evaluate(alarm)
    return {name: alarm["StateValue"] for name, alarm in cloudwatch._alarms.items()}


@hook
def log_metrics() -> None:
    """Create metrics from logs in the embedded metric format; MiniStack only stores the logs."""

    def append(stream: Json, events: list[Json]) -> None:
        original(stream, events)
        for event in events:
            if event["message"].startswith(_EMBEDDED):
                _record_embedded(json.loads(event["message"]))

    original = cloudwatch_logs._append_log_events
    cloudwatch_logs._append_log_events = append


@hook
def execution_metrics() -> None:
    """Count the executions of each machine by final status; MiniStack has no such metrics."""

    def emit(execution: Json) -> None:
        dimensions = {"StateMachineArn": execution["stateMachineArn"]}
        metric = _METRICS_OF_STATUS[execution["status"]]
        cloudwatch.record_metric("AWS/States", metric, 1, "Count", dimensions)
        original(execution)

    original = sfn._emit_execution_status_event
    sfn._emit_execution_status_event = emit


@hook
def function_metrics() -> None:
    """Count a machine's invocations and their errors; MiniStack counts only those of others."""

    def call(function: str, event: Any) -> Any:
        name = lambda_svc._get_func_record_for_ref(function)[2]
        failed = True
        try:
            answer = original(function, event)
            failed = False
        finally:
            lambda_svc._emit_lambda_metrics(name, 0.0, error=failed, throttle=False)
        return answer

    original = sfn._call_lambda
    sfn._call_lambda = call


@hook
def alarm_evaluation() -> None:
    """Evaluate alarms only on request, by dimensions, periods and missing data.

    MiniStack evaluates alarms whenever a metric is put, aggregates all dimensions and periods, and
    leaves an alarm unchanged while data is missing.
    """
    cloudwatch._evaluate_alarm = lambda _alarm: None


def _record_embedded(blob: Json) -> None:
    for directive in blob["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: blob[name] for name in names}
            for metric in directive["Metrics"]:
                for value in blob[metric["Name"]]:
                    cloudwatch.record_metric(
                        directive["Namespace"], metric["Name"], value, metric["Unit"], dimensions
                    )


def _evaluate(alarm: Json) -> None:
    """Update the alarm's state; CloudWatch may look further back than the evaluation periods."""
    breaching = [_is_breaching(alarm, points) for points in _points_by_period(alarm)]
    wanted: int = alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]
    state = "ALARM" if sum(breaching) >= wanted else "OK"
    before = alarm["StateValue"]
    if state != before:
        reason = f"{sum(breaching)} of {len(breaching)} periods are breaching"
        alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
        cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
        cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)


def _points_by_period(alarm: Json) -> list[list[Json]]:
    """Return the metric's points in each evaluation period up to now, the latest first."""
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    now = time.time()
    periods: list[list[Json]] = [[] for _ in range(alarm["EvaluationPeriods"])]
    for point in cloudwatch._metrics.get(key, []):
        age = int((now - point["Timestamp"]) // alarm["Period"])
        if 0 <= age < len(periods):
            periods[age].append(point)
    return periods


def _is_breaching(alarm: Json, points: list[Json]) -> bool:
    if not points:
        return bool(alarm["TreatMissingData"] == "breaching")
    value = cloudwatch._stat_value(cloudwatch._calc_stats(points), alarm["Statistic"])
    return bool(_OPERATORS[alarm["ComparisonOperator"]](value, alarm["Threshold"]))
