"""A time limit for a program on a host: one sh function, for probes and for what operations run.

``limited SECONDS COMMAND...`` runs a program, and ends it after that time with all it has started:
by timeout(1), or by the shell alone where that is missing. Its exit code is then 124 or 137.
"""

from __future__ import annotations

from kubenode.run import host_script

SWEEP = host_script.read(__file__, "sweep.sh")
"""``sweep MARK``: end all processes that have a mark in their environment."""

LIMITED = host_script.read(__file__, "limited.sh")
"""``limited``, for a script that has ``sweep`` and the variables it needs."""

MOST_TOLD = 256 * 1024
"""Bytes of what one program says that a shell which changes a host takes in."""

TOLD = host_script.read(__file__, "told.sh", MOST_TOLD=MOST_TOLD)

FUNCTIONS = f"""
# what limited() ends is found by this mark
KUBENODE_LOOK=$$.; memory=$(ulimit -S -v)
{SWEEP}
{LIMITED}
{TOLD}
"""
"""The same for a script that has neither. ``told COMMAND...`` is for what it takes in (``$(...)``)
of a program that may print without end: it prints the first :data:`MOST_TOLD` bytes of what that
says, on standard error too, and has its code."""
