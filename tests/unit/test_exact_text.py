from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra_cli import prints

from kubenode.files.exact_text import bytes_of, is_utf8, text_of


@given(st.binary())
def test_no_byte_is_lost(content: bytes) -> None:
    assert bytes_of(text_of(content)) == content
    try:
        content.decode()
    except UnicodeDecodeError:
        assert not is_utf8(text_of(content))
    else:
        assert is_utf8(text_of(content))


@given(st.binary())
def test_pyinfras_json_has_it_whole(content: bytes) -> None:
    printed = prints.jsonify({"text": text_of(content)}, indent=4, default=str)
    assert printed.isascii()
    assert bytes_of(json.loads(printed)["text"]) == content


def test_as_it_is_it_cannot_be_printed() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        stream.write(text_of(b"caf\xe9"))
