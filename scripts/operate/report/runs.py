"""The latest runs: what started each, what it did, what failed, and what had drifted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from contact_sync.comparison import CHANGED, Status
from contact_sync.errors import command_after, error_class

from operate.report.state import AccountState, mapping

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Changed:
    """An account that a run changed, would change, or found drifted, and the contact types."""

    account_id: str
    types: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A contact that failed in a run, and its current state.

    `now` is the current state, for the reason `why`; `tried_at` is None if no later run compared
    it. `since` is the time since when it is in sync, `changed_by` the run that wrote it last.
    """

    account_id: str
    type: str
    error: str
    now: str
    why: str = ""
    tried_at: str | None = None
    tried_by: str | None = None
    since: str | None = None
    changed_by: str | None = None


@dataclass(frozen=True)
class Run:
    """One run; times in ISO 8601, `status` "in progress" until it ends.

    `accounts` counts the accounts by status. `drifted` counts the drifted accounts; `drifts` lists
    them with the contact types.
    """

    name: str
    started_at: str
    ended_at: str | None
    status: str
    dry_run: bool
    trigger: str
    event_name: str | None
    event_ids: tuple[str, ...]
    reasons: tuple[str, ...]
    accounts: Mapping[str, int]
    skipped: Mapping[str, int]
    drifted: int
    undoes: tuple[str, ...]
    error: str | None
    cause: str
    remedy: str
    command: str
    warnings: tuple[str, ...]
    execution_url: str
    map_run_url: str | None
    changed: tuple[Changed, ...] = ()
    drifts: tuple[Changed, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """The number of accounts by result, in words; without zeros."""
        words = {
            (False, False): "updated",
            (False, True): "would change",
            (True, False): "put back",
            (True, True): "would be put back",
        }
        updated = words[bool(self.undoes), self.dry_run]
        return {updated if name == "updated" else name: n for name, n in self.accounts.items() if n}


@dataclass(frozen=True)
class Links:
    """Console URLs of a run."""

    execution: str
    map_run: str | None = None


def listed_runs(
    items: Iterable[Json], since: str, accounts: Iterable[AccountState] = ()
) -> list[Json]:
    """Return the items of the runs that the report lists, newest first.

    These are the runs since then, and earlier ones that made the last change of a contact.
    Executions that only queued a request are not runs.
    """
    named = {contact.changed_by for account in accounts for contact in account.contacts}
    runs = [
        one
        for one in items
        if one.get("status") or one.get("planned_at")
        if one["started_at"] >= since or one["sync_id"] in named
    ]
    return sorted(runs, key=lambda one: str(one["started_at"]), reverse=True)


def run_of(
    item: Json,
    accounts_in_run: Iterable[Json],
    links: Links,
    now: Mapping[str, AccountState],
    environment: str,
) -> Run:
    """Return a run; `accounts_in_run` are the items of accounts that it changed or failed."""
    trigger, request = mapping(item.get("trigger")), mapping(item.get("request"))
    event_ids = [trigger.get("event_id"), *request.get("event_ids", [])]
    some = sorted(accounts_in_run, key=lambda one: str(one["pk"]))
    error = item.get("error")
    source = str(trigger.get("source", "unknown"))
    return Run(
        name=item["sync_id"],
        started_at=item["started_at"],
        ended_at=item.get("ended_at"),
        status=item.get("status") or "in progress",
        dry_run=bool(item.get("dry_run")),
        trigger=source.replace("_", " "),
        event_name=trigger.get("event_name"),
        event_ids=tuple(dict.fromkeys(one for one in event_ids if one)),
        reasons=tuple(request.get("reasons", [])),
        accounts=item.get("accounts", {}),
        skipped=item.get("skipped", {}),
        drifted=_drifted(item),
        undoes=tuple(item.get("undoes", [])),
        error=error,
        cause=item.get("cause") or "",
        remedy=error_class(error).remedy if error else "",
        command=_command(item, environment),
        warnings=tuple(item.get("warnings", [])),
        execution_url=links.execution,
        map_run_url=links.map_run,
        changed=tuple(_changed(some)),
        drifts=tuple(_drifts(item, some)),
        failures=tuple(_failures(item["sync_id"], some, now)),
    )


def drift_by_day(runs: Sequence[Run], first: date, last: date) -> list[tuple[str, int]]:
    """Return how many drifted accounts each day's runs found.

    What a dry run finds, the next run finds again: it counts on days on which it found more.
    """
    found, would_find = Counter[str](), Counter[str]()
    for run in runs:
        day = run.started_at[:10]
        if run.dry_run:
            would_find[day] = max(would_find[day], run.drifted)
        else:
            found[day] += run.drifted
    found |= would_find
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [(day.isoformat(), found[day.isoformat()]) for day in days]


def _drifted(item: Json) -> int:
    if isinstance(item.get("drifted"), int):
        return int(item["drifted"])
    # Older releases do not record drift; an update after a change of the source is not drift.
    is_change = bool(mapping(item.get("request")).get("is_change"))
    return 0 if is_change else int(item.get("accounts", {}).get(Status.UPDATED, 0))


def _command(item: Json, environment: str) -> str:
    """Return the command that repeats or corrects what failed."""
    error = item.get("error")
    if not (error or item.get("failed")):
        return ""
    dry_run = bool(item.get("dry_run"))
    return command_after(error, environment, item["sync_id"], dry_run=dry_run)


def _changed(items: Iterable[Json]) -> Iterable[Changed]:
    for item in items:
        types = [name for name, status in item.get("statuses", {}).items() if status in CHANGED]
        if types:
            yield Changed(_account_id(item), tuple(types))


def _drifts(item: Json, items: Iterable[Json]) -> Iterable[Changed]:
    if not isinstance(item.get("drifted"), int):
        yield from _changed(items) if _drifted(item) else ()
        return
    # The index has no account that drifted and was skipped; the run's item has the first ones.
    found = {one["account_id"]: tuple(one["contact_types"]) for one in item.get("drifts", [])}
    for one in items:
        records = {name: mapping(one.get(name)) for name in one.get("statuses", {})}
        types = tuple(name for name, record in records.items() if record.get("drifted"))
        if types:
            found[_account_id(one)] = types
    yield from (Changed(*one) for one in sorted(found.items()))


def _failures(
    name: str, items: Iterable[Json], now: Mapping[str, AccountState]
) -> Iterable[Failure]:
    for item in items:
        account_id = _account_id(item)
        account = now.get(account_id)
        for contact_type, error in item.get("errors", {}).items():
            contact = account.contact(contact_type) if account else None
            if contact is None:
                yield Failure(account_id, contact_type, error, "no longer synchronized")
            elif contact.attempted_by == name or not contact.attempted_at:
                yield Failure(account_id, contact_type, error, contact.state)
            else:
                yield Failure(
                    account_id,
                    contact_type,
                    error,
                    contact.state,
                    contact.why,
                    contact.attempted_at,
                    contact.attempted_by,
                    contact.in_sync_since,
                    contact.changed_by,
                )


def moment(at: str | None) -> str:
    """Return a time as the report shows it: `2026-11-20 03:04`, in UTC."""
    return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M") if at else ""


def _account_id(item: Json) -> str:
    return str(item["pk"]).removeprefix("ACCOUNT#")
