"""The control machine fetches a file once, keeps it, and looks at it on every use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from kubenode.packages import archive_cache
from kubenode.packages.archive import ArchiveFile
from kubenode.packages.archive_cache import FetchError, fetched
from tests.repositories.server import Server, other, redirect, shortened, status, truncated

CONTENT = b"an archive" * 5000
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.tgz").write_bytes(CONTENT)
    with Server(folder) as served:
        yield served


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for proxy in ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    return tmp_path / "cache" / "kubenode" / "archives"


@pytest.fixture
def trusted(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_bytes(server.authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))


def test_it_is_fetched_once(server: Server, cache: Path, trusted: None) -> None:
    file = ArchiveFile(f"{server.https}/a.tgz", SUM)
    found = [gevent.spawn(fetched, file) for _ in range(5)]
    gevent.joinall(found, raise_error=True)
    assert {each.value for each in found} == {cache / SUM}
    assert fetched(file).read_bytes() == CONTENT
    # from another mirror too: the sum is what counts
    assert fetched(ArchiveFile(f"{server.http}/elsewhere.tgz", SUM)) == cache / SUM
    assert server.requests == ["/a.tgz"]


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_what_is_not_whole_any_more_is_fetched_again(
    server: Server, cache: Path, damage: bytes
) -> None:
    file = ArchiveFile(f"{server.http}/a.tgz", SUM)
    fetched(file).write_bytes(damage)
    assert fetched(file).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_redirect_is_followed_but_not_away_from_tls(
    server: Server, cache: Path, trusted: None
) -> None:
    file = ArchiveFile(f"{server.http}/old/a.tgz", SUM)
    (server.folder / "moved" / "old").mkdir(parents=True)
    (server.folder / "moved" / "old" / "a.tgz").write_bytes(CONTENT)
    with server.answering("/old/*", redirect(f"{server.https}/moved")):
        assert fetched(file).read_bytes() == CONTENT
    (cache / SUM).unlink()
    with (
        server.answering("/old/*", redirect(f"{server.http}/moved")),
        pytest.raises(FetchError, match="without TLS"),
    ):
        fetched(ArchiveFile(f"{server.https}/old/a.tgz", SUM))
    assert server.requests[-1] == "/old/a.tgz"


FAULTS = {
    "404": (status(404), "it answers 404 .*Correct the address"),
    "503": (status(503), "it answers 503"),
    "cut off": (truncated(1000), "1000"),
    "shortened": (shortened(1000), "its sha256 is .* not"),
    "other": (other(b"<html>log in</html>"), "its sha256 is"),
    "for ever": (redirect(""), "it answers 302"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_server_at_fault_is_a_clear_error_and_leaves_nothing(
    server: Server, cache: Path, name: str
) -> None:
    fault, words = FAULTS[name]
    file = ArchiveFile(f"{server.http}/a.tgz", SUM)
    with server.answering("*", fault), pytest.raises(FetchError, match=words) as raised:
        fetched(file)
    assert file.address in str(raised.value)
    assert list(cache.iterdir()) == []
    assert fetched(file).read_bytes() == CONTENT


def test_a_certificate_that_is_not_trusted_is_named_with_the_clock(server: Server) -> None:
    with pytest.raises(FetchError, match=r"certificate is not trusted: .*clock says 2"):
        fetched(ArchiveFile(f"{server.https}/a.tgz", SUM))


def test_a_server_that_is_not_there(server: Server) -> None:
    url = server.http
    server.close()
    with pytest.raises(FetchError, match="Connection refused"):
        fetched(ArchiveFile(f"{url}/a.tgz", SUM))
    with pytest.raises(FetchError, match="cannot fetch"):
        fetched(ArchiveFile("https://nobody.invalid/a.tgz", SUM))


def test_more_than_a_release_is_not_taken(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_cache, "MOST_BYTES", len(CONTENT) - 1)
    with pytest.raises(FetchError, match="longer than a release"):
        fetched(ArchiveFile(f"{server.http}/a.tgz", SUM))
    assert list(cache.iterdir()) == []


def test_a_full_disk_is_this_machines(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FetchError, match=r"control machine cannot keep .* No space left"):
        fetched(ArchiveFile(f"{server.http}/a.tgz", SUM))


def test_a_file_of_the_control_machine_is_used_where_it_is(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "containerd.tgz"
    path.write_bytes(CONTENT)
    assert fetched(ArchiveFile(str(path), SUM)) == path
    assert not cache.exists()
    with pytest.raises(FetchError, match=f"its sha256 is {SUM}, not {'0' * 64}"):
        fetched(ArchiveFile(str(path), "0" * 64))
    with pytest.raises(FetchError, match=r"cannot read .* on the control machine"):
        fetched(ArchiveFile(f"{path}x", SUM))


def test_a_relative_cache_home_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert archive_cache.folder() == Path.home() / ".cache" / "kubenode" / "archives"
