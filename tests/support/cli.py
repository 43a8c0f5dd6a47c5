"""Runs the scripts as users do, with the real AWS CLI, against a stand-in or nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.machine import Machine
from support.outside import outside

REPOSITORY = Path(__file__).parents[2]
COMMON = REPOSITORY / "scripts/lib/common.sh"
AWS_FOLDER = REPOSITORY / ".build/aws/bin"

AWS_2_FOLDER = REPOSITORY / ".build/aws-2/bin"

ACCESS_KEYS = {"AWS_ACCESS_KEY_ID": "999999999999", "AWS_SECRET_ACCESS_KEY": "any"}

Result = subprocess.CompletedProcess[str]


@contextmanager
def warm_aws() -> Iterator[None]:
    """Speed up starts of the AWS CLI within this context; do nothing without an AWS CLI."""
    if not (AWS_FOLDER / "aws").exists():
        yield
        return
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder, program = Path(name), Path(__file__).with_name("warm.py")
        command = [AWS_FOLDER / "python", program, "serve", folder / "socket", "awscli.clidriver"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            assert b"ready\n" == server.stdout.readline()
            client = f'exec "{sys.executable}" -I -S "{program}" call "{folder}/socket" "$@"'
            (folder / "aws").write_text(f"#!/bin/sh\n{client}\n")
            (folder / "aws").chmod(0o755)
            _warm.append(folder)
            yield
            _warm.remove(folder)
            server.stdin.close()


_warm: list[Path] = []


def aws_folder() -> Path:
    """Return the folder in which the programs under test find the AWS CLI."""
    return _warm[-1] if _warm else AWS_FOLDER


def needs_aws() -> None:
    """Skip the test if there is no AWS CLI."""
    if not (AWS_FOLDER / "aws").exists():
        pytest.skip("no AWS CLI in .build/aws: scripts/test.sh makes it")


def aws_2_folder() -> Path:
    """Return the folder of the AWS CLI 2; skip the test if there is none."""
    own = Path(shutil.which("aws") or AWS_FOLDER / "aws")
    for program in (AWS_2_FOLDER / "aws", own):
        if program.exists() and _version(program).startswith("aws-cli/2."):
            return program.parent
    pytest.skip("no AWS CLI 2: scripts/test.sh makes it on x86-64 Linux")


def _version(program: Path) -> str:
    return subprocess.run(
        [program, "--version"], check=False, capture_output=True, text=True
    ).stdout


def run(script: str, *options: str, environment: Mapping[str, str], answer: str = "") -> Result:
    """Run a script of the repository with exactly this environment."""
    return subprocess.run(
        [shutil.which("bash") or "bash", REPOSITORY / "scripts" / script, *options],
        env=dict(environment),
        input=answer,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def source(commands: str) -> Result:
    """Run commands with the scripts' shared functions."""
    return subprocess.run(
        ["bash", "-c", f'set -euo pipefail; . "{COMMON}"; {commands}'],
        check=False,
        capture_output=True,
        text=True,
    )


def environment_for(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with the AWS CLI, without an account or access to other machines."""
    return {
        "PATH": f"{aws_folder()}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        **outside().variables(),
        **more,
    }


@dataclass(frozen=True)
class Cli:
    """Runs scripts against the stand-in."""

    machine: Machine
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        url = self.machine.standin.endpoint_url
        keys = {**ACCESS_KEYS, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": url}
        return environment_for(self.home, **keys)

    def run(self, script: str, *options: str, answer: str = "") -> Result:
        return run(
            script, "--environment", "dev", *options, environment=self.environment, answer=answer
        )


@dataclass
class FakeAws:
    """An `aws` that gives one fixed answer per call, and repeats the last one forever.

    Only for what the real one cannot do on request: network failures during a run.
    """

    folder: Path
    answers: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        self._write("sleep", "exit 0")
        cases = "\n".join(f"{n}) {answer};;" for n, answer in enumerate(self.answers[:-1], 1))
        counter = f'n=$(($(cat "{self.folder}/calls" 2>/dev/null || echo 0) + 1))'
        count = f'{counter}; echo "$n" >"{self.folder}/calls"'
        self._write("aws", f'{count}\ncase "$n" in\n{cases}\n*) {self.answers[-1]};;\nesac')
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return {**environment_for(self.folder), "PATH": path}

    @property
    def calls(self) -> int:
        file = self.folder / "calls"
        return int(file.read_text() or 0) if file.exists() else 0

    def _write(self, name: str, script: str) -> None:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def without_aws(folder: Path) -> dict[str, str]:
    """Return an environment with the scripts' requirements, except the AWS CLI."""
    for tool in ("dirname", "awk", "cat"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    return {"PATH": str(folder), "HOME": str(folder)}
