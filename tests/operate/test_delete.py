"""Deleting an environment: `rollback --delete`."""

from typing import Any

import boto3
import pytest
from support.aws import Json, Operate, Told, refusal
from support.deployed import PRINCIPAL, STACK
from support.deploying import BUCKET, Deploying

ACCOUNT = "999999999999"
PROD = "aws-contact-sync-prod"
TRAIL_BUCKET = "trail-bucket"
RESOURCES = {
    "AWS::Events::Rule": f"{STACK}-recovery",
    "AWS::Scheduler::Schedule": f"{STACK}-schedule",
    "AWS::CloudTrail::Trail": f"{STACK}-trail",
    "AWS::S3::Bucket": TRAIL_BUCKET,
}
CHANGES = (
    "events.DisableRule",
    "scheduler.DeleteSchedule",
    "stepfunctions.StopExecution",
    "cloudformation.UpdateTerminationProtection",
    "cloudtrail.StopLogging",
    "s3.DeleteObjects",
    "cloudformation.DeleteStack",
)
Delete = Operate


@pytest.fixture(autouse=True)
def _trail(cloud: Deploying) -> None:
    """One release is deployed, with a trail whose bucket holds something."""
    cloud.account.stacks.resources[STACK] = [
        {"ResourceType": kind, "PhysicalResourceId": name, "ResourceStatus": "CREATE_COMPLETE"}
        for kind, name in RESOURCES.items()
    ]
    cloud.aws.answers |= {
        "events.DisableRule": {},
        "scheduler.DeleteSchedule": {},
        "stepfunctions.ListExecutions": {"executions": []},
        "stepfunctions.StopExecution": {},
        "cloudtrail.StopLogging": {},
    }
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket=TRAIL_BUCKET)
    s3.put_object(Bucket=TRAIL_BUCKET, Key="log")
    s3.put_object(Bucket=BUCKET, Key=f"{STACK}/releases/20260101T000000Z-1/parameters")
    s3.put_object(Bucket=BUCKET, Key=f"{PROD}/releases/20260101T000000Z-1/parameters")
    cloud.aws.sent.clear()


@pytest.fixture(name="delete")
def _delete(operate: Operate) -> Delete:
    def run(*words: Any, answer: str = "", environment: str = "dev") -> Told:
        return operate("rollback", "--environment", environment, "--delete", *words, answer=answer)

    return run


def order(cloud: Deploying) -> list[str]:
    """Return what was changed, each once, in the order of the first time."""
    return list(dict.fromkeys(name for name, _ in cloud.aws.sent if name in CHANGES))


class TestConfirmation:
    def test_names_what_is_deleted(self, cloud: Deploying, delete: Delete) -> None:
        told = delete(answer="n\n")

        where = f"Account {ACCOUNT}, region us-east-1, stack {STACK}, signed in as {PRINCIPAL}"
        assert where in told.err
        assert f"Delete {STACK}? [y/N]" in told.err
        assert "also deletes its configuration, state and history" in told.err
        assert "warning: no backup: add --backup-data to save the tables first" in told.err
        assert [] == order(cloud)

    @pytest.mark.case("E3")
    @pytest.mark.parametrize(
        ("words", "answer", "message"),
        [
            ([], "y\n", f"not confirmed: 'y' is not {PROD}; nothing was changed"),
            (["--force"], "", f"Without a terminal, add --yes --confirm-name {PROD}"),
            (["--yes", "--confirm-name", STACK], "", f"'{STACK}' is not {PROD}"),
        ],
    )
    def test_prod_wants_its_name(
        self, cloud: Deploying, delete: Delete, words: list[str], answer: str, message: str
    ) -> None:
        cloud.account.stacks.put(PROD, EnableTerminationProtection=True)

        told = delete(*words, answer=answer, environment="prod")

        assert 1 == told.code
        assert message in told.error
        assert [] == order(cloud)

    @pytest.mark.case("E3")
    @pytest.mark.parametrize(
        ("words", "answer"), [([], f"{PROD}\n"), (["--yes", "--confirm-name", PROD], "")]
    )
    def test_prod(self, cloud: Deploying, delete: Delete, words: list[str], answer: str) -> None:
        cloud.account.stacks.put(PROD, EnableTerminationProtection=True)

        told = delete(*words, answer=answer, environment="prod")

        assert 0 == told.code, told.err
        assert ("us-east-1", PROD) not in cloud.account.stacks.stacks

    @pytest.mark.case("E3")
    def test_name_of_another_stack(self, cloud: Deploying, delete: Delete) -> None:
        """Whoever names prod does not mean dev."""
        told = delete("--yes", "--confirm-name", PROD)

        assert (1, f"error: not confirmed: '{PROD}' is not {STACK}; nothing was changed") == (
            told.code,
            told.error,
        )
        assert [] == order(cloud)


class TestDelete:
    def test_everything(self, cloud: Deploying, delete: Delete) -> None:
        """Protected stack, bucket, forwarding stack and releases; of no other environment."""
        cloud.stack["EnableTerminationProtection"] = True
        parameters = {"HomeRegion": "us-east-1", "Triggers": "ENABLED"}
        tower = "eu-west-1"
        cloud.stack["Parameters"].append(
            {"ParameterKey": "ControlTowerRegion", "ParameterValue": tower}
        )
        stacks = cloud.account.stacks
        stacks.put(f"{STACK}-forwarding", region=tower, parameters=parameters)

        told = delete("--yes")

        assert 0 == told.code, told.err
        assert f"Deleted {STACK}" == told.error
        assert ["aws-sam-cli-managed-default"] == [name for _, name in stacks.stacks]
        assert [f"{PROD}/releases/20260101T000000Z-1/parameters"] == cloud.objects()
        assert [] == cloud.objects(TRAIL_BUCKET)
        expected = [name for name in CHANGES if name != "stepfunctions.StopExecution"]
        assert expected == order(cloud)
        deleted = {"Name": f"{STACK}-schedule", "GroupName": STACK}
        assert [deleted] == cloud.sent("scheduler.DeleteSchedule")

    @pytest.mark.case("D5")
    def test_during_a_run(self, cloud: Deploying, delete: Delete, slept: list[float]) -> None:
        """Rules and schedule are off before runs are stopped, or `recovery` would start another;
        the stack is deleted once they have ended."""
        run = {"executionArn": f"arn:aws:states:us-east-1:{ACCOUNT}:execution:m:daily"}
        cloud.aws.answers["stepfunctions.ListExecutions"] = lambda *_: {
            "executions": [] if len(slept) > 1 else [run]
        }

        told = delete("--yes")

        assert 0 == told.code, told.err
        assert "warning: a run is in progress, and will be stopped" in told.err
        assert "Stopping daily" in told.err
        assert list(CHANGES) == order(cloud)
        assert 2 == len(slept)

    @pytest.mark.case("D5")
    def test_another_run_is_started_meanwhile(
        self, cloud: Deploying, delete: Delete, slept: list[float]
    ) -> None:
        runs = [f"arn:aws:states:us-east-1:{ACCOUNT}:execution:m:{name}" for name in ("a", "b")]
        cloud.aws.answers["stepfunctions.ListExecutions"] = lambda *_: {
            "executions": [{"executionArn": arn} for arn in runs[len(slept) : len(slept) + 1]]
        }

        told = delete("--yes")

        assert 0 == told.code, told.err
        stopped = cloud.sent("stepfunctions.StopExecution")
        assert runs == [given["executionArn"] for given in stopped]

    @pytest.mark.case("D5")
    def test_somebody_else_deletes_it_during_a_run(self, cloud: Deploying, delete: Delete) -> None:
        """The machine stays DELETING until the run has ended (API_DeleteStateMachine)."""
        cloud.stack["StackStatus"] = "DELETE_IN_PROGRESS"
        run = {"executionArn": f"arn:aws:states:us-east-1:{ACCOUNT}:execution:m:daily"}
        stacks = cloud.account.stacks.stacks
        cloud.aws.answers |= {
            "stepfunctions.ListExecutions": lambda *_: {
                "executions": [run] if ("us-east-1", STACK) in stacks else []
            },
            "stepfunctions.StopExecution": lambda *_: stacks.pop(("us-east-1", STACK)) and {},
        }

        told = delete("--yes")

        assert 0 == told.code, told.err
        assert ["stepfunctions.StopExecution", "s3.DeleteObjects"] == order(cloud)

    def test_forwarding_stack_is_changing(
        self, cloud: Deploying, delete: Delete, slept: list[float]
    ) -> None:
        """What CloudFormation continues after an interrupted deployment is waited for."""
        parameters = {"ControlTowerRegion": "eu-west-1", "HomeRegion": "us-east-1"}
        stacks = cloud.account.stacks
        stacks.put(STACK, parameters=parameters)
        forwarding = stacks.put(f"{STACK}-forwarding", region="eu-west-1", parameters=parameters)
        cloud.change_meanwhile(forwarding, "UPDATE", slept)

        told = delete("--yes")

        assert (0, f"Deleted {STACK}") == (told.code, told.error)

    def test_somebody_else_was_faster(self, cloud: Deploying, delete: Delete) -> None:
        """A stack that is deleted meanwhile has no event to wait for."""
        usual = cloud.aws.answers["cloudformation.DeleteStack"]
        cloud.aws.answers["s3.DeleteObjects"] = lambda *_: usual("us-east-1", {"StackName": STACK})

        told = delete("--yes")

        assert (0, f"Deleted {STACK}") == (told.code, told.error)

    def test_bucket_keeps_an_object(self, cloud: Deploying, delete: Delete) -> None:
        """What S3 refuses of many is in its answer, and no error of the call."""
        refused = {"Key": "AWSLogs/1", "Code": "AccessDenied", "Message": "Access Denied"}
        cloud.aws.answers["s3.DeleteObjects"] = {"Errors": [refused]}

        told = delete("--yes")

        assert 1 == told.code
        assert (
            f"error: S3 did not delete AWSLogs/1 from {TRAIL_BUCKET}: AccessDenied: Access Denied"
            == told.error
        )
        assert [] == cloud.sent("cloudformation.DeleteStack")

    @pytest.mark.case("D6")
    @pytest.mark.parametrize("status", ["CREATE_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"])
    def test_bucket_fills_again(self, cloud: Deploying, delete: Delete, status: str) -> None:
        """CloudTrail delivers after StopLogging: emptied again, and tried once more."""
        cloud.stack["StackStatus"] = status
        cloud.operations.outcomes = ["DELETE_FAILED"]
        usual = cloud.aws.answers["cloudformation.DeleteStack"]

        def fill(region: str, given: Json) -> Any:
            if cloud.operations.outcomes:
                boto3.client("s3").put_object(Bucket=TRAIL_BUCKET, Key="late")
            else:
                assert [] == cloud.objects(TRAIL_BUCKET)
            return usual(region, given)

        cloud.aws.answers["cloudformation.DeleteStack"] = fill

        told = delete("--yes")

        assert 0 == told.code, told.err
        assert "Emptying the buckets again, then retrying" in told.err
        assert 2 == len(cloud.sent("cloudformation.DeleteStack"))

    @pytest.mark.case("D6")
    def test_it_fails_twice(self, cloud: Deploying, delete: Delete) -> None:
        cloud.operations.outcomes = ["DELETE_FAILED", "DELETE_FAILED"]

        told = delete("--yes")

        assert 1 == told.code
        assert (
            f"error: {STACK} was not deleted; it is DELETE_FAILED: see the failed resources above"
            == (told.error)
        )
        assert "  UPDATE_FAILED Broken: the name is taken" in told.err

    def test_what_is_gone_already(self, cloud: Deploying, delete: Delete) -> None:
        """Somebody deleted parts by hand."""
        cloud.aws.answers |= {
            "events.DisableRule": refusal("ResourceNotFoundException"),
            "scheduler.DeleteSchedule": refusal("ResourceNotFoundException"),
            "cloudtrail.StopLogging": refusal("TrailNotFoundException"),
            "stepfunctions.ListExecutions": refusal("StateMachineDoesNotExist"),
        }
        cloud.account.stacks.resources[STACK][-1]["PhysicalResourceId"] = "no-such-bucket"

        told = delete("--yes")

        assert 0 == told.code, told.err

    @pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"])
    def test_never_deployed(self, cloud: Deploying, delete: Delete, status: str) -> None:
        """There is nothing to back up."""
        cloud.stack.update(StackStatus=status, Outputs=[], Parameters=[])

        told = delete("--yes", "--backup-data")

        assert 0 == told.code, told.err
        assert "There are no tables to back up" in told.err

    def test_interrupted_and_again(self, cloud: Deploying, delete: Delete) -> None:
        """The stack is gone, its releases are left; then there is nothing more."""
        del cloud.account.stacks.stacks["us-east-1", STACK]

        told = delete("--yes")
        again = delete("--yes")

        assert 0 == told.code, told.err
        assert f"{STACK} is already deleted, but not its releases" in told.err
        assert (3, f"There is no stack {STACK} in this account and region.") == (
            again.code,
            again.error,
        )

    @pytest.mark.parametrize("error", [refusal("AccessDenied"), KeyboardInterrupt()])
    def test_ended_in_the_middle(
        self, cloud: Deploying, delete: Delete, error: BaseException
    ) -> None:
        """What still exists does nothing any more; that is told, and found by the next attempt."""
        tower = "eu-north-1"
        parameter = {"ParameterKey": "ControlTowerRegion", "ParameterValue": tower}
        cloud.stack["Parameters"].append(parameter)
        stacks = cloud.account.stacks
        forwarding = {"HomeRegion": "us-east-1", "Triggers": "ENABLED"}
        stacks.put(f"{STACK}-forwarding", region=tower, parameters=forwarding)

        def end(*_: Any) -> None:
            raise error

        usual = cloud.aws.answers["cloudformation.DeleteStack"]
        cloud.aws.answers["cloudformation.DeleteStack"] = end
        told = delete("--yes")
        cloud.aws.answers["cloudformation.DeleteStack"] = usual

        assert told.code in (1, 130)
        assert "Not everything is deleted, and rules and schedule may be off: run this" in told.err
        assert ("us-east-1", STACK) in stacks.stacks
        assert 0 == delete("--yes").code
        assert (tower, f"{STACK}-forwarding") not in stacks.stacks

    def test_denied(self, cloud: Deploying, delete: Delete) -> None:
        """What cannot be asked is not taken for absent."""
        cloud.aws.answers["cloudformation.ListStackResources"] = refusal("AccessDenied")

        told = delete("--yes", "--backup-data")

        assert 1 == told.code
        assert "error: the AWS credentials lack a permission" in told.error
        assert [] == order(cloud)
