"""A bound on what pyinfra keeps of one command's output."""

from __future__ import annotations

import pytest
from pyinfra.connectors.util import run_local_process

from kubenode.output_limit import limited_output


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("yes | head -c 100000", 10 * 5),
        ("head -c 100000 /dev/zero | tr '\\0' x", 100),
        ("printf 'a\\nb\\n'", 4),
        ("printf 'no end'", 7),
    ],
)
def test_only_so_much_is_kept(command: str, kept: int) -> None:
    with limited_output(most_bytes=100, most_lines=25):
        code, output = run_local_process(command)
    assert code == 0
    assert len(output.stdout) <= kept


def test_whole_lines_arrive_as_they_are() -> None:
    plain = run_local_process("printf 'a\\n\\nb\\n'; echo error >&2")[1]
    with limited_output(1000, 1000):
        limited = run_local_process("printf 'a\\n\\nb\\n'; echo error >&2")[1]
    assert [line for line in limited.stdout_lines if line] == ["a", "b"]
    assert limited.stdout_lines[: len(plain.stdout_lines)] == plain.stdout_lines
    assert limited.stderr_lines[:1] == plain.stderr_lines


def test_what_is_no_text_does_not_end_the_reading() -> None:
    with limited_output(1000, 1000):
        output = run_local_process("printf '\\377\\nb\\n'")[1]
    assert output.stdout_lines[:2] == ["\ufffd", "b"]


def test_afterwards_pyinfra_is_as_before() -> None:
    with limited_output(1, 1):
        pass
    assert len(run_local_process("printf aaaa")[1].stdout) == 4
