"""Parts of pyinfra that may change: each is noticed when it does, and done without.

``make test-pyinfra`` runs this with the oldest and the newest pyinfra.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import FunctionCommand, Host, State, StringCommand
from pyinfra.connectors import util

from kubenode.run import pyinfra_internals
from kubenode.run.pyinfra_internals import PARTS, NotAsKnown, known
from kubenode.run.telling import refuse

api_operation: Any = import_module("pyinfra.api.operation")


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What was found of a changed part is not what the next test finds."""
    yield
    pyinfra_internals._holds.cache_clear()
    pyinfra_internals._warn.cache_clear()


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets a part be another one than it was."""

    def change(name: str) -> None:
        part = PARTS[name]
        changed = {**vars(part), "holds": lambda: False}
        monkeypatch.setitem(pyinfra_internals.PARTS, name, pyinfra_internals.Part(**changed))
        pyinfra_internals._holds.cache_clear()

    return change


@pytest.mark.parametrize("name", PARTS)
def test_this_pyinfra_is_as_known(name: str) -> None:
    assert known(name)


# ---- Each change is noticed


def _other(*args: Any) -> None:
    """Whatever was there is something else now."""


class _Always:
    """An operation's meta of which all is true, and is called."""

    def __init__(self, hash: str, is_change: bool | None) -> None: ...
    def is_complete(self) -> bool:
        return True

    def executed(self) -> bool:
        return False

    def set_complete(self, *args: Any, **kwargs: Any) -> None: ...
    def was_retried(self) -> bool:
        return False


CHANGES: dict[str, tuple[Any, str, Any]] = {
    "Host.run_shell_command": (
        pyinfra_internals,
        "_originals",
        dict.fromkeys(pyinfra_internals._METHODS, _other),
    ),
    "read_buffer": (pyinfra_internals, "_read_buffer", _other),
    "getpass": (util, "execute_command_with_sudo_retry", _other),
    "op_hash_order": (api_operation, "solve_operation_consistency", _other),
    "current_op_hash": (api_operation, "_wrap_operation", _other),
    "current_op_global_arguments": (Host, "current_op_global_arguments", {}),
    "CONNECTOR_ARGUMENT_KEYS": (pyinfra_internals, "CONNECTOR_ARGUMENT_KEYS", ["_timeout"]),
    "state.ops": (State, "set_op_data_for_host", _other),
    "operation_meta": (api_operation, "OperationMeta", _Always),
    "is_executing": (State, "is_executing", lambda self: False),
    "FunctionCommand": (FunctionCommand, "execute", _other),
    "_stdin": (pyinfra_internals, "CONNECTOR_ARGUMENT_KEYS", ["_timeout"]),
    "print_prefix": (Host, "print_prefix", _other),
    "generate_color_diff": (
        import_module("pyinfra.operations.util.files"),
        "generate_color_diff",
        _other,
    ),
    "PYINFRA_PROGRESS": (import_module("pyinfra.progress"), "_print_spinner", _other),
    "make_inventory": (import_module("pyinfra_cli.inventory"), "make_inventory", _other),
    "State": (Host, "connect", _other),
    "DockerConnector": (
        import_module("pyinfra.connectors.docker"),
        "DockerConnector",
        SimpleNamespace(docker_cmd=None),
    ),
}


def test_every_part_is_changed_here() -> None:
    assert list(CHANGES) == list(PARTS)


@pytest.mark.parametrize("name", CHANGES)
def test_a_part_that_changes_is_noticed_and_said_once(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    owner, attribute, other = CHANGES[name]
    monkeypatch.setattr(owner, attribute, other)
    pyinfra_internals._holds.cache_clear()
    assert not known(name)
    assert not known(name)
    [said] = [record.getMessage() for record in caplog.records]
    assert name in said
    assert PARTS[name].otherwise in said


@pytest.mark.parametrize("name", CHANGES)
def test_a_part_that_is_gone_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute, _ = CHANGES[name]
    if owner is pyinfra_internals:
        monkeypatch.setattr(owner, attribute, {} if attribute == "_originals" else None)
    else:
        monkeypatch.delattr(owner, attribute)
    pyinfra_internals._holds.cache_clear()
    assert not known(name)


# ---- Operations that read together: see also test_joint_reading


def _host(**attributes: Any) -> Any:
    return SimpleNamespace(name="node", state=SimpleNamespace(ops={}), **attributes)


def test_a_value_of_another_kind_is_not_believed() -> None:
    for hashes in (None, ("a",), [1]):
        with pytest.raises(NotAsKnown):
            pyinfra_internals.op_hashes(_host(op_hash_order=hashes))
    for op_hash in (None, 1):
        with pytest.raises(NotAsKnown):
            pyinfra_internals.current_op(_host(current_op_hash=op_hash))
    for arguments in (None, {}, {"_sudo": True}):
        with pytest.raises(NotAsKnown):
            pyinfra_internals.connector_arguments(_host(current_op_global_arguments=arguments))
    with pytest.raises(NotAsKnown):
        pyinfra_internals.stage(_host())


# ---- Refusals


@pytest.fixture
def fake_host(monkeypatch: pytest.MonkeyPatch) -> Any:
    return SimpleNamespace(
        name="node",
        print_prefix="[node] ",
        state=SimpleNamespace(is_executing=True, config=SimpleNamespace(copy=dict)),
    )


def test_a_refusal_fails_as_pyinfra_is(fake_host: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert refuse(fake_host, "no").execute(fake_host.state, fake_host, {}) is False
    assert "[node] no" in caplog.text


def test_a_refusal_fails_if_pyinfra_calls_the_function_itself(fake_host: Any) -> None:
    refusal = refuse(fake_host, "no")
    # pyinfra's own guess: without arguments of these names it takes what ends for a success
    with pytest.raises(Exception, match="no"):
        FunctionCommand.execute(refusal, fake_host.state, fake_host, {})
    with pytest.raises(Exception, match="no"):
        refusal.function(*refusal.args, **refusal.kwargs)


# ---- Standard input, diffs, names, packages, progress, containers, inventories


@pytest.mark.parametrize("lines", [["a"], ["KUBENODE_END", "it's $HOME `id` \\"], "one", []])
def test_without_stdin_contents_are_in_the_command(
    lines: Any, without: Callable[..., None], tmp_path: Path
) -> None:
    without("_stdin")
    command = pyinfra_internals.fed(
        StringCommand(f"cat >{tmp_path}/fed; exit 3", _stdin=lines, _timeout=5)
    )
    assert command.connector_arguments == {"_timeout": 5}
    ran = subprocess.run(["sh", "-c", command.get_raw_value()], stdin=subprocess.DEVNULL)
    assert ran.returncode == 3
    wanted = [lines] if isinstance(lines, str) else lines
    assert (tmp_path / "fed").read_text() == "".join(f"{line}\n" for line in wanted)


def test_with_stdin_a_command_stays_as_it_is() -> None:
    command = StringCommand("cat", _stdin=["a"])
    assert pyinfra_internals.fed(command) is command


def test_without_pyinfras_diff_there_is_one(without: Callable[..., None]) -> None:
    without("generate_color_diff")
    lines = list(pyinfra_internals.color_diff(["a\n", "same\n"], ["b\n", "same\n"]))
    assert {"-a", "+b", " same"} <= set(lines)


def test_without_a_prefix_a_line_names_its_host(without: Callable[..., None]) -> None:
    without("print_prefix")
    assert pyinfra_internals.print_prefix(_host()) == "[node] "


def test_without_its_switch_there_is_no_spinner(
    without: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress: Any = import_module("pyinfra.progress")
    monkeypatch.setattr(progress, "IS_TTY", True)
    monkeypatch.setenv("PYINFRA_PROGRESS", "on")
    without("PYINFRA_PROGRESS")
    pyinfra_internals.switch_off_progress()
    assert progress.IS_TTY is False


def test_without_the_connector_a_container_is_not_touched(without: Callable[..., None]) -> None:
    class PodmanConnector: ...

    class SSHConnector: ...

    without("DockerConnector")
    with pytest.raises(NotAsKnown):
        pyinfra_internals.docker_program(_host(connector=PodmanConnector()))
    assert pyinfra_internals.docker_program(_host(connector=SSHConnector())) is None


@pytest.mark.parametrize("name", ["make_inventory", "State"])
def test_without_pyinfras_inventory_the_audit_names_another_way(
    name: str, without: Callable[..., None]
) -> None:
    without(name)
    with pytest.raises(NotAsKnown, match=r"audit\.py"):
        pyinfra_internals.read_inventory("@local", ".", {}, [])


# ---- What is replaced when kubenode is imported: each in a Python of its own

_HEAD = """
from gevent import monkey
monkey.patch_all()
import sys, time
from pathlib import Path
from pyinfra.api import Config, Host, Inventory, State, StringCommand
from pyinfra.connectors import util
"""

_TAIL = """
from pyinfra.api import operation
from pyinfra.api.connect import connect_all
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host
from kubenode.run import pyinfra_internals
from kubenode.wire import bounded, joint_reading, probe
from kubenode.wire.probe_fact import ProbeFact

folder = Path(sys.argv[1])

class Content(ProbeFact):
    def command(self, word):
        self.word = word
        script = f"echo x >>{folder}/asked; value content $(cat {folder}/file)"
        return self.asking({word: probe.Script(script)})

    def parse(self, readings):
        return readings[self.word].value("content")

@operation()
@bounded.bounded(2)
def ours(word, *commands):
    seen.append(joint_reading.get_fact(Content, word=word))
    yield from commands

def run(*jobs):
    state = State(Inventory((["@local"], {})), Config(**config), check_for_changes=False)
    state.set_stage(StateStage.Prepare)
    connect_all(state)
    host = state.inventory.get_host("@local")
    (folder / "file").write_text("old")
    with ctx_host.use(host), joint_reading.announced([(Content, {"word": "a"}),
                                                      (Content, {"word": "b"})]):
        for job in jobs:
            add_op(state, ours, *job)
    state.set_stage(StateStage.Execute)
    try:
        run_ops(state)
    except Exception as error:
        print(error)
    return host not in state.failed_hosts

seen = []
config = {}
start = time.monotonic()
"""


def _alone(change: str, what: str, tmp_path: Path) -> str:
    script = _HEAD + textwrap.dedent(change) + _TAIL + textwrap.dedent(what)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


_OTHER_METHOD = """
original = Host.run_shell_command
def run_shell_command(host, *args, **kwargs):
    return original(host, *args, **kwargs)
Host.run_shell_command = run_shell_command
"""

_OTHER_READER = """
original = util.read_buffer
def read_buffer(name, stream, output_queue, print_output=False, print_func=None):
    return original(name, stream, output_queue, print_output, print_func)
util.read_buffer = read_buffer
"""


def test_without_the_method_pyinfras_own_limit_holds(tmp_path: Path) -> None:
    what = """
    assert not run(["a", "sleep 30"])
    assert time.monotonic() - start < 20
    assert run(["a", "echo new >{}/file".format(folder)], ["b"])
    assert seen == ["old", "old", "new"], seen
    assert len((folder / "asked").read_text().split()) == 3
    """
    assert "another Host.run_shell_command" in _alone(_OTHER_METHOD, what, tmp_path)


def test_with_the_method_operations_read_together(tmp_path: Path) -> None:
    what = """
    assert run(["a"], ["b"])
    assert seen == ["old", "old"]
    # one command, of two probes
    assert pyinfra_internals.operations_are_known()
    """
    assert _alone("", what, tmp_path) == ""


@pytest.mark.parametrize("flood", ["yes", "tr '\\\\0' x </dev/zero", "yes >&2"])
def test_without_the_reader_output_is_cut_on_the_host(flood: str, tmp_path: Path) -> None:
    what = f"""
    bounded.MOST_BYTES = 100000
    command = bounded._cut_on_the_host(bounded.Asked("{flood}"))
    code, output = util.run_local_process(command.get_raw_value())
    assert len(output.output) <= 200000, len(output.output)
    code, output = util.run_local_process(
        bounded._cut_on_the_host(StringCommand("echo out; echo error >&2; exit 7"))
        .get_raw_value()
    )
    assert (code, output.stdout, output.stderr) == (7, "out", "error"), (code, output)
    code, output = util.run_local_process(
        bounded._cut_on_the_host(StringCommand("cat")).get_raw_value(), stdin=["fed"]
    )
    assert (code, output.stdout) == (0, "fed")
    assert run(["a"], ["b"])
    assert seen == ["old", "old"]
    """
    assert "another read_buffer" in _alone(_OTHER_READER, what, tmp_path)


def test_a_reader_that_is_never_called_is_noticed(tmp_path: Path) -> None:
    # all is as known, and pyinfra does not use it
    change = """
    kept = util.read_buffer
    reads = util.read_output_buffers
    def read_output_buffers(*args, **kwargs):
        ours, util.read_buffer = util.read_buffer, kept
        try:
            return reads(*args, **kwargs)
        finally:
            util.read_buffer = ours
        read_buffer
    """
    what = """
    util.read_output_buffers = read_output_buffers
    assert run(["a"], ["b"])
    assert not bounded._read_here
    """
    assert "pyinfra reads output in another way" in _alone(change, what, tmp_path)


_SUDO = """
import os
bin = Path(sys.argv[1]) / "bin"
bin.mkdir()
(bin / "sudo").write_text('#!/bin/sh\\necho "sudo: {said}" >&2\\nexit 1\\n')
(bin / "sudo").chmod(0o755)
os.environ["PATH"] = f"{{bin}}:{{os.environ['PATH']}}"
"""

_ASKS = """
config["SUDO"] = True
assert not run(["a", "true"])
assert not asked, "somebody was asked"
"""


@pytest.mark.parametrize("said", ["a password is required", "sorry, you must have a tty to run"])
@pytest.mark.parametrize("is_known", [True, False])
def test_nobody_is_asked_where_nobody_can_type(is_known: bool, said: str, tmp_path: Path) -> None:
    change = "\nasked = []\n" + _SUDO.format(said=said)
    if not is_known:
        # asked for in another way than through the module's name
        change += """
def retry(host, command_arguments, execute_command):
    code, output = execute_command()
    if any(line.line in util.SUDO_PASSWORD_REQUIRED_LINES for line in output):
        asked.append(host)
    return code, output
util.execute_command_with_sudo_retry = retry
import pyinfra.connectors.local
pyinfra.connectors.local.execute_command_with_sudo_retry = retry
"""
    output = _alone(change, _ASKS, tmp_path)
    assert ("another getpass" in output) is not is_known
    assert ("requiretty" in output) is ("tty" in said)
    assert ("NOPASSWD" in output) is ("password" in said)
