"""Rules and the address book: `config` shows what they do before it writes."""

import json
from typing import Any

import pytest
from contact_sync.aws.items import to_item
from support.aws import Operate
from support.builders import ALTERNATE_FIELDS, PRIMARY_FIELDS
from support.deployed import PRINCIPAL, Deployed
from support.moto_stack import CONFIG_TABLE

ACCOUNT, OTHER, THIRD = "100000000001", "100000000002", "100000000003"
MANAGEMENT, STRANGER = "999999999999", "123456789012"
UNIT, INNER = "ou-exam-workloads", "ou-exam-payments"
ALL = ["primary", "billing", "operations", "security"]
PAYMENTS = {**ALTERNATE_FIELDS, "EmailAddress": "payments@example.com"}
BOOK = {"payments": PAYMENTS, "branch": PRIMARY_FIELDS}
RULE = {"organizational_units": [UNIT], "security": "payments"}
Config = Operate


@pytest.fixture(autouse=True)
def _tree(account: Deployed) -> None:
    account.organization.set_account(ACCOUNT, parent=UNIT)
    account.organization.set_account(OTHER, parent=INNER)
    account.organization.set_account(THIRD, parent="r-exam")


def overrides(*overrides: Any, **more: Any) -> dict[str, Any]:
    return {"contact_types": ALL, "overrides": list(overrides), **more}


def keep_book(account: Deployed) -> None:
    item = {"config_key": "contacts", "version": "v1", "contacts": BOOK}
    account.put(CONFIG_TABLE, item)


def values_in(*texts: str) -> list[str]:
    values = {*PAYMENTS.values(), *PRIMARY_FIELDS.values()} - {"US", "WA"}
    return [value for value in values if any(value in text for text in texts)]


class TestAddressBook:
    def test_it_is_empty_at_first(self, config: Config) -> None:
        assert "{}\n" == config("contacts", "show").out

    def test_it_is_applied_and_shown_without_values(self, config: Config, file: Any) -> None:
        told = config("contacts", "apply", file(BOOK), "--yes")
        assert (0, "+ branch\n+ payments\n") == (told.code, told.out)
        shown = config("contacts", "show")
        assert {"branch", "payments"} == json.loads(shown.out).keys()
        assert [] == values_in(told.out, told.err, shown.out)
        assert BOOK == json.loads(config("contacts", "show", "--reveal").out)

    def test_a_change_names_fields_alone(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        keep_book(account)
        changed = {"payments": {**PAYMENTS, "Title": "Another"}, "new": PAYMENTS}
        told = config("contacts", "apply", file(changed), "--yes")
        assert "- branch\n+ new\n~ payments: Title\n" == told.out
        assert "nothing to change" in config("contacts", "apply", file(changed)).err

    def test_values_are_shown_where_that_is_asked_for(self, config: Config, file: Any) -> None:
        told = config("contacts", "apply", file(BOOK), "--yes", "--reveal")
        assert PAYMENTS["EmailAddress"] in told.out

    @pytest.mark.parametrize(
        ("book", "fault"),
        [
            ({"payments": {**PAYMENTS, "EmailAddress": "nobody"}}, "payments.EmailAddress has a"),
            ({"payments": {"Name": "A"}}, "payments.Title is not set"),
            ({"payments": {**PAYMENTS, "Mail": "x"}}, "payments.Mail: unknown field: use Name, "),
            ({"payments": {**PAYMENTS, "Title": 5}}, "payments.Title: expected text"),
            (to_item({"payments": PAYMENTS}), "payments: this is DynamoDB JSON"),
            ({"payments": []}, "payments: expected an object with the fields of a contact"),
            ({"branch": {**PRIMARY_FIELDS, "StateOrRegion": ""}}, "branch.StateOrRegion is req"),
            ({"own": PAYMENTS}, "own: overrides reserve this name"),
            ({"a@example.com": PAYMENTS}, "expected a name of lowercase letters"),
            ({"payments": dict.fromkeys(PAYMENTS, "********")}, "payments: has masked values"),
        ],
    )
    def test_a_broken_file_is_refused_by_name(
        self, operate: Operate, file: Any, book: Any, fault: str
    ) -> None:
        told = operate("config", "contacts", "validate", file(book))
        assert 1 == told.code
        assert fault in told.error
        assert [] == values_in(told.error)

    def test_a_valid_file_calls_nothing(
        self, operate: Operate, account: Deployed, file: Any
    ) -> None:
        told = operate("config", "contacts", "validate", file(BOOK))
        assert (0, {}) == (told.code, account.aws.calls)

    def test_a_name_that_a_rule_uses_is_not_removed(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        keep_book(account)
        account.configure(overrides(RULE))
        told = config("contacts", "apply", file({"branch": PRIMARY_FIELDS}), "--yes")
        assert 1 == told.code
        assert "not in the address book: payments: an override uses it" in told.error
        assert 0 == account.aws.calls["dynamodb.TransactWriteItems"]

    def test_a_name_that_a_rule_uses_stays_of_its_type(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        keep_book(account)
        account.configure(overrides(RULE))
        told = config("contacts", "apply", file({**BOOK, "payments": PRIMARY_FIELDS}), "--yes")
        expected = (
            "an override uses a contact that AWS would refuse: payments: security.Name is not set"
        )
        assert expected in told.error


class TestEffect:
    def test_reach_and_changes_are_shown_before_anything_is_written(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        keep_book(account)
        own = {"account_ids": [OTHER], "billing": "own"}
        told = config("apply", file(overrides(RULE, own)), answer="n")
        assert 1 == told.code
        assert told.out.endswith(
            "overrides.0 (security payments): 2 accounts\n"
            "overrides.1 (billing own): 1 accounts\n"
            f"{ACCOUNT}  security: source -> payments\n"
            f"{OTHER}  billing: source -> own\n"
            f"{OTHER}  security: source -> payments\n"
        )
        assert 0 == account.aws.calls["dynamodb.TransactWriteItems"]

    def test_a_rule_that_is_removed_gives_the_source_back(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        keep_book(account)
        account.configure(overrides(RULE))
        told = config("apply", file(overrides()), "--yes")
        assert told.out.endswith(
            f"{ACCOUNT}  security: payments -> source\n{OTHER}  security: payments -> source\n"
        )

    def test_very_many_changes_are_counted(
        self, config: Config, file: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("operate.reach.MOST_CHANGES", 1)
        own = {**RULE, "security": "own"}
        assert config("apply", file(overrides(own)), "--yes").out.endswith("and 1 more contacts\n")

    def test_without_rules_the_organization_is_not_listed(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        assert 0 == config("apply", file({"contact_types": ["billing"]}), "--yes").code
        assert "ListAccounts" not in {one["operation"] for one in account.organization.calls()}

    @pytest.mark.parametrize(
        ("override", "fault"),
        [
            ({**RULE, "security": "nobody"}, "not in the address book: nobody"),
            ({**RULE, "security": "branch"}, "branch: security.Name is not set"),
            ({**RULE, "organizational_units": ["ou-exam-nowhere1"]}, "ou-exam-nowhere1"),
        ],
    )
    def test_what_no_run_would_take_is_refused(
        self, account: Deployed, config: Config, file: Any, override: Any, fault: str
    ) -> None:
        keep_book(account)
        told = config("apply", file(overrides(override)), "--yes")
        assert 1 == told.code
        assert fault in told.error
        assert 0 == account.aws.calls["dynamodb.TransactWriteItems"]

    @pytest.mark.case("B8")
    def test_one_address_for_several_contacts(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        keep_book(account)
        told = config("apply", file(overrides({**RULE, "billing": "payments"})), "--yes")
        assert "warning: overrides.0: billing and security share one e-mail address" in told.err

    def test_an_account_is_excluded_whatever_the_address_book_has(
        self, account: Deployed, config: Config
    ) -> None:
        """An entry that another tool made invalid fails some accounts; runs write the others."""
        keep_book(account)
        account.configure(overrides({**RULE, "security": "branch"}))
        assert 0 == config("exclude", THIRD, "--yes").code

    def test_an_organization_that_cannot_be_listed_is_an_error(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        account.organization.add_fault(
            {"operation": "ListAccounts", "error": "AccessDeniedException"}
        )
        told = config("apply", file(overrides({**RULE, "security": "own"})), "--yes")
        assert (1, True) == (told.code, "AccessDenied" in told.error)

    def test_accounts_that_are_not_there_are_warned_of(self, config: Config, file: Any) -> None:
        told = config(
            "apply", file(overrides({"account_ids": [STRANGER], "security": "own"})), "--yes"
        )
        assert 0 == told.code
        assert f"warning: overrides: not in the organization: {STRANGER}" in told.err

    def test_a_run_is_started_where_that_is_asked_for(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        told = config("apply", file(overrides({**RULE, "security": "own"})), "--yes", "--sync")
        assert 0 == told.code
        [name] = [given["name"] for _, given in account.aws.sent if "name" in given]
        assert f"started {name}; follow it" in told.err
        assert "resync.sh --environment dev --region us-east-1 --attach " in told.err


class TestExplain:
    def test_each_type_and_its_rule(self, account: Deployed, config: Config) -> None:
        own = {"account_ids": [OTHER], "billing": "own"}
        types = ["primary", "billing", "security"]
        account.configure(overrides(RULE, own, contact_types=types, primary_keeps=["PhoneNumber"]))
        told = config("explain", OTHER)
        assert told.out == (
            f"{OTHER}: ACTIVE\n"
            "  primary     source: no override; the account keeps PhoneNumber\n"
            f"  billing     own: overrides.1, for account {OTHER}\n"
            "  operations  not synced: not in contact_types\n"
            f"  security    payments: overrides.0, for organizational unit {UNIT}\n"
        )

    @pytest.mark.parametrize(
        ("account_id", "more", "standing"),
        [
            (MANAGEMENT, {}, "the management account, which is the source and never written"),
            (STRANGER, {}, "not in the organization: not written"),
            (OTHER, {"excluded_accounts": [OTHER]}, f"excluded by {OTHER}: never written"),
            (
                OTHER,
                {"excluded_organizational_units": [INNER]},
                f"excluded by {INNER}: never written",
            ),
        ],
    )
    def test_an_account_that_is_not_written(
        self, account: Deployed, config: Config, account_id: str, more: Any, standing: str
    ) -> None:
        account.configure(overrides(**more))
        assert config("explain", account_id).out == f"{account_id}: {standing}\n"

    def test_an_account_that_cannot_be_looked_up_is_an_error(
        self, account: Deployed, config: Config
    ) -> None:
        account.organization.add_fault(
            {"operation": "DescribeAccount", "error": "AccessDeniedException"}
        )
        assert 1 == config("explain", ACCOUNT).code


class TestHistory:
    def test_what_was_replaced_is_kept_with_time_and_caller(
        self, config: Config, file: Any
    ) -> None:
        assert "nothing was replaced in the last 90 days\n" == config("history").out
        config("exclude", ACCOUNT, "--yes")
        config("contacts", "apply", file(BOOK), "--yes")
        config("contacts", "apply", file({"payments": PAYMENTS}), "--yes")
        contacts, configuration = config("history").out.splitlines()
        assert "  contacts 20" in contacts
        assert "  configuration " in configuration
        assert contacts.endswith(f"  replaced by {PRINCIPAL}")
        assert [] == values_in(contacts)

    def test_a_broken_configuration_is_kept_too(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        account.configure({"contact_types": []})
        config("apply", file(overrides()), "--yes")
        assert "  configuration invalid  " in config("history").out
