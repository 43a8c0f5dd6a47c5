"""Runs the commands with the real `sam` in a copy of the project."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from standin.organization.worlds import drifted_world
from standin.package import build_package
from standin.standin import BUILD, MINISTACK_PYTHON, Standin
from support.cli import REPOSITORY, Result, environment_at

SAM = REPOSITORY / ".build/sam/bin/sam"
ACCOUNT = "999999999999"
# The functions' runtime must be a Python on PATH, as this one is.
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"

DEPLOYMENT = ("--account-id", ACCOUNT, "--yes", "--parameter", f"Runtime={RUNTIME}")

Json = dict[str, Any]


@dataclass
class Project:
    """A modifiable copy of the project, and an account."""

    standin: Standin
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        given = environment_at(
            self.standin,
            self.folder / "home",
            PIP_CONFIG_FILE=os.devnull,
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=str(self.folder / "wheels"),
        )
        return {**given, "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def command(self, name: str, *options: Any) -> list[str]:
        script = self.folder / f"scripts/{name}.sh"
        return ["bash", str(script), "--environment", "dev", *map(str, options)]

    def run(self, name: str, *options: Any, code: int = 0) -> Result:
        """Run a command's script in the copy; check its exit code."""
        result = subprocess.run(
            self.command(name, *options),
            env=self.environment,
            cwd=self.folder / "home",
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert code == result.returncode, result.stdout + result.stderr
        return result

    def deploy(self, *options: Any, **more: Any) -> Result:
        return self.run("deploy", *DEPLOYMENT, *options, **more)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    # Contents of the account.

    def stack(self) -> Json:
        """Return the stack as describe-stacks does, empty if there is none."""
        client = self.standin.client("cloudformation")
        try:
            found: list[Json] = client.describe_stacks(StackName="aws-contact-sync-dev")["Stacks"]
        except ClientError:
            return {}
        return found[0]

    def parameters(self) -> dict[str, str]:
        return {each["ParameterKey"]: each["ParameterValue"] for each in self.stack()["Parameters"]}

    def tags(self) -> dict[str, str]:
        return {each["Key"]: each["Value"] for each in self.stack()["Tags"]}


def make_wheel(folder: Path) -> None:
    """Build one package of the functions and their requirements, for SAM to install."""
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


@contextmanager
def project(folder: Path, accounts: int) -> Iterator[Project]:
    """Copy the project, with the stand-in's packages in one wheel as the only requirement."""
    if not SAM.exists():
        pytest.skip("no SAM CLI in .build/sam: scripts/test.sh makes it")
    for name in ("functions", "statemachine", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for name in ("template.yaml", "pyproject.toml"):
        shutil.copyfile(REPOSITORY / name, folder / name)
    make_wheel(folder / "wheels")
    (folder / "functions/requirements.txt").write_text("everything==1")
    (folder / "bin").mkdir()
    for name, target in (("sam", SAM), (RUNTIME, Path(sys.executable))):
        (folder / "bin" / name).symlink_to(target)
    # SAM checks weekly for a newer version of itself.
    (folder / "home/.aws-sam").mkdir(parents=True)
    checked = json.dumps({"lastVersionCheck": time.time()})
    (folder / "home/.aws-sam/metadata.json").write_text(checked)
    with Standin(accounts=0, speed=100, world=drifted_world(accounts)) as standin:
        yield Project(standin, folder)
