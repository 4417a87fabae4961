"""Which locks of dnf 4, dnf5 and zypper hold a package. tests/end_to_end asks the managers too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.packages import rpm_locks
from kubenode.packages.rpm_locks import RpmManager

LIST, YUM_LIST = "/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list"
TOML, CONF, ZYPP = "/etc/dnf/versionlock.toml", "/etc/dnf/dnf.conf", "/etc/zypp/locks"

ADDED_BY_DNF5 = """\
version = "1.0"

[[packages]]
name = "cri-o"
comment = "Added by 'versionlock add' command on 2026-11-25 10:27:51"

[[packages.conditions]]
key = "evr"
comparator = "="
value = "1.36.1-1"
"""
ADDED_BY_ZYPPER = """\

type: package
match_type: glob
case_sensitive: on
solvable_name: cri-o

"""


def held(manager: RpmManager | None, path: str, text: str, name: str = "cri-o") -> bool:
    return rpm_locks.is_held(name, "x86_64", manager, {path: text.split("\n")})


@pytest.mark.parametrize(
    ("manager", "path", "text", "is_held"),
    [
        ("dnf4", LIST, "\n# Added lock on Wed\ncri-o-0:1.36.1-1.*\n", True),
        ("dnf4", LIST, "cri-o-1.36.*", True),
        ("dnf4", YUM_LIST, "0:cri-o-1.36.1-1.*", True),
        ("dnf4", LIST, "!cri-o-0:1.36.1-1.*", False),
        ("dnf4", LIST, "cri-o-extra-0:1.36.1-1.*", False),
        ("dnf4", LIST, "#cri-o-0:1.36.1-1.*", False),
        # of the other dnf
        ("dnf4", TOML, ADDED_BY_DNF5, False),
        ("dnf5", LIST, "cri-o-0:1.36.1-1.*", False),
        ("dnf5", TOML, ADDED_BY_DNF5, True),
        ("dnf5", TOML, ADDED_BY_DNF5.replace('"="', '"!="'), False),
        ("dnf5", TOML, ADDED_BY_DNF5.replace('"="', '"<="'), True),
        ("dnf5", TOML, ADDED_BY_DNF5.replace("cri-o", "cri-o-extra"), False),
        ("dnf5", TOML, ADDED_BY_DNF5.replace("name =", "# name ="), False),
        ("dnf5", TOML, "packages = 1", False),
        ("dnf5", TOML, "[[packages]]\nname = 'cri-o'\nconditions = [1]", False),
        ("dnf5", TOML, "", False),
        ("dnf4", CONF, "[main]\nexclude=cri-o", True),
        ("dnf5", CONF, "[main]\nexcludepkgs = runc, cri-o", True),
        ("dnf5", CONF, "[main]\nexcludepkgs=runc\n  cri-?\nbest=True", True),
        ("dnf5", CONF, "[main]\nexcludepkgs=cri-o.x86_64", True),
        ("dnf5", CONF, "[main]\nexcludepkgs=cri-o.i686", False),
        ("dnf5", CONF, "[main]\nexcludepkgs=runc\nbest=True\n  cri-o", False),
        ("dnf5", CONF, "[main]\n#excludepkgs=cri-o", False),
        ("dnf5", CONF, "excludepkgs=cri-o", False),
        ("dnf5", CONF, "[other]\nexcludepkgs=cri-o", False),
        ("zypper", CONF, "[main]\nexcludepkgs=cri-o", False),
        ("zypper", ZYPP, ADDED_BY_ZYPPER, True),
        ("zypper", ZYPP, "solvable_name: cri-o", True),
        ("zypper", ZYPP, ADDED_BY_ZYPPER.replace("cri-o", "cri*"), True),
        ("zypper", ZYPP, ADDED_BY_ZYPPER.replace("cri-o", "cri-o-x"), False),
        ("zypper", ZYPP, ADDED_BY_ZYPPER.replace("cri-o", "CRI-O"), False),
        ("zypper", ZYPP, ADDED_BY_ZYPPER.replace("cri-o", "CRI-O").replace(": on", ": off"), True),
        ("zypper", ZYPP, ADDED_BY_ZYPPER.replace("type: package", "type: pattern"), False),
        ("zypper", ZYPP, ADDED_BY_ZYPPER.replace("type:", "version: > 9\ntype:"), False),
        ("zypper", ZYPP, ADDED_BY_ZYPPER.replace("type:", "repo: other\ntype:"), False),
        ("zypper", ZYPP, f"type: pattern\nsolvable_name: x\n{ADDED_BY_ZYPPER}", True),
        ("dnf4", ZYPP, ADDED_BY_ZYPPER, False),
        (None, LIST, "cri-o-0:1.36.1-1.*", False),
    ],
)
def test_what_holds_a_package(
    manager: RpmManager | None, path: str, text: str, is_held: bool
) -> None:
    assert held(manager, path, text) is is_held


def test_a_dot_in_a_name_is_a_dot() -> None:
    assert not held("dnf4", LIST, "containerd-io-1-1.*", "containerd.io")
    assert held("dnf4", LIST, "containerd.io-1-1.*", "containerd.io")


@pytest.mark.parametrize("text", ["[[packages]", "x = " + "[" * 9999])
def test_a_file_that_dnf5_does_not_take_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=TOML):
        held("dnf5", TOML, text)


@given(
    st.sampled_from(["dnf4", "dnf5", "zypper", None]),
    st.dictionaries(st.sampled_from(rpm_locks.FILES), st.lists(st.text(max_size=40))),
)
def test_any_files_hold_or_not_or_are_an_error(
    manager: RpmManager | None, files: dict[str, list[str]]
) -> None:
    try:
        assert rpm_locks.is_held("cri-o", "x86_64", manager, files) in (True, False)
    except ValueError:
        assert TOML in files
