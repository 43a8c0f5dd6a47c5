"""Runs bucket: the scope, source, contact sets and manifest of a run, each one object."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from contact_sync.account_sync import Source
from contact_sync.accounts import ListedAccount, Scope
from contact_sync.aws.clients import error_code, named_errors
from contact_sync.contact_sets import ContactSet, Overrides
from contact_sync.contacts import Contact, ContactType

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Value = TypeVar("Value")

SCOPE, SOURCE, SETS, MANIFEST = "scope", "source", "sets", "manifest"


def object_key(sync_id: str, planned_at: str, name: str) -> str:
    """Return the key of one object of a run; a repeated plan has other objects."""
    return f"runs/{sync_id}/{planned_at}/{name}.json"


def beside(key: str, name: str) -> str:
    """Return the key of another object of the same plan."""
    return f"{key.rpartition('/')[0]}/{name}.json"


class RunsBucket:
    """Stores and loads what the functions of a run exchange outside the execution history."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def store_scope(self, key: str, scope: Scope) -> None:
        """Store which accounts the run is for, and which are excluded."""
        self._store(
            key,
            {
                "management_account_id": scope.management_account_id,
                "account_ids": _listed(scope.account_ids),
                "organizational_units": _listed(scope.organizational_units),
                "excluded_accounts": _listed(scope.excluded_accounts),
                "excluded_organizational_units": _listed(scope.excluded_organizational_units),
                "overrides": {"accounts": scope.overrides.accounts, "units": scope.overrides.units},
                "left_out": scope.left_out,
                "seconds": scope.seconds,
                "undoes": list(scope.undoes),
                "synced_types": list(scope.synced_types),
            },
        )

    def load_scope(self, key: str) -> Scope:
        """Load what store_scope stored."""
        stored = self._load(key)
        overrides = {
            kind: {subject: _by_type(contacts) for subject, contacts in some.items()}
            for kind, some in stored["overrides"].items()
        }
        read = {
            "excluded_accounts": frozenset(stored["excluded_accounts"]),
            "overrides": Overrides(**overrides),
            "left_out": _by_type(stored["left_out"]),
            "seconds": _by_type(stored["seconds"]),
            "undoes": tuple(stored["undoes"]),
            "synced_types": tuple(ContactType(name) for name in stored["synced_types"]),
        }
        return Scope(**{**stored, **read})

    def store_source(self, key: str, source: Source) -> None:
        """Store the source contacts and the digests' key; the bucket encrypts them."""
        contacts = {name: c.to_api() if c else None for name, c in source.contacts.items()}
        self._store(
            key,
            {
                "started_at": source.started_at,
                "digest_key": source.digest_key.hex(),
                "contact_types": list(source.contact_types),
                "contacts": contacts,
                "insisted": sorted(source.insisted),
                "named": {name: dict(fields) for name, fields in source.named.items()},
                "primary_keeps": list(source.primary_keeps),
                "is_undo": source.is_undo,
            },
        )

    def load_source(self, key: str) -> Source:
        """Load what store_source stored."""
        stored = self._load(key)
        contacts = {
            ContactType(name): Contact.from_api(ContactType(name), fields) if fields else None
            for name, fields in stored["contacts"].items()
        }
        return Source(
            started_at=stored["started_at"],
            digest_key=bytes.fromhex(stored["digest_key"]),
            contact_types=tuple(ContactType(name) for name in stored["contact_types"]),
            contacts=contacts,
            insisted=frozenset(stored["insisted"]),
            named=stored["named"],
            primary_keeps=tuple(stored["primary_keeps"]),
            is_undo=stored["is_undo"],
        )

    def store_sets(self, key: str, sets: Sequence[ContactSet]) -> Sequence[ContactSet]:
        """Store the contact sets of a run, which the manifest numbers from 0; return the stored.

        Those of an earlier attempt stay, because children may have read their numbers.
        """
        try:
            self._store(key, [dict(one) for one in sets], IfNoneMatch="*")
        except _AlreadyStoredError:
            return self.load_sets(key)
        return sets

    def load_sets(self, key: str) -> list[ContactSet]:
        """Load what store_sets stored."""
        return [_by_type(one) for one in self._load(key)]

    def store_manifest(self, key: str, accounts: Iterable[ListedAccount]) -> None:
        """Store the accounts of the run: [{account_id, contact_set, …}], which the Map reads."""
        # One account after the other, because all rows at once take as much memory as the accounts.
        rows = ",".join(json.dumps(_row(one)) for one in accounts)
        self._put(key, f"[{rows}]")

    def load_manifest(self, key: str) -> list[ListedAccount]:
        """Load what store_manifest stored."""
        return [
            ListedAccount(one["account_id"], one["contact_set"], tuple(one.get("stays", ())))
            for one in self._load(key)
        ]

    def delete(self, key: str) -> None:
        """Delete one object, if it is there."""
        with named_errors(f"delete {key}"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def _store(self, key: str, content: Any, **condition: Any) -> None:
        self._put(key, json.dumps(content), **condition)

    def _put(self, key: str, text: str, **condition: Any) -> None:
        with named_errors(f"store {key}"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=text.encode(),
                    ContentType="application/json",
                    **condition,
                )
            except ClientError as error:
                if error_code(error) == "PreconditionFailed":
                    raise _AlreadyStoredError from None
                raise

    def _load(self, key: str) -> Any:
        with named_errors(f"load {key}"):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            return json.loads(answer["Body"].read())


class _AlreadyStoredError(Exception):
    """Another attempt has stored the object."""


def _by_type(stored: Mapping[str, Value]) -> dict[ContactType, Value]:
    return {ContactType(name): value for name, value in stored.items()}


def _row(account: ListedAccount) -> dict[str, Any]:
    row = {"account_id": account.account_id, "contact_set": account.contact_set}
    return row | ({"stays": list(account.stays)} if account.stays else {})


def _listed(values: Any) -> list[str] | None:
    return None if values is None else sorted(values)
