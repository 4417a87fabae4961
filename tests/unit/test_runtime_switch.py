"""What a change of the runtime does to kubelet's files, and which pods are in its way."""

from __future__ import annotations

import pytest

from kubenode.facts.pods import PodsShape
from kubenode.kubelet import runtime_switch
from kubenode.kubelet.command_line import Word
from kubenode.kubelet.configuration import INSTANCE_CONFIG, Files, Plan
from kubenode.operations import other_runtime
from kubenode.runtimes import other_runtimes
from kubenode.runtimes.runtime import CONTAINERD, CRIO, DOCKER, Runtime

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
