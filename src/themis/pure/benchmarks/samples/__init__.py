"""Made rows of every benchmark, in the columns of its dataset, with a right and a wrong answer to each.

They are our own: none is a row of a dataset. The catalog checks its recipes with them, and its pages show them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.json import JSONValue

PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


@attrs.frozen(kw_only=True)
class Sample:
    """A made row, two answers to it, and what they are worth.

    Attributes:
        row: the row.
        right: an answer that is right; where models are asked for log-likelihoods, the number of the likeliest text.
        wrong: one that is not.
        variant: the variant that the row is of.
        right_score: what the right answer scores by the first metric, judged by the demo judge where a judge is needed.
        wrong_score: what the wrong one scores.
        left_out: whether the recipe leaves the row out.
    """

    row: Mapping[str, Any]
    right: str | int = ""
    wrong: str | int = ""
    variant: str = ""
    right_score: float = 1.0
    wrong_score: float = 0.0
    left_out: bool = False


def likelihoods(texts: Sequence[str], likeliest: int) -> JSONValue:
    """Return the answer of a model that finds one of several texts far likelier than the others.

    >>> likelihoods(["yes"], 0)
    [{'text': 'yes', 'logprob': -4.0, 'tokens': 1, 'bytes': 3, 'is_greedy': True}]
    """
    return [
        {
            "text": text,
            "logprob": -4.0 if place == likeliest else -104.0,
            "tokens": 1,
            "bytes": len(text.encode()),
            "is_greedy": place == likeliest,
        }
        for place, text in enumerate(texts)
    ]
