"""Replaces the state machine's Distributed Map, whose children take the stand-in hours at 50,000.

The other states stay. The processors' handlers run in two processes of the benchmark, without a
state machine around them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from threading import Thread
from types import SimpleNamespace
from typing import Any

from alternate_contact_processor import handler as alternate_contact_processor
from contact_sync.observability import logger
from primary_contact_processor import handler as primary_contact_processor
from standin.stack import Stack

Json = dict[str, Any]

STATE = "SyncAccounts"
PROCESSES = 2
# The digit of an account is the first of these that one of its processors returned.
RANKS = (4, 2, 1, 3, 0)
CONTEXT = SimpleNamespace(
    function_name="processor",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:999999999999:function:processor",
    aws_request_id="driver",
)


@contextmanager
def driven_map(stack: Stack, speed: float) -> Iterator[None]:
    """Let a driver sync the accounts of the next run."""
    states = stack.client("stepfunctions")
    machine = stack.outputs["StateMachineArn"]
    activity = states.create_activity(name=STATE)["activityArn"]
    definition = json.loads(states.describe_state_machine(stateMachineArn=machine)["definition"])
    definition["States"][STATE] = _task(definition["States"][STATE], activity)
    states.update_state_machine(stateMachineArn=machine, definition=json.dumps(definition))
    driver = Thread(target=_drive, args=(stack, activity, speed), daemon=True)
    driver.start()
    yield
    driver.join()


def _task(of_map: Json, activity: str) -> Json:
    """Return a task with the Map's input, output and Catch."""
    values = {
        name: value
        for name, value in of_map["ItemSelector"].items()
        if "Map.Item" not in str(value)
    }
    return {
        "Type": "Task",
        "Resource": activity,
        "Arguments": {**values, "manifest": of_map["ItemReader"]["Arguments"]},
        **{name: of_map[name] for name in ("Output", "Catch", "Next")},
    }


def _drive(stack: Stack, activity: str, speed: float) -> None:
    states = stack.client("stepfunctions")
    task: Json = {}
    while not task.get("taskToken"):
        task = states.get_activity_task(activityArn=activity)
    event = json.loads(task["input"])
    manifest = stack.client("s3").get_object(**event.pop("manifest"))["Body"]
    events = [{**event, **account} for account in json.load(manifest)]
    environment = _environment(stack, speed)
    try:
        with get_context("spawn").Pool(PROCESSES, _prepare, (environment,)) as pool:
            digits = pool.map(_sync, events, chunksize=100)
    except Exception as error:
        # Otherwise the benchmark would wait for the run until its patience ends.
        states.send_task_failure(taskToken=task["taskToken"], error=type(error).__name__)
        raise
    states.send_task_success(taskToken=task["taskToken"], output=json.dumps(digits))


def _environment(stack: Stack, speed: float) -> Mapping[str, str]:
    name = f"{stack.name}-alternate-contact-processor"
    function = stack.client("lambda").get_function_configuration(FunctionName=name)
    return {
        **function["Environment"]["Variables"],
        **stack.standin.variables,
        "QUOTA_SHARE": str(speed),
    }


def _prepare(variables: Mapping[str, str]) -> None:
    os.environ.update(variables)
    logger.setLevel("CRITICAL")


def _sync(event: Json) -> int:
    digits = [
        processor.lambda_handler(event, CONTEXT)["digit"]
        for processor in (alternate_contact_processor, primary_contact_processor)
    ]
    return next(digit for digit in RANKS if digit in digits)
