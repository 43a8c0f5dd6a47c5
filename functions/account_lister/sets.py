"""The contact sets of a run's accounts: numbered, because many accounts share one."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from contact_sync.accounts import INVALID, NOT_FOUND, Account, ListedAccount, Scope
from contact_sync.contact_sets import SOURCE, ContactSet, without, written
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidConfigError, InvalidSourceError, listed
from contact_sync.quotas import slowest

KEEPS_ITS_OWN = "keeps its own contacts"
LEFT_OUT = "gets contacts that are left out"

Depths = Callable[[Account, Collection[str]], Mapping[str, int]]


@dataclass
class RunSets:
    """The distinct sets of the run's accounts, and the number of accounts with each."""

    scope: Scope
    contact_types: Collection[ContactType]
    depths: Depths
    sets: list[ContactSet] = field(default_factory=list)
    accounts: Counter[int] = field(default_factory=Counter)
    from_source: set[ContactType] = field(default_factory=set)
    _numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    _of_neighbours: dict[tuple[str, ...], int | str] = field(default_factory=dict)

    def add(self, account: Account) -> int | str:
        """Return the number of the account's set, or why there is nothing to sync for it."""
        number = self._number_of(account)
        if isinstance(number, int):
            self.accounts[number] += 1
        return number

    def of(self, account: Account, types: Iterable[ContactType]) -> dict[ContactType, str]:
        """Return which contact the overrides give the account, of each type."""
        overrides = self.scope.overrides
        depths = self.depths(account, overrides.units) if overrides.units else {}
        return overrides.contact_set(types, account.id, depths)

    def _number_of(self, account: Account) -> int | str:
        """Apply the overrides, once for all accounts in one place that no override names."""
        where = account.parents
        if account.id in self.scope.overrides.accounts or not where:
            return self._by_overrides(account)
        if where not in self._of_neighbours:
            self._of_neighbours[where] = self._by_overrides(account)
        return self._of_neighbours[where]

    def _by_overrides(self, account: Account) -> int | str:
        types = [*self.contact_types, *self.scope.left_out]
        chosen = self.of(account, dict.fromkeys(types))
        self.from_source.update(name for name, which in chosen.items() if which == SOURCE)
        contact_set = without(chosen, self.scope.left_out)
        if not written(contact_set):
            return LEFT_OUT if SOURCE in chosen.values() else KEEPS_ITS_OWN
        return self._number(contact_set)

    @property
    def unused(self) -> list[ContactType]:
        """Return the types whose source contact no account gets."""
        types = [*self.contact_types, *self.scope.left_out]
        return [name for name in dict.fromkeys(types) if name not in self.from_source]

    @property
    def seconds(self) -> float:
        """Return the run's time under the quotas if accounts differ as the plan expects."""
        return slowest(
            {operation: each * count for operation, each in self.scope.seconds[name].items()}
            for number, count in self.accounts.items()
            for name in written(self.sets[number])
        )

    def check_any(self, skipped: Mapping[str, int]) -> None:
        """Raise InvalidSourceError if everything that the run could sync is left out as invalid."""
        invalid = [why for why in self.scope.left_out.values() if why.startswith(INVALID)]
        if invalid and skipped.get(LEFT_OUT) and not self.accounts:
            raise InvalidSourceError(listed([why.removeprefix(INVALID) for why in invalid], "; "))

    def number(self, contact_set: ContactSet) -> int:
        """Count an account with this set; return the set's number."""
        number = self._number(contact_set)
        self.accounts[number] += 1
        return number

    def numbered_as(
        self, stored: Sequence[ContactSet], accounts: Sequence[ListedAccount]
    ) -> list[ListedAccount]:
        """Return the accounts with the numbers of the stored sets, which may be another attempt's.

        Raises ValueError if one is missing there: a recovery then plans the run anew.
        """
        if stored == self.sets:
            return list(accounts)
        numbers = [stored.index(one) for one in self.sets]
        return [replace(one, contact_set=numbers[one.contact_set]) for one in accounts]

    def _number(self, contact_set: ContactSet) -> int:
        key = tuple(f"{name}={which}" for name, which in contact_set.items())
        if key not in self._numbers:
            self._numbers[key] = len(self.sets)
            self.sets.append(contact_set)
        return self._numbers[key]


def check_overrides(
    accounts: Iterable[Account],
    units: Collection[str],
    missing_units: Callable[[Collection[str]], list[str]],
) -> None:
    """Raise InvalidConfigError for overrides of units that do not exist.

    A unit that is in an account's paths exists; only others are looked up.
    """
    parents = {path for account in accounts for path in account.parents}
    seen = {step for path in parents for step in path.split("/")}
    if missing := missing_units(sorted(set(units) - seen)):
        raise InvalidConfigError(f"overrides: organizational_units: {NOT_FOUND}: {listed(missing)}")
