"""Install the CNI plugins that a network's configuration names: bridge, host-local and others."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Literal

from pyinfra import host
from pyinfra.api import (
    FileUploadCommand,
    FunctionCommand,
    OperationValueError,
    StringCommand,
    operation,
)

from kubenode.facts import image_based
from kubenode.facts.cni_plugins import PACKAGES, CniPlugins, CniPluginsShape
from kubenode.facts.containerd import Containerd, ContainerdServiceShape
from kubenode.facts.platform import Platform
from kubenode.operations import package_steps
from kubenode.packages import plugins_change
from kubenode.packages.archive import Archive, plugins_archive
from kubenode.packages.archive_cache import FetchError
from kubenode.packages.archive_transfer import FetchedBy, brought
from kubenode.packages.installation import Installed, Program, installation
from kubenode.run.pyinfra_internals import is_executing
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import cni
from kubenode.settings import DEFAULTS
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, bounded

Commands = Generator[StringCommand | FileUploadCommand | FunctionCommand, Any, None]

DISTRIBUTION: Literal["distribution"] = "distribution"
"""The source that has the plugins as a package."""


@operation()
@bounded(INSTALL_SECONDS)
def plugins(
    source: Literal["distribution"] | Mapping[str, Any] | Archive = DISTRIBUTION,
    fetched_by: FetchedBy = DEFAULTS.containerd_fetched_by,
    directory: str | None = None,
) -> Commands:
    """
    Install the CNI plugins, where containerd looks for them.

    + source: ``distribution`` for its package, or a release of containernetworking/plugins by its
      archive, as :func:`kubenode.packages.archive.plugins_archive` takes it
    + fetched_by: who fetches an archive: the ``host``, or once the ``control`` machine, which sends
      it. A file of the control machine is sent in any case
    + directory: where an archive's plugins go; None is a directory that containerd looks in:
      ``/opt/cni/bin`` if that is one, else the first. Where there is no containerd yet, or none
      that tells, it is ``/opt/cni/bin``

    Each plugin is replaced whole. What else is in the directory stays: Calico, Flannel and others
    install there too. An archive does not go where the distribution's package has its plugins. A
    package's directory is its own: where containerd does not look there, a warning says so.

    Source: containernetworking/plugins, its releases; Debian's containernetworking-plugins.

    **Example:**

    .. code:: python

        cni.plugins(
            name="CNI plugins of a release",
            source={
                "version": "1.9.1",
                "url": "https://github.com/containernetworking/plugins/releases/download/"
                       "v{version}/cni-plugins-linux-{arch}-v{version}.tgz",
                "sha256": {"amd64": "b85a...", "arm64": "8d1e..."},
            },
        )
    """
    if fetched_by not in ("host", "control"):
        raise OperationValueError(f"fetched_by is host or control, not {fetched_by!r}")
    try:
        release = None if source == "distribution" else plugins_archive(source)
        if directory is not None:
            cni.check_directories([directory])
    except ValueError as error:
        raise OperationValueError(f"cni.plugins: {error}") from error
    both = joint_reading.get_both(CniPlugins, Containerd)
    now, runtime = both
    if now is None or runtime is None:
        yield refuse(host, "cannot tell which CNI plugins are there, see the lines above")
        return
    if problem := image_based.refusal(now["system"]):
        yield refuse(host, problem)
        return
    if release is None:
        yield from _of_package(now, runtime)
    else:
        yield from _of_archive(now, runtime, release, fetched_by, directory)


def _looked_in(runtime: ContainerdServiceShape) -> list[str]:
    """Where containerd looks, none when that is not known."""
    return (runtime["cni"]["bin_dirs"] or []) if runtime["installed"]["binary"] else []


def _of_archive(
    now: CniPluginsShape,
    runtime: ContainerdServiceShape,
    release: Archive,
    fetched_by: FetchedBy,
    directory: str | None,
) -> Commands:
    try:
        file = release.file("plugins", now["architecture"])
    except ValueError as error:
        yield refuse(host, str(error))
        return
    if file is None:
        yield refuse(host, f"the archive {release.version} has no plugins")
        return
    looked_in = _looked_in(runtime)
    if directory is None:
        directory = cni.UPSTREAM if cni.UPSTREAM in looked_in or not looked_in else looked_in[0]
    package = now["package"]
    if directory == cni.DEBIAN and package is not None:
        yield refuse(
            host,
            f"{directory} has the plugins of the package {package['name']}: remove that, or give "
            f"the archive's another directory ({cni.UPSTREAM}; kubenode_cni_bin_dirs for "
            "containerd)",
        )
        return
    there = now["archive"]
    if (
        there is not None
        and there["whole"]
        and (there["sha256"], there["directory"]) == (file.sha256, directory)
    ):
        host.noop(f"the CNI plugins {there['version']} are in {directory}")
        return
    if there is not None and there["directory"] == directory and there["sha256"] != file.sha256:
        was = f"{there['version']} -> "
    elif there is not None and there["directory"] == directory:
        was = "as they were unpacked again: "
    else:
        was = ""
    explain(host, f"{directory}: CNI plugins {was}{release.version} ({file.name}, sha256 checked)")
    _say_where(looked_in, directory)
    try:
        yield from brought([file], fetched_by, is_executing(host))
    except FetchError as error:
        yield refuse(host, str(error))
        return
    yield plugins_change.change(release.version, file, directory)


def _say_where(looked_in: list[str], directory: str) -> None:
    if looked_in and directory not in looked_in:
        explain(
            host,
            f"containerd looks for plugins in {', '.join(looked_in)}, and not in {directory}: "
            f"containerd.configured(cni_bin_dirs=[{directory!r}, ...]) makes it "
            "(kubenode_cni_bin_dirs)",
        )


def _of_package(now: CniPluginsShape, runtime: ContainerdServiceShape) -> Commands:
    found = now["package"]
    package = None if found is None else Installed(**found)
    program = Program(
        None if package is None else package.name,
        None if package is None else package.version,
        package,
        now["dpkg_interrupted"],
        now["dpkg_at_work"],
    )
    if package is not None and package.configured:
        host.noop(f"the CNI plugins are installed: {package}")
        return
    platform = joint_reading.get_fact_now(Platform)
    by = platform["package_manager"] if platform else None
    if by is None:
        yield refuse(
            host,
            "no known package manager (apt-get, dnf, zypper): state the archive of a release as "
            "the source of the CNI plugins",
        )
        return
    name = PACKAGES[by]
    to_do = installation(program, name, None, hold=False)
    for sentence in to_do.explained(by):
        explain(host, sentence)
    if by == "apt-get":
        _say_where(_looked_in(runtime), cni.DEBIAN)
    yield from package_steps.ready(by, [name], finishes=to_do.finishes_dpkg)
    held = [package.name] if package is not None and package.held else []
    yield from package_steps.installed(
        by,
        package_steps.Packages({name: None}, held=held, holds=held),
        unpacks_again=to_do.finishes_dpkg,
    )
