"""The calls of each role: IAM actions on resources, from recorded calls and the template.

The functions' calls are recorded. Those of the state machine come from its definition, those of
rules and the schedule from their targets, and those that an AWS service makes on behalf of a role
(logs, traces, encryption) from the template's properties.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from permissions.policy import Principal, Request
from support import asl
from support.stack import ACCOUNT, ORGANIZATION, REGION, Stack

Json = dict[str, Any]

# The context of every request of this stack: botocore and AWS services always use TLS.
OVER_TLS = {"aws:SecureTransport": "true"}

# The names of services in IAM, where they differ from the clients' names.
IAM_NAMES = {"stepfunctions": "states"}

# The permissions that DynamoDB's guide lists for using a table with a customer managed key (under
# "Using a customer managed key"), without those for creating a table.
READS_TABLE = ("kms:Decrypt", "kms:DescribeKey")
WRITES_TABLE = (*READS_TABLE, "kms:Encrypt", "kms:GenerateDataKey")
# The permissions that each call needs on the customer managed key, from the services' guides.
KEY_USE = {
    "dynamodb:BatchGetItem": READS_TABLE,
    "dynamodb:BatchWriteItem": WRITES_TABLE,
    "dynamodb:DeleteItem": WRITES_TABLE,
    "dynamodb:GetItem": READS_TABLE,
    "dynamodb:PutItem": WRITES_TABLE,
    "dynamodb:Query": READS_TABLE,
    "dynamodb:UpdateItem": WRITES_TABLE,
    "s3:DeleteObject": (),
    "s3:GetObject": ("kms:Decrypt",),
    "s3:ListBucket": (),
    "s3:PutObject": ("kms:GenerateDataKey",),
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "sns:Publish": ("kms:Decrypt", "kms:GenerateDataKey"),
    "sqs:SendMessage": ("kms:Decrypt", "kms:GenerateDataKey"),
}


@dataclass(frozen=True)
class Call:
    """A role's action on a resource; the resource is "*" for an action without one.

    `prefix` is the prefix of listed objects.
    """

    role: str
    action: str
    resource: str
    via: str | None = None
    prefix: str | None = None

    def request(self, stack: Stack) -> Request:
        """Return the request that IAM evaluates."""
        identity = Principal(arn=stack.arn(self.role))
        via = {"kms:ViaService": f"{self.via}.{REGION}.amazonaws.com"} if self.via else {}
        listed = {"s3:prefix": self.prefix} if self.prefix else {}
        return Request(self.action, self.resource, identity, OVER_TLS | via | listed)


def of_functions(
    recorded: Iterable[Json], stack: Stack, logical_ids: Mapping[str, str]
) -> set[Call]:
    """Return the calls of the functions: the recorded ones, and those for logs and traces.

    `logical_ids` are those of resources whose names CloudFormation generates.
    """
    functions = stack.of_type("AWS::Lambda::Function")
    owners = {one["FunctionName"]: one for one in functions.values()}
    calls: set[Call] = set()
    for call in recorded:
        function = owners[call["function"]]
        role = _role_of(stack, function["Role"])
        for action, resource in _actions(call, stack, logical_ids):
            prefix = call["parameters"].get("Prefix")
            calls |= set(_with_key(stack, Call(role, action, resource, prefix=prefix)))
        calls |= set(_of_the_runtime(role, function))
    return calls


def of_machine(stack: Stack, manifest_keys: Iterable[str]) -> set[Call]:
    """Return the calls of the state machine, from its definition.

    `manifest_keys` are those that the account lister wrote, because the definition has only an
    expression.
    """
    machine = stack.properties("ContactSyncStateMachine")
    role = _role_of(stack, machine["RoleArn"])
    calls: set[Call] = set()
    for state in asl.states(asl.load()).values():
        for action, resource in _of_state(state, stack, machine, list(manifest_keys)):
            calls |= set(_with_key(stack, Call(role, action, resource)))
    if machine["TracingConfiguration"]["Enabled"]:
        calls |= {Call(role, action, "*") for action in SENDS_TRACES}
    return calls


def of_triggers(stack: Stack) -> set[Call]:
    """Return the calls that rules and the schedule make with their roles."""
    calls: set[Call] = set()
    for rule in stack.of_type("AWS::Events::Rule").values():
        for target in rule["Targets"]:
            if "RoleArn" in target:
                calls.add(Call(_role_of(stack, target["RoleArn"]), *_target(target["Arn"])))
    for schedule in stack.of_type("AWS::Scheduler::Schedule").values():
        target = schedule["Target"]
        role = _role_of(stack, target["RoleArn"])
        queue = target["DeadLetterConfig"]["Arn"]
        calls.add(Call(role, *_target(target["Arn"])))
        calls |= set(_with_key(stack, Call(role, "sqs:SendMessage", queue)))
    return calls


# Lambda and Step Functions send traces with the role's permissions. Lambda uses no sampling rules,
# but X-Ray's guides list the four actions together.
SENDS_TRACES = (
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)


def key_of(stack: Stack, resource: str) -> str | None:
    """Return the ARN of the customer managed key that encrypts a resource."""
    table = resource.split("/index/", maxsplit=1)[0]
    bucket = resource.split("/", maxsplit=1)[0]
    return _keys(stack).get(table) or _keys(stack).get(bucket)


@cache
def _keys(stack: Stack) -> dict[str, str]:
    """Return the keys of all resources with data, by the resource's ARN."""
    found = {}
    for resource_type, key in (
        ("AWS::DynamoDB::Table", lambda one: one["SSESpecification"]["KMSMasterKeyId"]),
        ("AWS::SQS::Queue", lambda one: one["KmsMasterKeyId"]),
        ("AWS::SNS::Topic", lambda one: one["KmsMasterKeyId"]),
        ("AWS::SecretsManager::Secret", lambda one: one["KmsKeyId"]),
        ("AWS::S3::Bucket", _bucket_key),
    ):
        for logical_id, properties in stack.of_type(resource_type).items():
            found[stack.arn(logical_id)] = key(properties)
    return found


def _bucket_key(bucket: Json) -> str:
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return str(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])


def _with_key(stack: Stack, call: Call) -> Iterator[Call]:
    """Yield the call, and its service's calls of the resource's key on behalf of the role."""
    yield call
    key = key_of(stack, call.resource)
    if key is not None:
        service = call.action.split(":")[0]
        for action in KEY_USE[call.action]:
            yield Call(call.role, action, key, via=service)


def _of_the_runtime(role: str, function: Json) -> Iterator[Call]:
    group = function["LoggingConfig"]["LogGroup"]
    stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:2026/11/24/[$LATEST]0"
    yield Call(role, "logs:CreateLogStream", stream)
    yield Call(role, "logs:PutLogEvents", stream)
    if function["TracingConfig"]["Mode"] == "Active":
        for action in SENDS_TRACES:
            yield Call(role, action, "*")


@cache
def _role_of(stack: Stack, arn: str) -> str:
    return next(role for role in stack.of_type("AWS::IAM::Role") if stack.arn(role) == arn)


def _actions(call: Json, stack: Stack, logical_ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (action, resource) of a recorded call; raise KeyError for an unknown call."""
    service, operation, parameters = call["service"], call["operation"], call["parameters"]
    if service == "dynamodb":
        yield from _of_dynamodb(operation, parameters)
        return
    action = f"{IAM_NAMES.get(service, service)}:{operation}"
    match service:
        case "account":
            yield action, _contacts_of(parameters.get("AccountId"))
        case "organizations":
            yield action, _of_organizations(operation, parameters)
        case "s3" if operation == "ListObjectsV2":
            yield "s3:ListBucket", f"arn:aws:s3:::{parameters['Bucket']}"
        case "s3":
            yield action, f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}"
        case "secretsmanager":
            yield action, stack.arn(logical_ids[parameters["SecretId"]])
        case "stepfunctions":
            yield action, parameters["executionArn"]
        case _:
            raise KeyError(f"{service} {operation}")


def _contacts_of(account_id: str | None) -> str:
    """Return the account of a call's contacts: a member, or the caller's own without an ID."""
    own = f"arn:aws:account::{ACCOUNT}:account"
    return f"{own}/{ORGANIZATION}/{account_id}" if account_id else own


def _of_organizations(operation: str, parameters: Mapping[str, str]) -> str:
    prefix = f"arn:aws:organizations::{ACCOUNT}"
    if operation == "DescribeAccount":
        return f"{prefix}:account/{ORGANIZATION}/{parameters['AccountId']}"
    if unit := parameters.get("OrganizationalUnitId") or parameters.get("ParentId"):
        kind = "root" if unit.startswith("r-") else "ou"
        return f"{prefix}:{kind}/{ORGANIZATION}/{unit}"
    return "*"


def _of_dynamodb(operation: str, parameters: Json) -> Iterator[tuple[str, str]]:
    if operation == "TransactWriteItems":
        for item in parameters["TransactItems"]:
            for kind, request in item.items():
                yield f"dynamodb:{kind}Item", _table(request["TableName"])
    elif "RequestItems" in parameters:
        for table in parameters["RequestItems"]:
            yield f"dynamodb:{operation}", _table(table)
    else:
        index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
        yield f"dynamodb:{operation}", _table(parameters["TableName"]) + index


def _table(name: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def _of_state(
    state: Json, stack: Stack, machine: Json, manifest_keys: list[str]
) -> Iterator[tuple[str, str]]:
    if state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
        yield from _of_map(state, stack, machine, manifest_keys)
    if state["Type"] != "Task":
        return
    arguments = _substituted(state["Arguments"], machine)
    match asl.integration(state["Resource"]):
        case "lambda:invoke":
            yield "lambda:InvokeFunction", arguments["FunctionName"]
        case "dynamodb:updateItem":
            yield "dynamodb:UpdateItem", _table(arguments["TableName"])
        case "sns:publish":
            yield "sns:Publish", arguments["TopicArn"]
        case "states:startExecution":
            yield "states:StartExecution", arguments["StateMachineArn"]
        case other:
            raise KeyError(other)


def _of_map(
    state: Json, stack: Stack, machine: Json, manifest_keys: list[str]
) -> Iterator[tuple[str, str]]:
    """Yield the calls of a Distributed Map with the machine's role, from Step Functions' guide.

    In the guide, children have ARNs like other executions, but other ARNs have been observed.
    """
    name = machine["StateMachineName"]
    yield "states:StartExecution", stack.arn("ContactSyncStateMachine")
    for of in (name, f"{name}/{state['Label']}"):
        child = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{of}:1f0c"
        yield "states:DescribeExecution", child
        yield "states:StopExecution", child
    reader = state["ItemReader"]
    if asl.integration(reader["Resource"]) != "s3:getObject":
        raise KeyError(reader["Resource"])
    bucket = _substituted(reader["Arguments"], machine)["Bucket"]
    for key in manifest_keys:
        yield "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"


def _substituted(arguments: Json, machine: Json) -> Json:
    text = json.dumps(arguments)
    for name, value in machine["DefinitionSubstitutions"].items():
        text = text.replace(f"${{{name}}}", value)
    return dict(json.loads(text))


def _target(arn: str) -> tuple[str, str]:
    """Return the action and target of a rule or schedule with a role."""
    kind = arn.split(":", 5)[2]
    return {"states": "states:StartExecution", "events": "events:PutEvents"}[kind], arn
