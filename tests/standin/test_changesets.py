"""Change sets see a condition that turns, and drift; MiniStack alone does not."""

import json

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
    ("before", "after", "action"), [("no", "yes", "Add"), ("yes", "no", "Remove")]
)
def test_condition_turns(hooked: Standin, before: str, after: str, action: str) -> None:
    """A resource comes or goes with its condition."""
    assert [(action, "Sometimes")] == changes(hooked, before, after)


def test_condition_stays(hooked: Standin) -> None:
    """Where no condition turns there is no change."""
    assert [] == changes(hooked, "no", "never")


def test_drift(hooked: Standin) -> None:
    """A rule that lost its target is a change of a change set that reverts drift alone."""
    assert ([], ["Rule"]) == drift(hooked)


def test_without_the_hooks() -> None:
    """An assertion that fails here says that upstream needs the hook no longer."""
    off = ["conditional_changes", "reverted_drift"]
    with Standin(accounts=0, hooks_off=off) as plain:
        assert [] == changes(plain, "no", "yes")
        assert ([], []) == drift(plain)


def drift(standin: Standin) -> tuple[list[str], list[str]]:
    """Remove a rule's target; return what a change set finds, and one that reverts drift."""
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
    return found[0], found[1]


@pytest.fixture(name="hooked", scope="module")
def _hooked():
    with Standin(accounts=0) as standin:
        yield standin
