"""Which key of a file a program in Go takes for a setting: decoders fold case, each in its way.

A table of a configuration file becomes a struct, whose fields are found by name, or a map, whose
keys are taken as they stand. Only fields fold. Sources, each tried on the program itself:

- go-toml 1 (containerd 1.x), ``Decoder.valueFromTree``: the name as it is, then in lower case, then
  in upper case, then with a small first letter. The first that is there counts.
- go-toml 2 (containerd 2.x), ``decoder.handleKeyPart`` and ``structFields``: any case. All count,
  one after the other, so the last one wins. containerd writes tables of plugins again before it
  decodes them, sorted by key: the last one by its bytes wins.
- BurntSushi/toml (CRI-O), ``MetaData.unifyStruct``: any case; among several the order is random.
- encoding/json (dockerd): any case, but dockerd first compares every key with its flags, to the
  letter, and does not start with one that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Decoder = Callable[[str, Iterable[str]], list[str]]
"""From a field's name and a table's keys to the keys that mean the field, the one that counts
last."""


def go_toml_1(name: str, keys: Iterable[str]) -> list[str]:
    """The keys that go-toml 1 takes for the field *name*, the one that counts last.

    **Example:**

    .. code:: python

        go_toml_1("SystemdCgroup", ["systemdCgroup", "Systemdcgroup"])  # ["systemdCgroup"]
    """
    tried = dict.fromkeys([name, name.lower(), name.upper(), name[:1].lower() + name[1:]])
    there = set(keys)
    return [key for key in reversed(tried) if key in there]


def any_case(name: str, keys: Iterable[str]) -> list[str]:
    """The keys that go-toml 2 and BurntSushi/toml take for the field *name*, sorted by bytes.

    **Example:**

    .. code:: python

        any_case("SystemdCgroup", ["systemdCgroup", "SystemdCgroup"])  # the small one wins
    """
    return sorted((key for key in keys if key.lower() == name.lower()), key=str.encode)
