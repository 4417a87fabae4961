"""What the kernel makes of a text that is written to a sysctl.

The rules, from the kernel's ``kernel/sysctl.c`` (``proc_get_long``, ``do_proc_dointvec``), and seen
on 6.x: a number is ``[-]digits``, octal with ``0`` and hexadecimal with ``0x`` in front, at most 20
characters. White space must follow it, or the end. A variable of one number takes the first and
does not look at the rest, so ``1   # routing`` is 1; one of several takes as many as it has.
``+1``, ``1#`` and ``08`` are refused, which leaves the variable as it was.
"""

from __future__ import annotations

import re

SPACE = " \t\r\n"

_LONGEST = 20
_PAGE = 4095
"""The kernel looks at no more of a number's text."""
_NUMBER = re.compile(r"(-?)(?:0[xX]([0-9A-Fa-f]+)|0([0-7]*)|([1-9][0-9]*))")

_TEXT = re.compile(
    r"kernel/(core_pattern|hostname|domainname|modprobe|poweroff_cmd|hotplug|printk_devkmsg"
    r"|watchdog_cpumask|seccomp/.*|random/.*id)"
    r"|net/core/(default_qdisc|flow_limit_cpu_bitmap|rps_default_mask)"
    r"|net/ipv4/(tcp_(congestion_control|allowed_congestion_control|fastopen_key)"
    r"|ip_local_reserved_ports)"
    r"|net/ipv6/conf/[^/]*/stable_secret|net/netfilter/nf_log/.*|vm/numa_zonelist_order"
    r"|fs/binfmt_misc/.*"
)
"""Variables that are text, or sets of numbers (``proc_dostring``, ``proc_do_large_bitmap``)."""


def words(value: str) -> str:
    """A value with every run of white space as one blank: how two texts are compared."""
    return " ".join(re.split(f"[{SPACE}]+", value.strip(SPACE)))


def _number(word: str) -> str | None:
    found = _NUMBER.fullmatch(word) if len(word) <= _LONGEST else None
    if not found:
        return None
    digits, base = next(
        (digits or "0", base)
        for digits, base in zip(found.groups()[1:], (16, 8, 10), strict=True)
        if digits is not None
    )
    number = int(digits, base)
    return str(-number if found[1] else number)


def is_number(path: str, text: str) -> bool:
    """Whether the kernel takes *text*, or its beginning, for a number.

    + path: the variable's under ``/proc/sys``
    + text: what is written to it
    """
    first = text[:_PAGE].strip(SPACE).split(None, 1)[:1]
    return bool(first) and _number(first[0]) is not None and not _TEXT.fullmatch(path)


def kernel_value(path: str, text: str) -> str:
    """What the variable shows once *text* was written to it; *text* where that is no number.

    + path: the variable's under ``/proc/sys``
    + text: what is written to it

    How many numbers a variable takes is not known here: those at the beginning are all kept.

    **Example:**

    .. code:: python

        kernel_value("net/ipv4/ip_forward", "0x1 # routing")  # "1"
    """
    if not is_number(path, text):
        return words(text)
    numbers = []
    for word in words(text[:_PAGE]).split(" "):
        number = _number(word)
        if number is None:
            break
        numbers.append(number)
    return " ".join(numbers)


def is_value(path: str, stated: str, wanted: str) -> bool:
    """Whether a variable is *wanted* once *stated* was written to it.

    + path: the variable's under ``/proc/sys``
    + stated: what a line says
    + wanted: as many numbers as the variable has, or a text
    """
    stated, wanted = kernel_value(path, stated), kernel_value(path, wanted)
    if stated == wanted or not is_number(path, wanted):
        return stated == wanted
    return f"{stated} ".startswith(f"{wanted} ")
