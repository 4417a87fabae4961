"""deploy.py takes a node from one source of containerd to the next, up and down and back.

Docker's repository is a stand-in: Debian's programs, repackaged with the relations, the conffile
and the version numbers of ``containerd.io``, signed by a key of the test. So are the archives.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_archives import shim_of
from tests.end_to_end.test_prepare import changes
from tests.repositories import releases
from tests.repositories.docker_mirror import DockerMirror
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result

pytestmark = [pytest.mark.targets, pytest.mark.soak]

DEPLOY = ROOT / "deploy.py"
STATE = """
dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'; apt-mark showhold
find /etc /usr/local /usr/bin/containerd* -newer /etc/machine-id -printf '%p %s %T@ %l\n' | sort
readlink /usr/local/bin/containerd; systemctl show -p MainPID containerd; :
"""


class Node:
    """A host, and the settings that it is prepared with."""

    def __init__(self, target: Target, run: RunPyinfra, hosts: Path) -> None:
        self.target = target
        self._run = run
        self._hosts = hosts

    def deploy(self, *options: str, **settings: Any) -> Result:
        """Run deploy.py; ``containerd_source={...}`` is a setting."""
        data = {
            f"kubenode_{name}": value if isinstance(value, str) else json.dumps(value)
            for name, value in settings.items()
        }
        return self._run(*(options or ("-y",)), self._hosts, DEPLOY, data=data)

    def becomes(self, version: str, package: str | None, **settings: Any) -> None:
        """Dry, for real, and again: that version serves, of that package, and nothing beside it."""
        before = self.target.sh(STATE)
        dry = self.deploy("--dry", "--diff", **settings)
        assert dry.returncode == 0, dry.output
        assert self.target.sh(STATE) == before, "control: a dry run changes nothing"
        result = self.deploy(**settings)
        assert result.returncode == 0, result.output
        with self.target.cri() as cri:
            assert cri.version().removeprefix("v").startswith(version)
            assert cri.conditions()["RuntimeReady"]
        installed = self.target.sh(
            "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 'containerd*' 2>/dev/null | "
            "sed -n 's/^.i. //p'"
        )
        assert installed.split() == ([] if package is None else [package])
        held = self.target.sh("apt-mark showhold").split()
        assert held == ([] if package is None else [package])
        found = self.target.sh(
            "for each in $(echo $PATH | tr : ' '); do readlink -f $each/containerd; done | "
            "sort -u | while read -r each; do [ ! -x $each ] || echo $each; done"
        )
        assert len(found.split()) == 1, "nothing shadows it"
        assert self.target.sh("ls -A /var/lib/kubenode 2>/dev/null; :") == ""
        again = self.deploy(**settings)
        assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output


@pytest.fixture
def node(
    request: pytest.FixtureRequest,
    targets: Fleet,
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
) -> Node:
    target = targets.start(getattr(request, "param", "trixie"))
    return Node(target, run_pyinfra, inventory(target.host()))


def stated(mirror: DockerMirror) -> dict[str, Any]:
    """A mirror as a setting states it."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in mirror.fields().items()
    }


def test_from_each_source_to_the_next(node: Node, package_server: Server, tmp_path: Path) -> None:
    mirror = DockerMirror(package_server, "trixie", ["1.7", "2.1"])
    docker = stated(mirror)
    node.becomes("1.7.24", "containerd.io", containerd_source=docker, containerd_version='"1.7"')
    waiting = {"containerd_source": docker, "containerd_version": '"2.1"', "restart": "never"}
    for _ in range(2):
        # the list of that repository is there: nothing is fetched, and it is said each time
        before = node.target.sh(STATE)
        waits = node.deploy("-y", "-v", **waiting)
        assert waits.returncode == 0, waits.output
        assert "2.1.9-1" in waits.output
        assert "waits: kubenode_restart is never" in waits.output
        assert set(changes(waits.output).values()) == {(0, 0, 1)}, waits.output
        assert node.target.sh(STATE) == before
    dry = node.deploy("--dry", containerd_source=docker, containerd_version='"2.1"')
    assert re.search(r"containerd\.io 1\.7\.24-1\S* -> 2\.1\.9-1", dry.output), dry.output
    node.becomes("2.1.9", "containerd.io", containerd_source=docker, containerd_version='"2.1"')

    before = node.target.sh(STATE)
    refused = node.deploy(containerd_source=docker, kubernetes_version="v1.37")
    assert refused.returncode == 1
    assert "Kubernetes 1.37 needs containerd 2.2.0+" in refused.output
    assert node.target.sh(STATE) == before

    image = node.target.import_pause_image()
    assert image
    with node.target.cri() as cri, cri.pod():
        kept = node.deploy(containerd_version='"1.7"')
        assert kept.returncode == 1
        assert "drain the node first" in kept.output
        assert node.target.sh(STATE) == before
    node.becomes("1.7.24", "containerd", containerd_version='"1.7"')

    release = releases.of_debian("forky", tmp_path)
    (tmp_path / "runc").write_bytes(releases.RUNC.read_bytes())
    archive = releases.stated(release, str(tmp_path), tmp_path / "runc")
    node.becomes("2.1.9", None, containerd_source=archive)
    node.becomes("2.1.9", "containerd.io", containerd_source=docker)


@pytest.mark.skipif(not loops.is_soak(), reason="make soak; the loop of exchanges begins there too")
@pytest.mark.parametrize("node", ["bookworm"], indirect=True)
def test_from_debian_12s_release_to_each_newer_one_under_a_pod_and_back(
    node: Node, package_server: Server
) -> None:
    docker = stated(DockerMirror(package_server, "bookworm", ["1.7", "2.1"]))
    node.becomes("1.6.20", "containerd", containerd_version='"1.6"')
    node.target.import_pause_image()
    with node.target.cri() as cri, cri.pod() as pod:
        process = shim_of(node.target, pod)
        for version in ("1.7", "2.1"):
            node.becomes(
                version,
                "containerd.io",
                containerd_source=docker,
                containerd_version=f'"{version}"',
            )
            assert shim_of(node.target, pod) == process
            assert cri.is_ready(pod)
        before = node.target.sh(STATE)
        kept = node.deploy(containerd_version='"1.6"')
        assert kept.returncode == 1
        assert "drain the node first" in kept.output
        assert node.target.sh(STATE) == before
    node.becomes("1.6.20", "containerd", containerd_version='"1.6"')
