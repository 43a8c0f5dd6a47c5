"""What both account processors share: their clients, and what the run has stored for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from contact_sync import settings
from contact_sync.account_sync import LOST_DIGIT, AccountSync, AccountTask, Source
from contact_sync.accounts import Account
from contact_sync.aws.account_contacts import AccountContactsClient
from contact_sync.aws.account_states import AccountStatesTable
from contact_sync.aws.clients import client, pace
from contact_sync.aws.organization import OrganizationClient
from contact_sync.aws.replaced_contacts import ReplacedContactsBucket
from contact_sync.aws.runs_bucket import SETS, RunsBucket, beside
from contact_sync.aws.slots_table import SlotsTable
from contact_sync.contact_sets import ContactSet
from contact_sync.contacts import ContactType
from contact_sync.metrics import RefusedCalls
from contact_sync.observability import logger
from contact_sync.pacing import OwnSlots, Pacer
from contact_sync.quotas import quotas_of


@dataclass(frozen=True)
class _Stored:
    """What a run has stored under `key` and beside it."""

    key: str
    source: Source
    sets: Sequence[ContactSet]


class Processor:
    """Syncs one account at a time; lives as long as the function's process."""

    def __init__(self, contact_types: Sequence[ContactType]) -> None:
        self._contact_types = contact_types
        account, dynamodb = client("account"), client("dynamodb")
        table = settings.read("STATE_TABLE_NAME")
        quotas = quotas_of(account.meta.partition, float(settings.read("QUOTA_SHARE")))
        spare = OwnSlots(quotas, processes=int(settings.read("MAX_CONCURRENCY")))
        self._pacer = Pacer(SlotsTable(dynamodb, table, quotas), spare)
        pace(account, self._pacer)
        self._refused_calls = RefusedCalls(account)
        self._contacts = AccountContactsClient(account)
        self._states = AccountStatesTable(dynamodb, table)
        s3, bucket = client("s3"), settings.read("RUNS_BUCKET_NAME")
        self._bucket = RunsBucket(s3, bucket)
        keeps = int(settings.read("KEEP_REPLACED_DAYS")) > 0
        self._replaced = ReplacedContactsBucket(s3, bucket, keeps=keeps)
        self._loaded: _Stored | None = None
        self._lost: str | None = None

    def handle(self, event: dict[str, Any]) -> dict[str, int]:
        """Sync the account of the child's input; return {"digit": n}."""
        logger.append_keys(sync_id=event["sync_id"], account_id=event["account_id"])
        digit = self._sync(event)
        logger.info("Account synced", digit=digit)
        return {"digit": digit}

    def _sync(self, event: Mapping[str, Any]) -> int:
        if event["source_key"] == self._lost:
            return LOST_DIGIT
        run = self._stored(event["source_key"])
        task = AccountTask.from_event(
            event,
            self._contact_types,
            run.sets[event["contact_set"]],
            is_undo=run.source.is_undo,
        )
        if not task.contact_set:
            return 0
        sync = AccountSync(
            run.source,
            self._contacts,
            self._states,
            self._account,
            self._pacer.reserve,
            self._replaced,
        )
        try:
            digit = sync.run(task)
        finally:
            self._refused_calls.emit(event["sync_id"])
        if digit == LOST_DIGIT:
            # The run never gets its lock back: spare the calls of its other accounts.
            self._lost = event["source_key"]
        return digit

    def _account(self, account_id: str) -> Account:
        return self._organization.account(account_id)

    @cached_property
    def _organization(self) -> OrganizationClient:
        """Made on first use, which is rare: for an account that denies access."""
        return OrganizationClient(client("organizations"))

    def _stored(self, key: str) -> _Stored:
        """Load what a run has stored once per process; only the latest is kept."""
        if self._loaded is None or self._loaded.key != key:
            sets = self._bucket.load_sets(beside(key, SETS))
            self._loaded = _Stored(key, self._bucket.load_source(key), sets)
        return self._loaded
