"""Compares measured figures with the bounds in `bounds.json`."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.options import BOUNDS_FILE

Json = dict[str, Any]

# The figures to compare, by the purpose of the run. At a speed that is too high for the machine,
# times and refusals say nothing about AWS.
EVERY_RUN = ("lost_contacts", "transitions_an_account")
PAGE = ("page_bytes", "first_content_seconds", "search_seconds", "sort_seconds")
SIZES = ("largest_payload", "events", "most_child_events")
FIGURES = {
    "time": (
        *EVERY_RUN,
        "sync_ratio",
        "refused_share",
        "estimate_error",
        "remaining_error",
        *SIZES,
    ),
    "scaling": EVERY_RUN,
    "size": (*EVERY_RUN, *SIZES),
}


@dataclass(frozen=True)
class Verdict:
    """A figure and its upper bound."""

    what: str
    value: float
    bound: float

    @property
    def holds(self) -> bool:
        """Return whether the figure is within its bound."""
        return self.value <= self.bound

    def __str__(self) -> str:
        """Return the verdict in one line."""
        return f"{self.what}: {self.value:.6g}, at most {self.bound:.6g}"


def load_bounds(file: Path = BOUNDS_FILE) -> Json:
    """Read the bounds."""
    bounds: Json = json.loads(file.read_text())["bounds"]
    return bounds


def run_verdicts(
    shows: str, measured: Mapping[str, Any], bounds: Mapping[str, Any]
) -> Iterator[Verdict]:
    """Compare one run, starting with its success."""
    name = run_name(measured)
    yield Verdict(f"{name}: failed executions", measured["status"] != "SUCCEEDED", 0)
    for figure in FIGURES[shows]:
        if measured[figure] is not None:
            yield Verdict(f"{name}: {figure}", measured[figure], bounds[figure])


def memory_verdicts(runs: Sequence[Mapping[str, Any]], bound: float) -> Iterator[Verdict]:
    """Compare the peak memory of each function with its peak in the smallest run."""
    if len(runs) < 2:
        return
    small, *others = sorted(runs, key=lambda run: int(run["scenario"]["accounts"]))
    for run in others:
        for name, used in run["functions"].items():
            before = small["functions"][name]["peak_bytes"]
            if before:
                what = f"{run_name(run)}: memory of {name}, in that at {run_name(small)}"
                yield Verdict(what, used["peak_bytes"] / before, bound)


def scaling_verdicts(runs: Iterable[Mapping[str, Any]], bound: float) -> Iterator[Verdict]:
    """Compare the ratio of each run with the ratio of the same scenario at the first speed."""
    first: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        base = first.setdefault(run["name"], run)
        if base is not run and run["sync_ratio"] is not None:
            difference = abs(run["sync_ratio"] - base["sync_ratio"])
            what = f"{run_name(run)}: difference of sync_ratio to that at {run_name(base)}"
            yield Verdict(what, difference, bound)


def import_verdicts(imports: Mapping[str, Any], bounds: Mapping[str, Any]) -> Iterator[Verdict]:
    """Compare the imports and the package."""
    for name, ratio in imports["import_ratios"].items():
        yield Verdict(f"{name}: import, in boto3 + Logger", ratio, bounds["import_ratio"])
    yield Verdict("package_bytes", imports["package_bytes"], bounds["package_bytes"])


def validation_verdict(validation: Mapping[str, Any], bounds: Mapping[str, Any]) -> Verdict:
    """Compare the time of validate.sh."""
    what = f"validate.sh, seconds of {validation['checks']} checks at 30 ms a call"
    return Verdict(what, validation["seconds"], bounds["validation_seconds"])


def page_verdicts(page: Mapping[str, Any], bounds: Mapping[str, Any]) -> Iterator[Verdict]:
    """Compare the report's page with its bounds."""
    for name in PAGE:
        yield Verdict(f"report of {page['accounts']:,} accounts: {name}", page[name], bounds[name])


def run_name(measured: Mapping[str, Any]) -> str:
    """Name a run with its speed."""
    return f"{measured['name']} at speed {measured['scenario']['speed']:g}"
