"""Runs the scripts that operate a deployed stack: with the functions' Python, and every service
on loopback."""

import sys
from typing import Any

from support.cli import Cli, Result, run


def environment_of(cli: Cli, **more: str) -> dict[str, str]:
    standin = cli.machine.standin
    return {
        **cli.environment,
        "AWS_ENDPOINT_URL_ACCOUNT": standin.organization_url,
        "AWS_ENDPOINT_URL_ORGANIZATIONS": standin.organization_url,
        "PYTHON": sys.executable,
        **more,
    }


def operate(cli: Cli, script: str, *options: Any, answer: str = "", **more: str) -> Result:
    """Run a script against the stand-in's dev environment."""
    given = [str(option) for option in options]
    environment = environment_of(cli, **more)
    return run(script, "--environment", "dev", *given, environment=environment, answer=answer)
