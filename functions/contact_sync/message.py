"""The SNS message of a run: a subject under 100 characters, and a plain text to act on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contact_sync.errors import remedy_for
from contact_sync.outcome import RunOutcome

SUBJECT_LIMIT = 99
ORDER = ("updated", "deleted", "unchanged", "skipped", "failed", "not_accepted")


def subject(
    environment: str,
    run: Mapping[str, Any],
    outcome: RunOutcome,
    rounds: Iterable[Mapping[str, Any]],
) -> str:
    """Return for example `[prod] contact sync partial: 57 updated, 1 unchanged, 2 failed`.

    What failed in one round and was well in a later one has not failed.
    """
    standing = totals(rounds) | {"failed": run.get("failed", 0)}
    counts = counts_text(standing) or outcome.error or "nothing to do"
    return _one_line(f"[{environment}] contact sync {outcome.status}: {counts}")[:SUBJECT_LIMIT]


def body(
    run: Mapping[str, Any],
    outcome: RunOutcome,
    rounds: list[Mapping[str, Any]],
    links: Mapping[str, str],
) -> str:
    """Return the text: what started the run, what it did, what failed, and where to look."""
    parts = [
        _heading(run, outcome),
        *(_round_text(number, one) for number, one in enumerate(rounds, start=1)),
        _failures_text(run.get("failures", []), run.get("failed", 0)),
        "\n".join(f"{name}: {link}" for name, link in links.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def totals(rounds: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the accounts by status, summed over the rounds."""
    sums: dict[str, int] = {}
    for one in rounds:
        for status, count in one["accounts"].items():
            sums[status] = sums.get(status, 0) + count
    return sums


def counts_text(counts: Mapping[str, int]) -> str:
    """Return for example `57 updated, 2 failed`, in a fixed order, zeros left out."""
    return ", ".join(f"{counts[name]} {name}" for name in ORDER if counts.get(name))


def duration(seconds: int) -> str:
    """Return for example `1 h 5 min`: the two largest units."""
    minutes, hours = seconds // 60, seconds // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def _heading(run: Mapping[str, Any], outcome: RunOutcome) -> str:
    trigger = run.get("trigger", {})
    started_by = " ".join(
        _one_line(str(trigger[name])) for name in ("source", "event_name") if name in trigger
    )
    lines = [f"Status: {outcome.status}", f"Run: {run['sync_id']}"]
    if outcome.error:
        lines.append(f"Error: {outcome.error}: {_one_line(outcome.cause)}")
    if run.get("dry_run"):
        lines.append("Dry run: no account was written to; `updated` means it would have been.")
    lines.append(f"Started by: {started_by or 'unknown'}, {run['started_at']}")
    lines += [
        f"Reason: {_one_line(reason)}" for reason in run.get("request", {}).get("reasons", [])
    ]
    return "\n".join(lines)


def _round_text(number: int, one: Mapping[str, Any]) -> str:
    lines = [f"Round {number}: {counts_text(one['accounts']) or 'no account to sync'}"]
    lines += [f"  {name}: {counts_text(counts)}" for name, counts in one["types"].items()]
    lines += [f"  {name}: skipped, {why}" for name, why in one["skipped_types"].items()]
    lines += [f"  left alone, {why}: {count}" for why, count in one["left_alone"].items()]
    if one.get("estimated_seconds") is not None:
        took, estimated = duration(one["seconds"]), duration(one["estimated_seconds"])
        lines.append(f"  took {took}; the quotas allow for {estimated}")
    if one["lost_children"]:
        lines.append(f"  {one['lost_children']} children ended without telling of their account.")
    if one.get("key_replaced"):
        lines.append("  The digest key was replaced: nothing is known of what was synced before.")
    return "\n".join(lines)


def _failures_text(failures: Sequence[Mapping[str, Any]], failed: int) -> str:
    if not failures:
        return ""
    lines = ["Failed accounts:"]
    for failure in failures:
        what = ", ".join(f"{name}: {error}" for name, error in failure["errors"].items())
        lines.append(f"  {failure['account_id']}  {what}")
    if more := failed - len(failures):
        lines.append(f"  and {more} more; the state table's index has them all")
    names = dict.fromkeys(error for one in failures for error in one["errors"].values())
    lines.append("What to do:")
    lines += [f"  {name}: {remedy_for(name)}" for name in names]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """Return the text on one line, without control characters, which SNS refuses in a subject."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
