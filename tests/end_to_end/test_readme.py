"""The README's commands, files and transcripts, run as they stand there on fresh hosts."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

README = (ROOT / "README.md").read_text()

BLOCKS: list[tuple[str, str, str]] = [
    (found["title"].strip(), block["kind"], block["text"])
    for found in re.finditer(r"^## (?P<title>.+)\n(?P<body>(?:(?!^## ).*\n?)*)", README, re.M)
    for block in re.finditer(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```", found["body"], re.M | re.S)
]


def blocks(title: str, kind: str) -> list[str]:
    return [text for own, its_kind, text in BLOCKS if (own, its_kind) == (title, kind)]


def commands(title: str) -> list[str]:
    """The commands of a section, without their comments."""
    lines = (
        line.partition(" #")[0].strip()
        for text in blocks(title, "sh")
        for line in text.splitlines()
    )
    return [line for line in lines if line]


def run(command: str, folder: Path, codes: tuple[int, ...] = (0,)) -> str:
    """Run a command line of the README in a folder; all it prints."""
    finished = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NO_COLOR": "1",
            "COLUMNS": "120",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert finished.returncode in codes, f"{command}: {finished.returncode}\n{finished.stdout}"
    return finished.stdout


def write_files(folder: Path, *targets: Target) -> None:
    """The two files of "Make nodes", with targets in the place of the hosts in them."""
    for text in blocks("Make nodes", "python"):
        name = re.match(r"# (\S+\.py)\n", text)
        assert name
        hosts = repr([target.host() for target in targets])
        (folder / name[1]).write_text(re.sub(r"^hosts = .*$", f"hosts = {hosts}", text, flags=re.M))


def compare(transcript: str, output: str, target: Target) -> None:
    """Each line of a transcript is in the output, in their order."""
    lines = iter(
        line.rstrip() for line in output.replace(f"docker/{target.name}", "NODE").splitlines()
    )
    shown = re.sub(r"\bnode-1\b", "@NODE", transcript)
    for line in shown.splitlines():
        if line.strip() != "...":
            assert line.rstrip() in lines, f"{line}\nis not in\n{output}"


@pytest.fixture
def fresh(targets: Fleet) -> Target:
    return targets.start("trixie")


def test_from_a_fresh_host_to_its_audit(fresh: Target, tmp_path: Path) -> None:
    write_files(tmp_path, fresh)
    dry, deploy, audit = commands("Make nodes")[:3]
    assert "create /etc/sysctl.d/k8s.conf" in run(dry, tmp_path)
    assert not fresh.sh("ls /etc/sysctl.d /etc/modules-load.d | grep k8s || true")
    run(deploy, tmp_path)
    run(audit, tmp_path)
    # the sentence below the commands
    (without_file,) = re.findall(r"`(pyinfra -y inventory.py kubenode.node.prepare)`", README)
    assert "No change" in run(f"{without_file} -v", tmp_path)
    # findings of a target, or of a release it is not ready for, are no failure of the command
    for command in commands("Audit"):
        run(command, tmp_path, (0, 1))
    assert "<html" in (tmp_path / "audit.html").read_text()


def test_the_transcripts_are_what_is_printed(fresh: Target, tmp_path: Path) -> None:
    write_files(tmp_path, fresh)
    fresh.write("/etc/sysctl.d/zz-cis.conf", "# CIS 3.1.1\nnet.ipv4.ip_forward=0\n")
    refused, overridden = blocks("What it does", "console")
    (audited,) = blocks("Audit", "console")
    for transcript, codes in ((refused, (1,)), (overridden, (0,))):
        command, _, shown = transcript.removeprefix("$ ").partition("\n")
        compare(shown, run(command, tmp_path, codes), fresh)
    fresh.write("/etc/sysctl.d/zz-cis.conf", "# CIS 3.1.1\nnet.ipv4.ip_forward=0\n")
    command, _, shown = audited.removeprefix("$ ").partition("\n")
    compare(shown, run(command, tmp_path, (1,)), fresh)


def test_the_operations_in_another_deploy(fresh: Target, tmp_path: Path) -> None:
    write_files(tmp_path, fresh)
    (text,) = blocks("In your own deploy", "python")
    (tmp_path / "deploy.py").write_text(text)
    run("pyinfra -y inventory.py deploy.py", tmp_path)
    assert fresh.sh("systemctl is-active chrony containerd") == "active\nactive\n"
    assert fresh.cri().systemd_cgroup() == {"runc": True}
    assert fresh.sh("cat /proc/sys/net/core/somaxconn") == "16384\n"
    again = run("pyinfra -y -v inventory.py deploy.py", tmp_path)
    # apt-get update is a change to pyinfra
    assert "] Success" not in again.partition("Starting operation: kernel.modules")[2]


def test_ci_runs_the_demo_and_the_tests() -> None:
    ours = [command for command in commands("Make nodes") if command.startswith("make ")]
    assert sorted(ours) == ["make demo", "make test"]
    for command in ours:
        assert f"{command}\n" in (ROOT / ".ci" / "run").read_text()


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
