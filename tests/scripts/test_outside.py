"""The guard of every test here: no program leaves this machine unseen."""

import subprocess
import urllib.request
from pathlib import Path

import pytest
from support.cli import ACCESS_KEYS, environment_for, needs_aws
from support.outside import Outside, outside


def test_the_aws_cli_is_seen(tmp_path: Path) -> None:
    """Without an endpoint of its own it would ask AWS; the guard fails, once."""
    needs_aws()
    environment = environment_for(
        tmp_path, **ACCESS_KEYS, AWS_DEFAULT_REGION="us-east-1", AWS_MAX_ATTEMPTS="1"
    )

    subprocess.run(
        ["aws", "sts", "get-caller-identity"], env=environment, check=False, capture_output=True
    )

    with pytest.raises(AssertionError, match=r"CONNECT sts\.us-east-1\.amazonaws\.com:443"):
        outside().assert_unused()
    outside().assert_unused()


def test_loopback_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays on the machine goes past the proxy."""
    other = Outside()
    for name, value in outside().variables().items():
        monkeypatch.setenv(name, value)

    with pytest.raises(OSError, match=r"Remote end closed|reset"):
        urllib.request.urlopen(other.url)  # noqa: S310 - our own address

    outside().assert_unused()
    assert [b"GET / HTTP/1.1\r\n"] == other.requests
