"""A check's page: what ``kubenode explain`` prints, and ``docs/checks.md`` is made of."""

from __future__ import annotations

from collections.abc import Iterable

from kubenode.audit.checks.check import Check


def page(check: Check, level: int = 1) -> str:
    """The page of one check as Markdown.

    + check: the check
    + level: of its heading
    """
    facts = [
        ("expected", check.expected),
        ("otherwise", check.severity),
        ("remedy", check.remedy),
        ("operation", f"`{check.operation}`" if check.operation else "none of kubenode's"),
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
    return head + rows + "".join(f"\n{page(check, 2)}" for check in listed)
