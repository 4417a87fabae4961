"""containerd is changed with dnf 4, dnf5 and zypper: proven or undone, across sources.

The tests of a host follow each other; each leaves the distribution's containerd 1.7.24, held.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from docker import DockerClient

from tests.end_to_end import rpm_host
from tests.end_to_end.rpm_host import Host
from tests.end_to_end.test_prepare import changes
from tests.repositories.rpm_mirror import RpmMirror
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets import rpm_image
from tests.targets.pyinfra_cli import Result

pytestmark = [pytest.mark.targets, pytest.mark.soak]

INSTALLED = "Node | containerd is installed"
CONFIG = "/etc/containerd/config.toml"
CHANGE = "/var/lib/kubenode/change"
STORE = "/var/lib/kubenode/packages"
UNCHANGED = "nothing was changed"
BACK = "the old program is back, and serves again"


@pytest.fixture(scope="module", params=loops.choice(["dnf4"], rpm_image.SUITES))
def host(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp(request.param)
    with rpm_host.started(docker_client, request.param, folder) as started:
        if not started.is_dnf:
            # zypper asks whether it may trust a key, and nobody answers
            started.target.sh("rpmkeys --import /srv/rpm/good.asc")
        started.becomes("1.7.24")
        started.target.sh(f"echo '# of this host' >>{CONFIG}; systemctl restart containerd")
        yield started


@pytest.fixture(scope="module")
def mirror(package_server: Server, host: Host) -> RpmMirror:
    return RpmMirror(package_server, host.target)


def from_mirror(host: Host, mirror: RpmMirror, version: str | None, *options: str) -> Result:
    """Deploy with the mirror as the source."""
    source: Any = mirror.fields()
    return host.deploy(version, options=options or ("-y",), kubenode_containerd_source=dict(source))


def state(host: Host) -> str:
    """The packages, their holds, their files and configuration, and the daemon's process."""
    return host.target.sh(
        "rpm -q --qf '%{NEVRA} %{INSTALLTIME}\\n' containerd runc; rpm -V containerd runc; "
        "cat /etc/dnf/*lock* /etc/dnf/*/*lock* /etc/zypp/locks 2>/dev/null; "
        "find /etc -type f ! -name '*.kubenode-backup*' -exec sha256sum {} + | sort -k 2; "
        "systemctl show -p MainPID containerd; ls /var/lib/kubenode 2>/dev/null || :"
    )


def unchanged(result: Result) -> bool:
    return result.returncode == 0 and changes(result.output)[INSTALLED][0] == 0


def test_a_release_that_fits_is_chosen_from_what_there_is(host: Host) -> None:
    before = state(host)
    refused = host.deploy(None, kubenode_kubernetes_version="1.37")
    assert refused.returncode != 0
    assert "Kubernetes 1.37 needs containerd" in refused.output
    assert "the distribution has 2.1.9-1, 1.7.24-1, 1.6.20-1" in refused.output
    assert state(host) == before


def test_up_and_down_and_twice(host: Host) -> None:
    before = state(host)
    dry = host.deploy("2.1", options=("--dry",))
    assert "containerd 1.7.24 -> 2.1.9-1 (containerd)" in dry.output, dry.output
    assert state(host) == before
    up = host.deploy("2.1")
    assert up.returncode == 0, up.output
    assert "containerd 1.7.24-1 -> 2.1.9-1" in up.output
    host.serves("2.1.9")
    assert host.target.read(CONFIG).count("# of this host\n") == 1
    assert unchanged(host.deploy("2.1"))
    assert unchanged(host.deploy(None))
    assert host.target.try_sh(f"ls {CHANGE}")[0] != 0
    host.upgrade()
    host.becomes("1.7.24")
    assert host.target.read(CONFIG).count("# of this host\n") == 1
    assert host.target.sh("rpm -V --noconfig containerd runc") == ""


def test_from_the_distribution_to_a_repository_and_back(host: Host, mirror: RpmMirror) -> None:
    dry = from_mirror(host, mirror, "2.1", "--dry")
    assert dry.returncode == 0, dry.output
    assert f"prove {mirror.url}" in dry.output
    assert host.target.try_sh(f"ls {host.repository('docker')}")[0] != 0
    there = from_mirror(host, mirror, "2.1")
    assert there.returncode == 0, there.output
    assert "containerd.io 2.1.9-1 (new), containerd 1.7.24-1 goes, runc" in there.output
    host.serves("2.1.9", "containerd.io")
    assert host.target.try_sh("rpm -q runc")[0] != 0
    assert host.target.sh("rpm -V --noconfig containerd.io") == ""
    ways = host.target.sh("which -a containerd | xargs -n 1 readlink -f | sort -u")
    assert ways.split() == ["/usr/bin/containerd"]
    package = host.fact()["package"]
    assert package is not None
    assert (package["name"], package["held"]) == ("containerd.io", True)
    assert unchanged(from_mirror(host, mirror, "2.1"))
    back = host.deploy("1.7.24")
    assert back.returncode == 0, back.output
    host.serves("1.7.24")
    assert host.target.sh("rpm -V --noconfig containerd runc") == ""
    assert host.target.read(CONFIG).count("# of this host\n") == 1
    host.target.sh(f"rm {host.repository('docker')}")


class Break(NamedTuple):
    """What is wrong with a package, and what is said of it.

    + says: parts of the message
    + before: what its containerd does before it is the real one
    + fields: of its spec
    + scripts: sections of its spec
    + signed: whether it has a signature
    """

    says: tuple[str, ...]
    before: str = ""
    fields: str = "Requires: runc"
    scripts: str = ""
    signed: bool = True


_AS_DAEMON = 'case " $* " in *" config "* | *--version*) ;; *) {};; esac'
BREAKS = {
    "it refuses the configuration": Break(
        (f"refuses {CONFIG}", "no such key", UNCHANGED),
        'case "$*" in *"config dump"*) echo no such key >&2; exit 1;; esac',
    ),
    "it ends at its start": Break(
        ("did not come up", BACK), _AS_DAEMON.format("echo over; exit 1")
    ),
    "pre fails": Break(("could not be installed", BACK), scripts="%pre\nexit 1\n"),
    "a dependency that nobody has": Break(
        ("cannot be had", UNCHANGED), fields="Requires: kubenode-nowhere"
    ),
    "it takes another package with it": Break(
        ("runc would go for that", UNCHANGED), fields="Obsoletes: runc\nProvides: runc"
    ),
    "it is not signed": Break(("cannot be had", UNCHANGED), signed=False),
    "another file": Break(("cannot be had", UNCHANGED)),
}

# its programs are those of 2.1.9, which stay on the host
_SPEC = """\
Name: containerd
Version: {version}
Release: 1
Summary: A stand-in of a containerd that is broken
License: none
AutoReqProv: no
{fields}

%description
Nothing.

%install
mkdir -p %{{buildroot}}/usr/bin
for program in containerd containerd-shim-runc-v2 ctr; do
  printf '%%s\\n' '#!/bin/sh' "$(cat /root/broken/$program)" \\
    "exec /root/tree/usr/bin/$program \\"\\$@\\"" >%{{buildroot}}/usr/bin/$program
  chmod 755 %{{buildroot}}/usr/bin/$program
done
for path in /etc/containerd/config.toml /usr/lib/systemd/system/containerd.service; do
  install -D -m 644 /root/tree$path %{{buildroot}}$path
done

{scripts}
%files
/usr/bin/*
%config(noreplace) /etc/containerd/config.toml
/usr/lib/systemd/system/containerd.service
"""


def _version(name: str) -> str:
    return f"2.1.{20 + list(BREAKS).index(name)}"


@pytest.fixture(scope="module")
def broken(host: Host) -> None:
    """The packages of :data:`BREAKS` in the distribution's repository."""
    target = host.target
    target.sh(
        "mkdir -p /root/tree /root/broken && rpm -i --root /root/tree --nodeps --noscripts "
        "--noplugins --nosignature /srv/rpm/distribution/containerd-2.1.9-1.*.rpm && "
        "touch /root/broken/ctr /root/broken/containerd-shim-runc-v2"
    )
    for name, wrong in BREAKS.items():
        target.write("/root/broken/containerd", wrong.before)
        target.write(
            "/root/broken.spec",
            _SPEC.format(version=_version(name), fields=wrong.fields, scripts=wrong.scripts),
        )
        target.sh(
            "rpmbuild -bb --quiet /root/broken.spec --define '_topdir /root/build' "
            "--define '_rpmdir /srv/rpm/distribution' --define '_rpmfilename %{NVRA}.rpm' "
            "--define '_build_id_links none' --define 'debug_package %{nil}' "
            "--define '__os_install_post %{nil}'"
        )
        if wrong.signed:
            target.sh(
                "GNUPGHOME=/srv/rpm/private rpmsign --define '_gpg_name good@kubenode.test' "
                f"--addsign /srv/rpm/distribution/containerd-{_version(name)}-1.*.rpm"
            )
    _index(host)
    target.sh(
        "for rpm in /srv/rpm/distribution/containerd-"
        f"{_version('another file')}-1.*.rpm; do echo more >>$rpm; done"
    )


def _index(host: Host) -> None:
    # a folder of the image cannot be renamed, which is how createrepo_c replaces it
    host.target.sh(
        "cd /srv/rpm/distribution && rm -rf repodata && createrepo_c --quiet . && "
        "GNUPGHOME=/srv/rpm/private gpg --batch --quiet --local-user good@kubenode.test --armor "
        "--detach-sign repodata/repomd.xml"
    )


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("name", BREAKS)
def test_the_old_one_serves_and_all_is_as_it_was(host: Host, name: str) -> None:
    if name == "it is not signed" and not host.is_dnf:
        pytest.skip("zypper: signed lists vouch for a package, by its sum")
    wrong, before = BREAKS[name], state(host)
    result = host.deploy(_version(name))
    assert result.returncode != 0, result.output
    for words in wrong.says:
        assert words in result.output, result.output
    host.serves("1.7.24")
    assert host.target.sh("rpm -V --noconfig containerd runc") == ""
    assert host.target.try_sh(f"ls {CHANGE}")[0] != 0
    after = state(host)
    if BACK not in wrong.says:
        assert after == before
    else:
        assert _lasting(after) == _lasting(before)


def _lasting(text: str) -> list[str]:
    """What stays when a package was installed again, and its daemon started."""
    return [line for line in text.splitlines() if not line.startswith(("containerd-", "MainPID"))]


_HANGS = """\
#!/bin/sh
case "$*" in *try-restart*) touch /root/hangs; exec sleep 1000;; esac
exec systemctl.real "$@"
"""


def test_a_change_that_was_killed_is_undone_or_finished_and_the_rerun_converges(
    host: Host,
) -> None:
    """rpm, and all that has started it, is killed while its script restarts the daemon."""
    target = host.target
    target.sh("mv /usr/bin/systemctl /usr/bin/systemctl.real")
    target.write("/usr/bin/systemctl", _HANGS)
    target.sh("chmod 755 /usr/bin/systemctl")
    deploy = threading.Thread(target=host.deploy, args=("2.1.9",))
    deploy.start()
    deadline = time.monotonic() + 300
    while target.try_sh("[ -e /root/hangs ]")[0] != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    target.sh(
        # what runs here has no such words, and what the deploy has sent has
        "pkill -9 -f '[P]OSIXLY_CORRECT'; pkill -9 -x rpm; pkill -9 -x sleep; rm /root/hangs\n"
        "mv /usr/bin/systemctl.real /usr/bin/systemctl"
    )
    deploy.join()
    assert len(host.packages()) == 2
    assert target.sh(f"ls {CHANGE}/back.sh")
    with target.cri() as cri:
        assert cri.conditions()["RuntimeReady"]
    result = host.deploy("2.1.9")
    assert "a change was interrupted" in result.output, result.output
    assert result.returncode == 0, result.output
    host.serves("2.1.9")
    assert target.sh("rpm -V --noconfig containerd runc") == ""
    assert target.try_sh(f"ls {CHANGE}")[0] != 0
    host.becomes("1.7.24")


def test_without_a_way_back_nothing_is_changed(host: Host) -> None:
    target, before = host.target, state(host)
    target.sh(
        f"mkdir -p /root/away {STORE}; mv /srv/rpm/distribution/containerd-1.7.24-1.*.rpm "
        f"/root/away/; rm -f {STORE}/containerd-*; find /var/cache -name 'containerd-1.7*' -delete"
    )
    refused = host.deploy("2.1.9")
    assert refused.returncode != 0
    assert "without it there is no way back: put containerd-1.7.24-1.x86_64.rpm" in refused.output
    assert state(host) == before
    # as it says
    target.sh(f"cp /root/away/* {STORE}/")
    assert host.deploy("2.1.9").returncode == 0
    host.serves("2.1.9")
    target.sh("mv /root/away/* /srv/rpm/distribution/")
    host.becomes("1.7.24")
    assert target.sh(f"ls {STORE}/containerd*").split() == [
        f"{STORE}/containerd-1.7.24-1.x86_64.rpm"
    ]
