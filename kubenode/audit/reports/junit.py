"""The audit as JUnit XML: what CI systems show as tests.

A host is a test suite, a check a test case. A fail is a ``failure``; an unknown is an ``error``,
since nobody knows whether the test would pass; a warn passes, with its text in ``system-out``, as
CI systems know no third colour. What is waived is ``skipped``. A check that does not apply is no
test case, as half of all cases would be noise; the suite has one property that names them.

Elements and attributes are those of the schema that Jenkins' xUnit plugin checks (junit-10.xsd).
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from kubenode.audit.findings import Finding, FleetReport, HostReport
from kubenode.run.printable import printable


def render(report: FleetReport) -> str:
    """The report as JUnit XML text."""
    root = ElementTree.Element("testsuites", name="kubenode audit")
    for host in report.hosts:
        _suite(root, host, report.created.strftime("%Y-%m-%dT%H:%M:%S"))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: ElementTree.Element, host: HostReport, created: str) -> None:
    suite = ElementTree.SubElement(
        root, "testsuite", name=_text(host.host), hostname=_text(host.host), timestamp=created
    )
    if host.error is not None:
        case = ElementTree.SubElement(suite, "testcase", classname="host", name="answers")
        ElementTree.SubElement(case, "error", message=_text(host.error), type="unknown")
    without_meaning = [
        finding.check for finding in host.findings if finding.state == "not-applicable"
    ]
    if without_meaning:
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(
            properties, "property", name="not applicable", value=_text(" ".join(without_meaning))
        )
    for finding in host.findings:
        if finding.state != "not-applicable":
            _case(suite, finding)
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("time", "0")
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(case.find(tag) is not None for case in cases)))


def _case(suite: ElementTree.Element, finding: Finding) -> None:
    topic = finding.check.partition(".")[0]
    case = ElementTree.SubElement(
        suite, "testcase", classname=_text(topic), name=_text(finding.check), time="0"
    )
    if finding.waiver is not None:
        reason = f"waived until {finding.waiver.until}: {finding.waiver.reason}"
        ElementTree.SubElement(case, "skipped", message=_text(f"{reason} ({finding.found})"))
    elif finding.state in ("fail", "unknown"):
        tag = "failure" if finding.state == "fail" else "error"
        element = ElementTree.SubElement(
            case, tag, message=_text(finding.found), type=finding.state
        )
        element.text = _details(finding)
    elif finding.state == "warn":
        ElementTree.SubElement(case, "system-out").text = f"WARN {_details(finding)}"


def _details(finding: Finding) -> str:
    lines = [f"found: {finding.found}", f"expected: {finding.expected}"]
    lines += [f"evidence: {evidence}" for evidence in finding.evidence]
    if finding.remedy:
        lines.append(f"remedy: {finding.remedy}")
    return "\n".join(_text(line) for line in lines)


def _text(text: str) -> str:
    # XML 1.0 has no way to write these at all
    return re.sub("[\ufffe\uffff]", "?", printable(text))
