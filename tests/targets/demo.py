"""The demo: fresh targets made nodes, made nodes again, and what they look like then."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from tests.targets import container, cri, daemon, image, pyinfra_cli
from tests.targets.container import Target
from tests.targets.transcript import has_changed, shown

_ROOT = Path(__file__).parent.parent.parent
_ROLE = "demo"
_MODULES = ("overlay", "br_netfilter")
_SYSCTLS = (
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_forward",
)


def main() -> int:
    """Run the demo; the exit code. It removes its targets whatever happens."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    try:
        client = daemon.connect()
        try:
            _stop_all(client)
            return _show(console, client)
        finally:
            _stop_all(client)
            console.print(
                "Targets removed. Images stay for the next run: `make clean` removes them."
            )
    except (daemon.TargetError, cri.CriError, container.CommandError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _show(console: Console, client: Any) -> int:
    console.rule("Targets: plain Debian hosts with systemd, in containers")
    image.ensure(client, image.SUITES, console.print)
    targets = []
    for suite in image.SUITES:
        targets.append(container.start(client, suite, role=_ROLE, name=f"{_ROLE}-{suite}"))
        console.print(f"{targets[-1].name}: up")

    for title in ("First run: makes them nodes", "Second run: nothing left to change"):
        console.rule(title)
        code, output = shown(["pyinfra", "-y", "inventories/docker.py", "deploy.py"])
        if code != 0:
            print(f"demo: pyinfra ended with exit code {code}, see above", file=sys.stderr)
            return code
    if has_changed(output):
        print("demo: the second run changed something, see above", file=sys.stderr)
        return 1

    console.rule("Audit: what they are, and whether they survive a reboot")
    code, _ = shown(["kubenode", "audit", "inventories/docker.py"])
    if code != 0:
        print(f"demo: the audit ended with exit code {code}, see above", file=sys.stderr)
        return 1

    console.rule("What they look like now")
    console.print(_facts_table(targets))
    console.rule("A pod that asks for /kubepods.slice, and the cgroup it is in")
    misplaced = 0
    for target in targets:
        path = _pod_cgroup(target)
        placed = path.startswith("/kubepods.slice/cri-containerd-") and path.endswith(".scope")
        misplaced += not placed
        console.print(f"{target.name}: {path}{'' if placed else '  <- not in a systemd scope'}")
    return 1 if misplaced else 0


def _facts_table(targets: list[Target]) -> Table:
    modules = _fact("kernel.KernelModules", f"modules={','.join(_MODULES)}")
    sysctls = _fact("kernel.Sysctls", f"keys={','.join(_SYSCTLS)}")
    cgroups = _fact("cgroup.Cgroups")
    drivers = _fact("cgroup.CgroupDrivers")
    runtimes = _fact("containerd.Containerd")

    hosts_columns = [Column(target.name, overflow="fold") for target in targets]
    table = Table(Column("", no_wrap=True), *hosts_columns)
    hosts = [target.host()[0] for target in targets]

    def row(label: str, cell: Any) -> None:
        table.add_row(label, *(str(cell(host)) for host in hosts))

    for module in _MODULES:
        row(f"module {module}", lambda h, m=module: _module(modules[h]["modules"][m]))
    for key in _SYSCTLS:
        row(key, lambda h, k=key: _sysctl(sysctls[h]["keys"][k]))
    row("cgroups", lambda h: f"{cgroups[h]['mode']}, systemd {cgroups[h]['systemd']['version']}")
    row("cgroup drivers", lambda h: _drivers(drivers[h]))
    row("containerd", lambda h: _installed(runtimes[h]["installed"]))
    row("its configuration", lambda h: f"version {runtimes[h]['config']['version']}")
    row("its pause image", lambda h: runtimes[h]["pause_image"])
    row("its CRI", lambda h: runtimes[h]["cri"])
    return table


def _fact(name: str, *arguments: str) -> dict[str, Any]:
    """A fact of all demo targets, by pyinfra's name of the host."""
    fact = f"kubenode.facts.{name}"
    result = pyinfra_cli.run("--json", "inventories/docker.py", "fact", fact, *arguments, cwd=_ROOT)
    values: dict[str, Any] = next(iter(result.json().values())) if result.stdout else {}
    if result.returncode != 0 or not values or None in values.values():
        raise daemon.TargetError(f"fact {fact} failed:\n{result.stderr}")
    return values


def _module(module: dict[str, Any]) -> str:
    boot = "asked for at boot" if module["requested_by"] else "not asked for at boot"
    return f"{module['state']}, {boot}"


def _sysctl(sysctl: dict[str, Any]) -> str:
    winner = sysctl["winner"]
    where = f" ({winner['file']}:{winner['line']})" if winner else ""
    return f"{sysctl['live']}, at boot {sysctl['boot']}{where}"


def _drivers(drivers: dict[str, Any]) -> str:
    stated = [f"{name}: {part['driver']}" for name, part in drivers["components"].items()]
    return ", ".join(stated) + ("" if drivers["agree"] else " (they disagree)")


def _installed(installed: dict[str, Any]) -> str:
    package = installed["package"]
    return f"{installed['version']}{', held' if package and package['held'] else ''}"


def _pod_cgroup(target: Target) -> str:
    target.import_pause_image()
    with target.cri() as runtime, runtime.pod("/kubepods.slice") as pod:
        return pod.cgroup


def _stop_all(client: Any) -> None:
    for target in container.running(client, _ROLE):
        target.stop()


if __name__ == "__main__":
    sys.exit(main())
