"""The audit on a node with CRI-O: each break gives its one finding, and undone it is gone.

The program is a stand-in, or CRI-O itself: see :mod:`tests.end_to_end.test_crio_on_targets`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.end_to_end import crio_hosts
from tests.end_to_end.crio_hosts import Minors
from tests.repositories import cri_o
from tests.repositories.server import Server
from tests.targets import kubenode_cli, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

MINOR = cri_o.NEW.rpartition(".")[0]
OWN = "/etc/crio/kubenode.conf"
OTHER = "/etc/crio/crio.conf.d/50-other.conf"
_RESTART = "systemctl reset-failed crio; systemctl restart crio"


class Break(NamedTuple):
    """One break of a node with CRI-O."""

    script: str
    finding: str
    text: str
    """A part of what is found."""
    fix: str


BREAKS = {
    "the driver edited, and not restarted": Break(
        f'sleep 1; sed -i \'s/"systemd"/"cgroupfs"/\' {OWN}',
        "runtime.config-applied",
        "99-kubenode.conf",
        f'sed -i \'s/"cgroupfs"/"systemd"/\' {OWN}',
    ),
    "the pause image edited, and not reloaded": Break(
        f"sleep 1; printf '[crio.image]\\npause_image = \"mirror.example.org/p:1\"\\n' >{OTHER}",
        "runtime.config-applied",
        OTHER,
        f"rm {OTHER}",
    ),
    "the other driver": Break(
        f'sed -i \'s/"systemd"/"cgroupfs"/\' {OWN}; {_RESTART}',
        "cgroup-driver.wanted",
        "cgroupfs (crio)",
        f'sed -i \'s/"cgroupfs"/"systemd"/\' {OWN}; {_RESTART}',
    ),
    "a copy among the drop-ins": Break(
        "cp -p /etc/crio/crio.conf.d/10-crio.conf /etc/crio/crio.conf.d/10-crio.conf.bak",
        "crio.stray-files",
        "10-crio.conf.bak",
        "rm /etc/crio/crio.conf.d/10-crio.conf.bak",
    ),
    "a file that is not TOML": Break(
        f"sleep 1; echo '= 3' >{OTHER}",
        "runtime.config-readable",
        f"{OTHER}:1",
        f"rm {OTHER}",
    ),
    "no policy for signatures": Break(
        "mv /etc/crio/policy.json /root",
        "crio.signature-policy",
        "/etc/crio/policy.json is missing",
        "mv /root/policy.json /etc/crio",
    ),
    "the bridge of old packages": Break(
        "cd /etc/cni/net.d; cp 10-crio-bridge.conflist.disabled 10-crio-bridge.conflist; "
        "mkdir -p /opt/cni/bin; for name in bridge host-local loopback; do "
        "install -m 755 /bin/true /opt/cni/bin/$name; done",
        "crio.bridge",
        "10-crio-bridge.conflist",
        "rm /etc/cni/net.d/10-crio-bridge.conflist; rm -r /opt/cni/bin",
    ),
    "insecure registries that nobody reads": Break(
        "printf '[crio.image]\\ninsecure_registries = [\"r.example.org\"]\\n' "
        f">{OTHER}; {_RESTART}",
        "crio.insecure-registries",
        "ignores it",
        f"rm {OTHER}; {_RESTART}",
    ),
    "a monitor's cgroup with which it does not start": Break(
        f"printf '[crio.runtime]\\nconmon_cgroup = \"machine\"\\n' >{OTHER}",
        "crio.monitor-cgroup",
        "'machine'",
        f"rm {OTHER}",
    ),
    "an option on the command line": Break(
        "echo CRIO_CONFIG_OPTIONS=--cgroup-manager=systemd >>/etc/default/crio",
        "crio.command-line",
        "/etc/default/crio: --cgroup-manager",
        "sed -i /^CRIO_/d /etc/default/crio",
    ),
    "it does not run": Break(
        "systemctl stop crio",
        "runtime.cri-serving",
        "nothing answers on /run/crio/crio.sock",
        "systemctl start crio",
    ),
    "it does not start at boot": Break(
        "systemctl -q disable crio",
        "runtime.enabled",
        "disabled",
        "systemctl -q enable crio",
    ),
    "an upgrade may come": Break(
        "apt-mark -q unhold cri-o", "runtime.held", "cri-o", "apt-mark -q hold cri-o"
    ),
    "too few open files": Break(
        "mkdir /etc/systemd/system/crio.service.d; printf '[Service]\\nLimitNOFILE=1024\\n' "
        ">/etc/systemd/system/crio.service.d/limit.conf; systemctl daemon-reload",
        "runtime.nofile",
        "1024",
        "rm -r /etc/systemd/system/crio.service.d; systemctl daemon-reload",
    ),
}


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient,
    login_key: SshKey,
    package_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Target, Path]]:
    folder = tmp_path_factory.mktemp("crio")
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        crio_hosts.ready(target)
        name, data = target.host()
        hosts = pyinfra_cli.write_inventory(
            folder / "inventory.py", [(name, {**data, "kubenode_runtime": "crio"})]
        )
        settings = Minors(package_server, "trixie", cri_o.NEW).settings(MINOR)
        result = pyinfra_cli.run("-y", hosts, ROOT / "deploy.py", cwd=folder, data=settings)
        assert result.returncode == 0, result.output
        yield target, hosts


def found(hosts: Path, *options: str) -> dict[str, str]:
    findings = kubenode_cli.audit(hosts, *options).findings()
    return {
        check: f"{each['found']} {each['evidence']}"
        for check, each in findings.items()
        # of a machine that is busy these differ each time
        if not check.startswith("machine.")
    }


def test_each_break_gives_its_one_finding(node: tuple[Target, Path]) -> None:
    target, hosts = node
    whole = found(hosts)
    assert not [check for check in whole if check.startswith(("crio.", "runtime.", "cgroup-dr"))]
    wrong = {}
    for name, each in BREAKS.items():
        target.sh(each.script)
        news = {check: text for check, text in found(hosts).items() if whole.get(check) != text}
        target.sh(each.fix)
        if set(news) != {each.finding} or each.text not in news[each.finding]:
            wrong[name] = news
    assert not wrong, "\n".join(f"{name}: {news}" for name, news in wrong.items())
    assert found(hosts) == whole
    assert set(found(hosts, "--for", "1.39")) - set(whole) >= {"crio.kubernetes"}
