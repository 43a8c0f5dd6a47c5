"""Metrics: few, by stack alone, and each counted once."""

from typing import Any

import pytest
from contact_sync.errors import InvalidConfigError, ServiceUnavailableError, ThrottledError
from contact_sync.metrics import Metric, counting_errors, emit
from support import emf
from support.builders import SYNC_ID


@pytest.mark.rule(12)
def test_a_metric_has_one_dimension_and_names_its_run_beside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit({Metric.RUN_SECONDS: 3.5, Metric.FULL_RUNS: 1}, SYNC_ID)
    (blob,) = emf.blobs(capsys.readouterr().out)
    (directive,) = blob.pop("_aws")["CloudWatchMetrics"]
    assert ("AwsContactSync", [["service"]]) == (directive["Namespace"], directive["Dimensions"])
    assert {"RunSeconds": "Seconds", "FullRuns": "Count"} == {
        metric["Name"]: metric["Unit"] for metric in directive["Metrics"]
    }
    assert blob == {
        "service": "contact-sync",
        "sync_id": SYNC_ID,
        "RunSeconds": [3.5],
        "FullRuns": [1.0],
    }


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (InvalidConfigError("wrong"), [{"HandlerErrors": 1}]),
        (KeyError("a bug"), [{"HandlerErrors": 1}]),
        (ThrottledError("repeated"), []),
        (ServiceUnavailableError("repeated"), []),
    ],
)
def test_only_errors_that_are_not_repeated_are_counted(
    error: Exception, counted: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    @counting_errors
    def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        raise error

    with pytest.raises(type(error)):
        handler({"sync_id": SYNC_ID}, None)
    assert counted == emf.values(capsys.readouterr().out)


def test_what_ends_well_counts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    handler = counting_errors(lambda event, _context: event)
    assert {"a": 1} == handler({"a": 1}, None)
    assert "" == capsys.readouterr().out
