"""Which of containerd's files change."""

from __future__ import annotations

import tomllib

import pytest
from packaging.version import Version

from kubenode.runtimes.containerd.all_files import edits_of
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/nvidia.toml"
SYSTEMD = ContainerdWanted("systemd")
HANDLER = (
    '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]\n'
    'runtime_type = "io.containerd.runc.v2"\n'
)


@pytest.mark.parametrize(("version", "config_version"), [("1.6.20", 2), ("2.1.9", 3), ("2.3.0", 4)])
@pytest.mark.parametrize("content", [{}, {MAIN: b""}, {MAIN: b"# only a comment\n"}])
def test_a_file_that_says_nothing_gets_the_highest_version(
    version: str, config_version: int, content: dict[str, bytes]
) -> None:
    edits = edits_of(MAIN, content, Version(version), SYSTEMD)
    text = edits[MAIN].text
    assert tomllib.loads(text)["version"] == config_version
    assert "SystemdCgroup = true" in text
    assert content.get(MAIN, b"").decode() in text
    assert edits_of(MAIN, {MAIN: text.encode()}, Version(version), SYSTEMD) == {}


def test_a_version_1_pair_becomes_version_2_together() -> None:
    files = {
        MAIN: b'imports = ["/etc/containerd/conf.d/*.toml"]\n',
        DROP_IN: b"[plugins.cri.containerd.runtimes.runc]\n"
        b"runtime_type = 'io.containerd.runc.v2'\n",
    }
    edits = edits_of(MAIN, files, Version("1.7.24"), SYSTEMD)
    assert set(edits) == {MAIN, DROP_IN}
    assert "version = 2" in edits[MAIN].text
    assert "io.containerd.grpc.v1.cri" in edits[DROP_IN].text


def test_a_drop_in_is_edited_where_it_states_a_handler() -> None:
    main = b'version = 2\nimports = ["conf.d/*.toml"]\n'
    files = {MAIN: main, DROP_IN: f"version = 2\n{HANDLER}".encode()}
    edits = edits_of(MAIN, files, Version("2.1.9"), SYSTEMD)
    assert "SystemdCgroup = true" in edits[DROP_IN].text
    assert "runtimes.runc" in edits[MAIN].text


def test_a_drop_in_of_a_harmful_version_is_named() -> None:
    files = {MAIN: b"version = 2\n", DROP_IN: b"version = 3\n"}
    with pytest.raises(ConfigError, match=DROP_IN):
        edits_of(MAIN, files, Version("1.7.24"), SYSTEMD)


def test_a_version_1_plugin_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"config\.toml:1:1: .*'homegrown'.*as version 2"):
        edits_of(MAIN, {MAIN: b"[plugins.homegrown]\nx = 1\n"}, Version("1.7.24"), SYSTEMD)


def test_an_import_that_would_take_in_backups_is_refused() -> None:
    main = b'version = 2\nimports = ["conf.d/*"]\n'
    files = {MAIN: main, DROP_IN: f"version = 2\n{HANDLER}".encode()}
    with pytest.raises(ConfigError, match=r"takes in backups too: write it as \*\.toml"):
        edits_of(MAIN, files, Version("2.1.9"), SYSTEMD)


@pytest.mark.parametrize(
    ("version", "stated", "becomes"),
    [("1.6.20", 3, 2), ("1.7.24", 4, 2), ("2.1.9", 4, 3), ("2.2.7", 4, 3)],
)
def test_a_version_above_the_releases_becomes_the_highest_it_takes(
    version: str, stated: int, becomes: int
) -> None:
    files = {MAIN: f"# ours\nversion = {stated}\n".encode()}
    edit = edits_of(MAIN, files, Version(version), SYSTEMD)[MAIN]
    assert edit.text.startswith(f"# ours\nversion = {becomes}\n")
    assert str(edit.changes[0]) == f"version: {stated} -> {stated - 1}"


def test_imports_are_lowered_with_the_main_file() -> None:
    nvidia = HANDLER.replace("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime")
    other = "/etc/containerd/conf.d/other.toml"
    files = {
        MAIN: b'version = 4\nimports = ["conf.d/*.toml"]\n',
        # one that states its version, and one that has the main file's
        DROP_IN: f"version = 4\n{nvidia}".encode(),
        other: nvidia.replace("nvidia", "crun").encode(),
    }
    edits = edits_of(MAIN, files, Version("2.2.7"), SYSTEMD)
    assert "version = 3" in edits[MAIN].text
    assert "version = 3" in edits[DROP_IN].text
    assert "SystemdCgroup = true" in edits[other].text
    again = {path: edits[path].text.encode() for path in edits}
    assert edits_of(MAIN, files | again, Version("2.2.7"), SYSTEMD) == {}
    # on 1.x the last file that states CRI is the only one that counts
    edits = edits_of(MAIN, files, Version("1.7.24"), SYSTEMD)
    assert "io.containerd.grpc.v1.cri" in edits[other].text
    assert "SystemdCgroup = true" in edits[other].text
    for path in files:
        assert "cri.v1.runtime" not in edits[path].text


@pytest.mark.parametrize(("version", "stated"), [("2.2.7", 5), ("2.4.0", 5), ("1.7.24", 9)])
def test_a_version_that_nobody_knows_is_refused(version: str, stated: int) -> None:
    files = {MAIN: f"# ours\nversion = {stated}\n".encode()}
    with pytest.raises(ConfigError, match=f"{MAIN}:2:1: configuration version {stated}: "):
        edits_of(MAIN, files, Version(version), SYSTEMD)
