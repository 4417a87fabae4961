"""Registries, their mirrors and what may be asked of them, in a file of kubenode's own.

CRI-O takes them from ``/etc/containers/registries.conf`` and the files beside it, at its start and
at SIGHUP. One that cannot be used ends its start ("invalid registries"), so each is checked here.

Source: containers-registries.conf(5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubenode.files import toml_text
from kubenode.runtimes.config_swap import UNPROVEN_SUFFIX

FILE = "/etc/containers/registries.conf.d/50-kubenode.conf"
NOTE = f"{FILE}{UNPROVEN_SUFFIX}"
"""That CRI-O has not taken it yet."""
HEAD = (
    "# Written by kubenode: what crio.registries is told. Other registries go into other files.\n"
)

_PLACE = re.compile(
    r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?(?:/[a-z0-9][a-z0-9._/-]*)?", re.ASCII
)
_KEYS = ("location", "mirrors", "insecure", "blocked")
_MIRROR_KEYS = ("location", "insecure")

Registry = Mapping[str, Any]


def check(registries: object) -> Mapping[str, Registry | None]:
    """*registries* themselves when CRI-O can use them, ValueError if not.

    + registries: by what an image's name begins with (``docker.io``, ``quay.io/team``): a dict of
      ``location`` (where it is instead), ``mirrors`` (asked first, in their order: each a place, or
      a dict of ``location`` and ``insecure``), ``insecure`` and ``blocked``; None removes it
    """
    if not isinstance(registries, Mapping):
        raise ValueError("registries is a dict, such as {'docker.io': {'mirrors': [...]}}")
    for prefix, stated in registries.items():
        where = f"registry {prefix!r}"
        _check_place(where, prefix)
        if stated is None:
            continue
        _check_keys(where, stated, _KEYS)
        if not stated:
            raise ValueError(f"{where} says nothing: give it mirrors, or None to remove it")
        if "location" in stated:
            _check_place(f"{where}: location", stated["location"])
        for key in ("insecure", "blocked"):
            if not isinstance(stated.get(key, False), bool):
                raise ValueError(f"{where}: {key} is True or False, not {stated[key]!r}")
        mirrors = stated.get("mirrors", [])
        if not isinstance(mirrors, list | tuple):
            raise ValueError(f"{where}: mirrors is a list, not {mirrors!r}")
        for mirror in mirrors:
            of_mirror = mirror if isinstance(mirror, Mapping) else {"location": mirror}
            _check_keys(f"{where}: a mirror", of_mirror, _MIRROR_KEYS)
            _check_place(f"{where}: a mirror's location", of_mirror.get("location"))
            if not isinstance(of_mirror.get("insecure", False), bool):
                raise ValueError(f"{where}: a mirror's insecure is True or False")
    return registries


def _check_keys(where: str, stated: object, known: Sequence[str]) -> None:
    if not isinstance(stated, Mapping):
        raise ValueError(f"{where} is a dict of {', '.join(known)}, not {stated!r}")
    for key in stated:
        if key not in known:
            raise ValueError(f"{where} has {', '.join(known)}, and no {key!r}")


def _check_place(where: str, place: object) -> None:
    if not isinstance(place, str) or not _PLACE.fullmatch(place):
        raise ValueError(f"{where}: a place without scheme, such as mirror.example.org/docker")


def edited(text: str | None, registries: Mapping[str, Registry | None]) -> str:
    """The file with these registries; those that are not named stay.

    + text: what is in it now, None where there is none
    + registries: see :func:`check`

    ValueError: it is not kubenode's, or cannot be understood.

    **Example:**

    .. code:: python

        edited(None, {"docker.io": {"mirrors": ["mirror.example.org/docker"]}})
    """
    there = _stated(text or "")
    for prefix, stated in registries.items():
        if stated is None:
            there.pop(prefix, None)
        else:
            there[prefix] = _normal(stated)
            if there[prefix].get("location") == prefix:
                del there[prefix]["location"]
    if not there:
        return "" if not text else HEAD
    return HEAD + "".join(_table(prefix, each) for prefix, each in sorted(there.items()))


def _stated(text: str) -> dict[str, dict[str, Any]]:
    if text.strip() and not text.startswith(HEAD.partition(":")[0]):
        raise ValueError(f"{FILE} is not kubenode's: rename it")
    try:
        data = toml_text.loads(text)
        found = {}
        for each in data.get("registry", []):
            stated = {key: each[key] for key in ("location", "insecure", "blocked") if key in each}
            if mirrors := each.get("mirror"):
                stated["mirrors"] = mirrors
            if stated.get("location") == each["prefix"]:
                del stated["location"]
            found[str(each["prefix"])] = _normal(stated)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{FILE}: {error}") from None
    return found


def _normal(stated: Registry) -> dict[str, Any]:
    mirrors = [
        dict(each) if isinstance(each, Mapping) else {"location": each}
        for each in stated.get("mirrors", ())
    ]
    rest = {key: stated[key] for key in ("location", "insecure", "blocked") if key in stated}
    return {**rest, "mirrors": mirrors}


def _table(prefix: str, stated: Mapping[str, Any]) -> str:
    lines = ["", "[[registry]]", f"prefix = {json.dumps(prefix)}"]
    if "location" not in stated and not prefix.startswith("*."):
        # without one the whole file is refused
        lines.append(f"location = {json.dumps(prefix)}")
    lines += [f"{key} = {json.dumps(value)}" for key, value in stated.items() if key != "mirrors"]
    for mirror in stated["mirrors"]:
        lines += ["[[registry.mirror]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in mirror.items()]
    return "\n".join(lines) + "\n"
