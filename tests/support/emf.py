"""Reads the functions' metrics from their log."""

import json
from typing import Any


def blobs(log: str) -> list[dict[str, Any]]:
    """Return each log line from which CloudWatch creates metrics."""
    return [json.loads(line) for line in log.splitlines() if line.startswith('{"_aws":')]


def values(log: str) -> list[dict[str, float]]:
    """Return the metrics of each line, by name."""
    return [
        {metric["Name"]: blob[metric["Name"]][0] for metric in directive["Metrics"]}
        for blob in blobs(log)
        for directive in blob["_aws"]["CloudWatchMetrics"]
    ]
