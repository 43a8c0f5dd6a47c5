"""Fixtures for suites that run scripts: a stand-in per folder, and no access to other machines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import Cli, FakeAws, needs_aws, warm_aws
from support.machine import Machine, machine
from support.outside import outside


@pytest.fixture(autouse=True, name="loopback")
def _loopback() -> Iterator[None]:
    """Check that no program under test has called another machine."""
    yield
    outside().assert_unused()


@pytest.fixture(scope="package", autouse=True, name="warm")
def _warm() -> Iterator[None]:
    """Start the AWS CLI without its imports."""
    with warm_aws():
        yield


@pytest.fixture(scope="package", name="machine")
def _machine() -> Iterator[Machine]:
    needs_aws()
    with machine(triggers="ENABLED") as running:
        yield running


@pytest.fixture(name="cli")
def _cli(machine: Machine, tmp_path: Path) -> Cli:
    return Cli(machine, tmp_path)


@pytest.fixture(name="fake_aws")
def _fake_aws(tmp_path: Path) -> FakeAws:
    folder = tmp_path / "bin"
    folder.mkdir()
    return FakeAws(folder)
