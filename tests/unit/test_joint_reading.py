"""Operations that read together: on this machine, by pyinfra itself.

What a fact returns is what a file holds; a second file counts how often a host was asked.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State, deploy, operation
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.deploy import add_deploy
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host
from pyinfra.operations import python

from kubenode.run import pyinfra_internals
from kubenode.wire import bounded, joint_reading, probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Readings


class Content(ProbeFact[str]):
    """What the file *path* holds; *probe_name* lets several be asked for at once."""

    def command(self, path: str, probe_name: str = "content", comment: str = "") -> str:
        self.probe_name = probe_name
        quoted = shlex.quote(path)
        return self.asking(
            {
                probe_name: probe.Script(
                    f"echo {probe_name} $$ >>{quoted}.asked\n"
                    f'value content "$(cat {quoted})" # {comment}'
                )
            }
        )

    def parse(self, readings: Readings) -> str:
        return readings[self.probe_name].values["content"]


class Broken(Content):
    """Cannot make sense of an answer."""

    def parse(self, readings: Readings) -> str:
        raise ValueError


class Seen(list[Any]):
    """What the operations read, in order."""


@operation()
def reads(
    path: str,
    seen: Seen,
    probe_name: str = "content",
    fact: Any = Content,
    then: tuple[str, ...] = (),
    again: bool = False,
    before: tuple[str, ...] = (),
) -> Generator[str, None, None]:
    yield from before
    seen.append(joint_reading.get_fact(fact, path=path, probe_name=probe_name))
    yield from then
    if again:
        seen.append(joint_reading.get_fact(fact, path=path, probe_name=probe_name))


@operation()
def contains_ours(path: str, seen: Seen) -> Generator[str, None, None]:
    yield f"echo changed >{shlex.quote(path)}"
    yield from reads._inner(path, seen)


class Machine:
    """This machine as pyinfra's only host, and a file on it."""

    def __init__(self, path: Path, state: State) -> None:
        self.state = state
        self.path = str(path)
        self.seen = Seen()
        self.change = f"echo changed >{shlex.quote(self.path)}"

    def deploy(self, body: Callable[[], None]) -> None:
        add_deploy(self.state, deploy("Test")(body))

    def run(self) -> None:
        self.state.set_stage(StateStage.Execute)
        run_ops(self.state)

    def asked(self) -> list[str]:
        """Which probes ran, in order."""
        return [name for name, _ in self._log()]

    def commands(self) -> int:
        """How many remote commands they were."""
        return len({process for _, process in self._log()})

    def _log(self) -> list[list[str]]:
        log = Path(f"{self.path}.asked")
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def announced(self, *names: str) -> Any:
        return joint_reading.announced(
            [(Content, {"path": self.path, "probe_name": name}) for name in names]
        )

    def reads(self, name: str, **arguments: Any) -> Any:
        return reads(path=self.path, seen=self.seen, probe_name=name, **arguments)


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    states = []

    def make(prepares: bool = False) -> Machine:
        path = tmp_path / "a file"
        path.write_text("old\n")
        inventory = Inventory((["@local"], {}))
        state = State(inventory, Config(), check_for_changes=prepares)
        states.append(state)
        state.set_stage(StateStage.Prepare)
        connect_all(state)
        return Machine(path, state)

    yield make
    for state in states:
        disconnect_all(state)


@pytest.fixture
def machine(make_machine: Callable[..., Machine]) -> Machine:
    return make_machine()


def test_operations_that_change_nothing_ask_once(machine: Machine) -> None:
    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b", "c"):
            for name in "abc":
                machine.reads(name)

    machine.run()
    assert machine.seen == ["old"] * 3
    assert machine.asked() == ["a", "b", "c"]
    assert machine.commands() == 1


def test_what_is_not_announced_is_read_as_ever(machine: Machine) -> None:
    @machine.deploy
    def body() -> None:
        machine.reads("a")
        machine.reads("a")

    machine.run()
    assert machine.asked() == ["a", "a"]


def test_two_operations_may_read_the_same(machine: Machine) -> None:
    @machine.deploy
    def body() -> None:
        with machine.announced("a", "a"):
            machine.reads("a")
            machine.reads("a")
            machine.reads("a")

    machine.run()
    # the third one was not announced
    assert machine.asked() == ["a", "a"]


def test_after_our_change_the_rest_is_read_again_together(machine: Machine) -> None:
    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b", "c"):
            machine.reads("a", then=(machine.change,))
            machine.reads("b")
            machine.reads("c")

    machine.run()
    assert machine.seen == ["old", "changed", "changed"]
    assert machine.asked() == ["a", "b", "c", "b", "c"]
    assert machine.commands() == 2


def test_an_operation_takes_an_answer_once(machine: Machine) -> None:
    @machine.deploy
    def body() -> None:
        with machine.announced("a", "a", "b"):
            machine.reads("a", then=(machine.change,), again=True)
            machine.reads("b")

    machine.run()
    assert machine.seen == ["old", "changed", "changed"]


def _another(machine: Machine) -> None:
    def change() -> None:
        Path(machine.path).write_text("changed\n")

    python.call(function=change)


def _failing(machine: Machine) -> None:
    _fails(command=f"{machine.change}; false", _ignore_errors=True)


def _retried(machine: Machine) -> None:
    # the second try has nothing to do any more, and so shows no command
    _tries(command=f"{machine.change}; false", tries=[], _retries=1, _retry_delay=0)


@operation()
def _fails(command: str) -> Generator[str, None, None]:
    yield command


@operation()
def _tries(command: str, tries: list[str]) -> Generator[str, None, None]:
    if not tries:
        tries.append(command)
        yield command


@pytest.mark.parametrize("others", [_another, _failing, _retried])
def test_after_somebody_elses_command_it_is_read_again(
    machine: Machine, others: Callable[[Machine], None]
) -> None:
    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b"):
            machine.reads("a")
            others(machine)
            machine.reads("b")

    machine.run()
    assert machine.seen == ["old", "changed"]


def test_an_operation_that_contains_ours_reads_for_itself(machine: Machine) -> None:
    @machine.deploy
    def body() -> None:
        with machine.announced("a", "content"):
            machine.reads("a")
        contains_ours(path=machine.path, seen=machine.seen)

    machine.run()
    assert machine.seen == ["old", "changed"]


@pytest.mark.parametrize("arguments", [{"_env": {"A": "1"}}, {"_chdir": "/"}])
def test_one_that_runs_otherwise_reads_for_itself(
    machine: Machine, arguments: dict[str, Any]
) -> None:
    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b"):
            machine.reads("a")
            machine.reads("b", **arguments)

    machine.run()
    assert machine.asked() == ["a", "b", "b"]


def test_an_old_answer_does_not_count(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_reading, "MOST_SECONDS", -1)

    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b"):
            machine.reads("a")
            machine.reads("b")

    machine.run()
    assert machine.asked() == ["a", "b", "b"]


def test_what_was_read_to_prepare_does_not_judge(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(prepares=True)

    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b"):
            machine.reads("a")
            machine.reads("b")

    assert machine.asked() == ["a", "b"]
    Path(machine.path).write_text("changed\n")
    machine.run()
    assert machine.seen == ["old", "old", "changed", "changed"]
    assert machine.asked() == ["a", "b", "a", "b"]
    assert machine.commands() == 2


def test_a_part_that_is_out_of_form_spoils_no_other(machine: Machine) -> None:
    @machine.deploy
    def body() -> None:
        facts: list[Any] = [
            (Broken, {"path": machine.path, "probe_name": "a"}),
            (Content, {"path": machine.path, "probe_name": "b"}),
        ]
        with joint_reading.announced(facts):
            machine.reads("a", fact=Broken, _ignore_errors=True)
            machine.reads("b")

    machine.run()
    assert machine.seen == [None, "old"]
    # the broken one was asked for alone too, and said itself what is wrong
    assert machine.asked() == ["a", "b", "a"]


def test_a_very_long_command_is_not_made(machine: Machine) -> None:
    long = {"path": machine.path, "probe_name": "a", "comment": "x" * 100_000}

    @machine.deploy
    def body() -> None:
        with joint_reading.announced(
            [(Content, long), (Content, {"path": machine.path, "probe_name": "b"})]
        ):
            machine.reads("b")

    machine.run()
    assert machine.seen == ["old"]
    assert machine.asked() == ["b"]


def test_in_an_operation_made_by_a_callback(machine: Machine) -> None:
    def callback() -> None:
        with machine.announced("a", "b"):
            machine.reads("a")
            machine.reads("b")
        with machine.announced("a", "b"):
            machine.reads("a", then=(machine.change,))
            machine.reads("b")

    with ctx_host.use(next(iter(machine.state.inventory))):
        add_op(machine.state, python.call, function=callback)
    machine.run()
    assert machine.seen == ["old", "old", "old", "changed"]
    assert machine.asked() == ["a", "b", "a", "b", "b"]


# ---- What pyinfra says may come to mean something else

OperationMeta: Any = import_module("pyinfra.api.operation").OperationMeta


def _says(value: Any) -> Any:
    return property(lambda self: value)


MEANINGS: dict[str, tuple[Any, str, Any]] = {
    "nothing-is-executed": (OperationMeta, "executed", _says(False)),
    "nothing-is-retried": (OperationMeta, "was_retried", _says(False)),
    "nothing-is-complete": (OperationMeta, "is_complete", lambda self: self._success == "never"),
    "executed-is-a-count": (OperationMeta, "executed", _says(0)),
    "executed-is-a-method": (OperationMeta, "executed", lambda self: False),
    "complete-is-none": (OperationMeta, "is_complete", lambda self: None),
    "commands-are-not-counted": (bounded, "changes", lambda host: 0),
    "arguments-are-none": (
        pyinfra_internals,
        "connector_arguments",
        lambda host: {},
    ),
    "stages-are-one": (pyinfra_internals, "stage", lambda host: (True, None)),
    "every-operation-is-another": (
        pyinfra_internals,
        "current_op",
        lambda host: host.op_hash_order[-1],
    ),
}


@pytest.mark.parametrize("meaning", MEANINGS)
def test_whatever_comes_to_mean_something_else_no_answer_is_stale(
    meaning: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*MEANINGS[meaning])

    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b", "c", "d"):
            machine.reads("a")
            machine.reads("b", then=(machine.change,), again=True)
            machine.reads("c")
            python.call(
                function=lambda: ctx_host.get().run_shell_command(f"echo later >{machine.path!r}")
            )
            machine.reads("d")

    machine.run()
    assert machine.seen == ["old", "old", "changed", "changed", "later"]


@pytest.mark.parametrize("name", pyinfra_internals.READ_TOGETHER)
def test_where_pyinfra_is_not_as_known_each_reads_alone(
    name: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds = pyinfra_internals._holds
    monkeypatch.setattr(pyinfra_internals, "_holds", lambda part: part != name and holds(part))

    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b"):
            machine.reads("a", then=(machine.change,))
            machine.reads("b")

    machine.run()
    assert machine.seen == ["old", "changed"]
    assert machine.commands() == 2


@pytest.mark.parametrize(
    "other",
    [
        {"op_hash_order": ()},
        {"op_hash_order": None},
        {"current_op_hash": 1},
        {"current_op_global_arguments": {}},
    ],
)
def test_what_turns_out_to_be_another_in_the_middle_is_read_alone(
    other: dict[str, Any], machine: Machine
) -> None:
    [host] = machine.state.inventory

    @operation()
    def reads_with_another() -> Generator[str, None, None]:
        kept = {name: getattr(host, name) for name in other}
        vars(host).update(other)
        try:
            yield from reads._inner(machine.path, machine.seen, "b")
        finally:
            vars(host).update(kept)

    @machine.deploy
    def body() -> None:
        with machine.announced("a", "b"):
            machine.reads("a")
            reads_with_another()

    machine.run()
    assert machine.seen == ["old", "old"]
    assert machine.commands() == 2


class First(ProbeFact[str]):
    """What the file *path* holds; no arguments."""

    probe_name = "first"
    path = ""

    def command(self) -> str:
        self.content = Content()
        command = self.content.command(path=type(self).path, probe_name=self.probe_name)
        self.scripts = self.content.scripts
        return command

    def parse(self, readings: Readings) -> str:
        return self.content.parse(readings)


class Second(First):
    probe_name = "second"


class Unparsed(Second):
    """Makes sense of the second answer only."""

    tries = 0

    def parse(self, readings: Readings) -> str:
        type(self).tries += 1
        if type(self).tries == 1:
            raise ValueError
        return super().parse(readings)


@operation()
def reads_both(
    seen: Seen, second: Any = Second, then: tuple[str, ...] = ()
) -> Generator[str, None, None]:
    seen.append(joint_reading.get_both(First, second))
    yield from then


@pytest.fixture
def both(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(First, "path", machine.path)
    return machine


def test_one_operation_reads_two_facts_in_one_command(both: Machine) -> None:
    @both.deploy
    def body() -> None:
        reads_both(seen=both.seen)

    both.run()
    assert both.seen == [("old", "old")]
    assert both.commands() == 1


def test_two_facts_of_one_operation_are_part_of_what_is_announced(both: Machine) -> None:
    @both.deploy
    def body() -> None:
        announced = [(Content, {"path": both.path, "probe_name": "a"}), (First, {}), (Second, {})]
        with joint_reading.announced(announced):
            both.reads("a")
            reads_both(seen=both.seen)

    both.run()
    assert both.seen == ["old", ("old", "old")]
    assert both.commands() == 1


def test_after_a_command_two_facts_are_read_again(both: Machine) -> None:
    @both.deploy
    def body() -> None:
        announced = [(Content, {"path": both.path, "probe_name": "a"}), (First, {}), (Second, {})]
        with joint_reading.announced(announced):
            both.reads("a", then=(both.change,))
            reads_both(seen=both.seen)

    both.run()
    assert both.seen == ["old", ("changed", "changed")]
    assert both.commands() == 2


def test_of_two_facts_the_one_that_is_out_of_form_asks_alone(
    both: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unparsed, "tries", 0)

    @both.deploy
    def body() -> None:
        reads_both(seen=both.seen, second=Unparsed)

    both.run()
    assert both.seen == [("old", "old")]
    assert both.asked() == ["first", "second", "second"]
