"""Record a fact's case from a running container.

    python -m tests.record_fact CONTAINER kernel.Sysctls CASE 'keys=["net.ipv4.ip_forward"]'

Runs the fact's command there, as pyinfra would, and writes the output and what the fact
makes of it to ``tests/facts/kernel.Sysctls/CASE.json``. Read the result: it becomes what the tests
expect.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
from pathlib import Path
from typing import Any

import docker

from tests.sealed import unsealed
from tests.targets import command

FACTS = Path(__file__).parent / "facts"


def record(
    container_name: str, fact_name: str, arguments: dict[str, Any], user: str = "root"
) -> dict[str, Any]:
    """The case: where it was recorded, the fact's arguments, the output, and the fact.

    + container_name: a running container
    + fact_name: module and class, such as ``kernel.Sysctls``
    + arguments: the fact's
    + user: who runs the command there
    """
    module_name, class_name = fact_name.rsplit(".", 1)
    fact = getattr(importlib.import_module(f"kubenode.facts.{module_name}"), class_name)()
    api = docker.from_env().api
    code, out, err = command.run(api, container_name, ["sh", "-c", fact.command(**arguments)], user)
    if code != 0:
        raise SystemExit(f"exit code {code}: {err}")
    output = out.splitlines()
    ask = ["sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"']
    _, system, _ = command.run(api, container_name, ask, "root")
    return {
        "recorded_on": f"{system.strip()} container, {datetime.date.today()}",
        "arg": arguments,
        "output": unsealed(output),
        "fact": fact.process(output),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("container")
    parser.add_argument("fact", help="such as kernel.Sysctls")
    parser.add_argument("case", help="the case's name")
    parser.add_argument("arguments", nargs="*", metavar="name=JSON")
    parser.add_argument("--user", default="root", help="who runs the command, default: root")
    options = parser.parse_args()
    arguments = {
        name: json.loads(value)
        for name, _, value in (argument.partition("=") for argument in options.arguments)
    }
    path = FACTS / options.fact / f"{options.case}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    case = record(options.container, options.fact, arguments, options.user)
    path.write_text(json.dumps(case, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
