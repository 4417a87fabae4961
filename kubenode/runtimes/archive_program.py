"""A runtime's program that a release archive brings: what :mod:`.program_change` calls for it."""

from __future__ import annotations

from kubenode.packages import archive_change, package_change
from kubenode.packages.archive import Build
from kubenode.packages.package_change import PackageChange
from kubenode.run import host_script
from kubenode.runtimes.program_change import Program

_OF_ARCHIVE = host_script.read(__file__, "program_of_archive.sh")

_NO_PACKAGES = """installs=; removes=; expected=; holds=
pm_expected() { :; }
pm_is_there() { :; }
pm_hold() { :; }
"""


def of_archive(
    build: Build | None,
    old_build: str | None,
    now: str | None = None,
    packages: PackageChange | None = None,
    manager: str = "apt-get",
) -> Program:
    """The program that a release archive brings, or that a package brings instead of one.

    + build: the new one; its files wait on the host (:mod:`kubenode.packages.archive_transfer`).
      None leaves archives: the packages bring the program
    + old_build: the name of the build that is in use, None for none
    + now: containerd's version now, None where there is none
    + packages: those that go for it, or come instead of it
    + manager: ``apt-get``, ``dnf`` or ``zypper``

    **Example:**

    .. code:: python

        program = of_archive(archive.build(stated, "amd64"), None)
        yield program_change.change(program, {}, main, daemon, service)
    """
    if build is None:
        what = "containerd of a package instead of the archive's"
        phrases = [f"containerd {now or 'of an archive'} (archive) goes"]
    else:
        what = f"containerd {build.version} of an archive"
        was = f"{now} -> " if now else ""
        phrases = [f"containerd {was}{build.version} (archive {build.name})"]
    if packages is not None:
        phrases += packages.explained
    functions = with_packages(archive_change.change(build, old_build), packages, manager)
    return Program(what, ", ".join(phrases), functions)


def with_packages(archive: str, packages: PackageChange | None, manager: str) -> str:
    """The functions of a program that an archive brings, and packages that go for it or come.

    + archive: sh of what the head of ``archive_change.sh`` names, and of what it has otherwise than
      ``program_of_archive.sh``
    + packages: those that go for it, or come instead of it
    + manager: ``apt-get``, ``dnf`` or ``zypper``
    """
    of_packages = _NO_PACKAGES if packages is None else package_change.functions(packages, manager)
    return "\n".join([of_packages, _OF_ARCHIVE, archive])
