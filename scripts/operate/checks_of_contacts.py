"""Checks of the input of a run (configuration, exclusions, source), and of the last run."""

from contact_sync.aws.items import from_item, to_item
from contact_sync.aws.organization import OrganizationClient
from contact_sync.config import OnSourceDeleted

from operate import address_book
from operate.checks import Check, Notes, Site, fail, warn
from operate.configuration import Json, checked, read_item, valid
from operate.console import OperateError
from operate.exclusions import UNIT, exclusion_faults
from operate.source import source_notes

RUNS_A_PAGE = 20


def configuration(site: Site) -> Notes:
    """Check the item, and what its overrides name, as a run does."""
    try:
        config = checked(_item(site))
        table = site.stack.output("ConfigTableName")
        book = address_book.contacts_of(address_book.read_item(site.aws, table))
        address_book.check_use(config, book)
    except OperateError as error:
        yield fail(f"{error}: {site.command('config')} apply FILE")
        return ""
    organization = OrganizationClient(site.aws.client("organizations"))
    for unit in organization.missing_units(config.overrides_by_subject.units):
        yield fail(f"overrides: {unit} does not exist in the organization: correct or remove it")
    return "valid"


def exclusions(site: Site) -> Notes:
    """Check that they match accounts and units of the organization."""
    if not (config := valid(_item(site))):
        return "not checked, because the configuration is invalid"
    for kind, fault in exclusion_faults(site.aws, site.manager, config):
        yield (fail if kind == UNIT else warn)(fault)
    accounts, units = config.excluded_accounts, config.excluded_organizational_units
    return f"{len(accounts)} accounts and {len(units)} organizational units"


def source_contacts(site: Site) -> Notes:
    """Check the management account's contacts."""
    if not (config := valid(_item(site))):
        return "not checked, because the configuration is invalid"
    lost = "is deleted from" if config.on_source_deleted == OnSourceDeleted.DELETE else "stays in"
    types, kept = config.ordered_types, config.primary_keeps
    return (yield from source_notes(site.aws, types, lost, kept))


def last_run(site: Site) -> Notes:
    """Check how the last run ended (not the last execution, which may be a recovery)."""
    pages = (
        site.aws.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=site.stack.output("StateTableName"),
            KeyConditionExpression="pk = :run",
            ExpressionAttributeValues=to_item({":run": "RUN"}),
            ScanIndexForward=False,
            PaginationConfig={"PageSize": RUNS_A_PAGE},
        )
    )
    runs = (from_item(item) for page in pages for item in page["Items"])
    run = next((one for one in runs if one.get("status") and not one.get("dry_run")), None)
    resync = site.command("resync")
    if not run:
        yield warn(f"no run yet: {resync} --dry-run --follow")
        return ""
    if run["status"] != "success":
        yield warn(
            f"{run['sync_id']} did not succeed ({run['status']}, {run.get('error')}): do what its "
            f"message says; {resync} --retry-of {run['sync_id']} repeats what failed"
        )
    return f"{run['sync_id']} succeeded"


def _item(site: Site) -> Json | None:
    return read_item(site.aws, site.stack.output("ConfigTableName"))


CHECKS: tuple[Check, ...] = (configuration, exclusions, source_contacts, last_run)
