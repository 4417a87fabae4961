"""The package as others get it: built from what could be committed, in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; its standard output, AssertionError with all it said unless it exits 0."""
    finished = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def checkout(destination: Path) -> Path:
    """A copy of what is, or could be, committed: no build folder, no caches."""
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, files.split("\0")):
        source = ROOT / name
        if not source.is_symlink() and not source.is_file():
            continue  # removed, and not yet committed
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, destination / name, follow_symlinks=False)
    return destination


def build(checkout: Path, output: Path, *options: str) -> Path:
    """The wheel of a checkout, built from its source distribution, which stands beside it."""
    run(sys.executable, "-m", "build", *options, "--outdir", output, checkout, cwd=output.parent)
    (wheel,) = output.glob("*.whl")
    return wheel
