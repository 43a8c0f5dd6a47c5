"""One call of the benchmark: measures, shows the results, and compares them with bounds."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from browser.chromium import NoBrowserError
from standin.organization.client import AdminError
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.package import PackageError
from standin.standin import REPOSITORY, StandinError

from benchmark import cost
from benchmark.check import (
    Verdict,
    import_verdicts,
    load_bounds,
    memory_verdicts,
    page_verdicts,
    run_name,
    run_verdicts,
    scaling_verdicts,
    validation_verdict,
)
from benchmark.floor import floor_seconds, needed_calls
from benchmark.imports import measure_imports
from benchmark.options import Latency, Options, Planned, Scenario, planned
from benchmark.page import measure_page
from benchmark.plot import Panel, svg
from benchmark.run import measure
from benchmark.validation import measure_validation
from benchmark.view import bill, cost_table, import_table, page_table, run_table

Json = dict[str, Any]

COLUMNS = 4
ATTEMPTS = 3
BILLED_ACCOUNTS = 1000
SIZES = (100, 1_000, 10_000, 50_000)
ALLOWANCES = f"{cost.RESYNCS} resyncs, {cost.CHANGES} changes"
# End of the quota axis: the burst lets the first calls exceed the rate.
QUOTA_SHOWN = 2.0


def measure_all(options: Options) -> int:
    """Measure and return the exit code."""
    try:
        return _Session(options).run()
    except (
        StandinError,
        PackageError,
        AdminError,
        NoBrowserError,
        BotoCoreError,
        ClientError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


class _Session:
    """All measurements of one call."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.prices = cost.load_prices()
        self.standing = cost.standing_quantities((REPOSITORY / "template.yaml").read_text())
        self.bounds = load_bounds()
        self.planned = self._plan()
        self.runs: list[Json] = []
        self.imports: Json | None = None
        self.validation: Json | None = None
        self.page: Json | None = None

    def run(self) -> int:
        """Measure, show, write, and return the exit code."""
        for file in self.options.earlier:
            self.runs += json.loads(file.read_text())["runs"]
        for one in self.planned:
            self.runs.append(self._measure(one))
        if self.options.imports:
            self.imports = self._measure_imports()
        if self.options.validation:
            self.validation = self._measure_validation()
        if self.options.page:
            _tell("page ...")
            self.page = measure_page()
        self._show()
        verdicts = list(self._verdicts())
        self._write(verdicts)
        return _judge(verdicts)

    def _plan(self) -> list[Planned]:
        if self.options.check or self.options.long:
            return planned("long" if self.options.long else "check")
        return [Planned(scenario) for scenario in self.options.scenarios]

    def _measure(self, one: Planned) -> Json:
        """Measure a run; repeat it if it took too long, because other load only adds time."""
        runs: list[Json] = []
        while True:
            runs.append(_measure(one.scenario))
            off = self._off(one, runs[-1]) if one.shows in ("time", "scaling") else []
            if not off:
                return runs[-1]
            if len(runs) == ATTEMPTS:
                return min(runs, key=lambda run: run["sync_seconds"])
            _tell(f"Measuring it again, because it is off: {'; '.join(map(str, off))}")

    def _measure_imports(self) -> Json:
        """Measure the imports; repeat if one took too long."""
        for _ in range(ATTEMPTS):
            _tell("imports ...")
            imports = measure_imports()
            if all(one.holds for one in import_verdicts(imports, self.bounds)):
                break
        return imports

    def _measure_validation(self) -> Json:
        """Measure validate.sh; repeat if it took too long."""
        for _ in range(ATTEMPTS):
            _tell("validate.sh ...")
            validation = measure_validation()
            if validation_verdict(validation, self.bounds).holds:
                break
        return validation

    def _off(self, one: Planned, run: Json) -> list[Verdict]:
        scaling = scaling_verdicts([*self.runs, run], self.bounds["scaling_difference"])
        return _off((*self._run_verdicts(one, run), *scaling))

    def _run_verdicts(self, one: Planned, run: Json) -> Iterator[Verdict]:
        return run_verdicts(one.shows, run, {**self.bounds, **dict(one.bounds)})

    def _show(self) -> None:
        for first in range(0, len(self.runs), COLUMNS):
            print(f"\n{run_table(self.runs[first : first + COLUMNS])}")
        for accounts, lines in self._bills():
            print(f"\n{bill(lines, accounts)}")
        if self._whole():
            print(f"\n{cost_table(self._costs())}")
        if self.imports:
            print(f"\n{import_table(self.imports)}")
        if self.page:
            print(f"\n{page_table(self.page)}")

    def _whole(self) -> list[Json]:
        """Return the runs with their own Distributed Map, which have all costs and times."""
        return [run for run in self.runs if not run["scenario"].get("driven")]

    def _bills(self) -> Iterator[tuple[int, list[cost.Line]]]:
        """Yield a bill for each number of accounts.

        Resyncs cost as much as the run with the fewest writes, changes as the run with the most.
        """
        for accounts, group in groupby(sorted(self._whole(), key=_accounts), key=_accounts):
            used = [cost.run_quantities(run, self.prices) for run in sorted(group, key=_drift)]
            yield accounts, cost.month(used[0], used[-1], self.standing, self.prices)

    def _verdicts(self) -> Iterator[Verdict]:
        """Compare with the bounds; without --check or --long, runs only by speed."""
        if self.options.earlier:
            return
        pairs = list(zip(self.planned, self.runs, strict=True))
        yield from scaling_verdicts(
            [run for one, run in pairs if one.shows != "size"], self.bounds["scaling_difference"]
        )
        if self.imports:
            yield from import_verdicts(self.imports, self.bounds)
        if self.validation:
            yield validation_verdict(self.validation, self.bounds)
        if self.page:
            yield from page_verdicts(self.page, self.bounds)
        if not (self.options.check or self.options.long):
            return
        for one, run in pairs:
            yield from self._run_verdicts(one, run)
        smallest, *larger = (pair for pair in pairs if pair[0].shows == "size")
        for one, run in larger:
            bounds = {**self.bounds, **dict(one.bounds)}
            yield from memory_verdicts([smallest[1], run], bounds["memory_ratio"])
        yield self._cost_verdict([run for one, run in pairs if one.shows == "time"])

    def _cost_verdict(self, runs: Sequence[Json]) -> Verdict:
        """Compare the bill of 1,000 accounts, scaled up from smaller runs."""
        lines = self._month(runs, BILLED_ACCOUNTS, self.prices)
        print(f"\n{bill(lines, BILLED_ACCOUNTS)}")
        what = f"month_cost of {BILLED_ACCOUNTS:,} accounts, USD"
        return Verdict(what, cost.total(lines), self.bounds["month_cost"])

    def _month(
        self, runs: Sequence[Json], accounts: int, prices: Mapping[str, Any]
    ) -> list[cost.Line]:
        """Return the bill of `accounts` accounts, scaled from other runs; see _bills."""
        few, *_, most = sorted([*runs, *runs], key=_drift)
        resync, change = (cost.run_of(run, accounts, prices) for run in (few, most))
        return cost.month(resync, change, self.standing, prices)

    def _costs(self) -> list[tuple[int, float, float]]:
        """Return each size's monthly cost, with and without the always-free allowances."""
        largest = max(map(_accounts, self._whole()))
        runs = [run for run in self._whole() if _accounts(run) == largest]
        full = cost.without_allowances(self.prices)
        return [
            (
                accounts,
                cost.total(self._month(runs, accounts, self.prices)),
                cost.total(self._month(runs, accounts, full)),
            )
            for accounts in SIZES
        ]

    def _write(self, verdicts: Iterable[Verdict]) -> None:
        if self.options.json_file:
            document = {
                "measured_at": _now(),
                "prices_as_of": self.prices["as_of"],
                "runs": self.runs,
                "months": {
                    accounts: [vars(line) for line in lines] for accounts, lines in self._bills()
                },
                "imports": self.imports,
                "validation": self.validation,
                "page": self.page,
                "verdicts": [{**vars(one), "holds": one.holds} for one in verdicts],
            }
            _write(self.options.json_file, json.dumps(document, indent=2) + "\n")
        if self.options.plot_file and self._whole():
            _write(self.options.plot_file, self._plot())

    def _plotted(self) -> list[Json]:
        """Return each scenario's run at the lowest speed, sorted by accounts."""
        slowest = {
            run["name"]: run
            for run in sorted(self._whole(), key=lambda run: run["scenario"]["speed"], reverse=True)
        }
        return sorted(slowest.values(), key=_accounts)

    def _plot(self) -> str:
        plotted = self._plotted()
        measured_at = max(run["measured_at"] for run in self.runs)
        panels = [_time_panel(plotted), self._cost_panel(), *_rate_panels(plotted)]
        return svg(panels, f"Measured {measured_at[:10]}, prices of {self.prices['as_of']}")

    def _cost_panel(self) -> Panel:
        measured = {accounts: cost.total(lines) for accounts, lines in self._bills()}
        free, full = (
            [(accounts, costs[column]) for accounts, *costs in self._costs()] for column in (0, 1)
        )
        return Panel(
            "Cost, USD a month; hollow: computed for that size",
            points={ALLOWANCES: list(measured.items())},
            computed={
                ALLOWANCES: [point for point in free if point[0] not in measured],
                "the same, allowances used up": full,
            },
        )


def _time_panel(runs: Sequence[Json]) -> Panel:
    """Draw the times of runs, and the minimum times by quota, also for sizes not measured."""
    points: dict[str, list[tuple[float, float]]] = {}
    floors: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        kind = _kind(run)
        points.setdefault(kind, []).append((_accounts(run), run["run_seconds"] / 60))
        scenario = Scenario.from_json({**run["scenario"], "latency": Latency()})
        floors[kind] = [
            (size, floor / 60)
            for size in SIZES
            if (floor := _floor(replace(scenario, accounts=size))) > 0
        ]
    title = "Time of a run, minutes; dashed: the least by the quotas"
    return Panel(title, points=points, dashed=floors)


def _rate_panels(runs: Sequence[Json]) -> Iterator[Panel]:
    """Draw each quota's use over time, in the largest run of each kind of work."""
    largest = {_kind(run): run for run in runs if run.get("rates")}
    for kind, run in largest.items():
        times = [number * run["rates"]["seconds"] for number in range(len(run["rates"]["used"]))]
        used = {
            name: [(at, row[name]) for at, row in zip(times, run["rates"]["used"], strict=True)]
            for name in run["rates"]["used"][0]
        }
        title = f"Calls a second / quota: {_accounts(run):,} accounts, {kind}"
        yield Panel(title, lines=used, across="seconds", linear=(max(times), QUOTA_SHOWN))


def _floor(scenario: Scenario) -> float:
    return floor_seconds(needed_calls(scenario), DEFAULT_QUOTAS)


def _kind(run: Json) -> str:
    return str(run["name"]).partition(", ")[2].removesuffix(", warm")


def _measure(scenario: Scenario) -> Json:
    _tell(f"{scenario.name} at speed {scenario.speed:g} ...")
    measured = measure(scenario)
    _tell(f"{run_name(measured)}: {measured['status']} in {measured['run_seconds']:.1f} s")
    return measured


def _judge(verdicts: Sequence[Verdict]) -> int:
    """Print each verdict, failed ones last and on stderr; return the exit code."""
    failed = _off(verdicts)
    if verdicts:
        print()
    for verdict in verdicts:
        if verdict.holds:
            print(f"ok   {verdict}")
    for verdict in failed:
        print(f"OFF  {verdict}", file=sys.stderr)
    return 1 if failed else 0


def _off(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if not verdict.holds]


def _accounts(run: Json) -> int:
    return int(run["scenario"]["accounts"])


def _drift(run: Json) -> int:
    """Return the contacts that the run had to write."""
    return sum(
        int(calls["needed"]) for name, calls in run["calls"].items() if name.startswith("Put")
    )


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    _tell(f"wrote {file}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
