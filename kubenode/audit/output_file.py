"""Write a report where the caller wants it: a file in one step, anything else in place."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import sys

_DESCRIPTORS = re.compile(r"/proc/(?:(\d+)(?:/task/\d+)?)/fd")
# a file with these errors cannot be replaced, but can be written in place
_WRITE_IN_PLACE = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EXDEV)


def write(path: str, text: str) -> None:
    """Make *text* the content of *path*, as a shell's ``>`` would, but whole.

    + path: a file, a link, a device, a pipe, or one of this process's own descriptors
      (``/dev/stdout``, ``/proc/self/fd/3``)
    + text: written in UTF-8

    A file gets its new content in one step, and has it on disk before this returns: nobody reads
    half of it. A link stays and its target is replaced. Mode, owner and extended attributes stay. A
    new file has the mode that the umask leaves of 0666.

    Some are written in place, which is not one step: what is no regular file, a file with several
    names (hard links), one in a folder that we may not write to, one whose owner we could not keep,
    and one that is a mount point.

    OSError when it cannot be written.

    **Example:**

    .. code:: python

        output_file.write("report.json", text)
    """
    content = text.encode()
    descriptor = _own_descriptor(path)
    if descriptor is not None:
        # what was printed before this stays before it
        sys.stdout.flush()
        _write_all(descriptor, content)
        return
    target = os.path.realpath(path)
    try:
        found = os.stat(target)
    except FileNotFoundError:
        _replace(target, content, None)
        return
    if not stat.S_ISREG(found.st_mode):
        _through(path, os.O_WRONLY, content)
        return
    # in a folder of ours we could replace a file that we may not write to
    if not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    if found.st_nlink == 1:
        try:
            _replace(target, content, found)
        except OSError as error:
            if error.errno not in _WRITE_IN_PLACE:
                raise
        else:
            return
    _through(target, os.O_WRONLY | os.O_TRUNC, content)


def _own_descriptor(path: str) -> int | None:
    """The descriptor that *path* names; a regular file there must not be replaced under it."""
    for _ in range(40):
        folder, name = os.path.split(os.path.abspath(path))
        found = _DESCRIPTORS.fullmatch(os.path.realpath(folder))
        if found and int(found[1]) == os.getpid() and name.isdecimal():
            return int(name)
        try:
            path = os.path.join(folder, os.readlink(path))
        except OSError:
            return None
    return None


def _through(path: str, flags: int, content: bytes) -> None:
    # do not become a terminal's owner, nor make a file where something has gone in the meantime
    descriptor = os.open(path, flags | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _write_all(descriptor, content)
        # a pipe and a terminal have no disk
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(target: str, content: bytes, old: os.stat_result | None) -> None:
    """Write beside *target* and rename; *old* is what is there now."""
    folder, name = os.path.split(target)
    temp = os.path.join(folder, f".{name[:200]}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temp, flags, 0o666 if old is None else 0o600)
    try:
        try:
            _write_all(descriptor, content)
            if old is not None:
                _keep(descriptor, target, old)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temp, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise
    _sync_folder(folder)


def _keep(descriptor: int, target: str, old: os.stat_result) -> None:
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    # access control lists are among them; a file system may have none
    with contextlib.suppress(OSError):
        for name in os.listxattr(target):
            os.setxattr(descriptor, name, os.getxattr(target, name))


def _sync_folder(folder: str) -> None:
    # some file systems (of other machines) cannot: the content is safe, the name may come later
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
