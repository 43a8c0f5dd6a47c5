"""Measures each handler's import against boto3 and the Powertools Logger, and the package size."""

import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from standin.package import build_package
from standin.standin import BUILD, MINISTACK_PYTHON, REPOSITORY

Json = dict[str, Any]

FUNCTIONS = REPOSITORY / "functions"
BASE = "import boto3; from aws_lambda_powertools import Logger; Logger()"
REPEATS = 9
# Imports of a handler's first request: deferred, not saved.
FIRST_REQUESTS = {
    "contact_sync_handler": "from contact_sync.request import parse_request as p; p({}, '')",
    "sync_reporter": "from contact_sync.request import RunRequest as r; r.from_stored({})",
}

# Packaged only because Lambda's own versions are older; by far the largest.
LEFT_OUT = ("boto3/", "botocore/")

# The peak resident memory is in bytes on macOS, in KiB elsewhere.
_MEASURED = """\
import json, resource, sys, time
start = time.process_time()
{code}
seconds = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, peak * (1 if sys.platform == "darwin" else 1024)]))
"""

# Arbitrary values: nothing is called.
_VARIABLES = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_EC2_METADATA_DISABLED": "true",
    "CONFIG_TABLE_NAME": "any",
    "DASHBOARD_URL": "any",
    "DIGEST_KEY_SECRET_ARN": "any",
    "ENVIRONMENT": "prod",
    "EXECUTIONS_URL": "any",
    "KEEP_REPLACED_DAYS": "30",
    "LOG_LEVEL": "INFO",
    "MANAGEMENT_ACCOUNT_ID": "999999999999",
    "MAX_CONCURRENCY": "6",
    "POWERTOOLS_SERVICE_NAME": "any",
    "QUOTA_SHARE": "1",
    "RUNS_BUCKET_NAME": "any",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:999999999999:stateMachine:any",
    "STATE_TABLE_NAME": "any",
}


def measure_imports(repeats: int = REPEATS) -> Json:
    """Return base and handlers in processor seconds, their ratios, and the package's size.

    Measures each in fresh interpreters with compiled bytecode. Base and handlers alternate, so that
    other load on the machine affects all equally.
    """
    package = build_package(FUNCTIONS, BUILD, MINISTACK_PYTHON)
    with tempfile.TemporaryDirectory(prefix="imports-") as folder:
        zipfile.ZipFile(package).extractall(folder)
        imports = {name: f"import {name}.handler" for name in handlers(FUNCTIONS)}
        requests = {
            f"{name}: request": f"import {name}.handler; {code}"
            for name, code in FIRST_REQUESTS.items()
        }
        cases = {"": BASE, **imports, **requests}
        for code in cases.values():  # compiles
            _import(code, folder)
        measured = [
            {name: _import(code, folder) for name, code in cases.items()} for _ in range(repeats)
        ]
    times = [{name: seconds for name, (seconds, _) in one.items()} for one in measured]
    least = least_seconds(times)
    return {
        **import_figures({name: least[name] for name in ("", *imports)}),
        "request_seconds": {name: least[f"{name}: request"] for name in FIRST_REQUESTS},
        "import_bytes": {name: measured[-1][name][1] for name in ("", *imports)},
        "package_bytes": package_size(package),
    }


def least_seconds(times: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the least of the repetitions for each name.

    An import does the same work each time; other load on the machine only adds time.
    """
    return {name: min(one[name] for one in times) for name in times[0]}


def import_figures(seconds: Mapping[str, float]) -> Json:
    """Return the base, which has the empty name, and the handlers beside it."""
    base = seconds[""]
    imports = {name: one for name, one in seconds.items() if name}
    return {
        "base_seconds": base,
        "import_seconds": imports,
        "import_ratios": {name: one / base for name, one in imports.items()},
    }


def handlers(functions: Path) -> list[str]:
    """Return the packages of the functions that have a handler."""
    return sorted(file.parent.name for file in functions.glob("*/handler.py"))


def package_size(package: Path) -> int:
    """Return the compressed bytes of a package without boto3 and botocore."""
    with zipfile.ZipFile(package) as archive:
        return sum(
            entry.compress_size
            for entry in archive.infolist()
            if not entry.filename.startswith(LEFT_OUT)
        )


def _import(code: str, folder: str) -> tuple[float, int]:
    """Return processor seconds and peak memory of one interpreter."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": folder, **_VARIABLES}
    result = subprocess.run(  # noqa: S603 - the stand-in's interpreter
        [str(MINISTACK_PYTHON), "-S", "-c", _MEASURED.format(code=code)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, peak = json.loads(result.stdout)
    return seconds, peak
