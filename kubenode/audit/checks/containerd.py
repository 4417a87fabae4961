"""What only containerd has: its files' versions, its runtime tables, and what turns its CRI off."""

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
from kubenode.audit.checks.containerd_files import (
    config_finding,
    cri_disabled,
    drop_in_trouble,
    undefined_default,
    version_of,
    version_trouble,
)
from kubenode.audit.checks.references import CRI_ENABLED, CRI_SERVING
from kubenode.audit.checks.runtime_in_use import of_containerd
from kubenode.facts.containerd import ContainerdShape
from kubenode.runtimes.containerd import releases
from kubenode.runtimes.containerd.handlers import unrecognised


def _config_version(_: Subject, containerd: ContainerdShape) -> Verdict:
    config = containerd["config"]
    if trouble := version_trouble(containerd):
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
        return not_applicable(f"its files cannot be used, {cause}")
    if cri_disabled(containerd):
        return not_applicable(str(CRI_ENABLED))
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


def _default_handler(_: Subject, containerd: ContainerdShape) -> Verdict:
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, {cause}")
    if cri_disabled(containerd):
        return not_applicable(str(CRI_ENABLED))
    if name := undefined_default(containerd):
        return violated(
            f"{name}, and no file defines it: there are {', '.join(containerd['handlers'])}",
            Evidence(f"default_runtime_name = {name}", containerd["config"]["path"]),
        )
    name = containerd["default_handler"]
    return met(name) if name else not_applicable("none is stated")


def _cri_enabled(_: Subject, containerd: ContainerdShape) -> Verdict:
    if disabled := cri_disabled(containerd):
        return violated(
            f"disabled_plugins has {', '.join(disabled)}",
            Evidence("disabled_plugins", containerd["config"]["path"]),
        )
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, {cause}")
    return met("no file disables it")


def _registry(_: Subject, containerd: ContainerdShape) -> Verdict:
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, {cause}")
    if conflict := containerd["registry_conflict"]:
        place = re.match(r"(.*?):([0-9]{1,9}):[0-9]+: (.*)", conflict)
        evidence = [Evidence(place[3], place[1], int(place[2]))] if place else []
        return violated(conflict, *evidence)
    directory = containerd["registry_config_path"]
    return met(f"config_path is {directory}" if directory else "no config_path")


def _deprecations(_: Subject, containerd: ContainerdShape) -> Verdict:
    found = containerd["deprecations"]
    if found:
        return violated(
            "; ".join(each["message"] for each in found),
            *(Evidence(each["id"]) for each in found),
        )
    if found is not None:
        return met("it is used with nothing that a later release will not have")
    if containerd["cri"] != "serving":
        return not_applicable(f"it does not serve CRI, {CRI_SERVING}")
    version = version_of(containerd)
    if version is not None and not releases.tells_deprecations(version):
        return not_applicable(
            f"containerd {version} does not tell, 1.6.27 and 1.7.12 are the first"
        )
    return unknown("containerd does not tell what of it is deprecated")


_DOCS = "https://github.com/containerd/containerd/blob/main/docs/"

CHECKS = (
    Check(
        id="containerd.config-version",
        title="The configuration's version suits the release",
        severity="fail",
        expected="a version that the release takes, and whose CRI settings it reads",
        why="Each release takes configuration versions up to its own. A higher one is refused, or, "
        "before 1.6.32 and 1.7.17, its CRI settings are ignored without a word; 2.0 to 2.2 ignore "
        "the CRI settings of version 1.",
        judge=of_containerd(_config_version),
        remedy="kubenode.node.prepare, or containerd.configured(): the file gets a version that "
        "the release takes, or the setting that has no place there is named",
        operation="containerd.configured",
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
        id="containerd.default-handler",
        title="The default runtime handler is defined",
        severity="fail",
        expected="a default_runtime_name that has a runtimes table",
        why="With a default handler that no file defines CRI does not start: a toolkit that was "
        "removed, or a file that another tool has rewritten.",
        judge=of_containerd(_default_handler),
        remedy="define the handler (kubenode_containerd_handlers), or state another default: "
        "kubenode.node.prepare with kubenode_containerd_default_handler, or "
        'containerd.configured(default_handler="runc")',
        operation="containerd.configured",
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
        id="containerd.deprecations",
        title="Nothing is in use that a later release will not have",
        severity="warn",
        expected="no warning in `ctr deprecations list`",
        why="containerd counts each use of what upstream will remove: settings, plugins, kinds of "
        "images. After the upgrade that removes it the setting is ignored or the image cannot be "
        "pulled. The daemon forgets what it has counted when it is restarted.",
        judge=of_containerd(_deprecations),
        remedy="do what each message says, and restart containerd",
        sources=(
            f"{_DOCS}containerd-2.0.md",
            "https://github.com/containerd/containerd/blob/main/RELEASES.md#deprecated-features",
        ),
    ),
)
