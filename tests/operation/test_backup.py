"""Both tables to files and back: `scripts/backup.sh` and `scripts/restore.sh`."""

import json
import re
import shlex
import signal
import stat
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lib import table_backup
from operation.busy_dynamodb import busy_dynamodb
from operation.operate import environment_of, operate
from standin.organization.worlds import drifted_world
from support.cli import REPOSITORY, Cli, FakeAws, Result, run, wait_until, without_aws
from support.machine import Machine

CONFIG_TABLE, STATE_TABLE = "aws-contact-sync-dev-config", "aws-contact-sync-dev-state"
LOCK = {"pk": "LOCK", "sk": "LOCK", "holder": "f00d", "since": "2026-01-02T03:04:05+00:00"}
TABLES = {"config": CONFIG_TABLE, "state": STATE_TABLE}
FREE_LOCK = {"pk": "LOCK", "sk": "LOCK"}


@pytest.fixture(name="organization")
def _organization(machine: Machine) -> Iterator[Machine]:
    """No accounts, the default configuration, and no state."""
    machine.reset(drifted_world(0))
    yield machine
    machine.standin.clear_faults()
    empty(machine)
    machine.put_config({"config_key": "default", "contact_types": ["billing"]})


def contents(machine: Machine, table: str) -> list[Any]:
    """Return a table's items in DynamoDB's typed form, in the order of their keys."""
    client = machine.standin.client("dynamodb")
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    items = [item for page in pages for item in page["Items"]]
    return sorted(items, key=lambda item: json.dumps([item.get("pk"), item.get("sk")]))


def fill(machine: Machine, count: int) -> None:
    """Put so many accounts into the state table, and a lock."""
    client = machine.standin.client("dynamodb")
    requests = [
        {"PutRequest": {"Item": {"pk": {"S": f"ACCOUNT#{n:012}"}, "sk": {"S": "STATE"}}}}
        for n in range(count)
    ]
    for start in range(0, count, 25):
        client.batch_write_item(RequestItems={STATE_TABLE: requests[start : start + 25]})
    machine.put(FREE_LOCK)


def empty(machine: Machine) -> None:
    """Leave both tables as a new stack has them."""
    client = machine.standin.client("dynamodb")
    requests = [
        {"DeleteRequest": {"Key": {"pk": item["pk"], "sk": item["sk"]}}}
        for item in contents(machine, STATE_TABLE)
    ]
    for start in range(0, len(requests), 25):
        client.batch_write_item(RequestItems={STATE_TABLE: requests[start : start + 25]})
    machine.put_config(None)


def back_up(cli: Cli, folder: Path, **more: str) -> Result:
    return operate(cli, "backup.sh", "--output", folder, **more)


def restore(cli: Cli, folder: Path, *options: str, **more: str) -> Result:
    return operate(cli, "restore.sh", "--input", folder, *options, **more)


def written(folder: Path) -> list[Path]:
    return sorted(folder.glob("*-table-backup*.json"))


class TestOptions:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    @pytest.mark.parametrize(
        ("script", "own"),
        [("backup.sh", ["--output DIR"]), ("restore.sh", ["--input DIR", "--yes"])],
    )
    def test_help(self, fake_aws: FakeAws, script: str, own: list[str], option: str) -> None:
        """Help is an answer, not an error."""
        fake_aws.answers = ["exit 99"]

        result = run(script, option, environment=fake_aws.environment)

        assert (0, "") == (result.returncode, result.stderr)
        for named in ("--environment ENV", "--region R", "--profile P", *own):
            assert named in result.stdout

    @pytest.mark.parametrize("script", ["backup.sh", "restore.sh"])
    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("", "--environment is required"),
            ("--bogus", "unknown option: --bogus"),
            ("left-over", "unknown option: left-over"),
            ("--environment", "--environment needs a value"),
            ("--environment production", "'production' is no environment"),
            ("--region somewhere", "'somewhere' is no region"),
            ("--profile", "--profile needs a value"),
        ],
    )
    def test_wrong(self, fake_aws: FakeAws, script: str, options: str, complaint: str) -> None:
        """A wrong option is told on stderr with the usage and exit code 2, before any call."""
        fake_aws.answers = ["exit 99"]

        result = run(script, *shlex.split(options), environment=fake_aws.environment)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr.splitlines()[0]
        assert f"Usage: scripts/{script}" in result.stderr
        assert 0 == fake_aws.calls

    @pytest.mark.parametrize(
        ("script", "option"), [("backup.sh", "--output"), ("restore.sh", "--input")]
    )
    def test_folder_is_missing(self, fake_aws: FakeAws, script: str, option: str) -> None:
        """An option without its folder is wrong."""
        fake_aws.answers = ["exit 99"]

        result = run(script, "--environment", "dev", option, environment=fake_aws.environment)

        assert 2 == result.returncode
        assert f"{option} needs a value" in result.stderr


class TestThereAndBack:
    def test_a_real_run(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """What a run left in the tables is the same after backup, loss and restoration."""
        organization.reset(drifted_world(12), excluded_accounts=["100000000002"])
        organization.run()
        organization.run({"dry_run": True})
        tables = {table: contents(organization, table) for table in (CONFIG_TABLE, STATE_TABLE)}
        assert 25 < len(tables[STATE_TABLE])

        backed_up = back_up(cli, tmp_path / "backup")
        empty(organization)
        restored = restore(cli, tmp_path / "backup", "--yes")

        assert (0, f"{tmp_path}/backup\n") == (backed_up.returncode, backed_up.stdout)
        assert 0 == restored.returncode, restored.stderr
        expected = [item for item in tables[STATE_TABLE] if item["pk"] != {"S": "LOCK"}]
        assert expected == contents(organization, STATE_TABLE)
        assert tables[CONFIG_TABLE] == contents(organization, CONFIG_TABLE)
        assert f"{STATE_TABLE}: {len(expected)} items as in the backup\n" in restored.stdout
        assert f"{CONFIG_TABLE}: 1 item as in the backup\n" in restored.stdout

        outcome = organization.run().describe()

        assert "SUCCEEDED" == outcome["status"]

    def test_types(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """Every type and every digit comes back as it was."""
        organization.put(
            {
                "pk": "ACCOUNT#100000000001",
                "sk": "STATE",
                "text": 'été "quoted" \\ \n\t 日本 \u2028 😀',
                "empty": "",
                "looks_like_a_number": "100000000001",
                "long": Decimal("12345678901234567890123456789012345678"),
                "small": Decimal("-1.5E-100"),
                "yes": True,
                "nothing": None,
                "list": [1, "1", [], {}, {"B": {"S": "x"}}],
                "map": {"L": [1], "M": {"N": "text"}, "SS": ["b", "a"]},
                "texts": {"b", "a"},
                "numbers": {Decimal(2), Decimal(1)},
            }
        )
        before = contents(organization, STATE_TABLE)

        backed_up = back_up(cli, tmp_path / "backup")
        empty(organization)
        restored = restore(cli, tmp_path / "backup", "--yes")

        assert 0 == backed_up.returncode, backed_up.stderr
        assert 0 == restored.returncode, restored.stderr
        (was,), (now,) = before, contents(organization, STATE_TABLE)
        for item in (was, now):
            item["texts"]["SS"].sort()
            item["numbers"]["NS"].sort()
        assert was == now

    def test_binary_is_refused(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """Bytes, which the versions of the CLI read differently, are no silent loss."""
        organization.put({"pk": "x", "sk": "y", "deep": [{"deeper": b"\x00\xff"}]})

        result = back_up(cli, tmp_path / "backup")

        assert (1, "") == (result.returncode, result.stdout)
        assert f"error: {STATE_TABLE} has binary values" in result.stderr
        assert not (tmp_path / "backup").exists()

    def test_many_pages(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A table longer than a page is read to its end, 25 items a file."""
        fill(organization, 1026)

        result = back_up(cli, tmp_path / "backup")

        assert 0 == result.returncode, result.stderr
        assert f"{STATE_TABLE}: 1026 items in 42 files\n" in result.stderr
        files = written(tmp_path / "backup")
        assert 1 + 42 == len(files)
        keys = [
            request["PutRequest"]["Item"]["pk"]["S"]
            for file in files
            for request in json.loads(file.read_text()).get(STATE_TABLE, [])
        ]
        assert [f"ACCOUNT#{n:012}" for n in range(1026)] == sorted(keys)

    def test_the_guides_commands(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """`aws dynamodb batch-write-item --request-items file://...` takes each file as it is."""
        fill(organization, 60)
        before = {table: contents(organization, table) for table in (CONFIG_TABLE, STATE_TABLE)}
        back_up(cli, tmp_path / "backup")
        empty(organization)
        names = [file.name for file in written(tmp_path / "backup")]

        for name in names:
            command = ["aws", "dynamodb", "batch-write-item", "--request-items"]
            done = subprocess.run(
                [*command, f"file://backup/{name}"],
                cwd=tmp_path,
                env=environment_of(cli),
                check=False,
                capture_output=True,
                text=True,
            )
            assert (0, {"UnprocessedItems": {}}) == (done.returncode, json.loads(done.stdout))

        assert {"config-table-backup.json", "state-table-backup.json"} < set(names)
        state = [item for item in before[STATE_TABLE] if item["pk"] != {"S": "LOCK"}]
        assert state == contents(organization, STATE_TABLE)
        assert before[CONFIG_TABLE] == contents(organization, CONFIG_TABLE)


class TestBackup:
    def test_lock_and_queue_are_left_out(
        self, organization: Machine, cli: Cli, tmp_path: Path
    ) -> None:
        """Who holds the lock, and what waits behind, is nobody else's; an execution is told of."""
        fill(organization, 3)
        organization.put(LOCK)
        organization.put({"pk": "LOCK", "sk": "QUEUE#0123", "request": {"reasons": ["queued"]}})

        result = back_up(cli, tmp_path / "backup")

        assert 0 == result.returncode, result.stderr
        assert "warning: execution f00d is under way" in result.stderr
        text = "".join(file.read_text() for file in (tmp_path / "backup").iterdir())
        for left_out in ("LOCK", "f00d", "QUEUE", "queued"):
            assert left_out not in text

    def test_empty_tables(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A stack without any item has a backup, with no file that would be refused."""
        empty(organization)

        result = back_up(cli, tmp_path / "backup")

        assert 0 == result.returncode, result.stderr
        assert f"{STATE_TABLE}: 0 items in 0 files\n" in result.stderr
        assert ["manifest.json"] == [file.name for file in (tmp_path / "backup").iterdir()]
        assert 0 == restore(cli, tmp_path / "backup", "--yes").returncode

    def test_only_for_its_owner(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """Nobody else on the machine reads it."""
        assert organization

        back_up(cli, tmp_path / "deep/er/backup")

        for path in [tmp_path / "deep/er/backup", *written(tmp_path / "deep/er/backup")]:
            assert 0 == stat.S_IMODE(path.stat().st_mode) & 0o077

    def test_default_folder(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """Without --output it is `backup`, where the guide's commands look."""
        assert organization
        script = REPOSITORY / "scripts/backup.sh"

        result = subprocess.run(
            ["bash", script, "--environment", "dev"],
            cwd=tmp_path,
            env=environment_of(cli),
            check=False,
            capture_output=True,
            text=True,
        )

        assert (0, "backup\n") == (result.returncode, result.stdout)
        assert (tmp_path / "backup/config-table-backup.json").exists()

    def test_an_earlier_one_is_kept(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A folder that holds something is not written to; an empty one is."""
        (tmp_path / "backup").mkdir()
        assert 0 == back_up(cli, tmp_path / "backup").returncode
        before = (tmp_path / "backup/manifest.json").read_text()
        fill(organization, 1)

        result = back_up(cli, tmp_path / "backup")

        assert (1, "") == (result.returncode, result.stdout)
        assert "holds something already" in result.stderr
        assert before == (tmp_path / "backup/manifest.json").read_text()

    def test_a_file_is_no_folder(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A file in the place of the folder is told."""
        assert organization
        (tmp_path / "backup").write_text("")

        result = back_up(cli, tmp_path / "backup")

        assert (1, f"error: {tmp_path}/backup is no folder\n") == (result.returncode, result.stderr)

    def test_throttled(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A table that cannot be read to the end leaves nothing that looks like a backup."""
        refusal = "ProvisionedThroughputExceededException"
        organization.standin.set_faults(
            [{"service": "dynamodb", "operation": "Scan", "error": refusal, "times": 100}]
        )

        result = back_up(cli, tmp_path / "backup", AWS_MAX_ATTEMPTS="2")

        assert (1, "") == (result.returncode, result.stdout)
        assert refusal in result.stderr
        assert [] == list(tmp_path.iterdir())

    def test_lock_cannot_be_read(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """Not to know of an execution is not taken for none."""
        organization.standin.set_faults(
            [{"service": "dynamodb", "operation": "GetItem", "error": "AccessDeniedException"}]
        )

        result = back_up(cli, tmp_path / "backup")

        assert (1, "") == (result.returncode, result.stdout)
        assert [] == list(tmp_path.iterdir())

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted(
        self, organization: Machine, cli: Cli, tmp_path: Path, number: signal.Signals
    ) -> None:
        """Ended in the middle, it leaves nothing that looks like a backup."""
        assert organization
        running = subprocess.Popen(
            [
                "bash",
                REPOSITORY / "scripts/backup.sh",
                *("--environment", "dev", "--output", tmp_path / "backup"),
            ],
            env=environment_of(cli),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        wait_until(lambda: any(tmp_path.glob(".backup.*")))

        running.send_signal(number)
        stdout, _ = running.communicate(timeout=60)

        assert (True, b"") == (running.returncode != 0, stdout)
        assert [] == list(tmp_path.iterdir())

    def test_no_stack(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """Another region has no stack, and no table's name is guessed."""
        assert organization

        result = operate(cli, "backup.sh", "--output", tmp_path / "backup", "--region", "eu-west-1")

        assert 1 == result.returncode
        assert "there is no stack aws-contact-sync-dev in this account and region" in result.stderr
        assert not (tmp_path / "backup").exists()

    @pytest.mark.parametrize("script", ["backup.sh", "restore.sh"])
    def test_no_profile(self, organization: Machine, cli: Cli, script: str) -> None:
        """A profile that does not exist is named."""
        assert organization

        result = operate(cli, script, "--profile", "nobody")

        assert 1 == result.returncode
        assert "no AWS profile nobody" in result.stderr

    def test_no_cli(self, tmp_path: Path) -> None:
        """A missing AWS CLI is told with the remedy."""
        environment = without_aws(tmp_path)
        for tool in ("ls", "python3"):
            found = subprocess.run(
                ["sh", "-c", f"command -v {tool}"], check=True, capture_output=True, text=True
            )
            (tmp_path / tool).symlink_to(found.stdout.strip())

        result = run("backup.sh", "--environment", "dev", environment=environment)

        assert 1 == result.returncode
        assert "the AWS CLI is missing" in result.stderr


class TestRestore:
    @pytest.fixture(name="backup")
    def _backup(self, organization: Machine, cli: Cli, tmp_path: Path) -> Path:
        """Thirty accounts and the configuration, gone from the tables."""
        fill(organization, 30)
        folder = tmp_path / "backup"
        assert 0 == back_up(cli, folder).returncode
        empty(organization)
        return folder

    def test_asks(self, organization: Machine, cli: Cli, backup: Path) -> None:
        """It says what it would write, and without a yes writes nothing."""
        result = restore(cli, backup, answer="n\n")

        assert 1 == result.returncode
        assert f"{STATE_TABLE}: 30 items in 2 files\n" in result.stderr
        assert "not confirmed; nothing was done" in result.stderr
        assert [] == organization.items()
        assert 0 == restore(cli, backup, answer="y\n").returncode
        assert 30 == len(organization.items())

    def test_it_can_be_repeated(self, organization: Machine, cli: Cli, backup: Path) -> None:
        """A second time changes nothing; what the tables have besides stays and is told."""
        restore(cli, backup, "--yes")
        organization.put({"pk": "ACCOUNT#100000000099", "sk": "STATE"})

        result = restore(cli, backup, "--yes")

        assert 0 == result.returncode, result.stderr
        assert (
            "30 items as in the backup; 1 item more that the backup does not have" in result.stdout
        )
        assert 31 == len(organization.items())

    def test_unprocessed_items(self, organization: Machine, cli: Cli, backup: Path) -> None:
        """What DynamoDB was too busy for is sent again until all is written."""
        with busy_dynamodb(organization.standin.endpoint_url, busy_batches=3) as busy:
            result = restore(cli, backup, "--yes", AWS_ENDPOINT_URL_DYNAMODB=busy.url)

        assert 0 == result.returncode, result.stderr
        assert 30 == len(organization.items())
        assert [25, 24, 23, 22, 5, 1] == busy.batch_sizes

    def test_busy_for_ever(
        self, organization: Machine, cli: Cli, backup: Path, tmp_path: Path
    ) -> None:
        """It gives up in the end, and says so."""
        (tmp_path / "bin").mkdir()
        sleep = tmp_path / "bin/sleep"
        sleep.write_text("#!/bin/sh\nexit 0\n")
        sleep.chmod(0o755)
        path = f"{tmp_path}/bin:{cli.environment['PATH']}"
        with busy_dynamodb(organization.standin.endpoint_url, busy_batches=1000) as busy:
            more = {"AWS_ENDPOINT_URL_DYNAMODB": busy.url, "PATH": path}
            result = restore(cli, backup, "--yes", **more)

        assert 1 == result.returncode
        assert "DynamoDB left items of " in result.stderr
        assert "state-table-backup.json unwritten 8 times: restore again later" in result.stderr

    def test_throttled(self, organization: Machine, cli: Cli, backup: Path) -> None:
        """A refused write is an error, and told in one line."""
        refusal = "ProvisionedThroughputExceededException"
        organization.standin.set_faults(
            [{"service": "dynamodb", "operation": "BatchWriteItem", "error": refusal, "times": 99}]
        )

        result = restore(cli, backup, "--yes", AWS_MAX_ATTEMPTS="2")

        assert (1, "") == (result.returncode, result.stdout)
        assert refusal in result.stderr.splitlines()[-1]

    def test_while_an_execution_works(self, organization: Machine, cli: Cli, backup: Path) -> None:
        """It would go on with what it read before: nothing is written."""
        organization.put(LOCK)

        result = restore(cli, backup, "--yes")

        assert 1 == result.returncode
        assert "error: execution f00d is under way; nothing was written" in result.stderr
        assert [LOCK] == organization.items()

    def test_what_was_not_written_is_found(self, cli: Cli, backup: Path, tmp_path: Path) -> None:
        """The tables are compared afterwards: an answer alone proves nothing."""
        # Deletes one account and changes another before the tables are read again.
        (tmp_path / "bin").mkdir()
        aws = tmp_path / "bin/aws"
        key = '{"pk": {"S": "ACCOUNT#%s"}, "sk": {"S": "STATE"}}'
        lost, changed = key % "000000000007", key % "000000000008"
        put = f'{changed[:-1]}, "by": {{"S": "another"}}}}'
        aws.write_text(
            '#!/bin/sh\nPATH="${PATH#*:}"\n'
            'case "$*" in *scan*)\n'
            f"  aws dynamodb delete-item --table-name {STATE_TABLE} --key '{lost}'\n"
            f"  aws dynamodb put-item --table-name {STATE_TABLE} --item '{put}' ;;\n"
            'esac\nexec aws "$@"\n'
        )
        aws.chmod(0o755)
        path = f"{tmp_path}/bin:{cli.environment['PATH']}"

        result = restore(cli, backup, "--yes", PATH=path)

        assert 1 == result.returncode
        assert (
            f"error: {STATE_TABLE} does not agree with the backup: of 30 items 1 are missing and "
            "1 differ: ACCOUNT#000000000007 STATE, ACCOUNT#000000000008 STATE\n" in result.stderr
        )

    def test_damaged(self, organization: Machine, cli: Cli, backup: Path) -> None:
        """What is no whole backup is told before anything is written."""
        (backup / "state-table-backup-00002.json").unlink()

        result = restore(cli, backup, "--yes")

        assert (1, "") == (result.returncode, result.stdout)
        lost = f"{backup}/state-table-backup-00002.json"
        assert f"error: {lost}: No such file or directory\n" == result.stderr
        assert [] == organization.items()

    def test_no_backup(self, organization: Machine, cli: Cli, tmp_path: Path) -> None:
        """A folder that is not there is no backup."""
        assert organization

        result = restore(cli, tmp_path / "none", "--yes")

        assert 1 == result.returncode
        assert f"error: {tmp_path}/none holds no backup: it has no manifest.json" in result.stderr


class TestFiles:
    """The files alone, without any table."""

    @pytest.fixture(name="backup")
    def _backup(self, tmp_path: Path) -> Path:
        """Thirty accounts and the configuration."""
        return packed(tmp_path, 30)

    @pytest.mark.parametrize(
        ("count", "sizes"), [(0, []), (1, [1]), (25, [25]), (26, [25, 1]), (50, [25, 25])]
    )
    def test_25_a_file(self, tmp_path: Path, count: int, sizes: list[int]) -> None:
        """No file has more than BatchWriteItem takes, and none is empty."""
        backup = packed(tmp_path, count)

        files = table_backup.check(backup, TABLES)["state"]["files"]
        requests = [json.loads((backup / file).read_text())[STATE_TABLE] for file in files]
        assert sizes == [len(some) for some in requests]

    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            ("rm state-table-backup-00002.json", "state-table-backup-00002.json: No such file"),
            ("rm manifest.json", "holds no backup: it has no manifest.json"),
            ("echo '{}' >manifest.json", "manifest.json is not readable"),
            ("echo '[]' >manifest.json", "manifest.json is not readable"),
            ("echo '{' >manifest.json", "manifest.json is not readable"),
            ("echo '{' >state-table-backup.json", "is no request to write items of"),
            ("cp config-table-backup.json state-table-backup.json", "is no request to write items"),
            ("cp state-table-backup-00002.json state-table-backup.json", "10 items of"),
            (
                f"echo '{{\"{STATE_TABLE}\": []}}' >state-table-backup.json",
                "to write 1 to 25 items",
            ),
            ("sed -i s/ACCOUNT#000000000003/LOCK/ *.json", "has the lock, which must not be"),
            (
                "sed -i s/-dev-/-prod-/ *.json",
                "is a backup of aws-contact-sync-prod-config, not of",
            ),
        ],
    )
    def test_damaged(self, backup: Path, damage: str, complaint: str) -> None:
        """What is no whole backup of these tables is told."""
        subprocess.run(["sh", "-c", damage], cwd=backup, check=True)

        with pytest.raises(table_backup.BackupError, match=re.escape(complaint)):
            table_backup.check(backup, TABLES)

    @pytest.mark.parametrize(
        "value",
        [{"B": "AA=="}, {"BS": ["AA=="]}, {"L": [{"M": {"x": {"L": [{"B": "AA=="}]}}}]}],
    )
    def test_binary(self, tmp_path: Path, value: Any) -> None:
        """Bytes are found however deep they are."""
        with pytest.raises(table_backup.BackupError, match="has binary values"):
            packed(tmp_path, 0, {"pk": {"S": "x"}, "sk": {"S": "x"}, "value": value})

    def test_types_by_their_names(self, tmp_path: Path) -> None:
        """An attribute that is called as a type is none."""
        item = {"pk": {"S": "x"}, "sk": {"S": "x"}, "B": {"M": {"BS": {"L": [{"S": "x"}]}}}}

        backup = packed(tmp_path, 0, item)

        entry = table_backup.check(backup, TABLES)["state"]
        assert [item] == list(table_backup.backed_up(backup, entry))


def packed(folder: Path, count: int, *more: Any) -> Path:
    """Return a backup of so many accounts."""
    pages, backup = folder / "pages", folder / "packed"
    config = {"config_key": {"S": "default"}}
    state = [{"pk": {"S": f"ACCOUNT#{n:012}"}, "sk": {"S": "STATE"}} for n in range(count)]
    for name, items in (("config", [config]), ("state", [*state, *more])):
        (pages / name).mkdir(parents=True)
        (pages / name / "000001.json").write_text(json.dumps({"Items": items}))
    backup.mkdir()
    table_backup.pack_all(pages, backup, TABLES)
    return backup
