"""containerd: what is installed, what its configuration says, and what the daemon does."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Literal, TypedDict

from packaging.version import Version

from kubenode.facts import runtimes
from kubenode.files import go_keys, whole_file
from kubenode.linux.unit import PROPERTIES, UnitShape, parse_unit
from kubenode.packages import package_locks
from kubenode.runtimes import cni
from kubenode.runtimes.cgroup_drivers import Driver
from kubenode.runtimes.config_swap import UNPROVEN_SUFFIX, read_note
from kubenode.runtimes.containerd import releases
from kubenode.runtimes.containerd.config import (
    Config,
    ConfigError,
    Handler,
    Stated,
    in_force,
    load_order,
    parse,
    registry_conflict,
)
from kubenode.runtimes.other_runtimes import RuntimesShape
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact

PACKAGE_PROBE = "containerd-package"
DAEMON_PROBE = "containerd"

_MOST_BYTES = 256 * 1024
"""Of the configuration and its imports; there may be 64."""

DEFAULT_CONFIG = "/etc/containerd/config.toml"
DEFAULT_SOCKET = "/run/containerd/containerd.sock"
CRICTL_CONFIG = runtimes.CRICTL_CONFIG

UNCLEAR_CONFIG = "cannot tell from containerd.service which configuration file its --config names"


class PackageShape(TypedDict):
    """The package containerd came from."""

    name: str
    """``containerd`` (distributions) or ``containerd.io`` (Docker)."""
    version: str
    held: bool
    """Whether upgrades leave it alone (apt-mark hold, dnf versionlock, zypper addlock)."""
    configured: bool
    """False: dpkg was stopped between unpacking it and configuring it, so it may not work."""


class InstalledShape(TypedDict):
    """What is installed of containerd."""

    binary: str | None
    """Path of the program, None when containerd is not installed."""
    version: str | None
    """Such as ``1.7.24``, None when the program does not say."""
    package: PackageShape | None
    """None when it is not from a package, or the host has no known package manager."""
    dpkg_interrupted: bool
    """Whether dpkg was stopped at its work, on any package: apt refuses then. False while another
    process is at work: what is half-done then is being done."""
    dpkg_at_work: str | None
    """The process that has a lock of dpkg's or apt's, as ``PID NAME``."""


class ContainerdPackageShape(InstalledShape):
    """What :class:`ContainerdPackage` returns."""

    runtimes: RuntimesShape


class SourceShape(TypedDict):
    """Where a setting is stated."""

    file: str
    line: int


class HandlerShape(TypedDict):
    """A runtime handler, such as ``runc`` or ``nvidia``."""

    runtime_type: str | None
    recognised: bool
    """False: nobody can tell which driver its shim uses. A type that kubenode does not know and
    that states no driver, or a path, of which containerd does not know that it is runc's."""
    cgroup_driver: Driver | None
    """None for handlers that have settings of their own (kata, runsc), and for those that are not
    recognised."""
    stated: SourceShape | None
    """The line that states the driver; None for the release's default, cgroupfs."""
    defined: SourceShape | None
    """The line that states ``runtime_type``; None for the release's default."""


class ConfigShape(TypedDict):
    """containerd's main configuration file."""

    path: str
    exists: bool | None
    """None: it could not be read."""
    version: int | None
    """Its configuration version; 1 when it states none, None when there is nothing in it."""
    highest_version: int | None
    """The highest this release takes."""
    error: str | None
    """Why it cannot be used: ``FILE:LINE:COLUMN: reason``, or what containerd says of it."""


class ImportShape(TypedDict):
    """A file the main one imports."""

    path: str
    version: int | None
    error: str | None


class PodsShape(TypedDict):
    """Running CRI containers (pause containers included), by the driver that placed them."""

    systemd: int
    cgroupfs: int


class CniShape(TypedDict):
    """Where containerd looks for CNI plugins, and what the network needs."""

    bin_dirs: list[str] | None
    """The directories in force; None when containerd does not say."""
    conf_dir: str | None
    config: str | None
    """The network's configuration that counts: the first file of ``conf_dir`` by name; None when
    there is none, as before a CNI is installed, and when the directory cannot be read."""
    error: str | None
    """Why it cannot be used, or why it is not known whether there is one."""
    plugins: list[str]
    """The plugins it names, those for addresses (``ipam``) too, and ``loopback``, which containerd
    calls for each pod unless it has its own."""
    found: dict[str, list[str]]
    """Executables by directory, of those in force and the usual ones that exist, at most 200."""


class ContainerdShape(TypedDict):
    """What containerd is, how it is configured and what it does."""

    installed: InstalledShape
    config: ConfigShape
    imports: list[ImportShape]
    effective: bool
    """Whether handlers and the settings below are what containerd makes of all files
    (``containerd config dump``); otherwise they are what the main file says."""
    handlers: dict[str, HandlerShape]
    default_handler: str | None
    pause_image: str | None
    snapshotter: str | None
    registry_config_path: str | None
    registry_conflict: str | None
    """``FILE:LINE:COLUMN: reason`` of registry settings with which CRI does not start."""
    disabled_plugins: list[str]
    cni: CniShape
    unit: UnitShape | None
    """None: there is no such unit, or the host has no systemd."""
    socket: str
    ctr: bool
    """Whether ``ctr`` is there, which is how the daemon is asked."""
    cri: Literal["serving", "disabled", "down", "unknown"]
    """``disabled``: the daemon answers, and its CRI plugin is off or failed. ``unknown``: it
    cannot be asked, for want of ``ctr`` or of the right to, or since its socket is not root's."""
    restart_pending: list[str] | None
    """Files changed since the daemon started; None when that is unknown or it does not run."""
    clock_set_back: list[str]
    """Files, or the socket, that the host's clock has yet to come to: it was set back, and nobody
    can tell which of them the daemon has read."""
    pods: PodsShape | None
    """None when the daemon's state cannot be read."""


class ContainerdServiceShape(ContainerdShape):
    """What :class:`Containerd` returns."""

    runtimes: RuntimesShape


class UnprovenShape(TypedDict):
    """A file of a change that was interrupted."""

    path: str
    now: Literal["new", "old", "edited"]
    """``new``: what the change put there. ``old``: what was there before. ``edited``: neither."""


class ContainerdFilesShape(TypedDict):
    """What :class:`ContainerdFiles` returns."""

    containerd: ContainerdShape
    runtimes: RuntimesShape
    files: dict[str, str]
    """Content of the main file and its imports in base64, by path. It may hold registry
    passwords: for operations, not for reports."""
    crictl: str | None
    """Content of ``/etc/crictl.yaml`` in base64."""
    unreadable: list[str]
    """Files of these that exist and could not be read."""
    unproven: list[UnprovenShape] | None
    """Files of a change that was interrupted before CRI had answered with it; None when there is a
    note of one that cannot be followed."""


# Sets $program and $shown, what systemd says of the service. The program that systemd starts comes
# first: another one in PATH would read another configuration.
_PROGRAM = r"""
unit containerd.service; shown=$paragraph
program=
case $nl$shown in
  *"$nl"'ExecStart={ path='*) program=${shown#*ExecStart=\{ path=}; program=${program%%[ ;]*};;
esac
[ -x "$program" ] || program=$(command -v containerd)
# Root runs it, and reads its directory first: nobody else may have put it there.
program_distrust=
case $program in
  /usr/bin/* | /usr/local/bin/* | /usr/sbin/* | /usr/local/sbin/* | /bin/* | /sbin/* | '') ;;
  *) trusted "$program" || program_distrust=$distrust;;
esac
"""

# Programs in Go that end at once: a collector and threads cost them more than they give.
_PATH = r"""
GOGC=off GOMAXPROCS=1; export GOGC GOMAXPROCS
if [ -z "$program_distrust" ]; then
  case $program in /*) PATH="${program%/*}:$PATH";; esac
fi
"""

UNIT = "containerd.service"

_PROPERTIES = ("ExecStart", "MainPID", *PROPERTIES)


def script_package() -> probe.Script:
    """The script of the package probe."""
    return probe.Script(
        rf"""{_PATH}{package_locks.HOLDER}
value binary "$program"
# a program that hangs must not hang the run
if [ -z "$program_distrust" ]; then
  captured_part limited 10 containerd --version; value version "$output"
else unreadable version; fi
packages='containerd containerd.io'
if command -v dpkg-query >/dev/null; then
  captured dpkg-query -W -f '${{Package}} ${{Version}} ${{db:Status-Abbrev}}\n' $packages
  # 1: it does not know one of them
  case $status in 0 | 1) said dpkg "$output";; *) unreadable package;; esac
  holder
  if [ -n "$holder" ]; then value dpkg_at_work "$holder"; fi
  for update in /var/lib/dpkg/updates/[0-9]*; do
    if [ -e "$update" ]; then value dpkg_interrupted yes; break; fi
  done
elif [ -e /var/lib/dpkg/status ]; then need dpkg-query
elif command -v rpm >/dev/null; then
  captured limited 20 rpm -q --qf '%{{NAME}} %{{VERSION}}-%{{RELEASE}}\n' $packages
  # how many of them are not installed
  case $status in [0-2]) said rpm "$output";; *) unreadable package;; esac
  exact /etc/dnf/plugins/versionlock.list
  exact /etc/yum/pluginconf.d/versionlock.list
  exact /etc/dnf/versionlock.toml
  exact /etc/zypp/locks
elif [ -d /var/lib/rpm ] || [ -d /usr/lib/sysimage/rpm ]; then need rpm
fi
""",
        units=(UNIT,),
        properties=("ExecStart",),
        shared=(_PROGRAM,),
        answers=("binary", "version"),
    )


_CONFIG = rf"""
# property NAME: of the service
property() {{
  property=
  case $nl$shown in
    *"$nl$1="*) property=$nl$shown; property=${{property#*"$nl$1="}};;
  esac
  property=${{property%%"$nl"*}}
}}
# configured WORD...: of a command line, the value of --config; nothing when there is a word that
# belongs to no option: systemd shows arguments without their quotes.
configured() {{
  config={DEFAULT_CONFIG}; takes=
  [ $# = 0 ] || shift
  for word; do
    case $takes in
      config) config=$word; takes=; continue;;
      other) takes=; continue;;
    esac
    case $word in
      --config|-config|-c) takes=config;;
      --config=*|-config=*|-c=*) config=${{word#*=}};;
      --log-level|-l|--address|-a|--root|--state) takes=other;;
      -*) ;;
      *) config=;;
    esac
  done
}}
property ExecStart; arguments=
case $property in *'argv[]='*) arguments=${{property#*argv\[\]=}};; esac
arguments=${{arguments%%;*}}
set -f
configured $arguments
set +f
case $config in
  *'$'*|*'%'*) config=;;
  /*) ;;
  *) config=;;
esac
# systemd is there, and did not say what it starts
[ -n "$shown" ] || [ ! -d /run/systemd/system ] || config=
if [ -z "$config" ]; then
  # what the running daemon was given is beyond doubt
  property MainPID; pid=$property
  if [ "${{pid:-0}}" -gt 0 ] && [ -r "/proc/$pid/cmdline" ]; then
    set -f; IFS=$nl
    configured $(tr '\0' '\n' <"/proc/$pid/cmdline")
    set +f; unset IFS
    case $config in
      ''|/*) ;;
      *) config=$(readlink "/proc/$pid/cwd")/$config;;
    esac
  fi
fi
# A device is no configuration, though as a drop-in it would mask one. What is not trusted is
# neither read nor given to containerd, which would say what is in it.
settings() {{
  if [ -e "$1" ] && [ ! -f "$1" ]; then unreadable "$1"; config_distrust="$1 is no file"
  elif [ "$1" = {DEFAULT_CONFIG} ]; then
    # it was sent already, or why not
    if [ -L "$1" ] && ! trusted "$1"; then config_distrust=$distrust; fi
  elif trusted "$1"; then want "$1"
  else config_distrust=$distrust; distrusted "$1"; fi
}}
dumped() {{
  if [ "$config" = {DEFAULT_CONFIG} ]; then limited 10 containerd config dump
  else limited 10 containerd --config "$config" config dump; fi
}}
dump=; files=; missing=; links=; linked_files=; kernel_files=; config_distrust=
if [ -z "$config" ]; then unreadable path
else
  value path "$config"
  settings "$config"
  if [ -n "$program_distrust" ]; then config_distrust=$program_distrust; fi
  if [ -n "$config_distrust" ]; then said dump_error "not trusted: $config_distrust"
  else
    captured_part dumped
    case $status in
      0) dump=$output; said dump "$dump";;
      late) said dump_error 'containerd config dump did not end in 10 s';;
      cut) said dump_error 'containerd config dump prints more than 256 KiB';;
      *) if [ -n "$program" ]; then said dump_error "$(dumped 2>&1 | tail -n 3)"; fi;;
    esac
  fi
fi

# value_of LINE: what is behind "= ", without its quotes
value_of() {{ value=${{1#*= }}; value=${{value#[\"\']}}; value=${{value%[\"\']}}; }}
table=; socket=; state=; imports=
set -f; IFS=$nl
for line in $dump; do
  line=${{line#"${{line%%[! ]*}}"}}
  case $line in
    '[plugins]') break;;
    '['*) table=$line;;
    'address = '*) if [ "$table" = '[grpc]' ]; then value_of "$line"; socket=$value; fi;;
    'state = '*) value_of "$line"; state=$value;;
    'imports = ['*) imports=${{line#*\[}}; imports=${{imports%]*}};;
  esac
done
set +f; unset IFS
# cni_words TEXT: sets $words to the paths of a string or an array, a line each
cni_words() {{
  words=
  set -f; IFS=', '
  for word in $1; do
    word=${{word#\[}}; word=${{word%\]}}; word=${{word#[\"\']}}; word=${{word%[\"\']}}
    case $word in /*) words=$words$word$nl;; esac
  done
  set +f; unset IFS
}}
cni_table=; cni_dirs=; cni_conf=
set -f; IFS=$nl
for line in $dump; do
  line=${{line#"${{line%%[! ]*}}"}}
  case $cni_table$line in
    '['*cri*.cni\]) cni_table=yes;;
    'yes['*) cni_table=;;
    'yesbin_dir'*' = '*) cni_words "${{line#* = }}"; cni_dirs=$cni_dirs$words;;
    'yesconf_dir = '*) cni_words "${{line#* = }}"; cni_conf=${{words%%"$nl"*}};;
  esac
  set -f; IFS=$nl
done
set -- $cni_dirs {cni.UPSTREAM} {cni.DEBIAN} /usr/libexec/cni
set +f; unset IFS
seen=$nl
for dir; do
  case $seen in *"$nl$dir$nl"*) continue;; esac
  seen=$seen$dir$nl
  if [ -d "$dir" ] && [ ! -x "$dir" ]; then unreadable "cni:$dir"; continue; fi
  [ -d "$dir" ] || continue
  names=; count=0
  for file in "$dir"/*; do
    [ -f "$file" ] && [ -x "$file" ] || continue
    count=$((count + 1))
    [ "$count" -le 200 ] || break
    names=$names${{file##*/}}$nl
  done
  said "cni:$dir" "$names"
done
if [ -n "$cni_conf" ] && [ -d "$cni_conf" ]; then
  if [ ! -r "$cni_conf" ] || [ ! -x "$cni_conf" ]; then unreadable cni_conf
  else
    for file in "$cni_conf"/*; do
      case $file in
        *.conf | *.conflist | *.json)
          [ -f "$file" ] || continue
          value cni_conf "$file"
          learn "$file"
          [ -z "$learned" ] || exact "$file"
          break;;
      esac
    done
  fi
fi
socket=${{socket:-{DEFAULT_SOCKET}}}; state=${{state:-/run/containerd}}
value socket "$socket"
# another user's socket is another user's daemon
socket_distrust=
if [ "$socket" != {DEFAULT_SOCKET} ] && ! trusted "$socket"; then socket_distrust=$distrust; fi

# imports are patterns, with commas between
patterns=$imports; imports=; count=0
set -f; IFS=,
set -- $patterns
set +f
for pattern; do
  pattern=${{pattern#"${{pattern%%[! ]*}}"}}; pattern=${{pattern%"${{pattern##*[! ]}}"}}
  pattern=${{pattern#[\"\']}}; pattern=${{pattern%[\"\']}}
  case $pattern in '') continue;; /*) ;; *) pattern=${{config%/*}}/$pattern;; esac
  IFS=
  for path in $pattern; do
    case $nl$config$nl$imports in *"$nl$path$nl"*) continue;; esac
    if [ -e "$path" ] || [ -L "$path" ]; then imports=$imports$path$nl; count=$((count + 1)); fi
  done
done
set -f; IFS=$nl
set -- $imports
set +f; unset IFS
if [ "$count" -gt 64 ]; then unreadable imports
else
  for path; do settings "$path"; done
  send_wanted
  said imports "$imports"
  # The daemon makes its socket when it starts: a file that changed later is not in force. The time
  # of the change counts, not the time that `cp -p` or a wrong clock gave the file.
  if [ -S "$socket" ] && [ -z "$socket_distrust" ]; then
    set -- "$config" "$@"
    for path; do
      shift
      if [ -e "$path" ]; then set -- "$@" "$path"; fi
    done
    changed=; status=0; future=
    if [ $# -gt 0 ]; then captured find -L "$@" -prune -cnewer "$socket"; changed=$output; fi
    # What the kernel makes now has the time of now. What has a later one is from before the clock
    # was set back.
    if [ "$socket" -nt /proc/self/stat ]; then future=$socket
    elif [ -n "$changed" ]; then
      captured find -L "$@" -prune -cnewer /proc/self/stat; future=$output
    fi
    if [ "$status" != 0 ]; then unreadable changed
    elif [ -n "$future" ]; then said future "$future"
    else said changed "$changed"; fi
  fi
fi
"""


def script_daemon() -> probe.Script:
    """The script of the daemon probe: configuration and service; ``config dump`` only reads."""
    return probe.Script(
        rf"""{_PATH}{_CONFIG}
if [ -n "$socket_distrust" ]; then value socket_state distrusted
elif [ ! -S "$socket" ]; then value socket_state absent
elif [ ! -w "$socket" ]; then value socket_state forbidden
elif ! command -v ctr >/dev/null; then value socket_state present
else
  value socket_state answers
  plugins=
  captured_part limited 10 ctr --address "$socket" --connect-timeout 3s plugins ls
  set -f; IFS=$nl
  for line in $output; do
    case $line in
      io.containerd.grpc.v1\ * | io.containerd.cri.v1\ *) plugins=$plugins$line$nl;;
    esac
  done
  set +f; unset IFS
  case $status in late | cut) unreadable plugins;; *) said plugins "$plugins";; esac
fi
command -v ctr >/dev/null && value ctr yes
tasks=$state/io.containerd.runtime.v2.task/k8s.io
if [ "$state" != /run/containerd ] && ! trusted "$state"; then unreadable pods
elif [ -d "$tasks" ] && [ -r "$tasks" ]; then
  pods=
  for directory in "$tasks"/*; do
    pid=
    # written without a line end
    [ -f "$directory/init.pid" ] && read -r pid <"$directory/init.pid"
    case $pid in ''|*[!0-9]*) continue;; esac
    id=${{directory##*/}}; placed=
    while IFS= read -r line; do
      path=${{line#*:}}; path=${{path#*:}}
      case $path in /*"$id"*) placed=${{placed:-$path}};; esac
    done <"/proc/$pid/cgroup"
    [ -z "$placed" ] || pods="$pods$id $placed$nl"
  done
  said pods "$pods"
elif [ -d "$state" ] && [ ! -r "$state" ]; then unreadable pods
else said pods ''; fi
if [ -n "$config" ] && [ -z "$config_distrust" ] && [ -e "$config{UNPROVEN_SUFFIX}" ]; then
  learn "$config{UNPROVEN_SUFFIX}"
  [ -z "$learned" ] || exact "$config{UNPROVEN_SUFFIX}"
fi
""",
        files=(DEFAULT_CONFIG, CRICTL_CONFIG),
        units=(UNIT,),
        properties=_PROPERTIES,
        shared=(_PROGRAM,),
        programs=("tail",),
        answers=("path", "socket_state", "pods"),
    )


def parse_package(reading: probe.Reading) -> InstalledShape:
    """The installed part of the shape from what the host sent."""
    version = releases.parse_version(reading.value("version") or "")
    reading.known("package")
    package = _dpkg(reading.text("dpkg")) or _rpm(reading)
    at_work = reading.value("dpkg_at_work") or None
    return {
        "binary": reading.value("binary") or None,
        "version": str(version) if version else None,
        "package": package,
        "dpkg_interrupted": at_work is None
        and (
            reading.value("dpkg_interrupted") == "yes"
            or (package is not None and not package["configured"])
        ),
        "dpkg_at_work": at_work,
    }


def _dpkg(lines: list[str]) -> PackageShape | None:
    for line in lines:
        name, _, rest = line.partition(" ")
        version, _, status = rest.partition(" ")
        # dpkg-query's db:Status-Abbrev: what is wanted (h: held), then what is there (n: nothing,
        # c: configuration files only)
        if name in ("containerd", "containerd.io") and status[1:2] not in ("", "n", "c"):
            return {
                "name": name,
                "version": version,
                "held": status.startswith("h"),
                "configured": status[1:2] == "i",
            }
    return None


def _rpm(reading: probe.Reading) -> PackageShape | None:
    for line in reading.text("rpm"):
        name, _, version = line.partition(" ")
        if name in ("containerd", "containerd.io") and version:
            return {
                "name": name,
                "version": version,
                "held": _is_locked(reading, name),
                # a transaction of rpm that was interrupted leaves the old package
                "configured": True,
            }
    return None


def _is_locked(reading: probe.Reading, name: str) -> bool:
    # versionlock.list: "NAME-EPOCH:VERSION..." (dnf 4) ; versionlock.toml: name = "NAME" (dnf 5);
    # /etc/zypp/locks: "solvable_name: NAME"
    patterns = {
        "/etc/dnf/plugins/versionlock.list": rf"(\d+:)?{re.escape(name)}-(\d+:)?\d.*",
        "/etc/yum/pluginconf.d/versionlock.list": rf"(\d+:)?{re.escape(name)}-(\d+:)?\d.*",
        "/etc/dnf/versionlock.toml": rf'name\s*=\s*"{re.escape(name)}"\s*',
        "/etc/zypp/locks": rf"solvable_name:\s*{re.escape(name)}\s*",
    }
    return any(
        re.fullmatch(pattern, line.strip())
        for path, pattern in patterns.items()
        for line in reading.text(path)
    )


def _pods(reading: probe.Reading) -> PodsShape | None:
    if "pods" not in reading.texts:
        return None
    pods: PodsShape = {"systemd": 0, "cgroupfs": 0}
    for line in filter(None, reading.text("pods")):
        container, _, path = line.partition(" ")
        scope = f"/cri-containerd-{container}.scope"
        pods["systemd" if f"{path}/".find(f"{scope}/") >= 0 else "cgroupfs"] += 1
    return pods


def _cri(reading: probe.Reading) -> Literal["serving", "disabled", "down", "unknown"]:
    socket = reading.value("socket_state")
    if socket == "absent":
        return "down"
    if socket != "answers" or reading.is_unreadable("plugins"):
        return "unknown"
    plugins = [line.split() for line in reading.text("plugins") if line]
    if not plugins:
        return "down"
    for words in plugins:
        if words[:2] == ["io.containerd.grpc.v1", "cri"]:
            return "serving" if words[-1] == "ok" else "disabled"
    return "disabled"


@dataclass(frozen=True)
class Daemon:
    """What the daemon probe found: the shape, and the files themselves."""

    shape: ContainerdShape
    files: dict[str, bytes]
    crictl: bytes | None
    unreadable: list[str]
    unproven: list[UnprovenShape] | None


def parse_daemon(package: probe.Reading, daemon: probe.Reading) -> Daemon:
    """The shape from what the host sent."""
    installed = parse_package(package)
    version = Version(installed["version"]) if installed["version"] else None
    path = daemon.value("path") or DEFAULT_CONFIG
    imported = [name for name in daemon.text("imports") if name]
    files = {name: daemon.exact[name] for name in [path, *imported] if name in daemon.exact}
    too_long = set()
    if sum(map(len, files.values())) > _MOST_BYTES:
        too_long = files.keys() - {path}
        files = {name: content for name, content in files.items() if name not in too_long}

    folds = releases.release_of(version).folds if version else go_keys.any_case
    main, error = _parsed(path, files.get(path), 1, folds)
    configs = [main] if main else []
    imports: list[ImportShape] = []
    for name in imported:
        config, trouble = _parsed(name, files.get(name), main.version if main else 1, folds)
        if name in daemon.unreadable:
            trouble = f"{name}: {daemon.why_unreadable(name) or 'cannot be read'}"
        elif name in too_long:
            trouble = f"{name}: is not read, as all files together are longer than {_MOST_BYTES} B"
        imports.append(
            {"path": name, "version": config.version if config else None, "error": trouble}
        )
        if config:
            configs.append(config)
    dump, dump_error = _parsed("containerd config dump", _dump(daemon), 1, folds)
    if daemon.value("path") is None:
        error = UNCLEAR_CONFIG
    elif path in daemon.unreadable:
        error = f"{path}: {daemon.why_unreadable(path) or 'cannot be read'}"
    elif not error and not dump:
        error = " ".join(daemon.text("dump_error")) or dump_error
    unit = parse_unit({} if daemon.is_unreadable(f"unit:{UNIT}") else daemon.unit(UNIT))
    active = unit is not None and unit["active"] == "active"
    shape: ContainerdShape = {
        "installed": installed,
        "config": {
            "path": path,
            # of systemd nobody knows what file it gives containerd, where it does not answer
            "exists": None if daemon.unreadable & {path, f"unit:{UNIT}"} else path in files,
            "version": main.version if main and not main.is_empty else None,
            "highest_version": releases.highest_config_version(version) if version else None,
            "error": error,
        },
        "imports": imports,
        "effective": dump is not None,
        **_settings(dump or main, configs, version),
        "cni": _cni(daemon, dump),
        "unit": unit,
        "socket": daemon.value("socket") or DEFAULT_SOCKET,
        "ctr": daemon.value("ctr") == "yes",
        "cri": _cri(daemon),
        "restart_pending": [name for name in daemon.text("changed") if name]
        if active and "changed" in daemon.texts
        else None,
        "clock_set_back": [name for name in daemon.text("future") if name],
        "pods": _pods(daemon),
    }
    unreadable = {path, CRICTL_CONFIG, "imports"} & daemon.unreadable
    unreadable |= set(imported) - set(files)
    note = f"{path}{UNPROVEN_SUFFIX}"
    unreadable |= {note} & daemon.unreadable
    return Daemon(
        shape,
        files,
        daemon.exact.get(CRICTL_CONFIG),
        sorted(unreadable),
        None if note in daemon.unreadable else _unproven(daemon.exact.get(note), files),
    )


def _unproven(note: bytes | None, files: dict[str, bytes]) -> list[UnprovenShape] | None:
    noted = [] if note is None else read_note(note)
    if noted is None:
        return None
    shapes: list[UnprovenShape] = []
    for file in noted:
        now = whole_file.sum_of(files.get(file.path))
        state: Literal["new", "old", "edited"] = (
            "old" if now == file.old else "new" if now == file.new else "edited"
        )
        shapes.append({"path": file.path, "now": state})
    return shapes


def _parsed(
    path: str, content: bytes | None, unstated_version: int, folds: go_keys.Decoder
) -> tuple[Config | None, str | None]:
    if content is None:
        return None, None
    try:
        return parse(content, path, unstated_version, folds), None
    except ConfigError as error:
        return None, str(error)


def _cni(daemon: probe.Reading, dump: Config | None) -> CniShape:
    path = daemon.value("cni_conf")
    shape: CniShape = {
        "bin_dirs": None if dump is None else dump.settings.cni_directories,
        "conf_dir": None if dump is None else _value(dump.settings.cni_conf_dir),
        "config": path,
        "error": None,
        "plugins": [],
        "found": {
            key.removeprefix("cni:"): [name for name in daemon.text(key) if name][:200]
            for key in sorted(daemon.texts)
            if key.startswith("cni:/")
        },
    }
    closed = [name for name in shape["bin_dirs"] or () if f"cni:{name}" in daemon.unreadable]
    if "cni_conf" in daemon.unreadable or path in daemon.unreadable:
        closed.append(path or str(shape["conf_dir"]))
    if closed:
        shape["error"] = f"{', '.join(closed)}: cannot be read"
    elif path is not None:
        content = daemon.exact.get(path, b"").decode("utf-8", "replace")
        try:
            shape["plugins"] = cni.plugins_of(content)
            if dump is not None and not dump.settings.cni_has_loopback:
                shape["plugins"] = list(dict.fromkeys([*shape["plugins"], "loopback"]))
        except ValueError as error:
            shape["error"] = f"{path} {error}"
    return shape


def _dump(daemon: probe.Reading) -> bytes | None:
    return "\n".join(daemon.text("dump")).encode() if "dump" in daemon.texts else None


class _SettingsShape(TypedDict):
    handlers: dict[str, HandlerShape]
    default_handler: str | None
    pause_image: str | None
    snapshotter: str | None
    registry_config_path: str | None
    registry_conflict: str | None
    disabled_plugins: list[str]


def _settings(
    effective: Config | None, configs: list[Config], version: Version | None
) -> _SettingsShape:
    if effective is None:
        return {
            "handlers": {},
            "default_handler": None,
            "pause_image": None,
            "snapshotter": None,
            "registry_config_path": None,
            "registry_conflict": None,
            "disabled_plugins": [],
        }
    settings = effective.settings
    counting = configs
    conflict = None
    if configs and version:
        release = releases.release_of(version)
        counting = in_force(load_order(configs, version), release)
        try:
            conflict = registry_conflict(counting, release)
        # what has no such type is an error of containerd's own
        except ConfigError as error:
            conflict = error
    return {
        "handlers": {
            name: _handler(handler, counting) for name, handler in settings.handlers.items()
        },
        "default_handler": _value(settings.default_runtime_name),
        "pause_image": _value(settings.pause_image),
        "snapshotter": _value(settings.snapshotter),
        "registry_config_path": _value(settings.registry_config_path) or None,
        "registry_conflict": str(conflict) if conflict else None,
        "disabled_plugins": [entry.value for entry in settings.disabled_plugins],
    }


def _value(stated: Stated[str] | None) -> str | None:
    return stated.value if stated else None


def _handler(handler: Handler, configs: list[Config]) -> HandlerShape:
    stated: SourceShape | None = None
    defined: SourceShape | None = None
    for config in configs:
        own = config.settings.handlers.get(handler.name)
        if own and own.systemd_cgroup_line is not None:
            stated = {"file": config.path, "line": own.systemd_cgroup_line}
        if own and own.runtime_type_line is not None:
            defined = {"file": config.path, "line": own.runtime_type_line}
    driver: Driver | None = None
    if handler.is_runc_type:
        driver = "systemd" if handler.systemd_cgroup else "cgroupfs"
    return {
        "runtime_type": handler.runtime_type,
        "recognised": handler.is_runc_type or handler.kind != "unrecognised",
        "cgroup_driver": driver,
        "stated": stated,
        "defined": defined,
    }


class ContainerdPackage(ProbeFact[ContainerdPackageShape]):
    """
    Returns what is installed of containerd, whether it is held, and which other runtimes the host
    has (:class:`ContainerdPackageShape`).

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.containerd.ContainerdPackage
    """

    def command(self) -> str:
        return self.asking({PACKAGE_PROBE: script_package(), runtimes.PROBE: runtimes.script()})

    def parse(self, readings: probe.Readings) -> ContainerdPackageShape:
        return {**parse_package(readings[PACKAGE_PROBE]), "runtimes": runtimes.parse(readings)}


class Containerd(ProbeFact[ContainerdServiceShape]):
    """
    Returns what containerd is, how it is configured, what it does, and which other runtimes the
    host has (:class:`ContainerdServiceShape`).

    Settings are the effective ones: what ``containerd config dump`` makes of all files. That is
    what the daemon would use after a restart; ``restart_pending`` names the files it has not read
    yet. Registry credentials are not part of it.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.containerd.Containerd
    """

    def command(self) -> str:
        return self.asking(
            {
                PACKAGE_PROBE: script_package(),
                DAEMON_PROBE: script_daemon(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: probe.Readings) -> ContainerdServiceShape:
        shape = parse_daemon(readings[PACKAGE_PROBE], readings[DAEMON_PROBE]).shape
        return {**shape, "runtimes": runtimes.parse(readings)}


class ContainerdFiles(ProbeFact[ContainerdFilesShape]):
    """
    Returns what :class:`Containerd` does, and the content of its files
    (:class:`ContainerdFilesShape`).

    What an operation needs to edit them; it may hold registry passwords.

    **Example:**

    .. code:: python

        files = host.get_fact(ContainerdFiles)["files"]
    """

    def command(self) -> str:
        return self.asking(
            {
                PACKAGE_PROBE: script_package(),
                DAEMON_PROBE: script_daemon(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: probe.Readings) -> ContainerdFilesShape:
        daemon = parse_daemon(readings[PACKAGE_PROBE], readings[DAEMON_PROBE])
        return {
            "containerd": daemon.shape,
            "runtimes": runtimes.parse(readings),
            "files": {path: _encoded(content) for path, content in daemon.files.items()},
            "crictl": None if daemon.crictl is None else _encoded(daemon.crictl),
            "unreadable": daemon.unreadable,
            "unproven": daemon.unproven,
        }


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
