"""Interrupts a script during a particular call of the AWS CLI."""

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.cli import REPOSITORY, wait_until

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def interrupt(
    script: str,
    *options: str,
    environment: Mapping[str, str],
    folder: Path,
    call: str,
    number: signal.Signals,
    after: int = 0,
) -> Ended:
    """Send the signal during a call of the script that matches the shell pattern `call`.

    The first `after` matching calls complete.
    """
    folder.mkdir(exist_ok=True)
    (folder / "made").write_text("")
    wrapper = folder / "aws"
    wrapper.write_text(
        f'#!/bin/sh\nPATH="${{PATH#*:}}"\ncase "$*" in\n{call})\n'
        f'if [ "$(wc -l <"{folder}/made")" -ge {after} ]; then\n'
        f'touch "{folder}/begun"\nexec sleep 60\nfi\n'
        f'echo >>"{folder}/made" ;;\nesac\nexec aws "$@"\n'
    )
    wrapper.chmod(0o755)
    with subprocess.Popen(
        ["bash", REPOSITORY / "scripts" / script, *options],
        env={**environment, "PATH": f"{folder}:{environment['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        wait_until(lambda: (folder / "begun").exists() or running.poll() is not None)
        # To the process group, as terminals and job runners do.
        os.killpg(running.pid, number)
        stdout, stderr = running.communicate(timeout=60)
    assert (folder / "begun").exists(), stderr
    (folder / "begun").unlink()
    return Ended(running.returncode, stdout, stderr)
