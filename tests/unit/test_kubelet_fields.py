"""kubelet's own rules for its configuration, offline."""

from __future__ import annotations

from typing import Any

import pytest

from kubenode.kubelet.fields import FIELDS, as_flag, check, duration, of_flag, problems, same
from kubenode.kubelet.flags import KNOWN

GOOD: list[dict[str, Any]] = [
    {},
    {"cgroupDriver": "systemd", "failSwapOn": False, "memorySwap": {"swapBehavior": "LimitedSwap"}},
    {
        "enforceNodeAllocatable": ["pods", "system-reserved"],
        "systemReservedCgroup": "/system.slice",
    },
    {"enforceNodeAllocatable": ["none"]},
    {"reservedSystemCPUs": "0-1"},
    {"shutdownGracePeriod": "1m30s", "shutdownGracePeriodCriticalPods": "30s"},
    {"containerLogMaxFiles": 2, "containerLogMaxSize": "50Mi", "podPidsLimit": 4096},
    {"imageGCLowThresholdPercent": 60, "imageGCHighThresholdPercent": 70},
]
# in validation.go's order, with words of each of its messages
BAD: list[tuple[dict[str, Any], str]] = [
    ({"cgroupDriver": "systmd"}, "must be systemd or cgroupfs"),
    ({"containerRuntimeEndpoint": ""}, "must not be empty"),
    ({"memorySwap": {"swapBehavior": "UnlimitedSwap"}}, "must be one of"),
    ({"imageGCLowThresholdPercent": 90}, "must be less than imageGCHighThresholdPercent 85"),
    ({"imageGCHighThresholdPercent": 101}, "must be between 0 and 100"),
    ({"maxPods": -1}, "must not be a negative number"),
    ({"containerLogMaxFiles": 1}, "must be > 1"),
    ({"containerLogMaxSize": "much"}, "is no quantity"),
    ({"enforceNodeAllocatable": ["system-reserved"]}, "systemReservedCgroup must be specified"),
    ({"enforceNodeAllocatable": ["kube-reserved-compressible"]}, "kubeReservedCgroup must be"),
    ({"enforceNodeAllocatable": ["pods", "pods"]}, "duplicated enforcements"),
    ({"enforceNodeAllocatable": ["none", "pods"]}, "may not contain additional enforcements"),
    ({"enforceNodeAllocatable": ["all"]}, 'option "all" specified'),
    (
        {"enforceNodeAllocatable": ["kube-reserved", "kube-reserved-compressible"],
         "kubeReservedCgroup": "/a"},
        "cannot be specified together",
    ),
    ({"reservedSystemCPUs": "0", "kubeReservedCgroup": "/a"}, "can't use reservedSystemCPUs"),
    ({"shutdownGracePeriodCriticalPods": "10s"}, "must be <= shutdownGracePeriod 0s"),
    ({"shutdownGracePeriod": "soon"}, "is no duration"),
]  # fmt: skip


@pytest.mark.parametrize("settings", GOOD)
def test_what_kubelet_takes(settings: dict[str, Any]) -> None:
    assert problems(settings) == []
    check(settings)


@pytest.mark.parametrize(("settings", "says"), BAD)
def test_what_kubelet_refuses(settings: dict[str, Any], says: str) -> None:
    assert any(says in each for each in problems(settings)), problems(settings)
    with pytest.raises(ValueError, match="invalid configuration"):
        check(settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"cgroupdriver": "systemd"}, "no such field: cgroupdriver"),
        ({"failSwapOn": "false"}, "failSwapOn is a truth"),
        ({"maxPods": True}, "maxPods is a number"),
        ({"memorySwap": "LimitedSwap"}, "memorySwap is a mapping"),
        ({"enforceNodeAllocatable": "pods"}, "is a list"),
        ({"resolvConf": "/etc/a\nb: c"}, "is no word, number or path"),
        ({"kubeReserved": {"cpu: 1\nx": "1"}}, "is no word, number or path"),
        ("cgroupDriver", "by name"),
    ],
)
def test_what_is_no_setting(settings: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check(settings)


def test_flags_of_fields_are_kubelets() -> None:
    assert {field.flag for field in FIELDS.values() if field.flag} <= KNOWN


def test_a_flag_and_a_field_say_the_same() -> None:
    for name, value in {
        "failSwapOn": False,
        "maxPods": 200,
        "cgroupDriver": "systemd",
        "enforceNodeAllocatable": ["pods", "kube-reserved"],
        "kubeReserved": {"cpu": "100m", "memory": "1Gi"},
    }.items():
        assert same(of_flag(name, as_flag(name, value)), value)


def test_durations() -> None:
    assert (duration("1h2m3s"), duration("0s"), duration("90s")) == (3723, 0, 90)
    assert (duration("soon"), duration(""), duration(None)) == (None, None, None)


def test_true_is_not_one() -> None:
    assert not same(1, True)
    assert not same("200", 200)
    assert same({"a": 1, "b": 2}, {"a": 1})
    assert not same({"a": 1}, {"b": 1})
