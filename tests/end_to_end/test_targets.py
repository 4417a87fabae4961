"""The targets are what the other tests take them for."""

from __future__ import annotations

import time
from http.client import HTTPResponse
from pathlib import Path

import pytest
from docker import DockerClient

from tests.conftest import RunPyinfra, WriteInventory
from tests.targets import container
from tests.targets.container import Target
from tests.targets.daemon import TargetError
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

SYSTEMD = {"bookworm": 252, "trixie": 257}
# systemd in a testing suite moves on
FORKY_AT_LEAST = 258


def test_a_target_is_a_plain_minimal_systemd_host(shared_target: Target) -> None:
    target = shared_target
    assert target.read("/proc/1/comm").strip() == "systemd"
    assert target.sh("systemctl --failed --no-legend --plain") == ""
    version = int(target.sh("systemctl --version").split()[1])
    if target.suite in SYSTEMD:
        assert version == SYSTEMD[target.suite]
    else:
        assert version >= FORKY_AT_LEAST
    assert target.sh("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"
    assert target.sh("hostname").strip() == target.name
    assert target.try_sh("command -v python3 || command -v containerd || command -v runc.real")[0]


def test_files_of_a_target(shared_target: Target) -> None:
    target = shared_target
    text = "tabs\tand 'quotes' and\nnä line end"
    target.write("/etc/new folder/file.conf", text)
    assert target.read("/etc/new folder/file.conf") == text
    with pytest.raises(container.CommandError, match="No such file"):
        target.read("/etc/nothing")


@pytest.mark.parametrize("shared_target", ["bookworm"], indirect=True)
def test_output_is_whole_on_a_busy_machine(
    shared_target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = shared_target
    read_head = HTTPResponse.begin

    def read_head_late(response: HTTPResponse) -> None:
        time.sleep(0.3)
        read_head(response)

    monkeypatch.setattr(HTTPResponse, "begin", read_head_late)
    assert target.try_sh("echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    assert len(target.sh("head -c 300000 /dev/zero")) == 300000


@pytest.mark.parametrize("shared_target", ["bookworm"], indirect=True)
def test_the_machine_keeps_its_sysctls(shared_target: Target) -> None:
    target = shared_target
    keys = target.sh(
        'awk \'$2 ~ "^/proc/sys/" && $3 == "tmpfs" { print $2 }\' /proc/mounts'
    ).split()
    assert "/proc/sys/vm/overcommit_memory" in keys
    before = {key: Path(key).read_text() for key in keys}

    for key in keys:
        other = "7" if before[key].strip() != "7" else "8"
        target.sh(f"echo {other} >{key}")
        assert target.read(key).strip() == other

    assert {key: Path(key).read_text() for key in keys} == before


@pytest.mark.parametrize("shared_target", ["bookworm"], indirect=True)
def test_the_rest_of_proc_sys_is_read_only(shared_target: Target) -> None:
    target = shared_target
    machine = Path("/proc/sys/vm/swappiness").read_text()
    code, _, error = target.try_sh("echo 7 >/proc/sys/vm/swappiness")
    assert code != 0
    assert "Read-only file system" in error
    assert Path("/proc/sys/vm/swappiness").read_text() == machine
    # and through no other way in: a writable path would say so in the mount table
    writable = target.sh("awk '$3 == \"proc\" && $4 ~ /^rw/ { print $2 }' /proc/mounts").split()
    assert "/proc/sys" not in writable
    assert "/proc/sys/net" in writable


@pytest.mark.parametrize("shared_target", ["bookworm"], indirect=True)
def test_net_sysctls_are_the_targets_own(shared_target: Target, targets: Fleet) -> None:
    one, other = shared_target, targets.start("trixie")
    key = "/proc/sys/net/ipv4/conf/default/rp_filter"
    machine = Path(key).read_text()
    one.sh(f"echo 2 >{key}")
    other.sh(f"echo 0 >{key}")
    assert (one.read(key), other.read(key), Path(key).read_text()) == ("2\n", "0\n", machine)


def test_a_reboot_applies_sysctl_d_and_forgets_the_rest(shared_target: Target) -> None:
    target = shared_target
    key = "/proc/sys/net/ipv4/conf/default/rp_filter"
    target.write("/etc/sysctl.d/90-test.conf", "net.ipv4.conf.default.rp_filter = 2\n")
    target.sh(f"echo 0 >{key}; echo 1 >/proc/sys/vm/overcommit_memory; touch /run/marker")
    machine = Path("/proc/sys/vm/overcommit_memory").read_text()
    before = target.pid

    target.reboot()

    assert target.pid != before
    assert target.read(key) == "2\n"
    assert target.read("/proc/sys/vm/overcommit_memory") == "0\n"
    assert Path("/proc/sys/vm/overcommit_memory").read_text() == machine
    assert target.try_sh("test -e /run/marker")[0] == 1


@pytest.mark.parametrize("init", ["sshd", "sleep"])
def test_a_host_without_systemd(targets: Fleet, init: container.Init) -> None:
    target = targets.start("trixie", init=init)
    assert target.read("/proc/1/comm").strip() == init
    assert target.try_sh("test -d /run/systemd/system")[0] == 1
    target.reboot()
    assert target.read("/proc/1/comm").strip() == init


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_cgroup_v1_view(targets: Fleet, suite: str) -> None:
    if not container.has_cgroup_v1():
        with pytest.raises(TargetError, match="no cgroup v1 hierarchy"):
            targets.start(suite, cgroup="v1")
        return
    target = targets.start(suite, cgroup="v1")
    assert target.sh("stat -fc %T /sys/fs/cgroup").strip() == "tmpfs"
    assert target.read("/proc/1/comm").strip() == "systemd"


def test_users(shared_target: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory) -> None:
    target = shared_target

    def uid(user: str, *flags: str) -> tuple[int, str]:
        hosts = inventory(target.host_over_ssh(user))
        result = run_pyinfra("-y", *flags, hosts, "exec", "--", "id", "-u")
        return result.returncode, result.output

    assert "1500" in uid("operator")[1]
    code, output = uid("operator", "--sudo")
    assert (code, f"[{target.name}] 0" in output) == (0, True), output
    assert "1501" in uid("stranger")[1]
    assert uid("stranger", "--sudo")[0] != 0


def test_stopped_targets_leave_nothing(targets: Fleet, docker_client: DockerClient) -> None:
    target = targets.start("bookworm")
    mounts = docker_client.containers.get(target.name).attrs["Mounts"]
    volumes = {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
    assert volumes

    targets.stop()

    assert not docker_client.containers.list(all=True, filters={"name": target.name})
    assert not {volume.name for volume in docker_client.volumes.list()} & volumes
