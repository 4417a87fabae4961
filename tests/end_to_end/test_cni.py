"""CNI on real hosts: a pod gets its network from plugins, wherever they are."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_prepare import changes
from tests.targets import kubenode_cli
from tests.targets.cri import CriError
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

CONFIG = "/etc/containerd/config.toml"
CONFLIST = "/etc/cni/net.d/10-test.conflist"
NETWORK = {
    "cniVersion": "0.4.0",
    "name": "test",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "test0",
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.222.0.0/24"}]]},
        }
    ],
}


# Each way to look for plugins: trixie's and bookworm's have one directory, forky's a list.
# A list has both from the start: for the negative control the first deploy states one there.
@pytest.mark.parametrize(
    ("suite", "first"), [("trixie", {}), ("forky", {"kubenode_cni_bin_dirs": "/usr/lib/cni"})]
)
def test_a_pod_gets_its_network_from_debians_plugins_and_from_opt_cni_bin(
    targets: Fleet,
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
    suite: str,
    first: dict[str, str],
) -> None:
    target = targets.start(suite)
    target.sh(
        "apt-get -qq update; apt-get -qq install -y --no-install-recommends containerd "
        "containernetworking-plugins >/dev/null"
    )
    target.write(CONFLIST, json.dumps(NETWORK))
    hosts = inventory(target.host())
    result = run_pyinfra("-y", hosts, ROOT / "deploy.py", data=first)
    assert result.returncode == 0, result.output
    target.import_pause_image()

    # Debian's plugins stay in use
    assert "/opt/cni/bin" not in target.sh("containerd config dump | grep bin_dir")
    with target.cri().pod(network="POD"):
        assert "veth" in target.sh("ip -o link show master test0")
    assert "runtime.cni-plugins" not in kubenode_cli.audit(hosts).findings()

    # as upstream's plugins, Calico and Flannel: Ready, and no pod starts
    target.sh("mkdir -p /opt/cni; mv /usr/lib/cni /opt/cni/bin")
    with pytest.raises(CriError, match="failed to find plugin"):
        target.cri().run_pod(network="POD")
    found = kubenode_cli.audit(hosts).findings()["runtime.cni-plugins"]
    assert (found["state"], "bridge, host-local, loopback" in found["found"]) == ("fail", True)
    assert "/opt/cni/bin" in json.dumps(found["evidence"])

    result = run_pyinfra("-y", "--diff", hosts, ROOT / "deploy.py")
    assert result.returncode == 0, result.output
    assert "bin_dir" in result.output
    assert "/opt/cni/bin" in target.sh("containerd config dump | grep bin_dir")
    with target.cri().pod(network="POD"):
        assert "veth" in target.sh("ip -o link show master test0")
    again = run_pyinfra("-y", hosts, ROOT / "deploy.py")
    assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output
