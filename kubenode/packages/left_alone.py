"""What tells unattended-upgrades and needrestart to leave packages and their services alone.

A hold keeps a package's version. It does not keep needrestart from restarting a runtime whose
libraries were upgraded, and a package that needs a newer one of a held package is upgraded as soon
as somebody lets the hold go. Both programs read folders, also if they are installed later:

+ ``/etc/apt/apt.conf.d/52kubenode-NAME.conf``: ``Unattended-Upgrade::Package-Blacklist``. apt
  ignores files whose ending is not ``.conf``, and ``.io`` of ``containerd.io`` would be one
+ ``/etc/needrestart/conf.d/kubenode-NAME.conf``: ``override_rc``; the folder is made where there is
  no needrestart

Sources: apt.conf(5), unattended-upgrade's 50unattended-upgrades, needrestart's README.nagios and
needrestart.conf, perlop (``$)`` in a pattern is no variable).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubenode.files.whole_file import Change

NEEDRESTART = "/etc/needrestart/conf.d"
"""The folder that needrestart reads behind its own file."""

NEEDRESTART_MAIN = "/etc/needrestart/needrestart.conf"


@dataclass(frozen=True)
class LeftAlone:
    """What is left alone.

    + name: in the files' names, such as ``containerd``
    + packages: that are not upgraded
    + services: units that are not restarted
    """

    name: str
    packages: Sequence[str]
    services: Sequence[str]


def apt_file(name: str) -> str:
    """The file for unattended-upgrades.

    + name: see :class:`LeftAlone`
    """
    # apt reads no file with "+" in its name
    return f"/etc/apt/apt.conf.d/52kubenode-{name.replace('+', '_')}.conf"


def needrestart_file(name: str) -> str:
    """The file for needrestart.

    + name: see :class:`LeftAlone`
    """
    return f"{NEEDRESTART}/kubenode-{name}.conf"


def files(wanted: LeftAlone) -> dict[str, bytes]:
    """The files that say it, by path.

    + wanted: what is left alone

    **Example:**

    .. code:: python

        files(LeftAlone("containerd", ["containerd", "containerd.io"], ["containerd.service"]))
    """
    blacklist = [
        "// kubenode holds these packages: unattended-upgrades leaves them alone.",
        *(
            f'Unattended-Upgrade::Package-Blacklist:: "^{_exactly(name)}$";'
            for name in wanted.packages
        ),
    ]
    found = {apt_file(wanted.name): blacklist}
    if wanted.services:
        found[needrestart_file(wanted.name)] = [
            "# kubenode holds what these run: needrestart does not restart them.",
            *(f"$nrconf{{override_rc}}{{qr(^{_exactly(name)}$)}} = 0;" for name in wanted.services),
        ]
    return {path: "".join(f"{line}\n" for line in lines).encode() for path, lines in found.items()}


def changes(wanted: LeftAlone, now: Mapping[str, bytes]) -> list[Change]:
    """What has to be written so that it is said.

    + wanted: what is left alone
    + now: content of the files that are there, by path
    """
    return [
        Change(path, now.get(path), content)
        for path, content in files(wanted).items()
        if now.get(path) != content
    ]


def absent(name: str, now: Mapping[str, bytes]) -> list[Change]:
    """What has to be removed so that nothing is said any more.

    + name: see :class:`LeftAlone`
    + now: content of the files that are there, by path
    """
    return [
        Change(path, now[path], None)
        for path in (apt_file(name), needrestart_file(name))
        if path in now
    ]


def _exactly(name: str) -> str:
    """A pattern, Python's and Perl's, for a package's or a unit's name; no ``\\``, which apt.conf
    and Perl read differently."""
    return re.sub(r"[^A-Za-z0-9_@:-]", lambda found: f"[{found[0]}]", name)


# a name, with what stands for a dot or a plus in it; whole, or its beginning
_PATTERN = re.compile(
    r"qr\(\^((?:[A-Za-z0-9_@:-]|\\[.+]|\[[.+]\])+)((?:\(\\\.service\)\?)?)(\$?)\)"
)
_SET = re.compile(
    rf"(?:\$nrconf\{{override_rc\}}(?:->)?\{{)?\s*{_PATTERN.pattern}\s*(?:\}}\s*=|=>)\s*([01])\s*[;,]?"
)


def is_spared(service: str, texts: Sequence[str]) -> bool:
    """Whether needrestart leaves a service alone, as far as its files say so in plain words.

    + service: a unit's name
    + texts: of its files, in the order in which it reads them

    They are Perl. A line that gives a name, or its beginning, a 0 is understood, as in its own
    file (``qr(^docker) => 0,``), and nothing else. Of those that match the first of their sorted
    patterns counts.

    **Example:**

    .. code:: python

        is_spared("containerd.service", ["$nrconf{override_rc}{qr(^containerd)} = 0;"])
    """
    found: dict[str, bool] = {}
    for text in texts:
        for line in text.splitlines():
            if match := _SET.fullmatch(line.strip()):
                written, ending, whole, value = match.groups()
                name = re.sub(r"\\(.)|\[(.)\]", lambda each: each[1] or each[2], written)
                names = [name, f"{name}.service"] if ending else [name]
                if service in names or (not whole and service.startswith(name)):
                    found[f"{written}{ending}{whole}"] = value == "0"
    return found[min(found)] if found else False
