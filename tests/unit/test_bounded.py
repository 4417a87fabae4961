"""A bound on kubenode's own commands: on this machine, by pyinfra itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import gevent
import pytest
from pyinfra.api import Config, FactBase, Host, Inventory, State, StringCommand, operation
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host

from kubenode.wire import bounded, probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading


class Prints(ProbeFact[dict[str, str]]):
    """A fact of kubenode's that runs what it is told to before it answers."""

    def command(self, run: str) -> str:
        return bounded.Asked(f"{run}\n{self.asking({'own': probe.Script('value key value')})}")

    def parse(self, readings: dict[str, Reading]) -> dict[str, str]:
        return dict(readings["own"].values)


class Theirs(FactBase[int]):
    """A fact of somebody else's."""

    def command(self, run: str) -> str:
        return run

    def process(self, output: list[str]) -> int:
        return len(output)


@pytest.fixture
def state() -> Iterator[State]:
    state = State(Inventory((["@local"], {})), Config(), check_for_changes=False)
    state.set_stage(StateStage.Prepare)
    connect_all(state)
    yield state
    disconnect_all(state)


@pytest.fixture
def host(state: State) -> Host:
    return state.inventory.get_host("@local")


def ask(host: Host, run: str, fact: Any = Prints, **arguments: Any) -> Any:
    with ctx_host.use(host):
        return host.get_fact(fact, run=run, _ignore_errors=True, **arguments)


def runs(host: Host, operation_: Any, *arguments: Any, **named: Any) -> bool:
    """Run one operation; whether the host survives it."""
    state = host.state
    add_op(state, operation_, *arguments, **named)
    state.set_stage(StateStage.Execute)
    # the only host: when it fails, pyinfra ends the run
    with suppress(PyinfraError):
        run_ops(state)
    return host not in state.failed_hosts


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "FACT_SECONDS", 1)


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 100_000)
    monkeypatch.setattr(bounded, "MOST_LINES", 1000)


def processes(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in command:
            found.append(command)
    return found


def test_what_answers_in_time_answers(host: Host) -> None:
    assert ask(host, "printf 'not ours\\n'; echo error >&2") == {"key": "value"}


@pytest.mark.parametrize(
    "run",
    [
        "exec sleep 98765",
        "trap '' TERM; sleep 98765",
        # streams closed, and no exit code
        "exec >&- 2>&-; exec sleep 98765",
        "while :; do echo x; sleep 0.01; done; # 98765",
    ],
)
def test_what_hangs_is_given_up_and_killed(run: str, host: Host, soon: None) -> None:
    start = time.monotonic()
    assert ask(host, run) is None
    assert time.monotonic() - start < 5
    gevent.sleep(0.5)
    assert not processes("98765")


@pytest.mark.parametrize("error", ["", " >&2"])
@pytest.mark.parametrize(
    "run", ["yes", "cat /dev/zero", "tr '\\0' x </dev/zero", "yes '' ", "exec cat /dev/urandom"]
)
def test_what_floods_is_given_up(run: str, error: str, host: Host) -> None:
    start = time.monotonic()
    assert ask(host, run + error) is None
    assert time.monotonic() - start < 10


def test_the_users_own_limit_goes_before(host: Host, soon: None) -> None:
    assert ask(host, "sleep 1.5", _timeout=5) == {"key": "value"}
    start = time.monotonic()
    assert ask(host, "sleep 30", _timeout=1) is None
    assert time.monotonic() - start < 5


def test_what_is_sent_beyond_the_bound_is_not_kept(host: Host, little: None) -> None:
    assert ask(host, "head -c 90000 /dev/zero | tr '\\0' x; echo") == {"key": "value"}
    assert ask(host, "head -c 110000 /dev/zero | tr '\\0' x; echo") is None
    assert ask(host, "yes | head -n 1100") is None


def test_what_is_no_text_does_not_end_the_reading(host: Host) -> None:
    assert ask(host, "printf '\\377\\n'") == {"key": "value"}


def test_nothing_that_a_terminal_obeys_comes_through(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    evil = r"\033]0;owned\007 \302\233 \342\200\256 \r over"
    assert ask(host, f"printf 'tab\\t {evil}\\r\\n end {evil}' >&2; exit 1") is None
    said = "".join(record.getMessage() for record in caplog.records)
    assert "owned" in said
    # pyinfra's own colours aside
    assert not set("\a\r\x9b\u202e") & set(said)
    assert "\x1b]" not in said


def test_others_are_not_bounded(host: Host, soon: None, little: None) -> None:
    assert ask(host, "yes | head -n 20000", Theirs) == 20000
    assert ask(host, "sleep 1.5; echo", Theirs) == 1


@operation()
@bounded.bounded(1)
def ours(first: Callable[[Host], Any], *commands: Any) -> Generator[Any, None, None]:
    first(ctx_host.get())
    yield from commands


def nothing(host: Host) -> None:
    """What an operation reads that reads nothing."""


@pytest.mark.parametrize(
    "command", ["sleep 60", "yes", "exec >&- 2>&-; sleep 60", "tr '\\0' x </dev/zero >&2"]
)
def test_an_operations_command_is_bounded(command: str, host: Host) -> None:
    start = time.monotonic()
    assert not runs(host, ours, nothing, command)
    assert time.monotonic() - start < 10


def test_one_that_is_given_up_is_not_gone_on_with(host: Host, tmp_path: Any) -> None:
    assert not runs(host, ours, nothing, "sleep 60", f"touch {tmp_path}/after")
    assert not (tmp_path / "after").exists()


@pytest.mark.parametrize("command", ["sleep 60", "exec 0<&-; sleep 60", "exit 0"])
def test_one_that_does_not_read_what_it_is_given(command: str, host: Host) -> None:
    start = time.monotonic()
    runs(host, ours, nothing, StringCommand(command, _stdin=["x" * 1_000_000]))
    assert time.monotonic() - start < 10


def test_an_operation_may_be_given_more_time(host: Host) -> None:
    assert runs(host, ours, nothing, StringCommand("sleep 1.5"), _timeout=10)


def test_what_others_facts_do_inside_ours_is_bounded(host: Host, soon: None) -> None:
    seen = []

    def first(host: Host) -> None:
        seen.append(host.get_fact(Theirs, run="sleep 60", _ignore_errors=True))

    start = time.monotonic()
    runs(host, ours, first, ":")
    assert time.monotonic() - start < 5
    assert seen == [None]


def test_a_command_keeps_its_arguments(host: Host, tmp_path: Any) -> None:
    command = StringCommand(f"cat >{tmp_path}/fed", _stdin=["a", "b"])
    assert runs(host, ours, nothing, command, StringCommand("exit 7", _success_exit_codes=[7]))
    assert (tmp_path / "fed").read_text() == "a\nb\n"


def test_all_that_an_operation_runs_is_a_line_for_any_login_shell(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what pyinfra runs meanwhile: its own facts, and what puts a password's file there."""
    lines: list[str] = []
    run = host.connector.run_shell_command

    def connector(command: Any, *args: Any, **kwargs: Any) -> Any:
        lines.append(str(command))
        if len(lines) == 1:
            assert host.run_shell_command("cat <<'EOF' |\na\\nb!\nEOF\ngrep -Fx 'a\\nb!'")[0]
        return run(command, *args, **kwargs)

    def first(host: Host) -> None:
        assert host.get_fact(Theirs, run="! false &&\nprintf 'a\\nb!\\n'") == 2

    monkeypatch.setattr(host.connector, "run_shell_command", connector)
    assert runs(
        host, ours, first, StringCommand("read -r line\n[ \"$line\" = 'a!' ]", _stdin=["a!"])
    )
    # the fact, what is run before it, and the operation's own
    assert len(lines) == 3
    assert [line for line in lines if not re.fullmatch(r"[\w +/=%$(){}|;:*#\"><&-]+", line)] == []


@pytest.mark.parametrize("error", [EOFError(), RuntimeError("a\x1b[31m"), BrokenPipeError()])
def test_whatever_comes_up_fails_the_host_alone(
    error: Exception, host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(host.connector, "run_shell_command", broken)
    assert ask(host, ":") is None
    assert "password" not in caplog.text
    assert "\x1b[31m" not in caplog.text


def test_a_bound_of_the_callers_is_the_callers(host: Host) -> None:
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.5):
        ask(host, "sleep 60")
    assert ask(host, ":") == {"key": "value"}


def test_many_at_once_are_bounded_each(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "FACT_SECONDS", 12)
    jobs = [gevent.spawn(ask, host, run) for run in ["sleep 60", ":", "yes", ":", "sleep 60"]]
    gevent.joinall(jobs, timeout=60)
    assert [job.value for job in jobs] == [None, {"key": "value"}, None, {"key": "value"}, None]
    assert not bounded._running


# ---- All of kubenode's facts and operations


FACTS = [path for path in (Path(__file__).parent.parent / "facts").iterdir() if path.is_dir()]


@pytest.mark.parametrize("folder", FACTS, ids=lambda folder: folder.name)
def test_every_fact_is_bounded(folder: Path) -> None:
    module, _, name = folder.name.partition(".")
    fact = getattr(import_module(f"kubenode.facts.{module}"), name)
    for case in folder.glob("*.json"):
        arguments = json.loads(case.read_text()).get("arg") or []
        command = (
            fact().command(**arguments)
            if isinstance(arguments, dict)
            else fact().command(*([arguments] if isinstance(arguments, str) else arguments))
        )
        assert isinstance(command, bounded.Asked)


def test_those_are_all_facts() -> None:
    folder = Path(import_module("kubenode.facts").__path__[0])
    modules = {import_module(f"kubenode.facts.{path.stem}") for path in folder.glob("[!_]*.py")}
    here = {cls for module in modules for cls in vars(module).values() if isinstance(cls, type)}
    facts = {f"{c.__module__.split('.')[-1]}.{c.__name__}" for c in here if _is_ours(c)}
    assert facts == {path.name for path in FACTS}


def _is_ours(cls: type) -> bool:
    return issubclass(cls, ProbeFact) and cls is not ProbeFact


OPERATIONS = [
    "audit",
    "cni",
    "containerd",
    "crictl",
    "crio",
    "docker",
    "kernel",
    "kubelet",
    "kubernetes",
    "logind",
    "packages",
    "platform",
    "prerequisites",
    "runtime",
    "swap",
]


def test_those_are_all_operations() -> None:
    folder = Path(import_module("kubenode.operations").__path__[0])
    here = {
        f.__module__.rpartition(".")[2]
        for path in folder.glob("[!_]*.py")
        for f in vars(import_module(f"kubenode.operations.{path.stem}")).values()
        if hasattr(f, "_inner")
    }
    # containerd has its own in further modules, such as containerd_registry
    assert {name for name in here if not name.startswith("containerd_")} == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_bounded(name: str) -> None:
    module = import_module(f"kubenode.operations.{name}")
    operations = [f for f in vars(module).values() if hasattr(f, "_inner")]
    assert operations
    for operation_ in operations:
        assert operation_._inner.__code__.co_name == "operation"
        # its own, that of a module such as containerd_registry, or another's
        home = operation_._inner.__wrapped__.__module__
        assert home.startswith(module.__name__) or home.rpartition(".")[2] in OPERATIONS
