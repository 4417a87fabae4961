"""What the worst files of a host cost: a bound on CPU and memory that ends what goes beyond it."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks import worst_inputs
from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.checks.check import Aim, Evidence, Subject, Verdict, verdict_of, violated
from kubenode.facts.node import Node, NodeShape
from kubenode.files import toml_text
from kubenode.linux.sysctl_d import MOST_LINES, Tree, without_conflicts
from kubenode.runtimes.containerd.config import parse
from kubenode.runtimes.containerd.editing import edit
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError
from kubenode.wire import probe, size_limits
from kubenode.wire.reading import Reading, Readings, read_answer
from tests.sealed import seal

# All cases together take 8 s on a machine of 2020; without the bounds one alone takes minutes.
MOST_CPU_SECONDS = 60
MOST_BYTES = 1024**3
OURS = "/etc/sysctl.d/k8s.conf"


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


def test_every_worst_input_is_read_judged_and_reported_within_bounds() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.worst_inputs", "--all"],
        preexec_fn=_bounded,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    cases = [*worst_inputs.CASES, *worst_inputs.ANSWERS, worst_inputs.EVERYTHING]
    assert ran.stdout.splitlines() == cases


def test_all_of_them_at_once_take_little_memory() -> None:
    _, mb = worst_inputs.measure(worst_inputs.EVERYTHING)
    assert mb < 100


def test_what_is_too_long_is_unreadable_never_absent() -> None:
    paths = ["/etc/fstab", "/etc/sysctl.d/a.conf", "/etc/sysctl.d/b.conf"]
    exact = dict.fromkeys(paths, b"x" * 400 * 1024)
    other = {"/etc/other": b"x" * 1024 * 1024}
    texts = {path: [content.decode()] for path, content in (exact | other).items()}
    reading = size_limits.within(Reading({}, texts, exact | other))
    assert reading.unreadable == {"/etc/fstab", "/etc/sysctl.d/b.conf"}
    assert reading.texts.keys() == reading.exact.keys() == {"/etc/sysctl.d/a.conf", "/etc/other"}


def test_a_long_sysctl_file_is_still_put_right() -> None:
    key = "net.ipv4.ip_forward"
    text = "".join(f"vm.x{number} = 1 # padding\n" for number in range(11_000)) + f"{key} = 0\n"
    assert len(text) > 240_000
    after, edits, conflicts = without_conflicts(
        Tree({"/etc/sysctl.d/zz.conf": text}), OURS, f"{key} = 1\n", {key: "1"}
    )
    assert (after.boot(key).value, list(edits), len(conflicts)) == (
        "1",
        ["/etc/sysctl.d/zz.conf"],
        1,
    )


def test_a_hundred_thousand_conflicts_are_gone_through_once() -> None:
    key = "net.ipv4.ip_forward"
    text = f"{key}=0\n{key}=2\n" * (MOST_LINES // 2 - 10)
    after, _, conflicts = without_conflicts(
        Tree({"/etc/sysctl.d/zz.conf": text}), OURS, f"{key} = 1\n", {key: "1"}
    )
    assert after.boot(key).value == "1"
    assert len(conflicts) == MOST_LINES - 20
    boot = Tree({"/etc/sysctl.d/zz.conf": text}).boot(key)
    assert len(boot.beaten) + boot.more == MOST_LINES - 21


def test_more_lines_than_are_read_make_every_key_unknown() -> None:
    tree = Tree({"/etc/sysctl.d/zz.conf": "a=1\n" * (MOST_LINES + 1)})
    boot = tree.boot("net.ipv4.ip_forward")
    assert (boot.state, boot.value) == ("unknown", None)
    assert boot.reason.startswith("/etc/sysctl.d/zz.conf:")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#" * (toml_text.MOST_BYTES + 1), "longer than 64 KiB"),
        ("a." * 5000 + "a = 1", "nested deeper than 32"),
        ('"\\"".' * 5000 + "a = 1", "nested deeper than 32"),
        ("a = " + "[" * 5000, "nested deeper than 32"),
        ("version = 3\nimports = [" + '"a",' * 300 + "]", "more than 256 entries"),
        ("version = 3\nimports = ['" + "a" * 5000 + "']", "longer than any path"),
    ],
)
def test_toml_that_is_not_read_says_so_with_its_file(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"^/etc/x\.toml:\d+:\d+: .*{reason}"):
        parse(text, "/etc/x.toml")


def test_an_edit_of_too_much_says_so() -> None:
    text = 'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes]\n'
    text += "".join(
        f"a{number} = {{options = {{SystemdCgroup = false}}}}\n" for number in range(60)
    )
    text += "[x]\n" + "".join(f"a{number} = 1\n" for number in range(4000))
    with pytest.raises(ConfigError, match="too many changes"):
        edit(parse(text, "/etc/x.toml"), ContainerdWanted("systemd"), is_root=True)


def test_more_items_than_a_host_has_are_no_answer() -> None:
    lines = [f"%value a{number} 1" for number in range(probe.MOST_ITEMS + 2)]
    scripts = {"x": probe.Script()}

    def read(lines: list[str]) -> Readings:
        body = ["%begin shared", "%end shared", "%begin x", *lines, "%end x"]
        return read_answer(seal(scripts, body), scripts)

    assert "x" in read(lines[:9])
    assert "x" not in read(lines)


def test_a_finding_is_cut_and_says_how_much() -> None:
    def verdict(subject: Subject) -> Verdict:
        return violated("x" * 5000, *(Evidence(str(number)) for number in range(100_000)))

    check = replace(CHECKS[0], profiles=frozenset(), judge=verdict)
    said = verdict_of(check, Subject(a_node(), Aim()))
    assert said.found.endswith("and 3000 characters more")
    assert len(said.evidence) == 51
    assert said.evidence[-1].text == "and 99950 more"


def a_node() -> NodeShape:
    """What is known of a host that says nothing."""
    fact = Node()
    fact.command()
    return fact.parse(Readings(dict.fromkeys(fact.scripts, Reading())))
