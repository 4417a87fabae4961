"""Command line for boxes and machines: ``python -m tests.vm build|test|destroy|clean``."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.targets.daemon import TargetError
from tests.vm import box
from tests.vm.lab import WORK, Lab, obstacle


def main() -> int:
    """Run the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    commands = parser.add_subparsers(required=True)
    build = commands.add_parser("build", help="build the boxes that are missing, for Vagrant")
    build.set_defaults(command=_build)
    test = commands.add_parser("test", help="run the tests, those of each suite beside the other's")
    test.set_defaults(command=_test)
    destroy = commands.add_parser("destroy", help="remove the machines of the demo and the tests")
    destroy.set_defaults(command=_destroy)
    clean = commands.add_parser("clean", help="remove machines, boxes and all else of Vagrant's")
    clean.set_defaults(command=_clean)
    arguments = parser.parse_args()
    try:
        return int(arguments.command() or 0)
    except TargetError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1


def _say(line: str) -> None:
    print(line, flush=True)


def _build() -> None:
    if reason := obstacle():
        raise TargetError(reason)
    lab = Lab("demo", box.SUITES, _say)
    lab.prepare()
    settings = " ".join(f"{name}={box.name(suite)}" for suite, name in lab.names.items())
    _say("To use these boxes with the Vagrantfile yourself:")
    _say(f'export VAGRANT_HOME="{WORK / "home"}" KUBENODE_MACHINES="{settings}"')


def _test() -> int:
    """The worst exit code of both. One machine is mostly one busy CPU: two take as long as one."""
    with ThreadPoolExecutor() as suites:
        return max(suites.map(_test_suite, box.SUITES))


def _test_suite(suite: str) -> int:
    command = [sys.executable, "-m", "pytest", "-m", "vm", "-k", suite, "tests/vm"]
    with subprocess.Popen(
        [*command, "--verbose", "--durations=8", f"--override-ini=cache_dir={WORK}/pytest-{suite}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            _say(f"{suite} | {line.rstrip()}")
    return process.returncode


def _destroy() -> None:
    for purpose, suites in (
        ("demo", box.SUITES),
        *(("test", (suite,)) for suite in box.SUITES),
    ):
        Lab(purpose, suites, _say).destroy()


def _clean() -> None:
    _destroy()
    shutil.rmtree(WORK, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
