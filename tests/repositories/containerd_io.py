"""``containerd.io`` as Docker packages it, around Debian's real binaries.

It has the relations, the conffile, the paths and the scripts of the original: it provides,
conflicts with and replaces ``containerd`` and ``runc``, brings its own runc, its config.toml has no
``version`` line and disables CRI, and its upgrade restarts the daemon.

Source: docker/packaging, pkg/containerd/deb and pkg/containerd/common.
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

CONFIG = """\
# Configuration of containerd.

disabled_plugins = ["cri"]

#root = "/var/lib/containerd"
#state = "/run/containerd"
#subreaper = true
#oom_score = 0

#[grpc]
#  address = "/run/containerd/containerd.sock"

#[debug]
#  level = "info"
"""

# what debhelper makes of dh_installsystemd
_POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  # no part of the original: a target's wrapper of runc calls the real one by this name
  if [ -e /usr/sbin/runc ] && [ ! -e /usr/sbin/runc.real ]; then
    ln -sf ../bin/runc /usr/sbin/runc.real
  fi
  if deb-systemd-helper --quiet was-enabled containerd.service; then
    deb-systemd-helper enable containerd.service >/dev/null || true
  else
    deb-systemd-helper update-state containerd.service >/dev/null || true
  fi
  if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    if [ -n "$2" ]; then action=restart; else action=start; fi
    deb-systemd-invoke $action containerd.service >/dev/null || true
  fi
fi
"""
_PRERM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -L /usr/sbin/runc.real ]; then rm /usr/sbin/runc.real; fi
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
  deb-systemd-invoke stop containerd.service >/dev/null || true
fi
"""
_POSTRM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ] && [ -x /usr/bin/deb-systemd-helper ]; then
  deb-systemd-helper purge containerd.service >/dev/null || true
fi
"""


@dataclass(frozen=True)
class Release:
    """A release of containerd.io.

    + binaries: the Debian release whose containerd is in it
    + version: of the package, ``{host}`` and ``{number}`` stand for the release it is built for
    """

    binaries: str
    version: str

    def version_for(self, suite: str) -> str:
        """Its version as built for a host of a Debian release."""
        number = {"bookworm": "12", "trixie": "13", "forky": "14"}[suite]
        return self.version.format(host=suite, number=number)


# Docker's lines up to 1.7 have a plain revision
RELEASES = {
    "1.6": Release("bookworm", "1.6.20-1"),
    "1.7": Release("trixie", "1.7.24-1"),
    "2.1": Release("forky", "2.1.9-1~debian.{number}~{host}"),
}
"""By series, what can be built."""


def built(series: str, suite: str, version: str | None = None) -> Path:
    """A ``.deb`` of containerd.io, built once a checkout.

    + series: of :data:`RELEASES`
    + suite: the Debian release of the host it is for: its libc must do for the runc in it
    + version: another version than the release's, for one that is newer or older by name alone
    """
    release = RELEASES[series]
    version = version or release.version_for(suite)
    containerd = binaries.fetched(release.binaries, "containerd")
    runc = binaries.fetched(suite, "runc")
    seed = f"{version}\0{containerd.name}\0{runc.name}\0".encode() + Path(__file__).read_bytes()
    folder = binaries.CACHE / "containerd.io" / hashlib.sha256(seed).hexdigest()[:12]
    architecture = _field(containerd, "Architecture")
    deb = folder / f"containerd.io_{version}_{architecture}.deb"
    if not deb.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            _build(Path(work), containerd, runc, version, architecture)
            os.replace(Path(work, "built.deb"), deb)
    return deb


def _field(deb: Path, name: str) -> str:
    return subprocess.check_output(["dpkg-deb", "-f", str(deb), name], text=True).strip()


def _build(work: Path, containerd: Path, runc: Path, version: str, architecture: str) -> None:
    root, parts = work / "root", work / "parts"
    for deb in (containerd, runc):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(parts)], check=True)
    (root / "usr/bin").mkdir(parents=True)
    for program in ("containerd", "containerd-shim-runc-v2", "ctr"):
        shutil.copy2(parts / "usr/bin" / program, root / "usr/bin" / program)
    shutil.copy2(parts / "usr/sbin/runc", root / "usr/bin/runc")
    unit = next(parts.glob("**/systemd/system/containerd.service"))
    (root / "usr/lib/systemd/system").mkdir(parents=True)
    shutil.copy2(unit, root / "usr/lib/systemd/system/containerd.service")
    (root / "etc/containerd").mkdir(parents=True)
    (root / "etc/containerd/config.toml").write_text(CONFIG)
    control = root / "DEBIAN"
    control.mkdir()
    depends = {
        each.strip()
        for deb in (containerd, runc)
        for each in _field(deb, "Depends").split(",")
        if not each.strip().startswith("runc")
    }
    (control / "control").write_text(
        f"Package: containerd.io\nVersion: {version}\nArchitecture: {architecture}\n"
        f"Depends: {', '.join(sorted(depends))}\n"
        "Provides: containerd, runc\nConflicts: containerd, runc\nReplaces: containerd, runc\n"
        "Section: devel\nPriority: optional\nMaintainer: kubenode's tests <test@example.org>\n"
        "Description: An open and reliable container runtime\n"
    )
    (control / "conffiles").write_text("/etc/containerd/config.toml\n")
    for name, text in {"postinst": _POSTINST, "prerm": _PRERM, "postrm": _POSTRM}.items():
        (control / name).write_text(text)
        (control / name).chmod(0o755)
    for path in root.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    for path in (root / "etc/containerd/config.toml", control / "control", control / "conffiles"):
        path.chmod(0o644)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(root), f"{work}/built.deb"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
