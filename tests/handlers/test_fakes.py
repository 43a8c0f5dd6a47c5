"""The unit tests' fakes behave like the state table."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from contact_sync.aws import keys
from contact_sync.aws.items import to_item
from contact_sync.aws.lock_table import LockTable
from contact_sync.aws.runs_table import RunsTable
from contact_sync.request import RunRequest
from support.builders import (
    EARLIER,
    EARLIER_PLAN,
    LATER_PLAN,
    MEMBER,
    NOW,
    PLANNED_AT,
    STARTED_AT,
    SYNC_ID,
    make_queued,
)
from support.fakes import FakeLock, FakeRuns
from support.moto_stack import STATE_TABLE, Cloud

RUNS = (SYNC_ID, "run-2")


def lock_steps(choose: random.Random) -> list[Callable[[Any], Any]]:
    """Draw operations on the lock; each returns a value to compare."""
    name = choose.choice(RUNS)
    plan = choose.choice([EARLIER_PLAN, PLANNED_AT, LATER_PLAN])
    later = NOW + timedelta(minutes=choose.randrange(3))
    queued = make_queued(name, RunRequest(is_change=True), queued_at=later)
    return [
        lambda lock: lock.take(name, later),
        lambda lock: lock.release(name),
        lambda lock: lock.release(name, later),
        lambda lock: lock.record_plan(name, plan, {"billing": plan}),
        lambda lock: lock.record_end(name, plan, {"security": plan}),
        lambda lock: lock.forget_pending(name),
        lambda lock: lock.queue(queued),
        lambda lock: lock.remove([name, "absent"]),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_the_fake_lock_behaves_like_the_table(seed: int, cloud: Cloud) -> None:
    choose = random.Random(seed)  # noqa: S311 - repeatable, not for security
    table, fake = LockTable(cloud.dynamodb, STATE_TABLE), FakeLock()
    if seed % 2:
        fake.item = {"pending": {"account_ids": [MEMBER]}}
        item = to_item({**keys.LOCK, **fake.item})
        cloud.dynamodb.put_item(TableName=STATE_TABLE, Item=item)
    for _ in range(40):
        step = choose.choice(lock_steps(choose))
        assert step(table) == step(fake)
        for look in (lambda lock: lock.read(), lambda lock: lock.queued()):
            assert look(table) == look(fake)
        assert table.has_queued() is fake.has_queued()


def test_the_fake_runs_behave_like_the_table(cloud: Cloud) -> None:
    table, fake = RunsTable(cloud.dynamodb, STATE_TABLE), FakeRuns()
    for runs in (table, fake):
        runs.update(STARTED_AT, SYNC_ID, {"taken": ["one"]})
        assert runs.record_end(STARTED_AT, SYNC_ID, {"ended_at": "then"})
        assert not runs.record_end(STARTED_AT, SYNC_ID, {"ended_at": "later"})
        assert runs.record_end(EARLIER, "run-2", {"status": "aborted"})
        assert runs.find("run-3") is None
        assert {} == runs.read(EARLIER, SYNC_ID)
    for sync_id in RUNS:
        found, expected = table.find(sync_id), fake.find(sync_id)
        assert expected == {name: (found or {})[name] for name in expected or {}}
