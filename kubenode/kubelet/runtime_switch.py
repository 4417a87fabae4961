"""The script with which kubelet changes over from one runtime to another: proven, or undone.

All of it runs on the host in one command, under the host's lock, as a change of a program does
(:mod:`kubenode.runtimes.program_change`): what undoes it is on disk before anything is changed, a
transient unit ends it where its shell is killed, and the next run does after a power cut.

The new runtime serves CRI before it begins. kubelet is stopped, its files and crictl's get the new
endpoint, kubelet is started and has to be healthy, and only then the old runtime is stopped and
disabled. So at every step one runtime serves that kubelet points at. The old one stays installed,
with all its data.

Source: the Kubernetes page "Changing the Container Runtime on a Node from Docker Engine to
containerd".
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import StringCommand

from kubenode.files import host_lock
from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet import configuration
from kubenode.kubelet.configuration import Files, Plan
from kubenode.run import host_script
from kubenode.run.pyinfra_internals import Telling
from kubenode.runtimes import config_swap, other_runtimes, program_change
from kubenode.runtimes.config_swap import Daemon
from kubenode.runtimes.other_runtimes import Stopped
from kubenode.runtimes.program_change import Program, Service
from kubenode.runtimes.runtime import of_endpoint

STOP_SECONDS = 120
"""How long systemd may take to stop or start a unit; its own limit is 90 s."""

_SWITCH = host_script.read(__file__, "runtime_switch.sh")
_FUNCTIONS = host_script.read(__file__, "runtime_switch_functions.sh")


@dataclass(frozen=True)
class Switch:
    """What a change of the runtime is.

    + explained: from which to which: ``containerd -> cri-dockerd``
    + new: the new runtime, as messages call it
    + socket: where that serves CRI
    + stopped: what nobody needs afterwards
    + files: content now (None: there is no such file) and new content, by path
    + enabled_again: units that an earlier change has disabled
    + starts: whether kubelet is restarted, or started; without a cluster it cannot be
    """

    explained: str
    new: str
    socket: str
    stopped: Stopped
    files: Mapping[str, tuple[bytes | None, bytes]] = field(default_factory=dict)
    enabled_again: Sequence[str] = ()
    starts: bool = True


def plan(files: Files, socket: str, cgroup_driver: str | None) -> Plan:
    """What becomes of kubelet's files, so that it uses the runtime at a socket.

    + files: kubelet's
    + socket: of the new runtime
    + cgroup_driver: the one that this has; None leaves kubelet's

    Images come from the runtime too, where an endpoint of their own leads to a runtime that is
    known.
    """
    endpoint = f"unix://{socket}"
    wanted = {"containerRuntimeEndpoint": endpoint}
    if cgroup_driver is not None:
        wanted["cgroupDriver"] = cgroup_driver
    try:
        images = configuration.in_force(files, files.texts).get("imageServiceEndpoint")
    except CannotTell:
        # the plan says why
        images = None
    if isinstance(images, str) and of_endpoint(images) is not None:
        wanted["imageServiceEndpoint"] = endpoint
    return configuration.plan(files, wanted)


def stated(files: Files, socket: str) -> Plan:
    """The same where kubelet has no configuration file yet: only what states another endpoint.

    + files: kubelet's
    + socket: of the new runtime
    """
    nothing = Files(None, (), files.texts, files.words)
    try:
        if "containerRuntimeEndpoint" not in configuration.in_force(nothing, files.texts):
            return Plan()
    except CannotTell as trouble:
        return Plan(blocked=str(trouble))
    return configuration.plan(nothing, {"containerRuntimeEndpoint": f"unix://{socket}"})


def switch(to_do: Switch, kubelet: Daemon, new: Daemon) -> StringCommand:
    """A command that changes over, or leaves all as it was and fails with the reason.

    + to_do: what is changed
    + kubelet: kubelet's, see :func:`kubenode.kubelet.service.daemon`
    + new: the new runtime's

    The old runtime comes back, enabled and running as it was, and kubelet with it, where kubelet
    does not come up with the new one.
    """
    items = config_swap.items_of(to_do.files)
    functions = [
        f"stopped_units={shlex.quote(' '.join(to_do.stopped.units))}",
        f"left_sockets={shlex.quote(' '.join(to_do.stopped.sockets))}",
        f"enabled_again={shlex.quote(' '.join(to_do.enabled_again))}",
        host_script.filled(
            _FUNCTIONS,
            DISABLED=other_runtimes.DISABLED,
            NEW=to_do.new,
            STOP_SECONDS=STOP_SECONDS,
        ),
    ]
    definitions = program_change.definitions_of(
        Program(to_do.new, to_do.explained, "\n".join(functions)),
        # there is no such file: the note of what is not proven yet stands beside it
        f"{program_change.DIRECTORY}/runtime",
        kubelet,
        Service(is_enabled=False, is_active=to_do.starts, serves=True),
    )
    back = program_change.back_script(definitions).encode()
    script = host_script.filled(
        _SWITCH,
        BEGIN=program_change.begun(items),
        NEW=to_do.new,
        SOCKET=to_do.socket,
        STAGE="\n".join(each.staged() for each in items),
        NOTED=program_change.noted(items, to_do.explained, back),
        PUT="\n".join(each.put("go_back") for each in items),
    )
    # its functions have the names of kubelet's
    serves = f"new_serves() (\n{new.functions.strip()}\ncri_serves\n)"
    contents = [*(content for _, content in to_do.files.values()), back]
    command = host_lock.under_lock("\n".join([definitions, serves, script.strip()]), contents)
    arguments: Any = command.connector_arguments
    return Telling(*command.bits, _separator=command.separator, **arguments)
