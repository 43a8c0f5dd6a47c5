"""The events for testing rules: documented samples, and near misses derived from them.

`tests/events` holds the samples. Each is an event from AWS's documentation, with this
organization's IDs, or one that the documents and `validate.sh --deep` use as a file:

- put-, delete- and get-alternate-contact: Account Management, "Logging API calls with CloudTrail";
  -root and -member are the same call by the root user, and by a processor for a member
- set-additional-contacts, set-contact-address: Billing, "Logging API calls with CloudTrail";
  put-contact-information-console is the same under the API's name, as detection rules record it
- create-account, create-account-result, close-account-result, move-account: Organizations,
  "Logging with CloudTrail"; account-joined- and account-departed-organization as the API
  reference describes them, in the shape of the other service events (AWS prints no sample)
- create- and update-managed-account, register-organizational-unit: Control Tower, "Lifecycle
  events"
- region-opt-in-status-change: EventBridge, "Account Management events"
- execution-succeeded, -failed, -aborted: Step Functions, "Execution status change events";
  execution-failed-recovery is an execution of the rule Recovery

Everything else is a sample plus a change.
"""

import copy
import json
import uuid
from collections.abc import Callable
from typing import Any

from moto.events.models import EventPattern
from support.event_rules import matches
from support.stack import ROOT, event_rule

Json = dict[str, Any]
Matcher = Callable[[Json, Json], bool]

MEMBER, STRANGER = "100000000001", "888888888888"
ABSENT = object()

SAMPLES: dict[str, Json] = {
    file.stem: json.loads(file.read_text())
    for file in sorted((ROOT / "tests" / "events").glob("*.json"))
}


def variant(name: str, event: Json, change: Json) -> Json:
    """Return a copy of the event with new IDs, and with new values at dotted paths."""
    event = copy.deepcopy(event)
    ids = {"id": name, "detail.eventID": f"{name} in CloudTrail"}
    own = {path: str(uuid.uuid5(uuid.NAMESPACE_OID, seed)) for path, seed in ids.items()}
    if "eventID" not in event["detail"]:
        del own["detail.eventID"]
    for path, value in {**own, **change}.items():
        *parents, last = path.split(".")
        node = event
        for parent in parents:
            node = node[parent]
        if value is ABSENT:
            del node[last]
        else:
            node[last] = copy.deepcopy(value)
    return event


# Changes: the caller, the call, its location, and its result.


def call(name: str, parameters: Json | None) -> Json:
    """Return the change to another call."""
    return {
        "detail.eventName": name,
        "detail.requestParameters": parameters,
        "detail.readOnly": name.startswith("Get"),
    }


def pascal(parameters: Any) -> Any:
    """Return parameters with their names in PascalCase."""
    if not isinstance(parameters, dict):
        return parameters
    return {name[0].upper() + name[1:]: pascal(value) for name, value in parameters.items()}


def recorded_in(account: str) -> Json:
    """Return the change to an event of another account's trail."""
    return {"account": account, "detail.recipientAccountId": account}


def by(identity: Json) -> Json:
    """Return the change to another caller."""
    return {"detail.userIdentity": identity}


def parameters(sample: str) -> Json:
    """Return the parameters of a sample's call."""
    found: Json = SAMPLES[sample]["detail"]["requestParameters"]
    return found


def caller(sample: str, **replaced: str) -> Json:
    """Return the caller of a sample's call, with words replaced in all text."""
    text = json.dumps(SAMPLES[sample]["detail"]["userIdentity"])
    for old, new in replaced.items():
        text = text.replace(old, new)
    found: Json = json.loads(text)
    return found


def execution(machine: str, name: str) -> Json:
    """Return the change to an execution of another machine, or of another name."""
    arn = "arn:aws:states:us-east-1:999999999999"
    return {
        "resources": [f"{arn}:execution:{machine}:{name}"],
        "detail.executionArn": f"{arn}:execution:{machine}:{name}",
        "detail.stateMachineArn": f"{arn}:stateMachine:{machine}",
        "detail.name": name,
    }


API, SERVICE, CONSOLE = (
    {"detail-type": f"AWS {kind} via CloudTrail"}
    for kind in ("API Call", "Service Event", "Console Action")
)
IN_CONSOLE = {**CONSOLE, "detail.eventType": "AwsConsoleAction"}
DENIED = {"detail.errorCode": "AccessDenied", "detail.errorMessage": "Not authorized."}
FAILED = {"detail.errorMessage": "The request failed."}
MASKED = {"detail.requestParameters": None}
NOT_OF_AWS = {"source": "com.example"}
ELSEWHERE = {"region": "eu-west-1", "detail.awsRegion": "eu-west-1"}
ORGANIZATIONS = {
    "source": "aws.organizations",
    "detail.eventSource": "organizations.amazonaws.com",
}
CONTROL_TOWER = {
    "source": "aws.controltower",
    "detail.eventSource": "controltower.amazonaws.com",
}

TEAM = caller("put-alternate-contact")
ROOT_USER = caller("put-alternate-contact-root")
USER = {
    "type": "IAMUser",
    "principalId": "AIDA1234567890EXAMPLE",
    "arn": "arn:aws:iam::999999999999:user/operator",
    "accountId": "999999999999",
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "userName": "operator",
}
PRIMARY_PROCESSOR = caller(
    "put-alternate-contact-member", AlternateContact="PrimaryContact", alternate="primary"
)
MEMBER_ROOT_USER = caller("put-alternate-contact-root", **{"999999999999": MEMBER})
MEMBER_TEAM = caller("put-alternate-contact", **{"999999999999": MEMBER})

PUT_BILLING = parameters("put-alternate-contact")
DELETE = parameters("delete-alternate-contact")
GET = parameters("get-alternate-contact")
PUT_PRIMARY = parameters("put-contact-information-console")
FOR_MEMBER = {"accountId": MEMBER}
FOR_MEMBER_PASCAL = {"AccountId": MEMBER}

MACHINE, OTHER_MACHINE = "aws-contact-sync-dev-contact-sync", "aws-contact-sync-prod-contact-sync"
CHILDREN = f"{MACHINE}/SyncAccounts"
DIED = {"detail.error": "Lambda.Unknown", "detail.cause": None}
RECOVERY_INPUT = SAMPLES["execution-failed-recovery"]["detail"]["input"]
BY_RECOVERY = {"detail.input": RECOVERY_INPUT}

PUT, DELETED, GOT = "put-alternate-contact", "delete-alternate-contact", "get-alternate-contact"
PRIMARY, IN_BILLING = "put-contact-information", "put-contact-information-console"
ADDRESS, ADDITIONAL = "set-contact-address", "set-additional-contacts"
CREATED, CLOSED = "create-account-result", "close-account-result"
JOINED, UNNAMED = "account-joined-organization-invited", "account-joined-organization-unnamed"
LEFT = "account-departed-organization-left"
MANAGED, UPDATED = "create-managed-account", "update-managed-account"
ENDED, STOPPED_BY_HAND = "execution-failed", "execution-aborted"
CREATE_STATUS = "detail.serviceEventDetails.createAccountStatus"
CLOSE_STATUS = "detail.serviceEventDetails.closeAccountStatus"
MANAGED_STATUS = "detail.serviceEventDetails.createManagedAccountStatus"
UPDATED_STATUS = "detail.serviceEventDetails.updateManagedAccountStatus"

# Derived events by name: the original event, and the change.
DERIVED: dict[str, tuple[str, Json]] = {
    # The alternate contacts, by other callers and in other spellings.
    f"{PUT}-user": (PUT, by(USER)),
    f"{PUT}-user-with-mfa": (
        PUT,
        by({**USER, "sessionContext": {"sessionIssuer": {}, "attributes": {}}}),
    ),
    f"{PUT}-pascal": (PUT, call("PutAlternateContact", pascal(PUT_BILLING))),
    f"{DELETED}-pascal": (DELETED, call("DeleteAlternateContact", pascal(DELETE))),
    f"{DELETED}-root": (f"{DELETED}-pascal", by(ROOT_USER)),
    f"{PUT}-moved-console": (f"{PUT}-root", IN_CONSOLE),
    f"{DELETED}-other-source": (
        DELETED,
        {"source": "aws.billing", "detail.eventSource": "billing.amazonaws.com"},
    ),
    f"{PUT}-denied": (
        PUT,
        {**by(USER), **DENIED},
    ),
    f"{PUT}-failed-by-message": (PUT, FAILED),
    f"{DELETED}-not-found": (
        DELETED,
        {"detail.errorCode": "ResourceNotFoundException", "detail.errorMessage": "None is set."},
    ),
    f"{PUT}-other-account": (PUT, recorded_in(MEMBER)),
    # Anyone may put an event with a source other than AWS's.
    f"{PUT}-not-of-aws": (PUT, NOT_OF_AWS),
    # Writes to a member: the processors', the root user's, and a team's.
    f"{PUT}-member-pascal": (
        f"{PUT}-member",
        call("PutAlternateContact", {**pascal(PUT_BILLING), **FOR_MEMBER_PASCAL}),
    ),
    f"{PUT}-member-root": (f"{PUT}-member-pascal", by(ROOT_USER)),
    f"{PUT}-member-of-a-team": (PUT, {"detail.requestParameters.accountId": MEMBER}),
    f"{DELETED}-member": (
        f"{PUT}-member",
        call("DeleteAlternateContact", {**DELETE, **FOR_MEMBER}),
    ),
    f"{DELETED}-member-pascal": (
        f"{PUT}-member",
        call("DeleteAlternateContact", {**pascal(DELETE), **FOR_MEMBER_PASCAL}),
    ),
    f"{GOT}-member": (f"{PUT}-member", call("GetAlternateContact", {**GET, **FOR_MEMBER})),
    # Writes that do not show their target: by a processor, and by another caller.
    f"{PUT}-masked": (f"{PUT}-member", MASKED),
    f"{PUT}-masked-of-a-team": (PUT, MASKED),
    # The primary contact, for which AWS documents no sample.
    PRIMARY: (PUT, call("PutContactInformation", PUT_PRIMARY)),
    f"{PRIMARY}-user": (PRIMARY, by(USER)),
    f"{PRIMARY}-pascal": (PRIMARY, call("PutContactInformation", pascal(PUT_PRIMARY))),
    f"{PRIMARY}-root": (f"{PRIMARY}-pascal", by(ROOT_USER)),
    f"{PRIMARY}-no-parameters": (f"{PRIMARY}-root", MASKED),
    f"{PRIMARY}-denied": (PRIMARY, {**by(USER), **DENIED, **MASKED}),
    f"{PRIMARY}-other-account": (PRIMARY, {**by(MEMBER_ROOT_USER), **recorded_in(MEMBER)}),
    f"{PRIMARY}-member": (
        PRIMARY,
        {**by(PRIMARY_PROCESSOR), "detail.requestParameters.accountId": MEMBER},
    ),
    f"{PRIMARY}-member-pascal": (
        f"{PRIMARY}-pascal",
        {**by(PRIMARY_PROCESSOR), "detail.requestParameters.AccountId": MEMBER},
    ),
    f"{PRIMARY}-masked": (f"{PRIMARY}-member", MASKED),
    f"{PRIMARY}-masked-console": (
        f"{PRIMARY}-member",
        {**MASKED, "detail.eventSource": "billingconsole.amazonaws.com"},
    ),
    "get-contact-information": (PUT, call("GetContactInformation", None)),
    # The billing console, under its own names and the API's.
    f"{IN_BILLING}-failed": (IN_BILLING, FAILED),
    f"{IN_BILLING}-denied": (IN_BILLING, {"detail.errorCode": "AccessDenied"}),
    f"{IN_BILLING}-member": (IN_BILLING, {"detail.requestParameters.accountId": MEMBER}),
    f"{IN_BILLING}-member-pascal": (IN_BILLING, {"detail.requestParameters.AccountId": MEMBER}),
    f"{IN_BILLING}-other-account": (IN_BILLING, recorded_in(MEMBER)),
    f"{IN_BILLING}-not-of-aws": (IN_BILLING, NOT_OF_AWS),
    "get-contact-information-console": (
        IN_BILLING,
        {"detail.eventName": "GetContactInformation"},
    ),
    f"{ADDRESS}-moved-console": (
        ADDRESS,
        {"source": "aws.account", "detail.eventSource": "account.amazonaws.com"},
    ),
    f"{ADDRESS}-user": (ADDRESS, {**by(USER), **API, "detail.eventType": "AwsApiCall"}),
    f"{ADDRESS}-denied": (ADDRESS, {**by(USER), **DENIED, **MASKED}),
    f"{ADDRESS}-other-account": (ADDRESS, {**by(MEMBER_ROOT_USER), **recorded_in(MEMBER)}),
    f"{ADDITIONAL}-assumed-role": (ADDITIONAL, by(TEAM)),
    f"{ADDITIONAL}-failed": (ADDITIONAL, FAILED),
    "set-iam-access-preference": (ADDITIONAL, {"detail.eventName": "SetIAMAccessPreference"}),
    # Other calls of the account and of its organization.
    "put-account-name": (PUT, call("PutAccountName", {"accountName": "***"})),
    "enable-region": (PUT, call("EnableRegion", {"regionName": "af-south-1"})),
    "close-account": (PUT, {**ORGANIZATIONS, **call("CloseAccount", FOR_MEMBER)}),
    "remove-account-from-organization": (
        "close-account",
        call("RemoveAccountFromOrganization", FOR_MEMBER),
    ),
    "move-account-denied": ("move-account", DENIED),
    "move-account-failed": ("move-account", FAILED),
    "move-account-of-another-organization": ("move-account", recorded_in(MEMBER)),
    "move-account-not-of-aws": ("move-account", NOT_OF_AWS),
    "leave-organization": (
        "close-account",
        {**call("LeaveOrganization", None), **by(MEMBER_TEAM), **recorded_in(MEMBER)},
    ),
    "invite-account-to-organization": (
        "close-account",
        call("InviteAccountToOrganization", {"target": {"id": MEMBER, "type": "ACCOUNT"}}),
    ),
    "accept-handshake": (
        "close-account",
        {**call("AcceptHandshake", {"handshakeId": "h-example"}), **by(MEMBER_TEAM)},
    ),
    "accept-handshake-as-service-event": ("accept-handshake", SERVICE),
    "tag-resource": (
        "close-account",
        call("TagResource", {"resourceId": MEMBER, "tags": [{"key": "***", "value": "***"}]}),
    ),
    # Accounts that join and leave.
    f"{CREATED}-as-api-call": (CREATED, API),
    f"{CREATED}-in-progress": (CREATED, {f"{CREATE_STATUS}.state": "IN_PROGRESS"}),
    f"{CREATED}-failed": (
        CREATED,
        {
            f"{CREATE_STATUS}.state": "FAILED",
            f"{CREATE_STATUS}.failureReason": "EMAIL_ALREADY_EXISTS",
            f"{CREATE_STATUS}.accountId": ABSENT,
        },
    ),
    f"{CREATED}-other-account": (CREATED, recorded_in(STRANGER)),
    "account-joined-organization-created": (
        JOINED,
        {"detail.serviceEventDetails.joinedMethod": "CREATED"},
    ),
    "account-joined-organization-as-api-call": (JOINED, API),
    "account-joined-organization-not-of-aws": (JOINED, NOT_OF_AWS),
    "account-joined-organization-other-source": (
        JOINED,
        {"source": "aws.organizations-membership"},
    ),
    "account-joined-organization-other-account": (JOINED, recorded_in(STRANGER)),
    "account-joined-organization-unnamed-other-account": (UNNAMED, recorded_in(STRANGER)),
    "account-departed-organization-removed": (
        LEFT,
        {"detail.serviceEventDetails.departureMethod": "REMOVED"},
    ),
    "account-departed-organization-cleaned": (
        LEFT,
        {"detail.serviceEventDetails.departureMethod": "CLEANED"},
    ),
    "account-departed-organization-unnamed": (
        LEFT,
        {"detail.serviceEventDetails.accountId": ABSENT},
    ),
    "account-departed-organization-other-account": (LEFT, recorded_in(STRANGER)),
    f"{CLOSED}-failed": (CLOSED, {f"{CLOSE_STATUS}.state": "FAILED"}),
    # Control Tower.
    f"{MANAGED}-eu-west-1": (MANAGED, ELSEWHERE),
    f"{MANAGED}-failed": (MANAGED, {f"{MANAGED_STATUS}.state": "FAILED"}),
    f"{MANAGED}-other-account": (MANAGED, {"account": STRANGER}),
    f"{MANAGED}-as-api-call": (
        PUT,
        {**CONTROL_TOWER, **call("CreateManagedAccount", {"accountName": "***"})},
    ),
    f"{UPDATED}-eu-west-1": (UPDATED, ELSEWHERE),
    f"{UPDATED}-failed": (UPDATED, {f"{UPDATED_STATUS}.state": "FAILED"}),
    # Ends of executions: of this machine, its children and another machine.
    "execution-running": (
        STOPPED_BY_HAND,
        {**execution(MACHINE, "running"), "detail.status": "RUNNING", "detail.stopDate": None},
    ),
    "execution-timed-out": (
        STOPPED_BY_HAND,
        {
            **execution(MACHINE, "timed-out"),
            "detail.status": "TIMED_OUT",
            "detail.error": "States.Timeout",
        },
    ),
    f"{ENDED}-child": (ENDED, {**execution(CHILDREN, "child"), **DIED}),
    f"{STOPPED_BY_HAND}-child": (f"{ENDED}-child", {"detail.status": "ABORTED"}),
    f"{ENDED}-other-machine": (ENDED, execution(OTHER_MACHINE, "other")),
    "execution-timed-out-other-machine": (
        "execution-timed-out",
        execution(OTHER_MACHINE, "other-timed-out"),
    ),
    # Executions that recovery started, and similar ones.
    "execution-aborted-recovery": (STOPPED_BY_HAND, BY_RECOVERY),
    "execution-timed-out-recovery": ("execution-timed-out", BY_RECOVERY),
    "execution-failed-recovery-compact": (
        "execution-failed-recovery",
        {"detail.input": json.dumps(json.loads(RECOVERY_INPUT), separators=(",", ":"))},
    ),
    "execution-failed-recovery-published": (
        "execution-failed-recovery",
        {"detail.error": "ServiceUnavailableError"},
    ),
    "execution-failed-recovery-other-machine": (f"{ENDED}-other-machine", BY_RECOVERY),
    "execution-succeeded-recovery": ("execution-succeeded", BY_RECOVERY),
    "execution-failed-quoting": (
        ENDED,
        {"detail.input": json.dumps({"reason": 'see "execution_arn": in the input'})},
    ),
    "execution-failed-long-input": (
        ENDED,
        {"detail.input": ABSENT, "detail.inputDetails": {"included": False}},
    ),
    "execution-failed-null-input": (
        ENDED,
        {"detail.input": None, "detail.inputDetails": {"included": False}},
    ),
}
EVENTS = dict(SAMPLES)
for _name, (_of, _change) in DERIVED.items():
    EVENTS[_name] = variant(_name, EVENTS[_of], _change)


def event(name: str) -> Json:
    """Return a copy of an event for further changes."""
    return copy.deepcopy(EVENTS[name])


# Changes of the management account's own contacts, by event source.
CONTACT_CHANGES = {
    "put-alternate-contact",
    "put-alternate-contact-masked-of-a-team",
    "put-alternate-contact-moved-console",
    "put-alternate-contact-pascal",
    "put-alternate-contact-root",
    "put-alternate-contact-user",
    "put-alternate-contact-user-with-mfa",
    "delete-alternate-contact",
    "delete-alternate-contact-pascal",
    "delete-alternate-contact-root",
    "put-contact-information",
    "put-contact-information-pascal",
    "put-contact-information-root",
    "put-contact-information-user",
    "put-contact-information-no-parameters",
    "set-contact-address-moved-console",
}
OTHER_CONTACT_CHANGES = {
    "delete-alternate-contact-other-source",
    "put-contact-information-console",
    "set-additional-contacts",
    "set-additional-contacts-assumed-role",
    "set-contact-address",
    "set-contact-address-user",
}
# Events that only the stack can identify as changes of its own contacts.
MASKED_CONTACT_CHANGES = {"put-alternate-contact-masked", "put-contact-information-masked"}
OTHER_MASKED_CONTACT_CHANGES = {"put-contact-information-masked-console"}

STOPPED = "ExecutionStoppedRule"
# The events that each rule matches; every other event is a near miss.
MATCHING = {
    event_rule("ContactChanged"): CONTACT_CHANGES,
    event_rule("BillingContactChanged"): OTHER_CONTACT_CHANGES,
    event_rule("AccountCreated"): {"create-account-result"},
    event_rule("AccountJoined"): {
        "account-joined-organization-created",
        "account-joined-organization-invited",
        "account-joined-organization-as-api-call",
        "account-joined-organization-other-source",
    },
    event_rule("UnnamedAccountJoined"): {"account-joined-organization-unnamed"},
    event_rule("ManagedAccountCreated"): {
        "create-managed-account",
        "create-managed-account-eu-west-1",
    },
    event_rule("ManagedAccountUpdated"): {
        "update-managed-account",
        "update-managed-account-eu-west-1",
    },
    event_rule("AccountMoved"): {"move-account"},
    event_rule("AccountDeparted"): {
        "account-departed-organization-left",
        "account-departed-organization-removed",
        "account-departed-organization-cleaned",
    },
    event_rule("AccountClosed"): {"close-account-result"},
    event_rule("Recovery"): {
        "execution-failed",
        "execution-failed-long-input",
        "execution-failed-null-input",
        "execution-failed-quoting",
        "execution-aborted",
        "execution-timed-out",
    },
    STOPPED: {
        "execution-aborted",
        "execution-aborted-recovery",
        "execution-failed-recovery",
        "execution-failed-recovery-compact",
        "execution-timed-out",
        "execution-timed-out-recovery",
    },
}


def moto_matches(pattern: Json, event: Any) -> bool:
    """Return the result of moto's matcher."""
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(event))


MATCHERS: dict[str, Matcher] = {"documentation": matches, "moto": moto_matches}


def matched(pattern: Json, matcher: Matcher = matches) -> set[str]:
    """Return the names of the events that a pattern matches."""
    return {name for name, event in EVENTS.items() if matcher(pattern, event)}
