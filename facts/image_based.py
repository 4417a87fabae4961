"""Whether packages can change a host's system: a part of the facts of what changes packages."""

from __future__ import annotations

from typing import TypedDict

from kubenode.facts import mounts
from kubenode.facts.os_release import os_release
from kubenode.linux import image_based
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.reading import Reading

PROBE = "image-based"


class SystemShape(TypedDict):
    """Of what kind a system is; see :mod:`kubenode.linux.image_based`."""

    image: str | None
    """What kind of image it is, such as ``Flatcar``; None: packages make it."""
    usr: image_based.Usr | None
    """Whether ``/usr`` can be written to, None when that cannot be told."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(__file__, "image_based.sh"),
        files=("/etc/os-release",),
        shared=(mounts.READ,),
        answers=("ostree",),
    )


def parse(reading: Reading) -> SystemShape:
    """The shape from what the host sent; ProbeError where it cannot be told what system it is."""
    reading.known("/etc/os-release", "/usr/lib/os-release")
    release = os_release(reading)
    return {
        "image": image_based.image_of(
            release.get("ID"), release.get("VARIANT_ID"), reading.value("ostree") == "yes"
        ),
        "usr": image_based.usr_is(mounts.mounted(reading)),
    }


def refusal(system: SystemShape) -> str | None:
    """Why nothing may be installed on a host, None when it may; nothing is where nobody can tell.

    + system: as :func:`parse` gives it
    """
    image, usr = system["image"], system["usr"]
    if image is None and usr is None:
        return "it cannot be told whether /usr is mounted read-only: nothing was changed"
    why = image_based.why_no_packages(image, usr)
    return f"this host cannot be changed by packages, {why}: nothing was changed" if why else None
