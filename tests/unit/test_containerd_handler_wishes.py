"""Runtime handlers as a setting states them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from packaging.version import Version

from kubenode.runtimes.containerd.all_files import edits_of
from kubenode.runtimes.containerd.config import parse
from kubenode.runtimes.containerd.handler_wishes import Need, check_handlers, needs_of
from kubenode.runtimes.containerd.releases import RELEASES
from kubenode.runtimes.containerd.wanted import ContainerdWanted

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/99-nvidia.toml"
CRI = "io.containerd.grpc.v1.cri"
RUNTIME = "io.containerd.cri.v1.runtime"
NVIDIA: dict[str, Any] = {
    "runtime_type": "io.containerd.runc.v2",
    "options": {"BinaryName": "/usr/bin/nvidia-container-runtime"},
}
RUNSC: dict[str, Any] = {
    "runtime_type": "io.containerd.runsc.v1",
    "options": {"ConfigPath": "/etc/containerd/runsc.toml"},
}
KATA: dict[str, Any] = {
    "runtime_type": "io.containerd.kata.v2",
    "privileged_without_host_devices": True,
    "pod_annotations": ["io.katacontainers.*"],
}
ALL = {"nvidia": NVIDIA, "runsc": RUNSC, "kata": KATA}


@pytest.mark.parametrize("version", [f"{row.series}.9" for row in RELEASES])
def test_each_release_gets_them_in_the_table_of_its_version(version: str) -> None:
    wanted = ContainerdWanted("systemd", handlers=ALL, default_handler="nvidia")
    text = edits_of(MAIN, {}, Version(version), wanted)[MAIN].text
    data = tomllib.loads(text)
    table = data["plugins"][CRI if Version(version).major < 2 else RUNTIME]["containerd"]
    assert table["default_runtime_name"] == "nvidia"
    assert table["runtimes"] == {
        "runc": {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}},
        "nvidia": {**NVIDIA, "options": {**NVIDIA["options"], "SystemdCgroup": True}},
        "runsc": {
            **RUNSC,
            "options": {"TypeUrl": "io.containerd.runsc.v1.options", **RUNSC["options"]},
        },
        "kata": KATA,
    }
    assert edits_of(MAIN, {MAIN: text.encode()}, Version(version), wanted) == {}


@pytest.mark.parametrize("driver", ["systemd", "cgroupfs"])
def test_the_driver_of_runcs_kind_follows_the_nodes(driver: Any) -> None:
    wanted = ContainerdWanted(driver, handlers=ALL)
    text = edits_of(MAIN, {}, Version("2.1.9"), wanted)[MAIN].text
    handlers = parse(text, MAIN).settings.handlers
    assert {name for name, each in handlers.items() if each.systemd_cgroup is not None} == {
        "runc",
        "nvidia",
    }
    assert handlers["nvidia"].systemd_cgroup is (driver == "systemd")


THEIRS = f"""\
version = 2 # theirs
[plugins."{CRI}"]
  [plugins."{CRI}".containerd]
    # the GPU team's
    [plugins."{CRI}".containerd.runtimes.nvidia]
      runtime_type = "io.containerd.runc.v2" # as shipped
      container_annotations = ["nvidia.*"]
      [plugins."{CRI}".containerd.runtimes.nvidia.options]
        BinaryName = "/opt/old/nvidia-container-runtime"
        Root = "/run/nvidia"
    [plugins."{CRI}".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."{CRI}".containerd.runtimes.runc.options]
        SystemdCgroup = true
"""


def test_a_definition_of_others_keeps_what_is_not_named() -> None:
    wanted = ContainerdWanted("systemd", handlers={"nvidia": NVIDIA})
    edit = edits_of(MAIN, {MAIN: THEIRS.encode()}, Version("1.7.24"), wanted)[MAIN]
    old, new = THEIRS.splitlines(), edit.text.splitlines()
    assert [line for line in new if line not in old] == [
        '        BinaryName = "/usr/bin/nvidia-container-runtime"'
    ]
    assert edit.text.count("SystemdCgroup = true") == 2
    assert [line for line in old if line not in new] == [
        '        BinaryName = "/opt/old/nvidia-container-runtime"'
    ]
    # the message has what stood there, and where it is the caller says
    (changed, *_) = [change for change in edit.changes if change.what.endswith("BinaryName")]
    assert (changed.old, changed.new) == (
        '"/opt/old/nvidia-container-runtime"',
        '"/usr/bin/nvidia-container-runtime"',
    )


def test_a_removed_one_goes_with_its_tables_and_comments_stay() -> None:
    wanted = ContainerdWanted("systemd", handlers={"nvidia": None})
    text = edits_of(MAIN, {MAIN: THEIRS.encode()}, Version("1.7.24"), wanted)[MAIN].text
    assert "runtimes.nvidia" not in text
    assert text.splitlines() == [
        line for number, line in enumerate(THEIRS.splitlines()) if number not in range(4, 10)
    ]
    assert edits_of(MAIN, {MAIN: text.encode()}, Version("1.7.24"), wanted) == {}


@pytest.mark.parametrize(("version", "file"), [("1.7.24", DROP_IN), ("2.1.9", MAIN)])
def test_a_new_one_goes_into_the_file_that_counts(version: str, file: str) -> None:
    files = {
        MAIN: b'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n',
        DROP_IN: f'version = 2\n[plugins."{CRI}".cni]\nconf_dir = "/etc/cni/net.d"\n'.encode(),
    }
    wanted = ContainerdWanted("systemd", handlers={"kata": KATA})
    edits = edits_of(MAIN, files, Version(version), wanted)
    assert [path for path, edit in edits.items() if "runtimes.kata" in edit.text] == [file]


def test_one_that_an_imported_file_states_is_changed_there() -> None:
    files = {
        MAIN: b'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n',
        DROP_IN: THEIRS.replace("version = 2", "version = 3").replace(CRI, RUNTIME).encode(),
    }
    wanted = ContainerdWanted("systemd", handlers={"nvidia": NVIDIA})
    edits = edits_of(MAIN, files, Version("2.1.9"), wanted)
    assert "/usr/bin/nvidia-container-runtime" in edits[DROP_IN].text
    assert "/opt/old" not in edits[DROP_IN].text


@pytest.mark.parametrize(
    ("handlers", "message"),
    [
        ([], "handlers is a dict by the handler's name"),
        ({"NVIDIA": NVIDIA}, "handler 'NVIDIA': a name has small letters"),
        ({"a.b": NVIDIA}, "a name has small letters"),
        ({"": NVIDIA}, "a name has small letters"),
        ({"runc": None}, "'runc' is containerd's own"),
        ({"x": "runc"}, "handler 'x': its settings are a dict"),
        ({"x": {}}, 'it has no runtime_type, such as "io.containerd.runc.v2"'),
        ({"x": {"runtime_typ": "a"}}, "runtime_typ is no key of it; did you mean runtime_type"),
        ({"x": {"runtime_type": "runc"}}, "runtime_type 'runc': such as"),
        ({"x": {"runtime_type": "io.containerd.runc.v1"}}, "is gone in containerd 2.0"),
        ({"x": {"runtime_type": "/usr/bin/containerd-shim-runc-v2"}}, "is a path"),
        ({"x": {**NVIDIA, "options": {"binaryName": "a"}}}, "did you mean options.BinaryName"),
        ({"x": {**NVIDIA, "options": {"ConfigPath": "/a"}}}, "options.ConfigPath is no key"),
        ({"x": {**NVIDIA, "options": {"BinaryName": "a b"}}}, "no program's name"),
        ({"x": {**NVIDIA, "options": {"IoUid": True}}}, "options.IoUid is a number, not True"),
        ({"x": {**RUNSC, "options": {"ConfigPath": "runsc.toml"}}}, "is no absolute path"),
        ({"x": {**KATA, "pod_annotations": "a"}}, "pod_annotations is a list, not 'a'"),
        ({"x": {**KATA, "pod_annotations": [1]}}, "pod_annotations is a list of texts"),
        ({"x": {**KATA, "privileged_without_host_devices": "yes"}}, "is True or False"),
    ],
)
def test_what_is_wrong_is_named(handlers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_handlers(handlers)


def test_another_driver_than_the_nodes_is_named() -> None:
    handlers = {"crun": {**NVIDIA, "options": {"BinaryName": "crun", "SystemdCgroup": False}}}
    with pytest.raises(
        ValueError, match=r"'crun' has SystemdCgroup False, .*kubenode_cgroup_driver"
    ):
        ContainerdWanted("systemd", handlers=handlers)
    assert ContainerdWanted("cgroupfs", handlers=handlers)


def test_a_default_that_is_removed_is_named() -> None:
    with pytest.raises(ValueError, match="default_handler kata is removed"):
        ContainerdWanted("systemd", handlers={"kata": None}, default_handler="kata")


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        (
            NVIDIA,
            [Need("containerd-shim-runc-v2"), Need("/usr/bin/nvidia-container-runtime")],
        ),
        (
            RUNSC,
            [Need("containerd-shim-runsc-v1"), Need("/etc/containerd/runsc.toml", False)],
        ),
        (
            {"runtime_type": "io.containerd.kata-qemu.v2", "runtime_path": "/opt/kata/bin/shim"},
            [Need("/opt/kata/bin/shim")],
        ),
        ({"runtime_type": "/opt/containerd-shim-spin-v2"}, [Need("/opt/containerd-shim-spin-v2")]),
        ({"base_runtime_spec": "/etc/spec.json"}, [Need("/etc/spec.json", False)]),
        (None, []),
    ],
)
def test_what_it_needs_on_the_host(settings: Any, needs: list[Need]) -> None:
    assert [*needs_of(settings)] == needs


@pytest.mark.parametrize(
    ("name", "brings"),
    [
        ("/usr/bin/nvidia-container-runtime", "nvidia-container-toolkit"),
        ("containerd-shim-runsc-v1", "gVisor"),
        ("containerd-shim-kata-qemu-v2", "kata-containers"),
        ("containerd-shim-spin-v2", "install it first"),
    ],
)
def test_what_is_missing_is_said_with_what_brings_it(name: str, brings: str) -> None:
    assert brings in Need(name).missing()
