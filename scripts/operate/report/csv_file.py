"""The report as CSV: a row for each account and contact type."""

import csv
import io
from collections.abc import Iterator

from operate.report.content import Report
from operate.report.runs import Run
from operate.report.state import AccountState, ContactState

# Spreadsheets evaluate cells that begin with these, including the full-width forms.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
COLUMNS = (
    "account",
    "account_id",
    "account_name",
    "organizational_unit",
    "account_state",
    "contact_type",
    "state",
    "reason",
    "remedy",
    "in_sync_since_utc",
    "last_in_sync_utc",
    "compared_utc",
    "compared_by_run",
    "changed_utc",
    "changed_by_run",
    "changed_by_trigger",
    "changed_by_event_ids",
    "contact",
    "override_of",
)


def csv_text(report: Report) -> str:
    """Return the rows; the caller adds the byte order mark that spreadsheets need."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    checks = [f"{one.check.standard} {one.check.id}" for one in report.checks]
    writer.writerow([*COLUMNS, *checks])
    runs = report.runs_by_name
    for account in report.accounts:
        results = report.results(account)
        for contact in account.contacts:
            row = [*_row(account, contact, runs), *(results.get(name, "") for name in checks)]
            writer.writerow([safe(str(cell)) for cell in row])
    return text.getvalue()


def _row(account: AccountState, contact: ContactState, runs: dict[str, Run]) -> Iterator[str]:
    changed_by = runs.get(contact.changed_by or "")
    # With hyphens, a spreadsheet keeps all twelve digits.
    yield f"{account.id[:4]}-{account.id[4:8]}-{account.id[8:]}"
    yield from (account.id, account.name, account.unit, account.state)
    yield from (contact.type, contact.state, contact.why, contact.remedy)
    yield _time(contact.in_sync_since)
    yield _time(contact.in_sync_at)
    yield from (_time(contact.attempted_at), contact.attempted_by or "")
    yield from (_time(contact.changed_at), contact.changed_by or "")
    yield changed_by.trigger if changed_by else ""
    yield " ".join(changed_by.event_ids) if changed_by else ""
    yield from (contact.contact or "", contact.override_of or "")


def _time(at: str | None) -> str:
    """Return a time in a format that spreadsheets read."""
    return f"{at[:10]} {at[11:19]}" if at else ""


def safe(cell: str) -> str:
    """Return the cell in a form that no spreadsheet evaluates."""
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell
