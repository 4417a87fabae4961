"""Runtime handlers as a setting states them: nvidia, crun, gVisor's runsc, kata, and any other.

A pod asks for one by a RuntimeClass of its name. The keys are those of containerd's table
``runtimes.NAME``: what its docs, NVIDIA's, gVisor's and kata's have there.

Sources: containerd, docs/cri/config.md; Kubernetes, RuntimeClass; gVisor, containerd quick start;
kata-containers, docs/how-to/containerd-kata.md; nvidia-container-toolkit, ``nvidia-ctk runtime
configure``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubenode.files.toml_text import Path
from kubenode.runtimes import known_keys
from kubenode.runtimes.containerd.document import DRIVER
from kubenode.runtimes.containerd.handlers import DEFAULT_TYPE, LEGACY_TYPE, unrecognised
from kubenode.runtimes.containerd.tables import VERSION_2

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TYPE = re.compile(r"io\.containerd\.[\w.-]+\.v\d+|/[\w./@+-]+", re.ASCII)
_PROGRAM = re.compile(r"[\w.@+-]+|/[\w./@+-]+", re.ASCII)
_FILE = re.compile(r"/[\w./@+-]+", re.ASCII)

_KEYS: Mapping[str, type] = {
    "base_runtime_spec": str,
    "cgroup_writable": bool,
    "cni_conf_dir": str,
    "cni_max_conf_num": int,
    "container_annotations": list,
    "io_type": str,
    "options": dict,
    "pod_annotations": list,
    "privileged_without_host_devices": bool,
    "privileged_without_host_devices_all_devices_allowed": bool,
    "runtime_path": str,
    "runtime_type": str,
    "sandboxer": str,
    "snapshotter": str,
}
"""Of a handler's table, by ``config dump`` of 1.6.20 to 2.4. What a host's own release does not
know is found there: it is not in its ``config dump`` then."""

_OPTIONS_OF_RUNC: Mapping[str, type] = {
    "BinaryName": str,
    "CriuImagePath": str,
    "CriuPath": str,
    "CriuWorkPath": str,
    "IoGid": int,
    "IoUid": int,
    "NoNewKeyring": bool,
    "NoPivotRoot": bool,
    "Root": str,
    "ShimCgroup": str,
    DRIVER: bool,
}
_OPTIONS_OF_OTHERS: Mapping[str, type] = {
    "BinaryName": str,
    "ConfigBody": str,
    "ConfigPath": str,
    DRIVER: bool,
    "TypeUrl": str,
}
"""containerd has three for every other shim (``runtimeoptions.v1``); some are like runc's."""


_RUNSC_TYPE = "io.containerd.runsc.v1"

_INSTALL: Mapping[str, str] = {
    "nvidia-container-runtime": "NVIDIA's package nvidia-container-toolkit",
    "nvidia-container-runtime.cdi": "NVIDIA's package nvidia-container-toolkit",
    "nvidia-container-runtime.legacy": "NVIDIA's package nvidia-container-toolkit",
    "crun": "the package crun",
    "runc": "the package runc",
    "youki": "youki",
    "runsc": "gVisor's package runsc",
    "containerd-shim-runsc-v1": "gVisor's package runsc (it has containerd-shim-runsc-v1 too)",
    "containerd-shim-kata-v2": "kata-containers (kata-deploy, or its release's archive)",
}


@dataclass(frozen=True)
class Need:
    """Something on the host that a handler needs.

    + what: a program's name, or an absolute path
    + is_program: whether it is run; a file is read
    """

    what: str
    is_program: bool = True

    def missing(self) -> str:
        """That it is not there, and what brings it."""
        if not self.is_program:
            return f"the file {self.what} does not exist"
        name = posixpath.basename(self.what)
        brings = _INSTALL.get(name)
        if brings is None and name.startswith("containerd-shim-kata-"):
            brings = _INSTALL["containerd-shim-kata-v2"]
        return f"{self.what} is not on this host: install {brings or 'it'} first"


def check_handlers(handlers: object) -> Mapping[str, Mapping[str, Any] | None]:
    """*handlers* itself where it can be configured, ValueError if not.

    + handlers: by name, the keys of its table in containerd's files; None removes a handler

    ``runtime_type`` is wanted for each but ``runc``, which has one.
    """
    if not isinstance(handlers, Mapping):
        raise ValueError("handlers is a dict by the handler's name")
    for name, settings in handlers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"handler {name!r}: a name has small letters, digits and -, as a RuntimeClass "
                "names it"
            )
        if settings is None and name == "runc":
            raise ValueError("handler 'runc' is containerd's own, and cannot be removed")
        if settings is not None:
            try:
                _check(name, settings)
            except ValueError as error:
                raise ValueError(f"handler {name!r}: {error}") from None
    return handlers


def check_name(name: object) -> str:
    """*name* itself where it is one of a handler, ValueError if not.

    + name: such as ``nvidia``
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"default_handler {name!r} is no handler's name, such as nvidia")
    return name


def _check(name: str, settings: object) -> None:
    if not isinstance(settings, Mapping):
        raise ValueError("its settings are a dict, or None, which removes it")
    known_keys.check(settings, _KEYS)
    kind = settings.get("runtime_type")
    if kind is None and name != "runc":
        raise ValueError(f'it has no runtime_type, such as "{DEFAULT_TYPE}"')
    if kind == LEGACY_TYPE or kind == "io.containerd.runc.v1":
        raise ValueError(f"runtime_type {kind} is gone in containerd 2.0: write {DEFAULT_TYPE}")
    if kind is not None and not _TYPE.fullmatch(kind):
        raise ValueError(
            f'runtime_type {kind!r}: such as "{DEFAULT_TYPE}", or the absolute path of a shim'
        )
    if kind is not None and re.fullmatch(r"/(.*/)?containerd-shim-runc-v\d+", kind):
        raise ValueError(unrecognised(kind))
    options = settings.get("options", {})
    known_keys.check(
        options, _OPTIONS_OF_RUNC if _is_runc(kind) else _OPTIONS_OF_OTHERS, "options."
    )
    for key, value in (
        ("runtime_path", settings.get("runtime_path")),
        ("base_runtime_spec", settings.get("base_runtime_spec")),
        ("options.ConfigPath", options.get("ConfigPath")),
    ):
        if value is not None and not _FILE.fullmatch(value):
            raise ValueError(f"{key} {value!r} is no absolute path")
    program = options.get("BinaryName")
    if program is not None and not _PROGRAM.fullmatch(program):
        raise ValueError(f"options.BinaryName {program!r} is no program's name or absolute path")
    for key in ("pod_annotations", "container_annotations"):
        if not all(isinstance(each, str) and each.isprintable() for each in settings.get(key, [])):
            raise ValueError(f"{key} is a list of texts")


def _is_runc(runtime_type: str | None) -> bool:
    return runtime_type is None or runtime_type == DEFAULT_TYPE


def wrong_driver(handlers: Mapping[str, Mapping[str, Any] | None], systemd: bool) -> str | None:
    """Which handler states another cgroup driver than the node's, None when none does.

    + handlers: as :func:`check_handlers` takes them
    + systemd: whether the node's is systemd
    """
    for name, settings in handlers.items():
        stated = (settings or {}).get("options", {}).get(DRIVER)
        if stated not in (None, systemd):
            return (
                f"handler {name!r} has {DRIVER} {stated}, and cgroup_driver is "
                f"{'systemd' if systemd else 'cgroupfs'} (kubenode_cgroup_driver): it is set for "
                "all of runc's kind, leave it out"
            )
    return None


def values_of(
    handlers: Mapping[str, Mapping[str, Any] | None], default: str | None
) -> dict[Path, Any]:
    """The settings of handlers by their place in a version 2 file; None removes what is there.

    + handlers: as :func:`check_handlers` takes them
    + default: the handler of pods that ask for none; None leaves what is there

    gVisor's shim reads its ``ConfigPath`` only with the ``TypeUrl`` of its options: it gets that.
    """
    values: dict[Path, Any] = {}
    for name, settings in handlers.items():
        table: Path = (*VERSION_2.containerd, "runtimes", name)
        if settings is None:
            values[table] = None
            continue
        # the type first: it is what people look for
        for key in sorted(settings, key=lambda each: (each != "runtime_type", each)):
            if key != "options":
                values[(*table, key)] = settings[key]
        options = dict(settings.get("options", {}))
        if settings.get("runtime_type") == _RUNSC_TYPE and "ConfigPath" in options:
            options = {"TypeUrl": f"{_RUNSC_TYPE}.options", **options}
        for key, value in options.items():
            values[(*table, "options", key)] = value
    if default is not None:
        values[(*VERSION_2.containerd, "default_runtime_name")] = default
    return values


def needs_of(settings: Mapping[str, Any] | None) -> Sequence[Need]:
    """What a handler needs on the host.

    + settings: of one handler, as :func:`check_handlers` takes them; None is one that goes
    """
    if settings is None:
        return ()
    options = settings.get("options", {})
    needs = []
    if shim := settings.get("runtime_path") or shim_of(settings.get("runtime_type")):
        needs.append(Need(shim))
    if "BinaryName" in options:
        needs.append(Need(options["BinaryName"]))
    for path in (options.get("ConfigPath"), settings.get("base_runtime_spec")):
        if path:
            needs.append(Need(path, is_program=False))
    return needs


def shim_of(runtime_type: str | None) -> str | None:
    """The program that containerd starts for a runtime_type, None where it states none.

    + runtime_type: such as ``io.containerd.kata.v2``, or an absolute path

    The last two parts are its name (``BinaryName`` of containerd's ``pkg/shim``): of
    ``io.containerd.runc.v2`` it is ``containerd-shim-runc-v2``.
    """
    if not runtime_type or runtime_type.startswith("/"):
        return runtime_type or None
    name, version = runtime_type.split(".")[-2:]
    return f"containerd-shim-{name}-{version}"
