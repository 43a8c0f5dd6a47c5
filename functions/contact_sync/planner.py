"""One round's plan: configuration and source read anew, and stored for the round's functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from contact_sync.account_sync import Source
from contact_sync.config import SyncConfig
from contact_sync.contacts import Contact, ContactType, source_digests
from contact_sync.digest_key import DigestKey
from contact_sync.plan import Plan, plan_round
from contact_sync.quotas import Quota, seconds_an_account
from contact_sync.request import RoundRequest
from contact_sync.runs_bucket import MANIFEST, SCOPE, SOURCE, RunsBucket, object_key
from contact_sync.runs_table import RunsTable
from contact_sync.selection import Scope


class SourceContacts(Protocol):
    """The contacts of the management account itself."""

    def get(self, account_id: None, contact_type: ContactType) -> Contact | None:
        """Return the management account's contact, None where it is not set."""


@dataclass(frozen=True)
class Planner:
    """Plans rounds from what is true now; keeps nothing between them."""

    load_config: Callable[[], SyncConfig]
    load_key: Callable[[], DigestKey]
    source: SourceContacts
    runs: RunsTable
    bucket: RunsBucket
    management_account_id: str
    quotas: Mapping[str, Quota]

    def plan(self, sync_id: str, started_at: str, round_number: int) -> dict[str, Any]:
        """Plan the round that start_round recorded; return what its states need.

        Raises InvalidConfigError, InvalidSourceError, EmptySourceError, InvalidRequestError.
        """
        planned_at = datetime.now(UTC).isoformat()
        run = self.runs.read(started_at, sync_id)
        request = RoundRequest.model_validate(run["request"])
        config = self.load_config()
        contacts = {name: self.source.get(None, name) for name in config.ordered_types}
        key = self.load_key()
        synced = self.runs.synced()
        plan = plan_round(
            config, request, contacts, source_digests(contacts, key.value), _digests(synced, key)
        )
        written = [] if run["dry_run"] else plan.changed_types
        if plan.contact_types:
            source = Source(started_at, planned_at, key.value, contacts)
            self.bucket.store_source(object_key(sync_id, round_number, SOURCE), source)
            scope = self._scope(config, request)
            self.bucket.store_scope(object_key(sync_id, round_number, SCOPE), scope)
        return {
            **_described(plan),
            "only_if_changed": request.only_if_changed,
            "planned_at": planned_at,
            "seconds_an_account": seconds_an_account(
                contacts, plan.contact_types, written, self.quotas
            ),
            "digest_key_id": key.id,
            "key_replaced": any(
                synced[name]["key_id"] != key.id for name in plan.contact_types if name in synced
            ),
            "scope_key": object_key(sync_id, round_number, SCOPE),
            "source_key": object_key(sync_id, round_number, SOURCE),
            "manifest_key": object_key(sync_id, round_number, MANIFEST),
            "retry": config.retry_config.model_dump(),
            "notification": config.notification_settings.model_dump(),
        }

    def _scope(self, config: SyncConfig, request: RoundRequest) -> Scope:
        return Scope(
            management_account_id=self.management_account_id,
            account_ids=request.account_ids,
            organizational_units=request.organizational_units,
            excluded_accounts=config.excluded_accounts,
            excluded_organizational_units=config.excluded_organizational_units,
            must_exist=request.must_exist,
        )


def _digests(synced: Mapping[str, Any], key: DigestKey) -> dict[ContactType, str]:
    """Return the digests last synced; those of another key say nothing."""
    return {
        ContactType(name): entry["digest"]
        for name, entry in synced.items()
        if entry["key_id"] == key.id
    }


def _described(plan: Plan) -> dict[str, Any]:
    return {
        "contact_types": [str(name) for name in plan.contact_types],
        "skipped_types": {str(name): why for name, why in plan.skipped_types.items()},
    }
