"""A registry with TLS and a password: Debian's docker-registry in a target of its own."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import json
import platform
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.targets import image_archive, pause_image
from tests.targets.container import Target

_CONFIG = """\
version: 0.1
log: {accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: /srv/registry}}
http: {addr: ":5000", tls: {certificate: /srv/tls.crt, key: /srv/tls.key}}
auth: {htpasswd: {realm: test, path: /srv/htpasswd}}
"""

_USER = "node"


@dataclass(frozen=True)
class Registry:
    """A registry that runs."""

    target: Target
    ca: str
    """PEM text."""
    authorization: str
    """What the header has to say."""

    @property
    def url(self) -> str:
        return f"https://{self.target.address}:5000"

    def requests(self) -> list[str]:
        """Lines of its access log."""
        return self.target.sh("journalctl -u registry -o cat --no-pager").splitlines()

    def add_image(self, repository: str, tag: str) -> None:
        """Push an image that any runtime can unpack."""
        layer = pause_image.layer()
        config = json.dumps(
            {
                "architecture": image_archive.ARCHITECTURES.get(
                    platform.machine(), platform.machine()
                ),
                "os": "linux",
                "config": {"Entrypoint": ["/bin/busybox", "sleep", "2147483647"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": self._blob(repository, config, "container.image.v1+json"),
            "layers": [self._blob(repository, layer, "image.rootfs.diff.tar")],
        }
        path = f"/v2/{repository}/manifests/{tag}"
        self._send("PUT", path, json.dumps(manifest).encode(), kind)

    def _blob(self, repository: str, content: bytes, kind: str) -> dict[str, Any]:
        begun = self._send("POST", f"/v2/{repository}/blobs/uploads/", b"", None)
        place = begun.headers["Location"].removeprefix(self.url)
        digest = _digest(content)
        self._send("PUT", f"{place}&digest={digest}", content, "application/octet-stream")
        media = f"application/vnd.docker.{kind}"
        return {"mediaType": media, "size": len(content), "digest": digest}

    def _send(self, method: str, path: str, content: bytes, kind: str | None) -> Any:
        headers = {"Authorization": self.authorization, "Content-Type": kind or "text/plain"}
        request = urllib.request.Request(f"{self.url}{path}", content, headers, method=method)
        context = ssl.create_default_context(cadata=self.ca)
        return urllib.request.urlopen(request, timeout=20, context=context)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def start(target: Target, password: str) -> Registry:
    """Install and start a registry in a target that serves nothing else.

    + target: with systemd
    + password: of its only user
    """
    ca, certificate, key = _certificates(target.address)
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    target.write("/srv/tls.crt", certificate)
    target.write("/srv/tls.key", key)
    target.write("/srv/htpasswd", f"{_USER}:{hashed}\n")
    target.write("/srv/config.yml", _CONFIG)
    target.sh(
        "apt-get -qq update && apt-get -qq install -y --no-install-recommends docker-registry "
        ">/dev/null 2>&1; systemctl stop docker-registry; "
        "systemd-run --quiet --unit registry docker-registry serve /srv/config.yml"
    )
    authorization = base64.b64encode(f"{_USER}:{password}".encode()).decode()
    registry = Registry(target, ca, f"Basic {authorization}")
    target.sh(
        "for i in $(seq 100); do "
        "journalctl -u registry -o cat | grep -q 'listening on' && exit 0; sleep 0.1; done; "
        "journalctl -u registry -o cat >&2; exit 1"
    )
    return registry


def _certificates(address: str) -> tuple[str, str, str]:
    """A CA, and a certificate for an address with its key, as PEM text."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(
        subject: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, ca: bool
    ) -> x509.Certificate:
        def name(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("Test CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
            )
        )
        return builder.sign(by, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    encoding = serialization.Encoding.PEM
    pem_key = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (
        certificate("Test CA", ca_key, ca_key, ca=True).public_bytes(encoding).decode(),
        certificate(address, key, ca_key, ca=False).public_bytes(encoding).decode(),
        pem_key.decode(),
    )
