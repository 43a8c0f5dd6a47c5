"""The report's command: what it reads, and the files that it writes."""

import csv
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from standin.organization.worlds import SOURCE_CONTACTS, drifted_world
from support.aws import Operate, refusal
from support.deployed import Deployed
from support.moto_stack import STATE_TABLE

MANAGER = "999999999999"
FIRST, SECOND, THIRD, LEFT = "100000000001", "100000000002", "100000000003", "200000000001"
RUN = "run-1"
# Later than any day on which this runs.
STARTED, PLANNED = "2126-11-27T03:02:00+00:00", "2126-11-27T03:02:06.000000+00:00"
MAP_RUN = "arn:aws:states:us-east-1:999999999999:mapRun:aws-contact-sync-dev/SyncAccounts:1"
TYPES = ("primary", "billing", "operations", "security")


@pytest.fixture(autouse=True, name="deployed")
def _deployed(account: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Deployed:
    """One run: the first account updated, the second failed, the third not compared; one left."""
    monkeypatch.chdir(tmp_path)
    account.aws.answers["stepfunctions.ListMapRuns"] = {"mapRuns": [{"mapRunArn": MAP_RUN}]}
    for item in (run_item(), synced(FIRST), failed(SECOND)):
        account.put(STATE_TABLE, item)
    account.put(STATE_TABLE, {"pk": f"ACCOUNT#{LEFT}", "sk": "STATE", "left_at": STARTED})
    account.put(STATE_TABLE, {"pk": "LOCK", "sk": "LOCK"})
    for number, (status, account_id) in enumerate({"updated": FIRST, "failed": SECOND}.items()):
        in_run = {"pk": f"ACCOUNT#{account_id}", "sk": f"RUN#{STARTED}#{RUN}", "number": number}
        index = {"gsi1pk": f"RUN#{RUN}", "gsi1sk": f"{status}#{account_id}"}
        statuses = dict.fromkeys(TYPES, status)
        errors = dict.fromkeys(TYPES, "AccessDeniedError") if status == "failed" else {}
        account.put(STATE_TABLE, in_run | index | {"statuses": statuses, "errors": errors})
    return account


def run_item() -> dict[str, Any]:
    return {
        "pk": "RUN",
        "sk": f"{STARTED}#{RUN}",
        "gsi1pk": f"RUN#{RUN}",
        "gsi1sk": "RUN",
        "sync_id": RUN,
        "started_at": STARTED,
        "planned_at": PLANNED,
        "ended_at": PLANNED,
        "status": "partial",
        "error": "PartialSyncError",
        "cause": "one failed",
        "failed": 1,
        "trigger": {"source": "schedule", "event_name": "Scheduled", "event_id": "event-1"},
        "request": {"event_ids": ["event-1", "event-2"]},
        "accounts": {"updated": 1, "failed": 1},
        "source": dict.fromkeys(TYPES, "1:0f"),
    }


def record(status: str) -> dict[str, Any]:
    return {"status": status, "sync_id": RUN, "planned_at": PLANNED, "at": PLANNED}


def synced(account_id: str) -> dict[str, Any]:
    item: dict[str, Any] = {"pk": f"ACCOUNT#{account_id}", "sk": "STATE"}
    for name in TYPES:
        item[name] = record("updated")
        item[f"{name}_written"] = {"planned_at": PLANNED, "at": PLANNED}
        item[f"{name}_in_sync_at"] = item[f"{name}_in_sync_since"] = PLANNED
    return item


def failed(account_id: str) -> dict[str, Any]:
    record_of = {**record("failed"), "error": "AccessDeniedError"}
    return {"pk": f"ACCOUNT#{account_id}", "sk": "STATE", **dict.fromkeys(TYPES, record_of)}


def document(operate: Operate, *options: str) -> dict[str, Any]:
    told = operate("report", "--environment", "dev", "--json", *options)
    assert 0 == told.code, told.err
    found: dict[str, Any] = json.loads(told.out)
    return found


def test_page(operate: Operate, tmp_path: Path) -> None:
    """Without an option for a file there is a page, for its owner alone; the command names it."""
    told = operate("report", "--environment", "dev")

    assert (0, "contact-sync-dev.html\n") == (told.code, told.out)
    expected = "3 member accounts: 1 in sync, 1 failing, 1 not compared yet, 0 left alone\n"
    assert expected == told.err
    (file,) = tmp_path.iterdir()
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    page = file.read_text()
    for shown in (FIRST, SECOND, THIRD, LEFT, MANAGER, f"Member {FIRST}", "event-2", MAP_RUN, RUN):
        assert shown in page


def test_several(deployed: Deployed, operate: Operate) -> None:
    """One reading serves all forms, and asks for no contact; with --json stdout is the document."""
    told = operate(
        *("report", "--environment", "dev", "--json", "--html", "a.html", "--csv", "a.csv")
    )

    assert json.loads(told.out)
    assert ["a.html", "a.csv"] == told.err.splitlines()[1:]
    assert Path("a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    content = Path("a.csv").read_text("utf-8-sig")
    rows = list(csv.DictReader(content.splitlines()))
    assert 4 * 5 == len(rows)
    check = "AWS Security Hub CSPM Account.1"
    assert {""} == {row[check] for row in rows if row["account_id"] == LEFT}
    failing = next(row for row in rows if row["account_id"] == SECOND)
    assert ("1000-0000-0002", "failed", "AccessDeniedError") == (
        failing["account"],
        failing["state"],
        failing["reason"],
    )
    assert [] == [name for name in deployed.aws.calls if name.startswith("account.")]
    written = told.out + Path("a.html").read_text() + content
    values = {value for contact in SOURCE_CONTACTS.values() for value in contact.values()}
    assert [] == [value for value in values if len(value) > 2 and value in written]


def test_without_paths(deployed: Deployed, operate: Operate) -> None:
    """Where Organizations shows no path, the unit is found by listing; empty pages end nothing."""
    world = drifted_world(3, empty_pages=True)
    with_paths = {one["id"]: one["parent"] for one in world["accounts"]}
    deployed.organization.reset(world | {"omit_paths": [FIRST, SECOND, THIRD]})
    listed = {one["id"]: one["unit"] for one in document(operate)["accounts"]}
    deployed.organization.reset(world)

    assert listed == {one["id"]: one["unit"] for one in document(operate)["accounts"]}
    assert 1 < len(set(with_paths.values()))


def test_excluded_unit(deployed: Deployed, operate: Operate) -> None:
    """An account under an excluded unit, at any depth, is excluded."""
    world = drifted_world(3)
    world["accounts"][0]["parent"] = "ou-exam-payments"
    deployed.organization.reset(world)
    units = {"excluded_organizational_units": ["ou-exam-workloads"]}
    deployed.configure({"contact_types": ["security"], **units})

    found = {one["id"]: one["contacts"] for one in document(operate)["accounts"]}

    assert "excluded" == found[FIRST][0]["state"]


def test_other_days(deployed: Deployed, operate: Operate) -> None:
    """Earlier runs that changed nothing last are not shown; accounts are, whenever compared."""
    earlier = {"sk": "2001", "sync_id": "run-0", "started_at": "2001-01-01T00:00:00+00:00"}
    deployed.put(STATE_TABLE, run_item() | earlier)

    found = document(operate, "--days", "7")

    assert 7 == len(found["drift"])
    assert [RUN] == [run["name"] for run in found["runs"]]
    assert 5 == len(found["accounts"])


@pytest.mark.parametrize("days", ["0", "401", "many"])
def test_wrong_days(operate: Operate, days: str) -> None:
    told = operate("report", "--environment", "dev", "--days", days)

    assert 2 == told.code
    assert f"invalid number '{days}': expected 1 to 400 days" in told.err


def test_forgotten_execution(deployed: Deployed, operate: Operate) -> None:
    """Step Functions has forgotten the execution: its run is shown without a Map Run."""
    gone = refusal("ExecutionDoesNotExist")
    deployed.aws.answers["stepfunctions.ListMapRuns"] = gone
    (run,) = document(operate)["runs"]
    assert run["map_run_url"] is None
    assert run["execution_url"].endswith(f":{RUN}")

    deployed.aws.answers["stepfunctions.ListMapRuns"] = refusal("AccessDenied")
    told = operate("report", "--environment", "dev")
    assert (1, "") == (told.code, told.out)


@pytest.mark.parametrize(
    "item",
    [
        None,
        {"contact_types": None},
        {"contact_types": 5},
        {"contact_types": ["security"], "excluded_accounts": None},
        {"contact_types": ["security"], "excluded_organizational_units": "ou-exam-workloads"},
    ],
    ids=str,
)
def test_no_valid_configuration(deployed: Deployed, operate: Operate, item: Any) -> None:
    """Without a valid configuration nothing is synchronized, and the command says so."""
    deployed.configure(item)

    told = operate("report", "--environment", "dev")

    assert 0 == told.code
    assert "warning: there is no valid configuration, so every run fails" in told.err


def test_cannot_write(operate: Operate, tmp_path: Path) -> None:
    """A file that cannot be written is named; nothing is left of it."""
    told = operate("report", "--environment", "dev", "--html", "nowhere/a.html")

    assert (1, "") == (told.code, told.out)
    assert "error: cannot write nowhere/a.html: No such file or directory" == told.error
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("file", ["pipe", "."])
def test_never_replaces_what_is_no_file(operate: Operate, tmp_path: Path, file: str) -> None:
    """Such as /dev/null, which root could replace."""
    os.mkfifo(tmp_path / "pipe")

    told = operate("report", "--environment", "dev", "--csv", file)

    assert (1, f"error: cannot write {file}: it is no regular file") == (told.code, told.error)
    assert (tmp_path / "pipe").is_fifo()


def test_follows_links(operate: Operate, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("report.csv")

    assert 0 == operate("report", "--environment", "dev", "--csv", "link.csv").code
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "report.csv").is_file()
