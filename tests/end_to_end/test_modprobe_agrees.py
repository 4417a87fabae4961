"""What kubenode says of modprobe.d files, and what the real modprobe of each suite does with them.

Targets have no modules: modprobe is shown a tree of its own (``-d``), of modules that depmod reads
and no kernel would load. It never loads one (``-n``), and what an ``install`` command would do is
seen by running it with a ``modprobe`` that only takes notes.
"""

from __future__ import annotations

import base64
import io
import struct
import tarfile

import pytest

from tests import modprobe_cases
from tests.targets.container import Target

pytestmark = pytest.mark.targets

_DEPENDS = {"overlay": None, "foo": None, "bridge": None, "br_netfilter": "bridge"}

_NOTES = """#!/bin/sh
name= ignores= dry=
for word; do
  case $word in
    --ignore-install) ignores=yes;;
    --*) ;;
    -*n*) dry=yes;;
    -*i*) ignores=yes;;
    -*) ;;
    *) name=${name:-$word};;
  esac
done
[ -n "$dry" ] || [ -z "$ignores" ] || echo "$name" | tr - _ >>/root/notes
"""

# prints for each case: its number, the options, and the modules that were loaded in the end
_ASK = r"""
cd /root/cases
for case in *; do
  for blacklists in '' -b; do
    : >/root/notes
    modprobe -n -v $blacklists -C /root/cases/$case/d -d /root/tree -S 1.0 \
      "$(cat $case/module)" 2>/dev/null |
    while IFS= read -r line; do
      case $line in
        insmod\ *) file=${line##*/}; echo "${file%%.ko*}" >>/root/notes;;
        install\ *)
          command=$(printf '%s\n' "${line#install }" |
            sed 's#/usr/sbin/modprobe#modprobe#g; s#/sbin/modprobe#modprobe#g')
          PATH=/root/stub:$PATH sh -c "$command" >/dev/null 2>&1 </dev/null;;
      esac
    done
    echo "$case $blacklists:" $(cat /root/notes)
  done
done
"""


def _module(name: str, needs: str | None) -> bytes:
    """The ELF file of a module, as much of it as depmod reads: it is of no use to a kernel."""
    strings = b"\0" + (f"{needs}_symbol" if needs else "").encode() + b"\0"
    sections = [
        (b"", 0, b""),
        (b".modinfo", 1, f"name={name}\0license=GPL\0".encode()),
        (b"__ksymtab_strings", 1, f"{name}_symbol\0".encode()),
        (b".strtab", 3, strings),
        (b".symtab", 2, bytes(24) + (struct.pack("<IBBHQQ", 1, 16, 0, 0, 0, 0) if needs else b"")),
    ]
    names = b"".join(title + b"\0" for title, _, _ in sections) + b".shstrtab\0"
    sections.append((b".shstrtab", 3, names))
    body, headers = b"", b""
    for title, kind, content in sections:
        link, size = (3, 24) if title == b".symtab" else (0, 0)
        at = 64 + len(body) if kind else 0
        name_at = names.index(title + b"\0") if title else 0
        headers += struct.pack(
            "<IIQQQQIIQQ", name_at, kind, 0, 0, at, len(content), link, 0, 1, size
        )
        body += content
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, 6, 5)
    return head + body + headers


def _packed(files: dict[str, bytes]) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return base64.b64encode(packed.getvalue()).decode()


def test_modprobe_does_with_every_case_what_is_said_of_it(target: Target) -> None:
    files = {
        f"tree/lib/modules/1.0/kernel/{name}.ko": _module(name, needs)
        for name, needs in _DEPENDS.items()
    }
    for index, case in enumerate(modprobe_cases.CASES):
        files[f"cases/{index:03}/d/x.conf"] = f"{case.text}\n".encode()
        files[f"cases/{index:03}/module"] = case.module.encode()
    files["stub/modprobe"] = _NOTES.encode()
    target.sh(
        f"cd /root; echo {_packed(files)} | base64 -d | tar xz; cd tree/lib/modules/1.0; "
        "touch modules.order modules.builtin; depmod -b /root/tree 1.0"
    )
    dep = target.read("/root/tree/lib/modules/1.0/modules.dep")
    assert "kernel/br_netfilter.ko: kernel/bridge.ko" in dep
    answers = dict(line.split(":", 1) for line in target.sh(_ASK).splitlines())
    wrong = []
    for index, case in enumerate(modprobe_cases.CASES):
        needed = {case.module, _DEPENDS[case.module] or case.module}
        by_hand = needed <= set(answers[f"{index:03} "].split())
        by_systemd = needed <= set(answers[f"{index:03} -b"].split())
        if (not by_hand, not by_systemd) != (case.forbids, case.forbids or case.at_boot):
            wrong.append((case, answers[f"{index:03} "], answers[f"{index:03} -b"]))
    assert not wrong
    assert len(modprobe_cases.CASES) >= 48
