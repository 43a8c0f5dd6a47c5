"""Events that rules are tried with, and the two matchers that try them.

The files of tests/events are events as AWS documents or records them; what differs from one of
them in a point or two is derived here.
"""

import copy
import json
import uuid
from collections.abc import Callable
from typing import Any

from moto.events.models import EventPattern
from template.event_rules import matches
from template.stack import ROOT, event_rule

Json = dict[str, Any]
Matcher = Callable[[Json, Json], bool]

MEMBER = "100000000001"
CONSOLE = "AWS Console Action via CloudTrail"
ABSENT = object()

RECORDED: dict[str, Json] = {
    file.stem: json.loads(file.read_text())
    for file in sorted((ROOT / "tests" / "events").glob("*.json"))
}


def variant(name: str, of: str, changes: Json) -> Json:
    """Return a recorded event with other values at dotted paths, and with its own ids."""
    event = copy.deepcopy(RECORDED[of])
    ids = {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, name))}
    if "eventID" in event["detail"]:
        ids["detail.eventID"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} in CloudTrail"))
    for path, value in {**ids, **changes}.items():
        *parents, last = path.split(".")
        node = event
        for parent in parents:
            node = node[parent]
        if value is ABSENT:
            del node[last]
        else:
            node[last] = value
    return event


MASKED = {"detail.requestParameters": None}
RECOVERY_INPUT = RECORDED["execution-failed-recovery"]["detail"]["input"]
CHANGES: dict[str, tuple[str, Json]] = {
    # Console edits under the API's names, from wherever AWS moves them.
    "put-alternate-contact-moved-console": (
        "put-alternate-contact-root",
        {"detail-type": CONSOLE, "detail.eventType": "AwsConsoleAction"},
    ),
    "set-contact-address-moved-console": (
        "set-contact-address",
        {"source": "aws.account", "detail.eventSource": "account.amazonaws.com"},
    ),
    "delete-alternate-contact-other-source": (
        "delete-alternate-contact",
        {"source": "aws.billing", "detail.eventSource": "billing.amazonaws.com"},
    ),
    "put-contact-information-console-failed": (
        "put-contact-information-console",
        {"detail.errorMessage": "The request failed."},
    ),
    "put-contact-information-console-denied": (
        "put-contact-information-console",
        {"detail.errorCode": "AccessDenied"},
    ),
    "put-contact-information-console-member": (
        "put-contact-information-console",
        {"detail.requestParameters.accountId": MEMBER},
    ),
    "put-contact-information-console-member-pascal": (
        "put-contact-information-console",
        {"detail.requestParameters.AccountId": MEMBER},
    ),
    "put-contact-information-console-other-account": (
        "put-contact-information-console",
        {"account": MEMBER, "detail.recipientAccountId": MEMBER},
    ),
    "get-contact-information-console": (
        "put-contact-information-console",
        {"detail.eventName": "GetContactInformation"},
    ),
    "put-alternate-contact-failed-by-message": (
        "put-alternate-contact",
        {"detail.errorMessage": "The request failed."},
    ),
    # Anybody may put an event with another source than AWS's.
    "put-alternate-contact-not-of-aws": ("put-alternate-contact", {"source": "com.example"}),
    "put-contact-information-console-not-of-aws": (
        "put-contact-information-console",
        {"source": "com.example"},
    ),
    "account-joined-organization-not-of-aws": (
        "account-joined-organization-invited",
        {"source": "com.example"},
    ),
    "account-joined-organization-other-source": (
        "account-joined-organization-invited",
        {"source": "aws.organizations-membership"},
    ),
    # A team's own write to a member.
    "put-alternate-contact-member-of-a-team": (
        "put-alternate-contact",
        {"detail.requestParameters.accountId": MEMBER},
    ),
    # Writes that do not show whom they are about: of the processors, and of somebody else.
    "put-alternate-contact-masked": ("put-alternate-contact-member", MASKED),
    "put-contact-information-masked": ("put-contact-information-member", MASKED),
    "put-contact-information-masked-console": (
        "put-contact-information-member",
        {**MASKED, "detail.eventSource": "billingconsole.amazonaws.com"},
    ),
    "put-alternate-contact-masked-of-a-team": ("put-alternate-contact", MASKED),
    "put-alternate-contact-user-with-mfa": (
        "put-alternate-contact-user",
        {"detail.userIdentity.sessionContext": {"sessionIssuer": {}, "attributes": {}}},
    ),
    # Ends of executions that recovery started, and of others that look a little like them.
    "execution-aborted-recovery": ("execution-aborted", {"detail.input": RECOVERY_INPUT}),
    "execution-timed-out-recovery": ("execution-timed-out", {"detail.input": RECOVERY_INPUT}),
    "execution-failed-recovery-compact": (
        "execution-failed",
        {"detail.input": json.dumps(json.loads(RECOVERY_INPUT), separators=(",", ":"))},
    ),
    "execution-failed-recovery-other-machine": (
        "execution-failed-other-machine",
        {"detail.input": RECOVERY_INPUT},
    ),
    "execution-succeeded-recovery": ("execution-succeeded", {"detail.input": RECOVERY_INPUT}),
    "execution-failed-quoting": (
        "execution-failed",
        {"detail.input": json.dumps({"reason": 'see "execution_arn": in the input'})},
    ),
    "execution-failed-long-input": (
        "execution-failed",
        {"detail.input": ABSENT, "detail.inputDetails": {"included": False}},
    ),
    "execution-failed-null-input": (
        "execution-failed",
        {"detail.input": None, "detail.inputDetails": {"included": False}},
    ),
}
EVENTS = RECORDED | {name: variant(name, of, changes) for name, (of, changes) in CHANGES.items()}

# What happens to the management account's own contacts, by the event source.
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
# What only the stack itself knows to be its own.
MASKED_CONTACT_CHANGES = {"put-alternate-contact-masked", "put-contact-information-masked"}
OTHER_MASKED_CONTACT_CHANGES = {"put-contact-information-masked-console"}

STOPPED = "ExecutionStoppedRule"
# Of all events, the ones that each rule matches; every other one is a near miss.
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
    """Tell what moto's matcher says."""
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(event))


MATCHERS: dict[str, Matcher] = {"documentation": matches, "moto": moto_matches}


def matched(pattern: Json, matcher: Matcher = matches) -> set[str]:
    """Return the names of the events that a pattern matches."""
    return {name for name, event in EVENTS.items() if matcher(pattern, event)}
