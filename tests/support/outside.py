"""The way out of this machine, for the programs under test: it leads nowhere and is watched."""

import socketserver
import threading
from functools import cache


class Outside:
    """A proxy that refuses, and knows what was asked of it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        requests = self.requests

        class Recorder(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                requests.append(self.rfile.readline())

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        # Serves as long as the tests run.
        server = Server(("127.0.0.1", 0), Recorder)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def variables(self) -> dict[str, str]:
        """What makes the AWS and SAM CLIs, pip and curl go through it, but for loopback."""
        return {
            "HTTP_PROXY": self.url,
            "HTTPS_PROXY": self.url,
            "http_proxy": self.url,
            "https_proxy": self.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            # Has an address of its own, which no proxy is asked for.
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def assert_unused(self) -> None:
        """Fail if anything was asked since the last time."""
        requests, self.requests[:] = list(self.requests), []
        assert not requests, f"asked of other machines: {requests}"


@cache
def outside() -> Outside:
    """Return the one of this process."""
    return Outside()
