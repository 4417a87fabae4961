"""What unattended-upgrades and needrestart are told, and what is understood of their files."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import left_alone as facts
from kubenode.packages.left_alone import (
    LeftAlone,
    absent,
    apt_file,
    changes,
    files,
    is_spared,
    needrestart_file,
)
from kubenode.packages.source import check_package
from kubenode.wire.reading import ProbeError, Reading

CONTAINERD = LeftAlone("containerd", ["containerd", "containerd.io"], ["containerd.service"])
APT = "/etc/apt/apt.conf.d/52kubenode-containerd.conf"
NEEDRESTART = "/etc/needrestart/conf.d/kubenode-containerd.conf"


def test_both_programs_are_told() -> None:
    assert files(CONTAINERD) == {
        APT: b"// kubenode holds these packages: unattended-upgrades leaves them alone.\n"
        b'Unattended-Upgrade::Package-Blacklist:: "^containerd$";\n'
        b'Unattended-Upgrade::Package-Blacklist:: "^containerd[.]io$";\n',
        NEEDRESTART: b"# kubenode holds what these run: needrestart does not restart them.\n"
        b"$nrconf{override_rc}{qr(^containerd[.]service$)} = 0;\n",
    }


def test_a_package_without_services_has_nothing_to_tell_needrestart() -> None:
    assert list(files(LeftAlone("jq", ["jq"], []))) == ["/etc/apt/apt.conf.d/52kubenode-jq.conf"]


@pytest.mark.parametrize("name", ["containerd.io", "libstdc++6", "docker-ce"])
def test_apt_reads_a_file_of_that_name(name: str) -> None:
    # apt.conf(5): no ending, or "conf"; letters, digits, hyphen, underscore and period
    assert re.fullmatch(r"[A-Za-z0-9_.-]+\.conf", apt_file(name).rpartition("/")[2])


@given(st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,12}", fullmatch=True), st.text("a.+-", max_size=4))
def test_a_pattern_is_of_that_name_alone(name: str, more: str) -> None:
    check_package(name)
    text = files(LeftAlone("x", [name], []))[apt_file("x")].decode()
    pattern = re.findall(r'"(.*)"', text)[0]
    assert re.match(pattern, name)
    assert bool(re.match(pattern, name + more)) is (more == "")
    assert not re.match(pattern, name.replace(".", "x").replace("+", "x")) or not set(".+") & {
        *name
    }


def test_what_is_said_already_is_not_written_again() -> None:
    there = files(CONTAINERD)
    assert changes(CONTAINERD, there) == []
    edited = there | {NEEDRESTART: b""}
    assert [(each.path, each.old) for each in changes(CONTAINERD, edited)] == [(NEEDRESTART, b"")]
    assert [(each.path, each.new) for each in absent("containerd", there)] == [
        (APT, None),
        (NEEDRESTART, None),
    ]
    assert absent("containerd", {}) == []


DEBIANS = """\
$nrconf{override_rc} = {
    # DBus
    qr(^dbus) => 0,
    qr(^docker) => 0,
    # qr(^containerd) => 0,
    qr(^usbguard\\.service$) => 0,
    qr(^(open|free|libre|strong)swan) => 0,
};
"""


@pytest.mark.parametrize(
    ("service", "texts", "spared"),
    [
        ("containerd.service", [], False),
        ("containerd.service", [DEBIANS], False),
        ("docker.service", [DEBIANS], True),
        ("usbguard.service", [DEBIANS], True),
        ("usbguardXservice", [DEBIANS], False),
        ("usbguard.service2", [DEBIANS], False),
        ("containerd.service", [DEBIANS, "$nrconf{override_rc}{qr(^containerd)} = 0;"], True),
        ("containerd.service", ["$nrconf{override_rc}->{qr(^containerd)} = 0;"], True),
        ("containerd.service", ["$nrconf{override_rc}{qr(^containerd(\\.service)?$)} = 0;"], True),
        (
            "containerd2.service",
            ["$nrconf{override_rc}{qr(^containerd(\\.service)?$)} = 0;"],
            False,
        ),
        ("containerd.service", ["#$nrconf{override_rc}{qr(^containerd)} = 0;"], False),
        # somebody wants it restarted, whatever is said behind that
        (
            "containerd.service",
            ["qr(^containerd) => 1,", files(CONTAINERD)[NEEDRESTART].decode()],
            False,
        ),
        # what is no plain name is not understood
        ("containerd.service", ["qr(^container.*) => 0,"], False),
    ],
)
def test_what_needrestart_leaves_alone(service: str, texts: list[str], spared: bool) -> None:
    assert is_spared(service, texts) is spared


def test_what_is_written_is_understood() -> None:
    assert is_spared("containerd.service", [files(CONTAINERD)[NEEDRESTART].decode()])


@given(st.lists(st.text("qr(^a[.]\\)$}={>01; ", max_size=40)))
def test_no_line_of_a_host_raises(texts: list[str]) -> None:
    is_spared("a", texts)


def parse(reading: Reading) -> facts.LeftAloneShape:
    return facts.parse(reading, ["containerd"], ["kubelet", "jq"], ["containerd.service"])


def test_the_fact_tells_services_files_and_what_is_restarted() -> None:
    list_ = ["/usr/lib/systemd/system/kubelet.service"]
    text = files(CONTAINERD)[NEEDRESTART]
    reading = Reading(
        {"apt": "yes", "needrestart": "yes"},
        {"/var/lib/dpkg/info/kubelet:amd64.list": list_},
        exact={NEEDRESTART: text, "/etc/hosts": b""},
    )
    assert parse(reading) == {
        "files": {NEEDRESTART: text.decode()},
        "services": {"kubelet": ["kubelet.service"], "jq": []},
        "apt": True,
        "needrestart": True,
        "restarts": [],
    }
    # the control: without the file
    assert parse(Reading({"needrestart": "yes"}))["restarts"] == ["containerd.service"]


def test_what_cannot_be_read_is_no_absent_file() -> None:
    for path in (needrestart_file("containerd"), "/etc/needrestart/conf.d"):
        with pytest.raises(ProbeError):
            parse(Reading(unreadable=frozenset({path})))
    for path in ("/etc/needrestart/conf.d/site.conf", "/etc/needrestart/needrestart.conf"):
        assert parse(Reading(unreadable=frozenset({path})))["restarts"] is None
