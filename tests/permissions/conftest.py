"""The stacks of the templates, and a stand-in that records calls."""

from collections.abc import Iterator

import pytest
from support.machine import Machine
from support.machine import machine as started
from support.stack import Stack, expand, forwarding_template, source_template


@pytest.fixture(scope="session", name="stack")
def _stack() -> Stack:
    """Return the development stack, which has tracing."""
    return Stack(expand(source_template()), "dev")


@pytest.fixture(scope="session", name="trailed")
def _trailed(stack: Stack) -> Stack:
    """Return the stack with its own trail."""
    return Stack(stack.template, CreateTrail="true")


@pytest.fixture(scope="session", name="forwarding")
def _forwarding() -> Stack:
    return Stack(forwarding_template(), HomeRegion="eu-west-1", Kind="Both")


@pytest.fixture(scope="package")
def machine() -> Iterator[Machine]:
    with started(triggers="ENABLED", environment="dev", record_calls=True) as running:
        yield running
