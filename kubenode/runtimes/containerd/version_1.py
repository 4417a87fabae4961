"""A version 1 file as version 2."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping

from kubenode.files.toml_text import TomlText, UnsafeEditError, dotted
from kubenode.runtimes.containerd.document import Document
from kubenode.runtimes.containerd.draft import Draft
from kubenode.runtimes.containerd.tables import CRI, CRI_PLUGINS
from kubenode.runtimes.edit import ConfigError, Edit, SettingChange

_VERSION_1_PLUGINS: Mapping[str, str] = {
    "cri": CRI,
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


def _line_of_plugin(config: Document, name: str) -> int:
    if name in (config.get(("plugins",), dict) or {}):
        return config.toml.line_of(("plugins", name))
    for key in ("required_plugins", "disabled_plugins"):
        entries = config.entries(key)
        if name in entries:
            return config.line_of((key, entries.index(name)))
    return 1


def upgrade_version_1(config: Document) -> Edit:
    """
    A version 1 file as version 2.

    + config: a file of version 1

    ConfigError names the plugin whose name in version 2 is not known for certain, and its line:
    ``content`` of version 1 is two plugins'.

    Version 2 has the same keys, under the plugins' full names: ``version = 2`` is added on top and
    the names are replaced where they stand. ``containerd config migrate`` is no substitute: it
    loses comments, prints every default and the imports, and before 2.3 it loses CRI's settings.
    """
    plugins = config.get(("plugins",), dict) or {}
    required, disabled = config.entries("required_plugins"), config.entries("disabled_plugins")
    names = [*plugins, *required, *disabled]
    _refuse_unclear(config, plugins, names)

    draft = Draft(config)
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
            draft.changes.append(SettingChange("plugin table", old, new))
    draft.put(("version",), 2)
    return draft.finish()


def _refuse_unclear(config: Document, plugins: Iterable[str], names: Iterable[str]) -> None:
    """ConfigError for a plugin whose full name is not known, or that is there twice."""
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
