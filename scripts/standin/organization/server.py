"""The HTTP server of the stand-in: both services and the admin API on one port."""

import json
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple, Self

from standin.organization.admin_api import PREFIX, AdminApi
from standin.organization.backend import Backend
from standin.organization.errors import ApiError, DroppedConnectionError, WorldError
from standin.organization.model import World
from standin.organization.organizations_api import TARGET_PREFIX
from standin.organization.quotas import Clock

_LOOPBACK = "127.0.0.1"
# The path prefix of a call that only one particular organization may answer.
_INSTANCE = re.compile(r"/i-([0-9a-f]+)(?=/|$)")
_JSON = "application/json"
_JSON_1_1 = "application/x-amz-json-1.1"


class _Response(NamedTuple):
    status: int
    body: bytes
    content_type: str = _JSON
    error: str | None = None


class OrganizationServer:
    """Serves a world until it is stopped.

    Every caller is the management account: an Authorization header is required, but signatures are
    not verified. Anyone who reaches the port can also use the admin API, so the server listens on
    loopback unless `host` says otherwise. `clock` and `sleep` let tests control time. Calls
    whose path begins with `/i-` and a different `instance` are refused: they are for another
    organization, which had this port before or competes for it.
    """

    def __init__(  # noqa: PLR0913 - the options of the program
        self,
        world: Mapping[str, Any],
        *,
        host: str = _LOOPBACK,
        port: int = 0,
        speed: float = 1.0,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        instance: str = "",
    ) -> None:
        backend = Backend(World.from_json(world), speed, clock, sleep)
        self._http = _HttpServer(host, port, backend, instance)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The local URL of both services and the admin API."""
        return f"http://{_LOOPBACK}:{self._http.server_address[1]}"

    def start(self) -> Self:
        """Serve in the background."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and close every connection."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def wait(self) -> None:
        """Block until the server is stopped."""
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


class _HttpServer(ThreadingTCPServer):
    # Not http.server's own class, which resolves the host's name.
    allow_reuse_address = True
    daemon_threads = True
    # Workers connect at the same time; the default of 5 would refuse some.
    request_queue_size = 512

    def __init__(self, host: str, port: int, backend: Backend, instance: str) -> None:
        self.backend = backend
        self.instance = instance
        self.admin_api = AdminApi(backend)
        self._connections: set[Any] = set()
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        # A connection's thread would keep serving it while it is kept alive.
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, except disconnected clients."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_POST(self) -> None:
        self._serve()

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Print nothing; the backend logs the calls."""

    def _serve(self) -> None:
        # Always read the body: the connection's next request starts after it.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._send(self._respond(body))
        except DroppedConnectionError:
            self.close_connection = True

    def _respond(self, body: bytes) -> _Response:
        if meant := _INSTANCE.match(self.path):
            if meant[1] != self.server.instance:
                return self._refuse_stranger()
            self.path = self.path[meant.end() :] or "/"
        if self.path.startswith(PREFIX):
            return self._respond_admin(body)
        if "X-Amz-Target" in self.headers:
            return self._respond_organizations(body)
        return self._respond_account(body)

    def _refuse_stranger(self) -> _Response:
        """Refuse with a message on stderr, and change neither the world nor its call log."""
        text = f"{self.command} {self.path} is meant for another organization than this one"
        print(text, file=sys.stderr, flush=True)
        code = "MisdirectedRequestException"
        return _Response(421, _encode({"__type": code, "message": text, "error": text}), error=code)

    def _respond_admin(self, body: bytes) -> _Response:
        try:
            answer = self.server.admin_api.handle(
                self.command, self.path, json.loads(body) if body else None
            )
        except (WorldError, json.JSONDecodeError) as error:
            return _Response(400, _encode({"error": str(error)}))
        return _Response(200, _encode(answer))

    def _respond_account(self, body: bytes) -> _Response:
        """Answer in the rest-json protocol."""
        api = self.server.backend.account_api
        try:
            self._require_authorization()
            operation = _known(api.paths.get(self.path) if self.command == "POST" else None)
            answer = self.server.backend.call(api, operation, _decode(body))
        except ApiError as error:
            status = _ACCOUNT_STATUS.get(error.code) or api.rules.error_status(error.code, 400)
            content = _encode({"message": error.message, **error.members})
            return _Response(status, content, error=error.code)
        return _Response(200, b"" if answer is None else _encode(answer))

    def _respond_organizations(self, body: bytes) -> _Response:
        """Answer in the JSON 1.1 protocol, in which every error has status 400."""
        api = self.server.backend.organizations_api
        try:
            self._require_authorization()
            target = self.headers["X-Amz-Target"].removeprefix(TARGET_PREFIX)
            operation = _known(target if target in api.operations else None)
            answer = self.server.backend.call(api, operation, _decode(body))
        except ApiError as error:
            content = _encode({"__type": error.code, "Message": error.message, **error.members})
            return _Response(400, content, _JSON_1_1, error.code)
        return _Response(200, b"" if answer is None else _encode(answer), _JSON_1_1)

    def _require_authorization(self) -> None:
        if "Authorization" not in self.headers:
            raise ApiError("MissingAuthenticationTokenException", "Missing Authentication Token")

    def _send(self, response: _Response) -> None:
        head = [
            f"{self.protocol_version} {response.status} {HTTPStatus(response.status).phrase}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            f"x-amzn-RequestId: {uuid.uuid4()}",
        ]
        if response.error:
            head.append(f"x-amzn-ErrorType: {response.error}")
        # Send head and body together: a second send would wait for a delayed acknowledgement.
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + response.body)


_ACCOUNT_STATUS = {"UnknownOperationException": 404, "MissingAuthenticationTokenException": 403}


def _known(operation: str | None) -> str:
    if operation is None:
        raise ApiError("UnknownOperationException", "No such operation.")
    return operation


def _encode(document: Any) -> bytes:
    return json.dumps(document).encode()


def _decode(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ApiError("SerializationException", "The body is not a JSON object.")
    return document
