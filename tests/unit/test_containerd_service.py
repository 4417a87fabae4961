"""The drop-ins of containerd.service: what is written, and what would win over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import containerd_service
from kubenode.files.whole_file import sum_of
from kubenode.runtimes.containerd.service import (
    DIRECTORY,
    LIMIT_DROP_IN,
    PROXY_DROP_IN,
    PROXY_FILE,
    ServiceNow,
    ServicePlan,
    check_limit,
    check_proxy,
    service_plan,
)
from kubenode.wire.reading import Reading

PROXY = {"HTTPS_PROXY": "http://u:hunter2@p:3128", "NO_PROXY": "10.0.0.0/8,.svc"}


def after(plan: ServicePlan, now: ServiceNow, private: bool = True) -> ServiceNow:
    """What a host has when a plan was followed."""
    made = {each.path: (sum_of(each.new), private) for each in plan.changes}
    return ServiceNow({**now.files, **made})


def test_a_proxy_is_in_a_file_of_its_own_and_the_limit_in_a_drop_in() -> None:
    plan = service_plan(PROXY, "1024:524288", ServiceNow({}))
    contents = {each.path: (each.new or b"").decode() for each in plan.changes}
    assert list(contents) == [PROXY_FILE, PROXY_DROP_IN, LIMIT_DROP_IN]
    assert "HTTPS_PROXY=http://u:hunter2@p:3128\nNO_PROXY=10.0.0.0/8,.svc\n" in contents[PROXY_FILE]
    assert contents[PROXY_DROP_IN].endswith(f"[Service]\nEnvironmentFile={PROXY_FILE}\n")
    assert contents[LIMIT_DROP_IN].endswith("[Service]\nLimitNOFILE=1024:524288\n")
    assert {each.path for each in plan.changes if each.secret} == {PROXY_FILE, PROXY_DROP_IN}
    assert "hunter2" not in str(plan.explained)


def test_what_is_there_and_private_is_left() -> None:
    nothing = ServiceNow({})
    there = after(service_plan(PROXY, 4096, nothing), nothing)
    assert service_plan(PROXY, 4096, there).is_empty
    assert service_plan(None, None, nothing).is_empty
    assert service_plan({}, None, nothing).is_empty
    opened = after(service_plan(PROXY, 4096, nothing), nothing, private=False)
    changed = [each.path for each in service_plan(PROXY, 4096, opened).changes]
    assert changed == [PROXY_FILE, PROXY_DROP_IN]


def test_an_empty_proxy_takes_away_what_kubenode_has_set() -> None:
    there = after(service_plan(PROXY, 4096, ServiceNow({})), ServiceNow({}))
    plan = service_plan({}, None, there)
    assert [each.path for each in plan.changes] == [PROXY_FILE, PROXY_DROP_IN]
    assert all(b"=" not in (each.new or b"") for each in plan.changes)
    assert service_plan({}, None, after(plan, there)).is_empty


def test_what_changed_since_the_daemon_started_is_not_in_force() -> None:
    there = after(service_plan(PROXY, 4096, ServiceNow({})), ServiceNow({}))
    pending = ServiceNow(there.files, pending=[LIMIT_DROP_IN])
    assert service_plan(PROXY, 4096, pending).pending == (LIMIT_DROP_IN,)
    assert not service_plan(PROXY, 4096, pending).is_empty
    # it is no business of who asks for a proxy only
    assert service_plan(PROXY, None, pending).is_empty


@pytest.mark.parametrize(
    ("files", "lines", "closed", "limit", "reason"),
    [
        ({}, {"/run/d/zz.conf": ["LimitNOFILE = 9"]}, [], 4096, "zz.conf has LimitNOFILE=9"),
        ({}, {f"{DIRECTORY}/zz.conf": ["EnvironmentFile=/x"]}, [], None, "has EnvironmentFile=/x"),
        ({}, {}, [f"{DIRECTORY}/a.conf"], 4096, f"cannot read {DIRECTORY}/a.conf"),
        ({}, {}, [], 2000000, "is above fs.nr_open (1048576)"),
        ({}, {}, [], "1024:2000000", "is above fs.nr_open"),
        ({PROXY_FILE: None}, {}, [], None, f"cannot read {PROXY_FILE}"),
    ],
)
def test_what_would_not_count_is_not_written(
    files: Mapping[str, Any],
    lines: Mapping[str, Sequence[str]],
    closed: list[str],
    limit: int | str | None,
    reason: str,
) -> None:
    plan = service_plan(PROXY, limit, ServiceNow(files, lines, closed, 1048576))
    assert reason in str(plan.blocked)
    assert plan.changes == ()


def test_what_does_not_win_is_no_trouble() -> None:
    lines = {
        "/usr/lib/systemd/system/service.d/10-x.conf": ["LimitNOFILE=9", "EnvironmentFile=/x"],
        f"{DIRECTORY}/zz.conf": ["LimitNOFILESoft=1"],
        LIMIT_DROP_IN: ["LimitNOFILE=8"],
    }
    plan = service_plan(PROXY, "infinity", ServiceNow({}, lines, (), 1048576))
    assert plan.blocked is None
    assert any("it wins over LimitNOFILE=9 of" in each for each in plan.explained)


@pytest.mark.parametrize("limit", [1024, "1024", "infinity", "1024:524288", "1024:infinity"])
def test_limits(limit: int | str) -> None:
    assert check_limit(limit) == limit


@pytest.mark.parametrize(
    "limit", [0, -1, 1023, True, 1024.5, "", "no", "2048:1024", "1:2:3", "infinity:1024", "1e9", []]
)
def test_what_is_no_limit(limit: object) -> None:
    with pytest.raises(ValueError, match="limit_nofile"):
        check_limit(limit)


@pytest.mark.parametrize(
    "proxy",
    [
        [],
        {"https_proxy": "http://hunter2"},
        {"HTTPS_PROXY": "hunter2:3128"},
        {"HTTPS_PROXY": "http://u:hunter2@p:99999"},
        {"HTTPS_PROXY": "http://hunter2 x"},
        {"HTTPS_PROXY": "ftp://hunter2"},
        {"HTTPS_PROXY": ["hunter2"]},
        {"NO_PROXY": "a, hunter2"},
        {"NO_PROXY": ""},
    ],
)
def test_what_is_no_proxy_is_an_error_without_its_value(proxy: Any) -> None:
    with pytest.raises(ValueError, match="proxy") as caught:
        check_proxy(proxy)
    assert "hunter2" not in str(caught.value)


@given(st.text(min_size=1))
def test_a_value_is_one_word_of_one_line(value: str) -> None:
    try:
        check_proxy({"NO_PROXY": value})
    except ValueError:
        return
    assert value.split() == [value]
    assert not set(value) & set("\"'\\")
    assert value.isascii()
    assert value.isprintable()


def test_the_shape_of_what_a_host_sends() -> None:
    theirs = f"{DIRECTORY}/00-theirs.conf"
    reading = Reading(
        texts={
            "service_modes": [
                f"-rw------- 1 0 0 62 Nov 25 12:00 {PROXY_FILE}",
                f"-rw-r----- 1 0 0 62 Nov 25 12:00 {PROXY_DROP_IN}",
                "nonsense",
            ],
            "service_sums": [f"{'a' * 64}  {PROXY_FILE}", "nonsense"],
            "drop_ins": [f"{theirs} {LIMIT_DROP_IN}"],
            theirs: ["LimitNOFILE=9"],
            "/proc/sys/fs/nr_open": ["1048576"],
            "service_changed": [PROXY_FILE],
        },
        unreadable=frozenset({LIMIT_DROP_IN}),
    )
    assert containerd_service.parse(reading) == {
        "files": {
            PROXY_DROP_IN: {"sum": None, "private": False},
            LIMIT_DROP_IN: {"sum": None, "private": False},
            PROXY_FILE: {"sum": "a" * 64, "private": True},
        },
        "drop_ins": {theirs: ["LimitNOFILE=9"]},
        "unreadable": [LIMIT_DROP_IN],
        "nr_open": 1048576,
        "changed": [PROXY_FILE],
    }
