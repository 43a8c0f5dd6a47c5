"""The benchmark's options and scenarios, checked before anything is installed."""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Runs the real template, state machine and functions in a local stand-in for AWS, with the request
quotas that AWS documents, and a new stand-in for each run. Prints the time of each run, the least
time that the quotas allow, and the cost. As in AWS, function processes share nothing.
"""
EPILOGUE = """\
If options have several values, measures every combination. With several speeds, checks that the
ratio of run time to floor is the same at each. Exits with 0, with 1 if a run or a check fails, or
with 2 if an option is invalid.
"""

TYPES = ("primary", "billing", "operations", "security")
BOUNDS_FILE = Path(__file__).with_name("bounds.json")
LEAST_ACCOUNTS = 5


@dataclass(frozen=True)
class Latency:
    """Simulated latency of AWS, in seconds."""

    api_call: float = 0.08
    function_start: float = 0.25
    invocation: float = 0.03
    child_start: float = 0.1


@dataclass(frozen=True)
class Scenario:
    """One run to measure.

    The share `drift` of the `accounts` differs from the source in `changed`, a subset of the synced
    contact `types`. `warm`: execution environments remain from an earlier run. `driven`: a driver
    replaces the state machine's Distributed Map.
    """

    accounts: int
    drift: float = 1.0
    types: tuple[str, ...] = TYPES
    changed: tuple[str, ...] = TYPES
    speed: float = 1.0
    environment: str = "prod"
    latency: Latency = Latency()
    warm: bool = False
    driven: bool = False

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Scenario":
        """Read a scenario of the bounds file."""
        known = {name: tuple(value) for name, value in document.items() if isinstance(value, list)}
        return cls(**{**document, **known})

    @property
    def kind(self) -> str:
        """Describe the contacts that differ from the source, and those synced if not all are."""
        only = "" if self.types == TYPES else f", {', '.join(self.types)} only"
        changed = [name for name in self.types if name in self.changed]
        if self.drift == 0 or not changed:
            return f"in sync{only}"
        what = "drifted" if len(changed) == len(self.types) else f"{', '.join(changed)} drifted"
        return f"{self.drift:.0%} {what}{only}"

    @property
    def name(self) -> str:
        """A name that identifies the scenario, except for its speed."""
        how = f"{', warm' if self.warm else ''}{', driven' if self.driven else ''}"
        return f"{self.accounts} accounts, {self.kind}{how}"


@dataclass(frozen=True)
class Options:
    """What to measure, and where to write the results."""

    scenarios: tuple[Scenario, ...]
    check: bool
    long: bool
    imports: bool
    validation: bool
    page: bool
    earlier: tuple[Path, ...]
    json_file: Path | None
    plot_file: Path | None


def parse_options(arguments: Sequence[str] | None = None) -> Options | None:
    """Return the options, None if there is nothing to do; exit 2 if they are invalid."""
    given = _parser().parse_args(arguments)
    if given.check_options:
        return None
    only = (given.imports, given.validation, given.page, given.earlier)
    named = any((given.check, given.long, *only))
    return Options(
        scenarios=() if named else tuple(_scenarios(given)),
        check=given.check,
        long=given.long,
        imports=given.imports or given.check,
        validation=given.validation or given.long,
        page=given.page or given.long,
        earlier=given.earlier,
        json_file=given.json,
        plot_file=given.plot,
    )


@dataclass(frozen=True)
class Planned:
    """A run of the bounds file: its purpose, and its own bounds."""

    scenario: Scenario
    shows: str = ""
    bounds: tuple[tuple[str, float], ...] = ()


def planned(section: str, file: Path = BOUNDS_FILE) -> list[Planned]:
    """Return the runs in a section of the bounds file; its `why` keys are comments."""
    return [
        Planned(
            shows=str(entry.pop("shows")),
            bounds=tuple(entry.pop("bounds", {}).items()),
            scenario=Scenario.from_json({k: v for k, v in entry.items() if k != "why"}),
        )
        for entry in json.loads(file.read_text())[section]
    ]


def _scenarios(given: argparse.Namespace) -> Iterable[Scenario]:
    latency = Latency(given.api_call, given.function_start, given.invocation, given.child_start)
    base = Scenario(
        accounts=LEAST_ACCOUNTS,
        types=given.types,
        changed=given.changed_types or given.types,
        environment=given.environment,
        latency=latency,
        warm=given.warm,
        driven=given.driven,
    )
    for accounts, drift, speed in product(given.accounts, given.drift, given.speed):
        yield replace(base, accounts=accounts, drift=drift, speed=speed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmark.sh", description=DESCRIPTION, epilog=EPILOGUE, allow_abbrev=False
    )
    _add_scenario_options(parser)
    _add_latency_options(parser)
    add = parser.add_argument
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--check",
        action="store_true",
        help="measure the runs for CI in scripts/benchmark/bounds.json, and imports, and fail with "
        "each figure out of bounds; takes seven minutes",
    )
    mode.add_argument(
        "--long",
        action="store_true",
        help="the same for 1,000 to 50,000 accounts, validate.sh and the report's page, whose "
        "times need a quiet machine; takes an hour",
    )
    mode.add_argument(
        "--imports",
        action="store_true",
        help="only measure the import of each handler, and the size of the package",
    )
    mode.add_argument(
        "--validation",
        action="store_true",
        help="only measure validate.sh on a deployed stack, with 30 ms for each AWS call",
    )
    mode.add_argument(
        "--page",
        action="store_true",
        help="only measure the report of 10,000 accounts in Chromium: size, first content, search "
        "and sort",
    )
    mode.add_argument(
        "--from",
        dest="earlier",
        type=_several(_readable),
        default=(),
        metavar="FILE[,FILE...]",
        help="measure nothing; show and draw the runs that --json wrote to these files",
    )
    add("--json", type=Path, metavar="FILE", help="also write every figure to this file")
    add("--plot", type=Path, metavar="FILE", help="draw time and cost over accounts, as SVG")
    add("--check-options", action="store_true", help="only check the options")
    return parser


def _add_scenario_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--accounts",
        type=_several(_accounts),
        default=(100,),
        metavar="N[,N...]",
        help="members of the organization (100)",
    )
    add(
        "--drift",
        type=_several(_number(0, 1)),
        default=(1.0, 0.5, 0.0),
        metavar="S[,S...]",
        help="shares of the accounts that differ from the source (1,0.5,0)",
    )
    add(
        "--types",
        type=_several(_contact_type),
        default=TYPES,
        metavar="T[,T...]",
        help="contact types to sync (all four)",
    )
    add(
        "--changed-types",
        type=_several(_contact_type),
        metavar="T[,T...]",
        help="contact types in which drifted accounts differ (all synced types)",
    )
    add(
        "--speed",
        type=_several(_number(0.1, 1000)),
        default=(5.0,),
        metavar="X[,X...]",
        help="speed relative to AWS, for quotas, latency and waits (5)",
    )
    add(
        "--warm",
        action="store_true",
        help="first start the functions by a dry run over a few accounts",
    )
    add(
        "--driven",
        action="store_true",
        help="let a driver call the processors, in place of the Distributed Map: for sizes at "
        "which the stand-in would need hours for its children",
    )
    add(
        "--environment",
        choices=("dev", "staging", "prod"),
        default="prod",
        help="environment to deploy; sets concurrency and memory (prod)",
    )


def _add_latency_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("latency", "seconds at AWS's own speed")
    texts = {
        "api_call": "each call of the Account and Organizations APIs",
        "function_start": "a new execution environment, before its imports, which take real time",
        "invocation": "each invocation, between state machine and handler",
        "child_start": "each child, before its first state",
    }
    for name, text in texts.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=_number(0, 60),
            default=getattr(Latency, name),
            metavar="S",
            help=f"{text} (%(default)s)",
        )


def _several(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: tuple(dict.fromkeys(map(parse, text.split(","))))


def _accounts(text: str) -> int:
    if not text.isdecimal() or int(text) < LEAST_ACCOUNTS:
        raise argparse.ArgumentTypeError(f"must be a number from {LEAST_ACCOUNTS}")
    return int(text)


def _readable(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def _contact_type(text: str) -> str:
    if text not in TYPES:
        raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(TYPES)}")
    return text


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {most:g}")
        return number

    return parse
