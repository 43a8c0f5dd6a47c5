"""Checks a deployed environment: scripts/validate.sh. It never writes a contact."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from operate import checks_of_contacts, checks_of_events, checks_of_resources
from operate.aws import CALLS_AT_ONCE, FAILURES, explain, open_aws
from operate.checks import FAIL, WARN, Result, Site, fail, result_of
from operate.console import FAILED, OK, note, out, out_json
from operate.deep_checks import DeepChecks
from operate.options import Parser
from operate.stacks import get_stack, stack_name

CHECKS = (
    *checks_of_resources.BEFORE,
    *checks_of_events.CHECKS,
    *checks_of_resources.AFTER,
    *checks_of_contacts.CHECKS,
)

DEEP = (
    "also test each rule with an AWS event, check for the policy that keeps members from editing "
    "their contacts, publish a test message, send a test event through a temporary rule, and "
    "follow the dry run that it starts"
)
EPILOG = """\
Prints a line per check. `fail`: the synchronization does not work; `warn`: you decide whether to
change something. The command writes no contact.

exit codes:
  0  no check failed
  1  a check failed
  2  wrong options

examples:
  scripts/validate.sh --environment prod
  scripts/validate.sh --environment prod --json
  scripts/validate.sh --environment prod --deep
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("validate", "Check a deployed environment.", EPILOG)
    made.json()
    made.flag("--deep", meaning=DEEP)
    return made


def run(options: Namespace) -> int:
    """Run every check, and print the results in order, as they come; return the exit code."""
    results: list[Result] = []
    for result in _results(options):
        results.append(result)
        if not options.json:
            out(f"{result.level:<4}  {result.name}: {result.message}")
    counts = Counter(result.level for result in results)
    if options.json:
        out_json(
            {
                "stack": stack_name(options.environment),
                "failed": counts[FAIL],
                "warnings": counts[WARN],
                "checks": [
                    {"name": one.name, "level": one.level, "message": one.message}
                    for one in results
                ],
            }
        )
    note(f"{counts[FAIL]} failed, {counts[WARN]} warnings")
    return FAILED if counts[FAIL] else OK


def _results(options: Namespace) -> Iterator[Result]:
    try:
        aws = open_aws(options)
        stack = get_stack(aws, options.environment)
        site = Site(aws, stack, options.environment)
        _ = stack.names  # read once, before checks share them
    except FAILURES as error:
        yield Result("stack", [fail(explain(error, options.profile))], "")
        return
    if "StateMachineArn" not in stack.outputs:
        # There is nothing else to check.
        yield result_of(checks_of_resources.stack, site)
        return
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        yield from pool.map(lambda check: result_of(check, site), CHECKS)
    if options.deep:
        for check in DeepChecks(site).all():
            yield result_of(check, site)
