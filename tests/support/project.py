"""Runs deploy.sh and rollback.sh with the real `aws` and `sam` in a copy of the project."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from standin.organization.worlds import drifted_world
from standin.package import build_package
from standin.standin import BUILD, MINISTACK_PYTHON, Standin
from support.cli import ACCESS_KEYS, REPOSITORY, Result, aws_folder, environment_for, needs_aws

SAM = REPOSITORY / ".build/sam/bin/sam"
ACCOUNT = "999999999999"
EMAIL = "team@example.com"
# The functions' runtime must be a Python on PATH, and this one is there.
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"

Json = dict[str, Any]


@dataclass
class Project:
    """A copy of the project that can be changed, an account, and programs that tell their use.

    `instead` has shell commands for calls of `aws` whose arguments match a pattern.
    """

    standin: Standin
    folder: Path
    instead: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = self.standin.organization_url
        given = environment_for(
            self.folder / "home",
            **ACCESS_KEYS,
            AWS_DEFAULT_REGION="us-east-1",
            AWS_ENDPOINT_URL=self.standin.endpoint_url,
            AWS_ENDPOINT_URL_ACCOUNT=own,
            AWS_ENDPOINT_URL_ORGANIZATIONS=own,
            PYTHON=sys.executable,
            PIP_CONFIG_FILE=os.devnull,
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=str(self.folder / "wheels"),
        )
        return {**given, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def write_programs(self) -> None:
        calls = self.folder / "calls"
        cases = "\n".join(f"{pattern}) {then} ;;" for pattern, then in self.instead.items())
        self.program(
            "aws",
            f'echo "$*" >>"{calls}"\ncase "$*" in\n{cases}\nesac\nexec "{aws_folder()}/aws" "$@"',
        )
        self.program("sam", f'exec "{SAM}" "$@"')
        self.program(RUNTIME, f'exec "{sys.executable}" "$@"')

    def program(self, name: str, script: str) -> None:
        self.bin.mkdir(exist_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def command(self, script: str, *options: str) -> list[str]:
        return ["bash", str(self.folder / "scripts" / script), *options]

    def run(self, script: str, *options: str, answer: str = "", **more: str) -> Result:
        """Run a script of the copy; `more` are environment variables."""
        self.write_programs()
        return subprocess.run(
            self.command(script, *options),
            env={**self.environment, **more},
            input=answer,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def deploy(self, *options: str, environment: str = "dev", **more: Any) -> Result:
        return self.run("deploy.sh", *self.deployment(environment), *options, **more)

    def deployment(self, environment: str = "dev") -> list[str]:
        given = f"--environment {environment} --account-id {ACCOUNT} --yes --no-trail"
        return shlex.split(f"{given} --parameter Runtime={RUNTIME}")

    def calls(self) -> list[str]:
        """Return the arguments of every call of `aws` since the last `forget_calls`."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def restore(self, file: str) -> None:
        shutil.copyfile(REPOSITORY / file, self.folder / file)

    # What there is in the account.

    def stack(self, environment: str = "dev", region: str = "us-east-1", more: str = "") -> Json:
        """Return the stack as describe-stacks does, empty where there is none."""
        client = self.standin.client("cloudformation", region)
        try:
            found: list[Json] = client.describe_stacks(
                StackName=f"aws-contact-sync-{environment}{more}"
            )["Stacks"]
        except ClientError:
            return {}
        return found[0]

    def parameters(self, *arguments: str, **more: str) -> dict[str, str]:
        stack = self.stack(*arguments, **more)
        return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}

    def releases(self, environment: str = "dev", region: str = "us-east-1") -> list[str]:
        s3 = self.standin.client("s3", region)
        prefix = f"aws-contact-sync-{environment}/releases/"
        found = s3.list_objects_v2(Bucket=self.bucket(region), Prefix=prefix).get("Contents", [])
        return sorted({each["Key"].split("/")[2] for each in found})

    def bucket(self, region: str = "us-east-1") -> str:
        client = self.standin.client("cloudformation", region)
        (stack,) = client.describe_stacks(StackName="aws-sam-cli-managed-default")["Stacks"]
        return next(str(o["OutputValue"]) for o in stack["Outputs"] if "Bucket" in o["OutputKey"])

    def start_broken(self, name: str, *, update: bool = False) -> None:
        """Create or update a stack so that it fails, an update without being undone."""
        client = self.standin.client("cloudformation")
        given = {"StackName": name, "TemplateBody": json.dumps({"Resources": {"Broken": BROKEN}})}
        if update:
            client.update_stack(**given, DisableRollback=True)
        else:
            client.create_stack(**given)
        while self.status_of(name).endswith("_IN_PROGRESS"):
            time.sleep(0.05)

    def status_of(self, name: str) -> str:
        client = self.standin.client("cloudformation")
        return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    def configuration(self, environment: str = "dev") -> Json:
        dynamodb = self.standin.client("dynamodb")
        table = f"aws-contact-sync-{environment}-config"
        answer = dynamodb.get_item(TableName=table, Key={"config_key": {"S": "default"}})
        item: Json = answer.get("Item", {})
        return item


def make_wheel(folder: Path) -> None:
    """Make one package of the functions and all they need, for SAM to install."""
    folder.mkdir()
    wheel = folder / "everything-1-py3-none-any.whl"
    shutil.copyfile(build_package(REPOSITORY / "functions", BUILD, MINISTACK_PYTHON), wheel)
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: everything\nVersion: 1\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(wheel, "a") as archive:
        for name, text in about.items():
            archive.writestr(f"everything-1.dist-info/{name}", text)


# A resource that cannot be made, because the name is taken.
BROKEN: Json = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "taken"}}


@contextmanager
def project(
    folder: Path, accounts: int = 2, *, with_requirements: bool = False
) -> Iterator[Project]:
    """Copy the project; without requirements, which take long, its functions cannot run.

    With them, they are one wheel of what the stand-in has: no package index is asked.
    """
    needs_aws()
    if not SAM.exists():
        pytest.skip("no SAM CLI in .build/sam: scripts/test.sh makes it")
    for name in ("functions", "statemachine", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for name in ("template.yaml", "pyproject.toml"):
        shutil.copyfile(REPOSITORY / name, folder / name)
    (folder / "functions/requirements.txt").write_text("")
    if with_requirements:
        make_wheel(folder / "wheels")
        (folder / "functions/requirements.txt").write_text("everything==1")
    # Once a week SAM asks for a newer version of itself.
    (folder / "home/.aws-sam").mkdir(parents=True)
    checked = json.dumps({"lastVersionCheck": time.time()})
    (folder / "home/.aws-sam/metadata.json").write_text(checked)
    with Standin(accounts=0, speed=100, world=drifted_world(accounts)) as standin:
        standin.client("s3").create_bucket(Bucket="taken")
        yield Project(standin, folder)
