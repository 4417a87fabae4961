"""What decides whether a node may get a release of Kubernetes: kubelet, its flags, API servers."""

from __future__ import annotations

import re
from typing import Any, Literal, TypedDict

from kubenode.facts import kubeadm, kubelet, kubelet_start, mounts
from kubenode.facts.os_release import os_release
from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet.command_line import Word, flags
from kubenode.linux import image_based
from kubenode.run import host_script
from kubenode.runtimes import program_change
from kubenode.runtimes.containerd.releases import parse_version
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "kubernetes"

_MANIFEST = kubeadm.MANIFESTS[0]
_VERSION = r"v(\d{1,4}\.\d{1,4}\.\d{1,4}(?:-(?:alpha|beta|rc)\.\d{1,3})?)"


class WordShape(TypedDict):
    """An argument of kubelet, and where it is stated."""

    text: str
    source: str


class ApiServerShape(TypedDict):
    """An API server that the node has to do with."""

    version: str
    source: str
    """Where that is known from, in words."""


class KubernetesShape(TypedDict):
    """What :class:`Kubernetes` returns."""

    binary: str | None
    """kubelet's path, None when it is not installed."""
    version: str | None
    """What it says, such as ``1.36.2``."""
    active: bool | None
    """Whether systemd keeps a kubelet running; None when that is unknown."""
    replaced: bool
    """Whether it runs a program that is no longer there: it was changed and not restarted."""
    enabled: str | None
    """``UnitFileState`` of kubelet.service, None when there is no such unit."""
    joined: Literal["yes", "no", "unknown"]
    """Whether the node has a kubeconfig of a cluster."""
    api_servers: list[ApiServerShape]
    """None is known of a worker whose API server does not answer."""
    words: list[WordShape]
    """Arguments that its unit would start it with now, or kubeadm's drop-in where there is none."""
    running_flags: list[str]
    """Names of the flags that it runs with."""
    error: str | None
    """Why its arguments cannot be told."""
    settings: dict[str, Any]
    """Top-level settings of the files that its next start reads."""
    settings_error: str | None
    """Why these cannot be told or understood."""
    change: str | None
    """What a change of a program that was interrupted was to do; None where there is none."""
    containerd: str | None
    """containerd's release; None when there is none, or it does not say."""
    image: str | None
    """What kind of image the system is; None: packages make it."""
    usr: image_based.Usr | None
    """Whether ``/usr`` can be written to, None when that cannot be told."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__,
            "kubernetes.sh",
            MANIFEST=_MANIFEST,
            KUBELET_CONF=kubeadm.KUBELET_CONF,
            CHANGE=program_change.DIRECTORY,
        ),
        files=("/etc/os-release",),
        units=(kubelet_start.UNIT,),
        properties=("MainPID",),
        shared=(mounts.READ,),
        answers=("known",),
    )


def parse(own: Reading, of_kubelet: Reading, of_kubeadm: Reading) -> KubernetesShape:
    """The shape from what the host sent.

    + own, of_kubelet, of_kubeadm: of the three probes
    """
    own.known(_MANIFEST)
    shape = kubelet.parse(of_kubelet)
    release = os_release(own)
    found, error = words(of_kubelet)
    settings, settings_error = _settings(of_kubelet)
    said = parse_version(own.value("containerd") or "")
    return {
        "binary": shape["binary"],
        "version": shape["version"],
        "active": runs(of_kubelet, shape["active"], is_joined(of_kubeadm)),
        "replaced": own.value("replaced") == "yes",
        "enabled": shape["enabled"],
        "joined": is_joined(of_kubeadm),
        "api_servers": _api_servers(own),
        "words": [{"text": word.text, "source": word.source} for word in found],
        "running_flags": _running(of_kubelet),
        "error": error,
        "settings": settings,
        "settings_error": settings_error,
        "change": own.value("change"),
        "containerd": str(said) if said else None,
        "image": image_based.image_of(
            release.get("ID"), release.get("VARIANT_ID"), own.value("ostree") == "yes"
        ),
        "usr": image_based.usr_is(mounts.mounted(own)),
    }


def is_joined(reading: Reading) -> Literal["yes", "no", "unknown"]:
    """Whether a node has a kubeconfig of a cluster.

    + reading: of kubeadm's probe
    """
    there = [
        kubeadm.parse(reading)["files"][path]
        for path in (kubeadm.KUBELET_CONF, kubeadm.BOOTSTRAP_CONF)
    ]
    return "yes" if True in there else "unknown" if None in there else "no"


def runs(reading: Reading, active: bool | None, joined: str) -> bool | None:
    """Whether systemd keeps a kubelet running; one of a node that ends again and again counts.

    + reading: of kubelet's probe
    + active: whether a process runs now
    + joined: see :func:`is_joined`; before that it ends for want of its files
    """
    if active is False and joined == "yes":
        unit = reading.unit(kubelet_start.UNIT) or {}
        return unit.get("ActiveState") in ("activating", "reloading")
    return active


def words(reading: Reading) -> tuple[list[Word], str | None]:
    """What kubelet's unit would start it with now, or why that cannot be told.

    + reading: of kubelet's probe
    """
    try:
        return kubelet_start.words_at_next_start(reading), None
    except CannotTell as trouble:
        return [], str(trouble)


def _running(reading: Reading) -> list[str]:
    arguments = reading.text("kubelet_arguments")
    if not arguments:
        return []
    try:
        return sorted(flags(kubelet_start.words(reading)))
    except CannotTell:
        return []


def _settings(reading: Reading) -> tuple[dict[str, Any], str | None]:
    try:
        return kubelet.settings(reading, kubelet_start.at_next_start(reading)), None
    except CannotTell as trouble:
        return {}, str(trouble)


def _api_servers(reading: Reading) -> list[ApiServerShape]:
    found: list[ApiServerShape] = []
    for line in reading.text(_MANIFEST):
        if match := re.search(rf"kube-apiserver[^:\s]*:{_VERSION}\b", line):
            found.append({"version": match[1], "source": f"image in {_MANIFEST}"})
    answer = " ".join(reading.text("api_server"))
    if match := re.search(rf'"gitVersion": *"{_VERSION}', answer):
        found.append({"version": match[1], "source": "it says so itself"})
    return found


class Kubernetes(ProbeFact[KubernetesShape]):
    """
    Returns what decides whether a node may get a release of Kubernetes (:class:`KubernetesShape`).

    .. code:: python

        {
            "binary": "/usr/bin/kubelet",
            "version": "1.36.2",
            "active": True,
            "replaced": False,
            "enabled": "enabled",
            "joined": "yes",
            "api_servers": [{"version": "1.36.2", "source": "it says so itself"}],
            "words": [{"text": "--v=2", "source": "/etc/default/kubelet"}],
            "running_flags": ["config", "kubeconfig"],
            "error": None,
            "settings": {},
            "settings_error": None,
            "change": None,
            "containerd": "2.3.4",
            "image": None,
            "usr": "writable",
        }

    A control plane has the release of its API server in the manifest of its static pod. Of another
    node's API server the node's own kubeconfig is used to ask, for at most 5 s.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kubernetes.Kubernetes
    """

    def command(self) -> str:
        return self.asking(
            {PROBE: script(), kubelet.PROBE: kubelet.script(), kubeadm.PROBE: kubeadm.script()}
        )

    def parse(self, readings: Readings) -> KubernetesShape:
        return parse(readings[PROBE], readings[kubelet.PROBE], readings[kubeadm.PROBE])
