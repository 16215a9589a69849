"""Mathematics and physics with a short answer: the result is read out of the answer and compared as mathematics."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from themis.pure.benchmarks.columns import Fields, Role, Row, label_text
from themis.pure.benchmarks.recipe import BenchmarkRecipe, Content, hub_recipe
from themis.pure.benchmarks.samples.math import MATH_SAMPLES
from themis.pure.records.prompt import PromptSpec

BOXED: Final = PromptSpec(
    suffix="\n\nWork the problem out step by step. Put the final result, and nothing else, into \\boxed{} at the end."
)


def _math_content(fields: Fields, variant: str) -> Content:
    """Ask the problem as it stands; the reference is the short answer as text."""
    return Content(fields["question"], label_text(fields["answer"]).strip())


def unanswered(row: Row, variant: str) -> str | None:
    return "has no published answer" if row.get("answer") == "" else None


_RESULT: Final[tuple[Role, str]] = ("answer", "result")

_math: Final = functools.partial(
    hub_recipe,
    kind="math",
    content=_math_content,
    split="train",
    prompt_spec=BOXED,
    parsers=("builtin/math_answer",),
    metrics=("builtin/math_equivalence",),
)


_RUNS: Final = (1, 4, 16, 64)
"""How many answers a competition's problem usually gets; their mean and their majority are reported: 4 by MathArena
(arXiv 2505.23281), 16 for DeepSeek-V3 (2412.19437), 64 for DeepSeek-R1 (2501.12948)."""


def _arena(benchmark_id: str, title: str, measures: str, labels: Sequence[str] = ()) -> BenchmarkRecipe:
    return _math(
        benchmark_id,
        f"MathArena/{benchmark_id}",
        samples=MATH_SAMPLES[benchmark_id],
        title=title,
        measures=measures,
        reads={"problem_idx": "id", "problem": "question", "answer": _RESULT},
        labels=labels,
        reports_at=_RUNS,
        license="CC BY-NC-SA 4.0",
        pitfalls=(
            "The competition's problems are public: a model trained after it may have seen them.",
            "There are few problems, so one of them moves the score by points; sample several times and read the "
            "interval.",
        ),
    )


_AIME: Final = "Thirty competition problems for high school students whose answers are whole numbers from 0 to 999"

MATH: Final = (
    _arena("aime_2025", "AIME 2025", f"{_AIME}, of 2025.", ("problem_type", "source", "tag")),
    _arena("aime_2026", "AIME 2026", f"{_AIME}, of 2026."),
    _arena(
        "apex_2025",
        "MathArena Apex 2025",
        "Final-answer problems of 2025 that the best models of that time failed at.",
    ),
    _arena(
        "hmmt_feb_2025",
        "HMMT February 2025",
        "Thirty problems of the Harvard-MIT Mathematics Tournament of February 2025, with expressions as answers.",
    ),
    _arena(
        "hmmt_nov_2025",
        "HMMT November 2025",
        "Thirty problems of the Harvard-MIT Mathematics Tournament of November 2025.",
    ),
    _math(
        "beyond_aime",
        "ByteDance-Seed/BeyondAIME",
        samples=MATH_SAMPLES["beyond_aime"],
        title="BeyondAIME",
        measures="A hundred problems written to be harder than the AIME, with whole numbers as answers.",
        reads={"problem": "question", "answer": _RESULT},
        license="CC0 1.0",
        pitfalls=(
            "The dataset has no ids: a case is named by its row, so that a re-ordered dataset names it otherwise.",
        ),
        split="test",
    ),
    _math(
        "imo_answerbench",
        "Hwilner/imo-answerbench",
        samples=MATH_SAMPLES["imo_answerbench"],
        title="IMO-AnswerBench",
        measures="Four hundred olympiad problems in four fields, altered so that they can't be looked up, with short "
        "answers.",
        reads={"Problem ID": "id", "Problem": "question", "Short Answer": _RESULT},
        labels=("Category", "Subcategory", "Source"),
        groups_by=("Category",),
        license="CC BY 4.0",
        pitfalls=(
            "The dataset is a copy by a third party of what the authors published.",
            "Some answers are sets, functions or conditions, which a comparison of expressions may fail to equate.",
        ),
    ),
    _math(
        "phybench",
        "Eureka-Lab/PHYBench",
        samples=MATH_SAMPLES["phybench"],
        title="PHYBench",
        measures="Physics problems from high school to olympiad level, with a formula as answer.",
        reads={"id": "id", "content": "question", "answer": _RESULT},
        labels=("tag",),
        groups_by=("tag",),
        license="MIT",
        pitfalls=(
            "Of the 500 problems, 100 have published answers; the repository's other files repeat them without.",
            "The authors grade with the edit distance of expression trees, which gives part marks; here an answer is "
            "right or wrong, so that scores are lower than theirs.",
            "Symbols must be the problem's own: a renamed variable counts as another formula.",
        ),
        files=("PHYBench-fullques*.json",),
        leaves_out=unanswered,
    ),
)
