"""What is said of a change of packages, and what a host is told to expect, install and remove."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.packages import package_change
from kubenode.packages.package_change import PackageChange

NAMES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,9}", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9][A-Za-z0-9.+~-]{0,9}", fullmatch=True)
CHANGES = st.builds(
    PackageChange,
    installs=st.dictionaries(NAMES, VERSIONS, min_size=1, max_size=2),
    removes=st.lists(NAMES, max_size=3, unique=True),
    now=st.dictionaries(NAMES, VERSIONS, max_size=4),
    related=st.lists(NAMES, max_size=4, unique=True),
    holds=st.lists(NAMES, max_size=2, unique=True),
)


def variables(change: PackageChange, manager: str = "apt-get") -> dict[str, list[str]]:
    """The lists that the host's functions begin with, as a shell reads them."""
    text = package_change.functions(change, manager)
    found = {}
    for line in text.splitlines()[:5]:
        [word] = shlex.split(line)
        name, _, value = word.partition("=")
        found[name] = value.split()
    return found


@given(CHANGES)
def test_what_is_expected_is_what_the_plan_was_made_from(change: PackageChange) -> None:
    lists = variables(change)
    assert lists["expected"] == [f"{name}={version}" for name, version in change.now.items()]
    assert lists["installs"] == [f"{name}={version}" for name, version in change.installs.items()]
    assert lists["holds"] == list(change.holds)


@given(CHANGES)
def test_only_what_is_there_goes_and_nobody_is_named_twice(change: PackageChange) -> None:
    lists = variables(change)
    assert set(lists["removes"]) == set(change.removes) & set(change.now)
    assert not set(lists["related"]) & {*change.installs, *lists["removes"]}


@given(CHANGES)
def test_each_package_that_comes_or_goes_is_told(change: PackageChange) -> None:
    told = change.explained
    assert len(told) == len(change.installs) + len(variables(change)["removes"])
    for name, version in change.installs.items():
        was = change.now.get(name)
        assert (f"{name} {was} -> {version}" if was else f"{name} {version} (new)") in told


@given(CHANGES)
def test_each_package_manager_gets_the_same_lists(change: PackageChange) -> None:
    lists = variables(change)
    for manager in ("dnf", "zypper"):
        assert variables(change, manager) == lists
        assert f"manager={manager}\n" in package_change.functions(change, manager)


@pytest.mark.parametrize("manager", ["apt-get", "dnf", "zypper"])
def test_each_manager_has_all_functions(manager: str) -> None:
    text = package_change.functions(PackageChange({"containerd": "2"}), manager)
    for name in ("expected", "fetch", "unpack", "keep", "switch", "is_there", "back", "hold"):
        assert text.count(f"\npm_{name}() {{") == 1
    assert (f"\nmanager={manager}\n" in text) == (manager != "apt-get")


CHANGE = PackageChange(
    {"containerd.io": "2.1.9-1"},
    ("containerd", "runc"),
    {"containerd": "1.7.24-1", "runc": "1.1-1"},
    ("containerd", "containerd.io", "runc"),
)


def fetch(folder: Path, simulated: str) -> tuple[int, str]:
    """Exit code and words of ``pm_fetch`` where apt-get, a stand-in, says what it would do."""
    script = f"""
change={folder}; nl='
'
say() {{ printf '%s\\n' "$*" >&2; }}
{package_change.functions(CHANGE, "apt-get")}
chown() {{ :; }}
apt() {{ case $1 in -s) printf %s {shlex.quote(simulated)};; esac; }}
patiently() {{ exit 0; }}
pm_fetch
"""
    finished = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    return finished.returncode, finished.stderr


def test_what_goes_besides_is_refused_by_its_name(tmp_path: Path) -> None:
    code, said = fetch(
        tmp_path, "Remv containerd [1.7.24-1]\nRemv docker.io [26.1.5]\nInst containerd.io (2)\n"
    )
    assert (code, "apt-get would remove docker.io for that" in said) == (1, True)


def test_what_comes_besides_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    code, said = fetch(
        tmp_path,
        "Remv containerd [1.7.24-1]\nRemv runc [1.1-1]\n"
        "Inst libc6 [2.36-9] (2.41-6 Debian:13/stable [amd64])\n"
        "Inst containerd.io (2.1.9-1 Docker CE:trixie [amd64])\nInst new-one (1)\n",
    )
    assert code == 0
    assert said == "apt-get updates for that too, and it stays whatever comes of it: libc6\n"
    # it was not there, so it goes when the change is undone
    assert (tmp_path / "brought").read_text() == " new-one\n"
    assert fetch(tmp_path, "Remv runc [1.1-1]\nInst containerd.io (2.1.9-1)\n") == (0, "")
