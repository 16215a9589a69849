"""Finding words in JSON values, and showing the text around them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from themis.pure.json import JSONValue

_TERM: Final = re.compile(r'"([^"]*)"?|(\S+)')
_WORD: Final = re.compile(r"[^\W_]+")
_AROUND: Final = 6
"""Words shown on each side of what was found."""


def terms_of(query: str) -> list[list[str]]:
    """Return what a query asks for: words, and phrases where it has double quotes.

    >>> terms_of('naïve "two words"')
    [['naive'], ['two', 'words']]
    """
    terms = [[_plain(word) for word in _WORD.findall(quoted or plain)] for quoted, plain in _TERM.findall(query)]
    return [term for term in terms if term]


def snippet_of(value: JSONValue, terms: Sequence[Sequence[str]]) -> str | None:
    """Return the words around the first term, that in brackets; `None` unless all terms are in the value.

    >>> snippet_of({"role": "user", "content": "What is 1 + 1?"}, terms_of("IS"))
    'user\\nWhat [is] 1 + 1?'
    """
    text = "\n".join(_texts(value))
    places = list(_WORD.finditer(text))
    words = [_plain(place[0]) for place in places]
    starts = [_position(words, term) for term in terms]
    if None in starts or not starts:
        return None
    first = starts[0] or 0
    last = first + len(terms[0]) - 1
    is_first, is_last = first <= _AROUND, last + _AROUND >= len(places) - 1
    before = text[0 if is_first else places[first - _AROUND].start() : places[first].start()]
    hit = text[places[first].start() : places[last].end()]
    after = text[places[last].end() : len(text) if is_last else places[last + _AROUND].end()]
    return f"{'' if is_first else '…'}{before}[{hit}]{after}{'' if is_last else '…'}"


def _plain(word: str) -> str:
    """Return a word without case and accents."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _position(words: Sequence[str], term: Sequence[str]) -> int | None:
    size = len(term)
    return next((i for i in range(len(words) - size + 1) if words[i] == term[0] and words[i : i + size] == term), None)


def _texts(value: JSONValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
