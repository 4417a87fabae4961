"""A file's exact content as text: UTF-8, and each byte that is none as a lone surrogate (PEP 383).

All facts that return content return it so, and operations write what they were given. Nothing is
lost either way, people can read it, and ``pyinfra --json`` prints it: JSON escapes a lone surrogate
(``\\udcff``), and its readers give it back. It must not be printed as it is: UTF-8 has no bytes for
it (:func:`is_utf8`).
"""

from __future__ import annotations


def text_of(content: bytes) -> str:
    """A file's content as text.

    + content: all of its bytes

    Example: ``text_of(b"caf\\xe9")`` is ``"caf\\udce9"``.
    """
    return content.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The bytes of which :func:`text_of` made a text.

    + text: also one that was edited since
    """
    return text.encode("utf-8", "surrogateescape")


def is_utf8(text: str) -> bool:
    """Whether a file's content is UTF-8 throughout.

    + text: what :func:`text_of` made of it
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
