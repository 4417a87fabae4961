"""What dnf and zypper say of the versions that can be had."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import candidates
from kubenode.wire.reading import ProbeError, Reading

DNF = """\
Failed loading plugin "system_upgrade": No module named 'systemd'
containerd.io 0:1.7.27-3.1.el9 x86_64 docker-ce-stable

containerd.io 0:2.2.10-1.el9 x86_64 docker-ce-stable
containerd.io 0:2.2.9-1.el9 x86_64 docker-ce-stable
containerd.io 0:2.2.9-1.el9 x86_64 mirror
containerd.io 0:2.3.0-1.el9 aarch64 docker-ce-stable
containerd.io 0:2.2.9-1.el9 src docker-ce-source
runc 4:1.1.12-4.el9 x86_64 appstream
other 0:1-1 noarch appstream
"""
ZYPPER = """\
<?xml version='1.0'?>
<stream>
<message type="info">Loading repository data...</message>
<search-result version="0.0">
<solvable-list>
<solvable status="not-installed" name="containerd.io" kind="package" edition="2.2.9-1.1" arch="x86_64" repository="Docker &amp; more"/>
<solvable status="installed" name="containerd.io" kind="package" edition="2.2.10-1.1" arch="x86_64" repository="mirror"/>
<solvable status="not-installed" name="containerd.io" kind="srcpackage" edition="2.2.11-1" arch="noarch" repository="mirror"/>
</solvable-list>
</search-result>
</stream>
"""  # noqa: E501


def said(text: str, by: str, **values: str) -> Reading:
    both = {"candidates_of": by, "candidates_status": "0", "machine": "x86_64"}
    return Reading(both | values, {"candidates": text.splitlines()})


def test_dnfs_are_those_for_the_host_newest_first() -> None:
    found = candidates.parse(
        said(DNF, "dnf", lists_fetched="yes"), ["containerd.io", "runc", "none"]
    )
    assert found == {
        "packages": {
            "containerd.io": [
                {"version": "2.2.10-1.el9", "origin": "docker-ce-stable"},
                {"version": "2.2.9-1.el9", "origin": "docker-ce-stable"},
                {"version": "2.2.9-1.el9", "origin": "mirror"},
                {"version": "1.7.27-3.1.el9", "origin": "docker-ce-stable"},
            ],
            "runc": [{"version": "4:1.1.12-4.el9", "origin": "appstream"}],
            "none": [],
        },
        "preferred": {"containerd.io": None, "runc": None, "none": None},
        "fetched": True,
    }


def test_zyppers_are_packages_newest_first() -> None:
    found = candidates.parse(said(ZYPPER, "zypper"), ["containerd.io"])
    assert found["packages"]["containerd.io"] == [
        {"version": "2.2.10-1.1", "origin": "mirror"},
        {"version": "2.2.9-1.1", "origin": "Docker & more"},
    ]
    assert found["fetched"] is False


@pytest.mark.parametrize("by", ["dnf", "zypper"])
def test_what_a_manager_does_not_say_is_unknown_with_its_words(by: str) -> None:
    words = "Error: Cache-only enabled but no cache for 'docker'"
    with pytest.raises(ProbeError, match=f"{by} does not say .* no cache for 'docker'"):
        candidates.parse(said(words, by, candidates_status="1"), ["runc"])


@pytest.mark.parametrize(("by", "why"), [("user", "root alone"), ("none", "no package manager")])
def test_who_cannot_be_asked_says_nothing(by: str, why: str) -> None:
    with pytest.raises(ProbeError, match=why):
        candidates.parse(said("", by), ["runc"])


@given(
    st.sampled_from(["dnf", "zypper"]),
    st.lists(
        st.sampled_from([*DNF.splitlines(), *ZYPPER.splitlines()])
        | st.text('a <>"=/-:', max_size=9)
    ),
)
def test_no_answer_raises_anything_else(by: str, lines: list[str]) -> None:
    found = candidates.parse(said("\n".join(lines), by), ["containerd.io"])
    assert len(found["packages"]["containerd.io"]) <= 1000
