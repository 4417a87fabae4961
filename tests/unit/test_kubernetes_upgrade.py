"""Whether a node may get a release of Kubernetes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.kubelet.command_line import Word
from kubenode.kubelet.upgrade import Node, judge

ALL = ("kubelet", "kubeadm", "kubectl")


def node(kubelet: str | None = "1.36.2", **other: object) -> Node:
    fields: dict[str, object] = {"is_joined": True, **other}
    return Node(Version(kubelet) if kubelet else None, **fields)  # type: ignore[arg-type]


def server(version: str, where: str = "it says so itself") -> tuple[Version, str]:
    return Version(version), where


def test_a_node_goes_one_release_on_or_stays() -> None:
    for minor in ((1, 36), (1, 37)):
        assert judge(node(), minor, ALL).refusals == ()
    assert "1.37 comes before 1.38" in judge(node(), (1, 38), ALL).refusals[0]
    assert "not taken back to 1.35" in judge(node(), (1, 35), ALL).refusals[0]
    # unknown is not "no"
    assert judge(node(is_joined=None), (1, 38), ALL).refusals != ()
    for minor in ((1, 30), (1, 38)):
        assert judge(node(is_joined=False), minor, ALL).refusals == ()
        assert judge(node(None, is_joined=False), minor, ALL).refusals == ()


def test_kubelet_is_never_newer_than_the_oldest_api_server() -> None:
    servers = [server("1.37.0", "a"), server("1.36.9", "b")]
    [refusal] = judge(node(api_servers=servers), (1, 37), ALL).refusals
    assert "the API server is 1.36.9 (b), and kubelet is never newer" in refusal
    assert 'packages=["kubeadm"]' in refusal
    assert judge(node(api_servers=servers), (1, 37), ["kubeadm"]).refusals == ()
    assert judge(node(api_servers=servers[:1]), (1, 37), ALL).refusals == ()


@pytest.mark.parametrize(("newest", "fits"), [("1.39.1", True), ("1.40.0", False)])
def test_kubelet_is_at_most_three_releases_older(newest: str, fits: bool) -> None:
    judgement = judge(node(api_servers=[server(newest)]), (1, 36), ALL)
    assert (judgement.refusals == ()) == fits


def test_flags_and_fields_count_only_where_the_release_changes() -> None:
    flagged = node(words=[Word("--pod-infra-container-image=x", "/etc/default/kubelet")])
    [refusal] = judge(flagged, (1, 37), ALL).refusals
    assert refusal.startswith(
        "/etc/default/kubelet: --pod-infra-container-image is gone since 1.35"
    )
    # it runs, or does not, without our doing
    assert judge(flagged, (1, 36), ALL).refusals == ()
    assert judge(flagged, (1, 37), ["kubeadm"]).refusals == ()
    assert "runOnce" in judge(node(settings={"runOnce": True}), (1, 37), ALL).refusals[0]
    assert "eventRecordQPS" in judge(node(settings={"eventRecordQPS": 0}), (1, 37), ALL).warnings[0]
    assert judge(node(settings={"eventRecordQPS": 50}), (1, 37), ALL).warnings == ()
    assert "cannot be understood" in judge(node(settings=None), (1, 37), ALL).warnings[0]


def test_a_containerd_that_does_not_fit_is_a_warning() -> None:
    [warning] = judge(node(containerd=Version("1.7.24")), (1, 37), ALL).warnings
    assert "containerd 1.7.24 is installed" in warning
    assert judge(node(containerd=Version("2.3.4")), (1, 37), ALL).warnings == ()


@given(st.integers(20, 45), st.integers(20, 45), st.lists(st.integers(20, 45), max_size=3))
def test_what_is_let_through_is_within_the_policy(
    own: int, wanted: int, servers: list[int]
) -> None:
    """The Version Skew Policy, said again in numbers."""
    there = node(f"1.{own}.0", api_servers=[server(f"1.{each}.0") for each in servers])
    is_good = own <= wanted <= own + 1 and all(0 <= each - wanted <= 3 for each in servers)
    assert (judge(there, (1, wanted), ALL).refusals == ()) == is_good
