"""CRI-O of upstream's static bundle: a fresh host becomes a node, and builds exchange.

What is in the bundle is a stand-in, or the real crio: see :mod:`tests.repositories.cri_o`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import RunPyinfra
from tests.end_to_end import crio_hosts
from tests.end_to_end.crio_hosts import SOCKET
from tests.end_to_end.test_docker import words
from tests.end_to_end.test_prepare import DEPLOY, changes, remote_commands
from tests.repositories import cri_o
from tests.repositories.releases import Release, sum_of
from tests.soak import loops
from tests.targets import image, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

ROOT = "/usr/local/lib/kubenode/crio"
DOES_NOT_START = b"""#!/bin/sh
case " $* " in
  *" --version "*) echo "crio version 1.36.4"; exit;;
  *" config "*) exit 0;;
esac
echo "this build does not start" >&2
exit 1
"""

Deploy = Callable[..., Result]


@pytest.fixture(scope="module", params=loops.choice(["trixie"], image.SUITES))
def node(
    request: pytest.FixtureRequest, docker_client: DockerClient, login_key: SshKey
) -> Iterator[Target]:
    """A host without CRI-O that has what this bundle's programs run by."""
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start(request.param)
        crio_hosts.ready(target)
        names = " ".join(cri_o.needs(cri_o.NEW))
        target.sh(
            f"apt-get -qq update; apt-get -qq install -y --no-install-recommends {names} >/dev/null"
        )
        path, content = cri_o.messages()
        encoded = base64.b64encode(content).decode()
        target.sh(f"mkdir -p {Path(path).parent}; printf %s {encoded} | base64 -d >{path}")
        yield target


@pytest.fixture
def deploy(node: Target, run_pyinfra: RunPyinfra, tmp_path: Path) -> Deploy:
    def run(release: Release, *arguments: str, digest: str | None = None) -> Result:
        source = {
            "version": release.version,
            "url": str(release.path),
            "sha256": {"amd64": digest or sum_of(release.path)},
        }
        name, data = node.host()
        settings: dict[str, Any] = {"kubenode_runtime": "crio", "kubenode_crio_source": source}
        hosts = pyinfra_cli.write_inventory(
            tmp_path / "inventory.py", [(name, {**data, **settings})]
        )
        return run_pyinfra(*(arguments or ("-y",)), hosts, DEPLOY)

    return run


def builds(node: Target) -> list[str]:
    return sorted(each.rpartition("-")[0] for each in node.sh(f"cd {ROOT}; ls -d [0-9]*").split())


def version(node: Target) -> str:
    """Of the daemon that runs, by CRI."""
    with node.cri(SOCKET) as cri:
        assert cri.runtime_config_driver() == "systemd"
    return node.sh("crio --version | head -n 1").split()[2]


def test_a_fresh_host_becomes_a_node_and_another_build_takes_the_first_ones_place(
    node: Target, deploy: Deploy, tmp_path: Path
) -> None:
    old, new = (cri_o.bundle(each, tmp_path) for each in (cri_o.OLD, cri_o.NEW))
    refused = deploy(old, digest="0" * 64)
    assert refused.returncode == 1, refused.output
    assert node.try_sh("command -v crio")[0] != 0

    first = deploy(old)
    assert first.returncode == 0, first.output
    assert version(node) == cri_o.OLD
    assert node.sh("systemctl is-enabled crio; systemctl is-active crio") == "enabled\nactive\n"
    assert node.sh("systemctl show -P FragmentPath crio") == (
        "/usr/local/lib/systemd/system/crio.service\n"
    )
    live = crio_hosts.live(node)
    assert live["cgroup_manager"] == '"systemd"'
    assert live["default_runtime"] == '"crun"'
    handlers = node.sh("crio --config= --config-dir= status config 2>/dev/null | grep runtime_path")
    assert [f"{ROOT}/current/{name}" in handlers for name in ("crun", "runc")] == [True, True]
    again = deploy(old, "-y", "-vv")
    assert all(row == (0, 0, 1) for row in changes(again.output).values()), again.output
    assert remote_commands(again.output, node.host()) == 1

    changed = deploy(new)
    assert changed.returncode == 0, changed.output
    assert f"CRI-O {cri_o.OLD} -> {cri_o.NEW} (archive {cri_o.NEW}-" in words(changed.output)
    assert version(node) == cri_o.NEW
    # side by side: going back is another rename
    assert builds(node) == [cri_o.OLD, cri_o.NEW]


def test_a_build_that_does_not_start_gives_way_to_the_one_before(
    node: Target, deploy: Deploy, tmp_path: Path
) -> None:
    before = node.sh(f"readlink {ROOT}/current")
    result = deploy(cri_o.bundle("1.36.4", tmp_path, DOES_NOT_START))
    assert result.returncode == 1, result.output
    assert "the old program is back, and serves again" in words(result.output), result.output
    assert node.sh(f"readlink {ROOT}/current") == before
    assert version(node) == cri_o.NEW


@pytest.mark.skipif(not loops.is_soak(), reason="make soak changes a build's file")
def test_a_file_that_was_changed_since_is_put_right(
    node: Target, deploy: Deploy, tmp_path: Path
) -> None:
    crun = f"{ROOT}/current/crun"
    good = node.sh(f"sha256sum <{crun}")
    node.sh(f"echo '# changed' >>{crun}")
    result = deploy(cri_o.bundle(cri_o.NEW, tmp_path))
    assert result.returncode == 0, result.output
    assert node.sh(f"sha256sum <{crun}") == good
