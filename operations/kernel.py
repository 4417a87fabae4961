"""Kernel modules and sysctls, set now and for the next boot."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from pyinfra import host
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.kernel import (
    KernelModules,
    KernelModulesShape,
    PersistFileShape,
    Sysctls,
    SysctlsShape,
)
from kubenode.files import exact_text, whole_file
from kubenode.linux import drop_ins, kernel_modules, sysctl_d, sysctl_file
from kubenode.linux.sysctl_value import is_value
from kubenode.run import asked, host_script
from kubenode.run.pyinfra_internals import is_executing
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.settings import DEFAULTS
from kubenode.wire import joint_reading
from kubenode.wire.bounded import CHANGE_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, None, None]

_MOST_SHOWN = 20
"""Lines of others that are named; there may be a hundred thousand."""


@operation()
@bounded(CHANGE_SECONDS)
def modules(
    modules: str | list[str],
    present: bool = True,
    persist_file: str = DEFAULTS.modules_file,
) -> Commands:
    """
    Load kernel modules, now and at every boot.

    + modules: names; one string is one module; ``-`` and ``_`` are the same
    + present: False unloads them and no longer asks for them at boot
    + persist_file: the modules-load.d(5) file that names them, a ``*.conf``

    A module that is built in counts as loaded. Lines of others in ``persist_file`` stay: several
    calls may share one file. A host fails, before anything is changed on it, when a module is
    blacklisted (the boot would not load it), absent, or not known to be there.

    With ``present=False`` a host fails when a module is built in or another file asks for it. That
    one call of a run loads a module and another one unloads it is an error.

    **Example:**

    .. code:: python

        from kubenode.operations import kernel

        kernel.modules(
            name="Modules of kube-proxy's ipvs mode",
            modules=["ip_vs", "ip_vs_rr", "nf_conntrack"],
            persist_file="/etc/modules-load.d/ipvs.conf",
        )
    """
    names = _module_names(modules)
    if not isinstance(present, bool):
        raise OperationValueError(f"present is True or False, not {present!r}")
    _check_persist_file(persist_file, kernel_modules.LOAD_DIRECTORIES)
    if not names:
        host.noop("no modules asked for")
        return
    if problem := _undone_by_others(names, present):
        yield refuse(host, asked.contradiction(host, problem))
        return

    fact = joint_reading.get_fact(KernelModules, modules=names, persist_file=persist_file)
    if fact is None:
        yield refuse(host, "cannot tell which modules the kernel has: the host did not answer")
        return
    problem = _cannot_write(fact["persist_file"]) or (
        _cannot_load(fact) if present else _cannot_unload(fact)
    )
    if problem:
        yield refuse(host, problem)
        return

    yield from _with_modules(fact, names, present)


def _with_modules(fact: KernelModulesShape, names: list[str], present: bool) -> Commands:
    persist_file, old = fact["persist_file"]["path"], fact["persist_file"]["text"]
    states = {name: module["state"] for name, module in fact["modules"].items()}
    if present:
        to_change = [name for name in names if states[name] == "loadable"]
        text = kernel_modules.with_requests(old or "", names)
    else:
        to_change = [name for name in names if states[name] == "loaded"]
        text = kernel_modules.without_requests(old or "", names)
    for name in to_change:
        explain(host, f"module {name}: {states[name]} -> {'loaded' if present else 'unloaded'}")
    modprobe = f"modprobe -{'a' if present else 'r'} {' '.join(to_change)} || exit 1"
    changes = []
    if text != (old or ""):
        changes.append(_explained(persist_file, old, text if text.strip() else None))
    if to_change or changes:
        yield whole_file.change(changes, modprobe if to_change else "")
    else:
        listed = ", ".join(f"{name} ({states[name]})" for name in names)
        host.noop(f"{listed}: {'all' if present else 'none'} in {persist_file}")


def _module_names(modules: object) -> list[str]:
    items = [modules] if isinstance(modules, str) else modules
    if not isinstance(items, (list, tuple)):
        raise OperationValueError(f"modules is a list of kernel modules' names, not {modules!r}")
    names: dict[str, str] = {}
    for item in items:
        try:
            names.setdefault(kernel_modules.underscored(kernel_modules.check_name(item)), item)
        except ValueError as error:
            raise OperationValueError(f"modules: {error}") from error
    return list(names.values())


def _undone_by_others(names: list[str], present: bool) -> str | None:
    """Which other call of this run wants the opposite, None when none does."""
    mine = {kernel_modules.underscored(name) for name in names}
    for others, other_present in asked.by_others(host, "kernel.modules", (mine, present)):
        if both := mine & others if other_present != present else ():
            return (
                f"kernel.modules is called for {', '.join(sorted(both))} twice in this run, with "
                f"present={other_present} and with present={present}: each would undo the other, "
                "remove one of the calls"
            )
    return None


def _check_persist_file(path: object, directories: tuple[str, ...]) -> None:
    try:
        drop_ins.check_path(path, directories)
    except ValueError as error:
        raise OperationValueError(f"persist_file {error}") from error


def _cannot_write(persist_file: PersistFileShape) -> str | None:
    """Why the persist file cannot be written, or why writing it would change nothing."""
    path = persist_file["path"]
    if persist_file["masked_by"]:
        return f"{path} would not be read at boot: {persist_file['masked_by']} masks it"
    if persist_file["state"] == "unreadable":
        return f"{path} could not be read: it is no file, or needs root"
    if persist_file["state"] == "link":
        return f"{path} is a link to {persist_file['target']}: name another persist_file"
    if not _is_text(persist_file["text"] or ""):
        return f"{path} is not text (UTF-8): correct it, or name another persist_file"
    return None


def _is_text(text: str) -> bool:
    return exact_text.is_utf8(text) and "\0" not in text


def _explained(path: str, old: str | None, new: str | None) -> whole_file.Change:
    """Explain what becomes of a file, and return it; *new* None removes it."""
    explain_file(host, path, old, new)
    return whole_file.Change(path, _encoded(old), _encoded(new))


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else exact_text.bytes_of(text)


def _cannot_load(fact: KernelModulesShape) -> str | None:
    problems = []
    for name, module in fact["modules"].items():
        for place in module["blacklisted_by"]:
            now = (
                "is loaded now, but will not be at boot: it" if module["state"] == "loaded" else ""
            )
            problems.append(
                f"module {' '.join(filter(None, [name, now]))} is blacklisted in "
                f"{place['file']}:{place['line']} ({place['directive']}): remove that"
            )
        if module["state"] in ("absent", "unknown"):
            problems.append(f"module {name} is {module['state']}: {module['reason']}")
    return "; ".join(problems) or None


def _cannot_unload(fact: KernelModulesShape) -> str | None:
    problems = []
    for name, module in fact["modules"].items():
        if module["state"] in ("builtin", "unknown"):
            problems.append(f"module {name} is {module['state']}: {module['reason']}")
        for place in module["requested_by"]:
            if place["file"] != fact["persist_file"]["path"]:
                problems.append(
                    f"{place['file']}:{place['line']} asks for module {name} at boot: remove that"
                )
    return "; ".join(problems) or None


_NEEDED_MODULE = (
    ("net/bridge/", "br_netfilter"),
    ("net/netfilter/nf_", "nf_conntrack"),
    ("net/nf_conntrack", "nf_conntrack"),
    ("net/ipv4/vs/", "ip_vs"),
)


@operation()
@bounded(CHANGE_SECONDS)
def sysctls(
    values: dict[str, str | int],
    persist_file: str = DEFAULTS.sysctls_file,
    override: bool = DEFAULTS.sysctls_override,
    exclusive: bool = False,
) -> Commands:
    """
    Set sysctls, now and at every boot.

    + values: value by key, such as ``{"net.ipv4.ip_forward": 1}``; where one key makes the kernel
      set another (``net.ipv6.conf.all.forwarding``), it comes first
    + persist_file: the sysctl.d(5) file that sets them, a ``*.conf``. Comments and lines of other
      keys in it stay to the letter, so a key that is no longer among the values stays as it is
    + override: disable a line of others that would win at boot, instead of failing the host
    + exclusive: remove the lines of other keys from ``persist_file``; comments stay

    Two calls in one run need two files: two for one file are an error. What is right already is not
    written. A host fails, before anything is changed on it, when
    another file would win over ``persist_file`` at the next boot (see
    :mod:`kubenode.linux.sysctl_d`); the message names file, line and both values. With
    ``override=True`` such a line is commented out and marked ``# disabled by kubenode:``. A file
    in ``/etc`` is edited. A file elsewhere belongs to a package and is left alone: an edited copy
    of the same name in ``/etc/sysctl.d`` masks it, as sysctl.d(5) advises; what the package changes
    in it later then has no effect. A
    line with a glob is disabled for all its keys.

    A key that does not exist while the operation runs fails the host and names the module it
    needs. A value the kernel does not take fails the host with the kernel's message, before a file
    is changed; and before a value is changed, the files' new content is on the host's disk beside
    them. What a file had before stays beside it, see :mod:`kubenode.files.whole_file`.

    **Example:**

    .. code:: python

        from kubenode.operations import kernel

        kernel.sysctls(
            name="What kubelet's protectKernelDefaults asks for",
            values={"vm.overcommit_memory": 1, "kernel.panic": 10, "kernel.panic_on_oops": 1},
            persist_file="/etc/sysctl.d/kubelet.conf",
        )
    """
    wanted = _checked_sysctls(values, persist_file, override, exclusive)
    if not wanted:
        host.noop("no sysctls asked for")
        return
    if problem := _set_otherwise_by_others(wanted, persist_file, exclusive):
        yield refuse(host, asked.contradiction(host, problem))
        return

    fact = joint_reading.get_fact(Sysctls, keys=list(wanted), persist_file=persist_file)
    if fact is None:
        yield refuse(host, "cannot tell the sysctls' values: the host did not answer")
        return
    plan = _planned(fact, wanted, exclusive)
    problem = (
        _cannot_write(fact["persist_file"]) or _cannot_set(fact) or _cannot_win(plan, override)
    )
    if problem:
        yield refuse(host, problem)
        return
    _explain_lines(plan)
    changes = [
        _explained(path, plan.before.files.get(path), plan.after.files[path])
        for path in plan.written
    ]
    if plan.differs or changes:
        yield whole_file.change(changes, set_live(wanted) if plan.differs else "")
    else:
        listed = ", ".join(f"{key} is {value}" for key, value in wanted.items())
        host.noop(f"{listed}: now, and at boot by {persist_file}")


def _checked_sysctls(
    values: object, persist_file: object, override: object, exclusive: object
) -> dict[str, str]:
    try:
        wanted = sysctl_d.check_values(values)
    except ValueError as error:
        raise OperationValueError(f"values: {error}") from error
    if not isinstance(override, bool):
        raise OperationValueError(f"override is True or False, not {override!r}")
    if not isinstance(exclusive, bool):
        raise OperationValueError(f"exclusive is True or False, not {exclusive!r}")
    _check_persist_file(persist_file, sysctl_d.DIRECTORIES)
    return wanted


def _set_otherwise_by_others(
    wanted: dict[str, str], persist_file: str, exclusive: bool
) -> str | None:
    """Which other call of this run writes the same file, None when none does."""
    mine = (dict(wanted), exclusive)
    for others in asked.by_others(host, f"kernel.sysctls {persist_file}", mine):
        if others == mine:
            continue  # the same call again, as in a deploy that is included twice
        return (
            f"kernel.sysctls is called twice for {persist_file} in this run, for "
            f"{', '.join(others[0])} and for {', '.join(wanted)}: set all in one call "
            "(kubenode_sysctls, where that is kubenode.node.prepare), or give one of them another "
            "persist_file"
        )
    return None


@dataclass(frozen=True)
class _Plan:
    """What becomes of a host's sysctls.

    + wanted: value by key
    + persist_file: the file that sets them
    + live: their values now
    + before, after: the files that count at boot
    + written: those that change, ours last
    + conflicts: lines that are disabled, each with the key it would decide
    + removed: lines of other keys that go
    """

    wanted: Mapping[str, str]
    persist_file: str
    live: Mapping[str, str | None]
    before: sysctl_d.Tree
    after: sysctl_d.Tree
    written: list[str]
    conflicts: list[tuple[str, sysctl_d.Line]]
    removed: tuple[str, ...]

    @property
    def differs(self) -> list[str]:
        """The keys that have another value now."""
        return [key for key, value in self.wanted.items() if self.live[key] != value]


def _planned(fact: SysctlsShape, wanted: dict[str, str], exclusive: bool) -> _Plan:
    path, old = fact["persist_file"]["path"], fact["persist_file"]["text"]
    text, removed = sysctl_file.with_values(old, wanted, exclusive)
    before = sysctl_d.Tree(**fact["sources"])
    after, edits, conflicts = sysctl_d.without_conflicts(before, path, text, wanted)
    written = [edited for edited in edits if edited != path]
    # a line of another key in it may be among those that are disabled
    if old != (after.files[path] or text):
        written.append(path)
    live = {key: fact["keys"][key]["live"] for key in wanted}
    return _Plan(wanted, path, live, before, after, written, conflicts, removed)


def _explain_lines(plan: _Plan) -> None:
    """Say what changes live, and which lines of others go; the files say the rest."""
    for key in plan.differs:
        now = plan.live[key]
        there = "not there yet" if now is None else now
        explain(host, f"{key}: {there} -> {plan.wanted[key]} (live)")
    lines = [
        f"{key}: {line} ({line.text}) would win at boot and is disabled"
        for key, line in plan.conflicts
    ]
    gone = [
        f"{plan.persist_file}: {each.strip()} is removed, since exclusive=True"
        for each in plan.removed
    ]
    for said in (lines, gone):
        for each in said[:_MOST_SHOWN]:
            explain(host, each)
        if len(said) > _MOST_SHOWN:
            explain(host, f"and {len(said) - _MOST_SHOWN} more such lines")


def _cannot_set(fact: SysctlsShape) -> str | None:
    problems = []
    for key, sysctl in fact["keys"].items():
        if sysctl["live_state"] == "unreadable":
            problems.append(f"{key} cannot be read, so it cannot be kept at a value")
        # while pyinfra prepares, an operation before this one may be about to load the module
        elif sysctl["live_state"] == "absent" and is_executing(host):
            path = sysctl_d.path_of(key)
            needed = [module for start, module in _NEEDED_MODULE if path.startswith(start)]
            problems.append(
                f"{key} does not exist: "
                + (f"load module {needed[0]} first" if needed else "this kernel has no such key")
            )
    return "; ".join(problems) or None


def _cannot_win(plan: _Plan, override: bool) -> str | None:
    """Why the next boot would not set what is wanted, None when it would."""
    problems = []
    for key, value in plan.wanted.items():
        boot = plan.after.boot(key)
        if boot.value is None or not is_value(sysctl_d.path_of(key), boot.value, value):
            reason = boot.reason or f"{boot.winner or boot.excluded_by} decides"
            problems.append(f"cannot tell that {key} will be {value} at boot: {reason}")
    for key, line in plan.conflicts[:_MOST_SHOWN]:
        if not override:
            problems.append(
                f"{line} ({line.text}) would win at the next boot over {key}={plan.wanted[key]} in "
                f"{plan.persist_file}: remove that line, or set override "
                "(kubenode_sysctls_override)"
            )
        elif not _is_text(plan.after.files[line.file] or ""):
            problems.append(f"{line.file} is not text (UTF-8): remove line {line.line} yourself")
    if len(plan.conflicts) > _MOST_SHOWN and problems:
        problems.append(f"and {len(plan.conflicts) - _MOST_SHOWN} more such lines")
    return "; ".join(problems) or None


def set_live(wanted: Mapping[str, str]) -> str:
    """Shell that sets what differs, reads back what the kernel made of it, and ends if that failed.

    + wanted: value by key; they are gone through in order, since one may change another
    """
    apply = "\n".join(
        f"apply {shlex.quote(key)} {shlex.quote('/proc/sys/' + sysctl_d.path_of(key))} "
        f"{shlex.quote(value)}"
        for key, value in wanted.items()
    )
    return host_script.read(__file__, "set_live.sh", APPLY=apply).strip()
