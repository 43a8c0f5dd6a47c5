"""Blocks and records requests of the programs under test to other machines."""

import socketserver
import threading
from functools import cache


class Outside:
    """A proxy that refuses and records every request."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        requests = self.requests

        class Recorder(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                requests.append(self.rfile.readline())

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        # Never stopped: it serves until the tests end.
        server = Server(("127.0.0.1", 0), Recorder)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def variables(self) -> dict[str, str]:
        """Return the variables that route the AWS and SAM CLIs, pip and curl through the proxy."""
        return {
            "HTTP_PROXY": self.url,
            "HTTPS_PROXY": self.url,
            "http_proxy": self.url,
            "https_proxy": self.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            # The metadata service has its own address, which bypasses proxies.
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def assert_unused(self) -> None:
        """Fail if there was any request since the last call."""
        requests, self.requests[:] = list(self.requests), []
        assert not requests, f"requests to other machines: {requests}"


@cache
def outside() -> Outside:
    """Return the process's only proxy."""
    return Outside()
