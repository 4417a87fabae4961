"""Install Docker Engine with cri-dockerd, configure both for Kubernetes, and keep them running."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from pyinfra import host, logger
from pyinfra.api import (
    FileUploadCommand,
    FunctionCommand,
    OperationValueError,
    StringCommand,
    operation,
)

from kubenode.facts.crictl import Crictl, CrictlFileShape
from kubenode.facts.docker import Docker, DockerFiles, DockerFilesShape
from kubenode.files import host_lock
from kubenode.files.exact_text import bytes_of
from kubenode.files.whole_file import Change
from kubenode.linux.cgroups import Driver
from kubenode.operations import crictl, docker_program, other_runtime
from kubenode.operations.docker_host import (
    CANNOT_TELL,
    daemon_of,
    missing,
    state,
)
from kubenode.operations.kept_running import kept_running
from kubenode.packages.archive_transfer import FetchedBy
from kubenode.run import asked
from kubenode.run.pyinfra_internals import is_executing
from kubenode.run.telling import explain, explain_file, later, refuse
from kubenode.runtimes import cni
from kubenode.runtimes.config_swap import swap, undo
from kubenode.runtimes.crictl import CRICTL_CONFIG, CrictlPlan
from kubenode.runtimes.docker import cri_dockerd as cri_dockerd_flags
from kubenode.runtimes.docker import daemon_json
from kubenode.runtimes.docker.plan import Plan, plan
from kubenode.runtimes.docker.source import CriDockerdSource, EngineSource
from kubenode.runtimes.docker.state import State
from kubenode.runtimes.docker.upkeep import upkeep
from kubenode.runtimes.docker.wanted import DockerWanted
from kubenode.runtimes.restart import Restart, check_restart, postponed
from kubenode.runtimes.runtime import DOCKER
from kubenode.settings import DEFAULTS
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, RESTART_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand | FileUploadCommand, Any, None]


@operation()
@bounded(INSTALL_SECONDS)
def installed(
    source: EngineSource | Mapping[str, Any] = DEFAULTS.docker_source,
    version: str | None = None,
    hold: bool = DEFAULTS.docker_hold,
    cri_dockerd: CriDockerdSource | Mapping[str, Any] = DEFAULTS.cri_dockerd_source,
    kubernetes_version: str | None = DEFAULTS.kubernetes_version,
    restart: Restart | None = DEFAULTS.restart,
    fetched_by: FetchedBy = DEFAULTS.containerd_fetched_by,
    mcr_channel: str = DEFAULTS.mcr_channel,
    mcr_licence: str | None = DEFAULTS.mcr_licence,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Install Docker Engine and cri-dockerd, which answers kubelet for it.

    + source: where the engine comes from. ``distribution`` is ``docker.io`` (with ``docker-cli``
      where Debian has it apart), Fedora's ``moby-engine`` with ``docker-cli``, openSUSE's and SLES'
      ``docker``; RHEL and what is built from it have none. ``docker`` is ``docker-ce`` of Docker's
      repository, ``mcr`` is ``docker-ee`` of Mirantis'. A
      :class:`kubenode.packages.source.Repository` is any other, such as a mirror: its ``packages``
      are installed, the engine first
    + version: of the engine's package, in full, a release (``29.7.2``) or a series. None leaves an
      installed one alone
    + hold: keep upgrades from these packages: one restarts the engine
    + cri_dockerd: where cri-dockerd comes from: a release archive (a dict with ``version``, ``url``
      and ``sha256`` by architecture), or a repository (a dict: name, url, key, fingerprint, ...)
      that has the package ``cri-dockerd``. None leaves the one that is there; a host without one is
      refused
    + kubernetes_version: release the node is for: a cri-dockerd that does not fit it is a warning
    + restart: whether packages of an engine that runs may be exchanged where no container runs;
      ``never`` is no. While one runs they are not, with live-restore neither, since containerd may
      go with them
    + fetched_by: who fetches an archive: ``host``, or ``control``, which sends it
    + mcr_channel: channel of Mirantis' repository, where *source* is ``mcr``: a series
      (``stable-29.4``) or one release
    + mcr_licence: path on the control machine of MCR's licence, which is put into the engine's
      root directory for root alone; None leaves what is there
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    Where the kernel does not forward yet, forwarding is switched on before the engine starts for
    the first time: dockerd would do that itself, and then drop what is forwarded for others. What
    other packages would go is said before; an engine of another source counts as another package.

    An engine that runs gives way to another vendor's or another release on the same data root, in
    one command on the host, which ends when cri-dockerd serves over the new one. Else the old
    packages come back, without network, also after a kill or a power cut. RPMs come to a host that
    has no engine in such a command too: what is in their way goes in the same transaction, is kept
    before, and nothing else may go.

    A release of cri-dockerd that cannot talk to this Docker Engine is refused, see
    :mod:`kubenode.runtimes.docker.releases`. An archive stands beside others in
    ``/usr/local/lib/kubenode/cri-dockerd``, with units of its own; one that does not serve gives
    way to the one before, also where the change is interrupted. A host where another runtime is in
    use is refused.

    **Example:**

    .. code:: python

        docker.installed(
            name="Docker Engine and cri-dockerd",
            source="docker",
            cri_dockerd={
                "version": "0.4.3",
                "url": "https://github.com/Mirantis/cri-dockerd/releases/download/v{version}/"
                       "cri-dockerd-{version}.{arch}.tgz",
                "sha256": {"amd64": "8a57..."},
            },
        )
    """
    try:
        wanted = docker_program.wanted(
            source,
            version,
            hold,
            cri_dockerd,
            kubernetes_version,
            restart,
            fetched_by,
            mcr_channel,
            mcr_licence,
            replace_runtime,
        )
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    yield from docker_program.steps(wanted)


@operation()
@bounded(RESTART_SECONDS)
def configured(
    cgroup_driver: Driver = DEFAULTS.cgroup_driver,
    live_restore: bool | None = DEFAULTS.docker_live_restore,
    log_driver: str | None = DEFAULTS.docker_log_driver,
    log_opts: Mapping[str, str] | None = DEFAULTS.docker_log_opts,
    storage_driver: str | None = DEFAULTS.docker_storage_driver,
    registry_mirrors: Sequence[str] | None = DEFAULTS.docker_registry_mirrors,
    pause_image: str | None = DEFAULTS.pause_image,
    cni_bin_dirs: Sequence[str] | None = None,
    change_driver_under_pods: bool = DEFAULTS.change_driver_under_pods,
    restart: Restart | None = DEFAULTS.restart,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Configure Docker Engine and cri-dockerd for Kubernetes, and point ``/etc/crictl.yaml`` at it.

    + cgroup_driver: ``systemd`` or ``cgroupfs``; kubelet must use the same
    + live_restore: whether containers survive a restart of the engine. None leaves what is there,
      as a Swarm needs it
    + log_driver, log_opts: how containers' output is kept; None leaves what is there
    + storage_driver: such as ``overlay2``; None leaves what is there
    + registry_mirrors: URLs of mirrors of Docker Hub; None leaves what is there
    + pause_image: cri-dockerd's pause image; None leaves what is there
    + cni_bin_dirs: directories of CNI plugins, beside those where cri-dockerd looks already; None
      leaves what is there
    + change_driver_under_pods: change the driver although pods of the other driver run
    + restart: when an engine that runs with live-restore is restarted for it: ``now``, ``if-idle``
      (no container runs) or ``never``; None is ``now``. Without live-restore a restart stops all
      containers, and always waits for an idle node. A restart that has to wait is a warning
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    ``/etc/docker/daemon.json`` is edited key by key: order, indentation and all other keys stay to
    the letter. A key that is a flag of docker.service too, or one that stands there twice, is an
    error: dockerd would not start. The file is shown to dockerd before it is put in place
    (``--validate``, from 23.0 on). cri-dockerd has flags only, which a drop-in of its unit states.

    Both are restarted if they run, since cri-dockerd asks for the cgroup driver once. The operation
    ends when CRI answers, over an engine with the wanted driver. If it does not, the old files come
    back, on the host itself. An interrupted change is undone first.

    **Example:**

    .. code:: python

        docker.configured(
            name="Docker Engine uses the systemd cgroup driver",
            cgroup_driver="systemd",
            log_opts={"max-size": "10m", "max-file": "3"},
        )
    """
    try:
        check_restart(restart)
        wanted = DockerWanted(
            cgroup_driver,
            pause_image,
            live_restore,
            log_driver,
            None if log_opts is None else dict(log_opts),
            storage_driver,
            None if registry_mirrors is None else tuple(registry_mirrors),
            None if cni_bin_dirs is None else cni.check_directories(cni_bin_dirs),
        )
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    for other in asked.by_others(host, "docker.configured", asdict(wanted)):
        for name, value in asdict(wanted).items():
            if None not in (value, other[name]) and value != other[name]:
                conflict = (
                    f"docker.configured is called twice in this run, with {name}={other[name]!r} "
                    f"and with {name}={value!r}: say the same in both, or remove one"
                )
                yield refuse(host, asked.contradiction(host, conflict))
                return
    yield from _configured(wanted, change_driver_under_pods, restart, replace_runtime)


class _ToDo(NamedTuple):
    """What has to be done, to Docker's files and to crictl's."""

    docker: Plan
    crictl: CrictlPlan
    restarts: bool
    waits: str | None
    """Why a restart that this takes has to wait."""

    @property
    def blocked(self) -> str | None:
        return self.docker.blocked or self.crictl.blocked

    @property
    def is_empty(self) -> bool:
        return self.docker.is_empty and self.crictl.new == self.crictl.old


def _configured(
    wanted: DockerWanted,
    change_driver_under_pods: bool,
    restart: Restart | None,
    replace_runtime: bool,
) -> Commands:
    both = joint_reading.get_both(DockerFiles, Crictl)
    now, now_crictl = both
    if now is None or now_crictl is None:
        yield refuse(host, CANNOT_TELL)
        return
    if problem := other_runtime.problem(now["runtimes"], DOCKER, replace_runtime):
        yield refuse(host, problem)
        return
    if what := missing(now["docker"]):
        if is_executing(host):
            yield refuse(host, f"{what} is not installed: docker.installed comes first")
        else:
            yield later(host, "Docker Engine will be configured once it is installed")
        return
    if _is_unsettled(now):
        yield from _settled(now)
        settled = joint_reading.get_fact_now(DockerFiles)
        if settled is None:
            yield refuse(host, CANNOT_TELL)
            return
        now = settled
    to_do = _to_do(now, now_crictl, wanted, change_driver_under_pods, restart)
    if to_do.blocked:
        yield refuse(host, to_do.blocked)
    elif to_do.is_empty:
        host.noop(
            f"{daemon_json.PATH} has the {wanted.cgroup_driver} cgroup driver, {CRICTL_CONFIG} "
            f"points at {now['docker']['socket']}"
        )
    else:
        _explain(now, to_do)
        yield from _follow(now, to_do, wanted)


def _to_do(
    now: DockerFilesShape,
    now_crictl: CrictlFileShape,
    wanted: DockerWanted,
    change_driver_under_pods: bool,
    restart: Restart | None,
) -> _ToDo:
    said = state(now["docker"])
    content = None if now["file"] is None else bytes_of(now["file"])
    planned = plan(content, wanted, said, change_driver_under_pods)
    waits = None
    if planned.daemon is not None and said.engine is not None and said.engine.runs:
        waits = postponed(restart, said.restarted, pods_survive=said.live_restore is True)
    runs = any(unit is not None and unit.runs for unit in (said.engine, said.cri_unit))
    return _ToDo(
        planned,
        crictl.planned(now_crictl, now["docker"]["socket"]),
        runs and waits is None and not planned.is_empty,
        waits,
    )


def _needs_reload(now: DockerFilesShape) -> bool:
    said = state(now["docker"])
    return any(
        unit is not None and unit.needs_daemon_reload
        for unit in (said.engine, said.cri_unit, said.cri_socket_unit)
    )


def _is_unsettled(now: DockerFilesShape) -> bool:
    return _needs_reload(now) or now["unproven"] != []


def _settled(now: DockerFilesShape) -> Commands:
    if _needs_reload(now):
        explain(host, "units changed on disk: reload systemd")
        yield host_lock.under_lock("systemctl daemon-reload")
    if now["unproven"] != []:
        explain(host, "a change was interrupted: what was there before it comes back")
        yield undo(daemon_json.PATH)


def _drop_in(now: DockerFilesShape) -> str:
    return cri_dockerd_flags.drop_in_of(now["docker"]["cri_dockerd"]["service"])


def _explain(now: DockerFilesShape, to_do: _ToDo) -> None:
    planned = to_do.docker
    if planned.daemon is not None:
        for change in planned.daemon.changes:
            explain(host, f"{daemon_json.PATH}: {change}")
        if not daemon_json.may_have_passwords(now["file"] or ""):
            explain_file(host, daemon_json.PATH, now["file"], planned.daemon.text)
    for sentence in planned.explained:
        explain(host, sentence)
    if planned.drop_in is not None:
        explain_file(host, _drop_in(now), now["drop_in"], planned.drop_in)
    for warning in planned.warnings:
        logger.warning(f"{host.print_prefix}{warning}")
    if to_do.waits:
        logger.warning(f"{host.print_prefix}the restart of Docker Engine waits: {to_do.waits}")
    if to_do.restarts:
        what = "cri-dockerd" if planned.daemon is None else "Docker Engine and cri-dockerd"
        explain(host, f"restart {what} and wait for CRI on {now['docker']['socket']}")
    crictl.explained(to_do.crictl)


def _follow(now: DockerFilesShape, to_do: _ToDo, wanted: DockerWanted) -> Commands:
    planned, shape = to_do.docker, now["docker"]
    if not planned.is_empty:
        files: dict[str, tuple[bytes | None, bytes]] = {}
        also: list[Change] = []
        if planned.daemon is not None:
            old = None if now["file"] is None else bytes_of(now["file"])
            files[daemon_json.PATH] = (old, planned.daemon.text.encode())
        if planned.drop_in is not None:
            before = None if now["drop_in"] is None else bytes_of(now["drop_in"])
            also.append(Change(_drop_in(now), before, planned.drop_in.encode()))
        driver = wanted.cgroup_driver if planned.daemon is not None else None
        daemon = daemon_of(shape, driver, engine=planned.daemon is not None)
        yield swap(files, daemon_json.PATH, daemon, restart=to_do.restarts, also=also)
    yield from crictl.changed(to_do.crictl)
    if planned.is_empty:
        return
    # what was read before the change says nothing about what came of it
    after = joint_reading.get_fact_now(Docker)
    if after is None:
        yield refuse(host, "Docker Engine was configured, and now its state cannot be read")
    elif problem := _still_wrong(state(after), wanted):
        yield refuse(host, problem)


def _still_wrong(said: State, wanted: DockerWanted) -> str | None:
    """Why what is in force is not what was wanted although the files say so."""
    if said.stated_driver not in (None, wanted.cgroup_driver):
        return f"Docker Engine is configured, and not with {wanted.cgroup_driver}"
    image = wanted.pause_image
    if (
        image is not None
        and cri_dockerd_flags.flag(said.words, cri_dockerd_flags.PAUSE_IMAGE) != image
    ):
        others = ", ".join(said.cri_unit.drop_ins if said.cri_unit else ())
        return f"{said.service} is started without the pause image {image}: see {others}"
    return None


@operation()
@bounded(RESTART_SECONDS)
def running(
    restart: Restart | None = DEFAULTS.restart,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Keep Docker Engine and cri-dockerd enabled, running and serving CRI, with what is on disk.

    + restart: when an engine whose files were changed is restarted, see :func:`configured`
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    A cri-dockerd that has run since before the engine's last start is restarted too: it tells
    kubelet the cgroup driver that it saw then. That stops no container. The operation ends when CRI
    answers. A host where another runtime is in use is refused.

    **Example:**

    .. code:: python

        docker.running(
            name="cri-dockerd serves CRI, also after the next boot",
        )
    """
    try:
        check_restart(restart)
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    now = joint_reading.get_fact(Docker)
    if now is None:
        yield refuse(host, "cannot tell whether Docker Engine runs, see the lines above")
        return
    if problem := other_runtime.problem(now["runtimes"], DOCKER, replace_runtime):
        yield refuse(host, problem)
        return
    if what := missing(now):
        if is_executing(host):
            yield refuse(host, f"{what} is not installed: docker.installed comes first")
        else:
            yield later(host, "Docker Engine and cri-dockerd will be started once installed")
        return
    to_do = upkeep(state(now), restart)
    version = now["cri_dockerd"]["version"] or "of unknown version"
    yield from kept_running(
        to_do,
        daemon_of(now),
        f"Docker Engine {now['installed']['version']} and cri-dockerd {version} are enabled, "
        f"active and serve CRI on {now['socket']}",
        "the restart of Docker Engine waits",
    )
