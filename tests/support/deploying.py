"""An account for deployments: CloudFormation's operations, SAM's bucket, and a `sam` that builds
nothing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from operate import packaging
from support.aws import FakeAws, Json
from support.change_sets import FakeOperations
from support.deployed import STACK, Deployed

BUCKET = "sam-bucket"
SAM_STACK = "aws-sam-cli-managed-default"
TRAIL = {
    "Name": "all",
    "TrailARN": "arn:all",
    "HomeRegion": "us-east-1",
    "IsMultiRegionTrail": True,
}
A_TRAIL = {
    "cloudtrail.DescribeTrails": {"trailList": [TRAIL]},
    "cloudtrail.GetTrailStatus": {"IsLogging": True},
    "cloudtrail.GetEventSelectors": {
        "EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "All"}]
    },
}


@dataclass
class Deploying:
    """The account; `template` is the output of `sam package`, `commands` the calls of `sam`."""

    account: Deployed
    operations: FakeOperations
    template: str = "code: 1\n"
    commands: list[list[str]] = field(default_factory=list)
    sam_fails: str = ""

    @property
    def aws(self) -> FakeAws:
        return self.account.aws

    @property
    def stack(self) -> Json:
        """The stack `dev` as DescribeStacks returns it."""
        return self.account.stack

    def parameters(self, name: str = STACK, region: str = "us-east-1") -> dict[str, str]:
        stack = self.account.stacks.stacks[region, name]
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}

    def tags(self, name: str = STACK) -> dict[str, str]:
        return {
            one["Key"]: one["Value"]
            for one in self.account.stacks.stacks["us-east-1", name]["Tags"]
        }

    def sent(self, operation: str) -> list[Json]:
        """Return the parameters of each call of the operation."""
        return [given for name, given in self.aws.sent if name == operation]

    def objects(self, bucket: str = BUCKET) -> list[str]:
        found = boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        return [each["Key"] for each in found]

    def releases(self) -> list[str]:
        """Return the stored releases of dev, oldest first."""
        keys = [key for key in self.objects() if key.endswith("/parameters")]
        return sorted(key.split("/")[-2] for key in keys if key.startswith(f"{STACK}/"))

    def running(self) -> str:
        """Return the release that dev runs."""
        return self.parameters()["Release"].rpartition("/")[2]

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """Press Ctrl-C while CloudFormation executes the next change set."""
        answers = self.aws.answers
        execute, events = (
            f"cloudformation.{name}" for name in ("ExecuteChangeSet", "DescribeStackEvents")
        )
        usual = {name: answers[name] for name in (execute, events)}

        def begun(region: str, given: Json) -> Any:
            answers[events] = interrupt
            return usual[execute](region, given)

        def interrupt(*_: Any) -> Any:
            raise KeyboardInterrupt

        answers[execute] = begun
        yield
        answers |= usual

    def change_meanwhile(self, stack: Json, operation: str, slept: list[float]) -> None:
        """Let the stack be in this operation, which ends while somebody waits for it."""
        usual = self.aws.answers["cloudformation.DescribeStacks"]
        stack["StackStatus"] = f"{operation}_IN_PROGRESS"

        def later(region: str, given: Json) -> Any:
            if slept and stack["StackStatus"] == f"{operation}_IN_PROGRESS":
                stack["StackStatus"] = f"{operation}_COMPLETE"
            return usual(region, given)

        slept.clear()
        self.aws.answers["cloudformation.DescribeStacks"] = later

    def _sam(self, command: list[Any], **_: Any) -> Any:
        words = [str(word) for word in command]
        if words[1:] == ["-m", "pip", "--version"]:
            return SimpleNamespace(returncode=0)
        self.commands.append(words)
        if words[1] == "package":
            file = words[words.index("--output-template-file") + 1]
            Path(file).write_text(self.template)
        return SimpleNamespace(returncode=1 if words[1] == self.sam_fails else 0)


def deploying(account: Deployed, monkeypatch: pytest.MonkeyPatch) -> Deploying:
    """Prepare the account, with nothing from earlier tests in its bucket."""
    s3: Any = boto3.client("s3")
    for name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        for found in s3.list_objects_v2(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=found["Key"])
    s3.create_bucket(Bucket=BUCKET)
    account.stacks.put(SAM_STACK, outputs={"SourceBucket": BUCKET})
    outputs = {one["OutputKey"]: one["OutputValue"] for one in account.stack["Outputs"]}
    outputs |= {"TerminationProtection": "false"}
    account.stack["Outputs"].append({"OutputKey": "TerminationProtection", "OutputValue": "false"})
    made = Deploying(account, FakeOperations(account.stacks, outputs))
    account.aws.answers |= {**made.operations.answers(), **A_TRAIL}
    monkeypatch.setattr(packaging.subprocess, "run", made._sam)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return made
