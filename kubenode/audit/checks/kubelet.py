"""kubelet: started at boot, and told the runtime's socket."""

from __future__ import annotations

from kubenode.audit.checks import unit
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
from kubenode.audit.checks.references import KUBELET_CONFIG
from kubenode.audit.checks.runtime_in_use import in_use
from kubenode.facts import kubelet as kubelet_fact
from kubenode.facts.kubelet import SettingShape
from kubenode.kubelet import fields
from kubenode.linux import logind

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


def _applied(subject: Subject) -> Verdict:
    kubelet = subject.kubelet
    if not kubelet["active"]:
        return not_applicable("kubelet does not run")
    if kubelet["error"]:
        return not_applicable(f"its settings cannot be told, {KUBELET_CONFIG}")
    now, then = kubelet["settings"], kubelet["at_next_start"]
    evidence = [_setting(name, each) for name, each in now.items()]
    if late := kubelet_fact.unapplied(kubelet):
        unsure = kubelet["edited"] or []
        evidence = [
            *(_setting(name, each) for name, each in now.items() if each["file"] not in unsure),
            *(
                _setting(f"after a restart: {name}", each)
                for name, each in then.items()
                if each["file"] in unsure or name not in now or now[name]["value"] != each["value"]
            ),
        ]
        return violated("; ".join(late), *evidence)
    if kubelet["edited"] is None:
        return unknown("nobody can tell when kubelet was started", *evidence)
    return met("it runs with what is on disk", *evidence)


def _setting(name: str, stated: SettingShape) -> Evidence:
    return Evidence(f"{name}: {stated['value']}", stated["file"], stated["line"])


def _shutdown(subject: Subject) -> Verdict:
    kubelet = subject.kubelet
    if kubelet["error"]:
        return not_applicable(f"its settings cannot be told, {KUBELET_CONFIG}")
    stated = kubelet["at_next_start"].get(_PERIOD) or kubelet["settings"].get(_PERIOD)
    wanted = fields.duration(stated["value"]) if stated else None
    if not wanted or stated is None:
        return not_applicable("kubelet is told no shutdownGracePeriod")
    delay = subject.logind
    evidence = [_setting(_PERIOD, stated)]
    expected = f"a shutdown that may wait {wanted} s"
    if not delay["runs"]:
        return violated(
            f"{logind.UNIT} does not run",
            *evidence,
            remedy="install systemd's logind and D-Bus (Debian: dbus), and restart kubelet",
        )
    if (boot := delay["boot"]) is None:
        return unknown(f"cannot read {', '.join(delay['unreadable'])}", expected=expected)
    evidence.append(Evidence(boot["text"] or "systemd's own default", boot["file"], boot["line"]))
    short = []
    if delay["live"] is not None and delay["live"] < wanted:
        short.append(f"a shutdown waits {delay['live']:g} s")
    if boot["seconds"] < wanted:
        short.append(f"from the next boot on {boot['seconds']:g} s")
    if short:
        return violated(f"{', '.join(short)} of {wanted} s", *evidence, expected=expected)
    if delay["live"] is None:
        return unknown(f"{logind.UNIT} does not say how long a shutdown waits", *evidence)
    return met(f"a shutdown waits {wanted} s and more, also after a boot", *evidence)


_PERIOD = "shutdownGracePeriod"

CHECKS = (
    unit.at_boot(
        "kubelet",
        "kubelet",
        "warn",
        _unit,
        expected="kubelet.service enabled",
        why="A kubelet that was started by hand is gone after the next boot.",
        remedy='systemctl enable kubelet; kubernetes.installed(version="1.37"), with the release '
        "that is installed, does it too",
        operation="kubernetes.installed",
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
        remedy='kubelet.configured(settings={"containerRuntimeEndpoint": '
        '"unix:///run/containerd/containerd.sock"}), or the socket of another runtime; so does '
        "prepare with containerRuntimeEndpoint in kubenode_kubelet",
        operation="kubelet.configured",
        mirrors=("kubeadm: CRI",),
        sources=("https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/",),
    ),
    Check(
        id="kubelet.applied",
        title="kubelet runs with the program and the configuration that are on disk",
        severity="warn",
        expected="no change since kubelet was started",
        why="kubelet reads its flags and files when it starts, and no package restarts it. What "
        "was changed since comes into force at a restart that nobody expects, perhaps on all nodes "
        "at once, and may keep it from starting. The evidence has its settings, each with the "
        "place that states it.",
        judge=_applied,
        remedy='kubelet.configured(settings={"failSwapOn": True}), or any other setting, restarts '
        "it, proves it by its health, and says what is wrong with what is on disk; so does prepare "
        "with kubenode_kubelet",
        operation="kubelet.configured",
    ),
    Check(
        id="kubelet.shutdown-grace",
        title="A shutdown waits until kubelet has ended the pods",
        severity="warn",
        expected="logind's InhibitDelayMaxSec is kubelet's shutdownGracePeriod or more",
        why="kubelet asks logind to delay a shutdown by its shutdownGracePeriod. It writes a file "
        "for that itself, which loses against others (unattended-upgrades has one with 30 s); then "
        "it only logs an error, and pods are killed with the machine: an undrained reboot takes 90 "
        "s and more, and StatefulSets wait for their pods.",
        judge=_shutdown,
        remedy='logind.shutdown_delay(at_least="60s"), with kubelet\'s shutdownGracePeriod; so '
        "does prepare with kubenode_shutdown_grace_period",
        operation="logind.shutdown_delay",
        sources=(
            "https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/",
            "https://github.com/kubernetes/kubernetes/issues/102818",
        ),
    ),
)
