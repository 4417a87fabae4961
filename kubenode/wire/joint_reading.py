"""What several operations read of a host, read in one remote command.

A deploy announces what its operations will read. The first operation reads all of it, and each of
the others takes its part of that answer. Each takes it once. What it reads after its own commands,
or when pyinfra retries it, it reads on the host. So does an operation outside such a deploy.

pyinfra keeps no facts. Without this, each operation costs a round trip, even when it has nothing to
do.

An answer counts only while it is what the operation would read itself:

+ The operation asks by the same scripts, to the letter, as the same user, in the same directory.
+ No operation has executed a command on this host since, ours or another. pyinfra remembers only
  the last try, so a retry counts as a change.
+ Nothing else was sent to this host since: no command but our facts', and no file. This finds what
  the rule above misses if pyinfra's operations change.
+ It was read in the same stage: an answer of preparing does not count while executing.
+ It is at most :data:`MOST_SECONDS` old, because pyinfra does not know of every change.

Otherwise the answer is dropped for all operations, and each reads for itself. So do all operations
with a pyinfra that is not as :mod:`kubenode.run.pyinfra_internals` knows it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pyinfra.api import Host
from pyinfra.context import ctx_host

from kubenode.run import pyinfra_internals
from kubenode.wire import bounded, probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Readings

T = TypeVar("T")
U = TypeVar("U")

MOST_SECONDS = 60
"""How old an answer may be."""

_MOST_CHARACTERS = 96 * 1024
"""Of the joint command: one argument of execve(2) takes 128 KiB, and sudo and a shell are in it."""


class _MustAskItself(Exception):
    """No joint answer is one for this operation."""


class Scripts(dict[str, probe.Script]):
    """Probes' scripts by name; in pyinfra's messages, the names."""

    def __str__(self) -> str:
        return ",".join(self)


class JointReading(ProbeFact[Readings]):
    """
    Returns the readings of several probes, by name; those that are cut off or out of form are left
    out.

    + scripts: by probe name
    """

    def command(self, scripts: Scripts) -> str:
        return self.asking(scripts)

    def parse(self, readings: Readings) -> Readings:
        return readings


class _Answer:
    """What a host said, and all that tells whether it still counts."""

    def __init__(self, host: Host, scripts: Scripts) -> None:
        self._scripts = scripts
        self._how = pyinfra_internals.connector_arguments(host)
        self._before = {op_hash for op_hash, op in pyinfra_internals.outcomes(host) if op.complete}
        self._changes = bounded.changes(host)
        self._asked = time.monotonic()
        self.readings = _asked(host, JointReading, {"scripts": scripts})

    def counts(self, host: Host, scripts: Mapping[str, probe.Script]) -> bool:
        return (
            time.monotonic() - self._asked <= MOST_SECONDS
            and all(self._scripts.get(name) == script for name, script in scripts.items())
            and self._how == pyinfra_internals.connector_arguments(host)
            and self._changes == bounded.changes(host)
            and not any(
                op.executed or op.retried
                for op_hash, op in pyinfra_internals.outcomes(host)
                if op_hash not in self._before and op.complete
            )
        )


class _Group:
    """The operations of one deploy on one host, and what they have not read yet."""

    def __init__(self, host: Host, announced: list[Mapping[str, probe.Script]]) -> None:
        self._announced = announced
        self._called_before = pyinfra_internals.op_hashes(host)
        self._called: list[str] | None = None
        self._begin(host)

    def _begin(self, host: Host) -> None:
        self._stage = pyinfra_internals.stage(host)
        self._pending = list(self._announced)
        self._served: set[tuple[str | None, frozenset[str]]] = set()
        self._answer: _Answer | None = None

    def close(self, host: Host) -> None:
        self._called = pyinfra_internals.op_hashes(host)

    def has(self, host: Host) -> bool:
        """Whether the operation that runs is one of ours, and not another that contains ours."""
        called = pyinfra_internals.op_hashes(host) if self._called is None else self._called
        first = len(self._called_before)
        if called[:first] != self._called_before:
            raise pyinfra_internals.NotAsKnown("op_hash_order")
        return pyinfra_internals.current_op(host) in called[first:]

    def value(self, host: Host, cls: type[ProbeFact[T]], arguments: dict[str, Any]) -> T | None:
        """The fact from the joint answer; _MustAskItself where there is none for it."""
        if self._stage != pyinfra_internals.stage(host):
            self._begin(host)
        own = {name for name in arguments if name.startswith("_")}
        fact = cls()
        fact.command(**{name: arguments[name] for name in arguments if name not in own})
        served = (pyinfra_internals.current_op(host), frozenset(fact.scripts))
        if fact.scripts not in self._pending or served in self._served:
            raise _MustAskItself
        joint = Scripts()
        for scripts in self._pending:
            for name, script in scripts.items():
                joint.setdefault(name, script)
        self._pending.remove(fact.scripts)
        self._served.add(served)
        if own:
            raise _MustAskItself
        if self._answer is None or not self._answer.counts(host, fact.scripts):
            self._answer = None
            if not self._pending or len(probe.command(joint)) > _MOST_CHARACTERS:
                raise _MustAskItself
            self._answer = _Answer(host, joint)
        readings = self._answer.readings
        if readings is None:
            # the command failed, which pyinfra has said, and so would the next one
            self._answer = None
            return None
        try:
            return fact.parse(Readings({name: readings[name] for name in fact.scripts}))
        # asked alone, the fact says what is wrong with the host's answer
        except Exception as error:
            raise _MustAskItself from error


_groups: WeakKeyDictionary[Host, list[_Group]] = WeakKeyDictionary()


@contextmanager
def announced(facts: Sequence[tuple[type[ProbeFact[Any]], Mapping[str, Any]]]) -> Iterator[None]:
    """Let the operations called in this block read together.

    + facts: the facts they are going to read first, with their arguments, in the operations' order

    Only operations that read by :func:`get_fact`, and are called here, take part. A fact that none
    of them reads is read for nothing; one that is not announced is read by its operation alone.
    """
    host: Host = ctx_host.get()
    scripts = []
    for cls, arguments in facts:
        fact = cls()
        fact.command(**arguments)
        # a fact whose arguments are wrong asks for nothing; its operation says so
        if fact.scripts:
            scripts.append(fact.scripts)
    group = None
    if pyinfra_internals.operations_are_known():
        with suppress(pyinfra_internals.NotAsKnown):
            group = _Group(host, scripts)
            _groups.setdefault(host, []).append(group)
    try:
        yield
    finally:
        if group is not None:
            try:
                group.close(host)
            except pyinfra_internals.NotAsKnown:
                _groups[host].remove(group)


def get_fact(cls: type[ProbeFact[T]], **arguments: Any) -> T | None:
    """What ``host.get_fact`` returns, without asking the host where a joint answer still counts.

    + cls: the fact
    + arguments: the fact's, and pyinfra's such as ``_sudo``: with one of these it is read alone

    For what an operation reads first, before it yields a command.
    """
    host: Host = ctx_host.get()
    for group in _groups.get(host, ()):
        # whatever pyinfra's parts have become: the host is asked, and what it says is true
        try:
            if group.has(host):
                return group.value(host, cls, arguments)
        except _MustAskItself:
            break
        except (pyinfra_internals.NotAsKnown, AttributeError, KeyError, TypeError):
            break
    return _asked(host, cls, arguments)


def get_both(first: type[ProbeFact[T]], second: type[ProbeFact[U]]) -> tuple[T | None, U | None]:
    """Two facts in one remote command, and in none where a joint answer still counts for both.

    + first, second: facts without arguments

    For an operation that reads two facts before it yields a command; of a deploy that announces
    both, they are part of the joint reading as with :func:`get_fact`.
    """
    one, other = get_each([(first, {}), (second, {})])
    return one, other


def get_each(facts: Sequence[tuple[type[ProbeFact[Any]], Mapping[str, Any]]]) -> list[Any]:
    """The same of any number of facts, in their order.

    + facts: with their arguments; no two have a probe of the same name and other scripts
    """
    host: Host = ctx_host.get()
    scripts = Scripts()
    for cls, arguments in facts:
        fact = cls()
        fact.command(**arguments)
        scripts.update(fact.scripts)
    # whatever pyinfra's parts have become: the host is asked, and what it says is true
    try:
        if any(group.has(host) for group in _groups.get(host, ())):
            return [get_fact(cls, **arguments) for cls, arguments in facts]
        readings = _asked(host, JointReading, {"scripts": scripts})
    except (pyinfra_internals.NotAsKnown, AttributeError, KeyError, TypeError):
        return [_asked(host, cls, arguments) for cls, arguments in facts]
    if readings is None:
        # the command failed, which pyinfra has said, and so would the next one
        return [None for _ in facts]
    return [_taken(host, cls, arguments, readings) for cls, arguments in facts]


def _taken(
    host: Host, cls: type[ProbeFact[T]], arguments: Mapping[str, Any], readings: Readings
) -> T | None:
    fact = cls()
    fact.command(**arguments)
    try:
        return fact.parse(Readings({name: readings[name] for name in fact.scripts}))
    # asked alone, the fact says what is wrong with the host's answer
    except Exception:
        return _asked(host, cls, arguments)


def get_fact_now(cls: type[ProbeFact[T]], **arguments: Any) -> T | None:
    """What the host says now, as by :func:`get_fact`, for what is read after a command.

    + cls: the fact
    + arguments: the fact's
    """
    return _asked(ctx_host.get(), cls, arguments)


def get_fact_if_it_answers(cls: type[ProbeFact[T]], **arguments: Any) -> T | None:
    """What the host says now, as by :func:`get_fact_now`; a host that does not say it goes on.

    + cls: the fact
    + arguments: the fact's

    For what is told beforehand, and is no reason to fail a host that is only looked at.
    """
    return _asked(ctx_host.get(), cls, {"_ignore_errors": True, **arguments})


def _asked(host: Host, cls: type[ProbeFact[T]], arguments: Mapping[str, Any]) -> T | None:
    if pyinfra_internals.is_executing(host):
        # The operation refuses where a fact is None. Were it pyinfra that fails the host, it would
        # end the run from inside the operation, with a traceback, where no other host is left.
        arguments = {"_ignore_errors": True, **arguments}
    value: T | None = host.get_fact(cls, **arguments)
    return value
