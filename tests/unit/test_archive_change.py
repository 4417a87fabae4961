"""Releases unpacked side by side: whole or not there, switched by one link, and back."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubenode.files import host_lock, whole_file
from kubenode.packages import archive_change
from kubenode.packages.archive import ArchiveFile, Build
from kubenode.wire import time_limit

SHELLS = (("dash",), ("bash", "--posix"), ("busybox", "sh"))
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")


def program(said: str) -> bytes:
    """A program of a release: what it says of its version is all that counts here."""
    return f"#!/bin/sh\necho '{said}'\n".encode()


def release(version: str) -> dict[str, bytes]:
    """What is in an archive of containerd."""
    said = f"containerd github.com/containerd/containerd/v2 v{version} 0123abc"
    return {f"bin/{name}": program(said) for name in PROGRAMS}


def packed(files: dict[str, bytes], *members: tarfile.TarInfo) -> bytes:
    """A ``.tar.gz`` with files, and then members as they are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            # as upstream's: whoever built it
            member.uid = member.gid = 1001
            tar.addfile(member, io.BytesIO(content))
        for member in members:
            tar.addfile(member)
    return gzip.compress(packed.getvalue(), mtime=0)


class Host:
    """A host's directories, in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "cache" / "kubenode"
        self.root = folder / "lib" / "containerd"
        self.programs = folder / "bin"
        self.runc = folder / "sbin"
        self.unit = folder / "systemd" / "containerd.service"
        self.above = folder / "etc" / "containerd.service"
        for made in (self.programs, self.runc, self.above.parent):
            made.mkdir(parents=True)
        self.shell: tuple[str, ...] = ("dash",)
        # of the host's own
        self.own = folder / "own"
        self.own.mkdir()
        self.put(self.own / "systemctl", f"#!/bin/sh\necho path={self.programs}/containerd ;\n")
        self.put(self.own / "runc", "#!/bin/sh\n")

    def put(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def wait(self, content: bytes) -> str:
        """Put a file where it waits to be unpacked; its sum."""
        self.store.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(content).hexdigest()
        (self.store / digest).write_bytes(content)
        return digest

    def build(self, version: str, runc: bool = True, **changed: bytes) -> Build:
        """A build whose files wait on the host."""
        files = release(version) | {f"bin/{name}": text for name, text in changed.items()}
        digest = self.wait(packed(files))
        own = self.wait(program(f"runc version {version}")) if runc else None
        return Build(
            version,
            ArchiveFile(f"https://example.org/containerd-{version}.tar.gz", digest),
            None if own is None else ArchiveFile("https://example.org/runc.amd64", own),
        )

    def run(
        self, steps: str, build: Build | None, old: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        functions = [
            whole_file.FUNCTIONS,
            time_limit.FUNCTIONS,
            archive_change.change(build, old),
        ]
        script = host_lock.under_lock("\n".join([*functions, steps])).get_raw_value()
        return subprocess.run(
            [*self.shell, "-c", script],
            env={**os.environ, "PATH": f"{self.own}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def did(self, steps: str, build: Build | None, old: str | None = None) -> str:
        finished = self.run(steps, build, old)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def says(self, name: str, where: Path | None = None) -> str:
        """What is run by a link."""
        return subprocess.check_output([(where or self.programs) / name], text=True)

    def state(self) -> dict[str, Any]:
        """All that is there, by path: what it is, and what is in it."""
        return {
            str(path.relative_to(self.folder)): os.readlink(path)
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else path.stat().st_mode
            for path in sorted(self.folder.rglob("*"))
            if "lock" not in path.parts
        }


def _host(shell: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(folder)
    made.shell = shell
    monkeypatch.setattr(host_lock, "DIRECTORY", str(folder / "lock"))
    for name, value in {
        "ROOT": made.root,
        "STORE": made.store,
        "PROGRAMS_IN": made.programs,
        "RUNC_IN": made.runc,
        "UNIT_FILE": made.unit,
        "UNIT": archive_change.UNIT.replace(archive_change.PROGRAMS_IN, str(made.programs)),
    }.items():
        monkeypatch.setattr(archive_change, name, str(value))
    monkeypatch.setattr(archive_change, "UNITS_ABOVE", (str(made.above),))
    return made


@pytest.fixture(params=SHELLS, ids=" ".join)
def each_host(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Host:
    """A host of each shell, and busybox's tar with busybox."""
    return _host(request.param, tmp_path, monkeypatch)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host of the plainest shell."""
    return _host(("dash",), tmp_path, monkeypatch)


PREPARE = 'archive_prepare && echo "$candidate"'


def test_a_release_is_unpacked_beside_the_others_and_used_by_its_links(each_host: Host) -> None:
    first, second = each_host.build("2.1.9"), each_host.build("2.3.4")
    assert each_host.did(PREPARE, first) == f"{each_host.root}/{first.name}\n"
    assert not (each_host.root / "current").exists()
    assert not list(each_host.programs.iterdir())
    assert each_host.did("archive_switch", first) == ""
    assert "v2.1.9" in each_host.says("ctr")
    assert each_host.says("runc", each_host.runc) == "runc version 2.1.9\n"
    unpacked = each_host.root / first.name
    assert {path.name: oct(path.stat().st_mode & 0o7777) for path in unpacked.iterdir()} == {
        **dict.fromkeys((*PROGRAMS, "runc"), "0o755"),
        archive_change.SUMS: "0o644",
    }
    assert {path.stat().st_uid for path in unpacked.iterdir()} == {os.getuid()}
    assert each_host.unit.read_text() == archive_change.UNIT

    each_host.did(f"{PREPARE}; archive_switch", second, first.name)
    assert "v2.3.4" in each_host.says("containerd")
    assert sorted(path.name for path in each_host.root.iterdir()) == sorted(
        [first.name, second.name, "current"]
    )
    each_host.did("archive_back", second, first.name)
    assert "v2.1.9" in each_host.says("containerd")
    # nothing waits any more
    assert list(each_host.store.iterdir()) == []


def test_twice_is_once(host: Host) -> None:
    build = host.build("2.3.4")
    host.did(f"{PREPARE}; archive_switch", build)
    before = host.state()
    assert host.did(f"{PREPARE}; archive_switch", build, build.name)
    assert host.state() == before


@pytest.mark.parametrize("stage", range(8))
def test_back_works_from_whatever_stage_the_switch_was_stopped_at(host: Host, stage: int) -> None:
    host.put(host.programs / "ctr", "#!/bin/sh\necho somebody else\n")
    (host.runc / "runc").symlink_to("/nowhere/runc")
    build = host.build("2.3.4")
    host.did(PREPARE, build)
    before = host.state()
    # each step ends with its directory on disk
    ends = (
        f"count=0; sync_directory() {{ count=$((count + 1)); [ $count -le {stage} ] || exit 99; }}"
    )
    finished = host.run(f"{ends}\narchive_switch", build)
    assert finished.returncode == 99, finished.stderr
    host.did("archive_back", build)
    host.did("archive_back", build)
    after = host.state()
    assert {path: after[path] for path in before if path in after} == before
    # an empty directory, and what is kept of others, are in nobody's way
    left = {path for path in after if path not in before}
    assert {path for path in left if not path.endswith((".kubenode-backup", "systemd"))} == set()
    assert host.says("ctr") == "somebody else\n"


def test_what_somebody_else_has_put_there_comes_back(each_host: Host) -> None:
    each_host.put(each_host.programs / "ctr", "#!/bin/sh\necho somebody else\n")
    (each_host.runc / "runc").symlink_to("/nowhere/runc")
    before = each_host.state()
    build = each_host.build("2.3.4")
    each_host.did(f"{PREPARE}; archive_switch", build)
    assert "v2.3.4" in each_host.says("ctr")
    # leaving archives is a switch to none
    each_host.did("archive_prepare; archive_switch", None, build.name)
    after = each_host.state()
    assert {path: after[path] for path in before} == before
    assert not each_host.unit.exists()
    assert not (each_host.root / "current").is_symlink()
    assert (each_host.root / build.name).is_dir()


def test_a_release_without_runc_uses_the_hosts(each_host: Host) -> None:
    with_runc, without = each_host.build("2.1.9"), each_host.build("2.3.4", runc=False)
    each_host.did(f"{PREPARE}; archive_switch", with_runc)
    each_host.did(f"{PREPARE}; archive_switch", without, with_runc.name)
    assert not (each_host.runc / "runc").is_symlink()
    each_host.did("archive_back", without, with_runc.name)
    assert each_host.says("runc", each_host.runc) == "runc version 2.1.9\n"


def test_a_host_without_any_runc_is_refused(host: Host) -> None:
    build = host.build("2.3.4", runc=False)
    own = host.folder / "usr"
    own.mkdir()
    for path in Path("/usr/bin").iterdir():
        if path.name != "runc":
            (own / path.name).symlink_to(path)
    finished = host.run(f"PATH={own}; {PREPARE}", build)
    assert "no runc of its own" in finished.stderr
    # the link of the build that goes is none
    (host.runc / "runc").symlink_to(host.root / "current" / "runc")
    assert "no runc of its own" in host.run(f"PATH={host.runc}:{own}; {PREPARE}", build).stderr
    assert not host.root.exists()


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


ODD: dict[str, tuple[bytes, str]] = {
    "absolute": (packed({**release("2.3.4"), "/etc/evil": b"x"}), "etc/evil"),
    "above": (packed({**release("2.3.4"), "bin/../../evil": b"x"}), "has .*evil"),
    "another layout": (packed({"usr/local/bin/containerd": b"x"}), "usr/local/bin/containerd"),
    "odd name": (packed({**release("2.3.4"), "bin/a b": b"x"}), "bin/a b"),
    "hidden": (packed({**release("2.3.4"), "bin/.profile": b"x"}), "bin/.profile"),
    "links": (
        packed({}, *(link(f"bin/{name}", "/bin/true") for name in PROGRAMS)),
        "cannot unpack containerd",
    ),
    "no archive": (b"no archive at all", "none of containerd's"),
    "cut off": (packed(release("2.3.4"))[:-40], "cannot unpack|none of containerd's"),
    "empty": (packed({}), "none of containerd's"),
    "no shim": (
        packed({k: v for k, v in release("2.3.4").items() if "shim" not in k}),
        "cannot unpack containerd-shim-runc-v2",
    ),
    "another version": (packed(release("2.3.40")), r"says.*v2\.3\.40"),
    "does not run": (
        packed({**release("2.3.4"), "bin/containerd": b"\x7fELF no"}),
        "does not run here.*static",
    ),
    "hangs": (
        packed({**release("2.3.4"), "bin/containerd": b"#!/bin/sh\nsleep 1000\n"}),
        "does not run here",
    ),
}


def test_archives_with_odd_members_change_nothing_in_any_shell(each_host: Host) -> None:
    for name in ("absolute", "links"):
        test_an_odd_archive_changes_nothing(each_host, name)


@pytest.mark.parametrize("name", [name for name in ODD if name != "hangs"])
def test_an_odd_archive_changes_nothing(host: Host, name: str) -> None:
    content, words = ODD[name]
    build = Build("2.3.4", ArchiveFile("/containerd.tar.gz", host.wait(content)), None)
    host.did('make_directory "$archive_root"', build)
    before = host.state()
    finished = host.run(f"{PREPARE}; archive_switch", build)
    assert finished.returncode == 1, finished.stdout
    assert re.search(words, finished.stderr), finished.stderr
    assert "nothing was changed" in finished.stderr
    assert host.state() == before


def test_a_program_that_hangs_is_ended(each_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    content, words = ODD["hangs"]
    build = Build("2.3.4", ArchiveFile("/containerd.tar.gz", each_host.wait(content)), None)
    finished = each_host.run(
        "real=/usr/bin/timeout; "
        'timeout() { seconds=$3; shift 3; [ "$seconds" != 20 ] || seconds=1; '
        '"$real" -s KILL "$seconds" "$@"; }\n'
        f"{PREPARE}",
        build,
    )
    assert finished.returncode == 1
    assert words in finished.stderr


def test_runc_that_is_none_is_refused(host: Host) -> None:
    build = host.build("2.3.4")
    digest = host.wait(program("crun version 1.2"))
    other = Build(build.version, build.containerd, ArchiveFile("/crun", digest))
    finished = host.run(PREPARE, other)
    assert "this runc does not run here, or is none" in finished.stderr
    assert not (host.root / other.name).exists()


def damage_cut(directory: Path) -> None:
    (directory / "ctr").write_bytes(b"#!/bin/sh\n")


def damage_gone(directory: Path) -> None:
    (directory / "containerd-shim-runc-v2").unlink()


def damage_sums(directory: Path) -> None:
    sums = directory / archive_change.SUMS
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:2]))


@pytest.mark.parametrize("damage", [damage_cut, damage_gone, damage_sums])
def test_one_that_is_not_whole_is_never_used_and_becomes_whole_again(
    host: Host, damage: Callable[[Path], None]
) -> None:
    build = host.build("2.3.4")
    host.did(PREPARE, build)
    damage(host.root / build.name)
    finished = host.run("archive_switch", build)
    assert (finished.returncode, "is not whole" in finished.stderr) == (1, True)
    assert not (host.root / "current").is_symlink()
    # its files wait no more: they have to come again
    assert "is not there" in host.run(PREPARE, build).stderr
    assert host.build("2.3.4") == build
    host.did(f"{PREPARE}; archive_switch", build)
    assert "v2.3.4" in host.says("ctr")


def test_what_a_killed_run_left_staged_goes(each_host: Host) -> None:
    build = each_host.build("2.3.4")
    left = each_host.root / ".2.0.0-00000000.kubenode.4711"
    left.mkdir(parents=True)
    (left / "containerd").write_bytes(b"half")
    each_host.did(PREPARE, build)
    assert not left.exists()


def test_what_waits_is_looked_at_before_it_is_used(host: Host) -> None:
    build = host.build("2.3.4")
    waits = host.store / build.containerd.sha256
    waits.write_bytes(waits.read_bytes()[:-1])
    finished = host.run(PREPARE, build)
    assert "not there, or not whole: nothing was changed" in finished.stderr
    waits.unlink()
    waits.symlink_to("/etc/passwd")
    assert "not there, or not whole" in host.run(PREPARE, build).stderr


def test_a_plan_made_from_another_state_is_none(host: Host) -> None:
    build = host.build("2.3.4")
    finished = host.run(PREPARE, build, "2.0.0-00000000")
    assert "changed meanwhile" in finished.stderr
    assert not host.root.exists()


@pytest.mark.parametrize("starts", ["/usr/bin/containerd", "/opt/bin/containerd --config x"])
def test_a_unit_that_starts_another_containerd_is_refused(host: Host, starts: str) -> None:
    build = host.build("2.3.4")
    host.above.write_text(f"[Service]\nExecStart={starts}\n")
    assert "wins over the unit" in host.run(PREPARE, build).stderr
    host.above.write_text(f"[Service]\nExecStart={host.programs}/containerd --log-level debug\n")
    host.did(PREPARE, build)


def test_a_unit_of_somebody_elses_stays(host: Host) -> None:
    build = host.build("2.3.4")
    host.unit.parent.mkdir()
    text = f"[Service]\nExecStart={host.programs}/containerd\n"
    host.unit.write_text(text)
    host.did(f"{PREPARE}; archive_switch; archive_back", build)
    assert host.unit.read_text() == text


def test_builds_that_nothing_uses_go(each_host: Host) -> None:
    builds = [each_host.build(version) for version in ("2.0.1", "2.0.2", "2.0.3", "2.0.4")]
    old = None
    for build in builds:
        each_host.did(f"{PREPARE}; archive_switch", build, old)
        old = build.name
    foreign = each_host.root / "1.2.3-foreign"
    foreign.mkdir()
    # a pod's shim runs from the first
    used = each_host.root / builds[0].name / "sleep"
    used.write_bytes(Path("/bin/sleep").read_bytes())
    used.chmod(0o755)
    shim = subprocess.Popen([used, "100"])
    try:
        each_host.did("archive_prune", builds[3], builds[2].name)
        assert sorted(path.name for path in each_host.root.iterdir()) == sorted(
            ["current", foreign.name, *(builds[number].name for number in (0, 2, 3))]
        )
    finally:
        shim.kill()
        shim.wait()
    each_host.did("archive_prune", builds[3], builds[2].name)
    assert not (each_host.root / builds[0].name).exists()


def test_a_directory_in_the_links_place_is_refused_and_back_is_clean(host: Host) -> None:
    (host.programs / "ctr").mkdir()
    build = host.build("2.3.4")
    host.did(PREPARE, build)
    before = host.state()
    finished = host.run("archive_switch", build)
    assert "is a directory: remove it" in finished.stderr
    host.did("archive_back", build)
    after = host.state()
    assert {path: after[path] for path in before} == before
