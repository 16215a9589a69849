"""Untrusted text for people: harmless to display, on one line, of bearable length.

What models, servers and files say is kept as it is, and made harmless here, on its way to a display.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of what is not read but obeyed: controls (ECMA-48), format characters such as the bidirectional
controls (UAX 9), lone surrogates, separators of lines and paragraphs."""

_UNCOMMON: Final = re.compile("[^\n\t\u200c\u200d -~]")
"""What may be of these. Text needs line breaks, tabs, and the joiners that scripts and emoji are shaped by."""


def printable(text: str) -> str:
    r"""Return text with every character that steers a display written out.

    >>> printable("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    return _written_out(text, lambda char: char.encode("unicode_escape").decode())


def printable_json(text: str) -> str:
    r"""Return JSON with every character that steers a display escaped, so that it decodes to the same (RFC 8259, 7).

    >>> printable_json('"a\u202eb"')
    '"a\\u202eb"'
    """
    return _written_out(text, lambda char: re.sub("....", r"\\u\g<0>", char.encode("utf-16-be", "surrogatepass").hex()))


def _written_out(text: str, written: Callable[[str], str]) -> str:
    return _UNCOMMON.sub(lambda found: written(char) if _is_steering(char := found[0]) else char, text)


def _is_steering(char: str) -> bool:
    return unicodedata.category(char) in _STEERING


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
