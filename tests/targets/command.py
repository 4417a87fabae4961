"""Run a command in a container and get all of its output."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from docker import APIClient
from docker.errors import DockerException, create_api_error_from_http_exception
from requests import HTTPError

_STDOUT, _STDERR = 1, 2
_EXIT_SECONDS = 10


def run(api: APIClient, container: str, command: Sequence[str], user: str) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of a command, without standard input.

    The SDK's ``exec_run`` takes over the connection below the buffer that has read the answer's
    head, and so, on a busy machine, loses output that came along with it. Asked without an upgrade
    of the connection the daemon sends the same frames as a plain answer, which is read whole.
    """
    exec_id = api.exec_create(container, list(command), user=user)["Id"]
    response = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{exec_id}/start",
        json={"Detach": False, "Tty": False},
        timeout=api.timeout,
    )
    try:
        response.raise_for_status()
    except HTTPError as error:
        raise create_api_error_from_http_exception(error) from error
    output = {_STDOUT: b"", _STDERR: b""}
    for stream, content in _frames(response.content):
        output[stream] += content
    return (
        _exit_code(api, exec_id),
        output[_STDOUT].decode(errors="replace"),
        output[_STDERR].decode(errors="replace"),
    )


def _exit_code(api: APIClient, exec_id: str) -> int:
    # the output may end a moment before the daemon learns that the command did
    deadline = time.monotonic() + _EXIT_SECONDS
    while (state := api.exec_inspect(exec_id))["Running"]:
        if time.monotonic() > deadline:
            raise DockerException("a command closed its output and goes on running")
        time.sleep(0.02)
    return int(state["ExitCode"])


def _frames(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Docker's multiplexed stream: a byte for which stream, 3 unused, 4 for the length, and it."""
    while content:
        stream, length = content[0], int.from_bytes(content[4:8])
        yield stream, content[8 : 8 + length]
        content = content[8 + length :]
