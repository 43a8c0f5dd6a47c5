"""Keys of the state table, and how long its items are kept."""

from datetime import datetime, timedelta

# Long enough for a yearly audit.
RUNS_KEPT_FOR = timedelta(days=400)

LOCK = {"pk": "LOCK", "sk": "LOCK"}
QUEUE = "QUEUE#"


def queued(name: str) -> dict[str, str]:
    """Return the key of the request that an execution queued."""
    return {"pk": LOCK["pk"], "sk": f"{QUEUE}{name}"}


def slots(operation: str) -> dict[str, str]:
    """Return the key of an operation's next free time slot."""
    return {"pk": "SLOTS", "sk": operation}


def account_state(account_id: str) -> dict[str, str]:
    """Return the key of an account's last known state."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": "STATE"}


def account_run(account_id: str, started_at: str, sync_id: str) -> dict[str, str]:
    """Return the key of one account in one run."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"RUN#{started_at}#{sync_id}"}


def run(started_at: str, sync_id: str) -> dict[str, str]:
    """Return the key of a run."""
    return {"pk": "RUN", "sk": f"{started_at}#{sync_id}"}


def run_index(sync_id: str, entry: str = "RUN") -> dict[str, str]:
    """Return the index keys of a run, or of an account in it (`<status>#<id>`)."""
    return {"gsi1pk": f"RUN#{sync_id}", "gsi1sk": entry}


def expires_at(started_at: str) -> int:
    """Return when the items of a run expire, in seconds since 1970."""
    return int((datetime.fromisoformat(started_at) + RUNS_KEPT_FOR).timestamp())
