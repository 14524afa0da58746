"""The page in a real browser: sorting, filtering, anchors, keyboard and print; and it makes no requests.

Needs Chromium and its driver (Debian: ``chromium``, ``chromium-driver``) and the extra ``browser``; without them these
tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from memkit.evidence.figures import Lines, Series
from memkit.evidence.reports import render_html

from . import samples

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium or its driver is not installed")
webdriver: Any = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
support: Any = pytest.importorskip("selenium.webdriver.support.ui")

WIDE, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--force-prefers-reduced-motion",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    driver.set_script_timeout(300)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    series = [Series("memory <b>on</b>", (0, 1, 2), (0.1, 0.5, 0.9))]
    figure = Lines("Accuracy by step", "step", "accuracy", series)
    first, *rest = samples.everything().claims
    evidence = samples.evidence(replace(first, figures=(figure,)), *rest, samples.hostile())
    file = tmp_path_factory.mktemp("report") / "evidence.html"
    file.write_text(render_html(evidence), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.set_window_size(*WIDE)
    browser.get("about:blank")  # or the driver may take the page that is open for the one that is to come
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())
    support.WebDriverWait(browser, 60).until(lambda b: b.execute_script("return document.readyState") == "complete")
    return browser


def ids(browser: Any) -> list[str]:
    """Return the claims whose rows are shown, in order."""
    rows = "[...document.querySelectorAll('#verdict-table tbody tr')]"
    return list(browser.execute_script(f"return {rows}.filter(row => !row.hidden).map(row => row.dataset.claim)"))


def press(browser: Any, column: int) -> None:
    browser.find_elements("css selector", "#verdict-table thead button")[column].click()


def test_columns_can_be_sorted(opened: Any) -> None:
    before = ids(opened)
    press(opened, 1)
    assert ids(opened) == sorted(before, key=str.lower)
    press(opened, 1)
    assert ids(opened) == sorted(before, key=str.lower, reverse=True)
    press(opened, 4)
    attempts = opened.execute_script(
        "return [...document.querySelectorAll('#verdict-table tbody tr')].map(r => +r.cells[4].textContent)"
    )
    assert attempts == sorted(attempts)
    (marked,) = opened.find_elements("css selector", "[aria-sort]")
    assert marked.get_attribute("aria-sort") == "ascending"


def test_rows_and_claims_are_filtered_and_searched(opened: Any) -> None:
    every = ids(opened)
    support.Select(opened.find_element("id", "study")).select_by_value("binding")
    assert ids(opened) == [name for name in every if name.startswith("binding/")]
    support.Select(opened.find_element("id", "verdict")).select_by_value("SUPPORTED")
    shown = ids(opened)
    assert shown == ["binding/retrieval-needs-dynamic-memory"]
    articles = opened.execute_script(
        "return [...document.querySelectorAll('article')].filter(a => !a.hidden).map(a => a.id)"
    )
    assert articles == shown
    assert opened.find_element("id", "shown").text == f"1 of {len(every)} claims"
    support.Select(opened.find_element("id", "study")).select_by_value("")
    support.Select(opened.find_element("id", "verdict")).select_by_value("")
    opened.find_element("id", "search").send_keys("nearest-neighbour VOTE")
    assert ids(opened) == ["intervention/active-memory-over-nearest-neighbours"]
    # A link to a claim shows it even if the filter hides it.
    hidden = opened.find_element("css selector", 'article[id="binding/retrieval-needs-dynamic-memory"]')
    assert not hidden.is_displayed()
    opened.execute_script("location.hash = arguments[0]", hidden.get_attribute("id"))
    support.WebDriverWait(opened, 60).until(lambda _: hidden.is_displayed())


def test_anchors_lead_to_their_claims_even_in_folded_sections(opened: Any, page: Path) -> None:
    name = "growth/growing-preserves-the-function"
    opened.get(f"{page.as_uri()}#{name}")
    top = opened.execute_script("return document.getElementById(arguments[0]).getBoundingClientRect().top", name)
    assert abs(top) < 50
    # A link in the table, followed by the keyboard.
    opened.get(page.as_uri())
    link = opened.find_element("css selector", f'#verdict-table a[href="#{name}"]')
    link.send_keys("\ue007")
    assert opened.current_url.endswith(f"#{name}")


def test_everything_can_be_reached_by_the_keyboard(opened: Any) -> None:
    reached = set()
    for _ in range(400):
        opened.switch_to.active_element.send_keys("\ue004")
        what = opened.execute_script(
            "const at = document.activeElement;"
            "return at.tagName + ' ' + (at.id || at.getAttribute('aria-label') || at.textContent)"
        )
        if what in reached and what.startswith("BODY"):
            break
        reached.add(what)
    focused = "\n".join(reached)
    for part in (
        "INPUT search",
        "SELECT study",
        "SELECT verdict",
        "BUTTON Verdict",
        "SUMMARY",
        "DIV Table of verdicts",
    ):
        assert part in focused, part


def test_the_page_makes_no_requests_and_logs_nothing(opened: Any, page: Path) -> None:
    press(opened, 0)
    opened.find_element("id", "search").send_keys("a")
    assert opened.get_log("browser") == []
    requested = [line for line in opened.get_log("performance") if '"Network.requestWillBeSent"' in line["message"]]
    assert all(page.as_uri() in line["message"] or '"url":"data:,"' in line["message"] for line in requested)


def test_folded_sections_are_printed(opened: Any) -> None:
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert opened.find_elements("css selector", "details:not([open])") == []
    opened.execute_script("dispatchEvent(new Event('afterprint'))")
    assert opened.find_elements("css selector", "details[open]") == []
    assert len(opened.print_page()) > 10_000


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_is_wider_than_the_window(opened: Any, size: tuple[int, int]) -> None:
    opened.set_window_size(*size)
    width, room = opened.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= room


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_no_accessibility_violations(opened: Any, scheme: str, size: tuple[int, int]) -> None:
    package = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    opened.set_window_size(*size)
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    source = files(package).joinpath("axe.min.js").read_text(encoding="utf-8")
    opened.execute_cdp_cmd("Runtime.evaluate", {"expression": source})
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = opened.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run().then(r => done(r.violations), e => done(String(e)))"
    )
    violations = [(v["id"], v["help"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found]
    assert violations == []
