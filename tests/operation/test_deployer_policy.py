"""The deployer's policy: what template and scripts need is in it, and it fits where it goes."""

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from scripts.cli import REPOSITORY
from template.stack import forwarding_template, source_template

Json = dict[str, Any]

POLICY: Json = json.loads((REPOSITORY / "scripts/lib/deployer-policy.json").read_text())
PREFIX = "arn:aws"
HERE = "us-east-1:999999999999"
STACK = "aws-contact-sync-prod"
# Characters without white space in a managed policy.
MOST_CHARACTERS = 6144

# What CloudFormation does with the deployer's permissions to make a resource of each type, and an
# example of the resource. Keys, and a secret's name, are not named after the stack.
NEEDED = {
    "AWS::CloudTrail::Trail": ("cloudtrail:CreateTrail", f"cloudtrail:{HERE}:trail/{STACK}-trail"),
    "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm", f"cloudwatch:{HERE}:alarm:{STACK}-x"),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch:PutDashboard",
        f"cloudwatch::999999999999:dashboard/{STACK}-dashboard",
    ),
    "AWS::DynamoDB::Table": ("dynamodb:CreateTable", f"dynamodb:{HERE}:table/{STACK}-state"),
    "AWS::Events::Rule": ("events:PutRule", f"events:{HERE}:rule/{STACK}-recovery"),
    "AWS::IAM::ManagedPolicy": (
        "iam:CreatePolicy",
        f"iam::999999999999:policy/{STACK}-TracingPolicy-1A",
    ),
    "AWS::IAM::Role": ("iam:CreateRole", f"iam::999999999999:role/{STACK}-ScheduleRole-1A"),
    "AWS::KMS::Alias": ("kms:CreateAlias", f"kms:{HERE}:alias/{STACK}"),
    "AWS::KMS::Key": ("kms:CreateKey", f"kms:{HERE}:key/0000"),
    "AWS::Logs::LogGroup": ("logs:CreateLogGroup", f"logs:{HERE}:log-group:/aws/lambda/{STACK}-x"),
    "AWS::Logs::QueryDefinition": ("logs:PutQueryDefinition", f"logs:{HERE}:query-definition:x"),
    "AWS::S3::Bucket": ("s3:CreateBucket", f"s3:::{STACK}-runs-999999999999-us-east-1"),
    "AWS::S3::BucketPolicy": ("s3:PutBucketPolicy", f"s3:::{STACK}-runs-999999999999-us-east-1"),
    "AWS::SNS::Subscription": ("sns:Subscribe", f"sns:{HERE}:{STACK}-notifications"),
    "AWS::SNS::Topic": ("sns:CreateTopic", f"sns:{HERE}:{STACK}-notifications"),
    "AWS::SNS::TopicPolicy": ("sns:SetTopicAttributes", f"sns:{HERE}:{STACK}-notifications"),
    "AWS::SQS::Queue": ("sqs:CreateQueue", f"sqs:{HERE}:{STACK}-dlq"),
    "AWS::SQS::QueuePolicy": ("sqs:SetQueueAttributes", f"sqs:{HERE}:{STACK}-dlq"),
    "AWS::Scheduler::Schedule": (
        "scheduler:CreateSchedule",
        f"scheduler:{HERE}:schedule/{STACK}/{STACK}-schedule",
    ),
    "AWS::Scheduler::ScheduleGroup": (
        "scheduler:CreateScheduleGroup",
        f"scheduler:{HERE}:schedule-group/{STACK}",
    ),
    "AWS::SecretsManager::Secret": (
        "secretsmanager:CreateSecret",
        f"secretsmanager:{HERE}:secret:DigestKey-1A2B3C",
    ),
    "AWS::Serverless::Function": ("lambda:CreateFunction", f"lambda:{HERE}:function:{STACK}-x"),
    "AWS::Serverless::StateMachine": (
        "states:CreateStateMachine",
        f"states:{HERE}:stateMachine:{STACK}-contact-sync",
    ),
}

# Commands whose name is not the action's.
ACTIONS = {
    "cloudformation deploy": ["CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet"],
    "s3 cp": ["GetObject", "PutObject"],
    "s3 rm": ["ListBucket", "DeleteObject"],
    "s3api list-objects-v2": ["ListBucket"],
    "organizations enable-aws-service-access": ["EnableAWSServiceAccess"],
    "organizations list-aws-service-access-for-organization": [
        "ListAWSServiceAccessForOrganization"
    ],
}
SERVICES = {"s3api": "s3", "stepfunctions": "states"}
# Allowed to everybody.
FREE = {"sts get-caller-identity", "configure get"}
COMMAND = re.compile(
    r'(?:aws_cli|call_aws|aws_unless (?:"[^"]*"|\S+))\s+([a-z0-9]+)\s+([a-z0-9-]+)'
)


def statements() -> list[Json]:
    found: list[Json] = POLICY["Statement"]
    return found


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allows(action: str, resource: str | None = None) -> bool:
    return any(
        any(fnmatchcase(action, pattern) for pattern in as_list(statement["Action"]))
        and (
            resource is None
            or any(
                fnmatchcase(f"{PREFIX}:{resource}", pattern)
                for pattern in as_list(statement["Resource"])
            )
        )
        for statement in statements()
    )


def actions_of_the_scripts() -> Iterator[str]:
    for script in sorted(REPOSITORY.glob("scripts/**/*.sh")):
        for service, operation in COMMAND.findall(script.read_text().replace("\\\n", " ")):
            command = f"{service} {operation}"
            if command in FREE:
                continue
            name = "".join(word.capitalize() for word in operation.split("-"))
            for action in ACTIONS.get(command, [name]):
                yield f"{SERVICES.get(service, service)}:{action}"


@pytest.mark.parametrize("template", [source_template, forwarding_template])
def test_every_resource_can_be_made(template: Callable[[], Json]) -> None:
    """A type that is new to a template needs its permission here."""
    kinds = {resource["Type"] for resource in template()["Resources"].values()}

    assert [] == [kind for kind in sorted(kinds) if not allows(*NEEDED[kind])]


def test_every_command_of_the_scripts() -> None:
    """What a script calls is allowed."""
    called = set(actions_of_the_scripts())

    assert len(called) > 20
    assert [] == sorted(action for action in called if not allows(action))


def test_nothing_of_others() -> None:
    """Data, code and roles of anything else in the account are out of reach."""
    others = {
        "dynamodb:DeleteTable": f"dynamodb:{HERE}:table/orders",
        "lambda:UpdateFunctionCode": f"lambda:{HERE}:function:orders",
        "s3:GetObject": "s3:::orders/1",
        "iam:PutRolePolicy": "iam::999999999999:role/admin",
        "iam:PassRole": "iam::999999999999:role/admin",
        "cloudformation:DeleteStack": f"cloudformation:{HERE}:stack/orders/1",
        "account:PutAlternateContact": "account::999999999999:account/o-exampleorg1/100000000001",
    }

    assert [] == [action for action, resource in others.items() if allows(action, resource)]


def test_it_fits() -> None:
    """A managed policy takes it, and every statement has a name of its own."""
    text = json.dumps(POLICY, separators=(",", ":"))
    names = [statement["Sid"] for statement in statements()]

    assert len(text) <= MOST_CHARACTERS
    assert len(names) == len(set(names))
