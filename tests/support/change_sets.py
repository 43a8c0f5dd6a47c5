"""CloudFormation's operations on the stacks of a FakeStacks, each of which ends at once."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from support.aws import Answer, FakeStacks, Json, name_of, refusal

NO_CHANGES = "The submitted information didn't contain changes. Submit different information."
FUNCTION = {
    "Action": "Modify",
    "Replacement": "False",
    "LogicalResourceId": "AccountListerFunction",
    "ResourceType": "AWS::Lambda::Function",
    "Details": [{"Target": {"Attribute": "Properties", "Name": "Code"}}],
}


@dataclass
class FakeOperations:
    """Change sets, deletions and rollbacks.

    `changes` are the changes of the next change sets, if any. `outcomes` are final statuses of the
    next operations, one each, instead of success. `outputs` are a new stack's outputs.
    """

    stacks: FakeStacks
    outputs: Json
    changes: list[Json] = field(default_factory=lambda: [FUNCTION])
    outcomes: list[str] = field(default_factory=list)
    sets: dict[str, Json] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    _numbers: "count[int]" = field(default_factory=count)

    def answers(self) -> dict[str, Answer]:
        """Return the answers for a FakeAws."""
        answers = {
            "CreateChangeSet": self._create,
            "DescribeChangeSet": lambda _, given: self.sets[given["ChangeSetName"]],
            "DeleteChangeSet": lambda _, given: self.sets.pop(given["ChangeSetName"]) and {},
            "ExecuteChangeSet": self._execute,
            "DeleteStack": self._delete,
            "UpdateTerminationProtection": self._protect,
            "CancelUpdateStack": self._roll_back,
            "RollbackStack": self._roll_back,
            "ContinueUpdateRollback": self._roll_back,
            "DescribeEvents": {"OperationEvents": []},
        }
        return {f"cloudformation.{name}": answer for name, answer in answers.items()}

    def event(self, name: str, status: str, region: str = "us-east-1", **more: Any) -> None:
        """Add an event of the stack or, with a LogicalResourceId, of one of its resources."""
        stack_id = self.stacks.stacks[region, name]["StackId"]
        event = {
            "EventId": str(next(self._numbers)),
            "StackId": stack_id,
            "LogicalResourceId": name,
            "PhysicalResourceId": "x" if "LogicalResourceId" in more else stack_id,
            "ResourceStatus": status,
        }
        self.stacks.events.setdefault(name, []).insert(0, {**event, **more})

    def end(self, name: str, status: str, region: str = "us-east-1", token: str = "") -> None:
        """End an operation of the stack with this status."""
        more = {"region": region, **({"ClientRequestToken": token} if token else {})}
        if "ROLLBACK" in status or status.endswith("FAILED"):
            failed = {"LogicalResourceId": "Broken", "ResourceStatusReason": "the name is taken"}
            self.event(name, "UPDATE_FAILED", **failed, **more)
        self.event(name, "UPDATE_COMPLETE", LogicalResourceId="AccountListerFunction", **more)
        self.stacks.stacks[region, name]["StackStatus"] = status
        self.event(name, status, **more)

    def _create(self, region: str, given: Json) -> Any:
        name = given["StackName"]
        if given["ChangeSetType"] == "CREATE":
            self.stacks.put(name, region=region, status="REVIEW_IN_PROGRESS")
            self.event(name, "REVIEW_IN_PROGRESS", region)
        stack = self.stacks.stacks[region, name]
        status = stack["StackStatus"]
        cannot = ("ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_IN_PROGRESS")
        if status in cannot:
            return refusal("ValidationError", f"is in {status} state and can not be updated")
        same = all(stack[key] == given[key] for key in ("Parameters", "Tags"))
        is_same = same and "DeploymentMode" not in given
        arn = f"arn:{given['ChangeSetName']}-{len(self.sets)}"
        failed = {"Status": "FAILED", "StatusReason": NO_CHANGES}
        made = {"Status": "CREATE_COMPLETE"} if not is_same else failed
        changes = [] if is_same else [{"ResourceChange": change} for change in self.changes]
        self.sets[arn] = {**made, "Changes": changes, "given": given, "region": region}
        return {"Id": arn, "StackId": stack["StackId"]}

    def _execute(self, _: str, given: Json) -> Any:
        token = given.get("ClientRequestToken", "")
        if token in self.tokens:
            return refusal("TokenAlreadyExistsException")
        self.tokens |= {token} - {""}
        made = self.sets.pop(given["ChangeSetName"])
        name, region = made["given"]["StackName"], made["region"]
        stack = self.stacks.stacks[region, name]
        is_new = stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        status = self._next("CREATE_COMPLETE" if is_new else "UPDATE_COMPLETE")
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            kept = ("Parameters", "Tags", "RoleARN")
            stack |= {key: made["given"][key] for key in kept if key in made["given"]}
        if is_new:
            stack["Outputs"] = [
                {"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()
            ]
        self.end(name, status, region, token)
        return {}

    def _delete(self, region: str, given: Json) -> Any:
        name = str(name_of(given))
        stack = self.stacks.stacks.get((region, name))
        if not stack:
            return {}
        if stack.get("EnableTerminationProtection") or stack["StackStatus"] == "UPDATE_IN_PROGRESS":
            return refusal("ValidationError", "cannot be deleted")
        status = self._next("DELETE_COMPLETE")
        self.end(name, status, region)
        if status == "DELETE_COMPLETE":
            del self.stacks.stacks[region, name]
        return {}

    def _protect(self, region: str, given: Json) -> Json:
        stack = self.stacks.stacks[region, str(name_of(given))]
        stack["EnableTerminationProtection"] = given["EnableTerminationProtection"]
        return {"StackId": stack["StackId"]}

    def _roll_back(self, region: str, given: Json) -> Json:
        self.end(str(name_of(given)), self._next("UPDATE_ROLLBACK_COMPLETE"), region)
        return {"StackId": "x"}

    def _next(self, usual: str) -> str:
        return self.outcomes.pop(0) if self.outcomes else usual
