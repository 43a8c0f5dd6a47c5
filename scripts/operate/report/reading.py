"""Reads the report's data: state table, configuration, Organizations, and Map Runs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from contact_sync.aws import keys
from contact_sync.aws.items import from_item, to_item
from contact_sync.aws.runs_table import INDEX
from contact_sync.comparison import Status

from operate import configuration
from operate.aws import Aws, code_of, console_host, console_link, each, pages
from operate.console import warn
from operate.report.content import About, Report
from operate.report.organization import read_organization
from operate.report.runs import Links, Run, listed_runs, run_of
from operate.report.state import AccountState, Knowledge, account_states
from operate.stacks import Stack

Json = dict[str, Any]


def read_report(aws: Aws, stack: Stack, environment: str, days: int, now: datetime) -> Report:
    """Return the report of the given number of days."""
    table = stack.output("StateTableName")
    item = configuration.read_item(aws, stack.output("ConfigTableName"))
    if not configuration.valid(item):
        warn("there is no valid configuration, so every run fails: see scripts/config.sh show")
    items = list(_query(aws, table, "pk = :pk", {":pk": "RUN"}))
    knowledge = Knowledge(read_organization(aws), from_item(item or {}), items)
    accounts = account_states(knowledge, _states(aws, table))
    first_day = (now - timedelta(days=days - 1)).date()
    about = About(
        environment=environment,
        stack=stack.name,
        region=aws.region,
        management_account_id=knowledge.organization.management_account_id,
        organization_id=knowledge.organization.id,
        generated_at=now.isoformat(timespec="seconds"),
        first_day=first_day,
        last_day=now.date(),
        contact_types=knowledge.contact_types,
        accounts_url=f"https://{console_host(aws.partition)}/organizations/v2/home/accounts/",
        dashboard_url=stack.outputs.get("DashboardUrl", ""),
    )
    since = first_day.isoformat()
    listed = listed_runs(items, since, accounts)
    return Report(about, accounts, _Runs(aws, stack, environment, since).read(listed, accounts))


class _Runs:
    """Reads what each run did."""

    def __init__(self, aws: Aws, stack: Stack, environment: str, since: str) -> None:
        self._aws = aws
        self._since = since
        self._environment = environment
        self._table = stack.output("StateTableName")
        self._executions = stack.output("StateMachineArn").replace(":stateMachine:", ":execution:")

    def read(self, listed: Sequence[Mapping[str, Any]], accounts: list[AccountState]) -> list[Run]:
        by_id = {one.id: one for one in accounts}
        links = [found for _, found in each(self._links, listed)]
        in_runs = [found for _, found in each(self._accounts_in, listed)]
        return [
            run_of(item, some, to, by_id, self._environment)
            for item, some, to in zip(listed, in_runs, links, strict=True)
        ]

    def _accounts_in(self, item: Mapping[str, Any]) -> list[Json]:
        """Return the items of accounts that a recent run changed, or that failed in it."""
        counts: Mapping[str, int] = item.get("accounts", {})
        is_recent = item["started_at"] >= self._since
        if not (is_recent and (counts.get(Status.UPDATED) or counts.get(Status.FAILED))):
            return []
        values = {":run": f"RUN#{item['sync_id']}"}
        found = _query(self._aws, self._table, "gsi1pk = :run", values, IndexName=INDEX)
        return [one for one in found if str(one["pk"]).startswith("ACCOUNT#")]

    def _links(self, item: Mapping[str, Any]) -> Links:
        """Return the run's console URLs; Step Functions deletes executions after 90 days."""
        arn = f"{self._executions}:{item['sync_id']}"
        link = console_link(arn)
        try:
            found = self._aws.client("stepfunctions").list_map_runs(executionArn=arn)["mapRuns"]
        except ClientError as error:
            if code_of(error) != "ExecutionDoesNotExist":
                raise
            found = []
        host = link.partition("#")[0]
        return Links(link, f"{host}#/map-runs/details/{found[0]['mapRunArn']}" if found else None)


def _states(aws: Aws, table: str) -> Iterator[Json]:
    """Yield the item of every account, including accounts that Organizations no longer lists."""
    found = pages(
        aws.client("dynamodb"),
        "scan",
        "Items",
        TableName=table,
        FilterExpression="sk = :state",
        ExpressionAttributeValues=to_item({":state": keys.account_state("")["sk"]}),
    )
    return (from_item(one) for one in found if one["pk"]["S"].startswith("ACCOUNT#"))


def _query(
    aws: Aws, table: str, condition: str, values: Mapping[str, str], **more: str
) -> Iterator[Json]:
    found = pages(
        aws.client("dynamodb"),
        "query",
        "Items",
        TableName=table,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=to_item(values),
        **more,
    )
    return (from_item(one) for one in found)
