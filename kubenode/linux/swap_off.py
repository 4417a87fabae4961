"""What has to change so that the next boot turns no swap on: each source by its own means.

+ a line of fstab becomes a comment; one with ``noauto`` stays
+ where systemd-gpt-auto-generator(8) would take a partition then, fstab gets a line for it with
  ``noauto``. The generator leaves swap alone where fstab has a line of it. A mask would need its
  unit's name, which from systemd 254 on is of ``/dev/disk/by-diskseq``, and may be another one at
  the next boot
+ a ``.swap`` unit and a service is masked by an empty file in /etc (systemd.unit(5)): what enabled
  it stays, and comes back with its removal
+ a section of zram-generator.conf(5) becomes a comment; a file of a package is left alone, and an
  edited copy of the same name in /etc wins over it
+ WALinuxAgent and cloud-init have a setting for it
+ scripts, and services that call swapon themselves, are other people's programs: they are named,
  and not edited
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kubenode.linux import kernel_command_line, swap
from kubenode.linux.swap import FSTAB, Source, SwapAtBoot
from kubenode.linux.sysctl_d import MARK

CLOUD_FILE = f"{swap.CLOUD_DIRECTORY}/zz-kubenode-swap.cfg"
"""cloud-init's last file wins (``read_conf_d``), and no size is no swap (``cc_mounts``)."""

_CLOUD_TEXT = "# Written by kubenode (swap.off).\nswap:\n  size: 0\n"
_GUARD = "# Written by kubenode (swap.off): without a line of swap, systemd would turn this one on."
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_UNITS = swap.UNIT_DIRECTORIES[0]


@dataclass(frozen=True)
class Edit:
    """What becomes of a file.

    + old: its text now, None when there is none
    + new: its text then; empty masks a unit
    """

    path: str
    old: str | None
    new: str


@dataclass(frozen=True)
class SwapOff:
    """How a host loses what turns its swap on at boot.

    + edits: of files, in the order in which they are made
    + zram_units: units of zram devices whose swap goes: stopped, they give the devices back
    + explained: a sentence for each source
    + blocked: why it is not known that no swap would come back, a sentence each; empty when it is
    + after: what the next boot does then
    """

    edits: list[Edit]
    zram_units: list[str]
    explained: list[str]
    blocked: list[str]
    after: SwapAtBoot


@dataclass
class _Plan:
    boot: SwapAtBoot
    old: Mapping[str, str]
    new: dict[str, str] = field(default_factory=dict)
    zram_units: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)

    def text(self, path: str) -> str:
        return self.new.get(path, self.old.get(path, ""))

    def mask(self, unit: str, why: str) -> None:
        if f"{_UNITS}/{unit}" in self.new:
            return
        self.new[f"{_UNITS}/{unit}"] = ""
        self.explained.append(f"{why} turns swap on at boot: {unit} is masked ({_UNITS}/{unit})")

    @property
    def after(self) -> SwapAtBoot:
        masks = [path for path in self.new if path.startswith(f"{_UNITS}/")]
        files = {path: swap.lines_of(text) for path, text in self.new.items() if path not in masks}
        cloud = [f"{CLOUD_FILE}:{line}" for line in files.pop(CLOUD_FILE, ())[1:]]
        return replace(
            self.boot,
            files={**self.boot.files, **files},
            masked=[*self.boot.masked, *masks],
            cloud_config=[*self.boot.cloud_config, *cloud],
        )


def swap_off(boot: SwapAtBoot, texts: Mapping[str, str]) -> SwapOff:
    """What has to change so that the next boot turns no swap on.

    + boot: what it turns on now
    + texts: the files' contents by path, those of ``boot`` to the letter, and units in /etc

    **Example:**

    .. code:: python

        texts = {"/etc/fstab": "/swapfile none swap sw 0 0\\n"}
        boot = SwapAtBoot(files={path: swap.lines_of(text) for path, text in texts.items()})
        swap_off(boot, texts).edits[0].new
        # "# disabled by kubenode: /swapfile none swap sw 0 0\\n"
    """
    plan = _Plan(boot, texts)
    sources = boot.sources()
    _comment_fstab(plan, [source for source in sources if source.kind == "fstab"])
    for source in sources:
        if source.kind == "unit" or source.what in swap.SERVICES:
            plan.mask(source.what, source.file)
        elif source.kind == "zram":
            _comment_zram(plan, source)
            plan.zram_units.append(f"systemd-zram-setup@{source.what}.service")
    # only now: it counts where no section of the device is left
    if any(source.file == kernel_command_line.PATH for source in plan.after.sources()):
        plan.mask("dev-zram0.swap", "systemd.zram of the kernel command line")
    if boot.agent_may_swap:
        _tell_agent(plan)
    if any(source.kind == "cloud-init" and source.what == "swap" for source in sources):
        plan.new[CLOUD_FILE] = _CLOUD_TEXT
        plan.explained.append(f"cloud-init makes swap at boot: {CLOUD_FILE} gives it no size")
    if plan.after.gpt_auto_counts:
        _keep_partitions_off(plan)
    after = plan.after
    return SwapOff(
        [Edit(path, texts.get(path), text) for path, text in plan.new.items()],
        plan.zram_units,
        plan.explained,
        [*map(_left, after.sources()), *after.undecided()],
        after,
    )


def _left(source: Source) -> str:
    return f"{source} turns swap on at boot ({source.what}): take it out, it is not kubenode's"


def _commented(text: str, numbers: Iterable[int]) -> str:
    lines = text.split("\n")
    for number in numbers:
        lines[number - 1] = f"{MARK}{lines[number - 1]}"
    return "\n".join(lines)


def _comment_fstab(plan: _Plan, sources: list[Source]) -> None:
    if not sources:
        return
    numbers = [source.line for source in sources if source.line is not None]
    plan.new[FSTAB] = _commented(plan.text(FSTAB), numbers)
    for source in sources:
        plan.explained.append(f"{source} ({source.what}) turns swap on at boot: commented out")


def _keep_partitions_off(plan: _Plan) -> None:
    """Give fstab a line that turns nothing on, for each partition that systemd might take."""
    uuids = [part.uuid for part in plan.boot.partitions if _UUID.fullmatch(part.uuid)]
    if not uuids:
        return
    text = plan.text(FSTAB)
    guards = "".join(f"{_GUARD}\nPARTUUID={uuid} none swap noauto 0 0\n" for uuid in uuids)
    plan.new[FSTAB] = f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{guards}"
    for uuid in uuids:
        plan.explained.append(
            f"systemd-gpt-auto-generator turns partition {uuid} on where {FSTAB} has no swap: "
            "it gets a line with noauto"
        )


def _comment_zram(plan: _Plan, source: Source) -> None:
    device = source.what
    sections = [each for each in swap.zram_sections(plan.boot.files) if each.device == device]
    for section in sections:
        path = f"/etc/systemd/{section.file.partition('/systemd/')[2]}"
        text = plan.new.get(path, plan.text(section.file))
        lines = text.split("\n")
        stated = [
            number
            for number in range(section.first, section.last + 1)
            if lines[number - 1].strip() and lines[number - 1].lstrip()[0] not in "#;"
        ]
        plan.new[path] = _commented(text, stated)
        where = "" if path == section.file else f" in {path}, which wins over it"
        plan.explained.append(
            f"{section.file}:{section.first} makes {device} at boot: commented out{where}"
        )


def _tell_agent(plan: _Plan) -> None:
    path, key = swap.WAAGENT_CONFIG, "ResourceDisk.EnableSwap"
    lines = plan.text(path).split("\n")
    numbers = [number for number, line in enumerate(lines) if swap.stated([line], key) is not None]
    for number in numbers:
        lines[number] = f"{MARK}{lines[number]}"
    lines.insert(numbers[-1] + 1, f"{key}=n")
    plan.new[path] = "\n".join(lines)
    plan.explained.append(f"{path} has the Azure Linux agent make swap at boot: {key}=n")
