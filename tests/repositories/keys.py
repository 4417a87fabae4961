"""Throw-away keys to sign repositories with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pysequoia
from pysequoia import ArmorKind, Cert, CipherSuite, Profile, SignatureMode, Tsk

_BACK = 60


@dataclass(frozen=True)
class Key:
    """A key with its secret part."""

    secret: Tsk
    certificate: Cert

    @property
    def fingerprint(self) -> str:
        """Capital letters."""
        return self.certificate.fingerprint.upper()

    @property
    def public(self) -> str:
        """The armoured certificate."""
        return pysequoia.armor(bytes(self.certificate), ArmorKind.PublicKey)

    def cleartext(self, text: str) -> bytes:
        """A text with its signature, as ``InRelease`` is."""
        signer = self.secret.signer()
        return pysequoia.sign(signer, text.encode(), mode=SignatureMode.CLEAR)

    def detached(self, text: str) -> bytes:
        """The signature of a text, as ``Release.gpg`` is."""
        signer = self.secret.signer()
        return pysequoia.sign(signer, text.encode(), mode=SignatureMode.DETACHED)

    def revoked(self) -> Key:
        """The same key, revoked."""
        revocation = self.certificate.revoke(self.secret.certifier())
        return Key(self.secret, Cert.from_bytes(bytes(self.certificate) + bytes(revocation)))

    def prolonged(self, until: datetime) -> Key:
        """The same key with another date of expiry, and so the same fingerprint."""
        longer = self.certificate.set_expiration(until, self.secret.certifier())
        return Key(self.secret, longer)

    def wait_until_expired(self) -> None:
        """Return once the key is expired: it must have been generated with few seconds."""
        expires = self.certificate.expiration
        assert expires is not None
        # its subkeys are some moments younger, and expire by their own age
        while datetime.now(UTC) <= expires + timedelta(seconds=3):
            time.sleep(0.1)


def generated(name: str = "kubenode's tests <test@example.org>", seconds: int | None = None) -> Key:
    """A new key.

    + name: its user id
    + seconds: until it expires, None for never
    """
    secret = Tsk.generate(
        name,
        profile=Profile.RFC4880,
        cipher_suite=CipherSuite.Cv25519,
        # Sequoia dates a new key back
        validity_seconds=None if seconds is None else seconds + _BACK,
    )
    return Key(secret, secret.extract_certificate())
