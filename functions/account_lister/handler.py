"""account-lister: checks the organization, and writes the accounts of a round to the manifest."""

from typing import Any

from contact_sync import settings
from contact_sync.aws import client
from contact_sync.errors import InvalidConfigError, InvalidRequestError
from contact_sync.observability import logger
from contact_sync.organization import OrganizationClient
from contact_sync.runs_bucket import RunsBucket
from contact_sync.selection import select_accounts

organizations = client("organizations")
bucket = RunsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME"))


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Store the manifest; return the counts: {accounts, left_alone: {reason: n}, named}."""
    logger.append_keys(sync_id=event["sync_id"])
    scope = bucket.load_scope(event["scope_key"])
    organization = OrganizationClient(organizations)
    organization.check(scope.management_account_id)
    organization.check_units(scope.organizational_units or (), InvalidRequestError)
    organization.check_units(scope.excluded_organizational_units, InvalidConfigError)
    selection = select_accounts(organization.accounts(), scope, organization.in_units)
    bucket.store_manifest(event["manifest_key"], selection.account_ids)
    return {
        "accounts": len(selection.account_ids),
        "left_alone": dict(selection.skipped),
        "named": selection.named_skips,
    }
