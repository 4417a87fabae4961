"""Kubernetes' packages as they are served, around stand-ins for its programs.

The packages have the relations, the files, the unit and the drop-in of the originals, and the
repository is flat and signed, one for each minor release, with the key beside it. The programs
are **stand-ins**: kubelet reads flags, configuration and drop-ins and fails in kubelet's words,
and kubectl asks over plain HTTP; they run no pod and know no cluster. Where
``KUBENODE_TEST_KUBERNETES`` names a folder with ``VERSION/kubelet``, ``kubeadm`` and ``kubectl``,
those are in the packages of that version instead, with Debian's CNI plugins.

Sources: kubernetes/release, cmd/krel/templates/latest (metadata.yaml, kubelet.spec, kubeadm.spec,
kubelet.service, 10-kubeadm.conf); cmd/kubelet/app/server.go and pkg/kubelet/apis/config/validation
of Kubernetes for kubelet's words.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.repositories import binaries, keys, releases
from tests.repositories.apt import FlatRepository
from tests.repositories.keys import Key
from tests.repositories.server import Server

REAL = "KUBENODE_TEST_KUBERNETES"

UNIT = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
DROP_IN = """\
# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS \
$KUBELET_EXTRA_ARGS
"""

# as `kubelet --help` of each release has them, of those that a test gives
_ALWAYS = (
    "bootstrap-kubeconfig cert-dir cgroup-driver cloud-provider config config-dir "
    "container-runtime-endpoint fail-swap-on feature-gates healthz-port help hostname-override "
    "image-gc-high-threshold kubeconfig max-pods node-ip node-labels register-node root-dir "
    "runtime-cgroups v version"
)
_UNTIL = {"pod-infra-container-image": 34, "keep-terminated-pod-volumes": 30,
          "iptables-masquerade-bit": 30, "register-schedulable": 33}  # fmt: skip
_FIELDS = (
    "apiVersion kind authentication authorization cgroupDriver clusterDNS clusterDomain "
    "containerLogMaxFiles containerLogMaxSize containerRuntimeEndpoint enforceNodeAllocatable "
    "eventRecordQPS failSwapOn failCgroupV1 featureGates healthzBindAddress healthzPort "
    "imageGCHighThresholdPercent imageGCLowThresholdPercent imageServiceEndpoint kubeReserved "
    "kubeReservedCgroup logging maxPods memorySwap podPidsLimit protectKernelDefaults "
    "resolvConf rotateCertificates runOnce runtimeRequestTimeout shutdownGracePeriod "
    "shutdownGracePeriodCriticalPods staticPodPath systemReserved systemReservedCgroup"
)
_GATES = "NodeSwap GracefulNodeShutdown MemoryQoS AllAlpha AllBeta"
# a gate of a feature that is for all since 1.34 is gone some releases later
_GATES_UNTIL = {"KubeletCgroupDriverFromCRI": 36}

_HERE = Path(__file__).parent


class KubernetesMirror:
    """``VERSION/deb`` below a server, signed by a key of its own.

    + server: what serves it
    + releases: Kubernetes' versions, such as ``1.36.3``
    + key: who signs; a new one by default
    + folder: below the server

    .. code:: python

        mirror = KubernetesMirror(server, ["1.36.3", "1.37.1"])
        kubernetes.installed(version="1.36", source=mirror.source())
    """

    def __init__(
        self,
        server: Server,
        releases: Iterable[str],
        key: Key | None = None,
        folder: str = "kubernetes",
    ) -> None:
        self.server = server
        self.key = key or keys.generated()
        self.folder = folder
        self._repositories: dict[str, FlatRepository] = {}
        for release in releases:
            self.add(release)

    @property
    def url(self) -> str:
        """As ``kubenode_kubernetes_source`` has it."""
        return f"{self.server.http}/{self.folder}/{{version}}/{{format}}"

    def source(self, **other: str) -> dict[str, str]:
        """What ``kubenode_kubernetes_source`` is on hosts that take it.

        + other: fields that are to be something else
        """
        fields = {"url": self.url, "key": self.key.public, "fingerprint": self.key.fingerprint}
        return {**fields, **other}

    def add(self, release: str, revision: str = "1.1") -> None:
        """Have a release in it, and publish that.

        + release: Kubernetes' version
        + revision: of the packages
        """
        minor = "v" + ".".join(release.split(".")[:2])
        repository = self._repositories.get(minor)
        if repository is None:
            place = self.server.folder / self.folder / minor / "deb"
            repository = self._repositories[minor] = FlatRepository(place)
        with tempfile.TemporaryDirectory() as work:
            for deb in packages(Path(work), release, revision):
                repository.add(deb)
        repository.publish(self.key)
        (repository.folder / "Release.key").write_text(self.key.public)


class Contents(NamedTuple):
    """A package, whatever its format."""

    name: str
    version: str
    files: Mapping[str, str | Path]
    """By path: text, or a file of this machine."""
    depends: str = ""
    """As Debian has it."""


def contents(release: str) -> list[Contents]:
    """What is in the five packages of a release.

    + release: Kubernetes' version, such as ``1.36.3``
    """
    minor = int(release.split(".")[1])
    companion = f"1.{minor}.0"
    programs = {name: program(name, release) for name in ("kubelet", "kubeadm", "kubectl")}
    # before 1.32 kubeadm brought them, and kubelet of builds before 2025-09 conntrack and others
    of_kubeadm = "cri-tools (>= 1.30.0)" if minor < 32 else ""
    return [
        Contents("kubelet", release, {
            "/usr/bin/kubelet": programs["kubelet"],
            "/usr/lib/systemd/system/kubelet.service": UNIT,
            "/etc/default/kubelet": "KUBELET_EXTRA_ARGS=\n",
        }, "iptables (>= 1.4.21), kubernetes-cni (>= 1.2.0), mount, util-linux"),
        Contents("kubeadm", release, {
            "/usr/bin/kubeadm": programs["kubeadm"],
            "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": DROP_IN,
        }, of_kubeadm),
        Contents("kubectl", release, {"/usr/bin/kubectl": programs["kubectl"]}),
        Contents("cri-tools", companion, {
            "/usr/bin/crictl": f"#!/bin/sh\necho crictl version v1.{minor}.0\n",
        }),
        Contents("kubernetes-cni", f"1.{minor - 30}.0", {
            f"/opt/cni/bin/{name}": plugin for name, plugin in _plugins(release).items()
        }),
    ]  # fmt: skip


def packages(folder: Path, release: str, revision: str) -> list[Path]:
    """The five packages of a release, for apt.

    + folder: where they are put
    + release: Kubernetes' version, such as ``1.36.3``
    + revision: of the packages
    """
    return [
        _built(folder, each.name, f"{each.version}-{revision}", each.files, each.depends)
        for each in contents(release)
    ]


def program(name: str, release: str) -> str | Path:
    """A program of a release: a stand-in's text, or the real one's file.

    + name: ``kubelet``, ``kubeadm`` or ``kubectl``
    + release: Kubernetes' version
    """
    real = Path(os.environ.get(REAL) or "/nonexistent", release, name)
    if real.is_file():
        return real
    if name == "kubeadm":
        return f"#!/bin/sh\n# a stand-in\necho v{release}\n"
    text = (_HERE / f"{name}.pl").read_text()
    minor = int(release.split(".")[1])
    known = [*_ALWAYS.split(), *(flag for flag, last in _UNTIL.items() if minor <= last)]
    gates = [*_GATES.split(), *(gate for gate, last in _GATES_UNTIL.items() if minor <= last)]
    values = {"VERSION": release, "FLAGS": " ".join(known), "FIELDS": _FIELDS}
    values["GATES"] = " ".join(gates)
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _plugins(release: str) -> dict[str, str | Path]:
    """The plugins that kubernetes-cni has: Debian's, beside a real kubelet."""
    if not Path(os.environ.get(REAL) or "/nonexistent", release).is_dir():
        return dict.fromkeys(releases.PLUGINS, "#!/bin/sh\n")
    # the oldest ones that run on all suites
    deb = binaries.fetched("bookworm", "containernetworking-plugins")
    unpacked = deb.with_suffix(".unpacked")
    subprocess.run(["dpkg-deb", "-x", deb, unpacked], check=True)
    return {name: unpacked / "usr/lib/cni" / name for name in releases.PLUGINS}


def _built(
    folder: Path, name: str, version: str, files: Mapping[str, str | Path], depends: str = ""
) -> Path:
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    root = folder / f"root-{name}"
    (root / "DEBIAN").mkdir(parents=True)
    for path, content in files.items():
        place = Path(f"{root}{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, place)
        else:
            place.write_text(content)
        place.chmod(0o755 if "/bin/" in path else 0o644)
    fields = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "kubenode's tests <test@example.org>",
        "Depends": depends,
        "Section": "admin",
        "Priority": "optional",
        "Description": f"{name}, a stand-in of kubenode's tests",
    }
    (root / "DEBIAN/control").write_text("".join(f"{k}: {v}\n" for k, v in fields.items() if v))
    conffiles = [path for path in files if path.startswith("/etc/")]
    if conffiles:
        (root / "DEBIAN/conffiles").write_text("".join(f"{path}\n" for path in conffiles))
    for below in root.rglob("*"):
        if below.is_dir():
            below.chmod(0o755)
    root.chmod(0o755)
    deb = folder / f"{name}_{version}_{architecture}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(root), str(deb)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.rmtree(root)
    return deb
