"""A fragment of TOML, merged into containerd's files."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.files.toml_text import leaves, loads
from kubenode.runtimes.containerd.all_files import edits_of
from kubenode.runtimes.containerd.fragment import values_of
from kubenode.runtimes.containerd.places import place_in
from kubenode.runtimes.containerd.releases import RELEASES
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError
from tests.unit.test_containerd_config import CONFIGS

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/theirs.toml"
CRI = "io.containerd.grpc.v1.cri"
RUNTIME = "io.containerd.cri.v1.runtime"
IMAGES = "io.containerd.cri.v1.images"
SERVER = "io.containerd.server.v1.grpc"
GC = "io.containerd.gc.v1.scheduler"

IN_2 = f"""\
[grpc]
max_recv_message_size = 33554432
[plugins."{CRI}"]
max_concurrent_downloads = 5
max_container_log_line_size = 32768
stream_idle_timeout = "1h"
[plugins."{GC}"]
pause_threshold = 0.05
"""
IN_3 = f"""\
version = 3
[grpc]
max_recv_message_size = 33554432
[plugins."{IMAGES}"]
max_concurrent_downloads = 5
[plugins."{RUNTIME}"]
max_container_log_line_size = 32768
[plugins."{CRI}"]
stream_idle_timeout = "1h"
[plugins."{GC}"]
pause_threshold = 0.05
"""
IN_4 = f"""\
[plugins."{SERVER}"]
max_recv_message_size = 33554432
""" + IN_3.partition("[grpc]\nmax_recv_message_size = 33554432\n")[2]
BY_VERSION = {2: IN_2, 3: IN_3, 4: IN_4}


def new_file(version: str, fragment: Any, files: dict[str, bytes] | None = None) -> str:
    """The main file with the fragment; what a second edit leaves alone."""
    wanted = ContainerdWanted("systemd", fragment=fragment)
    before = {MAIN: b"", **(files or {})}
    edits = edits_of(MAIN, before, Version(version), wanted)
    after = {**before, **{path: edit.text.encode() for path, edit in edits.items()}}
    assert edits_of(MAIN, after, Version(version), wanted) == {}
    return after[MAIN].decode()


@pytest.mark.parametrize("written", [2, 3, 4])
@pytest.mark.parametrize("row", RELEASES, ids=lambda row: str(row.series))
def test_whatever_version_it_is_written_in_each_release_has_it_in_its_own(
    row: Any, written: int
) -> None:
    text = new_file(f"{row.series}.9", BY_VERSION[written])
    stated = leaves(tomllib.loads(text))
    expected = leaves(tomllib.loads(BY_VERSION[row.config_version]))
    expected.pop(("version",), None)
    assert expected.items() <= stated.items()
    # and nothing of another version's
    rest = {path for path in stated if path not in expected and "runc" not in path}
    assert rest == {("version",)}


def test_a_dict_says_the_same_as_text() -> None:
    assert values_of(tomllib.loads(IN_2)) == values_of(IN_2) == values_of(IN_3) == values_of(IN_4)


THEIRS = f"""\
version = 2
# theirs
oom_score = -999   # as shipped
[plugins."{GC}"]
  pause_threshold = 0.02 # much
  schedule_delay = "0s"

[plugins.'{CRI}'.registry]
  config_path = ""
"""


def test_what_others_wrote_stays_to_the_letter() -> None:
    text = new_file("1.7.24", IN_2, {MAIN: THEIRS.encode()})
    new = text.splitlines()
    gone = [line for line in THEIRS.splitlines() if line not in new]
    assert gone == ["  pause_threshold = 0.02 # much"]
    assert "  pause_threshold = 0.05 # much" in new


def test_none_takes_a_key_and_a_table_away() -> None:
    fragment = {"oom_score": None, "plugins": {GC: None}}
    text = new_file("1.7.24", fragment, {MAIN: THEIRS.encode()})
    assert "oom_score" not in text
    assert GC not in text
    assert "# theirs" in text


@pytest.mark.parametrize(("version", "file"), [("1.6.20", DROP_IN), ("2.1.9", MAIN)])
def test_it_goes_into_the_file_that_counts_for_that_plugin(version: str, file: str) -> None:
    files = {
        MAIN: b'version = 2\nimports = ["conf.d/*.toml"]\n',
        DROP_IN: f'version = 2\n[plugins."{GC}"]\nmutation_threshold = 7\n'.encode(),
    }
    wanted = ContainerdWanted("systemd", fragment={"plugins": {GC: {"startup_delay": "9s"}}})
    # 1.6.20 takes a pattern from /, see globs_from_root
    files[MAIN] = files[MAIN].replace(b"conf.d", b"/etc/containerd/conf.d")
    edits = edits_of(MAIN, files, Version(version), wanted)
    assert [path for path, edit in edits.items() if "startup_delay" in edit.text] == [file]


def test_an_imported_file_that_would_win_is_changed_where_it_says_so() -> None:
    files = {
        MAIN: b'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n',
        DROP_IN: f'[plugins."{GC}"]\npause_threshold = 0.9\n'.encode(),
    }
    wanted = ContainerdWanted("systemd", fragment=IN_2)
    edits = edits_of(MAIN, files, Version("2.1.9"), wanted)
    assert edits[DROP_IN].text == f'[plugins."{GC}"]\npause_threshold = 0.05\n'


def test_a_table_in_a_list_is_written_inline() -> None:
    fragment = '[[plugins."io.containerd.transfer.v1.local".unpack_config]]\ndiffer = "erofs"\n'
    text = new_file("2.1.9", fragment)
    assert 'unpack_config = [{differ = "erofs"}]' in text


def test_what_a_version_has_no_place_for_is_named() -> None:
    wanted = ContainerdWanted(
        "systemd", fragment={"plugins": {RUNTIME: {"enable_something_new": True}}}
    )
    with pytest.raises(ConfigError, match=r"version 2, which has no place for .*something_new"):
        edits_of(MAIN, {MAIN: b"version = 2\n"}, Version("1.7.24"), wanted)
    assert edits_of(MAIN, {MAIN: b"version = 3\n"}, Version("2.1.9"), wanted)


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("a = 1\nb = \n", r"not valid TOML, line 2, column 5: Invalid value"),
        ("a = [1\n", r"not valid TOML, line 2: Unclosed array"),
        ("a = 1\na = 2\n", r"line 2, column 6: Cannot overwrite"),
        (7, "the fragment is TOML as text, or a dict"),
        ("x = " + "[" * 500, "nested deeper"),
        ({"a": object()}, "a is .*no text, number"),
        ({"a": [None]}, "a.0 is None"),
        ({"a": "\0"}, "no text, number"),
        ("d = 1979-05-27\n", "d is .*no text, number"),
        ({1: 2}, "a key that is no text"),
        ("version = 1\n", "version is 1: write"),
        ("version = true\n", "version is True"),
        ("plugins.cri.sandbox_image = 'a'\n", "a name of version 1"),
        (f'[plugins."{CRI}"]\nsandbox_image = "a"\n', "what kubenode_pause_image sets"),
        (f'[plugins."{CRI}"]\nSandbox_Image = "a"\n', "what kubenode_pause_image sets"),
        (f'[plugins."{IMAGES}".pinned_images]\nsandbox = "a"\n', "kubenode_pause_image"),
        (f'[plugins."{IMAGES}"]\nsnapshotter = "a"\n', "kubenode_snapshotter"),
        (f'[plugins."{IMAGES}".registry]\nconfig_path = "a"\n', "kubenode_registry_config_path"),
        (f'[plugins."{CRI}".registry.mirrors."a"]\nendpoint = []\n', "kubenode_registry_hosts"),
        (f'[plugins."{RUNTIME}".cni]\nbin_dirs = []\n', "kubenode_cni_bin_dirs"),
        (
            f'[plugins."{RUNTIME}".containerd.runtimes.runc.options]\nSystemdCgroup = true\n',
            "kubenode_cgroup_driver",
        ),
        (
            f'[plugins."{RUNTIME}".containerd.runtimes.x]\nsandboxer = "a"\n',
            "kubenode_containerd_handlers",
        ),
        (
            f'[plugins."{CRI}".containerd]\ndefault_runtime_name = "a"\n',
            "kubenode_containerd_default_handler",
        ),
        ({"plugins": {CRI: None}}, "has what kubenode's settings set"),
        ({"plugins": {IMAGES: {"pinned_images": None}}}, "has what kubenode's settings set"),
        ({"plugins": None}, "has what kubenode's settings set"),
        ("imports = []\n", "imports cannot be set by a fragment"),
        ("state = '/run/x'\n", "state cannot be set by a fragment"),
        ("[grpc]\naddress = 'x'\n", "grpc.address cannot be set"),
        (f"[plugins.'{SERVER}']\naddress = 'x'\n", "address cannot be set"),
        ("disabled_plugins = ['cri']\n", "decides whether CRI is on"),
        (
            f'[plugins."{CRI}"]\nmax_concurrent_downloads = 5\n'
            f'[plugins."{IMAGES}"]\nmax_concurrent_downloads = 6\n',
            "twice, under the names of two versions",
        ),
    ],
)
def test_what_is_wrong_is_named(fragment: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        values_of(fragment)


def test_other_plugins_may_be_disabled() -> None:
    assert values_of("disabled_plugins = ['io.containerd.snapshotter.v1.zfs']\n")


KEYS = st.text("abcdefgh_", min_size=1, max_size=6).filter(
    lambda key: key not in ("state", "root", "version", "imports")
)
VALUES = st.one_of(
    st.text("abc \"'\\\n#=[", max_size=8),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.lists(st.text("abc ,", max_size=4), max_size=3),
    st.floats(-1e6, 1e6).map(float),
)


@settings(deadline=None)
@given(
    name=st.sampled_from(["debian.toml", "gpu-version-2.toml", "dump-1.7.24.toml"]),
    tables=st.dictionaries(
        st.sampled_from(["io.containerd.gc.v1.scheduler", "io.containerd.x.v1.y", CRI]),
        st.dictionaries(KEYS, VALUES, min_size=1, max_size=3),
        min_size=1,
        max_size=2,
    ),
)
def test_a_file_says_what_it_said_and_the_fragment(
    name: str, tables: dict[str, dict[str, Any]]
) -> None:
    fragment = {"plugins": tables}
    before = (CONFIGS / name).read_bytes()
    plain = ContainerdWanted("systemd")
    files = {MAIN: before}
    version = Version("1.7.24")
    files |= {path: e.text.encode() for path, e in edits_of(MAIN, files, version, plain).items()}
    wanted = ContainerdWanted("systemd", fragment=fragment)
    edits = edits_of(MAIN, files, version, wanted)
    after = edits[MAIN].text if edits else files[MAIN].decode()
    stated = {**leaves(loads(files[MAIN].decode())), **values_of(fragment)}
    assert {path: value for path, value in leaves(loads(after)).items() if value != {}} == {
        path: value for path, value in stated.items() if value != {}
    }
    # every line that was there is there in its order, but those of what changed
    new = iter(after.splitlines())
    changed = len(edits[MAIN].changes) if edits else 0
    lost = [line for line in files[MAIN].decode().splitlines() if line not in new]
    assert len(lost) <= changed


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_place_is_the_same_from_every_version(version: int) -> None:
    for text in BY_VERSION.values():
        for path in leaves(tomllib.loads(text)):
            if path != ("version",):
                place = place_in(path, version)
                assert place is not None
                assert place_in(place, version) == place
                assert place_in(place, 2) == place_in(path, 2)
