"""Ways to break a change of containerd: the old one serves, the pod runs, all is as it was."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from docker import DockerClient

from kubenode.runtimes import program_change
from tests.end_to_end.changing import CONFIG, DIRECTORY, NEW, OLD, Node, put
from tests.repositories import thin
from tests.repositories.server import Answer, Server, other, status, truncated
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

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
    """

    says: tuple[str, ...]
    package: dict[str, Any] | None = None
    served: Answer | None = None
    on: On | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


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


_UNCHANGED = "nothing was changed"
_BACK = "the old program is back, and serves again"
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


def _version(name: str) -> str:
    return f"2.1.9~thin{list(BREAKS).index(name)}" if BREAKS[name].package else NEW


def _deb(node: Node, number: int, wrong: dict[str, Any]) -> Any:
    return thin.built(node.server.folder.parent, "forky", f"2.1.9~thin{number}", **wrong)


@pytest.mark.parametrize("name", BREAKS)
def test_the_old_one_serves_and_all_is_as_it_was(node: Node, name: str) -> None:
    broken = BREAKS[name]
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
