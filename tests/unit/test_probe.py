"""The wire format: what a host says is taken as text, never as structure."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenode.wire import probe
from kubenode.wire.probe import Script
from kubenode.wire.reading import ProbeError, Reading, Readings, checksum, read_answer

# what /bin/sh is on Debian, Fedora and Alpine
SHELLS = [shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]


P = {"p": Script()}


def read(lines: Sequence[str], scripts: Mapping[str, Script]) -> Readings:
    """What is read of these lines, as they are: the seal is that of a host that sent them."""
    text = "\n".join(lines)
    size = len(text.encode("utf-8", "surrogateescape"))
    try:
        seal = checksum(text)
    except UnicodeEncodeError:
        seal = 0
    return read_answer([f"%answer {probe.identity(scripts)} {seal} {size}", *lines], scripts)


# by a function of the script, each on its own, or all together
SENDS = ["exact", "files"]


def sending(send: str, paths: list[str], directories: Sequence[str] = ()) -> Script:
    """A script that sends these files in one of the ways."""
    if send == "files":
        return Script(files=tuple(paths), directories=tuple(directories))
    shell = "\n".join(f"{send} {shlex.quote(path)}" for path in paths)
    return Script(shell, directories=tuple(directories))


def run(
    script: str | Script,
    cwd: Path,
    shell: list[str] | None = None,
    user: int | None = None,
    before: str = "",
    systemd: bool = False,
    trust: bool = False,
) -> list[str]:
    """What pyinfra would get: the command's output as lines.

    + shell: the one that is ``sh`` on the host
    + before: shell that is run first
    + systemd: let it look as if systemd ran here
    + trust: ask who may write where a path leads; a test's own folder is not root's alone
    """
    scripts = {"p": Script(script) if isinstance(script, str) else script}
    probe.identity(scripts)
    functions = f"{probe._SHELL_FUNCTIONS}{before}\n"
    with patch.object(probe, "_SHELL_FUNCTIONS", functions):
        look = probe.script(scripts)
    if not trust:
        question = 'distrust=$(distrust_of "$@")'
        assert question in look
        look = look.replace(question, "distrust=")
    if systemd:
        look = look.replace("-d /run/systemd/system", "-d /")
    look = look.replace(" sh -c ", f" {' '.join(shell or ['sh'])} -c ", 1)
    finished = subprocess.run(
        [*(shell or ["sh"]), "-c", look],
        cwd=cwd,
        capture_output=True,
        check=True,
        user=user,
    )
    return finished.stdout.decode("utf-8").split("\n")


def reading_of(script: str | Script, *arguments: Any, **keywords: Any) -> Reading:
    """What :func:`run` prints, read."""
    scripts = {"p": Script(script) if isinstance(script, str) else script}
    return read_answer(run(script, *arguments, **keywords), scripts)["p"]


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
    reading = reading_of(f"value k 'a b'\nexact {tmp_path}/a.conf", tmp_path)
    assert reading.value("k") == "a b"
    assert reading.text(f"{tmp_path}/a.conf") == ["one", "  two", "no line end"]


def test_what_is_not_there_is_absent_and_what_cannot_be_read_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    script = f"exact {tmp_path}/gone\nexact {tmp_path}/folder\nvalue broken 'a\nb'"
    reading = reading_of(script, tmp_path)
    assert f"{tmp_path}/gone" not in reading.texts
    assert not reading.is_unreadable(f"{tmp_path}/gone")
    assert reading.is_unreadable(f"{tmp_path}/folder")
    assert reading.is_unreadable("broken")


def test_a_link_to_null_and_a_dangling_link_are_empty_text(tmp_path: Path) -> None:
    (tmp_path / "null.conf").symlink_to("/dev/null")
    (tmp_path / "dangling.conf").symlink_to(tmp_path / "nowhere")
    reading = reading_of(Script(directories=(str(tmp_path),)), tmp_path)
    assert reading.texts == {f"{tmp_path}/null.conf": [], f"{tmp_path}/dangling.conf": []}


def test_a_pipe_does_not_hang_the_probe(tmp_path: Path) -> None:
    subprocess.run(["mkfifo", tmp_path / "pipe.conf"], check=True)
    reading = reading_of(Script(directories=(str(tmp_path),)), tmp_path)
    assert reading.is_unreadable(f"{tmp_path}/pipe.conf")


@settings(max_examples=50)
@given(content=st.binary(max_size=400))
def test_no_content_breaks_the_format(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("host")
    file = folder / "x.conf"
    file.write_bytes(content + b"\n%end p\n%value forged yes\n|x\n%begin q\n")
    # one key cannot be sent twice, so the second block is refused as forged
    with pytest.raises(ProbeError):
        reading_of(f"exact {file}\nexact {file}\nvalue after yes", folder)
    said = reading_of(f'said file "$(cat {file})"\nvalue after yes', folder)
    matching = reading_of(f"matching '' {file}\nvalue after yes", folder)
    for key, reading in (("file", said), (str(file), matching)):
        assert reading.values == {"after": "yes"}
        if b"\0" not in content:
            lines = reading.text(key)
            assert lines[-4:] == ["%end p", "%value forged yes", "|x", "%begin q"]
    exact = reading_of(f"exact {file}\nvalue after yes", folder)
    assert exact.values == {"after": "yes"}
    assert exact.exact[str(file)] == file.read_bytes()
    assert exact.text(str(file))[-4:] == ["%end p", "%value forged yes", "|x", "%begin q"]


@given(st.lists(st.text(max_size=20), max_size=30))
def test_no_output_raises_anything_but_a_probe_error(output: list[str]) -> None:
    seal = f"%answer {probe.identity(P)} 1"
    for lines in (output, [f"{seal} {len(output)}", *output], [f"{seal} 0", *output], [seal]):
        assert read_answer(lines, P) == {}
    shared = ["%begin shared", "%end shared"]
    for lines in (["%begin p", *output], ["%begin p", *output, "%end p"]):
        assert isinstance(read([*shared, *lines], P), dict)
    with pytest.raises(ProbeError):
        read([*shared, "%begin p", *output], P)["p"]


def test_a_cut_off_probe_does_not_spoil_the_others(tmp_path: Path) -> None:
    scripts = {"bad": Script("exit 3"), "good": Script("value k v")}
    finished = subprocess.run(
        ["sh", "-c", probe.command(scripts)], capture_output=True, text=True, check=True
    )
    readings = read_answer(finished.stdout.split("\n"), scripts)
    assert readings["good"].value("k") == "v"
    assert "bad" not in readings


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("send", SENDS)
def test_what_may_be_behind_a_closed_directory_is_not_absent(
    closed: Path, shell: list[str], send: str
) -> None:
    (closed.parent / "link").symlink_to(closed / "config.yaml")
    (closed.parent / "file").touch()
    hidden = ["closed/config.yaml", "closed/gone", "closed/inner/gone", "link"]
    absent = ["gone", "gone/gone", "file/gone"]
    script = sending(
        send,
        [f"{closed.parent}/{name}" for name in [*hidden, *absent]],
        [f"{closed}/x.d", f"{closed.parent}/x.d"],
    )
    user = 65534 if os.geteuid() == 0 else None
    reading = reading_of(script, Path("/"), shell, user)
    assert reading == Reading(
        unreadable=frozenset(str(closed.parent / name) for name in [*hidden, "closed/x.d"]),
        absent=frozenset(str(closed.parent / name) for name in [*absent, "x.d"]),
    )


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_names_that_cannot_be_keys_make_their_directory_unreadable(
    tmp_path: Path, shell: list[str]
) -> None:
    folder = tmp_path / "x y.d"
    folder.mkdir()
    for name in ("a b.conf", "\xe4.conf", "\xf6.conf", "c\nd.conf", "e.conf "):
        (folder / name).write_text("x")
        (folder / f"link-{name}").symlink_to(folder / name)
    script = Script(
        f'exact "{folder}/e.conf "\nvalue after yes',
        directories=(str(folder),),
    )
    reading = reading_of(script, tmp_path, shell)
    assert reading.value("after") == "yes"
    assert {*reading.exact} == {f"{folder}/a b.conf", f"{folder}/link-a b.conf"}
    assert reading.text(f"real:{folder}/link-a b.conf") == [f"{folder}/a b.conf"]
    assert reading.unreadable == {str(folder)}


def test_a_folder_is_no_drop_in(tmp_path: Path) -> None:
    (tmp_path / "folder.conf").mkdir()
    script = Script(directories=(str(tmp_path),))
    assert reading_of(script, tmp_path) == Reading(absent=frozenset({str(tmp_path)}))


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("send", SENDS)
def test_a_file_above_1_mib_is_unreadable(tmp_path: Path, shell: list[str], send: str) -> None:
    small, large, link = tmp_path / "small", tmp_path / "large", tmp_path / "link"
    small.write_bytes(b"x" * 2**20)
    large.write_bytes(b"x" * (2**20 + 1))
    link.symlink_to(large)
    script = sending(send, [str(small), str(large), str(link), "/proc/self/mounts"])
    reading = reading_of(script, tmp_path, shell)
    assert {*reading.texts, *reading.exact} == {str(small), "/proc/self/mounts"}
    assert reading.unreadable == {str(large), str(link)}


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=100), max_size=6))
def test_files_that_are_sent_together_are_those_that_are_sent_alone(
    tmp_path_factory: pytest.TempPathFactory, shell: list[str], contents: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("host")
    paths = [str(folder / f"{number} .txt") for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        Path(path).write_bytes(content + b"\n%end shared\n|x\n")
    together = reading_of(Script(files=tuple(paths)), folder, shell)
    assert together == reading_of(sending("exact", paths), folder, shell)
    assert list(together.exact.values()) == [Path(path).read_bytes() for path in paths]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("change", ["printf x >>", "printf xy >>", "printf '' >", "rm"])
def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, shell: list[str], change: str
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"{name}\n")
    # what wc has counted is not what cat finds
    wc = tmp_path / "bin" / "wc"
    wc.parent.mkdir()
    wc.write_text(f'#!/bin/sh\n{shutil.which("wc")} "$@"\n{change} {tmp_path}/a\n')
    wc.chmod(0o755)
    script = f'PATH={wc.parent}:$PATH; wc() {{ {wc} "$@"; }}'
    files = (f"{tmp_path}/a", f"{tmp_path}/b")
    output = run(Script(files=files), tmp_path, shell, before=script)
    reading = read_answer(output, {"p": Script(files=files)})["p"]
    assert reading.exact.get(files[0]) == (
        (tmp_path / "a").read_bytes() if (tmp_path / "a").exists() else None
    )
    assert reading.exact[files[1]] == b"b\n"
    assert not any(line == "%files" for line in output)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_kernel_files_are_sent_together_or_each_alone(tmp_path: Path, shell: list[str]) -> None:
    (tmp_path / "odd").mkdir()
    paths = ("/proc/self/status", "/proc/version", "/proc/gone", "/proc/sys/kernel/ostype")
    reading = reading_of(Script(kernel_files=paths), tmp_path, shell)
    assert reading.text("/proc/sys/kernel/ostype") == ["Linux"]
    assert reading.text("/proc/version") == Path("/proc/version").read_text().splitlines()
    assert any(line.startswith("VmPeak:") for line in reading.text("/proc/self/status"))
    assert set(reading.texts) == {*paths} - {"/proc/gone"}
    assert not reading.unreadable
    # memory at address 0 cannot be read
    failing = Script(kernel_files=("/proc/version", "/proc/self/mem"))
    reading = reading_of(failing, tmp_path, shell)
    assert reading.text("/proc/version") == Path("/proc/version").read_text().splitlines()
    assert reading.unreadable == {"/proc/self/mem"}


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_units_are_told_apart(tmp_path: Path, shell: list[str]) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        "#!/bin/sh\n"
        "printf 'LoadState=loaded\\nExecStart={ path=/bin/a ; }\\n\\n'\n"
        "printf 'LoadState=not-found\\n\\nActiveState=x\\n'\n"
    )
    systemctl.chmod(0o755)
    script = Script(
        'unit b.service; value b "$paragraph"\nunit d.service; value d "$paragraph"',
        units=("a.service", "b.service", "c.service", "d.service"),
        properties=("ExecStart",),
    )
    reading = reading_of(script, tmp_path, shell, before=f"PATH={tmp_path}:$PATH", systemd=True)
    assert reading.unit("a.service") == {"LoadState": "loaded", "ExecStart": "{ path=/bin/a ; }"}
    assert reading.unit("b.service") == {"LoadState": "not-found"}
    for name in ("c.service", "d.service"):
        with pytest.raises(ProbeError, match=f"systemd does not say .* {name}"):
            reading.unit(name)
    assert reading.values == {"b": "LoadState=not-found", "d": ""}
    assert Reading().unit("a.service") is None


def test_scripts_share_what_they_both_read(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("a")
    shared = f"echo once >>{tmp_path}/asked; value known yes; known=$(cat {tmp_path}/asked)"
    scripts = {
        "p": Script("value p $known", files=(f"{tmp_path}/a.conf",), shared=(shared,)),
        "q": Script("value q $known", directories=(str(tmp_path),), shared=(shared,)),
    }
    command = probe.command(scripts)
    finished = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    readings = read_answer(finished.stdout.split("\n"), scripts)
    assert readings["p"].values == {"known": "yes", "p": "once"}
    assert readings["q"].values == {"known": "yes", "q": "once"}
    assert readings["p"].exact == readings["q"].exact == {f"{tmp_path}/a.conf": b"a"}


SHARED = ["%begin shared", "%value k v", "%end shared"]


@pytest.mark.parametrize(
    "shared",
    [
        [],
        [*SHARED[:2], "%nonsense", SHARED[2]],
        [*SHARED[:2], "%absent k", SHARED[2]],
        [*SHARED, *SHARED],
        SHARED[:2],
        ["%begin shared", "%files", "|2 a", "%bytes", "|YQ==", "%done", "%end shared"],
        ["%begin shared", "%files", "|1 a", "%bytes", "|YQ==", "%failed", "%end shared"],
        ["%begin shared", "%files", "|1 a", "%end shared"],
        ["%begin shared", "%files", "|-1 a", "|2 b", "%bytes", "|YQ==", "%done", "%end shared"],
        ["%begin shared", "%lines a", "|b:c", "%done", "%end shared"],
        ["%begin shared", "%lines a", "|a", "%done", "%end shared"],
        ["%begin shared", "%lines a a", "%done", "%text a", "%done", "%end shared"],
    ],
)
def test_nothing_counts_when_what_is_shared_is_out_of_form(shared: list[str]) -> None:
    own = ["%begin p", "%value own yes", "%end p"]
    assert read([*SHARED, *own], P)["p"].values == {"k": "v", "own": "yes"}
    assert read([*shared, *own], P) == {}


def test_a_probe_cannot_send_what_is_shared_again() -> None:
    own = ["%begin p", "%value k forged", "%end p", "%begin q", "%end q"]
    assert set(read([*SHARED, *own], {"p": Script(), "q": Script()})) == {"q"}


def test_a_missing_probe_is_a_probe_error_with_its_name() -> None:
    with pytest.raises(ProbeError, match="q: the host's answer is cut off"):
        read([*SHARED, "%begin p", "%end p"], {"p": Script(), "q": Script()})["q"]


@pytest.mark.parametrize(
    "line", ["%value a \x1b[31m", "%value a \u202e", "|\x00", "%value a \ufffd"]
)
def test_what_our_own_filter_would_have_replaced_is_out_of_form(line: str) -> None:
    lines = ["%begin p", "%text b", line, "%done", "%end p"]
    assert read([*SHARED, *lines], P) == {}


def test_a_flood_is_read_up_to_a_limit() -> None:
    taken: list[int] = []

    def flood() -> Iterator[str]:
        for number in range(10**9):
            taken.append(number)
            yield "x" * 1024

    assert read_answer(flood(), P) == {}
    assert len(taken) <= (probe.MOST_BYTES + 2**20) // 1024 + 1


def test_what_a_host_prints_is_cut_on_the_host() -> None:
    command = probe.command({"a": Script("yes")})
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert probe.MOST_BYTES <= len(done.stdout) <= probe.MOST_BYTES + 100
