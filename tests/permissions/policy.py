"""Decides requests by IAM policies, as far as this project's policies go.

Whatever is not known here (an element, an operator, a variable, a way to name a principal) is an
error, and never "allowed".
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
    """The policy says something that this evaluation does not know."""


class Decision(StrEnum):
    """What the policies say of a request; only ALLOW lets it pass."""

    ALLOW = "allow"
    DENY = "explicit deny"
    NOTHING = "nothing said"


@dataclass(frozen=True)
class Principal:
    """Who asks: an AWS service, or an identity of an account; ANYONE has neither."""

    service: str | None = None
    arn: str | None = None


ANYONE = Principal()


@dataclass(frozen=True)
class Request:
    """One action on one resource ("*" for an action that takes none), and what is known of it."""

    action: str
    resource: str
    principal: Principal = ANYONE
    context: Mapping[str, str] = field(default_factory=dict)


def decide(documents: Iterable[Json], request: Request) -> Decision:
    """Return what the policy documents together say of the request."""
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
    """Tell whether a statement is about the request; every part of it is looked at."""
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
    """Tell whether a policy's action, in any case and with wildcards, is the action."""
    return _glob(pattern.lower(), action.lower())


def resource_matches(pattern: str, resource: str) -> bool:
    """Tell whether a policy's resource is the resource; a wildcard stays within its ARN part."""
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
    # A trust policy is about its own role.
    if element == "Resource" and "Principal" in statement:
        return True
    raise UnknownPolicyError(f"no {element} in {statement}")


def _names_principal(statement: Json, principal: Principal) -> bool:
    """Tell whether the statement is about the principal; an identity's own names none."""
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
    """Tell whether an account (by its root), everyone, or an identity names the principal."""
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
            # Keys are the same in any case; a key that the request lacks fulfils nothing.
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
    "ForAnyValue:StringEquals": str.__eq__,  # a request here has one value of each key
    "ArnEquals": resource_matches,  # takes wildcards, just as ArnLike
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
