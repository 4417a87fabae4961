"""Writing on real hosts: beside others who write, under any umask, where it cannot be done."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from kubenode.facts.containerd import ContainerdPackage
from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_containerd_on_targets import BACKUP, CONFIG
from tests.end_to_end.test_prepare import changes
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

DEPLOY = ROOT / "deploy.py"
LISTS_LOCK = "/var/lib/apt/lists/lock"

# a package whose configuration takes as long as /root/hold is there
SLOW_PACKAGE = """
mkdir -p /root/slow/DEBIAN
cat >/root/slow/DEBIAN/control <<END
Package: kubenode-slow
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: takes its time
END
cat >/root/slow/DEBIAN/postinst <<'END'
#!/bin/sh
while [ -e /root/hold ]; do sleep 0.2; done
END
chmod 755 /root/slow/DEBIAN/postinst
dpkg-deb --build /root/slow /root/slow.deb
"""


@dataclass(frozen=True)
class Prepared:
    """A node, and what the run said that made it one while dpkg was at work."""

    target: Target
    result: Result
    plain: tuple[int, str, str]
    fact: dict[str, Any]


@contextmanager
def holding(target: Target, lock: str, within: str = "") -> Iterator[None]:
    """Hold a lock as apt does, by fcntl(2): flock(1) takes another kind."""
    # on one line: it is an argument in quotes
    take = 'my $lock = pack("s s x![q] q q i", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLKW, $lock)'
    target.sh(
        f"touch /root/hold; setsid {within} perl -MFcntl -e '"
        f'open(F, ">>", "{lock}") or die; {take} or die; '
        'open(G, ">", "/root/holds"); print G $$; close(G); select(undef, undef, undef, 0.2) '
        'while -e "/root/hold"\' >/dev/null 2>&1 & '
        "until [ -s /root/holds ]; do sleep 0.1; done"
    )
    try:
        yield
    finally:
        # the next look may come before it has seen that it should end
        target.sh(
            "rm -f /root/hold; read -r pid </root/holds || :; rm /root/holds; "
            "while [ -e /proc/$pid ]; do sleep 0.1; done"
        )


@pytest.fixture(scope="module")
def prepared(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prepared]:
    """A host that became a node while dpkg was at work, and then another process held apt's lists.

    The slow package is held for some seconds of the run; a plain ``dpkg`` fails meanwhile.
    """
    folder = tmp_path_factory.mktemp("node")
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh(SLOW_PACKAGE)
        target.sh("touch /root/hold; setsid dpkg -i /root/slow.deb >/root/dpkg.log 2>&1 &")
        target.sh("until grep -q 'Setting up' /root/dpkg.log; do sleep 0.1; done")
        plain = target.try_sh("apt-mark hold base-files")
        hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [target.host()])
        fact = pyinfra_cli.run(
            "--json", hosts, "fact", "kubenode.facts.containerd.ContainerdPackage", cwd=folder
        ).json()["kubenode.facts.containerd.ContainerdPackage"]
        # this machine may be slow: the run has come to where it waits, and says so for some seconds
        until = "until pgrep -fx 'sleep 1' >/root/waits; do sleep 0.2; done"
        target.sh(f'setsid sh -c "{until}; sleep 4; rm /root/hold" >/dev/null 2>&1 &')
        result = pyinfra_cli.run("-y", "-vvv", hosts, DEPLOY, cwd=folder)
        assert result.returncode == 0, result.output
        yield Prepared(target, result, plain, fact[target.host()[0]])


@pytest.fixture
def node(prepared: Prepared) -> Target:
    return prepared.target


def test_dpkg_at_work_is_waited_for_and_not_called_interrupted(prepared: Prepared) -> None:
    target = prepared.target
    assert prepared.plain[0] != 0, "control: a plain apt-mark fails meanwhile"
    assert prepared.fact["dpkg_interrupted"] is False
    assert prepared.fact["dpkg_at_work"].endswith(" dpkg")
    assert "wait for process" in prepared.result.output
    assert "waits for process" in prepared.result.output
    assert "dpkg was interrupted" not in prepared.result.output
    assert target.sh("apt-mark showhold") == "containerd\n"
    assert target.sh("dpkg-query -W -f '${Status}' kubenode-slow") == "install ok installed"


def test_what_dpkg_left_half_done_is_interrupted_when_nobody_is_at_work(prepared: Prepared) -> None:
    """Control of the test above: without a process that holds the lock it is what it was called."""
    target = prepared.target
    target.sh("touch /var/lib/dpkg/updates/0001")
    try:
        with holding(target, "/var/lib/dpkg/lock-frontend"):
            at_work = _package_fact(target)
        at_rest = _package_fact(target)
    finally:
        target.sh("rm -f /var/lib/dpkg/updates/0001")
    assert (at_work["dpkg_interrupted"], at_work["dpkg_at_work"].split()[1]) == (False, "perl")
    assert (at_rest["dpkg_interrupted"], at_rest["dpkg_at_work"]) == (True, None)


def test_what_dpkg_has_unpacked_in_part_is_installed_again_and_held(
    prepared: Prepared, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """As the kill loop left it: apt-get calls it the newest version, and installs nothing."""
    target = prepared.target
    target.sh(
        "sed -i '/^Package: containerd$/,/^$/s/^Status: .*/Status: hold reinstreq half-installed/' "
        "/var/lib/dpkg/status; rm /usr/bin/containerd /usr/lib/systemd/system/containerd.service"
    )
    assert target.sh("dpkg-query -W -f '${db:Status-Abbrev}' containerd") == "hHR"
    assert "newest" in target.sh("apt-get -s install containerd"), "control: apt does nothing"
    result = run_pyinfra("-y", inventory(target.host()), ROOT / "deploy.py")
    assert result.returncode == 0, result.output
    assert target.sh("dpkg-query -W -f '${db:Status-Abbrev}' containerd") == "hi "
    assert target.sh("systemctl is-active containerd") == "active\n"


def test_a_container_with_an_apt_of_its_own_stops_nobody(prepared: Prepared) -> None:
    """It has locks of the same names, which are other files: its pod could hold them for ever."""
    target = prepared.target
    target.sh("touch /root/other")
    mount = f"mount --bind /root/other {LISTS_LOCK}"
    with holding(target, LISTS_LOCK, f"unshare -m sh -c '{mount} && exec \"$@\"' sh"):
        names = target.sh("ls -l /proc/[0-9]*/fd 2>/dev/null")
        assert f" -> {LISTS_LOCK}\n" in names, "control: it looks like the host's lock"
        assert _package_fact(target)["dpkg_at_work"] is None
    with holding(target, LISTS_LOCK):
        assert _package_fact(target)["dpkg_at_work"].split()[1] == "perl"


def _package_fact(target: Target) -> Any:
    fact = ContainerdPackage()
    return fact.process(target.sh(fact.command()).splitlines())


def test_apts_other_locks_are_waited_for_too(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    node.sh("apt-mark unhold containerd && apt-get remove -y containerd")
    hosts = inventory(node.host())
    with holding(node, LISTS_LOCK):
        code, _, error = node.try_sh("apt-get update")
        assert code != 0, "control: a plain update fails meanwhile"
        assert "Could not get lock" in error
        node.sh("setsid sh -c 'sleep 8; rm /root/hold' >/dev/null 2>&1 &")
        result = run_pyinfra("-y", "-vvv", hosts, DEPLOY)
    assert result.returncode == 0, result.output
    assert "perl, which changes packages" in result.output
    again = run_pyinfra("-y", hosts, DEPLOY)
    assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output


def test_an_umask_of_000_opens_nothing(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """As by sudo's umask_override: whoever may write a directory may replace what is in it."""
    node.write("/etc/sudoers.d/umask", "Defaults umask=0000, umask_override\n")
    assert node.sh("sudo -n sh -c 'umask; mkdir /root/control'", user="operator") == "0000\n"
    assert node.sh("stat -c %a /root/control") == "777\n"
    node.sh("rm -rf /etc/containerd /etc/sysctl.d/k8s.conf* /etc/modules-load.d /run/kubenode")
    try:
        hosts = inventory(node.host_over_ssh("operator"))
        result = run_pyinfra("-y", "--sudo", hosts, DEPLOY)
    finally:
        node.sh("rm /etc/sudoers.d/umask; rmdir /root/control")
    assert result.returncode == 0, result.output
    assert node.sh(f"stat -c %a {CONFIG} /etc/containerd /etc/modules-load.d /run/kubenode") == (
        "644\n755\n755\n700\n"
    )
    opened = "find /etc /run/kubenode -newer /etc/sysctl.d/k8s.conf -perm -002 ! -type l"
    assert node.sh(f"{opened}; find /etc -name '*kubenode*' -perm -002") == ""


@contextmanager
def bound(target: Target, path: str) -> Iterator[None]:
    """A file that can be written to and not be replaced, as one with chattr +i cannot."""
    target.sh(f"mount --bind {path} {path}")
    try:
        yield
    finally:
        target.sh(f"umount {path}")


def test_a_file_that_cannot_be_replaced_is_called_what_it_is(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    name, data = node.host()
    hosts = inventory((name, {**data, "kubenode_pause_image": "registry.k8s.io/pause:3.99"}))
    before = node.read(CONFIG)
    with bound(node, CONFIG):
        result = run_pyinfra("-y", hosts, DEPLOY)
        assert node.read(CONFIG) == before
    assert result.returncode == 1
    assert f"cannot replace {CONFIG} (mv: " in result.output
    assert "the old configuration is back" in result.output
    assert node.sh("ls -A /etc/containerd | grep -v backup; systemctl is-active containerd") == (
        "config.toml\nactive\n"
    )
    assert run_pyinfra("-y", hosts, DEPLOY).returncode == 0
    assert node.pause_image() == "registry.k8s.io/pause:3.99"
    assert run_pyinfra("-y", inventory(node.host()), DEPLOY).returncode == 0


@pytest.fixture
def sysctls_deploy(tmp_path: Path) -> Path:
    deploy = tmp_path / "sysctls.py"
    deploy.write_text(
        "from pyinfra import host\n"
        "from kubenode.operations import kernel\n"
        "kernel.sysctls(\n"
        '    values={"net.ipv4.conf.lo.tag": host.data.get("tag", 5)},\n'
        '    persist_file="/etc/sysctl.d/tag.conf",\n'
        "    override=True,\n"
        ")\n"
    )
    return deploy


def test_a_sysctl_file_longer_than_an_argument_is_overridden(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, sysctls_deploy: Path
) -> None:
    late = "/etc/sysctl.d/zz-long.conf"
    line = "# " + "x" * 120 + "\n"
    node.sh(
        f"for number in $(seq 2000); do printf '# {'x' * 120}\\n'; done >{late}; "
        f"echo net.ipv4.conf.lo.tag=7 >>{late}; echo 7 >/proc/sys/net/ipv4/conf/lo/tag"
    )
    hosts = inventory(node.host())
    try:
        result = run_pyinfra("-y", hosts, sysctls_deploy)
        assert result.returncode == 0, result.output
        assert node.read("/proc/sys/net/ipv4/conf/lo/tag") == "5\n"
        text = node.read(late)
        assert len(text) > 245_000
        assert text == line * 2000 + "# disabled by kubenode: net.ipv4.conf.lo.tag=7\n"
        assert node.read(f"{late}.kubenode-backup") == line * 2000 + "net.ipv4.conf.lo.tag=7\n"
        again = run_pyinfra("-y", hosts, sysctls_deploy)
        assert "Success" not in again.output.partition("Results")[0], again.output
    finally:
        node.sh(f"rm -f {late}* /etc/sysctl.d/tag.conf*")


def test_a_sysctl_file_that_cannot_be_staged_leaves_the_value(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, sysctls_deploy: Path
) -> None:
    node.sh("echo 7 >/proc/sys/net/ipv4/conf/lo/tag; mount -t tmpfs -o ro none /etc/sysctl.d")
    hosts = inventory(node.host())
    try:
        result = run_pyinfra("-y", hosts, sysctls_deploy)
        assert result.returncode == 1
        assert "cannot write beside /etc/sysctl.d/tag.conf: nothing was changed" in result.output
        assert node.read("/proc/sys/net/ipv4/conf/lo/tag") == "7\n"
    finally:
        node.sh("umount /etc/sysctl.d")
    assert run_pyinfra("-y", hosts, sysctls_deploy).returncode == 0
    assert node.read("/proc/sys/net/ipv4/conf/lo/tag") == "5\n"
    node.sh("rm -f /etc/sysctl.d/tag.conf*")


@pytest.mark.parametrize("has_flock", [True, False], ids=["flock", "link"])
def test_two_controllers_at_once_lose_nothing(
    node: Target, tmp_path: Path, has_flock: bool
) -> None:
    """Each ends with its value, or says that the other one was there; the next run converges."""
    name, data = node.host()
    images = [f"registry.k8s.io/pause:3.{number}" for number in (5, 6)]

    def run(image: str) -> Result:
        folder = tmp_path / image.rpartition(".")[2]
        folder.mkdir(exist_ok=True)
        hosts = pyinfra_cli.write_inventory(
            folder / "inventory.py", [(name, {**data, "kubenode_pause_image": image})]
        )
        return pyinfra_cli.run("-y", hosts, DEPLOY, cwd=folder)

    if not has_flock:
        node.sh("mv /usr/bin/flock /root/")
    try:
        for round_ in range(2):
            node.sh(f"rm -f {BACKUP}*")
            before = node.read(CONFIG)
            with ThreadPoolExecutor(2) as pool:
                results = list(pool.map(run, images))
            text = node.read(CONFIG)
            kept = node.sh(f"cat {BACKUP}*")
            succeeded = 0
            for image, result in zip(images, results, strict=True):
                if result.returncode == 0:
                    succeeded += 1
                    # it was there, whether or not the other one came after
                    assert image in text or image in kept, (round_, result.output)
                else:
                    assert "run again" in result.output, (round_, result.output)
            assert succeeded >= 1, [result.output for result in results]
            assert sum(image in text for image in images) == 1
            assert before in kept
            assert node.sh("find /etc -name '.*.kubenode*' -o -name '*.kubenode-unproven'") == ""
            assert node.sh("ls /run/kubenode | grep -v '^owner$\\|^lock$' || true") == ""
            last = run(images[round_ % 2])
            assert last.returncode == 0, last.output
            assert images[round_ % 2] in node.read(CONFIG)
            node.cri().version()
    finally:
        if not has_flock:
            node.sh("mv /root/flock /usr/bin/")
