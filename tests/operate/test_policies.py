"""The policies of deployers and operators: what template and scripts need is there, and it fits."""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from support.cli import REPOSITORY
from support.documents import DOCUMENTS, samples_of

Json = dict[str, Any]

DEPLOYER, OPERATOR = (
    json.loads((REPOSITORY / f"scripts/lib/{name}-policy.json").read_text())
    for name in ("deployer", "operator")
)
PREFIX = "arn:aws"
HERE = "us-east-1:999999999999"
STACK = "aws-contact-sync-prod"
# Characters without white space in a managed policy.
MOST_CHARACTERS = 6144

SERVICES = {"stepfunctions": "states"}
# Of each action that the scripts call, the resource that they call it on; "*" where the action
# takes none. From the Service Authorization Reference.
QUEUE, TOPIC = f"sqs:{HERE}:{STACK}-dlq", f"sns:{HERE}:{STACK}-notifications"
EVENT_RULE = f"events:{HERE}:rule/{STACK}-contact-changed"
TEST_RULE = f"events:{HERE}:rule/{STACK}-validate-20260101T000000Z-1"
MACHINE = f"states:{HERE}:stateMachine:{STACK}-contact-sync"
CONFIG = f"dynamodb:{HERE}:table/{STACK}-config"
A_STACK = f"cloudformation:{HERE}:stack/{STACK}/1"
ON = {
    "account:GetAlternateContact": "*",
    "account:GetContactInformation": "*",
    "cloudtrail:DescribeTrails": "*",
    "cloudtrail:GetEventSelectors": f"cloudtrail:{HERE}:trail/organization",
    "cloudtrail:GetTrailStatus": f"cloudtrail:{HERE}:trail/organization",
    "cloudtrail:StopLogging": f"cloudtrail:{HERE}:trail/{STACK}-trail",
    "cloudwatch:DescribeAlarms": f"cloudwatch:{HERE}:alarm:*",
    "dynamodb:Query": f"dynamodb:{HERE}:table/{STACK}-state/index/GSI1",
    "events:DeleteRule": TEST_RULE,
    "events:ListRuleNamesByTarget": "*",
    "events:ListRules": "*",
    "events:ListTargetsByRule": EVENT_RULE,
    "events:PutEvents": f"events:{HERE}:event-bus/default",
    "events:PutRule": TEST_RULE,
    "events:PutTargets": TEST_RULE,
    "events:RemoveTargets": TEST_RULE,
    "events:TestEventPattern": "*",
    "iam:PassRole": f"iam::999999999999:role/{STACK}-ContactSyncStateMachineContactCh-1A",
    "kms:DescribeKey": f"kms:{HERE}:key/0000",
    "lambda:GetFunctionConfiguration": f"lambda:{HERE}:function:{STACK}-account-lister",
    "organizations:DescribeAccount": "organizations::999999999999:account/o-x/100000000001",
    "organizations:DescribeOrganization": "*",
    "organizations:DescribeOrganizationalUnit": "organizations::999999999999:ou/o-x/ou-ab12-c",
    "organizations:DescribePolicy": "organizations::999999999999:policy/o-x/x/p-1",
    "organizations:EnableAWSServiceAccess": "*",
    "organizations:ListAWSServiceAccessForOrganization": "*",
    "organizations:ListAccounts": "*",
    "organizations:ListAccountsForParent": "organizations::999999999999:ou/o-x/ou-ab12-c",
    "organizations:ListOrganizationalUnitsForParent": "organizations::999999999999:root/o-x/r-ab12",
    "organizations:ListPolicies": "*",
    "organizations:ListRoots": "*",
    "organizations:ListTargetsForPolicy": "organizations::999999999999:policy/o-x/x/p-1",
    "s3:GetObject": "s3:::aws-sam-cli-managed-default-bucket/x",
    "scheduler:DeleteSchedule": f"scheduler:{HERE}:schedule/{STACK}/{STACK}-schedule",
    "scheduler:GetSchedule": f"scheduler:{HERE}:schedule/{STACK}/{STACK}-schedule",
    "states:DescribeExecution": f"states:{HERE}:execution:{STACK}-contact-sync:1",
    "states:DescribeMapRun": f"states:{HERE}:mapRun:{STACK}-contact-sync/SyncAccounts:1",
    "states:ListMapRuns": f"states:{HERE}:execution:{STACK}-contact-sync:1",
}
ON_ALL_OF = {
    "cloudformation": A_STACK,
    "dynamodb": CONFIG,
    "s3": f"s3:::{STACK}-runs-999999999999-us-east-1",
    "sns": TOPIC,
    "sqs": QUEUE,
    "states": MACHINE,
}
# Modules of scripts/operate that only deployers run.
DEPLOYING = (
    "change_sets delete deploy deployment forwarding operations packaging preflight releases "
    "rollback"
).split()
# Of the modules that both use, what only a deployment calls.
DEPLOYERS_OWN = {"cloudformation:DescribeStackEvents"}
# put-targets hands a role over.
HANDED_OVER = {"iam:PassRole"}

# What the functions' adapters call for a command.
BY_ADAPTERS = {
    "account:GetAlternateContact",
    "account:GetContactInformation",
    "organizations:DescribeAccount",
    "organizations:DescribeOrganization",
    "organizations:DescribeOrganizationalUnit",
    "organizations:ListAWSServiceAccessForOrganization",
}

# A transaction's writes are authorized as those that it consists of.
AUTHORIZED_AS = {"dynamodb:TransactWriteItems": "dynamodb:PutItem"}
# What the documents leave to deployers and to the organization's administrators; and a member's
# edit, which the reader makes in the stand-in.
NOT_OPERATORS = {
    "aws account put-alternate-contact",
    "aws cloudformation deploy",
    "aws events disable-rule",
    "aws organizations",
    "aws sns subscribe",
}
# What alarms and messages lead to in the console: logs and their queries, dashboard, execution.
IN_CONSOLE = {
    "cloudwatch:GetDashboard": f"cloudwatch::999999999999:dashboard/{STACK}",
    "cloudwatch:GetMetricData": "*",
    "cloudwatch:ListMetrics": "*",
    "logs:DescribeLogGroups": "*",
    "logs:DescribeQueryDefinitions": "*",
    "logs:FilterLogEvents": f"logs:{HERE}:log-group:/aws/lambda/{STACK}-sync-reporter:*",
    "logs:GetLogEvents": f"logs:{HERE}:log-group:/aws/vendedlogs/states/{STACK}-contact-sync:*",
    "logs:GetQueryResults": "*",
    "logs:StartQuery": f"logs:{HERE}:log-group:/aws/lambda/{STACK}-sync-reporter:*",
    "logs:StopQuery": "*",
    "states:GetExecutionHistory": f"states:{HERE}:execution:{STACK}-contact-sync:1",
    "states:StopExecution": f"states:{HERE}:execution:{STACK}-contact-sync:1",
}
ON |= IN_CONSOLE
# Allowed to everybody.
FREE = {"sts:GetCallerIdentity"}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allows(policy: Json, action: str, resource: str) -> bool:
    """Tell whether a statement allows it, whatever its conditions."""
    arn = resource if resource == "*" else f"{PREFIX}:{resource}"
    return any(
        any(fnmatchcase(action, pattern) for pattern in as_list(statement["Action"]))
        and any(fnmatchcase(arn, pattern) for pattern in as_list(statement["Resource"]))
        for statement in policy["Statement"]
    )


def directly(policy: Json) -> Json:
    """Return what the policy allows without CloudFormation."""
    statements = policy["Statement"]
    return {
        "Statement": [one for one in statements if "aws:CalledVia" not in json.dumps(one)],
    }


MODULES = list(REPOSITORY.glob("scripts/operate/**/*.py"))


def actions_of(modules: Iterable[Path]) -> set[str]:
    """Return what Python modules call: methods, and names, of operations of their clients."""
    found = set()
    for module in modules:
        text = module.read_text()
        called = set(re.findall(r"\.(\w+)\(", text)) | set(re.findall(r'"(\w+)"', text))
        for service in re.findall(r'client\("(\w+)"', text):
            client: Any = Session().client(service, HERE.partition(":")[0])
            names = client.meta.method_to_api_mapping
            found |= {
                f"{SERVICES.get(service, service)}:{names[word]}" for word in called & names.keys()
            }
    return {AUTHORIZED_AS.get(action, action) for action in found} - FREE


def missing(policy: Json, actions: Iterable[str]) -> list[str]:
    """Return what the policy does not allow where the scripts do it."""
    return [
        action
        for action in sorted(actions)
        if not allows(policy, action, ON.get(action) or ON_ALL_OF[action.partition(":")[0]])
    ]


def test_every_call_of_the_commands() -> None:
    """What a command calls is allowed to who deploys, where the command calls it."""
    called = actions_of(MODULES) | BY_ADAPTERS

    assert 50 < len(called)
    assert [] == missing(directly(DEPLOYER), called | HANDED_OVER)


def test_every_call_of_operators() -> None:
    """Who does not deploy can do everything else, and does not get more."""
    operating = [path for path in MODULES if path.stem not in DEPLOYING]
    needed = (actions_of(operating) | BY_ADAPTERS | HANDED_OVER) - DEPLOYERS_OWN
    needed |= IN_CONSOLE.keys()
    encryption = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}

    assert [] == missing(OPERATOR, needed)
    allowed = {a for one in OPERATOR["Statement"] for a in as_list(one["Action"])}
    assert set() == allowed - needed - encryption


def test_every_documented_call_of_operators() -> None:
    """What the documents tell operators to type with the AWS CLI is allowed to them."""
    typed = {
        " ".join(sample.words[:3])
        for document in DOCUMENTS
        for sample in samples_of(document)
        if sample.language == "bash" and sample.text.startswith("aws ")
    }
    by_operators = [one for one in typed if not one.startswith(tuple(NOT_OPERATORS))]
    actions = set()
    for _, service, operation in map(str.split, by_operators):
        client: Any = Session().client(service, HERE.partition(":")[0])
        name = client.meta.method_to_api_mapping[operation.replace("-", "_")]
        actions.add(f"{SERVICES.get(service, service)}:{name}")

    assert "states:StopExecution" in actions
    assert [] == missing(OPERATOR, actions)


OTHERS = {
    "dynamodb:DeleteTable": f"dynamodb:{HERE}:table/orders",
    "lambda:UpdateFunctionCode": f"lambda:{HERE}:function:orders",
    "s3:GetObject": "s3:::orders/1",
    "iam:PutRolePolicy": "iam::999999999999:role/admin",
    "iam:PassRole": "iam::999999999999:role/admin",
    "cloudformation:DeleteStack": f"cloudformation:{HERE}:stack/orders/1",
    "account:PutAlternateContact": "account::999999999999:account/o-exampleorg1/100000000001",
    "events:PutTargets": f"events:{HERE}:rule/orders",
}


@pytest.mark.parametrize("policy", [DEPLOYER, OPERATOR], ids=["deployer", "operator"])
def test_nothing_of_others(policy: Json) -> None:
    """Data, code and roles of anything else in the account are out of reach."""
    assert [] == [action for action, arn in OTHERS.items() if allows(policy, action, arn)]


@pytest.mark.case("D3")
@pytest.mark.parametrize("policy", [DEPLOYER, OPERATOR], ids=["deployer", "operator"])
def test_a_missing_object_is_missing(policy: Json) -> None:
    """Who may read an object of a bucket may list it.

    Else S3 answers 403 where the object is missing, which no command can tell from a refusal.
    """
    buckets = ("aws-sam-cli-managed-default-bucket", f"{STACK}-runs-999999999999-us-east-1")

    read = {one for one in buckets if allows(policy, "s3:GetObject", f"s3:::{one}/key")}
    listed = {one for one in buckets if allows(policy, "s3:ListBucket", f"s3:::{one}")}

    assert set() == read - listed


@pytest.mark.parametrize("policy", [DEPLOYER, OPERATOR], ids=["deployer", "operator"])
def test_no_wildcard(policy: Json) -> None:
    """No statement allows everything, nor a whole service everywhere; roles are passed to few."""
    for statement in policy["Statement"]:
        for action in as_list(statement["Action"]):
            assert "*" != action
            if "*" in action:
                assert "*" not in as_list(statement["Resource"]), statement["Sid"]
                assert action.partition(":")[0] not in ("iam", "kms", "organizations", "account")
            if action == "iam:PassRole":
                assert "iam:PassedToService" in statement["Condition"]["StringEquals"]
                assert "arn:*:iam::*:role/aws-contact-sync-*" == statement["Resource"]


@pytest.mark.parametrize("policy", [DEPLOYER, OPERATOR], ids=["deployer", "operator"])
def test_it_fits(policy: Json) -> None:
    """A managed policy takes it, and every statement has a name of its own."""
    text = json.dumps(policy, separators=(",", ":"))
    names = [statement["Sid"] for statement in policy["Statement"]]

    assert len(text) <= MOST_CHARACTERS
    assert len(names) == len(set(names))
