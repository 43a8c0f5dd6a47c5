"""Checks that need AWS itself, in a deployed environment; see tests/README.md.

Each test says what it writes, and reverts what it changes, even if it fails.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from live.environment import ALTERNATES, ON_AWS, Environment, Json, values_of, wait_for

Saw = Callable[[str], None]

REPOSITORY = Path(__file__).parents[2]
# The scheduler runs once a minute.
SCHEDULE_SECONDS = float(os.environ.get("LIVE_SCHEDULE_SECONDS", "90"))
# CloudTrail delivers most events within 5 minutes, without a guarantee.
TRAIL_MINUTES = 20


def test_validate(live: Environment) -> None:
    """Every check passes. Writes: briefly, a rule; and a test message."""
    command = ["bash", REPOSITORY / "scripts/validate.sh", "--environment", live.name, "--deep"]

    result = subprocess.run(command, check=False, capture_output=True, text=True)

    assert 0 == result.returncode, result.stdout + result.stderr


def test_accounts(live: Environment, saw: Saw) -> None:
    """Organizations returns each account's State and Paths. Writes nothing."""
    pages = live.client("organizations").get_paginator("list_accounts").paginate()
    accounts = [account for page in pages for account in page["Accounts"]]
    saw(f"{len(accounts)} accounts")

    assert [] == [account["Id"] for account in accounts if "State" not in account]
    assert [] == [account["Id"] for account in accounts if not account.get("Paths")]


def test_map(live: Environment, saw: Saw) -> None:
    """The Map succeeds without a ResultWriter. Writes: the items of a dry run."""
    execution = live.start({"dry_run": True})

    ended = live.ended(execution)

    assert "SUCCEEDED" == ended["status"], ended.get("cause")
    client = live.client("stepfunctions")
    (run,) = client.list_map_runs(executionArn=execution)["mapRuns"]
    counts = client.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
    saw(f"{counts['succeeded']} of {counts['total']} children succeeded")
    assert counts["total"] == counts["succeeded"] > 0


@ON_AWS
def test_permissions(live: Environment) -> None:
    """Only the two processors may write contacts, and no role those of the management account.

    Writes nothing: IAM simulates the calls.
    """
    partition = live.machine.split(":")[1]
    own = f"arn:{partition}:account::{live.account}:account"
    member = f"{own}/{live.parameters['OrganizationId']}/{a_member(live)}"
    writers = {
        "account:PutAlternateContact": "alternate-contact-processor",
        "account:DeleteAlternateContact": "alternate-contact-processor",
        "account:PutContactInformation": "primary-contact-processor",
    }
    for name, role in roles(live):
        for action, writer in writers.items():
            assert not allowed(live, role, action, own), f"{name}: {action} on {own}"
            assert allowed(live, role, action, member) == name.endswith(writer), f"{name}: {action}"


def a_member(live: Environment) -> str:
    pages = live.client("organizations").get_paginator("list_accounts").paginate()
    ids = [each["Id"] for page in pages for each in page["Accounts"] if each["Id"] != live.account]
    assert ids, "the organization has no member"
    return str(ids[0])


def roles(live: Environment) -> Iterator[tuple[str, str]]:
    functions = live.client("lambda")
    pages = live.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=live.stack):
        for each in page["StackResourceSummaries"]:
            if each["ResourceType"] == "AWS::Lambda::Function":
                name = each["PhysicalResourceId"]
                yield name, functions.get_function_configuration(FunctionName=name)["Role"]


def allowed(live: Environment, role: str, action: str, resource: str) -> bool:
    answer = live.client("iam").simulate_principal_policy(
        PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource]
    )
    return bool(answer["EvaluationResults"][0]["EvalDecision"] == "allowed")


@ON_AWS
def test_alarm(live: Environment, saw: Saw) -> None:
    """An alarm may publish to the encrypted topic. Writes: an alarm's state, messages."""
    client = live.client("cloudwatch")
    name = f"{live.stack}-dlq-messages"
    reason = {"AlarmName": name, "StateReason": "tests/live"}
    began = datetime.now(UTC)
    client.set_alarm_state(**reason, StateValue="ALARM")
    try:

        def look() -> str | None:
            found = client.describe_alarm_history(
                AlarmName=name, HistoryItemType="Action", StartDate=began
            )["AlarmHistoryItems"]
            return found[0]["HistorySummary"] if found else None

        summary = wait_for(f"the action of {name}", look, 5)
    finally:
        client.set_alarm_state(**reason, StateValue="OK")

    saw(summary.partition(" arn:")[0])
    assert summary.startswith("Successfully executed action")


def test_schedule(live: Environment) -> None:
    """The scheduler may start the machine. Writes: a schedule for a minute, a dry run."""
    client = live.client("scheduler")
    try:
        found = client.list_schedules(GroupName=live.stack)["Schedules"]
    except client.exceptions.ResourceNotFoundException:
        found = []
    own = [each["Name"] for each in found if each["Name"] == f"{live.stack}-schedule"]
    if not own:
        pytest.skip("ScheduleExpression is empty")
    target = client.get_schedule(GroupName=live.stack, Name=own[0])["Target"]
    due = datetime.now(UTC) + timedelta(seconds=SCHEDULE_SECONDS)
    event_id = f"live-{due:%Y%m%d%H%M%S}"
    trigger = (
        f'{{"source": "test", "event_id": "{event_id}", "event_name": "Test", '
        f'"event_time": "{due:%Y-%m-%dT%H:%M:%SZ}"}}'
    )
    schedule = {"GroupName": live.stack, "Name": f"{live.stack}-{event_id}"}
    client.create_schedule(
        **schedule,
        ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={**target, "Input": f'{{"dry_run": true, "trigger": {trigger}}}'},
    )
    try:
        execution = live.started_by("a schedule", lambda one: one.get("event_id") == event_id, 5)
    finally:
        client.delete_schedule(**schedule)

    assert "SUCCEEDED" == live.ended(execution)["status"]


def test_stopped_execution(triggers: Environment) -> None:
    """A recovery follows a stopped run, and an undelivered event becomes a dead letter.

    Writes: briefly, a target of a rule; two executions; a message that a run was stopped; and a
    dead letter, which it deletes. The alarm for dead letters may be raised.
    """
    client = triggers.client("events")
    rule = f"{triggers.stack}-recovery"
    (target,) = client.list_targets_by_rule(Rule=rule)["Targets"]
    # This machine does not exist, and the role may not start it.
    nobody = f"{triggers.machine}-nobody"
    broken = {key: target[key] for key in ("RoleArn", "DeadLetterConfig")}
    put = {"Rule": rule, "Targets": [{**broken, "Id": "live", "Arn": nobody, "Input": "{}"}]}
    assert 0 == client.put_targets(**put)["FailedEntryCount"]
    try:
        stopped = triggers.start({"dry_run": True})
        triggers.client("stepfunctions").stop_execution(executionArn=stopped, cause="tests/live")
        recovery = triggers.started_by(
            "recovery", lambda one: one.get("execution_arn") == stopped, 10
        )
        letter = wait_for("a dead letter", lambda: dead_letter(triggers, nobody), 10)
    finally:
        client.remove_targets(Rule=rule, Ids=["live"])

    assert "SUCCEEDED" == triggers.ended(recovery)["status"]
    assert letter["RULE_ARN"]["StringValue"].endswith(f"/{rule}")


def dead_letter(live: Environment, target: str) -> Json | None:
    """Delete the message of a target from the queue; return its attributes; keep other messages."""
    client, queue = live.client("sqs"), live.outputs["DeadLetterQueueUrl"]
    found: Json | None = None
    answer = client.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=1
    )
    for message in answer.get("Messages", []):
        attributes = message.get("MessageAttributes", {})
        one = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
        if attributes.get("TARGET_ARN", {}).get("StringValue") == target:
            client.delete_message(**one)
            found = attributes
        else:
            client.change_message_visibility(**one, VisibilityTimeout=0)
    return found


def test_contact_event(triggers: Environment, saw: Saw) -> None:
    """A Put of a contact in the management account starts a run, through CloudTrail and a rule.

    Writes: one of the management account's own contacts, with its current values. The run writes
    what any run would, in accounts where this contact differs.
    """
    client = triggers.client("account")
    kind, contact = own_contact(client)
    known = {arn for arn, _ in triggers.executions()}
    client.put_alternate_contact(AlternateContactType=kind, **contact)
    began = time.monotonic()

    def look() -> str | None:
        found = (
            arn
            for arn, one in triggers.executions()
            if arn not in known and one.get("trigger", {}).get("source") == "contact_changed"
        )
        return next(found, None)

    execution = wait_for("the run of a changed contact", look, TRAIL_MINUTES)
    saw(f"a run began {time.monotonic() - began:.0f} s after the change")
    assert "SUCCEEDED" == triggers.ended(execution)["status"]


def own_contact(client: Any) -> tuple[str, Json]:
    """Return one alternate contact of the management account: its type and its fields."""
    for kind in ALTERNATES:
        try:
            found = client.get_alternate_contact(AlternateContactType=kind)["AlternateContact"]
        except client.exceptions.ResourceNotFoundException:
            continue
        return kind, values_of(found)
    pytest.skip("the management account has no alternate contact")


def test_member(live: Environment) -> None:
    """A run corrects a contact that was changed in a member.

    Writes: one alternate contact of the account LIVE_ACCOUNT: first another name, then the source's
    values, which any run would write.
    """
    member = os.environ.get("LIVE_ACCOUNT", "")
    if not member:
        pytest.skip("set LIVE_ACCOUNT to a member whose alternate contacts may be changed")
    client = live.client("account")
    kind, source = own_contact(client)
    put = {"AccountId": member, "AlternateContactType": kind}
    client.put_alternate_contact(**put, **{**source, "Name": "Live Test"})
    try:
        run = live.start({"account_ids": [member], "contact_types": [kind.lower()]})
        ended = live.ended(run)
        found = client.get_alternate_contact(**put)["AlternateContact"]
    finally:
        client.put_alternate_contact(**put, **source)

    assert "SUCCEEDED" == ended["status"], ended.get("cause")
    assert "queued_behind" not in ended["output"], "another run was running: try again"
    assert source == values_of(found)
