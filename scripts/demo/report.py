"""Writes the report of the demo's organization with the operating command, and serves it."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standin.standin import BUILD, REPOSITORY, StandinError

PAGE = BUILD / "demo-report.html"
LOOPBACK = "127.0.0.1"


def write_report(environment: str, variables: Mapping[str, str], file: Path = PAGE) -> Path:
    """Write the page; `variables` point the command to the stand-in. Raises StandinError."""
    code = f"{REPOSITORY / 'scripts'}{os.pathsep}{REPOSITORY / 'functions'}"
    command = ["-P", "-m", "operate", "report", "--environment", environment, "--html", str(file)]
    told = subprocess.run(  # noqa: S603 - the project's own command
        [sys.executable, *command],
        env={**os.environ, **variables, "PYTHONPATH": code},
        check=False,
        capture_output=True,
        text=True,
    )
    if told.returncode:
        raise StandinError(f"the report could not be written: {told.stderr.strip()}")
    return file


@contextmanager
def served(write: Callable[[], Path]) -> Iterator[str]:
    """Serve the page on loopback, regenerated for each request; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":  # browsers also request an icon
                self.send_error(404)
                return
            content = write().read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing: the terminal belongs to the demo."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
