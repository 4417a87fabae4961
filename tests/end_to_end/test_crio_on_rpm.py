"""CRI-O on hosts with a real dnf 4, dnf5 or zypper: a stand-in, or CRI-O itself, in real RPMs.

What is in the packages: see :mod:`tests.repositories.cri_o_rpm`. The tests of a host follow each
other. Patch releases under pods, and the distribution's package, are for ``make soak``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from kubenode.facts.crio import Crio, CrioServiceShape
from tests.conftest import ROOT
from tests.end_to_end import crio_hosts, rpm_host
from tests.end_to_end.crio_hosts import SOCKET
from tests.end_to_end.rpm_host import Host
from tests.end_to_end.test_crio_archive import DOES_NOT_START
from tests.end_to_end.test_crio_on_targets import in_slice
from tests.end_to_end.test_docker import words
from tests.end_to_end.test_prepare import changes, remote_commands
from tests.repositories import cri_o, cri_o_rpm, keys
from tests.repositories.cri_o_rpm import Package
from tests.repositories.server import Server, status
from tests.soak import loops
from tests.targets import kubenode_cli, pyinfra_cli, rpm_image
from tests.targets.container import Target
from tests.targets.pyinfra_cli import Result

pytestmark = [pytest.mark.targets, pytest.mark.soak]

DEPLOY = ROOT / "deploy.py"
INSTALLED = "Node | CRI-O is installed"
STORE, CHANGE = "/var/lib/kubenode/packages", "/var/lib/kubenode/change"
BACK = "the old program is back, and serves again"
OLD, NEW = Package(cri_o.OLD), Package(cri_o.NEW, "2.1")
EARLIER = Package(cri_o.NEW)
"""Of the same minor release, and older."""
BROKEN = Package("1.37.0", program=DOES_NOT_START.replace(b"1.36.4", b"1.37.0"))


@pytest.fixture(scope="module", params=loops.choice(["dnf5"], rpm_image.SUITES))
def node(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp(request.param)
    with rpm_host.started(docker_client, request.param, folder) as host:
        crio_hosts.ready(host.target)
        cri_o_rpm.prepare(host.target)
        if not host.is_dnf:
            # of runc, which the distribution has; zypper asks, and nobody answers
            host.target.sh("rpmkeys --import /srv/rpm/good.asc")
        yield host


@pytest.fixture(scope="module")
def source(package_server: Server, node: Host) -> dict[str, str]:
    return cri_o_rpm.served(package_server, node.target, [OLD, EARLIER, NEW, BROKEN])


def deploy(
    node: Host,
    source: Mapping[str, str] | str,
    version: str,
    *options: str,
    deploy: Path = DEPLOY,
    **more: Any,
) -> Result:
    settings = {
        "kubenode_runtime": "crio",
        "kubenode_crio_source": source if isinstance(source, str) else dict(source),
        "kubenode_crio_version": version,
    }
    return node.run(deploy, *(options or ("-y",)), **settings, **more)


def becomes(
    node: Host, source: Mapping[str, str] | str, package: Package, version: str, **more: Any
) -> str:
    """Deploy, and see that this package's CRI-O serves, and is held."""
    result = deploy(node, source, version)
    assert result.returncode == 0, result.output
    serves(node, package, **more)
    return words(result.output)


def serves(node: Host, package: Package, is_edited: bool = False) -> None:
    """See that this package's CRI-O serves and is held, its files as it brought them.

    + is_edited: whether one that is configuration was changed
    """
    assert fact(node)["installed"]["package"] == {
        "name": "cri-o",
        "version": f"{package.version}-{package.revision}",
        "held": True,
        "configured": True,
    }
    with node.target.cri(SOCKET) as cri:
        assert cri.version() == package.version
    options = "--nodeps --noconfig" if is_edited else "--nodeps"
    assert node.target.sh(f"rpm -V {options} cri-o") == ""
    assert node.target.try_sh(f"ls {CHANGE}")[0] != 0


def fact(node: Host) -> CrioServiceShape:
    """What kubenode makes of the host."""
    crio = Crio()
    shape = crio.process(node.target.sh(crio.command()).splitlines())
    assert shape is not None
    return shape


def state(node: Host) -> str:
    """The package, its hold, all of ``/etc``, and the daemon's process."""
    return node.target.sh(
        "rpm -q --qf '%{NEVRA} %{INSTALLTIME}\\n' cri-o; systemctl show -p MainPID crio; "
        "find /etc -type f ! -name '*.kubenode-backup*' -exec sha256sum {} + | sort -k 2; "
        "ls /run/kubenode-repositories 2>/dev/null || :"
    )


def unchanged(node: Host, result: Result) -> None:
    """See that a run has changed nothing, in one remote command."""
    assert result.returncode == 0, result.output
    assert all(row == (0, 0, 1) for row in changes(result.output).values()), result.output
    assert remote_commands(result.output, node.target.host()) == 1


def forget(target: Target) -> None:
    """What package managers have fetched is gone."""
    target.sh("find /var/cache -name 'cri-o*.rpm' -delete")


def test_a_fresh_host_becomes_a_node_and_the_second_run_changes_nothing(
    node: Host, source: dict[str, str]
) -> None:
    refused = deploy(node, source, "1.35.9")
    assert refused.returncode == 1, refused.output
    says = f"/v1.35/rpm has no 1.35.9: it has {OLD.version}-1.1 of cri-o: nothing was changed"
    assert says in words(refused.output)
    assert node.target.try_sh(f"ls {node.repository('cri-o')}")[0] != 0

    first = deploy(node, source, OLD.minor)
    assert first.returncode == 0, first.output
    assert changes(first.output)[INSTALLED] == (1, 0, 0)
    serves(node, OLD)
    assert node.target.sh("systemctl is-enabled crio; systemctl is-active crio") == (
        "enabled\nactive\n"
    )
    live = crio_hosts.live(node.target)
    assert live["cgroup_manager"] == '"systemd"'
    assert live["signature_policy"] == '"/etc/crio/policy.json"'
    assert "/v1.35/rpm\n" in node.target.read(node.repository("cri-o"))
    unchanged(node, deploy(node, source, OLD.minor, "-y", "-vv"))

    # what an administrator, or a timer, does to all packages
    node.upgrade()
    serves(node, OLD)
    name, own = node.target.host()
    hosts = pyinfra_cli.write_inventory(
        node.folder / "audited.py", [(name, {**own, "kubenode_runtime": "crio"})]
    )
    findings = kubenode_cli.audit(hosts).findings()
    of_crio = ("crio.", "runtime.", "cgroup-driver.")
    assert not [findings[check] for check in findings if check.startswith(of_crio)]


def test_a_source_that_is_not_what_it_has_to_be_changes_nothing(
    package_server: Server, node: Host, source: dict[str, str]
) -> None:
    stranger, before = keys.generated(), state(node)
    other_key = {"key": stranger.public, "fingerprint": stranger.fingerprint}
    for says, wrong in {
        "is not signed by the pinned key": {**source, **other_key},
        "is pinned": {**source, "fingerprint": stranger.fingerprint},
        "so it is one for apt": {**source, "suite": "/"},
    }.items():
        refused = deploy(node, wrong, NEW.minor)
        assert refused.returncode == 1, refused.output
        assert says in words(refused.output), refused.output
        assert "nothing was changed" in words(refused.output), refused.output
        assert state(node) == before
    with package_server.answering("*/v1.36/*/repomd.xml", status(404)):
        refused = deploy(node, source, NEW.minor)
    assert refused.returncode == 1, refused.output
    assert "has not what is asked for" in words(refused.output), refused.output
    assert state(node) == before


def test_another_minor_release_comes_to_an_idle_node_and_pods_are_where_the_driver_says(
    package_server: Server, node: Host, source: dict[str, str]
) -> None:
    target = node.target
    with crio_hosts.images(package_server):
        crio_hosts.images_from(target, package_server)
        target.sh("systemctl reload crio; sleep 1")
        assert in_slice(target, "/kubepods.slice") == "/kubepods.slice/crio-ID.scope"
        with target.cri(SOCKET) as cri:
            pod = cri.run_pod("/kubepods.slice")
        before = state(node)
        refused = deploy(node, source, NEW.minor)
        assert refused.returncode == 1, refused.output
        assert "removes and makes them again when its minor release changes" in refused.output
        assert state(node) == before
        with target.cri(SOCKET) as cri:
            cri.remove_pod(pod.id)

        # the next release has a repository of its own, and what is there is in no cache
        forget(target)
        waits = deploy(node, source, NEW.minor, kubenode_restart="never")
        assert "kubenode_restart is never" in words(waits.output), waits.output
        assert state(node) == before
        said = becomes(node, source, NEW, NEW.minor)
        assert f"cri-o {OLD.version}-1.1 -> {NEW.version}-2.1" in said
        assert "keep what is installed in /var/lib/kubenode/packages" in said
        assert "/v1.36/rpm\n" in target.read(node.repository("cri-o"))
        unchanged(node, deploy(node, source, NEW.minor, "-y", "-vv"))
        assert in_slice(target, "/kubepods.slice") == "/kubepods.slice/crio-ID.scope"

        cgroupfs = deploy(node, source, NEW.minor, kubenode_cgroup_driver="cgroupfs")
        assert cgroupfs.returncode == 0, cgroupfs.output
        assert in_slice(target, "/kubepods") == "/kubepods/crio-ID"
        again = deploy(node, source, NEW.minor)
        assert again.returncode == 0, again.output
    mirrored = {"quay.io": {"mirrors": ["mirror.example.org/quay"]}}
    known = deploy(node, source, NEW.minor, kubenode_crio_registries=mirrored)
    assert known.returncode == 0, known.output
    assert changes(known.output)["Node | CRI-O knows its registries"] == (1, 0, 0)


@pytest.mark.skipif(not loops.is_soak(), reason="make soak changes patch releases")
def test_within_a_minor_release_pods_stay_and_another_process_is_waited_for(
    package_server: Server, node: Host, source: dict[str, str]
) -> None:
    target = node.target
    with crio_hosts.images(package_server), target.cri(SOCKET) as cri:
        pod = cri.run_pod("/kubepods.slice")
    install = "dnf -y" if node.is_dnf else "zypper --non-interactive"
    target.sh(f"systemd-run --quiet --unit=busy {install} install slow")
    target.sh("until [ -e /run/slow-runs ]; do sleep 0.1; done")
    target.sh(
        "systemd-run --quiet --unit=ends "
        "sh -c 'until pgrep -xf \"sleep 1\"; do sleep 0.1; done; sleep 8; touch /run/slow-may-end'"
    )
    # a version in full goes back too
    said = becomes(node, source, EARLIER, f"{EARLIER.version}-{EARLIER.revision}")
    assert re.search("wait for process [0-9]+ (dnf|zypper|rpm)", said), said
    assert fact(node)["pods"] == {"systemd": 1, "cgroupfs": 0}
    with target.cri(SOCKET) as cri:
        cri.remove_pod(pod.id)
    becomes(node, source, NEW, f"{NEW.version}-{NEW.revision}")


def test_a_daemon_that_does_not_come_up_gives_way_to_the_one_before(
    node: Host, source: dict[str, str]
) -> None:
    forget(node.target)
    node.target.sh(f"rm -f {STORE}/cri-o*")
    result = deploy(node, source, BROKEN.minor)
    assert result.returncode == 1, result.output
    assert BACK in words(result.output), result.output
    serves(node, NEW)
    assert node.target.sh("systemctl is-enabled crio") == "enabled\n"
    stays = deploy(node, source, NEW.minor)
    assert stays.returncode == 0, stays.output
    assert changes(stays.output)[INSTALLED] == (0, 0, 1)


NOTHING_IS_KEPT = """\
from kubenode.operations import packages

packages.PlannedSource.loses = False
"""


@pytest.mark.skipif(not loops.is_soak(), reason="make soak has this control")
def test_where_nothing_was_kept_there_is_no_way_back(node: Host, source: dict[str, str]) -> None:
    """What keeping is worth: without it nothing can be changed, and with it the same is done."""
    without = node.folder / "without.py"
    without.write_text(NOTHING_IS_KEPT + DEPLOY.read_text())
    for _ in range(2):
        forget(node.target)
        node.target.sh(f"rm -f {STORE}/cri-o*")
        node.target.sh(f"sed -i 's,/v1[.][0-9]*/,/v{NEW.minor}/,' {node.repository('cri-o')}")
        if without.exists():
            result = deploy(node, source, OLD.minor, deploy=without)
            assert result.returncode == 1, result.output
            assert "without it there is no way back" in words(result.output), result.output
            serves(node, NEW)
            without.unlink()
        else:
            becomes(node, source, OLD, OLD.minor)


@pytest.mark.skipif(not loops.is_soak(), reason="make soak has the distribution's package")
def test_the_distributions_own_package_with_its_own_files(node: Host) -> None:
    """As openSUSE has it, both minor releases in one repository."""
    target = node.target
    packages = [Package(cri_o.OLD, "lp160.1.1"), Package(cri_o.NEW, "lp160.2.1")]
    cri_o_rpm.into_distribution(target, packages)
    if node.is_dnf:
        target.sh("dnf versionlock delete cri-o; dnf -y remove cri-o")
    else:
        target.sh("zypper -n removelock cri-o; zypper -n remove cri-o")
    target.sh(f"rm -rf /etc/crio {node.repository('cri-o')}*")
    old, new = packages
    first = becomes(node, "distribution", old, old.minor)
    assert "fetch the lists of packages" in first
    settings = "/etc/crio/crio.conf.d/00-default.conf"
    target.sh(f"echo '# of this host' >>{settings}; systemctl restart crio")
    said = becomes(node, "distribution", new, new.minor, is_edited=True)
    assert f"cri-o {old.version}-lp160.1.1 -> {new.version}-lp160.2.1" in said
    assert target.read(settings).endswith("# of this host\n")
    assert crio_hosts.live(target)["signature_policy"] == '"/etc/containers/policy.json"'
    unchanged(node, deploy(node, "distribution", new.minor, "-y", "-vv"))
