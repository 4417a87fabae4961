"""Runtime handlers of CRI-O as a setting states them: gVisor's runsc, kata, youki, and any other.

A pod asks for one by a RuntimeClass of its name. The keys are those of CRI-O's table
``[crio.runtime.runtimes.NAME]``. A table of a later file replaces all that earlier files say of
that handler, so that a table of kubenode's has what they say too.

Sources: crio.conf(5); CRI-O, ``RuntimeHandler`` in ``pkg/config/config.go`` (1.35 and 1.36).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kubenode.files.toml_text import Path
from kubenode.runtimes import known_keys
from kubenode.runtimes.crio.config import HANDLERS, CrioConfig

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_FILE = re.compile(r"/[\w./@+-]+", re.ASCII)

_KEYS: Mapping[str, type] = {
    "allowed_annotations": list,
    "container_create_timeout": int,
    "container_min_memory": str,
    "default_annotations": dict,
    "exec_cpu_affinity": str,
    "inherit_default_runtime": bool,
    "monitor_cgroup": str,
    "monitor_env": list,
    "monitor_exec_cgroup": str,
    "monitor_path": str,
    "no_sync_log": bool,
    "platform_runtime_paths": dict,
    "privileged_without_host_devices": bool,
    "runtime_config_path": str,
    "runtime_path": str,
    "runtime_pull_image": bool,
    "runtime_root": str,
    "runtime_type": str,
    "seccomp_profile": str,
    "stream_websockets": bool,
}
_PATHS = ("monitor_path", "runtime_config_path", "runtime_path", "runtime_root", "seccomp_profile")
_TYPES = ("oci", "vm", "pod")


def check_handlers(handlers: object) -> Mapping[str, Mapping[str, Any]]:
    """*handlers* itself where it can be configured, ValueError if not.

    + handlers: by name, the keys of its table in CRI-O's files

    CRI-O ignores a handler that it cannot use, with a line in its log: so ``runtime_path`` is
    wanted where the handler does not inherit it, rather than a search in CRI-O's ``PATH``.

    **Example:**

    .. code:: python

        check_handlers({"runsc": {"runtime_path": "/usr/local/bin/runsc"}})
    """
    if not isinstance(handlers, Mapping):
        raise ValueError("handlers is a dict by the handler's name")
    for name, settings in handlers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"handler {name!r}: a name has small letters, digits and -, as a RuntimeClass "
                "names it"
            )
        try:
            _check(settings)
        except ValueError as error:
            raise ValueError(f"handler {name!r}: {error}") from None
    return handlers


def _check(settings: object) -> None:
    if not isinstance(settings, Mapping):
        raise ValueError("its settings are a dict")
    known_keys.check(settings, _KEYS)
    for key, value in settings.items():
        texts: Iterable[Any] = ()
        if isinstance(value, list):
            texts = value
        elif isinstance(value, dict):
            texts = value.values()
        if not all(isinstance(each, str) and each.isprintable() for each in texts):
            raise ValueError(f"{key} has texts alone")
        if key in _PATHS and not _FILE.fullmatch(str(value)):
            raise ValueError(f"{key} {value!r} is no absolute path")
    if settings.get("runtime_type", "oci") not in _TYPES:
        raise ValueError(f"runtime_type is {', '.join(_TYPES)}, not {settings['runtime_type']!r}")
    if "runtime_path" not in settings and not settings.get("inherit_default_runtime"):
        raise ValueError("it has no runtime_path, such as /usr/local/bin/runsc")
    if "runtime_config_path" in settings and settings.get("runtime_type") != "vm":
        raise ValueError("runtime_config_path is for runtime_type vm alone")


def values_of(now: CrioConfig, handlers: Mapping[str, Mapping[str, Any]]) -> dict[Path, Any]:
    """The settings that kubenode's file states so that handlers are as wanted, by their path.

    + now: what the files say
    + handlers: as :func:`check_handlers` takes them

    Empty where they are as wanted. What is there of a handler, and is not stated, is kept.
    """
    values: dict[Path, Any] = {}
    for name, wanted in handlers.items():
        there = {key: setting.value for key, setting in now.handlers.get(name, {}).items()}
        if any(key not in there or there[key] != value for key, value in wanted.items()):
            for key, value in {**there, **wanted}.items():
                values[(*HANDLERS, name, key)] = value
    return values


def overruled(then: CrioConfig, values: Mapping[Path, Any]) -> str | None:
    """The place of a file that says otherwise of a handler and is read later; None for none.

    + then: what the files say with kubenode's
    + values: of :func:`values_of`
    """
    for path, value in values.items():
        *_, name, key = path
        setting = then.handlers.get(str(name), {}).get(str(key))
        if setting is None or setting.value != value:
            place = then.defined.get(str(name))
            return f"{place} has the handler {name!r} too" if place else f"no file has {name!r}"
    return None
