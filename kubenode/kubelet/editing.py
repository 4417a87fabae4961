"""kubelet's files with other values, and all else in them to the letter.

What a text means afterwards is read again, and has to be what was wanted: where it is not, the text
is not one that can be changed safely.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kubenode.files import go_yaml
from kubenode.kubelet import fields

HEAD = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"


class CannotEdit(ValueError):
    """A text that nobody can change safely; the text says why."""


def with_settings(text: str, wanted: Mapping[str, Any]) -> str:
    """A file of kubelet's with other values.

    + text: the file, in YAML
    + wanted: values by field; of a mapping only its own names are changed

    CannotEdit where it is no such file, or has what is wanted in a form that has no lines.

    **Example:**

    .. code:: python

        with_settings("cgroupDriver: cgroupfs # ours\\n", {"cgroupDriver": "systemd"})
    """
    try:
        before = go_yaml.mapping(text)
    except go_yaml.YamlError as error:
        raise CannotEdit(str(error)) from error
    new = text
    for name, value in wanted.items():
        if not fields.same(before.get(name), value):
            new = _with(new, name, value, before)
    if not _is_as(new, before, wanted):
        raise CannotEdit(
            f"{', '.join(wanted)} stand in it in a form that has no line for each: change it there"
        )
    return new


def _is_as(text: str, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    try:
        after = go_yaml.mapping(text)
    except go_yaml.YamlError:
        return False
    expected = dict(before)
    for name, value in wanted.items():
        old = before.get(name)
        if isinstance(value, Mapping):
            expected[name] = {**(old if isinstance(old, Mapping) else {}), **value}
        else:
            expected[name] = list(value) if isinstance(value, tuple) else value
    return after == expected and all(fields.same(after.get(name), wanted[name]) for name in wanted)


def _with(text: str, name: str, value: Any, before: Mapping[str, Any]) -> str:
    old = before.get(name)
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += ending
    at = next(
        (number for number, line in enumerate(lines) if re.match(rf"{name}[ \t]*:", line)), None
    )
    if at is None:
        if name in before:
            # a second one would win, and kubelet warns of it: "key already set in map"
            raise CannotEdit(f"{name} does not stand there as a plain key: change it there")
        end = _end_of_document(lines)
        return "".join([*lines[:end], *_block(name, value, ending), *lines[end:]])
    last = at + 1
    while last < len(lines) and re.match(r"[ \t]+\S|- |-\s*$|[ \t]*(#.*)?\r?$", lines[last]):
        last += 1
    # what stands between two settings belongs to the next one
    while last > at + 1 and re.match(r"[ \t]*(#.*)?\r?$", lines[last - 1].rstrip("\n")):
        last -= 1
    block = lines[at:last]
    if isinstance(value, Mapping) and isinstance(old, Mapping) and len(block) > 1:
        block = _with_names(block, value, ending)
    elif len(block) == 1:
        block = _one_line(block[0], name, value, ending)
    elif any("#" in line for line in block):
        raise CannotEdit(f"{name} has remarks between its lines: change it there")
    else:
        block = _block(name, value, ending)
    return "".join([*lines[:at], *block, *lines[last:]])


def _end_of_document(lines: list[str]) -> int:
    """Where a line more still belongs to the first document."""
    started = False
    for number, line in enumerate(lines):
        if re.match(r"(---|\.\.\.)(\s|$)", line) and started:
            return number
        started = started or (bool(line.strip()) and not line.startswith(("#", "---", "%")))
    return len(lines)


def _one_line(line: str, name: str, value: Any, ending: str) -> list[str]:
    found = re.fullmatch(rf"({name}[ \t]*:[ \t]*)(.*?)([ \t]+#.*?)?(\r?\n)", line)
    if found is None:
        raise CannotEdit(f"{name} stands in it in a form that is not read")
    head, remark = found[1].rstrip(" \t"), found[3] or ""
    first, *rest = _block(name, value, ending)
    return [f"{head}{first[len(name) + 1 :].rstrip()}{remark}{found[4]}", *rest]


def _with_names(block: list[str], wanted: Mapping[str, Any], ending: str) -> list[str]:
    """The lines of a mapping with other values of some of its names."""
    lines = list(block)
    indents = [
        found[1] for line in lines[1:] if (found := re.match(r"([ \t]+)[^\s#]", line)) is not None
    ]
    indent = min(indents, key=len)
    for name, value in wanted.items():
        pattern = re.compile(
            rf'({re.escape(indent)}["\']?{re.escape(str(name))}["\']?[ \t]*:)[ \t]*'
            r"(.*?)([ \t]+#.*?)?(\r?\n)"
        )
        for number, line in enumerate(lines):
            if found := pattern.fullmatch(line):
                lines[number] = f"{found[1]} {_scalar(value)}{found[3] or ''}{found[4]}"
                break
        else:
            lines.append(f"{indent}{name}: {_scalar(value)}{ending}")
    return lines


def _block(name: str, value: Any, ending: str) -> list[str]:
    if isinstance(value, Mapping):
        lines = [f"{name}:"] + [f"  {key}: {_scalar(each)}" for key, each in value.items()]
    elif isinstance(value, (list, tuple)):
        lines = [f"{name}:"] + [f"- {_scalar(each)}" for each in value]
        if not value:
            lines = [f"{name}: []"]
    else:
        lines = [f"{name}: {_scalar(value)}"]
    return [f"{line}{ending}" for line in lines]


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if isinstance(value, str):
        try:
            plain = go_yaml.mapping(f"a: {text}\n").get("a")
        except go_yaml.YamlError:
            plain = None
        # what would be read as a number, a truth or nothing is quoted
        return text if plain == value else json.dumps(text)
    return text


def patch(wanted: Mapping[str, Any]) -> str:
    """A KubeletConfiguration that has nothing but what is wanted, as kubeadm takes it.

    + wanted: values by field
    """
    return HEAD + "".join("".join(_block(name, value, "\n")) for name, value in wanted.items())


def with_flag(text: str, flag: str, value: str) -> str:
    """A file for ``EnvironmentFile=`` with another value of a flag.

    + text: the file
    + flag: its name without dashes
    + value: what it gets

    CannotEdit where the flag does not stand there exactly once as ``--flag=value``.
    """
    name = "[-_]".join(map(re.escape, flag.split("-")))
    pattern = re.compile(rf"(?<![\w-])(--{name}=)([^\s\"'\\]*)(?=[\s\"']|$)")
    found = pattern.findall(text)
    if len(found) != 1:
        raise CannotEdit(f"--{flag} does not stand there exactly once as --{flag}=VALUE")
    return pattern.sub(lambda match: f"{match[1]}{value}", text)
