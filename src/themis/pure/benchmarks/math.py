"""Mathematics and physics with a short answer: the result is read out of the answer and compared as mathematics."""

from __future__ import annotations

from typing import Final

from themis.pure.benchmarks.columns import Column, Fields, Row, label_text
from themis.pure.benchmarks.recipe import BenchmarkCatalogEntry, BenchmarkRecipe, Content, LeavesOut, nothing_left_out
from themis.pure.records.prompt import PromptSpec

BOXED: Final = PromptSpec(
    suffix="\n\nWork the problem out step by step. Put the final result, and nothing else, into \\boxed{} at the end."
)

_ARENA_PITFALLS: Final = (
    "The competition's problems are public: a model trained after it may have seen them.",
    "There are few problems, so one of them moves the score by points; sample several times and read the interval.",
)


def math_content(fields: Fields, variant: str) -> Content:
    """Ask the problem as it stands; the reference is the short answer as text."""
    return Content(fields["question"], label_text(fields["answer"]).strip())


def unanswered(row: Row, variant: str) -> str | None:
    return "has no published answer" if row.get("answer") == "" else None


def _columns(
    question: str = "problem", answer: str = "answer", number: str | None = None, labels: tuple[str, ...] = ()
) -> tuple[Column, ...]:
    named = [] if number is None else [Column(name=number, role="id", kind="name")]
    facts = [Column(name=label, role="metadata", kind="label", nullable=True) for label in labels]
    return (
        *named,
        Column(name=question, role="question", kind="text"),
        Column(name=answer, role="answer", kind="result"),
        *facts,
    )


def _recipe(
    benchmark_id: str,
    title: str,
    measures: str,
    dataset_id: str,
    columns: tuple[Column, ...],
    license: str,  # noqa: A002  # the field's name
    pitfalls: tuple[str, ...],
    split: str = "train",
    files: tuple[str, ...] = (),
    leaves_out: LeavesOut = nothing_left_out,
) -> BenchmarkRecipe:
    entry = BenchmarkCatalogEntry(
        benchmark_id=benchmark_id,
        title=title,
        measures=measures,
        kind="math",
        dataset_id=dataset_id,
        files=files,
        split=split,
        columns=columns,
        prompt_spec=BOXED,
        parsers=("builtin/math_answer",),
        metrics=("builtin/math_equivalence",),
        license=license,
        source=f"https://huggingface.co/datasets/{dataset_id}",
        pitfalls=pitfalls,
    )
    return BenchmarkRecipe(entry=entry, content=math_content, leaves_out=leaves_out)


def _arena(benchmark_id: str, title: str, measures: str, labels: tuple[str, ...] = ()) -> BenchmarkRecipe:
    columns = _columns(number="problem_idx", labels=labels)
    dataset_id = f"MathArena/{benchmark_id}"
    return _recipe(benchmark_id, title, measures, dataset_id, columns, "CC BY-NC-SA 4.0", _ARENA_PITFALLS)


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
        "BeyondAIME",
        "A hundred problems written to be harder than the AIME, with whole numbers as answers.",
        "ByteDance-Seed/BeyondAIME",
        _columns(),
        "CC0 1.0",
        ("The dataset has no ids: a case is named by its row, so that a re-ordered dataset names it otherwise.",),
        split="test",
    ),
    _recipe(
        "imo_answerbench",
        "IMO-AnswerBench",
        "Four hundred olympiad problems in four fields, altered so that they can't be looked up, with short answers.",
        "Hwilner/imo-answerbench",
        _columns("Problem", "Short Answer", "Problem ID", ("Category", "Subcategory", "Source")),
        "CC BY 4.0",
        (
            "The dataset is a copy by a third party of what the authors published.",
            "Some answers are sets, functions or conditions, which a comparison of expressions may fail to equate.",
        ),
    ),
    _recipe(
        "phybench",
        "PHYBench",
        "Physics problems from high school to olympiad level, with a formula as answer.",
        "Eureka-Lab/PHYBench",
        _columns("content", "answer", "id", ("tag",)),
        "MIT",
        (
            "Of the 500 problems, 100 have published answers; the repository's other files repeat them without.",
            "The authors grade with the edit distance of expression trees, which gives part marks; here an answer is "
            "right or wrong, so that scores are lower than theirs.",
            "Symbols must be the problem's own: a renamed variable counts as another formula.",
        ),
        files=("PHYBench-fullques*.json",),
        leaves_out=unanswered,
    ),
)
