"""Made rows of every benchmark, in the columns of its dataset, with a right and a wrong answer to each.

They are our own: none is a row of a dataset. The catalog checks its recipes with them, and its pages show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


@attrs.frozen(kw_only=True)
class Sample:
    """A made row, two answers to it, and what they are worth.

    Attributes:
        row: the row.
        right: an answer that is right.
        wrong: one that is not.
        variant: the variant that the row is of.
        right_score: what the right answer scores, judged by the demo judge where a judge is needed.
        wrong_score: what the wrong one scores.
        left_out: whether the recipe leaves the row out.
    """

    row: Mapping[str, Any]
    right: str = ""
    wrong: str = ""
    variant: str = ""
    right_score: float = 1.0
    wrong_score: float = 0.0
    left_out: bool = False
