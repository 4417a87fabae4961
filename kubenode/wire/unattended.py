"""What becomes of a host whose sudo wants a password: who may be asked for it, and what is said.

pyinfra asks at the terminal, and all hosts wait for the answer. Where there is no terminal,
or an audit is under way, nobody is asked: the command fails its host, and why is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pyinfra.api import Host

from kubenode.wire import becoming_root

T = TypeVar("T")

_silent: ContextVar[bool] = ContextVar("kubenode_silent", default=False)
_problems: WeakKeyDictionary[Host, str] = WeakKeyDictionary()


class NobodyCanType(Exception):
    """A password is wanted, and nobody is there to type it."""


@contextmanager
def nobody_can_type() -> Iterator[None]:
    """While this is in force in a greenlet, no password is asked for, as where stdin is no
    terminal."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def somebody_can_type() -> bool:
    """Whether there is a terminal, and pyinfra may ask for a password on it."""
    return not _silent.get() and sys.stdin is not None and sys.stdin.isatty()


def password_for_somebody(ask: Callable[[], T]) -> T:
    """What *ask* returns, NobodyCanType where nobody can answer it.

    + ask: asks for a password at the terminal
    """
    if not somebody_can_type():
        raise NobodyCanType(becoming_root.NOBODY_CAN_TYPE)
    return ask()


def would_be_asked(arguments: dict[str, Any]) -> bool:
    """Whether sudo may want a password that nobody can type.

    + arguments: pyinfra's, of one command
    """
    return bool(
        arguments.get("_sudo") and not arguments.get("_sudo_password") and not somebody_can_type()
    )


def note_problem(host: Host, reason: str | None) -> None:
    """Keep why a command of kubenode's did not become another user.

    + host: whose
    + reason: None before the next command
    """
    if reason is None:
        _problems.pop(host, None)
    else:
        _problems[host] = reason


def sudo_problem(host: Host) -> str | None:
    """Why kubenode's last command did not become another user on a host; None where it did."""
    return _problems.get(host)


def why_no_answer(host: Host, otherwise: str) -> str:
    """Why a host's fact is None: what sudo said, where it was that.

    + host: whose
    + otherwise: what is said of any other reason; pyinfra has said more
    """
    return sudo_problem(host) or f"{otherwise}, see the lines above"


def also_without_sudo(host: Host, ask: Callable[..., T | None]) -> T | None:
    """What a host answers; where its sudo wants a password that nobody can type, as the user is.

    + host: whom to ask
    + ask: reads a fact, and takes pyinfra's arguments for it

    For an audit: much can be told without root, and the host says what cannot.

    **Example:**

    .. code:: python

        facts = also_without_sudo(host, functools.partial(host.get_fact, Node))
    """
    answer = ask()
    if answer is None and sudo_problem(host) and not somebody_can_type():
        return ask(_sudo=False)
    return answer
