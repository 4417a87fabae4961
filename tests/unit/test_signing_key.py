"""Keys of repositories, judged on the control machine before a host hears of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.packages import signing_key
from kubenode.packages.signing_key import KeyProblem, checked
from kubenode.packages.source import Repository
from tests.repositories import keys
from tests.repositories.keys import Key
from tests.repositories.server import Server, other, redirect, status


@pytest.fixture(scope="module")
def key() -> Key:
    return keys.generated()


@pytest.fixture(autouse=True)
def a_run_of_its_own() -> None:
    signing_key._contents.clear()


def repository(key: str, fingerprint: str) -> Repository:
    return Repository(
        name="docker", url="https://mirror.example.com", key=key, fingerprint=fingerprint
    )


def test_a_key_is_read_from_a_path_and_from_its_text(key: Key, tmp_path: Path) -> None:
    path = tmp_path / "docker.asc"
    path.write_text(key.public)
    binary = tmp_path / "docker.gpg"
    binary.write_bytes(bytes(key.certificate))
    for where in (str(path), str(binary), key.public, f"\n{key.public}"):
        found = checked(repository(where, key.fingerprint.lower()))
        assert (found.fingerprint, found.expires) == (key.fingerprint, None)
        assert bytes(pysequoia.Cert.split_bytes(found.content)[0]) == bytes(key.certificate)


def test_another_key_than_the_pinned_one_is_refused(key: Key) -> None:
    fingerprint = keys.generated().fingerprint
    with pytest.raises(KeyProblem, match=f"{key.fingerprint}, and {fingerprint} is pinned"):
        checked(repository(key.public, fingerprint))


def test_an_expired_key_is_refused_with_its_date(key: Key) -> None:
    mortal = key.prolonged(datetime.now(UTC) + timedelta(days=2))
    wanted = repository(mortal.public, key.fingerprint)
    expires = checked(wanted).expires
    assert expires is not None
    with pytest.raises(KeyProblem, match=f"expired on {expires:%Y-%m-%d}"):
        checked(wanted, now=expires + timedelta(seconds=1))
    # the same key, with another date, has the same fingerprint
    assert checked(repository(key.public, mortal.fingerprint)).expires is None


def test_a_revoked_key_is_refused(key: Key) -> None:
    with pytest.raises(KeyProblem, match="revoked"):
        checked(repository(key.revoked().public, key.fingerprint))


def test_a_key_must_be_alone_and_public(key: Key) -> None:
    second = keys.generated()
    for content, says in {
        key.public + second.public: "several keys",
        key.public.replace("PUBLIC", "PRIVATE"): "not with",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n": "is no OpenPGP key|no key",
    }.items():
        with pytest.raises(ValueError, match=says):
            checked(repository(content, key.fingerprint))


@pytest.mark.parametrize("what", ["two", "private", "armoured private", "empty", "junk", "long"])
def test_a_file_that_is_not_one_public_key_is_refused(what: str, key: Key, tmp_path: Path) -> None:
    content = {
        "two": bytes(key.certificate) + bytes(keys.generated().certificate),
        "private": bytes(key.secret),
        "armoured private": str(key.secret).encode(),
        "empty": b"",
        "junk": b"<html>404</html>",
        "long": key.public.encode() + b"\n" * signing_key.MOST_BYTES,
    }[what]
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(KeyProblem, match=str(path)):
        checked(repository(str(path), key.fingerprint))


def test_what_stands_beside_the_certificate_is_not_sent_on(key: Key, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"curl is great\n{key.public}\nTrusted: yes\n")
    content = checked(repository(str(path), key.fingerprint)).content
    assert b"curl" not in content
    assert b"Trusted" not in content


def test_a_file_that_is_not_there_is_named(key: Key, tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="No such file"):
        checked(repository(str(tmp_path / "nothing"), key.fingerprint))


@given(st.binary(max_size=400))
def test_no_content_raises_anything_else(content: bytes) -> None:
    with pytest.raises(KeyProblem):
        signing_key._certificate(content, "key")


# ---- By HTTPS


@pytest.fixture
def server(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "gpg").write_text(key.public)
    with Server(folder) as server:
        authority = tmp_path / "authority.pem"
        authority.write_bytes(server.authority)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        yield server


def test_a_key_is_fetched_once_a_run(server: Server, key: Key) -> None:
    wanted = repository(f"{server.https}/gpg", key.fingerprint)
    assert [checked(wanted).fingerprint for _ in range(3)] == [key.fingerprint] * 3
    assert server.requests == ["/gpg"]


def test_a_server_that_fails_is_asked_once_a_run(server: Server, key: Key) -> None:
    wanted = repository(f"{server.https}/gpg", key.fingerprint)
    with server.answering("/gpg", status(404)):
        for _ in range(2):
            with pytest.raises(KeyProblem, match="404"):
                checked(wanted)
    assert server.requests == ["/gpg"]


def test_a_redirect_is_followed_to_https_alone(server: Server, key: Key) -> None:
    (server.folder / "other").mkdir()
    (server.folder / "other/gpg").write_text(key.public)
    for to, fits in ((f"{server.https}/other", True), (f"{server.http}/other", False)):
        signing_key._contents.clear()
        with server.answering("/gpg", redirect(to)):
            wanted = repository(f"{server.https}/gpg", key.fingerprint)
            if fits:
                assert checked(wanted).fingerprint == key.fingerprint
            else:
                with pytest.raises(KeyProblem, match="not https"):
                    checked(wanted)


def test_a_server_that_nobody_vouches_for_is_not_believed(
    server: Server, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert ssl.get_default_verify_paths()
    with pytest.raises(KeyProblem, match="CERTIFICATE_VERIFY_FAILED"):
        checked(repository(f"{server.https}/gpg", key.fingerprint))


def test_an_answer_without_an_end_is_cut(server: Server, key: Key) -> None:
    wanted = repository(f"{server.https}/gpg", key.fingerprint)
    with (
        server.answering("/gpg", other(b"x" * (signing_key.MOST_BYTES + 1))),
        pytest.raises(KeyProblem, match="more than 256 KiB"),
    ):
        checked(wanted)


def test_a_second_key_among_the_packets_is_found(key: Key) -> None:
    """Whatever comes first: neither is taken for the other."""
    soup: Any = bytes(keys.generated().certificate) + bytes(key.certificate)
    with pytest.raises(KeyProblem, match="2 keys"):
        signing_key._certificate(soup, "key")
