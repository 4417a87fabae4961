"""A host whose containerd is changed by kubenode's transaction, and what it is before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyinfra.api import StringCommand

from kubenode.packages.package_change import PackageChange
from kubenode.runtimes import program_change
from kubenode.runtimes.containerd import packages, proof
from kubenode.runtimes.program_change import Service
from tests.repositories import keys, thin
from tests.repositories.apt import AptRepository
from tests.repositories.keys import Key
from tests.repositories.server import Server
from tests.targets.container import Target
from tests.targets.cri import Pod

CONFIG = "/etc/containerd/config.toml"
DIRECTORY = program_change.DIRECTORY
SOCKET = "/run/containerd/containerd.sock"
SOURCE = "/etc/apt/sources.list.d/other.sources"
KEYRING = "/etc/apt/keyrings/other.asc"
OLD, NEW = "1.7.24~thin", "2.1.9~thin"


@dataclass
class Node:
    """A host with containerd 1.7 of a thin package, a pod that runs, and a repository with more.

    + target: the host
    + server: what serves the repository
    + key: who signs it
    """

    target: Target
    server: Server
    key: Key = field(default_factory=keys.generated)

    def begin(self) -> None:
        """Make it that host."""
        target = self.target
        self.apt = AptRepository(self.server.folder / "other", "other", "main")
        for suite, version in (("trixie", OLD), ("forky", NEW)):
            thin.programs(target, suite)
            self.add(suite, version)
        target.write(KEYRING, self.key.public)
        target.write(
            SOURCE,
            f"Types: deb\nURIs: {self.server.http}/other\nSuites: other\nComponents: main\n"
            f"Signed-By: {KEYRING}\n",
        )
        target.sh(
            f"apt-get -qq update; {_QUIETLY} apt-get -qq install -y --no-install-recommends "
            f"runc containerd={OLD} >/dev/null; apt-mark hold containerd >/dev/null"
        )
        target.write(CONFIG, target.read(CONFIG) + "# of this host\n")
        target.sh("systemctl restart containerd")
        target.import_pause_image()
        self.pod: Pod = target.cri().run_pod()

    def add(self, suite: str, version: str, **wrong: Any) -> None:
        """Have one more package in the repository.

        + suite: whose containerd it is
        + version: of the package
        + wrong: see :func:`thin.built`
        """
        folder = self.server.folder.parent
        self.apt.add(thin.built(folder, suite, version, **wrong))
        self.apt.publish(self.key)

    def fetch_lists(self) -> None:
        """Fetch the repository's list, and no other."""
        self.target.sh(
            f"apt-get -qq update -o Dir::Etc::sourcelist={SOURCE} -o Dir::Etc::sourceparts=- "
            "-o APT::Get::List-Cleanup=0"
        )

    def version(self) -> str:
        """What serves CRI; CRI is asked."""
        with self.target.cri() as cri:
            return cri.version()

    def command(
        self,
        version: str,
        *,
        now: str = OLD,
        files: Mapping[str, tuple[bytes | None, bytes]] | None = None,
        service: Service | None = None,
        change: PackageChange | None = None,
    ) -> StringCommand:
        """The transaction that gives the host a version.

        + now: the version that it has
        + files: that are changed with it
        + service: what the service did before; by default it serves
        + change: of packages, by default that of containerd alone
        """
        change = change or packages.exchange(
            {"containerd": now, **self._runc()}, "containerd", version, True
        )
        return program_change.change(
            program_change.of_packages(f"containerd {version}", change, "apt-get"),
            files or {},
            CONFIG,
            proof.daemon("/usr/bin/containerd", SOCKET),
            service or Service(is_enabled=True, is_active=True, serves=True),
        )

    def _runc(self) -> dict[str, str]:
        return {"runc": self.target.sh("dpkg-query -W -f '${Version}' runc")}

    def run(self, command: StringCommand) -> tuple[int, str]:
        """Run it; its exit code and words."""
        put(self.target, command)
        code, out, err = self.target.try_sh("exec sh /root/change.sh </root/change.in")
        return code, out + err

    def process(self) -> str:
        """The pod's process, as its PID and start."""
        pid = self.target.sh(
            f"for each in /proc/[0-9]*; do grep -qs {self.pod.id} $each/cgroup && "
            "cut -d' ' -f 1,22 $each/stat; done; :"
        )
        return pid.strip()

    def state(self) -> str:
        """What packages, their files, and the service are, a line each."""
        return self.target.sh(_STATE)


def put(target: Target, command: StringCommand) -> None:
    """Put a command and its input on a host, as /root/change.sh and /root/change.in."""
    root = Path(f"/proc/{target.pid}/root/root")
    (root / "change.sh").write_text(command.get_raw_value())
    lines: Sequence[str] = command.connector_arguments.get("_stdin") or []  # type: ignore[assignment]
    (root / "change.in").write_text("".join(f"{line}\n" for line in lines))


_QUIETLY = "DEBIAN_FRONTEND=noninteractive"
_STATE = f"""
for name in containerd runc; do dpkg-query -s "$name" 2>&1; done
apt-mark showhold; apt-mark showauto | sort
find /usr/bin/containerd* /usr/bin/ctr /usr/lib/systemd/system/containerd.service* /etc/containerd \
  -type f -printf '%M %u %g %p %T@ ' -exec sha256sum {{}} ';' | sort -k 4
find /etc/systemd/system -name '*containerd*' -printf '%p %l\n' | sort
find /usr /etc /var/lib/kubenode -name '*.kubenode*' -o -name '*.dpkg-*'
find {program_change.DIRECTORY} {CONFIG}.kubenode-unproven 2>/dev/null
dpkg --audit; dpkg-query -W -f '${{db:Status-Abbrev}} ${{Package}} ${{Version}}\n'
systemctl is-enabled containerd; systemctl is-active containerd; :
"""
