"""containerd has its proxies and its limit of open files, and a proxy's password is for root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.end_to_end.test_registries import watched_arguments
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

PASSWORD = "correct-horse-battery"
URL = f"http://user:{PASSWORD}@proxy.kubenode.test:3128"
PROXY = {"HTTPS_PROXY": URL, "NO_PROXY": "10.0.0.0/8,.svc"}
FILE = "/etc/containerd/proxy.env"
DROP_INS = "/etc/systemd/system/containerd.service.d"

DEPLOY = """\
from pyinfra import host
from kubenode.operations import containerd

containerd.service(**host.data.wanted)
"""


class Node:
    """A prepared node, and what pyinfra does there."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        self.deploy = folder / "service.py"
        self.deploy.write_text(DEPLOY)
        hosts = pyinfra_cli.write_inventory(folder / "plain.py", [target.host()])
        result = pyinfra_cli.run("-y", hosts, ROOT / "deploy.py", cwd=folder)
        assert result.returncode == 0, result.output

    def run(self, wanted: Mapping[str, object], *arguments: str) -> Result:
        name, data = self.target.host()
        host = (name, {**data, "wanted": wanted})
        inventory = pyinfra_cli.write_inventory(self.folder / "inventory.py", [host])
        return pyinfra_cli.run(*arguments, inventory, self.deploy, cwd=self.folder)

    def pid(self) -> str:
        return self.target.sh("systemctl show -P MainPID containerd").strip()

    def environment(self) -> list[str]:
        """Of the daemon that runs: its proxies."""
        environ = self.target.sh(f"tr '\\0' '\\n' </proc/{self.pid()}/environ")
        return sorted(line for line in environ.splitlines() if "_PROXY=" in line)

    def limit(self) -> str:
        """The hard one of the daemon that runs: Go makes the soft one the same for itself."""
        return self.target.sh(f"grep '^Max open files' /proc/{self.pid()}/limits").split()[4]

    def serves(self) -> bool:
        return " ok" in self.target.sh("ctr plugins ls | grep 'grpc.v1 *cri '")

    def files(self) -> str:
        return self.target.sh(
            f"ls -l --full-time {FILE} {DROP_INS}; cat {FILE} {DROP_INS}/* 2>/dev/null; true"
        )


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    with Fleet(docker_client, login_key) as fleet:
        yield Node(fleet.start("trixie"), tmp_path_factory.mktemp("node"))


def test_the_daemon_has_them_and_the_password_is_for_root_alone(node: Node) -> None:
    target, wanted = node.target, {"proxy": PROXY, "limit_nofile": "2048:16384"}
    assert node.environment() == []
    assert node.limit() != "16384"
    before = node.pid()
    dry = node.run(wanted, "--dry", "--diff", "-vvv", "--debug")
    assert dry.returncode == 0, dry.output
    assert f"{FILE}: HTTPS_PROXY, NO_PROXY, with values that are not shown" in dry.output
    assert f"{DROP_INS}/limit-nofile.conf: LimitNOFILE=2048:16384" in dry.output
    assert "reload systemd, restart containerd" in dry.output
    assert node.pid() == before
    assert target.try_sh(f"ls {FILE} {DROP_INS}/limit-nofile.conf")[0] != 0

    with watched_arguments() as arguments:
        result = node.run(wanted, "-y", "-vvv", "--debug", "--diff")
    assert result.returncode == 0, result.output
    assert node.pid() != before
    assert node.serves()
    assert node.environment() == sorted(f"{name}={value}" for name, value in PROXY.items())
    assert node.limit() == "16384"
    shown = target.sh("systemctl show containerd")
    assert "\nLimitNOFILE=16384\n" in shown
    assert "\nLimitNOFILESoft=2048\n" in shown
    assert f"\nEnvironmentFiles={FILE} " in shown
    assert f"{DROP_INS}/http-proxy.conf" in shown

    now = node.pid()
    again = node.run(wanted, "-y", "-vvv", "--debug")
    assert "No changes" in again.output
    assert node.pid() == now

    found = target.sh(
        f"grep -rlF -e '{PASSWORD}' / --exclude-dir=proc --exclude-dir=sys 2>/dev/null "
        "| grep -v '^/dev/' | xargs -r stat -c '%a %u %n'"
    ).splitlines()
    assert found == [f"600 0 {FILE}"]
    assert target.try_sh(f"cat {FILE}", user="stranger")[0] != 0
    fact = pyinfra_cli.run(
        "-y", "-vvv", "--json", node.folder / "plain.py", "fact",
        "kubenode.facts.containerd_service.ContainerdService", cwd=node.folder,
    )  # fmt: skip
    assert '"private": true' in fact.output
    # the daemon's own environment is root's to read
    others = [text for text in arguments if "\0HTTPS_PROXY=" not in f"\0{text}"]
    assert any("base64 -d" in text for text in others), "nothing was seen of the host's sh"
    outputs = {
        "dry": dry.output,
        "deploy": result.output,
        "again": again.output,
        "show": shown,
        "fact": fact.output,
        "journal": target.sh("journalctl --no-pager -o cat"),
        "processes": "\n".join(others),
    }
    assert [name for name, text in outputs.items() if PASSWORD in text] == []


def test_what_does_not_start_gives_way_to_what_served(node: Node) -> None:
    target = node.target
    good = {"proxy": PROXY, "limit_nofile": "2048:16384"}
    assert node.run(good, "-y").returncode == 0
    # something of the host's own that does not start with the new value
    target.write(
        f"{DROP_INS}/00-theirs.conf",
        f"[Service]\nExecStartPre=/bin/sh -c '! grep -q broken {FILE}'\n",
    )
    target.sh("systemctl daemon-reload")
    contents = f"cat {FILE} {DROP_INS}/*.conf"
    before = target.sh(contents)
    broken = {"proxy": {"HTTPS_PROXY": f"http://user:{PASSWORD}@broken:1"}, "limit_nofile": 4096}
    result = node.run(broken, "-y", "-vvv")
    assert result.returncode != 0
    assert "serves CRI again" in result.output
    assert "the old configuration is back" in result.output
    assert PASSWORD not in result.output
    assert node.serves()
    assert node.environment() == sorted(f"{name}={value}" for name, value in PROXY.items())
    assert node.limit() == "16384"
    assert "NeedDaemonReload=no" in target.sh("systemctl show -p NeedDaemonReload containerd")
    assert target.sh(contents) == before
    assert set(target.sh(f"stat -c %a {FILE}*").split()) == {"600"}
    target.sh(f"rm {DROP_INS}/00-theirs.conf && systemctl daemon-reload")
    # they came back before the daemon started again
    assert "No changes" in node.run(good, "-y").output


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"limit_nofile": 9999999999}, "is above fs.nr_open"),
        ({"proxy": {"HTTPS_PROXY": f"user:{PASSWORD}@p:1"}}, "is not a URL"),
    ],
)
def test_what_cannot_be_changes_nothing(
    node: Node, wanted: Mapping[str, object], reason: str
) -> None:
    before, pid = node.files(), node.pid()
    result = node.run(wanted, "-y")
    assert result.returncode != 0
    assert reason in result.output
    assert PASSWORD not in result.output
    assert (node.files(), node.pid()) == (before, pid)


def test_a_restart_that_may_not_be_waits_and_is_said_again(node: Node) -> None:
    pid, wanted = node.pid(), {"limit_nofile": 5000, "restart": "never"}
    first = node.run(wanted, "-y")
    assert first.returncode == 0, first.output
    assert "in force waits: kubenode_restart is never" in first.output
    assert "LimitNOFILE=5000" in node.target.sh("systemctl cat containerd")
    again = node.run(wanted, "-y", "-v")
    assert "No changes" in again.output
    assert "waits: kubenode_restart is never" in again.output
    assert (node.pid(), node.limit() == "5000") == (pid, False)
    # the control: it may be
    assert node.run(wanted | {"restart": "now"}, "-y").returncode == 0
    assert (node.limit(), node.serves()) == ("5000", True)


def test_a_drop_in_that_would_win_is_named(node: Node) -> None:
    target = node.target
    target.write(f"{DROP_INS}/zz.conf", "[Service]\nLimitNOFILE = 3000\n")
    target.sh("systemctl daemon-reload")
    result = node.run({"limit_nofile": 5000}, "-y")
    assert result.returncode != 0
    assert f"{DROP_INS}/zz.conf has LimitNOFILE=3000" in result.output
    target.sh(f"rm {DROP_INS}/zz.conf && systemctl daemon-reload")


def test_no_proxy_takes_it_away_and_leaves_the_limit(node: Node) -> None:
    good = {"proxy": PROXY, "limit_nofile": "2048:16384"}
    assert node.run(good, "-y").returncode == 0
    assert node.environment() != []
    result = node.run({"proxy": {}}, "-y")
    assert result.returncode == 0, result.output
    assert node.environment() == []
    assert node.limit() == "16384"
    assert "EnvironmentFiles" not in node.target.sh("systemctl show containerd")
    assert "No changes" in node.run({"proxy": {}}, "-y").output
    assert set(node.target.sh(f"stat -c %a {FILE}*").split()) == {"600"}
