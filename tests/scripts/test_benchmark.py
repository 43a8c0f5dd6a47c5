"""The benchmark: floor, prices, bounds, tables and plot of `scripts/benchmark.sh`, and one run."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from benchmark import cost, session
from benchmark.check import (
    import_verdicts,
    load_bounds,
    memory_verdicts,
    page_verdicts,
    run_verdicts,
    scaling_verdicts,
    validation_verdict,
)
from benchmark.floor import (
    Unused,
    floor_seconds,
    needed_calls,
    ordered_seconds,
    slowest_operation,
    unused_seconds,
)
from benchmark.imports import handlers, import_figures, least_seconds, package_size
from benchmark.options import Planned, Scenario, parse_options, planned
from benchmark.plot import Panel, decades, svg
from benchmark.run import (
    call_figures,
    dynamodb_units,
    estimate_error,
    function_figures,
    item_units,
    refused_share,
    remaining_error,
    synced_before,
    used_rates,
    world_of,
)
from benchmark.view import run_table
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.organization.worlds import SOURCE_CONTACTS

Json = dict[str, Any]
Result = subprocess.CompletedProcess[str]

REPOSITORY = Path(__file__).parents[2]
PROCESSOR = "alternate-contact-processor"


def floor_of(scenario: Scenario) -> float:
    return floor_seconds(needed_calls(scenario), DEFAULT_QUOTAS)


class TestFloor:
    @pytest.mark.parametrize(
        ("scenario", "seconds"),
        [
            (Scenario(1000), (3000 - 8) / 5),
            (Scenario(1000, drift=0), (3000 - 15) / 10),
            (Scenario(1000, drift=0.6), (1800 - 8) / 5),
            (Scenario(1000, changed=("security",)), (3000 - 15) / 10),
            (Scenario(1000, types=("primary",)), (1000 - 8) / 5),
            (Scenario(1000, types=("security",), changed=("security",)), (1000 - 8) / 5),
            (Scenario(5, drift=0), 0.0),
        ],
    )
    def test_slowest_operation(self, scenario: Scenario, seconds: float) -> None:
        """The operation with the most calls for its quota decides; the burst is free."""
        assert seconds == floor_of(scenario)

    def test_needed_calls(self) -> None:
        """A read for each contact, a write for each that differs, and nothing for other types."""
        scenario = Scenario(10, drift=0.5, types=("primary", "billing"), changed=("billing",))

        assert {
            "GetContactInformation": 10,
            "GetAlternateContact": 10,
            "PutAlternateContact": 5,
        } == needed_calls(scenario)

    @pytest.mark.parametrize(
        ("writes", "seconds"),
        [
            ([3, 0, 3, 0], (3 - 2) / 10 + (6 - 1) / 5),
            ([3] * 4, (3 - 2) / 10 + (12 - 1) / 5),
            # The third account is known after 0.7 s, and six writes follow.
            ([0, 0, 3, 3], 0.7 + (6 - 1) / 5),
            ([0, 0], (6 - 2) / 10),
        ],
    )
    def test_order(self, writes: list[int], seconds: float) -> None:
        """Writes wait for the reads before them: what differs late makes a run longer."""
        assert pytest.approx(seconds) == ordered_seconds(writes, 3, read=(10, 2), write=(5, 1))


class TestUnused:
    def test_slowest(self) -> None:
        """The operation that decides is named, but not where bursts suffice."""
        assert "PutAlternateContact" == slowest_operation(
            needed_calls(Scenario(100)), DEFAULT_QUOTAS
        )
        assert slowest_operation(needed_calls(Scenario(5, drift=0)), DEFAULT_QUOTAS) is None

    def test_none(self) -> None:
        """Where every call is served as soon as there is a token, nothing is lost."""
        served = [0.0, 0.0, 1.0, 2.0, 3.0]

        assert Unused(0, 0, 0, 0) == unused_seconds(served, (1, 2), needed=5, end=3.0)

    def test_parts(self) -> None:
        """What was lost at the start, in the middle and at the end adds up to the run's time."""
        quota, needed = (1.0, 2.0), 4
        served = [1.5, 1.5, 2.5, 8.0, 8.0]

        unused = unused_seconds(served, quota, needed, end=9.0)

        assert Unused(start=1.5, middle=3.5, end=1.0, more=1.0) == unused
        assert 9.0 == (needed - 2) / 1 + unused.start + unused.middle + unused.end + unused.more

    def test_no_call(self) -> None:
        """A run without a call has lost all its time at the end."""
        assert Unused(0, 0, 5, -1) == unused_seconds([], (1, 1), needed=1, end=4.0)


class TestWorld:
    def test_changed_types(self) -> None:
        """Drifted accounts differ in the changed types alone, and only so many drifted."""
        world = world_of(Scenario(20, drift=0.5, changed=("security",)))
        members = [world["contacts"][account["id"]] for account in world["accounts"]]
        differing = [
            [name for name, contact in SOURCE_CONTACTS.items() if member.get(name) != contact]
            for member in members
        ]

        assert 10 == differing.count(["SECURITY"])
        assert 10 == differing.count([])
        assert {"default": 0.08} == world["latency"]

    @pytest.mark.parametrize(
        ("scenario", "name"),
        [
            (Scenario(5), "5 accounts, 100% drifted"),
            (Scenario(5, drift=0.5, changed=("security",)), "5 accounts, 50% security drifted"),
            (Scenario(5, drift=0), "5 accounts, in sync"),
            (Scenario(5, drift=0, warm=True), "5 accounts, in sync, warm"),
            (
                Scenario(5, types=("primary",), changed=("billing",)),
                "5 accounts, in sync, primary only",
            ),
            (Scenario(5, types=("primary",)), "5 accounts, 100% drifted, primary only"),
        ],
    )
    def test_name(self, scenario: Scenario, name: str) -> None:
        """A scenario's name says what differs."""
        assert name == scenario.name

    def test_synced_before(self) -> None:
        """What no account lacks was synced to all of them before."""
        assert [] == synced_before(Scenario(5))
        assert ["primary", "security"] == synced_before(
            Scenario(5, types=("primary", "billing", "security"), changed=("billing",))
        )
        assert ["security"] == synced_before(Scenario(5, drift=0, types=("security",)))


OUTCOMES = {
    "GetAlternateContact": {"ok": 20, "ResourceNotFoundException": 10},
    "PutAlternateContact": {"ok": 30, "TooManyRequestsException": 10},
    "ListAccounts": {"ok": 1},
}


def seen_at(at: float, pending: int) -> Json:
    return {"at": at, "itemCounts": {"total": 100, "pending": pending, "running": 0}}


class TestFigures:
    def test_calls(self) -> None:
        """Calls of the paced operations are counted, refused ones too."""
        calls = call_figures({"GetAlternateContact": 30, "PutAlternateContact": 30}, OUTCOMES)

        assert {
            "GetAlternateContact": {"needed": 30, "made": 30, "refused": 0},
            "PutAlternateContact": {"needed": 30, "made": 40, "refused": 10},
        } == calls
        assert 10 / 70 == refused_share(calls)
        assert 0.0 == refused_share(call_figures({}, {}))

    def test_estimate(self) -> None:
        """It is off by a share of the time, either way; of what drifted there can be none."""
        assert pytest.approx(0.2) == estimate_error(Scenario(5), estimated=60, took=50)
        assert pytest.approx(0.2) == estimate_error(Scenario(5, drift=0), estimated=40, took=50)
        assert estimate_error(Scenario(5, drift=0.5), estimated=60, took=50) is None

    def test_time_left(self) -> None:
        """What is off most counts, from the first tenth of the accounts on."""
        seen = [seen_at(9.0, 95), seen_at(18.0, 80), seen_at(50.0, 45), seen_at(100.0, 0)]

        assert pytest.approx(0.1) == remaining_error(seen, least=0.3)
        assert pytest.approx(0.05) == remaining_error(seen, least=1.0)

    def test_time_left_of_a_short_run(self) -> None:
        """A run that was over at once shows nothing."""
        assert remaining_error([], 0.3) is None
        assert remaining_error([seen_at(1.0, 95), seen_at(9.0, 0)], 0.3) is None

    def test_functions(self) -> None:
        """Only what a function waits for gets shorter by the speed."""
        used = {"f": {"seconds": 3.0, "processor_seconds": 1.0}}

        figures = function_figures(used, {"f": 512}, speed=5)

        assert (10.0, 11.0) == (figures["f"]["waiting_seconds"], figures["f"]["seconds"])

    def test_units(self) -> None:
        """A write counts as the mean item of its kind, a read once an item, others not."""
        requests = [
            {"service": "dynamodb", "operation": "UpdateItem", "kind": "A S", "items": 4},
            {"service": "dynamodb", "operation": "UpdateItem", "kind": "gone", "items": 2},
            {"service": "dynamodb", "operation": "BatchWriteItem", "kind": "", "items": 24},
            {"service": "dynamodb", "operation": "GetItem", "kind": "", "items": 7},
            {"service": "s3", "operation": "GetObject", "kind": "", "items": 9},
        ]
        items = [{"pk": "A#1", "sk": "S"}, {"pk": "A#2", "sk": "R#1", "gsi1pk": "b"}]

        assert (4 * 1 + 26 * 1.5, 7) == dynamodb_units(requests, items)

    @pytest.mark.parametrize(
        ("item", "units"),
        [
            ({"pk": "a"}, 1),
            ({"pk": "a" * 1023}, 2),
            ({"pk": "a", "gsi1pk": "b"}, 2),
        ],
    )
    def test_item_units(self, item: Json, units: int) -> None:
        """An item costs a unit a KiB, and as much again in the index."""
        assert units == item_units(item)


def measured(**changes: Any) -> Json:
    """A run within every bound."""
    scenario = changes.pop("scenario", Scenario(1000))
    function = {
        "invocations": 1000,
        "starts": 6,
        "seconds": 500.0,
        "waiting_seconds": 490.0,
        "processor_seconds": 10.0,
        "peak_bytes": 60_000_000,
        "log_bytes": 600_000,
        "memory_megabytes": 512,
    }
    return {
        "scenario": {**vars(scenario)},
        "name": scenario.name,
        "status": "SUCCEEDED",
        "lost_contacts": 0,
        "floor_seconds": 598.4,
        "sync_seconds": 610.0,
        "took_seconds": 612.0,
        "run_seconds": 615.0,
        "estimated_seconds": 600.0,
        "estimate_error": 0.02,
        "remaining_error": 0.05,
        "sync_ratio": 1.009,
        "run_ratio": 1.028,
        "ordered_seconds": 598.4,
        "unused_seconds": {"start": 1.0, "middle": 2.0, "end": 0.5, "more": 0.0},
        "calls": {"PutAlternateContact": {"needed": 3000, "made": 3150, "refused": 150}},
        "refused_share": 0.002,
        "transitions": 3020,
        "transitions_an_account": 3.01,
        "events": 80,
        "most_child_events": 20,
        "largest_payload": 2500,
        "functions": {PROCESSOR: function},
        "requests": {"s3 GetObject": 20, "s3 PutObject": 3, "sns Publish": 1},
        "write_units": 2000,
        "read_units": 4000,
        "measured_at": "2026-11-24T05:00:00+00:00",
        "load_average": [0.5, 1.5],
        **changes,
    }


def with_peak(accounts: int, peak: int) -> Json:
    run = measured(scenario=Scenario(accounts))
    run["functions"][PROCESSOR]["peak_bytes"] = peak
    return run


class TestCost:
    def test_run(self) -> None:
        """Every line is of what the run used; memory decides how fast a processor is."""
        prices = cost.load_prices()

        used = cost.run_quantities(measured(), prices)

        assert 3020 == used["state_transitions"]
        assert 1000 == used["lambda_requests"]
        assert (490 + 10 * 1769 / 512) / 2 == pytest.approx(used["lambda_gb_seconds"])
        assert (600_000 + 1000 * 400) / 1e9 == used["log_gigabytes"]
        assert (20, 3, 1) == (used["s3_reads"], used["s3_writes"], used["sns_publishes"])
        assert 24 == used["kms_requests"]

    def test_month(self) -> None:
        """A month has thirty resyncs and two changes, less what is always free."""
        lines = cost.month(
            cost.Quantities(state_transitions=4000, lambda_requests=2000),
            cost.Quantities(state_transitions=5000),
            cost.Quantities(kms_keys=1, alarms=11),
            cost.load_prices(),
        )
        costs = {line.name: line.cost for line in lines}

        assert {
            "Step Functions: state transitions": pytest.approx((130_000 - 4_000) * 25 / 1e6),
            "Lambda: requests": 0.0,
            "KMS: keys": 1.0,
            "CloudWatch: alarms": pytest.approx(0.1),
        } == costs
        assert pytest.approx(3.15 + 1.1) == cost.total(lines)

    def test_other_sizes(self) -> None:
        """A run of more accounts uses as much more of all, but for its own state transitions."""
        prices = cost.load_prices()

        used = cost.run_of(measured(), 10_000, prices)

        assert 10 + 10_000 * 3.01 == pytest.approx(used["state_transitions"])
        assert 10_000 == used["lambda_requests"]

    def test_allowances(self) -> None:
        """Without the allowances everything is paid for."""
        lines = cost.month(
            cost.Quantities(state_transitions=100),
            cost.Quantities(),
            cost.Quantities(dashboards=1),
            cost.without_allowances(cost.load_prices()),
        )

        assert pytest.approx(3_000 * 25 / 1e6 + 3) == cost.total(lines)

    def test_standing(self) -> None:
        """What costs by being there is counted in the template."""
        used = cost.standing_quantities((REPOSITORY / "template.yaml").read_text())

        assert (1, 1, 1) == (used["kms_keys"], used["secrets"], used["dashboards"])
        assert 1 <= used["alarms"] <= 10
        assert 1 <= used["metrics"] <= 10


class TestCheck:
    @pytest.mark.parametrize("shows", ["time", "scaling", "size"])
    def test_within(self, shows: str) -> None:
        """A run within every bound passes."""
        verdicts = list(run_verdicts(shows, measured(), load_bounds()))

        assert [] == [verdict for verdict in verdicts if not verdict.holds]

    @pytest.mark.parametrize(
        ("figure", "value"),
        [
            ("sync_ratio", 1.011),
            ("refused_share", 0.006),
            ("estimate_error", 0.11),
            ("remaining_error", 0.11),
            ("lost_contacts", 1),
            ("transitions_an_account", 5.0),
            ("largest_payload", 70_000),
            ("events", 201),
            ("most_child_events", 81),
        ],
    )
    def test_off(self, figure: str, value: float) -> None:
        """The figure that is off is named, with its bound."""
        run = measured(**{figure: value})
        (off,) = (one for one in run_verdicts("time", run, load_bounds()) if not one.holds)

        name = "1000 accounts, 100% drifted at speed 1"
        assert f"{name}: {figure}: {value:g}, at most {off.bound:g}" == str(off)

    def test_failed(self) -> None:
        """A failed execution fails the check."""
        run = measured(status="FAILED")
        (off,) = (one for one in run_verdicts("size", run, load_bounds()) if not one.holds)

        assert "failed executions" in off.what

    def test_no_floor(self) -> None:
        """Where the burst suffices there is no ratio to compare."""
        verdicts = run_verdicts("time", measured(sync_ratio=None), load_bounds())

        assert not any("sync_ratio" in verdict.what for verdict in verdicts)

    @pytest.mark.parametrize(("peak", "holds"), [(65_000_000, True), (67_000_000, False)])
    def test_memory(self, peak: int, holds: bool) -> None:  # noqa: FBT001
        """Memory is compared with that of the smallest organization."""
        runs = [with_peak(2000, peak), with_peak(100, 60_000_000)]
        (verdict,) = memory_verdicts(runs, 1.1)

        assert holds == verdict.holds

    def test_unknown_memory(self) -> None:
        """Where the system tells no memory nothing is compared; nor is a single run."""
        assert [] == list(memory_verdicts([with_peak(100, 0), with_peak(2000, 0)], 1.1))
        assert [] == list(memory_verdicts([with_peak(100, 1)], 1.1))

    @pytest.mark.parametrize(("ratio", "holds"), [(1.05, True), (0.95, False), (1.07, False)])
    def test_scaling(self, ratio: float, holds: bool) -> None:  # noqa: FBT001
        """At another speed the ratio of the same scenario is the same, nearly."""
        fast = measured(scenario=Scenario(1000, speed=5), sync_ratio=ratio)
        other = measured(scenario=Scenario(500), sync_ratio=9.0)
        (verdict,) = scaling_verdicts([measured(), other, fast], 0.05)

        assert holds == verdict.holds
        assert "at speed 5: difference" in verdict.what

    def test_imports(self) -> None:
        """The handler whose import is too slow is named, and a package that is too large."""
        imports = {"import_ratios": {"slow": 1.6, "fast": 1.2}, "package_bytes": 6_000_000}
        off = [one.what for one in import_verdicts(imports, load_bounds()) if not one.holds]

        assert ["slow: import, in boto3 + Logger", "package_bytes"] == off

    @pytest.mark.case("E19")
    @pytest.mark.parametrize(("seconds", "holds"), [(3.0, True), (3.1, False)])
    def test_validation(self, seconds: float, holds: bool) -> None:  # noqa: FBT001
        """validate.sh takes three seconds at most."""
        verdict = validation_verdict({"seconds": seconds, "checks": 20}, load_bounds())

        assert holds == verdict.holds
        assert "validate.sh, seconds of 20 checks at 30 ms a call" == verdict.what

    def test_page(self) -> None:
        """Each size and time of the page that is off is named."""
        page = {
            "accounts": 10_000,
            "page_bytes": 5_000_001,
            "first_content_seconds": 0.9,
            "search_seconds": 0.6,
            "sort_seconds": 0.5,
        }
        off = [one.what for one in page_verdicts(page, load_bounds()) if not one.holds]

        about = "report of 10,000 accounts"
        assert [f"{about}: page_bytes", f"{about}: search_seconds"] == off

    @pytest.mark.parametrize("section", ["check", "long"])
    def test_planned(self, section: str) -> None:
        """The bounds file plans runs for time and for size, with no bound of an unknown figure."""
        runs = planned(section)

        assert {"time", "size"} <= {run.shows for run in runs} <= {"time", "scaling", "size"}
        assert 2 <= len([run for run in runs if run.shows == "size"])
        assert all(isinstance(run.scenario.changed, tuple) for run in runs)
        assert {name for run in runs for name, _ in run.bounds} <= load_bounds().keys()


class TestImports:
    def test_ratios(self) -> None:
        """Each is the least of the repetitions: other work on the machine only adds to it."""
        repetitions = [{"": 1.5, "f": 1.3}, {"": 1.0, "f": 9.0}, {"": 8.0, "f": 1.2}]

        figures = import_figures(least_seconds(repetitions))

        assert (1.0, {"f": 1.2}) == (figures["base_seconds"], figures["import_seconds"])
        assert {"f": 1.2} == figures["import_ratios"]

    def test_handlers(self) -> None:
        """Every function of the template is measured."""
        assert [
            "account_lister",
            "alternate_contact_processor",
            "contact_sync_handler",
            "primary_contact_processor",
            "sync_reporter",
        ] == handlers(REPOSITORY / "functions")

    def test_package_size(self, tmp_path: Path) -> None:
        """boto3 and botocore do not count, packages with similar names do."""
        package = tmp_path / "package.zip"
        with zipfile.ZipFile(package, "w") as archive:
            for name in ("boto3/a.py", "botocore/a.py", "boto3_other/a.py", "handler.py"):
                archive.writestr(name, "12345")

        assert 10 == package_size(package)


def split_row(line: str) -> tuple[str, str, str]:
    """Split a table's row after its first cell."""
    return line.strip().partition("  ")


class TestView:
    def test_runs(self) -> None:
        """Each run is a column, with what only another run had as nothing."""
        other = measured(
            scenario=Scenario(1000, drift=0), calls={}, functions={}, requests={}, sync_ratio=None
        )
        lines = run_table([measured(), other]).splitlines()
        rows = {name.strip(): cells.split() for name, _, cells in map(split_row, lines)}

        assert ["3,150", "(150)", "0", "(0)"] == rows["PutAlternateContact"]
        assert ["1.009", "-"] == rows["SyncAccounts / floor"]
        assert ["20", "0"] == rows["s3 GetObject"]
        assert ["500.0", "0.0"] == rows[f"{PROCESSOR}: s"]


class TestPlot:
    def test_svg(self) -> None:
        """Measured points are filled, computed ones hollow, and each has its value beside it."""
        points = {"drifted & slow": [(100.0, 1.0), (1000.0, 123.4)]}
        lines = {"Get": [(0.0, 1.5), (60.0, 1.0)]}
        panels = [
            Panel("Time", points=points, dashed=points),
            Panel("Cost", computed=points),
            Panel("Calls", lines=lines, across="seconds", linear=(60.0, 2.0)),
        ]

        root = ElementTree.fromstring(svg(panels, "measured"))  # noqa: S314 - our own

        name = "{http://www.w3.org/2000/svg}"
        fills = [dot.get("fill") for dot in root.iter(f"{name}circle")]
        assert (4, 2) == (len(fills), fills.count("none"))
        assert 2 == len(list(root.iter(f"{name}path")))
        texts = [text.text for text in root.iter(f"{name}text")]
        assert 2 == texts.count("drifted & slow")
        assert 2 == texts.count("123")
        assert {"1,000", "Get", "seconds", "60", "0.5"} <= set(texts)

    def test_labels_apart(self) -> None:
        """Labels of points at the same place stand below each other."""
        points = {name: [(100.0, 5.0)] for name in "abc"}

        root = ElementTree.fromstring(svg([Panel("Time", points=points)], ""))  # noqa: S314

        labels = [one for one in root.iter("{http://www.w3.org/2000/svg}text") if one.text == "5"]
        assert 3 == len({one.get("y") for one in labels})

    def test_rates(self) -> None:
        """Calls are counted for every five seconds, as a share of their quota; the rest is not."""
        served = [("PutAlternateContact", at / 10) for at in range(110)]

        assert [{"PutAlternateContact": 2.0}] * 2 == used_rates(served, end=14.0)

    @pytest.mark.parametrize(
        ("values", "powers"), [([1, 10], (0, 1)), ([10], (1, 2)), ([0.5, 2000], (-1, 4))]
    )
    def test_decades(self, values: list[float], powers: tuple[int, int]) -> None:
        """An axis reaches from power to power of ten."""
        assert powers == decades(values)

    def test_earlier(self, tmp_path: Path) -> None:
        """Earlier figures are drawn again, of each scenario those at the lowest speed."""
        runs = [
            measured(scenario=Scenario(accounts, speed=speed))
            for accounts, speed in ((100, 5.0), (100, 1.0), (1000, 5.0))
        ]
        (tmp_path / "figures.json").write_text(json.dumps({"runs": runs}, default=vars))
        plot = tmp_path / "plot.svg"

        result = benchmark("--from", tmp_path / "figures.json", "--plot", plot)

        assert 0 == result.returncode, result.stderr
        assert "1,000 accounts, 30 daily resyncs" in result.stdout
        drawn = plot.read_text()
        # Time and cost of two sizes; the cost of the other sizes, and of all without allowances.
        assert 2 + 2 + 2 + 4 == drawn.count("<circle")
        assert 1 == drawn.count("<path")


def benchmark(*options: str | Path) -> Result:
    return subprocess.run(
        [sys.executable, "-m", "benchmark", *options],
        cwd=REPOSITORY / "scripts",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "functions")},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def benchmark_sh(*options: str) -> Result:
    return subprocess.run(
        ["bash", REPOSITORY / "scripts/benchmark.sh", *options],
        env={**os.environ, "PYTHON": sys.executable},
        check=False,
        capture_output=True,
        text=True,
    )


class TestOptions:
    def test_help(self) -> None:
        """Help is an answer, not an error."""
        result = benchmark_sh("--help")

        assert (0, "") == (result.returncode, result.stderr)
        assert "--child-start S" in result.stdout

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (["--bogus"], "--bogus"),
            (["--accounts", "4"], "a number from 5"),
            (["--accounts", "10,many"], "a number from 5"),
            (["--drift", "1.5"], "a number from 0 to 1"),
            (["--types", "primary,legal"], "'legal' is none of primary,"),
            (["--speed", "0"], "a number from 0.1"),
            (["--api-call", "-1"], "a number from 0 to 60"),
            (["--environment", "test"], "invalid choice"),
            (["--check", "--long"], "not allowed with"),
            (["--from", "/nowhere/figures.json"], "there is no file /nowhere/figures.json"),
        ],
    )
    def test_wrong(self, options: list[str], complaint: str) -> None:
        """A wrong option is told on stderr with exit code 2, before anything starts."""
        result = benchmark_sh(*options)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr

    def test_combinations(self) -> None:
        """Several numbers of accounts, shares and speeds are combined."""
        options = parse_options(["--accounts", "5,50", "--drift", "1,0", "--speed", "10,20"])
        assert options is not None

        base = Scenario(5, drift=1.0, speed=10.0)
        assert 8 == len(set(options.scenarios))
        assert replace(base, accounts=50, drift=0.0, speed=20.0) in options.scenarios

    def test_types(self) -> None:
        """Drifted accounts differ in what is synced, unless told otherwise."""
        options = parse_options(["--types", "primary,billing", "--drift", "1"])
        assert options is not None

        (scenario,) = options.scenarios
        assert ("primary", "billing") == scenario.types == scenario.changed


class TestRun:
    def test_small(self, tmp_path: Path) -> None:
        """A small run is measured, shown, written and drawn."""
        figures, plot = tmp_path / "figures.json", tmp_path / "plots/plot.svg"
        small = ["--accounts", "6", "--drift", "1", "--speed", "50"]
        result = benchmark(*small, "--json", figures, "--plot", plot)
        document = json.loads(figures.read_text())
        (run,) = document["runs"]

        assert 0 == result.returncode, result.stderr
        assert "6 accounts, 30 daily resyncs and 2 changes a month" in result.stdout
        assert ("SUCCEEDED", 0, 3.0) == (
            run["status"],
            run["lost_contacts"],
            run["transitions_an_account"],
        )
        assert 6 == run["functions"][PROCESSOR]["invocations"]
        assert 1 <= run["requests"]["s3 GetObject"]
        assert run["sync_seconds"] < run["run_seconds"]
        lost = sum(run["unused_seconds"][part] for part in ("start", "middle", "end", "more"))
        assert run["floor_seconds"] + lost == pytest.approx(run["sync_seconds"])
        assert plot.read_text().startswith("<svg")

    def test_warm(self, tmp_path: Path) -> None:
        """A warm run finds execution environments, and counts its own calls only."""
        figures = tmp_path / "figures.json"
        small = ["--accounts", "6", "--drift", "0", "--speed", "50", "--warm"]
        result = benchmark(*small, "--json", figures)
        (run,) = json.loads(figures.read_text())["runs"]

        assert 0 == result.returncode, result.stderr
        # The processors may need one more where the machine is busy; these run one at a time.
        alone = ("contact-sync-handler", "account-lister", "sync-reporter")
        assert [0, 0, 0] == [run["functions"][name]["starts"] for name in alone]
        assert 18 <= run["calls"]["GetAlternateContact"]["made"] <= 21
        # Nothing differs from what an earlier run synced: 18 reads, 10 a second.
        assert 2 == run["estimated_seconds"]

    def test_driven(self, tmp_path: Path) -> None:
        """With the driver, the run is the same for everything but the children."""
        figures = tmp_path / "figures.json"
        small = ["--accounts", "6", "--drift", "0.5", "--speed", "50", "--driven"]
        result = benchmark(*small, "--json", figures)
        document = json.loads(figures.read_text())
        (run,) = document["runs"]

        assert 0 == result.returncode, result.stderr
        assert ("SUCCEEDED", 0, 0) == (
            run["status"],
            run["lost_contacts"],
            run["transitions_an_account"],
        )
        assert 9 == run["calls"]["PutAlternateContact"]["made"]
        # Without children it says nothing about costs.
        assert {} == document["months"]

    @pytest.mark.parametrize(
        ("ratios", "refused", "shown"),
        [
            ((1.02, 1.03, 1.009), (0, 0, 0), 1.009),
            ((1.03, 1.02, 1.04), (0, 0, 0), 1.02),
            ((1.005, 1.009), (0.02, 0), 1.009),
            ((1.009,), (0,), 1.009),
        ],
        ids=[
            "the last one holds",
            "none holds",
            "a faster one is off otherwise",
            "the first holds",
        ],
    )
    def test_repeated(
        self,
        ratios: tuple[float, ...],
        refused: tuple[float, ...],
        shown: float,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """A run off its bounds is measured again: the first one within them counts."""
        runs = iter(
            measured(sync_ratio=ratio, sync_seconds=ratio * 598.4, refused_share=share)
            for ratio, share in zip(ratios, refused, strict=True)
        )
        monkeypatch.setattr(session, "_measure", lambda _: next(runs))
        options = parse_options(["--accounts", "1000"])
        assert options

        run = session._Session(options)._measure(Planned(Scenario(1000), "time"))

        assert (shown, None) == (run["sync_ratio"], next(runs, None))
        assert len(ratios) - 1 == capsys.readouterr().err.count("because it is off: ")
