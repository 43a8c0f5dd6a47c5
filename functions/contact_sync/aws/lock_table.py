"""State table: the lock of the running execution, and the requests queued for the next run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from contact_sync.aws import keys
from contact_sync.aws.clients import error_code, named_errors
from contact_sync.aws.items import from_item, to_item
from contact_sync.request import RunRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Lock:
    """The lock item: who holds it and since when, the latest plan, and what the next run needs.

    `held` has the keyed digest of each contact type, and of the configuration, that the last
    recorded run over every account tried everywhere. `pending` is a request that version 1 queued.
    """

    holder: str | None = None
    since: datetime | None = None
    planned_at: str | None = None
    quiet_until: datetime | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    pending: Any = None

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read the item; an absent one is a free lock. What another release wrote is ignored."""
        held = item.get("held")
        return cls(
            holder=item.get("holder"),
            since=_time(item.get("since")),
            planned_at=planned_at if _time(planned_at := item.get("planned_at")) else None,
            quiet_until=_time(item.get("quiet_until")),
            held=held if isinstance(held, Mapping) else {},
            pending=item.get("pending"),
        )


@dataclass(frozen=True)
class QueuedRequest:
    """One execution's request: the execution's name and start, when it was queued, and for what."""

    name: str
    started_at: str
    queued_at: datetime
    request: RunRequest


class LockTable:
    """The lock and its queue. Every update is conditional and returns whether it was applied."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self) -> Lock:
        """Return the lock as it is now."""
        with named_errors("read the lock"):
            answer = self._client.get_item(
                TableName=self._table, Key=to_item(keys.LOCK), ConsistentRead=True
            )
        return Lock.from_item(from_item(answer.get("Item", {})))

    def take(self, sync_id: str, at: datetime) -> bool:
        """Hold the lock, if nobody else does; repeating it is harmless."""
        return self._update(
            "SET holder = :me, since = if_not_exists(since, :at)",
            "attribute_not_exists(holder) OR holder = :me",
            {":me": sync_id, ":at": at.isoformat()},
        )

    def release(self, holder: str, quiet_until: datetime | None = None) -> bool:
        """Free the lock of this holder; the next run writes nothing before `quiet_until`."""
        quiet = {":quiet": quiet_until.isoformat()} if quiet_until else {}
        return self._update(
            f"{'SET quiet_until = :quiet ' if quiet else ''}REMOVE holder, since",
            "holder = :holder",
            {":holder": holder, **quiet},
        )

    def record_plan(self, sync_id: str, planned_at: str, held: Mapping[str, str]) -> bool:
        """Store the plan's time, the fence of its writes, and the entries that stay true."""
        return self._update(
            "SET planned_at = :planned_at, held = :held",
            # Equal where the client repeats a call whose answer was lost; no time, if another
            # release wrote it.
            "holder = :me AND (NOT begins_with(planned_at, :century) OR planned_at <= :planned_at)",
            {":me": sync_id, ":planned_at": planned_at, ":held": dict(held), ":century": "20"},
        )

    def record_end(self, sync_id: str, planned_at: str, held: Mapping[str, str]) -> bool:
        """Store what the run tried everywhere, and remove what version 1 queued."""
        return self._update(
            "SET held = :held REMOVE pending",
            "holder = :me AND planned_at = :planned_at",
            {":me": sync_id, ":planned_at": planned_at, ":held": dict(held)},
        )

    def forget_pending(self, sync_id: str) -> bool:
        """Remove what version 1 queued, even if no plan was made."""
        return self._update("REMOVE pending", "holder = :me", {":me": sync_id})

    def queue(self, queued: QueuedRequest) -> None:
        """Queue an execution's request, one per execution."""
        item = {
            **keys.queued(queued.name),
            "started_at": queued.started_at,
            "queued_at": queued.queued_at.isoformat(),
            "request": queued.request.stored(),
        }
        with named_errors("queue a request"):
            self._client.put_item(TableName=self._table, Item=to_item(item))

    def continue_undo(self, name: str, dead: str) -> None:
        """Note on a queued undo which dead run it continues, unless the undo is done."""
        with named_errors("update the queue"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=to_item(keys.queued(name)),
                    UpdateExpression="SET #request.#continues = :dead",
                    ConditionExpression="attribute_exists(sk)",
                    ExpressionAttributeNames={"#request": "request", "#continues": "continues"},
                    ExpressionAttributeValues=to_item({":dead": [dead]}),
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise

    def queued(self) -> list[QueuedRequest]:
        """Return every queued request, the oldest first."""
        found = [_queued(item) for item in self._queue_items()]
        return sorted(found, key=lambda one: (one.queued_at, one.name))

    def has_queued(self) -> bool:
        """Return whether anything waits for a run."""
        return any(True for _ in self._queue_items()) or self.read().pending is not None

    def remove(self, names: Iterable[str]) -> None:
        """Remove these executions' requests from the queue, if they are there."""
        for name in names:
            with named_errors("remove a request from the queue"):
                self._client.delete_item(TableName=self._table, Key=to_item(keys.queued(name)))

    def _queue_items(self) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :lock AND begins_with(sk, :queue)",
            ExpressionAttributeValues=to_item({":lock": keys.LOCK["pk"], ":queue": keys.QUEUE}),
            ConsistentRead=True,
        )
        with named_errors("read the queue"):
            for page in pages:
                yield from (from_item(item) for item in page["Items"])

    def _update(self, expression: str, condition: str, values: dict[str, Any]) -> bool:
        with named_errors("update the lock"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=to_item(keys.LOCK),
                    UpdateExpression=expression,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=to_item(values),
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True


def _queued(item: Mapping[str, Any]) -> QueuedRequest:
    """Read a queued request; of an unreadable one, only the name."""
    name = str(item["sk"]).removeprefix(keys.QUEUE)
    queued_at = _time(item.get("queued_at")) or datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    started_at = str(started) if _time(started := item.get("started_at")) else ""
    return QueuedRequest(name, started_at, queued_at, RunRequest.from_stored(item.get("request")))


def _time(stored: Any) -> datetime | None:
    """Read a time; one without a zone, or in another form, is unknown."""
    try:
        time = datetime.fromisoformat(str(stored))
    except ValueError:
        return None
    return time if time.tzinfo else None
