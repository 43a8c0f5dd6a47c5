"""The rules for ended executions and the timeouts in the template."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from moto.events.models import EventPattern

Json = dict[str, Any]

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
STATUS_CHANGE = "Step Functions Execution Status Change"
# An event includes the execution's input up to this size.
MOST_INPUT = 248 * 1024


@dataclass(frozen=True)
class Rule:
    """A rule for ended executions, which starts the machine or publishes a message."""

    starts_machine: bool
    _pattern: EventPattern
    _transformer: Json

    def is_for(self, event: Json) -> bool:
        return bool(self._pattern.matches_event(event))  # type: ignore[arg-type]

    def text_of(self, event: Json) -> str:
        """Return what the target receives: values are JSON, but unquoted within a string."""
        template = self._transformer["InputTemplate"]

        def insert(match: re.Match[str]) -> str:
            value: Any = event
            for name in self._transformer["InputPathsMap"][match[1]].split(".")[1:]:
                value = value[name]
            is_inside = template[: match.start()].count('"') % 2
            return str(value) if is_inside else json.dumps(value)

        return re.sub(r"<(\w+)>", insert, template)


def status_event(
    machine_arn: str, name: str, status: str, execution_input: Any, **more: Any
) -> Json:
    """Return the event that Step Functions sends when an execution has ended."""
    payload = json.dumps(execution_input)
    is_included = len(payload) < MOST_INPUT
    detail = {
        "executionArn": f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}",
        "stateMachineArn": machine_arn,
        "name": name,
        "status": status,
        "inputDetails": {"included": is_included},
        **({"input": payload} if is_included else {}),
        **more,
    }
    event_id = f"end of {name}, {more.get('redriveCount', 0)}"
    at = more.get("stopDate", 0) / 1000
    return {
        "id": event_id,
        "source": "aws.states",
        "detail-type": STATUS_CHANGE,
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
        "detail": detail,
    }


class Template:
    """The parts of the template on which the cases depend."""

    def __init__(self, machine_arn: str) -> None:
        self._content = _resolved(yaml.load(TEMPLATE.read_text(), _Loader), machine_arn)  # noqa: S506
        self._machine_arn = machine_arn

    def rules(self) -> list[Rule]:
        return [
            Rule(target == self._machine_arn, EventPattern.load(json.dumps(pattern)), transformer)
            for pattern, target, transformer in self._patterns()
            if STATUS_CHANGE in pattern.get("detail-type", [])
        ]

    def timeout(self, folder: str) -> float:
        """Return a function's timeout in seconds."""
        default = self._content["Globals"]["Function"]["Timeout"]
        (found,) = [
            one["Properties"]
            for one in self._content["Resources"].values()
            if one.get("Properties", {}).get("Handler") == f"{folder}.handler.lambda_handler"
        ]
        return float(found.get("Timeout", default))

    def _patterns(self) -> Iterator[tuple[Json, Any, Json]]:
        for resource in self._content["Resources"].values():
            values = resource.get("Properties", {})
            if resource["Type"] == "AWS::Events::Rule":
                for target in values["Targets"]:
                    yield values["EventPattern"], target["Arn"], target.get("InputTransformer", {})
            if resource["Type"] == "AWS::Serverless::StateMachine":
                for one in values.get("Events", {}).values():
                    pattern = one["Properties"].get("Pattern", {})
                    transformer = one["Properties"].get("InputTransformer", {})
                    yield pattern, self._machine_arn, transformer


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short-form functions as their arguments."""


def _argument(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: loader.construct_mapping(node, deep=True)}  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _argument)


def _resolved(content: Any, machine_arn: str) -> Any:
    """Replace references to the machine with its ARN; leave other names unchanged."""
    machines = {
        name
        for name, resource in content["Resources"].items()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }

    def resolve(node: Any) -> Any:
        match node:
            case {"Ref": str(name)} | {"Sub": str(name)} if len(node) == 1:
                is_machine = name in machines or ":stateMachine:" in name
                return machine_arn if is_machine else name
            case dict():
                return {name: resolve(value) for name, value in node.items()}
            case list():
                return [resolve(value) for value in node]
        return node

    return resolve(content)
