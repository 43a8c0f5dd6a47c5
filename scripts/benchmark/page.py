"""Measures a large organization's report in Chromium: its size and response times."""

import tempfile
from pathlib import Path
from typing import Any

from browser.chromium import chromium
from browser.sample import sample_report
from operate.report.csv_file import csv_text
from operate.report.page import page

Json = dict[str, Any]

ACCOUNTS = 10_000
REPEATS = 5
WIDTH, HEIGHT = 1280, 900

FIRST_CONTENT = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
# From the event until the page shows its result.
UNTIL_SHOWN = """\
act => new Promise(done => {
  const start = performance.now();
  act();
  requestAnimationFrame(() => setTimeout(() => done((performance.now() - start) / 1000)));
})
"""
# Each column for the first time, which computes its order.
SORTS = (
    "async () => { const times = []; for (const one of document.querySelectorAll('thead button')) "
    f"times.push(await ({UNTIL_SHOWN})(() => one.click())); return Math.max(...times) }}"
)
SEARCH = f"""\
() => ({UNTIL_SHOWN})(() => {{
  const field = document.querySelector('input[type=search]');
  field.value = 'ledger prod';
  field.dispatchEvent(new Event('input', {{bubbles: true}}));
}})
"""


def measure_page(accounts: int = ACCOUNTS, repeats: int = REPEATS) -> Json:
    """Return sizes in bytes, and the least times in seconds: other load only adds time.

    Raises NoBrowserError.
    """
    report = sample_report(accounts)
    content = page(report).encode()
    with tempfile.TemporaryDirectory(prefix="page-") as folder, chromium() as browser:
        file = Path(folder) / "report.html"
        file.write_bytes(content)
        times = [_times(browser, file.as_uri()) for _ in range(repeats)]
    return {
        "accounts": accounts,
        "page_bytes": len(content),
        "csv_bytes": len(csv_text(report).encode("utf-8-sig")),
        **{name: min(one[name] for one in times) for name in times[0]},
    }


def _times(browser: Any, address: str) -> dict[str, float]:
    tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    tab.goto(address)
    search = tab.evaluate(SEARCH)
    tab.click("button[type=reset]")
    times = {
        "first_content_seconds": tab.evaluate(FIRST_CONTENT),
        "search_seconds": search,
        "sort_seconds": tab.evaluate(SORTS),
    }
    tab.close()
    return times
