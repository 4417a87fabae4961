"""Repositories of packages on real hosts: proven before they are trusted, and installed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import RunPyinfra, WriteInventory
from tests.repositories import keys
from tests.repositories.docker_mirror import DockerMirror
from tests.repositories.server import Server, other, redirect, shortened, status, truncated
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

SOURCES = "/etc/apt/sources.list.d/docker.sources"
KEY = "/etc/apt/keyrings/docker.asc"
STAGED = "/run/kubenode-repositories"

Deploy = Callable[..., Result]


@pytest.fixture(scope="module")
def mirror(package_server: Server) -> DockerMirror:
    return DockerMirror(package_server, "trixie", ["1.7", "2.1"])


@pytest.fixture(scope="module")
def node(docker_client: DockerClient, login_key: SshKey) -> Iterator[Target]:
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh("apt-get update")
        yield target


@pytest.fixture
def fresh(node: Target) -> Iterator[Target]:
    """The node without what a test has put there."""
    yield node
    node.sh(
        "apt-mark unhold containerd.io >/dev/null 2>&1; apt-get purge -y containerd.io runc; "
        f"rm -rf /etc/apt/keyrings/* {SOURCES}* /etc/apt/sources.list.d/*.list {STAGED} "
        "/var/lib/apt/lists/172*"
    )


@pytest.fixture
def deploy(
    tmp_path: Path, run_pyinfra: RunPyinfra, inventory: WriteInventory, node: Target
) -> Deploy:
    """Runs one operation of ``kubenode.operations.packages`` on the node."""

    def run(call: str, *arguments: str) -> Result:
        path = tmp_path / "deploy.py"
        path.write_text(
            "from kubenode.operations import packages\n"
            "from kubenode.packages.source import Repository\n\n"
            f"packages.{call}\n"
        )
        return run_pyinfra(*(arguments or ("-y", "-v")), inventory(node.host()), path)

    return run


def repository(mirror: DockerMirror, **other: Any) -> str:
    """The call that has a mirror."""
    return f"repository(Repository(**{dict(mirror.fields(**other))!r}))"


def nothing_changed(result: Result) -> bool:
    """Whether a run of one operation succeeded and had nothing to do."""
    return result.returncode == 0 and result.output.count("No changes") == 1


def state(target: Target) -> str:
    """All that apt and dpkg have of their own, and /etc."""
    return target.sh(
        "find /etc /var/lib/dpkg /var/lib/apt /var/cache/apt -type f ! -name lock "
        "! -name lock-frontend -exec sha256sum {} + | sort -k 2; "
        f"find /etc/apt -type d | sort; ls {STAGED} 2>/dev/null || :"
    )


def test_the_mirror_is_what_dockers_repository_is(mirror: DockerMirror, fresh: Target) -> None:
    """By apt alone, as Docker's documentation has it: it installs, runs, and is in Debian's way."""
    fresh.write("/etc/apt/keyrings/plain.asc", mirror.key.public)
    fresh.write(
        "/etc/apt/sources.list.d/plain.list",
        f"deb [signed-by=/etc/apt/keyrings/plain.asc] {mirror.linux}/debian trixie stable\n",
    )
    fresh.sh("apt-get update && apt-get install -y --no-install-recommends containerd.io=1.7*")
    assert fresh.sh("containerd --version").split()[2].startswith("1.7.24")
    assert fresh.sh("systemctl is-active containerd").strip() == "active"
    assert 'disabled_plugins = ["cri"]' in fresh.read("/etc/containerd/config.toml")
    assert "Remv containerd.io" in fresh.sh("apt-get -s install containerd")
    before = fresh.sh("systemctl show -p MainPID --value containerd")
    fresh.sh("apt-get install -y containerd.io")
    assert fresh.sh("containerd --version").split()[2].startswith("2.1.9")
    assert fresh.sh("systemctl show -p MainPID --value containerd") != before


def test_a_repository_is_proven_put_in_place_and_stays(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    before = state(fresh)
    dry = deploy(repository(mirror), "--dry", "--diff")
    assert dry.returncode == 0, dry.output
    assert f"create {SOURCES}" in dry.output
    assert f"Signed-By: {KEY}" in dry.output
    assert f"signed by {mirror.key.fingerprint}" in dry.output
    assert state(fresh) == before

    result = deploy(repository(mirror))
    assert result.returncode == 0, result.output
    # apt itself is the judge
    assert "2.1.9-1~debian.13~trixie" in fresh.sh("apt-cache policy containerd.io")
    assert fresh.sh(f"stat -c '%a %U' {SOURCES} {KEY}") == "644 root\n644 root\n"
    assert "apt-key" not in fresh.sh("apt-get update 2>&1")
    assert fresh.sh(f"ls {STAGED}").strip() == ""
    changed = {
        line.split()[-1] for line in set(state(fresh).splitlines()) ^ set(before.splitlines())
    }
    assert {path for path in changed if not path.startswith("/var")} == {SOURCES, KEY}

    again = deploy(repository(mirror))
    assert nothing_changed(again), again.output
    assert f"{SOURCES} is as wanted, signed by {mirror.key.fingerprint}" in again.output


def test_a_repository_is_removed_and_its_packages_stay(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    assert deploy(repository(mirror)).returncode == 0
    gone = deploy(repository(mirror).replace("))", "), present=False)"))
    assert gone.returncode == 0, gone.output
    assert fresh.sh(f"ls {SOURCES} {KEY} 2>&1 || :").count("No such file") == 2
    again = deploy(repository(mirror).replace("))", "), present=False)"))
    assert nothing_changed(again), again.output
    assert "there is no repository docker" in again.output


def _faulty(mirror: DockerMirror, what: str) -> tuple[dict[str, Any], Any]:
    """Fields of the repository, and what the server does."""
    stranger, expired = keys.generated(), keys.generated(seconds=1)
    if what == "an expired key":
        expired.wait_until_expired()
    unsigned = (mirror.apt.releases / "Release").read_bytes()
    faults: dict[str, tuple[dict[str, Any], Any]] = {
        "404": ({}, ("*Release*", status(404))),
        "another suite": ({"suite": "sid"}, None),
        "another component": ({"components": ("edge",)}, None),
        "another package": ({"packages": ("docker-ee",)}, None),
        "redirect to nowhere": ({}, ("*Release*", redirect("http://127.0.0.1:9"))),
        "a truncated index": ({}, ("*/Packages*", truncated())),
        "a shortened index": ({}, ("*/Packages*", shortened())),
        "another index": ({}, ("*/Packages*", other(b"Package: containerd.io\n"))),
        "a shortened signature": ({}, ("*Release*", shortened())),
        "no signature": ({}, ("*/InRelease", other(unsigned))),
        "another's signature": (
            {"key": stranger.public, "fingerprint": stranger.fingerprint}, None),
        "not reachable": ({"url": "http://127.0.0.1:9/linux/debian"}, None),
        "no such server": ({"url": "http://nowhere.invalid/linux/debian"}, None),
        "a certificate that nobody vouches for": (
            {"url": f"{mirror.server.https}/linux/debian"}, None),
        "another fingerprint": ({"fingerprint": stranger.fingerprint}, None),
        "an expired key": ({"key": expired.public, "fingerprint": expired.fingerprint}, None),
        "a revoked key": ({"key": mirror.key.revoked().public}, None),
        "no key": ({"key": "/nowhere/docker.asc"}, None),
    }  # fmt: skip
    return faults[what]


SAYS = {
    "404": "does not have a Release file",
    "another suite": "see its url, suite and components",
    "another component": "has not that component",
    "another package": "has no package docker-ee",
    "redirect to nowhere": "127.0.0.1:9",
    "a truncated index": "gave no lists",
    "a shortened index": "unexpected size",
    "another index": "unexpected size",
    "a shortened signature": "repository docker",
    "no signature": "repository docker",
    "another's signature": "is not signed by the pinned key",
    "not reachable": "Connection refused",
    "no such server": "resolv",
    "a certificate that nobody vouches for": "TLS certificate that this host does not trust",
    "another fingerprint": "is pinned",
    "an expired key": "expired on",
    "a revoked key": "revoked",
    "no key": "No such file",
}


@pytest.mark.parametrize("what", SAYS)
def test_a_repository_that_is_not_what_it_has_to_be_changes_nothing(
    what: str, mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    before = state(fresh)
    fields, fault = _faulty(mirror, what)
    if fault is None:
        result = deploy(repository(mirror, **fields))
    else:
        with mirror.server.answering(*fault):
            result = deploy(repository(mirror, **fields))
    assert result.returncode != 0, result.output
    assert SAYS[what] in result.output
    assert "nothing was changed" in result.output
    assert state(fresh) == before


def test_the_rerun_after_a_fault_converges(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    with mirror.server.answering("*/Packages*", truncated()):
        assert deploy(repository(mirror)).returncode != 0
    assert deploy(repository(mirror)).returncode == 0
    assert "2.1.9" in fresh.sh("apt-cache policy containerd.io")


def test_lists_that_were_not_fetched_are_fetched_by_the_next_run(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    """As after a connection that broke between the files and their lists."""
    assert deploy(repository(mirror)).returncode == 0
    fresh.sh("rm /var/lib/apt/lists/172*")
    result = deploy(repository(mirror))
    assert result.returncode == 0, result.output
    assert "2.1.9" in fresh.sh("apt-cache policy containerd.io")


# ---- Installed


def installed(mirror: DockerMirror, *, source: bool = True, **arguments: Any) -> str:
    """The call that installs containerd.io."""
    fields = dict(mirror.fields())
    words = [f"{name}={value!r}" for name, value in arguments.items()]
    if source:
        words.insert(0, f"repository=Repository(**{fields!r})")
    return f"installed('containerd.io', {', '.join(words)})"


def version_of(target: Target, package: str = "containerd.io") -> str:
    code, out, _ = target.try_sh(f"dpkg-query -W -f '${{db:Status-Abbrev}} ${{Version}}' {package}")
    return out if code == 0 else ""


def test_a_package_is_installed_from_a_repository_up_and_down_and_held(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    before = state(fresh)
    dry = deploy(installed(mirror, version="1.7"), "--dry")
    assert dry.returncode == 0, dry.output
    assert "containerd.io 1.7 is then installed" in dry.output, dry.output
    assert state(fresh) == before

    first = deploy(installed(mirror, version="1.7"))
    assert first.returncode == 0, first.output
    assert version_of(fresh) == "hi  1.7.24-1"
    again = deploy(installed(mirror, version="1.7"))
    assert again.output.count("No changes") == 1, again.output

    fresh.sh("sed -i 's/^disabled_plugins.*/disabled_plugins = []/' /etc/containerd/config.toml")
    dry = deploy(installed(mirror, version="2.1.9"), "--dry")
    assert "install containerd.io 1.7.24-1 -> 2.1.9-1~debian.13~trixie" in dry.output
    assert version_of(fresh) == "hi  1.7.24-1"
    up = deploy(installed(mirror, version="2.1.9"))
    assert up.returncode == 0, up.output
    assert version_of(fresh) == "hi  2.1.9-1~debian.13~trixie"
    assert "disabled_plugins = []" in fresh.read("/etc/containerd/config.toml")

    down = deploy(installed(mirror, version="1.7.24-1", source=False))
    assert down.returncode == 0, down.output
    assert version_of(fresh) == "hi  1.7.24-1"
    # what is held stays where no version is asked for, and apt has a newer one
    assert nothing_changed(deploy(installed(mirror)))
    assert "2.1.9" in fresh.sh("apt-cache policy containerd.io | grep Candidate")


def test_a_version_that_the_source_has_not_is_refused_with_what_it_has(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    result = deploy(installed(mirror, version="2.3"))
    assert result.returncode != 0
    assert "has no 2.3: it has 2.1.9-1~debian.13~trixie, 1.7.24-1" in result.output
    assert version_of(fresh) == ""


def test_nothing_goes_for_it_that_is_not_named(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    fresh.sh("apt-get install -y --no-install-recommends runc")
    refused = deploy(installed(mirror, version="2.1"))
    assert refused.returncode != 0
    assert "would be removed for it" in refused.output
    assert "replaces=('runc',)" in refused.output
    assert (version_of(fresh), version_of(fresh, "runc")[:2]) == ("", "ii")

    dry = deploy(installed(mirror, version="2.1", replaces=["runc"]), "--dry")
    assert "remove runc" in dry.output
    result = deploy(installed(mirror, version="2.1", replaces=["runc"]))
    assert result.returncode == 0, result.output
    assert (version_of(fresh)[:2], version_of(fresh, "runc")[:2]) == ("hi", "un")
    fresh.sh("apt-get purge -y runc")
