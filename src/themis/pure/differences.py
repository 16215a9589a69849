"""In what two texts differ: words for pages, lines for terminals.

Both ends that two texts share are taken off first, so that what is left to be matched is short. Where more is left than
`_MOST` pieces, the whole rest counts as different: matching takes the product of both lengths.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")
Marked: TypeAlias = list[tuple[str, bool]]
"""Pieces of a text, each with whether the other text lacks it."""

_MOST: Final = 400
_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")


def marked(a: str, b: str) -> tuple[Marked, Marked]:
    """Return two texts in pieces, with what is in one alone marked.

    >>> marked("the answer is 4", "the answer is 5")
    ([('the answer is ', False), ('4', True)], [('the answer is ', False), ('5', True)])
    """
    words_a, words_b = _WORDS.findall(a), _WORDS.findall(b)
    of_a: Marked = []
    of_b: Marked = []
    for part_a, part_b, is_alike in _parts(words_a, words_b):
        of_a.append(("".join(part_a), not is_alike))
        of_b.append(("".join(part_b), not is_alike))
    return [each for each in of_a if each[0]], [each for each in of_b if each[0]]


def side_by_side(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Yield the lines of two texts beside each other, with whether they are alike; one that has no other faces none.

    >>> list(side_by_side(["x", "y"], ["x", "z", "w"]))
    [('x', 'x', True), ('y', 'z', False), ('', 'w', False)]
    """
    for part_a, part_b, is_alike in _parts(a, b):
        for number in range(max(len(part_a), len(part_b))):
            line_a = part_a[number] if number < len(part_a) else ""
            line_b = part_b[number] if number < len(part_b) else ""
            yield line_a, line_b, is_alike


def _parts(a: Sequence[T], b: Sequence[T]) -> Iterator[tuple[Sequence[T], Sequence[T], bool]]:
    """Yield parts of two sequences, one after the other, with whether they are alike."""
    first = 0
    while first < min(len(a), len(b)) and a[first] == b[first]:
        first += 1
    last = 0
    while last < min(len(a), len(b)) - first and a[-1 - last] == b[-1 - last]:
        last += 1
    yield a[:first], b[:first], True
    rest_a, rest_b = a[first : len(a) - last], b[first : len(b) - last]
    if max(len(rest_a), len(rest_b)) > _MOST:
        yield rest_a, rest_b, False
    else:
        matcher = difflib.SequenceMatcher(None, rest_a, rest_b, autojunk=False)
        for tag, a_from, a_to, b_from, b_to in matcher.get_opcodes():
            yield rest_a[a_from:a_to], rest_b[b_from:b_to], tag == "equal"
    yield a[len(a) - last :], b[len(b) - last :], True
