"""Debian's own packages of containerd and runc, of three releases, kept in the checkout's cache."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.targets import apt_sources

CACHE = Path(__file__).parents[2] / ".cache" / "repositories"


class NoBinaries(Exception):
    """Debian's packages cannot be fetched; the text says why."""


def fetched(suite: str, package: str) -> Path:
    """The ``.deb`` of a package as a Debian release has it, fetched once a checkout.

    + suite: Debian code name
    + package: its name
    """
    folder = CACHE / suite / package
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # tests of another run may do the same at the same time: each has a folder of its own
        with tempfile.TemporaryDirectory(dir=folder.parent) as own:
            download = Path(own, package)
            download.mkdir()
            _download(suite, package, download)
            try:
                download.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    [deb] = folder.glob("*.deb")
    return deb


def plain(suite: str, package: str) -> Path:
    """The same package without compression, made once a checkout: it is unpacked in no time."""
    deb = fetched(suite, package)
    folder = CACHE / "plain" / suite
    made = folder / deb.name
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            for command in (
                ["-R", deb, f"{own}/all"],
                ["-Znone", "-b", f"{own}/all", f"{own}/deb"],
            ):
                subprocess.run(["dpkg-deb", *command], check=True, stdout=subprocess.DEVNULL)
            Path(own, "deb").rename(made)
    return made


def _download(suite: str, package: str, folder: Path) -> None:
    sources = apt_sources.for_suite(suite)
    if not sources:
        raise NoBinaries(f"this machine has no apt sources for Debian {suite}")
    with tempfile.TemporaryDirectory() as state:
        for part in ("lists/partial", "cache/archives/partial"):
            Path(state, part).mkdir(parents=True)
        Path(state, "status").touch()
        Path(state, "sources.list").write_text("".join(f"{each.line()}\n" for each in sources))
        Path(state, "apt.conf").write_text(
            f"{apt_sources.settings()}"
            f'Dir::State "{state}"; Dir::State::status "{state}/status"; '
            f'Dir::Cache "{state}/cache"; Dir::Etc::sourcelist "{state}/sources.list"; '
            'Dir::Etc::sourceparts "/dev/null"; APT::Sandbox::User "root"; '
            'Acquire::Languages "none";\n'
        )
        environment = {**os.environ, "APT_CONFIG": f"{state}/apt.conf"}
        for command in (["update"], ["download", package]):
            finished = subprocess.run(
                ["apt-get", "-q", *command],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if finished.returncode != 0:
                raise NoBinaries(f"apt-get {' '.join(command)}: {finished.stderr}")
