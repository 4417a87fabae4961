"""CRI-O of upstream's static bundle on a host: beside other builds, with a unit and a drop-in.

Each build has a directory of its own below :data:`ROOT`, which appears there by one rename when all
of it is unpacked, tried and on disk. The link ``current`` leads to the one in use, and the links in
:data:`PROGRAMS_IN` lead through it. CNI plugins, crictl and what is for people stay in the bundle.

Source: cri-o/packaging, templates/latest/cri-o/bundle.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass

from kubenode.files import whole_file
from kubenode.packages import archive_change
from kubenode.packages.archive import ArchiveFile
from kubenode.packages.package_change import PackageChange
from kubenode.run import host_script
from kubenode.runtimes import archive_program
from kubenode.runtimes.crio.config import DROP_INS, MAIN
from kubenode.runtimes.program_change import Program

ROOT = "/usr/local/lib/kubenode/crio"
PROGRAMS_IN = "/usr/local/bin"
UNIT_FILE = "/usr/local/lib/systemd/system/crio.service"
DROP_IN = f"{DROP_INS}/05-kubenode-archive.conf"
POLICY = "/etc/crio/policy.json"
SUMS = archive_change.SUMS
SUMS_END = archive_change.SUMS_END

_HEAD = "# CRI-O of a release archive, by kubenode: see systemctl edit for drop-ins.\n"
UNIT = f"""{_HEAD}[Unit]
Description=Container Runtime Interface for OCI (CRI-O)
Documentation=https://github.com/cri-o/cri-o
Wants=network-online.target
Before=kubelet.service
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/crio
EnvironmentFile=-/etc/sysconfig/crio
ExecStart={PROGRAMS_IN}/crio $CRIO_CONFIG_OPTIONS $CRIO_RUNTIME_OPTIONS $CRIO_STORAGE_OPTIONS \
$CRIO_NETWORK_OPTIONS $CRIO_METRICS_OPTIONS
ExecReload=/bin/kill -s HUP $MAINPID
TasksMax=infinity
LimitNOFILE=1048576
LimitNPROC=1048576
LimitCORE=infinity
OOMScoreAdjust=-999
TimeoutStartSec=0
Restart=on-failure
RestartSec=10

[Install]
WantedBy=multi-user.target
Alias=cri-o.service
"""

SETTINGS = f"""# Where the programs of the archive are, by kubenode. Later drop-ins win over it.
[crio.image]
signature_policy = "{POLICY}"

[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.crun]
runtime_path = "{ROOT}/current/crun"
runtime_root = "/run/crun"
monitor_path = "{ROOT}/current/conmon"

[crio.runtime.runtimes.runc]
runtime_path = "{ROOT}/current/runc"
runtime_root = "/run/runc"
monitor_path = "{ROOT}/current/conmon"
"""
"""The handlers that upstream's package and bundle have. Pods that name one find it again."""

_ANY_IMAGE = '{ "default": [{ "type": "insecureAcceptAnything" }] }\n'
"""What upstream's bundle has: images are not signed in general."""


@dataclass(frozen=True)
class Bundle:
    """Upstream's static bundle.

    + version: CRI-O's
    + file: the archive
    """

    version: str
    file: ArchiveFile

    @property
    def name(self) -> str:
        """Of its directory: another archive of the same version stands beside it."""
        digest = hashlib.sha256(f"{self.version}\n{self.file.sha256}".encode()).hexdigest()
        return f"{self.version}-{digest[:8]}"


def program(
    bundle: Bundle | None,
    old_build: str | None,
    now: str | None,
    packages: PackageChange | None = None,
    manager: str = "apt-get",
) -> Program:
    """The program that a bundle brings, or that a package brings instead of one, as
    :mod:`kubenode.runtimes.program_change` changes it.

    + bundle: the new one, which waits on the host (:mod:`kubenode.packages.archive_transfer`). None
      leaves bundles: the package brings the program
    + old_build: the build that is in use, None for none
    + now: CRI-O's version now, None where there is none
    + packages: those that go for it, or come instead of it
    + manager: their package manager

    **Example:**

    .. code:: python

        going = PackageChange(removes=("cri-o",), now={"cri-o": "1.35.6-1.1"})
        program(Bundle("1.36.3", file), None, "1.35.6", going)
    """
    if bundle is None:
        what = "CRI-O of a package instead of the archive's"
        phrases = [f"CRI-O {now or 'of an archive'} (archive) goes"]
    else:
        what = f"CRI-O {bundle.version} of an archive"
        was = f"{now} -> " if now else ""
        phrases = [f"CRI-O {was}{bundle.version} (archive {bundle.name})"]
    if packages is not None:
        phrases += packages.explained
    functions = archive_program.with_packages(_change(bundle, old_build), packages, manager)
    return Program(what, ", ".join(phrases), functions)


def _change(bundle: Bundle | None, old_build: str | None) -> str:
    variables = {
        "archive_root": ROOT,
        "archive_build": "" if bundle is None else bundle.name,
        "archive_version": "" if bundle is None else bundle.version,
        "archive_old": old_build or "",
        "archive_sum": "" if bundle is None else bundle.file.sha256,
        "archive_store": archive_change.STORE,
    }
    for name, text in (("unit", UNIT), ("conf", SETTINGS), ("policy", _ANY_IMAGE)):
        variables[f"archive_{name}_sum"] = whole_file.sum_of(text.encode())
        variables[f"archive_{name}_text"] = base64.b64encode(text.encode()).decode()
    functions = host_script.read(
        __file__,
        "bundle_change.sh",
        DROP_IN=DROP_IN,
        DROP_INS=DROP_INS,
        HEAD=shlex.quote(_HEAD.strip()),
        MAIN=MAIN,
        MOST_BLOCKS=archive_change.MOST_BLOCKS,
        POLICY=POLICY,
        PROGRAMS_IN=PROGRAMS_IN,
        UNIT_FILE=UNIT_FILE,
    )
    stated = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    shared = [archive_change.STORE_FUNCTIONS.strip(), archive_change.BUILD_FUNCTIONS.strip()]
    return "\n".join([*stated, *shared, functions.strip()])
