"""account-lister: the accounts of a run, and whether a joined account is ready."""

from functools import cache
from math import ceil
from typing import Any

from contact_sync import settings
from contact_sync.accounts import ACTIVE, NOT_FOUND, PENDING_ACTIVATION
from contact_sync.aws.account_contacts import AccountContactsClient
from contact_sync.aws.clients import client
from contact_sync.aws.organization import OrganizationClient
from contact_sync.aws.replaced_contacts import ReplacedContactsBucket
from contact_sync.aws.runs_bucket import SETS, RunsBucket, beside
from contact_sync.contacts import ContactType
from contact_sync.errors import AccessDeniedError
from contact_sync.observability import logged, logger

from account_lister.selection import check_units, scattered, select_accounts
from account_lister.sets import RunSets, check_overrides
from account_lister.undo import replacing_runs, select_undone

# One for each operation that reads contacts: a new account may answer one and deny the other.
PROBED = (ContactType.SECURITY, ContactType.PRIMARY)


@logged
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Do the one action that the state asks for: check_account or list_accounts."""
    logger.append_keys(sync_id=event["sync_id"])
    return ACTIONS[event["action"]](event)


def check_account(event: dict[str, Any]) -> dict[str, Any]:
    """Return {is_ready}: false while the account may still become active and readable."""
    state = organization().account(event["account_id"]).state
    if state in (NOT_FOUND, PENDING_ACTIVATION):
        return {"is_ready": False}
    return {"is_ready": state != ACTIVE or _answers(event["account_id"])}


def list_accounts(event: dict[str, Any]) -> dict[str, Any]:
    """Store the manifest and the contact sets; return the counts.

    {accounts, skipped: {reason: n}, named_skips: {id: reason}, unknown_states: {state: n},
    warnings, unused: [types], estimated_seconds}. `unused` are types whose source contact no
    account gets; the last is the run's time under the quotas, as the plan expects.
    """
    plan = event["plan"]
    scope = bucket().load_scope(plan["scope_key"])
    members = organization()
    members.check(scope.management_account_id)
    scope, missing_units = check_units(scope, members.missing_units)
    accounts = list(members.accounts())
    # A listing may be older than the event of an account that has just joined.
    unsure = set(scope.account_ids or ()) - {one.id for one in accounts if one.state == ACTIVE}
    looked_up = [members.account(one) for one in unsure]
    accounts += [one for one in looked_up if one.state != NOT_FOUND]
    types = [ContactType(name) for name in plan["contact_types"]]
    run_sets = RunSets(scope, types, members.depths)
    if scope.undoes:
        replaced_by_run = ((one, replaced().of_run(one)) for one in scope.undoes)
        replacing = replacing_runs(replaced_by_run, types)
        selection = select_undone(accounts, scope, members.in_units, replacing, run_sets)
    else:
        check_overrides(accounts, scope.overrides.units, members.missing_units)
        selection = select_accounts(accounts, scope, members.in_units, run_sets.add)
        run_sets.check_any(selection.skipped)
    for unit in missing_units:
        selection.skip(unit, NOT_FOUND, named=True)
    stored = bucket().store_sets(beside(plan["manifest_key"], SETS), run_sets.sets)
    numbered = run_sets.numbered_as(stored, selection.accounts)
    bucket().store_manifest(plan["manifest_key"], scattered(numbered))
    return {
        "accounts": len(selection.accounts),
        "skipped": dict(selection.skipped),
        "named_skips": selection.named_skips,
        "unknown_states": dict(selection.unknown_states),
        "warnings": selection.warnings,
        "unused": [] if scope.undoes else [str(name) for name in run_sets.unused],
        "estimated_seconds": ceil(run_sets.seconds),
    }


def _answers(account_id: str) -> bool:
    """Return whether the account's contacts can be read; a new account may deny it for a while."""
    try:
        for name in PROBED:
            contacts().get(account_id, name)
    except AccessDeniedError:
        return False
    return True


def organization() -> OrganizationClient:
    """Return a reader without earlier listings."""
    return OrganizationClient(organizations())


@cache
def organizations() -> Any:
    """Make the client on first use, once per process."""
    return client("organizations")


@cache
def contacts() -> AccountContactsClient:
    """Make the client on first use, once per process."""
    return AccountContactsClient(client("account"))


@cache
def bucket() -> RunsBucket:
    """Make the bucket and its client on first use, once per process."""
    return RunsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME"))


@cache
def replaced() -> ReplacedContactsBucket:
    """Make the reader of what runs replaced and its client on first use, once per process."""
    return ReplacedContactsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME"), keeps=False)


ACTIONS = {"check_account": check_account, "list_accounts": list_accounts}
