"""Start, list, test on and remove Docker targets: ``python -m tests.targets``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.targets import container, daemon, image, rpm_image, side_by_side


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except daemon.TargetError as error:
        print(f"targets: {error}", file=sys.stderr)
        return 1


def _build(options: argparse.Namespace) -> None:
    client = daemon.connect()
    image.ensure(client, options.suites, _say)
    for suite in options.suites:
        _say(f"{suite}: image {image.tag(suite)} is there")
    if set(options.suites) == set(image.SUITES):
        rpm_image.ensure(client, rpm_image.SUITES, _say)


def _up(options: argparse.Namespace) -> None:
    client = daemon.connect()
    image.ensure(client, options.suites, _say)
    existing = {target.name: target for target in container.running(client, options.role)}
    for suite in options.suites:
        name = f"{options.role}-{suite}"
        if name in existing:
            existing[name].wait_until_up()
            _say(f"{name}: is up already")
            continue
        started = time.monotonic()
        container.start(client, suite, role=options.role, name=name)
        _say(f"{name}: up in {time.monotonic() - started:.1f} s")


def _down(options: argparse.Namespace) -> None:
    for target in container.running(daemon.connect(), options.role):
        target.stop()
        _say(f"{target.name}: removed, with its volume")


def _list(options: argparse.Namespace) -> None:
    for target in container.running(daemon.connect()):
        print(f"{target.name}\t{target.suite}\t{target.init}\t{target.address}")


def _clean(options: argparse.Namespace) -> None:
    client = daemon.connect()
    for target in container.running(client):
        target.stop()
        _say(f"{target.name}: removed, with its volume")
    if options.images:
        for tag in (*rpm_image.remove(client), *image.remove(client)):
            _say(f"{tag}: removed")


def _test(options: argparse.Namespace) -> int:
    image.ensure(daemon.connect(), image.SUITES, _say)
    return side_by_side.run(_say)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.targets", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build the images that are missing")
    build.set_defaults(command=_build)
    test = commands.add_parser("test", help="run all tests but those on virtual machines")
    test.set_defaults(command=_test)
    up = commands.add_parser("up", help="start one target for each suite, building what is missing")
    up.set_defaults(command=_up)
    for command in (build, up):
        command.add_argument(
            "--suites",
            type=_suites,
            default=list(image.SUITES),
            help=f"comma-separated, default: {','.join(image.SUITES)}",
        )
    down = commands.add_parser("down", help="remove the targets of a role, with their volumes")
    down.set_defaults(command=_down)
    for command in (up, down):
        command.add_argument("--role", default="demo", help="what they are for, default: demo")
    commands.add_parser("list", help="show all targets").set_defaults(command=_list)
    clean = commands.add_parser("clean", help="remove all targets, with their volumes")
    clean.add_argument("--images", action="store_true", help="the images too")
    clean.set_defaults(command=_clean)
    return parser


def _suites(text: str) -> list[str]:
    suites = text.split(",")
    for suite in suites:
        if suite not in image.SUITES:
            raise argparse.ArgumentTypeError(
                f"no such suite: {suite!r}; there are {', '.join(image.SUITES)}"
            )
    return suites


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
