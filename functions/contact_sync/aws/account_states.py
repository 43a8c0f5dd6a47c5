"""State table: the last known state of each account, and what a run did to it."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contact_sync.account_sync import AccountState, AccountTask, ContactResult
from contact_sync.accounts import JUST_JOINED
from contact_sync.aws import keys
from contact_sync.aws.clients import error_code, named_errors
from contact_sync.aws.items import from_item, to_item, update_of
from contact_sync.comparison import CHANGED, UNSETTLED, InSync, KnownContact, Status, Write
from contact_sync.contacts import ContactType, is_comparable
from contact_sync.errors import ThrottledError
from contact_sync.observability import logger
from contact_sync.undo import CHANGED_SINCE, NOT_DELETABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Limits of BatchGetItem and BatchWriteItem.
READ_AT_ONCE = 100
WRITTEN_AT_ONCE = 25
BATCH_ATTEMPTS = 8
# Reasons for skipping a contact that was compared.
COMPARED = frozenset({None, CHANGED_SINCE, NOT_DELETABLE})
# Reasons for skipping a contact although its account is still there.
NOT_GONE = COMPARED | {JUST_JOINED}
# `planned_at` grows from plan to plan: a late attempt must not hide what a newer run recorded.
NO_NEWER_RUN = "attribute_not_exists(#planned_at) OR #planned_at <= :planned_at"


class AccountStatesTable:
    """Reads and writes the account items of the state table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self, account_id: str) -> AccountState:
        """Return the account's state and the lock, in one strongly consistent read."""
        wanted = [keys.LOCK, keys.account_state(account_id)]
        found = {item["pk"]: item for item in self._batch_get(wanted)}
        lock = found.get(keys.LOCK["pk"], {})
        item = found.get(f"ACCOUNT#{account_id}", {})
        return AccountState(
            contacts={name: _known(item, name) for name in ContactType},
            holder=lock.get("holder"),
            planned_at=lock.get("planned_at"),
        )

    def intend(self, task: AccountTask, writes: Mapping[ContactType, Write]) -> bool:
        """Record writes before they are made; return False if a newer run recorded the account.

        What an undo puts back is in sync with nothing, and its intent is no write of ours.
        """
        kind = "undoing" if task.is_undo else "intent"
        values: dict[str, Any] = {f"{name}_{kind}": _stored(one) for name, one in writes.items()}
        values["planned_at"] = task.planned_at
        removed = [f"{name}_in_sync_with" for name in writes if task.is_undo]
        return self._update(keys.account_state(task.account_id), values, removed)

    def record(
        self,
        task: AccountTask,
        results: Mapping[ContactType, ContactResult],
        started_at: str,
        at: datetime,
    ) -> bool:
        """Record one attempt in one write: in the account's state, or in the dry run's own item.

        Returns False where a newer run has recorded the account: this attempt is late.
        """
        values: dict[str, Any] = {
            "sync_id": task.sync_id,
            "planned_at": task.planned_at,
            "at": at.isoformat(),
            **{str(name): _recorded(task, result, at) for name, result in results.items()},
        }
        if task.dry_run:
            values["expires_at"] = keys.expires_at(started_at)
            key = keys.account_run(task.account_id, started_at, task.sync_id)
            return self._update(key, values, [])
        # An account that left or was closed during the run must still expire.
        removed = [] if _is_gone(results) else ["left_at", "expires_at"]
        for name, result in results.items():
            values |= _remembered(task, name, result, at)
            removed += [f"{name}_{kind}" for kind in _forgotten(task, result)]
        return self._update(keys.account_state(task.account_id), values, removed)

    def items(
        self, account_ids: Sequence[str], sync_id: str, started_at: str, *, dry_run: bool
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each account's ID and item of a run (empty if there is none), 100 per request."""
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
        """Write the items of accounts in a run, 25 per request."""
        remaining = iter(items)
        while some := list(islice(remaining, WRITTEN_AT_ONCE)):
            self._batch_write([{"PutRequest": {"Item": to_item(item)}} for item in some])

    def _update(self, key: Mapping[str, str], values: dict[str, Any], removed: list[str]) -> bool:
        with named_errors("record an account's state"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=to_item(key),
                    ConditionExpression=NO_NEWER_RUN,
                    **update_of(values, removed),
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                logger.warning("A newer run has recorded this account; this attempt is discarded.")
                return False
        return True

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
        unprocessed: Any = {self._table: requests}
        for attempt in range(BATCH_ATTEMPTS):
            _back_off(attempt)
            with named_errors("record the run's accounts"):
                answer = self._client.batch_write_item(RequestItems=unprocessed)
            unprocessed = answer.get("UnprocessedItems")
            if not unprocessed:
                return
        raise ThrottledError("record the run's accounts: items were left unprocessed")


def _back_off(attempt: int) -> None:
    """Wait before repeating what was left unprocessed: that is how DynamoDB throttles a batch."""
    if attempt:
        time.sleep(min(0.05 * 2**attempt, 1.0))


def _is_gone(results: Mapping[ContactType, ContactResult]) -> bool:
    """Return whether a contact was skipped for the account's state."""
    return any(
        result.status is Status.SKIPPED and result.error not in NOT_GONE
        for result in results.values()
    )


def _recorded(task: AccountTask, result: ContactResult, at: datetime) -> dict[str, Any]:
    """Return the result of this run."""
    record = {
        "status": result.status.value,
        "error": result.error,
        "sync_id": task.sync_id,
        "planned_at": task.planned_at,
        "at": at.isoformat(),
        "drifted": True if result.drifted else None,
    }
    return {name: value for name, value in record.items() if value is not None}


def _remembered(
    task: AccountTask, name: ContactType, result: ContactResult, at: datetime
) -> dict[str, Any]:
    """Return what later runs need to know of the contact."""
    if task.is_undo:
        return {f"{name}_undone": _stored(result.write)} if result.write else {}
    values: dict[str, Any] = {}
    if result.write:
        values[f"{name}_written"] = _stored(result.write)
    if result.in_sync:
        values[f"{name}_in_sync_at"] = at.isoformat()
        values[f"{name}_in_sync_since"] = result.in_sync.since.isoformat()
        # Kept until a comparison finds a difference; the times above survive that.
        values[f"{name}_in_sync_with"] = result.in_sync.digest
    if result.status in CHANGED | {Status.UNCHANGED, Status.CONTESTED}:
        count = {"count": result.contested, "planned_at": task.planned_at}
        values[f"{name}_contested"] = count
    return values


def _forgotten(task: AccountTask, result: ContactResult) -> list[str]:
    """Return what later runs must no longer know of the contact."""
    # A write without an answer may have taken effect; a refused one did not.
    was_compared = result.status is Status.SKIPPED and result.error in COMPARED
    is_settled = result.is_refused or was_compared or result.status not in UNSETTLED
    if task.is_undo:
        forgotten = ["undoing"] if is_settled else []
        return [*forgotten, "written", "intent", "contested"] if result.write else forgotten
    forgotten = ["intent"] if is_settled else []
    if result.write:
        forgotten += ["undone", "undoing"]
    return [*forgotten, "in_sync_with"] if result.differs else forgotten


def _stored(write: Write) -> dict[str, str]:
    return {
        "digest": write.digest,
        "replaced": write.replaced,
        "at": write.at.isoformat(),
        "planned_at": write.planned_at,
    }


def _known(item: Mapping[str, Any], name: ContactType) -> KnownContact:
    """Read what is known of a contact; another release's formats count as unknown."""
    record, contested = _map(item.get(name)), _map(item.get(f"{name}_contested"))
    status, count = record.get("status"), contested.get("count")
    return KnownContact(
        written=_write(item.get(f"{name}_written")),
        intended=_write(item.get(f"{name}_intent")),
        undone=_write(item.get(f"{name}_undone")),
        undoing=_write(item.get(f"{name}_undoing")),
        status=Status(status) if status in list(Status) else None,
        status_of=record.get("planned_at"),
        contested=count if isinstance(count, int) else 0,
        contested_of=contested.get("planned_at"),
        in_sync=_in_sync(item, name),
        drifted=record.get("drifted") is True,
    )


def _in_sync(item: Mapping[str, Any], name: ContactType) -> InSync | None:
    try:
        since = datetime.fromisoformat(item[f"{name}_in_sync_since"])
        return InSync(since, item[f"{name}_in_sync_with"])
    except (KeyError, TypeError, ValueError):
        return None


def _write(stored: Any) -> Write | None:
    try:
        write = Write(
            digest=stored["digest"],
            replaced=stored["replaced"],
            at=datetime.fromisoformat(stored["at"]),
            planned_at=stored["planned_at"],
        )
        return write if is_comparable(write.digest) and is_comparable(write.replaced) else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _map(stored: Any) -> Mapping[str, Any]:
    return stored if isinstance(stored, Mapping) else {}
