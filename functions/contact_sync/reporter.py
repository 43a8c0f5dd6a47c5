"""The end of each round and of the run: count, record, and say it in words."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contact_sync import keys
from contact_sync.account_states import AccountStatesTable
from contact_sync.contacts import ContactType, source_digests
from contact_sync.message import body, subject, totals
from contact_sync.metrics import Metric, emit
from contact_sync.outcome import (
    MOST_NAMED_FAILURES,
    AccountResult,
    RoundSummary,
    RunOutcome,
    RunStatus,
    account_result,
    record_of,
    run_outcome,
)
from contact_sync.reconcile import Status
from contact_sync.runs_bucket import RunsBucket
from contact_sync.runs_table import RunsTable

ABORTED = "ABORTED"
# What a child tells of its account; one that failed leaves its whole record instead.
DIGITS = (0, 1, 2, 3)
# What keeps a round, as it is stored, from comparing every account and configured type.
NARROWING = {"account_ids", "organizational_units", "contact_types", "only_if_changed"}
MOST_CAUSE_ACCOUNTS = 5
MOST_CAUSE_CHARACTERS = 2_000


@dataclass(frozen=True)
class Round:
    """One round as the state machine ended it; `error` is what stopped it, if anything did.

    The keys are None where the round ended before that object was stored, `planned_at` and
    `estimated_seconds` where it ended before the plan and the manifest were made.
    """

    sync_id: str
    started_at: str
    number: int
    dry_run: bool
    contact_types: Sequence[ContactType]
    skipped_types: Mapping[str, str]
    left_alone: Mapping[str, int]
    planned_at: str | None
    estimated_seconds: int | None
    key_replaced: bool
    manifest_key: str | None
    source_key: str | None
    scope_key: str | None
    digest_key_id: str | None
    digits: Sequence[Any]
    error: str | None


@dataclass(frozen=True)
class Ending:
    """How the state machine says a run ended; without an error its accounts decide.

    `notification` is None where the configuration was not read; then every failure is published.
    """

    sync_id: str
    started_at: str
    error: str | None
    cause: str
    notification: Mapping[str, Any] | None


@dataclass(frozen=True)
class Reporter:
    """Reads what the accounts' children left, and writes what the run did."""

    states: AccountStatesTable
    runs: RunsTable
    bucket: RunsBucket

    def record_round(self, this: Round) -> Mapping[str, int]:
        """Count the round, record it, and delete its source; return the accounts by status.

        Safe to repeat: that the round is recorded is written last but for the deletions.
        """
        run = self.runs.read(this.started_at, this.sync_id)
        recorded = run.get(f"round_{this.number}") or self._record(this, run)
        for key in (this.source_key, this.scope_key):
            if key:
                self.bucket.delete(key)
        accounts: Mapping[str, int] = recorded["accounts"]
        return accounts

    def _record(self, this: Round, run: Mapping[str, Any]) -> Mapping[str, Any]:
        account_ids = self.bucket.load_manifest(this.manifest_key) if this.manifest_key else []
        failed_before = set(self.runs.failed_accounts(this.sync_id)) if this.number > 1 else set()
        summary = RoundSummary()
        self.states.write_runs(self._count(this, account_ids, failed_before, summary))
        standing = failed_before.difference(account_ids)
        earlier = [one for one in run.get("failures", []) if one["account_id"] in standing]
        failures = [*earlier, *(_failure(result) for result in summary.failures)]
        is_complete = not this.error and not this.dry_run
        if this.source_key and is_complete and _covers_all_accounts(run["request"]):
            self._record_synced(this, this.source_key, summary)
        recorded = _described(this, summary, run["request"])
        values = {
            f"round_{this.number}": recorded,
            "failed": summary.accounts[Status.FAILED] + len(standing),
            "failures": failures[:MOST_NAMED_FAILURES],
        }
        self.runs.update(this.started_at, this.sync_id, values)
        return recorded

    def summarize_run(
        self, ending: Ending, environment: str, links: Mapping[str, str]
    ) -> dict[str, Any]:
        """Record how the run ended; return the message, and what the execution ends with."""
        run = {
            "sync_id": ending.sync_id,
            "started_at": ending.started_at,
            **self.runs.read(ending.started_at, ending.sync_id),
        }
        rounds = [
            run[f"round_{n}"] for n in range(1, run.get("round", 0) + 1) if f"round_{n}" in run
        ]
        outcome = _outcome(ending, run, rounds)
        ended_at = datetime.now(UTC)
        self.runs.update(
            ending.started_at,
            ending.sync_id,
            {
                **keys.run_index(ending.sync_id),
                "sync_id": ending.sync_id,
                "started_at": ending.started_at,
                "expires_at": keys.expires_at(ending.started_at),
                "status": outcome.status.value,
                "error": outcome.error,
                "ended_at": ended_at.isoformat(),
            },
        )
        if "ended_at" not in run:  # a recovery may summarize again what was summarized
            emit(_metrics(run, outcome, rounds, ended_at), ending.sync_id)
        return {
            "status": outcome.status.value,
            "error": outcome.error,
            "cause": outcome.cause,
            "notify": _is_published(outcome, ending.notification),
            "subject": subject(environment, run, outcome, rounds),
            "message": body(run, outcome, rounds, links),
        }

    def _count(
        self,
        this: Round,
        account_ids: Sequence[str],
        failed_before: set[str],
        summary: RoundSummary,
    ) -> Iterator[dict[str, Any]]:
        """Count every account into the summary; yield the items of those changed or failed."""
        items = self.states.read(account_ids, this.sync_id, this.started_at, dry_run=this.dry_run)
        for account_id, item in items:
            result = account_result(account_id, item, this.contact_types, this.sync_id, this.number)
            summary.add(result)
            is_news = result.status in (Status.UPDATED, Status.FAILED)
            if is_news or account_id in failed_before:
                yield _account_run(this, result, item)

    def _record_synced(self, this: Round, source_key: str, summary: RoundSummary) -> None:
        """Record the contact types for which no account failed: every account has them now."""
        source = self.bucket.load_source(source_key)
        digests = source_digests(source.contacts, source.digest_key)
        clean = {name: digests[name] for name in this.contact_types if summary.is_clean(name)}
        if clean and this.digest_key_id:
            at = datetime.now(UTC).isoformat()
            self.runs.record_synced(clean, this.digest_key_id, this.sync_id, at)


def _covers_all_accounts(request: Mapping[str, Any]) -> bool:
    """Tell it of a request as it is stored: what it does not limit is left out."""
    return not request.keys() & {"account_ids", "organizational_units"}


def _outcome(
    ending: Ending, run: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]
) -> RunOutcome:
    if ending.error == ABORTED:
        return RunOutcome(RunStatus.ABORTED, ending.error, "the execution was aborted")
    if ending.error:
        return RunOutcome(RunStatus.FAILURE, ending.error, _cause(ending.cause))
    threshold = (ending.notification or {}).get("failure_threshold", 1)
    outcome = run_outcome(
        rounds, run.get("failed", 0), threshold, dry_run=run.get("dry_run", False)
    )
    return RunOutcome(outcome.status, outcome.error, f"{outcome.cause}{_named(run)}".strip())


def _cause(cause: str) -> str:
    """Return the error's message; Lambda wraps it in JSON, with a stack trace."""
    try:
        content = json.loads(cause)
    except ValueError:
        content = None
    message = content.get("errorMessage") if isinstance(content, dict) else None
    return str(message or cause)[:MOST_CAUSE_CHARACTERS]


def _named(run: Mapping[str, Any]) -> str:
    named = [
        f"{failure['account_id']} ({', '.join(sorted(set(failure['errors'].values())))})"
        for failure in run.get("failures", [])[:MOST_CAUSE_ACCOUNTS]
    ]
    return f" Failed: {', '.join(named)}" if named else ""


def _is_published(outcome: RunOutcome, notification: Mapping[str, Any] | None) -> bool:
    if notification is None:
        return outcome.status is not RunStatus.SUCCESS
    wanted = {
        RunStatus.SUCCESS: "notify_on_success",
        RunStatus.PARTIAL: "notify_on_partial_failure",
    }.get(outcome.status, "notify_on_failure")
    return bool(notification[wanted])


def _described(this: Round, summary: RoundSummary, request: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "contact_types": [str(name) for name in this.contact_types],
        "skipped_types": dict(this.skipped_types),
        "left_alone": dict(this.left_alone),
        "estimated_seconds": this.estimated_seconds,
        "seconds": _seconds_since(this.planned_at),
        "key_replaced": this.key_replaced,
        "accounts": _plain(summary.accounts),
        "types": {str(name): _plain(counts) for name, counts in summary.types.items()},
        "compares_everything": not request.keys() & NARROWING,
        "only_if_changed": "only_if_changed" in request,
        "lost_children": sum(summary.accounts.values()) - sum(d in DIGITS for d in this.digits),
        "error": this.error,
    }


def _seconds_since(at: str | None) -> int | None:
    if at is None:
        return None
    return round((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())


def _metrics(
    run: Mapping[str, Any],
    outcome: RunOutcome,
    rounds: Sequence[Mapping[str, Any]],
    ended_at: datetime,
) -> dict[Metric, float]:
    """Return what the run did in numbers; a dry run has updated and confirmed nothing.

    What differs after a change of the source has not drifted.
    """
    drifted = totals(one for one in rounds if not one.get("only_if_changed"))
    values: dict[Metric, float] = {
        Metric.ACCOUNTS_FAILED: run.get("failed", 0),
        Metric.ACCOUNTS_DRIFTED: drifted.get(Status.UPDATED, 0),
    }
    if run.get("dry_run"):
        return values
    counts = totals(rounds)
    is_full = any(one.get("compares_everything") and not one["error"] for one in rounds)
    seconds = (ended_at - datetime.fromisoformat(run["started_at"])).total_seconds()
    return values | {
        Metric.ACCOUNTS_UPDATED: counts.get(Status.UPDATED, 0),
        Metric.ACCOUNTS_UNCHANGED: counts.get(Status.UNCHANGED, 0),
        Metric.FULL_RUNS: int(is_full and not outcome.error),
        Metric.RUN_SECONDS: seconds,
    }


def _plain(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(name): count for name, count in counts.items()}


def _failure(result: AccountResult) -> dict[str, Any]:
    errors = {str(name): error for name, error in result.errors.items()}
    return {"account_id": result.account_id, "errors": errors}


def _account_run(this: Round, result: AccountResult, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return one account in one run, with what its processors recorded (a dry run's own item)."""
    return {
        **{
            str(name): record
            for name in this.contact_types
            if (record := record_of(item, name, this.sync_id, this.number))
        },
        **keys.account_run(result.account_id, this.started_at, this.sync_id),
        **keys.run_index(this.sync_id, f"{result.status}#{result.account_id}"),
        "round": this.number,
        "dry_run": this.dry_run,
        "status": result.status.value,
        "statuses": {str(name): status.value for name, status in result.statuses.items()},
        "errors": {str(name): error for name, error in result.errors.items()},
        "expires_at": keys.expires_at(this.started_at),
    }
