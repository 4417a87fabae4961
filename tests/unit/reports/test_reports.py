"""Every format: right, complete, and safe against what hosts say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.checks.catalogue import CHECKS
from kubenode.checks.check import Evidence
from kubenode.findings import Change, Drift, Finding, FleetReport, HostReport
from kubenode.reports import FORMATS, format_of, json_report, printable
from tests.unit.reports.example import report

SCHEMA = Path(json_report.__file__).parent / "audit-1.schema.json"

NASTY = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror=alert(1)>',
    "[click](javascript:alert(1))",
    "=cmd|' /C calc'!A0",
    "]]><x>&amp;",
    "\x1b]0;owned\x07\x1b[31m",
    "‮evil‬",
    "a\x00b\nc\rd",
    "[red]rich[/red]",
    "| a | b |\n# heading",
    "{{ 7 * 7 }}",
    "</style></script><!--",
    "\ufffe\ud800",
)
TEXTS = st.sampled_from(NASTY) | st.text(st.characters(), min_size=1)


def hostile(text: str) -> FleetReport:
    """A report that says *text* wherever a host, or an inventory, says something."""
    finding = Finding(
        check="swap.boot",
        state="fail",
        severity="fail",
        expected=text,
        found=text,
        evidence=(Evidence(text, f"/etc/{text}", 1),),
        remedy=text,
        waiver_note=text,
    )
    return FleetReport(
        hosts=(HostReport(text, (finding,)), HostReport("b", error=text)),
        created=datetime(2026, 11, 24, tzinfo=UTC),
        kubenode_version="0",
        drift=(Drift("drift.kernel", text, text, {text: (text,)}, (text,)),),
        baseline=text,
        changes=(Change("new", text, text, text, text),),
        checks=CHECKS,
    )


class Tags(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


BENIGN = Tags(FORMATS["html"].render(hostile("x"))).found


@given(TEXTS)
def test_html_has_the_same_elements_whatever_hosts_say(text: str) -> None:
    assert Tags(FORMATS["html"].render(hostile(text))).found == BENIGN


@given(TEXTS)
def test_json_and_sarif_are_ascii_and_parse(text: str) -> None:
    for name in ("json", "sarif"):
        rendered = FORMATS[name].render(hostile(text))
        assert rendered.isascii()
        json.loads(rendered)


@given(TEXTS)
def test_junit_parses(text: str) -> None:
    root = ElementTree.fromstring(FORMATS["junit"].render(hostile(text)).encode())
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "1", "1")


@given(TEXTS)
def test_no_format_for_people_has_control_characters(text: str) -> None:
    for name in ("terminal", "markdown", "html"):
        rendered = FORMATS[name].render(hostile(text))
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", rendered)


@pytest.mark.parametrize("text", NASTY)
def test_markdown_neither_links_nor_calculates(text: str) -> None:
    rendered = FORMATS["markdown"].render(hostile(text))
    assert "<script" not in rendered
    assert "](javascript" not in rendered
    for cell in re.split(r"(?<!\\)\||^- \w+: |\*\*", rendered, flags=re.MULTILINE):
        assert not cell.strip().startswith(("=", "@")), cell


def test_the_terminal_shows_rich_markup_as_text() -> None:
    assert "[red]rich[/red]" in FORMATS["terminal"].render(hostile("[red]rich[/red]"))


@given(st.text(st.characters()))
def test_printable_text_is_one_printable_line(text: str) -> None:
    shown = printable.printable(text)
    assert shown.isprintable()
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_plain_text_stays(text: str) -> None:
    assert printable.printable(text) == text


def test_the_published_schema_is_the_one_of_the_code() -> None:
    made = json.dumps(json_report.json_schema(), indent=1) + "\n"
    assert SCHEMA.read_text() == made


@pytest.mark.parametrize("count", [1, 20])
def test_json_follows_its_schema(count: int) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(FORMATS["json"].render(report(count)))
    jsonschema.validate(document, schema, jsonschema.Draft202012Validator)
    document["hosts"][0]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema, jsonschema.Draft202012Validator)


def test_the_same_audit_gives_the_same_text() -> None:
    for form in FORMATS.values():
        assert form.render(report(20)) == form.render(report(20))


def test_json_counts() -> None:
    document = json.loads(FORMATS["json"].render(report(20)))
    assert document["summary"]["hosts"] == {"fail": 3, "unknown": 3, "warn": 14}
    assert sum(document["summary"]["findings"].values()) == 19 * len(CHECKS)


def test_junit_says_what_is_wrong_where() -> None:
    root = ElementTree.fromstring(FORMATS["junit"].render(report(20)))
    suites = {suite.get("name"): suite for suite in root}
    failure = suites["node-002"].find("testcase[@name='sysctl.ip-forward.boot']/failure")
    assert failure is not None
    assert "/etc/sysctl.d/zz-cis.conf:2" in str(failure.text)
    skipped = suites["node-002"].find("testcase[@name='cgroup.controllers']/skipped")
    assert skipped is not None
    assert "waived until 2027-01-31" in str(skipped.get("message"))
    assert suites["node-009"].find("testcase/error") is not None
    for suite in root:
        assert int(str(suite.get("tests"))) == len(suite)


def sarif() -> Any:
    return json.loads(FORMATS["sarif"].render(report(20)))["runs"][0]


def test_sarif_points_at_the_line() -> None:
    results = [result for result in sarif()["results"] if result["ruleId"] == "swap.boot"]
    (result,) = results
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "node-003/etc/fstab"
    assert place["region"]["startLine"] == 7
    assert result["level"] == "error"


def test_sarif_rules_suppressions_and_unreached_hosts() -> None:
    run = sarif()
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        # 2.1.0, 3.27.9: only a result of the kind "fail" has a level
        assert (result["kind"] == "fail") == (result["level"] != "none")
    waived = [result for result in run["results"] if result["ruleId"] == "cgroup.controllers"]
    assert all(result["suppressions"] for result in waived)
    assert run["invocations"][0]["executionSuccessful"] is False
    prints = [result["partialFingerprints"]["hostAndCheck/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("count", [1, 20, 500])
def test_the_terminal_fits_and_says_what_to_do(count: int) -> None:
    text = FORMATS["terminal"].render(report(count))
    assert max(map(len, text.splitlines())) <= 100
    assert f"{count} host" in text.splitlines()[0]
    assert "kubenode explain" in text
    if count == 500:
        assert len(text.splitlines()) < 400


def test_markdown_has_every_part() -> None:
    text = FORMATS["markdown"].render(report(20))
    for heading in ("# Audit", "## Findings", "## Waived", "## Drift", "## Changes since"):
        assert heading in text
    assert "/etc/sysctl.d/zz-cis.conf:2" in text


def test_html_needs_nothing_else() -> None:
    page = FORMATS["html"].render(report(20))
    assert "default-src 'none'" in unescape(page)
    assert not re.search(r"""(src|href)=["'](?!#)""", page)
    assert "sysctl.ip-forward.boot" in page


def test_html_links_lead_somewhere() -> None:
    page = FORMATS["html"].render(report(20))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.html", "html"),
        ("a.sarif", "sarif"),
        ("a.xml", "junit"),
        ("a.md", "markdown"),
        ("a", None),
    ],
)
def test_formats_by_suffix(path: str, name: str | None) -> None:
    assert format_of(path) == name


def test_an_empty_report_renders() -> None:
    for form in FORMATS.values():
        assert form.render(replace(report(1), hosts=(), drift=(), changes=()))
