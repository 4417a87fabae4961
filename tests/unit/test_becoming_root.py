"""What sudo, su and doas say, and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.wire import becoming_root

PASSWORD = "wants a password"

# From the programs' sources and from targets; each as the host prints it.
SAID = {
    "sudo: sorry, you must have a tty to run sudo": "requiretty",
    "sudo: a terminal is required to run sudo": "requiretty",
    "sh: 1: sudo: not found": "not installed",
    "bash: line 1: sudo: command not found": "not installed",
    "zsh:1: command not found: sudo": "not installed",
    "fish: Unknown command: sudo": "not installed",
    "sudo: Command not found.": "not installed",
    "env: 'sudo': No such file or directory": "not installed",
    "operator is not in the sudoers file.": "sudoers does not let",
    "operator is not in the sudoers file.  This incident will be reported.": "sudoers does not let",
    "Sorry, user operator is not allowed to execute '/bin/sh -c id' as root on x.": (
        "sudoers does not let"
    ),
    "Sorry, user operator may not run sudo on x.": "sudoers does not let",
    "sudo-rs: I'm sorry operator. I'm afraid I can't do that": "sudoers does not let",
    "sudo: a password is required": PASSWORD,
    "sudo-rs: interactive authentication is required": PASSWORD,
    "sudo: no password was provided": PASSWORD,
    "sudo: a terminal is required to read the password; either use ssh's -t option": PASSWORD,
    "sudo: 1 incorrect password attempt": "password is wrong",
    "sudo: unknown user nobody2": "no such user",
    "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set": "cannot become root",
    'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.': (
        "cannot become root"
    ),
    "sudo: no valid sudoers sources found, quitting": "cannot read its configuration",
    "/etc/sudoers:31:5: syntax error": "cannot read its configuration",
    "sudo: Ein Passwort ist notwendig": "does not let this user become another",
    "sudo: account validation failure, is your account locked?": (
        "does not let this user become another"
    ),
    "su: Authentication failure": "password is wrong",
    "su: user admin does not exist or the user entry does not contain all the required fields": (
        "no such user"
    ),
    "sh: 1: su: not found": "not installed",
    "su: must be run from a terminal": "su does not let",
    "This account is currently not available.": "su does not let",
    "doas: Operation not permitted": "doas does not let",
    "doas: Authorization required": "doas does not let",
    "sh: 1: doas: not found": "not installed",
}


@pytest.mark.parametrize("line", SAID)
def test_what_is_said_is_taken_for_what_it_is(line: str) -> None:
    reason = becoming_root.reason(["a line of the login shell's", line])
    assert reason is not None
    assert SAID[line] in reason
    assert line in reason
    if SAID[line] != PASSWORD:
        assert PASSWORD not in reason


@pytest.mark.parametrize(
    "line",
    [
        "cannot set net.ipv4.ip_forward to 1: Operation not permitted",
        "sudo: unable to resolve host node: Name or service not known",
        "E: Unable to locate package containerd",
        "sh: 1: containerd: not found",
        "consumer: not found",
    ],
)
def test_what_else_goes_wrong_is_not_taken_for_it(line: str) -> None:
    assert becoming_root.reason([line]) is None


@given(st.lists(st.text(max_size=100), max_size=5))
def test_no_host_reaches_the_terminal_by_it(lines: list[str]) -> None:
    reason = becoming_root.reason([f"sudo: {line}" for line in lines])
    assert reason is None or reason.isprintable()


def test_a_very_long_line_is_cut() -> None:
    reason = becoming_root.reason(["sudo: " + "x" * 10_000_000])
    assert reason is not None
    assert len(reason) < 500
