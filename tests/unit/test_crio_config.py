"""What CRI-O makes of several files, and what kubenode gives it in a file of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.linux.unit import Unit
from kubenode.runtimes.crio import config as crio
from kubenode.runtimes.crio import own_file, registries, releases
from kubenode.runtimes.crio.config import Setting, merged, order
from kubenode.runtimes.crio.plan import CrioPlan, overridden, plan
from kubenode.runtimes.crio.state import State
from kubenode.runtimes.crio.wanted import CrioWanted, monitor_trouble
from kubenode.runtimes.edit import ConfigError

PACKAGED = """\
[crio.image]
signature_policy = "/etc/crio/policy.json"

[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
monitor_path = "/usr/libexec/crio/conmon"

[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
"""
DROP_IN = f"{crio.DROP_INS}/10-crio.conf"
VERSION = Version("1.36.3")
IDLE = State(
    Unit("loaded", "active", "enabled", False, ("multi-user.target",)),
    "serving",
    "systemd",
    {"systemd": 0, "cgroupfs": 0},
    (),
    (),
)


def planned(
    *others: tuple[str, str],
    own: str | None = None,
    wanted: CrioWanted | None = None,
    state: State = IDLE,
) -> CrioPlan:
    files = {DROP_IN: PACKAGED, **dict(others)}
    if own is not None:
        files |= {own_file.FILE: own, own_file.LINK: own}
    link = None if own is None else own_file.TARGET
    return plan(files, link, VERSION, wanted or CrioWanted("systemd"), state)


def test_files_are_read_by_name_whatever_they_end_with() -> None:
    names = ["99-z.conf", "10-crio.conf.bak", ".hidden", "10-crio.conf", "20-d/x", "20-a.conf"]
    paths = [crio.MAIN, *(f"{crio.DROP_INS}/{name}" for name in names)]
    assert order(paths) == [
        crio.MAIN,
        *(
            f"{crio.DROP_INS}/{name}"
            for name in (
                ".hidden",
                "10-crio.conf",
                "10-crio.conf.bak",
                "20-a.conf",
                "20-d/x",
                "99-z.conf",
            )
        ),
    ]


def test_the_last_file_wins_key_by_key_and_says_where() -> None:
    found = merged(
        [
            (crio.MAIN, '[crio.runtime]\ncgroup_manager = "systemd"\nlog_level = "info"\n'),
            ("/b", '\n[crio.RUNTIME]\nCgroup_Manager = "cgroupfs"\n'),
        ]
    )
    assert found.get(crio.CGROUP_MANAGER) == Setting("/b", 3, "cgroupfs")
    assert found.get((*crio.RUNTIME, "log_level")) == Setting(crio.MAIN, 3, "info")
    assert found.get(crio.PAUSE_IMAGE) is None


def test_a_handlers_table_replaces_the_whole_of_earlier_ones() -> None:
    found = merged(
        [
            (DROP_IN, PACKAGED),
            ("/b", '[crio.runtime.runtimes.crun]\nmonitor_cgroup = "pod"\n'),
        ]
    )
    assert set(found.handlers["crun"]) == {"monitor_cgroup"}
    assert str(found.defined["crun"]) == "/b:1"
    assert set(found.handlers["runc"]) == {"runtime_path"}
    of_all = merged([(DROP_IN, PACKAGED), ("/b", '[crio.runtime]\nconmon_cgroup = "pod"\n')])
    assert of_all.monitor_cgroup("crun") == Setting("/b", 2, "pod")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("= 3", "1:1: Invalid statement"),
        ("[crio]\nruntime = 3\n", "2:1: crio.runtime is not a table"),
        ("[crio.runtime]\ncgroup_manager = true\n", "2:1: crio.runtime.cgroup_manager is not a"),
        ("[crio.network]\nplugin_dirs = [1]\n", "2:1: crio.network.plugin_dirs is not an array"),
        ("[crio.runtime]\nruntimes.x = 1\n", "2:1: crio.runtime.runtimes.x is not a table"),
        ('[crio.runtime]\nconmon_cgroup = "a"\nConmon_cgroup = "b"\n', "are one key to CRI-O"),
    ],
)
def test_what_crio_does_not_start_with_is_an_error_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as error:
        merged([("/x", text)])
    assert str(error.value).startswith("/x:")
    assert reason in str(error.value)


def test_a_fresh_host_gets_a_file_that_states_the_driver() -> None:
    found = planned()
    assert found.edit is not None
    assert found.links
    assert found.applied_by == "restart"
    assert '[crio.runtime]\n  cgroup_manager = "systemd"\n' in found.edit.text
    again = planned(own=found.edit.text)
    assert again == CrioPlan()


def test_what_another_file_states_as_wanted_stays_there() -> None:
    other = (crio.MAIN, '[crio.runtime]\ncgroup_manager = "systemd"\n')
    assert planned(other) == CrioPlan()


def test_a_file_behind_kubenodes_that_states_otherwise_blocks_with_its_place() -> None:
    other = (f"{crio.DROP_INS}/zz.conf", '[crio.runtime]\ncgroup_manager = "cgroupfs"\n')
    found = planned(other)
    assert found.blocked is not None
    assert found.blocked.startswith(f'{other[0]}:2 states crio.runtime.cgroup_manager = "cgroupfs"')


def test_monitors_go_to_the_pod_with_cgroupfs_and_what_crio_refuses_is_refused() -> None:
    found = planned(wanted=CrioWanted("cgroupfs"))
    assert found.edit is not None
    assert merged([("/x", found.edit.text)]).value(crio.CONMON_CGROUP) == "pod"
    odd = ("/etc/crio/crio.conf.d/20-x.conf", '[crio.runtime]\nconmon_cgroup = "machine"\n')
    refused = planned(odd).blocked
    assert refused is not None
    assert refused.startswith(f"{odd[0]}:2: monitors in 'machine', and it is pod or a systemd")
    # what is behind it is overruled by kubenode's own
    assert planned(odd, wanted=CrioWanted("cgroupfs")).blocked is None
    with pytest.raises(ValueError, match="with the cgroupfs driver"):
        CrioWanted("cgroupfs", monitor_cgroup="system.slice/x")


@pytest.mark.parametrize(
    ("where", "driver", "is_good"),
    [
        ("", "systemd", True),
        ("pod", "systemd", True),
        ("machine.slice", "systemd", True),
        ("machine", "systemd", False),
        ("", "cgroupfs", True),
        ("pod", "cgroupfs", True),
        ("system.slice", "cgroupfs", True),
        ("machine.slice", "cgroupfs", False),
    ],
)
def test_where_monitors_may_be(where: str, driver: str, is_good: bool) -> None:
    assert (monitor_trouble(where, driver) is None) == is_good


def test_a_reload_does_for_a_pause_image_and_not_for_a_driver() -> None:
    own = planned().edit
    assert own is not None
    wanted = CrioWanted("systemd", pause_image="mirror.example.org/pause:3.10.1")
    assert planned(own=own.text, wanted=wanted).applied_by == "reload"
    assert planned(wanted=wanted).applied_by == "restart"
    stopped = State(
        Unit("loaded", "inactive", "disabled", False, ()), "down", None, IDLE.pods, None, ()
    )
    assert planned(own=own.text, wanted=wanted, state=stopped).applied_by is None


def test_the_driver_does_not_change_under_pods() -> None:
    pods: dict[str, int] = {"systemd": 3, "cgroupfs": 0}
    state = State(IDLE.unit, "serving", "systemd", pods, (), ())  # type: ignore[arg-type]
    blocked = planned(wanted=CrioWanted("cgroupfs"), state=state).blocked
    assert blocked is not None
    assert blocked.startswith("3 containers of pods run with the systemd cgroup driver")
    assert planned(state=state).blocked is None


def test_flags_that_win_over_files_block() -> None:
    state = State(
        IDLE.unit, "serving", "systemd", IDLE.pods, (), (), flags=("/etc/default/crio: --runtimes",)
    )
    blocked = planned(state=state).blocked
    assert blocked is not None
    assert "/etc/default/crio: --runtimes" in blocked


def test_cni_directories_are_added_to_those_that_are_there() -> None:
    wanted = CrioWanted("systemd", cni_bin_dirs=("/opt/cni/bin", "/usr/lib/cni"))
    found = planned(wanted=wanted)
    assert found.edit is not None
    stated = merged([("/x", found.edit.text)]).value(crio.PLUGIN_DIRS)
    assert stated == ["/opt/cni/bin", "/usr/lib/cni"]
    assert planned(own=found.edit.text, wanted=wanted) == CrioPlan()


def test_a_default_runtime_without_a_table_is_refused() -> None:
    blocked = planned(wanted=CrioWanted("systemd", default_runtime="kata")).blocked
    assert blocked is not None
    assert "[crio.runtime.runtimes.kata]" in blocked


RUNSC = {"runtime_path": "/usr/local/bin/runsc", "no_sync_log": True}


def test_a_handler_is_added_and_one_of_another_file_keeps_what_is_not_stated() -> None:
    wanted = CrioWanted(
        "systemd",
        handlers={"runsc": RUNSC, "crun": {"runtime_path": "/opt/crun", "no_sync_log": False}},
    )
    planned = plan({DROP_IN: PACKAGED}, None, VERSION, wanted, IDLE)
    assert planned.edit is not None
    assert planned.applied_by == "restart"
    files = {DROP_IN: PACKAGED, own_file.LINK: planned.edit.text}
    then = merged((path, files[path]) for path in order(files))
    found = {
        name: {key: setting.value for key, setting in table.items()}
        for name, table in then.handlers.items()
    }
    assert found == {
        "runsc": RUNSC,
        "crun": {
            "runtime_path": "/opt/crun",
            "monitor_path": "/usr/libexec/crio/conmon",
            "no_sync_log": False,
        },
        "runc": {"runtime_path": "/usr/libexec/crio/runc"},
    }
    whole = {DROP_IN: PACKAGED, own_file.FILE: planned.edit.text}
    assert plan(whole, own_file.TARGET, VERSION, wanted, IDLE) == CrioPlan()


def test_a_handler_as_another_file_has_it_stays_there_and_a_later_files_blocks() -> None:
    same = CrioWanted("systemd", handlers={"runc": {"runtime_path": "/usr/libexec/crio/runc"}})
    planned = plan({DROP_IN: PACKAGED}, None, VERSION, same, IDLE)
    assert planned.edit is not None
    assert "runtimes" not in planned.edit.text
    late = f"{crio.DROP_INS}/99-z.conf"
    files = {late: '[crio.runtime.runtimes.runsc]\nruntime_path = "/opt/runsc"\n'}
    blocked = plan(files, None, VERSION, CrioWanted("systemd", handlers={"runsc": RUNSC}), IDLE)
    assert blocked.blocked is not None
    assert f"{late}:1 has the handler 'runsc' too" in blocked.blocked


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "it has no runtime_path"),
        ({"runtime_path": "runsc"}, "is no absolute path"),
        ({"runtime_path": "/r", "no_sync_log": 1}, "no_sync_log is True or False"),
        ({"runtime_path": "/r", "runtime_typ": "oci"}, "did you mean runtime_type?"),
        ({"runtime_path": "/r", "runtime_type": "runc"}, "runtime_type is oci, vm, pod"),
        ({"runtime_path": "/r", "runtime_config_path": "/c"}, "for runtime_type vm alone"),
        ({"runtime_path": "/r", "monitor_env": [1]}, "monitor_env has texts alone"),
        ("runsc", "its settings are a dict"),
    ],
)
def test_handlers_that_crio_would_ignore_are_refused(settings: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        CrioWanted("systemd", handlers={"runsc": settings})


def test_what_the_daemon_has_not_is_named_with_its_place() -> None:
    stated = merged([("/a", '[crio.runtime]\ncgroup_manager = "cgroupfs"\nlog_level = "info"\n')])
    live = merged([("live", '[crio.runtime]\ncgroup_manager = "systemd"\nlog_level = "info"\n')])
    assert overridden(stated, live) == {
        crio.CGROUP_MANAGER: (Setting("/a", 2, "cgroupfs"), "systemd")
    }


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("crio version 1.36.3\n   GitCommit: unknown\n", "1.36.3"),
        ("crio version 1.37.0-rc.1\n", "1.37.0rc1"),
        ("bash: crio: not found", None),
    ],
)
def test_versions(output: str, version: str | None) -> None:
    found = releases.parse_version(output)
    assert (str(found) if found else None) == version


def test_which_crio_is_for_a_kubernetes_and_what_a_change_of_minor_does() -> None:
    assert releases.fits(Version("1.36.3"), (1, 36))
    assert releases.fits(Version("1.34.0"), (1, 36))
    assert not releases.fits(Version("1.33.9"), (1, 36))
    assert not releases.fits(Version("1.37.0"), (1, 36))
    assert releases.recreates_containers(Version("1.35.6"), Version("1.36.0"))
    assert not releases.recreates_containers(Version("1.36.0"), Version("1.36.3"))


_KEYS = st.sampled_from(["log_level", "cgroup_manager", "conmon_cgroup", "x-y", "UPPER", "pids"])
_VALUES = st.one_of(
    st.sampled_from(["systemd", "cgroupfs", "pod", "a b", "é", '"', "#"]),
    st.integers(-5, 5),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b"]), max_size=2),
)


@given(
    st.dictionaries(_KEYS, _VALUES, max_size=4),
    st.dictionaries(_KEYS, _VALUES, max_size=3),
    st.sampled_from(["", "# a comment\n", "\n\n"]),
)
def test_what_others_wrote_into_kubenodes_file_stays_to_the_letter(
    runtime: dict[str, object], image: dict[str, object], head: str
) -> None:
    before = head + tomlkit.dumps({"crio": {"runtime": runtime, "image": image}})
    value = "cgroupfs" if runtime.get("cgroup_manager") == "systemd" else "systemd"
    after = own_file.edited(before, {crio.CGROUP_MANAGER: value}).text
    was, now = tomlkit.parse(before).unwrap(), tomlkit.parse(after).unwrap()
    assert now["crio"]["runtime"].pop("cgroup_manager") == value
    was["crio"].setdefault("runtime", {}).pop("cgroup_manager", None)
    assert now == was
    kept = [line for line in before.splitlines() if "cgroup_manager" not in line]
    left = iter(after.splitlines())
    assert all(line in left for line in kept)


MIRRORED: dict[str, dict[str, Any]] = {
    "docker.io": {
        "mirrors": ["mirror.example.org/docker", {"location": "b:5000", "insecure": True}]
    },
    "quay.io": {"location": "mirror.example.org/quay", "blocked": False},
}


def test_registries_are_written_kept_and_removed() -> None:
    text = registries.edited(None, registries.check(MIRRORED))
    said = tomlkit.parse(text).unwrap()["registry"]
    assert [each["prefix"] for each in said] == ["docker.io", "quay.io"]
    # without a location CRI-O refuses the file
    assert [each["location"] for each in said] == ["docker.io", "mirror.example.org/quay"]
    assert said[0]["mirror"][1] == {"location": "b:5000", "insecure": True}
    assert registries.edited(text, MIRRORED) == text
    assert (
        registries.edited(text, {"quay.io": None, "gcr.io": {"blocked": True}}).count("[[reg") == 4
    )
    assert registries.edited(text, {"quay.io": None, "docker.io": None}) == registries.HEAD
    with pytest.raises(ValueError, match="is not kubenode's"):
        registries.edited('[[registry]]\nprefix = "x"\n', {})


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"https://docker.io": {"blocked": True}},
        {"docker.io": {}},
        {"docker.io": {"mirror": ["a"]}},
        {"docker.io": {"mirrors": "a"}},
        {"docker.io": {"mirrors": [{"location": "a", "ca": "x"}]}},
        {"docker.io": {"mirrors": ["https://a"]}},
        {"docker.io": {"insecure": "yes"}},
        {"docker.io": {"location": 'a"\nblocked = true'}},
    ],
)
def test_registries_that_crio_cannot_use(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        registries.check(wrong)
