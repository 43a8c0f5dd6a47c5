"""An environment deployed in AWS, named by LIVE_ENVIRONMENT; without one, all is skipped."""

import os

import pytest
from live.environment import Environment

NAMES = ("dev", "staging", "prod")


@pytest.fixture(scope="session", name="live")
def _live() -> Environment:
    name = os.environ.get("LIVE_ENVIRONMENT", "")
    if not name:
        pytest.skip(
            "no AWS account: sign in to the management account, and set LIVE_ENVIRONMENT to "
            "dev, staging or prod"
        )
    assert name in NAMES
    return Environment(name)
