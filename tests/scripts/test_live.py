"""The live smoke test, as far as the stand-in goes: its own logic, before it meets an account."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from standin.organization.worlds import drifted_world
from support.cli import REPOSITORY, environment_at, environment_for
from support.machine import Machine
from support.machine import machine as started
from support.smoke_table import table

MANAGEMENT = "999999999999"
MEMBER = "100000000001"
# What needs CloudTrail, another deployment, or an account that was just created.
FACTS = ("console_edit", "event_of_a_member", "joined_account", "lag", "new_account", "trail")


def smoke(environment: dict[str, str]) -> str:
    """Run tests/live; return what pytest says of each test."""
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-vrs", "tests/live"],
        cwd=REPOSITORY,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    return told.stdout + told.stderr


def results(told: str) -> dict[str, str]:
    """Return what became of each test of what the product does; of facts, of all their samples."""
    return dict(re.findall(r"::test_(\w+)(?:\[\w+\])? ([A-Z]+)", told))


def of_table(told: str) -> list[list[str]]:
    """Return the rows of the table that is printed at the end."""
    lines = told.partition("| Check | Result | Seen |\n")[2].splitlines()
    return [[cell.strip() for cell in one.split("|")[1:-1]] for one in lines if one[:2] == "| "]


@pytest.fixture(name="machine")
def _machine() -> Iterator[Machine]:
    with started(triggers="ENABLED") as running:
        yield running


@pytest.fixture(name="trail")
def _trail(machine: Machine) -> Iterator[Machine]:
    """An account in which a put contact is an event, as CloudTrail makes it."""
    machine.reset(drifted_world(3))
    # A run takes long enough to be stopped within its Map.
    slow = {"operation": "GetContactInformation", "error": "slow", "delay": 2}
    machine.organization.add_fault({**slow, "account_id": MEMBER})
    client = machine.standin.client("cloudtrail")
    client.create_trail(Name="organization", S3BucketName="b", IsMultiRegionTrail=True)
    client.start_logging(Name="organization")
    machine.run()
    machine.organization.clear_calls()
    ended: list[None] = []

    def watch() -> None:
        # Of the management account on itself; the first one is enough.
        while not ended and not any(
            call["operation"] == "PutAlternateContact" and call["account_id"] == MANAGEMENT
            for call in machine.organization.calls()
        ):
            time.sleep(0.1)
        if not ended:
            machine.standin.put_event(sample_event())

    thread = Thread(target=watch)
    thread.start()
    yield machine
    ended.append(None)
    thread.join()
    client.delete_trail(Name="organization")


def sample_event() -> Any:
    return json.loads((REPOSITORY / "tests/events/put-alternate-contact-root.json").read_text())


def test_against_the_stand_in(trail: Machine, tmp_path: Path) -> None:
    """Whatever does not need AWS itself passes; the rest says why it is skipped."""
    environment = environment_at(
        trail.standin,
        tmp_path,
        LIVE_ENVIRONMENT="dev",
        LIVE_ACCOUNT=MEMBER,
        LIVE_POLL_SECONDS="0.2",
        LIVE_SCHEDULE_SECONDS="3",
    )

    told = smoke(environment)

    passed = {name for name, result in results(told).items() if result == "PASSED"}
    assert {
        "accounts",
        "contact_event",
        "handlers",
        "map",
        "member",
        "pattern",
        "phone_number",
        "schedule",
        "stop_within_the_map",
        "stopped_execution",
        "validate",
    } == passed, told
    skipped = {"alarm", "permissions", *FACTS}
    assert skipped == results(told).keys() - passed
    assert passed | skipped == {
        row[0].partition("[")[0].replace(" ", "_") for row in of_table(told)
    }
    shown = {check: seen for check, _, seen in of_table(told)}
    assert "3 of 3 children succeeded" == shown["map"]
    assert "enforces no policy" in shown["alarm"]
    assert not re.search(r"\d{12}|@", str(shown))
    source = trail.organization.contacts(MANAGEMENT)["SECURITY"]
    assert source == trail.organization.contacts(MEMBER)["SECURITY"]
    events = trail.standin.client("events")
    (target,) = events.list_targets_by_rule(Rule=f"{trail.stack.name}-recovery")["Targets"]
    assert "live" != target["Id"]
    queue = trail.stack.outputs["DeadLetterQueueUrl"]
    assert [] == trail.standin.queued_messages(queue)


def test_without_an_account(tmp_path: Path) -> None:
    """Nothing runs, and the reason tells how to run it."""
    told = smoke(environment_for(tmp_path))

    assert {"SKIPPED"} == set(results(told).values())
    assert "no AWS account: sign in to the management account, and set LIVE_ENVIRONMENT" in told


def test_the_table_tells_nobody() -> None:
    """Neither ids nor contact values reach it, of a failure not even its message."""
    saw = f"{MEMBER} of o-exampleorg1, team@example.com, +1 (206) 555-0100"
    reports = [
        pytest.TestReport(
            f"live/test_it.py::test_{outcome}",
            ("", None, ""),
            {},
            outcome,
            longrepr=saw if outcome == "failed" else None,
            when="call",
            user_properties=[("saw", saw)] if outcome == "passed" else [],
        )
        for outcome in ("passed", "failed")
    ]

    seen = "<account> of <organization>, <address> <number>"
    assert ["| passed | passed | " + seen + " |", "| failed | failed |  |"] == table(reports)[2:]
