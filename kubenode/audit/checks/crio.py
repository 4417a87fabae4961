"""Checks of CRI-O alone: what its many files do, and what nothing says before a pull or a start."""

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
from kubenode.audit.checks.crio_files import monitor_troubles
from kubenode.audit.checks.references import RUNTIME_CONFIG
from kubenode.audit.checks.release import aimed_at
from kubenode.audit.checks.runtime_in_use import in_use, of_crio
from kubenode.facts.crio import CrioShape, bridge_of
from kubenode.linux.place import PlaceShape
from kubenode.runtimes.crio import releases
from kubenode.runtimes.crio.config import DROP_INS

_CONF = "https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.d.5.md"


def _unusable(crio: CrioShape) -> Verdict | None:
    if crio["config"]["error"]:
        return not_applicable(f"its files cannot be used, {RUNTIME_CONFIG}")
    return None


def _at(text: str, place: PlaceShape) -> Evidence:
    return Evidence(text, place["file"], place["line"])


def _strays(_: Subject, crio: CrioShape) -> Verdict:
    strays = crio["strays"]
    if strays:
        return violated(
            f"CRI-O reads {', '.join(strays)} too",
            *(Evidence("read like any other file", path) for path in strays),
        )
    if crio["config"]["error"] and not crio["files"]:
        return not_applicable(f"its files cannot be used, {RUNTIME_CONFIG}")
    return met(f"{len(crio['files'])} files, each a .conf")


def _policy(_: Subject, crio: CrioShape) -> Verdict:
    policy = crio["signature_policy"]
    if not crio["effective"] and (verdict := _unusable(crio)):
        return verdict
    if policy["exists"] is None:
        return unknown(f"{policy['path']}: it cannot be told whether it is there")
    if not policy["exists"]:
        return violated(f"{policy['path']} is missing", Evidence("", policy["path"]))
    return met(policy["path"])


def _bridge(_: Subject, crio: CrioShape) -> Verdict:
    config = crio["cni"]["config"]
    if config is None:
        if crio["cni"]["error"]:
            return unknown(crio["cni"]["error"])
        return met("no network is configured yet")
    if bridge_of(config):
        return violated(f"{config} is the network", Evidence("the package's own bridge", config))
    return met(config)


def _insecure(subject: Subject, crio: CrioShape) -> Verdict:
    if verdict := _unusable(crio):
        return verdict
    place = crio["insecure_registries"]
    if place is None:
        return met("not stated")
    runtime = in_use(subject)
    version = None if isinstance(runtime, Verdict) else runtime.version
    if version is None:
        return unknown("CRI-O does not say its version", _at("insecure_registries", place))
    if (version.major, version.minor) < (1, 35):
        return met(f"stated, and CRI-O {version} still uses it")
    return violated(f"CRI-O {version} ignores it", _at("insecure_registries", place))


def _monitor(_: Subject, crio: CrioShape) -> Verdict:
    if verdict := _unusable(crio):
        return verdict
    driver = crio["after_restart"]
    if driver is None:
        return unknown("it cannot be told which cgroup driver a restart would bring")
    if wrong := monitor_troubles(crio):
        return violated(
            f"with the {driver} driver CRI-O does not start: "
            + ", ".join(f"{name} {setting['value']!r}" for name, (setting, _) in wrong.items()),
            *(
                Evidence(f"{name}: {problem}", setting["file"], setting["line"])
                for name, (setting, problem) in wrong.items()
            ),
        )
    stated = [f"{name} {each['value']}" for name, each in crio["monitor_cgroups"].items()]
    return met(", ".join(stated) or releases.DEFAULT_MONITOR_CGROUP)


def _command_line(_: Subject, crio: CrioShape) -> Verdict:
    if crio["flags"]:
        return violated(
            f"given beside its files: {', '.join(crio['flags'])}",
            *(Evidence(flag.partition(": ")[2], flag.partition(": ")[0]) for flag in crio["flags"]),
        )
    # a file with options for it may be what cannot be read
    return _unusable(crio) or met("nothing that its files say is overruled")


def _release(subject: Subject, crio: CrioShape) -> Verdict:
    minor = aimed_at(subject)
    if minor is None:
        return not_applicable(
            "no release asked for, and no kubelet: use --for or kubenode_kubernetes_version"
        )
    name = f"{minor[0]}.{minor[1]}"
    expected = f"CRI-O {name}, or older by {releases.MOST_BEHIND} minor releases at most"
    runtime = in_use(subject)
    version = None if isinstance(runtime, Verdict) else runtime.version
    if version is None:
        return unknown("CRI-O does not say its version", expected=expected)
    found = f"CRI-O {version} for Kubernetes {name}"
    if releases.fits(version, minor):
        return met(found, expected=expected)
    return violated(found, expected=expected)


CHECKS = (
    Check(
        id="crio.stray-files",
        title="No copy of a file lies among CRI-O's drop-ins",
        severity="warn",
        expected=f"files in {DROP_INS} whose names end in .conf",
        why="CRI-O reads every file in that folder, whatever its name is: an editor's copy, an "
        ".rpmsave or a .bak counts, and wins over the file that it is a copy of.",
        judge=of_crio(_strays),
        remedy="move the file out of that folder, then look whether the node is still as it was",
        sources=(_CONF,),
    ),
    Check(
        id="crio.signature-policy",
        title="CRI-O finds the policy for images' signatures",
        severity="fail",
        expected="the file that signature_policy names, or /etc/containers/policy.json",
        why="Without it every pull fails, the pause image's too, and CRI-O starts all the same.",
        judge=of_crio(_policy),
        remedy="install the file again with its package (apt-get install --reinstall cri-o), or "
        "name one that is there in signature_policy",
        sources=("https://github.com/containers/image/blob/main/docs/containers-policy.json.5.md",),
    ),
    Check(
        id="crio.bridge",
        title="The bridge that CRI-O's packages bring is not the pods' network",
        severity="warn",
        expected="the configuration of the cluster's own network, or none yet",
        why="Packages of before 2024-12 switch a bridge on: every node then gives its pods "
        "addresses of the same 10.85.0.0/16, before the cluster's network comes, and pods of two "
        "nodes cannot meet.",
        judge=of_crio(_bridge),
        remedy="rename the file so that it ends in .disabled, then delete the pods that have an "
        "address of it",
        sources=("https://github.com/cri-o/cri-o/issues/2411",),
    ),
    Check(
        id="crio.insecure-registries",
        title="CRI-O uses what is said of insecure registries",
        severity="warn",
        expected="insecure = true of a [[registry]] in /etc/containers/registries.conf",
        why="CRI-O ignores insecure_registries of its own file from 1.35 on, without a word: pulls "
        "from there fail.",
        judge=of_crio(_insecure),
        remedy="say it in /etc/containers/registries.conf.d and take it out of CRI-O's file",
        sources=("https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.5.md",),
    ),
    Check(
        id="crio.monitor-cgroup",
        title="CRI-O starts with its monitors where its files put them",
        severity="fail",
        expected="pod or a slice with the systemd driver; pod or nothing with cgroupfs",
        why="CRI-O checks that only when it starts: a running one goes on, until the next restart "
        "or reboot.",
        judge=of_crio(_monitor),
        remedy="kubenode.node.prepare, or crio.configured(), says which file to correct; with the "
        "cgroupfs driver it sets conmon_cgroup to pod",
        operation="crio.configured",
        sources=("https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.5.md",),
    ),
    Check(
        id="crio.command-line",
        title="CRI-O's command line does not win over its files",
        severity="warn",
        expected="no option in CRIO_*_OPTIONS or the unit that its files state too",
        why="An option there wins over every file, and shows in none: an edit has no effect, and "
        "kubenode refuses to change such a host.",
        judge=of_crio(_command_line),
        remedy="say it in a file in /etc/crio/crio.conf.d instead, then restart crio",
        sources=("https://github.com/cri-o/cri-o/blob/main/docs/crio.8.md",),
    ),
    Check(
        id="crio.kubernetes",
        title="CRI-O is of the Kubernetes release",
        severity="warn",
        expected="the same minor release, or older by two at most",
        why="CRI-O is made and tested for the Kubernetes of the same minor release.",
        judge=of_crio(_release),
        remedy="kubenode.node.prepare with kubenode_kubernetes_version, or crio.installed(), on an "
        "idle node: another minor release makes all containers again",
        operation="crio.installed",
        sources=("https://github.com/cri-o/cri-o#compatibility-matrix-cri-o--kubernetes",),
    ),
)
