"""Proof that the audit only reads: a host is the same before and after, to the last time stamp."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.soak import loops
from tests.targets import image, kubenode_cli, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = [pytest.mark.targets, pytest.mark.soak]

# make soak has each suite
suites = pytest.mark.parametrize(
    "shared_target", loops.choice(["trixie"], image.SUITES), indirect=True
)

# Written all the time by a host's own services.
_VOLATILE = "/var/log/journal /run/log/journal /run/systemd/journal /run/systemd/timers"


def state_of(target: Target) -> set[str]:
    """Every file with its times, owner and size, the modules, sysctls, mounts and cgroups."""
    pruned = " -o ".join(f"-path {path}" for path in _VOLATILE.split())
    return set(
        target.sh(
            f"find / /run /tmp /dev/shm /var/lib/containerd -xdev \\( {pruned} \\) -prune -o "
            "-printf 'file %p %T@ %C@ %U %G %m %s %l\\n' 2>/dev/null\n"
            "sed 's/^/module /' /proc/modules 2>/dev/null\n"
            # of a kernel without loadable modules too
            "find /sys/module -maxdepth 1 -printf 'module %p\\n'\n"
            "grep -rs . /proc/sys/net /proc/sys/vm /proc/sys/kernel/panic* | sed 's/^/sysctl /'\n"
            "sed 's/^/mount /' /proc/self/mounts\n"
            "find /sys/fs/cgroup -type d -printf 'cgroup %p\\n'\n"
            "find /proc/sys/fs/binfmt_misc -maxdepth 0 -printf 'sysctl %p\\n'"
        ).splitlines()
    )


def changes(target: Target, act: Callable[[], object]) -> set[str]:
    """What differs after *act*: the paths and keys, without their values."""
    before = state_of(target)
    act()
    return {" ".join(line.split(" ")[:2]) for line in before ^ state_of(target)}


@pytest.fixture(scope="module")
def node(shared_target: Target, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A prepared node, one for all tests of a suite: they change nothing on it."""
    folder = tmp_path_factory.mktemp("node")
    hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [shared_target.host()])
    result = pyinfra_cli.run("-y", hosts, ROOT / "deploy.py", cwd=folder)
    assert result.returncode == 0, result.output
    return shared_target


@pytest.fixture
def settled(node: Target) -> Target:
    """A prepared node on which nothing of the preparation is going on any more."""
    # a sysctl that reading the state itself changes, or a timer, shows here and not in the test
    for _ in range(5):
        if not changes(node, lambda: node.sh("sleep 0.5")):
            return node
    pytest.fail("the target does not come to rest")


@suites
def test_as_root(settled: Target, inventory: WriteInventory) -> None:
    hosts = inventory(settled.host())
    assert changes(settled, lambda: kubenode_cli.audit(hosts)) == set()


@suites
def test_as_a_sudo_user_it_changes_what_logging_in_changes(
    settled: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    hosts = inventory(settled.host_over_ssh("operator"))

    def log_in() -> None:
        assert run_pyinfra("-y", "--sudo", hosts, "exec", "--", "true").returncode == 0

    log_in()
    by_login = changes(settled, log_in)
    audits = []
    by_audit = changes(settled, lambda: audits.append(kubenode_cli.audit(hosts, "--sudo")))
    assert audits[0].host()["error"] is None
    assert by_audit - by_login == set()


def test_the_deploy_itself_is_seen(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """Control: the comparison that proves nothing changed sees what a deploy changes."""
    target = targets.start()
    hosts = inventory(target.host())
    # Docker turns it on for its containers
    target.sh("sysctl -qw net.ipv4.ip_forward=0")
    seen = changes(target, lambda: run_pyinfra("-y", hosts, ROOT / "deploy.py"))
    assert {"file /etc/sysctl.d/k8s.conf", "file /etc/crictl.yaml"} <= seen
    assert any(line.startswith("sysctl ") for line in seen)
    assert any(line.startswith("cgroup ") for line in seen)
