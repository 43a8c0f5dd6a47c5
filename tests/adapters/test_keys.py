"""Keys of the state table are those that the design names."""

from datetime import UTC, datetime

from contact_sync.aws import keys
from support.builders import MEMBER, STARTED_AT, SYNC_ID


def test_keys_are_those_of_the_design() -> None:
    assert {"pk": "LOCK", "sk": "LOCK"} == keys.LOCK
    assert {"pk": "LOCK", "sk": "QUEUE#run-1"} == keys.queued(SYNC_ID)
    assert {"pk": f"ACCOUNT#{MEMBER}", "sk": "STATE"} == keys.account_state(MEMBER)
    assert keys.account_run(MEMBER, STARTED_AT, SYNC_ID) == {
        "pk": f"ACCOUNT#{MEMBER}",
        "sk": f"RUN#{STARTED_AT}#{SYNC_ID}",
    }
    assert {"pk": "RUN", "sk": f"{STARTED_AT}#{SYNC_ID}"} == keys.run(STARTED_AT, SYNC_ID)
    assert {"gsi1pk": "RUN#run-1", "gsi1sk": "RUN"} == keys.run_index(SYNC_ID)
    assert {"gsi1pk": "RUN#run-1", "gsi1sk": "failed#1"} == keys.run_index(SYNC_ID, "failed#1")


def test_a_run_is_kept_for_400_days() -> None:
    expires = datetime.fromtimestamp(keys.expires_at("2026-01-05T10:00:00.000Z"), UTC)
    assert datetime(2027, 2, 9, 10, tzinfo=UTC) == expires
