"""The contacts of the management account, which all others get. Their values are never told."""

from collections.abc import Collection

from contact_sync.aws.account_contacts import AccountContactsClient
from contact_sync.contacts import ContactType, shared_addresses

from operate.aws import Aws
from operate.checks import Notes, fail, warn


def source_notes(aws: Aws, types: Collection[str], lost: str) -> Notes:
    """Yield what members cannot or should not get; `lost` says what becomes of a missing one."""
    client = AccountContactsClient(aws.client("account"))
    source = {name: client.get(None, name) for name in map(ContactType, types)}
    if not any(source.values()):
        yield fail(
            f"the management account has none of the contacts to synchronize ({', '.join(types)}): "
            "set them first"
        )
        return ""
    for name, contact in source.items():
        if not contact:
            yield warn(f"the management account has no {name} contact: it {lost} the members")
        elif faults := contact.faults():
            yield fail(f"AWS would refuse it for members: {', '.join(faults)}; it is left out")
    for names in shared_addresses(source):
        yield warn(f"{names} share one e-mail address: compliance checks want them different")
    return f"{', '.join(source)} set, by the rules for members"
