"""Which spellings of a key count, as seen with containerd 1.6.20, 1.7.24 and 2.1.9."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.files.go_keys import Decoder, any_case, go_toml_1
from kubenode.runtimes.containerd.config import Config, parse
from kubenode.runtimes.containerd.editing import edit
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError

MAIN = "/etc/containerd/config.toml"
RUNTIMES = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes'
RUNC = f'version = 2\n[{RUNTIMES}.runc]\nruntime_type = "io.containerd.runc.v2"\n'
OPTIONS = f"[{RUNTIMES}.runc.options]\n"
DECODERS = (go_toml_1, any_case)


def read(text: str, folds: Decoder) -> Config:
    return parse(text, MAIN, folds=folds)


def driver(text: str, folds: Decoder) -> bool | None:
    handler = read(text, folds).settings.handlers.get("runc")
    return handler.systemd_cgroup if handler else None


@pytest.mark.parametrize(
    ("stated", "of_1", "of_2"),
    [
        ("SystemdCgroup = true", True, True),
        ("systemdCgroup = true", True, True),
        ("systemdcgroup = true", True, True),
        ("SYSTEMDCGROUP = true", True, True),
        ("SystemdcGroup = true", None, True),
        ("systemdCgroup = false\nSystemdCgroup = true", True, False),
        ("SystemdCgroup = true\nsystemdCgroup = false", True, False),
        ("systemdCgroup = true\nSystemdCgroup = false", False, True),
        ("SYSTEMDCGROUP = true\nSystemdCgroup = false", False, False),
    ],
)
def test_the_spelling_that_counts(stated: str, of_1: bool | None, of_2: bool | None) -> None:
    text = f"{RUNC}{OPTIONS}{stated}\n"
    assert (driver(text, go_toml_1), driver(text, any_case)) == (of_1, of_2)


@pytest.mark.parametrize(
    ("old", "new", "of_1"),
    [
        (".options", ".Options", None),
        (".runtimes.", ".Runtimes.", None),
        (".runtimes.", ".RUNTIMES.", True),
        (".containerd.runtimes", ".Containerd.runtimes", None),
        ("[plugins", "[Plugins", None),
        ("[plugins", "[PLUGINS", True),
    ],
)
def test_tables_fold_too(old: str, new: str, of_1: bool | None) -> None:
    text = f"{RUNC}{OPTIONS}SystemdCgroup = true\n".replace(old, new)
    assert driver(text, go_toml_1) is of_1
    assert driver(text, any_case) is True


def test_the_version_folds_too() -> None:
    assert [read("Version = 2\n", folds).version for folds in DECODERS] == [1, 2]
    assert [read("VERSION = 2\n", folds).version for folds in DECODERS] == [2, 2]


def test_names_of_plugins_handlers_and_registries_do_not_fold() -> None:
    text = RUNC.replace(".runc]", ".Runc]") + OPTIONS.replace(".runc.", ".Runc.")
    assert list(read(text, any_case).settings.handlers) == ["Runc"]
    assert not read(RUNC.replace("grpc.v1", "GRPC.v1"), any_case).settings.handlers


@pytest.mark.parametrize("folds", DECODERS)
def test_one_table_in_two_spellings_is_refused_with_its_line(folds: Decoder) -> None:
    text = f"{RUNC}{OPTIONS}SystemdCgroup = true\n{OPTIONS.replace('options', 'OPTIONS')}x = 1\n"
    with pytest.raises(ConfigError, match=rf"^{MAIN}:[46]:1: .* of line [46] again"):
        read(text, folds)


_SPELLINGS = st.sampled_from(
    ["SystemdCgroup", "systemdCgroup", "systemdcgroup", "SYSTEMDCGROUP", "SystemdcGroup"]
)


@given(
    st.dictionaries(_SPELLINGS, st.booleans()),
    st.sampled_from(DECODERS),
    st.sampled_from(["systemd", "cgroupfs"]),
)
def test_an_edit_leaves_one_answer_in_any_spelling(
    stated: dict[str, bool], folds: Decoder, wanted: str
) -> None:
    text = RUNC + OPTIONS + "".join(f"{key} = {str(it).lower()}\n" for key, it in stated.items())
    result = edit(read(text, folds), ContainerdWanted(wanted), is_root=True)  # type: ignore[arg-type]
    new = read(result.text, folds)
    assert driver(result.text, folds) is (wanted == "systemd")
    options = new.data["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]["runc"][
        "options"
    ]
    counting = {options[key] for key in folds("SystemdCgroup", options)}
    assert counting == {wanted == "systemd"}
    # what 2.x puts beside it by default sorts after no spelling that is there
    assert max(folds("SystemdCgroup", options)) >= "SystemdCgroup"
    assert edit(new, ContainerdWanted(wanted), is_root=True).changes == ()  # type: ignore[arg-type]


def test_a_spelling_that_works_is_left_alone() -> None:
    text = f"{RUNC}{OPTIONS}systemdCgroup = true\n"
    for folds in DECODERS:
        assert edit(read(text, folds), ContainerdWanted("systemd"), is_root=True).changes == ()


@pytest.mark.parametrize(
    ("runtime_type", "options", "kind", "is_told"),
    [
        ("io.containerd.runc.v2", "", "runc", True),
        ("io.containerd.kata.v2", "", "own", False),
        ("io.containerd.kata-qemu.v2", "", "own", False),
        ("io.containerd.runsc.v1", "", "own", False),
        ("io.containerd.spin.v2", "", "unrecognised", False),
        ("io.containerd.spin.v2", "SystemdCgroup = false\n", "unrecognised", True),
        ("io.containerd.kata.v2", "SystemdCgroup = false\n", "own", True),
        ("/usr/bin/containerd-shim-runc-v2", "", "unrecognised", False),
        ("/usr/bin/containerd-shim-runc-v2", "SystemdCgroup = true\n", "unrecognised", False),
        ("/opt/kata/bin/containerd-shim-kata-v2", "", "own", False),
        ("/opt/bin/containerd-shim-mine-v1", "", "unrecognised", False),
    ],
)
def test_what_kind_of_handler_a_runtime_type_is(
    runtime_type: str, options: str, kind: str, is_told: bool
) -> None:
    text = RUNC.replace("io.containerd.runc.v2", runtime_type) + (OPTIONS + options) * bool(options)
    handler = read(text, any_case).settings.handlers["runc"]
    assert (handler.kind, handler.is_runc_type) == (kind, is_told)
