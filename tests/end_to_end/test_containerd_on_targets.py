"""containerd's configuration on real hosts: foreign settings stay, what is broken is named.

``make test`` has a release of 1.7 and one of 2; ``make soak`` each suite's.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import DockerClient

from kubenode.facts.containerd import Containerd
from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_prepare import assert_in_kubepods_slice, changes, remote_commands
from tests.soak import loops
from tests.targets import image, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

DEPLOY = ROOT / "deploy.py"
CONFIG = "/etc/containerd/config.toml"
BACKUP = f"{CONFIG}.kubenode-backup"
CRICTL = "/etc/crictl.yaml"

FOREIGN = """\
# managed by the storage team, ask before you change it
version = 2
root = "/var/lib/containerd"   # on its own disk
oom_score = -500

[metrics]
  address = "127.0.0.1:1338"

# mirrors: ticket 4711
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc" # not nvidia
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
      runtime_type = 'io.containerd.runc.v2'
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]
        BinaryName = "/usr/bin/nvidia-container-runtime"
        SystemdCgroup = false # ünset
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]
      runtime_type = "io.containerd.kata.v2"
      privileged_without_host_devices = true

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
"""

CNI = """
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
"""


@pytest.fixture(scope="module", params=loops.choice(["trixie", "forky"], image.SUITES))
def node(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    login_key: SshKey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Target]:
    """A prepared node, one for all tests of a suite: :func:`configure` resets what they change."""
    folder = tmp_path_factory.mktemp("node")
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start(request.param)
        hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [target.host()])
        result = pyinfra_cli.run("-y", hosts, DEPLOY, cwd=folder)
        assert result.returncode == 0, result.output
        target.import_pause_image()
        yield target


# of what is kubenode's own, and the same for each release of containerd
one_release = pytest.mark.parametrize("node", ["trixie"], indirect=True)


def configure(node: Target, text: str | None, drop_in: str | None = None) -> None:
    """Give the node a configuration and restart containerd on it."""
    node.sh(f"rm -rf {CONFIG} {BACKUP} /etc/containerd/conf.d")
    if text is not None:
        node.write(CONFIG, text)
    if drop_in is not None:
        node.write("/etc/containerd/conf.d/50-site.toml", drop_in)
    node.try_sh("systemctl reset-failed containerd; systemctl restart containerd")


def test_foreign_settings_stay_to_the_letter(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    configure(node, FOREIGN)
    node.sh(f"chown operator:operator {CONFIG} && chmod 0640 {CONFIG}")
    assert set(node.cri().systemd_cgroup().values()) == {False}

    result = run_pyinfra("-y", "--diff", inventory(node.host()), DEPLOY)
    assert result.returncode == 0, result.output

    new, wanted = (
        node.read(CONFIG),
        FOREIGN.replace("SystemdCgroup = false", "SystemdCgroup = true"),
    )
    # where nothing is stated trixie's containerd looks for CNI plugins in /usr/lib/cni alone
    assert new.removeprefix(wanted) in ("", CNI)
    assert node.read(BACKUP) == FOREIGN
    assert node.sh(f"stat -c '%U %G %a' {CONFIG}") == "operator operator 640\n"
    assert node.cri().systemd_cgroup() == {"runc": True, "nvidia": True}
    assert "SystemdCgroup: false -> true" in result.output

    again = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output


@one_release
def test_broken_toml_fails_the_host_with_its_place_and_changes_nothing(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    broken = 'version = 2\n[plugins]\n  oops = = "x"\n'
    configure(node, "version = 2\n")
    node.write(CONFIG, broken)
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 1
    assert f"{CONFIG}:3:10: is not valid TOML" in result.output
    assert "Traceback" not in result.output
    assert node.read(CONFIG) == broken
    assert node.try_sh(f"ls {BACKUP}")[0] != 0
    assert node.sh("systemctl is-active containerd") == "active\n"


def test_disabled_cri_is_switched_on(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """Docker's containerd.io package ships a file without a version that disables CRI."""
    comment = "# Copyright Docker, Inc.\n"
    disabled = 'disabled_plugins = ["cri"]'
    configure(node, f"{comment}{disabled}\n")
    with pytest.raises(AssertionError):
        node.cri().version()

    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 0, result.output
    assert node.cri().systemd_cgroup() == {"runc": True}
    text = node.read(CONFIG)
    assert comment in text
    assert "version = 2" in text
    assert disabled not in text


def test_version_1_file_keeps_its_settings(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    configure(
        node,
        "# from 2019\n[plugins.cri]\n"
        '  sandbox_image = "registry.k8s.io/pause:3.9" # pinned\n'
        "  [plugins.cri.containerd.runtimes.runc]\n"
        '    runtime_type = "io.containerd.runc.v2"\n',
    )
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 0, result.output
    assert node.pause_image() == "registry.k8s.io/pause:3.9"
    assert node.cri().systemd_cgroup() == {"runc": True}
    assert "# from 2019" in node.read(CONFIG)
    assert "# pinned" in node.read(CONFIG)


def test_missing_file_is_begun_with_the_highest_version(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    configure(node, None)
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 0, result.output
    version = {"bookworm": 2, "trixie": 2, "forky": 3}[node.suite]
    assert node.read(CONFIG).startswith(f"version = {version}\n")
    assert node.cri().systemd_cgroup() == {"runc": True}
    again = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output


def test_a_handler_in_a_drop_in_gets_the_driver_too(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    drop_in = FOREIGN[FOREIGN.index("[plugins") :].replace("SystemdCgroup = false\n", "\n")
    main = 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n'
    configure(node, main, f"version = 2\n{drop_in}")
    assert False in node.cri().systemd_cgroup().values()
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 0, result.output
    assert node.cri().systemd_cgroup() == {"runc": True, "nvidia": True}
    again = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output


@one_release
def test_driver_is_not_changed_under_running_pods(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    configure(node, FOREIGN)
    node.import_pause_image()
    name, data = node.host()
    with node.cri() as cri:
        pod = cri.run_pod()
    try:
        refused = run_pyinfra("-y", inventory((name, data)), DEPLOY)
        assert refused.returncode == 1
        assert "1 containers of pods run with the cgroupfs cgroup driver" in refused.output
        assert "drain the node first" in refused.output
        assert node.read(CONFIG) == FOREIGN
        assert pod.id in node.sh("ctr -n k8s.io tasks ls -q")

        allowed = run_pyinfra(
            "-y", inventory((name, {**data, "kubenode_change_driver_under_pods": True})), DEPLOY
        )
        assert allowed.returncode == 0, allowed.output
    finally:
        with node.cri() as cri:
            cri.remove_pod(pod.id)
            assert cri.systemd_cgroup() == {"runc": True, "nvidia": True}


@one_release
def test_a_configuration_that_does_not_come_up_is_rolled_back(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """`config dump` accepts this file and the daemon does not start CRI with it."""
    configure(node, None)
    assert run_pyinfra("-y", inventory(node.host()), DEPLOY).returncode == 0
    good = node.read(CONFIG)
    # a state folder that cannot be one: accepted by the dump, refused at the start
    broken = f'state = "/proc/version"\n{good.replace("true", "false")}'
    node.write(CONFIG, broken)
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 1
    assert "containerd did not come up" in result.output
    assert node.read(CONFIG) == broken
    configure(node, good)


@one_release
def test_a_file_edited_after_the_start_is_put_in_force(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    configure(node, FOREIGN)
    assert run_pyinfra("-y", inventory(node.host()), DEPLOY).returncode == 0
    node.sh(f"sleep 1; echo '# later' >>{CONFIG}")
    name, data = node.host()
    fact = run_pyinfra(
        "--json", inventory((name, data)), "fact", "kubenode.facts.containerd.Containerd"
    ).json()["kubenode.facts.containerd.Containerd"][name]
    assert fact["restart_pending"] == [CONFIG]
    before = node.sh("systemctl show containerd -p MainPID")

    result = run_pyinfra("-y", inventory((name, data)), DEPLOY)
    assert changes(result.output)["Node | containerd serves CRI"] == (1, 0, 0)
    assert f"{CONFIG} changed after it started" in result.output
    assert node.sh("systemctl show containerd -p MainPID") != before


@one_release
def test_a_stopped_and_disabled_daemon_comes_back(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    configure(node, FOREIGN)
    node.sh("systemctl disable --now containerd")
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 0, result.output
    assert node.sh("systemctl is-enabled containerd") == "enabled\n"
    assert node.cri().conditions()["RuntimeReady"]


def test_a_version_that_nobody_knows_is_named(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """1.6.20 starts with such a file, and ignores the driver in it. Those that are known are made
    lower: see test_upstream_on_targets.py."""
    version = 9
    text = (
        f"version = {version}\n"
        '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]\n'
        'runtime_type = "io.containerd.runc.v2"\n'
        '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]\n'
        "SystemdCgroup = true\n"
    )
    configure(node, text)
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode == 1
    assert f"{CONFIG}:1:1: configuration version {version}: containerd" in result.output
    assert node.read(CONFIG) == text


_RUNTIMES = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes'
_RUNC = f'version = 2\n[{_RUNTIMES}.runc]\nruntime_type = "io.containerd.runc.v2"\n'
_TRUE = f"{_RUNC}[{_RUNTIMES}.runc.options]\nSystemdCgroup = true\n"
_FALSE = _TRUE.replace("= true", "= false")

SPELLED = (
    _TRUE,
    _TRUE.replace("SystemdCgroup", "systemdCgroup"),
    _TRUE.replace("SystemdCgroup", "SYSTEMDCGROUP"),
    _TRUE.replace("SystemdCgroup", "SystemdcGroup"),
    _TRUE + "systemdCgroup = false\n",
    _FALSE + "systemdCgroup = true\n",
    _TRUE.replace(".options", ".Options"),
    _TRUE.replace(".runtimes.", ".RUNTIMES."),
    _TRUE.replace("[plugins", "[Plugins"),
    _TRUE.replace("version", "Version"),
)


def test_keys_in_any_spelling_are_read_as_containerd_reads_them(node: Target) -> None:
    for text in SPELLED:
        configure(node, text)
        fact = Containerd()
        shape = fact.process(node.sh(fact.command()).split("\n"))
        handler = shape["handlers"]["runc"]
        with node.cri().pod(cgroup_parent="/kubepods.slice") as pod:
            is_systemd = pod.cgroup == f"/kubepods.slice/cri-containerd-{pod.id}.scope"
        assert handler["cgroup_driver"] == ("systemd" if is_systemd else "cgroupfs"), text


@one_release
def test_a_driver_in_another_spelling_is_set_right(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    for old in (
        _FALSE.replace("SystemdCgroup", "systemdCgroup"),
        _TRUE + "systemdCgroup = false\n",
        _FALSE.replace("SystemdCgroup", "SYSTEMDCGROUP"),
    ):
        configure(node, old)
        result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
        assert result.returncode == 0, result.output
        assert_in_kubepods_slice(node.cri())
        again = run_pyinfra("-y", inventory(node.host()), DEPLOY)
        assert set(changes(again.output).values()) == {(0, 0, 1)}, again.output


@one_release
def test_a_spelling_that_works_is_no_change(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    text = _TRUE.replace("SystemdCgroup", "systemdCgroup")
    configure(node, text)
    name, data = node.host()
    # not what is tried here, and a change where nothing is stated
    hosts = inventory((name, {**data, "kubenode_cni_bin_dirs": None}))
    result = run_pyinfra("-y", hosts, DEPLOY)
    assert set(changes(result.output).values()) == {(0, 0, 1)}, result.output
    assert node.read(CONFIG) == text
    assert_in_kubepods_slice(node.cri())


@one_release
def test_a_default_handler_that_is_not_recognised_is_refused(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    path = "/usr/bin/containerd-shim-runc-v2"
    text = _RUNC.replace("io.containerd.runc.v2", path)
    configure(node, text)
    result = run_pyinfra("-y", inventory(node.host()), DEPLOY)
    assert result.returncode != 0
    assert f"{CONFIG}:3: the default handler runc: runtime_type {path} is a path" in result.output
    assert node.read(CONFIG) == text


@one_release
def test_crictl_is_pointed_by_its_own_operation_and_by_containerds(
    node: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    hosts = inventory(node.host())
    operation = "kubenode.operations.crictl.configured"
    node.write(CRICTL, "# ours\ntimeout: 7 # seconds\n")
    by_hand = "runtime-endpoint: unix:///run/x.sock\nimage-endpoint: unix:///run/x.sock\n"

    result = run_pyinfra("-y", hosts, operation, "socket=/run/x.sock")
    assert result.returncode == 0, result.output
    assert node.read(CRICTL) == f"# ours\ntimeout: 7 # seconds\n{by_hand}"
    assert node.read(f"{CRICTL}.kubenode-backup") == "# ours\ntimeout: 7 # seconds\n"
    again = run_pyinfra("-y", "-vv", hosts, operation, "socket=/run/x.sock")
    assert "noop: /etc/crictl.yaml points at /run/x.sock" in again.output

    # containerd's configuration stays as it is where crictl.yaml cannot be used
    configure(node, FOREIGN)
    node.write(CRICTL, "- a\n")
    result = run_pyinfra("-y", hosts, "kubenode.operations.containerd.configured")
    assert result.returncode == 1
    assert f"{CRICTL}: not a mapping of settings: nothing was changed" in result.output
    assert (node.read(CRICTL), node.read(CONFIG)) == ("- a\n", FOREIGN)

    node.write(CRICTL, by_hand)
    result = run_pyinfra("-y", hosts, "kubenode.operations.containerd.configured")
    assert result.returncode == 0, result.output
    assert node.read(CRICTL) == by_hand.replace("/run/x.sock", "/run/containerd/containerd.sock")
    assert node.cri().systemd_cgroup() == {"runc": True, "nvidia": True}

    # both files are read in one command, as containerd.running reads its one
    commands = [
        remote_commands(run_pyinfra("-y", "-vv", hosts, each).output, node.host())
        for each in (
            "kubenode.operations.containerd.configured",
            "kubenode.operations.containerd.running",
        )
    ]
    assert commands[0] == commands[1] > 0
