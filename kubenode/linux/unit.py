"""systemd units: their state as ``systemctl show`` says it, and whether a boot starts them.

Sources: systemctl(1), the table of ``is-enabled``; systemd.unit(5), "[Install] Section Options" and
"Mapping of unit properties to their inverses"; systemd.special(7); ``find_symlinks_in_scope`` and
``unit_file_lookup_state`` in systemd's ``src/shared/install.c``, the same from systemd 246 to 258.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

STARTED_BY = ("WantedBy", "RequiredBy", "BoundBy", "UpheldBy")
"""Properties with the units that start a unit, each the inverse of a dependency that does so. A
systemd that does not know one of them leaves it out."""

_LASTS = frozenset({"alias", "disabled", "enabled", "generated", "indirect", "linked", "static"})
_GONE = frozenset({"enabled-runtime", "linked-runtime", "masked", "transient"})
_CAN_BE_ENABLED = frozenset({"disabled", "enabled-runtime", "linked", "linked-runtime"})

# Those that a boot comes by whatever else is installed, and those of another way to go.
_TARGETS_OF_A_BOOT = frozenset(
    f"{name}.target"
    for name in (
        "basic", "default", "getty", "graphical", "local-fs", "multi-user", "paths", "remote-fs",
        "runlevel2", "runlevel3", "runlevel4", "runlevel5", "slices", "sockets", "swap", "sysinit",
        "timers",
    )
)  # fmt: skip
_TARGETS_OF_NO_BOOT = frozenset(
    f"{name}.target"
    for name in (
        "ctrl-alt-del", "emergency", "exit", "factory-reset", "final", "halt", "hibernate",
        "hybrid-sleep", "kbrequest", "kexec", "poweroff", "reboot", "rescue", "runlevel0",
        "runlevel1", "runlevel6", "shutdown", "sigpwr", "sleep", "soft-reboot", "suspend",
        "suspend-then-hibernate", "system-update", "umount",
    )
)  # fmt: skip


class UnitShape(TypedDict):
    """A unit as systemd has it."""

    load: str
    """``loaded``, ``masked``, ...; ``unknown`` when systemd did not answer."""
    active: str
    enabled: str
    """``UnitFileState``, such as ``enabled``; empty for a unit that has no file."""
    fragment: str | None
    drop_ins: list[str]
    limit_nofile: str | None
    needs_daemon_reload: bool
    wanted_by: list[str]
    """Units that start it, such as ``multi-user.target``."""


@dataclass(frozen=True)
class Unit:
    """What plans need of a unit: the same as in :class:`UnitShape`."""

    load: str
    active: str
    enabled: str
    needs_daemon_reload: bool
    wanted_by: tuple[str, ...]
    drop_ins: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether it runs, or is about to."""
        return self.active in ("active", "activating", "reloading")


def unit_of(shape: UnitShape | None) -> Unit | None:
    """The unit of a fact; None: there is none, or the host has no systemd.

    + shape: the fact's
    """
    if shape is None:
        return None
    return Unit(
        shape["load"],
        shape["active"],
        shape["enabled"],
        shape["needs_daemon_reload"],
        tuple(shape["wanted_by"]),
        tuple(shape["drop_ins"]),
    )


PROPERTIES = (
    "ActiveState", "UnitFileState", "FragmentPath", "DropInPaths", "LimitNOFILE",
    "NeedDaemonReload", *STARTED_BY,
)  # fmt: skip
"""What :func:`parse_unit` reads, besides ``LoadState``."""


def parse_unit(properties: Mapping[str, str] | None) -> UnitShape | None:
    """A unit from what ``systemctl show`` says of it; None where there is no such unit.

    + properties: by name, see :data:`PROPERTIES`; None where systemd does not run, empty where it
      did not answer
    """
    if properties is None:
        return None
    load = properties.get("LoadState", "unknown")
    if load == "not-found":
        return None
    return {
        "load": load,
        "active": properties.get("ActiveState", ""),
        "enabled": properties.get("UnitFileState", ""),
        "fragment": properties.get("FragmentPath") or None,
        "drop_ins": properties.get("DropInPaths", "").split(),
        "limit_nofile": properties.get("LimitNOFILE") or None,
        "needs_daemon_reload": properties.get("NeedDaemonReload") == "yes",
        "wanted_by": started_by(properties),
    }


def started_by(properties: Mapping[str, str]) -> list[str]:
    """The units that start a unit.

    + properties: those of :data:`STARTED_BY`, by name
    """
    return [unit for name in STARTED_BY for unit in properties.get(name, "").split()]


def starts_at_boot(
    enabled: str, wanted_by: Iterable[str], others: Mapping[str, bool | None] | None = None
) -> bool | None:
    """Whether the next boot starts a unit; None where that cannot be told.

    + enabled: its ``UnitFileState``
    + wanted_by: the units that start it, see :func:`started_by`
    + others: of units that may be among these, whether the next boot starts them

    The state says where links to the unit are, not whether a boot follows one of them:

    * ``enabled``: a link is in ``/etc``. It starts, unless all that want it are targets that a boot
      does not come by.
    * ``disabled``, ``static``, ``indirect``, ``alias``, ``generated``, ``linked``: no such link. It
      starts when something else wants it: a link below ``/usr`` or one that a generator makes at
      each boot, or another unit's ``Wants=`` or ``Requires=``.
    * ``enabled-runtime``, ``linked-runtime``, ``transient``: the link or the file is in ``/run``,
      which is empty when a boot begins. It does not start, whatever wants it now.
    * ``masked``: it does not start. ``masked-runtime``: the mask is gone after a boot, and nobody
      sees what is below it: it may start when something wants it.

    Of another state (``bad``, none at all, one of a later systemd) only that it starts can be told.
    A unit that wants it and is neither a target of every boot nor among *others* may start or may
    not: None. A service that a timer, a path or a socket starts is started later, and does not
    count.

    **Example:**

    .. code:: python

        starts_at_boot("static", ["multi-user.target"])  # True
        starts_at_boot("static", [])  # False
        starts_at_boot("disabled", ["docker.service"])  # None
        starts_at_boot("disabled", ["docker.service"], {"docker.service": True})  # True
    """
    by = [_comes_by(unit, others or {}) for unit in wanted_by]
    wanted = True if True in by else None if None in by else False
    if enabled == "enabled":
        return wanted is not False or not by
    if enabled == "masked-runtime":
        return None if by else False
    if enabled in _GONE:
        return False
    return wanted if enabled in _LASTS else wanted or None


def _comes_by(unit: str, others: Mapping[str, bool | None]) -> bool | None:
    if unit in others:
        return others[unit]
    if unit in _TARGETS_OF_A_BOOT:
        return True
    return False if unit in _TARGETS_OF_NO_BOOT else None


def why_not_at_boot(name: str, enabled: str, wanted_by: Iterable[str]) -> str:
    """Why a boot does not start a unit, or why that cannot be told.

    + name: the unit's
    + enabled: its ``UnitFileState``
    + wanted_by: the units that start it

    **Example:**

    .. code:: python

        why_not_at_boot("containerd.service", "disabled", ["docker.service"])
        # "containerd.service is disabled: it starts at boot only if docker.service does"
    """
    by = [unit for unit in wanted_by if _comes_by(unit, {}) is None]
    if enabled == "static" and not by:
        return f"{name} has no [Install] section, and nothing else starts it at boot"
    said = f"{name} is {enabled or 'of no state that systemd names'}"
    if enabled == "masked-runtime":
        return f"{said}: the mask is gone after a boot"
    if by and enabled not in _GONE:
        return f"{said}: it starts at boot only if {' or '.join(by)} does"
    return f"{said}, and nothing starts it at boot"


def can_be_enabled(enabled: str) -> bool:
    """Whether ``systemctl enable`` makes a boot start a unit that none starts yet.

    + enabled: its ``UnitFileState``

    A ``static`` unit has no ``[Install]`` section, a ``generated`` or ``transient`` one has no file
    that lasts, and of an ``indirect`` one it may enable others only.
    """
    return enabled in _CAN_BE_ENABLED
