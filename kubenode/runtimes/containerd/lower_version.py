"""A file of configuration version 4 or 3 as one of a lower version, for a release that is older."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kubenode.files.toml_text import Path, TomlText, UnsafeEditError, dotted
from kubenode.runtimes.containerd.document import Document
from kubenode.runtimes.containerd.draft import Draft
from kubenode.runtimes.containerd.tables import CRI, IMAGES, RUNTIME
from kubenode.runtimes.edit import Edit, SettingChange

HIGHEST_TO_LOWER = 4
"""The highest configuration version that is known."""

_SERVER = "io.containerd.server.v1."
_METRICS = "io.containerd.metrics.v1.grpc-prometheus"

MOVED_FROM_4: Mapping[Path, Path] = {
    **{
        ("plugins", f"{_SERVER}grpc", key): ("grpc", key)
        for key in ("address", "uid", "gid", "max_recv_message_size", "max_send_message_size")
    },
    ("plugins", f"{_SERVER}grpc-tcp", "address"): ("grpc", "tcp_address"),
    **{
        ("plugins", f"{_SERVER}grpc-tcp", key): ("grpc", f"tcp_{key}")
        for key in ("tls_ca", "tls_cert", "tls_key", "tls_common_name")
    },
    **{("plugins", f"{_SERVER}ttrpc", key): ("ttrpc", key) for key in ("address", "uid", "gid")},
    **{("plugins", f"{_SERVER}debug", key): ("debug", key) for key in ("address", "uid", "gid")},
    ("plugins", f"{_SERVER}metrics", "address"): ("metrics", "address"),
    ("plugins", _METRICS, "grpc_histogram"): ("metrics", "grpc_histogram"),
}
"""``serviceMigrate`` of containerd's ``cmd/containerd/server/config/config.go``, backwards."""

_OF_IMAGES = (
    "image_pull_progress_timeout",
    "image_pull_with_sync_fs",
    "max_concurrent_downloads",
    "stats_collect_period",
)
MOVED_FROM_3: Mapping[Path, Path] = {
    ("plugins", IMAGES, "pinned_images", "sandbox"): ("plugins", CRI, "sandbox_image"),
    **{
        ("plugins", IMAGES, key): ("plugins", CRI, "containerd", key)
        for key in ("snapshotter", "disable_snapshot_annotations", "discard_unpacked_layers")
    },
    **{("plugins", IMAGES, key): ("plugins", CRI, key) for key in _OF_IMAGES},
}

SHARED_BY_IMAGES = ("registry", "image_decryption")
"""Tables of version 3's image plugin that version 2's CRI plugin has too, with the same keys."""

_NEW_IN_3 = frozenset(
    {
        "io.containerd.differ.v1.erofs",
        "io.containerd.image-verifier.v1.bindir",
        "io.containerd.monitor.container.v1.restart",
        "io.containerd.monitor.task.v1.cgroups",
        "io.containerd.mount-handler.v1.erofs",
        "io.containerd.shim.v1.manager",
        "io.containerd.snapshotter.v1.erofs",
    }
)
"""Plugins that 1.7 does not have: by ``config default`` of 1.7.24, 2.1.9 and 2.2.7."""

_OLD_KEYS: Mapping[Path, frozenset[str]] = {
    (): frozenset(
        {
            "cdi_spec_dirs",
            "cni",
            "containerd",
            "device_ownership_from_security_context",
            "disable_apparmor",
            "disable_hugetlb_controller",
            "disable_proc_mount",
            "drain_exec_sync_io_timeout",
            "enable_cdi",
            "enable_selinux",
            "enable_unprivileged_icmp",
            "enable_unprivileged_ports",
            "ignore_deprecation_warnings",
            "ignore_image_defined_volumes",
            "max_container_log_line_size",
            "netns_mounts_under_state_dir",
            "restrict_oom_score_adj",
            "selinux_category_range",
            "tolerate_missing_hugetlb_controller",
            "unset_seccomp_profile",
        }
    ),
    ("cni",): frozenset(
        {
            "bin_dir",
            "bin_dirs",
            "conf_dir",
            "conf_template",
            "ip_pref",
            "max_conf_num",
            "setup_serially",
        }
    ),
    ("containerd",): frozenset(
        {
            "default_runtime_name",
            "ignore_blockio_not_enabled_errors",
            "ignore_rdt_not_enabled_errors",
            "runtimes",
        }
    ),
    ("containerd", "runtimes", "*"): frozenset(
        {
            "base_runtime_spec",
            "cni_conf_dir",
            "cni_max_conf_num",
            "container_annotations",
            "options",
            "pod_annotations",
            "privileged_without_host_devices",
            "privileged_without_host_devices_all_devices_allowed",
            "runtime_path",
            "runtime_type",
            "snapshotter",
        }
    ),
}
"""Keys of version 3's runtime plugin that 1.7.24 has in its CRI plugin, by table; ``bin_dirs``
becomes ``bin_dir`` there."""


def lowered(config: Document, version: int) -> Edit:
    """
    A file as one of a lower configuration version, all else in it to the letter.

    + config: a file of version 4 or 3
    + version: the one it becomes, 3 or 2, one below its own

    Version 3 has CRI's settings where version 4 has them; the server's are not plugins there.
    Version 2 has one CRI plugin where version 3 has two. Of several ``bin_dirs`` the first becomes
    ``bin_dir``. containerd itself converts upwards only.

    ConfigError names the first setting that has no place there, and its line: a plugin or key that
    the older releases do not have.

    **Example:**

    .. code:: python

        lowered(parse(b"version = 4\\n", path), 3).text  # "version = 3\\n"
    """
    if (config.version, version) not in ((4, 3), (3, 2)):
        raise ValueError(f"version {config.version} cannot become {version}")
    moved = MOVED_FROM_4 if version == 3 else MOVED_FROM_3
    for path in _new_settings(config, version, moved):
        raise config.wrong(
            path,
            f"has no place in configuration version {version}, and the release does not take "
            f"{config.version}: remove it, or move the file away and kubenode begins one",
        )
    draft = Draft(config)
    if config.states_version:
        draft.put(("version",), version)
    if version == 2:
        _one_cri(draft, config)
    for old, new in moved.items():
        spelled = config.spelled(old)
        if (value := draft.toml.get(spelled)) is not None:
            draft.move(spelled, new, value)
    return draft.finish()


def _new_settings(config: Document, version: int, moved: Mapping[Path, Path]) -> Iterator[Path]:
    """What the file states and the lower version has no place for."""
    plugins = config.get(("plugins",), dict) or {}
    places = {tuple(config.spelled(path)) for path in moved}
    for name in plugins:
        own = config.get(("plugins", name), dict) or {}
        paths: Iterator[Path] = (("plugins", name, key) for key in own)
        if version == 3 and (name.startswith(_SERVER) or name == _METRICS):
            yield from (path for path in paths if path not in places)
        elif version == 2 and name in _NEW_IN_3:
            yield from paths
        elif version == 2 and name == RUNTIME:
            yield from _new_of_runtime(config)
        elif version == 2 and name == IMAGES:
            yield from _new_of_images(own, places)


def _new_of_images(own: Mapping[str, Any], places: set[Path]) -> Iterator[Path]:
    for key, value in own.items():
        path: Path = ("plugins", IMAGES, key)
        if key in SHARED_BY_IMAGES or path in places:
            continue
        if not isinstance(value, dict):
            yield path
            continue
        yield from (inner for each in value if (inner := (*path, each)) not in places)


def has_place_in_2(path: Path) -> bool:
    """Whether version 2's CRI plugin has what version 3 has in its runtime plugin.

    + path: of a setting of the runtime plugin
    """
    table: Path = path[2:-1]
    if table[:2] == ("containerd", "runtimes") and len(table) > 2:
        # options are handed to the shim as they are
        table, key = ("containerd", "runtimes", "*"), path[5]
    elif table in _OLD_KEYS:
        key = path[-1]
    else:
        table, key = (), path[2]
    return str(key).lower() in _OLD_KEYS[table]


def _new_of_runtime(config: Document) -> Iterator[Path]:
    plugin: Path = ("plugins", RUNTIME)
    handlers = config.get((*plugin, "containerd", "runtimes"), dict) or {}
    tables = [
        *(table for table in _OLD_KEYS if "*" not in table),
        *(("containerd", "runtimes", name) for name in handlers),
    ]
    for table in tables:
        known = _OLD_KEYS.get(table, _OLD_KEYS[("containerd", "runtimes", "*")])
        for key in config.get((*plugin, *table), dict) or {}:
            if key.lower() not in known:
                yield (*plugin, *table, key)


def _one_cri(draft: Draft, config: Document) -> None:
    """Version 3's runtime plugin, and what its image plugin shares with version 2's one, under the
    name of that one."""
    with draft.refusing():
        new = _with_one_name(draft.toml)
    if new is not draft.toml:
        draft.toml = new
        draft.changes.append(
            SettingChange("plugin tables", dotted(("plugins", RUNTIME)), dotted(("plugins", CRI)))
        )
    stated = config.get(("plugins", RUNTIME, "cni", "bin_dirs"), list)
    if stated:
        spelled = config.spelled(("plugins", RUNTIME, "cni", "bin_dirs"))
        table: Path = ("plugins", CRI, *spelled[2:-1])
        draft.move((*table, spelled[-1]), (*table, "bin_dir"), str(stated[0]))


_SPLIT_PLUGIN = re.compile(
    rf"""
      ^(?P<before>[ \t]*(?:\[{{1,2}}[ \t]*)?(["']?)plugins\2[ \t]*\.[ \t]*)
      (?P<quote>["'])(?:
        {re.escape(RUNTIME)}(?P=quote)
        | {re.escape(IMAGES)}(?P=quote)(?=[ \t]*\.[ \t]*["']?(?:{"|".join(SHARED_BY_IMAGES)})\b)
      )
    """,
    re.MULTILINE | re.VERBOSE,
)


def _with_one_name(toml: TomlText) -> TomlText:
    intended = copy.deepcopy(toml.data)
    plugins = intended.get("plugins", {})
    images = plugins.get(IMAGES, {})
    moved = [
        {key: images.pop(key) for key in SHARED_BY_IMAGES if key in images},
        plugins.pop(RUNTIME, {}),
    ]
    if not any(moved):
        return toml
    for each in moved:
        _merge(plugins.setdefault(CRI, {}), each)
    try:
        text = _SPLIT_PLUGIN.sub(rf"\g<before>\g<quote>{CRI}\g<quote>", toml.text)
        new = TomlText(text).without_header(("plugins", IMAGES))
        if not plugins.get(IMAGES, True):
            del plugins[IMAGES]
        if new.data == intended:
            return new
    except ValueError:
        pass
    raise UnsafeEditError(("plugins",))


def _merge(table: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        old = table.setdefault(key, value)
        if old is not value and isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        elif old is not value:
            raise UnsafeEditError(("plugins", CRI, key))
