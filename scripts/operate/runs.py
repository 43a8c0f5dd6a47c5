"""The runs that are under way."""

from botocore.exceptions import ClientError

from operate.aws import code_of
from operate.stacks import Stack


def running_executions(stack: Stack) -> list[str]:
    """Return the ARNs of the state machine's running executions, the children of maps aside."""
    machine = stack.outputs.get("StateMachineArn")
    if not machine:
        return []
    client = stack.aws.client("stepfunctions")
    pages = client.get_paginator("list_executions").paginate(
        stateMachineArn=machine, statusFilter="RUNNING"
    )
    try:
        return [str(one["executionArn"]) for page in pages for one in page["executions"]]
    except ClientError as error:
        if code_of(error) == "StateMachineDoesNotExist":
            return []
        raise
