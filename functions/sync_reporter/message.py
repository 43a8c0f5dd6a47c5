"""The SNS message of a run: a subject under 100 characters, and plain text to act on."""

from collections.abc import Iterable, Mapping

from contact_sync.contact_sets import OWN
from contact_sync.errors import command_after, error_class
from contact_sync.estimate import duration, expected

from sync_reporter.report import RunReport

SUBJECT_LIMIT = 99
ORDER = ("updated", "deleted", "unchanged", "skipped", "failed", "contested", OWN)
WORDS = {OWN: "kept"}
WOULD_CHANGE = {"updated": "would change", "deleted": "would be deleted"}
PUT_BACK = {"updated": "put back"}
WOULD_PUT_BACK = {"updated": "would be put back", "deleted": "would be deleted"}


def subject(environment: str, report: RunReport) -> str:
    """Return for example `[prod] contact sync partial: 57 updated, 1 unchanged, 2 failed`."""
    outcome = report.outcome
    counts = _counts(report.counts.accounts, report) or outcome.error or "nothing to do"
    what = "undo of a contact sync" if report.undoes else "contact sync"
    title = f"[{environment}] {what} {outcome.status}: {counts}"
    return _one_line(f"DRY RUN {title}" if report.dry_run else title)[:SUBJECT_LIMIT]


def body(environment: str, report: RunReport, links: Mapping[str, str]) -> str:
    """Return the text: what started the run, what it did, what failed, and what to type next."""
    parts = [
        _heading(environment, report),
        "\n".join(_result(report)),
        _section("Warnings:", [_one_line(warning) for warning in report.warnings]),
        _section("Accounts that would change:", _would_change(report)),
        _section("Drifted accounts:", _drifted(report)),
        _section("Not put back:", _not_put_back(report)),
        _overwritten(environment, report),
        _failures(report),
        "\n".join(f"{name}: {link}" for name, link in links.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def next_command(environment: str, report: RunReport) -> str | None:
    """Return the command that retries or corrects what failed, None if nothing did."""
    if not (report.outcome.error or report.counts.failed):
        return None
    error, name = report.outcome.error, report.sync_id
    return command_after(error, environment, name, dry_run=report.dry_run)


def _heading(environment: str, report: RunReport) -> str:
    outcome = report.outcome
    lines = [f"Status: {outcome.status}", f"Run: {report.sync_id}"]
    if outcome.error:
        lines.append(f"Error: {outcome.error}: {_one_line(outcome.cause)}")
    if report.undoes:
        lines.append(f"Undoes: {_runs(report.undoes)}")
    if report.continues:
        lines.append(f"Continues: {_runs(report.continues)}, which did not finish")
    if report.superseded_by:
        lines.append(f"Superseded by: {report.superseded_by}")
    if command := next_command(environment, report):
        lines.append(f"Next: {command}")
    if report.dry_run:
        lines.append("Dry run: no account was written.")
    lines.append(f"Trigger: {_trigger(report.trigger)}, {report.started_at}")
    lines += [f"Reason: {_one_line(reason)}" for reason in report.reasons]
    return "\n".join(lines)


def _trigger(trigger: Mapping[str, object]) -> str:
    source = str(trigger.get("source", "unknown")).replace("_", " ")
    event = f" ({trigger['event_name']})" if "event_name" in trigger else ""
    return _one_line(source + event)


def _result(report: RunReport) -> Iterable[str]:
    yield f"Accounts: {_counts(report.counts.accounts, report) or 'none to sync'}"
    for name, counts in report.counts.types.items():
        yield f"  {name}: {_counts(counts, report)}"
        for which, some in report.counts.differing_sets.get(name, {}).items():
            yield f"    {which}: {_counts(some, report)}"
    for left_out, why in report.left_out.items():
        yield f"  {left_out}: left out, {why}"
    for missing in report.missing:
        if missing not in report.left_out:
            yield f"  {missing}: not set in the management account"
    for why, count in report.skipped.items():
        yield f"  skipped, {why}: {count}"
    for account_id, why in report.named_skips.items():
        yield f"  skipped: {account_id}, {why}"
    if report.seconds is not None and report.estimated_seconds is not None:
        wanted = expected(report.estimated_seconds, report.most_seconds or 0)
        yield f"  took {duration(report.seconds)}; expected {wanted} under the API's quotas"
    if report.lost_children:
        yield f"  {report.lost_children} child executions ended without a result"


def _would_change(report: RunReport) -> list[str]:
    if not report.dry_run:
        return []
    lines = [f"{one.account_id}  {', '.join(one.changed)}" for one in report.counts.changed]
    return lines + _more(report.counts.changes - len(lines))


def _drifted(report: RunReport) -> list[str]:
    drifted = report.counts.drifted
    lines = [f"{one.account_id}  {', '.join(one.drifted)}" for one in drifted.first]
    return lines + _more(drifted.count - len(lines))


def _not_put_back(report: RunReport) -> list[str]:
    if not report.undoes:
        return []
    lines = [
        f"{one.account_id}  {', '.join(f'{name}: {why}' for name, why in one.skips.items())}"
        for one in report.counts.partly_skipped.first
    ]
    # The index has only accounts that were changed or failed.
    return lines + _more(report.counts.partly_skipped.count - len(lines), "")


def _overwritten(environment: str, report: RunReport) -> str:
    """Name the accounts that the next run overwrites, and say how to prevent it."""
    if not report.undoes:
        return ""
    overwritten = report.counts.overwritten
    lines = sorted(f"{one.account_id}  {', '.join(one.overwritten)}" for one in overwritten.first)
    title = "The next contact change or full run overwrites these:"
    section = _section(title, lines + _more(overwritten.count - len(lines)))
    if not section:
        return ""
    return (
        f"{section}\n  To prevent this, correct the source or the override, exclude the account "
        f"(bash scripts/config.sh exclude --environment {environment} ACCOUNT), or give it an "
        "override with the value own."
    )


def _runs(sync_ids: Iterable[str]) -> str:
    return ", ".join(f"run {one}" for one in sync_ids)


def _failures(report: RunReport) -> str:
    failures = report.counts.failures
    lines = [
        f"{one.account_id}  {', '.join(f'{name}: {error}' for name, error in one.errors.items())}"
        for one in failures
    ]
    names = dict.fromkeys(error for one in failures for error in one.errors.values())
    remedies = [f"{name}: {error_class(name).remedy}" for name in names]
    parts = [
        _section("Failed accounts:", lines + _more(report.counts.failed - len(failures))),
        _section("What to do:", remedies),
    ]
    return "\n".join(part for part in parts if part)


def _more(count: int, where: str = "; the state table's index lists all") -> list[str]:
    return [f"and {count} more{where}"] if count > 0 else []


def _section(title: str, lines: Iterable[str]) -> str:
    shown = [f"  {line}" for line in lines]
    return "\n".join([title, *shown]) if shown else ""


def _counts(counts: Mapping[str, int], report: RunReport) -> str:
    """Return for example `57 updated, 2 failed`, in a fixed order, without zeros."""
    words = WORDS
    if report.undoes:
        words = WORDS | (WOULD_PUT_BACK if report.dry_run else PUT_BACK)
    elif report.dry_run:
        words = WORDS | WOULD_CHANGE
    return ", ".join(
        f"{counts[name]} {words.get(name, name)}" for name in ORDER if counts.get(name)
    )


def _one_line(text: str) -> str:
    """Return the text on one line, without control characters, which SNS refuses in a subject."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
