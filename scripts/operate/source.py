"""Checks of the management account's contacts. Messages never have their values."""

from collections.abc import Collection

from contact_sync.aws.account_contacts import AccountContactsClient
from contact_sync.contacts import ContactType, shared_addresses

from operate.aws import Aws
from operate.checks import Notes, fail, warn


def source_notes(aws: Aws, types: Collection[str], lost: str, kept: Collection[str] = ()) -> Notes:
    """Yield problems of the contacts; `lost` says what happens to a missing one in members.

    `kept` are fields of the primary contact that each account keeps.
    """
    client = AccountContactsClient(aws.client("account"))
    source = {name: client.get(None, name) for name in map(ContactType, types)}
    if not any(source.values()):
        yield fail(
            f"the management account has none of the contacts to synchronize ({', '.join(types)}): "
            "set at least one"
        )
        return ""
    for name, contact in source.items():
        if not contact:
            yield warn(f"the management account has no {name} contact: it {lost} the members")
        elif faults := contact.faults(kept):
            yield fail(
                f"the {name} contact is left out, because AWS would refuse it for member accounts: "
                f"{', '.join(faults)}"
            )
    for names in shared_addresses(source):
        yield warn(f"{names} share one e-mail address: compliance checks require different ones")
    return f"{', '.join(source)} set and valid for member accounts"
