"""Mathematics and physics with a short answer: the result is read out of the answer and compared as mathematics."""

from __future__ import annotations

from typing import Any, Final

from themis.pure.benchmarks.columns import Column, Fields, Row, label_text, labels
from themis.pure.benchmarks.recipe import BenchmarkRecipe, Content, LeavesOut, hub_entry, nothing_left_out
from themis.pure.records.prompt import PromptSpec

BOXED: Final = PromptSpec(
    suffix="\n\nWork the problem out step by step. Put the final result, and nothing else, into \\boxed{} at the end."
)

_ARENA_PITFALLS: Final = (
    "The competition's problems are public: a model trained after it may have seen them.",
    "There are few problems, so one of them moves the score by points; sample several times and read the interval.",
)


def _math_content(fields: Fields, variant: str) -> Content:
    """Ask the problem as it stands; the reference is the short answer as text."""
    return Content(fields["question"], label_text(fields["answer"]).strip())


def unanswered(row: Row, variant: str) -> str | None:
    return "has no published answer" if row.get("answer") == "" else None


def _columns(
    question: str = "problem", answer: str = "answer", number: str | None = None, facts: tuple[str, ...] = ()
) -> tuple[Column, ...]:
    named = [] if number is None else [Column(name=number, role="id", kind="name")]
    return (
        *named,
        Column(name=question, role="question", kind="text"),
        Column(name=answer, role="answer", kind="result"),
        *labels(*facts),
    )


def _recipe(
    benchmark_id: str, dataset_id: str, leaves_out: LeavesOut = nothing_left_out, **facts: Any
) -> BenchmarkRecipe:
    defaults: dict[str, Any] = {
        "split": "train",
        "prompt_spec": BOXED,
        "parsers": ("builtin/math_answer",),
        "metrics": ("builtin/math_equivalence",),
    }
    entry = hub_entry(benchmark_id, dataset_id, "math", **{**defaults, **facts})
    return BenchmarkRecipe(entry=entry, content=_math_content, leaves_out=leaves_out)


def _arena(benchmark_id: str, title: str, measures: str, facts: tuple[str, ...] = ()) -> BenchmarkRecipe:
    return _recipe(
        benchmark_id,
        f"MathArena/{benchmark_id}",
        title=title,
        measures=measures,
        columns=_columns(number="problem_idx", facts=facts),
        license="CC BY-NC-SA 4.0",
        pitfalls=_ARENA_PITFALLS,
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
    _recipe(
        "beyond_aime",
        "ByteDance-Seed/BeyondAIME",
        title="BeyondAIME",
        measures="A hundred problems written to be harder than the AIME, with whole numbers as answers.",
        columns=_columns(),
        license="CC0 1.0",
        pitfalls=(
            "The dataset has no ids: a case is named by its row, so that a re-ordered dataset names it otherwise.",
        ),
        split="test",
    ),
    _recipe(
        "imo_answerbench",
        "Hwilner/imo-answerbench",
        title="IMO-AnswerBench",
        measures="Four hundred olympiad problems in four fields, altered so that they can't be looked up, with short "
        "answers.",
        columns=_columns("Problem", "Short Answer", "Problem ID", ("Category", "Subcategory", "Source")),
        license="CC BY 4.0",
        pitfalls=(
            "The dataset is a copy by a third party of what the authors published.",
            "Some answers are sets, functions or conditions, which a comparison of expressions may fail to equate.",
        ),
    ),
    _recipe(
        "phybench",
        "Eureka-Lab/PHYBench",
        title="PHYBench",
        measures="Physics problems from high school to olympiad level, with a formula as answer.",
        columns=_columns("content", "answer", "id", ("tag",)),
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
