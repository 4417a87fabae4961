"""What dnf.conf excludes, as dnf 4.23 and dnf5 5.4 read it, and how a package is added."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.packages import dnf_excludes


def names(text: str) -> list[str]:
    return dnf_excludes.names(text.splitlines())


@pytest.mark.parametrize(
    ("text", "excluded"),
    [
        ("[main]\nexcludepkgs=foo\nexclude=runc\n", ["foo", "runc"]),
        ("[main]\nexcludepkgs=runc\nexcludepkgs=foo\n", ["foo"]),
        ("[main]\nexcludepkgs=runc\n[main]\nexcludepkgs=foo\n", ["foo"]),
        ("[main]\nexcludepkgs=runc\nexcludepkgs=\n", []),
        ("[main]\nexcludepkgs=foo\n  runc,bar\n[main]\nbest=1", ["foo", "runc", "bar"]),
        ("[main]\nexcludepkgs = foo ,runc\n", ["foo", "runc"]),
        ("[main]\nexcludepkgs=foo # why,runc\n", ["foo", "#", "why", "runc"]),
        ("[other]\nexcludepkgs=runc\n", []),
        ("[main]\n#excludepkgs=runc\n", []),
        ("excludepkgs=runc\n", []),
        # dnf refuses the file
        ("[main]\nexcludepkgs=foo\n\n  runc\n", ["foo"]),
    ],
)
def test_what_dnf_leaves_alone(text: str, excluded: list[str]) -> None:
    """Each was tried with both: dnf repoquery does not show what is excluded."""
    assert names(text) == excluded


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("[main]\nbest=True\n", "[main]\nexcludepkgs=runc\nbest=True\n"),
        ("[main]\nexcludepkgs=a\n  b\nbest=True\n", "[main]\nexcludepkgs=a,runc\n  b\nbest=True\n"),
        ("[main]\nexcludepkgs = a, \r\n", "[main]\nexcludepkgs = a,runc\r\n"),
        ("[main]\nexcludepkgs=a\nexcludepkgs=b", "[main]\nexcludepkgs=a\nexcludepkgs=b,runc\n"),
        ("[main]\nexclude=a\n", "[main]\nexcludepkgs=runc\nexclude=a\n"),
        ("[main]\nexcludepkgs=\n", "[main]\nexcludepkgs=runc\n"),
        ("[main]", "[main]\nexcludepkgs=runc\n"),
        ("", "[main]\nexcludepkgs=runc\n"),
        ("[other]\nx=1", "[other]\nx=1\n[main]\nexcludepkgs=runc\n"),
        ("[main]\nexclude=runc\n", "[main]\nexclude=runc\n"),
    ],
)
def test_a_package_is_added_to_the_letter(text: str, changed: str) -> None:
    assert dnf_excludes.with_names(text, ["runc"]) == changed


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("[main]\nexcludepkgs=runc\nbest=True\n", "[main]\nbest=True\n"),
        ("[main]\nexcludepkgs=a,runc\n  b\n", "[main]\nexcludepkgs=a\n  b\n"),
        ("[main]\nexcludepkgs = a, runc ,b\r\n", "[main]\nexcludepkgs = a,b\r\n"),
        ("[main]\nexcludepkgs=runc\n  b\n", "[main]\nexcludepkgs=\n  b\n"),
        ("[main]\nexcludepkgs=a\n  runc\n  b", "[main]\nexcludepkgs=a\n  b"),
        ("[main]\nexcludepkgs=a\n  runc\nbest=1\n", "[main]\nexcludepkgs=a\nbest=1\n"),
        ("[other]\nexcludepkgs=runc\n", "[other]\nexcludepkgs=runc\n"),
        ("[main]\nexcludepkgs=run*\n", "[main]\nexcludepkgs=run*\n"),
        ("", ""),
    ],
)
def test_a_package_is_taken_out_to_the_letter(text: str, changed: str) -> None:
    assert dnf_excludes.without_names(text, ["runc"]) == changed


def test_what_others_exclude_by_another_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="not kubenode's"):
        dnf_excludes.without_names("[main]\nexclude=runc\n", ["runc"])


_LINE = st.one_of(
    st.sampled_from(["[main]", "[other]", "best=True", "exclude=a", "excludepkgs=b, c", "  d", ""]),
    st.sampled_from(["#excludepkgs=x", "; y", "excludepkgs=", "plugins = 1", "\texclude=z"]),
)


@given(st.lists(_LINE, max_size=12))
def test_what_others_have_excluded_stays_and_no_other_line_changes(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    try:
        changed = dnf_excludes.with_names(text, ["runc"])
    except ValueError:
        return
    assert set(names(changed)) == {*names(text), "runc"}
    assert dnf_excludes.with_names(changed, ["runc"]) == changed
    if "runc" not in names(text):
        assert set(names(dnf_excludes.without_names(changed, ["runc"]))) == set(names(text))
    others = [line for line in changed.splitlines() if "runc" not in line]
    assert [line for line in lines if not line.startswith("excludepkgs")] == [
        line for line in others if not line.startswith("excludepkgs")
    ] or "[main]" not in lines


@given(st.text(max_size=80))
def test_any_text_is_changed_or_an_error(text: str) -> None:
    try:
        changed = dnf_excludes.with_names(text, ["runc"])
    except ValueError:
        return
    assert "runc" in names(changed)
