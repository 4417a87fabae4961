"""Values that are merged into containerd's files where each counts; all else to the letter.

Which file counts for a value: the one that must have all of CRI's settings, see
:func:`kubenode.runtimes.containerd.imports.in_force`, and the same for every other plugin. A file
that states a value already has it changed, since it may win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubenode.files.toml_text import Path
from kubenode.runtimes.containerd.config import Config
from kubenode.runtimes.containerd.draft import Draft
from kubenode.runtimes.containerd.fragment import placed
from kubenode.runtimes.containerd.places import place_in
from kubenode.runtimes.containerd.releases import Release
from kubenode.runtimes.edit import Edit

_REPLACED_WHOLE = frozenset({"proxy_plugins", "stream_processors"})
"""Tables of tables of which a later file's replaces an earlier one's whole, in every release
(``mergeConfig`` of containerd's ``cmd/containerd/server/config/config.go``)."""


def merged(
    config: Config, values: Mapping[Path, Any], loaded: Sequence[Config], release: Release
) -> Edit:
    """
    The file with the values that belong into it, and all else to the letter.

    + config: a file of version 2, 3 or 4
    + values: by their place in version 2; None removes what is there
    + loaded: the files that containerd loads, in its order
    + release: containerd's

    ConfigError: the file's version has no place for a value, or it cannot be edited safely.
    """
    draft = Draft(config)
    for path, value in placed(values, config.version, config.path, config.version_line).items():
        if value is None:
            draft.remove(path)
        elif _is_stated(config, path) or _home(path, loaded, release).path == config.path:
            draft.put(path, value)
    return draft.finish()


def _is_stated(config: Config, path: Path) -> bool:
    return config.toml.get(config.spelled(path)) is not None


def _home(path: Path, loaded: Sequence[Config], release: Release) -> Config:
    """The file that has to state a value."""
    replaces = path[0] == "plugins" and release.drop_in_replaces_plugin
    if len(path) > 1 and (replaces or path[0] in _REPLACED_WHOLE):
        stating = [config for config in loaded if _is_stated(config, path[:2])]
        return stating[-1] if stating else loaded[0]
    return loaded[0]


def must_be_known(values: Mapping[Path, Any], release: Release) -> list[Path]:
    """What ``config dump`` must have once all is in place.

    + values: by their place in version 2
    + release: containerd's, which prints its own highest version

    A value that is empty, zero or False may be left out there, and one that goes is not there.
    """
    stated = {path: value for path, value in values.items() if value not in _MAY_BE_LEFT_OUT}
    return [place_in(path, release.config_version) or path for path in stated]


_MAY_BE_LEFT_OUT: tuple[Any, ...] = (None, "", 0, [], {})
