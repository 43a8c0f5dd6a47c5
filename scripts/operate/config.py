"""Shows, checks and changes the configuration: scripts/config.sh."""

from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from contact_sync.config import SyncConfig

from operate import configuration
from operate.aws import Aws, open_aws
from operate.console import OK, OperateError, confirm, note, out, warn
from operate.exclusions import ACCOUNT, exclusion_faults
from operate.options import Parser, account_id, unit_id
from operate.stacks import Stack, get_stack

COMMANDS = {
    "show": "print the configuration, in the form of a file",
    "validate FILE": "check a file; calls nothing in AWS",
    "apply FILE": "replace the configuration by the file",
    "exclude ID...": "no longer sync these accounts, and accounts under these OUs",
    "include ID...": "sync them again",
}

EPILOG = """\
The difference is shown before it is written. Accounts and OUs are looked up in the organization.
Each run reads the configuration anew.

exit codes:
  0  done, or nothing to do
  1  the configuration is broken, or was not written
  2  wrong options

examples:
  scripts/config.sh show --environment prod
  scripts/config.sh validate config.json
  scripts/config.sh apply config.json --environment prod
  scripts/config.sh exclude 123456789012 ou-ab12-cdefgh34 --environment prod
"""


def parser() -> Parser:
    """Return the options."""
    commands = "\n".join(f"  {name:<15} {text}" for name, text in COMMANDS.items())
    made = Parser(
        "config",
        f"Show, check and change the configuration.\n\ncommands:\n{commands}",
        EPILOG,
        required=False,
    )
    made.add_argument("command", type=_command, metavar="COMMAND", help="what to do, see above")
    made.add_argument("words", nargs="*", metavar="FILE or ID", help="a file, or IDs")
    made.yes()
    return made


def run(options: Namespace) -> int:
    """Do what the command says; return the exit code."""
    words = _checked_words(options)
    if options.command == "validate":
        configuration.read_file(Path(words[0]))
        note(f"{words[0]} is valid")
        return OK
    aws = open_aws(options)
    stack = get_stack(aws, options.environment)
    table = stack.output("ConfigTableName")
    old = configuration.read_item(aws, table)
    if options.command == "show":
        out(configuration.shown(old).rstrip())
        configuration.checked(old)
        return OK
    new = _changed(options.command, words, old)
    if configuration.shown(old) == configuration.shown(new):
        note("nothing to change")
        return OK
    config = configuration.checked(new)
    out(configuration.difference(old, new, table).rstrip())
    _look_up(aws, stack, config)
    confirm(f"Write this to {table}?", aws.where(stack.name), yes=options.yes)
    configuration.write(aws, table, old, new)
    note(f"written to {table}; each run reads it anew")
    return OK


def _changed(command: str, words: list[str], old: configuration.Json | None) -> configuration.Json:
    if command == "apply":
        return configuration.read_file(Path(words[0]))
    configuration.checked(old)
    return configuration.with_exclusions(old or {}, words, excluded=command == "exclude")


def _command(given: str) -> str:
    names = [name.split()[0] for name in COMMANDS]
    if given not in names:
        raise ArgumentTypeError(f"unknown command '{given}': use {', '.join(names)}")
    return given


def _checked_words(options: Namespace) -> list[str]:
    """Return the file or the IDs; exit with 2 where they do not fit the command."""
    command, words = options.command, options.words
    wrong = parser().error
    if options.environment is None and command != "validate":
        wrong("--environment is required")
    if command == "show" and words:
        wrong(f"unexpected: {words[0]}")
    if command in ("apply", "validate") and len(words) != 1:
        wrong(f"{command} needs one file")
    if command in ("exclude", "include"):
        ids = [one for word in words for one in word.split(",") if one]
        if not ids:
            wrong(f"{command} needs the ID of an account or organizational unit")
        for one in ids:
            try:
                (unit_id if one.startswith("ou-") else account_id)(one)
            except ArgumentTypeError as error:
                wrong(str(error))
        return ids
    return list(words)


def _look_up(aws: Aws, stack: Stack, config: SyncConfig) -> None:
    """Refuse exclusions that are surely wrong; warn of accounts that are not there."""
    for kind, fault in exclusion_faults(aws, stack.parameters["ManagementAccountId"], config):
        if kind != ACCOUNT:
            raise OperateError(fault)
        warn(fault)
