"""Shows, checks and changes the configuration: scripts/config.sh."""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contact_sync.config import SyncConfig

from operate import address_book, configuration
from operate.aws import Aws, open_aws
from operate.config_words import checked_words
from operate.console import OK, OperateError, confirm, note, out, warn
from operate.exclusions import ACCOUNT, exclusion_faults
from operate.explain import explained
from operate.following import start
from operate.options import Parser
from operate.reach import show_reach
from operate.replaced import history
from operate.stacks import Stack, get_stack

COMMANDS = {
    "show": "print the configuration, in the form of a file",
    "validate FILE": "check a file; calls nothing in AWS",
    "apply FILE": "replace the configuration with the file",
    "exclude ID...": "stop syncing these accounts, and all accounts under these OUs",
    "include ID...": "sync them again",
    "contacts show": "print the address book; masks the values without --reveal",
    "contacts validate FILE": "check a file of contacts; calls nothing in AWS",
    "contacts apply FILE": "replace the address book with the file",
    "explain ACCOUNT": "print which contacts the account gets, and by which override",
    "history": "list the versions replaced in the last 90 days: when, and by which caller",
}

EPILOG = """\
Before it writes, the command shows the difference and, for overrides, how many accounts each
reaches and which contacts get another origin. It looks up accounts and OUs in the organization.
Each run reads the current configuration and address book.

exit codes:
  0  done, or nothing to do
  1  the configuration is invalid, or was not written
  2  wrong options

examples:
  scripts/config.sh show --environment prod
  scripts/config.sh validate config.json
  scripts/config.sh apply config.json --environment prod
  scripts/config.sh exclude 123456789012 ou-ab12-cdefgh34 --environment prod
  scripts/config.sh contacts apply contacts.json --environment prod
  scripts/config.sh apply config.json --sync --environment prod
  scripts/config.sh explain 123456789012 --environment prod
"""


def parser() -> Parser:
    """Return the options."""
    commands = "\n".join(f"  {name:<23} {text}" for name, text in COMMANDS.items())
    made = Parser(
        "config",
        f"Show, check and change the configuration.\n\ncommands:\n{commands}",
        EPILOG,
        required=False,
    )
    made.add_argument("command", type=_command, metavar="COMMAND", help="one of the commands above")
    made.add_argument("words", nargs="*", metavar="FILE or ID", help="a file, or IDs")
    made.yes()
    made.add_argument("--sync", action="store_true", help="start a run after writing")
    made.add_argument("--reveal", action="store_true", help="show contact values")
    return made


def run(options: Namespace) -> int:
    """Run the command; return the exit code."""
    wrong = parser().error
    words = checked_words(options.command, options.words, wrong)
    is_book = options.command == "contacts"
    if "validate" in (options.command, is_book and words[0]):
        (address_book if is_book else configuration).read_file(Path(words[-1]))
        note(f"{words[-1]} is valid")
        return OK
    if options.environment is None:
        wrong("--environment is required")
    aws = open_aws(options)
    ACTIONS[options.command](_Given(options, words, aws, get_stack(aws, options.environment)))
    return OK


@dataclass(frozen=True)
class _Given:
    """A command's options and words, and its environment."""

    options: Namespace
    words: list[str]
    aws: Aws
    stack: Stack

    @property
    def table(self) -> str:
        return self.stack.output("ConfigTableName")

    @property
    def manager(self) -> str:
        return self.stack.parameters["ManagementAccountId"]

    def read(self) -> configuration.Json | None:
        return configuration.read_item(self.aws, self.table)

    def write(self, old: configuration.Json | None, new: configuration.Json) -> None:
        """Ask, write the item, and start a run with --sync."""
        question, where = f"Write this to {self.table}?", self.aws.where(self.stack.name)
        confirm(question, where, yes=self.options.yes)
        configuration.write(self.aws, self.table, old, new)
        note(f"written to {self.table}; the next run uses it")
        if self.options.sync:
            self._start_run()

    def _start_run(self) -> None:
        reason = f"scripts/config.sh {self.options.command} --sync"
        name = start(self.stack, {"reason": reason}).rpartition(":")[2]
        note(
            f"started {name}; follow it with: scripts/resync.sh --environment "
            f"{self.options.environment} {self.aws.options()} --attach {name}"
        )


def _show(given: _Given) -> None:
    item = given.read()
    out(configuration.shown(item).rstrip())
    configuration.checked(item)


def _change(given: _Given) -> None:
    """Show the change and its effect, and write it."""
    old = given.read()
    new = _changed(given.options.command, given.words, old)
    if configuration.shown(old) == configuration.shown(new):
        note("nothing to change")
        return
    config = configuration.checked(new)
    out(configuration.difference(old, new, given.table).rstrip())
    _look_up(given, config)
    _show_effect(given, configuration.valid(old), config)
    given.write(old, new)


def _contacts(given: _Given) -> None:
    """Show or replace the address book."""
    item = address_book.read_item(given.aws, given.table)
    old = address_book.contacts_of(item)
    if given.words[0] == "show":
        out(address_book.shown(old, reveal=given.options.reveal))
        return
    new = address_book.read_file(Path(given.words[1]))
    if old == new:
        note("nothing to change")
        return
    out("\n".join(address_book.difference(old, new)))
    if given.options.reveal:
        out(address_book.shown(new, reveal=True))
    address_book.check_use(configuration.checked(given.read()), new)
    given.write(item, address_book.item_of(new))


def _explain(given: _Given) -> None:
    config = configuration.checked(given.read())
    for line in explained(given.aws, given.manager, config, given.words[0]):
        out(line)


def _history(given: _Given) -> None:
    out("\n".join(history(given.aws, given.table)) or "nothing was replaced in the last 90 days")


ACTIONS: dict[str, Callable[[_Given], None]] = {
    "show": _show,
    "apply": _change,
    "exclude": _change,
    "include": _change,
    "contacts": _contacts,
    "explain": _explain,
    "history": _history,
}


def _show_effect(given: _Given, old: SyncConfig | None, new: SyncConfig) -> None:
    """Show the effect of the old and new overrides, and check the names that they use."""
    if not new.overrides and not (old and old.overrides):
        return
    # A contact that became invalid fails its own accounts; it must not keep others from exclusion.
    if given.options.command == "apply" and new.overrides_by_subject.names:
        book = address_book.contacts_of(address_book.read_item(given.aws, given.table))
        address_book.check_use(new, book)
    show_reach(given.aws, given.manager, old, new)


def _changed(command: str, words: list[str], old: configuration.Json | None) -> configuration.Json:
    if command == "apply":
        return configuration.read_file(Path(words[0]))
    configuration.checked(old)
    return configuration.with_exclusions(old or {}, words, excluded=command == "exclude")


def _command(given: str) -> str:
    names = list(dict.fromkeys(name.split()[0] for name in COMMANDS))
    if given not in names:
        raise ArgumentTypeError(f"unknown command '{given}': use {', '.join(names)}")
    return given


def _look_up(given: _Given, config: SyncConfig) -> None:
    """Refuse exclusions that cannot be right; warn about accounts outside the organization."""
    for kind, fault in exclusion_faults(given.aws, given.manager, config):
        if kind != ACCOUNT:
            raise OperateError(fault)
        warn(fault)
