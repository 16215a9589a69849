r"""Words in any script: what a token is, and where a word begins and ends.

Source: Unicode Standard Annex 29 (section 4, word boundaries) and 14 (class SA). A word is a run of letters and digits
with the marks on them: vowel signs and accents belong to their letter, so that हिन्दु is not हिन्दी. Scripts that are
written without blanks (Chinese, Japanese, Thai, Lao, Burmese, Khmer) have no words that can be told without a
dictionary: there every character with its marks is one token, as in sacrebleu's tokeniser for Chinese. `tokens` puts
texts in the form NFC; the other functions take them as they come.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_JOINED: Final = (
    r"\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    r"\u06d6-\u06ed\u0711\u0730-\u074a\u07a6-\u07b0\u07eb-\u07f3\u0816-\u082d\u0859-\u085b\u08d3-\u0963\u0971-\u09fc"
    r"\u09fe-\u0a75\u0a77-\u0aef\u0af1-\u0c76\u0c78-\u0c83\u0c85-\u0df3\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1"
    r"\u0eb4-\u0ebc\u0ec8-\u0ece\u0f18\u0f19\u0f35\u0f37\u0f39\u0f3e\u0f3f\u0f71-\u0f84\u0f86\u0f87\u0f8d-\u0fbc"
    r"\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u106d\u1071-\u1074\u1082-\u108d\u135d-\u135f\u1712-\u1715"
    r"\u17b4-\u17d3\u17dd\u180b-\u180d\u1920-\u193b\u1a17-\u1a1b\u1a55-\u1a7f\u1ab0-\u1ace\u1b00-\u1b04\u1b34-\u1b44"
    r"\u1b6b-\u1b73\u1b80-\u1b82\u1ba1-\u1bad\u1be6-\u1bf3\u1c24-\u1c37\u1cd0-\u1cf9\u1dc0-\u1dff\u200c\u200d"
    r"\u20d0-\u20f0\u2de0-\u2dff\u302a-\u302f\u3099\u309a\ua66f-\ua67d\ua69e\ua69f\ua6f0\ua6f1\ua802-\ua827\ua880"
    r"\ua881\ua8b4-\ua8c5\ua8e0-\ua8f1\ua926-\ua92d\ua947-\ua953\ua980-\ua983\ua9b3-\ua9c0\uaa29-\uaa36\uaa4c\uaa4d"
    r"\uaab0-\uaac1\uaaeb-\uaaef\uabe3-\uabed\ufb1e\ufe00-\ufe0f\ufe20-\ufe2f"
)
"""Marks that belong to the letter before them, and the two joiners, as ranges: the same under every Python."""

_NO_BLANKS: Final = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_TOKEN: Final = re.compile(
    rf"(?=[^\W_])[{_NO_BLANKS}][{_JOINED}]*|(?:(?![{_NO_BLANKS}])[^\W_])(?:(?![{_NO_BLANKS}])[^\W_]|[{_JOINED}])*"
)
_PIECE: Final = re.compile(rf"{_TOKEN.pattern}|[\s\S]")
_UNSPACED: Final = re.compile(rf"[{_NO_BLANKS}][{_JOINED}]*|[^\s{_NO_BLANKS}]+")
_PUNCTUATION: Final = re.compile(rf"[^\w\s{_JOINED}]|_")


def tokens(text: str) -> list[str]:
    """Return the words of a text, as they are written.

    >>> tokens("Don't panic"), tokens("ไทย 東京"), tokens("हिन्दी")
    (['Don', 't', 'panic'], ['ไ', 'ท', 'ย', '東', '京'], ['हिन्दी'])
    """
    return _TOKEN.findall(unicodedata.normalize("NFC", text))


def single_characters(text: str) -> list[str]:
    """Split at blanks, and between the characters of scripts that have none.

    >>> single_characters("c++ 東京")
    ['c++', '東', '京']
    """
    return _UNSPACED.findall(text)


def bounded(text: str) -> str:
    r"""Return a text with a mark at every place where a word begins or ends, at both ends and in between.

    Whole words are then found by plain search, in linear time: `bounded(part) in bounded(text)`.

    >>> bounded("a cat").replace("\x00", "|"), bounded("हिन्द") in bounded("हिन्दी")
    ('|a| |cat|', False)
    >>> bounded("東京") in bounded("私は東京にいる")
    True
    """
    return "\x00".join(("", *_PIECE.findall(text), ""))


def without_punctuation(text: str) -> str:
    """Return a text without signs that are neither letters, digits, marks nor blanks."""
    return _PUNCTUATION.sub("", text)
