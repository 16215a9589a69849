"""Mathematics and physics with a short answer: the result is read out of the answer and compared as mathematics."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from themis.pure.benchmarks.columns import Fields, Role, Row, RowMisfitError, label_text
from themis.pure.benchmarks.recipe import BenchmarkRecipe, ComponentChoice, Content, VariantFacts, hub_recipe
from themis.pure.benchmarks.samples import Sample
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

_COMPLETION: Final = "completion"
_CONTINUED: Final = PromptSpec(template="Question: {question}\nAnswer:")


def _gsm8k_content(fields: Fields, variant: str) -> Content:
    """Ask the problem; a model that completes text has the worked solution for its reference, and as an example."""
    number = fields["answer"].rpartition("####")[2].replace(",", "").strip()
    if not number:
        raise RowMisfitError("answer", "a solution that ends in `#### ` and a number expected, and it has no number")
    question, solution = fields["question"].strip(), fields["answer"].strip()
    return Content(question, solution if variant.endswith(_COMPLETION) else number)


def _boxed_content(fields: Fields, variant: str) -> Content:
    """Ask the problem; the reference is what the solution has in its last box."""
    found = boxed(fields["solution"])
    if found is None:
        raise RowMisfitError("solution", "a solution with its result in \\boxed{} expected, and none is there")
    return Content(fields["question"], found)


def boxed(solution: str) -> str | None:
    r"""Return what the last box of a solution holds; `\boxed 5` without braces holds what comes before a dollar sign.

    >>> boxed(r"First \boxed{1}. Then $x = \boxed{\frac{1}{2}}$."), boxed(r"It is $\boxed 5$.")
    ('\\frac{1}{2}', '5')
    """
    start = max(solution.rfind("\\boxed"), solution.rfind("\\fbox"))
    if start < 0:
        return None
    rest = solution[start:].removeprefix("\\boxed").removeprefix("\\fbox").lstrip()
    if not rest.startswith("{"):
        return rest.partition("$")[0].strip() or None
    depth = 0
    for place, character in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[1:place].strip() or None
    return None


_LANGUAGES: Final = ("en", "bn", "de", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
_PUBLIC: Final = "It is public since 2021 and in many training sets: high scores say little about new problems."

WORKED: Final = (
    _math(
        "gsm8k",
        "openai/gsm8k",
        content=_gsm8k_content,
        title="GSM8K",
        measures="1,319 word problems of grade school, solved in two to eight steps of arithmetic.",
        config="main",
        split="test",
        forms=("chat", _COMPLETION),
        variant_facts=(
            VariantFacts(
                variant=_COMPLETION,
                prompt_spec=_CONTINUED,
                parsers=("builtin/text",),
                metrics=tuple(
                    ComponentChoice(
                        component_id="builtin/worked_number",
                        options={"component_id": f"exact_match_{how}", "filter": how},
                    )
                    for how in ("strict", "flexible")
                ),
            ),
        ),
        reads={"question": "question", "answer": ("answer", "text")},
        metrics=("builtin/numeric_match",),
        shots=5,
        shots_split="train",
        license="MIT",
        source="https://arxiv.org/abs/2110.14168",
        pitfalls=(
            "The form completion is lm-evaluation-harness's: worked solutions as examples (`shots='usual'`), and two "
            "figures, strict (behind `####`) and flexible (the last number). Without examples strict is near 0. Give "
            "the model the stop `Question:`.",
            "One or two percent of the references are disputed (see GSM8K-Platinum).",
            _PUBLIC,
        ),
        samples=(
            Sample(
                row={
                    "question": "A box has 6 eggs. How many have 3 boxes?",
                    "answer": "3 * 6 = <<3*6=18>>18\n#### 18",
                },
                right="3 boxes have 3 x 6 = 18 eggs. \\boxed{18}",
                wrong="3 + 6 is 9, so \\boxed{9}",
                variant="chat",
            ),
            Sample(
                row={"question": "Ann has 2,000 cents and gets 5.", "answer": "2,000 + 5 = 2,005\n#### 2,005"},
                right="2000 + 5\n#### 2005",
                wrong="#### 2004",
                variant=_COMPLETION,
            ),
        ),
    ),
    _math(
        "math_500",
        "HuggingFaceH4/MATH-500",
        title="MATH-500",
        measures="500 competition problems of seven subjects and five levels, drawn from MATH.",
        split="test",
        reads={"unique_id": "id", "problem": "question", "answer": _RESULT},
        labels=("subject", "level"),
        groups_by=("level", "subject"),
        license="MIT",
        pitfalls=(
            "Answers are compared as mathematics; harnesses that compare texts report far lower scores.",
            _PUBLIC,
        ),
        samples=(
            Sample(
                row={
                    "unique_id": "test/algebra/1.json",
                    "problem": "Solve $2x = 1$.",
                    "answer": "\\frac{1}{2}",
                    "subject": "Algebra",
                    "level": 1,
                },
                right="$x = \\boxed{0.5}$",
                wrong="$x = \\boxed{2}$",
            ),
            Sample(
                row={
                    "unique_id": "test/geometry/2.json",
                    "problem": "What is the area of a circle of radius 3?",
                    "answer": "9\\pi",
                    "subject": "Geometry",
                    "level": 2,
                },
                right="\\boxed{9\\pi}",
                wrong="\\boxed{6\\pi}",
            ),
        ),
    ),
    _math(
        "hendrycks_math",
        "EleutherAI/hendrycks_math",
        content=_boxed_content,
        title="MATH",
        measures="5,000 competition problems for high school in seven subjects and five levels.",
        config="<variant>",
        split="test",
        variants=(
            "all",
            "algebra",
            "counting_and_probability",
            "geometry",
            "intermediate_algebra",
            "number_theory",
            "prealgebra",
            "precalculus",
        ),
        default_variant="all",
        reads={"problem": "question", "solution": ("solution", "text")},
        labels=("level", "type"),
        groups_by=("level", "type"),
        license="MIT",
        source="https://arxiv.org/abs/2103.03874",
        pitfalls=(
            "The original dataset was withdrawn; this is a copy.",
            "Answers are compared as mathematics. The four fixed examples of Minerva are not shown.",
            "The Open LLM leaderboard took the hardest level alone: `filter={'level': 'Level 5'}`.",
            _PUBLIC,
        ),
        samples=(
            Sample(
                row={
                    "problem": "Compute $7 - 3$.",
                    "solution": "$7 - 3 = \\boxed{4}$.",
                    "level": "Level 1",
                    "type": "Prealgebra",
                },
                right="\\boxed{4}",
                wrong="\\boxed{10}",
                variant="all",
            ),
            Sample(
                row={
                    "problem": "Simplify $\\sqrt{8}$.",
                    "solution": "It is $\\boxed{2\\sqrt{2}}$.",
                    "level": "Level 2",
                    "type": "Algebra",
                },
                right="\\boxed{\\sqrt{8}}",
                wrong="\\boxed{4\\sqrt{2}}",
                variant="algebra",
            ),
        ),
    ),
    _math(
        "mgsm",
        "juletxara/mgsm",
        title="MGSM (multilingual GSM8K)",
        measures="250 word problems of grade school, translated by hand into ten languages.",
        config="<variant>",
        split="test",
        variants=_LANGUAGES,
        default_variant="en",
        reads={"question": "question", "answer_number": ("answer", "integer")},
        metrics=("builtin/numeric_match",),
        license="CC BY 4.0",
        source="https://arxiv.org/abs/2210.03057",
        pitfalls=(
            "The name alone is English: papers average over languages.",
            "The prompt around the problem is English in all languages; papers ask in the problem's own.",
            "In some languages a point separates thousands: 1.000 is read as 1.",
        ),
        samples=(
            Sample(
                row={"question": "Tom has 3 pens and buys 4. How many has he?", "answer_number": 7},
                right="\\boxed{7}",
                wrong="\\boxed{12}",
                variant="en",
            ),
            Sample(
                row={"question": "Tom hat 3 Stifte und kauft 4. Wie viele hat er?", "answer_number": 7},
                right="Es sind \\boxed{7}.",
                wrong="\\boxed{1}",
                variant="de",
            ),
        ),
    ),
    _math(
        "aime_2024",
        "Maxwell-Jia/AIME_2024",
        title="AIME 2024",
        measures=f"{_AIME}, of 2024.",
        reads={"ID": "id", "Problem": "question", "Answer": ("answer", "integer")},
        reports_at=_RUNS,
        license="as stated on the dataset's page",
        pitfalls=(
            "The problems were public before most models' training ended.",
            "There are few problems, so one of them moves the score by points; sample several times and read the "
            "interval.",
        ),
        samples=(
            Sample(
                row={"ID": "2024-I-1", "Problem": "What is 8 times 9?", "Answer": 72}, right="\\boxed{072}", wrong="71"
            ),
            Sample(row={"ID": "2024-I-2", "Problem": "What is 0 times 9?", "Answer": 0}, right="\\boxed{0}", wrong="9"),
        ),
    ),
)

MATH: Final = (
    *WORKED,
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
