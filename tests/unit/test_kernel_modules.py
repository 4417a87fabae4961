"""What a module is, and who asks for it or forbids it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.linux.kernel_modules import (
    Evidence,
    Place,
    check_name,
    forbidding,
    judge,
    requested_lines,
    requests,
    with_requests,
    without_requests,
)
from tests import modprobe_cases

NONE: frozenset[str] = frozenset()
MODULAR = Evidence(
    kernel="6.12.90",
    kernels_on_disk=["6.12.90"],
    can_load=True,
    loaded=frozenset({"overlay"}),
    in_sys={"overlay": True, "ext4": False},
    builtin=frozenset({"ext4", "unix"}),
    loadable=frozenset({"br_netfilter", "overlay"}),
)
NOT_MODULAR = Evidence(kernel="6.18.0", can_load=False, filesystems=frozenset({"overlay"}))


@pytest.mark.parametrize(
    ("name", "evidence", "state"),
    [
        ("overlay", MODULAR, "loaded"),
        ("ext4", MODULAR, "builtin"),
        ("unix", MODULAR, "builtin"),
        ("br-netfilter", MODULAR, "loadable"),
        ("nope", MODULAR, "absent"),
        ("overlay", NOT_MODULAR, "builtin"),
        ("br_netfilter", NOT_MODULAR, "unknown"),
        ("br_netfilter", Evidence(can_load=False, bridge=True), "builtin"),
        ("br_netfilter", Evidence(bridge=True), "loaded"),
        ("br_netfilter", Evidence(bridge=True, loaded=NONE), "builtin"),
        ("overlay", Evidence(in_sys={"overlay": True}), "loaded"),
        ("ip_vs", Evidence(config={"CONFIG_IP_VS": "n"}), "absent"),
        ("ip_vs", Evidence(config={"CONFIG_IP_VS": "y"}), "builtin"),
        ("ip_vs", Evidence(config={"CONFIG_IP_VS": "m"}), "unknown"),
        # what is seen to work outweighs what is written about it
        ("overlay", Evidence(can_load=False, filesystems=frozenset({"overlay"}),
                             config={"CONFIG_OVERLAY_FS": "n"}), "builtin"),
        ("ip_vs", Evidence(kernel="1", kernels_on_disk=["2"], loaded=NONE), "absent"),
        ("ip_vs", Evidence(kernel="1", kernels_on_disk=["2"], can_load=False), "unknown"),
        ("ip_vs", Evidence(kernel="1", kernels_on_disk=["1"], builtin=NONE), "unknown"),
        ("ip_vs", Evidence(kernel="1", kernels_on_disk=[]), "unknown"),
        ("ip_vs", Evidence(), "unknown"),
    ],
)  # fmt: skip
def test_states(name: str, evidence: Evidence, state: str) -> None:
    assert judge(name, evidence)[0] == state


def test_a_pending_reboot_is_named() -> None:
    evidence = Evidence(kernel="6.1.0-9", kernels_on_disk=["6.1.0-55", "6.1.0-56"], loaded=NONE)
    assert judge("overlay", evidence) == (
        "absent",
        "kernel 6.1.0-9 is gone from disk (on disk: 6.1.0-55, 6.1.0-56): reboot",
    )


_names = st.sampled_from(["overlay", "br_netfilter", "br-netfilter", "ip_vs", "zz"])
_sets = st.one_of(st.none(), st.frozensets(st.sampled_from(["overlay", "br_netfilter", "ip_vs"])))


@given(
    _names,
    st.builds(
        Evidence,
        kernel=st.just("1"),
        kernels_on_disk=st.sampled_from([None, [], ["1"], ["2"]]),
        can_load=st.sampled_from([None, True, False]),
        loaded=_sets,
        filesystems=st.sampled_from([NONE, frozenset({"overlay"})]),
        bridge=st.booleans(),
        builtin=_sets,
        loadable=_sets,
    ),
)
def test_absent_only_on_positive_knowledge(name: str, evidence: Evidence) -> None:
    state, reason = judge(name, evidence)
    assert reason
    if state == "absent":
        metadata_read = evidence.builtin is not None and evidence.loadable is not None
        gone = bool(evidence.kernels_on_disk) and "1" not in (evidence.kernels_on_disk or [])
        assert metadata_read or gone
        assert evidence.can_load is not False
        for known in (evidence.loaded, evidence.builtin, evidence.loadable):
            assert name.replace("-", "_") not in (known or ())


def test_requests_and_masking() -> None:
    files = {
        "/etc/modules-load.d/a.conf": "# x\nbr-netfilter\r\n  overlay  \n;ip_vs\nloop max_loop=8\n",
        "/usr/lib/modules-load.d/a.conf": "ip_vs\n",
        "/usr/lib/modules-load.d/b.conf": "overlay",
        "/run/modules-load.d/c.conf": "loop_device\n",
        "/run/modules-load.d/b.conf": "",
        "/etc/modules-load.d/not-read": "vxlan",
    }
    asked = requests(files, "modules-load=vxlan,overlay rd.modules_load=dm-mod -- modules_load=x")
    asked = {name: places for name, places in asked.items() if " " not in name}
    assert asked == {
        "br_netfilter": [Place("/etc/modules-load.d/a.conf", 2)],
        "overlay": [
            Place("/etc/modules-load.d/a.conf", 3),
            Place("/usr/lib/modules-load.d/b.conf", 1),
            Place("/proc/cmdline", 1, "modules_load"),
        ],
        "vxlan": [Place("/proc/cmdline", 1, "modules_load")],
        "dm_mod": [Place("/proc/cmdline", 1, "rd.modules_load")],
    }


@pytest.mark.parametrize("case", modprobe_cases.CASES, ids=lambda case: case.text)
def test_what_modprobe_d_forbids(case: modprobe_cases.Case) -> None:
    files = {"/etc/modprobe.d/x.conf": case.text.split("\n")}
    found = forbidding(files, "").lines(case.module, ["bridge"])
    assert bool(found) == (case.forbids or case.at_boot)
    assert all(place.file == "/etc/modprobe.d/x.conf" for place in found)


def test_the_line_that_forbids_is_named_by_its_number() -> None:
    lines = ["# CIS", "", "black\\", "list overlay", "install overlay /bin/true"]
    found = forbidding({"/etc/modprobe.d/x.conf": lines}, "").lines("overlay")
    assert [(place.line, place.directive) for place in found] == [
        (3, "blacklist overlay"),
        (5, "install overlay /bin/true"),
    ]


@given(st.lists(st.text(st.characters(min_codepoint=9, max_codepoint=126)), max_size=6))
def test_no_text_of_a_modprobe_d_file_raises(lines: list[str]) -> None:
    forbidding({"/etc/modprobe.d/x.conf": lines}, "").lines("overlay", ["bridge"])


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_a_command_that_does_not_name_the_module_forbids_it(command: str) -> None:
    if "overlay" not in command:
        found = forbidding({"/etc/modprobe.d/x.conf": [f"install overlay {command}x"]}, "")
        assert found.lines("overlay")


def test_what_the_kernel_command_line_forbids_and_masked_files_do_not() -> None:
    files = {"/etc/modprobe.d/a.conf": [], "/usr/lib/modprobe.d/a.conf": ["blacklist overlay"]}
    found = forbidding(files, "module_blacklist=overlay,ip-vs modprobe.blacklist=vxlan")
    names = ["overlay", "ip_vs", "vxlan", "tun"]
    assert [name for name in names if found.lines(name)] == names[:3]
    assert {str(place) for name in names for place in found.lines(name)} == {"/proc/cmdline:1"}


_texts = st.lists(
    st.sampled_from(["overlay", "br-netfilter", "br_netfilter ", "# overlay", "", ";", "x y"])
).map("\n".join)


@given(_texts, st.lists(_names, max_size=3))
def test_requests_are_added_once_and_taken_out_again(text: str, names: list[str]) -> None:
    added = with_requests(text, names)
    asked = [name for _, name in requested_lines(added)]
    assert {name.replace("-", "_") for name in names} <= set(asked)
    assert added.startswith(text)
    assert with_requests(added, names) == added
    removed = without_requests(added, names)
    left = [name for _, name in requested_lines(removed)]
    assert left == [name for name in asked if name not in {n.replace("-", "_") for n in names}]
    assert [line for line in removed.split("\n") if line[:1] in ("#", ";")] == [
        line for line in text.split("\n") if line[:1] in ("#", ";")
    ]


@pytest.mark.parametrize("name", ["", "-r", "a b", "a\n", "a/b", "ü", "a" * 65, None, 1, True])
def test_bad_names(name: object) -> None:
    with pytest.raises(ValueError, match="br_netfilter"):
        check_name(name)
