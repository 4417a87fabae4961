"""fstab's swap lines, and the units that the generators of systemd 257 and 259 made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.linux.fstab import swap_lines, swap_unit


@pytest.mark.parametrize(
    ("device", "unit"),
    [
        ("/swapfile", "swapfile.swap"),
        ("/dev/sdb2", "dev-sdb2.swap"),
        ("UUID=12-ab", r"dev-disk-by\x2duuid-12\x2dab.swap"),
        ("PARTUUID=AB", r"dev-disk-by\x2dpartuuid-AB.swap"),
        (r"LABEL=my\040swap", r"dev-disk-by\x2dlabel-my\x5cx20swap.swap"),
        ('LABEL="q"', r"dev-disk-by\x2dlabel-q.swap"),
        ("PARTLABEL=a/b+c", r"dev-disk-by\x2dpartlabel-a\x5cx2fb\x2bc.swap"),
        ("/dev/disk/by-id/ata-X_1", r"dev-disk-by\x2did-ata\x2dX_1.swap"),
        ("/data/swap-1", r"data-swap\x2d1.swap"),
        ("//data//.x", "data-.x.swap"),
        ("/.hidden", r"\x2ehidden.swap"),
        ("swapname", "swapname.swap"),
    ],
)
def test_the_unit_of_a_device_is_systemds(device: str, unit: str) -> None:
    assert swap_unit(device) == unit


@pytest.mark.parametrize(
    ("options", "auto"),
    [("sw", True), ("sw,noauto", False), ("noauto,auto", True), ("auto,noauto", False), ("", True)],
)
def test_of_auto_and_noauto_the_last_counts(options: str, auto: bool) -> None:
    (line,) = swap_lines(["# /dev/sda1 none swap", f"/dev/sda2 none swap {options}".strip()])
    assert (line.number, line.auto) == (2, auto)


@given(st.lists(st.text(), max_size=4))
def test_no_file_raises(lines: list[str]) -> None:
    for line in swap_lines([*lines, f"{''.join(lines)} none swap"]):
        assert line.unit.endswith(".swap")
