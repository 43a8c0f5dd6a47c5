"""The current organization: its accounts with their names and organizational units."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operate.aws import Aws, each, pages

ROOT = "Root"


@dataclass(frozen=True)
class Member:
    """An account (also the management account); `unit` is its unit's path in names."""

    id: str
    name: str
    state: str
    unit: str = ROOT
    unit_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Organization:
    """The organization's IDs and accounts."""

    id: str
    management_account_id: str
    members: list[Member] = field(default_factory=list)


def read_organization(aws: Aws) -> Organization:
    """Read all accounts and units from Organizations."""
    client = aws.client("organizations")
    described = client.describe_organization()["Organization"]
    accounts = {one["Id"]: one for one in pages(client, "list_accounts", "Accounts")}
    units = _read_units(client)
    without_path = [one for one in accounts.values() if not one.get("Paths")]
    parents = _read_parents(client, units) if without_path else {}
    members = [_member(one, units, parents) for one in accounts.values()]
    return Organization(described["Id"], described["MasterAccountId"], members)


@dataclass(frozen=True)
class _Unit:
    """A root or organizational unit, with the IDs of the units from the root down to it."""

    name: str
    ids: tuple[str, ...] = ()


def _read_units(client: Any) -> dict[str, _Unit]:
    """Return every root and unit by its ID; reads the tree level by level."""
    level = {one["Id"]: _Unit(ROOT) for one in pages(client, "list_roots", "Roots")}
    found = dict(level)

    def children(parent: str) -> list[Any]:
        operation = "list_organizational_units_for_parent"
        return pages(client, operation, "OrganizationalUnits", ParentId=parent)

    while level:
        level = {
            unit["Id"]: _Unit(unit["Name"], (*found[parent].ids, unit["Id"]))
            for parent, units in each(children, level)
            for unit in units
        }
        found |= level
    return found


def _read_parents(client: Any, units: Iterable[str]) -> dict[str, str]:
    """Return each account's parent, for accounts without a path."""

    def accounts(parent: str) -> list[Any]:
        return pages(client, "list_accounts_for_parent", "Accounts", ParentId=parent)

    return {one["Id"]: parent for parent, some in each(accounts, units) for one in some}


def _member(
    account: Mapping[str, Any], units: Mapping[str, _Unit], parents: Mapping[str, str]
) -> Member:
    paths = account.get("Paths") or []
    parent = units.get(parents.get(account["Id"], ""), _Unit(ROOT))
    ids = tuple(part for part in paths[0].split("/") if part in units) if paths else parent.ids
    in_units = tuple(one for one in ids if one.startswith("ou-"))
    names = [units[one].name for one in in_units]
    # AWS replaces `Status` with `State`.
    state = account.get("State") or account.get("Status") or "UNKNOWN"
    return Member(
        account["Id"], account.get("Name", ""), state, " / ".join(names) or ROOT, in_units
    )
