"""What os-release(5) says of a host, for every fact that asks which system it is."""

from __future__ import annotations

import shlex

from kubenode.wire.reading import Reading

_LONGEST_VALUE = 1000


def os_release(reading: Reading) -> dict[str, str]:
    """What os-release(5) says, by name; nothing where there is no such file, or it is unreadable.

    + reading: of a probe that has ``/etc/os-release``, and ``/usr/lib/os-release`` otherwise
    """
    return _os_release(reading.text("/etc/os-release") or reading.text("/usr/lib/os-release"))


def _os_release(lines: list[str]) -> dict[str, str]:
    # os-release(5): shell assignments, of which only quoting may be used
    release = {}
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        try:
            words = shlex.split(value[:_LONGEST_VALUE])
        except ValueError:
            continue
        release[name] = words[0] if words else ""
    return release
