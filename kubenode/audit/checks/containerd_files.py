"""Why containerd's configuration files cannot be used, and which check says so."""

from __future__ import annotations

import re

from packaging.version import Version

from kubenode.audit.checks.references import (
    CONFIG_VERSION,
    DROP_IN_VERSION,
    RUNTIME_CONFIG,
    Reference,
)
from kubenode.facts.containerd import ContainerdShape
from kubenode.runtimes.containerd import releases
from kubenode.runtimes.containerd.tables import CRI_PLUGINS


def cri_disabled(containerd: ContainerdShape) -> list[str]:
    """The entries of ``disabled_plugins`` that turn CRI off."""
    return sorted(CRI_PLUGINS & set(containerd["disabled_plugins"]))


def undefined_default(containerd: ContainerdShape) -> str | None:
    """The default runtime handler that no file defines, with which CRI does not start; else None.

    Source: containerd, ``ValidateRuntimeConfig`` of its CRI config.
    """
    name, handlers = containerd["default_handler"], containerd["handlers"]
    return name if containerd["effective"] and name and handlers and name not in handlers else None


def version_of(containerd: ContainerdShape) -> Version | None:
    """containerd's version, None when the program does not say."""
    version = containerd["installed"]["version"]
    return Version(version) if version else None


def version_trouble(containerd: ContainerdShape) -> str | None:
    """Why the main file's configuration version does not suit the release, None when it does."""
    config, version = containerd["config"], version_of(containerd)
    stated = config["version"]
    if version is None or stated is None:
        return None
    release = releases.release_of(version)
    highest = config["highest_version"] or release.config_version
    if stated > highest and not releases.is_newer_than_known(version):
        what = (
            "refuses it"
            if releases.refuses_higher_version(version)
            else "ignores its settings without a word"
        )
        return f"version {stated}; containerd {version} takes at most {highest} and {what}"
    if stated == 1 and not release.migrates_version_1_cri:
        return f"version 1; containerd {version} ignores its CRI settings without a word"
    return None


def drop_in_trouble(containerd: ContainerdShape) -> str | None:
    """Why an imported file's configuration version does not suit, None when all do."""
    config, version = containerd["config"], version_of(containerd)
    if version is None or config["version"] is None:
        return None
    for drop_in in containerd["imports"]:
        stated = drop_in["version"]
        # what a release newer than the table takes is not known
        if stated is None or (
            releases.is_newer_than_known(version)
            and stated > releases.highest_config_version(version)
        ):
            continue
        if trouble := releases.drop_in_trouble(
            config["path"], config["version"], drop_in["path"], stated, version
        ):
            return f"{drop_in['path']} is {trouble}"
    return None


def config_trouble(containerd: ContainerdShape) -> str | None:
    """Why containerd's files cannot be used, versions apart; None when they can."""
    if error := containerd["config"]["error"]:
        return error
    for drop_in in containerd["imports"]:
        if drop_in["error"]:
            return drop_in["error"]
    if not containerd["effective"]:
        return "containerd does not say what it makes of its files"
    return None


def troubled_file(containerd: ContainerdShape) -> str:
    """The file that :func:`config_trouble` is about."""
    named = re.search(r"failed to load TOML from (/\S+?): ", config_trouble(containerd) or "")
    return named[1] if named else containerd["config"]["path"]


def config_finding(containerd: ContainerdShape) -> Reference | None:
    """The check whose finding about containerd's files says why the rest cannot be told.

    None where there is none, and of a host without containerd: its files are no trouble there.
    """
    if containerd["installed"]["binary"] is None:
        return None
    for check, trouble in (
        (CONFIG_VERSION, version_trouble),
        (DROP_IN_VERSION, drop_in_trouble),
        (RUNTIME_CONFIG, config_trouble),
    ):
        if trouble(containerd):
            return check
    return None
