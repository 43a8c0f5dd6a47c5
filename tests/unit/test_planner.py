"""A run is planned from what is queued and what is true now, and stored past the history."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from contact_sync.accounts import Scope
from contact_sync.config import FIXED_PRIMARY_FIELDS, parse_config, version_of
from contact_sync.contacts import Contact, ContactType
from contact_sync.errors import (
    AccessDeniedError,
    EmptySourceError,
    InvalidConfigError,
    InvalidSourceError,
    LockLostError,
)
from contact_sync.quotas import QUOTAS, accounts_at_once, seconds_by_type, slowest
from contact_sync.request import RunRequest
from contact_sync_handler import planner
from contact_sync_handler.contact_choice import NOT_CONFIGURED, NOT_SET, READ_AGAIN
from contact_sync_handler.planner import Planner, configuration_digest
from support.builders import (
    ALTERNATE_FIELDS,
    EARLIER,
    EARLIER_PLAN,
    KEY,
    MANAGEMENT,
    MEMBER,
    NOW,
    OTHER,
    SECRET_VALUES,
    STARTED_AT,
    SYNC_ID,
    UNIT,
    make_config,
    make_contact,
    make_contacts,
    make_run,
    make_scope,
    make_source,
    make_trigger,
)
from support.clock import stop_clock
from support.fakes import FakeBucket, FakeContacts, FakeLock, FakeRuns

PLANNED_AT = "2026-01-05T10:00:00.000000+00:00"
PREFIX = f"runs/{SYNC_ID}/{PLANNED_AT}"
CHANGE = RunRequest(is_change=True)
EVERY_TYPE = ["primary", "billing", "operations", "security"]
DELETES = {"on_source_deleted": "delete"}


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clock(monkeypatch, planner)


class Given:
    """A run that holds the lock, a configuration and a source, and the planner over them."""

    def __init__(self, *requests: RunRequest, config: Any = None, **source: Contact | None) -> None:
        self.config = make_config(**(config or {}))
        self.book: dict[str, dict[str, str]] = {}
        self.fixed_fields: Sequence[str] = ()
        self.max_concurrency = 6
        self.lock = FakeLock(SYNC_ID)
        for number, request in enumerate(requests):
            self.lock.add(f"asks-{number}", request)
        self.runs = FakeRuns()
        self.bucket = FakeBucket()
        self.source = FakeContacts()
        for name, contact in make_contacts(**source).items():
            self.set(name, contact)

    def set(self, name: str, contact: Contact | None) -> None:
        self.source.contacts.pop((None, name), None)
        if contact:
            self.source.contacts[None, name] = contact

    def tried_everywhere(self) -> "Given":
        """Let an earlier run over every account have tried the present source."""
        self.plan()
        item = self.run
        self.lock.item |= {"held": {**item["source"], "configuration": item["configuration"]}}
        del self.lock.item["planned_at"]
        self.runs.items.clear()
        self.bucket.objects.clear()
        return self

    def plan(
        self,
        own: RunRequest | None = None,
        missing: list[str] | None = None,
        **execution_input: Any,
    ) -> dict[str, Any]:
        run = make_run(**execution_input)
        return self.planner.plan(run, execution_input, own, missing)

    def plan_dry_run(self, **request: Any) -> dict[str, Any]:
        return self.plan(RunRequest(**request), dry_run=True)

    @property
    def planner(self) -> Planner:
        return Planner(
            lock=self.lock,  # type: ignore[arg-type]
            load_config=lambda: parse_config(self.config),
            load_book=lambda: (self.book, "version-1"),
            load_key=lambda: KEY,
            source=self.source,  # type: ignore[arg-type]
            runs=self.runs,  # type: ignore[arg-type]
            bucket=self.bucket,  # type: ignore[arg-type]
            management_account_id=MANAGEMENT,
            quotas=QUOTAS["aws"],
            max_concurrency=self.max_concurrency,
            fixed_fields=self.fixed_fields,
        )

    @property
    def run(self) -> dict[str, Any]:
        return self.runs.read(STARTED_AT, SYNC_ID)

    @property
    def seconds(self) -> float:
        """Return what the plan expects an account to take."""
        scope: Scope = self.bucket.objects[f"{PREFIX}/scope.json"]
        return slowest(scope.seconds.values())

    @property
    def held(self) -> dict[str, str]:
        held: dict[str, str] = self.lock.item["held"]
        return held


def test_a_plan_is_what_the_runs_states_need() -> None:
    given = Given(RunRequest(), config={"retry_config": {"max_attempts": 5}})
    assert given.plan() == {
        "confirm": False,
        "sync_id": SYNC_ID,
        "planned_at": PLANNED_AT,
        "dry_run": False,
        "contact_types": EVERY_TYPE,
        "source_key": f"{PREFIX}/source.json",
        "scope_key": f"{PREFIX}/scope.json",
        "manifest_key": f"{PREFIX}/manifest.json",
        "retry": {"max_attempts": 5, "base_delay": 2, "max_delay": 60},
        "notification": {
            "notify_on_failure": True,
            "notify_on_success": False,
            "notify_on_partial_failure": True,
            "failure_threshold": 1,
            "drift_threshold": None,
        },
        "max_concurrency": 6,
    }


@pytest.mark.rule(12)
def test_source_and_scope_are_stored_past_the_history() -> None:
    request = RunRequest(account_ids=[MEMBER], organizational_units=[UNIT], insisted=[MEMBER])
    exclusions = {"excluded_accounts": [OTHER], "excluded_organizational_units": [UNIT]}
    given = Given(request, config=exclusions)
    given.plan()
    assert given.bucket.objects == {
        f"{PREFIX}/source.json": make_source(insisted=[MEMBER]),
        f"{PREFIX}/scope.json": make_scope(
            account_ids=[MEMBER],
            organizational_units=[UNIT],
            **exclusions,
            seconds=seconds_by_type(make_contacts(), ContactType, ContactType, QUOTAS["aws"]),
        ),
    }


def test_only_the_contacts_that_the_run_syncs_are_stored() -> None:
    given = Given(RunRequest(contact_types=[ContactType.BILLING]))
    given.plan()
    stored = given.bucket.objects[f"{PREFIX}/source.json"]
    assert {ContactType.BILLING: make_contact("billing")} == stored.contacts


def test_only_configured_contacts_are_read() -> None:
    given = Given(RunRequest(), config={"contact_types": ["security"]})
    given.source.failures["get", None, "primary"] = AssertionError("not configured")
    assert ["security"] == given.plan()["contact_types"]


@pytest.mark.rule(12)
def test_neither_the_plan_nor_the_runs_item_holds_a_contact_value() -> None:
    given = Given(RunRequest())
    printed = repr((given.plan(), given.runs.items, given.lock.item))
    assert [] == [value for value in SECRET_VALUES if value in printed]


# The lock


@pytest.mark.rule(7)
@pytest.mark.parametrize("holder", [None, "other"])
def test_a_run_without_the_lock_plans_nothing(holder: str | None) -> None:
    given = Given(RunRequest())
    given.lock.item = {"holder": holder} if holder else {}
    with pytest.raises(LockLostError, match=f"held by {holder or 'nobody'}$"):
        given.plan()
    assert ({}, {}) == (given.runs.items, given.bucket.objects)


def test_a_lock_lost_while_planning_leaves_nothing_to_write_from() -> None:
    """Its end is recorded already: without that, what it took late would be dropped."""
    given = Given(RunRequest())
    given.runs.update(STARTED_AT, SYNC_ID, {"ended_at": EARLIER})

    def steal(operation: str) -> None:
        if operation == "record_plan":
            given.lock.item["holder"] = "other"

    given.lock.before = steal
    with pytest.raises(LockLostError, match=r"^another execution took over the lock$"):
        given.plan()
    assert {} == given.bucket.objects
    assert "planned_at" not in given.lock.item
    assert EARLIER == given.run["ended_at"]


@pytest.mark.rule(7)
@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("2026-01-05T09:00:00.000000+00:00", PLANNED_AT),
        (PLANNED_AT, "2026-01-05T10:00:00.000001+00:00"),
        ("2026-01-05T10:07:59.999999+00:00", "2026-01-05T10:08:00.000000+00:00"),
    ],
)
def test_each_plan_is_later_than_the_one_before_whatever_the_clock_says(
    before: str, expected: str
) -> None:
    given = Given(RunRequest())
    given.lock.item["planned_at"] = before
    assert expected == given.plan()["planned_at"]
    assert expected == given.lock.item["planned_at"] == given.run["planned_at"]


# What the run takes


@pytest.mark.case("A10")
def test_no_more_requests_are_taken_than_the_runs_item_can_name() -> None:
    given = Given()
    for number in range(1_001):
        given.lock.add(f"{number:04}", queued_at=NOW - timedelta(seconds=2_000 - number))
    given.plan()
    assert [f"{number:04}" for number in range(1_000)] == given.run["taken"]


def test_a_redriven_run_has_no_outcome_from_before() -> None:
    given = Given()
    outcome = {"ended_at": EARLIER, "status": "aborted", "error": "ABORTED", "cause": ""}
    given.runs.update(STARTED_AT, SYNC_ID, outcome)
    given.plan()
    assert set() == outcome.keys() & given.run.keys()


@pytest.mark.rule(7)
def test_everything_queued_is_taken_and_stays_queued() -> None:
    given = Given(RunRequest(account_ids=[MEMBER], contact_types=[ContactType.SECURITY]))
    given.lock.add(
        "first",
        RunRequest(account_ids=[OTHER], contact_types=[ContactType.BILLING]),
        started_at=STARTED_AT,
        queued_at=NOW - timedelta(hours=1),
    )
    planned = given.plan(trigger=make_trigger("schedule"))
    assert ["first", "asks-0"] == given.run["taken"]
    assert [STARTED_AT, EARLIER] == given.run["taken_started_at"]
    assert {"account_ids": [OTHER, MEMBER], "contact_types": ["billing", "security"]} == {
        name: given.run["request"][name] for name in ("account_ids", "contact_types")
    }
    assert "schedule" == given.run["trigger"]["source"]
    assert {"first", "asks-0"} == set(given.lock.requests)
    assert ["billing", "security"] == planned["contact_types"]


@pytest.mark.parametrize(
    ("pending", "accounts"),
    [
        ({"account_ids": [OTHER], "only_if_changed": True}, [MEMBER, OTHER]),
        ({}, None),
        ({"account_ids": "all"}, None),
        ("everything", None),
    ],
)
def test_what_version_1_queued_is_taken_too_and_means_everything_where_it_cannot_be_read(
    pending: Any, accounts: list[str] | None
) -> None:
    given = Given(RunRequest(account_ids=[MEMBER]))
    given.lock.item["pending"] = pending
    given.plan()
    assert accounts == given.bucket.objects[f"{PREFIX}/scope.json"].account_ids


def test_a_run_for_which_nothing_is_queued_any_more_syncs_nothing() -> None:
    given = Given()
    assert [] == given.plan()["contact_types"]
    assert ([], {}) == (given.run["taken"], given.bucket.objects)


def test_what_is_taken_is_noted_also_where_planning_fails() -> None:
    given = Given(RunRequest(), config={"contact_types": []})
    with pytest.raises(InvalidConfigError):
        given.plan()
    assert ["asks-0"] == given.run["taken"]


@pytest.mark.rule(9)
def test_the_source_is_to_be_checked_5_minutes_after_the_newest_change() -> None:
    given = Given(RunRequest())
    for name, minutes in (("older", 9), ("newest", 2)):
        given.lock.add(name, CHANGE, queued_at=NOW - timedelta(minutes=minutes))
    given.plan()
    assert (NOW + timedelta(minutes=3)).isoformat() == given.run["check_source_at"]


# Contacts of the address book

RULE = {"account_ids": [MEMBER], "security": "payments"}
PAYMENTS = {"payments": {**ALTERNATE_FIELDS, "EmailAddress": "payments@example.com"}}


def overridden(*requests: RunRequest, book: Any = None, **changes: Any) -> Given:
    source = {name: changes.pop(name) for name in list(changes) if name in EVERY_TYPE}
    given = Given(*requests, config={"overrides": [RULE], **changes}, **source)
    given.book = PAYMENTS if book is None else book
    return given


def test_the_contacts_that_rules_use_are_stored_with_the_source() -> None:
    given = overridden(RunRequest(), book={**PAYMENTS, "unused": {}}, primary_keeps=["City"])
    given.plan()
    source = given.bucket.objects[f"{PREFIX}/source.json"]
    assert (PAYMENTS, ("City",)) == (source.named, source.primary_keeps)
    overrides = given.bucket.objects[f"{PREFIX}/scope.json"].overrides
    assert {MEMBER: {ContactType.SECURITY: "payments"}} == overrides.accounts


def test_what_a_partition_does_not_change_is_kept_as_well() -> None:
    given = Given(RunRequest(), config={"primary_keeps": ["City", "CountryCode"]})
    given.fixed_fields = FIXED_PRIMARY_FIELDS["aws-cn"]
    given.plan()
    source = given.bucket.objects[f"{PREFIX}/source.json"]
    assert ("City", "CountryCode", "CompanyName") == source.primary_keeps
    stored = version_of(parse_config(given.config))
    assert stored == given.run["versions"]["configuration"]


def test_without_a_name_in_a_rule_the_address_book_is_not_read() -> None:
    given = Given(RunRequest(), config={"overrides": [{**RULE, "security": "own"}]})
    given.book = None  # type: ignore[assignment]
    assert EVERY_TYPE == given.plan()["contact_types"]
    assert {} == given.bucket.objects[f"{PREFIX}/source.json"].named
    assert given.run["versions"]["contacts"] is None


@pytest.mark.rule(4)
@pytest.mark.rule(12)
def test_what_the_api_would_refuse_of_a_contact_that_is_used_is_warned_of() -> None:
    broken = {**ALTERNATE_FIELDS, "PhoneNumber": "ask 555"}
    given = overridden(RunRequest(), book={"payments": broken, "unused": {}})
    given.plan()
    expected = "address book: payments: security.PhoneNumber has a format that the API refuses"
    assert expected in given.run["warnings"]
    assert "ask 555" not in str(given.run)


@pytest.mark.rule(9)
@pytest.mark.parametrize("what", ["config", "book"])
def test_a_change_after_another_address_book_or_configuration_asks_for_every_type(
    what: str,
) -> None:
    given = overridden(CHANGE).tried_everywhere()
    if what == "book":
        given.book = {"payments": {**PAYMENTS["payments"], "Title": "Another"}}
    else:
        given.config["overrides"][0] = {**RULE, "account_ids": [OTHER]}
    assert EVERY_TYPE == given.plan()["contact_types"]
    assert {} == given.held


def test_an_entry_that_no_rule_uses_changes_nothing() -> None:
    given = overridden(CHANGE).tried_everywhere()
    given.book = {**PAYMENTS, "unused": {}}
    given.set("billing", make_contact(Name="Newcomer"))
    assert ["billing"] == given.plan()["contact_types"]


@pytest.mark.parametrize("security", [None, make_contact("security", Name="n" * 65)])
def test_a_type_is_synced_by_name_where_the_source_has_none_that_could_be(
    security: Contact | None,
) -> None:
    given = overridden(RunRequest(), security=security)
    assert EVERY_TYPE == given.plan()["contact_types"]
    assert ContactType.SECURITY not in given.bucket.objects[f"{PREFIX}/source.json"].contacts
    assert ["security"] == list(given.bucket.objects[f"{PREFIX}/scope.json"].left_out)


def test_a_source_without_any_contact_is_no_error_where_rules_give_others() -> None:
    given = overridden(RunRequest(), contact_types=["security"], security=None)
    assert ["security"] == given.plan()["contact_types"]


def test_a_run_records_which_versions_it_used() -> None:
    given = overridden(RunRequest())
    given.plan()
    versions = given.run["versions"]
    assert "version-1" == versions["contacts"]
    given.config["overrides"] = []
    given.plan()
    assert versions["configuration"] != given.run["versions"]["configuration"]


# What a change asks for


def test_a_change_asks_for_the_types_that_changed_since_the_last_run_over_every_account() -> None:
    given = Given(CHANGE).tried_everywhere()
    given.set("billing", make_contact(Name="Newcomer"))
    planned = given.plan()
    assert ["billing"] == planned["contact_types"]
    assert pytest.approx(0.2) == given.seconds


def test_what_changed_is_expected_to_differ_everywhere() -> None:
    given = Given(RunRequest()).tried_everywhere()
    given.set("billing", make_contact(Name="Newcomer"))
    given.plan()
    assert {"least": 300, "expected": 300, "most": 300} == given.run["milliseconds_per_account"]


def test_where_nothing_changed_the_time_is_between_reading_and_writing_everything() -> None:
    given = Given(RunRequest()).tried_everywhere()
    given.plan()
    assert {"least": 300, "expected": 300, "most": 600} == given.run["milliseconds_per_account"]


def test_a_change_of_which_nothing_shows_asks_for_every_type() -> None:
    given = Given(CHANGE).tried_everywhere()
    assert EVERY_TYPE == given.plan()["contact_types"]
    assert pytest.approx(0.3) == given.seconds  # reading alone


@pytest.mark.rule(9)
def test_what_the_run_is_about_to_contradict_is_not_held_any_more() -> None:
    given = Given(RunRequest(account_ids=[MEMBER])).tried_everywhere()
    given.set("billing", make_contact(Name="Newcomer"))
    before = dict(given.held)
    given.plan()
    del before["billing"]
    assert before == given.held


def test_what_a_run_does_not_sync_stays_held() -> None:
    given = Given(RunRequest(contact_types=[ContactType.SECURITY])).tried_everywhere()
    given.set("billing", make_contact(Name="Newcomer"))
    before = dict(given.held)
    given.plan()
    assert before == given.held


# What the source says


def test_a_deletion_is_read_twice_before_anything_is_planned() -> None:
    given = Given(RunRequest(), config=DELETES, security=None)
    assert {"confirm": True, "missing": ["security"]} == given.plan()
    assert {} == given.bucket.objects
    assert "planned_at" not in given.lock.item
    planned = given.plan(missing=["security"])
    assert EVERY_TYPE == planned["contact_types"]
    stored = given.bucket.objects[planned["source_key"]]
    assert stored.contacts[ContactType.SECURITY] is None


def test_an_invalid_contact_is_left_out_and_the_rest_is_planned() -> None:
    given = Given(RunRequest(), primary=make_contact("primary", PhoneNumber="0400 000 000"))
    assert ["billing", "operations", "security"] == given.plan()["contact_types"]
    assert ["primary"] == given.run["invalid"]
    reason = "invalid: primary.PhoneNumber has a format that the API refuses"
    assert {"primary": reason} == given.run["left_out"]


def test_what_is_left_out_is_noted_with_the_reason() -> None:
    types = [ContactType.BILLING, ContactType.OPERATIONS, ContactType.SECURITY]
    config = {"contact_types": ["billing", "security"]}
    given = Given(RunRequest(contact_types=types), config=config, security=None)
    given.plan()
    assert {"operations": NOT_CONFIGURED, "security": NOT_SET} == given.run["left_out"]
    assert (["billing"], ["security"]) == (given.run["contact_types"], given.run["missing"])


def test_a_configured_contact_that_is_missing_is_noted_also_where_it_is_not_asked_for() -> None:
    given = Given(RunRequest(contact_types=[ContactType.BILLING]), security=None)
    given.plan()
    assert (["security"], {}) == (given.run["missing"], given.run["left_out"])


def test_contacts_that_share_one_address_are_warned_of() -> None:
    given = Given(RunRequest())
    given.plan()
    shared = "billing, operations and security share one e-mail address"
    assert [shared] == given.run["warnings"]


@pytest.mark.parametrize(
    ("config", "source", "error"),
    [
        ({"contact_types": []}, {}, InvalidConfigError),
        ({}, dict.fromkeys(EVERY_TYPE), EmptySourceError),
        ({"contact_types": ["billing"]}, {"billing": make_contact(Name=None)}, InvalidSourceError),
    ],
)
def test_nothing_is_stored_where_configuration_or_source_is_wrong(
    config: dict[str, Any], source: dict[str, Contact | None], error: type[Exception]
) -> None:
    given = Given(RunRequest(), config=config, **source)
    with pytest.raises(error):
        given.plan()
    assert {} == given.bucket.objects
    assert "planned_at" not in given.lock.item


# Dry runs


def test_a_dry_run_takes_nothing_queued_and_leaves_lock_and_queue_alone() -> None:
    given = Given(RunRequest())
    given.lock.item = {"holder": "other", "planned_at": "2026-01-05T09:00:00.000000+00:00"}
    before = dict(given.lock.item)
    planned = given.plan_dry_run(account_ids=[MEMBER])
    assert planned["dry_run"]
    assert (before, {"asks-0"}) == (given.lock.item, set(given.lock.requests))
    assert ([], True) == (given.run["taken"], given.run["dry_run"])
    assert [MEMBER] == given.bucket.objects[planned["scope_key"]].account_ids


@pytest.mark.parametrize(("holder", "processes"), [("other", 1), (None, 6)])
def test_a_dry_run_beside_a_run_uses_one_process(holder: str | None, processes: int) -> None:
    given = Given()
    given.lock.item = {"holder": holder} if holder else {}
    assert processes == given.plan_dry_run()["max_concurrency"]


def test_a_dry_run_takes_the_time_of_reading_alone() -> None:
    given = Given()
    given.plan_dry_run()
    assert pytest.approx(0.3) == given.seconds
    times = given.run["milliseconds_per_account"]
    assert {"least": 300, "expected": 300, "most": 300} == times


def test_no_more_accounts_at_once_than_fit_the_quotas_of_an_accounts_calls() -> None:
    given = Given(RunRequest())
    given.max_concurrency = 1000
    assert given.plan()["max_concurrency"] in (99, accounts_at_once(0.6, 1000))


def test_a_configuration_is_the_same_in_whichever_order_its_contacts_were_read() -> None:
    config, (one, other) = parse_config(make_config()), ({"Name": "1"}, {"Name": "2"})
    assert configuration_digest(config, {"one": one, "other": other}, KEY) == configuration_digest(
        config, {"other": other, "one": one}, KEY
    )


# Whether the source has settled


def test_a_source_that_is_still_what_the_plan_read_has_settled() -> None:
    given = Given(CHANGE)
    given.plan()
    assert given.planner.is_settled(given.run)
    assert not given.planner.is_settled({**given.run, "left_out": {"security": READ_AGAIN}})
    assert given.planner.is_settled({})  # nothing was read
    given.set("billing", make_contact(PhoneNumber="+1 (555) 0100"))  # the same number
    assert given.planner.is_settled(given.run)


@pytest.mark.rule(9)
@pytest.mark.parametrize(
    ("planned", "now"),
    [
        (make_contact(), make_contact(Name="Newcomer")),
        (make_contact(), None),
        (None, make_contact()),
    ],
)
def test_a_source_that_has_changed_since_the_plan_has_not_settled(
    planned: Contact | None, now: Contact | None
) -> None:
    given = Given(CHANGE, billing=planned)
    given.plan()
    given.set("billing", now)
    assert not given.planner.is_settled(given.run)


def test_a_source_that_a_later_run_has_tried_everywhere_has_settled() -> None:
    given = Given(CHANGE)
    given.plan()
    item = given.run
    given.set("billing", make_contact(Name="Newcomer"))
    given.tried_everywhere()
    assert given.planner.is_settled(item)
    given.set("security", None)
    assert not given.planner.is_settled(item)


def test_a_contact_that_is_not_configured_does_not_keep_the_source_from_settling() -> None:
    given = Given(CHANGE, config={"contact_types": ["billing"]})
    given.plan()
    given.set("security", None)
    assert given.planner.is_settled(given.run)


@pytest.mark.parametrize("stale", [None, make_contact(Name=None)])
def test_a_source_in_error_that_was_read_stale_has_not_settled(stale: Contact | None) -> None:
    given = Given(CHANGE, config={"contact_types": ["billing"]}, billing=stale)
    with pytest.raises((EmptySourceError, InvalidSourceError)):
        given.plan()
    assert given.planner.is_settled(given.run)
    given.set("billing", make_contact())
    assert not given.planner.is_settled(given.run)


# An undo


UNDO = RunRequest(undo="run-0", account_ids=[MEMBER], contact_types=[ContactType.BILLING])


def test_an_undo_is_taken_alone_the_oldest_first() -> None:
    given = Given(RunRequest(), UNDO, RunRequest(undo="run-00"))
    planned = given.plan()
    assert ["asks-1"] == given.run["taken"]
    assert ["billing"] == planned["contact_types"]
    assert ["run-0"] == given.run["undoes"]


@pytest.mark.rule(19)
def test_an_undo_is_planned_to_stay_within_the_quotas_even_if_it_deletes_every_contact() -> None:
    given = Given(RunRequest(undo="run-0"))
    given.max_concurrency = 1000
    assert accounts_at_once(3, 1000) == given.plan()["max_concurrency"]
    assert {"least": 300, "expected": 600, "most": 3000} == given.run["milliseconds_per_account"]


def test_what_version_1_left_is_done_before_an_undo() -> None:
    given = Given(UNDO, RunRequest(contact_types=[ContactType.SECURITY]))
    given.lock.item["pending"] = {"contact_types": ["security"]}
    given.plan()
    assert ["asks-1"] == given.run["taken"]
    assert [] == given.run["undoes"]


@pytest.mark.rule(12)
def test_an_undo_stores_no_contact_of_the_source_and_does_not_read_it() -> None:
    given = Given(UNDO, config={"contact_types": ["security"]})
    given.source.failures = {("get", None, one): AccessDeniedError("no") for one in ContactType}
    given.plan()
    source = given.bucket.objects[f"{PREFIX}/source.json"]
    assert (True, KEY, {}) == (source.is_undo, source.digest_key, source.named)
    assert [] == [value for contact in source.contacts.values() for value in contact.fields]
    scope = given.bucket.objects[f"{PREFIX}/scope.json"]
    assert (("run-0",), (ContactType.SECURITY,)) == (scope.undoes, scope.synced_types)


def test_an_undo_removes_the_entries_of_its_types_and_asks_for_no_second_look() -> None:
    given = Given().tried_everywhere()
    before = dict(given.held)
    given.lock.add("undo", UNDO)
    given.plan()
    assert before == given.held | {"billing": before["billing"]}
    assert "billing" not in given.held
    assert given.run["check_source_at"] is None


def test_a_dry_run_of_an_undo_changes_no_entry() -> None:
    given = Given().tried_everywhere()
    before = dict(given.held)
    planned = given.plan(RunRequest(undo="run-0"), dry_run=True)
    assert (4, before) == (len(planned["contact_types"]), given.held)


def test_a_run_that_goes_on_with_a_dead_one_is_named_there() -> None:
    given = Given(RunRequest(continues=["dead", "unknown"]))
    given.runs.update(EARLIER, "dead", {"planned_at": EARLIER_PLAN})
    given.plan()
    assert SYNC_ID == given.runs.read(EARLIER, "dead")["continued_by"]


def test_a_second_run_that_goes_on_with_a_dead_one_is_named_in_the_first() -> None:
    given = Given(RunRequest(continues=["dead"]))
    given.runs.update(EARLIER, "dead", {"continued_by": "first"})
    given.runs.update(EARLIER, "first", {"planned_at": EARLIER_PLAN})
    given.plan()
    given.plan()
    named = [given.runs.read(EARLIER, one)["continued_by"] for one in ("dead", "first")]
    assert ["first", SYNC_ID] == named
