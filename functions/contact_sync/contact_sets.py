"""Which contact each account gets: the management account's, its own, or one by name."""

from collections.abc import Iterable, Mapping

from contact_sync.contacts import ContactType

# The contact of the management account; every other word but OWN names one of the address book.
SOURCE = "source"
# The account keeps what it has.
OWN = "own"

# Of each contact type that a run syncs: SOURCE, OWN, or a name.
ContactSet = Mapping[ContactType, str]


def same_for_all(contact_types: Iterable[ContactType]) -> dict[ContactType, str]:
    """Return the contact set of an account for which there is no rule."""
    return dict.fromkeys(contact_types, SOURCE)


def written(contact_set: ContactSet) -> dict[ContactType, str]:
    """Return the part of the set that the account does not keep."""
    return {name: contact for name, contact in contact_set.items() if contact != OWN}
