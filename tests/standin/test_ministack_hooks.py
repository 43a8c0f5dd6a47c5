"""Each hook does what AWS does.

Whether a new MiniStack still needs a hook, STANDIN_HOOKS_OFF tells: with its name, a test fails.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import WaiterError
from standin.standin import Execution, Stack, Standin, StandinError
from support.bench import CAUGHT, Bench, caught, distributed_map, invoke

Json = dict[str, Any]


@pytest.fixture(name="bench", scope="module")
def _bench() -> Iterator[Bench]:
    with Standin(accounts=2, speed=10) as standin:
        yield Bench(standin)


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Tell whether `holds` came true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def waiting(seconds: int) -> Json:
    """Return the only state of a machine that waits."""
    return {"Wait": {"Type": "Wait", "Seconds": seconds, "End": True}}


def integration(action: str, arguments: Json) -> Json:
    """Return a Task state that calls a service, such as `sns:publish`."""
    resource = f"arn:aws:states:::{action}"
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}


def event_types(execution: Execution) -> list[str]:
    return [event["type"] for event in execution.history()]


class TestFunctionErrors:
    def test_exception(self, bench: Bench) -> None:
        """It is known by the name of its class; the cause is Lambda's report of it."""
        task = invoke(bench.function(), {"do": "raise"})
        outcome = bench.run({"Work": task})
        report = json.loads(outcome.cause or "")

        assert "ThrottledError" == outcome.error
        assert "slow down" == report["errorMessage"]
        assert "ThrottledError" == report["errorType"]
        assert "handler.py" in report["stackTrace"][0]

    @pytest.mark.parametrize(
        ("event", "function", "error"),
        [
            ({"do": "die"}, {}, "Runtime.ExitError"),
            ({"do": "sleep", "seconds": 50}, {"timeout": 1}, "Sandbox.Timedout"),
            ({}, {"source": "import missing_module"}, "Runtime.ImportModuleError"),
        ],
    )
    def test_runtime(self, bench: Bench, event: Json, function: Json, error: str) -> None:
        """A function that dies, takes too long or has no such module has Lambda's error."""
        assert error == bench.run({"Work": invoke(bench.function(**function), event)}).error

    def test_worker_survives(self, bench: Bench) -> None:
        """An exception does not end the execution environment."""
        function = bench.function()
        catch = [{"ErrorEquals": ["States.ALL"], "Next": "B"}]
        first = invoke(function, {"do": "raise"}, Catch=catch, Next="B")

        assert 2 == bench.run({"A": first, "B": invoke(function)}).output["calls"]


class TestFunctionTime:
    def test_sleep(self, bench: Bench) -> None:
        """A function sleeps shorter where the stand-in is faster, and does not notice."""
        source = (
            "import time\n"
            "def lambda_handler(event, context):\n"
            "    start, real = time.monotonic(), time.perf_counter()\n"
            "    time.sleep(2)\n"
            "    return [time.monotonic() - start, time.perf_counter() - real]\n"
        )
        output = bench.run({"Work": invoke(bench.function(source))}).output

        assert [2, 0] == [round(number) for number in output]


class TestFunctionLogs:
    def test_complete(self, bench: Bench) -> None:
        """An invocation's log has what it printed, and the exception it ended with."""
        source = (
            "def lambda_handler(event, context):\n"
            "    print('printed', event)\n"
            "    raise KeyError('raised')\n"
        )
        function = bench.function(source)
        bench.run({"Work": invoke(function, 7)})
        group = "/aws/lambda/" + function.rpartition(":")[2]
        events = bench.standin.client("logs").filter_log_events(logGroupName=group)["events"]
        log = "\n".join(event["message"] for event in events)

        assert "printed 7" in log
        assert "[ERROR] KeyError: 'raised'" in log
        assert "end of log" not in log

    def test_speed(self, bench: Bench) -> None:
        """A function that logs nothing is not waited for."""
        source = "def lambda_handler(event, context): return 1"
        machine = bench.machine({"Work": invoke(bench.function(source))})
        durations = []
        for _ in range(4):
            execution = bench.start(machine)
            execution.wait()
            times = {event["type"]: event["timestamp"] for event in execution.history()}
            durations.append(times["TaskSucceeded"] - times["TaskScheduled"])

        assert min(durations).total_seconds() < 0.05


def test_shared_code(bench: Bench) -> None:
    """The workers of a function share its extracted code."""
    bench.run({"Work": invoke(bench.function())})
    folders = list(bench.standin.directory.glob("ministack-lambda-*/code"))

    assert folders
    assert all(folder.is_symlink() for folder in folders)


class TestInterpreter:
    def test_succeed_output(self, bench: Bench) -> None:
        """A Succeed state's Output is the execution's output."""
        assert 2 == bench.run({"Done": {"Type": "Succeed", "Output": "{% 1 + 1 %}"}}).output

    def test_machine_timeout(self, bench: Bench) -> None:
        """A machine that takes longer than its TimeoutSeconds is TIMED_OUT."""
        assert "TIMED_OUT" == bench.run(waiting(20), TimeoutSeconds=1).status

    def test_payload_limit(self, bench: Bench) -> None:
        """No state's output is larger than 256 KiB."""
        states = {
            "Big": {"Type": "Pass", "Output": "{% $pad('', 300000, 'x') %}", "Next": "Small"},
            "Small": {"Type": "Pass", "Output": 1, "End": True},
        }

        assert "States.DataLimitExceeded" == bench.run(states).error

    def test_assigned_variables(self, bench: Bench) -> None:
        """The history shows what a state assigned."""
        states = {"Set": {"Type": "Pass", "Assign": {"a": "{% 1 %}"}, "End": True}}
        execution = bench.execute(states)
        exited = next(e for e in execution.history() if e["type"] == "PassStateExited")

        assert {"a": "1"} == exited["stateExitedEventDetails"]["assignedVariables"]

    def test_status_events(self, bench: Bench) -> None:
        """Rules see how the machine's executions end, and nothing of the children."""
        url, arn = bench.queue()
        child = {"Fail": {"Type": "Fail", "Error": "ChildError"}}
        states = {"Map": distributed_map(child, ToleratedFailurePercentage=0)}
        machine = bench.machine(states)
        pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED", "SUCCEEDED"]}}
        bench.rule(pattern, {"Arn": arn})
        bench.start(machine, {"items": [1]}).wait()
        details = [json.loads(message["Body"])["detail"] for message in bench.received(url)]

        assert [(machine, "FAILED")] == [(d["stateMachineArn"], d["status"]) for d in details]

    def test_list_executions(self, bench: Bench) -> None:
        """A machine's list has its executions, and not their children."""
        child = {"Done": {"Type": "Succeed"}}
        machine = bench.machine({"Map": distributed_map(child)})
        execution = bench.start(machine, {"items": [1, 2]})
        execution.wait()
        answer = bench.standin.client("stepfunctions").list_executions(stateMachineArn=machine)

        assert [execution.arn] == [found["executionArn"] for found in answer["executions"]]


class TestStopping:
    def test_children(self, bench: Bench) -> None:
        """The Map Run and the children are stopped, and counted, at once; no others are started."""
        child = {"Work": invoke(bench.function(), {"do": "sleep", "seconds": 50})}
        map_state = distributed_map(child, MaxConcurrency=2)
        execution = bench.start(bench.machine({"Map": map_state}), {"items": [1, 2, 3]})
        assert wait_until(lambda: len(_children(execution)) == 2)
        before = execution.map_runs()[0]["itemCounts"]
        execution.stop(error="Stopped", cause="by hand")
        (run,) = execution.map_runs()
        after = run["itemCounts"]
        time.sleep(1)

        assert (2, 1, 0) == (before["running"], before["pending"], before["aborted"])
        assert (0, 0, 3) == (after["running"], after["pending"], after["aborted"])
        assert ("ABORTED", "Stopped") == (execution.status(), execution.describe()["error"])
        assert "ExecutionAborted" == event_types(execution)[-1]
        assert "ABORTED" == run["status"]
        assert ["ABORTED"] * 2 == [child.status() for child in _children(execution)]

    def test_wait(self, bench: Bench) -> None:
        """A stopped execution adds nothing to its history when its wait would be over."""
        execution = bench.start(bench.machine(waiting(5)))
        assert wait_until(lambda: "WaitStateEntered" in event_types(execution))
        execution.stop()
        time.sleep(0.7)

        assert "ExecutionAborted" == event_types(execution)[-1]


def _children(execution: Execution) -> list[Execution]:
    return execution.children() if execution.map_runs() else []


def test_terminal_errors(bench: Bench) -> None:
    """States.ALL does not catch States.DataLimitExceeded."""
    child = {"Fail": {"Type": "Fail", "Error": "States.DataLimitExceeded"}}
    processor = {"StartAt": "Fail", "States": child}
    map_state = {"Type": "Map", "ItemProcessor": processor, "End": True, **caught()}

    assert "FAILED" == bench.run({"Map": map_state, **CAUGHT}, [1]).status


def test_idempotent_start(bench: Bench) -> None:
    """A running execution's name and input give the same one; another input is refused."""
    machine = bench.machine(waiting(20))

    assert 1 == len({bench.start(machine, name="once").arn for _ in range(2)})
    with pytest.raises(Exception, match="ExecutionAlreadyExists"):
        bench.start(machine, {"a": 1}, name="once")


def test_assignments(bench: Bench) -> None:
    """All expressions of an Assign see the variables as they were before."""
    states = {
        "First": {"Type": "Pass", "Assign": {"a": 1, "b": 2}, "Next": "Swap"},
        "Swap": {"Type": "Pass", "Assign": {"a": "{% $b %}", "b": "{% $a %}"}, "Next": "End"},
        "End": {"Type": "Pass", "Output": "{% [$a, $b] %}", "End": True},
    }

    assert [2, 1] == bench.run(states).output


class TestChoices:
    def test_default_output(self, bench: Bench) -> None:
        """The Output of a Choice applies where it falls to its Default."""
        choice = {
            "Type": "Choice",
            "Choices": [{"Condition": "{% false %}", "Next": "End"}],
            "Default": "End",
            "Output": 7,
        }

        assert 7 == bench.run({"Choose": choice, "End": {"Type": "Pass", "End": True}}).output

    def test_condition(self, bench: Bench) -> None:
        """A Condition that is no boolean is an error."""
        choice = {
            "Type": "Choice",
            "Choices": [{"Condition": "{% 'text' %}", "Next": "End"}],
            "Default": "End",
        }
        states = {"Choose": choice, "End": {"Type": "Pass", "End": True}}

        assert "States.QueryEvaluationError" == bench.run(states).error

    def test_assign_and_output(self, bench: Bench) -> None:
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

        assert [2, 3] == bench.run(states, {"a": 1}).output


class TestTasks:
    def test_history(self, bench: Bench) -> None:
        """The history shows each attempt with its arguments, as AWS does."""
        task = invoke(bench.function(), {"do": "raise"}, Retry=[_retrier(MaxAttempts=1)])
        found = bench.execute({"Work": task})

        attempt = ["TaskScheduled", "TaskStarted", "TaskFailed"]
        expected = ["ExecutionStarted", "TaskStateEntered", *attempt, *attempt, "ExecutionFailed"]
        scheduled = found.history()[2]["taskScheduledEventDetails"]
        assert expected == event_types(found)
        assert {"do": "raise"} == json.loads(scheduled["parameters"])["Payload"]
        assert ("lambda", "invoke") == (scheduled["resourceType"], scheduled["resource"])

    def test_arguments_limit(self, bench: Bench) -> None:
        """A call's arguments are not larger than 256 KiB either."""
        task = invoke(bench.function(), {"text": "{% $pad('', 300000, 'x') %}"})

        assert "States.DataLimitExceeded" == bench.run({"Work": task}).error

    def test_timeout(self, bench: Bench) -> None:
        """TimeoutSeconds may be an expression."""
        event = {"do": "sleep", "seconds": 30}
        task = invoke(bench.function(), event, TimeoutSeconds="{% 1 %}")

        assert "States.Timeout" == bench.run({"Work": task}).error

    def test_catch(self, bench: Bench) -> None:
        """A catcher's Assign and Output apply to the error it catches."""
        catcher = {
            "ErrorEquals": ["ThrottledError"],
            "Assign": {"name": "{% $states.errorOutput.Error %}"},
            "Output": "{% $merge([$states.input, {'seen': true}]) %}",
            "Next": "End",
        }
        task = invoke(bench.function(), {"do": "raise"}, Catch=[catcher])
        end = {"Type": "Fail", "Error": "{% $name %}", "Cause": "{% $string($states.input.seen) %}"}
        outcome = bench.run({"Work": task, "End": end})

        assert ("ThrottledError", "true") == (outcome.error, outcome.cause)


class TestRetryDelays:
    def test_max_delay(self, bench: Bench) -> None:
        """A retrier waits no longer than MaxDelaySeconds."""
        retrier = _retrier(IntervalSeconds=30, MaxDelaySeconds=1, MaxAttempts=1)

        assert _seconds_to_fail(bench, retrier) < 1.5

    def test_jitter(self, bench: Bench) -> None:
        """A retrier with jitter waits shorter than its interval."""
        retrier = _retrier(IntervalSeconds=10, JitterStrategy="FULL", MaxAttempts=4, BackoffRate=1)

        assert _seconds_to_fail(bench, retrier) < 4.0


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
    def test_fields(self, bench: Bench) -> None:
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

        assert [2, 4, 6, 3] == bench.run(states, {"items": [1, 2, 3]}).output

    def test_item_reader(self, bench: Bench) -> None:
        """The reader's arguments, the concurrency and the tolerance may be expressions."""
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

        assert ["a", "b"] == bench.run({"Map": map_state}, {"key": "list.json"}).output

    def test_missing_object(self, bench: Bench) -> None:
        """An object that cannot be read fails the Map."""
        reader = {
            "Resource": "arn:aws:states:::s3:getObject",
            "Arguments": {"Bucket": "nowhere", "Key": "list.json"},
        }
        map_state = distributed_map({"Done": {"Type": "Succeed"}}, ItemReader=reader)

        assert "States.ItemReaderFailed" == bench.run({"Map": map_state}).error

    def test_order(self, bench: Bench) -> None:
        """The result is in the order of the items, whatever the order of the ends."""
        child = {
            "Wait": {"Type": "Wait", "Seconds": "{% 4 - $states.input %}", "Next": "Done"},
            "Done": {"Type": "Succeed"},
        }
        outcome = bench.run({"Map": distributed_map(child)}, {"items": [1, 2, 3]})

        assert [1, 2, 3] == outcome.output

    def test_failed_child(self, bench: Bench) -> None:
        """A failed child adds its whole record to the result."""
        child = {"Fail": {"Type": "Fail", "Error": "ChildError", "Cause": "why"}}
        map_state = distributed_map(child, ToleratedFailurePercentage=100)
        (record,) = bench.run({"Map": map_state}, {"items": [{"id": 1}]}).output

        assert ("FAILED", "ChildError", "why") == tuple(
            record[name] for name in ("Status", "Error", "Cause")
        )
        assert {"id": 1} == json.loads(record["Input"])

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
    def test_tolerance(self, bench: Bench, tolerance: Json, status: str) -> None:
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
        outcome = bench.run({"Map": map_state}, {"items": [1, 2, 3, 4]})

        assert status == outcome.status
        assert outcome.error in (None, "States.ExceedToleratedFailureThreshold")

    def test_child_context(self, bench: Bench) -> None:
        """A child's context is its own execution, with the states in its history."""
        told = {"Type": "Pass", "Output": "{% $states.context.Execution.Id %}", "End": True}
        machine = bench.machine({"Map": distributed_map({"Tell": told})})
        execution = bench.start(machine, {"items": [1]})
        output = execution.wait().output
        (child,) = execution.children()

        assert [child.arn] == output
        assert ["Tell"] == child.states()
        assert "/EachItem:" in child.arn

    def test_outer_variables(self, bench: Bench) -> None:
        """A child does not see the variables of its parent."""
        child = {"Tell": {"Type": "Pass", "Output": "{% $outer %}", "End": True}}
        states = {
            "Set": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "Map"},
            "Map": distributed_map(child, ToleratedFailurePercentage=100),
        }
        (record,) = bench.run(states, {"items": [1]}).output

        assert "States.QueryEvaluationError" == record["Error"]

    def test_result_limit(self, bench: Bench) -> None:
        """A result above 256 KiB ends the machine, past any catcher."""
        child = {"Big": {"Type": "Pass", "Output": "{% $pad('', 150000, 'x') %}", "End": True}}
        map_state = distributed_map(child, Output="{% 1 %}", **caught())
        states = {"Map": map_state, **CAUGHT}

        assert "States.DataLimitExceeded" == bench.run(states, {"items": [1, 2]}).error

    def test_map_run_record(self, bench: Bench) -> None:
        """DescribeMapRun tells limits and counts while the Map runs and afterwards."""
        map_state = distributed_map(waiting(5), MaxConcurrency=1, ToleratedFailurePercentage=20)
        execution = bench.start(bench.machine({"Map": map_state}), {"items": [1, 2]})
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


def test_message_attributes(bench: Bench) -> None:
    """A message published by a machine keeps its attributes."""
    sns = bench.standin.client("sns")
    topic = sns.create_topic(Name=bench.name("topic"))["TopicArn"]
    url, arn = bench.queue()
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    given = {"status": {"DataType": "String", "StringValue": "partial"}}
    message = {"TopicArn": topic, "Message": "text", "MessageAttributes": given}
    bench.run({"Publish": integration("sns:publish", message)})
    (received,) = bench.received(url)

    expected = {"status": {"Type": "String", "Value": "partial"}}
    assert expected == json.loads(received["Body"])["MessageAttributes"]


def nested_start(machine: str) -> Json:
    """A Task state that starts an execution of `machine`, and does not wait for its end."""
    arguments = {
        "StateMachineArn": machine,
        "Name": "{% $states.input.name & '-next' %}",
        "Input": {"number": "{% $states.input.number %}"},
    }
    return integration("states:startExecution", arguments)


class TestNestedStart:
    INPUT: ClassVar[Json] = {"name": "run", "number": 7}

    def test_starts(self, bench: Bench) -> None:
        """The task ends at once, with the new execution's ARN; that gets the input."""
        machine = bench.machine(waiting(5))
        outcome = bench.run({"Start": nested_start(machine)}, self.INPUT)
        started = Execution(bench.standin, outcome.output["ExecutionArn"])

        assert started.arn == f"{machine.replace(':stateMachine:', ':execution:')}:run-next"
        assert {"number": 7} == started.input()
        assert "SUCCEEDED" == started.wait().status

    def test_repeated_start(self, bench: Bench) -> None:
        """As long as it runs, an execution of the same name and input is the same one."""
        starting = bench.machine({"Start": nested_start(bench.machine(waiting(20)))})
        outcomes = [bench.start(starting, self.INPUT).wait() for _ in range(2)]

        assert 1 == len({outcome.output["ExecutionArn"] for outcome in outcomes})

    def test_existing_name(self, bench: Bench) -> None:
        """The name of an execution that has ended is refused, under the integration's error."""
        machine = bench.machine({"Done": {"Type": "Succeed"}})
        bench.start(machine, name="run-next").wait()
        outcome = bench.run({"Start": nested_start(machine)}, self.INPUT)

        assert "StepFunctions.ExecutionAlreadyExistsException" == outcome.error

    def test_missing_machine(self, bench: Bench) -> None:
        """So is a machine that does not exist."""
        machine = "arn:aws:states:us-east-1:999999999999:stateMachine:missing"
        outcome = bench.run({"Start": nested_start(machine)}, self.INPUT)

        assert "StepFunctions.StateMachineDoesNotExistException" == outcome.error


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
    def test_aws_source(self, bench: Bench) -> None:
        """An event of an AWS service reaches the rules as it is."""
        url, arn = bench.queue()
        bench.rule({"source": ["aws.account"]}, {"Arn": arn})
        bench.standin.put_event(EVENT)
        (message,) = bench.received(url)

        assert EVENT == {name: json.loads(message["Body"])[name] for name in EVENT}

    def test_other_region(self, bench: Bench) -> None:
        """A rule's target may be the bus of another region, where the event arrives as it is."""
        region = "eu-west-1"
        sqs, there = (bench.standin.client(name, region) for name in ("sqs", "events"))
        url = sqs.create_queue(QueueName="forwarded")["QueueUrl"]
        arn = f"arn:aws:sqs:{region}:999999999999:forwarded"
        there.put_rule(Name="arrive", EventPattern='{"source": ["forward"]}')
        there.put_targets(Rule="arrive", Targets=[{"Id": "queue", "Arn": arn}])
        bus = f"arn:aws:events:{region}:999999999999:event-bus/default"
        bench.rule({"source": ["forward"]}, {"Arn": bus})
        bench.standin.put_event({"source": "forward", "detail-type": "Test", "detail": {}})
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]

        event = json.loads(message["Body"])
        assert (event["source"], event["region"]) == ("forward", "us-east-1")

    def test_dead_letter(self, bench: Bench) -> None:
        """An event that a machine cannot take goes to the target's dead-letter queue."""
        url, arn = bench.queue()
        machine = bench.machine({"Done": {"Type": "Succeed"}})
        bench.rule({"source": ["test"]}, {"Arn": machine, "DeadLetterConfig": {"Arn": arn}})
        bench.standin.client("stepfunctions").delete_state_machine(stateMachineArn=machine)
        bench.standin.put_event({"source": "test", "detail-type": "Test", "detail": {"number": 1}})

        (letter,) = bench.received(url)
        assert {"number": 1} == json.loads(letter["Body"])["detail"]
        assert "RULE_ARN" in letter["MessageAttributes"]


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
  Worker: {Value: !GetAtt Worker.Arn}
"""


@pytest.fixture(name="names", scope="module")
def _names(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Deploy the template; return what it made."""
    template = tmp_path_factory.mktemp("stack") / "template.yaml"
    template.write_text(TEMPLATE)
    return bench.standin.deploy(template=template, stack_name="resources").outputs


class TestCloudFormation:
    def test_environment(self, bench: Bench, names: dict[str, str]) -> None:
        """Numbers and booleans in a function's environment are text."""
        assert ["7", "true"] == bench.run({"Work": invoke(names["Worker"])}).output

    def test_table(self, bench: Bench, names: dict[str, str]) -> None:
        """A table has the encryption and the backups of its template."""
        dynamodb, name = bench.standin.client("dynamodb"), names["Table"]
        table = dynamodb.describe_table(TableName=name)["Table"]
        backups = dynamodb.describe_continuous_backups(TableName=name)
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]

        assert names["Key"] == table["SSEDescription"]["KMSMasterKeyArn"]
        assert "ENABLED" == recovery["PointInTimeRecoveryStatus"]

    def test_trail(self, bench: Bench, tmp_path: Path) -> None:
        """A trail is made and on, is changed, and goes with its stack; its last log comes late."""
        made = {"TrailName": "made", "S3BucketName": "logs", "IsLogging": True}
        s3 = bench.standin.client("s3")
        s3.create_bucket(Bucket="logs")
        stack = deploy_one(bench, tmp_path, "AWS::CloudTrail::Trail", made)
        client = bench.standin.client("cloudtrail")

        assert client.get_trail_status(Name="made")["IsLogging"]
        deploy_one(bench, tmp_path, "AWS::CloudTrail::Trail", {**made, "IsMultiRegionTrail": True})
        assert client.get_trail(Name="made")["Trail"]["IsMultiRegionTrail"]
        stack.delete()
        assert [] == client.describe_trails()["trailList"]
        assert 1 == s3.list_objects_v2(Bucket="logs")["KeyCount"]

    def test_full_bucket(self, bench: Bench, tmp_path: Path) -> None:
        """A bucket that holds something keeps its stack."""
        stack = deploy_one(bench, tmp_path, "AWS::S3::Bucket", {"BucketName": "full"})
        bench.standin.client("s3").put_object(Bucket="full", Key="any")

        with pytest.raises(WaiterError, match="DELETE_FAILED"):
            stack.delete()

    def test_query_definition(self, bench: Bench, tmp_path: Path) -> None:
        """A query definition does not end a deployment."""
        made = {"Name": "a/query", "QueryString": "fields @message"}

        deploy_one(bench, tmp_path, "AWS::Logs::QueryDefinition", made).delete()


def deploy_one(bench: Bench, folder: Path, kind: str, properties: Json) -> Stack:
    """Deploy a template of one resource."""
    template = folder / "one.yaml"
    made = {"Type": kind, "Properties": properties}
    template.write_text(json.dumps({"Resources": {"Made": made}}))
    return bench.standin.deploy(template=template, stack_name=f"one-{kind.rpartition(':')[2]}")


class TestMonitoring:
    def test_log_metrics(self, bench: Bench) -> None:
        """What a function logs in the embedded format is a metric."""
        metrics = {
            "Namespace": "Own",
            "Dimensions": [["service"]],
            "Metrics": [{"Name": "Things", "Unit": "Count"}],
        }
        about = {"Timestamp": 0, "CloudWatchMetrics": [metrics]}
        blob = {"_aws": about, "service": "one", "Things": [2.0, 3.0]}
        source = f"def lambda_handler(event, context):\n    print({json.dumps(blob)!r})\n"
        bench.run({"Work": invoke(bench.function(source))})

        assert 5 == metric_sum(bench, "Own", "Things", service="one")

    @pytest.mark.parametrize(
        ("state", "ending"),
        [
            ({"Type": "Succeed"}, "ExecutionsSucceeded"),
            ({"Type": "Fail", "Error": "Any"}, "ExecutionsFailed"),
        ],
    )
    def test_execution_metrics(self, bench: Bench, state: Json, ending: str) -> None:
        """Executions are counted by how they end."""
        machine = bench.machine({"End": state})
        bench.start(machine).wait()

        for name in ("ExecutionsStarted", ending):
            assert 1 == metric_sum(bench, "AWS/States", name, StateMachineArn=machine)

    def test_function_metrics(self, bench: Bench) -> None:
        """Each invocation by a machine counts, and each exception is an error."""
        function = bench.function()
        for event in ({}, {"do": "raise"}):
            bench.run({"Work": invoke(function, event)})

        name = function.rpartition(":")[2]
        assert 2 == metric_sum(bench, "AWS/Lambda", "Invocations", FunctionName=name)
        assert 1 == metric_sum(bench, "AWS/Lambda", "Errors", FunctionName=name)

    def test_alarm(self, bench: Bench) -> None:
        """It is raised by points of its own dimensions alone, and is over when they are."""
        name = alarm(bench, Dimensions=[{"Name": "service", "Value": "soon"}])

        put_things(bench, 5, service="another")
        assert "OK" == bench.standin.evaluate_alarms()[name]
        put_things(bench, 5, service="soon")
        assert "ALARM" == bench.standin.evaluate_alarms()[name]
        alarm(bench, AlarmName=name, Dimensions=[{"Name": "service", "Value": "later"}])
        assert "OK" == bench.standin.evaluate_alarms()[name]

    @pytest.mark.parametrize(
        ("hours", "state"), [([], "ALARM"), ([24.5], "OK"), ([25.5], "ALARM"), ([30, 1], "OK")]
    )
    def test_missing_data(self, bench: Bench, hours: list[float], state: str) -> None:
        """An alarm that waits for a point looks at all its periods, none of which is there."""
        for ago in hours:
            put_things(bench, 1, ago, service=f"{hours}")

        name = alarm(
            bench,
            Dimensions=[{"Name": "service", "Value": f"{hours}"}],
            ComparisonOperator="LessThanThreshold",
            Period=3600,
            EvaluationPeriods=25,
            TreatMissingData="breaching",
        )
        assert state == bench.standin.evaluate_alarms()[name]


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


class TestFaults:
    @pytest.fixture(autouse=True)
    def _clear(self, bench: Bench) -> Iterator[None]:
        yield
        bench.standin.clear_faults()

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ({"kind": "kill"}, "Runtime.ExitError"),
            (
                {"kind": "error", "error": "Lambda.TooManyRequestsException"},
                "Lambda.TooManyRequestsException",
            ),
        ],
    )
    def test_function(self, bench: Bench, fault: Json, error: str) -> None:
        """A planned invocation fails, as often as planned."""
        function = bench.function()
        suffix = function.rpartition(":")[2]
        planned = {"function": suffix, "match": '"id": 7', "times": 1, **fault}
        bench.standin.set_faults([planned])
        task = invoke(function, **caught())
        machine = bench.machine({"Work": task, **CAUGHT})

        def output(number: int) -> Any:
            return bench.start(machine, {"id": number, "do": "sleep", "seconds": 3}).wait().output

        assert 1 == output(1)["event"]["id"]
        assert error == output(7)["Error"]
        assert 7 == output(7)["event"]["id"]
        assert [0] == [left["times"] for left in bench.standin.faults()]

    @pytest.mark.parametrize(
        ("service", "action", "prefix"),
        [("dynamodb", "updateItem", "DynamoDB"), ("states", "startExecution", "StepFunctions")],
    )
    def test_service_of_machine(self, bench: Bench, service: str, action: str, prefix: str) -> None:
        """A planned call of the machine itself fails, under the integration's error."""
        operation = action[0].upper() + action[1:]
        fault = {"service": service, "operation": operation, "match": "mine", "error": "AnyError"}
        bench.standin.set_faults([fault])

        work = integration(f"{service}:{action}", {"TableName": "mine"})
        assert f"{prefix}.AnyError" == bench.run({"Work": work}).error

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
        self, bench: Bench, service: str, operation: str, call: str
    ) -> None:
        """A planned call of a function fails; the tests' own do not count."""
        fault = {"service": service, "operation": operation, "error": "PlannedError", "times": 1}
        bench.standin.set_faults([fault])
        source = (
            "import boto3\nfrom botocore.exceptions import ClientError\n"
            "def lambda_handler(event, context):\n"
            f"    try:\n        boto3.client('{service}').{call}\n"
            "    except ClientError as error:\n        return error.response['Error']['Code']\n"
        )

        assert "PlannedError" == bench.run({"Work": invoke(bench.function(source))}).output

    def test_item_reader(self, bench: Bench) -> None:
        """A planned read of a Map's items fails."""
        fault = {"service": "s3", "operation": "GetObject", "match": "list.json", "error": "Any"}
        bench.standin.set_faults([fault])
        reader = {
            "Resource": "arn:aws:states:::s3:getObject",
            "Arguments": {"Bucket": "any", "Key": "list.json"},
        }
        map_state = distributed_map({"Done": {"Type": "Succeed"}}, ItemReader=reader)

        assert "States.ItemReaderFailed" == bench.run({"Map": map_state}).error

    def test_wrong_fault(self, bench: Bench) -> None:
        """A fault that is spelled wrong is refused."""
        with pytest.raises(StandinError, match="fucntion"):
            bench.standin.set_faults([{"fucntion": "a", "kind": "kill"}])


class TestLatency:
    @staticmethod
    def seconds_of(bench: Bench) -> float:
        """Return how long two children of one Map take, one after the other."""
        child = {"Work": invoke(bench.function())}
        map_state = distributed_map(child, MaxConcurrency=1)
        execution = bench.execute({"Map": map_state}, {"items": [{}, {}]})
        history = execution.history()
        return float((history[-1]["timestamp"] - history[0]["timestamp"]).total_seconds())

    def test_planned(self) -> None:
        """Each child, each invocation and the one cold start take the time that is planned."""
        with Standin(
            accounts=2, speed=10, child_start=5, invocation=2, function_start=6
        ) as standin:
            planned = self.seconds_of(Bench(standin))

        least = 2 * 0.5 + 2 * 0.2 + 0.6
        # Without the speed, it would be ten times as much.
        assert least <= planned < 5 * least

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

    def test_map(self, bench: Bench) -> None:
        """Functions and requests, those of tests not, are counted; so are transitions of a run.

        A transition is each state entered and each child started.
        """
        bench.standin.client("dynamodb").create_table(
            TableName="usage",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        bench.standin.forget_usage()
        function = bench.function(self.SOURCE)
        map_state = distributed_map({"Work": invoke(function)}, MaxConcurrency=1)
        items = {"items": [{"bytes": 50_000_000, "table": "usage"}] * 2}
        execution = bench.execute({"Map": map_state}, items)
        found, name = bench.standin.usage(), function.rpartition(":")[2]

        used = found["functions"][name]
        assert (2, 1) == (used["invocations"], used["starts"])
        assert 0 < used["processor_seconds"]
        assert used["seconds"] < 20
        assert 50_000_000 < used["peak_bytes"] < 300_000_000

        named = {"caller": name, "service": "dynamodb", "operation": "BatchWriteItem"}
        assert {**named, "kind": "", "count": 2, "items": 4} in found["requests"]
        assert {"state machine", name} == {request["caller"] for request in found["requests"]}

        (size,) = (one for one in found["executions"] if one["arn"] == execution.arn)
        assert 2 == size["children"]
        assert 4 == size["child_transitions"]
        assert 5 == size["transitions"]
        assert len(execution.history()) == size["events"]
        children = [len(child.history()) for child in execution.children()]
        assert max(children) == size["most_child_events"]
        assert 100 < size["largest_payload"] < 1000

    def test_repeated_task(self, bench: Bench) -> None:
        """A task that is repeated is a transition each time."""
        retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "IntervalSeconds": 1}]
        task = invoke(bench.function(), {"do": "raise"}, Retry=retry)
        execution = bench.execute({"Work": task})
        sizes = bench.standin.usage()["executions"]

        assert [3] == [one["transitions"] for one in sizes if one["arn"] == execution.arn]
