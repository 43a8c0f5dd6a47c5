"""Runs bucket: what a run replaced in each account, one object per account and contact type."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contact_sync.aws.clients import error_code, named_errors
from contact_sync.contacts import Contact, ContactType
from contact_sync.undo import Replaced

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "replaced/"


def replaced_key(sync_id: str, account_id: str, name: ContactType) -> str:
    """Return the key of the contact that a run replaced."""
    return f"{PREFIX}{sync_id}/{account_id}/{name}.json"


class ReplacedContactsBucket:
    """Stores what is replaced, if `keeps`; the bucket encrypts it, and lets it expire."""

    def __init__(self, client: "S3Client", bucket: str, *, keeps: bool) -> None:
        self._client = client
        self._bucket = bucket
        self._keeps = keeps

    def store(self, sync_id: str, account_id: str, name: ContactType, replaced: Replaced) -> None:
        """Store it unless an earlier attempt of the run has: only that one saw the original."""
        if not self._keeps:
            return
        key = replaced_key(sync_id, account_id, name)
        fields = replaced.contact.to_api() if replaced.contact else None
        content = {"contact": fields, "written": replaced.written}
        with named_errors(f"store {key}"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=json.dumps(content).encode(),
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error_code(error) != "PreconditionFailed":
                    raise

    def load(self, sync_id: str, account_id: str, name: ContactType) -> Replaced:
        """Load what store stored."""
        key = replaced_key(sync_id, account_id, name)
        with named_errors(f"load {key}"):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            stored = json.loads(answer["Body"].read())
        contact = stored["contact"]
        return Replaced(Contact.from_api(name, contact) if contact else None, stored["written"])

    def of_run(self, sync_id: str) -> Iterator[tuple[str, ContactType]]:
        """Yield the account and type of each contact that a run replaced and that is still kept."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{PREFIX}{sync_id}/"
        )
        with named_errors(f"list what run {sync_id} replaced"):
            for page in pages:
                for found in page.get("Contents", []):
                    account_id, name = found["Key"].removesuffix(".json").split("/")[2:]
                    yield account_id, ContactType(name)
