"""The ``kubenode`` command: audit hosts, and explain checks.

rich is imported where it prints: to load it takes as long as to judge twenty hosts, and a pipeline
that asks for JSON needs none of it.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
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
from kubenode.audit import check_page, drift, output_file
from kubenode.audit.baseline import Saved, changes
from kubenode.audit.checks.catalogue import CHECKS, RENAMED, by_id
from kubenode.audit.checks.check import Check
from kubenode.audit.findings import FleetReport, HostReport, exit_code, judge_host
from kubenode.audit.gather import Answer, gather
from kubenode.audit.reports import FORMATS, format_of
from kubenode.profiles import ProfileName
from kubenode.run import pyinfra_internals

MISTAKE = 64
"""Exit code for the caller's own mistake (EX_USAGE of sysexits.h): 0 to 2 speak of the hosts."""


class Mistake(click.ClickException):
    """Something the caller has to correct; nothing was asked of any host."""

    exit_code = MISTAKE


def main() -> NoReturn:
    """Run the command; ends the process with its exit code."""
    # a reader such as `head` that has seen enough
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
    # connections of hosts that never answered would be waited for
    os._exit(code or 0)


def _interrupted(signum: int, frame: object) -> NoReturn:
    # an exception would come up in whichever greenlet happens to run
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

    Exit codes: 0 all is right (warnings too, unless --fail-on warn), 1 findings, 2 some host could
    not be told: not reached, or a check that may hide a fail is unknown there. 64: a mistake of the
    caller's. Waived findings, drift and changes to a baseline do not count.
    """
    files = _files(outputs, form)
    saved = None if baseline is None else _load(baseline)
    data = _data(connection["data"])
    if release is not None:
        try:
            settings.minor_release(release)
        except ValueError as error:
            raise Mistake(f"--for {release}: {error}") from None
        data["kubenode_kubernetes_version"] = release
    if profiles:
        data["kubenode_profiles"] = list(profiles)
    state, hosts = _prepare(inventory, data, connection)
    with _progress(len(hosts)) as answered:
        answers = gather(state, hosts, _names, seconds=timeout, answered=answered)
    report = _report(answers, release, profiles, baseline, saved)

    for path, name in files.items():
        try:
            output_file.write(path, FORMATS[name].render(report))
        except OSError as error:
            raise Mistake(f"--output {path}: {error.strerror}") from None
    on_stdout = form or "terminal"
    if files and "-" not in outputs and on_stdout in files.values():
        # --format was for a file
        on_stdout = "terminal"
    if on_stdout == "terminal":
        from rich.console import Console

        from kubenode.audit.reports import terminal

        terminal.print_report(report, Console(highlight=False, soft_wrap=False))
    else:
        sys.stdout.write(FORMATS[on_stdout].render(report))
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


def _data(pairs: Iterable[str]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for pair in pairs:
        try:
            key, value = settings.from_option(pair)
        except ValueError as error:
            raise Mistake(f"--data {pair}: {error}") from None
        data[key] = value
    return data


def _check_inventory(inventory: str) -> None:
    """Refuse the path of a file that is not there, which pyinfra would take for a host or for none.

    + inventory: a path, or hosts with commas; ``@docker/NAME`` is a host
    """
    if Path(inventory).exists():
        return
    for part in inventory.split(","):
        is_path = "/" in part or part.endswith(_INVENTORY_SUFFIXES)
        if is_path and not part.startswith("@"):
            raise Mistake(f"inventory {part}: there is no such file")


_INVENTORY_SUFFIXES = (".py", ".ini", ".yml", ".yaml", ".json", ".toml", ".txt", ".cfg")
"""pyinfra reads the first; the others are what inventories of other tools end in."""


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
    # a host that answers but not as asked is this module's to report, not pyinfra's
    config = Config(FAIL_PERCENT=100)
    if connection["sudo"] or connection["sudo_user"]:
        config.SUDO = True
        config.SUDO_USER = connection["sudo_user"]
    if connection["parallel"]:
        config.PARALLEL = connection["parallel"]
    pyinfra_internals.switch_off_progress()
    state = State()
    state.cwd = os.getcwd()
    sys.path.append(state.cwd)
    ctx_state.set(state)
    ctx_config.set(config)
    try:
        found = pyinfra_internals.read_inventory(
            inventory, state.cwd, data, connection["group_data"]
        )
    except pyinfra_internals.NotAsKnown as error:
        raise Mistake(f"inventory {inventory}: {error}") from None
    # an inventory file is a program of the caller's
    except Exception as error:
        cause, is_pyinfras = pyinfra_internals.said_by_pyinfra(error)
        kind = "" if is_pyinfras else f"{type(cause).__name__}: "
        raise Mistake(f"inventory {inventory}: {kind}{cause}") from None
    ctx_inventory.set(found)
    hosts = list(found)
    if not hosts:
        raise Mistake(f"inventory {inventory}: there are no hosts in it")
    if connection["limit"]:
        chosen = [[host for host in hosts if _matches(found, host, p)] for p in connection["limit"]]
        for pattern, matching in zip(connection["limit"], chosen, strict=True):
            if not matching:
                raise Mistake(f"--limit {pattern}: no host and no group of {inventory} is that")
        hosts = [host for host in hosts if any(host in matching for matching in chosen)]
    hosts = [
        host for host in hosts if not any(_matches(found, host, p) for p in connection["exclude"])
    ]
    if not hosts:
        raise Mistake(f"inventory {inventory}: --exclude leaves no host")
    try:
        state.init(found, config, initial_limit=hosts)
        state.set_stage(StateStage.Prepare)
        for host in hosts:
            settings.for_host(host)
    except PyinfraError as error:
        raise Mistake(str(error)) from None
    return state, hosts


def _matches(inventory: Inventory, host: Host, pattern: str) -> bool:
    return fnmatchcase(host.name, pattern) or pattern in host.groups


def _names(host: Host) -> tuple[list[str], list[str]]:
    node = settings.for_host(host)
    return node.modules, list(node.sysctls)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Any]:
    """How many hosts answered: a bar on a terminal, nothing in a pipeline's log but the end."""
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


def _report(
    answers: list[Answer],
    release: str | None,
    profiles: tuple[ProfileName, ...],
    baseline: str | None,
    saved: Saved | None,
) -> FleetReport:
    hosts = tuple(_host_report(answer) for answer in answers)
    facts = {host.host: drift.values(host.facts) for host in hosts if host.facts}
    shared = drift.duplicates({host.host: host.facts for host in hosts if host.facts})
    nodes = [settings.for_host(answer.host) for answer in answers]
    report = FleetReport(
        hosts=hosts,
        created=datetime.now(UTC).replace(microsecond=0),
        kubenode_version=version("pyinfra-kubenode"),
        kubernetes=_common(node.kubernetes_version for node in nodes),
        profiles=tuple(sorted({name for node in nodes for name in node.profiles})),
        drift=(*shared, *drift.drift(facts)),
        checks=CHECKS,
    )
    if saved is None or baseline is None:
        return report
    return _with_changes(report, f"{Path(baseline).name} of {saved.created}", saved, facts)


def _with_changes(report: FleetReport, name: str, saved: Saved, facts: Any) -> FleetReport:
    fields = {**vars(report), "baseline": name, "changes": changes(saved, report, facts)}
    return FleetReport(**fields)


def _common(releases: Iterable[str | None]) -> str | None:
    found = set(releases)
    return found.pop() if len(found) == 1 else None


def _host_report(answer: Answer) -> HostReport:
    if answer.facts is None:
        return HostReport(answer.host.name, error=answer.error)
    node = settings.for_host(answer.host)
    return judge_host(
        answer.host.name, answer.facts, settings.aim(node), CHECKS, settings.waivers(node)
    )
