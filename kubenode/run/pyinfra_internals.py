"""Every private or undocumented part of pyinfra that kubenode replaces or reads.

pyinfra does not promise them: a release may move one, or change what it means. So each stands here
(:data:`PARTS`) with what kubenode wants of it, a check that this still holds, and what is done
without it, which is slower and right. A check looks at names and arguments, and at what the part
does where that is cheap to try. A part that has changed is never used; one warning says so, with
its name and pyinfra's version.

The parts that a run imports anyway are checked when this module is imported, the others when they
are first asked for: importing them takes longer than all checks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from queue import Queue
from typing import Any

from pyinfra import logger
from pyinfra.api import FunctionCommand, Host, State, StringCommand
from pyinfra.api import facts as facts_api
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS
from pyinfra.connectors import util

from kubenode.run.printable import printable

# the package has the decorator of the same name in the module's place
operation_api: Any = import_module("pyinfra.api.operation")

_BECOMING = ("_sudo", "_sudo_user", "_su_user", "_doas", "_doas_user", "_dzdo", "_dzdo_user")
_SURROUNDINGS = ("_shell_executable", "_chdir", "_env", "_use_sudo_login", "_use_su_login")


class NotAsKnown(Exception):
    """A part of pyinfra is not as kubenode knows it."""


@dataclass(frozen=True)
class Part:
    """One part of pyinfra that a release may change without a word."""

    name: str
    use: str
    """What kubenode does with it."""
    otherwise: str
    """What is done where it is not as known."""
    holds: Callable[[], object]
    """Whether it is as known: false, or an exception, where it is not."""
    imports: bool = False
    """Whether the check imports what a run may not need."""


def known(name: str) -> bool:
    """Whether the part *name* of :data:`PARTS` is as kubenode knows it; warns once if it is not."""
    holds = _holds(name)
    if not holds:
        _warn(name)
    return holds


@cache
def _holds(name: str) -> bool:
    try:
        return bool(PARTS[name].holds())
    # whatever a part has become
    except Exception:
        return False


@cache
def _warn(name: str) -> None:
    logger.warning(
        f"pyinfra {version('pyinfra')} has another {name} than kubenode knows: "
        f"{PARTS[name].otherwise}"
    )


def _parameters(function: Any) -> tuple[str, ...]:
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)
    return tuple(code.co_varnames[: count + bool(code.co_flags & 8)])


def _calls(function: Any, name: str) -> bool:
    """Whether *function*, or one inside it, uses the name."""
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        if name in code.co_names:
            return True
        codes += [constant for constant in code.co_consts if hasattr(constant, "co_names")]
    return False


# ---- What runs a command, and what reads its output

_METHODS = ("run_shell_command", "put_file", "get_file", "rsync")
_originals: dict[str, Any] = {name: Host.__dict__.get(name) for name in _METHODS}
_read_buffer = getattr(util, "read_buffer", None)
_getpass = getattr(util, "getpass", None)


def _run_shell_command_holds() -> bool:
    return (
        all(_parameters(_originals[name])[0] == "self" for name in _METHODS)
        and _parameters(_originals["run_shell_command"]) == ("self", "args", "kwargs")
        and _calls(StringCommand.execute, "run_shell_command")
        and _calls(facts_api._get_fact, "run_shell_command")
    )


def _read_buffer_holds() -> bool:
    assert _read_buffer is not None
    queue: Queue[Any] = Queue()
    _read_buffer("stdout", ["a\n", b"b\n", "c"], queue)
    return (
        _parameters(_read_buffer) == ("name", "io", "output_queue", "print_output", "print_func")
        and _calls(util.read_output_buffers, "read_buffer")
        and [(line.buffer_name, line.line) for line in queue.queue]
        == [("stdout", "a"), ("stdout", "b"), ("stdout", "c")]
    )


def _getpass_holds() -> bool:
    return callable(_getpass) and _calls(util.execute_command_with_sudo_retry, "getpass")


Around = Callable[..., Any]


def replace_run_shell_command(around: Around) -> bool:
    """Let *around* stand between pyinfra and each command or file that goes to a host.

    + around: called with the method that it stands before, its name, the host and its arguments

    Returns False where nothing was replaced.
    """
    if not known("Host.run_shell_command"):
        return False
    for name in _METHODS:
        setattr(Host, name, _between(around, name))
    return True


def _between(around: Around, name: str) -> Any:
    original = _originals[name]

    def method(self: Host, *args: Any, **kwargs: Any) -> Any:
        return around(original, name, self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = original.__doc__
    return method


def replace_read_buffer(around: Around) -> bool:
    """Let *around* read the output of commands; it is given pyinfra's own function first.

    Returns False where nothing was replaced.
    """
    if not known("read_buffer"):
        return False

    def read_buffer(
        name: str,
        io: Any,
        output_queue: Any,
        print_output: bool = False,
        print_func: Callable[[str], str] | None = None,
    ) -> None:
        around(_read_buffer, name, io, output_queue, print_output, print_func)

    util.read_buffer = read_buffer
    return True


def replace_getpass(around: Around) -> bool:
    """Let *around* ask for a sudo password; it is given pyinfra's own function first.

    Returns False where nothing was replaced.
    """
    if not known("getpass"):
        return False

    def getpass(*args: Any, **kwargs: Any) -> Any:
        return around(_getpass, *args, **kwargs)

    util.getpass = getpass
    return True


# ---- What an operation is, and what became of it


def _operation_meta_holds() -> bool:
    def meta(commands: list[Any], **retries: int) -> Any:
        made = operation_api.OperationMeta("hash", None)
        before = made.is_complete()
        made.set_complete(True, commands, util.CommandOutput([]), **retries)
        return before, made.is_complete(), made.executed, made.was_retried

    return (
        meta([]) == (False, True, False, False)
        and meta([StringCommand(":")]) == (False, True, True, False)
        and meta([], retry_attempts=1, max_retries=1) == (False, True, False, True)
        and "operation_meta" in operation_api.StateOperationHostData.__annotations__
    )


READ_TOGETHER = (
    "Host.run_shell_command",
    "op_hash_order",
    "current_op_hash",
    "current_op_global_arguments",
    "CONNECTOR_ARGUMENT_KEYS",
    "state.ops",
    "operation_meta",
    "is_executing",
)
"""What :mod:`kubenode.wire.joint_reading` builds on: without one of them, operations read alone."""


def operations_are_known() -> bool:
    """Whether all of :data:`READ_TOGETHER` are as known."""
    return all(map(known, READ_TOGETHER))


def op_hashes(host: Host) -> list[str]:
    """The hashes of the operations that were called on a host so far, in their order."""
    hashes = getattr(host, "op_hash_order", None)
    if not isinstance(hashes, list) or not all(isinstance(hash, str) for hash in hashes):
        raise NotAsKnown("op_hash_order")
    return list(hashes)


def current_op(host: Host) -> str:
    """The hash of the operation that runs on a host."""
    found = getattr(host, "current_op_hash", None)
    if not isinstance(found, str):
        raise NotAsKnown("current_op_hash")
    return found


def stage(host: Host) -> tuple[bool, Any]:
    """What differs between preparing and executing, said in two ways."""
    executing = getattr(host.state, "is_executing", None)
    if not isinstance(executing, bool):
        raise NotAsKnown("is_executing")
    return executing, host.state.current_stage


def is_executing(host: Host) -> bool:
    """Whether operations are executed, and not only prepared; True where it cannot be told."""
    return bool(getattr(host.state, "is_executing", True))


def connector_arguments(host: Host) -> dict[str, object]:
    """How the operation that runs reaches its host: as which user, in which directory, ..."""
    arguments: Any = getattr(host, "current_op_global_arguments", None)
    if not isinstance(arguments, Mapping) or not set(_BECOMING + _SURROUNDINGS) <= set(arguments):
        raise NotAsKnown("current_op_global_arguments")
    return {key: arguments.get(key) for key in CONNECTOR_ARGUMENT_KEYS}


@dataclass(frozen=True)
class Outcome:
    """What became of one operation on one host."""

    complete: bool
    executed: bool
    """Whether it ran a command; what it ran in tries that failed before does not count."""
    retried: bool


def outcomes(host: Host) -> Iterator[tuple[str, Outcome]]:
    """Every operation of a host by its hash, and what became of it so far."""
    ops = host.state.ops[host]
    hashes = op_hashes(host)
    if not isinstance(ops, dict) or not set(ops) <= set(hashes):
        raise NotAsKnown("state.ops")
    for op_hash, data in ops.items():
        meta = data.operation_meta
        outcome = Outcome(meta.is_complete(), meta.executed, meta.was_retried)
        # a method in place of a property is true whatever it would say
        if not all(isinstance(value, bool) for value in vars(outcome).values()):
            raise NotAsKnown("operation_meta")
        yield op_hash, outcome


# ---- Commands


def _function_command_holds() -> bool:
    return (
        _parameters(FunctionCommand.__init__)[:4] == ("self", "function", "args", "func_kwargs")
        and _parameters(vars(FunctionCommand)["execute"]) == _EXECUTE
        and _parameters(StringCommand.execute) == _EXECUTE
    )


_EXECUTE = ("self", "state", "host", "connector_arguments")


class Refusal(FunctionCommand):
    """A command that runs nothing and fails its host.

    + function: says why, and raises

    pyinfra returns a function's verdict only when its arguments are named ``state`` and ``host``,
    and takes all other functions that end for a success. So the verdict is not the function's: this
    command is its own, and a pyinfra that calls the function all the same gets an exception.
    """

    def execute(self, state: State, host: Host, connector_arguments: Any) -> bool:
        try:
            self.function(*self.args, **self.kwargs)
        # whatever it is: a refusal fails
        except Exception as error:
            logger.error(f"{print_prefix(host)}{error}")
        return False


class Telling(StringCommand):
    """A command that says on standard error what its user is to know although it succeeds."""


def tell(state: State, host: Host, result: Any) -> None:
    """Warn of what a command that succeeded says on standard error.

    + result: what its ``execute`` returned

    pyinfra shows that with ``-v``, or when the command fails. What is not as known is not told.
    """
    succeeded, output = result if isinstance(result, tuple) and len(result) == 2 else (False, None)
    lines = getattr(output, "stderr_lines", None)
    if succeeded is True and isinstance(lines, list) and not getattr(state, "print_output", False):
        for line in filter(None, map(str, lines)):
            logger.warning(f"{print_prefix(host)}{printable(line)}")


def fed(command: StringCommand) -> StringCommand:
    """The command, with what it reads from standard input in the command itself if need be."""
    lines: Any = command.connector_arguments.get("_stdin")
    if lines is None or known("_stdin"):
        return command
    rest: Any = {k: v for k, v in command.connector_arguments.items() if k != "_stdin"}
    text = "".join(f"{line}\n" for line in ([lines] if isinstance(lines, str) else lines))
    end = "KUBENODE_END"
    while f"\n{end}\n" in f"\n{text}":
        end += "_"
    return StringCommand(
        "{\n", StringCommand(*command.bits, _separator=command.separator),
        f"\n}} <<'{end}'\n{text}{end}\n", _separator="", **rest,
    )  # fmt: skip


# ---- What is said


def print_prefix(host: Host) -> str:
    """What a line about a host begins with."""
    return str(host.print_prefix) if known("print_prefix") else f"[{host.name}] "


def color_diff(old: list[str], new: list[str]) -> Iterable[str]:
    """The lines of a diff."""
    if known("generate_color_diff"):
        lines: Iterable[str] = _color_diff()(old, new)
        return lines
    from difflib import unified_diff

    return (line.rstrip("\n") for line in unified_diff(old, new))


def _color_diff() -> Any:
    return import_module("pyinfra.operations.util.files").generate_color_diff


def _color_diff_holds() -> bool:
    lines = list(_color_diff()(["a\n"], ["b\n"]))
    return any("a" in line for line in lines) and any("b" in line for line in lines)


def switch_off_progress() -> None:
    """Keep pyinfra from drawing a spinner, which would write over a report."""
    import os

    os.environ["PYINFRA_PROGRESS"] = "off"
    if not known("PYINFRA_PROGRESS"):
        # what is no terminal has no spinner
        vars(import_module("pyinfra.progress"))["IS_TTY"] = False


def _progress_holds() -> bool:
    spinner = import_module("pyinfra.progress")._print_spinner
    return {"PYINFRA_PROGRESS", "off"} <= set(spinner.__code__.co_consts)


def log() -> logging.Logger:
    """Where pyinfra says what goes wrong."""
    return logger if isinstance(logger, logging.Logger) else logging.getLogger("pyinfra")


# ---- The audit's own run of pyinfra


def read_inventory(inventory: str, cwd: str, data: dict[str, Any], group_data: Any) -> Any:
    """The inventory that pyinfra's command line makes of its argument.

    Raises :class:`NotAsKnown` where pyinfra reads inventories in another way: there is no second
    way to read them right, but ``pyinfra INVENTORY audit.py`` judges by the same checks.
    """
    if not known("make_inventory") or not known("State"):
        raise NotAsKnown(PARTS["make_inventory"].otherwise)
    make = import_module("pyinfra_cli.inventory").make_inventory
    return make(inventory, cwd=cwd, override_data=data, group_data_directories=group_data)


def said_by_pyinfra(error: Exception) -> tuple[Exception, bool]:
    """What an inventory failed with, and whether pyinfra itself says so, to its user."""
    from pyinfra.api.exceptions import PyinfraError

    try:
        exceptions: Any = import_module("pyinfra_cli.exceptions")
        if isinstance(error, exceptions.UnexpectedExternalError):
            error = error.exception
        return error, isinstance(error, (PyinfraError, exceptions.CliError))
    except (ImportError, AttributeError):
        return error, isinstance(error, PyinfraError)


def _make_inventory_holds() -> bool:
    make = import_module("pyinfra_cli.inventory").make_inventory
    wanted = {"inventory", "override_data", "cwd", "group_data_directories"}
    exceptions: Any = import_module("pyinfra_cli.exceptions")
    return (
        wanted <= set(_parameters(make))
        and issubclass(exceptions.UnexpectedExternalError, Exception)
        and issubclass(exceptions.CliError, Exception)
    )


def _state_holds() -> bool:
    return (
        {"inventory", "config", "initial_limit"} <= set(_parameters(State.init))
        and {"show_errors", "raise_exceptions"} <= set(_parameters(Host.connect))
        and {"state", "host", "cls", "kwargs", "apply_failed_hosts"}
        <= set(_parameters(facts_api.get_fact))
        and _calls(State.init, "Pool")
        and hasattr(State, "set_stage")
    )


def docker_program(host: Host) -> str | None:
    """The program that a host that is a container is reached by; None where it is none.

    Raises :class:`NotAsKnown` where it may be one and that cannot be told: pyinfra would start a
    stopped container, run an image, and commit both.
    """
    connector = host.connector
    if known("DockerConnector"):
        if not isinstance(connector, import_module("pyinfra.connectors.docker").DockerConnector):
            return None
        return str(connector.docker_cmd)
    if any(word in type(connector).__name__.lower() for word in ("docker", "podman")):
        raise NotAsKnown(PARTS["DockerConnector"].otherwise)
    return None


def _docker_holds() -> bool:
    connector = import_module("pyinfra.connectors.docker").DockerConnector
    return connector.docker_cmd == "docker" and "docker_identifier" in connector.data_meta


# ---- All of them

_ALONE = "operations read on their own, one remote command each"

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part(
            "Host.run_shell_command",
            "bounds kubenode's own commands in time, and counts what changes a host",
            "its commands have pyinfra's _timeout alone, and operations read on their own",
            _run_shell_command_holds,
        ),
        Part(
            "read_buffer",
            "bounds what is kept of the output of kubenode's own commands",
            "their output is cut on the host, which a host that means harm does not do",
            _read_buffer_holds,
        ),
        Part(
            "getpass",
            "keeps pyinfra from asking for a password where nobody can type one",
            "sudo is asked first whether it wants a password, one more command each",
            _getpass_holds,
        ),
        Part(
            "op_hash_order",
            "tells which operations are those that read together",
            _ALONE,
            lambda: (
                _calls(Host.__init__, "op_hash_order")
                and _calls(operation_api.solve_operation_consistency, "op_hash_order")
            ),
        ),
        Part(
            "current_op_hash",
            "tells which operation runs",
            _ALONE,
            lambda: (
                Host.current_op_hash is None
                and _calls(operation_api._wrap_operation, "current_op_hash")
            ),
        ),
        Part(
            "current_op_global_arguments",
            "tells as which user an operation reads",
            _ALONE,
            lambda: (
                Host.current_op_global_arguments is None
                and _calls(operation_api._wrap_operation, "current_op_global_arguments")
            ),
        ),
        Part(
            "CONNECTOR_ARGUMENT_KEYS",
            "names what makes two ways to a host differ",
            _ALONE,
            lambda: {*_BECOMING, *_SURROUNDINGS} <= set(CONNECTOR_ARGUMENT_KEYS),
        ),
        Part(
            "state.ops",
            "holds the operations of a host",
            _ALONE,
            lambda: _calls(State.init, "ops") and _calls(State.set_op_data_for_host, "ops"),
        ),
        Part(
            "operation_meta",
            "tells whether an operation ran commands on the host",
            _ALONE,
            _operation_meta_holds,
        ),
        Part(
            "is_executing",
            "tells preparing from executing",
            _ALONE,
            lambda: State.is_executing is False and State.current_stage is not None,
        ),
        Part(
            "FunctionCommand",
            "fails one host without a command on it",
            "the function that refuses raises, which fails the host with a traceback",
            _function_command_holds,
        ),
        Part(
            "_stdin",
            "gives a command what it reads",
            "contents are part of the command, and a long one fails",
            lambda: (
                "_stdin" in CONNECTOR_ARGUMENT_KEYS
                and _parameters(util.write_stdin) == ("stdin", "buffer")
            ),
        ),
        Part(
            "print_prefix",
            "begins a line about a host",
            "lines begin with the host's name alone",
            lambda: isinstance(Host.__dict__["print_prefix"], property),
        ),
        Part(
            "generate_color_diff",
            "shows what changes in a file",
            "diffs have no colours",
            _color_diff_holds,
            imports=True,
        ),
        Part(
            "PYINFRA_PROGRESS",
            "switches pyinfra's spinner off",
            "pyinfra is told that there is no terminal",
            _progress_holds,
            imports=True,
        ),
        Part(
            "make_inventory",
            "reads the inventory that `kubenode audit` is given",
            "run `pyinfra INVENTORY audit.py` in place of `kubenode audit`",
            _make_inventory_holds,
            imports=True,
        ),
        Part(
            "State",
            "runs one fact on all hosts",
            "run `pyinfra INVENTORY audit.py` in place of `kubenode audit`",
            _state_holds,
        ),
        Part(
            "DockerConnector",
            "keeps an audit from starting a stopped container",
            "a container is not audited, since it cannot be told whether it runs",
            _docker_holds,
            imports=True,
        ),
    )
}

for _part in PARTS.values():
    if not _part.imports:
        known(_part.name)
