"""An auditor's questions, which the page alone answers.

The questions were written before the page, with answers from the sample's history.
"""

from collections.abc import Callable
from typing import Any

OpenPage = Callable[..., Any]


def rows(page: Any) -> dict[str, str]:
    """Return the visible accounts, with the text of their rows."""
    found = page.locator("#rows tr")
    ids = found.evaluate_all("rows => rows.map(row => row.id)")
    return dict(zip(ids, found.all_inner_texts(), strict=True))


def test_which_accounts_lack_a_security_contact_in_sync(open_page: OpenPage) -> None:
    """Two that failed, two new, three suspended and two excluded ones; and why."""
    page = open_page()
    page.locator(".type", has_text="Security").get_by_role("link").click()
    page.locator(".shown", has_text="9 of 122 accounts").wait_for()

    security = {account: row.split("\t")[5].split("\n") for account, row in rows(page).items()}
    assert {
        "100000000012": "AccessDeniedError",
        "100000000013": "ContestedError",
        "100000000056": "",
        "100000000085": "",
        "100000000020": "SUSPENDED",
        "100000000070": "SUSPENDED",
        "100000000120": "SUSPENDED",
        "100000000008": "by the configuration",
        "100000000068": "by the configuration",
    } == {account: [*lines, ""][1] for account, lines in security.items()}


def test_since_when_is_an_account_in_sync(open_page: OpenPage) -> None:
    """Since the night when a run corrected its security contact."""
    page = open_page()
    page.fill("input[type=search]", "100000000001")

    (row,) = rows(page).values()
    assert "In sync\nsince 2026-11-27 03:06\nchanged 2026-11-27" == row.split("\t")[5].strip()
    assert "In sync\nsince 2026-10-18 08:16\nchanged 2026-10-18" == row.split("\t")[2].strip()


def test_what_changed_on_a_day_and_what_started_it(open_page: OpenPage) -> None:
    """On 15 November, drift was corrected at night, and every account got one changed contact."""
    page = open_page()
    runs = page.locator("details.run", has_text="2026-11-15")
    change, night = runs.nth(0), runs.nth(1)

    assert 2 == runs.count()
    assert "contact changed 114 updated" in " ".join(change.inner_text().split())
    change.locator("summary").click()
    text = change.inner_text()
    assert (
        "contact changed: PutAlternateContact, event c0ffee00-0000-4000-8000-000000000012" in text
    )
    assert 114 == change.locator(".changed li").count()
    assert change.locator(".changed li").first.inner_text().endswith(" operations")
    night.locator("summary").click()
    assert "schedule: Scheduled, event 5c4ed01e" in night.inner_text()
    assert night.locator(".changed li").count() == int(
        night.locator("dt", has_text="Drifted").locator("+ dd").inner_text().split()[0]
    )


def test_what_failed_last_night_and_what_was_done(open_page: OpenPage) -> None:
    """Two accounts failed, without a later attempt, and the page says what to do.

    A run that somebody started in the morning corrected those of 22 November.
    """
    page = open_page()
    tables = page.locator("section", has=page.locator("#failures")).locator("table")
    now, history = (table.locator("tbody tr").all_inner_texts() for table in tables.all())

    assert 2 == len(now)
    assert all(
        one in now[0] for one in ("100000000012", "AccessDeniedError", "Check trusted access")
    )
    assert all(one in now[1] for one in ("100000000013", "ContestedError", "CloudTrail"))
    assert 5 == len(history)
    assert "2026-11-27 03:02" in history[0]
    assert "failed, not tried again since" in history[0]
    assert "2026-11-22 03:07" in history[2]
    assert "in sync since 2026-11-22 08:11, changed by the run of 2026-11-22 08:07" in history[2]
    newest = page.locator("#r1")
    newest.locator("summary").click()
    assert "scripts/resync.sh --environment prod --retry-of" in newest.inner_text()


def test_do_the_accounts_pass_security_hub_and_cis(open_page: OpenPage) -> None:
    """Each check says how many accounts pass, on what basis, and which are unknown, and why."""
    page = open_page()
    checks = page.locator(".check")

    assert ["Account.1 AWS Security Hub CSPM"] + [
        f"{number} CIS AWS Foundations Benchmark v5.0.0" for number in ("1.2", "1.1")
    ] == [" ".join(one.split()) for one in checks.locator("h3").all_inner_texts()]
    section = page.locator("section", has=page.locator("#checks")).inner_text()
    assert "It passes if the contact was set when the newest run read it" in section
    source = page.locator("#rows tr").filter(has_text="999999999999")
    page.fill("input[type=search]", "999999999999")
    assert source.inner_text().count("Source\nset, read 2026-11-27 03:02") == 4
    first = checks.nth(0)
    assert "112 pass 0 fail 9 unknown" == " ".join(first.locator(".results").inner_text().split())
    assert "Of the unknown, 2 are failing" in first.inner_text()
    assert "failing" not in checks.nth(2).inner_text()
    first.locator("summary").click()
    unknown = first.locator("li").all_inner_texts()
    assert 9 == len(unknown)
    assert any("excluded: by the configuration" in one for one in unknown)
    assert any("not compared" in one for one in unknown)
    assert any("failed: AccessDeniedError" in one for one in unknown)
