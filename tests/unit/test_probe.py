"""The wire format: what a host says is taken as text, never as structure."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubenode import probe

# what /bin/sh is on Debian, Fedora and Alpine
SHELLS = [shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]


def run(
    script: str, cwd: Path, shell: list[str] | None = None, user: int | None = None
) -> list[str]:
    """What pyinfra would get: the command's output as lines."""
    finished = subprocess.run(
        [*(shell or ["sh"]), "-c", probe.command({"p": script})],
        cwd=cwd,
        capture_output=True,
        check=True,
        user=user,
    )
    return finished.stdout.decode("utf-8").split("\n")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that root's user nobody, or we, cannot search; tmp_path is closed to nobody."""
    open_to_all = Path(tempfile.mkdtemp())
    open_to_all.chmod(0o755)
    closed = open_to_all / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "config.yaml").write_text("x")
    closed.chmod(0)
    yield closed
    closed.chmod(0o755)
    shutil.rmtree(open_to_all)


def test_values_texts_and_bytes_arrive(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("one\n  two\nno line end")
    reading = probe.read_one(run(f"value k 'a b'\ntext {tmp_path}/a.conf", tmp_path), "p")
    assert reading.value("k") == "a b"
    assert reading.text(f"{tmp_path}/a.conf") == ["one", "  two", "no line end"]


def test_what_is_not_there_is_absent_and_what_cannot_be_read_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    script = f"text {tmp_path}/gone\ntext {tmp_path}/folder\nvalue broken 'a\nb'"
    reading = probe.read_one(run(script, tmp_path), "p")
    assert f"{tmp_path}/gone" not in reading.texts
    assert not reading.is_unreadable(f"{tmp_path}/gone")
    assert reading.is_unreadable(f"{tmp_path}/folder")
    assert reading.is_unreadable("broken")


def test_a_link_to_null_and_a_dangling_link_are_empty_text(tmp_path: Path) -> None:
    (tmp_path / "null.conf").symlink_to("/dev/null")
    (tmp_path / "dangling.conf").symlink_to(tmp_path / "nowhere")
    reading = probe.read_one(run(f"confs text {tmp_path}", tmp_path), "p")
    assert reading.texts == {f"{tmp_path}/null.conf": [], f"{tmp_path}/dangling.conf": []}


def test_a_pipe_does_not_hang_the_probe(tmp_path: Path) -> None:
    subprocess.run(["mkfifo", tmp_path / "pipe.conf"], check=True)
    reading = probe.read_one(run(f"confs text {tmp_path}", tmp_path), "p")
    assert reading.is_unreadable(f"{tmp_path}/pipe.conf")


@settings(max_examples=50)
@given(content=st.binary(max_size=400))
def test_no_content_breaks_the_format(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("host")
    file = folder / "x.conf"
    file.write_bytes(content + b"\n%end p\n%value forged yes\n|x\n%begin q\n")
    output = run(f"text {file}\nexact {file}\nvalue after yes", folder)
    # a key cannot be both text and bytes, so the second block is refused as forged
    assert probe.read(output) == {}
    reading = probe.read_one(run(f"text {file}\nvalue after yes", folder), "p")
    assert reading.values == {"after": "yes"}
    assert reading.text(str(file))[-4:] == ["%end p", "%value forged yes", "|x", "%begin q"]
    exact = probe.read_one(run(f"exact {file}", folder), "p")
    assert exact.exact[str(file)] == file.read_bytes()


@given(st.lists(st.text(max_size=20), max_size=30))
def test_no_output_raises_anything_but_a_probe_error(output: list[str]) -> None:
    for lines in (output, ["%begin p", *output], ["%begin p", *output, "%end p"]):
        assert isinstance(probe.read(lines), dict)
    with pytest.raises(probe.ProbeError):
        probe.read_one(["%begin p", *output], "p")


def test_a_cut_off_probe_does_not_spoil_the_others(tmp_path: Path) -> None:
    output = probe.command({"bad": "exit 3", "good": "value k v"})
    finished = subprocess.run(["sh", "-c", output], capture_output=True, check=True)
    readings = probe.read(finished.stdout.decode().split("\n"))
    assert readings["good"].value("k") == "v"
    assert "bad" not in readings


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("send", ["text", "exact"])
def test_what_may_be_behind_a_closed_directory_is_not_absent(
    closed: Path, shell: list[str], send: str
) -> None:
    (closed.parent / "link").symlink_to(closed / "config.yaml")
    (closed.parent / "file").touch()
    hidden = ["closed/config.yaml", "closed/gone", "closed/inner/gone", "link"]
    absent = ["gone", "gone/gone", "file/gone"]
    script = "\n".join(f"{send} {closed.parent / name}" for name in [*hidden, *absent])
    user = 65534 if os.geteuid() == 0 else None
    reading = probe.read_one(
        run(f"{script}\nconfs {send} {closed}/x.d {closed.parent}/x.d", Path("/"), shell, user), "p"
    )
    assert reading == probe.Reading(
        unreadable=frozenset(str(closed.parent / name) for name in [*hidden, "closed/x.d"])
    )


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("send", ["text", "exact"])
def test_names_that_cannot_be_keys_make_their_directory_unreadable(
    tmp_path: Path, shell: list[str], send: str
) -> None:
    folder = tmp_path / "x y.d"
    folder.mkdir()
    for name in ("a b.conf", "\xe4.conf", "\xf6.conf", "c\nd.conf", "e.conf "):
        (folder / name).write_text("x")
    script = f'confs {send} "{folder}"\n{send} "{folder}/e.conf "\nvalue after yes'
    reading = probe.read_one(run(script, tmp_path, shell), "p")
    assert reading.value("after") == "yes"
    assert {*reading.texts, *reading.exact} == {f"{folder}/a b.conf"}
    assert reading.unreadable == {str(folder)}


def test_a_folder_is_no_drop_in(tmp_path: Path) -> None:
    (tmp_path / "folder.conf").mkdir()
    assert probe.read_one(run(f"confs text {tmp_path}", tmp_path), "p") == probe.Reading()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("send", ["text", "exact"])
def test_a_file_above_1_mib_is_unreadable(tmp_path: Path, shell: list[str], send: str) -> None:
    small, large, link = tmp_path / "small", tmp_path / "large", tmp_path / "link"
    small.write_bytes(b"x" * 2**20)
    large.write_bytes(b"x" * (2**20 + 1))
    link.symlink_to(large)
    script = f"{send} {small}\n{send} {large}\n{send} {link}\n{send} /proc/self/mounts"
    reading = probe.read_one(run(script, tmp_path, shell), "p")
    assert {*reading.texts, *reading.exact} == {str(small), "/proc/self/mounts"}
    assert reading.unreadable == {str(large), str(link)}


def test_a_missing_probe_is_a_probe_error_with_its_name() -> None:
    with pytest.raises(probe.ProbeError, match="answer to q is cut off"):
        probe.read(["%begin p", "%end p"])["q"]


@pytest.mark.parametrize(
    "line", ["%value a \x1b[31m", "%value a \u202e", "|\x00", "%value a \ufffd"]
)
def test_what_our_own_filter_would_have_replaced_is_out_of_form(line: str) -> None:
    output = ["%begin a", "%text b", line, "%done", "%end a", "%begin c", "%end c"]
    readings = probe.read(output)
    assert "a" not in readings
    assert "c" in readings


def test_a_flood_is_read_up_to_a_limit() -> None:
    read: list[int] = []

    def flood() -> Iterator[str]:
        for number in range(10**9):
            read.append(number)
            yield "x" * 1024

    assert probe.read(flood()) == {}
    assert len(read) <= probe.MOST_BYTES // 1024 + 1


def test_what_a_host_prints_is_cut_on_the_host() -> None:
    command = probe.command({"a": "yes"})
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert len(done.stdout) == probe.MOST_BYTES
