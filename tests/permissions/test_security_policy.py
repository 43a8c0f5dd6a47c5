"""SECURITY.md lists the permissions of every role, and every store."""

import re

import pytest
from permissions.grants import granted
from support.stack import ROOT, Stack

# Actions that the page describes for all roles together.
OF_ALL_ROLES = ("kms:", "logs:", "xray:")
STORES = (
    "AWS::DynamoDB::Table",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
)
# All other types in the templates, which hold no data; a new type may belong on the page.
NO_STORES = {
    "AWS::CloudTrail::Trail",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Events::Rule",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::StepFunctions::StateMachine",
}


def table(heading: str) -> list[list[list[str]]]:
    """Return the names in each cell of each row of the table under a heading."""
    page = (ROOT / ".github" / "SECURITY.md").read_text()
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[re.findall(r"`([^`]+)`", cell) for cell in row.split("|")[1:-1]] for row in rows]


@pytest.fixture(name="stacks")
def _stacks(stack: Stack, forwarding: Stack) -> list[Stack]:
    """Return both stacks with all optional resources."""
    return [Stack(stack.template, "dev", CreateTrail="true"), forwarding]


def test_it_names_each_roles_actions(stacks: list[Stack]) -> None:
    listed = {role: set(may) for roles, _, may, _ in table("Who can do what") for role in roles}
    allowed: dict[str, set[str]] = {role: set() for one in stacks for role in roles_of(one)}
    for grant in (grant for one in stacks for grant in granted(one)):
        if not grant.action.startswith(OF_ALL_ROLES):
            allowed[grant.role].add(grant.action)

    assert allowed == listed


def roles_of(stack: Stack) -> set[str]:
    return set(stack.of_type("AWS::IAM::Role"))


def test_it_names_each_store_and_its_key(stacks: list[Stack]) -> None:
    listed = {store: key for stores, _, key, _ in table("Where data is stored") for store in stores}
    stores = {store for one in stacks for kind in STORES for store in one.of_type(kind)}

    assert stores == set(listed)
    assert {"LogGroup"} == {store[-8:] for store, key in listed.items() if key != ["Key"]}


def test_every_type_of_resource_is_known(stacks: list[Stack]) -> None:
    types = {
        resource["Type"] for one in stacks for resource in one.deployed()["Resources"].values()
    }

    assert set() == types - NO_STORES - set(STORES)
