"""dnf 4, dnf5 and zypper themselves, on Debian's userland: what is installed, held and changed.

The tests of a host follow each other: each says what it finds, and leaves containerd 1.7.24, held.
``make test`` has dnf5 here, zypper in ``test_rpm_repositories`` and dnf 4 in
``test_rpm_transactions``; ``make soak`` has all three in each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from docker import DockerClient

from tests.end_to_end import rpm_host
from tests.end_to_end.rpm_host import Host
from tests.end_to_end.test_prepare import assert_in_kubepods_slice, changes
from tests.soak import loops
from tests.targets import rpm_image

pytestmark = [pytest.mark.targets, pytest.mark.soak]

DOCKER = """\
[docker]
name=Docker
baseurl=file:///srv/rpm/docker
enabled=1
gpgcheck=1
gpgkey=file:///srv/rpm/good.asc
"""


@pytest.fixture(scope="module", params=loops.choice(["dnf5"], rpm_image.SUITES))
def host(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    """A host for all tests of a manager."""
    folder = tmp_path_factory.mktemp(request.param)
    with rpm_host.started(docker_client, request.param, folder) as started:
        yield started


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
    newest = host.deploy("2.1")
    assert changes(newest.output)["Node | containerd is installed"][0] == 0, newest.output
    series = host.deploy("9.9")
    assert series.returncode != 0
    assert "has no 9.9: it has 2.1.9-1, 1.7.24-1, 1.6.20-1" in series.output
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


@pytest.mark.skipif(not loops.is_soak(), reason="make soak has a host with dnf 4 here")
@pytest.mark.parametrize("host", ["dnf4"], indirect=True)
def test_without_its_plugin_dnf_4_excludes_what_is_held(host: Host) -> None:
    plugin, conf = "/usr/lib/python3/dist-packages/dnf-plugins/versionlock.py", "/etc/dnf/dnf.conf"
    host.target.sh(
        "dnf versionlock delete containerd; dnf -y remove containerd\n"
        f"mv {plugin} /root/; cp -p {conf} /root/\n"
        f"printf '%s\\n' '# of this host' 'excludepkgs=nothing' >>{conf}"
    )
    before = host.target.read(conf)
    result = host.becomes("1.7.24")
    assert f"excludepkgs in {conf} holds them" in result.output
    assert host.target.read(conf) == before.replace("=nothing", "=nothing,containerd")
    assert host.target.read(f"{conf}.kubenode-backup") == before
    assert host.target.sh("rpm -qa 'python3-dnf*'") == ""
    host.upgrade()
    host.serves("1.7.24")
    # twice is a no-op, and on purpose it changes
    again = host.deploy("1.7.24")
    assert changes(again.output)["Node | containerd is installed"][0] == 0, again.output
    host.becomes("2.1.9")
    assert host.target.read(conf) == before.replace("=nothing", "=nothing,containerd")
    # what is taken away may come back
    assert f"change {conf}" in taken_away(host)
    assert host.target.read(conf) == before
    host.target.sh(f"mv /root/versionlock.py {plugin}; cp -p /root/dnf.conf {conf}")


def taken_away(host: Host) -> str:
    """What a run says that takes containerd away."""
    deploy = host.folder / "absent.py"
    deploy.write_text("from kubenode.operations import containerd\n\ncontainerd.absent()\n")
    result = host.run(deploy, "-y", "-v")
    assert result.returncode == 0, result.output
    return result.output


def test_it_is_taken_away_with_its_hold_and_comes_back_as_it_was_configured(host: Host) -> None:
    host.becomes("1.7.24")
    host.target.sh("sed -i '1i # theirs' /etc/containerd/config.toml")
    config = host.target.read("/etc/containerd/config.toml")
    taken_away(host)
    assert host.packages() == []
    assert host.target.try_sh("which containerd")[0] != 0
    locks = "dnf versionlock list" if host.is_dnf else "zypper locks"
    assert "containerd" not in host.target.sh(locks)
    assert host.target.read("/etc/containerd/config.toml") == config
    assert "there is no containerd; stays: " in taken_away(host)
    host.becomes("1.7.24")
    assert host.target.read("/etc/containerd/config.toml") == config
