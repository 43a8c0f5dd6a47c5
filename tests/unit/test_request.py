"""The execution input: strict, each fault named; requests merge so that nothing is lost."""

import json
from typing import Any

import pytest
from builders import (
    ARABIC_DIGITS,
    MANAGEMENT,
    MEMBER,
    OTHER,
    OTHER_UNIT,
    UNIT,
    WIDE_DIGITS,
    hides_its_context,
    make_request,
    make_trigger,
)
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidRequestError
from contact_sync.request import (
    KEPT_NOTES,
    MOST_MERGED_ACCOUNTS,
    RoundRequest,
    TriggerSource,
    parse_request,
    round_request,
)
from hypothesis import given
from hypothesis import strategies as st

# DynamoDB's limit, in bytes.
LARGEST_ITEM = 400_000

BROKEN = {
    "not an object": ([], "input: "),
    "null": (None, "input: "),
    "a string": ("all", "input: "),
    "unknown key": ({"accounts": [MEMBER]}, "accounts: "),
    "dry_run a string": ({"dry_run": "true"}, "dry_run: "),
    "dry_run a number": ({"dry_run": 1}, "dry_run: "),
    "dry_run null": ({"dry_run": None}, "dry_run: "),
    "no accounts": ({"account_ids": []}, "account_ids: "),
    "accounts a string": ({"account_ids": MEMBER}, "account_ids: "),
    "an account a number": ({"account_ids": [100000000001]}, "account_ids.0: "),
    "an account too short": ({"account_ids": ["1000"]}, "account_ids.0: "),
    "an account empty": ({"account_ids": [""]}, "account_ids.0: "),
    "an account with a newline": ({"account_ids": [f"{MEMBER}\n"]}, "account_ids.0: "),
    "an account in Arabic digits": ({"account_ids": [ARABIC_DIGITS]}, "account_ids.0: "),
    "an account in wide digits": ({"account_ids": [WIDE_DIGITS]}, "account_ids.0: "),
    "an OU in wide letters": ({"organizational_units": ["ou-exam-\uff41bcdefgh"]}, "units.0: "),
    "a trigger's account in Arabic digits": (
        {"trigger": make_trigger("account_joined", account_id=ARABIC_DIGITS)},
        "trigger.account_id: ",
    ),
    "the second account": ({"account_ids": [MEMBER, "x"]}, "account_ids.1: "),
    "the management account": (
        {"account_ids": [MEMBER, MANAGEMENT]},
        f"account_ids: {MANAGEMENT} is the management account, whose contacts are the source and "
        "never written",
    ),
    "no OUs": ({"organizational_units": []}, "organizational_units: "),
    "an OU a name": ({"organizational_units": ["Workloads"]}, "organizational_units.0: "),
    "an OU a root": ({"organizational_units": ["r-exam"]}, "organizational_units.0: "),
    "no contact types": ({"contact_types": []}, "contact_types: "),
    "unknown contact type": ({"contact_types": ["legal"]}, "contact_types.0: "),
    "contact type a list": ({"contact_types": [["billing"]]}, "contact_types.0: "),
    "retry_of empty": ({"retry_of": ""}, "retry_of: "),
    "retry_of a list": ({"retry_of": ["run-1"]}, "retry_of: "),
    "retry_of with accounts": (
        {"retry_of": "run-1", "account_ids": [MEMBER]},
        "retry_of stands alone",
    ),
    "retry_of with OUs": (
        {"retry_of": "run-1", "organizational_units": [UNIT]},
        "retry_of stands alone",
    ),
    "retry_of with types": (
        {"retry_of": "run-1", "contact_types": ["billing"]},
        "retry_of stands alone",
    ),
    "reason empty": ({"reason": ""}, "reason: "),
    "reason too long": ({"reason": "x" * 1001}, "reason: "),
    "trigger a string": ({"trigger": "schedule"}, "trigger: "),
    "trigger empty": ({"trigger": {}}, "trigger.source: "),
    "unknown source": ({"trigger": make_trigger("by_hand")}, "trigger.source: "),
    "unknown trigger key": ({"trigger": make_trigger(values=1)}, "trigger.values: "),
    "joined without account": (
        {"trigger": make_trigger("account_joined")},
        "account_id is required for account_joined",
    ),
    "left without account": (
        {"trigger": make_trigger("account_left")},
        "account_id is required for account_left",
    ),
    "recovery without execution": (
        {"trigger": make_trigger("recovery")},
        "execution_arn is required for recovery",
    ),
    "trigger account not an id": (
        {"trigger": make_trigger("account_joined", account_id="member")},
        "trigger.account_id: ",
    ),
}


@pytest.mark.parametrize(("broken", "fault"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_input_is_refused_by_name(broken: Any, fault: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_request(broken, MANAGEMENT)
    assert str(caught.value).startswith("execution input: ")
    assert fault in str(caught.value)


def test_a_fault_never_repeats_the_value() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_request({"account_ids": ["trials@example.com"]}, MANAGEMENT)
    assert "trials@example.com" not in repr(caught.value)
    assert hides_its_context(caught.value)


def test_an_empty_input_is_a_full_resync() -> None:
    wanted = round_request(make_request())
    assert RoundRequest() == wanted
    assert wanted.covers_all_accounts


def test_an_input_by_hand_names_its_scope() -> None:
    request = make_request(
        account_ids=[MEMBER],
        organizational_units=[UNIT],
        contact_types=["billing"],
        reason="moved office",
    )
    assert round_request(request) == RoundRequest(
        account_ids=[MEMBER],
        organizational_units=[UNIT],
        contact_types=[ContactType.BILLING],
        reasons=["moved office"],
    )


@pytest.mark.parametrize("source", ["account_joined", "account_left"])
def test_an_event_about_an_account_asks_for_it_alone(source: str) -> None:
    wanted = round_request(make_request(trigger=make_trigger(source, account_id=MEMBER)))
    assert wanted == RoundRequest(account_ids=[MEMBER], must_exist=False, event_ids=["event-1"])


def test_a_changed_contact_settles_and_syncs_only_what_changed() -> None:
    wanted = round_request(make_request(trigger=make_trigger("contact_changed")))
    assert wanted == RoundRequest(
        only_if_changed=True, settle=True, must_exist=False, event_ids=["event-1"]
    )


@pytest.mark.parametrize("source", ["schedule", "test"])
def test_other_triggers_compare_everything(source: str) -> None:
    wanted = round_request(make_request(trigger=make_trigger(source)))
    assert RoundRequest(must_exist=False, event_ids=["event-1"]) == wanted


def test_retry_of_becomes_its_accounts() -> None:
    wanted = round_request(make_request(retry_of="run-0"), [MEMBER, OTHER])
    assert RoundRequest(account_ids=[MEMBER, OTHER]) == wanted


def test_retry_of_at_most_5000_failed_accounts_names_them() -> None:
    wanted = round_request(make_request(retry_of="run-0"), ids(0, MOST_MERGED_ACCOUNTS))
    assert ids(0, MOST_MERGED_ACCOUNTS) == wanted.account_ids


@pytest.mark.parametrize("count", [MOST_MERGED_ACCOUNTS + 1, 50_000])
def test_retry_of_more_failed_accounts_means_every_account_and_fits_an_item(count: int) -> None:
    wanted = round_request(make_request(retry_of="run-0", reason="again"), ids(0, count))
    assert RoundRequest(reasons=["again"]) == wanted
    assert wanted.covers_all_accounts
    assert len(json.dumps(wanted.stored())) < LARGEST_ITEM


def test_only_the_trigger_recovery_recovers() -> None:
    recovery = make_trigger("recovery", execution_arn="arn:x:run-0")
    assert make_request(trigger=recovery).is_recovery
    assert not make_request(trigger=make_trigger("schedule")).is_recovery
    assert not make_request().is_recovery


def test_every_source_but_those_about_something_needs_no_more() -> None:
    free = set(TriggerSource) - {"account_joined", "account_left", "recovery"}
    assert free == {make_request(trigger=make_trigger(one)).trigger.source for one in free}  # type: ignore[union-attr]


# Merging

MERGES = {
    "all accounts win": ({}, {"account_ids": [MEMBER]}, {"must_exist": False}),
    "all accounts win over OUs": ({"organizational_units": [UNIT]}, {}, {"must_exist": False}),
    "accounts add up": (
        {"account_ids": [MEMBER]},
        {"account_ids": [OTHER, MEMBER]},
        {"account_ids": [MEMBER, OTHER], "must_exist": False},
    ),
    "accounts and OUs add up": (
        {"account_ids": [MEMBER]},
        {"organizational_units": [UNIT]},
        {"account_ids": [MEMBER], "organizational_units": [UNIT], "must_exist": False},
    ),
    "OUs add up": (
        {"organizational_units": [UNIT]},
        {"organizational_units": [OTHER_UNIT]},
        {"organizational_units": [UNIT, OTHER_UNIT], "must_exist": False},
    ),
    "contact types add up": (
        {"contact_types": ["billing"]},
        {"contact_types": ["security"]},
        {"contact_types": ["billing", "security"], "must_exist": False},
    ),
    "all contact types win": ({"contact_types": ["billing"]}, {}, {"must_exist": False}),
    "a full compare wins over only what changed": (
        {"only_if_changed": True, "settle": True},
        {"must_exist": False},
        {"settle": True, "must_exist": False},
    ),
    "two that only want what changed": (
        {"only_if_changed": True, "must_exist": False},
        {"only_if_changed": True, "settle": True, "must_exist": False},
        {"only_if_changed": True, "settle": True, "must_exist": False},
    ),
    "the same again": ({"account_ids": [MEMBER]}, {"account_ids": [MEMBER]}, None),
    "notes are kept once": (
        {"reasons": ["a", "b"], "event_ids": ["1"]},
        {"reasons": ["b", "c"], "event_ids": ["1", "2"]},
        {"reasons": ["a", "b", "c"], "event_ids": ["1", "2"], "must_exist": False},
    ),
}


@pytest.mark.parametrize(("one", "other", "merged"), MERGES.values(), ids=MERGES.keys())
def test_a_merged_request_asks_for_both(
    one: dict[str, Any], other: dict[str, Any], merged: dict[str, Any] | None
) -> None:
    expected = RoundRequest(**(one if merged is None else merged))
    assert expected == RoundRequest(**one).merge(RoundRequest(**other))


def test_at_most_20_notes_are_kept_the_latest() -> None:
    one = RoundRequest(reasons=[f"r{n}" for n in range(20)], event_ids=[f"e{n}" for n in range(20)])
    merged = one.merge(RoundRequest(reasons=["r20"], event_ids=["e20"]))
    assert [f"r{n}" for n in range(1, 21)] == merged.reasons
    assert [f"e{n}" for n in range(1, 21)] == merged.event_ids
    assert KEPT_NOTES == 20


def ids(start: int, count: int) -> list[str]:
    return [str(100_000_000_000 + n) for n in range(start, start + count)]


def test_up_to_5000_merged_accounts_stay_named() -> None:
    merged = RoundRequest(account_ids=ids(0, 2500)).merge(RoundRequest(account_ids=ids(2500, 2500)))
    assert MOST_MERGED_ACCOUNTS == len(merged.account_ids or [])


def test_beyond_5000_merged_accounts_every_account_is_meant() -> None:
    one = RoundRequest(account_ids=ids(0, 2500), organizational_units=[UNIT])
    merged = one.merge(RoundRequest(account_ids=ids(2500, 2501)))
    assert merged.covers_all_accounts


def names_or_all(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(values, min_size=1, max_size=4, unique=True)


requests = st.builds(
    RoundRequest,
    account_ids=names_or_all(st.sampled_from(ids(0, 6))),
    organizational_units=names_or_all(st.sampled_from([UNIT, OTHER_UNIT, "ou-exam-payments"])),
    contact_types=names_or_all(st.sampled_from(ContactType)),
    only_if_changed=st.booleans(),
    settle=st.booleans(),
    must_exist=st.booleans(),
    reasons=st.lists(st.sampled_from("abc"), max_size=3, unique=True),
    event_ids=st.lists(st.sampled_from("123"), max_size=3, unique=True),
)


def unordered(request: RoundRequest) -> dict[str, Any]:
    return {
        name: frozenset(value) if isinstance(value, list) else value
        for name, value in request.model_dump().items()
    }


@given(requests, requests)
def test_merging_does_not_depend_on_who_came_first(one: RoundRequest, other: RoundRequest) -> None:
    assert unordered(one.merge(other)) == unordered(other.merge(one))


@given(requests, requests, requests)
def test_merging_three_does_not_depend_on_the_grouping(
    one: RoundRequest, two: RoundRequest, three: RoundRequest
) -> None:
    early, late = unordered(one.merge(two).merge(three)), unordered(one.merge(two.merge(three)))
    # Whether two requests are the same one queued twice is told pair by pair.
    assert early | {"must_exist": None} == late | {"must_exist": None}


@given(requests)
def test_merging_a_request_with_itself_changes_nothing(one: RoundRequest) -> None:
    assert one == one.merge(one)


@given(requests, requests)
def test_merging_never_loses_an_account_an_ou_or_a_type(
    one: RoundRequest, other: RoundRequest
) -> None:
    merged = one.merge(other)
    for part in (one, other):
        everyone = merged.covers_all_accounts
        assert everyone or not part.covers_all_accounts
        assert everyone or set(part.account_ids or ()) <= set(merged.account_ids or ())
        units = set(merged.organizational_units or ())
        assert everyone or set(part.organizational_units or ()) <= units
        every_type = merged.contact_types is None
        assert every_type or part.contact_types is not None
        assert every_type or set(part.contact_types or ()) <= set(merged.contact_types or ())
        assert part.only_if_changed or not merged.only_if_changed
        assert merged.settle or not part.settle


@given(requests)
def test_a_stored_request_comes_back_the_same(one: RoundRequest) -> None:
    assert one == RoundRequest.model_validate(one.stored())
