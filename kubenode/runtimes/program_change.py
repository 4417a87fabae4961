"""The script that changes a runtime's program on a host: proven, or undone.

All of it runs on the host in one command, under the host's lock: fetch, check by the new program
itself, keep what is there, switch, put the configuration files in place, restart, and wait until
the runtime serves as it did before. Where a step fails, the old program and the old files come
back, and the daemon with them. When the connection breaks, the host goes on to the end.

What undoes a change is on disk before anything is changed: :data:`DIRECTORY` has the old program
and ``back.sh``, which needs no network and no kubenode. When the script is killed, a transient unit
of systemd's, which waits for that, runs it at once: a package that is exchanged has stopped its
daemon, and nobody else would start one. After a power cut the next run begins with it: see
:func:`settle`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.packages import package_change, package_locks
from kubenode.packages.package_change import PackageChange
from kubenode.run import host_script
from kubenode.run.pyinfra_internals import Telling
from kubenode.runtimes import config_swap
from kubenode.runtimes.config_swap import CRI_WAIT_SECONDS, UNPROVEN_SUFFIX, Daemon, Item

DIRECTORY = "/var/lib/kubenode/change"
"""What a change needs while it is under way; root's, and gone afterwards."""

RESTART_SECONDS = 180
"""How long systemd may take to start the daemon; its own limit is 90 s where the unit has none."""

_FUNCTIONS = host_script.read(
    __file__,
    "program_functions.sh",
    CRI_WAIT_SECONDS=CRI_WAIT_SECONDS,
    RESTART_SECONDS=RESTART_SECONDS,
)
_CHANGE = host_script.read(__file__, "program_change.sh")
_BEGINS = host_script.read(__file__, "change_begins.sh")
_NOTED = host_script.read(__file__, "change_noted.sh")
_BACK = host_script.read(__file__, "program_back.sh", WAIT_SECONDS=host_lock.WAIT_SECONDS)
_OF_PACKAGES = host_script.read(__file__, "program_of_packages.sh")

_IS_ACTIVE = 'cri_serves() { systemctl -q is-active "$unit"; }'


@dataclass(frozen=True)
class Program:
    """How the program itself is changed, in sh.

    + what: what is installed, for people: ``containerd 2.1.9``
    + explained: from what to what: ``containerd 1.7.24 -> 2.1.9``
    + functions: sh that defines what follows. ``$change`` is an empty directory for root alone.
      ``program_expected``: whether what is there is still what the plan was made from.
      ``program_fetch``: get what is new, change nothing, and set ``$candidate``, the directory that
      has the new program. ``program_keep``: keep what is there in ``$change``. ``program_switch``:
      the new one in place of the old one. ``program_is_there``: whether that was done whole.
      ``program_back``: the old one in place again, wherever the switch was stopped.
      ``program_hold``: keep upgrades from it
    """

    what: str
    explained: str
    functions: str


@dataclass(frozen=True)
class Service:
    """What the runtime's service did before.

    + is_enabled: whether it starts at boot, which it does afterwards too
    + is_active: whether it runs. One that does not is not started, and nothing is proven of it
    + serves: whether CRI answered. Otherwise that the unit is active is proof enough
    + is_masked: whether somebody has masked it, which it is afterwards too
    """

    is_enabled: bool
    is_active: bool
    serves: bool
    is_masked: bool = False


def of_packages(what: str, packages: PackageChange, manager: str) -> Program:
    """The program that packages bring.

    + what: what is installed, for people: ``containerd 2.1.9``
    + packages: those that come and go
    + manager: ``apt-get``, ``dnf`` or ``zypper``
    """
    return Program(
        what,
        ", ".join(packages.explained),
        f"{package_change.functions(packages, manager)}\n{_OF_PACKAGES.strip()}",
    )


def change(
    program: Program,
    files: Mapping[str, tuple[bytes | None, bytes]],
    main: str,
    daemon: Daemon,
    service: Service,
) -> StringCommand:
    """A command that changes a runtime's program, and its configuration files with it.

    + program: how
    + files: content now (None: there is no such file) and new content, by path; what the new
      program needs changed
    + main: path of the main configuration file
    + daemon: the runtime's
    + service: what it did before

    The command fails, and all is as it was before, when the program cannot be had, does not run, or
    refuses the configuration; when it cannot be installed; and when the daemon does not serve
    within CRI_WAIT_SECONDS. It fails with the daemon's own last words and says what came back. It
    fails as well where all was done and the hold failed, which the next run does. What it says
    although it succeeds is a warning: other packages that come with it.
    """
    items = config_swap.items_of(files)
    definitions = definitions_of(program, main, daemon, service)
    back = back_script(definitions).encode()
    script = host_script.filled(
        _CHANGE,
        BEGIN=begun(items),
        WHAT=program.what,
        DAEMON=daemon.name,
        MAIN=shlex.quote(main),
        STAGE="\n".join(
            each.staged() + ("\nmain_staged=$temp" if each.path == main else "") for each in items
        ),
        NOTED=noted(items, program.explained, back),
        PUT="\n".join(each.put("go_back") for each in items),
    )
    contents = [*(new for _, new in files.values()), back]
    command = host_lock.under_lock(f"{definitions}\n{script.strip()}", contents)
    arguments: Any = command.connector_arguments
    return Telling(*command.bits, _separator=command.separator, **arguments)


def begun(items: Sequence[Item]) -> str:
    """sh with which a change begins: no other one is under way, and somebody waits for its end.

    + items: the files that it changes, whose contents are sent before what ends the change
    """
    return host_script.filled(_BEGINS, BACK=len(items) + 1)


def noted(items: Sequence[Item], explained: str, back: bytes) -> str:
    """sh after which a change can be undone, wherever it is stopped.

    + items: the files that it changes, whose contents are sent first
    + explained: what it is, for people
    + back: what ends it where it is interrupted, sent behind these
    """
    return host_script.filled(
        _NOTED,
        EXPLAINED=shlex.quote(explained),
        NOTE_BEGINS=config_swap.NOTE_BEGINS,
        NOTE_ENDS=config_swap.NOTE_ENDS,
        KEEP="\n".join(each.kept() for each in items),
        BACK=len(items) + 1,
        BACK_SUM=whole_file.sum_of(back),
    )


def back_script(definitions: str) -> str:
    """The script that ends a change which was interrupted; it needs the host's lock and no more.

    + definitions: sh of all the functions that the change has
    """
    locks = f"locks={shlex.quote(host_lock.DIRECTORY)}"
    head = [host_lock.HEAD.strip(), host_lock.FUNCTIONS.strip(), "trap ended EXIT"]
    return "\n".join([locks, *head, definitions, _BACK])


def settle() -> StringCommand:
    """A command that ends a change that was interrupted: it is kept when it is whole and serves.

    Otherwise what was there before comes back. The command fails when it does not, with what is
    now. Nothing is done where there is no such change.
    """
    back = shlex.quote(f"{DIRECTORY}/back.sh")
    return host_lock.under_lock(f"[ ! -e {back} ] || sh {back}")


def definitions_of(program: Program, main: str, daemon: Daemon, service: Service) -> str:
    """sh of all the functions that a change has; see :func:`change` for the arguments."""
    values = {
        "change": DIRECTORY,
        "note": f"{main}{UNPROVEN_SUFFIX}",
        "is_enabled": "yes" if service.is_enabled else "",
        "is_masked": "yes" if service.is_masked else "",
        "restarts": "yes" if service.is_active else "",
    }
    parts: Sequence[str] = [
        *(f"{name}={shlex.quote(value)}" for name, value in values.items()),
        whole_file.FUNCTIONS,
        daemon.head,
        *([] if service.serves else [_IS_ACTIVE]),
        config_swap.SWAP_FUNCTIONS,
        package_locks.HOLDER,
        package_locks.PATIENTLY,
        program.functions,
        _FUNCTIONS,
    ]
    return "\n".join(part.strip() for part in parts)
