"""RPM repositories on real hosts: proven before they are trusted, by dnf 4, dnf5 and zypper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from docker import DockerClient

from tests.end_to_end import rpm_host
from tests.end_to_end.rpm_host import Host
from tests.repositories import keys
from tests.repositories.rpm_mirror import RpmMirror
from tests.repositories.server import Answer, Server, other, redirect, status, truncated
from tests.soak import loops
from tests.targets import rpm_image
from tests.targets.pyinfra_cli import Result

pytestmark = [pytest.mark.targets, pytest.mark.soak]

KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-docker"
STAGED = "/run/kubenode-repositories"


@pytest.fixture(scope="module", params=loops.choice(["zypper"], rpm_image.SUITES))
def host(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp(request.param)
    with rpm_host.started(docker_client, request.param, folder) as started:
        yield started


@pytest.fixture(scope="module")
def mirror(package_server: Server, host: Host) -> RpmMirror:
    return RpmMirror(package_server, host.target)


@pytest.fixture
def fresh(host: Host) -> Iterator[Host]:
    """The host without what a test has put there."""
    yield host
    host.target.sh(
        f"rm -rf {host.repository('docker')}* {KEY}* {STAGED} /var/cache/dnf/docker-* "
        "/var/cache/libdnf5/docker-* /var/cache/zypp/*/docker"
    )


def repository(mirror: RpmMirror, *, present: bool = True, **other: Any) -> str:
    """The call that has a mirror."""
    more = "" if present else ", present=False"
    return f"repository(Repository(**{dict(mirror.fields(**other))!r}){more})"


def nothing_changed(result: Result) -> bool:
    """Whether a run of one operation succeeded and had nothing to do."""
    return result.returncode == 0 and result.output.count("No changes") == 1


def state(host: Host) -> str:
    """All that the package managers have of their own, /etc, and the keys that rpm trusts."""
    return host.target.sh(
        "find /etc /var/lib/dnf /var/cache/dnf /var/cache/libdnf5 /var/cache/zypp -type f "
        "! -name '*.pid' -exec sha256sum {} + 2>/dev/null | sort -k 2; rpm -qa | sort; "
        f"find /etc -type d | sort; ls {STAGED} 2>/dev/null || :"
    )


def available(host: Host) -> str:
    """What the package manager itself has of containerd.io."""
    return host.target.try_sh(
        "dnf -q list --showduplicates containerd.io"
        if host.is_dnf
        else "zypper --non-interactive --no-refresh search -s --match-exact containerd.io"
    )[1]


def test_a_repository_is_proven_put_in_place_and_stays(mirror: RpmMirror, fresh: Host) -> None:
    file, before = fresh.repository("docker"), state(fresh)
    dry = fresh.call(repository(mirror), "--dry", "--diff")
    assert dry.returncode == 0, dry.output
    assert f"create {file}" in dry.output
    assert f"gpgkey=file://{KEY}" in dry.output
    assert f"signed by {mirror.fingerprint}" in dry.output
    assert state(fresh) == before

    result = fresh.call(repository(mirror))
    assert result.returncode == 0, result.output
    assert "2.1.9-1" in available(fresh)
    said = fresh.target.read(file)
    assert re.search("^gpgcheck=1$", said, re.MULTILINE)
    assert re.search("^repo_gpgcheck=1$", said, re.MULTILINE)
    assert fresh.target.sh(f"stat -c '%a %U' {file} {KEY}") == "644 root\n644 root\n"
    assert fresh.target.sh(f"ls {STAGED}").strip() == ""
    changed = {line.split()[-1] for line in {*state(fresh).splitlines()} ^ {*before.splitlines()}}
    of_etc = {path for path in changed if path.startswith("/etc")}
    assert of_etc - {"/etc/pki", "/etc/pki/rpm-gpg"} == {file, KEY}

    again = fresh.call(repository(mirror))
    assert nothing_changed(again), again.output
    assert f"{file} is as wanted, signed by {mirror.fingerprint}" in again.output


def test_a_repository_without_signed_lists_is_proven_to_be_there(
    mirror: RpmMirror, fresh: Host
) -> None:
    with mirror.server.answering("*/repomd.xml.asc", status(404)):
        result = fresh.call(repository(mirror, signs_metadata=False))
        assert result.returncode == 0, result.output
        assert f"its packages have to be signed by {mirror.fingerprint}" in result.output
        assert "2.1.9-1" in available(fresh)
        assert nothing_changed(fresh.call(repository(mirror, signs_metadata=False)))


def test_a_repository_is_removed(mirror: RpmMirror, fresh: Host) -> None:
    assert fresh.call(repository(mirror)).returncode == 0
    gone = fresh.call(repository(mirror, present=False))
    assert gone.returncode == 0, gone.output
    missing = fresh.target.sh(f"ls {fresh.repository('docker')} {KEY} 2>&1 || :")
    assert missing.count("No such file") == 2
    assert "2.1.9-1" not in available(fresh)
    again = fresh.call(repository(mirror, present=False))
    assert nothing_changed(again), again.output
    assert "there is no repository docker" in again.output


def test_lists_that_were_not_fetched_are_fetched_by_the_next_run(
    mirror: RpmMirror, fresh: Host
) -> None:
    """As after a connection that broke between the files and their lists."""
    assert fresh.call(repository(mirror)).returncode == 0
    fresh.target.sh(
        "rm -rf /var/cache/dnf/docker-* /var/cache/libdnf5/docker-* /var/cache/zypp/*/docker"
    )
    result = fresh.call(repository(mirror))
    assert result.returncode == 0, result.output
    assert not nothing_changed(result)
    cached = "/var/cache/dnf /var/cache/libdnf5 /var/cache/zypp/raw"
    assert "docker" in fresh.target.sh(f"ls {cached} 2>/dev/null || :")


class Fault(NamedTuple):
    """How a repository is not what it has to be, and what is said of it."""

    says: str
    answers: tuple[str, Answer] | None = None
    """Which files the server answers with what."""
    fields: dict[str, Any] = {}  # noqa: RUF012
    """What the repository says instead."""


def faults(mirror: RpmMirror) -> dict[str, Fault]:
    stranger, expired = keys.generated(), keys.generated(seconds=0)
    expired.wait_until_expired()
    not_pinned = "is not signed by the pinned key"
    return {
        "404": Fault("has not what is asked for", ("*/repomd.xml", status(404))),
        "503": Fault("gave no lists", ("*/repomd.xml", status(503))),
        "package": Fault("has no package docker-ee", None, {"packages": ("docker-ee",)}),
        "redirect": Fault("gave no lists", ("*/repomd.xml", redirect("http://127.0.0.1:9"))),
        "truncated": Fault("gave no lists", ("*-primary*", truncated())),
        "index": Fault("gave no lists", ("*-primary*", other(b"<metadata/>"))),
        "changed": Fault(not_pinned, ("*/repomd.xml", other(b"<repomd/>"))),
        "unsigned": Fault("is not signed: where it is never", ("*/repomd.xml.asc", status(404))),
        "stranger": Fault(
            not_pinned, None, {"key": stranger.public, "fingerprint": stranger.fingerprint}
        ),
        "refused": Fault("gave no lists", None, {"url": "http://127.0.0.1:9/linux"}),
        "nowhere": Fault("gave no lists", None, {"url": "http://nowhere.invalid/linux"}),
        "tls": Fault(
            "TLS certificate that this host does not trust",
            None,
            {"url": f"{mirror.server.https}/{mirror.path}"},
        ),
        "suite": Fault("is one for apt", None, {"suite": "trixie"}),
        "fingerprint": Fault("is pinned", None, {"fingerprint": stranger.fingerprint}),
        "expired": Fault(
            "expired on", None, {"key": expired.public, "fingerprint": expired.fingerprint}
        ),
        "nokey": Fault("No such file", None, {"key": "/nowhere/docker.asc"}),
    }


def test_a_repository_that_is_not_what_it_has_to_be_changes_nothing(
    mirror: RpmMirror, fresh: Host
) -> None:
    """All in one run, which goes on behind a failure."""
    before = state(fresh)
    every = faults(mirror)
    calls = []
    with ExitStack() as answering:
        for name, fault in every.items():
            fields = {"url": f"{mirror.server.http}/{name}/{mirror.path}", **fault.fields}
            if not (link := mirror.server.folder / name).exists():
                link.symlink_to(".")
            if fault.answers:
                pattern, answer = fault.answers
                answering.enter_context(mirror.server.answering(f"/{name}/{pattern}", answer))
            call = repository(mirror, **{"name": name, **fields})
            calls.append(call.removesuffix(")") + ", _ignore_errors=True)")
        result = fresh.call("\npackages.".join(calls))
    said = result.output.split("--> Starting operation: ")[1:]
    assert len(said) == len(every), result.output
    for (name, fault), text in zip(every.items(), said, strict=True):
        assert f"<Repository {name} " in text
        assert fault.says in text, text
        assert "nothing was changed" in text, text
        assert "Error" in text, text
    assert state(fresh) == before


def test_a_signing_key_that_has_expired_is_an_error(mirror: RpmMirror, fresh: Host) -> None:
    """Another key than the packages': lists are looked at, and no package is fetched."""
    control = keys.generated()
    fields: dict[str, Any] = {"key": control.public, "fingerprint": control.fingerprint}
    with mirror.signed_by(control):
        assert fresh.call(repository(mirror, **fields)).returncode == 0
    assert fresh.call(repository(mirror, present=False)).returncode == 0
    before = state(fresh)
    mortal = keys.generated(seconds=20)
    with mirror.signed_by(mortal):
        # its subkeys, one of which has signed, are not
        longer = mortal.prolonged(datetime.now(UTC) + timedelta(days=1)).public
        mortal.wait_until_expired()
        fields = {"key": longer, "fingerprint": mortal.fingerprint}
        result = fresh.call(repository(mirror, **fields))
    assert result.returncode != 0
    assert re.search("pinned key, or that has expired|key that has expired", result.output), (
        result.output
    )
    assert state(fresh) == before


def installed(mirror: RpmMirror, **arguments: Any) -> str:
    """The call that installs containerd.io."""
    words = [f"{name}={value!r}" for name, value in arguments.items()]
    fields = dict(mirror.fields())
    return f"installed('containerd.io', repository=Repository(**{fields!r}), {', '.join(words)})"


def test_a_package_is_installed_from_a_repository_up_and_down_and_held(
    mirror: RpmMirror, fresh: Host
) -> None:
    none = fresh.call(installed(mirror, version="2.9"))
    assert none.returncode != 0
    assert "has no 2.9: it has 2.1.9-1, 1.7.24-1" in none.output
    assert fresh.packages() == []
    if not fresh.is_dnf:
        # of what containerd.io needs
        fresh.target.sh("rpmkeys --import /srv/rpm/good.asc")
    first = fresh.call(installed(mirror, version="1.7"))
    assert first.returncode == 0, first.output
    assert fresh.packages() == ["containerd.io-1.7.24-1"]
    assert nothing_changed(fresh.call(installed(mirror, version="1.7")))
    fresh.upgrade()
    assert fresh.packages() == ["containerd.io-1.7.24-1"]
    up = fresh.call(installed(mirror, version="2.1.9"))
    assert up.returncode == 0, up.output
    assert "install containerd.io 1.7.24-1 -> 2.1.9-1" in up.output
    assert fresh.packages() == ["containerd.io-2.1.9-1"]
    package = fresh.fact()["package"]
    assert package is not None
    assert package["held"]
    down = fresh.call(installed(mirror, version="1.7.24-1"))
    assert down.returncode == 0, down.output
    assert fresh.packages() == ["containerd.io-1.7.24-1"]
    fresh.upgrade()
    assert fresh.packages() == ["containerd.io-1.7.24-1"]
    # what is held stays where no version is asked for
    assert nothing_changed(fresh.call(installed(mirror)))
