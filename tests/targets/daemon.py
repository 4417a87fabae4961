"""The Docker daemon that targets run on."""

from __future__ import annotations

import os

import docker
from docker.errors import DockerException

# A command in a target, or an image import, that sends nothing for so long is stuck.
_SILENCE_SECONDS = 600


class TargetError(Exception):
    """A target cannot be built or run; the text says what to do about it."""


def connect() -> docker.DockerClient:
    """A client of the Docker daemon on this machine; TargetError when there is none to use."""
    if os.geteuid() != 0:
        raise TargetError("targets need root: they read other processes' files and build images")
    try:
        client = docker.from_env(timeout=_SILENCE_SECONDS)
        client.ping()
    except (DockerException, OSError) as error:
        raise TargetError(
            f"no Docker daemon answers ({error}). Start it (systemctl start docker), or let "
            "scripts/with-docker install and start it, as `make test` and `make demo` do"
        ) from error
    return client
