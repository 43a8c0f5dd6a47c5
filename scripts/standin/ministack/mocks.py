"""Answers tasks from a configuration in Step Functions Local's format (SFN_MOCK_CONFIG)."""

import contextvars
from collections import Counter
from typing import Any

from ministack.services import stepfunctions as sfn

from standin.ministack import executions
from standin.ministack.executions import Json
from standin.ministack.registry import hook

# The machine's name, and the test case that StartExecution named; children inherit both.
_case: contextvars.ContextVar[tuple[str, str]] = contextvars.ContextVar("case", default=("", ""))
_attempts: Counter[tuple[str, str]] = Counter()  # by execution and state


@hook
def mocked_tasks() -> None:
    """Return a separate response for each attempt of a mocked task, in our Task states, too.

    MiniStack throws the first response's error again at each retry, and records no events for a
    mocked task.
    """

    def run_execution(execution_arn: str) -> None:
        execution = sfn._executions[execution_arn]
        machine = sfn._state_machines[execution["stateMachineArn"]]
        _case.set((machine["name"], execution.get("testCase", "")))
        original_run(execution_arn)

    def invoke_resource(resource: str, arguments: Any) -> Any:
        if not _is_mocked():
            return original_invoke(resource, arguments)
        response = _next_response()
        if error := response.get("Throw"):
            raise sfn._ExecutionError(error["Error"], error.get("Cause", ""))
        return response["Return"]

    original_run = sfn._run_execution
    original_invoke = sfn._invoke_resource
    sfn._run_execution = run_execution
    sfn._invoke_resource = invoke_resource


def _is_mocked() -> bool:
    name, case = _case.get()
    machine = sfn._sfn_mock_config.get("StateMachines", {}).get(name, {})
    return executions.current_state() in machine.get("TestCases", {}).get(case, {})


def _next_response() -> Json:
    name, case = _case.get()
    state = executions.current_state()
    key = (executions.current()["executionArn"], state)
    attempt = _attempts[key]
    _attempts[key] += 1
    response: Json | None = sfn._get_mock_response(name, case, state, attempt)
    if response is None:
        raise sfn._ExecutionError(
            "States.Runtime", f"Test case {case} has no response for attempt {attempt} of {state}."
        )
    return response
