"""The runs bucket: what the functions of a run exchange."""

import json
from dataclasses import replace
from typing import Any

import pytest
from contact_sync.accounts import ListedAccount, Scope
from contact_sync.aws.runs_bucket import SETS, SOURCE, RunsBucket, beside, object_key
from contact_sync.contacts import ContactType
from contact_sync.errors import ApiRefusedError
from support.builders import ALTERNATE_FIELDS, MEMBER, OTHER, UNIT, make_scope, make_source
from support.moto_stack import BUCKET


@pytest.fixture
def runs(bucket: Any) -> RunsBucket:
    return RunsBucket(bucket, BUCKET)


def test_a_repeated_plan_has_new_objects() -> None:
    keys = {object_key("run-1", at, "source") for at in ("10:00", "10:01")}
    assert {"runs/run-1/10:00/source.json", "runs/run-1/10:01/source.json"} == keys


@pytest.mark.parametrize(
    "scope",
    [
        make_scope(excluded_accounts=frozenset(), excluded_organizational_units=[]),
        make_scope(
            account_ids=[MEMBER, OTHER],
            organizational_units=[UNIT],
            excluded_accounts=frozenset({OTHER}),
            excluded_organizational_units=[UNIT],
        ),
    ],
)
def test_a_scope_is_read_unchanged(scope: Scope, runs: RunsBucket) -> None:
    runs.store_scope("scope.json", scope)
    assert scope == runs.load_scope("scope.json")


def test_a_source_is_read_unchanged(runs: RunsBucket) -> None:
    source = make_source(
        [ContactType.PRIMARY, ContactType.SECURITY], insisted=[OTHER, MEMBER], security=None
    )
    named = {"payments-oncall": dict(ALTERNATE_FIELDS)}
    source = replace(source, named=named, primary_keeps=("PhoneNumber",))
    runs.store_source("source.json", source)
    assert source == runs.load_source("source.json")


def test_a_manifest_is_an_array_of_the_childrens_inputs(runs: RunsBucket, bucket: Any) -> None:
    accounts = [ListedAccount(OTHER, 1), ListedAccount(MEMBER, 0)]
    runs.store_manifest("manifest.json", accounts)
    assert accounts == runs.load_manifest("manifest.json")
    body = bucket.get_object(Bucket=BUCKET, Key="manifest.json")["Body"].read()
    assert {"account_id": OTHER, "contact_set": 1} == json.loads(body)[0]


def test_contact_sets_are_read_unchanged_and_stored_beside_the_source(runs: RunsBucket) -> None:
    sets = [{ContactType.BILLING: "source", ContactType.SECURITY: "own"}, {}]
    key = beside(object_key("run-1", "10:00", SOURCE), SETS)
    assert object_key("run-1", "10:00", SETS) == key
    assert sets == runs.store_sets(key, sets)
    assert sets == runs.load_sets(key)


def test_contact_sets_of_an_earlier_attempt_stay(runs: RunsBucket) -> None:
    sets = [{ContactType.BILLING: "source"}]
    runs.store_sets("sets.json", sets)
    assert sets == runs.store_sets("sets.json", [{ContactType.BILLING: "own"}])
    assert sets == runs.load_sets("sets.json")


def test_what_cannot_be_stored_is_an_error(bucket: Any) -> None:
    with pytest.raises(ApiRefusedError, match=r"^store sets\.json: NoSuchBucket$"):
        RunsBucket(bucket, "no-such-bucket").store_sets("sets.json", [])


def test_an_object_is_deleted_whether_it_is_there_or_not(runs: RunsBucket) -> None:
    runs.store_manifest("manifest.json", [])
    runs.delete("manifest.json")
    runs.delete("manifest.json")
    with pytest.raises(ApiRefusedError, match=r"load manifest\.json: NoSuchKey"):
        runs.load_manifest("manifest.json")
