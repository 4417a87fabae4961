"""``hosts.toml``: what containerd makes of a registry's file, and the file for what is wanted.

containerd only logs a file that it cannot use, and pulls as if there were none; a key that it does
not know it does not even log. So what is wrong with a file is said here. What containerd does:

- ``[host."URL"]`` tables are tried in the order in which they stand, ``server`` last; without
  ``server`` that is the registry itself.
- 1.x needs a ``host`` table, and takes an inline one. 2.x takes a ``server`` alone, and does not
  see hosts in inline tables.
- A URL without a scheme is https. ``/v2`` is put behind its path, unless it ends so already or
  ``override_path`` is true. A user and a password in a URL are dropped.
- An unknown capability, a value of the wrong type, and what is no TOML make the whole file
  ignored. A certificate that cannot be read makes each pull fail.
- Keys fold case; ``host`` and the names in it do not.

Source: containerd, core/remotes/docker/config/hosts.go and docs/hosts.md.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from packaging.version import Version

from kubenode.files.toml_text import Path, TomlText, TooMuchError, UnsafeEditError, literal, loads

NAME = "hosts.toml"
DEFAULT_DIRECTORY = "/etc/containerd/certs.d"
"""Where the field keeps them, and 2.2 looks by itself."""
ANY_REGISTRY = "_default"

CAPABILITIES = ("pull", "resolve", "push", "referrers")
_REFERRERS_SINCE = Version("2.2")
_DIAL_TIMEOUT_SINCE = Version("2.1")
_TABLES_ONLY_SINCE = Version("2.0")

Effect = Literal["ignored", "unused", "fails"]
"""What comes of a problem: containerd logs it and ignores the file, it does not use that setting
and says nothing, or it fails each pull."""

_MOST_HOSTS = 64
_MOST_FILES = 16


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, or with what shall become one.

    + path: keys that lead to it
    + reason: what is wrong, and what to do; never a header's value
    + effect: what containerd makes of it
    """

    path: Path
    reason: str
    effect: Effect

    def __str__(self) -> str:
        where = "".join(f"[{shown(str(key))!r}]" for key in self.path)
        return f"{where} {self.reason}" if where else self.reason


def shown(url: str) -> str:
    """A URL for people to see: without the user and the password that may be in it.

    + url: a URL, or any other text
    """
    return re.sub(r"//[^/]*@", "//***@", url)


def problems_of(data: Mapping[str, Any], version: Version | None) -> list[Problem]:
    """What is wrong with a file, by what it says.

    + data: what the file says
    + version: containerd's, None when it is not known: then what only some releases take is right

    **Example:**

    .. code:: python

        problems_of({"server": "https://registry.example", "skipverify": True}, Version("2.1.9"))
        # [Problem(("skipverify",), "is no key of hosts.toml; did you mean skip_verify?", "unused")]
    """
    return list(_of_file(data, version))


def _of_file(data: Mapping[str, Any], version: Version | None) -> Iterator[Problem]:
    hosts = data.get("host")
    rest = {key: value for key, value in data.items() if key != "host"}
    yield from _of_table(rest, (), version, is_root=True)
    if "host" not in data:
        if version is not None and version < _TABLES_ONLY_SINCE:
            yield Problem(
                (),
                f'has no [host."URL"] table, without which containerd {version} ignores the file: '
                "write the server as a host, too",
                "ignored",
            )
        elif _spelled(data, "server") is None and data:
            yield Problem((), "has neither a server nor a host, so it changes nothing", "unused")
        return
    if not isinstance(hosts, dict):
        yield Problem(("host",), 'is no table: write [host."https://mirror.example"]', "ignored")
        return
    if len(hosts) > _MOST_HOSTS:
        yield Problem(("host",), f"has more than {_MOST_HOSTS} hosts, which are not read", "unused")
        return
    for url, settings in hosts.items():
        path = ("host", url)
        if not isinstance(settings, dict):
            yield Problem(path, "is no table", "ignored")
            continue
        yield from _of_url(url, path, _spelled(settings, "override_path") is True)
        yield from _of_table(settings, path, version, is_root=False)


def _spelled(table: Mapping[str, Any], key: str) -> Any:
    """The value of a key in any case; None where there is none."""
    return next((value for each, value in table.items() if each.lower() == key), None)


def _of_table(
    table: Mapping[str, Any], path: Path, version: Version | None, is_root: bool
) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for key, value in table.items():
        here, name = (*path, key), key.lower()
        if name not in _KEYS or (name == "server" and not is_root):
            yield Problem(here, _unknown_key(key, is_root), "unused")
            continue
        if name in seen:
            yield Problem(here, f"is {seen[name]} again: containerd folds the case", "unused")
        seen[name] = key
        yield from _KEYS[name](value, here, version)
        if name == "server" and isinstance(value, str):
            yield from _of_url(value, here, _spelled(table, "override_path") is True)


def _unknown_key(key: str, is_root: bool) -> str:
    known = [name for name in _KEYS if is_root or name != "server"]
    bare = re.sub("[^a-z]", "", key.lower())
    for name in known:
        if name.replace("_", "") == bare or name in (f"{bare}s", bare.removesuffix("s")):
            return f"is no key of hosts.toml; did you mean {name}?"
    return f"is no key of hosts.toml, and containerd says nothing: there are {', '.join(known)}"


def _of_url(url: str, path: Path, overrides: bool) -> Iterator[Problem]:
    if url == "" or re.search(r"[\s\x00-\x1f\x7f]", url):
        yield Problem(path, "is no URL", "ignored")
        return
    try:
        # what begins with http has a scheme for containerd
        parts = urlsplit(url if url.startswith("http") else f"https://{url}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        yield Problem(path, "is no URL", "ignored")
        return
    has_other_scheme = "://" in url and parts.scheme != url.partition(":")[0]
    if parts.scheme not in ("http", "https") or not host or has_other_scheme:
        what = "write https://HOST[:PORT] or http://HOST[:PORT]"
        yield Problem(path, f"is no URL of a registry: {what}", "fails")
        return
    if "@" in parts.netloc:
        reason = "has a user or a password, which containerd drops: write an Authorization header"
        yield Problem(path, reason, "unused")
    if parts.query or parts.fragment:
        yield Problem(path, "has a query or a fragment, which containerd drops", "unused")
    clean = posixpath.normpath(parts.path) if parts.path else ""
    if not overrides and "/v2/" in f"{clean}/" and not clean.endswith("/v2"):
        yield Problem(
            path,
            f"has /v2 in its path, and containerd asks {shown(url).rstrip('/')}/v2: set "
            "override_path = true, or leave the path out",
            "fails",
        )


_Checker = Callable[[Any, Path, Version | None], Iterator[Problem]]


def _is(kind: type, what: str) -> _Checker:
    def check(value: Any, path: Path, _: Version | None) -> Iterator[Problem]:
        if not isinstance(value, kind):
            yield Problem(path, f"is not {what}", "ignored")

    return check


def _capabilities(value: Any, path: Path, version: Version | None) -> Iterator[Problem]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        yield Problem(path, 'is not an array of strings, such as ["pull", "resolve"]', "ignored")
        return
    for each in value:
        name = each.lower()
        if name not in CAPABILITIES:
            yield Problem(
                path,
                f"has the unknown capability {each[:60]!r}, with which containerd ignores the "
                f"file: there are {', '.join(CAPABILITIES)}",
                "ignored",
            )
        elif name == "referrers" and version is not None and version < _REFERRERS_SINCE:
            yield Problem(
                path,
                f"has the capability referrers, which containerd {version} does not know, so that "
                f"it ignores the file: {_REFERRERS_SINCE} and later do",
                "ignored",
            )


def _ca(value: Any, path: Path, _: Version | None) -> Iterator[Problem]:
    if not _are_paths(value if isinstance(value, list) else [value]):
        yield Problem(path, "is not the path of a file, nor an array of some", "ignored")


def _client(value: Any, path: Path, _: Version | None) -> Iterator[Problem]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, list):
            if len(each) != 2 or not _are_paths(each):
                yield Problem(path, "has a pair that is not [certificate, key]", "ignored")
        elif not _are_paths([each]):
            yield Problem(
                path, "is not a path, an array of paths, or one of [certificate, key]", "ignored"
            )


def _are_paths(values: Sequence[Any]) -> bool:
    return all(isinstance(each, str) and each and "\0" not in each for each in values)


_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _header(value: Any, path: Path, _: Version | None) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, "is no table: write [header] and a line for each", "ignored")
        return
    for name, content in value.items():
        texts = content if isinstance(content, list) else [content]
        if not all(isinstance(text, str) for text in texts):
            reason = "is not a string, nor an array of strings"
            yield Problem((*path, name), reason, "ignored")
        elif not _HEADER.fullmatch(name):
            yield Problem((*path, name), "cannot be the name of an HTTP header", "fails")
        elif any(re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text) for text in texts):
            yield Problem((*path, name), "has a line end or a control character in it", "fails")


_DURATION = re.compile(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")


def _dial_timeout(value: Any, path: Path, version: Version | None) -> Iterator[Problem]:
    if version is not None and version < _DIAL_TIMEOUT_SINCE:
        since = f"{_DIAL_TIMEOUT_SINCE} and later do"
        yield Problem(path, f"is a key that containerd {version} does not know: {since}", "unused")
    elif not isinstance(value, str) or not (value == "" or _DURATION.fullmatch(value)):
        yield Problem(path, 'is not a duration such as "10s"', "ignored")


_KEYS: Mapping[str, _Checker] = {
    "server": _is(str, "a string"),
    "capabilities": _capabilities,
    "ca": _ca,
    "client": _client,
    "skip_verify": _is(bool, "true or false"),
    "header": _header,
    "override_path": _is(bool, "true or false"),
    "dial_timeout": _dial_timeout,
}


@dataclass(frozen=True)
class FileRead:
    """What a file on a host says.

    + problems: with the line of each
    + certificates: paths of ``ca`` and ``client``, absolute
    + keys: those of them that have a private key
    + has_header: whether it has headers
    """

    problems: tuple[tuple[int, Problem], ...] = ()
    certificates: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    has_header: bool = False


def read(text: str, directory: str, version: Version | None) -> FileRead:
    """What a file says, and what is wrong with it.

    + text: its content; values of headers do not matter
    + directory: where it stands, relative paths are below
    + version: containerd's
    """
    try:
        data = loads(text)
    except TooMuchError as error:
        return FileRead(((1, Problem((), f"is {error}", "unused")),))
    except (ValueError, RecursionError) as error:
        found = re.search(r"line (\d+)", str(error))
        # what tomllib says behind its reason is the place
        reason = str(error).partition(" (at ")[0]
        return FileRead(((int(found[1]) if found else 1, _no_toml(reason)),))
    toml = TomlText(text)
    problems = [*problems_of(data, version), *_inline(toml, data, version)]
    certificates, keys = _named(data, directory)
    return FileRead(
        tuple((_line(toml, problem.path), problem) for problem in problems),
        tuple(certificates),
        tuple(keys),
        any(_spelled(table, "header") for _, table in _tables(data)),
    )


def _no_toml(reason: str) -> Problem:
    return Problem((), f"is not valid TOML: {reason}", "ignored")


def _line(toml: TomlText, path: Path) -> int:
    try:
        return toml.line_of(path)
    except UnsafeEditError:
        return 1


def _inline(toml: TomlText, data: Mapping[str, Any], version: Version | None) -> Iterator[Problem]:
    """Hosts in inline tables, or in dotted keys: 2.x looks for table headers."""
    if version is not None and version < _TABLES_ONLY_SINCE:
        return
    lines = toml.text.split("\n")
    hosts = data.get("host")
    for url in hosts if isinstance(hosts, dict) and len(hosts) <= _MOST_HOSTS else ():
        line = lines[_line(toml, ("host", url)) - 1].lstrip()
        if not line.startswith("["):
            reason = (
                f'is no table of its own, which containerd 2 does not see: write [host."{url}"]'
            )
            yield Problem(("host", url), reason, "unused")


def _tables(data: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    yield (), data
    hosts = data.get("host")
    for url, table in hosts.items() if isinstance(hosts, dict) else ():
        if isinstance(table, dict):
            yield ("host", url), table


def _named(data: Mapping[str, Any], directory: str) -> tuple[list[str], list[str]]:
    certificates: dict[str, None] = {}
    keys: dict[str, None] = {}
    for _, table in _tables(data):
        ca = _spelled(table, "ca")
        for each in ca if isinstance(ca, list) else [ca]:
            if isinstance(each, str) and each:
                certificates[posixpath.join(directory, each)] = None
        client = _spelled(table, "client")
        for each in client if isinstance(client, list) else [client]:
            pair = each if isinstance(each, list) else [each]
            paths = [posixpath.join(directory, one) for one in pair if isinstance(one, str) and one]
            certificates |= dict.fromkeys(paths)
            keys |= dict.fromkeys(paths[-1:])
    return list(certificates), list(keys)


# ---- What a user wants


_REGISTRY = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?|\[[0-9A-Fa-f:]+\]:[0-9]{1,5}"
)
_OF_DOCKER_HUB = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})

_PEM = "-----BEGIN "


def check_registry(name: object) -> str:
    """*name* itself where images can come from a registry of that name, ValueError if not.

    + name: ``docker.io``, ``registry.example:5000``, or ``_default``
    """
    if name == ANY_REGISTRY:
        return ANY_REGISTRY
    if not isinstance(name, str) or not _REGISTRY.fullmatch(name) or ".." in name:
        text = shown(name) if isinstance(name, str) else name
        raise ValueError(
            f"registry {text!r}: write the host, and the port if images have one in their names "
            f'("docker.io", "registry.example:5000"), or "{ANY_REGISTRY}" for all others'
        )
    if name in _OF_DOCKER_HUB:
        raise ValueError(f'registry {name!r}: images of Docker Hub are looked up as "docker.io"')
    return name


def directories(registry: str) -> list[str]:
    """Where containerd looks for a registry's file: the first of these directories that exists.

    + registry: see :func:`check_registry`
    """
    host, colon, port = registry.rpartition(":")
    return [f"{host}_{port}_", registry] if colon and host else [registry]


@dataclass(frozen=True)
class RegistryFiles:
    """The files of one registry, by their names in its directory.

    + text: of ``hosts.toml``
    + certificates: what was given as text, not as a path; private keys are among them
    """

    text: str = field(repr=False)
    shown: str
    """The text for people: values of headers are left out."""
    order: str
    """The hosts in the order in which they are tried, for people."""
    certificates: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def contents(self) -> dict[str, bytes]:
        """All of them, in the order in which they are to be written."""
        files = {**self.certificates, NAME: self.text}
        return {name: text.encode() for name, text in files.items()}


OWN_CERTIFICATE = re.compile(r"kubenode-[0-9]+\.pem")
"""What :func:`files_of` calls certificates that were given as text."""


def files_of(settings: Mapping[str, Any], version: Version | None) -> RegistryFiles:
    """The files for what a user wants of a registry.

    + settings: the keys of hosts.toml; where it takes the path of a file, PEM text is taken too
    + version: containerd's, None when it is not known

    ValueError: what is wrong with them, every mistake, and no header's value.

    **Example:**

    .. code:: python

        files_of(
            {
                "server": "https://registry-1.docker.io",
                "host": {"https://mirror.example:5000": {"capabilities": ["pull", "resolve"]}},
            },
            Version("2.1.9"),
        ).text
    """
    if not isinstance(settings, dict):
        raise ValueError("is no dict with the keys of hosts.toml, nor None")
    certificates: dict[str, str] = {}
    data = _without_empty(_with_paths(settings, certificates))
    problems = [*problems_of(data, version), *_wrong_texts(data, certificates)]
    if problems:
        raise ValueError("; ".join(map(str, problems)))
    if not data:
        raise ValueError("says nothing: None removes a registry")
    text = _written(data)
    if loads(text) != data:
        raise ValueError("cannot be written as TOML")
    return RegistryFiles(text, _written(data, with_headers=False), _order(data), certificates)


def _wrong_texts(data: Mapping[str, Any], certificates: Mapping[str, str]) -> Iterator[Problem]:
    """What is right in a file, and not what a user should give."""
    for path, table in _tables(data):
        for key, value in table.items():
            if key != key.lower() and key.lower() in _KEYS:
                yield Problem((*path, key), f"is written {key.lower()}", "unused")
            if key == "ca":
                for each in value if isinstance(value, list) else [value]:
                    yield from _of_text((*path, key), certificates.get(each), ("CERTIFICATE",))
            if key == "client":
                for each in value if isinstance(value, list) else [value]:
                    parts = each if isinstance(each, list) else [each]
                    needed: Sequence[Sequence[str]] = (("CERTIFICATE",), ("PRIVATE KEY",))
                    if len(parts) == 1:
                        needed = (("CERTIFICATE", "PRIVATE KEY"),)
                    for part, kinds in zip(parts, needed, strict=False):
                        yield from _of_text((*path, key), certificates.get(part), kinds)


def _of_text(path: Path, text: str | None, kinds: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with a certificate that was given as text."""
    for kind in kinds if text is not None else ():
        if not re.search(f"-----BEGIN [A-Z0-9 ]*{kind}-----", str(text)):
            hint = "; a certificate and its key in two texts are [[certificate, key]]"
            more = hint if kind == "PRIVATE KEY" else ""
            yield Problem(path, f"is text without -----BEGIN {kind}-----{more}", "fails")


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    """The same without tables that say nothing, which TOML would not tell apart."""
    hosts = data.get("host")
    if isinstance(hosts, dict):
        tables = {
            url: _without_empty(table) if isinstance(table, dict) else table
            for url, table in hosts.items()
        }
        data = {**data, "host": tables}
    return {key: value for key, value in data.items() if key not in ("host", "header") or value}


def _with_paths(value: Any, certificates: dict[str, str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {
            str(name): _with_paths(each, certificates, "" if key == "host" else str(name))
            if key != "header"
            else each
            for name, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_with_paths(each, certificates, key) for each in value]
    if isinstance(value, str) and key in ("ca", "client") and _PEM in value:
        text = value if value.endswith("\n") else f"{value}\n"
        for name, known in certificates.items():
            if known == text:
                return name
        name = f"kubenode-{len(certificates) + 1}.pem"
        certificates[name] = text
        return name
    return value


def _order(data: Mapping[str, Any]) -> str:
    tables = [(path[1], table) for path, table in _tables(data) if path]
    tables.append((data.get("server", "the registry itself"), data))
    return ", then ".join(
        shown(str(url)) + (" with a header that is not shown" if table.get("header") else "")
        for url, table in tables
    )


def _written(data: Mapping[str, Any], with_headers: bool = True) -> str:
    lines: list[str] = ["# Written by kubenode: what is changed here is replaced."]
    for path, table in _tables(data):
        if path:
            lines += ["", f"[host.{literal(str(path[1]))}]"]
        for key, value in table.items():
            if key not in ("host", "header"):
                lines.append(f"{key} = {literal(value)}")
        # behind a table's own keys, whatever the order in which they were given
        if header := table.get("header"):
            prefix = f"host.{literal(str(path[1]))}." if path else ""
            lines += ["", f"[{prefix}header]"]
            for name, value in header.items():
                what = literal(value) if with_headers else "a header that is not shown"
                lines.append(f"{literal(name)} = {what}")
    return "\n".join(lines) + "\n"
