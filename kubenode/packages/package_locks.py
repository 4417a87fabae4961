"""Wait for a package manager that is at work: unattended-upgrades, cloud-init, another run.

apt and dpkg take four locks (fcntl(2), so flock(1) does not see them), and only ``apt-get install``
can wait for one of them by itself (``DPkg::Lock::Timeout``). rpm has one, and does not wait for it.
While dnf and zypper fetch lists and packages they have others: for those dnf waits as long as it
takes, and zypper when ``ZYPP_LOCK_TIMEOUT`` says so.

Sources: apt.conf(5), dpkg(1), zypper(8), proc_locks(5), rpm's lib/rpmlock.c.
"""

from __future__ import annotations

from pyinfra.api import StringCommand

from kubenode.files import host_lock
from kubenode.run import host_script
from kubenode.run.pyinfra_internals import Telling

WAIT_SECONDS = 300

LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
)

HOLDER = host_script.read(
    __file__, "package_holder.sh", LOCKS=" | ".join(f"*' -> {path}'" for path in LOCKS)
)
"""Shell that tells who is at work; it changes nothing, and uses ``ls`` and /proc."""

PATIENTLY = host_script.read(__file__, "patiently.sh", WAIT_SECONDS=WAIT_SECONDS)


def patiently(manager: str, command: str) -> StringCommand:
    """A command that waits until no other process changes packages, at most WAIT_SECONDS.

    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + command: what is run then; when another process takes the lock first, it is run again

    It does not hold the host's lock: see :func:`kubenode.files.host_lock.under_lock`.

    **Example:**

    .. code:: python

        yield package_locks.patiently("apt-get", "apt-get update")
    """
    if manager == "zypper":
        command = f"export ZYPP_LOCK_TIMEOUT={WAIT_SECONDS}\n{command}"
    return host_lock.as_command(_once_alone(command, "patiently run"))


def with_lists_fetched(simulation: str) -> StringCommand:
    """A command that fetches apt's lists of packages, as far as its sources answer.

    + simulation: sh that succeeds when what is wanted can be installed, such as
      ``apt-get -s install containerd``

    A source that answers 404, cannot be reached or is not signed makes ``apt-get update`` fail,
    although all the others were fetched. Where *simulation* succeeds then, apt's own words are
    warnings, and they name the source. Where it does not, the command fails with both programs'
    words. Another process that changes packages is waited for as by :func:`patiently`.

    Source: apt-get(8); exit code 100 says that anything went wrong.
    """
    script = host_script.read(__file__, "lists_fetched.sh", SIMULATION=simulation)
    command = host_lock.as_command(_once_alone("apt-get update", script))
    return Telling(*command.bits, _separator=command.separator)


def lists_fetched(manager: str) -> StringCommand:
    """A command that fetches the lists of packages with dnf or zypper.

    + manager: ``dnf`` or ``zypper``

    It fails where dnf does: at a repository that does not answer, unless its
    ``skip_if_unavailable`` says otherwise. zypper goes on without such a one, and so does this.
    What either says of it are warnings then. Another process that changes packages is waited for.
    """
    script = host_script.read(__file__, f"lists_fetched_with_{manager}.sh")
    wait = f"export ZYPP_LOCK_TIMEOUT={WAIT_SECONDS}\n" if manager == "zypper" else ""
    command = host_lock.as_command(_once_alone("true", f"{wait}{script}"))
    return Telling(*command.bits, _separator=command.separator)


def _once_alone(command: str, script: str) -> str:
    return (
        f"{host_lock.HEAD.strip()}\n{HOLDER.strip()}\n{PATIENTLY.strip()}\n"
        f"run() {{ {command}; }}\n{script.strip()}"
    )
