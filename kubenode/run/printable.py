"""Foreign text, safe to print: what a terminal would obey, or a reader not see, is made visible."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """*text* on one line, with every control and formatting character as an escape.

    + text: what a host, an inventory or a saved report says

    Line ends and tabs become blanks. Other characters of the Unicode categories Cc, Cf, Cs, Co, Cn,
    Zl and Zp become ``\\xNN`` or ``\\uNNNN``: bidi controls and terminal escapes are among them.
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if character.isprintable():
        return character
    if unicodedata.category(character) in ("Zs",):
        return " "
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
