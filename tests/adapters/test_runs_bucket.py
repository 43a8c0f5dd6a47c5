"""The runs bucket: what a round's functions hand to each other."""

import json
from typing import Any

import pytest
from builders import MEMBER, OTHER, UNIT, make_scope, make_source
from contact_sync.errors import ApiRefusedError
from contact_sync.runs_bucket import RunsBucket, object_key
from contact_sync.selection import Scope
from moto_stack import BUCKET


@pytest.fixture
def runs(bucket: Any) -> RunsBucket:
    return RunsBucket(bucket, BUCKET)


def test_keys_are_those_of_the_round() -> None:
    assert "runs/run-1/2/manifest.json" == object_key("run-1", 2, "manifest")


@pytest.mark.parametrize(
    "scope",
    [
        make_scope(excluded_accounts=frozenset()),
        make_scope(
            account_ids=[MEMBER, OTHER],
            organizational_units=[UNIT],
            excluded_accounts=frozenset({OTHER}),
            excluded_organizational_units=[UNIT],
            must_exist=False,
        ),
    ],
)
def test_a_scope_comes_back_the_same(scope: Scope, runs: RunsBucket) -> None:
    runs.store_scope("scope.json", scope)
    loaded = runs.load_scope("scope.json")
    assert list(scope.excluded_organizational_units) == loaded.excluded_organizational_units
    assert scope.excluded_accounts == loaded.excluded_accounts
    assert (scope.account_ids, scope.organizational_units, scope.must_exist) == (
        loaded.account_ids,
        loaded.organizational_units,
        loaded.must_exist,
    )
    assert scope.management_account_id == loaded.management_account_id


def test_a_source_comes_back_the_same(runs: RunsBucket) -> None:
    source = make_source(security=None)
    runs.store_source("source.json", source)
    assert source == runs.load_source("source.json")


def test_a_manifest_is_a_plain_array_of_ids(runs: RunsBucket, bucket: Any) -> None:
    runs.store_manifest("manifest.json", [MEMBER, OTHER])
    assert [MEMBER, OTHER] == runs.load_manifest("manifest.json")
    body = bucket.get_object(Bucket=BUCKET, Key="manifest.json")["Body"].read()
    assert [MEMBER, OTHER] == json.loads(body)


def test_an_object_is_deleted_whether_it_is_there_or_not(runs: RunsBucket) -> None:
    runs.store_manifest("manifest.json", [])
    runs.delete("manifest.json")
    runs.delete("manifest.json")
    with pytest.raises(ApiRefusedError, match=r"load manifest\.json: NoSuchKey"):
        runs.load_manifest("manifest.json")
