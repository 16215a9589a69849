"""Untrusted text for people: harmless to display, on one line, of bearable length."""

from __future__ import annotations

import unicodedata
from typing import Final

_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of what is not read but obeyed: controls (ECMA-48), format characters such as the bidirectional
controls (UAX 9), lone surrogates, separators of lines and paragraphs."""

_SHAPING: Final = frozenset("\n\t\u200c\u200d")
"""Of these, what text needs: line breaks, tabs, and the joiners that scripts and emoji are shaped by."""


def printable(text: str) -> str:
    r"""Return text with every character that steers a display written out.

    >>> printable("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if char not in _SHAPING and unicodedata.category(char) in _STEERING
        else char
        for char in text
    )


def one_line(text: str) -> str:
    """Return text on one line, harmless to display.

    >>> one_line("a\\n  b\\tc")
    'a b c'
    """
    return printable(" ".join(text.split()))


def shortened(text: str, most: int) -> str:
    """Return text cut to `most` characters, three dots included.

    >>> shortened("abcdefgh", 6)
    'abc...'
    """
    return text if len(text) <= most else f"{text[: most - 3]}..."
