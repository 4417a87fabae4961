"""What becomes of kubelet's files, so that settings are in force: pure.

A setting is changed where the value that counts is stated: a flag wins over drop-ins
(``--config-dir``), the last of these over those before, and all over the file. What nobody states
goes into the file. kubeadm keeps the runtime's endpoint in ``instance-config.yaml`` besides, and
puts it back from there at the next upgrade.

Sources: the Kubernetes page "Set Kubelet Parameters Via A Configuration File"; KEP-4656 for
instance-config.yaml; the page "Customizing components with the kubeadm API" for patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet import editing, fields, flags
from kubenode.kubelet.command_line import Word
from kubenode.kubelet.config import kubelet_settings

INSTANCE_CONFIG = "/var/lib/kubelet/instance-config.yaml"
PATCH = "/etc/kubernetes/patches/kubeletconfiguration+merge.yaml"
"""What kubeadm takes where it is told ``--patches /etc/kubernetes/patches``."""


@dataclass(frozen=True)
class Files:
    """kubelet's files on a host.

    + config: path of its configuration file; None where it is told none
    + drop_ins: paths of its drop-ins, in their order
    + texts: by path, of those and of files with flags
    + words: what its unit starts it with
    """

    config: str | None
    drop_ins: Sequence[str] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    words: Sequence[Word] = ()


@dataclass(frozen=True)
class Plan:
    """What to do, or why not to. It is empty when there is nothing to do.

    + edits: new text by path
    + changes: what that is, a sentence each
    + before, after: the driver in force, None where nothing states one
    + blocked: why nothing may be done
    """

    edits: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None
    blocked: str | None = None

    @property
    def changes_driver(self) -> bool:
        """Whether kubelet places pods elsewhere afterwards."""
        return self.before != self.after


def plan(files: Files, wanted: Mapping[str, Any]) -> Plan:
    """What to change so that settings are in force.

    + files: kubelet's
    + wanted: values by field, see :func:`kubenode.kubelet.fields.check`

    **Example:**

    .. code:: python

        plan(Files("/c", texts={"/c": "failSwapOn: true\\n"}), {"failSwapOn": False}).edits
    """
    texts = dict(files.texts)
    changes: list[str] = []
    try:
        before = in_force(files, texts)
        for name, value in wanted.items():
            changes += _stated(files, texts, name, value)
        after = in_force(files, texts)
    except (editing.CannotEdit, CannotTell) as trouble:
        return Plan(blocked=str(trouble))
    if wrong := fields.problems(after):
        return Plan(blocked=f"kubelet would not start: {'; '.join(wrong)}")
    edits = {path: text for path, text in texts.items() if text != files.texts.get(path)}
    return Plan(edits, tuple(changes), before.get("cgroupDriver"), after.get("cgroupDriver"))


def in_force(files: Files, texts: Mapping[str, str]) -> dict[str, Any]:
    """The settings of :data:`kubenode.kubelet.fields.FIELDS` that count, as far as one is stated.

    + files: kubelet's
    + texts: by path
    """
    stated = [path for path in (files.config, *files.drop_ins) if path in texts]
    merged = kubelet_settings([(path, texts[path]) for path in stated if path is not None])
    settings = {name: value for name, value in merged.items() if name in fields.FIELDS}
    for name, each in fields.FIELDS.items():
        if each.flag and (found := _flag(files, texts, each.flag)):
            settings[name] = fields.of_flag(name, found[0])
    return settings


def _flag(files: Files, texts: Mapping[str, str], flag: str) -> tuple[str, str] | None:
    """A flag's value and where it is stated; what was changed in its file counts already."""
    found = [each for each in flags.stated(files.words) if each[0] == flag]
    if not found:
        return None
    _, value, source = found[-1]
    if source in files.texts and texts[source] != files.texts[source]:
        from_file = [
            text.partition("=")[2].strip("\"'")
            for text in texts[source].replace('"', " ").replace("'", " ").split()
            if text.replace("_", "-").startswith(f"--{flag}=")
        ]
        value = from_file[-1] if from_file else value
    return value, source


def _stated(files: Files, texts: dict[str, str], name: str, value: Any) -> list[str]:
    """Change the text in which a setting counts; what that is, a sentence each."""
    changes = []
    flag = fields.FIELDS[name].flag
    found = _flag(files, texts, flag) if flag else None
    if found is not None and flag is not None:
        stated, source = found
        if not fields.same(fields.of_flag(name, stated), value):
            if source not in texts:
                raise editing.CannotEdit(
                    f"{source}: --{flag}={stated} wins over all files: take it out there"
                )
            texts[source] = editing.with_flag(texts[source], flag, fields.as_flag(name, value))
            changes.append(f"{source}: --{flag} {stated} -> {fields.as_flag(name, value)}")
    else:
        changes += _in_yaml(texts, _place(files, texts, name), name, value)
    if name == "containerRuntimeEndpoint" and INSTANCE_CONFIG in texts:
        changes += _in_yaml(texts, INSTANCE_CONFIG, name, value)
    return changes


def _in_yaml(texts: dict[str, str], path: str, name: str, value: Any) -> list[str]:
    text = texts.get(path, "")
    old = kubelet_settings([(path, text)]).get(name)
    if fields.same(old, value):
        return []
    try:
        texts[path] = editing.with_settings(text, {name: value})
    except editing.CannotEdit as trouble:
        raise editing.CannotEdit(f"{path}: {trouble}") from trouble
    return [f"{path}: {name} {'(not stated)' if old is None else old} -> {value}"]


def _place(files: Files, texts: Mapping[str, str], name: str) -> str:
    for path in reversed(files.drop_ins):
        if kubelet_settings([(path, texts[path])]).get(name) is not None:
            return path
    if files.config is None:
        raise editing.CannotEdit(
            "kubelet is told no configuration file (--config), so there is none to change"
        )
    return files.config
