"""containerd's configuration: what a file says, on which line, and the same file set differently.

Nothing here talks to a host. :mod:`kubenode.files.toml_text` says on which line a value stands and
edits the text: quoting, comments, order and line ends of all else stay to the letter.

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
  :func:`kubenode.runtimes.containerd.releases.drop_in_trouble`.
- A version 1 file loses its CRI settings on 2.1, in the daemon and in ``config migrate`` alike
  (the table is renamed and then ignored); 1.6 and 1.7 honour them.
- A version 2 file that states version 3 tables has them honoured by 2.1, even before its own.
- ``config dump`` shows only what was read, it does not check it: the legacy ``systemd_cgroup =
  true`` is shown, and the CRI plugin then fails to start. On 2.1 an import that does not exist is
  silent in the dump (and ends the imports there), and the daemon refuses it.
- Keys fold case, by the rules of :mod:`kubenode.files.go_keys`; names of plugins, handlers and
  registries do not. ``config dump`` prints a handler's options as they are written, everything
  else by its name. From 2.1.5 on a default ``SystemdCgroup = false`` stands beside what a file
  states, so that ``SYSTEMDCGROUP = true``, which sorts before it, has no effect, and
  ``systemdCgroup`` has.
- The options of a handler are handed to its shim by its ``runtime_type``. A path such as
  ``/usr/bin/containerd-shim-runc-v2`` is not known as runc's: without options runc takes cgroupfs,
  with options no pod starts.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Generic, Literal, TypeVar

from packaging.version import Version

from kubenode.files import go_keys
from kubenode.files.toml_text import (
    Path,
    TomlText,
    TooMuchError,
    UnsafeEditError,
    dotted,
    literal,
    loads,
)
from kubenode.linux.cgroups import Driver
from kubenode.runtimes.cni import check_directories
from kubenode.runtimes.containerd.releases import Release, globs_from_root

T = TypeVar("T")

Kind = Literal["runc", "own", "unrecognised"]

_CRI = "io.containerd.grpc.v1.cri"
_RUNTIME = "io.containerd.cri.v1.runtime"
_IMAGES = "io.containerd.cri.v1.images"
_SERVER = "io.containerd.server.v1.grpc"

CRI_PLUGINS = frozenset({"cri", _CRI, _RUNTIME, _IMAGES})
"""Entries of ``disabled_plugins`` that leave a node without CRI. ``cri`` is the name in version 1
files; in later versions it keeps the daemon from starting. The ``cri.v1`` ones are 2.x only."""

_RUNC_TYPES = frozenset({"io.containerd.runc.v2", "io.containerd.runc.v1"})
_OWN_SETTINGS = re.compile(r"(kata(-[\w-]+)?|runsc|runhcs|firecracker|urunc)")
"""Shims of virtual machines and sandboxes, which are told their cgroup driver elsewhere."""
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
    runtime_type_line: int | None
    kind: Kind
    """``runc``: ``SystemdCgroup`` is its setting, as of runc itself and what stands in for the
    binary (nvidia, crun, youki). ``own``: it has settings of its own (kata, runsc).
    ``unrecognised``: it is not known what its shim makes of ``SystemdCgroup``."""
    systemd_cgroup: bool | None
    """None when the file does not say. The spelling that counts, where there are several."""
    line: int
    systemd_cgroup_line: int | None
    table: Path

    @property
    def is_runc_type(self) -> bool:
        """Whether it is brought in line: runc's shim, and any that is told a driver."""
        return self.kind == "runc" or (
            self.systemd_cgroup is not None and not (self.runtime_type or "").startswith("/")
        )


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
    folds: go_keys.Decoder
    """How the release that reads it folds the case of keys."""

    @property
    def is_empty(self) -> bool:
        """Whether it states nothing at all: no line, or blank lines and comments only."""
        return not self.data

    @property
    def version_line(self) -> int:
        """The line that states the version, 1 when none does."""
        return self.line_of(("version",)) if self.states_version else 1

    def line_of(self, path: Path) -> int:
        """The line that states *path*, in whatever spelling; see :meth:`TomlText.line_of`."""
        return self._toml.line_of(self.spelled(path))

    def spelled(self, path: Path) -> Path:
        """*path* as the file spells it; what it does not have as it is given.

        ConfigError where the file has two spellings of one table, or of a setting with two values.
        """
        value: Any = self.data
        found: list[str | int] = []
        for index, key in enumerate(path):
            if isinstance(value, dict) and isinstance(key, str) and not _is_name(path, index):
                keys = self.folds(key, self._alike(value, key))
                differ = len(keys) > 1 and any(value[each] != value[keys[0]] for each in keys)
                if differ and key != _DRIVER:
                    first, last = (self._toml.line_of((*found, each)) for each in keys[:2])
                    raise ConfigError(
                        self.path,
                        last,
                        1,
                        f"{keys[1]} is {keys[0]} of line {first} again: containerd folds the case "
                        "of keys, so keep one",
                    )
                key = keys[-1] if keys else key
            found.append(key)
            value = _child(value, key)
        return tuple(found)

    def spellings(self, path: Path) -> list[Path]:
        """Every spelling of the last key of *path* that the file has."""
        table, key = self.spelled(path[:-1]), path[-1]
        value: Any = self.data
        for each in table:
            value = _child(value, each)
        keys = self.folds(str(key), self._alike(value, str(key))) if isinstance(value, dict) else []
        return [(*table, each) for each in keys]

    def _alike(self, table: Mapping[str, Any], key: str) -> list[str]:
        """The keys of *table* that differ from *key* in their case at most."""
        if id(table) not in self._by_case:
            index: dict[str, list[str]] = {}
            for each in table:
                index.setdefault(each.lower(), []).append(each)
            self._by_case[id(table)] = index
        return self._by_case[id(table)].get(key.lower(), [])

    @cached_property
    def _by_case(self) -> dict[int, dict[str, list[str]]]:
        """What :meth:`_alike` found, by the table's id: tables live as long as the file's data."""
        return {}

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


def parse(
    content: bytes | str,
    path: str,
    unstated_version: int = 1,
    folds: go_keys.Decoder = go_keys.any_case,
) -> Config:
    """
    Read a configuration file or the output of ``containerd config dump``.

    + content: its bytes, or text that is known to be UTF-8
    + path: where it is from, for messages
    + unstated_version: the version of a file that states none: 1 for the main file, the main
      file's for a drop-in
    + folds: how the release that reads it folds the case of keys, see
      :attr:`kubenode.runtimes.containerd.releases.Release.folds`

    ConfigError: not UTF-8, not TOML 1.0, a key kubenode reads has a value of the wrong type, or is
    there in two spellings.

    **Example:**

    .. code:: python

        config = parse(b'version = 2\\n', "/etc/containerd/config.toml")
        config.version, config.settings.handlers
    """
    if len(content) > _MOST_KEPT:
        return _parsed(content, path, unstated_version, folds)
    return _kept(content, path, unstated_version, folds)


_MOST_KEPT = 32 * 1024


# Most hosts of a fleet say the same, a Config is not changed by anybody, and on which lines its
# settings stand is most of what a host's facts cost the controller. Long ones are not kept.
@lru_cache(maxsize=64)
def _kept(content: bytes | str, path: str, unstated_version: int, folds: go_keys.Decoder) -> Config:
    return _parsed(content, path, unstated_version, folds)


def _parsed(
    content: bytes | str, path: str, unstated_version: int, folds: go_keys.Decoder
) -> Config:
    text = content if isinstance(content, str) else _decoded(content, path)
    if text.startswith("\ufeff"):
        raise ConfigError(path, 1, 1, "starts with a byte order mark: containerd 2.x refuses it")
    try:
        data = loads(text)
    except TooMuchError as error:
        raise ConfigError(path, 1, 1, f"is {error}") from None
    except RecursionError:
        raise ConfigError(path, 1, 1, "is nested too deeply") from None
    except ValueError as error:
        raise _toml_error(str(error), text, path) from None
    config = Config(path, text, data, unstated_version, states_version=False, folds=folds)
    stated = data.get(str(config.spelled(("version",))[0]))
    if stated is not None:
        if type(stated) is not int or stated < 0:
            raise _wrong(config, ("version",), "is not a number such as 2")
        # containerd takes 0 for 1
        config = replace(config, version=stated or 1, states_version=True)
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
    line = config.line_of(path)
    text = config.text.split("\n")[line - 1]
    column = len(text) - len(text.lstrip()) + 1
    return ConfigError(config.path, line, column, f"{dotted(path)} {reason}")


_DRIVER = "SystemdCgroup"

_NAMES_IN = frozenset({"plugins", "runtimes", "configs", "mirrors", "pinned_images"})
"""Tables whose keys are names, not settings."""


def _is_name(path: Path, index: int) -> bool:
    return index > 0 and path[index - 1] in _NAMES_IN


def _child(value: Any, key: Any) -> Any:
    try:
        return value[key] if isinstance(value, dict | list) else None
    except (LookupError, TypeError):
        return None


_KINDS: Mapping[type, str] = {dict: "a table", list: "an array", str: "a string", bool: "a boolean"}


def _get(config: Config, path: Path, kind: type[T]) -> T | None:
    """The value at *path*, None when there is none; ConfigError when its type is another."""
    value: Any = config.data
    for size, key in enumerate(config.spelled(path)):
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
        Stated(value, config.line_of(path))
        for path in paths
        if (value := _get(config, path, kind)) is not None
    ]
    return found[0] if found else None


def _entries(config: Config, key: str) -> tuple[Stated[str], ...]:
    values = _get(config, (key,), list) or []
    if len(values) > _MOST_ENTRIES:
        raise _wrong(config, (key,), f"has more than {_MOST_ENTRIES} entries, which are not read")
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise _wrong(config, (key, index), f"is not {_KINDS[str]}")
        if len(value) > _LONGEST_ENTRY:
            raise _wrong(config, (key, index), "is longer than any path")
    return tuple(Stated(value, config.line_of((key, index))) for index, value in enumerate(values))


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


_MOST_HANDLERS = 64
"""Of a file: an edit looks at the whole of it for each. GPU hosts have five."""
_MOST_ENTRIES = 256
"""Of ``disabled_plugins`` and ``imports``: containerd has 60 plugins."""
_LONGEST_ENTRY = 4096


def _handlers(config: Config) -> Iterator[Handler]:
    for tables in _tables(config.version):
        runtimes = (*tables.containerd, "runtimes")
        if len(_get(config, runtimes, dict) or {}) > _MOST_HANDLERS:
            reason = f"has more than {_MOST_HANDLERS} runtime handlers, which are not read"
            raise _wrong(config, runtimes, reason)
        for name in _get(config, runtimes, dict) or {}:
            yield _handler(config, (*runtimes, name), name)
        for name in _LEGACY_HANDLERS if tables.has_legacy_handlers else ():
            # `config dump` of 1.x prints them empty
            if _get(config, (*tables.containerd, name, "runtime_type"), str):
                yield _handler(config, (*tables.containerd, name), name)


def _handler(config: Config, table: Path, name: str) -> Handler:
    _get(config, table, dict)
    runtime_type = _get(config, (*table, "runtime_type"), str)
    driver = (*table, "options", _DRIVER)
    systemd_cgroup = _get(config, driver, bool)
    return Handler(
        name=name,
        runtime_type=runtime_type,
        runtime_type_line=config.line_of((*table, "runtime_type")) if runtime_type else None,
        kind=_kind(name, runtime_type, systemd_cgroup),
        systemd_cgroup=systemd_cgroup,
        line=config.line_of(table),
        systemd_cgroup_line=None if systemd_cgroup is None else config.line_of(driver),
        table=table,
    )


def _kind(name: str, runtime_type: str | None, systemd_cgroup: bool | None) -> Kind:
    if runtime_type in _RUNC_TYPES:
        return "runc"
    if not runtime_type:
        # A drop-in may leave the type to the main file.
        return "runc" if name == "runc" or systemd_cgroup is not None else "unrecognised"
    # io.containerd.NAME.VERSION is the program containerd-shim-NAME-VERSION
    found = re.fullmatch(
        r"io\.containerd\.(?P<name>.+)\.v\d+|/(?:.*/)?containerd-shim-(?P<program>.+)-v\d+",
        runtime_type,
    )
    shim = (found["name"] or found["program"]) if found else ""
    return "own" if _OWN_SETTINGS.fullmatch(shim) else "unrecognised"


def unrecognised(runtime_type: str | None) -> str:
    """Why a handler's cgroup driver cannot be told, and what to do, of one of that :data:`Kind`.

    + runtime_type: as it is stated, None when it is not
    """
    if not runtime_type:
        return "no runtime_type is stated, and so nobody can tell its cgroup driver"
    if re.fullmatch(r"/(.*/)?containerd-shim-runc-v\d+", runtime_type):
        return (
            f"runtime_type {runtime_type} is a path, and containerd hands runc's options to "
            f"{_DEFAULT_TYPE} only: write that (BinaryName in its options names another runc)"
        )
    return (
        f"nobody can tell which cgroup driver the runtime_type {runtime_type} uses: state "
        f"{_DRIVER} in its options if it is like runc's"
    )


def edit(config: Config, wanted: Wanted, is_root: bool, *, has_cni_list: bool = False) -> Edit:
    """
    The file as it has to be for a Kubernetes node, all else in it to the letter.

    + config: a file of version 2, 3 or 4
    + wanted: the settings
    + is_root: whether the file must have all of them, see :func:`in_force`. Otherwise only what it
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
            _put_driver(draft, config, handler.table, systemd_cgroup)
    if is_root:
        for table in tables:
            runtimes = (*table.containerd, "runtimes")
            if table is tables[0] or _get(config, runtimes, dict) is not None:
                runc = (*runtimes, "runc")
                if _get(config, runc, dict) is None:
                    draft.put((*runc, "runtime_type"), _DEFAULT_TYPE)
                    draft.put((*runc, "options", _DRIVER), systemd_cgroup)

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


def _put_driver(draft: _Draft, config: Config, handler: Path, systemd_cgroup: bool) -> None:
    """Every spelling says the same, and the one that counts is there: see the module's text."""
    path = (*handler, "options", _DRIVER)
    spellings = config.spellings(path)
    for spelling in spellings:
        draft.put_spelled(spelling, systemd_cgroup)
    if not any(str(spelling[-1]) >= _DRIVER for spelling in spellings):
        draft.put_spelled((*config.spelled(path[:-1]), _DRIVER), systemd_cgroup)


def _put_cni(
    draft: _Draft, config: Config, directories: Sequence[str], is_root: bool, has_list: bool
) -> None:
    """One directory under ``bin_dir``, or a list under ``bin_dirs``.

    2.1 takes ``bin_dir`` of a version 2 file, even an empty one, in place of ``bin_dirs``: so
    one replaces the other where it stands.
    """
    tables = _tables(config.version)
    stated = [
        table
        for table in tables
        if any(config.spellings((*table.cni, key)) for key in ("bin_dir", "bin_dirs"))
    ]
    for table in stated or (tables[:1] if is_root else ()):
        one, several = (*table.cni, "bin_dir"), (*table.cni, "bin_dirs")
        if not has_list:
            draft.put(one, directories[0])
        elif _get(config, one, str) is None:
            draft.put(several, list(directories))
        else:
            draft.replace(one, "bin_dirs", list(directories))


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
    """ConfigError where a registry directory that is yet to be stated would meet older settings."""
    for path in _older_registries(config):
        raise _wrong(
            config, path, "and config_path exclude each other: move it to hosts.toml files first"
        )


def _older_registries(config: Config, tls: bool = True) -> Iterator[Path]:
    """Registry settings that containerd does not take beside ``config_path``."""
    for tables in _tables(config.version):
        if _get(config, (*tables.registry, "mirrors"), dict):
            yield (*tables.registry, "mirrors")
        for name, registry in (_get(config, (*tables.registry, "configs"), dict) or {}).items():
            if tls and isinstance(registry, dict) and "tls" in registry:
                yield (*tables.registry, "configs", name, "tls")


def registry_conflict(files: Sequence[Config], release: Release) -> ConfigError | None:
    """Registry settings with which CRI does not start, None when there are none.

    + files: those whose CRI settings count, see :func:`in_force`
    + release: containerd's

    ``registry.mirrors`` with an entry beside a ``config_path`` that is not empty; before 2.0 also
    ``registry.configs.*.tls``, even an empty one. Tried on containerd 1.6.20, 1.7.24 and 2.1.9;
    ``configs.*.auth`` and ``auths`` do no harm.

    Source: containerd, ``ValidatePluginConfig`` and ``ValidateImageConfig`` of its CRI config.
    """
    directory: tuple[Config, Stated[str]] | None = None
    for config in files:
        for tables in _tables(config.version):
            stated = _stated(config, [(*tables.registry, "config_path")], str)
            if stated:
                directory = (config, stated) if stated.value else None
    if directory is None:
        return None
    place = f"{directory[0].path}:{directory[1].line}"
    for config in files:
        for path in _older_registries(config, tls=release.drop_in_replaces_plugin):
            return _wrong(
                config,
                path,
                f"and config_path ({place}) exclude each other, CRI does not start with both: move "
                f"it to hosts.toml files in {directory[1].value}, or remove one of the two",
            )
    return None


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
"""What containerd's own migration makes of the short names (``v1MigratePluginName`` of its
``cmd/containerd/server/config/config.go``); every ``*-service`` is an ``io.containerd.service.v1``.
Of all other names it says itself that they are ambiguous."""


def _line_of_plugin(config: Config, name: str) -> int:
    if name in (_get(config, ("plugins",), dict) or {}):
        return config._toml.line_of(("plugins", name))
    stated = (*_entries(config, "required_plugins"), *_entries(config, "disabled_plugins"))
    return next((entry.line for entry in stated if entry.value == name), 1)


def upgrade_version_1(config: Config) -> Edit:
    """
    A version 1 file as version 2.

    + config: a file of version 1

    ConfigError names the plugin whose name in version 2 is not known for certain, and its line:
    ``content`` of version 1 is two plugins'.

    Version 2 has the same keys, under the plugins' full names: ``version = 2`` is added on top and
    the names are replaced where they stand. ``containerd config migrate`` is no substitute: it
    loses comments, prints every default and the imports, and before 2.3 it loses CRI's settings.
    """
    plugins = _get(config, ("plugins",), dict) or {}
    required = _entries(config, "required_plugins")
    names = [
        *plugins,
        *(entry.value for entry in (*required, *_entries(config, "disabled_plugins"))),
    ]
    for name in names:
        if "." not in _full_name(name):
            raise ConfigError(
                config.path,
                _line_of_plugin(config, name),
                1,
                f"is a version 1 configuration, and the full name of plugin {name!r} is not known "
                "for certain: rewrite the file as version 2",
            )
    by_full_name: dict[str, str] = {}
    for name in plugins:
        other = by_full_name.setdefault(_full_name(name), name)
        if other != name:
            raise ConfigError(
                config.path,
                _line_of_plugin(config, name),
                1,
                f"is a version 1 configuration that has plugin {other!r} again as {name!r}: "
                "merge the two",
            )

    draft = _Draft(config)
    # taken out, not renamed: edit would have to take it out then
    draft.drop("disabled_plugins", CRI_PLUGINS)
    for key in ("disabled_plugins", "required_plugins"):
        with draft.refusing():
            left = draft.toml.get(config.spelled((key,))) or []
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
    r"""^([ \t]*(?:\[{1,2}[ \t]*)?(["']?)plugins\2[ \t]*\.[ \t]*)(["']?)([\w-]+)\3""", re.MULTILINE
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
    if "." not in name and name.endswith("-service"):
        return f"io.containerd.service.v1.{name}"
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


_MOST_WORK = 1024 * 1024
"""Characters that a file's edits may look at: each looks at the whole of it."""


class _Draft:
    """A text under change."""

    def __init__(self, config: Config) -> None:
        self.path = config.path
        self._spelled = config.spelled
        self.toml = config._toml
        self.changes: list[Change] = []
        self.left = _MOST_WORK

    def replace(self, path: Path, key: str, value: list[str]) -> None:
        """Make *key* with *value* what stands in the place of *path*."""
        with self.refusing():
            path = self._spelled(path)
            old, other = self.toml.get(path), (*path[:-1], key)
            stated = self.toml.get(other)
            self.toml = self.toml.with_other_key(path, key, value)
            self.changes.append(Change(dotted(path), literal(old), None))
            if stated != value:
                before = None if stated is None else literal(stated)
                self.changes.append(Change(dotted(other), before, literal(value)))

    def put(self, path: Path, value: str | bool | int | list[str]) -> None:
        """Make *value* what stands at *path*, in the file's spelling."""
        self.put_spelled(self._spelled(path), value)

    def put_spelled(self, path: Path, value: str | bool | int | list[str]) -> None:
        """Make *value* what stands at exactly *path*."""
        with self.refusing():
            old = self.toml.get(path)
            if type(old) is not type(value) or old != value:
                self.left -= len(self.toml.text)
                if self.left < 0:
                    raise ConfigError(
                        self.path, 1, 1, "needs too many changes for its length: shorten it"
                    )
                self.toml = self.toml.with_value(path, value)
                stated = None if old is None else literal(old)
                self.changes.append(Change(dotted(path), stated, literal(value)))

    def drop(self, key: str, unwanted: frozenset[str]) -> None:
        """Take the *unwanted* entries out of the top-level array *key*."""
        path = self._spelled((key,))
        with self.refusing():
            old = self.toml.get(path) or []
            if not unwanted.isdisjoint(old):
                self.toml = self.toml.without_entries(path, unwanted)
                self.changes.append(Change(key, literal(old), literal(self.toml.get(path))))

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
