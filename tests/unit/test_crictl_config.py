"""``/etc/crictl.yaml``: both endpoints, and nothing else of it."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from kubenode.runtimes.crictl import CrictlConfigError, pointed_at

SOCKET = "/run/containerd/containerd.sock"


@pytest.mark.parametrize("content", [None, b"", b"\n"])
def test_a_new_file(content: bytes | None) -> None:
    assert YAML(typ="safe").load(pointed_at(content, SOCKET)) == {
        "runtime-endpoint": f"unix://{SOCKET}",
        "image-endpoint": f"unix://{SOCKET}",
        "timeout": 10,
    }


def test_other_settings_and_comments_stay() -> None:
    old = b'# ours\nruntime-endpoint: "unix:///var/run/dockershim.sock"\ndebug: true # loud\n'
    new = pointed_at(old, SOCKET)
    assert YAML(typ="safe").load(new) == {
        "runtime-endpoint": f"unix://{SOCKET}",
        "image-endpoint": f"unix://{SOCKET}",
        "debug": True,
    }
    assert b"# ours" in new
    assert b"debug: true # loud" in new
    assert pointed_at(new, SOCKET) == new


@pytest.mark.parametrize("content", [b"- a\n", b"a: [", b"\xff\xfe", b"just text", b"<<: {a: 1}\n"])
def test_what_is_no_mapping_is_refused(content: bytes) -> None:
    with pytest.raises(CrictlConfigError):
        pointed_at(content, SOCKET)


@pytest.mark.parametrize(
    "content", [b'a: !!int ""', b"a: !!bool x", b"[" * 2000, b"a: *b", b"#" * 20_000, b"{a: b}"]
)
def test_yaml_that_cannot_be_converted_is_refused(content: bytes) -> None:
    with pytest.raises(CrictlConfigError):
        pointed_at(content, SOCKET)
