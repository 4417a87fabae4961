"""Repositories of packages on real hosts: proven before they are trusted, and installed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from docker import DockerClient

from tests.conftest import RunPyinfra, WriteInventory
from tests.end_to_end.test_writes_on_targets import holding
from tests.repositories import keys
from tests.repositories.apt import small_package
from tests.repositories.docker_mirror import DockerMirror
from tests.repositories.server import (
    Answer,
    Server,
    other,
    redirect,
    shortened,
    status,
    truncated,
)
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


class Fault(NamedTuple):
    """How a repository is not what it has to be, and what is said of it."""

    says: str
    answers: tuple[str, Answer] | None = None
    """Which files the server answers with what."""
    fields: dict[str, Any] = {}  # noqa: RUF012
    """What the repository says instead."""


def faults(mirror: DockerMirror) -> dict[str, Fault]:
    stranger, expired = keys.generated(), keys.generated(seconds=0)
    expired.wait_until_expired()
    unsigned = other((mirror.apt.releases / "Release").read_bytes())
    not_pinned = "is not signed by the pinned key"
    return {
        "404": Fault("does not have a Release file", ("*Release*", status(404))),
        "503": Fault("503", ("*Release*", status(503))),
        "suite": Fault("see its url, suite and components", None, {"suite": "sid"}),
        "component": Fault("has not that component", None, {"components": ("edge",)}),
        "package": Fault("has no package docker-ee", None, {"packages": ("docker-ee",)}),
        "redirect": Fault("127.0.0.1:9", ("*Release*", redirect("http://127.0.0.1:9"))),
        "truncated": Fault("gave no lists", ("*/Packages*", truncated())),
        "shortened": Fault("unexpected size", ("*/Packages*", shortened())),
        "index": Fault("unexpected size", ("*/Packages*", other(b"Package: containerd.io\n"))),
        "signature": Fault("is not signed", ("*Release*", shortened())),
        "unsigned": Fault("Clearsigned file isn't valid", ("*/InRelease", unsigned)),
        "stranger": Fault(
            not_pinned, None, {"key": stranger.public, "fingerprint": stranger.fingerprint}
        ),
        "refused": Fault("Connection refused", None, {"url": "http://127.0.0.1:9/linux/debian"}),
        "nowhere": Fault("resolv", None, {"url": "http://nowhere.invalid/linux/debian"}),
        "tls": Fault(
            "TLS certificate that this host does not trust",
            None,
            {"url": f"{mirror.server.https}/linux/debian"},
        ),
        "fingerprint": Fault("is pinned", None, {"fingerprint": stranger.fingerprint}),
        "expired": Fault(
            "expired on", None, {"key": expired.public, "fingerprint": expired.fingerprint}
        ),
        "revoked": Fault("is revoked", None, {"key": mirror.key.revoked().public}),
        "nokey": Fault("No such file", None, {"key": "/nowhere/docker.asc"}),
    }


def test_a_repository_that_is_not_what_it_has_to_be_changes_nothing(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    """All in one run, which goes on behind a failure."""
    before = state(fresh)
    every = faults(mirror)
    calls = []
    with ExitStack() as answering:
        for name, fault in every.items():
            fields = {"url": f"{mirror.server.http}/{name}/linux/debian", **fault.fields}
            (mirror.server.folder / name).symlink_to(".")
            if fault.answers:
                pattern, answer = fault.answers
                answering.enter_context(mirror.server.answering(f"/{name}/{pattern}", answer))
            call = repository(mirror, **{"name": name, **fields})
            calls.append(call.removesuffix(")") + ", _ignore_errors=True)")
        result = deploy("\npackages.".join(calls))
    said = result.output.split("--> Starting operation: ")[1:]
    assert len(said) == len(every), result.output
    for (name, fault), text in zip(every.items(), said, strict=True):
        assert f"<Repository {name} " in text
        assert fault.says in text, text
        assert "nothing was changed" in text, text
        assert "Error" in text, text
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


def test_another_entry_with_another_key_is_found_before_apt_refuses_all(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    entry = f"deb [signed-by=/etc/apt/keyrings/old.asc] {mirror.linux}/debian trixie stable\n"
    fresh.write("/etc/apt/sources.list.d/old.list", f"# as the documentation had it\n{entry}")
    before = state(fresh)
    result = deploy(repository(mirror))
    assert result.returncode != 0
    assert "/etc/apt/sources.list.d/old.list:2 has" in result.output
    assert state(fresh) == before

    # control: it is what apt says of the two
    fresh.write(SOURCES, f"Types: deb\nURIs: {mirror.linux}/debian\nSuites: trixie\n"
                f"Components: stable\nSigned-By: {KEY}\n")  # fmt: skip
    assert "Conflicting values set for option Signed-By" in fresh.try_sh("apt-get update")[2]
    fresh.sh(f"rm {SOURCES} /etc/apt/sources.list.d/old.list")
    assert deploy(repository(mirror)).returncode == 0


def test_a_clock_that_is_wrong_is_named_with_its_time(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    """As a host whose clock is behind sees it, and one whose clock is ahead."""
    fresh.write(
        "/etc/apt/apt.conf.d/zz-clock",
        'Acquire::Check-Date "true"; Acquire::Check-Valid-Until "true";\n',
    )
    now, days = datetime.now(UTC), timedelta(days=1)
    try:
        for date, valid_for, says in (
            (now + 5 * days, None, "is signed in the future: the clock of this host says"),
            (now - 5 * days, days, "has a signature that is too old (the clock of this host"),
        ):
            mirror.apt.publish(mirror.key, date=date, valid_for=valid_for)
            before = state(fresh)
            result = deploy(repository(mirror))
            assert result.returncode != 0
            assert says in result.output, result.output
            assert state(fresh) == before
    finally:
        mirror.publish()
        fresh.sh("rm /etc/apt/apt.conf.d/zz-clock")


def test_where_there_is_no_room_nothing_is_changed(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    fresh.sh(f"mkdir -p {STAGED} && mount -t tmpfs -o size=16k,mode=755 full {STAGED}")
    before = state(fresh)
    try:
        result = deploy(repository(mirror))
    finally:
        fresh.sh(f"umount {STAGED}")
    assert result.returncode != 0
    assert "nothing was changed" in result.output
    assert state(fresh) == before
    assert deploy(repository(mirror)).returncode == 0


def test_who_changes_packages_is_waited_for(
    mirror: DockerMirror, fresh: Target, deploy: Deploy
) -> None:
    """apt's lists are another's while the repository is put in place."""
    with holding(fresh, "/var/lib/apt/lists/lock"):
        fresh.sh("setsid sh -c 'sleep 8; rm -f /root/hold' >/dev/null 2>&1 &")
        result = deploy(repository(mirror), "-y", "-vvv")
    assert result.returncode == 0, result.output
    assert "waits for process" in result.output
    assert "2.1.9" in fresh.sh("apt-cache policy containerd.io")


@pytest.mark.parametrize("suite", ["bookworm", "forky"])
def test_the_other_judges_of_signatures_are_understood(
    suite: str,
    package_server: Server,
    targets: Fleet,
    tmp_path: Path,
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
) -> None:
    """bookworm's apt has gpgv, which calls a key expired that sqv takes for what it signed."""
    target = targets.start(suite, init="sleep")
    mortal = keys.generated(seconds=15)
    mirror = DockerMirror(package_server, suite, [], mortal)
    mirror.apt.add(small_package(tmp_path, "containerd.io", "1.0-1"))
    mirror.publish()
    longer = mortal.prolonged(datetime.now(UTC) + timedelta(days=1)).public
    stranger = keys.generated()
    mortal.wait_until_expired()
    fields = {"stranger": {"key": stranger.public, "fingerprint": stranger.fingerprint},
              "docker": {"key": longer}}  # fmt: skip
    path = tmp_path / "deploy.py"
    path.write_text(
        "from kubenode.operations import packages\n"
        "from kubenode.packages.source import Repository\n"
        + "".join(
            f"packages.{repository(mirror, name=name, **each).removesuffix(')')}, "
            "_ignore_errors=True)\n"
            for name, each in fields.items()
        )
    )
    result = run_pyinfra("-y", inventory(target.host()), path)
    assert "repository stranger is not signed by the pinned key" in result.output, result.output
    if suite == "bookworm":
        assert "EXPKEYSIG" in result.output
        assert "repository docker is signed by a key that has expired" in result.output, (
            result.output
        )
    else:
        assert "1.0-1" in target.sh("apt-cache policy containerd.io")


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
