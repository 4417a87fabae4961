"""Runs of pyinfra and kubenode that share the time it takes to import them.

A command line of a test takes half a second of a processor before it does anything, and tests run
more than a thousand. A process that has imported what each of them would import waits for command
lines, and forks for each, where the program would read its own. A run has its arguments, folder,
environment, streams and exit code for itself. What it does not show is what the imports do, and
variables that are read by them: ``make soak``, and all tests that start an interpreter themselves,
do.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CONNECTORS = ("pyinfra.connectors.docker", "pyinfra.connectors.ssh")
# these are imported where a file is parsed
_PARSERS = ("tomlkit", "ruamel.yaml")
_IMPORTS = {
    "pyinfra": (*_CONNECTORS, *_PARSERS, "kubenode.node", "kubenode.set_up.containerd"),
    "kubenode": (*_CONNECTORS, *_PARSERS),
}
"""What nearly every run of a program imports after it has begun."""
_ROOT = Path(__file__).parent.parent.parent


class _Parent:
    """A process that forks for each command line of a program."""

    def __init__(self, program: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")
        self._path = f"{self._folder.name}/socket"
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, program, self._path],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the process that forks for {program} did not start")
        atexit.register(self.close)

    def close(self) -> None:
        """End it; runs that go on are none of its."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def run(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], seconds: float
    ) -> tuple[int, str, str]:
        """The exit code, standard output and standard error of a run."""
        request = json.dumps([list(arguments), str(cwd), dict(environment)]).encode()
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            socket.socket(socket.AF_UNIX) as connection,
        ):
            connection.connect(self._path)
            socket.send_fds(connection, [b"\n"], [out.fileno(), err.fileno()])
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            pid = int(_line(connection))
            connection.settimeout(seconds)
            try:
                code = int(_line(connection))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                connection.settimeout(None)
                _line(connection)
                raise subprocess.TimeoutExpired(list(arguments), seconds) from None
            return code, _text(out), _text(err)


def run(
    program: str,
    arguments: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    seconds: float,
) -> tuple[int, str, str]:
    """Run ``python -m PROGRAM``: its exit code, standard output and standard error.

    + program: ``pyinfra`` or ``kubenode``
    + arguments: its command line
    + cwd: its working directory
    + environment: all of it
    + seconds: after them it is killed, and TimeoutExpired raised
    """
    return _parent(program).run(arguments, cwd, environment, seconds)


@functools.cache
def _parent(program: str) -> _Parent:
    return _Parent(program)


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        received = connection.recv(1)
        if not received:
            raise RuntimeError("the process that forks has gone")
        line += received
    return line


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode())


def _serve(program: str, path: str) -> None:
    """Be a program up to where it reads its command line, and go on from there in each fork."""
    gevent = importlib.import_module("gevent")
    # as both programs begin
    importlib.import_module("gevent.monkey").patch_all()
    wait = functools.partial(_wait_for_work, gevent, program, path)
    if program == "kubenode":
        main = importlib.import_module("kubenode.cli").main
        wait()
        main()
    else:
        command_line = importlib.import_module("pyinfra_cli.main")
        begin = command_line.cli
        # what it shows goes where `main` says, and a deploy imports kubenode only after that
        command_line.__dict__["cli"] = lambda: (wait(), begin())
        command_line.main()


def _wait_for_work(gevent: Any, program: str, path: str) -> None:
    """Fork for each connection, for good; returns in each fork, which has its work."""
    for name in _IMPORTS[program]:
        importlib.import_module(name)
    original = importlib.import_module("gevent.monkey").get_original
    fork, waitpid = original("os", "fork"), original("os", "waitpid")
    listener = original("socket", "socket")(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)
    # whoever runs is waited for by its own parent
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    select = original("select", "select")
    while True:
        ready, _, _ = select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            # whoever started this has gone, by whatever way
            sys.exit()
        connection, _ = listener.accept()
        if fork() != 0:
            connection.close()
            continue
        signal.signal(signal.SIGCHLD, before)
        listener.close()
        _, streams, _, _ = socket.recv_fds(connection, 1, 2)
        request = connection.makefile("rb").read()
        pid = fork()
        if pid == 0:
            connection.close()
            gevent.reinit()
            _become(program, streams, *json.loads(request))
            return
        # the tests may have gone meanwhile
        with contextlib.suppress(OSError):
            connection.sendall(b"%d\n" % pid)
            _, status = waitpid(pid, 0)
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)


def _become(
    program: str,
    streams: Sequence[int],
    arguments: Sequence[str],
    cwd: str,
    environment: Mapping[str, str],
) -> None:
    """Have what the run of a command line has, and this process has not."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nothing, *streams)):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = cwd
    # what a program calls itself comes from both
    sys.modules["__main__"] = main = importlib.import_module(f"{program}.__main__")
    sys.argv = [str(main.__file__), *arguments]


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    code = 1
    try:
        _serve(*sys.argv[1:])
        code = 0
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    # an interpreter that takes itself apart takes long to
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
