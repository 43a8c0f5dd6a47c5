"""Pages in Chromium; a request or a message in the console is an error."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.chromium import NoBrowserError, chromium
from browser.sample import sample_report
from operate.report.page import page as report_page

AXE = Path(__file__).parents[2] / ".build/node/node_modules/axe-core/axe.min.js"
# Numbers, dates and the order of sorting are the same on every machine.
ANYWHERE = {"locale": "en-US", "timezone_id": "UTC"}
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Describing what passes would take most of the time.
AXE_OPTIONS = {"runOnly": STANDARDS, "resultTypes": ["violations"]}
VIOLATIONS = (
    "found => found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.html}`))"
)
OpenPage = Callable[..., Any]


@pytest.fixture(scope="session", name="chromium")
def _chromium() -> Iterator[Any]:
    # The driver's event loop stays open after the tests.
    try:
        with chromium() as running:
            yield running
    except NoBrowserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session", name="sample")
def _sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an organization with 120 members."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(report_page(sample_report(120)))
    return file


@pytest.fixture(name="open_page")
def _open_page(chromium: Any, sample: Path) -> Iterator[OpenPage]:
    """Opens the sample, or another file; a request or a message of the page is an error."""
    opened = []

    def open_page(
        where: str = "", *, file: Path = sample, width: int = 1280, height: int = 900, **more: Any
    ) -> Any:
        size = {"width": width, "height": height}
        context = chromium.new_context(viewport=size, **ANYWHERE, **more)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda request: requested.append(request.url))
        page.goto(f"{file.as_uri()}{where}")
        return page

    faults: list[str] = []
    requested: list[str] = []
    yield open_page
    for context in opened:
        context.close()
    assert [] == faults
    assert [] == [url for url in requested if not url.startswith(("file:", "data:"))]


@pytest.fixture(name="barriers")
def _barriers() -> Callable[[Any], list[str]]:
    """Return axe-core's findings on a page, even if its policy forbids scripts."""
    if not AXE.exists():
        pytest.skip("no axe-core in .build/node: scripts/test.sh installs it")
    axe = AXE.read_text()

    def barriers(page: Any) -> list[str]:
        page.evaluate(axe)
        found = page.evaluate(f"axe.run(document, {json.dumps(AXE_OPTIONS)}).then({VIOLATIONS})")
        return [str(one) for one in found]

    return barriers
