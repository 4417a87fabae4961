"""A repository for apt in a folder: index and signature over ``.deb`` files."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from tests.repositories.keys import Key


class AptRepository:
    """Packages of one suite and one component below a folder.

    + folder: where it is, ``url`` is what leads there
    + suite: its code name, such as ``trixie``
    + component: such as ``stable``
    """

    def __init__(self, folder: Path, suite: str, component: str = "stable") -> None:
        self.folder = folder
        self.suite = suite
        self.component = component
        self._pool = folder / "pool" / suite.strip("/")
        self._pool.mkdir(parents=True, exist_ok=True)

    @property
    def releases(self) -> Path:
        """The folder of ``Release`` and ``InRelease``."""
        return self.folder / "dists" / self.suite

    def add(self, deb: Path) -> None:
        """Have a package in it, once it is published again."""
        place = self._pool / deb.name
        if place.exists():
            return
        try:
            place.hardlink_to(deb)
        except OSError:
            shutil.copyfile(deb, place)

    def remove(self, pattern: str) -> None:
        """Have the packages that match no more, once it is published again."""
        for deb in self._pool.glob(pattern):
            deb.unlink()

    def publish(
        self,
        key: Key,
        *,
        date: datetime | None = None,
        valid_for: timedelta | None = None,
    ) -> None:
        """Make the index of what is in it now, and sign that.

        + key: who signs
        + date: when, by default now; a host whose clock is behind calls it "not valid yet"
        + valid_for: how long from then on, None without an end
        """
        architecture = _architecture()
        packages = "\n".join(_stanza(deb, self.folder) for deb in sorted(self._pool.glob("*.deb")))
        folder = self.releases / self.component / f"binary-{architecture}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Packages").write_text(packages)
        (folder / "Packages.gz").write_bytes(gzip.compress(packages.encode(), mtime=0))
        release = self._release(architecture, date or datetime.now(UTC), valid_for)
        (self.releases / "Release").write_text(release)
        (self.releases / "InRelease").write_bytes(key.cleartext(release))
        (self.releases / "Release.gpg").write_bytes(key.detached(release))

    def _release(self, architecture: str, date: datetime, valid_for: timedelta | None) -> str:
        lines = [
            "Origin: Docker",
            f"Label: Docker CE {self.component}",
            f"Suite: {self.suite}",
            f"Codename: {self.suite}",
            f"Date: {_rfc(date)}",
            f"Architectures: {architecture}",
            f"Components: {self.component}",
        ]
        if valid_for is not None:
            lines.append(f"Valid-Until: {_rfc(date + valid_for)}")
        lines.append("SHA256:")
        for path in sorted(self.releases.rglob("Packages*")):
            content = path.read_bytes()
            name = path.relative_to(self.releases)
            lines.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}")
        return "\n".join(lines) + "\n"


class FlatRepository:
    """Packages of one folder, without suites and components: what a suite of ``/`` is.

    + folder: where it is, ``url`` is what leads there
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, deb: Path) -> None:
        """Have a package in it, once it is published again."""
        shutil.copyfile(deb, self.folder / deb.name)

    def publish(self, key: Key) -> None:
        """Make the index of what is in it now, and sign that.

        + key: who signs
        """
        packages = "\n".join(
            _stanza(deb, self.folder) for deb in sorted(self.folder.glob("*.deb"))
        ).encode()
        (self.folder / "Packages").write_bytes(packages)
        (self.folder / "Packages.gz").write_bytes(gzip.compress(packages, mtime=0))
        lines = [f"Date: {_rfc(datetime.now(UTC))}", "SHA256:"]
        for path in sorted(self.folder.glob("Packages*")):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            lines.append(f" {digest} {len(content)} {path.name}")
        release = "\n".join(lines) + "\n"
        (self.folder / "Release").write_text(release)
        (self.folder / "InRelease").write_bytes(key.cleartext(release))
        (self.folder / "Release.gpg").write_bytes(key.detached(release))


def small_package(folder: Path, name: str, version: str, **fields: str) -> Path:
    """A ``.deb`` with one file of documentation, for what is no matter of containerd.

    + folder: where it is put
    + name, version: of the package
    + fields: of its control file, such as ``Conflicts="other"``
    """
    root = folder / f"{name}_{version}"
    (root / "DEBIAN").mkdir(parents=True)
    doc = root / "usr/share/doc" / name
    doc.mkdir(parents=True)
    (doc / "version").write_text(f"{version}\n")
    control = {
        "Package": name,
        "Version": version,
        "Architecture": "all",
        "Maintainer": "kubenode's tests <test@example.org>",
        **fields,
        "Description": "a package of kubenode's tests",
    }
    (root / "DEBIAN/control").write_text("".join(f"{k}: {v}\n" for k, v in control.items()))
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    deb = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(root), str(deb)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(root)
    return deb


def _stanza(deb: Path, folder: Path) -> str:
    control = subprocess.check_output(["dpkg-deb", "-f", str(deb)], text=True).rstrip("\n")
    with deb.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return (
        f"{control}\nFilename: {deb.relative_to(folder)}\n"
        f"Size: {deb.stat().st_size}\nSHA256: {digest}\n"
    )


def _architecture() -> str:
    return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()


def _rfc(date: datetime) -> str:
    return format_datetime(date.astimezone(UTC)).replace("+0000", "UTC")
