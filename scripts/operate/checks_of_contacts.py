"""Checks of what a run reads: the configuration, its exclusions, the source, and the last run."""

from contact_sync.aws.items import from_item, to_item
from contact_sync.config import OnSourceDeleted, SyncConfig

from operate.checks import Check, Notes, Site, fail, warn
from operate.configuration import checked, read_item
from operate.console import OperateError
from operate.exclusions import UNIT, exclusion_faults
from operate.source import source_notes

LATEST_RUNS = 20


def configuration(site: Site) -> Notes:
    """Check the item by the rules of each run."""
    try:
        _config(site)
    except OperateError as error:
        yield fail(f"{error}: {site.command('config')} apply FILE")
    return "valid"


def exclusions(site: Site) -> Notes:
    """Check that they protect somebody."""
    config = _valid_config(site)
    if not config:
        return "not looked at, as the configuration is not valid"
    for kind, fault in exclusion_faults(site.aws, site.manager, config):
        yield (fail if kind == UNIT else warn)(fault)
    accounts, units = config.excluded_accounts, config.excluded_organizational_units
    return f"{len(accounts)} accounts and {len(units)} organizational units"


def source_contacts(site: Site) -> Notes:
    """Check the management account's contacts, which all others get."""
    config = _valid_config(site)
    if not config:
        return "not looked at, as the configuration is not valid"
    lost = "is deleted in" if config.on_source_deleted == OnSourceDeleted.DELETE else "stays in"
    return (yield from source_notes(site.aws, config.ordered_types, lost))


def last_run(site: Site) -> Notes:
    """Look how the last run ended; not the last execution, which may be a recovery of a failed."""
    answer = site.aws.client("dynamodb").query(
        TableName=site.stack.output("StateTableName"),
        KeyConditionExpression="pk = :run",
        ExpressionAttributeValues=to_item({":run": "RUN"}),
        ScanIndexForward=False,
        Limit=LATEST_RUNS,
    )
    runs = [from_item(item) for item in answer["Items"]]
    run = next((one for one in runs if one.get("status") and not one.get("dry_run")), None)
    resync = site.command("resync")
    if not run:
        yield warn(f"none yet: {resync} --dry-run --follow")
        return ""
    if run["status"] != "success":
        yield warn(
            f"{run['sync_id']} was no success ({run['status']}, {run.get('error')}): its message "
            f"tells what to do, and {resync} --retry-of {run['sync_id']} repeats what failed"
        )
    return f"{run['sync_id']} was a success"


def _config(site: Site) -> SyncConfig:
    return checked(read_item(site.aws, site.stack.output("ConfigTableName")))


def _valid_config(site: Site) -> SyncConfig | None:
    try:
        return _config(site)
    except OperateError:
        return None


CHECKS: tuple[Check, ...] = (configuration, exclusions, source_contacts, last_run)
