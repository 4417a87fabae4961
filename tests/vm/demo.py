"""The demo on virtual machines: nodes, twice, audited, rebooted, and audited again."""

from __future__ import annotations

import os
import sys

from rich.console import Console

from tests.targets.daemon import TargetError
from tests.targets.transcript import has_changed, shown
from tests.vm import box
from tests.vm.lab import WORK, Lab, obstacle

_INVENTORY = "inventories/vagrant.py"


def main() -> int:
    """Run the demo; the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    lab = Lab("demo", box.SUITES, console.print)
    keep = bool(os.environ.get("KUBENODE_KEEP_MACHINES"))
    try:
        if reason := obstacle():
            raise TargetError(reason)
        lab.destroy()
        try:
            return _show(console, lab)
        finally:
            if not keep:
                lab.destroy()
            _say_what_is_left(console, lab, keep)
    except TargetError as error:
        print(f"vagrant-demo: {error}", file=sys.stderr)
        return 1


def _show(console: Console, lab: Lab) -> int:
    console.rule("Machines: plain Debian 12 and 13, by the Vagrantfile")
    machines = lab.up()
    environment = lab.environment()
    deploy = ["pyinfra", "-y", _INVENTORY, "deploy.py"]
    audit = ["kubenode", "audit", _INVENTORY]

    console.rule("First run: makes them nodes")
    code, _ = shown(deploy, environment)
    if code != 0:
        return _failed(f"pyinfra ended with exit code {code}")
    console.rule("Second run: nothing left to change")
    code, output = shown(deploy, environment)
    if code != 0 or has_changed(output):
        return _failed("the second run failed or changed something")
    console.rule("Audit: will they survive a reboot?")
    code, _ = shown(audit, environment)
    if code != 0:
        return _failed(f"the audit ended with exit code {code}")

    console.rule("Reboot")
    for machine in machines.values():
        machine.reboot()
        console.print(f"{machine.domain}: up again, {machine.sh('uname -r').strip()}")
    console.rule("Audit after the reboot: did they?")
    code, _ = shown(audit, environment)
    if code != 0:
        return _failed(f"the audit after the reboot ended with exit code {code}")
    console.rule("Third run, after the reboot: nothing to change")
    code, output = shown(deploy, environment)
    if code != 0 or has_changed(output):
        return _failed("the run after the reboot failed or changed something")
    return 0


def _failed(reason: str) -> int:
    print(f"vagrant-demo: {reason}, see above", file=sys.stderr)
    return 1


def _say_what_is_left(console: Console, lab: Lab, keep: bool) -> None:
    console.rule("What is left")
    if keep:
        settings = " ".join(f"{key}='{value}'" for key, value in lab.environment().items())
        console.print(f"The machines run. To go on with them: export {settings}", soft_wrap=True)
        console.print("They go with: scripts/with-libvirt .venv/bin/python -m tests.vm destroy")
    else:
        console.print(
            "The machines are gone; with KUBENODE_KEEP_MACHINES=1 they stay, to play with."
        )
    size = sum(path.stat().st_size for path in WORK.rglob("*") if path.is_file()) // 1024**2
    console.print(
        f"Boxes for the next run are in {WORK.name} of the checkout's .cache ({size} MiB): "
        "`make clean` removes them. Packages that were installed stay: vagrant, libvirt and qemu."
    )


if __name__ == "__main__":
    sys.exit(main())
