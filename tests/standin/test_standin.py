"""The stand-in starts, deploys, shows what happened, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from standin import package
from standin.standin import MINISTACK_PYTHON, Stack, Standin, StandinError
from support.bench import distributed_map, invoke
from support.search import search

Json = dict[str, Any]

SCRIPTS = Path(__file__).parents[2] / "scripts"
CANARY = 'Zoë "canary" canary@example.com'

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Runtime: {Type: String, Default: python3.13}
  Architecture: {Type: String, Default: arm64}
  Number: {Type: String, Default: "1"}
Globals:
  Function:
    CodeUri: functions/
    Runtime: !Ref Runtime
    Architectures: [!Ref Architecture]
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub "${AWS::StackName}-runs"
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${AWS::StackName}-state"
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Handler: worker.handler.lambda_handler
      Role: !GetAtt Role.Arn
      Environment:
        Variables: {NUMBER: !Ref Number, LIMIT: 5, IS_TEST: true}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: !Sub "${AWS::StackName}-machine"
      DefinitionUri: statemachine/machine.asl.json
      Role: !GetAtt Role.Arn
      DefinitionSubstitutions:
        WorkerFunctionArn: !GetAtt Worker.Arn
Outputs:
  StateMachineArn: {Value: !Ref Machine}
  TableName: {Value: !Ref Table}
  BucketName: {Value: !Ref Bucket}
"""

EACH_ITEM = distributed_map({"Work": invoke("${WorkerFunctionArn}")})
DEFINITION = {"QueryLanguage": "JSONata", "StartAt": "Each", "States": {"Each": EACH_ITEM}}

HANDLER = """
import os


def lambda_handler(event, context):
    print("works on", event)
    return [os.environ["NUMBER"], os.environ["LIMIT"], os.environ["IS_TEST"]]
"""


@pytest.fixture(name="application", scope="module")
def _application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small application; return its template."""
    folder = tmp_path_factory.mktemp("application")
    files = {
        "template.yaml": TEMPLATE,
        "statemachine/machine.asl.json": json.dumps(DEFINITION),
        "functions/requirements.txt": "",
        "functions/worker/__init__.py": "",
        "functions/worker/handler.py": HANDLER,
    }
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "template.yaml"


@pytest.fixture(name="standin", scope="module")
def _standin() -> Iterator[Standin]:
    with Standin(accounts=3) as standin:
        yield standin


@pytest.fixture(name="stack", scope="module")
def _stack(standin: Standin, application: Path) -> Stack:
    return standin.deploy(template=application, stack_name="sample")


class TestDeploy:
    def test_run(self, stack: Stack) -> None:
        """The deployed machine and function run, with the environment as text."""
        outcome = stack.run({"items": [1, 2]})

        assert outcome.status == "SUCCEEDED"
        assert outcome.output == [["1", "5", "true"]] * 2

    def test_update(self, standin: Standin, stack: Stack, application: Path) -> None:
        """A second deployment changes code and parameters, and keeps what is stored."""
        handler = application.parent / "functions/worker/handler.py"
        before = len(stack.executions())
        handler.write_text(HANDLER.replace("return [", "return ['new', "))
        updated = standin.deploy(
            template=application, stack_name="sample", parameters={"Number": "2"}
        )
        outcome = updated.run({"items": [1]})
        handler.write_text(HANDLER)
        standin.deploy(template=application, stack_name="sample")

        assert outcome.output == [["new", "2", "5", "true"]]
        assert len(updated.executions()) == before + 1

    def test_update_definition(self, standin: Standin, stack: Stack, application: Path) -> None:
        """A second deployment changes the state machine."""
        file = application.parent / "statemachine/machine.asl.json"
        before = file.read_text()
        file.write_text(before.replace("$states.input.items", "[7]"))
        standin.deploy(template=application, stack_name="sample")
        outcome = stack.run({"items": []})
        file.write_text(before)
        standin.deploy(template=application, stack_name="sample")

        assert len(outcome.output) == 1
        assert stack.run({"items": []}).output == []

    def test_unchanged(self, standin: Standin, stack: Stack, application: Path) -> None:
        """Deploying the same again changes nothing."""
        again = standin.deploy(template=application, stack_name="sample")

        assert again.outputs == stack.outputs

    def test_failure(self, standin: Standin, tmp_path: Path) -> None:
        """A stack that does not deploy says which resource failed and why."""
        bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "twice"}}
        template = tmp_path / "template.yaml"
        resources = {"First": bucket, "Second": {**bucket, "DependsOn": "First"}}
        template.write_text(json.dumps({"Resources": resources}))

        with pytest.raises(StandinError, match=r"Second CREATE_FAILED: .*twice"):
            standin.deploy(template=template, stack_name="broken")

    def test_refused(self, standin: Standin, tmp_path: Path) -> None:
        """A template that CloudFormation refuses at once is an error of the same kind."""
        template = tmp_path / "template.yaml"
        template.write_text("Resources:\n  Thing:\n    Type: AWS::No::Such\n")

        with pytest.raises(StandinError, match="AWS::No::Such"):
            standin.deploy(template=template, stack_name="refused")

    def test_unknown_parameter(self, standin: Standin, application: Path) -> None:
        """A parameter that the template does not have is refused."""
        with pytest.raises(StandinError, match="Nmuber"):
            standin.deploy(template=application, parameters={"Nmuber": "1"})

    def test_delete(self, standin: Standin, application: Path) -> None:
        """A stack can be deleted."""
        stack = standin.deploy(template=application, stack_name="short")
        stack.delete()

        names = standin.client("dynamodb").list_tables()["TableNames"]
        assert stack.outputs["TableName"] not in names


def test_too_long(stack: Stack) -> None:
    """An execution that takes longer than waited for is an error that says where it is."""
    with pytest.raises(StandinError, match="still runs"):
        stack.start({"items": list(range(20))}).wait(timeout=0)


class TestSearch:
    def test_places(self, standin: Standin, stack: Stack) -> None:
        """A value is found wherever it is stored."""
        execution = stack.start({"items": [CANARY]})
        execution.wait()
        item = {"pk": {"S": "item"}, "value": {"S": CANARY}}
        standin.client("dynamodb").put_item(TableName=stack.outputs["TableName"], Item=item)
        s3, bucket = standin.client("s3"), stack.outputs["BucketName"]
        s3.put_object(Bucket=bucket, Key="object", Body=json.dumps(json.dumps(CANARY)))
        s3.put_object(Bucket=bucket, Key=CANARY, Body=json.dumps({"text": "other"}))
        s3.put_object(Bucket=bucket, Key="runs/1/source.json", Body=CANARY)
        sqs = standin.client("sqs")
        sqs.send_message(
            QueueUrl=sqs.create_queue(QueueName="search")["QueueUrl"], MessageBody=CANARY
        )
        found = "\n".join(search(standin, [CANARY]))

        places = [
            execution.arn,
            execution.children()[0].arn,
            "TaskScheduled",
            "log /aws/lambda/",
            f"table {stack.outputs['TableName']}",
            f"object {bucket}/object",
            f"object name in {bucket}",
            "queued messages",
        ]
        assert [place for place in places if place not in found] == []
        assert "source.json" not in found

    def test_absent(self, standin: Standin) -> None:
        """A value that is stored nowhere is not found."""
        assert search(standin, ["nowhere@example.com"]) == []


# Starts a stand-in and a function process, tells where, and waits.
STARTER = """
import json, sys, time
from standin.standin import Standin
from support.bench import Bench, invoke

with Standin(accounts=1) as standin:
    bench = Bench(standin)
    bench.run({"Work": invoke(bench.function())})
    urls = [standin.endpoint_url, standin.organization_url]
    print(json.dumps([str(standin.directory), urls]), flush=True)
    if sys.argv[1] == "raise":
        raise ValueError
    time.sleep(60)
"""


class TestClosing:
    @pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_nothing_left(self, number: signal.Signals | None) -> None:
        """No process and no file survives the program, however it ends."""
        command = [sys.executable, "-c", STARTER, "wait" if number else "raise"]
        with subprocess.Popen(
            command,
            cwd=SCRIPTS,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS.parent / "tests")},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            folder, urls = json.loads(process.stdout.readline())
            if number:
                assert len(_living(folder, urls)) == 4
                process.send_signal(number)
            process.wait()
        deadline = time.monotonic() + 15
        while _living(folder, urls) and time.monotonic() < deadline:
            time.sleep(0.1)

        assert _living(folder, urls) == []

    def test_start_fails(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A server that does not start is an error with what it said, and leaves nothing."""
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        monkeypatch.setenv("STANDIN_HOOKS_OFF", "no_such_hook")

        with pytest.raises(StandinError, match="unknown hooks: no_such_hook"):
            Standin().__enter__()
        assert list(tmp_path.iterdir()) == []

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Without MiniStack the error says so."""
        monkeypatch.setattr("standin.standin.MINISTACK_PYTHON", tmp_path / "python")

        with pytest.raises(StandinError, match="no MiniStack"):
            Standin().__enter__()


def _living(folder: str, urls: list[str]) -> list[str]:
    """Return what is left of a stand-in: servers, function processes, and its folder."""
    listing = subprocess.run(
        ["ps", "-eo", "args="],
        check=True,
        capture_output=True,
        text=True,
    )
    workers = [line for line in listing.stdout.splitlines() if f"{folder}/ministack" in line]
    return [*filter(_listens, urls), *workers, *filter(os.path.exists, [folder])]


def _listens(url: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", urlsplit(url).port or 80)) == 0


class TestPackage:
    @pytest.fixture(name="functions")
    def _functions(self, tmp_path: Path) -> Path:
        functions = tmp_path / "functions"
        (functions / "worker").mkdir(parents=True)
        (functions / "requirements.txt").write_text("")
        (functions / "worker/handler.py").write_text("a = 1\n")
        return functions

    def build(self, functions: Path) -> Path:
        return package.build_package(functions, functions.parent / "build", MINISTACK_PYTHON)

    def test_content(self, functions: Path) -> None:
        """A package has the functions' code at its root, and no compiled files."""
        (functions / "worker/__pycache__").mkdir()
        (functions / "worker/__pycache__/handler.pyc").write_text("")
        with zipfile.ZipFile(self.build(functions)) as archive:
            assert archive.namelist() == ["requirements.txt", "worker/handler.py"]

    def test_reuse(self, functions: Path) -> None:
        """The same code gives the same package; other code another, with the same dependencies."""
        first = self.build(functions)
        again = self.build(functions)
        (functions / "worker/handler.py").write_text("a = 2\n")
        other = self.build(functions)

        assert first == again
        assert first != other
        assert len(list(first.parent.glob("dependencies-*.zip"))) == 1

    def test_stale(self, functions: Path) -> None:
        """Packages of code that is long gone are removed."""
        first = self.build(functions)
        os.utime(first, (0, 0))
        (functions / "worker/handler.py").write_text("a = 2\n")
        self.build(functions)

        assert not first.exists()

    def test_failure(self, functions: Path) -> None:
        """Requirements that cannot be installed are an error with pip's reason."""
        (functions / "requirements.txt").write_text("not a requirement\n")

        with pytest.raises(package.PackageError, match="not a requirement"):
            self.build(functions)
