"""Containers that behave as hosts: systemd as PID 1, a reboot that comes back, SSH by key."""

from __future__ import annotations

import base64
import contextlib
import io
import posixpath
import shlex
import tarfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from docker import DockerClient
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.types import Mount

from tests.targets import command, image, pause_image
from tests.targets.cri import Cri
from tests.targets.daemon import TargetError
from tests.targets.ssh_key import SshKey

ROLE_LABEL = "kubenode.target"
SUITE_LABEL = "kubenode.suite"
INIT_LABEL = "kubenode.init"
RUN_LABEL = "kubenode.run"

Init = Literal["systemd", "sshd", "sleep"]
CgroupView = Literal["v2", "v1"]

_BOOT_SECONDS = 90
# A script travels as one argument of execve(2), which takes 128 KiB at most.
_SCRIPT_BYTES = 120_000
_CAP_SYS_RESOURCE = 24
_BOOTED = """
for _ in 1 2 3 4 5 6 7 8 9; do
  case $(systemctl is-system-running 2>&1) in running | degraded) exit 0 ;; esac
  sleep 0.2
done
exit 1
"""


class CommandError(AssertionError):
    """A command in a target ended with a code other than 0."""


class Target:
    """A running target."""

    def __init__(self, container: Container, key: SshKey | None = None) -> None:
        self._container = container
        self._key = key
        assert container.client is not None
        self._api = container.client.api
        self.name: str = container.name or ""
        """Name of the container, which is the host's name too."""
        self.suite: str = container.labels.get(SUITE_LABEL, "")
        """Debian code name."""
        self.init: str = container.labels.get(INIT_LABEL, "")
        """What PID 1 is: ``systemd``, ``sshd`` or ``sleep``."""

    def __repr__(self) -> str:
        return f"<Target {self.name} ({self.suite}, {self.init})>"

    @property
    def pid(self) -> int:
        """The machine's PID of the target's PID 1."""
        return int(self._state()["Pid"])

    @property
    def address(self) -> str:
        """IPv4 address on Docker's network, reachable from this machine."""
        self._container.reload()
        networks = self._container.attrs["NetworkSettings"]["Networks"]
        return str(next(iter(networks.values()))["IPAddress"])

    def try_sh(self, script: str, user: str = "root") -> tuple[int, str, str]:
        """Run a shell script in the target; its exit code, standard output and standard error."""
        if len(script.encode()) > _SCRIPT_BYTES:
            raise ValueError(f"script of {len(script.encode())} bytes, at most {_SCRIPT_BYTES}")
        return command.run(self._api, self.name, ["sh", "-c", script], user)

    def sh(self, script: str, user: str = "root") -> str:
        """Run a shell script in the target; its standard output, CommandError unless it exits 0."""
        code, out, err = self.try_sh(script, user)
        if code != 0:
            raise CommandError(f"{self.name}: exit code {code} of: {script}\n{out}{err}")
        return out

    def write(self, path: str, text: str) -> None:
        """Make *text* the content of a file; missing folders are made, links are followed."""
        encoded = base64.b64encode(text.encode()).decode()
        folder = posixpath.dirname(path)
        self.sh(
            f"mkdir -p {shlex.quote(folder)} && "
            f"printf %s {encoded} | base64 -d >{shlex.quote(path)}"
        )

    def put(self, source: Path, path: str) -> None:
        """Copy a file of this machine, of any size; the folder exists, and is in no tmpfs."""
        with io.BytesIO() as packed:
            with tarfile.open(fileobj=packed, mode="w") as tar:
                tar.add(source, posixpath.basename(path))
            if not self._container.put_archive(posixpath.dirname(path), packed.getvalue()):
                raise TargetError(f"{self.name}: {source} could not be copied")

    def read(self, path: str) -> str:
        """The content of a file, CommandError when there is none."""
        return self.sh(f"cat {shlex.quote(path)}")

    def folder(self, path: str) -> bytes:
        """A folder with all that is in it, as a tar archive; it is in no tmpfs."""
        chunks, _ = self._container.get_archive(path)
        return b"".join(chunks)

    def host(self) -> tuple[str, dict[str, str]]:
        """The target in a pyinfra inventory, through Docker as root."""
        return f"@docker/{self.name}", {"docker_identifier": self.name}

    def host_over_ssh(self, user: str) -> tuple[str, dict[str, str]]:
        """The target in a pyinfra inventory, through SSH.

        + user: ``root``, ``operator`` (may use sudo without a password) or ``stranger`` (may not)
        """
        if self._key is None:
            raise ValueError(f"{self.name} was started without an SSH key")
        return self.name, {
            "ssh_hostname": self.address,
            "ssh_user": user,
            "ssh_key": str(self._key.private),
            # the next target may have this one's address and another host key
            "ssh_known_hosts_file": "/dev/null",
            "ssh_strict_host_key_checking": "no",
        }

    def authorize(self, key: SshKey) -> None:
        """Let the holder of an SSH key log in as root, operator and stranger."""
        public = shlex.quote(key.public)
        self.sh(
            "for user in root operator stranger; do\n"
            'home=$(getent passwd "$user" | cut -d: -f6)\n'
            'install -d -m 700 -o "$user" "$home/.ssh"\n'
            f'printf "%s\\n" {public} >"$home/.ssh/authorized_keys"\n'
            'chown "$user" "$home/.ssh/authorized_keys"\n'
            "done"
        )

    def reboot(self) -> None:
        """Restart the host and wait until it is up: the kernel, its boot id and uptime stay."""
        before = self._state()["StartedAt"]
        if self.init == "systemd":
            # the command may die with the host: what counts is a later start
            with contextlib.suppress(DockerException, OSError):
                self.try_sh("systemctl reboot")
        else:
            self._container.restart(timeout=1)
        self._until(
            lambda: self._state()["Running"] and self._state()["StartedAt"] != before,
            "did not start again",
        )
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """Return once the host has booted; TargetError with its log when it does not."""
        if self.init == "systemd":
            self._until(self._has_booted, "did not boot")
        elif self.init == "sshd":
            self._until(
                lambda: self.try_sh("ss -Hltn sport = :22")[1].strip() != "", "did not start sshd"
            )
        else:
            self._until(
                lambda: self.try_sh("cat /proc/1/comm")[1].strip() == "sleep", "did not start"
            )

    def cri(self, socket: str = "/run/containerd/containerd.sock") -> Cri:
        """A client of a runtime's CRI in the target.

        + socket: the runtime's
        """
        return Cri(
            socket=Path(f"/proc/{self.pid}/root{socket}"),
            cgroup_of=lambda pid: self.read(f"/proc/{pid}/cgroup"),
        )

    def cri_dockerd(self) -> Cri:
        """A client of cri-dockerd's CRI in the target, whose status has no PIDs."""
        inspect = "docker inspect -f '{{.State.Pid}}'"
        return Cri(
            socket=Path(f"/proc/{self.pid}/root/run/cri-dockerd.sock"),
            cgroup_of=lambda pid: self.read(f"/proc/{pid}/cgroup"),
            pid_of=lambda pod: int(self.sh(f"{inspect} {shlex.quote(pod)}")),
        )

    def load_pause_image(self, name: str = "registry.k8s.io/pause:3.10") -> None:
        """Give Docker Engine a pause image, without a registry.

        + name: cri-dockerd's
        """
        if not self._container.put_archive("/root", pause_image.as_upload("pause.tar", name)):
            raise TargetError(f"{self.name}: the pause image could not be copied")
        self.sh("docker load -qi /root/pause.tar && rm /root/pause.tar")

    def pause_image(self) -> str:
        """The pause image that containerd wants."""
        # 2.x has the image in another plugin, whose settings the CRI status does not hold
        return self.cri().pause_image() or pause_image.stated_in(self.sh("containerd config dump"))

    def import_pause_image(self) -> str:
        """Give containerd the pause image it wants, without a registry; its name."""
        name = self.pause_image()
        # docker cannot copy into a tmpfs, which /tmp and /run are
        if not self._container.put_archive("/root", pause_image.as_upload("pause.tar", name)):
            raise TargetError(f"{self.name}: the pause image could not be copied")
        self.sh("ctr -n k8s.io images import /root/pause.tar && rm /root/pause.tar")
        return name

    def stop(self) -> None:
        """Remove the container with its volumes, at once."""
        try:
            self._container.remove(force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            # 409: a removal is under way already
            if error.status_code != 409:
                raise

    def _state(self) -> dict[str, Any]:
        self._container.reload()
        state: dict[str, Any] = self._container.attrs["State"]
        return state

    def _has_booted(self) -> bool:
        try:
            # asked again inside: each command from outside costs more than the question
            return self.try_sh(_BOOTED)[0] == 0
        except (DockerException, OSError):
            # the container is between two starts
            return False

    def _until(self, condition: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                log = self._container.logs(tail=40).decode(errors="replace")
                raise TargetError(
                    f"{self.name} {complaint} within {_BOOT_SECONDS} s; its state is "
                    f"{self._state()['Status']}, its log ends with:\n{log}"
                )
            time.sleep(0.1)


def start(
    client: DockerClient,
    suite: str,
    *,
    role: str,
    run: str = "",
    name: str | None = None,
    init: Init = "systemd",
    cgroup: CgroupView = "v2",
    key: SshKey | None = None,
    tag: str | None = None,
    volumes: Sequence[str] = (),
) -> Target:
    """Start a target and wait until it is up. Its image must exist, see :func:`image.ensure`.

    + suite: Debian code name, of :data:`image.SUITES`
    + role: what it is for, such as ``demo`` or ``test``: the value of the label `kubenode.target`
    + run: an id of the run it belongs to
    + name: of the container; made up when not given
    + init: PID 1; ``sshd`` and ``sleep`` are hosts without systemd
    + cgroup: ``v1`` shows the machine's own v1 tree, see :func:`has_cgroup_v1`; systemd 258 and
      later, and so forky, do not boot in it
    + key: who may log in by SSH
    + tag: an image made from the suite's own, which it is by default
    + volumes: folders that are to be on no overlay, such as ``/var/lib/docker``
    """
    name = name or f"{role}-{suite}-{uuid.uuid4().hex[:6]}"
    mounts = [
        # overlay on overlay fails: containerd needs a folder that is not on the container's overlay
        Mount(target=folder, source=None, type="volume")
        for folder in ("/var/lib/containerd", *volumes)
    ]
    if Path("/lib/modules").is_dir():
        # the modules of the kernel that runs, where it has any
        mounts.append(Mount("/lib/modules", "/lib/modules", type="bind", read_only=True))
    if cgroup == "v1":
        if not has_cgroup_v1():
            raise TargetError("this machine has no cgroup v1 hierarchy to show to a target")
        mounts.append(Mount("/sys/fs/cgroup", "/sys/fs/cgroup", type="bind"))
    container: Container = client.containers.create(
        tag or image.tag(suite),
        name=name,
        hostname=name,
        labels={ROLE_LABEL: role, SUITE_LABEL: suite, INIT_LABEL: init, RUN_LABEL: run},
        environment={"container": "docker", "KUBENODE_INIT": init, "KUBENODE_CGROUP": cgroup},
        # not `privileged`: it fails where Docker itself lacks a capability, and makes /proc/sys
        # writable, which is the machine's
        cap_add=["ALL"],
        cap_drop=[] if _has_capability(_CAP_SYS_RESOURCE) else ["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        cgroupns="host" if cgroup == "v1" else "private",
        mounts=mounts,
        tmpfs={"/run": "exec,mode=755", "/run/lock": "", "/tmp": "exec,mode=1777"},
        stop_signal="SIGRTMIN+3" if init == "systemd" else "SIGTERM",
        # a reboot ends PID 1, and this is who starts it again
        restart_policy={"Name": "always"},
    )
    target = Target(container, key)
    try:
        container.start()
        target.wait_until_up()
        if key is not None:
            target.authorize(key)
    except BaseException:
        target.stop()
        raise
    return target


def running(client: DockerClient, role: str | None = None, run: str | None = None) -> list[Target]:
    """The targets there are, by name, stopped ones too.

    + role: only those of this role
    + run: only those of this run
    """
    labels = [ROLE_LABEL if role is None else f"{ROLE_LABEL}={role}"]
    if run is not None:
        labels.append(f"{RUN_LABEL}={run}")
    containers = client.containers.list(all=True, filters={"label": labels})
    return sorted((Target(container) for container in containers), key=lambda target: target.name)


def has_cgroup_v1() -> bool:
    """Whether this machine has a cgroup v1 hierarchy (v1 or hybrid mode)."""
    tree = Path("/sys/fs/cgroup")
    return tree.is_dir() and not (tree / "cgroup.controllers").exists()


def _has_capability(number: int) -> bool:
    """Whether this process could ever get a capability: so can a Docker daemon on this machine."""
    status = Path("/proc/self/status").read_text().splitlines()
    bounding = next(line for line in status if line.startswith("CapBnd:")).split()[1]
    return bool(int(bounding, 16) >> number & 1)
