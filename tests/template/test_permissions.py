"""Each role may do exactly what its owner does, on exactly what it needs."""

from collections import defaultdict
from fnmatch import fnmatchcase
from typing import Any

import pytest
from support import asl
from support.stack import ACCOUNT, ORGANIZATION, REGION, Stack, event_role, event_rule
from template import function_code

STACK = "aws-contact-sync-dev"
OWN_ACCOUNT = f"arn:aws:account::{ACCOUNT}:account"
MEMBERS = f"arn:aws:account::{ACCOUNT}:account/{ORGANIZATION}/*"
ORGANIZATION_ACCOUNTS = f"arn:aws:organizations::{ACCOUNT}:account/{ORGANIZATION}/*"
ORGANIZATIONAL_UNITS = f"arn:aws:organizations::{ACCOUNT}:ou/{ORGANIZATION}/*"
CONFIG_TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STACK}-config"
STATE_TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STACK}-state"
STATE_INDEX = f"{STATE_TABLE}/index/GSI1"
RUNS = f"arn:aws:s3:::{STACK}-runs-{ACCOUNT}-{REGION}/runs/*"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-notifications"
DEAD_LETTERS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-dlq"
DIGEST_KEY = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:DigestKey"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/Key"
STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"
MACHINE = f"{STATES}:stateMachine:{STACK}-contact-sync"
EXECUTIONS = f"{STATES}:execution:{STACK}-contact-sync:*"
CHILDREN = f"{STATES}:execution:{STACK}-contact-sync/SyncAccounts:*"

# The state machine's events, of each of which SAM makes a rule with a role.
STARTING_EVENTS = (
    "ContactChanged",
    "BillingContactChanged",
    "AccountCreated",
    "AccountJoined",
    "UnnamedAccountJoined",
    "ManagedAccountCreated",
    "ManagedAccountUpdated",
    "AccountDeparted",
    "AccountClosed",
    "Recovery",
)

# Actions that no resource can be named for, and why they are needed.
WITHOUT_RESOURCE = {
    "logs:CreateLogDelivery": "the machine's log",
    "logs:DeleteLogDelivery": "the machine's log",
    "logs:DescribeLogGroups": "the machine's log",
    "logs:DescribeResourcePolicies": "the machine's log",
    "logs:GetLogDelivery": "the machine's log",
    "logs:ListLogDeliveries": "the machine's log",
    "logs:PutResourcePolicy": "the machine's log",
    "logs:UpdateLogDelivery": "the machine's log",
    "organizations:DescribeOrganization": "the check before a run",
    "organizations:ListAccounts": "the members",
    "organizations:ListAWSServiceAccessForOrganization": "the check before a run",
    "xray:GetSamplingRules": "traces",
    "xray:GetSamplingTargets": "traces",
    "xray:PutTelemetryRecords": "traces",
    "xray:PutTraceSegments": "traces",
}
# Every other wildcard that may stand in a resource.
WILDCARDS = {MEMBERS, ORGANIZATION_ACCOUNTS, ORGANIZATIONAL_UNITS, RUNS, EXECUTIONS, CHILDREN}

ATTACHED = "ManagedPolicyArns"
USE_TABLE = {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"}
SEND_TRACES = {action: {"*"} for action in WITHOUT_RESOURCE if action.startswith("xray:")}


# The clients' methods, and the permission that each needs.
OPERATIONS = {
    "batch_get_item": "dynamodb:BatchGetItem",
    "batch_write_item": "dynamodb:BatchWriteItem",
    "delete_alternate_contact": "account:DeleteAlternateContact",
    "delete_item": "dynamodb:DeleteItem",
    "delete_object": "s3:DeleteObject",
    "describe_account": "organizations:DescribeAccount",
    "describe_execution": "states:DescribeExecution",
    "describe_organization": "organizations:DescribeOrganization",
    "describe_organizational_unit": "organizations:DescribeOrganizationalUnit",
    "get_alternate_contact": "account:GetAlternateContact",
    "get_contact_information": "account:GetContactInformation",
    "get_item": "dynamodb:GetItem",
    "get_object": "s3:GetObject",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "list_accounts": "organizations:ListAccounts",
    "list_accounts_for_parent": "organizations:ListAccountsForParent",
    "list_aws_service_access_for_organization": (
        "organizations:ListAWSServiceAccessForOrganization"
    ),
    "list_organizational_units_for_parent": "organizations:ListOrganizationalUnitsForParent",
    "list_roots": "organizations:ListRoots",
    "publish": "sns:Publish",
    "put_alternate_contact": "account:PutAlternateContact",
    "put_contact_information": "account:PutContactInformation",
    "put_item": "dynamodb:PutItem",
    "put_object": "s3:PutObject",
    "query": "dynamodb:Query",
    "scan": "dynamodb:Scan",
    "start_execution": "states:StartExecution",
    "transact_write_items": "dynamodb:UpdateItem",
    "update_item": "dynamodb:UpdateItem",
}
# What stands in a function's modules, but in methods that this function does not call.
_OF_LISTER = {
    "organizations:DescribeOrganization",
    "organizations:DescribeOrganizationalUnit",
    "organizations:ListAccounts",
    "organizations:ListAccountsForParent",
    "organizations:ListAWSServiceAccessForOrganization",
    "organizations:ListOrganizationalUnitsForParent",
}
_OF_REPORTER = {"dynamodb:BatchWriteItem", "s3:DeleteObject"}
NOT_CALLED = {
    "ContactSyncHandlerFunction": {
        "account:DeleteAlternateContact",
        "account:PutAlternateContact",
        "account:PutContactInformation",
        "organizations:DescribeOrganization",
        "organizations:ListAccounts",
        "organizations:ListAccountsForParent",
        "organizations:ListAWSServiceAccessForOrganization",
        "organizations:ListOrganizationalUnitsForParent",
        "s3:DeleteObject",
        "s3:GetObject",
    },
    "AccountListerFunction": {
        "account:DeleteAlternateContact",
        "account:GetContactInformation",
        "account:PutAlternateContact",
        "account:PutContactInformation",
        "s3:DeleteObject",
    },
    "AlternateContactProcessorFunction": {
        "account:GetContactInformation",
        "account:PutContactInformation",
        "s3:PutObject",
        *_OF_LISTER,
        *_OF_REPORTER,
    },
    "PrimaryContactProcessorFunction": {
        "account:DeleteAlternateContact",
        "account:GetAlternateContact",
        "account:PutAlternateContact",
        "s3:PutObject",
        *_OF_LISTER,
        *_OF_REPORTER,
    },
    "SyncReporterFunction": {"dynamodb:PutItem", "dynamodb:Query", "s3:PutObject"},
}


def function_log(name: str) -> dict[str, set[str]]:
    """Return what a function needs to log."""
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{STACK}-{name}:*"
    return {"logs:CreateLogStream": {group}, "logs:PutLogEvents": {group}}


PERMISSIONS: dict[str, dict[str, set[str]]] = {
    "ContactSyncHandlerRole": {
        "account:GetAlternateContact": {OWN_ACCOUNT},
        "account:GetContactInformation": {OWN_ACCOUNT},
        "organizations:DescribeAccount": {ORGANIZATION_ACCOUNTS},
        "organizations:DescribeOrganizationalUnit": {ORGANIZATIONAL_UNITS},
        "dynamodb:DeleteItem": {STATE_TABLE},
        "dynamodb:GetItem": {CONFIG_TABLE, STATE_TABLE},
        "dynamodb:PutItem": {STATE_TABLE},
        "dynamodb:Query": {STATE_TABLE, STATE_INDEX},
        "dynamodb:UpdateItem": {STATE_TABLE},
        "s3:PutObject": {RUNS},
        "secretsmanager:GetSecretValue": {DIGEST_KEY},
        "states:DescribeExecution": {EXECUTIONS},
        **{action: {KEY} for action in USE_TABLE},
        **function_log("contact-sync-handler"),
        **SEND_TRACES,
    },
    "AccountListerRole": {
        "account:GetAlternateContact": {MEMBERS},
        "organizations:DescribeOrganization": {"*"},
        "organizations:ListAccounts": {"*"},
        "organizations:ListAWSServiceAccessForOrganization": {"*"},
        "organizations:DescribeAccount": {ORGANIZATION_ACCOUNTS},
        "organizations:DescribeOrganizationalUnit": {ORGANIZATIONAL_UNITS},
        "organizations:ListAccountsForParent": {ORGANIZATIONAL_UNITS},
        "organizations:ListOrganizationalUnitsForParent": {ORGANIZATIONAL_UNITS},
        "s3:GetObject": {RUNS},
        "s3:PutObject": {RUNS},
        "kms:Decrypt": {KEY},
        "kms:GenerateDataKey": {KEY},
        **function_log("account-lister"),
        **SEND_TRACES,
    },
    "AlternateContactProcessorRole": {
        "account:GetAlternateContact": {MEMBERS},
        "account:PutAlternateContact": {MEMBERS},
        "account:DeleteAlternateContact": {MEMBERS},
        "organizations:DescribeAccount": {ORGANIZATION_ACCOUNTS},
        "s3:GetObject": {RUNS},
        "dynamodb:BatchGetItem": {STATE_TABLE},
        "dynamodb:UpdateItem": {STATE_TABLE},
        **{action: {KEY} for action in USE_TABLE},
        **function_log("alternate-contact-processor"),
        **SEND_TRACES,
    },
    "PrimaryContactProcessorRole": {
        "account:GetContactInformation": {MEMBERS},
        "account:PutContactInformation": {MEMBERS},
        "organizations:DescribeAccount": {ORGANIZATION_ACCOUNTS},
        "s3:GetObject": {RUNS},
        "dynamodb:BatchGetItem": {STATE_TABLE},
        "dynamodb:UpdateItem": {STATE_TABLE},
        **{action: {KEY} for action in USE_TABLE},
        **function_log("primary-contact-processor"),
        **SEND_TRACES,
    },
    "SyncReporterRole": {
        "dynamodb:BatchGetItem": {STATE_TABLE},
        "dynamodb:BatchWriteItem": {STATE_TABLE},
        "dynamodb:DeleteItem": {STATE_TABLE},
        "dynamodb:GetItem": {STATE_TABLE},
        "dynamodb:UpdateItem": {STATE_TABLE},
        "s3:GetObject": {RUNS},
        "s3:DeleteObject": {RUNS},
        **{action: {KEY} for action in USE_TABLE},
        **function_log("sync-reporter"),
        **SEND_TRACES,
    },
    "ContactSyncStateMachineRole": {
        "lambda:InvokeFunction": {
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STACK}-{name}"
            for name in (
                "contact-sync-handler",
                "account-lister",
                "alternate-contact-processor",
                "primary-contact-processor",
                "sync-reporter",
            )
        },
        "states:StartExecution": {MACHINE},
        "states:DescribeExecution": {EXECUTIONS, CHILDREN},
        "states:StopExecution": {EXECUTIONS, CHILDREN},
        "dynamodb:UpdateItem": {STATE_TABLE},
        "s3:GetObject": {RUNS},
        "sns:Publish": {TOPIC},
        **{action: {KEY} for action in USE_TABLE},
        **{action: {"*"} for action in WITHOUT_RESOURCE if action.startswith("logs:")},
        **SEND_TRACES,
    },
    "ScheduleRole": {
        "states:StartExecution": {MACHINE},
        "sqs:SendMessage": {DEAD_LETTERS},
        "kms:Decrypt": {KEY},
        "kms:GenerateDataKey": {KEY},
    },
    **{event_role(event): {"states:StartExecution": {MACHINE}} for event in STARTING_EVENTS},
}
SERVICES = {
    **dict.fromkeys(PERMISSIONS, "lambda"),
    **{event_role(event): "events" for event in STARTING_EVENTS},
    "ContactSyncStateMachineRole": "states",
    "ScheduleRole": "scheduler",
}


def listed(value: Any) -> list[Any]:
    """Return a policy element that may be one value or several as several."""
    return value if isinstance(value, list) else [value]


def permissions(stack: Stack) -> dict[str, dict[str, set[str]]]:
    """Return each role's actions and what they may touch."""
    managed = {
        stack.arn(logical_id): properties
        for logical_id, properties in stack.of_type("AWS::IAM::ManagedPolicy").items()
    }
    found: dict[str, dict[str, set[str]]] = {}
    for role, properties in stack.of_type("AWS::IAM::Role").items():
        documents = [policy["PolicyDocument"] for policy in properties["Policies"]]
        documents += [managed[arn]["PolicyDocument"] for arn in properties.get(ATTACHED, [])]
        actions: dict[str, set[str]] = defaultdict(set)
        for statement in (each for document in documents for each in document["Statement"]):
            assert "Allow" == statement["Effect"]
            for action in listed(statement["Action"]):
                actions[action] |= set(listed(statement["Resource"]))
        found[role] = dict(actions)
    return found


@pytest.fixture(name="granted")
def _granted(stack: Stack) -> dict[str, dict[str, set[str]]]:
    return permissions(stack)


@pytest.mark.parametrize("function", NOT_CALLED)
def test_function_may_do_what_its_code_does(
    stack: Stack, granted: dict[str, dict[str, set[str]]], function: str
) -> None:
    """Each operation in a function's code is allowed or known not to be called; none is idle."""
    names = function_code.names(stack.properties(function)["Handler"])
    reachable = {action for operation, action in OPERATIONS.items() if operation in names}
    allowed = {
        action
        for action in granted[function.removesuffix("Function") + "Role"]
        if not action.startswith(("kms:", "logs:", "xray:"))
    }

    assert allowed | NOT_CALLED[function] == reachable
    assert set() == allowed & NOT_CALLED[function]


@pytest.mark.parametrize("role", PERMISSIONS)
def test_role_has_exactly_its_permissions(
    granted: dict[str, dict[str, set[str]]], role: str
) -> None:
    """A role has the actions of its owner, on its owner's resources."""
    assert PERMISSIONS[role] == granted[role]


def test_no_other_role_exists(granted: dict[str, dict[str, set[str]]]) -> None:
    """Every role is one whose permissions are written down here."""
    assert set(PERMISSIONS) == set(granted)


def test_no_iam_resource_has_a_name(stack: Stack) -> None:
    """Two environments of one account cannot collide, and CAPABILITY_IAM is enough."""
    roles = stack.of_type("AWS::IAM::Role").values()
    policies = stack.of_type("AWS::IAM::ManagedPolicy").values()

    assert set() == {key for each in (*roles, *policies) for key in each if key.endswith("Name")}


def test_no_action_is_a_wildcard(granted: dict[str, dict[str, set[str]]]) -> None:
    """Actions are named in full."""
    actions = {action for each in granted.values() for action in each}

    assert set() == {action for action in actions if "*" in action}


def test_every_resource_is_named(granted: dict[str, dict[str, set[str]]]) -> None:
    """A wildcard stands only where it is meant, and alone only for actions without a resource."""
    grants = {
        (action, resource)
        for each in granted.values()
        for action, resources in each.items()
        for resource in resources
    }
    unnamed = {action for action, resource in grants if resource == "*"}
    partly_named = {
        resource
        for _, resource in grants
        if "*" in resource and resource != "*" and ":log-group:" not in resource
    }

    assert set() == unnamed - WITHOUT_RESOURCE.keys()
    assert set() == partly_named - WILDCARDS


def test_nobody_writes_to_the_management_account(
    granted: dict[str, dict[str, set[str]]],
) -> None:
    """No permission to write a contact covers the management account's own."""
    writes = {
        resource
        for each in granted.values()
        for action, resources in each.items()
        if action.startswith(("account:Put", "account:Delete"))
        for resource in resources
    }

    assert writes
    assert set() == {resource for resource in writes if fnmatchcase(OWN_ACCOUNT, resource)}


def test_one_function_reads_the_digest_key(granted: dict[str, dict[str, set[str]]]) -> None:
    """Only the function that computes digests may read their key."""
    readers = {
        role
        for role, actions in granted.items()
        if any(action.startswith("secretsmanager:") for action in actions)
    }

    assert {"ContactSyncHandlerRole"} == readers


def test_machine_is_allowed_what_its_definition_uses(
    granted: dict[str, dict[str, set[str]]],
) -> None:
    """Each service integration of the definition has its action, and no action is idle."""
    actions = {
        "dynamodb:updateItem": "dynamodb:UpdateItem",
        "lambda:invoke": "lambda:InvokeFunction",
        "s3:getObject": "s3:GetObject",
        "sns:publish": "sns:Publish",
        "states:startExecution": "states:StartExecution",
    }
    of_map = {"states:DescribeExecution", "states:StartExecution", "states:StopExecution"}
    granted_to_machine = {
        action
        for action in granted["ContactSyncStateMachineRole"]
        if not action.startswith(("kms:", "logs:", "xray:"))
    }

    states = asl.states(asl.load()).values()
    resources = [one.get("Resource") or one.get("ItemReader", {}).get("Resource") for one in states]
    names = {asl.integration(resource) for resource in resources if resource}
    used = {actions.get(name, name) for name in names}
    assert granted_to_machine == used | of_map


def test_nobody_redrives_an_execution(granted: dict[str, dict[str, set[str]]]) -> None:
    """A child that is redriven would write for a run that is over."""
    assert not [actions for actions in granted.values() if "states:RedriveExecution" in actions]


class TestOwners:
    def test_each_function_has_its_own_role(self, stack: Stack) -> None:
        """A function's role is named like it and used by nobody else."""
        functions = stack.of_type("AWS::Lambda::Function")
        roles = {logical_id: properties["Role"] for logical_id, properties in functions.items()}
        expected = {
            logical_id: stack.arn(logical_id.removesuffix("Function") + "Role")
            for logical_id in functions
        }

        assert 5 == len(functions)
        assert expected == roles

    def test_machine_and_triggers_have_their_own_roles(self, stack: Stack) -> None:
        """The machine and each trigger have a role apart; a rule needs none to publish."""
        machine = stack.properties("ContactSyncStateMachine")["RoleArn"]
        schedule = stack.properties("Schedule")["Target"]["RoleArn"]
        rules = {
            logical_id: target["RoleArn"]
            for logical_id, properties in stack.of_type("AWS::Events::Rule").items()
            for target in properties["Targets"]
            if target["Arn"] != stack.arn("NotificationTopic")
        }
        expected = {event_rule(event): stack.arn(event_role(event)) for event in STARTING_EVENTS}

        assert stack.arn("ContactSyncStateMachineRole") == machine
        assert stack.arn("ScheduleRole") == schedule
        assert expected == rules

    def test_only_its_service_assumes_a_role(self, stack: Stack) -> None:
        """Lambda, Step Functions, EventBridge and its Scheduler each get their own roles."""
        services = {
            role: listed(statement["Principal"]["Service"])
            for role, properties in stack.of_type("AWS::IAM::Role").items()
            for statement in properties["AssumeRolePolicyDocument"]["Statement"]
        }

        assert {role: [f"{name}.amazonaws.com"] for role, name in SERVICES.items()} == services

    def test_only_this_stacks_schedules_use_their_role(self, stack: Stack) -> None:
        """Scheduler acts for one group of schedules, and says for which."""
        document = stack.properties("ScheduleRole")["AssumeRolePolicyDocument"]
        group = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{STACK}"

        assert {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": group}} == (
            document["Statement"][0]["Condition"]
        )


def test_every_arn_is_of_the_partition(expanded: dict[str, Any]) -> None:
    """Deployed to another partition, nothing names the commercial one."""
    stack = Stack(expanded, partition="aws-cn")
    resources = {
        logical_id: stack.resolve(resource)
        for logical_id, resource in expanded["Resources"].items()
    }
    outputs = {name: stack.output(name) for name in expanded["Outputs"]}

    assert "arn:aws:" not in str(resources) + str(outputs)
    assert "console.amazonaws.cn" in outputs["DashboardUrl"]
