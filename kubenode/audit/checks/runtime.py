"""The container runtime, whichever it is: installed, configured, running, and so after a boot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

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
from kubenode.audit.checks.references import CRI_SERVING, RUNTIME_CONFIG, SYSTEMD
from kubenode.audit.checks.runtime_in_use import RuntimeInUse, beside, in_use, of_runtime
from kubenode.runtimes import cni
from kubenode.runtimes.runtime import Runtime

_DEAD_REGISTRIES = ("k8s.gcr.io/", "gcr.io/google_containers/", "gcr.io/google-containers/")
_FEWEST_FILES = 65536


def _installed(subject: Subject) -> Verdict:
    if other := subject.other_runtime:
        return not_applicable(f"the runtime is {other}")
    installed = subject.runtime["installed"]
    if installed["binary"] is None:
        return violated(f"{subject.runtime_row.cri} is not installed")
    package = installed["package"]
    if package is not None and not package["configured"]:
        return violated(
            f"dpkg was interrupted: {package['name']} {package['version']} is unpacked, and not "
            "configured",
        )
    return met(f"{installed['binary']}, version {installed['version'] or 'unknown'}")


_SOON_DAYS = 60


def _supported(subject: Subject, runtime: RuntimeInUse) -> Verdict:
    version, series = runtime.version, runtime.series
    if runtime.no_table:
        return not_applicable(runtime.no_table)
    if version is None:
        return unknown(f"{runtime.name} does not say its version")
    if series is None:
        return met(f"{version}, newer than the table")
    if subject.aim.today > series.end_of_life:
        return violated(
            f"{version}; upstream's support of {series.name} ended on {series.end_of_life}"
        )
    found = f"{version}; upstream supports {series.name} until {series.end_of_life}"
    soon = (series.end_of_life - subject.aim.today).days < _SOON_DAYS
    return violated(found) if soon else met(found)


def _config_readable(_: Subject, runtime: RuntimeInUse) -> Verdict:
    if runtime.finding not in (None, RUNTIME_CONFIG):
        return not_applicable(str(runtime.finding))
    config, trouble = runtime.shape["config"], runtime.trouble
    if trouble is None:
        return met(config["path"] if config["exists"] else "built-in defaults")
    if config["exists"] is None or trouble.endswith("cannot be read"):
        return unknown(trouble)
    return violated(trouble, Evidence("", runtime.troubled_file))


def _cri_serving(_: Subject, runtime: RuntimeInUse) -> Verdict:
    shape = runtime.shape
    if shape["cri"] == "serving":
        return met(f"answers on {shape['socket']}")
    if runtime.cri_off:
        return not_applicable(str(runtime.cri_off))
    if runtime.finding:
        return _unusable(runtime)
    if runtime.cri_fails and shape["cri"] == "disabled":
        return not_applicable(str(runtime.cri_fails))
    if shape["cri"] == "unknown":
        return unknown(f"{shape['socket']}: {runtime.why_not_asked}")
    if shape["cri"] == "disabled":
        return violated(f"{runtime.name} runs, and its CRI plugin is off or failed to start")
    state = f", {runtime.service} is {shape['unit']['active']}" if shape["unit"] else ""
    return violated(f"nothing answers on {shape['socket']}{state}")


def _unusable(runtime: RuntimeInUse) -> Verdict:
    return not_applicable(f"its files cannot be used, {runtime.finding}")


def _config_applied(_: Subject, runtime: RuntimeInUse) -> Verdict:
    shape, name = runtime.shape, runtime.name
    if runtime.unproven:
        files = ", ".join(runtime.unproven)
        return violated(f"a change of {files} was interrupted before CRI answered with it")
    if runtime.replaced:
        return violated(f"its program was exchanged after it started: {runtime.replaced}")
    if runtime.finding:
        return _unusable(runtime)
    pending = shape["restart_pending"]
    if pending is None:
        if shape["cri"] == "down":
            return not_applicable(f"{name} does not run, {runtime.cri_off or CRI_SERVING}")
        if set_back := shape["clock_set_back"]:
            return unknown(
                f"the clock was set back: the last change of {', '.join(set_back)} is yet to come",
                *(Evidence("changed in the future", path) for path in set_back),
            )
        return unknown(f"it cannot be told when {name} started")
    if pending:
        return violated(
            f"changed since {name} started: {', '.join(pending)}",
            *(Evidence("not in force yet", path) for path in pending),
        )
    return met(f"{name} runs with what is on disk")


def _alone(subject: Subject, runtime: RuntimeInUse) -> Verdict:
    row = subject.runtime_row
    if others := beside(subject):
        return violated(f"kubelet's is {row.cri}, and {'; '.join(map(str, others))}")
    if why := subject.platform["runtimes"]["unknown"]:
        return unknown("; ".join(why))
    return met(f"{row.cri} alone")


def _config_merged(_: Subject, runtime: RuntimeInUse) -> Verdict:
    left = runtime.shape["left_by_packages"]
    if left is None:
        return unknown("it cannot be told what package managers left beside its files")
    if left:
        return violated(
            f"a package left {', '.join(left)}",
            *(Evidence("left by a package", path) for path in left),
        )
    return met("nothing was left beside its files")


def _unit(otherwise: Callable[[str], Verdict]) -> unit.Find:
    """The runtime's unit; of a host without one what *otherwise* says of its name."""

    def find(subject: Subject) -> unit.Unit | Verdict:
        runtime = in_use(subject)
        if isinstance(runtime, Verdict):
            return runtime
        shape = runtime.shape["unit"]
        return (
            otherwise(runtime.service) if shape is None else unit.of_shape(runtime.service, shape)
        )

    return find


def _unit_at_boot(subject: Subject) -> unit.Unit | Verdict:
    runtime = in_use(subject)
    if isinstance(runtime, Verdict):
        return runtime
    if not subject.cgroups["systemd"]["running"]:
        # without it the systemd driver is a finding, and the other one is not
        wanted = subject.aim.cgroup_driver == "systemd"
        return not_applicable("needs systemd" + (f", {SYSTEMD}" if wanted else ""))
    return _unit(unit.missing)(subject)


def _pause_image(subject: Subject, runtime: RuntimeInUse) -> Verdict:
    if runtime.finding:
        return _unusable(runtime)
    image, wanted = runtime.shape["pause_image"], subject.aim.pause_image
    if image is None:
        return not_applicable("none stated: the release's own")
    if wanted is not None and image != wanted:
        return violated(image, expected=wanted)
    if image.startswith(_DEAD_REGISTRIES):
        return violated(f"{image}: this registry is frozen or gone")
    return met(image)


def _held(_: Subject, runtime: RuntimeInUse) -> Verdict:
    package = runtime.shape["installed"]["package"]
    if package is None:
        return not_applicable(f"{runtime.name} is not from a package")
    text = f"{package['name']} {package['version']}"
    return met(f"{text} is held") if package["held"] else violated(f"{text} is not held")


def _left_alone(subject: Subject, runtime: RuntimeInUse) -> Verdict:
    shape = subject.left_alone
    if not shape["needrestart"]:
        return not_applicable("needrestart is not installed")
    if shape["restarts"] is None:
        return unknown("needrestart's files cannot be read")
    if runtime.service in shape["restarts"]:
        return violated(f"nothing tells needrestart to leave {runtime.service} alone")
    return met(f"needrestart leaves {runtime.service} alone")


def _nofile(_: Subject, runtime: RuntimeInUse) -> Verdict:
    shape = runtime.shape["unit"]
    if shape is None or shape["limit_nofile"] is None:
        return unit.not_judged(runtime.service)
    limit = shape["limit_nofile"]
    if limit == "infinity" or (limit.isdecimal() and int(limit) >= _FEWEST_FILES):
        return met(f"LimitNOFILE={limit}")
    if not limit.isdecimal():
        return unknown(f"LimitNOFILE={limit}")
    return violated(
        f"LimitNOFILE={limit}",
        *(Evidence("", path) for path in [*shape["drop_ins"], shape["fragment"]] if path),
    )


def _cni(_: Subject, runtime: RuntimeInUse) -> Verdict:
    network, cause = runtime.shape["cni"], runtime.finding
    directories = network["bin_dirs"]
    if not directories:
        if cause:
            return _unusable(runtime)
        if runtime.cri_off:
            return not_applicable(str(runtime.cri_off))
        return unknown(f"{runtime.name} does not say where it looks")
    looks = f"{runtime.name} looks in {', '.join(directories)}"
    if network["error"] and network["error"].endswith("cannot be read"):
        return unknown(network["error"])
    if network["error"]:
        return violated(network["error"], remedy="correct or remove the file")
    if network["config"] is None:
        if cni.UPSTREAM in directories:
            return not_applicable(f"no network in {network['conf_dir']} yet; {looks}")
        if cause:
            # the directory may be the release's own, for want of the files'
            return not_applicable(f"{looks}: {cause}")
        return violated(
            f"{looks}, and most CNIs install into {cni.UPSTREAM}; there is no network yet",
            severity="warn",
        )
    there = {name for path in directories for name in network["found"].get(path, ())}
    missing = [name for name in network["plugins"] if name not in there]
    if not missing:
        return met(f"{', '.join(network['plugins'])} of {network['config']}")
    if cause:
        return not_applicable(f"{', '.join(missing)} not found, {looks}: {cause}")
    elsewhere = [
        Evidence(f"has {', '.join(own)}", path)
        for path, names in network["found"].items()
        if path not in directories and (own := [name for name in missing if name in names])
    ]
    return violated(
        f"{network['config']} names {', '.join(missing)}, not found: {looks}", *elsewhere
    )


def _named(text: str, row: Runtime) -> str:
    return text.format(
        runtime=row.cri,
        operations=row.name,
        unit=row.service.removesuffix(".service"),
        service=row.service,
    )


def _generic(text: str) -> str:
    text = text.format(
        runtime="the runtime", operations="containerd", unit="UNIT", service="its service"
    )
    return text[0].upper() + text[1:] if text.startswith("the runtime") else text


def _of_each(check: Check) -> Check:
    """A check for every runtime: its page is about any, its verdicts name that of the host."""

    def judge(subject: Subject) -> Verdict:
        verdict = check.judge(subject)
        if subject.other_runtime:
            return verdict
        row = subject.runtime_row
        remedy = _named(check.remedy, row) if verdict.outcome == "violated" else None
        return replace(
            verdict,
            expected=verdict.expected or _named(check.expected, row),
            remedy=verdict.remedy or remedy,
        )

    return replace(
        check,
        title=_generic(check.title),
        expected=_generic(check.expected),
        why=_generic(check.why),
        remedy=_generic(check.remedy),
        judge=judge,
    )


_CHECKS = (
    Check(
        id="runtime.installed",
        title="A container runtime is installed",
        severity="fail",
        expected="containerd, or another runtime that kubelet is told to use",
        why="kubelet starts no pod without a container runtime.",
        judge=_installed,
        remedy="kubenode.node.prepare, or {operations}.installed()",
        operation="containerd.installed",
        mirrors=("kubeadm: CRI",),
    ),
    Check(
        id="runtime.supported",
        title="Upstream still fixes this release of the runtime",
        severity="warn",
        expected=f"a release series that is supported for {_SOON_DAYS} days and more",
        why="A series past its end gets no security fixes upstream. A distribution may still fix "
        "it: Debian's security team does for its stable releases.",
        judge=of_runtime(_supported),
        remedy="plan the upgrade to a supported series",
        sources=("https://containerd.io/releases/",),
    ),
    Check(
        id="runtime.config-readable",
        title="{runtime} can use its configuration",
        severity="fail",
        expected="files that {runtime} parses",
        why="A runtime does not start with a file it cannot parse. A running one goes on, until "
        "the next restart or reboot.",
        judge=of_runtime(_config_readable),
        remedy="correct the file at the place that is named; the last good one may be beside it "
        "(.kubenode-backup)",
        mirrors=("k0s: containerd drop-ins",),
    ),
    Check(
        id="runtime.cri-serving",
        title="CRI answers",
        severity="fail",
        expected="the CRI plugin of a running {runtime}",
        why="kubelet talks to the runtime over CRI, and to nothing else.",
        judge=of_runtime(_cri_serving),
        remedy="kubenode.node.prepare, or {operations}.running(); `journalctl -u {unit}` says why "
        "it fails",
        operation="containerd.running",
        mirrors=("kubeadm: CRI",),
    ),
    Check(
        id="runtime.alone",
        title="No other runtime runs beside the one that kubelet uses",
        severity="warn",
        expected="other runtimes stopped and disabled, if they are installed",
        why='kubeadm stops where it finds several: "found multiple CRI endpoints on the host". '
        "Pods that another runtime has are seen by nobody, and hold memory and ports. Docker "
        "Engine's own containerd is no other runtime. One that is installed, stopped and disabled, "
        "as after a change of the runtime, is no fault.",
        judge=of_runtime(_alone),
        remedy="kubenode.node.prepare with kubenode_replace_runtime, or "
        'runtime.replaced(by="{operations}"), or systemctl disable --now the units that are named',
        operation="runtime.replaced",
        mirrors=("kubeadm: CRI",),
        sources=(
            "https://kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/"
            "change-runtime-containerd/",
        ),
    ),
    Check(
        id="runtime.config-applied",
        title="{runtime} runs with the program and the configuration that are on disk",
        severity="fail",
        expected="no file changed since {runtime} started",
        why="An edit counts from the next restart on: until then the node shows one thing and does "
        "another, and a reboot changes how it behaves.",
        judge=of_runtime(_config_applied),
        remedy="kubenode.node.prepare, or {operations}.running(): it restarts {runtime}, and "
        "containers go on",
        operation="containerd.running",
    ),
    Check(
        id="runtime.config-merged",
        title="No file of a package waits beside {runtime}'s files",
        severity="warn",
        expected="no .dpkg-dist, .dpkg-new, .ucf-dist, .rpmnew or .rpmsave beside a file of "
        "{runtime}'s",
        why="A package manager does not overwrite a configuration file that somebody has edited: "
        "the package's own is put beside it, and what the new release wants to have in it is "
        "missed. An .rpmsave is the other way round: it is the edited file, and the node's "
        "settings are no longer in force.",
        judge=of_runtime(_config_merged),
        remedy="compare the two files, take over what is missing, and remove the one beside",
        sources=(
            "https://manpages.debian.org/dpkg.1",
            "https://ftp.osuosl.org/pub/rpm/max-rpm/s1-rpm-inside-files-list-directives.html",
        ),
    ),
    unit.at_boot(
        "runtime",
        "{runtime}",
        "fail",
        _unit_at_boot,
        expected="{service} enabled, or wanted by another unit",
        why="A runtime that was started by hand is gone after the next boot.",
        remedy="kubenode.node.prepare, or {operations}.running()",
        operation="containerd.running",
    ),
    unit.reloaded(
        "runtime",
        "{runtime}",
        _unit(unit.not_judged),
        remedy="kubenode.node.prepare, or {operations}.configured(); or systemctl daemon-reload, "
        "then restart {runtime}",
        operation="containerd.configured",
    ),
    Check(
        id="runtime.pause-image",
        title="The pause image is the one that is wanted, and can be had",
        severity="warn",
        expected="kubenode_pause_image where it is set, and a registry that is alive",
        why="Every pod needs the pause image first. k8s.gcr.io is frozen since 2023: a new node "
        "that names it may start no pod.",
        judge=of_runtime(_pause_image),
        remedy="kubenode.node.prepare with kubenode_pause_image, or "
        '{operations}.configured(pause_image="registry.k8s.io/pause:3.10")',
        operation="containerd.configured",
        sources=("https://kubernetes.io/blog/2023/02/06/k8s-gcr-io-freeze-announcement/",),
    ),
    Check(
        id="runtime.held",
        title="{runtime}'s package is held",
        severity="warn",
        expected="a package that upgrades leave alone",
        why="An unattended upgrade restarts the runtime of every node in the same night, or brings "
        "a release that the cluster does not support.",
        judge=of_runtime(_held),
        remedy="kubenode.node.prepare, or {operations}.installed(hold=True)",
        operation="containerd.installed",
        sources=(
            "https://github.com/kubernetes-sigs/kubespray/issues/7276",
            "https://github.com/moby/moby/issues/48179",
        ),
    ),
    Check(
        id="runtime.left-alone",
        title="needrestart leaves {runtime} alone",
        severity="warn",
        expected="{service} among what needrestart does not restart",
        why="needrestart restarts what runs with libraries that were upgraded, behind every run of "
        "apt, also an unattended one: a hold of {runtime}'s package does not keep it from that.",
        judge=of_runtime(_left_alone),
        remedy="kubenode.node.prepare, or containerd.installed(hold=True)",
        operation="containerd.installed",
        sources=("https://github.com/liske/needrestart",),
    ),
    Check(
        id="runtime.nofile",
        title="{runtime} may open enough files",
        severity="warn",
        expected=f"LimitNOFILE of at least {_FEWEST_FILES}",
        why="Containers inherit the hard limit of the runtime's unit and cannot raise it: "
        "databases and proxies run out of file descriptors.",
        judge=of_runtime(_nofile),
        remedy='for containerd containerd.service(limit_nofile="infinity"), or prepare with '
        "kubenode_limit_nofile; else a drop-in of {service} with LimitNOFILE=infinity, "
        "daemon-reload, restart",
        operation="containerd.service",
        mirrors=("k0s: NOFILE",),
        sources=(
            "https://github.com/moby/moby/issues/51485",
            "https://github.com/kubernetes-sigs/image-builder/issues/2122",
        ),
    ),
    Check(
        id="runtime.cni-plugins",
        title="The network's CNI plugins are where the runtime looks",
        severity="fail",
        expected="every plugin that the network names in a directory of {runtime}'s",
        why="A pod hangs with 'failed to find plugin' otherwise, on a node that is Ready. Debian's "
        "containerd looks in /usr/lib/cni, where Debian's plugins are; Calico, Flannel and "
        "upstream's plugins install into /opt/cni/bin. Before a CNI is installed this is a "
        "warning.",
        judge=of_runtime(_cni),
        remedy="kubenode.node.prepare, or "
        '{operations}.configured(cni_bin_dirs=["/opt/cni/bin", "/usr/lib/cni"]), '
        "with the directory that has them among these (kubenode_cni_bin_dirs); or install the "
        "plugins that are missing",
        operation="containerd.configured",
        sources=(
            "https://github.com/containerd/containerd/blob/main/docs/cri/config.md",
            "https://github.com/tigera/operator/issues/1301",
        ),
    ),
)

CHECKS = tuple(_of_each(check) for check in _CHECKS)
