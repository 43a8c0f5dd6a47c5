"""Change sets see a condition that turns, and drift."""

import json
from collections.abc import Iterator

import pytest
from standin.standin import Standin

TEMPLATE = {
    "Parameters": {"Wanted": {"Type": "String"}},
    "Conditions": {"IsWanted": {"Fn::Equals": [{"Ref": "Wanted"}, "yes"]}},
    "Resources": {
        "Always": {"Type": "AWS::SQS::Queue"},
        "Sometimes": {"Type": "AWS::SQS::Queue", "Condition": "IsWanted"},
    },
}

TARGET = {"Id": "t", "Arn": "arn:aws:sqs:us-east-1:999999999999:q"}


def changes(standin: Standin, before: str, after: str) -> list[tuple[str, str]]:
    """Return what a change set finds when the only parameter changes, as (action, resource)."""
    client = standin.client("cloudformation")
    name = f"{before}-{after}"
    template = {"StackName": name, "TemplateBody": json.dumps(TEMPLATE)}
    client.create_stack(
        **template, Parameters=[{"ParameterKey": "Wanted", "ParameterValue": before}]
    )
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    client.create_change_set(
        **template,
        ChangeSetName="changes",
        Parameters=[{"ParameterKey": "Wanted", "ParameterValue": after}],
    )
    answer = client.describe_change_set(StackName=name, ChangeSetName="changes")
    found = [change["ResourceChange"] for change in answer["Changes"]]
    return [(change["Action"], change["LogicalResourceId"]) for change in found]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("no", "yes", [("Add", "Sometimes")]),
        ("yes", "no", [("Remove", "Sometimes")]),
        ("no", "never", []),
    ],
)
def test_condition(
    standin: Standin, before: str, after: str, expected: list[tuple[str, str]]
) -> None:
    """A resource comes or goes with its condition."""
    assert expected == changes(standin, before, after)


def test_drift(standin: Standin) -> None:
    """A rule that lost its target is a change of a change set that reverts drift alone."""
    client, events = standin.client("cloudformation"), standin.client("events")
    properties = {"Name": "r", "EventPattern": {"source": ["s"]}, "Targets": [TARGET]}
    rule = {"Type": "AWS::Events::Rule", "Properties": properties}
    given = {"StackName": "drift", "TemplateBody": json.dumps({"Resources": {"Rule": rule}})}
    client.create_stack(**given)
    client.get_waiter("stack_create_complete").wait(StackName="drift", WaiterConfig={"Delay": 1})
    events.remove_targets(Rule="r", Ids=["t"])
    found = []
    for name, mode in (("plain", {}), ("reverting", {"DeploymentMode": "REVERT_DRIFT"})):
        client.create_change_set(**given, ChangeSetName=name, **mode)
        answer = client.describe_change_set(StackName="drift", ChangeSetName=name)
        found.append([one["ResourceChange"]["LogicalResourceId"] for one in answer["Changes"]])
    assert [[], ["Rule"]] == found


@pytest.fixture(name="standin", scope="module")
def _standin() -> Iterator[Standin]:
    with Standin(accounts=0) as standin:
        yield standin
