"""How much of a host's files is read: what is longer counts as not readable, so as unknown.

A host's files are a stranger's, and no time limit ends a parser at work. Each limit is far above
what such files hold anywhere, and its parser takes less than a quarter of a second for it. Limits
of TOML and YAML are with their readers, :mod:`kubenode.files.toml_text` and
:mod:`kubenode.files.go_yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kubenode.linux import kernel_modules, sysctl_d
from kubenode.wire.reading import Reading


@dataclass(frozen=True)
class Limit:
    """The most that all files of one kind together may hold."""

    places: tuple[str, ...]
    """Files, and directories whose files count."""
    most_bytes: int


LIMITS = (
    # systems with a generated hardening file have 250 KiB
    Limit((*sysctl_d.DIRECTORIES, sysctl_d.PROCPS_FILE), 512 * 1024),
    # a line for each module that is loaded at boot
    Limit(kernel_modules.LOAD_DIRECTORIES, 64 * 1024),
    # Ubuntu ships 20 KiB of blacklists
    Limit(kernel_modules.MODPROBE_DIRECTORIES, 128 * 1024),
    # 20 lines
    Limit(("/etc/os-release", "/usr/lib/os-release"), 16 * 1024),
    Limit(("/etc/fstab",), 64 * 1024),
    Limit(("/etc/docker/daemon.json",), 64 * 1024),
    # arm64 takes 2 KiB, s390x 4 KiB
    Limit(("/proc/cmdline",), 16 * 1024),
    Limit(("/sys/devices/system/cpu",), 16 * 1024),
    # texts of probes: a line for each of seven places, and below /sys/fs/cgroup
    Limit(("mounts",), 64 * 1024),
)
_LIMIT_OF = {place: limit for limit in LIMITS for place in limit.places}


def within(reading: Reading) -> Reading:
    """A reading without the files that are beyond a limit: those are unreadable in it.

    + reading: what a host sent

    Of several files the first ones in the order of their paths are kept.
    """
    left = {limit: limit.most_bytes for limit in LIMITS}
    beyond = set()
    for path in sorted(reading.texts.keys()):
        limit = _LIMIT_OF.get(path) or _LIMIT_OF.get(path.rpartition("/")[0])
        if limit is None:
            continue
        size = (
            len(reading.exact[path])
            if path in reading.exact
            else sum(len(line) + 1 for line in reading.texts[path])
        )
        if size > left[limit]:
            beyond.add(path)
        else:
            left[limit] -= size
    if not beyond:
        return reading
    return replace(
        reading,
        texts={key: text for key, text in reading.texts.items() if key not in beyond},
        exact={key: content for key, content in reading.exact.items() if key not in beyond},
        unreadable=reading.unreadable | beyond,
    )
