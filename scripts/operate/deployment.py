"""One deployment: the current state, and the target state from options or a backup."""

import json
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from contact_sync.aws.items import from_item
from contact_sync.contacts import ContactType

from operate import backup_files
from operate.aws import Aws, code_of
from operate.configuration import checked, read_item, valid
from operate.console import OperateError, warn
from operate.operations import wait_until_idle
from operate.parameters import Settings, given_by
from operate.releases import own_bucket
from operate.stacks import NEVER_DEPLOYED, Stack, stack_name

Json = dict[str, Any]
PAUSED = {"Triggers": "DISABLED"}


@dataclass
class Deployment:
    """An environment before its deployment.

    `found` is its stack in any state; `bucket` is for code and releases, None for SAM's bucket;
    `configuration` has the plain values of the stored item, or of `to_restore`.
    """

    options: Namespace
    aws: Aws
    name: str
    found: Stack | None
    settings: Settings
    tags: dict[str, str]
    bucket: str | None
    configuration: Json = field(default_factory=dict)
    to_restore: Json = field(default_factory=dict)
    enable_trust: bool = False
    primary_keeps: list[str] = field(default_factory=list)

    @property
    def stack(self) -> Stack | None:
        """The stack, unless it has never been deployed."""
        is_there = self.found and self.found.status not in NEVER_DEPLOYED
        return self.found if is_there else None

    @property
    def contact_types(self) -> list[str]:
        """The types to synchronize: as configured, else as chosen, else all."""
        types: list[str] = self.configuration.get("contact_types") or self.options.contact_types
        return types or [str(name) for name in ContactType]


def open_deployment(options: Namespace, aws: Aws) -> Deployment:
    """Look up the current state; if the stack is changing, wait until that ends."""
    name = stack_name(options.environment)
    found = wait_until_idle(aws, name)
    settings = Settings(given_by(options), dict(found.parameters) if found else {})
    tags = dict(found.tags) if found else {}
    bucket = options.s3_bucket or own_bucket(found)
    deployment = Deployment(options, aws, name, found, settings, tags, bucket)
    if options.restore:
        _read_backup(deployment, Path(options.restore))
    elif deployment.stack:
        deployment.configuration = _read_configuration(deployment, deployment.stack)
    deployment.tags |= dict(tag.split("=", 1) for tag in options.tags)
    return deployment


def _read_configuration(deployment: Deployment, stack: Stack) -> Json:
    table = stack.outputs.get("ConfigTableName")
    try:
        item = read_item(stack.aws, table) if table else None
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        deployment.settings.decided |= PAUSED
        warn(
            f"somebody deleted the table {table}, and all exclusions and overrides with it: "
            f"--repair creates it again, and {stack.name} is deployed paused. Restore a backup or "
            "apply a configuration before you add --resume"
        )
        return {}
    if item and not valid(item):
        warn("the stored configuration is invalid, so every run fails: see scripts/config.sh show")
        return {"contact_types": [str(name) for name in ContactType]}
    return from_item(item or {})


def _read_backup(deployment: Deployment, folder: Path) -> None:
    """Read parameters, tags and configuration from a backup, and pause the triggers."""
    try:
        deployment.settings.kept |= json.loads((folder / "parameters.json").read_text())
        deployment.tags |= json.loads((folder / "tags.json").read_text())
    except FileNotFoundError as error:
        raise OperateError(
            f"cannot deploy from {folder}: it has no {Path(error.filename).name}; deploy with "
            "options and --paused instead, then use scripts/restore.sh"
        ) from error
    except (ValueError, TypeError) as error:
        raise OperateError(f"the backup in {folder} is damaged: {error}") from error
    deployment.settings.given |= PAUSED
    entry = backup_files.check(folder, {"config": f"{deployment.name}-config"})["config"]
    files = [backup_files.requests_of(folder / file, entry["table"]) for file in entry["files"]]
    items = [request["PutRequest"]["Item"] for requests in files for request in requests]
    default = [item for item in items if item["config_key"] == {"S": "default"}]
    deployment.to_restore = default[0] if default else {}
    if default:
        checked(deployment.to_restore, f"{folder}: ")
    deployment.configuration = from_item(deployment.to_restore)
