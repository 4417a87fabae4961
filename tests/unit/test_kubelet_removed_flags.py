"""Flags with which a release of kubelet does not start."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.kubelet.command_line import Word
from kubenode.kubelet.flags import KNOWN, REMOVED, UNLISTED, stated, wrong

EXTRA = "/etc/default/kubelet"


def words(*texts: str, source: str = EXTRA) -> list[Word]:
    return [Word(text, source) for text in texts]


def names(*texts: str, minor: tuple[int, int] = (1, 37), proven: tuple[str, ...] = ()) -> list[str]:
    return [each.name for each in wrong(words(*texts), minor, proven)]


@pytest.mark.parametrize(
    ("flag", "last"),
    [
        # as changelogs and the reference pages of the two releases have it
        ("pod-infra-container-image", (1, 34)),
        ("keep-terminated-pod-volumes", (1, 30)),
        ("iptables-masquerade-bit", (1, 30)),
        ("iptables-drop-bit", (1, 30)),
        ("container-runtime", (1, 26)),
        ("network-plugin", (1, 23)),
        ("logtostderr", (1, 25)),
    ],
)
def test_a_flag_is_good_until_the_release_that_removed_it(flag: str, last: tuple[int, int]) -> None:
    assert names(f"--{flag}=x", minor=last) == []
    [found] = wrong(words(f"--{flag}=x"), (last[0], last[1] + 1))
    assert found.is_certain
    assert found.source == EXTRA
    assert f"since {last[0]}.{last[1] + 1} (" in found.why


def test_all_that_stands_there_is_found_in_whichever_way_it_is_written() -> None:
    found = names(
        "--container_runtime", "remote", "--container-runtime=remote", "--v=2",
        "--cni-bin-dir", "/opt/cni/bin", "-v", "4", "--cloud-provider", "aws", "--allow-privileged",
    )  # fmt: skip
    assert found == [
        "container-runtime", "container-runtime", "cni-bin-dir", "cloud-provider",
        "allow-privileged",
    ]  # fmt: skip
    assert names("--cloud-provider=external", "--cloud-provider=", '--cloud-provider=""') == []
    assert names("--", "--container-runtime=remote") == []


def test_a_flag_that_no_release_had_is_wrong_and_the_near_one_is_named() -> None:
    [found] = wrong(words("--cgroup-drivr=systemd"), (1, 37))
    assert found.is_certain
    assert "did you mean --cgroup-driver?" in str(found)
    # newer than the table: a kubelet runs with it
    [found] = wrong(words("--brand-new=1"), (1, 38), proven=("brand-new",))
    assert not found.is_certain


def test_what_kubeadm_writes_is_right() -> None:
    text = (
        "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf "
        "--kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml "
        "--container-runtime-endpoint=unix:///run/containerd/containerd.sock --node-ip=10.0.0.1 "
        "--hostname-override=a --v=2 --node-labels=a=b --max-pods 200 --fail-swap-on=false"
    )
    assert names(*text.split(), minor=(1, 37)) == []


def test_tables_contradict_nothing() -> None:
    assert set(REMOVED) & KNOWN == {"pod-infra-container-image"}
    assert not UNLISTED & (KNOWN | REMOVED.keys())
    assert len(REMOVED) > 50
    for name, removal in REMOVED.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert removal.since <= (1, 35)
        assert removal.source
        assert removal.instead


@given(st.lists(st.text(alphabet="-=ab cv'\"\n", max_size=8), max_size=8))
def test_any_words_are_read(texts: list[str]) -> None:
    for name, _, source in stated(words(*texts)):
        assert name
        assert source == EXTRA
    wrong(words(*texts), (1, 37))


@given(st.sampled_from(sorted(REMOVED)), st.integers(1, 60), st.integers(1, 60))
def test_what_is_gone_stays_gone(name: str, first: int, second: int) -> None:
    older, newer = sorted((first, second))
    if names(f"--{name}", minor=(1, older)):
        assert names(f"--{name}", minor=(1, newer)) == [name]
