"""The kubenode command: what a caller's mistakes get, and what needs no host."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kubenode.audit.checks.catalogue import CHECKS
from kubenode.cli import MISTAKE
from tests.targets import kubenode_cli

ROOT = Path(__file__).parents[2]


def mistake(cwd: Path, *arguments: str) -> str:
    """What the command says of a mistake; one message, no traceback, nothing on stdout."""
    result = kubenode_cli.run(*arguments, cwd=cwd)
    assert result.returncode == MISTAKE, result.output
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return result.stderr


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.py"
    path.write_text('hosts = [("@local", {})]\n')
    return path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["audit"], "Missing argument"),
        (["audit", "hosts.py", "--for", "latest"], "not a Kubernetes release"),
        (["audit", "hosts.py", "--profile", "calico"], "bridge-cni"),
        (["audit", "hosts.py", "--format", "pdf"], "terminal"),
        (["audit", "hosts.py", "--output", "report.pdf"], "give --format"),
        (["audit", "hosts.py", "--output", "no/folder/a.html"], "no such folder"),
        (["audit", "hosts.py", "--baseline", "none.json"], "No such file"),
        (["audit", "hosts.py", "--baseline", "hosts.py"], "no kubenode-audit/1 report"),
        (["audit", "hosts.py", "--data", "x"], "KEY=VALUE"),
        (["audit", "hosts.py", "--limit", "nobody"], "--limit nobody: no host and no group"),
        (["audit", "hosts.py", "--limit", "@local", "--limit", "nobody"], "--limit nobody"),
        (["audit", "hosts.py", "--exclude", "@local"], "--exclude leaves no host"),
        (["audit", "missing.py"], "missing.py: there is no such file"),
        (["audit", "inventories/ssh"], "inventories/ssh: there is no such file"),
        (["audit", "hosts.ini", "--data", "ssh_hostname=127.0.0.1"], "there is no such file"),
        (["audit", "@local,missing.py"], "missing.py: there is no such file"),
        (["audit", "admin@host/hosts"], "there is no such file"),
        (["audit", "empty.py"], "there are no hosts in it"),
        (["audit", "hosts.py", "--group-data", "nowhere"], "nowhere: there is no such folder"),
        (["audit", "hosts.py", "--data", "kubenode_sysctls={"], "a valid dictionary"),
        (["audit", "broken.py"], "inventory broken.py"),
        (["audit", "nowhere.example.invalid"], "no hosts"),
        (["audit", "hosts.py", "--data", "kubenode_modulse=x"], "did you mean kubenode_modules"),
        (["audit", "waived.py"], "did you mean swap.boot"),
        (["audit", "undated.py"], 'a date such as "2027-01-31"'),
        (["audit", "ssh.py"], "ssh_port"),
        (["explain"], "name a check"),
        (["explain", "swap.bot"], "no such check: swap.bot. Did you mean swap.boot?"),
        (["explain", "containerd.installed"], "containerd.installed is now runtime.installed"),
        (["explain", "nope"], "no such check: nope. `kubenode checks` lists them all."),
        (["explain", "sysctls.ip-forward"], "Did you mean sysctl"),
        (["explain", "x.*"], "no such check: x.*."),
        (["exlpain"], "No such command"),
    ],
)
def test_mistakes(hosts: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "empty.py").write_text("hosts = []\n")
    (tmp_path / "broken.py").write_text("hosts = [1 / 0]\n")
    waivers = '{"swap.bot": {"reason": "x", "until": "2027-01-31"}}'
    (tmp_path / "waived.py").write_text(
        f'hosts = [("@local", {{"kubenode_waivers": {waivers}}})]\n'
    )
    waivers = '{"swap.boot": {"reason": "x", "until": "soon"}}'
    (tmp_path / "undated.py").write_text(
        f'hosts = [("@local", {{"kubenode_waivers": {waivers}}})]\n'
    )
    (tmp_path / "ssh.py").write_text('hosts = [("a", {"ssh_port": "many"})]\n')
    assert says in mistake(tmp_path, *arguments)


def begins(text: str) -> str:
    """The form of a report, by how it begins."""
    starts = {
        "<!DOCTYPE html>": "html",
        '{\n "schema"': "json",
        "<?xml": "junit",
        '{\n "$schema"': "sarif",
        "# Audit": "markdown",
        "1 host:": "terminal",
    }
    return next(form for start, form in starts.items() if text.startswith(start))


@pytest.mark.parametrize(
    ("options", "stdout", "files"),
    [
        ([], "terminal", {}),
        (["--format", "html"], "html", {}),
        (["--output", "x.json"], "terminal", {"x.json": "json"}),
        (
            ["--output", "x.json", "--output", "y.html", "--format", "html"],
            "terminal",
            {"x.json": "json", "y.html": "html"},
        ),
        (["--output", "x.HTML", "--format", "json"], "json", {"x.HTML": "html"}),
        (["--output", "x", "--format", "json"], "terminal", {"x": "json"}),
        (["--output", "x.sarif.json"], "terminal", {"x.sarif.json": "sarif"}),
        (["--output", "-"], "terminal", {}),
        (["--output", "-", "--format", "json"], "json", {}),
        (
            ["--output", "-", "--format", "json", "--output", "x", "--output", "y.md"],
            "json",
            {"x": "json", "y.md": "markdown"},
        ),
    ],
)
def test_each_output_is_of_its_own_form(
    hosts: Path, tmp_path: Path, options: list[str], stdout: str, files: dict[str, str]
) -> None:
    result = kubenode_cli.run("audit", "hosts.py", *options, cwd=tmp_path)
    assert result.returncode in (0, 1, 2), result.output
    assert begins(result.stdout) == stdout
    written = {path.name for path in tmp_path.iterdir()} - {"hosts.py"}
    assert {name: begins((tmp_path / name).read_text()) for name in written} == files


def test_piped_output_has_no_trailing_blanks(hosts: Path, tmp_path: Path) -> None:
    for arguments in (["audit", "hosts.py"], ["audit", "@local,@local"], ["checks"]):
        lines = kubenode_cli.run(*arguments, cwd=tmp_path).stdout.splitlines()
        assert lines
        assert [line for line in lines if line != line.rstrip()] == []


def test_explain_prints_a_page(tmp_path: Path) -> None:
    result = kubenode_cli.run("explain", "sysctl.ip-forward.boot", cwd=tmp_path)
    assert result.returncode == 0
    for part in ("# sysctl.ip-forward.boot", "kernel.sysctls", "systemd-sysctl", "source: <https"):
        assert part in result.stdout


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("sysctl", r"sysctl\..*"),
        ("sysctl.", r"sysctl\..*"),
        ("sysctl.*", r"sysctl\..*"),
        ("sysctl.ip-forward", r"sysctl\.ip-forward\.(live|boot)"),
        ("*.boot", r".*\.boot"),
    ],
)
def test_explain_lists_the_checks_of_a_topic(tmp_path: Path, name: str, pattern: str) -> None:
    result = kubenode_cli.run("explain", name, cwd=tmp_path)
    assert result.returncode == 0, result.output
    listed = [line.split()[0] for line in result.stdout.splitlines()]
    assert listed == [check.id for check in CHECKS if re.fullmatch(pattern, check.id)]


def test_checks_lists_them_all(tmp_path: Path) -> None:
    lines = kubenode_cli.run("checks", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [check.id for check in CHECKS]


def test_help_says_the_exit_codes(tmp_path: Path) -> None:
    text = " ".join(kubenode_cli.run("audit", "--help", cwd=tmp_path).stdout.split())
    assert re.search(r"0 all is right.* 1 findings, 2 .* 64", text)


def test_a_reader_that_has_seen_enough(hosts: Path) -> None:
    command = f"{sys.executable} -m kubenode explain --all | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout == "# Checks\n"
    assert done.stderr == ""


def test_an_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    # a host that accepts the connection and says nothing
    silent = socket.create_server(("127.0.0.1", 0))
    data = {"ssh_hostname": "127.0.0.1", "ssh_port": silent.getsockname()[1]}
    (tmp_path / "hosts.py").write_text(f'hosts = [("a", {data})]\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "kubenode", "audit", "hosts.py"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    silent.settimeout(30)
    silent.accept()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == "kubenode: interrupted\n"
    assert out == ""


def test_reports_go_through_what_is_no_file_and_links_stay(tmp_path: Path) -> None:
    device = tmp_path / "device"
    if os.geteuid() == 0:
        # of our own: what would replace it must not replace the machine's
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    else:
        device.symlink_to("/dev/null")
    kept = tmp_path / "kept.json"
    kept.write_text("old")
    kept.chmod(0o600)
    (tmp_path / "link.json").symlink_to("kept.json")
    outputs = [str(device), "/dev/stdout", str(tmp_path / "link.json"), str(tmp_path / "new.json")]
    options = [word for path in outputs for word in ("--output", path)]
    done = subprocess.run(
        [sys.executable, "-m", "kubenode", "audit", "@local", "--format", "json", *options],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        umask=0o027,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode in (0, 1, 2), done.stderr
    assert stat.S_ISCHR(device.stat().st_mode)
    report, end = json.JSONDecoder().raw_decode(done.stdout)
    assert "@local" in done.stdout[end:], "the table comes after the report"
    assert (tmp_path / "link.json").is_symlink()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o640
    assert json.loads(kept.read_text()) == report == json.loads((tmp_path / "new.json").read_text())
