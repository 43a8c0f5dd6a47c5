"""The report of a run: the one place that names its fields, in the run's item and the message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_reporter.outcome import RunCounts, RunOutcome


@dataclass(frozen=True)
class RunReport:
    """How a run ended, and what it did; times in seconds.

    `left_out` maps contact types to the reason, `skipped` reasons to the number of accounts,
    `named_skips` accounts to the reason. `missing` are configured types that the source
    lacks, `invalid` those whose contact violates the API's rules. `undoes` are the runs that an
    undo covers, latest first, `continues` the dead runs that a recovery continues.
    """

    sync_id: str
    started_at: str
    dry_run: bool
    trigger: Mapping[str, Any]
    reasons: Sequence[str]
    outcome: RunOutcome
    counts: RunCounts
    contact_types: Sequence[str] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()
    invalid: Sequence[str] = ()
    warnings: Sequence[str] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    named_skips: Mapping[str, str] = field(default_factory=dict)
    seconds: int | None = None
    estimated_seconds: int | None = None
    most_seconds: int | None = None
    lost_children: int = 0
    superseded_by: str | None = None
    undoes: Sequence[str] = ()
    continues: Sequence[str] = ()

    def item(self) -> dict[str, Any]:
        """Return the attributes of the run's item that the end of a run sets."""
        return {
            "dry_run": self.dry_run,
            "trigger": dict(self.trigger),
            "status": self.outcome.status.value,
            "error": self.outcome.error,
            "cause": self.outcome.cause,
            "warnings": list(self.warnings),
            "accounts": _plain(self.counts.accounts),
            "types": {str(name): _plain(counts) for name, counts in self.counts.types.items()},
            "sets": {
                str(name): {which: _plain(counts) for which, counts in some.items()}
                for name, some in self.counts.differing_sets.items()
            },
            "skipped": dict(self.skipped),
            "named_skips": dict(self.named_skips),
            "drifted": self.counts.drifted.count,
            "drifts": [
                {"account_id": one.account_id, "contact_types": one.drifted}
                for one in self.counts.drifted.first
            ],
            "failed": self.counts.failed,
            "failures": [
                {"account_id": one.account_id, "errors": one.errors} for one in self.counts.failures
            ],
            "seconds": self.seconds,
            "estimated_seconds": self.estimated_seconds,
            "most_seconds": self.most_seconds,
            "lost_children": self.lost_children,
            "superseded_by": self.superseded_by,
        }


def _plain(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(name): count for name, count in counts.items()}
