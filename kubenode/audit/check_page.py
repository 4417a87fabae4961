"""A check's page: what ``kubenode explain`` prints, and ``docs/checks.md`` is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubenode.audit.checks.check import Check
from kubenode.audit.checks.no_operation import WHY


def page(check: Check, level: int = 1) -> str:
    """The page of one check as Markdown.

    + check: the check
    + level: of its heading
    """
    facts = [
        ("expected", check.expected),
        ("otherwise", check.severity),
        ("remedy", check.remedy),
        ("operation", f"`{check.operation}`" if check.operation else f"none: {WHY[check.id]}"),
        ("profiles", ", ".join(sorted(check.profiles)) or "every node"),
        ("mirrors", "; ".join(check.mirrors) or "no other tool's check"),
    ]
    lines = [f"{'#' * level} {check.id}", "", f"**{check.title}.**", "", check.why, ""]
    lines += [f"- {name}: {text}" for name, text in facts]
    lines += [f"- source: <{source}>" for source in check.sources]
    return "\n".join(lines) + "\n"


def catalogue(checks: Iterable[Check]) -> str:
    """Every check's page as one Markdown document, with a table of them first."""
    listed = list(checks)
    head = (
        "# Checks\n\n"
        "Made by `kubenode explain --all`. Waivers, baselines and pipelines refer to the ids: they "
        "stay.\n\n| check | rule | otherwise |\n|---|---|---|\n"
    )
    rows = "".join(
        f"| [{check.id}](#{check.id.replace('.', '')}) | {check.title} | {check.severity} |\n"
        for check in listed
    )
    return (
        head
        + rows
        + _without_operation(listed)
        + "".join(f"\n{page(check, 2)}" for check in listed)
    )


def _without_operation(checks: Sequence[Check]) -> str:
    """How many checks' findings no operation repairs, and why, as Markdown."""
    left = [check.id for check in checks if check.operation is None]
    by_reason: dict[str, list[str]] = {}
    for check in left:
        by_reason.setdefault(WHY[check], []).append(check)
    rows = "".join(f"| {len(ids)} | {why} | {', '.join(ids)} |\n" for why, ids in by_reason.items())
    return (
        f"\nOf {len(checks)} checks {len(checks) - len(left)} name the operation that repairs what "
        f"they find. These {len(left)} do not:\n\n| how many | why | which |\n|---|---|---|\n{rows}"
    )
