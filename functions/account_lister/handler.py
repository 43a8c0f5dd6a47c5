"""account-lister: what the organization says, of one account or of all in a round's manifest."""

from functools import cache
from math import ceil
from typing import Any

from contact_sync import settings
from contact_sync.aws import client
from contact_sync.observability import logged, logger
from contact_sync.organization import OrganizationClient
from contact_sync.runs_bucket import RunsBucket
from contact_sync.selection import (
    NOT_FOUND,
    PENDING_ACTIVATION,
    check_units,
    scattered,
    select_accounts,
)


@logged
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Do the one action that the state asks for: check_account or list_accounts."""
    logger.append_keys(sync_id=event["sync_id"])
    return ACTIONS[event["action"]](event)


def check_account(event: dict[str, Any]) -> dict[str, Any]:
    """Return {state, is_coming} of one account; it is coming while it may yet become active."""
    state = organization().state_of(event["account_id"])
    return {"state": state, "is_coming": state in (NOT_FOUND, PENDING_ACTIVATION)}


def list_accounts(event: dict[str, Any]) -> dict[str, Any]:
    """Store the manifest; return the counts: {accounts, left_alone: {reason: n}, named, ...}.

    `estimated_seconds` is the round's time, if it is as the plan expects.
    """
    scope = bucket().load_scope(event["scope_key"])
    members = organization()
    members.check(scope.management_account_id)
    scope = check_units(scope, members.missing_units)
    selection = select_accounts(members.accounts(), scope, members.in_units)
    bucket().store_manifest(event["manifest_key"], scattered(selection.account_ids))
    return {
        "accounts": len(selection.account_ids),
        "estimated_seconds": ceil(len(selection.account_ids) * event["seconds_an_account"]),
        "left_alone": dict(selection.skipped),
        "named": selection.named_skips,
    }


def organization() -> OrganizationClient:
    """Return a reader that knows nothing of earlier listings."""
    return OrganizationClient(organizations())


@cache
def organizations() -> Any:
    """Make the client on first use, once a process."""
    return client("organizations")


@cache
def bucket() -> RunsBucket:
    """Make the bucket and its client on first use, once a process."""
    return RunsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME"))


ACTIONS = {"check_account": check_account, "list_accounts": list_accounts}
