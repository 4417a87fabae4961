"""The HTML page in a browser: Debian's chromium ticks, filters, goes by keyboard, and prints it."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdf
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.findings import FleetReport, HostReport
from kubenode.audit.reports import FORMATS
from tests.unit.reports.example import report

WIDTHS = (1280, 768, 390)
LONG = "worker-17.rack-4.dc-east-1.internal.example.net"


def named(made: FleetReport) -> FleetReport:
    """Hosts with long names, and a long error."""
    hosts = [replace(host, host=f"{host.host}.{LONG}") for host in made.hosts]
    error = "could not connect: no supported authentication method, tried /home/me/.ssh/id " * 5
    hosts = [replace(host, error=error) if host.error else host for host in hosts]
    return replace(made, hosts=tuple(hosts))


def scattered(count: int) -> FleetReport:
    """So many hosts, no two of which look alike."""
    good = report(1).hosts[0]
    passing = [n for n, finding in enumerate(good.findings) if finding.state == "pass"][:8]

    def host(number: int) -> HostReport:
        findings = list(good.findings)
        for bit, place in enumerate(passing):
            if number >> bit & 1:
                findings[place] = replace(findings[place], state="warn", found=f"odd {number}")
        return replace(good, host=f"node-{number:03}", findings=tuple(findings))

    return replace(report(1), hosts=tuple(map(host, range(count))))


REPORTS = {
    "1": report(1),
    "20": report(20),
    "500": report(500),
    "long": named(report(20)),
    "scattered": scattered(70),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("chromium is missing: scripts/install-missing chromium=chromium", pytrace=False)
    # chromium's sandbox does not work for root
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, made in REPORTS.items():
        (folder / f"{name}.html").write_text(FORMATS["html"].render(made), encoding="utf-8")
    return folder


class Open:
    """Opens pages, and sees that none complains."""

    def __init__(self, browser: Browser, files: Path) -> None:
        self._browser = browser
        self._files = files
        self._pages: list[Page] = []
        self.complaints: list[str] = []

    def __call__(
        self, name: str, width: int = 1280, scheme: Any = "light", script: bool = True
    ) -> Page:
        page = self._browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=script,
        )
        page.set_default_timeout(30_000)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"file://{self._files}/{name}.html")
        self._pages.append(page)
        return page

    def close(self) -> None:
        for page in self._pages:
            page.close()


@pytest.fixture
def open_page(browser: Browser, files: Path) -> Iterator[Open]:
    opener = Open(browser, files)
    yield opener
    opener.close()
    assert opener.complaints == []


def rows(page: Page) -> list[str]:
    """The hosts of the rows that are shown."""
    texts = page.locator("#matrix tbody tr:visible .name").all_text_contents()
    return [text.strip() for text in texts]


def findings(page: Page) -> list[str]:
    """The states of the findings that are shown."""
    states = page.locator("#findings .finding:visible").evaluate_all(
        "parts => parts.map(part => part.dataset.state)"
    )
    return [str(state) for state in states]


def of_state(name: str, state: str) -> set[str]:
    return {host.host for host in REPORTS[name].hosts if host.state == state}


TAB_STOPS = """() => [...document.querySelectorAll("a, button, input, select, summary, [tabindex]")]
  .filter(one => one.tabIndex >= 0 && one.checkVisibility({contentVisibilityAuto: true})
    && !(one.closest("details:not([open])") && !one.matches("details:not([open]) > summary")))
  .length"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_for_axe_to_find(open_page: Open, width: int, scheme: str) -> None:
    page = open_page("long", width, scheme)
    views = {
        "everything": "() => { document.getElementById('all').click();"
        " document.querySelectorAll('details').forEach(part => { part.open = true; }); }",
        "host": f"() => {{ location.hash = 'host=node-005.{LONG}'; }}",
    }
    if width == 768:
        del views["host"]
    for view, script in views.items():
        page.evaluate(script)
        page.wait_for_timeout(50)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{view}: {found.generate_report()}"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["1", "20", "500", "long"])
def test_the_page_is_as_wide_as_the_screen(open_page: Open, name: str, width: int) -> None:
    page = open_page(name, width)
    page.check("#all")
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["20", "long"])
def test_names_take_one_line_whatever_is_ticked(open_page: Open, name: str, width: int) -> None:
    page = open_page(name, width)
    for ticked in (False, True):
        page.set_checked("#all", ticked)
        boxes = page.locator("#matrix tbody th").evaluate_all(
            "heads => heads.map(head => [head.clientWidth, head.clientHeight])"
        )
        assert all(wide >= 90 and high < 40 for wide, high in boxes), boxes
        # a long error, or a long name, widens no column of a check
        cells = page.locator("#matrix tbody td:visible").evaluate_all(
            "cells => cells.map(cell => cell.clientWidth)"
        )
        assert max(cells) <= 32


@pytest.mark.parametrize(("name", "most"), [("1", 20), ("20", 45), ("500", 45)])
def test_tab_stops_do_not_grow_with_hosts(open_page: Open, name: str, most: int) -> None:
    assert open_page(name).evaluate(TAB_STOPS) <= most


def test_the_first_tab_stop_skips_to_the_findings(open_page: Open) -> None:
    page = open_page("20")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the findings"
    box = page.locator(":focus").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('#findings .finding > summary')")


def test_arrow_keys_go_from_column_to_column(open_page: Open) -> None:
    page = open_page("20")
    links = page.locator("#matrix thead a")
    links.first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == links.nth(1).text_content()


@pytest.mark.parametrize("name", ["20", "500"])
def test_links_have_names_and_lead_to_what_opens(open_page: Open, name: str) -> None:
    page = open_page(name)
    texts = page.locator("a").all_text_contents()
    assert min(map(len, texts)) > 3, texts
    page.locator("#matrix thead a", has_text="runtime.supported").click()
    opened = page.locator("details.finding[open]:has-text('runtime.supported')")
    assert opened.locator(".body").first.is_visible()


def test_title_chips_and_hosts_agree(open_page: Open) -> None:
    page = open_page("20")
    title = page.locator("h1").text_content()
    assert page.title() == f"Audit: {title}"
    assert title == "20 hosts: 3 fail, 3 unknown (1 without an answer), 14 warn"
    chips = [" ".join(text.split()) for text in page.locator("#chips li").all_inner_texts()]
    assert [chip.split()[-2:] for chip in chips] == [
        ["3", "fail"],
        ["3", "unknown"],
        ["14", "warn"],
    ]
    assert sorted(rows(page)) == sorted(host.host for host in REPORTS["20"].hosts)


@pytest.mark.parametrize("state", ["fail", "unknown", "warn"])
def test_chips_filter(open_page: Open, state: str) -> None:
    page = open_page("20")
    everything = findings(page)
    chip = page.locator("#chips button", has_text=state)
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    assert set(rows(page)) == of_state("20", state)
    assert set(findings(page)) == {state}
    assert f"{len(of_state('20', state))} of 20 hosts" in str(page.text_content("#shown"))
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert findings(page) == everything
    assert len(rows(page)) == 20


def test_a_part_of_a_name_and_a_topic_filter(open_page: Open) -> None:
    page = open_page("20")
    all_of_them = len(findings(page))
    page.fill("#host", "NODE-00")
    assert set(rows(page)) >= {f"node-{number:03}" for number in range(1, 10)}
    # what node-011 alone has is out of sight: nobody knows its runtime, nor the disk of that
    told = f"9 of 20 hosts, {all_of_them - 3} of {all_of_them} findings"
    assert page.text_content("#shown") == told
    page.fill("#host", "")
    page.select_option("#topic", "swap")
    assert findings(page) == ["fail"]
    heads = page.locator("#matrix thead th:visible").all_text_contents()
    assert [head.strip() for head in heads] == ["host", "swap.boot"]
    page.fill("#host", "nobody")
    assert page.is_visible("#none")


def test_the_view_of_one_host(open_page: Open) -> None:
    page = open_page("20")
    everything = findings(page)
    page.fill("#host", "node-005")
    page.keyboard.press("Enter")
    page.wait_for_selector("#checks")
    assert page.text_content("#one-name") == "node-005: fail"
    assert not page.is_visible("#matrix")
    (host,) = (host for host in REPORTS["20"].hosts if host.host == "node-005")
    assert len(findings(page)) == sum(finding.counts for finding in host.findings)
    # on most hosts it is another file
    heading = page.locator("#findings .finding:visible h3", has_text="sysctl.ip-forward.boot")
    assert "no file sets it" in str(heading.text_content())
    lines = page.locator("#checks tr").all_inner_texts()
    assert [line.split()[0] for line in lines] == [check.id for check in CHECKS]
    assert "runtime.installed\tfail" in [line.strip() for line in lines]
    page.go_back()
    assert page.is_visible("#matrix")
    assert findings(page) == everything
    # by mouse, and back by the button
    page.locator("#matrix .name", has_text="node-003").click()
    page.wait_for_selector("#checks")
    page.click("#back")
    assert page.is_visible("#matrix")
    assert not page.locator("#checks").count()


def test_a_link_to_a_host(open_page: Open) -> None:
    page = open_page("20")
    page.evaluate("location.hash = 'host=node-002'")
    page.wait_for_selector("#checks")
    page.evaluate("location.hash = 'host=%E0%A4%A'")
    assert page.is_visible("#matrix")


def test_findings_come_first_and_alike_hosts_are_one_row(open_page: Open) -> None:
    page = open_page("500")
    first = page.locator(".finding").first.bounding_box()
    assert first is not None
    assert first["y"] < 400
    shown = str(page.locator(".finding > summary").first.inner_text())
    for part in ("sysctl.ip-forward.boot", "50 of 500 hosts", "Fix:", "lost at reboot"):
        assert part in shown
    assert page.locator("#findings > .finding").count() < 20
    assert page.locator("#matrix tbody tr").count() < 20
    states = page.locator("#matrix tbody tr").evaluate_all("all => all.map(r => r.dataset.state)")
    assert states == sorted(states, key=["fail", "unknown", "warn", "pass"].index)
    assert len(rows(page)) == 500


def text_of(sheet: pypdf.PageObject) -> str:
    # ligatures are letters again
    return " ".join(unicodedata.normalize("NFKC", sheet.extract_text()).split())


def test_what_is_printed(open_page: Open, tmp_path: Path) -> None:
    page = open_page("scattered")
    file = tmp_path / "page.pdf"
    for ticked in (False, True):
        page.set_checked("#all", ticked)
        page.pdf(path=file, prefer_css_page_size=True)
        pages = [text_of(sheet) for sheet in pypdf.PdfReader(file).pages]
        whole = " ".join(pages)
        # what the screen has behind a click
        assert page.locator(".finding:not([open]) .why").count() > 0
        for check in ("runtime.supported", "platform.linux"):
            (why,) = [one.why for one in CHECKS if one.id == check]
            assert " ".join(why.split())[:40] in whole
        # the rows go over several pages, and each of them says what the columns are
        matrix = pages[next(n for n, text in enumerate(pages) if "Hosts and checks" in text) :]
        matrix = matrix[: next(n for n, text in enumerate(matrix) if "Changes since" in text)]
        assert len(matrix) > 1
        for text in matrix[1:]:
            assert "machine.programs.optional" in text
        assert ("network.proxy" in matrix[-1]) == ticked


def test_it_works_without_a_script(open_page: Open) -> None:
    page = open_page("20", script=False)
    assert not page.is_visible("#filters")
    assert page.is_visible("text=lost at reboot: 0 at boot")
    assert page.locator("#matrix tbody tr:visible").count() == 7
    page.locator(".finding:has-text('runtime.supported') > summary").last.click()
    assert page.locator(".why:visible").count() >= 3
