"""Docker Engine with cri-dockerd on hosts with a real dnf 4, dnf5 or zypper, from Docker, Mirantis
and the distribution: RPMs around Debian's daemon, see :mod:`tests.repositories.docker_rpm`.

The tests of a host follow each other. dnf5's host says that it is Fedora, dnf 4's RHEL, zypper's
openSUSE. ``make test`` has dnf5, and leaves the distribution's own engine out; ``make soak`` has
all three, with that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from docker import DockerClient
from pysequoia import Cert

from tests.end_to_end import docker_hosts, rpm_host
from tests.end_to_end.rpm_host import Host
from tests.end_to_end.test_docker import engine, is_no_change, serves, words
from tests.end_to_end.test_prepare import DEPLOY
from tests.repositories import cri_dockerd, docker_rpm
from tests.repositories.docker_rpm import NEWER, OLDER
from tests.soak import loops
from tests.targets import kubenode_cli, rpm_image
from tests.targets.pyinfra_cli import Result

pytestmark = [pytest.mark.targets, pytest.mark.soak]

_SOAK = pytest.mark.skipif(not loops.is_soak(), reason="make soak does it on each host")

SYSTEM = {
    "dnf5": 'ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43"\n',
    "dnf4": 'ID=rhel\nID_LIKE=fedora\nVERSION_ID=9.6\nPRETTY_NAME="RHEL 9.6"\n',
    "zypper": 'ID=opensuse-leap\nID_LIKE="suse opensuse"\nVERSION_ID=15.6\n'
    'PRETTY_NAME="openSUSE Leap 15.6"\n',
}
IMAGE = "registry.k8s.io/pause:3.10"
STORE = "/var/lib/kubenode/packages"
BROKEN = """\
[Service]
ExecStartPre=/bin/sh -c '! grep -q Mirantis /usr/bin/docker'
"""
OWN_REPOSITORY = """\
[engine]
name=What the distribution has of Docker
baseurl={url}
enabled=1
gpgcheck=1
gpgkey=file:///srv/rpm/good.asc
"""


class Node(NamedTuple):
    """A host, and what its repositories are as ``kubenode_docker_source``, by name."""

    host: Host
    sources: dict[str, dict[str, Any]]

    def deploy(self, *options: str, **data: Any) -> Result:
        """Run the whole deploy.py for Docker Engine, from Docker's repository by default."""
        stated = {
            "runtime": "docker",
            "docker_source": self.sources["docker"],
            "cri_dockerd_source": docker_hosts.source(self.host.folder),
            **data,
        }
        own = {f"kubenode_{key}": value for key, value in stated.items()}
        return self.host.run(DEPLOY, *options, **own)

    def changed(self, **data: Any) -> Result:
        result = self.deploy(**data)
        assert result.returncode == 0, result.output
        return result

    def refused(self, **data: Any) -> str:
        """What a deploy says that is refused and changes nothing."""
        before = self.state()
        result = self.deploy(**data)
        assert result.returncode == 1, result.output
        assert self.state() == before, result.output
        return words(result.output)

    def findings(self) -> dict[str, Any]:
        """What the audit finds of the runtime."""
        # the inventory of the run before
        found = kubenode_cli.audit(self.host.folder / "inventory.py").findings()
        return {
            check: finding
            for check, finding in found.items()
            if check.partition(".")[0] in ("docker", "runtime", "drivers")
        }

    def sh(self, script: str) -> str:
        return self.host.target.sh(script)

    def packages(self) -> dict[str, str]:
        """Packages that have to do with the engine, and their versions without release."""
        names = "'docker*' 'moby*' 'containerd*' runc 'podman-docker'"
        said = self.sh(f"rpm -qa --qf '%{{NAME}} %{{VERSION}}\\n' {names}")
        return dict(line.split(" ") for line in said.splitlines())

    def held(self) -> set[str]:
        """Those of them that upgrades leave alone."""
        locks = "dnf versionlock list" if self.host.is_dnf else "zypper locks"
        said = self.sh(f"{locks} 2>/dev/null || :")
        return {
            name
            for name in self.packages()
            if re.search(rf"\b{re.escape(name)}\b(?![.-][a-z])", said)
        }

    def state(self) -> str:
        """Packages, holds, repositories and whether the engine is the process that it was.

        A repository's file is put in place before its packages can be asked for.
        """
        return self.sh(
            "rpm -qa --qf '%{NEVRA} %{INSTALLTIME}\\n' | sort\n"
            "cat /etc/dnf/*lock* /etc/dnf/*/*lock* /etc/zypp/locks 2>/dev/null\n"
            "ls /etc/yum.repos.d /etc/zypp/repos.d 2>/dev/null | grep -v kubenode-backup\n"
            "systemctl show -p MainPID -p ActiveState docker cri-docker\n"
            "ls /var/lib/kubenode 2>/dev/null || :"
        )


@pytest.fixture(scope="module", params=loops.choice(["dnf5"], rpm_image.SUITES))
def node(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Node]:
    """A host that has nothing of Docker, and repositories that have."""
    folder = tmp_path_factory.mktemp(request.param)
    volumes = ["/var/lib/docker"]
    with rpm_host.started(docker_client, request.param, folder, volumes) as host:
        target = host.target
        urls = docker_rpm.served(target, host.kind)
        target.write("/etc/os-release", SYSTEM[host.kind])
        target.write(host.repository("engine"), OWN_REPOSITORY.format(url=urls["distribution"]))
        if not host.is_dnf:
            # zypper asks whether it may trust a key, and nobody answers
            target.sh("rpmkeys --import /srv/rpm/good.asc")
        if cri_dockerd.needs():
            docker_hosts.knows_cri(target)
        key = target.read("/srv/rpm/good.asc")
        fingerprint = Cert.from_bytes(key.encode()).fingerprint.upper()
        engines = {
            "docker": ("docker-ce", "docker-ce-cli", "containerd.io"),
            "mcr": ("docker-ee", "docker-ee-cli", "containerd.io"),
            "cri-dockerd": ("cri-dockerd",),
        }
        sources = {
            name: {
                "name": name,
                "url": urls[name],
                "key": key,
                "fingerprint": fingerprint,
                "packages": list(packages),
                "signs_metadata": True,
            }
            for name, packages in engines.items()
        }
        yield Node(host, sources)


def test_what_there_is_not_is_said_and_nothing_is_changed(node: Node) -> None:
    said = node.refused(docker_version="99.1")
    assert (
        "docker-ce: file:///srv/rpm/engine-docker has no 99.1: it has 3:28.5.2-1, 3:28.5.1" in said
    )
    if node.host.kind == "dnf4":
        assert "RHEL 9.6 has no package of Docker Engine that kubenode knows: set " in node.refused(
            docker_source="distribution"
        )
    if node.host.kind == "zypper":
        # by os-release: nothing is fetched
        assert "Docker's repository has no packages for openSUSE Leap 15.6" in node.refused(
            docker_source="docker"
        )
    if node.host.kind != "dnf4":
        assert "rhel 8, 9; rocky 8, 9; sles 15, and this is" in node.refused(
            runtime="mcr", docker_source="mcr"
        )


def test_another_docker_is_named_that_is_in_the_way(node: Node) -> None:
    node.sh("rpm -i --nosignature /srv/rpm/engine-podman/*.rpm")
    said = node.refused()
    assert "podman-docker is installed, whose program docker is Podman's" in said
    node.sh("rpm -e podman-docker")


def test_a_fresh_host_becomes_a_node(node: Node) -> None:
    # what is in the way of containerd.io goes in the same transaction
    install = "dnf -y install" if node.host.is_dnf else "zypper -n install"
    node.sh(f"{install} runc")
    result = node.changed(docker_version=OLDER)
    assert "runc goes for it" in words(result.output)
    assert node.packages() == {"docker-ce": OLDER, "docker-ce-cli": OLDER, "containerd.io": "2.1.9"}
    assert node.held() == {"docker-ce", "docker-ce-cli", "containerd.io"}
    assert serves(node.host.target)
    assert node.sh("systemctl is-enabled docker cri-docker") == "enabled\nenabled\n"
    assert engine(node.host.target, "CgroupDriver") == "systemd"
    assert engine(node.host.target, "LiveRestoreEnabled") == "true"

    assert node.findings() == {}
    # the control
    node.sh("systemctl -q disable cri-docker.service")
    assert node.findings().keys() == {"docker.enabled"}
    node.sh("systemctl -q enable cri-docker.service")

    before = node.state()
    for version in (OLDER, None):
        again = node.changed(docker_version=version)
        assert is_no_change(again.output), again.output
    assert node.state() == before


def test_a_pod_is_in_its_slice(node: Node) -> None:
    node.host.target.load_pause_image(IMAGE)
    parent = "/kubepods.slice/kubepods-besteffort.slice"
    with node.host.target.cri_dockerd() as cri, cri.pod(parent) as pod:
        assert cri.runtime_config_driver() == "systemd"
        assert re.fullmatch(
            r"(.*/)?kubepods-besteffort\.slice/docker-[0-9a-f]{64}\.scope", pod.cgroup
        ), pod.cgroup


def test_another_release_waits_for_containers_and_takes_its_place_then(node: Node) -> None:
    running = node.sh(f"docker run -d --network none {IMAGE}").strip()
    said = node.refused(docker_version=NEWER)
    assert "would be exchanged, and 1 containers run and would not survive it" in said
    node.sh(f"docker stop -t 0 {running}")
    assert "kubenode_restart is never" in node.refused(docker_version=NEWER, restart="never")

    node.changed(docker_version=NEWER)
    assert node.packages() == {"docker-ce": NEWER, "docker-ce-cli": NEWER, "containerd.io": "2.1.9"}
    assert node.held() == {"docker-ce", "docker-ce-cli", "containerd.io"}
    assert serves(node.host.target)
    # the data root is the same
    assert running in node.sh("docker ps -aq --no-trunc")
    # a series, downwards: the RPMs that were there are kept
    assert f"docker-ce-{NEWER}" in node.sh(f"ls {STORE}")
    assert is_no_change(node.changed(docker_version="28").output)


@_SOAK
def test_an_engine_that_does_not_serve_gives_way_to_the_one_before(node: Node) -> None:
    mcr = {"runtime": "mcr", "docker_source": node.sources["mcr"]}
    before, held = node.packages(), node.held()
    drop_in = "/etc/systemd/system/docker.service.d/50-broken.conf"
    node.host.target.write(drop_in, BROKEN)
    # what is there is in no repository and no cache any more
    node.sh("mv /srv/rpm/engine-docker /srv/rpm/aside; find /var/cache -name 'docker-ce*' -delete")
    result = node.deploy(**mcr)
    node.sh("mv /srv/rpm/aside /srv/rpm/engine-docker")
    assert result.returncode == 1, result.output
    assert "the new Docker Engine did not come up; the old program is back, and serves again" in (
        words(result.output)
    ), result.output
    assert (node.packages(), node.held()) == (before, held)
    assert serves(node.host.target)
    assert node.sh("ls /var/lib/kubenode/change 2>/dev/null || :") == ""

    # the control: without that it takes its place, and the hold follows
    node.sh(f"rm {drop_in}; systemctl daemon-reload")
    node.changed(**mcr)
    assert node.packages() == {"docker-ee": NEWER, "docker-ee-cli": NEWER, "containerd.io": "2.1.9"}
    assert node.held() == {"docker-ee", "docker-ee-cli", "containerd.io"}
    assert "docker-ce" not in node.sh(
        "dnf versionlock list" if node.host.is_dnf else "zypper locks"
    )
    assert serves(node.host.target)
    assert "Mirantis" in node.sh("docker version -f '{{json .}}'")
    assert is_no_change(node.changed(**mcr).output)


def of_the_distribution(node: Node) -> dict[str, Any]:
    """Its repository as one that takes the place of what somebody chose."""
    return node.sources["docker"] | {
        "name": "engine",
        "url": "file:///srv/rpm/engine-distribution",
        "packages": ["moby-engine", "docker-cli"] if node.host.is_dnf else ["docker"],
    }


@_SOAK
def test_the_distributions_engine_takes_its_place_and_the_other_way(node: Node) -> None:
    if node.host.kind == "dnf4":
        pytest.skip("RHEL has no package of Docker Engine")
    # somebody has chosen the engine that is there
    assert is_no_change(node.changed(docker_source="distribution").output)
    source = of_the_distribution(node)
    more = [] if node.host.is_dnf else ["docker-buildx"]
    if node.host.is_dnf:
        # Fedora has live-restore as a flag, and daemon.json has it here
        undone = node.deploy(docker_source=source)
        assert undone.returncode == 1, undone.output
        assert "specified both as a flag and in the configuration file: live-restore" in (
            words(undone.output)
        )
        assert serves(node.host.target)
        node.host.target.write("/etc/sysconfig/docker", "OPTIONS=\n")
    node.changed(docker_source=source)
    assert node.packages().keys() == {*source["packages"], *more, "containerd", "runc"}
    assert serves(node.host.target)
    assert engine(node.host.target, "LiveRestoreEnabled") == "true"
    # the package's own file is beside the one that is there
    assert node.findings().keys() == {"runtime.config-merged"}
    for again in (node.changed(docker_source=source), node.changed(docker_source="distribution")):
        assert is_no_change(again.output), again.output

    node.changed()
    assert node.packages().keys() == {"docker-ce", "docker-ce-cli", "containerd.io"}
    assert serves(node.host.target)


@_SOAK
def test_cri_dockerd_of_an_rpm(node: Node) -> None:
    node.sh("systemctl disable --now cri-docker.service cri-docker.socket")
    node.sh("rm -r /usr/local/lib/kubenode /usr/local/bin/cri-dockerd "
            "/etc/systemd/system/cri-docker.*; systemctl daemon-reload")  # fmt: skip
    own: dict[str, Any] = {"cri_dockerd_source": node.sources["cri-dockerd"]}
    if node.packages().keys() & {"docker-ee"}:
        own |= {"runtime": "mcr", "docker_source": node.sources["mcr"]}
    node.changed(**own)
    assert node.sh("rpm -q --qf '%{EPOCH}:%{VERSION}' cri-dockerd") == f"3:{cri_dockerd.version()}"
    assert serves(node.host.target)
    again = node.changed(**own)
    assert is_no_change(again.output), again.output
    if node.host.kind != "dnf4":
        said = node.refused(**own | {"docker_source": of_the_distribution(node)})
        assert "containerd.io >= 1.2.2 is needed by (installed) cri-dockerd" in said
        assert "nothing was changed" in said


@_SOAK
def test_the_distributions_engine_comes_to_a_fresh_host(node: Node) -> None:
    if node.host.kind == "dnf4":
        pytest.skip("RHEL has no package of Docker Engine")
    remove = "dnf -y remove" if node.host.is_dnf else "zypper -n remove"
    node.sh(
        "for name in cri-dockerd docker-ce docker-ce-cli containerd.io; do\n"
        'rpm -q $name >/dev/null && names="$names $name"; done\n'
        "[ ! -e /etc/zypp/locks ] || zypper -n removelock $names\n"
        f"{remove} $names; rm -f {STORE}/* /etc/docker/daemon.json* /etc/sysconfig/docker*"
    )
    node.changed(docker_source="distribution")
    own = {"moby-engine", "docker-cli"} if node.host.is_dnf else {"docker", "docker-buildx"}
    assert node.packages().keys() == {*own, "containerd", "runc"}
    assert node.held() == own - {"docker-buildx"}
    assert serves(node.host.target)
    again = node.changed(docker_source="distribution")
    assert is_no_change(again.output), again.output
