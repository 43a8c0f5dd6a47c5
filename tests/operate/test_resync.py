"""Starting the sync by hand, and following it: `resync`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, UnauthorizedSSOTokenError
from operate import following
from support.aws import Operate, refusal
from support.deployed import Deployed
from support.moto_stack import STATE_TABLE

ACCOUNT, OTHER_ACCOUNT = "100000000001", "100000000002"
UNIT = "ou-exam-workloads"
LINK = "https://console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/"
RUNNING = {"status": "RUNNING"}
SUCCESS = {
    "status": "SUCCEEDED",
    "output": '{"status": "success", "summary": "[dev] all \\"well\\""}',
}
UNREACHABLE = EndpointConnectionError(endpoint_url="https://states.us-east-1.amazonaws.com")
Resync = Operate


@pytest.fixture(name="resync")
def _resync(operate: Operate) -> Resync:
    return partial(operate, "resync", "--environment", "dev")


@pytest.fixture(autouse=True, name="machine")
def _machine(account: Deployed) -> "Machine":
    return Machine(account)


class Machine:
    """Executions whose descriptions a test gives one after the other, the last one for ever."""

    def __init__(self, account: Deployed) -> None:
        self.account = account
        self.descriptions: dict[str, Iterator[Any]] = {}
        self.inputs: list[Any] = []
        account.aws.answers |= {
            "stepfunctions.StartExecution": self._start,
            "stepfunctions.DescribeExecution": self._describe,
            "stepfunctions.ListMapRuns": {"mapRuns": []},
        }

    def arn(self, name: str) -> str:
        return f"{self.account.machine_arn.replace(':stateMachine:', ':execution:')}:{name}"

    def describe(self, *descriptions: Any, name: str = "f00d") -> None:
        def told() -> Iterator[Any]:
            yield from descriptions
            while True:
                yield descriptions[-1]

        self.descriptions[name] = told()

    def record(self, name: str, **item: Any) -> None:
        """Put a run's item."""
        index = {"gsi1pk": f"RUN#{name}", "gsi1sk": "RUN"}
        self.account.put(STATE_TABLE, {"pk": "RUN", "sk": f"x#{name}", **index, **item})

    def record_account(self, name: str, account_id: str, status: str, **statuses: str) -> None:
        index = {"gsi1pk": f"RUN#{name}", "gsi1sk": f"{status}#{account_id}"}
        key = {"pk": f"ACCOUNT#{account_id}", "sk": f"RUN#x#{name}"}
        self.account.put(STATE_TABLE, {**key, **index, "statuses": statuses})

    def _start(self, _: str, given: Any) -> Any:
        self.inputs.append(json.loads(given["input"]))
        return {"executionArn": self.arn("f00d")}

    def _describe(self, _: str, given: Any) -> Any:
        told = next(self.descriptions[given["executionArn"].rpartition(":")[2]])
        if isinstance(told, Exception):
            return told
        given_input = json.dumps(self.inputs[-1] if self.inputs else {})
        return {"executionArn": given["executionArn"], "input": given_input, **told}


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("--ou r-exam", "invalid organizational unit 'r-exam': expected an ID such as ou-"),
            ("--reason=", "--reason: needs a value"),
            (f"--reason {'x' * 1001}", "too long: expected at most 1000 characters"),
            ("--retry-of a:b", "invalid execution name 'a:b'"),
            (f"--retry-of f00d --account {ACCOUNT}", "--retry-of cannot be combined"),
            (f"--ou {UNIT} --retry-of f00d", "--retry-of cannot be combined"),
            ("--undo f00d --retry-of f00d", "--retry-of cannot be combined"),
            ("--undo a:b", "invalid execution name 'a:b'"),
            ("--attach f00d --type billing", "--attach only follows an execution"),
            ("--fail-on-drift", "--fail-on-drift needs a dry run: add --dry-run"),
        ],
    )
    def test_wrong(self, resync: Resync, machine: Machine, options: str, complaint: str) -> None:
        """Told with exit code 2, before any call."""
        told = resync(*options.split())

        assert (2, "") == (told.code, told.out)
        assert complaint in told.err.splitlines()[0]
        assert {} == machine.account.aws.calls


class TestStart:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ([], {}),
            (
                [
                    "--account",
                    f"{ACCOUNT},{OTHER_ACCOUNT}",
                    f"--account=100000000003,{ACCOUNT}",
                    "--dry-run",
                ],
                {"account_ids": [ACCOUNT, OTHER_ACCOUNT, "100000000003"], "dry_run": True},
            ),
            (
                ["--ou", UNIT, "ou-exam-sandboxes", "--type", "billing", "--type", "primary"],
                {
                    "organizational_units": [UNIT, "ou-exam-sandboxes"],
                    "contact_types": ["billing", "primary"],
                },
            ),
            (["--retry-of", "0f9a-5e", "--dry-run"], {"retry_of": "0f9a-5e", "dry_run": True}),
            (["--retry-of", "arn:aws:states:us-east-1:1:execution:x:a.b"], {"retry_of": "a.b"}),
            (
                ["--undo", "0f9a-5e", "--type", "billing", "--dry-run"],
                {"undo": "0f9a-5e", "contact_types": ["billing"], "dry_run": True},
            ),
            (["--reason", 'the "new"\n\\ desk, 連絡先'], {"reason": 'the "new"\n\\ desk, 連絡先'}),
        ],
    )
    def test_input(
        self, resync: Resync, machine: Machine, options: list[str], expected: Any
    ) -> None:
        """Options become the execution input; name and address are printed, and nothing else."""
        told = resync(*options)

        arn = machine.arn("f00d")
        assert (0, f"f00d\n{LINK}{arn}\n", "") == (told.code, told.out, told.err)
        assert [expected] == machine.inputs

    def test_json(self, resync: Resync, machine: Machine) -> None:
        told = resync("--json")

        assert {"execution": "f00d", "link": f"{LINK}{machine.arn('f00d')}"} == json.loads(told.out)

    @pytest.mark.case("E16")
    def test_could_not_start(self, resync: Resync, machine: Machine) -> None:
        machine.account.aws.fail("stepfunctions.StartExecution", refusal("AccessDeniedException"))

        told = resync("--follow")

        assert (1, "") == (told.code, told.out)
        assert told.error.startswith("error: the AWS credentials lack a permission")

    @pytest.mark.case("E16")
    @pytest.mark.parametrize("error", [UNREACHABLE, KeyboardInterrupt()])
    def test_answer_is_lost(self, resync: Resync, machine: Machine, error: BaseException) -> None:
        """Whether it started is not known then; under its name, it starts only once."""

        def end(*_: Any) -> None:
            raise error

        machine.account.aws.answers["stepfunctions.StartExecution"] = end

        told = resync("--follow")

        [name] = [given["name"] for _, given in machine.account.aws.sent if "name" in given]
        assert told.code in (1, 130)
        assert f"It may have started, as {name}: look with --attach" in told.err


class TestFollow:
    def test_success(self, resync: Resync, machine: Machine) -> None:
        """The progress is shown to the end."""
        aws = machine.account.aws
        counts = {"total": 6, "pending": 3, "running": 2}
        aws.answers["stepfunctions.ListMapRuns"] = {"mapRuns": [{"mapRunArn": "x"}]}
        started = datetime.now(UTC) - timedelta(minutes=2)
        aws.answers["stepfunctions.DescribeMapRun"] = {"itemCounts": counts, "startDate": started}
        machine.record("f00d", milliseconds_per_account={"least": 300})
        machine.describe(RUNNING, RUNNING, SUCCESS)

        told = resync("--follow")

        assert 0 == told.code
        assert told.err.startswith("1 of 6 accounts done, 2 in progress, about 10 min ")
        assert 'f00d SUCCEEDED: [dev] all "well"' == told.out.splitlines()[-1]

    @pytest.mark.parametrize(
        ("times", "told_"),
        [
            ({"least": 300, "expected": 300, "most": 600}, "5 min 0 s to 10 min 0 s"),
            ({"least": 300, "expected": 600, "most": 600}, "10 min 0 s"),
            (None, None),
        ],
    )
    def test_time_at_first(
        self, resync: Resync, machine: Machine, times: Any, told_: str | None
    ) -> None:
        """Until a tenth of the accounts is done, the plan's estimate is shown; not so of others."""
        aws = machine.account.aws
        counts = {"total": 1000, "pending": 990, "running": 6}
        aws.answers["stepfunctions.ListMapRuns"] = {"mapRuns": [{"mapRunArn": "x"}]}
        aws.answers["stepfunctions.DescribeMapRun"] = {
            "itemCounts": counts,
            "startDate": datetime.now(UTC),
        }
        machine.record("f00d", **({"milliseconds_per_account": times} if times else {}))
        machine.describe(RUNNING, SUCCESS)

        told = resync("--follow")

        estimate = f", takes {told_} under the API's quotas" if told_ else ""
        assert f"4 of 1000 accounts done, 6 in progress{estimate}\n" == told.err

    @pytest.mark.case("E16")
    def test_failure(self, resync: Resync, machine: Machine) -> None:
        """The run's failure has its own exit code, its cause in full, and the next command."""
        cause = "2 accounts failed:\n100000000001\tAccessDeniedError"
        machine.describe({"status": "FAILED", "error": "PartialSyncError", "cause": cause})

        told = resync("--follow")

        assert 3 == told.code
        assert told.out.endswith(f"f00d FAILED: PartialSyncError: {cause}\n")
        assert told.err.endswith("Next: bash scripts/resync.sh --environment dev --retry-of f00d\n")

    def test_next_command_goes_to_the_same_place(self, resync: Resync, machine: Machine) -> None:
        machine.describe({"status": "FAILED", "error": "InvalidConfigError", "cause": "x"})

        told = resync("--follow", "--region", "us-east-1")

        assert told.err.endswith(
            "Next: bash scripts/config.sh show --environment dev --region us-east-1\n"
        )

    def test_aborted(self, resync: Resync, machine: Machine) -> None:
        machine.describe({"status": "ABORTED"})

        told = resync("--follow")

        assert (3, "f00d ABORTED") == (told.code, told.out.splitlines()[-1])

    @pytest.mark.case("E16")
    def test_network_comes_back(self, resync: Resync, machine: Machine) -> None:
        """An outage of 10 s, and longer, does not end the following."""
        outage = [UNREACHABLE] * 10
        busy = refusal("ThrottlingException")
        machine.describe(*outage, RUNNING, *outage[1:], busy, SUCCESS)

        told = resync("--follow")

        assert (0, "preparing\n") == (told.code, told.err)

    @pytest.mark.case("E16")
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (UNREACHABLE, "cannot reach AWS"),
            (refusal("ExpiredTokenException"), "sign in again"),
            (UnauthorizedSSOTokenError(), "aws sso login"),
        ],
    )
    def test_connection_is_lost(
        self, resync: Resync, machine: Machine, error: Exception, reason: str
    ) -> None:
        """That is no failed run: it has its own exit code, and the way back."""
        machine.describe(RUNNING, error)

        told = resync("--follow")

        assert 4 == told.code
        assert told.error.startswith("error: lost the connection to f00d, which continues: ")
        assert reason in told.error
        attach = "bash scripts/resync.sh --environment dev --attach f00d"
        assert told.error.endswith(f"To follow it again: {attach}")

    @pytest.mark.case("E16")
    def test_attach(self, resync: Resync, machine: Machine) -> None:
        """An execution, even if AWS does not know it yet, is followed without a new start."""
        machine.describe(refusal("ExecutionDoesNotExist"), RUNNING, SUCCESS)

        told = resync("--attach", "f00d")

        assert (0, 'f00d SUCCEEDED: [dev] all "well"\n') == (told.code, told.out)
        assert [] == machine.inputs

    @pytest.mark.case("E16")
    def test_attach_to_nothing(self, resync: Resync, machine: Machine) -> None:
        machine.describe(refusal("ExecutionDoesNotExist", "no such thing"))

        told = resync("--attach", "f00d")

        assert (1, "error: there is no execution f00d of this stack") == (told.code, told.error)

    def test_interrupted(
        self, resync: Resync, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C ends the following, and says that the execution goes on, and how to follow it."""
        machine.describe(RUNNING)

        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("time.sleep", interrupt)

        told = resync("--follow")

        assert 130 == told.code
        assert "The execution continues. To follow it again: " in told.err
        assert "--attach f00d" in told.err


QUEUED = {"status": "SUCCEEDED", "output": '{"queued_behind": "h01der"}'}


class TestQueue:
    def test_done_by_another_run(
        self, resync: Resync, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run that does a queued request is followed, once it is known."""
        machine.describe(QUEUED)
        machine.describe(SUCCESS, name="run")
        queued = {"pk": "LOCK", "sk": "QUEUE#f00d"}
        machine.account.put(STATE_TABLE, queued)
        machine.account.put(STATE_TABLE, {"pk": "LOCK", "sk": "LOCK", "holder": "h01der"})
        monkeypatch.setattr("time.sleep", lambda _: machine.record("f00d", done_by="run"))

        told = resync("--follow")

        assert 0 == told.code
        name, _, run, link, end = told.out.splitlines()
        assert ("f00d", "run", f"{LINK}{machine.arn('run')}") == (name, run, link)
        assert end.startswith("run SUCCEEDED")
        assert told.err.splitlines() == [
            "Queued behind h01der. Waiting for the run that does this request.",
            "h01der: preparing",
        ]

    def test_dropped(self, resync: Resync, machine: Machine) -> None:
        """A request that is neither queued nor done went with the run that had taken it."""
        machine.describe(QUEUED)

        told = resync("--follow")

        assert 3 == told.code
        assert told.error.startswith("error: the run that took this request was stopped")

    def test_without_a_run(self, resync: Resync, machine: Machine) -> None:
        """Where nothing is under way for long, the command says who does the request."""
        machine.describe(QUEUED)
        machine.account.put(STATE_TABLE, {"pk": "LOCK", "sk": "QUEUE#f00d"})

        told = resync("--follow")

        assert 4 == told.code
        assert told.error.startswith(
            "error: no run is in progress; the next execution will do this "
        )
        assert following.MOST_POLLS_WITHOUT_HOLDER < machine.account.aws.calls["dynamodb.GetItem"]


class TestDryRun:
    @pytest.fixture(autouse=True)
    def _drift(self, machine: Machine) -> None:
        machine.describe(SUCCESS)
        machine.record("f00d", accounts={"updated": 2, "unchanged": 1})
        machine.record_account("f00d", OTHER_ACCOUNT, "updated", security="deleted")
        machine.record_account(
            "f00d", ACCOUNT, "updated", billing="updated", primary="updated", security="unchanged"
        )

    def test_accounts_and_types(self, resync: Resync) -> None:
        """What would change is named by account and type, and how to do it."""
        told = resync("--dry-run", "--follow", "--type", "billing,primary,security")

        assert 0 == told.code
        assert told.out.splitlines()[2:5] == [
            f"{ACCOUNT}  billing would change, primary would change",
            f"{OTHER_ACCOUNT}  security would be deleted",
            "would change: 2 accounts (billing 1, primary 1, security 1)",
        ]
        command = "bash scripts/resync.sh --environment dev --type billing,primary,security"
        assert told.err.endswith(
            f"To begin with one account: {command} --account {ACCOUNT} --follow\n"
            f"Next: {command} --follow\n"
        )

    def test_next_after_undo(self, resync: Resync) -> None:
        """What was tried of an undo is done by the same undo."""
        told = resync("--undo", "0f9a-5e", "--dry-run", "--follow", "--type", "billing")

        command = "bash scripts/resync.sh --environment dev --undo 0f9a-5e --type billing"
        assert told.err.endswith(f"Next: {command} --follow\n")

    def test_an_undo_is_not_for_good(self, resync: Resync) -> None:
        """What the next run overwrites is told, with the dry run that names it."""
        told = resync("--undo", "0f9a-5e", "--follow")

        assert "The next contact change or full run overwrites what was put back" in told.err
        command = "bash scripts/resync.sh --environment dev --dry-run --follow"
        assert told.err.endswith(f"Next: {command}\n")

    @pytest.mark.parametrize("options", [["--dry-run"], ["--dry-run", "--follow"]])
    def test_fail_on_drift(self, resync: Resync, options: list[str]) -> None:
        """A pipeline can tell drift from a failure."""
        assert 5 == resync(*options, "--fail-on-drift").code

    def test_no_drift(self, resync: Resync, machine: Machine) -> None:
        machine.describe(SUCCESS, name="f00e")
        machine.record("f00e", accounts={"unchanged": 3})
        machine.account.aws.answers["stepfunctions.StartExecution"] = {
            "executionArn": machine.arn("f00e")
        }
        machine.inputs.append({"dry_run": True})

        told = resync("--dry-run", "--fail-on-drift")

        assert (0, "") == (told.code, told.err)
        assert "would change: nothing" in told.out

    @pytest.mark.parametrize("item", [{"accounts": {"updated": 3}}, {"planned_at": "now"}], ids=str)
    def test_index_is_late(
        self, resync: Resync, machine: Machine, slept: list[float], item: dict[str, Any]
    ) -> None:
        """Results that the index does not show yet are never taken for no drift."""
        machine.record("f00d", **item)

        told = resync("--dry-run", "--fail-on-drift")

        assert 4 == told.code
        assert "the state table does not show all results of f00d yet. To follow it" in told.error
        assert [0, 1, 1, 1, 1] == slept

    @pytest.mark.case("E16")
    def test_network_comes_back(self, resync: Resync, machine: Machine) -> None:
        """An outage after the run's end is no failed run either."""
        machine.account.aws.fail("dynamodb.Query", UNREACHABLE, times=3)

        assert 5 == resync("--dry-run", "--fail-on-drift").code

    def test_no_dry_run(self, resync: Resync) -> None:
        """Of an execution that is none, drift cannot be told."""
        told = resync("--attach", "f00d", "--fail-on-drift")

        assert 1 == told.code
        assert told.error.startswith("error: --fail-on-drift: f00d is not a dry run")

    def test_json(self, resync: Resync) -> None:
        told = resync("--dry-run", "--follow", "--json")

        document = json.loads(told.out)
        assert {"billing": "updated", "primary": "updated"} == document["would_change"][ACCOUNT]
        assert ("SUCCEEDED", "f00d", True) == (
            document["status"],
            document["execution"],
            document["dry_run"],
        )

    def test_failed_dry_run_is_repeated_as_one(self, resync: Resync, machine: Machine) -> None:
        machine.describe({"status": "FAILED", "error": "SyncFailedError", "cause": "x"})

        told = resync("--dry-run", "--follow")

        assert told.err.endswith("--environment dev --retry-of f00d --dry-run\n")
