"""dnf 4, dnf5 and zypper themselves, on Debian's userland: what is installed, held and changed.

The tests of a host follow each other: each says what it finds, and leaves containerd 1.7.24, held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import DockerClient

from kubenode.facts.containerd import ContainerdPackage, ContainerdPackageShape
from tests.conftest import ROOT
from tests.end_to_end.test_prepare import assert_in_kubepods_slice, changes
from tests.targets import container, pyinfra_cli, rpm_image
from tests.targets.container import Target
from tests.targets.pyinfra_cli import Result

pytestmark = pytest.mark.targets

DNF_REPOSITORY = "/etc/yum.repos.d/{}.repo"
ZYPPER_REPOSITORY = "/etc/zypp/repos.d/{}.repo"
DOCKER = """\
[docker]
name=Docker
baseurl=file:///srv/rpm/docker
enabled=1
gpgcheck=1
gpgkey=file:///srv/rpm/good.asc
"""


DEPLOY = """\
from pyinfra import host

from kubenode.operations import containerd

version, hold = host.data.kubenode_containerd_version, host.data.kubenode_containerd_hold
containerd.installed(name="Node | containerd is installed", version=version, hold=hold)
containerd.configured(name="Node | containerd is configured")
containerd.running(name="Node | containerd serves CRI")
"""


@dataclass(frozen=True)
class Host:
    """A host with one of the package managers."""

    kind: str
    target: Target
    folder: Path

    @property
    def is_dnf(self) -> bool:
        return self.kind != "zypper"

    def repository(self, name: str) -> str:
        """The file that names a repository."""
        return (DNF_REPOSITORY if self.is_dnf else ZYPPER_REPOSITORY).format(name)

    def deploy(self, version: str | None, hold: bool = True, whole: bool = False) -> Result:
        """Install a version of containerd and configure it, or run the whole deploy.py."""
        name, data = self.target.host()
        wanted = {**data, "kubenode_containerd_version": version, "kubenode_containerd_hold": hold}
        hosts = pyinfra_cli.write_inventory(self.folder / "inventory.py", [(name, wanted)])
        deploy = self.folder / "containerd.py"
        deploy.write_text(DEPLOY)
        return pyinfra_cli.run(
            "-y", hosts, ROOT / "deploy.py" if whole else deploy, cwd=self.folder
        )

    def becomes(self, version: str, whole: bool = False) -> Result:
        """Deploy, and see that containerd of that version serves CRI and is held."""
        result = self.deploy(version, whole=whole)
        assert result.returncode == 0, result.output
        self.serves(version)
        fact = self.fact()
        assert fact["package"] == {
            "name": "containerd",
            "version": f"{version}-1",
            "held": True,
            "configured": True,
        }
        return result

    def serves(self, version: str) -> None:
        """See that this version is all there is of the package, and that it serves CRI."""
        assert self.packages() == [f"containerd-{version}-1"]
        with self.target.cri() as cri:
            assert cri.version().startswith(version)
            assert cri.conditions()["RuntimeReady"]

    def packages(self) -> list[str]:
        """The packages of containerd that rpm knows of."""
        query = "rpm -qa --qf '%{NAME}-%{VERSION}-%{RELEASE}\\n' 'containerd*' | sort"
        return self.target.sh(query).split()

    def fact(self) -> ContainerdPackageShape:
        """What kubenode makes of the host."""
        fact = ContainerdPackage()
        shape = fact.process(self.target.sh(fact.command()).splitlines())
        assert shape is not None
        return shape

    def upgrade(self) -> None:
        """What an administrator, or a timer, does to all packages."""
        command = "dnf -y upgrade" if self.is_dnf else "zypper --non-interactive update"
        self.target.sh(command)

    def unlock(self) -> None:
        """Remove the hold by hand."""
        command = "dnf versionlock delete" if self.is_dnf else "zypper -n removelock"
        self.target.sh(f"{command} containerd")


@pytest.fixture(scope="module", params=rpm_image.SUITES)
def host(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    """A host for all tests of a manager."""
    kind = request.param
    rpm_image.ensure(docker_client, [kind], print)
    suite, tag = rpm_image.SUITES[kind], rpm_image.tag(kind)
    target = container.start(docker_client, suite, role="test", tag=tag)
    try:
        yield Host(kind, target, tmp_path_factory.mktemp(kind))
    finally:
        target.stop()


def test_no_package_manager_but_one_is_there(host: Host) -> None:
    others = {"apt-get", "dpkg", "dpkg-query", "dnf", "zypper"}
    others -= {"dnf" if host.is_dnf else "zypper"}
    for program in others:
        assert host.target.try_sh(f"command -v {program}")[0] != 0, program


@pytest.mark.parametrize("checked", ["lists", "packages"])
def test_a_key_that_is_not_the_repositorys_is_an_error(host: Host, checked: str) -> None:
    """Found: nothing installed. The control is the next test."""
    file = host.repository("distribution")
    good = host.target.read(file)
    other = good.replace("good.asc", "other.asc")
    if checked == "packages":
        other = other.replace("repo_gpgcheck=1", "repo_gpgcheck=0")
        if not host.is_dnf:
            # zypper asks once for lists that are signed by a key it does not know
            host.target.sh("mv /srv/rpm/distribution/repodata/repomd.xml.asc /root/")
    host.target.write(file, other)
    result = host.deploy("1.7.24")
    host.target.write(file, good)
    host.target.sh(
        "[ ! -e /root/repomd.xml.asc ] || mv /root/repomd.xml.asc /srv/rpm/distribution/repodata/"
    )
    assert result.returncode != 0
    assert re.search("GPG|OpenPGP|signature", result.output, re.IGNORECASE), result.output
    assert host.packages() == []
    assert host.target.try_sh("command -v containerd runc ctr")[0] != 0
    assert host.fact()["binary"] is None


def test_another_process_of_the_manager_is_waited_for(host: Host) -> None:
    """Found: nothing installed."""
    if not host.is_dnf:
        host.target.sh("rpmkeys --import /srv/rpm/good.asc")
    install = "dnf -y" if host.is_dnf else "zypper --non-interactive"
    host.target.sh(f"systemd-run --quiet --unit=busy {install} install slow")
    host.target.sh("until [ -e /run/slow-runs ]; do sleep 0.1; done")
    # it ends some time after the deploy has begun, whose watches sleep for a second at a time
    host.target.sh(
        "systemd-run --quiet --unit=ends "
        "sh -c 'until pgrep -xf \"sleep 1\"; do sleep 0.1; done; sleep 8; touch /run/slow-may-end'"
    )
    result = host.becomes("1.7.24", whole=True)
    assert re.search("wait for process [0-9]+ (dnf|zypper|rpm)", result.output), result.output
    host.target.import_pause_image()
    with host.target.cri() as cri:
        assert cri.systemd_cgroup() == {"runc": True}
        assert_in_kubepods_slice(cri)


def test_a_second_run_changes_nothing(host: Host) -> None:
    before = host.target.sh(
        "rpm -qa --last; cat /etc/dnf/*lock* /etc/dnf/*/*lock* /etc/zypp/locks || :"
    )
    for version in ("1.7.24", None):
        result = host.deploy(version, whole=True)
        assert result.returncode == 0, result.output
        assert all(row[:2] == (0, 0) for row in changes(result.output).values()), result.output
    after = host.target.sh(
        "rpm -qa --last; cat /etc/dnf/*lock* /etc/dnf/*/*lock* /etc/zypp/locks || :"
    )
    assert before == after


def test_upgrades_leave_a_held_package_alone_and_a_free_one_not(host: Host) -> None:
    docker = host.repository("docker")
    host.target.write(docker, DOCKER)
    host.upgrade()
    host.serves("1.7.24")
    # the control: with its repository Docker's package takes the place of the distribution's
    host.unlock()
    host.upgrade()
    assert host.packages() == ["containerd.io-2.1.9-1"]
    remove = "dnf -y remove" if host.is_dnf else "zypper -n remove"
    host.target.sh(f"{remove} containerd.io; rm {docker}")
    host.becomes("1.7.24")
    # and so without it
    host.unlock()
    assert host.fact()["package"]["held"] is False  # type: ignore[index]
    host.upgrade()
    assert host.packages() == ["containerd-2.1.9-1"]
    # not held, and newer than what is wanted
    host.becomes("1.7.24")


def test_the_distributions_package_is_taken_beside_what_obsoletes_it(host: Host) -> None:
    """Found: held. Without a version too, with a repository whose containerd.io dnf would take."""
    docker = host.repository("docker")
    host.unlock()
    remove = "dnf -y remove" if host.is_dnf else "zypper -n remove"
    host.target.sh(f"{remove} containerd runc")
    host.target.write(docker, DOCKER)
    result = host.deploy(None)
    host.target.sh(f"rm {docker}")
    assert result.returncode == 0, result.output
    host.serves("2.1.9")
    host.becomes("1.7.24")


def test_a_held_package_changes_on_purpose(host: Host) -> None:
    assert "containerd 1.6.20" in host.becomes("1.6.20").output
    assert changes(host.becomes("2.1.9").output)["Node | containerd is installed"][0] == 1
    series = host.deploy("9.9")
    assert series.returncode != 0
    assert "9.9 is a series" in series.output
    failed = host.deploy("9.9.9")
    assert failed.returncode != 0
    assert "9.9.9" in failed.output
    # it was held before, and is
    host.serves("2.1.9")
    host.upgrade()
    assert host.fact()["package"]["held"] is True  # type: ignore[index]
    host.becomes("1.7.24")


def test_a_transaction_that_was_killed_is_finished(host: Host) -> None:
    """The version before runs its last script when rpm is killed: both are in its list then."""
    host.unlock()
    install = (
        "dnf -y install containerd-2.1.9"
        if host.is_dnf
        else "zypper --non-interactive install containerd=2.1.9"
    )
    host.target.sh(
        "mv /usr/bin/systemctl /usr/bin/systemctl.real\n"
        "printf '#!/bin/sh\\ntouch /run/hangs; exec sleep 1000\\n' >/usr/bin/systemctl\n"
        "chmod 755 /usr/bin/systemctl\n"
        f"setsid {install} >/root/killed 2>&1 </dev/null & group=$!\n"
        "until [ -e /run/hangs ]; do sleep 0.1; done\n"
        "kill -9 -$group\n"
        "mv /usr/bin/systemctl.real /usr/bin/systemctl"
    )
    assert host.packages() == ["containerd-1.7.24-1", "containerd-2.1.9-1"]
    fact = host.fact()
    assert fact["package"] == {
        "name": "containerd",
        "version": "2.1.9-1",
        "held": False,
        "configured": False,
    }
    assert "rpm was interrupted" in host.becomes("2.1.9").output
    assert host.target.sh("rpm -V --noconfig containerd") == ""
    host.becomes("1.7.24")


LOCKS = {
    "dnf4": {
        "dnf versionlock add containerd": True,
        "dnf versionlock exclude containerd-1.6.20": False,
        "dnf versionlock add runc": False,
        "echo 'excludepkgs=containerd' >>/etc/dnf/dnf.conf": True,
        "echo 'exclude=runc, cont*d' >>/etc/dnf/dnf.conf": True,
        "printf 'excludepkgs=runc\\n  containerd.x86_64\\n' >>/etc/dnf/dnf.conf": True,
        "echo 'excludepkgs=containerd.io' >>/etc/dnf/dnf.conf": False,
        "printf '[other]\\nname=x\\nenabled=0\\nexcludepkgs=containerd\\n' "
        ">>/etc/dnf/dnf.conf": False,
        # what dnf5 would obey
        "cat >/etc/dnf/versionlock.toml <<X\nversion = '1.0'\n[[packages]]\nname = 'containerd'\n"
        "[[packages.conditions]]\nkey = 'evr'\ncomparator = '='\nvalue = '1.7.24-1'\nX": False,
    },
    "zypper": {
        "zypper addlock containerd": True,
        "zypper addlock 'container*'": True,
        "zypper addlock runc": False,
        "zypper addlock -t pattern containerd": False,
        "zypper addlock 'containerd > 99'": False,
        "printf '\\ntype: package\\nmatch_type: glob\\ncase_sensitive: off\\n"
        "solvable_name: ContainerD\\n' >>/etc/zypp/locks": True,
    },
}
LOCKS["dnf5"] = {
    **{line: held for line, held in LOCKS["dnf4"].items() if "versionlock.toml" not in line},
    # what dnf 4 has left
    "mkdir -p /etc/dnf/plugins\n"
    "echo 'containerd-0:1.7.24-1.*' >/etc/dnf/plugins/versionlock.list": False,
}


def test_what_counts_as_held_is_what_upgrades_leave_alone(host: Host) -> None:
    """The manager is asked what an upgrade would change: the same as the fact says."""
    upgrade = "dnf --assumeno upgrade" if host.is_dnf else "zypper -n update -D --details"
    host.unlock()
    conf = "/etc/dnf/dnf.conf"
    said: dict[str, tuple[bool, bool]] = {}
    for lock in LOCKS[host.kind]:
        host.target.sh(f"[ ! -e {conf} ] || cp -p {conf} /root/dnf.conf\n{lock}")
        package = host.fact()["package"]
        assert package is not None
        _, out, err = host.target.try_sh(upgrade)
        listed = re.search(r"containerd .*2\.1\.9|-> 2\.1\.9", out + err)
        assert listed or "Nothing to do" in out + err, out + err
        said[lock] = (package["held"], not listed)
        host.target.sh(
            f"[ ! -e {conf} ] || cp -p /root/dnf.conf {conf}\n"
            "rm -f /etc/dnf/versionlock.toml /etc/zypp/locks\n"
            # dnf 4 wants the file, and dnf5 has none
            "! cd /etc/dnf/plugins || [ ! -e versionlock.conf ] || : >versionlock.list\n"
            "[ -e /etc/dnf/plugins/versionlock.conf ] || rm -f /etc/dnf/plugins/versionlock.list"
        )
    assert said == {lock: (held, held) for lock, held in LOCKS[host.kind].items()}
    host.becomes("1.7.24")


@pytest.mark.parametrize("host", ["dnf4"], indirect=True)
def test_without_its_plugin_dnf_4_gets_it_or_nothing_is_changed(host: Host) -> None:
    plugin = "/usr/lib/python3/dist-packages/dnf-plugins/versionlock.py"
    host.unlock()
    host.target.sh(
        f"dnf -y remove containerd; rm {plugin}; cp -p /etc/dnf/dnf.conf /root/\n"
        "echo 'excludepkgs=python3-dnf-plugin-versionlock' >>/etc/dnf/dnf.conf"
    )
    failed = host.deploy("1.7.24")
    assert failed.returncode != 0
    assert "dnf has no version locks" in failed.output
    assert host.packages() == []
    # who wants no hold needs none
    assert host.deploy("1.7.24", hold=False).returncode == 0
    assert host.packages() == ["containerd-1.7.24-1"]
    host.target.sh("cp -p /root/dnf.conf /etc/dnf/dnf.conf")
    host.becomes("1.7.24")
    assert host.target.sh("rpm -qa 'python3-dnf*'") == "python3-dnf-plugin-versionlock-1-1.noarch\n"


def test_it_is_taken_away_with_its_hold_and_comes_back_as_it_was_configured(host: Host) -> None:
    host.becomes("1.7.24")
    host.target.sh("sed -i '1i # theirs' /etc/containerd/config.toml")
    config = host.target.read("/etc/containerd/config.toml")
    deploy = host.folder / "absent.py"
    deploy.write_text("from kubenode.operations import containerd\n\ncontainerd.absent()\n")
    inventory = pyinfra_cli.write_inventory(host.folder / "plain.py", [host.target.host()])
    result = pyinfra_cli.run("-y", inventory, deploy, cwd=host.folder)
    assert result.returncode == 0, result.output
    assert host.packages() == []
    assert host.target.try_sh("which containerd")[0] != 0
    locks = "dnf versionlock list" if host.is_dnf else "zypper locks"
    assert "containerd" not in host.target.sh(locks)
    assert host.target.read("/etc/containerd/config.toml") == config
    again = pyinfra_cli.run("-y", "-v", inventory, deploy, cwd=host.folder)
    assert "there is no containerd; stays: " in again.output
    host.becomes("1.7.24")
    assert host.target.read("/etc/containerd/config.toml") == config
