"""What is done to containerd on a host, and when nothing may be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.linux.unit import Unit
from kubenode.runtimes.containerd.plan import CniInForce, plan
from kubenode.runtimes.containerd.state import UNCLEAR_CONFIG, HandlerInForce, Replaced, State
from kubenode.runtimes.containerd.upkeep import upkeep
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.restart import Restart

MAIN = "/etc/containerd/config.toml"
VERSION = Version("1.7.24")
WANTED = ContainerdWanted("systemd")
RUNC = HandlerInForce("io.containerd.runc.v2", "systemd", True, f"{MAIN}:6")
UNIT = Unit(
    "loaded", "active", "enabled", needs_daemon_reload=False, wanted_by=("multi-user.target",)
)
STATE = State(
    main=MAIN,
    socket="/run/containerd/containerd.sock",
    unit=UNIT,
    cri="serving",
    has_ctr=True,
    error=None,
    is_effective=True,
    handlers={"runc": RUNC},
    default_handler="runc",
    pods={"systemd": 0, "cgroupfs": 0},
    restart_pending=(),
    clock_set_back=(),
)


UPGRADED = Replaced("/usr/bin/containerd", Version("1.7.24"), Version("2.1.9"))
DOWNGRADED = Replaced("/usr/bin/containerd", Version("2.1.9"), Version("1.7.24"))
PODS = {"systemd": 7, "cgroupfs": 0}


def text(driver: bool) -> bytes:
    table = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc'
    return (
        f'version = 2\n[{table}]\nruntime_type = "io.containerd.runc.v2"\n'
        f"[{table}.options]\nSystemdCgroup = {str(driver).lower()}\n"
    ).encode()


RIGHT, WRONG = {MAIN: text(True)}, {MAIN: text(False)}
CGROUPFS = {"runc": replace(RUNC, driver="cgroupfs")}


def test_what_is_right_stays() -> None:
    done = plan(RIGHT, VERSION, WANTED, STATE)
    assert (done.edits, done.blocked) == ({}, None)


@pytest.mark.parametrize(
    ("active", "restarts"),
    [("active", True), ("activating", True), ("reloading", True), ("inactive", False)],
)
def test_what_is_wrong_is_edited_and_a_daemon_that_runs_restarted(
    active: str, restarts: bool
) -> None:
    state = replace(STATE, handlers=CGROUPFS, unit=replace(UNIT, active=active))
    done = plan(WRONG, VERSION, WANTED, state)
    assert done.edits[MAIN].text.encode() == RIGHT[MAIN]
    assert (done.blocked, done.restarts) == (None, restarts)


@pytest.mark.parametrize(
    ("arguments", "state", "reason"),
    [
        ({"version": None}, {}, "cannot tell containerd's version"),
        ({"unreadable": [MAIN, "/x"]}, {}, f"cannot read {MAIN}, /x"),
        ({}, {"error": UNCLEAR_CONFIG}, UNCLEAR_CONFIG),
        ({}, {"has_ctr": False}, "ctr is missing"),
        ({}, {"unit": replace(UNIT, load="unknown")}, "systemd does not answer"),
        ({"files": {MAIN: b"[["}}, {}, f"{MAIN}:1:3: "),
        (
            {},
            {"handlers": {"runc": replace(RUNC, recognised=False, defined="/d:3")}},
            "/d:3: the default handler runc: nobody can tell",
        ),
    ],
)
def test_what_is_not_known_blocks_it(
    arguments: dict[str, Any], state: dict[str, Any], reason: str
) -> None:
    given_ = {"files": WRONG, "version": VERSION, "wanted": WANTED, **arguments}
    done = plan(state=replace(STATE, **state), **given_)
    assert done.blocked is not None
    assert done.blocked.startswith(reason)
    assert done.blocked.endswith(": nothing was changed")
    assert not done.edits


def test_right_files_that_are_not_in_force_block_it() -> None:
    state = replace(STATE, is_effective=False, error="/c:1:1: bad")
    reason = plan(RIGHT, VERSION, WANTED, state).blocked
    assert reason == "containerd does not read its files: /c:1:1: bad"
    reason = plan(RIGHT, VERSION, WANTED, replace(STATE, handlers=CGROUPFS)).blocked
    assert reason == (
        "containerd is configured, but not with systemd everywhere: handler runc has cgroupfs from "
        f"{MAIN}:6"
    )


@pytest.mark.parametrize(
    ("state", "is_blocked"),
    [
        ({"handlers": CGROUPFS}, True),
        # CRI is disabled, and pods run from before
        ({"handlers": {}}, True),
        # what somebody edited comes in force with the restart
        ({"restart_pending": ("/x",)}, True),
        ({"restart_pending": None}, True),
        ({"handlers": CGROUPFS, "pods": {"systemd": 9, "cgroupfs": 0}}, False),
        ({"handlers": CGROUPFS, "pods": None}, True),
        ({}, False),
    ],
)
def test_the_driver_does_not_change_under_pods(state: dict[str, Any], is_blocked: bool) -> None:
    here = replace(STATE, **{"pods": {"systemd": 0, "cgroupfs": 2}, **state})
    assert bool(plan(WRONG, VERSION, WANTED, here).blocked) == is_blocked
    allowed = plan(WRONG, VERSION, WANTED, here, change_driver_under_pods=True)
    assert allowed.edits
    assert allowed.blocked is None


def test_cni_directories_that_are_in_force_are_not_written() -> None:
    wanted = replace(WANTED, cni_bin_dirs=("/opt/cni/bin",))
    there = CniInForce(("/opt/cni/bin",), (), {})
    assert not plan(RIGHT, VERSION, wanted, STATE, there).edits
    edited = plan(RIGHT, VERSION, wanted, STATE, CniInForce(("/usr/lib/cni",), (), {})).edits
    assert 'bin_dir = "/opt/cni/bin"' in edited[MAIN].text


def test_upkeep_of_what_runs_is_nothing() -> None:
    done = upkeep(STATE)
    assert (done.steps, done.explained, done.blocked) == ((), (), None)


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (
            {
                "unit": replace(
                    UNIT,
                    needs_daemon_reload=True,
                    enabled="disabled",
                    active="failed",
                    wanted_by=(),
                )
            },
            [
                "systemctl daemon-reload",
                "systemctl enable containerd.service",
                "systemctl reset-failed containerd.service",
                "systemctl start containerd.service",
            ],
        ),
        ({"restart_pending": ("/c",)}, ["systemctl restart containerd.service"]),
        (
            {"replaced": UPGRADED, "pods": {"systemd": 7, "cgroupfs": 0}},
            ["systemctl restart containerd.service"],
        ),
        ({"replaced": DOWNGRADED}, ["systemctl restart containerd.service"]),
        (
            {"clock_set_back": ("/a b", STATE.socket)},
            ["touch -c -- '/a b'", "systemctl restart containerd.service"],
        ),
        ({"clock_set_back": (STATE.socket,)}, ["systemctl restart containerd.service"]),
        ({"cri": "down"}, [":"]),
    ],
)
def test_upkeep_does_what_is_missing(state: dict[str, Any], steps: list[str]) -> None:
    done = upkeep(replace(STATE, **state))
    assert (list(done.steps), done.blocked) == (steps, None)
    assert done.explained


@pytest.mark.parametrize(
    ("state", "restart", "reason"),
    [
        ({"replaced": UPGRADED}, "never", "kubenode_restart is never"),
        ({"replaced": UPGRADED, "pods": PODS}, "if-idle", "7 containers run, and kubenode_restart"),
        ({"replaced": DOWNGRADED, "pods": PODS}, None, "7 containers run and would not survive it"),
        (
            {"replaced": DOWNGRADED, "pods": PODS},
            "now",
            "7 containers run and would not survive it",
        ),
        ({"replaced": DOWNGRADED, "pods": None}, None, "pods may run and would not survive it"),
        # what does not say what it is might be anything
        (
            {"replaced": replace(UPGRADED, running=None), "pods": PODS},
            None,
            "would not survive it",
        ),
    ],
)
def test_a_program_that_was_exchanged_waits_for_its_restart(
    state: dict[str, Any], restart: Restart | None, reason: str
) -> None:
    done = upkeep(replace(STATE, **state), restart=restart)
    assert reason in str(done.postponed)
    assert (done.steps, done.blocked) == ((), None)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"unit": None}, "systemd does not know it"),
        ({"unit": replace(UNIT, load="masked")}, "its unit is masked"),
        ({"error": "/c:1:1: bad"}, "/c:1:1: bad"),
        ({"has_ctr": False}, "ctr is missing"),
        ({"cri": "disabled"}, "containerd runs without CRI"),
        (
            {"restart_pending": ("/c",), "pods": {"systemd": 0, "cgroupfs": 1}},
            "containerd waits for a restart, and 1 containers of pods",
        ),
        (
            {"unit": replace(UNIT, enabled="static", wanted_by=(), needs_daemon_reload=True)},
            "has no [Install] section",
        ),
    ],
)
def test_upkeep_that_is_blocked_says_nothing_else(state: dict[str, Any], reason: str) -> None:
    done = upkeep(replace(STATE, **state))
    assert reason in str(done.blocked)
    assert (done.steps, done.explained) == ((), ())


_UNITS = st.none() | st.builds(
    Unit,
    st.sampled_from(["loaded", "masked", "unknown"]),
    st.sampled_from(["active", "inactive", "failed", "activating"]),
    st.sampled_from(["enabled", "disabled", "static", "", "linked"]),
    st.booleans(),
    st.lists(st.sampled_from(["multi-user.target", "docker.service"])).map(tuple),
)
_STATES = st.builds(
    State,
    main=st.just(MAIN),
    socket=st.just(STATE.socket),
    unit=_UNITS,
    cri=st.sampled_from(["serving", "disabled", "down", "unknown"]),
    has_ctr=st.booleans(),
    error=st.sampled_from([None, "/c:1:1: bad"]),
    is_effective=st.booleans(),
    handlers=st.sampled_from([{"runc": RUNC}, CGROUPFS, {}]),
    default_handler=st.sampled_from(["runc", None]),
    pods=st.sampled_from([None, {"systemd": 0, "cgroupfs": 0}, {"systemd": 1, "cgroupfs": 2}]),
    restart_pending=st.sampled_from([None, (), ("/c",)]),
    clock_set_back=st.sampled_from([(), ("/c",)]),
    replaced=st.sampled_from([None, UPGRADED, DOWNGRADED]),
)


@given(_STATES, st.sampled_from([RIGHT, WRONG, {}]), st.booleans())
def test_a_blocked_plan_does_nothing(
    state: State, files: dict[str, bytes], under_pods: bool
) -> None:
    done = plan(files, VERSION, WANTED, state, change_driver_under_pods=under_pods)
    assert done.blocked is None or not (done.edits or done.restarts)
    kept = upkeep(state, under_pods)
    assert kept.blocked is None or not (kept.steps or kept.explained)
    assert bool(kept.steps) == bool(kept.explained)
