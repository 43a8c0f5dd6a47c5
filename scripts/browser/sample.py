"""Generates an organization of any size with a month of runs, as in the state table."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from operate.report.content import About, Report
from operate.report.organization import Member, Organization
from operate.report.runs import Links, listed_runs, run_of
from operate.report.state import Knowledge, account_states

Json = dict[str, Any]

# Days before the newest run.
LEFT_DAYS_AGO, CHANGE_DAYS_AGO, RETRY_DAYS_AGO = 2, 12, 5
CONTESTED_RUNS, RETRIED = 3, 3
SECURITY: tuple[str, ...] = ("security",)
OPERATIONS: tuple[str, ...] = ("operations",)
DRIFTS = (SECURITY, SECURITY, SECURITY, ("billing",), ("billing", "operations", "security"))
NOW = datetime(2026, 11, 27, 8, 12, tzinfo=UTC)
DAYS = 30
MANAGER = "999999999999"
FIRST_MEMBER = 100_000_000_001
TYPES = ("primary", "billing", "operations", "security")
SET = "1:0f"
LEFT = "200000000001"
STATUSES = {"AccessDeniedError": "failed", "ContestedError": "contested"}
UNITS = {
    "ou-exam-workload": "Workloads",
    "ou-exam-payments": "Payments",
    "ou-exam-platform": "Platform",
    "ou-exam-sandboxs": "Sandboxes",
}
TEAMS = ("payments", "ledger", "search", "media", "identity", "data-lake", "checkout", "mobile")
STAGES = ("prod", "staging", "dev", "test")
CONSOLE = "https://console.aws.amazon.com"
MACHINE = "arn:aws:states:us-east-1:999999999999:execution:aws-contact-sync-prod-contact-sync"


@dataclass
class _Run:
    """A run of the sample: the accounts that it compares, and its changes and failures.

    `changed` maps accounts to the contact types written, `failed` to the security contact's error.
    """

    number: int
    at: datetime
    trigger: Json
    accounts: list[str]
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    is_change: bool = False

    @property
    def name(self) -> str:
        return f"{self.number:08x}-7e57-4c0d-8000-{self.number:012x}"

    @property
    def planned_at(self) -> str:
        return (self.at + timedelta(seconds=6)).isoformat(timespec="microseconds")

    @property
    def recorded_at(self) -> str:
        return (self.at + timedelta(minutes=4)).isoformat(timespec="microseconds")

    def record(self, account_id: str, name: str) -> Json:
        """Return the run's record of a contact; the whole sample derives from these records."""
        is_written = name in self.changed.get(account_id, ())
        error = self.failed.get(account_id) if name == "security" else None
        record = {
            "status": STATUSES[error] if error else "updated" if is_written else "unchanged",
            "error": error,
            "at": self.recorded_at,
            "sync_id": self.name,
            "planned_at": self.planned_at,
            "drifted": True if is_written and not self.is_change else None,
        }
        return {key: value for key, value in record.items() if value is not None}


def sample_report(accounts: int, names: dict[str, str] | None = None) -> Report:
    """Return the report of an organization with this many members; `names` replaces some names."""
    rng = random.Random(7)  # noqa: S311 - repeatable, not for security
    ids = [str(FIRST_MEMBER + number) for number in range(accounts)]
    members = [*_members(ids, names or {}, rng), Member(MANAGER, "management", "ACTIVE")]
    excluded = ids[7 :: max(60, accounts // 40)]
    suspended = [one.id for one in members if one.state == "SUSPENDED"]
    active = [one for one in ids if one not in {*excluded, *suspended}]
    new = set(rng.sample(active[20:], min(2, len(active[20:]))))  # since the newest run
    runs = _runs(ids, [one for one in active if one not in new], rng)
    skipped = {"excluded": len(excluded), "SUSPENDED": len(suspended)}
    organization = Organization("o-exampleorg1", MANAGER, members)
    configuration = {"contact_types": list(TYPES), "excluded_accounts": excluded}
    items = [_run_item(run, skipped) for run in runs]
    knowledge = Knowledge(organization, configuration, items)
    states = account_states(knowledge, _states(runs))
    first_day = (NOW - timedelta(days=DAYS - 1)).date()
    about = About(
        environment="prod",
        stack="aws-contact-sync-prod",
        region="us-east-1",
        management_account_id=MANAGER,
        organization_id="o-exampleorg1",
        generated_at=NOW.isoformat(timespec="seconds"),
        first_day=first_day,
        last_day=NOW.date(),
        contact_types=TYPES,
        accounts_url=f"{CONSOLE}/organizations/v2/home/accounts/",
        dashboard_url=f"{CONSOLE}/cloudwatch/home?region=us-east-1#dashboards:name=prod",
    )
    since, by_id = first_day.isoformat(), {one.id: one for one in states}
    in_runs = {run.name: _in_run(run) if run.at.isoformat() >= since else () for run in runs}
    listed = [
        run_of(item, in_runs[item["sync_id"]], _links(item["sync_id"]), by_id, "prod")
        for item in listed_runs(items, since, states)
    ]
    return Report(about, states, listed)


def _members(ids: list[str], names: dict[str, str], rng: random.Random) -> Iterator[Member]:
    units = list(UNITS)
    for number, account_id in enumerate(ids):
        some = tuple(units[: rng.randint(1, 3)]) if rng.random() < 0.7 else (units[3],)
        name = f"{TEAMS[number % 8]}-{STAGES[number // 8 % 4]}-{number // 32 + 1:03}"
        state = "SUSPENDED" if number % 50 == 19 else "ACTIVE"
        unit = " / ".join(UNITS[one] for one in some)
        yield Member(account_id, names.get(account_id, name), state, unit, some)


def _runs(ids: list[str], compared: list[str], rng: random.Random) -> list[_Run]:
    """Return the first run, a run every night, a contact change, and a retry.

    One account leaves two nights before the newest run.
    """
    denied, failing, contested = ids[3:6], ids[11], ids[12]
    steady = [one for one in compared if one not in {*denied, failing, contested}]
    accounts = [*compared, LEFT]
    first = NOW - timedelta(days=DAYS + 10)
    runs = [_Run(1, first, {"source": "by_hand"}, accounts, dict.fromkeys(accounts, TYPES))]
    runs[0].is_change = True
    for day in range(DAYS - 1, -1, -1):
        at = (NOW - timedelta(days=day)).replace(hour=3, minute=2 + day % 11)
        event = f"5c4ed01e-0000-4000-8000-{day:012d}"
        trigger = {"source": "schedule", "event_name": "Scheduled", "event_id": event}
        accounts = [*compared, LEFT] if day >= LEFT_DAYS_AGO else compared
        count = min(len(ids) // 8, rng.choice((0, 0, 0, 1, 2, 3, 5, 9)))
        drifted = {one: rng.choice(DRIFTS) for one in rng.sample(steady, count)}
        if day < CONTESTED_RUNS:
            drifted[contested] = SECURITY
        if day in (0, CHANGE_DAYS_AGO):
            drifted[steady[0]] = SECURITY
        night = _Run(len(runs) + 1, at, trigger, accounts, drifted)
        runs.append(night)
        if day == CHANGE_DAYS_AGO:
            runs.append(_change(len(runs) + 1, at + timedelta(hours=9), accounts))
        if day == RETRY_DAYS_AGO:
            night.failed = dict.fromkeys(denied, "AccessDeniedError")
            found = dict.fromkeys(denied, SECURITY)
            later, by_hand = at + timedelta(hours=5), {"source": "by_hand"}
            runs.append(_Run(len(runs) + 1, later, by_hand, denied, found))
    runs[-1].failed = {failing: "AccessDeniedError", contested: "ContestedError"}
    return runs


def _change(number: int, at: datetime, accounts: list[str]) -> _Run:
    trigger = {
        "source": "contact_changed",
        "event_name": "PutAlternateContact",
        "event_id": "c0ffee00-0000-4000-8000-000000000012",
    }
    changed = dict.fromkeys(accounts, OPERATIONS)
    return _Run(number, at, trigger, accounts, changed, is_change=True)


def _run_item(run: _Run, skipped: dict[str, int]) -> Json:
    updated, total = len(run.changed.keys() - run.failed.keys()), len(run.accounts)
    counts = {
        "updated": updated,
        "unchanged": total - updated - len(run.failed),
        "failed": len(run.failed),
    }
    event_ids = [run.trigger["event_id"]] if "event_id" in run.trigger else []
    return {
        "pk": "RUN",
        "sync_id": run.name,
        "started_at": run.at.isoformat(),
        "planned_at": run.planned_at,
        "ended_at": run.recorded_at,
        "trigger": run.trigger,
        "request": {"is_change": run.is_change, "event_ids": event_ids},
        "status": "partial" if run.failed else "success",
        "error": "PartialSyncError" if run.failed else None,
        "cause": f"security failed in {len(run.failed)} of {total} accounts." if run.failed else "",
        "accounts": counts,
        "failed": len(run.failed),
        "skipped": skipped if total > RETRIED else {},
        "drifted": 0 if run.is_change else len(run.changed),
        "source": dict.fromkeys(TYPES, SET),
    }


def _in_run(run: _Run) -> Iterator[Json]:
    for account_id in run.changed.keys() | run.failed.keys():
        records = {name: run.record(account_id, name) for name in TYPES}
        statuses = {name: record["status"] for name, record in records.items()}
        errors = {name: record["error"] for name, record in records.items() if "error" in record}
        yield {"pk": f"ACCOUNT#{account_id}", **records, "statuses": statuses, "errors": errors}


def _states(runs: list[_Run]) -> Iterator[Json]:
    """Yield the final item of every account that a run compared."""
    items: dict[str, Json] = {}
    for run in runs:
        for account_id in run.accounts:
            item = items.setdefault(account_id, {"pk": f"ACCOUNT#{account_id}", "sk": "STATE"})
            for name in TYPES:
                item[name] = record = run.record(account_id, name)
                if name in run.changed.get(account_id, ()):
                    item[f"{name}_written"] = {"at": record["at"], "planned_at": run.planned_at}
                if record["status"] == "updated":
                    item[f"{name}_in_sync_since"] = record["at"]
                if "error" not in record:
                    item[f"{name}_in_sync_at"] = record["at"]
    last = next(run for run in reversed(runs) if LEFT in run.accounts)
    items[LEFT]["left_at"] = last.recorded_at
    yield from items.values()


def _links(name: str) -> Links:
    states = f"{CONSOLE}/states/home?region=us-east-1"
    map_run = MACHINE.replace(":execution:", ":mapRun:") + f"/SyncAccounts:{name}"
    return Links(f"{states}#/v2/executions/details/{MACHINE}:{name}", f"{states}#/{map_run}")
