"""Starts Debian's Chromium with Playwright from a separate virtual environment."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENT = Path(__file__).parents[2] / ".build/browser"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class NoBrowserError(Exception):
    """There is no browser; the message says what to install."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a headless Chromium; raise NoBrowserError if it or Playwright is missing."""
    named = os.environ.get("CHROMIUM")
    program = named or next((found for one in PROGRAMS if (found := shutil.which(one))), None)
    if not program:
        raise NoBrowserError(
            f"no Chromium: none of {', '.join(PROGRAMS)} is on PATH; install one (Debian: "
            "apt-get install chromium), or set CHROMIUM to its path"
        )
    with _playwright()() as playwright:
        # Without its sandbox, it also runs as root; the pages are the project's own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def _playwright() -> Any:
    """Return Playwright's entry point; its environment uses the same Python as this one."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = str(ENVIRONMENT / "lib" / python / "site-packages")
    if packages not in sys.path:
        sys.path.append(packages)
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - optional
    except ImportError:
        raise NoBrowserError("no playwright in .build/browser: scripts/test.sh makes it") from None
    return sync_playwright
