"""Archives on the control machine: fetched once, kept by their sha256, verified on every use.

They are in ``kubenode/archives`` below ``XDG_CACHE_HOME`` (``~/.cache``), which may be emptied at
any time.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from gevent.lock import BoundedSemaphore

from kubenode.packages.archive import ArchiveFile
from kubenode.packages.archive_change import MOST_BYTES

_SILENT_SECONDS = 60
"""How long a server may send nothing."""
FETCH_SECONDS = 1200
_PIECE = 1024 * 1024

# the hosts of a run want the same file at the same time
_one_at_a_time = BoundedSemaphore()


class FetchError(Exception):
    """A file cannot be had, or is not the one that was stated; the message says what to do."""


def folder() -> Path:
    """Where the files are."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # a relative path is to be ignored (XDG Base Directory Specification)
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "kubenode" / "archives"


def fetched(file: ArchiveFile) -> Path:
    """The path of a file on this machine, whole; it is fetched where it is not there yet.

    + file: of a release

    FetchError: it cannot be read or fetched, or has another sum.

    **Example:**

    .. code:: python

        fetched(ArchiveFile("https://example.org/runc.amd64", "77c0..."))
    """
    if file.is_local:
        path = Path(file.address)
        try:
            got = _sum_of(path)
        except OSError as error:
            raise FetchError(f"cannot read {path} on the control machine: {error}") from None
        if got != file.sha256:
            raise FetchError(_other_sum(file, got))
        return path
    path = folder() / file.sha256
    with _one_at_a_time:
        try:
            if path.is_file() and _sum_of(path) == file.sha256:
                return path
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _fetch(file, path)
        except OSError as error:
            raise FetchError(
                f"the control machine cannot keep {file.address} in {path.parent}: {error}"
            ) from None
    return path


def _fetch(file: ArchiveFile, path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".fetching-", delete=False) as staged:
        try:
            got = _receive(file, staged)
            if got != file.sha256:
                raise FetchError(_other_sum(file, got))
            staged.flush()
            os.fsync(staged.fileno())
            os.replace(staged.name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(staged.name)
            raise


def _receive(file: ArchiveFile, staged: IO[bytes]) -> str:
    """What the file's address sends, into *staged*; its sum."""
    ends = time.monotonic() + FETCH_SECONDS
    try:
        request = Request(file.address, headers={"User-Agent": "kubenode"})
        with build_opener(_NoLessTls()).open(request, timeout=_SILENT_SECONDS) as answer:
            length = answer.headers.get("Content-Length", "")
            digest, size = hashlib.sha256(), 0
            while piece := _read(answer):
                size += len(piece)
                if size > MOST_BYTES:
                    raise FetchError(f"{file.address} is longer than a release, {MOST_BYTES} B")
                if time.monotonic() > ends:
                    raise FetchError(f"{file.address} has not come within {FETCH_SECONDS} s")
                digest.update(piece)
                staged.write(piece)
    except _ServerError as error:
        raise FetchError(_cannot_fetch(file, str(error))) from None
    except HTTPError as error:
        raise FetchError(_cannot_fetch(file, f"it answers {error.code} {error.reason}")) from None
    except URLError as error:
        raise FetchError(_cannot_fetch(file, _words(error.reason))) from None
    except (HTTPException, ssl.SSLError, TimeoutError) as error:
        raise FetchError(_cannot_fetch(file, _words(error))) from None
    if length.isdecimal() and size != int(length):
        raise FetchError(_cannot_fetch(file, f"{size} B of {length} B came"))
    return digest.hexdigest()


class _ServerError(Exception):
    """What a server sent, or did not send."""


def _read(answer: Any) -> bytes:
    # what goes wrong here is the server's; what goes wrong while writing is this machine's
    try:
        piece: bytes = answer.read(_PIECE)
    except (HTTPException, OSError) as error:
        raise _ServerError(_words(error)) from None
    return piece


def _words(error: object) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}; this machine's clock says "
            f"{time.strftime('%Y-%m-%dT%H:%MZ', time.gmtime())}"
        )
    return str(error) or type(error).__name__


def _cannot_fetch(file: ArchiveFile, why: str) -> str:
    return (
        f"the control machine cannot fetch {file.address}: {why}. Correct the address, or what is "
        "in its way, or put the file on the control machine and state its path"
    )


def _other_sum(file: ArchiveFile, got: str) -> str:
    return (
        f"{file.address} is not what was asked for: its sha256 is {got}, not {file.sha256}. State "
        "the right sum of the right file, or ask who serves it"
    )


def _sum_of(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class _NoLessTls(HTTPRedirectHandler):
    """Follows redirects, but none away from TLS."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        scheme = newurl.partition(":")[0].lower()
        if scheme not in (("https",) if req.type == "https" else ("https", "http")):
            raise _ServerError(f"it leads to {newurl[:200]!r}, without TLS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
