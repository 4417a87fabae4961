"""containerd of release archives on real hosts: fetched, unpacked, switched and back."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.packages import archive, archive_change, archive_transfer
from kubenode.packages.archive import ArchiveFile
from kubenode.runtimes import program_change
from kubenode.runtimes.archive_program import of_archive
from kubenode.runtimes.containerd import proof
from kubenode.wire import time_limit
from tests.conftest import RunPyinfra, WriteInventory
from tests.end_to_end.test_cni import CONFLIST, NETWORK
from tests.repositories import releases
from tests.repositories.releases import Release
from tests.repositories.server import (
    Answer,
    Server,
    other,
    redirect,
    shortened,
    status,
    truncated,
)
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.cri import Pod
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

DEPLOY = Path(__file__).with_name("archive_deploy.py")
STORE, ROOT = archive_change.STORE, archive_change.ROOT


@dataclass(frozen=True)
class Host:
    """A host that has runc of its package and no containerd, and what serves archives to it."""

    target: Target
    server: Server
    old: Release
    new: Release

    def archives(self) -> Any:
        """What the host has of archives."""
        return self.fact("archives.Archives")

    def fact(self, name: str) -> Any:
        """What a fact says, by its module and class."""
        folder = self.server.folder.parent
        hosts = pyinfra_cli.write_inventory(folder / "fact.py", [self.target.host()])
        answer = pyinfra_cli.run("--json", hosts, "fact", f"kubenode.facts.{name}", cwd=folder)
        assert answer.returncode == 0, answer.output
        [by_host] = answer.json().values()
        [value] = by_host.values()
        return value


@pytest.fixture(scope="module")
def host(docker_client: DockerClient, login_key: SshKey, package_server: Server) -> Iterator[Host]:
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh(
            "apt-get -qq update; apt-get -qq install -y --no-install-recommends "
            "runc curl wget busybox >/dev/null"
        )
        folder = package_server.folder
        (folder / "runc").write_bytes(releases.RUNC.read_bytes())
        old, new = (releases.of_debian(suite, folder) for suite in ("trixie", "forky"))
        yield Host(target, package_server, old, new)


# ---- How files come to a host


CONTENT = b"an archive" * 20_000
FETCHERS = {
    "curl": "",
    "wget": "mv /usr/bin/curl /usr/bin/curl-away",
    "busybox": "mv /usr/bin/curl /usr/bin/curl-away; mv /usr/bin/wget /usr/bin/wget-away; "
    "ln -s busybox /usr/bin/wget",
}
BACK_AGAIN = (
    "for program in curl wget; do [ ! -e /usr/bin/$program-away ] || "
    "mv -f /usr/bin/$program-away /usr/bin/$program; done"
)


@pytest.fixture(params=FETCHERS)
def fetcher(request: pytest.FixtureRequest, host: Host) -> Iterator[str]:
    """What the host fetches by."""
    host.target.sh(FETCHERS[request.param])
    (host.server.folder / "a.tgz").write_bytes(CONTENT)
    try:
        yield request.param
    finally:
        host.target.sh(BACK_AGAIN)


def fetch(host: Host, url: str, digest: str | None = None) -> tuple[int, str]:
    """Exit code and words of what a host does to fetch a file."""
    digest = digest or releases.sum_of(host.server.folder / "a.tgz")
    [command] = archive_transfer.brought([ArchiveFile(url, digest)], "host", True)
    assert isinstance(command, StringCommand)
    code, out, err = host.target.try_sh(command.get_raw_value())
    assert out == ""
    return code, err


FAULTS: dict[str, tuple[Answer | None, str, str]] = {
    "404": (status(404), "http", "404"),
    "503": (status(503), "http", "503"),
    "cut off": (truncated(1000), "http", "cannot fetch|is not what was asked for"),
    "shortened": (shortened(1000), "http", "is not what was asked for: its sha256"),
    "other": (other(b"<html>log in first</html>"), "http", "is not what was asked for"),
    "for ever": (redirect(""), "http", "cannot fetch"),
}


def test_a_server_at_fault_is_a_clear_error_and_changes_nothing(host: Host, fetcher: str) -> None:
    before = state(host.target)
    for name, (fault, scheme, words) in FAULTS.items():
        assert fault is not None
        with host.server.answering("*", fault):
            code, said = fetch(host, f"{getattr(host.server, scheme)}/a.tgz")
        assert code == 1, name
        assert any(word in said for word in words.split("|")), f"{name}: {said}"
        assert "nothing was changed" in said
        assert state(host.target) == before, name
    code, said = fetch(host, f"{host.server.http}/a.tgz", "0" * 64)
    assert (code, "not " + "0" * 64 in said) == (1, True)
    # and then it converges
    assert fetch(host, f"{host.server.http}/a.tgz")[0] == 0
    waits = releases.sum_of(host.server.folder / "a.tgz")
    assert host.target.sh(f"sha256sum {STORE}/* | cut -d' ' -f1").split() == [waits]
    assert host.target.sh(f"stat -c %a {STORE} {STORE}/*").split() == ["700", "600"]
    asked = len(host.server.requests)
    assert fetch(host, f"{host.server.http}/a.tgz")[0] == 0
    assert len(host.server.requests) == asked
    host.target.sh(f"rm -r {STORE}")


def test_tls_is_the_hosts_to_trust_and_is_not_left(host: Host, fetcher: str) -> None:
    if fetcher == "busybox":
        # Debian's has no TLS
        code, said = fetch(host, f"{host.server.https}/a.tgz")
        assert (code, "let the control machine fetch it" in said) == (1, True), said
        return
    before = state(host.target)
    code, said = fetch(host, f"{host.server.https}/a.tgz")
    assert (code, "certificate" in said, "clock says 20" in said) == (1, True, True), said
    host.target.write("/usr/local/share/ca-certificates/t.crt", host.server.authority.decode())
    host.target.sh("update-ca-certificates >/dev/null 2>&1")
    try:
        with host.server.answering("/old/*", redirect(f"{host.server.http}/moved")):
            code, said = fetch(host, f"{host.server.https}/old/a.tgz")
        assert (code, "without TLS" in said) == (1, True), said
        assert state(host.target) == before
        # the other way round, and within TLS, it is followed
        moved = host.server.folder / "moved" / "old"
        moved.mkdir(parents=True, exist_ok=True)
        (moved / "a.tgz").write_bytes(CONTENT)
        with host.server.answering("/old/*", redirect(f"{host.server.https}/moved")):
            assert fetch(host, f"{host.server.https}/old/a.tgz")[0] == 0
    finally:
        host.target.sh(
            "rm /usr/local/share/ca-certificates/t.crt; update-ca-certificates >/dev/null 2>&1; "
            f"rm -rf {STORE}"
        )


def test_a_server_that_cannot_be_reached_and_a_host_without_a_program(
    host: Host, fetcher: str
) -> None:
    before = state(host.target)
    host.target.sh(f"ip route add unreachable {host.server.address}/32")
    try:
        code, said = fetch(host, f"{host.server.http}/a.tgz")
    finally:
        host.target.sh(f"ip route del unreachable {host.server.address}/32")
    assert (code, 'fetched_by="control"' in said) == (1, True), said
    code, said = fetch(host, "http://nobody.invalid/a.tgz")
    assert (code, "cannot fetch http://nobody.invalid/a.tgz" in said) == (1, True), said
    assert state(host.target) == before
    if fetcher != "busybox":
        return
    host.target.sh("rm /usr/bin/wget")
    code, said = fetch(host, f"{host.server.http}/a.tgz")
    assert code == 1
    assert 'neither curl nor wget: let the control machine fetch (fetched_by="control"' in said


def test_a_full_disk_changes_nothing(host: Host, fetcher: str) -> None:
    host.target.sh(f"mkdir -p {STORE}; mount -t tmpfs -o size=64k none {STORE}")
    try:
        code, said = fetch(host, f"{host.server.http}/a.tgz")
        assert (code, "KiB free" in said) == (1, True), said
        assert host.target.sh(f"ls -A {STORE}") == ""
    finally:
        host.target.sh(f"umount {STORE}; rmdir {STORE}")


def test_what_is_longer_than_a_release_is_not_taken(
    host: Host, fetcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_change, "MOST_BLOCKS", 64)
    code, said = fetch(host, f"{host.server.http}/a.tgz")
    assert (code, "cannot fetch" in said) == (1, True), said
    assert host.target.sh(f"ls -A {STORE}") == ""
    host.target.sh(f"rmdir {STORE}")


def state(target: Target) -> str:
    """What may not change: where archives wait, are unpacked and are linked."""
    return target.sh(
        f"find {ROOT} /usr/local/bin /usr/local/sbin /usr/local/lib/systemd "
        f"-printf '%p %l %s %m %i\\n' 2>/dev/null; find {STORE} -type f 2>/dev/null; true"
    )


# ---- The whole way, by pyinfra


def deploy(
    host: Host,
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
    stated: Any,
    fetch: str = "host",
    *options: str,
    at: tuple[str, dict[str, Any]] | None = None,
    **more: Any,
) -> Result:
    name, data = at or host.target.host()
    hosts = inventory((name, {**data, "archive": stated, "fetch": fetch, **more}))
    return run_pyinfra(*(options or ("-y",)), hosts, DEPLOY)


def shim_of(target: Target, pod: Pod) -> tuple[str, str]:
    """Where a pod's pause process and its shim are, and since when."""
    pid = target.sh(f"cat /run/containerd/io.containerd.runtime.v2.task/k8s.io/{pod.id}/init.pid")
    started = target.sh(f"cut -d' ' -f4,22 /proc/{pid}/stat")
    return pid, started


def test_from_nothing_to_one_release_and_to_the_next_and_back(
    host: Host, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target, server = host.target, host.server
    old = releases.stated(host.old, server.http)

    dry = deploy(host, run_pyinfra, inventory, old, "host", "--dry")
    assert dry.returncode == 0, dry.output
    assert f"containerd {host.old.version} (archive {host.old.version}-" in dry.output
    asked = len(server.requests)
    result = deploy(host, run_pyinfra, inventory, old)
    assert result.returncode == 0, result.output
    assert len(server.requests) == asked + 2
    again = deploy(host, run_pyinfra, inventory, old)
    assert "No changes" in again.output, again.output
    assert "Success]" not in again.output
    target.sh("systemctl enable --now containerd")
    assert host.old.version in target.sh("containerd --version; ctr --version")
    assert target.cri().version().startswith(host.old.version)
    target.import_pause_image()

    now = host.archives()
    assert (now["architecture"], now["libc"], now["fetchers"]) == (
        "amd64",
        "glibc",
        ["curl", "wget"],
    )
    assert [(each["version"], each["whole"]) for each in now["builds"]] == [
        (host.old.version, True)
    ]
    assert now["current"] == now["builds"][0]["name"]
    assert now["unit"] == "kubenode"
    assert [found["path"] for found in now["found"]["containerd"]] == ["/usr/local/bin/containerd"]
    assert [found["path"] for found in now["found"]["runc"]] == [
        "/usr/local/sbin/runc",
        "/usr/sbin/runc",
    ]
    assert now["stored"] == []

    pod = target.cri().run_pod()
    before = shim_of(target, pod)
    # upstream's own too, where a variable names them
    for release in (host.new, *releases.of_upstream(server.folder)):
        result = deploy(host, run_pyinfra, inventory, releases.stated(release, server.http))
        assert result.returncode == 0, result.output
        # Debian's says 2.1.9+ds1, upstream's v2.3.4
        assert target.cri().version().removeprefix("v").startswith(release.version)
        assert shim_of(target, pod) == before
        target.import_pause_image()
        with target.cri().pod():
            pass

    # by the control machine, and a user who becomes root
    over_ssh = target.host_over_ssh("operator")
    result = deploy(
        host,
        run_pyinfra,
        inventory,
        old,
        "control",
        at=(over_ssh[0], {**over_ssh[1], "_sudo": True}),
    )
    assert result.returncode == 0, result.output
    assert target.cri().version().startswith(host.old.version)
    assert shim_of(target, pod) == before
    target.cri().remove_pod(pod.id)
    # nothing waits, and nothing is half
    assert target.sh(f"ls -A {STORE}; ls -A {ROOT} | grep '^[.]' || true") == ""


BROKEN = """#!/bin/sh
case $1 in
  --version) echo containerd github.com/containerd/containerd/v2 v9.9.9 0123;;
  config) exec /usr/local/bin/containerd "$@";;
  *) echo it has no legs >&2; exit 1;;
esac
"""


def broken(server: Server) -> Release:
    """A release whose programs run, and whose daemon does not."""
    content = dict.fromkeys(releases.PROGRAMS, BROKEN.encode())
    return releases.packed("9.9.9", content, server.folder)


def test_a_release_that_does_not_come_up_gives_way_to_the_old_one(
    host: Host, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target, server = host.target, host.server
    before = in_use(host, run_pyinfra, inventory)
    pod = target.cri().run_pod()
    process = shim_of(target, pod)
    result = deploy(host, run_pyinfra, inventory, releases.stated(broken(server), server.http))
    assert result.returncode == 1
    assert "did not come up; the old program is back, and serves again" in result.output
    assert "it has no legs" in result.output
    assert target.cri().version().startswith(host.old.version)
    assert links(target) == before
    assert shim_of(target, pod) == process
    target.cri().remove_pod(pod.id)


def test_a_change_that_is_killed_is_ended_by_the_next_run(
    host: Host, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target, server = host.target, host.server
    before = in_use(host, run_pyinfra, inventory)
    release = releases.stated(host.new, server.http)
    build = archive.build(archive.containerd_archive(release), "amd64")
    target.sh(f"rm -rf {ROOT}/{build.name}")
    for command in archive_transfer.brought(build.files, "host", True):
        assert isinstance(command, StringCommand)
        target.sh(command.get_raw_value())
    current = host.archives()["current"]
    # while it is unpacked, before the switch, behind it, and when all is proven
    for steps in (1, 1, 2, 3):
        assert killed_at(steps, target, of_archive(build, current, host.old.version)) == 137
        assert target.cri().conditions()["RuntimeReady"]
        target.sh(program_change.settle().get_raw_value())
        now = host.archives()
        [used] = [each for each in now["builds"] if each["name"] == now["current"]]
        assert used["whole"]
        # what runs is what is in use
        assert target.cri().version().startswith(used["version"])
        assert used["version"] == (host.new if steps == 3 else host.old).version
        if steps != 3:
            assert links(target) == before
    target.import_pause_image()
    with target.cri().pod():
        pass
    assert "No changes" in deploy(host, run_pyinfra, inventory, release).output


def killed_at(steps: int, target: Target, program: program_change.Program) -> int:
    """Exit code of a change that ends when so many of its directories were to be put on disk."""
    ends = f"kubenode_steps=$((kubenode_steps + 1)); [ $kubenode_steps -lt {steps} ] || kill -9 $$"
    # what undoes the change has these functions too, and goes on to its end
    counts = (
        f'kubenode_steps=0\nif [ "$0" = /root/change.sh ]; then sync_directory() {{ {ends}; }}; fi'
    )
    command = program_change.change(
        replace(program, functions=f"{program.functions}\n{counts}"),
        {},
        "/etc/containerd/config.toml",
        proof.daemon("containerd", "/run/containerd/containerd.sock"),
        program_change.Service(is_enabled=True, is_active=True, serves=True),
    )
    lines: Any = command.connector_arguments["_stdin"]
    target.write("/root/change.sh", command.get_raw_value())
    target.write("/root/stdin", "".join(f"{line}\n" for line in lines))
    return target.try_sh("sh /root/change.sh </root/stdin")[0]


def in_use(host: Host, run_pyinfra: RunPyinfra, inventory: WriteInventory) -> str:
    """Let the host have the old release, and serve; its links."""
    result = deploy(
        host, run_pyinfra, inventory, releases.stated(host.old, str(host.server.folder))
    )
    assert result.returncode == 0, result.output
    host.target.sh("systemctl enable --now containerd")
    assert host.target.cri().version().startswith(host.old.version)
    host.target.import_pause_image()
    return links(host.target)


def links(target: Target) -> str:
    """What is run by which name."""
    return target.sh(
        f"for path in /usr/local/bin/* /usr/local/sbin/* {ROOT}/current; do "
        'printf "%s %s\\n" "$path" "$(readlink "$path")"; done; '
        "cat /usr/local/lib/systemd/system/containerd.service"
    )


def test_leaving_archives_leads_back_to_the_package(
    host: Host, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = host.target
    in_use(host, run_pyinfra, inventory)
    pod = target.cri().run_pod()
    process = shim_of(target, pod)
    target.sh("apt-get -qq install -y --no-install-recommends containerd >/dev/null")
    # the archive's is before the package's still
    assert target.sh("command -v containerd") == "/usr/local/bin/containerd\n"
    result = deploy(host, run_pyinfra, inventory, None)
    assert result.returncode == 0, result.output
    assert target.sh("command -v containerd; command -v ctr").split() == [
        "/usr/bin/containerd",
        "/usr/bin/ctr",
    ]
    pid = target.sh("systemctl show -P MainPID containerd").strip()
    assert target.sh(f"readlink /proc/{pid}/exe") == "/usr/bin/containerd\n"
    assert shim_of(target, pod) == process
    target.cri().remove_pod(pod.id)
    assert "No changes" in deploy(host, run_pyinfra, inventory, None).output


def test_a_build_for_a_newer_libc_is_refused(
    docker_client: DockerClient, login_key: SshKey, tmp_path: Path
) -> None:
    """trixie's and forky's runc want glibc 2.38, bookworm has 2.36."""
    content = {name: BROKEN.encode() for name in releases.PROGRAMS}
    plain = releases.packed("9.9.9", content, tmp_path)
    newer = releases.packed(
        "9.9.8",
        # no release wants more than bookworm has: one that would
        {
            name: program.replace(b"GLIBC_2.34", b"GLIBC_2.99")
            for name, program in releases.programs_of_debian("forky").items()
        },
        tmp_path,
    )
    runc = tmp_path / "runc"
    runc.write_bytes(releases.debians_runc("forky"))
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("bookworm", init="sleep")
        for release, words in ((plain, "GLIBC_2.38' not found"), (newer, "GLIBC_2.99' not found")):
            stated = archive.containerd_archive(releases.stated(release, str(tmp_path), runc))
            build = archive.build(stated, "amd64")
            target.sh(f"mkdir -m 700 -p {STORE}")
            for file in build.files:
                target.put(Path(file.address), f"{STORE}/{file.sha256}")
            functions = [whole_file.FUNCTIONS, time_limit.FUNCTIONS]
            script = "\n".join([*functions, archive_change.change(build, None), "archive_prepare"])
            code, _, said = target.try_sh(host_lock.under_lock(script).get_raw_value())
            assert (code, words in said) == (1, True), said
            assert "does not run here" in said
            assert "nothing was changed" in said
            assert target.sh(f"find {ROOT} -mindepth 1") == ""


# ---- The CNI plugins


def plugins_of(release: Release, url: str) -> dict[str, Any]:
    return {
        "version": release.version,
        "url": f"{url}/{release.path.name}",
        "sha256": {"amd64": release.sha256},
    }


def sums(release: Release) -> dict[str, str]:
    """The sum of each plugin in an archive."""
    with tarfile.open(release.path) as tar:
        members = {member.name.removeprefix("./"): member for member in tar}
        return {
            name: hashlib.sha256(opened.read()).hexdigest()
            for name, member in members.items()
            if name not in ("LICENSE", "README.md") and (opened := tar.extractfile(member))
        }


def in_place(target: Target, directory: str, release: Release) -> dict[str, str]:
    """The same of the plugins that a host has."""
    said = target.sh(f"cd {directory} && sha256sum {' '.join(sums(release))}")
    return {name: digest for digest, name in map(str.split, said.splitlines())}


def test_plugins_go_where_containerd_looks_and_others_stay(
    host: Host, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target, server = host.target, host.server

    def run(plugins: object, fetch: str = "host", *options: str, **more: Any) -> Result:
        return deploy(host, run_pyinfra, inventory, None, fetch, *options, plugins=plugins, **more)

    first = releases.plugins_of_debian("trixie", server.folder)
    second = releases.plugins_of_debian("forky", server.folder)
    target.sh(
        "mkdir -p /etc/containerd; containerd config default >/etc/containerd/config.toml; "
        "systemctl restart containerd"
    )
    [directory] = host.fact("containerd.Containerd")["cni"]["bin_dirs"]
    target.sh(f"mkdir -p {directory}")
    target.write(f"{directory}/calico", "calico\n")
    stated = plugins_of(first, server.http)
    dry = run(stated, "host", "--dry")
    assert f"{directory}: CNI plugins {first.version}" in dry.output
    result = run(stated)
    assert result.returncode == 0, result.output
    assert sums(first) == in_place(target, directory, first)
    assert "No changes" in run(stated).output

    # one that somebody has cut off, and a link, are seen
    target.sh(f": >{directory}/loopback")
    dry = run(stated, "host", "--dry")
    assert "as they were unpacked again" in dry.output

    result = run(plugins_of(second, str(server.folder)), "control")
    assert result.returncode == 0, result.output
    assert f"CNI plugins {first.version} -> {second.version}" in result.output
    assert sums(second) == in_place(target, directory, second)
    assert target.read(f"{directory}/calico") == "calico\n"
    assert target.sh(f"ls -A {directory} | grep '^[.]' || true; ls -A {STORE}") == ""

    before = target.sh(f"cd {directory} && sha256sum *")
    odd = server.folder / "odd.tgz"
    for files, words in (
        ({"./bridge": b"\x7fELF of another architecture"}, "does not run on this host"),
        ({"./bin/bridge": b"x"}, "no archive of CNI plugins"),
        ({"./../bridge": b"x"}, "no archive of CNI plugins"),
    ):
        releases.pack(odd, files)
        result = run(plugins_of(Release("9.9.9", odd), server.http))
        assert (result.returncode, words in result.output) == (1, True), result.output
        assert target.sh(f"cd {directory} && sha256sum *") == before

    target.write(CONFLIST, json.dumps(NETWORK))
    with target.cri().pod(network="POD"):
        assert "veth" in target.sh("ip -o link show master test0")
    target.sh(f"rm {CONFLIST}")

    result = run("distribution")
    assert result.returncode == 0, result.output
    assert "bridge" in target.sh("ls /usr/lib/cni")
    assert "No changes" in run("distribution").output
    # the package's are dpkg's
    result = run(stated, directory="/usr/lib/cni")
    assert (result.returncode, "has the plugins of the package" in result.output) == (1, True)
