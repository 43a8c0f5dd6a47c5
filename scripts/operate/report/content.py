"""The content of the report, independent of its format."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from typing import Any

from operate.report.checks import Checked, Result, check_accounts
from operate.report.runs import Failure, Run, drift_by_day, moment
from operate.report.state import (
    EQUAL,
    FAILING,
    LEFT,
    LEFT_ALONE,
    AccountState,
    ContactState,
    State,
)


@dataclass(frozen=True)
class About:
    """Where and when the report was made; `first_day` is the first day of the listed runs."""

    environment: str
    stack: str
    region: str
    management_account_id: str
    organization_id: str
    generated_at: str
    first_day: date
    last_day: date
    contact_types: Sequence[str]
    accounts_url: str
    dashboard_url: str


@dataclass(frozen=True)
class Report:
    """Accounts, sorted by need of attention, and runs, newest first.

    Earlier runs than the first day are included if they made the last change of an account.
    """

    about: About
    accounts: Sequence[AccountState]
    runs: Sequence[Run]

    @cached_property
    def checks(self) -> list[Checked]:
        """Every compliance check of the organization's accounts."""
        return check_accounts([one for one in self.accounts if one.state != LEFT])

    @cached_property
    def by_type(self) -> dict[str, Counter[State]]:
        """How many member accounts are in each state, by contact type."""
        return {
            name: Counter(one.state for account in self.members if (one := account.contact(name)))
            for name in self.about.contact_types
        }

    @cached_property
    def members(self) -> list[AccountState]:
        """The member accounts, without those that left."""
        manager = self.about.management_account_id
        return [one for one in self.accounts if one.id != manager and one.state != LEFT]

    def members_of(self, *states: State) -> int:
        """Return how many members are in one of the states, by the worst of their contacts."""
        return sum(one.worst in states for one in self.members)

    def failing_in(self, name: str) -> int:
        """Return how many member accounts have a failing contact of the type."""
        return sum(self.by_type.get(name, Counter())[state] for state in FAILING)

    @cached_property
    def failing(self) -> list[tuple[AccountState, str, ContactState]]:
        """The contacts whose last comparison failed: account, types, and one of the contacts.

        Contacts of an account with the same failure are grouped.
        """
        found: dict[Any, list[tuple[AccountState, ContactState]]] = {}
        for account in self.members:
            for one in account.contacts:
                if one.state in FAILING:
                    key = (account.id, one.why, one.attempted_by, moment(one.in_sync_at))
                    found.setdefault(key, []).append((account, one))
        return [(some[0][0], _types(one for _, one in some), some[0][1]) for some in found.values()]

    @cached_property
    def failures_of_runs(self) -> list[tuple[Run, str, Failure]]:
        """The failures in runs, newest first: run, types, and one of the failures, as above."""
        found: dict[Any, list[tuple[Run, Failure]]] = {}
        for run in self.runs:
            for one in run.failures:
                alike = (one.error, one.now, one.why, one.tried_by, moment(one.since))
                key = (run.name, one.account_id, *alike, one.changed_by)
                found.setdefault(key, []).append((run, one))
        return [(some[0][0], _types(one for _, one in some), some[0][1]) for some in found.values()]

    @cached_property
    def recent_runs(self) -> list[Run]:
        """The runs since the first day."""
        return [run for run in self.runs if run.started_at >= self.about.first_day.isoformat()]

    @cached_property
    def earlier_runs(self) -> list[Run]:
        """The other runs."""
        return list(self.runs[len(self.recent_runs) :])

    @cached_property
    def runs_by_name(self) -> dict[str, Run]:
        """The runs by their names."""
        return {run.name: run for run in self.runs}

    @cached_property
    def drift(self) -> list[tuple[str, int]]:
        """How many drifted accounts each day's runs found."""
        return drift_by_day(self.runs, self.about.first_day, self.about.last_day)

    @cached_property
    def drifted(self) -> dict[str, list[str]]:
        """The members that drifted since the first day, with the contact types."""
        found: dict[str, set[str]] = {}
        for run in self.recent_runs:
            for one in run.drifts:
                found.setdefault(one.account_id, set()).update(one.types)
        names = self.about.contact_types
        by_id = {
            one.id: [name for name in names if name in found.get(one.id, ())]
            for one in self.members
        }
        return {account_id: types for account_id, types in by_id.items() if types}

    @cached_property
    def drifted_by_type(self) -> Counter[str]:
        """How many of them drifted, by contact type."""
        return Counter(name for types in self.drifted.values() for name in types)

    @property
    def summary(self) -> str:
        """The report in one line."""
        return (
            f"{len(self.members)} member accounts: {self.members_of(*EQUAL)} in sync, "
            f"{self.members_of(*FAILING)} failing, "
            f"{self.members_of(State.NOT_COMPARED)} not compared yet, "
            f"{self.members_of(*LEFT_ALONE)} left alone"
        )

    @property
    def left(self) -> list[AccountState]:
        """The accounts that left: listed for their history, but not counted."""
        return [one for one in self.accounts if one.state == LEFT]

    def results(self, account: AccountState) -> dict[str, Result]:
        """Return an account's results by standard and ID of the check; none if the account left."""
        return {
            key: results[account.id]
            for key, results in self._results.items()
            if account.id in results
        }

    @cached_property
    def _results(self) -> dict[str, dict[str, Result]]:
        return {
            f"{one.check.standard} {one.check.id}": {
                verdict.account_id: verdict.result for verdict in one.verdicts
            }
            for one in self.checks
        }

    def document(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        about = asdict(self.about)
        return {
            **{name: value for name, value in about.items() if not name.endswith("_url")},
            "first_day": self.about.first_day.isoformat(),
            "last_day": self.about.last_day.isoformat(),
            "summary": {
                "members": len(self.members),
                "in_sync": self.members_of(*EQUAL),
                "failing": self.members_of(*FAILING),
                "not_compared": self.members_of(State.NOT_COMPARED),
                "left_alone": self.members_of(*LEFT_ALONE),
                "by_type": self.by_type,
                "drifted": len(self.drifted),
                "drifted_by_type": self.drifted_by_type,
            },
            "accounts": [_without_none(asdict(one)) for one in self.accounts],
            "checks": [
                {
                    **asdict(one.check),
                    "counts": {result.value: one.count(result) for result in Result},
                    "accounts": [asdict(verdict) for verdict in one.verdicts],
                }
                for one in self.checks
            ],
            "drift": [{"day": day, "accounts": count} for day, count in self.drift],
            "runs": [asdict(one) for one in self.runs],
        }


def _types(some: Iterable[ContactState | Failure]) -> str:
    return ", ".join(one.type for one in some)


def _without_none(account: Mapping[str, Any]) -> dict[str, Any]:
    """Omit unknown fields of the contacts, which keeps the document small."""
    contacts = [
        {name: value for name, value in one.items() if value not in (None, "")}
        for one in account["contacts"]
    ]
    return {**account, "contacts": contacts}
