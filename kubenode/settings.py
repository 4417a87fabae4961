"""The settings of a node: host data with the prefix ``kubenode_``, checked before any change.

Every default is here and nowhere else; other modules take theirs from :data:`DEFAULTS`. They are
those of the tutorial this project grew out of: the modules ``overlay`` and ``br_netfilter``, three
sysctls, containerd, the systemd driver.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary, WeakSet

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pyinfra.api import Host, OperationValueError, State

from kubenode.kubelet import fields
from kubenode.linux import drop_ins, kernel_modules, sysctl_d
from kubenode.linux.cgroups import Driver
from kubenode.packages import kubernetes_source as kubernetes_packaging
from kubenode.profiles import ProfileName
from kubenode.runtimes import cni
from kubenode.runtimes.containerd import hosts_toml, releases, service
from kubenode.runtimes.containerd.source import source_of
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.crio import handlers as crio_handlers
from kubenode.runtimes.crio import registries as crio_registries
from kubenode.runtimes.crio import version_choice
from kubenode.runtimes.crio.source import source_of as crio_source_of
from kubenode.runtimes.crio.wanted import CrioWanted
from kubenode.runtimes.docker.source import MCR_CHANNEL, cri_dockerd_of, engine_source
from kubenode.runtimes.docker.wanted import DockerWanted
from kubenode.runtimes.restart import Restart

PREFIX = "kubenode_"

Runtime = Literal["containerd", "crio", "docker", "mcr"]

SHUTDOWN_FIELDS = {
    "shutdown_grace_period": "shutdownGracePeriod",
    "shutdown_grace_period_critical_pods": "shutdownGracePeriodCriticalPods",
}
"""kubelet's field for each setting of a graceful shutdown."""

PREPARED: tuple[Runtime, ...] = ("containerd", "crio", "docker", "mcr")
"""The runtimes that :func:`kubenode.node.prepare` can install and configure so far."""


def _comma_separated(value: object) -> object:
    # `--data kubenode_modules=overlay,br_netfilter` arrives as one string
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


def _iso_date(value: object) -> object:
    # inventories are Python: a date there may be one, or a text
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError('a date such as "2027-01-31"') from None
    return value


def _release(value: object) -> object:
    # pyinfra makes a number of `--data kubenode_kubernetes_version=1.36`, and 1.3 of 1.30
    if not isinstance(value, float):
        return _package(value)
    if re.fullmatch(r"\d+\.\d{2,5}", repr(value)):
        return repr(value)
    if re.fullmatch(r"\d+\.\d", repr(value)):
        raise ValueError(
            f"{value} may have been {value}0, which is the same number; write it as text, "
            f"with --data as v{value}0 or '\"{value}0\"'"
        )
    raise ValueError('not a Kubernetes release, write it as "1.36"')


def _package(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"text, and {value} is a number: quote it, with --data as '\"{value}\"'")
    return value


def _kubernetes_source(value: object) -> object:
    return None if value is None else kubernetes_packaging.kubernetes_source(value)


def _runtime(value: object) -> object:
    if value in PREPARED:
        return value
    expected = " or ".join(map(repr, PREPARED))
    raise ValueError(f"{expected}, this release of kubenode prepares no other runtime")


class WaiverSettings(BaseModel):
    """A finding to live with for a while: a value of ``kubenode_waivers``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    reason: str = Field(min_length=1)
    until: Annotated[date, BeforeValidator(_iso_date)]


class NodeSettings(BaseModel):
    """What a node should be. Host data ``kubenode_NAME`` sets the field ``NAME``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    modules: Annotated[list[str], BeforeValidator(_comma_separated)] = Field(
        default=["overlay", "br_netfilter"],
        description="kernel modules to load now and at boot",
    )
    modules_file: str = Field(
        default="/etc/modules-load.d/k8s.conf",
        description="modules-load.d(5) file that names them",
    )
    sysctls: dict[str, int | str] = Field(
        default={
            "net.bridge.bridge-nf-call-iptables": 1,
            "net.bridge.bridge-nf-call-ip6tables": 1,
            "net.ipv4.ip_forward": 1,
        },
        description="sysctls to set now and at boot (the two bridge keys serve bridge CNIs)",
    )
    sysctls_file: str = Field(
        default="/etc/sysctl.d/k8s.conf",
        description="sysctl.d(5) file that sets them; lines of other keys in it stay",
    )
    sysctls_override: bool = Field(
        default=False,
        description="disable a line elsewhere that would win at boot, instead of failing the host",
    )
    swap: Literal["off", "limited", "keep"] | None = Field(
        default=None,
        description="off (now and at boot), limited (checks that kubelet can give pods swap) or "
        "keep; None is off, unless kubelet is told to live with swap (failSwapOn: false)",
    )
    runtime: Annotated[Runtime, BeforeValidator(_runtime)] = Field(
        default="containerd",
        description="container runtime to install and configure",
    )
    replace_runtime: bool = Field(
        default=False,
        description="let kubenode_runtime take the place of another runtime that the node uses, "
        "once no pod runs on it: kubelet and crictl change over, the other one is stopped and "
        "disabled, and stays installed",
    )
    cgroup_driver: Driver = Field(
        default="systemd", description="cgroup driver of every runc-type runtime handler"
    )
    containerd_version: Annotated[str | None, BeforeValidator(_package)] = Field(
        default=None,
        description='release to install, such as "2.3.4", a series, such as "2.3" (the newest of '
        "it that the source has), or a package's exact version; None takes what the source offers, "
        "and what kubenode_kubernetes_version needs",
    )
    containerd_source: Annotated[Any, BeforeValidator(source_of)] = Field(
        default="distribution",
        description='where containerd is from: "distribution", "docker" (Docker\'s repository), a '
        "repository (a dict: name, url, suite, components, key, fingerprint, packages) or release "
        "archives (a dict: version, containerd, runc)",
    )
    containerd_fetched_by: Literal["host", "control"] = Field(
        default="host",
        description="who fetches archives: the host, or the control machine, once, which sends "
        "them",
    )
    containerd_hold: bool = Field(
        default=True,
        description="hold the package: an unattended upgrade would restart the runtime. With apt, "
        "unattended-upgrades and needrestart are told to leave containerd alone too, whatever it "
        "is from, also if they are installed later",
    )
    crio_version: Annotated[str | None, BeforeValidator(_package)] = Field(
        default=None,
        description='CRI-O to install: a release such as "1.36.3", a series, such as "1.36", or a '
        "package's exact version; None is the series of kubenode_kubernetes_version",
    )
    crio_source: Annotated[Any, BeforeValidator(crio_source_of)] = Field(
        default="distribution",
        description='where CRI-O is from: "distribution", a repository (a dict: url, key, '
        "fingerprint; {minor} in the url stands for CRI-O's minor release, {format} for deb or "
        "rpm), or a release archive, upstream's static bundle (a dict: version, url, sha256)",
    )
    crio_hold: bool = Field(
        default=True,
        description="hold CRI-O's package: an unattended upgrade would restart the runtime",
    )
    crio_registries: dict[str, dict[str, Any] | None] = Field(
        default={},
        description="registries' mirrors and places for CRI-O, as crio.registries takes them: by "
        "registry, None removes it; those that are not named stay",
    )
    crio_monitor_cgroup: str | None = Field(
        default=None,
        description="where CRI-O's monitors run: pod, or a slice; None leaves what is there, and "
        "is pod with the cgroupfs driver",
    )
    crio_default_runtime: str | None = Field(
        default=None,
        description="CRI-O's handler for pods that name none: crun or runc; None leaves it",
    )
    crio_handlers: dict[str, dict[str, Any]] = Field(
        default={},
        description="runtime handlers of CRI-O by name, as crio.configured takes them "
        "(runtime_path, runtime_type, monitor_path, ...): runsc, kata; those that are not named "
        "stay",
    )
    restart: Restart | None = Field(
        default=None,
        description="when a change restarts the runtime: now, if-idle (no pod runs) or never; None "
        "is now where pods survive it, else if-idle",
    )
    pause_image: str | None = Field(
        default=None, description="pause (sandbox) image, None leaves what is there"
    )
    snapshotter: str | None = Field(
        default=None, description="snapshotter, None leaves what is there"
    )
    registry_config_path: str | None = Field(
        default=None,
        description="directory of registry hosts.toml files, None leaves what is there",
    )
    registry_hosts: dict[str, dict[str, Any] | None] = Field(
        default={},
        description="registries' mirrors, certificates and headers, as containerd.registry_hosts "
        "takes them: by registry, None removes it; those that are not named stay",
    )
    proxy: dict[str, str] | None = Field(
        default=None,
        description="HTTP_PROXY, HTTPS_PROXY and NO_PROXY of containerd, which a change restarts; "
        "{} removes those of kubenode, None leaves what is there",
    )
    limit_nofile: int | str | None = Field(
        default=None,
        description="LimitNOFILE of containerd.service, which a change restarts: a number, "
        'infinity or "SOFT:HARD"; None leaves what is there',
    )
    cni_bin_dirs: Annotated[list[str], BeforeValidator(_comma_separated)] | None = Field(
        default=list(cni.DIRECTORIES),
        description="directories of CNI plugins; containerd before 2.1 gets one of them; None "
        "leaves what is there",
    )
    containerd_handlers: dict[str, dict[str, Any] | None] = Field(
        default={},
        description="runtime handlers by name, as containerd.configured takes them (runtime_type, "
        "options, pod_annotations, ...): nvidia, runsc, kata, crun; None removes one; those that "
        "are not named stay",
    )
    containerd_default_handler: str | None = Field(
        default=None,
        description="handler of pods that ask for none, None leaves what is there",
    )
    containerd_fragment: str | dict[str, Any] | None = Field(
        default=None,
        description="anything else of containerd's configuration, as TOML or as a dict of the "
        "same, merged into its files; None in the dict takes a key away; no place for passwords",
    )
    docker_source: Annotated[Any, BeforeValidator(engine_source)] = Field(
        default="distribution",
        description='where Docker Engine is from: "distribution", "docker" (Docker\'s repository), '
        '"mcr" (Mirantis\' repository, which kubenode_runtime mcr has by itself), or a repository '
        "(a dict: name, url, suite, components, key, fingerprint, packages)",
    )
    docker_version: Annotated[str | None, BeforeValidator(_package)] = Field(
        default=None,
        description='release or series of Docker Engine, such as "29.7", or a package\'s exact '
        "version; None takes what the source offers, and leaves what is installed",
    )
    docker_hold: bool = Field(
        default=True,
        description="hold Docker Engine's packages and cri-dockerd: an upgrade restarts them",
    )
    mcr_channel: str = Field(
        default=MCR_CHANNEL,
        description="channel of Mirantis' repository",
    )
    mcr_licence: str | None = Field(
        default=None,
        description="path on the control machine of MCR's licence, None leaves what is there",
    )
    cri_dockerd_source: Annotated[Any, BeforeValidator(cri_dockerd_of)] = Field(
        default=None,
        description="where cri-dockerd is from: a release archive (a dict: version, url, sha256) "
        "or a repository (a dict: name, url, key, fingerprint); None leaves the one that is there",
    )
    docker_live_restore: bool | None = Field(
        default=True,
        description="containers survive a restart of Docker Engine; None leaves what is there, as "
        "a Swarm needs it",
    )
    docker_log_driver: str | None = Field(
        default=None, description="log driver of Docker Engine, None leaves what is there"
    )
    docker_log_opts: dict[str, str] | None = Field(
        default=None,
        description='options of the log driver, such as {"max-size": "10m"}; None leaves what is '
        "there",
    )
    docker_storage_driver: str | None = Field(
        default=None, description="storage driver of Docker Engine, None leaves what is there"
    )
    docker_registry_mirrors: Annotated[list[str], BeforeValidator(_comma_separated)] | None = Field(
        default=None,
        description="mirrors of Docker Hub that Docker Engine uses, None leaves what is there",
    )
    change_driver_under_pods: bool = Field(
        default=False,
        description="change the cgroup driver although pods of the other driver run",
    )
    kubernetes_version: Annotated[str | None, BeforeValidator(_release)] = Field(
        default=None,
        description='release the node is for, such as "1.36"; from 1.35 on cgroup v1 is refused',
    )

    kubernetes_source: Annotated[Any, BeforeValidator(_kubernetes_source)] = Field(
        default=None,
        description="where kubelet, kubeadm and kubectl of kubenode_kubernetes_version come from: "
        '"upstream" (Kubernetes\' own repositories) or a mirror (a dict: url with {version} and '
        "{format}, key, fingerprint); None installs none of them",
    )
    kubernetes_packages: Annotated[list[str], BeforeValidator(_comma_separated)] = Field(
        default=list(kubernetes_packaging.PACKAGES),
        description="which of them; a control plane gets kubeadm of a new release first",
    )
    kubernetes_hold: bool = Field(
        default=True, description="hold these packages: an unattended upgrade skips no drain"
    )
    kubelet: dict[str, Any] | None = Field(
        default=None,
        description="fields of kubelet's configuration, as kubelet.configured takes them, such as "
        '{"failSwapOn": False}; cgroupDriver is kubenode_cgroup_driver; None leaves all as it is',
    )
    shutdown_grace_period: str | None = Field(
        default=None,
        description="how long pods may take to end when the machine is shut down, such as 60s: "
        "kubelet's shutdownGracePeriod, and logind lets the shutdown wait so long; None leaves "
        "what is there",
    )
    shutdown_grace_period_critical_pods: str | None = Field(
        default=None,
        description="how much of that is critical pods' own, which end last, such as 20s",
    )
    prerequisites: bool | None = Field(
        default=None,
        description="install the programs that kubelet, kubeadm and kube-proxy use and the host "
        "lacks (conntrack, socat, ...); None does where kubenode_kubernetes_version is set",
    )

    profiles: Annotated[list[ProfileName], BeforeValidator(_comma_separated)] = Field(
        default=["bridge-cni"],
        description="what the audit expects besides: bridge-cni, ipv6, ipvs, nftables, "
        "control-plane",
    )
    waivers: dict[str, WaiverSettings] = Field(
        default={},
        description='findings to live with: check id to {"reason": text, "until": "2027-01-31"}',
    )

    @field_validator("kubernetes_version")
    @classmethod
    def _minor_release(cls, version: str | None) -> str | None:
        if version is not None:
            minor_release(version)
        return version

    @field_validator("kubernetes_packages")
    @classmethod
    def _kubernetes_packages(cls, names: list[str]) -> list[str]:
        known = kubernetes_packaging.PACKAGES
        if not names or not set(names) <= {*known}:
            raise ValueError(f"a list of {', '.join(known)}")
        return names

    @field_validator("kubelet")
    @classmethod
    def _kubelet_fields(cls, settings: dict[str, Any] | None) -> dict[str, Any] | None:
        if settings is not None:
            fields.check(settings)
            if "cgroupDriver" in settings:
                raise ValueError("cgroupDriver is that of kubenode_cgroup_driver: set it there")
        return settings

    @field_validator("shutdown_grace_period", "shutdown_grace_period_critical_pods")
    @classmethod
    def _grace_period(cls, period: str | None, info: ValidationInfo) -> str | None:
        if period is None:
            return None
        own = {SHUTDOWN_FIELDS[str(info.field_name)]: period}
        if any(name in (info.data.get("kubelet") or {}) for name in own):
            raise ValueError("kubenode_kubelet states it too: set it in one of them")
        if "critical" in str(info.field_name):
            whole = info.data.get("shutdown_grace_period")
            own |= {} if whole is None else {"shutdownGracePeriod": whole}
        fields.check(own)
        return period

    @field_validator("kubernetes_source")
    @classmethod
    def _of_a_release(cls, source: Any, info: ValidationInfo) -> Any:
        # one that is wrong is not there, and has its own message
        if source is not None and info.data.get("kubernetes_version", "") is None:
            raise ValueError("packages of a release: set kubenode_kubernetes_version too")
        return source

    @field_validator("modules")
    @classmethod
    def _module_names(cls, modules: list[str]) -> list[str]:
        for module in modules:
            kernel_modules.check_name(module)
        return modules

    @field_validator("sysctls")
    @classmethod
    def _sysctl_keys(cls, sysctls: dict[str, int | str]) -> dict[str, int | str]:
        sysctl_d.check_values(sysctls)
        return sysctls

    @field_validator("modules_file")
    @classmethod
    def _modules_file(cls, path: str) -> str:
        return drop_ins.check_path(path, kernel_modules.LOAD_DIRECTORIES)

    @field_validator("sysctls_file")
    @classmethod
    def _sysctls_file(cls, path: str) -> str:
        return drop_ins.check_path(path, sysctl_d.DIRECTORIES)

    @field_validator("containerd_version")
    @classmethod
    def _package_version(cls, version: str | None) -> str | None:
        return releases.check_package_version(version)

    @field_validator("crio_version")
    @classmethod
    def _crio_version(cls, version: str | None) -> str | None:
        return version_choice.check_version(version)

    @field_validator("crio_registries")
    @classmethod
    def _crio_registries(cls, stated: dict[str, Any]) -> dict[str, Any]:
        crio_registries.check(stated)
        return stated

    @field_validator("crio_handlers")
    @classmethod
    def _crio_handlers(cls, stated: dict[str, Any]) -> dict[str, Any]:
        crio_handlers.check_handlers(stated)
        return stated

    @field_validator("crio_monitor_cgroup", "crio_default_runtime")
    @classmethod
    def _crio_word(cls, word: str | None, info: ValidationInfo) -> str | None:
        wanted: dict[str, Any] = {str(info.field_name).removeprefix("crio_"): word}
        CrioWanted("systemd", **wanted)
        return word

    @field_validator("registry_hosts")
    @classmethod
    def _registries(cls, registries: dict[str, Any]) -> dict[str, Any]:
        for name, settings in registries.items():
            hosts_toml.check_registry(name)
            try:
                if settings is not None:
                    hosts_toml.files_of(settings, None)
            except ValueError as error:
                raise ValueError(f"registry {name!r}: {error}") from None
        return registries

    @field_validator("mcr_channel")
    @classmethod
    def _channel(cls, channel: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9.-]{0,60}(/fips)?", channel):
            raise ValueError("a channel such as stable-29.4")
        return channel

    @field_validator(
        "docker_live_restore", "docker_log_driver", "docker_log_opts", "docker_storage_driver",
        "docker_registry_mirrors",
    )  # fmt: skip
    @classmethod
    def _of_docker(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name).removeprefix("docker_")
        wanted: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value}
        DockerWanted("systemd", **wanted)
        return value

    @field_validator("proxy")
    @classmethod
    def _proxies(cls, proxy: dict[str, str] | None) -> dict[str, str] | None:
        if proxy is not None:
            service.check_proxy(proxy)
        return proxy

    @field_validator("limit_nofile")
    @classmethod
    def _limit(cls, limit: int | str | None) -> int | str | None:
        return None if limit is None else service.check_limit(limit)

    @field_validator("cni_bin_dirs")
    @classmethod
    def _cni_directories(cls, directories: list[str] | None) -> list[str] | None:
        if directories is not None:
            cni.check_directories(directories)
        return directories

    @field_validator("containerd_handlers")
    @classmethod
    def _handlers(cls, handlers: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        # cgroup_driver stands before it; it is not there where it is wrong itself
        ContainerdWanted(info.data.get("cgroup_driver", "systemd"), handlers=handlers)
        return handlers

    @field_validator("containerd_default_handler", "containerd_fragment")
    @classmethod
    def _of_containerd(cls, value: Any, info: ValidationInfo) -> Any:
        wanted: dict[str, Any] = {str(info.field_name).removeprefix("containerd_"): value}
        handlers = info.data.get("containerd_handlers", {})
        driver = info.data.get("cgroup_driver", "systemd")
        ContainerdWanted(driver, handlers=handlers, **wanted)
        return value

    @field_validator("pause_image", "snapshotter", "registry_config_path")
    @classmethod
    def _containerd_word(cls, word: str | None, info: ValidationInfo) -> str | None:
        wanted: dict[str, Any] = {str(info.field_name): word}
        ContainerdWanted("systemd", **wanted)
        return word

    @property
    def kubelet_settings(self) -> dict[str, Any] | None:
        """Fields that :func:`kubenode.operations.kubelet.configured` sets; None is none."""
        stated: dict[str, Any] = {}
        if self.kubelet is not None:
            # the driver is the same on both sides
            stated = {"cgroupDriver": self.cgroup_driver, **self.kubelet}
        for setting, name in SHUTDOWN_FIELDS.items():
            if (period := getattr(self, setting)) is not None:
                stated[name] = period
        return stated or None

    @property
    def shutdown_wait(self) -> str | None:
        """How long logind has to let a shutdown wait for kubelet; None where nobody asks for it."""
        period = (self.kubelet_settings or {}).get("shutdownGracePeriod")
        return period if fields.duration(period) else None

    @property
    def wants_prerequisites(self) -> bool:
        """Whether :func:`kubenode.operations.packages.prerequisites` is a part of the node."""
        return (
            self.kubernetes_version is not None
            if self.prerequisites is None
            else (self.prerequisites)
        )


DEFAULTS = NodeSettings()
"""The settings of a host whose data states none."""


def minor_release(version: str) -> tuple[int, int]:
    """The major and minor number of a Kubernetes release such as ``1.36`` or ``v1.36.2``."""
    parts = version.removeprefix("v").split(".")
    if len(parts) not in (2, 3) or not all(part.isdecimal() and len(part) < 6 for part in parts):
        raise ValueError('not a Kubernetes release, write it as "1.36"')
    return int(parts[0]), int(parts[1])


def from_option(pair: str) -> tuple[str, Any]:
    """The key and the value of ``--data KEY=VALUE``, as pyinfra reads them; else ValueError.

    + pair: the option's text, such as ``kubenode_sysctls={"vm.max_map_count": 262144}``

    A value is a number, JSON, ``true`` or ``false`` in any case, or else text. Where the setting is
    a text, a number stays the text that was written: ``1.30`` is not ``1.3``.

    **Example:**

    .. code:: python

        from_option("kubenode_kubernetes_version=1.30")  # ("kubenode_kubernetes_version", "1.30")
    """
    # pyinfra's command line is slow to import, and a deploy does not need it
    from pyinfra_cli.util import parse_cli_arg

    key, equals, text = pair.partition("=")
    if not key or not equals:
        raise ValueError("write it as KEY=VALUE")
    value = parse_cli_arg(text)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and key.removeprefix(PREFIX) in _TEXTS and key.startswith(PREFIX):
        return key, text
    return key, value


_TEXTS = {
    name
    for name, field in NodeSettings.model_fields.items()
    if field.annotation in (str, str | None)
}
"""Settings that are a text."""


_SECRET = {"registry_hosts", "proxy"}
"""Settings that may hold passwords: what was found is not shown."""

_checked: WeakSet[State] = WeakSet()
# by the host's name: a host would keep its run, which is the key, from being forgotten
_kept: WeakKeyDictionary[State, dict[str, tuple[str, NodeSettings]]] = WeakKeyDictionary()
"""Each host's data, as text, and the settings it makes."""


def for_host(host: Host) -> NodeSettings:
    """The settings of *host*; at the first call of a run those of every host are checked.

    + host: the host that is prepared

    The data of a host is validated once a run, and again only after a deploy has changed it.

    Raises OperationValueError, which ends pyinfra before anything is changed anywhere, with one
    line for each mistake: the key, where it was set, what is wrong and what was expected.

    **Example:**

    .. code:: python

        settings = settings.for_host(host)
        kernel.modules(modules=settings.modules)
    """
    if host.state not in _checked:
        check(host.state)
    # a deploy may set data of the host that it is at
    raise_for(_mistakes(host))
    return _valid(host)


def check(state: State, further: Callable[[Host], Iterable[str]] = lambda host: ()) -> None:
    """Refuse the run where the settings of a host are wrong: every mistake of every host at once.

    + state: the run; hosts outside its ``--limit`` are not looked at
    + further: a host's mistakes that this module cannot know of, each a line

    Raises OperationValueError as :func:`for_host` does.
    """
    hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
    raise_for(mistake for host in hosts for mistake in (*_mistakes(host), *further(host)))
    _checked.add(state)


def raise_for(mistakes: Iterable[str]) -> None:
    """OperationValueError with the mistakes, a line each; nothing where there are none."""
    # every host of a group has the mistakes of its group data: say each once
    if lines := "\n".join(f"    {mistake}" for mistake in dict.fromkeys(mistakes)):
        raise OperationValueError(f"settings are wrong, nothing was changed:\n{lines}")


def _data(host: Host) -> dict[str, Any]:
    return {
        key.removeprefix(PREFIX): value
        for key, value in host.data.dict().items()
        if key.startswith(PREFIX)
    }


def _valid(host: Host) -> NodeSettings:
    """The host's settings, validated where its data is new; ValidationError when it is wrong."""
    data = _data(host)
    # equal values can differ in type: True is 1, and no number for a sysctl
    text = repr(data)
    kept = _kept.setdefault(host.state, {})
    if host.name not in kept or kept[host.name][0] != text:
        kept[host.name] = (text, NodeSettings.model_validate(data))
    return kept[host.name][1]


def _mistakes(host: Host) -> Iterator[str]:
    try:
        _valid(host)
    except ValidationError as error:
        # one value can be wrong in several ways: a sysctl that is no number and no text
        wrong: dict[str, list[str]] = {}
        values: dict[str, object] = {}
        for detail in error.errors(include_url=False):
            field, *path = detail["loc"]
            place = "".join(f"[{part!r}]" for part in path if part not in ("int", "str"))
            name = f"{PREFIX}{field}{place} ({source(host, f'{PREFIX}{field}')})"
            if detail["type"] == "extra_forbidden":
                wrong[name] = [_unknown(str(field))]
            else:
                if field not in _SECRET:
                    values[name] = detail["input"]
                wrong.setdefault(name, []).append(
                    detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
                )
        for name, reasons in wrong.items():
            found = f", found {values[name]!r}" if name in values else ""
            yield f"{name}: {' or '.join(reasons)}{found}"


def _unknown(field: str) -> str:
    if near := difflib.get_close_matches(field, NodeSettings.model_fields, n=1):
        return f"no such setting; did you mean {PREFIX}{near[0]}?"
    return f"no such setting; there are {', '.join(map(PREFIX.__add__, NodeSettings.model_fields))}"


def source(host: Host, key: str) -> str:
    """Where *host* has the data *key* from, the most specific place first.

    + host: the host
    + key: the whole name, such as ``kubenode_modules``
    """
    inventory = host.inventory
    if key in host.data.override_datas:
        return f"set for {host.name} by the deploy"
    if key in inventory.get_override_data():
        return "from --data"
    if key in inventory.get_host_data(host.name):
        return f"from host {host.name}"
    # pyinfra lets the last group win
    for group in reversed(host.groups):
        if key in inventory.get_group_data(group):
            return f"from group {group}"
    if key in inventory.get_data():
        return "from group all"
    return f"for host {host.name}"
