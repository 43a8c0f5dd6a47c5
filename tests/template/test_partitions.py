"""Deployed to any partition, the stacks contain no name of another partition."""

import json
import re
from typing import Any

import boto3
import pytest
from operate.aws import PARTITIONS
from support.stack import ROOT, Stack, forwarding_template

Json = dict[str, Any]

# For each partition, a Region (without the events of accounts, if it has several), and the suffix
# of its hosts (botocore's partitions.json).
REGIONS = {
    "aws": ("eu-west-1", "amazonaws.com"),
    "aws-cn": ("cn-north-1", "amazonaws.com.cn"),
    "aws-us-gov": ("us-gov-east-1", "amazonaws.com"),
    "aws-eusc": ("eusc-de-east-1", "amazonaws.eu"),
}
# The name of a service in every partition, in trust policies, events and trusted access. Names that
# contain a Region have the partition's suffix.
SERVICE = r"[a-z]+\.amazonaws\.com"


@pytest.fixture(params=REGIONS, name="partition")
def _partition(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(name="texts")
def _texts(expanded: Json, partition: str) -> list[str]:
    """Return the full text of the stack and of the forwarding stack."""
    own = {"AWS::Region": REGIONS[partition][0]}
    everything = {"NotificationEmail": "admin@example.com", "CreateTrail": "true"}
    stack = Stack(expanded, "prod", partition, **own, **everything)
    forwarding = Stack(
        forwarding_template(), "prod", partition, **own, HomeRegion=PARTITIONS[partition][0],
        Kind="Both",
    )  # fmt: skip
    outputs = [str(stack.output(name)) for name in expanded["Outputs"]]
    definition = (ROOT / "statemachine/contact_sync.asl.json").read_text()
    machine = stack.properties("ContactSyncStateMachine")
    for name, value in machine["DefinitionSubstitutions"].items():
        definition = definition.replace(f"${{{name}}}", str(value))
    return [
        json.dumps(stack.deployed()) + str(outputs) + definition,
        json.dumps(forwarding.deployed()),
    ]


@pytest.mark.case("D1")
@pytest.mark.rule(13)
def test_arns(texts: list[str], partition: str) -> None:
    for text in texts:
        assert {partition} == set(re.findall(r"\barn:([a-z-]+):", text))


def test_regions(texts: list[str], partition: str) -> None:
    """Only the stack's own Region, and that of its events, occur."""
    own = {REGIONS[partition][0], PARTITIONS[partition][0]}
    for text in texts:
        found = set(re.findall(r"\b(?:us|eu|cn|us-gov|eusc-de)-[a-z]+-\d\b", text))
        assert found <= own


def test_hosts(texts: list[str], partition: str) -> None:
    """Services have the same names everywhere; every other host belongs to the partition."""
    console = PARTITIONS[partition][1]
    suffix = REGIONS[partition][1]
    for text in texts:
        hosts = set(re.findall(r"[\w.-]*amazon[\w.-]*\.(?:com|cn|eu)(?:\.cn)?", text))
        others = {host for host in hosts if not re.fullmatch(SERVICE, host)}
        assert {host for host in others if not host.endswith(suffix)} <= {console}
    assert console in texts[0]


def test_consoles(expanded: Json) -> None:
    """The commands and the stack use the same consoles."""
    known = {
        name: each["ConsoleDomain"] for name, each in expanded["Mappings"]["Partitions"].items()
    }

    assert {name: host for name, (_, host) in PARTITIONS.items()} == known
    assert REGIONS.keys() == known.keys()


@pytest.mark.parametrize("name", sorted(REGIONS.keys() - {"aws-us-gov"}))
def test_account_events_are_in_the_region_of_the_account_api(name: str) -> None:
    """botocore's endpoint of the Account API is in the Region with the partition's events.

    For GovCloud, it lists none, and constructs one from any Region.
    """
    region, suffix = PARTITIONS[name][0], REGIONS[name][1]
    client = boto3.client("account", region_name=REGIONS[name][0])

    assert f"https://account.{region}.{suffix}" == client.meta.endpoint_url
