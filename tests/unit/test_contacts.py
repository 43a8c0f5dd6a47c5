"""Contact values: kept exactly, checked by the API's rules, compared by meaning, never printed."""

import unicodedata
from typing import Any

import botocore.session
import pytest
from contact_sync.contacts import (
    ABSENT,
    ALTERNATE_RULES,
    ALTERNATE_TYPES,
    PRIMARY_RULES,
    Contact,
    ContactType,
    Rule,
    digest_of,
    is_comparable,
    shared_addresses,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from support.builders import (
    ARABIC_DIGITS,
    KEY,
    SECRET_VALUES,
    WIDE_DIGITS,
    make_contact,
    make_contacts,
)

ANY_PATTERN = r"[\s\S]*"


def rules_of(contact_type: ContactType) -> dict[str, Rule]:
    return PRIMARY_RULES if contact_type is ContactType.PRIMARY else ALTERNATE_RULES


@st.composite
def contacts(draw: st.DrawFn) -> tuple[ContactType, dict[str, str]]:
    contact_type = draw(st.sampled_from(ContactType))
    names = st.sampled_from(list(rules_of(contact_type)))
    return contact_type, draw(st.dictionaries(names, st.text(min_size=1)))


def api_model(operation_or_shape: str) -> tuple[dict[str, Any], set[str]]:
    service = botocore.session.get_session().get_service_model("account")
    if operation_or_shape in service.operation_names:
        shape = service.operation_model(operation_or_shape).input_shape
    else:
        shape = service.shape_for(operation_or_shape)
    return dict(shape.members), set(shape.required_members)


@pytest.mark.parametrize(
    ("rules", "shape"),
    [(ALTERNATE_RULES, "PutAlternateContact"), (PRIMARY_RULES, "ContactInformation")],
)
def test_rules_agree_with_botocores_model(rules: dict[str, Rule], shape: str) -> None:
    members, required = api_model(shape)
    fields = {name: m for name, m in members.items() if name in rules}
    assert set(members) - {"AccountId", "AlternateContactType"} == set(rules)
    assert {name: m.metadata["max"] for name, m in fields.items()} == {
        name: rule.max_length for name, rule in rules.items()
    }
    assert required - {"AlternateContactType"} == {
        name for name, rule in rules.items() if rule.required
    }
    assert {n: m.metadata["pattern"] for n, m in fields.items() if "pattern" in m.metadata} == {
        name: rule.pattern
        for name, rule in rules.items()
        if rule.pattern != ANY_PATTERN and name != "CountryCode"
    }


def test_contact_types_agree_with_botocores_model() -> None:
    members, _ = api_model("PutAlternateContact")
    assert members["AlternateContactType"].enum == [name.upper() for name in ALTERNATE_TYPES]


@given(contacts())
def test_a_contact_survives_the_way_to_the_api_and_back(
    contact: tuple[ContactType, dict[str, str]],
) -> None:
    contact_type, fields = contact
    parsed = Contact.from_api(contact_type, fields)
    assert fields == parsed.to_api()
    assert parsed == Contact.from_api(contact_type, parsed.to_api())


# Comparison


def spelled_differently(name: str, value: str) -> st.SearchStrategy[str]:
    """Return other spellings of a value, as the API might store it."""
    texts = [value, unicodedata.normalize("NFD", value), unicodedata.normalize("NFC", value)]
    if name == "PhoneNumber":
        texts += [value.replace("-", ""), value.replace(" ", "."), f"({value})", f"{value} -"]
    if name == "EmailAddress":
        local, _, domain = value.rpartition("@")
        texts += [f"{local}@{domain.upper()}", f"{local}@{domain.title()}"]
    padding = st.text(st.sampled_from(" \t\n\u00a0"), max_size=2)
    return st.tuples(padding, st.sampled_from(texts), padding).map("".join)


@st.composite
def respelled(draw: st.DrawFn) -> tuple[Contact, Contact]:
    contact_type = draw(st.sampled_from(ContactType))
    letters = st.text(st.sampled_from("aZéñöŽ山 -."), max_size=8)
    fields = {name: f"{draw(letters)}x{draw(letters)}" for name in rules_of(contact_type)} | {
        "PhoneNumber": "+1 555-0100",
        "EmailAddress": "Zoé.Tester@Mail.example.com",
    }
    other = {name: draw(spelled_differently(name, value)) for name, value in fields.items()}
    return Contact.from_api(contact_type, fields), Contact.from_api(contact_type, other)


@given(respelled())
def test_another_spelling_of_the_same_contact_is_equal(pair: tuple[Contact, Contact]) -> None:
    one, other = pair
    assert one.digest(KEY) == other.digest(KEY)


@pytest.mark.rule(3)
@pytest.mark.parametrize(
    ("contact_type", "field", "one", "other"),
    [
        ("billing", "PhoneNumber", "+1-555-010-0444", "+15550100444"),
        ("billing", "PhoneNumber", "(+1) 555 0100", "+15550100"),
        ("billing", "PhoneNumber", "1+555+0100", "15550100"),
        ("billing", "EmailAddress", "trials@EXAMPLE.com", "trials@example.com"),
        ("billing", "EmailAddress", "a@B@EXAMPLE.com", "a@B@example.com"),
        ("billing", "Name", "Zoe\u0308 Tester", "Zo\u00eb Tester"),
        ("billing", "Title", " Head of Trials\t", "Head of Trials"),
        ("primary", "AddressLine2", " ", None),
    ],
)
def test_these_spellings_are_equal(
    contact_type: str, field: str, one: str, other: str | None
) -> None:
    mine = make_contact(contact_type, **{field: one})
    assert mine.digest(KEY) == make_contact(contact_type, **{field: other}).digest(KEY)


@pytest.mark.parametrize(
    ("contact_type", "field", "one", "other"),
    [
        ("billing", "PhoneNumber", "+1 555-0100", "+1 555-0101"),
        ("billing", "PhoneNumber", "+1 555-0100", "1 555-0100"),
        ("billing", "PhoneNumber", "555-0100", "0555-0100"),
        ("billing", "EmailAddress", "trials@example.com", "Trials@example.com"),
        ("billing", "EmailAddress", "trials@example.com", "trials@mail.example.com"),
        ("billing", "Name", "Ottoline Tester", "ottoline tester"),
        ("billing", "Name", "Ottoline Tester", "Ottoline  Tester"),
        ("billing", "Name", "Zoe Tester", "Zo\u00eb Tester"),
        ("primary", "PostalCode", "98-101", "98101"),
        ("primary", "AddressLine2", "Attic", None),
    ],
)
def test_these_values_are_different(
    contact_type: str, field: str, one: str, other: str | None
) -> None:
    mine = make_contact(contact_type, **{field: one})
    assert mine.digest(KEY) != make_contact(contact_type, **{field: other}).digest(KEY)


@given(contacts(), contacts())
def test_contacts_that_differ_in_letters_or_digits_are_never_equal(
    one: tuple[ContactType, dict[str, str]], other: tuple[ContactType, dict[str, str]]
) -> None:
    def essence(contact: tuple[ContactType, dict[str, str]]) -> object:
        """Keep of each field what no normalization may touch."""
        contact_type, fields = contact
        kept = {
            name: "".join(c for c in value.lower() if c in "abcdefghijklmnopqrstuvwxyz0123456789")
            for name, value in fields.items()
            if name != "PhoneNumber"
        }
        return contact_type, {name: value for name, value in kept.items() if value}

    assume(essence(one) != essence(other))
    mine, theirs = Contact.from_api(*one), Contact.from_api(*other)
    assert mine.digest(KEY) != theirs.digest(KEY)


def test_a_value_that_utf_8_cannot_encode_has_a_digest() -> None:
    """JSON can hold half a character, and somebody can have put it into a member's contact."""
    one, other = make_contact(Name="Tester \ud800"), make_contact(Name="Tester \ud801")
    assert one.digest(KEY) != other.digest(KEY)


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        (make_contact().digest(KEY), True),
        (ABSENT, True),
        ("0:" + "a" * 64, False),
        ("10:" + "a" * 64, False),
        ("a" * 64, False),
        ("", False),
    ],
)
def test_only_digests_of_the_same_normalization_can_be_compared(
    digest: str, *, expected: bool
) -> None:
    assert expected == is_comparable(digest)


@pytest.mark.rule(12)
@given(contacts(), st.binary(min_size=1), st.binary(min_size=1))
def test_a_digest_depends_on_its_key(
    contact: tuple[ContactType, dict[str, str]], key: bytes, other: bytes
) -> None:
    parsed = Contact.from_api(*contact)
    # HMAC pads keys with zeros.
    is_same_key = key.ljust(64, b"\0") == other.ljust(64, b"\0")
    assert is_same_key == (parsed.digest(key) == parsed.digest(other))


def test_the_digest_of_an_unset_contact_is_the_same_for_every_key() -> None:
    assert ABSENT == digest_of(None, KEY)
    assert make_contact().digest(KEY) == digest_of(make_contact(), KEY)


def test_a_digest_stays_the_same_from_version_to_version() -> None:
    """Whoever changes it changes NORMALIZATION too, or every contact is written once more."""
    expected = "1:67faef4e26aa62d48b691fbc841b2a72231dbb212c92af7f57f2240e7d422658"
    assert expected == make_contact(Name="Žofie Příkladná").digest(KEY)


def test_a_digest_does_not_depend_on_the_order_of_the_answer() -> None:
    fields = make_contact().to_api()
    backwards = Contact.from_api(ContactType.BILLING, dict(reversed(fields.items())))
    assert make_contact() == backwards


@pytest.mark.rule(3)
@pytest.mark.parametrize(
    "extra", [{"VerificationStatus": "VERIFIED"}, {"AlternateContactType": "BILLING"}]
)
def test_what_a_read_adds_is_no_part_of_the_contact(extra: dict[str, str]) -> None:
    read = Contact.from_api(ContactType.BILLING, {**make_contact().to_api(), **extra})
    assert make_contact() == read


@pytest.mark.parametrize("empty", ["", None])
def test_unset_fields_are_left_out(empty: str | None) -> None:
    fields: Any = {**make_contact("primary").to_api(), "AddressLine2": empty}
    assert "AddressLine2" not in Contact.from_api(ContactType.PRIMARY, fields).to_api()


@pytest.mark.rule(12)
@pytest.mark.parametrize("contact_type", list(ContactType))
def test_a_contact_never_prints_its_values(contact_type: ContactType) -> None:
    printed = f"{make_contact(contact_type)!r} {make_contact(contact_type)}"
    assert [] == [value for value in SECRET_VALUES if value in printed]


@pytest.mark.rule(4)
@pytest.mark.parametrize(
    ("contact_type", "field", "length"),
    [
        (contact_type, name, rule.max_length)
        for contact_type in (ContactType.PRIMARY, ContactType.BILLING)
        for name, rule in rules_of(contact_type).items()
        if name != "CountryCode"
    ],
)
def test_a_value_may_be_as_long_as_the_api_says(
    contact_type: ContactType, field: str, length: int
) -> None:
    start = {"PhoneNumber": "+", "EmailAddress": "t@example."}.get(field, "")
    longest = start.ljust(length, "1")
    assert [] == make_contact(contact_type, **{field: longest}).faults()
    assert [f"{contact_type}.{field} is longer than {length} characters"] == make_contact(
        contact_type, **{field: longest + "1"}
    ).faults()


@pytest.mark.rule(4)
@pytest.mark.parametrize(
    ("contact_type", "field", "value"),
    [
        ("billing", "EmailAddress", "nobody"),
        ("billing", "EmailAddress", "nobody@example"),
        ("billing", "EmailAddress", "two words@example.com"),
        ("billing", "PhoneNumber", "call 555-0100"),
        ("billing", "PhoneNumber", "+1 555-0100 x3"),
        ("primary", "PhoneNumber", "555-0100"),
        ("primary", "PhoneNumber", "+"),
        ("primary", "CountryCode", "us"),
        ("primary", "CountryCode", "U"),
        ("billing", "EmailAddress", "tri\u00e1ls@example.com"),
        ("billing", "EmailAddress", "trials@ex\u00e1mple.com"),
        ("billing", "EmailAddress", f"{WIDE_DIGITS}@example.com"),
        ("billing", "EmailAddress", "trials@example.com\u00a0"),
        ("billing", "PhoneNumber", ARABIC_DIGITS),
        ("billing", "PhoneNumber", "+1\u00a0555-0100"),
        ("primary", "PhoneNumber", f"+{WIDE_DIGITS}"),
        ("primary", "PhoneNumber", "+1\u2003555-0100"),
        ("primary", "CountryCode", "\uff35\uff33"),
    ],
)
def test_a_value_of_a_refused_form_is_named_without_itself(
    contact_type: str, field: str, value: str
) -> None:
    assert [f"{contact_type}.{field} has a format that the API refuses"] == make_contact(
        contact_type, **{field: value}
    ).faults()


@pytest.mark.parametrize(
    ("contact_type", "field"),
    [
        (contact_type, name)
        for contact_type in (ContactType.PRIMARY, ContactType.SECURITY)
        for name, rule in rules_of(contact_type).items()
        if rule.required
    ],
)
def test_a_missing_required_field_is_named(contact_type: ContactType, field: str) -> None:
    faults = make_contact(contact_type, **{field: None}).faults()
    assert [f"{contact_type}.{field} is not set"] == faults


# As the documentation has them.
@pytest.mark.parametrize("country", ["US", "CA", "GB", "DE", "JP", "IN", "BR"])
def test_some_countries_need_a_state(country: str) -> None:
    contact = make_contact("primary", CountryCode=country, StateOrRegion=None)
    assert ["primary.StateOrRegion is required for this CountryCode"] == contact.faults()


def test_other_countries_need_no_state() -> None:
    contact = make_contact("primary", CountryCode="NL", StateOrRegion=None)
    assert [] == contact.faults()


@pytest.mark.parametrize(
    ("contact_type", "field"),
    [
        ("billing", "Name"),
        ("billing", "Title"),
        ("primary", "FullName"),
        ("primary", "City"),
        ("primary", "CompanyName"),
        ("primary", "PostalCode"),
    ],
)
def test_a_field_of_any_form_takes_every_script(contact_type: str, field: str) -> None:
    assert [] == make_contact(contact_type, **{field: f"Zo\u00eb \u5c71 {WIDE_DIGITS}"}).faults()


@pytest.mark.parametrize(
    ("addresses", "shared"),
    [
        ({}, []),
        ({"billing": "a@example.com", "security": "A@EXAMPLE.com"}, ["billing and security"]),
        (
            dict.fromkeys(["billing", "operations", "security"], "a@example.com"),
            ["billing, operations and security"],
        ),
        ({"billing": "a@example.com", "security": "b@example.com"}, []),
        ({"billing": "a@example.com", "security": None}, []),
    ],
)
def test_alternate_contacts_with_one_address_are_named(
    addresses: dict[str, str | None], shared: list[str]
) -> None:
    source = make_contacts(billing=None, operations=None, security=None) | {
        ContactType(name): make_contact(name, EmailAddress=address) if address else None
        for name, address in addresses.items()
    }
    assert shared == shared_addresses(source)


@pytest.mark.parametrize(
    ("kept", "faults"),
    [
        ((), ["primary.StateOrRegion"]),
        (("City",), ["primary.StateOrRegion"]),
        (("StateOrRegion",), []),
        (("CountryCode",), []),
    ],
)
def test_a_state_is_required_where_the_source_decides_about_it(
    kept: tuple[str, ...], faults: list[str]
) -> None:
    contact = make_contact("primary", CountryCode="US", StateOrRegion=None)
    assert faults == [fault.split()[0] for fault in contact.faults(kept)]


def test_an_alternate_contact_keeps_no_field_of_the_account() -> None:
    contact = make_contact("billing", PhoneNumber="none")
    assert contact.faults(["PhoneNumber"]) == contact.faults()
    assert [] != contact.faults()
