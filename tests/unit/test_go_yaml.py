"""YAML as kubelet and crictl read it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from kubenode.files import go_yaml
from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet.config import kubelet_driver, kubelet_settings
from kubenode.linux.cgroups import Statement
from kubenode.runtimes.crictl import CrictlConfigError, pointed_at, settings

PATH = "/var/lib/kubelet/config.yaml"
SOCKET = "/run/containerd/containerd.sock"
ENDPOINT = f"unix://{SOCKET}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("true", "True", "yes", "YES", "on", "On", "y", "Y")),
        *((word, False) for word in ("false", "FALSE", "no", "No", "off", "OFF", "n", "N")),
        *((word, None) for word in ("", "~", "null", "Null")),
        *((word, word) for word in ("tRUE", "nO", "'no'", "1:30", "1.2.3", "a b", "2001-99-99")),
        ('"no"', "no"),
        ("!!str no", "no"),
        ("no\t# ours", False),
        ("\tno", False),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("-5", -5),
        ("08", 8.0),
        ("1e3", 1000.0),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_values(text: str, value: Any) -> None:
    expected = value.strip("'") if isinstance(value, str) else value
    assert go_yaml.read(f"a: {text}\n").data == {"a": expected}


@pytest.mark.parametrize("text", ["", "# a\n# b\n", "---\n", "---\n# a\n...\n", "~"])
def test_what_says_nothing(text: str) -> None:
    assert go_yaml.mapping(text) == {}


def test_documents_keys_and_aliases() -> None:
    assert go_yaml.mapping("---\na: 1\n---\na: [\n") == {"a": 1}
    assert go_yaml.mapping("a: 1\nA: 2\na: 3\n") == {"a": 3, "A": 2}
    assert go_yaml.mapping("a: &x [1]\nb: *x\n'<<': 1\n# <<\n") == {"a": [1], "b": [1], "<<": 1}


@pytest.mark.parametrize(
    "text",
    ["a: [", "\ta: 1", "a: 1\n\tb: 2", "<<: {a: 1}", "a: " + "[" * 500, "a: " + "x" * 40_000],
)
def test_what_is_not_read(text: str) -> None:
    with pytest.raises(go_yaml.YamlError):
        go_yaml.mapping(text)


@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@#\t\n <~1", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = go_yaml.read(text)
    except go_yaml.YamlError:
        return
    assert all(0 <= start <= end <= len(text) for start, end in document.places.values())


_texts = st.dictionaries(
    st.text(alphabet="abxyNO", min_size=1, max_size=4),
    st.one_of(st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.booleans())),
    max_size=5,
)


@given(_texts)
def test_what_is_written_quoted_is_read_the_same(data: dict[str, Any]) -> None:
    from io import StringIO

    yaml = YAML()
    yaml.default_flow_style = False
    out = StringIO()
    quoted = {key: value for key, value in data.items() if key not in ("N", "NO", "y", "x")}
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString as Quoted

    yaml.dump(
        {
            Quoted(key): Quoted(value) if isinstance(value, str) else value
            for key, value in quoted.items()
        },
        out,
    )
    assert go_yaml.mapping(out.getvalue()) == quoted


def test_kubelet_is_read_so() -> None:
    files = [(PATH, "failSwapOn: no\t# we swap\ncgroupDriver: systemd\n---\ncgroupDriver: x\n")]
    assert kubelet_settings(files) == {"failSwapOn": False, "cgroupDriver": "systemd"}
    assert kubelet_driver(files, None, ("", None)) == Statement(PATH, 2, "systemd")
    drop_in = ("/etc/d/1.conf", "failSwapOn: null\nmemorySwap: {}\n")
    memory = (PATH, "failSwapOn: false\nmemorySwap: {swapBehavior: LimitedSwap}\n")
    assert kubelet_settings([memory, drop_in]) == {"memorySwap": {"swapBehavior": "LimitedSwap"}}


def test_kubelets_files_together_have_a_limit() -> None:
    files = [(f"/etc/d/{number}.conf", "#\n" * 9000) for number in range(2)]
    assert kubelet_settings(files[:1]) == {}
    with pytest.raises(CannotTell, match=r"/etc/d/1\.conf: .* longer than 32 KiB"):
        kubelet_settings(files)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            b"# nothing here yet\n",
            f"# nothing here yet\nruntime-endpoint: {ENDPOINT}\nimage-endpoint: {ENDPOINT}\n"
            "timeout: 10\n",
        ),
        (
            b"runtime-endpoint: 'x'\t# ours\ndebug: no\t# quiet",
            f"runtime-endpoint: {ENDPOINT}\t# ours\ndebug: no\t# quiet\n"
            f"image-endpoint: {ENDPOINT}\n",
        ),
        (
            b'image-endpoint:\nruntime-endpoint: ""\n',
            f"image-endpoint: {ENDPOINT}\nruntime-endpoint: {ENDPOINT}\n",
        ),
        (
            b"---\nruntime-endpoint: >-\n  unix:///a\nimage-endpoint: a\n",
            None,
        ),
    ],
)
def test_crictls_file_keeps_all_else(old: bytes, new: str | None) -> None:
    if new is None:
        try:
            written = pointed_at(old, SOCKET)
        except CrictlConfigError:
            return
        assert settings(written) == dict.fromkeys(("runtime-endpoint", "image-endpoint"), ENDPOINT)
        return
    assert pointed_at(old, SOCKET).decode() == new
    assert pointed_at(new.encode(), SOCKET).decode() == new


@given(st.binary(max_size=40))
def test_any_crictl_file_is_pointed_or_refused(content: bytes) -> None:
    try:
        written = pointed_at(content, SOCKET)
    except CrictlConfigError:
        return
    assert settings(written)["runtime-endpoint"] == ENDPOINT
    assert pointed_at(written, SOCKET) == written
