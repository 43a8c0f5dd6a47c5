"""State table: one item per run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contact_sync.aws import keys
from contact_sync.aws.clients import error_code, named_errors
from contact_sync.aws.items import from_item, to_item, update_of
from contact_sync.comparison import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "GSI1"


class RunsTable:
    """Reads and writes the items of runs."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self, started_at: str, sync_id: str) -> dict[str, Any]:
        """Return the run's item, empty where there is none."""
        return self._get(keys.run(started_at, sync_id))

    def find(self, sync_id: str) -> dict[str, Any] | None:
        """Return the run's item by its sync_id alone, None where there is no such run.

        Step Functions takes a name again after 90 days: the latest run has it.
        """
        found = max(self._query(sync_id, "RUN"), key=lambda one: str(one["sk"]), default=None)
        return self._get({"pk": found["pk"], "sk": found["sk"]}) if found else None

    def failed_accounts(self, sync_id: str) -> list[str]:
        """Return the accounts that failed in the run."""
        prefix = f"{Status.FAILED}#"
        return [item["gsi1sk"].removeprefix(prefix) for item in self._query(sync_id, prefix)]

    def update(
        self, started_at: str, sync_id: str, values: Mapping[str, Any], removed: Sequence[str] = ()
    ) -> None:
        """Set attributes of the run's item, and remove others."""
        with named_errors(f"record run {sync_id}"):
            self._client.update_item(**self._request(started_at, sync_id, values, removed))

    def record_end(self, started_at: str, sync_id: str, values: Mapping[str, Any]) -> bool:
        """Set attributes of a run that has no outcome yet; return whether it had none."""
        with named_errors(f"record run {sync_id}"):
            try:
                self._client.update_item(
                    **self._request(started_at, sync_id, values),
                    ConditionExpression="attribute_not_exists(ended_at)",
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True

    def _request(
        self, started_at: str, sync_id: str, values: Mapping[str, Any], removed: Sequence[str] = ()
    ) -> Any:
        common = {
            **keys.run_index(sync_id),
            "sync_id": sync_id,
            "started_at": started_at,
            "expires_at": keys.expires_at(started_at),
        }
        return {
            "TableName": self._table,
            "Key": to_item(keys.run(started_at, sync_id)),
            **update_of({**common, **values}, removed),
        }

    def _get(self, key: Mapping[str, str]) -> dict[str, Any]:
        with named_errors("read the state table"):
            answer = self._client.get_item(
                TableName=self._table, Key=to_item(key), ConsistentRead=True
            )
        return from_item(answer.get("Item", {}))

    def _query(self, sync_id: str, entry: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=INDEX,
            KeyConditionExpression="gsi1pk = :run AND begins_with(gsi1sk, :entry)",
            ExpressionAttributeValues=to_item({":run": f"RUN#{sync_id}", ":entry": entry}),
        )
        with named_errors(f"find run {sync_id}"):
            for page in pages:
                yield from (from_item(item) for item in page["Items"])
