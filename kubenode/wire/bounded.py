"""A bound on each remote command that kubenode runs: on its time, and on what it sends.

pyinfra waits for a command as long as it takes, and collects all that it prints before anybody sees
any of it. So one host that hangs or floods stops the others, or takes this machine's memory. What
is bounded here is kubenode's alone: its facts, wherever they are read, and all that its operations
run, pyinfra's own facts and operations inside them included. What others do in the same deploy is
passed on as it is. What is bounded also passes through any login shell
(:mod:`kubenode.wire.shell_command`).

A command that goes beyond its bound fails its host, as one that fails, and what it had open is
closed: a local process is killed, an SSH channel closed, so that what runs on the host ends at its
next output. That a command which prints nothing ends there too is the host's part
(:mod:`kubenode.wire.probe`). So is any other trouble of one command its host's alone: an exception
of a connector, or a password that nobody is there to type, would end pyinfra's run for all.

Connecting is pyinfra's: ``CONNECT_TIMEOUT`` (10 s) for TCP and key exchange, paramiko's 15 s for
the banner and 30 s for logging in.
"""

from __future__ import annotations

import codecs
import functools
import os
import re
import shlex
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec
from weakref import WeakKeyDictionary

import gevent
from gevent.subprocess import Popen
from paramiko.channel import Channel, ChannelFile
from pyinfra import logger
from pyinfra.api import Host, QuoteString, State, StringCommand
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ctx_host

from kubenode.run import pyinfra_internals
from kubenode.wire import becoming_root, probe, shell_command, unattended

P = ParamSpec("P")

FACT_SECONDS = 240
"""For a fact: more than what its own limits on the host let it take."""

CHANGE_SECONDS = 420
"""For a command of an operation: locks may be waited for."""

INSTALL_SECONDS = 1800
"""For one that installs packages: a slow mirror, behind another that holds dpkg's lock."""

RESTART_SECONDS = 900
"""For one that restarts the runtime, and undoes that if need be."""

MOST_BYTES = probe.MOST_BYTES
"""Of each stream of a command's output."""

MOST_LINES = probe.MOST_LINES
"""The same; pyinfra keeps an object for each."""

# all control characters but tab, and those that turn or hide what follows
_OBEYED = re.compile("[^\t -~\u00a0-\U0010ffff]|[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")

_PIECE = 64 * 1024
_CLOSING_SECONDS = 5


class Asked(str):
    """The command of one of kubenode's facts, for which :data:`FACT_SECONDS` hold."""


class Command(StringCommand):
    """A command of one of kubenode's operations.

    + command: what is run
    + seconds: how long it may take, unless the user says ``_timeout``
    + tells: what it says on standard error is a warning when it succeeds
    """

    def __init__(self, command: StringCommand, seconds: float, tells: bool = False) -> None:
        super().__init__(
            *command.bits, _separator=command.separator, **command.connector_arguments
        )  # fmt: skip
        self.seconds = seconds
        self.tells = tells

    def execute(self, state: State, host: Host, connector_arguments: Any) -> Any:
        result: Any = super().execute(state, host, connector_arguments)
        if self.tells:
            pyinfra_internals.tell(state, host, result)
        return result


def bounded(
    seconds: float,
) -> Callable[
    [Callable[P, Generator[Any, Any, None]]], Callable[P, Generator[Any, Any, None]]
]:  # fmt: skip
    """Bound all that an operation reads and runs, and make one line for any login shell of it.

    It stands between ``@operation()`` and the operation.

    + seconds: how long each of its commands may take, unless the user says ``_timeout``

    **Example:**

    .. code:: python

        @operation()
        @bounded(CHANGE_SECONDS)
        def modules(...):
    """

    def decorate(
        function: Callable[P, Generator[Any, Any, None]],
    ) -> Callable[P, Generator[Any, Any, None]]:
        @functools.wraps(function)
        def operation(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, None]:
            commands = function(*args, **kwargs)
            timeout = None if _replaced["Host.run_shell_command"] else _pyinfras_timeout(seconds)
            while True:
                token = _reading.set(FACT_SECONDS)
                try:
                    command = next(commands)
                except StopIteration:
                    return
                finally:
                    _reading.reset(token)
                if isinstance(command, str):
                    command = StringCommand(command.strip())
                if isinstance(command, StringCommand):
                    tells = isinstance(command, pyinfra_internals.Telling)
                    line = shell_command.portable_command(pyinfra_internals.fed(command))
                    command = Command(line, seconds, tells)
                    if timeout is not None:
                        command.connector_arguments["_timeout"] = timeout
                yield command

        return operation

    return decorate


def changes(host: Host) -> int:
    """How many commands and files went to a host so far that were no facts of kubenode's."""
    return _changes.get(host, 0)


_reading: ContextVar[float | None] = ContextVar("kubenode_reading", default=None)
_running: dict[Any, _Run] = {}
_changes: WeakKeyDictionary[Host, int] = WeakKeyDictionary()


class _GivenUp(BaseException):
    """Ends a command that goes beyond its bound; pyinfra catches no such exception."""


class _Run:
    """One command of kubenode's while it runs."""

    def __init__(self, host: Host, seconds: float) -> None:
        self._host = host
        self._seconds = seconds
        self._greenlet = gevent.getcurrent()
        self._timer: Any = None
        self._error: _GivenUp | None = None
        self._left = {"stdout": (MOST_BYTES, MOST_LINES), "stderr": (MOST_BYTES, MOST_LINES)}
        self.streams = 0
        """How many streams were read by :func:`_around_read_buffer`."""

    def call(self, call: Callable[[], Any]) -> tuple[bool, CommandOutput]:
        _running[self._greenlet] = self
        self.begin_again()
        try:
            return call()  # type: ignore[no-any-return]
        except BaseException as error:
            self._stop()
            _close(error.__traceback__)
            if error is not self._error and not isinstance(error, Exception):
                raise
            said = _said(error)
            if isinstance(error, unattended.NobodyCanType):
                unattended.note_problem(self._host, said)
        finally:
            self._stop()
        logger.error(f"{pyinfra_internals.print_prefix(self._host)}{said}")
        return False, CommandOutput([])

    def begin_again(self) -> None:
        """Count the time from now on."""
        self._stop_timer()
        self._timer = gevent.get_hub().loop.timer(max(self._seconds, 0))
        self._timer.start(
            self._give_up,
            f"no end of a command within {self._seconds:g} s, so it was given up: see what hangs "
            "on the host, or give it more time (_timeout)",
        )

    def too_much(self) -> None:
        """End the command from the greenlet that reads its output."""
        gevent.get_hub().loop.run_callback(
            self._give_up,
            f"a command printed more than {MOST_BYTES >> 20} MiB or {MOST_LINES} lines, so it was "
            "given up: see what it prints on the host",
        )

    def take(self, name: str, data: bytes) -> bytes:
        """*data* where it is still within the bound, nothing where it goes beyond."""
        most_bytes, most_lines = self._left[name]
        lines = data.count(b"\n")
        self._left[name] = most_bytes - len(data), most_lines - lines
        return data if len(data) <= most_bytes and lines <= most_lines else b""

    def _give_up(self, reason: str) -> None:
        # the hub calls this, so the greenlet is not half-way out of what is bounded
        if _running.get(self._greenlet) is self and self._error is None:
            self._error = _GivenUp(reason)
            self._greenlet.throw(self._error)

    def _stop(self) -> None:
        self._stop_timer()
        _running.pop(self._greenlet, None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None


def _said(error: BaseException) -> str:
    if isinstance(error, (_GivenUp, unattended.NobodyCanType)):
        return str(error)
    return f"a command could not be run: {type(error).__name__}: {becoming_root.shown(str(error))}"


def _close(trace: TracebackType | None) -> None:
    """Close what a command that was interrupted had open: its frames name it, and nothing else."""
    found: dict[int, Channel | Popen[Any]] = {}
    while trace is not None:
        for value in list(trace.tb_frame.f_locals.values()):
            thing = value.channel if isinstance(value, ChannelFile) else value
            if isinstance(thing, (Channel, Popen)):
                found[id(thing)] = thing
        trace = trace.tb_next
    for thing in found.values():
        # a host that reads nothing any more makes closing wait, too
        gevent.spawn(_close_one, thing)


def _close_one(thing: Channel | Popen[Any]) -> None:
    try:
        with gevent.Timeout(_CLOSING_SECONDS):
            if isinstance(thing, Channel):
                thing.close()
            else:
                for pid in (*_descendants(thing.pid), thing.pid):
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                thing.wait()
    # it is given up
    except (Exception, gevent.Timeout):
        return


def _around_command(
    original: Callable[..., Any], name: str, host: Host, *args: Any, **arguments: Any
) -> Any:
    command = args[0] if args else arguments.get("command")
    run = _running.get(gevent.getcurrent())
    if not isinstance(command, Asked) and run is None:
        _changes[host] = changes(host) + 1
    if isinstance(command, Asked):
        seconds: float | None = FACT_SECONDS
    elif isinstance(command, Command):
        seconds = command.seconds
    else:
        seconds = _reading.get()
    if name != "run_shell_command" or (seconds is None and run is None):
        return original(host, *args, **arguments)
    arguments.pop("command", None)
    if not isinstance(command, (Asked, Command)):
        command = _portable(command, arguments)
    args = (command, *args[1:])
    # a command inside one, such as what puts a password there, has the outer one's bound
    if seconds is None or run is not None:
        return original(host, *args, **arguments)
    unattended.note_problem(host, None)
    if arguments.get("_timeout") is not None:
        # ours ends more than pyinfra's, which waits on for the exit code
        seconds = arguments.pop("_timeout")
    if not _replaced["getpass"] and _sudo_refuses(original, host, arguments, seconds):
        return False, CommandOutput([])
    if not _read_here:
        args = (_portable(_cut_on_the_host(command), arguments), *args[1:])
    run = _Run(host, seconds)
    status, output = run.call(lambda: original(host, *args, **arguments))
    if output.combined_lines and not run.streams:
        _read_elsewhere()
    if not status and becoming_root.asked_for(arguments):
        _explain(host, output)
    return status, output


def _portable(command: Any, arguments: dict[str, Any]) -> StringCommand:
    """The command as a line for any login shell, and what it reads added to the arguments."""
    script = command.get_raw_value() if isinstance(command, StringCommand) else str(command)
    stdin: Any = arguments.get("_stdin")
    line = shell_command.portable_command(StringCommand(script, _stdin=stdin))
    arguments.update(line.connector_arguments)
    return line


def _descendants(pid: int) -> Iterator[int]:
    """What a local process started, the innermost first; nothing where there is no such /proc."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield from _descendants(child)
                yield child


def _explain(host: Host, output: CommandOutput) -> None:
    lines = output.stderr_lines
    if reason := becoming_root.reason([*lines[:20], *lines[-20:]]):
        _cannot_become_root(host, reason)


def _cannot_become_root(host: Host, reason: str) -> None:
    unattended.note_problem(host, reason)
    logger.error(f"{pyinfra_internals.print_prefix(host)}{reason}")


def _around_read_buffer(
    original: Callable[..., None],
    name: str,
    io: Any,
    queue: Any,
    print_output: bool,
    print_func: Callable[[str], str] | None,
) -> None:
    spawned_by = getattr(gevent.getcurrent(), "spawning_greenlet", lambda: None)()
    run = _running.get(spawned_by)
    if run is None:
        original(name, io, queue, print_output, print_func)
        return
    run.streams += 1
    # as bytes, as they may be no text, and in pieces, as a line may have no end
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    parts: list[str] = []
    for piece in _pieces(name, io):
        data = run.take(name, piece)
        if not data:
            run.too_much()
            return
        # a host that always has more must not keep the others' from being read
        gevent.sleep(0)
        first, *rest = decoder.decode(data).split("\n")
        parts.append(first)
        if rest:
            lines = ["".join(parts), *rest]
            parts = [lines.pop()]
            original(name, [f"{_plain(line)}\n" for line in lines], queue, print_output, print_func)
    if last := "".join(parts) + decoder.decode(b"", final=True):
        original(name, [_plain(last)], queue, print_output, print_func)


def _plain(line: str) -> str:
    """A line without what a terminal obeys: pyinfra prints what a failed command said."""
    return _OBEYED.sub("?", line.rstrip("\r"))


def _pieces(name: str, io: Any) -> Iterator[bytes]:
    channel = getattr(io, "channel", None)
    if channel is not None:
        receive = channel.recv if name == "stdout" else channel.recv_stderr
    else:
        receive = getattr(io, "read1", None) or io.read
    while piece := receive(_PIECE):
        yield piece.encode() if isinstance(piece, str) else piece


def _around_getpass(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # another's prompt is not for us to answer
    if gevent.getcurrent() not in _running:
        return original(*args, **kwargs)
    try:
        return unattended.password_for_somebody(lambda: original(*args, **kwargs))
    finally:
        # nothing else ran while somebody typed
        gevent.get_hub().loop.update_now()
        for run in list(_running.values()):
            run.begin_again()


# ---- Where a part of pyinfra is not as known


def _pyinfras_timeout(seconds: float) -> int:
    """pyinfra's own limit for all that the operation runs; what the user says goes before."""
    arguments: Any = getattr(ctx_host.get(), "current_op_global_arguments", None)
    if not isinstance(arguments, dict):
        return int(seconds)
    if arguments.get("_timeout") is None:
        # facts inherit it
        arguments["_timeout"] = int(seconds)
    return int(arguments["_timeout"])


def _sudo_refuses(
    original: Callable[..., Any], host: Host, arguments: dict[str, Any], seconds: float
) -> bool:
    """Whether sudo does not let the user without a password, so that pyinfra would ask for it."""
    if not unattended.would_be_asked(arguments):
        return False
    user = arguments.get("_sudo_user")
    as_user = f" -u {shlex.quote(user)}" if user else ""
    # what sudo says in a line of its own is what pyinfra looks for
    command = shell_command.portable(
        f"said=$(LC_ALL=C sudo -n{as_user} true 2>&1) || "
        "{ printf '%s\\n' \"$said\" | sed 's/^/|/' >&2; exit 1; }"
    )
    status, output = _Run(host, seconds).call(lambda: original(host, command))
    if not status:
        lines = [line.removeprefix("|") for line in output.stderr_lines]
        _cannot_become_root(host, becoming_root.reason(lines) or becoming_root.NOBODY_CAN_TYPE)
    return not status


def _read_elsewhere() -> None:
    """pyinfra reads output in another way than what was replaced."""
    global _read_here
    if _read_here:
        _read_here = False
        logger.warning("pyinfra reads output in another way than kubenode knows: it is cut there")


def _cut_on_the_host(command: Any) -> StringCommand:
    """The command with each stream of its output cut on the host, and with its own exit code."""
    cut = f"head -c {MOST_BYTES}"
    return StringCommand(
        "exec 3>&1 4>&2\ncode=$( { { { sh -c",
        QuoteString(command),
        f"3>&- 4>&- 5>&- 6>&-; echo $? >&5; }} 2>&1 1>&6 6>&- | {cut} >&4; }} 6>&1 | {cut} >&3; }}"
        ' 5>&1 )\nexit "${code:-1}"',
    )


_replaced = {
    "Host.run_shell_command": pyinfra_internals.replace_run_shell_command(_around_command),
    "read_buffer": pyinfra_internals.replace_read_buffer(_around_read_buffer),
    "getpass": pyinfra_internals.replace_getpass(_around_getpass),
}
_read_here = _replaced["read_buffer"]
