"""The ``kubenode`` command: audit hosts, and explain checks.

rich is imported only where it prints. Loading it takes as long as judging twenty hosts, and a
pipeline that asks for JSON does not need it.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, get_args

import click
from pyinfra.api import Config, Host, Inventory, State
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_config, ctx_inventory, ctx_state

from kubenode import settings
from kubenode.audit import aim, ask, check_page, output_file
from kubenode.audit.ask import Answer
from kubenode.audit.baseline import Saved
from kubenode.audit.checks.catalogue import CHECKS, RENAMED, by_id
from kubenode.audit.checks.check import Check
from kubenode.audit.findings import FleetReport, exit_code
from kubenode.audit.fleet_report import compared, fleet_report
from kubenode.audit.reports import FORMATS, format_of
from kubenode.profiles import ProfileName
from kubenode.run import pyinfra_internals

MISTAKE = 64
"""Exit code for a mistake of the caller (EX_USAGE of sysexits.h); 0 to 2 are about the hosts."""


class Mistake(click.ClickException):
    """The caller has to correct something; no host was asked."""

    exit_code = MISTAKE


def main() -> NoReturn:
    """Run the command; ends the process with its exit code."""
    # a reader such as `head` may close the pipe early
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _interrupted)
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.ClickException as error:
        error.show()
        code = MISTAKE
    sys.stdout.flush()
    sys.stderr.flush()
    # Python would wait for connections to hosts that never answered
    os._exit(code or 0)


def _interrupted(signum: int, frame: object) -> NoReturn:
    # an exception would be raised in whichever greenlet runs at the moment
    if sys.stderr.isatty():
        from rich.console import Console

        Console(stderr=True).show_cursor()
    os.write(2, b"kubenode: interrupted\n")
    os._exit(130)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pyinfra-kubenode", prog_name="kubenode")
def cli() -> None:
    """Judge Kubernetes nodes: what they are, whether they survive a reboot, and why not."""


@cli.command()
@click.argument("inventory")
@click.option("--for", "release", metavar="X.Y", help="Kubernetes release to judge for.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Choice(get_args(ProfileName)),
    help="What the nodes are used with; repeat it. In place of the hosts' kubenode_profiles.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="Of standard output, and of a FILE whose suffix says nothing; default: terminal.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="Write the report there, in the form the suffix stands for, or else in --format; repeat "
    "it. - is standard output, which gets the table where no other form is asked for.",
)
@click.option("--baseline", metavar="FILE", help="A JSON report to compare with.")
@click.option(
    "--fail-on",
    type=click.Choice(["warn", "fail"]),
    default="fail",
    show_default=True,
    help="The least serious finding that gives exit code 1.",
)
@click.option("--limit", multiple=True, metavar="HOST", help="Host pattern or group; repeat it.")
@click.option("--exclude", multiple=True, metavar="HOST", help="Host pattern or group; repeat it.")
@click.option("--sudo", is_flag=True, help="Look as root, by sudo without a password.")
@click.option("--sudo-user", metavar="USER", help="The user sudo goes to.")
@click.option("--ssh-user", "--user", "ssh_user", metavar="USER")
@click.option("--ssh-port", "--port", "ssh_port", type=int, metavar="PORT")
@click.option("--ssh-key", "--key", "ssh_key", metavar="FILE")
@click.option("--data", multiple=True, metavar="KEY=VALUE", help="Host data; repeat it.")
@click.option("--group-data", multiple=True, metavar="FOLDER", help="More group data; repeat it.")
@click.option("--parallel", type=click.IntRange(1), metavar="N", help="Hosts at a time.")
@click.option(
    "--timeout",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="For one host, connecting included.",
)
def audit(
    inventory: str,
    release: str | None,
    profiles: tuple[ProfileName, ...],
    form: str | None,
    outputs: tuple[str, ...],
    baseline: str | None,
    fail_on: Any,
    timeout: int,
    **connection: Any,
) -> None:
    """Judge the hosts of INVENTORY, and change nothing on them.

    INVENTORY is what pyinfra takes: a file, hosts with commas, @docker/NAME, @vagrant.

    Exit codes: 0 all is right (also with warnings, unless --fail-on warn), 1 findings, 2 the state
    of a host is not known: it was not reached, or a check that may hide a fail is unknown. 64: the
    command or a setting is wrong. Waived findings, drift and changes since a baseline do not count.
    """
    files = _files(outputs, form)
    saved = None if baseline is None else _load(baseline)
    data = _data(connection["data"], release, profiles)
    state, hosts = _prepare(inventory, data, connection)
    with _progress(len(hosts)) as answered:
        answers = ask.hosts(state, hosts, _names, seconds=timeout, answered=answered)
    report = fleet_report(
        [(answer, settings.for_host(answer.host)) for answer in answers],
        created=datetime.now(UTC).replace(microsecond=0),
        kubenode_version=version("pyinfra-kubenode"),
    )
    if baseline is not None and saved is not None:
        report = compared(report, Path(baseline).name, saved)
    _write(report, files)
    # --format may have been for a file
    is_for_files = files and "-" not in outputs and form in files.values()
    _print("terminal" if form is None or is_for_files else form, report)
    raise click.exceptions.Exit(exit_code(report, fail_on))


@cli.command()
@click.argument("check", required=False)
@click.option("--all", "every", is_flag=True, help="Every check, as one Markdown document.")
def explain(check: str | None, every: bool) -> None:
    """Print the page of CHECK: what it expects, why, and how to fix it.

    CHECK is a check's id. The beginning of ids, such as sysctl, or a pattern lists those that fit.
    """
    if every:
        sys.stdout.write(check_page.catalogue(CHECKS))
        return
    if check is None:
        raise Mistake("name a check, or give --all; `kubenode checks` lists them")
    try:
        page = check_page.page(by_id(check))
    except KeyError:
        beginning = check.rstrip(".") + "."
        fitting = [c for c in CHECKS if c.id.startswith(beginning) or fnmatchcase(c.id, check)]
        if not fitting:
            raise Mistake(_no_such_check(check)) from None
        _list(fitting)
        return
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(page))
    else:
        sys.stdout.write(page)


@cli.command()
def checks() -> None:
    """List the checks."""
    _list(CHECKS)


def _list(listed: Sequence[Check]) -> None:
    width = max(len(check.id) for check in listed)
    for check in listed:
        click.echo(f"{check.id:<{width}}  {check.title}")


def _no_such_check(name: str) -> str:
    if name in RENAMED:
        return f"{name} is now {RENAMED[name]}"
    ids = [known.id for known in CHECKS]
    # whoever writes swap.bot means swap.boot; what is like nothing at all gets no guess
    near = difflib.get_close_matches(name, ids, n=3, cutoff=0.7)
    topics = {check.topic for check in CHECKS}
    near = near or difflib.get_close_matches(name.partition(".")[0], topics, n=1, cutoff=0.7)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"no such check: {name}.{hint} `kubenode checks` lists them all."


def _files(outputs: Iterable[str], form: str | None) -> dict[str, str]:
    """The files to write, with the form of each: what the suffix stands for, or else *form*."""
    files: dict[str, str] = {}
    for path in outputs:
        if path == "-":
            continue
        name = format_of(path) or form
        if name is None:
            suffixes = ", ".join(suffix for f in FORMATS.values() for suffix in f.suffixes)
            raise Mistake(f"--output {path}: give --format, or one of the suffixes {suffixes}")
        if not Path(path).absolute().parent.is_dir():
            raise Mistake(f"--output {path}: there is no such folder")
        files[path] = name
    return files


def _load(path: str) -> Saved:
    from kubenode.audit.reports import json_report

    try:
        return json_report.load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Mistake(f"--baseline {path}: {error.strerror}") from None
    except ValueError as error:
        raise Mistake(f"--baseline {path}: {error}") from None


def _data(
    pairs: Iterable[str], release: str | None, profiles: Sequence[ProfileName]
) -> dict[str, Any]:
    """What the options say of every host: ``--data``, over it ``--for`` and ``--profile``."""
    data: dict[str, Any] = {}
    for pair in pairs:
        try:
            key, value = settings.from_option(pair)
        except ValueError as error:
            raise Mistake(f"--data {pair}: {error}") from None
        data[key] = value
    if release is not None:
        try:
            settings.minor_release(release)
        except ValueError as error:
            raise Mistake(f"--for {release}: {error}") from None
        data[f"{settings.PREFIX}kubernetes_version"] = release
    if profiles:
        data[f"{settings.PREFIX}profiles"] = list(profiles)
    return data


def _write(report: FleetReport, files: Mapping[str, str]) -> None:
    for path, form in files.items():
        try:
            output_file.write(path, FORMATS[form].render(report))
        except OSError as error:
            raise Mistake(f"--output {path}: {error.strerror}") from None


def _print(form: str, report: FleetReport) -> None:
    if form != "terminal":
        sys.stdout.write(FORMATS[form].render(report))
        return
    from rich.console import Console

    from kubenode.audit.reports import terminal

    terminal.print_report(report, Console(highlight=False, soft_wrap=False))


def _check_inventory(inventory: str) -> None:
    """Refuse the path of a file that does not exist: pyinfra would read it as a host, or as none.

    + inventory: a path, or hosts with commas; ``@docker/NAME`` is a host
    """
    if Path(inventory).exists():
        return
    for part in inventory.split(","):
        is_path = "/" in part or part.endswith(_INVENTORY_SUFFIXES)
        if is_path and not part.startswith("@"):
            raise Mistake(f"inventory {part}: there is no such file")


_INVENTORY_SUFFIXES = (".py", ".ini", ".yml", ".yaml", ".json", ".toml", ".txt", ".cfg")
"""pyinfra reads ``.py``; inventories of other tools have the other suffixes."""


def _prepare(
    inventory: str, data: dict[str, Any], connection: dict[str, Any]
) -> tuple[State, list[Host]]:
    """pyinfra's state for the run, and whom to ask."""
    _check_inventory(inventory)
    for folder in connection["group_data"]:
        # pyinfra would go on without the settings in it
        if not Path(folder).exists():
            raise Mistake(f"--group-data {folder}: there is no such folder")
    for name in ("ssh_user", "ssh_port", "ssh_key"):
        if connection[name] is not None:
            data[name] = connection[name]
    config = _config(connection)
    pyinfra_internals.switch_off_progress()
    state = State()
    state.cwd = os.getcwd()
    sys.path.append(state.cwd)
    ctx_state.set(state)
    ctx_config.set(config)
    found = _read_inventory(inventory, state.cwd, data, connection["group_data"])
    ctx_inventory.set(found)
    hosts = _chosen(inventory, found, connection["limit"], connection["exclude"])
    try:
        state.init(found, config, initial_limit=hosts)
        state.set_stage(StateStage.Prepare)
        for host in hosts:
            aim.check(host)
    except PyinfraError as error:
        raise Mistake(str(error)) from None
    return state, hosts


def _config(connection: Mapping[str, Any]) -> Config:
    # this module reports a host that does not answer as asked; pyinfra would end the run
    config = Config(FAIL_PERCENT=100)
    if connection["sudo"] or connection["sudo_user"]:
        config.SUDO = True
        config.SUDO_USER = connection["sudo_user"]
    if connection["parallel"]:
        config.PARALLEL = connection["parallel"]
    return config


def _read_inventory(
    inventory: str, folder: str, data: dict[str, Any], group_data: Sequence[str]
) -> Inventory:
    try:
        found: Inventory = pyinfra_internals.read_inventory(inventory, folder, data, group_data)
        return found
    except pyinfra_internals.NotAsKnown as error:
        raise Mistake(f"inventory {inventory}: {error}") from None
    # an inventory file is a program of the caller's
    except Exception as error:
        cause, is_pyinfras = pyinfra_internals.said_by_pyinfra(error)
        kind = "" if is_pyinfras else f"{type(cause).__name__}: "
        raise Mistake(f"inventory {inventory}: {kind}{cause}") from None


def _chosen(
    inventory: str, found: Inventory, limit: Sequence[str], exclude: Sequence[str]
) -> list[Host]:
    """The hosts that ``--limit`` names, or all, without those that ``--exclude`` names."""
    hosts = list(found)
    if not hosts:
        raise Mistake(f"inventory {inventory}: there are no hosts in it")
    for pattern in limit:
        if not any(_matches(host, pattern) for host in hosts):
            raise Mistake(f"--limit {pattern}: no host and no group of {inventory} is that")
    if limit:
        hosts = [host for host in hosts if any(_matches(host, pattern) for pattern in limit)]
    hosts = [host for host in hosts if not any(_matches(host, pattern) for pattern in exclude)]
    if not hosts:
        raise Mistake(f"inventory {inventory}: --exclude leaves no host")
    return hosts


def _matches(host: Host, pattern: str) -> bool:
    return fnmatchcase(host.name, pattern) or pattern in host.groups


def _names(host: Host) -> tuple[list[str], list[str]]:
    node = settings.for_host(host)
    return node.modules, list(node.sysctls)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Any]:
    """Show how many hosts answered: a bar on a terminal, nothing in a pipeline's log."""
    if not sys.stderr.isatty():
        yield lambda answer: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with Progress(
        TextColumn("asking hosts"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[last]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=total, last="")

        def answered(answer: Answer) -> None:
            progress.update(task, advance=1, last=answer.host.name)

        yield answered
