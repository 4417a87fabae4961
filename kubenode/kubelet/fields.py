"""Fields of KubeletConfiguration that must agree with the node, and what kubelet says of them.

Sources: ``pkg/kubelet/apis/config/validation/validation.go`` and ``v1beta1/defaults.go`` of
Kubernetes 1.36, ``cmd/kubelet/app/options/options.go`` for the flags that win over them, and
``pkg/kubelet/logs/container_log_manager.go``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Kind = Literal["truth", "number", "text", "duration", "list", "mapping"]


@dataclass(frozen=True)
class Field:
    """One field.

    + kind: what its value is
    + flag: the flag that wins over all files, without its dashes; None for none
    + default: kubelet's own
    """

    kind: Kind
    flag: str | None = None
    default: Any = None


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "cgroupDriver": Field("text", "cgroup-driver", "cgroupfs"),
        "containerRuntimeEndpoint": Field(
            "text", "container-runtime-endpoint", "unix:///run/containerd/containerd.sock"
        ),
        "imageServiceEndpoint": Field("text", "image-service-endpoint", ""),
        "failSwapOn": Field("truth", "fail-swap-on", True),
        "memorySwap": Field("mapping"),
        "protectKernelDefaults": Field("truth", "protect-kernel-defaults", False),
        "failCgroupV1": Field("truth", "fail-cgroupv1"),
        "kubeReserved": Field("mapping", "kube-reserved"),
        "systemReserved": Field("mapping", "system-reserved"),
        "evictionHard": Field("mapping", "eviction-hard"),
        "kubeReservedCgroup": Field("text", "kube-reserved-cgroup", ""),
        "systemReservedCgroup": Field("text", "system-reserved-cgroup", ""),
        "reservedSystemCPUs": Field("text", "reserved-cpus", ""),
        "enforceNodeAllocatable": Field("list", "enforce-node-allocatable", ["pods"]),
        "containerLogMaxSize": Field("text", "container-log-max-size", "10Mi"),
        "containerLogMaxFiles": Field("number", "container-log-max-files", 5),
        "podPidsLimit": Field("number", "pod-max-pids", -1),
        "maxPods": Field("number", "max-pods", 110),
        "imageGCHighThresholdPercent": Field("number", "image-gc-high-threshold", 85),
        "imageGCLowThresholdPercent": Field("number", "image-gc-low-threshold", 80),
        "resolvConf": Field("text", "resolv-conf", "/etc/resolv.conf"),
        "shutdownGracePeriod": Field("duration", None, "0s"),
        "shutdownGracePeriodCriticalPods": Field("duration", None, "0s"),
    }
)
"""Those that ``kubelet.configured`` takes."""

_KINDS: Mapping[Kind, tuple[type, ...]] = {
    "truth": (bool,),
    "number": (int,),
    "text": (str,),
    "duration": (str,),
    "list": (list, tuple),
    "mapping": (Mapping,),
}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_QUANTITY = re.compile(r"\d+(\.\d+)?([kMGTPE]i?|Ki)?")
_ENFORCED = (
    "pods", "system-reserved", "system-reserved-compressible", "kube-reserved",
    "kube-reserved-compressible", "none",
)  # fmt: skip
# a line of YAML each, and no more
_PLAIN = re.compile(r"[A-Za-z0-9/._%:,+<>=-]{1,200}", re.ASCII)


def check(settings: Mapping[str, Any]) -> None:
    """ValueError where settings are none that kubelet could have.

    + settings: fields by name, as KubeletConfiguration has them

    **Example:**

    .. code:: python

        check({"cgroupDriver": "systemd", "memorySwap": {"swapBehavior": "LimitedSwap"}})
    """
    if not isinstance(settings, Mapping):
        raise ValueError(f"fields of KubeletConfiguration by name, not {settings!r}")
    for name, value in settings.items():
        field = FIELDS.get(name)
        if field is None:
            raise ValueError(f"no such field: {name}; there are {', '.join(FIELDS)}")
        is_truth = isinstance(value, bool)
        if not isinstance(value, _KINDS[field.kind]) or (is_truth and field.kind != "truth"):
            raise ValueError(f"{name} is a {field.kind}, not {value!r}")
        for each in _values(value):
            _check_plain(name, each)
    if wrong := problems(settings):
        raise ValueError("; ".join(wrong))


def _values(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _check_plain(name: str, value: Any) -> None:
    if isinstance(value, (bool, int)):
        return
    if not isinstance(value, str) or (value and not _PLAIN.fullmatch(value)):
        raise ValueError(f"{name}: {value!r} is no word, number or path")


def problems(settings: Mapping[str, Any]) -> list[str]:
    """Why kubelet would not start with these settings, in its words where it has some.

    + settings: in force, as far as they are stated

    Only what can be told from the fields of :data:`FIELDS`. Whether the reserved cgroups exist is
    the host's to say.
    """
    values = {name: field.default for name, field in FIELDS.items()} | {
        name: value for name, value in settings.items() if name in FIELDS and value is not None
    }
    found = [*_single(values), *_reserved(values), *_shutdown(values)]
    return [
        text if text.startswith("kubelet") else f"invalid configuration: {text}" for text in found
    ]


def _single(values: Mapping[str, Any]) -> list[str]:
    found = []
    if values["cgroupDriver"] not in ("systemd", "cgroupfs"):
        found.append(f"cgroupDriver {values['cgroupDriver']!r} must be systemd or cgroupfs")
    if not values["containerRuntimeEndpoint"]:
        found.append("the containerRuntimeEndpoint must not be empty")
    behavior = (values["memorySwap"] or {}).get("swapBehavior") or ""
    if behavior not in ("", "LimitedSwap", "NoSwap"):
        found.append(
            f'memorySwap.swapBehavior "{behavior}" must be one of: "", "LimitedSwap" or "NoSwap"'
        )
    low, high = values["imageGCLowThresholdPercent"], values["imageGCHighThresholdPercent"]
    for name in ("imageGCLowThresholdPercent", "imageGCHighThresholdPercent"):
        if not _is_within(values[name], 0, 100):
            found.append(f"{name} {values[name]} must be between 0 and 100, inclusive")
    if isinstance(low, int) and isinstance(high, int) and low >= high:
        found.append(
            f"imageGCLowThresholdPercent {low} must be less than imageGCHighThresholdPercent {high}"
        )
    if not _is_within(values["maxPods"], 0, 10**6):
        found.append(f"maxPods {values['maxPods']} must not be a negative number")
    if not _is_within(values["containerLogMaxFiles"], 2, 10**6):
        found.append(f"containerLogMaxFiles {values['containerLogMaxFiles']} must be > 1")
    if not _QUANTITY.fullmatch(str(values["containerLogMaxSize"])):
        found.append(f"containerLogMaxSize {values['containerLogMaxSize']!r} is no quantity")
    return found


def _is_within(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _reserved(values: Mapping[str, Any]) -> list[str]:
    found = []
    enforced = values["enforceNodeAllocatable"]
    enforced = [str(each) for each in enforced] if isinstance(enforced, (list, tuple)) else []
    for each in dict.fromkeys(enforced):
        if enforced.count(each) > 1:
            found.append(f'duplicated enforcements "{each}" in enforceNodeAllocatable')
        if each not in _ENFORCED:
            found.append(f'option "{each}" specified for enforceNodeAllocatable')
    for kind in ("system", "kube"):
        names = {f"{kind}-reserved", f"{kind}-reserved-compressible"} & set(enforced)
        if len(names) > 1:
            found.append(
                f"both {' and '.join(sorted(names))} cannot be specified together in "
                "enforceNodeAllocatable"
            )
        if names and not values[f"{kind}ReservedCgroup"]:
            found.append(
                f"{kind}ReservedCgroup must be specified when {min(names)} is included in "
                "enforceNodeAllocatable"
            )
    if "none" in enforced and len(enforced) > 1:
        found.append(
            'enforceNodeAllocatable may not contain additional enforcements when "none" is '
            "specified"
        )
    cgroups = values["systemReservedCgroup"] or values["kubeReservedCgroup"]
    if values["reservedSystemCPUs"] and cgroups:
        found.append("can't use reservedSystemCPUs with systemReservedCgroup or kubeReservedCgroup")
    return found


def _shutdown(values: Mapping[str, Any]) -> list[str]:
    found, seconds = [], {}
    for name in ("shutdownGracePeriod", "shutdownGracePeriodCriticalPods"):
        seconds[name] = duration(values[name])
        if seconds[name] is None:
            found.append(f"{name} {values[name]!r} is no duration such as 30s")
    whole = seconds["shutdownGracePeriod"]
    critical = seconds["shutdownGracePeriodCriticalPods"]
    if whole is not None and critical is not None and critical > whole:
        found.append(
            f"shutdownGracePeriodCriticalPods {values['shutdownGracePeriodCriticalPods']} must be "
            f"<= shutdownGracePeriod {values['shutdownGracePeriod']}"
        )
    return found


def duration(text: Any) -> int | None:
    """Seconds of a duration in hours, minutes and seconds; None for what is none.

    + text: such as ``1m30s``
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if found is None or text == "":
        return 0 if text in (0, "0") else None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def same(stated: Any, wanted: Any) -> bool:
    """Whether a file states what is wanted: of a mapping, for each of its names.

    + stated: of the file, None for nothing
    + wanted: of the user
    """
    if isinstance(wanted, Mapping):
        there = stated if isinstance(stated, Mapping) else {}
        return all(name in there and there[name] == value for name, value in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return isinstance(stated, (list, tuple)) and list(stated) == list(wanted)
    # true is 1 in Python, and not in YAML
    return type(stated) is type(wanted) and bool(stated == wanted)


def of_flag(name: str, value: str) -> Any:
    """What a flag's value is as a field's.

    + name: the field
    + value: as it is written behind ``=``
    """
    kind = FIELDS[name].kind
    if kind == "truth":
        return value.lower() in ("1", "t", "true")
    if kind == "number":
        return int(value) if re.fullmatch(r"-?\d{1,9}", value) else value
    if kind == "list":
        return [each for each in value.split(",") if each]
    if kind == "mapping":
        return dict(each.partition("=")[::2] for each in value.split(",") if "=" in each)
    return value


def as_flag(name: str, value: Any) -> str:
    """A field's value as its flag has it.

    + name: the field
    + value: what is wanted
    """
    kind = FIELDS[name].kind
    if kind == "truth":
        return "true" if value else "false"
    if kind == "list":
        return ",".join(value)
    if kind == "mapping":
        return ",".join(f"{key}={each}" for key, each in value.items())
    return str(value)
