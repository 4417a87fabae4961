"""The audit of a fleet in which one host has the worst files that are known."""

from __future__ import annotations

import pytest

from tests.conftest import WriteInventory
from tests.targets import kubenode_cli
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

# Shell that writes them: a script has to be shorter. All of them fit into one answer.
FILES = {
    "/etc/sysctl.d/zz-globs.conf": 'i=0; while [ $i -lt 500 ]; do echo "net/*/*/{a,b}$i*=1"; '
    "i=$((i + 1)); done; yes 'net.ipv4.ip_forward=0\nnet.ipv4.ip_forward=2' | head -c 400000",
    "/etc/sysctl.d/zz.conf": "yes 'net/ipv4/conf/*/*orwarding = 0' | head -c 940000",
    "/etc/modprobe.d/zz.conf": "yes 'install *a*a*a* /bin/false' | head -c 120000",
    "/etc/containerd/config.toml": "echo 'version = 2'; printf 'a'; "
    "yes '.a' | tr -d '\\n' | head -c 900000; echo ' = 1'",
    "/var/lib/kubelet/config.yaml": "printf 'a: ['; yes '[],' | tr -d '\\n' | head -c 940000",
    "/etc/crictl.yaml": "yes '- a' | head -c 100000",
    "/etc/docker/daemon.json": "yes '[' | tr -d '\\n' | head -c 940000",
    "/etc/crio/crio.conf": "yes '[[a.b.c]]' | head -c 500000",
    "/etc/os-release": "printf 'ID=debian\nPRETTY_NAME='; yes a | tr -d '\\n' | head -c 940000",
    "/etc/fstab": "yes '/swap none swap' | head -c 200000",
}


def test_a_host_with_the_worst_files_is_unknown_and_stops_nobody(
    targets: Fleet, inventory: WriteInventory
) -> None:
    hosts = [targets.start("trixie", init="sshd") for _ in range(3)]
    worst = hosts[1]
    for path, shell in FILES.items():
        worst.sh(f"mkdir -p {path.rpartition('/')[0]}; {{ {shell}; }} >{path} || true; ls {path}")
    # a number with a note behind it is a number
    hosts[0].write("/etc/sysctl.d/zz.conf", "net.ipv4.ip_forward = 1   # routing\n")
    audit = kubenode_cli.audit(inventory(*(host.host() for host in hosts)))
    assert [host["error"] for host in audit.report["hosts"]] == [None, None, None]
    names = [host.host()[0] for host in hosts]
    assert "sysctl.ip-forward.boot" not in audit.findings(names[0])
    assert audit.findings(names[2])
    bad = audit.findings(names[1])
    for check in ("sysctl.ip-forward.boot", "swap.boot"):
        assert bad[check]["state"] == "unknown", bad[check]
    assert "/etc/sysctl.d/zz" in bad["sysctl.ip-forward.boot"]["found"]
