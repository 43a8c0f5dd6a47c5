"""Many overrides add little to listing a large organization."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from account_lister.selection import select_accounts
from account_lister.sets import RunSets, check_overrides
from contact_sync.aws.organization import OrganizationClient as Organization
from contact_sync.config import parse_config
from contact_sync.contacts import ContactType
from standin.organization import OrganizationClient
from support.builders import make_config, make_scope, make_world

ACCOUNTS, UNITS, RULES = 10_000, 200, 500
# A fraction of the listing's time without overrides.
MOST_ADDED = 0.1


@pytest.mark.rule(10)
def test_500_rules_add_little_to_listing_10_000_accounts(
    organization: OrganizationClient, client_of: Callable[[str], Any]
) -> None:
    units = [f"ou-exam-{number:08}" for number in range(UNITS)]
    ids = [str(100_000_000_001 + number) for number in range(ACCOUNTS)]
    overrides = [{"organizational_units": [one], "security": f"name-{one[-3:]}"} for one in units]
    overrides += [{"account_ids": [one], "billing": "own"} for one in ids[: RULES - UNITS]]
    config = parse_config(make_config(overrides=overrides))
    organization.reset(
        make_world(
            *({"id": one, "parent": units[n % UNITS]} for n, one in enumerate(ids)),
            # Ten branches, each 20 levels deep.
            organizational_units=[
                {"id": one, "name": one, "parent": units[n - 10] if n >= 10 else "r-exam"}
                for n, one in enumerate(units)
            ],
        )
    )
    members = Organization(client_of("organizations"))
    scope = make_scope(overrides=config.overrides_by_subject)

    started = time.process_time()
    accounts = list(members.accounts())
    listed = time.process_time()
    select_accounts(accounts, make_scope(), members.in_units)
    selecting, listing = time.process_time() - listed, time.process_time() - started
    calls = len(organization.calls())

    sets = RunSets(scope, list(ContactType), members.depths)
    started = time.process_time()
    check_overrides(accounts, scope.overrides.units, members.missing_units)
    selection = select_accounts(accounts, scope, members.in_units, sets.add)
    added = time.process_time() - started - selecting

    assert ACCOUNTS == len(selection.accounts)
    assert UNITS <= len(sets.sets) <= RULES, "memory grows with overrides, not with accounts"
    assert calls == len(organization.calls()), "no extra call per account"
    print(f"listing {listing:.2f} s, overrides {added:.3f} s more, {len(sets.sets)} sets")
    assert added <= MOST_ADDED * listing
