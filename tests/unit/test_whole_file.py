"""Writing a file whole: what may be replaced, and what must not be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kubenode import whole_file


def write(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", whole_file.write(str(path), text)], capture_output=True, text=True
    )


def test_files_and_links_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o600)
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("new", "old", "null", "dangling", "folder/new"):
        assert write(tmp_path / name, "text\n").returncode == 0
        assert (tmp_path / name).read_text() == "text\n"
        assert not (tmp_path / name).is_symlink()
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.conf"
    folder = path if kind == "folder" else tmp_path / "folder"
    folder.mkdir()
    if kind == "link":
        path.symlink_to(folder)
    elif kind == "pipe":
        os.mkfifo(path)
    before = sorted(tmp_path.rglob("*"))
    finished = write(path, "text\n")
    assert finished.returncode != 0
    assert finished.stderr == f"{path} is no file: it was not replaced\n"
    assert sorted(tmp_path.rglob("*")) == before
