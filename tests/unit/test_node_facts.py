"""The parsers of the Node fact's parts: nothing a host sends raises, and what is right is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import (
    certificates,
    container_cgroups,
    kernel_config,
    kubelet,
    kubernetes_keys,
    logind,
    machine,
    network,
    prerequisites,
    swap,
)
from kubenode.facts.node import Node
from kubenode.linux import kernel_modules
from kubenode.linux.kernel_config import ALIASES, OPTIONAL, REQUIRED
from kubenode.wire.reading import ProbeError, Reading
from tests.sealed import seal

SYSTEMD = {"systemd": "yes"}
LINES = st.lists(st.text(st.characters(min_codepoint=9, max_codepoint=126)), max_size=5)
KEYS = st.sampled_from(
    [
        "df", "inodes", "mounts", "programs", "listeners", "host", "localhost", "proxies", "units",
        "/proc/swaps", "/etc/fstab", "/proc/cmdline", "/etc/systemd/zram-generator.conf", "paths",
        "config", "namespaces", "suspects", "cloud", "/etc/waagent.conf", "/proc/cgroups",
        "/sys/devices/system/cpu/online", "unit",
        "/var/lib/kubelet/config.yaml", "/etc/default/kubelet", "kubelet_arguments",
        "/proc/sys/kernel/hostname", "/sys/fs/selinux/enforce", "time_services",
    ]
)  # fmt: skip
VALUES = st.sampled_from(
    ["memory", "uname", "file", "default_route", "mac:eth0", "zram_generator", "kubelet_version",
     "kubelet_config", "binary", "clock", "systemd"]
)  # fmt: skip
READINGS = st.builds(
    Reading,
    st.dictionaries(VALUES, st.text(st.characters(min_codepoint=32, max_codepoint=126))),
    st.dictionaries(KEYS, LINES),
    st.just({}),
    st.frozensets(KEYS, max_size=3),
)


@given(READINGS)
@pytest.mark.parametrize(
    "parse",
    [
        container_cgroups.parse,
        kernel_config.parse,
        machine.parse,
        network.parse,
        swap.parse,
        kubelet.parse,
        kubernetes_keys.parse,
        logind.parse,
        certificates.parse,
        prerequisites.parse,
    ],
)
def test_nothing_else_raises(parse: Callable[[Reading], object], reading: Reading) -> None:
    with suppress(ProbeError):
        parse(reading)


def texts(**texts: str) -> Reading:
    return Reading(texts={key: text.split("\n") for key, text in texts.items()})


@pytest.mark.parametrize(
    ("line", "is_swap"),
    [
        ("/dev/sda2 none swap sw 0 0", True),
        ("UUID=1 none swap", True),
        ("/dev/sda2 none swap sw,noauto 0 0", False),
        ("#/dev/sda2 none swap sw 0 0", False),
        ("/dev/sda1 /swap ext4 defaults 0 0", False),
        ("", False),
    ],
)
def test_fstab(line: str, is_swap: bool) -> None:
    reading = Reading(SYSTEMD, {"/etc/fstab": [line], "/proc/swaps": ["Filename"]})
    assert bool(swap.parse(reading)["boot"]) == is_swap
    off = Reading(SYSTEMD, {**reading.texts, "/proc/cmdline": ["quiet systemd.swap=0"]})
    assert swap.parse(off)["boot"] == []


def swap_at_boot(*units: str, fstab: str = "", kernel: str = "", **more: Any) -> object:
    texts = {"units": list(units), "/etc/fstab": [fstab], "/proc/cmdline": [kernel], **more}
    found = swap.parse(Reading(SYSTEMD, texts))
    assert (found["boot"] is None) == (found["undecided"] != [])
    return found["boot"] and [source["what"] for source in found["boot"]]


FSTAB = "UUID=1-2 none swap sw"
UNIT = r"dev-disk-by\x2duuid-1\x2d2.swap"


def test_a_masked_unit_is_not_started() -> None:
    for unit in (UNIT, "swap.target"):
        assert swap_at_boot(f"masked /etc/systemd/system/{unit}", fstab=FSTAB) == []
        # a generator's unit wins over those of /usr
        low = swap_at_boot(f"masked /usr/lib/systemd/system/{unit}", fstab=FSTAB)
        assert low == ([FSTAB] if unit == UNIT else [])
    assert swap_at_boot(fstab=FSTAB, kernel=f"systemd.mask={UNIT}") == []
    assert swap_at_boot("masked /etc/systemd/system/dev-sda2.swap", fstab=FSTAB) == [FSTAB]
    wanted = "wanted /etc/systemd/system/swap.target.wants/x.swap"
    assert swap_at_boot(wanted, "masked /usr/lib/systemd/system/x.swap") == []
    above = ("unit /etc/systemd/system/x.swap", "masked /usr/lib/systemd/system/x.swap")
    assert swap_at_boot(wanted, *above) == ["x.swap"]


def test_a_swap_partition_counts_where_fstab_has_no_swap() -> None:
    generated = "generated /run/systemd/generator.late/dev-sda3.swap"
    assert swap_at_boot(generated) == ["dev-sda3.swap"]
    assert swap_at_boot(generated, fstab="/dev/sdz none swap noauto") == []
    assert swap_at_boot(generated, kernel="systemd.gpt_auto=0") == []
    assert swap_at_boot(generated, "masked /etc/systemd/system/dev-sda3.swap") == []
    # nobody generated it yet: it is not known whether somebody will
    assert swap_at_boot("partition /run/udev/data/b8:3") is None
    assert swap_at_boot("partition /run/udev/data/b8:3", fstab=FSTAB) == [FSTAB]
    assert swap_at_boot("partition /run/udev/data/b8:3", kernel="systemd.swap=0") == []


def test_zram_whose_units_are_masked() -> None:
    generator = "generator /usr/lib/systemd/system-generators/zram-generator"
    config: dict[str, Any] = {"/etc/systemd/zram-generator.conf": ["[zram0]"]}
    assert swap_at_boot(generator, **config) == ["zram0"]
    assert swap_at_boot(generator, kernel="systemd.zram=0", **config) == []
    for unit in ("dev-zram0.swap", "systemd-zram-setup@zram0.service", "swap.target"):
        assert swap_at_boot(generator, f"masked /etc/systemd/system/{unit}", **config) == []
    assert swap_at_boot("generator /etc/systemd/system-generators/rpi-swap") is None


@pytest.mark.parametrize(
    ("config", "swaps"),
    [
        (["ResourceDisk.EnableSwap=y"], True),
        (["ResourceDisk.EnableSwap=y", "ResourceDisk.Format=y"], True),
        (["ResourceDisk.EnableSwap=y # memory"], True),
        (["ResourceDisk.EnableSwap=y", "ResourceDisk.Format=n"], False),
        (["ResourceDisk.EnableSwap=y", "ResourceDisk.SwapSizeMB=0"], False),
        (["ResourceDisk.EnableSwap=n"], False),
        (["#ResourceDisk.EnableSwap=y"], False),
        (["ResourceDisk.EnableSwap=y", "ResourceDisk.EnableSwap=n"], False),
    ],
)
def test_azures_agent(config: list[str], swaps: bool) -> None:
    link = "/etc/systemd/system/multi-user.target.wants/walinuxagent.service"
    service = f"service {link} walinuxagent.service"
    agent: dict[str, Any] = {"/etc/waagent.conf": config}
    found = swap_at_boot(service, **agent)
    assert bool(found) == swaps


def test_a_host_without_systemd_has_an_init_of_its_own() -> None:
    found = swap.parse(Reading(texts={"/etc/fstab": [""]}))
    assert found["boot"] is None
    assert "does not run systemd" in found["undecided"][0]


def test_an_unreadable_fstab_is_unknown_not_absent() -> None:
    found = swap.parse(Reading(unreadable=frozenset({"/etc/fstab", "/proc/swaps"})))
    assert found["boot"] is None
    assert found["live"] is None
    assert found["unreadable"] == ["/etc/fstab"]


@given(
    st.ip_addresses(v=4),
    st.integers(0, 0xFFFF),
    st.integers(0, 2**31),
)
def test_listeners_of_proc_net_tcp(address: object, port: int, uid: int) -> None:
    packed = bytes(int(part) for part in str(address).split("."))[::-1].hex().upper()
    line = (
        f"   0: {packed}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {uid} 0"
    )
    found = network.parse(Reading(texts={"/proc/net/tcp": [line]}))
    assert found["listeners"] == [{"port": port, "address": str(address), "uid": uid}]


def test_no_answer_to_ports_is_unknown() -> None:
    assert network.parse(Reading())["listeners"] is None
    assert network.parse(Reading(texts={"/proc/net/tcp": []}))["listeners"] == []


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0-3", 4), ("0", 1), ("0-1,4,6-7", 5), ("", None), ("x", None), ("3-", None)],
)
def test_cpus(text: str, cpus: int | None) -> None:
    found = machine.parse(Reading(texts={"/sys/devices/system/cpu/online": [text]}))
    assert found["cpus"] == cpus


def test_df() -> None:
    head = "Filesystem 1024-blocks Used Available Capacity Mounted on"
    reading = texts(
        df=f"{head}\n/dev/sda1 1000 900 100 90% /\nserver:/a b 500 1 499 1% /var/lib/kubelet",
        inodes=f"{head}\n/dev/sda1 200 150 50 75% /\nserver:/a b 0 0 0 - /var/lib/kubelet",
        mounts="/dev/sda1 / ext4 rw,noexec 0 0",
    )
    found = machine.parse(reading)["file_systems"]
    assert found["/"] == {
        "kind": "ext4",
        "mount": "/",
        "size_kib": 1000,
        "free_kib": 100,
        "free_inodes_percent": 25,
        "options": ["rw", "noexec"],
    }
    assert found["/var/lib/kubelet"]["free_kib"] == 499
    assert found["/var/lib/kubelet"]["free_inodes_percent"] is None


CONTAINER = "fe3f6881603f38423d595a97535166fd2953ae5a2adeaa7167dc7fa94fb763e0"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (f"/kubepods.slice/kubepods-podx.slice/cri-containerd-{CONTAINER}.scope", "systemd"),
        (f"/kubepods.slice/kubepods-podx.slice/crio-{CONTAINER}.scope", "systemd"),
        (f"/kubepods/burstable/podx/{CONTAINER}", "cgroupfs"),
        (f"/system.slice/kubepods-podx.slice:cri-containerd:{CONTAINER}", "misplaced_count"),
        (f"/kubepods-podx.slice:cri-containerd:{CONTAINER}", "misplaced_count"),
        (f"/kubepods/podx/{CONTAINER}", "cgroupfs"),
        # on v1 below the runtime's own service
        (f"/system.slice/containerd.service/kubepods-podx.slice:x:{CONTAINER}", "misplaced_count"),
        # what users, services with Delegate= and containers may have named so
        (f"/user.slice/user-1.slice/user@1.service/kubepods-x.slice:c:{CONTAINER}", None),
        (f"/user.slice/user-1.slice/user@1.service/kubepods/podx/{CONTAINER}", None),
        (f"/system.slice/site.service/kubepods-x.slice:cri-containerd:{CONTAINER}", None),
        (f"/docker/{CONTAINER}/kubepods/podx/{CONTAINER}", None),
        (
            f"/kubepods.slice/cri-containerd-{CONTAINER}.scope/kubepods-x.slice:c:{'0' * 64}",
            "systemd",
        ),
        (f"/kubepods/podx/{CONTAINER}/kubepods-x.slice:c:{'0' * 64}", "cgroupfs"),
        (f"/docker/{CONTAINER}", None),
        ("/kubepods.slice", None),
    ],
)
@pytest.mark.parametrize("line", ["0::{}", "4:memory:{}", "1:name=systemd:{}"])
def test_where_containers_are(path: str, where: str | None, line: str) -> None:
    found = container_cgroups.parse(Reading(texts={"paths": [line.format(path)]}))
    assert found["containers"] == (where is not None)
    for name in ("systemd", "cgroupfs", "misplaced_count"):
        assert found[name] == (name == where), name


@pytest.mark.parametrize(
    ("routes", "routes6", "has_one"),
    [
        (["eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0"], [], True),
        ([], [f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 28} 1 2 0 450003     eth0"], True),
        ([], [f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 1 0 200200       lo"], False),
        ([], [], False),
        (None, [], None),
    ],
)
def test_default_routes(routes: list[str] | None, routes6: list[str], has_one: bool | None) -> None:
    sent = {} if routes is None else {"/proc/net/route": routes, "/proc/net/ipv6_route": routes6}
    assert network.parse(Reading(texts=sent))["default_route"] == has_one


def test_what_others_could_not_read_is_not_swaps() -> None:
    others = frozenset({"/etc/crictl.yaml", "/etc/sysctl.d"})
    found = swap.parse(Reading(SYSTEMD, unreadable=others))
    assert found["boot"] == []
    assert found["unreadable"] == []


def test_a_configuration_is_asked_for_all_that_is_judged_by_it() -> None:
    """What the deploy and the audit ask for is read once, by one pattern."""
    (pattern,) = re.findall("^options='(.*)'; ", kernel_config.READ, re.MULTILINE)
    for name in (
        "CONFIG_MODULES",
        *REQUIRED,
        *OPTIONAL,
        *ALIASES,
        *kernel_modules.CONFIG_OPTIONS.values(),
    ):
        assert re.search(pattern, f"{name}=y"), name
        assert re.search(pattern, f"# {name} is not set"), name
    assert not re.search(pattern, "CONFIG_MODULES_TREE_LOOKUP=y")


def test_a_kernel_option_that_is_not_in_a_configuration_is_off() -> None:
    reading = Reading({"config_file": "/proc/config.gz"}, {"config": ["CONFIG_MEMCG=y"]})
    found = kernel_config.parse(reading)["options"]
    assert found["CONFIG_MEMCG"] == "y"
    assert found["CONFIG_INET"] == "n"
    assert "CONFIG_INET" not in kernel_config.parse(Reading())["options"]


def test_the_command_is_far_from_the_kernels_limit() -> None:
    # one argument may have 128 KiB (MAX_ARG_STRLEN); pyinfra quotes it up to twice, and every
    # single quote grows to five characters each time
    command = Node().command()
    quotes = command.count("'")
    assert len(command) + 4 * quotes + 20 * quotes < 112_000


def test_a_part_that_is_cut_off_does_not_spoil_the_others() -> None:
    fact = Node()
    fact.command()
    output = [
        "%begin shared",
        "%text /proc/swaps",
        "|Filename",
        "%done",
        *(f"%absent {item}" for item in swap.script().items() if item != "/proc/swaps"),
        "%end shared",
        "%begin swap",
        "%text units",
        "|",
        "%done",
        "%end swap",
        "%begin machine",
        "%value memory 1000",
    ]
    found = fact.process(seal(fact.scripts, output))
    assert found["swap"]
    assert found["swap"]["live"] == []
    assert found["machine"] is None
    assert "cut off" in found["missing"]["machine"]
    assert set(found["missing"]) == {name for name in found if name not in ("swap", "missing")}
