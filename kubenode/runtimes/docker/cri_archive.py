"""A release archive of cri-dockerd on a host: beside others, by one rename, with units of its own.

Upstream's archive has the program alone; the units are like those of its packages.

Source: Mirantis/cri-dockerd, packaging/static and packaging/systemd.
"""

from __future__ import annotations

import base64
import shlex

from pyinfra.api import StringCommand

from kubenode.files import whole_file
from kubenode.packages import archive_change
from kubenode.packages.archive import ArchiveFile
from kubenode.run import host_script
from kubenode.runtimes import program_change
from kubenode.runtimes.docker import cri_dockerd, proof
from kubenode.runtimes.program_change import Program

ROOT = "/usr/local/lib/kubenode/cri-dockerd"
LINK = "/usr/local/bin/cri-dockerd"
UNITS_IN = "/usr/local/lib/systemd/system"

_HEAD = "# cri-dockerd of a release archive, by kubenode: see systemctl edit for drop-ins.\n"

SERVICE = f"""{_HEAD}[Unit]
Description=CRI for Docker Engine
Documentation=https://github.com/Mirantis/cri-dockerd
After=network-online.target firewalld.service docker.service
Wants=network-online.target
Requires=cri-docker.socket
StartLimitBurst=3
StartLimitIntervalSec=60

[Service]
Type=notify
ExecStart={LINK} --container-runtime-endpoint fd://
TimeoutSec=0
RestartSec=2
Restart=always
LimitNOFILE=infinity
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
Delegate=yes
KillMode=process

[Install]
WantedBy=multi-user.target
"""
SOCKET = f"""{_HEAD}[Unit]
Description=Socket of the CRI for Docker Engine
PartOf=cri-docker.service

[Socket]
ListenStream={cri_dockerd.SOCKET}
SocketMode=0660
SocketUser=root
SocketGroup=docker

[Install]
WantedBy=sockets.target
"""
UNITS = {"cri-docker.service": SERVICE, "cri-docker.socket": SOCKET}


def build_of(version: str, file: ArchiveFile) -> str:
    """The name of the directory that a release has on a host.

    + version: of the release
    + file: its archive
    """
    return f"{version}-{file.sha256[:8]}"


def program(version: str, file: ArchiveFile, now: str | None) -> Program:
    """The program that a release brings, as :mod:`kubenode.runtimes.program_change` changes it.

    + version: of the release, which the program has to say too
    + file: its archive, which waits on the host (:mod:`kubenode.packages.archive_transfer`)
    + now: cri-dockerd's version now, None where there is none

    It is unpacked beside the others, and tried. Nothing is changed when the archive is not whole,
    is another one, or does not run here.
    """
    variables = {
        "cri_build": build_of(version, file),
        "cri_version": version,
        "cri_sum": file.sha256,
        "archive_store": archive_change.STORE,
    }
    for name, text in (("service", SERVICE), ("socket", SOCKET)):
        variables[f"cri_{name}_sum"] = whole_file.sum_of(text.encode())
        variables[f"cri_{name}_text"] = base64.b64encode(text.encode()).decode()
    functions = host_script.read(
        __file__,
        "program_of_cri_dockerd.sh",
        HEAD=shlex.quote(_HEAD.strip()),
        LINK=LINK,
        MOST_BLOCKS=archive_change.MOST_BLOCKS,
        ROOT=ROOT,
        SERVICE=f"{UNITS_IN}/cri-docker.service",
        SOCKET=f"{UNITS_IN}/cri-docker.socket",
    )
    stated = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return Program(
        f"cri-dockerd {version} of an archive",
        f"cri-dockerd {now or '(not installed)'} -> {version} ({LINK})",
        "\n".join([*stated, archive_change.STORE_FUNCTIONS.strip(), functions.strip()]),
    )


def change(
    version: str, file: ArchiveFile, now: str | None, service: program_change.Service
) -> StringCommand:
    """A command that switches to a release; back where it does not serve, or is interrupted.

    + version, file, now: see :func:`program`
    + service: what its unit did before

    cri-dockerd is restarted where it runs; containers are Docker Engine's, and go on.
    """
    daemon = proof.daemon("cri-docker.service", cri_dockerd.SOCKET, with_engine=False)
    # there is no such file: cri-dockerd has flags only
    main = f"{program_change.DIRECTORY}/cri-dockerd"
    return program_change.change(program(version, file, now), {}, main, daemon, service)
