"""Both tables to files and back: `backup` and `restore`."""

import json
import stat
import subprocess
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from operate import backup_files
from operate.console import OperateError
from support.aws import Operate, refusal
from support.deployed import PRINCIPAL, STACK, Deployed
from support.moto_stack import CONFIG_TABLE, STATE_TABLE, empty

LOCK = {"pk": "LOCK", "sk": "LOCK", "holder": "f00d", "since": "2026-01-02T03:04:05+00:00"}
TABLES = {"config": "aws-contact-sync-dev-config", "state": "aws-contact-sync-dev-state"}
Command = Operate


@pytest.fixture(name="back_up")
def _back_up(operate: Operate) -> Command:
    return partial(operate, "backup", "--environment", "dev")


@pytest.fixture(name="restore")
def _restore(operate: Operate) -> Command:
    return partial(operate, "restore", "--environment", "dev")


@pytest.fixture(autouse=True, name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, where the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(account: Deployed, table: str) -> list[Any]:
    """Return a table's items in DynamoDB's typed form, in the order of their keys."""
    pages = account.dynamodb.get_paginator("scan").paginate(TableName=table)
    items = [item for page in pages for item in page["Items"]]
    return sorted(items, key=lambda item: json.dumps([item.get("pk"), item.get("sk")]))


def fill(account: Deployed, count: int) -> None:
    """Put so many accounts into the state table, and a free lock."""
    for number in range(count):
        account.put(STATE_TABLE, {"pk": f"ACCOUNT#{number:012}", "sk": "STATE"})
    account.put(STATE_TABLE, {"pk": "LOCK", "sk": "LOCK"})


def lose(account: Deployed) -> None:
    """Leave both tables as a new stack has them."""
    for table in (STATE_TABLE, CONFIG_TABLE):
        empty(account.dynamodb, table)


class TestThereAndBack:
    def test_the_address_book_is_confidential(
        self, account: Deployed, back_up: Command, restore: Command, folder: Path
    ) -> None:
        """It is saved and restored, both say so, and its file is for its owner alone."""
        assert "confidential" not in back_up().err
        book = {"config_key": "contacts", "contacts": {"payments": {"Name": "Ottoline Tester"}}}
        account.put(CONFIG_TABLE, book)

        told = back_up("--output", "with-contacts")

        assert "warning: with-contacts includes the address book: keep it confidential" in told.err
        file = folder / "with-contacts/config-table-backup.json"
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        assert "Ottoline" not in told.out + told.err
        again = restore("--input", "with-contacts", "--yes")
        assert "with-contacts includes the address book: keep it confidential" in again.err

    def test_types(self, account: Deployed, back_up: Command, restore: Command) -> None:
        """Every type and every digit comes back as it was."""
        account.put(
            STATE_TABLE,
            {
                "pk": "ACCOUNT#100000000001",
                "sk": "STATE",
                "text": 'été "quoted" \\ \n\t 日本 \u2028 😀',
                "looks_like_a_number": "100000000001",
                "long": Decimal("12345678901234567890123456789012345678"),
                "small": Decimal("-1.5E-100"),
                "yes": True,
                "nothing": None,
                "list": [1, "1", [], {}, {"B": {"S": "x"}}],
                "map": {"L": [1], "M": {"N": "text"}, "SS": ["b", "a"]},
                "texts": {"b", "a"},
                "numbers": {Decimal(2), Decimal(1)},
            },
        )
        before = contents(account, STATE_TABLE)
        configuration = account.configuration()

        backed_up = back_up()
        lose(account)
        restored = restore("--yes")

        assert (0, "backup\n") == (backed_up.code, backed_up.out)
        assert 0 == restored.code, restored.err
        (was,), (now,) = before, contents(account, STATE_TABLE)
        for item in (was, now):
            item["texts"]["SS"].sort()
            item["numbers"]["NS"].sort()
        assert was == now
        assert configuration == account.configuration()
        assert "restored: backup\n" == restored.out

    def test_binary_is_refused(self, account: Deployed, back_up: Command, folder: Path) -> None:
        """Bytes, which the versions of the AWS CLI read differently, are no silent loss."""
        account.put(STATE_TABLE, {"pk": "x", "sk": "y", "deep": [{"deeper": b"\x00\xff"}]})

        told = back_up()

        assert (1, "") == (told.code, told.out)
        assert "error: a table has binary values" in told.error
        assert [] == list(folder.iterdir())

    def test_the_guides_command(self, account: Deployed, back_up: Command, folder: Path) -> None:
        """BatchWriteItem takes each file of a table as it is."""
        fill(account, 30)
        back_up()
        lose(account)

        for file in folder.glob("backup/*-table-backup*.json"):
            account.dynamodb.batch_write_item(RequestItems=json.loads(file.read_text()))

        assert 30 == len(contents(account, STATE_TABLE))
        assert account.configuration()


class TestBackup:
    @pytest.mark.case("E2")
    def test_stack(self, account: Deployed, back_up: Command, folder: Path) -> None:
        """What deploys the same stack again is there: parameters, tags and configuration."""
        account.stack["Tags"] = [{"Key": "cost-center", "Value": "42"}]

        back_up()

        def read(name: str) -> Any:
            return json.loads((folder / "backup" / name).read_text())

        assert {"cost-center": "42"} == read("tags.json")
        assert "o-exampleorg1" == read("parameters.json")["OrganizationId"]
        (request,) = read("config-table-backup.json")[CONFIG_TABLE]
        assert {"S": "default"} == request["PutRequest"]["Item"]["config_key"]

    def test_lock_and_queue_are_left_out(
        self, account: Deployed, back_up: Command, folder: Path
    ) -> None:
        """They are true of the running stack only; an execution is told of."""
        fill(account, 3)
        account.put(STATE_TABLE, LOCK)
        account.put(STATE_TABLE, {"pk": "LOCK", "sk": "QUEUE#0123", "request": {"reason": "x"}})
        account.put(STATE_TABLE, {"pk": "SLOTS", "sk": "PutAlternateContact", "next": 1})

        told = back_up()

        assert 0 == told.code
        assert "warning: execution f00d is in progress" in told.err
        text = "".join(file.read_text() for file in (folder / "backup").iterdir())
        for left_out in ("LOCK", "f00d", "QUEUE", "SLOTS"):
            assert left_out not in text

    def test_empty_tables(
        self, account: Deployed, back_up: Command, restore: Command, folder: Path
    ) -> None:
        """A stack without any item has a backup, with no file that would be refused."""
        lose(account)

        told = back_up()

        assert "state: 0 items in 0 files\n" in told.err
        assert [] == list((folder / "backup").glob("*-table-backup*"))
        assert 0 == restore("--yes").code

    @pytest.mark.usefixtures("account")
    def test_only_for_its_owner(self, back_up: Command, folder: Path) -> None:
        """Nobody else on the machine reads it."""
        back_up("--output", "deep/er/saved")

        saved = folder / "deep/er/saved"
        for path in [saved, *saved.iterdir()]:
            assert 0 == stat.S_IMODE(path.stat().st_mode) & 0o077

    @pytest.mark.case("E14")
    @pytest.mark.usefixtures("account")
    def test_a_new_folder_each_time(self, back_up: Command, folder: Path) -> None:
        """The first is `backup`, where the guide's commands look; the next one is beside it."""
        first, second = back_up(), back_up()

        assert (0, "backup\n") == (first.code, first.out)
        assert 0 == second.code
        assert second.out.startswith("backup-2")
        assert (folder / second.out.strip() / "manifest.json").exists()

    @pytest.mark.usefixtures("account")
    def test_a_named_folder_is_kept(self, back_up: Command, folder: Path) -> None:
        """A folder that holds something is not written to; an empty one is."""
        (folder / "saved").mkdir()
        assert 0 == back_up("--output", "saved").code
        before = (folder / "saved/manifest.json").read_text()

        told = back_up("--output", "saved")

        assert (1, "") == (told.code, told.out)
        assert "saved is not empty" in told.error
        assert before == (folder / "saved/manifest.json").read_text()

    @pytest.mark.usefixtures("account")
    def test_a_file_is_no_folder(self, back_up: Command, folder: Path) -> None:
        (folder / "saved").write_text("")

        assert (
            "error: saved is not a folder: name another with --output"
            == back_up("--output", "saved").error
        )

    @pytest.mark.usefixtures("account")
    def test_a_link_is_followed(self, back_up: Command, folder: Path) -> None:
        (folder / "elsewhere").mkdir()
        (folder / "saved").symlink_to("elsewhere")

        assert (0, "saved\n") == ((told := back_up("--output", "saved")).code, told.out)
        assert (folder / "elsewhere/manifest.json").exists()

    @pytest.mark.usefixtures("account")
    def test_no_folder_can_be_made(self, back_up: Command, folder: Path) -> None:
        """Whatever the file system has against it is told in one line."""
        (folder / "file").write_text("")

        told = back_up("--output", "file/saved")

        assert (1, "") == (told.code, told.out)
        assert told.error.startswith("error: NotADirectoryError: [Errno 20] Not a directory: ")

    @pytest.mark.parametrize("call", ["dynamodb.Scan", "dynamodb.GetItem"])
    @pytest.mark.parametrize(
        "error", [refusal("ProvisionedThroughputExceededException"), KeyboardInterrupt()]
    )
    def test_nothing_halfway(
        self,
        account: Deployed,
        back_up: Command,
        folder: Path,
        call: str,
        error: BaseException,
    ) -> None:
        """Whatever ends it, nothing is left that looks like a backup."""

        def end(*_: Any) -> None:
            raise error

        account.aws.answers[call] = end

        told = back_up()

        assert (True, "") == (told.code in (1, 130), told.out)
        assert [] == list(folder.iterdir())


class TestRestore:
    @pytest.fixture(autouse=True, name="backup")
    def _backup(self, account: Deployed, back_up: Command, folder: Path) -> Path:
        """Thirty accounts and the configuration, gone from the tables."""
        fill(account, 30)
        assert 0 == back_up().code
        lose(account)
        return folder / "backup"

    def test_asks(self, account: Deployed, restore: Command) -> None:
        """It says what it would write and where, and without a yes writes nothing."""
        told = restore(answer="n\n")

        assert (1, "error: not confirmed; nothing was changed") == (told.code, told.error)
        for named in ("state: 30 items in 2 files\n", "999999999999", PRINCIPAL, STACK):
            assert named in told.err
        assert [] == contents(account, STATE_TABLE)
        assert 0 == restore(answer="y\n").code
        assert 30 == len(contents(account, STATE_TABLE))

    def test_it_can_be_repeated(self, account: Deployed, restore: Command) -> None:
        """A second time changes nothing; what the tables have besides stays."""
        restore("--yes")
        account.put(STATE_TABLE, {"pk": "ACCOUNT#100000000099", "sk": "STATE"})

        told = restore("--yes")

        assert 0 == told.code, told.err
        assert 31 == len(contents(account, STATE_TABLE))

    def test_unprocessed_items(self, account: Deployed, restore: Command) -> None:
        """What DynamoDB was too busy for is sent again until all is written."""
        sizes: list[int] = []

        def busy(_: str, given: Any) -> Any:
            ((table, requests),) = given["RequestItems"].items()
            sizes.append(len(requests))
            if len(sizes) > 3:
                return None
            account.dynamodb.put_item(TableName=table, Item=requests[0]["PutRequest"]["Item"])
            return {"UnprocessedItems": {table: requests[1:]} if requests[1:] else {}}

        account.aws.answers["dynamodb.BatchWriteItem"] = busy

        told = restore("--yes")

        assert 0 == told.code, told.err
        assert 30 == len(contents(account, STATE_TABLE))
        assert [25, 24, 23, 22, 5, 1] == sizes

    def test_busy_for_ever(self, account: Deployed, restore: Command) -> None:
        """It gives up in the end, and says so."""
        account.aws.answers["dynamodb.BatchWriteItem"] = lambda _, given: {
            "UnprocessedItems": given["RequestItems"]
        }

        told = restore("--yes")

        assert 1 == told.code
        assert "state-table-backup.json in 8 attempts: run this command again later" in told.error

    def test_interrupted(self, account: Deployed, restore: Command) -> None:
        """The same command does the rest."""

        def interrupt(*_: Any) -> Any:
            if account.aws.calls["dynamodb.BatchWriteItem"] > 1:
                raise KeyboardInterrupt
            return None

        account.aws.calls.clear()
        account.aws.answers["dynamodb.BatchWriteItem"] = interrupt
        told = restore("--yes")
        del account.aws.answers["dynamodb.BatchWriteItem"]

        assert 130 == told.code
        assert (
            "Not all of the backup is written; run this command again to write all of it."
            in told.err
        )
        assert 25 == len(contents(account, STATE_TABLE))
        assert 0 == restore("--yes").code
        assert 30 == len(contents(account, STATE_TABLE))

    def test_denied_in_the_middle(self, account: Deployed, restore: Command) -> None:
        """Who thinks that nothing was written, has the states without the configuration."""

        def write(_: str, given: Any) -> Any:
            return refusal("AccessDenied") if CONFIG_TABLE in given["RequestItems"] else None

        account.aws.answers["dynamodb.BatchWriteItem"] = write

        told = restore("--yes")

        assert 1 == told.code
        assert "Not all of the backup is written; run this command again" in told.err

    def test_while_an_execution_works(self, account: Deployed, restore: Command) -> None:
        """It would go on with what it read before: nothing is written."""
        account.put(STATE_TABLE, LOCK)

        told = restore("--yes")

        assert 1 == told.code
        assert told.error.startswith("error: execution f00d is in progress; nothing was written")
        assert 1 == len(contents(account, STATE_TABLE))

    def test_older_backup(self, account: Deployed, restore: Command, backup: Path) -> None:
        """A backup of version 1 has no parameters and no tags."""
        for name in ("parameters.json", "tags.json"):
            (backup / name).unlink()

        assert 0 == restore("--yes").code
        assert 30 == len(contents(account, STATE_TABLE))

    @pytest.mark.case("E2")
    def test_another_organization(self, account: Deployed, restore: Command, backup: Path) -> None:
        """Tables have the same names in every account; exclusions of others protect nobody here."""
        (backup / "parameters.json").write_text('{"OrganizationId": "o-another"}')

        told = restore("--yes")

        assert 1 == told.code
        assert "is a backup of organization o-another, not of o-exampleorg1" in told.error
        assert [] == contents(account, STATE_TABLE)

    @pytest.mark.case("E14")
    def test_several_backups(self, back_up: Command, restore: Command) -> None:
        """Which one is meant is not guessed."""
        name = back_up().out.strip()

        told = restore("--yes")

        expected = f"there are several backups here: choose one with --input: backup, {name}"
        assert f"error: {expected}" == told.error
        assert 0 == restore("--yes", "--input", name).code

    def test_damaged(self, account: Deployed, restore: Command, backup: Path) -> None:
        """What is no whole backup is told before anything is written."""
        (backup / "state-table-backup-00002.json").unlink()

        told = restore("--yes")

        lost = "backup/state-table-backup-00002.json"
        assert (1, f"error: {lost}: No such file or directory") == (told.code, told.error)
        assert [] == contents(account, STATE_TABLE)


class TestFiles:
    """The files alone, without any table."""

    @pytest.mark.parametrize(
        ("count", "sizes"), [(0, []), (1, [1]), (25, [25]), (26, [25, 1]), (50, [25, 25])]
    )
    def test_25_a_file(self, tmp_path: Path, count: int, sizes: list[int]) -> None:
        """No file has more than BatchWriteItem takes, and none is empty."""
        packed(tmp_path, count)

        files = backup_files.check(tmp_path, TABLES)["state"]["files"]
        requests = [json.loads((tmp_path / file).read_text())[TABLES["state"]] for file in files]
        assert sizes == [len(some) for some in requests]

    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            ("rm state-table-backup-00002.json", "state-table-backup-00002.json: No such file"),
            ("rm manifest.json", "is not a backup: it has no manifest.json"),
            ("echo '{}' >manifest.json", "manifest.json is damaged or cannot be read"),
            ("echo '[]' >manifest.json", "manifest.json is damaged or cannot be read"),
            ("echo '{' >manifest.json", "manifest.json is damaged or cannot be read"),
            ("echo '{' >state-table-backup.json", "is not a request to write items of"),
            (
                "cp config-table-backup.json state-table-backup.json",
                "is not a request to write items",
            ),
            ("cp state-table-backup-00002.json state-table-backup.json", "10 items of"),
            (
                f"echo '{{\"{TABLES['state']}\": []}}' >state-table-backup.json",
                "to write 1 to 25 items",
            ),
            ("sed -i s/ACCOUNT#000000000003/LOCK/ *.json", "has items of a running stack"),
            (
                "sed -i s/-dev-/-prod-/ *.json",
                "is a backup of aws-contact-sync-prod-config, not of",
            ),
        ],
    )
    def test_damaged(self, tmp_path: Path, damage: str, complaint: str) -> None:
        """What is no whole backup of these tables is told."""
        packed(tmp_path, 30)
        subprocess.run(["sh", "-c", damage], cwd=tmp_path, check=True)

        with pytest.raises(OperateError) as error:
            backup_files.check(tmp_path, TABLES)

        assert complaint in str(error.value)


def packed(folder: Path, count: int) -> None:
    """Write a backup of so many accounts, as version 1 did."""
    state = [{"pk": {"S": f"ACCOUNT#{n:012}"}, "sk": {"S": "STATE"}} for n in range(count)]
    some = {"config": [{"config_key": {"S": "default"}}], "state": state}
    entries = {
        name: backup_files.pack(items, folder, name, TABLES[name]) for name, items in some.items()
    }
    (folder / "manifest.json").write_text(json.dumps({"created_at": "x", "tables": entries}))
