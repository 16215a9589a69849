"""Untrusted text made harmless: control characters, terminal escapes and bidirectional controls become visible."""

from __future__ import annotations

import re
from typing import Final

_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 without tab and newline: what terminals obey (ECMA-48)
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls (Unicode UAX 9): they reorder what is read
    "\u2028\u2029\ufeff\ud800-\udfff]"  # line separators, byte order mark, lone surrogates
)


def printable(text: str) -> str:
    r"""Return text with every character that steers a display written out; newlines and tabs stay.

    >>> printable("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    return _CONTROLS.sub(lambda found: _written(found[0]), text)


def one_line(text: str) -> str:
    """Return text on one line, harmless to display.

    >>> one_line("a\\n  b\\tc")
    'a b c'
    """
    return printable(" ".join(text.split()))


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
