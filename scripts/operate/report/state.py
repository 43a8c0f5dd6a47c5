"""The state of every account and contact type, from the state table and the organization."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from contact_sync.accounts import ACTIVE
from contact_sync.comparison import CHANGED, FAILURES, Status
from contact_sync.config import parse_config
from contact_sync.contact_sets import OWN, SOURCE, Origin, Overrides
from contact_sync.contacts import ABSENT, ALTERNATE_TYPES, ContactType
from contact_sync.errors import InvalidConfigError, NotRecordedError, error_class

from operate.report.organization import Member, Organization

Json = Mapping[str, Any]

LEFT, LEFT_WHY = "LEFT", "left the organization"
KEPT_WHY = "the management account has none, and the account keeps its own"


class State(StrEnum):
    """The state of one contact of one account, sorted by need of attention."""

    FAILED = "failed"
    CONTESTED = "contested"
    NOT_COMPARED = "not compared yet"
    PUT_BACK = "put back"  # by an undo; the next run may overwrite it
    SKIPPED = "skipped"
    EXCLUDED = "excluded"
    NOT_SET = "not set"  # as in the management account
    IN_SYNC = "in sync"
    KEPT = "kept"  # the management account has none
    OWN = "own"
    SOURCE = "source"


ORDER = tuple(State)
FAILING = frozenset({State.FAILED, State.CONTESTED})
EQUAL = frozenset({State.IN_SYNC, State.NOT_SET})
LEFT_ALONE = frozenset({State.PUT_BACK, State.SKIPPED, State.EXCLUDED, State.KEPT, State.OWN})


@dataclass(frozen=True)
class ContactState:
    """One contact of one account; times in ISO 8601.

    `why` is an error's name or the reason of a skip. `attempted_by` is the run that compared the
    contact last, `changed_by` the run that wrote it last, None if the run has expired. `is_set` is
    None if it is not known. `contact` is the name of the account's contact in the address book,
    None if it gets the management account's; `override_of` is the override's account or unit.
    """

    type: str
    state: State
    why: str = ""
    remedy: str = ""
    in_sync_since: str | None = None
    in_sync_at: str | None = None
    attempted_at: str | None = None
    attempted_by: str | None = None
    changed_at: str | None = None
    changed_by: str | None = None
    is_set: bool | None = None
    contact: str | None = None
    override_of: str | None = None


@dataclass(frozen=True)
class AccountState:
    """One account; `unit` is the path of its organizational unit in names."""

    id: str
    name: str
    unit: str
    state: str
    contacts: tuple[ContactState, ...]

    @cached_property
    def worst(self) -> State:
        """The state of the contact that needs attention most."""
        return min((one.state for one in self.contacts), key=ORDER.index, default=State.OWN)

    @property
    def attempted_at(self) -> str | None:
        """Return when one of its contacts was compared last."""
        return max((one.attempted_at for one in self.contacts if one.attempted_at), default=None)

    def contact(self, name: str) -> ContactState | None:
        """Return its contact of that type, None if the type is not synchronized."""
        return next((one for one in self.contacts if one.type == name), None)


@dataclass(frozen=True)
class Knowledge:
    """What it takes to read an account's item; `runs` has all stored runs, oldest first."""

    organization: Organization
    configuration: Json
    runs: Sequence[Json]

    @property
    def contact_types(self) -> list[str]:
        """The configured types, in their fixed order."""
        configured = self._listed("contact_types")
        return [str(name) for name in ContactType if name in configured]

    def is_excluded(self, member: Member) -> bool:
        """Return whether the current configuration excludes the account."""
        units = self._listed("excluded_organizational_units")
        accounts = self._listed("excluded_accounts")
        return member.id in accounts or any(unit in units for unit in member.unit_ids)

    def _listed(self, key: str) -> list[Any]:
        found = self.configuration.get(key)
        return found if isinstance(found, list) else []

    @cached_property
    def _overrides(self) -> Overrides:
        try:
            return parse_config(self.configuration).overrides_by_subject
        except InvalidConfigError:
            return Overrides()  # every run fails, and reports the error

    def origin(self, member: Member, name: str) -> Origin:
        """Return which contact the account gets, and by which override."""
        depths = {unit: depth for depth, unit in enumerate(member.unit_ids)}
        try:
            return self._overrides.origin(ContactType(name), member.id, depths)
        except InvalidConfigError:
            return Origin()


def account_states(knowledge: Knowledge, items: Iterable[Json]) -> list[AccountState]:
    """Return every account, also those that left, sorted by need of attention and name."""
    by_id = {str(item["pk"]).removeprefix("ACCOUNT#"): item for item in items}
    reader = _Reader(knowledge)
    accounts = [reader.listed(one, by_id) for one in knowledge.organization.members]
    gone = by_id.keys() - {one.id for one in knowledge.organization.members}
    accounts += [reader.left(account_id) for account_id in gone]
    return sorted(accounts, key=lambda one: (ORDER.index(one.worst), one.name.casefold(), one.id))


class _Reader:
    """Reads the items of accounts."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._types = knowledge.contact_types
        self._by_plan = {run["planned_at"]: run for run in knowledge.runs if run.get("planned_at")}

    def listed(self, member: Member, items: Mapping[str, Json]) -> AccountState:
        item = items.get(member.id, {})
        if member.id == self._knowledge.organization.management_account_id:
            contacts = [self._source(name) for name in self._types]
        else:
            contacts = [self._contact(member, name, item) for name in self._types]
        return AccountState(member.id, member.name, member.unit, member.state, tuple(contacts))

    def left(self, account_id: str) -> AccountState:
        contacts = (ContactState(name, State.SKIPPED, LEFT_WHY) for name in self._types)
        return AccountState(account_id, "", "", LEFT, tuple(contacts))

    def _source(self, name: str) -> ContactState:
        """Return the management account's own contact, as the latest run read it."""
        for run in reversed(self._knowledge.runs):
            if name in run.get("source", {}):
                is_set = run["source"][name] != ABSENT
                why = "set" if is_set else "not set"
                at, by = run.get("planned_at"), run.get("sync_id")
                return ContactState(
                    name, State.SOURCE, why, attempted_at=at, attempted_by=by, is_set=is_set
                )
        return ContactState(name, State.SOURCE, "not read yet")

    def _contact(self, member: Member, name: str, item: Json) -> ContactState:
        # An account that left and is back: the next record removes the mark.
        record = {} if item.get("left_at") else self._newest_record(name, item)
        run = self._by_plan.get(record.get("planned_at"), {})
        undone = mapping(item.get(f"{name}_undone")) if f"{name}_in_sync_with" not in item else {}
        written = undone or mapping(item.get(f"{name}_written"))
        changed_by = self._by_plan.get(written.get("planned_at"), {}).get("sync_id")
        origin = self._knowledge.origin(member, name)
        contact = origin.which
        is_set = _is_set(name, record, item, run, contact)
        found = self._left_alone(member, contact) or _recorded(record, is_set=is_set)
        # An undo does not compare with the desired contact, also where it found nothing to do.
        is_put_back = bool(undone or run.get("undoes")) and found[0] in EQUAL
        state, why = (State.PUT_BACK, "by an undo") if is_put_back else found
        return ContactState(
            type=name,
            state=state,
            why=why,
            remedy=error_class(why).remedy if state in FAILING else "",
            in_sync_since=item.get(f"{name}_in_sync_since") if state in EQUAL else None,
            in_sync_at=item.get(f"{name}_in_sync_at"),
            attempted_at=record.get("at"),
            attempted_by=record.get("sync_id"),
            changed_at=written.get("at"),
            changed_by=changed_by,
            is_set=is_set,
            contact=None if contact in (SOURCE, OWN) else contact,
            override_of=origin.of,
        )

    def _left_alone(self, member: Member, contact: str) -> tuple[State, str] | None:
        """Return why runs do not compare the contact, None if they do."""
        if self._knowledge.is_excluded(member):
            return State.EXCLUDED, "by the configuration"
        if member.state != ACTIVE:
            return State.SKIPPED, member.state
        return (State.OWN, "by the configuration") if contact == OWN else None

    def _newest_record(self, name: str, item: Json) -> Json:
        """Return the last result; if a function died, the child recorded its error."""
        record = mapping(item.get(name))
        stage = "alternate" if name in ALTERNATE_TYPES else "primary"
        failure = mapping(item.get(f"{stage}_failure"))
        if str(failure.get("planned_at", "")) <= str(record.get("planned_at", "")):
            return record
        run = self._by_plan.get(failure["planned_at"], {})
        if name not in run.get("contact_types", [name]):
            return record  # the run was for other types
        found = {"status": Status.FAILED, "at": failure["planned_at"]}
        return {**found, "error": failure.get("error"), "sync_id": run.get("sync_id")}


def _is_set(name: str, record: Json, item: Json, run: Json, contact: str) -> bool | None:
    """Return whether the account has the contact, according to the last comparison, by the run."""
    match record.get("status"):
        case Status.UPDATED | Status.CONTESTED:
            return True
        case Status.DELETED:
            return False
        case Status.UNCHANGED if not run.get("undoes"):
            source = run.get("source", {}).get(name) if contact == SOURCE else None
            equal_to = item.get(f"{name}_in_sync_with") or source
            return equal_to != ABSENT if equal_to else None
    return None


def _recorded(record: Json, *, is_set: bool | None) -> tuple[State, str]:
    """Return the state from the last result, and the reason."""
    status, error = record.get("status"), record.get("error")
    if status in FAILURES:
        return State(str(status)), str(error or NotRecordedError.__name__)
    if status == Status.SKIPPED:
        return (State.SKIPPED, str(error)) if error else (State.KEPT, KEPT_WHY)
    if status in CHANGED | {Status.UNCHANGED}:
        return (State.NOT_SET if is_set is False else State.IN_SYNC), ""
    return State.NOT_COMPARED, ""


def mapping(stored: Any) -> Json:
    """Return the mapping; empty if another release stored something else."""
    return stored if isinstance(stored, Mapping) else {}
