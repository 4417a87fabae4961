"""Wait for a package manager that is at work: unattended-upgrades, cloud-init, another run.

apt and dpkg take four locks (fcntl(2), so flock(1) does not see them), and only ``apt-get install``
can wait for one of them by itself (``DPkg::Lock::Timeout``). dnf waits as long as it takes; zypper
when ``ZYPP_LOCK_TIMEOUT`` says so.

Sources: apt.conf(5), dpkg(1), zypper(8), proc_locks(5).
"""

from __future__ import annotations

from pyinfra.api import StringCommand

from kubenode.files import host_lock
from kubenode.run.pyinfra_internals import Telling

WAIT_SECONDS = 300

LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)

HOLDER = rf"""
# holder: set $holder to the process that has one of apt's and dpkg's locks, as "PID NAME". The
# kernel lists processes that hold any lock; who holds these has them open too, and is root. A
# container has files of the same names, which are others.
holder() {{
  holder=; holders=
  [ -r /proc/locks ] || return 0
  while read -r _ kind _ mode pid _; do
    case $kind:$mode:$pid in
      *[!0-9]) continue;;
      POSIX:WRITE:[1-9]*)
        # others may have as many as they like
        if [ -O "/proc/$pid" ] && [ "${{#holders}}" -lt 4096 ]; then
          holders="$holders /proc/$pid/fd"
        fi;;
    esac
  done </proc/locks
  [ -n "$holders" ] || return 0
  pid=
  # no here-document: some shells write a file for it
  set -f; IFS=$nl; set -- $(set +f; unset IFS; ls -l /dev/null $holders 2>/dev/null)
  set +f; unset IFS
  for line; do
    case $line in
      /proc/*/fd:) pid=${{line#/proc/}}; pid=${{pid%/fd:}};;
      {" | ".join(f"*' -> {path}'" for path in LOCKS)})
        file=${{line%% -> *}}; file=/proc/$pid/fd/${{file##* }}
        [ "$file" -ef "${{line#* -> }}" ] || continue
        name=; {{ read -r name <"/proc/$pid/comm"; }} 2>/dev/null
        holder="$pid ${{name:-unknown}}"
        return 0;;
    esac
  done
}}
"""
"""Shell that tells who is at work; it changes nothing, and uses ``ls`` and /proc."""

PATIENTLY = rf"""
wait_for_packages() {{
  holder
  while [ -n "$holder" ]; do
    [ "$said" = "$holder" ] || say "waits for process $holder, which changes packages"
    said=$holder
    [ "$waited" -lt {WAIT_SECONDS} ] ||
      fail "process $holder has changed packages for {WAIT_SECONDS} s: run again when it has ended"
    sleep 1
    waited=$((waited + 1))
    holder
  done
}}
# patiently COMMAND...: once nobody else changes packages; again when somebody was faster
patiently() {{
  waited=0; said=
  while :; do
    wait_for_packages
    {{ error=$("$@" 2>&1 >&3 3>&-); status=$?; }} 3>&1
    [ -z "$error" ] || say "$error"
    [ "$status" != 0 ] || return 0
    case $error in
      *'ould not get lock'* | *'nable to lock'* | *'nable to acquire'*' lock'* | \
        *'locked by another process'*) ;;
      *) return "$status";;
    esac
    [ "$waited" -lt {WAIT_SECONDS} ] || return "$status"
    sleep 1
    waited=$((waited + 1))
  done
}}
"""


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
        return host_lock.as_command(f"ZYPP_LOCK_TIMEOUT={WAIT_SECONDS} {command}")
    if manager != "apt-get":
        return host_lock.as_command(command)
    return host_lock.as_command(_with_apt(command, "patiently run"))


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
    script = f"""
patiently run && exit
status=$?
why=$({simulation} 2>&1 >/dev/null) || {{ say "$why"; exit "$status"; }}
say 'apt-get update failed in part: correct or remove the source that is named above.' \\
  'What is wanted can be installed without it.'
"""
    command = host_lock.as_command(_with_apt("apt-get update", script))
    return Telling(*command.bits, _separator=command.separator)


def _with_apt(command: str, script: str) -> str:
    return (
        f"{host_lock.HEAD.strip()}\n{HOLDER.strip()}\n{PATIENTLY.strip()}\n"
        f"run() {{ {command}; }}\n{script.strip()}"
    )
