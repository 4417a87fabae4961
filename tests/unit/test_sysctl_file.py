"""A sysctl.d file that several write to: what is wanted is set, all else stays to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.linux.sysctl_d import HEADER, Tree, assignment, check_values, path_of
from kubenode.linux.sysctl_file import OLD_HEADER, with_values
from kubenode.linux.sysctl_value import is_value

FORWARD = "net.ipv4.ip_forward"
FILE = "/etc/sysctl.d/k8s.conf"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, f"{HEADER}{FORWARD} = 1\n"),
        ("", f"{HEADER}{FORWARD} = 1\n"),
        (f"{FORWARD} = 0\n", f"{FORWARD} = 1\n"),
        ("# mine\nvm.swappiness=10", f"# mine\nvm.swappiness=10\n{FORWARD} = 1\n"),
        # right already, whatever the spelling
        ("  net/ipv4/ip_forward=01 # routing\n", "  net/ipv4/ip_forward=01 # routing\n"),
        (f"-{FORWARD} = 1\n", f"-{FORWARD} = 1\n"),
        (f"{FORWARD}=1\n{FORWARD} = 0x1\n", f"{FORWARD}=1\n{FORWARD} = 0x1\n"),
        # where the last one stood
        (f"{FORWARD}=0\na.b=1\n{FORWARD} =1\n#\n", f"a.b=1\n{FORWARD} =1\n#\n"),
        (f"{FORWARD}=1\na.b=1\nnet/ipv4/ip_forward=0\n#\n", f"a.b=1\n{FORWARD} = 1\n#\n"),
        (f"{FORWARD}=1\n-{FORWARD}\na.b=1\n", f"{FORWARD} = 1\na.b=1\n"),
        (f"{FORWARD}=0\r\na.b=1\r\n", f"{FORWARD} = 1\r\na.b=1\r\n"),
        (f"{FORWARD}=0\ra.b=1\r", f"{FORWARD} = 1\ra.b=1\r"),
        # another name of the variable comes later: behind it
        (
            f"{FORWARD}=0\nnet.ipv4.conf.all.forwarding=0\n",
            f"net.ipv4.conf.all.forwarding=0\n{FORWARD} = 1\n",
        ),
        (f"{OLD_HEADER}a.b = 1\n", f"{HEADER}a.b = 1\n{FORWARD} = 1\n"),
    ],
)
def test_one_key(old: str | None, new: str) -> None:
    assert with_values(old, {FORWARD: "1"}) == (new, ())


def test_missing_keys_come_in_their_order() -> None:
    wanted = {"vm.panic_on_oom": "0", FORWARD: "1", "kernel.panic": "10"}
    assert with_values(f"# x\n{FORWARD}=1\n", wanted).text == (
        f"# x\n{FORWARD}=1\nvm.panic_on_oom = 0\nkernel.panic = 10\n"
    )


def test_exclusive_removes_lines_of_other_keys_and_says_which() -> None:
    old = f"# mine\na.b=1\n{FORWARD}=0\n-c.d\nnet.*.x = 3\n\n; more\n"
    assert with_values(old, {FORWARD: "1"}, exclusive=True) == (
        f"# mine\n{FORWARD} = 1\n\n; more\n",
        ("a.b=1", "-c.d", "net.*.x = 3"),
    )


KEYS = st.sampled_from(
    [
        FORWARD,
        "net/ipv4/ip_forward",
        "net.ipv4.conf.all.forwarding",
        "net.ipv6.conf.all.forwarding",
        "net.ipv6.conf.default.forwarding",
        "net.ipv4.conf.*.forwarding",
        "net.ipv6.conf.*.forwarding",
        "net.ipv4.conf.eth0.forwarding",
        "kernel.panic",
        "vm.swappiness",
        "net.*",
    ]
)
ASSIGNMENTS = st.builds(
    "{}{}{}".format, st.sampled_from(["", "-", "  "]), KEYS, st.sampled_from(["=0", " = 1", "=01"])
)
LINES = st.one_of(
    ASSIGNMENTS,
    ASSIGNMENTS,
    KEYS.map("-{}".format),
    st.sampled_from(["# net.ipv4.ip_forward = 0", "", " ; x", "kernel.panic 1", "é="]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
)
FILES = st.one_of(
    st.none(),
    st.lists(st.tuples(LINES, st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]))).map(
        lambda lines: "".join(line + end for line, end in lines)
    ),
    st.text(st.sampled_from("net.ipv4/_forwad=01#\r\n -;*"), max_size=60),
)
WANTED = st.dictionaries(
    st.sampled_from(
        [
            "net.ipv6.conf.all.forwarding",
            "net.ipv6.conf.default.forwarding",
            FORWARD,
            "kernel.panic",
            "net.ipv4.conf.eth0.forwarding",
        ]
    ),
    st.sampled_from(["0", "1"]),
    min_size=1,
)


def checked(wanted: dict[str, str]) -> dict[str, str] | None:
    try:
        return check_values(wanted)
    except ValueError:
        return None


def lines_of_others(text: str, wanted: dict[str, str]) -> list[str]:
    paths = {path_of(key) for key in wanted}
    lines = text.replace("\r", "\n").split("\n")
    found = [(line, assignment(line)) for line in lines]
    return [line for line, each in found if not each or path_of(each[0]) not in paths]


@given(FILES, WANTED.map(checked).filter(bool), st.booleans())
def test_what_is_wanted_is_set_and_all_else_stays(
    old: str | None, wanted: dict[str, str], exclusive: bool
) -> None:
    text, removed = with_values(old, wanted, exclusive)
    boots = {key: Tree({FILE: text}).boot(key) for key in wanted}
    assert all(is_value(path_of(key), boots[key].value or "", wanted[key]) for key in wanted), boots
    # twice is once
    assert with_values(text, wanted, exclusive) == (text, ())
    if old:
        before = [line for line in lines_of_others(old, wanted) if line not in ("", *removed)]
        after = [line for line in lines_of_others(text, wanted) if line]
        assert after == before
    if exclusive:
        assert all(
            path_of(found[0]) in {path_of(key) for key in wanted}
            for found in map(assignment, text.replace("\r", "\n").split("\n"))
            if found
        )


@given(WANTED.map(checked).filter(bool), WANTED.map(checked).filter(bool))
def test_a_second_call_drops_no_key_of_the_first(
    first: dict[str, str], second: dict[str, str]
) -> None:
    text = with_values(with_values(None, first).text, second).text
    named = {found[0] for found in map(assignment, text.split("\n")) if found}
    assert named == {*first, *second}
