"""Runtime handlers and a fragment of TOML on real hosts: in force, or not there at all.

NVIDIA's runtime, and the shims of gVisor and kata, are stand-ins: what is shown is that containerd
has the handlers, and starts a pod of one by its program.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.soak import loops
from tests.targets import image, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

MAIN = "/etc/containerd/config.toml"
NVIDIA = "/usr/bin/nvidia-container-runtime"
LOG = "/var/log/nvidia-stand-in"
HANDLERS: dict[str, Any] = {
    "nvidia": {"runtime_type": "io.containerd.runc.v2", "options": {"BinaryName": NVIDIA}},
    "runsc": {
        "runtime_type": "io.containerd.runsc.v1",
        "options": {"ConfigPath": "/etc/containerd/runsc.toml"},
    },
    "kata": {
        "runtime_type": "io.containerd.kata.v2",
        "privileged_without_host_devices": True,
        "pod_annotations": ["io.katacontainers.*"],
    },
}
FRAGMENT = """\
[plugins."io.containerd.grpc.v1.cri"]
  max_container_log_line_size = 32768
  max_concurrent_downloads = 5
[plugins."io.containerd.gc.v1.scheduler"]
  pause_threshold = 0.05
"""
SETTINGS: dict[str, Any] = {
    "kubenode_containerd_handlers": HANDLERS,
    "kubenode_containerd_default_handler": "nvidia",
    "kubenode_containerd_fragment": FRAGMENT,
}
THEIRS = "# theirs, to the letter:   é\noom_score = -998 # as they like it\n"


class Node:
    """A node, and what kubenode does there."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder

    def run(self, settings: dict[str, Any], *arguments: str) -> Result:
        name, data = self.target.host()
        hosts = pyinfra_cli.write_inventory(
            self.folder / "inventory.py", [(name, {**data, **settings})]
        )
        return pyinfra_cli.run(*arguments, hosts, ROOT / "deploy.py", cwd=self.folder)

    def state(self) -> str:
        """What must be the same where nothing was changed: the files, and the daemon."""
        return self.target.sh(
            f"sha256sum {MAIN}; stat -c %Y {MAIN}; systemctl show -P MainPID containerd"
        )

    def dump(self) -> str:
        return self.target.sh('containerd config dump | tr -d "\\"\'"')


@pytest.fixture(scope="module", params=loops.choice(["forky"], image.SUITES))
def node(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    login_key: SshKey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Node]:
    """A prepared node, with a line of others in containerd's file. Tests follow each other."""
    with Fleet(docker_client, login_key) as fleet:
        made = Node(fleet.start(request.param), tmp_path_factory.mktemp("node"))
        result = made.run({}, "-y")
        assert result.returncode == 0, result.output
        text = made.target.read(MAIN)
        made.target.write(MAIN, THEIRS + text)
        made.target.sh("systemctl restart containerd")
        made.target.import_pause_image()
        yield made


def put_stand_ins(target: Target) -> None:
    target.write(NVIDIA, f'#!/bin/sh\necho "$*" >>{LOG}\nexec runc "$@"\n')
    shims = ["/usr/local/bin/containerd-shim-runsc-v1", "/usr/bin/containerd-shim-kata-v2"]
    for shim in shims:
        target.write(shim, "#!/bin/sh\nexit 1\n")
    target.write("/etc/containerd/runsc.toml", "")
    target.sh(f"chmod 755 {NVIDIA} {' '.join(shims)}")


def test_a_host_without_their_programs_is_refused(node: Node) -> None:
    before = node.state()
    result = node.run(SETTINGS, "-y")
    assert result.returncode != 0
    assert f"handler nvidia: {NVIDIA} is not on this host: install NVIDIA's package" in (
        result.output
    )
    put_stand_ins(node.target)
    node.target.sh("rm /usr/bin/containerd-shim-kata-v2")
    result = node.run(SETTINGS, "-y")
    assert result.returncode != 0
    assert "handler kata: containerd-shim-kata-v2 is not on this host: install kata" in (
        result.output
    )
    assert node.state() == before


def test_they_are_in_force_and_a_second_run_changes_nothing(node: Node) -> None:
    put_stand_ins(node.target)
    before = node.state()
    dry = node.run(SETTINGS, "--dry")
    assert dry.returncode == 0, dry.output
    assert f'runtimes.nvidia.options.BinaryName: not stated -> "{NVIDIA}"' in dry.output
    assert 'scheduler".pause_threshold: not stated -> 0.05' in dry.output
    assert node.state() == before

    result = node.run(SETTINGS, "-y")
    assert result.returncode == 0, result.output
    # by containerd itself, over CRI
    with node.target.cri() as cri:
        config = cri.config()["containerd"]
        assert config["defaultRuntimeName"] == "nvidia"
        assert {"runc", *HANDLERS} <= {*config["runtimes"]}
        assert config["runtimes"]["nvidia"]["options"]["BinaryName"] == NVIDIA
        assert cri.systemd_cgroup() == {"runc": True, "nvidia": True}
    dump = node.dump()
    for line in ("max_concurrent_downloads = 5", "max_container_log_line_size = 32768"):
        assert f" {line}\n" in dump
    assert " pause_threshold = 0.05\n" in dump
    assert node.target.read(MAIN).startswith(THEIRS)

    after = node.state()
    again = node.run(SETTINGS, "-y", "-v")
    assert "handlers and fragment are in force" in again.output
    assert node.state() == after


def test_a_pod_of_a_handler_is_started_by_its_program(node: Node) -> None:
    target = node.target
    target.sh(f"rm -f {LOG}")
    with target.cri() as cri:
        for handler, is_of_nvidia in (("runc", False), ("nvidia", True), ("", True)):
            pod = cri.run_pod("/kubepods-besteffort-podx.slice", handler=handler)
            assert "/kubepods-besteffort-podx.slice/" in pod.cgroup
            assert (target.try_sh(f"grep -q create {LOG}")[0] == 0) is is_of_nvidia
            cri.remove_pod(pod.id)
            target.sh(f"rm -f {LOG}")


@pytest.mark.parametrize(
    "settings",
    [
        {"kubenode_containerd_fragment": '[plugins."io.containerd.gc.v1.scheduler"]\npause = 1\n'},
        # only later releases than Debian's have it
        {
            "kubenode_containerd_handlers": {
                "kata": {**HANDLERS["kata"], "io_type": "fifo", "cgroup_writable": True}
            }
        },
    ],
)
def test_what_the_release_does_not_know_is_not_left_in_its_files(
    node: Node, settings: dict[str, Any]
) -> None:
    if "forky" in node.target.suite and "kubenode_containerd_handlers" in settings:
        pytest.skip("containerd 2.1 knows both")
    before = node.target.read(MAIN)
    pid = node.target.sh("systemctl show -P MainPID containerd")
    result = node.run({**SETTINGS, **settings}, "-y")
    assert result.returncode != 0
    assert "has no place for" in result.output or (
        "the old configuration is back: this release knows nothing of" in result.output
    )
    assert node.target.read(MAIN) == before
    assert node.target.sh("systemctl show -P MainPID containerd") == pid
    # and the next run is not in its way
    assert node.run(SETTINGS, "-y").returncode == 0
    assert node.target.read(MAIN) == before


def test_a_default_that_nobody_defines_and_its_removal_are_refused(node: Node) -> None:
    before = node.state()
    for settings, message in (
        (
            {"kubenode_containerd_default_handler": "crun"},
            "the default handler crun is not defined",
        ),
        ({"kubenode_containerd_handlers": {"nvidia": None}}, "nvidia is the default handler"),
    ):
        result = node.run(settings, "-y")
        assert result.returncode != 0
        assert message in result.output
    assert node.state() == before


def test_one_that_is_removed_is_gone_and_the_others_stay(node: Node) -> None:
    settings = {"kubenode_containerd_handlers": {"kata": None}}
    result = node.run(settings, "-y")
    assert result.returncode == 0, result.output
    with node.target.cri() as cri:
        assert {*cri.config()["containerd"]["runtimes"]} >= {"runc", "nvidia", "runsc"}
        assert "kata" not in cri.config()["containerd"]["runtimes"]
    assert "kata" not in node.target.read(MAIN)
    assert node.target.read(MAIN).startswith(THEIRS)
    before = node.state()
    assert node.run(settings, "-y").returncode == 0
    assert node.state() == before
