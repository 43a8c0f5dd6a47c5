"""Computes the cost of runs, line by line, from the price table in `prices.json`."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contact_sync.metrics import Metric

PRICES_FILE = Path(__file__).with_name("prices.json")
RESYNCS, CHANGES = 30, 2  # runs a month: one a day, and one after each of two contact changes

# START, END and REPORT, which Lambda logs for each invocation.
PLATFORM_LOG_BYTES = 400

# Resources with a standing cost.
STANDING_RESOURCES = {
    "AWS::KMS::Key": "kms_keys",
    "AWS::SecretsManager::Secret": "secrets",
    "AWS::CloudWatch::Alarm": "alarms",
    "AWS::CloudWatch::Dashboard": "dashboards",
}

Quantities = Counter[str]


@dataclass(frozen=True)
class Line:
    """One line of a month's bill."""

    name: str
    quantity: float
    free: float
    cost: float


def load_prices(file: Path = PRICES_FILE) -> dict[str, Any]:
    """Read the price table."""
    prices: dict[str, Any] = json.loads(file.read_text())
    return prices


def run_quantities(measured: Mapping[str, Any], prices: Mapping[str, Any]) -> Quantities:
    """Return the quantities that a measured run uses, by line of the price table.

    A function with too little memory for a whole vCPU gets a share of one, so its processor time
    takes longer in AWS.
    """
    functions = measured["functions"].values()
    used: Counter[str] = Counter(
        {
            "state_transitions": measured["transitions"],
            "dynamodb_write_units": measured["write_units"],
            "dynamodb_read_units": measured["read_units"],
            "log_gigabytes": 0,
        }
    )
    for function in functions:
        slowdown = max(1.0, prices["vcpu_megabytes"] / function["memory_megabytes"])
        seconds = function["waiting_seconds"] + function["processor_seconds"] * slowdown
        logged = function["log_bytes"] + function["invocations"] * PLATFORM_LOG_BYTES
        used["lambda_requests"] += function["invocations"]
        used["lambda_gb_seconds"] += seconds * function["memory_megabytes"] / 1024
        used["log_gigabytes"] += logged / 1e9
    for request, count in measured["requests"].items():
        if line := _request_line(*request.split(" ")):
            used[line] += count
    # S3 with a bucket key, Secrets Manager and SNS call KMS at most once per request.
    encrypted = ("s3_reads", "s3_writes", "secret_requests", "sns_publishes")
    used["kms_requests"] = sum(used[line] for line in encrypted)
    return used


def standing_quantities(template: str) -> Quantities:
    """Return the monthly quantities of a template's resources without any run."""
    types = re.findall(r"^    Type: (AWS::[\w:]+)", template, re.MULTILINE)
    used = Counter(STANDING_RESOURCES[name] for name in types if name in STANDING_RESOURCES)
    return used + Counter(metrics=len(Metric))


def scaled(quantities: Quantities, factor: float) -> Quantities:
    """Return the quantities of `factor` times as many accounts or runs."""
    return Counter({line: quantity * factor for line, quantity in quantities.items()})


def run_of(measured: Mapping[str, Any], accounts: int, prices: Mapping[str, Any]) -> Quantities:
    """Return the quantities of a run of `accounts` accounts, scaled from a measured run.

    The run's own state transitions stay the same; everything else is assumed to scale.
    """
    scenario_accounts = int(measured["scenario"]["accounts"])
    used = scaled(run_quantities(measured, prices), accounts / scenario_accounts)
    own = measured["transitions"] - scenario_accounts * measured["transitions_an_account"]
    used["state_transitions"] = own + accounts * measured["transitions_an_account"]
    return used


def without_allowances(prices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prices without the always-free allowances, which other accounts may use up."""
    return {
        **prices,
        "lines": {name: {**line, "free": 0} for name, line in prices["lines"].items()},
    }


def month(
    resync: Quantities, change: Quantities, standing: Quantities, prices: Mapping[str, Any]
) -> list[Line]:
    """Return a month's bill: a resync a day, two changes, and standing costs."""
    used = scaled(resync, RESYNCS) + scaled(change, CHANGES) + standing
    return [
        Line(
            name=price["name"],
            quantity=used[key],
            free=price["free"],
            cost=max(0.0, used[key] - price["free"]) / price["per"] * price["price"],
        )
        for key, price in prices["lines"].items()
        if used[key]
    ]


def total(lines: Iterable[Line]) -> float:
    """Add up a bill."""
    return sum(line.cost for line in lines)


def _request_line(service: str, operation: str) -> str | None:
    if service == "s3":
        return "s3_reads" if operation.startswith(("Get", "Head")) else "s3_writes"
    return {"sns": "sns_publishes", "secretsmanager": "secret_requests"}.get(service)
