"""The keys that a host has for Kubernetes' repositories, and until when they are good."""

from __future__ import annotations

from typing import TypedDict

from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Reading, Readings

PROBE = "kubernetes_keys"

_MOST_KEYS = 16
_PLACES = (
    "/etc/apt/keyrings/kubernetes",
    "/usr/share/keyrings/kubernetes",
    "/etc/pki/rpm-gpg/RPM-GPG-KEY-kubernetes",
)


class KeyShape(TypedDict):
    """A key on a host."""

    fingerprint: str | None
    expires: str | None
    """The day on which it expires, such as ``2027-01-31``; None for never."""
    error: str | None
    """Why it cannot be read."""


class KubernetesKeysShape(TypedDict):
    """What :class:`KubernetesKeys` returns."""

    keys: dict[str, KeyShape]
    """By path: ``/etc/apt/keyrings/kubernetes*``, ``/usr/share/keyrings/kubernetes*`` and
    ``/etc/pki/rpm-gpg/RPM-GPG-KEY-kubernetes*``."""


def script() -> probe.Script:
    """The probe's script: no process is started."""
    return probe.Script(
        host_script.read(
            __file__, "kubernetes_keys.sh", PLACES=" ".join(f"{place}*" for place in _PLACES)
        ),
        answers=("keys",),
    )


def parse(reading: Reading) -> KubernetesKeysShape:
    """The shape from what the host sent."""
    if reading.value("keys") != "known":
        raise ProbeError("the host does not say which keys it has")
    found: dict[str, KeyShape] = {
        path: {"fingerprint": None, "expires": None, "error": "it cannot be read"}
        for path in sorted(reading.unreadable)
        if path.startswith(_PLACES)
    }
    # what other probes asked for is in the same answer
    keys = {path: text for path, text in reading.exact.items() if path.startswith(_PLACES)}
    for path, content in sorted(keys.items())[:_MOST_KEYS]:
        found[path] = _key(content, path)
    return {"keys": found}


def _key(content: bytes, path: str) -> KeyShape:
    # slow to import, and few hosts have one
    from kubenode.packages import signing_key

    try:
        fingerprint, expires = signing_key.expiry(content, path)
    except signing_key.KeyProblem as problem:
        return {"fingerprint": None, "expires": None, "error": str(problem)}
    day = None if expires is None else expires.date().isoformat()
    return {"fingerprint": fingerprint, "expires": day, "error": None}


class KubernetesKeys(ProbeFact[KubernetesKeysShape]):
    """
    Returns the keys that a host has for Kubernetes' repositories (:class:`KubernetesKeysShape`).

    .. code:: python

        {
            "keys": {
                "/etc/apt/keyrings/kubernetes.asc": {
                    "fingerprint": "DE15B14486CD377B9E876E1A234654DA9A296436",
                    "expires": "2026-12-29",
                    "error": None,
                },
            },
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kubernetes_keys.KubernetesKeys
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> KubernetesKeysShape:
        return parse(readings[PROBE])
