"""A client of the stand-in's admin API."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, cast

Json = dict[str, Any]


class AdminError(Exception):
    """The stand-in rejected an admin request."""


class OrganizationClient:
    """Sets up and inspects the world of a running stand-in. Raises AdminError."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # Loopback must bypass a proxy that the environment names.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def reset(self, world: Mapping[str, Any]) -> None:
        """Start over with this world, full quotas, no faults and an empty log."""
        self._send("POST", "reset", world)

    def world(self) -> Json:
        """Return the current world, including the true contacts."""
        return cast("Json", self._send("GET", "world"))

    def contacts(self, account_id: str) -> dict[str, dict[str, str]]:
        """Return the true contacts of an account by type, without types that are not set."""
        return cast("dict[str, dict[str, str]]", self._send("GET", f"contacts/{account_id}"))

    def set_contact(
        self, account_id: str, contact_type: str, value: Mapping[str, str] | None
    ) -> None:
        """Set a contact, or remove it with None; visible at once, not validated."""
        self._send("PUT", f"contacts/{account_id}/{contact_type}", value)

    def set_account(
        self, account_id: str, *, state: str | None = None, parent: str | None = None
    ) -> None:
        """Change the state or the parent of a member."""
        changes = {"state": state, "parent": parent}
        body = {name: value for name, value in changes.items() if value is not None}
        self._send("PATCH", f"accounts/{account_id}", body)

    def add_account(self, account_id: str, **details: Any) -> None:
        """Add a member; details: name, email, state, parent (the root), contacts (none)."""
        self._send("POST", "accounts", {"id": account_id, **details})

    def calls(self) -> list[Json]:
        """Every call of the two services since the last reset or clear, in order."""
        return cast("list[Json]", self._send("GET", "calls"))

    def clear_calls(self) -> None:
        """Clear the calls and their counts."""
        self._send("DELETE", "calls")

    def faults(self) -> list[Json]:
        """Return the planned faults with their remaining times."""
        return cast("list[Json]", self._send("GET", "faults"))

    def add_fault(self, fault: Mapping[str, Any]) -> None:
        """Plan a fault for future calls."""
        self._send("POST", "faults", fault)

    def clear_faults(self) -> None:
        """Remove all planned faults."""
        self._send("DELETE", "faults")

    def stats(self) -> Json:
        """Return counts of calls, in total and by outcome, and of writes to inactive accounts."""
        return cast("Json", self._send("GET", "stats"))

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - a stand-in's URL
            f"{self.url}/_standin/{path}", json.dumps(body).encode(), method=method
        )
        try:
            with self._opener.open(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise AdminError(json.load(error)["error"]) from error
