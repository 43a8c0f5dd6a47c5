"""A generated organization of any size with a month of runs, as the state table would hold them."""

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

NOW = datetime(2026, 11, 27, 8, 12, tzinfo=UTC)
DAYS = 30
MANAGER = "999999999999"
FIRST_MEMBER = 100_000_000_001
TYPES = ("primary", "billing", "operations", "security")
SET = "1:0f"
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
    """A run of the sample: what it does to which accounts."""

    number: int
    at: datetime
    trigger: Json
    status: str = "success"
    drifted: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    is_change: bool = False
    account_ids: list[str] | None = None

    @property
    def name(self) -> str:
        return f"{self.number:08x}-7e57-4c0d-8000-{self.number:012x}"

    @property
    def planned_at(self) -> str:
        return (self.at + timedelta(seconds=6)).isoformat(timespec="microseconds")

    @property
    def recorded_at(self) -> str:
        return (self.at + timedelta(minutes=4)).isoformat(timespec="microseconds")


def sample_report(accounts: int, names: dict[str, str] | None = None) -> Report:
    """Return the report of an organization with so many members; `names` replaces some names."""
    rng = random.Random(7)  # noqa: S311 - to be repeatable, not secret
    ids = [str(FIRST_MEMBER + number) for number in range(accounts)]
    members = [*_members(ids, names or {}, rng), Member(MANAGER, "management", "ACTIVE")]
    runs = _runs(ids, rng)
    excluded = ids[7 :: max(60, accounts // 40)]
    organization = Organization("o-exampleorg1", MANAGER, members)
    configuration = {"contact_types": list(TYPES), "excluded_accounts": excluded}
    items = [_run_item(run, accounts) for run in runs]
    knowledge = Knowledge(organization, configuration, items)
    states = account_states(knowledge, _states(ids, runs, rng))
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


def _runs(ids: list[str], rng: random.Random) -> list[_Run]:
    """Return the first run, a run every night, a change of a contact, and a retry."""
    first = NOW - timedelta(days=DAYS + 10)
    runs = [_Run(1, first, {"source": "by_hand"}, drifted=ids, is_change=True)]
    for day in range(DAYS - 1, -1, -1):
        at = (NOW - timedelta(days=day)).replace(hour=3, minute=2 + day % 11)
        event = f"5c4ed01e-0000-4000-8000-{day:012d}"
        trigger = {"source": "schedule", "event_name": "Scheduled", "event_id": event}
        drifted = rng.sample(ids, min(len(ids) // 8, rng.choice((0, 0, 0, 1, 2, 3, 5, 9))))
        runs.append(_Run(len(runs) + 1, at, trigger, drifted=drifted))
        if day == 12:
            runs.append(_change(len(runs) + 1, at + timedelta(hours=9), ids))
        if day == 5:
            denied = dict.fromkeys(ids[3:6], "AccessDeniedError")
            runs[-1].failed, runs[-1].status = denied, "partial"
            retry = {"source": "by_hand"}
            again = _Run(len(runs) + 1, at + timedelta(hours=5), retry, drifted=ids[3:6])
            again.account_ids, again.is_change = ids[3:6], True
            runs.append(again)
    runs[-1].failed = {ids[11]: "AccessDeniedError", ids[12]: "ContestedError"}
    runs[-1].status = "partial"
    return runs


def _change(number: int, at: datetime, ids: list[str]) -> _Run:
    trigger = {
        "source": "contact_changed",
        "event_name": "PutAlternateContact",
        "event_id": "c0ffee00-0000-4000-8000-000000000012",
    }
    return _Run(number, at, trigger, drifted=ids[: len(ids) // 2], is_change=True)


def _run_item(run: _Run, accounts: int) -> Json:
    changed = [one for one in run.drifted if one not in run.failed]
    total = len(run.account_ids) if run.account_ids else accounts
    counts = {
        "updated": len(changed),
        "unchanged": total - len(changed) - len(run.failed),
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
        "status": run.status,
        "error": "PartialSyncError" if run.failed else None,
        "cause": f"security failed in {len(run.failed)} of {total} accounts." if run.failed else "",
        "accounts": counts,
        "failed": len(run.failed),
        "skipped": {"excluded": 2, "SUSPENDED": 1},
        "source": dict.fromkeys(TYPES, SET),
    }


def _in_run(run: _Run) -> Iterator[Json]:
    for account_id in run.drifted:
        if account_id not in run.failed:
            types = TYPES if run.is_change else ("security",)
            yield {"pk": f"ACCOUNT#{account_id}", "statuses": dict.fromkeys(types, "updated")}
    for account_id, error in run.failed.items():
        yield {"pk": f"ACCOUNT#{account_id}", "statuses": {}, "errors": {"security": error}}


def _states(ids: list[str], runs: list[_Run], rng: random.Random) -> Iterator[Json]:
    newest = runs[-1]
    changes = {account_id: run for run in runs for account_id in run.drifted}
    new = set(rng.sample(ids[20:], min(2, len(ids[20:]))))
    for account_id in ids:
        if account_id in new:
            continue
        item: Json = {"pk": f"ACCOUNT#{account_id}", "sk": "STATE"}
        for name in TYPES:
            changed = changes[account_id]
            changed = changed if changed.is_change or name == "security" else runs[0]
            status = "updated" if changed is newest else "unchanged"
            item |= {
                name: _record(newest, status),
                f"{name}_written": {"at": changed.recorded_at, "planned_at": changed.planned_at},
                f"{name}_in_sync_at": newest.recorded_at,
                f"{name}_in_sync_since": changed.recorded_at,
            }
        if error := newest.failed.get(account_id):
            status = "contested" if error == "ContestedError" else "failed"
            item["security"] = {**_record(newest, status), "error": error}
            item["security_in_sync_at"] = runs[-2].recorded_at
        yield item
    yield {"pk": "ACCOUNT#200000000001", "sk": "STATE", "left_at": runs[-3].recorded_at}


def _record(run: _Run, status: str) -> Json:
    return {
        "status": status,
        "at": run.recorded_at,
        "sync_id": run.name,
        "planned_at": run.planned_at,
    }


def _links(name: str) -> Links:
    states = f"{CONSOLE}/states/home?region=us-east-1"
    map_run = MACHINE.replace(":execution:", ":mapRun:") + f"/SyncAccounts:{name}"
    return Links(f"{states}#/v2/executions/details/{MACHINE}:{name}", f"{states}#/{map_run}")
