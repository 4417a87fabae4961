"""What a host is judged for, and the findings it may have: both from its settings."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakSet

from pyinfra.api import Host, State

from kubenode import settings
from kubenode.audit.checks.check import Aim
from kubenode.runtimes.runtime import named
from kubenode.settings import NodeSettings

if TYPE_CHECKING:
    from kubenode.audit.findings import Waiver


def aim(node: NodeSettings) -> Aim:
    """What the audit judges a host for.

    + node: the host's settings
    """
    release = node.kubernetes_version
    return Aim(
        kubernetes=None if release is None else settings.minor_release(release),
        profiles=frozenset(node.profiles),
        runtime=named(node.runtime),
        cgroup_driver=node.cgroup_driver,
        modules=tuple(node.modules),
        sysctls={key: str(value) for key, value in node.sysctls.items()},
        pause_image=node.pause_image,
    )


def waivers(node: NodeSettings) -> dict[str, Waiver]:
    """The node's waivers by check.

    + node: the host's settings, of which :func:`check` knows the ids
    """
    # only an audit asks for them, and preparing a host needs nothing of its findings
    from kubenode.audit.findings import Waiver

    return {
        check_id: Waiver(check_id, waiver.reason, waiver.until)
        for check_id, waiver in node.waivers.items()
    }


_checked: WeakSet[State] = WeakSet()


def check(host: Host) -> None:
    """Refuse the run where a host's settings are wrong, or waive a check that does not exist.

    + host: the host that is prepared or audited; at the first call of a run all are checked

    Call it before anything is asked of a host. Raises OperationValueError, with a line for each
    mistake, as :func:`kubenode.settings.for_host` does.

    **Example:**

    .. code:: python

        aim.check(host)
        node = settings.for_host(host)
    """
    if host.state not in _checked:
        settings.check(host.state, _no_such_checks)
        _checked.add(host.state)
    # a deploy may set data of the host that it is at
    settings.raise_for(_no_such_checks(host))


def _no_such_checks(host: Host) -> Iterator[str]:
    key = f"{settings.PREFIX}waivers"
    waived = host.data.get(key)
    if not waived or not isinstance(waived, dict):
        return
    # the catalogue takes long to import, and most hosts have no waivers
    from kubenode.audit.checks.catalogue import CHECKS, RENAMED

    ids = [check.id for check in CHECKS]
    for check_id in waived:
        if isinstance(check_id, str) and check_id not in ids:
            if check_id in RENAMED:
                now = RENAMED[check_id]
                yield f"{key} ({settings.source(host, key)}): {check_id!r} is now {now}"
                continue
            near = difflib.get_close_matches(check_id, ids, n=1)
            hint = f"did you mean {near[0]}?" if near else "`kubenode checks` lists them"
            yield f"{key} ({settings.source(host, key)}): {check_id!r} is no check; {hint}"
