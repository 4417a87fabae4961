"""Where packages come from, as data: any repository, and Docker's.

A mirror is another ``url``. What is pinned is the fingerprint of the key, wherever the key itself
is read from.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}", re.ASCII)
# deb-version(7), and what rpm and zypper take besides
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._/-]{0,127}", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}", re.ASCII)
# dnf.conf(5): $releasever and the like stand in a URL
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9:/?&=%@$.,~+_\[\]-]+", re.ASCII)

ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

DOCKER_URL = "https://download.docker.com/linux"
DOCKER_DEB_FINGERPRINT = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
"""Source: kubespray, roles/container-engine/docker/defaults/main.yml."""
DOCKER_RPM_FINGERPRINT = "060A61C51B558A7F742B77AAC52FEB6B621E9F35"
"""Source: docker/docs, install/rhel.md."""
DOCKER_AS_OF = "2026-08"
"""When the tables below were read. Source: docker/packaging, docker-bake.hcl."""

_DOCKER_SUITES = {
    "debian": ("bullseye", "bookworm", "trixie"),
    "ubuntu": ("jammy", "noble", "resolute"),
}
_DOCKER_RELEASES = {
    "centos": ("9", "10"),
    "rhel": ("8", "9", "10"),
    "fedora": ("43", "44"),
}
# tested by Docker with the packages for RHEL, and so what kubespray takes for them
_LIKE_RHEL = ("rhel", "almalinux", "rocky", "ol")
# the same names and other packages: 32 bits for the first Raspberry Pi
_NOT_DEBIAN = ("raspbian",)


@dataclass(frozen=True, kw_only=True, repr=False)
class Repository:
    """A repository of packages. ValueError where a field cannot be what it has to be.

    + name: of its files on the host, without their endings: ``docker`` is
      ``/etc/apt/sources.list.d/docker.sources``
    + url: where it is, ``https``, ``http`` or ``file``; without user and password, which
      apt_auth.conf(5) has a file for. Of an RPM repository it may hold ``$releasever`` and
      ``$basearch``
    + key: the key it is signed with, an OpenPGP certificate: a path on the control machine, an
      ``https`` URL, or the armoured text itself
    + fingerprint: of that key's primary key, 40 or 64 hexadecimal digits; blanks and case do not
      matter. Another key is an error
    + suite: of a deb repository, such as ``trixie``; None is the host's code name, and its
      parent's on a derived distribution. One that ends in ``/`` has no components
    + components: of a deb repository, such as ``("stable",)``. An RPM repository has neither
    + packages: what is wanted of it, such as ``("containerd.io",)``
    + signs_metadata: of an RPM repository, whether its ``repomd.xml`` has a signature
      (``repo_gpgcheck=1``). Packages' own signatures are checked always

    **Example:**

    .. code:: python

        Repository(
            name="docker",
            url="https://mirror.example.com/docker/linux/debian",
            components=("stable",),
            key="files/docker.asc",
            fingerprint="9DC8 5822 9FC7 DD38 854A  E2D8 8D81 803C 0EBF CD88",
            packages=("containerd.io",),
        )
    """

    name: str
    url: str
    key: str
    fingerprint: str
    suite: str | None = None
    components: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    signs_metadata: bool = False

    def __repr__(self) -> str:
        # pyinfra shows it with each operation, and a key's text has many lines
        where = f"{self.url} {self.suite or ''}".rstrip()
        return f"<Repository {self.name} {where}, signed by {self.fingerprint}>"

    def __post_init__(self) -> None:
        for field in ("name", "url", "key", "fingerprint"):
            if not isinstance(getattr(self, field), str):
                raise ValueError(f"{field} is text, not {getattr(self, field)!r}")
        check_name(self.name)
        object.__setattr__(self, "url", _checked_url(self.url))
        _check_key(self.key)
        fingerprint = "".join(self.fingerprint.split()).upper().removeprefix("0X")
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise ValueError(
                f"fingerprint {self.fingerprint!r}: 40 or 64 hexadecimal digits, all of them "
                "(a key id is not enough)"
            )
        object.__setattr__(self, "fingerprint", fingerprint)
        for field in ("components", "packages"):
            object.__setattr__(self, field, _words(field, getattr(self, field)))
        for package in self.packages:
            check_package(package)
        if self.suite is not None and not (
            isinstance(self.suite, str) and _is_word(self.suite.removesuffix("/") or "x")
        ):
            raise ValueError(f"suite {self.suite!r}: a word such as 'trixie'")
        if self.suite is not None and self.suite.endswith("/") and self.components:
            raise ValueError(f"suite {self.suite!r} ends in '/', so there are no components")


def check_name(name: str) -> None:
    """ValueError where a text cannot be a repository's name.

    + name: such as ``docker``
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"name {name!r}: small letters, digits, '.', '_' and '-', as it names files"
        )


def check_package(name: str) -> None:
    """ValueError where a text is no package's name.

    + name: such as ``containerd.io``
    """
    if not isinstance(name, str) or not _PACKAGE.fullmatch(name):
        raise ValueError(f"{name!r} is no package's name")


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http", "file") or not _URL_CHARACTERS.fullmatch(url):
        raise ValueError(f"url {url!r}: an https, http or file URL")
    if parts.scheme == "file" and (parts.netloc or not posixpath.isabs(parts.path)):
        raise ValueError(f"url {url!r}: file:///PATH, a folder on the host")
    if parts.scheme != "file" and not parts.hostname:
        raise ValueError(f"url {url!r} names no server")
    if "@" in parts.netloc:
        raise ValueError(
            "url has a user or password in it, which everybody on the host could read: put them "
            "into /etc/apt/auth.conf.d (apt_auth.conf(5)), or username and password of dnf.conf(5)"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"url {url!r}: without '?' and '#'")
    return url.rstrip("/")


def _check_key(key: str) -> None:
    if key.lstrip().startswith("-----BEGIN"):
        if not key.lstrip().startswith(ARMOUR):
            raise ValueError(f"key begins with {key.lstrip()[:40]!r}, not with {ARMOUR!r}")
    elif "://" in key:
        if urlsplit(key).scheme != "https" or not urlsplit(key).hostname:
            raise ValueError(f"key {key!r}: a path, an https URL, or the armoured text")
    elif not key.strip() or not key.isprintable():
        raise ValueError(f"key {key[:60]!r}: a path, an https URL, or the armoured text")


def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None and ".." not in text.split("/")


def _words(field: str, value: Iterable[str]) -> tuple[str, ...]:
    # one text would be a list of its letters
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{field} is a list of words, not {value!r}")
    words = tuple(value)
    for word in words:
        if not isinstance(word, str) or not _is_word(word):
            raise ValueError(f"{field}: {word!r} is no word such as 'stable'")
    return tuple(dict.fromkeys(words))


class NotBuiltFor(ValueError):
    """A source has no packages for a host; the text names what else there is."""


def codename(os_release: Mapping[str, str]) -> str | None:
    """The code name whose packages a host takes: its own, its parent's where it is derived.

    + os_release: os-release(5), by name

    None where it says none: Debian's testing before it has a name, an RPM distribution.

    Sources: os-release(5); Linux Mint, Pop!_OS and LMDE state ``UBUNTU_CODENAME`` or
    ``DEBIAN_CODENAME``.
    """
    if os_release.get("ID") in ("debian", "ubuntu"):
        name = os_release.get("VERSION_CODENAME") or os_release.get("UBUNTU_CODENAME")
    else:
        name = (
            os_release.get("UBUNTU_CODENAME")
            or os_release.get("DEBIAN_CODENAME")
            or os_release.get("VERSION_CODENAME")
        )
    return name if name and re.fullmatch(r"[a-z][a-z0-9-]{0,63}", name) else None


def docker_repository(
    os_release: Mapping[str, str],
    url: str = DOCKER_URL,
    key: str | None = None,
    suite: str | None = None,
    channel: Literal["stable", "test"] = "stable",
) -> Repository:
    """Docker's repository (``containerd.io``) for a host.

    + os_release: the host's os-release(5), by name
    + url: where it is; a mirror has ``debian``, ``ubuntu``, ``rhel``, ``centos`` and ``fedora``
      below it, as Docker's has
    + key: as of :class:`Repository`; None is ``gpg`` beside the packages. Its fingerprint is
      Docker's either way
    + suite: another code name than the host's, for one that :data:`DOCKER_AS_OF` did not know
    + channel: ``stable`` or ``test``

    NotBuiltFor where Docker builds nothing for the host.

    **Example:**

    .. code:: python

        docker_repository({"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie"}).url
    """
    if channel not in ("stable", "test"):
        raise ValueError(f"channel {channel!r}: stable or test")
    deb = _deb_distribution(os_release)
    if deb is not None:
        host_suite = suite or codename(os_release)
        known = _DOCKER_SUITES[deb]
        if host_suite is None or (suite is None and host_suite not in known):
            raise _not_built(os_release, f"of {deb}: {', '.join(known)}")
        base = f"{url.rstrip('/')}/{deb}"
        return Repository(
            name="docker",
            url=base,
            suite=host_suite,
            components=(channel,),
            key=key or f"{base}/gpg",
            fingerprint=DOCKER_DEB_FINGERPRINT,
            packages=("containerd.io",),
        )
    rpm = _rpm_distribution(os_release)
    if rpm is None:
        raise _not_built(os_release, "Debian, Ubuntu, RHEL and what is built from it, Fedora")
    if suite is not None:
        raise ValueError(f"suite {suite!r}: an RPM repository has none")
    release = os_release.get("VERSION_ID", "").partition(".")[0]
    if release not in _DOCKER_RELEASES[rpm]:
        raise _not_built(os_release, f"of {rpm}: {', '.join(_DOCKER_RELEASES[rpm])}")
    base = f"{url.rstrip('/')}/{rpm}"
    return Repository(
        name="docker",
        url=f"{base}/{release}/$basearch/{channel}",
        key=key or f"{base}/gpg",
        fingerprint=DOCKER_RPM_FINGERPRINT,
        packages=("containerd.io",),
    )


def _deb_distribution(os_release: Mapping[str, str]) -> str | None:
    own, like = os_release.get("ID", ""), os_release.get("ID_LIKE", "").split()
    if own in _NOT_DEBIAN:
        return None
    # "ubuntu debian" of what is derived from Ubuntu
    return next((name for name in ("ubuntu", "debian") if name == own or name in like), None)


def _rpm_distribution(os_release: Mapping[str, str]) -> str | None:
    own, like = os_release.get("ID", ""), os_release.get("ID_LIKE", "").split()
    if own in ("centos", "fedora"):
        return own
    # Amazon Linux says "fedora" alone, and is neither
    return "rhel" if own in _LIKE_RHEL or "rhel" in like else None


def _not_built(os_release: Mapping[str, str], built: str) -> NotBuiltFor:
    name = os_release.get("PRETTY_NAME") or os_release.get("ID") or "this host"
    return NotBuiltFor(
        f"Docker's repository has no packages for {name} (as of {DOCKER_AS_OF} it has {built}): "
        "take another source, the distribution's package, upstream's release archive, or a "
        "Repository of your own"
    )
