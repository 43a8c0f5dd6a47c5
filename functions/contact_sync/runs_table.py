"""State table: one item a run, and what was last synced to every account."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from contact_sync import keys
from contact_sync.aws import named_errors
from contact_sync.contacts import ContactType
from contact_sync.reconcile import Status
from contact_sync.table import from_item, to_item, update_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "GSI1"


class RunsTable:
    """Reads and writes the items of runs, and the item SOURCE."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self, started_at: str, sync_id: str) -> dict[str, Any]:
        """Return the run's item, empty where there is none."""
        return self._get(keys.run(started_at, sync_id))

    def find(self, sync_id: str) -> dict[str, Any] | None:
        """Return the run's item by its sync_id alone, None where there is no such run."""
        for found in self._query(sync_id, "RUN"):
            return self._get({"pk": found["pk"], "sk": found["sk"]})
        return None

    def failed_accounts(self, sync_id: str) -> list[str]:
        """Return the accounts that failed in the run."""
        prefix = f"{Status.FAILED}#"
        return [item["gsi1sk"].removeprefix(prefix) for item in self._query(sync_id, prefix)]

    def update(self, started_at: str, sync_id: str, values: Mapping[str, Any]) -> None:
        """Set attributes of the run's item."""
        with named_errors(f"record run {sync_id}"):
            self._update(keys.run(started_at, sync_id), values)

    def synced(self) -> dict[str, Any]:
        """Return what was last synced to every account: by contact type, digest and sync_id."""
        entries = self._get(keys.SOURCE)
        return {name: entries[name] for name in ContactType if name in entries}

    def record_synced(
        self, digests: Mapping[ContactType, str], key_id: str, sync_id: str, at: str
    ) -> None:
        """Record the contact types that every account now has from the source."""
        values = {
            str(name): {"digest": digest, "sync_id": sync_id, "at": at, "key_id": key_id}
            for name, digest in digests.items()
        }
        with named_errors("record what was synced"):
            self._update(keys.SOURCE, values)

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

    def _update(self, key: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self._client.update_item(TableName=self._table, Key=to_item(key), **update_of(values))
