"""Systems that packages do not change: whole images, and a ``/usr`` that is mounted read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

Usr = Literal["writable", "read-only"]

_BY_ID = {
    "bottlerocket": "Bottlerocket",
    "cos": "Container-Optimized OS",
    "elemental": "Elemental",
    "endless": "Endless OS",
    "flatcar": "Flatcar",
    "guix": "Guix",
    "kairos": "Kairos",
    "nixos": "NixOS",
    "opensuse-leap-micro": "openSUSE Leap Micro",
    "opensuse-microos": "openSUSE MicroOS",
    "rhcos": "RHEL CoreOS",
    "sl-micro": "SUSE Linux Micro",
    "sle-micro": "SUSE Linux Enterprise Micro",
    "suse-microos": "SUSE MicroOS",
    "talos": "Talos",
    "ubuntu-core": "Ubuntu Core",
}
"""Systems by ``ID`` of os-release(5) that are changed as a whole, or by a configuration of their
own. Some of them have a package manager, and some a ``/usr`` that can be written to: NixOS."""

_BY_VARIANT = {
    "coreos": "CoreOS",
    "iot": "IoT",
    "kinoite": "Kinoite",
    "silverblue": "Silverblue",
}
"""Editions by ``VARIANT_ID`` of os-release(5) that rpm-ostree or bootc installs."""


def image_of(os_id: str | None, variant: str | None, ostree_booted: bool) -> str | None:
    """What kind of image a system is, None when it is none.

    + os_id: ``ID`` of os-release(5)
    + variant: ``VARIANT_ID`` of os-release(5)
    + ostree_booted: whether there is ``/run/ostree-booted``, which ostree, rpm-ostree and bootc
      leave where they have booted a deployment (ostree-prepare-root(1))

    **Example:**

    .. code:: python

        image_of("fedora", "coreos", True)  # "CoreOS"
    """
    known = _BY_ID.get(os_id or "") or _BY_VARIANT.get(variant or "")
    return known or ("ostree (rpm-ostree, bootc)" if ostree_booted else None)


def usr_is(mounted: Mapping[str, tuple[str, Sequence[str]]] | None) -> Usr | None:
    """Whether packages can write to ``/usr``; None where that cannot be told.

    + mounted: file system type and options by mount point, ``/`` and ``/usr`` among them; None is
      not known
    """
    if mounted is None:
        return None
    _, options = mounted.get("/usr") or mounted.get("/") or ("", ())
    if "ro" in options:
        return "read-only"
    return "writable" if "rw" in options else None


def why_no_packages(image: str | None, usr: Usr | None) -> str | None:
    """Why no package can be installed on a system, None when that is not known to be so.

    + image: as :func:`image_of` says
    + usr: as :func:`usr_is` says

    **Example:**

    .. code:: python

        why_no_packages("Flatcar", "read-only")
    """
    if image is not None:
        beside = ", and its /usr is mounted read-only" if usr == "read-only" else ""
        return f"it is a whole image, {image}, which packages do not change{beside}"
    return "its /usr is mounted read-only" if usr == "read-only" else None
