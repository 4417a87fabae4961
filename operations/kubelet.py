"""kubelet's configuration, on a node and before there is one."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.kubelet_files import KubeletFiles, KubeletFilesShape
from kubenode.facts.kubelet_start import CONFIG
from kubenode.files import whole_file
from kubenode.files.cannot_tell import CannotTell
from kubenode.files.exact_text import bytes_of, is_utf8
from kubenode.files.whole_file import Change
from kubenode.kubelet import editing, fields, service
from kubenode.kubelet.command_line import Word, flags
from kubenode.kubelet.config import kubelet_settings
from kubenode.kubelet.configuration import PATCH, Files, Plan, plan
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.runtimes import config_swap
from kubenode.runtimes.config_swap import Daemon
from kubenode.settings import DEFAULTS
from kubenode.wire import joint_reading
from kubenode.wire.bounded import RESTART_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]

_PATCHES = PATCH.rpartition("/")[0]


@operation()
@bounded(RESTART_SECONDS)
def configured(
    settings: Mapping[str, Any],
    change_driver_under_pods: bool = DEFAULTS.change_driver_under_pods,
) -> Commands:
    """
    Set fields of kubelet's configuration, where the value that counts is stated.

    + settings: values by field of KubeletConfiguration, such as ``{"cgroupDriver": "systemd",
      "failSwapOn": False, "memorySwap": {"swapBehavior": "LimitedSwap"}}``: see
      :data:`kubenode.kubelet.fields.FIELDS`. Of a mapping only its own names are changed
    + change_driver_under_pods: change ``cgroupDriver`` although pods run; drain the node instead

    On a node of a cluster a flag is changed in the file that states it, else the last drop-in of
    ``--config-dir`` that has the field, else ``/var/lib/kubelet/config.yaml``; all else in these
    stays to the letter, remarks too. What would come of it is judged by kubelet's own rules before.
    Then kubelet is restarted and has to be healthy (``/healthz``); where it is not, all files are
    put back and it runs with the old ones, and the error has its own words. One that was started
    before its files or its program were changed is restarted too. ``kubeadm upgrade node`` writes
    the file again, from the cluster's ConfigMap ``kubelet-config``: what that has to say too is
    printed.

    kubeadm writes the file of a node that has not joined a cluster. So that gets a patch,
    ``/etc/kubernetes/patches/kubeletconfiguration+merge.yaml``, for ``kubeadm init`` and ``join``
    with ``--patches /etc/kubernetes/patches``. With ``--config`` kubeadm takes no ``--patches``:
    ``patches: {directory: /etc/kubernetes/patches}`` stands in its InitConfiguration or
    JoinConfiguration then. What its own configuration would have to say instead is printed.

    Sources: see :mod:`kubenode.kubelet.configuration` and :mod:`kubenode.kubelet.fields`.

    **Example:**

    .. code:: python

        kubelet.configured(
            name="kubelet has the systemd driver, and room for logs",
            settings={"cgroupDriver": "systemd", "containerLogMaxSize": "50Mi"},
        )
    """
    try:
        fields.check(settings)
    except ValueError as error:
        raise OperationValueError(f"settings: {error}") from error
    if not settings:
        host.noop("no setting of kubelet is asked for")
        return
    now = joint_reading.get_fact(KubeletFiles)
    if now is not None and now["interrupted"]:
        explain(host, "a change of kubelet's files was interrupted: what was before comes back")
        yield config_swap.undo(CONFIG)
        now = joint_reading.get_fact_now(KubeletFiles)
    if now is None:
        yield refuse(host, "cannot tell what kubelet's files are, see the lines above")
        return
    if problem := unclear(now):
        yield refuse(host, f"{problem}: nothing was changed")
    elif now["joined"] == "no":
        yield from _for_kubeadm(now, dict(settings))
    else:
        yield from _on_node(now, dict(settings), change_driver_under_pods)


def unclear(now: KubeletFilesShape) -> str | None:
    """Why kubelet's files cannot be changed, None where they can."""
    if now["unreadable"]:
        return f"cannot read {now['unreadable']}"
    if now["error"]:
        return f"cannot tell kubelet's flags: {now['error']}"
    if no_text := [path for path, text in now["files"].items() if not is_utf8(text)]:
        return f"{no_text[0]} is no UTF-8"
    return None


def files_of(now: KubeletFilesShape) -> Files:
    """kubelet's files, as they are planned on."""
    return Files(
        now["config"],
        now["drop_ins"],
        {path: text for path, text in now["files"].items() if path != PATCH},
        [Word(each["text"], each["source"]) for each in now["words"]],
    )


def _for_kubeadm(now: KubeletFilesShape, wanted: dict[str, Any]) -> Commands:
    """A node that has not joined: what kubeadm will take."""
    files = files_of(now)
    # kubeadm writes the file, and what flags say wins over that too
    to_do = plan(Files(CONFIG, (), {**files.texts, CONFIG: editing.HEAD}, files.words), wanted)
    if to_do.blocked:
        yield refuse(host, f"{to_do.blocked}: nothing was changed")
        return
    text = f"# by kubenode, for kubeadm --patches {_PATCHES}\n{editing.patch(wanted)}"
    new = {path: each for path, each in to_do.edits.items() if path != CONFIG} | {PATCH: text}
    changes = [
        Change(path, _content(now, path), bytes_of(each))
        for path, each in new.items()
        if now["files"].get(path) != each
    ]
    if not changes:
        host.noop(f"{PATCH} is as wanted: give kubeadm --patches {_PATCHES}")
        return
    for change in changes:
        explain_file(host, change.path, now["files"].get(change.path), new[change.path])
    explain(
        host, f"kubeadm init and join take it with --patches {_PATCHES}; beside --config they do"
    )
    explain(host, f"not take that, and InitConfiguration says patches: directory: {_PATCHES}")
    explain(host, f"or kubeadm's own configuration says it: {_on_one_line(wanted)}")
    yield whole_file.change(changes)


def _content(now: KubeletFilesShape, path: str) -> bytes | None:
    text = now["files"].get(path)
    return None if text is None else bytes_of(text)


def _on_one_line(wanted: Mapping[str, Any]) -> str:
    return "; ".join(editing.patch(wanted).splitlines())


def _on_node(
    now: KubeletFilesShape, wanted: dict[str, Any], change_driver_under_pods: bool
) -> Commands:
    files = files_of(now)
    to_do = plan(files, wanted)
    problem = to_do.blocked or _under_pods(now, to_do, change_driver_under_pods)
    if problem:
        yield refuse(host, f"{problem}: nothing was changed")
        return
    if not to_do.edits:
        if now["active"] and now["unapplied"]:
            yield _applied(now, files)
        else:
            host.noop(f"kubelet has {', '.join(wanted)} as wanted")
        return
    for sentence in to_do.changes:
        explain(host, sentence)
    for path, text in to_do.edits.items():
        explain_file(host, path, now["files"].get(path), text)
    explain(host, f"ConfigMap kube-system/kubelet-config must say the same: {_on_one_line(wanted)}")
    explain(host, "kubeadm upgrade node writes kubelet's file again from that")
    restarts = now["active"] is not False
    if restarts:
        explain(host, "restart kubelet, which has to be healthy then, or all of it is put back")
    yield _swap(now, files, to_do, restarts)


def _swap(now: KubeletFilesShape, files: Files, to_do: Plan, restarts: bool) -> StringCommand:
    return config_swap.swap(
        {path: (_content(now, path), bytes_of(text)) for path, text in to_do.edits.items()},
        CONFIG,
        daemon_of(files, to_do),
        restarts,
    )


def daemon_of(files: Files, to_do: Plan) -> Daemon:
    """What scripts have to know of a kubelet whose files are changed.

    + files: kubelet's
    + to_do: what becomes of them
    """
    return service.daemon(files.words, _health_address(files, {**files.texts, **to_do.edits}))


def _applied(now: KubeletFilesShape, files: Files) -> StringCommand:
    """A restart after which kubelet runs with what is on disk, which is as wanted."""
    for phrase in now["unapplied"]:
        explain(host, f"kubelet runs with what was: {phrase}")
    explain(host, "restart kubelet, which has to be healthy then")
    return service.restart(files.words, _health_address(files, files.texts))


def _health_address(files: Files, texts: Mapping[str, str]) -> str | None:
    try:
        stated = flags(files.words)
        # where a health port is stated it is not one of the fields that are changed
        return service.health_address(stated, _health_of(files, texts))
    except CannotTell:
        return service.health_address({}, {})


def _health_of(files: Files, texts: Mapping[str, str]) -> dict[str, Any]:
    stated = [path for path in (files.config, *files.drop_ins) if path in texts]
    return kubelet_settings([(path, texts[path]) for path in stated if path is not None])


def _under_pods(now: KubeletFilesShape, to_do: Plan, is_allowed: bool) -> str | None:
    if not to_do.changes_driver or is_allowed:
        return None
    if now["pods"] is None:
        return "nobody can tell whether pods run, and so the cgroup driver is not changed"
    if now["pods"] > 0:
        return (
            f"{now['pods']} containers of pods run, and pods do not survive another cgroup driver "
            f"({to_do.before or 'cgroupfs'} -> {to_do.after}): drain the node, then change runtime "
            "and kubelet together"
        )
    return None
