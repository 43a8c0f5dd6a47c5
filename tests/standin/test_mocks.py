"""Tasks are answered by a mock configuration, attempt for attempt."""

import json
from pathlib import Path
from typing import Any

from standin.standin import Standin
from support.bench import Bench

TASK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Arguments": {"FunctionName": "no-such-function"},
    "Retry": [{"ErrorEquals": ["SlowDown"], "IntervalSeconds": 1, "MaxAttempts": 3}],
    "Output": "{% $states.result.Payload %}",
    "End": True,
}
RETRIED = {
    "0-1": {"Throw": {"Error": "SlowDown", "Cause": "mocked"}},
    "2": {"Return": {"StatusCode": 200, "Payload": {"done": True}}},
}
ENDLESS = {"0": {"Throw": {"Error": "SlowDown"}}}


def test_each_attempt_meets_its_own_response(tmp_path: Path) -> None:
    file = tmp_path / "mock_config.json"
    cases = {"Retried": {"Work": "Retried"}, "Endless": {"Work": "Endless"}}
    config: dict[str, Any] = {
        "StateMachines": {"machine-0": {"TestCases": cases}},
        "MockedResponses": {"Retried": RETRIED, "Endless": ENDLESS},
    }
    file.write_text(json.dumps(config))
    with Standin(accounts=0, speed=100, mock_config=file) as standin:
        bench = Bench(standin)
        machine = bench.machine({"Work": TASK})
        retried = bench.start(f"{machine}#Retried")
        endless = bench.start(f"{machine}#Endless")
        unmocked = bench.start(machine)

        assert {"done": True} == retried.wait().output
        failed = [event for event in retried.history() if event["type"] == "TaskFailed"]
        assert 2 == len(failed)
        assert "no response for attempt 1 of Work" in (endless.wait().cause or "")
        assert "FAILED" == unmocked.wait().status
