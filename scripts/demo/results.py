"""What an execution left behind, shown: counts, message, states, traces."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from standin.standin import Execution, Stack
from standin.tables import Tables

from demo.options import Json
from demo.view import heading, say, table

STATUSES = ("updated", "deleted", "unchanged", "skipped", "failed", "contested")


def show_counts(stack: Stack, execution: Execution) -> None:
    """Show the run's contacts by type and status, and the accounts that it skipped."""
    run = Tables(stack).run_item(execution)
    if types := run.get("types"):
        heading("Contacts by type")
        counts = [("accounts", run["accounts"]), *types.items()]
        shown = [name for name in STATUSES if any(name in count for _, count in counts)]
        rows = [(name, *(count.get(status, 0) for status in shown)) for name, count in counts]
        table(["", *(f"#{name}" for name in shown)], rows)
    if skipped := run.get("skipped"):
        reasons = sorted(f"{count} {why}" for why, count in skipped.items())
        say(f"Accounts skipped: {', '.join(reasons)}")


def show_messages(stack: Stack, execution: Execution) -> None:
    """Show what subscribers received about the execution."""
    heading("Message to the topic's subscribers")
    messages = [
        message
        for message in stack.messages()
        if message.attributes.get("sync_id") == execution.name
    ]
    for message in messages:
        say(f"Subject: {message.subject}")
        say("")
        say(message.body.rstrip())
    if not messages:
        say("none")


def show_states(execution: Execution, wait_speed: float) -> None:
    """Show the states that the execution went through."""
    heading(f"States, with waits at {wait_speed:g} times AWS's speed")
    table(["#after", "#took", "state"], _state_rows(execution.history()))


def show_traces(stack: Stack, execution: Execution) -> None:
    """Show where the history and the objects of the execution lie."""
    heading("Traces")
    say(f"History:   {execution.arn}")
    for name in _objects(stack, execution):
        say(f"In S3:     {name}")


def show_end(execution: Execution, speed: float) -> None:
    """Show how the execution ended, and how long it took."""
    described = execution.describe()
    heading(f"Execution {described['status']}")
    took = (described["stopDate"] - described["startDate"]).total_seconds()
    say(f"in {took:.1f} s at {speed:g} times the quotas that AWS documents.")


def _state_rows(history: list[Json]) -> Iterator[tuple[str, str, str]]:
    """Yield when each state was entered, how long it took, and its name."""
    start: datetime = history[0]["timestamp"]
    entered: datetime = start
    name = ""
    for event in history:
        at: datetime = event["timestamp"]
        if "stateEnteredEventDetails" in event:
            name, entered = event["stateEnteredEventDetails"]["name"], at
        is_end = event["type"].endswith("StateExited") or event is history[-1]
        if name and is_end:
            yield _span(entered - start), _span(at - entered), name
            name = ""


def _span(duration: timedelta) -> str:
    return f"{duration.total_seconds():.2f} s"


def _objects(stack: Stack, execution: Execution) -> list[str]:
    """Return what is left in the runs bucket: the run's manifest."""
    bucket = stack.outputs["RunsBucketName"]
    found = stack.standin.client("s3").list_objects_v2(
        Bucket=bucket, Prefix=f"runs/{execution.name}/"
    )
    return [f"s3://{bucket}/{entry['Key']}" for entry in found.get("Contents", [])]
