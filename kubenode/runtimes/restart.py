"""Whether a runtime may be restarted now, or waits for somebody."""

from __future__ import annotations

from typing import Literal, get_args

Restart = Literal["now", "if-idle", "never"]
"""When a change that needs it restarts the runtime. ``if-idle``: when no pod runs."""

CHOICES: tuple[Restart, ...] = get_args(Restart)


def check_restart(restart: object) -> None:
    """ValueError unless it is one of :data:`CHOICES`, or None.

    + restart: None leaves it to what the restart does to pods
    """
    if restart is not None and restart not in CHOICES:
        raise ValueError(f"restart is {', '.join(CHOICES)} or None, not {restart!r}")


def postponed(restart: Restart | None, pods: int | None, pods_survive: bool = True) -> str | None:
    """Why a restart has to wait, None when it may be now.

    + restart: what the user wants; None is ``now`` where pods survive it, else ``if-idle``. Where
      they do not, ``now`` waits for them too
    + pods: how many containers of pods run; None: that is not known
    + pods_survive: whether they do

    **Example:**

    .. code:: python

        postponed("if-idle", pods=3)  # "3 containers of pods run, and ..."
    """
    if not pods_survive and restart != "never" and pods != 0:
        running = "pods may run" if pods is None else f"{pods} containers run"
        return f"{running} and would not survive it: drain the node (kubectl drain) and run again"
    wanted = restart or ("now" if pods_survive else "if-idle")
    if wanted == "now" or (wanted == "if-idle" and pods == 0):
        return None
    if wanted == "never":
        return "kubenode_restart is never: set now or if-idle when it may be restarted"
    running = "it cannot be told whether pods run" if pods is None else f"{pods} containers run"
    return (
        f"{running}, and kubenode_restart is if-idle: drain the node (kubectl drain) and run "
        "again, or set kubenode_restart to now"
    )
