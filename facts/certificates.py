"""Until when the certificates of kubelet and of kubeadm's control plane are good."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TypedDict

from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Reading, Readings

PROBE = "certificates"

_KUBELET = "/var/lib/kubelet/pki"
_KUBERNETES = "/etc/kubernetes"

ROTATED = (
    f"{_KUBELET}/kubelet-client-current.pem",
    f"{_KUBELET}/kubelet-server-current.pem",
)
"""Those that kubelet renews itself."""
FILES = (
    *ROTATED,
    *(
        f"{_KUBERNETES}/pki/{name}.crt"
        for name in (
            "ca", "apiserver", "apiserver-kubelet-client", "apiserver-etcd-client",
            "front-proxy-ca", "front-proxy-client", "etcd/ca", "etcd/server", "etcd/peer",
            "etcd/healthcheck-client",
        )
    ),
)  # fmt: skip
KUBECONFIGS = tuple(
    f"{_KUBERNETES}/{name}.conf"
    for name in ("admin", "super-admin", "controller-manager", "scheduler", "kubelet")
)


class CertificateShape(TypedDict):
    """A certificate on a host."""

    since: str | None
    """The day from which it is good, such as ``2026-11-30``."""
    expires: str | None
    """The day on which it expires."""
    error: str | None
    """Why it cannot be read."""


class CertificatesShape(TypedDict):
    """What :class:`Certificates` returns."""

    certificates: dict[str, CertificateShape]
    """By path: :data:`FILES` and :data:`KUBECONFIGS`, those that are there."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__,
            "certificates.sh",
            FILES=" ".join(FILES),
            KUBECONFIGS=" ".join(KUBECONFIGS),
        ),
        answers=("certificates",),
    )


def parse(reading: Reading) -> CertificatesShape:
    """The shape from what the host sent."""
    if reading.value("certificates") != "known":
        raise ProbeError("the host does not say which certificates it has")
    found: dict[str, CertificateShape] = {}
    for path in (*FILES, *KUBECONFIGS):
        if path in reading.unreadable:
            why = reading.why_unreadable(path)
            found[path] = _wrong(f"it cannot be read{f': {why}' if why else ''}")
        elif f"certificate:{path}" in reading.texts:
            found[path] = _certificate("\n".join(reading.text(f"certificate:{path}")).encode())
        elif path in KUBECONFIGS and (line := " ".join(reading.text(path)).strip()):
            found[path] = _in_kubeconfig(line)
    return {"certificates": found}


def _wrong(error: str) -> CertificateShape:
    return {"since": None, "expires": None, "error": error}


def _in_kubeconfig(line: str) -> CertificateShape:
    stated = re.fullmatch(r"client-certificate-data: ([A-Za-z0-9+/=]+)", line)
    try:
        return _certificate(base64.b64decode(stated[1], validate=True) if stated else b"")
    except binascii.Error:
        return _certificate(b"")


def _certificate(pem: bytes) -> CertificateShape:
    # slow to import, and few hosts have one
    from cryptography import x509

    try:
        read = x509.load_pem_x509_certificate(pem)
        since, expires = read.not_valid_before_utc, read.not_valid_after_utc
    # what is in such a file may be anything
    except Exception:
        return _wrong("it has no certificate that can be read")
    return {
        "since": since.date().isoformat(),
        "expires": expires.date().isoformat(),
        "error": None,
    }


class Certificates(ProbeFact[CertificatesShape]):
    """
    Returns until when kubelet's and the control plane's certificates are good
    (:class:`CertificatesShape`).

    .. code:: python

        {
            "certificates": {
                "/etc/kubernetes/pki/apiserver.crt": {
                    "since": "2026-11-30",
                    "expires": "2027-11-30",
                    "error": None,
                },
            },
        }

    Keys stay on the host: of a file only its first certificate is sent, of a kubeconfig file the
    line that has one.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.certificates.Certificates
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> CertificatesShape:
        return parse(readings[PROBE])
