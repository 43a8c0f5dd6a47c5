"""The configuration item as a file, and its changes, with the same checks as in a run."""

import difflib
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import ClientError
from contact_sync.aws.items import from_item, to_item
from contact_sync.config import CONFIG_KEY, SyncConfig, parse_config
from contact_sync.errors import InvalidConfigError
from contact_sync.validation import dynamodb_json_in

from operate.aws import Aws
from operate.console import OperateError
from operate.replaced import replaced

Json = dict[str, Any]

# Why DynamoDB cancels a transaction: someone else wrote the item, or is writing it now.
CHANGED = {"ConditionalCheckFailed", "TransactionConflict"}
ACCOUNTS, UNITS = "excluded_accounts", "excluded_organizational_units"


def read_item(aws: Aws, table: str, key: str = CONFIG_KEY) -> Json | None:
    """Return the item in DynamoDB's typed form, None if there is none."""
    answer = aws.client("dynamodb").get_item(
        TableName=table, Key=to_item({"config_key": key}), ConsistentRead=True
    )
    return dict(answer["Item"]) if "Item" in answer else None


def checked(item: Json | None, where: str = "") -> SyncConfig:
    """Return the configuration of an item; if it is invalid, raise an error that says why."""
    try:
        return parse_config(from_item(item) if item else None)
    except InvalidConfigError as error:
        raise OperateError(f"{where}{error}") from None


def valid(item: Json | None) -> SyncConfig | None:
    """Return the configuration of an item, None if it is invalid."""
    try:
        return checked(item)
    except OperateError:
        return None


def read_file(path: Path) -> Json:
    """Return the configuration item of a file in DynamoDB's typed form; raise if it is invalid."""
    values = read_json(path)
    if values.setdefault("config_key", CONFIG_KEY) != CONFIG_KEY:
        raise OperateError(
            f"{path}: config_key: expected `{CONFIG_KEY}`, the only one that runs read; for the "
            "address book, use scripts/config.sh contacts apply FILE"
        )
    try:
        item = to_item(values)
    except ArithmeticError:
        raise OperateError(f"{path}: a number has more digits than DynamoDB stores") from None
    checked(item, f"{path}: ")
    return item


def read_json(path: Path) -> Json:
    """Return the JSON object of a file; raise OperateError if there is none."""

    def fault(message: str) -> OperateError:
        return OperateError(f"{path}: {message}")

    try:
        values = json.loads(
            path.read_bytes().decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_duplicates,
        )
    except OSError as error:
        raise fault(str(error.strerror)) from None
    except UnicodeDecodeError:
        raise fault("not JSON: the encoding is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise fault(f"not JSON: {error}. JSON has no comments and no trailing commas") from None
    except ValueError as error:
        raise fault(str(error)) from None
    if not isinstance(values, dict):
        raise fault("not a JSON object")
    if typed := dynamodb_json_in(values):
        raise fault(typed)
    return values


def with_exclusions(item: Json, ids: Iterable[str], *, excluded: bool) -> Json:
    """Return the item with these accounts and organizational units excluded, or included."""
    values = from_item(item)
    changed = dict(item)
    for name, some in _by_list(ids).items():
        before = list(values.get(name, []))
        after = [one for one in before if one not in some]
        if excluded:
            after = before + [one for one in some if one not in before]
        if after != before:
            changed |= to_item({name: after})
    return changed


def shown(item: Json | None) -> str:
    """Return the item in the form of a file, with its keys in a fixed order."""
    if item is None:
        return ""
    values = from_item(item)
    order = ["config_key", *SyncConfig.model_fields]
    names = [name for name in order if name in values]
    names += sorted(values.keys() - set(order))
    return json.dumps({name: values[name] for name in names}, indent=2, default=str) + "\n"


def difference(old: Json | None, new: Json, table: str) -> str:
    """Return what writing the new item would change."""
    before, after = (shown(one).splitlines(keepends=True) for one in (old, new))
    return "".join(difflib.unified_diff(before, after, f"{table} before", f"{table} after"))


def write(aws: Aws, table: str, old: Json | None, new: Json) -> None:
    """Write the new item, and keep the old one; raise if somebody changed it meanwhile."""
    writes = [{"Put": _request(table, old, new)}]
    if old is not None:
        writes.append({"Put": {"TableName": table, "Item": replaced(old, aws.caller[1])}})
    try:
        aws.client("dynamodb").transact_write_items(TransactItems=writes)
    except ClientError as error:
        if not CHANGED & _cancelled_for(error):
            raise
        raise OperateError(
            "someone else changed the configuration meanwhile; nothing was written: try again"
        ) from None


def _cancelled_for(error: ClientError) -> set[str]:
    """Return why DynamoDB cancelled a transaction; empty for any other error."""
    answer: Json = dict(error.response)
    return {str(reason.get("Code")) for reason in answer.get("CancellationReasons", [])}


def _request(table: str, old: Json | None, new: Json) -> Json:
    if old is None:
        unchanged = {"ConditionExpression": "attribute_not_exists(config_key)"}
        return {"TableName": table, "Item": new, **unchanged}
    names = dict(enumerate(sorted(old.keys() | SyncConfig.model_fields.keys())))
    terms = [
        f"#n{n} = :v{n}" if name in old else f"attribute_not_exists(#n{n})"
        for n, name in names.items()
    ]
    return {
        "TableName": table,
        "Item": new,
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeNames": {f"#n{n}": name for n, name in names.items()},
        "ExpressionAttributeValues": {
            f":v{n}": old[name] for n, name in names.items() if name in old
        },
    }


def _by_list(ids: Iterable[str]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {ACCOUNTS: [], UNITS: []}
    for one in dict.fromkeys(ids):
        lists[UNITS if one.startswith("ou-") else ACCOUNTS].append(one)
    return lists


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Json:
    # Python's parser would silently keep the last of them.
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"more than once: {', '.join(twice)}")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
