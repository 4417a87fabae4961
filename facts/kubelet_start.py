"""How kubelet is started: which process is kubelet's, its unit, and the files that they name.

Any user can name a process ``kubelet``, and a pod can as root. Such a process names files that root
would read. So a process counts only

+ as systemd's: the unit's main process, or one in the very cgroup of it, where only root puts one
+ where systemd does not start it (k0s, RKE2): with all its user ids 0, in the mount, PID and user
  namespaces of PID 1, from a program of that name that root alone can change. A name alone is not
  enough for root's processes either: ``sudo`` and other set-uid programs have the name of the link
  that they are started by.

Files are read only where root alone decides what is in them, see ``learn`` of
:mod:`kubenode.wire.probe`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet import command_line
from kubenode.kubelet.command_line import EnvironmentFile, Flag, Word
from kubenode.wire import probe

UNIT = command_line.UNIT
PROPERTIES = ("ExecStart", "EnvironmentFiles", "UnsetEnvironment", "MainPID", "ActiveState")

CONFIG = "/var/lib/kubelet/config.yaml"
ENVIRONMENT_FILES = (
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/default/kubelet",
    "/etc/sysconfig/kubelet",
)
"""Those that kubeadm's drop-in names, read also where no unit does."""

# what kubeadm's drop-in (10-kubeadm.conf) starts, for a host that has its files and no unit yet
_KUBEADM = (
    "{ path=/usr/bin/kubelet ; argv[]=/usr/bin/kubelet "
    f"--config={CONFIG} $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS ; ignore_errors=no ; }}"
)

SCRIPT = rf"""
unit {UNIT}
kubelet_unit=$paragraph; stated=; program=; main=0; number=0; env_files=; listed=
set -f; IFS=$nl
for line in $kubelet_unit; do
  case $line in
    MainPID=*) main=${{line#*=}};;
    'ExecStart={{ path='*)
      stated="$stated $line"; program=${{line#*path=}}; program=${{program%% ;*}};;
    EnvironmentFiles=/*)
      number=$((number + 1)); pattern=${{line#*=}}; pattern=${{pattern% \(ignore_errors=*}}
      IFS=; set +f
      for path in $pattern; do
        case $path in
          *[!\ -~]*) ;;
          *) env_files=$env_files$path$nl; listed="$listed$number $path$nl";;
        esac
      done
      set -f; IFS=$nl;;
  esac
done
case $main in '' | *[!0-9]*) main=0;; esac
set +f; unset IFS
case $nl$kubelet_unit in
  *"$nl"LoadState=loaded*)
    # a proxy's password stays on the host, and so does the environment of other units
    need sed
    captured limited 10 systemctl show {UNIT} -p Environment
    environment=$(printf '%s\n' "$output" | sed 's/\([Pp][Rr][Oo][Xx][Yy]=\)[^" ]*/\1/g')
    case $environment in
      Environment=*) said kubelet_environment "$environment";;
      *) unreadable kubelet_environment;;
    esac
    stated="$stated $environment";;
esac

# The text of /proc/PID/cgroup, in $placed.
placed() {{
  placed=
  while IFS= read -r line; do placed=$placed$line$nl; done <"/proc/$1/cgroup"
}}
# Whether a process is root's, in the host's namespaces, and from a program named kubelet that root
# alone can change. 2: it is root's and may not be looked at.
is_hosts_own() {{
  name=
  while read -r name real effective saved rest; do
    [ "$name" != Uid: ] || break
  done <"/proc/$1/status"
  case $name:$real:$effective:$saved:$rest in Uid::0:0:0:0) ;; *) return 1;; esac
  for name in mnt pid user; do
    [ -e "/proc/1/ns/$name" ] && [ -e "/proc/$1/ns/$name" ] || return 2
    [ "/proc/1/ns/$name" -ef "/proc/$1/ns/$name" ] || return 1
  done
  exe=$(readlink "/proc/$1/exe"); exe=${{exe% \(deleted)}}
  case $exe in */kubelet) trusted "$exe";; *) return 1;; esac
}}
pid=; name=; main_placed=; hidden=
if [ "$main" -gt 0 ] && read -r name <"/proc/$main/comm"; then
  if [ "$name" = kubelet ]; then pid=$main
  else placed "$main"; main_placed=$placed; fi
fi
[ -n "$pid" ] || for process in /proc/[0-9]*; do
  read -r name <"$process/comm" && [ "$name" = kubelet ] || continue
  if [ -n "$main_placed" ]; then
    placed "${{process#/proc/}}"
    if [ "$placed" = "$main_placed" ]; then pid=${{process#/proc/}}; break; fi
  fi
  exe=; is_hosts_own "${{process#/proc/}}"
  case $? in
    0) pid=${{process#/proc/}}; program=$exe; break;;
    2) hidden=yes;;
  esac
done
[ -z "$hidden" ] || [ -n "$pid" ] || value kubelet_process unknown
arguments=
if [ -n "$pid" ]; then
  arguments=$(tr '\n\0' '?\n' <"/proc/$pid/cmdline" | while IFS= read -r word; do
    printf '=%s\n' "$word"
  done)
  [ -z "$arguments" ] || said kubelet_arguments "$arguments"
fi
if [ "$main" -gt 0 ] || [ -n "$pid" ]; then value kubelet_runs yes; fi

case $program in
  */kubelet)
    case $program in
      /usr/bin/* | /usr/local/bin/* | /usr/sbin/* | /usr/local/sbin/* | /bin/* | /sbin/*) ;;
      *) trusted "$program" || program=;;
    esac;;
  *) program=;;
esac
[ -x "$program" ] || program=$(command -v kubelet)
if [ -n "$program" ]; then
  captured_part limited 10 "$program" --version; value kubelet_version "$output"
fi

case $nl$kubelet_unit in
  *"$nl"LoadState=loaded*) said kubelet_environment_files "$listed";;
  *) env_files='{"".join(path + "$nl" for path in ENVIRONMENT_FILES)}';;
esac
if [ -n "$arguments" ]; then stated=$arguments
else
  # the fixed ones are sent already
  set -f; IFS=$nl
  set -- $env_files
  set +f; unset IFS
  others=
  for path; do
    case $nl{"$nl".join(ENVIRONMENT_FILES)}$nl in
      *"$nl$path$nl"*) [ ! -f "$path" ] || [ -L "$path" ] || others=$others$path$nl;;
      *) learn "$path"
        if [ -n "$learned" ]; then
          exact "$path"
          [ ! -f "$path" ] || others=$others$path$nl
        fi;;
    esac
  done
  set -f; IFS=$nl
  for path in $others; do stated="$stated $(head -c 65536 "$path")"; done
  set +f; unset IFS
fi

# path_of WORD...: the last one, which may name variables that are set among the others: $path
path_of() {{
  path=$1; shift; turns=0
  while [ "$turns" -lt 4 ]; do
    turns=$((turns + 1))
    case $path in
      *'${{'*'}}'*) name=${{path#*\$\{{}}; name=${{name%%\}}*}}; reference='${{'$name'}}';;
      '$'*) name=${{path#\$}}; reference=$path;;
      *) return 0;;
    esac
    before=; found=
    for word; do
      [ "$before" != "$name" ] || found=$word
      before=$word
    done
    path=${{path%%"$reference"*}}$found${{path#*"$reference"}}
  done
}}
# The reader in Python decides which of these count; all that could are sent.
set -f; IFS=" 	$nl\"'=\\"
set -- $stated
set +f; unset IFS
previous=; configs=; directories=
for argument; do
  case $previous in
    --config | --config-dir | --config_dir)
      path_of "$argument" "$@"
      case $previous:$path in
        --config:{CONFIG}) ;;
        *:*/../* | *:*/..) ;;
        --config:/*) configs=$configs$path$nl;;
        *:/*) directories=$directories$path$nl;;
      esac;;
  esac
  previous=$argument
done
looked_at=; count=0
set -f; IFS=$nl
set -- $configs
set +f; unset IFS
for config; do
  count=$((count + 1)); [ "$count" -le 8 ] || break
  case $nl$looked_at in *"$nl$config$nl"*) continue;; esac
  looked_at=$looked_at$config$nl
  learn "$config"
  [ -z "$learned" ] || exact "$config"
done
set -f; IFS=$nl
set -- $directories
set +f; unset IFS
for directory; do
  directory=${{directory%/}}
  count=$((count + 1)); [ "$count" -le 8 ] || break
  case $nl$looked_at in *"$nl$directory$nl"*) continue;; esac
  looked_at=$looked_at$directory$nl
  is_key "$directory" || continue
  if ! trusted "$directory"; then distrusted "$directory"; continue; fi
  if [ ! -d "$directory" ] || [ ! -r "$directory" ] || [ ! -x "$directory" ]; then
    is_absent "$directory" || unreadable "$directory"
    continue
  fi
  set --
  for path in "$directory"/*.conf; do
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
    case $nl$looked_at in *"$nl$path$nl"*) continue;; esac
    set -- "$@" "$path"
  done
  if [ $# -gt 64 ]; then unreadable "$directory"; continue; fi
  learn "$@"
  set -f; IFS=$nl
  for path in $learned; do exact "$path"; done
  set +f; unset IFS
done
said kubelet_looked_at "$looked_at"
"""
"""Sends ``kubelet_version``, the running process's arguments, and the files that are named."""


@dataclass(frozen=True)
class Start:
    """How kubelet runs, or would be started."""

    active: bool | None
    """Whether it runs; None when that is unknown."""
    flags: Mapping[str, Flag] = field(default_factory=lambda: MappingProxyType({}))
    config: str | None = None
    """Path of its configuration file; None when it is told none."""
    drop_ins: str | None = None
    """Its ``--config-dir``."""
    error: str | None = None
    """Why the rest cannot be told."""


def parse(reading: probe.Reading) -> Start:
    """How kubelet is started, from what :data:`SCRIPT` sent."""
    active: bool | None = reading.value("kubelet_runs") == "yes"
    if not active and reading.value("kubelet_process") == "unknown":
        active = None
    try:
        found = words(reading)
        flags = command_line.flags(found)
        config = _path(flags, "config", reading)
        drop_ins = _path(flags, "config-dir", reading)
    except CannotTell as trouble:
        return Start(active, error=f"cannot tell kubelet's flags: {trouble}")
    return Start(active, flags, config, drop_ins)


def words(reading: probe.Reading) -> list[Word]:
    """kubelet's arguments, of its process or else of its unit; CannotTell where it is unknown."""
    arguments = [line[1:] for line in reading.text("kubelet_arguments") if line.startswith("=")]
    if arguments:
        return command_line.of_process(arguments)
    if reading.value("kubelet_process") == "unknown":
        raise CannotTell("a process of root's is named kubelet, and only root may look at it")
    key = f"unit:{UNIT}"
    if key in reading.unreadable:
        raise CannotTell(f"systemd does not answer for {UNIT}")
    properties: dict[str, list[str]] = {}
    for line in reading.text(key):
        name, equals, value = line.partition("=")
        if equals and name in (*PROPERTIES, "LoadState"):
            properties.setdefault(name, []).append(value)
    load = (properties.get("LoadState") or ["not-found"])[0]
    if load in ("not-found", "masked"):
        return command_line.of_unit(
            [_KUBEADM], "", "", [_file(reading, path, True) for path in ENVIRONMENT_FILES]
        )
    if load != "loaded":
        raise CannotTell(f"{UNIT} is {load}")
    shown = reading.text("kubelet_environment")
    # a line end in a value makes several lines of it
    if len(shown) != 1:
        raise CannotTell(f"{UNIT}: what systemd shows of its Environment cannot be read")
    environment = shown[0].removeprefix("Environment=")
    return command_line.of_unit(
        properties.get("ExecStart", []),
        environment,
        " ".join(properties.get("UnsetEnvironment", [])),
        _files(reading, properties.get("EnvironmentFiles", [])),
    )


def _files(reading: probe.Reading, stated: list[str]) -> list[EnvironmentFile]:
    by_number: dict[int, list[str]] = {}
    for line in reading.text("kubelet_environment_files"):
        number, _, path = line.partition(" ")
        if number.isdecimal() and len(number) < 5:
            by_number.setdefault(int(number), []).append(path)
    files = []
    for position, line in enumerate(stated, 1):
        found = re.fullmatch(r"(/.*) \(ignore_errors=(yes|no)\)", line)
        if not found or position not in by_number:
            raise CannotTell(f"{UNIT}: what systemd shows of its EnvironmentFiles cannot be read")
        files += [_file(reading, path, found[2] == "yes") for path in by_number[position]]
    return files


def _file(reading: probe.Reading, path: str, optional: bool) -> EnvironmentFile:
    if reading.is_unreadable(path):
        why = reading.why_unreadable(path)
        raise CannotTell(f"cannot read {path}" + (f": {why}" if why else ""))
    text = "\n".join(reading.text(path)) if path in reading.texts else None
    return EnvironmentFile(path, text, optional)


def _path(flags: Mapping[str, Flag], name: str, reading: probe.Reading) -> str | None:
    flag = flags.get(name)
    if flag is None or not flag.value:
        return None
    path = flag.value
    if name == "config-dir":
        path = path.rstrip("/")
    if path != CONFIG and path not in reading.text("kubelet_looked_at"):
        raise CannotTell(f"--{name}={path[:100]} cannot be followed")
    return path
