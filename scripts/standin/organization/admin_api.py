"""The stand-in's own API, with which tests set up a world and inspect it."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from standin.organization.backend import Backend
from standin.organization.errors import WorldError
from standin.organization.model import World

PREFIX = "/_standin/"

Handler = Callable[..., Any]


class AdminApi:
    """Routes admin requests to the backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = [
            ("POST", re.compile(r"reset"), self._reset),
            ("GET", re.compile(r"world"), self._world),
            ("GET", re.compile(r"contacts/(\d+)"), self._contacts),
            ("PUT", re.compile(r"contacts/(\d+)/([A-Z]+)"), self._set_contact),
            ("POST", re.compile(r"accounts"), self._add_account),
            ("PATCH", re.compile(r"accounts/(\d+)"), self._set_account),
            ("GET", re.compile(r"calls"), lambda _: backend.calls.to_json()),
            ("DELETE", re.compile(r"calls"), lambda _: backend.calls.clear()),
            ("GET", re.compile(r"faults"), lambda _: backend.faults.to_json()),
            ("POST", re.compile(r"faults"), backend.add_fault),
            ("DELETE", re.compile(r"faults"), lambda _: backend.faults.clear()),
            ("GET", re.compile(r"stats"), lambda _: backend.calls.stats()),
        ]

    def handle(self, method: str, path: str, body: Any) -> Any:
        """Handle one request. Raises WorldError."""
        for route_method, pattern, handler in self._routes:
            match = pattern.fullmatch(path.removeprefix(PREFIX))
            if match and method == route_method:
                return handler(*match.groups(), body)
        raise WorldError(f"no such admin request: {method} {path}")

    def _reset(self, body: Mapping[str, Any]) -> None:
        self._backend.reset(World.from_json(body))

    def _world(self, _: None) -> Any:
        return self._backend.organization.snapshot().to_json()

    def _contacts(self, account_id: str, _: None) -> Any:
        return self._backend.organization.contacts(account_id)

    def _set_contact(self, account_id: str, contact_type: str, body: Any) -> None:
        self._backend.organization.set_contact(account_id, contact_type, body)

    def _add_account(self, body: dict[str, Any]) -> None:
        self._backend.organization.add_account(body)

    def _set_account(self, account_id: str, body: dict[str, str]) -> None:
        if not set(body) <= {"state", "parent"}:
            raise WorldError("only state and parent of an account can be set")
        self._backend.organization.set_account(account_id, **body)
