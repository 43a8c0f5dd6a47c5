"""The time of a run is that of the operation that its quota slows most."""

import pytest
from contact_sync.contacts import ContactType
from contact_sync.quotas import QUOTAS, accounts_at_once, quotas_of, seconds_by_type, slowest
from support.builders import make_contacts

PRIMARY, BILLING, OPERATIONS, SECURITY = ContactType
ALL = tuple(ContactType)


@pytest.mark.rule(19)
@pytest.mark.parametrize(
    ("partition", "share", "rate"),
    [("aws", 1.0, 10), ("aws", 0.5, 5), ("aws-cn", 1.0, 3), ("aws-us-gov", 1.0, 10)],
)
def test_the_quotas_are_those_of_the_partition_and_its_share(
    partition: str, share: float, rate: float
) -> None:
    quotas = quotas_of(partition, share)
    assert rate == quotas["GetAlternateContact"].rate
    whole = quotas_of(partition, 1.0)["GetAlternateContact"]
    assert whole.burst == quotas["GetAlternateContact"].burst > 0
    assert set(QUOTAS["aws"]) == set(quotas)


@pytest.mark.parametrize(
    ("read", "written", "seconds"),
    [
        (ALL, ALL, 0.6),
        (ALL, (), 0.3),
        (ALL, (SECURITY,), 0.3),
        (ALL, (SECURITY, BILLING), 0.4),
        ((PRIMARY,), (PRIMARY,), 0.2),
        ((PRIMARY,), (), 0.1),
        ((PRIMARY, SECURITY), (PRIMARY, SECURITY), 0.2),
        ((), (), 0.0),
    ],
)
def test_the_slowest_operation_decides_about_the_time_of_an_account(
    read: tuple[ContactType, ...], written: tuple[ContactType, ...], seconds: float
) -> None:
    assert pytest.approx(seconds) == slowest(
        seconds_by_type(make_contacts(), read, written, QUOTAS["aws"]).values()
    )


def test_a_deletion_has_the_smallest_quota() -> None:
    contacts = make_contacts(security=None)
    assert 1 == slowest(seconds_by_type(contacts, [SECURITY], [SECURITY], QUOTAS["aws"]).values())
    for quotas in QUOTAS.values():
        assert quotas["DeleteAlternateContact"].rate == min(one.rate for one in quotas.values())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.6, 16), (6.0, 10), (30.0, 2), (90.0, 1), (0.0, 16)],
)
def test_no_account_waits_longer_for_the_others_than_its_function_may(
    seconds: float, expected: int
) -> None:
    assert expected == accounts_at_once(seconds, limit=16)
