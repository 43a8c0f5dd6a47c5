"""Ways in which a call to the stand-in can fail."""

from typing import Any


class ApiError(Exception):
    """An error response of one of the two APIs: its code, message and other members."""

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.members = members


class InactiveAccountError(ApiError):
    """A write to a member whose state is not ACTIVE."""

    def __init__(self, account_id: str, message: str) -> None:
        super().__init__("AccessDeniedException", message)
        self.account_id = account_id


class DroppedConnectionError(Exception):
    """A planned fault: the connection closes without a response."""

    code = "drop_connection"


class WorldError(ValueError):
    """An invalid world, fault or admin request."""
