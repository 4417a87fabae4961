"""kubelet's configuration: its files and the flags that win over them.

Sources: the Kubernetes pages "Configuring a cgroup driver" and "Set Kubelet parameters via a
configuration file": drop-ins are applied over the file in order of their names, flags over all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubenode.files import go_yaml
from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet import command_line
from kubenode.kubelet.command_line import Flag
from kubenode.linux.cgroups import Statement, statement


def kubelet_driver(
    files: Iterable[tuple[str, str]], flag: str | None, stated_in: tuple[str, str | None]
) -> Statement | None:
    """kubelet's statement of a cgroup driver: its flag over drop-ins over the configuration file.

    + files: path and text of the configuration file and then its drop-ins in order
    + flag: the value of ``--cgroup-driver``, None when it is not given
    + stated_in: where the flag is stated, and the text of that file when it is one

    None when none states one: kubelet then takes cgroupfs, or asks the runtime
    (KubeletCgroupDriverFromCRI, from 1.34 on by default). CannotTell when a file cannot be
    understood.
    """
    if flag is not None:
        return statement(flag, *stated_in, r"^[^#\n]*--cgroup[-_]driver")
    stated = None
    for path, text, settings in _yaml(files):
        value = settings.get("cgroupDriver")
        if value not in (None, ""):
            stated = statement(value, path, text, r"^[^#\n]*\bcgroupDriver\b")
    return stated


def kubelet_settings(files: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """kubelet's top-level settings: drop-ins over the configuration file.

    + files: path and text of the configuration file and then its drop-ins in order

    A setting that is null is none: the default counts. CannotTell when one of the files is not a
    mapping in YAML, see :mod:`kubenode.files.go_yaml`.
    """
    merged: dict[str, Any] = {}
    for _, _, settings in _yaml(files):
        for name, value in settings.items():
            old = merged.pop(name, None)
            if isinstance(old, dict) and isinstance(value, dict):
                value = {**old, **value}
            if value is not None:
                merged[name] = value
    return merged


def runtime_endpoint(flags: Mapping[str, Flag], settings: Mapping[str, Any]) -> str | None:
    """The runtime's endpoint that kubelet is told, such as ``unix:///run/crio/crio.sock``.

    + flags: kubelet's, by name
    + settings: those of its files

    None when it is told none.
    """
    flag = flags.get("container-runtime-endpoint")
    endpoint = settings.get("containerRuntimeEndpoint") if flag is None else flag.value
    return endpoint if isinstance(endpoint, str) and endpoint else None


def fail_swap_on(flags: Mapping[str, Flag], settings: Mapping[str, Any]) -> bool | None:
    """Whether kubelet refuses to start where swap is on, as it does by default.

    + flags: kubelet's, by name
    + settings: those of its files

    None when what states it is no truth value.
    """
    flag = flags.get("fail-swap-on")
    if flag is not None:
        return command_line.truth(flag)
    return boolean(settings.get("failSwapOn", True))


def swap_behavior(settings: Mapping[str, Any]) -> str | None:
    """``memorySwap.swapBehavior`` of kubelet's files, such as ``LimitedSwap``."""
    memory_swap = settings.get("memorySwap")
    behavior = memory_swap.get("swapBehavior") if isinstance(memory_swap, dict) else None
    return behavior if isinstance(behavior, str) else None


def boolean(value: object) -> bool | None:
    """A setting's truth value; None when it is none: kubelet does not start with it in quotes."""
    return value if isinstance(value, bool) else None


def _yaml(files: Iterable[tuple[str, str]]) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, text and settings of each file."""
    found = []
    left = go_yaml.MOST_CHARACTERS
    for path, text in files:
        left -= len(text)
        if left < 0:
            most = go_yaml.MOST_CHARACTERS // 1024
            raise CannotTell(f"{path}: kubelet's files are longer than {most} KiB, and not read")
        try:
            found.append((path, text, go_yaml.mapping(text)))
        except go_yaml.YamlError as error:
            raise CannotTell(f"{path}: {error}") from error
    return found
