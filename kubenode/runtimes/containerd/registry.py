"""Settings of registries that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubenode.files.toml_text import Path
from kubenode.runtimes.containerd.document import Document
from kubenode.runtimes.containerd.releases import Release
from kubenode.runtimes.containerd.tables import tables_of
from kubenode.runtimes.edit import ConfigError


def refuse_mirrors(config: Document) -> None:
    """ConfigError where a registry directory that is yet to be stated would meet older settings."""
    for path in _older_registries(config):
        reason = "and config_path exclude each other: move it to hosts.toml files first"
        raise config.wrong(path, reason)


def _older_registries(config: Document, tls: bool = True) -> Iterator[Path]:
    """Registry settings that containerd does not take beside ``config_path``."""
    for tables in tables_of(config.version):
        if config.get((*tables.registry, "mirrors"), dict):
            yield (*tables.registry, "mirrors")
        for name, registry in (config.get((*tables.registry, "configs"), dict) or {}).items():
            if tls and isinstance(registry, dict) and "tls" in registry:
                yield (*tables.registry, "configs", name, "tls")


def registry_conflict(files: Sequence[Document], release: Release) -> ConfigError | None:
    """Registry settings with which CRI does not start, None when there are none.

    + files: those whose CRI settings count, see
      :func:`kubenode.runtimes.containerd.imports.in_force`
    + release: containerd's

    ``registry.mirrors`` with an entry beside a ``config_path`` that is not empty; before 2.0 also
    ``registry.configs.*.tls``, even an empty one. Tried on containerd 1.6.20, 1.7.24 and 2.1.9;
    ``configs.*.auth`` and ``auths`` do no harm.

    Source: containerd, ``ValidatePluginConfig`` and ``ValidateImageConfig`` of its CRI config.
    """
    directory: tuple[Document, Path, str] | None = None
    for config in files:
        for tables in tables_of(config.version):
            path = (*tables.registry, "config_path")
            stated = config.get(path, str)
            if stated is not None:
                directory = (config, path, stated) if stated else None
    if directory is None:
        return None
    stating, path, folder = directory
    place = f"{stating.path}:{stating.line_of(path)}"
    for config in files:
        for older in _older_registries(config, tls=release.drop_in_replaces_plugin):
            return config.wrong(
                older,
                f"and config_path ({place}) exclude each other, CRI does not start with both: move "
                f"it to hosts.toml files in {folder}, or remove one of the two",
            )
    return None
