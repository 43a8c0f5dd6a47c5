"""State table: the next free time slot of each operation of the Account API."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contact_sync.aws import keys
from contact_sync.aws.clients import error_code, named_errors
from contact_sync.aws.items import from_item, to_item
from contact_sync.errors import ThrottledError
from contact_sync.pacing import MICROSECONDS, earliest, interval, now
from contact_sync.quotas import MAX_WAIT_SECONDS, Quota

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 5
# A slot this far ahead comes from a wrong clock, never from load, for which starting anew would
# give slots away twice. Load stays far below: once the slots are later than an account's timeout,
# accounts take them more slowly than they pass.
MAX_AHEAD = 15 * MAX_WAIT_SECONDS * MICROSECONDS

# Update and condition, for slots that follow the last one taken, and after an idle time.
FOLLOW = "ADD #next :length", "#next BETWEEN :oldest AND :newest"
RESTART = (
    "SET #next = :following",
    "attribute_not_exists(#next) OR NOT #next BETWEEN :oldest AND :newest",
)


class SlotsTable:
    """Slots that all processes take from one item per operation, with one write each time."""

    def __init__(self, client: "DynamoDBClient", table: str, quotas: Mapping[str, Quota]) -> None:
        self._client = client
        self._table = table
        self.quotas = quotas
        self._idle: set[str] = set()

    def take(self, operation: str, count: int) -> range:
        """Take the next slots, with one write; return their times, in microseconds since 1970.

        Raises SyncError where the table refuses.
        """
        quota = self.quotas[operation]
        length = count * interval(quota)
        for _ in range(ATTEMPTS):
            at = now()
            oldest = earliest(quota, at)
            window = {":oldest": oldest, ":newest": at + MAX_AHEAD}
            # What was true of the last call, idle or busy, is likely true of this one.
            if operation in self._idle:
                if self._update(operation, RESTART, {**window, ":following": oldest + length}):
                    return range(oldest, oldest + length, interval(quota))
                self._idle.remove(operation)
            else:
                following = self._update(operation, FOLLOW, {**window, ":length": length})
                if following:
                    return range(following - length, following, interval(quota))
                self._idle.add(operation)
        raise ThrottledError(f"take a slot of {operation}: other processes were faster")

    def _update(
        self, operation: str, update: tuple[str, str], values: Mapping[str, int]
    ) -> int | None:
        """Return the next free slot after the update, None where the condition does not hold."""
        with named_errors(f"take a slot of {operation}"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=to_item(keys.slots(operation)),
                    UpdateExpression=update[0],
                    ConditionExpression=update[1],
                    ExpressionAttributeNames={"#next": "next"},
                    ExpressionAttributeValues=to_item(values),
                    ReturnValues="ALL_NEW",
                )
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    return None
                raise
        return int(from_item(answer["Attributes"])["next"])
