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

from kubenode.files import whole_file
from kubenode.packages import archive_change
from kubenode.packages.archive import ArchiveFile
from kubenode.run import host_script
from kubenode.runtimes.program_change import Program

ROOT = "/usr/local/lib/kubenode/crio"
PROGRAMS_IN = "/usr/local/bin"
UNIT_FILE = "/usr/local/lib/systemd/system/crio.service"
DROP_IN = "/etc/crio/crio.conf.d/05-kubenode-archive.conf"
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
"""
_ANY_IMAGE = '{ "default": [{ "type": "insecureAcceptAnything" }] }\n'
"""What upstream's bundle has: images are not signed in general."""


def build_of(version: str, file: ArchiveFile) -> str:
    """The name of a build's directory: another archive of the same version stands beside it.

    + version: CRI-O's
    + file: the archive
    """
    digest = hashlib.sha256(f"{version}\n{file.sha256}".encode()).hexdigest()
    return f"{version}-{digest[:8]}"


def program(version: str, file: ArchiveFile, old_build: str | None, now: str | None) -> Program:
    """The program that the bundle brings, as :mod:`kubenode.runtimes.program_change` changes it.

    + version: CRI-O's
    + file: the archive, which waits on the host (:mod:`kubenode.packages.archive_transfer`)
    + old_build: the build that is in use, None for none
    + now: CRI-O's version now, None where there is none
    """
    variables = {
        "crio_build": build_of(version, file),
        "crio_version": version,
        "crio_old": old_build or "",
        "crio_sum": file.sha256,
        "archive_store": archive_change.STORE,
    }
    for name, text in (("unit", UNIT), ("conf", SETTINGS), ("policy", _ANY_IMAGE)):
        variables[f"crio_{name}_sum"] = whole_file.sum_of(text.encode())
        variables[f"crio_{name}_text"] = base64.b64encode(text.encode()).decode()
    functions = host_script.read(
        __file__,
        "program_of_bundle.sh",
        DROP_IN=DROP_IN,
        HEAD=shlex.quote(_HEAD.strip()),
        MOST_BLOCKS=archive_change.MOST_BLOCKS,
        POLICY=POLICY,
        PROGRAMS_IN=PROGRAMS_IN,
        ROOT=ROOT,
        SUMS=SUMS,
        SUMS_END=shlex.quote(SUMS_END),
        UNIT_FILE=UNIT_FILE,
    )
    stated = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    was = f"{now} -> " if now else ""
    return Program(
        f"CRI-O {version} of an archive",
        f"CRI-O {was}{version} (archive {variables['crio_build']})",
        "\n".join([*stated, archive_change.STORE_FUNCTIONS.strip(), functions.strip()]),
    )
