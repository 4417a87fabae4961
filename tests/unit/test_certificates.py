"""Certificates: what is read of them, and when they are said to expire."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubenode.audit.checks.catalogue import by_id
from kubenode.audit.checks.check import Aim, Subject, Verdict, verdict_of
from kubenode.facts import certificates
from kubenode.wire import probe
from kubenode.wire.reading import Reading, read_answer
from tests.recorded_node import recorded

API_SERVER = "/etc/kubernetes/pki/apiserver.crt"
CLIENT = certificates.ROTATED[0]
KUBECONFIG = "/etc/kubernetes/controller-manager.conf"
TODAY = date(2026, 11, 30)


def made(days: int, of: int = 365) -> tuple[str, str]:
    """A certificate that has so many days left, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubenode-test")])
    end = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC) + timedelta(days=days)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(end - timedelta(days=of))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


def verdict(found: dict[str, Any]) -> Verdict:
    facts = recorded(certificates={"certificates": found})
    return verdict_of(by_id("certificates.expiry"), Subject(facts, Aim(today=TODAY)))


def read(path: str, pem: str) -> dict[str, Any]:
    reading = Reading({"certificates": "known"}, {f"certificate:{path}": pem.splitlines()})
    return dict(certificates.parse(reading)["certificates"])


@pytest.mark.parametrize(
    ("path", "days", "outcome", "severity"),
    [
        (API_SERVER, 60, "met", None),
        (API_SERVER, 59, "violated", "warn"),
        (API_SERVER, -1, "violated", "fail"),
        # kubelet renews its own when 10 to 30 % are left, which is 36 days of a year at the latest
        (CLIENT, 37, "met", None),
        (CLIENT, 36, "violated", "warn"),
        (CLIENT, -1, "violated", "fail"),
    ],
)
def test_what_expires_is_said_in_time(
    path: str, days: int, outcome: str, severity: str | None
) -> None:
    found = verdict(read(path, made(days)[0]))
    assert (found.outcome, found.severity) == (outcome, severity)
    if outcome == "violated":
        assert path in found.found


def test_no_certificate_is_no_finding_and_one_that_cannot_be_read_is_unknown() -> None:
    assert verdict({}).outcome == "not-applicable"
    assert verdict(read(API_SERVER, "junk")).outcome == "unknown"
    reading = Reading({"certificates": "known"}, unreadable=frozenset({API_SERVER}))
    found = certificates.parse(reading)["certificates"]
    assert found[API_SERVER]["error"] == "it cannot be read"


def test_a_kubeconfig_has_one_too() -> None:
    pem, _ = made(10)
    line = f"    client-certificate-data: {base64.b64encode(pem.encode()).decode()}"
    found = certificates.parse(Reading({"certificates": "known"}, {KUBECONFIG: [line]}))
    assert found["certificates"][KUBECONFIG]["expires"] == "2026-12-10"
    broken = certificates.parse(
        Reading({"certificates": "known"}, {KUBECONFIG: ["client-certificate-data: ###"]})
    )
    assert broken["certificates"][KUBECONFIG]["error"] is not None


def test_no_key_leaves_the_host(tmp_path: Path) -> None:
    """kubelet's file has both, whichever stands first, and a kubeconfig has both."""
    (pem, key), (after, other) = made(90), made(80)
    files = {name: tmp_path / name for name in ("a.pem", "b.pem", "c.conf")}
    files["a.pem"].write_text(f"{pem}{key}")
    files["b.pem"].write_text(f"{other}{after}{pem}")
    lines = {"client-certificate-data": pem, "client-key-data": key}
    files["c.conf"].write_text(
        "".join(f"    {k}: {base64.b64encode(v.encode()).decode()}\n" for k, v in lines.items())
    )
    script = certificates.script()
    known = " ".join([*certificates.FILES, *certificates.KUBECONFIGS])
    shell = script.shell.replace(known, " ".join(map(str, files.values())))
    assert shell != script.shell
    # a test's folder is not root's alone
    asked = {
        certificates.PROBE: probe.Script(f"trusted() {{ :; }}\n{shell}", answers=("certificates",))
    }
    answer = subprocess.run(
        ["sh", "-c", probe.command(asked)], capture_output=True, text=True, check=True
    ).stdout
    for secret in (key, other, base64.b64encode(key.encode()).decode()):
        assert secret.splitlines()[1 if "BEGIN" in secret else 0][:40] not in answer
    reading = read_answer(answer.splitlines(), asked)[certificates.PROBE]
    sent = {path: reading.text(f"certificate:{path}") for path in files.values()}
    assert "\n".join(sent[files["a.pem"]]) == pem.strip()
    assert "\n".join(sent[files["b.pem"]]) == after.strip()
    assert len(reading.text(str(files["c.conf"]))) == 1
