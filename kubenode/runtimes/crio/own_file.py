"""The file that kubenode gives CRI-O: a drop-in of its own, behind all others.

``crio.conf`` and ``10-crio.conf`` stay as they are: a package's upgrade overwrites them. CRI-O
reads every file in ``crio.conf.d``, whatever its name is, so that a backup or a staged copy there
would count too, and the backup's name sorts behind the file's. So what is in ``crio.conf.d`` is a
link; the file, and all that is kept beside it, is one folder up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubenode.files.toml_text import Path, TomlText, UnsafeEditError, dotted, literal
from kubenode.runtimes.crio.config import DROP_INS
from kubenode.runtimes.edit import ConfigError, Edit, SettingChange

LINK = f"{DROP_INS}/99-kubenode.conf"
TARGET = "../kubenode.conf"
FILE = "/etc/crio/kubenode.conf"

HEAD = """# Written by kubenode, and read by CRI-O through crio.conf.d/99-kubenode.conf.
# What kubenode does not set here stays to the letter.
"""


def edited(text: str, values: Mapping[Path, Any]) -> Edit:
    """
    The file with settings, all else in it to the letter.

    + text: what is in it now, empty where there is none
    + values: what it is to state, by path

    ConfigError: it is not TOML, or cannot be edited safely.

    **Example:**

    .. code:: python

        edited("", {("crio", "runtime", "cgroup_manager"): "systemd"}).text
    """
    changes = []
    toml = TomlText(text if text.strip() else HEAD)
    for path, value in values.items():
        try:
            old = toml.get(path)
            if type(old) is type(value) and old == value:
                continue
            toml = toml.with_value(path, value)
        except (UnsafeEditError, RecursionError, ValueError) as error:
            raise ConfigError(FILE, 1, 1, f"cannot be edited safely: {error}") from None
        stated = None if old is None else literal(old)
        changes.append(SettingChange(dotted(path), stated, literal(value)))
    return Edit(toml.text if changes else text, tuple(changes))
