r"""The JSON in an answer: the whole answer, a fenced block, or a piece of the prose.

Rules from the surest to the least sure; the first that finds JSON decides:

1. `whole`: the whole answer is JSON (any value).
2. `json fence`: the last fenced block marked `json` that is JSON (any value).
3. `fence`: the last unmarked block that is an object or an array.
4. `prose`: the last object that stands anywhere in the text, else the last array.
5. `fence`: the last unmarked block that is another value, such as `3`, if no object was tried anywhere.

So an object is never lost for what another block shows: a program's output, a number. Blocks are those of CommonMark
0.31, section 4.5.

Brackets are paired in one pass, aware of strings, so that no text takes more than linear time. Text that opens an
object and holds no JSON is unusable: the model tried. Nothing is repaired (single quotes, trailing commas).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from themis.pure.components.text.extraction import Extraction, found, nothing, unusable
from themis.pure.json import MAX_DEPTH, decode, freeze

_MARK: Final = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_JSON_NAMES: Final = ("json", "jsonc", "json5", "application/json")
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
    marked, unmarked = list[Any](), list[Any]()
    for language, block in list(_fenced(text))[-MOST_PIECES:]:
        value = _decoded(block.strip()) if language in ("", *_JSON_NAMES) else None
        if value is not None:
            (marked if language else unmarked).append(value[0])
    if marked:
        return found(marked[-1], "json fence")
    pieces = [value for value in unmarked if isinstance(value, Mapping | tuple | list)]
    if pieces:
        return found(pieces[-1], "fence")
    prose = _in_prose(text)
    return found(unmarked[-1], "fence") if unmarked and prose.value is None and not prose.invalid else prose


def _decoded(text: str) -> tuple[Any] | None:
    """Decode JSON, in a tuple to tell `null` from nothing."""
    if not text:
        return None
    try:
        return (freeze(decode(text)),)
    except (ValueError, RecursionError):  # not JSON, nested deeper than JSON may be here, or a lone surrogate
        return None


def _fenced(text: str) -> Iterator[tuple[str, str]]:
    """Yield each fenced block with the language it is marked as."""
    opened: tuple[int, str, str] | None = None
    for line in re.finditer(r"^[ \t>]*(`{3,}|~{3,})([^\n`]*)$", text, re.MULTILINE):
        if opened is None:
            opened = (line.end(), line[1], line[2].strip().lower().partition(" ")[0])
        elif line[1].startswith(opened[1]) and not line[2].strip():
            yield opened[2], text[opened[0] : line.start()]
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
