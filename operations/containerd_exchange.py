"""Exchange the containerd of a host for another one: the gate, the files, the one command."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import FunctionCommand, StringCommand

from kubenode.facts.containerd import ContainerdFiles, ContainerdFilesShape
from kubenode.operations import containerd_host
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.runtimes import program_change
from kubenode.runtimes.containerd.all_files import edits_by
from kubenode.runtimes.containerd.releases import pods_survive
from kubenode.runtimes.containerd.version_change import consequences
from kubenode.runtimes.edit import ConfigError, Edit
from kubenode.runtimes.program_change import Program, Service
from kubenode.runtimes.restart import Restart, postponed
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.wire import joint_reading

Commands = Generator[StringCommand | FunctionCommand, Any, None]


class Exchange(NamedTuple):
    """What becomes of a host's containerd, or why nothing may, or nothing does yet."""

    now: ContainerdFilesShape | None = None
    carried: Mapping[str, Edit] = {}
    """The files that the other release needs changed."""
    refusal: str | None = None
    postponed: str | None = None


def planned(release: Version | None, restart: Restart | None, keeps_shims: bool = True) -> Exchange:
    """
    What exchanging containerd does to the host: reads it, and warns of what is going to be ignored.

    + release: the one that it becomes; None: it cannot be told
    + restart: when it may be, see :func:`kubenode.operations.containerd.installed`
    + keeps_shims: whether running pods' shims stay at their path. containerd gives up a pod whose
      shim is gone when it restarts (rancher/rke2#10613)

    It is refused where pods would not survive it, and where the configuration cannot be carried
    over; it is postponed where the restart has to wait.
    """
    now = joint_reading.get_fact_now(ContainerdFiles)
    if now is None or release is None:
        return Exchange(refusal=containerd_host.CANNOT_TELL)
    gate = _gate(restart, now, release, keeps_shims)
    if gate.refusal or gate.postponed:
        return Exchange(refusal=gate.refusal, postponed=gate.postponed)
    carried = _carried_over(now, release)
    if isinstance(carried, str):
        return Exchange(refusal=carried)
    return Exchange(now, carried)


def waits(release: Version | None, restart: Restart | None) -> str | None:
    """Why exchanging containerd has to wait, as far as *restart* says so; None where it may be.

    + release: the one that it becomes
    + restart: ``if-idle`` or ``never``; others wait for nothing
    """
    if restart not in ("if-idle", "never") or release is None:
        return None
    now = joint_reading.get_fact_now(ContainerdFiles)
    return None if now is None else _gate(restart, now, release, True).postponed


def tell(explained: str, plan: Exchange) -> None:
    """Say what is going to be changed.

    + explained: the programs: from what to what
    + plan: what is neither refused nor postponed
    """
    explain(host, explained)
    files = containerd_host.contents(plan.now) if plan.now else {}
    for path, edit in plan.carried.items():
        for change in edit.changes:
            explain(host, f"{path}: {change}")
        explain_file(host, path, files[path].decode(errors="replace"), edit.text)


def say_what_waits(explained: str, why: str) -> None:
    """Say that a change waits, which is no change now.

    + explained: from what to what
    + why: as :func:`waits` says
    """
    logger.warning(f"{print_prefix(host)}{explained} waits: {why}")
    host.noop(f"{explained} waits: {why}")


def exchanged(program: Program, plan: Exchange) -> Commands:
    """
    The command that exchanges the program, and carries the configuration over.

    + program: how it is changed
    + plan: of what :func:`planned` found
    """
    if plan.postponed:
        say_what_waits(program.explained, plan.postponed)
        return
    if plan.refusal or plan.now is None:
        yield refuse(host, f"{program.explained}: {plan.refusal}: nothing was changed")
        return
    files = containerd_host.contents(plan.now)
    daemon = plan.now["containerd"]
    yield program_change.change(
        program,
        {path: (files[path], edit.text.encode()) for path, edit in plan.carried.items()},
        daemon["config"]["path"],
        containerd_host.daemon_of(daemon),
        _service(plan.now),
    )


class _Gate(NamedTuple):
    """Why a restart may not be, or has to wait."""

    refusal: str | None = None
    postponed: str | None = None


def _gate(
    restart: Restart | None, now: ContainerdFilesShape, new: Version, keeps_shims: bool
) -> _Gate:
    daemon = now["containerd"]
    service = _service(now)
    if not service.is_active:
        return _Gate()
    if service.is_masked:
        (unit,) = CONTAINERD.units
        return _Gate(refusal=f"{unit} is masked, and runs: systemctl unmask it, or stop it")
    counts = daemon["pods"]
    pods = None if counts is None else counts["systemd"] + counts["cgroupfs"]
    old = daemon["installed"]["version"]
    survive = keeps_shims and old is not None and pods_survive(Version(old), new)
    if not survive and pods != 0:
        running = "pods may run" if pods is None else f"{pods} containers run"
        return _Gate(
            refusal=f"{running} and would not survive it: drain the node first (kubectl drain)"
        )
    return _Gate(postponed=postponed(restart, pods, survive))


def _service(now: ContainerdFilesShape) -> Service:
    unit = now["containerd"]["unit"]
    return Service(
        is_enabled=unit is not None and unit["enabled"] == "enabled",
        is_active=unit is not None and unit["active"] in ("active", "activating", "reloading"),
        serves=now["containerd"]["cri"] == "serving",
        is_masked=unit is not None and unit["load"] == "masked",
    )


def _carried_over(now: ContainerdFilesShape, release: Version) -> dict[str, Edit] | str:
    """The files that the other release needs changed, or why it cannot have them."""
    if now["unreadable"]:
        return f"cannot read {', '.join(now['unreadable'])}"
    main = now["containerd"]["config"]["path"]
    files = containerd_host.contents(now)
    for consequence in consequences(main, files, release):
        if consequence.stops:
            return consequence.text
        logger.warning(f"{print_prefix(host)}{consequence.text}")
    try:
        edits = edits_by(lambda config, is_root: Edit(config.text, ()), main, files, release)
    except ConfigError as error:
        return str(error)
    # one that says nothing is begun when containerd is configured
    return {path: edit for path, edit in edits.items() if files.get(path, b"").strip()}
