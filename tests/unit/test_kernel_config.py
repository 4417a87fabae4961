from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubenode.linux.kernel_config import ALIASES, proven, stated


def test_what_lines_say() -> None:
    lines = [
        "CONFIG_NET_NS=y",
        "CONFIG_VETH=m",
        "# CONFIG_TUN is not set",
        "CONFIG_HZ=250",
        'CONFIG_DEFAULT_HOSTNAME="(none)"',
        " CONFIG_INET=y",
        "# CONFIG_OVERLAY_FS=y",
        "CONFIG_EXT4_FS=y # no comment of kconfig's",
    ]
    assert stated(lines) == {"CONFIG_NET_NS": "y", "CONFIG_VETH": "m", "CONFIG_TUN": "n"}


def test_an_older_name_stands_for_the_newer_one() -> None:
    ((old, new),) = ALIASES.items()
    for lines in ([f"{old}=m", f"# {new} is not set"], [f"# {new} is not set", f"{old}=m"]):
        assert stated(lines) == {new: "m"}


@given(st.lists(st.sampled_from(["CONFIG_A=y", "CONFIG_A=m", "# CONFIG_A is not set"]), min_size=1))
def test_an_option_that_is_on_anywhere_is_on(lines: list[str]) -> None:
    on = [line[-1] for line in lines if "=" in line]
    assert stated(lines) == {"CONFIG_A": on[0] if on else "n"}


def test_what_a_kernel_shows() -> None:
    assert proven([], [], [], has_tcp=False) == {}
    shown = proven(["net", "mnt"], {"memory"}, {"ext4", "tmpfs"}, has_tcp=True)
    names = ("NET_NS", "NAMESPACES", "MEMCG", "CGROUPS", "EXT4_FS", "INET")
    assert shown == {f"CONFIG_{name}": "y" for name in names}
