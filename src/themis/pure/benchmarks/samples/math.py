"""Made rows of the mathematics benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from themis.pure.benchmarks.samples import Sample

_PROBLEMS: Final = (
    ("Find the sum of all positive integers n for which n^2 + 12n is a perfect square.", 8, "4"),
    ("How many of the integers from 1 to 100 are divisible by 3 or by 7?", 43, "47"),
)
_EXPRESSIONS: Final = (
    ("A circle is inscribed in a right triangle with legs 3 and 4. Find its area.", "\\pi", "2\\pi"),
    ("Evaluate $\\int_0^1 x^2\\,dx$.", "\\frac{1}{3}", "\\frac{1}{2}"),
)


def _boxed(result: object) -> str:
    return f"We simplify step by step and check the result. The final result is \\boxed{{{result}}}."


def _samples(
    problems: tuple[tuple[str, Any, str], ...],
    question: str = "problem",
    answer: str = "answer",
    number: str | None = "problem_idx",
    facts: Mapping[str, Any] | None = None,
) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            row={**({number: place} if number else {}), question: problem, answer: result, **(facts or {})},
            right=_boxed(result),
            wrong=_boxed(wrong),
        )
        for place, (problem, result, wrong) in enumerate(problems, 1)
    )


_PHYSICS: Final = (
    (
        "A block slides from rest down a frictionless slope of height $h$. With $g$ the gravitational acceleration, "
        "find its speed at the bottom.",
        "\\sqrt{2 g h}",
        "\\sqrt{g h}",
    ),
    (
        "Two resistors $R_1$ and $R_2$ are connected in parallel. Find the resistance of both together.",
        "\\frac{R_1 R_2}{R_1 + R_2}",
        "R_1 + R_2",
    ),
)

MATH_SAMPLES: Final[Mapping[str, tuple[Sample, ...]]] = {
    "aime_2025": _samples(
        _PROBLEMS, facts={"problem_type": ["Number Theory"], "source": "AIME 2025 I", "tag": "integers"}
    ),
    "aime_2026": _samples(_PROBLEMS),
    "apex_2025": _samples(_EXPRESSIONS),
    "beyond_aime": _samples(_PROBLEMS, number=None),
    "hmmt_feb_2025": _samples(_EXPRESSIONS),
    "hmmt_nov_2025": _samples(_EXPRESSIONS),
    "imo_answerbench": _samples(
        _EXPRESSIONS,
        "Problem",
        "Short Answer",
        "Problem ID",
        {"Category": "Geometry", "Subcategory": "Circles", "Source": "made for this page"},
    ),
    "phybench": (
        *_samples(_PHYSICS, "content", "answer", "id", {"tag": "MECHANICS"}),
        Sample(row={"id": 3, "content": "A problem of the closed part.", "answer": "", "tag": "OPTICS"}, left_out=True),
    ),
}
