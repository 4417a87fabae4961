"""containerd's configuration: what a file says, on which line, and the same file set differently.

Nothing here talks to a host. :mod:`kubenode.toml_text` says on which line a value stands and edits
the text: quoting, comments, order and line ends of all else stay to the letter.

What containerd makes of several files, seen with ``containerd --config FILE config dump`` of
1.6.20, 1.7.24 and 2.1.9:

- The main file is loaded first, then what it imports in the order stated (globs sorted), then what
  those import. Later files win.
- 1.6 and 1.7: a drop-in that states one key of ``plugins."io.containerd.grpc.v1.cri"`` replaces all
  that earlier files say of that plugin, the rest becomes the default again. A file that states
  one handler has only that one: the default ``runc`` is gone. ``runtimes.runc`` without
  ``runtime_type`` has none.
- 2.1: files are merged key by key, down to a handler's options, and over the defaults:
  ``runtimes.runc`` without ``runtime_type`` keeps the default, ``runc`` is always there.
- ``disabled_plugins`` of all files are added up, in all three.
- A drop-in without ``version`` is read as being of the main file's version. One with another
  version changes the version of the whole: see
  :func:`kubenode.containerd_release.drop_in_trouble`.
- A version 1 file loses its CRI settings on 2.1, in the daemon and in ``config migrate`` alike
  (the table is renamed and then ignored); 1.6 and 1.7 honour them.
- A version 2 file that states version 3 tables has them honoured by 2.1, even before its own.
- ``config dump`` shows only what was read, it does not check it: the legacy ``systemd_cgroup =
  true`` is shown, and the CRI plugin then fails to start. On 2.1 an import that does not exist is
  silent in the dump (and ends the imports there), and the daemon refuses it.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from packaging.version import Version

from kubenode.cgroup_drivers import Driver
from kubenode.cni import check_directories
from kubenode.containerd_release import (
    Release,
    globs_from_root,
)
from kubenode.toml_text import Path, TomlText, UnsafeEditError, dotted, literal

T = TypeVar("T")

_CRI = "io.containerd.grpc.v1.cri"
_RUNTIME = "io.containerd.cri.v1.runtime"
_IMAGES = "io.containerd.cri.v1.images"
_SERVER = "io.containerd.server.v1.grpc"

CRI_PLUGINS = frozenset({"cri", _CRI, _RUNTIME, _IMAGES})
"""Entries of ``disabled_plugins`` that leave a node without CRI. ``cri`` is the name in version 1
files; in later versions it keeps the daemon from starting. The ``cri.v1`` ones are 2.x only."""

_RUNC_TYPES = frozenset({"io.containerd.runc.v2", "io.containerd.runc.v1"})
_LEGACY_TYPE = "io.containerd.runtime.v1.linux"
_DEFAULT_TYPE = "io.containerd.runc.v2"

_WORD = re.compile(r"""[!#-&(-\[\]-~]+""")

_LEGACY_HANDLERS = ("default_runtime", "untrusted_workload_runtime")


class ConfigError(Exception):
    """A configuration that cannot be used, as ``PATH:LINE:COL: reason``."""

    def __init__(self, path: str, line: int, column: int, reason: str) -> None:
        super().__init__(f"{path}:{line}:{column}: {reason}")
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason


@dataclass(frozen=True)
class Stated(Generic[T]):
    """A value and the line that states it."""

    value: T
    line: int


@dataclass(frozen=True)
class Handler:
    """A runtime handler as a file states it."""

    name: str
    """Its name in ``runtimes``, or the deprecated table ``default_runtime`` or
    ``untrusted_workload_runtime`` of version 2."""
    runtime_type: str | None
    is_runc_type: bool
    """Whether ``SystemdCgroup`` is its setting: runc itself and what stands in for the binary
    (nvidia, crun, youki); not runsc or kata."""
    systemd_cgroup: bool | None
    """None when the file does not say."""
    line: int
    systemd_cgroup_line: int | None
    table: Path


@dataclass(frozen=True)
class Settings:
    """What a file states of the settings kubenode reads, None or empty where it does not."""

    handlers: Mapping[str, Handler]
    default_runtime_name: Stated[str] | None
    pause_image: Stated[str] | None
    snapshotter: Stated[str] | None
    registry_config_path: Stated[str] | None
    cni_bin_dir: Stated[str] | None
    """The one directory of CNI plugins; 2.1 has ``cni_bin_dirs`` in its place."""
    cni_bin_dirs: list[str] | None
    cni_conf_dir: Stated[str] | None
    cni_has_loopback: bool
    """Whether containerd does the loopback plugin's work itself."""
    legacy_systemd_cgroup: Stated[bool] | None
    """``systemd_cgroup`` of version 2's plugin table, for io.containerd.runtime.v1.linux only."""
    disabled_plugins: tuple[Stated[str], ...]
    required_plugins: tuple[Stated[str], ...]
    imports: tuple[Stated[str], ...]
    root: Stated[str] | None
    state: Stated[str] | None
    grpc_address: Stated[str] | None
    states_cri: bool
    """Whether the file has a table of the CRI plugin at all."""

    @property
    def cni_directories(self) -> list[str]:
        """Where plugins are looked for, as ``config dump`` prints it."""
        one = self.cni_bin_dir.value if self.cni_bin_dir else ""
        return self.cni_bin_dirs or ([one] if one else [])

    @property
    def cri_disabled_by(self) -> tuple[Stated[str], ...]:
        """The entries of ``disabled_plugins`` that switch CRI off."""
        return tuple(entry for entry in self.disabled_plugins if entry.value in CRI_PLUGINS)


@dataclass(frozen=True)
class Config:
    """A configuration file, or what ``containerd config dump`` prints."""

    path: str
    text: str
    data: Mapping[str, Any]
    version: int
    """The configuration version it is read as."""
    states_version: bool

    @property
    def is_empty(self) -> bool:
        """Whether it states nothing at all: no line, or blank lines and comments only."""
        return not self.data

    @property
    def version_line(self) -> int:
        """The line that states the version, 1 when none does."""
        return self._toml.line_of(("version",)) if self.states_version else 1

    @cached_property
    def settings(self) -> Settings:
        """What it states of the settings kubenode reads."""
        return _settings(self)

    @cached_property
    def _toml(self) -> TomlText:
        return TomlText(self.text)


@dataclass(frozen=True)
class Wanted:
    """How containerd shall be configured."""

    cgroup_driver: Driver
    pause_image: str | None = None
    """None leaves what is there, also below."""
    snapshotter: str | None = None
    registry_config_path: str | None = None
    cni_bin_dirs: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.cgroup_driver not in ("systemd", "cgroupfs"):
            raise ValueError(f"cgroup driver {self.cgroup_driver!r}: expected systemd or cgroupfs")
        for name in ("pause_image", "snapshotter", "registry_config_path"):
            value: object = getattr(self, name)
            if value is None or (isinstance(value, str) and _WORD.fullmatch(value)):
                continue
            raise ValueError(f"{name} is one word without blanks or quotes, not {value!r}")
        if self.cni_bin_dirs is not None:
            check_directories(self.cni_bin_dirs)


@dataclass(frozen=True)
class Change:
    """A setting that an edit changes, in TOML's notation; None: it was not, or is not, stated."""

    what: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.what}: {self.old or 'not stated'} -> {self.new or 'removed'}"


@dataclass(frozen=True)
class Edit:
    """A file's new text and what is different in it. No changes: the text is the old one."""

    text: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class _Tables:
    """Where a configuration version keeps CRI's settings."""

    plugin: Path
    containerd: Path
    pause_image: Path
    snapshotter: Path
    registry: Path
    cni: Path
    has_legacy_handlers: bool

    @classmethod
    def one_plugin(cls, name: str) -> _Tables:
        plugin = ("plugins", name)
        return cls(
            plugin=plugin,
            containerd=(*plugin, "containerd"),
            pause_image=(*plugin, "sandbox_image"),
            snapshotter=(*plugin, "containerd", "snapshotter"),
            registry=(*plugin, "registry"),
            cni=(*plugin, "cni"),
            has_legacy_handlers=True,
        )


_VERSION_1 = _Tables.one_plugin("cri")
_VERSION_2 = _Tables.one_plugin(_CRI)
_VERSION_3 = _Tables(
    plugin=("plugins", _RUNTIME),
    containerd=("plugins", _RUNTIME, "containerd"),
    pause_image=("plugins", _IMAGES, "pinned_images", "sandbox"),
    snapshotter=("plugins", _IMAGES, "snapshotter"),
    registry=("plugins", _IMAGES, "registry"),
    cni=("plugins", _RUNTIME, "cni"),
    has_legacy_handlers=False,
)


def _tables(version: int) -> tuple[_Tables, ...]:
    """The tables that count in a file, its own first."""
    if version == 1:
        return (_VERSION_1,)
    return (_VERSION_2, _VERSION_3) if version == 2 else (_VERSION_3,)


# Most hosts of a fleet say the same, a Config is not changed by anybody, and on which lines its
# settings stand is most of what a host's facts cost the controller.
@lru_cache(maxsize=64)
def parse(content: bytes | str, path: str, unstated_version: int = 1) -> Config:
    """
    Read a configuration file or the output of ``containerd config dump``.

    + content: its bytes, or text that is known to be UTF-8
    + path: where it is from, for messages
    + unstated_version: the version of a file that states none: 1 for the main file, the main
      file's for a drop-in

    ConfigError: not UTF-8, not TOML 1.0, or a key kubenode reads has a value of the wrong type.

    **Example:**

    .. code:: python

        config = parse(b'version = 2\\n', "/etc/containerd/config.toml")
        config.version, config.settings.handlers
    """
    text = content if isinstance(content, str) else _decoded(content, path)
    if text.startswith("\ufeff"):
        raise ConfigError(path, 1, 1, "starts with a byte order mark: containerd 2.x refuses it")
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(path, 1, 1, "is nested too deeply") from None
    except ValueError as error:
        raise _toml_error(str(error), text, path) from None
    stated = data.get("version")
    config = Config(path, text, data, unstated_version, states_version=stated is not None)
    if stated is not None:
        if type(stated) is not int or stated < 0:
            raise _wrong(config, ("version",), "is not a number such as 2")
        # containerd takes 0 for 1
        config = Config(path, text, data, stated or 1, states_version=True)
    _ = config.settings
    return config


def _decoded(content: bytes, path: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, last = before.count(b"\n") + 1, before.rpartition(b"\n")[2]
        column = len(last.decode("utf-8", "replace")) + 1
        byte = f"byte 0x{content[error.start]:02x}"
        raise ConfigError(path, line, column, f"is not UTF-8: {byte}") from None


def _toml_error(message: str, text: str, path: str) -> ConfigError:
    reason, _, place = message.partition(" (at ")
    if found := re.fullmatch(r"line (\d+), column (\d+)\)", place):
        line, column = int(found[1]), int(found[2])
    elif place:
        line, column = _position(text, len(text))
    else:
        line, column = 1, 1
    return ConfigError(path, line, column, f"is not valid TOML: {reason}")


def _position(text: str, offset: int) -> tuple[int, int]:
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def _wrong(config: Config, path: Path, reason: str) -> ConfigError:
    line = config._toml.line_of(path)
    text = config.text.split("\n")[line - 1]
    column = len(text) - len(text.lstrip()) + 1
    return ConfigError(config.path, line, column, f"{dotted(path)} {reason}")


_KINDS: Mapping[type, str] = {dict: "a table", list: "an array", str: "a string", bool: "a boolean"}


def _get(config: Config, path: Path, kind: type[T]) -> T | None:
    """The value at *path*, None when there is none; ConfigError when its type is another."""
    value: Any = config.data
    for size, key in enumerate(path):
        if not isinstance(value, dict):
            raise _wrong(config, path[:size], f"is not {_KINDS[dict]}")
        if key not in value:
            return None
        value = value[key]
    if not isinstance(value, kind):
        raise _wrong(config, path, f"is not {_KINDS[kind]}")
    return value


def _stated(config: Config, paths: Iterable[Path], kind: type[T]) -> Stated[T] | None:
    """The value at the first of *paths* that has one; all are checked."""
    found = [
        Stated(value, config._toml.line_of(path))
        for path in paths
        if (value := _get(config, path, kind)) is not None
    ]
    return found[0] if found else None


def _entries(config: Config, key: str) -> tuple[Stated[str], ...]:
    values = _get(config, (key,), list) or []
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise _wrong(config, (key, index), f"is not {_KINDS[str]}")
    return tuple(
        Stated(value, config._toml.line_of((key, index))) for index, value in enumerate(values)
    )


def _settings(config: Config) -> Settings:
    tables = _tables(config.version)
    server: list[Path] = [("grpc", "address")]
    if config.version >= 4:
        server.insert(0, ("plugins", _SERVER, "address"))
    legacy = [(*table.plugin, "systemd_cgroup") for table in tables if table.has_legacy_handlers]
    plugins = {path[:2] for table in tables for path in (table.plugin, table.pause_image)}
    return Settings(
        handlers={handler.name: handler for handler in _handlers(config)},
        default_runtime_name=_stated(
            config, [(*table.containerd, "default_runtime_name") for table in tables], str
        ),
        pause_image=_stated(config, [table.pause_image for table in tables], str),
        snapshotter=_stated(config, [table.snapshotter for table in tables], str),
        registry_config_path=_stated(
            config, [(*table.registry, "config_path") for table in tables], str
        ),
        cni_bin_dir=_stated(config, [(*table.cni, "bin_dir") for table in tables], str),
        cni_bin_dirs=_paths(config, [(*table.cni, "bin_dirs") for table in tables]),
        cni_has_loopback=any(
            _get(config, (*table.cni, "use_internal_loopback"), bool) for table in tables
        ),
        cni_conf_dir=_stated(config, [(*table.cni, "conf_dir") for table in tables], str),
        legacy_systemd_cgroup=_stated(config, legacy, bool),
        disabled_plugins=_entries(config, "disabled_plugins"),
        required_plugins=_entries(config, "required_plugins"),
        imports=_entries(config, "imports"),
        root=_stated(config, [("root",)], str),
        state=_stated(config, [("state",)], str),
        grpc_address=_stated(config, server, str),
        states_cri=any(_get(config, path, dict) is not None for path in plugins),
    )


def _paths(config: Config, paths: Iterable[Path]) -> list[str] | None:
    found = None
    for path in paths:
        values = _get(config, path, list)
        if values is not None:
            if not all(isinstance(value, str) for value in values):
                raise _wrong(config, path, "is not an array of strings")
            found = found or values
    return found


def _handlers(config: Config) -> Iterator[Handler]:
    for tables in _tables(config.version):
        runtimes = (*tables.containerd, "runtimes")
        for name in _get(config, runtimes, dict) or {}:
            yield _handler(config, (*runtimes, name), name)
        for name in _LEGACY_HANDLERS if tables.has_legacy_handlers else ():
            # `config dump` of 1.x prints them empty
            if _get(config, (*tables.containerd, name, "runtime_type"), str):
                yield _handler(config, (*tables.containerd, name), name)


def _handler(config: Config, table: Path, name: str) -> Handler:
    _get(config, table, dict)
    runtime_type = _get(config, (*table, "runtime_type"), str)
    driver = (*table, "options", "SystemdCgroup")
    systemd_cgroup = _get(config, driver, bool)
    return Handler(
        name=name,
        runtime_type=runtime_type,
        # A drop-in may leave the type to the main file. Only runc's shim knows SystemdCgroup.
        is_runc_type=runtime_type in _RUNC_TYPES
        if runtime_type
        else name == "runc" or systemd_cgroup is not None,
        systemd_cgroup=systemd_cgroup,
        line=config._toml.line_of(table),
        systemd_cgroup_line=None if systemd_cgroup is None else config._toml.line_of(driver),
        table=table,
    )


def edit(config: Config, wanted: Wanted, is_root: bool, *, has_cni_list: bool = False) -> Edit:
    """
    The file as it has to be for a Kubernetes node, all else in it to the letter.

    + config: a file of version 2, 3 or 4
    + wanted: the settings
    + is_root: whether the file must have all of them, see :func:`in_force`. Otherwise only what it
      states itself is brought in line: it would win over the main file
    + has_cni_list: whether the release looks for CNI plugins in a list of directories
      (:func:`kubenode.cni.takes_list`); otherwise it is the first one of those wanted

    Every runc-type handler gets ``SystemdCgroup``; with *is_root* there is a complete ``runc``
    handler. ``disabled_plugins`` loses what switches CRI off. The legacy ``systemd_cgroup = true``
    of version 2 becomes false unless the default handler has the runtime_type
    io.containerd.runtime.v1.linux: containerd 1.x does not start CRI with it, 2.x ignores it.

    ConfigError: the version is unknown, a handler with that runtime_type has another driver, a
    registry directory is wanted beside ``registry.mirrors``, or the new text does not say exactly
    what was intended (``cannot be edited safely``).

    **Example:**

    .. code:: python

        result = edit(parse(content, path), Wanted("systemd"), is_root=True)
        for change in result.changes:
            print(change)
    """
    if config.version not in (2, 3, 4):
        reason = f"configuration version {config.version}: only 2, 3 and 4 can be edited"
        raise ConfigError(config.path, config.version_line, 1, reason)
    systemd_cgroup = wanted.cgroup_driver == "systemd"
    draft = _Draft(config)
    tables = _tables(config.version)
    _refuse_legacy_type(config, systemd_cgroup)

    draft.drop("disabled_plugins", CRI_PLUGINS)
    _free_of_legacy_driver(draft, config)
    for handler in _handlers(config):
        if handler.is_runc_type:
            if is_root and handler.name == "runc" and not handler.runtime_type:
                draft.put((*handler.table, "runtime_type"), _DEFAULT_TYPE)
            draft.put((*handler.table, "options", "SystemdCgroup"), systemd_cgroup)
    if is_root:
        for table in tables:
            runtimes = (*table.containerd, "runtimes")
            if table is tables[0] or _get(config, runtimes, dict) is not None:
                runc = (*runtimes, "runc")
                if _get(config, runc, dict) is None:
                    draft.put((*runc, "runtime_type"), _DEFAULT_TYPE)
                    draft.put((*runc, "options", "SystemdCgroup"), systemd_cgroup)

    if wanted.registry_config_path:
        _refuse_mirrors(config)
    for paths, value in (
        ([table.snapshotter for table in tables], wanted.snapshotter),
        ([table.pause_image for table in tables], wanted.pause_image),
        ([(*table.registry, "config_path") for table in tables], wanted.registry_config_path),
    ):
        stated = [path for path in paths if _get(config, path, str) is not None]
        if value is not None:
            for path in stated or (paths[:1] if is_root else []):
                draft.put(path, value)
    if wanted.cni_bin_dirs:
        _put_cni(draft, config, wanted.cni_bin_dirs, is_root, has_cni_list)
    return draft.finish()


def _put_cni(
    draft: _Draft, config: Config, directories: Sequence[str], is_root: bool, has_list: bool
) -> None:
    """One directory under ``bin_dir``, or a list under ``bin_dirs``.

    2.1 takes ``bin_dir`` of a version 2 file, even an empty one, in place of ``bin_dirs``: so
    one replaces the other where it stands.
    """
    tables = _tables(config.version)
    stating = [table for table in tables if isinstance(_at(config.data, table.cni), Mapping)]
    stated = [
        table
        for table in stating
        if any(key in _at(config.data, table.cni) for key in ("bin_dir", "bin_dirs"))
    ]
    for table in stated or (tables[:1] if is_root else ()):
        one, several = (*table.cni, "bin_dir"), (*table.cni, "bin_dirs")
        if not has_list:
            draft.put(one, directories[0])
        elif _get(config, one, str) is None:
            draft.put(several, list(directories))
        else:
            draft.replace(one, "bin_dirs", list(directories))


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _refuse_legacy_type(config: Config, systemd_cgroup: bool) -> None:
    legacy = config.settings.legacy_systemd_cgroup
    for handler in _handlers(config):
        if handler.runtime_type != _LEGACY_TYPE:
            continue
        has_options = _get(config, (*handler.table, "options"), dict) is not None
        now = handler.systemd_cgroup if has_options else legacy and legacy.value
        if bool(now) != systemd_cgroup:
            raise _wrong(
                config,
                handler.table,
                f"has the runtime_type {_LEGACY_TYPE}, which containerd 2.0 no longer has and "
                f"whose driver is not set here: give it {_DEFAULT_TYPE}",
            )


def _free_of_legacy_driver(draft: _Draft, config: Config) -> None:
    path = (*_VERSION_2.plugin, "systemd_cgroup")
    if config.version != 2 or not _get(config, path, bool):
        return
    handlers = {handler.name: handler for handler in _handlers(config)}
    name = config.settings.default_runtime_name
    default = handlers.get("default_runtime") or handlers.get(name.value if name else "runc")
    if default is None or default.runtime_type != _LEGACY_TYPE:
        draft.put(path, False)


def _refuse_mirrors(config: Config) -> None:
    for tables in _tables(config.version):
        if _get(config, (*tables.registry, "mirrors"), dict):
            raise _wrong(
                config,
                (*tables.registry, "mirrors"),
                "and config_path exclude each other: move the mirrors to hosts.toml files first",
            )
        for name, registry in (_get(config, (*tables.registry, "configs"), dict) or {}).items():
            if isinstance(registry, dict) and "tls" in registry:
                raise _wrong(
                    config,
                    (*tables.registry, "configs", name, "tls"),
                    "and config_path exclude each other: move it to a hosts.toml file first",
                )


_VERSION_1_PLUGINS: Mapping[str, str] = {
    "cri": _CRI,
    "cgroups": "io.containerd.monitor.v1.cgroups",
    "linux": "io.containerd.runtime.v1.linux",
    "scheduler": "io.containerd.gc.v1.scheduler",
    "bolt": "io.containerd.metadata.v1.bolt",
    "task": "io.containerd.runtime.v2.task",
    "opt": "io.containerd.internal.v1.opt",
    "restart": "io.containerd.internal.v1.restart",
    "tracing": "io.containerd.internal.v1.tracing",
    "otlp": "io.containerd.tracing.processor.v1.otlp",
    "aufs": "io.containerd.snapshotter.v1.aufs",
    "btrfs": "io.containerd.snapshotter.v1.btrfs",
    "devmapper": "io.containerd.snapshotter.v1.devmapper",
    "native": "io.containerd.snapshotter.v1.native",
    "overlayfs": "io.containerd.snapshotter.v1.overlayfs",
    "zfs": "io.containerd.snapshotter.v1.zfs",
}
"""What containerd's own migration makes of the short names."""


def upgrade_version_1(config: Config) -> Edit | None:
    """
    A version 1 file as version 2, None when a plugin's name in it is not known for certain.

    + config: a file of version 1

    Version 2 has the same keys, under the plugins' full names: ``version = 2`` is added on top and
    the names are replaced where they stand. ``containerd config migrate`` is no substitute: it
    loses comments, prints every default and the imports, and before 2.3 it loses CRI's settings.
    """
    if config.version != 1:
        return None
    plugins = _get(config, ("plugins",), dict) or {}
    required = _entries(config, "required_plugins")
    names = [
        *plugins,
        *(entry.value for entry in (*required, *_entries(config, "disabled_plugins"))),
    ]
    if any("." not in name and name not in _VERSION_1_PLUGINS for name in names):
        return None
    if len({_full_name(name) for name in plugins}) != len(plugins):
        return None

    draft = _Draft(config)
    # taken out, not renamed: edit would have to take it out then
    draft.drop("disabled_plugins", CRI_PLUGINS)
    for key in ("disabled_plugins", "required_plugins"):
        with draft.refusing():
            left = draft.toml.get((key,)) or []
        for index, name in enumerate(left):
            draft.put((key, index), _full_name(name))
    with draft.refusing():
        draft.toml = _with_full_plugin_names(draft.toml)
    for name in plugins:
        if _full_name(name) != name:
            old, new = dotted(("plugins", name)), dotted(("plugins", _full_name(name)))
            draft.changes.append(Change("plugin table", old, new))
    draft.put(("version",), 2)
    return draft.finish()


_PLUGIN_KEY = re.compile(
    r"""^([ \t]*\[{0,2}[ \t]*(["']?)plugins\2[ \t]*\.[ \t]*)(["']?)([\w-]+)\3""", re.MULTILINE
)


def _with_full_plugin_names(toml: TomlText) -> TomlText:
    def renamed(found: re.Match[str]) -> str:
        name, quote = _full_name(found[4]), found[3] or '"'
        return found[0] if name == found[4] else f"{found[1]}{quote}{name}{quote}"

    intended = dict(toml.data)
    if "plugins" in intended:
        intended["plugins"] = {_full_name(key): it for key, it in intended["plugins"].items()}
    new = TomlText(_PLUGIN_KEY.sub(renamed, toml.text))
    try:
        if new.data == intended:
            return new
    except tomllib.TOMLDecodeError:
        pass
    raise UnsafeEditError(("plugins",))


def _full_name(name: str) -> str:
    return _VERSION_1_PLUGINS.get(name, name)


def import_patterns(config: Config, version: Version) -> list[str]:
    """
    The files a file imports, as absolute paths or shell patterns, in order.

    + config: the file
    + version: containerd's. Before 1.6.29 and 1.7.16 a relative pattern with ``*`` is taken from
      the daemon's working directory, which is ``/`` under systemd, not from the file's
    """
    directory = posixpath.dirname(config.path)
    return [
        posixpath.normpath(
            posixpath.join("/" if "*" in name and globs_from_root(version) else directory, name)
        )
        for name in (entry.value for entry in config.settings.imports)
    ]


def load_order(files: Sequence[Config], version: Version) -> list[Config]:
    """
    The files containerd loads, in its order; a file that none of them imports is left out.

    + files: the main file first, then every file on the host that may be imported, in any order
    + version: containerd's

    ``config dump`` is no guide to the order: 1.x prints ``imports`` in a random one.
    """
    known = {config.path: config for config in files}
    loaded: dict[str, Config] = {}
    pending = [files[0].path]
    while pending:
        path = pending.pop(0)
        if path not in loaded and path in known:
            loaded[path] = known[path]
            for pattern in import_patterns(known[path], version):
                pending += sorted(each for each in known if is_imported(each, pattern))
    return list(loaded.values())


def is_imported(path: str, pattern: str) -> bool:
    """Whether an import *pattern*, as :func:`import_patterns` gives it, takes in *path*."""
    if "*" not in pattern:
        return path == pattern
    parts, patterns = path.split("/"), pattern.split("/")
    # unlike fnmatch's, Go's * does not match a slash
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def in_force(files: Sequence[Config], release: Release) -> list[Config]:
    """
    The files whose CRI settings count, in the order they are loaded; a later one wins.

    + files: the main file, then the drop-ins in the order of :func:`load_order`
    + release: containerd's

    The first of the result must state all that is wanted: pass ``is_root=True`` to :func:`edit` for
    it. Before 2.0 it is the only one: the last file that states the CRI plugin replaces all
    earlier ones. From 2.0 it is the main file, and the others are merged over it key by key.
    """
    if not release.drop_in_replaces_plugin:
        return list(files)
    stating = [config for config in files if config.settings.states_cri]
    return [stating[-1] if stating else files[0]]


class _Draft:
    """A text under change."""

    def __init__(self, config: Config) -> None:
        self.path = config.path
        self.toml = config._toml
        self.changes: list[Change] = []

    def replace(self, path: Path, key: str, value: list[str]) -> None:
        """Make *key* with *value* what stands in the place of *path*."""
        with self.refusing():
            old, other = self.toml.get(path), (*path[:-1], key)
            stated = self.toml.get(other)
            self.toml = self.toml.with_other_key(path, key, value)
            self.changes.append(Change(dotted(path), literal(old), None))
            if stated != value:
                before = None if stated is None else literal(stated)
                self.changes.append(Change(dotted(other), before, literal(value)))

    def put(self, path: Path, value: str | bool | int | list[str]) -> None:
        """Make *value* what stands at *path*."""
        with self.refusing():
            old = self.toml.get(path)
            if type(old) is not type(value) or old != value:
                self.toml = self.toml.with_value(path, value)
                stated = None if old is None else literal(old)
                self.changes.append(Change(dotted(path), stated, literal(value)))

    def drop(self, key: str, unwanted: frozenset[str]) -> None:
        """Take the *unwanted* entries out of the top-level array *key*."""
        with self.refusing():
            old = self.toml.get((key,)) or []
            if not unwanted.isdisjoint(old):
                self.toml = self.toml.without_entries((key,), unwanted)
                self.changes.append(Change(key, literal(old), literal(self.toml.get((key,)))))

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Name the file in the reason why an edit is not safe."""
        try:
            yield
        except (UnsafeEditError, RecursionError) as error:
            # a place in this text means nothing to who reads the message
            raise ConfigError(self.path, 1, 1, f"cannot be edited safely: {error}") from None

    def finish(self) -> Edit:
        return Edit(self.toml.text, tuple(self.changes))
