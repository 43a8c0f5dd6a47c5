"""Deploys one environment: checks, builds, shows the changes, deploys: scripts/deploy.sh."""

import json
import time
from argparse import Namespace
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

from contact_sync.aws.items import to_item
from contact_sync.aws.organization import ACCOUNT_MANAGEMENT

from operate import console
from operate.aws import open_aws
from operate.backup_files import check_origin
from operate.change_sets import ChangeSet, Wanted, change_set
from operate.configuration import read_item, write
from operate.console import OK, OperateError, confirm, note, out, out_json, warn
from operate.deploy_options import parser
from operate.deployment import Deployment, open_deployment
from operate.forwarding import keep_forwarding
from operate.kept_fields import NONE, choose_kept
from operate.operations import delete_stack, going_on
from operate.packaging import package
from operate.preflight import check, check_account
from operate.releases import Releases, name_release, running_release, sam_bucket
from operate.stacks import Stack, get_stack

__all__ = ["parser", "run"]

CHANGES = 3
RUN_POLL_SECONDS = 5


def run(options: Namespace) -> int:
    """Deploy, or with --plan only show the changes; return the exit code."""
    aws = open_aws(options)
    note("Checking the prerequisites")
    organization = check_account(aws, options.account_id)
    if options.restore:
        check_origin(Path(options.restore), organization)
    deployment = open_deployment(options, aws)
    own = {"ManagementAccountId": options.account_id, "OrganizationId": organization}
    deployment.settings.given |= {**own, "Environment": options.environment}
    check(deployment)
    _show_settings(deployment)
    deployment.primary_keeps = choose_kept(deployment)
    if deployment.found and deployment.found.status == "ROLLBACK_COMPLETE":
        if options.plan:
            told = f"The first deployment of {deployment.name} failed: it would be created again"
            _tell(deployment, told, changes=[], anew=True)
            return CHANGES
        _ask(deployment, f"Delete what the failed first deployment of {deployment.name} left?")
        delete_stack(deployment.found)
    with TemporaryDirectory(prefix="contact-sync-") as folder:
        return _deploy(deployment, Path(folder))


def _show_settings(deployment: Deployment) -> None:
    status = deployment.found.status if deployment.found else "not deployed yet"
    account, _ = deployment.aws.caller
    note(f"{deployment.name} in account {account}, region {deployment.aws.region}: {status}")
    for name, value in deployment.settings.values().items():
        if name != "Release":
            note(f"  {name}={value}")
    for name, value in sorted(deployment.tags.items()):
        note(f"  tag {name}={value}")
    if not deployment.configuration:
        note(f"  contact types: {', '.join(deployment.contact_types)}")
        if "primary" in deployment.contact_types:
            warn(
                "'primary' replaces the whole primary contact of each member account: name, "
                "company, address, phone and website. If they differ on purpose, omit it in "
                "--contact-types."
            )
    for name in ("contact_types", "primary_keeps"):
        chosen, stored = getattr(deployment.options, name), deployment.configuration.get(name, [])
        if deployment.configuration and chosen and set(chosen) - {NONE} != set(stored):
            warn(
                f"--{name.replace('_', '-')} has no effect: the stored configuration has "
                f"{', '.join(stored) or NONE}. To change it, use scripts/config.sh apply"
            )
    if not deployment.settings["NotificationEmail"]:
        warn("nobody is notified: add --notification-email ADDRESS")


def _deploy(deployment: Deployment, folder: Path) -> int:
    aws, options, settings = deployment.aws, deployment.options, deployment.settings
    template = package(deployment, folder)
    releases = _releases(deployment)
    running = running_release(deployment.stack)
    release = name_release(template, settings.values(), running)
    settings.given["Release"] = releases.address(release)
    releases.put_template(release, template)
    wanted = Wanted(
        name=deployment.name,
        template=releases.template(release),
        parameters=settings.values(),
        tags=deployment.tags,
        role_arn=options.role_arn,
        repair=options.repair,
    )
    with change_set(aws, wanted) as changes:
        changes.show(out if options.plan and not options.json else note)
        if options.plan:
            _tell(deployment, "", changes=changes.document())
            if release != running:
                releases.forget(release)
            return OK if changes.is_empty else CHANGES
        _execute(deployment, changes)
    with going_on():
        stack = get_stack(aws, options.environment)
        _finish(deployment, stack, releases.newest() or settings.kept)
        releases.complete(release, stack.parameters, running)
    address = stack.output("DashboardUrl")
    _tell(deployment, address, changes=changes.document(), release=release, dashboard=address)
    return OK


def _tell(deployment: Deployment, text: str, **document: Any) -> None:
    """Print the result: the text, or the document with --json."""
    if deployment.options.json:
        out_json({"stack": deployment.name, **document})
    elif text:
        out(text)


def _releases(deployment: Deployment) -> Releases:
    # `sam package` has created its bucket by now, unless there is another one.
    bucket = deployment.bucket or sam_bucket(deployment.aws)
    if not bucket:
        raise OperateError("sam package created no bucket: name one with --s3-bucket")
    return Releases(deployment.aws, deployment.name, bucket)


def _execute(deployment: Deployment, changes: ChangeSet) -> None:
    if deployment.enable_trust or not changes.is_empty:
        _ask(deployment, f"Deploy {deployment.name}?")
    if deployment.enable_trust:
        note(f"Enabling trusted access for {ACCOUNT_MANAGEMENT}")
        client = deployment.aws.client("organizations")
        client.enable_aws_service_access(ServicePrincipal=ACCOUNT_MANAGEMENT)
    if not changes.is_empty:
        _wait_for_run(deployment)
        note(f"Deploying {deployment.name}")
        changes.execute()
        note(f"Deployed {deployment.name}")


def _ask(deployment: Deployment, question: str) -> None:
    confirm(question, deployment.aws.where(deployment.name), yes=deployment.options.yes)


def _wait_for_run(deployment: Deployment) -> None:
    """Wait until the run ends, because its remaining accounts may fail with new functions."""
    progress = console.Progress()
    try:
        while deployment.stack and deployment.stack.running_executions():
            if deployment.options.now:
                warn("a run is in progress: its remaining accounts may fail")
                return
            progress.show("A run is in progress: waiting until it ends; --now does not wait")
            time.sleep(RUN_POLL_SECONDS)
    finally:
        progress.clear()


# After the stack is deployed.


def _finish(deployment: Deployment, stack: Stack, former: dict[str, str]) -> None:
    if stack.output("TerminationProtection") == "true":
        stack.client.update_termination_protection(
            StackName=stack.name, EnableTerminationProtection=True
        )
        note("Termination protection is on")
    _write_configuration(deployment, stack)
    tower = former.get("ControlTowerRegion", "")
    for each in (stack, *keep_forwarding(deployment.aws, stack, tower)):
        _keep_subscription(each)
    _show_next(deployment)


def _write_configuration(deployment: Deployment, stack: Stack) -> None:
    """Write the configuration if there is none."""
    table, item = stack.output("ConfigTableName"), deployment.to_restore
    if read_item(deployment.aws, table):
        return
    if not item:
        default = json.loads(stack.output("DefaultConfiguration"))
        kept = {"primary_keeps": deployment.primary_keeps} if deployment.primary_keeps else {}
        item = to_item({**default, "contact_types": deployment.contact_types, **kept})
    write(deployment.aws, table, None, item)
    note(f"Wrote the {'backup' if deployment.to_restore else 'default'} configuration")


def _keep_subscription(stack: Stack) -> None:
    """Subscribe again if a pending subscription has expired, as it does after two days."""
    address, found = stack.parameters.get("NotificationEmail"), stack.subscriptions()
    if address and address not in {one["Endpoint"] for one in found}:
        note(f"The subscription of {address} to {stack.name} has ended: subscribing again")
        topic = stack.output("NotificationTopicArn")
        client = stack.aws.client("sns", stack.region)
        client.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
        found.append({"Endpoint": address, "SubscriptionArn": "PendingConfirmation"})
    waiting = [one["Endpoint"] for one in found if one["SubscriptionArn"] == "PendingConfirmation"]
    if waiting:
        note(
            f"Not subscribed to {stack.name} yet: {', '.join(waiting)} must open the link in the "
            "e-mail from AWS Notifications to get messages"
        )


def _show_next(deployment: Deployment) -> None:
    options = deployment.options
    where = f"--environment {options.environment} {deployment.aws.options()}"
    if options.restore:
        note("Next, restore the tables, then enable the rules and the schedule:")
        note(f"  scripts/restore.sh {where} --input {quote(options.restore)}")
        note(f"  scripts/deploy.sh {where} --account-id {options.account_id} --resume")
    else:
        note("Next, see what a run would change; a dry run writes to no account:")
        note(f"  scripts/resync.sh {where} --dry-run --follow")
