"""Hosts with a real dnf 4, dnf5 or zypper, for the tests of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient

from kubenode.facts.containerd import ContainerdPackage, ContainerdPackageShape
from tests.conftest import ROOT
from tests.targets import container, pyinfra_cli, rpm_image
from tests.targets.container import Target
from tests.targets.pyinfra_cli import Result

_DEPLOY = """\
from pyinfra import host

from kubenode.operations import containerd

containerd.installed(
    name="Node | containerd is installed",
    version=host.data.kubenode_containerd_version,
    hold=host.data.kubenode_containerd_hold,
    source=host.data.get("kubenode_containerd_source") or "distribution",
    kubernetes_version=host.data.get("kubenode_kubernetes_version"),
)
containerd.configured(name="Node | containerd is configured")
containerd.running(name="Node | containerd serves CRI")
"""


@dataclass(frozen=True)
class Host:
    """A host with one of the package managers.

    + kind: of :data:`tests.targets.rpm_image.SUITES`
    + target: it
    + folder: for inventories and deploys
    """

    kind: str
    target: Target
    folder: Path

    @property
    def is_dnf(self) -> bool:
        """Whether it has dnf 4 or dnf5."""
        return self.kind != "zypper"

    def repository(self, name: str) -> str:
        """The file that names a repository."""
        folder = "/etc/yum.repos.d" if self.is_dnf else "/etc/zypp/repos.d"
        return f"{folder}/{name}.repo"

    def run(self, deploy: Path, *options: str, **data: object) -> Result:
        """Run a deploy with the host's own data and more.

        + deploy: its file
        + options: of pyinfra; without them ``-y``
        """
        name, own = self.target.host()
        hosts = pyinfra_cli.write_inventory(self.folder / "inventory.py", [(name, own | data)])
        return pyinfra_cli.run(*(options or ("-y",)), hosts, deploy, cwd=self.folder)

    def call(self, call: str, *options: str) -> Result:
        """Run one operation of ``kubenode.operations.packages``.

        + call: ``installed('runc')``
        """
        deploy = self.folder / "packages.py"
        deploy.write_text(
            "from kubenode.operations import packages\n"
            "from kubenode.packages.source import Repository\n\n"
            f"packages.{call}\n"
        )
        return self.run(deploy, *(options or ("-y", "-v")))

    def deploy(
        self,
        version: str | None,
        hold: bool = True,
        whole: bool = False,
        options: Sequence[str] = ("-y",),
        **data: object,
    ) -> Result:
        """Install a version of containerd and configure it, or run the whole deploy.py.

        + options: of pyinfra
        + data: more data of the host
        """
        deploy = self.folder / "containerd.py"
        deploy.write_text(_DEPLOY)
        return self.run(
            ROOT / "deploy.py" if whole else deploy,
            *options,
            kubenode_containerd_version=version,
            kubenode_containerd_hold=hold,
            **data,
        )

    def becomes(self, version: str, whole: bool = False) -> Result:
        """Deploy, and see that containerd of that version serves CRI and is held."""
        result = self.deploy(version, whole=whole)
        assert result.returncode == 0, result.output
        self.serves(version)
        assert self.fact()["package"] == {
            "name": "containerd",
            "version": f"{version}-1",
            "held": True,
            "configured": True,
        }
        return result

    def serves(self, version: str, package: str = "containerd") -> None:
        """See that this version is all there is of containerd, and that it serves CRI."""
        assert self.packages() == [f"{package}-{version}-1"]
        with self.target.cri() as cri:
            assert cri.version().startswith(version)
            assert cri.conditions()["RuntimeReady"]

    def upgrade(self) -> None:
        """What an administrator, or a timer, does to all packages."""
        command = "dnf -y upgrade" if self.is_dnf else "zypper --non-interactive update"
        self.target.sh(command)

    def unlock(self) -> None:
        """Remove the hold by hand."""
        command = "dnf versionlock delete" if self.is_dnf else "zypper -n removelock"
        self.target.sh(f"{command} containerd")

    def packages(self) -> list[str]:
        """The packages of containerd that rpm knows of."""
        query = "rpm -qa --qf '%{NAME}-%{VERSION}-%{RELEASE}\\n' 'containerd*' | sort"
        return self.target.sh(query).split()

    def fact(self) -> ContainerdPackageShape:
        """What kubenode makes of the host."""
        fact = ContainerdPackage()
        shape = fact.process(self.target.sh(fact.command()).splitlines())
        assert shape is not None
        return shape


@contextmanager
def started(
    client: DockerClient, kind: str, folder: Path, volumes: Sequence[str] = ()
) -> Iterator[Host]:
    """A host in this block.

    + kind: of :data:`tests.targets.rpm_image.SUITES`
    + folder: for what its runs need
    + volumes: as of :func:`tests.targets.container.start`
    """
    rpm_image.ensure(client, [kind], print)
    suite, tag = rpm_image.SUITES[kind], rpm_image.tag(kind)
    target = container.start(client, suite, role="test", tag=tag, volumes=volumes)
    try:
        yield Host(kind, target, folder)
    finally:
        target.stop()
