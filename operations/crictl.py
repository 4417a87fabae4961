"""Point crictl(1) at the runtime."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.crictl import Crictl, CrictlFileShape
from kubenode.files import whole_file
from kubenode.files.exact_text import bytes_of
from kubenode.run.telling import explain_file, refuse
from kubenode.runtimes import crictl, other_runtimes
from kubenode.runtimes.crictl import CRICTL_CONFIG, CrictlPlan
from kubenode.runtimes.runtime import CONTAINERD, of_endpoint
from kubenode.wire import joint_reading
from kubenode.wire.bounded import CHANGE_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]


@operation()
@bounded(CHANGE_SECONDS)
def configured(
    socket: str = CONTAINERD.socket,
) -> Generator[StringCommand | FunctionCommand, Any, None]:
    """
    Point crictl at a runtime: both endpoints of ``/etc/crictl.yaml``. All else in the file stays to
    the letter.

    + socket: absolute path of the runtime's socket

    A file that does not exist, or says nothing, gets a timeout of 10 s too: crictl's own 2 s are
    too short for a node under load. What the file was before stays beside it, see
    :mod:`kubenode.files.whole_file`. A file that crictl could not read is an error of that host,
    and so is one with several settings on a line.
    The operations that configure a runtime do the same for its socket. A host where another runtime
    than that of *socket* is in use is refused, see :mod:`kubenode.runtimes.other_runtimes`. A
    socket of no runtime that kubenode knows is taken for containerd's.

    Source: cri-tools, docs/crictl.md.

    **Example:**

    .. code:: python

        crictl.configured(
            name="crictl talks to containerd",
            socket="/run/containerd/containerd.sock",
        )
    """
    try:
        crictl.check_socket(socket)
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    now = joint_reading.get_fact(Crictl)
    if now is None:
        yield refuse(host, f"cannot tell what is in {CRICTL_CONFIG}, see the lines above")
        return
    wanted = of_endpoint(socket) or CONTAINERD
    if problem := other_runtimes.refusal(now["runtimes"], wanted):
        yield refuse(host, f"{': '.join(problem)}: nothing was changed")
        return
    plan = planned(now, socket)
    if plan.blocked:
        yield refuse(host, plan.blocked)
    elif plan.new == plan.old:
        host.noop(f"{CRICTL_CONFIG} points at {socket}")
    else:
        explained(plan)
        yield from changed(plan)


def planned(now: CrictlFileShape, socket: str) -> CrictlPlan:
    """What has to become of the file, see :func:`kubenode.runtimes.crictl.plan`.

    + now: what the host says of it
    + socket: path of the runtime's socket

    While another runtime is in use crictl is left to that, see
    :func:`kubenode.operations.runtime.replaced`.
    """
    content = now["content"]
    old = None if content is None else bytes_of(content)
    if other_runtimes.in_use(now["runtimes"], of_endpoint(socket) or CONTAINERD):
        return CrictlPlan(old, old)
    return crictl.plan(old, socket, is_readable=now["exists"] is not None)


def explained(plan: CrictlPlan) -> None:
    """Say what becomes of the file.

    + plan: one that is not blocked
    """
    if plan.new is not None and plan.new != plan.old:
        old = None if plan.old is None else plan.old.decode()
        explain_file(host, CRICTL_CONFIG, old, plan.new.decode())


def changed(plan: CrictlPlan) -> Generator[StringCommand, None, None]:
    """The command that follows a plan, none where nothing has to change.

    + plan: one that is not blocked
    """
    if plan.new != plan.old:
        yield whole_file.change([whole_file.Change(CRICTL_CONFIG, plan.old, plan.new)])
