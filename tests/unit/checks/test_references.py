"""A verdict that refers to another check refers to one that is a finding on that very host."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, cast

import pytest

from kubenode.audit.checks import references
from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.checks.check import Aim, Subject, verdict_of
from kubenode.facts import cgroup
from kubenode.facts.node import NodeShape
from kubenode.runtimes import other_runtimes
from kubenode.wire.reading import Reading
from tests.recorded_node import recorded

BY_ID = {check.id: check for check in CHECKS}
CRIO = "unix:///var/run/crio/crio.sock"
CRI_DOCKERD = "unix:///run/cri-dockerd.sock"
CONTAINERD = "unix:///run/containerd/containerd.sock"

HANDLER = {
    "runtime_type": "io.containerd.runc.v2",
    "recognised": True,
    "cgroup_driver": "cgroupfs",
    "stated": None,
    "defined": None,
}
SPIN = {**HANDLER, "runtime_type": "io.containerd.spin.v2"}
UNRECOGNISED = {**SPIN, "recognised": False, "cgroup_driver": None}


def node(
    case: str = "fresh-trixie",
    *,
    kubelet: str | None = "1.33.0",
    states: str | None = "systemd",
    endpoint: str | None = None,
    flag: str | None = None,
    crio: tuple[str, str] | None = None,
    docker: tuple[str, str] | None = None,
    **changes: Any,
) -> NodeShape:
    """A host with this kubelet beside CRI-O or cri-dockerd of that version and driver.

    + states: kubelet's own driver; None: nobody can read its file
    """
    facts = recorded(case, **changes)
    values: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    units: dict[str, Any] = {}
    config = "/var/lib/kubelet/config.yaml"
    if kubelet:
        values["kubelet_version"] = f"Kubernetes v{kubelet}"
        lines = [f"cgroupDriver: {states}"] if states else ["{"]
        texts[config] = lines + ([f"containerRuntimeEndpoint: {endpoint}"] if endpoint else [])
    if flag:
        arguments = ["kubelet", f"--config={config}", f"--container-runtime-endpoint={flag}"]
        texts["kubelet_arguments"] = [f"={argument}" for argument in arguments]
        values["kubelet_runs"] = "yes"
    if crio:
        values |= {"crio": "yes", "version:crio": f"crio version {crio[0]}"}
        texts["/etc/crio/crio.conf"] = ["[crio.runtime]", f'cgroup_manager = "{crio[1]}"']
        units["crio.service"] = {"active": "active", "enabled": True, "listens": []}
    if docker:
        values |= {"dockerd": "yes", "version:cri-dockerd": f"cri-dockerd {docker[0]} (483e3b6)"}
        option = f'"native.cgroupdriver={docker[1]}"'
        texts["/etc/docker/daemon.json"] = [f'{{"exec-opts": [{option}]}}']
        units["cri-docker.service"] = {"active": "active", "enabled": True, "listens": []}
    sent = Reading(values, texts)
    assert facts["containerd"]
    assert facts["cgroups"]
    assert facts["kubelet"]
    assert facts["platform"]
    facts["cgroup_drivers"] = cgroup.parse_drivers(
        sent, sent, facts["containerd"], facts["cgroups"]
    )
    facts["platform"]["runtimes"] = cast(Any, {**other_runtimes.NONE, "units": units})
    cast(Any, facts["kubelet"]).update(
        binary="/usr/bin/kubelet" if kubelet else None,
        version=kubelet,
        config=config if kubelet else None,
        runtime_endpoint=flag or (endpoint if states else None),
        error=None if states else f"{config}: is not YAML",
        active=bool(flag),
    )
    return facts


BROKEN: dict[str, Any] = {
    "containerd__effective": False,
    "containerd__handlers": {},
    "containerd__config": {
        "path": "/etc/containerd/config.toml",
        "exists": True,
        "version": 2,
        "highest_version": 3,
        "error": "/etc/containerd/config.toml:1:1: bad",
    },
}
OLD: dict[str, Any] = {
    "containerd__config": {**BROKEN["containerd__config"], "version": 9, "error": None},
    "containerd__handlers": {"runc": HANDLER},
}
LOST_DROP_IN: dict[str, Any] = {
    "containerd__imports": [{"path": "/d.toml", "version": 1, "error": None}],
    "containerd__handlers": {"runc": HANDLER},
}
NO_SYSTEMD: dict[str, Any] = {"cgroups__systemd": {"running": False, "version": None}}

HOSTS = {
    "nothing": node(kubelet=None),
    "nothing, and kubelet": node(),
    "nothing, and a broken kubelet": node(states=None),
    "crio": node(crio=("1.33.0", "cgroupfs"), endpoint=CRIO),
    "crio, kubelet told nothing": node(crio=("1.33.0", "cgroupfs")),
    "crio, a broken kubelet": node(crio=("1.33.0", "cgroupfs"), states=None),
    "crio, no kubelet": node(crio=("1.33.0", "cgroupfs"), kubelet=None),
    "crio that is asked": node(crio=("1.34.0", "cgroupfs"), kubelet="1.34.0", endpoint=CRIO),
    "crio without a version": node(crio=("", "cgroupfs"), kubelet="1.34.0", endpoint=CRIO),
    "cri-dockerd": node(docker=("0.3.16", "cgroupfs"), endpoint=CRI_DOCKERD),
    "cri-dockerd that is asked": node(
        docker=("0.3.17", "cgroupfs"), kubelet="1.36.0", endpoint=CRI_DOCKERD
    ),
    "both": node("prepared-trixie", crio=("1.33.0", "cgroupfs"), endpoint=CRIO),
    "both, kubelet with containerd": node(
        "prepared-trixie", crio=("1.33.0", "cgroupfs"), endpoint=CONTAINERD
    ),
    "both, a broken kubelet": node("prepared-trixie", crio=("1.33.0", "cgroupfs"), states=None),
    "both, containerd broken": node(
        "prepared-trixie", crio=("1.33.0", "cgroupfs"), endpoint=CRIO, **BROKEN
    ),
    "both, containerd and kubelet's file broken": node(
        "prepared-trixie", crio=("1.33.0", "cgroupfs"), states=None, flag=CRIO, **BROKEN
    ),
    "containerd broken": node("prepared-trixie", **BROKEN),
    "containerd broken, a broken kubelet": node("prepared-trixie", states=None, **BROKEN),
    "containerd's file too new": node("prepared-trixie", **OLD),
    "containerd's drop-in lost": node("prepared-trixie", **LOST_DROP_IN),
    "containerd's CRI off": node(
        "prepared-trixie",
        containerd__disabled_plugins=["io.containerd.grpc.v1.cri"],
        containerd__handlers={},
        containerd__cri="down",
        containerd__restart_pending=None,
    ),
    "an unrecognised default": node(
        "prepared-trixie", containerd__handlers={"runc": UNRECOGNISED}, kubelet=None
    ),
    "an unrecognised handler": node(
        "prepared-trixie",
        containerd__handlers={"runc": {**HANDLER, "cgroup_driver": "systemd"}, "x": UNRECOGNISED},
    ),
    "no systemd": node("prepared-trixie", **NO_SYSTEMD),
    "no cgroups": node(cgroups__mode="none"),
    "not root": node("prepared-trixie-not-root"),
}


def outcome(check: str, facts: NodeShape, aim: Aim) -> str:
    return verdict_of(BY_ID[check], Subject(facts, aim)).outcome


@pytest.mark.parametrize("driver", ["systemd", "cgroupfs"])
@pytest.mark.parametrize("host", HOSTS)
def test_each_check_that_a_verdict_refers_to_is_a_finding(host: str, driver: Any) -> None:
    aim = Aim(
        cgroup_driver=driver,
        profiles=frozenset({"control-plane", "bridge-cni", "ipvs", "nftables", "ipv6"}),
    )
    facts = HOSTS[host]
    for check in CHECKS:
        verdict = verdict_of(check, Subject(facts, aim))
        assert "cannot judge the host" not in verdict.found, verdict
        if verdict.outcome != "not-applicable":
            continue
        for name in re.findall(r"\bsee ([a-z0-9-]+(?:\.[a-z0-9-]+)+)", verdict.found):
            assert name in BY_ID, (check.id, verdict.found)
            assert outcome(name, facts, aim) in ("violated", "unknown"), (check.id, verdict.found)


def test_each_reference_is_a_check() -> None:
    named = [one for one in vars(references).values() if isinstance(one, references.Reference)]
    assert len(named) >= 10
    assert {one.id for one in named} <= BY_ID.keys()
    for check in CHECKS:
        if check.id.startswith("module.") and check.id.endswith(".boot"):
            name = check.id.removeprefix("module.").removesuffix(".boot")
            assert references.modules_live(name).id in BY_ID


FOLDER = Path(references.__file__).parent


@pytest.mark.parametrize("module", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_no_text_names_a_check_by_its_id(module: Path) -> None:
    # whether these name checks that exist is tested where they are used
    if module.stem in ("references", "no_operation"):
        return
    tree = ast.parse(module.read_text())
    own = {
        id(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "id"
    }
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Call) and ast.unparse(node.func) == "Reference")
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in own:
            continue
        assert not re.search(r"\bsee [a-z0-9-]+\.[a-z]", node.value), node.value
        for name in BY_ID:
            assert not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w-])", node.value), node.value


def test_the_hosts_have_references_to_look_at() -> None:
    seen = {
        name
        for facts in HOSTS.values()
        for check in CHECKS
        for name in re.findall(r"\bsee (\S+\.\S+)", verdict_of(check, Subject(facts, Aim())).found)
    }
    assert {
        "cgroup-driver.agreement",
        "runtime.config-readable",
        "containerd.config-version",
        "containerd.cri-enabled",
        "containerd.drop-in-version",
        "runtime.installed",
        "kubelet.config-readable",
        "platform.systemd",
    } <= seen


def agreement(facts: NodeShape) -> tuple[str, str | None]:
    verdict = verdict_of(BY_ID["cgroup-driver.agreement"], Subject(facts, Aim()))
    return verdict.outcome, verdict.severity


def test_drivers_are_judged_without_containerd() -> None:
    for host in ("crio", "crio, kubelet told nothing", "cri-dockerd"):
        assert agreement(HOSTS[host]) == ("violated", None), host
    for host in ("crio that is asked", "cri-dockerd that is asked"):
        assert agreement(HOSTS[host]) == ("met", None), host
    assert agreement(HOSTS["crio without a version"]) == ("unknown", "fail")
    # containerd's handlers are none of kubelet's pods'
    for host in ("both", "both, containerd broken"):
        assert agreement(HOSTS[host]) == ("violated", None), host
    assert agreement(HOSTS["both, kubelet with containerd"]) == ("met", None)


@pytest.mark.parametrize("kubelet", ["1.33.0", "1.36.0"])
def test_a_handler_that_is_not_recognised_is_not_right(kubelet: str) -> None:
    runc = {**HANDLER, "cgroup_driver": "systemd"}

    def said(**handlers: Any) -> tuple[bool | None, str, str | None, str]:
        facts = node("prepared-trixie", kubelet=kubelet, containerd__handlers=handlers)
        assert facts["cgroup_drivers"]
        outcome, severity = agreement(facts)
        wanted = verdict_of(BY_ID["cgroup-driver.wanted"], Subject(facts, Aim()))
        return facts["cgroup_drivers"]["agree"], outcome, severity, wanted.outcome

    assert said(runc=runc) == (True, "met", None, "met")
    assert said(runc=UNRECOGNISED)[:3] == (None, "unknown", "fail")
    assert said(runc=UNRECOGNISED)[3] != "met"
    assert said(runc=runc, spin=UNRECOGNISED) == (None, "unknown", "warn", "not-applicable")
    # a driver that is stated counts, whatever the type, and what else is unknown hides it not
    stated = {**SPIN, "stated": {"file": "/etc/containerd/config.toml", "line": 3}}
    assert said(runc=runc, spin=stated)[:2] == (False, "violated")
    assert said(runc=runc, spin=stated, x=UNRECOGNISED)[:2] == (False, "violated")


def test_an_unrecognised_handler_is_a_component_with_its_reason() -> None:
    defined = {"file": "/etc/containerd/config.toml", "line": 7}
    facts = node(
        "prepared-trixie", containerd__handlers={"runc": {**UNRECOGNISED, "defined": defined}}
    )
    assert facts["cgroup_drivers"]
    found = facts["cgroup_drivers"]["components"]["containerd/runc"]
    assert found["driver"] is None
    assert (found["file"], found["line"]) == (defined["file"], defined["line"])
    assert "io.containerd.spin.v2" in found["reason"]
    # one without a kubelet: what is wanted cannot be told
    alone = HOSTS["an unrecognised default"]
    verdict = verdict_of(BY_ID["cgroup-driver.wanted"], Subject(alone, Aim()))
    assert verdict.outcome == "unknown"
    assert alone["cgroup_drivers"]
    assert alone["cgroup_drivers"]["agree"] is None


def test_drivers_of_nothing_do_not_agree() -> None:
    nothing = HOSTS["nothing"]["cgroup_drivers"]
    assert nothing
    assert (nothing["components"], nothing["agree"]) == ({}, None)
