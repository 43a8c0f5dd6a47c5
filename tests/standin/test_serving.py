"""The stand-in as a program of its own, reached by its URLs."""

import signal
import subprocess
import sys
from pathlib import Path

from standin.running import RunningStandin
from standin.standin import MINISTACK_PYTHON, _free_ports

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_it_serves_until_it_is_told_to_end() -> None:
    port, organization_port = _free_ports()
    options = ["--port", str(port), "--organization-port", str(organization_port)]
    server = subprocess.Popen(
        [sys.executable, "-m", "standin", *options, "--accounts", "3"],
        cwd=SCRIPTS,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    urls = [server.stdout.readline().split()[-1] for _ in range(2)]
    standin = RunningStandin(*urls)

    asked = subprocess.run([MINISTACK_PYTHON, "-V"], check=True, capture_output=True, text=True)
    assert asked.stdout.startswith(f"Python {standin._interpreter().version}.")
    assert 3 == len(standin.organization.world()["accounts"])
    assert [] == standin.client("s3").list_buckets()["Buckets"]

    server.send_signal(signal.SIGTERM)
    assert 0 == server.wait()
    server.stdout.close()
