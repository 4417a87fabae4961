"""Images of Docker targets: a plain minimal Debian host with systemd, one for each suite.

Built from Debian's archive with mmdebstrap, so that no registry is needed; or on a stock base
image when the environment says ``KUBENODE_BASE_IMAGE=debian:{suite}``. An image is tagged with a
hash of all that goes into it: it is built again when, and only when, that changes.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, BuildError, ImageNotFound

from tests.targets import apt_sources
from tests.targets.daemon import TargetError

SUITES = ("bookworm", "trixie", "forky")
REPOSITORY = "kubenode-target"
ENTRYPOINT = "/usr/local/sbin/target-init"
PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "kmod",
    "openssh-server",
    "procps",
    "sudo",
    "systemd",
    "systemd-sysv",
)

_HERE = Path(__file__).parent
_ROOTFS = _HERE / "rootfs"
_SETUP = _HERE / "setup.sh"
_SETTINGS_PATH = "etc/apt/apt.conf.d/99target"

Say = Callable[[str], None]


def tag(suite: str) -> str:
    """The tag of a suite's image as it would be built now, whether it exists or not."""
    return f"{REPOSITORY}:{suite}-{_content_hash(suite)}"


def ensure(client: DockerClient, suites: Iterable[str], say: Say) -> None:
    """Build the images that are missing, two at a time.

    + suites: of :data:`SUITES`
    + say: takes a line of progress
    """
    missing = []
    for suite in dict.fromkeys(suites):
        if suite not in SUITES:
            raise TargetError(f"no such suite: {suite}; there are {', '.join(SUITES)}")
        try:
            client.images.get(tag(suite))
        except ImageNotFound:
            missing.append(suite)
    with ThreadPoolExecutor(max_workers=2) as builders:
        for building in [builders.submit(_build, client, suite, say) for suite in missing]:
            building.result()


def remove(client: DockerClient) -> list[str]:
    """Remove every target image, of any content; the tags removed."""
    ours = re.compile(rf"{REPOSITORY}:({'|'.join(SUITES)})-[0-9a-f]{{12}}")
    tags = [t for image in client.images.list(REPOSITORY) for t in image.tags if ours.fullmatch(t)]
    for each in tags:
        client.images.remove(each)
    return tags


def _base() -> str:
    return os.environ.get("KUBENODE_BASE_IMAGE", "")


def _content_hash(suite: str) -> str:
    parts = [suite, platform.machine(), *PACKAGES, apt_sources.settings(), _base()]
    if not _base():
        parts += [source.line() for source in apt_sources.for_suite(suite)]
    digest = hashlib.sha256("\0".join(parts).encode())
    for path in [Path(__file__), _SETUP, *sorted(p for p in _ROOTFS.rglob("*") if p.is_file())]:
        digest.update(f"\0{path.relative_to(_HERE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _build(client: DockerClient, suite: str, say: Say) -> None:
    started = time.monotonic()
    if _base():
        base = _base().format(suite=suite)
        say(f"{suite}: building an image on {base}")
        _build_on(client, suite, base)
    else:
        say(f"{suite}: building an image from Debian's archive, about a minute")
        _bootstrap(client, suite)
    say(f"{suite}: image {tag(suite)} built in {time.monotonic() - started:.0f} s")


def _bootstrap(client: DockerClient, suite: str) -> None:
    if not shutil.which("mmdebstrap"):
        raise TargetError(
            "mmdebstrap is missing: apt-get install mmdebstrap, or set "
            "KUBENODE_BASE_IMAGE=debian:{suite} to build on a stock image"
        )
    sources = apt_sources.for_suite(suite)
    with tempfile.TemporaryDirectory(prefix="kubenode-image-") as folder:
        settings = Path(folder, "settings")
        settings.write_text(apt_sources.settings())
        archive = Path(folder, "root.tar")
        # hooks run on this machine, with the new root's path as $1
        hooks = [
            f'cp -R {shlex.quote(str(_ROOTFS))}/. "$1/"',
            f'install -m 644 {shlex.quote(str(settings))} "$1/{_SETTINGS_PATH}"',
            *(
                f'test -e "$1{key}" || install -D -m 644 {key} "$1{key}"'
                for key in sorted({shlex.quote(s.signed_by) for s in sources if s.signed_by})
            ),
            f'cp {shlex.quote(str(_SETUP))} "$1/setup.sh"',
            'chroot "$1" sh /setup.sh',
            'rm -f "$1/setup.sh" "$1/etc/hostname"',
        ]
        built = subprocess.run(
            [
                "mmdebstrap",
                "--mode=root",
                "--variant=minbase",
                f"--include={','.join(PACKAGES)}",
                f"--aptopt={settings}",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                *(f"--customize-hook={hook}" for hook in hooks),
                suite,
                str(archive),
                *(source.line() for source in sources),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # the archive's files get their modes from the umask of who builds it
            umask=0o022,
        )
        if built.returncode != 0:
            raise TargetError(f"mmdebstrap failed for {suite}:\n{built.stdout[-4000:]}")
        client.api.import_image_from_file(
            str(archive),
            repository=REPOSITORY,
            tag=tag(suite).partition(":")[2],
            changes=[f'ENTRYPOINT ["{ENTRYPOINT}"]'],
        )
    # the daemon may report a failed import in an answer that is no error
    client.images.get(tag(suite))


def _build_on(client: DockerClient, suite: str, base: str) -> None:
    dockerfile = f"""\
FROM {base}
COPY rootfs/ /
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update \\
 && apt-get install -y --no-install-recommends {" ".join(PACKAGES)} \\
 && rm -rf /var/lib/apt/lists/*
COPY setup.sh /setup.sh
RUN sh /setup.sh && rm /setup.sh
ENTRYPOINT ["{ENTRYPOINT}"]
"""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text in {
            "Dockerfile": dockerfile,
            "setup.sh": _SETUP.read_text(),
            f"rootfs/{_SETTINGS_PATH}": apt_sources.settings(),
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
        archive.add(_ROOTFS, "rootfs", filter=_as_installed)
    context.seek(0)
    try:
        client.images.build(fileobj=context, custom_context=True, tag=tag(suite), rm=True)
    except (APIError, BuildError) as error:
        raise TargetError(f"building on {base} failed: {error}") from error


def _as_installed(member: tarfile.TarInfo) -> tarfile.TarInfo:
    # whatever owner and umask the checkout has
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755
    return member
