"""alternate-contact-processor: one account's billing, operations and security contacts."""

from functools import cache
from typing import Any

from contact_sync.contacts import ALTERNATE_TYPES
from contact_sync.observability import logged
from contact_sync.processor import Processor


@logged
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Sync the account of the child's input; return {"digit": n}."""
    return processor().handle(event)


@cache
def processor() -> Processor:
    """Make the processor on first use, once per process."""
    return Processor(ALTERNATE_TYPES)
