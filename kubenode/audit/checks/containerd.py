"""containerd: installed, configured, running, and so after the next boot."""

from __future__ import annotations

import re

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
from kubenode.audit.checks.runtime import (
    config_finding,
    config_trouble,
    config_version_trouble,
    containerd_version,
    cri_disabled,
    drop_in_trouble,
    of_containerd,
    other_runtime,
)
from kubenode.facts.containerd import ContainerdShape
from kubenode.linux.unit import starts_at_boot, why_not_at_boot
from kubenode.runtimes import cni
from kubenode.runtimes.containerd import releases
from kubenode.runtimes.containerd.config import unrecognised

_DEAD_REGISTRIES = ("k8s.gcr.io/", "gcr.io/google_containers/", "gcr.io/google-containers/")
_FEWEST_FILES = 65536


def _installed(subject: Subject) -> Verdict:
    if other := other_runtime(subject):
        return not_applicable(f"the runtime is {other}")
    installed = subject.containerd["installed"]
    if installed["binary"] is None:
        return violated("containerd is not installed")
    package = installed["package"]
    if package is not None and not package["configured"]:
        return violated(
            f"dpkg was interrupted: {package['name']} {package['version']} is unpacked, and not "
            "configured",
        )
    return met(f"{installed['binary']}, version {installed['version'] or 'unknown'}")


def _supported(subject: Subject, containerd: ContainerdShape) -> Verdict:
    version = containerd_version(containerd)
    if version is None:
        return unknown("containerd does not say its version")
    if releases.is_newer_than_known(version):
        return met(f"{version}, newer than the table")
    release = releases.release_of(version)
    series = f"{release.series} (LTS)" if release.is_lts else f"{release.series}"
    if subject.aim.today > release.end_of_life:
        return violated(f"{version}; upstream's support of {series} ended on {release.end_of_life}")
    return met(f"{version}; upstream supports {series} until {release.end_of_life}")


def _config_readable(_: Subject, containerd: ContainerdShape) -> Verdict:
    cause = config_finding(containerd)
    if cause not in (None, "containerd.config-readable"):
        return not_applicable(f"see {cause}")
    config = containerd["config"]
    trouble = config_trouble(containerd)
    if trouble is None:
        return met(config["path"] if config["exists"] else "built-in defaults")
    if config["exists"] is None or trouble.endswith("cannot be read"):
        return unknown(trouble)
    named = re.search(r"failed to load TOML from (/\S+?): ", trouble)
    return violated(trouble, Evidence("", named[1] if named else config["path"]))


def _config_version(_: Subject, containerd: ContainerdShape) -> Verdict:
    config = containerd["config"]
    if trouble := config_version_trouble(containerd):
        return violated(trouble, Evidence(f"version = {config['version']}", config["path"]))
    if config["version"] is None:
        return not_applicable("the main file states nothing")
    return met(f"{config['path']}: version {config['version']}")


def _drop_in_version(_: Subject, containerd: ContainerdShape) -> Verdict:
    if not containerd["imports"]:
        return not_applicable("no imported files")
    if trouble := drop_in_trouble(containerd):
        return violated(trouble)
    return met(", ".join(drop_in["path"] for drop_in in containerd["imports"]))


def _runtime_table(_: Subject, containerd: ContainerdShape) -> Verdict:
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, see {cause}")
    if cri_disabled(containerd):
        return not_applicable("see containerd.cri-enabled")
    handlers = containerd["handlers"]
    partial = [name for name, handler in handlers.items() if not handler["runtime_type"]]
    if partial:
        return violated(
            f"no runtime_type: {', '.join(partial)}",
            *(
                Evidence(f"runtime {name}", stated["file"], stated["line"])
                for name in partial
                if (stated := handlers[name]["stated"])
            ),
        )
    if not handlers:
        return violated("no runtime handler")
    strange = [name for name, handler in handlers.items() if not handler["recognised"]]
    if strange:
        default = containerd["default_handler"] in strange
        path = any((handlers[name]["runtime_type"] or "").startswith("/") for name in strange)
        verdict = violated if path else unknown
        return verdict(
            "; ".join(
                f"{name}: {unrecognised(handlers[name]['runtime_type'])}" for name in strange
            ),
            *(
                Evidence(f"runtime_type of {name}", defined["file"], defined["line"])
                for name in strange
                if (defined := handlers[name]["defined"])
            ),
            severity="fail" if default else "warn",
        )
    return met(", ".join(handlers))


def _cri_enabled(_: Subject, containerd: ContainerdShape) -> Verdict:
    if disabled := cri_disabled(containerd):
        return violated(
            f"disabled_plugins has {', '.join(disabled)}",
            Evidence("disabled_plugins", containerd["config"]["path"]),
        )
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, see {cause}")
    return met("no file disables it")


def _cri_serving(_: Subject, containerd: ContainerdShape) -> Verdict:
    unit = containerd["unit"]
    if containerd["cri"] == "serving":
        return met(f"answers on {containerd['socket']}")
    if cri_disabled(containerd):
        return not_applicable("see containerd.cri-enabled")
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, see {cause}")
    if containerd["registry_conflict"] and containerd["cri"] == "disabled":
        return not_applicable("see containerd.registry")
    if containerd["cri"] == "unknown":
        why = "not allowed to ask it" if containerd["ctr"] else "there is no ctr to ask it with"
        return unknown(f"{containerd['socket']}: {why}")
    if containerd["cri"] == "disabled":
        return violated("containerd runs, and its CRI plugin is off or failed to start")
    state = f", containerd.service is {unit['active']}" if unit else ""
    return violated(f"nothing answers on {containerd['socket']}{state}")


def _registry(_: Subject, containerd: ContainerdShape) -> Verdict:
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, see {cause}")
    if conflict := containerd["registry_conflict"]:
        place = re.match(r"(.*?):([0-9]{1,9}):[0-9]+: (.*)", conflict)
        evidence = [Evidence(place[3], place[1], int(place[2]))] if place else []
        return violated(conflict, *evidence)
    directory = containerd["registry_config_path"]
    return met(f"config_path is {directory}" if directory else "no config_path")


def _config_applied(subject: Subject, containerd: ContainerdShape) -> Verdict:
    if subject.facts["containerd_unproven"]:
        files = ", ".join(subject.facts["containerd_unproven"])
        return violated(f"a change of {files} was interrupted before CRI answered with it")
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, see {cause}")
    pending = containerd["restart_pending"]
    if pending is None:
        if containerd["cri"] == "down":
            cause = "enabled" if cri_disabled(containerd) else "serving"
            return not_applicable(f"containerd does not run, see containerd.cri-{cause}")
        if set_back := containerd["clock_set_back"]:
            return unknown(
                f"the clock was set back: the last change of {', '.join(set_back)} is yet to come",
                *(Evidence("changed in the future", path) for path in set_back),
            )
        return unknown("it cannot be told when containerd started")
    if pending:
        return violated(
            f"changed since containerd started: {', '.join(pending)}",
            *(Evidence("not in force yet", path) for path in pending),
        )
    return met("containerd runs with what is on disk")


def _enabled(subject: Subject, containerd: ContainerdShape) -> Verdict:
    if not subject.cgroups["systemd"]["running"]:
        # without it the systemd driver is a finding, and the other one is not
        wanted = subject.aim.cgroup_driver == "systemd"
        return not_applicable("needs systemd" + (", see platform.systemd" if wanted else ""))
    unit = containerd["unit"]
    if unit is None:
        return violated("there is no containerd.service")
    if unit["load"] == "unknown":
        return unknown("systemd does not say")
    starts = starts_at_boot(unit["enabled"], unit["wanted_by"])
    if starts is None:
        return unknown(why_not_at_boot("containerd.service", unit["enabled"], unit["wanted_by"]))
    if starts:
        return met(f"containerd.service is {unit['enabled'] or 'wanted'}")
    return violated(f"containerd.service is {unit['enabled'] or unit['load']}")


def _daemon_reload(_: Subject, containerd: ContainerdShape) -> Verdict:
    unit = containerd["unit"]
    if unit is None:
        return not_applicable("there is no containerd.service")
    if unit["needs_daemon_reload"]:
        return violated(
            "unit files changed since systemd read them: daemon-reload is due",
            *(Evidence("", path) for path in [unit["fragment"], *unit["drop_ins"]] if path),
        )
    return met("systemd has read the unit's files")


def _pause_image(subject: Subject, containerd: ContainerdShape) -> Verdict:
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, see {cause}")
    image, wanted = containerd["pause_image"], subject.aim.pause_image
    if image is None:
        return not_applicable("none stated: the release's own")
    if wanted is not None and image != wanted:
        return violated(image, expected=wanted)
    if image.startswith(_DEAD_REGISTRIES):
        return violated(f"{image}: this registry is frozen or gone")
    return met(image)


def _held(_: Subject, containerd: ContainerdShape) -> Verdict:
    package = containerd["installed"]["package"]
    if package is None:
        return not_applicable("containerd is not from a package")
    text = f"{package['name']} {package['version']}"
    return met(f"{text} is held") if package["held"] else violated(f"{text} is not held")


def _nofile(_: Subject, containerd: ContainerdShape) -> Verdict:
    unit = containerd["unit"]
    if unit is None or unit["limit_nofile"] is None:
        return not_applicable("there is no containerd.service")
    limit = unit["limit_nofile"]
    if limit == "infinity" or (limit.isdecimal() and int(limit) >= _FEWEST_FILES):
        return met(f"LimitNOFILE={limit}")
    if not limit.isdecimal():
        return unknown(f"LimitNOFILE={limit}")
    return violated(
        f"LimitNOFILE={limit}",
        *(Evidence("", path) for path in [*unit["drop_ins"], unit["fragment"]] if path),
    )


_DOCS = "https://github.com/containerd/containerd/blob/main/docs/"


def _cni(subject: Subject, containerd: ContainerdShape) -> Verdict:
    network = containerd["cni"]
    directories = network["bin_dirs"]
    cause = config_finding(containerd)
    if not directories:
        if cause:
            return not_applicable(f"its files cannot be used, see {cause}")
        if cri_disabled(containerd):
            return not_applicable("see containerd.cri-enabled")
        return unknown("containerd does not say where it looks")
    looks = f"containerd looks in {', '.join(directories)}"
    if network["error"] and network["error"].endswith("cannot be read"):
        return unknown(network["error"])
    if network["error"]:
        return violated(network["error"], remedy="correct or remove the file")
    if network["config"] is None:
        if cni.UPSTREAM in directories:
            return not_applicable(f"no network in {network['conf_dir']} yet; {looks}")
        if cause:
            # the directory may be the release's own, for want of the files'
            return not_applicable(f"{looks}: see {cause}")
        return violated(
            f"{looks}, and most CNIs install into {cni.UPSTREAM}; there is no network yet",
            severity="warn",
        )
    there = {name for path in directories for name in network["found"].get(path, ())}
    missing = [name for name in network["plugins"] if name not in there]
    if not missing:
        return met(f"{', '.join(network['plugins'])} of {network['config']}")
    if cause:
        return not_applicable(f"{', '.join(missing)} not found, {looks}: see {cause}")
    elsewhere = [
        Evidence(f"has {', '.join(own)}", path)
        for path, names in network["found"].items()
        if path not in directories and (own := [name for name in missing if name in names])
    ]
    return violated(
        f"{network['config']} names {', '.join(missing)}, not found: {looks}", *elsewhere
    )


CHECKS = (
    Check(
        id="containerd.cni-plugins",
        title="The network's CNI plugins are where containerd looks",
        severity="fail",
        expected="every plugin that the network names in a directory of containerd's",
        why="A pod hangs with 'failed to find plugin' otherwise, on a node that is Ready. Debian's "
        "containerd looks in /usr/lib/cni, where Debian's plugins are; Calico, Flannel and "
        "upstream's plugins install into /opt/cni/bin. Before a CNI is installed this is a "
        "warning.",
        judge=of_containerd(_cni),
        remedy="kubenode.node.prepare, or "
        'containerd.configured(cni_bin_dirs=["/opt/cni/bin", "/usr/lib/cni"]), '
        "with the directory that has them among these (kubenode_cni_bin_dirs); or install the "
        "plugins that are missing",
        operation="containerd.configured",
        sources=(
            "https://github.com/containerd/containerd/blob/main/docs/cri/config.md",
            "https://github.com/tigera/operator/issues/1301",
        ),
    ),
    Check(
        id="containerd.installed",
        title="containerd is installed",
        severity="fail",
        expected="containerd, or another runtime that kubelet is told to use",
        why="kubelet starts no pod without a container runtime.",
        judge=_installed,
        remedy="kubenode.node.prepare, or containerd.installed()",
        operation="containerd.installed",
        mirrors=("kubeadm: CRI",),
    ),
    Check(
        id="containerd.supported",
        title="Upstream still fixes this containerd",
        severity="warn",
        expected="a release series before its end of life",
        why="A series past its end gets no security fixes upstream. A distribution may still fix "
        "it: Debian's security team does for its stable releases.",
        judge=of_containerd(_supported),
        remedy="plan the upgrade to a supported series",
        sources=("https://containerd.io/releases/",),
    ),
    Check(
        id="containerd.config-readable",
        title="containerd can use its configuration",
        severity="fail",
        expected="files that containerd parses",
        why="containerd does not start with a file it cannot parse. A running one goes on, until "
        "the next restart or reboot.",
        judge=of_containerd(_config_readable),
        remedy="correct the file at the place that is named; the last good one may be beside it "
        "(.kubenode-backup)",
        mirrors=("k0s: containerd drop-ins",),
    ),
    Check(
        id="containerd.config-version",
        title="The configuration's version suits the release",
        severity="fail",
        expected="a version that the release takes, and whose CRI settings it reads",
        why="Each release takes configuration versions up to its own. A higher one is refused, or, "
        "before 1.6.32 and 1.7.17, its CRI settings are ignored without a word; 2.0 to 2.2 ignore "
        "the CRI settings of version 1.",
        judge=of_containerd(_config_version),
        remedy="write the file in a version that the release takes; "
        "kubenode.node.prepare turns version 1 into "
        "2",
        sources=(f"{_DOCS}PLUGINS.md", "https://github.com/containerd/containerd/pull/9982"),
    ),
    Check(
        id="containerd.drop-in-version",
        title="Imported files have the main file's version",
        severity="fail",
        expected="imported files of the main file's version; from 2.3.5 on any that the release "
        "takes",
        why="A drop-in of a higher version than the main file stops containerd 2.3.0 to 2.3.4, and "
        "makes earlier releases lose settings of the main file without a word; with one of a lower "
        "version, releases before 2.3 lose settings of the drop-in, or of both.",
        judge=of_containerd(_drop_in_version),
        remedy="write the drop-in in the main file's version",
        mirrors=("k0s: containerd drop-ins",),
    ),
    Check(
        id="containerd.runtime-table",
        title="Every runtime handler states its type",
        severity="fail",
        expected='runtime_type, such as "io.containerd.runc.v2", in every runtimes table',
        why="A table that states an option of a handler replaces the default one whole: without "
        "runtime_type CRI does not start, or no pod of that handler does.",
        judge=of_containerd(_runtime_table),
        remedy="kubenode.node.prepare, or containerd.configured(), for runc; "
        "state runtime_type for the others",
        sources=(f"{_DOCS}cri/config.md",),
    ),
    Check(
        id="containerd.cri-enabled",
        title="No file disables CRI",
        severity="fail",
        expected="no CRI plugin in disabled_plugins",
        why='Docker\'s containerd.io package ships disabled_plugins = ["cri"]: Docker works, and '
        "kubelet finds no runtime.",
        judge=of_containerd(_cri_enabled),
        remedy="kubenode.node.prepare, or containerd.configured()",
        operation="containerd.configured",
        mirrors=("kubeadm: CRI",),
        sources=("https://github.com/containerd/containerd/issues/4581",),
    ),
    Check(
        id="containerd.registry",
        title="Registries are configured in one way",
        severity="fail",
        expected="registry.config_path, or registry.mirrors, not both",
        why="CRI does not start with registry.mirrors beside config_path, before containerd 2.0 "
        "neither with configs.*.tls: the daemon runs, and kubelet finds no runtime.",
        judge=of_containerd(_registry),
        remedy="move the mirrors (and tls) to hosts.toml files in the directory of config_path, or "
        "remove config_path; then restart containerd",
        sources=(f"{_DOCS}hosts.md",),
    ),
    Check(
        id="containerd.cri-serving",
        title="CRI answers",
        severity="fail",
        expected="the CRI plugin of a running containerd",
        why="kubelet talks to the runtime over CRI, and to nothing else.",
        judge=of_containerd(_cri_serving),
        remedy="kubenode.node.prepare, or containerd.running(); `journalctl "
        "-u containerd` says why it fails",
        operation="containerd.running",
        mirrors=("kubeadm: CRI",),
    ),
    Check(
        id="containerd.config-applied",
        title="containerd runs with the configuration that is on disk",
        severity="fail",
        expected="no file changed since containerd started",
        why="An edit counts from the next restart on: until then the node shows one thing and does "
        "another, and a reboot changes how it behaves.",
        judge=of_containerd(_config_applied),
        remedy="kubenode.node.prepare, or containerd.running(): it restarts "
        "containerd, and containers go on",
        operation="containerd.running",
    ),
    Check(
        id="containerd.enabled",
        title="containerd starts at boot",
        severity="fail",
        expected="containerd.service enabled, or wanted by another unit",
        why="A runtime that was started by hand is gone after the next boot.",
        judge=of_containerd(_enabled),
        remedy="kubenode.node.prepare, or containerd.running()",
        operation="containerd.running",
    ),
    Check(
        id="containerd.daemon-reload",
        title="systemd has read containerd's unit files",
        severity="warn",
        expected="no unit file changed since systemd read it",
        why="A changed unit file counts from the next daemon-reload or boot on: limits and proxies "
        "in a drop-in are not in force yet.",
        judge=of_containerd(_daemon_reload),
        remedy="systemctl daemon-reload, then restart containerd",
    ),
    Check(
        id="containerd.pause-image",
        title="The pause image is the one that is wanted, and can be had",
        severity="warn",
        expected="kubenode_pause_image where it is set, and a registry that is alive",
        why="Every pod needs the pause image first. k8s.gcr.io is frozen since 2023: a new node "
        "that names it may start no pod.",
        judge=of_containerd(_pause_image),
        remedy="kubenode.node.prepare with kubenode_pause_image, or "
        'containerd.configured(pause_image="registry.k8s.io/pause:3.10")',
        operation="containerd.configured",
        sources=("https://kubernetes.io/blog/2023/02/06/k8s-gcr-io-freeze-announcement/",),
    ),
    Check(
        id="containerd.held",
        title="containerd's package is held",
        severity="warn",
        expected="a package that upgrades leave alone",
        why="An unattended upgrade restarts the runtime of every node in the same night, or brings "
        "a release that the cluster does not support.",
        judge=of_containerd(_held),
        remedy="kubenode.node.prepare, or containerd.installed(hold=True)",
        operation="containerd.installed",
        sources=(
            "https://github.com/kubernetes-sigs/kubespray/issues/7276",
            "https://github.com/moby/moby/issues/48179",
        ),
    ),
    Check(
        id="containerd.nofile",
        title="containerd may open enough files",
        severity="warn",
        expected=f"LimitNOFILE of at least {_FEWEST_FILES}",
        why="Containers inherit the hard limit of containerd's unit and cannot raise it: databases "
        "and proxies run out of file descriptors.",
        judge=of_containerd(_nofile),
        remedy="a drop-in of containerd.service with LimitNOFILE=infinity, daemon-reload, restart",
        mirrors=("k0s: NOFILE",),
        sources=(
            "https://github.com/moby/moby/issues/51485",
            "https://github.com/kubernetes-sigs/image-builder/issues/2122",
        ),
    ),
)
