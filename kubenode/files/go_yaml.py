"""YAML as kubelet and crictl read it, which are written in Go.

Their readers (sigs.k8s.io/yaml over go-yaml v2, go-yaml v3) are neither YAML 1.1 nor 1.2:

* ``yes``, ``on`` and ``y`` are true, ``no``, ``off`` and ``n`` false, in three spellings each;
  quoted they are texts. ``010`` is 8, ``0x8``, ``0o10`` and ``0b1000`` too; ``1:30`` is a text
* of several documents the first one is read, and a text of comments alone is nothing
* of two equal keys the last one counts; keys are what they are, in upper and lower case
* a tab is white space where it indents nothing: ``failSwapOn: false<tab># ours``

ruamel.yaml finds the parts of a text; what they mean is decided here. That takes time that grows
with the text, 8 µs a byte, so that a text has to be short. Aliases are the value itself, not a
copy: what would multiply them, a merge key (``<<``), is refused; node agents' files have none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

MOST_CHARACTERS = 32 * 1024
"""Of all files of one program: the whole of kubelet's settings has 6 KiB."""
_DEEPEST = 64
_LONGEST_MESSAGE = 300


class YamlError(ValueError):
    """What is no YAML, or more than is read."""


@dataclass(frozen=True)
class Document:
    """The first document of a text."""

    data: Any = None
    """None when there is nothing in it."""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of an outermost mapping with a line for each key: where the keys' values, if these are
    plain values, begin and end in the text."""


# Most hosts of a fleet have the same file. What it holds is not changed by anybody.
@lru_cache(maxsize=64)
def read(text: str) -> Document:
    """The first document of *text*.

    + text: a stranger's

    YamlError: it is no YAML, or longer than :data:`MOST_CHARACTERS`, nested too deeply, or has
    merge keys.

    **Example:**

    .. code:: python

        read("failSwapOn: no\\t# swap is welcome\\n").data  # {"failSwapOn": False}
    """
    # slow to import, and most hosts have no need of it
    from ruamel.yaml import YAML

    if len(text) > MOST_CHARACTERS:
        raise YamlError(f"longer than {MOST_CHARACTERS // 1024} KiB, which is not read")
    yaml = YAML(typ="safe", pure=True)
    try:
        return _composed(iter(yaml.parse(_TABS.sub(_blanks, text))))
    except YamlError:
        raise
    # it raises what it likes
    except Exception as error:
        raise YamlError(" ".join(str(error).split())[:_LONGEST_MESSAGE]) from error


# behind a colon, and at the end of a line or in front of its comment
_TABS = re.compile(r"(?<=:)[ \t]++|(?<=[^\s])[ \t]++(?=[#\r\n]|\Z)")


def _blanks(found: re.Match[str]) -> str:
    return " " * len(found[0])


class _Node:
    """A list or mapping that is being read; the outermost one has one value, the document."""

    def __init__(self, value: list[Any] | dict[Any, Any] | None, anchor: str | None = None) -> None:
        self.value = value
        self.anchor = anchor
        self.key: Any = None
        self.has_key = False


def _composed(events: Any) -> Document:
    from ruamel.yaml import events as kinds

    stack = [_Node([])]
    anchors: dict[str, Any] = {}
    places: dict[str, tuple[int, int]] = {}
    in_lines = False
    for event in events:
        place = None
        if isinstance(event, kinds.DocumentEndEvent):
            break
        if isinstance(event, kinds.ScalarEvent):
            value = _scalar(event)
            place = (event.start_mark.index, event.end_mark.index)
            if event.anchor:
                anchors[event.anchor] = value
        elif isinstance(event, kinds.AliasEvent):
            if event.anchor not in anchors:
                raise YamlError(f"unknown anchor {event.anchor!r}"[:_LONGEST_MESSAGE])
            value = anchors[event.anchor]
        elif isinstance(event, kinds.SequenceStartEvent | kinds.MappingStartEvent):
            in_lines = in_lines or (len(stack) == 1 and not event.flow_style)
            is_list = isinstance(event, kinds.SequenceStartEvent)
            stack.append(_Node([] if is_list else {}, event.anchor))
            if len(stack) > _DEEPEST:
                raise YamlError(f"nested deeper than {_DEEPEST}, which is not read")
            continue
        elif isinstance(event, kinds.SequenceEndEvent | kinds.MappingEndEvent):
            ended = stack.pop()
            value = ended.value
            # only now: a value inside itself is none
            if ended.anchor:
                anchors[ended.anchor] = value
        else:
            continue
        owner = stack[-1]
        if isinstance(owner.value, list):
            owner.value.append(value)
        elif not owner.has_key:
            if isinstance(event, kinds.ScalarEvent) and event.style is None and value == "<<":
                raise YamlError("has YAML merge keys (<<)")
            if isinstance(value, list | dict):
                raise YamlError("a key is no text")
            owner.key, owner.has_key = value, True
        else:
            assert isinstance(owner.value, dict)
            owner.value[owner.key] = value
            owner.has_key = False
            if len(stack) == 2 and isinstance(owner.key, str):
                places.pop(owner.key, None)
                if place:
                    places[owner.key] = place
    outermost = stack[0].value
    assert isinstance(outermost, list)
    return Document(outermost[0] if outermost else None, places if in_lines else {})


_WORDS: dict[str, bool | None] = {
    spelled: meaning
    for meaning, names in (
        (True, ("y", "yes", "true", "on")),
        (False, ("n", "no", "false", "off")),
        (None, ("null",)),
    )
    for name in names
    for spelled in (name, name.capitalize(), name.upper())
} | {"": None, "~": None}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?(?:0[xX]([0-9A-Fa-f]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([0-9]+))")
_BASES = (16, 2, 8, 10)
_MOST_DIGITS = 64


def _scalar(event: Any) -> Any:
    """What a value means to go-yaml v2."""
    text: str = event.value
    tag = str(event.tag or "").rpartition(":")[2]
    if tag in ("str", "binary", "!") or (not tag and event.style is not None):
        return text
    plain = _plain(text)
    kinds: dict[str, tuple[type, ...]] = {
        "bool": (bool,),
        "int": (int,),
        "float": (int, float),
        "null": (type(None),),
    }
    if tag in kinds and (type(plain) not in kinds[tag]):
        raise YamlError(f"{text[:60]!r} is no {tag}")
    return plain


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "")
    if len(digits) > _MOST_DIGITS:
        return text
    if found := _INTEGER.fullmatch(digits):
        value, base = next(
            (value, base) for value, base in zip(found.groups(), _BASES, strict=True) if value
        )
        number = int(value, base)
        if base != 10 or value[0] != "0" or value == "0":
            return -number if digits[0] == "-" else number
    return float(digits) if _FLOAT.fullmatch(digits) else text


def mapping(text: str) -> dict[str, Any]:
    """The settings in the first document of *text*, empty when there is nothing in it.

    + text: a stranger's

    YamlError also when it is something else than a mapping.
    """
    data = read(text).data
    if data is not None and not isinstance(data, dict):
        raise YamlError("not a mapping of settings")
    return {name: value for name, value in (data or {}).items() if isinstance(name, str)}
