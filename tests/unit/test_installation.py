"""Which packages are installed and held, and the package managers' words for it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.packages import manager
from kubenode.packages.installation import Installation, Installed, Program, installation

THERE = Installed("containerd", "1.7.24-1", held=True, configured=True)
PROGRAM = Program("/usr/bin/containerd", "1.7.24", THERE, False, None)
NOTHING = Program(None, None, None, False, None)


def of(now: Program, version: str | None = None, hold: bool = True) -> Installation:
    return installation(now, "containerd", version, hold)


@pytest.mark.parametrize(
    ("now", "version", "hold", "installs", "finishes", "holds"),
    [
        (NOTHING, None, True, "containerd", False, "containerd"),
        (NOTHING, "1.7", False, "containerd 1.7", False, None),
        (PROGRAM, None, True, None, False, None),
        (PROGRAM, "1.7.24-1", True, None, False, None),
        (PROGRAM, "1.7.24", True, None, False, None),
        (PROGRAM, "1.7.2", True, "containerd 1.7.2", False, None),
        (replace(PROGRAM, package=replace(THERE, held=False)), None, True, None, False,
         "containerd"),
        (replace(PROGRAM, package=replace(THERE, held=False)), None, False, None, False, None),
        # another source's package is held by its own name
        (replace(PROGRAM, package=replace(THERE, name="containerd.io", held=False)), None, True,
         None, False, "containerd.io"),
        (replace(PROGRAM, package=None), None, True, None, False, None),
        # what was begun is finished, and the hold is put back
        (replace(PROGRAM, package=replace(THERE, configured=False), dpkg_interrupted=True), None,
         False, "containerd", True, "containerd"),
        (replace(NOTHING, dpkg_at_work="7 dpkg"), None, False, "containerd", True, None),
        # dpkg was interrupted at something else, and there is nothing to install
        (replace(PROGRAM, dpkg_interrupted=True), None, True, None, False, None),
    ],
)  # fmt: skip
def test_what_is_missing_is_done(
    now: Program,
    version: str | None,
    hold: bool,
    installs: str | None,
    finishes: bool,
    holds: str | None,
) -> None:
    done = of(now, version, hold)
    assert (done.installs, done.finishes_dpkg, done.holds, done.blocked) == (
        installs,
        finishes,
        holds,
        None,
    )
    assert bool(done.explained("apt-get")) == (not done.is_empty)


@pytest.mark.parametrize("package", [None, replace(THERE, name="containerd.io")])
def test_somebody_elses_program_does_not_become_a_version(package: Installed | None) -> None:
    done = of(replace(PROGRAM, package=package), "1.7.24")
    assert str(done.blocked).startswith("containerd 1.7.24 at /usr/bin/containerd is not from")
    assert (done.installs, done.holds) == (None, None)


def test_a_program_says_where_it_is_from() -> None:
    assert str(NOTHING) == "not installed"
    assert str(PROGRAM) == "1.7.24 at /usr/bin/containerd, package containerd 1.7.24-1, held"
    broken = replace(PROGRAM, version=None, package=replace(THERE, held=False, configured=False))
    assert str(broken) == (
        "unknown version at /usr/bin/containerd, package containerd 1.7.24-1, not configured"
    )


@given(st.text(max_size=12), st.text(max_size=12))
def test_an_rpms_version_stands_for_any_of_its_releases(version: str, release: str) -> None:
    assert manager.is_version(version, version)
    assert manager.is_version(f"{version}-{release}", version)
    assert not manager.is_version(f"{version}0", f"{version}1")


@pytest.mark.parametrize("of_manager", ["apt-get", "dnf", "zypper"])
def test_words_are_whole(of_manager: str) -> None:
    wanted = manager.pinned(of_manager, "x", "1;2")
    commands = [manager.hold(of_manager, "x;y")]
    if of_manager == "apt-get":
        commands += [manager.install_with_apt([wanted], 9), manager.simulated(["x;y"])]
    else:
        commands += [manager.install(of_manager, wanted), manager.finish("dnf", ["x;y"])]
        commands += [manager.change_held(of_manager, "x;y", wanted)]
    for command in commands:
        assert not re.search(r"\{options|\{package|@[A-Z]+@", command)
        assert "'x" in command


def test_an_epoch_is_left_out_or_right() -> None:
    assert manager.is_version("3:2.1-1", "2.1")
    assert manager.is_version("3:2.1-1", "3:2.1-1")
    assert not manager.is_version("3:2.1-1", "2:2.1-1")
    assert not manager.is_version("2.1-1", "3:2.1")


def test_rpm_finishes_where_it_was_stopped() -> None:
    stopped = replace(PROGRAM, package=replace(THERE, configured=False), dpkg_interrupted=True)
    for by in ("dnf", "zypper"):
        assert of(stopped).explained(by)[0].startswith("rpm was interrupted")
    assert manager.finish("apt-get", ["x"]) == manager.FINISH_DPKG
