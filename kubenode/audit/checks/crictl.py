"""crictl's configuration: what everybody reaches for who debugs a node."""

from __future__ import annotations

from kubenode.audit.checks.check import (
    Check,
    Evidence,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.references import RUNTIME_ALONE
from kubenode.audit.checks.runtime_in_use import RuntimeInUse, beside, of_runtime
from kubenode.runtimes.crictl import CRICTL_CONFIG
from kubenode.runtimes.runtime import of_endpoint


def _config(subject: Subject, runtime: RuntimeInUse) -> Verdict:
    crictl = subject.crictl
    expected = f"{CRICTL_CONFIG} with runtime-endpoint unix://{runtime.shape['socket']}"
    if crictl["exists"] is None:
        return unknown(f"{CRICTL_CONFIG} cannot be read", expected=expected)
    if not crictl["exists"]:
        return violated(f"there is no {CRICTL_CONFIG}", expected=expected)
    if crictl["error"]:
        return violated(crictl["error"], Evidence("", CRICTL_CONFIG), expected=expected)
    for name in ("runtime_endpoint", "image_endpoint"):
        endpoint = crictl["runtime_endpoint" if name == "runtime_endpoint" else "image_endpoint"]
        if endpoint is None and name == "image_endpoint":
            continue
        if _path(endpoint or "") != _path(runtime.shape["socket"]):
            key = name.replace("_", "-")
            found = f"{key} is {endpoint}" if endpoint else f"no {key}"
            leads_to = of_endpoint(endpoint)
            if leads_to and leads_to.cri in {other.name for other in beside(subject)}:
                return not_applicable(f"{found}, {RUNTIME_ALONE}")
            return violated(found, Evidence(found, CRICTL_CONFIG), expected=expected)
    return met(str(crictl["runtime_endpoint"]), expected=expected)


def _path(endpoint: str) -> str:
    path = endpoint.removeprefix("unix://")
    # /var/run is a link to /run
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


CHECKS = (
    Check(
        id="crictl.config",
        title="crictl.yaml points at the runtime",
        severity="warn",
        expected=f"{CRICTL_CONFIG} with the runtime's socket",
        why="Without it crictl tries one socket after the other, complains at each call, and has a "
        "timeout that is too short for a node under load.",
        judge=of_runtime(_config),
        remedy="kubenode.node.prepare, or containerd.configured()",
        operation="containerd.configured",
        sources=("https://github.com/kubernetes-sigs/cri-tools/blob/master/docs/crictl.md",),
    ),
)
