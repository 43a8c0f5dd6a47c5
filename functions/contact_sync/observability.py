"""The only logger: JSON lines with sync_id and account_id, never a contact value or an event."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger

from contact_sync.errors import SyncError

logger = Logger()

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def logged(handler: Handler) -> Handler:
    """Log each error that the handler raises, with the sync_id that the runtime's line lacks.

    Only our own errors are logged with their message, and none with its traceback: others may
    repeat a value.
    """

    @logger.inject_lambda_context(clear_state=True)
    @wraps(handler)
    def log_errors(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            return handler(event, context)
        except SyncError as error:
            logger.error(str(error), error=type(error).__name__)  # noqa: TRY400 - see above
            raise
        except Exception as error:
            logger.error("The function failed.", error=type(error).__name__)  # noqa: TRY400
            raise

    return log_errors
