"""Kubernetes' own packages: kubelet, kubeadm, kubectl, and what comes with them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Literal

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.kubelet_start import CONFIG
from kubenode.facts.kubernetes import Kubernetes, KubernetesShape
from kubenode.facts.package_versions import PackageVersions, PackageVersionsShape
from kubenode.facts.repositories import Repositories, RepositoriesShape
from kubenode.files.cannot_tell import CannotTell
from kubenode.files.exact_text import bytes_of
from kubenode.files.whole_file import Change
from kubenode.kubelet import service, upgrade
from kubenode.kubelet.command_line import Flag, Word, flags
from kubenode.linux import image_based
from kubenode.operations import interrupted_change, package_hold
from kubenode.operations import packages as package_operations
from kubenode.packages import kubernetes_source, repository_files
from kubenode.packages.choice import upstream_of
from kubenode.packages.kubernetes_source import PACKAGES, RELEASED, KubernetesSource
from kubenode.packages.package_change import PackageChange
from kubenode.packages.selection import Selection
from kubenode.run.pyinfra_internals import is_executing, print_prefix
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import program_change
from kubenode.runtimes.program_change import Service
from kubenode.settings import DEFAULTS, minor_release
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, bounded
from kubenode.wire.probe_fact import ProbeFact

Commands = Generator[StringCommand | FunctionCommand, Any, None]


def facts(
    packages: Sequence[str] = PACKAGES,
) -> list[tuple[type[ProbeFact[Any]], dict[str, Any]]]:
    """The facts that :func:`installed` reads first, with their arguments.

    + packages: as of that
    """
    return [
        (Kubernetes, {}),
        (Repositories, {"repository": kubernetes_source.NAME}),
        (PackageVersions, {"packages": list(packages)}),
    ]


@operation()
@bounded(INSTALL_SECONDS)
def installed(
    version: str,
    source: KubernetesSource | Literal["upstream"] | Mapping[str, Any] = "upstream",
    packages: Sequence[str] = PACKAGES,
    hold: bool = DEFAULTS.kubernetes_hold,
) -> Commands:
    """
    Install kubelet, kubeadm, kubectl, cri-tools and kubernetes-cni, or take a node to a release.

    + version: a series (``1.37``: the newest of it that the repository has; what is installed of it
      stays) or a release (``1.37.2``), of kubelet, kubeadm and kubectl. cri-tools and
      kubernetes-cni have versions of their own: they become the newest of the repository when
      something else is installed
    + source: ``upstream`` is Kubernetes' own repositories. A mirror is a dict: ``url`` with
      ``{version}`` in it, which is ``v1.37`` (each minor release has a repository of its own),
      ``{format}`` is ``deb`` or ``rpm``; ``key`` and ``fingerprint`` where another key signs it
    + packages: which of the five
    + hold: keep upgrades from them. False leaves a hold as it is

    The repository of another minor release gives way, with entries of others that name one, such as
    the documentation's ``kubernetes.list``. It is proven before it is trusted, see
    :func:`kubenode.operations.packages.repository`.

    A node of a cluster is refused, before anything is changed, where a minor release would be
    skipped or it would go back to an older one, and where kubelet would be newer than the API
    server, as far as that is known (from the static pod's manifest, and from the API server
    itself). Any host is refused where kubelet would not start: flags that the release does not have
    any more, in its unit and drop-ins, ``kubeadm-flags.env``, ``/etc/default/kubelet`` and
    ``/etc/sysconfig/kubelet``, each with its file; and so are kubelets that are from no package.

    A control plane gets ``packages=["kubeadm"]`` first, then ``kubeadm upgrade``, then the rest.
    Drain a node before its kubelet gets another minor release. A kubelet that ran is restarted and
    has to be healthy (``/healthz``) within 60 s; before that the new program is asked whether it
    takes its flags. Where it is not healthy the packages that were there come back, on the host
    itself and without network, and kubelet runs with them; its files stay as they are. One that has
    not run is enabled, and left to kubeadm.

    Sources: the Kubernetes pages "Installing kubeadm", "Version Skew Policy" and "Upgrading kubeadm
    clusters".

    **Example:**

    .. code:: python

        kubernetes.installed(
            name="kubelet and kubeadm of 1.37 are installed",
            version="1.37",
        )
    """
    minor, checked = _check(version, source, packages)
    names = list(dict.fromkeys(packages))
    node = joint_reading.get_fact(Kubernetes)
    if (yield from interrupted_change.ended(node["change"] if node else None)):
        for fact, arguments in facts(names):
            joint_reading.get_fact_now(fact, **arguments)
        node = joint_reading.get_fact_now(Kubernetes)
    sources = joint_reading.get_fact(Repositories, repository=kubernetes_source.NAME)
    now = joint_reading.get_fact(PackageVersions, packages=names)
    if node is None or sources is None or now is None:
        yield refuse(host, "cannot tell what there is of Kubernetes, see the lines above")
        return
    asked = _Asked(version.removeprefix("v"), minor, checked, names, hold)
    problem = _unsuitable(node, sources, now, asked)
    if problem:
        yield refuse(host, f"{problem}: nothing was changed")
        return
    yield from _taken_to(asked, node, sources, now)


@dataclasses.dataclass(frozen=True)
class _Asked:
    version: str
    minor: tuple[int, int]
    source: KubernetesSource
    packages: list[str]
    hold: bool


def _check(
    version: object, source: object, packages: object
) -> tuple[tuple[int, int], KubernetesSource]:
    if not isinstance(version, str) or not re.fullmatch(r"v?1\.\d{1,3}(\.\d{1,4})?", version):
        raise OperationValueError(f'version {version!r}: a release such as "1.37" or "1.37.2"')
    if isinstance(packages, str) or not isinstance(packages, Sequence) or not packages:
        raise OperationValueError(f"packages {packages!r}: a list of {', '.join(PACKAGES)}")
    if unknown := [name for name in packages if name not in PACKAGES]:
        raise OperationValueError(f"packages {unknown!r}: there are {', '.join(PACKAGES)}")
    try:
        return minor_release(version), kubernetes_source.kubernetes_source(source)
    except ValueError as error:
        raise OperationValueError(f"source: {error}") from error


def _unsuitable(
    node: KubernetesShape, sources: RepositoriesShape, now: PackageVersionsShape, asked: _Asked
) -> str | None:
    """Why nothing may be done; warnings are said."""
    if sources["package_manager"] is None:
        return "no known package manager (apt-get, dnf, zypper)"
    if why := image_based.why_no_packages(node["image"], node["usr"]):
        return f"Kubernetes' packages cannot be installed: {why}"
    kubelet = _version_of(now, upgrade.KUBELET)
    if upgrade.KUBELET in asked.packages and kubelet is None and node["binary"]:
        return (
            f"kubelet {node['version'] or ''} at {node['binary']} is from no package, and would "
            "stand before the package's in PATH: remove it first"
        )
    if node["error"] is not None:
        return f"cannot tell kubelet's flags, and so not whether it would start: {node['error']}"
    judgement = upgrade.judge(
        upgrade.Node(
            kubelet,
            {"yes": True, "no": False}.get(node["joined"]),
            [(Version(each["version"]), each["source"]) for each in node["api_servers"]],
            Version(node["containerd"]) if node["containerd"] else None,
            _words(node),
            node["running_flags"],
            None if node["settings_error"] else node["settings"],
        ),
        asked.minor,
        asked.packages,
    )
    for warning in judgement.warnings:
        logger.warning(f"{print_prefix(host)}{warning}")
    return "; ".join(judgement.refusals) or None


def _version_of(now: PackageVersionsShape, name: str) -> Version | None:
    for each in now["installed"]["installed"]:
        if each["name"] == name:
            return upstream_of(each["version"])
    return None


def _words(node: KubernetesShape) -> list[Word]:
    return [Word(each["text"], each["source"]) for each in node["words"]]


def _taken_to(
    asked: _Asked, node: KubernetesShape, sources: RepositoriesShape, now: PackageVersionsShape
) -> Commands:
    by = sources["package_manager"] or ""
    repository = asked.source.repository(asked.minor, by)
    giving_way = kubernetes_source.GivingWay({})
    if by == "apt-get":
        own = repository_files.paths(repository.name, by).source
        giving_way = kubernetes_source.others_of_apt(asked.source, sources["files"], own)
    if giving_way.blocked:
        yield refuse(host, f"{giving_way.blocked}: nothing was changed")
        return
    source = package_operations.planned_source(repository, _without(sources, giving_way), by)
    if isinstance(source, str):
        yield refuse(host, source)
        return
    exchange = _Exchange(node) if node["active"] is True else None
    source = source._replace(
        change=_with(source.change, sources, giving_way), keeps=asked.packages if exchange else ()
    )
    wanted = _wanted(asked, now, source)
    to_do = package_operations.selection(now, wanted)
    restarts = node["active"] is True and node["replaced"]
    enables = _enables(asked, node)
    is_left_alone = not package_operations.unspared(now, wanted)
    packages_are_right = to_do.is_empty and is_left_alone and source.change.is_empty
    if packages_are_right and not restarts and not enables:
        there = [f"{each['name']} {each['version']}" for each in now["installed"]["installed"]]
        host.noop(f"{', '.join(there)}: installed" + (" and held" if asked.hold else ""))
        return
    _explain(asked, node, now, giving_way)
    if not packages_are_right:
        done = yield from package_operations.steps(
            now, wanted, source, exchange=exchange.of if exchange else None
        )
        if done is None:
            return
        restarts |= upgrade.KUBELET in done.installs
        restarts &= exchange is None or not exchange.is_made
    if enables:
        explain(host, "kubelet.service is started at boot; kubeadm starts it before")
        yield service.enable()
    if node["active"] is True and restarts:
        yield from _restarted(node)


class _Exchange:
    """Another kubelet in place of the one that runs: proven by its health, or undone."""

    def __init__(self, node: KubernetesShape) -> None:
        """
        + node: what the host is
        """
        self._node = node
        self.is_made = False

    def of(self, by: str, to_do: Selection) -> Commands | None:
        """The commands for it; None where kubelet does not become another one.

        + by: ``apt-get``, ``dnf`` or ``zypper``
        + to_do: the packages
        """
        versions = {name: version for name, version in to_do.installs.items() if version}
        changes = upgrade.KUBELET in versions and upgrade.KUBELET in to_do.now
        if not changes or versions.keys() != to_do.installs.keys():
            return None
        try:
            stated = flags(_words(self._node))
        except CannotTell:
            return None
        self.is_made = True
        return self._commands(by, versions, to_do, stated)

    def _commands(
        self, by: str, versions: Mapping[str, str], to_do: Selection, stated: Mapping[str, Flag]
    ) -> Commands:
        node = self._node
        hold = package_hold.planned(to_do.holds, by)
        if hold.refusal:
            yield refuse(host, f"{hold.refusal}: nothing was installed")
            return
        packages = PackageChange(
            installs=versions,
            now={name: version for name, version in to_do.now.items() if name in versions},
            # what a file says is written where all files are, and not by what changes packages
            holds=hold.names if hold.conf is None else (),
        )
        version = versions[upgrade.KUBELET]
        program = program_change.of_packages(f"kubelet {version}", packages, by)
        for phrase in packages.explained:
            explain(host, phrase)
        explain(
            host,
            "restart kubelet, which has to be healthy then (/healthz), or these packages come back",
        )
        address = service.health_address(stated, node["settings"])
        yield program_change.change(
            program,
            {},
            CONFIG,
            service.daemon(_words(node), address),
            Service(node["enabled"] == "enabled", is_active=True, serves=True),
        )
        if hold.conf is not None:
            yield from package_hold.held(hold)


def _enables(asked: _Asked, node: KubernetesShape) -> bool:
    return upgrade.KUBELET in asked.packages and node["enabled"] in (None, "disabled")


def _without(
    sources: RepositoriesShape, giving_way: kubernetes_source.GivingWay
) -> RepositoriesShape:
    """What the host says of its sources, once those that give way are gone."""
    files = dict(sources["files"])
    for path, text in giving_way.files.items():
        if text is None:
            del files[path]
        else:
            files[path] = text
    return {**sources, "files": files}


def _with(change: Any, sources: RepositoriesShape, giving_way: kubernetes_source.GivingWay) -> Any:
    """The change of the host's files, with those that give way behind the new ones."""
    going = tuple(
        Change(path, bytes_of(sources["files"][path]), None if text is None else bytes_of(text))
        for path, text in giving_way.files.items()
    )
    return dataclasses.replace(change, files=(*change.files, *going))


def _wanted(
    asked: _Asked, now: PackageVersionsShape, source: package_operations.PlannedSource
) -> package_operations.Wanted:
    versions = {name: asked.version for name in asked.packages if name in RELEASED}
    wanted = package_operations.Wanted(asked.packages, source.repository, versions, asked.hold)
    companions = tuple(name for name in asked.packages if name not in RELEASED)
    there = {each["name"] for each in now["installed"]["installed"]}
    changes = bool(package_operations.selection(now, wanted).installs) or any(
        name not in there or _minor_of(now, name) != asked.minor for name in versions
    )
    return wanted._replace(newest=companions) if changes else wanted


def _minor_of(now: PackageVersionsShape, name: str) -> tuple[int, int] | None:
    version = _version_of(now, name)
    return None if version is None else (version.major, version.minor)


def _explain(
    asked: _Asked,
    node: KubernetesShape,
    now: PackageVersionsShape,
    giving_way: kubernetes_source.GivingWay,
) -> None:
    for place in giving_way.places:
        explain(host, f"{place} has Kubernetes' packages too, and gives way")
    kubelet = _version_of(now, upgrade.KUBELET)
    changes = kubelet is not None and (kubelet.major, kubelet.minor) != asked.minor
    if changes and upgrade.KUBELET in asked.packages and node["active"] is True:
        explain(
            host,
            f"kubelet {kubelet} is taken to {asked.version}: the node should have been drained",
        )


def _restarted(node: KubernetesShape) -> Commands:
    explain(host, "restart kubelet, which has to be healthy then (/healthz)")
    words = _words(node)
    if is_executing(host):
        after = joint_reading.get_fact_now(Kubernetes)
        if after is None or after["error"] is not None:
            yield refuse(
                host,
                "kubelet's packages are changed, and it was not restarted: cannot tell its flags",
            )
            return
        node, words = after, _words(after)
    try:
        found = flags(words)
    except CannotTell as trouble:
        yield refuse(host, f"kubelet was not restarted: {trouble}")
        return
    yield service.restart(words, service.health_address(found, node["settings"]))
