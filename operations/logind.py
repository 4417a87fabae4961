"""systemd-logind: how long it lets a shutdown wait for kubelet."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.logind import Logind, LogindShape
from kubenode.files import whole_file
from kubenode.files.exact_text import bytes_of, is_utf8
from kubenode.files.whole_file import Change
from kubenode.kubelet import fields
from kubenode.linux import logind
from kubenode.run import host_script
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.wire import joint_reading, time_limit
from kubenode.wire.bounded import CHANGE_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]


@operation()
@bounded(CHANGE_SECONDS)
def shutdown_delay(at_least: str) -> Commands:
    """
    Have logind let a shutdown wait so long for those who ask for it, as kubelet does to end pods.

    + at_least: what kubelet has as ``shutdownGracePeriod``, such as ``60s``

    A host where a shutdown may wait that long, now and after the next boot, is left as it is. Else
    ``/etc/systemd/logind.conf.d/zz-kubenode.conf`` gets it, and logind reads its files again, which
    ends no session. kubelet writes a file of its own for this, which loses against any that sorts
    behind 99-kubelet.conf, as that of unattended-upgrades does (30 s): then it starts without
    graceful shutdown and only logs that. A host is refused where a file that sorts behind
    kubenode's own states less, and where logind does not run.

    Sources: logind.conf(5); the Kubernetes page "Node Shutdowns"; kubernetes#102818.

    **Example:**

    .. code:: python

        from kubenode.operations import logind

        logind.shutdown_delay(name="A shutdown waits for pods", at_least="60s")
    """
    seconds = fields.duration(at_least)
    if not seconds:
        raise OperationValueError(f"at_least {at_least!r} is no duration such as 60s")
    now = joint_reading.get_fact(Logind)
    if now is None:
        yield refuse(host, "cannot tell how long a shutdown may wait, see the lines above")
        return
    if problem := _unsuitable(now):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    boot, live = now["boot"], now["live"]
    lasts = boot is not None and boot["seconds"] >= seconds
    if lasts and live is not None and live >= seconds:
        host.noop(f"a shutdown may wait {_shown(live)}, {at_least} are wanted")
        return
    files = now["files"]
    new = files if lasts else {**files, logind.FILE: logind.text_for(seconds)}
    winning = min(
        (logind.delay(new), logind.delay(new, at_boot=True)),
        key=lambda each: logind.DEFAULT_SECONDS if each is None else each.seconds,
    )
    if winning is None or winning.seconds < seconds:
        yield refuse(host, f"{winning}: {_wins(winning)}: nothing was changed")
        return
    explain(host, f"a shutdown may wait {_before(now)} -> {_shown(winning.seconds)} ({winning})")
    changes = []
    if not lasts:
        old = files.get(logind.FILE)
        explain_file(host, logind.FILE, old, new[logind.FILE])
        was = None if old is None else bytes_of(old)
        changes = [Change(logind.FILE, was, bytes_of(new[logind.FILE]))]
    explain(host, f"{logind.UNIT} reads its files again; no session ends")
    yield reload(seconds, changes)


def _unsuitable(now: LogindShape) -> str | None:
    if not now["runs"]:
        return (
            f"{logind.UNIT} does not run, and without it kubelet does not learn of a shutdown: "
            "install systemd's logind and D-Bus"
        )
    if now["unreadable"]:
        return f"cannot read {now['unreadable'][0]}"
    if not is_utf8(now["files"].get(logind.FILE, "")):
        return f"{logind.FILE} is no UTF-8"
    return None


def _wins(winning: logind.Delay | None) -> str:
    return "the default wins" if winning is None else f"{winning.text} wins, take it out there"


def _before(now: LogindShape) -> str:
    if now["live"] is not None:
        return _shown(now["live"])
    return _shown(now["boot"]["seconds"]) if now["boot"] else "(unknown)"


def _shown(seconds: float) -> str:
    return "for ever" if seconds == logind.INFINITY else f"{seconds:g} s"


def reload(seconds: int, changes: Sequence[Change] = ()) -> StringCommand:
    """A command that has logind read its files again, and fails where it does not say what is
    wanted.

    + seconds: how long a shutdown has to be able to wait
    + changes: of files, which are made before
    """
    script = host_script.read(
        __file__, "logind_reload.sh", UNIT=logind.UNIT, MICROSECONDS=seconds * 10**6
    )
    return whole_file.change(changes, after=f"{time_limit.FUNCTIONS.strip()}\n{script.strip()}")
