"""Fixtures: Docker targets, and pyinfra run against them.

A test that uses a target is marked ``targets``: ``-m "not targets"`` leaves it out. Where there is
no Docker it fails: a run without it must not look like a run that passed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
from docker import DockerClient
from hypothesis import settings

from tests import upstream
from tests.repositories.server import Server, certificate, gateway
from tests.targets import daemon, image, pyinfra_cli, ssh_key
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result

ROOT = Path(__file__).parent.parent

# Examples run shells and parsers on a machine that is busy with targets: their time says nothing.
# What CI says of a commit must not depend on chance; `make test` elsewhere looks for more. The same
# examples in each run find nothing new: there are fewer of them.
settings.register_profile("any", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=50)
# cryptography keeps the datetime class that it meets first: not that of a case with a frozen clock
certificate("127.0.0.1")

settings.load_profile("ci" if os.environ.get("CI") else "any")


class RunPyinfra(Protocol):
    """See :func:`tests.targets.pyinfra_cli.run`; *cwd* is the test's own folder by default."""

    def __call__(
        self, *arguments: str | Path, cwd: Path = ..., data: dict[str, str] | None = ...
    ) -> Result: ...


WriteInventory = Callable[..., Path]


def _lacks_programs(item: pytest.Item) -> bool:
    """Whether a test is for programs that no variable leads to."""
    marker = item.get_closest_marker("upstream")
    variables = (marker.args or (upstream.VARIABLE,)) if marker else ()
    return not all(os.environ.get(variable) for variable in variables)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if _lacks_programs(item)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    for item in items:
        if "docker_client" in getattr(item, "fixturenames", ()):
            item.add_marker("targets")
        if "vm_lab" in getattr(item, "fixturenames", ()):
            item.add_marker("vm")
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.fixture(scope="session")
def docker_client() -> DockerClient:
    """The Docker daemon targets run on."""
    # `timeout` and CI end a run so: as with ctrl-C, the targets must not outlive it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return daemon.connect()
    except daemon.TargetError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def login_key(tmp_path_factory: pytest.TempPathFactory) -> ssh_key.SshKey:
    """Who may log in to targets by SSH."""
    return ssh_key.generate(tmp_path_factory.mktemp("ssh") / "id_ed25519")


@pytest.fixture
def targets(docker_client: DockerClient, login_key: ssh_key.SshKey) -> Iterator[Fleet]:
    """Starts targets: ``targets.start("bookworm", init="sshd")``."""
    with Fleet(docker_client, login_key) as fleet:
        yield fleet


@pytest.fixture(params=image.SUITES)
def target(request: pytest.FixtureRequest, targets: Fleet) -> Target:
    """A fresh systemd host, once for each suite."""
    return targets.start(request.param)


@pytest.fixture(scope="module", params=image.SUITES)
def shared_target(
    request: pytest.FixtureRequest, docker_client: DockerClient, login_key: ssh_key.SshKey
) -> Iterator[Target]:
    """A systemd host for all tests of a file, once for each suite: only the first finds it fresh.

    ``@pytest.mark.parametrize("shared_target", ["trixie"], indirect=True)`` wants one suite's.
    """
    with Fleet(docker_client, login_key) as fleet:
        yield fleet.start(request.param)


@pytest.fixture(scope="module")
def package_server(
    docker_client: DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serves a folder to targets over HTTP and HTTPS: see :mod:`tests.repositories`."""
    folder = tmp_path_factory.mktemp("served")
    with Server(folder, gateway(docker_client)) as server:
        yield server


@pytest.fixture
def run_pyinfra(tmp_path: Path) -> RunPyinfra:
    """Runs pyinfra: ``run_pyinfra("-y", inventory, ROOT / "deploy.py")``."""
    run: Any = partial(pyinfra_cli.run, cwd=tmp_path)
    return run  # type: ignore[no-any-return]


@pytest.fixture
def inventory(tmp_path: Path) -> WriteInventory:
    """Writes an inventory file: ``inventory(target.host(), other.host_over_ssh("operator"))``."""

    def write(*hosts: tuple[str, dict[str, Any]]) -> Path:
        return pyinfra_cli.write_inventory(tmp_path / "inventory.py", hosts)

    return write
