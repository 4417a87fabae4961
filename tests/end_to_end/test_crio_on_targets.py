"""Nodes with CRI-O: made, changed, upgraded, broken and brought back.

The program is a stand-in (:mod:`tests.repositories.crio_stand_in`); where ``KUBENODE_TEST_CRIO``
names a folder with CRI-O itself, the same tests run against that.
"""

from __future__ import annotations

import pytest

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end import crio_hosts
from tests.end_to_end.crio_hosts import SOCKET, Minors
from tests.end_to_end.test_prepare import changes, remote_commands
from tests.repositories import cri_o, image_registry
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets import image
from tests.targets.container import Target
from tests.targets.cri import CriError
from tests.targets.fleet import Fleet

pytestmark = [pytest.mark.targets, pytest.mark.soak]

DEPLOY = ROOT / "deploy.py"
OWN = "/etc/crio/kubenode.conf"
REGISTRIES = "kubenode_crio_registries"
OLD_MINOR, NEW_MINOR = (version.rpartition(".")[0] for version in (cri_o.OLD, cri_o.NEW))


@pytest.fixture(scope="module", params=loops.choice(["trixie"], image.SUITES))
def minors(request: pytest.FixtureRequest, package_server: Server) -> Minors:
    return Minors(package_server, request.param, cri_o.OLD, cri_o.NEW)


def main_pid(target: Target) -> str:
    return target.sh("systemctl show -p MainPID crio").strip()


def in_slice(target: Target, parent: str) -> str:
    """Run a pod with a container below a cgroup, and remove it; where they were."""
    with target.cri(SOCKET) as cri, cri.pod(parent) as pod:
        container = cri.run_container(pod, crio_hosts.PAUSE_IMAGE, 64 << 20)
        assert container.cgroup.replace(container.id, "") == pod.cgroup.replace(pod.id, "")
        # with systemd crun makes a cgroup of its own in the scope
        return pod.cgroup.replace(pod.id, "ID").removesuffix("/container")


def test_a_fresh_host_becomes_a_node_of_either_driver_and_of_another_minor(
    targets: Fleet,
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
    minors: Minors,
    package_server: Server,
) -> None:
    target = targets.start(minors.suite)
    crio_hosts.ready(target)
    hosts = inventory(target.host())
    settings = minors.settings(OLD_MINOR)

    def deploy(**more: str) -> str:
        result = run_pyinfra("-y", hosts, DEPLOY, data={**settings, **more})
        assert result.returncode == 0, result.output
        return result.output

    first = deploy()
    assert changes(first)["Node | CRI-O is installed"] == (1, 0, 0)
    assert target.sh("systemctl is-enabled crio") == "enabled\n"
    assert target.sh("apt-mark showhold") == "cri-o\n"
    assert f"crio version {cri_o.OLD}" in target.sh("crio --version")
    assert target.read("/etc/crio/crio.conf.d/10-crio.conf") == cri_o.DROP_IN
    assert target.sh("readlink -f /etc/crio/crio.conf.d/99-kubenode.conf") == f"{OWN}\n"
    assert crio_hosts.live(target)["cgroup_manager"] == '"systemd"'
    again = run_pyinfra("-y", "-vv", hosts, DEPLOY, data=settings).output
    assert all(row == (0, 0, 1) for row in changes(again).values()), again
    assert remote_commands(again, target.host()) == 1

    with image_registry.serving(package_server, "pause:3.10.1"):
        crio_hosts.images_from(target, package_server)
        target.sh("systemctl reload crio; sleep 1")
        # both drivers, and each refuses what is the other's
        assert in_slice(target, "/kubepods.slice") == "/kubepods.slice/crio-ID.scope"
        with pytest.raises(CriError, match="systemd cgroup manager, but did not receive slice"):
            in_slice(target, "/kubepods")
        deploy(kubenode_cgroup_driver="cgroupfs")
        assert in_slice(target, "/kubepods") == "/kubepods/crio-ID"
        with pytest.raises(CriError, match="cgroupfs cgroup manager, but received systemd slice"):
            in_slice(target, "/kubepods.slice")
        with target.cri(SOCKET) as cri:
            assert cri.runtime_config_driver() == "cgroupfs"
        deploy()
        assert in_slice(target, "/kubepods.slice") == "/kubepods.slice/crio-ID.scope"

        # under pods neither the driver nor the minor release changes, and a restart keeps them
        with target.cri(SOCKET) as cri:
            pod = cri.run_pod("/kubepods.slice")
        refused = run_pyinfra(
            "-y", hosts, DEPLOY, data={**settings, "kubenode_cgroup_driver": "cgroupfs"}
        )
        assert refused.returncode == 1, refused.output
        assert "containers of pods run with the systemd cgroup driver" in refused.output
        newer = minors.settings(NEW_MINOR)
        refused = run_pyinfra("-y", hosts, DEPLOY, data=newer)
        assert refused.returncode == 1, refused.output
        assert "removes and makes them again when its minor release changes" in refused.output
        assert f"crio version {cri_o.OLD}" in target.sh("crio --version")
        with target.cri(SOCKET) as cri:
            cri.remove_pod(pod.id)
        result = run_pyinfra("-y", hosts, DEPLOY, data=newer)
        assert result.returncode == 0, result.output
        assert f"cri-o {cri_o.OLD}-1.1 -> {cri_o.NEW}-1.1" in result.output
        with target.cri(SOCKET) as cri:
            assert cri.version() == cri_o.NEW
        assert f"/v{NEW_MINOR}/" in target.read("/etc/apt/sources.list.d/cri-o.sources")
        assert target.sh("apt-mark showhold") == "cri-o\n"
        assert in_slice(target, "/kubepods.slice") == "/kubepods.slice/crio-ID.scope"
        stays = run_pyinfra("-y", hosts, DEPLOY, data=newer)
        assert all(row == (0, 0, 1) for row in changes(stays.output).values()), stays.output

    target.reboot()
    assert target.sh("systemctl is-active crio") == "active\n"
    stays = run_pyinfra("-y", hosts, DEPLOY, data=newer)
    assert all(row == (0, 0, 1) for row in changes(stays.output).values()), stays.output


CASES = {
    "another driver than there are": (
        '[crio.runtime]\ncgroup_manager = "bogus"\n',
        "bogus",
    ),
    "not TOML": ("= 3\n", "Invalid statement"),
    "a monitor's cgroup that is none": (
        '[crio.runtime]\nconmon_cgroup = "machine"\n',
        "it is pod or a systemd slice",
    ),
    "a default runtime without a table": (
        '[crio.runtime]\ndefault_runtime = "kata"\n',
        "no table [crio.runtime.runtimes.kata]",
    ),
}


def test_what_crio_would_not_start_with_is_never_put_in_place(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory, minors: Minors
) -> None:
    target = targets.start(minors.suite)
    crio_hosts.ready(target)
    hosts = inventory(target.host())
    settings = minors.settings(NEW_MINOR)
    result = run_pyinfra("-y", hosts, DEPLOY, data=settings)
    assert result.returncode == 0, result.output
    before = main_pid(target)
    own = target.read(OWN)

    # others' files that CRI-O does not start with: named, and the daemon stays as it is
    for name, (text, reason) in CASES.items():
        target.write("/etc/crio/crio.conf.d/98-broken.conf", text)
        refused = run_pyinfra(
            "-y", hosts, DEPLOY, data={**settings, "kubenode_pause_image": "mirror.example.org/p:1"}
        )
        target.sh("rm /etc/crio/crio.conf.d/98-broken.conf")
        if name == "another driver than there are":
            # kubenode's own file is behind it
            assert refused.returncode == 0, refused.output
            run_pyinfra("-y", hosts, DEPLOY, data=settings)
            target.write(OWN, own)
            target.sh("systemctl reload crio")
            continue
        assert refused.returncode == 1, (name, refused.output)
        assert reason in " ".join(refused.output.split()), (name, refused.output)
        assert main_pid(target) == before, name

    # a copy that somebody left behind kubenode's file counts: it is named with its line
    target.sh(f"cp {OWN} /etc/crio/crio.conf.d/99-kubenode.conf.bak")
    refused = run_pyinfra(
        "-y", hosts, DEPLOY, data={**settings, "kubenode_cgroup_driver": "cgroupfs"}
    )
    assert refused.returncode == 1, refused.output
    assert "/etc/crio/crio.conf.d/99-kubenode.conf.bak:5" in refused.output, refused.output
    target.sh("rm /etc/crio/crio.conf.d/99-kubenode.conf.bak")

    # what its check does not see, and it does not come up with: the old file comes back
    target.write(
        "/etc/systemd/system/crio.service.d/late.conf",
        "[Service]\nExecStartPre=/bin/sh -c '! grep -q cgroupfs /etc/crio/kubenode.conf'\n",
    )
    target.sh("systemctl daemon-reload")
    failed = run_pyinfra(
        "-y", hosts, DEPLOY, data={**settings, "kubenode_cgroup_driver": "cgroupfs"}
    )
    assert failed.returncode == 1, failed.output
    assert "the old configuration is back" in failed.output, failed.output
    assert target.read(OWN) == own
    assert crio_hosts.live(target)["cgroup_manager"] == '"systemd"'
    target.sh("rm -r /etc/systemd/system/crio.service.d; systemctl daemon-reload")

    # a reload is enough for the pause image: the daemon stays the same
    before = main_pid(target)
    image = "mirror.example.org/pause:3.10.1"
    result = run_pyinfra("-y", hosts, DEPLOY, data={**settings, "kubenode_pause_image": image})
    assert result.returncode == 0, result.output
    assert main_pid(target) == before
    assert crio_hosts.live(target)["pause_image"] == f'"{image}"'

    # registries: one that CRI-O does not take at a reload is put back
    place = "/etc/containers/registries.conf.d/50-kubenode.conf"
    stated = {**settings, "kubenode_pause_image": image}
    mirrored = '{"quay.io": {"mirrors": ["mirror.example.org/quay"]}}'
    for count in (1, 0):
        result = run_pyinfra("-y", hosts, DEPLOY, data={**stated, REGISTRIES: mirrored})
        assert result.returncode == 0, result.output
        assert changes(result.output)["Node | CRI-O knows its registries"] == (count, 0, 1 - count)
    assert 'location = "mirror.example.org/quay"' in target.read(place)
    kept = target.read(place)
    target.write("/etc/containers/registries.conf.d/60-x.conf", '[[registry]]\nprefix = "x"\n')
    blocked = '{"bad.example.org": {"blocked": true}}'
    refused = run_pyinfra("-y", hosts, DEPLOY, data={**stated, REGISTRIES: blocked})
    assert refused.returncode == 1, refused.output
    assert "location is unset" in refused.output, refused.output
    assert "the old configuration is back" in refused.output, refused.output
    assert target.read(place) == kept
    target.sh("rm /etc/containers/registries.conf.d/60-x.conf")
    assert main_pid(target) == before

    # edited by hand and not in force: the fact says so, and a deploy brings it
    target.sh(f"sed -i 's/systemd/cgroupfs/' {OWN}")
    fact = run_pyinfra(hosts, "fact", "kubenode.facts.crio.Crio")
    assert '"setting": "crio.runtime.cgroup_manager"' in fact.output, fact.output
    assert '"applied_by": "restart"' in fact.output
