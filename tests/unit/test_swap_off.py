"""What a host's files must become so that no swap comes back, by the rules that find it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.linux.swap import (
    FSTAB,
    WAAGENT_CONFIG,
    Partition,
    Started,
    Suspect,
    SwapAtBoot,
    lines_of,
)
from kubenode.linux.swap_off import CLOUD_FILE, SwapOff, swap_off

ETC, USR = "/etc/systemd/system", "/usr/lib/systemd/system"
ZRAM = "/etc/systemd/zram-generator.conf"
GENERATOR = "/usr/lib/systemd/system-generators/zram-generator"
MARK = "# disabled by kubenode: "
UUID = "0fd2b4a4-5a0c-4f3a-9a44-6e2a1d2f9b11"
PARTITION = Partition("/run/udev/data/b254:2", UUID)
GUARD = f"PARTUUID={UUID} none swap noauto 0 0"


def boot_of(texts: Mapping[str, str], **others: Any) -> SwapAtBoot:
    return SwapAtBoot(files={path: lines_of(text) for path, text in texts.items()}, **others)


def planned(texts: Mapping[str, str], **others: Any) -> SwapOff:
    return swap_off(boot_of(texts, **others), texts)


def new(to_do: SwapOff) -> dict[str, str]:
    return {edit.path: edit.new for edit in to_do.edits}


def test_a_line_of_fstab_becomes_a_comment_and_all_else_stays() -> None:
    text = "# a\n/dev/sda1 / ext4 rw 0 1\n\t/swap.img  none\tswap sw 0 0  \r\n/x none swap noauto"
    to_do = planned({FSTAB: text})
    assert new(to_do) == {FSTAB: text.replace("\t/swap.img", f"{MARK}\t/swap.img")}
    assert to_do.explained == [
        "/etc/fstab:3 (/swap.img none swap sw 0 0) turns swap on at boot: commented out"
    ]
    assert not to_do.blocked


def test_a_partition_that_fstab_named_is_not_left_to_systemd() -> None:
    """The trap: without fstab's line systemd-gpt-auto-generator takes the partition."""
    text = "UUID=x none swap sw 0 0"
    boot = boot_of({FSTAB: text}, partitions=[PARTITION])
    without = replace(boot, files={FSTAB: [f"#{text}"]})
    assert not without.sources()
    assert without.undecided() == [
        "partition 254:2 is of the type swap: systemd-gpt-auto may use it"
    ]

    to_do = swap_off(boot, {FSTAB: text})
    comment, why, guard, end = new(to_do)[FSTAB].split("\n")
    assert (comment, guard, end) == (f"{MARK}{text}", GUARD, "")
    assert why.startswith("# ")
    assert not to_do.blocked
    assert "noauto" in to_do.explained[-1]


def test_a_partition_that_systemd_took_gets_a_line_of_fstab() -> None:
    generated = ["/run/systemd/generator.late/dev-disk-by\\x2ddiskseq-1\\x2dpart2.swap"]
    to_do = planned({}, partitions=[PARTITION], generated=generated)
    assert GUARD in new(to_do)[FSTAB].splitlines()
    assert to_do.edits[0].old is None
    assert not to_do.blocked


@pytest.mark.parametrize(
    "boot",
    [
        {"partitions": [PARTITION], "command_line": "systemd.gpt_auto=0"},
        {"partitions": [PARTITION], "masked": [f"{ETC}/swap.target"]},
    ],
)
def test_where_systemd_takes_none_fstab_needs_no_line(boot: Mapping[str, Any]) -> None:
    assert not planned({FSTAB: ""}, **boot).edits


@pytest.mark.parametrize(
    "boot",
    [
        {"partitions": [Partition("/run/udev/data/b8:3", "")]},
        {"partitions": [Partition("/run/udev/data/b8:3", "none swap sw 0 0\n/x")]},
        {"knows_partitions": False},
        {"generated": ["/run/systemd/generator.late/dev-sda3.swap"]},
        {"runs_systemd": False},
        {"generators": ["/etc/systemd/system-generators/my-swap"]},
        {"suspects": [Suspect("script", "/etc/rc.local", "swapon -a")]},
        {"suspects": [Suspect("run", "/x", "swapon /y", "my.service")]},
        {"suspects": [Suspect("enabled", f"{ETC}/my.service", "ExecStart=/sbin/swapon /x")]},
        {"suspects": [Suspect("pulled", f"{ETC}/my.service", "ExecStart=/sbin/swapon /x")]},
        {"cloud_config": ["/etc/cloud/cloud.cfg:mounts:",
                          "/etc/cloud/cloud.cfg: - [/dev/sdb, none, swap, sw]"]},
    ],
)  # fmt: skip
def test_what_is_not_known_or_not_ours_blocks(boot: Mapping[str, Any]) -> None:
    assert planned({}, **boot).blocked


def test_units_and_services_are_masked() -> None:
    own, service = f"{ETC}/x.swap", f"{USR}/zramswap.service"
    texts = {own: "[Swap]\nWhat=/x\n"}
    to_do = planned(
        texts,
        units=[own],
        wanted=[f"{ETC}/swap.target.wants/x.swap", f"{ETC}/multi-user.target.wants/x.swap"],
        services=[Started(f"{ETC}/multi-user.target.wants/zramswap.service", "zramswap.service")],
        suspects=[
            Suspect("run", "/usr/sbin/zramswap", "swapon -p 5 /dev/zram0", "zramswap.service"),
            Suspect("enabled", service, "ExecStart=/sbin/swapon /dev/zram0"),
        ],
    )
    assert [(edit.path, edit.old, edit.new) for edit in to_do.edits] == [
        (own, texts[own], ""),
        (f"{ETC}/zramswap.service", None, ""),
    ]
    assert not to_do.blocked


def test_a_section_of_zram_becomes_a_comment_and_other_devices_stay() -> None:
    texts = {
        ZRAM: "# mine\n[zram0]\nzram-size = 1\n\n[zram1]\nmount-point = /x\n",
        f"/usr/lib{ZRAM.removeprefix('/etc')}.d/50.conf": "[zram0]\nswap-priority=1",
    }
    to_do = planned(texts, generators=[GENERATOR])
    assert new(to_do) == {
        ZRAM: f"# mine\n{MARK}[zram0]\n{MARK}zram-size = 1\n\n[zram1]\nmount-point = /x\n",
        # what is a package's is left alone: the same name in /etc wins
        f"{ZRAM}.d/50.conf": f"{MARK}[zram0]\n{MARK}swap-priority=1",
    }
    assert [edit.old for edit in to_do.edits] == [texts[ZRAM], None]
    assert to_do.zram_units == ["systemd-zram-setup@zram0.service"]
    assert not to_do.blocked


def test_zram_of_the_kernel_command_line_is_masked() -> None:
    to_do = planned({}, generators=[GENERATOR], command_line="quiet systemd.zram=1")
    assert new(to_do) == {f"{ETC}/dev-zram0.swap": ""}
    assert not to_do.blocked


def test_the_azure_agent_is_told_by_its_own_key() -> None:
    text = "A=1\nResourceDisk.EnableSwap=y\nResourceDisk.SwapSizeMB=2048\n"
    to_do = planned({WAAGENT_CONFIG: text}, services=[Started(f"{ETC}/x", "walinuxagent.service")])
    assert new(to_do) == {
        WAAGENT_CONFIG: f"A=1\n{MARK}ResourceDisk.EnableSwap=y\nResourceDisk.EnableSwap=n\n"
        "ResourceDisk.SwapSizeMB=2048\n"
    }


def test_cloud_init_gets_a_file_that_wins() -> None:
    lines = [
        "/etc/cloud/cloud.cfg:swap: {filename: /s, size: 1G}",
        "/etc/cloud/cloud.cfg.d/90.cfg:swap:",
        "/etc/cloud/cloud.cfg.d/90.cfg:  size: 2G",
    ]
    to_do = planned({}, cloud_config=lines)
    assert list(new(to_do)) == [CLOUD_FILE]
    assert not to_do.blocked
    # one that sorts behind it wins
    late = [line.replace("/90.", "/zzz.") for line in lines]
    assert planned({}, cloud_config=late).blocked


_FSTAB_LINES = st.sampled_from(
    ["", "# /x none swap sw", "/swapfile none swap sw 0 0", "\t/dev/sda2\tnone swap", "/a /b ext4",
     "LABEL=a\\040b none swap sw,noauto,auto 0 0", "/y none swap noauto", "caf\udce9 none swap\r"]
)  # fmt: skip
_ZRAM_LINES = st.sampled_from(
    ["[zram0]", "[zram1]", "[other]", "zram-size = ram / 2", "zram-size=0", "mount-point=/x",
     "; swap", "", "fs-type = swap"]
)  # fmt: skip
_AGENT_LINES = st.sampled_from(
    ["ResourceDisk.EnableSwap=y", " ResourceDisk.EnableSwap = Y", "ResourceDisk.EnableSwap=n",
     "ResourceDisk.Format=y", "#ResourceDisk.EnableSwap=y", ""]
)  # fmt: skip
_FILES = {
    FSTAB: _FSTAB_LINES,
    WAAGENT_CONFIG: _AGENT_LINES,
    ZRAM: _ZRAM_LINES,
    f"/usr/lib{ZRAM.removeprefix('/etc')}": _ZRAM_LINES,
    f"{ZRAM}.d/a.conf": _ZRAM_LINES,
    f"/usr/lib{ZRAM.removeprefix('/etc')}.d/b.conf": _ZRAM_LINES,
}
_TEXTS = st.fixed_dictionaries(
    {}, optional={path: st.lists(lines).map("\n".join) for path, lines in _FILES.items()}
)
_SERVICES = ["zramswap.service", "dphys-swapfile.service", "walinuxagent.service"]
_UNITS = ["x.swap", "dev-zram0.swap", "swapfile.swap"]


_ADDED = ("# Written by kubenode", "PARTUUID=", "ResourceDisk.EnableSwap=n")


@st.composite
def hosts(draw: st.DrawFn) -> tuple[SwapAtBoot, dict[str, str]]:
    """A host with sources of each kind that has means, and what may keep them from being one."""
    texts = draw(_TEXTS)

    def some(items: Any) -> Any:
        return draw(st.lists(st.sampled_from(items), unique=True))

    units = [f"{ETC}/{name}" for name in some(_UNITS)]
    masked = [*_UNITS, *_SERVICES, "swap.target", "systemd-zram-setup@zram1.service"]
    boot = boot_of(
        texts,
        command_line=" ".join(some(["systemd.zram=1", "systemd.gpt_auto=0", "fstab=no", "quiet"])),
        masked=[path for path in (f"{ETC}/{name}" for name in some(masked)) if path not in units],
        units=units,
        wanted=[f"{ETC}/swap.target.wants/{name}" for name in some(_UNITS)],
        generators=some([GENERATOR]),
        partitions=some([PARTITION]),
        services=[Started(f"{ETC}/x.wants/{name}", name) for name in some(_SERVICES)],
        suspects=[Suspect("run", "/sbin/z", "swapon", name) for name in some(_SERVICES[:2])],
        cloud_config=draw(
            st.sampled_from([(), ["/etc/cloud/cloud.cfg:swap: {filename: a, size: 1}"]])
        ),
    )
    return boot, texts | {path: f"[Swap]\nWhat=/{path}\n" for path in units}


@given(hosts())
def test_nothing_turns_swap_on_afterwards_by_the_rules_that_find_it(
    host: tuple[SwapAtBoot, dict[str, str]],
) -> None:
    boot, texts = host
    to_do = swap_off(boot, texts)
    assert to_do.blocked == []
    assert (to_do.after.sources(), to_do.after.undecided()) == ([], [])
    # what had no source is left alone, and what has none any more
    assert bool(to_do.edits) == bool(boot.sources() or boot.undecided())
    again = swap_off(to_do.after, texts | new(to_do))
    assert (again.edits, again.zram_units) == ([], [])


@given(hosts())
def test_what_is_taken_out_can_be_put_back_to_the_letter(
    host: tuple[SwapAtBoot, dict[str, str]],
) -> None:
    boot, texts = host
    for edit in swap_off(boot, texts).edits:
        assert edit.old == texts.get(edit.path)
        if edit.new == "" or edit.path == CLOUD_FILE:
            continue
        package = f"/usr/lib{edit.path.removeprefix('/etc')}"
        old = (texts.get(package, "") if edit.old is None else edit.old).split("\n")
        lines = [line.removeprefix(MARK) for line in edit.new.split("\n")]
        rest = iter(lines)
        assert all(line in rest for line in old)
        more = Counter(lines) - Counter(old)
        assert all(line.startswith(_ADDED) or line == "" for line in more)
