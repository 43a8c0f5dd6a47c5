"""The only logger: JSON lines with sync_id and account_id, never a contact value or an event."""

from aws_lambda_powertools import Logger

logger = Logger()
