"""Replaced contacts: each is stored once, by run, account and contact type."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from contact_sync.aws.replaced_contacts import ReplacedContactsBucket
from contact_sync.contacts import Contact, ContactType
from contact_sync.errors import (
    AccessDeniedError,
    ApiRefusedError,
    ServiceUnavailableError,
    SyncError,
)
from contact_sync.undo import Replaced
from support.builders import ALTERNATE_FIELDS, MEMBER, OTHER, SYNC_ID, make_contact
from support.moto_stack import BUCKET

BILLING = ContactType.BILLING
KEY = f"replaced/{SYNC_ID}/{MEMBER}/billing.json"
REPLACED = Replaced(make_contact(), "1:new")


@pytest.fixture
def replaced(bucket: Any) -> ReplacedContactsBucket:
    return ReplacedContactsBucket(bucket, BUCKET, keeps=True)


def stored(bucket: Any) -> Any:
    return json.loads(bucket.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())


def test_an_object_has_the_contact_and_the_digest_of_the_new_one(
    replaced: ReplacedContactsBucket, bucket: Any
) -> None:
    replaced.store(SYNC_ID, MEMBER, BILLING, REPLACED)
    assert {"contact": ALTERNATE_FIELDS, "written": "1:new"} == stored(bucket)


def test_a_repeated_attempt_does_not_hide_the_original(
    replaced: ReplacedContactsBucket, bucket: Any
) -> None:
    replaced.store(SYNC_ID, MEMBER, BILLING, REPLACED)
    replaced.store(SYNC_ID, MEMBER, BILLING, Replaced(None, "1:new"))
    assert ALTERNATE_FIELDS == stored(bucket)["contact"]


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDenied", 403, AccessDeniedError),
        # Another request is storing the same object at this moment.
        ("ConditionalRequestConflict", 409, ServiceUnavailableError),
    ],
)
def test_the_error_of_a_refusal_omits_the_contact(
    code: str, status: int, error: type[SyncError]
) -> None:
    client: Any = boto3.client("s3")
    with Stubber(client) as stub:
        expected = {"Bucket": BUCKET, "Key": KEY, "Body": ANY, "ContentType": ANY}
        stub.add_client_error(
            "put_object",
            code,
            http_status_code=status,
            expected_params={**expected, "IfNoneMatch": "*"},
        )
        bucket = ReplacedContactsBucket(client, BUCKET, keeps=True)
        with pytest.raises(error, match=f"store {KEY}") as caught:
            bucket.store(SYNC_ID, MEMBER, BILLING, REPLACED)
    assert not any(value in str(caught.value) for value in ALTERNATE_FIELDS.values())


def test_nothing_is_stored_if_storing_is_disabled(bucket: Any) -> None:
    ReplacedContactsBucket(bucket, BUCKET, keeps=False).store(SYNC_ID, MEMBER, BILLING, REPLACED)
    assert 0 == bucket.list_objects_v2(Bucket=BUCKET)["KeyCount"]


@pytest.mark.parametrize("contact", [make_contact(), None])
def test_a_replaced_contact_is_read_unchanged(
    contact: Contact | None, replaced: ReplacedContactsBucket
) -> None:
    replaced.store(SYNC_ID, MEMBER, BILLING, Replaced(contact, "1:new"))
    assert Replaced(contact, "1:new") == replaced.load(SYNC_ID, MEMBER, BILLING)


def test_only_contacts_that_the_run_replaced_are_found(
    replaced: ReplacedContactsBucket,
) -> None:
    for sync_id, account_id, name in (
        (SYNC_ID, MEMBER, BILLING),
        (SYNC_ID, OTHER, ContactType.PRIMARY),
        (f"{SYNC_ID}0", MEMBER, BILLING),
    ):
        replaced.store(sync_id, account_id, name, REPLACED)
    assert [(MEMBER, BILLING), (OTHER, ContactType.PRIMARY)] == list(replaced.of_run(SYNC_ID))
    assert [] == list(replaced.of_run("run"))


def test_the_error_of_an_expired_contact_says_so(
    replaced: ReplacedContactsBucket, bucket: Any
) -> None:
    """S3 denies access to a missing object if the role may not list; moto returns NoSuchKey."""
    with Stubber(bucket) as stub:
        stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
        with pytest.raises(ApiRefusedError, match=f"load {KEY}: AccessDenied: it has expired"):
            replaced.load(SYNC_ID, MEMBER, BILLING)
