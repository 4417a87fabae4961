"""What of /etc stays when CRI-O's package and its bundle take each other's place.

What apt and dpkg say is the test's own here; with themselves it is tested by
:mod:`tests.end_to_end.test_crio_exchanges`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubenode.files import host_lock, whole_file
from kubenode.packages.archive import ArchiveFile
from kubenode.packages.package_change import PackageChange
from kubenode.runtimes.crio import archive
from kubenode.wire import time_limit

SHELLS = (("dash",), ("bash", "--posix"), ("busybox", "sh"))
GOING = PackageChange(removes=("cri-o",), now={"cri-o": "1.35.6-1.1"})
COMING = PackageChange({"cri-o": "1.36.3-1.1"}, related=("cri-o",))
BUNDLE = archive.Bundle("1.36.3", ArchiveFile("/bundle.tar.gz", "0" * 64))

pytestmark = pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])


class Host:
    """A folder that stands for a host's /etc and /usr, with a change under way."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "host"
        self.change = folder / "change"
        for path in (self.change / "root", self.root / "etc/crio/crio.conf.d"):
            path.mkdir(parents=True)
        self.write("usr/libexec/crio/crun", "#!/bin/sh\n")
        self.write("etc/crio/policy.json", "ours\n")
        self.write("etc/crio/crio.conf.d/10-crio.conf", self.handler("crun", '"'))

    def handler(self, name: str, quote: str) -> str:
        path = f"{quote}{self.root}/usr/libexec/crio/crun{quote}"
        return f"[crio.runtime.runtimes.{name}]\nruntime_path = {path}\n"

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def brings(self, name: str, text: str) -> None:
        """The new package has this."""
        path = self.change / f"root{self.root}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(
        self, shell: tuple[str, ...], packages: PackageChange, *steps: str, edited: str = ""
    ) -> subprocess.CompletedProcess[str]:
        bundle = None if packages.installs else BUNDLE
        program = archive.program(bundle, "1.36.3-01234567", None, packages)
        own = f"{self.root}/etc/crio/policy.json {self.root}/etc/crio/crio.conf.d/10-crio.conf"
        files = f"{own} {self.root}/usr/libexec/crio {self.root}/usr/libexec/crio/crun"
        owned = own if packages.removes else ""
        fakes = f"""
change={self.change}
own_files() {{ for each in {owned}; do echo "$each"; done; }}
files_of() {{ for each in {files}; do echo "$each"; done; }}
edited_files() {{ echo {edited}; }}
new_files() {{ (cd "$change/root" && find . -type f) | sed 's,^[.],,'; }}
"""
        functions = [whole_file.FUNCTIONS, time_limit.FUNCTIONS, program.functions]
        etc = "\n".join(functions).replace("/etc/", f"{self.root}/etc/")
        command = host_lock.under_lock("\n".join([etc, fakes, *steps])).get_raw_value()
        return subprocess.run([*shell, "-c", command], capture_output=True, text=True)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(host_lock, "DIRECTORY", str(tmp_path / "lock"))
    return Host(tmp_path)


def test_what_a_package_takes_along_comes_back(shell: tuple[str, ...], host: Host) -> None:
    policy, own = (
        host.root / f"etc/crio/{name}" for name in ("policy.json", "crio.conf.d/10-crio.conf")
    )
    finished = host.run(shell, GOING, "archive_fits", "archive_keep")
    assert finished.returncode == 0, finished.stderr
    policy.unlink()
    own.unlink()
    lost = host.run(shell, GOING, "archive_is_restored")
    assert lost.returncode == 1
    back = host.run(shell, GOING, "archive_restore && archive_is_restored")
    assert back.returncode == 0, back.stderr
    assert policy.read_text() == "ours\n"
    assert not own.exists()
    # what somebody writes later is not undone by a change that was interrupted
    policy.write_text("later\n")
    assert host.run(shell, GOING, "archive_is_restored && archive_restore").returncode == 0
    assert policy.read_text() == "later\n"


@pytest.mark.parametrize("is_link", [True, False])
def test_what_a_package_overwrites_comes_back(
    shell: tuple[str, ...], host: Host, is_link: bool
) -> None:
    policy = host.root / "etc/crio/policy.json"
    if is_link:
        policy.unlink()
        policy.symlink_to("ours.json")
        host.write("etc/crio/ours.json", "ours\n")
    host.brings("etc/crio/policy.json", "the package's\n")
    (host.root / "etc/crio/crio.conf.d/10-crio.conf").unlink()
    host.brings("etc/crio/crio.conf.d/10-crio.conf", "")
    finished = host.run(shell, COMING, "archive_fits", "archive_keep")
    assert finished.returncode == 0, finished.stderr
    policy.unlink()
    policy.write_text("the package's\n")
    back = host.run(shell, COMING, "archive_restore && archive_is_restored")
    assert back.returncode == 0, back.stderr
    assert policy.read_text() == "ours\n"
    assert policy.is_symlink() == is_link


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_file_that_names_a_program_which_goes_is_named(
    shell: tuple[str, ...], host: Host, quote: str
) -> None:
    text = f"# {host.handler('crun', quote)}\n".replace("\nruntime", "\n # runtime")
    path = host.write("etc/crio/crio.conf.d/50-ours.conf", text)
    assert host.run(shell, GOING, "archive_fits").returncode == 0
    path.write_text(f"{text}{host.handler('other', quote)}")
    refused = host.run(shell, GOING, "archive_fits")
    assert refused.returncode == 1
    assert f"{path}:5 names a program that goes" in refused.stderr
    path.write_text(f'\nruntime_path = "{archive.ROOT}/current/runc"\n')
    refused = host.run(shell, COMING, "archive_fits")
    assert refused.returncode == 1
    assert f"{path}:2 names a program that goes" in refused.stderr


def test_a_drop_in_of_the_package_is_nobodys_to_lose(shell: tuple[str, ...], host: Host) -> None:
    own = host.root / "etc/crio/crio.conf.d/10-crio.conf"
    refused = host.run(shell, GOING, "archive_fits", edited=str(own))
    assert refused.returncode == 1
    assert f"{own} is the package's and goes with it, and somebody has edited it" in refused.stderr
    # another file of the package that was edited is kept
    other = str(host.root / "etc/crio/policy.json")
    assert host.run(shell, GOING, "archive_fits", edited=other).returncode == 0
    own.write_text("ours\n")
    host.brings("etc/crio/crio.conf.d/10-crio.conf", "the package's\n")
    refused = host.run(shell, COMING, "archive_fits")
    assert refused.returncode == 1
    assert f"{own} would be overwritten by the package's" in refused.stderr
