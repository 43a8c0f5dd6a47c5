"""Contacts, accounts and messages: inputs that broke version 1."""

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from faults.version1.bench import (
    ALTERNATE,
    DAY,
    JOINING,
    MEMBERS,
    ONE,
    PRIMARY,
    SOURCE,
    TYPES,
    Bench,
    changed,
    ending,
)
from standin.organization.worlds import MANAGEMENT_ACCOUNT_ID

Json = dict[str, Any]

# Words of a validation library, which mean nothing to an operator.
LIBRARY = re.compile(r"Input should be|Extra inputs|instance of|match pattern|pydantic")
CHANGES = ("PutAlternateContact", "DeleteAlternateContact", "PutContactInformation")
NO_PHONE = {**SOURCE["PRIMARY"], "PhoneNumber": "0400 000 000"}
NO_ADDRESS = {**SOURCE["BILLING"], "EmailAddress": "nobody"}


@pytest.mark.case("B1")
@pytest.mark.parametrize("contact_type", ["SECURITY", "PRIMARY"])
def test_a_reverted_contact_is_synced_again(bench: Bench, contact_type: str) -> None:
    own = changed(contact_type)
    bench.organization.set_contact(ONE, contact_type, own)
    bench.do({})
    bench.organization.set_contact(ONE, contact_type, own)
    bench.wind(DAY)

    daily = bench.end(bench.scheduled())

    assert "SUCCEEDED" == daily.status, ending(daily)
    assert SOURCE[contact_type] == bench.contact(ONE, contact_type)


@pytest.mark.case("B1")
@pytest.mark.parametrize("contact_type", ["SECURITY", "PRIMARY"])
def test_a_contact_reverted_three_times_in_a_row_is_contested(
    bench: Bench, contact_type: str
) -> None:
    bench.do({})
    ends = []
    for _ in range(3):
        bench.organization.set_contact(ONE, contact_type, changed(contact_type))
        bench.wind(DAY)
        ends.append(bench.end(bench.scheduled()))

    assert ["SUCCEEDED", "SUCCEEDED", "FAILED"] == [one.status for one in ends], ending(ends[1])
    assert re.search("contested", bench.text_of(ends[2]), re.IGNORECASE)
    assert ONE in bench.text_of(ends[2])


@pytest.mark.case("B2")
@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    "members",
    [
        {},
        {"source": "aws.account", "eventSource": "account.amazonaws.com"},
        {"source": "aws.account"},
        {"source": "aws.billing", "detail-type": "AWS API Call via CloudTrail"},
    ],
    ids=str,
)
def test_a_change_in_the_console_starts_a_run(bench: Bench, name: str, members: Json) -> None:
    """With any source service, and either detail type."""
    event = bench.event("set-contact-address", eventName=name, **members)

    [run] = bench.deliver(event) or [None]

    assert run is not None
    assert "contact_changed" == run.input["trigger"]["source"]
    assert "SUCCEEDED" == bench.end(run).status


@pytest.mark.case("B3")
@pytest.mark.parametrize("seconds", [20, 600])
@pytest.mark.parametrize("sample", ["create-account-result", "account-joined-organization-created"])
def test_a_run_waits_for_a_new_account(bench: Bench, sample: str, seconds: float) -> None:
    bench.set_conditions(joins_denied=seconds)
    bench.join(JOINING)

    [joined] = bench.deliver(bench.event(sample, accountId=JOINING))
    bench.settle()

    assert "SUCCEEDED" == joined.status, ending(joined)
    assert SOURCE == bench.organization.contacts(JOINING)


def _deny(bench: Bench, operation: str, **fault: Any) -> None:
    """Let the new account deny the operation."""
    denial = {"operation": operation, "account_id": JOINING, "error": "AccessDeniedException"}
    bench.organization.add_fault({**denial, **fault})


@pytest.mark.case("B3")
@pytest.mark.parametrize("operation", ["GetContactInformation", "PutAlternateContact"])
def test_a_new_account_that_temporarily_denies_one_operation_is_synced(
    bench: Bench, operation: str
) -> None:
    bench.join(JOINING)
    _deny(bench, operation, times=4)

    [joined] = bench.deliver(bench.event("create-account-result", accountId=JOINING))
    bench.settle()

    assert "SUCCEEDED" == joined.status, ending(joined)
    assert SOURCE == bench.organization.contacts(JOINING)


@pytest.mark.case("B3")
@pytest.mark.parametrize("operation", ["PutContactInformation", "PutAlternateContact"])
@pytest.mark.parametrize("is_merged", [False, True])
def test_contacts_that_a_new_account_keeps_denying_are_reported(
    bench: Bench, operation: str, *, is_merged: bool
) -> None:
    """Also by a full run that includes the new account's request."""
    bench.begin(notification_settings={"failure_threshold": 9})
    bench.join(JOINING)
    _deny(bench, operation)
    [joined] = bench.deliver(bench.event("create-account-result", accountId=JOINING))
    if is_merged:
        holder = bench.start({"account_ids": [ONE]})
        bench.enter(holder, "SyncAccounts")
        bench.end(joined)
        bench.end(bench.start({}))
    bench.settle()

    [message] = [one for one in bench.messages() if JOINING in one.body]
    assert "partial" in message.subject
    assert "NotReadyError" in message.body


@pytest.mark.case("B3")
def test_a_full_run_skips_a_new_account_that_is_not_ready(
    bench: Bench,
) -> None:
    bench.join(JOINING)
    _deny(bench, "PutContactInformation", times=1)

    run = bench.do({})

    assert "SUCCEEDED" == run.status, ending(run)
    assert f"skipped: {JOINING}, primary: just joined" in bench.text_of(run)


@pytest.mark.case("B4")
@pytest.mark.parametrize(
    ("invalid", "value"), [("PRIMARY", NO_PHONE), ("BILLING", NO_ADDRESS)], ids=["phone", "mail"]
)
@pytest.mark.parametrize("start", ["by hand", "change", "everything"])
def test_an_invalid_contact_does_not_block_the_others(
    bench: Bench, start: str, invalid: str, value: dict[str, str]
) -> None:
    bench.organization.set_contact(MANAGEMENT_ACCOUNT_ID, invalid, value)

    if start == "change":
        run = bench.change("SECURITY", changed("SECURITY"))
    else:
        run = bench.start({"contact_types": ["security"]} if start == "by hand" else {})
    bench.settle()

    wanted = changed("SECURITY") if start == "change" else SOURCE["SECURITY"]
    assert [wanted] * 3 == bench.contacts("SECURITY", *MEMBERS), ending(run)
    assert invalid not in {contact_type for _, _, contact_type in bench.writes()}
    assert start != "everything" or invalid.lower() in bench.text_of(run)


def _normalized(field: str, change: Callable[[str], str]) -> Callable[[Json], Json]:
    def stored(request: Json) -> Json:
        if "AccountId" not in request:
            return request
        inner = request.get("ContactInformation")
        if inner:
            return {**request, "ContactInformation": {**inner, field: change(inner[field])}}
        return {**request, field: change(request[field])}

    return stored


def _digits(phone: str) -> str:
    return "+" + re.sub(r"\D", "", phone)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


NORMALIZATIONS = {
    "phone": ("PutAlternateContact", "BILLING", _normalized("PhoneNumber", _digits), {}),
    "primary phone": (
        *("PutContactInformation", "PRIMARY", _normalized("PhoneNumber", _digits)),
        {"PhoneNumber": "+1 (202) 555-0141"},
    ),
    "domain": (
        *("PutAlternateContact", "BILLING", _normalized("EmailAddress", str.lower)),
        {"EmailAddress": "invoices@Orchardmere.Example.COM"},
    ),
    "white space": (
        *("PutAlternateContact", "BILLING", _normalized("Title", str.strip)),
        {"Title": " Keeper of Invoices "},
    ),
    "composed letters": (
        *("PutAlternateContact", "BILLING", _normalized("Name", _composed)),
        {"Name": "Zoe\u0308 Ledgerwick"},
    ),
}


@pytest.mark.case("B5")
@pytest.mark.parametrize("what", NORMALIZATIONS)
def test_a_value_that_the_api_normalizes_is_equal(bench: Bench, what: str) -> None:
    """Later runs neither write it again nor fail."""
    operation, contact_type, change, fields = NORMALIZATIONS[what]
    source = {**SOURCE[contact_type], **fields}
    bench.organization.set_contact(MANAGEMENT_ACCOUNT_ID, contact_type, source)
    bench.requests[operation] = change
    bench.do({})
    bench.organization.clear_calls()

    nights = []
    for _ in range(3):
        bench.wind(DAY)
        nights.append(bench.end(bench.scheduled()))

    assert [] == [ending(one) for one in nights if one.status != "SUCCEEDED"]
    assert [] == bench.writes()


ALL_TYPES = "primary, billing, operations or security"
WRONG_CONFIGURATIONS = {
    "upper case": ({"contact_types": ["SECURITY"]}, ["'SECURITY'", ALL_TYPES]),
    "unknown type": ({"contact_types": ["fax"]}, ["'fax'", ALL_TYPES]),
    "misspelled key": (
        {"contact_types": TYPES, "exclude_accounts": [ONE]},
        ["exclude_accounts", "excluded_accounts"],
    ),
    "misspelled inner key": (
        {"contact_types": TYPES, "notification_settings": {"notify_on_sucess": True}},
        ["notify_on_sucess", "notify_on_success"],
    ),
    "DynamoDB JSON": (
        {"contact_types": {"L": [{"S": "billing"}, {"S": "security"}]}},
        ["contact_types", "DynamoDB JSON"],
    ),
    "DynamoDB JSON inside": (
        {"contact_types": [{"S": "billing"}, {"S": "security"}]},
        ["contact_types", "DynamoDB JSON"],
    ),
    "a comment": ({"contact_types": TYPES, "_comment": "who is notified"}, ["_comment"]),
    "another value": (
        {"contact_types": TYPES, "on_source_deleted": "remove"},
        ["on_source_deleted", "keep", "delete"],
    ),
    "a number for an id": (
        {"contact_types": TYPES, "excluded_accounts": [int(ONE)]},
        ["excluded_accounts"],
    ),
    "text for a list": ({"contact_types": "security"}, ["contact_types", "list"]),
    "text for a number": (
        {"contact_types": TYPES, "retry_config": {"max_attempts": "three"}},
        ["max_attempts"],
    ),
}


@pytest.mark.case("B6")
@pytest.mark.parametrize("what", WRONG_CONFIGURATIONS)
def test_an_invalid_configuration_is_refused_in_plain_words(bench: Bench, what: str) -> None:
    config, words = WRONG_CONFIGURATIONS[what]
    bench.configure(config)

    run = bench.do({})

    assert "InvalidConfigError" == run.error, ending(run)
    for text in (run.cause or "", bench.text_of(run)):
        assert not LIBRARY.search(text), text
        assert [] == [word for word in words if word not in text], text


WRONG_INPUTS = {
    "a list": ([], ["object"]),
    "misspelled key": ({"contact_type": ["security"]}, ["contact_type", "contact_types"]),
    "upper case": ({"contact_types": ["SECURITY"]}, ["'SECURITY'", ALL_TYPES]),
    "text for a list": ({"account_ids": ONE}, ["account_ids", "list"]),
    "not a Boolean": ({"dry_run": "yes"}, ["dry_run", "true"]),
    "short id": ({"account_ids": ["1234"]}, ["account_ids", "12 digits"]),
}


@pytest.mark.case("B6")
@pytest.mark.parametrize("what", WRONG_INPUTS)
def test_an_invalid_input_is_refused_in_plain_words(bench: Bench, what: str) -> None:
    execution_input, words = WRONG_INPUTS[what]

    run = bench.start(execution_input)
    bench.end(run)

    assert "InvalidRequestError" == run.error, run.status
    for text in (run.cause or "", bench.text_of(run)):
        assert not LIBRARY.search(text), text
        assert [] == [word for word in words if word not in text], text


@pytest.mark.case("B7")
@pytest.mark.parametrize("contact_type", ["BILLING", "PRIMARY"])
def test_a_type_that_failed_everywhere_does_not_hide_other_updates(
    bench: Bench, contact_type: str
) -> None:
    for account in MEMBERS:
        bench.deny(account, contact_type)

    run = bench.do({})

    assert "PartialSyncError" == run.error, ending(run)
    text = bench.text_of(run)
    assert re.search(rf"\b{contact_type.lower()}: 3 failed", text)
    assert re.search(r"\bsecurity: 3 updated", text)


@pytest.mark.case("B8")
def test_one_address_for_all_alternate_contacts_causes_a_warning(bench: Bench) -> None:
    for contact_type in ("BILLING", "OPERATIONS", "SECURITY"):
        contact = {**SOURCE[contact_type], "EmailAddress": "everybody@orchardmere.example.com"}
        bench.organization.set_contact(MANAGEMENT_ACCOUNT_ID, contact_type, contact)

    run = bench.do({})

    assert "SUCCEEDED" == run.status, ending(run)
    warning = _warning(bench.text_of(run))
    assert [] == [name for name in TYPES[1:] if name not in warning], bench.text_of(run)
    assert "everybody@" not in json.dumps([one.body for one in bench.messages()])


@pytest.mark.case("B9")
@pytest.mark.parametrize("account", [MANAGEMENT_ACCOUNT_ID, "100000000777"])
def test_an_exclusion_without_effect_causes_a_warning(bench: Bench, account: str) -> None:
    bench.configure({**bench.config, "excluded_accounts": [account, ONE]})

    run = bench.do({})

    assert "SUCCEEDED" == run.status, ending(run)
    warning = _warning(bench.text_of(run))
    assert account in warning, bench.text_of(run)
    assert "excluded_accounts" in warning
    assert ONE not in {one for _, one, _ in bench.writes()}


def _warning(text: str) -> str:
    """Return a message's text from its first warning on, without links."""
    found = re.search(r"warning.*", text, re.IGNORECASE | re.DOTALL)
    return found[0].partition("Execution:")[0] if found else ""


@pytest.mark.case("B10")
@pytest.mark.parametrize("start", ["change", "schedule"])
@pytest.mark.parametrize("contact_type", ["SECURITY", "BILLING"])
def test_a_contact_missing_in_the_source_is_reported(
    bench: Bench, contact_type: str, start: str
) -> None:
    bench.configure({"contact_types": TYPES})
    bench.do({})
    bench.wind(DAY)

    bench.set_source(contact_type, None)
    run = bench.send_change(contact_type) if start == "change" else bench.scheduled()
    bench.settle()

    assert bench.messages_of(run), ending(run)
    assert re.search(rf"{contact_type.lower()}.*(not set|missing)", bench.text_of(run))
    assert [SOURCE[contact_type]] * 3 == bench.contacts(contact_type, *MEMBERS)


@pytest.mark.case("B11")
@pytest.mark.parametrize("function", [ALTERNATE, PRIMARY])
@pytest.mark.parametrize(
    "masked",
    [None, "HIDDEN_DUE_TO_SECURITY_REASONS", {}, {"alternateContactType": "BILLING"}],
    ids=str,
)
def test_a_write_of_the_product_starts_no_run_even_if_its_event_is_masked(
    bench: Bench, function: str, masked: Any
) -> None:
    sample = "put-alternate-contact" if function == ALTERNATE else "put-contact-information"
    event = bench.event(sample, requestParameters=masked)
    event["detail"]["userIdentity"] = _identity(bench, function)

    assert [] == [one.input for one in bench.deliver(event)]


def _identity(bench: Bench, function: str) -> Json:
    """Return the caller's identity, as CloudTrail records a function's role."""
    [properties] = [
        one
        for one in bench.stack.of_type("AWS::Lambda::Function").values()
        if one["FunctionName"].endswith(function)
    ]
    role = properties["Role"]
    issuer = {"type": "Role", "arn": role, "userName": role.rpartition("/")[2]}
    session = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
    return {
        "type": "AssumedRole",
        "arn": f"{session}/{properties['FunctionName']}",
        "accountId": MANAGEMENT_ACCOUNT_ID,
        "sessionContext": {"sessionIssuer": issuer},
    }
