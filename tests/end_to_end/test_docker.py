"""Docker Engine with cri-dockerd: a fresh host becomes a node, and stays one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from kubenode.runtimes.docker import cri_archive
from tests.conftest import RunPyinfra, WriteInventory
from tests.end_to_end import docker_hosts
from tests.end_to_end.docker_hosts import CONFIG
from tests.end_to_end.test_prepare import DEPLOY, remote_commands
from tests.soak import loops
from tests.soak.deploy import Deploy
from tests.soak.host import Host
from tests.soak.kill_round import settled
from tests.soak.kills import Kill
from tests.targets import image, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

FOREIGN = """{
\t"log-level": "warn",
\t"labels": [ "rack=4" ]  ,
\t"log-opts": {"max-size":"5m"},
\t"exec-opts": ["native.cgroupdriver=cgroupfs"],
\t"max-concurrent-downloads": 7
}
"""
PAUSE = "mirror.example.org/pause:1"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the archive of cri-dockerd is."""
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module", params=loops.choice(["trixie"], image.SUITES))
def node(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    login_key: SshKey,
    archives: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Target]:
    """A host on which somebody had written a daemon.json, and that a deploy has made a node."""
    folder = tmp_path_factory.mktemp("first")
    with Fleet(docker_client, login_key) as fleet:
        target = docker_hosts.start(fleet, request.param)
        docker_hosts.ready(target)
        target.write(CONFIG, FOREIGN)
        host = docker_hosts.host(target, archives, pause_image=PAUSE)
        hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [host])
        result = pyinfra_cli.run("-y", hosts, DEPLOY, cwd=folder)
        assert result.returncode == 0, result.output
        target.load_pause_image(PAUSE)
        yield target


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def engine(target: Target, what: str) -> str:
    return target.sh(f"docker info -f '{{{{.{what}}}}}'").strip()


def serves(target: Target) -> bool:
    return target.sh("systemctl is-active docker cri-docker") == "active\nactive\n"


def is_no_change(output: str) -> bool:
    return "Success" not in output.partition("Results:")[0]


def test_a_fresh_host_becomes_a_node_that_keeps_what_others_wrote(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, archives: Path
) -> None:
    assert node.read(CONFIG) == FOREIGN.replace("=cgroupfs", "=systemd").replace(
        '"max-concurrent-downloads": 7', '"max-concurrent-downloads": 7,\n\t"live-restore": true'
    )
    assert engine(node, "CgroupDriver") == "systemd"
    assert engine(node, "LiveRestoreEnabled") == "true"
    process = "/proc/$(systemctl show --value -p MainPID cri-docker)/cmdline"
    started = node.sh(f"tr '\\0' ' ' <{process}")
    assert f"--pod-infra-container-image={PAUSE}" in started
    assert "--container-runtime-endpoint fd://" in started
    assert node.read("/etc/crictl.yaml").startswith(
        "runtime-endpoint: unix:///run/cri-dockerd.sock\n"
    )
    for unit in ("docker.service", "cri-docker.service", "cri-docker.socket"):
        assert node.sh(f"systemctl is-enabled {unit}") == "enabled\n"
    assert "docker.io" in node.sh("apt-mark showhold")

    host = docker_hosts.host(node, archives, pause_image=PAUSE)
    again = run_pyinfra("-y", "-vv", inventory(host), DEPLOY)
    assert again.returncode == 0, again.output
    assert is_no_change(again.output), again.output
    assert remote_commands(again.output, host) == 1


def test_pods_are_where_each_driver_puts_them_and_the_driver_does_not_change_under_them(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, archives: Path
) -> None:
    other = inventory(docker_hosts.host(node, archives, cgroup_driver="cgroupfs"))
    with node.cri_dockerd() as cri:
        assert cri.runtime_config_driver() == "systemd"
        with cri.pod("/kubepods.slice/kubepods-besteffort.slice") as pod:
            assert re.fullmatch(
                r"(.*/)?kubepods-besteffort\.slice/docker-[0-9a-f]{64}\.scope", pod.cgroup
            ), pod.cgroup
            before = node.read(CONFIG)
            refused = run_pyinfra("-y", other, DEPLOY)
            assert refused.returncode == 1, refused.output
            assert "1 containers of pods run with the systemd cgroup driver" in words(
                refused.output
            )
            assert node.read(CONFIG) == before

            # live-restore: a restart of the engine leaves the pod
            started = f"docker inspect -f '{{{{.State.Pid}}}}' {pod.id}"
            pid = node.sh(started)
            node.sh("systemctl restart docker")
            assert node.sh(started) == pid

    changed = run_pyinfra("-y", other, DEPLOY)
    assert changed.returncode == 0, changed.output
    assert engine(node, "CgroupDriver") == "cgroupfs"
    with node.cri_dockerd() as cri:
        # cri-dockerd was restarted too: it asks once
        assert cri.runtime_config_driver() == "cgroupfs"
        with cri.pod("/kubepods/besteffort") as pod:
            assert re.fullmatch(r"(.*/)?kubepods/besteffort/[0-9a-f]{64}", pod.cgroup), pod.cgroup


def test_what_the_engine_does_not_take_comes_back(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, archives: Path
) -> None:
    same = {"cgroup_driver": engine(node, "CgroupDriver")}
    good, storage = node.read(CONFIG), engine(node, "Driver")
    broken = inventory(docker_hosts.host(node, archives, docker_storage_driver="zfs", **same))
    result = run_pyinfra("-y", broken, DEPLOY)
    assert result.returncode == 1, result.output
    assert "serves CRI again; the old configuration is back" in words(result.output), result.output
    assert node.read(CONFIG) == good
    assert engine(node, "Driver") == storage
    assert serves(node)


def test_a_cri_dockerd_that_does_not_start_gives_way_to_the_one_before(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, archives: Path
) -> None:
    version = "0.3.99" if node.suite == "bookworm" else "0.4.99"
    program = f'#!/bin/sh\n[ "$1" = --version ] && echo "cri-dockerd {version} (x)"\n'
    source = docker_hosts.source(archives, version, program.encode())
    before = node.sh(f"readlink {cri_archive.ROOT}/current")
    data = {"cgroup_driver": engine(node, "CgroupDriver"), "cri_dockerd_source": source}
    broken = inventory(docker_hosts.host(node, archives, **data))
    result = run_pyinfra("-y", broken, DEPLOY)
    assert result.returncode == 1, result.output
    assert "the new cri-dockerd did not come up; the old program is back, and serves again" in (
        words(result.output)
    ), result.output
    assert node.sh(f"readlink {cri_archive.ROOT}/current") == before
    assert serves(node)


@pytest.mark.skipif(not loops.is_soak(), reason="it waits for minutes: make soak")
def test_a_cri_dockerd_that_hangs_gives_way_also_where_who_waits_for_it_is_killed(
    node: Target, archives: Path, tmp_path: Path
) -> None:
    version = "0.3.98" if node.suite == "bookworm" else "0.4.98"
    program = (
        f'#!/bin/sh\n[ "$1" != --version ] || {{ echo "cri-dockerd {version} (x)"; exit; }}\n'
        "exec sleep 900\n"
    )
    source = docker_hosts.source(archives, version, program.encode())
    before = node.sh(f"readlink {cri_archive.ROOT}/current")
    data = {"cgroup_driver": engine(node, "CgroupDriver"), "cri_dockerd_source": source}
    target = Host(node)
    with Deploy(tmp_path, DEPLOY, docker_hosts.host(node, archives, **data), "killed") as deploy:
        state = "systemctl show -P ActiveState cri-docker"
        while deploy.runs and node.sh(state) != "activating\n":
            time.sleep(0.1)
        operation = "Node | Docker Engine and cri-dockerd are installed"
        assert Kill("remote shell", operation, 0).strike(target, deploy), deploy.output
        assert deploy.end() == 1
    assert list(settled(target)) == []
    assert node.sh(f"readlink {cri_archive.ROOT}/current") == before
    assert serves(node)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"debug": true, "debug": false}', "the key 'debug' stands there twice"),
        ('{"hosts": ["fd://"]}', "has hosts, and so has the command line of docker.service"),
        ('{"exec-opts": "native.cgroupdriver=systemd"}', "exec-opts is not a list"),
        # dockerd itself says so, from 23.0 on
        ('{"no-such-key": 1}', "no-such-key"),
    ],
)
def test_a_file_that_the_engine_would_not_start_with_is_not_touched(
    node: Target,
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
    archives: Path,
    tmp_path: Path,
    text: str,
    message: str,
) -> None:
    good = node.read(CONFIG)
    node.write(CONFIG, text)
    deploy = tmp_path / "deploy.py"
    deploy.write_text("from kubenode.operations import docker\n\ndocker.configured()\n")
    refused = run_pyinfra("-y", inventory(docker_hosts.host(node, archives)), deploy)
    try:
        assert refused.returncode == 1, refused.output
        assert message in words(refused.output), refused.output
        if message == "no-such-key":
            by_kubenode = "which dockerd does not know" in words(refused.output)
            assert by_kubenode == (node.suite == "bookworm"), refused.output
        assert node.read(CONFIG) == text
        assert serves(node)
    finally:
        node.write(CONFIG, good)


def test_without_live_restore_a_restart_waits_for_the_containers(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, archives: Path
) -> None:
    data = {"cgroup_driver": engine(node, "CgroupDriver"), "docker_live_restore": None}
    node.sh(f'sed -i \'s/"live-restore": true/"live-restore": false/\' {CONFIG}')
    node.sh("systemctl restart docker cri-docker")
    parent = {"systemd": "/kubepods.slice", "cgroupfs": "/kubepods"}[str(data["cgroup_driver"])]
    changed = inventory(docker_hosts.host(node, archives, docker_log_driver="local", **data))
    with node.cri_dockerd() as cri, cri.pod(parent) as pod:
        pid = node.sh(f"docker inspect -f '{{{{.State.Pid}}}}' {pod.id}")
        waits = run_pyinfra("-y", changed, DEPLOY)
        assert waits.returncode == 0, waits.output
        assert "the restart of Docker Engine waits: 1 containers run" in words(waits.output)
        assert node.sh(f"docker inspect -f '{{{{.State.Pid}}}}' {pod.id}") == pid
        assert engine(node, "LoggingDriver") == "json-file"
    # control: the node is idle
    done = run_pyinfra("-y", changed, DEPLOY)
    assert done.returncode == 0, done.output
    assert engine(node, "LoggingDriver") == "local"


def test_containerd_does_not_come_beside_it(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    crictl = node.read("/etc/crictl.yaml")
    refused = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert refused.returncode == 1, refused.output
    assert "cri-dockerd runs here (cri-docker.service is active; cri-docker.socket is active" in (
        words(refused.output)
    )
    assert node.read("/etc/crictl.yaml") == crictl


def test_it_serves_after_a_boot(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, archives: Path
) -> None:
    driver = engine(node, "CgroupDriver")
    node.reboot()
    node.sh("for i in $(seq 200); do docker info >/dev/null 2>&1 && exit; sleep 0.2; done; exit 1")
    data = {"cgroup_driver": driver, "docker_live_restore": None, "pause_image": PAUSE}
    after = run_pyinfra("-y", inventory(docker_hosts.host(node, archives, **data)), DEPLOY)
    assert after.returncode == 0, after.output
    assert is_no_change(after.output), after.output


def test_it_does_not_come_beside_containerd_nor_without_cri_dockerd(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory, archives: Path
) -> None:
    target = docker_hosts.start(targets, "bookworm")
    nothing = inventory(docker_hosts.host(target, archives, cri_dockerd_source=None))
    refused = run_pyinfra("-y", nothing, DEPLOY)
    assert refused.returncode == 1, refused.output
    assert "cri-dockerd is not installed" in words(refused.output)
    assert target.try_sh("command -v dockerd")[0] != 0

    # a node with containerd
    assert run_pyinfra("-y", inventory(target.host()), DEPLOY).returncode == 0
    crictl = target.read("/etc/crictl.yaml")
    refused = run_pyinfra("-y", inventory(docker_hosts.host(target, archives)), DEPLOY)
    assert refused.returncode == 1, refused.output
    assert (
        "containerd runs here (containerd.service is active; "
        "/etc/crictl.yaml points at /run/containerd/containerd.sock)"
    ) in words(refused.output)
    assert target.read("/etc/crictl.yaml") == crictl
    assert target.try_sh("command -v dockerd || command -v cri-dockerd")[0] != 0
