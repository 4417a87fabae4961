from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pyinfra.api import Host, Inventory

from kubenode.wire import unattended


class Terminal:
    """Somebody sits there, or nobody does."""

    def __init__(self, is_one: bool) -> None:
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one


@pytest.fixture
def host() -> Iterator[Host]:
    found = Inventory((["a.example"], {})).get_host("a.example")
    assert found is not None
    yield found
    unattended.note_problem(found, None)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(True))


@pytest.mark.parametrize("stdin", [None, Terminal(False)])
def test_without_a_terminal_nobody_can_type(
    stdin: Terminal | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    assert not unattended.somebody_can_type()
    assert unattended.would_be_asked({"_sudo": True})
    assert not unattended.would_be_asked({"_sudo": True, "_sudo_password": "x"})
    assert not unattended.would_be_asked({})
    with pytest.raises(unattended.NobodyCanType, match="nobody is there to type"):
        unattended.password_for_somebody(lambda: pytest.fail("somebody was asked"))


def test_at_a_terminal_somebody_can_type_but_for_an_audit(terminal: None) -> None:
    assert unattended.password_for_somebody(lambda: "secret") == "secret"
    assert not unattended.would_be_asked({"_sudo": True})
    with unattended.nobody_can_type():
        assert not unattended.somebody_can_type()
        with unattended.nobody_can_type():
            pass
        assert not unattended.somebody_can_type()
    assert unattended.somebody_can_type()


def test_what_sudo_said_is_why_there_is_no_answer(host: Host) -> None:
    assert unattended.why_no_answer(host, "no answer") == "no answer, see the lines above"
    unattended.note_problem(host, "sudo wants a password")
    assert unattended.why_no_answer(host, "no answer") == "sudo wants a password"
    unattended.note_problem(host, None)
    assert unattended.sudo_problem(host) is None


@pytest.mark.parametrize(
    ("answers", "problem", "asked"),
    [
        ({None: "facts"}, None, [None]),
        # any other trouble is not sudo's
        ({None: None, False: "facts"}, None, [None]),
        ({None: None, False: "facts"}, "sudo wants a password", [None, False]),
        ({None: None, False: None}, "sudo wants a password", [None, False]),
    ],
)
def test_an_audit_asks_again_without_sudo(
    answers: dict[Any, str | None], problem: str | None, asked: list[Any], host: Host
) -> None:
    said: list[Any] = []

    def ask(**own: Any) -> str | None:
        said.append(own.get("_sudo"))
        unattended.note_problem(host, problem if own.get("_sudo") is None else None)
        return answers[own.get("_sudo")]

    with unattended.nobody_can_type():
        assert unattended.also_without_sudo(host, ask) == answers[asked[-1]]
    assert said == asked


def test_where_somebody_can_type_root_is_not_given_up(host: Host, terminal: None) -> None:
    unattended.note_problem(host, "incorrect password")
    assert unattended.also_without_sudo(host, lambda **own: "facts" if own else None) is None
