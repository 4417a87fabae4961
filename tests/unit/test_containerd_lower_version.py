"""A file of a higher configuration version for a release that takes a lower one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.runtimes.containerd.all_files import edits_of
from kubenode.runtimes.containerd.config import parse
from kubenode.runtimes.containerd.lower_version import lowered
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError

CONFIGS = Path(__file__).parent / "containerd_configs"
MAIN = "/etc/containerd/config.toml"
CRI = "io.containerd.grpc.v1.cri"
RUNTIME = "io.containerd.cri.v1.runtime"
IMAGES = "io.containerd.cri.v1.images"


def low(text: str, version: int) -> str:
    return lowered(parse(text, MAIN), version).text


def test_the_servers_settings_of_version_4() -> None:
    new = low(
        """version = 4 # ours
[debug]
  level = "debug"
[plugins."io.containerd.server.v1.grpc"]
  address = "/run/c.sock"
  max_recv_message_size = 1
[plugins."io.containerd.server.v1.grpc-tcp"]
  address = "127.0.0.1:1"
  tls_ca = "/ca"
[plugins."io.containerd.server.v1.debug"]
  address = "/run/d.sock"
[plugins."io.containerd.server.v1.ttrpc"]
  uid = 7
[plugins."io.containerd.server.v1.metrics"]
  address = "127.0.0.1:2"
[plugins."io.containerd.metrics.v1.grpc-prometheus"]
  grpc_histogram = true
[plugins."io.containerd.gc.v1.scheduler"]
  startup_delay = "1s" # theirs
""",
        3,
    )
    assert tomllib.loads(new) == {
        "version": 3,
        "debug": {"level": "debug", "address": "/run/d.sock"},
        "grpc": {
            "address": "/run/c.sock",
            "max_recv_message_size": 1,
            "tcp_address": "127.0.0.1:1",
            "tcp_tls_ca": "/ca",
        },
        "ttrpc": {"uid": 7},
        "metrics": {"address": "127.0.0.1:2", "grpc_histogram": True},
        "plugins": {"io.containerd.gc.v1.scheduler": {"startup_delay": "1s"}},
    }
    assert "version = 3 # ours" in new
    assert 'startup_delay = "1s" # theirs' in new


def test_the_two_plugins_of_version_3_are_one_in_version_2() -> None:
    new = low(
        f"""version = 3
[plugins."{IMAGES}"]
  snapshotter = "native"
  max_concurrent_downloads = 5
[plugins."{IMAGES}".pinned_images]
  sandbox = "pause"
[plugins."{IMAGES}".registry]
  config_path = "/certs" # theirs
[plugins."{IMAGES}".registry.headers]
  X = ["y"]
[plugins.'{RUNTIME}']
  enable_selinux = true
[plugins.'{RUNTIME}'.cni]
  bin_dirs = ["/opt/cni/bin", "/usr/lib/cni"]
[plugins.'{RUNTIME}'.containerd]
  default_runtime_name = "nvidia"
[plugins.'{RUNTIME}'.containerd.runtimes.nvidia]
  runtime_type = "io.containerd.runc.v2"
[plugins.'{RUNTIME}'.containerd.runtimes.nvidia.options]
  BinaryName = "/usr/bin/nvidia-container-runtime"
""",
        2,
    )
    options = {"BinaryName": "/usr/bin/nvidia-container-runtime"}
    assert tomllib.loads(new) == {
        "version": 2,
        "plugins": {
            CRI: {
                "sandbox_image": "pause",
                "max_concurrent_downloads": 5,
                "enable_selinux": True,
                "registry": {"config_path": "/certs", "headers": {"X": ["y"]}},
                "cni": {"bin_dir": "/opt/cni/bin"},
                "containerd": {
                    "snapshotter": "native",
                    "default_runtime_name": "nvidia",
                    "runtimes": {
                        "nvidia": {"runtime_type": "io.containerd.runc.v2", "options": options}
                    },
                },
            }
        },
    }
    assert 'config_path = "/certs" # theirs' in new


@pytest.mark.parametrize(
    ("version", "text", "line", "what"),
    [
        (3, '[plugins."io.containerd.server.v1.new"]\n  a = 1\n', 3, "server.v1.new"),
        (
            3,
            '[plugins."io.containerd.server.v1.grpc-tcp"]\n  max_recv_message_size = 1\n',
            3,
            "max_recv_message_size",
        ),
        (2, f'[plugins."{RUNTIME}"]\n  cgroup_writable = true\n', 3, "cgroup_writable"),
        (2, f'[plugins."{RUNTIME}".containerd.runtimes.runc]\n  sandboxer = "x"\n', 3, "sandboxer"),
        (2, f'[plugins."{RUNTIME}".cni]\n  use_internal_loopback = true\n', 3, "loopback"),
        (2, f'[plugins."{IMAGES}"]\n  use_local_image_pull = true\n', 3, "use_local_image_pull"),
        (2, f'[plugins."{IMAGES}".pinned_images]\n  other = "x"\n', 3, "pinned_images.other"),
        (2, f'[plugins."{IMAGES}".runtime_platforms.x]\n  platform = "y"\n', 2, "platforms"),
        (2, '[plugins."io.containerd.shim.v1.manager"]\n  env = []\n', 3, "shim.v1.manager"),
    ],
)
def test_what_has_no_place_is_named_with_its_line(
    version: int, text: str, line: int, what: str
) -> None:
    with pytest.raises(ConfigError) as error:
        low(f"version = {version + 1}\n{text}", version)
    assert error.value.line == line
    assert what in error.value.reason
    assert f"has no place in configuration version {version}" in error.value.reason


@pytest.mark.parametrize(
    "text",
    [
        # both spell the same plugin's table
        f'[plugins."{RUNTIME}"]\n  enable_selinux = true\n[plugins."{CRI}"]\n  a = "b"\n',
        f'plugins = {{"{RUNTIME}" = {{enable_selinux = true}}}}\n',
        f'[plugins]\n"{RUNTIME}" = {{enable_selinux = true}}\n',
    ],
)
def test_what_cannot_be_rewritten_safely_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be edited safely"):
        low(f"version = 3\n{text}", 2)


@pytest.mark.parametrize("name", ["default-2.3.4.toml", "default-2.4.0-beta.0.toml"])
def test_a_file_with_all_that_its_release_has_is_refused_by_name(name: str) -> None:
    text = (CONFIGS / name).read_text()
    with pytest.raises(ConfigError, match=r"plugins\..*has no place in configuration version 3"):
        low(text, 3)


_RELEASES = st.sampled_from(["1.6.20", "1.7.24", "2.0.11", "2.1.9", "2.2.7", "2.3.4", "2.4.0"])
_WANTED = st.builds(
    ContainerdWanted,
    st.just("systemd"),
    pause_image=st.sampled_from([None, "registry.example/pause:3.10"]),
    snapshotter=st.sampled_from([None, "native"]),
    registry_config_path=st.sampled_from([None, "/etc/containerd/certs.d"]),
    cni_bin_dirs=st.sampled_from([None, ("/opt/cni/bin",), ("/opt/cni/bin", "/usr/lib/cni")]),
)


@given(_WANTED, st.lists(_RELEASES, min_size=2, max_size=4))
def test_what_kubenode_began_goes_to_every_release_and_back(
    wanted: ContainerdWanted, releases: list[str]
) -> None:
    files: dict[str, bytes] = {}
    for release in releases:
        version = Version(release)
        edits = edits_of(MAIN, files, version, wanted)
        files |= {path: edit.text.encode() for path, edit in edits.items()}
        found = parse(files[MAIN], MAIN).settings
        assert found.handlers["runc"].runtime_type == "io.containerd.runc.v2"
        assert found.handlers["runc"].systemd_cgroup is True
        assert found.pause_image == wanted.pause_image
        assert found.snapshotter == wanted.snapshotter
        assert found.registry_config_path == wanted.registry_config_path
        assert found.cni_directories[:1] == list(wanted.cni_bin_dirs or ())[:1]
        assert edits_of(MAIN, files, version, wanted) == {}
