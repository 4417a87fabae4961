"""How a host tells whether a new dockerd runs: with libraries that come with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubenode.runtimes.docker import proof

# as one that is linked with a library which its package brings
DOCKERD = """\
#!/bin/sh
IFS=:
for folder in $LD_LIBRARY_PATH; do
  if [ -e "$folder/libnftables.so.1" ]; then exit 0; fi
done
echo 'dockerd: error while loading shared libraries: libnftables.so.1' >&2
exit 127
"""


@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "sh"]])
@pytest.mark.parametrize("folder", ["lib64", "lib", None])
@pytest.mark.parametrize("call", ["program_runs", "check /etc/hostname"])
def test_a_library_that_comes_with_it_is_found(
    tmp_path: Path, shell: list[str], folder: str | None, call: str
) -> None:
    program = tmp_path / "bin/dockerd"
    program.parent.mkdir()
    program.write_text(DOCKERD.replace("exit 0", "echo --validate; exit 0"))
    program.chmod(0o755)
    (tmp_path / "root/usr/lib").mkdir(parents=True)
    if folder is not None:
        (tmp_path / f"root/usr/{folder}").mkdir(exist_ok=True)
        (tmp_path / f"root/usr/{folder}/libnftables.so.1").touch()
    script = "\n".join(
        [
            f"change={tmp_path} dockerd_flags= PATH={program.parent}:$PATH",
            'limited() { shift; "$@"; }; told() { "$@"; }',
            proof.FUNCTIONS,
            call,
            'status=$?; [ -z "$LD_LIBRARY_PATH" ] || exit 9; exit $status',
        ]
    )
    finished = subprocess.run([*shell, "-c", script], capture_output=True, text=True)
    # an older one has no --validate, and one that does not run is found by program_runs
    found = folder is not None or call != "program_runs"
    assert (finished.returncode == 0) is found, finished
