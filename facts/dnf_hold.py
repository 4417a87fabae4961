"""By which means dnf holds a package: its version locks, or what ``dnf.conf`` excludes."""

from __future__ import annotations

import configparser
from typing import TypedDict

from kubenode.files.exact_text import text_of
from kubenode.packages import dnf_excludes
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "dnf_hold"

_PLUGIN_CONF = "/etc/dnf/plugins/versionlock.conf"


class DnfHoldShape(TypedDict):
    """What :class:`DnfHold` returns."""

    versionlock: bool
    """Whether dnf has version locks: dnf5 by itself, dnf 4 by a plugin that many hosts lack or have
    turned off."""
    conf: str | None
    """Exact content of ``/etc/dnf/dnf.conf``, None when there is none."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(__file__, "dnf_hold.sh"),
        files=(dnf_excludes.CONF, _PLUGIN_CONF),
        programs=("grep",),
        answers=("versionlock",),
    )


def parse(reading: Reading) -> DnfHoldShape:
    """The shape from what the host sent; ProbeError where a file of dnf's cannot be read."""
    reading.known(dnf_excludes.CONF, _PLUGIN_CONF)
    conf = reading.exact.get(dnf_excludes.CONF)
    text = None if conf is None else text_of(conf)
    plugin = reading.exact.get(_PLUGIN_CONF)
    is_plugin_on = _is_on(text or "", "plugins") and _is_on(text_of(plugin or b""), "enabled")
    said = reading.value("versionlock")
    return {
        "versionlock": said == "yes" or (said == "plugin" and plugin is not None and is_plugin_on),
        "conf": text,
    }


def _is_on(text: str, key: str) -> bool:
    """Whether a boolean of ``[main]`` is true, which it is where nothing is said."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text)
        return parser.getboolean("main", key, fallback=True)
    except (configparser.Error, ValueError):
        return False


class DnfHold(ProbeFact[DnfHoldShape]):
    """
    Returns by which means dnf holds a package on a host (:class:`DnfHoldShape`).

    .. code:: python

        {"versionlock": False, "conf": "[main]\\ngpgcheck=True\\n"}

    **Example:**

    .. code:: shell

        pyinfra INVENTORY fact kubenode.facts.dnf_hold.DnfHold
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> DnfHoldShape:
        return parse(readings[PROBE])
