"""What a module is, and who asks for it or forbids it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.linux.kernel_modules import (
    Directive,
    RunningKernel,
    check_name,
    configuration,
    forbidding,
    module_of,
    requested_lines,
    requests,
    state_of,
    with_requests,
    without_requests,
)
from tests import modprobe_cases

NONE: frozenset[str] = frozenset()
MODULAR = RunningKernel(
    release="6.12.90",
    kernels_on_disk=["6.12.90"],
    can_load=True,
    loaded=frozenset({"overlay"}),
    in_sys={"overlay": True, "ext4": False},
    builtin=frozenset({"ext4", "unix"}),
    loadable=frozenset({"br_netfilter", "overlay"}),
)
NOT_MODULAR = RunningKernel(release="6.18.0", can_load=False, filesystems=frozenset({"overlay"}))


@pytest.mark.parametrize(
    ("name", "kernel", "state"),
    [
        ("overlay", MODULAR, "loaded"),
        ("ext4", MODULAR, "builtin"),
        ("unix", MODULAR, "builtin"),
        ("br-netfilter", MODULAR, "loadable"),
        ("nope", MODULAR, "absent"),
        ("overlay", NOT_MODULAR, "builtin"),
        ("br_netfilter", NOT_MODULAR, "unknown"),
        ("br_netfilter", RunningKernel(can_load=False, bridge=True), "builtin"),
        ("br_netfilter", RunningKernel(bridge=True), "loaded"),
        ("br_netfilter", RunningKernel(bridge=True, loaded=NONE), "builtin"),
        ("overlay", RunningKernel(in_sys={"overlay": True}), "loaded"),
        ("ip_vs", RunningKernel(config={"CONFIG_IP_VS": "n"}), "absent"),
        ("ip_vs", RunningKernel(config={"CONFIG_IP_VS": "y"}), "builtin"),
        ("ip_vs", RunningKernel(config={"CONFIG_IP_VS": "m"}), "unknown"),
        # what is seen to work outweighs what is written about it
        ("overlay", RunningKernel(can_load=False, filesystems=frozenset({"overlay"}),
                             config={"CONFIG_OVERLAY_FS": "n"}), "builtin"),
        ("ip_vs", RunningKernel(release="1", kernels_on_disk=["2"], loaded=NONE), "absent"),
        ("ip_vs", RunningKernel(release="1", kernels_on_disk=["2"], can_load=False), "unknown"),
        ("ip_vs", RunningKernel(release="1", kernels_on_disk=["1"], builtin=NONE), "unknown"),
        ("ip_vs", RunningKernel(release="1", kernels_on_disk=[]), "unknown"),
        ("ip_vs", RunningKernel(), "unknown"),
    ],
)  # fmt: skip
def test_states(name: str, kernel: RunningKernel, state: str) -> None:
    assert state_of(name, kernel)[0] == state


def test_a_pending_reboot_is_named() -> None:
    kernel = RunningKernel(release="6.1.0-9", kernels_on_disk=["6.1.0-55", "6.1.0-56"], loaded=NONE)
    assert state_of("overlay", kernel) == (
        "absent",
        "kernel 6.1.0-9 is gone from disk (on disk: 6.1.0-55, 6.1.0-56): reboot",
    )


_names = st.sampled_from(["overlay", "br_netfilter", "br-netfilter", "ip_vs", "zz"])
_sets = st.one_of(st.none(), st.frozensets(st.sampled_from(["overlay", "br_netfilter", "ip_vs"])))


@given(
    _names,
    st.builds(
        RunningKernel,
        release=st.just("1"),
        kernels_on_disk=st.sampled_from([None, [], ["1"], ["2"]]),
        can_load=st.sampled_from([None, True, False]),
        loaded=_sets,
        filesystems=st.sampled_from([NONE, frozenset({"overlay"})]),
        bridge=st.booleans(),
        builtin=_sets,
        loadable=_sets,
    ),
)
def test_absent_only_on_positive_knowledge(name: str, kernel: RunningKernel) -> None:
    state, reason = state_of(name, kernel)
    assert reason
    if state == "absent":
        metadata_read = kernel.builtin is not None and kernel.loadable is not None
        gone = bool(kernel.kernels_on_disk) and "1" not in (kernel.kernels_on_disk or [])
        assert metadata_read or gone
        assert kernel.can_load is not False
        for known in (kernel.loaded, kernel.builtin, kernel.loadable):
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
        "br_netfilter": [Directive("/etc/modules-load.d/a.conf", 2)],
        "overlay": [
            Directive("/etc/modules-load.d/a.conf", 3),
            Directive("/usr/lib/modules-load.d/b.conf", 1),
            Directive("/proc/cmdline", 1, "modules_load"),
        ],
        "vxlan": [Directive("/proc/cmdline", 1, "modules_load")],
        "dm_mod": [Directive("/proc/cmdline", 1, "rd.modules_load")],
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


LOAD, FORBID = "/etc/modules-load.d/k8s.conf", "/etc/modprobe.d/x.conf"
NO_BRIDGE = {FORBID: ["blacklist br_netfilter"]}


@pytest.mark.parametrize(
    ("name", "load", "modprobe", "line", "unreadable", "boot"),
    [
        ("ext4", "", {}, "", (), True),
        ("br-netfilter", "", {}, "", (), False),
        ("br-netfilter", "br_netfilter", {}, "", (), True),
        ("br_netfilter", "", {}, "modules-load=br_netfilter", (), True),
        # the initrd may not have it
        ("br_netfilter", "", {}, "rd.modules_load=br_netfilter", (), None),
        # what forbids it decides over who asks for it, but not over what is built in
        ("br_netfilter", "br_netfilter", NO_BRIDGE, "", (), False),
        ("br_netfilter", "br_netfilter", {}, "module_blacklist=br_netfilter", (), False),
        ("ext4", "", {FORBID: ["blacklist ext4"]}, "", (), True),
        # a blacklist in /run is gone by then
        ("br_netfilter", "br_netfilter", {"/run/modprobe.d/x.conf": ["blacklist br_netfilter"]},
         "", (), True),
        # another kernel may boot next
        ("nope", "nope", {}, "", (), None),
        ("nope", "", {}, "", (), False),
        # what cannot be read may say anything
        ("br_netfilter", "", {}, None, (), None),
        ("br_netfilter", "", {}, "", (LOAD,), None),
        ("br_netfilter", "", {}, "", ("/usr/lib/modules-load.d",), None),
        ("br_netfilter", "", {}, "", ("/run/modules-load.d",), False),
        ("br_netfilter", "br_netfilter", {}, "", ("/etc/modprobe.d",), None),
        ("br_netfilter", "br_netfilter", {FORBID: []}, "", (FORBID,), None),
        ("br_netfilter", "br_netfilter", NO_BRIDGE, "", ("/usr/lib/modprobe.d",), False),
    ],
)  # fmt: skip
def test_what_the_next_boot_has(
    name: str,
    load: str,
    modprobe: dict[str, list[str]],
    line: str | None,
    unreadable: tuple[str, ...],
    boot: bool | None,
) -> None:
    configured = configuration({LOAD: load}, modprobe, line, unreadable)
    assert module_of(name, MODULAR, configured).boot is boot


def test_of_what_may_be_built_in_the_boot_is_unknown() -> None:
    nothing = configuration({}, {}, "")
    assert module_of("ip_vs", RunningKernel(), nothing).boot is None
    # seen to work, and nobody knows whether it was loaded
    assert module_of("br_netfilter", RunningKernel(bridge=True), nothing).boot is None
    loaded = RunningKernel(loaded=frozenset({"ip_vs"}))
    assert module_of("ip_vs", loaded, nothing).boot is False


def test_a_module_that_could_be_loaded_and_is_forbidden() -> None:
    module = module_of(
        "br_netfilter", MODULAR, configuration({LOAD: "br_netfilter"}, NO_BRIDGE, "")
    )
    assert module.state == "blacklisted"
    assert module.reason == f"blacklist br_netfilter in {FORBID}:1"
    assert [str(place) for place in module.requested_by] == [f"{LOAD}:1"]
    assert [str(place) for place in module.blacklisted_by] == [f"{FORBID}:1"]
    # one that is loaded was loaded in spite of it
    overlay = configuration({}, {FORBID: ["blacklist overlay"]}, "")
    assert module_of("overlay", MODULAR, overlay).state == "loaded"
    assert module_of("overlay", MODULAR, overlay).boot is False


@given(
    st.sampled_from(["ext4", "overlay", "br_netfilter", "nope"]),
    st.booleans(),
    st.lists(st.sampled_from([LOAD, FORBID, "/usr/lib/modprobe.d", "/usr/lib/modules-load.d"])),
    st.sampled_from(["", None]),
)
def test_what_cannot_be_read_makes_no_boot_certain(
    name: str, is_asked: bool, unreadable: list[str], line: str | None
) -> None:
    files = {LOAD: name if is_asked else ""}, {FORBID: list[str]()}
    known = module_of(name, MODULAR, configuration(*files, ""))
    found = module_of(name, MODULAR, configuration(*files, line, unreadable))
    assert found.boot in (known.boot, None)
    decisive = FORBID if is_asked else LOAD
    if name in ("overlay", "br_netfilter") and (line is None or decisive in unreadable):
        assert found.boot is None
