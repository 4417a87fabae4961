"""containerd itself reads edited files as they are meant, alone and with drop-ins."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from kubenode.runtimes.containerd.all_files import edits_of
from kubenode.runtimes.containerd.config import Config, parse
from kubenode.runtimes.containerd.editing import edit
from kubenode.runtimes.containerd.imports import in_force, load_order
from kubenode.runtimes.containerd.releases import highest_config_version, parse_version, release_of
from kubenode.runtimes.containerd.tables import CRI_PLUGINS
from kubenode.runtimes.containerd.version_1 import upgrade_version_1
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from tests.targets.container import Target

pytestmark = pytest.mark.targets

CONFIGS = Path(__file__).parent.parent / "unit" / "containerd_configs"
MAIN = "/etc/kubenode-test/config.toml"
CRI = "io.containerd.grpc.v1.cri"
RUNTIME = "io.containerd.cri.v1.runtime"
TYPE = 'runtime_type = "io.containerd.runc.v2"'

STYLES = [
    "",
    "# nothing\r\ntemp = ''\r\n",
    f'[plugins."{CRI}".containerd.runtimes.runc.options]\n  SystemdCgroup = false\n',
    f'plugins."{CRI}".containerd.runtimes.runc.options.SystemdCgroup = false\n',
    f"[plugins.'{CRI}']\n  containerd.runtimes.nvidia.{TYPE}\n",
    f'plugins = {{"{CRI}" = {{containerd = {{runtimes = {{nvidia = {{{TYPE}}}}}}}}}}}\n',
    f'[plugins."{CRI}".containerd.runtimes]\nrunc = {{{TYPE}, options = {{}}}} # inline\n',
    f'[plugins."{CRI}".containerd.runtimes.nvidia]\n{TYPE}\n[plugins."{CRI}"]\n[plugins]\n',
    f'[plugins."{CRI}"]\nsystemd_cgroup = true\n',
    f'disabled_plugins = ["{CRI}", "io.containerd.snapshotter.v1.zfs"]\n',
]
"""Main files of version 2 in every style of TOML; version 3 keeps the handlers elsewhere."""

DROP_INS = [
    {"1.toml": 'version = 2\n[plugins."{cri}".registry]\nconfig_path = "/certs"\n'},
    {"1.toml": '[plugins."{cri}".containerd.runtimes.nvidia]\n{type}\n'},
    {
        "1.toml": '[plugins."{cri}".containerd.runtimes.runc.options]\nSystemdCgroup = false\n',
        "2.toml": "version = 2\noom_score = -999\n",
    },
    {
        "1.toml": '[plugins."{cri}".containerd.runtimes.nvidia]\n{type}\n',
        "2.toml": '[plugins."{cri}".containerd.runtimes.crun.options]\nSystemdCgroup = false\n'
        '[plugins."{cri}".containerd.runtimes.crun]\n{type}\n',
    },
]
"""Files beside a main file of version 2 that states the pause image and no handler."""


def installed(target: Target) -> Version:
    """containerd's version, once it is there."""
    target.sh(
        "command -v containerd >/dev/null || { apt-get update && "
        "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends containerd; }"
    )
    version = parse_version(target.sh("containerd --version"))
    assert version
    return version


def effective(target: Target) -> Config:
    return parse(target.sh(f"containerd --config {MAIN} config dump"), "dump")


def drivers(config: Config) -> dict[str, bool | None]:
    handlers = config.settings.handlers.values()
    return {handler.name: handler.systemd_cgroup for handler in handlers if handler.is_runc_type}


def test_containerd_reads_edited_files_as_they_are_meant(shared_target: Target) -> None:
    target = shared_target
    version = installed(target)
    for old in main_files(target, version):
        accepts(target, old, ContainerdWanted("systemd", pause_image="example/pause:1"))
    accepts(target, (CONFIGS / "gpu-version-2.toml").read_text(), ContainerdWanted("cgroupfs"))
    for drop_ins in DROP_INS:
        merges(target, version, drop_ins)


def test_services_of_a_version_1_file_are_named_as_containerd_names_them(
    shared_target: Target,
) -> None:
    target = shared_target
    version = installed(target)
    old = (
        '[plugins]\n  [plugins.diff-service]\n    default = ["erofs", "walking"]\n'
        '  [plugins."tasks-service"]\n    rdt_config_file = "/rdt" # ours\n'
    )
    new = upgrade_version_1(parse(old, MAIN)).text
    assert "# ours" in new
    wanted: dict[str, tuple[str, object]] = {"diff-service": ("default", ["erofs", "walking"])}
    if version < Version("2"):
        # from 2.0 on the setting is another plugin's
        wanted["tasks-service"] = ("rdt_config_file", "/rdt")
    for text in (old, new) if version >= Version("2") else (new,):
        target.write(MAIN, text)
        plugins = effective(target).data["plugins"]
        for name, (key, value) in wanted.items():
            assert plugins[f"io.containerd.service.v1.{name}"].get(key) == value, text


def test_what_was_begun_for_a_newer_release_is_read_as_it_is_meant(
    shared_target: Target,
) -> None:
    """Version 4 goes back to the highest that the release takes, whoever wrote the file."""
    target = shared_target
    version = installed(target)
    wanted = ContainerdWanted(
        "systemd",
        pause_image="registry.example/pause:3.10",
        snapshotter="native",
        registry_config_path="/etc/containerd/certs.d",
        cni_bin_dirs=("/opt/cni/bin",),
    )
    begun = edits_of(MAIN, {}, Version("2.4.0"), wanted)[MAIN].text
    for old in (begun, (CONFIGS / "gpu-version-4.toml").read_text()):
        assert parse(old, MAIN).version == 4
        new = edits_of(MAIN, {MAIN: old.encode()}, version, wanted)[MAIN].text
        assert parse(new, MAIN).version == highest_config_version(version)
        target.write(MAIN, new)
        ran, said, complaints = target.try_sh(f"containerd --config {MAIN} config dump")
        assert ran == 0, complaints
        assert "Ignoring unknown key" not in complaints
        found = parse(said, "dump").settings
        assert set(drivers(parse(said, "dump")).values()) == {True}
        assert set(drivers(parse(new, MAIN))) == set(drivers(parse(said, "dump")))
        assert found.pause_image == wanted.pause_image
        assert found.snapshotter == wanted.snapshotter
        assert found.registry_config_path == wanted.registry_config_path
        assert tuple(found.cni_directories) == wanted.cni_bin_dirs
    # as it was, the release refuses it, or takes nothing of it
    target.write(MAIN, begun)
    ran, said, _ = target.try_sh(f"containerd --config {MAIN} config dump")
    assert ran != 0 or True not in drivers(parse(said, "dump")).values()


def main_files(target: Target, version: Version) -> list[str]:
    highest = highest_config_version(version)
    files = [f"version = 2\n{style}" for style in STYLES]
    files += [(CONFIGS / name).read_text() for name in ("debian.toml", "gpu-version-2.toml")]
    for name in ("docker.toml", "version-1.toml"):
        upgraded = upgrade_version_1(parse((CONFIGS / name).read_bytes(), MAIN))
        files.append(upgraded.text)
    if highest >= 3:
        styles = [style for style in STYLES if "systemd_cgroup" not in style]
        files += [f"version = 3\n{style.replace(CRI, RUNTIME)}" for style in styles]
        files.append((CONFIGS / "gpu-version-3.toml").read_text())
    files.append(target.sh("containerd config default"))
    files.append(f"version = {highest}\n")
    return files


def accepts(target: Target, old: str, wanted: ContainerdWanted) -> None:
    new = edit(parse(old, MAIN), wanted, is_root=True).text
    target.write(MAIN, new)
    said = effective(target)
    handlers = drivers(parse(new, MAIN))
    assert "runc" in handlers
    assert set(handlers.values()) == {wanted.cgroup_driver == "systemd"}
    assert drivers(said) == handlers, new
    assert all(handler.runtime_type for handler in said.settings.handlers.values()), new
    assert not CRI_PLUGINS.intersection(said.settings.disabled_plugins), new
    if wanted.pause_image:
        assert said.settings.pause_image == wanted.pause_image, new


def merges(target: Target, version: Version, drop_ins: dict[str, str]) -> None:
    folder = MAIN.rpartition("/")[0]
    main = (
        f'version = 2\nimports = ["{folder}/conf.d/*.toml"]\n'
        f'[plugins."{CRI}"]\nsandbox_image = "main:1"\n'
    )
    files = [parse(main, MAIN)]
    for name, text in drop_ins.items():
        path = f"{folder}/conf.d/{name}"
        files.append(parse(text.replace("{cri}", CRI).replace("{type}", TYPE), path, 2))
    target.sh(f"rm -rf {folder}")

    counting = in_force(load_order(files, version), release_of(version))
    for file in files:
        new = edit(file, ContainerdWanted("systemd"), is_root=file is counting[0])
        target.write(file.path, new.text)

    said = effective(target)
    names = {name for file in counting for name in file.settings.handlers}
    assert drivers(said) == dict.fromkeys({"runc", *names}, True)
    assert said.settings.pause_image
    assert (said.settings.pause_image == "main:1") == (files[0] in counting)
