"""swap.off on a real host: what turned swap on is found again by systemd's own words, or is not.

A container has no swap of its own: what is turned off now is shown on the VMs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from kubenode.facts.swap import Swap
from tests.conftest import ROOT
from tests.end_to_end.test_swap_at_boot import _FSTAB, _SWAPON, _UNITS, _service
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

_GENERATOR = "/usr/lib/systemd/system-generators/zram-generator"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def host(docker_client: DockerClient, login_key: SshKey) -> Iterator[Target]:
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh(f"cp -a {_UNITS} /root/units; cp /etc/fstab /root/fstab")
        yield target


@pytest.fixture
def target(host: Target) -> Target:
    """The host as it was started."""
    host.sh(
        f"rm -r {_UNITS}; cp -a /root/units {_UNITS}; cp /root/fstab /etc/fstab; "
        "rm -rf /etc/fstab.* /etc/waagent.conf* /etc/cron.d/swap /etc/cloud "
        "/etc/systemd/zram-generator.conf* /usr/lib/systemd/zram-generator.conf "
        f"/usr/lib/systemd/system/zramswap.service /usr/sbin/zramswap /usr/bin/cloud-init "
        f"{_GENERATOR}; systemctl daemon-reload"
    )
    return host


@pytest.fixture
def off(target: Target, tmp_path: Path) -> Run:
    """Runs swap.off on it."""
    deploy = tmp_path / "off.py"
    deploy.write_text("from kubenode.operations import swap\nswap.off(name='No swap')\n")
    inventory = pyinfra_cli.write_inventory(tmp_path / "inventory.py", [target.host()])

    def run(*options: str) -> Result:
        return pyinfra_cli.run(*(options or ("-y", "-v")), inventory, deploy, cwd=tmp_path)

    return run


def sources(target: Target) -> list[str] | None:
    fact = Swap()
    boot = fact.process(target.sh(fact.command()).splitlines())["boot"]
    return None if boot is None else [source["what"] for source in boot]


ZRAM = (
    f"printf '#!/bin/sh\\n' >{_GENERATOR}; chmod +x {_GENERATOR}; "
    "printf '[zram0]\\n[zram1]\\nmount-point = /x\\n' >/usr/lib/systemd/zram-generator.conf"
)
ZRAMSWAP = (
    "printf '#!/bin/bash\\nswapon -p 100 /dev/zram0\\n' >/usr/sbin/zramswap; "
    "chmod +x /usr/sbin/zramswap; "
    + _service("zramswap.service", "/usr/sbin/zramswap start", enable=False)
    + f"; mv {_UNITS}/zramswap.service /usr/lib/systemd/system; systemctl enable -q zramswap"
)
CLOUD = (
    "printf '#!/bin/sh\\n' >/usr/bin/cloud-init; chmod +x /usr/bin/cloud-init; "
    "mkdir -p /etc/cloud/cloud.cfg.d; printf 'swap:\\n  filename: /swap.img\\n  size: 2G\\n' "
    ">/etc/cloud/cloud.cfg.d/90-swap.cfg"
)
OWN = (
    f"printf '[Swap]\\nWhat=/x\\n[Install]\\nWantedBy=swap.target\\n' >{_UNITS}/x.swap; "
    "systemctl enable -q x.swap"
)


@pytest.mark.parametrize(
    ("script", "shows"),
    [
        (_FSTAB, "grep -q '^# disabled by kubenode: /swapfile' /etc/fstab"),
        (OWN, "test $(systemctl is-enabled x.swap) = masked"),
        (ZRAMSWAP, "test $(systemctl is-enabled zramswap.service) = masked"),
        (_service("swapspace.service", "/usr/sbin/swapspace"),
         "test $(systemctl is-enabled swapspace.service) = masked"),
        (ZRAM, "test -z \"$(sed '/^#/d; /zram1/,$d' /etc/systemd/zram-generator.conf)\""),
        ("printf 'ResourceDisk.EnableSwap=y\\nResourceDisk.SwapSizeMB=2048\\n' >/etc/waagent.conf; "
         + _service("walinuxagent.service", "/usr/sbin/waagent -daemon"),
         "grep -q '^ResourceDisk.EnableSwap=n' /etc/waagent.conf"),
        (CLOUD, "grep -q 'size: 0' /etc/cloud/cloud.cfg.d/zz-kubenode-swap.cfg"),
        ("; ".join([_FSTAB, OWN, ZRAMSWAP, ZRAM, CLOUD]), ":"),
    ],
    ids=["fstab", "a unit", "zram-tools", "swapspace", "zram-generator", "the Azure agent",
         "cloud-init", "all at once"],
)  # fmt: skip
def test_each_source_is_gone_and_the_second_run_changes_nothing(
    target: Target, off: Run, script: str, shows: str
) -> None:
    target.sh(script)
    assert sources(target)
    before = target.sh("cat /etc/fstab; ls /etc/systemd")

    dry = off("--dry", "--diff")
    assert dry.returncode == 0, dry.output
    assert "at boot" in dry.output
    assert target.sh("cat /etc/fstab; ls /etc/systemd") == before

    first = off()
    assert first.returncode == 0, first.output
    assert "at boot" in first.output
    assert sources(target) == []
    target.sh(shows)

    second = off()
    assert second.returncode == 0, second.output
    assert "no swap is on, and nothing turns it on at boot" in second.output
    assert sources(target) == []


@pytest.mark.parametrize(
    "script",
    [
        "mkdir -p /etc/cron.d; echo '@reboot root swapon /swapfile' >/etc/cron.d/swap",
        _service("my-memory.service", _SWAPON),
    ],
    ids=["a crontab", "a service of somebody's"],
)
def test_where_one_source_is_not_ours_nothing_is_changed(
    target: Target, off: Run, script: str
) -> None:
    target.sh(f"{script}; {_FSTAB}")
    before = target.sh("cat /etc/fstab")
    refused = off()
    assert refused.returncode == 1
    assert "swapon /swapfile" in refused.output
    assert "nothing was changed" in refused.output
    assert target.sh("cat /etc/fstab") == before


def test_what_is_masked_comes_back_as_it_was(target: Target, off: Run) -> None:
    target.sh(f"{ZRAMSWAP}; {OWN}")
    assert off().returncode == 0
    target.sh(f"rm {_UNITS}/zramswap.service; mv {_UNITS}/x.swap.kubenode-backup {_UNITS}/x.swap")
    assert sources(target) == ["x.swap", "zramswap.service"]


def test_deploy_leaves_swap_where_the_setting_says_so(target: Target, tmp_path: Path) -> None:
    target.sh(_FSTAB)
    inventory = pyinfra_cli.write_inventory(tmp_path / "inventory.py", [target.host()])
    for keep in ("keep", "limited"):
        result = pyinfra_cli.run(
            *("-y", inventory, ROOT / "deploy.py"), cwd=tmp_path, data={"kubenode_swap": keep}
        )
        assert result.returncode == 0, result.output
        assert sources(target) == ["/swapfile none swap sw 0 0"]
    target.sh("mkdir -p /var/lib/kubelet; echo 'failSwapOn: false' >/var/lib/kubelet/config.yaml")
    result = pyinfra_cli.run("-y", "-v", inventory, ROOT / "deploy.py", cwd=tmp_path)
    assert result.returncode == 0, result.output
    assert sources(target) == ["/swapfile none swap sw 0 0"]
    # control
    target.sh("rm -r /var/lib/kubelet")
    result = pyinfra_cli.run("-y", "-v", inventory, ROOT / "deploy.py", cwd=tmp_path)
    assert result.returncode == 0, result.output
    assert sources(target) == []
