"""How a release archive is stated: strictly, and right for each architecture."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.packages import archive
from kubenode.packages.archive import Archive, ArchiveFile, Build

SUM = "0123456789abcdef" * 4
OTHER = "f" * 64
CONTAINERD = {
    "url": "https://example.org/v{version}/containerd-{version}-linux-{arch}.tar.gz",
    "sha256": {"amd64": SUM, "arm64": OTHER},
}
RUNC = {
    "version": "1.4.3",
    "url": "https://example.org/runc/v{version}/runc.{arch}",
    "sha256": {"amd64": SUM, "arm64": OTHER},
}
STATED = {"version": "2.3.4", "containerd": CONTAINERD, "runc": RUNC}


def test_a_release_has_a_file_for_each_architecture() -> None:
    stated = archive.containerd_archive(STATED)
    assert archive.build(stated, "arm64") == Build(
        "2.3.4",
        ArchiveFile("https://example.org/v2.3.4/containerd-2.3.4-linux-arm64.tar.gz", OTHER),
        ArchiveFile("https://example.org/runc/v1.4.3/runc.arm64", OTHER),
    )
    assert archive.build(stated, "amd64").containerd.sha256 == SUM
    assert archive.containerd_archive(stated) is stated


def test_one_for_another_architecture_is_none() -> None:
    only = {**STATED, "containerd": {**CONTAINERD, "sha256": {"amd64": SUM}}}
    stated = archive.containerd_archive(only)
    for architecture in ("arm64", None):
        with pytest.raises(ValueError, match="has containerd for amd64, and this host is"):
            archive.build(stated, architecture)


def test_runc_may_be_the_hosts_own() -> None:
    stated = archive.containerd_archive({"version": "v2.3.4", "containerd": CONTAINERD})
    assert archive.build(stated, "amd64").runc is None
    assert stated.version == "2.3.4"


def test_a_url_may_be_a_path_and_one_for_each_architecture() -> None:
    urls = {"amd64": "/srv/a.tar.gz", "arm64": "file:///srv/b.tar.gz"}
    stated = archive.containerd_archive(
        {"version": "2.4.0-beta.0", "containerd": {**CONTAINERD, "url": urls}}
    )
    local = archive.build(stated, "arm64").containerd
    assert (local.address, local.is_local, local.name) == ("/srv/b.tar.gz", True, "b.tar.gz")


def test_plugins() -> None:
    stated = archive.plugins_archive(
        {
            "version": "1.9.1",
            "url": "https://example.org/cni-plugins-linux-{arch}-v{version}.tgz?a=b",
            "sha256": {"amd64": SUM.upper()},
        }
    )
    file = stated.file("plugins", "amd64")
    assert file is not None
    assert (file.name, file.sha256) == ("cni-plugins-linux-amd64-v1.9.1.tgz", SUM)
    assert archive.plugins_archive(stated) is stated


def changed(**fields: Any) -> dict[str, Any]:
    return {**STATED, "containerd": {**CONTAINERD, **fields}}


MISTAKES: list[tuple[object, str]] = [
    (None, "is a dict with version and containerd"),
    ([STATED], "is a dict"),
    ({"version": "2.3.4"}, "has no 'containerd'"),
    ({**STATED, "cni": {}}, "has 'cni', which is not known"),
    ({**STATED, "version": "2.3"}, "version '2.3'"),
    ({**STATED, "version": 2.3}, r"version 2\.3"),
    ({**STATED, "version": "2.3.4/../x"}, "version"),
    (changed(sha256=SUM), "sha256 is a dict by architecture"),
    (changed(sha256={}), "sha256 is a dict by architecture"),
    (changed(sha256={"amd64": SUM[:-1]}), "64 hexadecimal digits"),
    (changed(sha256={"amd64": "g" * 64}), "64 hexadecimal digits"),
    (changed(sha256={"amd64": None}), "64 hexadecimal digits"),
    (changed(sha256={"x86_64": SUM}), "'x86_64' is no architecture of releases"),
    (changed(sha256={"amd64": f"{SUM}\n"}), "64 hexadecimal digits"),
    (changed(url="https://example.org/containerd"), r"it needs \{arch\}"),
    (changed(url="https://example.org/{arch}/{os}"), r"\{os\} in its url"),
    (changed(url={"amd64": "https://example.org/a"}), "no url for arm64"),
    (changed(url=7), "no url for"),
    (changed(url="ftp://example.org/{arch}"), "expected https://"),
    (changed(url="containerd-{arch}.tar.gz"), "expected https://"),
    (changed(url="https:///{arch}"), "expected https://"),
    (changed(url="https://[x/{arch}"), "is no url"),
    (changed(url="https://example.org:x/{arch}"), "is no url"),
    (changed(url="https://me:secret@example.org/{arch}"), "would be in logs"),
    (changed(url="https://example.org/{arch}#x"), "a #"),
    (changed(url="https://example.org/{arch} x"), "without blanks"),
    (changed(url="https://example.org/{arch}\nx"), "without blanks"),
    (changed(more=1), "has 'more'"),
    ({**STATED, "runc": {**RUNC, "version": None}}, r"\{version\} in its url stands for nothing"),
    ({**STATED, "runc": "https://example.org/runc"}, "runc is a dict"),
]


@pytest.mark.parametrize(("stated", "words"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_says_what_was_expected(stated: object, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        archive.containerd_archive(stated)
    assert "secret" not in str(raised.value)


ANY = st.recursive(
    st.none() | st.integers() | st.text(max_size=20) | st.sampled_from([SUM, "2.3.4", "amd64"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["version", "containerd", "runc", "url", "sha256", "amd64", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(ANY, ANY)
def test_anything_else_is_a_clear_error(stated: object, part: object) -> None:
    for one in (stated, {"version": "2.3.4", "containerd": part}, changed(url=part)):
        with suppress(ValueError):
            assert isinstance(archive.containerd_archive(one), Archive)
        with suppress(ValueError):
            assert isinstance(archive.plugins_archive(one), Archive)


# ---- Which builds are others, and which run


def build(name: str, version: str = "2.3.4", digest: str = SUM) -> Build:
    return Build(version, ArchiveFile(f"https://example.org/{name}", digest), None)


def test_a_build_of_other_files_has_another_name() -> None:
    names = {
        build("a").name,
        build("a", "2.3.5").name,
        build("a", digest=OTHER).name,
        Build("2.3.4", build("a").containerd, ArchiveFile("/runc", OTHER)).name,
    }
    assert len(names) == 4
    # who serves it does not matter
    assert build("a").name == build("b").name
    assert build("a").name.startswith("2.3.4-")


DYNAMIC = "containerd-2.3.4-linux-amd64.tar.gz"
STATIC = "containerd-static-2.3.4-linux-amd64.tar.gz"


@pytest.mark.parametrize(
    ("name", "libc", "version", "runs"),
    [
        (DYNAMIC, "glibc", "2.31", False),
        (DYNAMIC, "glibc", "2.34", False),
        (DYNAMIC, "glibc", "2.35", True),
        (DYNAMIC, "glibc", "2.41", True),
        (DYNAMIC, "musl", None, False),
        # unknown is not too old: the build is run once before it counts
        (DYNAMIC, None, None, True),
        (DYNAMIC, "glibc", "odd", True),
        (STATIC, "glibc", "2.31", True),
        (STATIC, "musl", None, True),
        ("my-containerd.tar.gz", "glibc", "2.31", True),
    ],
)
def test_a_dynamic_build_needs_a_libc(
    name: str, libc: str | None, version: str | None, runs: bool
) -> None:
    problem = archive.unsuitable(build(name), libc, version)
    assert (problem is None) is runs
    if problem is not None:
        assert "containerd-static-2.3.4-linux-ARCH.tar.gz" in problem


def test_the_builds_of_1_x_are_older() -> None:
    old = build("containerd-1.7.30-linux-amd64.tar.gz", "1.7.30")
    assert archive.unsuitable(old, "glibc", "2.31") is None
