"""What the kernel makes of a sysctl's text; the end-to-end tests ask a real one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.linux.sysctl_d import Tree, check_value, without_conflicts
from kubenode.linux.sysctl_value import is_number, is_value, kernel_value

TAG = "net/ipv4/conf/lo/tag"
FORWARD = "net.ipv4.ip_forward"
IPV6_ALL, IPV6_DEFAULT = "net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding"

# as written to net.ipv4.conf.lo.tag on kernel 6.x; None: Invalid argument
SEEN = {
    "1": "1",
    "1   # routing": "1",
    "1\t#x": "1",
    "1 2": "1",
    " 1 ": "1",
    "01": "1",
    "010": "8",
    "0x1": "1",
    "0X1f": "31",
    "-0": "0",
    "-1": "-1",
    "00000000000000000001": "1",
    "000000000000000000001": None,
    "+1": None,
    "08": None,
    "1#": None,
    "1;": None,
    "1,2": None,
    "- 1": None,
    "0x": None,
    "one": None,
    "": None,
}


@pytest.mark.parametrize(("text", "number"), SEEN.items())
def test_numbers(text: str, number: str | None) -> None:
    assert is_number(TAG, text) == (number is not None)
    if number is not None:
        assert is_value(TAG, text, number)
        assert kernel_value(TAG, text).split()[0] == number
    else:
        assert not is_value(TAG, text, "1")


def test_several_numbers_and_texts() -> None:
    ports = "net/ipv4/ip_local_port_range"
    assert is_value(ports, "32768 60999 # ours", "32768\t60999")
    assert not is_value(ports, "32768", "32768 60999")
    assert not is_value(ports, "32768 6", "32768 60999")
    assert not is_value("kernel/core_pattern", "01", "1")
    assert not is_value("net/ipv4/ip_local_reserved_ports", "8080 9148", "8080")
    assert kernel_value("kernel/core_pattern", "1  # x") == "1 # x"


@given(st.integers(-(2**63), 2**64 - 1), st.text(alphabet=" #x1\t", max_size=5))
def test_a_number_is_itself_whatever_follows(number: int, rest: str) -> None:
    assert is_value(TAG, f"{number} {rest}", str(number)) or len(str(number)) > 20


@given(st.text(max_size=20))
def test_any_text_has_one_meaning(text: str) -> None:
    once = kernel_value(TAG, text)
    assert kernel_value(TAG, once) == once


def test_own_values_are_numbers_alone() -> None:
    assert check_value("vm.x", "0x10") == "16"
    with pytest.raises(ValueError, match="numbers alone"):
        check_value("vm.x", "1 # routing")


@pytest.mark.parametrize("line", [f"{FORWARD} = 1   # routing", f"{FORWARD}=01"])
def test_a_right_line_is_neither_refused_nor_disabled(line: str) -> None:
    before = Tree({"/etc/sysctl.d/zz.conf": line})
    assert before.boot(FORWARD).value == "1"
    _, edits, conflicts = without_conflicts(
        before, "/etc/sysctl.d/k8s.conf", f"{FORWARD} = 1\n", {FORWARD: "1"}
    )
    assert (edits, conflicts) == ({}, [])


# seen with systemd-sysctl 252 and 257
@pytest.mark.parametrize(
    ("text", "default"),
    [
        (f"{IPV6_DEFAULT}=1\n{IPV6_ALL}=0", "1"),
        (f"{IPV6_DEFAULT}=1\n{IPV6_ALL}=00", "0"),
        (f"{IPV6_DEFAULT}=1\n{IPV6_ALL}=0 # x", "0"),
        (f"{IPV6_DEFAULT}=1\nnet.ipv6.conf.*.forwarding=0", "1"),
        (f"{IPV6_DEFAULT}=1\nnet.ipv6.conf.a*.forwarding=0", "1"),
        (f"{IPV6_DEFAULT}=0x1\n{IPV6_ALL}=0", "1"),
        (f"{IPV6_DEFAULT}=1\n{IPV6_ALL}=nonsense", "1"),
        (f"{IPV6_ALL}=1\n{IPV6_DEFAULT}=0", "0"),
        (f"{IPV6_DEFAULT}=0\n{IPV6_ALL}=1", "1"),
        (
            f"net.ipv6.conf.a*.forwarding=1\n{IPV6_DEFAULT}=0\nnet.ipv6.conf.al*.forwarding=1",
            "0",
        ),
    ],
)
def test_what_is_there_already_is_not_written(text: str, default: str) -> None:
    assert Tree({"/etc/sysctl.d/a.conf": text}).boot(IPV6_DEFAULT).value == default
