r"""The JSON in an answer: the whole answer, a fenced block, or a piece of the prose.

Rules from the surest to the least sure; the first that finds JSON decides:

1. `whole`: the whole answer is JSON (any value).
2. `fence`: the last fenced block that is JSON (any value).
3. `prose`: the last object that stands in the text, else the last array.

Brackets are paired in one pass, aware of strings, so that no text takes more than linear time. Text that opens an
object and holds no JSON is unusable: the model tried. Nothing is repaired (single quotes, trailing commas).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from themis.pure.components.text.extraction import Extraction, found, nothing, unusable
from themis.pure.json import MAX_DEPTH, decode, freeze

_MARK: Final = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_PAIRS: Final = {"}": "{", "]": "["}
MOST_PIECES: Final = 200
"""How many pieces of prose are tried, from the last one back."""


def json_value(text: str) -> Extraction[Any]:
    """Return the JSON value that an answer gives.

    >>> json_value('Sure: {"grade": 3, "why": "clear"}. Anything else?').value
    {'grade': 3, 'why': 'clear'}
    >>> json_value("{'grade': 3}").invalid
    True
    """
    whole = _decoded(text.strip())
    if whole is not None:
        return found(whole[0], "whole")
    for block in reversed(list(_fenced(text))[-MOST_PIECES:]):
        value = _decoded(block.strip())
        if value is not None:
            return found(value[0], "fence")
    return _in_prose(text)


def _decoded(text: str) -> tuple[Any] | None:
    """Decode JSON, in a tuple to tell `null` from nothing."""
    if not text:
        return None
    try:
        return (freeze(decode(text)),)
    except (ValueError, RecursionError):  # not JSON, nested deeper than JSON may be here, or a lone surrogate
        return None


def _fenced(text: str) -> Iterator[str]:
    opened: tuple[int, str] | None = None
    for line in re.finditer(r"^[ \t>]*(`{3,}|~{3,})([^\n`]*)$", text, re.MULTILINE):
        if opened is None:
            opened = (line.end(), line[1])
        elif line[1].startswith(opened[1]) and not line[2].strip():
            yield text[opened[0] : line.start()]
            opened = None


def _in_prose(text: str) -> Extraction[Any]:
    pieces = [text[start:end] for start, end in _outermost(text)]
    for opening in "{[":
        for piece in reversed([piece for piece in pieces if piece[0] == opening][-MOST_PIECES:]):
            value = _decoded(piece)
            if value is not None and (value[0] or opening == "{"):
                return found(value[0], "prose")
    if re.search(r"\{\s{0,20}(?:[\"'}]|\w{1,40}\s{0,3}:)", text):
        return unusable("the answer opens a JSON object, and what follows is no valid JSON")
    return nothing("the answer holds no JSON")


def _outermost(text: str) -> list[tuple[int, int]]:
    """Return the outermost bracketed pieces; a bracket that is never closed encloses nothing."""
    pieces: list[tuple[int, int]] = []
    stack: list[tuple[str, int]] = []
    quoted = False
    for mark in _MARK.finditer(text):
        sign = mark[0]
        if sign == '"':
            quoted = bool(stack) and not quoted
        elif quoted or sign[0] == "\\":
            continue
        elif sign in "{[":
            stack.append((sign, mark.start()))
        elif stack and stack[-1][0] == _PAIRS[sign]:
            _, start = stack.pop()
            if len(stack) < MAX_DEPTH:
                while pieces and pieces[-1][0] > start:
                    pieces.pop()
                pieces.append((start, mark.end()))
    return pieces
