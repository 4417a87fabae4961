"""Images of hosts with a real package manager for RPM, made from the suites' images.

Debian has packages of dnf, dnf5 and zypper, so a Debian userland is where they run here: no RHEL,
Fedora or SUSE host. apt and dpkg, with all they know, are out of the host's sight. The RPMs have
Debian's binaries, and the relations, scripts and configuration files of the distributions' and of
Docker's packages; each image has their repositories, signed, at ``/srv/rpm``:

- ``distribution``: ``containerd`` and ``runc`` in the versions of all three suites; configured
- ``docker``: ``containerd.io``
- ``good.asc`` is the key of both, ``other.asc`` one that signed nothing; their private keys are in
  the GnuPG home ``private``

An image is tagged with a hash of all that goes into it, as the suites' are.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, BuildError, ImageNotFound

from tests.targets import image
from tests.targets.daemon import TargetError

SUITES: Mapping[str, str] = {"dnf4": "trixie", "dnf5": "forky", "zypper": "trixie"}
"""The hosts there are, and the suite that each one's userland is of."""

_CONTEXT = Path(__file__).parent / "rpm"


def tag(kind: str) -> str:
    """The tag of an image as it would be built now, whether it exists or not.

    + kind: of :data:`SUITES`
    """
    digest = hashlib.sha256("\0".join([kind, *map(image.tag, image.SUITES)]).encode())
    for path in sorted(path for path in _CONTEXT.rglob("*") if path.is_file()):
        digest.update(f"\0{path.relative_to(_CONTEXT)}\0".encode() + path.read_bytes())
    return f"{image.REPOSITORY}:{kind}-{digest.hexdigest()[:12]}"


def ensure(client: DockerClient, kinds: Iterable[str], say: image.Say) -> None:
    """Build the images that are missing, and the suites' that they are made from.

    + kinds: of :data:`SUITES`
    + say: takes a line of progress
    """
    missing = [kind for kind in dict.fromkeys(kinds) if not _exists(client, kind)]
    if missing:
        image.ensure(client, image.SUITES, say)
    for kind in missing:
        started = time.monotonic()
        say(f"{kind}: building an image and its RPMs, about a minute for the first")
        _build(client, kind)
        say(f"{kind}: image {tag(kind)} built in {time.monotonic() - started:.0f} s")


def remove(client: DockerClient) -> list[str]:
    """Remove every image of these hosts, of any content; the tags removed."""
    ours = re.compile(rf"{image.REPOSITORY}:({'|'.join(SUITES)})-[0-9a-f]{{12}}")
    found = client.images.list(image.REPOSITORY)
    tags = [tag for each in found for tag in each.tags if ours.fullmatch(tag)]
    for each in tags:
        client.images.remove(each)
    return tags


def _exists(client: DockerClient, kind: str) -> bool:
    if kind not in SUITES:
        raise TargetError(f"no such host: {kind}; there are {', '.join(SUITES)}")
    try:
        client.images.get(tag(kind))
    except ImageNotFound:
        return False
    return True


def _build(client: DockerClient, kind: str) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(_CONTEXT, ".", filter=_without_times)
    context.seek(0)
    try:
        client.images.build(
            fileobj=context,
            custom_context=True,
            target=kind,
            buildargs={suite.upper(): image.tag(suite) for suite in image.SUITES},
            tag=tag(kind),
            rm=True,
        )
    except (APIError, BuildError) as error:
        raise TargetError(f"building {kind} failed: {error}") from error


def _without_times(member: tarfile.TarInfo) -> tarfile.TarInfo:
    # Docker's cache looks at owner and mode: whatever the checkout has
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755
    return member
