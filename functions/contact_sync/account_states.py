"""State table: the last known state of each account, and what a run did to it."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contact_sync import keys
from contact_sync.account_sync import AccountTask, Outcome, Source
from contact_sync.aws import error_code, named_errors
from contact_sync.contacts import ContactType
from contact_sync.errors import ThrottledError
from contact_sync.observability import logger
from contact_sync.outcome import record_of
from contact_sync.reconcile import CHANGED, LastWrite, Status
from contact_sync.table import from_item, to_item, update_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Limits of BatchGetItem and BatchWriteItem.
READ_AT_ONCE = 100
WRITTEN_AT_ONCE = 25
BATCH_ATTEMPTS = 8
NO_NEWER_ROUND = "attribute_not_exists(#planned_at) OR #planned_at <= :planned_at"


class AccountStatesTable:
    """Reads and writes the account items of the state table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def last_writes(self, account_id: str) -> dict[ContactType, LastWrite]:
        """Return what we last wrote to the account, for each contact type that we wrote."""
        item = self._get(keys.account_state(account_id))
        return {
            name: LastWrite(
                digest=item[f"{name}_written"],
                replaced=item.get(f"{name}_replaced"),
                at=datetime.fromisoformat(item[f"{name}_written_at"]),
            )
            for name in ContactType
            if f"{name}_written" in item
        }

    def changes(self, task: AccountTask, started_at: str) -> dict[ContactType, Status]:
        """Return what earlier attempts of the same round changed."""
        item = self._get(_key(task, started_at))
        return {
            name: Status(record["change"])
            for name in task.contact_types
            if (record := record_of(item, name, task.sync_id, task.round)) and "change" in record
        }

    def record(
        self,
        task: AccountTask,
        outcomes: Mapping[ContactType, Outcome],
        source: Source,
        at: datetime,
    ) -> None:
        """Record one attempt in one write: in the account's state, or in the dry run's own item.

        A function of an aborted run may still work when the next run has begun; what it records
        late must not hide what the newer round has recorded.
        """
        values: dict[str, Any] = {
            "sync_id": task.sync_id,
            "planned_at": source.planned_at,
            "at": at.isoformat(),
        }
        removed = []
        for name, outcome in outcomes.items():
            values[name] = _recorded(task, outcome, at)
            if outcome.write:
                values |= _written(name, outcome.write)
            elif outcome.status is Status.UNCHANGED:
                removed.append(f"{name}_replaced")
        if task.dry_run:
            removed = []
            values["expires_at"] = keys.expires_at(source.started_at)
        self._update(_key(task, source.started_at), values, removed)

    def read(
        self, account_ids: Sequence[str], sync_id: str, started_at: str, *, dry_run: bool
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each account's id and item of a run (empty where there is none), 100 a request."""
        for start in range(0, len(account_ids), READ_AT_ONCE):
            some = account_ids[start : start + READ_AT_ONCE]
            if dry_run:
                wanted = [keys.account_run(one, started_at, sync_id) for one in some]
            else:
                wanted = [keys.account_state(one) for one in some]
            found = {item["pk"]: item for item in self._batch_get(wanted)}
            for account_id in some:
                yield account_id, found.get(f"ACCOUNT#{account_id}", {})

    def write_runs(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Write the items of accounts in a run, 25 a request."""
        left = iter(items)
        while some := list(islice(left, WRITTEN_AT_ONCE)):
            self._batch_write([{"PutRequest": {"Item": to_item(item)}} for item in some])

    def _get(self, key: Mapping[str, str]) -> dict[str, Any]:
        with named_errors("read an account's state"):
            answer = self._client.get_item(
                TableName=self._table, Key=to_item(key), ConsistentRead=True
            )
        return from_item(answer.get("Item", {}))

    def _update(self, key: Mapping[str, str], values: dict[str, Any], removed: list[str]) -> None:
        with named_errors("record an account's state"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=to_item(key),
                    ConditionExpression=NO_NEWER_ROUND,
                    **update_of(values, removed),
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                logger.warning("A newer round has recorded this account: this attempt is late.")

    def _batch_get(self, wanted: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
        request: Any = {
            self._table: {"Keys": [to_item(key) for key in wanted], "ConsistentRead": True}
        }
        for attempt in range(BATCH_ATTEMPTS):
            _back_off(attempt)
            with named_errors("read the accounts' states"):
                answer = self._client.batch_get_item(RequestItems=request)
            yield from (from_item(item) for item in answer["Responses"].get(self._table, []))
            request = answer.get("UnprocessedKeys") or {}
            if not request:
                return
        raise ThrottledError("read the accounts' states: keys were left unprocessed")

    def _batch_write(self, requests: list[dict[str, Any]]) -> None:
        left: Any = {self._table: requests}
        for attempt in range(BATCH_ATTEMPTS):
            _back_off(attempt)
            with named_errors("record the run's accounts"):
                left = self._client.batch_write_item(RequestItems=left).get("UnprocessedItems")
            if not left:
                return
        raise ThrottledError("record the run's accounts: items were left unprocessed")


def _back_off(attempt: int) -> None:
    """Wait before repeating what was left unprocessed: that is how DynamoDB throttles a batch."""
    if attempt:
        time.sleep(min(0.05 * 2**attempt, 1.0))


def _key(task: AccountTask, started_at: str) -> dict[str, str]:
    if task.dry_run:
        return keys.account_run(task.account_id, started_at, task.sync_id)
    return keys.account_state(task.account_id)


def _recorded(task: AccountTask, outcome: Outcome, at: datetime) -> dict[str, Any]:
    change = outcome.status if outcome.status in CHANGED else outcome.change
    record = {
        "status": outcome.status.value,
        "change": change.value if change else None,
        "sync_id": task.sync_id,
        "round": task.round,
        "at": at.isoformat(),
        "digest": outcome.digest,
        "error": outcome.error,
    }
    return {name: value for name, value in record.items() if value is not None}


def _written(name: ContactType, write: LastWrite) -> dict[str, Any]:
    return {
        f"{name}_written": write.digest,
        f"{name}_written_at": write.at.isoformat(),
        f"{name}_replaced": write.replaced,
    }
