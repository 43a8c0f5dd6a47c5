"""The template as written, as SAM expands it, and as it would be deployed."""

from typing import Any

import pytest
from support.stack import Stack, expand, source_template


@pytest.fixture(scope="session", name="template")
def _template() -> dict[str, Any]:
    return source_template()


@pytest.fixture(scope="session", name="expanded")
def _expanded(template: dict[str, Any]) -> dict[str, Any]:
    return expand(template)


@pytest.fixture(name="stack")
def _stack(expanded: dict[str, Any]) -> Stack:
    return Stack(expanded)
