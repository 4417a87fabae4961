"""What ``--dry --diff`` says is what is done: every file in /etc that a run changes was named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.end_to_end.breaks import CONFIG
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

HEAD = "from kubenode.operations import containerd, kernel\n"
DROP_IN = "/etc/systemd/system/containerd.service.d/50-site.conf"

# a package brings files of its own, and what its scripts make
_PACKAGE_MAKES = ("/etc/containerd/", "/etc/systemd/system/multi-user.target.wants/", "/etc/cni/")

# what is held is left alone by these too
_HELD = (
    "/etc/apt/apt.conf.d/52kubenode-containerd.conf",
    "/etc/needrestart/conf.d/kubenode-containerd.conf",
)


class Host:
    """A target, deploys of a few operations on it, and what they change in /etc."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self._folder = folder
        self._inventory = pyinfra_cli.write_inventory(folder / "inventory.py", [target.host()])

    def run(self, deploy: str, *options: str) -> pyinfra_cli.Result:
        path = self._folder / "deploy.py"
        path.write_text(HEAD + deploy)
        return pyinfra_cli.run(*options, self._inventory, path, cwd=self._folder)

    def etc(self) -> dict[str, str]:
        listed = self.target.sh(
            "find /etc -type f -exec sha256sum {} + ; find /etc -type l -printf '%l  %p\\n'"
        )
        return {line.split("  ", 1)[1]: line.split("  ")[0] for line in listed.splitlines()}

    def changes(self, deploy: str) -> tuple[str, set[str]]:
        """What a dry run says, and what the real run then changes."""
        before = self.etc()
        dry = self.run(deploy, "--dry", "--diff")
        assert dry.returncode == 0, dry.output
        assert self.etc() == before
        real = self.run(deploy, "-y")
        assert real.returncode == 0, real.output
        after = self.etc()
        changed = {path for path in before | after if before.get(path) != after.get(path)}
        # a backup's name is that of its file
        return dry.output, {path for path in changed if ".kubenode-backup" not in path}


@pytest.fixture(scope="module")
def host(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    with Fleet(docker_client, login_key) as fleet:
        yield Host(fleet.start("trixie"), tmp_path_factory.mktemp("host"))


BROKEN_SOURCE = "/etc/apt/sources.list.d/kubenode-test.list"


@pytest.fixture
def broken_source(host: Host, request: pytest.FixtureRequest) -> Iterator[None]:
    host.target.write(BROKEN_SOURCE, request.param)
    yield
    host.target.sh(f"rm -f {BROKEN_SOURCE}")


# the tests below build on one another, in this order, as the operations do


@pytest.mark.parametrize(
    "broken_source", ["deb http://127.0.0.1:9/none stable main\n"], indirect=True
)
def test_without_any_source_the_error_has_apts_words(host: Host, broken_source: None) -> None:
    host.target.sh(
        "mkdir /root/sources; mv /etc/apt/sources.list.d/* /root/sources/; "
        "if [ -e /etc/apt/sources.list ]; then mv /etc/apt/sources.list /root/; fi; "
        "rm -rf /root/lists; mv /var/lib/apt/lists /root/lists; mkdir -p /var/lib/apt/lists/partial"
    )
    host.target.write(BROKEN_SOURCE, "deb [signed-by=/nowhere.gpg] file:/nowhere stable main\n")
    result = host.run("containerd.installed()\n", "-y")
    host.target.sh(
        "mv -f /root/sources/* /etc/apt/sources.list.d/; "
        "if [ -e /root/sources.list ]; then mv /root/sources.list /etc/apt/; fi; "
        "rm -rf /var/lib/apt/lists; mv /root/lists /var/lib/apt/lists"
    )
    assert result.returncode == 1
    assert "file:/nowhere" in result.output
    assert "nable to locate package" in result.output or "no installation cand" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "broken_source", ["deb [trusted=yes] file:/nowhere/at/all stable main\n"], indirect=True
)
def test_a_broken_source_is_a_warning_and_the_package_comes(
    host: Host, broken_source: None
) -> None:
    status, _, error = host.target.try_sh("apt-get update")
    assert status == 100, error  # the control: apt itself fails
    said, changed = host.changes("containerd.installed()\n")
    assert {path for path in changed if not path.startswith(_PACKAGE_MAKES)} <= {
        "/etc/ld.so.cache",
        "/etc/init.d/containerd",
        "/etc/crictl.yaml",
        "/etc/mailcap",
        *_HELD,
    }, changed
    assert all(path in said for path in _HELD), said
    assert "install containerd with apt-get" in said
    assert "hold containerd" in said
    assert "dpkg" in host.target.sh("dpkg-query -W -f '${Status} dpkg' containerd")
    assert "containerd" in host.target.sh("apt-mark showhold")


@pytest.mark.parametrize("broken_source", ["deb file:/nowhere/at/all stable main\n"], indirect=True)
def test_the_warning_names_the_source(host: Host, broken_source: None) -> None:
    host.target.sh(
        "apt-mark -qq unhold containerd; apt-get purge -qq -y containerd >/dev/null; "
        "rm -rf /etc/containerd"
    )
    result = host.run("containerd.installed()\n", "-y")
    assert result.returncode == 0, result.output
    assert "file:/nowhere/at/all" in result.output
    assert "can be installed without it" in result.output


def _assert_all_named(said: str, changed: set[str]) -> None:
    assert changed
    assert not {path for path in changed if path not in said}, said


def test_sysctls_and_modules(host: Host) -> None:
    host.target.write("/etc/sysctl.d/zz-cis.conf", "net.ipv4.ip_forward = 0\n")
    host.target.write("/usr/lib/sysctl.d/zz-vendor.conf", "kernel.panic = 3\n")
    deploy = (
        'kernel.modules(modules=["overlay"])\n'
        'kernel.sysctls(values={"net.ipv4.ip_forward": 1, "kernel.panic": 10}, override=True)\n'
    )
    said, changed = host.changes(deploy)
    assert changed == {
        "/etc/modules-load.d/k8s.conf",
        "/etc/sysctl.d/k8s.conf",
        "/etc/sysctl.d/zz-cis.conf",
        "/etc/sysctl.d/zz-vendor.conf",
    }
    _assert_all_named(said, changed)
    host.target.sh("rm /etc/sysctl.d/zz-* /usr/lib/sysctl.d/zz-vendor.conf")


def test_configured_after_an_upgrade_of_the_unit(host: Host) -> None:
    """daemon-reload comes first, and what comes behind it is said all the same."""
    host.target.sh(f"sleep 1.1; rm -f /etc/crictl.yaml; mkdir -p {DROP_IN.rpartition('/')[0]}")
    host.target.write(DROP_IN, "[Service]\nEnvironment=A=b\n")
    state = host.target.sh("systemctl show -p NeedDaemonReload containerd")
    assert state.strip() == "NeedDaemonReload=yes"
    said, changed = host.changes('containerd.configured(cgroup_driver="systemd")\n')
    assert changed == {CONFIG, "/etc/crictl.yaml"}
    _assert_all_named(said, changed)
    assert "SystemdCgroup = true" in said
    assert "runtime-endpoint" in said


def test_running(host: Host) -> None:
    host.target.sh("systemctl disable -q --now containerd")
    said, changed = host.changes("containerd.running()\n")
    assert changed == {"/etc/systemd/system/multi-user.target.wants/containerd.service"}
    assert "enabled (links in /etc/systemd/system)" in said


TWICE: list[tuple[str, Any]] = [
    (
        'kernel.sysctls(values={"kernel.panic": 10})\n'
        'kernel.sysctls(values={"net.ipv4.conf.all.log_martians": 1})\n',
        ("twice for /etc/sysctl.d/k8s.conf", "kernel.panic", "net.ipv4.conf.all.log_martians"),
    ),
    (
        'kernel.modules(modules=["overlay"])\nkernel.modules(modules="overlay", present=False)\n',
        ("overlay twice", "present=True", "present=False"),
    ),
    (
        'containerd.configured()\ncontainerd.configured(cgroup_driver="cgroupfs")\n',
        ("'systemd'", "'cgroupfs'"),
    ),
]


@pytest.mark.parametrize(("deploy", "words"), TWICE, ids=["sysctls", "modules", "configured"])
def test_two_calls_that_undo_each_other_are_an_error(
    host: Host, deploy: str, words: tuple[str, ...]
) -> None:
    host.target.sh("rm -f /etc/sysctl.d/k8s.conf /etc/modules-load.d/k8s.conf")
    before = host.etc()
    dry = host.run(deploy, "--dry")
    assert host.etc() == before
    # without a look ahead (-y) pyinfra meets the second call when the first one has run
    real = host.run(deploy, "-y")
    changed = {path for path, now in host.etc().items() if before.get(path) != now}
    assert changed <= {"/etc/sysctl.d/k8s.conf", "/etc/modules-load.d/k8s.conf"}
    for result in (dry, real):
        assert result.returncode != 0
        said = " ".join(result.output.split())
        assert all(word in said for word in words), result.output
        assert "Traceback" not in result.output
    assert "log_martians" not in host.target.sh("cat /etc/sysctl.d/k8s.conf 2>/dev/null || true")


def test_calls_that_go_together_are_no_error(host: Host) -> None:
    deploy = (
        'kernel.sysctls(values={"kernel.panic": 10})\n'
        'kernel.sysctls(values={"net.ipv4.conf.all.log_martians": 1}, '
        'persist_file="/etc/sysctl.d/other.conf")\n'
        'for name in ["overlay", "overlay"]:\n    kernel.modules(modules=[name])\n'
        'containerd.configured()\ncontainerd.configured(pause_image="registry.k8s.io/pause:3.10")\n'
    )
    result = host.run(deploy, "-y")
    assert result.returncode == 0, result.output
    again = host.run(deploy, "-y")
    assert again.returncode == 0, again.output


def test_one_calls_keys_stay_after_another_run(host: Host) -> None:
    """The remedy for one key, as the audit prints it, after a deploy that set several."""
    host.target.sh("rm -f /etc/sysctl.d/k8s.conf")
    several = 'kernel.sysctls(values={"net.ipv4.ip_forward": 1, "kernel.panic": 10})\n'
    one = 'kernel.sysctls(values={"net.ipv4.ip_forward": 1})\n'
    assert host.run(several, "-y").returncode == 0
    text = host.target.read("/etc/sysctl.d/k8s.conf")
    assert host.run(one, "-y").returncode == 0
    assert host.target.read("/etc/sysctl.d/k8s.conf") == text
    exclusive = one.replace(")\n", ", exclusive=True)\n")
    said, changed = host.changes(exclusive)
    assert changed == {"/etc/sysctl.d/k8s.conf"}
    assert "kernel.panic = 10 is removed" in said
    assert "kernel.panic" not in host.target.read("/etc/sysctl.d/k8s.conf")


def test_registries_in_two_ways_are_refused_by_name(host: Host) -> None:
    """The daemon is up and CRI is dead: configured says where, and changes nothing."""
    text = host.target.read(CONFIG)
    registry = '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/certs"\n'
    mirror = '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\n'
    host.target.write(CONFIG, f"{text}\n{registry}{mirror}")
    host.target.sh("systemctl restart containerd; sleep 1")
    assert "error" in host.target.sh("ctr plugins ls | grep 'grpc.v1  *cri '")
    before = host.etc()
    result = host.run("containerd.configured()\n", "-y")
    assert result.returncode == 1
    lines = len(text.split("\n"))
    assert f"{CONFIG}:{lines + 3}:" in result.output
    assert "hosts.toml" in result.output
    assert host.etc() == before
    host.target.write(CONFIG, text)
    host.target.sh("systemctl restart containerd")
