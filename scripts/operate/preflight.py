"""Checks the prerequisites of a deployment before the first change, and reports all problems."""

from collections.abc import Callable, Iterator
from contextlib import suppress

from botocore.exceptions import ClientError
from contact_sync.aws.organization import OrganizationClient
from contact_sync.errors import TrustedAccessRequiredError

from operate.aws import Aws, code_of, pages
from operate.checks import FAIL
from operate.console import OperateError, note, warn
from operate.deployment import PAUSED, Deployment
from operate.forwarding import forwarding_stack
from operate.packaging import missing_tools
from operate.source import source_notes
from operate.stacks import HALF, NEVER_DEPLOYED
from operate.trails import find_trail

STUCK = ("UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED")


def check(deployment: Deployment) -> None:
    """Raise unless all checks pass; decide the parameters that depend on the environment."""
    problems = [problem for one in CHECKS for problem in one(deployment)]
    for problem in problems:
        note(f"failed: {problem}")
    if problems:
        count = f"{len(problems)} checks" if problems[1:] else "1 check"
        raise OperateError(f"{count} failed (see above); nothing was changed")


def check_account(aws: Aws, account_id: str) -> str:
    """Return the organization's ID; raise unless the caller is its management account."""
    account, _ = aws.caller
    if account != account_id:
        raise OperateError(
            f"signed in to account {account}, not {account_id}: sign in to that account, or use "
            "another --profile or --account-id; nothing was changed"
        )
    organizations = aws.client("organizations")
    with suppress(TrustedAccessRequiredError):  # reported with the other problems
        OrganizationClient(organizations).check(account_id)
    return str(organizations.describe_organization()["Organization"]["Id"])


def _check_trust(deployment: Deployment) -> Iterator[str]:
    organization = OrganizationClient(deployment.aws.client("organizations"))
    try:
        organization.check(deployment.options.account_id)
    except TrustedAccessRequiredError as error:
        deployment.enable_trust = deployment.options.enable_trusted_access
        if not deployment.enable_trust:
            yield f"{error} Add --enable-trusted-access, or use '{error.command}'"


def _check_stack(deployment: Deployment) -> Iterator[str]:
    if not deployment.found:
        return
    name, status, where = deployment.name, deployment.found.status, deployment.aws.options()
    command = f"scripts/rollback.sh --environment {deployment.options.environment} {where}"
    if status in STUCK:
        yield f"{name} is stuck in {status}: free it with '{command}', then try again"
    if status in HALF:
        yield f"{name} is {status}: delete it with '{command} --delete', then try again"


def _check_tools(deployment: Deployment) -> Iterator[str]:
    runtime = deployment.settings["Runtime"]
    yield from missing_tools(runtime, container=deployment.options.use_container)


def _check_bucket(deployment: Deployment) -> Iterator[str]:
    if deployment.options.s3_bucket:
        try:
            deployment.aws.client("s3").head_bucket(Bucket=deployment.bucket)
        except ClientError as error:
            yield (
                f"--s3-bucket: no access to {deployment.bucket} ({code_of(error)}): name a bucket "
                "of yours in the stack's region"
            )


def _check_source(deployment: Deployment) -> Iterator[str]:
    """Check the management account's contacts as the functions do, without showing values."""
    types, given = deployment.contact_types, deployment.options.primary_keeps
    kept = deployment.configuration.get("primary_keeps") or given
    for level, text in source_notes(deployment.aws, types, "stays in", kept):
        if level == FAIL:
            yield text
        else:
            warn(text)


def _check_others(deployment: Deployment) -> Iterator[str]:
    """Allow triggers in only one stack of the account, because all stacks share the quotas.

    A stack is found in this region, or by its forwarding stack in the region of account events.
    """
    aws, name, settings = deployment.aws, deployment.name, deployment.settings
    active = ""
    for region in dict.fromkeys((aws.region, aws.events_region)):
        for stack in pages(aws.client("cloudformation", region), "describe_stacks", "Stacks"):
            if stack["StackStatus"] in NEVER_DEPLOYED:
                continue
            values = {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])}
            home = values.get("HomeRegion", region)
            if stack["StackName"] in (name, forwarding_stack(name)):
                if home != aws.region:
                    command = f"--environment {deployment.options.environment} {aws.options(home)}"
                    yield (
                        f"{name} is already deployed in {home}: use --region {home}, or delete "
                        f"that stack with 'scripts/rollback.sh {command} --delete'"
                    )
            elif stack["StackName"].startswith("aws-contact-sync-") and "Triggers" in values:
                other = stack["StackName"].removesuffix("-forwarding")
                active = other if values["Triggers"] == "ENABLED" else active
    yield from _share_triggers(deployment, active)
    if not active and settings["Triggers"] == "DISABLED" and "Triggers" not in settings.given:
        warn(f"the rules and the schedule of {name} remain paused: add --resume to enable them")


def _share_triggers(deployment: Deployment, active: str) -> Iterator[str]:
    if active and deployment.settings.given.get("Triggers") == "ENABLED":
        yield (
            f"the triggers of {active} are enabled, and only one stack may have them: deploy that "
            "one with --paused first"
        )
    elif active:
        deployment.settings.decided |= PAUSED
        warn(
            f"the triggers of {active} are enabled, and all stacks share the account's quotas: "
            f"{deployment.name} is deployed paused, and runs only when you start it"
        )


def _check_trail(deployment: Deployment) -> Iterator[str]:
    """Decide whether the stack needs a trail: EventBridge gets contact changes through one."""
    settings = deployment.settings
    if settings["Triggers"] == "ENABLED":
        if trail := find_trail(deployment.aws, own=False):
            note(f"Trail {trail} logs management events")
        elif settings["CreateTrail"] == "never" or settings.given.get("CreateTrail") == "false":
            warn("no trail logs management events: only the schedule finds changes")
        else:
            note("No other trail logs management events: the stack creates its own")
            settings.decided["CreateTrail"] = "true"
            return
    if settings["CreateTrail"] != "never":
        settings.decided["CreateTrail"] = "false"
    yield from ()


def _check_schedule(deployment: Deployment) -> Iterator[str]:
    given = deployment.settings.given
    if "ScheduleExpression" in given and "MostHoursWithoutRun" not in given:
        hours = deployment.settings["MostHoursWithoutRun"]
        warn(
            f"the alarm no-full-run waits {hours} hours: if full runs are further apart, add "
            "--parameter MostHoursWithoutRun=HOURS, or 0 for no alarm"
        )
    yield from ()


def _check_undo(deployment: Deployment) -> Iterator[str]:
    if deployment.settings["KeepReplacedDays"] == "0":
        warn(
            "KeepReplacedDays is 0: runs do not store the contacts that they replace, so that no "
            "run can be undone"
        )
    yield from ()


CHECKS: tuple[Callable[[Deployment], Iterator[str]], ...] = (
    _check_tools,
    _check_bucket,
    _check_trust,
    _check_stack,
    _check_source,
    _check_others,
    _check_trail,
    _check_schedule,
    _check_undo,
)
