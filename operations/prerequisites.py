"""``packages.prerequisites``: the programs that kubelet, kubeadm and kube-proxy use."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.package_versions import PackageVersions, PackageVersionsShape
from kubenode.facts.prerequisites import NETWORK_MANAGER_UNIT, Prerequisites, PrerequisitesShape
from kubenode.files import whole_file
from kubenode.files.exact_text import bytes_of
from kubenode.kubelet import prerequisites as needs
from kubenode.operations import package_steps
from kubenode.packages import manager, package_locks
from kubenode.profiles import PROFILES, ProfileName
from kubenode.run.pyinfra_internals import is_executing
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.settings import DEFAULTS, minor_release
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]


@operation()
@bounded(INSTALL_SECONDS)
def prerequisites(
    kubernetes_version: str | None = DEFAULTS.kubernetes_version,
    profiles: Sequence[ProfileName] = tuple(DEFAULTS.profiles),
) -> Commands:
    """
    Install the programs that kubelet, kubeadm and kube-proxy use, as far as they are missing.

    + kubernetes_version: the release the node is for, such as ``1.37``: older ones use more
      programs. None is the newest
    + profiles: what the node is used for: ``ipvs`` and ``nftables`` have programs of their own

    A program counts where it is in PATH, whatever it came from. What is there is left alone, and
    nothing is held. On EL 10 the modules of the running kernel that cloud images lack come too
    (``kernel-modules-extra-RELEASE``, which has br_netfilter). Where NetworkManager is, it is told
    to leave the interfaces of CNI plugins alone (``/etc/NetworkManager/conf.d/kubenode.conf``).

    A system that packages do not change (an image, or a read-only ``/usr``) is refused where a
    program is missing, with its name. Another process that changes packages is waited for.

    Sources: see :mod:`kubenode.kubelet.prerequisites`.

    **Example:**

    .. code:: python

        packages.prerequisites(
            name="What kubelet and kubeadm use is there",
            kubernetes_version="1.37",
        )
    """
    try:
        minor = None if kubernetes_version is None else minor_release(kubernetes_version)
    except (ValueError, AttributeError) as error:
        raise OperationValueError(f"kubernetes_version {kubernetes_version!r}: {error}") from None
    if isinstance(profiles, str) or not set(profiles) <= PROFILES.keys():
        raise OperationValueError(f"profiles {profiles!r}: a list of {', '.join(PROFILES)}")
    now = joint_reading.get_fact(Prerequisites)
    if now is None:
        yield refuse(host, "cannot tell which programs there are, see the lines above")
        return
    to_do = needs.plan(_described(now), minor, profiles)
    if to_do.blocked:
        yield refuse(host, f"{to_do.blocked}: nothing was changed")
    elif to_do.is_empty:
        host.noop("the programs that kubelet, kubeadm and kube-proxy use are there")
    else:
        yield from _steps(now, to_do)


def _described(now: PrerequisitesShape) -> needs.Host:
    return needs.Host(
        now["package_manager"],
        now["os_release"],
        now["image"],
        now["usr"],
        now["programs"],
        now["kernel"],
        now["bridge_module"],
        now["apparmor"],
        now["network_manager"],
        None if now["told"] is None else bytes_of(now["told"]),
        now["unreadable"],
    )


def _steps(now: PrerequisitesShape, to_do: needs.Plan) -> Commands:
    by = now["package_manager"] or ""
    there: PackageVersionsShape | None = None
    if to_do.packages:
        there = joint_reading.get_fact_now(PackageVersions, packages=list(to_do.packages))
        if there is None:
            yield refuse(host, "cannot tell which packages are installed, see the lines above")
            return
        if problem := _gone(to_do, there):
            yield refuse(host, f"{problem}: nothing was changed")
            return
    _explain(now, to_do)
    if there is not None:
        yield from _installed(by, list(to_do.packages), there)
    if to_do.kernel_package:
        yield package_locks.patiently(by, manager.install(by, to_do.kernel_package))
    if to_do.told:
        # in one command: a run that ends between the two would leave it to the next boot
        is_active = now["network_manager_active"]
        yield whole_file.change(
            [to_do.told], after=f"systemctl reload {NETWORK_MANAGER_UNIT}" if is_active else ""
        )


def _gone(to_do: needs.Plan, there: PackageVersionsShape) -> str | None:
    """Programs that are missing although their packages are installed."""
    installed = {each["name"] for each in there["installed"]["installed"] if each["configured"]}
    # a package that only one of its programs is missing of
    lost = [name for name in to_do.packages if name in installed]
    if not lost:
        return None
    names = ", ".join(need.program for need in to_do.missing)
    return (
        f"{names}: missing, and what has it is installed ({', '.join(lost)}): somebody removed it, "
        "or it is in no directory of PATH: install the package again"
    )


def _explain(now: PrerequisitesShape, to_do: needs.Plan) -> None:
    for need in to_do.missing:
        explain(host, f"{need.program} is missing ({need.of})")
    if to_do.kernel_package:
        explain(host, f"install {to_do.kernel_package}: the running kernel lacks br_netfilter")
    if to_do.told:
        old = None if to_do.told.old is None else to_do.told.old.decode("utf-8", "replace")
        explain_file(host, to_do.told.path, old, (to_do.told.new or b"").decode())
        if now["network_manager_active"]:
            explain(host, f"{NETWORK_MANAGER_UNIT} reads its configuration again")


def _installed(by: str, names: list[str], there: PackageVersionsShape) -> Commands:
    at_work = there["installed"]["dpkg_at_work"]
    if at_work:
        explain(host, f"wait for process {at_work}, which changes packages")
    if by == "apt-get":
        explain(host, "fetch the lists of packages (apt-get update)")
    wanted = package_steps.Packages(dict.fromkeys(names))
    is_known = there["candidates"] is not None and there["candidates"]["fetched"]
    if not is_executing(host):
        if by == "apt-get" and not is_known:
            explain(host, f"{', '.join(names)} is then installed from these lists")
        elif problem := package_steps.tell(by, wanted):
            yield refuse(host, problem)
            return
    finishes = bool(at_work or there["installed"]["dpkg_interrupted"])
    yield from package_steps.ready(by, names, finishes=finishes)
    yield from package_steps.installed(by, wanted, unpacks_again=finishes)
