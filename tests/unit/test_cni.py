"""Where CNI plugins are looked for, and what a network names."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.runtimes.cni import check_directories, chosen, plugins_of, takes_list
from kubenode.runtimes.containerd.all_files import edits_of
from kubenode.runtimes.containerd.wanted import ContainerdWanted

UP, DEB = "/opt/cni/bin", "/usr/lib/cni"
WANTED = (UP, DEB)
MAIN = "/etc/containerd/config.toml"
DEBIAN = (Path(__file__).parent / "containerd_configs" / "debian.toml").read_bytes()
CRI, RUNTIME = "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"


@pytest.mark.parametrize(
    ("version", "current", "plugins", "found", "expected"),
    [
        # one directory: that of the network's plugins, as it is if they are there
        ("1.7.24", [DEB], [], {DEB: ["bridge"]}, (UP,)),
        ("1.7.24", [DEB], ["bridge"], {DEB: ["bridge"]}, (DEB,)),
        ("1.7.24", [DEB], ["bridge"], {UP: ["bridge"], DEB: ["bridge"]}, (DEB,)),
        ("1.7.24", [DEB], ["calico"], {UP: ["calico"], DEB: ["bridge"]}, (UP,)),
        ("1.7.24", [UP], ["bridge"], {DEB: ["bridge"]}, (DEB,)),
        ("1.7.24", [UP], ["bridge"], {}, (UP,)),
        ("1.6.20", ["/srv/cni"], ["x"], {"/srv/cni": ["x"]}, ("/srv/cni",)),
        ("2.0.7", [], [], {}, (UP,)),
        # a list: what is there stays
        ("2.1.9", [DEB], [], {}, (DEB, UP)),
        ("2.1.9", [DEB, UP], ["x"], {}, (DEB, UP)),
        ("2.1.9", ["/srv/cni"], [], {}, ("/srv/cni", UP, DEB)),
        ("2.3.1", [], [], {}, (UP, DEB)),
    ],
)
def test_the_directories_to_configure(
    version: str,
    current: list[str],
    plugins: list[str],
    found: dict[str, list[str]],
    expected: tuple[str, ...],
) -> None:
    number = Version(version)
    got = chosen(WANTED, current, plugins, found, number)
    assert got == expected
    # twice is a no-op
    assert chosen(WANTED, got, plugins, found, number) == expected


def planned(text: str | bytes, version: str, directories: tuple[str, ...]) -> str:
    content = text.encode() if isinstance(text, str) else text
    wanted = ContainerdWanted("systemd", cni_bin_dirs=directories)
    new = edits_of(MAIN, {MAIN: content}, Version(version), wanted)[MAIN].text
    assert edits_of(MAIN, {MAIN: new.encode()}, Version(version), wanted) == {}
    return new


def test_debians_file_on_a_release_with_one_directory() -> None:
    for version in ("1.6.20", "1.7.24"):
        new = planned(DEBIAN, version, (UP,))
        assert '      bin_dir = "/opt/cni/bin"\n' in new
        assert '      conf_dir = "/etc/cni/net.d"\n' in new
        assert "bin_dirs" not in new


def test_debians_file_on_a_release_with_a_list() -> None:
    """2.1 takes bin_dir of a version 2 file in place of bin_dirs: only one may be left."""
    new = planned(DEBIAN, "2.1.9", (DEB, UP))
    assert '      bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]\n' in new
    assert "bin_dir =" not in new


@pytest.mark.parametrize(
    "said",
    [
        'bin_dir = "/usr/lib/cni" # Debian',
        'bin_dir = ""',
        'bin_dirs = ["/usr/lib/cni"]',
        'bin_dir = "/usr/lib/cni"\nbin_dirs = ["/a"]',
        'bin_dirs = ["/a"]\nbin_dir = "/usr/lib/cni"',
        'conf_dir = "/etc/cni/net.d"',
    ],
)
@pytest.mark.parametrize(("version", "name"), [(2, CRI), (3, RUNTIME)])
def test_a_list_takes_the_place_of_the_one(said: str, version: int, name: str) -> None:
    text = f'version = {version}\n[plugins."{name}".cni]\n{said}\n'
    new = planned(text, "2.1.9", (UP, DEB))
    table = tomllib.loads(new)["plugins"][name]["cni"]
    assert table["bin_dirs"] == [UP, DEB]
    assert "bin_dir" not in table
    assert ("# Debian" in new) == ("# Debian" in said)


def test_a_file_without_the_table_gets_it() -> None:
    for version, release, name in ((2, "1.7.24", CRI), (3, "2.1.9", RUNTIME)):
        new = planned(f"version = {version}\n", release, (UP,))
        table = tomllib.loads(new)["plugins"][name]["cni"]
        assert table == ({"bin_dirs": [UP]} if takes_list(Version(release)) else {"bin_dir": UP})


def test_nothing_is_said_where_nothing_is_wanted() -> None:
    wanted = ContainerdWanted("systemd")
    assert b"bin_dir = " in DEBIAN
    text = edits_of(MAIN, {MAIN: DEBIAN}, Version("2.1.9"), wanted)[MAIN].text
    assert '      bin_dir = "/usr/lib/cni"\n' in text


@pytest.mark.parametrize(
    ("text", "plugins"),
    [
        ('{"plugins": [{"type": "bridge", "ipam": {"type": "host-local"}}, {"type": "portmap"}]}',
         ["bridge", "host-local", "portmap"]),
        ('{"type": "bridge"}', ["bridge"]),
    ],
)  # fmt: skip
def test_what_a_network_names(text: str, plugins: list[str]) -> None:
    assert plugins_of(text) == plugins


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "{", '{"plugins": []}', '{"plugins": [1]}', '{"plugins": {"type": "a"}}',
     '{"type": "../../bin/sh"}', '{"type": "a\\nb"}', "[" * 100_000, '{"type": 1}'],
)  # fmt: skip
def test_what_is_no_network_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|names|has) "):
        plugins_of(text)


@given(
    st.recursive(
        st.none() | st.text(max_size=5),
        lambda s: (
            st.dictionaries(st.sampled_from(["plugins", "type", "ipam", "x"]), s)
            | st.lists(s, max_size=3)
        ),
    )
)
def test_no_json_does_anything_else(said: object) -> None:
    with suppress(ValueError):
        assert all(name.isascii() for name in plugins_of(json.dumps(said)))


@pytest.mark.parametrize("bad", [[], "x", ["x"], ["/a b"], ["/a'"], [1], None])
def test_directories_that_are_none(bad: object) -> None:
    with pytest.raises(ValueError, match="cni_bin_dirs"):
        check_directories(bad)
