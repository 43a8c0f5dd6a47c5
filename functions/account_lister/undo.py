"""Which accounts an undo is for, and which replaced contacts each gets back."""

from collections.abc import Collection, Iterable, Mapping

from contact_sync.accounts import ACTIVE, NOT_FOUND, Account, ListedAccount, Scope
from contact_sync.contact_sets import OWN
from contact_sync.contacts import ContactType
from contact_sync.undo import NOT_WRITTEN

from account_lister.selection import InUnits, Selection, is_asked_for, is_excluded
from account_lister.sets import RunSets

# The runs that replaced a contact, the latest first, by account and contact type.
Replacing = Mapping[str, Mapping[ContactType, list[str]]]


def replacing_runs(
    replaced: Iterable[tuple[str, Iterable[tuple[str, ContactType]]]],
    contact_types: Collection[ContactType],
) -> Replacing:
    """Return which runs replaced each contact; `replaced` has each run's objects, latest first."""
    found: dict[str, dict[ContactType, list[str]]] = {}
    for sync_id, pairs in replaced:
        for account_id, name in pairs:
            if name in contact_types:
                found.setdefault(account_id, {}).setdefault(name, []).append(sync_id)
    return found


def select_undone(
    accounts: Iterable[Account],
    scope: Scope,
    in_units: InUnits,
    replacing: Replacing,
    run_sets: RunSets,
) -> Selection:
    """Choose the accounts that the runs wrote, excluded ones too; name each that is skipped."""
    selection = Selection()
    members = {one.id: one for one in accounts if one.id != scope.management_account_id}
    named = frozenset(scope.account_ids or ())
    for account_id in sorted(named | replacing.keys()):
        account = members.get(account_id)
        is_asked = account is not None and is_asked_for(account, scope, in_units)
        if not (account_id in named or scope.covers_all_accounts or is_asked):
            continue
        if account is None or account_id not in replacing:
            reason = NOT_FOUND if account is None else NOT_WRITTEN
            selection.skip(account_id, reason, named=True)
        elif account.state != ACTIVE:
            selection.skip_state(account, named=True)
        else:
            runs = {name: " ".join(some) for name, some in replacing[account_id].items()}
            stays = _stays(account, scope, in_units, run_sets) & runs.keys()
            listed = ListedAccount(account_id, run_sets.number(runs), tuple(sorted(stays)))
            selection.accounts.append(listed)
    if not replacing:
        undone = " and ".join(scope.undoes)
        selection.warnings.append(f"no replaced contacts are kept for {undone} (KeepReplacedDays)")
    return selection


def _stays(
    account: Account, scope: Scope, in_units: InUnits, run_sets: RunSets
) -> set[ContactType]:
    """Return the contacts of an account that no run overwrites."""
    if is_excluded(account, scope, in_units):
        return set(ContactType)
    contact_set = run_sets.of(account, scope.synced_types)
    return {name for name in ContactType if contact_set.get(name, OWN) == OWN}
