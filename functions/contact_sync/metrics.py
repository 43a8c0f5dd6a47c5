"""The metrics of runs: numbers by stack alone, never an account or a contact value."""

from collections.abc import Mapping
from enum import StrEnum
from functools import wraps
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics

from contact_sync.errors import TRANSIENT
from contact_sync.observability import Handler

# Powertools adds the dimension `service`, which the template sets to the stack's name.
NAMESPACE = "AwsContactSync"


class Metric(StrEnum):
    """Every metric; ten custom metrics are free."""

    ACCOUNTS_UPDATED = "AccountsUpdated"
    ACCOUNTS_UNCHANGED = "AccountsUnchanged"
    ACCOUNTS_FAILED = "AccountsFailed"
    ACCOUNTS_DRIFTED = "AccountsDrifted"
    FULL_RUNS = "FullRuns"
    RUN_SECONDS = "RunSeconds"
    RECOVERIES = "Recoveries"
    HANDLER_ERRORS = "HandlerErrors"
    REFUSED_CALLS = "RefusedCalls"


def emit(values: Mapping[Metric, float], sync_id: str) -> None:
    """Write the values to the log, from which CloudWatch extracts metrics.

    `sync_id` is for log queries; as a dimension, it would cost per run.
    """
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    for metric, value in values.items():
        unit = "Seconds" if metric is Metric.RUN_SECONDS else "Count"
        metrics.add_metric(metric, unit, value)
    metrics.add_metadata("sync_id", sync_id)
    metrics.flush_metrics()


def counting_errors(handler: Handler) -> Handler:
    """Count the errors of the handler that the state machine does not repeat."""

    @wraps(handler)
    def count(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            return handler(event, context)
        except TRANSIENT:
            raise
        except Exception:
            emit({Metric.HANDLER_ERRORS: 1}, event["sync_id"])
            raise

    return count


class RefusedCalls:
    """Counts the calls of a client that were refused for their rate, retries included."""

    def __init__(self, client: Any) -> None:
        self._count = 0
        client.meta.events.register_first("needs-retry", self._see)

    def emit(self, sync_id: str) -> None:
        """Write the calls refused since the last time, if any."""
        if self._count:
            emit({Metric.REFUSED_CALLS: self._count}, sync_id)
            self._count = 0

    def _see(self, response: Any, **_: Any) -> None:
        # None: no answer came
        if response is not None and response[0].status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self._count += 1
