"""The wheel holds what the checkout holds, though ``facts/`` and ``operations/`` are linked in."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.wheel import build, checkout, run


def _missing(wheel: Path) -> set[str]:
    """The modules and scripts of the checkout that a wheel lacks."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    expected = {
        f"kubenode/{path.relative_to(ROOT)}"
        for folder in ("facts", "operations")
        for pattern in ("*.py", "*.sh")
        for path in (ROOT / folder).rglob(pattern)
    }
    # templates, scripts and the schema too; what is linked in is above
    expected |= {
        str(path.relative_to(ROOT))
        for path in (ROOT / "kubenode").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return (expected | {"kubenode/py.typed"}) - held


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packaging")
    return build(checkout(folder / "checkout"), folder / "dist")


def test_the_wheel_holds_every_module(wheel: Path) -> None:
    assert _missing(wheel) == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
        licenses = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    assert {name for name in top if not name.endswith(".dist-info")} == {"kubenode"}
    assert licenses


def test_the_source_distribution_holds_no_caches(wheel: Path) -> None:
    (sdist,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name for name in archive.getnames() if "__pycache__" in name or "/." in name]
    assert names == []


def test_an_installed_wheel_serves_other_deploys(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", python,
        "install", "--quiet", "--no-deps", "--no-index", wheel,
        cwd=tmp_path,
    )  # fmt: skip
    # the dependencies from here; an editable install is no part of that, it comes by a .pth file
    paths = {"base": str(environment), "platbase": str(environment)}
    installed = Path(sysconfig.get_path("purelib", vars=paths))
    (installed / "dependencies.pth").write_text("\n".join(site.getsitepackages()))

    modules = [
        f"kubenode.operations.{path.stem}" for path in (ROOT / "operations").glob("[a-z]*.py")
    ]
    modules += [f"kubenode.facts.{path.stem}" for path in (ROOT / "facts").glob("[a-z]*.py")]
    origins = run(
        python,
        "-c",
        "import importlib, sys\n"
        "for name in sys.argv[1:]: print(importlib.import_module(name).__file__)",
        *modules,
        cwd=tmp_path,
    ).split("\n")[:-1]
    assert len(origins) == len(modules)
    assert all(Path(origin).is_relative_to(installed) for origin in origins), origins


def test_a_checkout_without_symbolic_links_is_noticed(tmp_path: Path) -> None:
    source = checkout(tmp_path / "checkout")
    # what git writes with core.symlinks=false: a plain file with the link's text
    for name in ("facts", "operations"):
        link = source / "kubenode" / name
        text = os.readlink(link)
        link.unlink()
        link.write_text(text)
    missing = _missing(build(source, tmp_path / "dist", "--wheel"))
    assert "kubenode/facts/__init__.py" in missing
    assert "kubenode/operations/__init__.py" in missing
