"""A folder served over HTTP and HTTPS where targets reach it, that fails when it is told to."""

from __future__ import annotations

import fnmatch
import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from docker import DockerClient

Answer = Callable[["Handler"], None]
"""What answers a request in the file's place."""


def status(code: int) -> Answer:
    """An error, such as 404 or 503."""
    return lambda handler: handler.send_error(code)


def redirect(to: str) -> Answer:
    """A redirect; the path that was asked for is put behind *to*."""

    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"{to}{handler.path}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def truncated(most: int = 200) -> Answer:
    """The file's own length, and the connection is closed before all of it was sent."""

    def answer(handler: Handler) -> None:
        content = handler.content()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:most])
        handler.close_connection = True

    return answer


def shortened(most: int = 200) -> Answer:
    """The file's beginning, as if that were all of it."""
    return lambda handler: handler.send(handler.content()[:most])


def altered() -> Answer:
    """The file with another last byte, of the same length."""

    def answer(handler: Handler) -> None:
        content = handler.content()
        handler.send(content[:-1] + bytes([content[-1] ^ 1]))

    return answer


def other(content: bytes) -> Answer:
    """Something else than the file."""
    return lambda handler: handler.send(content)


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, or what a fault says."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, owner: Server, **more: object) -> None:
        self._owner = owner
        super().__init__(*arguments, **more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        fault = self._owner.asked(self.path)
        if fault is None:
            super().do_GET()
        else:
            fault(self)

    def content(self) -> bytes:
        """The file that was asked for."""
        return Path(self.translate_path(self.path)).read_bytes()

    def send(self, content: bytes) -> None:
        """Answer with some bytes."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: a test prints what it wants to know."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: who hangs up, or does not trust the certificate, is what tests are about."""


class Server:
    """Serves a folder over HTTP and HTTPS, from threads of this process.

    + folder: what is served
    + address: of this machine, where targets reach it: see :func:`gateway`
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.folder = folder
        self.address = address
        self.requests: list[str] = []
        """The paths that were asked for, in their order."""
        self._faults: list[tuple[str, Answer]] = []
        self._key, self.authority = certificate(address)
        handler = partial(Handler, owner=self, directory=str(folder))
        self._plain = _Quiet((address, 0), handler)
        self._safe = _Quiet((address, 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pem = folder.parent / f"{folder.name}.pem"
        pem.write_bytes(self._key + self.authority)
        context.load_cert_chain(pem)
        pem.unlink()
        # the handshake is each thread's own, so that one client cannot keep others waiting
        self._safe.socket = context.wrap_socket(
            self._safe.socket, server_side=True, do_handshake_on_connect=False
        )
        for server in (self._plain, self._safe):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def http(self) -> str:
        """``http://ADDRESS:PORT``."""
        return f"http://{self.address}:{self._port(self._plain)}"

    @property
    def https(self) -> str:
        """``https://ADDRESS:PORT``, with a certificate of :attr:`authority`, which nobody trusts
        before it is told to."""
        return f"https://{self.address}:{self._port(self._safe)}"

    authority: bytes
    """The certificate, PEM."""

    @contextmanager
    def answering(self, pattern: str, fault: Answer) -> Iterator[None]:
        """Answer requests with a fault, in this block.

        + pattern: of paths, ``"*/InRelease"``; the latest that matches counts
        + fault: :func:`status`, :func:`redirect`, :func:`truncated`, :func:`shortened`, ...
        """
        entry = (pattern, fault)
        self._faults.append(entry)
        try:
            yield
        finally:
            self._faults.remove(entry)

    def asked(self, path: str) -> Answer | None:
        """Note a request; the fault that answers it, None for the file."""
        self.requests.append(path)
        return next(
            (fault for pattern, fault in reversed(self._faults) if fnmatch.fnmatch(path, pattern)),
            None,
        )

    def close(self) -> None:
        """Serve no more."""
        for server in (self._plain, self._safe):
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def _port(server: socketserver.TCPServer) -> int:
        return int(server.server_address[1])


def gateway(client: DockerClient) -> str:
    """This machine's address on Docker's default network, where targets reach it."""
    config = client.networks.get("bridge").attrs["IPAM"]["Config"]
    for each in config:
        # a daemon that has just made its network does not name it before its next start
        subnet = ipaddress.ip_network(each["Subnet"])
        if subnet.version == 4:
            return str(each.get("Gateway", subnet[1]))
    raise LookupError(f"Docker's default network has no IPv4: {config}")


def certificate(address: str) -> tuple[bytes, bytes]:
    """A key and a certificate that it has signed itself, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubenode's tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # a target's clock may be set back
        .not_valid_before(now - timedelta(days=3650))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return secret, certificate.public_bytes(pem)
