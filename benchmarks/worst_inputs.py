"""What the worst files of a host cost the controller: ``python -m benchmarks.worst_inputs``.

A time limit cannot end a parser at work, so what a host's files cost has to be bounded by how they
are read. Each case is a host whose files, or answers, are of the worst kind that is known for one
parser; the last one is all of them at once. The table has the CPU time and the memory of reading
such a host, judging it and writing the report, beyond those of an ordinary host. The targets: below
1 s and 50 MB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kubenode.linux import sysctl_d
from kubenode.wire import probe, size_limits
from kubenode.wire.reading import Reading, Readings, read_answer
from tests.sealed import seal

KIB = 1024
_FILE = 940 * KIB


@dataclass(frozen=True)
class Host:
    """What a host sends."""

    files: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def __or__(self, other: Host) -> Host:
        return Host(
            {**self.files, **other.files},
            {**self.texts, **other.texts},
            {**self.values, **other.values},
        )


def _fill(line: Callable[[int], str], size: int = _FILE) -> str:
    lines: list[str] = []
    left = size
    while left > 0:
        lines.append(line(len(lines)))
        left -= len(lines[-1]) + 1
    return "\n".join(lines) + "\n"


def _toml(text: str) -> Host:
    path = "/etc/containerd/config.toml"
    return Host(
        {path: text, "/etc/crio/crio.conf": text},
        {"dump": text.splitlines()},
        {
            "path": path,
            "binary": "/usr/bin/containerd",
            "version": "containerd x 2.1.9",
            "crio": "yes",
        },
    )


def _yaml(text: str) -> Host:
    files = {"/var/lib/kubelet/config.yaml": text, "/etc/crictl.yaml": text}
    return Host(files, {}, {"kubelet_version": "Kubernetes v1.34.0"})


def _sysctls(text: str, size: int = 500 * KIB) -> Host:
    return Host({"/etc/sysctl.d/zz.conf": text[:size]})


_TOML = 63 * KIB
_RUNTIMES = 'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes]\n'
_YAML = 16 * KIB - 8
FORWARD = "net.ipv4.ip_forward"

CASES: dict[str, Callable[[], Host]] = {
    "an ordinary host": Host,
    "sysctl.d: 940 KB": lambda: _sysctls(_fill(lambda n: f"a{n}=1"), _FILE),
    "sysctl.d: keys": lambda: _sysctls(_fill(lambda n: f"a{n}=1")),
    "sysctl.d: one key in two values": lambda: _sysctls(_fill(lambda n: f"{FORWARD}={n % 2}")),
    "sysctl.d: one key in all values": lambda: _sysctls(_fill(lambda n: f"{FORWARD}={n}")),
    "sysctl.d: globs": lambda: _sysctls(_fill(lambda n: f"net/*/{n}*=1")),
    "sysctl.d: globs of stars": lambda: _sysctls(_fill(lambda n: f"net/ipv4/{'*a' * 50}{n}=1")),
    "sysctl.d: braces": lambda: _sysctls(_fill(lambda n: f"net/{'{a,b}' * 9}{n}*=1")),
    "sysctl.d: empty braces": lambda: _sysctls(_fill(lambda n: f"net/{'{' * 90}{'}' * 90}{n}*=1")),
    "sysctl.d: one value": lambda: _sysctls(f"{FORWARD}={'0 ' * 300_000}"),
    "sysctl.d: one key of dots": lambda: _sysctls(f"{'a.' * 249_000}=1"),
    "sysctl.d: lines without =": lambda: _sysctls(_fill(lambda n: f"{FORWARD} {n}")),
    "sysctl.d: 4,000 files": lambda: Host(
        {f"/etc/sysctl.d/{n}.conf": f"{FORWARD}={n % 2}\n" for n in range(4000)}
    ),
    "modprobe.d: patterns": lambda: Host(
        {"/etc/modprobe.d/x.conf": _fill(lambda n: f"install *{n} /bin/false", 127 * KIB)}
    ),
    "modprobe.d: one pattern of stars": lambda: Host(
        {"/etc/modprobe.d/x.conf": f"install {'*a' * 60_000} /bin/false\n"}
    ),
    "modprobe.d: one line, wrapped": lambda: Host({"/etc/modprobe.d/x.conf": "\\\n" * 64_000}),
    "modules-load.d": lambda: Host(
        {"/etc/modules-load.d/x.conf": _fill(lambda n: f"a{n}", 63 * KIB)}
    ),
    "TOML: keys": lambda: _toml(_fill(lambda n: f"a{n}=1", _TOML)),
    "TOML: 940 KB": lambda: _toml(_fill(lambda n: f"a{n}=1")),
    "TOML: one dotted key": lambda: _toml(f"{'a.' * 30_000}a=1"),
    "TOML: one dotted key in quotes": lambda: _toml('"\\"".' * 10_000 + "a=1"),
    "TOML: dotted keys": lambda: _toml(_fill(lambda n: f"{'a.' * 29}a{n}=1", _TOML)),
    "TOML: keys below a long header": lambda: _toml(
        f"[{'a.' * 29}b]\n" + _fill(lambda n: f"a{n}=1", _TOML - 80)
    ),
    "TOML: tables in an array": lambda: _toml(_fill(lambda n: "[[a]]\nb=1", _TOML)),
    "TOML: an array in lines": lambda: _toml("a=[" + '"]",\n' * 12_000 + "]"),
    "TOML: imports": lambda: _toml("imports=[" + '"a*/*",' * 9_000 + "]"),
    "TOML: brackets": lambda: _toml(f"a={'[' * 60_000}"),
    "TOML: brackets in an array": lambda: _toml(f"a=[{('[' * 28 + ']' * 28 + ',') * 1100}]"),
    "TOML: handlers": lambda: _toml(_RUNTIMES + _fill(lambda n: f"a{n}={{}}", _TOML - 200)),
    "TOML: 60 handlers and keys": lambda: _toml(
        _RUNTIMES
        + "".join(f"a{n}={{options={{SystemdCgroup=false}}}}\n" for n in range(60))
        + "[x]\n"
        + _fill(lambda n: f"a{n}=1", _TOML - 4 * KIB)
    ),
    "YAML: a list": lambda: _yaml(f"a: [{'a,' * (_YAML // 2 - 4)}]"),
    "YAML: 940 KB": lambda: _yaml(_fill(lambda n: f"a{n}: 1")),
    "YAML: lists in lists": lambda: _yaml("- " * (_YAML // 2)),
    "YAML: dashes": lambda: _yaml("a:\n" + "- 1\n" * (_YAML // 4 - 4)),
    "YAML: a billion laughs": lambda: _yaml(
        "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 200))
        + "cgroupDriver: *a199\nmemorySwap: *a199\n"
    ),
    "YAML: merge keys": lambda: _yaml(
        "a: &a {x: 1}\n" + _fill(lambda n: "b: {<<: *a}", _YAML - 20)
    ),
    "YAML: quotes": lambda: _yaml('a: "' + "\\n" * (_YAML // 2 - 8) + '"'),
    "YAML: comments": lambda: _yaml("#\n" * (_YAML // 2)),
    "YAML: questions": lambda: _yaml("? " * (_YAML // 2)),
    "YAML: a number": lambda: _yaml("failSwapOn: " + "9" * (_YAML - 20)),
    "JSON: brackets": lambda: Host(
        {"/etc/docker/daemon.json": "[" * 65_000}, values={"dockerd": "yes"}
    ),
    "JSON: a number": lambda: Host(
        {"/etc/docker/daemon.json": '{"a":' + "9" * 60_000 + "}"}, values={"dockerd": "yes"}
    ),
    "JSON: options": lambda: Host(
        {"/etc/docker/daemon.json": '{"exec-opts":[' + '"a",' * 15_000 + '"a"]}'},
        values={"dockerd": "yes"},
    ),
    "os-release": lambda: Host({"/etc/os-release": "PRETTY_NAME=" + "a" * 16_000}),
    "os-release: lines": lambda: Host({"/etc/os-release": _fill(lambda n: f"A{n}='a'", 16_000)}),
    "fstab": lambda: Host({"/etc/fstab": _fill(lambda n: f"/{n} - swap", 63 * KIB)}),
    "fstab: one line": lambda: Host({"/etc/fstab": "a a swap" + " a" * 32_000}),
    "command line": lambda: Host({"/proc/cmdline": f"sysctl.{FORWARD}=1 " * 600}),
    "df": lambda: Host(texts={"df": ["x", " " * 400_000], "inodes": ["x", "1 " * 200_000]}),
    "cgroups of containers": lambda: Host(
        texts={"paths": ["0::" + "/kubepods" * 400 + str(n) for n in range(1000)]}
    ),
    "cgroups of containers: slices": lambda: Host(
        texts={"paths": ["0::/" + "kubepods.slice:" * 250 + str(n) for n in range(1000)]}
    ),
    "cgroups of containers: ids": lambda: Host(texts={"paths": ["0::/" + "abcdef01" * 400_000]}),
    "mounts": lambda: Host(texts={"mounts": [f"a /var/{n} b c" for n in range(150_000)]}),
    "ports": lambda: Host(
        texts={"/proc/net/tcp": ["0: 00000000:1F90 00000000:0000 0A 0:0 0:0 0 0 0"] * 100_000}
    ),
    "proxies": lambda: Host(texts={"proxies": ["/etc/environment:1:HTTP_PROXY"] * 100_000}),
    "live sysctls": lambda: Host(
        texts={f"/proc/sys/{sysctl_d.path_of(FORWARD)}": ["1" * 4_000_000]}
    ),
    "kernel's configuration": lambda: Host(
        texts={"config": [f"CONFIG_A{n}=y" for n in range(150_000)]}
    ),
    "pods": lambda: Host(
        texts={"pods": [f"{n} /a/cri-containerd-{n}.scope" for n in range(100_000)]}
    ),
    "docker's arguments": lambda: Host(
        texts={"unit:docker.service": ["LoadState=loaded", "ExecStart=" + "argv[]=" * 500_000]},
        values={"dockerd": "yes"},
    ),
    "kubelet's arguments": lambda: Host(
        texts={"kubelet_arguments": ["--fail-swap-on= " * 100_000 + "--cgroup-driver=" * 100_000]},
        values={"kubelet_version": "Kubernetes v1.34.0"},
    ),
}

TOGETHER = (
    "sysctl.d: globs", "modprobe.d: patterns", "modules-load.d", "TOML: 60 handlers and keys",
    "YAML: a list", "JSON: options", "os-release: lines", "fstab", "command line", "df",
    "cgroups of containers", "docker's arguments", "live sysctls",
)  # fmt: skip
"""One of each kind, as much as fits into an answer."""

EVERYTHING = "all of them at once"

ANSWERS: dict[str, Callable[[], list[str]]] = {
    "answer: lines": lambda: ["%begin platform", *["|x"] * probe.MOST_LINES],
    "answer: one line": lambda: ["%begin platform", "%value a " + "x" * probe.MOST_BYTES],
    "answer: values": lambda: ["%begin platform", *(f"%value a{n} 1" for n in range(190_000))],
    "answer: base64": lambda: [
        "%begin platform", "%exact /a", "|" + "A" * (probe.MOST_BYTES - 1000), "%done",
        "%end platform",
    ],
    "answer: empty files": lambda: [
        "%begin platform", "%files", *(f"|0 /a{n}" for n in range(190_000)), "%bytes", "|", "%done",
        "%end platform",
    ],
}  # fmt: skip


def host(name: str) -> Host:
    """The host of a case."""
    if name != EVERYTHING:
        return CASES[name]()
    merged = Host()
    for each in TOGETHER:
        merged |= CASES[each]()
    return merged


def look_at(name: str) -> str:
    """Read, judge and report the host of a case; the report as JSON."""
    from datetime import UTC, date, datetime

    from kubenode.audit import findings
    from kubenode.audit.checks.catalogue import CHECKS
    from kubenode.audit.checks.check import Aim
    from kubenode.audit.reports import json_report
    from kubenode.facts.node import Node

    fact = Node()
    fact.command()
    if name in ANSWERS:
        read_answer(seal(fact.scripts, ANSWERS[name]()), fact.scripts)
        sent = Host()
    else:
        sent = host(name)
    exact = {path: text.encode() for path, text in sent.files.items()}
    reading = size_limits.within(
        Reading(
            sent.values,
            {**{path: text.split("\n") for path, text in sent.files.items()}, **sent.texts},
            exact,
        )
    )
    facts = fact.parse(Readings(dict.fromkeys(fact.scripts, reading)))
    wrong = [why for why in facts["missing"].values() if "out of form" in why]
    assert not wrong, wrong
    judged = findings.judge_host("host", facts, Aim(today=date(2026, 1, 1)), CHECKS)
    report = findings.FleetReport((judged,), datetime.now(UTC), "0")
    return json_report.render(report)


def measure(name: str) -> tuple[float, float]:
    """CPU seconds and MB that one case takes in a process of its own, imports apart."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.worst_inputs", "--case", name],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, mb = json.loads(ran.stdout)
    return seconds, mb


def _alone(name: str) -> None:
    look_at("an ordinary host")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    look_at(name)
    seconds = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([round(seconds, 3), round((after - before) / 1024, 1)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", help="measure one case, in this process")
    parser.add_argument("--all", action="store_true", help="look at every case, in this process")
    options = parser.parse_args()
    if options.all:
        for name in (*CASES, *ANSWERS, EVERYTHING):
            look_at(name)
            print(name, flush=True)
        return
    if options.case:
        _alone(options.case)
        return
    print("| input | CPU s | MB |\n|---|---|---|")
    for name in (*CASES, *ANSWERS, EVERYTHING):
        seconds, mb = measure(name)
        print(f"| {name} | {seconds:.2f} | {mb:.0f} |", flush=True)


if __name__ == "__main__":
    main()
