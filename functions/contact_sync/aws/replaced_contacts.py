"""Runs bucket: what a run replaced in each account, one object per account and contact type."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contact_sync.account_sync import Replaced
from contact_sync.aws.clients import error_code, named_errors
from contact_sync.contacts import ContactType

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "replaced/"


def replaced_key(sync_id: str, account_id: str, name: ContactType) -> str:
    """Return the key of the contact that a run replaced."""
    return f"{PREFIX}{sync_id}/{account_id}/{name}.json"


class ReplacedContactsBucket:
    """Stores what is replaced; the bucket encrypts it, and lets it expire."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def store(self, sync_id: str, account_id: str, name: ContactType, replaced: Replaced) -> None:
        """Store it unless an earlier attempt of the run has: only that one saw the original."""
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
