"""Checks of ``hosts.toml`` files: containerd only logs what it cannot use of them."""

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
from kubenode.audit.checks.containerd_files import config_finding, version_of
from kubenode.audit.checks.references import REGISTRY, REGISTRY_DIRECTORY, REGISTRY_HOSTS
from kubenode.audit.checks.runtime_in_use import of_containerd
from kubenode.facts.containerd import ContainerdShape
from kubenode.facts.registry_hosts import RegistryHostsShape

_SHIPPED = "/etc/containerd/certs.d:/etc/docker/certs.d"
"""What containerd 2.2 has where nothing is stated, whether it exists or not."""


def _not_applicable(containerd: ContainerdShape) -> Verdict | None:
    if cause := config_finding(containerd):
        return not_applicable(f"its files cannot be used, {cause}")
    if containerd["registry_conflict"]:
        return not_applicable(f"CRI does not start, {REGISTRY}")
    if not containerd["registry_config_path"]:
        return not_applicable("no config_path")
    return None


def _known(containerd: ContainerdShape) -> RegistryHostsShape:
    # there is a config_path, and so what is in it
    return containerd["registry_hosts"] or {"directories": {}, "files": {}, "open_to_others": []}


_EFFECTS = {
    "ignored": "containerd ignores the file",
    "unused": "containerd does not use it",
    "fails": "pulls fail",
}


def _hosts(_: Subject, containerd: ContainerdShape) -> Verdict:
    if verdict := _not_applicable(containerd):
        return verdict
    registries = _known(containerd)
    found = [
        Evidence(f"{each['problem']} ({_EFFECTS[each['effect']]})", path, each["line"])
        for path, file in registries["files"].items()
        for each in file["problems"]
    ]
    closed = [
        Evidence(str(file["error"]), path)
        for path, file in registries["files"].items()
        if file["error"]
    ]
    if found:
        files = ", ".join(dict.fromkeys(str(each.file) for each in found))
        return violated(f"not as it is meant: {files}", *found, *closed)
    if closed:
        return unknown(f"not read: {', '.join(str(each.file) for each in closed)}", *closed)
    if closed_directories := _closed(registries):
        return not_applicable(f"{', '.join(closed_directories)}: {REGISTRY_DIRECTORY}")
    if not registries["files"]:
        return not_applicable("no hosts.toml file")
    return met(", ".join(registries["files"]))


def _closed(registries: RegistryHostsShape) -> list[str]:
    return [path for path, each in registries["directories"].items() if each["exists"] is None]


def _secrets(_: Subject, containerd: ContainerdShape) -> Verdict:
    if verdict := _not_applicable(containerd):
        return verdict
    registries = _known(containerd)
    if open_files := registries["open_to_others"]:
        return violated(
            f"not for root alone: {', '.join(open_files)}",
            *(Evidence("has a header or a private key", path) for path in open_files),
        )
    if closed := [path for path, file in registries["files"].items() if file["error"]]:
        return not_applicable(f"not read: {', '.join(closed)}: {REGISTRY_HOSTS}")
    if closed := _closed(registries):
        return not_applicable(f"{', '.join(closed)}: {REGISTRY_DIRECTORY}")
    if not registries["files"]:
        return not_applicable("no hosts.toml file")
    return met("headers and private keys are for root alone, if there are any")


def _directory(_: Subject, containerd: ContainerdShape) -> Verdict:
    if verdict := _not_applicable(containerd):
        return verdict
    stated, version = containerd["registry_config_path"], version_of(containerd)
    directories = _known(containerd)["directories"]
    if ":" in str(stated) and version is not None and version.release == (2, 2, 0):
        return violated(f"containerd {version} takes {stated} for one path, which does not exist")
    if closed := [f"{path} {each['error']}" for path, each in directories.items() if each["error"]]:
        return unknown("; ".join(closed))
    there = [path for path, each in directories.items() if each["exists"]]
    if there:
        return met(f"{', '.join(there)} exists")
    if stated == _SHIPPED:
        return not_applicable(f"{stated} is containerd's own default, and none is there")
    return violated(
        f"{stated} does not exist", Evidence("config_path", containerd["config"]["path"])
    )


_DOCS = "https://github.com/containerd/containerd/blob/main/docs/"

CHECKS = (
    Check(
        id="containerd.registry-hosts",
        title="containerd uses each hosts.toml as it is meant",
        severity="fail",
        expected="TOML with the keys and capabilities that the release knows, and certificates "
        "that exist",
        why="containerd only logs a hosts.toml that it cannot use, for bad TOML or an unknown "
        "capability, and pulls from the registry itself. A key that it does not know, such as "
        "skipverify, it does not even log. So a mirror is not used, and nobody is told.",
        judge=of_containerd(_hosts),
        remedy="containerd.registry_hosts writes the file, or correct what the finding names; "
        "nothing has to be restarted",
        operation="containerd.registry_hosts",
        sources=(f"{_DOCS}hosts.md",),
    ),
    Check(
        id="containerd.registry-secrets",
        title="Registries' passwords and keys are for root alone",
        severity="warn",
        expected="hosts.toml with a header, and private keys: owner root, mode 0600",
        why="A header has a registry's password or token in clear text. Who can read the file can "
        "pull what the node can, and often push.",
        judge=of_containerd(_secrets),
        remedy="chmod 0600 the files, or containerd.registry_hosts; change the passwords that "
        "others have seen",
        operation="containerd.registry_hosts",
        sources=(f"{_DOCS}hosts.md",),
    ),
    Check(
        id="containerd.registry-directory",
        title="The directory of registries exists",
        severity="warn",
        expected="a directory at config_path",
        why="Where config_path names a directory that does not exist, containerd pulls without "
        "mirrors, certificates and headers, and says nothing.",
        judge=of_containerd(_directory),
        remedy="containerd.registry_hosts makes it, or correct config_path "
        "(kubenode_registry_config_path)",
        operation="containerd.registry_hosts",
        sources=(
            f"{_DOCS}cri/registry.md",
            "https://github.com/containerd/containerd/issues/12636",
        ),
    ),
)
