"""Swap: what is in use, and what the next boot will turn on."""

from __future__ import annotations

from typing import TypedDict

from kubenode.linux import kernel_command_line
from kubenode.linux.place import PlaceShape
from kubenode.linux.swap import (
    AGENTS,
    DPHYS_CONFIG,
    SERVICES,
    UNIT_DIRECTORIES,
    WAAGENT_CONFIG,
    ZRAM_CONFIG,
    ZRAM_DIRECTORIES,
    ZRAMSWAP_CONFIG,
    Kind,
    Started,
    Suspect,
    SwapAtBoot,
)
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact

PROBE = "swap"

_LIVE = "/proc/swaps"
_FILES = (
    "/etc/fstab",
    ZRAMSWAP_CONFIG,
    DPHYS_CONFIG,
    WAAGENT_CONFIG,
    *(f"{directory}/{ZRAM_CONFIG}" for directory in ZRAM_DIRECTORIES),
)
_DIRECTORIES = tuple(f"{directory}/{ZRAM_CONFIG}.d" for directory in ZRAM_DIRECTORIES)

# GPT's type of a Linux swap partition
_SWAP_PARTITION = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"


class SwapDeviceShape(TypedDict):
    """A line of ``/proc/swaps``."""

    device: str
    kind: str
    """``partition``, ``file``."""
    size_kib: int


class SwapSourceShape(PlaceShape):
    """Something that turns swap on at boot."""

    kind: Kind
    """``script``: rc.local, a crontab or an init script; ``gpt-auto``: a partition of GPT's swap
    type."""
    what: str
    """The line, or the unit's or zram device's name."""


class SwapShape(TypedDict):
    """What :class:`Swap` returns."""

    live: list[SwapDeviceShape] | None
    """None: ``/proc/swaps`` could not be read."""
    boot: list[SwapSourceShape] | None
    """Empty: nothing turns it on. None: it cannot be told whether something does, see the two
    below. Without ``noauto`` lines, what a masked unit keeps from being started, and what the
    kernel command line turns off."""
    unreadable: list[str]
    """Files of which it depends and that could not be read."""
    undecided: list[str]
    """What may turn swap on, and whether it does cannot be told: a sentence each."""


def script() -> probe.Script:
    """The probe's script."""
    services = " ".join((*SERVICES, *AGENTS))
    return probe.Script(
        rf"""
if [ -d /run/systemd/system ]; then value systemd yes; fi
if [ -e /run/systemd/container ]; then value container yes; fi
lines=; enabled=$nl
set --
for dir in {" ".join(UNIT_DIRECTORIES)}; do
  case $dir in /lib/*) if [ -L /lib ]; then continue; fi;; esac
  for unit in "$dir"/*.swap "$dir"/*.target "$dir"/*.service "$dir"/*.timer; do
    [ -e "$unit" ] || continue
    # an empty file and a link to /dev/null mask
    if [ ! -s "$unit" ]; then
      case $unit in *.swap | *.service | */swap.target) lines="${{lines}}masked $unit$nl";; esac
      continue
    fi
    case $unit in
      *.swap) lines="${{lines}}unit $unit$nl";;
      *) set -- "$@" "$unit";;
    esac
  done
  for unit in "$dir"/*.service.d/*.conf; do
    if [ -s "$unit" ]; then set -- "$@" "$unit"; fi
  done
  for link in "$dir"/*.wants/* "$dir"/*.requires/* "$dir"/*.upholds/*; do
    if [ -L "$link" ] || [ -e "$link" ]; then enabled=$enabled$link$nl; fi
    case $link in *'*'*) ;; *.swap) lines="${{lines}}wanted $link$nl";; esac
  done
done
# is_enabled UNIT: sets $link to what starts it, also by a timer, a path or a socket
is_enabled() {{
  base=${{1%.service}}
  for each in "/$1$nl" "/$base.timer$nl" "/$base.path$nl" "/$base.socket$nl"; do
    case $enabled in
      *"$each"*)
        link=${{enabled%%"$each"*}}; link=${{link##*"$nl"}}${{each%"$nl"}}; return 0;;
    esac
  done
  case $base in
    *@) case $enabled in
          *"/$base"*) link=${{enabled%%"/$base"*}}; link=${{link##*"$nl"}}/$base; return 0;;
        esac;;
  esac
  return 1
}}
for service in {services}; do
  if is_enabled "$service"; then lines="${{lines}}service $link $service$nl"; fi
done
# lines that call swapon, pull a swap unit in, or name a program that may be a script
scripts=; suspects=
if [ $# -gt 0 ]; then
  found=$(grep -HE -e '^[^#;]*swapon' -e '^(Wants|Requires|BindsTo|Upholds)=.*[.]swap' \
    -e '^Exec(Condition|Start|StartPre|StartPost) *=.*/' -- "$@")
  set -f; IFS=$nl
  for line in $found; do
    file=${{line%%:*}}; text=${{line#*:}}; unit=$file
    case $unit in *.service.d/*) unit=${{unit%/*}}; unit=${{unit%.d}};; esac
    unit=${{unit##*/}}
    case $text in
      Description=* | Documentation=* | After=* | Before=* | Condition* | Assert*) continue;;
      ExecStop* | ExecReload*) continue;;
    esac
    case $text in
      *swapon* | Wants=* | Requires=* | BindsTo=* | Upholds=*)
        if is_enabled "$unit"; then suspects="${{suspects}}enabled $file:$text$nl"
        elif grep -qE "^(Wants|Requires|BindsTo|Upholds|Unit)=(.* )?$unit( |\$)" -- "$@"; then
          suspects="${{suspects}}pulled $file:$text$nl"
        fi
        continue;;
    esac
    is_enabled "$unit" || continue
    IFS=' '
    for word in ${{text#*=}}; do
      case $word in *[/]*) ;; *) continue;; esac
      word=/${{word#*/}}; word=${{word%%[\"\';]*}}
      case $nl$scripts in *"$nl$word$nl"*) continue;; esac
      if [ -f "$word" ]; then scripts=$scripts$word$nl; fi
    done
    IFS=$nl
  done
  set +f; unset IFS
fi
for file in /etc/rc.local /etc/rc.d/rc.local; do
  if [ -x "$file" ] && [ -f "$file" ]; then scripts=$scripts$file$nl; fi
done
for file in /etc/crontab /etc/cron.d/* /etc/init.d/* /var/spool/cron/root \
    /var/spool/cron/crontabs/root; do
  if [ -f "$file" ]; then
    if [ -r "$file" ]; then scripts=$scripts$file$nl; else unreadable "$file"; fi
  fi
done
for dir in /var/spool/cron /var/spool/cron/crontabs; do
  if [ -d "$dir" ] && [ ! -x "$dir" ]; then unreadable "$dir"; fi
done
if [ -n "$scripts" ]; then
  set -f; IFS=$nl
  # a program is larger than the scripts that services run
  small=$(find -L $scripts -prune -type f -size -200)
  found=
  [ -z "$small" ] || found=$(grep -HE '^[^#]*(^|[^[:alnum:]_-])swapon' -- /dev/null $small)
  for line in $found; do
    file=${{line%%:*}}
    case $line in Binary\ file\ *) continue;; esac
    case $file in
      /etc/init.d/*)
        name=${{file##*/}}; starts=
        set +f
        for link in /etc/rc[S2-5].d/S??"$name"; do [ ! -e "$link" ] || starts=yes; done
        for dir in {" ".join(UNIT_DIRECTORIES)}; do [ ! -e "$dir/$name.service" ] || starts=; done
        set -f
        [ -n "$starts" ] || continue;;
    esac
    suspects="${{suspects}}script $line$nl"
  done
  set +f; unset IFS
fi
for dir in /etc/systemd /usr/local/lib/systemd /usr/lib/systemd; do
  for file in "$dir"/system-generators/*swap* "$dir"/system-generators/*zram*; do
    if [ -x "$file" ] && [ -s "$file" ]; then lines="${{lines}}generator $file$nl"; fi
  done
done
for file in /run/systemd/generator.late/*.swap; do
  if [ -e "$file" ]; then lines="${{lines}}generated $file$nl"; fi
done
if [ -x /usr/lib/systemd/system-generators/systemd-gpt-auto-generator ] &&
    [ ! -e /run/systemd/container ]; then
  set -- /run/udev/data/b*
  if [ -e "$1" ]; then
    for file in $(grep -lF ID_PART_ENTRY_TYPE={_SWAP_PARTITION} -- "$@"); do
      lines="${{lines}}partition $file$nl"
    done
  else
    set -- /sys/class/block/*/partition
    if [ -e "$1" ]; then value partitions unknown; fi
  fi
fi
if [ -x /usr/bin/cloud-init ] && [ ! -e /etc/cloud/cloud-init.disabled ] &&
    [ ! -e /var/lib/cloud/instance/sem/config_mounts ]; then
  said cloud "$(grep -HE '^swap *:|^ +(filename|size) *:|^ *-.*[^a-z]swap[^a-z]' -- \
    /dev/null /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg)"
fi
said units "$lines"
said suspects "$suspects"
""",
        files=_FILES,
        directories=_DIRECTORIES,
        kernel_files=(_LIVE, kernel_command_line.PATH),
        answers=("units",),
    )


def parse(reading: probe.Reading) -> SwapShape:
    """The shape from what the host sent."""
    live = None
    if _LIVE in reading.texts:
        live = [device for line in reading.text(_LIVE)[1:] if (device := _device(line)) is not None]
    unreadable = sorted(
        path
        for path in reading.unreadable
        if path in (*_FILES, *_DIRECTORIES, kernel_command_line.PATH)
        or path.startswith(("/var/spool/cron", "/etc/cron"))
        or path.rpartition("/")[0] in _DIRECTORIES
    )
    boot = _boot(reading)
    sources = boot.sources()
    undecided = boot.undecided()
    return {
        "live": live,
        "boot": None
        if (unreadable or undecided) and not sources
        else [{**source.shape, "kind": source.kind, "what": source.what} for source in sources],
        "unreadable": unreadable,
        "undecided": undecided,
    }


def _device(line: str) -> SwapDeviceShape | None:
    words = line.split()
    if len(words) < 4 or not words[2].isdecimal():
        return None
    return {"device": words[0], "kind": words[1], "size_kib": int(words[2])}


def _boot(reading: probe.Reading) -> SwapAtBoot:
    said: dict[str, list[str]] = {}
    for line in reading.text("units"):
        what, _, path = line.partition(" ")
        said.setdefault(what, []).append(path)
    return SwapAtBoot(
        runs_systemd=reading.value("systemd") is not None,
        command_line=" ".join(reading.text(kernel_command_line.PATH)),
        files=reading.texts,
        masked=said.get("masked", []),
        units=said.get("unit", []),
        wanted=said.get("wanted", []),
        generated=said.get("generated", []),
        generators=said.get("generator", []),
        partitions=said.get("partition", []),
        knows_partitions=not reading.value("partitions"),
        services=[
            Started(link, name)
            for link, _, name in (line.rpartition(" ") for line in said.get("service", []))
        ],
        suspects=list(map(_suspect, reading.text("suspects"))),
        cloud_config=reading.text("cloud"),
    )


def _suspect(line: str) -> Suspect:
    how, _, rest = line.partition(" ")
    file, _, text = rest.partition(":")
    return Suspect(how, file, " ".join(text.split()))


class Swap(ProbeFact[SwapShape]):
    """
    Returns the swap in use and what turns swap on at the next boot (:class:`SwapShape`).

    Seen are ``/etc/fstab`` (systemd-fstab-generator(8)), ``.swap`` units, zram-generator,
    partitions that systemd-gpt-auto-generator(8) takes, services that call swapon themselves or by
    a script, those known to (dphys-swapfile, swapspace, zramswap, the Azure Linux agent),
    cloud-init, and rc.local, crontabs and init scripts. Not looked into are programs that are no
    scripts.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.swap.Swap
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: probe.Readings) -> SwapShape:
        return parse(readings[PROBE])
