"""The evaluation of policies: allowed, explicitly denied, or implicitly denied, as in IAM."""

from typing import Any

import pytest
from permissions.policy import Decision, Principal, Request, UnknownPolicyError, decide

TABLE = "arn:aws:dynamodb:us-east-1:999999999999:table/state"
REQUEST = Request("dynamodb:GetItem", TABLE)


def verdict(*statements: dict[str, Any], request: Request = REQUEST) -> Decision:
    return decide([{"Version": "2012-10-17", "Statement": list(statements)}], request)


def allow(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE, **elements}


def test_nothing_is_allowed_without_a_statement() -> None:
    assert Decision.NOTHING == verdict()


def test_a_denial_overrides_in_any_order() -> None:
    assert Decision.DENY == verdict(allow(), allow(Effect="Deny"), allow())


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("dynamodb:GetItem", Decision.ALLOW),
        ("DynamoDB:getitem", Decision.ALLOW),
        ("dynamodb:Get*", Decision.ALLOW),
        ("dynamodb:?etItem", Decision.ALLOW),
        ("*", Decision.ALLOW),
        (["s3:GetObject", "dynamodb:GetItem"], Decision.ALLOW),
        ("dynamodb:Get", Decision.NOTHING),
        ("dynamodb:GetItems", Decision.NOTHING),
        ("dynamodb:[G]etItem", Decision.NOTHING),
        ("s3:*", Decision.NOTHING),
    ],
)
def test_actions(action: str | list[str], expected: Decision) -> None:
    assert expected == verdict(allow(Action=action))


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (TABLE, Decision.ALLOW),
        ("*", Decision.ALLOW),
        ([TABLE, "arn:aws:s3:::bucket"], Decision.ALLOW),
        ("arn:aws:dynamodb:*:999999999999:table/*", Decision.ALLOW),
        ("arn:aws:dynamodb:us-east-1:999999999999:table/stat?", Decision.ALLOW),
        ("arn:aws:dynamodb:us-east-1:999999999999:table/State", Decision.NOTHING),
        ("arn:aws:dynamodb:us-east-1:999999999999:table/state/index/GSI1", Decision.NOTHING),
        ("arn:aws:dynamodb:us-east-1:111111111111:table/state", Decision.NOTHING),
        ("arn:aws:dynamodb:*:table/state", Decision.NOTHING),
        ("arn:aws:*", Decision.NOTHING),
    ],
)
def test_resources(resource: str | list[str], expected: Decision) -> None:
    assert expected == verdict(allow(Resource=resource))


def test_a_wildcard_matches_everything_after_the_account() -> None:
    group = "arn:aws:logs:us-east-1:999999999999:log-group:name"
    request = Request("logs:PutLogEvents", f"{group}:log-stream:2026/11/24")

    assert Decision.ALLOW == verdict(
        allow(Action="logs:PutLogEvents", Resource=f"{group}:*"), request=request
    )


def test_a_statement_with_exclusions_applies_to_everything_else() -> None:
    others = {"Effect": "Allow", "NotAction": "s3:*", "NotResource": "arn:aws:s3:::bucket"}

    assert Decision.ALLOW == verdict(others)
    assert Decision.NOTHING == verdict({**others, "NotAction": "dynamodb:*"})
    assert Decision.NOTHING == verdict({**others, "NotResource": TABLE})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"aws:SourceAccount": "999999999999"}}, Decision.ALLOW),
        ({"StringEquals": {"AWS:sourceaccount": ["1", "999999999999"]}}, Decision.ALLOW),
        ({"StringEquals": {"aws:SourceAccount": "*"}}, Decision.NOTHING),
        ({"StringEquals": {"aws:SourceOrgID": "o-exampleorg1"}}, Decision.NOTHING),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:events:*:999999999999:rule/*"}}, Decision.ALLOW),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:1:rule/*"}}, Decision.NOTHING),
        ({"Bool": {"aws:SecureTransport": "true"}}, Decision.ALLOW),
        ({"Bool": {"aws:SecureTransport": False}}, Decision.NOTHING),
        (
            {
                "Bool": {"aws:SecureTransport": "true"},
                "StringEquals": {"aws:SourceAccount": "111111111111"},
            },
            Decision.NOTHING,
        ),
    ],
)
def test_conditions(condition: dict[str, Any], expected: Decision) -> None:
    context = {
        "aws:SecureTransport": "true",
        "aws:SourceAccount": "999999999999",
        "aws:SourceArn": "arn:aws:events:us-east-1:999999999999:rule/changed",
    }
    request = Request("dynamodb:GetItem", TABLE, context=context)

    assert expected == verdict(allow(Condition=condition), request=request)


ROLE = Principal(arn="arn:aws:iam::999999999999:role/Role")
SERVICE = Principal(service="events.amazonaws.com")


@pytest.mark.parametrize(
    ("named", "who", "expected"),
    [
        ("*", Principal(), Decision.ALLOW),
        ({"AWS": "*"}, ROLE, Decision.ALLOW),
        ({"AWS": ROLE.arn}, ROLE, Decision.ALLOW),
        ({"AWS": "arn:aws:iam::999999999999:root"}, ROLE, Decision.ALLOW),
        ({"AWS": "arn:aws:iam::111111111111:root"}, ROLE, Decision.NOTHING),
        ({"AWS": "arn:aws:iam::999999999999:root"}, SERVICE, Decision.NOTHING),
        ({"Service": "events.amazonaws.com"}, SERVICE, Decision.ALLOW),
        ({"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}, SERVICE, Decision.ALLOW),
        ({"Service": "sns.amazonaws.com"}, SERVICE, Decision.NOTHING),
        ({"Service": "events.amazonaws.com"}, ROLE, Decision.NOTHING),
        ({"Service": "events.amazonaws.com"}, Principal(), Decision.NOTHING),
    ],
)
def test_principals(named: Any, who: Principal, expected: Decision) -> None:
    request = Request("dynamodb:GetItem", TABLE, who)

    assert expected == verdict(allow(Principal=named), request=request)


@pytest.mark.parametrize(
    "elements",
    [
        {"Condition": {"StringNotEquals": {"aws:SourceAccount": "1"}}},
        {"Condition": {"StringEqualsIfExists": {"aws:SourceAccount": "1"}}},
        {"Condition": {"ForAllValues:StringEquals": {"aws:SourceAccount": "1"}}},
        {"Resource": "arn:aws:s3:::${aws:PrincipalAccount}"},
        {"Principal": {"Federated": "example.com"}},
        {"NotPrincipal": {"AWS": "*"}},
        {"Effect": "Maybe"},
    ],
)
def test_unknown_elements_are_an_error(elements: dict[str, Any]) -> None:
    with pytest.raises(UnknownPolicyError):
        verdict(allow(**elements))


def test_a_statement_without_a_resource_is_an_error() -> None:
    with pytest.raises(UnknownPolicyError):
        verdict({"Effect": "Allow", "Action": "*"})
