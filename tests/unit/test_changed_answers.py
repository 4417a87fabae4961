"""Whatever becomes of an answer on its way: what is unknown never becomes absent.

The answers are those of real hosts. What a fact makes of a changed one is an error, or unknown, or
what it makes of the whole one.
"""

from __future__ import annotations

import importlib
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from kubenode.facts import crio, pods
from kubenode.facts.node import Node
from kubenode.wire import probe
from kubenode.wire.reading import Reading, read_answer
from tests import sealed
from tests.soak import loops

FACTS = Path(__file__).parent.parent / "facts"
CASES = sorted(FACTS.glob("*/*.json"))
HERE = Path("this machine")

MOST = loops.count(300, 10_000)


def fact_of(path: Path) -> Any:
    module, name = path.parent.name.rsplit(".", 1)
    return getattr(importlib.import_module(f"kubenode.facts.{module}"), name)()


@cache
def whole(path: Path) -> tuple[Any, list[str], Any]:
    """A fact that has asked, the answer to it, and what it makes of that."""
    if path == HERE:
        fact: Any = Node()
        finished = subprocess.run(
            ["sh", "-c", fact.command()], capture_output=True, text=True, check=True
        )
        output = finished.stdout.split("\n")
    else:
        fact = fact_of(path)
        output = sealed.case(fact, path)["output"]
    return fact, output, fact.process(output)


# Each takes the text of an answer, two places in it, and text of somebody else.
Change = Callable[[str, int, int, str], str]


def by_line(change: Callable[[list[str], int, int, str], list[str]]) -> Change:
    def changed(text: str, start: int, end: int, other: str) -> str:
        lines = text.split("\n")
        start, end = sorted((start % len(lines), end % len(lines)))
        return "\n".join(change(lines, start, end, other))

    return changed


def by_byte(change: Callable[[str, int, int, str], str]) -> Change:
    def changed(text: str, start: int, end: int, other: str) -> str:
        start, end = sorted((start % (len(text) + 1), end % (len(text) + 1)))
        return change(text, start, end, other)

    return changed


CHANGES: dict[str, Change] = {
    "lose a line": by_line(
        lambda lines, start, _end, _other: [*lines[:start], *lines[start + 1 :]]
    ),
    "lose lines": by_line(lambda lines, start, end, _other: [*lines[:start], *lines[end:]]),
    "double a line": by_line(
        lambda lines, start, _end, _other: [*lines[: start + 1], *lines[start:]]
    ),
    "double lines": by_line(lambda lines, start, end, _other: [*lines[:end], *lines[start:]]),
    "double all": by_line(lambda lines, _start, _end, _other: [*lines, *lines]),
    "swap lines": by_line(
        lambda lines, start, end, _other: [
            *lines[:start],
            lines[end],
            *lines[start + 1 : end],
            *([lines[start]] if start != end else []),
            *lines[end + 1 :],
        ]
    ),
    "turn lines around": by_line(
        lambda lines, start, end, _other: [*lines[:start], *lines[start:end][::-1], *lines[end:]]
    ),
    "glue lines": by_line(
        lambda lines, start, end, _other: [*lines[:start], "".join(lines[start:end]), *lines[end:]]
    ),
    "put lines between": by_line(
        lambda lines, start, _end, other: [*lines[:start], *other.split("\n"), *lines[start:]]
    ),
    "cut off": by_byte(lambda text, start, _end, _other: text[:start]),
    "begin late": by_byte(lambda text, start, _end, _other: text[start:]),
    "lose bytes": by_byte(lambda text, start, end, _other: text[:start] + text[end:]),
    "double bytes": by_byte(lambda text, start, end, _other: text[:end] + text[start:]),
    "put bytes between": by_byte(
        lambda text, start, _end, other: text[:start] + other + text[start:]
    ),
    "another byte": by_byte(
        lambda text, start, _end, _other: text[:start] + "7" + text[start + 1 :]
    ),
}
PLACES = st.one_of(st.integers(0, 40), st.integers(0, 10**6))
NOISE = st.one_of(
    st.sampled_from(
        [
            "\x1b]0;x\x07",
            "Welcome!\n",
            "+ printf",
            "%begin shared\n%end shared\n",
            "%end shared",
            "%absent /etc/fstab",
            "\n%answer 0123456789abcdef 1 1\n",
            "\r",
        ]
    ),
    st.text(max_size=20),
)


@pytest.mark.soak
def test_a_changed_answer_is_unknown_or_the_same() -> None:
    began_with = loops.seed()
    verdicts: Counter[str] = Counter()

    @seed(began_with)
    @settings(max_examples=MOST)
    @given(
        path=st.sampled_from([HERE, *CASES]),
        changes=st.lists(
            st.tuples(st.sampled_from(sorted(CHANGES)), PLACES, PLACES, NOISE),
            min_size=1,
            max_size=4,
        ),
    )
    def change(path: Path, changes: list[tuple[str, int, int, str]]) -> None:
        fact, output, known = whole(path)
        text = "\n".join(output)
        for name, start, end, other in changes:
            text = CHANGES[name](text, start, end, other)
        try:
            found = fact.process(text.split("\n"))
        except FactProcessError:
            verdicts["unknown"] += 1
            return
        assert found == known
        verdicts["same"] += 1

    change()
    loops.record(
        "changed-answers",
        answers=verdicts.total(),
        unknown=verdicts["unknown"],
        as_unchanged=verdicts["same"],
        seed=began_with,
    )
    assert verdicts.total() >= MOST


@pytest.mark.soak
def test_what_a_login_shell_prints_before_and_after_changes_nothing() -> None:
    began_with = loops.seed()
    answers = 0
    noise = NOISE.filter(lambda text: "%answer" not in text)

    @seed(began_with)
    @settings(max_examples=MOST // 10)
    @given(path=st.sampled_from([HERE, *CASES]), before=noise, after=noise)
    def surround(path: Path, before: str, after: str) -> None:
        nonlocal answers
        fact, output, known = whole(path)
        text = "\n".join(output)
        assert fact.process(f"{before}{text}\n{after}".split("\n")) == known
        answers += 1

    surround()
    loops.record("surrounded-answers", answers=answers, seed=began_with)
    assert answers >= MOST // 10


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_answer_to_another_command_is_none(path: Path) -> None:
    fact, output, _ = whole(path)
    other = probe.identity({**fact.scripts, "more": probe.Script()})
    changed = [line.replace(probe.identity(fact.scripts), other) for line in output]
    with pytest.raises(FactProcessError):
        fact.process(changed)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_an_answer_leaves_out_is_unreadable_not_absent(path: Path) -> None:
    """A seal says that all arrived, not that a program on the host did its work."""
    fact, output, _ = whole(path)
    body = sealed.unsealed(output)
    for line in body:
        if not line.startswith("%absent "):
            continue
        item = line.removeprefix("%absent ")
        asked = [name for name, script in fact.scripts.items() if item in script.items()]
        if not asked:
            # a link that a script's own sh has looked for
            continue
        kept = [other for other in body if other != line]
        readings = read_answer(sealed.seal(fact.scripts, kept), fact.scripts)
        assert all(readings[name].is_unreadable(item) for name in asked if name in readings)
        break
    else:
        assert not any(script.directories for script in fact.scripts.values())


def test_options_of_crio_that_cannot_be_read_are_not_none() -> None:
    """A file with options for the daemon that is closed, too long, or behind a user's link."""
    path = FACTS / "crio.Crio/stopped-broken-file-and-a-flag.json"
    fact, output, known = whole(path)
    assert known["flags"] == ["/etc/default/crio: --cgroup-manager"]
    readings = read_answer(output, fact.scripts)
    reading = readings[crio.PROBE]
    own = Reading(
        reading.values,
        {key: text for key, text in reading.texts.items() if key != "/etc/default/crio"},
        {key: content for key, content in reading.exact.items() if key != "/etc/default/crio"},
        reading.unreadable | {"/etc/default/crio"},
    )
    parts = readings[crio.PACKAGE_PROBE], own, readings[pods.PROBE]
    assert crio.parse_shape(*parts)["config"]["error"] == "/etc/default/crio: cannot be read"


def test_a_change_is_one() -> None:
    """Control: nearly all that is changed here makes another text."""
    _, output, _ = whole(CASES[0])
    text = "\n".join(output)
    assert all(change(text, 30, 37, "x") != text for change in CHANGES.values())
