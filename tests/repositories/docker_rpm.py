"""RPMs of Docker Engine as Docker, Mirantis, Fedora and openSUSE package it, around Debian's real
binaries, see :mod:`tests.repositories.docker_engine`, and of cri-dockerd as Mirantis does.

They are built and signed on a host of :mod:`tests.targets.rpm_image`, which has rpmbuild and a key.
They have the relations, the paths, the units and the scripts of the originals; what they ask of a
host's userland is left out where that is no package of RPM's. containerd.io is the host's image's.

Sources: docker/packaging, pkg/docker-engine/rpm and pkg/docker-cli/rpm; Mirantis/cri-dockerd,
packaging/rpm; the spec files of Fedora's moby-engine and openSUSE's docker.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kubenode.runtimes.docker import cri_archive
from tests.repositories import binaries, cri_dockerd
from tests.repositories.docker_engine import CE, CLIENT, MCR, SOCKET, UNIT
from tests.targets.container import Target

OLDER, NEWER = "28.5.1", "28.5.2"
"""Releases by name: the binaries in both are the host's Debian release's."""

_BUILD = """\
set -eu
export GNUPGHOME=/srv/rpm/private
cd /srv/rpm/{folder}
for spec in *.spec; do
  rpmbuild -bb --quiet "$spec" --define '_topdir /build' --define '_rpmdir /srv/rpm/{folder}' \
    --define '_rpmfilename %{{NVRA}}.rpm' --define '_build_id_links none' \
    --define 'debug_package %{{nil}}' --define '__os_install_post %{{nil}}' \
    --define '_binary_payload w1.zstdio'
done
rm -r *.spec tree-*
rpmsign --define '_gpg_name good@kubenode.test' --addsign *.rpm >/dev/null
{besides}
createrepo_c --quiet .
gpg --batch --quiet --local-user good@kubenode.test --armor --detach-sign repodata/repomd.xml
"""

# what systemd's macros make of it
_SCRIPTS = """\
%post
if [ $1 -eq 1 ]; then systemctl --no-reload preset {service} || :; fi
{post}
%preun
if [ $1 -eq 0 ]; then systemctl --no-reload disable --now {service} {socket} || :; fi

%postun
systemctl daemon-reload || :
if [ $1 -ge 1 ]; then systemctl try-restart {service} || :; fi
"""
_GROUP = "getent group docker >/dev/null || groupadd --system docker"

_FEDORA_OPTIONS = """\
# /etc/sysconfig/docker

# Modify these options if you want to change the way the docker daemon runs
OPTIONS="--live-restore \\
  --default-ulimit nofile=1024:1024 \\
  --userland-proxy-path /usr/bin/docker-proxy \\
"
"""
_START = "ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"
_OF_FEDORA = UNIT.replace(
    _START,
    "EnvironmentFile=-/etc/sysconfig/docker\nExecStart=/usr/bin/dockerd --host=fd:// $OPTIONS",
)
_OF_SUSE = UNIT.replace(
    _START,
    "EnvironmentFile=/etc/sysconfig/docker\nExecStart=/usr/bin/dockerd "
    "--add-runtime oci=/usr/bin/runc $DOCKER_NETWORK_OPTIONS $DOCKER_OPTS",
)


@dataclass(frozen=True)
class _Rpm:
    """A package: its relations, and its files, of which a path without content is Debian's."""

    name: str
    version: str
    epoch: int = 0
    relations: Sequence[str] = ()
    files: Mapping[str, str | None] = field(default_factory=dict)
    scripts: str = ""


def served(target: Target, kind: str) -> dict[str, str]:
    """Repositories on the host, by name: ``docker``, ``mcr``, ``distribution``, ``cri-dockerd`` and
    ``podman``, which has podman-docker.

    + target: the host that builds them; each is a folder of it, as a ``file`` URL
    + kind: of :data:`tests.targets.rpm_image.SUITES`; zypper's host has openSUSE's package, the
      others Fedora's
    """
    _debians(target)
    built = {
        "docker": [*_of_docker(CE.engine, OLDER), *_of_docker(CE.engine, NEWER)],
        "mcr": _of_docker(MCR.engine, NEWER),
        "distribution": _suse() if kind == "zypper" else _fedora(),
        "cri-dockerd": [_cri_dockerd()],
        "podman": [_podman_docker()],
    }
    return {
        name: _repository(target, f"engine-{name}", rpms, containerd=name in ("docker", "mcr"))
        for name, rpms in built.items()
    }


def _of_docker(engine: str, version: str) -> list[_Rpm]:
    edition = CE if engine == CE.engine else MCR
    others = ["docker-ee"] if edition is CE else ["docker-ce"]
    conflicts = [f"Conflicts: {name}" for name in ("docker", "docker-io", *others)]
    return [
        _Rpm(
            edition.engine,
            version,
            3,
            [
                "Requires: containerd.io >= 1.6.4",
                "Requires: container-selinux",
                f"Requires: {edition.cli}",
                *conflicts,
            ],
            _engine_files(UNIT),
            _SCRIPTS.format(service="docker.service", socket="docker.socket", post=_GROUP),
        ),
        _Rpm(
            edition.cli,
            version,
            1,
            [*conflicts, f"Conflicts: {others[0]}-cli"],
            _client_files(edition.platform),
        ),
    ]


def _fedora() -> list[_Rpm]:
    conflicts = [f"Conflicts: {name}" for name in ("docker-ce", "docker-ce-cli", "docker-ee")]
    return [
        _Rpm(
            "moby-engine",
            NEWER,
            0,
            ["Requires: containerd", "Requires: runc", "Provides: docker", *conflicts],
            {**_engine_files(_OF_FEDORA), "/etc/sysconfig/docker": _FEDORA_OPTIONS},
            _SCRIPTS.format(service="docker.service", socket="docker.socket", post=_GROUP),
        ),
        _Rpm("docker-cli", NEWER, 0, conflicts[1:2], _client_files(None)),
    ]


def _suse() -> list[_Rpm]:
    return [
        _Rpm(
            "docker",
            f"{NEWER}_ce",
            0,
            ["Requires: containerd", "Requires: runc", "Requires: docker-buildx"],
            {
                **_engine_files(_OF_SUSE),
                **_client_files(None),
                "/etc/sysconfig/docker": 'DOCKER_OPTS=""\n',
                "/etc/docker/daemon.json": '{\n  "log-level": "warn"\n}\n',
            },
            _SCRIPTS.format(service="docker.service", socket="docker.socket", post=_GROUP),
        ),
        _Rpm(
            "docker-buildx",
            "0.33.0",
            0,
            [f"Requires: docker >= {NEWER}_ce"],
            {"/usr/lib/docker/cli-plugins/README": "a stand-in\n"},
        ),
    ]


def _cri_dockerd() -> _Rpm:
    [(name, (content, _))] = cri_dockerd.programs().items()
    units = {
        f"/usr/lib/systemd/system/{unit}": text.replace(cri_archive.LINK, "/usr/bin/cri-dockerd")
        for unit, text in cri_archive.UNITS.items()
    }
    program = None if cri_dockerd.real() else content.decode()
    return _Rpm(
        "cri-dockerd",
        cri_dockerd.version(),
        3,
        ["Requires: containerd.io >= 1.2.2", "Requires: container-selinux"],
        {f"/usr/bin/{name}": program, **units},
        _SCRIPTS.format(service="cri-docker.service", socket="", post=""),
    )


def _podman_docker() -> _Rpm:
    conflicts = [f"Conflicts: {name}" for name in ("docker", "docker-ce", "docker-ee")]
    return _Rpm("podman-docker", "5.6.2", 3, conflicts, {"/usr/bin/docker": "#!/bin/sh\n"})


def _engine_files(unit: str) -> dict[str, str | None]:
    return {
        "/usr/bin/dockerd": None,
        "/usr/bin/docker-proxy": None,
        "/usr/lib/systemd/system/docker.service": unit,
        "/usr/lib/systemd/system/docker.socket": SOCKET,
    }


def _client_files(platform: str | None) -> dict[str, str | None]:
    if platform is None:
        return {"/usr/bin/docker": None}
    return {
        "/usr/bin/docker": CLIENT.replace("@PLATFORM@", platform),
        "/usr/libexec/docker/docker-of-debian": None,
    }


def _debians(target: Target) -> None:
    """Debian's binaries come to the host, by the names of the files that they become."""
    for package in ("docker.io", "docker-cli"):
        target.put(binaries.fetched(target.suite, package), f"/root/{package}.deb")
    target.sh(
        "mkdir -p /srv/debian; cd /srv/debian\n"
        "for deb in /root/docker*.deb; do /opt/debian/bin/dpkg-deb -x $deb parts; done\n"
        "mv parts/usr/sbin/dockerd parts/usr/sbin/docker-proxy .; mv parts/usr/bin/docker .\n"
        "ln docker docker-of-debian; rm -r parts /root/docker*.deb"
    )
    if program := cri_dockerd.real():
        target.put(program, "/srv/debian/cri-dockerd")


def _repository(target: Target, folder: str, rpms: Iterable[_Rpm], *, containerd: bool) -> str:
    place = f"/srv/rpm/{folder}"
    for rpm in rpms:
        tree = f"{place}/tree-{rpm.name}-{rpm.version}"
        for path, content in rpm.files.items():
            if content is None:
                debians = f"/srv/debian/{path.rpartition('/')[2]}"
                target.sh(f"install -D -m 755 {debians} {shlex.quote(tree + path)}")
            else:
                target.write(f"{tree}{path}", content)
                target.sh(f"chmod {'755' if '/bin/' in path else '644'} {shlex.quote(tree + path)}")
        target.write(f"{place}/{rpm.name}-{rpm.version}.spec", _spec(rpm, tree))
    besides = "cp /srv/rpm/docker/containerd.io-*.rpm ." if containerd else ""
    target.sh(_BUILD.format(folder=folder, besides=besides))
    return f"file://{place}"


def _spec(rpm: _Rpm, tree: str) -> str:
    listed = "".join(
        f"{'%config(noreplace) ' if path.startswith('/etc/') else ''}{path}\n" for path in rpm.files
    )
    epoch = f"Epoch: {rpm.epoch}\n" if rpm.epoch else ""
    relations = "".join(f"{line}\n" for line in rpm.relations)
    return (
        f"Name: {rpm.name}\nVersion: {rpm.version}\nRelease: 1\n{epoch}"
        f"Summary: {rpm.name} of kubenode's tests\nLicense: none\nAutoReqProv: no\n{relations}"
        "%description\nDebian's binaries.\n"
        f"%install\ncp -a {tree}/. %{{buildroot}}/\n{rpm.scripts}%files\n{listed}"
    )
