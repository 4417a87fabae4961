"""The fact of Docker Engine: what a host says is taken strictly, and no password is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import docker
from kubenode.runtimes.docker.daemon_json import PATH
from kubenode.wire.reading import Reading

INFO = {
    "ServerVersion": "26.1.5+dfsg1",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "Driver": "overlay2",
    "LoggingDriver": "json-file",
    "LiveRestoreEnabled": True,
    "ContainersRunning": 3,
    "DefaultRuntime": "runc",
    "Swarm": {"LocalNodeState": "inactive"},
}
START = "{ path=/usr/bin/cri-dockerd ; argv[]=/usr/bin/cri-dockerd --x=1 ; ignore_errors=no }"
ACTIVE = ["LoadState=loaded", "ActiveState=active", "UnitFileState=enabled"]


def read(
    texts: dict[str, list[str]] | None = None,
    files: dict[str, bytes] | None = None,
    unreadable: frozenset[str] = frozenset(),
    packages: list[str] | None = None,
    **values: str,
) -> docker.DockerShape:
    package = Reading(
        {"dockerd": "/usr/sbin/dockerd", "cri_dockerd": "", "cri_unit": "cri-docker.service"},
        {"dpkg": packages or [], "/proc/sys/net/ipv4/ip_forward": ["1"]},
    )
    daemon = Reading(
        {"engine": "asked", "cri_socket": "/run/cri-dockerd.sock", **values},
        {"unit:docker.service": ACTIVE, **(texts or {})},
        files or {},
        unreadable,
    )
    return docker.parse_daemon(package, daemon, None).shape


def engine(info: object, version: object = None) -> docker.EngineShape | None:
    texts = {"engine_info": [json.dumps(info)], "engine_version": [json.dumps(version)]}
    return read(texts)["engine"]


def test_what_the_engine_says_is_taken_strictly() -> None:
    said = engine(INFO, {"Server": {"Platform": {"Name": "Docker Engine - Community"}}})
    assert said
    assert (said["version"], said["driver"], said["live_restore"]) == ("26.1.5", "systemd", True)
    assert said["platform"] == "Docker Engine - Community"
    assert said["swarm"] is False
    # curl's answer is the server's part alone; Debian's names no platform
    plain = engine(INFO, {"Platform": {"Name": ""}})
    assert plain
    assert plain["platform"] is None
    odd = engine({**INFO, "CgroupDriver": "none", "ContainersRunning": True, "Swarm": []})
    assert odd
    assert (odd["driver"], odd["containers_running"], odd["swarm"]) == (None, None, None)
    # the client prints an empty answer where the server does not answer
    assert engine({"ServerVersion": "", "ServerErrors": ["no"]}) is None
    assert engine([1]) is None


@given(
    st.dictionaries(
        st.sampled_from([*INFO, "x"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_no_answer_of_the_engine_raises(info: dict[str, Any]) -> None:
    said = engine(info, info)
    assert said is None or said["driver"] in ("systemd", "cgroupfs", None)


def test_no_password_is_in_the_fact() -> None:
    config = {
        "proxies": {"http-proxy": "http://u:hunter2@p"},
        "log-opts": {"splunk-token": "hunter2"},
        "registry-mirrors": ["https://u:hunter2@mirror.example.org"],
        "mtu": 1400,
    }
    shape = read(files={PATH: json.dumps(config).encode()})
    assert list(shape["stated"]) == ["mtu"]
    assert "hunter2" not in str(shape)


@pytest.mark.parametrize(
    ("packages", "platform", "edition"),
    [
        (["docker.io 26 ii "], None, "distribution"),
        (["docker-ce 5:29 ii "], "Docker Engine - Community", "docker"),
        (["docker-ee 5:25 ii "], "Mirantis Container Runtime", "mcr"),
        ([], "Mirantis Container Runtime", "mcr"),
        ([], None, None),
    ],
)
def test_whose_it_is(packages: list[str], platform: str | None, edition: str | None) -> None:
    texts = {
        "engine_info": [json.dumps(INFO)],
        "engine_version": [json.dumps({"Server": {"Platform": {"Name": platform}}})],
    }
    assert read(texts, packages=packages)["edition"] == edition


@pytest.mark.parametrize(
    ("said", "version"),
    # Docker's API says nothing of it before 1.41
    [
        ({"CgroupVersion": "1"}, 1),
        ({"CgroupVersion": "2"}, 2),
        ({}, None),
        ({"CgroupVersion": 1}, 1),
    ],
)
def test_a_host_with_cgroup_v1_says_so(said: dict[str, Any], version: int | None) -> None:
    info = {key: value for key, value in INFO.items() if key != "CgroupVersion"}
    answer = {**info, "CgroupDriver": "cgroupfs", **said}
    engine = read({"engine_info": [json.dumps(answer)]})["engine"]
    assert engine is not None
    assert (engine["driver"], engine["cgroup_version"]) == ("cgroupfs", version)


def test_what_is_stated_has_its_place_and_what_cannot_be_read_is_unknown() -> None:
    text = b'{\n "exec-opts": [\n  "native.cgroupdriver=cgroupfs"],\n "no-such": 1\n}'
    shape = read(files={PATH: text})
    assert shape["stated_driver"] == "cgroupfs"
    assert shape["driver_place"] == {"file": PATH, "line": 3}
    assert shape["unknown_keys"] == ["no-such"]
    broken = read(files={PATH: b"{"})
    assert broken["config"]["error"]
    assert broken["config"]["error"].startswith(f"{PATH}:1:2: ")
    lost = read(unreadable=frozenset({PATH}))
    assert lost["config"]["exists"] is None
    assert lost["config"]["error"] == f"{PATH} cannot be read"


def test_cri_serves_where_its_unit_is_active_and_the_engine_answers() -> None:
    unit = {"unit:cri-docker.service": [*ACTIVE, f"ExecStart={START}", "DropInPaths=/x.conf"]}
    answers = {"engine_info": [json.dumps(INFO)]}
    there: dict[str, Any] = {"cri_socket_there": "yes"}
    assert read({**unit, **answers}, **there)["cri"] == "serving"
    assert read(unit, **there)["cri"] == "unknown"
    assert read({**unit, **answers})["cri"] == "down"
    assert read(answers, **there)["cri"] == "down"
    # crictl asks itself
    assert read({**unit, **answers}, **there, crictl="1")["cri"] == "down"
    silent = frozenset({"unit:cri-docker.service"})
    assert read(answers, unreadable=silent, **there)["cri"] == "unknown"


def test_flags_that_were_changed_and_not_restarted_wait() -> None:
    texts = {
        "unit:cri-docker.service": [*ACTIVE, f"ExecStart={START}", "DropInPaths=/x.conf"],
        "changed": [PATH],
        "cri_arguments": ["/usr/bin/cri-dockerd", "--x=1"],
    }
    assert read(texts)["restart_pending"] == [PATH]
    texts["cri_arguments"] = ["/usr/bin/cri-dockerd"]
    assert read(texts)["restart_pending"] == [PATH, "/x.conf"]
    del texts["changed"]
    assert read(texts)["restart_pending"] is None
