"""The audit of a fleet in which some hosts are down, hang, or are hostile."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import RunPyinfra, WriteInventory
from tests.targets import kubenode_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

SCRIPT = "<script>document.title='owned'</script>"

# A host that means harm can seal what it likes, as any program can that it runs.
SEALED = r"""
said=$(cat); answer=$(printf '%s\n' "$said" | sed '1,/^%answer /d')
set -- $(printf '%s\n' "$said" | grep '^%answer ')
printf '%%answer %s %s\n%s\n' "$2" "$(printf %s "$answer" | cksum)" "$answer"
"""

# Login shells of hosts that mean harm; a shell gets `-c COMMAND`.
HOSTILE = {
    "flood-of-lines": "yes '%value kernel Linux' | head -c 100000000",
    "flood-without-a-line-end": "head -c 100000000 /dev/zero | tr '\\0' x",
    "flood-inside-a-probe": "echo '%begin platform'; yes '|x' | head -c 100000000",
    "binary-junk": "head -c 300000 /dev/urandom",
    "nothing": "exit 0",
    "another-exit-code": "exit 7",
    "a-part-of-the-answer": 'exec sh -c "$2" | head -c 3000',
    "a-probe-twice": 'sh -c "$2"; sh -c "$2"',
    "escape-sequences": (
        r"""escape=$(printf '\033]0;owned\007'); """
        r"""sh -c "$2" | sed "s/^\(%value [a-z_]*\) .*/\1 $escape/" | {"""
        f"{SEALED}}}"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_host_is_unknown_alone(
    kind: str, targets: Fleet, inventory: WriteInventory
) -> None:
    target = targets.start(init="sshd")
    hosts = inventory(target.host(), become(target, HOSTILE[kind]))
    memory = peak_kib(hosts)

    audit = kubenode_cli.audit(hosts)
    assert audit.result.returncode == 2
    good, bad = audit.host(target.host()[0]), audit.host("hostile")
    assert good["error"] is None
    unknown = [finding for finding in bad["findings"] if finding["state"] == "unknown"]
    assert bad["error"] or unknown, bad
    assert not [finding for finding in bad["findings"] if finding["state"] == "pass"]
    assert memory < 400 * 1024, "the answer of one host fills the controller's memory"


def become(target: Target, shell: str, user: str = "operator") -> tuple[str, dict[str, str]]:
    """Give a user of the target this login shell; the target in an inventory as that user."""
    target.write("/usr/local/bin/hostile", f"#!/bin/sh\n{shell}\n")
    target.sh(f"chmod 755 /usr/local/bin/hostile; usermod -s /usr/local/bin/hostile {user}")
    return "hostile", target.host_over_ssh(user)[1]


def peak_kib(hosts: Path) -> int:
    """The most memory an audit of these hosts takes."""
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,"
        " stderr=subprocess.DEVNULL, timeout=300)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-m", "kubenode", "audit", str(hosts)]
    ran = subprocess.run(
        [sys.executable, "-c", script, *command], check=True, capture_output=True, text=True
    )
    return int(ran.stdout)


def test_injections_in_every_field_are_text_in_every_format(
    targets: Fleet, inventory: WriteInventory, tmp_path: Path
) -> None:
    target = targets.start("trixie")
    # every short value, and every line of text, is what a page or a spreadsheet might run
    shell = (
        'sh -c "$2" | sed -e "s/^\\(%value [a-z_]*\\) .*/\\1 =cmd|$(cat /payload)/" '
        '-e "/^%text/,/^%done/s/^|.*/|=cmd $(cat /payload)/" '
        '-e "/^%lines/,/^%done/s/^|\\([^:]*\\):.*/|\\1:=cmd $(cat /payload)/" | {'
        f"{SEALED}}}"
    )
    target.write("/payload", SCRIPT.replace("/", "\\/"))
    hosts = inventory(become(target, shell))
    names = ("page.html", "report.json", "report.xml", "report.sarif", "report.md", "report.txt")
    outputs = [option for name in names for option in ("--output", str(tmp_path / name))]
    ran = kubenode_cli.run("audit", hosts, *outputs, cwd=tmp_path)
    assert ran.returncode == 2, ran.output
    assert "Traceback" not in ran.output

    written = {name: (tmp_path / name).read_text() for name in names}
    raw: Any = json.loads(written["report.json"])
    assert SCRIPT in json.dumps(raw, ensure_ascii=False).replace('\\"', '"'), "not an injection"
    assert SCRIPT not in written["page.html"]
    assert SCRIPT not in written["report.md"]
    ElementTree.fromstring(written["report.xml"])
    json.loads(written["report.sarif"])
    Parser().feed(written["page.html"])
    assert not re.search(r"^\s*[|*-]*\s*=cmd", written["report.md"], re.MULTILINE)
    for text in written.values():
        assert "\x1b" not in text


class Parser(HTMLParser):
    """Fails on an element that only a host's text could have made."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("iframe", "object", "embed", "img")
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_three_of_twenty_hosts_cannot_be_told(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    good = [targets.start(init="sshd") for _ in range(17)]
    hangs, garbage = targets.start(init="sshd"), targets.start(init="sshd")
    down = ("down", {**good[0].host_over_ssh("root")[1], "ssh_hostname": "192.0.2.1"})
    hosts = inventory(
        *(target.host_over_ssh("operator") for target in good),
        ("hangs", become(hangs, "sleep 600")[1]),
        ("garbage", become(garbage, HOSTILE["binary-junk"])[1]),
        down,
    )
    audit = kubenode_cli.audit(hosts, "--sudo", "--timeout", "20")
    assert audit.result.returncode == 2
    without = {host["host"] for host in audit.report["hosts"] if host["error"]}
    assert without == {"hangs", "garbage", "down"}
    for target in good:
        assert audit.findings(target.name)
    assert len(audit.report["hosts"]) == 20
