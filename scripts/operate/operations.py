"""CloudFormation operations: shows their events until they end, and returns how they ended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operate.aws import Aws
from operate.console import OperateError, note
from operate.stacks import Stack, find_stack

POLL_SECONDS = 2
DEPLOYED = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


@contextmanager
def going_on() -> Iterator[None]:
    """If the command ends early, tell the user that it is to be repeated."""
    try:
        yield
    except (KeyboardInterrupt, BotoCoreError, ClientError):
        note("CloudFormation continues what it has begun; run this command again to finish.")
        raise


def wait_until_idle(aws: Aws, name: str, region: str | None = None) -> Stack | None:
    """Wait while the stack is changing; return it, None if there is none."""
    waiting = False
    while (stack := find_stack(aws, name, region)) and stack.is_changing:
        if not waiting:
            note(f"{name} is {stack.status}: waiting until this ends")
        waiting = True
        time.sleep(POLL_SECONDS)
    return stack


class Operation:
    """The events of a stack from now on; create this before the operation begins."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._seen = next((str(event["EventId"]) for event in stack.events()), "")

    def follow(self) -> str:
        """Show the events until the operation ends; return the stack's status."""
        with going_on():
            while True:
                for event in self._new_events():
                    _show(event)
                    status = str(event["ResourceStatus"])
                    of_stack = event.get("PhysicalResourceId") == self._stack.id
                    if of_stack and not status.endswith("_IN_PROGRESS"):
                        return status
                time.sleep(POLL_SECONDS)

    def _new_events(self) -> list[dict[str, Any]]:
        """Return the events since the last call, oldest first."""
        events = self._stack.events()
        found = list(takewhile(lambda event: event["EventId"] != self._seen, events))
        if found:
            self._seen = str(found[0]["EventId"])
        return found[::-1]


def _show(event: dict[str, Any]) -> None:
    status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
    if status.endswith("_FAILED") and "cancelled" not in reason:
        note(f"  {status} {event['LogicalResourceId']}: {reason}")
    elif status.endswith("_COMPLETE"):
        note(f"  {status} {event['LogicalResourceId']}")


def delete_stack(stack: Stack) -> None:
    """Delete the stack and wait until it is gone; raise if the deletion fails."""
    operation = Operation(stack)
    stack.client.delete_stack(StackName=stack.id)
    now = find_stack(stack.aws, stack.id, stack.region)
    if not now or now.status == "DELETE_COMPLETE":
        return  # perhaps by somebody else, so that no event follows
    if (status := operation.follow()) != "DELETE_COMPLETE":
        raise OperateError(
            f"{stack.name} was not deleted; it is {status}: see the failed resources above"
        )
