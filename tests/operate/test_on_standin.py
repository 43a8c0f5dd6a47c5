"""Commands through their scripts, on the deployed machine: what no single answer of AWS shows."""

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.organization.worlds import drifted_world
from support.cli import REPOSITORY, Result, environment_at
from support.cli import run as run_script
from support.machine import Machine, machine

FAILING, EXCLUDED = "100000000003", "100000000006"


@pytest.fixture(autouse=True, name="slept")
def _slept() -> None:
    """Time passes here: the tests wait for other programs."""


@pytest.fixture(scope="module", name="whole_machine")
def _whole_machine() -> Iterator[Machine]:
    with machine(triggers="ENABLED") as running:
        yield running


@pytest.fixture(name="organization")
def _organization(whole_machine: Machine) -> Iterator[Machine]:
    """Six drifted members, one of them excluded."""
    whole_machine.reset(drifted_world(6), excluded_accounts=[EXCLUDED])
    yield whole_machine
    whole_machine.organization.clear_faults()
    whole_machine.stack.wait_for_executions(0)


def environment_of(organization: Machine) -> dict[str, str]:
    return environment_at(organization.standin, Path(tempfile.gettempdir()))


def run(organization: Machine, name: str, *options: str) -> Result:
    """Run a command's script against the stand-in's dev environment."""
    given = ("--environment", "dev", *options)
    return run_script(f"{name}.sh", *given, environment=environment_of(organization))


def test_dry_run_names_what_a_run_changes(organization: Machine) -> None:
    """Every account that the dry run names is written by the run after it, and no other."""
    before = run(organization, "resync", "--dry-run", "--fail-on-drift")
    after = run(organization, "resync", "--follow")
    clean = run(organization, "resync", "--dry-run", "--fail-on-drift")

    assert (5, 0, 0) == (before.returncode, after.returncode, clean.returncode), after.stderr
    named = {line.split()[0] for line in before.stdout.splitlines() if line.startswith("1000")}
    assert {call["account_id"] for call in organization.writes()} == named
    assert 5 == len(named)
    assert "would change: nothing" in clean.stdout


def test_queued_request_is_followed(organization: Machine) -> None:
    """A request that queued is followed in the run that does it, which the holder starts."""
    slow = {"operation": "GetContactInformation", "error": "slow", "delay": 3, "times": 6}
    organization.organization.add_fault(slow)
    holder = organization.stack.start({"reason": "holds the lock"})
    while "SyncAccounts" not in holder.states():
        time.sleep(0.05)

    told = run(organization, "resync", "--follow", "--type", "billing")

    assert 0 == told.returncode, told.stderr
    name, _, done_by, _, end = told.stdout.splitlines()
    assert 3 == len({name, holder.name, done_by})
    assert f"Queued behind {holder.name}. Waiting for the run that " in told.stderr
    assert f"{done_by} SUCCEEDED: [dev] contact sync success: 5 unchanged" == end


def test_report(organization: Machine) -> None:
    """What a run recorded is what the report says of each account, and nothing but that passes."""
    fault = {"operation": "*", "error": "AccessDeniedException", "account_id": FAILING}
    organization.organization.add_fault(fault)
    execution = organization.run()

    told = run(organization, "report", "--json")

    assert 0 == told.returncode, told.stderr
    found = json.loads(told.stdout)
    contacts = {one["id"]: one["contacts"] for one in found["accounts"]}
    states = {account: {one["state"] for one in some} for account, some in contacts.items()}
    members = {str(100_000_000_001 + number): {"in sync"} for number in range(6)}
    special = {EXCLUDED: {"excluded"}, FAILING: {"failed"}, "999999999999": {"source"}}
    assert members | special == states
    by = {
        one["changed_by"]
        for account in contacts.values()
        for one in account
        if one["state"] == "in sync"
    }
    assert {execution.name} == by
    assert [{"pass": 5, "fail": 0, "unknown": 2}] * 3 == [one["counts"] for one in found["checks"]]
    (shown,) = found["runs"]
    assert (execution.name, 4, 4) == (
        shown["name"],
        len(shown["changed"]),
        len(shown["failures"]),
    )
    assert "/SyncAccounts:" in shown["map_run_url"]


def test_validate(organization: Machine) -> None:
    """Of a stack as it was deployed every check passes; with --deep an event travels through a
    rule, its dry run ends well, and nothing is left behind."""
    trails = organization.standin.client("cloudtrail")
    trails.create_trail(Name="organization", S3BucketName="b", IsMultiRegionTrail=True)
    trails.start_logging(Name="organization")
    organization.run()
    organization.organization.clear_calls()
    published = len(organization.messages())

    told = run(organization, "validate", "--deep")

    assert 0 == told.returncode, told.stdout
    assert {"pass"} == {line.split()[0] for line in told.stdout.splitlines()}, told.stdout
    for expected in (
        "functions: 5 ready",
        "rules: 12 enabled",
        "trail: organization logs management events",
        "patterns: 19 AWS events match the rules as expected",
    ):
        assert f"pass  {expected}\n" in told.stdout
    execution = organization.stack.executions()[-1]
    assert f"pass  test event: a rule started {execution.name}\n" in told.stdout
    assert True is execution.input()["dry_run"]
    assert [] == organization.writes()
    subjects = [message.subject for message in organization.messages()[published:]]
    assert "[dev] Test of the contact sync's notifications" in subjects
    assert [] == own_rules(organization)


def test_validate_is_interrupted(organization: Machine) -> None:
    """Ended in the middle, it takes its rule with it."""
    # The rule starts nothing, so validate.sh waits for minutes.
    fault = {"service": "events", "operation": "StartExecution", "error": "NO_PERMISSIONS"}
    organization.standin.set_faults([{**fault, "times": None}])
    command = ["bash", REPOSITORY / "scripts/validate.sh", "--environment", "dev", "--deep"]
    with subprocess.Popen(
        command,
        env=environment_of(organization),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        while running.poll() is None and not own_rules(organization):
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
    organization.standin.clear_faults()

    assert 143 == running.returncode
    assert [] == own_rules(organization)


def test_dead_letter(organization: Machine) -> None:
    """What a rule could not deliver starts what the deployed rule says, and nothing is left."""
    sample = (REPOSITORY / "tests/events/put-alternate-contact.json").read_text()
    queue = organization.stack.outputs["DeadLetterQueueUrl"]
    sqs = organization.standin.client("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=sample)

    told = run(organization, "redrive-dlq", "--yes")

    event_id = json.loads(sample)["detail"]["eventID"]
    assert (0, "1 redriven, 0 left in the queue\n") == (told.returncode, told.stderr)
    assert f"contact_changed {event_id}, started as redrive-{event_id}\n" in told.stdout
    # A run after a change first lets the contact settle.
    execution = organization.stack.wait_for_executions(0, timeout=180)[-1]
    assert f"redrive-{event_id}" == execution.name
    assert "contact_changed" == execution.input()["trigger"]["source"]


def own_rules(organization: Machine) -> list[str]:
    events = organization.standin.client("events")
    found = events.list_rules(NamePrefix="aws-contact-sync-dev-validate")["Rules"]
    return [rule["Name"] for rule in found]
