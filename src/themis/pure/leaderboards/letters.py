"""Letters for what can't be told apart: two rows share one exactly if no comparison tells them apart.

Source: Piepho (2004), Journal of Computational and Graphical Statistics 13, 456-466, for the display; Gramm, Guo,
Hueffner, Niedermeier, Piepho and Schmid (2007), Computational Statistics and Data Analysis 52, 725-736, for letters as
cliques that cover all pairs. They are found greedily here, so that no pattern of decisions takes long.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Collection, Sequence
from typing import Final


def letter_groups(names: Sequence[str], apart: Collection[frozenset[str]]) -> tuple[tuple[str, ...], ...]:
    """Return groups of names, no two of which are told apart, so that every two that are not share a group.

    Args:
        names: the best first; groups come in the order of their first names.
        apart: the pairs that are told apart.

    >>> letter_groups("wxyz", [frozenset("wy"), frozenset("wz"), frozenset("xz")])
    (('w', 'x'), ('x', 'y'), ('y', 'z'))
    >>> letter_groups("xyz", [frozenset("xy"), frozenset("xz")])
    (('x',), ('y', 'z'))
    """
    told = set(apart)
    groups: list[tuple[str, ...]] = []
    covered: set[frozenset[str]] = set()
    for pair in itertools.combinations(names, 2):
        if frozenset(pair) in told or frozenset(pair) in covered:
            continue
        group = list(pair)
        for name in names:
            if name not in group and not any(frozenset((name, other)) in told for other in group):
                group.append(name)
        groups.append(tuple(name for name in names if name in group))
        covered.update(map(frozenset, itertools.combinations(group, 2)))
    grouped = {name for group in groups for name in group}
    groups += [(name,) for name in names if name not in grouped]
    places = {name: place for place, name in enumerate(names)}
    return tuple(sorted(_needed(groups), key=lambda group: [places[name] for name in group]))


def _needed(groups: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Leave out groups all of whose pairs are in others."""
    kept = list(groups)
    for group in groups:
        others = [set(other) for other in kept if other is not group]
        pairs = itertools.combinations(group, 2)
        if len(group) > 1 and all(any({a, b} <= other for other in others) for a, b in pairs):
            kept.remove(group)
    return kept


def letters_of(groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the letters of each name, one for each of its groups: a to z, A to Z, then letters with marks.

    >>> letters_of([("w", "x"), ("x", "y")])
    {'w': 'a', 'x': 'ab', 'y': 'b'}
    """
    letters: dict[str, str] = {}
    for number, group in enumerate(groups):
        letter = string.ascii_letters[number] if number < _PLAIN else chr(_MARKED + number - _PLAIN)
        for name in group:
            letters[name] = letters.get(name, "") + letter
    return letters


_PLAIN: Final = len(string.ascii_letters)
_MARKED: Final = 0x100
"""From here on come 336 letters that are one character each."""
