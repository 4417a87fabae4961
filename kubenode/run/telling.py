"""What an operation tells the person who runs it: why it changes something, or why it will not."""

from __future__ import annotations

from pyinfra import logger
from pyinfra.api import FunctionCommand, Host, StringCommand

from kubenode.run import foreseen, pyinfra_internals, terminal_guard
from kubenode.run.printable import printable
from kubenode.run.pyinfra_internals import print_prefix

terminal_guard.install()


def explain(host: Host, change: str) -> None:
    """Say one change: what was, what will be, and which file wins.

    + host: the host that is changed
    + change: one sentence, such as ``net.ipv4.ip_forward: 0 -> 1 (live)``
    """
    # on one line: a host's text must not look like a line of another host
    logger.info(f"{print_prefix(host)}{printable(change)}")


def explain_file(host: Host, path: str, old: str | None, new: str | None) -> None:
    """Say that a file is created, changed or removed; with ``--diff``, line by line.

    + host: the host that is changed
    + path: the file on the host
    + old: its text now, None when there is no such file
    + new: its text afterwards, None when it goes
    """
    verb = "create" if old is None else "remove" if new is None else "change"
    explain(host, f"{verb} {path}")
    if getattr(host.state.config, "DIFF", False):
        for line in pyinfra_internals.color_diff(
            (old or "").splitlines(keepends=True), (new or "").splitlines(keepends=True)
        ):
            logger.info(f"{print_prefix(host)}  {line}")


def refuse(host: Host, reason: str) -> FunctionCommand:
    """A command that fails this host alone and says why; nothing runs on the host.

    An exception in an operation would end the run for every host. A shell command that only exits
    with 1 would cost a round trip, and would look like a command that broke.

    + host: the host that is unsuitable
    + reason: what is wrong and what to do about it

    While pyinfra only prepares (``--dry``, or before it asks) the reason is a warning, and a run
    that ends there has exit code 1 (:mod:`kubenode.run.foreseen`).

    **Example:**

    .. code:: python

        yield refuse(host, "overlay is blacklisted in /etc/modprobe.d/cis.conf:3: remove that line")
        return
    """
    if not pyinfra_internals.is_executing(host):
        logger.warning(f"{print_prefix(host)}would fail: {printable(reason)}")
        foreseen.would_fail(host)
    return pyinfra_internals.Refusal(_refused, [reason], {})


def _refused(reason: str) -> None:
    # this fails the host too where pyinfra calls it in another way than pyinfra_internals.Refusal
    raise Refused(reason)


class Refused(Exception):
    """A host is unsuitable."""


def later(host: Host, change: str) -> StringCommand:
    """A change that cannot be worked out yet, because an earlier operation must run first.

    + host: the host that will be changed
    + change: what will be done once that operation has run

    Only for ``--dry`` and for pyinfra's question before it starts. An operation that is executed
    works on what is there.
    """
    explain(host, change)
    return StringCommand(":")
