"""Flags of kubelet that a release no longer has, or that none had: it does not start with them.

kubelet says "unknown flag: --NAME" and systemd starts it again and again. kubeadm cleans
``/var/lib/kubelet/kubeadm-flags.env`` at an upgrade; what stands in ``/etc/default/kubelet``,
``/etc/sysconfig/kubelet`` or a drop-in of the unit stays.

Sources: :data:`KNOWN` is the reference page of kubelet 1.34 ("kubelet", Kubernetes'
command-line-tools-reference), and kubelet 1.36.2 was asked for each flag of this module;
:data:`REMOVED` has the change that removed each, and what was gone by 1.34 where no change is
named. ``kubelet`` parses its flags before it prints its version (cmd/kubelet/app/server.go), so a
program can be asked too: see :mod:`kubenode.kubelet.service`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kubenode.kubelet.command_line import Word

KNOWN = frozenset(
    {
        "address", "allowed-unsafe-sysctls", "anonymous-auth", "authentication-token-webhook",
        "authentication-token-webhook-cache-ttl", "authorization-mode",
        "authorization-webhook-cache-authorized-ttl",
        "authorization-webhook-cache-unauthorized-ttl", "bootstrap-kubeconfig", "cert-dir",
        "cgroup-driver", "cgroup-root", "cgroups-per-qos", "client-ca-file", "cloud-provider",
        "cluster-dns", "cluster-domain", "config", "config-dir", "container-log-max-files",
        "container-log-max-size", "container-runtime-endpoint", "contention-profiling",
        "cpu-cfs-quota", "cpu-cfs-quota-period", "cpu-manager-policy",
        "cpu-manager-policy-options", "cpu-manager-reconcile-period",
        "enable-controller-attach-detach", "enable-debugging-handlers", "enable-server",
        "enforce-node-allocatable", "event-burst", "event-qps", "eviction-hard",
        "eviction-max-pod-grace-period", "eviction-minimum-reclaim",
        "eviction-pressure-transition-period", "eviction-soft", "eviction-soft-grace-period",
        "exit-on-lock-contention", "experimental-allocatable-ignore-eviction",
        "experimental-mounter-path", "fail-cgroupv1", "fail-swap-on", "feature-gates",
        "file-check-frequency", "hairpin-mode", "healthz-bind-address", "healthz-port", "help",
        "hostname-override", "http-check-frequency", "image-credential-provider-bin-dir",
        "image-credential-provider-config", "image-gc-high-threshold", "image-gc-low-threshold",
        "image-service-endpoint", "kernel-memcg-notification", "kube-api-burst",
        "kube-api-content-type", "kube-api-qps", "kube-reserved", "kube-reserved-cgroup",
        "kubeconfig", "kubelet-cgroups", "local-storage-capacity-isolation", "lock-file",
        "log-flush-frequency", "log-text-info-buffer-size", "log-text-split-stream",
        "logging-format",
        "make-iptables-util-chains", "manifest-url", "manifest-url-header", "max-open-files",
        "max-pods", "maximum-dead-containers", "maximum-dead-containers-per-container",
        "memory-manager-policy", "minimum-container-ttl-duration", "minimum-image-ttl-duration",
        "node-ip", "node-labels", "node-status-max-images", "node-status-update-frequency",
        "oom-score-adj", "pod-cidr", "pod-infra-container-image", "pod-manifest-path",
        "pod-max-pids", "pods-per-core", "port", "protect-kernel-defaults", "provider-id",
        "qos-reserved", "read-only-port", "register-node", "register-with-taints",
        "registry-burst", "registry-qps", "reserved-cpus", "reserved-memory", "resolv-conf",
        "root-dir", "rotate-certificates", "rotate-server-certificates", "runonce",
        "runtime-cgroups", "runtime-request-timeout", "seccomp-default", "serialize-image-pulls",
        "streaming-connection-idle-timeout", "sync-frequency", "system-cgroups",
        "system-reserved", "system-reserved-cgroup", "tls-cert-file", "tls-cipher-suites",
        "tls-min-version", "tls-private-key-file", "topology-manager-policy",
        "topology-manager-policy-options", "topology-manager-scope", "v", "version", "vmodule",
        "volume-plugin-dir", "volume-stats-agg-period",
    }
)  # fmt: skip
"""Flags of 1.34. Those of 1.36.2 are the same without pod-infra-container-image."""

UNLISTED = frozenset(
    {
        "application-metrics-count-limit", "boot-id-file", "container-hints", "containerd",
        "containerd-namespace", "enable-load-reader", "event-storage-age-limit",
        "event-storage-event-limit", "global-housekeeping-interval", "housekeeping-interval",
        "log-cadvisor-usage", "machine-id-file", "max-housekeeping-interval",
        "storage-driver-buffer-duration", "storage-driver-db", "storage-driver-host",
        "storage-driver-password", "storage-driver-secure", "storage-driver-table",
        "storage-driver-user",
    }
)  # fmt: skip
"""cAdvisor's, which kubelet takes and which its page does not list (globalflags_linux.go)."""


@dataclass(frozen=True)
class Removal:
    """A flag that is gone.

    + since: the first release without it
    + instead: what to do, in words
    + source: the change that removed it
    """

    since: tuple[int, int]
    instead: str
    source: str


_DOCKERSHIM = "dockershim went, and the runtime has its own settings: remove the flag"
_KLOG = "kubelet logs to the journal: remove the flag"
_BY_1_34 = "the page of kubelet 1.34 has it no more"


def _gone(names: str, since: tuple[int, int], instead: str, source: str) -> dict[str, Removal]:
    return {name: Removal(since, instead, source) for name in names.split()}


REMOVED: Mapping[str, Removal] = MappingProxyType(
    {
        **_gone(
            "docker-endpoint image-pull-progress-deadline network-plugin cni-conf-dir cni-bin-dir "
            "cni-cache-dir network-plugin-mtu experimental-dockershim-root-directory",
            (1, 24),
            _DOCKERSHIM,
            "KEP-2221",
        ),
        **_gone("non-masquerade-cidr", (1, 24), _DOCKERSHIM, _BY_1_34),
        **_gone("dynamic-config-dir", (1, 24), "use --config, which kubeadm sets", "KEP-281"),
        **_gone(
            "log-dir log-file log-file-max-size logtostderr alsologtostderr stderrthreshold "
            "one-output skip-headers skip-log-headers add-dir-header log-backtrace-at",
            (1, 26),
            _KLOG,
            "KEP-2845",
        ),
        **_gone(
            "container-runtime",
            (1, 27),
            "remote is all there is: remove the flag",
            "kubernetes#114017",
        ),
        **_gone("master-service-namespace", (1, 27), "remove the flag", _BY_1_34),
        **_gone(
            "azure-container-registry-config",
            (1, 30),
            "use --image-credential-provider-config",
            "karpenter-provider-azure#338",
        ),
        **_gone("keep-terminated-pod-volumes", (1, 31), "remove the flag", "kubernetes#122082"),
        **_gone(
            "iptables-masquerade-bit iptables-drop-bit",
            (1, 31),
            "remove the flag",
            "kubernetes#122363",
        ),
        **_gone("register-schedulable", (1, 34), "use --register-with-taints", "kubernetes#122384"),
        **_gone(
            "cloud-config",
            (1, 34),
            "--cloud-provider=external, and the provider's own controller",
            "kubernetes#129394",
        ),
        **_gone(
            "pod-infra-container-image",
            (1, 35),
            "the runtime has the pause image (kubenode_pause_image): remove the flag",
            "kubernetes#133779",
        ),
        **_gone(
            "allow-privileged api-servers auth-path babysit-daemons bootstrap-checkpoint-path "
            "cadvisor-port chaos-chance configure-cbr0 containerd-env-metadata-whitelist "
            "containerized docker-env-metadata-whitelist docker-exec-handler docker-only "
            "docker-root docker-tls "
            "enable-cadvisor-json-endpoints experimental-bootstrap-kubeconfig "
            "experimental-check-node-capabilities-before-mount experimental-fail-swap-on "
            "experimental-kernel-memcg-notification experimental-qos-reserved "
            "host-ipc-sources host-network-sources host-pid-sources "
            "low-diskspace-threshold-mb network-plugin-dir "
            "outofdisk-transition-frequency really-crash-for-testing reconcile-cidr "
            "redirect-container-streaming require-kubeconfig resource-container "
            "seccomp-profile-root system-container",
            (1, 34),
            "remove the flag",
            _BY_1_34,
        ),
    }
)
"""By name. Releases that nobody supports any more are not told apart: all that is said of these is
that 1.34 has them no more."""

IN_TREE_PROVIDERS_GONE = (1, 31)
"""From this release on ``--cloud-provider`` takes ``external`` or nothing (KEP-2395)."""


@dataclass(frozen=True)
class WrongFlag:
    """A flag with which a release of kubelet would not start.

    + name: without its dashes
    + source: where it is stated: a file, the unit, the process
    + why: what is wrong, and what to do
    + is_certain: False: no table has it, and so kubelet may or may not
    """

    name: str
    source: str
    why: str
    is_certain: bool = True

    def __str__(self) -> str:
        return f"{self.source}: --{self.name} {self.why}"


def stated(words: Iterable[Word]) -> list[tuple[str, str, str]]:
    """Name, value and source of each flag, in order; one that is stated twice is there twice.

    + words: of :func:`kubenode.kubelet.command_line.of_unit`

    The value is what stands behind ``=``, or the next word where that is no flag.
    """
    found: list[tuple[str, str, str]] = []
    for text, source in words:
        if text == "--":
            break
        if re.match(r"--[A-Za-z]", text):
            name, equals, value = text[2:].partition("=")
            found.append((name.replace("_", "-"), value if equals else "", source))
        elif found and not text.startswith("-") and not found[-1][1]:
            found[-1] = (found[-1][0], text, found[-1][2])
    return found


def wrong(
    words: Iterable[Word], minor: tuple[int, int], proven: Collection[str] = ()
) -> list[WrongFlag]:
    """The flags with which kubelet of a release would not start.

    + words: what it would be started with
    + minor: the release
    + proven: flags that a kubelet runs with: one of these that no table has may be newer than them

    **Example:**

    .. code:: python

        wrong([Word("--container-runtime=remote", "/etc/default/kubelet")], (1, 37))
    """
    release = f"{minor[0]}.{minor[1]}"
    found = []
    for name, value, source in stated(words):
        removal = REMOVED.get(name)
        if removal is not None and minor >= removal.since:
            since = ".".join(map(str, removal.since))
            found.append(
                WrongFlag(
                    name,
                    source,
                    f"is gone since {since} ({removal.source}): {removal.instead}",
                )
            )
        elif removal is None and name not in KNOWN | UNLISTED:
            near = difflib.get_close_matches(name, KNOWN, n=1)
            meant = f": did you mean --{near[0]}?" if near else ""
            found.append(
                WrongFlag(
                    name,
                    source,
                    f"is no flag of kubelet {release} that kubenode knows{meant}",
                    is_certain=name not in proven,
                )
            )
        elif (
            name == "cloud-provider"
            and minor >= IN_TREE_PROVIDERS_GONE
            and value.strip("\"'") not in ("", "external")
        ):
            why = f"{value[:40]} is gone since 1.31 (KEP-2395): external is all there is"
            found.append(WrongFlag(name, source, why))
    return found
