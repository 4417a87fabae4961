"""What holds for every check."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    Literal,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubenode import release_facts
from kubenode.audit import check_page
from kubenode.audit.checks.catalogue import CHECKS, by_id
from kubenode.audit.checks.check import Aim, Check, Subject, verdict_of
from kubenode.audit.checks.no_operation import WHY
from kubenode.audit.findings import judge_host
from kubenode.facts.node import NodeShape
from kubenode.settings import NodeSettings
from tests.end_to_end import breaks
from tests.end_to_end.remedies import calls_in
from tests.recorded_node import recorded

DOCUMENT = Path(__file__).parents[3] / "docs" / "checks.md"

each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)


def test_ids_are_unique() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert all(by_id(check.id) is check for check in CHECKS)


@each_check
def test_an_id_is_a_topic_a_subject_and_maybe_when(check: Check) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*(\.[a-z0-9]+(-[a-z0-9]+)*){1,2}", check.id)


@each_check
def test_texts_are_sentences(check: Check) -> None:
    for text in (check.title, check.expected, check.why, check.remedy):
        assert text == text.strip()
        assert text
    assert check.why.endswith(".")
    assert not check.title.endswith(".")
    assert all(source.startswith("https://") for source in check.sources)


@each_check
def test_a_named_operation_exists(check: Check) -> None:
    if check.operation is not None:
        module, _, name = check.operation.partition(".")
        assert callable(getattr(importlib.import_module(f"kubenode.operations.{module}"), name))
        assert check.operation in check.remedy, "the remedy does not name it"


@each_check
def test_each_check_has_a_break_or_a_reason(check: Check) -> None:
    broken = {one.finding for one in (*breaks.BREAKS, *breaks.MODULES)}
    assert (check.id in broken) != (check.id in breaks.NOT_BROKEN)


def test_an_operation_that_is_named_as_the_remedy_is_applied() -> None:
    for check in CHECKS:
        if check.operation is None or check.id in {**breaks.NOT_BROKEN, **breaks.APPLIED_ELSEWHERE}:
            continue
        fixes = [one.fix for one in (*breaks.BREAKS, *breaks.MODULES) if one.finding == check.id]
        assert any(
            fix in (breaks.DEPLOY, breaks.REMEDY) or "kubenode.operations" in fix for fix in fixes
        ), check


def test_a_check_names_the_operation_that_mends_it_or_there_is_a_reason_why_none_does() -> None:
    assert {check.id for check in CHECKS if check.operation is None} == set(WHY)


def test_the_first_call_of_a_remedy_is_of_the_operation_that_is_named() -> None:
    for check in CHECKS:
        calls = [call.partition("(")[0] for call in calls_in(check.remedy)]
        if calls and check.id not in WHY:
            assert check.operation in calls, check.id


def test_no_break_tells_of_its_operation_twice() -> None:
    applied = {one.finding for one in (*breaks.BREAKS, *breaks.MODULES) if one.fix == breaks.REMEDY}
    assert not applied & set(breaks.APPLIED_ELSEWHERE)
    assert applied


KUBEADM = re.compile(
    "CRI|ContainerRuntimeVersion|DirAvailable--var-lib-etcd|Firewalld|Hostname|HTTPProxy"
    "|HTTPProxyCIDR|IsPrivilegedUser|KubeletVersion|Mem|NumCPU|Service-Kubelet|Swap"
    "|SystemVerification|Port-(6443|10250|10257|10259|2379|2380)"
    "|FileAvailable--etc-kubernetes-(kubelet.conf|bootstrap-kubelet.conf|pki-ca.crt)"
    "|FileAvailable--etc-kubernetes-manifests-(kube-apiserver|kube-controller-manager"
    "|kube-scheduler|etcd).yaml"
    "|FileContent--proc-sys-net-(ipv4-ip_forward|ipv6-conf-default-forwarding"
    "|bridge-bridge-nf-call-iptables)"
    "|FileExisting-(conntrack|cp|crictl|ebtables|ethtool|ip|iptables|losetup|mount|nsenter|socat|tc"
    "|touch)"
)
"""What kubeadm calls its checks: ``Name()`` of its preflight/checks.go, up to 1.37."""


@each_check
def test_a_mirrored_check_of_kubeadms_exists(check: Check) -> None:
    for mirror in check.mirrors:
        who, _, names = mirror.partition(": ")
        if not who.startswith("kubeadm"):
            continue
        first = ""
        for name in re.sub(r" ?[(][^)]*[)]", "", names).split(", "):
            # "FileExisting-ip, -tc": what the first name begins with counts for the others too
            whole = name
            if name.startswith("-"):
                whole = next(
                    (
                        text
                        for at, sign in enumerate(first)
                        if sign == "-" and KUBEADM.fullmatch(text := first[:at] + name)
                    ),
                    name,
                )
            else:
                first = name
            assert KUBEADM.fullmatch(whole), f"kubeadm has no check {name}"


@each_check
def test_a_named_setting_exists(check: Check) -> None:
    for name in re.findall(r"kubenode_(\w+)", f"{check.remedy} {check.why} {check.expected}"):
        assert name in NodeSettings.model_fields


def test_the_document_is_made_from_the_catalogue() -> None:
    made = check_page.catalogue(CHECKS)
    assert DOCUMENT.read_text() == made, "run: kubenode explain --all >docs/checks.md"


@each_check
def test_without_an_answer_nothing_is_told(check: Check) -> None:
    aim = Aim(
        kubernetes=(1, 36),
        profiles=frozenset({"bridge-cni", "ipv6", "ipvs", "nftables", "control-plane"}),
        sysctls={"vm.overcommit_memory": "1"},
        modules=("dummy",),
        today=release_facts.AS_OF,
    )
    verdict = verdict_of(check, Subject(cast(NodeShape, {"missing": {}}), aim))
    # its subject is the aim alone
    of_the_aim = ("kubernetes.release-known", "kubernetes.facts-current")
    expected = "met" if check.id in of_the_aim else "unknown"
    assert verdict.outcome == expected, verdict


def leaves(facts: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths to all that is no dict, and to dicts too."""
    found = [path] if path else []
    if isinstance(facts, dict):
        for key, value in facts.items():
            found += leaves(value, (*path, key))
    return found


PATHS = [path for path in leaves(recorded()) if path[0] != "missing"]


@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from([None, [], {}, "", 0, "x"]))))
def test_no_facts_end_an_audit(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    facts: Any = recorded()
    for path, value in changes:
        place = facts
        for step in path[:-1]:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[path[-1]] = value
    report = judge_host("host", cast(NodeShape, facts), Aim(), CHECKS)
    assert len(report.findings) == len(CHECKS)


_VERSIONS = st.sampled_from([None, "0.1.0", "1.6.20", "1.7.24", "2.1.4", "9.9.9"])
_KUBELETS = st.sampled_from([None, "1.9.0", "1.33.2", "1.36.0", "1.99.1"])
_TEXT = st.sampled_from(["", "x", "-1", "v1", "/", "/var/lib/containerd", "unknown", "a b:1:2: c"])


def _well_formed(hint: Any, example: Any, path: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Values of a fact's type. What a fact is asked for by name it always has: its own keys stay.

    + hint: the type
    + example: a recorded value
    + path: of the value, from the whole fact
    """
    if path[-1:] == ("version",):
        known = {("containerd", "installed"): _VERSIONS, ("kubelet",): _KUBELETS}
        if path[:-1] in known:
            return known[path[:-1]]
    if path == ("containerd", "config", "version"):
        return st.sampled_from([None, 1, 2, 3, 4, 9])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of([_well_formed(one, example, path) for one in arguments])
    if is_typeddict(hint):
        own = example if isinstance(example, dict) else {}
        return st.fixed_dictionaries(
            {
                name: _well_formed(one, own.get(name), (*path, name))
                for name, one in get_type_hints(hint).items()
            }
        )
    if origin is dict:
        own = example if isinstance(example, dict) else {}
        keys = own or {"runc": None}
        return st.fixed_dictionaries(
            {name: _well_formed(arguments[1], own.get(name), (*path, "*")) for name in keys}
        )
    if origin in (list, tuple):
        first = example[0] if isinstance(example, list) and example else None
        return st.lists(_well_formed(arguments[0], first, (*path, "*")), max_size=2)
    if origin is Literal:
        return st.sampled_from(arguments)
    simple = {
        str: _TEXT if example is None else st.one_of(_TEXT, st.just(example)),
        int: st.integers(0, 2**63),
        bool: st.booleans(),
        float: st.floats(0, allow_nan=False),
        object: st.one_of(st.booleans(), st.integers(), _TEXT, st.lists(_TEXT, max_size=2)),
        type(None): st.none(),
    }
    return simple[hint]


HINTS = get_type_hints(NodeShape)


def _node(part: str, value: Any) -> NodeShape:
    """A recorded node of which this part is another."""
    facts: Any = {**recorded(), part: value}
    if part == "cgroup_drivers" and value:
        # they are some of the components
        value["counted"] = list(value["components"])[: len(value["counted"])]
    facts["missing"] = {name: "not asked" for name in facts if facts[name] is None}
    return cast(NodeShape, facts)


EVERYTHING = Aim(
    kubernetes=(1, 36),
    profiles=frozenset({"bridge-cni", "ipv6", "ipvs", "nftables", "control-plane"}),
    pause_image="registry.k8s.io/pause:3.10",
)


@pytest.mark.parametrize("part", sorted(set(HINTS) - {"missing"}))
def test_well_formed_facts_can_be_judged(part: str) -> None:
    """No facts of the right type make a check fail: `verdict_of` would call that unknown."""

    @settings(max_examples=60)
    @given(_well_formed(HINTS[part], recorded()[part], (part,)))  # type: ignore[literal-required]
    def judged(value: Any) -> None:
        for aim in (Aim(), EVERYTHING):
            subject = Subject(_node(part, value), aim)
            for check in CHECKS:
                verdict = verdict_of(check, subject)
                assert "this check cannot judge" not in verdict.found, (check.id, verdict.found)

    judged()
