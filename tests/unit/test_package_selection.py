"""Which packages are installed in which version, and what the host says there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import candidates, installation
from kubenode.packages import guarded_install
from kubenode.packages.installation import Installed
from kubenode.packages.selection import Offer, Selection, select
from kubenode.wire.reading import ProbeError, Reading

THERE = Installed("jq", "1.6-2", held=True, configured=True)
OFFER = {"jq": Offer(["1.7.1-6", "1.7.0-1", "1.6-2"], "1.7.1-6")}


def of(
    *there: Installed,
    offers: dict[str, Offer] | None = OFFER,
    version: str | None = None,
    hold: bool = True,
) -> Selection:
    return select(["jq"], there, offers, version, hold, "this host")


@pytest.mark.parametrize(
    ("there", "version", "hold", "installs", "holds"),
    [
        ((), None, True, {"jq": "1.7.1-6"}, ("jq",)),
        ((), None, False, {"jq": "1.7.1-6"}, ()),
        ((), "1.7.0", True, {"jq": "1.7.0-1"}, ("jq",)),
        ((), "1.7", True, {"jq": "1.7.1-6"}, ("jq",)),
        ((THERE,), None, True, {}, ()),
        ((THERE,), "1.6", True, {}, ()),
        ((THERE,), "1.7", True, {"jq": "1.7.1-6"}, ("jq",)),
        ((replace(THERE, held=False),), None, True, {}, ("jq",)),
        ((replace(THERE, held=False),), None, False, {}, ()),
        # what was begun is finished, and held as it was
        ((replace(THERE, configured=False),), None, False, {"jq": "1.7.1-6"}, ("jq",)),
    ],
)
def test_what_is_installed(
    there: tuple[Installed, ...],
    version: str | None,
    hold: bool,
    installs: dict[str, str],
    holds: tuple[str, ...],
) -> None:
    found = of(*there, version=version, hold=hold)
    assert (dict(found.installs), found.holds, found.blocked) == (installs, holds, None)


def test_what_there_is_not_is_refused_with_what_there_is() -> None:
    assert of(version="2.0").blocked == "jq: this host has no 2.0: it has 1.7.1-6, 1.7.0-1, 1.6-2"
    assert of(offers={}).blocked == "jq: this host has none"
    assert of(THERE, version="2.0").installs == {}


def test_where_nobody_can_tell_what_there_is_a_series_is_refused() -> None:
    assert of(offers=None).installs == {"jq": None}
    assert of(offers=None, version="1.7.1-6").installs == {"jq": "1.7.1-6"}
    assert "in full" in (of(offers=None, version="1.7").blocked or "")


def test_it_is_said_from_what_to_what() -> None:
    assert of(THERE, version="1.7").now == {"jq": "1.6-2"}
    assert of().now == {}


def test_what_goes_is_named_and_asked_for() -> None:
    removes = {"containerd": "1.7.24", "runc": "1.1.15"}
    assert guarded_install.unannounced(removes, ["runc", "containerd", "x"]) is None
    assert guarded_install.unannounced({}, []) is None
    refusal = guarded_install.unannounced(removes, ["runc"]) or ""
    assert refusal.startswith("containerd 1.7.24 would be removed for it")
    assert "replaces=('containerd', 'runc',)" in refusal


# ---- What apt says

POLICY = """\
containerd.io:
  Installed: 1.7.24-1
  Candidate: 2.1.9-1~debian.13~trixie
  Version table:
     2.1.9-1~debian.13~trixie 500
        500 http://10.0.0.1:80/linux/debian trixie/stable amd64 Packages
 *** 1.7.24-1 500
        500 http://10.0.0.1:80/linux/debian trixie/stable amd64 Packages
        100 /var/lib/dpkg/status
     1.6.20-1 -1
        100 /var/lib/dpkg/status
runc:
  Installed: (none)
  Candidate: (none)
  Version table:
     5:1.3-1 -1 (phased 20%)
         -1 https://a.example.com/debian ./ Packages
       1001 https://b.example.com/debian sid/main amd64 Packages
        500 file:/srv/packages ./ Packages
"""


def said(text: str, **values: str) -> Reading:
    both = {"candidates_of": "apt-get", "candidates_status": "0", "lists_fetched": "yes"}
    return Reading(both | values, {"candidates": text.splitlines()})


def test_what_can_be_had_is_told_from_what_is_only_installed() -> None:
    found = candidates.parse(said(POLICY), ["containerd.io", "runc", "nothing"])
    versions = {
        name: [each["version"] for each in offers] for name, offers in found["packages"].items()
    }
    assert versions == {
        "containerd.io": ["2.1.9-1~debian.13~trixie", "1.7.24-1"],
        "runc": ["5:1.3-1"] * 3,
        "nothing": [],
    }
    origins = [each["origin"] for each in found["packages"]["runc"]]
    assert origins[1:] == ["https://b.example.com/debian sid/main", "file:/srv/packages"]
    assert found["preferred"] == {
        "containerd.io": "2.1.9-1~debian.13~trixie",
        "runc": None,
        "nothing": None,
    }
    assert found["fetched"] is True


@pytest.mark.parametrize(
    "values",
    [{"candidates_of": "none"}, {"candidates_status": "1"}, {"candidates_status": "cut"}],
)
def test_what_apt_does_not_say_is_unknown(values: dict[str, str]) -> None:
    with pytest.raises(ProbeError, match="which versions there are"):
        candidates.parse(said("E: Conflicting values set for option Signed-By", **values), ["x"])


@given(st.lists(st.sampled_from(POLICY.splitlines()) | st.text("a: *-/(|)1", max_size=20)))
def test_no_answer_of_apt_raises_anything_else(lines: list[str]) -> None:
    candidates.parse(said("\n".join(lines)), ["containerd.io"])
    shape = installation.parse(Reading({"simulation_status": "0"}, {"simulation": lines}))
    assert shape["error"] is None


@pytest.mark.parametrize(
    ("status", "text", "shape"),
    [
        (
            "0",
            "Remv containerd [1.7.24~ds1-6]\nRemv runc [1.1.15] []\n"
            "Inst containerd.io [1.7.24-1] (2.1.9-1 Docker CE:trixie [amd64])\n"
            "Inst libc6 (2.41-1 Debian:13/stable [amd64])\nConf containerd.io (2.1.9-1 x)\n",
            {
                "installs": {"containerd.io": "2.1.9-1", "libc6": "2.41-1"},
                "now": {"containerd.io": "1.7.24-1"},
                "removes": {"containerd": "1.7.24~ds1-6", "runc": "1.1.15"},
                "error": None,
            },
        ),
        (
            "1",
            "Reading package lists...\nE: Unable to locate package nothing\n",
            {
                "installs": {},
                "now": {},
                "removes": {},
                "error": "E: Unable to locate package nothing",
            },
        ),
        ("1", "", {"installs": {}, "now": {}, "removes": {}, "error": "it fails"}),
    ],
)
def test_what_apt_would_do(status: str, text: str, shape: dict[str, Any]) -> None:
    reading = Reading({"simulation_status": status}, {"simulation": text.splitlines()})
    assert installation.parse(reading) == shape


def test_what_apt_has_not_worked_out_is_unknown() -> None:
    with pytest.raises(ProbeError, match="does not say"):
        installation.parse(Reading({"simulation_status": "late"}, {"simulation": []}))


@pytest.mark.parametrize(
    "fact", [candidates.Candidates, installation.Installation], ids=["candidates", "installation"]
)
@pytest.mark.parametrize("name", ["-o", "a b", "$(id)", "", "a;b"])
def test_a_name_that_is_none_never_reaches_a_host(fact: Any, name: str) -> None:
    asked = fact()
    assert asked.command([name]) == "echo"
