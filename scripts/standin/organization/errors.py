"""What a call of the stand-in can end with, other than an answer."""

from typing import Any


class ApiError(Exception):
    """An error answer of one of the two APIs: its code, message and further members."""

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
    """A planned fault: the connection closes without an answer."""

    code = "drop_connection"


class WorldError(ValueError):
    """A world, fault or admin request that makes no sense."""
