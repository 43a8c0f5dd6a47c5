"""The execution input: strict, each fault named; requests merge so that nothing is lost."""

import json
from itertools import product
from typing import Any

import pytest
from contact_sync.contacts import ContactType
from contact_sync.errors import InvalidRequestError
from contact_sync.request import (
    ABOUT_ONE_ACCOUNT,
    MAX_HOPS,
    MAX_MERGED_ACCOUNTS,
    MAX_NOTES,
    RunRequest,
    TriggerSource,
    merged,
    parse_request,
    run_request,
    trigger_of,
)
from hypothesis import given
from hypothesis import strategies as st
from support.builders import (
    INNER_UNIT,
    MANAGEMENT,
    MEMBER,
    OTHER,
    OTHER_UNIT,
    STRANGER,
    UNIT,
    hides_its_context,
    make_request,
    make_trigger,
)

# In bytes: DynamoDB's limit, and Step Functions'.
LARGEST_ITEM = 400_000
LARGEST_INPUT = 262_144

BROKEN = {
    "not an object": ([], "expected an object, in braces, for example {}"),
    "null, which stands for an input that is too large": (
        None,
        "expected an object, in braces, of at most 120,000 characters (20,000 where one is not "
        "ASCII); instead of thousands of account_ids, use organizational_units",
    ),
    "unknown key": ({"accounts": [MEMBER]}, "accounts: unknown key: did you mean account_ids?"),
    "dry_run a string": ({"dry_run": "true"}, "dry_run: "),
    "accounts null": ({"account_ids": None}, "account_ids: must not be null"),
    "no accounts": ({"account_ids": []}, "account_ids: "),
    "an OU in wide letters": ({"organizational_units": ["ou-exam-\uff41bcdefgh"]}, "units.0: "),
    "the second account": ({"account_ids": [MEMBER, "x"]}, "account_ids.1: "),
    "the management account": (
        {"account_ids": [MEMBER, MANAGEMENT]},
        f"account_ids: {MANAGEMENT} is the management account, which is the source and never "
        "written",
    ),
    "no OUs": ({"organizational_units": []}, "organizational_units: "),
    "an OU a name": ({"organizational_units": ["Workloads"]}, "organizational_units.0: "),
    "an OU a root": ({"organizational_units": ["r-exam"]}, "organizational_units.0: "),
    "no contact types": ({"contact_types": []}, "contact_types: "),
    "unknown contact type": (
        {"contact_types": ["fax"]},
        "contact_types.0: unknown contact type 'fax': use primary, billing, operations or security",
    ),
    "retry_of empty": ({"retry_of": ""}, "retry_of: expected the name or the ARN"),
    "retry_of no name": ({"retry_of": "run 1"}, "retry_of: expected the name or the ARN"),
    "undo of a long name": ({"undo": "x" * 81}, "undo: expected the name or the ARN"),
    "retry_of with accounts": (
        {"retry_of": "run-1", "account_ids": [MEMBER]},
        "retry_of cannot be combined with account_ids",
    ),
    "retry_of with OUs": (
        {"retry_of": "run-1", "organizational_units": [UNIT]},
        "retry_of cannot be combined with account_ids",
    ),
    "retry_of with types": (
        {"retry_of": "run-1", "contact_types": ["billing"]},
        "retry_of cannot be combined with account_ids",
    ),
    "reason empty": ({"reason": ""}, "reason: "),
    "reason too long": ({"reason": "x" * 1001}, "reason: "),
    "trigger empty": ({"trigger": {}}, "trigger.source: "),
    "unknown source": ({"trigger": make_trigger("by_hand")}, "trigger.source: "),
    "a hop too far": ({"trigger": make_trigger(hop=MAX_HOPS + 1)}, "trigger.hop: "),
    "a hop back": ({"trigger": make_trigger(hop=-1)}, "trigger.hop: "),
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


@pytest.mark.rule(2)
@pytest.mark.rule(15)
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


# What an execution asks for


def asked(**execution_input: Any) -> RunRequest:
    return run_request(make_request(**execution_input))


def ids(start: int, count: int) -> list[str]:
    return [str(100_000_000_000 + n) for n in range(start, start + count)]


def test_an_empty_input_asks_for_everything() -> None:
    assert RunRequest() == asked()
    assert asked().covers_all_accounts


def test_a_person_names_a_scope_and_insists_on_its_accounts() -> None:
    request = asked(
        account_ids=[MEMBER],
        organizational_units=[UNIT],
        contact_types=["billing"],
        reason="moved office",
    )
    assert request == RunRequest(
        account_ids=[MEMBER],
        organizational_units=[UNIT],
        contact_types=[ContactType.BILLING],
        insisted=[MEMBER],
        reasons=["moved office"],
    )
    assert not request.covers_all_accounts
    assert not asked(organizational_units=[UNIT]).covers_all_accounts


@pytest.mark.parametrize(
    ("source", "insisted"),
    [("account_joined", [MEMBER]), ("account_moved", []), ("account_left", [])],
)
def test_an_event_about_an_account_asks_for_it_and_insists_on_a_new_one(
    source: str, insisted: list[str]
) -> None:
    request = asked(trigger=make_trigger(source, account_id=MEMBER))
    expected = RunRequest(account_ids=[MEMBER], insisted=insisted, event_ids=["event-1"])
    assert expected == request


@pytest.mark.parametrize(("count", "insists"), [(5_000, True), (5_001, False)])
def test_so_many_accounts_can_be_insisted_on(count: int, *, insists: bool) -> None:
    request = asked(account_ids=[f"{number:012}" for number in range(count)])
    assert insists is bool(request.insisted)


@pytest.mark.parametrize("key", ["retry_of", "undo"])
def test_a_run_is_named_by_its_executions_name_or_arn(key: str) -> None:
    arn = "arn:aws:states:us-east-1:999999999999:execution:contact-sync:run-1"
    assert "run-1" == getattr(make_request(**{key: arn}), key)
    with pytest.raises(InvalidRequestError, match=f"{key}: expected the name or the ARN"):
        make_request(**{key: "contact-sync:run-1"})


def test_accounts_beside_a_trigger_win_over_its_own() -> None:
    request = asked(account_ids=[OTHER], trigger=make_trigger("account_joined", account_id=MEMBER))
    assert RunRequest(account_ids=[OTHER], insisted=[OTHER], event_ids=["event-1"]) == request


@pytest.mark.parametrize("hop", [0, MAX_HOPS])
def test_a_contact_change_asks_for_every_account_and_keeps_its_hop(hop: int) -> None:
    request = asked(trigger=make_trigger("contact_changed", hop=hop))
    assert RunRequest(is_change=True, hop=hop, event_ids=["event-1"]) == request
    assert request.covers_all_accounts


@pytest.mark.parametrize("source", ["schedule", "test", "continuation"])
def test_other_triggers_ask_for_everything(source: str) -> None:
    request = asked(trigger=make_trigger(source, hop=1))
    assert RunRequest(event_ids=["event-1"]) == request


def test_every_source_but_those_about_something_needs_no_more() -> None:
    free = set(TriggerSource) - ABOUT_ONE_ACCOUNT - {"recovery"}
    assert free == {make_request(trigger=make_trigger(one)).source for one in free}


def test_a_retry_asks_for_the_scope_of_what_it_repeats_and_nothing_more() -> None:
    repeated = RunRequest(
        account_ids=[MEMBER],
        organizational_units=[UNIT],
        contact_types=[ContactType.BILLING],
        insisted=[MEMBER],
        is_change=True,
        hop=2,
        reasons=["then"],
        event_ids=["1"],
    )
    request = run_request(make_request(retry_of="run-0", reason="again"), repeated)
    assert request == RunRequest(
        account_ids=[MEMBER],
        organizational_units=[UNIT],
        contact_types=[ContactType.BILLING],
        reasons=["again"],
    )


def test_the_largest_input_fits_into_an_item() -> None:
    accounts = ids(0, 17_000)
    execution_input = {"account_ids": accounts, "reason": "x" * 1_000}
    assert len(json.dumps(execution_input)) > LARGEST_INPUT
    assert len(json.dumps(asked(**execution_input).stored())) < LARGEST_ITEM


@pytest.mark.parametrize(
    ("execution_input", "trigger"),
    [
        ({}, {"source": "by_hand"}),
        ({"account_ids": ["x"]}, {"source": "unknown"}),
        (None, {"source": "unknown"}),
        ({"trigger": make_trigger(hop=1)}, make_trigger(hop=1)),
        ({"trigger": make_trigger("schedule")}, make_trigger("schedule", hop=0)),
    ],
)
def test_a_run_notes_its_trigger_even_if_its_input_was_refused(
    execution_input: Any, trigger: dict[str, Any]
) -> None:
    noted = trigger_of(execution_input)
    assert trigger == noted
    assert str is type(noted["source"])  # DynamoDB stores no enum


# Stored requests


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "everything",
        [],
        {"account_ids": ["x"]},
        {"account_ids": MEMBER},
        {"organizational_units": [UNIT, 7]},
        {"contact_types": ["billing", "fax"]},
        {"account_ids": [MEMBER], "hop": "far"},
        {"account_ids": [MEMBER], "insisted": "him"},
    ],
)
def test_a_stored_request_that_cannot_be_read_asks_for_everything(stored: Any) -> None:
    assert RunRequest() == RunRequest.from_stored(stored)


def test_unknown_keys_of_another_release_are_ignored() -> None:
    stored = {"account_ids": [MEMBER], "only_if_changed": True, "priority": {"a": [1]}}
    assert RunRequest(account_ids=[MEMBER]) == RunRequest.from_stored(stored)


# Merging

MERGES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "all accounts win": ({}, {"account_ids": [MEMBER]}, {}),
    "all accounts win over OUs": ({"organizational_units": [UNIT]}, {}, {}),
    "accounts add up": (
        {"account_ids": [MEMBER]},
        {"account_ids": [OTHER, MEMBER]},
        {"account_ids": [MEMBER, OTHER]},
    ),
    "accounts and OUs add up": (
        {"account_ids": [MEMBER]},
        {"organizational_units": [UNIT]},
        {"account_ids": [MEMBER], "organizational_units": [UNIT]},
    ),
    "OUs add up": (
        {"organizational_units": [UNIT]},
        {"organizational_units": [OTHER_UNIT]},
        {"organizational_units": [UNIT, OTHER_UNIT]},
    ),
    "contact types add up": (
        {"contact_types": ["billing"]},
        {"contact_types": ["security"]},
        {"contact_types": ["billing", "security"]},
    ),
    "all contact types win": ({"contact_types": ["billing"]}, {}, {}),
    "whom a person named is known beside a full run": (
        {"account_ids": [MEMBER], "insisted": [MEMBER]},
        {},
        {"insisted": [MEMBER]},
    ),
    "a change stays one beside another request": (
        {"is_change": True, "hop": 2},
        {"account_ids": [MEMBER]},
        {"is_change": True, "hop": 2},
    ),
    "a new change starts its hops anew": (
        {"is_change": True, "hop": 2},
        {"is_change": True, "hop": 0},
        {"is_change": True},
    ),
    "notes are kept once": (
        {"reasons": ["a", "b"], "event_ids": ["1"]},
        {"reasons": ["b", "c"], "event_ids": ["1", "2"]},
        {"reasons": ["a", "b", "c"], "event_ids": ["1", "2"]},
    ),
}


@pytest.mark.rule(9)
@pytest.mark.parametrize(("one", "other", "both"), MERGES.values(), ids=MERGES.keys())
def test_a_merged_request_asks_for_both(
    one: dict[str, Any], other: dict[str, Any], both: dict[str, Any]
) -> None:
    assert RunRequest(**both) == RunRequest(**one).merge(RunRequest(**other))


def test_any_number_of_requests_becomes_one() -> None:
    three = [RunRequest(account_ids=[one]) for one in (MEMBER, OTHER, STRANGER)]
    assert RunRequest(account_ids=[MEMBER, OTHER, STRANGER]) == merged(three)
    assert RunRequest(account_ids=[MEMBER]) == merged(three[:1])
    assert merged([]) is None


def test_only_the_latest_notes_are_kept() -> None:
    one = RunRequest(reasons=[f"r{n}" for n in range(20)], event_ids=[f"e{n}" for n in range(20)])
    both = one.merge(RunRequest(reasons=["r20"], event_ids=["e20"]))
    assert [f"r{n}" for n in range(1, 21)] == both.reasons
    assert [f"e{n}" for n in range(1, 21)] == both.event_ids


def test_up_to_5000_merged_accounts_stay_named() -> None:
    both = RunRequest(account_ids=ids(0, 2500)).merge(RunRequest(account_ids=ids(2500, 2500)))
    assert ids(0, 5000) == both.account_ids


@pytest.mark.rule(10)
def test_beyond_5000_merged_accounts_every_account_is_meant() -> None:
    one = RunRequest(account_ids=ids(0, 2500), organizational_units=[UNIT])
    both = one.merge(RunRequest(account_ids=ids(2500, 2501)))
    assert both.covers_all_accounts


def test_the_largest_merged_request_fits_into_an_item() -> None:
    accounts = ids(0, MAX_MERGED_ACCOUNTS)
    notes = [f"{n:02}".ljust(1_000, "x") for n in range(MAX_NOTES)]
    one = RunRequest(account_ids=accounts, insisted=accounts, reasons=notes, event_ids=notes)
    both = one.merge(RunRequest(account_ids=accounts[:1], insisted=[STRANGER], reasons=["more"]))
    assert MAX_MERGED_ACCOUNTS == len(both.insisted)
    assert len(json.dumps(both.stored())) < LARGEST_ITEM


ACCOUNTS, UNITS = ids(0, 4), [UNIT, INNER_UNIT, OTHER_UNIT]


def names_or_all(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


@st.composite
def requests(draw: st.DrawFn) -> RunRequest:
    is_change = draw(st.booleans())
    return RunRequest(
        account_ids=draw(names_or_all(ACCOUNTS)),
        organizational_units=draw(names_or_all(UNITS)),
        contact_types=draw(names_or_all(list(ContactType))),
        insisted=draw(st.lists(st.sampled_from(ACCOUNTS), max_size=3, unique=True)),
        is_change=is_change,
        hop=draw(st.integers(0, MAX_HOPS)) if is_change else 0,
        reasons=draw(st.lists(st.sampled_from("abc"), max_size=3, unique=True)),
        event_ids=draw(st.lists(st.sampled_from("123"), max_size=3, unique=True)),
    )


def unordered(request: RunRequest) -> dict[str, Any]:
    return {
        name: frozenset(value) if isinstance(value, list) else value
        for name, value in vars(request).items()
    }


def asks_for(request: RunRequest, account_id: str, unit: str, name: ContactType) -> bool:
    """Return whether a run for the request syncs that contact of that account in that OU."""
    accounts, units = request.account_ids, request.organizational_units
    is_in_scope = (
        (accounts is None and units is None)
        or account_id in (accounts or ())
        or unit in (units or ())
    )
    return is_in_scope and (request.contact_types is None or name in request.contact_types)


@pytest.mark.rule(7)
@given(requests(), requests())
def test_a_merged_request_never_asks_for_less_than_one_of_its_parts(
    one: RunRequest, other: RunRequest
) -> None:
    both = one.merge(other)
    for wanted in product(ACCOUNTS, UNITS, ContactType):
        assert asks_for(both, *wanted) or not (asks_for(one, *wanted) or asks_for(other, *wanted))
    assert both.is_change == (one.is_change or other.is_change)
    assert {*one.insisted, *other.insisted} == set(both.insisted)


@given(requests(), requests(), requests())
def test_the_order_of_requests_does_not_matter(
    one: RunRequest, two: RunRequest, three: RunRequest
) -> None:
    expected = unordered(one.merge(two).merge(three))
    assert expected == unordered(three.merge(two.merge(one)))
    assert expected == unordered(two.merge(three).merge(one))


@given(requests())
def test_merging_a_request_with_itself_changes_nothing(one: RunRequest) -> None:
    assert one == one.merge(one)


@given(requests())
def test_a_stored_request_comes_back_the_same(one: RunRequest) -> None:
    assert one == RunRequest.from_stored(json.loads(json.dumps(one.stored())))


# An undo


def test_an_undo_may_be_narrowed_and_dry() -> None:
    scope = {"account_ids": [MEMBER], "contact_types": ["billing"]}
    request = make_request(undo="run-1", dry_run=True, **scope)
    asked = run_request(request)
    assert ("run-1", [MEMBER], [ContactType.BILLING]) == (
        asked.undo,
        asked.account_ids,
        asked.contact_types,
    )
    assert asked == RunRequest.from_stored(asked.stored())


@pytest.mark.parametrize(
    "more", [{"retry_of": "run-0"}, {"trigger": make_trigger("schedule")}, {"undo": ""}]
)
def test_an_undo_is_a_persons_and_no_retry(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        make_request(**{"undo": "run-1", **more})


def test_what_is_retried_of_an_undo_is_an_undo() -> None:
    retried = RunRequest(undo="run-1", account_ids=[MEMBER])
    assert "run-1" == run_request(make_request(retry_of="run-2"), retried).undo


def test_requests_keep_which_runs_they_continue() -> None:
    both = RunRequest(continues=["a"]).merge(RunRequest(continues=["b", "a"]))
    assert ["a", "b"] == both.continues
