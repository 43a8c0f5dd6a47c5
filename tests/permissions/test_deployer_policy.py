"""The deployer's policy allows what CloudFormation's handlers call for this product's resources.

`handlers.json` lists these calls (handlers.py generates it); what it lacks is below.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
from cfnlint.data import AdditionalSpecs
from cfnlint.helpers import load_resource
from permissions.handlers import FIXTURE, types
from permissions.policy import Decision, Request, decide
from support.stack import ROOT

Json = dict[str, Any]

POLICY: Json = json.loads((ROOT / "scripts/lib/deployer-policy.json").read_text())
PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-eusc")
HERE = "us-east-1:999999999999"
STACK = "aws-contact-sync-prod"

WHEEL: dict[str, list[str]] = json.loads(FIXTURE.read_text())["types"]

# From the schemas that CloudFormation publishes, copied in github.com/pulumi/pulumi-aws-native,
# aws-cloudformation-schema; read on 2026-11-27. For types that the wheel lacks, or has older.
PUBLISHED = {
    "AWS::CloudTrail::Trail": (
        "cloudtrail:AddTags cloudtrail:CreateTrail cloudtrail:DeleteTrail "
        "cloudtrail:DescribeTrails cloudtrail:GetEventSelectors "
        "cloudtrail:GetInsightSelectors cloudtrail:GetTrail "
        "cloudtrail:GetTrailStatus cloudtrail:ListTags cloudtrail:PutEventSelectors "
        "cloudtrail:PutInsightSelectors cloudtrail:RemoveTags cloudtrail:StartLogging "
        "cloudtrail:StopLogging cloudtrail:UpdateTrail iam:CreateServiceLinkedRole iam:GetRole "
        "iam:PassRole organizations:DescribeOrganization "
        "organizations:ListAWSServiceAccessForOrganization"
    ),
    "AWS::CloudWatch::Alarm": (
        "cloudwatch:DeleteAlarms cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource "
        "cloudwatch:PutMetricAlarm cloudwatch:TagResource cloudwatch:UntagResource"
    ),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch:DeleteDashboards cloudwatch:GetDashboard cloudwatch:PutDashboard"
    ),
    "AWS::IAM::ManagedPolicy": (
        "iam:AttachGroupPolicy iam:AttachRolePolicy iam:AttachUserPolicy iam:CreatePolicy "
        "iam:CreatePolicyVersion iam:DeletePolicy iam:DeletePolicyVersion iam:DetachGroupPolicy "
        "iam:DetachRolePolicy iam:DetachUserPolicy iam:GetPolicy iam:GetPolicyVersion "
        "iam:ListEntitiesForPolicy iam:ListPolicyVersions"
    ),
    "AWS::KMS::Key": "kms:ListResourceTags kms:PutKeyPolicy",
    "AWS::Logs::LogGroup": (
        "logs:DescribeResourcePolicies logs:ListTagsForResource logs:TagResource logs:UntagResource"
    ),
    "AWS::Logs::QueryDefinition": (
        "logs:DeleteQueryDefinition logs:DescribeQueryDefinition logs:PutQueryDefinition"
    ),
    "AWS::S3::BucketPolicy": "s3:DeleteBucketPolicy s3:GetBucketPolicy s3:PutBucketPolicy",
    "AWS::SNS::Topic": "iam:GetRole iam:PassRole sns:GetTopicAttributes",
    "AWS::StepFunctions::StateMachine": (
        "kms:Decrypt kms:DescribeKey kms:GenerateDataKey states:DescribeStateMachine "
        "states:TagResource"
    ),
}
# Calls that no schema with handlers lists, each with its reason.
ASSUMED = {
    "AWS::Events::Rule": (
        # The operations for its properties and tags; no schema has its handlers.
        "events:DeleteRule events:DescribeRule events:ListTagsForResource events:ListTargetsByRule "
        "events:PutRule events:PutTargets events:RemoveTargets events:TagResource "
        "events:UntagResource iam:PassRole"
    ),
    "AWS::SNS::Subscription": (
        # From the schema in CloudFormation's own repository, which was never released.
        "sns:GetSubscriptionAttributes sns:GetTopicAttributes sns:SetSubscriptionAttributes "
        "sns:Subscribe sns:Unsubscribe"
    ),
    "AWS::DynamoDB::Table": (
        # From DynamoDB's guide, for creating a table with a customer managed key.
        "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncrypt*"
    ),
    "AWS::Logs::LogGroup": (
        # From users whose drift detection and stack updates failed without it.
        "logs:DescribeIndexPolicies"
    ),
    "AWS::SecretsManager::Secret": (
        # From Secrets Manager's guide, for creating a secret with a customer managed key.
        "kms:Decrypt kms:GenerateDataKey"
    ),
}
# What handlers can call, but never call here, with the reason.
NOT_CALLED = {
    "dynamodb:*Import*": "no table is imported",
    "dynamodb:*Kinesis*": "no table streams to Kinesis",
    "ec2:*": "no function is in a VPC",
    "elasticfilesystem:*": "no function has a file system",
    "firehose:*": "no log group has a data protection policy",
    "iam:Attach[GU]*": "the managed policy is attached to roles alone",
    "iam:CreateServiceLinkedRole": "no organization trail, no scaling of tables",
    "iam:Detach[GU]*": "the managed policy is attached to roles alone",
    "kinesis:*": "no table streams to Kinesis",
    "kms:DescribeCustomKeyStores": "the key is in KMS's own store",
    "kms:Get[!K]*": "the key's material is made by KMS, and no key is asymmetric",
    "kms:GetKeyLastUsage": "DynamoDB does not depend on it",
    "kms:ListKey*": "DynamoDB looks at the key that it has",
    "kms:ListRetirableGrants": "DynamoDB looks at the key that it has",
    "lambda:*CodeSigningConfig": "no function has a code signing configuration",
    "lambda:GetLayerVersion": "no function has a layer",
    "lambda:PassCapacityProvider": "no function has a capacity provider",
    "logs:*DataProtectionPolicy": "no log group has a data protection policy",
    "logs:CreateLogDelivery": "no log group has a data protection policy",
    "logs:CreateLogStream": "no table is imported",
    "logs:DescribeLogStreams": "no table is imported",
    "logs:PutLogEvents": "no table is imported",
    "logs:PutResourcePolicy": "no log group has a data protection policy",
    "s3:ListTagsForResource": "buckets have tags of their own kind",
    "s3tables:*": "no bucket has a metadata table",
}
# Actions that do not exist in IAM: misspelled in the schemas, or names of API operations.
NO_ACTIONS = {
    "logs:DescribeQueryDefinition": "logs:DescribeQueryDefinitions",
    "logs:TagLogGroup": "logs:TagResource",
    "logs:UntagLogGroup": "logs:UntagResource",
}
# An example ARN for each resource type in the service authorization reference.
KINDS = {
    "cloudtrail trail": f"cloudtrail:{HERE}:trail/{STACK}-trail",
    "cloudwatch alarm": f"cloudwatch:{HERE}:alarm:{STACK}-dlq-messages",
    "cloudwatch dashboard": f"cloudwatch::999999999999:dashboard/{STACK}-dashboard",
    "dynamodb table": f"dynamodb:{HERE}:table/{STACK}-state",
    "events rule-on-default-event-bus": f"events:{HERE}:rule/{STACK}-recovery",
    "iam policy": f"iam::999999999999:policy/{STACK}-TracingPolicy-1A",
    "iam role": f"iam::999999999999:role/{STACK}-ScheduleRole-1A",
    "kms alias": f"kms:{HERE}:alias/{STACK}",
    "kms key": f"kms:{HERE}:key/0000",
    "lambda function": f"lambda:{HERE}:function:{STACK}-account-lister",
    "logs log-group": f"logs:{HERE}:log-group:/aws/lambda/{STACK}-account-lister",
    "s3 bucket": f"s3:::{STACK}-runs-999999999999-us-east-1",
    "s3 object": "s3:::aws-sam-cli-managed-default-samclisourcebucket-1a/x",
    "scheduler schedule": f"scheduler:{HERE}:schedule/{STACK}/{STACK}-schedule",
    "scheduler schedule-group": f"scheduler:{HERE}:schedule-group/{STACK}",
    "secretsmanager secret": f"secretsmanager:{HERE}:secret:DigestKey-1A2B3C",
    "sns topic": f"sns:{HERE}:{STACK}-notifications",
    "sqs queue": f"sqs:{HERE}:{STACK}-dlq",
    "states statemachine": f"states:{HERE}:stateMachine:{STACK}-contact-sync",
}
PASSED_TO = {
    "AWS::Events::Rule": "events.amazonaws.com",
    "AWS::Lambda::Function": "lambda.amazonaws.com",
    "AWS::Scheduler::Schedule": "scheduler.amazonaws.com",
    "AWS::StepFunctions::StateMachine": "states.amazonaws.com",
}


@cache
def actions() -> dict[str, list[str]]:
    """Return the resource types of every action of every service, in lower case."""
    reference = load_resource(AdditionalSpecs, "Policies.json")
    return {
        f"{service}:{name}": [f"{service} {kind}".lower() for kind in about.get("Resources", [])]
        for service, described in reference.items()
        for name, about in described["Actions"].items()
    }


def said_of(kind: str) -> set[str]:
    """Return the calls of a type's handlers according to the sources."""
    return {
        *WHEEL.get(kind, []),
        *PUBLISHED.get(kind, "").split(),
        *ASSUMED.get(kind, "").split(),
    }


def spelled_out(said: set[str]) -> set[str]:
    """Return actions in lower case, with wildcards expanded."""
    named = {NO_ACTIONS.get(action, action).lower() for action in said}
    return {
        one
        for name in named
        for one in (actions() if "*" in name else [name])
        if fnmatchcase(one, name)
    }


@cache
def called_for(kind: str) -> set[str]:
    """Return what the handlers of a type call here, in lower case."""
    return {action for action in spelled_out(said_of(kind)) if not is_not_called(action)}


def is_not_called(action: str) -> bool:
    return any(fnmatchcase(action, pattern.lower()) for pattern in NOT_CALLED)


def refused(kind: str, partition: str) -> Iterator[str]:
    """Yield the calls for a resource of the type that the policy does not allow."""
    context = {
        "aws:CalledVia": "cloudformation.amazonaws.com",
        "iam:PassedToService": PASSED_TO.get(kind, ""),
    }
    for action in sorted(called_for(kind)):
        if action == "iam:passrole" and kind not in PASSED_TO:
            continue  # it has no role
        # The reference lacks some actions on buckets.
        kinds = actions().get(action, ["s3 bucket"] if action.startswith("s3:") else [])
        on = [f"arn:{partition}:{KINDS[each]}" for each in kinds if each in KINDS]
        for arn in on or ["*"]:
            if decide([POLICY], Request(action, arn, context=context)) != Decision.ALLOW:
                yield f"{action} on {arn}"


TYPES = sorted(types())


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.case("D4")
@pytest.mark.rule(13)
def test_every_resource_can_be_created_updated_and_deleted(kind: str, partition: str) -> None:
    """A new type in a template needs its handlers here, and its permissions in the policy."""
    assert called_for(kind), "run handlers.py again, or add to PUBLISHED or ASSUMED"
    assert [] == list(refused(kind, partition))


def test_every_exception_is_needed() -> None:
    """An exception without a handler's call must be removed."""
    said = {action for kind in TYPES for action in said_of(kind)}
    every = spelled_out(said)

    assert set(TYPES) >= {*WHEEL, *PUBLISHED, *ASSUMED}
    assert said >= NO_ACTIONS.keys()
    assert [] == [
        pattern
        for pattern in NOT_CALLED
        if not any(fnmatchcase(action, pattern.lower()) for action in every)
    ]


# Actions that can take over or destroy an account or its data.
DANGEROUS = {
    "iam:AttachRolePolicy": "iam role",
    "iam:CreatePolicyVersion": "iam policy",
    "iam:CreateRole": "iam role",
    "iam:PutRolePolicy": "iam role",
    "iam:UpdateAssumeRolePolicy": "iam role",
    "kms:CreateGrant": "kms key",
    "kms:DisableKey": "kms key",
    "kms:PutKeyPolicy": "kms key",
    "kms:ScheduleKeyDeletion": "kms key",
    "secretsmanager:DeleteSecret": "secretsmanager secret",
    "secretsmanager:GetSecretValue": "secretsmanager secret",
}


@pytest.mark.parametrize("action", DANGEROUS)
def test_dangerous_actions_are_allowed_only_through_cloudformation(action: str) -> None:
    request = Request(action, f"arn:aws:{KINDS[DANGEROUS[action]]}")
    through = Request(**{**vars(request), "context": {"aws:CalledVia": "s3.amazonaws.com"}})

    assert Decision.NOTHING == decide([POLICY], request)
    assert Decision.NOTHING == decide([POLICY], through)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        # DescribeStacks without a name, for other environments (API_DescribeStacks).
        ("cloudformation:DescribeStacks", "*"),
        ("cloudformation:ListStacks", "*"),
        # Why CloudFormation refused a change set.
        (
            "cloudformation:DescribeEvents",
            f"arn:aws:cloudformation:{HERE}:changeSet/contact-sync-1/1",
        ),
    ],
)
def test_commands_can_ask_cloudformation(action: str, resource: str) -> None:
    assert Decision.ALLOW == decide([POLICY], Request(action, resource))
