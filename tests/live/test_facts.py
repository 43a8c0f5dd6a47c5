"""Undocumented facts of AWS on which the product relies: each test checks and reports one.

A fact that differs fails its test. Each test says what it writes, and reverts what it changes.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from live.environment import ON_AWS, Environment, Json, wait_for

Saw = Callable[[str], None]

STOPS = 10
# For this long, a processor attributes denials to the account being new.
NEW_ACCOUNT_MINUTES = 30
CONSOLE_NAMES = (
    "SetAdditionalContacts",
    "SetContactAddress",
    "PutAlternateContact",
    "PutContactInformation",
)
DETAIL_TYPES = {"AwsServiceEvent": "AWS Service Event via CloudTrail"}
# The part of the recovery rule's pattern that excludes recoveries.
RECOVERED = {"anything-but": {"wildcard": '*"execution_arn":*'}}
WRITTEN = "+1 (206) 555-0100"


def test_handlers(live: Environment, saw: Saw) -> None:
    """CloudFormation was not refused any call of its handlers. Writes nothing.

    Most useful if a role with only the deployer's policy created the stack.
    """
    pages = live.client("cloudformation").get_paginator("describe_stack_events")
    events = [
        event
        for page in pages.paginate(StackName=live.described["StackId"])
        for event in page["StackEvents"]
    ]
    reasons = " ".join(event.get("ResourceStatusReason", "") for event in events)
    refused = sorted(set(re.findall(r"not authorized to perform:? ([\w:*-]+)", reasons)))
    with_role = "its own role" if live.described.get("RoleARN") else "its caller's permissions"
    saw(f"{len(events)} events, with {with_role}; refused: {', '.join(refused) or 'nothing'}")

    assert [] == refused


def test_trail(live: Environment, saw: Saw) -> None:
    """The stack's own trail was created, and delivers into its bucket. Writes nothing."""
    if live.parameters["CreateTrail"] != "true":
        pytest.skip("the stack has no own trail (CreateTrail)")
    status = live.client("cloudtrail").get_trail_status(Name=f"{live.stack}-trail")
    saw(f"error of the latest delivery: {status.get('LatestDeliveryError') or 'none'}")

    assert status["IsLogging"]
    assert not status.get("LatestDeliveryError")


@ON_AWS
def test_event_of_a_member(live: Environment, saw: Saw) -> None:
    """CloudTrail writes a member's ID in a form that the rules recognize. Writes nothing."""
    events = [event for event in named(live, "PutAlternateContact") if account_key(event)]
    if not events:
        pytest.skip("no call on a member in CloudTrail: run test_member, and this 15 minutes later")
    key = account_key(events[0])
    given = events[0]["requestParameters"]
    form = "plain" if re.fullmatch(r"\d{12}", str(given[key])) else "masked"
    values = "plain" if "@" in str(given.get("emailAddress", "")) else "masked or left out"
    saw(f"members of requestParameters: {', '.join(sorted(given))}; id {form}, values {values}")

    assert key in ("accountId", "AccountId")


def account_key(event: Json) -> str:
    given = event.get("requestParameters") or {}
    return next((key for key in given if key.lower() == "accountid"), "")


@ON_AWS
def test_console_edit(live: Environment, saw: Saw) -> None:
    """A rule matches CloudTrail's event of an edit in the console. Writes nothing."""
    events = [
        event
        for name in CONSOLE_NAMES
        for event in named(live, name)
        if event.get("sessionCredentialFromConsole") == "true"
        or event.get("eventType") == "AwsConsoleAction"
    ]
    own = [event for event in events if not account_key(event) and not event.get("errorCode")]
    if not own:
        pytest.skip(
            "no edit in CloudTrail: change a contact of the management account in the console, "
            "and run this 15 minutes later"
        )
    forms = {f"{one['eventName']} of {one['eventSource']}, {one['eventType']}" for one in own}
    saw("; ".join(sorted(forms)))

    assert [] == [one["eventName"] for one in own if not is_matched(live, one)]


@ON_AWS
def test_joined_account(live: Environment, saw: Saw) -> None:
    """A rule matches CloudTrail's event of an account that joined. Writes nothing."""
    events = named(live, "AccountJoinedOrganization")
    if not events:
        pytest.skip("no account joined in the last 90 days: run this after an invitation")
    details = events[0].get("serviceEventDetails") or {}
    saw(f"{events[0]['eventType']}; members of serviceEventDetails: {', '.join(sorted(details))}")

    assert is_matched(live, events[0])


def named(live: Environment, name: str) -> list[Json]:
    """Return the latest events with this name, newest first."""
    attribute = {"AttributeKey": "EventName", "AttributeValue": name}
    client = live.client("cloudtrail", live.home_of_events)
    found = client.lookup_events(LookupAttributes=[attribute], MaxResults=50)["Events"]
    return [json.loads(each["CloudTrailEvent"]) for each in found]


def is_matched(live: Environment, event: Json) -> bool:
    """Tell whether a rule of the stack matches an event of CloudTrail."""
    client = live.client("events")
    pages = client.get_paginator("list_rules").paginate(NamePrefix=f"{live.stack}-")
    patterns = [one["EventPattern"] for page in pages for one in page["Rules"]]
    sent = enveloped(
        event,
        DETAIL_TYPES.get(event["eventType"], "AWS API Call via CloudTrail"),
        f"aws.{event['eventSource'].partition('.')[0]}",
        live.account,
    )
    return any(
        client.test_event_pattern(EventPattern=one, Event=sent)["Result"] for one in patterns
    )


def enveloped(detail: Json, detail_type: str, source: str, account: str) -> str:
    return json.dumps(
        {
            "id": "1",
            "account": account,
            "source": source,
            "time": "2026-01-01T00:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail-type": detail_type,
            "detail": detail,
        }
    )


@pytest.mark.parametrize(
    ("pattern", "detail", "expected"),
    [
        ({"parameters": {"id": [{"exists": False}]}}, {"parameters": None}, "True"),
        ({"parameters": {"id": [{"exists": False}]}}, {}, "True"),
        ({"input": [RECOVERED]}, {"input": "{}"}, "True"),
        ({"input": [RECOVERED]}, {"input": '{"trigger": {"execution_arn":"x"}}'}, "False"),
    ],
    ids=["absent_under_null", "absent", "no_wildcard", "wildcard"],
)
def test_pattern(live: Environment, pattern: Json, detail: Json, expected: str, saw: Saw) -> None:
    """EventBridge evaluates patterns as the rules expect. Writes nothing."""
    event = enveloped(detail, "Test", "test", live.account)
    client = live.client("events")
    found = client.test_event_pattern(EventPattern=json.dumps({"detail": pattern}), Event=event)
    saw(f"{json.dumps(pattern)} to {json.dumps(detail)}: {found['Result']}")

    assert expected == str(found["Result"])


def test_stop_within_the_map(live: Environment, saw: Saw) -> None:
    """A stopped run stops its children, whose ends match no rule.

    Writes: a dry run that it stops, with a message to subscribers, and for a minute a queue with a
    rule.
    """
    client = live.client("stepfunctions")
    with caught_events(live) as caught:
        execution = live.start({"dry_run": True})
        maps = wait_for(
            "the Map", lambda: client.list_map_runs(executionArn=execution)["mapRuns"] or None, 5
        )
        stopped = live.stop(execution)
        ended = wait_for("the Map's end", lambda: map_that_ended(client, maps[0]["mapRunArn"]), 5)
        wait_for("the run's event", lambda: execution in caught() or None, 5)
        time.sleep(30)  # events of children may come after the parent's
        children = {arn: of for arn, of in caught().items() if "/" in arn}
    saw(
        f"Map {ended['status']}, {ended['executionCounts']['aborted']} children aborted; "
        f"ended in DescribeExecution after {stopped:.1f} s; events of children: {len(children)}"
    )

    assert "ABORTED" == ended["status"]
    # The rules match events of the machine itself.
    assert live.machine not in children.values()


def map_that_ended(client: Any, arn: str) -> Json | None:
    found: Json = client.describe_map_run(mapRunArn=arn)
    return None if found["status"] == "RUNNING" else found


@contextmanager
def caught_events(live: Environment) -> Iterator[Callable[[], dict[str, str]]]:
    """Send each status event of Step Functions to a queue.

    Yields a function that returns the executions so far, with their state machines.
    """
    queues, events, name = live.client("sqs"), live.client("events"), f"{live.stack}-live"
    pattern = {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"]}
    rule = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    url = queues.create_queue(QueueName=name)["QueueUrl"]
    found: dict[str, str] = {}

    def caught() -> dict[str, str]:
        answer = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        for message in answer.get("Messages", []):
            detail = json.loads(message["Body"])["detail"]
            found[detail["executionArn"]] = detail["stateMachineArn"]
            queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    try:
        asked = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = asked["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        events.put_targets(Rule=name, Targets=[{"Id": "live", "Arn": arn}])
        yield caught
    finally:
        events.remove_targets(Rule=name, Ids=["live"])
        events.delete_rule(Name=name)
        queues.delete_queue(QueueUrl=url)


def test_lag(live: Environment, saw: Saw) -> None:
    """DescribeExecution soon reports an end. Writes: ten dry runs that it stops."""
    if live.parameters["Triggers"] == "ENABLED":
        pytest.skip(f"subscribers would get {STOPS} messages: run this after deploy.sh --paused")
    seconds = [live.stop(live.start({"dry_run": True})) for _ in range(STOPS)]
    saw(f"{STOPS} stops known after {min(seconds):.1f} to {max(seconds):.1f} s")

    # Until then, a recovery relies on its event.
    assert max(seconds) < 60


def test_phone_number(live: Environment, saw: Saw) -> None:
    """The Account API stores a phone number unchanged; otherwise each run would write it again.

    Writes: briefly, the phone number of one alternate contact of LIVE_ACCOUNT.
    """
    client, put, contact = live.contact_of(os.environ.get("LIVE_ACCOUNT", ""))
    client.put_alternate_contact(**put, **{**contact, "PhoneNumber": WRITTEN})
    try:
        found = client.get_alternate_contact(**put)["AlternateContact"]["PhoneNumber"]
    finally:
        client.put_alternate_contact(**put, **contact)
    saw("kept" if found == WRITTEN else "changed in spaces, hyphens or brackets")

    assert WRITTEN == found


def test_new_account(live: Environment, saw: Saw) -> None:
    """A new account's contacts can be read within half an hour. Writes nothing."""
    account = os.environ.get("LIVE_NEW_ACCOUNT", "")
    if not account:
        pytest.skip("set LIVE_NEW_ACCOUNT to an account created within the last minute")
    client, began = live.client("account"), time.monotonic()
    denied: list[str] = []

    def look() -> bool | None:
        try:
            client.get_contact_information(AccountId=account)
        except client.exceptions.ClientError as error:
            denied.append(error.response["Error"]["Code"])
            return None
        return True

    wait_for("the new account's contacts", look, NEW_ACCOUNT_MINUTES)
    names = ", ".join(sorted(set(denied))) or "no error"
    saw(f"readable after {time.monotonic() - began:.0f} s; before that {names}")
