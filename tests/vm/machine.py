"""A virtual machine as a host: SSH, snapshots, reboots, and power that can be cut."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.targets import pause_image
from tests.targets.container import CommandError
from tests.targets.cri import Cri
from tests.targets.daemon import TargetError
from tests.vm.libvirt import virsh

_BOOT_SECONDS = 300
_COMMAND_SECONDS = 600


@dataclass(frozen=True)
class Login:
    """How ``vagrant ssh-config`` says to log in."""

    address: str
    port: int
    user: str
    key: Path


class Machine:
    """A running virtual machine of libvirt, which Vagrant has made."""

    def __init__(self, domain: str, suite: str, login: Login, folder: Path) -> None:
        self.domain = domain
        """libvirt's name of it."""
        self.suite = suite
        """Debian code name."""
        self._login = login
        self._control = folder / f"{domain}.ssh"

    def __repr__(self) -> str:
        return f"<Machine {self.domain}>"

    def host(self) -> tuple[str, dict[str, Any]]:
        """The machine in a pyinfra inventory, through SSH as the vagrant user with sudo."""
        return self.domain, {
            "_sudo": True,
            "ssh_hostname": self._login.address,
            "ssh_port": self._login.port,
            "ssh_user": self._login.user,
            "ssh_key": str(self._login.key),
            "ssh_known_hosts_file": "/dev/null",
            "ssh_strict_host_key_checking": "no",
        }

    def try_sh(self, script: str, seconds: float = _COMMAND_SECONDS) -> tuple[int, str, str]:
        """Run a shell script as root; its exit code, standard output and standard error.

        Exit code 255 means that there was no connection, or that it broke.
        """
        command = f"sudo -n sh -c {shlex.quote(script)}"
        done = subprocess.run(
            [*self._ssh(self._login.user), command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
        )
        return (
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def sh(self, script: str) -> str:
        """Run a shell script as root; its standard output, CommandError unless it exits 0."""
        code, out, err = self.try_sh(script)
        if code != 0:
            raise CommandError(f"{self.domain}: exit code {code} of: {script}\n{out}{err}")
        return out

    def read(self, path: str) -> str:
        """The content of a file, CommandError when there is none."""
        return self.sh(f"cat {shlex.quote(path)}")

    def write(self, path: str, text: str) -> None:
        """Make *text* the content of a file; missing folders are made, links are followed."""
        encoded = base64.b64encode(text.encode()).decode()
        folder = os.path.dirname(path)
        self.sh(
            f"mkdir -p {shlex.quote(folder)} && "
            f"printf %s {encoded} | base64 -d >{shlex.quote(path)}"
        )

    def gateway(self) -> str:
        """The address at which the machine reaches this one."""
        return self.sh("ip -4 route show default").split()[2]

    def reboot(self) -> None:
        """Reboot as an administrator does, and wait until the machine is up again.

        libvirt takes the reset for a power cycle: an emulated CPU boots three times as fast in a
        new process, which has no translated code to throw away.
        """
        self._virsh("set-lifecycle-action", "reboot", "destroy", "--live", "--config")
        self.try_sh("systemctl reboot", seconds=60)
        self._disconnect()
        deadline = time.monotonic() + _BOOT_SECONDS
        while virsh("domstate", self.domain).stdout.strip() != "shut off":
            if time.monotonic() > deadline:
                raise TargetError(f"{self.domain} does not go down within {_BOOT_SECONDS} s")
            time.sleep(0.2)
        self.start()

    def boot_with(self, words: str) -> None:
        """Boot with more words for the kernel, from now on until an older snapshot is restored."""
        text = self._virsh("dumpxml", "--inactive")
        changed = text.replace("</cmdline>", f" {words}</cmdline>")
        assert changed != text, f"{self.domain}: libvirt gives the kernel no words"
        self.sh("sync")
        self.cut_power()
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(changed)
            file.flush()
            done = virsh("define", file.name)
        if done.returncode != 0:
            raise TargetError(f"virsh define {self.domain} failed: {done.stderr.strip()}")
        self.start()

    def cut_power(self) -> None:
        """End the machine between two instructions, as a power cut does."""
        self._disconnect()
        self._virsh("destroy")

    def start(self) -> None:
        """Start the machine that is down, and wait until it is up."""
        self._virsh("start")
        self._wait_for_connection()
        # what boots may still be setting sysctls and starting containerd
        self.try_sh("systemctl is-system-running --wait")

    def snapshot(self, name: str) -> None:
        """Keep the machine as it is, disk and memory."""
        self.sh("sync")
        self._virsh("snapshot-create-as", name)

    def restore(self, name: str) -> None:
        """Make the machine what it was when the snapshot was taken, and go on from there."""
        self._disconnect()
        self._virsh("snapshot-revert", name, "--running")
        self._wait_for_connection()
        # its clock stood still meanwhile
        self.sh(f"date -s @{time.time():.0f} >/dev/null")

    @contextlib.contextmanager
    def cri(
        self,
        at: str = "/run/containerd/containerd.sock",
        pid_of: Callable[[str], int] | None = None,
    ) -> Iterator[Cri]:
        """A client of the runtime's CRI, through a connection of root's: the socket is root's.

        + at: the socket's path on the machine
        + pid_of: as of :class:`tests.targets.cri.Cri`
        """
        self.sh(
            f"install -d -m 700 /root/.ssh && "
            f"cat /home/{self._login.user}/.ssh/authorized_keys >/root/.ssh/authorized_keys"
        )
        socket = self._control.with_suffix(".cri")
        socket.unlink(missing_ok=True)
        forward = f"{socket}:{at}"
        tunnel = subprocess.Popen(
            [
                *self._ssh("root", shared=False),
                "-N",
                "-o",
                "ExitOnForwardFailure=yes",
                "-L",
                forward,
            ],
            stdin=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 60
            while not socket.exists():
                if tunnel.poll() is not None or time.monotonic() > deadline:
                    raise TargetError(f"{self.domain}: no connection to {at}")
                time.sleep(0.1)
            with Cri(socket, lambda pid: self.read(f"/proc/{pid}/cgroup"), pid_of) as runtime:
                yield runtime
        finally:
            tunnel.terminate()
            tunnel.wait()

    def import_pause_image(self, runtime: Cri) -> str:
        """Give containerd the pause image it wants, without a registry; its name."""
        name = runtime.pause_image() or pause_image.stated_in(self.sh("containerd config dump"))
        self.load_image(name, "ctr -n k8s.io images import -")
        return name

    def load_image(self, name: str, command: str = "docker load") -> None:
        """Give the runtime an image that can be a pause image, without a registry.

        + name: of the image
        + command: takes the archive on its standard input
        """
        self.load(pause_image.archive(name, pause_image.static_busybox()), command)

    def load(self, archive: bytes, command: str) -> None:
        """Give the runtime an image.

        + archive: as ``docker save`` writes it
        + command: takes it on its standard input
        """
        subprocess.run(
            [*self._ssh(self._login.user), f"sudo -n {command}"],
            input=archive,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def _virsh(self, action: str, *arguments: str) -> str:
        done = virsh(action, self.domain, *arguments)
        if done.returncode != 0:
            raise TargetError(f"virsh {action} {self.domain} failed: {done.stderr.strip()}")
        return done.stdout

    def _ssh(self, user: str, *, shared: bool = True) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "ServerAliveInterval": "5",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
        }
        if shared:
            options |= {
                "ControlMaster": "auto",
                "ControlPath": str(self._control),
                "ControlPersist": "120",
            }
        login = self._login
        return [
            *("ssh", "-F", "none", "-i", str(login.key), "-p", str(login.port)),
            *(f"-o{name}={value}" for name, value in options.items()),
            f"{user}@{login.address}",
        ]

    def _disconnect(self) -> None:
        subprocess.run(
            [*self._ssh(self._login.user), "-O", "exit"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )

    def _wait_for_connection(self) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise TargetError(f"{self.domain} is not up after {_BOOT_SECONDS} s")
            time.sleep(0.5)
            self._disconnect()

    def _answers(self) -> bool:
        try:
            return self.try_sh("true", seconds=30)[0] == 0
        except subprocess.TimeoutExpired:
            return False
