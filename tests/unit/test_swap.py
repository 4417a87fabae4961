"""What turns swap on at the next boot, and what stops it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import swap as facts
from kubenode.linux.swap import (
    Partition,
    Started,
    Suspect,
    SwapAtBoot,
    stated,
    zram_devices,
)

ETC, USR = "/etc/systemd/system", "/usr/lib/systemd/system"
FSTAB = SwapAtBoot(files={"/etc/fstab": ["", "/dev/sda2 none swap sw"]})
UNIT = SwapAtBoot(wanted=[f"{ETC}/swap.target.wants/x.swap"], units=[f"{ETC}/x.swap"])
ZRAM = SwapAtBoot(
    generators=["/usr/lib/systemd/system-generators/zram-generator"],
    files={"/etc/systemd/zram-generator.conf": ["[zram0]"]},
)
SERVICE = SwapAtBoot(services=[Started(f"{ETC}/x.wants/zramswap.service", "zramswap.service")])
GPT = SwapAtBoot(generated=["/run/systemd/generator.late/dev-sda3.swap"])
SCRIPT = SwapAtBoot(suspects=[Suspect("script", "/etc/rc.local", "swapon /x")])
OWN = SwapAtBoot(suspects=[Suspect("enabled", f"{ETC}/a.service.d/b.conf", "ExecStart=swapon")])


def test_each_source_is_a_place() -> None:
    (line,) = FSTAB.sources()
    assert (str(line), line.kind, line.what) == (
        "/etc/fstab:2",
        "fstab",
        "/dev/sda2 none swap sw",
    )
    (link,) = UNIT.sources()
    assert (str(link), link.kind, link.what) == (UNIT.wanted[0], "unit", "x.swap")
    boots = (ZRAM, SERVICE, GPT, SCRIPT, OWN)
    kinds = [source.kind for boot in boots for source in boot.sources()]
    assert kinds == ["zram", "zram", "gpt-auto", "script", "service"]


@pytest.mark.parametrize(
    ("boot", "unit", "parameter"),
    [
        (FSTAB, "dev-sda2.swap", "fstab=no"),
        (FSTAB, "swap.target", "systemd.swap=0"),
        (ZRAM, "dev-zram0.swap", "systemd.zram=off"),
        (ZRAM, "systemd-zram-setup@zram0.service", "systemd.mask=dev-zram0.swap"),
        (GPT, "dev-sda3.swap", "systemd.gpt_auto=false"),
        (SERVICE, "zramswap.service", "systemd.mask=zramswap.service"),
        (SCRIPT, "rc-local.service", "systemd.mask=rc-local.service"),
        (OWN, "a.service", "systemd.mask=a.service"),
    ],
)
def test_a_mask_or_a_parameter_stops_it(boot: SwapAtBoot, unit: str, parameter: str) -> None:
    assert boot.sources()
    assert not replace(boot, masked=[f"{ETC}/{unit}"]).sources()
    assert not replace(boot, command_line=f"quiet {parameter} -- fstab=yes").sources()
    # what is behind -- is for init
    assert replace(boot, command_line=f"quiet -- {parameter}").sources()


@given(st.sampled_from([FSTAB, UNIT, ZRAM, SERVICE, GPT, SCRIPT, OWN]), st.booleans())
def test_without_systemd_nothing_is_certain(boot: SwapAtBoot, has_systemd: bool) -> None:
    undecided = replace(boot, runs_systemd=has_systemd).undecided()
    assert bool(undecided) is not has_systemd


def test_what_may_be_and_cannot_be_told() -> None:
    partition = SwapAtBoot(partitions=[Partition("/run/udev/data/b8:3", "")])
    assert partition.undecided() == [
        "partition 8:3 is of the type swap: systemd-gpt-auto may use it"
    ]
    assert SwapAtBoot(knows_partitions=False).undecided()
    assert not SwapAtBoot(knows_partitions=False, files=FSTAB.files).undecided()
    pulled = Suspect("pulled", f"{USR}/a.service", "ExecStart=/sbin/swapon /x")
    assert SwapAtBoot(suspects=[pulled]).undecided() == [
        "a.service calls swapon, and another unit may start it"
    ]
    wants = Suspect("enabled", f"{USR}/a.service", "Wants=x.swap y.swap")
    assert SwapAtBoot(suspects=[wants]).undecided() == ["a.service pulls in x.swap, y.swap"]
    both = [f"{ETC}/x.swap", f"{ETC}/y.swap"]
    assert not SwapAtBoot(suspects=[wants], masked=both).undecided()


def test_of_zram_the_first_main_file_and_each_drop_in_count() -> None:
    files = {
        "/etc/systemd/zram-generator.conf": ["[zram0]", "zram-size = 0"],
        "/usr/lib/systemd/zram-generator.conf": ["[zram1]"],
        "/etc/systemd/zram-generator.conf.d/b.conf": ["[zram2]"],
        "/usr/lib/systemd/zram-generator.conf.d/b.conf": ["[zram3]"],
        "/usr/lib/systemd/zram-generator.conf.d/c.conf": ["[zram4]", "mount-point = /x"],
    }
    assert [str(source) for source in zram_devices(files)] == [
        "/etc/systemd/zram-generator.conf.d/b.conf:1"
    ]


@given(st.lists(st.sampled_from(["A=1", "A = '2'", "#A=3", "B=4", "A", ' A="5" # x'])))
def test_the_last_assignment_counts(lines: list[str]) -> None:
    values = {"A=1": "1", "A = '2'": "2", ' A="5" # x': "5"}
    said = [values[line] for line in lines if line in values]
    assert stated(lines, "A") == (said[-1] if said else None)


@pytest.mark.parametrize(
    ("conf", "command_line", "device"),
    [
        ([], "quiet", None),
        (["# RESUME=/dev/sda1", "RESUME=UUID=0c"], "quiet", "UUID=0c"),
        (["RESUME=none"], "quiet", None),
        (["RESUME=auto"], "quiet", None),
        (["RESUME=UUID=0c"], "resume=/dev/sda2 quiet", "/dev/sda2"),
        (["RESUME=UUID=0c"], "quiet noresume", None),
    ],
)
def test_where_a_boot_looks_for_a_hibernation(
    conf: list[str], command_line: str, device: str | None
) -> None:
    assert facts._resume(conf, command_line) == device
