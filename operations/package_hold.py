"""Keep upgrades from packages, by the means that a host has; nothing is installed for it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from pyinfra import host
from pyinfra.api import StringCommand

from kubenode.facts.dnf_hold import DnfHold
from kubenode.files import whole_file
from kubenode.files.exact_text import bytes_of
from kubenode.files.whole_file import Change
from kubenode.packages import dnf_excludes, manager, package_locks
from kubenode.run.telling import explain, explain_file
from kubenode.wire import joint_reading


class Hold(NamedTuple):
    """How packages are held.

    + names: of the packages
    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + conf: what becomes of ``dnf.conf`` for it, where dnf has no version locks
    """

    names: tuple[str, ...]
    manager: str
    conf: Change | None = None
    refusal: str | None = None
    """Why it cannot be done."""


def planned(names: Sequence[str], by: str) -> Hold:
    """How packages are going to be held.

    + names: of the packages; of none of them nothing is asked or done
    + by: ``apt-get``, ``dnf`` or ``zypper``
    """
    hold = Hold(tuple(names), by)
    if by != "dnf" or not names:
        return hold
    now = joint_reading.get_fact_now(DnfHold)
    if now is None:
        return hold._replace(
            refusal="cannot tell how dnf could hold a package, see the lines above"
        )
    conf = now["conf"] or ""
    rest = [name for name in names if name not in dnf_excludes.names(conf.split("\n"))]
    if now["versionlock"] or not rest:
        return hold._replace(names=tuple(rest))
    try:
        new = dnf_excludes.with_names(conf, rest)
    except ValueError as error:
        return hold._replace(refusal=str(error))
    old = None if now["conf"] is None else bytes_of(now["conf"])
    return hold._replace(conf=Change(dnf_excludes.CONF, old, bytes_of(new)))


def no_longer_excluded(names: Sequence[str]) -> Change | None:
    """What becomes of ``dnf.conf`` once packages are removed, None where it stays as it is.

    + names: of packages that dnf may install again afterwards

    ValueError where it cannot be told, or others keep dnf from them; the message says why.
    """
    now = joint_reading.get_fact_now(DnfHold)
    if now is None:
        raise ValueError(f"cannot read {dnf_excludes.CONF}, see the lines above")
    if now["conf"] is None:
        return None
    new = dnf_excludes.without_names(now["conf"], names)
    if new == now["conf"]:
        return None
    return Change(dnf_excludes.CONF, bytes_of(now["conf"]), bytes_of(new))


def problem(names: Sequence[str], by: str) -> str | None:
    """Why packages cannot be held, None when they can: it says which file is changed for it.

    + names, by: as of :func:`planned`
    """
    hold = planned(names, by)
    if hold.conf is not None:
        explain(host, f"dnf has no version locks here: excludepkgs in {hold.conf.path} holds them")
        old = None if hold.conf.old is None else hold.conf.old.decode(errors="replace")
        explain_file(host, hold.conf.path, old, (hold.conf.new or b"").decode(errors="replace"))
    return hold.refusal


def held(hold: Hold) -> Generator[StringCommand, Any, None]:
    """The commands after which packages are held.

    + hold: what is planned, and not refused
    """
    if hold.conf is not None:
        yield whole_file.change([hold.conf])
        return
    for name in hold.names:
        yield package_locks.patiently(hold.manager, manager.hold(hold.manager, name))
