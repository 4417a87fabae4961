"""What another release makes of the files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.runtimes.containerd.version_change import REMOVED, Consequence, consequences

CONFIGS = Path(__file__).parent / "containerd_configs"
MAIN = "/etc/containerd/config.toml"
CRI = 'plugins."io.containerd.grpc.v1.cri"'


def said(text: str, version: str, **drop_ins: str) -> list[str]:
    return [each.text for each in of(text, version, **drop_ins)]


def of(text: str, version: str, **drop_ins: str) -> tuple[Consequence, ...]:
    files = {f"/etc/containerd/conf.d/{name}.toml": it.encode() for name, it in drop_ins.items()}
    return consequences(MAIN, {MAIN: text.encode(), **files}, Version(version))


@pytest.mark.parametrize(
    ("setting", "since", "before"),
    [
        (f"[{CRI}]\nsystemd_cgroup = true", "2.0.0", "1.7.29"),
        (f"[{CRI}]\ndisable_cgroup = true", "2.0.0", "1.7.29"),
        (f'[{CRI}.containerd.default_runtime]\nruntime_type = "x"', "2.0.0", "1.7.29"),
        (f'[{CRI}.containerd.untrusted_workload_runtime]\nruntime_type = "x"', "2.0.0", "1.7.29"),
        (f'[{CRI}.containerd.runtimes.runc]\nruntime_engine = "x"', "2.0.0", "1.7.29"),
        (f'[{CRI}.containerd.runtimes.runc]\nruntime_root = "x"', "2.0.0", "1.7.29"),
        (f'[{CRI}.containerd.runtimes.runc.options]\nCriuPath = "x"', "2.0.0", "1.7.29"),
        ('[plugins."io.containerd.runtime.v1.linux"]\nshim = "x"', "2.0.0", "1.7.29"),
        ('[plugins."io.containerd.snapshotter.v1.aufs"]\nroot_path = "x"', "2.0.0", "1.7.29"),
        ('plugin_dir = "/x"', "2.1.0", "2.0.5"),
        (f'[{CRI}.registry.mirrors."docker.io"]\nendpoint = ["x"]', "2.4.0", "2.3.4"),
        (f'[{CRI}.registry.configs."x".auth]\nauth = "x"', "2.4.0", "2.3.4"),
        (f'[{CRI}.registry.auths."x"]\nauth = "x"', "2.4.0", "2.3.4"),
        (f'[{CRI}.cni]\nbin_dir = "/x"', "2.4.0", "2.3.4"),
        (f"[{CRI}]\nenable_cdi = false", "2.4.0", "2.3.4"),
        ('[plugins."io.containerd.internal.v1.tracing"]\nservice_name = "x"', "2.4.0", "2.3.4"),
    ],
)
def test_what_is_no_longer_read_is_said_with_its_line(
    setting: str, since: str, before: str
) -> None:
    text = f"version = 2\n{setting}\n"
    assert said(text, before) == []
    (only,) = said(text, since)
    place = re.match(r"/etc/containerd/config\.toml:(\d): (.*?): ", only)
    assert place
    name = place[2].rstrip('"').rpartition('"')[2].rpartition(".")[2]
    assert name in text.splitlines()[int(place[1]) - 1]
    assert "ignores it" in only or "announced to go" in only


@pytest.mark.parametrize("name", ["dump-1.6.20.toml", "dump-1.7.24.toml"])
def test_defaults_that_a_dump_prints_are_no_finding(name: str) -> None:
    text = (CONFIGS / name).read_text()
    # Debian's own setting, which is read from bin_dir until it goes
    ignored = [
        line for line in said(text, "2.3.4") if "v1.linux" not in line and "aufs" not in line
    ]
    assert ignored == []


@pytest.mark.parametrize("name", ["default-2.2.7.toml", "default-2.3.4.toml", "dump-2.1.9.toml"])
@pytest.mark.parametrize("version", ["2.2.7", "2.3.4", "2.4.0"])
def test_defaults_of_newer_releases_are_no_finding(name: str, version: str) -> None:
    assert said((CONFIGS / name).read_text(), version) == []


def test_what_keeps_a_release_from_starting() -> None:
    for text in (
        f'[{CRI}.containerd]\nsnapshotter = "aufs"\n',
        f'[{CRI}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v1"\n',
        f'[{CRI}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runtime.v1.linux"\n',
    ):
        assert [each.stops for each in of(f"version = 2\n{text}", "2.0.0")] == [True]
        assert of(f"version = 2\n{text}", "1.7.29") == ()
    required = 'version = 2\nrequired_plugins = ["io.containerd.runtime.v1.linux"]\n'
    assert [each.stops for each in of(required, "2.3.4")] == [True]
    other = (
        f'version = 2\n[{CRI}.containerd.runtimes.old]\nruntime_type = "io.containerd.runc.v1"\n'
    )
    assert [each.stops for each in of(other, "2.3.4")] == [False]


def test_what_goes_back_to_1_x() -> None:
    text = 'version = 2\n[plugins."io.containerd.cri.v1.runtime"]\nenable_selinux = true\n'
    assert said(text, "2.1.9") == []
    assert "has no such plugin" in said(text, "1.7.29")[0]
    text = f'version = 2\n[{CRI}.cni]\nbin_dirs = ["/opt/cni/bin"]\n'
    assert said(text, "2.1.9") == []
    assert "takes bin_dir alone" in said(text, "2.0.9")[0]
    main = f'version = 2\nimports = ["conf.d/*.toml"]\n[{CRI}]\nenable_selinux = true\n'
    drop_in = f'[{CRI}.registry]\nconfig_path = "/certs"\n'
    assert said(main, "2.1.9", a=drop_in) == []
    (only,) = said(main, "1.7.29", a=drop_in)
    assert only.startswith(f"{MAIN}: containerd 1.7.29 ignores its CRI settings")


def test_version_1_names_the_plugin_otherwise() -> None:
    assert "ignores it" in said("[plugins.cri]\nsystemd_cgroup = true\n", "2.3.4")[0]


def test_a_file_that_is_none_has_no_consequences() -> None:
    assert of("version = [", "2.3.4") == ()
    assert of("plugins = 3\n", "2.3.4") == ()
    assert of("", "2.3.4") == ()


@given(st.sampled_from(REMOVED), st.sampled_from([1, True, [], {}, "x", [{}]]))
def test_any_type_at_any_place_raises_nothing(row: object, value: object) -> None:
    path = [name if name != "*" else "runc" for name in row.path]  # type: ignore[attr-defined]
    import tomlkit

    text = "version = 2\n" + ".".join(tomlkit.key(name).as_string() for name in path)
    of(f"{text} = {tomlkit.item(value).as_string() or '{}'}\n", "2.4.0")
