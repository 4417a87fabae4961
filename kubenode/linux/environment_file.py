"""A file for ``EnvironmentFile=``, and a variable's words, as systemd reads them; pure.

Sources: systemd.exec(5) ``EnvironmentFile=``, systemd.service(5) "COMMAND LINES", and systemd's
env-file.c and extract-word.c, which say what the pages do not.
"""

from __future__ import annotations

import re

from kubenode.files.cannot_tell import CannotTell

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""A variable's name."""


def split(text: str, shown_of: str | None = None) -> list[str]:
    """The words of a text with quotes and backslashes, as systemd splits it.

    + text: such as ``--a="b c" 'd'``
    + shown_of: the unit that systemd shows it of: CannotTell when a quote or a backslash at the end
      is open. None is a variable's value, in which these count as systemd counts them
    """
    words: list[str] = []
    word: list[str] | None = None
    quote, escaped = "", False
    for character in text:
        if escaped:
            assert word is not None
            word.append(character)
            escaped = False
        elif character == "\\":
            word, escaped = word if word is not None else [], True
        elif quote:
            assert word is not None
            if character == quote:
                quote = ""
            else:
                word.append(character)
        elif character in "'\"":
            word, quote = word if word is not None else [], character
        elif character in " \t\n\r":
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = word if word is not None else []
            word.append(character)
    if shown_of is not None and (quote or escaped):
        raise CannotTell(f"{shown_of}: a quote in what systemd shows of it is open")
    if word is not None:
        words.append("".join(word))
    return words


def environment_file(text: str, path: str) -> list[tuple[str, str]]:
    """The assignments of a file for ``EnvironmentFile=``, as systemd reads it.

    + text: the file's content
    + path: where it is, for messages

    Not a shell's syntax: nothing is expanded, ``#`` and ``;`` begin a comment only at the start of
    a line, a backslash at a line's end continues it. A comment that ends in a backslash is
    CannotTell: up to systemd 253 it takes the next line with it, and later ones do not.
    """
    assignments: list[tuple[str, str]] = []
    position, end = 0, len(text)
    while position < end:
        character = text[position]
        if character in " \t\r\n":
            position += 1
        elif character in "#;":
            line_end = _line_end(text, position)
            if text[position:line_end].endswith("\\"):
                raise CannotTell(f"{path}: a comment ends in a backslash")
            position = line_end
        else:
            line_end = _line_end(text, position)
            equals = text.find("=", position, line_end)
            if equals < 0:
                position = line_end
                continue
            name = text[position:equals].rstrip(" \t")
            value, position = _value(text, equals + 1)
            if re.fullmatch(NAME, name):
                assignments.append((name, value))
    return assignments


def _line_end(text: str, position: int) -> int:
    found = re.compile(r"[\r\n]").search(text, position)
    return found.start() if found else len(text)


def _value(text: str, position: int) -> tuple[str, int]:
    """A value that begins at *position*, and where it ends; the states are those of env-file.c."""
    value: list[str] = []
    state = "before"
    # how much of the value is left when the blanks at its end are taken off
    kept = 0
    while position < len(text):
        character = text[position]
        position += 1
        if state == "escape":
            if character not in "\r\n":
                value.append(character)
            state, kept = "plain", len(value)
        elif state == "single":
            if character == "'":
                state = "before"
            else:
                value.append(character)
            kept = len(value)
        elif state == "double":
            if character == '"':
                state = "before"
            elif character == "\\":
                state = "double escape"
            else:
                value.append(character)
            kept = len(value)
        elif state == "double escape":
            if character in '"\\`$':
                value.append(character)
            elif character != "\n":
                value += ["\\", character]
            state, kept = "double", len(value)
        elif character in "\r\n":
            break
        elif character == "\\":
            state = "escape"
        elif state == "before" and character in "'\"":
            state = "single" if character == "'" else "double"
        elif state == "before" and character in " \t":
            pass
        else:
            state = "plain"
            value.append(character)
            if character not in " \t":
                kept = len(value)
    return "".join(value[:kept]), position
