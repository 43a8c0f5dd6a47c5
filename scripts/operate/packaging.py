"""Builds and uploads with the SAM CLI, and passes its output through."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from operate.aws import Aws
from operate.console import OperateError, note
from operate.deployment import Deployment
from operate.parameters import ROOT, TEMPLATE

SAM = "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/install-sam-cli.html"
# Set by scripts/lib/operate.sh for `operate`; the SAM CLI must not inherit them.
PYTHON_VARIABLES = ("PYTHONPATH", "PYTHONPYCACHEPREFIX")


def missing_tools(runtime: str, *, container: bool) -> list[str]:
    """Return the missing build tools, each with the remedy."""
    missing = []
    if not shutil.which("sam"):
        missing.append(f"the SAM CLI is missing: install it ({SAM})")
    if container:
        if not (shutil.which("docker") or shutil.which("finch")):
            missing.append("--use-container needs Docker or Finch: install one, or add it to PATH")
    elif not _has_pip(runtime):
        missing.append(
            f"sam build needs {runtime} with pip on PATH: install it, add --use-container, or "
            "choose a version that you have, such as --parameter Runtime=python3.12"
        )
    return missing


def _has_pip(python: str) -> bool:
    try:
        command = [python, "-m", "pip", "--version"]
        ended = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return False
    return ended.returncode == 0


def package(deployment: Deployment, folder: Path) -> str:
    """Build and upload the code; return the template that refers to it."""
    aws, settings, bucket = deployment.aws, deployment.settings, deployment.bucket
    note("Building and uploading")
    built, packaged = folder / "build", folder / "template.yaml"
    source = ("--template-file", TEMPLATE, "--build-dir", built)
    by = ("--use-container",) if deployment.options.use_container else ()
    overrides = [f"{name}={settings[name]}" for name in ("Runtime", "Architecture")]
    _sam(aws, "build", *source, *by, "--parameter-overrides", *overrides)
    where = ("--s3-bucket", bucket) if bucket else ("--resolve-s3",)
    upload = ("--template-file", built / "template.yaml", "--output-template-file", packaged)
    _sam(aws, "package", *upload, *where, "--s3-prefix", deployment.name, "--no-progressbar")
    return packaged.read_text()


def _sam(aws: Aws, command: str, *arguments: str | Path) -> None:
    profile = ("--profile", aws.profile) if aws.profile else ()
    environment = {k: v for k, v in os.environ.items() if k not in PYTHON_VARIABLES}
    sys.stderr.flush()
    ended = subprocess.run(  # noqa: S603 - our own arguments
        [shutil.which("sam") or "sam", command, *arguments, "--region", aws.region, *profile],
        cwd=ROOT,
        env={"SAM_CLI_TELEMETRY": "0", **environment},
        stdin=subprocess.DEVNULL,
        stdout=2,  # standard output is for results only
        check=False,
    )
    if ended.returncode:
        raise OperateError(f"sam {command} failed: see its output above")
