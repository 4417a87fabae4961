"""CRI-O of a package and of upstream's bundle take each other's place, and nothing else is lost.

The program is a stand-in, or CRI-O itself: see :mod:`tests.end_to_end.test_crio_on_targets`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from kubenode.packages import archive_change
from kubenode.packages.archive import ArchiveFile
from kubenode.packages.package_change import PackageChange
from kubenode.runtimes import program_change
from kubenode.runtimes.crio import archive, own_file, proof
from kubenode.runtimes.program_change import Service
from tests.end_to_end import crio_hosts
from tests.end_to_end.crio_hosts import PAUSE_IMAGE, SOCKET, Minors
from tests.end_to_end.test_crio_archive import DOES_NOT_START
from tests.end_to_end.test_docker import words
from tests.end_to_end.test_prepare import DEPLOY, changes, remote_commands
from tests.repositories import cri_o
from tests.repositories.releases import Release, sum_of
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.cri import Pod
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

OLD_MINOR, NEW_MINOR = (version.rpartition(".")[0] for version in (cri_o.OLD, cri_o.NEW))
OF_PACKAGE = "/etc/crio/crio.conf.d/10-crio.conf"
CHANGE = program_change.DIRECTORY

FOREIGN = {
    "/etc/crio/crio.conf.d/50-ours.conf": "[crio.runtime]\npids_limit = 4096 # ours\n",
    "/etc/crio/policy.json": '{"default":[{"type":"insecureAcceptAnything"}], "transports":{}}\n',
    "/etc/containers/policy.json": '{"default": [{"type": "reject"}]}\n',
    # conffiles of the package
    "/etc/containers/registries.conf.d/crio.conf": "unqualified-search-registries = []\n",
    "/etc/cni/net.d/10-crio-bridge.conflist.disabled": "{}\n",
    "/etc/default/crio": "# ours\n",
    "/etc/cni/net.d/05-ours.conflist": '{"cniVersion": "1.0.0", "name": "ours", "plugins": []}\n',
}
"""What an administrator has written, also over files of the package."""


@dataclass
class Node:
    """A host, where its CRI-O comes from, and how it is deployed."""

    target: Target
    minors: Minors
    folder: Path

    def package(self, version: str, **more: str) -> dict[str, str]:
        """Settings with which it has a package."""
        return self.minors.settings(version.rpartition(".")[0], **more)

    def bundle(self, version: str, program: bytes | None = None, **more: str) -> dict[str, str]:
        """Settings with which it has a bundle."""
        release = self.release(version, program)
        source = {
            "version": version,
            "url": str(release.path),
            "sha256": {"amd64": sum_of(release.path)},
        }
        return {"kubenode_runtime": "crio", "kubenode_crio_source": json.dumps(source), **more}

    def release(self, version: str, program: bytes | None = None) -> Release:
        return cri_o.bundle(version, self.folder, program)

    def deploy(self, settings: Mapping[str, str], *arguments: str) -> Result:
        hosts = pyinfra_cli.write_inventory(self.folder / "inventory.py", [self.target.host()])
        return pyinfra_cli.run(
            *(arguments or ("-y",)), hosts, DEPLOY, cwd=self.folder, data=dict(settings)
        )

    def becomes(self, settings: Mapping[str, str]) -> str:
        """Deployed, and once more without a change; what was said first."""
        result = self.deploy(settings)
        assert result.returncode == 0, result.output
        again = self.deploy(settings, "-y", "-vv").output
        assert all(row == (0, 0, 1) for row in changes(again).values()), again
        assert remote_commands(again, self.target.host()) == 1
        return words(result.output)

    def refuses(self, settings: Mapping[str, str], *says: str) -> None:
        """It fails, and all is as it was."""
        before = state(self.target)
        result = self.deploy(settings)
        assert result.returncode == 1, result.output
        for each in says:
            assert each in words(result.output), result.output
        assert state(self.target) == before

    def slice(self) -> str:
        """Run a pod, and remove it; where it was."""
        with self.target.cri(SOCKET) as cri, cri.pod("/kubepods.slice") as pod:
            cri.run_container(pod, PAUSE_IMAGE, 64 << 20)
            return pod.cgroup.replace(pod.id, "ID").removesuffix("/container")


def files(target: Target, *more: str) -> str:
    """What is in /etc of CRI-O's, of containers' and of CNI's, but what tells where it is from."""
    no = (OF_PACKAGE, archive.DROP_IN, *(more or ("*.dpkg-dist",)))
    mine = " ".join(f"! -path '{path}'" for path in no)
    return target.sh(
        f"find /etc/crio /etc/containers /etc/cni /etc/crictl.yaml /etc/default/crio {mine} "
        "! -type d -exec stat -c '%n %A %U' {} + -exec sha256sum {} + | sort"
    )


def whence(target: Target) -> tuple[str, str]:
    """What CRI-O is from, and its version: one program, one unit, and that is what runs."""
    programs = target.sh("which -a crio | xargs -n 1 readlink -f | sort -u").split()
    fragment = target.sh("systemctl show -P FragmentPath crio").strip()
    started = target.sh("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID crio)/cmdline").split()
    package = target.try_sh("dpkg-query -W -f '${db:Status-Abbrev}${Version}' cri-o")[1]
    with target.cri(SOCKET) as cri:
        version = cri.version()
        assert cri.runtime_config_driver() == "systemd"
    is_there = target.sh(
        f"for each in {OF_PACKAGE} {archive.DROP_IN} {archive.UNIT_FILE} {archive.ROOT}/current "
        "/usr/lib/systemd/system/crio.service; do [ ! -e $each ] || echo $each; done"
    ).split()
    if package[1:2] == "i":
        assert programs == ["/usr/bin/crio"], programs
        assert fragment == "/usr/lib/systemd/system/crio.service"
        assert "/usr/bin/crio" in started
        assert is_there == [OF_PACKAGE, fragment]
        assert package[3:] == f"{version}-1.1"
        return "package", version
    [program] = programs
    assert program.startswith(f"{archive.ROOT}/{version}-"), programs
    assert fragment == archive.UNIT_FILE
    assert f"{archive.PROGRAMS_IN}/crio" in started
    assert is_there == [archive.DROP_IN, archive.UNIT_FILE, f"{archive.ROOT}/current"]
    return "bundle", version


def state(target: Target) -> Any:
    """All that a change that is undone brings back."""
    own = target.sh(f"cat {OF_PACKAGE} {archive.DROP_IN} 2>/dev/null || :")
    unit = target.sh("systemctl is-enabled crio; systemctl is-active crio")
    held = target.sh("apt-mark showhold")
    left = target.sh(f"ls -d {CHANGE} 2>/dev/null || :")
    return whence(target), files(target, "/none"), own, unit, held, left


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient,
    login_key: SshKey,
    package_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Node]:
    """A node with CRI-O of the older package, and what an administrator has written since."""
    with Fleet(docker_client, login_key) as fleet, crio_hosts.images(package_server):
        target = fleet.start("trixie")
        crio_hosts.ready(target)
        minors = Minors(package_server, "trixie", cri_o.OLD, cri_o.NEW)
        node = Node(target, minors, tmp_path_factory.mktemp("crio"))
        result = node.deploy(node.package(cri_o.OLD))
        assert result.returncode == 0, result.output
        crio_hosts.images_from(target, package_server)
        for path, text in FOREIGN.items():
            target.write(path, text)
        path, content = cri_o.messages()
        (node.folder / "cri.binpb").write_bytes(content)
        target.sh(f"mkdir -p {Path(path).parent}; systemctl restart crio")
        target.put(node.folder / "cri.binpb", path)
        yield node


def test_each_takes_the_others_place(node: Node) -> None:
    target = node.target
    kept = files(target)
    assert whence(target) == ("package", cri_o.OLD)
    new = node.bundle(cri_o.NEW)

    with target.cri(SOCKET) as cri:
        pod = cri.run_pod("/kubepods.slice")
    node.refuses(new, "removes and makes them again when its minor release changes")
    with target.cri(SOCKET) as cri:
        cri.remove_pod(pod.id)
    node.refuses({**new, "kubenode_crio_version": '"1.34"'}, "the archive is of CRI-O")

    # what is said before, and nothing is done
    before = state(target)
    said = words(node.deploy(new, "--dry", "--diff").output)
    assert f"CRI-O {cri_o.OLD} -> {cri_o.NEW} (archive {cri_o.NEW}-" in said, said
    assert f"cri-o {cri_o.OLD}-1.1 goes" in said, said
    assert "all else in /etc stays as it is" in said, said
    assert state(target) == before

    # what would be lost, or would not be there afterwards
    own = target.read(OF_PACKAGE)
    target.write(OF_PACKAGE, f"{own}# ours\n")
    node.refuses(new, f"{OF_PACKAGE} is the package's", "somebody has edited it")
    target.write(OF_PACKAGE, own)
    needing = "/etc/crio/crio.conf.d/60-needs.conf"
    table = "[crio.runtime.runtimes.other]\n# a comment\nruntime_path = "
    target.write(needing, f'{table}"/usr/libexec/crio/crun"\n')
    node.refuses(new, f"{needing}:3 names a program that goes")
    target.sh(f"rm {needing}")

    node.refuses(node.bundle("1.36.4", DOES_NOT_START), "this build does not start")
    assert whence(target) == ("package", cri_o.OLD)

    said = node.becomes(new)
    assert f"cri-o {cri_o.OLD}-1.1 goes" in said
    assert whence(target) == ("bundle", cri_o.NEW)
    assert files(target) == kept
    assert node.slice() == "/kubepods.slice/crio-ID.scope"
    assert target.sh("systemctl is-enabled crio; apt-mark showhold") == "enabled\n"

    # a package that does not start, and a file that would be overwritten
    late = "/etc/systemd/system/crio.service.d/late.conf"
    target.write(late, "[Service]\nExecStartPre=/bin/sh -c '[ ! -e /usr/bin/crio ]'\n")
    target.sh("systemctl daemon-reload")
    node.refuses(node.package(cri_o.NEW), "the old program is back, and serves again")
    target.sh(f"rm {late}; systemctl daemon-reload")
    target.write(OF_PACKAGE, "# ours\n")
    result = node.deploy(node.package(cri_o.NEW))
    assert result.returncode == 1, result.output
    assert f"{OF_PACKAGE} would be overwritten" in words(result.output), result.output
    target.sh(f"rm {OF_PACKAGE}")
    assert whence(target) == ("bundle", cri_o.NEW)

    said = node.becomes(node.package(cri_o.NEW))
    assert f"CRI-O {cri_o.NEW} (archive) goes" in said
    assert whence(target) == ("package", cri_o.NEW)
    assert files(target) == kept
    assert target.sh("apt-mark showhold") == "cri-o\n"
    assert node.slice() == "/kubepods.slice/crio-ID.scope"
    target.reboot()
    assert whence(target) == ("package", cri_o.NEW)


@pytest.mark.skipif(not loops.is_soak(), reason="make soak lets pods live")
def test_pods_survive_where_the_minor_release_is_the_same(node: Node) -> None:
    target = node.target
    node.becomes(node.package(cri_o.NEW))
    with target.cri(SOCKET) as cri:
        pod = cri.run_pod("/kubepods.slice")
        cri.run_container(pod, PAUSE_IMAGE, 64 << 20)
    processes = processes_of(target, pod)
    assert processes
    waits = node.deploy(node.bundle(cri_o.NEW, kubenode_restart="if-idle"))
    assert waits.returncode == 0, waits.output
    assert "waits: 2 containers run" in words(waits.output), waits.output
    assert whence(target) == ("package", cri_o.NEW)
    for settings, name in (
        (node.bundle(cri_o.NEW), "bundle"),
        (node.package(cri_o.NEW), "package"),
    ):
        node.becomes(settings)
        assert whence(target) == (name, cri_o.NEW)
        assert processes_of(target, pod) == processes
        with target.cri(SOCKET) as cri:
            assert cri.is_ready(pod)
    with target.cri(SOCKET) as cri:
        cri.remove_pod(pod.id)
    node.becomes(node.bundle(cri_o.NEW))
    target.reboot()
    assert whence(target) == ("bundle", cri_o.NEW)


def processes_of(target: Target, pod: Pod) -> list[str]:
    return target.sh(
        f"find /sys/fs/cgroup -path '*{pod.id}*' -name cgroup.procs -exec cat {{}} + | sort"
    ).split()


# before the new one's links, before the package goes or comes, behind that, while the new daemon
# starts, and when it serves
KILLED_IN = ("archive_use", "pm_switch", "archive_restore", "wait_for_cri", "program_hold")


@pytest.mark.parametrize("killed_in", loops.choice(["archive_restore"], KILLED_IN))
def test_a_shell_that_is_killed_leaves_one_that_serves(node: Node, killed_in: str) -> None:
    target = node.target
    node.becomes(node.package(cri_o.NEW))
    kept = files(target)
    for name in ("bundle", "package"):
        before = state(target)
        assert killed(node, name == "bundle", killed_in) == 137
        settled(target)
        now = whence(target)
        assert now[1] == cri_o.NEW
        assert files(target) == kept
        if killed_in in ("archive_use", "pm_switch", "archive_restore"):
            assert state(target) == before
        settings = node.bundle(cri_o.NEW) if name == "bundle" else node.package(cri_o.NEW)
        node.becomes(settings)
        assert whence(target) == (name, cri_o.NEW)
        assert files(target) == kept


def killed(node: Node, brings_bundle: bool, function: str) -> int:
    """Exit code of a change whose shell ends when it calls a function; others go on to its end."""
    target = node.target
    release = node.release(cri_o.NEW)
    bundle = archive.Bundle(cri_o.NEW, ArchiveFile(str(release.path), sum_of(release.path)))
    version = f"{cri_o.NEW}-1.1"
    if brings_bundle:
        target.sh(f"mkdir -m 700 -p {archive_change.STORE}")
        target.put(release.path, f"{archive_change.STORE}/{bundle.file.sha256}")
        going = PackageChange(removes=("cri-o",), now={"cri-o": version})
        program = archive.program(bundle, None, cri_o.NEW, going)
    else:
        coming = PackageChange({"cri-o": version}, related=("cri-o",), holds=("cri-o",))
        program = archive.program(None, bundle.name, cri_o.NEW, coming)
    # the last definition counts, and what undoes the change has it too
    kills = f'if [ "$0" = /root/change.sh ]; then {function}() {{ kill -9 $$; }}; fi'
    command = program_change.change(
        program,
        {},
        own_file.FILE,
        proof.daemon("/usr/bin/crio", SOCKET),
        Service(is_enabled=True, is_active=True, serves=True),
    )
    script = command.get_raw_value()
    lines: Any = command.connector_arguments["_stdin"]
    begins = "needs base64 grep head readlink rm systemctl tail"
    assert script.count(begins) == 1
    target.write("/root/change.sh", script.replace(begins, f"{kills}\n{begins}"))
    target.write("/root/stdin", "".join(f"{line}\n" for line in lines))
    return target.try_sh("sh /root/change.sh </root/stdin")[0]


def settled(target: Target) -> None:
    """Until the host has ended what was interrupted."""
    ends = time.monotonic() + 120
    while target.try_sh(f"[ -e {CHANGE} ]")[0] == 0:
        assert time.monotonic() < ends, target.sh(f"ls -l {CHANGE}; journalctl -n 50")
        time.sleep(0.5)


@pytest.mark.skipif(not loops.is_soak(), reason="make soak puts a package beside")
def test_a_package_that_somebody_puts_beside_a_bundle_goes(node: Node) -> None:
    target = node.target
    node.becomes(node.package(cri_o.NEW))
    node.becomes(node.bundle(cri_o.NEW))
    for settings, name in (
        (node.bundle(cri_o.NEW), "bundle"),
        (node.package(cri_o.NEW), "package"),
    ):
        target.sh(
            "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "
            "-o Dpkg::Options::=--force-confold cri-o >/dev/null; systemctl restart crio"
        )
        # the bundle's program and unit win
        assert target.sh("command -v crio") == f"{archive.PROGRAMS_IN}/crio\n"
        node.becomes(settings)
        assert whence(target) == (name, cri_o.NEW)


def test_a_program_of_nobody_stays_and_is_refused(node: Node) -> None:
    target = node.target
    node.becomes(node.bundle(cri_o.NEW))
    target.sh(
        f"cp -r $(readlink -f {archive.ROOT}/current) /opt/crio; rm -r {archive.ROOT}; "
        f"ln -sf /opt/crio/crio /opt/crio/pinns {archive.PROGRAMS_IN}; "
        f"sed -i s,{archive.ROOT}/current,/opt/crio, {archive.DROP_IN}; systemctl restart crio"
    )
    for settings in (node.package(cri_o.OLD), node.bundle(cri_o.NEW)):
        result = node.deploy(settings)
        assert result.returncode == 1, result.output
        assert "is from no package and from no archive of kubenode's" in words(result.output)
        assert "remove it first" in words(result.output)
    with target.cri(SOCKET) as cri:
        assert cri.version() == cri_o.NEW
