"""kubelet's files, to change them: its configuration, drop-ins, and the files that state flags."""

from __future__ import annotations

from typing import Literal, TypedDict

from kubenode.facts import kubeadm, kubelet, kubelet_start, pods, sent_files
from kubenode.facts.kubernetes import WordShape, is_joined, runs, words
from kubenode.files.exact_text import text_of
from kubenode.kubelet.configuration import INSTANCE_CONFIG, PATCH
from kubenode.runtimes.config_swap import UNPROVEN_SUFFIX
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Reading, Readings

PROBE = "kubelet_files"
NOTE = f"{kubelet_start.CONFIG}{UNPROVEN_SUFFIX}"


class KubeletFilesShape(TypedDict):
    """What :class:`KubeletFiles` returns."""

    config: str | None
    """Path of its configuration file, whether that is there or not; None when it is told none."""
    drop_ins: list[str]
    """Paths of its drop-ins, in their order."""
    files: dict[str, str]
    """Exact content by path: those, files that its unit names for its environment, kubeadm's
    instance-config.yaml, and the patch that kubenode has for kubeadm."""
    unreadable: str | None
    """The first of them that could not be read, and why."""
    words: list[WordShape]
    """Arguments that its unit would start it with now, or kubeadm's drop-in where there is none."""
    error: str | None
    """Why its arguments cannot be told."""
    joined: Literal["yes", "no", "unknown"]
    """Whether the node has a kubeconfig of a cluster."""
    active: bool | None
    """Whether systemd keeps a kubelet running; None when that is unknown."""
    unapplied: list[str]
    """What is on disk and a running kubelet runs without, a phrase each."""
    interrupted: bool
    """Whether a change of kubenode's was interrupted before kubelet had proven it."""
    pods: int | None
    """Containers of pods; None where nobody can tell."""


def script() -> probe.Script:
    """The probe's script: files beside those that are kubelet's own."""
    return probe.Script("value known yes", files=(INSTANCE_CONFIG, PATCH, NOTE), answers=("known",))


def parse(
    own: Reading, of_kubelet: Reading, of_kubeadm: Reading, count: int | None
) -> KubeletFilesShape:
    """The shape from what the host sent.

    + own, of_kubelet, of_kubeadm: of three probes
    + count: containers of pods
    """
    start = kubelet_start.at_next_start(of_kubelet)
    found, error = words(of_kubelet)
    named = [path for path, _ in kubelet.files(of_kubelet, start)]
    sent = {**of_kubelet.exact, **own.exact}
    # what other probes want of a host is there too
    mine = {*named, *kubelet_start.ENVIRONMENT_FILES, INSTANCE_CONFIG, PATCH}
    mine |= {word.source for word in found}
    trouble = kubelet.unreadable(of_kubelet, start) or sent_files.unreadable(
        own, INSTANCE_CONFIG, PATCH, NOTE
    )
    return {
        "config": start.config,
        "drop_ins": [path for path in named if path != start.config],
        "files": {path: text_of(content) for path, content in sent.items() if path in mine},
        "unreadable": trouble,
        "words": [{"text": word.text, "source": word.source} for word in found],
        "error": error or start.error,
        "joined": is_joined(of_kubeadm),
        "active": runs(of_kubelet, start.active, is_joined(of_kubeadm)),
        "unapplied": kubelet.unapplied(kubelet.parse(of_kubelet)),
        "interrupted": NOTE in own.exact,
        "pods": count,
    }


class KubeletFiles(ProbeFact[KubeletFilesShape]):
    """
    Returns kubelet's files to the letter (:class:`KubeletFilesShape`).

    .. code:: python

        {
            "config": "/var/lib/kubelet/config.yaml",
            "drop_ins": [],
            "files": {"/var/lib/kubelet/config.yaml": "cgroupDriver: systemd\\n"},
            "unreadable": None,
            "words": [{"text": "--v=2", "source": "/etc/default/kubelet"}],
            "error": None,
            "joined": "yes",
            "active": True,
            "unapplied": [],
            "interrupted": False,
            "pods": 0,
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kubelet_files.KubeletFiles
    """

    def command(self) -> str:
        return self.asking(
            {
                PROBE: script(),
                kubelet.PROBE: kubelet.script(),
                kubeadm.PROBE: kubeadm.script(),
                pods.PROBE: pods.script(),
            }
        )

    def parse(self, readings: Readings) -> KubeletFilesShape:
        return parse(
            readings[PROBE],
            readings[kubelet.PROBE],
            readings[kubeadm.PROBE],
            _pods(readings),
        )


def _pods(readings: Readings) -> int | None:
    try:
        found = pods.parse(readings[pods.PROBE])
    except ProbeError:
        return None
    placed = (*found["runtimes"].values(), found["unnamed"])
    return sum(each["systemd"] + each["cgroupfs"] for each in placed)
