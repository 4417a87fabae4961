"""Which of a host's runtimes kubelet uses."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.kubelet_files import KubeletFiles, KubeletFilesShape
from kubenode.facts.pods import Pods
from kubenode.facts.runtime_switch import RuntimeSwitch, RuntimeSwitchShape
from kubenode.files.exact_text import bytes_of, text_of
from kubenode.kubelet import configuration, runtime_switch
from kubenode.kubelet.runtime_switch import Switch
from kubenode.linux.cgroups import Driver
from kubenode.operations import interrupted_change, other_runtime
from kubenode.operations import kubelet as kubelet_operations
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.runtimes import crictl, other_runtimes
from kubenode.runtimes.config_swap import Daemon
from kubenode.runtimes.crictl import CRICTL_CONFIG, CrictlPlan
from kubenode.runtimes.other_runtimes import OtherRuntime
from kubenode.runtimes.runtime import CONTAINERD, CRIO, Runtime, named
from kubenode.settings import DEFAULTS
from kubenode.wire import joint_reading
from kubenode.wire.bounded import RESTART_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]

_CANNOT_TELL = "cannot tell which runtimes this host has, see the lines above"


@operation()
@bounded(RESTART_SECONDS)
def replaced(by: str, cgroup_driver: Driver | None = DEFAULTS.cgroup_driver) -> Commands:
    """
    Have kubelet and crictl use a runtime that serves CRI beside the one they use, and stop that
    one.

    + by: the runtime that takes its place, as ``kubenode_runtime`` names it. Its own operations
      come before, with ``replace_runtime=True``
    + cgroup_driver: the one it has, which kubelet's files get too where they state another; None
      leaves them

    A host where no other runtime is in use is as wanted. Else no pod may run: the node is drained
    first, and what stays on it is ended. Then, in one command on the host: kubelet is stopped; the
    endpoint is changed where the value that counts stands (a flag in ``kubeadm-flags.env``, a
    drop-in of ``--config-dir``, ``/var/lib/kubelet/config.yaml``), in kubeadm's
    ``instance-config.yaml`` and in ``/etc/crictl.yaml``, and all else in these stays to the letter;
    kubelet is started, and has to be healthy; then the old runtime's units are stopped and
    disabled. Where kubelet does not come up all of it is put back. A change that is interrupted
    ends on the host, or with the next run, and at every step one runtime serves that kubelet points
    at.

    Docker Engine's containerd stays where containerd is wanted, and stops with the engine where
    CRI-O is. A unit that an earlier change has disabled is enabled again where its runtime comes
    back, ``docker.socket`` too. The old runtime's packages, their holds, files and data stay: going
    back is the same with the other name. ``containerd.absent``, or the package manager, removes
    them.

    What kubeadm keeps of a node in the cluster is printed: the annotation
    ``kubeadm.alpha.kubernetes.io/cri-socket``.

    Source: the Kubernetes page "Changing the Container Runtime on a Node from Docker Engine to
    containerd".

    **Example:**

    .. code:: python

        containerd.installed(name="containerd, beside Docker Engine", replace_runtime=True)
        containerd.configured(name="containerd is configured", replace_runtime=True)
        containerd.running(name="containerd serves CRI", replace_runtime=True)
        runtime.replaced(name="kubelet uses containerd", by="containerd")
    """
    try:
        wanted = named(by)
    except ValueError as error:
        raise OperationValueError(f"by is one of {error}") from error
    if cgroup_driver not in (None, "systemd", "cgroupfs"):
        raise OperationValueError(f"cgroup_driver is systemd or cgroupfs, not {cgroup_driver!r}")
    now = joint_reading.get_fact(RuntimeSwitch)
    if (yield from interrupted_change.ended(now["change"] if now else None)):
        now = joint_reading.get_fact_now(RuntimeSwitch)
    if now is None:
        yield refuse(host, _CANNOT_TELL)
        return
    if problem := other_runtimes.refusal(now["runtimes"], wanted, replaces=True):
        yield refuse(host, f"{': '.join(problem)}: nothing was changed")
        return
    others = other_runtimes.in_use(now["runtimes"], wanted)
    if not others:
        host.noop(f"no other runtime than {wanted.cri} is in use here")
        return
    yield from _replaced(now, wanted, others, cgroup_driver)


def _replaced(
    now: RuntimeSwitchShape,
    wanted: Runtime,
    others: list[OtherRuntime],
    cgroup_driver: Driver | None,
) -> Commands:
    of_kubelet, pods = joint_reading.get_each([(KubeletFiles, {}), (Pods, {})])
    new = _daemon_of(wanted)
    engine, disabled = now["engine"], now["disabled"]
    if of_kubelet is None or engine is None or disabled is None or new is None:
        yield refuse(host, _CANNOT_TELL)
        return
    daemon, socket = new
    files = kubelet_operations.files_of(of_kubelet)
    # kubeadm writes the file of a node that has not joined
    if of_kubelet["config"] in of_kubelet["files"]:
        of_files = runtime_switch.plan(files, socket, cgroup_driver)
    else:
        of_files = runtime_switch.stated(files, socket)
    content = None if now["crictl"] is None else bytes_of(now["crictl"])
    of_crictl = crictl.plan(content, socket, now["crictl_readable"])
    blocked = (
        other_runtime.pods_of(pods, others, wanted)
        or _unsettled(of_kubelet)
        or of_files.blocked
        or of_crictl.blocked
    )
    if blocked:
        yield refuse(host, f"{blocked}: nothing was changed")
        return
    to_do = Switch(
        f"{' and '.join(other.name for other in others)} -> {wanted.cri}",
        wanted.cri,
        socket,
        other_runtimes.stopped(now["runtimes"], engine, wanted),
        _changed(of_kubelet, of_files, of_crictl),
        other_runtimes.enabled_again(now["runtimes"], engine, disabled, wanted),
        starts=of_kubelet["joined"] == "yes" or of_kubelet["active"] is True,
    )
    _explain(to_do, of_kubelet, of_files)
    yield runtime_switch.switch(to_do, kubelet_operations.daemon_of(files, of_files), daemon)


def _unsettled(of_kubelet: KubeletFilesShape) -> str | None:
    if of_kubelet["interrupted"]:
        return "a change of kubelet's files was interrupted, which kubelet.configured undoes"
    return kubelet_operations.unclear(of_kubelet)


def _daemon_of(wanted: Runtime) -> tuple[Daemon, str] | None:
    """What tells whether the new runtime serves CRI, and its socket; None where nobody can tell."""
    # the operations of one runtime are enough, and each takes long to import
    if wanted.cri == CONTAINERD.cri:
        from kubenode.facts.containerd import Containerd
        from kubenode.operations import containerd_host

        containerd = joint_reading.get_fact(Containerd)
        if containerd is None:
            return None
        return containerd_host.daemon_of(containerd), containerd["socket"]
    if wanted.cri == CRIO.cri:
        from kubenode.facts.crio import Crio
        from kubenode.operations import crio_host

        crio = joint_reading.get_fact(Crio)
        return None if crio is None else (crio_host.daemon_of(crio), crio["socket"])
    from kubenode.facts.docker import Docker
    from kubenode.operations import docker_host

    docker = joint_reading.get_fact(Docker)
    return None if docker is None else (docker_host.daemon_of(docker), docker["socket"])


def _changed(
    of_kubelet: KubeletFilesShape, of_files: configuration.Plan, of_crictl: CrictlPlan
) -> dict[str, tuple[bytes | None, bytes]]:
    """Content now and new content of each file that changes."""
    changed: dict[str, tuple[bytes | None, bytes]] = {}
    for path, text in of_files.edits.items():
        old = of_kubelet["files"].get(path)
        changed[path] = (None if old is None else bytes_of(old), bytes_of(text))
    if of_crictl.new is not None and of_crictl.new != of_crictl.old:
        changed[CRICTL_CONFIG] = (of_crictl.old, of_crictl.new)
    return changed


def _explain(to_do: Switch, of_kubelet: KubeletFilesShape, of_files: configuration.Plan) -> None:
    explain(host, f"kubelet's runtime: {to_do.explained}")
    for sentence in of_files.changes:
        explain(host, sentence)
    for path, (old, new) in to_do.files.items():
        explain_file(host, path, None if old is None else text_of(old), text_of(new))
    endpoint = f"unix://{to_do.socket}"
    if to_do.starts:
        what = "restart" if of_kubelet["active"] else "start"
        explain(host, f"{what} kubelet, which has to be healthy then, or all of it is put back")
    else:
        explain(
            host,
            "this node has not joined a cluster: kubeadm init and join take --cri-socket "
            f"{endpoint} where they find several",
        )
    if to_do.enabled_again:
        units = ", ".join(to_do.enabled_again)
        explain(host, f"enable {units} again, as before an earlier change of the runtime")
    if to_do.stopped.units:
        units = ", ".join(to_do.stopped.units)
        explain(
            host,
            f"stop and disable {units}; packages, their holds and all data stay, until somebody "
            "removes them",
        )
    if of_kubelet["joined"] != "no":
        explain(
            host,
            "kubeadm has it in the cluster too: kubectl annotate node NODE --overwrite "
            f"kubeadm.alpha.kubernetes.io/cri-socket={endpoint}",
        )
