"""How long logind lets a shutdown wait, by its files."""

from __future__ import annotations

from typing import Any

import pytest

from kubenode.facts import logind as fact
from kubenode.linux import logind
from kubenode.wire.reading import Reading

UPGRADES = "/usr/lib/systemd/logind.conf.d/unattended-upgrades-logind-maxdelay.conf"
KUBELETS = "/etc/systemd/logind.conf.d/99-kubelet.conf"
MAIN = "/etc/systemd/logind.conf"


def says(value: str) -> str:
    return f"[Login]\nInhibitDelayMaxSec={value}\n"


@pytest.mark.parametrize(
    ("files", "seconds", "place"),
    [
        ({}, None, None),
        ({MAIN: "[Login]\n#InhibitDelayMaxSec=5\n"}, None, None),
        ({MAIN: says("1min 30s")}, 90, f"{MAIN}:2"),
        # the case of kubernetes#102818, and what kubenode has against it
        ({KUBELETS: says("60"), UPGRADES: says("30")}, 30, f"{UPGRADES}:2"),
        ({logind.FILE: says("60"), UPGRADES: says("30")}, 60, f"{logind.FILE}:2"),
        ({MAIN: says("90"), UPGRADES: says("30")}, 30, f"{UPGRADES}:2"),
        # another section, a remark, a value that is none, two lines
        ({MAIN: "[Sleep]\nInhibitDelayMaxSec=9\n"}, None, None),
        ({MAIN: "[Login]\n; InhibitDelayMaxSec=9\nInhibitDelayMaxSec=x\n"}, None, None),
        ({MAIN: f"{says('9')}InhibitDelayMaxSec = \\\n 7\n"}, 7, f"{MAIN}:3"),
        # only the first main file there is
        ({MAIN: "[Login]\n", "/usr/lib/systemd/logind.conf": says("9")}, None, None),
        # hidden by a link to /dev/null
        ({UPGRADES: says("30"), UPGRADES.replace("/usr/lib", "/etc"): ""}, None, None),
        (
            {"/run/systemd/logind.conf.d/x.conf": says("9")},
            9,
            "/run/systemd/logind.conf.d/x.conf:2",
        ),
        ({"/etc/systemd/logind.conf.d/x.conf~": says("9")}, None, None),
    ],
)
def test_the_line_that_decides(files: dict[str, str], seconds: int | None, place: str) -> None:
    found = logind.delay(files)
    assert (None if found is None else (found.seconds, str(found))) == (
        None if seconds is None else (seconds, place)
    )


def test_what_is_in_run_is_gone_at_the_next_boot() -> None:
    run = "/run/systemd/logind.conf.d/zz-kubenode.conf"
    assert logind.delay({run: says("90")}, at_boot=True) is None
    # and hides nothing then
    found = logind.delay({run: says("90"), UPGRADES: says("30")}, at_boot=True)
    assert found is not None
    assert found.seconds == 30


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5), ("5s", 5), ("1min 30s", 90), ("1h", 3600), ("500ms", 0.5), ("1.5min", 90),
        ("infinity", logind.INFINITY), ("", None), ("x", None), ("5 parsecs", None), ("-5", None),
    ],
)  # fmt: skip
def test_a_time_span(text: str, seconds: float | None) -> None:
    assert logind.seconds_of(text) == seconds


def reading(delay: str, files: dict[str, str], **more: Any) -> Reading:
    return Reading(
        {"runs": "yes", "delay": delay},
        {f"unit:{logind.UNIT}": ["ActiveState=active"]},
        {path: text.encode() for path, text in files.items()},
        **more,
    )


def test_the_fact_has_what_is_live_and_what_the_next_boot_makes_of_it() -> None:
    shape = fact.parse(reading("t 5000000", {UPGRADES: says("30"), "/etc/fstab": "x"}))
    assert (shape["runs"], shape["live"], shape["unreadable"]) == (True, 5.0, [])
    assert shape["boot"] == {
        "seconds": 30.0, "file": UPGRADES, "line": 2, "text": "InhibitDelayMaxSec=30",
    }  # fmt: skip
    assert shape["files"] == {UPGRADES: says("30")}


def test_what_is_not_said_is_unknown() -> None:
    assert fact.parse(reading("t 18446744073709551615", {}))["live"] == logind.INFINITY
    assert fact.parse(reading("s 5", {}))["live"] is None
    shape = fact.parse(reading("t 1", {}, unreadable=frozenset({UPGRADES})))
    assert (shape["boot"], shape["unreadable"]) == (None, [UPGRADES])
