"""The fact's prediction of the next boot against what systemd-sysctl really does in a target."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from kubenode.facts.kernel import Sysctls, SysctlsShape
from kubenode.files import host_lock
from kubenode.linux import drop_ins, sysctl_d, sysctl_value
from kubenode.operations import kernel
from tests.soak import loops
from tests.targets.container import Target

pytestmark = [pytest.mark.targets, pytest.mark.soak]


@pytest.fixture
def target(shared_target: Target) -> Target:
    """One for all tests of a suite: each clears what it wrote."""
    return shared_target


# Only keys of the container's own network namespace: all others are the host's.
KEYS = [
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.default.forwarding",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.forwarding",
    "net.ipv4.conf.all.tag",
    "net.ipv4.conf.default.tag",
    "net.ipv4.conf.lo.tag",
    "net.ipv4.conf.lo.medium_id",
    "net.ipv4.conf.kn/1.tag",
]
GLOBS = [
    "net.ipv4.conf.*.tag",
    "net/ipv4/conf/*/tag",
    "net.ipv4.conf.*.forwarding",
    "net.ipv*.conf.default.forwarding",
    "net.ipv4.conf.l[!a]*.{tag,medium_id}",
    "net.ipv4.conf.[a-k]*.tag",
    "net.ipv4.conf.{all,lo}.t?g",
    "net.ipv4.conf.{all,lo}.tag",
    "net.ipv4.conf.k*.tag",
    "net.ipv4.conf.kn[/]1.tag",
    "net.ipv4.*.all.tag",
    "net.*.tag",
    "net.ipv4.conf.\\*.tag",
    "net.ipv4.conf.[[:lower:]]o.tag",
]
UNTOUCHED = "9"
# what the kernel copies to others when it is written: the prediction is of a boot, which finds 0
ALL_IPV6 = "net.ipv6.conf.all.forwarding"
NAMES = ["kn-1.conf", "kn-2.conf", "kn-Z.conf", "kn-a.conf", "kn-a.conf.bak", ".kn-h.conf"]
DIRECTORIES = sysctl_d.DIRECTORIES[:4]
SYSTEMD_SYSCTL = "$(ls /usr/lib/systemd/systemd-sysctl /lib/systemd/systemd-sysctl | head -n 1)"


@dataclass
class Case:
    """Files to write, by path; and links."""

    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def _spellings(key: str) -> st.SearchStrategy[str]:
    path = sysctl_d.path_of(key)
    return st.sampled_from([key, key, path, f"/{path}", path.replace("/", "//", 1)])


_keys = st.one_of(st.sampled_from(KEYS).flatmap(_spellings), st.sampled_from(GLOBS))
_lines = st.one_of(
    st.builds(
        "{}{}{}={}{}".format,
        st.sampled_from(["", "", "", "-", " "]),
        _keys,
        st.sampled_from(["", " ", "\t"]),
        st.sampled_from(["", " ", "\t "]),
        st.sampled_from(["0", "1", "2", "1 ", "2\r", "00", "0x1", "02", "1   # routing", "0 # x"]),
    ),
    st.builds("{}{}".format, st.sampled_from(["-", "-", "- "]), _keys),
    st.sampled_from(["", "# net.ipv4.ip_forward=2", "; net.ipv4.conf.lo.tag=2", " # x=y"]),
    st.sampled_from(["net.ipv4.ip_forward 1", "net.ipv4.conf.lo.tag"]),
)
_texts = st.lists(_lines, max_size=5).map("\n".join)
_paths = st.builds("{}/{}".format, st.sampled_from(DIRECTORIES), st.sampled_from(NAMES))
_links = st.one_of(st.sampled_from(["/dev/null", "/nowhere"]), _paths)
_cases = st.builds(
    Case,
    st.dictionaries(_paths, _texts, min_size=1, max_size=6),
    st.dictionaries(_paths, _links, max_size=2),
)

_CLEAN = " ".join(f"{directory}/kn-* {directory}/.kn-*" for directory in DIRECTORIES)


def _prepare(case: Case) -> str:
    """A script that writes the files and sets every key to a value no file has."""
    commands = [f"rm -f {_CLEAN}", f"mkdir -p {' '.join(DIRECTORIES)}"]
    commands += [
        f"printf %s {shlex.quote(text)} >{path}"
        for path, text in case.files.items()
        if path not in case.links
    ]
    commands += [
        f"ln -s {to} {path}"
        for path, to in case.links.items()
        # a link to a link, or to itself, is nothing anyone has there
        if to not in case.links and to != path
    ]
    commands += ["[ -e /sys/class/net/kn.1 ] || ip link add kn.1 type veth peer name kn.2"]
    commands += [f"echo {_before(key)} >/proc/sys/{sysctl_d.path_of(key)}" for key in KEYS]
    return "\n".join(commands)


def _before(key: str) -> str:
    return "0" if key == ALL_IPV6 else UNTOUCHED


def _fact(target: Target, prepare: str = ":") -> SysctlsShape:
    fact = Sysctls()
    command = fact.command(keys=KEYS, persist_file="/etc/sysctl.d/kn-1.conf")
    return fact.process(target.sh(f"{prepare}\n{command}").split("\n"))


def _boot(target: Target) -> tuple[dict[str, str], list[str]]:
    """What systemd-sysctl makes of the keys, and the files it says it reads."""
    reads = "\n".join(f"echo $(cat /proc/sys/{sysctl_d.path_of(key)})" for key in KEYS)
    output = target.sh(
        # a boot begins with an empty /run
        "rm -f /run/sysctl.d/kn-*\n"
        # what it cannot write (most of /proc/sys is read-only here) makes it exit 1
        f"{SYSTEMD_SYSCTL} >/dev/null 2>&1 || true\n{reads}\n"
        "systemd-analyze cat-config sysctl.d | grep '^# /' || true"
    ).splitlines()
    values = dict(zip(KEYS, output, strict=False))
    return values, [line.removeprefix("# ") for line in output[len(KEYS) :]]


def _check(fact: SysctlsShape, live: dict[str, str]) -> None:
    for key, sysctl in fact["keys"].items():
        if sysctl["boot_state"] == "set":
            assert live[key] == sysctl["boot"], f"{key}: {sysctl}"
        elif sysctl["boot_state"] == "unset":
            assert live[key] == _before(key), f"{key}: {sysctl}"


def test_predicts_what_systemd_sysctl_does(target: Target) -> None:
    @settings(
        max_examples=loops.count(25, 80),
        deadline=None,
        database=None,
        derandomize=True,
        # shrinking a failure would take minutes here; the unit tests shrink
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_cases)
    def predict(case: Case) -> None:
        fact = _fact(target, _prepare(case))
        live, read = _boot(target)
        for sysctl in fact["keys"].values():
            event(sysctl["boot_state"])
        _check(fact, live)
        # systemd-analyze stops at a link that leads nowhere, shows others by where they lead, and
        # leaves out some files that are empty
        if case.links:
            return
        sources = fact["sources"]
        expected = [
            path
            for path in drop_ins.in_force(sources["files"], drop_ins.lasting(sysctl_d.DIRECTORIES))
            if sources["files"][path]
        ]
        assert [path for path in read if path in expected] == expected

    try:
        predict()
    finally:
        target.sh(f"rm -f {_CLEAN}; ip link del kn.1 2>/dev/null || true")


# One rule each, so that a failure says which one does not hold.
@pytest.mark.parametrize(
    ("files", "key", "expected", "naive"),
    [
        pytest.param(
            {
                "/etc/sysctl.d/kn-1.conf": "net.ipv4.conf.lo.tag=1",
                "/etc/sysctl.d/kn-2.conf": "net.ipv4.conf.*.tag=2",
            },
            "net.ipv4.conf.lo.tag",
            "1",
            "2",
            id="a key beats a later glob",
        ),
        pytest.param(
            {
                "/etc/sysctl.d/kn-1.conf": "net.ipv4.conf.lo.tag=1",
                "/usr/lib/sysctl.d/kn-1.conf": "net.ipv4.conf.lo.tag=2",
            },
            "net.ipv4.conf.lo.tag",
            "1",
            "2",
            id="/etc masks /usr/lib",
        ),
        pytest.param(
            {
                "/usr/lib/sysctl.d/kn-2.conf": "net.ipv4.conf.lo.tag=2",
                "/etc/sysctl.d/kn-1.conf": "net.ipv4.conf.lo.tag=1",
            },
            "net.ipv4.conf.lo.tag",
            "2",
            "1",
            id="a later name wins in any directory",
        ),
        pytest.param(
            {
                "/etc/sysctl.d/kn-1.conf": "net.ipv4.conf.all.forwarding=1\nnet.ipv4.ip_forward=0",
                "/etc/sysctl.d/kn-2.conf": "net.ipv4.conf.all.forwarding=1",
            },
            "net.ipv4.ip_forward",
            "0",
            "1",
            id="an equal assignment keeps its place",
        ),
        pytest.param(
            {
                "/etc/sysctl.d/kn-1.conf": "net.ipv4.conf.*.tag=2\n-net.ipv4.conf.lo.tag",
            },
            "net.ipv4.conf.lo.tag",
            UNTOUCHED,
            "2",
            id="an exclusion",
        ),
        pytest.param(
            {
                "/etc/sysctl.d/kn-1.conf": "net.ipv4.ip_forward=1",
                "/etc/sysctl.d/kn-2.conf": "net.ipv4.conf.*.forwarding=2",
            },
            "net.ipv4.ip_forward",
            "2",
            "1",
            id="a glob sets the same variable by its other name",
        ),
        pytest.param(
            {
                "/etc/sysctl.d/kn-1.conf": "net.ipv6.conf.default.forwarding=1",
                "/etc/sysctl.d/kn-2.conf": "net.ipv6.conf.all.forwarding=0",
            },
            "net.ipv6.conf.default.forwarding",
            "1",
            "0",
            id="what is there already is not written",
        ),
        pytest.param(
            {
                "/etc/sysctl.d/kn-1.conf": "net.ipv6.conf.default.forwarding=1",
                "/etc/sysctl.d/kn-2.conf": "net.ipv6.conf.a*.forwarding=0",
            },
            "net.ipv6.conf.default.forwarding",
            "1",
            "0",
            id="nor by a glob",
        ),
        pytest.param(
            {
                "/etc/sysctl.d/kn-1.conf": "net.ipv6.conf.default.forwarding=1",
                "/etc/sysctl.d/kn-2.conf": "net.ipv6.conf.all.forwarding=00",
            },
            "net.ipv6.conf.default.forwarding",
            "0",
            "1",
            id="the same number in other digits is written",
        ),
        pytest.param(
            {"/etc/sysctl.d/kn-1.conf": "net.ipv4.ip_forward = 1   # routing"},
            "net.ipv4.ip_forward",
            "1",
            "1 # routing",
            id="a number ends at white space",
        ),
    ],
)
def test_rule(target: Target, files: dict[str, str], key: str, expected: str, naive: str) -> None:
    try:
        fact = _fact(target, _prepare(Case(files)))
        live, _ = _boot(target)
    finally:
        target.sh(f"rm -f {_CLEAN}; ip link del kn.1 2>/dev/null || true")
    assert live[key] == expected
    assert (fact["keys"][key]["boot"] or UNTOUCHED) == expected
    # the control: the naive reading of the same files is wrong
    assert naive != expected


def test_the_kernel_reads_numbers_as_is_said(target: Target) -> None:
    texts = [
        "1", "1   # routing", "1\t#x", "1 2", " 1", "01", "010", "0x1", "0X1f", "-0", "-1", "+1",
        "08", "1#", "1;", "1,2", "- 1", "0x", "one", "", "0000000000000000000001",
        "00000000000000000001", "1_0",
    ]  # fmt: skip
    path = "/proc/sys/net/ipv4/conf/lo/tag"
    seen = target.sh(
        "".join(
            f"echo {UNTOUCHED} >{path}; printf '%s\\n' {shlex.quote(text)} | tee {path} "
            f">/dev/null 2>&1 || true; cat {path}\n"
            for text in texts
        )
    ).splitlines()
    said = [
        sysctl_value.kernel_value("net/ipv4/conf/lo/tag", text).split()[0]
        if sysctl_value.is_number("net/ipv4/conf/lo/tag", text)
        else UNTOUCHED
        for text in texts
    ]
    assert dict(zip(texts, said, strict=True)) == dict(zip(texts, seen, strict=True))


def test_a_wrong_prediction_is_noticed(target: Target) -> None:
    case = Case({"/etc/sysctl.d/kn-1.conf": "net.ipv4.conf.lo.tag=1"})
    try:
        fact = _fact(target, _prepare(case))
        target.write("/etc/sysctl.d/kn-2.conf", "net.ipv4.conf.lo.tag=2\n")
        live, _ = _boot(target)
    finally:
        target.sh(f"rm -f {_CLEAN}; ip link del kn.1 2>/dev/null || true")
    with pytest.raises(AssertionError, match=r"lo\.tag"):
        _check(fact, live)


def test_the_prediction_holds_at_a_boot(target: Target) -> None:
    try:
        target.write("/etc/sysctl.d/kn-1.conf", "net.ipv4.conf.lo.tag = 5\n")
        target.write("/usr/lib/sysctl.d/kn-2.conf", "net/ipv4/conf/lo/medium_id = 6\n")
        fact = _fact(target)
        target.reboot()
        live = target.sh("cat /proc/sys/net/ipv4/conf/lo/tag /proc/sys/net/ipv4/conf/lo/medium_id")
    finally:
        target.sh(f"rm -f {_CLEAN}")
    assert live.split() == ["5", "6"]
    assert fact["keys"]["net.ipv4.conf.lo.tag"]["boot"] == "5"
    assert fact["keys"]["net.ipv4.conf.lo.medium_id"]["boot"] == "6"


def _set_live(target: Target, values: dict[str, str]) -> tuple[int, str]:
    script = host_lock.under_lock(kernel.set_live(values)).get_raw_value()
    output = target.sh(f"sh -c {shlex.quote(script)} 2>&1; echo $?").splitlines()
    return int(output[-1]), "\n".join(output[:-1])


def test_live_values_are_set_in_order_and_read_back(target: Target) -> None:
    target.sh("echo 0 >/proc/sys/net/ipv4/conf/lo/tag")
    tag, memory = "net.ipv4.conf.lo.tag", "net.ipv4.tcp_rmem"
    before = " ".join(target.read("/proc/sys/net/ipv4/tcp_rmem").split())
    assert _set_live(target, {tag: "7", memory: before}) == (0, "")
    assert target.read("/proc/sys/net/ipv4/conf/lo/tag").strip() == "7"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("net.ipv4.conf.lo.tag", "seven", "cannot set {} to seven: Invalid argument"),
        ("net.ipv4.conf.lo.tag", "0x7", "set {} to 0x7, and the kernel made 7 of it"),
        ("kernel.pid_max", "4000000", "cannot set {} to 4000000: Read-only file system"),
    ],
)
def test_what_the_kernel_refuses_is_named(
    target: Target, key: str, value: str, message: str
) -> None:
    assert _set_live(target, {key: value}) == (1, message.format(key))
