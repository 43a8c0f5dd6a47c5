"""Measures one run of the deployed system in the stand-in."""

import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import mean
from typing import Any

from contact_sync.aws import keys
from contact_sync.aws.config_table import load_config
from contact_sync.aws.digest_key import load_digest_key
from contact_sync.contacts import Contact, ContactType, source_digests
from contact_sync.estimate import seconds_left
from contact_sync_handler.planner import configuration_digest
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.organization.worlds import SOURCE_CONTACTS, drifted_world
from standin.running import RunningStandin
from standin.standin import Execution, Stack, Standin, StandinError
from standin.tables import Tables

from benchmark.driver import driven_map
from benchmark.floor import (
    floor_seconds,
    needed_calls,
    ordered_seconds,
    slowest_operation,
    unused_seconds,
)
from benchmark.options import Scenario

Json = dict[str, Any]

PACED = (
    "GetAlternateContact",
    "GetContactInformation",
    "PutAlternateContact",
    "PutContactInformation",
    "DeleteAlternateContact",
)
REFUSED = "TooManyRequestsException"

# How many times its floor a run may take before it is abandoned.
PATIENCE, LEAST_PATIENCE_SECONDS = 5.0, 120.0
POLL_SECONDS = 1.0

# Enough accounts for every slot of the Map to run a child that starts both processors, and enough
# time for the slowest bucket to refill.
WARMING_ACCOUNTS = 24
RECOVERY_SECONDS = 5.0

# The interval between points in the chart of calls.
RATE_SECONDS = 5.0

READS = ("GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems")


def measure(scenario: Scenario) -> Json:
    """Start a stand-in, deploy, run once, and return every figure."""
    latency = scenario.latency
    with Standin(
        speed=scenario.speed,
        world=world_of(scenario),
        function_start=latency.function_start,
        invocation=latency.invocation,
        child_start=latency.child_start,
    ) as standin:
        stack = standin.deploy(scenario.environment, {"Triggers": "DISABLED"})
        Tables(stack).configure(contact_types=list(scenario.types))
        _remember(stack, synced_before(scenario))
        if scenario.warm:
            _warm(stack, scenario)
        standin.forget_usage()
        load_before = os.getloadavg()[0]
        with driven_map(stack, scenario.speed) if scenario.driven else nullcontext():
            execution = stack.start({"reason": "benchmark"})
            seen = _wait(execution, scenario)
        figures = _figures(stack, execution, scenario)
        return {
            **figures,
            "remaining_error": remaining_error(seen, _least_seconds(stack, execution)),
            "load_average": [load_before, os.getloadavg()[0]],
        }


def world_of(scenario: Scenario) -> Json:
    """Return an organization with a share of accounts that differ in the changed types."""
    world = drifted_world(
        scenario.accounts, drift=scenario.drift, latency={"default": scenario.latency.api_call}
    )
    unchanged = [name.upper() for name in scenario.types if name not in scenario.changed]
    for contacts in world["contacts"].values():
        contacts.update({name: dict(SOURCE_CONTACTS[name]) for name in unchanged})
    return world


def synced_before(scenario: Scenario) -> list[str]:
    """Return the types that need no writes: an earlier run synced their current values."""
    return [name for name in scenario.types if not scenario.drift or name not in scenario.changed]


def estimate_error(scenario: Scenario, estimated: float, took: float) -> float | None:
    """Return the error of the plan's estimate, as a share of the run's time.

    None if no plan can predict the time: some accounts differ although the source did not change.
    """
    return abs(estimated - took) / took if scenario.drift in (0.0, 1.0) else None


def remaining_error(seen: Sequence[Json], least: float) -> float | None:
    """Return the largest error of the remaining time, as a share of the Map's time.

    `seen` holds responses of DescribeMapRun, each with `at`, the seconds since the Map's start; the
    last one is from the end. An account takes at least `least` seconds. None if the Map ended
    before a tenth of the accounts was seen done.
    """
    if not seen:
        return None
    took = seen[-1]["at"]
    errors = []
    for one in seen[:-1]:
        counts = one["itemCounts"]
        done = counts["total"] - counts["pending"] - counts["running"]
        left = seconds_left(counts["total"], done, one["at"], least)
        if left is not None:
            errors.append(abs(one["at"] + left - took) / took)
    return max(errors, default=None)


def used_rates(served: Iterable[tuple[str, float]], end: float) -> list[dict[str, float]]:
    """Return the share of each quota that calls used, per interval of RATE_SECONDS.

    `served` holds operations with their times, in seconds since the start. Omits the incomplete
    last interval.
    """
    calls = Counter((name, int(at // RATE_SECONDS)) for name, at in served)
    names = sorted({name for name, _ in calls})
    return [
        {name: calls[name, part] / RATE_SECONDS / DEFAULT_QUOTAS[name][0] for name in names}
        for part in range(int(end // RATE_SECONDS))
    ]


def wait_limit(scenario: Scenario) -> float:
    """Return the real seconds after which a run is abandoned."""
    floor = floor_seconds(needed_calls(scenario), DEFAULT_QUOTAS) / scenario.speed
    return LEAST_PATIENCE_SECONDS + PATIENCE * floor


def call_figures(needed: Mapping[str, int], outcomes: Mapping[str, Mapping[str, int]]) -> Json:
    """Return the calls needed, made and refused, for each paced operation."""
    return {
        operation: {
            "needed": needed.get(operation, 0),
            "made": sum(outcomes[operation].values()),
            "refused": outcomes[operation].get(REFUSED, 0),
        }
        for operation in PACED
        if operation in outcomes
    }


def refused_share(calls: Mapping[str, Mapping[str, int]]) -> float:
    """Return the refused share of all paced calls."""
    made = sum(count["made"] for count in calls.values())
    return sum(count["refused"] for count in calls.values()) / made if made else 0.0


def function_figures(used: Mapping[str, Json], memory: Mapping[str, int], speed: float) -> Json:
    """Return each function's usage, at AWS's own speed: speed only shortens waiting."""
    figures = {}
    for name, usage in used.items():
        waiting = max(0.0, usage["seconds"] - usage["processor_seconds"]) * speed
        figures[name] = {
            **usage,
            "memory_megabytes": memory[name],
            "waiting_seconds": waiting,
            "seconds": waiting + usage["processor_seconds"],
        }
    return figures


def dynamodb_units(requests: Iterable[Json], items: Iterable[Json]) -> tuple[float, int]:
    """Return write and read units.

    Assumes that a write has the average size of items of its kind, or else of all items.
    """
    units: dict[str, list[int]] = {}
    for item in items:
        for kind in (_kind(item), ""):
            units.setdefault(kind, []).append(item_units(item))
    writes, reads = 0.0, 0
    for request in requests:
        if request["service"] == "dynamodb":
            if request["operation"] in READS:
                reads += request["items"]
            else:
                writes += request["items"] * mean(units.get(request["kind"]) or units[""])
    return writes, reads


def _kind(item: Mapping[str, Any]) -> str:
    """Return the kind of an item, named as in the stand-in's request counts."""
    return " ".join(str(item[name]).partition("#")[0] for name in ("pk", "sk") if name in item)


def item_units(item: Mapping[str, Any]) -> int:
    """Return the write units of an item: one per KiB, doubled if the item is in the index."""
    size = sum(len(str(name)) + len(str(value)) for name, value in item.items())
    return math.ceil(size / 1024) * (2 if "gsi1pk" in item else 1)


def _remember(stack: Stack, types: Iterable[str]) -> None:
    """Record these contacts of the source as tried in every account, as a run does."""
    secrets = stack.client("secretsmanager")
    (secret,) = secrets.list_secrets()["SecretList"]
    key = load_digest_key(secrets, secret["ARN"])
    contacts: dict[ContactType, Contact | None] = {
        name: Contact.from_api(name, SOURCE_CONTACTS[name.upper()])
        for name in map(ContactType, types)
    }
    config = load_config(stack.client("dynamodb"), stack.outputs["ConfigTableName"])
    held = {str(name): digest for name, digest in source_digests(contacts, key).items()}
    held["configuration"] = configuration_digest(config, {}, key)
    Tables(stack).put({**keys.LOCK, "held": held})


def _warm(stack: Stack, scenario: Scenario) -> None:
    """Start every function with a run that writes nothing, and let the quotas recover."""
    organization = stack.standin.organization
    members = [account["id"] for account in organization.world()["accounts"]]
    _wait(stack.start({"dry_run": True, "account_ids": members[:WARMING_ACCOUNTS]}), scenario)
    time.sleep(RECOVERY_SECONDS / scenario.speed)
    organization.clear_calls()


def _wait(execution: Execution, scenario: Scenario) -> list[Json]:
    """Wait for the end; return the observed states of the Map Run, at AWS's own speed."""
    seen: list[Json] = []
    limit = wait_limit(scenario)
    deadline = time.monotonic() + limit
    while execution.status() == "RUNNING":
        if time.monotonic() > deadline:
            raise StandinError(f"{scenario.name}: still runs after {limit:.0f} s")
        time.sleep(POLL_SECONDS)
        seen += [_seen(run, scenario) for run in execution.map_runs()]
    return seen + [_seen(run, scenario) for run in execution.map_runs()]


def _least_seconds(stack: Stack, execution: Execution) -> float:
    times = Tables(stack).run_item(execution)["milliseconds_per_account"]
    return float(times["least"]) / 1000


def _seen(map_run: Json, scenario: Scenario) -> Json:
    until = map_run.get("stopDate") or datetime.now(UTC)
    return {**map_run, "at": (until - map_run["startDate"]).total_seconds() * scenario.speed}


def _figures(stack: Stack, execution: Execution, scenario: Scenario) -> Json:
    standin, tables = stack.standin, Tables(stack)
    used = standin.usage()
    needed = needed_calls(scenario)
    floor = floor_seconds(needed, DEFAULT_QUOTAS)
    calls = call_figures(needed, standin.organization.stats()["outcomes"])
    history = execution.history()
    entered, exited = _entered(history, "SyncAccounts"), _exited(history, "SyncAccounts")
    sync = (exited - entered) * scenario.speed
    planned, recorded = _entered(history, "PlanRun"), _exited(history, "RecordRun")
    took = (recorded - planned) * scenario.speed
    run = (history[-1]["timestamp"] - history[0]["timestamp"]).total_seconds() * scenario.speed
    estimated = float(tables.run_item(execution)["estimated_seconds"])
    functions = function_figures(used["functions"], _memory(standin), scenario.speed)
    writes, reads = dynamodb_units(used["requests"], tables.items())
    (size,) = (one for one in used["executions"] if one["arn"] == execution.arn)
    return {
        "scenario": asdict(scenario),
        "name": scenario.name,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": execution.status(),
        "lost_contacts": _lost(standin, scenario),
        "floor_seconds": floor,
        "sync_seconds": sync,
        "took_seconds": took,
        "run_seconds": run,
        "estimated_seconds": estimated,
        "estimate_error": estimate_error(scenario, estimated, took),
        "sync_ratio": sync / floor if floor else None,
        "run_ratio": run / floor if floor else None,
        "rates": _rates(standin, scenario, entered, sync),
        "ordered_seconds": _ordered(standin, scenario, entered),
        "unused_seconds": _unused(standin, scenario, entered, sync),
        "calls": calls,
        "refused_share": refused_share(calls),
        "transitions": size["transitions"],
        "transitions_an_account": size["child_transitions"] / max(1, size["children"]),
        "events": size["events"],
        "most_child_events": size["most_child_events"],
        "largest_payload": size["largest_payload"],
        "functions": {_short(stack, name): used for name, used in sorted(functions.items())},
        "requests": _request_counts(used["requests"]),
        "write_units": writes,
        "read_units": reads,
    }


def _entered(history: Iterable[Json], state: str) -> float:
    return _moment(_event(history, "stateEnteredEventDetails", state))


def _exited(history: Iterable[Json], state: str) -> float:
    return _moment(_event(history, "stateExitedEventDetails", state))


def _moment(event: Json) -> float:
    return float(event["timestamp"].timestamp())


def _ordered(standin: RunningStandin, scenario: Scenario, entered: float) -> float | None:
    slowest = slowest_operation(needed_calls(scenario), DEFAULT_QUOTAS)
    if slowest is None:
        return None
    subject = slowest.removeprefix("Get").removeprefix("Put")
    calls: dict[str, Counter[str]] = {}
    for call in standin.organization.calls():
        if call["time"] >= entered and call["outcome"] != REFUSED:
            calls.setdefault(call["account_id"], Counter())[call["operation"]] += 1
    read = [one for one in calls.values() if one[f"Get{subject}"]]
    return ordered_seconds(
        writes=[one[f"Put{subject}"] for one in read],
        reads=max(one[f"Get{subject}"] for one in read),
        read=DEFAULT_QUOTAS[f"Get{subject}"],
        write=DEFAULT_QUOTAS[f"Put{subject}"],
    )


def _rates(standin: RunningStandin, scenario: Scenario, entered: float, sync: float) -> Json:
    served = [
        (call["operation"], (call["time"] - entered) * scenario.speed)
        for call in standin.organization.calls()
        if call["outcome"] != REFUSED and call["operation"] in PACED and call["time"] >= entered
    ]
    return {"seconds": RATE_SECONDS, "used": used_rates(served, sync)}


def _unused(
    standin: RunningStandin, scenario: Scenario, entered: float, sync: float
) -> Json | None:
    needed = needed_calls(scenario)
    slowest = slowest_operation(needed, DEFAULT_QUOTAS)
    if slowest is None:
        return None
    served = [
        (call["time"] - entered) * scenario.speed
        for call in standin.organization.calls()
        if call["operation"] == slowest
        and call["outcome"] != REFUSED
        and call["time"] >= entered  # earlier calls read the source
    ]
    unused = unused_seconds(served, DEFAULT_QUOTAS[slowest], needed[slowest], sync)
    return {"operation": slowest, **asdict(unused)}


def _event(history: Iterable[Json], details: str, state: str) -> Json:
    for event in history:
        if event.get(details, {}).get("name") == state:
            return event
    raise StandinError(f"the execution did not come through {state}")


def _lost(standin: RunningStandin, scenario: Scenario) -> int:
    """Count the contacts that are wrong after the run."""
    world = standin.organization.world()
    wanted = {name.upper(): SOURCE_CONTACTS[name.upper()] for name in scenario.types}
    return sum(
        world["contacts"].get(account["id"], {}).get(name) != contact
        for account in world["accounts"]
        for name, contact in wanted.items()
    )


def _memory(standin: RunningStandin) -> dict[str, int]:
    pages = standin.client("lambda").get_paginator("list_functions").paginate()
    return {
        function["FunctionName"]: function["MemorySize"]
        for page in pages
        for function in page["Functions"]
    }


def _short(stack: Stack, function_name: str) -> str:
    return function_name.removeprefix(f"{stack.name}-")


def _request_counts(requests: Iterable[Json]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for request in requests:
        if request["service"] != "lambda":
            counts[f"{request['service']} {request['operation']}"] += request["count"]
    return dict(sorted(counts.items()))
