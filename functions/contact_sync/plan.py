"""What a round does: which contact types, and what becomes of those that the source lacks."""

from collections.abc import Mapping
from dataclasses import dataclass

from contact_sync.config import OnSourceDeleted, SyncConfig
from contact_sync.contacts import ALTERNATE_TYPES, ContactType, SourceContacts
from contact_sync.errors import EmptySourceError, InvalidRequestError, InvalidSourceError
from contact_sync.request import RoundRequest

NOT_SET = "not set in the management account"


@dataclass(frozen=True)
class Plan:
    """The contact types to sync, and those that are not, with the reason.

    `changed_types` are those that the members are expected to lack: the source differs from what
    was last synced to every account.
    """

    contact_types: list[ContactType]
    changed_types: list[ContactType]
    skipped_types: dict[ContactType, str]


def configured_types(config: SyncConfig, request: RoundRequest) -> list[ContactType]:
    """Return the requested ones of the configured types; raise InvalidRequestError for others."""
    requested = request.contact_types or config.ordered_types
    unknown = [name for name in requested if name not in config.contact_types]
    if unknown and request.must_exist:
        raise InvalidRequestError(
            f"contact_types: {', '.join(unknown)} is not configured "
            f"(configured: {', '.join(config.ordered_types)})"
        )
    return [name for name in config.ordered_types if name in requested]


def check_source(config: SyncConfig, source: SourceContacts) -> None:
    """Raise where the source must not be copied: nothing set, or values that members refuse."""
    contacts = [source[name] for name in config.ordered_types]
    if not any(contacts):
        raise EmptySourceError(
            f"the management account has none of: {', '.join(config.ordered_types)}"
        )
    found = [fault for contact in contacts if contact for fault in contact.faults()]
    if found:
        raise InvalidSourceError("; ".join(found))


def plan_round(
    config: SyncConfig,
    request: RoundRequest,
    source: SourceContacts,
    digests: Mapping[ContactType, str],
    synced: Mapping[ContactType, str],
) -> Plan:
    """Choose the contact types of a round.

    `digests` are those of the source now, `synced` those last synced to every account. A request
    that starts from a change syncs only the types that differ; any other compares all of them.
    """
    check_source(config, source)
    wanted = configured_types(config, request)
    skipped = {
        name: NOT_SET for name in wanted if source[name] is None and not _deletes(config, name)
    }
    chosen = [name for name in wanted if name not in skipped]
    changed = [name for name in chosen if digests[name] != synced.get(name)]
    if request.only_if_changed:
        chosen = changed
    # What was never synced need not be deleted.
    changed = [name for name in changed if source[name] or name in synced]
    return Plan(contact_types=chosen, changed_types=changed, skipped_types=skipped)


def _deletes(config: SyncConfig, contact_type: ContactType) -> bool:
    deletes = config.on_source_deleted is OnSourceDeleted.DELETE
    return deletes and contact_type in ALTERNATE_TYPES
