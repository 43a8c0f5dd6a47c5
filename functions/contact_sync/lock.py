"""State table: the lock of the running execution, and what is queued behind it, in one item."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from contact_sync import keys
from contact_sync.aws import error_code, named_errors
from contact_sync.errors import ServiceUnavailableError
from contact_sync.request import RoundRequest
from contact_sync.table import from_item, to_item, update_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# Another execution changed the item before us, or is about to in its transaction.
CHANGED_MEANWHILE = ("ConditionalCheckFailedException", "TransactionConflictException")


@dataclass(frozen=True)
class Lock:
    """Who holds the lock, if anyone, and the request that is queued, if any."""

    holder: str | None
    pending: RoundRequest | None
    stored: Mapping[str, Any] | None

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read the item; an absent one is a free lock with nothing queued."""
        stored = item.get("pending")
        pending = RoundRequest.model_validate(stored) if stored is not None else None
        return cls(item.get("holder"), pending, stored)


class LockTable:
    """The lock item. Every change names what it expects, and tells whether it was so."""

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

    def queue(self, seen: Lock, request: RoundRequest) -> bool:
        """Queue the request, merged with what is queued, behind the holder seen."""
        merged = seen.pending.merge(request) if seen.pending else request
        return self._change(
            seen,
            "SET pending = :merged",
            {":merged": merged.stored(), ":holder": seen.holder},
        )

    def take_over(self, seen: Lock, sync_id: str, at: str) -> bool:
        """Hold the lock in place of the dead holder seen; what is queued stays."""
        return self._change(
            seen,
            "SET holder = :me, since = :at",
            {":holder": seen.holder, ":me": sync_id, ":at": at},
        )

    def free(self, seen: Lock) -> bool:
        """Free the lock of the dead holder seen; what is queued stays."""
        return self._change(seen, "REMOVE holder, since", {":holder": seen.holder})

    def start_round(
        self, seen: Lock, run_key: Mapping[str, str], round_values: Mapping[str, Any]
    ) -> bool:
        """Move what is queued into the run's item, in one transaction: neither lost nor doubled."""
        condition, values = _unchanged(seen, {":holder": seen.holder})
        taken: Any = {
            "TableName": self._table,
            "Key": to_item(keys.LOCK),
            "UpdateExpression": "REMOVE pending",
            "ConditionExpression": condition,
            "ExpressionAttributeValues": to_item(values),
        }
        started: Any = {
            "TableName": self._table,
            "Key": to_item(run_key),
            **update_of(round_values),
        }
        return self._succeeds(
            lambda: self._client.transact_write_items(
                TransactItems=[{"Update": taken}, {"Update": started}]
            )
        )

    def _change(self, seen: Lock, expression: str, values: dict[str, Any]) -> bool:
        condition, values = _unchanged(seen, values)
        return self._succeeds(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=to_item(keys.LOCK),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
            )
        )

    def _succeeds(self, change: Callable[[], object]) -> bool:
        with named_errors("change the lock"):
            try:
                change()
            except ClientError as error:
                if not _is_refused(error):
                    raise
                return False
        return True


def _unchanged(seen: Lock, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if seen.stored is None:
        return "holder = :holder AND attribute_not_exists(pending)", values
    return "holder = :holder AND pending = :seen", values | {":seen": seen.stored}


def _is_refused(error: ClientError) -> bool:
    """Tell whether the lock was not as expected; a transaction has other reasons to fail, too."""
    if error_code(error) != "TransactionCanceledException":
        return error_code(error) in CHANGED_MEANWHILE
    response: Mapping[str, Any] = error.response
    codes = {reason["Code"] for reason in response["CancellationReasons"]} - {"None"}
    if not codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
        raise ServiceUnavailableError(f"change the lock: {', '.join(sorted(codes))}") from None
    return True
