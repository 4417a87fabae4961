"""A file as it has to be for a Kubernetes node, all else in it to the letter."""

from __future__ import annotations

from collections.abc import Sequence

from kubenode.files.toml_text import Path
from kubenode.runtimes.containerd.config import Config
from kubenode.runtimes.containerd.document import DRIVER
from kubenode.runtimes.containerd.draft import Draft
from kubenode.runtimes.containerd.handlers import DEFAULT_TYPE, LEGACY_TYPE, Handler, handlers_of
from kubenode.runtimes.containerd.registry import refuse_mirrors
from kubenode.runtimes.containerd.tables import CRI_PLUGINS, VERSION_2, tables_of
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError, Edit


def edit(
    config: Config, wanted: ContainerdWanted, is_root: bool, *, has_cni_list: bool = False
) -> Edit:
    """
    The file as it has to be for a Kubernetes node, all else in it to the letter.

    + config: a file of version 2, 3 or 4
    + wanted: the settings
    + is_root: whether the file must have all of them, see
      :func:`kubenode.runtimes.containerd.imports.in_force`. Otherwise only what it
      states itself is brought in line: it would win over the main file
    + has_cni_list: whether the release looks for CNI plugins in a list of directories
      (:func:`kubenode.runtimes.cni.takes_list`); otherwise it is the first one of those wanted

    Every runc-type handler gets ``SystemdCgroup``; with *is_root* there is a complete ``runc``
    handler. ``disabled_plugins`` loses what switches CRI off. The legacy ``systemd_cgroup = true``
    of version 2 becomes false unless the default handler has the runtime_type
    io.containerd.runtime.v1.linux: containerd 1.x does not start CRI with it, 2.x ignores it.

    ConfigError: the version is unknown, a handler with that runtime_type has another driver, a
    registry directory is wanted beside ``registry.mirrors``, or the new text does not say exactly
    what was intended (``cannot be edited safely``).

    **Example:**

    .. code:: python

        result = edit(parse(content, path), ContainerdWanted("systemd"), is_root=True)
        for change in result.changes:
            print(change)
    """
    if config.version not in (2, 3, 4):
        reason = f"configuration version {config.version}: only 2, 3 and 4 can be edited"
        raise ConfigError(config.path, config.version_line, 1, reason)
    systemd_cgroup = wanted.cgroup_driver == "systemd"
    draft = Draft(config)
    _refuse_legacy_type(config, systemd_cgroup)

    draft.drop("disabled_plugins", CRI_PLUGINS)
    _free_of_legacy_driver(draft, config)
    for handler in handlers_of(config):
        if handler.is_runc_type:
            if is_root and handler.name == "runc" and not handler.runtime_type:
                draft.put(handler.type_path, DEFAULT_TYPE)
            _put_driver(draft, config, handler, systemd_cgroup)
    if is_root:
        _put_runc(draft, config, systemd_cgroup)
    if wanted.registry_config_path:
        refuse_mirrors(config)
    _put_words(draft, config, wanted, is_root)
    if wanted.cni_bin_dirs:
        _put_cni(draft, config, wanted.cni_bin_dirs, is_root, has_cni_list)
    return draft.finish()


def with_registry_directory(config: Config, directory: str, is_root: bool) -> Edit:
    """
    The file with a directory of ``hosts.toml`` files, and nothing else changed.

    + config: a file of version 2, 3 or 4
    + directory: for ``config_path``
    + is_root: whether the file must state it; otherwise it is changed where it stands

    ConfigError: it states ``registry.mirrors``, or cannot be edited safely.
    """
    draft = Draft(config)
    refuse_mirrors(config)
    paths = [(*table.registry, "config_path") for table in tables_of(config.version)]
    _put_word(draft, config, paths, directory, is_root)
    return draft.finish()


def _put_word(
    draft: Draft, config: Config, paths: Sequence[Path], value: str | None, is_root: bool
) -> None:
    """Where one of *paths* is stated, else at the first of them if the file must have it."""
    stated = [path for path in paths if config.get(path, str) is not None]
    if value is not None:
        for path in stated or (paths[:1] if is_root else []):
            draft.put(path, value)


def _put_runc(draft: Draft, config: Config, systemd_cgroup: bool) -> None:
    """A complete handler, in each table of handlers that counts."""
    for number, table in enumerate(tables_of(config.version)):
        runtimes = (*table.containerd, "runtimes")
        if number == 0 or config.get(runtimes, dict) is not None:
            runc = (*runtimes, "runc")
            if config.get(runc, dict) is None:
                draft.put((*runc, "runtime_type"), DEFAULT_TYPE)
                draft.put((*runc, "options", DRIVER), systemd_cgroup)


def _put_words(draft: Draft, config: Config, wanted: ContainerdWanted, is_root: bool) -> None:
    tables = tables_of(config.version)
    for paths, value in (
        ([table.snapshotter for table in tables], wanted.snapshotter),
        ([table.pause_image for table in tables], wanted.pause_image),
        ([(*table.registry, "config_path") for table in tables], wanted.registry_config_path),
    ):
        _put_word(draft, config, paths, value, is_root)


def _put_driver(draft: Draft, config: Config, handler: Handler, systemd_cgroup: bool) -> None:
    """Every spelling says the same, and the one that counts is there: see
    :mod:`kubenode.runtimes.containerd.config`."""
    path = handler.driver_path
    spellings = config.spellings(path)
    for spelling in spellings:
        draft.put_spelled(spelling, systemd_cgroup)
    if not any(str(spelling[-1]) >= DRIVER for spelling in spellings):
        draft.put_spelled((*config.spelled(path[:-1]), DRIVER), systemd_cgroup)


def _put_cni(
    draft: Draft, config: Config, directories: Sequence[str], is_root: bool, has_list: bool
) -> None:
    """One directory under ``bin_dir``, or a list under ``bin_dirs``.

    2.1 takes ``bin_dir`` of a version 2 file, even an empty one, in place of ``bin_dirs``: so
    one replaces the other where it stands.
    """
    tables = tables_of(config.version)
    stated = [
        table
        for table in tables
        if any(config.spellings((*table.cni, key)) for key in ("bin_dir", "bin_dirs"))
    ]
    for table in stated or (tables[:1] if is_root else ()):
        one, several = (*table.cni, "bin_dir"), (*table.cni, "bin_dirs")
        if not has_list:
            draft.put(one, directories[0])
        elif config.get(one, str) is None:
            draft.put(several, list(directories))
        else:
            draft.replace(one, "bin_dirs", list(directories))


def _refuse_legacy_type(config: Config, systemd_cgroup: bool) -> None:
    legacy = config.settings.legacy_systemd_cgroup
    for handler in handlers_of(config):
        if handler.runtime_type != LEGACY_TYPE:
            continue
        has_options = config.get((*handler.table, "options"), dict) is not None
        now = handler.systemd_cgroup if has_options else legacy
        if bool(now) != systemd_cgroup:
            raise config.wrong(
                handler.table,
                f"has the runtime_type {LEGACY_TYPE}, which containerd 2.0 no longer has and "
                f"whose driver is not set here: give it {DEFAULT_TYPE}",
            )


def _free_of_legacy_driver(draft: Draft, config: Config) -> None:
    path = (*VERSION_2.plugin, "systemd_cgroup")
    if config.version != 2 or not config.get(path, bool):
        return
    handlers = {handler.name: handler for handler in handlers_of(config)}
    name = config.settings.default_runtime_name
    default = handlers.get("default_runtime") or handlers.get("runc" if name is None else name)
    if default is None or default.runtime_type != LEGACY_TYPE:
        draft.put(path, False)
