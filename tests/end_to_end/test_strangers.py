"""What a host's ordinary users and its pods can make is believed by no fact, and read by none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from docker import DockerClient
from pyinfra.api.exceptions import FactProcessError

from kubenode.facts import kubelet, kubelet_start
from kubenode.facts.cgroup import CgroupDrivers
from kubenode.facts.container_cgroups import ContainerCgroups
from kubenode.facts.crio import Crio
from kubenode.facts.docker import Docker
from kubenode.facts.kernel import Sysctls
from kubenode.facts.kubelet import Kubelet
from kubenode.facts.kubernetes import Kubernetes
from kubenode.facts.node import Node
from kubenode.kubelet import command_line
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import read_answer
from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.targets import kubenode_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

SECRET = "hunter2-of-root"
HOME = "/home/stranger"
CONTAINER = "fe3f6881603f38423d595a97535166fd2953ae5a2adeaa7167dc7fa94fb763e0"

_KUBEADM_DROP_IN = """[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/b.conf --kubeconfig=/etc/k.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS \
$KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""
# kubelet's stand-in: a program of that name that stays, and says what it was given
_KUBELET = f"""
printf '%s\\n' '#!/bin/sh' '[ "$1" != --version ] || {{ echo Kubernetes v1.33.0; exit; }}' \\
  'for word; do printf "%s\\0" "$word"; done >/run/kubelet-arguments' \\
  'exec /opt/pod/kubelet -c "sleep 1000; :" "$@"' >/usr/local/bin/kubelet
chmod 755 /usr/local/bin/kubelet
mkdir -p /var/lib/kubelet /etc/systemd/system/kubelet.service.d
printf '[Service]\\nExecStart=/usr/local/bin/kubelet\\n' >/etc/systemd/system/kubelet.service
echo 'cgroupDriver: systemd' >/var/lib/kubelet/config.yaml
echo '{SECRET}: x' >/root/secret; chmod 600 /root/secret
ln -sf /root/secret {HOME}/link; mkfifo {HOME}/pipe
echo 'cgroupDriver: cgroupfs' >{HOME}/mine.yaml
printf '#!/bin/sh\\nwhile :; do sleep 1000; done\\n' >{HOME}/kubelet
# a program of that name, for which any argument is right
mkdir /opt/pod && cp /bin/dash /opt/pod/kubelet && cp /bin/dash {HOME}/dash
chown -R stranger: {HOME}; chmod 755 {HOME} {HOME}/kubelet
"""


@pytest.fixture(scope="module")
def host(docker_client: DockerClient, login_key: SshKey) -> Iterator[Target]:
    """A host with a kubelet of kubeadm's that does not run."""
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh(_KUBELET)
        drop_in(target, _KUBEADM_DROP_IN)
        yield target


def drop_in(target: Target, text: str, name: str = "10-kubeadm.conf") -> None:
    target.write(f"/etc/systemd/system/kubelet.service.d/{name}", text)
    target.sh("systemctl daemon-reload")


@dataclass(frozen=True)
class Answer:
    """What a fact is, and what was on the wire for it."""

    value: Any
    output: str


def ask(target: Target, fact: ProbeFact[Any], user: str = "root", **arguments: Any) -> Answer:
    code, output, error = target.try_sh(str(fact.command(**arguments)), user)
    assert code == 0, error
    assert SECRET not in output
    return Answer(fact.process(output.splitlines()), output)


def verdicts(target: Target) -> Any:
    """All that a process or a cgroup could change."""
    answer = ask(target, Node())
    assert answer.value["missing"] == {}
    return [answer.value[name] for name in ("kubelet", "cgroup_drivers", "container_cgroups")]


ATTACKS = {
    "a file of root's": f"{HOME}/kubelet --config=/root/secret",
    "a link to it": f"{HOME}/kubelet --config={HOME}/link",
    "a pipe": f"{HOME}/kubelet --config={HOME}/pipe --config-dir={HOME}",
    "a file of the user's": f"{HOME}/kubelet --config={HOME}/mine.yaml --cgroup-driver=cgroupfs",
    "a device": f"{HOME}/kubelet --config=/dev/zero",
    "a set-uid program of that name": (
        f"ln -sf $(command -v sudo) /tmp/kubelet; "
        f"sleep 1000 | /tmp/kubelet -S -p --config={HOME}/mine.yaml true"
    ),
    "in a user namespace": (
        f"cp {HOME}/dash /tmp/own; mv /tmp/own {HOME}/d; mkdir -p {HOME}/u; mv {HOME}/d "
        f"{HOME}/u/kubelet; unshare -Urm {HOME}/u/kubelet -c 'sleep 1000; :' "
        f"--config={HOME}/mine.yaml"
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_users_process_named_kubelet_is_none(host: Target, attack: str) -> None:
    before = verdicts(host)
    host.sh(f"nohup sh -c '{ATTACKS[attack].replace(chr(39), chr(34))}' >/dev/null 2>&1 & "
            "sleep 0.7; pgrep -x kubelet >/dev/null", user="stranger")  # fmt: skip
    try:
        assert verdicts(host) == before
    finally:
        host.sh("pkill -x kubelet; pkill -u stranger; true")


def test_a_pods_process_named_kubelet_is_none_and_the_hosts_is_one(host: Target) -> None:
    host.sh("echo 'cgroupDriver: cgroupfs' >/opt/pod/config.yaml; systemctl stop kubelet")
    before = verdicts(host)
    kubelet = "/opt/pod/kubelet -c 'sleep 1000; :' --config=/opt/pod/config.yaml"
    for namespaces in ("-m", "-p --fork", "-m -p --fork --mount-proc"):
        host.sh(f"nohup unshare {namespaces} {kubelet} >/dev/null 2>&1 & sleep 0.5; "
                "pgrep -x kubelet >/dev/null")  # fmt: skip
        assert verdicts(host) == before, namespaces
        host.sh("pkill -x kubelet; true")
    # k0s and RKE2 start theirs so: in no unit of its name
    host.sh(f"nohup {kubelet} >/dev/null 2>&1 & sleep 0.5")
    own = ask(host, Kubelet()).value
    assert (own["active"], own["config"]) == (True, "/opt/pod/config.yaml")
    # who may not look at root's processes does not know
    assert ask(host, Kubelet(), "stranger").value["active"] is None
    # ... and a program that somebody else can change is not the host's
    host.sh("chown stranger /opt/pod")
    assert verdicts(host) == before
    host.sh("pkill -x kubelet; chown root /opt/pod")


def test_systemds_kubelet_is_one(host: Target) -> None:
    drop_in(host, "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--cgroup-driver=cgroupfs\n", "20.conf")
    host.sh("systemctl start kubelet")
    running = ask(host, CgroupDrivers()).value["components"]["kubelet"]
    assert (running["driver"], running["file"]) == ("cgroupfs", command_line.PROCESS)
    assert ask(host, Kubelet(), "stranger").value["active"] is True
    host.sh("systemctl stop kubelet")
    stopped = ask(host, CgroupDrivers()).value["components"]["kubelet"]
    assert (stopped["driver"], stopped["file"]) == ("cgroupfs", "kubelet.service")
    host.sh("rm /etc/systemd/system/kubelet.service.d/20.conf; systemctl daemon-reload")


UNITS = {
    "kubeadm": (
        _KUBEADM_DROP_IN,
        {
            "/var/lib/kubelet/kubeadm-flags.env": 'KUBELET_KUBEADM_ARGS="--a=b --c \'d e\'"\n',
            "/etc/default/kubelet": "# x\nKUBELET_EXTRA_ARGS=--cgroup-driver=cgroupfs --x=${y}  \n",
        },
    ),
    "quotes, escapes and dollars": (
        "[Service]\nEnvironment=\"A=--q='1 2' \\\\\"--r=3\\\\\"\" B=4 \"C=a\\\\\\\\ b\"\n"
        "ExecStart=\nExecStart=/usr/local/bin/kubelet $A --b=${B}$$x --n=${NONE} $NONE ${C} $C "
        "--d=$B\n",
        {},
    ),
    "files over the unit": (
        "[Service]\nEnvironment=A=--1 B=--2\nEnvironmentFile=/opt/env/*.env\nUnsetEnvironment=C\n"
        "ExecStart=\nExecStart=/usr/local/bin/kubelet $A $B $C $D\n",
        {
            "/opt/env/1.env": "A=--3\nC=--4\nD='--5 \\'\\n; z\n#D=6\n",
            "/opt/env/2.env": 'A="--7 \\"8 9\\" \\$x" \nB=\\\n--10 \t\nE\n 11=12\n',
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_stopped_kubelets_arguments_are_those_systemd_would_give_it(
    host: Target, unit: str
) -> None:
    text, files = UNITS[unit]
    drop_in(host, text)
    for path, content in files.items():
        host.write(path, content)
    fact = Kubelet()
    _, output, _ = host.try_sh(fact.command())
    reading = read_answer(output.splitlines(), fact.scripts)[kubelet.PROBE]
    predicted = [word.text for word in kubelet_start.words(reading)]
    host.sh("rm -f /run/kubelet-arguments; systemctl start kubelet; sleep 0.5; "
            "systemctl stop kubelet")  # fmt: skip
    given = host.sh("tr '\\n\\0' '?\\n' </run/kubelet-arguments").splitlines()
    assert predicted == given
    host.sh("rm -rf /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /opt/env")
    drop_in(host, _KUBEADM_DROP_IN)


PATHS = {
    "a file of the user's": f"--config={HOME}/mine.yaml",
    "a link of the user's": f"--config={HOME}/link",
    "a pipe": f"--config={HOME}/pipe",
    "by a link of root's": "--config=/opt/by-link",
    "in /tmp": "--config=/tmp/root.yaml",
    "a folder of the user's": f"--config-dir={HOME}",
    "a device": "--config=/dev/zero",
    "an environment file of the user's": "$X",
}


@pytest.mark.parametrize("case", PATHS)
def test_what_root_is_told_to_read_is_read_only_where_it_is_roots(host: Target, case: str) -> None:
    host.sh(
        f"ln -sfn {HOME}/link /opt/by-link; cp /root/secret /tmp/root.yaml; "
        f"cp /root/secret {HOME}/a.conf; echo 'X=--config={HOME}/mine.yaml' >{HOME}/env"
    )
    own = f"EnvironmentFile=-{HOME}/env\n" if PATHS[case] == "$X" else ""
    start = f"ExecStart=\nExecStart=/usr/local/bin/kubelet {PATHS[case]}\n"
    drop_in(host, f"[Service]\n{own}{start}")
    kubelet = ask(host, Kubelet()).value
    component = ask(host, CgroupDrivers()).value["components"]["kubelet"]
    drop_in(host, _KUBEADM_DROP_IN)
    assert component["driver"] is None
    assert "cannot read" in component["reason"]
    if case != "a device":
        assert "not trusted: /" in component["reason"]
        assert "belongs to uid" in component["reason"] or "by everybody" in component["reason"]
    assert kubelet["error"] == component["reason"]
    assert kubelet["fail_swap_on"] is None


def test_a_link_in_roots_folders_does_not_lead_into_a_users(host: Target) -> None:
    before = ask(host, Sysctls(), keys="vm.swappiness").value["keys"]["vm.swappiness"]
    assert before["boot_state"] == "unset"
    host.sh(f"ln -s {HOME}/link /etc/sysctl.d/70-x.conf")
    after = ask(host, Sysctls(), keys="vm.swappiness").value["keys"]["vm.swappiness"]
    host.sh("rm /etc/sysctl.d/70-x.conf")
    assert after["boot_state"] == "unknown"


def test_a_link_among_roots_folders_leads_no_fact_into_a_users(host: Target) -> None:
    """What a fact states by name may lie behind a link of root's: CRI-O, Docker, kubeadm."""
    host.sh(
        f"mkdir -p {HOME}/d /etc/crio /etc/kubernetes /usr/local/bin; cd {HOME}/d; "
        f"printf '[crio.image]\\nsignature_policy = \"/{SECRET}\"\\n' >10.conf; "
        f"echo '{{\"x\": \"{SECRET}\"}}' >daemon.json; echo 'image: {SECRET}:v1' >m.yaml; "
        f"mkfifo kube-apiserver.yaml; chown -R stranger {HOME}/d; "
        f"ln -s {HOME}/d /etc/crio/crio.conf.d; ln -s {HOME}/d /etc/docker; "
        f"ln -s {HOME}/d /etc/kubernetes/manifests"
    )
    why = f"not trusted: {HOME} belongs to uid"
    try:
        said = ask(host, Crio()).value
        assert said["config"]["error"].startswith(f"/etc/crio/crio.conf.d: {why}")
        assert said["signature_policy"]["path"] != f"/{SECRET}"
        said = ask(host, Docker()).value
        assert said["config"]["exists"] is None
        assert said["config"]["error"].startswith(f"/etc/docker/daemon.json: {why}")
        for manifest in ("kube-apiserver.yaml", "m.yaml"):
            host.sh(f"mv {HOME}/d/{manifest} {HOME}/d/n; mv {HOME}/d/n "
                    f"{HOME}/d/kube-apiserver.yaml")  # fmt: skip
            begun = time.monotonic()
            with pytest.raises(FactProcessError, match="cannot read /etc/kubernetes/manifests"):
                ask(host, Kubernetes())
            assert time.monotonic() - begun < 20
    finally:
        host.sh("rm -f /etc/crio/crio.conf.d /etc/docker /etc/kubernetes/manifests; "
                f"rm -r {HOME}/d")  # fmt: skip


def test_who_answers_at_dockers_socket_is_asked_only_where_that_is_roots(host: Target) -> None:
    """``/run/docker.sock`` as a link to a user's engine, as rootless Docker is set up at times."""
    said = json.dumps({"CgroupDriver": "cgroupfs", "DockerRootDir": "/x", "ServerVersion": "9.9.9"})
    host.sh(
        f"printf '#!/bin/sh\\necho ran >>/run/ran\\necho '\"'{said}'\"'\\n' "
        ">/usr/local/bin/docker; printf '#!/bin/sh\\nexec sleep 1000\\n' >/usr/local/bin/dockerd; "
        "chmod 755 /usr/local/bin/docker*; "
        "printf '[Service]\\nExecStart=/usr/local/bin/dockerd\\n' "
        ">/etc/systemd/system/docker.service; systemctl daemon-reload; systemctl start docker"
    )
    listens = (
        "nohup perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1); "
        "sleep 1000' %s >/dev/null 2>&1 & sleep 0.5"
    )
    try:
        host.sh(listens % f"{HOME}/docker.sock", user="stranger")
        host.sh(f"ln -s {HOME}/docker.sock /run/docker.sock")
        answer = ask(host, Docker()).value
        assert (answer["asked"], answer["engine"], answer["effective"]) == (
            "distrusted",
            None,
            False,
        )
        host.sh("test ! -e /run/ran")
        # control: root's own is asked, and members of the group docker may use it
        host.sh(f"rm /run/docker.sock; {listens % '/run/docker.sock'}")
        host.sh("chgrp users /run/docker.sock; chmod 660 /run/docker.sock")
        answer = ask(host, Docker()).value
        assert answer["asked"] == "asked"
        host.sh("test -e /run/ran")
    finally:
        host.sh("pkill -x perl; systemctl stop docker; rm -f /run/docker.sock /run/ran "
                "/usr/local/bin/docker* /etc/systemd/system/docker.service; "
                "systemctl daemon-reload")  # fmt: skip


def test_cgroups_of_users_and_of_containers_count_for_nothing(host: Target) -> None:
    """Whoever has a subtree (Delegate=) names what is in it as he likes."""
    below = "/sys/fs/cgroup"
    name = f"kubepods-podx.slice:cri-containerd:{CONTAINER}"
    own = CONTAINER[::-1]
    for folder, count in (
        (f"user.slice/user-1.slice/user@1.service/{name}", (0, 0)),
        (f"user.slice/user-1.slice/user@1.service/kubepods/pod1/{CONTAINER}", (0, 0)),
        (f"system.slice/site.service/{name}", (0, 0)),
        (f"machine.slice/x.scope/system.slice/{name}", (0, 0)),
        (f"kubepods.slice/cri-containerd-{own}.scope/{name}", (1, 0)),
        (f"kubepods/pod1/{own}/{name}", (1, 0)),
        # the real ones
        (f"system.slice/{name}", (1, 1)),
        (f"system.slice/containerd.service/{name}", (1, 1)),
    ):
        host.sh(f"mkdir -p '{below}/{folder}'; sleep 1000 >/dev/null 2>&1 & "
                f"echo $! >'{below}/{folder}/cgroup.procs' && echo $! >/run/sleeper")  # fmt: skip
        try:
            found = ask(host, ContainerCgroups()).value
            assert (found["containers"], found["misplaced_count"]) == count, folder
        finally:
            host.sh("kill $(cat /run/sleeper); true")


def test_a_folder_of_a_user_in_path_gives_root_no_programs(host: Target) -> None:
    names = " ".join(("sh", *probe.PROGRAMS, "kubelet", "crio"))
    host.sh(f"mkdir {HOME}/bin && for name in {names}; do printf "
            f"'#!/bin/sh\\necho ran >>/run/ran\\n' >{HOME}/bin/$name; done; "
            f"chmod 755 {HOME}/bin/*; chown -R stranger {HOME}/bin")  # fmt: skip
    before = verdicts(host)
    answers = []
    for path in (f"{HOME}/bin:$PATH", f".:{HOME}/bin:$PATH:"):
        code, output, _ = host.try_sh(f'cd {HOME}/bin; PATH="{path}"; {Kubelet().command()}')
        assert code == 0
        fact = Kubelet()
        fact.command()
        answers.append(fact.process(output.splitlines()))
    assert answers == [before[0], before[0]]
    host.sh(f"test ! -e /run/ran && rm -r {HOME}/bin")


def test_containerds_files_and_socket_are_roots(
    host: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    hosts = inventory(host.host())
    assert run_pyinfra("-y", hosts, ROOT / "deploy.py").returncode == 0
    unit = "/etc/systemd/system/containerd.service.d/site.conf"
    host.sh(f"echo '# {SECRET}' >>/etc/containerd/config.toml; cp /etc/containerd/config.toml "
            f"{HOME}/link.toml; ln -sfn /root/secret {HOME}/c.toml")  # fmt: skip
    for config in (f"{HOME}/c.toml", f"{HOME}/pipe", "/opt/c.toml"):
        host.sh(f"ln -sfn {HOME}/c.toml /opt/c.toml")
        host.write(unit, f"[Service]\nExecStart=\nExecStart=/usr/bin/containerd -c {config}\n")
        host.sh("systemctl daemon-reload")
        answer = ask(host, Node()).value
        assert not answer["containerd"]["effective"]
        result = run_pyinfra("-y", hosts, ROOT / "deploy.py")
        assert result.returncode == 1
        assert f"cannot read {config}" in result.output
        assert SECRET not in result.output
    # a daemon of the user's, where root's configuration says that its socket is
    host.sh(f"rm {unit}; systemctl daemon-reload; cp /etc/containerd/config.toml /root/saved; "
            f"printf '[grpc]\\naddress = \"{HOME}/s.sock\"\\n' >>/etc/containerd/config.toml; "
            f"sed -i 's/.*{SECRET}.*//' /etc/containerd/config.toml")  # fmt: skip
    host.sh(
        'nohup python3 -c "import socket, time; s = socket.socket(socket.AF_UNIX); '
        f"s.bind('{HOME}/s.sock'); s.listen(); time.sleep(1000)\" >/dev/null 2>&1 & "
        f'nohup perl -MIO::Socket::UNIX -e \'IO::Socket::UNIX->new(Local => "{HOME}/s.sock", '
        "Listen => 1); sleep 1000' >/dev/null 2>&1 & sleep 1; true",
        user="stranger",
    )
    assert host.sh(f"test -S {HOME}/s.sock && echo there").strip() == "there"
    assert ask(host, Node()).value["containerd"]["cri"] == "unknown"
    audit = kubenode_cli.audit(hosts)
    assert SECRET not in json.dumps(audit.report)
    host.sh("mv /root/saved /etc/containerd/config.toml; pkill -u stranger; true")


def test_a_network_is_read_only_where_it_is_roots(
    host: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    result = run_pyinfra("-y", inventory(host.host()), ROOT / "deploy.py")
    assert result.returncode == 0, result.output
    network = '{"cniVersion":"0.4.0","name":"n","plugins":[{"type":"bridge"}]}'
    host.sh(f"mkdir -p /etc/cni/net.d {HOME}/net; echo '{network}' >{HOME}/net/1.conflist")
    for command, plugins in (
        (f"ln -s {HOME}/net/1.conflist /etc/cni/net.d/", []),
        (f"cd /etc/cni/net.d && rm 1.conflist && cp {HOME}/net/1.conflist .", ["bridge"]),
    ):
        host.sh(command)
        found = ask(host, Node()).value["containerd"]["cni"]
        assert found["config"] == "/etc/cni/net.d/1.conflist"
        assert [name for name in found["plugins"] if name != "loopback"] == plugins
        error = None if plugins else "/etc/cni/net.d/1.conflist: cannot be read"
        assert found["error"] == error
    host.sh("rm -r /etc/cni/net.d")
