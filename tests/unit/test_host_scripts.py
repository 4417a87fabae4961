"""The sh files: each shell of a host parses and runs all of them, and no sh text is elsewhere."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shutil
import socket as sockets
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from kubenode.facts import (
    archives,
    candidates,
    certificates,
    cgroup,
    cni_plugins,
    containerd,
    containerd_left,
    containerd_service,
    crio,
    crio_archive,
    dnf_hold,
    docker,
    handler_needs,
    image_based,
    installation,
    kernel,
    kernel_config,
    kubeadm,
    kubelet,
    kubelet_files,
    kubernetes,
    kubernetes_keys,
    left_alone,
    logind,
    machine,
    network,
    package_versions,
    platform,
    pods,
    prerequisites,
    repositories,
    runtimes,
    swap,
)
from kubenode.facts import runtime_switch as runtime_switch_fact
from kubenode.files import host_lock, toml_text, whole_file
from kubenode.kubelet import runtime_switch
from kubenode.kubelet import service as kubelet_service
from kubenode.kubelet.command_line import Word
from kubenode.operations import kernel as kernel_operations
from kubenode.operations import logind as logind_operations
from kubenode.operations import swap as swap_operations
from kubenode.packages import (
    archive_change,
    archive_transfer,
    guarded_install,
    guarded_removal,
    manager,
    package_change,
    package_locks,
    plugins_change,
    repository_proof,
)
from kubenode.packages.archive import ArchiveFile, Build
from kubenode.packages.package_change import PackageChange
from kubenode.packages.source import Repository
from kubenode.run import host_script
from kubenode.runtimes import archive_program, config_swap, other_runtimes, program_change
from kubenode.runtimes.containerd import proof, removal
from kubenode.runtimes.crio import archive as crio_archive_program
from kubenode.runtimes.crio import proof as crio_proof
from kubenode.runtimes.crio import registries as crio_registries
from kubenode.runtimes.docker import cri_archive
from kubenode.runtimes.docker import proof as docker_proof
from kubenode.runtimes.other_runtimes import Stopped
from kubenode.wire import probe, time_limit
from kubenode.wire.reading import read_answer
from tests.conftest import ROOT

SHELLS = (("dash",), ("bash", "--posix"), ("busybox", "sh"))
FOLDERS = ("facts", "operations", "kubenode")
# os.walk follows no links, so what is linked into the package comes once
FILES = sorted(
    Path(folder, name)
    for top in FOLDERS
    for folder, _, names in os.walk(ROOT / top)
    for name in names
    if name.endswith(".sh")
)

PROBES = {
    "archives": archives.script(),
    "package": containerd.script_package(),
    "daemon": containerd.script_daemon(),
    "containerd_service": containerd_service.script(),
    "crio": crio.script(),
    "cgroups": cgroup.script_cgroups(),
    "dnf_hold": dnf_hold.script(),
    "cni_plugins": cni_plugins.script(),
    "crio_archive": crio_archive.script(),
    "docker_package": docker.script_package(),
    "docker": docker.script_daemon(),
    "drivers": cgroup.script_drivers(),
    "image_based": image_based.script(),
    "kubelet": kubelet.script(),
    "left_alone": left_alone.script(["containerd"], ["containerd"]),
    "kubelet_files": kubelet_files.script(),
    "kubernetes": kubernetes.script(),
    "kubernetes_keys": kubernetes_keys.script(),
    "logind": logind.script(),
    "certificates": certificates.script(),
    "pods": pods.script(),
    "modules": kernel.script_modules(["br_netfilter"]),
    "sysctls": kernel.script_sysctls(["net.ipv4.ip_forward"]),
    "kernel_config": kernel_config.script(),
    "kubeadm": kubeadm.script(),
    "machine": machine.script(),
    "network": network.script(),
    "platform": platform.script(),
    "prerequisites": prerequisites.script(),
    "repositories": repositories.script("docker"),
    "candidates": candidates.script(["containerd"]),
    "package_versions": package_versions.script(["containerd"]),
    "containerd_left": containerd_left.script(["/etc/containerd/certs.d"], "/nowhere", []),
    "handler_needs": handler_needs.script(["containerd-shim-runc-v2", "/bin/sh"], ["/etc/passwd"]),
    "installation": installation.script(["containerd"]),
    "runtimes": runtimes.script(),
    "runtime_switch": runtime_switch_fact.script(),
    "swap": swap.script(),
}


class Host:
    """What a command of an operation finds: a folder for its files, and programs of a test."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.config = folder / "config.toml"
        self.log = folder / "log"

    def program(self, name: str, script: str = "") -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{script}\n')
        path.chmod(0o755)

    def run(
        self, shell: tuple[str, ...], script: str, lines: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*shell, "-c", script],
            input="".join(f"{line}\n" for line in lines),
            env={**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(host_lock, "DIRECTORY", str(tmp_path / "lock"))
    monkeypatch.setattr(archive_change, "ROOT", str(tmp_path / "lib"))
    monkeypatch.setattr(archive_change, "STORE", str(tmp_path / "store"))
    monkeypatch.setattr(program_change, "DIRECTORY", str(tmp_path / "change"))
    monkeypatch.setattr(other_runtimes, "DISABLED", str(tmp_path / "disabled"))
    monkeypatch.setattr(plugins_change, "NOTE", str(tmp_path / "plugins"))
    return Host(tmp_path)


def set_live(host: Host) -> str:
    key = "kernel.ostype"
    value = Path("/proc/sys/kernel/ostype").read_text().strip()
    return host_lock.under_lock(kernel_operations.set_live({key: value})).get_raw_value()


def fetch_lists(host: Host) -> str:
    host.program("apt-get", 'echo "no answer" >&2; exit 100')
    return package_locks.with_lists_fetched("true").get_raw_value()


def unpack_again(host: Host) -> str:
    host.program("dpkg-query", r"printf '%s\n' 'iHR containerd'")
    host.program("apt-get", 'for last; do :; done; [ "$last" = containerd ]')
    return manager.UNPACK_AGAIN


def install_guarded(host: Host) -> str:
    host.program("apt-get", '[ "$2" != -s ] || echo "Remv runc [1.1.15]"')
    return guarded_install.install(["containerd.io=2.1.9"], ["runc"]).get_raw_value()


def fetch_lists_with_zypper(host: Host) -> str:
    host.program("zypper", 'echo "no answer"; exit 106')
    return package_locks.lists_fetched("zypper").get_raw_value()


def fetch_lists_with_dnf(host: Host) -> str:
    host.program("dnf", 'echo "Failed loading plugin"; echo "Ignoring repositories: x"')
    return package_locks.lists_fetched("dnf").get_raw_value()


def install_with_dnf(host: Host) -> str:
    host.program("dnf")
    command = manager.change_held("dnf", "containerd", "containerd-1.7")
    return package_locks.patiently("dnf", command).get_raw_value()


def hold_with_dnf(host: Host) -> str:
    host.program("dnf")
    return package_locks.patiently("dnf", manager.hold("dnf", "containerd")).get_raw_value()


def change_held(host: Host) -> str:
    host.program("zypper", 'case "$*" in *" install "*) exit 106;; esac')
    command = manager.change_held("zypper", "containerd", "containerd=1.7")
    return package_locks.patiently("zypper", command).get_raw_value()


def finish_rpm(host: Host) -> str:
    entries = ("x86_64 9 containerd-1-1.x86_64", "i686 9 containerd-1-1.i686",
               "x86_64 10 containerd-2-1.x86_64")  # fmt: skip
    said = "".join(f"{entry}\\n" for entry in entries)
    host.program("rpm", f"[ \"$1\" != -q ] || printf '{said}'")
    command = manager.finish("dnf", ["containerd"])
    return package_locks.patiently("dnf", command).get_raw_value()


def keep_installed(host: Host) -> str:
    """One that dnf has in its cache, and one that is not installed."""
    store, cache = host.programs.parent / "store", host.programs.parent / "cache"
    cache.mkdir()
    (cache / "kubelet-1-1.x86_64.rpm").write_text("kubelet\n")
    host.program(
        "rpm",
        'case "$*" in\n'
        "  *kubectl*) exit 1;;\n"
        '  *".%{ARCH}.rpm"*) echo kubelet-1-1.x86_64.rpm;;\n'
        "  *) echo 1-1;;\nesac",
    )
    script = package_change.kept(["kubelet", "kubectl"], "zypper").get_raw_value()
    for path, own in (
        (package_change.STORE, store),
        ("/var/lib/kubenode/kept", host.programs.parent / "kept"),
        ("/var/cache/dnf/*/packages", cache),
    ):
        script = script.replace(path, str(own))
    return script


def undo(host: Host) -> str:
    """With a note that is whole, so that the old file comes back."""
    host.config.write_text("new\n")
    new, old = whole_file.sum_of(b"new\n"), whole_file.sum_of(b"old\n")
    backup = Path(f"{host.config}{whole_file.BACKUP_SUFFIX}")
    backup.write_text("old\n")
    Path(f"{host.config}{config_swap.UNPROVEN_SUFFIX}").write_text(
        f"{config_swap.NOTE_BEGINS}\n{new} {old} "
        f"{whole_file.BACKUP_SUFFIX} {host.config}\n{config_swap.NOTE_ENDS}\n"
    )
    return config_swap.undo(str(host.config)).get_raw_value()


def start(host: Host) -> str:
    serving(host)
    return config_swap.start(daemon(host), ["true"]).get_raw_value()


def restart_kubelet(host: Host) -> str:
    """One that takes its flags, stays and is healthy."""
    host.program("kubelet", '[ "$*" = "--node-ip=10.0.0.1 --version" ]')
    host.program("systemctl", '[ "$1" != show ] || echo 77')
    host.program("curl", "printf ok")
    host.program("sleep")
    words = [Word("--node-ip=10.0.0.1", "/etc/default/kubelet")]
    return kubelet_service.restart(words, "127.0.0.1:10248").get_raw_value()


def switch_runtime(host: Host, comes_up: bool = True) -> str:
    """From CRI-O to containerd, with a kubelet that is healthy, or not with the new file."""
    serving(host)
    pid = os.getpid()
    host.config.write_text("old\n")
    says = '"" ok' if comes_up else f"$(grep -q new {host.config} && echo bad) ok"
    host.program("curl", f"printf %s {says}")
    host.program("sleep")
    host.program(
        "systemctl",
        f"""case "$*" in
          *--value*) echo {pid};;
          "show -p MainPID"*) echo MainPID={pid};;
          "show -p ActiveState"*) echo ActiveState=active;;
          is-enabled*) echo enabled;;
        esac""",
    )
    to_do = runtime_switch.Switch(
        "CRI-O -> containerd",
        "containerd",
        "/nowhere",
        Stopped(("crio.service",), ()),
        {str(host.config): (b"old\n", b"new\n")},
        ("containerd.service",),
    )
    Path(other_runtimes.DISABLED).write_text("containerd.service\ndocker.socket\n")
    words = [Word("--v=2", "/etc/default/kubelet")]
    command = runtime_switch.switch(
        to_do, kubelet_service.daemon(words, "127.0.0.1:10248"), daemon(host)
    )
    lines = command.connector_arguments["_stdin"]
    text = "".join(f"{line}\n" for line in lines)
    return f"printf %s '{text}' | {{ {command.get_raw_value()}\n}}"


def run_kubelet(host: Host) -> str:
    """One that is exchanged: it runs, and takes its flags."""
    host.program("kubelet", '[ "$*" = --version ] || [ "$*" = "--v=2 --version" ]')
    host.program("curl", "printf ok")
    host.program("systemctl", '[ "$1" != show ] || echo 77')
    host.program("sleep")
    words = [Word("--v=2", "/etc/default/kubelet")]
    exchanged = kubelet_service.daemon(words, "127.0.0.1:10248")
    return config_swap.start(exchanged, ["program_runs", "check"]).get_raw_value()


def daemon(host: Host, *stated: toml_text.Path) -> config_swap.Daemon:
    return proof.daemon(str(host.programs / "containerd"), "/nowhere", stated)


def remove_guarded(host: Host) -> str:
    host.program("apt-get", 'case "$*" in *-s*) echo "Remv containerd [1.7]";; esac')
    host.program("apt-mark")
    return guarded_removal.remove(["containerd"], "kubenode-test.service").get_raw_value()


def remove_rpm(host: Host) -> str:
    host.program("rpm")
    host.program("zypper")
    host.config.with_name("config.toml.rpmsave").write_text("theirs\n")
    command = manager.remove("zypper", ["containerd"], ["containerd"], str(host.config))
    return package_locks.patiently("zypper", f"\n{command}").get_raw_value()


def stop_for_good(host: Host) -> str:
    host.program("systemctl")
    return removal.stopped(removal.Removal(), "/nowhere", end_containers=True).get_raw_value()


def take_away(host: Host) -> str:
    """Of a root of the test's own, and of no archive: that one's paths are the host's."""
    host.program("systemctl", "exit 1")
    root = host.programs.parent / "root"
    for path in (root / "io.containerd.x", root / "theirs", root.parent / "d"):
        path.mkdir(parents=True)
    own = root.parent / "d" / "hosts.toml"
    own.write_text("# Written by kubenode\n")
    plan = removal.Removal(own=[str(own)], data=["io.containerd.x"])
    # the directory of what runs is the host's
    script = removal.taken_away(plan, str(root), data=True).get_raw_value()
    return script.replace(removal.STATE, str(root.parent / "state"))


def leave_archives(host: Host) -> str:
    host.program("systemctl", "exit 1")
    folder = host.programs.parent
    (folder / "root" / "2.3.4-5f1c09d2").mkdir(parents=True)
    plan = removal.Removal(leaves_archive=True)
    script = removal.taken_away(plan, str(folder / "none"), data=False).get_raw_value()
    for path, name in (
        (archive_change.ROOT, "root"),
        (archive_change.STORE, "store"),
        (archive_change.UNIT_FILE, "unit"),
        (archive_change.PROGRAMS_IN, "bin"),
        (archive_change.RUNC_IN, "sbin"),
    ):
        script = script.replace(path, str(folder / name))
    return script


def serving(host: Host) -> None:
    # what its dump prints is as of 1.x and 2.x
    host.program("containerd", f"cat <<'E'\n{DUMP}E\n")
    host.program("systemctl")
    host.program("ctr", "printf '%s\\n' 'io.containerd.grpc.v1 cri linux/amd64 ok '")


def fetch_archive(host: Host) -> str:
    """By a curl that is a copy."""
    copies = 'while [ "$1" != --output ]; do shift; done; printf %s an-archive >"$2"'
    host.program("curl", copies)
    file = ArchiveFile("https://example.org/x", whole_file.sum_of(b"an-archive"))
    [command] = archive_transfer.brought([file], "host", True)
    assert isinstance(command, StringCommand)
    return command.get_raw_value()


def unpack_archive(host: Host) -> str:
    """Where there is none: test_archive_change.py has the rest."""
    functions = [whole_file.FUNCTIONS, time_limit.FUNCTIONS, archive_change.change(None, None)]
    return host_lock.under_lock("\n".join([*functions, "archive_prepare"])).get_raw_value()


def start_docker(host: Host) -> str:
    """Where crictl is asked, too."""
    host.program("systemctl")
    host.program("docker", """echo '{"CgroupDriver":"systemd"}'""")
    host.program("crictl")
    socket = str(host.programs.parent / "cri.sock")
    with contextlib.closing(sockets.socket(sockets.AF_UNIX)) as listening:
        listening.bind(socket)
    started = docker_proof.daemon("cri-docker.service", socket, ("-H", "fd://"), "systemd")
    return config_swap.start(started, ["check /nowhere"]).get_raw_value()


def unpack_cri_dockerd(host: Host) -> str:
    """One that is not there yet, which is a script here."""
    content = b"#!/bin/sh\necho 'cri-dockerd 0.4.3 (x)'\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("cri-dockerd/cri-dockerd")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    digest = whole_file.sum_of(packed.getvalue())
    store = Path(archive_change.STORE)
    store.mkdir(exist_ok=True)
    (store / digest).write_bytes(packed.getvalue())
    program = cri_archive.program("0.4.3", ArchiveFile("/x.tgz", digest), None)
    steps = ("fetch", "keep", "switch", "is_there", "back", "hold")
    parts = [
        whole_file.FUNCTIONS,
        time_limit.FUNCTIONS,
        program.functions,
        f"unit=cri-docker.service; restarts=; change={host.programs.parent}/change; mkdir $change",
        *(f"program_{step} || fail {step}" for step in steps),
        # there was none
        "! program_is_there || fail back",
    ]
    script = host_lock.under_lock("\n".join(parts)).get_raw_value()
    # the places are root's
    for place in (cri_archive.ROOT, cri_archive.LINK, cri_archive.UNITS_IN):
        script = script.replace(place, f"{host.programs.parent}{place}")
    return script


def move_away(host: Host) -> str:
    """Where a directory of that name went before."""
    for name in ("certs", f"certs{whole_file.BACKUP_SUFFIX}"):
        (host.programs.parent / name).mkdir()
    (host.programs.parent / "certs" / "hosts.toml").write_text("")
    folder = host.programs.parent
    return whole_file.move_away([f"{folder}/certs", f"{folder}/none"]).get_raw_value()


def unpack_plugins(host: Host) -> str:
    """One plugin, which is a script here."""
    plugin = b'#!/bin/sh\necho \'{"supportedVersions": ["0.4.0"]}\'\n'
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("./bridge")
        member.size = len(plugin)
        tar.addfile(member, io.BytesIO(plugin))
    digest = whole_file.sum_of(packed.getvalue())
    store = Path(archive_change.STORE)
    store.mkdir(exist_ok=True)
    (store / digest).write_bytes(packed.getvalue())
    file = ArchiveFile("/plugins.tgz", digest)
    return plugins_change.change("1.9.1", file, f"{store.parent}/cni").get_raw_value()


SWAPS = "Filename Type Size Used Priority\n"


def swap_off(host: Host, used: int = 1000, swapoff: str = "", after: str = "stays_off") -> str:
    """With a swap file that has a blank in its name, and a service that runs."""
    folder = host.programs.parent
    swaps, meminfo = folder / "swaps", folder / "meminfo"
    swaps.write_text(f"{SWAPS}/a\\040swap file 65532 {used} -2\n/dev/zram0 partition 64 0 5\n")
    meminfo.write_text("MemTotal: 4000000 kB\nMemAvailable: 200000 kB\n")
    host.program("swapoff", swapoff or f"printf '{SWAPS.strip()}\\n' >{swaps}")
    host.program("systemctl", '[ "$1" != show ] || echo ActiveState=active')
    functions = swap_operations.FUNCTIONS.replace("/proc/swaps", str(swaps))
    functions = functions.replace("/proc/meminfo", str(meminfo))
    # busybox has one of its own, and takes that
    functions = functions.replace(' swapoff "', f' {host.programs}/swapoff "')
    change = whole_file.Change(str(folder / "fstab"), None, b"")
    before = f"{functions}\nfits"
    steps = f"turn_off\nstop zramswap.service\nturn_off\nforget\n{after}"
    command = whole_file.change([change], before, steps)
    lines = command.connector_arguments["_stdin"]
    text = "".join(f"{line}\n" for line in lines)
    return f"printf %s '{text}' | {{ {command.get_raw_value()}\n}}"


def reload_logind(host: Host) -> str:
    """One that says what it was told."""
    host.program("systemctl", '[ "$1 $2 $3" = "kill -s HUP" ]')
    host.program("busctl", "echo t 60000000")
    return logind_operations.reload(60).get_raw_value()


def link_crio(host: Host) -> str:
    """Where there is no folder of CRI-O's yet."""
    return crio_proof.link().get_raw_value().replace("/etc/crio", str(host.programs.parent / "c"))


def check_crio(host: Host) -> str:
    """It takes the file, and what it says of a reload is in force."""
    folder = host.programs.parent / "c"
    (folder / "crio.conf.d").mkdir(parents=True)
    (folder / "kubenode.conf").write_text("")
    said = "cgroup driver: systemd\n  pause_image = 'p'"
    host.program("crio", f"cat <<'E'\n{said}\nE\n")
    steps = [f"check {folder}/kubenode.conf", "has_in_force \"pause_image = 'p'\""]
    daemon = crio_proof.daemon(str(host.programs / "crio"), "/nowhere")
    command = config_swap.start(daemon, steps).get_raw_value()
    return command.replace("/etc/crio", str(folder))


def check_registries_of_crio(host: Host) -> str:
    """A daemon that is told to reload and finds nothing wrong."""
    host.program("systemctl")
    host.program("journalctl")
    host.program("sleep")
    host.program("crio", "echo 'cgroup driver: systemd'")
    daemon = crio_proof.of_registries(str(host.programs / "crio"), "/nowhere")
    return config_swap.start(daemon, [f"check {crio_registries.FILE}"]).get_raw_value()


CHANGES: list[Callable[[Host], str]] = [
    link_crio,
    check_crio,
    check_registries_of_crio,
    set_live,
    reload_logind,
    swap_off,
    fetch_lists,
    unpack_again,
    fetch_lists_with_zypper,
    fetch_lists_with_dnf,
    install_with_dnf,
    hold_with_dnf,
    change_held,
    finish_rpm,
    keep_installed,
    undo,
    start,
    start_docker,
    unpack_cri_dockerd,
    restart_kubelet,
    switch_runtime,
    run_kubelet,
    fetch_archive,
    unpack_archive,
    move_away,
    install_guarded,
    unpack_plugins,
    remove_guarded,
    stop_for_good,
    take_away,
    leave_archives,
    remove_rpm,
]


def shell_name(shell: tuple[str, ...]) -> str:
    return " ".join(shell)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_each_shell_parses_each_file(shell: tuple[str, ...], path: Path) -> None:
    finished = subprocess.run([*shell, "-n", path], capture_output=True, text=True)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_each_shell_runs_all_probes(shell: tuple[str, ...]) -> None:
    look = probe.script(PROBES)
    assert look.count(" sh -c ") == 1
    finished = subprocess.run(
        [*shell, "-c", look.replace(" sh -c ", f" {shell_name(shell)} -c ")],
        capture_output=True,
        text=True,
        check=True,
    )
    readings = read_answer(finished.stdout.split("\n"), PROBES)
    assert {name: readings.why_not(name) for name in PROBES if name not in readings} == {}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_each_shell_runs_what_changes_a_host(
    shell: tuple[str, ...], change: Callable[[Host], str], host: Host
) -> None:
    script = change(host)
    if change in (finish_rpm, keep_installed, remove_rpm):
        # busybox has an rpm of its own, and takes that
        script = script.replace("rpm -", f"{host.programs}/rpm -")
    finished = host.run(shell, script)
    assert finished.returncode == 0, finished.stderr
    # of the shell itself
    assert not re.search(r"not found|syntax|unexpected|bad |: line ", finished.stderr)
    if change is link_crio:
        folder = host.programs.parent / "c"
        assert (folder / "crio.conf.d/99-kubenode.conf").resolve() == folder / "kubenode.conf"
    if change is undo:
        assert host.config.read_text() == "old\n"
    if change is restart_kubelet:
        log = host.log.read_text()
        assert "http://127.0.0.1:10248/healthz" in log
        assert log.index("kubelet --node-ip") < log.index("systemctl restart kubelet.service")
    if change is switch_runtime:
        assert host.config.read_text() == "new\n"
        # what is left needs nothing to be ended
        assert not Path(program_change.DIRECTORY).exists()
        verbs = re.findall(r"^systemctl (?!show|is-|reset)(.*)$", host.log.read_text(), re.M)
        assert [verb for verb in verbs if "daemon-reload" not in verb] == [
            "stop kubelet.service",
            "restart kubelet.service",
            "-q enable containerd.service",
            "-q disable crio.service",
            "stop crio.service",
        ]
        # what was enabled, and is not any more
        assert Path(other_runtimes.DISABLED).read_text() == "docker.socket\ncrio.service\n"
    if change is swap_off:
        said = host.log.read_text().splitlines()
        assert said[:3] == ["swapoff /a swap /dev/zram0",
                            "systemctl show -p ActiveState zramswap.service",
                            "systemctl stop zramswap.service"]  # fmt: skip
    if change is unpack_again:
        assert "--reinstall install containerd" in host.log.read_text()
    if change is fetch_lists_with_zypper:
        assert finished.stderr.startswith("no answer\nzypper refresh failed in part:")
    if change is fetch_lists_with_dnf:
        assert finished.stderr == "Ignoring repositories: x\n"
    if change is install_with_dnf:
        assert " --disableplugin=versionlock containerd-1.7\n" in host.log.read_text()
    if change is change_held:
        said = [line.split()[2] for line in host.log.read_text().splitlines()]
        assert said == ["removelock", "install", "addlock"]
    if change is finish_rpm:
        erased = [line for line in host.log.read_text().splitlines() if " -e " in line]
        assert erased == ["rpm -e --nodeps containerd-1-1.x86_64"]
    if change is keep_installed:
        kept = host.programs.parent / "store"
        assert [each.name for each in kept.iterdir()] == ["kubelet-1-1.x86_64.rpm"]
        assert not (host.programs.parent / "kept").exists()
    if change is move_away:
        moved = host.programs.parent / f"certs{whole_file.BACKUP_SUFFIX}.1"
        assert (moved / "hosts.toml").exists()
        assert moved.stat().st_mode & 0o777 == 0o700
        assert not (host.programs.parent / "certs").exists()
    if change is install_guarded:
        assert "containerd.io=2.1.9" in host.log.read_text().splitlines()[-1]
    if change is fetch_lists:
        assert "no answer" in finished.stderr


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_what_another_user_says_at_kubelets_port_is_no_health(
    shell: tuple[str, ...], host: Host
) -> None:
    host.program("curl", "echo ok")
    host.program("systemctl", "echo 5")
    host.program("sleep")
    for family, place in ((sockets.AF_INET, "127.0.0.1"), (sockets.AF_INET6, "::1")):
        port = free_port()
        address = kubelet_service.health_address({}, {"healthzPort": port}) or ""
        script = (
            f"{host_lock.HEAD}\n{config_swap.CRI_FUNCTIONS}\n{kubelet_service._health(address)}\n"
            "sleep() { :; }; unit=x; if cri_serves; then echo healthy; else echo not; fi"
        )
        assert host.run(shell, script).stdout == "healthy\n"
        with contextlib.closing(socket_of_another_user(family)) as listening:
            listening.bind((place, port))
            listening.listen()
            assert host.run(shell, script).stdout == "not\n"


def socket_of_another_user(family: int) -> sockets.socket:
    """A socket belongs to who makes it; nobody but root is another user by himself."""
    if os.getuid() != 0:
        return sockets.socket(family)
    os.seteuid(65534)
    try:
        return sockets.socket(family)
    finally:
        os.seteuid(0)


def free_port() -> int:
    with contextlib.closing(sockets.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("comes_up", [True, False])
# busybox's shell calls its own sync
@pytest.mark.parametrize("shell", SHELLS[:2], ids=shell_name)
def test_the_way_back_goes_when_all_of_a_change_is_on_disk(
    shell: tuple[str, ...], comes_up: bool, host: Host
) -> None:
    """Neither systemctl nor rpm syncs what it writes, so a sync of all comes before."""
    script = switch_runtime(host, comes_up)
    host.program("sync", "[ $# != 0 ] || kill -9 $PPID")
    assert host.run(shell, script).returncode == 137
    assert Path(program_change.DIRECTORY, "back.sh").exists()
    verbs = host.log.read_text()
    assert ("disable crio.service" in verbs) is comes_up


@pytest.mark.parametrize("shell", SHELLS[:1], ids=shell_name)
def test_a_kubelet_that_does_not_come_up_gets_the_old_runtime_again(
    shell: tuple[str, ...], host: Host
) -> None:
    finished = host.run(shell, switch_runtime(host, comes_up=False))
    assert finished.returncode == 1
    assert "kubelet did not come up with containerd; the old runtime is back; the old " in (
        finished.stderr
    )
    assert host.config.read_text() == "old\n"
    log = host.log.read_text()
    assert "stop crio.service" not in log
    assert Path(other_runtimes.DISABLED).read_text() == "containerd.service\ndocker.socket\n"
    assert "systemctl -q enable crio.service" in log
    assert not Path(program_change.DIRECTORY).exists()


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_swap_that_does_not_fit_into_memory_stays_and_no_file_is_changed(
    shell: tuple[str, ...], host: Host
) -> None:
    # 200000 KiB are available, of which 128 MiB are to stay free
    finished = host.run(shell, swap_off(host, used=70000))
    assert finished.returncode == 1
    assert "does not fit into memory" in finished.stderr
    assert not host.log.exists()
    assert not (host.programs.parent / "fstab").exists()
    # what is empty needs no memory
    (host.programs.parent / "meminfo").write_text("")
    script = swap_off(host, used=0).replace(str(host.programs.parent / "meminfo"), "/dev/null")
    assert host.run(shell, script).returncode == 0


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
@pytest.mark.parametrize(
    ("swapoff", "why"),
    [
        ("echo 'Cannot allocate memory' >&2; exit 2", "swapoff failed (Cannot allocate memory)"),
        ("sleep 60", "swapoff did not end within 900 s"),
    ],
)
def test_swap_that_stays_on_is_said_and_comes_back_at_no_boot(
    shell: tuple[str, ...], swapoff: str, why: str, host: Host
) -> None:
    script = swap_off(host, swapoff=swapoff).replace(
        f"limited {swap_operations.SWAPOFF_SECONDS} ", "limited 1 "
    )
    finished = host.run(shell, script)
    assert finished.returncode == 1
    assert f"{why}: still on is /a\\040swap" in finished.stderr
    assert (host.programs.parent / "fstab").exists()


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_swap_that_something_turns_on_again_is_found(shell: tuple[str, ...], host: Host) -> None:
    again = f"echo '/x file 1 0 -2' >>{host.programs.parent / 'swaps'}; stays_off"
    finished = host.run(shell, swap_off(host, after=again))
    assert finished.returncode == 1
    assert "swap was turned on again: /x" in finished.stderr


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_a_change_that_fails_leaves_the_package_held(shell: tuple[str, ...], host: Host) -> None:
    command = change_held(host)
    host.program("zypper", 'case "$*" in *" install "*) exit 104;; esac')
    assert host.run(shell, command).returncode == 104
    assert host.log.read_text().endswith("addlock containerd\n")


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_what_dnf_does_not_hold_is_an_error(shell: tuple[str, ...], host: Host) -> None:
    command = hold_with_dnf(host)
    host.program("dnf", "echo 'No package found for: containerd'")
    finished = host.run(shell, command)
    assert finished.returncode == 1
    assert "No package found for: containerd" in finished.stderr


@pytest.mark.parametrize("comes_up", [True, False])
@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_each_shell_swaps_files_and_brings_them_back(
    shell: tuple[str, ...], comes_up: bool, host: Host
) -> None:
    serving(host)
    host.config.write_text("old\n")
    if not comes_up:
        # with the new file it does not start
        host.program("systemctl", f'[ "$1" != restart ] || grep -q old {host.config}')
    command = swap_of(host)
    finished = host.run(
        shell, command.get_raw_value(), tuple(command.connector_arguments["_stdin"])
    )
    assert finished.returncode == (0 if comes_up else 1), finished.stderr
    assert host.config.read_text() == ("new\n" if comes_up else "old\n")
    assert ("serves CRI again" in finished.stderr) is not comes_up


def swap_of(host: Host, *stated: toml_text.Path) -> StringCommand:
    return config_swap.swap(
        {str(host.config): (b"old\n", b"new\n")},
        str(host.config),
        daemon(host, *stated),
        restart=True,
    )


DUMP = """\
version = 2
oom_score = 0
[plugins]
  [plugins."io.containerd.x.v1.y"]
    aList = ["a", "[b]"]

    [plugins."io.containerd.x.v1.y".tables]
      [[plugins.'io.containerd.x.v1.y'.tables.several]]
        z = 1
[timeouts]
  "io.containerd.timeout.shim.cleanup" = "7s"
"""


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
@pytest.mark.parametrize(
    ("path", "is_known"),
    [
        (("oom_score",), True),
        (("plugins", "io.containerd.x.v1.y", "alist"), True),
        (("plugins", "io.containerd.x.v1.y", "tables", "several"), True),
        (("timeouts", "io.containerd.timeout.shim.cleanup"), True),
        (("timeouts", "io.containerd.timeout.shim.clean"), False),
        (("plugins", "io.containerd.x.v1.y", "oom_score"), False),
        (("alist",), False),
    ],
)
def test_what_containerd_does_not_know_is_not_left_in_place(
    host: Host, shell: tuple[str, ...], path: toml_text.Path, is_known: bool
) -> None:
    host.config.write_text("old\n")
    serving(host)
    command = swap_of(host, ("version",), path)
    finished = host.run(
        shell, command.get_raw_value(), tuple(command.connector_arguments["_stdin"])
    )
    assert finished.returncode == (0 if is_known else 1), finished.stderr
    assert host.config.read_text() == ("new\n" if is_known else "old\n")
    if not is_known:
        name = ".".join(map(str, path))
        assert f"the old configuration is back: this release knows nothing of {name}," in (
            finished.stderr
        )
        assert "systemctl restart" not in host.log.read_text()


def program_changes(host: Host) -> list[str]:
    """What changes a runtime's program, by packages and by archives, and what undoes it."""
    packages = PackageChange({"containerd": "2.1.9"}, ("runc",), {"containerd": "1.7.24"})
    scripts = []
    file = ArchiveFile("/containerd.tar.gz", whole_file.sum_of(b"an-archive"))
    build = Build("2.3.4", file, file)
    for program in (
        program_change.of_packages("containerd 2.1.9", packages, "apt-get"),
        program_change.of_packages("containerd 2.1.9", packages, "zypper"),
        archive_program.of_archive(build, None),
        archive_program.of_archive(None, build.name, "2.3.4", packages),
        crio_archive_program.program(crio_archive_program.Bundle("1.36.3", file), None, None),
        crio_archive_program.program(None, "1.36.3-01234567", "1.36.3", packages),
        cri_archive.program("0.4.3", file, None),
    ):
        service = program_change.Service(is_enabled=True, is_active=True, serves=True)
        files = {str(host.config): (b"old\n", b"new\n")}
        arguments = (str(host.config), daemon(host), service)
        scripts.append(program_change.change(program, files, *arguments).get_raw_value())
        scripts.append(
            program_change.back_script(program_change.definitions_of(program, *arguments))
        )
    return scripts


@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_nothing_is_installed_where_more_would_go_than_may(
    shell: tuple[str, ...], host: Host
) -> None:
    command = install_guarded(host)
    host.program("apt-get", '[ "$2" != -s ] || echo "Remv docker.io [26.1]"')
    finished = host.run(shell, command)
    assert finished.returncode == 1
    assert "docker.io would be removed, and was not before" in finished.stderr
    assert len(host.log.read_text().splitlines()) == 1


def prove(host: Host, manager: str = "apt-get") -> StringCommand:
    """With a package manager that fetches one list, which has the package."""
    host.program(
        "apt-get",
        'set -- "${APT_CONFIG%/*}"; echo Package: containerd.io >"$1/lists/x_Packages"; '
        'cat "$1/key.asc" "$1/apt.conf" >"$1/lists/x_InRelease"',
    )
    host.program("dnf", 'case "$*" in *repoquery*) printf "containerd.io is there\\n\\n";; esac')
    host.program("zypper", "echo '<solvable name=\"containerd.io\"/>'")
    host.program("rpm")
    repository = Repository(
        name="docker",
        url="https://mirror.example.com",
        key="key",
        fingerprint="A" * 40,
        components=("stable",) if manager == "apt-get" else (),
        packages=("containerd.io",),
    )
    suite = "trixie" if manager == "apt-get" else None
    return repository_proof.prove(repository, manager, suite, "amd64", b"the key\n")


PROVEN = {
    "apt-get": ("lists/x_InRelease", "#clear APT::Update::Post-Invoke;"),
    "dnf": ("docker.repo", "gpgcheck=1"),
    "zypper": ("etc/zypp/repos.d/docker.repo", "gpgcheck=1"),
}


@pytest.mark.parametrize("manager", PROVEN)
@pytest.mark.parametrize("has_it", [True, False])
@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_each_shell_proves_a_repository(
    shell: tuple[str, ...],
    has_it: bool,
    manager: str,
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = host.config.with_name("staged")
    monkeypatch.setattr(repository_proof, "DIRECTORY", str(folder))
    command = prove(host, manager)
    if not has_it:
        host.program(manager, 'echo "E: Error: no answer" >&2; exit 100')
    # busybox has an rpm of its own, and takes that
    script = command.get_raw_value().replace("rpm --root", f"{host.programs}/rpm --root")
    finished = host.run(shell, script, tuple(command.connector_arguments["_stdin"]))
    assert finished.returncode == (0 if has_it else 1), finished.stderr
    if has_it:
        path, says = PROVEN[manager]
        assert says in (folder / "docker" / path).read_text()
        assert (folder / "docker/key.asc").read_text() == "the key\n"
        assert folder.stat().st_mode & 0o777 == 0o755
    else:
        assert "Error: no answer" in finished.stderr
        assert "repository docker gave no lists: nothing was changed" in finished.stderr
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("manager", ["dnf", "zypper"])
@pytest.mark.parametrize("shell", SHELLS, ids=shell_name)
def test_a_package_that_is_not_in_the_lists_is_an_error(
    shell: tuple[str, ...], manager: str, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_proof, "DIRECTORY", str(host.config.with_name("staged")))
    command = prove(host, manager)
    host.program(manager, "echo 'other-containerd.io is there'")
    lines = tuple(command.connector_arguments["_stdin"])
    script = command.get_raw_value().replace("rpm --root", f"{host.programs}/rpm --root")
    finished = host.run(shell, script, lines)
    assert finished.returncode == 1
    assert "repository docker has no package containerd.io" in finished.stderr


def proofs(host: Host) -> list[str]:
    return [prove(host, manager).get_raw_value() for manager in PROVEN]


def _pieces(path: Path) -> list[str]:
    """What is between the placeholders of a file, the longest first."""
    text = host_script.read(str(path), path.name)
    return sorted(host_script._PLACEHOLDER.split(text)[::2], key=len, reverse=True)


def test_each_file_is_run(host: Host) -> None:
    """A new file needs a line in PROBES or CHANGES."""
    # what is in quotes in a command is not in them in a file
    probes = [part for script in PROBES.values() for part in (script.shell, *script.shared)]
    scripts = [*probes, probe._SHELL_FUNCTIONS, probe.script(PROBES)]
    scripts += [change(host) for change in CHANGES]
    scripts += [swap_of(host, ("version",)).get_raw_value(), *proofs(host)]
    scripts += program_changes(host)
    assert len(FILES) > 30
    assert [
        path.name for path in FILES if not any(_pieces(path)[0] in each for each in scripts)
    ] == []


def test_no_shared_part_overwrites_what_another_leaves_to_its_probes() -> None:
    """All shared parts are run before the first probe."""
    parts = {part for script in PROBES.values() for part in script.shared}
    assert len(parts) > 3
    for name, script in PROBES.items():
        for part in script.shared:
            left = (_assigned(part) & _read(script.shell)) - _assigned(script.shell)
            for other in parts - {part}:
                assert not left & _assigned(other), name


def _assigned(script: str) -> set[str]:
    return set(re.findall(r"(?:^|[\n;)]|then|else|do|&&|\|\|) *([a-z_]+)=", script))


def _read(script: str) -> set[str]:
    return set(re.findall(r"\$\{?([a-z_]+)", script))


# ---- Whole scripts, so that no variable is set by nobody


SHELLCHECK = Path(sys.executable).with_name("shellcheck")


def _unset(script: str) -> list[str]:
    """Variables of a whole script that nothing in it sets."""
    finished = subprocess.run(
        [SHELLCHECK, "--norc", "--shell=sh", "--include=SC2154", "--format=gcc", "-"],
        input=script,
        capture_output=True,
        text=True,
    )
    assert finished.stderr == ""
    return re.findall(r"(\w+) is referenced but not assigned", finished.stdout)


def test_no_probe_uses_a_variable_that_nothing_sets() -> None:
    whole = [
        probe._SHELL_FUNCTIONS,
        *dict.fromkeys(text for script in PROBES.values() for text in script.shared),
        *(f"(\n{script.shell}\n)" for script in PROBES.values()),
    ]
    assert _unset("\n".join(whole)) == []


def test_no_change_uses_a_variable_that_nothing_sets(host: Host) -> None:
    scripts = [change(host) for change in CHANGES]
    scripts += [swap_of(host, ("version",)).get_raw_value(), *proofs(host)]
    scripts += program_changes(host)
    assert [_unset(script) for script in scripts] == [[] for _ in scripts]


def test_a_misspelled_variable_is_found() -> None:
    assert _unset('value=1; echo "$valeu"') == ["valeu"]


# ---- No sh text in Python


_SH = re.compile(r"\$[({\w#?]|&&|\|\||;;|(?m:^\s*(?:if|for|while|case|then|fi|done|esac)\b)")
MOST_LINES = 5


def _sh_in(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each literal with more lines of sh than one call may have."""
    tree = ast.parse(source)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in joined for part in node.values}
    for node in ast.walk(tree):
        if id(node) in documentation | parts:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        # a unit of systemd's reads like sh
        if "\n[Service]\n" in text:
            continue
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) > MOST_LINES and _SH.search(text) and _parses(text):
            yield node.lineno, text


def _parses(text: str) -> bool:
    return subprocess.run(["dash", "-n"], input=text.encode(), capture_output=True).returncode == 0


def test_no_sh_text_is_in_python() -> None:
    modules = [path for top in FOLDERS for path in (ROOT / top).rglob("*.py")]
    assert len(modules) > 60
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules
        for line, _ in _sh_in(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "literal",
    [
        'x = r"""\na=1\nb=2\nif [ "$a" = "$b" ]; then\n  c=3\n  d=4\nfi\n"""',
        'x = f"""\na=1\nb={y}\nc=3\nfor d in {z}; do\n  e=4\ndone\n"""',
        'x = (\n  "a=1\\n"\n  "b=2\\n"\n  "c=3\\n"\n  "d=4\\n"\n  "e=5\\n"\n  "cat \\"$a\\"\\n"\n)',
    ],
    ids=["raw", "formatted", "joined"],
)
def test_sh_text_in_python_is_found(literal: str) -> None:
    assert [line for line, _ in _sh_in(literal)] == [1 if literal[4] != "(" else 2]


# ---- Reading a file


def test_what_is_for_shellcheck_and_people_stays_here(tmp_path: Path) -> None:
    (tmp_path / "x.sh").write_text(
        "# shellcheck shell=sh\n# What it is.\n\n# short\n"
        "  # shellcheck disable=SC2086  # split\n  echo $a @B@\n"
    )
    text = host_script.read(str(tmp_path / "module.py"), "x.sh", B="b c")
    assert text == "# short\n  echo $a b c"


@pytest.mark.parametrize("values", [{}, {"A": 1}, {"A": 1, "B": 2, "C": 3}])
def test_placeholders_and_values_agree(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="placeholders"):
        host_script.filled("@A@ @B@", **values)


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    assert host_script.filled("@A@ @B@", A="@B@", B=2) == "@B@ 2"


def test_the_shells_are_here() -> None:
    assert [shell[0] for shell in SHELLS if shutil.which(shell[0]) is None] == []
