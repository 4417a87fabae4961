"""Virtual machines made with the project's Vagrantfile, as its users do, and removed again.

All that Vagrant keeps is in a folder of the checkout (:data:`WORK`): the user's own Vagrant does
not see these machines, and they not the user's.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.targets.daemon import TargetError
from tests.vm import accelerator, box
from tests.vm.box import Say
from tests.vm.libvirt import virsh
from tests.vm.machine import Login, Machine

_ROOT = Path(__file__).parent.parent.parent

WORK = _ROOT / ".cache" / "vm"
PREFIX = "kubenode_"
"""Of libvirt's names of the machines."""

_SECONDS = 600


def obstacle() -> str | None:
    """Why virtual machines cannot be had here, None when they can."""
    if platform.machine() != "x86_64":
        return f"boxes are built for x86_64, and this machine is {platform.machine()}"
    if os.geteuid() != 0:
        return "boxes are built by root"
    for program in ("vagrant", "virsh", "qemu-system-x86_64", "ssh"):
        if not shutil.which(program):
            return f"{program} is missing: scripts/with-libvirt installs it"
    if virsh("version").returncode != 0:
        return "libvirt does not answer: scripts/with-libvirt starts it"
    return None


class Lab:
    """Machines of one purpose, one for each suite; up from :meth:`up` to :meth:`destroy`.

    + purpose: such as ``test``; machines are called ``PURPOSE-SUITE``
    + suites: of :data:`box.SUITES`
    + say: takes a line of progress
    """

    def __init__(self, purpose: str, suites: Iterable[str], say: Say) -> None:
        self.names = {suite: f"{purpose}-{suite}" for suite in suites}
        self._say = say
        self._folder = WORK / "-".join([purpose, *self.names])
        # other checkouts have machines of their own
        digest = hashlib.sha256(str(self._folder).encode()).hexdigest()[:8]
        self._pool = f"kubenode-{self._folder.name}-{digest}"

    def prepare(self) -> None:
        """Build the boxes that are missing, and give them to Vagrant."""
        self._folder.mkdir(parents=True, exist_ok=True)
        known = {line.split()[0] for line in self._vagrant("box", "list").splitlines() if line}
        missing = [suite for suite in self.names if box.name(suite) not in known]

        def build(suite: str) -> Path:
            return box.build(suite, WORK / "boxes", self._say)

        with ThreadPoolExecutor(max_workers=2) as builders:
            files = list(builders.map(build, missing))
        for suite, file in zip(missing, files, strict=True):
            self._vagrant("box", "add", "--name", box.name(suite), str(file))
            # Vagrant has its own copy now
            file.unlink()
            for name in known - {box.name(suite)}:
                # what an older state of the checkout was tested with
                if name.startswith(f"kubenode-{suite}-"):
                    self._vagrant("box", "remove", "--all", "--force", name)

    def environment(self) -> dict[str, str]:
        """The environment in which Vagrant, and so pyinfra's ``@vagrant``, knows these machines."""
        machines = " ".join(f"{name}={box.name(suite)}" for suite, name in self.names.items())
        kernel = next(
            (WORK / "home" / "boxes").glob(f"{box.name(next(iter(self.names)))}/**/vmlinuz"), None
        )
        kvm = kernel is not None and accelerator.has_kvm(kernel)
        return {
            "VAGRANT_CWD": str(_ROOT),
            "VAGRANT_HOME": str(WORK / "home"),
            "VAGRANT_DOTFILE_PATH": str(self._folder / "machines"),
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "KUBENODE_MACHINES": machines,
            "KUBENODE_POOL": self._pool,
            "KUBENODE_EMULATE": "" if kvm else "1",
        }

    def up(self) -> dict[str, Machine]:
        """Start the machines; by suite."""
        self.prepare()
        self._make_pool()
        environment = self.environment()
        how = "emulated" if environment["KUBENODE_EMULATE"] else "with KVM"
        self._say(f"{', '.join(self.names.values())}: starting, {how}, about a minute")
        self._vagrant("up")
        return {suite: self._machine(suite, name) for suite, name in self.names.items()}

    def running(self) -> dict[str, Machine]:
        """The machines that an earlier process has started."""
        return {suite: self._machine(suite, name) for suite, name in self.names.items()}

    def destroy(self) -> None:
        """Remove the machines with their disks and snapshots; the boxes stay."""
        for name in self.names.values():
            # Vagrant would not remove one that has snapshots
            virsh("destroy", f"{PREFIX}{name}")
            virsh("undefine", f"{PREFIX}{name}", "--snapshots-metadata", "--managed-save")
        virsh("pool-destroy", self._pool)
        virsh("pool-undefine", self._pool)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_pool(self) -> None:
        # one for each lab: Vagrant fails where another one uploads a box at the same moment
        folder = self._folder / "pool"
        folder.mkdir(parents=True, exist_ok=True)
        virsh("pool-define-as", self._pool, "dir", "--target", str(folder))
        started = virsh("pool-start", self._pool)
        if started.returncode != 0:
            raise TargetError(f"libvirt's pool {self._pool} does not start: {started.stderr}")

    def _machine(self, suite: str, name: str) -> Machine:
        config = dict(
            line.split(None, 1)
            for line in self._vagrant("ssh-config", name).splitlines()
            if len(line.split(None, 1)) == 2
        )
        login = Login(
            config["HostName"],
            int(config["Port"]),
            config["User"],
            Path(config["IdentityFile"].strip().strip('"')),
        )
        return Machine(f"{PREFIX}{name}", suite, login, self._folder)

    def _vagrant(self, *arguments: str) -> str:
        done = subprocess.run(
            ["vagrant", *arguments],
            cwd=_ROOT,
            env={**os.environ, **self.environment()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        if done.returncode != 0:
            lines = [
                line
                for line in (done.stdout + done.stderr).splitlines()
                if "Progress" not in line and not line.startswith("\tfrom ")
            ]
            raise TargetError(f"vagrant {' '.join(arguments)} failed:\n" + "\n".join(lines[-30:]))
        return done.stdout
