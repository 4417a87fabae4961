"""cri-dockerd as Mirantis releases it: its package, and its archive.

The program is a stand-in (``stand_ins/cri-dockerd``, in Python, over the real Docker Engine), or
the real one where ``KUBENODE_TEST_CRI_DOCKERD`` names a folder with ``cri-dockerd`` in it. The
package has the relations, paths and units of the original.

Source: Mirantis/cri-dockerd, packaging/deb, packaging/static and packaging/systemd at 0.4.3.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from kubenode.runtimes.docker import cri_archive
from tests.repositories.releases import Release

VARIABLE = "KUBENODE_TEST_CRI_DOCKERD"
VERSION = "0.4.3"
STAND_IN = Path(__file__).parent / "stand_ins" / "cri-dockerd"
NEEDS = ("python3-grpcio", "python3-protobuf")
"""What the stand-in runs by, as Debian's packages."""

_PROTO = Path(__file__).parents[1] / "targets" / "cri.proto"
_MESSAGES = "cri-dockerd-stand-in.binpb"


def real() -> Path | None:
    """The real program; None where the variable names none."""
    stated = os.environ.get(VARIABLE)
    return Path(stated) / "cri-dockerd" if stated else None


def version() -> str:
    """The release that tests install."""
    program = real()
    if program is None:
        return VERSION
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[1]


def needs() -> tuple[str, ...]:
    """Packages that a host needs for it, besides its own."""
    return NEEDS if real() is None else ()


def programs(says: str | None = None) -> dict[str, tuple[bytes, int]]:
    """The program and what it needs beside it, by name, with their modes.

    + says: what the stand-in says is its version
    """
    if program := real():
        return {"cri-dockerd": (program.read_bytes(), 0o755)}
    text = STAND_IN.read_text()
    minimum = "(1, 42)" if (says or VERSION) >= "0.4" else "(1, 24)"
    for name, value in (
        ("@VERSION@", says or VERSION),
        ("@MINIMUM_API@", minimum),
        # an archive's program has nothing beside it
        ("@MESSAGES@", f"/usr/local/lib/{_MESSAGES}"),
    ):
        text = text.replace(name, value)
    return {"cri-dockerd": (text.encode(), 0o755)}


def messages() -> tuple[str, bytes]:
    """Path on a host and content of what the stand-in knows the CRI by."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "cri.binpb")
        command = [
            sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={_PROTO.parent}",
            f"--descriptor_set_out={output}", _PROTO.name,
        ]  # fmt: skip
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return f"/usr/local/lib/{_MESSAGES}", output.read_bytes()


def archive(folder: Path, says: str | None = None, program: bytes | None = None) -> Release:
    """An archive as upstream has it: the program in a folder of its name, and no units.

    + folder: where it is put
    + says: what a stand-in says is its version
    + program: another one than the stand-in or the real one
    """
    packed_programs = programs(says) if program is None else {"cri-dockerd": (program, 0o755)}
    stated = says or version()
    path = folder / f"cri-dockerd-{stated}.amd64.tgz"
    # the same each time, to the byte
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, (content, mode) in packed_programs.items():
            info = tarfile.TarInfo(f"cri-dockerd/{name}")
            info.size, info.mode, info.uid, info.uname = len(content), mode, 1001, "runner"
            tar.addfile(info, io.BytesIO(content))
    return Release(stated, path)


def package(folder: Path) -> Path:
    """The ``.deb``, with the original's relations.

    + folder: where it is put
    """
    stated = f"{version()}.3-0.debian-bookworm"
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    deb = folder / f"cri-dockerd_{stated}_{architecture}.deb"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        root = Path(work, "root")
        files = {f"usr/bin/{name}": (content, mode) for name, (content, mode) in programs().items()}
        for name, text in cri_archive.UNITS.items():
            unit = text.replace(cri_archive.LINK, "/usr/bin/cri-dockerd")
            files[f"lib/systemd/system/{name}"] = (unit.encode(), 0o644)
        depends = ["containerd (>= 1.2.2-3) | containerd.io (>= 1.2.2-3)", "iptables", *needs()]
        control = (
            f"Package: cri-dockerd\nVersion: 3:{stated}\nArchitecture: {architecture}\n"
            f"Depends: {', '.join(depends)}\n"
            "Section: admin\nPriority: optional\n"
            "Maintainer: kubenode's tests <test@example.org>\n"
            "Description: CRI for Docker Engine\n"
        )
        files["DEBIAN/control"] = (control.encode(), 0o644)
        for name, (content, mode) in files.items():
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod(mode)
        command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(root), str(deb)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return deb


def sum_of(release: Release) -> str:
    """An archive's sha256."""
    return hashlib.sha256(release.path.read_bytes()).hexdigest()
