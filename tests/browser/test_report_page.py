"""The report in a browser: on screen, by keyboard, on a phone, on paper, without JavaScript."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser.sample import sample_report
from operate.report.page import page as report_page

OpenPage = Callable[..., Any]
Barriers = Callable[[Any], list[str]]

ACCOUNTS, PAGE = 122, 50  # 120 members, the management account, and an account that left
DENIED, CONTESTED = "100000000012", "100000000013"


def ids(page: Any) -> list[str]:
    """Return the visible accounts."""
    found: list[str] = page.eval_on_selector_all("#rows tr", "rows => rows.map(row => row.id)")
    return found


def names(page: Any) -> list[str]:
    return [str(name) for name in page.locator("#rows th bdi").all_inner_texts()]


def shown(page: Any) -> str:
    return str(page.inner_text(".shown"))


def wait_for_count(page: Any, count: int) -> None:
    """Wait until the page shows this count; filtering and resetting take a moment."""
    ending = "" if count == ACCOUNTS else f"{count} of "
    expected = re.compile(rf"(^| of ){ending}{ACCOUNTS} accounts$")
    page.locator(".shown", has_text=expected).wait_for()


def choose(page: Any, **values: str) -> None:
    for name, label in values.items():
        page.select_option(f"select[name={name}]", label=label)


@pytest.mark.parametrize(
    "how",
    [{}, {"color_scheme": "dark"}, {"width": 360, "height": 740}],
    ids=["light", "dark", "phone"],
)
def test_no_barrier(
    open_page: OpenPage, barriers: Barriers, tmp_path: Path, how: dict[str, Any]
) -> None:
    """axe-core finds none, with all details open."""
    file = tmp_path / "small.html"
    file.write_text(report_page(sample_report(32)))
    page = open_page(file=file, **how)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

    assert [] == barriers(page)


@pytest.mark.parametrize("width", [320, 360, 820, 1280])
def test_no_horizontal_scrolling(open_page: OpenPage, width: int) -> None:
    page = open_page(width=width)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    too_wide = (
        "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.outerHTML)"
    )
    assert [] == page.eval_on_selector_all(".cards, figure, .check, .tile", too_wide)


def test_accounts_that_need_attention_are_first(open_page: OpenPage) -> None:
    page = open_page()

    assert [DENIED, CONTESTED] == ids(page)[:2]
    assert f"1 to {PAGE} of {ACCOUNTS} accounts" == shown(page)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("ledger", 15),
        ("LEDGER  prod", 4),
        (DENIED, 1),
        ("accessdenied", 1),
        ("payments / platform", None),
        ("no such account", 0),
    ],
)
def test_search(open_page: OpenPage, words: str, count: int | None) -> None:
    """Every word occurs in the account's row, in any case."""
    page = open_page()
    page.fill("input[type=search]", words)

    rows = page.locator("#rows tr").all_inner_texts()
    assert all(all(word in row.lower() for word in words.lower().split()) for row in rows)
    if count is None:
        assert 0 < len(rows)
    else:
        assert f"{count} of {ACCOUNTS} accounts" == shown(page)

    page.click("button[type=reset]")
    wait_for_count(page, ACCOUNTS)


@pytest.mark.parametrize(
    ("state", "contact", "count"),
    [
        ("Failing", "Any", 2),
        ("Failing", "security", 2),
        ("Failing", "billing", 0),
        ("Not compared yet", "Any", 2),
        ("In sync", "Any", 111),
        ("In sync", "security", 111),
        ("In sync", "billing", 113),
        ("Not in sync: all of the others", "security", 9),
        ("Excluded", "primary", 2),
        ("Left alone: excluded, suspended, own, put back", "Any", 5),
        ("Left the organization", "Any", 1),
    ],
)
def test_filter(open_page: OpenPage, state: str, contact: str, count: int) -> None:
    page = open_page()
    choose(page, state=state, type=contact)

    found = f"{count} of {ACCOUNTS} accounts"
    assert found == shown(page) or shown(page).endswith(f" of {found}")


def test_unit(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, unit="Workloads / Payments")

    assert {"Workloads / Payments"} == set(
        page.locator("#rows td:nth-of-type(1)").all_inner_texts()
    )


def test_sort(open_page: OpenPage) -> None:
    """A click sorts, a second one reverses the order, a third one restores the first order."""
    page = open_page()
    header = page.locator(".accounts thead th").nth(0)
    before = ids(page)

    header.locator("button").click()
    up = names(page)
    assert "ascending" == header.get_attribute("aria-sort")
    header.locator("button").click()
    assert "descending" == header.get_attribute("aria-sort")
    down = names(page)
    header.locator("button").click()

    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert up[0] != down[0]
    assert before == ids(page)
    assert header.get_attribute("aria-sort") is None


def test_sort_by_contact(open_page: OpenPage) -> None:
    """A contact's column sorts by what needs attention, then by time."""
    page = open_page()
    page.locator(".accounts thead button", has_text="Security").click()

    cells = page.locator("#rows td:nth-of-type(5)").all_inner_texts()
    assert ["Failed", "Contested", "Not compared yet"] == [one.split("\n")[0] for one in cells[:3]]
    since = [one.split("since ")[1][:16] for one in cells if "In sync" in one]
    assert since == sorted(since)


def test_sort_on_a_phone(open_page: OpenPage) -> None:
    """Without columns to click, the page has a list."""
    page = open_page(width=360)
    choose(page, order="Account")

    assert names(page) == sorted(names(page))


def test_pages(open_page: OpenPage) -> None:
    """Every account is on exactly one page."""
    page = open_page()
    seen = ids(page)
    next_page = page.locator("button[name=next]")
    while next_page.is_enabled():
        next_page.click()
        seen += ids(page)

    assert (ACCOUNTS, ACCOUNTS) == (len(seen), len(set(seen)))
    assert f"101 to 122 of {ACCOUNTS} accounts" == shown(page)
    page.click("button[name=previous]")
    assert f"51 to 100 of {ACCOUNTS} accounts" == shown(page)


def test_keyboard(open_page: OpenPage) -> None:
    """Everything can be used without a mouse, and the focus is visible."""
    page = open_page()
    page.keyboard.press("Tab")
    assert "Skip to the report" == page.evaluate("document.activeElement.textContent")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    page.locator("input[type=search]").focus()
    page.keyboard.type("ledger")
    assert f"15 of {ACCOUNTS} accounts" == shown(page)
    assert "solid" == page.evaluate(outline)
    for _ in range(5):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('thead') !== null")
    page.keyboard.press("Enter")

    assert "ascending" == page.locator(".accounts thead th").nth(0).get_attribute("aria-sort")
    assert names(page) == sorted(names(page))


def test_tiles(open_page: OpenPage) -> None:
    """Each tile has the number of accounts in its list; the states' numbers add up to all members.

    A failing account is counted only as failing, even if another contact is its own.
    """
    page = open_page()
    page.evaluate(f"document.getElementById('{DENIED}').cells[2].className = 'o'")
    counts = []
    for tile in page.locator(".tile a[href^='#state']").all():
        counts.append(int(tile.locator(".count").inner_text()))
        tile.click()
        wait_for_count(page, counts[-1])

    *states, drifted = counts
    assert 120 == sum(states)
    assert 0 < drifted


def test_links(open_page: OpenPage) -> None:
    """A number links to its accounts, an account to its row, a change to its run."""
    page = open_page()
    page.get_by_role("link", name="Failing").click()
    wait_for_count(page, 2)

    page.locator("#failures ~ .cards a.account").first.click()
    wait_for_count(page, 1)
    assert [DENIED] == ids(page)
    assert "accounts/100000000012" in str(page.locator("#rows th a").get_attribute("href"))

    page.locator("#rows td:nth-of-type(4) a").click()
    run = page.locator("details.run[open]")
    assert "contact changed" in run.inner_text()
    assert "c0ffee00-0000-4000-8000-000000000012" in run.inner_text()
    links = run.locator("dl a").evaluate_all("links => links.map(link => link.href)")
    assert 2 == len(links)
    assert all(one.startswith("https://console.aws.amazon.com/states/") for one in links)


def test_address_with_filter(open_page: OpenPage) -> None:
    assert [DENIED, CONTESTED] == ids(open_page("#state=failing&type=5"))


def test_without_javascript(open_page: OpenPage) -> None:
    """Everything is visible, except controls that would not work."""
    page = open_page(java_script_enabled=False)

    assert ACCOUNTS == page.locator("#rows tr").count()
    assert page.locator("#rows tr").last.is_visible()
    assert not page.locator(".filters").is_visible()
    assert not page.locator(".pages").is_visible()
    assert 0 == page.locator("thead button").count()
    page.locator("summary").first.click()
    assert page.locator("details[open]").count()


def test_print(open_page: OpenPage) -> None:
    """A printout starts with the summary and failures, and has every account that was found."""
    page = open_page(width=794, height=1123)
    choose(page, state="In sync")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert 111 == page.locator("#rows tr").count()
    places = [
        page.locator(f"#{name}").bounding_box()["y"]
        for name in ("summary", "drift", "failures", "checks", "runs", "accounts")
    ]
    assert places == sorted(places)
    assert not page.locator(".filters").is_visible()
    assert page.locator(".accounts thead").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert PAGE == page.locator("#rows tr").count()
    assert page.pdf().startswith(b"%PDF")


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"><script>alert('x')</script>",
    "</style></script><svg onload=alert(1)>",
    "{{ constructor.constructor('alert(1)')() }}",
    "\u202egnp.exe\u2066",
    "=HYPERLINK(1)",
    "x" * 50,
    "&lt;b&gt; &amp;",
)


def test_hostile_names(open_page: OpenPage, tmp_path: Path) -> None:
    """An account's name is shown literally, and has no effect."""
    accounts = {str(100_000_000_001 + number): name for number, name in enumerate(HOSTILE)}
    file = tmp_path / "hostile.html"
    file.write_text(report_page(sample_report(60, accounts)))

    page = open_page(file=file, width=360)

    page.fill("input[type=search]", "10000000000")
    seen = dict(zip(ids(page), names(page), strict=True))
    for account_id, name in accounts.items():
        expected = "".join(one if one.isprintable() else "\ufffd" for one in name)
        assert expected == seen[account_id]
    assert 0 == page.locator("main img, main script").count()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_injected_markup_is_blocked(chromium: Any, sample: Path, tmp_path: Path) -> None:
    """If markup got into the page, the page's policy would block its scripts and requests."""
    file = tmp_path / "injected.html"
    injected = "<script>window.ran = 1</script><img src='https://example.com/x' onerror='ran = 1'>"
    file.write_text(sample.read_text().replace("<main", f"{injected}<main", 1))
    page = chromium.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(file.as_uri())

    assert page.evaluate("window.ran") is None
    assert 2 <= sum("Content Security Policy" in one for one in refused)
    page.close()
