"""Each hook does what AWS does, and MiniStack alone (`plain`) still does not.

An assertion about `plain` that fails says that upstream needs the hook no longer.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError, WaiterError
from standin.standin import Execution, Outcome, Stack, Standin, StandinError
from support.bench import CAUGHT, Bench, caught, distributed_map, invoke

Json = dict[str, Any]


@pytest.fixture(name="hooked", scope="module")
def _hooked() -> Iterator[Bench]:
    with Standin(accounts=2, speed=10) as standin:
        yield Bench(standin)


@pytest.fixture(name="plain", scope="module")
def _plain() -> Iterator[Bench]:
    with Standin(accounts=2, speed=10, hooks_off=["all"]) as standin:
        yield Bench(standin)


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Tell whether `holds` came true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def error_of(bench: Bench, event: Json, **function: Any) -> str:
    """Return the name under which a machine sees a function's error."""
    task = invoke(bench.function(**function), event, **caught())
    outcome = bench.run({"Work": task, **CAUGHT})
    return str(outcome.output["Error"])


def event_types(execution: Execution) -> list[str]:
    return [event["type"] for event in execution.history()]


class TestFunctionErrors:
    def test_class_name(self, hooked: Bench, plain: Bench) -> None:
        """An exception is known by the name of its class."""
        event = {"do": "raise"}

        assert "ThrottledError" == error_of(hooked, event)
        assert "Runtime.HandlerError" == error_of(plain, event)

    def test_cause(self, hooked: Bench) -> None:
        """The cause is Lambda's report of the exception."""
        task = invoke(hooked.function(), {"do": "raise"})
        outcome = hooked.run({"Work": task})
        report = json.loads(outcome.cause or "")

        assert "slow down" == report["errorMessage"]
        assert "ThrottledError" == report["errorType"]
        assert "handler.py" in report["stackTrace"][0]

    def test_exit(self, hooked: Bench, plain: Bench) -> None:
        """A function that dies has an error name of its own."""
        event = {"do": "die"}

        assert "Runtime.ExitError" == error_of(hooked, event)
        assert "Runtime.HandlerError" == error_of(plain, event)

    def test_timeout(self, hooked: Bench) -> None:
        """A function that takes too long has the name that Lambda gives it."""
        event = {"do": "sleep", "seconds": 50}

        assert "Sandbox.Timedout" == error_of(hooked, event, timeout=1)

    def test_import(self, hooked: Bench, plain: Bench) -> None:
        """A module that is not there is an error of the runtime."""
        source = "import missing_module"

        assert "Runtime.ImportModuleError" == error_of(hooked, {}, source=source)
        assert "RuntimeError" == error_of(plain, {}, source=source)

    def test_worker_survives(self, hooked: Bench, plain: Bench) -> None:
        """An exception does not end the execution environment."""

        def calls_after_error(bench: Bench) -> int:
            function = bench.function()
            event = {"do": "raise"}
            first = invoke(function, event, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "B"}])
            outcome = bench.run({"A": {**first, "Next": "B", "End": False}, "B": invoke(function)})
            return int(outcome.output["calls"])

        assert 2 == calls_after_error(hooked)
        assert 1 == calls_after_error(plain)


class TestFunctionTime:
    SOURCE = (
        "import time\n"
        "def lambda_handler(event, context):\n"
        "    start, real = time.monotonic(), time.perf_counter()\n"
        "    time.sleep(2)\n"
        "    return [time.monotonic() - start, time.perf_counter() - real]\n"
    )

    def test_sleep(self, hooked: Bench, plain: Bench) -> None:
        """A function sleeps shorter where the stand-in is faster, and does not notice."""

        def seconds(bench: Bench) -> list[int]:
            output = bench.run({"Work": invoke(bench.function(self.SOURCE))}).output
            return [round(number) for number in output]

        assert [2, 0] == seconds(hooked)
        assert [2, 2] == seconds(plain)


class TestFunctionLogs:
    def test_complete(self, hooked: Bench) -> None:
        """An invocation's log has what it printed, and the exception it ended with."""
        source = (
            "def lambda_handler(event, context):\n"
            "    print('printed', event)\n"
            "    raise KeyError('raised')\n"
        )
        function = hooked.function(source)
        hooked.run({"Work": invoke(function, 7)})
        group = "/aws/lambda/" + function.rpartition(":")[2]
        events = hooked.standin.client("logs").filter_log_events(logGroupName=group)["events"]
        log = "\n".join(event["message"] for event in events)

        assert "printed 7" in log
        assert "[ERROR] KeyError: 'raised'" in log
        assert "end of log" not in log

    def test_speed(self, hooked: Bench, plain: Bench) -> None:
        """A function that logs nothing is not waited for."""

        def fastest(bench: Bench) -> float:
            source = "def lambda_handler(event, context): return 1"
            machine = bench.machine({"Work": invoke(bench.function(source))})
            durations = []
            for _ in range(4):
                execution = bench.start(machine)
                execution.wait()
                times = {event["type"]: event["timestamp"] for event in execution.history()}
                durations.append(times["TaskSucceeded"] - times["TaskScheduled"])
            return float(min(durations).total_seconds())

        assert fastest(hooked) < 0.05 <= fastest(plain)


class TestSharedCode:
    def test_one_folder(self, hooked: Bench, plain: Bench) -> None:
        """The workers of a function share its extracted code."""

        def has_links(bench: Bench) -> bool:
            bench.run({"Work": invoke(bench.function())})
            folders = list(bench.standin.directory.glob("ministack-lambda-*/code"))
            assert folders
            return all(folder.is_symlink() for folder in folders)

        assert has_links(hooked)
        assert not has_links(plain)


class TestInterpreter:
    def test_succeed_output(self, hooked: Bench, plain: Bench) -> None:
        """A Succeed state's Output is the execution's output."""
        states = {"Done": {"Type": "Succeed", "Output": "{% 1 + 1 %}"}}

        assert 2 == hooked.run(states).output
        assert {} == plain.run(states).output

    def test_machine_timeout(self, hooked: Bench, plain: Bench) -> None:
        """A machine that takes longer than its TimeoutSeconds is TIMED_OUT."""
        states = {"Wait": {"Type": "Wait", "Seconds": 20, "End": True}}

        assert "TIMED_OUT" == hooked.run(states, TimeoutSeconds=1).status
        assert "SUCCEEDED" == plain.run(states, TimeoutSeconds=1).status

    def test_payload_limit(self, hooked: Bench, plain: Bench) -> None:
        """No state's output is larger than 256 KiB."""
        states = {
            "Big": {"Type": "Pass", "Output": "{% $pad('', 300000, 'x') %}", "Next": "Small"},
            "Small": {"Type": "Pass", "Output": 1, "End": True},
        }

        assert "States.DataLimitExceeded" == hooked.run(states).error
        assert 1 == plain.run(states).output

    def test_assigned_variables(self, hooked: Bench, plain: Bench) -> None:
        """The history shows what a state assigned."""
        states = {"Set": {"Type": "Pass", "Assign": {"a": "{% 1 %}"}, "End": True}}

        def assigned(bench: Bench) -> Any:
            execution = bench.start(bench.machine(states))
            execution.wait()
            exited = next(e for e in execution.history() if e["type"] == "PassStateExited")
            return exited["stateExitedEventDetails"].get("assignedVariables")

        assert {"a": "1"} == assigned(hooked)
        assert assigned(plain) is None

    def test_status_events(self, hooked: Bench) -> None:
        """Rules see how the machine's executions end, and nothing of the children."""
        url, arn = hooked.queue()
        child = {"Fail": {"Type": "Fail", "Error": "ChildError"}}
        states = {"Map": distributed_map(child, ToleratedFailurePercentage=0)}
        machine = hooked.machine(states)
        pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED", "SUCCEEDED"]}}
        hooked.rule(pattern, {"Arn": arn})
        hooked.start(machine, {"items": [1]}).wait()
        details = [json.loads(message["Body"])["detail"] for message in hooked.received(url)]

        assert [(machine, "FAILED")] == [(d["stateMachineArn"], d["status"]) for d in details]

    def test_list_executions(self, hooked: Bench) -> None:
        """A machine's list has its executions, and not their children."""
        child = {"Done": {"Type": "Succeed"}}
        machine = hooked.machine({"Map": distributed_map(child)})
        execution = hooked.start(machine, {"items": [1, 2]})
        execution.wait()
        answer = hooked.standin.client("stepfunctions").list_executions(stateMachineArn=machine)

        assert [execution.arn] == [found["executionArn"] for found in answer["executions"]]


class TestStopping:
    def test_children(self, hooked: Bench, plain: Bench) -> None:
        """Stopping an execution stops its Map Run and children, and starts no others."""

        def statuses(bench: Bench, seconds: float) -> tuple[str, set[str], int]:
            child = {"Work": invoke(bench.function(), {"do": "sleep", "seconds": seconds})}
            map_state = distributed_map(child, MaxConcurrency=2)
            del map_state["Items"]  # which MiniStack does not read
            execution = bench.start(bench.machine({"Map": map_state}), [1, 2, 3, 4])
            assert wait_until(lambda: len(_children(execution)) == 2)
            execution.stop()
            (run,) = execution.map_runs()
            time.sleep(1)
            children = _children(execution)
            return run["status"], {child.status() for child in children}, len(children)

        assert ("ABORTED", {"ABORTED"}, 2) == statuses(hooked, 5)
        assert "ABORTED" != statuses(plain, 0.5)[0]

    def test_counts(self, hooked: Bench) -> None:
        """The Map Run counts what was stopped, started or not, at once."""
        child = {"Wait": {"Type": "Wait", "Seconds": 300, "End": True}}
        map_state = distributed_map(child, MaxConcurrency=2)
        execution = hooked.start(hooked.machine({"Map": map_state}), {"items": [1, 2, 3]})
        assert wait_until(lambda: len(_children(execution)) == 2)
        before = execution.map_runs()[0]["itemCounts"]
        execution.stop(error="Stopped", cause="by hand")
        after = execution.map_runs()[0]["itemCounts"]

        assert (2, 1, 0) == (before["running"], before["pending"], before["aborted"])
        assert (0, 0, 3) == (after["running"], after["pending"], after["aborted"])
        assert ("ABORTED", "Stopped") == (execution.status(), execution.describe()["error"])
        assert "ExecutionAborted" == event_types(execution)[-1]

    def test_wait(self, hooked: Bench) -> None:
        """A stopped execution adds nothing to its history when its wait would be over."""
        states = {"Wait": {"Type": "Wait", "Seconds": 5, "End": True}}
        execution = hooked.start(hooked.machine(states))
        assert wait_until(lambda: "WaitStateEntered" in event_types(execution))
        execution.stop()
        time.sleep(0.7)

        assert "ExecutionAborted" == event_types(execution)[-1]


def _children(execution: Execution) -> list[Execution]:
    return execution.children() if execution.map_runs() else []


class TestTerminalErrors:
    def test_states_all(self, hooked: Bench, plain: Bench) -> None:
        """States.ALL does not catch States.DataLimitExceeded."""
        child = {"Fail": {"Type": "Fail", "Error": "States.DataLimitExceeded"}}
        processor = {"StartAt": "Fail", "States": child}
        states = {
            "Map": {"Type": "Map", "ItemProcessor": processor, "End": True, **caught()},
            **CAUGHT,
        }

        assert "FAILED" == hooked.run(states, [1]).status
        assert "SUCCEEDED" == plain.run(states, [1]).status


class TestIdempotentStart:
    def test_running(self, hooked: Bench, plain: Bench) -> None:
        """Starting a running execution again, with its name and input, gives the same one."""
        states = {"Wait": {"Type": "Wait", "Seconds": 20, "End": True}}

        def starts(bench: Bench) -> list[str]:
            machine = bench.machine(states)
            return [bench.start(machine, name="once").arn for _ in range(2)]

        assert 1 == len(set(starts(hooked)))
        with pytest.raises(Exception, match="ExecutionAlreadyExists"):
            starts(plain)

    def test_other_input(self, hooked: Bench) -> None:
        """Another input under the same name is refused."""
        states = {"Wait": {"Type": "Wait", "Seconds": 20, "End": True}}
        machine = hooked.machine(states)
        hooked.start(machine, name="once")

        with pytest.raises(Exception, match="ExecutionAlreadyExists"):
            hooked.start(machine, {"a": 1}, name="once")


class TestAssignments:
    def test_old_values(self, hooked: Bench, plain: Bench) -> None:
        """All expressions of an Assign see the variables as they were before."""
        states = {
            "First": {"Type": "Pass", "Assign": {"a": 1, "b": 2}, "Next": "Swap"},
            "Swap": {"Type": "Pass", "Assign": {"a": "{% $b %}", "b": "{% $a %}"}, "Next": "End"},
            "End": {"Type": "Pass", "Output": "{% [$a, $b] %}", "End": True},
        }

        assert [2, 1] == hooked.run(states).output
        assert [2, 2] == plain.run(states).output


class TestChoices:
    def test_default_output(self, hooked: Bench, plain: Bench) -> None:
        """The Output of a Choice applies where it falls to its Default."""
        choice = {
            "Type": "Choice",
            "Choices": [{"Condition": "{% false %}", "Next": "End"}],
            "Default": "End",
            "Output": 7,
        }
        states = {"Choose": choice, "End": {"Type": "Pass", "End": True}}

        assert 7 == hooked.run(states).output
        assert {} == plain.run(states).output

    def test_condition(self, hooked: Bench, plain: Bench) -> None:
        """A Condition that is no boolean is an error."""
        choice = {
            "Type": "Choice",
            "Choices": [{"Condition": "{% 'text' %}", "Next": "End"}],
            "Default": "End",
        }
        states = {"Choose": choice, "End": {"Type": "Pass", "End": True}}

        assert "States.QueryEvaluationError" == hooked.run(states).error
        assert "SUCCEEDED" == plain.run(states).status

    def test_assign_and_output(self, hooked: Bench) -> None:
        """A rule's Assign and Output apply where its Condition holds."""
        rule = {
            "Condition": "{% $states.input.a = 1 %}",
            "Assign": {"b": "{% $states.input.a + 1 %}"},
            "Output": {"c": 3},
            "Next": "End",
        }
        states = {
            "Choose": {"Type": "Choice", "Choices": [rule]},
            "End": {"Type": "Pass", "Output": "{% [$b, $states.input.c] %}", "End": True},
        }

        assert [2, 3] == hooked.run(states, {"a": 1}).output


class TestTasks:
    def test_history(self, hooked: Bench, plain: Bench) -> None:
        """The history shows each attempt with its arguments, as AWS does."""

        def execution(bench: Bench) -> Execution:
            task = invoke(bench.function(), {"do": "raise"}, Retry=[_retrier(MaxAttempts=1)])
            started = bench.start(bench.machine({"Work": task}))
            started.wait()
            return started

        attempt = ["TaskScheduled", "TaskStarted", "TaskFailed"]
        expected = ["ExecutionStarted", "TaskStateEntered", *attempt, *attempt, "ExecutionFailed"]
        found = execution(hooked)
        scheduled = found.history()[2]["taskScheduledEventDetails"]
        assert expected == event_types(found)
        assert {"do": "raise"} == json.loads(scheduled["parameters"])["Payload"]
        assert ("lambda", "invoke") == (scheduled["resourceType"], scheduled["resource"])
        assert "TaskStarted" not in event_types(execution(plain))

    def test_arguments_limit(self, hooked: Bench) -> None:
        """A call's arguments are not larger than 256 KiB either."""
        task = invoke(hooked.function(), {"text": "{% $pad('', 300000, 'x') %}"})

        assert "States.DataLimitExceeded" == hooked.run({"Work": task}).error

    def test_timeout(self, hooked: Bench, plain: Bench) -> None:
        """TimeoutSeconds may be an expression."""

        def error(bench: Bench) -> Any:
            event = {"do": "sleep", "seconds": 30}
            task = invoke(bench.function(), event, TimeoutSeconds="{% 1 %}")
            return bench.run({"Work": task}).error

        assert "States.Timeout" == error(hooked)
        assert "States.Runtime" == error(plain)

    def test_catch(self, hooked: Bench) -> None:
        """A catcher's Assign and Output apply to the error it catches."""
        catcher = {
            "ErrorEquals": ["ThrottledError"],
            "Assign": {"name": "{% $states.errorOutput.Error %}"},
            "Output": "{% $merge([$states.input, {'seen': true}]) %}",
            "Next": "End",
        }
        task = invoke(hooked.function(), {"do": "raise"}, Catch=[catcher])
        end = {"Type": "Fail", "Error": "{% $name %}", "Cause": "{% $string($states.input.seen) %}"}
        outcome = hooked.run({"Work": task, "End": end})

        assert ("ThrottledError", "true") == (outcome.error, outcome.cause)


class TestRetryDelays:
    def test_max_delay(self, hooked: Bench, plain: Bench) -> None:
        """A retrier waits no longer than MaxDelaySeconds."""
        retrier = _retrier(IntervalSeconds=30, MaxDelaySeconds=1, MaxAttempts=1)

        assert _seconds_to_fail(hooked, retrier) < 1.5 < _seconds_to_fail(plain, retrier)

    def test_jitter(self, hooked: Bench) -> None:
        """A retrier with jitter waits shorter than its interval."""
        retrier = _retrier(IntervalSeconds=10, JitterStrategy="FULL", MaxAttempts=4, BackoffRate=1)

        assert _seconds_to_fail(hooked, retrier) < 4.0


def _retrier(**fields: Any) -> Json:
    return {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, **fields}


def _seconds_to_fail(bench: Bench, retrier: Json) -> float:
    execution = bench.start(
        bench.machine({"Work": invoke(bench.function(), {"do": "raise"}, Retry=[retrier])})
    )
    execution.wait()
    failures = [e["timestamp"] for e in execution.history() if e["type"] == "TaskFailed"]
    return float((failures[-1] - failures[0]).total_seconds())


class TestDistributedMap:
    def test_fields(self, hooked: Bench, plain: Bench) -> None:
        """Items, ItemSelector, Output and Assign may be expressions."""
        child = {"Done": {"Type": "Pass", "Output": "{% $states.input.item * 2 %}", "End": True}}
        map_state = distributed_map(
            child,
            ItemSelector={"item": "{% $states.context.Map.Item.Value %}"},
            Assign={"count": "{% $count($states.result) %}"},
            Output="{% {'doubled': $states.result} %}",
            Next="End",
            End=False,
        )
        end = {"Type": "Pass", "Output": "{% [$states.input.doubled, $count] %}", "End": True}
        states = {"Map": map_state, "End": end}

        assert [2, 4, 6, 3] == hooked.run(states, {"items": [1, 2, 3]}).output
        assert [2, 4, 6, 3] != plain.run(states, {"items": [1, 2, 3]}).output

    def test_item_reader(self, hooked: Bench, plain: Bench) -> None:
        """The reader's arguments, the concurrency and the tolerance may be expressions."""

        def result(bench: Bench) -> Any:
            s3 = bench.standin.client("s3")
            s3.create_bucket(Bucket="items")
            s3.put_object(Bucket="items", Key="list.json", Body=json.dumps(["a", "b"]))
            reader = {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Arguments": {"Bucket": "items", "Key": "{% $states.input.key %}"},
            }
            fields = {"MaxConcurrency": "{% 1 + 1 %}", "ToleratedFailurePercentage": "{% 100 %}"}
            map_state = distributed_map({"Done": {"Type": "Succeed"}}, ItemReader=reader, **fields)
            del map_state["Items"]
            return bench.run({"Map": map_state}, {"key": "list.json"}).output

        assert ["a", "b"] == result(hooked)
        assert ["a", "b"] != result(plain)

    def test_missing_object(self, hooked: Bench) -> None:
        """An object that cannot be read fails the Map."""
        reader = {
            "Resource": "arn:aws:states:::s3:getObject",
            "Arguments": {"Bucket": "nowhere", "Key": "list.json"},
        }
        map_state = distributed_map({"Done": {"Type": "Succeed"}}, ItemReader=reader, **caught())
        outcome = hooked.run({"Map": map_state, **CAUGHT}, {"items": []})

        assert "States.ItemReaderFailed" == outcome.output["Error"]

    def test_order(self, hooked: Bench) -> None:
        """The result is in the order of the items, whatever the order of the ends."""
        child = {
            "Wait": {"Type": "Wait", "Seconds": "{% 4 - $states.input %}", "Next": "Done"},
            "Done": {"Type": "Succeed"},
        }
        outcome = hooked.run({"Map": distributed_map(child)}, {"items": [1, 2, 3]})

        assert [1, 2, 3] == outcome.output

    def test_failed_child(self, hooked: Bench, plain: Bench) -> None:
        """A failed child adds its whole record to the result."""
        child = {"Fail": {"Type": "Fail", "Error": "ChildError", "Cause": "why"}}

        def result(bench: Bench) -> Any:
            map_state = distributed_map(child, ToleratedFailurePercentage=100)
            return bench.run({"Map": map_state}, {"items": [{"id": 1}]}).output

        (record,) = result(hooked)
        assert ("FAILED", "ChildError", "why") == tuple(
            record[name] for name in ("Status", "Error", "Cause")
        )
        assert {"id": 1} == json.loads(record["Input"])
        assert "Status" not in str(result(plain))

    @pytest.mark.parametrize(
        ("tolerance", "status"),
        [
            ({}, "FAILED"),
            ({"ToleratedFailurePercentage": 49}, "FAILED"),
            ({"ToleratedFailurePercentage": 50.0}, "SUCCEEDED"),
            ({"ToleratedFailureCount": 1}, "FAILED"),
            ({"ToleratedFailureCount": "{% 2 %}"}, "SUCCEEDED"),
            ({"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 100}, "FAILED"),
        ],
    )
    def test_tolerance(self, hooked: Bench, tolerance: Json, status: str) -> None:
        """More failed children than tolerated fail the Map."""
        choice = {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input > 2 %}", "Next": "Fail"}],
            "Default": "Done",
        }
        child = {
            "Choose": choice,
            "Fail": {"Type": "Fail", "Error": "ChildError"},
            "Done": {"Type": "Succeed"},
        }
        map_state = distributed_map(child, MaxConcurrency=1, **tolerance)
        outcome = hooked.run({"Map": map_state}, {"items": [1, 2, 3, 4]})

        assert status == outcome.status
        assert outcome.error in (None, "States.ExceedToleratedFailureThreshold")

    def test_child_context(self, hooked: Bench, plain: Bench) -> None:
        """A child's context is its own execution, with the states in its history."""
        child = {
            "Tell": {"Type": "Pass", "Output": "{% $states.context.Execution.Id %}", "End": True}
        }

        def run(bench: Bench) -> tuple[Any, list[Execution]]:
            execution = bench.start(bench.machine({"Map": distributed_map(child)}), {"items": [1]})
            return execution.wait().output, execution.children()

        output, children = run(hooked)
        assert [children[0].arn] == output
        assert ["Tell"] == children[0].states()
        assert "/EachItem:" in children[0].arn
        output, children = run(plain)
        assert [children[0].arn] != output
        assert [] == children[0].history()

    def test_outer_variables(self, hooked: Bench, plain: Bench) -> None:
        """A child does not see the variables of its parent."""
        child = {"Tell": {"Type": "Pass", "Output": "{% $outer %}", "End": True}}
        states = {
            "Set": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "Map"},
            "Map": distributed_map(child, ToleratedFailurePercentage=100),
        }
        (record,) = hooked.run(states, {"items": [1]}).output
        assert "States.QueryEvaluationError" == record["Error"]
        assert [1] == plain.run(states, {"items": [1]}).output

    def test_result_limit(self, hooked: Bench, plain: Bench) -> None:
        """A result above 256 KiB ends the machine, past any catcher."""
        child = {"Big": {"Type": "Pass", "Output": "{% $pad('', 150000, 'x') %}", "End": True}}
        map_state = distributed_map(child, Output="{% 1 %}", **caught())
        states = {"Map": map_state, **CAUGHT}

        assert "States.DataLimitExceeded" == hooked.run(states, {"items": [1, 2]}).error
        assert "SUCCEEDED" == plain.run(states, {"items": [1, 2]}).status

    def test_map_run_record(self, hooked: Bench) -> None:
        """DescribeMapRun tells limits and counts while the Map runs and afterwards."""
        child = {"Wait": {"Type": "Wait", "Seconds": 5, "End": True}}
        map_state = distributed_map(child, MaxConcurrency=1, ToleratedFailurePercentage=20)
        execution = hooked.start(hooked.machine({"Map": map_state}), {"items": [1, 2]})
        assert wait_until(lambda: len(_children(execution)) == 1)
        (during,) = execution.map_runs()
        execution.wait()
        (after,) = execution.map_runs()

        assert ("RUNNING", 1, 1) == (
            during["status"],
            during["itemCounts"]["running"],
            during["itemCounts"]["pending"],
        )
        assert ("SUCCEEDED", 2) == (after["status"], after["itemCounts"]["succeeded"])
        assert (1, 20) == (after["maxConcurrency"], after["toleratedFailurePercentage"])

    def test_retry(self, hooked: Bench) -> None:
        """A Map that is retried is a new Map Run over all items."""
        child = {"Fail": {"Type": "Fail", "Error": "ChildError"}}
        map_state = distributed_map(child, Retry=[_retrier(MaxAttempts=1)])
        execution = hooked.start(hooked.machine({"Map": map_state}), {"items": [1]})
        execution.wait()

        assert ["FAILED", "FAILED"] == [run["status"] for run in execution.map_runs()]


class TestPublish:
    def test_message_attributes(self, hooked: Bench, plain: Bench) -> None:
        """A message published by a machine keeps its attributes."""

        def attributes(bench: Bench) -> Any:
            sns = bench.standin.client("sns")
            topic = sns.create_topic(Name=bench.name("topic"))["TopicArn"]
            url, arn = bench.queue()
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
            given = {"status": {"DataType": "String", "StringValue": "partial"}}
            publish = {
                "Type": "Task",
                "Resource": "arn:aws:states:::sns:publish",
                "Arguments": {"TopicArn": topic, "Message": "text", "MessageAttributes": given},
                "End": True,
            }
            bench.run({"Publish": publish})
            (message,) = bench.received(url)
            return json.loads(message["Body"]).get("MessageAttributes")

        assert {"status": {"Type": "String", "Value": "partial"}} == attributes(hooked)
        assert not attributes(plain)


def nested_start(machine: str, **fields: Any) -> Json:
    """A Task state that starts an execution of `machine`, and does not wait for its end."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {
            "StateMachineArn": machine,
            "Name": "{% $states.input.name & '-next' %}",
            "Input": {"number": "{% $states.input.number %}"},
        },
        "End": True,
        **fields,
    }


class TestNestedStart:
    INPUT: ClassVar[Json] = {"name": "run", "number": 7}

    def test_starts(self, hooked: Bench) -> None:
        """The task ends at once, with the new execution's ARN; that gets the input."""
        machine = hooked.machine({"Wait": {"Type": "Wait", "Seconds": 5, "End": True}})
        outcome = hooked.run({"Start": nested_start(machine)}, self.INPUT)
        started = Execution(hooked.standin, outcome.output["ExecutionArn"])

        assert started.arn == f"{machine.replace(':stateMachine:', ':execution:')}:run-next"
        assert {"number": 7} == started.input()
        assert "SUCCEEDED" == started.wait().status

    def test_repeated_start(self, hooked: Bench) -> None:
        """As long as it runs, an execution of the same name and input is the same one."""
        machine = hooked.machine({"Wait": {"Type": "Wait", "Seconds": 20, "End": True}})
        starting = hooked.machine({"Start": nested_start(machine)})
        outcomes = [hooked.start(starting, self.INPUT).wait() for _ in range(2)]

        assert 1 == len({outcome.output["ExecutionArn"] for outcome in outcomes})

    def test_existing_name(self, hooked: Bench, plain: Bench) -> None:
        """The name of an execution that has ended is refused, under the integration's error."""

        def error(bench: Bench) -> str:
            machine = bench.machine({"Done": {"Type": "Succeed"}})
            bench.start(machine, name="run-next").wait()
            task = nested_start(machine, **caught())
            outcome = bench.run({"Start": task, **CAUGHT}, self.INPUT)
            return str(outcome.output["Error"])

        assert "StepFunctions.ExecutionAlreadyExistsException" == error(hooked)
        assert "ExecutionAlreadyExists" == error(plain)

    def test_missing_machine(self, hooked: Bench) -> None:
        """So is a machine that does not exist."""
        machine = "arn:aws:states:us-east-1:999999999999:stateMachine:missing"
        outcome = hooked.run({"Start": nested_start(machine)}, self.INPUT)

        assert "StepFunctions.StateMachineDoesNotExistException" == outcome.error

    def test_planned_fault(self, hooked: Bench) -> None:
        """A planned refusal has the same prefix."""
        fault = {"service": "states", "operation": "StartExecution", "match": "run-next"}
        error = "AWSStepFunctionsException"
        hooked.standin.set_faults([{**fault, "error": error}])
        machine = hooked.machine({"Done": {"Type": "Succeed"}})
        outcome = hooked.run({"Start": nested_start(machine)}, self.INPUT)

        assert f"StepFunctions.{error}" == outcome.error


class TestDynamoDB:
    def test_conditional_check(self, hooked: Bench) -> None:
        """A condition that does not hold has the optimised integration's error name."""
        table = hooked.name("table")
        hooked.standin.client("dynamodb").create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        update = {
            "Type": "Task",
            "Resource": "arn:aws:states:::dynamodb:updateItem",
            "Arguments": {
                "TableName": table,
                "Key": {"pk": {"S": "LOCK"}},
                "UpdateExpression": "SET holder = :me",
                "ConditionExpression": "attribute_exists(pk)",
                "ExpressionAttributeValues": {":me": {"S": "me"}},
            },
            "End": True,
        }

        assert "DynamoDB.ConditionalCheckFailedException" == hooked.run({"Take": update}).error


EVENT: Json = {
    "source": "aws.account",
    "detail-type": "AWS API Call via CloudTrail",
    "id": "11111111-2222-3333-4444-555555555555",
    "time": "2026-11-24T04:00:00Z",
    "region": "us-east-1",
    "account": "999999999999",
    "detail": {"eventName": "PutAlternateContact"},
}


class TestEvents:
    def test_aws_source(self, hooked: Bench, plain: Bench) -> None:
        """An event of an AWS service reaches the rules as it is; others may not put it."""
        url, arn = hooked.queue()
        hooked.rule({"source": ["aws.account"]}, {"Arn": arn})
        hooked.standin.put_event(EVENT)
        (message,) = hooked.received(url)

        assert EVENT == {name: json.loads(message["Body"])[name] for name in EVENT}
        with pytest.raises(StandinError):
            plain.standin.put_event(EVENT)

    def test_other_region(self, hooked: Bench, plain: Bench) -> None:
        """A rule's target may be the bus of another region, where the event arrives as it is."""
        region = "eu-west-1"

        def arrived(bench: Bench) -> list[Json]:
            sqs, there = (bench.standin.client(name, region) for name in ("sqs", "events"))
            url = sqs.create_queue(QueueName="forwarded")["QueueUrl"]
            arn = f"arn:aws:sqs:{region}:999999999999:forwarded"
            there.put_rule(Name="arrive", EventPattern='{"source": ["forward"]}')
            there.put_targets(Rule="arrive", Targets=[{"Id": "queue", "Arn": arn}])
            bus = f"arn:aws:events:{region}:999999999999:event-bus/default"
            bench.rule({"source": ["forward"]}, {"Arn": bus})
            entry = {"Source": "forward", "DetailType": "Test", "Detail": "{}"}
            bench.standin.client("events").put_events(Entries=[entry])
            messages = sqs.receive_message(QueueUrl=url).get("Messages", [])
            return [json.loads(message["Body"]) for message in messages]

        (event,) = arrived(hooked)
        assert (event["source"], event["region"]) == ("forward", "us-east-1")
        assert arrived(plain) == []

    def test_dead_letter(self, hooked: Bench, plain: Bench) -> None:
        """An event that a machine cannot take goes to the target's dead-letter queue."""

        def letters(bench: Bench) -> list[Json]:
            url, arn = bench.queue()
            machine = bench.machine({"Done": {"Type": "Succeed"}})
            bench.rule({"source": ["test"]}, {"Arn": machine, "DeadLetterConfig": {"Arn": arn}})
            bench.standin.client("stepfunctions").delete_state_machine(stateMachineArn=machine)
            entry = {"Source": "test", "DetailType": "Test", "Detail": '{"number": 1}'}
            bench.standin.client("events").put_events(Entries=[entry])
            return bench.received(url)

        (letter,) = letters(hooked)
        assert {"number": 1} == json.loads(letter["Body"])["detail"]
        assert "RULE_ARN" in letter["MessageAttributes"]
        assert [] == letters(plain)


TEMPLATE = """
Resources:
  Key:
    Type: AWS::KMS::Key
    Properties: {KeyPolicy: {Version: "2012-10-17", Statement: []}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      SSESpecification: {SSEEnabled: true, SSEType: KMS, KMSMasterKeyId: !GetAtt Key.Arn}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: "true"}
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
      DeletionProtectionEnabled: true
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketEncryption:
        ServerSideEncryptionConfiguration:
          - BucketKeyEnabled: true
            ServerSideEncryptionByDefault:
              SSEAlgorithm: aws:kms
              KMSMasterKeyID: !GetAtt Key.Arn
      LifecycleConfiguration:
        Rules: [{Id: expire, Status: Enabled, Prefix: runs/, ExpirationInDays: 1}]
  Topic:
    Type: AWS::SNS::Topic
    Properties: {KmsMasterKeyId: !GetAtt Key.Arn}
  LogGroup:
    Type: AWS::Logs::LogGroup
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      RoleArn: arn:aws:iam::999999999999:role/any
      DefinitionString: '{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}'
      LoggingConfiguration:
        Level: ERROR
        Destinations: [{CloudWatchLogsLogGroup: {LogGroupArn: !GetAtt LogGroup.Arn}}]
  Worker:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: index.lambda_handler
      Role: arn:aws:iam::999999999999:role/any
      Code:
        ZipFile: |
          import os
          def lambda_handler(event, context):
              return [os.environ["NUMBER"], os.environ["FLAG"]]
      Environment: {Variables: {NUMBER: 7, FLAG: true}}
Outputs:
  Key: {Value: !GetAtt Key.Arn}
  Table: {Value: !Ref Table}
  Bucket: {Value: !Ref Bucket}
  Topic: {Value: !Ref Topic}
  Machine: {Value: !Ref Machine}
  Worker: {Value: !GetAtt Worker.Arn}
"""


@pytest.fixture(name="names", scope="module")
def _names(
    hooked: Bench, plain: Bench, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, dict[str, str]]:
    """Deploy the template to both; return what it made for each of them."""
    template = tmp_path_factory.mktemp("stack") / "template.yaml"
    template.write_text(TEMPLATE)
    return {
        id(bench): bench.standin.deploy(template=template, stack_name="resources").outputs
        for bench in (hooked, plain)
    }


class TestCloudFormation:
    def test_environment(self, hooked: Bench, plain: Bench, names: Any) -> None:
        """Numbers and booleans in a function's environment are text."""

        def outcome(bench: Bench) -> Outcome:
            return bench.run({"Work": invoke(names[id(bench)]["Worker"])})

        assert outcome(hooked).output == ["7", "true"]
        assert outcome(plain).error == "TypeError"

    def test_table(self, hooked: Bench, plain: Bench, names: Any) -> None:
        """A table has the encryption, backups, expiry and protection of its template."""

        def settings(bench: Bench) -> list[Any]:
            dynamodb, name = bench.standin.client("dynamodb"), names[id(bench)]["Table"]
            table = dynamodb.describe_table(TableName=name)["Table"]
            backups = dynamodb.describe_continuous_backups(TableName=name)
            recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
            expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            return [
                table.get("SSEDescription", {}).get("KMSMasterKeyArn"),
                table["DeletionProtectionEnabled"],
                recovery["PointInTimeRecoveryStatus"],
                expiry.get("AttributeName"),
            ]

        assert settings(hooked) == [names[id(hooked)]["Key"], True, "ENABLED", "expires_at"]
        assert settings(plain) == [None, True, "DISABLED", None]

    def test_bucket(self, hooked: Bench, plain: Bench, names: Any) -> None:
        """A bucket has the encryption and the lifecycle of its template."""

        def settings(bench: Bench) -> list[Any]:
            s3, name = bench.standin.client("s3"), names[id(bench)]["Bucket"]
            encryption = s3.get_bucket_encryption(Bucket=name)
            (rule,) = encryption["ServerSideEncryptionConfiguration"]["Rules"]
            lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=name)
            key = rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
            return [key, lifecycle["Rules"][0]["Expiration"]]

        assert settings(hooked) == [names[id(hooked)]["Key"], {"Days": 1}]
        with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
            settings(plain)

    def test_topic(self, hooked: Bench, plain: Bench, names: Any) -> None:
        """A topic has the key of its template."""

        def key(bench: Bench) -> Any:
            topic = names[id(bench)]["Topic"]
            answer = bench.standin.client("sns").get_topic_attributes(TopicArn=topic)
            return answer["Attributes"].get("KmsMasterKeyId")

        assert key(hooked) == names[id(hooked)]["Key"]
        assert key(plain) is None

    def test_machine(self, hooked: Bench, plain: Bench, names: Any) -> None:
        """A machine has the log level of its template."""

        def level(bench: Bench) -> Any:
            machine = names[id(bench)]["Machine"]
            client = bench.standin.client("stepfunctions")
            answer = client.describe_state_machine(stateMachineArn=machine)
            return answer["loggingConfiguration"].get("level")

        assert level(hooked) == "ERROR"
        assert level(plain) is None

    def test_trail(self, hooked: Bench, plain: Bench, tmp_path: Path) -> None:
        """A trail is made and on, is changed, and goes with its stack; its last log comes late."""
        made = {"TrailName": "made", "S3BucketName": "logs", "IsLogging": True}
        s3 = hooked.standin.client("s3")
        s3.create_bucket(Bucket="logs")
        stack = deploy_one(hooked, tmp_path, "AWS::CloudTrail::Trail", made)
        client = hooked.standin.client("cloudtrail")

        assert client.get_trail_status(Name="made")["IsLogging"]
        deploy_one(hooked, tmp_path, "AWS::CloudTrail::Trail", {**made, "IsMultiRegionTrail": True})
        assert client.get_trail(Name="made")["Trail"]["IsMultiRegionTrail"]
        stack.delete()
        assert [] == client.describe_trails()["trailList"]
        assert 1 == s3.list_objects_v2(Bucket="logs")["KeyCount"]
        with pytest.raises(StandinError, match="Unrecognized resource types"):
            deploy_one(plain, tmp_path, "AWS::CloudTrail::Trail", made)

    def test_full_bucket(self, hooked: Bench, plain: Bench, tmp_path: Path) -> None:
        """A bucket that holds something keeps its stack."""

        def delete(bench: Bench) -> None:
            stack = deploy_one(bench, tmp_path, "AWS::S3::Bucket", {"BucketName": "full"})
            bench.standin.client("s3").put_object(Bucket="full", Key="any")
            stack.delete()

        with pytest.raises(WaiterError, match="DELETE_FAILED"):
            delete(hooked)
        delete(plain)

    def test_query_definition(self, hooked: Bench, plain: Bench, tmp_path: Path) -> None:
        """A query definition does not end a deployment."""
        made = {"Name": "a/query", "QueryString": "fields @message"}

        deploy_one(hooked, tmp_path, "AWS::Logs::QueryDefinition", made).delete()
        with pytest.raises(StandinError, match="Unrecognized resource types"):
            deploy_one(plain, tmp_path, "AWS::Logs::QueryDefinition", made)


def deploy_one(bench: Bench, folder: Path, kind: str, properties: Json) -> Stack:
    """Deploy a template of one resource."""
    template = folder / "one.yaml"
    made = {"Type": kind, "Properties": properties}
    template.write_text(json.dumps({"Resources": {"Made": made}}))
    return bench.standin.deploy(template=template, stack_name=f"one-{kind.rpartition(':')[2]}")


class TestMonitoring:
    def test_log_metrics(self, hooked: Bench, plain: Bench) -> None:
        """What a function logs in the embedded format is a metric."""
        blob = {
            "_aws": {
                "Timestamp": 0,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Own",
                        "Dimensions": [["service"]],
                        "Metrics": [{"Name": "Things", "Unit": "Count"}],
                    }
                ],
            },
            "service": "one",
            "Things": [2.0, 3.0],
        }
        source = f"def lambda_handler(event, context):\n    print({json.dumps(blob)!r})\n"

        def things(bench: Bench) -> float:
            bench.run({"Work": invoke(bench.function(source))})
            return metric_sum(bench, "Own", "Things", service="one")

        assert 5 == things(hooked)
        assert 0 == things(plain)

    @pytest.mark.parametrize(
        ("state", "ending"),
        [
            ({"Type": "Succeed"}, "ExecutionsSucceeded"),
            ({"Type": "Fail", "Error": "Any"}, "ExecutionsFailed"),
        ],
    )
    def test_execution_metrics(self, hooked: Bench, plain: Bench, state: Json, ending: str) -> None:
        """Executions are counted by how they end."""

        def counts(bench: Bench) -> list[float]:
            machine = bench.machine({"End": state})
            bench.start(machine).wait()
            return [
                metric_sum(bench, "AWS/States", name, StateMachineArn=machine)
                for name in ("ExecutionsStarted", ending)
            ]

        assert [1, 1] == counts(hooked)
        assert [0, 0] == counts(plain)

    def test_function_metrics(self, hooked: Bench, plain: Bench) -> None:
        """Each invocation by a machine counts, and each exception is an error."""

        def counts(bench: Bench) -> list[float]:
            function = bench.function()
            for event in ({}, {"do": "raise"}):
                bench.run({"Work": invoke(function, event)})
            name = function.rpartition(":")[2]
            return [
                metric_sum(bench, "AWS/Lambda", metric, FunctionName=name)
                for metric in ("Invocations", "Errors")
            ]

        assert [2, 1] == counts(hooked)
        assert [0, 0] == counts(plain)

    def test_alarm_looks_at_its_dimensions(self, hooked: Bench, plain: Bench) -> None:
        """Others' points of the same metric are none of its business."""

        def state(bench: Bench) -> str:
            name = alarm(bench, Dimensions=[{"Name": "service", "Value": "mine"}])
            put_things(bench, 5, service="another")
            return state_of(bench, name)

        assert "OK" == state(hooked)
        assert "ALARM" == state(plain)

    def test_alarm_returns(self, hooked: Bench) -> None:
        """It is raised in its period, tells so, and is over after that."""
        name = alarm(hooked, Dimensions=[{"Name": "service", "Value": "soon"}])

        put_things(hooked, 5, service="soon")
        assert "ALARM" == state_of(hooked, name)
        alarm(hooked, AlarmName=name, Dimensions=[{"Name": "service", "Value": "later"}])
        assert "OK" == state_of(hooked, name)

    @pytest.mark.parametrize(
        ("hours", "state"), [([], "ALARM"), ([24.5], "OK"), ([25.5], "ALARM"), ([30, 1], "OK")]
    )
    def test_missing_data(
        self, hooked: Bench, plain: Bench, hours: list[float], state: str
    ) -> None:
        """An alarm that waits for a point looks at all its periods, none of which is there."""
        dimension = {"service": f"{hours}"}
        waiting = {
            "Dimensions": [{"Name": "service", "Value": f"{hours}"}],
            "ComparisonOperator": "LessThanThreshold",
            "Period": 3600,
            "EvaluationPeriods": 25,
            "TreatMissingData": "breaching",
        }
        for ago in hours:
            put_things(hooked, 1, ago, **dimension)

        assert state == state_of(hooked, alarm(hooked, **waiting))
        assert "INSUFFICIENT_DATA" == state_of(plain, alarm(plain, **waiting, MetricName="None"))


def metric_sum(bench: Bench, namespace: str, metric: str, **dimensions: str) -> float:
    """Return the sum of a metric's points of the last hour."""
    answer = bench.standin.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=7200,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def put_things(bench: Bench, value: float, hours_ago: float = 0, **dimensions: str) -> None:
    datum = {
        "MetricName": "Waited",
        "Value": value,
        "Timestamp": time.time() - hours_ago * 3600,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    bench.standin.client("cloudwatch").put_metric_data(Namespace="Own", MetricData=[datum])


def alarm(bench: Bench, **changes: Any) -> str:
    """Make an alarm of a metric of at least 1; return its name."""
    made = {
        "AlarmName": bench.name("alarm"),
        "Namespace": "Own",
        "MetricName": "Waited",
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        **changes,
    }
    bench.standin.client("cloudwatch").put_metric_alarm(**made)
    return str(made["AlarmName"])


def state_of(bench: Bench, name: str) -> str:
    """Return an alarm's state, evaluated by the hook where it is there."""
    if not bench.standin.hooks_off:
        return bench.standin.evaluate_alarms()[name]
    (found,) = bench.standin.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(found["StateValue"])


class TestFaults:
    @pytest.fixture(autouse=True)
    def _clear(self, hooked: Bench) -> Iterator[None]:
        yield
        hooked.standin.clear_faults()

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ({"kind": "kill"}, "Runtime.ExitError"),
            ({"kind": "timeout"}, "Sandbox.Timedout"),
            (
                {"kind": "error", "error": "Lambda.TooManyRequestsException"},
                "Lambda.TooManyRequestsException",
            ),
        ],
    )
    def test_function(self, hooked: Bench, fault: Json, error: str) -> None:
        """A planned invocation fails, as often as planned."""
        function = hooked.function()
        suffix = function.rpartition(":")[2]
        planned = {"function": suffix, "match": '"id": 7', "times": 1, **fault}
        hooked.standin.set_faults([planned])
        task = invoke(function, **caught())
        machine = hooked.machine({"Work": task, **CAUGHT})

        def output(number: int) -> Any:
            return hooked.start(machine, {"id": number, "do": "sleep", "seconds": 3}).wait().output

        assert {"id": 1} == {"id": output(1)["event"]["id"]}
        assert error == output(7)["Error"]
        assert 7 == output(7)["event"]["id"]
        assert [0] == [left["times"] for left in hooked.standin.faults()]

    def test_service_of_machine(self, hooked: Bench) -> None:
        """A planned call of the machine itself fails."""
        error = "ProvisionedThroughputExceededException"
        fault = {"service": "dynamodb", "operation": "UpdateItem", "error": error, "times": None}
        hooked.standin.set_faults([fault])
        update = {
            "Type": "Task",
            "Resource": "arn:aws:states:::dynamodb:updateItem",
            "Arguments": {"TableName": "any", "Key": {"pk": {"S": "a"}}},
            "End": True,
        }

        assert f"DynamoDB.{error}" == hooked.run({"Take": update}).error

    @pytest.mark.parametrize(
        ("service", "operation", "call"),
        [
            ("dynamodb", "GetItem", "get_item(TableName='any', Key={'pk': {'S': 'a'}})"),
            ("s3", "PutObject", "put_object(Bucket='any', Key='key', Body=b'')"),
            ("s3", "GetObject", "get_object(Bucket='any', Key='key')"),
            ("sns", "Publish", "publish(TopicArn='arn:aws:sns:us-east-1:1:a', Message='text')"),
            ("secretsmanager", "GetSecretValue", "get_secret_value(SecretId='any')"),
        ],
    )
    def test_service_of_function(
        self, hooked: Bench, service: str, operation: str, call: str
    ) -> None:
        """A planned call of a function fails; the tests' own do not count."""
        fault = {"service": service, "operation": operation, "error": "PlannedError", "times": 1}
        hooked.standin.set_faults([fault])
        source = (
            "import boto3\nfrom botocore.exceptions import ClientError\n"
            "def lambda_handler(event, context):\n"
            f"    try:\n        boto3.client('{service}').{call}\n"
            "    except ClientError as error:\n        return error.response['Error']['Code']\n"
        )

        assert "PlannedError" == hooked.run({"Work": invoke(hooked.function(source))}).output

    def test_item_reader(self, hooked: Bench) -> None:
        """A planned read of a Map's items fails."""
        fault = {"service": "s3", "operation": "GetObject", "match": "list.json", "error": "Any"}
        hooked.standin.set_faults([fault])
        reader = {
            "Resource": "arn:aws:states:::s3:getObject",
            "Arguments": {"Bucket": "any", "Key": "list.json"},
        }
        map_state = distributed_map({"Done": {"Type": "Succeed"}}, ItemReader=reader)

        assert "States.ItemReaderFailed" == hooked.run({"Map": map_state}, {"items": []}).error

    def test_wrong_fault(self, hooked: Bench) -> None:
        """A fault that is spelled wrong is refused."""
        with pytest.raises(StandinError, match="fucntion"):
            hooked.standin.set_faults([{"fucntion": "a", "kind": "kill"}])


class TestLatency:
    @staticmethod
    def seconds_of(bench: Bench) -> float:
        """Return how long two children of one Map take, one after the other."""
        child = {"Work": invoke(bench.function())}
        map_state = distributed_map(child, MaxConcurrency=1)
        execution = bench.start(bench.machine({"Map": map_state}), {"items": [{}, {}]})
        execution.wait(20)
        history = execution.history()
        return float((history[-1]["timestamp"] - history[0]["timestamp"]).total_seconds())

    def test_planned(self, hooked: Bench) -> None:
        """Each child, each invocation and the one cold start take the time that is planned."""
        with Standin(
            accounts=2, speed=10, child_start=5, invocation=2, function_start=6
        ) as standin:
            planned = self.seconds_of(Bench(standin))
        unplanned = self.seconds_of(hooked)

        least = 2 * 0.5 + 2 * 0.2 + 0.6
        assert least <= planned <= least + unplanned + 0.5

    def test_waits(self) -> None:
        """A state machine's waits may be shorter than all else."""
        with Standin(accounts=0, speed=1, wait_speed=1000) as standin:
            began = time.monotonic()
            Bench(standin).run({"Wait": {"Type": "Wait", "Seconds": 300, "End": True}})

        assert 0.3 <= time.monotonic() - began < 10


class TestUsage:
    SOURCE = (
        "import boto3\n"
        "def lambda_handler(event, context):\n"
        "    room = bytearray(event['bytes'])\n"
        "    client = boto3.client('dynamodb')\n"
        "    put = {'PutRequest': {'Item': {'pk': {'S': 'a'}}}}\n"
        "    other = {'PutRequest': {'Item': {'pk': {'S': 'b'}}}}\n"
        "    client.batch_write_item(RequestItems={event['table']: [put, other]})\n"
        "    return len(room)\n"
    )

    def run(self, bench: Bench) -> tuple[Execution, str]:
        """Run a function twice, in the children of a Map, and return its name too."""
        table = bench.name("table")
        bench.standin.client("dynamodb").create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        function = bench.function(self.SOURCE)
        map_state = distributed_map({"Work": invoke(function)}, MaxConcurrency=1)
        event = {"bytes": 50_000_000, "table": table}
        execution = bench.start(bench.machine({"Map": map_state}), {"items": [event, event]})
        execution.wait(20)
        return execution, function.rpartition(":")[2]

    def test_function(self, hooked: Bench, plain: Bench) -> None:
        """Invocations, cold starts and the largest process are known; MiniStack tells none."""
        hooked.standin.forget_usage()
        _, name = self.run(hooked)
        used = hooked.standin.usage()["functions"][name]

        assert (2, 1) == (used["invocations"], used["starts"])
        assert 0 < used["processor_seconds"]
        assert used["seconds"] < 20
        assert 50_000_000 < used["peak_bytes"] < 300_000_000
        with pytest.raises((StandinError, json.JSONDecodeError)):
            plain.standin.usage()

    def test_requests(self, hooked: Bench) -> None:
        """Requests are counted by caller, with their items; those of tests are not."""
        hooked.standin.forget_usage()
        _, name = self.run(hooked)
        requests = hooked.standin.usage()["requests"]
        named = {"caller": name, "service": "dynamodb", "operation": "BatchWriteItem"}

        assert {**named, "kind": "", "count": 2, "items": 4} in requests
        assert {"state machine", name} == {request["caller"] for request in requests}

    def test_execution(self, hooked: Bench) -> None:
        """A run's size counts a transition for each state entered and each child started."""
        execution, _ = self.run(hooked)
        sizes = hooked.standin.usage()["executions"]
        (size,) = (one for one in sizes if one["arn"] == execution.arn)

        assert 2 == size["children"]
        assert (2, 4) == (size["most_child_transitions"], size["child_transitions"])
        assert 5 == size["transitions"]
        assert len(execution.history()) == size["events"]
        children = [len(child.history()) for child in execution.children()]
        assert max(children) == size["most_child_events"]
        assert 100 < size["largest_payload"] < 1000

    def test_repeated_task(self, hooked: Bench) -> None:
        """A task that is repeated is a transition each time."""
        retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "IntervalSeconds": 1}]
        task = invoke(hooked.function(), {"do": "raise"}, Retry=retry)
        execution = hooked.start(hooked.machine({"Work": task}))
        execution.wait(20)
        sizes = hooked.standin.usage()["executions"]

        assert [3] == [one["transitions"] for one in sizes if one["arn"] == execution.arn]
