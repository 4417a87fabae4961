"""Swap of every kind on a real machine: one deploy, and no swap, now and after boots.

``make test`` takes Debian 12's machine, whose other tests are fewer; ``KUBENODE_SOAK=1`` both.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.soak import loops
from tests.targets import pyinfra_cli
from tests.vm import box
from tests.vm.conftest import FRESH, changed
from tests.vm.lab import Lab
from tests.vm.machine import Machine

pytestmark = pytest.mark.parametrize("vm_lab", loops.choice(["trixie"], box.SUITES), indirect=True)

_LAY = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
for package in zram-tools systemd-zram-generator; do
  apt-get -qq install -y --no-install-recommends $package
done
# a second one beside that of zram-tools
printf '[zram1]\\nzram-size = 64\\n' >/etc/systemd/zram-generator.conf
# behind the root's, as ROOT_GIB of the box leaves room
echo 'start=7170MiB, type=swap' | sfdisk --append --no-reread --force /dev/vda
partx --add --nr 2 /dev/vda
udevadm settle
mkswap /dev/vda2
for file in /swapfile /own; do
  dd if=/dev/zero of=$file bs=1M count=64
  chmod 600 $file
  mkswap $file
done
echo '/swapfile none swap sw 0 0' >>/etc/fstab
printf '[Swap]\\nWhat=/own\\n[Install]\\nWantedBy=swap.target\\n' >/etc/systemd/system/own.swap
systemctl enable own.swap
sync
"""

_FILES = {"/swapfile", "/own", "/dev/zram0", "/dev/zram1"}


@pytest.fixture
def machine(vm_lab: tuple[Lab, Machine]) -> Machine:
    """The machine as it was after its first boot; kubenode was never there."""
    vm_lab[1].restore(FRESH)
    return vm_lab[1]


@pytest.fixture
def inventory(machine: Machine, tmp_path: Path) -> Path:
    """By SSH as the vagrant user with sudo."""
    return pyinfra_cli.write_inventory(tmp_path / "inventory.py", [machine.host()])


def in_use(machine: Machine) -> set[str]:
    """What the kernel swaps to."""
    return {line.split()[0] for line in machine.read("/proc/swaps").splitlines()[1:]}


def predicted(inventory: Path) -> list[str]:
    """What the fact says that the next boot turns on."""
    result = pyinfra_cli.run(
        *("--json", inventory, "fact", "kubenode.facts.swap.Swap"), cwd=inventory.parent
    )
    assert result.returncode == 0, result.output
    ((answer,),) = (by_host.values() for by_host in result.json().values())
    assert answer["undecided"] == []
    return sorted(source["what"] for source in answer["boot"])


def test_one_deploy_turns_all_swap_off_for_good(machine: Machine, inventory: Path) -> None:
    machine.sh(_LAY)

    # control: swapoff alone lasts until the next boot
    machine.sh("swapoff -a")
    assert in_use(machine) == set()
    before = predicted(inventory)
    assert before == ["/swapfile none swap sw 0 0", "own.swap", "zram1", "zramswap.service"]
    machine.reboot()
    assert in_use(machine) == _FILES

    # control: without fstab's line systemd takes the partition
    machine.sh("cp /etc/fstab /root/fstab; sed -i '/swapfile/d' /etc/fstab")
    machine.reboot()
    assert in_use(machine) == _FILES - {"/swapfile"} | {"/dev/vda2"}
    machine.sh("cp /root/fstab /etc/fstab; swapon /swapfile")

    # so that there is something to bring back into memory
    machine.try_sh("echo 20M >/sys/fs/cgroup/system.slice/memory.reclaim")
    assert in_use(machine) == {*_FILES, "/dev/vda2"}

    first = pyinfra_cli.run("-y", "-v", inventory, ROOT / "deploy.py", cwd=inventory.parent)
    assert first.returncode == 0, first.output
    assert changed(first.output)["Node | No swap"] == "Success"
    assert in_use(machine) == set()
    assert predicted(inventory) == []

    machine.reboot()
    assert in_use(machine) == set()
    assert predicted(inventory) == []
    assert machine.sh("systemctl --failed --no-legend --plain") == ""

    second = pyinfra_cli.run("-y", "-v", inventory, ROOT / "deploy.py", cwd=inventory.parent)
    assert second.returncode == 0, second.output
    assert set(changed(second.output).values()) == {"No Change"}, second.output
    assert "no swap is on, and nothing turns it on at boot" in second.output


def test_swap_that_does_not_fit_into_memory_stays_on(machine: Machine, inventory: Path) -> None:
    machine.sh(
        "fallocate -l 400M /swapfile; chmod 600 /swapfile; mkswap /swapfile; swapon /swapfile; "
        "echo '/swapfile none swap sw 0 0' >>/etc/fstab; sync"
    )
    machine.try_sh("echo 40M >/sys/fs/cgroup/system.slice/memory.reclaim")
    # huge pages are taken at once, and given back at once
    machine.sh(
        "for pages in $(seq 600 20 960); do sysctl -qw vm.nr_hugepages=$pages; "
        "[ $(sed -n 's/^MemAvailable: *//; T; s/ kB//p' /proc/meminfo) -gt 120000 ] || exit 0; "
        "done; exit 1"
    )
    assert int(machine.read("/proc/swaps").splitlines()[1].split()[3]) > 0
    before = machine.read("/etc/fstab")
    deploy = inventory.parent / "off.py"
    deploy.write_text("from kubenode.operations import swap\nswap.off(name='No swap')\n")
    refused = pyinfra_cli.run("-y", inventory, deploy, cwd=inventory.parent)
    assert refused.returncode == 1
    assert "does not fit into memory" in refused.output
    assert in_use(machine) == {"/swapfile"}
    assert machine.read("/etc/fstab") == before

    # control: once there is room, it goes
    machine.sh("sysctl -qw vm.nr_hugepages=0")
    done = pyinfra_cli.run("-y", inventory, deploy, cwd=inventory.parent)
    assert done.returncode == 0, done.output
    assert in_use(machine) == set()
    assert machine.read("/etc/fstab") != before
