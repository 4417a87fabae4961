"""containerd's proxies and its limit of open files: ``containerd.service``."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from typing import Any

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.containerd_service import ContainerdService, ContainerdServiceShape
from kubenode.operations import other_runtime
from kubenode.operations.containerd_host import (
    CANNOT_TELL,
    COMES_FIRST,
    daemon_of,
    state,
)
from kubenode.run import asked
from kubenode.run.pyinfra_internals import is_executing, print_prefix
from kubenode.run.secret_arguments import secret_arguments
from kubenode.run.telling import explain, later, refuse
from kubenode.runtimes.config_swap import start, swap
from kubenode.runtimes.containerd.service import (
    ServiceNow,
    check_limit,
    check_proxy,
    service_plan,
)
from kubenode.runtimes.restart import Restart, check_restart, postponed
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.settings import DEFAULTS
from kubenode.wire import joint_reading
from kubenode.wire.bounded import RESTART_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]


@secret_arguments("containerd.service")
@operation()
@bounded(RESTART_SECONDS)
def service(
    proxy: Mapping[str, str] | None = DEFAULTS.proxy,
    limit_nofile: int | str | None = DEFAULTS.limit_nofile,
    restart: Restart | None = DEFAULTS.restart,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Give containerd its proxies and its limit of open files, by drop-ins of containerd.service.

    + proxy: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``. An empty dict takes away what kubenode
      has set, None leaves what is there. ``NO_PROXY`` must have the cluster's own: CIDRs of
      services and pods, nodes, ``.svc``, mirrors
    + limit_nofile: ``LimitNOFILE=``: a number for both limits, ``infinity``, or ``SOFT:HARD``; None
      leaves what is there. Containers get the soft one (containerd 2.0's own unit has none)
    + restart: when containerd may be restarted for it: ``now``, ``if-idle`` (no pod runs) or
      ``never``; None is now, as pods survive it
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    Proxies are in ``/etc/containerd/proxy.env``, for root alone, which
    ``containerd.service.d/http-proxy.conf`` names. They may have a password, and ``Environment=``
    of a unit is for every user to see. A file of that name that others wrote is replaced, and stays
    beside it. The limit is in ``limit-nofile.conf``. Drop-ins count in the order of their names:
    one that would win over these is an error, which names it.

    systemd reads its units again, containerd is restarted if it runs, and the operation ends when
    CRI answers. If it does not, the old files come back, on the host itself. No value of a proxy is
    printed. Where *restart* does not allow a restart now, the drop-ins are written, and a warning
    says that they are not in force yet.

    Source: systemd.unit(5), systemd.exec(5), containerd's docs/ops.md.

    **Example:**

    .. code:: python

        containerd.service(
            name="containerd pulls through the proxy",
            proxy={
                "HTTPS_PROXY": "http://proxy.example:3128",
                "NO_PROXY": "10.0.0.0/8,.svc,.cluster.local",
            },
            limit_nofile="1024:524288",
        )
    """
    try:
        if proxy is not None:
            check_proxy(proxy)
        if limit_nofile is not None:
            check_limit(limit_nofile)
        check_restart(restart)
    except ValueError as error:
        raise OperationValueError(str(error)) from None
    # sums, as a proxy may have a password
    mine = {"proxy": _sum(proxy), "limit_nofile": _sum(limit_nofile)}
    for other in asked.by_others(host, "containerd.service", mine):
        for name, value in mine.items():
            if None not in (value, other[name]) and value != other[name]:
                conflict = (
                    f"containerd.service is called twice in this run with a different {name}: "
                    "each would undo the other, say the same in both or remove one"
                )
                yield refuse(host, asked.contradiction(host, conflict))
                return
    now = joint_reading.get_fact(ContainerdService)
    if now is None:
        yield refuse(host, CANNOT_TELL)
        return
    if problem := other_runtime.problem(now["runtimes"], CONTAINERD, replace_runtime):
        yield refuse(host, problem)
        return
    if not now["containerd"]["installed"]["binary"]:
        if is_executing(host):
            yield refuse(host, COMES_FIRST)
        else:
            yield later(host, "containerd.service will get its drop-ins once it is installed")
        return
    to_do = service_plan(proxy, limit_nofile, _now(now))
    if to_do.blocked:
        yield refuse(host, to_do.blocked)
        return
    if to_do.is_empty:
        host.noop("containerd.service has the proxies and limits that are wanted")
        return
    runs = _runs(now)
    waits = _waits(now, restart) if runs else None
    trouble = _is_unfinished(now) or (_cannot_restart(now) if runs and not waits else None)
    if trouble:
        yield refuse(host, f"{trouble}: nothing was changed")
        return
    if waits:
        files = ", ".join([*(change.path for change in to_do.changes), *to_do.pending])
        logger.warning(f"{print_prefix(host)}the restart that puts {files} in force waits: {waits}")
        if not to_do.changes:
            host.noop(f"{files}: as wanted, and in force after a restart, which waits: {waits}")
            return
        runs = False
    for sentence in to_do.explained:
        explain(host, sentence)
    if runs:
        since = f": {', '.join(to_do.pending)} changed after it started"
        why = since if to_do.pending else ""
        socket = now["containerd"]["socket"]
        explain(host, f"reload systemd, restart containerd and wait for CRI on {socket}{why}")
    else:
        explain(host, "reload systemd")
    daemon = daemon_of(now["containerd"])
    if to_do.changes:
        main = now["containerd"]["config"]["path"]
        yield swap({}, main, daemon, restart=runs, also=to_do.changes)
    else:
        restarted = "systemctl restart containerd.service"
        yield start(daemon, ["systemctl daemon-reload", restarted])


def _now(now: ContainerdServiceShape) -> ServiceNow:
    found = now["service"]
    return ServiceNow(
        {
            path: None if file["sum"] is None else (file["sum"], file["private"])
            for path, file in found["files"].items()
        },
        found["drop_ins"],
        found["unreadable"],
        found["nr_open"],
        found["changed"] if _runs(now) else (),
    )


def _runs(now: ContainerdServiceShape) -> bool:
    unit = now["containerd"]["unit"]
    return unit is not None and unit["active"] in ("active", "activating", "reloading")


def _is_unfinished(now: ContainerdServiceShape) -> str | None:
    """What has to end first: drop-ins that systemd has not read yet are not known here."""
    unit = now["containerd"]["unit"]
    if now["interrupted"]:
        return "a change of containerd was interrupted: containerd.configured comes first"
    if unit is not None and unit["needs_daemon_reload"]:
        return (
            "containerd.service changed on disk, and systemd has not read it: "
            "containerd.configured comes first"
        )
    return None


def _sum(value: object) -> str | None:
    return None if value is None else hashlib.sha256(repr(value).encode()).hexdigest()


def _waits(now: ContainerdServiceShape, restart: Restart | None) -> str | None:
    """Why a restart has to wait, None when it may be now."""
    there = state(now["containerd"])
    return postponed(restart, there.pods_count, there.pods_survive)


def _cannot_restart(now: ContainerdServiceShape) -> str | None:
    daemon = now["containerd"]
    if daemon["config"]["exists"] is not True or daemon["config"]["error"]:
        why = daemon["config"]["error"] or "it has no configuration file"
        return (
            f"containerd would not be restarted safely ({why}): containerd.configured comes first"
        )
    if not daemon["ctr"]:
        return "ctr is missing, and so the way to ask whether CRI serves"
    # a restart would put in force what somebody edited and nobody has proven
    there = state(daemon)
    if there.restart_pending != () or there.replaced:
        return "containerd waits for a restart: containerd.running comes first"
    return None
