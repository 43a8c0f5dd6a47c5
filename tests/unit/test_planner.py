"""A round is planned from what is true now, and stored past the history."""

from datetime import UTC, datetime
from typing import Any

import pytest
from builders import (
    KEY,
    MANAGEMENT,
    MEMBER,
    SECRET_VALUES,
    STARTED_AT,
    SYNC_ID,
    UNIT,
    make_config,
    make_contact,
    make_contacts,
    make_scope,
    make_source,
)
from contact_sync.config import parse_config
from contact_sync.contacts import Contact, ContactType
from contact_sync.digest_key import DigestKey
from contact_sync.errors import EmptySourceError, InvalidConfigError, InvalidSourceError
from contact_sync.planner import Planner
from contact_sync.quotas import QUOTAS
from contact_sync.request import RoundRequest
from fakes import FakeBucket, FakeContacts, FakeRuns

PREFIX = f"runs/{SYNC_ID}/1"


class Given:
    """A recorded round, a configuration and a source, and the planner over them."""

    def __init__(
        self,
        request: RoundRequest | None = None,
        config: dict[str, Any] | None = None,
        source: dict[ContactType, Contact | None] | None = None,
        *,
        dry_run: bool = False,
    ) -> None:
        self.config = make_config(**(config or {}))
        self.key = DigestKey(KEY)
        self.runs = FakeRuns()
        stored = (request or RoundRequest()).stored()
        self.runs.update(STARTED_AT, SYNC_ID, {"request": stored, "dry_run": dry_run})
        self.bucket = FakeBucket()
        contacts = source or make_contacts()
        self.source = FakeContacts({(None, name): one for name, one in contacts.items() if one})

    def plan(self) -> dict[str, Any]:
        planner = Planner(
            load_config=lambda: parse_config(self.config),
            load_key=lambda: self.key,
            source=self.source,
            runs=self.runs,  # type: ignore[arg-type]
            bucket=self.bucket,  # type: ignore[arg-type]
            management_account_id=MANAGEMENT,
            quotas=QUOTAS["aws"],
        )
        return planner.plan(SYNC_ID, STARTED_AT, 1)

    def synced_to(self, key: DigestKey, *types: ContactType) -> "Given":
        digests = {name: make_contact(name).digest(key.value) for name in types}
        self.runs.record_synced(digests, key.id, "run-0", STARTED_AT)
        return self


def test_a_plan_is_what_the_rounds_states_need() -> None:
    given = Given(config={"retry_config": {"max_attempts": 5}})
    planned = given.plan()
    assert planned == {
        "contact_types": ["primary", "billing", "operations", "security"],
        "skipped_types": {},
        "only_if_changed": False,
        "planned_at": given.bucket.objects[f"{PREFIX}/source.json"].planned_at,
        "seconds_an_account": pytest.approx(0.6),
        "digest_key_id": DigestKey(KEY).id,
        "key_replaced": False,
        "scope_key": f"{PREFIX}/scope.json",
        "source_key": f"{PREFIX}/source.json",
        "manifest_key": f"{PREFIX}/manifest.json",
        "retry": {"max_attempts": 5, "base_delay": 2, "max_delay": 60},
        "notification": {
            "notify_on_failure": True,
            "notify_on_success": False,
            "notify_on_partial_failure": True,
            "failure_threshold": 1,
        },
    }


def test_a_dry_run_takes_the_time_of_reading_alone() -> None:
    assert pytest.approx(0.3) == Given(dry_run=True).plan()["seconds_an_account"]


def test_the_source_is_stored() -> None:
    given = Given()
    before = datetime.now(UTC)
    given.plan()
    stored = given.bucket.objects[f"{PREFIX}/source.json"]
    assert make_source(stored.planned_at) == stored
    assert before <= datetime.fromisoformat(stored.planned_at) <= datetime.now(UTC)


def test_the_units_asked_for_are_in_the_scope() -> None:
    given = Given(RoundRequest(organizational_units=[UNIT]))
    given.plan()
    assert [UNIT] == given.bucket.objects[f"{PREFIX}/scope.json"].organizational_units


def test_the_scope_is_stored() -> None:
    given = Given(
        RoundRequest(account_ids=[MEMBER], must_exist=False),
        {
            "excluded_accounts": [MEMBER],
            "excluded_organizational_units": [UNIT],
        },
    )
    given.plan()
    assert given.bucket.objects[f"{PREFIX}/scope.json"] == make_scope(
        account_ids=[MEMBER],
        excluded_accounts=[MEMBER],
        excluded_organizational_units=[UNIT],
        must_exist=False,
    )


def test_only_configured_contacts_are_read() -> None:
    given = Given(config={"contact_types": ["security"]})
    given.source.failures["get", None, "primary"] = AssertionError("not configured")
    given.plan()
    source = given.bucket.objects[f"{PREFIX}/source.json"]
    assert {ContactType.SECURITY: make_contact("security")} == source.contacts


def test_a_plan_never_holds_a_contact_value() -> None:
    printed = repr(Given().plan())
    assert [] == [value for value in SECRET_VALUES if value in printed]


def test_an_unset_contact_is_skipped_with_the_reason() -> None:
    plan = Given(source=make_contacts(billing=None)).plan()
    assert {"billing": "not set in the management account"} == plan["skipped_types"]


def test_nothing_is_stored_where_nothing_changed() -> None:
    given = Given(RoundRequest(only_if_changed=True)).synced_to(DigestKey(KEY), *ContactType)
    assert [] == given.plan()["contact_types"]
    assert {} == given.bucket.objects


@pytest.mark.parametrize("only_if_changed", [True, False])
def test_a_plan_tells_whether_nothing_to_sync_may_be_a_stale_read(*, only_if_changed: bool) -> None:
    plan = Given(RoundRequest(only_if_changed=only_if_changed)).plan()
    assert only_if_changed is plan["only_if_changed"]


def test_only_what_changed_since_it_was_synced_is_planned() -> None:
    given = Given(RoundRequest(only_if_changed=True)).synced_to(DigestKey(KEY), *ContactType)
    given.source.contacts[None, "billing"] = make_contact("billing", Name="Newcomer")
    assert ["billing"] == given.plan()["contact_types"]


def test_a_replaced_key_means_one_full_compare_and_says_so() -> None:
    given = Given(RoundRequest(only_if_changed=True))
    given.synced_to(DigestKey(b"the lost key"), *ContactType)
    plan = given.plan()
    assert plan["key_replaced"]
    assert list(ContactType) == plan["contact_types"]


def test_a_replaced_key_of_a_type_that_is_not_planned_is_not_told() -> None:
    given = Given(RoundRequest(contact_types=[ContactType.BILLING]))
    given.synced_to(DigestKey(b"the lost key"), ContactType.SECURITY)
    assert not given.plan()["key_replaced"]


def test_not_even_an_unset_contact_is_known_by_another_keys_entry() -> None:
    given = Given(
        RoundRequest(only_if_changed=True),
        {"on_source_deleted": "delete"},
        make_contacts(security=None),
    ).synced_to(DigestKey(KEY), *ContactType)
    lost = DigestKey(b"the lost key").id
    given.runs.record_synced({ContactType.SECURITY: "absent"}, lost, "run-0", STARTED_AT)
    assert ["security"] == given.plan()["contact_types"]


@pytest.mark.parametrize(
    ("config", "source", "error"),
    [
        ({"contact_types": []}, make_contacts(), InvalidConfigError),
        ({}, dict.fromkeys(ContactType), EmptySourceError),
        ({}, make_contacts(billing=make_contact(Name=None)), InvalidSourceError),
    ],
)
def test_nothing_is_stored_where_configuration_or_source_is_wrong(
    config: dict[str, Any], source: dict[ContactType, Contact | None], error: type[Exception]
) -> None:
    given = Given(config=config, source=source)
    with pytest.raises(error):
        given.plan()
    assert {} == given.bucket.objects
