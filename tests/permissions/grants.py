"""The permissions that a stack's roles grant."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from support.stack import Stack

Json = dict[str, Any]


@dataclass(frozen=True, order=True)
class Grant:
    """One action on one resource, as written in a role's policy."""

    role: str
    action: str
    resource: str


@cache
def documents(stack: Stack, role: str) -> list[Json]:
    """Return every policy of a role, including attached ones."""
    managed = {
        stack.arn(logical_id): properties["PolicyDocument"]
        for logical_id, properties in stack.of_type("AWS::IAM::ManagedPolicy").items()
    }
    properties = stack.of_type("AWS::IAM::Role")[role]
    inline = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    return inline + [managed[arn] for arn in properties.get("ManagedPolicyArns", [])]


def granted(stack: Stack) -> set[Grant]:
    """Return each action and resource that a role is allowed."""
    return {
        Grant(role, action, resource)
        for role in stack.of_type("AWS::IAM::Role")
        for document in documents(stack, role)
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def listed(value: Any) -> list[Any]:
    """Return a policy element, which may be one value or several, as a list."""
    return value if isinstance(value, list) else [value]
