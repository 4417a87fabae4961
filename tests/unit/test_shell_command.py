"""A script reaches sh as it is, whatever the login shell makes of quotes and signs."""

from __future__ import annotations

import os
import shlex
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyinfra.api import StringCommand

from kubenode.wire import shell_command

# fish and tcsh are tried on a target, and here where they are installed
LOGIN_SHELLS = [
    shell
    for shell in (["dash"], ["bash"], ["busybox", "sh"], ["zsh"], ["fish"], ["tcsh"])
    if shutil.which(shell[0])
]


def run(
    login_shell: list[str], script: str, stdin: str = "", path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """As pyinfra does it: the line in quotes, for the user's login shell."""
    line = f"sh -c {shlex.quote(shell_command.portable(script))}"
    environ = {**os.environ, "POSIXLY_CORRECT": "1"}
    if path is not None:
        environ["PATH"] = path
    return subprocess.run(
        [shutil.which(login_shell[0]) or "", *login_shell[1:], "-c", line],
        input=stdin,
        capture_output=True,
        text=True,
        env=environ,
    )


@settings(max_examples=30)
@given(words=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=5))
@pytest.mark.parametrize("login_shell", LOGIN_SHELLS, ids=lambda shell: shell[0])
def test_every_word_arrives(login_shell: list[str], words: list[str]) -> None:
    script = "".join(f"printf '%s.' {shlex.quote(word)}\n" for word in words)
    assert run(login_shell, script).stdout == "".join(f"{word}." for word in words).replace(
        "\r\n", "\n"
    ).replace("\r", "\n")


@pytest.mark.parametrize("login_shell", LOGIN_SHELLS, ids=lambda shell: shell[0])
def test_input_exit_code_and_length(login_shell: list[str]) -> None:
    script = (
        "read -r line\n"
        'printf \'%s %s\\n\' "$line" "${POSIXLY_CORRECT:-unset}"\n'
        f"# {'x!' * 35_000}\nexit 7"
    )
    finished = run(login_shell, script, stdin="a\\b\n")
    assert (finished.stdout, finished.stderr, finished.returncode) == ("a\\b unset\n", "", 7)


@pytest.mark.parametrize("login_shell", LOGIN_SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("size", [10, 80_000, 500_000])
def test_a_command_of_any_length_reads_what_is_its_own(login_shell: list[str], size: int) -> None:
    script = f"# {'x!' * (size // 2)}\ncat\nprintf 'a\\\\b!\\n'\nexit 7"
    command = shell_command.portable_command(StringCommand(script, _stdin=["one", "-", "two"]))
    line = command.get_raw_value()
    assert len(line) < 120_000
    finished = subprocess.run(
        [shutil.which(login_shell[0]) or "", *login_shell[1:], "-c", f"sh -c {shlex.quote(line)}"],
        input="".join(f"{line}\n" for line in command.connector_arguments["_stdin"]),
        capture_output=True,
        text=True,
    )
    assert finished.stdout == "one\n-\ntwo\na\\b!\n"
    assert (finished.stderr, finished.returncode) == ("", 7)


def test_a_long_command_that_does_not_arrive_whole_is_not_run() -> None:
    command = shell_command.portable_command(StringCommand("echo run\n" * 20_000))
    lines: list[str] = list(command.connector_arguments["_stdin"])
    for sent in (lines[:100], [*lines[:100], lines[-1]]):
        finished = subprocess.run(
            ["sh", "-c", command.get_raw_value()],
            input="".join(f"{line}\n" for line in sent), capture_output=True, text=True,
        )  # fmt: skip
        assert (finished.stdout, finished.returncode) == ("", 126)


@given(st.text())
def test_the_line_has_nothing_that_a_login_shell_reads(script: str) -> None:
    taken = set(string.ascii_letters + string.digits + ' +/=_-%$(){}|;:*#"><&')
    assert set(shell_command.portable(script)) <= taken


def test_without_base64_it_says_so(tmp_path: Path) -> None:
    line = shell_command.portable("echo run").replace("/usr/bin:/bin", str(tmp_path))
    finished = subprocess.run(
        ["/bin/sh", "-c", line], capture_output=True, text=True, env={"PATH": str(tmp_path)}
    )
    assert (finished.stdout, finished.returncode) == ("", 127)
    assert "base64 is missing on the host" in finished.stderr


@pytest.mark.parametrize("cut", [4, 40, 41, 43])
def test_a_line_that_is_cut_is_not_run(cut: int) -> None:
    line = shell_command.portable("echo run\n# and much more that has to be done then")
    before, encoded, after = line.partition("printf %s ")[0], *line.partition("printf %s ")[1:]
    word, rest = after.split(" ", 1)
    finished = subprocess.run(
        ["sh", "-c", f"{before}{encoded}{word[:-cut]} {rest}"], capture_output=True, text=True
    )
    assert (finished.stdout, finished.returncode) == ("", 126)
    assert "did not pass on the whole command" in finished.stderr
