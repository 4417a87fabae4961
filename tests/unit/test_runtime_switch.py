"""What a change of the runtime does to kubelet's files, and which pods are in its way."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kubenode.facts.pods import PodsShape
from kubenode.files import host_lock
from kubenode.kubelet import runtime_switch, service
from kubenode.kubelet.command_line import Word
from kubenode.kubelet.configuration import INSTANCE_CONFIG, Files, Plan
from kubenode.operations import other_runtime
from kubenode.runtimes import other_runtimes, program_change
from kubenode.runtimes.config_swap import Daemon
from kubenode.runtimes.runtime import CONTAINERD, CRIO, DOCKER, Runtime
from tests.soak import loops

pytestmark = pytest.mark.soak

CONFIG, DROP_IN = "/var/lib/kubelet/config.yaml", "/etc/kubelet.d/50-runtime.conf"
FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
OLD, NEW = "unix:///run/containerd/containerd.sock", "unix:///run/crio/crio.sock"


def edits(files: Files, driver: str | None = None) -> dict[str, str]:
    plan = runtime_switch.plan(files, CRIO.socket, driver)
    assert plan.blocked is None
    return dict(plan.edits)


def test_the_endpoint_is_changed_where_it_counts_and_for_kubeadm() -> None:
    stated = f"containerRuntimeEndpoint: {OLD} # ours\n"
    instance = f"containerRuntimeEndpoint: {OLD}\n"
    in_file = Files(CONFIG, (), {CONFIG: stated, INSTANCE_CONFIG: instance})
    assert edits(in_file) == {
        CONFIG: stated.replace(OLD, NEW),
        INSTANCE_CONFIG: instance.replace(OLD, NEW),
    }
    in_drop_in = Files(CONFIG, (DROP_IN,), {CONFIG: stated, DROP_IN: stated})
    assert edits(in_drop_in) == {DROP_IN: stated.replace(OLD, NEW)}
    text = f'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint={OLD} --v=2"\n'
    words = [Word(f"--container-runtime-endpoint={OLD}", FLAGS)]
    in_flag = Files(CONFIG, (), {CONFIG: stated, FLAGS: text}, words)
    assert edits(in_flag) == {FLAGS: text.replace(OLD, NEW)}
    # what is told nothing uses containerd
    assert edits(Files(CONFIG, (), {CONFIG: "maxPods: 10\n"})) == {
        CONFIG: f"maxPods: 10\ncontainerRuntimeEndpoint: {NEW}\n"
    }


def test_images_come_from_the_new_runtime_too_and_the_driver_is_its_own() -> None:
    text = f"containerRuntimeEndpoint: {OLD}\nimageServiceEndpoint: {OLD}\ncgroupDriver: cgroupfs\n"
    files = Files(CONFIG, (), {CONFIG: text})
    assert edits(files, "systemd") == {
        CONFIG: text.replace(OLD, NEW).replace("cgroupfs", "systemd")
    }
    # an image service of its own is somebody's choice
    own = "containerRuntimeEndpoint: {}\nimageServiceEndpoint: unix:///run/images.sock\n"
    assert edits(Files(CONFIG, (), {CONFIG: own.format(OLD)})) == {CONFIG: own.format(NEW)}


def test_a_flag_that_no_file_states_is_said_and_nothing_is_planned() -> None:
    words = [Word(f"--container-runtime-endpoint={OLD}", "kubelet.service")]
    plan = runtime_switch.plan(Files(CONFIG, (), {CONFIG: ""}, words), CRIO.socket, None)
    assert plan.blocked
    assert plan.blocked.startswith("kubelet.service: --container-runtime-endpoint")
    assert not plan.edits


def test_before_a_node_has_joined_only_what_is_stated_is_changed() -> None:
    assert runtime_switch.stated(Files(CONFIG), CRIO.socket) == Plan()
    text = f"KUBELET_EXTRA_ARGS=--container-runtime-endpoint={OLD}\n"
    path = "/etc/default/kubelet"
    words = [Word(f"--container-runtime-endpoint={OLD}", path)]
    files = Files(CONFIG, (), {path: text}, words)
    assert runtime_switch.stated(files, CRIO.socket).edits == {path: text.replace(OLD, NEW)}


def pods(containerd: int = 0, unnamed: int = 0, outside: int = 0) -> PodsShape:
    return {
        "runtimes": {
            "containerd": {"systemd": containerd, "cgroupfs": 0},
            "crio": {"systemd": 0, "cgroupfs": 0},
            "docker": {"systemd": 0, "cgroupfs": 0},
        },
        "unnamed": {"systemd": 0, "cgroupfs": unnamed},
        "outside": {"systemd": outside, "cgroupfs": 0},
    }


@pytest.mark.parametrize(
    ("found", "old", "new", "count"),
    [
        (pods(), CONTAINERD, CRIO, None),
        (pods(containerd=2), CONTAINERD, CRIO, 2),
        (pods(unnamed=1), CONTAINERD, DOCKER, 1),
        # of `docker run`: they end where Docker Engine stops, and go on where it stays
        (pods(outside=3), DOCKER, CONTAINERD, 3),
        (pods(outside=3), CONTAINERD, DOCKER, None),
    ],
)
def test_a_runtime_with_containers_is_not_replaced(
    found: PodsShape, old: Runtime, new: Runtime, count: int | None
) -> None:
    others = [other_runtimes.OtherRuntime(old.cri, (), (), "runs")]
    said = other_runtime.pods_of(found, others, new)
    assert said is None if count is None else said and said.startswith(f"{count} containers run")


def test_where_nobody_can_tell_whether_pods_run_nothing_is_replaced() -> None:
    others = [other_runtimes.OtherRuntime("CRI-O", (), (), "runs")]
    assert other_runtime.pods_of(None, others, DOCKER) == (
        "nobody can tell whether pods run, and so CRI-O is not replaced"
    )


# ---- A change that is killed, or fails, at any of its programs

_COUNTED = """#!/bin/sh
read -r left <{count}; left=$((left - 1)); echo "$left" >{count}
if [ "$left" = 0 ]; then {strike}; fi
{action}
"""
_SYSTEMCTL = """
case "$*" in
  *--value*) echo {pid};;
  "show -p MainPID"*) if [ -e {folder}/again ]; then echo MainPID={pid}; else echo MainPID=1; fi;;
  "show -p LoadState"*) echo LoadState=loaded;;
  "show -p ActiveState crio.service") read -r now <{folder}/crio; echo "ActiveState=$now";;
  "show -p ActiveState"*) echo ActiveState=active;;
  "is-enabled crio.service") echo enabled;;
  "start crio.service") echo active >{folder}/crio;;
  "stop crio.service") echo inactive >{folder}/crio;;
  "restart kubelet.service") cp {folder}/config {folder}/runs; : >{folder}/again;;
  "stop kubelet.service") rm -f {folder}/runs;;
esac
"""
_STRIKES = {"killed": "kill -9 $PPID; sleep 1; exit 137", "fails": "exit 137"}


class Node:
    """A folder that is a node: kubelet runs by a copy of its file, and CRI-O is in a file."""

    def __init__(self, folder: Path, strike: str) -> None:
        self.folder, self.programs = folder, folder / "bin"
        self.programs.mkdir()
        self.config = folder / "config"
        real = {name: f'exec /usr/bin/{name} "$@"' for name in ("sync", "mv", "rm", "sha256sum")}
        systemctl = _SYSTEMCTL.format(pid=os.getpid(), folder=folder)
        health = f"[ ! -e {folder}/runs ] || printf ok"
        actions = {**real, "systemctl": systemctl, "curl": health, "sleep": ":"}
        for name, action in actions.items():
            text = _COUNTED.format(count=folder / "count", strike=strike, action=action)
            (self.programs / name).write_text(text)
            (self.programs / name).chmod(0o755)
        self.config.write_text("old\n")
        (folder / "runs").write_text("old\n")
        (folder / "crio").write_text("active\n")

    def run(self, script: str, lines: list[str], strike_at: int) -> None:
        """A command of kubenode's; its program of that number is the one that is struck."""
        (self.folder / "count").write_text(f"{strike_at}\n")
        subprocess.run(
            ["dash", "-c", script],
            input="".join(f"{line}\n" for line in lines),
            env={**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )

    def is_one_of_two(self) -> bool:
        """Whether kubelet runs by what its file says, and what that names is there."""
        now = (self.folder / "runs").read_text() if (self.folder / "runs").exists() else ""
        crio = (self.folder / "crio").read_text()
        # containerd serves all the time
        return (now, crio) in {("old\n", "active\n"), ("new\n", "inactive\n")} and (
            self.config.read_text() == now
        )


@pytest.mark.parametrize("how", _STRIKES)
def test_stopped_at_any_program_one_runtime_is_left_that_kubelet_uses(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_lock, "DIRECTORY", str(tmp_path / "lock"))
    monkeypatch.setattr(program_change, "DIRECTORY", str(tmp_path / "change"))
    disabled = tmp_path / "disabled"
    monkeypatch.setattr(other_runtimes, "DISABLED", str(disabled))
    outcomes = set()
    for number in range(1, 120, loops.count(4, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        node = Node(folder, _STRIKES[how])
        command = runtime_switch.switch(
            runtime_switch.Switch(
                "CRI-O -> containerd",
                "containerd",
                "/nowhere",
                other_runtimes.Stopped(("crio.service",), ()),
                {str(node.config): (b"old\n", b"new\n")},
            ),
            service.daemon([], "127.0.0.1:10248"),
            Daemon("containerd", "containerd.service", "cri_serves() { :; }"),
        )
        lines = command.connector_arguments["_stdin"]
        node.run(command.get_raw_value(), list(lines), number)
        settle = program_change.settle()
        node.run(settle.get_raw_value(), [], 0)
        assert node.is_one_of_two(), (number, os.listdir(folder))
        # CRI-O was enabled, and whoever brings it back is told so
        assert disabled.exists() == (node.config.read_text() == "new\n"), number
        disabled.unlink(missing_ok=True)
        # without what undoes it, it was not begun, or has come to its end
        assert not Path(program_change.DIRECTORY, "back.sh").exists()
        outcomes.add(node.config.read_text())
    # some were struck before it, and some came through
    assert outcomes == {"old\n", "new\n"}
