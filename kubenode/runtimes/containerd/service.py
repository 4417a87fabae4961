"""Drop-ins of containerd.service: proxies and the limit of open files.

systemd takes a unit's drop-ins in the order of their names, whatever directory they are in, and the
last one that states a setting wins (systemd.unit(5)). What ``EnvironmentFile=`` has wins over every
``Environment=``, and an empty ``EnvironmentFile=`` forgets those before it (systemd.exec(5)).

Proxies are in a file of their own for root alone, which a drop-in names: they may have a password,
and what is in ``Environment=`` systemd shows to every user (``systemctl show``).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kubenode.files.whole_file import Change, sum_of

DIRECTORY = "/etc/systemd/system/containerd.service.d"
PROXY_DROP_IN = f"{DIRECTORY}/http-proxy.conf"
LIMIT_DROP_IN = f"{DIRECTORY}/limit-nofile.conf"
PROXY_FILE = "/etc/containerd/proxy.env"

FILES = (PROXY_DROP_IN, LIMIT_DROP_IN, PROXY_FILE)

_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

_HEAD = "# Written by kubenode: what is changed here is replaced.\n"
_PROXY_TEXT = f"{_HEAD}[Service]\nEnvironmentFile={PROXY_FILE}\n"
# what systemd leaves in a line of a file as it is: no quote, backslash or blank
_WORD = re.compile(r"[!#-&(-\[\]-~]+")


def check_proxy(proxy: Mapping[str, str]) -> Mapping[str, str]:
    """*proxy* itself where it can be written, ValueError if not, which does not say a password.

    + proxy: ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``, as containerd reads them
    """
    if not isinstance(proxy, dict):
        raise ValueError(f"proxy is a dict of {', '.join(_VARIABLES)}")
    for name, value in proxy.items():
        if name not in _VARIABLES:
            raise ValueError(f"proxy has {name!r}: there are {', '.join(_VARIABLES)}")
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise ValueError(f"proxy[{name!r}] is not one word without blanks or quotes")
        if name != "NO_PROXY" and not _is_url(value):
            raise ValueError(f"proxy[{name!r}] is not a URL such as http://proxy.example:3128")
    return proxy


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https", "socks5") and bool(parts.hostname)


def check_limit(limit: object) -> int | str:
    """*limit* itself where it is one of open files, ValueError if not.

    + limit: a number for both limits, ``infinity``, or ``SOFT:HARD``
    """
    parts = limit.split(":") if isinstance(limit, str) else [limit]
    numbers = [
        number
        for part in parts
        if (number := _number(part)) is not None and (number == float("inf") or number >= 1024)
    ]
    if len(numbers) != len(parts) or len(parts) > 2 or numbers != sorted(numbers):
        raise ValueError(
            f"limit_nofile {limit!r}: a number from 1024 on, infinity, or SOFT:HARD of these"
        )
    assert isinstance(limit, (int, str))
    return limit


def _number(part: object) -> float | None:
    if isinstance(part, bool):
        return None
    if isinstance(part, int):
        return part
    if part == "infinity":
        return float("inf")
    return int(part) if isinstance(part, str) and re.fullmatch(r"[0-9]{1,10}", part) else None


@dataclass(frozen=True)
class ServiceNow:
    """What a host has.

    + files: sum and whether it is for root alone, of those of FILES that exist; None: not readable
    + lines: of the drop-ins in force, in their order, those that state LimitNOFILE or
      EnvironmentFile, by path
    + closed: drop-ins in force that could not be read
    + nr_open: the most that a limit may be, None when that is not known
    + pending: files of FILES that changed after the daemon has started
    """

    files: Mapping[str, tuple[str, bool] | None]
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    closed: Sequence[str] = ()
    nr_open: int | None = None
    pending: Sequence[str] = ()


@dataclass(frozen=True)
class ServicePlan:
    """What to do, or why not to.

    + changes: files to write
    + explained: what becomes of each setting, a sentence each
    + pending: files that are as wanted, and that only a restart puts in force
    + blocked: why nothing may be done
    """

    changes: tuple[Change, ...] = ()
    explained: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    blocked: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all is as wanted."""
        return not (self.changes or self.pending)


def service_plan(
    proxy: Mapping[str, str] | None, limit: int | str | None, now: ServiceNow
) -> ServicePlan:
    """
    The drop-ins to write, or why they would not count.

    + proxy: None leaves what is there, an empty one takes kubenode's away
    + limit: None leaves what is there
    + now: what the host has

    **Example:**

    .. code:: python

        service_plan({"HTTPS_PROXY": "http://proxy.example:3128"}, 1048576, now).changes
    """
    wanted: dict[str, str] = {}
    explained: dict[str, str] = {}
    if proxy is not None and (proxy or PROXY_FILE in now.files):
        wanted[PROXY_FILE] = _HEAD + "".join(f"{name}={value}\n" for name, value in proxy.items())
        wanted[PROXY_DROP_IN] = _PROXY_TEXT if proxy else _HEAD
        names = f"{', '.join(proxy)}, with values that are not shown" if proxy else "nothing"
        explained[PROXY_FILE] = f"{PROXY_FILE}: {names}"
        how = f"EnvironmentFile={PROXY_FILE}, which wins over Environment= of every drop-in"
        explained[PROXY_DROP_IN] = f"{PROXY_DROP_IN}: {how if proxy else 'no proxy'}"
    if limit is not None:
        wanted[LIMIT_DROP_IN] = f"{_HEAD}[Service]\nLimitNOFILE={limit}\n"
        before = "those of before have no LimitNOFILE"
        for path, lines in now.lines.items():
            if path != LIMIT_DROP_IN and (stated := _stated(lines, "LimitNOFILE")):
                before = f"it wins over {stated[-1]} of {path}"
        explained[LIMIT_DROP_IN] = f"{LIMIT_DROP_IN}: LimitNOFILE={limit}; {before}"
    if problem := _problem(wanted, limit, now):
        return ServicePlan(blocked=f"{problem}: nothing was changed")
    changes = []
    for path, text in wanted.items():
        there = now.files.get(path, (sum_of(None), True))
        if there is None:
            return ServicePlan(blocked=f"cannot read {path}: nothing was changed")
        secret = path != LIMIT_DROP_IN
        was, private = there
        if was != sum_of(text.encode()) or (secret and not private):
            changes.append(Change(path, None, text.encode(), secret=secret, was=was))
    return ServicePlan(
        tuple(changes),
        tuple(explained[change.path] for change in changes),
        tuple(path for path in now.pending if path in wanted),
    )


def _problem(wanted: Mapping[str, str], limit: int | str | None, now: ServiceNow) -> str | None:
    """Why drop-ins would not count.

    systemd takes the closest limit where the kernel refuses one (setrlimit_closest).
    """
    if wanted and now.closed:
        return f"cannot read {', '.join(now.closed)}, and so not which drop-in wins"
    hard = _number(str(limit).rpartition(":")[2]) if limit is not None else None
    if hard is not None and hard != float("inf") and now.nr_open and hard > now.nr_open:
        return (
            f"LimitNOFILE={limit} is above fs.nr_open ({now.nr_open}), and systemd would give "
            "containerd less: raise that sysctl first"
        )
    for path, key in ((LIMIT_DROP_IN, "LimitNOFILE"), (PROXY_DROP_IN, "EnvironmentFile")):
        if path not in wanted:
            continue
        for other, lines in now.lines.items():
            stated = _stated(lines, key)
            if stated and _sorts_after(other, path):
                return (
                    f"{other} has {stated[-1]}, and what it says wins over {path}: drop-ins count "
                    "in the order of their names. Remove that line"
                )
    return None


def _sorts_after(other: str, path: str) -> bool:
    return posixpath.basename(other) > posixpath.basename(path)


def _stated(lines: Sequence[str], key: str) -> list[str]:
    found = [re.sub(r"\s*=\s*", "=", line.strip(), count=1) for line in lines]
    return [line for line in found if line.startswith(f"{key}=")]
