"""What a host says of archives and CNI plugins: strictly read, and unknown is not absent."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import archives, cni_plugins
from kubenode.facts.image_based import SystemShape
from kubenode.packages import plugins_change
from kubenode.packages.archive_change import ROOT, STORE, SUMS, SUMS_END, UNIT
from kubenode.wire.reading import ProbeError, Reading

NAME = "2.3.4-0123abcd"
PATH = f"{ROOT}/{NAME}/{SUMS}"
DIGEST = "0" * 64
WHOLE = [
    f"{DIGEST}  containerd",
    f"{DIGEST}  containerd-shim-runc-v2",
    f"{DIGEST}  ctr",
    f"{DIGEST}  runc",
    SUMS_END,
]


def said(
    values: dict[str, str] | None = None,
    texts: dict[str, list[str]] | None = None,
    unreadable: frozenset[str] = frozenset(),
) -> archives.ArchivesShape:
    values = {"machine": "x86_64", "glibc": "2.41", "musl": "", f"whole:{PATH}": "yes"} | (
        values or {}
    )
    texts = {"builds": [NAME], f"sums:{PATH}": WHOLE} | (texts or {})
    return archives.parse(Reading(values, texts, unreadable=unreadable))


def test_a_build_that_is_in_use() -> None:
    shape = said(
        {
            f"link:{ROOT}/current": NAME,
            "link:/usr/local/bin/ctr": f"{ROOT}/current/ctr",
            "file:/usr/local/sbin/runc": "yes",
            "unit": UNIT.split("\n")[0],
            f"free:{ROOT}": "1024",
            "fetcher:wget": "yes",
        },
        {
            "which:ctr": [f"/usr/local/bin/ctr {ROOT}/{NAME}/ctr", "/usr/bin/ctr /usr/bin/ctr",
                          "/bin/ctr /usr/bin/ctr"],
            "stored": [DIGEST],
        },
    )  # fmt: skip
    assert shape["builds"] == [
        {"name": NAME, "version": "2.3.4", "programs": [*archives.PROGRAMS], "whole": True}
    ]
    assert (shape["architecture"], shape["libc"], shape["libc_version"]) == (
        "amd64",
        "glibc",
        "2.41",
    )
    assert (shape["current"], shape["unit"], shape["fetchers"]) == (NAME, "kubenode", ["wget"])
    assert shape["links"]["/usr/local/bin/ctr"] == f"{ROOT}/current/ctr"
    assert shape["links"]["/usr/local/sbin/runc"] == "file"
    assert shape["links"]["/usr/local/bin/containerd"] is None
    assert [found["path"] for found in shape["found"]["ctr"]] == [
        "/usr/local/bin/ctr",
        "/usr/bin/ctr",
    ]
    assert (shape["free_bytes"], shape["stored"]) == ({ROOT: 1 << 20, STORE: None}, [DIGEST])


@pytest.mark.parametrize(
    ("values", "lines", "unreadable", "whole"),
    [
        ({f"whole:{PATH}": "no"}, WHOLE, set(), False),
        ({}, WHOLE[:-1], set(), False),
        ({}, [], set(), False),
        ({}, [WHOLE[0], SUMS_END], set(), False),
        ({}, WHOLE, {f"whole:{PATH}"}, None),
    ],
)
def test_one_that_is_not_whole(
    values: dict[str, str], lines: list[str], unreadable: set[str], whole: bool | None
) -> None:
    shape = said(values, {f"sums:{PATH}": lines}, frozenset(unreadable))
    assert [build["whole"] for build in shape["builds"] or []] == [whole]


def test_what_is_unknown_is_not_absent() -> None:
    assert said(unreadable=frozenset({"builds"}))["builds"] is None
    for path in (f"{ROOT}/current", "/usr/local/bin/ctr"):
        with pytest.raises(ProbeError, match="cannot read"):
            said(unreadable=frozenset({f"link:{path}"}))


@pytest.mark.parametrize(
    ("values", "libc"),
    [
        ({"glibc": "2.31"}, ("glibc", "2.31")),
        ({"glibc": "", "musl": "/lib/ld-musl-x86_64.so.1"}, ("musl", None)),
        ({"glibc": "2.36", "musl": "/lib/ld-musl-x86_64.so.1"}, ("glibc", "2.36")),
        ({"glibc": ""}, (None, None)),
        ({"glibc": "2.x"}, (None, None)),
    ],
)
def test_the_c_library(values: dict[str, str], libc: tuple[str | None, str | None]) -> None:
    shape = said(values)
    assert (shape["libc"], shape["libc_version"]) == libc


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", None), ("riscv64", None), ("", None)],
)
def test_the_architecture(machine: str, architecture: str | None) -> None:
    assert said({"machine": machine})["architecture"] == architecture


def test_a_directory_of_somebody_elses_is_no_build() -> None:
    assert said(texts={"builds": ["2.3.4", "2.3-0123abcd", f"{NAME}x", "1-a"]})["builds"] == []


# ---- The CNI plugins


SYSTEM: SystemShape = {"image": None, "usr": "writable"}

NOTE = [
    f"{plugins_change.NOTE_BEGINS} 1.9.1 {DIGEST} /opt/cni/bin",
    f"{DIGEST}  bridge",
    f"{DIGEST}  host-local",
    plugins_change.NOTE_ENDS,
]


def plugins(note: list[str], values: dict[str, str] | None = None, *unreadable: str) -> Any:
    values = {"machine": "aarch64", "whole": "yes"} | (values or {})
    reading = Reading(values, {"note": note, "dpkg": []}, unreadable=frozenset(unreadable))
    return cni_plugins.parse(reading, SYSTEM)["archive"]


def test_a_note_of_plugins() -> None:
    assert plugins(NOTE) == {
        "version": "1.9.1",
        "sha256": DIGEST,
        "directory": "/opt/cni/bin",
        "plugins": ["bridge", "host-local"],
        "whole": True,
    }
    assert plugins(NOTE, {"whole": "no"})["whole"] is False
    assert plugins(NOTE, {}, "whole")["whole"] is None
    with pytest.raises(ProbeError):
        plugins([], {}, "note")


@pytest.mark.parametrize(
    "note",
    [
        [],
        NOTE[:-1],
        NOTE[1:],
        [NOTE[0], NOTE[-1]],
        [NOTE[0], f"{DIGEST}  ../../etc/shadow", NOTE[-1]],
        [NOTE[0], f"{DIGEST[:-1]}  bridge", NOTE[-1]],
        [NOTE[0].replace(" 1 ", " 2 "), *NOTE[1:]],
        [NOTE[0].replace("/opt", "opt"), *NOTE[1:]],
    ],
)
def test_a_note_that_is_not_whole_is_none(note: list[str]) -> None:
    assert plugins(note) is None


LINES = st.lists(
    st.text(st.characters(min_codepoint=9, max_codepoint=126)) | st.sampled_from([*WHOLE, *NOTE]),
    max_size=6,
)
KEYS = st.sampled_from(
    ["builds", f"sums:{PATH}", "which:ctr", "stored", "note", "dpkg", "rpm", "package"]
)
VALUES = st.sampled_from(
    ["machine", "glibc", "musl", f"whole:{PATH}", f"link:{ROOT}/current", "unit", "whole",
     f"free:{ROOT}"]
)  # fmt: skip


@given(
    st.builds(
        Reading,
        st.dictionaries(VALUES, st.text(st.characters(min_codepoint=32, max_codepoint=126))),
        st.dictionaries(KEYS, LINES),
        st.just({}),
        st.frozensets(KEYS | VALUES, max_size=3),
    )
)
def test_nothing_else_raises(reading: Reading) -> None:
    with suppress(ProbeError):
        archives.parse(reading)
    with suppress(ProbeError):
        cni_plugins.parse(reading, SYSTEM)
