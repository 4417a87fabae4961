"""Paths that a host names are read only where root alone decides what is there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubenode.wire.probe import Script
from kubenode.wire.reading import Reading
from tests.unit.test_probe import SHELLS, reading_of

# what is ours counts as root's, so that nobody has to be root for these tests
AS_ROOT = (
    f'ls() {{ command ls "$@" | sed "s/^\\([^ ]* *[0-9]* *\\){os.getuid()}  *[0-9]* /\\10 0 /"; }}'
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below none that everybody may write to."""
    folder = Path(tempfile.mkdtemp(dir=Path.home()))
    folder.chmod(0o755)
    (folder / "sub").mkdir(mode=0o755)
    (folder / "sub/file").write_text("content")
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "open/file").write_text("content")
    yield folder
    shutil.rmtree(folder)


def read(paths: list[str], folder: Path, shell: list[str], before: str = AS_ROOT) -> Reading:
    quoted = " ".join(f"'{path}'" for path in paths)
    script = (
        f'learn {quoted}; set -f; IFS=$nl; for path in $learned; do exact "$path"; done; '
        "set +f; unset IFS; value after yes"
    )
    reading = reading_of(script, folder, shell, before=before, trust=True)
    assert reading.value("after") == "yes"
    return reading


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_what_is_roots_is_read_links_too(folder: Path, shell: list[str]) -> None:
    (folder / "one").symlink_to("sub/../two")
    (folder / "two").symlink_to(folder / "sub")
    (folder / "a b").write_text("blank")
    paths = [str(folder / name) for name in ("sub/file", "one/file", "a b", "gone", "sub/gone")]
    for asked in (paths, paths[:1], paths[1:2]):
        reading = read(asked, folder, shell)
        assert set(reading.exact) == set(asked[:3])
        assert reading.unreadable == set()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("open/file", "{}/open is writable by everybody"),
        ("open/gone", "{}/open is writable by everybody"),
        ("writable", "{}/writable is writable by everybody"),
        ("first", "{}/open is writable by everybody"),
        ("by-folder/file", "{}/open is writable by everybody"),
        ("sub/../open/../sub/file", "{}/open is writable by everybody"),
        ("loop", "{}/loop leads nowhere"),
        ("odd", "{}/odd leads nowhere"),
    ],
)
def test_one_place_on_the_way_is_enough(
    folder: Path, shell: list[str], name: str, why: str
) -> None:
    (folder / "writable").write_text("content")
    (folder / "writable").chmod(0o666)
    # what is not root's lies between two places that are
    (folder / "first").symlink_to("open/second")
    (folder / "open/second").symlink_to(folder / "sub/file")
    (folder / "by-folder").symlink_to("open/back")
    (folder / "open/back").symlink_to(folder / "sub")
    (folder / "loop").symlink_to("loop")
    (folder / "odd").symlink_to("sub/\x1b[2J")
    path, good = f"{folder}/{name}", f"{folder}/sub/file"
    for asked in ([path], [good, path], [path, good]):
        reading = read(asked, folder, shell)
        assert set(reading.exact) == set(asked) - {path}
        assert reading.unreadable == {path}
        assert reading.why_unreadable(path) == f"not trusted: {why.format(folder)}"
        assert reading.why_unreadable(good) is None


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_another_users_file_and_group_are_named(folder: Path, shell: list[str]) -> None:
    path = folder / "sub/file"
    for uid, gid, mode, why in (
        (1234, 0, 0o644, "belongs to uid 1234"),
        (0, 1234, 0o664, "is writable by group 1234"),
        (0, 10, 0o620, "is writable by group 10"),
        (0, 0, 0o664, None),
        (0, 1234, 0o640, None),
    ):
        # the file as it would be, whoever runs this
        shown = f"drwx------ 1 0 0 0 Jan 1 00:00 /\n-%s 1 {uid} {gid} 7 Jan 1 00:00 {path}"
        bits = "".join("rwx"[i % 3] if mode >> (8 - i) & 1 else "-" for i in range(9))
        before = f"ls() {{ printf '%s\\n' '{shown % bits}'; }}"
        reading = read([str(path)], folder, shell, before)
        expected = None if why is None else f"not trusted: {path} {why}"
        assert reading.why_unreadable(str(path)) == expected
        assert (str(path) in reading.exact) is (why is None)
    # access control lists: what looks like the group's may be a user's
    acl = f"-rw-rw-r--+ 1 0 0 7 Jan 1 00:00 {path}"
    reading = read([str(path)], folder, shell, f"ls() {{ printf '%s\\n' '{acl}'; }}")
    assert str(path) not in reading.exact
    # no answer is no trust
    reading = read([str(path)], folder, shell, "ls() { :; }")
    assert reading.why_unreadable(str(path)) == "not trusted: ls does not say to whom files belong"


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_pipes_folders_and_devices_are_not_opened(folder: Path, shell: list[str]) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "null").symlink_to("/dev/null")
    paths = [f"{folder}/pipe", f"{folder}/sub", f"{folder}/null"]
    reading = read(paths, folder, shell)
    assert reading.unreadable == set(paths)
    assert reading.texts.keys().isdisjoint(paths)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_what_a_script_states_is_asked_for_only_where_links_above_it_are_roots(
    folder: Path, shell: list[str]
) -> None:
    (folder / "astray").symlink_to("open")
    (folder / "inner").mkdir(mode=0o755)
    (folder / "inner/deep").symlink_to("../astray")
    (folder / "right").symlink_to("sub")
    (folder / "sub/right.conf").write_text("content")
    os.mkfifo(folder / "open/pipe")
    (folder / "open/other.conf").write_text("content")
    roots = [f"{folder}/right/file", f"{folder}/right/right.conf", f"{folder}/sub/file"]
    others = [
        f"{folder}/{name}"
        for name in (
            "astray/file",
            "inner/deep/file",
            "astray/gone",
            "astray/pipe",
            "astray/gone/x",
        )
    ]
    directories = tuple(f"{folder}/{name}" for name in ("astray", "inner/deep", "right"))
    for given in (
        Script("value after yes", files=(*others, *roots), directories=directories),
        Script("\n".join(f"exact '{path}'" for path in (*others, *roots)) + "\nvalue after yes"),
    ):
        reading = reading_of(given, folder, shell, before=AS_ROOT, trust=True)
        assert reading.value("after") == "yes"
        assert set(reading.exact) == set(roots)
        for path in (*others, *given.directories[:2]):
            assert reading.is_unreadable(path)
            why = reading.why_unreadable(path)
            assert why == f"not trusted: {folder}/open is writable by everybody"
