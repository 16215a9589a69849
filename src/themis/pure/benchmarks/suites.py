"""Suites that ship with Themis: benchmarks of the catalog that are reported together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from themis.pure.errors import SpecError, nearest
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import texts


@attrs.frozen(kw_only=True)
class BenchmarkSuite(HashableModel):
    """Benchmarks that are reported together.

    Attributes:
        suite_id: its name.
        measures: what it measures, in a sentence.
        benchmarks: names of the catalog, with variants.
        source: whose choice it is.
    """

    suite_id: str
    measures: str
    benchmarks: tuple[str, ...] = attrs.field(converter=texts)
    source: str


_SUITES: Final = (
    BenchmarkSuite(
        suite_id="open_llm",
        measures="What chat models can do over all: instructions, reasoning, mathematics and expert knowledge.",
        benchmarks=[
            "ifeval",
            "bbh",
            "hendrycks_math",
            "gpqa",
            "musr:murder_mysteries",
            "musr:object_placements",
            "musr:team_allocation",
            "mmlu_pro",
        ],
        source="the benchmarks of the Open LLM Leaderboard 2 (Hugging Face, 2024), with the catalog's own prompts",
    ),
    BenchmarkSuite(
        suite_id="open_llm_v1",
        measures="What base models know and complete: science, common sense, knowledge, truthfulness, sums.",
        benchmarks=["arc_challenge", "hellaswag", "mmlu", "truthfulqa_mc1", "winogrande", "gsm8k"],
        source="the benchmarks of the first Open LLM Leaderboard (Hugging Face, 2023), with the catalog's own prompts",
    ),
    BenchmarkSuite(
        suite_id="reasoning",
        measures="Reasoning in several steps: mathematics, science and logic, with a final answer that can be checked.",
        benchmarks=["math_500", "aime_2025", "gpqa_diamond", "bbh", "musr", "logiqa"],
        source="our choice",
    ),
    BenchmarkSuite(
        suite_id="safety",
        measures="Whether harmful requests are refused, harmless ones are not, and answers are free of bias.",
        benchmarks=["harmbench", "strong_reject", "xstest", "bbq"],
        source="our choice; all but bbq are graded by a judge",
    ),
    BenchmarkSuite(
        suite_id="multilingual",
        measures="The same in other languages: knowledge, reading, sums and inference.",
        benchmarks=["mgsm:de", "mgsm:zh", "mgsm:sw", "belebele:deu_Latn", "belebele:zho_Hans", "belebele:swh_Latn"],
        source="our choice: three languages with much, and with little, text to learn from",
    ),
)


def suites() -> Mapping[str, BenchmarkSuite]:
    """Return all suites by name."""
    return {suite.suite_id: suite for suite in _SUITES}


def find_suite(name: str) -> BenchmarkSuite:
    """Return the suite of a name.

    Raises:
        SpecError: there is none; names the nearest.

    >>> find_suite("reasoning").benchmarks[:2]
    ('math_500', 'aime_2025')
    """
    found = suites().get(name)
    if found is None:
        raise SpecError(f"suite: no suite {name!r}; {nearest(name, suites())}")
    return found
