"""Reading and editing containerd's configuration."""

from __future__ import annotations

import copy
import json
import random
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.runtimes.containerd.config import Config, parse
from kubenode.runtimes.containerd.editing import edit
from kubenode.runtimes.containerd.imports import import_patterns, in_force, load_order
from kubenode.runtimes.containerd.registry import registry_conflict
from kubenode.runtimes.containerd.releases import drop_in_trouble, release_of
from kubenode.runtimes.containerd.tables import CRI_PLUGINS, SERVER, tables_of
from kubenode.runtimes.containerd.version_1 import upgrade_version_1
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError, Edit

CONFIGS = Path(__file__).parent / "containerd_configs"
MAIN = "/etc/containerd/config.toml"
CONF_D = "/etc/containerd/conf.d/*.toml"
CRI = "io.containerd.grpc.v1.cri"
RUNTIME = "io.containerd.cri.v1.runtime"
IMAGES = "io.containerd.cri.v1.images"
SYSTEMD = ContainerdWanted("systemd")


def config(name: str) -> Config:
    return parse((CONFIGS / name).read_bytes(), MAIN)


def edited(text: str, wanted: ContainerdWanted = SYSTEMD, is_root: bool = True) -> Edit:
    """The edit, which a second one leaves alone."""
    result = edit(parse(text, MAIN), wanted, is_root)
    assert edit(parse(result.text, MAIN), wanted, is_root) == Edit(result.text, ())
    return result


def drivers(text: str) -> dict[str, bool | None]:
    handlers = parse(text, MAIN).settings.handlers.values()
    return {handler.name: handler.systemd_cgroup for handler in handlers if handler.is_runc_type}


# --- files that are none


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"version = 2\n[plugins\n", ":2:9: is not valid TOML: Expected ']'"),
        (b"version = 2\r\na = \r\n", ":2:5: is not valid TOML: Invalid value"),
        (b"a = 1\na = 2\n", ":2:6: is not valid TOML: Cannot overwrite a value"),
        (b"# x\na = [1", ":2:7: is not valid TOML: Unclosed array"),
        (b"a = " + b"9" * 5000, ":1:1: is not valid TOML: Exceeds the limit"),
        (b"a = " + b"[" * 5000, ":1:1: is nested deeper than 32"),
        (b"# caf\xc3\xa9\n# caf\xe9\n", ":2:6: is not UTF-8: byte 0xe9"),
        (b"\xef\xbb\xbfversion = 2\n", ":1:1: starts with a byte order mark"),
        (b'# x\nversion = "2"\n', ":2:1: version is not a number"),
        (b"version = true\n", ":1:1: version is not a number"),
        (b"version = -1\n", ":1:1: version is not a number"),
        (b'version = 2\nplugins = "x"\n', ":2:1: plugins is not a table"),
        (b"version = 2\n[[plugins]]\n", ":2:1: plugins is not a table"),
        (b'disabled_plugins = "cri"\n', ":1:1: disabled_plugins is not an array"),
        (b'disabled_plugins = [\n "a",\n 1]\n', ":3:2: disabled_plugins.1 is not a string"),
        (
            f'version = 2\n[plugins."{CRI}"]\n  containerd = 1\n'.encode(),
            f':3:3: plugins."{CRI}".containerd is not a table',
        ),
        (
            f'version = 3\n[plugins."{RUNTIME}".containerd.runtimes]\nrunc = []\n'.encode(),
            f':3:1: plugins."{RUNTIME}".containerd.runtimes.runc is not a table',
        ),
        (
            f'version = 3\n[plugins."{RUNTIME}".containerd.runtimes.runc.options]\n'
            'SystemdCgroup = "true"\n'.encode(),
            f':3:1: plugins."{RUNTIME}".containerd.runtimes.runc.options.SystemdCgroup '
            "is not a boolean",
        ),
        (
            f'version = 3\n[[plugins."{IMAGES}".pinned_images]]\nsandbox = "x"\n'.encode(),
            f':2:1: plugins."{IMAGES}".pinned_images is not a table',
        ),
    ],
)
def test_error_names_file_line_and_column(content: bytes, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(content, MAIN)
    message = str(caught.value)
    assert message.startswith(MAIN + error)
    assert "\n" not in message


@settings(max_examples=100)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_content_raises_anything_else(content: bytes) -> None:
    try:
        parsed = parse(content, MAIN)
        edit(parsed, SYSTEMD, is_root=True)
        upgrade_version_1(parsed)
    except ConfigError:
        pass


# --- reading


@pytest.mark.parametrize(
    ("text", "version", "states_version", "is_empty"),
    [
        ("", 1, False, True),
        ("# only\n\n  # comments\n", 1, False, True),
        ('root = "/x"\n', 1, False, False),
        ("version = 0\n", 1, True, False),
        ("version = 2\n", 2, True, False),
        ("version = 4\n", 4, True, False),
        ("version = 17\n", 17, True, False),
    ],
)
def test_version(text: str, version: int, states_version: bool, is_empty: bool) -> None:
    read = parse(text, MAIN)
    assert (read.version, read.states_version, read.is_empty) == (
        version,
        states_version,
        is_empty,
    )


def test_drop_in_without_a_version_has_the_main_files() -> None:
    text = f'[plugins."{RUNTIME}".containerd.runtimes.runc.options]\nSystemdCgroup = true\n'
    assert parse(text, "/d.toml", unstated_version=3).settings.handlers["runc"].systemd_cgroup
    assert not parse(text, "/d.toml").settings.handlers


@pytest.mark.parametrize(
    ("name", "version", "pause_image", "imports"),
    [
        ("dump-1.6.20.toml", 2, "registry.k8s.io/pause:3.6", [MAIN]),
        ("dump-1.7.24.toml", 2, "registry.k8s.io/pause:3.8", [MAIN]),
        ("dump-2.1.9.toml", 3, "registry.k8s.io/pause:3.10", []),
        ("default-2.2.7.toml", 3, "registry.k8s.io/pause:3.10.1", [CONF_D]),
        ("default-2.3.4.toml", 4, "registry.k8s.io/pause:3.10.2", [CONF_D]),
        ("default-2.4.0-beta.0.toml", 4, "registry.k8s.io/pause:3.10.2", [CONF_D]),
    ],
)
def test_dump(name: str, version: int, pause_image: str, imports: list[str]) -> None:
    dump = config(name)
    said = dump.settings
    assert dump.version == version
    assert list(said.handlers) == ["runc"]
    runc = said.handlers["runc"]
    assert (runc.runtime_type, runc.is_runc_type) == ("io.containerd.runc.v2", True)
    assert runc.systemd_cgroup is False
    assert said.default_runtime_name == "runc"
    assert said.pause_image == pause_image
    assert said.snapshotter == "overlayfs"
    assert said.registry_config_path == ""
    assert said.root == "/var/lib/containerd"
    assert list(said.imports) == imports
    assert not said.disabled_plugins
    # the lines, against the text itself
    lines = dump.text.splitlines()
    assert ".runtimes.runc]" in lines[dump.line_of(runc.table) - 1]
    assert lines[dump.line_of(runc.driver_path) - 1].strip() == "SystemdCgroup = false"
    assert pause_image in lines[dump.line_of(tables_of(version)[0].pause_image) - 1]
    address: tuple[str, ...] = (
        ("plugins", SERVER, "address") if version == 4 else ("grpc", "address")
    )
    assert "address = " in lines[dump.line_of(address) - 1]
    # a dump is a file like another
    assert drivers(edited(dump.text).text) == {"runc": True}


@pytest.mark.parametrize(
    ("name", "version", "socket"),
    [
        ("dump-2.2.7.toml", 3, ("grpc", "address")),
        ("dump-2.3.4.toml", 4, ("plugins", SERVER, "address")),
        ("dump-2.4.0-beta.0.toml", 4, ("plugins", SERVER, "address")),
    ],
)
def test_dump_of_what_kubenode_began(name: str, version: int, socket: tuple[str, ...]) -> None:
    dump = config(name)
    assert dump.version == version
    assert drivers(dump.text) == {"runc": True}
    assert dump.settings.cni_directories == ["/opt/cni/bin"]
    assert dump.get(socket, str) == "/run/containerd/containerd.sock"
    assert edited(dump.text).changes == ()


def test_dump_that_leaves_the_driver_out_states_none() -> None:
    text = (CONFIGS / "dump-2.1.9.toml").read_text().replace("SystemdCgroup = false", "")
    runc = parse(text, MAIN).settings.handlers["runc"]
    assert runc.systemd_cgroup is None


def test_handlers_and_where_they_are_stated() -> None:
    file = config("gpu-version-2.toml")
    said = file.settings
    found = {
        handler.name: (handler.is_runc_type, handler.systemd_cgroup)
        for handler in said.handlers.values()
    }
    assert found == {
        "runc": (True, False),
        "nvidia": (True, None),
        "runsc": (False, None),
        "kata": (False, None),
    }
    assert file.line_of(said.handlers["runc"].driver_path) == 15
    assert file.line_of(said.handlers["nvidia"].table) == 16
    assert said.default_runtime_name == "nvidia"
    assert file.entries("required_plugins") == (CRI,)
    assert file.line_of(("required_plugins", 0)) == 4

    file = config("gpu-version-3.toml")
    lines = {name: file.line_of(handler.table) for name, handler in file.settings.handlers.items()}
    assert lines == {"runc": 11, "crun": 12, "runsc": 15}
    assert file.line_of(tables_of(3)[0].pause_image) == 6
    assert file.settings.imports == ("/etc/containerd/conf.d/*.toml",)
    assert file.line_of(("imports", 0)) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        "version = 2\nstate = 1\n",
        "version = 2\nrequired_plugins = [1]\n",
        "version = 2\n[grpc]\naddress = 1\n",
        'version = 4\n[plugins."io.containerd.server.v1.grpc"]\naddress = 1\n',
    ],
)
def test_what_nobody_reads_has_its_type_too(wrong: str) -> None:
    with pytest.raises(ConfigError, match="is not a string"):
        parse(wrong, MAIN)


def test_legacy_handler_tables_of_version_2() -> None:
    text = (
        f'version = 2\n[plugins."{CRI}".containerd.default_runtime]\n'
        'runtime_type = "io.containerd.runc.v1"\n'
        f'[plugins."{CRI}".containerd.untrusted_workload_runtime]\nruntime_type = ""\n'
    )
    assert list(parse(text, MAIN).settings.handlers) == ["default_runtime"]
    assert drivers(edited(text).text) == {"default_runtime": True, "runc": True}


@pytest.mark.parametrize("plugin", sorted(CRI_PLUGINS))
@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_whether_cri_is_disabled(plugin: str, version: int) -> None:
    text = f'version = {version}\ndisabled_plugins = [\n  "x.y.z",\n  "{plugin}"]\n'
    assert set(parse(text, MAIN).settings.disabled_plugins) & CRI_PLUGINS == {plugin}


def test_lines_under_every_kind_of_string() -> None:
    text = (
        'version = 2\n# [plugins."x"]\ntemp = """\n[plugins."io.containerd.grpc.v1.cri"]\n'
        'sandbox_image = "no"\\\n  \\"""" # end\n'
        "other = '''\n] } # no comment ''''\n"
        'when = 1979-05-27 07:32:00 # a date\nlist = [ [1, "]"], {a = "}"}, # here\n]\n'
        f'[plugins."{CRI}"]\n'
        'sandbox_image = "yes"\n'
    )
    file = parse(text, MAIN)
    assert file.settings.pause_image == "yes"
    line = file.line_of(("plugins", CRI, "sandbox_image"))
    assert text.split("\n")[line - 1] == 'sandbox_image = "yes"'


# --- editing


def test_debians_file() -> None:
    old = (CONFIGS / "debian.toml").read_text()
    result = edited(old)
    assert result.text == old + (
        f'\n[plugins."{CRI}".containerd.runtimes.runc]\n'
        '  runtime_type = "io.containerd.runc.v2"\n'
        f'\n[plugins."{CRI}".containerd.runtimes.runc.options]\n'
        "  SystemdCgroup = true\n"
    )
    assert [str(change) for change in result.changes] == [
        f'plugins."{CRI}".containerd.runtimes.runc.runtime_type: '
        'not stated -> "io.containerd.runc.v2"',
        f'plugins."{CRI}".containerd.runtimes.runc.options.SystemdCgroup: not stated -> true',
    ]


def test_file_with_other_runtimes_version_2() -> None:
    old = (CONFIGS / "gpu-version-2.toml").read_text()
    result = edited(old)
    assert result.text == old.replace("SystemdCgroup = false #", "SystemdCgroup = true #").replace(
        '        BinaryName = "/usr/bin/nvidia-container-runtime"\n',
        '        BinaryName = "/usr/bin/nvidia-container-runtime"\n        SystemdCgroup = true\n',
    )
    back = edited(result.text, ContainerdWanted("cgroupfs"))
    assert drivers(back.text) == {"runc": False, "nvidia": False}


@pytest.mark.parametrize("name", ["gpu-version-3.toml", "gpu-version-4.toml"])
def test_file_with_inline_and_dotted_handlers(name: str) -> None:
    old = (CONFIGS / name).read_text()
    result = edited(old)
    assert result.text == old.replace("SystemdCgroup = false", "SystemdCgroup = true").replace(
        "  crun.options.BinaryName = '/usr/bin/crun'\n",
        "  crun.options.BinaryName = '/usr/bin/crun'\n  crun.options.SystemdCgroup = true\n",
    )


def test_other_settings_where_they_are_stated() -> None:
    wanted = ContainerdWanted("systemd", "registry.example/p:1", "zfs", "/certs")
    new = edited((CONFIGS / "gpu-version-3.toml").read_text(), wanted).text
    assert "  snapshotter = 'zfs'\n" in new
    assert "pinned_images = { sandbox = 'registry.example/p:1' }\n" in new
    assert "  config_path = '/certs'\n" in new
    new = edited((CONFIGS / "gpu-version-2.toml").read_text(), wanted).text
    assert '  sandbox_image = "registry.example/p:1"\n' in new
    assert '    snapshotter = "zfs"\n' in new
    assert '    config_path = "/certs"\n' in new


@pytest.mark.parametrize("version", [2, 3, 4])
def test_new_file(version: int) -> None:
    wanted = ContainerdWanted("systemd", pause_image="registry.example/p:1", snapshotter="zfs")
    text = edited(f"version = {version}\n", wanted).text
    read = parse(text, MAIN)
    assert read.version == version
    assert drivers(text) == {"runc": True}
    assert read.settings.handlers["runc"].runtime_type == "io.containerd.runc.v2"
    assert read.settings.pause_image == "registry.example/p:1"
    assert edit(read, wanted, is_root=True) == Edit(text, ())


def test_minimal_new_file() -> None:
    assert edited("version = 3\n").text == (
        f'version = 3\n\n[plugins."{RUNTIME}".containerd.runtimes.runc]\n'
        '  runtime_type = "io.containerd.runc.v2"\n'
        f'\n[plugins."{RUNTIME}".containerd.runtimes.runc.options]\n  SystemdCgroup = true\n'
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # the table written in one place decides how a key is added
        (
            f'plugins."{CRI}".containerd.runtimes.runc.options.SystemdCgroup = false # why',
            f'plugins."{CRI}".containerd.runtimes.runc.options.SystemdCgroup = true # why\n'
            f'plugins."{CRI}".containerd.runtimes.runc.runtime_type = "io.containerd.runc.v2"\n',
        ),
        (
            f"[plugins.'{CRI}'.containerd]\n\truntimes.runc.runtime_type='io.containerd.runc.v2'\n",
            f"[plugins.'{CRI}'.containerd]\n\truntimes.runc.runtime_type='io.containerd.runc.v2'\n"
            "\truntimes.runc.options = {SystemdCgroup = true}\n",
        ),
        (
            f'plugins = {{"{CRI}" = {{ }}}}\n',
            f'plugins = {{"{CRI}" = {{ containerd = {{runtimes = {{runc = {{runtime_type = '
            '"io.containerd.runc.v2",options = {SystemdCgroup = true}}}}}}\n',
        ),
        (
            f'[plugins."{CRI}".containerd.runtimes.runc]\n'
            'runtime_type = "io.containerd.runc.v2"\noptions = {}\n[a]\n',
            f'[plugins."{CRI}".containerd.runtimes.runc]\n'
            'runtime_type = "io.containerd.runc.v2"\noptions = {SystemdCgroup = true}\n[a]\n',
        ),
        (
            f'[plugins."{CRI}".containerd.runtimes]\n'
            'runc = {runtime_type = "io.containerd.runc.v2", options.BinaryName = "x"}\n',
            f'[plugins."{CRI}".containerd.runtimes]\n'
            'runc = {runtime_type = "io.containerd.runc.v2", options.BinaryName = "x", '
            "options.SystemdCgroup = true}\n",
        ),
        # a partial runc table gets its type beside what it has
        (
            f'[plugins."{CRI}".containerd.runtimes.runc.options]\n  SystemdCgroup = true\n',
            f'[plugins."{CRI}".containerd.runtimes.runc.options]\n  SystemdCgroup = true\n\n'
            f'[plugins."{CRI}".containerd.runtimes.runc]\n'
            '  runtime_type = "io.containerd.runc.v2"\n',
        ),
        # a header with nothing under it, at the end of a file without a line end
        (
            f'[plugins."{CRI}".containerd.runtimes.runc]\n'
            'runtime_type = "io.containerd.runc.v2"\n'
            f'  [plugins."{CRI}".containerd.runtimes.runc.options] # none',
            f'[plugins."{CRI}".containerd.runtimes.runc]\n'
            'runtime_type = "io.containerd.runc.v2"\n'
            f'  [plugins."{CRI}".containerd.runtimes.runc.options] # none\n'
            "    SystemdCgroup = true\n",
        ),
        # a value over several lines before the place
        (
            f'[plugins."{CRI}".containerd.runtimes.runc]\n'
            'runtime_type = "io.containerd.runc.v2"\n'
            f'[plugins."{CRI}".containerd.runtimes.runc.options]\nX = [\n 1, # one\n] # end\n# c\n',
            f'[plugins."{CRI}".containerd.runtimes.runc]\n'
            'runtime_type = "io.containerd.runc.v2"\n'
            f'[plugins."{CRI}".containerd.runtimes.runc.options]\nX = [\n 1, # one\n] # end\n'
            "SystemdCgroup = true\n# c\n",
        ),
    ],
)
def test_key_is_added_in_the_style_of_its_table(old: str, new: str) -> None:
    assert edited(f"version = 2\n{old}").text == f"version = 2\n{new}"


RUNC_2 = edited("version = 2\n").text.partition("\n")[2]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["cri"]', "[]"),
        ('[ "cri" ] # off', "[] # off"),
        ('["cri", "a.b"]', '["a.b"]'),
        ('["a.b", "cri"]', '["a.b"]'),
        (f'["a.b", "{CRI}", \'cri\', "c.d"]', '["a.b", "c.d"]'),
        (f'[\n  "{CRI}",\n  "a.b",\n]', '[\n  "a.b",\n]'),
        (f'[\n  "a.b", # one\n  "{CRI}" # two\n]', '[\n  "a.b", # one\n]'),
        (f'[\n  "a.b",\n  "{CRI}"\n]', '[\n  "a.b",\n]'),
        ('["a.b"]', '["a.b"]'),
    ],
)
def test_disabled_plugins_are_freed_of_cri(old: str, new: str) -> None:
    text = f"version = 2\ndisabled_plugins = {old}\n{RUNC_2}"
    result = edited(text)
    assert result.text == f"version = 2\ndisabled_plugins = {new}\n{RUNC_2}"
    assert len(result.changes) == (old != new)


@pytest.mark.parametrize(
    "text",
    [
        f'version = 2\n[plugins."{CRI}".cni]\nbin_dir = "/x"\n',
        f'[plugins."{CRI}".containerd.runtimes.kata]\nruntime_type = "io.containerd.kata.v2"\n',
        "",
        "# nothing\n",
        f'version = 2\n[plugins."{CRI}".containerd.runtimes.runc.options]\nSystemdCgroup = true\n',
    ],
)
def test_drop_in_that_states_nothing_of_it_is_left_alone(text: str) -> None:
    wanted = ContainerdWanted("systemd", "p:1", "zfs", "/certs")
    drop_in = parse(text, "/etc/containerd/conf.d/a.toml", unstated_version=2)
    assert edit(drop_in, wanted, is_root=False) == Edit(text, ())


def test_drop_in_is_changed_where_it_would_win() -> None:
    text = (
        f'version = 3\ndisabled_plugins = ["{RUNTIME}"]\n'
        f'[plugins."{RUNTIME}".containerd.runtimes.nvidia]\n'
        'runtime_type = "io.containerd.runc.v2"\n'
        f'[plugins."{RUNTIME}".containerd.runtimes.other.options]\nSystemdCgroup = false\n'
        f'[plugins."{IMAGES}".pinned_images]\nsandbox = "old"\n'
    )
    result = edited(text, ContainerdWanted("systemd", "new", "zfs", "/certs"), is_root=False)
    read = parse(result.text, MAIN).settings
    assert drivers(result.text) == {"nvidia": True, "other": True}
    assert read.pause_image == "new"
    assert read.snapshotter is None
    assert read.registry_config_path is None
    assert not read.disabled_plugins


def test_version_2_file_with_version_3_tables_has_both_set() -> None:
    text = (
        f'version = 2\n[plugins."{CRI}"]\nsandbox_image = "a"\n'
        f'[plugins."{RUNTIME}".containerd.runtimes.crun]\nruntime_type="io.containerd.runc.v2"\n'
        f'[plugins."{IMAGES}"]\nsnapshotter = "b"\n'
    )
    data = tomllib.loads(edited(text, ContainerdWanted("systemd", snapshotter="zfs")).text)[
        "plugins"
    ]
    for plugin, names in ((CRI, {"runc"}), (RUNTIME, {"runc", "crun"})):
        handlers = data[plugin]["containerd"]["runtimes"]
        assert set(handlers) == names
        assert all(handler["options"]["SystemdCgroup"] for handler in handlers.values())
    assert data[IMAGES]["snapshotter"] == "zfs"
    assert "snapshotter" not in data[CRI]["containerd"]


def test_legacy_driver_setting() -> None:
    legacy = 'runtime_type = "io.containerd.runtime.v1.linux"\n'
    runtimes = f'[plugins."{CRI}".containerd.runtimes.'
    text = f'version = 2\n[plugins."{CRI}"]\nsystemd_cgroup = true # old\n'
    assert "systemd_cgroup = false # old\n" in edited(text).text
    # valid and as wanted: the default handler takes its driver from there
    linux = f"{text}{runtimes}runc]\n{legacy}"
    assert edited(linux).text == linux
    with pytest.raises(ConfigError, match=r":4:1: .*runc has the runtime_type .*v1\.linux"):
        edited(linux, ContainerdWanted("cgroupfs"))
    with pytest.raises(ConfigError, match=r"old has the runtime_type"):
        edited(f"version = 2\n{runtimes}old]\n{legacy}")
    # in version 3 it is a foreign key
    text = f'version = 3\n[plugins."{CRI}"]\nsystemd_cgroup = true\n'
    assert text in edited(text).text


def test_registry_directory_is_refused_beside_mirrors() -> None:
    wanted = ContainerdWanted("systemd", registry_config_path="/certs")
    mirrors = f'version = 2\n[plugins."{CRI}".registry.mirrors."docker.io"]\nendpoint = ["x"]\n'
    with pytest.raises(ConfigError, match=r"config.toml:2:1: .*mirrors and config_path exclude"):
        edited(mirrors, wanted)
    edited(mirrors)
    tls = f'version = 3\n[plugins."{IMAGES}".registry.configs.r.tls]\nca_file = "x"\n'
    with pytest.raises(ConfigError, match=r"configs\.r\.tls and config_path exclude"):
        edited(tls, wanted)


CERTS = f'[plugins."{CRI}".registry]\nconfig_path = "/certs"\n'
MIRROR = f'[plugins."{CRI}".registry.mirrors."docker.io"]\n'
TLS = f'[plugins."{CRI}".registry.configs.r.tls]\n'


@pytest.mark.parametrize(
    ("release", "texts", "line"),
    [
        # as containerd 1.6.20, 1.7.24 and 2.1.9 did, with a file of version 2
        ("1.6.20", [CERTS + MIRROR], 4),
        ("1.7.24", [CERTS + MIRROR], 4),
        ("2.1.9", [CERTS + MIRROR], 4),
        ("1.7.24", [CERTS + TLS], 4),
        ("2.1.9", [CERTS + TLS], None),
        ("2.1.9", [CERTS, MIRROR], 2),
        ("1.6.20", [CERTS, MIRROR], None),
        ("1.7.24", [MIRROR], None),
        ("1.7.24", [CERTS], None),
        ("1.7.24", [MIRROR + TLS], None),
        ("1.7.24", [CERTS.replace("/certs", "") + MIRROR], None),
        ("1.7.24", [CERTS + f'[plugins."{CRI}".registry.mirrors]\n'], None),
        ("1.7.24", [CERTS + f'[plugins."{CRI}".registry.configs.r.auth]\nusername = "u"\n'], None),
    ],
)
def test_registries_in_two_ways(release: str, texts: list[str], line: int | None) -> None:
    files = [
        parse(f"version = 2\n{text}".encode(), f"/{number}.toml")
        for number, text in enumerate(texts)
    ]
    known = release_of(Version(release))
    conflict = registry_conflict(in_force(files, known), known)
    assert (None if conflict is None else conflict.line) == line
    if conflict:
        assert "config_path (/0.toml:3) exclude each other" in str(conflict)


@pytest.mark.parametrize("text", ["# c\n", "version = 1\n", "\nversion = 5\n"])
def test_other_versions_are_not_edited(text: str) -> None:
    with pytest.raises(ConfigError, match="only 2, 3 and 4 can be edited"):
        edit(parse(text, MAIN), SYSTEMD, is_root=True)


def test_what_cannot_be_edited_safely_is_refused() -> None:
    # tomlkit takes the comma on the next line away with the entry
    text = 'version = 2\ndisabled_plugins = [ "cri" # one\n, "a.b" ]\n'
    reason = f"{MAIN}:1:1: cannot be edited safely: rewrite what states disabled_plugins "
    with pytest.raises(ConfigError, match=re.escape(reason)):
        edited(text)


def test_wanted_names_a_bad_driver() -> None:
    with pytest.raises(ValueError, match="'systmd': expected systemd or cgroupfs"):
        ContainerdWanted("systmd")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["pause_image", "snapshotter", "registry_config_path"])
@pytest.mark.parametrize(
    "value", ["", "a b", "a\n", 'a"', "a'", "a\\b", "a\x7f", "\u00e4", ["a"], False]
)
def test_wanted_names_what_is_not_one_word(name: str, value: Any) -> None:
    reason = f"{name} is one word without blanks or quotes, not {value!r}"
    with pytest.raises(ValueError, match=re.escape(reason)):
        ContainerdWanted("systemd", **{name: value})


def test_wanted_takes_any_word() -> None:
    ContainerdWanted(
        "systemd", "registry.example:5000/a_b/pause@sha256:0-9", "zfs", "/etc/c/certs.d:/[x]~!"
    )


# --- version 1


def test_dockers_file_becomes_version_2() -> None:
    old = (CONFIGS / "docker.toml").read_text()
    upgraded = upgrade_version_1(parse(old, MAIN))
    assert upgraded
    assert upgraded.text == "version = 2\n" + old.replace('["cri"]', "[]")
    assert [str(change) for change in upgraded.changes] == [
        'disabled_plugins: ["cri"] -> []',
        "version: not stated -> 2",
    ]
    assert "disabled_plugins" not in str(edited(upgraded.text).changes)


def test_names_of_version_1_become_full_ones() -> None:
    old = (CONFIGS / "version-1.toml").read_text()
    upgraded = upgrade_version_1(parse(old, MAIN))
    assert upgraded
    assert upgraded.text == "version = 2\n" + (
        old.replace("plugins.cri", f'plugins."{CRI}"')
        .replace('plugins."cri"', f'plugins."{CRI}"')
        .replace("plugins.opt", 'plugins."io.containerd.internal.v1.opt"')
        .replace('"aufs"', '"io.containerd.snapshotter.v1.aufs"')
        .replace("'zfs'", "'io.containerd.snapshotter.v1.zfs'")
    )
    assert drivers(edited(upgraded.text).text) == {"runc": True}


def test_stated_version_1_and_other_styles() -> None:
    text = (
        "version = 1 # old\r\nplugins.cri = { sandbox_image = 'x', containerd = { } }\r\n"
        "[grpc]\r\ngid = 1\r\n"
    )
    upgraded = upgrade_version_1(parse(text, MAIN))
    assert upgraded
    assert upgraded.text == text.replace("= 1 # old", "= 2 # old").replace("cri", f'"{CRI}"')
    upgraded = upgrade_version_1(parse("# c\r\n", MAIN))
    assert upgraded
    assert upgraded.text == "version = 2\r\n# c\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "plugins = { cri = {} }\n",
        "[plugins]\ncri.sandbox_image = 'x'\n",
        "[[plugins.cri.x]]\n[a]\n[plugins]\nopt = { path = '/x' }\n",
        'x = """\n[plugins.cri]\n"""\n[plugins.cri]\n',
    ],
)
def test_version_1_plugin_without_a_header_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be edited safely: rewrite what states plugins "):
        upgrade_version_1(parse(text, MAIN))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n[plugins.mine]\n", ":2:1: .*'mine'.*rewrite the file as version 2"),
        ("[plugins]\n[plugins.content]\n", ":2:1: .*'content'"),
        ('disabled_plugins = [\n"cri",\n"mine"]\n', ":3:1: .*'mine'"),
        ('required_plugins = ["-service.x", "windows"]\n', ":1:1: .*'windows'"),
        (f'[plugins.cri]\n[plugins."{CRI}"]\n', f":2:1: .*'cri' again as '{CRI}'"),
    ],
)
def test_what_cannot_be_upgraded_for_certain_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{MAIN}{message}"):
        upgrade_version_1(parse(text, MAIN))


def test_every_service_is_a_service() -> None:
    old = (
        'required_plugins = ["tasks-service"]\n'
        "[plugins.diff-service]\ndefault = ['walking'] # ours\n[plugins.x-service.y]\n"
    )
    upgraded = upgrade_version_1(parse(old, MAIN))
    service = "io.containerd.service.v1"
    assert upgraded.text == (
        f'version = 2\nrequired_plugins = ["{service}.tasks-service"]\n'
        f"[plugins.\"{service}.diff-service\"]\ndefault = ['walking'] # ours\n"
        f'[plugins."{service}.x-service".y]\n'
    )


# --- several files


def test_imports_as_absolute_patterns() -> None:
    text = 'imports = ["/etc/containerd/conf.d/*.toml", "./more/../x.toml", "d/*.toml"]\n'
    assert import_patterns(parse(text, MAIN), Version("2.1.9")) == [
        "/etc/containerd/conf.d/*.toml",
        "/etc/containerd/x.toml",
        "/etc/containerd/d/*.toml",
    ]
    assert import_patterns(parse(text, MAIN), Version("1.6.20"))[1:] == [
        "/etc/containerd/x.toml",
        "/d/*.toml",
    ]


def test_load_order_is_breadth_first_and_loads_nothing_twice() -> None:
    files = {
        "/c/main.toml": 'imports = ["/c/d/*.toml", "last.toml"]\n',
        "/c/last.toml": "",
        "/c/d/2.toml": "",
        "/c/d/deeper/3.toml": "",
        "/c/d/1.toml": 'imports = ["../nested.toml", "/c/main.toml", "/gone.toml"]\n',
        "/c/nested.toml": "",
        "/c/other.toml": "",
    }
    configs = [parse(text, path) for path, text in files.items()]
    order = [config.path for config in load_order(configs, Version("2.1.9"))]
    assert order == [
        "/c/main.toml",
        "/c/d/1.toml",
        "/c/d/2.toml",
        "/c/last.toml",
        "/c/nested.toml",
    ]


def test_file_that_must_have_all_of_it() -> None:
    main = parse(f'version = 2\n[plugins."{CRI}"]\nsandbox_image = "x"\n', MAIN)
    first = parse(f'version = 2\n[plugins."{CRI}".registry]\nconfig_path = "/c"\n', "/1.toml")
    last = parse("version = 2\noom_score = -999\n", "/2.toml")
    old, new = release_of(Version("1.7.24")), release_of(Version("2.1.9"))
    assert in_force([main, first, last], old) == [first]
    assert in_force([main, last], old) == [main]
    assert in_force([last], old) == [last]
    assert in_force([main, first, last], new) == [main, first, last]


@pytest.mark.parametrize(
    ("root", "drop_in", "containerd", "trouble"),
    [
        (2, 2, "1.7.24", None),
        (3, None, "2.1.9", None),
        (2, 3, "1.7.24", "containerd 1.7.24 takes 2 at most"),
        (2, 1, "1.7.24", "ignores the CRI settings of both"),
        (1, 2, "1.6.20", "ignores the CRI settings of /etc/containerd/config.toml"),
        (2, 3, "2.1.9", "ignores the CRI settings of /etc/containerd/config.toml"),
        (3, 2, "2.1.9", "ignores runtime handlers of /d.toml"),
        (3, 4, "2.3.4", "containerd 2.3.4 does not start"),
        (3, 4, "2.3.5", None),
        (4, 3, "2.3.5", None),
    ],
)
def test_drop_in_of_another_version(
    root: int, drop_in: int | None, containerd: str, trouble: str | None
) -> None:
    main = parse(f"version = {root}\n", MAIN)
    text = "# none\n" + (f"version = {drop_in}\n" if drop_in else "")
    second = parse(text, "/d.toml", root)
    found = drop_in_trouble(
        main.path, main.version, second.path, second.version, Version(containerd)
    )
    assert second.version_line == (2 if drop_in else 1)
    if trouble is None:
        assert found is None
    else:
        assert found
        assert found.startswith(f"version {drop_in} beside version {root} in {MAIN}: ")
        assert found.endswith(trouble)


# --- any file at all

_NAMES = st.sampled_from(["a", "b-2", "x.y", "sp ace", "ü", 'q"t', "runc", "options", "version"])
_SCALARS = (
    st.booleans()
    | st.integers(-5, 99)
    | st.floats(allow_nan=True)
    | st.sampled_from(["", "x", 'a"b', "c'd", "# no comment", "[x]", "}", "\\", "é", "two\nlines"])
)
_FOREIGN = st.dictionaries(
    _NAMES,
    st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)
_HANDLER = st.fixed_dictionaries(
    {
        "runtime_type": st.sampled_from(
            ["io.containerd.runc.v2", "io.containerd.runc.v1", "io.containerd.kata.v2"]
        )
    },
    optional={
        "options": st.dictionaries(
            st.sampled_from(["SystemdCgroup"]), st.booleans(), max_size=1
        ).flatmap(lambda driver: _FOREIGN.map(lambda other: {**other, **driver})),
        "pod_annotations": st.lists(st.sampled_from(["a", "b"]), max_size=2),
    },
)
_HANDLERS = st.dictionaries(st.sampled_from(["runc", "nvidia", "kata", "my.own"]), _HANDLER)


@st.composite
def _data(draw: st.DrawFn, version: int) -> dict[str, Any]:
    data: dict[str, Any] = {"version": version}
    if draw(st.booleans()):
        data["disabled_plugins"] = draw(
            st.lists(st.sampled_from(["a.b", "c.d", *sorted(CRI_PLUGINS)]), max_size=4)
        )
    if draw(st.booleans()):
        data["oom_score"] = -999
    plugins: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(["io.containerd.gc.v1.scheduler", "opt"]))):
        plugins[name] = draw(_FOREIGN)
    if draw(st.booleans()):
        cri = plugins[CRI if version == 2 else RUNTIME] = {}
        if draw(st.booleans()):
            cri["enable_cdi"] = True
        if draw(st.booleans()):
            cri["containerd"] = {}
            if draw(st.booleans()):
                cri["containerd"]["runtimes"] = draw(_HANDLERS)
            if draw(st.booleans()):
                cri["containerd"]["default_runtime_name"] = "runc"
        if draw(st.booleans()):
            cri["cni"] = draw(_FOREIGN)
    if draw(st.booleans()):
        if version == 2:
            plugins.setdefault(CRI, {})["sandbox_image"] = "old:1"
        else:
            plugins[IMAGES] = {"pinned_images": {"sandbox": "old:1", "other": "x:1"}}
    if draw(st.booleans()) or plugins:
        data["plugins"] = plugins
    if draw(st.booleans()):
        data["grpc"] = {"address": "/run/x.sock"}
    return data


class _Writer:
    """Writes data as TOML in a style of its own at each place."""

    def __init__(self, style: random.Random) -> None:
        self.style = style
        self.comments = 0
        self.sections: list[str] = []

    def write(self, data: dict[str, Any]) -> str:
        top = self._body(data, (), "")
        self.style.shuffle(self.sections)
        text = top + "".join(self.sections)
        if self.style.random() < 0.2:
            text = text.rstrip("\n")
        return text.replace("\n", "\r\n") if self.style.random() < 0.3 else text

    def _body(self, table: dict[str, Any], path: tuple[str, ...], indentation: str) -> str:
        text = ""
        for key, value in table.items():
            text += self._gap(indentation)
            form = self.style.choice(["section", "section", "dotted", "inline"])
            if not isinstance(value, dict) or form == "inline":
                text += f"{indentation}{self._key(key)} = {self._value(value)}{self._end()}"
            elif form == "dotted" and value:
                for keys, leaf in self._leaves(value):
                    dotted = ".".join(self._key(name) for name in (key, *keys))
                    text += f"{indentation}{dotted} = {self._value(leaf)}{self._end()}"
            else:
                self._section(value, (*path, key))
        return text

    def _section(self, table: dict[str, Any], path: tuple[str, ...]) -> None:
        indentation = " " * self.style.choice([0, 2, 4])
        body = self._body(table, path, indentation)
        implied = any(isinstance(value, dict) for value in table.values())
        if body.strip() or not implied or self.style.random() < 0.3:
            name = ".".join(self._key(key) for key in path)
            header = f"{self._gap('')}{indentation[2:]}[{name}]{self._end()}"
            self.sections.append(header + body)

    def _leaves(self, table: dict[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
        leaves: list[tuple[tuple[str, ...], Any]] = []
        for key, value in table.items():
            if isinstance(value, dict) and value and self.style.random() < 0.7:
                leaves += [((key, *keys), leaf) for keys, leaf in self._leaves(value)]
            else:
                leaves.append(((key,), value))
        return leaves

    def _gap(self, indentation: str) -> str:
        roll = self.style.random()
        return "\n" if roll < 0.2 else f"{indentation}{self._comment()}\n" if roll < 0.4 else ""

    def _end(self) -> str:
        return f" {self._comment()}\n" if self.style.random() < 0.2 else "\n"

    def _comment(self) -> str:
        self.comments += 1
        return f'# note {self.comments}: [x] = "y'

    def _key(self, key: str) -> str:
        bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
        if bare and self.style.random() < 0.8:
            return key
        return self._string(key)

    def _string(self, text: str) -> str:
        if "'" not in text and "\n" not in text and self.style.random() < 0.4:
            return f"'{text}'"
        return json.dumps(text)

    def _value(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            if "\n" in value and self.style.random() < 0.5:
                return f'"""{value}"""'
            return self._string(value)
        if isinstance(value, dict):
            pairs = [f"{self._key(key)} = {self._value(each)}" for key, each in value.items()]
            return f"{{{self.style.choice(['', ' '])}{', '.join(pairs)} }}"
        if isinstance(value, list):
            if self.style.random() < 0.5:
                return f"[{', '.join(self._value(each) for each in value)}]"
            lines = "".join(f"  {self._value(each)},{self._end()}" for each in value)
            return f"[\n{lines}]"
        return repr(value)


@st.composite
def _documents(draw: st.DrawFn, version: int) -> tuple[dict[str, Any], str]:
    data = draw(_data(version))
    text = _Writer(random.Random(draw(st.integers(0, 2**32)))).write(data)
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        # sections in an order that TOML does not take
        assume(False)
    assert repr(_sorted(read)) == repr(_sorted(data))
    return data, text


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _intended(data: dict[str, Any], version: int, wanted: ContainerdWanted, is_root: bool) -> Any:
    new = copy.deepcopy(data)
    driver = wanted.cgroup_driver == "systemd"
    if "disabled_plugins" in new:
        new["disabled_plugins"] = [
            name for name in new["disabled_plugins"] if name not in CRI_PLUGINS
        ]

    def at(*keys: str) -> dict[str, Any]:
        table: dict[str, Any] = new
        for key in keys:
            table = table.setdefault(key, {}) if is_root else table.get(key, {})
        return table

    handlers = at("plugins", CRI if version == 2 else RUNTIME, "containerd", "runtimes")
    for handler in handlers.values():
        states_driver = "SystemdCgroup" in handler.get("options", {})
        if handler["runtime_type"].startswith("io.containerd.runc.") or states_driver:
            handler.setdefault("options", {})["SystemdCgroup"] = driver
    if is_root and "runc" not in handlers:
        options = {"SystemdCgroup": driver}
        handlers["runc"] = {"runtime_type": "io.containerd.runc.v2", "options": options}
    if wanted.pause_image:
        keys = [CRI] if version == 2 else [IMAGES, "pinned_images"]
        images = at("plugins", *keys)
        name = "sandbox_image" if version == 2 else "sandbox"
        if is_root or name in images:
            images[name] = wanted.pause_image
    return new


_TOUCHED = (
    "runtime",
    "options",
    "Systemd",
    "disabled",
    "sandbox",
    "plugins",
    "cri",
    "a.b",
    "c.d",
    "}",
)


@pytest.mark.parametrize("version", [2, 3, 4])
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(draw=st.data())
def test_edit_is_what_was_intended_and_nothing_else(version: int, draw: st.DataObject) -> None:
    data, old = draw.draw(_documents(version))
    wanted = ContainerdWanted(
        draw.draw(st.sampled_from(["systemd", "cgroupfs"])),
        pause_image=draw.draw(st.sampled_from([None, "new:1"])),
    )
    is_root = draw.draw(st.booleans())
    result = edit(parse(old, MAIN), wanted, is_root)

    intended = _intended(data, version, wanted, is_root)
    assert repr(_sorted(tomllib.loads(result.text))) == repr(_sorted(intended))
    assert edit(parse(result.text, MAIN), wanted, is_root) == Edit(result.text, ())
    assert (result.text == old) == (not result.changes)

    # a comment beside an entry of disabled_plugins goes with it
    for comment in _comments(re.sub(_CRI_ENTRY, "", old)):
        assert comment in result.text
    assert _foreign_lines(result.text) == _foreign_lines(old)
    if "\r" in old:
        assert result.text.count("\r\n") == result.text.count("\n")


_CRI_ENTRY = rf"""(?m)^  ["']({"|".join(map(re.escape, CRI_PLUGINS))})["'],.*$"""


def _comments(text: str) -> list[str]:
    return [f"# note {part.split(':')[0]}:" for part in text.split("# note ")[1:]]


def _foreign_lines(text: str) -> list[str]:
    """Lines with content that no edit has reason to touch, in order."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return [
        line
        for line in lines
        if line.split("#")[0].strip() and not any(word in line for word in _TOUCHED)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(draw=st.data())
def test_every_setting_is_on_the_line_that_is_named(draw: st.DataObject) -> None:
    data, text = draw.draw(_documents(3))
    file = parse(text, MAIN)
    said = file.settings
    lines = text.split("\n")
    for index, entry in enumerate(said.disabled_plugins):
        assert entry in lines[file.line_of(("disabled_plugins", index)) - 1]
    for handler in said.handlers.values():
        assert handler.name in lines[file.line_of(handler.table) - 1]
        if handler.systemd_cgroup is not None:
            assert "SystemdCgroup" in lines[file.line_of(handler.driver_path) - 1]
    if said.pause_image is not None:
        assert "sandbox" in lines[file.line_of(tables_of(3)[0].pause_image) - 1]
    if "address" in data.get("grpc", {}):
        assert data["grpc"]["address"] in lines[file.line_of(("grpc", "address")) - 1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(draw=st.data())
def test_upgrade_is_a_change_of_names_and_nothing_else(draw: st.DataObject) -> None:
    data, text = draw.draw(_version_1_documents())
    rename: Callable[[str], str] = lambda name: CRI if name == "cri" else name  # noqa: E731
    intended = {**data, "version": 2}
    if "plugins" in data:
        intended["plugins"] = {rename(name): value for name, value in data["plugins"].items()}
    if "disabled_plugins" in data:
        intended["disabled_plugins"] = [each for each in data["disabled_plugins"] if each != "cri"]
    try:
        upgraded = upgrade_version_1(parse(text, MAIN))
    except ConfigError as error:
        assert "cannot be edited safely: rewrite what states plugins " in str(error)  # noqa: PT017
        assert re.search(
            r"""(?m)^\s*(plugins|"plugins"|'plugins') = |^\s*\[['"]?plugins['"]?\]""", text
        )
        return
    assert upgraded
    assert repr(_sorted(tomllib.loads(upgraded.text))) == repr(_sorted(intended))
    for comment in _comments(re.sub(_CRI_ENTRY, "", text)):
        assert comment in upgraded.text


@st.composite
def _version_1_documents(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    data: dict[str, Any] = {}
    if draw(st.booleans()):
        data["version"] = 1
    if draw(st.booleans()):
        data["disabled_plugins"] = draw(st.lists(st.sampled_from(["cri", "a.b"]), max_size=3))
    names = draw(st.sets(st.sampled_from(["cri", "x.y.z"]), max_size=2))
    if names:
        data["plugins"] = {name: draw(_FOREIGN) for name in sorted(names)}
    text = _Writer(random.Random(draw(st.integers(0, 2**32)))).write(data)
    try:
        tomllib.loads(text)
        parse(text, MAIN)
    except (tomllib.TOMLDecodeError, ConfigError):
        assume(False)
    return data, text
