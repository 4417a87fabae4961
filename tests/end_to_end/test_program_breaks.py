"""Ways to break a change of containerd: the old one serves, the pod runs, all is as it was.

``make test`` leaves out those that end as another one does (:data:`ALIKE`); ``make soak`` has all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from docker import DockerClient

from kubenode.files import host_lock
from kubenode.packages import package_locks
from kubenode.runtimes import program_change
from kubenode.runtimes.config_swap import CRI_WAIT_SECONDS
from tests.end_to_end.changing import CONFIG, DIRECTORY, NEW, OLD, Node, put
from tests.end_to_end.test_writes_on_targets import holding
from tests.repositories import thin
from tests.repositories.server import Answer, Server, altered, other, status, truncated
from tests.soak import loops
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

On = Callable[[Node], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def node(docker_client: DockerClient, login_key: SshKey, package_server: Server) -> Iterator[Node]:
    with Fleet(docker_client, login_key) as fleet:
        started = Node(fleet.start("trixie"), package_server)
        started.begin()
        for number, broken in enumerate(BREAKS.values()):
            if broken.package:
                started.apt.add(_deb(started, number, broken.package))
        started.apt.publish(started.key)
        started.fetch_lists()
        yield started


@dataclass(frozen=True)
class Break:
    """What is wrong, and what is said of it.

    + says: part of the message
    + package: what is other in the package, see :func:`thin.built`; None: it is the right one
    + served: how the server answers for the package
    + on: what is other on the host meanwhile
    + waits: whether what is waited for never comes
    """

    says: tuple[str, ...]
    package: dict[str, Any] | None = None
    served: Answer | None = None
    on: On | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    waits: bool = False


def _on(before: str, after: str) -> On:
    @contextmanager
    def meanwhile(node: Node) -> Iterator[None]:
        node.target.sh(before)
        try:
            yield
        finally:
            node.target.sh(after)

    return meanwhile


def _program(before: str) -> dict[str, Any]:
    return {"files": {"/usr/bin/containerd": thin.wrapped("forky", "containerd", before)}}


def _drop_in(text: str) -> On:
    folder = "/etc/systemd/system/containerd.service.d"
    return _on(
        f"mkdir -p {folder}; printf '[Service]\\n{text}\\n' >{folder}/test.conf; "
        "systemctl daemon-reload",
        f"rm -r {folder}; systemctl daemon-reload",
    )


@contextmanager
def _package_lock(node: Node) -> Iterator[None]:
    with holding(node.target, "/var/lib/dpkg/lock-frontend"):
        yield


_HOLD_THE_LOCK = """
exec 9>>/run/kubenode/lock; flock 9 || exit 1
echo 'kubenode run by another@controller since 2026-11-01T12:00:00Z, pid 1' >/run/kubenode/owner
touch /root/holds-it; while [ -e /root/holds-it ]; do sleep 0.2; done
"""


@contextmanager
def _host_lock(node: Node) -> Iterator[None]:
    target = node.target
    target.write("/root/hold.sh", _HOLD_THE_LOCK)
    target.sh("rm -f /root/holds-it; setsid sh /root/hold.sh >/dev/null 2>&1 &")
    until(target, "[ -e /root/holds-it ]")
    try:
        yield
    finally:
        target.sh("rm /root/holds-it; flock -w 20 /run/kubenode/lock true")


@contextmanager
def _unreachable(node: Node) -> Iterator[None]:
    route = f"route add unreachable {node.server.address}/32"
    node.target.sh(f"ip {route}")
    try:
        yield
    finally:
        node.target.sh(f"ip {route.replace('add', 'del')}")


_UNCHANGED = "nothing was changed"
_BACK = "the old program is back, and serves again"
_FULL = "/opt/kubenode-full"
_AS_DAEMON = 'case " $* " in *" config "* | *--version*) ;; *) {};; esac'
BREAKS = {
    "no program": Break(
        ("does not run on this host", _UNCHANGED),
        {"files": {"/usr/bin/containerd": "\x7fELF of another machine"}},
    ),
    "it refuses the configuration": Break(
        ("refuses /etc/containerd/config.toml", "no such key", _UNCHANGED),
        _program('case "$*" in *"config dump"*) echo no such key >&2; exit 1;; esac'),
    ),
    "it ends at its start": Break(
        ("did not come up", _BACK), _program(_AS_DAEMON.format("echo over; exit 1"))
    ),
    "preinst fails": Break(("could not be installed", _BACK), {"scripts": {"preinst": "exit 1"}}),
    "postinst fails": Break(
        ("could not be installed", _BACK),
        {"scripts": {"postinst": '[ "$1" != configure ] || exit 1'}},
    ),
    "postinst and prerm fail": Break(
        ("could not be installed", _BACK),
        {"scripts": {"postinst": '[ "$1" != configure ] || exit 1', "prerm": "exit 1"}},
    ),
    "a dependency that nobody has": Break(
        ("cannot be had", _UNCHANGED), {"fields": {"Depends": "kubenode-nowhere"}}
    ),
    "it takes another package with it": Break(
        ("would remove runc", _UNCHANGED), {"fields": {"Conflicts": "runc", "Depends": ""}}
    ),
    "404": Break(("404", _UNCHANGED), served=status(404)),
    "cut off": Break(("cannot be had", _UNCHANGED), served=truncated(1000)),
    "another file": Break(("cannot be had", _UNCHANGED), served=other(b"log in first")),
    "the program cannot be replaced": Break(
        ("could not be installed", _BACK),
        on=_on("mount --bind /usr/bin/ctr /usr/bin/ctr", "umount /usr/bin/ctr"),
    ),
    "it starts and never says so": Break(
        ("did not come up", _BACK),
        _program(_AS_DAEMON.format("sleep 600")),
        on=_drop_in("TimeoutStartSec=5"),
    ),
    "it says that it runs, and never answers": Break(
        ("did not come up", _BACK),
        _program(_AS_DAEMON.format("systemd-notify --ready; exec sleep 600")),
        on=_drop_in("NotifyAccess=all"),
        waits=True,
    ),
    "its CRI is off": Break(
        ("did not come up", _BACK),
        _program(
            _AS_DAEMON.format(
                "printf 'version = 2\\ndisabled_plugins = [%s]\\n' "
                "'\"io.containerd.grpc.v1.cri\"' >/run/off.toml; "
                "exec /opt/kubenode-test/forky/containerd --config /run/off.toml"
            )
        ),
        waits=True,
    ),
    "a file of it has no space": Break(
        ("could not be installed", "No space left on device", _BACK),
        {"files": {f"{_FULL}/big": "x" * 500_000}},
        on=_on(
            f"mkdir -p {_FULL}; mount -t tmpfs -o size=64k none {_FULL}",
            f"umount {_FULL}; rmdir {_FULL} 2>/dev/null || :",
        ),
    ),
    "its sum is not that of the list": Break(("cannot be had", _UNCHANGED), served=altered()),
    "the server cannot be reached": Break(("cannot be had", _UNCHANGED), on=_unreachable),
    "another process changes packages all the time": Break(
        ("waits for process", "perl", "run again when it has ended"), on=_package_lock, waits=True
    ),
    "another run holds the host all the time": Break(
        ("another run has changed this host", "by another@controller", _UNCHANGED),
        on=_host_lock,
        waits=True,
    ),
    "dpkg was interrupted before": Break(
        ("dpkg was interrupted", _UNCHANGED),
        on=_on("touch /var/lib/dpkg/updates/0001", "rm /var/lib/dpkg/updates/0001"),
    ),
    "the unit is masked": Break(
        ("containerd.service is masked", _UNCHANGED),
        on=_on(
            "systemctl mask --runtime containerd 2>/dev/null",
            "systemctl unmask --runtime containerd 2>/dev/null",
        ),
    ),
    "no space for what is kept": Break(
        (_UNCHANGED,),
        on=_on(
            "mkdir -p /var/lib/kubenode; mount -t tmpfs -o size=100k none /var/lib/kubenode",
            "umount /var/lib/kubenode",
        ),
    ),
    "/var/lib/kubenode cannot be written": Break(
        ("cannot make", _UNCHANGED),
        on=_on(
            "mkdir -p /var/lib/kubenode; mount -t tmpfs -o ro none /var/lib/kubenode",
            "umount /var/lib/kubenode",
        ),
    ),
    "another version meanwhile": Break(
        ("changed meanwhile", _UNCHANGED), arguments={"now": "1.7.20"}
    ),
    "the configuration was changed meanwhile": Break(
        ("was changed meanwhile", _UNCHANGED),
        arguments={"files": {CONFIG: (b"version = 2\n", b"version = 3\n")}},
    ),
}


ALIKE = {
    "postinst fails": "postinst and prerm fail",
    "preinst fails": "postinst and prerm fail",
    "the program cannot be replaced": "a file of it has no space",
    "it starts and never says so": "it says that it runs, and never answers",
    "its CRI is off": "it says that it runs, and never answers",
    "cut off": "its sum is not that of the list",
    "another file": "its sum is not that of the list",
    "/var/lib/kubenode cannot be written": "no space for what is kept",
}
"""Breaks that go the way of another one."""


def _version(name: str) -> str:
    return f"2.1.9~thin{list(BREAKS).index(name)}" if BREAKS[name].package else NEW


def _deb(node: Node, number: int, wrong: dict[str, Any]) -> Any:
    return thin.built(node.server.folder.parent, "forky", f"2.1.9~thin{number}", **wrong)


def _be_impatient(patch: pytest.MonkeyPatch) -> None:
    """Wait for locks and for CRI not as long as a host may need."""
    patch.setattr(host_lock, "WAIT_SECONDS", 3)
    replaced = {
        (package_locks, "PATIENTLY"): f"-lt {package_locks.WAIT_SECONDS} ",
        (program_change, "_FUNCTIONS"): f"wait_for_cri {CRI_WAIT_SECONDS} ",
    }
    for (module, name), words in replaced.items():
        text = getattr(module, name)
        assert words in text
        fewer = words.replace(words.split()[1], "3" if "lt" in words else "20")
        patch.setattr(module, name, text.replace(words, fewer))


@pytest.mark.parametrize(
    "name", loops.choice([name for name in BREAKS if name not in ALIKE], BREAKS)
)
def test_the_old_one_serves_and_all_is_as_it_was(
    node: Node, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = BREAKS[name]
    if broken.waits:
        _be_impatient(monkeypatch)
    before, process = node.state(), node.process()
    assert process
    with ExitStack() as stack:
        if broken.served:
            stack.enter_context(node.server.answering("*.deb", broken.served))
        if broken.on:
            stack.enter_context(broken.on(node))
        code, said = node.run(node.command(_version(name), **broken.arguments))
    assert code == 1, said
    for words in broken.says:
        assert words in said
    assert node.version().startswith("1.7.24")
    assert node.process() == process
    assert _without_sum(node.state()) == _without_sum(before)
    assert node.target.try_sh(f"ls {DIRECTORY}")[0] != 0


def _killed_while_dpkg_works(node: Node, version: str) -> None:
    """The transaction's shell is killed in a postinst; apt-get and dpkg live on for 3 s."""
    target = node.target
    target.sh("rm -f /root/is-at-it")
    node.add(
        "forky",
        version,
        scripts={"postinst": "touch /root/is-at-it; while [ -e /root/hold ]; do sleep 0.2; done"},
    )
    node.fetch_lists()
    put(target, node.command(version))
    target.sh("touch /root/hold; sh /root/change.sh </root/change.in >/root/said 2>&1 &")
    until(target, "[ -e /root/is-at-it ]")
    target.sh("pkill -9 -f '^sh /root/change.sh' || :")
    assert target.sh("pgrep -x apt-get")
    target.sh("setsid sh -c 'sleep 3; rm /root/hold' >/dev/null 2>&1 &")


def test_a_change_whose_shell_was_killed_is_ended_by_the_host(node: Node) -> None:
    """Nobody runs anything: what apt-get left is waited for, and one of the two serves."""
    process = node.process()
    _killed_while_dpkg_works(node, "2.1.9~thinkilled")
    until(node.target, f"[ ! -e {DIRECTORY} ]")
    words = node.target.sh("journalctl --no-pager -o cat -u 'kubenode-change-*'")
    assert "waits for process" in words
    is_new = "an interrupted change had come to its end" in words
    assert is_new or "an interrupted change was undone: the old program is back" in words
    assert node.version().startswith("2.1.9" if is_new else "1.7.24")
    assert node.process() == process
    until(node.target, "! systemctl list-units --plain --no-legend | grep kubenode-change")
    _back_to_old(node)


@pytest.mark.skipif(
    not loops.is_soak(), reason="the host ends it itself nearly everywhere: make soak"
)
def test_without_systemd_run_the_next_run_begins_with_it(node: Node) -> None:
    """An apt that outlives its shell is waited for."""
    target, process = node.target, node.process()
    target.sh("mv /usr/bin/systemd-run /root")
    try:
        _killed_while_dpkg_works(node, "2.1.9~thinslow")
    finally:
        target.sh("mv /root/systemd-run /usr/bin")
    code, said = node.run(program_change.settle())
    assert code == 0, said
    assert "waits for process" in said
    assert "an interrupted change" in said
    assert target.try_sh(f"ls {DIRECTORY}")[0] != 0
    assert node.process() == process
    _back_to_old(node)


def test_a_changed_conffile_is_still_a_changed_one_after_a_change_was_undone(node: Node) -> None:
    """Else the next upgrade would put the package's own in its place without a question."""
    assert node.target.read(CONFIG).endswith("# of this host\n")
    name = "it ends at its start"
    assert node.run(node.command(_version(name)))[0] == 1
    [recorded, *_] = node.target.sh("dpkg-query -W -f '${Conffiles}' containerd").split()[1:]
    assert recorded != node.target.sh(f"md5sum {CONFIG}").split()[0]


def test_a_drop_in_that_breaks_every_start_is_named_and_once_it_is_gone_the_old_one_is_back(
    node: Node,
) -> None:
    """Neither of the two starts then, and the pod runs on; what waits for that, or the next run,
    brings the old one back."""
    process, before = node.process(), node.state()
    with _drop_in("ExecStartPre=/bin/false")(node):
        code, said = node.run(node.command(NEW))
        assert code == 1
        assert "did not come up; the old program is back; it does not come up: " in said
        assert "containerd.service" in said
        assert node.process() == process
    code, said = node.run(program_change.settle())
    assert code == 0, said
    assert node.version().startswith("1.7.24")
    assert node.process() == process
    assert _without_sum(node.state()) == _without_sum(before)


def test_a_policy_that_forbids_packages_to_start_services_stops_nothing(node: Node) -> None:
    process = node.process()
    node.target.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
    node.target.sh("chmod 755 /usr/sbin/policy-rc.d")
    try:
        code, said = node.run(node.command(NEW))
        assert (code, node.version()[:5]) == (0, "2.1.9"), said
        assert node.process() == process
        _back_to_old(node)
    finally:
        node.target.sh("rm /usr/sbin/policy-rc.d")


def test_a_connection_that_is_cut_all_the_time_stops_nothing(node: Node) -> None:
    """Nobody reads what it says, and each of its processes is hung up on again and again."""
    target, process = node.target, node.process()
    put(target, node.command(NEW))
    target.write("/root/cut.sh", _CUT)
    target.sh("setsid sh /root/cut.sh </root/change.in 2>&1 | head -c 1 >/dev/null")
    until(target, f"flock -n /run/kubenode/lock true && [ ! -e {DIRECTORY} ]")
    assert int(target.read("/root/cuts")) > 10
    assert node.version().startswith("2.1.9")
    assert node.process() == process
    _back_to_old(node)


# a process group of its own is what a terminal hangs up on; before the lock is held it may end
_CUT = """
(
  trap '' HUP
  until [ -e /var/lib/kubenode/change/what ]; do sleep 0.05; done
  cuts=0
  while [ -e /var/lib/kubenode/change ]; do
    kill -s HUP 0; cuts=$((cuts + 1)); echo $cuts >/root/cuts; sleep 0.05
  done
) >/dev/null 2>&1 &
exec sh /root/change.sh
"""


def test_it_converges_once_nothing_is_broken(node: Node) -> None:
    process = node.process()
    code, said = node.run(node.command(NEW))
    assert (code, node.version()[:5]) == (0, "2.1.9"), said
    assert node.process() == process
    assert node.target.read(CONFIG).endswith("# of this host\n")
    _back_to_old(node)


def _without_sum(state: str) -> str:
    """Without the sum that dpkg has of a conffile that was changed: it is another one."""
    return re.sub(rf"^ {CONFIG} [0-9a-f]+$", "", state, flags=re.MULTILINE)


def until(target: Target, condition: str) -> None:
    """Wait for a condition on the host."""
    deadline = time.monotonic() + 60
    while target.try_sh(condition)[0] != 0:
        assert time.monotonic() < deadline, condition
        time.sleep(0.1)


def _back_to_old(node: Node) -> None:
    now = node.target.sh("dpkg-query -W -f '${Version}' containerd")
    if now != OLD:
        code, said = node.run(node.command(OLD, now=now))
        assert code == 0, said
    assert node.version().startswith("1.7.24")
