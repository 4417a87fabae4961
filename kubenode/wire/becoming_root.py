"""Why a host does not let a command become another user: from what sudo, su and doas say.

They say much the same in many ways: by version (sudo and sudo-rs), by login shell where a program
is missing, and in the host's own language. So what is not known is given as the host says it, and
is never taken for a question of the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_MISSING = r"not found|no such file or directory|unknown command"

# The first that fits a line counts: what keeps all users out comes before what keeps this one out.
_REASONS: tuple[tuple[str, str], ...] = (
    (
        r"sudo.*must have a tty|sudo.*terminal is required to (run|use)|requiretty",
        "sudo runs from a terminal only here (requiretty), and there is none: set `Defaults "
        "!requiretty` in sudoers, for this user alone by `Defaults:USER !requiretty`",
    ),
    (
        rf"(\bsudo\b.*({_MISSING}))|(({_MISSING})\W+sudo\b)",
        "sudo is not installed, or not in this user's PATH: install it, or log in as root "
        "(ssh_user) and leave sudo out",
    ),
    (
        r"setuid (bit|root)|nosuid|no new privileges",
        "sudo cannot become root here, whoever asks: it lacks its setuid bit, or may not use it "
        "(nosuid mount, container without new privileges)",
    ),
    (
        r"not in the sudoers file|is not allowed to (execute|run)|may not run sudo"
        r"|sudo-rs: i'm sorry",
        "sudoers does not let this user do that: add it (`USER ALL=(ALL) NOPASSWD: ALL` in "
        "/etc/sudoers.d), or log in as another (ssh_user)",
    ),
    (
        r"sudoers.*(syntax error|parse error)|(syntax|parse) error.*sudoers"
        r"|no valid sudoers sources|sudoers\S* is (world|group|owned)|error initializing .*plugin",
        "sudo cannot read its configuration: see `visudo -c` on the host",
    ),
    (r"unknown user|user \S+ does not exist|unknown login", "the host has no such user"),
    (
        r"incorrect password|sorry, try again|incorrect authentication attempt"
        r"|su: authentication failure",
        "the password is wrong, or the account takes none",
    ),
    (
        r"a password is required|interactive authentication is required"
        r"|no password was provided|no askpass program"
        r"|terminal is required to (read the password|authenticate)",
        "sudo wants a password, or does not let this user become root at all: allow it without one "
        "(NOPASSWD in sudoers), or give it (_sudo_password, --same-sudo-password)",
    ),
    (
        rf"(\b(su|doas|dzdo)\b.*({_MISSING}))|(({_MISSING})\W+(su|doas|dzdo)\b)",
        "the program that should become another user is not installed: take sudo, or log in as "
        "that user (ssh_user)",
    ),
    (
        r"su: (permission denied|must be run from a terminal|cannot open session)"
        r"|account is currently not available",
        "su does not let this user become another: take sudo, or log in as root (ssh_user)",
    ),
    (
        r"doas: (operation not permitted|authorization (required|failed)|a tty is required"
        r"|not permitted|.*doas\.conf)",
        "doas does not let this user do that without a password: see `nopass` in doas.conf(5)",
    ),
)

NOBODY_CAN_TYPE = (
    "sudo wants a password, or does not let this user become root at all, and nobody is there to "
    "type one: allow it without one (NOPASSWD in sudoers), or give it (_sudo_password, "
    "--same-sudo-password)"
)


def asked_for(arguments: Mapping[str, object]) -> bool:
    """Whether pyinfra's arguments of a command let it become another user."""
    return any(map(arguments.get, ("_sudo", "_su_user", "_doas", "_dzdo")))


def reason(errors: Iterable[str]) -> str | None:
    """Why the host did not let a command become another user, None when it does not say so.

    + errors: lines of the standard error of a command that failed

    The host's own words come last, fit to print.

    **Example:**

    .. code:: python

        reason(["sudo: sorry, you must have a tty to run sudo"])
    """
    lines = [line.strip() for line in errors if _is_theirs(line)]
    for pattern, meaning in _REASONS:
        for line in lines:
            if re.search(pattern, line[:500], re.IGNORECASE):
                return f"{meaning} ({shown(line)})"
    for line in lines:
        if re.match(r"(sudo|sudo-rs|su|doas|dzdo): ", line):
            return f"the host does not let this user become another ({shown(line)})"
    return None


def shown(line: str) -> str:
    """A line of a host's, fit to print: short, and with nothing in it that a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in line[:300])


def _is_theirs(line: str) -> bool:
    # sudo warns so and goes on
    if "unable to resolve host" in line:
        return False
    return bool(
        re.search(
            r"\b(sudo|sudo-rs|su|doas|dzdo|sudoers)\b|^sorry, |is not allowed to"
            r"|account is currently not available",
            line[:500],
            re.IGNORECASE,
        )
    )
