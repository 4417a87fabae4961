"""What single checks say: a recorded good node with one thing changed, and the one finding."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest

from kubenode import release_facts
from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.checks.check import Aim
from kubenode.audit.findings import Finding, judge_host
from kubenode.facts import machine
from kubenode.facts.node import NodeShape
from tests.recorded_node import recorded

TODAY = date(2026, 7, 1)


def findings(facts: NodeShape, **aim: Any) -> dict[str, Finding]:
    """What is not right, by check."""
    report = judge_host("host", facts, Aim(**{"today": TODAY, **aim}), CHECKS)
    return {
        finding.check: finding
        for finding in report.findings
        if finding.state not in ("pass", "not-applicable")
    }


BASE = set(findings(recorded()))


def news(facts: NodeShape, **aim: Any) -> dict[str, str]:
    """State and text of what is not right and was right on the recorded node."""
    return {
        check: f"{finding.state}: {finding.found}"
        for check, finding in findings(facts, **aim).items()
        if check not in BASE
    }


def test_the_recorded_node_is_a_container_without_kubelets_package() -> None:
    assert {
        "cgroup.controllers",
        # recorded before kubenode knew of CNI: containerd looks where Debian's package says
        "runtime.cni-plugins",
        "machine.programs.optional",
    } == BASE


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "forky"])
def test_a_prepared_node_has_no_fail(suite: str) -> None:
    for finding in findings(recorded(f"prepared-{suite}")).values():
        assert finding.state == "warn", finding


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "forky"])
def test_a_fresh_host_needs_forwarding_at_boot_and_a_runtime(suite: str) -> None:
    failed = {
        check
        for check, finding in findings(recorded(f"fresh-{suite}")).items()
        if finding.state == "fail"
    }
    assert failed == {"sysctl.ip-forward.boot", "runtime.installed"}


def test_a_user_without_root_gets_unknown_and_no_wrong_verdict() -> None:
    found = findings(recorded("prepared-trixie-not-root"))
    assert found["platform.root"].state == "warn"
    assert found["runtime.cri-serving"].state == "unknown"
    assert "fail" not in {finding.state for finding in found.values()}


MODULE = {
    "state": "loadable",
    "reason": "",
    "boot": False,
    "requested_by": [],
    "blacklisted_by": [],
}
KUBELET = {"binary": "/usr/bin/kubelet", "version": "1.36.2", "enabled": "enabled"}


def kubelet(**changes: Any) -> dict[str, Any]:
    own: Any = recorded()["kubelet"]
    return {**own, **KUBELET, **changes}


MAX_PODS = {"maxPods": {"value": 50, "file": "/c.yaml", "line": 3}}


PROGRAMS: dict[str, str] = dict.fromkeys(machine.PROGRAMS, "/usr/bin/x")


def grace(period: str) -> dict[str, Any]:
    """A kubelet that ends pods when the machine is shut down."""
    return {"shutdownGracePeriod": {"value": period, "file": "/c.yaml", "line": 9}}


def test_what_kubelet_has_and_will_have_is_shown_with_its_place() -> None:
    then = {"maxPods": {**MAX_PODS["maxPods"], "value": 60, "line": 4}}
    flag = {"podPidsLimit": {"value": 9, "file": "kubelet's command line", "line": None}}
    report = judge_host(
        "host",
        recorded(
            kubelet=kubelet(
                active=True, edited=["/c.yaml"], settings={**then, **flag}, at_next_start=then
            )
        ),
        Aim(today=TODAY),
        CHECKS,
    )
    found = next(each for each in report.findings if each.check == "kubelet.applied")
    assert [str(each) for each in found.evidence] == [
        "kubelet's command line: podPidsLimit: 9",
        "/c.yaml:4: after a restart: maxPods: 60",
    ]
    whole = kubelet(active=True, edited=[], settings=then, at_next_start=then)
    report = judge_host("host", recorded(kubelet=whole), Aim(today=TODAY), CHECKS)
    found = next(each for each in report.findings if each.check == "kubelet.applied")
    assert (found.state, [str(each) for each in found.evidence]) == (
        "pass",
        ["/c.yaml:4: maxPods: 60"],
    )


def test_a_shutdown_that_waits_long_enough_is_good() -> None:
    boot = {"seconds": 60.0, "file": "/f", "line": 2, "text": "InhibitDelayMaxSec=60"}
    facts = recorded(
        kubelet=kubelet(at_next_start=grace("1m")), logind__live=60.0, logind__boot=boot
    )
    assert "kubelet.shutdown-grace" not in findings(facts)


def modules(**changes: Any) -> dict[str, Any]:
    own: Any = recorded()["modules"]
    return {**own["modules"], **{name: {**MODULE, **value} for name, value in changes.items()}}


def component(driver: str) -> dict[str, Any]:
    return {"driver": driver, "stated": True, "file": "/f", "line": 3, "reason": "stated"}


def registries(
    exists: bool | None = True,
    error: str | None = None,
    open_to_others: list[str] | None = None,
    **problem: str,
) -> dict[str, Any]:
    """A directory with docker.io's hosts.toml."""
    problems = [{"line": 2, **problem}] if problem else []
    file = {"problems": problems, "has_header": None if error else False, "error": error}
    why = "it cannot be read" if exists is None else None
    return {
        "directories": {"/certs": {"exists": exists, "registries": ["docker.io"], "error": why}},
        "files": {"/certs/docker.io/hosts.toml": file} if exists else {},
        "open_to_others": open_to_others or [],
    }


def on(kind: str | None, *options: str) -> dict[str, Any]:
    """Containerd's directory on a file system of this kind."""
    system = {"kind": kind, "mount": "/data", "size_kib": 9, "free_kib": 9, "options": options}
    return {"/var/lib/containerd": {**system, "free_inodes_percent": None}}


@pytest.mark.parametrize(
    ("changes", "finding", "text"),
    [
        ({"platform__kernel": "FreeBSD"}, "platform.linux", "fail: its kernel is FreeBSD"),
        ({"platform__package_manager": None}, "platform.package-manager", "warn: it has no known"),
        (
            {"cgroups__systemd": {"running": False, "version": None}, "cgroups__init": "init"},
            "platform.systemd",
            "fail: PID 1 is init",
        ),
        (
            {"modules__modules": modules(overlay={"boot": True})},
            "module.overlay.live",
            "fail: overlay loadable at boot only",
        ),
        (
            {"modules__modules": modules(overlay={"state": "loaded"})},
            "module.overlay.boot",
            "fail: overlay loaded, lost at reboot",
        ),
        (
            {"modules__modules": modules(br_netfilter={"boot": True})},
            "module.br-netfilter.live",
            "fail: br_netfilter loadable",
        ),
        (
            {"modules__kernels_on_disk": ["6.1.0-42"]},
            "module.kernel-on-disk",
            "warn: runs 6.18",
        ),
        ({"swap__live": [{"device": "/s", "kind": "file", "size_kib": 2048}]}, "swap.live", "/s"),
        ({"swap__live": None}, "swap.live", "unknown: /proc/swaps"),
        ({"swap__boot": None, "swap__unreadable": ["/etc/fstab"]}, "swap.boot", "/etc/fstab"),
        ({"swap__boot": None, "swap__undecided": ["x may"]}, "swap.boot", "unknown: x may"),
        ({"cgroups__mode": "v1"}, "cgroup.version", "warn: it runs cgroup v1"),
        (
            {
                "cgroup_drivers__components": {
                    "containerd/runc": component("cgroupfs"),
                    "kubelet": component("cgroupfs"),
                }
            },
            "cgroup-driver.wanted",
            "fail: cgroupfs",
        ),
        (
            {
                "cgroup_drivers__components": {
                    "containerd/runc": component("cgroupfs"),
                    "kubelet": component("systemd"),
                },
                "cgroup_drivers__counted": ["containerd/runc", "kubelet"],
            },
            "cgroup-driver.agreement",
            "fail: containerd/runc cgroupfs, kubelet systemd",
        ),
        (
            {
                "container_cgroups": {
                    "containers": 2,
                    "misplaced": ["/system.slice/kubepods-pod1.slice:cri-containerd:1"],
                    "misplaced_count": 1,
                    "systemd": 1,
                    "cgroupfs": 0,
                }
            },
            "cgroup-driver.placement",
            "fail: 1 of 2 containers",
        ),
        ({"containerd__config__version": 3}, "containerd.config-version", "takes at most 2"),
        (
            {"containerd__imports": [{"path": "/d.toml", "version": 3, "error": None}]},
            "containerd.drop-in-version",
            "fail: /d.toml is version 3",
        ),
        (
            {"containerd__imports": [{"path": "/d.toml", "version": 1, "error": None}]},
            "containerd.drop-in-version",
            "ignores the CRI settings of both",
        ),
        ({"containerd__config__error": "/c:1:2: bad"}, "runtime.config-readable", "/c:1:2: bad"),
        ({"containerd__disabled_plugins": ["cri"]}, "containerd.cri-enabled", "cri"),
        ({"containerd__cri": "disabled"}, "runtime.cri-serving", "failed to start"),
        (
            {"containerd__default_handler": "nvidia", "containerd__cri": "disabled"},
            "containerd.default-handler",
            "fail: nvidia, and no file defines it: there are runc",
        ),
        (
            {"containerd__registry_conflict": "/c:2:1: x and y", "containerd__cri": "disabled"},
            "containerd.registry",
            "fail: /c:2:1: x and y",
        ),
        (
            {
                "containerd__registry_config_path": "/certs",
                "containerd__registry_hosts": registries(problem="is no key", effect="unused"),
            },
            "containerd.registry-hosts",
            "fail: not as it is meant: /certs/docker.io/hosts.toml",
        ),
        (
            {
                "containerd__registry_config_path": "/certs",
                "containerd__registry_hosts": registries(error="it is too long"),
            },
            "containerd.registry-hosts",
            "unknown: not read: /certs/docker.io/hosts.toml",
        ),
        (
            {
                "containerd__registry_config_path": "/certs",
                "containerd__registry_hosts": registries(open_to_others=["/certs/x.key"]),
            },
            "containerd.registry-secrets",
            "warn: not for root alone: /certs/x.key",
        ),
        (
            {
                "containerd__registry_config_path": "/certs",
                "containerd__registry_hosts": registries(exists=False),
            },
            "containerd.registry-directory",
            "warn: /certs does not exist",
        ),
        (
            {
                "containerd__registry_config_path": "/certs",
                "containerd__registry_hosts": registries(exists=None),
            },
            "containerd.registry-directory",
            "unknown: /certs it cannot be read",
        ),
        ({"containerd__cri": "unknown"}, "runtime.cri-serving", "unknown: "),
        (
            {"containerd__left_by_packages": ["/c.rpmsave"]},
            "runtime.config-merged",
            "warn: a package left /c.rpmsave",
        ),
        ({"containerd__left_by_packages": None}, "runtime.config-merged", "unknown: "),
        (
            {"containerd__deprecations": [{"id": "cgroup-v1", "message": "it goes"}]},
            "containerd.deprecations",
            "warn: it goes",
        ),
        (
            {"containerd__deprecations": None},
            "containerd.deprecations",
            "unknown: containerd does not tell",
        ),
        ({"containerd__restart_pending": ["/c"]}, "runtime.config-applied", "/c"),
        (
            {"containerd__program_replaced": True, "containerd__running_version": "1.7.20"},
            "runtime.config-applied",
            "containerd 1.7.20 runs, and 1.7.24 is at /usr/bin/containerd",
        ),
        (
            {"containerd__restart_pending": None, "containerd__clock_set_back": ["/c"]},
            "runtime.config-applied",
            "unknown: the clock was set back: the last change of /c",
        ),
        ({"containerd_unproven": ["/c"]}, "runtime.config-applied", "interrupted"),
        (
            {"left_alone__needrestart": True},
            "runtime.left-alone",
            "warn: nothing tells needrestart to leave containerd.service alone",
        ),
        (
            {"left_alone__needrestart": True, "left_alone__restarts": None},
            "runtime.left-alone",
            "unknown: needrestart's files cannot be read",
        ),
        ({"containerd__unit": None}, "runtime.enabled", "no containerd.service"),
        ({"containerd__pause_image": "k8s.gcr.io/pause:3.6"}, "runtime.pause-image", "frozen"),
        ({"containerd__unit__limit_nofile": "1024"}, "runtime.nofile", "warn: LimitNOFILE=1024"),
        ({"crictl__exists": None}, "crictl.config", "unknown: "),
        ({"crictl__error": "not a mapping"}, "crictl.config", "warn: not a mapping"),
        ({"crictl__runtime_endpoint": None}, "crictl.config", "no runtime-endpoint"),
        (
            {"kubelet": kubelet(runtime_endpoint="unix:///var/run/dockershim.sock")},
            "kubelet.runtime-endpoint",
            "dockershim",
        ),
        (
            {"kubelet": kubelet(version="1.32.4"), "machine__programs": PROGRAMS},
            "kubernetes.supported",
            "ended before 1.33's",
        ),
        ({"kubelet": kubelet(version="1.33.4")}, "kubernetes.supported", "ended on 2026-06-28"),
        ({"kubelet": kubelet(enabled="disabled")}, "kubelet.enabled", "warn: kubelet.service is"),
        ({"kubelet": kubelet(error="/f: bad")}, "kubelet.config-readable", "fail: /f: bad"),
        ({"kubelet": kubelet(error="cannot read /f")}, "kubelet.config-readable", "unknown: "),
        (
            {"kubelet": kubelet(active=True, edited=["/c.yaml"], settings=MAX_PODS)},
            "kubelet.applied",
            "warn: /c.yaml was changed since",
        ),
        (
            {"kubelet": kubelet(active=True, other_flags=["max-pods"], replaced=True)},
            "kubelet.applied",
            "its program was replaced; --max-pods is another at its next start",
        ),
        ({"kubelet": kubelet(active=True, edited=None)}, "kubelet.applied", "unknown: "),
        (
            {"kubelet": kubelet(at_next_start=grace("60s"))},
            "kubelet.shutdown-grace",
            "warn: a shutdown waits 5 s, from the next boot on 5 s of 60 s",
        ),
        (
            {"kubelet": kubelet(at_next_start=grace("60s")), "logind__live": 60.0},
            "kubelet.shutdown-grace",
            "warn: from the next boot on 5 s of 60 s",
        ),
        (
            {"kubelet": kubelet(at_next_start=grace("5s")), "logind__live": None},
            "kubelet.shutdown-grace",
            "unknown: ",
        ),
        (
            {"kubelet": kubelet(at_next_start=grace("5s")), "logind__runs": False},
            "kubelet.shutdown-grace",
            "warn: systemd-logind.service does not run",
        ),
        (
            {
                "kubelet": kubelet(at_next_start=grace("5s")),
                "logind__boot": None,
                "logind__unreadable": ["/etc/systemd/logind.conf"],
            },
            "kubelet.shutdown-grace",
            "unknown: cannot read /etc/systemd/logind.conf",
        ),
        ({"machine__kernel": "5.14.0-503.el9.x86_64"}, "kernel.version", "warn: Linux 5.14.0-503"),
        ({"machine__kernel": "4.18.0-553.el8"}, "kernel.version", "fail: Linux 4.18.0"),
        (
            {"kernel_config": {"file": None, "options": {}}},
            "kernel.config.required",
            "unknown: no kernel configuration",
        ),
        (
            {
                "machine__file_systems": {
                    "/": {
                        "kind": "ext4",
                        "mount": "/",
                        "size_kib": 1000,
                        "free_kib": 149,
                        "free_inodes_percent": 50,
                        "options": [],
                    }
                }
            },
            "machine.disk",
            "warn: / 14 % free",
        ),
        (
            {"machine__file_systems": on("ext4", "noexec")},
            "machine.mount-options",
            "fail: /var/lib/containerd is on /data, which is mounted noexec",
        ),
        (
            {"machine__file_systems": on("overlay")},
            "machine.file-system",
            "fail: /var/lib/containerd is on /data (overlay)",
        ),
        ({"machine__programs__umount": None}, "machine.programs.required", "missing: umount"),
        ({"machine__apparmor": True}, "machine.security-modules", "no apparmor_parser"),
        ({"machine__reboot_required": True}, "machine.reboot-required", "warn: an upgrade"),
        ({"network__hostname": "Bad_Name"}, "network.hostname", "fail: Bad_Name"),
        ({"network__hostname": "-a"}, "network.hostname", "fail: -a"),
        ({"network__hostname_addresses": []}, "network.hostname", "does not resolve"),
        ({"network__hostname_addresses": None}, "network.hostname", "unknown: "),
        ({"network__localhost_addresses": ["10.0.0.1"]}, "network.localhost", "fail: resolves to"),
        ({"network__default_route": False}, "network.default-route", "warn: "),
        (
            {"network__listeners": [{"port": 10250, "address": "::", "uid": 33}]},
            "network.port-10250",
            "fail: port 10250 is taken",
        ),
    ],
)
def test_one_change_gives_one_finding(changes: dict[str, Any], finding: str, text: str) -> None:
    found = news(recorded(**changes))
    if finding == "machine.disk":
        # nothing is known of the directory that these are about
        assert found.pop("machine.inodes").startswith("unknown: ")
        assert found.pop("machine.mount-options").startswith("unknown: ")
        assert found.pop("machine.file-system").startswith("unknown: ")
    found.pop("kubernetes.containerd", None) if "kubelet" in changes else None
    if finding == "kernel.config.required":
        found.pop("kernel.config.optional")
    assert list(found) == [finding]
    assert text in found[finding]


def network(directories: list[str], *plugins: str, **changes: Any) -> NodeShape:
    found = {"/usr/lib/cni": ["bridge", "loopback"], "/opt/cni/bin": ["calico", "loopback"]}
    config = "/etc/cni/net.d/10.conflist" if plugins else None
    own: Any = recorded()["containerd"]
    return recorded(
        containerd__cni={
            **own["cni"], "bin_dirs": directories, "config": config, "plugins": list(plugins),
            "found": found, **changes,
        }
    )  # fmt: skip


UP, DEB = "/opt/cni/bin", "/usr/lib/cni"


@pytest.mark.parametrize(
    ("facts", "state", "text"),
    [
        (network([UP]), "pass", ""),
        (network([DEB]), "warn", "most CNIs install into /opt/cni/bin"),
        (network([DEB, UP]), "pass", ""),
        (network([DEB], "bridge", "loopback"), "pass", ""),
        (network([UP, DEB], "bridge", "calico"), "pass", ""),
        (network([DEB], "calico"), "fail", "names calico, not found: containerd looks in /usr/"),
        (network([UP, DEB], "cilium-cni"), "fail", "names cilium-cni, not found"),
        (network([DEB], error="/f is not JSON"), "fail", "/f is not JSON"),
        (network([DEB], error="/f: cannot be read"), "unknown", "/f: cannot be read"),
    ],
)
def test_a_network_and_its_plugins(facts: NodeShape, state: str, text: str) -> None:
    found = findings(facts).get("runtime.cni-plugins")
    assert (found.state if found else "pass") == state
    assert text in (found.found if found else "")


def test_where_a_plugin_is_instead_is_evidence() -> None:
    found = findings(network([DEB], "calico"))["runtime.cni-plugins"]
    assert [str(evidence) for evidence in found.evidence] == ["/opt/cni/bin: has calico"]


def sysctl(key: str, **changes: Any) -> NodeShape:
    facts = recorded()
    assert facts["sysctls"]
    keys: Any = facts["sysctls"]["keys"]
    keys[key] = {**keys[key], **changes}
    return facts


IP_FORWARD = "net.ipv4.ip_forward"
BRIDGE = "net.bridge.bridge-nf-call-iptables"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            sysctl(IP_FORWARD, live="0"),
            {
                "sysctl.ip-forward.live": "fail: net.ipv4.ip_forward = 0, set at boot, not live: "
                "reboot or apply"
            },
        ),
        (sysctl(IP_FORWARD, live=None, live_state="unreadable"), {"sysctl.ip-forward.live"}),
        (
            sysctl(IP_FORWARD, boot=None, boot_state="unset", winner=None),
            {"sysctl.ip-forward.boot"},
        ),
        (
            sysctl(IP_FORWARD, boot=None, boot_state="unknown", winner=None),
            {"sysctl.ip-forward.boot"},
        ),
        (sysctl(BRIDGE, boot=None, boot_state="unset", winner=None), set()),
        (sysctl(BRIDGE, live="0"), {"sysctl.bridge-nf-call-iptables.live"}),
    ],
)
def test_live_and_boot_are_apart(facts: NodeShape, expected: Any) -> None:
    found = news(facts)
    assert set(found) == set(expected)
    if isinstance(expected, dict):
        assert found == expected


def test_bridge_sysctls_wait_for_their_module() -> None:
    facts = sysctl(BRIDGE, live=None, live_state="absent")
    assert facts["modules"]
    facts["modules"]["modules"]["br_netfilter"]["state"] = "loadable"
    assert set(news(facts)) == {"module.br-netfilter.live"}


def test_profiles_decide_which_checks_apply() -> None:
    assert news(recorded(), profiles=frozenset()) == {}
    assert set(news(recorded(), profiles=frozenset({"ipvs"}))) == {
        "module.ipvs.live",
        "module.ipvs.boot",
    }
    small = recorded(machine__cpus=1, machine__memory_kib=1024 * 1024)
    assert news(small) == {}
    control_plane = set(news(small, profiles=frozenset({"control-plane"})))
    assert control_plane == {"machine.cpus", "machine.memory"}


def test_a_module_that_the_kernel_lacks_is_one_finding_and_no_operation_fixes_it() -> None:
    facts = recorded(modules__modules=modules(nf_tables={"state": "absent", "reason": "not there"}))
    found = findings(facts, profiles=frozenset({"nftables"}))
    assert {check for check in found if check.startswith("module.")} == {"module.nf-tables.live"}
    remedy = found["module.nf-tables.live"].remedy
    assert remedy
    assert "use a kernel that has it" in remedy
    assert "kernel.modules" not in remedy


def test_settings_have_checks_of_their_own_unless_another_is_about_them() -> None:
    wanted = {IP_FORWARD: "1", "vm.overcommit_memory": "9"}
    assert set(news(recorded(), sysctls=wanted)) == {
        "sysctl.settings.live",
        "sysctl.settings.boot",
    }


def test_a_kubelet_that_may_run_with_swap() -> None:
    swap = [{"device": "/s", "kind": "file", "size_kib": 2048}]
    facts = recorded(swap__live=swap, kubelet=kubelet(fail_swap_on=False))
    assert "swap.live" not in news(facts)


def test_a_running_kubelet_has_its_own_port() -> None:
    taken = [{"port": 10250, "address": "::", "uid": 0}]
    facts = recorded(network__listeners=taken, kubelet=kubelet(active=True))
    assert "network.port-10250" not in news(facts)


def test_a_kubelet_that_nobody_configured_yet_has_no_driver() -> None:
    default = {**component("cgroupfs"), "stated": False, "file": None, "line": None}
    components = {"containerd/runc": component("systemd"), "kubelet": default}
    for changes, found in (
        ({"config": None, "active": False}, set()),
        ({"config": None, "active": True}, {"cgroup-driver.agreement"}),
        ({"config": "/var/lib/kubelet/config.yaml"}, {"cgroup-driver.agreement"}),
    ):
        facts = recorded(
            cgroup_drivers__components=components,
            cgroup_drivers__counted=list(components),
            kubelet=kubelet(version=None, **changes),
        )
        assert set(news(facts)) == found


def test_drivers_that_follow_from_another_finding_are_not_one() -> None:
    lost = recorded(
        containerd__imports=[{"path": "/d.toml", "version": 1, "error": None}],
        cgroup_drivers__components={"containerd/runc": component("cgroupfs")},
    )
    assert set(news(lost)) == {"containerd.drop-in-version"}

    # what is wrong without containerd too is a finding
    components = {"containerd/runc": component("cgroupfs"), "kubelet": component("cgroupfs")}
    both = recorded(
        containerd__imports=[{"path": "/d.toml", "version": 1, "error": None}],
        cgroup_drivers__components=components,
        cgroup_drivers__counted=list(components),
        kubelet=kubelet(version=None, config="/var/lib/kubelet/config.yaml"),
    )
    assert set(news(both)) == {"containerd.drop-in-version", "cgroup-driver.wanted"}

    unknown = {**component("systemd"), "driver": None}
    components = {"containerd/runc": component("systemd"), "kubelet": unknown}
    facts = recorded(
        cgroup_drivers__components=components,
        cgroup_drivers__counted=list(components),
        kubelet=kubelet(error="/f: bad", version=None),
    )
    assert set(news(facts)) == {"kubelet.config-readable"}


def test_cri_o_in_place_of_containerd() -> None:
    facts = recorded(
        "fresh-trixie", kubelet=kubelet(runtime_endpoint="unix:///var/run/crio/crio.sock")
    )
    assert not [check for check in findings(facts) if check.startswith(("containerd", "crictl"))]


@pytest.mark.parametrize(
    ("case", "release", "good"),
    [
        ("prepared-bookworm", (1, 34), False),
        ("prepared-bookworm", (1, 33), False),
        ("prepared-trixie", (1, 35), False),
        ("prepared-forky", (1, 35), True),
        ("prepared-forky", (1, 36), False),
    ],
)
def test_readiness_for_a_release(case: str, release: tuple[int, int], good: bool) -> None:
    assert ("kubernetes.containerd" not in findings(recorded(case), kubernetes=release)) == good


def test_tables_of_releases_are_good_for_half_a_year() -> None:
    last = release_facts.GOOD_UNTIL
    assert "kubernetes.facts-current" not in news(recorded(), today=last)
    found = news(recorded(), today=last + timedelta(days=1))["kubernetes.facts-current"]
    assert found == f"warn: they are from {release_facts.AS_OF}, and good until {last}"


def test_a_release_newer_than_the_table_is_said_to_be() -> None:
    assert "kubernetes.release-known" in news(recorded(), kubernetes=(1, 99))


def test_an_unknown_file_system_is_not_a_good_one() -> None:
    found = news(recorded(machine__file_systems=on(None)))
    assert set(found) == {"machine.mount-options", "machine.file-system"}
    assert all(text.startswith("unknown: ") for text in found.values())


def test_another_snapshotter_needs_no_overlay() -> None:
    facts = recorded(machine__file_systems=on("nfs4"), containerd__snapshotter="native")
    assert news(facts) == {}


@pytest.mark.parametrize(
    ("program", "asked_for"),
    [
        ("mount", {(1, 30), (1, 31), (1, 32), (1, 33), (1, 36), (1, 37), None}),
        ("losetup", {(1, 33), (1, 36), (1, 37), None}),
        ("cp", {(1, 33), (1, 36), (1, 37), None}),
        ("iptables", {(1, 30), (1, 31), (1, 32)}),
        ("ip", {(1, 30), (1, 31), (1, 32)}),
        ("nsenter", {(1, 30), (1, 31), (1, 32)}),
        ("conntrack", {(1, 30), (1, 31)}),
        ("crictl", {(1, 30)}),
    ],
)
def test_programs_that_kubeadm_of_a_release_says_error_without(
    program: str, asked_for: set[Any]
) -> None:
    """After addExecChecks of kubeadm's preflight/checks_linux.go, release by release."""
    own: Any = recorded()["machine"]
    everything = dict.fromkeys(own["programs"], "/usr/bin/it")
    facts = recorded(machine__programs={**everything, program: None})
    for release in ((1, 30), (1, 31), (1, 32), (1, 33), (1, 36), (1, 37), None):
        found = findings(facts, kubernetes=release).get("machine.programs.required")
        assert (found is not None) == (release in asked_for), release
        if found:
            assert (found.state, found.found) == ("fail", f"missing: {program}")


@pytest.mark.parametrize(
    ("version", "release", "is_right"),
    [
        ("1.36.2", (1, 36), True),
        ("1.33.9", (1, 36), True),
        ("1.32.9", (1, 36), False),
        ("1.37.0", (1, 36), False),
        ("1.36.2", None, True),
        (None, None, True),
    ],
)
def test_the_kubelet_of_a_cluster(version: str | None, release: Any, is_right: bool) -> None:
    facts = recorded(kubelet=kubelet(version=version))
    found = findings(facts, kubernetes=release).get("kubernetes.kubelet")
    assert (found is None) == is_right
    if found:
        assert found.state == "fail"
        assert found.expected == "kubelet 1.33 to 1.36"


def test_a_kubelet_that_does_not_say_its_release_is_not_a_right_one() -> None:
    facts = recorded(kubelet=kubelet(version=None))
    assert findings(facts, kubernetes=(1, 36))["kubernetes.kubelet"].state == "unknown"


def key(expires: str | None, error: str | None = None) -> dict[str, Any]:
    shape = {"fingerprint": "0" * 40, "expires": expires, "error": error}
    return {"kubernetes_keys__keys": {"/etc/apt/keyrings/kubernetes.asc": shape}}


@pytest.mark.parametrize(
    ("days", "state"), [(-1, "warn"), (0, "warn"), (59, "warn"), (60, None), (400, None)]
)
def test_the_key_of_kubernetes_repository(days: int, state: str | None) -> None:
    expires = (TODAY + timedelta(days=days)).isoformat()
    found = findings(recorded(**key(expires))).get("kubernetes.repository-key")
    assert (found.state if found else None) == state
    if found:
        assert f"expire{'d' if days < 0 else 's'} on {expires}" in found.found


def test_a_key_that_nobody_can_read_is_not_a_good_one() -> None:
    assert "kubernetes.repository-key" not in findings(recorded(**key(None)))
    found = findings(recorded(**key(None, "it is no key")))["kubernetes.repository-key"]
    assert found.state == "unknown"


def left(*paths: str, etcd: str | None = "missing") -> dict[str, Any]:
    """Facts of a host on which these files of kubeadm's are."""
    known: Any = recorded()["kubeadm"]
    files = {path: path in paths for path in known["files"]}
    assert set(paths) <= set(files)
    return {"kubeadm__files": files, "kubeadm__etcd_data": etcd}


CONF, CA = "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/pki/ca.crt"
APISERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"
WORKER, CONTROL_PLANE = frozenset[Any](), frozenset({"control-plane"})


@pytest.mark.parametrize(
    ("changes", "profiles", "expected"),
    [
        (left(CONF), WORKER, {"kubeadm.kubeconfig": "fail"}),
        (left("/etc/kubernetes/bootstrap-kubelet.conf"), WORKER, {"kubeadm.kubeconfig": "fail"}),
        (left(CA), WORKER, {"kubeadm.ca": "fail"}),
        (left(CA), CONTROL_PLANE, {}),
        (left(APISERVER), WORKER, {"kubeadm.manifests": "warn"}),
        (left(APISERVER), CONTROL_PLANE, {"kubeadm.manifests": "fail"}),
        (left(etcd="used"), CONTROL_PLANE, {"kubeadm.etcd-data": "fail"}),
        (left(etcd="used"), WORKER, {}),
        (left(etcd="empty"), CONTROL_PLANE, {}),
        (left(etcd=None), CONTROL_PLANE, {"kubeadm.etcd-data": "unknown"}),
        (
            {"kubeadm__files": dict.fromkeys(left()["kubeadm__files"])},
            WORKER,
            {"kubeadm.kubeconfig": "unknown", "kubeadm.ca": "unknown",
             "kubeadm.manifests": "unknown"},
        ),
    ],
)  # fmt: skip
def test_what_an_earlier_cluster_left(
    changes: dict[str, Any], profiles: Any, expected: dict[str, str]
) -> None:
    found = findings(recorded(**changes), profiles=profiles)
    assert {name: found[name].state for name in found if name.startswith("kubeadm.")} == expected


@pytest.mark.parametrize("active", [True, False])
def test_a_node_that_has_joined_has_all_of_it(active: bool) -> None:
    """Also while its kubelet is down: that is when somebody looks."""
    facts = recorded(
        **left(CONF, CA, APISERVER, etcd="used"),
        kubelet=kubelet(active=active, config="/var/lib/kubelet/config.yaml"),
    )
    for profiles in (WORKER, CONTROL_PLANE):
        found = findings(facts, profiles=profiles)
        assert not [name for name in found if name.startswith("kubeadm.")]


def test_a_kubelet_that_waits_to_be_configured_has_not_joined() -> None:
    # its service starts it again every ten seconds
    facts = recorded(**left(CA), kubelet=kubelet(active=True, config=None))
    assert findings(facts)["kubeadm.ca"].state == "fail"


def test_an_etcd_that_runs_may_have_data() -> None:
    listeners = [{"port": 2379, "address": "127.0.0.1", "uid": 0}]
    facts = recorded(**left(etcd="used"), network__listeners=listeners)
    assert "kubeadm.etcd-data" not in findings(facts, profiles=CONTROL_PLANE)


@pytest.mark.parametrize(
    ("release", "stated", "text"),
    [
        (None, None, "warn: it runs cgroup v1, which kubelet 1.35 and later refuse"),
        ((1, 34), None, "warn: it runs cgroup v1, which kubelet 1.35 and later refuse"),
        ((1, 35), None, "fail: it runs cgroup v1 and Kubernetes 1.35 needs v2"),
        ((1, 36), True, "fail: it runs cgroup v1 and Kubernetes 1.36 needs v2"),
        ((1, 36), False, "warn: it runs cgroup v1: Kubernetes 1.36 needs v2, and kubelet's"),
    ],
)
def test_cgroup_v1_and_the_release(release: Any, stated: bool | None, text: str) -> None:
    facts = recorded(cgroups__mode="v1", kubelet=kubelet(fail_cgroup_v1=stated, version=None))
    assert news(facts, kubernetes=release)["cgroup.version"].startswith(text)


def test_a_kernel_without_modprobe() -> None:
    facts = recorded(
        modules__kernels_on_disk=[recorded()["machine"]["kernel"]],  # type: ignore[index]
        machine__programs__modprobe=None,
    )
    assert news(facts) == {"module.modprobe": "warn: there is no modprobe"}


def test_kernels_that_are_too_old_for_something() -> None:
    old = recorded(machine__kernel="5.4.0-200-generic")
    assert news(old) == {}
    assert "kernel.nftables" in news(old, profiles=frozenset({"nftables"}))
    assert "kubernetes.kernel" not in news(old, kubernetes=(1, 34))
    assert "kubernetes.kernel" in news(old, kubernetes=(1, 35))


def test_end_of_life_follows_the_calendar() -> None:
    assert "runtime.supported" in news(recorded(), today=date(2026, 10, 1))


def test_recorded_facts_are_copies() -> None:
    before = deepcopy(recorded())
    recorded(swap__boot=None)
    assert recorded() == before


@pytest.mark.parametrize(
    ("today", "found"),
    [
        (date(2026, 9, 30), "1.7.24; upstream supports 1.7 (LTS) until 2026-09-30"),
        (date(2026, 10, 1), "1.7.24; upstream's support of 1.7 (LTS) ended on 2026-09-30"),
    ],
)
def test_an_end_of_support_that_is_past_is_told_so(today: date, found: str) -> None:
    report = judge_host("h", recorded("prepared-trixie"), Aim(today=today), CHECKS)
    (finding,) = [one for one in report.findings if one.check == "runtime.supported"]
    assert finding.found == found


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(2027, 4, 29), None),
        (date(2027, 4, 30), "warn: kubelet 1.36.2; upstream's support of 1.36 ends on 2027-06-28"),
        (date(2027, 6, 29), "warn: kubelet 1.36.2; upstream's support of 1.36 ended on 2027-06-28"),
    ],
)
def test_the_end_of_a_minor_release_is_said_60_days_before(day: date, said: str | None) -> None:
    facts = recorded(kubelet=kubelet())
    assert news(facts, today=day).get("kubernetes.supported") == said


@pytest.mark.parametrize(("day", "is_said"), [(date(2026, 8, 1), False), (date(2026, 8, 3), True)])
def test_the_end_of_the_runtimes_series_is_said_60_days_before(day: date, is_said: bool) -> None:
    found = news(recorded(), today=day)
    assert ("2026-09-30" in found.get("runtime.supported", "")) is is_said
