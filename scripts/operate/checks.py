"""How the checks of validate.sh work: each yields problems, and returns the text of a pass."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from botocore.exceptions import ClientError

from operate.aws import FAILURES, Aws, code_of, explain
from operate.stacks import Stack

PASS, WARN, FAIL = "pass", "warn", "fail"
# A resource of the stack is missing: codes of several services, then those of SQS.
MISSING = (
    *("ResourceNotFoundException", "NotFoundException", "NotFound", "StateMachineDoesNotExist"),
    *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
)

Note = tuple[str, str]
Notes = Generator[Note, None, str]


def warn(text: str) -> Note:
    """Return a note about something that the user decides."""
    return WARN, text


def fail(text: str) -> Note:
    """Return a note about something that prevents synchronization."""
    return FAIL, text


@dataclass(frozen=True)
class Site:
    """The environment to check."""

    aws: Aws
    stack: Stack
    environment: str

    @property
    def manager(self) -> str:
        """The management account, from the stack's parameters."""
        return self.stack.parameters.get("ManagementAccountId", "")

    @property
    def triggers(self) -> str:
        """ENABLED or DISABLED: whether events and the schedule should start executions."""
        return self.stack.parameters.get("Triggers", "ENABLED")

    def command(self, script: str) -> str:
        """Return the command line of another script for this environment."""
        return f"scripts/{script}.sh --environment {self.environment} {self.aws.options()}"

    @property
    def deploy(self) -> str:
        """The command line that deploys again."""
        return f"{self.command('deploy')} --account-id {self.manager}"

    @property
    def repair(self) -> str:
        """The command line that reverts manual changes, which a deployment does not detect."""
        return f"{self.deploy} --repair"


Check = Callable[[Site], Notes]


@dataclass(frozen=True)
class Result:
    """The result of one check."""

    name: str
    notes: list[Note]
    text: str

    @property
    def level(self) -> str:
        """The worst level of the notes."""
        return max((level for level, _ in self.notes), key=(PASS, WARN, FAIL).index, default=PASS)

    @property
    def message(self) -> str:
        """The notes, or the text of a pass."""
        return "; ".join(text for _, text in self.notes) or self.text


def result_of(check: Check, site: Site) -> Result:
    """Run one check; it fails if AWS refuses a call."""
    notes: list[Note] = []
    text = ""

    def collect() -> Generator[Note, None, None]:
        nonlocal text
        text = yield from check(site)

    try:
        notes.extend(collect())
    except FAILURES as error:
        told = explain(error, site.aws.profile)
        is_missing = isinstance(error, ClientError) and code_of(error) in MISSING
        notes.append(fail(f"{told}; if somebody deleted it: {site.repair}" if is_missing else told))
    return Result(check.__name__.replace("_", " "), notes, text)
