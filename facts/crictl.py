"""``/etc/crictl.yaml``: which runtime crictl(1) talks to."""

from __future__ import annotations

from typing import TypedDict

from kubenode.facts import runtimes
from kubenode.files.exact_text import text_of
from kubenode.runtimes import crictl
from kubenode.runtimes.crictl import CRICTL_CONFIG
from kubenode.runtimes.other_runtimes import RuntimesShape
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "crictl"


class CrictlShape(TypedDict):
    """``/etc/crictl.yaml``."""

    exists: bool | None
    """None: it could not be read."""
    runtime_endpoint: str | None
    image_endpoint: str | None
    error: str | None
    """Why crictl could not read it."""


class CrictlFileShape(CrictlShape):
    """What :class:`Crictl` returns."""

    content: str | None
    """Exact content; bytes that are no UTF-8 as lone surrogates (PEP 383). None when there is no
    such file, or it could not be read."""
    runtimes: RuntimesShape


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(files=(CRICTL_CONFIG,))


def parse(reading: Reading) -> CrictlShape:
    """The shape from what the host sent."""
    content = reading.exact.get(CRICTL_CONFIG)
    shape: CrictlShape = {
        "exists": None if reading.is_unreadable(CRICTL_CONFIG) else content is not None,
        "runtime_endpoint": None,
        "image_endpoint": None,
        "error": None,
    }
    if content is not None:
        try:
            settings = crictl.settings(content)
        except crictl.CrictlConfigError as error:
            shape["error"] = str(error)
        else:
            shape["runtime_endpoint"] = settings.get("runtime-endpoint")
            shape["image_endpoint"] = settings.get("image-endpoint")
    return shape


class Crictl(ProbeFact[CrictlFileShape]):
    """
    Returns which runtime crictl talks to, the content of its file, and which other runtimes than
    containerd the host has (:class:`CrictlFileShape`).

    .. code:: python

        {
            "exists": True,
            "runtime_endpoint": "unix:///run/containerd/containerd.sock",
            "image_endpoint": None,
            "error": None,
            "content": "runtime-endpoint: unix:///run/containerd/containerd.sock\\n",
            "runtimes": {...},
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.crictl.Crictl
    """

    def command(self) -> str:
        return self.asking({PROBE: script(), runtimes.PROBE: runtimes.script()})

    def parse(self, readings: Readings) -> CrictlFileShape:
        content = readings[PROBE].exact.get(CRICTL_CONFIG)
        return {
            **parse(readings[PROBE]),
            "content": None if content is None else text_of(content),
            "runtimes": runtimes.parse(readings),
        }
