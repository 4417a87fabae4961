"""Release archives: which files a version is made of, and how each architecture's are known.

An archive is stated by its version and, for each file, an address and a sha256 for each
architecture. The sum is what is trusted: who serves the file, and over what, does not matter then.

Nothing here talks to a host, or to the network. Sources: containerd's release.yml and
docs/getting-started.md; the release pages of runc and of containernetworking/plugins.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

ARCHITECTURES: Mapping[str, str] = MappingProxyType({"x86_64": "amd64", "aarch64": "arm64"})
"""What releases call an architecture, by what ``uname -m`` calls it."""

NEEDS_GLIBC = Version("2.35")
"""What upstream's dynamic builds of containerd 2.0 and later ask for: they are built on Ubuntu
22.04 (containerd's RELEASES.md)."""

_SUM = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(-(alpha|beta|rc)\.[0-9]{1,3})?")
_PRINTABLE = re.compile(r"[!-~]{1,2000}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_EXAMPLE = (
    "{'url': 'https://HOST/containerd-{version}-linux-{arch}.tar.gz', "
    "'sha256': {'amd64': '...', 'arm64': '...'}}"
)


@dataclass(frozen=True)
class ArchiveFile:
    """One file of a release, for one architecture.

    + address: an ``https`` or ``http`` URL, or the absolute path of a file on the control machine
    + sha256: its sum, 64 hexadecimal digits
    """

    address: str
    sha256: str

    def __post_init__(self) -> None:
        _check_address(self.address)
        if not _SUM.fullmatch(self.sha256):
            raise ValueError(f"sha256 {self.sha256!r}: 64 hexadecimal digits are a sum")

    @property
    def is_local(self) -> bool:
        """Whether it is on the control machine: a host cannot fetch it by itself."""
        return self.address.startswith("/")

    @property
    def name(self) -> str:
        """The last part of its address, without what follows ``?``."""
        path = self.address if self.is_local else urlsplit(self.address).path
        return posixpath.basename(path)


@dataclass(frozen=True)
class Archive:
    """A release as a setting states it: its files by what they are, and by architecture.

    + version: of containerd, or of the CNI plugins
    + files: by what each is (``containerd``, ``runc``, ``plugins``), then by architecture
      (``amd64``, ``arm64``)
    """

    version: str
    files: Mapping[str, Mapping[str, ArchiveFile]]

    def file(self, what: str, architecture: str | None) -> ArchiveFile | None:
        """The file for an architecture; None when the archive has no such file at all.

        + what: ``containerd``, ``runc`` or ``plugins``
        + architecture: ``amd64``, ``arm64``; None for one that releases are not built for

        ValueError: it has the file, but not for this architecture.
        """
        files = self.files.get(what)
        if files is None:
            return None
        if architecture is None or architecture not in files:
            raise ValueError(
                f"the archive {self.version} has {what} for {', '.join(files)}, and this host is "
                f"{architecture or 'of another architecture'}: state its sha256 for that too"
            )
        return files[architecture]


@dataclass(frozen=True)
class Build:
    """What a host gets of a release of containerd.

    + version: containerd's
    + containerd: upstream's archive
    + runc: None leaves the one that the host has
    """

    version: str
    containerd: ArchiveFile
    runc: ArchiveFile | None

    @property
    def files(self) -> tuple[ArchiveFile, ...]:
        """All files that it is made of."""
        return (self.containerd,) if self.runc is None else (self.containerd, self.runc)

    @property
    def name(self) -> str:
        """Its directory's name: the version, and eight digits of what it is made of.

        Another build of the same version, or one with another runc, stands beside it: pods may run
        with the first one's shim.
        """
        made_of = "\n".join([self.version, *(file.sha256 for file in self.files)])
        return f"{self.version}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"


def containerd_archive(stated: object) -> Archive:
    """A release of containerd from a setting.

    + stated: a dict with ``version``, ``containerd`` and, where the host has none of its own,
      ``runc``. Each of the two is a dict with ``url`` and ``sha256`` (by architecture), and with a
      ``version`` of its own where the url has ``{version}``; containerd's is the archive's

    ``{version}`` and ``{arch}`` in a url stand for those; a url may be a dict by architecture too.
    A path on the control machine stands for a url. A static build is a file of its own name. What
    is an :class:`Archive` already is returned as it is.

    ValueError: what is wrong with it, and what was expected.

    **Example:**

    .. code:: python

        containerd_archive({
            "version": "2.3.4",
            "containerd": {
                "url": "https://github.com/containerd/containerd/releases/download/v{version}/"
                       "containerd-static-{version}-linux-{arch}.tar.gz",
                "sha256": {"amd64": "0d5c...", "arm64": "92a1..."},
            },
            "runc": {
                "version": "1.4.3",
                "url": "https://github.com/opencontainers/runc/releases/download/v{version}/"
                       "runc.{arch}",
                "sha256": {"amd64": "77c0...", "arm64": "e51f..."},
            },
        })
    """
    if isinstance(stated, Archive):
        return stated
    fields = _fields(stated, "the archive", ("version", "containerd"), ("runc",))
    version = _version(fields["version"])
    files = {"containerd": _files("containerd", fields["containerd"], version)}
    if fields.get("runc") is not None:
        files["runc"] = _files("runc", fields["runc"], None)
    return Archive(version, MappingProxyType(files))


def plugins_archive(stated: object) -> Archive:
    """A release of the CNI plugins from a setting.

    + stated: a dict with ``version``, ``url`` and ``sha256``, as in :func:`containerd_archive`

    ValueError: what is wrong with it, and what was expected.

    **Example:**

    .. code:: python

        plugins_archive({
            "version": "1.9.1",
            "url": "https://github.com/containernetworking/plugins/releases/download/v{version}/"
                   "cni-plugins-linux-{arch}-v{version}.tgz",
            "sha256": {"amd64": "b85a...", "arm64": "8d1e..."},
        })
    """
    if isinstance(stated, Archive):
        return stated
    fields = _fields(stated, "the archive", ("version", "url", "sha256"))
    version = _version(fields["version"])
    return Archive(version, MappingProxyType({"plugins": _files("plugins", fields, version)}))


def build(archive: Archive, architecture: str | None) -> Build:
    """What a host of an architecture gets of a release of containerd.

    + archive: as :func:`containerd_archive` gives it
    + architecture: ``amd64``, ``arm64``, None for another one

    ValueError: there is none for this architecture.
    """
    containerd = archive.file("containerd", architecture)
    if containerd is None:
        raise ValueError(f"the archive {archive.version} has no containerd")
    return Build(archive.version, containerd, archive.file("runc", architecture))


def unsuitable(build: Build, libc: str | None, libc_version: str | None) -> str | None:
    """Why a build cannot run on a host, as far as its name tells; None when it may.

    + build: of containerd
    + libc: ``glibc``, ``musl``, None for unknown
    + libc_version: such as ``2.36``, None for unknown

    Upstream's dynamic builds (``containerd-VERSION-linux-ARCH.tar.gz``) of 2.0 and later need glibc
    2.35. What the name does not tell is seen when the build is run once, before it is used.
    """
    if not re.fullmatch(r"containerd-[0-9].*-linux-.*", build.containerd.name):
        return None
    if Version(build.version).major < 2:
        return None
    if libc == "musl":
        has = "musl"
    elif libc == "glibc" and libc_version is not None and _is_below(libc_version, NEEDS_GLIBC):
        has = f"glibc {libc_version}"
    else:
        return None
    return (
        f"{build.containerd.name} needs glibc {NEEDS_GLIBC} or later, and this host has {has}: "
        f"{take_static(build.version)}"
    )


def take_static(version: str) -> str:
    """What to take where a dynamic build does not run."""
    return (
        f"take the static build, containerd-static-{version}-linux-ARCH.tar.gz, by its own url and "
        "sha256"
    )


def _is_below(version: str, least: Version) -> bool:
    try:
        return Version(version) < least
    except InvalidVersion:
        return False


def _version(stated: object) -> str:
    version = stated.removeprefix("v") if isinstance(stated, str) else ""
    if not _VERSION.fullmatch(version):
        raise ValueError(f"version {stated!r}: expected one like '2.3.4' or '2.4.0-beta.0'")
    return version


def _fields(
    stated: object, what: str, needed: Sequence[str], optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    if not isinstance(stated, Mapping):
        raise ValueError(f"{what} is a dict with {' and '.join(needed)}, not {stated!r}")
    if missing := [name for name in needed if name not in stated]:
        raise ValueError(f"{what} has no {missing[0]!r}: it has {' and '.join(needed)}")
    if unknown := [name for name in stated if name not in (*needed, *optional)]:
        raise ValueError(
            f"{what} has {unknown[0]!r}, which is not known: there are "
            f"{', '.join([*needed, *optional])}"
        )
    return stated


def _files(what: str, stated: object, version: str | None) -> Mapping[str, ArchiveFile]:
    fields = _fields(stated, what, ("url", "sha256"), ("version",))
    if fields.get("version") is not None:
        version = _version(fields["version"])
    sums = fields["sha256"]
    if not isinstance(sums, Mapping) or not sums:
        raise ValueError(f"{what}: sha256 is a dict by architecture: {_EXAMPLE}")
    for architecture in sums:
        if architecture not in ARCHITECTURES.values():
            raise ValueError(
                f"{what}: {architecture!r} is no architecture of releases: there are "
                f"{', '.join(ARCHITECTURES.values())}"
            )
    files = {}
    for architecture, stated_sum in sums.items():
        address = _filled(what, _url(what, fields["url"], architecture), architecture, version)
        digest = stated_sum.lower() if isinstance(stated_sum, str) else repr(stated_sum)
        try:
            files[architecture] = ArchiveFile(address, digest)
        except ValueError as error:
            raise ValueError(f"{what} for {architecture}: {error}") from None
    if len(files) > 1 and len({file.address for file in files.values()}) == 1:
        raise ValueError(f"{what}: one url for all architectures: it needs {{arch}}")
    return MappingProxyType(files)


def _url(what: str, stated: object, architecture: str) -> str:
    url = stated.get(architecture) if isinstance(stated, Mapping) else stated
    if not isinstance(url, str):
        raise ValueError(f"{what}: no url for {architecture}: {_EXAMPLE}")
    return url.removeprefix("file://") if url.startswith("file:///") else url


def _filled(what: str, url: str, architecture: str, version: str | None) -> str:
    values = {"arch": architecture, "version": version}

    def value(found: re.Match[str]) -> str:
        filled = values.get(found[1])
        if filled is None:
            raise ValueError(
                f"{what}: {{{found[1]}}} in its url stands for nothing: there are {{arch}} and "
                "{version}, which needs a 'version' beside the url of runc"
            )
        return filled

    return _PLACEHOLDER.sub(value, url)


def _check_address(address: str) -> None:
    if not _PRINTABLE.fullmatch(address):
        raise ValueError(f"{address!r}: a url or path is printable ASCII without blanks")
    if address.startswith("/"):
        return
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError as error:
        raise ValueError(f"{address!r} is no url: {error}") from None
    if url.scheme not in ("https", "http") or not url.hostname:
        raise ValueError(
            f"{address!r}: expected https://, http://, or an absolute path on the control machine"
        )
    if "@" in url.netloc:
        raise ValueError(
            "a url with a user or password in it would be in logs: fetch the file yourself, and "
            "state its path on the control machine"
        )
    if "#" in address:
        raise ValueError(f"{address!r}: nothing may follow a # in it")
