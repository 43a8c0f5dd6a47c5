"""AWS in process for the operating commands: moto, the strict organization, and fixed answers."""

import copy
import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from operate.__main__ import main

Json = dict[str, Any]
Answer = Any  # a value, an exception, or a function of region and parameters that returns either


@dataclass
class FakeAws:
    """Answers calls from `answers`, by `service.Operation`; passes all others to moto.

    Raises answers that are exceptions. `calls` counts all calls.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    sent: list[tuple[str, Json]] = field(default_factory=list)

    def reset(self, answers: dict[str, Answer]) -> None:
        """Start over with these answers."""
        self.answers = answers
        self.forget()

    def forget(self) -> None:
        """Forget the calls."""
        self.calls.clear()
        self.sent.clear()

    def fail(self, name: str, error: Exception, times: int = 1) -> None:
        """Fail this many calls before the usual answer."""
        usual, left = self.answers.get(name), iter(range(times))

        def answer(region: str, parameters: Json) -> Any:
            if next(left, None) is not None:
                return error
            return self._answer(usual, region, parameters)

        self.answers[name] = answer

    @contextmanager
    def running(self) -> Iterator["FakeAws"]:
        """Answer every client of this process."""
        usual = BaseClient._make_api_call

        def call(client: Any, operation: str, parameters: Json) -> Any:
            name = f"{client.meta.service_model.service_name}.{operation}"
            self.calls[name] += 1
            self.sent.append((name, parameters))
            if name in self.answers:
                found = self._answer(self.answers[name], client.meta.region_name, parameters)
                if found is not None:
                    return found
            return usual(client, operation, parameters)

        with patch.object(BaseClient, "_make_api_call", call):
            yield self

    @staticmethod
    def _answer(answer: Answer, region: str, parameters: Json) -> Any:
        found = answer(region, parameters) if callable(answer) else answer
        if isinstance(found, Exception):
            raise found
        return found


def refusal(
    code: str, message: str = "", status: int = 400, operation: str = "Any", **members: Any
) -> ClientError:
    """Return the error that a client raises for this response, with members of the model."""
    answer: Any = {
        **members,
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)


@dataclass
class FakeStacks:
    """CloudFormation's stacks by region and name, as the Describe operations return them."""

    stacks: dict[tuple[str, str], Json] = field(default_factory=dict)
    resources: dict[str, list[Json]] = field(default_factory=dict)
    events: dict[str, list[Json]] = field(default_factory=dict)

    def clear(self) -> None:
        """Delete every stack."""
        self.stacks.clear()
        self.resources.clear()
        self.events.clear()

    def put(self, name: str, *, region: str = "us-east-1", **described: Any) -> Json:
        """Put a stack; `described` has its status, parameters, outputs and tags as dictionaries."""
        stack: Json = {
            "StackName": name,
            "StackId": f"arn:aws:cloudformation:{region}:999999999999:stack/{name}/1",
            "StackStatus": described.pop("status", "CREATE_COMPLETE"),
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for key, (name_key, value_key) in _PAIRS.items():
            given = described.pop(key.lower(), {})
            stack[key] = [{name_key: name, value_key: value} for name, value in given.items()]
        self.stacks[region, name] = {**stack, **described}
        return self.stacks[region, name]

    def answers(self) -> dict[str, Answer]:
        """Return the answers for a FakeAws."""
        return {
            "cloudformation.DescribeStacks": self._describe,
            "cloudformation.ListStackResources": lambda _, given: {
                "StackResourceSummaries": self.resources.get(name_of(given), [])
            },
            "cloudformation.DescribeStackEvents": lambda _, given: {
                "StackEvents": self.events.get(name_of(given), [])
            },
        }

    def _describe(self, region: str, given: Json) -> Any:
        name = name_of(given)
        found = [
            stack
            for (at, known), stack in self.stacks.items()
            if at == region and name in (None, known)
        ]
        if name and not found:
            return refusal("ValidationError", f"Stack with id {name} does not exist")
        return {"Stacks": copy.deepcopy(found)}


def name_of(given: Json) -> str | None:
    """Return the name of a request's stack, given by name or ID."""
    name = given.get("StackName")
    return name.split("/")[1] if name and name.startswith("arn:") else name


_PAIRS = {
    "Parameters": ("ParameterKey", "ParameterValue"),
    "Outputs": ("OutputKey", "OutputValue"),
    "Tags": ("Key", "Value"),
}


@dataclass(frozen=True)
class Told:
    """A command's exit code and output."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The last line of the error output."""
        return self.err.splitlines()[-1]


Operate = Callable[..., Told]


class Terminal(io.StringIO):
    """The input typed into a terminal."""

    def isatty(self) -> bool:
        return True


def operator(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Operate:
    """Return a function that runs a command in this process, with `answer` as its input."""

    def operate(*arguments: Any, answer: str = "", is_terminal: bool = False) -> Told:
        typed = io.StringIO(answer)
        monkeypatch.setattr("sys.stdin", Terminal(answer) if is_terminal else typed)
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        return Told(code, *capsys.readouterr())

    return operate
