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
from support.cli import REPOSITORY, Cli
from support.machine import Machine

MANAGEMENT = "999999999999"
MEMBER = "100000000001"


def environment_of(cli: Cli, **more: str) -> dict[str, str]:
    organization = cli.machine.standin.organization_url
    return {
        **cli.environment,
        "AWS_ENDPOINT_URL_ACCOUNT": organization,
        "AWS_ENDPOINT_URL_ORGANIZATIONS": organization,
        "PYTHON": sys.executable,
        **more,
    }


def smoke(environment: dict[str, str], *options: str) -> str:
    """Run tests/live; return what pytest says of each test."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-vrs", *options]
    told = subprocess.run(
        [*command, "tests/live"],
        cwd=REPOSITORY,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    return told.stdout + told.stderr


def results(told: str) -> dict[str, str]:
    return dict(re.findall(r"::test_(\w+) ([A-Z]+)", told))


@pytest.fixture(name="trail")
def _trail(machine: Machine) -> Iterator[Machine]:
    """An account in which a put contact is an event, as CloudTrail makes it."""
    machine.reset(drifted_world(3))
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
    environment = environment_of(
        Cli(trail, tmp_path),
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
        "map",
        "member",
        "schedule",
        "stopped_execution",
        "validate",
    } == passed, told
    assert {"alarm", "permissions"} == results(told).keys() - passed
    source = trail.organization.contacts(MANAGEMENT)["SECURITY"]
    assert source == trail.organization.contacts(MEMBER)["SECURITY"]
    events = trail.standin.client("events")
    (target,) = events.list_targets_by_rule(Rule=f"{trail.stack.name}-recovery")["Targets"]
    assert "live" != target["Id"]
    queue = trail.stack.outputs["DeadLetterQueueUrl"]
    assert [] == trail.standin.queued_messages(queue)


def test_without_an_account(tmp_path: Path, cli: Cli) -> None:
    """Nothing runs, and the reason tells how to run it."""
    environment = {**cli.environment, "HOME": str(tmp_path)}

    told = smoke(environment)

    assert {"SKIPPED"} == set(results(told).values())
    assert "no AWS account: sign in to the management account, and set LIVE_ENVIRONMENT" in told
