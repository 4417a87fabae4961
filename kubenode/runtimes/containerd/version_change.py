"""What another release makes of the configuration that is there, to be said before it is installed.

What a release's configuration version decides is none of it:
:func:`kubenode.runtimes.containerd.all_files.edits_of` rewrites the files, or says why not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import Version

from kubenode.files.toml_text import Path, dotted
from kubenode.runtimes.cni import takes_list
from kubenode.runtimes.containerd.config import Config, parse
from kubenode.runtimes.containerd.handlers import LEGACY_TYPE
from kubenode.runtimes.containerd.imports import in_force, load_order
from kubenode.runtimes.containerd.releases import release_of
from kubenode.runtimes.containerd.tables import IMAGES, RUNTIME, VERSION_2, tables_of
from kubenode.runtimes.edit import ConfigError


@dataclass(frozen=True)
class Consequence:
    """What becomes of one setting.

    + text: what, with its place, as ``PATH:LINE: sentence``
    + stops: whether the daemon or CRI does not start with it, or no pod does
    """

    text: str
    stops: bool = False


@dataclass(frozen=True)
class _Removed:
    """A setting that releases no longer have."""

    since: Version
    path: Path
    """From the CRI plugin's table, in a file before version 3, unless it begins with a name of the
    top level; ``*`` is every name."""
    instead: str
    stops: bool = False
    """Whether the release does not start with it; otherwise it ignores it."""


def _cri(since: str, *path: str, instead: str) -> _Removed:
    return _Removed(Version(since), (*VERSION_2.plugin, *path), instead)


_ANY_HANDLER = ("containerd", "runtimes", "*")

REMOVED: tuple[_Removed, ...] = (
    _cri("2.0", "systemd_cgroup", instead="SystemdCgroup of each handler says it"),
    _cri("2.0", "disable_cgroup", instead="nothing says it any more"),
    _cri("2.0", "containerd", "no_pivot", instead="NoPivotRoot in a handler's options says it"),
    _cri("2.0", "containerd", "default_runtime", instead="default_runtime_name names a handler"),
    _cri("2.0", "containerd", "untrusted_workload_runtime", instead="make a handler of it"),
    _cri("2.0", *_ANY_HANDLER, "runtime_engine", instead="BinaryName in its options says it"),
    _cri("2.0", *_ANY_HANDLER, "runtime_root", instead="Root in its options says it"),
    _cri("2.0", *_ANY_HANDLER, "options", "CriuPath", instead="criu is looked for in PATH"),
    _Removed(Version("2.0"), ("plugins", LEGACY_TYPE), "no handler has that type any more"),
    _Removed(Version("2.0"), ("plugins", "io.containerd.snapshotter.v1.aufs"), "use overlayfs"),
    _Removed(Version("2.1"), ("plugin_dir",), "plugins in .so files are not loaded any more"),
    _Removed(
        Version("2.4.0b0"),
        ("plugins", RUNTIME, "enable_experimental_restore_via_create"),
        "restoring a checkpoint so is gone",
    ),
)
"""What releases ignore, from which one on.

Sources: containerd's RELEASES.md, "Deprecated features" and "Deprecated config properties". What
2.2.7, 2.3.4 and 2.4.0-beta.0 ignore was tried on their programs, see
``tests/end_to_end/test_upstream_containerd.py``.
"""

ANNOUNCED_FOR = Version("2.4")
"""The release from which on upstream may remove what :func:`_announced` finds. 2.4.0-beta.0 has all
of it yet, and removals come only in the release after an LTS (2.3)."""

_GONE_TYPES = {
    LEGACY_TYPE: Version("2.0"),
    "io.containerd.runc.v1": Version("2.0"),
}

_GONE_PLUGINS = {
    LEGACY_TYPE: Version("2.0"),
    "io.containerd.snapshotter.v1.aufs": Version("2.0"),
}


def consequences(
    main: str, files: Mapping[str, bytes], version: Version
) -> tuple[Consequence, ...]:
    """
    What a release makes of files that another one wrote or read.

    + main: path of the main configuration file
    + files: content of the main file and of what it may import, by path
    + version: the release that is to be installed

    A file that cannot be parsed has none: that is said elsewhere.

    **Example:**

    .. code:: python

        consequences(main, {main: b"version = 2\\nplugin_dir = '/x'\\n"}, Version("2.3.4"))
    """
    release = release_of(version)
    try:
        root = parse(files.get(main, b""), main, folds=release.folds)
        beside = [
            parse(content, path, unstated_version=root.version, folds=release.folds)
            for path, content in files.items()
            if path != main
        ]
        loaded = load_order([root, *beside], version)
        found = [each for config in loaded for each in _of_file(config, version)]
        return (*found, *_of_several(loaded, version))
    except ConfigError:
        return ()


def _of_file(config: Config, version: Version) -> Iterator[Consequence]:
    for row in REMOVED:
        if version >= row.since:
            for path in _stated(config, row.path):
                yield _at(config, path, f"containerd {version} ignores it: {row.instead}")
    yield from _gone(config, version)
    if version.release[:2] >= ANNOUNCED_FOR.release:
        for path, instead in _announced(config):
            yield _at(
                config,
                path,
                f"is announced to go, from containerd {ANNOUNCED_FOR} on: {instead}",
            )
    if version < Version("2.0") and config.version < 3:
        for name in (RUNTIME, IMAGES):
            if config.get(("plugins", name), dict):
                yield _at(
                    config, ("plugins", name), f"containerd {version} has no such plugin, and "
                    "ignores it"
                )  # fmt: skip
    for table in tables_of(config.version):
        several = (*table.cni, "bin_dirs")
        if config.get(several, list) and not takes_list(version):
            yield _at(config, several, f"containerd {version} ignores it: it takes bin_dir alone")


def _gone(config: Config, version: Version) -> Iterator[Consequence]:
    """Plugins and types of shims that files name, and the release does not have."""
    default = config.settings.default_runtime_name or "runc"
    for handler in config.settings.handlers.values():
        since = _GONE_TYPES.get(handler.runtime_type or "")
        if since and version >= since:
            yield _at(
                config,
                handler.type_path,
                f"{handler.runtime_type} is gone in containerd {since}, no pod of this handler "
                "starts: write io.containerd.runc.v2",
                stops=handler.name == default,
            )
    for name in config.entries("required_plugins"):
        since = _GONE_PLUGINS.get(name)
        if since and version >= since:
            yield _at(
                config,
                ("required_plugins",),
                f"containerd {version} does not start without {name}, which is gone in {since}",
                stops=True,
            )
    if version >= Version("2.0") and config.settings.snapshotter == "aufs":
        path = next(
            table.snapshotter
            for table in tables_of(config.version)
            if config.get(table.snapshotter, str)
        )
        yield _at(config, path, "aufs is gone in containerd 2.0, CRI does not start", stops=True)


def _announced(config: Config) -> Iterator[tuple[Path, str]]:
    for table in tables_of(config.version):
        for key in ("mirrors", "configs"):
            if config.get((*table.registry, key), dict):
                yield (*table.registry, key), "use hosts.toml files and config_path"
        if config.get((*table.registry, "auths"), dict):
            yield (*table.registry, "auths"), "use imagePullSecrets"
        if config.get((*table.cni, "bin_dir"), str):
            yield (*table.cni, "bin_dir"), "use bin_dirs"
        if config.get((*table.plugin, "enable_cdi"), bool) is False:
            yield (*table.plugin, "enable_cdi"), "CDI is always on then"
    for plugin, keys in (
        ("io.containerd.tracing.processor.v1.otlp", ("endpoint", "protocol", "insecure")),
        ("io.containerd.internal.v1.tracing", ("service_name", "sampling_ratio")),
    ):
        for key in keys:
            if _value(config, ("plugins", plugin, key)):
                yield ("plugins", plugin, key), "use OTel's environment variables"


def _of_several(loaded: Sequence[Config], version: Version) -> Iterator[Consequence]:
    """1.x takes the CRI settings of one file; 2.x those of all."""
    release = release_of(version)
    if not release.drop_in_replaces_plugin:
        return
    stating = [config for config in loaded if config.settings.states_cri]
    (counting,) = in_force(loaded, release)
    for config in stating:
        if config is not counting:
            yield Consequence(
                f"{config.path}: containerd {version} ignores its CRI settings, and takes those of "
                f"{counting.path} alone"
            )


def _stated(config: Config, path: Path) -> Iterator[Path]:
    """What a file states at a path with ``*``, where it is more than ``config dump`` prints of what
    nobody has set: nothing, false, or a table without a type."""
    if path[: len(VERSION_2.plugin)] == VERSION_2.plugin:
        if config.version > 2:
            return
        path = (*tables_of(config.version)[0].plugin, *path[len(VERSION_2.plugin) :])
    if "*" in path:
        place = path.index("*")
        for name in config.get(path[:place], dict) or {}:
            yield from _stated(config, (*path[:place], name, *path[place + 1 :]))
        return
    value = _value(config, path)
    if isinstance(value, dict) and path[-1] in ("default_runtime", "untrusted_workload_runtime"):
        value = value.get("runtime_type")
    if value:
        yield path


def _value(config: Config, path: Path) -> object:
    value: object = config.data
    for key in config.spelled(path):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _at(config: Config, path: Path, what: str, stops: bool = False) -> Consequence:
    return Consequence(f"{config.path}:{config.line_of(path)}: {dotted(path)}: {what}", stops)
