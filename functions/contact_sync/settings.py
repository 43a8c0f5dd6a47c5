"""The functions' environment variables."""

import os


class SettingMissingError(Exception):
    """An environment variable that the template sets is missing."""


def read(name: str) -> str:
    """Return the variable; raise SettingMissingError where it is missing or empty."""
    value = os.environ.get(name)
    if not value:
        raise SettingMissingError(f"environment variable {name} is not set")
    return value
