"""The targets of one test, started as it asks for them and removed with it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from types import TracebackType

from docker import DockerClient

from tests.targets import container, image
from tests.targets.container import CgroupView, Init, Target
from tests.targets.ssh_key import SshKey


class Fleet:
    """Starts targets; as a context manager it removes them, with their volumes, at its end."""

    def __init__(self, client: DockerClient, key: SshKey) -> None:
        self._client = client
        self._key = key
        self._run = uuid.uuid4().hex

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(
        self,
        suite: str = "trixie",
        *,
        name: str | None = None,
        init: Init = "systemd",
        cgroup: CgroupView = "v2",
        volumes: Sequence[str] = (),
    ) -> Target:
        """Start a target and wait until it is up; see :func:`container.start`."""
        image.ensure(self._client, [suite], print)
        return container.start(
            self._client,
            suite,
            role="test",
            run=self._run,
            name=name,
            init=init,
            cgroup=cgroup,
            volumes=volumes,
            key=self._key,
        )

    def stop(self) -> None:
        """Remove all targets, one whose start was interrupted too."""
        for target in container.running(self._client, run=self._run):
            target.stop()
