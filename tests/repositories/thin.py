"""Packages of containerd that are built and unpacked in no time: their programs are elsewhere.

What is in them is Debian's, with its control file, scripts, conffile and unit; but each program is
a line of sh that runs the real one, which :func:`programs` has put on the host. So a test can make
many packages, each with something else that is wrong.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.repositories import binaries
from tests.targets.container import Target

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")
PLACE = "/opt/kubenode-test"


def programs(target: Target, suite: str) -> None:
    """Have the real programs of a Debian release's containerd on a host, below :data:`PLACE`.

    + suite: Debian code name
    """
    folder = Path(f"/proc/{target.pid}/root{PLACE}/{suite}")
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(
            ["dpkg-deb", "-x", binaries.fetched(suite, "containerd"), unpacked], check=True
        )
        folder.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:
            subprocess.run(
                ["cp", "--sparse=never", f"{unpacked}/usr/bin/{name}", folder], check=True
            )


def wrapped(suite: str, name: str, before: str = "") -> str:
    """The program of a package.

    + suite: whose containerd it runs
    + name: of :data:`PROGRAMS`
    + before: sh that runs first
    """
    return f'#!/bin/sh\n{before}\nexec {PLACE}/{suite}/{name} "$@"\n'


def built(
    folder: Path,
    suite: str,
    version: str,
    *,
    files: Mapping[str, str] | None = None,
    scripts: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
) -> Path:
    """A ``.deb`` of containerd.

    + folder: where it is put
    + suite: the Debian release whose containerd it is
    + version: of the package
    + files: further files by path, or other content of those that there are
    + scripts: sh by maintainer script, which runs before what Debian's does
    + fields: of the control file, such as ``Depends``
    """
    control = {**_control(suite), "Version": version, **(fields or {})}
    with tempfile.TemporaryDirectory(dir=folder) as work:
        root = Path(work, "root")
        debian = root / "DEBIAN"
        subprocess.run(["cp", "-a", _skeleton(suite), root], check=True)
        (debian / "control").write_text("".join(f"{k}: {v}\n" for k, v in control.items() if v))
        for name, text in (scripts or {}).items():
            script = debian / name
            old = script.read_text().partition("\n")[2] if script.exists() else ""
            script.write_text(f"#!/bin/sh\n{text}\n{old}")
            script.chmod(0o755)
        (root / "usr/bin").mkdir(exist_ok=True)
        contents = {f"/usr/bin/{name}": wrapped(suite, name) for name in PROGRAMS}
        for path, text in {**contents, **(files or {})}.items():
            place = Path(f"{root}{path}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            place.chmod(0o755 if "/bin/" in path else 0o644)
        deb = folder / f"{control['Package']}_{version}_{control['Architecture']}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", root, deb],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return deb


@functools.cache
def _control(suite: str) -> dict[str, str]:
    deb = binaries.fetched(suite, "containerd")
    names = ("Package", "Architecture", "Maintainer", "Depends", "Breaks", "Section", "Priority")
    found = {
        name: subprocess.check_output(["dpkg-deb", "-f", deb, name], text=True).strip()
        for name in names
    }
    return {**found, "Description": "containerd of kubenode's tests"}


@functools.cache
def _skeleton(suite: str) -> str:
    """All of Debian's package but its programs; it stays as long as this process."""
    folder = tempfile.mkdtemp(prefix="kubenode-thin-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    deb = binaries.fetched(suite, "containerd")
    subprocess.run(["dpkg-deb", "-R", deb, f"{folder}/all"], check=True)
    kept = Path(folder, "kept")
    kept.mkdir()
    for part in ("DEBIAN", "etc", "usr/lib/systemd"):
        (kept / part).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", f"{folder}/all/{part}", kept / part], check=True)
    shutil.rmtree(f"{folder}/all")
    (kept / "DEBIAN/md5sums").unlink()
    kept.chmod(0o755)
    return str(kept)
