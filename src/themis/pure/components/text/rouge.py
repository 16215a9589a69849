"""ROUGE-L: how much of two texts is a common subsequence of tokens.

Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries" (aclanthology.org/W04-1013), section 3,
sentence level, with beta = 1. Tokens are the words of `words` in lower case, without stemming; for ASCII text these
are the tokens of Google's `rouge_score` package, which has none at all for most other scripts.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from themis.pure.components.text.words import tokens

MOST_WORK: Final = 4_000_000_000
"""Bound on the product of two texts' tokens: about a second."""

_OFTEN: Final = 16


def rouge_l(prediction: str, reference: str) -> float:
    """Return the F-measure of the longest common subsequence, 0 to 1; without tokens on a side it is 0.

    Raises:
        ValueError: the texts are too long to be compared.

    >>> round(rouge_l("police kill the gunman", "police killed the gunman"), 2)
    0.75
    """
    predicted, expected = tokens(prediction.lower()), tokens(reference.lower())
    same = _common_start(predicted, expected)
    first, second = predicted[same:], expected[same:]
    if len(first) * len(second) > MOST_WORK:
        raise ValueError(f"texts of {len(predicted):,} and {len(expected):,} words are too long to be compared")
    length = same + common_subsequence(first, second)
    if length == 0:
        return 0.0
    precision, recall = length / len(predicted), length / len(expected)
    return 2 * precision * recall / (precision + recall)


def _common_start(first: list[str], second: list[str]) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def common_subsequence(first: list[str], second: list[str]) -> int:
    """Return the length of the longest common subsequence.

    Bit-parallel, one row of the table per big integer: Hyyrö 2004, "Bit-parallel LCS-length computation
    revisited", figure 3. Ten thousand tokens a side take milliseconds instead of minutes.
    """
    if len(first) > len(second):
        first, second = second, first  # a row is as long as the shorter one
    places = defaultdict[str, list[int]](list)
    for index, token in enumerate(first):
        places[token].append(index)
    # The bits of a token that is there often are kept; those of all together would take the square of the length.
    often = {token: _bits(where) for token, where in places.items() if len(where) > _OFTEN}
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        if token in places:
            matched = row & (often[token] if token in often else _bits(places[token]))
            row = ((row + matched) | (row - matched)) & full
    return len(first) - row.bit_count()


def _bits(places: list[int]) -> int:
    bits = 0
    for place in places:
        bits |= 1 << place
    return bits
