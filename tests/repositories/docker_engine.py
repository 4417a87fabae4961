"""``docker-ce`` and ``docker-ee`` as their vendors package them, around Debian's real binaries.

They have the relations, the paths, the units and the scripts of the originals, and the daemon in
them is Debian's own, which names no platform. So the client is a stand-in where it matters: a line
of sh that puts the platform's name into what Debian's client says.

Sources: docker/packaging, pkg/docker-engine and pkg/docker-cli; docs.mirantis.com, mcr;
Mirantis/launchpad, pkg/configurer/ubuntu.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.repositories import binaries

_OTHERS = "docker (<< 1.5~), docker-engine, docker-engine-cs, docker.io"


@dataclass(frozen=True)
class Edition:
    """What a vendor makes of it.

    + engine, cli: names of the packages
    + platform: what it calls itself
    + relations: of the engine's package, beside what its binaries need
    + cli_relations: of the client's
    """

    engine: str
    cli: str
    platform: str
    relations: str
    cli_relations: str


CE = Edition(
    "docker-ce",
    "docker-ce-cli",
    "Docker Engine - Community",
    f"Depends: containerd.io (>= 1.6.4), docker-ce-cli, iptables\nConflicts: {_OTHERS}\n",
    f"Conflicts: {_OTHERS}\n",
)
# the client is only recommended there
MCR = Edition(
    "docker-ee",
    "docker-ee-cli",
    "Mirantis Container Runtime",
    f"Depends: containerd.io (>= 1.6.4), iptables\nRecommends: docker-ee-cli\n"
    f"Conflicts: docker-ce, {_OTHERS}\nReplaces: docker-ce\n",
    f"Conflicts: docker-ce-cli, {_OTHERS}\nReplaces: docker-ce-cli\n",
)

UNIT = """\
[Unit]
Description=Docker Application Container Engine
Documentation=https://docs.docker.com
After=network-online.target nss-lookup.target docker.socket firewalld.service containerd.service
Wants=network-online.target containerd.service
Requires=docker.socket

[Service]
Type=notify
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutStartSec=0
RestartSec=2
Restart=always
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
Delegate=yes
KillMode=process
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""

SOCKET = """\
[Unit]
Description=Docker Socket for the API

[Socket]
ListenStream=/run/docker.sock
SocketMode=0660
SocketUser=root
SocketGroup=docker

[Install]
WantedBy=sockets.target
"""

# what debhelper makes of dh_installsystemd
_POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  if [ -z "$2" ] && ! getent group docker >/dev/null; then groupadd --system docker; fi
  for unit in docker.service docker.socket; do
    deb-systemd-helper unmask $unit >/dev/null || true
    if deb-systemd-helper --quiet was-enabled $unit; then
      deb-systemd-helper enable $unit >/dev/null || true
    else
      deb-systemd-helper update-state $unit >/dev/null || true
    fi
  done
  if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    if [ -n "$2" ]; then action=restart; else action=start; fi
    deb-systemd-invoke $action docker.service docker.socket >/dev/null || true
  fi
fi
"""
_PRERM = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
  deb-systemd-invoke stop docker.service docker.socket >/dev/null || true
fi
"""
_POSTRM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ]; then
  deb-systemd-helper purge docker.service docker.socket >/dev/null || true
fi
"""

# Debian's daemon names none
CLIENT = """\
#!/bin/sh
# a stand-in for the vendor's build, which has its platform's name compiled in
case " $* " in
  *" version "*)
    said=$(/usr/libexec/docker/docker-of-debian "$@"); status=$?
    printf '%s\\n' "$said" | sed -e 's/"Server":{"Platform":{[^}]*},/"Server":{/' \\
      -e 's/"Server":{/&"Platform":{"Name":"@PLATFORM@"},/'
    exit $status;;
esac
exec /usr/libexec/docker/docker-of-debian "$@"
"""


def built(edition: Edition, suite: str) -> tuple[Path, Path]:
    """The ``.deb`` of the engine and that of its client, built once a checkout.

    + edition: :data:`CE` or :data:`MCR`
    + suite: the Debian release whose binaries are in them
    """
    engine = binaries.fetched(suite, "docker.io")
    # up to Debian 12 the client is in the same package
    client = engine if suite == "bookworm" else binaries.fetched(suite, "docker-cli")
    release = _field(engine, "Version").partition("+")[0]
    version = f"5:{release}-1~debian~{suite}"
    seed = f"{edition}\0{engine.name}\0".encode() + Path(__file__).read_bytes()
    folder = binaries.CACHE / "docker" / hashlib.sha256(seed).hexdigest()[:12]
    architecture = _field(engine, "Architecture")
    debs = tuple(
        folder / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
        for name in (edition.engine, edition.cli)
    )
    for deb, build in zip(debs, (_engine, _client), strict=True):
        if not deb.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as work:
                root = Path(work, "root")
                control = build(edition, root, engine if build is _engine else client, Path(work))
                _pack(root, f"Version: {version}\nArchitecture: {architecture}\n{control}")
                os.replace(Path(work, "built.deb"), deb)
    return debs[0], debs[1]


def _engine(edition: Edition, root: Path, deb: Path, work: Path) -> str:
    parts = _parts(deb, work)
    (root / "usr/bin").mkdir(parents=True)
    for program in ("dockerd", "docker-proxy"):
        shutil.copy2(parts / "usr/sbin" / program, root / "usr/bin" / program)
    for name, text in (("docker.service", UNIT), ("docker.socket", SOCKET)):
        place = root / "lib/systemd/system" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (root / "DEBIAN").mkdir()
    for name, text in {"postinst": _POSTINST, "prerm": _PRERM, "postrm": _POSTRM}.items():
        (root / "DEBIAN" / name).write_text(text)
        (root / "DEBIAN" / name).chmod(0o755)
    # what Debian's binaries are linked with
    needed = [each for each in _field(deb, "Depends").split(", ") if each.startswith("lib")]
    relations = edition.relations.replace("Depends: ", f"Depends: {', '.join(needed)}, ")
    return f"Package: {edition.engine}\n{relations}"


def _client(edition: Edition, root: Path, deb: Path, work: Path) -> str:
    parts = _parts(deb, work)
    for place in ("usr/bin", "usr/libexec/docker", "DEBIAN"):
        (root / place).mkdir(parents=True)
    shutil.copy2(parts / "usr/bin/docker", root / "usr/libexec/docker/docker-of-debian")
    own = root / "usr/bin/docker"
    own.write_text(CLIENT.replace("@PLATFORM@", edition.platform))
    own.chmod(0o755)
    return f"Package: {edition.cli}\n{edition.cli_relations}"


def _parts(deb: Path, work: Path) -> Path:
    subprocess.run(["dpkg-deb", "-x", str(deb), str(work / "parts")], check=True)
    return work / "parts"


def _field(deb: Path, name: str) -> str:
    return subprocess.check_output(["dpkg-deb", "-f", str(deb), name], text=True).strip()


def _pack(root: Path, control: str) -> None:
    (root / "DEBIAN/control").write_text(
        f"{control}Section: admin\nPriority: optional\n"
        "Maintainer: kubenode's tests <test@example.org>\n"
        "Description: Docker Engine of kubenode's tests\n"
    )
    (root / "DEBIAN/control").chmod(0o644)
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(root)]
    subprocess.run(
        [*command, str(root.parent / "built.deb")], check=True, stdout=subprocess.DEVNULL
    )
