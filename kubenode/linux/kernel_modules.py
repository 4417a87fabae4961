"""What a kernel module is on a host: loaded, built in, loadable, forbidden, absent, or unknown.

Pure functions of what was read there. Absent is said only on positive knowledge: a kernel may have
everything built in, with no ``/proc/modules`` and no ``/lib/modules`` at all.

Sources: modules-load.d(5), systemd-modules-load.service(8), modprobe.d(5), kmod's
``libkmod-config.c``, the kernel's ``Documentation/kbuild``.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from kubenode.linux.drop_ins import are_known, in_force, lasting
from kubenode.linux.kernel_command_line import PATH as COMMAND_LINE
from kubenode.linux.kernel_command_line import parameters
from kubenode.linux.place import Place

LOAD_DIRECTORIES = (
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
    "/lib/modules-load.d",
)
"""Where systemd-modules-load looks; a file name in an earlier one masks it in later ones."""

MODPROBE_DIRECTORIES = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)
"""Where kmod looks, masked in the same way."""

State = Literal["loaded", "builtin", "loadable", "blacklisted", "absent", "unknown"]

CONFIG_OPTIONS = {
    "bridge": "CONFIG_BRIDGE",
    "br_netfilter": "CONFIG_BRIDGE_NETFILTER",
    "dummy": "CONFIG_DUMMY",
    "geneve": "CONFIG_GENEVE",
    "ip6_tables": "CONFIG_IP6_NF_IPTABLES",
    "ip_set": "CONFIG_IP_SET",
    "ip_tables": "CONFIG_IP_NF_IPTABLES",
    "ip_vs": "CONFIG_IP_VS",
    "ip_vs_rr": "CONFIG_IP_VS_RR",
    "ip_vs_sh": "CONFIG_IP_VS_SH",
    "ip_vs_wrr": "CONFIG_IP_VS_WRR",
    "ipip": "CONFIG_NET_IPIP",
    "nf_conntrack": "CONFIG_NF_CONNTRACK",
    "nf_nat": "CONFIG_NF_NAT",
    "nf_tables": "CONFIG_NF_TABLES",
    "overlay": "CONFIG_OVERLAY_FS",
    "tun": "CONFIG_TUN",
    "veth": "CONFIG_VETH",
    "vxlan": "CONFIG_VXLAN",
    "wireguard": "CONFIG_WIREGUARD",
    "xt_comment": "CONFIG_NETFILTER_XT_MATCH_COMMENT",
    "xt_conntrack": "CONFIG_NETFILTER_XT_MATCH_CONNTRACK",
    "xt_mark": "CONFIG_NETFILTER_XT_MARK",
    "xt_set": "CONFIG_NETFILTER_XT_SET",
    "xt_statistic": "CONFIG_NETFILTER_XT_MATCH_STATISTIC",
}
"""The kernel option that builds a module, for those a node may need."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_SPACE = " \t\r"
_LONGEST_PATTERN = 255


def check_name(name: object) -> str:
    """*name* itself when it can be a module's name, ValueError with what was expected if not."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 64:
        raise ValueError(f"{name!r} is not a kernel module's name, write it as br_netfilter")
    return name


def underscored(name: str) -> str:
    """A module's name as the kernel spells it: ``-`` and ``_`` are the same."""
    return name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Directive(Place):
    """A line that asks for a module or forbids one, and what it says."""

    directive: str = ""
    """The line itself, or the kernel command line's parameter; empty for a line of modules-load.d,
    which is the module's name."""


@dataclass(frozen=True)
class RunningKernel:
    """What a host's kernel shows of its modules, names with underscores.

    + release: such as ``6.12.90+deb13-amd64``
    + kernels_on_disk: releases with a directory of modules, None when there is no ``/lib/modules``
    + can_load: False for a kernel built without loadable modules, None when that is unknown
    + loaded: ``/proc/modules``, None when it could not be read
    + in_sys: directories of ``/sys/module``, and whether each is of a loaded module
    + filesystems: ``/proc/filesystems``
    + bridge: whether ``/proc/sys/net/bridge`` is there: what br_netfilter brings
    + builtin, loadable: those named in ``modules.builtin`` and ``modules.dep`` of the running
      kernel, None when the file is not there or could not be read
    + dependencies: what ``modules.dep`` says a module needs, by its name
    + config: the kernel's configuration, option to ``y``, ``m`` or ``n``
    + config_file: where that was read, None when nowhere
    """

    release: str | None = None
    kernels_on_disk: list[str] | None = None
    can_load: bool | None = None
    loaded: frozenset[str] | None = None
    in_sys: Mapping[str, bool] = field(default_factory=dict)
    filesystems: frozenset[str] = frozenset()
    bridge: bool = False
    builtin: frozenset[str] | None = None
    loadable: frozenset[str] | None = None
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    config_file: str | None = None


def state_of(name: str, kernel: RunningKernel) -> tuple[State, str]:
    """A module's state, and why it is said to be that; blacklists are not looked at.

    + name: the module, in either spelling
    + kernel: what the host showed
    """
    name = underscored(name)
    option = CONFIG_OPTIONS.get(name, "")
    configured = kernel.config.get(option)
    if kernel.loaded is not None and name in kernel.loaded:
        return "loaded", "in /proc/modules"
    if kernel.in_sys.get(name):
        return "loaded", f"/sys/module/{name}"
    if name in kernel.in_sys:
        return "builtin", f"/sys/module/{name}, and not in /proc/modules"
    if kernel.builtin is not None and name in kernel.builtin:
        return "builtin", f"in modules.builtin of kernel {kernel.release}"
    for works, seen in (
        (name in kernel.filesystems, "/proc/filesystems"),
        (name == "br_netfilter" and kernel.bridge, "/proc/sys/net/bridge"),
    ):
        if works and (kernel.loaded is not None or kernel.can_load is False):
            return "builtin", f"seen in {seen}, and not in /proc/modules"
        if works:
            return "loaded", f"seen in {seen}; loaded or built in, /proc/modules is not readable"
    if configured == "y":
        return "builtin", f"{option}=y in {kernel.config_file}"
    if configured == "n":
        return "absent", f"kernel {kernel.release} is built without it ({option} is not set)"
    if kernel.loadable is not None and name in kernel.loadable:
        return "loadable", f"in modules.dep of kernel {kernel.release}"
    return _not_found(option, configured, kernel)


def _not_found(option: str, configured: str | None, kernel: RunningKernel) -> tuple[State, str]:
    release, on_disk = kernel.release, kernel.kernels_on_disk
    if kernel.can_load is False:
        return "unknown", (
            f"kernel {release} cannot load modules, and nothing says whether it has this built in"
        )
    if release and on_disk and release not in on_disk:
        return (
            "absent",
            f"kernel {release} is gone from disk (on disk: {', '.join(on_disk)}): reboot",
        )
    if kernel.builtin is not None and kernel.loadable is not None:
        return "absent", (
            f"kernel {release} does not have it (neither in modules.dep nor in modules.builtin): "
            "install the package with the kernel's further modules, or another kernel"
        )
    if configured == "m":
        return "unknown", (
            f"{option}=m in {kernel.config_file}, but modules.dep of kernel {release} "
            "could not be read"
        )
    return "unknown", f"modules.dep and modules.builtin of kernel {release} could not be read"


def requests(files: Mapping[str, str], command_line: str) -> dict[str, list[Directive]]:
    """Who asks for a module at boot, by its name with underscores.

    + files: text of modules-load.d files by path, masked ones included; those in ``/run`` are gone
      by then
    + command_line: the kernel's; ``rd.modules_load=`` is read in the initrd only
    """
    asked: dict[str, list[Directive]] = {}
    for path in in_force(files, lasting(LOAD_DIRECTORIES)):
        for number, name in requested_lines(files[path]):
            asked.setdefault(name, []).append(Directive(path, number))
    for parameter, value in parameters(command_line):
        if underscored(parameter) in ("modules_load", "rd.modules_load"):
            for name in (value or "").split(","):
                place = Directive(COMMAND_LINE, 1, underscored(parameter))
                asked.setdefault(underscored(name), []).append(place)
    return asked


def requested_lines(text: str) -> Iterator[tuple[int, str]]:
    """The line numbers and module names (with underscores) of a modules-load.d file."""
    for number, line in enumerate(text.split("\n"), 1):
        name = line.strip(_SPACE)
        if name and name[0] not in "#;":
            yield number, underscored(name)


def with_requests(text: str, names: Iterable[str]) -> str:
    """A modules-load.d file that asks for *names* too; every line that is there stays."""
    asked = {name for _, name in requested_lines(text)}
    for name in names:
        if underscored(name) not in asked:
            asked.add(underscored(name))
            text += ("" if not text or text.endswith("\n") else "\n") + f"{name}\n"
    return text


def without_requests(text: str, names: Iterable[str]) -> str:
    """A modules-load.d file that does not ask for *names*; every other line stays."""
    unwanted = {underscored(name) for name in names}
    gone = {number for number, name in requested_lines(text) if name in unwanted}
    lines = text.split("\n")
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in gone)


@dataclass(frozen=True)
class Forbidding:
    """What keeps modules from being loaded: modprobe.d(5) and the kernel command line, in order."""

    blacklisted: tuple[tuple[str, Directive], ...]
    aliases: tuple[tuple[str, str, Directive], ...]
    """Pattern, and the module that is loaded in place of what matches."""
    installs: tuple[tuple[str, str, Directive], ...]
    """Pattern, and the command that is run in place of loading what matches."""

    def lines(self, name: str, dependencies: Iterable[str] = ()) -> list[Directive]:
        """Every line that forbids *name*, none when nothing does.

        + name: the module, in either spelling
        + dependencies: what modules.dep says it needs: kmod loads those first, by their own
          ``install`` commands, and fails when one of them fails
        """
        name = underscored(name)
        found = [place for blacklisted, place in self.blacklisted if blacklisted == name]
        redirected = [
            (target, place) for pattern, target, place in self.aliases if _matches(name, pattern)
        ]
        # all that an alias names is loaded; the module itself only when it is among them
        if all(target != name for target, _ in redirected):
            found += [place for _, place in redirected]
        for module in (name, *map(underscored, dependencies)):
            first = next((line for line in self.installs if _matches(module, line[0])), None)
            if first is not None and not _loads(module, first[1]):
                found.append(first[2])
        return found


def forbidding(files: Mapping[str, list[str]], command_line: str) -> Forbidding:
    """Every line that may keep a module from being loaded by what boots.

    + files: lines of modprobe.d files by path, masked ones included
    + command_line: the kernel's: ``module_blacklist=`` and ``modprobe.blacklist=``

    systemd-modules-load obeys all of them; a plain ``modprobe NAME`` does not obey ``blacklist``
    lines, so a forbidden module may well be loaded now. Of several ``install`` lines kmod takes
    the first; an ``alias`` wins over a module of the same name. ``remove``, ``softdep`` and
    ``options`` forbid nothing.
    """
    blacklisted: list[tuple[str, Directive]] = []
    aliases: list[tuple[str, str, Directive]] = []
    installs: list[tuple[str, str, Directive]] = []
    for path in in_force(files, MODPROBE_DIRECTORIES):
        for number, line in _wrapped(files[path]):
            place = Directive(path, number, " ".join(line.split()))
            verb, pattern, rest = _directive(line)
            if pattern is None:
                continue
            if verb == "blacklist":
                # kmod compares the name literally here
                blacklisted.append((pattern, place))
            elif verb == "alias" and (target := _normal(re.split(r"[ \t]", rest.lstrip())[0])):
                aliases.append((pattern, target, place))
            elif verb == "install" and rest:
                installs.append((pattern, rest, place))
    for name, value in parameters(command_line):
        if name in ("module_blacklist", "modprobe.blacklist"):
            place = Directive(COMMAND_LINE, 1, f"{name}={value}")
            blacklisted += [(underscored(each), place) for each in (value or "").split(",")]
    return Forbidding(tuple(blacklisted), tuple(aliases), tuple(installs))


@dataclass(frozen=True)
class Configuration:
    """What a host's files and its kernel's command line say of modules.

    + requests: who asks for a module at boot, see :func:`requests`
    + forbidding_now, forbidding_at_boot: what keeps modules from being loaded
    + knows_requests, knows_forbidding: whether all of that could be read
    """

    requests: Mapping[str, list[Directive]]
    forbidding_now: Forbidding
    forbidding_at_boot: Forbidding
    knows_requests: bool = True
    knows_forbidding: bool = True


def configuration(
    load_files: Mapping[str, str],
    modprobe_files: Mapping[str, list[str]],
    command_line: str | None,
    unreadable: Collection[str] = (),
) -> Configuration:
    """What files and command line say.

    + load_files: text of modules-load.d files by path; of one that could not be read it is empty
    + modprobe_files: lines of modprobe.d files by path, likewise
    + command_line: the kernel's, None when it could not be read
    + unreadable: files and directories that could not be read
    """
    # /run is empty when a boot begins
    lasting_files = {
        path: lines for path, lines in modprobe_files.items() if not path.startswith("/run/")
    }
    return Configuration(
        requests=requests(load_files, command_line or ""),
        forbidding_now=forbidding(modprobe_files, command_line or ""),
        forbidding_at_boot=forbidding(lasting_files, command_line or ""),
        knows_requests=command_line is not None
        and are_known(load_files, unreadable, LOAD_DIRECTORIES),
        knows_forbidding=command_line is not None
        and are_known(modprobe_files, unreadable, MODPROBE_DIRECTORIES),
    )


@dataclass(frozen=True)
class Module:
    """A module on a host, now and after the next boot."""

    state: State
    reason: str
    """How that is known; for ``absent`` and ``unknown`` also what to do."""
    boot: bool | None
    """Whether systemd-modules-load brings it in at the next boot, or it is built in; None when
    that is unknown."""
    requested_by: tuple[Directive, ...]
    blacklisted_by: tuple[Directive, ...]
    """What forbids it now, and what will at boot."""


def module_of(name: str, kernel: RunningKernel, configured: Configuration) -> Module:
    """What a module is on a host.

    + name: the module, in either spelling
    + kernel: what the host's kernel shows
    + configured: what its files say
    """
    state, reason = state_of(name, kernel)
    asked = configured.requests.get(underscored(name), [])
    needed = kernel.dependencies.get(underscored(name), ())
    now, at_boot = (
        # nothing has to load what is built in
        [] if state == "builtin" else forbidding.lines(name, needed)
        for forbidding in (configured.forbidding_now, configured.forbidding_at_boot)
    )
    if state == "loadable" and now:
        state, reason = "blacklisted", f"{now[0].directive} in {now[0]}"
    return Module(
        state,
        reason,
        boot=None
        if _may_be_builtin(name, state, kernel)
        else _is_there_at_boot(state, asked, at_boot, configured),
        requested_by=tuple(asked),
        blacklisted_by=tuple(dict.fromkeys([*now, *at_boot])),
    )


def _may_be_builtin(name: str, state: State, kernel: RunningKernel) -> bool:
    in_sys = kernel.in_sys.get(underscored(name))
    return state == "unknown" or (state == "loaded" and kernel.loaded is None and not in_sys)


def _is_there_at_boot(
    state: State,
    asked: Collection[Directive],
    forbidden: Collection[Directive],
    configured: Configuration,
) -> bool | None:
    """Whether the next boot has a module, of which it is known whether it is built in.

    systemd-modules-load obeys all that forbids a module, so that decides over who asks for it.
    """
    if state == "builtin":
        return True
    if forbidden:
        return False
    # another kernel may boot next
    if state == "absent" and asked:
        return None
    # rd.modules_load= is the initrd's, which may not have the module
    if any(place.directive != "rd.modules_load" for place in asked):
        return True if configured.knows_forbidding else None
    return False if configured.knows_requests and not asked else None


def _wrapped(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines as kmod reads them, by the number of the first, without comments.

    A backslash at the end of a line continues it, with nothing between; before any other character
    it is dropped. A CR is a character like others.
    """
    start, joined, goes_on = 1, "", False
    for number, line in enumerate(lines, 1):
        start = start if goes_on else number
        goes_on = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        joined += re.sub(r"\\(.)", r"\1", line[:-1] if goes_on else line)
        if not goes_on or number == len(lines):
            if not joined.startswith("#"):
                yield start, joined
            joined = ""


def _directive(line: str) -> tuple[str, str | None, str]:
    """The first word, the name or glob that is the second, and the rest as it is."""
    found = re.match(r"[ \t]*([^ \t]+)[ \t]+([^ \t]+)(?:[ \t](.*))?", line, re.DOTALL)
    return (found[1], _normal(found[2]), found[3] or "") if found else ("", None, "")


def _normal(pattern: str) -> str | None:
    """A name or glob with underscores, outside brackets; None for one that kmod refuses."""
    parts = re.split(r"(\[[^\]]*\])", pattern)
    if any("[" in part or "]" in part for part in parts[::2]):
        return None
    return "".join(part if index % 2 else underscored(part) for index, part in enumerate(parts))


def _matches(name: str, pattern: str) -> bool:
    if len(pattern) > _LONGEST_PATTERN:
        return True  # nobody can tell soon, and "not forbidden" has to be certain
    return fnmatch.fnmatchcase(name, pattern.replace("[^", "[!"))


_PLAIN = re.compile(r"[\w ./:=,@%+-]*")
_LEAVES = re.compile(r"(?:exit|exec|kill|return|break|set|trap|unset|export|alias|cd)\b|\w+=")
_SUCCEEDS = re.compile(r"(?:(?:/usr)?/bin/)?true|:")
_OPTION = re.compile(r"-[iqsv]+|--(?:ignore-install|quiet|syslog|verbose)")


def _loads(name: str, command: str) -> bool:
    """Whether an ``install`` command is known to load the module.

    Known are ``modprobe --ignore-install NAME`` and ``insmod FILE``, alone or in a list of plain
    commands none of which can keep the shell from coming to it. Anything else may do anything: a
    command forbids unless it is known to load.
    """
    for part in re.split(r"[ \t]#", command)[0].split(";"):
        first, *others = part.split("||")
        for step in first.split("&&"):
            if _is_load(name, step.strip(_SPACE)):
                return True
            if not _SUCCEEDS.fullmatch(step.strip(_SPACE)):
                break
        steps = [step.strip(_SPACE) for each in (first, *others) for step in each.split("&&")]
        if not all(_PLAIN.fullmatch(step) and not _LEAVES.match(step) for step in steps):
            return False
    return False


def _is_load(name: str, step: str) -> bool:
    if not _PLAIN.fullmatch(step.replace("$CMDLINE_OPTS", "")):
        return False
    program, *words = step.replace("$CMDLINE_OPTS", "").split() or [""]
    options = [word for word in words if word.startswith("-")]
    operand = next((word for word in words if not word.startswith("-")), "")
    if re.fullmatch(r"(?:(?:/usr)?/s?bin/)?insmod", program):
        file = operand.rpartition("/")[2]
        return not options and underscored(re.sub(r"[.]ko(?:[.]\w+)?$", "", file)) == name
    return (
        re.fullmatch(r"(?:(?:/usr)?/s?bin/)?modprobe", program) is not None
        and all(_OPTION.fullmatch(option) for option in options)
        and any(re.fullmatch(r"-\w*i\w*|--ignore-install", option) for option in options)
        and underscored(operand) == name
    )
