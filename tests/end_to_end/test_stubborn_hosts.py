"""Hosts that say more than they are asked, or hang, or lack a program: unknown is never absent."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_containerd_on_targets import BACKUP, CONFIG, FOREIGN
from tests.end_to_end.test_prepare import changes
from tests.targets import kubenode_cli, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

DEPLOY = ROOT / "deploy.py"

NOISE = {
    "a-window-title": r"printf '\033]0;x\007'",
    "a-banner-and-a-line-without-end": r"echo 'Welcome!'; printf '%%begin shared\n%%end shared'",
    "what-looks-like-an-answer": r"printf '%%answer 0123456789abcdef 1 2\n%%absent /etc/fstab\n'",
    "a-trace": "exec 2>&1; set -x",
}


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A prepared node with another's configuration; each test puts back what it bends."""
    folder = tmp_path_factory.mktemp("node")
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.write(CONFIG, FOREIGN)
        hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [target.host()])
        result = pyinfra_cli.run("-y", hosts, DEPLOY, cwd=folder)
        assert result.returncode == 0, result.output
        yield target


@pytest.fixture(scope="module")
def known(node: Target, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the audit says of the node while nothing is wrong with it."""
    folder = tmp_path_factory.mktemp("known")
    hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [node.host_over_ssh("root")])
    states = verdicts(kubenode_cli.audit(hosts).host())
    assert len(states) > 40
    assert "unknown" not in states.values()
    return states


def verdicts(report: Any) -> dict[str, str]:
    assert report["error"] is None, report["error"]
    return {finding["check"]: finding["state"] for finding in report["findings"]}


def files(node: Target) -> str:
    """All that the deploy writes, with its times."""
    paths = f"{CONFIG} {BACKUP} /etc/sysctl.d/k8s.conf /etc/modules-load.d/k8s.conf"
    return node.sh(f"stat -c '%n %z' {paths}; cat {paths}")


def ours(node: Target) -> str:
    """What runs on the node that a command of a fact has started."""
    return node.try_sh("grep -al KUBENODE_LOOK=. /proc/[0-9]*/environ 2>/dev/null")[1]


def assert_nothing_runs(node: Target, seconds: float = 20) -> None:
    """All has ended, or does so soon: the sleep of a watch may outlive it by a limit's 10 s."""
    end = time.monotonic() + seconds
    while left := ours(node):
        assert time.monotonic() < end, node.try_sh("ps -ef")[1] + left
        time.sleep(0.2)


@contextmanager
def instead_of(node: Target, program: str, script: str | None) -> Iterator[None]:
    """Let a program of the node be this script, or missing."""
    node.sh(f"mv {program} {program}.real")
    try:
        if script is not None:
            node.write(program, f"#!/bin/sh\n{script}\n")
            node.sh(f"chmod 755 {program}")
        yield
    finally:
        node.sh(f"mv {program}.real {program}")


@pytest.mark.parametrize("noise", NOISE)
def test_what_a_login_shell_prints_changes_nothing(
    noise: str,
    node: Target,
    known: dict[str, str],
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
) -> None:
    hosts = inventory(node.host_over_ssh("root"))
    before = files(node)
    node.sh(f"cp /root/.bashrc /root/.bashrc.real; echo {shlex.quote(NOISE[noise])} >/root/.bashrc")
    try:
        assert verdicts(kubenode_cli.audit(hosts).host()) == known
        result = run_pyinfra("-y", hosts, DEPLOY)
    finally:
        node.sh("mv /root/.bashrc.real /root/.bashrc")
    assert result.returncode == 0, result.output
    assert set(changes(result.output).values()) == {(0, 0, 1)}, result.output
    assert files(node) == before


def test_noise_in_the_middle_of_an_answer_is_unknown_or_nothing(
    node: Target, known: dict[str, str], run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """A job in the background of a login shell prints while our command does."""
    hosts = inventory(node.host_over_ssh("root"))
    before = files(node)
    job = "(for n in $(seq 400); do printf x; sleep 0.005; done) &"
    node.sh(f"cp /root/.bashrc /root/.bashrc.real; echo {shlex.quote(job)} >/root/.bashrc")
    try:
        report = kubenode_cli.audit(hosts).host()
        result = run_pyinfra("-y", hosts, DEPLOY)
    finally:
        node.sh("mv /root/.bashrc.real /root/.bashrc")
    assert report["error"] or verdicts(report) == known
    done = changes(result.output).values()
    assert result.returncode != 0 or set(done) == {(0, 0, 1)}, result.output
    assert files(node) == before


@pytest.fixture(scope="module")
def shells(node: Target) -> Target:
    node.sh("apt-get install -y --no-install-recommends fish tcsh zsh >/dev/null 2>&1")
    return node


@pytest.mark.parametrize("shell", ["fish", "tcsh", "zsh", "dash"])
def test_facts_work_with_every_login_shell(
    shell: str,
    shells: Target,
    known: dict[str, str],
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
) -> None:
    hosts = inventory(shells.host_over_ssh("root"))
    shells.sh(f"usermod -s $(command -v {shell}) root")
    try:
        assert verdicts(kubenode_cli.audit(hosts).host()) == known
        result = run_pyinfra("-y", hosts, DEPLOY)
    finally:
        shells.sh("usermod -s /bin/bash root")
    assert result.returncode == 0, result.output
    assert set(changes(result.output).values()) == {(0, 0, 1)}, result.output


def test_fresh_hosts_become_nodes_through_fish_and_tcsh(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """What changes a host passes through them too; so does the file of a sudo password."""
    fresh = {shell: targets.start("bookworm") for shell in ("fish", "tcsh")}
    for shell, target in fresh.items():
        target.sh(
            "set -e; apt-get update >/dev/null\n"
            f"apt-get install -y --no-install-recommends {shell} >/dev/null 2>&1\n"
            f"for user in root stranger; do usermod -s $(command -v {shell}) $user; done\n"
            "echo stranger:secret | chpasswd\n"
            "echo 'stranger ALL=(ALL) ALL' >/etc/sudoers.d/stranger"
        )
    hosts = inventory(*(target.host_over_ssh("root") for target in fresh.values()))

    first = run_pyinfra("-y", hosts, DEPLOY)
    assert first.returncode == 0, first.output
    done = changes(first.output)
    for what in (
        "Kernel modules",
        "Sysctls",
        "containerd is installed",
        "containerd is configured",
    ):
        assert done[f"Node | {what}"] == (2, 0, 0), first.output
    for target in fresh.values():
        assert "net.ipv4.ip_forward" in target.read("/etc/sysctl.d/k8s.conf")
        assert target.sh("apt-mark showhold") == "containerd\n"
        assert target.cri().systemd_cgroup() == {"runc": True}

    again = run_pyinfra("-y", hosts, DEPLOY)
    assert set(changes(again.output).values()) == {(0, 0, 2)}, again.output

    for target in fresh.values():
        target.sh("rm /etc/sysctl.d/k8s.conf")
    over_ssh = [target.host_over_ssh("stranger") for target in fresh.values()]
    hosts = inventory(*((name, {**data, "_sudo_password": "secret"}) for name, data in over_ssh))
    by_sudo = run_pyinfra("-y", "--sudo", hosts, DEPLOY)
    assert by_sudo.returncode == 0, by_sudo.output
    assert changes(by_sudo.output)["Node | Sysctls"] == (2, 0, 0), by_sudo.output


@pytest.mark.parametrize(
    ("shell", "reason"),
    [
        ("/usr/sbin/nologin", "not available"),
        ("/root/menu", "its login shell ran nothing: it says 'Choose: 1) mail 2) quit'"),
    ],
)
def test_a_login_shell_that_runs_nothing_is_named(
    shell: str, reason: str, node: Target, known: dict[str, str], inventory: WriteInventory
) -> None:
    node.write("/root/menu", "#!/bin/sh\necho 'Choose: 1) mail 2) quit'\n")
    node.sh(f"chmod 755 /root/menu; usermod -s {shell} root")
    other = ("other", node.host_over_ssh("operator")[1])
    try:
        audit = kubenode_cli.audit(inventory(node.host_over_ssh("root"), other), "--sudo")
    finally:
        node.sh("usermod -s /bin/bash root")
    assert reason in str(audit.host(node.name)["error"])
    assert audit.host("other")["error"] is None


HANGS = "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done"


@pytest.mark.parametrize("timeout", [True, False], ids=["timeout", "no-timeout"])
def test_a_dump_that_does_not_end_is_ended(
    timeout: bool, node: Target, known: dict[str, str], inventory: WriteInventory
) -> None:
    """It takes no notice of TERM, and has started another that holds its output open."""
    hosts = inventory(node.host_over_ssh("root"))
    script = f'case $* in *dump*) {HANGS};; esac; exec /usr/bin/containerd.real "$@"'
    without = instead_of(node, "/usr/bin/timeout", None)
    with instead_of(node, "/usr/bin/containerd", script):
        if timeout:
            audit = kubenode_cli.audit(hosts)
        else:
            with without:
                audit = kubenode_cli.audit(hosts)
    finding = audit.findings()["runtime.config-readable"]
    assert "containerd config dump did not end in 10 s" in finding["found"], finding
    states = verdicts(audit.host())
    # the dump says where images are, too
    of_the_dump = (
        "runtime", "containerd", "crictl", "cgroup", "kubelet",
        "machine.disk", "machine.inodes", "machine.mount-options", "machine.file-system",
    )  # fmt: skip
    assert {check for check in known if states[check] != known[check]} <= {
        check for check in known if check.startswith(of_the_dump)
    }
    assert_nothing_runs(node)


def test_a_dump_without_end_is_cut(node: Target, inventory: WriteInventory) -> None:
    hosts = inventory(node.host_over_ssh("root"))
    script = 'case $* in *dump*) exec yes "[plugins]";; esac; exec /usr/bin/containerd.real "$@"'
    with instead_of(node, "/usr/bin/containerd", script):
        finding = kubenode_cli.audit(hosts).findings()["runtime.config-readable"]
    assert "prints more than 256 KiB" in finding["found"], finding
    assert_nothing_runs(node)


def test_a_systemd_that_does_not_answer_makes_unknown_what_it_knows(
    node: Target, known: dict[str, str], run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    hosts = inventory(node.host())
    before = files(node)
    os.kill(node.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        states = verdicts(kubenode_cli.audit(hosts).host())
        assert time.monotonic() - start < 45
        result = run_pyinfra("-y", hosts, DEPLOY)
        assert_nothing_runs(node)
    finally:
        os.kill(node.pid, signal.SIGCONT)
    assert states["runtime.enabled"] == "unknown"
    assert states["machine.disk"] == "unknown"
    differ = {check: states[check] for check in known if states[check] != known[check]}
    fine = {check: now for check, now in differ.items() if now not in ("unknown", "not-applicable")}
    assert fine == {}
    assert result.returncode == 1, result.output
    assert files(node) == before


def test_what_runs_on_the_host_ends_with_the_controller(
    node: Target, inventory: WriteInventory
) -> None:
    hosts = inventory(node.host_over_ssh("root"))
    with instead_of(node, "/usr/bin/getent", HANGS):
        audit = subprocess.Popen(
            [sys.executable, "-m", "kubenode", "audit", str(hosts)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while "getent" not in node.try_sh("ps -ef")[1]:
            time.sleep(0.1)
            assert audit.poll() is None
        assert ours(node)
        audit.kill()
        audit.wait()
        assert_nothing_runs(node, seconds=6)


@pytest.mark.parametrize("program", ["find", "grep", "base64", "sort", "systemctl"])
def test_a_program_that_is_missing_is_named_and_nothing_is_taken_for_absent(
    program: str,
    node: Target,
    known: dict[str, str],
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
) -> None:
    hosts = inventory(node.host_over_ssh("root"))
    before = files(node)
    path = node.sh(f"readlink -f $(command -v {program})").strip()
    with instead_of(node, path, None):
        audit = kubenode_cli.audit(hosts).host()
        result = run_pyinfra("-y", hosts, DEPLOY)
    assert files(node) == before
    said = str(audit)
    assert f"`{program}` is missing on the host" in said or f"{program} is missing" in said
    if audit["error"] is None:
        states = verdicts(audit)
        assert {states[check] for check in known if states[check] != known[check]} <= {"unknown"}
    if program != "sort":
        assert result.returncode == 1, result.output
        assert program in result.output
        assert "is missing on the host" in result.output


def test_a_clock_that_was_set_back_restarts_containerd_once(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    hosts = inventory(node.host())
    node.sh("touch -d '1 day' /run/containerd/containerd.sock")
    finding = kubenode_cli.audit(hosts).findings()["runtime.config-applied"]
    assert finding["state"] == "unknown"
    assert "clock was set back" in finding["found"]
    result = run_pyinfra("-y", hosts, DEPLOY)
    assert result.returncode == 0, result.output
    assert changes(result.output)["Node | containerd serves CRI"] == (1, 0, 0), result.output
    again = run_pyinfra("-y", hosts, DEPLOY)
    assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output


def test_posixly_correct_changes_nothing(
    node: Target, known: dict[str, str], inventory: WriteInventory
) -> None:
    hosts = inventory(node.host_over_ssh("root"))
    node.sh("cp /root/.bashrc /root/.bashrc.real; echo export POSIXLY_CORRECT=1 >/root/.bashrc")
    try:
        assert verdicts(kubenode_cli.audit(hosts).host()) == known
    finally:
        node.sh("mv /root/.bashrc.real /root/.bashrc")
