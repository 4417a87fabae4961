"""Whether a host can become a node at all."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, operation

from kubenode.cgroup_drivers import Driver
from kubenode.facts.platform import PACKAGE_MANAGERS, Platform, PlatformShape
from kubenode.report import refuse
from kubenode.settings import minor_release


@operation()
def supported(
    cgroup_driver: Driver = "systemd",
    kubernetes_version: str | None = None,
) -> Generator[FunctionCommand, None, None]:
    """
    Fail a host that cannot become a node, before anything is changed on it.

    + cgroup_driver: the driver the node shall use; ``systemd`` needs systemd as PID 1
    + kubernetes_version: release the node is for, such as ``1.36``; None checks what all releases
      need

    Changes nothing, ever. A host passes when it runs Linux, when commands run as root, when its
    package manager is apt, dnf or zypper, and when its cgroups suit: kubelet refuses cgroup v1 from
    Kubernetes 1.35 (``failCgroupV1``), before that v1 is a warning.

    **Example:**

    .. code:: python

        platform.supported(
            name="Can this host be a node?",
            kubernetes_version="1.36",
        )
    """
    if cgroup_driver not in ("systemd", "cgroupfs"):
        raise OperationValueError(f"cgroup_driver is systemd or cgroupfs, not {cgroup_driver!r}")
    try:
        release = minor_release(kubernetes_version) if kubernetes_version is not None else None
    except ValueError as error:
        raise OperationValueError(f"kubernetes_version {kubernetes_version!r}: {error}") from error

    # Somebody has to type a password that sudo asks for. Where nobody can, pyinfra would end the
    # run for all hosts at its prompt, so this host is looked at without sudo and fails alone.
    arguments: Mapping[str, object] = host.current_op_global_arguments or {}
    needs_no_password = (
        bool(arguments.get("_sudo"))
        and not any(map(arguments.get, ("_sudo_user", "_sudo_password", "_use_sudo_password")))
        and not sys.stdin.isatty()
    )
    platform = host.get_fact(Platform, **({"_sudo": False} if needs_no_password else {}))
    if platform and needs_no_password and platform["uid"] != 0:
        if not platform["sudo"]:
            yield refuse(
                host,
                f"sudo asks uid {platform['uid']} for a password, or does not let it become root: "
                "allow it without one (NOPASSWD), or run with --use-sudo-password",
            )
            return
        platform = {**platform, "uid": 0}
    if platform is None:
        yield refuse(host, "cannot tell what this host is: it did not answer, see the lines above")
        return
    problems = unsuitable(platform, cgroup_driver, release)
    if problems:
        yield refuse(host, "this host cannot be a node: " + "; ".join(problems))
        return

    mode = platform["cgroups"]["mode"]
    if mode in ("v1", "hybrid"):
        logger.warning(
            f"{host.print_prefix}cgroup {mode}: kubelet 1.35 and later refuse it, boot with "
            "systemd.unified_cgroup_hierarchy=1"
        )
    host.noop(
        f"{platform['os_name']}, {platform['package_manager']}, cgroup {mode}, "
        f"{platform['cgroups']['init']} is PID 1: can be a node"
    )


def unsuitable(
    platform: PlatformShape, cgroup_driver: str, kubernetes_version: tuple[int, int] | None
) -> list[str]:
    """What keeps a host from being a node, each with what to do; empty when nothing does.

    + platform: the host's :class:`~kubenode.facts.platform.Platform` fact
    + cgroup_driver: ``systemd`` or ``cgroupfs``
    + kubernetes_version: major and minor number, or None
    """
    cgroups = platform["cgroups"]
    problems = []
    if platform["kernel"] != "Linux":
        problems.append(f"its kernel is {platform['kernel'] or 'unknown'}, a node needs Linux")
    if platform["uid"] != 0:
        who = "an unknown user" if platform["uid"] is None else f"uid {platform['uid']}"
        problems.append(
            f"commands run as {who}, not as root: run pyinfra with --sudo or set _sudo = True"
        )
    if platform["package_manager"] is None:
        problems.append(f"it has no known package manager ({', '.join(PACKAGE_MANAGERS)})")
    if cgroup_driver == "systemd" and not cgroups["systemd"]["running"]:
        problems.append(
            f"PID 1 is {cgroups['init'] or 'unknown'}, and the systemd cgroup driver needs systemd "
            "there: boot the host with systemd"
        )
    if cgroups["mode"] in ("none", "unknown"):
        problems.append(f"its cgroup version is {cgroups['mode']}: mount cgroup2 at /sys/fs/cgroup")
    elif cgroups["mode"] != "v2" and kubernetes_version and kubernetes_version >= (1, 35):
        problems.append(
            f"it runs cgroup {cgroups['mode']} and Kubernetes "
            f"{kubernetes_version[0]}.{kubernetes_version[1]} needs v2: boot with "
            "systemd.unified_cgroup_hierarchy=1"
        )
    return problems
