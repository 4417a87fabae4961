"""Kernel modules and sysctls: what they are now, and what the next boot will make of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from typing import Literal, NotRequired, TypedDict

from kubenode.facts import kernel_config
from kubenode.files.exact_text import text_of
from kubenode.linux import drop_ins, kernel_command_line, kernel_modules, sysctl_d
from kubenode.linux.kernel_config import stated
from kubenode.linux.place import PlaceShape
from kubenode.linux.sysctl_value import words
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

MODULES_PROBE = "kernel_modules"
SYSCTLS_PROBE = "sysctls"

_MODULES = "/proc/modules"
_FILE_SYSTEMS = "/proc/filesystems"
_LIVE = "/proc/sys"
_MOST_CHARACTERS = 1000

# words on the kernel's command line that decide what is judged here
_TELLING = re.compile(r"sysctl|modules.load|blacklist")


class BlacklistShape(PlaceShape):
    """A line that forbids a module."""

    directive: str
    """The line itself, or the kernel command line's parameter."""


class ModuleShape(TypedDict):
    """One module of :class:`KernelModules`."""

    state: kernel_modules.State
    """``blacklisted``: it could be loaded, is not, and a line forbids it. ``absent``: the running
    kernel is known not to have it."""
    reason: str
    """How that is known; for ``absent`` and ``unknown`` also what to do."""
    boot: bool | None
    """Whether systemd-modules-load brings it in at the next boot, or it is built in; None when
    that is unknown. Something else may load it all the same."""
    requested_by: list[PlaceShape]
    blacklisted_by: list[BlacklistShape]
    """Of a module that is loaded too: it was loaded in spite of it, and will not be at boot."""


class PersistFileShape(TypedDict):
    """The file an operation is about to write."""

    path: str
    state: Literal["file", "link", "missing", "unreadable"]
    """``link``: a link to another file. A link to ``/dev/null`` and one that leads nowhere are
    an empty ``file``: so they count at boot."""
    text: str | None
    """Exact content (:mod:`kubenode.files.exact_text`). None when missing or unreadable."""
    target: str | None
    """Where a link leads."""
    masked_by: str | None
    """A file of the same name in an earlier directory: this one does not count."""


class KernelModulesShape(TypedDict):
    """What :class:`KernelModules` returns."""

    kernel: str | None
    """Release of the running kernel."""
    kernels_on_disk: list[str] | None
    """Releases that have modules on disk, None when there is no ``/lib/modules``."""
    modules: dict[str, ModuleShape]
    """By name, in the caller's spelling."""
    persist_file: NotRequired[PersistFileShape]
    """Only when asked for."""


class LineShape(PlaceShape):
    """A line that assigns a sysctl."""

    key: str
    value: str


class IgnoredShape(LineShape):
    """A line that looks as if it assigned a sysctl and does not count."""

    reason: str


class SysctlShape(TypedDict):
    """One key of :class:`Sysctls`."""

    live: str | None
    """The value now, every run of white space as one blank."""
    live_state: Literal["set", "absent", "unreadable"]
    boot: str | None
    """The value the next boot's systemd-sysctl will set."""
    boot_state: Literal["set", "unset", "unknown"]
    """``unset``: no file sets it, the kernel's default stays. ``unknown``: what could not be read
    could change the answer."""
    winner: LineShape | None
    beaten: list[LineShape]
    """Lines that assign it too, in reading order."""
    ignored: list[IgnoredShape]
    reason: NotRequired[str]
    """Why the boot state is unknown; only where it is."""
    more: NotRequired[int]
    """How many more lines there are of both; only where some were left out."""


class SysctlsShape(TypedDict):
    """What :class:`Sysctls` returns."""

    keys: dict[str, SysctlShape]
    """By key, in the caller's spelling."""
    persist_file: NotRequired[PersistFileShape]
    sources: NotRequired[sysctl_d.TreeShape]
    """Only with ``persist_file``."""


def listed(value: object, check: Callable[[object], str], what: str) -> list[str]:
    """A fact's argument as a list: a list, or one string with commas (the command line)."""
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise ValueError(f"{what} is a list of names, or names with commas, not {value!r}")
    try:
        return list(dict.fromkeys(check(item) for item in items))
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _checked_path(path: object) -> str | None:
    if path is None:
        return None
    if not isinstance(path, str) or not re.fullmatch(r"/[!-~]+", path):
        raise ValueError(f"persist_file is an absolute path without blanks, not {path!r}")
    if path.startswith("/lib/"):
        raise ValueError(f"persist_file {path!r}: write it as /usr{path}")
    return path


def _decoded(reading: Reading, path: str) -> str | None:
    """A file's text; a device or a dangling link was sent as empty text. None: unreadable."""
    if path in reading.exact:
        return text_of(reading.exact[path])
    return "" if path in reading.texts else None


def _conf_paths(reading: Reading, directories: Iterable[str]) -> list[str]:
    sent = [*reading.exact, *reading.texts, *reading.unreadable]
    return [path for path in sent if path.rpartition("/")[0] in directories]


def _script_persist_file(
    path: str | None, directories: tuple[str, ...], *sent: str
) -> tuple[str, tuple[str, ...]]:
    """Shell that says whether the persist file can be written, and the file to ask for where
    neither *directories* nor *sent* have it."""
    if path is None:
        return "", ()
    directory, _, name = path.rpartition("/")
    is_sent = directory in directories and name.endswith(".conf") and not name.startswith(".")
    quoted = shlex.quote(path)
    # At boot a directory is no drop-in and a device is an empty one: neither can be written.
    is_odd = f"[ -e {quoted} ] && [ ! -f {quoted} ] && [ ! -L {quoted} ]"
    shell = f"if {is_odd}; then unreadable persist_file; fi\n"
    return (shell, ()) if is_sent or path in sent else (f"{shell}linked {quoted}\n", (path,))


def _persist_file(reading: Reading, path: str, directories: tuple[str, ...]) -> PersistFileShape:
    text = _decoded(reading, path)
    target = next(iter(reading.text(f"real:{path}")), None)
    state: Literal["file", "link", "missing", "unreadable"] = "missing"
    if reading.is_unreadable(path) or reading.is_unreadable("persist_file"):
        state = "unreadable"
    elif target:
        state = "link"
    elif text is not None:
        state = "file"
    return {
        "path": path,
        "state": state,
        "text": text,
        "target": target,
        "masked_by": drop_ins.masked_by(
            path, _conf_paths(reading, directories), drop_ins.lasting(directories)
        ),
    }


def _command_line(reading: Reading) -> str | None:
    lines = reading.texts.get(kernel_command_line.PATH)
    if lines is None:
        return None
    line = " ".join(lines).strip()
    # it differs from host to host, and what follows from it is worked out once for each
    return line if _TELLING.search(line) else ""


def script_modules(modules: list[str], persist_file: str | None = None) -> probe.Script:
    """The script of the kernel modules probe."""
    names = sorted({kernel_modules.underscored(name) for name in modules})
    name = f"({'|'.join(names) or '-'})"
    any_spelling = f"({'|'.join(name.replace('_', '[-_]') for name in names) or '-'})"
    # a module in /proc/modules; a file system; in modules.builtin; in modules.dep
    asked_for = (
        f"^{name} |[[:space:]]{name}$|(^|/){any_spelling}[.]ko$"
        f"|^([^:]*/)?{any_spelling}[.]ko([.][a-z]+)?:"
    )
    looks = host_script.read(
        __file__,
        "kernel_modules.sh",
        ASKED_FOR=shlex.quote(asked_for),
        FILE_SYSTEMS=_FILE_SYSTEMS,
        MODULES=_MODULES,
        NAMES=" ".join(names),
    )
    shell, files = _script_persist_file(persist_file, kernel_modules.LOAD_DIRECTORIES)
    return probe.Script(
        f"{looks}\n{shell}",
        files=files,
        directories=(*kernel_modules.LOAD_DIRECTORIES, *kernel_modules.MODPROBE_DIRECTORIES),
        kernel_files=(kernel_command_line.PATH,),
        shared=(kernel_config.READ,),
        at_times=kernel_config.AT_TIMES,
        answers=("kernel",),
    )


def parse_modules(
    reading: Reading, modules: list[str], persist_file: str | None = None
) -> KernelModulesShape:
    """The shape from what the host sent."""
    kernel = _running_kernel(reading)
    configured = kernel_modules.configuration(
        {
            path: _decoded(reading, path) or ""
            for path in _conf_paths(reading, kernel_modules.LOAD_DIRECTORIES)
        },
        {
            path: reading.text(path)
            for path in _conf_paths(reading, kernel_modules.MODPROBE_DIRECTORIES)
        },
        _command_line(reading),
        reading.unreadable,
    )
    shape: KernelModulesShape = {
        "kernel": kernel.release,
        "kernels_on_disk": kernel.kernels_on_disk,
        "modules": {
            name: _module(kernel_modules.module_of(name, kernel, configured)) for name in modules
        },
    }
    if persist_file is not None:
        shape["persist_file"] = _persist_file(
            reading, persist_file, kernel_modules.LOAD_DIRECTORIES
        )
    return shape


def _module(module: kernel_modules.Module) -> ModuleShape:
    return {
        "state": module.state,
        "reason": module.reason,
        "boot": module.boot,
        "requested_by": [place.shape for place in module.requested_by],
        "blacklisted_by": [
            {**place.shape, "directive": place.directive} for place in module.blacklisted_by
        ],
    }


def _running_kernel(reading: Reading) -> kernel_modules.RunningKernel:
    config = stated(reading.text("config"))
    can_load = {"y": True, "n": False}.get(config.get("CONFIG_MODULES", ""))
    no_proc_modules = _MODULES not in reading.texts and _MODULES not in reading.unreadable
    kernel = reading.value("kernel") or None
    tree = f"{reading.value('trees')}/{kernel}"
    if can_load is None and reading.value("proc") and no_proc_modules:
        can_load = False
    on_disk = None
    if reading.value("trees") and "kernels" not in reading.unreadable:
        on_disk = sorted(filter(None, reading.text("kernels")))
        running = (reading.value("running") or "").rpartition("/")[2]
        if running and running not in on_disk:
            on_disk = sorted([*on_disk, running])
    return kernel_modules.RunningKernel(
        release=kernel,
        kernels_on_disk=on_disk,
        can_load=can_load,
        loaded=_first_words(reading, _MODULES, " "),
        in_sys={
            key.removeprefix("sys:"): value == "loaded"
            for key, value in reading.values.items()
            if key.startswith("sys:")
        },
        filesystems=frozenset(
            line.split()[-1] for line in reading.text(_FILE_SYSTEMS) if line.split()
        ),
        bridge=reading.value("bridge") == "yes",
        builtin=_first_words(reading, f"{tree}/modules.builtin", ":"),
        loadable=_first_words(reading, f"{tree}/modules.dep", ":"),
        dependencies=_dependencies(reading, f"{tree}/modules.dep"),
        config=config,
        config_file=reading.value("config_file"),
    )


def _first_words(reading: Reading, key: str, end: str) -> frozenset[str] | None:
    """The module names at the start of lines, paths and suffixes taken off."""
    if key not in reading.texts:
        return None
    names = (line.split(end)[0].rpartition("/")[2] for line in reading.text(key))
    return frozenset(kernel_modules.underscored(name.split(".ko")[0]) for name in names if name)


def _dependencies(reading: Reading, key: str) -> dict[str, tuple[str, ...]]:
    def name(path: str) -> str:
        return kernel_modules.underscored(path.rpartition("/")[2].split(".ko")[0])

    lines = (line.partition(":") for line in reading.text(key))
    return {name(path): tuple(map(name, needed.split())) for path, _, needed in lines}


class KernelModules(ProbeFact[KernelModulesShape]):
    """
    Returns what modules are to the running kernel and to the next boot
    (:class:`KernelModulesShape`).

    + modules: names, a list or one string with commas; ``-`` and ``_`` are the same
    + persist_file: also return this modules-load.d file's exact content

    .. code:: python

        {
            "kernel": "6.12.90+deb13-amd64",
            "kernels_on_disk": ["6.12.90+deb13-amd64"],
            "modules": {
                "br_netfilter": {
                    "state": "loadable",
                    "reason": "in modules.dep of kernel 6.12.90+deb13-amd64",
                    "boot": True,
                    "requested_by": [{"file": "/etc/modules-load.d/k8s.conf", "line": 2}],
                    "blacklisted_by": [],
                },
            },
        }

    A module is ``loaded``, ``builtin``, ``loadable``, ``blacklisted``, ``absent`` or ``unknown``.
    Built-in modules are found without module metadata too (``/sys/module``, ``/proc/filesystems``,
    the kernel's configuration). ``boot`` follows modules-load.d(5) and the kernel command line;
    systemd-modules-load obeys ``blacklist`` lines of modprobe.d(5), a plain ``modprobe`` does not.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kernel.KernelModules \\
            modules=overlay,br_netfilter
    """

    def command(self, modules: str | list[str], persist_file: str | None = None) -> str:
        try:
            self.modules = listed(modules, kernel_modules.check_name, "modules")
            self.persist_file = _checked_path(persist_file)
        except ValueError as error:
            return self.refused(str(error))
        return self.asking({MODULES_PROBE: script_modules(self.modules, self.persist_file)})

    def parse(self, readings: Readings) -> KernelModulesShape:
        return parse_modules(readings[MODULES_PROBE], self.modules, self.persist_file)


def script_sysctls(keys: list[str], persist_file: str | None = None) -> probe.Script:
    """The script of the sysctls probe."""
    procps = sysctl_d.PROCPS_FILE
    looks = host_script.read(__file__, "sysctls.sh", LIVE=_LIVE, PROCPS=procps)
    shell, files = _script_persist_file(persist_file, sysctl_d.DIRECTORIES, procps)
    return probe.Script(
        f"{looks}\n{shell}",
        files=(procps, *files),
        directories=sysctl_d.DIRECTORIES,
        kernel_files=(kernel_command_line.PATH, *(_live_path(key) for key in keys)),
    )


def _live_path(key: str) -> str:
    return f"{_LIVE}/{sysctl_d.path_of(key)}"


def parse_sysctls(
    reading: Reading, keys: list[str], persist_file: str | None = None
) -> SysctlsShape:
    """The shape from what the host sent."""
    sources = _sources(reading)
    tree = sysctl_d.Tree(**sources)
    shape: SysctlsShape = {"keys": {key: _sysctl(reading, tree, key) for key in keys}}
    if persist_file is not None:
        shape["persist_file"] = _persist_file(reading, persist_file, sysctl_d.DIRECTORIES)
        shape["sources"] = sources
    return shape


def _sources(reading: Reading) -> sysctl_d.TreeShape:
    paths = _conf_paths(reading, sysctl_d.DIRECTORIES)
    sent = (reading.exact, reading.texts, reading.unreadable)
    if any(sysctl_d.PROCPS_FILE in items for items in sent):
        paths.append(sysctl_d.PROCPS_FILE)
    return {
        "files": {path: _decoded(reading, path) for path in sorted(paths)},
        "links": {
            path: reading.text(f"real:{path}")[0]
            for path in sorted(paths)
            if reading.text(f"real:{path}")
        },
        "unreadable": sorted(
            directory
            for directory in drop_ins.lasting(sysctl_d.DIRECTORIES)
            if directory in reading.unreadable
        ),
        "command_line": _command_line(reading),
    }


def _sysctl(reading: Reading, tree: sysctl_d.Tree, key: str) -> SysctlShape:
    boot = tree.boot(key)
    live = None
    live_state: Literal["set", "absent", "unreadable"] = "absent"
    path = _live_path(key)
    if path in reading.unreadable or _LIVE in reading.unreadable:
        live_state = "unreadable"
    elif path in reading.texts:
        live, live_state = words(" ".join(reading.text(path))), "set"
    shape: SysctlShape = {
        "live": live,
        "live_state": live_state,
        "boot": boot.value,
        "boot_state": boot.state,
        "winner": _line(boot.winner) if boot.winner else None,
        "beaten": [_line(line) for line in boot.beaten],
        "ignored": [{**_line(line), "reason": reason} for line, reason in boot.ignored],
    }
    if boot.reason:
        shape["reason"] = boot.reason
    if boot.more:
        shape["more"] = boot.more
    return shape


def _line(line: sysctl_d.Line) -> LineShape:
    return {
        **line.shape,
        "key": line.key[:_MOST_CHARACTERS],
        "value": (line.value or "")[:_MOST_CHARACTERS],
    }


class Sysctls(ProbeFact[SysctlsShape]):
    """
    Returns sysctls' live values, and those of the next boot with the lines that win and lose
    (:class:`SysctlsShape`).

    + keys: such as ``net.ipv4.ip_forward``, a list or one string with commas
    + persist_file: also return this sysctl.d file's exact content, and all the files that count

    .. code:: python

        {
            "keys": {
                "net.ipv4.ip_forward": {
                    "live": "1",
                    "live_state": "set",
                    "boot": "1",
                    "boot_state": "set",
                    "winner": {
                        "file": "/etc/sysctl.d/k8s.conf",
                        "line": 3,
                        "key": "net.ipv4.ip_forward",
                        "value": "1",
                    },
                    "beaten": [],
                    "ignored": [],
                },
            },
        }

    The next boot is judged by sysctl.d(5), the rules of systemd-sysctl, see
    :mod:`kubenode.linux.sysctl_d`. ``sysctl --system`` (procps) differs: it reads
    ``/etc/sysctl.conf`` last; systemd-sysctl reads it only through a link in ``/etc/sysctl.d``,
    which Debian 13 and Ubuntu 24.10 no longer have. A key that exists only once its module is
    loaded has a live state of ``absent``, and its boot value all the same.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kernel.Sysctls keys=net.ipv4.ip_forward
    """

    def command(self, keys: str | list[str], persist_file: str | None = None) -> str:
        try:
            self.keys = listed(keys, sysctl_d.check_key, "keys")
            self.persist_file = _checked_path(persist_file)
        except ValueError as error:
            return self.refused(str(error))
        return self.asking({SYSCTLS_PROBE: script_sysctls(self.keys, self.persist_file)})

    def parse(self, readings: Readings) -> SysctlsShape:
        return parse_sysctls(readings[SYSCTLS_PROBE], self.keys, self.persist_file)
