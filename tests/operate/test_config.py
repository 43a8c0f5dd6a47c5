"""Showing, checking and changing the configuration: `config`."""

import json
from pathlib import Path
from typing import Any

import pytest
from contact_sync.aws.items import to_item
from operate import configuration
from support.aws import Operate, refusal
from support.deployed import PRINCIPAL, STACK, Deployed

ACCOUNT, OTHER_ACCOUNT, STRANGER = "100000000001", "100000000002", "123456789012"
MANAGEMENT = "999999999999"
UNIT, NO_UNIT = "ou-exam-workloads", "ou-exam-nowhere1"
WHOLE = {
    "config_key": "default",
    "contact_types": ["billing", "security"],
    "excluded_accounts": [ACCOUNT],
    "on_source_deleted": "delete",
    "retry_config": {"max_attempts": 5, "base_delay": 1, "max_delay": 30},
    "notification_settings": {"notify_on_success": True, "failure_threshold": 3},
}
DEFAULT = {
    "config_key": "default",
    "contact_types": ["primary", "billing", "operations", "security"],
}
Config = Operate


class TestOptions:
    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ("", "COMMAND, FILE or ID is required"),
            ("edit", "unknown command 'edit': use show, validate, apply, exclude, include"),
            ("show", "--environment is required"),
            ("apply x.json", "--environment is required"),
            ("show --environment dev x", "unexpected: x"),
            ("apply --environment dev", "apply needs one file"),
            ("validate", "validate needs one file"),
            ("validate a.json b.json", "validate needs one file"),
            ("exclude --environment dev", "exclude needs the ID of an account or organizational"),
            ("include --environment dev 12345678901", "invalid account ID '12345678901'"),
            ("exclude --environment dev ou-EXAM-workloads", "invalid organizational unit 'ou-EX"),
            ("contacts", "contacts needs show, validate FILE or apply FILE"),
            ("contacts show x", "contacts needs show, validate FILE or apply FILE"),
            ("contacts edit x", "contacts needs show, validate FILE or apply FILE"),
            ("contacts show", "--environment is required"),
            ("explain --environment dev", "explain needs the ID of one account"),
            ("explain --environment dev 12", "invalid account ID '12'"),
            ("history --environment dev x", "unexpected: x"),
        ],
    )
    def test_wrong(self, operate: Operate, account: Deployed, words: str, complaint: str) -> None:
        told = operate("config", *words.split())

        assert (2, "") == (told.code, told.out)
        assert complaint in told.err.splitlines()[0]
        assert {} == account.aws.calls

    @pytest.mark.parametrize(
        "words",
        [
            f"exclude {ACCOUNT},{UNIT} --yes --environment dev",
            f"--environment=dev exclude {ACCOUNT} --yes {UNIT}",
            f"exclude --environment dev --yes {ACCOUNT} {UNIT}",
        ],
    )
    def test_any_order(self, operate: Operate, account: Deployed, words: str) -> None:
        """IDs and options in any order, with commas or spaces."""
        told = operate("config", *words.split())

        assert 0 == told.code, told.err
        expected = {"excluded_accounts": [ACCOUNT], "excluded_organizational_units": [UNIT]}
        assert {**DEFAULT, **expected} == account.configuration()


class TestShow:
    def test_it_is_a_file(self, account: Deployed, config: Config, file: Any) -> None:
        """What `show` prints is what `apply` takes."""
        told = config("show")

        assert (0, "", DEFAULT) == (told.code, told.err, json.loads(told.out))
        again = config("apply", file(told.out))
        assert (0, "", "nothing to change\n") == (again.code, again.out, again.err)
        assert 0 == account.aws.calls["dynamodb.TransactWriteItems"]

    def test_none(self, account: Deployed, config: Config) -> None:
        """An absent item is told, and is not taken for a valid one."""
        account.configure(None)

        told = config("show")

        assert 1 == told.code
        assert "error: no configuration item with config_key `default`" == told.error

    def test_broken(self, account: Deployed, config: Config) -> None:
        """A broken item is shown with its faults."""
        account.configure({"contact_types": ["legal"], "excluded_accounts": [1]})

        told = config("show")

        assert 1 == told.code
        assert ["legal"] == json.loads(told.out)["contact_types"]
        assert "contact_types.0: unknown contact type 'legal': use primary, " in told.error
        assert "excluded_accounts.0: expected text, in quotes" in told.error


class TestValidate:
    def test_needs_no_account(self, account: Deployed, operate: Operate, file: Any) -> None:
        told = operate("config", "validate", file(WHOLE))

        assert (0, "") == (told.code, told.out)
        assert told.err.endswith("config.json is valid\n")
        assert {} == account.aws.calls

    @pytest.mark.case("B6")
    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ({}, "contact_types: is required"),
            ({**WHOLE, "excluded_accounts": [100000000001]}, "excluded_accounts.0: expected text"),
            ({**WHOLE, "config_key": "current"}, "config_key: expected `default`"),
            ({**WHOLE, "retry_config": {"max_attempts": 2.5}}, "retry_config.max_attempts: "),
            ({"contact_types": ["SECURITY"]}, "'SECURITY': use primary, billing, operations or"),
            (to_item(WHOLE), "config_key: this is DynamoDB JSON, with a type for each value"),
            ('{"contact_types": ["billing"]} // all', "JSON has no comments"),
            ('{"contact_types": ["billing",]}', "no trailing commas"),
            (
                '{"contact_types": ["billing"], "excluded_accounts": ["1"], "contact_types": []}',
                "more than once: contact_types",
            ),
            ('{"contact_types": ["billing"], "x": NaN}', "NaN is not JSON"),
            (f'{{"contact_types": ["billing"], "x": 1.{"1" * 50}}}', "more digits than DynamoDB"),
            ('{"contact_types": ["billing"],', "not JSON: "),
            ("[]", "not a JSON object"),
            ("", "not JSON: "),
        ],
    )
    def test_broken(self, operate: Operate, file: Any, content: Any, complaint: str) -> None:
        """Each fault is named in operators' words, with the file that has it."""
        path = file(content)

        told = operate("config", "validate", path)

        assert (1, "") == (told.code, told.out)
        assert told.err.startswith(f"error: {path}: ")
        assert complaint in told.err

    def test_every_fault_at_once(self, operate: Operate, file: Any) -> None:
        """Nobody has to try again and again; what the file holds is not repeated."""
        content = {"contact_types": [1], "x": 1, "retry_config": "jane.doe@example.com"}

        told = operate("config", "validate", file(content))

        for place in ("contact_types.0: ", "x: ", "retry_config: "):
            assert place in told.err
        assert "jane.doe" not in told.err

    def test_no_file(self, operate: Operate, tmp_path: Path) -> None:
        told = operate("config", "validate", tmp_path / "none.json")

        assert (1, f"error: {tmp_path}/none.json: No such file or directory") == (
            told.code,
            told.error,
        )

    def test_encodings(self, operate: Operate, tmp_path: Path) -> None:
        """Another encoding is told; the mark that Windows puts before UTF-8 does no harm."""
        path = tmp_path / "config.json"
        path.write_bytes(b'{"contact_types": ["\xff"]}')
        refused = operate("config", "validate", path)
        path.write_bytes(b'\xef\xbb\xbf{"contact_types": ["billing"]}\r\n')

        assert f"error: {path}: not JSON: the encoding is not UTF-8" == refused.error
        assert 0 == operate("config", "validate", path).code


class TestApply:
    def test_writes_after_yes(self, account: Deployed, config: Config, file: Any) -> None:
        """The difference is shown, the question asked, and then the item is the file."""
        told = config("apply", file(WHOLE), answer="y\n")

        assert 0 == told.code, told.err
        assert "--- config before\n+++ config after\n" in told.out
        assert '-    "primary",' in told.out
        assert f'+    "{ACCOUNT}"' in told.out
        for named in (MANAGEMENT, "us-east-1", PRINCIPAL, STACK, "Write this to config? [y/N]"):
            assert named in told.err
        assert WHOLE == account.configuration()

    @pytest.mark.parametrize("answer", ["", "\n", "n\n", "yesterday\n"])
    def test_no_is_no(self, account: Deployed, config: Config, file: Any, answer: str) -> None:
        told = config("apply", file(WHOLE), answer=answer)

        assert 1 == told.code
        assert told.error.startswith("error: not confirmed")
        assert DEFAULT == account.configuration()

    def test_first_one(self, account: Deployed, config: Config, file: Any) -> None:
        """Where there is no item the file becomes it, with its key."""
        account.configure(None)

        told = config("apply", file({"contact_types": ["billing"]}), "--yes")

        assert (0, "written to config; the next run uses it\n") == (told.code, told.err)
        expected = {"config_key": "default", "contact_types": ["billing"]}
        assert expected == account.configuration()

    def test_a_file_named_validate(
        self, account: Deployed, config: Config, file: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(file(WHOLE).rename(file(WHOLE).with_name("validate")).parent)

        assert 0 == config("apply", "validate", "--yes").code
        assert WHOLE == account.configuration()

    def test_broken_file(self, account: Deployed, config: Config, file: Any) -> None:
        """A broken file never reaches the table, not even with --yes."""
        told = config("apply", "--yes", file({**WHOLE, "contact_types": []}))

        assert (1, "") == (told.code, told.out)
        assert DEFAULT == account.configuration()

    def test_over_a_broken_item(self, account: Deployed, config: Config, file: Any) -> None:
        """A whole file is how a broken item is put right."""
        account.configure({"contact_types": ["legal"], "unknown": "x"})

        told = config("apply", file(WHOLE), "--yes")

        assert 0 == told.code, told.err
        assert '-  "unknown": "x"' in told.out
        assert WHOLE == account.configuration()

    def test_changed_meanwhile(
        self, account: Deployed, config: Config, file: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What another one wrote while the question stood is not written over."""
        changed = {**DEFAULT, "on_source_deleted": "delete"}
        monkeypatch.setattr("operate.config.confirm", lambda *_, **__: account.configure(changed))

        told = config("apply", file(WHOLE))

        assert 1 == told.code
        assert "someone else changed the configuration meanwhile; nothing was written" in told.error
        assert changed == account.configuration()

    def test_the_same_item_as_stored_is_expected(
        self, account: Deployed, config: Config, file: Any
    ) -> None:
        """Whatever the table holds, an unchanged item is recognized as unchanged."""
        sets = {"excluded_accounts": {ACCOUNT, OTHER_ACCOUNT}, "nothing": None}
        account.configure({**WHOLE, **sets, "excluded_organizational_units": []})

        assert 0 == config("apply", file(WHOLE), "--yes").code

    def test_throttled(self, account: Deployed, config: Config, file: Any) -> None:
        """A refused write is an error, told in one line, and nobody else's change.

        The reasons are a member of their own (botocore's model of TransactionCanceledException).
        """
        code, reasons = (
            "TransactionCanceledException",
            [{"Code": "ThrottlingError"}, {"Code": "None"}],
        )
        error = refusal(code, "[ThrottlingError, None]", CancellationReasons=reasons)
        account.aws.fail("dynamodb.TransactWriteItems", error)

        told = config("apply", file(WHOLE), "--yes")

        assert (1, f"error: Any: {code}: [ThrottlingError, None]") == (told.code, told.error)


class TestExclusions:
    def test_exclude_and_include(self, account: Deployed, config: Config) -> None:
        """Accounts and units are added and taken away, each once, and nothing else changes."""
        first = config("exclude", ACCOUNT, UNIT, OTHER_ACCOUNT, ACCOUNT, "--yes")

        assert 0 == first.code, first.err
        assert f'+    "{UNIT}"' in first.out
        lists = {
            "excluded_accounts": [ACCOUNT, OTHER_ACCOUNT],
            "excluded_organizational_units": [UNIT],
        }
        assert {**DEFAULT, **lists} == account.configuration()

        second = config("include", OTHER_ACCOUNT, UNIT, "--yes")

        assert 0 == second.code, second.err
        assert f'-    "{OTHER_ACCOUNT}"' in second.out
        lists = {"excluded_accounts": [ACCOUNT], "excluded_organizational_units": []}
        assert {**DEFAULT, **lists} == account.configuration()

    @pytest.mark.parametrize("command", ["exclude", "include"])
    def test_nothing_to_change(self, account: Deployed, config: Config, command: str) -> None:
        """What is so already is told, asked nothing, and is no error."""
        excluded = [ACCOUNT] if command == "exclude" else []
        account.configure({**DEFAULT, "excluded_accounts": excluded})

        told = config(command, ACCOUNT)

        assert (0, "", "nothing to change\n") == (told.code, told.out, told.err)

    @pytest.mark.case("E15")
    @pytest.mark.case("B9")
    @pytest.mark.parametrize("command", ["exclude", "apply"])
    def test_management_account(
        self, account: Deployed, config: Config, file: Any, command: str
    ) -> None:
        """It is never written anyway: whoever excludes it meant another account."""
        content = {**DEFAULT, "excluded_accounts": [MANAGEMENT]}
        word = MANAGEMENT if command == "exclude" else file(content)

        told = config(command, word, "--yes")

        assert 1 == told.code
        assert f"{MANAGEMENT} is the management account, which is never written" in told.error
        assert DEFAULT == account.configuration()

    @pytest.mark.case("E15")
    @pytest.mark.case("B9")
    @pytest.mark.parametrize("command", ["exclude", "apply"])
    def test_unknown_account(
        self, account: Deployed, config: Config, file: Any, command: str
    ) -> None:
        """A typo is told before it is written; the account may also join later."""
        content = {**DEFAULT, "excluded_accounts": [ACCOUNT, STRANGER]}
        words = [ACCOUNT, STRANGER] if command == "exclude" else [file(content)]

        told = config(command, *words, answer="y\n")

        assert 0 == told.code, told.err
        warning = f"warning: excluded_accounts: {STRANGER} is not in the organization"
        assert told.err.startswith(warning)
        assert 1 == told.err.count("warning: ")
        assert content == account.configuration()

    @pytest.mark.case("E15")
    @pytest.mark.parametrize("command", ["exclude", "apply"])
    def test_unknown_unit(self, account: Deployed, config: Config, file: Any, command: str) -> None:
        """A unit that the organization does not have would make every run fail."""
        content = {**WHOLE, "excluded_organizational_units": [UNIT, NO_UNIT]}
        words = [UNIT, NO_UNIT] if command == "exclude" else [file(content)]

        told = config(command, *words, "--yes")

        assert 1 == told.code
        assert f"{NO_UNIT} does not exist in the organization" in told.error
        assert UNIT not in told.error
        assert DEFAULT == account.configuration()

    def test_a_removed_unit_can_be_included(self, account: Deployed, config: Config) -> None:
        """A unit that was removed from the organization can be taken out of the item."""
        account.configure({**DEFAULT, "excluded_organizational_units": [NO_UNIT]})

        assert 0 == config("include", NO_UNIT, "--yes").code

    @pytest.mark.parametrize("item", [None, {"contact_types": ["legal"]}])
    def test_on_no_valid_item(self, account: Deployed, config: Config, item: Any) -> None:
        """A broken or missing item is told; an exclusion alone cannot put it right."""
        account.configure(item)

        told = config("exclude", ACCOUNT, "--yes")

        assert (1, "") == (told.code, told.out)
        assert "configuration item" in told.error


def test_request_expects_every_attribute() -> None:
    """A change of any attribute by another is noticed, also of one that is not there yet."""
    old = {"config_key": {"S": "default"}, "contact_types": {"L": []}}

    request = configuration._request("config", old, old)

    assert "attribute_not_exists(#n" in request["ConditionExpression"]
    assert set(request["ExpressionAttributeNames"].values()) >= {*old, *WHOLE}
