"""Our own routes on MiniStack's port, under /_standin/."""

import json
from collections.abc import Callable
from typing import Any

from ministack import app

from standin.ministack.registry import hook

Handler = Callable[[Any], Any]

_handlers: dict[tuple[str, str], Handler] = {}


class BadRequestError(Exception):
    """The body of a request to one of our routes is invalid."""


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Serve `method path` with the decorated function, which takes the JSON body."""

    def register(handler: Handler) -> Handler:
        _handlers[method, path] = handler
        return handler

    return register


@hook
def admin_routes() -> None:
    """Add the routes with which tests plan faults and put events as AWS services do."""

    async def shortcuts(method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        if handler := _handlers.get((method, path)):
            return _answer(handler, body)
        return await original(method, path, headers, body, *rest)

    original = app._handle_post_body_shortcuts
    app._handle_post_body_shortcuts = shortcuts


def _answer(handler: Handler, body: bytes) -> tuple[int, dict[str, str], bytes]:
    try:
        status, answer = 200, handler(json.loads(body) if body else None)
    except (BadRequestError, json.JSONDecodeError) as error:
        status, answer = 400, {"message": str(error)}
    return status, {"Content-Type": "application/json"}, json.dumps(answer).encode()
