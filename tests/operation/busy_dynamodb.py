"""Stands before DynamoDB and leaves items of a batch unprocessed, as the real one may."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

BATCH_WRITE = "DynamoDB_20120810.BatchWriteItem"


@dataclass
class BusyDynamoDb:
    """Writes only one item of a batch, for as many batches as it is told."""

    endpoint_url: str
    busy_batches: int
    url: str = ""
    batch_sizes: list[int] = field(default_factory=list)

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if headers.get("X-Amz-Target") != BATCH_WRITE:
            return self._forward(headers, body)
        ((table, requests),) = json.loads(body)["RequestItems"].items()
        self.batch_sizes.append(len(requests))
        if self.busy_batches < len(self.batch_sizes) or len(requests) == 1:
            return self._forward(headers, body)
        # Sent on with the old signature, which the stand-in does not check.
        accepted = json.dumps({"RequestItems": {table: requests[:1]}}).encode()
        status, _ = self._forward(headers, accepted)
        return status, json.dumps({"UnprocessedItems": {table: requests[1:]}}).encode()

    def _forward(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        kept = {name: value for name, value in headers.items() if name != "Content-Length"}
        request = urllib.request.Request(  # noqa: S310 - our own address
            self.endpoint_url, body, kept
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@contextmanager
def busy_dynamodb(endpoint_url: str, busy_batches: int) -> Iterator[BusyDynamoDb]:
    busy = BusyDynamoDb(endpoint_url, busy_batches)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = busy.answer(dict(self.headers), body)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    busy.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield busy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
