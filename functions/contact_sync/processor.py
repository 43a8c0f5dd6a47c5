"""What both account processors are made of: one set of clients, and the source of the round."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from contact_sync import settings
from contact_sync.account_contacts import AccountContactsClient
from contact_sync.account_states import AccountStatesTable
from contact_sync.account_sync import AccountSync, AccountTask, Source
from contact_sync.aws import client, pace
from contact_sync.contacts import ContactType
from contact_sync.metrics import RefusedCalls
from contact_sync.organization import OrganizationClient
from contact_sync.pacing import pacers
from contact_sync.quotas import quotas_of
from contact_sync.runs_bucket import RunsBucket


class Processor:
    """Syncs one account at a time; lives as long as the function's process."""

    def __init__(self, contact_types: Sequence[ContactType]) -> None:
        self._contact_types = contact_types
        account = client("account")
        concurrency = int(settings.read("MAX_CONCURRENCY"))
        share = float(settings.read("QUOTA_SHARE"))
        pace(account, pacers(quotas_of(account.meta.partition, share), concurrency))
        self._refused_calls = RefusedCalls(account)
        self._contacts = AccountContactsClient(account)
        self._states = AccountStatesTable(client("dynamodb"), settings.read("STATE_TABLE_NAME"))
        self._bucket = RunsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME"))
        self._loaded: tuple[str, Source] | None = None

    def run(self, event: Mapping[str, Any]) -> int:
        """Sync the account of the child's input; return the digit that tells of it."""
        source = self._source(event["source_key"])
        sync = AccountSync(source, self._contacts, self._states, self._state_of)
        try:
            return sync.run(AccountTask.from_event(event, self._contact_types))
        finally:
            self._refused_calls.emit(event["sync_id"])

    def _state_of(self, account_id: str) -> str:
        return self._organization.state_of(account_id)

    @cached_property
    def _organization(self) -> OrganizationClient:
        """Made where it is needed, which is rare: an account that denies access."""
        return OrganizationClient(client("organizations"))

    def _source(self, key: str) -> Source:
        """Load a round's source once a process; only the latest is kept."""
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = (key, self._bucket.load_source(key))
        return self._loaded[1]
