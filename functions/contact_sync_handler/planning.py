"""What plans a round, wired, apart from what an execution's first steps need."""

from functools import partial
from typing import TYPE_CHECKING

from contact_sync import settings
from contact_sync.account_contacts import AccountContactsClient
from contact_sync.aws import client
from contact_sync.config_store import load_config
from contact_sync.digest_key import load_digest_key
from contact_sync.planner import Planner
from contact_sync.quotas import quotas_of
from contact_sync.runs_bucket import RunsBucket
from contact_sync.runs_table import RunsTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def make_planner(
    dynamodb: "DynamoDBClient", runs: RunsTable, management_account_id: str
) -> Planner:
    """Make the planner and the clients that only it needs."""
    account = client("account")
    return Planner(
        load_config=partial(load_config, dynamodb, settings.read("CONFIG_TABLE_NAME")),
        load_key=partial(
            load_digest_key, client("secretsmanager"), settings.read("DIGEST_KEY_SECRET_ARN")
        ),
        source=AccountContactsClient(account),
        runs=runs,
        bucket=RunsBucket(client("s3"), settings.read("RUNS_BUCKET_NAME")),
        management_account_id=management_account_id,
        quotas=quotas_of(account.meta.partition, float(settings.read("QUOTA_SHARE"))),
    )
