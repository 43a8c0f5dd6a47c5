"""Which contact each account gets: the management account's, its own, or one by name."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidConfigError

# The contact of the management account; every other word but OWN names one of the address book.
SOURCE = "source"
# The account keeps what it has.
OWN = "own"

# Of each contact type that a run syncs: SOURCE, OWN, or a name.
ContactSet = Mapping[ContactType, str]


@dataclass(frozen=True)
class Origin:
    """Which contact an account gets, and the account or organizational unit of the override.

    `of` is None where there is no override.
    """

    which: str = SOURCE
    of: str | None = None


@dataclass(frozen=True)
class Overrides:
    """By account and by organizational unit: the contacts that overrides give, by type."""

    accounts: Mapping[str, ContactSet] = field(default_factory=dict)
    units: Mapping[str, ContactSet] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, set[ContactType]]:
        """Return the names of the address book that the overrides use, each with its types."""
        names: dict[str, set[ContactType]] = {}
        for contact_set in (*self.accounts.values(), *self.units.values()):
            for contact_type, which in contact_set.items():
                if which not in (SOURCE, OWN):
                    names.setdefault(which, set()).add(contact_type)
        return names

    def origin(
        self, contact_type: ContactType, account_id: str, depths: Mapping[str, int]
    ) -> Origin:
        """Return what the most specific override gives; `depths` are those of the units above.

        An account is more specific than a unit, a deeper unit more than a shallower one. Raises
        InvalidConfigError where two overrides have equal rank.
        """
        if which := self.accounts.get(account_id, {}).get(contact_type):
            return Origin(which, account_id)
        found = [unit for unit in depths if contact_type in self.units.get(unit, {})]
        if not found:
            return Origin()
        deepest = max(depths[unit] for unit in found)
        unit, *others = sorted(unit for unit in found if depths[unit] == deepest)
        if others:
            raise InvalidConfigError(
                f"overrides: the overrides of {unit} and {others[0]} have equal rank for the "
                f"{contact_type} contact of account {account_id}; add an override for this account"
            )
        return Origin(self.units[unit][contact_type], unit)

    def contact_set(
        self, contact_types: Iterable[ContactType], account_id: str, depths: Mapping[str, int]
    ) -> dict[ContactType, str]:
        """Return which contact an account gets of each type."""
        return {name: self.origin(name, account_id, depths).which for name in contact_types}


def same_for_all(contact_types: Iterable[ContactType]) -> dict[ContactType, str]:
    """Return the contact set of an account for which there is no override."""
    return dict.fromkeys(contact_types, SOURCE)


def written(contact_set: ContactSet) -> dict[ContactType, str]:
    """Return the part of the set that the account does not keep."""
    return {name: which for name, which in contact_set.items() if which != OWN}


def without(contact_set: ContactSet, left_out: Collection[ContactType]) -> dict[ContactType, str]:
    """Return the set without contacts of the source that the run leaves out."""
    return {
        name: which
        for name, which in contact_set.items()
        if not (which == SOURCE and name in left_out)
    }
