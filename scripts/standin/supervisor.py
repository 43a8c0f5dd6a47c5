"""Runs the stand-in's servers until its input closes, then stops them and removes their folder.

However the parent program ends (exception, SIGTERM, even SIGKILL), its end of the pipe closes:
no process or file is left behind.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

POLL_SECONDS = 0.2
TAIL_CHARACTERS = 4000


class Command(TypedDict):
    """One server: its name, also of its log file, and how to start it."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    working_directory: str


class Plan(TypedDict):
    """The servers to run, and the private folder to remove afterwards."""

    directory: str
    commands: list[Command]


def main() -> int:
    """Run the plan from the first line of the input; fail if a server exits by itself."""
    plan: Plan = json.loads(os.fdopen(os.dup(0)).readline())
    for stop_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop_signal, _raise_exit)
    directory = Path(plan["directory"])
    servers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for command in plan["commands"]:
            servers[command["name"]] = _start(command, directory)
        dead = _watch(servers)
        if dead:
            log = _log_file(directory, dead).read_text(errors="replace")
            print(f"{dead} ended by itself:\n{log[-TAIL_CHARACTERS:]}", file=sys.stderr)
        return 1 if dead else 0
    finally:
        _kill(list(servers.values()))
        shutil.rmtree(directory, ignore_errors=True)


def _start(command: Command, directory: Path) -> subprocess.Popen[bytes]:
    with _log_file(directory, command["name"]).open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - from the plan
            command["arguments"],
            env=command["environment"],
            cwd=command["working_directory"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # one signal reaches its function processes, too
        )


def _log_file(directory: Path, name: str) -> Path:
    return directory / f"{name}.log"


def _watch(servers: dict[str, subprocess.Popen[bytes]]) -> str | None:
    """Wait until the input closes, or return the name of a server that exited."""
    while not select.select([0], [], [], POLL_SECONDS)[0]:
        for name, server in servers.items():
            if server.poll() is not None:
                return name
    return None


def _kill(servers: list[subprocess.Popen[bytes]]) -> None:
    """Kill servers and their function processes; they have no data worth saving."""
    for server in servers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _raise_exit(*_: object) -> None:
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
