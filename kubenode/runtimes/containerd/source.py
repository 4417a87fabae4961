"""Where containerd is from, as a setting states it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from kubenode.packages.archive import Archive, containerd_archive
from kubenode.packages.source import Repository

Source = Literal["distribution", "docker"] | Repository | Archive

_NAMES = ("distribution", "docker")


def source_of(stated: object) -> Source:
    """The source that a setting states; ValueError where it states none.

    + stated: ``distribution``, ``docker``, a :class:`~kubenode.packages.source.Repository` or an
      :class:`~kubenode.packages.archive.Archive`; or one of these two as a dict: a repository's has
      its fields, an archive's what :func:`~kubenode.packages.archive.containerd_archive` takes

    **Example:**

    .. code:: python

        source_of({
            "name": "mirror", "url": "https://mirror.example.com/debian", "key": "files/mirror.asc",
            "fingerprint": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88", "components": ["stable"],
            "packages": ["containerd.io"],
        })
    """
    if isinstance(stated, Archive):
        return stated
    if isinstance(stated, Repository):
        return _with_package(stated)
    if stated == "distribution":
        return "distribution"
    if stated == "docker":
        return "docker"
    if not isinstance(stated, Mapping):
        raise ValueError(
            f"{' or '.join(map(repr, _NAMES))}, a repository (a dict with url, key, fingerprint, "
            "packages), or an archive (a dict with version and containerd)"
        )
    if "containerd" in stated:
        return containerd_archive(stated)
    return _with_package(_repository(stated))


def _repository(stated: Mapping[Any, Any]) -> Repository:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()
    }
    try:
        return Repository(**fields)
    except TypeError as error:
        known = ", ".join(Repository.__dataclass_fields__)
        raise ValueError(f"a repository has the fields {known}: {error}") from None


def _with_package(repository: Repository) -> Repository:
    if len(repository.packages) != 1:
        raise ValueError(
            "packages of containerd's repository names one package, such as ['containerd.io']"
        )
    return repository
