"""Vagrant boxes for libvirt: a plain Debian with Debian's kernel, built from Debian's archive.

No loop device, no mount and no boot loader: kernel and initrd are in the box beside its disk, and
qemu boots them directly.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.targets import apt_sources
from tests.targets.daemon import TargetError

SUITES = ("bookworm", "trixie")
DISK_GIB = 8
ROOT_GIB = 7
"""Of the first partition; a test makes another one behind it."""
PACKAGES = (
    "ca-certificates",
    "dbus",
    "fdisk",
    "ifupdown",
    "iproute2",
    "isc-dhcp-client",
    "kmod",
    "linux-image-cloud-amd64",
    "openssh-server",
    "procps",
    "sudo",
    "systemd",
    "systemd-sysv",
    "udev",
)

_HERE = Path(__file__).parent
_SETUP = _HERE / "setup.sh"
_BOX_FILE = _HERE / "Vagrantfile.box"
_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
}
_FIRST_MIB = 1

Say = Callable[[str], None]


def name(suite: str) -> str:
    """The name of a suite's box as it would be built now, whether it exists or not."""
    return f"kubenode-{suite}-{_content_hash(suite)}"


def build(suite: str, folder: Path, say: Say) -> Path:
    """Build a suite's box, or find the one that is there; its file.

    + suite: of :data:`SUITES`
    + folder: where boxes are kept
    + say: takes a line of progress
    """
    if suite not in SUITES:
        raise TargetError(f"no such suite: {suite}; there are {', '.join(SUITES)}")
    path = folder / f"{name(suite)}.box"
    if path.exists():
        return path
    for program, package in _PROGRAMS.items():
        if not shutil.which(program):
            raise TargetError(f"{program} is missing: apt-get install {package}")
    say(f"{suite}: building a box from Debian's archive, about a minute")
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kubenode-box-", dir=folder) as work:
        _bootstrap(suite, Path(work))
        box = _pack(Path(work))
        os.replace(box, path)
    say(f"{suite}: box {path.name} built in {time.monotonic() - started:.0f} s")
    return path


def _content_hash(suite: str) -> str:
    parts = [suite, str(DISK_GIB), str(ROOT_GIB), *PACKAGES, apt_sources.settings()]
    parts += [source.line() for source in apt_sources.for_suite(suite)]
    parts += [path.read_text() for path in (Path(__file__), _SETUP, _BOX_FILE)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _bootstrap(suite: str, work: Path) -> None:
    sources = apt_sources.for_suite(suite)
    settings = work / "settings"
    settings.write_text(apt_sources.settings())
    key = _public_key()
    # hooks run on this machine, with the new root's path as $1
    hooks = [
        f'install -m 644 {shlex.quote(str(settings))} "$1/etc/apt/apt.conf.d/99box"',
        *(
            f'test -e "$1{path}" || install -D -m 644 {path} "$1{path}"'
            for path in sorted({shlex.quote(s.signed_by) for s in sources if s.signed_by})
        ),
        f'install -D -m 644 {shlex.quote(str(key))} "$1/vagrant.pub"',
        f'cp {shlex.quote(str(_SETUP))} "$1/setup.sh"',
        'chroot "$1" sh /setup.sh',
        'rm "$1/setup.sh" "$1/vagrant.pub"',
    ]
    built = subprocess.run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            # a stock box has old lists too, and an emulated CPU takes half a minute over new ones
            "--skip=cleanup/apt/lists",
            f"--include={','.join(PACKAGES)}",
            f"--aptopt={settings}",
            '--aptopt=Apt::Install-Recommends "false"',
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            *(f"--customize-hook={hook}" for hook in hooks),
            suite,
            str(work / "root"),
            *(source.line() for source in sources),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        umask=0o022,
    )
    if built.returncode != 0:
        raise TargetError(f"mmdebstrap failed for {suite}:\n{built.stdout[-4000:]}")


def _public_key() -> Path:
    """The public half of the key pair that every Vagrant has, for the first login."""
    listed = subprocess.run(
        ["dpkg", "-L", "vagrant"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout
    for line in listed.splitlines():
        if line.endswith("keys/vagrant.pub"):
            return Path(line)
    raise TargetError("Vagrant's public key is missing: apt-get install vagrant")


def _pack(work: Path) -> Path:
    root, disk, image = work / "root", work / "disk", work / "box.img"
    for link, file in (("vmlinuz", "vmlinuz"), ("initrd.img", "initrd.img")):
        shutil.copyfile(root / link, work / file)
    disk.touch()
    os.truncate(disk, DISK_GIB * 1024**3)
    _make_partition(disk)
    offset = f"offset={_FIRST_MIB * 1024**2}"
    size = f"{ROOT_GIB}G"
    _run("mke2fs", "-q", "-t", "ext4", "-F", "-E", offset, "-d", str(root), str(disk), size)
    _run("qemu-img", "convert", "-O", "qcow2", str(disk), str(image))
    metadata = work / "metadata.json"
    metadata.write_text(
        json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_GIB}) + "\n"
    )
    box = work / "box"
    with tarfile.open(box, "w") as archive:
        for path in (metadata, image, work / "vmlinuz", work / "initrd.img"):
            archive.add(path, path.name)
        archive.add(_BOX_FILE, "Vagrantfile")
    return box


def _make_partition(disk: Path) -> None:
    """GPT, as installers make it: systemd looks for more partitions on such a disk."""
    table = f"label: gpt\nstart={_FIRST_MIB}MiB, size={ROOT_GIB}GiB, type=linux\n"
    _run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(disk), given=table)


def _run(*command: str, given: str = "") -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    if done.returncode != 0:
        raise TargetError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
