"""alternate-contact-processor: one account's billing, operations and security contacts."""

from functools import cache
from typing import Any

from contact_sync.contacts import ALTERNATE_TYPES
from contact_sync.observability import logged, logger
from contact_sync.processor import Processor


@logged
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Sync the account; return {"digit": n}."""
    logger.append_keys(sync_id=event["sync_id"], account_id=event["account_id"])
    digit = processor().run(event)
    logger.info("Account synced", digit=digit)
    return {"digit": digit}


@cache
def processor() -> Processor:
    """Make the processor on first use, once a process."""
    return Processor(ALTERNATE_TYPES)
