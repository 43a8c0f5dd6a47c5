"""Runs the scripts as users do, with the real AWS CLI, against a stand-in or nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from standin.running import RunningStandin
from support.outside import outside

REPOSITORY = Path(__file__).parents[2]
AWS_FOLDER = REPOSITORY / ".build/aws/bin"
AWS_2_FOLDER = REPOSITORY / ".build/aws-2/bin"

ACCESS_KEYS = {"AWS_ACCESS_KEY_ID": "999999999999", "AWS_SECRET_ACCESS_KEY": "any"}

Result = subprocess.CompletedProcess[str]


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


def run(script: str, *options: str, environment: Mapping[str, str]) -> Result:
    """Run a script of the repository with exactly this environment, and no input."""
    return subprocess.run(
        ["bash", REPOSITORY / "scripts" / script, *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def environment_for(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with the AWS CLI, without an account or access to other machines."""
    return {
        "PATH": f"{AWS_FOLDER}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        **outside().variables(),
        **more,
    }


def environment_at(standin: RunningStandin, home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which the stand-in is AWS."""
    return environment_for(
        home,
        **ACCESS_KEYS,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL=standin.endpoint_url,
        AWS_ENDPOINT_URL_ACCOUNT=standin.organization_url,
        AWS_ENDPOINT_URL_ORGANIZATIONS=standin.organization_url,
        PYTHON=sys.executable,
        **more,
    )
