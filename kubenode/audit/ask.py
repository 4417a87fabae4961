"""Ask every host of an inventory for its Node fact: once, in parallel."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gevent
from gevent.subprocess import PIPE, run
from pyinfra.api import Host, State
from pyinfra.api.facts import get_fact
from pyinfra.context import ctx_host

from kubenode.facts.node import Node, NodeShape
from kubenode.run import pyinfra_internals
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.wire.unattended import nobody_can_type, sudo_problem


@dataclass(frozen=True)
class Answer:
    """What came of asking one host."""

    host: Host
    facts: NodeShape | None
    error: str | None
    """Why there are no facts."""


class NoAnswer(Exception):
    """A host that cannot be asked, and why."""


def hosts(
    state: State,
    asked: Iterable[Host],
    names: Callable[[Host], tuple[list[str], list[str]]],
    *,
    seconds: int,
    answered: Callable[[Answer], None] = lambda answer: None,
) -> list[Answer]:
    """Ask the hosts; one remote command each.

    + state: pyinfra's state, initialised with the inventory
    + asked: whom to ask
    + names: a host's further modules and sysctls
    + seconds: how long one host may take, connecting included
    + answered: called with each answer as it comes

    Returns the answers in the order of *asked*. A host that fails does not affect the others.
    A host fails where sudo wants a password: nobody is asked for one, since pyinfra would have to
    put a script with the password on the host, and an audit writes nothing.

    **Example:**

    .. code:: python

        answers = ask.hosts(state, list(inventory), lambda host: ([], []), seconds=60)
    """
    asked = list(asked)
    answers: dict[Host, Answer] = {}

    def ask(host: Host) -> None:
        answers[host] = _ask(state, host, names, seconds)
        answered(answers[host])

    with _messages() as messages:
        jobs = {state.pool.spawn(ask, host): host for host in asked}
        for job in jobs:
            messages[job] = []
        gevent.joinall(list(jobs))
        closing = [state.pool.spawn(_disconnect, host) for host in asked if host.connected]
        gevent.joinall(closing, timeout=5)
    said = {host: messages[job] for job, host in jobs.items()}
    return [_with_reason(answers[host], said[host]) for host in asked]


def _ask(
    state: State,
    host: Host,
    names: Callable[[Host], tuple[list[str], list[str]]],
    seconds: int,
) -> Answer:
    late = gevent.Timeout(seconds)
    try:
        with late, nobody_can_type(), ctx_host.use(host):
            _refuse_stopped_container(host)
            host.connect(show_errors=False, raise_exceptions=True)
            modules, sysctls = names(host)
            facts: NodeShape | None = get_fact(
                state,
                host,
                Node,
                kwargs={"modules": modules, "sysctls": sysctls, "_timeout": seconds},
                apply_failed_hosts=False,
            )
    except gevent.Timeout as timeout:
        if timeout is not late:
            raise
        return Answer(host, None, f"no answer within {seconds} s")
    # whatever a connector or a host does wrong, this host alone fails
    except Exception as error:
        return Answer(host, None, _one_line(str(error) or type(error).__name__))
    return Answer(host, facts, None if facts else "the host did not answer, or not in form")


def _refuse_stopped_container(host: Host) -> None:
    """pyinfra would start a stopped container, run an image, and commit both at the end."""
    program = pyinfra_internals.docker_program(host)
    if program is None:
        return
    name = str(host.data.get("docker_identifier"))
    found = run(
        [
            program,
            "container",
            "inspect",
            "--format",
            "{{.State.Running}}",
            name,
        ],
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    if found.stdout.strip() != b"true":
        raise NoAnswer(
            f"{shlex.quote(name)} is no running container: pyinfra would start and change it"
        )


def _disconnect(host: Host) -> None:
    try:
        with gevent.Timeout(5):
            host.disconnect()
    # what a connector says at its end does not matter any more
    except (Exception, gevent.Timeout):
        return


class _Collector(logging.Handler):
    def __init__(self, messages: dict[object, list[str]]) -> None:
        super().__init__(logging.ERROR)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.setdefault(gevent.getcurrent(), []).append(record.getMessage())


@contextmanager
def _messages() -> Iterator[dict[object, list[str]]]:
    """Collect pyinfra's error messages by greenlet; nothing of them is printed."""
    logger = pyinfra_internals.log()
    messages: dict[object, list[str]] = {}
    collector = _Collector(messages)
    propagate, level = logger.propagate, logger.level
    logger.addHandler(collector)
    logger.propagate = False
    logger.setLevel(logging.ERROR)
    try:
        yield messages
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagate
        logger.setLevel(level)


def _with_reason(answer: Answer, messages: list[str]) -> Answer:
    """The answer, with what pyinfra said of a host that gave none."""
    if answer.facts is not None or not messages:
        return answer
    # the reason has the host's own words, and pyinfra says nothing more
    if reason := sudo_problem(answer.host):
        return Answer(answer.host, None, _one_line(reason))
    prefix = print_prefix(answer.host)
    said = [_one_line(message.replace(prefix, "")) for message in messages]
    return Answer(answer.host, None, "; ".join(dict.fromkeys(said))[:500])


def _one_line(text: str) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return " ".join(plain.split())[:500]
