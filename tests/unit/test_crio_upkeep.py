"""What keeps CRI-O running, which one a node gets, and what the audit makes of it."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.checks.check import Aim
from kubenode.audit.findings import judge_host
from kubenode.linux.unit import Unit
from kubenode.packages.archive import Archive, ArchiveFile
from kubenode.runtimes.crio import archive
from kubenode.runtimes.crio.source import RepositoryOfMinors, source_of
from kubenode.runtimes.crio.state import State
from kubenode.runtimes.crio.upkeep import upkeep
from kubenode.runtimes.crio.version_choice import Asked, check_version
from tests.recorded_node import changed, recorded

RUNS = Unit("loaded", "active", "enabled", False, ("multi-user.target",))
IDLE = State(RUNS, "serving", "systemd", {"systemd": 0, "cgroupfs": 0}, (), ())
PODS = State(RUNS, "serving", "systemd", {"systemd": 2, "cgroupfs": 0}, ("/f",), ())


def test_one_that_serves_needs_nothing() -> None:
    assert not upkeep(IDLE, None, "systemd").steps


@pytest.mark.parametrize(
    ("unit", "command"),
    [
        (Unit("loaded", "inactive", "enabled", False, ("multi-user.target",)), "systemctl start"),
        (Unit("loaded", "active", "disabled", False, ()), "systemctl enable crio.service"),
        (
            Unit("loaded", "active", "enabled", True, ("multi-user.target",)),
            "systemctl daemon-reload",
        ),
    ],
)
def test_what_is_missing_is_done(unit: Unit, command: str) -> None:
    state = State(unit, "serving", "systemd", IDLE.pods, (), ())
    assert any(step.startswith(command) for step in upkeep(state, None, "systemd").steps)


def test_what_is_not_in_force_is_reloaded_or_restarted() -> None:
    reload = State(RUNS, "serving", "systemd", IDLE.pods, (), ("/f",))
    assert upkeep(reload, None, "systemd").steps == ("systemctl reload crio.service",)
    assert upkeep(PODS, None, "systemd").steps == ("systemctl restart crio.service",)
    assert not upkeep(PODS, None, "systemd", restart="if-idle").steps
    assert "never" in str(upkeep(PODS, None, "systemd", restart="never").postponed)


def test_a_driver_that_was_edited_does_not_change_under_pods() -> None:
    assert "2 containers of pods run" in str(upkeep(PODS, None, "cgroupfs").blocked)
    assert upkeep(PODS, None, "cgroupfs", change_driver_under_pods=True).steps


def test_files_that_cannot_be_used_block() -> None:
    assert upkeep(IDLE, "/f:1:1: no", None).blocked == "/f:1:1: no"


@pytest.mark.parametrize(
    ("asked", "release", "package", "stays"),
    [
        (Asked(None, None), "1.30.1", "1.30.1-1.1", True),
        (Asked(None, (1, 36)), "1.36.3", "1.36.3-1.1", True),
        (Asked(None, (1, 36)), "1.34.0", "1.34.0-1.1", True),
        (Asked(None, (1, 36)), "1.33.0", "1.33.0-1.1", False),
        (Asked("1.36", None), "1.36.3", "1.36.3-1.1", True),
        (Asked("1.36.4", None), "1.36.3", "1.36.3-1.1", False),
        (Asked("1.36.3-1.1", (1, 37)), "1.36.3", "1.36.3-1.1", True),
    ],
)
def test_which_one_may_stay(asked: Asked, release: str, package: str, stays: bool) -> None:
    assert asked.is_met_by(Version(release), package) == stays


def test_the_minor_release_that_a_repository_is_of() -> None:
    assert Asked("1.36.3-1.1", (1, 37)).minor == "1.36"
    assert Asked(None, (1, 37)).minor == "1.37"
    assert Asked(None, None).minor is None
    assert "older than Kubernetes 1.37" in Asked(None, (1, 37)).warnings(Version("1.36.3"))[0]


def test_a_source_has_a_url_for_each_minor() -> None:
    fields = {
        "url": "https://mirror.example.org/cri-o/v{minor}/deb/",
        "key": "files/cri-o.asc",
        "fingerprint": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    }
    source = source_of(fields)
    assert isinstance(source, RepositoryOfMinors)
    assert source.of("1.36", "apt-get").url == "https://mirror.example.org/cri-o/v1.36/deb"
    assert source.of("1.36", "apt-get").suite == "/"
    of_both = source_of({**fields, "url": "https://mirror.example.org/v{minor}/{format}"})
    assert isinstance(of_both, RepositoryOfMinors)
    assert of_both.of("1.36", "apt-get").url == "https://mirror.example.org/v1.36/deb"
    rpm = of_both.of("1.36", "zypper")
    assert (rpm.url, rpm.suite) == ("https://mirror.example.org/v1.36/rpm", None)
    # the project's lists are signed
    assert rpm.signs_metadata
    unsigned = source_of({**fields, "signs_metadata": False})
    assert isinstance(unsigned, RepositoryOfMinors)
    assert not unsigned.of("1.36", "dnf").signs_metadata
    for wrong in ("upstream", {**fields, "key": 3}, {"url": "x"}, {**fields, "nonsense": 1}, 3):
        with pytest.raises(ValueError, match=r"."):
            source_of(wrong)
    with pytest.raises(ValueError, match="no version"):
        check_version("1.36 or so")


def crio(case: str = "running", **changes: Any) -> dict[str, Any]:
    """A node's facts with CRI-O in place of containerd."""
    path = Path(__file__).parents[1] / "facts" / "crio.Crio" / f"{case}.json"
    shape = deepcopy(json.loads(path.read_text())["fact"])
    shape["installed"]["package"]["held"] = True
    shape["data_root"] = {"path": "/var/lib/containers/storage", "file_system": None, "error": None}
    runtimes = shape.pop("runtimes")
    node = recorded("fresh-trixie", platform__runtimes=runtimes)
    return {**node, "crio": changed(shape, changes)}


def findings(facts: Any, **aim: Any) -> dict[str, str]:
    report = judge_host("host", facts, Aim(**aim), CHECKS)
    return {
        each.check: f"{each.state}: {each.found}"
        for each in report.findings
        if each.state not in ("pass", "not-applicable")
        and each.check.startswith(("crio.", "runtime.", "cgroup-driver."))
    }


def place(line: int) -> dict[str, Any]:
    return {"file": "/etc/crio/crio.conf", "line": line}


def test_a_node_with_crio_is_as_it_should_be() -> None:
    assert findings(crio()) == {}


@pytest.mark.parametrize(
    ("changes", "finding", "text"),
    [
        ({"strays": ["/etc/crio/crio.conf.d/x.bak"]}, "crio.stray-files", "warn: CRI-O reads"),
        (
            {"signature_policy": {"path": "/p", "exists": False}},
            "crio.signature-policy",
            "fail: /p is missing",
        ),
        (
            {"signature_policy": {"path": "/p", "exists": None}},
            "crio.signature-policy",
            "unknown: /p",
        ),
        ({"cni__config": "/etc/cni/net.d/100-crio-bridge.conf"}, "crio.bridge", "warn: /etc/cni"),
        ({"insecure_registries": place(3)}, "crio.insecure-registries", "warn: CRI-O 1.36.3"),
        (
            {"monitor_cgroups": {"crun": {"value": "machine", **place(4)}}},
            "crio.monitor-cgroup",
            "fail: with the systemd driver CRI-O does not start: crun 'machine'",
        ),
        ({"flags": ["/etc/default/crio: --root"]}, "crio.command-line", "warn: given beside"),
        ({"installed__version": "1.32.1"}, "runtime.supported", "warn: 1.32.1; upstream's"),
        ({"restart_pending": ["/f"]}, "runtime.config-applied", "fail: changed since CRI-O"),
    ],
)
def test_one_change_gives_one_finding(changes: dict[str, Any], finding: str, text: str) -> None:
    found = findings(crio(**changes))
    assert list(found) == [finding]
    assert found[finding].startswith(text)


def test_crio_is_of_the_kubernetes_release() -> None:
    assert findings(crio(), kubernetes=(1, 36)) == {}
    found = findings(crio(), kubernetes=(1, 40))
    assert found["crio.kubernetes"] == "warn: CRI-O 1.36.3 for Kubernetes 1.40"


def test_what_was_edited_and_not_restarted_is_found_and_the_driver_in_force_is_told() -> None:
    found = findings(crio("edited-not-restarted"))
    assert set(found) == {"crio.stray-files", "runtime.config-applied"}


def test_an_archive_is_stated_by_version_url_and_sum() -> None:
    stated = {
        "version": "1.36.3",
        "url": "https://mirror.example.org/cri-o.{arch}.v{version}.tar.gz",
        "sha256": {"amd64": "0" * 64},
    }
    source = source_of(stated)
    assert isinstance(source, Archive)
    file = source.file("crio", "amd64")
    assert file is not None
    assert file.address == "https://mirror.example.org/cri-o.amd64.v1.36.3.tar.gz"
    # another archive of the same version is another build
    other = ArchiveFile(file.address, "1" * 64)
    names = {archive.Bundle("1.36.3", each).name for each in (file, other)}
    assert len(names) == 2
    assert all(re.fullmatch(r"1\.36\.3-[0-9a-f]{8}", name) for name in names)
    with pytest.raises(ValueError, match="has no 'url'"):
        source_of({"version": "1.36.3", "sha256": {}})
