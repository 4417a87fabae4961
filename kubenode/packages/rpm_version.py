"""Which of two RPM versions is the newer one, as rpm itself compares them; pure.

Sources: rpm-version(7), and ``rpmvercmp`` of rpm's rpmio/rpmvercmp.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cmp_to_key

_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~|\^", re.ASCII)


def compare(one: str, two: str) -> int:
    """Below 0 where *one* is older than *two*, above 0 where it is newer, 0 where rpm cannot tell.

    + one, two: ``[EPOCH:]VERSION[-RELEASE]``; no epoch is 0, and one without a release is like any

    **Example:**

    .. code:: python

        compare("2.4.0~rc.1-1.el9", "2.4.0-1.el9")  # -1
    """
    epoch_one, version_one, release_one = _parts(one)
    epoch_two, version_two, release_two = _parts(two)
    if epoch_one != epoch_two:
        return -1 if epoch_one < epoch_two else 1
    compared = compare_parts(version_one, version_two)
    if compared == 0 and release_one is not None and release_two is not None:
        return compare_parts(release_one, release_two)
    return compared


def newest_first(versions: Iterable[str]) -> list[str]:
    """Versions in rpm's order, each once.

    + versions: ``[EPOCH:]VERSION[-RELEASE]``
    """
    return sorted(dict.fromkeys(versions), key=cmp_to_key(compare), reverse=True)


def compare_parts(one: str, two: str) -> int:
    """The same of two versions, or two releases, alone.

    + one, two: such as ``2.4.0~rc.1``
    """
    ones, twos = _SEGMENT.findall(one), _SEGMENT.findall(two)
    for first, second in zip([*ones, ""], [*twos, ""], strict=False):
        if first == second:
            continue
        # older than all, the end too
        if "~" in (first, second):
            return -1 if first == "~" else 1
        # newer than the end, older than all else
        if "^" in (first, second):
            is_at_end = not first or not second
            return 1 if (first == "^") == is_at_end else -1
        if not first or not second:
            break
        compared = _compare_segments(first, second)
        if compared:
            return compared
    return (len(ones) > len(twos)) - (len(ones) < len(twos))


def _compare_segments(first: str, second: str) -> int:
    # a number is newer than letters
    if first.isdigit() != second.isdigit():
        return 1 if first.isdigit() else -1
    if first.isdigit():
        first, second = first.lstrip("0"), second.lstrip("0")
        if len(first) != len(second):
            return 1 if len(first) > len(second) else -1
    return (first > second) - (first < second)


def _parts(version: str) -> tuple[int, str, str | None]:
    epoch, colon, rest = version.partition(":")
    if not (colon and re.fullmatch(r"\d{1,10}", epoch, re.ASCII)):
        epoch, rest = "0", version
    number, dash, release = rest.rpartition("-")
    return (int(epoch), number, release) if dash else (int(epoch), rest, None)
