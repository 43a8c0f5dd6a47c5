"""Which contact types a run syncs, and why it leaves out the others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from contact_sync.accounts import INVALID
from contact_sync.config import OnSourceDeleted, SyncConfig
from contact_sync.contacts import ALTERNATE_TYPES, ContactType, SourceContacts
from contact_sync.errors import EmptySourceError, InvalidSourceError, listed
from contact_sync.request import RunRequest

NOT_CONFIGURED = "not in the configuration's contact_types"
NOT_SET = "not set in the management account"
READ_AGAIN = "missing in one of two reads of the source; the next run reads it again"


@dataclass(frozen=True)
class ContactChoice:
    """The contact types to sync, and those whose source contact is left out, with the reason.

    A type may be both, if overrides give it other contacts. `missing` are types that this read of
    the source lacks and that would be deleted; `confirm` asks for a second read first. `invalid`
    types violate the API's rules.
    """

    contact_types: list[ContactType]
    left_out: dict[ContactType, str] = field(default_factory=dict)
    missing: list[ContactType] = field(default_factory=list)
    invalid: list[ContactType] = field(default_factory=list)
    confirm: bool = False

    @property
    def from_source(self) -> list[ContactType]:
        """Return the types whose source contact is synced."""
        return [name for name in self.contact_types if name not in self.left_out]


def asked_types(
    requests: Sequence[RunRequest],
    config: SyncConfig,
    source: SourceContacts,
    differing: Collection[ContactType],
) -> list[ContactType]:
    """Return the configured types that the requests ask for together.

    A contact change asks for the types that differ from what was last tried everywhere. It asks
    for all types if none differs, because the change was missed or the read is stale, and if no
    differing type can be tried: an invalid contact, or a missing one that members keep, differs
    each time.
    """
    changed = [name for name in config.ordered_types if name in differing]
    if not any(_can_be_tried(name, config, source) for name in changed):
        changed = config.ordered_types
    asked: set[ContactType] = set()
    for request in requests:
        asked.update(
            changed if request.is_change else request.contact_types or config.ordered_types
        )
    return [name for name in ContactType if name in asked]


def choose_contacts(
    config: SyncConfig,
    asked: Sequence[ContactType],
    source: SourceContacts,
    missing_before: Collection[ContactType] | None,
) -> ContactChoice:
    """Choose among the requested types; those with other contacts by name are synced too.

    `missing_before` is `missing` of an earlier read, None if there was none. Raises
    EmptySourceError if the source has none of the configured contacts, InvalidSourceError if all
    requested contacts violate the API's rules.
    """
    named = _named_types(config)
    if not any(source[name] or name in named for name in config.ordered_types):
        raise EmptySourceError(
            "the management account has none of the configured contacts "
            f"({', '.join(config.ordered_types)})"
        )
    left_out = {name: NOT_CONFIGURED for name in asked if name not in config.contact_types}
    configured = [name for name in asked if name not in left_out]
    kept = config.primary_keeps
    faults = {name: contact.faults(kept) for name in configured if (contact := source[name])}
    invalid = {name: f"{INVALID}{'; '.join(found)}" for name, found in faults.items() if found}
    if invalid and len(invalid) == len(configured) and not named & set(configured):
        raise InvalidSourceError(listed([one for found in faults.values() for one in found], "; "))
    unset = [name for name in configured if source[name] is None]
    deleted = [name for name in unset if _deletes(config, name)]
    left_out |= invalid | {name: NOT_SET for name in unset if name not in deleted}
    if deleted and missing_before is None:
        return ContactChoice([], left_out, missing=deleted, confirm=True)
    left_out |= {name: READ_AGAIN for name in deleted if name not in (missing_before or ())}
    return ContactChoice(
        contact_types=[name for name in configured if name not in left_out or name in named],
        left_out=left_out,
        missing=deleted,
        invalid=list(invalid),
    )


def differing_types(
    digests: Mapping[ContactType, str], held: Mapping[str, str], configuration: str
) -> list[ContactType]:
    """Return the types whose digest is not the one last tried everywhere.

    After a change of the configuration, nothing counts as tried.
    """
    if held.get("configuration") != configuration:
        return list(digests)
    return [name for name, digest in digests.items() if held.get(name) != digest]


def _named_types(config: SyncConfig) -> set[ContactType]:
    """Return the types for which overrides give some accounts another contact by name."""
    return {name for some in config.overrides_by_subject.names.values() for name in some}


def _can_be_tried(name: ContactType, config: SyncConfig, source: SourceContacts) -> bool:
    if name in _named_types(config):
        return True
    contact = source[name]
    return not contact.faults(config.primary_keeps) if contact else _deletes(config, name)


def _deletes(config: SyncConfig, contact_type: ContactType) -> bool:
    deletes = config.on_source_deleted == OnSourceDeleted.DELETE
    return deletes and contact_type in ALTERNATE_TYPES
