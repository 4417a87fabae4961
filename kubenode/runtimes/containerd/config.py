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

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from kubenode.files import go_keys
from kubenode.files.toml_text import Path, TooMuchError, loads
from kubenode.runtimes.containerd.document import Document
from kubenode.runtimes.containerd.handlers import Handler, handlers_of
from kubenode.runtimes.containerd.tables import SERVER, tables_of
from kubenode.runtimes.edit import ConfigError


@dataclass(frozen=True)
class Settings:
    """What a file states of the settings kubenode reads, None or empty where it does not."""

    handlers: Mapping[str, Handler]
    default_runtime_name: str | None
    pause_image: str | None
    snapshotter: str | None
    registry_config_path: str | None
    cni_bin_dir: str | None
    """The one directory of CNI plugins; 2.1 has ``cni_bin_dirs`` in its place."""
    cni_bin_dirs: list[str] | None
    cni_conf_dir: str | None
    cni_has_loopback: bool
    """Whether containerd does the loopback plugin's work itself."""
    legacy_systemd_cgroup: bool | None
    """``systemd_cgroup`` of version 2's plugin table, for io.containerd.runtime.v1.linux only."""
    disabled_plugins: tuple[str, ...]
    imports: tuple[str, ...]
    root: str | None
    """Where images and containers are."""
    states_cri: bool
    """Whether the file has a table of the CRI plugin at all."""

    @property
    def cni_directories(self) -> list[str]:
        """Where plugins are looked for, as ``config dump`` prints it."""
        return self.cni_bin_dirs or ([self.cni_bin_dir] if self.cni_bin_dir else [])


@dataclass(frozen=True)
class Config(Document):
    """A configuration file, or what ``containerd config dump`` prints."""

    @cached_property
    def settings(self) -> Settings:
        """What it states of the settings kubenode reads."""
        return _settings(self)


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


# Most hosts of a fleet say the same, and nobody changes a Config. Long ones are not kept.
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
            raise config.wrong(("version",), "is not a number such as 2")
        # containerd takes 0 for 1
        config = replace(config, version=stated or 1, states_version=True)
    # what it states has its type, also what nobody reads
    _ = config.settings
    config.entries("required_plugins")
    config.get(("state",), str)
    config.first(_address_paths(config), str)
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


def _settings(config: Config) -> Settings:
    tables = tables_of(config.version)
    legacy = [(*table.plugin, "systemd_cgroup") for table in tables if table.has_legacy_handlers]
    plugins = {path[:2] for table in tables for path in (table.plugin, table.pause_image)}
    return Settings(
        handlers={handler.name: handler for handler in handlers_of(config)},
        default_runtime_name=config.first(
            [(*table.containerd, "default_runtime_name") for table in tables], str
        ),
        pause_image=config.first([table.pause_image for table in tables], str),
        snapshotter=config.first([table.snapshotter for table in tables], str),
        registry_config_path=config.first(
            [(*table.registry, "config_path") for table in tables], str
        ),
        cni_bin_dir=config.first([(*table.cni, "bin_dir") for table in tables], str),
        cni_bin_dirs=_paths(config, [(*table.cni, "bin_dirs") for table in tables]),
        cni_has_loopback=any(
            config.get((*table.cni, "use_internal_loopback"), bool) for table in tables
        ),
        cni_conf_dir=config.first([(*table.cni, "conf_dir") for table in tables], str),
        legacy_systemd_cgroup=config.first(legacy, bool),
        disabled_plugins=config.entries("disabled_plugins"),
        imports=config.entries("imports"),
        root=config.first([("root",)], str),
        states_cri=any(config.get(path, dict) is not None for path in plugins),
    )


def _address_paths(config: Config) -> list[Path]:
    own: list[Path] = [("plugins", SERVER, "address")] if config.version >= 4 else []
    return [*own, ("grpc", "address")]


def _paths(config: Config, paths: Iterable[Path]) -> list[str] | None:
    found = None
    for path in paths:
        values = config.get(path, list)
        if values is not None:
            if not all(isinstance(value, str) for value in values):
                raise config.wrong(path, "is not an array of strings")
            found = found or values
    return found
