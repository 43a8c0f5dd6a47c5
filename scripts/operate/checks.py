"""How the checks of validate.sh work: each yields what is wrong, and returns what is well."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from operate.aws import FAILURES, Aws, explain
from operate.stacks import Stack

PASS, WARN, FAIL = "pass", "warn", "fail"

Note = tuple[str, str]
Notes = Generator[Note, None, str]


def warn(text: str) -> Note:
    """Return a note about what is for the user to decide."""
    return WARN, text


def fail(text: str) -> Note:
    """Return a note about what keeps the synchronization from working."""
    return FAIL, text


@dataclass(frozen=True)
class Site:
    """The environment that is checked."""

    aws: Aws
    stack: Stack
    environment: str

    @property
    def manager(self) -> str:
        """The management account, as the stack has it."""
        return self.stack.parameters.get("ManagementAccountId", "")

    @property
    def triggers(self) -> str:
        """ENABLED or DISABLED: whether events and the schedule should start executions."""
        return self.stack.parameters.get("Triggers", "ENABLED")

    def command(self, script: str) -> str:
        """Return what to type to start another script for this environment."""
        return f"scripts/{script}.sh --environment {self.environment} {self.aws.options()}"

    @property
    def deploy(self) -> str:
        """What to type to deploy again."""
        return f"{self.command('deploy')} --account-id {self.manager}"

    @property
    def repair(self) -> str:
        """What to type where a resource was changed by hand: a deployment does not see that."""
        return f"{self.deploy} --repair"


Check = Callable[[Site], Notes]


@dataclass(frozen=True)
class Result:
    """What one check found."""

    name: str
    notes: list[Note]
    text: str

    @property
    def level(self) -> str:
        """The worst that was noted."""
        return max((level for level, _ in self.notes), key=(PASS, WARN, FAIL).index, default=PASS)

    @property
    def told(self) -> str:
        """The notes, or what is well."""
        return "; ".join(text for _, text in self.notes) or self.text


def result_of(check: Check, site: Site) -> Result:
    """Make one check; what AWS refuses is its failure."""
    notes: list[Note] = []
    text = ""

    def collect() -> Generator[Note, None, None]:
        nonlocal text
        text = yield from check(site)

    try:
        notes.extend(collect())
    except FAILURES as error:
        notes.append(fail(explain(error, site.aws.profile)))
    return Result(check.__name__.replace("_", " "), notes, text)
