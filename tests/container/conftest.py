"""The stand-in as a container, if a Docker engine is available."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.running import RunningStandin
from support.mocked import MOCK_CONFIG
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

BUILD_IMAGE = Path(__file__).with_name("build_image.sh")
IMAGE = "aws-contact-sync-standin:latest"
AWS, ORGANIZATION = 4566, 5599
MOUNTED = "/mock_config.json"

# The watchdog needs another image; the fixture stops the container itself.
testcontainers_config.ryuk_disabled = True


@pytest.fixture(scope="package", name="container_standin")
def _container_standin() -> Iterator[RunningStandin]:
    _require_engine()
    subprocess.run(
        ["bash", BUILD_IMAGE, IMAGE], env={**os.environ, "PYTHON": sys.executable}, check=True
    )
    container = (
        DockerContainer(IMAGE)
        .with_command(["--accounts", "0", "--speed", "100"])
        .with_exposed_ports(AWS, ORGANIZATION)
        .with_env("SFN_MOCK_CONFIG", MOUNTED)
        .with_volume_mapping(MOCK_CONFIG, MOUNTED)
        .waiting_for(HttpWaitStrategy(AWS, "/_ministack/health"))
    )
    with container:
        host = container.get_container_host_ip()
        yield RunningStandin(
            f"http://{host}:{container.get_exposed_port(AWS)}",
            f"http://{host}:{container.get_exposed_port(ORGANIZATION)}",
        )


def _require_engine() -> None:
    if shutil.which("docker") is None:
        pytest.skip("Docker is not installed")
    asked = subprocess.run(["docker", "version"], check=False, capture_output=True, text=True)
    if asked.returncode:
        pytest.skip(f"no Docker engine is available: {asked.stderr.strip()}")
