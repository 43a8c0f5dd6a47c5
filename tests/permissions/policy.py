"""Evaluates IAM policies, as far as this project's policies need it.

Anything unknown (an element, an operator, a variable, a kind of principal) is an error, never
"allowed".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

Json = dict[str, Any]

_ELEMENTS = {
    "Sid",
    "Effect",
    "Principal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}


class UnknownPolicyError(Exception):
    """The policy contains something that this evaluation does not support."""


class Decision(StrEnum):
    """The decision of policies about a request."""

    ALLOW = "allow"
    DENY = "explicit deny"
    NOTHING = "implicit deny"


@dataclass(frozen=True)
class Principal:
    """The caller: an AWS service, or an identity of an account; ANYONE is neither."""

    service: str | None = None
    arn: str | None = None


ANYONE = Principal()


@dataclass(frozen=True)
class Request:
    """One action on one resource ("*" for an action without one), with its context."""

    action: str
    resource: str
    principal: Principal = ANYONE
    context: Mapping[str, str] = field(default_factory=dict)


def decide(documents: Iterable[Json], request: Request) -> Decision:
    """Return the decision of all policy documents together."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _listed(document["Statement"])
        if applies(statement, request)
    }
    if "Deny" in effects:
        return Decision.DENY
    return Decision.ALLOW if "Allow" in effects else Decision.NOTHING


def applies(statement: Json, request: Request) -> bool:
    """Tell whether a statement applies to the request; check every element for support."""
    if unknown := statement.keys() - _ELEMENTS:
        raise UnknownPolicyError(f"elements {sorted(unknown)} of {statement}")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise UnknownPolicyError(f"effect of {statement}")
    matches = [
        _names_principal(statement, request.principal),
        _names(statement, "Action", request.action, action_matches),
        _names(statement, "Resource", request.resource, resource_matches),
        *_conditions(statement.get("Condition", {}), request.context),
    ]
    return all(matches)


def action_matches(pattern: str, action: str) -> bool:
    """Tell whether a policy's action, in any case and with wildcards, matches the action."""
    return _glob(pattern.lower(), action.lower())


def resource_matches(pattern: str, resource: str) -> bool:
    """Tell whether a policy's resource matches; a wildcard stays within its part of the ARN."""
    if "${" in pattern:
        raise UnknownPolicyError(f"policy variable in {pattern}")
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", 5), resource.split(":", 5)
    return len(wanted) == len(given) and all(map(_glob, wanted, given))


def _names(statement: Json, element: str, value: str, matches: Any) -> bool:
    if element in statement:
        return any(matches(pattern, value) for pattern in _listed(statement[element]))
    if f"Not{element}" in statement:
        patterns = _listed(statement[f"Not{element}"])
        return not any(matches(pattern, value) for pattern in patterns)
    # A trust policy applies to its own role.
    if element == "Resource" and "Principal" in statement:
        return True
    raise UnknownPolicyError(f"no {element} in {statement}")


def _names_principal(statement: Json, principal: Principal) -> bool:
    """Tell whether the statement applies to the principal; identity policies name none."""
    if "Principal" not in statement:
        return True
    named = statement["Principal"]
    if named == "*":
        return True
    if unknown := named.keys() - {"AWS", "Service"}:
        raise UnknownPolicyError(f"principals {sorted(unknown)}")
    services, identities = (_listed(named.get(kind, [])) for kind in ("Service", "AWS"))
    return principal.service in services or any(
        _is_identity(identity, principal) for identity in identities
    )


def _is_identity(named: str, principal: Principal) -> bool:
    """Tell whether an account (by its root), "*", or an identity includes the principal."""
    if principal.arn is None:
        return named == "*"
    if named.endswith(":root"):
        return named.split(":")[4] == principal.arn.split(":")[4]
    return named in ("*", principal.arn)


def _conditions(conditions: Json, context: Mapping[str, str]) -> Iterable[bool]:
    for operator, keys in conditions.items():
        if operator not in _OPERATORS:
            raise UnknownPolicyError(f"condition operator {operator}")
        for key, values in keys.items():
            # Keys are case-insensitive; a key that the request lacks matches nothing.
            given = next((v for k, v in context.items() if k.lower() == key.lower()), None)
            compare = _OPERATORS[operator]
            yield given is not None and any(compare(str(v), given) for v in _listed(values))


def _is_bool(wanted: str, given: str) -> bool:
    return wanted.lower() == given.lower()


def _like(wanted: str, given: str) -> bool:
    return _glob(wanted, given)


_OPERATORS = {
    "StringEquals": str.__eq__,
    "StringLike": _like,
    "ForAnyValue:StringEquals": str.__eq__,  # a request here has one value per key
    "ArnEquals": resource_matches,  # accepts wildcards, like ArnLike
    "ArnLike": resource_matches,
    "Bool": _is_bool,
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _glob(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    special = {"*": ".*", "?": "."}
    return re.compile("".join(special.get(c, re.escape(c)) for c in pattern), re.DOTALL)
