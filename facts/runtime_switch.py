"""Which runtimes a host has and who uses them, to have another one take their place."""

from __future__ import annotations

from typing import TypedDict

from kubenode.facts import crictl, runtimes
from kubenode.files.exact_text import text_of
from kubenode.run import host_script
from kubenode.runtimes import program_change
from kubenode.runtimes.crictl import CRICTL_CONFIG
from kubenode.runtimes.other_runtimes import DISABLED, ENGINE_UNITS, UNITS, RuntimesShape
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Reading, Readings

PROBE = "runtime_switch"


class RuntimeSwitchShape(TypedDict):
    """What :class:`RuntimeSwitch` returns."""

    runtimes: RuntimesShape
    engine: dict[str, str] | None
    """``ActiveState`` of Docker Engine's own units that there are, by name; None where systemd does
    not say."""
    crictl: str | None
    """``/etc/crictl.yaml``, exact; None when there is none, or it could not be read."""
    crictl_readable: bool
    """Whether that is known."""
    disabled: list[str] | None
    """Units that changes of the runtime have disabled, and that were enabled before; None: their
    list cannot be read."""
    change: str | None
    """A change that was interrupted, of a runtime or of a program: ``containerd -> cri-dockerd``;
    None: there is none."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(__file__, "runtime_switch.sh", CHANGE=program_change.DIRECTORY),
        files=(DISABLED,),
        units=ENGINE_UNITS,
        properties=("ActiveState",),
        answers=("known",),
    )


def _engine(reading: Reading) -> dict[str, str] | None:
    found = {}
    for name in ENGINE_UNITS:
        try:
            properties = reading.unit(name) or {}
        except ProbeError:
            return None
        if properties.get("LoadState", "not-found") not in ("not-found", "masked"):
            found[name] = properties.get("ActiveState", "")
    return found


def _disabled(reading: Reading) -> list[str] | None:
    if reading.is_unreadable(DISABLED):
        return None
    lines = dict.fromkeys(reading.text(DISABLED))
    return [line for line in lines if line in UNITS or line in ENGINE_UNITS]


class RuntimeSwitch(ProbeFact[RuntimeSwitchShape]):
    """
    Returns which runtimes a host has, who uses them, and whether a change of them was interrupted
    (:class:`RuntimeSwitchShape`).

    .. code:: python

        {
            "runtimes": {...},
            "engine": {"docker.socket": "active", "docker.service": "active"},
            "crictl": "runtime-endpoint: unix:///run/cri-dockerd.sock\\n",
            "crictl_readable": True,
            "disabled": [],
            "change": None,
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.runtime_switch.RuntimeSwitch
    """

    def command(self) -> str:
        return self.asking(
            {PROBE: script(), crictl.PROBE: crictl.script(), runtimes.PROBE: runtimes.script()}
        )

    def parse(self, readings: Readings) -> RuntimeSwitchShape:
        own, of_crictl = readings[PROBE], readings[crictl.PROBE]
        content = of_crictl.exact.get(CRICTL_CONFIG)
        return {
            "runtimes": runtimes.parse(readings),
            "engine": _engine(own),
            "crictl": None if content is None else text_of(content),
            "crictl_readable": not of_crictl.is_unreadable(CRICTL_CONFIG),
            "disabled": _disabled(own),
            "change": own.value("change"),
        }
