"""Upstream's newer releases read what kubenode writes for them: where a folder has them."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path

import pytest
from packaging.version import Version

from kubenode.runtimes.containerd.all_files import edits_of
from kubenode.runtimes.containerd.config import Config, parse
from kubenode.runtimes.containerd.releases import parse_version, release_of
from kubenode.runtimes.containerd.version_change import consequences
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError
from tests import upstream

pytestmark = pytest.mark.upstream

CONFIGS = Path(__file__).parent.parent / "unit" / "containerd_configs"
WANTED = ContainerdWanted(
    "systemd",
    pause_image="registry.example/pause:3.10",
    snapshotter="native",
    registry_config_path="/etc/containerd/certs.d",
    cni_bin_dirs=("/opt/cni/bin", "/usr/lib/cni"),
)
PLAIN = ContainerdWanted("systemd")


def run(version: str, *arguments: str) -> tuple[str, str]:
    ran = subprocess.run(
        [upstream.program(version), *arguments], capture_output=True, text=True, check=True
    )
    return ran.stdout, ran.stderr


def number(version: str) -> Version:
    found = parse_version(run(version, "--version")[0])
    assert found is not None
    return found


def dumped(version: str, text: str, folder: Path) -> tuple[Config, str]:
    """What the program makes of a file, and what it says of it."""
    path = folder / "config.toml"
    path.write_text(text)
    out, said = run(version, "--config", str(path), "config", "dump")
    return parse(out, "dump"), said


def has_what_is_wanted(config: Config, wanted: ContainerdWanted) -> None:
    found = config.settings
    drivers = {
        handler.name: handler.systemd_cgroup
        for handler in found.handlers.values()
        if handler.is_runc_type
    }
    assert drivers
    assert set(drivers.values()) == {True}, drivers
    if wanted.pause_image:
        assert found.pause_image == wanted.pause_image
        assert found.snapshotter == wanted.snapshotter
        assert found.registry_config_path == wanted.registry_config_path
        assert tuple(found.cni_directories) == wanted.cni_bin_dirs


def begun(version: str, wanted: ContainerdWanted, text: str = "") -> str:
    """The file as kubenode makes it for a version, from what there is."""
    main = "/etc/containerd/config.toml"
    files = {main: text.encode()} if text else {}
    edits = edits_of(main, files, number(version), wanted)
    return edits[main].text if edits else text


@pytest.mark.parametrize("version", upstream.versions())
@pytest.mark.parametrize("wanted", [PLAIN, WANTED])
def test_what_kubenode_begins_is_read_as_it_is_meant(
    version: str, wanted: ContainerdWanted, tmp_path: Path
) -> None:
    config, said = dumped(version, begun(version, wanted), tmp_path)
    has_what_is_wanted(config, wanted)
    assert "Ignoring" not in said
    # nor is it of an older version than the release writes itself
    assert "migrated" not in said


@pytest.mark.parametrize("version", upstream.versions())
@pytest.mark.parametrize(
    "name",
    [
        "debian.toml",
        "docker.toml",
        "gpu-version-2.toml",
        "gpu-version-3.toml",
        "gpu-version-4.toml",
        "default-2.2.7.toml",
        "default-2.3.4.toml",
        "default-2.4.0-beta.0.toml",
        "dump-1.7.24.toml",
    ],
)
def test_files_of_others_are_read_as_they_are_meant(
    version: str, name: str, tmp_path: Path
) -> None:
    text = (CONFIGS / name).read_text()
    stated = parse(text, name).version
    if "default" in name and stated > release_of(number(version)).config_version:
        # it states all that its release has
        with pytest.raises(ConfigError, match="has no place in configuration version 3"):
            begun(version, PLAIN, text)
        return
    config, _ = dumped(version, begun(version, PLAIN, text), tmp_path)
    has_what_is_wanted(config, PLAIN)


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(upstream.versions(), 2)))
def test_what_kubenode_began_for_one_release_goes_with_another(
    old: str, new: str, tmp_path: Path
) -> None:
    config, said = dumped(new, begun(new, WANTED, begun(old, WANTED)), tmp_path)
    has_what_is_wanted(config, WANTED)
    assert "Ignoring" not in said


@pytest.mark.parametrize("version", upstream.versions())
def test_a_higher_version_than_the_table_says_is_refused(version: str, tmp_path: Path) -> None:
    highest = release_of(number(version)).config_version
    dumped(version, f"version = {highest}\n", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        dumped(version, f"version = {highest + 1}\n", tmp_path)


@pytest.mark.parametrize("version", upstream.versions())
def test_servers_settings_of_version_4_are_those_of_version_3(version: str, tmp_path: Path) -> None:
    text = (
        "version = 4\n"
        '[plugins."io.containerd.server.v1.grpc"]\n'
        '  address = "/run/here.sock"\n'
        '[plugins."io.containerd.server.v1.metrics"]\n'
        '  address = "127.0.0.1:1338"\n'
    )
    config, said = dumped(version, begun(version, PLAIN, text), tmp_path)
    assert "/run/here.sock" in config.text
    assert "127.0.0.1:1338" in config.text
    assert "Ignoring" not in said
    has_what_is_wanted(config, PLAIN)


@pytest.mark.parametrize("version", upstream.versions())
def test_what_a_release_ignores_is_what_is_said_of_it(version: str, tmp_path: Path) -> None:
    text = """version = 2
plugin_dir = "/x"
[plugins."io.containerd.grpc.v1.cri"]
  systemd_cgroup = true
  disable_cgroup = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  no_pivot = true
[plugins."io.containerd.grpc.v1.cri".containerd.default_runtime]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.untrusted_workload_runtime]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  runtime_engine = "a"
  runtime_root = "b"
"""
    _, complaints = dumped(version, text, tmp_path)
    ignored = {
        words.split()[-1] for words in re.findall(r'key="?([^"=]*?)"? (?:row|plugin)=', complaints)
    }
    found = consequences("/c", {"/c": text.encode()}, number(version))
    said = {re.split(r"[.]", each.text.split(": ")[1])[-1] for each in found}
    assert ignored == said
    assert len(said) == 8


@pytest.mark.parametrize("version", upstream.versions())
def test_what_is_announced_to_go_is_still_read(version: str, tmp_path: Path) -> None:
    """When it fails, upstream has removed it: then it belongs into REMOVED of version_change."""
    text = """version = 3
[plugins."io.containerd.cri.v1.runtime"]
  enable_cdi = false
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dir = "/opt/elsewhere"
[plugins."io.containerd.cri.v1.images".registry.mirrors."docker.io"]
  endpoint = ["https://mirror.example"]
[plugins."io.containerd.cri.v1.images".registry.auths."https://registry.example"]
  auth = "x"
"""
    config, said = dumped(version, text, tmp_path)
    assert "Ignoring" not in said
    assert config.settings.cni_bin_dir == "/opt/elsewhere"
    assert "https://mirror.example" in config.text
    assert re.search(r"registry\.auths\.'https://registry\.example'", config.text)
    assert "enable_cdi = false" in config.text
