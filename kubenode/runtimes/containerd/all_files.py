"""Which of containerd's files have to change, and to what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from packaging.version import Version

from kubenode.files.toml_text import Path
from kubenode.files.whole_file import BACKUP_SUFFIX
from kubenode.runtimes.cni import takes_list
from kubenode.runtimes.containerd.config import Config, parse
from kubenode.runtimes.containerd.editing import edit
from kubenode.runtimes.containerd.imports import (
    import_patterns,
    in_force,
    is_imported,
    load_order,
)
from kubenode.runtimes.containerd.lower_version import HIGHEST_TO_LOWER, lowered
from kubenode.runtimes.containerd.merging import merged
from kubenode.runtimes.containerd.registry import registry_conflict
from kubenode.runtimes.containerd.releases import drop_in_trouble, release_of
from kubenode.runtimes.containerd.version_1 import upgrade_version_1
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError, Edit, SettingChange


def edits_of(
    main: str, files: Mapping[str, bytes], version: Version, wanted: ContainerdWanted
) -> dict[str, Edit]:
    """The files to change, each with its new text; empty when all is as wanted.

    + main: path of the main configuration file, whether it exists or not
    + files: content of the main file and of what it may import, by path
    + version: containerd's
    + wanted: the settings

    A main file that does not exist, or says nothing, is begun with the highest configuration
    version the release takes. Version 1 files become version 2; files of a version above the
    release's become the highest it takes, imports too
    (:func:`kubenode.runtimes.containerd.lower_version.lowered`). Raises ConfigError for a file that
    cannot be used, for a setting that has no place in that version, when an import's version does
    harm, and for registry settings with which CRI does not start.

    **Example:**

    .. code:: python

        edits_of("/etc/containerd/config.toml", {}, Version("2.1.9"), ContainerdWanted("systemd"))
    """

    def as_wanted(config: Config, is_root: bool) -> Edit:
        return edit(config, wanted, is_root=is_root, has_cni_list=takes_list(version))

    # what is said of a handler first: its driver is set by what kind it is then
    steps: list[Callable[[Mapping[str, bytes]], dict[str, Edit]]] = [
        lambda now: _merged(wanted.handler_values, main, now, version),
        lambda now: edits_by(as_wanted, main, now, version),
        lambda now: _merged(wanted.fragment_values, main, now, version),
    ]
    return _one_by_one(steps, files)


def _one_by_one(
    steps: Iterable[Callable[[Mapping[str, bytes]], dict[str, Edit]]], files: Mapping[str, bytes]
) -> dict[str, Edit]:
    """The edits that several make together, each of what those before it leave."""
    edits: dict[str, Edit] = {}
    for step in steps:
        left = {path: edited.text.encode() for path, edited in edits.items()}
        for path, edited in step({**files, **left}).items():
            before = edits[path].changes if path in edits else ()
            edits[path] = replace(edited, changes=before + edited.changes)
    return edits


def _merged(
    values: Mapping[Path, Any], main: str, files: Mapping[str, bytes], version: Version
) -> dict[str, Edit]:
    if not values:
        return {}
    release = release_of(version)
    loaded = load_order(_read(main, files, version, {}), version)
    return edits_by(lambda config, _: merged(config, values, loaded, release), main, files, version)


def edits_by(
    edit_one: Callable[[Config, bool], Edit],
    main: str,
    files: Mapping[str, bytes],
    version: Version,
) -> dict[str, Edit]:
    """The same by another edit of each file.

    + edit_one: gets the file, and whether it is the one that must have all settings
    """
    release = release_of(version)
    begun: dict[str, tuple[SettingChange, ...]] = {}
    loaded = load_order(_read(main, files, version, begun), version)
    counting = in_force(loaded, release)
    if conflict := registry_conflict(counting, release):
        raise conflict
    complete = counting[0]
    edits = {}
    for config in loaded:
        edited = edit_one(config, config is complete)
        changes = begun.get(config.path, ()) + edited.changes
        if changes:
            edits[config.path] = replace(edited, changes=changes)
    _refuse_backups_as_imports(edits, loaded, version)
    return edits


def _read(
    main: str,
    files: Mapping[str, bytes],
    version: Version,
    begun: dict[str, tuple[SettingChange, ...]],
) -> list[Config]:
    """The main file and what it may import, each in a version that can be edited; *begun* gets what
    had to change for that."""
    release = release_of(version)
    root = parse(files.get(main, b""), main, folds=release.folds)
    if root.is_empty:
        statement = f"version = {release.config_version}\n"
        begun[main] = (SettingChange("version", None, str(release.config_version)),)
        root = parse(statement + root.text, main, folds=release.folds)
    drop_ins = [
        parse(content, path, unstated_version=root.version, folds=release.folds)
        for path, content in files.items()
        if path != main
    ]
    # early releases start with a higher version, and ignore CRI's settings without a word
    if root.version > release.config_version:
        root = _lowered(root, version, begun)
        drop_ins = [_lowered(drop_in, version, begun) for drop_in in drop_ins]
    if root.version == 1:
        root = _upgraded(root, begun)
        drop_ins = [
            _upgraded(drop_in, begun) if drop_in.version == 1 else drop_in for drop_in in drop_ins
        ]
    for drop_in in drop_ins:
        trouble = drop_in_trouble(root.path, root.version, drop_in.path, drop_in.version, version)
        if trouble:
            raise ConfigError(drop_in.path, drop_in.version_line, 1, trouble)
    return [root, *drop_ins]


def _refuse_backups_as_imports(
    edits: Mapping[str, Edit], loaded: Sequence[Config], version: Version
) -> None:
    """A backup beside a file must not become a configuration file itself."""
    for config in loaded:
        for pattern in import_patterns(config, version):
            for path in edits:
                beside = (f"{path}{BACKUP_SUFFIX}", f"{path}{BACKUP_SUFFIX}.1")
                if path != pattern and any(is_imported(each, pattern) for each in beside):
                    raise ConfigError(
                        config.path,
                        1,
                        1,
                        f"imports {pattern}, which takes in backups too: write it as *.toml",
                    )


def _lowered(
    config: Config, version: Version, begun: dict[str, tuple[SettingChange, ...]]
) -> Config:
    """The file in the highest version that the release takes, if it has a higher one."""
    highest = release_of(version).config_version
    if config.version > HIGHEST_TO_LOWER:
        raise ConfigError(
            config.path,
            config.version_line,
            1,
            f"configuration version {config.version}: containerd {version} takes {highest} at most",
        )
    while config.version > highest:
        edited = lowered(config, config.version - 1)
        begun[config.path] = begun.get(config.path, ()) + edited.changes
        config = parse(edited.text, config.path, config.version - 1, config.folds)
    return config


def _upgraded(config: Config, begun: dict[str, tuple[SettingChange, ...]]) -> Config:
    upgrade = upgrade_version_1(config)
    begun[config.path] = upgrade.changes
    return parse(upgrade.text, config.path, folds=config.folds)
