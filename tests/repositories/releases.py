"""Release archives in upstream's layout, around real binaries: Debian's, or upstream's own.

A variable names a folder with upstream's, ``KUBENODE_TEST_CONTAINERD=FOLDER``: each release in a
folder of its version, as ``FOLDER/2.3.4/containerd``, ``containerd-shim-runc-v2`` and ``ctr``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from tests.repositories import binaries

PLUGINS = ("bridge", "host-local", "loopback", "portmap")
"""Of a release's twenty."""

VARIABLE = "KUBENODE_TEST_CONTAINERD"
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")

# what a target's pods are started by: it calls the runc of the host's package
RUNC = Path(__file__).parents[1] / "targets" / "rootfs" / "usr" / "sbin" / "runc"


@dataclass(frozen=True)
class Release:
    """An archive of containerd."""

    version: str
    path: Path

    @property
    def sha256(self) -> str:
        """Its sum."""
        return sum_of(self.path)


def sum_of(path: Path) -> str:
    """A file's sha256."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def of_debian(suite: str, folder: Path) -> Release:
    """The containerd of a Debian release, as upstream would archive it.

    + suite: Debian code name
    + folder: where the archive is put
    """
    deb = binaries.fetched(suite, "containerd")
    found = re.match(r"containerd_([0-9.]+)", deb.name)
    assert found, deb.name
    cached = binaries.CACHE / "archives" / _name(found[1])
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as own:
            packed(found[1], programs_of_debian(suite), Path(own)).path.rename(cached)
    path = folder / cached.name
    if not path.exists():
        shutil.copyfile(cached, path)
    return Release(found[1], path)


def programs_of_debian(suite: str) -> dict[str, bytes]:
    """What is in that archive, by name."""
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(
            ["dpkg-deb", "-x", binaries.fetched(suite, "containerd"), unpacked], check=True
        )
        return {name: Path(unpacked, "usr/bin", name).read_bytes() for name in PROGRAMS}


def plugins_of_debian(suite: str, folder: Path) -> Release:
    """The CNI plugins of a Debian release, as upstream would archive them.

    + suite: Debian code name
    + folder: where the archive is put
    """
    deb = binaries.fetched(suite, "containernetworking-plugins")
    found = re.match(r"containernetworking-plugins_([0-9.]+)", deb.name)
    assert found, deb.name
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(["dpkg-deb", "-x", deb, unpacked], check=True)
        files = {f"./{name}": Path(unpacked, "usr/lib/cni", name).read_bytes() for name in PLUGINS}
    path = folder / f"cni-plugins-linux-amd64-v{found[1]}.tgz"
    pack(path, {**files, "./LICENSE": b"", "./README.md": b"plugins\n"})
    return Release(found[1], path)


def debians_runc(suite: str) -> bytes:
    """The runc of a Debian release."""
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(["dpkg-deb", "-x", binaries.fetched(suite, "runc"), unpacked], check=True)
        return Path(unpacked, "usr/sbin/runc").read_bytes()


def of_upstream(folder: Path) -> list[Release]:
    """The releases that the variable leads to, the oldest first; none where it is not set.

    + folder: where the archives are put
    """
    stated = os.environ.get(VARIABLE)
    if not stated:
        return []
    found = sorted(Path(stated).glob("*/containerd"), key=lambda path: Version(path.parent.name))
    return [
        packed(
            path.parent.name,
            {name: (path.parent / name).read_bytes() for name in PROGRAMS},
            folder,
        )
        for path in found
    ]


def packed(version: str, programs: Mapping[str, bytes], folder: Path) -> Release:
    """An archive of programs, below ``bin/`` and of some user as upstream's are.

    + version: what the archive's name says
    + programs: their content by name
    + folder: where it is put
    """
    path = folder / _name(version)
    pack(path, {f"bin/{name}": content for name, content in programs.items()})
    return Release(version, path)


def _name(version: str) -> str:
    return f"containerd-{version}-linux-amd64.tar.gz"


def pack(path: Path, files: Mapping[str, bytes]) -> None:
    """Make an archive of files, of some user as upstream's are."""
    with (
        gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid = len(content), 0o755, 1001
            tar.addfile(member, io.BytesIO(content))


def stated(release: Release, url: str, runc: Path | None = RUNC) -> dict[str, Any]:
    """What a setting says of a release; each architecture has the same file here.

    + release: the archive
    + url: of the folder that has it, an address or a path
    + runc: a file beside it, None for none
    """
    fields: dict[str, Any] = {
        "version": release.version,
        "containerd": {
            "url": f"{url}/{release.path.name}",
            "sha256": {"amd64": release.sha256},
        },
    }
    if runc is not None:
        fields["runc"] = {"url": f"{url}/{runc.name}", "sha256": {"amd64": sum_of(runc)}}
    return fields
