"""SECURITY.md tells of every role what it may, and of every store."""

import re

import pytest
from permissions.grants import granted
from support.stack import ROOT, Stack

# What the page says of all roles at once.
SAID_OF_ALL = ("kms:", "logs:", "xray:")
STORES = (
    "AWS::DynamoDB::Table",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
)
# What else the templates have, and holds no data; of any other type the page may have to tell.
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
    """Return both with all that they can have."""
    return [Stack(stack.template, "dev", CreateTrail="true"), forwarding]


def test_it_names_each_roles_actions(stacks: list[Stack]) -> None:
    told = {role: set(may) for roles, _, may, _ in table("Who can do what") for role in roles}
    allowed: dict[str, set[str]] = {role: set() for one in stacks for role in roles_of(one)}
    for grant in (grant for one in stacks for grant in granted(one)):
        if not grant.action.startswith(SAID_OF_ALL):
            allowed[grant.role].add(grant.action)

    assert allowed == told


def roles_of(stack: Stack) -> set[str]:
    return set(stack.of_type("AWS::IAM::Role"))


def test_it_names_each_store_and_its_key(stacks: list[Stack]) -> None:
    told = {store: key for stores, _, key, _ in table("Where data is stored") for store in stores}
    stores = {store for one in stacks for kind in STORES for store in one.of_type(kind)}

    assert stores == set(told)
    assert {"LogGroup"} == {store[-8:] for store, key in told.items() if key != ["Key"]}


def test_it_knows_every_type_of_resource(stacks: list[Stack]) -> None:
    types = {
        resource["Type"] for one in stacks for resource in one.deployed()["Resources"].values()
    }

    assert set() == types - NO_STORES - set(STORES)
