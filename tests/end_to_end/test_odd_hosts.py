"""Hosts on which the obvious reading is wrong: devices, other programs, interrupted changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from kubenode.files.whole_file import sum_of
from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_containerd_on_targets import BACKUP, CNI, CONFIG, FOREIGN
from tests.end_to_end.test_prepare import changes
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

DEPLOY = ROOT / "deploy.py"
NOTE = f"{CONFIG}.kubenode-unproven"

# where nothing is stated trixie's containerd looks for CNI plugins in /usr/lib/cni alone
SWITCHED = FOREIGN.replace("SystemdCgroup = false", "SystemdCgroup = true") + CNI


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A prepared node; each test puts back what it bends."""
    folder = tmp_path_factory.mktemp("node")
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [target.host()])
        result = pyinfra_cli.run("-y", hosts, DEPLOY, cwd=folder)
        assert result.returncode == 0, result.output
        yield target


def test_a_device_is_no_configuration_and_is_not_replaced(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    node.sh(f"mv {CONFIG} /root/config && ln -s /dev/null {CONFIG}")
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 1
    assert f"cannot read {CONFIG}" in result.output
    node.sh("test -c /dev/null")
    node.sh(f"rm {CONFIG} && mv /root/config {CONFIG}")


def test_the_configuration_is_the_one_that_the_daemon_was_given(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """systemd shows arguments without their quotes; the running daemon knows better."""
    elsewhere = "/opt/my site/containerd.toml"
    node.write(elsewhere, FOREIGN)
    before = node.read(CONFIG)
    node.write(
        "/etc/systemd/system/containerd.service.d/site.conf",
        f'[Service]\nExecStart=\nExecStart=/usr/bin/containerd --config "{elsewhere}"\n',
    )
    node.sh("systemctl daemon-reload && systemctl restart containerd")
    assert set(node.cri().systemd_cgroup().values()) == {False}
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 0, result.output
    assert node.cri().systemd_cgroup() == {"runc": True, "nvidia": True}
    assert node.read(elsewhere) == SWITCHED
    assert node.read(CONFIG) == before

    node.sh("systemctl stop containerd")
    stopped = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert stopped.returncode == 1
    assert "cannot tell from containerd.service which configuration file" in stopped.output
    node.sh("rm -r /etc/systemd/system/containerd.service.d '/opt/my site'")
    node.sh("systemctl daemon-reload && systemctl restart containerd")


def test_a_program_outside_of_path_is_installed(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    node.sh("mkdir -p /opt/cd/bin && mv /usr/bin/containerd /usr/bin/ctr /opt/cd/bin/")
    node.write(
        "/etc/systemd/system/containerd.service.d/site.conf",
        "[Service]\nExecStart=\nExecStart=/opt/cd/bin/containerd\n",
    )
    node.sh(f"sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' {CONFIG}")
    node.sh("systemctl daemon-reload && systemctl restart containerd")
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 0, result.output
    assert changes(result.output)["Node | containerd is installed"] == (0, 0, 1)
    assert node.cri().systemd_cgroup() == {"runc": True}
    node.sh("mv /opt/cd/bin/* /usr/bin/ && rm -r /etc/systemd/system/containerd.service.d")
    node.sh("systemctl daemon-reload && systemctl restart containerd")


def test_without_ctr_nothing_is_restarted(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    node.sh("mv /usr/bin/ctr /root/")
    node.sh(f"sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' {CONFIG}")
    before = node.sh(f"systemctl show containerd -p MainPID; cat {CONFIG}")
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 1
    assert "ctr is missing" in result.output
    assert node.sh(f"systemctl show containerd -p MainPID; cat {CONFIG}") == before
    node.sh("mv /root/ctr /usr/bin/")


def interrupt(node: Target, old: str, new: str) -> None:
    """What a power cut leaves between the swap and CRI's answer."""
    node.sh(f"rm -f {BACKUP}*")
    node.write(BACKUP, old)
    node.write(CONFIG, new)
    sums = f"{sum_of(new.encode())} {sum_of(old.encode())}"
    node.write(NOTE, f"kubenode-unproven 2\n{sums} .kubenode-backup {CONFIG}\nend\n")
    node.try_sh("systemctl restart containerd")


def converges(node: Target, hosts: Path, run_pyinfra: RunPyinfra) -> str:
    """What a run says that makes the node one; the next one changes nothing."""
    result = run_pyinfra("-y", "-vvv", hosts, DEPLOY)
    assert result.returncode == 0, result.output
    assert node.try_sh(f"ls {NOTE}")[0] != 0
    again = run_pyinfra("-y", hosts, DEPLOY)
    assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output
    return result.output


DOES_NOT_START = 'state = "/proc/version"\nversion = 2\n'


def test_an_interrupted_change_begins_with_what_was_there_before(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    interrupt(node, FOREIGN, DOES_NOT_START)
    output = converges(node, inventory(node.host()), run_pyinfra)
    assert f"a change was interrupted: {CONFIG} as before it" in output
    assert "the old configuration is back" in output
    assert node.read(CONFIG) == SWITCHED
    assert node.read(BACKUP) == FOREIGN
    assert node.cri().systemd_cgroup() == {"runc": True, "nvidia": True}


def test_what_was_edited_after_an_interrupted_change_stays(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    interrupt(node, DOES_NOT_START, "# what the swap put there\n")
    edited = f"# the administrator was here\n{FOREIGN}"
    node.write(CONFIG, edited)
    output = converges(node, inventory(node.host()), run_pyinfra)
    assert f"a change was interrupted, and {CONFIG} was edited since: nothing of it is" in output
    assert node.read(CONFIG) == f"# the administrator was here\n{SWITCHED}"
    # what was before the swap, and what was before this run
    assert node.read(BACKUP) == DOES_NOT_START
    assert node.read(f"{BACKUP}.1") == edited


@pytest.mark.parametrize("kind", ["empty-backup", "no-backup", "empty-note", "old-note"])
def test_what_is_left_of_an_interrupted_change_empties_no_file(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, kind: str
) -> None:
    interrupt(node, DOES_NOT_START, FOREIGN)
    remains = {
        "empty-backup": f": >{BACKUP}",
        "no-backup": f"rm {BACKUP}",
        "empty-note": f": >{NOTE}",
        "old-note": f"echo {CONFIG} >{NOTE}",
    }
    node.sh(remains[kind])
    converges(node, inventory(node.host()), run_pyinfra)
    assert node.read(CONFIG) == SWITCHED
    assert node.cri().systemd_cgroup() == {"runc": True, "nvidia": True}


def test_a_daemon_that_hangs_does_not_hang_the_run(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    node.sh("mv /usr/bin/containerd /usr/bin/containerd.real")
    node.write("/usr/bin/containerd", "#!/bin/sh\nexec sleep 1000\n")
    node.sh("chmod 755 /usr/bin/containerd")
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 1
    assert "cannot tell containerd's version" in result.output
    node.sh("mv /usr/bin/containerd.real /usr/bin/containerd")
