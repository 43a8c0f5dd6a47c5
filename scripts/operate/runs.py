"""The runs that are under way."""

from botocore.exceptions import ClientError

from operate.aws import code_of, pages
from operate.stacks import Stack


def running_executions(stack: Stack) -> list[str]:
    """Return the ARNs of the state machine's running executions, the children of maps aside."""
    machine = stack.outputs.get("StateMachineArn")
    if not machine:
        return []
    client = stack.aws.client("stepfunctions")
    of_machine = {"stateMachineArn": machine, "statusFilter": "RUNNING"}
    try:
        found = pages(client, "list_executions", "executions", **of_machine)
    except ClientError as error:
        if code_of(error) == "StateMachineDoesNotExist":
            return []
        raise
    return [str(one["executionArn"]) for one in found]
