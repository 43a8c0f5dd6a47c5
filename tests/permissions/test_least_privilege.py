"""Every call is allowed, and everything that is allowed is needed.

The scenarios run once, and make every call of every function. The tests compare these calls with
the roles' policies, in both directions.
"""

import ast
from typing import Any

import boto3
import pytest
from cfnlint.data import AdditionalSpecs
from cfnlint.helpers import load_resource
from permissions import calls
from permissions.calls import Call
from permissions.grants import Grant, documents, granted
from permissions.policy import Decision, action_matches, decide, resource_matches
from standin.organization import drifted_world
from standin.standin import Execution
from support.events import event
from support.machine import Machine
from support.stack import ACCOUNT, ORGANIZATION, REGION, ROOT, Stack

FIRST, SECOND, THIRD = "100000000001", "100000000002", "100000000003"
MANAGEMENT = "999999999999"
UNIT = "ou-exam-workloads"
# The stand-in's names for services and operations, where they differ from botocore's.
COUNTED_AS = {"stepfunctions": "states", "ListObjectsV2": "ListObjects"}

# What Step Functions needs for the machine's log, which the stand-in lacks. Its guide also lists
# CreateLogStream and PutLogEvents, but CloudWatch Logs delivers the log.
MACHINE_LOG = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
# What is granted, but not called, with the reason.
NOT_CALLED = {
    ("ContactSyncStateMachineRole", action): "Step Functions needs it for the machine's log"
    for action in MACHINE_LOG
}


def world(**settings: Any) -> dict[str, Any]:
    """Return an organization of three drifted accounts under one organizational unit."""
    made = drifted_world(3, missing=0, **settings)
    for account in made["accounts"]:
        account["parent"] = "ou-exam-production"
    return made


def slow(machine: Machine, account_id: str) -> None:
    fault = {"operation": "GetAlternateContact", "error": "slow", "delay": 1, "times": 1}
    machine.organization.add_fault({**fault, "account_id": account_id})


def syncing(machine: Machine, execution_input: Any = None) -> Execution:
    """Return an execution that is syncing accounts."""
    execution = machine.stack.start(execution_input)
    while "SyncAccounts" not in execution.states():
        assert "RUNNING" == execution.status()
    return execution


def full_run_then_deleted_source(machine: Machine) -> None:
    machine.reset(world(), on_source_deleted="delete")
    assert "SUCCEEDED" == machine.run().status()
    machine.organization.set_contact(MANAGEMENT, "BILLING", None)
    assert "SUCCEEDED" == machine.run().status()
    assert "BILLING" not in machine.organization.contacts(FIRST)


def dry_run(machine: Machine) -> None:
    machine.reset(world())
    assert "SUCCEEDED" == machine.run({"dry_run": True}).status()


def organizational_units(machine: Machine) -> None:
    machine.reset(world(omit_paths=[FIRST]), excluded_organizational_units=["ou-exam-sandboxes"])
    assert "SUCCEEDED" == machine.run({"organizational_units": [UNIT]}).status()
    assert 3 == len({call["account_id"] for call in machine.writes()})


def denied_account_and_retry(machine: Machine) -> None:
    machine.reset({**world(), "denied_accounts": [FIRST]})
    failed = machine.run()
    assert "PartialSyncError" == failed.describe()["error"]
    machine.organization.reset(world())
    assert "SUCCEEDED" == machine.run({"retry_of": failed.name}).status()


def throttled_account_and_killed_functions(machine: Machine) -> None:
    machine.reset(world())
    machine.organization.add_fault(
        {"operation": "PutAlternateContact", "error": "TooManyRequestsException", "times": 4}
    )
    functions = ("alternate-contact-processor", "primary-contact-processor", "sync-reporter")
    machine.standin.set_faults([{"function": name, "kind": "kill"} for name in functions])
    assert "SUCCEEDED" == machine.run().status()


def undo(machine: Machine) -> None:
    machine.reset(world())
    run = machine.run()
    assert "SUCCEEDED" == machine.run({"undo": run.name}).status()
    assert {FIRST, SECOND, THIRD} == {call["account_id"] for call in machine.writes()}


def queueing(machine: Machine) -> None:
    machine.reset({**world(), "denied_accounts": [FIRST]})
    slow(machine, SECOND)
    started = len(machine.stack.executions())
    first = syncing(machine)
    assert first.name == machine.run({"account_ids": [THIRD]}).wait().output["queued_behind"]
    machine.stack.wait_for_executions(started + 3, timeout=120)
    assert "StartNext" in first.states()


def recovery(machine: Machine) -> None:
    machine.reset(world())
    slow(machine, FIRST)
    started = len(machine.stack.executions())
    syncing(machine).stop()
    machine.stack.wait_for_executions(started + 2, timeout=120)
    assert any(" ended as ABORTED" in message.body for message in machine.messages())


def events(machine: Machine) -> None:
    machine.reset(world())
    for name in ("put-alternate-contact", "create-account-result", "close-account-result"):
        started = len(machine.stack.executions())
        machine.standin.put_event(event(name))
        machine.stack.wait_for_executions(started + 1, timeout=120)


SCENARIOS = (
    full_run_then_deleted_source,
    dry_run,
    organizational_units,
    denied_account_and_retry,
    throttled_account_and_killed_functions,
    undo,
    queueing,
    recovery,
    events,
)


@pytest.fixture(scope="module", name="recorded")
def _recorded(machine: Machine) -> list[dict[str, Any]]:
    for scenario in SCENARIOS:
        scenario(machine)
    return machine.standin.recorded_calls()


@pytest.fixture(scope="module", name="made")
def _made(machine: Machine, recorded: list[dict[str, Any]], stack: Stack) -> set[Call]:
    """Return every call of every role."""
    resources = machine.standin.client("cloudformation").describe_stack_resources(
        StackName=machine.stack.name
    )["StackResources"]
    logical_ids = {each["PhysicalResourceId"]: each["LogicalResourceId"] for each in resources}
    manifests = {
        call["parameters"]["Key"]
        for call in recorded
        if call["function"].endswith("account-lister") and call["operation"] == "PutObject"
    }
    assert manifests
    return (
        calls.of_functions(recorded, stack, logical_ids)
        | calls.of_machine(stack, manifests)
        | calls.of_triggers(stack)
    )


def test_no_call_is_missed(machine: Machine, recorded: list[dict[str, Any]]) -> None:
    """Every request of a function to either server was recorded."""
    asked = {
        (request["caller"], request["service"], request["operation"])
        for request in machine.standin.usage()["requests"]
        if request["caller"] != "state machine"
    }
    seen = {
        (
            one["function"],
            COUNTED_AS.get(one["service"], one["service"]),
            COUNTED_AS.get(one["operation"], one["operation"]),
        )
        for one in recorded
    }
    of_organization = {call["operation"] for call in machine.organization.calls()}

    assert asked
    assert set() == asked - seen
    assert set() == of_organization - {operation for _, _, operation in seen}


@pytest.mark.rule(13)
def test_every_call_of_the_code_is_made(recorded: list[dict[str, Any]]) -> None:
    """The scenarios call exactly the client methods that the code uses."""
    trees = [ast.parse(file.read_text()) for file in (ROOT / "functions").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.value for node in nodes if isinstance(node, ast.Constant)}
    made = {(call["service"], call["operation"]) for call in recorded}

    assert made == {
        (service, operation)
        for service, _ in made
        for name, operation in boto3.client(service).meta.method_to_api_mapping.items()
        if name in names
    }


@pytest.mark.rule(13)
@pytest.mark.rule(14)
def test_every_call_is_allowed(made: set[Call], stack: Stack) -> None:
    """Each role's policies, and the key's, allow the role's calls."""
    refused = [call for call in made if not is_allowed(call, stack)]

    assert [] == refused


def is_allowed(call: Call, stack: Stack) -> bool:
    """Tell whether the role may make the call; a key's own policy must allow it, too."""
    request = call.request(stack)
    verdicts = [decide(documents(stack, call.role), request)]
    if call.action.startswith("kms:"):
        verdicts.append(decide([stack.properties("Key")["KeyPolicy"]], request))
    return {Decision.ALLOW} == set(verdicts)


@pytest.mark.rule(13)
@pytest.mark.rule(14)
def test_everything_granted_is_called_or_has_a_reason(made: set[Call], stack: Stack) -> None:
    """No role is allowed more than it calls."""
    idle = {grant for grant in granted(stack) if not any(is_use(call, grant) for call in made)}

    assert set(NOT_CALLED) == {(grant.role, grant.action) for grant in idle}


def is_use(call: Call, grant: Grant) -> bool:
    return (
        call.role == grant.role
        and action_matches(grant.action, call.action)
        and resource_matches(grant.resource, call.resource)
    )


def test_no_action_is_a_wildcard(stack: Stack, forwarding: Stack) -> None:
    assert [] == [g for g in granted(stack) | granted(forwarding) if "*" in g.action]


@pytest.mark.rule(13)
def test_patterns_match_only_what_has_no_fixed_name(stack: Stack, forwarding: Stack) -> None:
    """Members, units, a run's objects, executions and log streams."""
    machine = f"{stack.name}-contact-sync"
    executions = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}"
    expected = {
        f"arn:aws:account::{ACCOUNT}:account/{ORGANIZATION}/*",
        f"arn:aws:organizations::{ACCOUNT}:account/{ORGANIZATION}/*",
        f"arn:aws:organizations::{ACCOUNT}:ou/{ORGANIZATION}/*",
        f"{stack.arn('RunsBucket')}/runs/*",
        f"{stack.arn('RunsBucket')}/replaced/*",
        f"{executions}:*",
        f"{executions}/SyncAccounts:*",
    }
    resources = {grant.resource for grant in granted(stack) | granted(forwarding)}
    patterns = {one for one in resources if "*" in one} - {"*"}

    assert expected == patterns - set(map(stack.arn, stack.of_type("AWS::Logs::LogGroup")))


@pytest.mark.case("D8")
@pytest.mark.parametrize("action", ["states:DescribeExecution", "states:StopExecution"])
def test_a_map_can_access_its_children_by_both_forms_of_their_arn(
    stack: Stack, action: str
) -> None:
    executions = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{stack.name}-contact-sync"
    forms = {f"{executions}:*", f"{executions}/SyncAccounts:*"}
    roles = {
        one.role
        for one in granted(stack)
        if (one.action, one.resource) == (action, f"{executions}/SyncAccounts:*")
    }

    assert 1 == len(roles)
    assert forms == {
        one.resource for one in granted(stack) if one.role in roles and one.action == action
    }
    assert "states:RedriveExecution" not in {one.action for one in granted(stack)}


@pytest.mark.rule(13)
def test_no_role_writes_to_the_management_account(stack: Stack) -> None:
    """Its contacts are the source."""
    own = f"arn:aws:account::{ACCOUNT}:account"
    writes = [g for g in granted(stack) if g.action.startswith(("account:Put", "account:Delete"))]

    assert writes
    assert [] == [grant for grant in writes if resource_matches(grant.resource, own)]


def test_only_actions_without_a_resource_type_are_allowed_on_everything(
    stack: Stack, forwarding: Stack
) -> None:
    """According to the service authorization reference in cfn-lint."""
    reference = load_resource(AdditionalSpecs, "Policies.json")

    def takes_resource(action: str) -> bool:
        service, name = action.split(":")
        return "Resources" in reference[service]["Actions"][name.lower()]

    everywhere = {g for g in granted(stack) | granted(forwarding) if g.resource == "*"}
    assert takes_resource("logs:PutLogEvents")
    assert set() == {grant for grant in everywhere if takes_resource(grant.action)}


def test_forwarding_rules_may_forward_and_nothing_else(forwarding: Stack) -> None:
    made = calls.of_triggers(forwarding)

    assert 1 == len(made)
    assert [] == [call for call in made if not is_allowed(call, forwarding)]
    assert {(call.action, call.resource) for call in made} == {
        (grant.action, grant.resource) for grant in granted(forwarding)
    }
