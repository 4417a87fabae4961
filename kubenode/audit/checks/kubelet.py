"""kubelet: started at boot, and told the runtime's socket."""

from __future__ import annotations

from kubenode.audit.checks import unit
from kubenode.audit.checks.check import (
    Check,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.runtime_in_use import in_use

_NOT_THERE = "kubelet is not installed"


def _unit(subject: Subject) -> unit.Unit | Verdict:
    kubelet = subject.kubelet
    if kubelet["binary"] is None:
        return not_applicable(_NOT_THERE)
    if kubelet["enabled"] is None:
        return unit.missing("kubelet.service")
    return unit.Unit(
        "kubelet.service",
        load="loaded",
        enabled=kubelet["enabled"],
        wanted_by=kubelet["wanted_by"],
    )


def _readable(subject: Subject) -> Verdict:
    kubelet = subject.kubelet
    if kubelet["error"] and kubelet["error"].startswith(("cannot read", "cannot tell")):
        return unknown(kubelet["error"])
    if kubelet["error"]:
        return violated(kubelet["error"])
    if kubelet["config"] is None:
        return not_applicable("kubelet has no configuration file")
    return met(kubelet["config"])


def _endpoint(subject: Subject) -> Verdict:
    endpoint = subject.kubelet["runtime_endpoint"]
    if endpoint is None:
        return not_applicable("kubelet's settings state none")
    runtime = in_use(subject)
    if isinstance(runtime, Verdict):
        return runtime
    socket = runtime.shape["socket"]
    path = endpoint.removeprefix("unix://")
    if path.removeprefix("/var") == socket or path == socket:
        return met(endpoint)
    return violated(endpoint, expected=f"unix://{socket}")


CHECKS = (
    unit.at_boot(
        "kubelet",
        "kubelet",
        "warn",
        _unit,
        expected="kubelet.service enabled",
        why="A kubelet that was started by hand is gone after the next boot.",
        remedy="systemctl enable kubelet; kubernetes.installed() does it too",
        mirrors=("kubeadm: Service-Kubelet (a warning there)",),
    ),
    Check(
        id="kubelet.config-readable",
        title="kubelet's configuration is readable",
        severity="fail",
        expected="YAML that kubelet parses",
        why="kubelet does not start with a file that it cannot parse; a running one goes on until "
        "the next restart.",
        judge=_readable,
        remedy="correct the file at the place that is named",
    ),
    Check(
        id="kubelet.runtime-endpoint",
        title="kubelet talks to the runtime that is there",
        severity="fail",
        expected="containerRuntimeEndpoint is the runtime's socket",
        why="A kubelet that is told a socket nobody listens on (dockershim's, after an upgrade) "
        "does not become ready.",
        judge=_endpoint,
        remedy='kubelet.configured(settings={"containerRuntimeEndpoint": ...}), or '
        "containerRuntimeEndpoint in kubenode_kubelet",
        mirrors=("kubeadm: CRI",),
        sources=("https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/",),
    ),
)
