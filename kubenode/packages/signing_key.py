"""The key that a repository is signed with: read and judged on the control machine.

Nothing is sent to a host before its key is known to be the pinned one, to be valid now, and to be
all that is sent: what is written there is the certificate that was parsed, and nothing else that
was in the file.
"""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import gevent
import pysequoia
from gevent.lock import BoundedSemaphore
from pysequoia.packet import PacketPile, Tag

from kubenode.packages.source import ARMOUR, Repository
from kubenode.run.printable import printable

MOST_BYTES = 256 * 1024
"""Of a key: one with many signatures of others has some ten KiB."""

_SECONDS = 30


class KeyProblem(ValueError):
    """A key that must not be trusted, or cannot be read; the text says why."""


@dataclass(frozen=True)
class SigningKey:
    """A certificate that is the pinned one, valid when it was looked at.

    + fingerprint: of its primary key, capital letters
    + expires: when its primary key expires, None for never
    + content: the certificate, armoured
    """

    fingerprint: str
    expires: datetime | None
    content: bytes


def checked(repository: Repository, now: datetime | None = None) -> SigningKey:
    """A repository's key; KeyProblem where it is not the one that was pinned, or not valid.

    + repository: its ``key`` is read once a run, however many hosts want it
    + now: when it has to be valid, by default the control machine's time

    A signing subkey that is expired or revoked is found by the host's package manager, before the
    repository is put in place.

    **Example:**

    .. code:: python

        signing_key.checked(docker_repository(os_release)).content
    """
    where = _shown(repository.key)
    content = _read(repository.key)
    found = _in_a_thread(content, where)
    if found.fingerprint != repository.fingerprint:
        raise KeyProblem(
            f"{where} has the fingerprint {found.fingerprint}, and {repository.fingerprint} is "
            "pinned: ask who signs the repository which is right, and set fingerprint if the key "
            "was changed"
        )
    if found.is_revoked:
        raise KeyProblem(
            f"{where}: the key {found.fingerprint} is revoked, do not trust it any more"
        )
    if found.expires is not None and found.expires <= (now or datetime.now(UTC)):
        raise KeyProblem(
            f"{where}: the key {found.fingerprint} expired on {found.expires:%Y-%m-%d %H:%M} UTC: "
            "fetch the key again, as a new date does not change its fingerprint"
        )
    return SigningKey(found.fingerprint, found.expires, found.content)


def expiry(content: bytes, where: str) -> tuple[str, datetime | None]:
    """A key's fingerprint, and when it expires, None for never; KeyProblem where it is none.

    + content: armoured or not, of a stranger
    + where: what messages call it
    """
    found = _in_a_thread(content[:MOST_BYTES], where)
    return found.fingerprint, found.expires


@dataclass(frozen=True)
class _Parsed(SigningKey):
    is_revoked: bool


def _in_a_thread(content: bytes, where: str) -> _Parsed:
    # Sequoia may look at its own stack (RUST_BACKTRACE), and a greenlet's has no end that it knows
    found = gevent.get_hub().threadpool.apply(_outcome, (content, where))
    if isinstance(found, KeyProblem):
        raise found
    return found


def _outcome(content: bytes, where: str) -> _Parsed | KeyProblem:
    # gevent prints the stack of what a thread raises
    try:
        return _parsed(content, where)
    except KeyProblem as problem:
        return problem


def _parsed(content: bytes, where: str) -> _Parsed:
    certificate = _certificate(content, where)
    try:
        expires, is_revoked = certificate.expiration, certificate.is_revoked
    except RuntimeError as error:
        raise KeyProblem(
            f"{where}: no signature of its own counts any more ({_first_line(error)}), as when "
            "they are SHA-1: ask who signs the repository for its new key"
        ) from error
    armoured = pysequoia.armor(bytes(certificate), pysequoia.ArmorKind.PublicKey).encode()
    return _Parsed(certificate.fingerprint.upper(), expires, armoured, is_revoked)


def _certificate(content: bytes, where: str) -> pysequoia.Cert:
    # what stands behind the first block would be left out without a word
    if content.count(b"-----BEGIN PGP ") > 1:
        raise KeyProblem(f"{where} has several keys in it: it must be one alone")
    if b"PRIVATE KEY BLOCK" in content:
        raise KeyProblem(f"{where} has a private key in it: give the public one")
    try:
        packets = PacketPile.from_bytes(content)
        certificates = pysequoia.Cert.split_bytes(content)
    # of its Rust part: whatever a file makes of it
    except Exception as error:
        raise KeyProblem(f"{where} is no OpenPGP key: {_first_line(error)}") from error
    if len(certificates) != 1:
        count = f"{len(certificates)} keys" if certificates else "no key"
        raise KeyProblem(f"{where} has {count} in it: it must be one alone")
    if any(packet.tag in (Tag.SecretKey, Tag.SecretSubkey) for packet in packets):
        raise KeyProblem(f"{where} has a private key in it: give the public one")
    [certificate] = certificates
    return certificate


def _first_line(error: BaseException) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0])[:200]


def _shown(key: str) -> str:
    return "key" if key.lstrip().startswith(ARMOUR) else f"key {key}"


# ---- Reading, once a run


# of gevent: pyinfra may replace threading after this was imported
_lock = BoundedSemaphore()
_contents: dict[str, bytes | KeyProblem] = {}


def _read(key: str) -> bytes:
    if key.lstrip().startswith(ARMOUR):
        return key.encode()
    # hosts are prepared at the same time; a server that does not answer is not asked for each
    with _lock:
        if key not in _contents:
            try:
                _contents[key] = _fetched(key) if "://" in key else _from_file(key)
            except KeyProblem as problem:
                _contents[key] = problem
    content = _contents[key]
    if isinstance(content, KeyProblem):
        raise KeyProblem(str(content))
    return content


def _from_file(path: str) -> bytes:
    try:
        with Path(path).expanduser().open("rb") as file:
            return _bounded(file, f"key {path}")
    except OSError as error:
        raise KeyProblem(
            f"key {path} cannot be read on this machine: {error.strerror or error}"
        ) from error


class _StaysSafe(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to https alone."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise urllib.error.URLError(f"it redirects to {newurl[:200]}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetched(url: str) -> bytes:
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=ssl.create_default_context()), _StaysSafe()
    )
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            return _bounded(answer, f"key {url}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, KeyProblem):
            raise
        raise KeyProblem(
            f"key {url} cannot be fetched by this machine: {_first_line(error)}: give a path or "
            "the key's text where it has no way there"
        ) from error


def _bounded(file: IO[bytes], where: str) -> bytes:
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise KeyProblem(f"{where} is more than {MOST_BYTES >> 10} KiB long, so it is no key")
    return content
