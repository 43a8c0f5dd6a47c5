"""The checks of validate.sh --deep: whether events start runs, and how a dry run ends."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from contact_sync.errors import listed

from operate.aws import each, pages
from operate.checks import Check, Notes, Site, fail, warn
from operate.console import note
from operate.console import warn as warn_user
from operate.following import Ended, Follower, start
from operate.self_edits import attached_to

SAMPLES_FOLDER = Path(__file__).parents[2] / "tests/events"
TEST_SOURCE = "aws-contact-sync.validate"
# A new rule does not match at once, and earlier events are lost.
EVENT_ATTEMPTS = 8
POLLS_AN_EVENT = 8
POLL_SECONDS = 2
LATEST_EXECUTIONS = 20
# The time of a run besides its Account API calls, and the multiple of its estimate that warns.
SPARE_SECONDS = 60
MOST_ESTIMATES = 2

# A rule of the stack, an event of tests/events, and whether the rule must match it.
SAMPLES = """\
contact-changed put-alternate-contact True
contact-changed put-alternate-contact-member False
billing-contact-changed set-additional-contacts True
billing-contact-changed put-contact-information-console True
contact-changed put-contact-information-console False
account-created create-account-result True
account-joined account-joined-organization-invited True
unnamed-account-joined account-joined-organization-unnamed True
managed-account-created create-managed-account True
managed-account-updated update-managed-account True
account-moved move-account True
account-departed account-departed-organization-left True
account-closed close-account-result True
recovery execution-failed True
recovery execution-failed-recovery False
recovery execution-succeeded False
execution-stopped execution-aborted True
execution-stopped execution-failed-recovery True
execution-stopped execution-failed False"""
SAMPLE_ACCOUNT = "999999999999"
SAMPLE_MACHINE = (
    f"arn:aws:states:us-east-1:{SAMPLE_ACCOUNT}:stateMachine:aws-contact-sync-dev-contact-sync"
)


def sample_event(name: str, machine_arn: str, account: str) -> str:
    """Return the event as it would be for this account and state machine."""
    event = (SAMPLES_FOLDER / f"{name}.json").read_text()
    event = event.replace(f'{SAMPLE_MACHINE}"', f'{machine_arn}"')
    event = event.replace(f"{_executions(SAMPLE_MACHINE)}:", f"{_executions(machine_arn)}:")
    return event.replace(SAMPLE_ACCOUNT, account)


class DeepChecks:
    """Checks in sequence; the last two use the execution that `test_event` started."""

    def __init__(self, site: Site) -> None:
        self._events = site.aws.client("events")
        self._states = site.aws.client("stepfunctions")
        self._machine = site.stack.output("StateMachineArn")
        self._where = site.aws.options()
        self._follower = Follower(site.aws, site.stack)
        self._execution: str | None = None
        self._ended: Ended | None = None

    def all(self) -> tuple[Check, ...]:
        """Return the checks in their order."""
        return (
            self.patterns,
            self.self_edits,
            self.test_message,
            self.test_event,
            self.dry_run,
            self.time,
        )

    def patterns(self, site: Site) -> Notes:
        """Test each rule with events; PutEvents does not accept events of AWS services."""
        prefix = f"{site.stack.name}-"
        found = pages(self._events, "list_rules", "Rules", NamePrefix=prefix)
        patterns = {one["Name"].removeprefix(prefix): one.get("EventPattern") for one in found}
        samples = [line.split() for line in SAMPLES.splitlines()]
        known = [one for one in samples if one[0] in patterns]
        for rule in dict.fromkeys(rule for rule, *_ in samples if rule not in patterns):
            yield fail(f"{prefix}{rule} was deleted outside CloudFormation: {site.repair}")

        def matches(sample: list[str]) -> bool:
            rule, name, _ = sample
            event = sample_event(name, self._machine, site.manager)
            answer = self._events.test_event_pattern(EventPattern=patterns[rule], Event=event)
            return bool(answer["Result"])

        for (rule, name, wanted), told in each(matches, known):
            if str(told) != wanted:
                does = "does not match" if wanted == "True" else "matches"
                yield fail(
                    f"{prefix}{rule} {does} the event {name}, because it was changed outside "
                    f"CloudFormation: {site.repair}"
                )
        return f"{len(known)} AWS events match the rules as expected"

    def self_edits(self, site: Site) -> Notes:
        """Check whether a policy keeps members from editing their contacts, which is optional."""
        yield from ()
        if targets := attached_to(site.aws):
            return f"scripts/lib/contacts-scp.json is attached to {listed(targets)}"
        return (
            "scripts/lib/contacts-scp.json is not attached: members can edit their contacts, which "
            "the next full run reverts"
        )

    def test_message(self, site: Site) -> Notes:
        """Publish a message."""
        site.aws.client("sns").publish(
            TopicArn=site.stack.output("NotificationTopicArn"),
            Subject=f"[{site.environment}] Test of the contact sync's notifications",
            Message="scripts/validate.sh --deep sent this message to test the notifications. "
            "No action is needed.",
        )
        yield from ()
        return "published; each subscriber should receive it now"

    def test_event(self, site: Site) -> Notes:
        """Send an event through a temporary rule, which starts a dry run."""
        changed = f"{site.stack.name}-contact-changed"
        targets = self._events.list_targets_by_rule(Rule=changed)["Targets"]
        if not targets or "RoleArn" not in targets[0]:
            yield fail(f"{changed} has no target with a role: {site.repair}")
            return ""
        token = f"validate-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
        known = self._latest()
        rule = f"{site.stack.name}-{token}"
        try:
            with uninterrupted():
                self._put_rule(rule, token, targets[0]["RoleArn"])
            self._execution = self._started_by(token, known)
        finally:
            with uninterrupted():
                self._remove_rule(rule)
        if not self._execution:
            yield fail(
                f"the event started no execution: check the role of {changed}, and the dead letters"
            )
        return f"a rule started {self._execution}"

    def dry_run(self, site: Site) -> Notes:
        """Follow the dry run that the event started, or start one and follow it."""
        if not self._execution:
            request = {"dry_run": True, "reason": "scripts/validate.sh --deep"}
            self._execution = start(site.stack, request).rpartition(":")[2]
        note(f"Following the dry run {self._execution}")
        ended = self._ended = self._follower.follow(str(self._execution))
        if not ended.succeeded:
            yield fail(f"{ended.status}: {ended.error}: {ended.told}")
        return ended.told

    def time(self, _: Site) -> Notes:
        """Compare the time of the dry run with its estimate from the Account API's quotas."""
        if not (self._ended and self._ended.succeeded):
            return "not checked, because no dry run succeeded"
        item = self._follower.run_item(self._ended.name)
        took, expected = item.get("seconds"), item.get("estimated_seconds")
        accounts = sum(item.get("accounts", {}).values())
        if took is None or expected is None:
            yield warn("the run recorded no time: deploy this version")
        elif took > expected * MOST_ESTIMATES + SPARE_SECONDS:
            yield warn(
                f"the run of {accounts} accounts took {took} s, and the quotas allow {expected} s: "
                "other tools may use the quotas too; check the dashboard for throttling, or lower "
                "QuotaShare"
            )
        return f"{took} s for {accounts} accounts; the quotas allow {expected} s"

    def _put_rule(self, rule: str, token: str, role_arn: str) -> None:
        trigger = {
            "source": "test",
            "event_name": "Test",
            "event_id": token,
            "event_time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        given = {"dry_run": True, "reason": "scripts/validate.sh --deep", "trigger": trigger}
        pattern = {"source": [TEST_SOURCE], "detail": {"token": [token]}}
        self._events.put_rule(
            Name=rule, Description="Test; may be deleted.", EventPattern=json.dumps(pattern)
        )
        target = {"Id": "test", "Arn": self._machine, "RoleArn": role_arn}
        self._events.put_targets(Rule=rule, Targets=[{**target, "Input": json.dumps(given)}])

    def _started_by(self, token: str, known: set[str]) -> str | None:
        """Send the event until it starts an execution; return the execution's name."""
        entry = {
            "Source": TEST_SOURCE,
            "DetailType": "Test",
            "Detail": json.dumps({"token": token}),
        }
        for _ in range(EVENT_ATTEMPTS):
            self._events.put_events(Entries=[entry])
            for _ in range(POLLS_AN_EVENT):
                for arn in self._latest() - known:
                    told: Any = self._states.describe_execution(executionArn=arn)
                    if token in told.get("input", ""):
                        return arn.rpartition(":")[2]
                time.sleep(POLL_SECONDS)
        return None

    def _latest(self) -> set[str]:
        found = self._states.list_executions(
            stateMachineArn=self._machine, maxResults=LATEST_EXECUTIONS
        )
        return {one["executionArn"] for one in found["executions"]}

    def _remove_rule(self, rule: str) -> None:
        with suppress(ClientError, BotoCoreError):
            self._events.remove_targets(Rule=rule, Ids=["test"])
        try:
            self._events.delete_rule(Name=rule)
        except (ClientError, BotoCoreError):
            command = f"aws events delete-rule --name {rule} {self._where}"
            warn_user(f"the rule {rule} remains: {command}")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C, SIGTERM and SIGHUP: AWS may still execute an interrupted call."""
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for one in received:
            signal.raise_signal(one)


def _executions(machine_arn: str) -> str:
    return machine_arn.replace(":stateMachine:", ":execution:")
