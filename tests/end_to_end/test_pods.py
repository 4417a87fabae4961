"""Pods that really run are counted, by runtime and driver, wherever they are in the cgroup tree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import DockerClient
from pyinfra.api.exceptions import FactProcessError

from kubenode.facts.containerd import Containerd
from kubenode.facts.pods import Pods, PodsShape, at_most
from tests.end_to_end.test_strangers import ask
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

CONFIG = "/etc/containerd/config.toml"
HANDLER = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\n'
ID = "fe3f6881603f38423d595a97535166fd2953ae5a2adeaa7167dc7fa94fb763e0"


@pytest.fixture(scope="module")
def host(docker_client: DockerClient, login_key: SshKey) -> Iterator[Target]:
    """A host with containerd."""
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh(
            "apt-get -qq update; "
            "apt-get -qq install -y --no-install-recommends containerd >/dev/null"
        )
        yield target


def use(target: Target, driver: str) -> None:
    is_systemd = str(driver == "systemd").lower()
    options = f'runtime_type = "io.containerd.runc.v2"\noptions.SystemdCgroup = {is_systemd}\n'
    target.write(CONFIG, HANDLER + options)
    target.sh("systemctl restart containerd")
    target.import_pause_image()


def pods_of(target: Target, user: str = "root") -> PodsShape:
    shape: PodsShape = ask(target, Pods(), user).value
    return shape


def sums(shape: PodsShape) -> dict[str, int]:
    """What is not 0, by runtime and driver."""
    counts = {**shape["runtimes"], "unnamed": shape["unnamed"], "outside": shape["outside"]}
    return {
        f"{name} {driver}": drivers[driver]
        for name, drivers in counts.items()
        for driver in ("systemd", "cgroupfs")
        if drivers[driver]
    }


PARENTS = {
    "cgroupfs": {
        "/kubepods/burstable/podx": "unnamed cgroupfs",
        "/kubepods-burstable-podx.slice": "containerd cgroupfs",
        # no parent
        "": "containerd cgroupfs",
        "/foo": "outside cgroupfs",
        "foo": "outside cgroupfs",
        "/foo.slice": "containerd cgroupfs",
    },
    "systemd": {
        "/kubepods-burstable-podx.slice": "containerd systemd",
        "/foo.slice": "containerd systemd",
    },
}


@pytest.mark.parametrize("driver", PARENTS)
def test_pods_are_counted_with_and_without_kubelets_parent(host: Target, driver: str) -> None:
    use(host, driver)
    assert sums(pods_of(host)) == {}
    with host.cri() as cri:
        for parent, counted in PARENTS[driver].items():
            with cri.pod(parent) as pod:
                found = pods_of(host)
                assert sums(found) == {counted: 1}, pod.cgroup
                # containerd's own directory says the same, and every user may know it
                own = {"systemd": 0, "cgroupfs": 0, driver: 1}
                assert ask(host, Containerd()).value["pods"] == own, parent
                assert at_most(found, "containerd", driver) == 1  # type: ignore[arg-type]
                assert sums(pods_of(host, "stranger")) == {counted: 1}
    assert sums(pods_of(host)) == {}


# made by hand: what these runtimes would make
OTHERS = {
    f"kubepods/burstable/podx/crio-{ID}": "crio cgroupfs",
    f"crio/crio-{ID}": "crio cgroupfs",
    f"kubepods.slice/crio-{ID}.scope/container": "crio systemd",
    f"system.slice/crio-{ID}.scope": "crio systemd",
    f"kubepods.slice/docker-{ID}.scope": "docker systemd",
    f"docker/{ID}": "outside cgroupfs",
    # ... and what a user, a service with Delegate= or a container could
    f"user.slice/user-1.slice/user@1.service/crio-{ID}": None,
    f"user.slice/user-1.slice/user@1.service/kubepods.slice/crio-{ID}.scope": None,
    f"system.slice/site.service/k8s.io/{ID}": None,
    f"lxc/guest/crio-{ID}": None,
    f"kubepods.slice/crio-conmon-{ID}.scope": None,
}


@pytest.mark.parametrize("folder", OTHERS)
def test_other_runtimes_containers_count_and_what_strangers_name_so_does_not(
    host: Target, folder: str
) -> None:
    path = f"/sys/fs/cgroup/{folder}"
    host.sh(f"mkdir -p '{path}'; sleep 1000 >/dev/null 2>&1 & "
            f"echo $! >'{path}/cgroup.procs' && echo $! >/run/sleeper")  # fmt: skip
    try:
        expected = OTHERS[folder]
        assert sums(pods_of(host)) == ({expected: 1} if expected else {})
    finally:
        host.sh("kill $(cat /run/sleeper); true")


def test_where_processes_are_hidden_nothing_is_known(host: Target) -> None:
    host.sh("mount -o remount,hidepid=2 /proc")
    try:
        with pytest.raises(FactProcessError, match="paths"):
            pods_of(host, "stranger")
        assert sums(pods_of(host)) == {}
    finally:
        host.sh("mount -o remount,hidepid=0 /proc")
