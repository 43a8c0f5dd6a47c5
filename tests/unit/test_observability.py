"""Errors in the log: by name, with the run's id, and never with what others say of a value."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import contact_sync
import pytest
from contact_sync.errors import ThrottledError
from contact_sync.observability import logged, logger
from support.builders import SYNC_ID

FUNCTIONS = Path(str(contact_sync.__file__)).parents[1]
# What the logger reads of Lambda's context.
CONTEXT = SimpleNamespace(
    function_name="name", memory_limit_in_mb=128, invoked_function_arn="arn", aws_request_id="id"
)


def line_of(error: Exception, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Let a handler raise the error; return the line that it leaves in the log."""

    @logged
    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        logger.append_keys(sync_id=event["sync_id"])
        raise error

    with pytest.raises(type(error)):
        handler({"sync_id": SYNC_ID}, CONTEXT)
    (record,) = caplog.records
    line: dict[str, Any] = json.loads(logger.registered_formatter.format(record))
    return line


def test_an_error_is_logged_with_its_name_and_the_runs_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = line_of(ThrottledError("put billing contact of account 1"), caplog)
    expected = {
        "level": "ERROR",
        "message": "put billing contact of account 1",
        "error": "ThrottledError",
        "sync_id": SYNC_ID,
    }
    assert expected == {name: line[name] for name in expected}


@pytest.mark.rule(12)
def test_an_error_of_others_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    line = line_of(KeyError("+1 555 0100"), caplog)
    assert "KeyError" == line["error"]
    assert "555" not in json.dumps(line)


@pytest.mark.rule(12)
def test_nothing_adds_to_a_trace() -> None:
    """Lambda's own traces know no value; a tracer in the code would keep results and errors."""
    code = "".join(file.read_text() for file in FUNCTIONS.rglob("*.py"))
    assert not re.search("tracer|xray|opentelemetry", code, re.IGNORECASE)
