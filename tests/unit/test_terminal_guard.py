"""Nothing a host says is obeyed by the operator's terminal, and pyinfra's colours stay."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import sys
import textwrap
from pathlib import Path

import click
from hypothesis import given
from hypothesis import strategies as st

from kubenode.run import terminal_guard

ROOT = Path(__file__).parents[2]

# OSC (a window's title), CSI (clear, conceal, black on black), C1, bidi, zero width, BEL, DEL
HOSTILE = (
    "\x1b]0;title\x07 \x1b[2J \x1b[8mhidden\x1b[30;40m \x9b31m \u202e\u2066 \u200b \x07 \x08\x7f \r"
)
DEPLOY = """
from pyinfra import host, logger
from pyinfra.api import operation
from pyinfra.operations import server
from kubenode.run.telling import explain, explain_file, refuse

HOSTILE = {hostile!r}

@operation()
def all_ways():
    explain(host, f"explained {{HOSTILE}} till here")
    explain_file(host, f"/x/{{HOSTILE}}", f"old {{HOSTILE}}\\n", f"new {{HOSTILE}}\\n")
    host.noop(f"noop {{HOSTILE}}")
    logger.warning(f"warned {{HOSTILE}}")
    yield refuse(host, f"refused {{HOSTILE}}")

server.shell(name="prints", commands=["printf '%s\\\\n' 'printed {{0}}' >&2".format(HOSTILE)])
server.shell(
    name="fails",
    commands=["printf '%s\\\\n' 'failed {{0}}' >&2; echo 'out {{0}}'; exit 1".format(HOSTILE)],
    _ignore_errors=True,
)
all_ways(name="all ways")
"""


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    """What a command writes to a terminal, whole."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.environ.update(TERM="xterm-256color", PYINFRA_PROGRESS="off", PYTHONPATH=str(ROOT))
        os.execv(arguments[0], arguments)
    output = b""
    # reading a terminal fails when the last one who has it open is gone
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 65536):
            output += piece
    os.waitpid(child, 0)
    os.close(terminal)
    return output.decode()


def test_nothing_of_a_host_is_obeyed_in_a_run_of_pyinfra(tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text(textwrap.dedent(DEPLOY).format(hostile=HOSTILE))
    pyinfra = shutil.which("pyinfra", path=str(Path(sys.executable).parent))
    assert pyinfra
    output = on_a_terminal(pyinfra, "-y", "--diff", "-vvv", "@local", "deploy.py", cwd=tmp_path)
    for way in ("explained", "old", "new", "noop", "warned", "refused", "printed", "failed", "out"):
        assert f"{way} \\x1b]0;title\\x07" in output, output
    # pyinfra's own colours: one number, two with bold; and its terminal's line ends
    plain = re.sub(r"\x1b\[(?:0|1|3[1-9]|1;3[1-9]|3[1-9];1)?m", "", output).replace("\r\n", "\n")
    assert "\x1b[31m" in output
    assert {character for character in plain if not character.isprintable()} == {"\n"}


@given(st.text(), st.text())
def test_what_is_shown_is_printable_but_for_colours_of_pyinfra(before: str, after: str) -> None:
    styled = terminal_guard.style(f"{before}\x1b[8m", "red", bold=True)
    shown = terminal_guard.shown(f"{styled}{after}")
    without = shown.replace("\x1b[31m\x1b[1m", "").replace("\x1b[0m", "")
    assert all(character.isprintable() or character == "\n" for character in without)
    assert shown.startswith("\x1b[31m\x1b[1m")


def test_colours_are_those_of_click() -> None:
    for styles in ({"fg": "blue"}, {"bold": True}, {"fg": "red", "bold": True}, {}):
        assert terminal_guard.shown(terminal_guard.style("x", **styles)) == click.style(
            "x", **styles
        )
