"""Where CRI-O is from, as a setting states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from kubenode.packages.archive import Archive, plugins_archive
from kubenode.packages.source import Repository

MINOR, FORMAT = "{minor}", "{format}"
"""In a repository's URL: CRI-O has one for each minor release, a ``deb`` and an ``rpm`` one."""

PACKAGE = "cri-o"


@dataclass(frozen=True)
class RepositoryOfMinors:
    """CRI-O's repository, of which there is one a minor release.

    + fields: those of :class:`~kubenode.packages.source.Repository` that are stated, with
      ``{minor}`` in the URL
    """

    fields: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:
        """Of its files on the host, the same for each minor."""
        return str(dict(self.fields)["name"])

    def of(self, minor: str, manager: str) -> Repository:
        """The repository of a minor release.

        + minor: such as ``1.36``
        + manager: ``apt-get``, ``dnf`` or ``zypper``
        """
        is_deb = manager == "apt-get"
        fields: dict[str, Any] = {
            "suite": "/" if is_deb else None,
            "signs_metadata": not is_deb,
            **dict(self.fields),
        }
        for key in ("url", "key"):
            if isinstance(fields[key], str):
                filled = fields[key].replace(MINOR, minor)
                fields[key] = filled.replace(FORMAT, "deb" if is_deb else "rpm")
        return Repository(**fields)

    def __repr__(self) -> str:
        return f"<RepositoryOfMinors {self.name} {dict(self.fields)['url']}>"


Source = Literal["distribution"] | RepositoryOfMinors | Archive

PROGRAM = "crio"
"""What an archive's file is."""


def source_of(stated: object) -> Source:
    """The source that a setting states; ValueError where it states none.

    + stated: ``distribution``, or a repository as a dict of the fields of
      :class:`~kubenode.packages.source.Repository`. ``{minor}`` in ``url`` and ``key`` stands for
      CRI-O's minor release, ``{format}`` for ``deb`` or ``rpm``. Without a name it is ``cri-o``,
      without packages ``cri-o`` too. As the project's own repositories have it, a deb one is of the
      suite ``/``, and an RPM one signs its lists, unless *stated* says otherwise. A dict with
      ``version``, ``url`` and ``sha256`` by architecture is a release archive, upstream's static
      bundle

    **Example:**

    .. code:: python

        source_of({
            "url": "https://mirror.example.org/cri-o/v{minor}/{format}/", "key": "files/cri-o.asc",
            "fingerprint": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
        })
    """
    if isinstance(stated, (RepositoryOfMinors, Archive)):
        return stated
    if stated == "distribution":
        return "distribution"
    if not isinstance(stated, Mapping):
        raise ValueError(
            "'distribution', or a repository (a dict with url, key and fingerprint; {minor} in the "
            "url stands for CRI-O's minor release), or an archive (a dict with version, url and "
            "sha256)"
        )
    if "sha256" in stated:
        # the same fields as the archive of CNI plugins has
        archive = plugins_archive(stated)
        return Archive(archive.version, MappingProxyType({PROGRAM: archive.files["plugins"]}))
    fields: dict[str, Any] = {
        "name": PACKAGE,
        "packages": (PACKAGE,),
        **{
            key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()
        },
    }
    missing = [key for key in ("url", "key", "fingerprint") if key not in fields]
    if missing:
        raise ValueError(f"a repository without {', '.join(missing)}")
    source = RepositoryOfMinors(tuple(sorted(fields.items())))
    try:
        repository = source.of("1.0", "apt-get")
    except TypeError as error:
        known = ", ".join(Repository.__dataclass_fields__)
        raise ValueError(f"a repository has the fields {known}: {error}") from None
    if len(repository.packages) != 1:
        raise ValueError("packages of CRI-O's repository names one package, such as ['cri-o']")
    return source
