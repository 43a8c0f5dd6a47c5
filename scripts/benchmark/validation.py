"""Measures validate.sh against a deployed stack, with a fixed latency for each call."""

import json
import os
import subprocess
import sys
import time
from typing import Any

from standin.organization.worlds import drifted_world
from standin.standin import REPOSITORY, Standin, StandinError
from standin.tables import Tables

Json = dict[str, Any]

CALL_SECONDS = 0.03
ENVIRONMENT = "prod"
REPEATS = 3

# The operating commands, with AWS's network latency in each request.
_DELAYED = f"""\
import sys, time
from botocore.httpsession import URLLib3Session
from operate.__main__ import main
send = URLLib3Session.send
def delayed(*arguments):
    time.sleep({CALL_SECONDS})
    return send(*arguments)
URLLib3Session.send = delayed
sys.exit(main(sys.argv[1:]))
"""


def measure_validation(repeats: int = REPEATS) -> Json:
    """Return the least seconds, as other load only adds time, and the number of checks."""
    with Standin(speed=100, world=drifted_world(5)) as standin:
        stack = standin.deploy(ENVIRONMENT)
        Tables(stack).configure()
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{REPOSITORY / 'scripts'}:{REPOSITORY / 'functions'}",
            **standin.variables,
        }
        runs = [_validate(variables) for _ in range(repeats)]
    return {"seconds": min(seconds for seconds, _ in runs), "checks": runs[0][1]}


def _validate(variables: dict[str, str]) -> tuple[float, int]:
    """Return the seconds of one run, including the start of Python, and its number of checks."""
    command = [sys.executable, "-P", "-c", _DELAYED, "validate", "--json"]
    started = time.monotonic()
    ended = subprocess.run(  # noqa: S603 - our own command
        [*command, "--environment", ENVIRONMENT],
        env=variables,
        check=False,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - started
    if ended.returncode:
        raise StandinError(f"validate.sh found faults: {ended.stdout}{ended.stderr}")
    return seconds, len(json.loads(ended.stdout)["checks"])
