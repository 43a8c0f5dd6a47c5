"""The Account API's request quotas, and the time per account that follows from them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from contact_sync.contacts import Contact, ContactType, SourceContacts


@dataclass(frozen=True)
class Quota:
    """Calls a second, and calls at once, for the calling account."""

    rate: float
    burst: int


# Source: Account Management quotas page (docs.aws.amazon.com and docs.amazonaws.cn).
QUOTAS = {
    "aws": {
        "GetAlternateContact": Quota(10, 15),
        "GetContactInformation": Quota(10, 15),
        "PutAlternateContact": Quota(5, 8),
        "PutContactInformation": Quota(5, 8),
        "DeleteAlternateContact": Quota(1, 6),
    },
    "aws-cn": {
        "GetAlternateContact": Quota(3, 5),
        "GetContactInformation": Quota(3, 5),
        "PutAlternateContact": Quota(1, 6),
        "PutContactInformation": Quota(1, 2),
        "DeleteAlternateContact": Quota(1, 6),
    },
}


# How long the calls of one account may wait for the other accounts' calls; the functions' timeout
# is twice that.
MAX_WAIT_SECONDS = 60

# Source: Organizations quotas page (orgs_reference_limits); for looking up what operators name.
LOOKUP_QUOTAS = {"DescribeAccount": Quota(20, 30), "DescribeOrganizationalUnit": Quota(5, 8)}


def quotas_of(partition: str, share: float) -> dict[str, Quota]:
    """Return the quota of each operation, by the API's name; `share` scales the rates."""
    return {
        operation: Quota(quota.rate * share, quota.burst)
        for operation, quota in QUOTAS.get(partition, QUOTAS["aws"]).items()
    }


def seconds_by_type(
    source: SourceContacts,
    read: Collection[ContactType],
    written: Collection[ContactType],
    quotas: Mapping[str, Quota],
) -> dict[ContactType, dict[str, float]]:
    """Return the seconds of one account's calls under the quotas, by contact type and operation."""
    seconds: dict[ContactType, dict[str, float]] = {}
    for name in read:
        operations = [_read_operation(name)]
        operations += [_write_operation(name, source[name])] if name in written else []
        seconds[name] = {operation: 1 / quotas[operation].rate for operation in operations}
    return seconds


def slowest(seconds: Iterable[Mapping[str, float]]) -> float:
    """Return the seconds of the slowest operation: operations run in parallel."""
    totals: Counter[str] = Counter()
    for by_operation in seconds:
        totals.update(by_operation)
    return max(totals.values(), default=0.0)


def seconds_per_account(
    source: SourceContacts,
    read: Collection[ContactType],
    written: Collection[ContactType],
    quotas: Mapping[str, Quota],
) -> float:
    """Return the seconds of the slowest operation for one account."""
    return slowest(seconds_by_type(source, read, written, quotas).values())


def calls_of_account(
    source: SourceContacts, read: Collection[ContactType], written: Collection[ContactType]
) -> Counter[str]:
    """Return how often each operation is called for one account."""
    calls = Counter(_read_operation(name) for name in read)
    calls.update(_write_operation(name, source[name]) for name in written)
    return calls


def accounts_at_once(seconds_per_account: float, limit: int) -> int:
    """Return how many accounts may be worked on at once, `limit` at most.

    Each may use `seconds_per_account` of its slowest operation's quota.
    """
    fitting = int(MAX_WAIT_SECONDS / seconds_per_account) if seconds_per_account else limit
    return max(1, min(limit, fitting))


def _read_operation(contact_type: ContactType) -> str:
    if contact_type is ContactType.PRIMARY:
        return "GetContactInformation"
    return "GetAlternateContact"


def _write_operation(contact_type: ContactType, contact: Contact | None) -> str:
    if contact_type is ContactType.PRIMARY:
        return "PutContactInformation"
    return "PutAlternateContact" if contact else "DeleteAlternateContact"
