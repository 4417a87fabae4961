"""A release archive of cri-dockerd on a host: beside others, by one rename, with units of its own.

Upstream's archive has the program alone; the units are like those of its packages.

Source: Mirantis/cri-dockerd, packaging/static and packaging/systemd.
"""

from __future__ import annotations

import base64
import shlex

from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.packages import archive_change
from kubenode.packages.archive import ArchiveFile
from kubenode.run import host_script
from kubenode.runtimes.config_swap import CRI_WAIT_SECONDS
from kubenode.runtimes.docker import cri_dockerd, proof

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


def change(version: str, file: ArchiveFile) -> StringCommand:
    """A command that unpacks a release, tries it, and switches to it; back where it does not serve.

    + version: of the release, which the program has to say too
    + file: its archive, which waits on the host (:mod:`kubenode.packages.archive_transfer`)

    Nothing that runs is changed when the archive is not whole, is another one, or does not run
    here. cri-dockerd is restarted where it runs; containers are Docker Engine's, and go on.
    """
    units = "\n".join(
        f"unit_of {name} {whole_file.sum_of(text.encode())} "
        f"{base64.b64encode(text.encode()).decode()}"
        for name, text in UNITS.items()
    )
    daemon = proof.daemon("cri-docker.service", cri_dockerd.SOCKET, with_engine=False)
    script = host_script.read(
        __file__,
        "cri_archive.sh",
        FUNCTIONS="\n".join(
            [whole_file.FUNCTIONS, archive_change.STORE_FUNCTIONS, daemon.head],
        ),
        BUILD=shlex.quote(build_of(version, file)),
        CRI_WAIT_SECONDS=CRI_WAIT_SECONDS,
        HEAD=shlex.quote(_HEAD.strip()),
        LINK=LINK,
        MOST_BLOCKS=archive_change.MOST_BLOCKS,
        ROOT=ROOT,
        STORE=shlex.quote(archive_change.STORE),
        SUM=file.sha256,
        UNITS=units,
        UNITS_IN=UNITS_IN,
        VERSION=shlex.quote(version),
    )
    return host_lock.under_lock(script)
