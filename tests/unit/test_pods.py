"""Which cgroups are containers of pods, of which runtime, and placed by which driver."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import container_cgroups, pods
from kubenode.linux import cgroups
from kubenode.wire.reading import ProbeError, Reading

ID = "fe3f6881603f38423d595a97535166fd2953ae5a2adeaa7167dc7fa94fb763e0"
OTHER = ID[::-1]
SHELLS = [shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]
SLICE = "kubepods-burstable-podx.slice"
SLICES = f"/kubepods.slice/kubepods-burstable.slice/{SLICE}"

PLACES = {
    # kubelet's pods, by systemd
    f"{SLICES}/cri-containerd-{ID}.scope": "containerd systemd",
    f"{SLICES}/crio-{ID}.scope": "crio systemd",
    f"{SLICES}/crio-{ID}.scope/container": "crio systemd",
    f"{SLICES}/docker-{ID}.scope": "docker systemd",
    f"/a.slice/a-kubepods.slice/cri-containerd-{ID}.scope": "containerd systemd",
    # ... by cgroupfs
    f"/kubepods/burstable/podx/{ID}": "unnamed cgroupfs",
    f"/kubepods/burstable/podx/crio-{ID}": "crio cgroupfs",
    # --cgroup-root=/kubelet
    f"/kubelet/kubepods/burstable/podx/{ID}": "unnamed cgroupfs",
    f"/kubelet/kubepods/podx/crio-{ID}": "crio cgroupfs",
    # ... by cgroupfs where systemd was asked for, on v2 and on v1
    f"/system.slice/{SLICE}:cri-containerd:{ID}": "containerd cgroupfs",
    f"/system.slice/containerd.service/{SLICE}:cri-containerd:{ID}": "containerd cgroupfs",
    f"/{SLICE}:docker:{ID}": "docker cgroupfs",
    # without a parent, or with one of somebody's choice
    f"/k8s.io/{ID}": "containerd cgroupfs",
    f"/system.slice/foo.slice:cri-containerd:{ID}": "containerd cgroupfs",
    f"/foo.slice/cri-containerd-{ID}.scope": "containerd systemd",
    f"/system.slice/crio-{ID}.scope": "crio systemd",
    f"/crio/crio-{ID}": "crio cgroupfs",
    f"/foo/{ID}": "outside cgroupfs",
    f"/{ID}": "outside cgroupfs",
    f"/system.slice/foo/{ID}": "outside cgroupfs",
    # docker run, or a pod of cri-dockerd without a parent
    f"/docker/{ID}": "outside cgroupfs",
    f"/system.slice/docker-{ID}.scope": "outside systemd",
    # below a container its own names count for nothing
    f"/docker/{ID}/kubepods/podx/{OTHER}": "outside cgroupfs",
    f"/{ID}/{SLICE}:cri-containerd:{OTHER}": "outside cgroupfs",
    f"/crio-{ID}/crio-{OTHER}": "crio cgroupfs",
    f"{SLICES}/crio-{ID}.scope/cri-containerd-{OTHER}.scope": "crio systemd",
    f"/kubepods/podx/{ID}/crio-{OTHER}": "unnamed cgroupfs",
    f"/{ID}/kubepods/podx/crio-{OTHER}": "outside cgroupfs",
    # what is no container of a pod, or named by whoever has a subtree
    f"{SLICES}/crio-conmon-{ID}.scope": None,
    SLICES: None,
    "/": None,
    f"/machine.slice/libpod-{ID}.scope": None,
    f"/user.slice/user-1.slice/user@1.service/cri-containerd-{ID}.scope": None,
    f"/user.slice/user-1.slice/user@1.service/app.slice/crio-{ID}.scope": None,
    f"/user.slice/user-1.slice/user@1.service/k8s.io/{ID}": None,
    f"/user.slice/user-1.slice/session-3.scope/docker/{ID}": None,
    f"/system.slice/site.service/crio-{ID}": None,
    f"/machine.slice/x.scope/k8s.io/{ID}": None,
    f"/lxc/guest/{ID}": None,
    f"/lxc/guest/kubepods/podx/crio-{ID}": None,
    f"/lxc/guest/system.slice/crio-{ID}.scope": None,
    f"/lxc.payload.guest/crio-{ID}": None,
    f"/k8s.io/guest/crio-{ID}": None,
}


def counted(shape: pods.PodsShape) -> list[str]:
    """Every container that was counted, as ``RUNTIME DRIVER``."""
    counts = {**shape["runtimes"], "unnamed": shape["unnamed"], "outside": shape["outside"]}
    return [
        f"{name} {driver}"
        for name, drivers in counts.items()
        for driver in ("systemd", "cgroupfs")
        for _ in range(drivers[driver])
    ]


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("line", ["0::{}", "4:memory:{}", "1:name=systemd:{}"])
def test_where_containers_are(path: str, line: str) -> None:
    expected = PLACES[path]
    lines = [line.format(path)]
    found = pods.parse(Reading(texts={"paths": lines}))
    assert counted(found) == ([expected] if expected else [])
    # ... and the host sends just these lines
    grep = subprocess.run(
        ["grep", "-E", cgroups.pattern(pods.SCOPES.values())],
        input="\n".join(lines),
        text=True,
        capture_output=True,
        check=False,
    )
    assert grep.stdout.splitlines() == (lines if expected else [])


def test_a_container_is_counted_once() -> None:
    path = f"/kubepods/burstable/podx/{ID}"
    # v1: hierarchies that the runtime does not use, and several processes
    lines = [
        f"4:memory:{path}",
        f"3:cpu:{path}",
        f"2:pids:{path}/init",
        f"1:name=systemd:/foo/{ID}",
    ]
    assert counted(pods.parse(Reading(texts={"paths": lines}))) == ["unnamed cgroupfs"]
    assert container_cgroups.parse(Reading(texts={"paths": lines}))["containers"] == 1


def test_a_host_that_is_a_container_may_see_the_machines_paths() -> None:
    outer = f"/docker/{OTHER}"
    own = [f"2:name=systemd:{outer}/init.scope", f"1:cpu:{outer}", "0::/"]
    lines = [f"2:name=systemd:{outer}", f"1:cpu:{outer}/kubepods/podx/{ID}", f"0::/k8s.io/{ID}"]
    found = pods.parse(Reading(texts={"paths": lines, "own": own}))
    assert counted(found) == ["unnamed cgroupfs"]


def test_what_is_not_said_is_unknown() -> None:
    with pytest.raises(ProbeError):
        pods.parse(Reading(unreadable=frozenset({"paths"})))


@pytest.mark.parametrize("shell", SHELLS, ids="-".join)
@pytest.mark.parametrize(
    ("functions", "first", "expected"),
    [
        ("", "/proc/1/cgroup", ["said paths", "said own"]),
        # more processes than a command may have arguments, which no test machine has
        ("cat() { return 126; }", "/proc/1/cgroup", ["unreadable paths"]),
        # hidden ones
        ("", "/proc/0/cgroup", ["unreadable paths"]),
    ],
)
def test_what_a_host_cannot_list_is_not_said_to_be_none(
    shell: list[str], functions: str, first: str, expected: list[str]
) -> None:
    wire = "nl='\n'\nsaid() { echo said $1; }\nunreadable() { echo unreadable $1; }"
    script = f"{wire}\n{functions}\n{pods.script().shell.replace('/proc/1/cgroup', first)}"
    said = subprocess.run([*shell, "-c", script], text=True, capture_output=True, check=False)
    assert said.stdout.splitlines() == expected


@pytest.mark.parametrize(
    ("runtime", "systemd", "cgroupfs"),
    [("containerd", 1 + 8, 2 + 16 + 32), ("crio", 0, 4), ("docker", 8, 16 + 32)],
)
def test_zero_is_said_only_where_it_is_sure(runtime: str, systemd: int, cgroupfs: int) -> None:
    shape: pods.PodsShape = {
        "runtimes": {
            "containerd": {"systemd": 1, "cgroupfs": 2},
            "crio": {"systemd": 0, "cgroupfs": 4},
            "docker": {"systemd": 0, "cgroupfs": 0},
        },
        "unnamed": {"systemd": 0, "cgroupfs": 16},
        "outside": {"systemd": 8, "cgroupfs": 32},
    }
    assert pods.at_most(shape, runtime, "systemd") == systemd
    assert pods.at_most(shape, runtime, "cgroupfs") == cgroupfs


_NAMES = st.sampled_from(
    ["kubepods.slice", "kubepods", SLICE, "system.slice", "containerd.service", "site.service",
     "k8s.io", "foo", ID, f"crio-{ID}", f"crio-{OTHER}.scope", f"{SLICE}:cri-containerd:{OTHER}"]
)  # fmt: skip


@given(st.lists(_NAMES, max_size=6))
def test_what_is_below_a_container_does_not_change_what_it_is(names: list[str]) -> None:
    path = "".join(f"/{name}" for name in names)
    found = cgroups.container_at(path, pods.SCOPES)
    if found:
        assert path.startswith(found.cgroup)
        below = cgroups.container_at(f"{found.cgroup}/kubepods/x/{OTHER}", pods.SCOPES)
        assert below == found
        above = found.cgroup.rpartition("/")[0]
        assert cgroups.container_at(above, pods.SCOPES) is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_raises(path: str, line: str) -> None:
    cgroups.container_at(path, pods.SCOPES)
    pods.parse(Reading(texts={"paths": [line, f"0::{path}"], "own": [path]}))
