"""A host that hangs or floods, in a deploy: it fails alone, in time; the others are prepared."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_audit_fleet import become
from tests.targets import kubenode_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

SECONDS = 10

# the limits as they are, but shorter
DEPLOY = f"""
from kubenode.wire import bounded

bounded.FACT_SECONDS = {SECONDS}

from kubenode.node import prepare

prepare()
"""

# Login shells; the host's own limits are no help against them.
FLOODS = {
    "lines": "exec yes",
    "no-line-end": "exec tr '\\0' x </dev/zero",
    "errors": "exec yes >&2",
}
HANGS = "trap '' TERM HUP; while :; do sleep 600; done"


@pytest.mark.parametrize("flood", FLOODS)
def test_a_deploy_goes_on_without_the_hosts_that_hang_or_flood(
    flood: str, targets: Fleet, inventory: WriteInventory, tmp_path: Path
) -> None:
    right = targets.start("bookworm")
    floods, hangs = targets.start(init="sshd"), targets.start(init="sshd")
    hosts = inventory(
        right.host(),
        ("floods", become(floods, FLOODS[flood])[1]),
        ("hangs", become(hangs, HANGS)[1]),
    )
    deploy = tmp_path / "deploy.py"
    deploy.write_text(DEPLOY)

    ran = measured("-m", "pyinfra", "-y", str(hosts), str(deploy), cwd=tmp_path)
    assert ran.returncode == 1, ran.output
    assert "Traceback" not in ran.output
    assert f"no end of a command within {SECONDS} s" in said_of("hangs", ran.output)
    assert "MiB or 200000 lines, so it was given up" in said_of("floods", ran.output)
    # that it ended at all is the bound: both hosts would go on for good
    assert ran.peak_kib < 400 * 1024, "the output of one host fills the controller's memory"
    # by paths of their own: the host that is right is a node, and the others' commands have ended
    assert right.cri().systemd_cgroup() == {"runc": True}
    assert floods.try_sh("pgrep -x 'yes|tr'")[0] == 1


def said_of(name: str, output: str) -> str:
    return "\n".join(line for line in output.splitlines() if line.strip().startswith(f"[{name}]"))


class Ran:
    """A finished process, and the memory it took."""

    def __init__(self, returncode: int, output: str, peak_kib: int) -> None:
        self.returncode = returncode
        self.output = output
        self.peak_kib = peak_kib


def measured(*arguments: str, cwd: Path) -> Ran:
    """Run Python so, with nobody there to answer."""
    with (cwd / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Ran(process.returncode, output.read(), peak(usage))


def peak(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss


def test_a_fact_alone_is_bounded_too(
    targets: Fleet, inventory: WriteInventory, tmp_path: Path
) -> None:
    floods = targets.start(init="sshd")
    hosts = inventory(("floods", become(floods, FLOODS["no-line-end"])[1]))
    ran = measured(
        "-m", "pyinfra", str(hosts), "fact", "kubenode.facts.node.Node", cwd=tmp_path
    )  # fmt: skip
    assert "so it was given up" in ran.output
    assert ran.peak_kib < 400 * 1024
    assert floods.try_sh("pgrep -x tr")[0] == 1


def test_what_is_given_up_ends_on_the_host_while_others_go_on(
    targets: Fleet, inventory: WriteInventory, tmp_path: Path
) -> None:
    floods, slow = targets.start(init="sshd"), targets.start(init="sshd")
    hosts = inventory(
        ("floods", become(floods, FLOODS["lines"])[1]),
        ("slow", become(slow, 'sleep 25; exec sh -c "$2"')[1]),
    )
    with (tmp_path / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pyinfra", str(hosts), "fact", "kubenode.facts.node.Node"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + 60
            while "so it was given up" not in (tmp_path / "output").read_text():
                assert time.monotonic() < deadline
                time.sleep(0.2)
            time.sleep(2)
            ended = floods.try_sh("pgrep -x yes")[0] == 1
            assert process.poll() is None, "pyinfra must still run, or this shows nothing"
            assert ended
        finally:
            process.kill()
            process.wait()


# ---- Who may not become root

REASONS: dict[str, tuple[str, str, str]] = {
    # what is done to the host, as which user, and what kubenode says of it
    "requiretty": (
        "echo 'Defaults requiretty' >/etc/sudoers.d/00-tty",
        "operator",
        "sudo runs from a terminal only here (requiretty)",
    ),
    "no-sudo": ("mv /usr/bin/sudo /usr/bin/was-sudo", "operator", "sudo is not installed"),
    "not-in-sudoers": (":", "stranger", "sudo wants a password, or does not let this user"),
    "one-command-only": (
        "echo 'stranger ALL=(ALL) NOPASSWD: /bin/true' >/etc/sudoers.d/stranger",
        "stranger",
        "sudo",
    ),
    "no-setuid": ("chmod u-s /usr/bin/sudo", "operator", "sudo cannot become root here"),
    "unsafe-sudoers": (
        "chmod 666 /etc/sudoers",
        "operator",
        "sudo cannot read its configuration",
    ),
}


@pytest.fixture(scope="module")
def shared(docker_client: Any, login_key: Any) -> Any:
    with Fleet(docker_client, login_key) as fleet:
        yield fleet.start(init="sshd")


@pytest.fixture
def sudo_host(shared: Target) -> Any:
    shared.sh("cp -a /etc/sudoers /etc/sudoers.d /root/")
    yield shared
    shared.sh(
        "[ ! -e /usr/bin/was-sudo ] || mv /usr/bin/was-sudo /usr/bin/sudo; chmod u+s /usr/bin/sudo;"
        "rm -r /etc/sudoers.d; cp -a /root/sudoers /root/sudoers.d /etc/; rm -r /root/sudoers*"
    )


@pytest.mark.parametrize("kind", REASONS)
def test_why_there_is_no_root_is_said_as_it_is(
    kind: str, sudo_host: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    change, user, reason = REASONS[kind]
    hosts = inventory(sudo_host.host_over_ssh(user))
    if user == "operator":
        good = kubenode_cli.audit(hosts, "--sudo")
        assert good.host()["error"] is None, "the control"
    sudo_host.sh(change)

    audit = kubenode_cli.audit(hosts, "--sudo")
    assert audit.result.returncode == 2
    assert reason in audit.host()["error"]

    deploy = run_pyinfra("-y", "--sudo", hosts, ROOT / "deploy.py")
    audited = run_pyinfra("-y", "--sudo", hosts, ROOT / "audit.py")
    for result in (deploy, audited):
        assert result.returncode == 1
        assert reason in result.output
        assert "Traceback" not in result.output
        if kind not in ("not-in-sudoers", "one-command-only"):
            assert "password" not in result.output
    assert "warn platform.root: commands run as uid" in audited.output


def test_su_is_not_taken_for_sudo(
    sudo_host: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    hosts = inventory(sudo_host.host_over_ssh("operator"))
    result = run_pyinfra("-y", "--su-user", "root", hosts, ROOT / "deploy.py")
    assert result.returncode == 1
    assert "su: Authentication failure" in result.output
    assert "sudo" not in result.output
    assert "Traceback" not in result.output
