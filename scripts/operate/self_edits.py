"""The service control policy that denies members to edit their contacts, and its targets."""

import json
from pathlib import Path
from typing import Any

from operate.aws import Aws, each, pages

POLICY = Path(__file__).parents[1] / "lib/contacts-scp.json"


def attached_to(aws: Aws) -> list[str]:
    """Return the roots, units and accounts with a policy that has our statement."""
    client = aws.client("organizations")
    found = pages(client, "list_policies", "Policies", Filter="SERVICE_CONTROL_POLICY")
    own = [one["Id"] for one in found if not one.get("AwsManaged")]

    def content(policy_id: str) -> str:
        return str(client.describe_policy(PolicyId=policy_id)["Policy"]["Content"])

    ours = [policy_id for policy_id, text in each(content, own) if has_our_statement(text)]
    targets = [
        str(one["TargetId"])
        for policy_id in ours
        for one in pages(client, "list_targets_for_policy", "Targets", PolicyId=policy_id)
    ]
    return sorted(set(targets))


def has_our_statement(text: str) -> bool:
    """Return whether a policy denies at least what ours denies."""
    (ours,) = json.loads(POLICY.read_text())["Statement"]
    statements = json.loads(text)["Statement"]
    return any(
        one.get("Effect") == "Deny"
        and set(ours["Action"]) <= set(_listed(one.get("Action")))
        and _without_partition(ours["Resource"])
        in map(_without_partition, _listed(one.get("Resource")))
        and not one.get("Condition")
        for one in _listed(statements)
    )


def _without_partition(arn: str) -> str:
    return arn.split(":", 2)[-1]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
