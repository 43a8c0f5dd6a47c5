"""The benchmark's tables, as plain text for a README."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmark.cost import CHANGES, RESYNCS, Line, total

Json = Mapping[str, Any]
Row = tuple[str, ...]


def table(rows: Sequence[Row]) -> str:
    """Align rows of cells: the first column to the left, the others to the right."""
    columns = zip(*rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def run_table(runs: Sequence[Json]) -> str:
    """Return a table with one column per run."""
    names = {
        kind: sorted({name for run in runs for name in run[kind]})
        for kind in ("calls", "functions", "requests")
    }
    rows = [_row(runs, name, show) for name, show in _FIGURES]
    rows += [_row(runs, name, _calls_of(name)) for name in names["calls"]]
    rows += [_row(runs, f"{name}: s", _seconds_of(name)) for name in names["functions"]]
    rows += [_row(runs, f"{name}: peak MB", _peak_of(name)) for name in names["functions"]]
    rows += [_row(runs, name, _requests_of(name)) for name in names["requests"]]
    return table(rows)


def bill(lines: Sequence[Line], accounts: int) -> str:
    """Return a month's bill, with the always-free allowances."""
    rows: list[Row] = [("", "a month", "always free", "USD")]
    rows += [
        (line.name, f"{line.quantity:,.6g}", f"{line.free:,}", f"{line.cost:.2f}") for line in lines
    ]
    rows.append(("total", "", "", f"{total(lines):.2f}"))
    title = f"{accounts:,} accounts, {RESYNCS} daily resyncs and {CHANGES} changes a month"
    return f"{title}\n{table(rows)}"


def cost_table(costs: Iterable[tuple[int, float, float]]) -> str:
    """Return the monthly cost by number of accounts, computed from the measurements."""
    rows: list[Row] = [("accounts", "USD a month", "  without what is always free")]
    rows += [(f"{accounts:,}", f"{free:.2f}", f"{full:.2f}") for accounts, free, full in costs]
    return table(rows)


def import_table(imports: Json) -> str:
    """Return time and memory of each import, and its time relative to the base.

    Adds the time until the first request is read, if that request imports more.
    """
    seconds = {"": imports["base_seconds"], **imports["import_seconds"]}
    ratios = {"": 1.0, **imports["import_ratios"]}
    requests = imports["request_seconds"]
    rows: list[Row] = [("", "ms", "ratio", "peak MB", "with first request, ms")]
    rows += [
        (
            name or "boto3 and Powertools Logger",
            f"{seconds[name] * 1000:.0f}",
            f"{ratios[name]:.2f}",
            f"{imports['import_bytes'][name] / 2**20:.0f}",
            f"{requests[name] * 1000:.0f}" if name in requests else "-",
        )
        for name in seconds
    ]
    size = imports["package_bytes"] / 1e6
    return f"{table(rows)}\npackage without boto3 and botocore: {size:.2f} MB"


def page_table(page: Json) -> str:
    """Return the size and response times of the report."""
    rows: list[Row] = [
        (f"report of {page['accounts']:,} accounts", ""),
        ("page, MB", f"{page['page_bytes'] / 1e6:.2f}"),
        ("CSV, MB", f"{page['csv_bytes'] / 1e6:.2f}"),
        ("first content, s", f"{page['first_content_seconds']:.2f}"),
        ("search, s", f"{page['search_seconds']:.2f}"),
        ("slowest sort, s", f"{page['sort_seconds']:.2f}"),
    ]
    return table(rows)


def _row(runs: Iterable[Json], name: str, show: Callable[[Json], str]) -> Row:
    return (name, *(show(run) for run in runs))


def _optional(key: str, digits: int = 3) -> Callable[[Json], str]:
    return lambda run: "-" if run[key] is None else f"{run[key]:.{digits}f}"


def _unused(part: str) -> Callable[[Json], str]:
    return lambda run: f"{run['unused_seconds'][part]:.1f}" if run["unused_seconds"] else "-"


def _calls_of(operation: str) -> Callable[[Json], str]:
    def show(run: Json) -> str:
        calls = run["calls"].get(operation, {"made": 0, "refused": 0})
        return f"{calls['made']:,} ({calls['refused']:,})"

    return show


def _seconds_of(function: str) -> Callable[[Json], str]:
    return lambda run: f"{run['functions'].get(function, {}).get('seconds', 0):.1f}"


def _peak_of(function: str) -> Callable[[Json], str]:
    return lambda run: f"{run['functions'].get(function, {}).get('peak_bytes', 0) / 2**20:.0f}"


def _requests_of(request: str) -> Callable[[Json], str]:
    return lambda run: f"{run['requests'].get(request, 0):,}"


_FIGURES: tuple[tuple[str, Callable[[Json], str]], ...] = (
    ("", lambda run: run["name"].partition(", ")[2]),
    ("accounts", lambda run: f"{run['scenario']['accounts']:,}"),
    ("contact types", lambda run: str(len(run["scenario"]["types"]))),
    ("speed", lambda run: f"{run['scenario']['speed']:g}"),
    ("load average", lambda run: f"{run['load_average'][1]:.1f}"),
    ("execution", lambda run: str(run["status"])),
    ("contacts lost", lambda run: f"{run['lost_contacts']:,}"),
    ("floor, s", lambda run: f"{run['floor_seconds']:.1f}"),
    ("  in the order of the accounts, s", _optional("ordered_seconds", 1)),
    ("SyncAccounts, s", lambda run: f"{run['sync_seconds']:.1f}"),
    ("  over the floor: start, s", _unused("start")),
    ("  over the floor: middle, s", _unused("middle")),
    ("  over the floor: end, s", _unused("end")),
    ("  over the floor: more calls, s", _unused("more")),
    ("PlanRun to RecordRun, s", lambda run: f"{run['took_seconds']:.1f}"),
    ("  as estimated, s", lambda run: f"{run['estimated_seconds']:.0f}"),
    ("  time left, most off", _optional("remaining_error")),
    ("whole execution, s", lambda run: f"{run['run_seconds']:.1f}"),
    ("SyncAccounts / floor", _optional("sync_ratio")),
    ("whole execution / floor", _optional("run_ratio")),
    ("calls refused", lambda run: f"{run['refused_share']:.1%}"),
    ("state transitions", lambda run: f"{run['transitions']:,}"),
    ("  an account", lambda run: f"{run['transitions_an_account']:.2f}"),
    ("history events", lambda run: f"{run['events']:,}"),
    ("  most of a child", lambda run: f"{run['most_child_events']:,}"),
    ("largest payload, bytes", lambda run: f"{run['largest_payload']:,}"),
)
