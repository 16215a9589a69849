"""The dimensions of judged metrics: their means are those of the verdicts, and nothing that is missing lifts them."""

from __future__ import annotations

from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import Case, InMemoryRunStore, evaluate, generator
from themis.api.runs.report import Reporter, read_report, result_data, result_table
from themis.core import GenerateContext
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.report.dimensions import DimensionScores

NAMES = ("accuracy", "completeness", "tone")


def row(value: float | None, dimensions: dict[str, Any] | None = None, category: Any = None) -> BenchmarkScoreRow:
    return BenchmarkScoreRow(
        case_id="c",
        dataset_id="d",
        case_key="k",
        metric_id="m",
        value=value,
        outcome="error" if value is None else "incorrect",
        error_category=category,
        error_message="no" if category else None,
        details={} if dimensions is None else {"dimensions": dimensions},
    )


def columns(rows: list[BenchmarkScoreRow]) -> dict[str, list[float | None]]:
    scores = DimensionScores()
    for case, each in enumerate(rows):
        scores.add(case, each, None)
    return {name: values for name, values, _ in scores.columns()}


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1), st.lists(st.sampled_from((None, 0.0))))
def test_an_answer_without_a_verdict_lifts_no_dimension(verdicts: list[Any], others: list[float | None]) -> None:
    judged = [row(0.5, {"a": a, "b": b}) for a, b in verdicts]
    lost = [row(value, category="parse_null" if value is not None else "generation_failure") for value in others]
    alone, together = columns(judged), columns([*judged, *lost])
    for name in "ab":
        assert len(together[name]) == len(judged) + len(lost)  # each is missing, or counts as the worst
        before = mean(value for value in alone[name] if value is not None)
        assert mean(value for value in together[name] if value is not None) <= before + 1e-12


def test_a_dimension_that_a_case_lacks_is_not_missing_from_it() -> None:
    found = columns([row(1.0, {"a": 1.0, "b": 0.0}), row(1.0, {"a": 0.5})])
    assert found == {"a": [1.0, 0.5], "b": [0.0]}
    assert columns([row(1.0, {"a": 1.0})]) == {}  # one dimension is the metric itself


@generator
async def says_the_case(case: Case, ctx: GenerateContext) -> str:
    return str(case.input)


@pytest.mark.parametrize("samples", [1, 2])
def test_a_rubric_of_three_dimensions_is_reported_by_dimension(samples: int) -> None:
    store = InMemoryRunStore()
    rows = [{"input": "the words are here", "expected_output": "the words " * n} for n in range(1, 9)]
    result = evaluate(
        model=says_the_case,
        data=rows,
        metric=["builtin/llm_rubric", "builtin/exact_match"],
        judge="builtin/demo_judge",
        samples=samples,
        store=store,
        workflow_overrides={"dimensions": dict.fromkeys(NAMES, "good")},
    )
    overview = read_report(result.view).overview
    assert [(each.metric_id, each.name) for each in overview.dimensions] == [("builtin/llm_rubric", n) for n in NAMES]
    for each in overview.dimensions:
        details: list[Any] = [score.details for score in result.benchmark.score_rows]
        stated = [found["dimensions"][each.name] for found in details if "dimensions" in found]
        assert each.estimate.mean == pytest.approx(mean(stated))
        assert (each.estimate.planned, each.estimate.clusters) == (8 * samples, 8 if samples > 1 else None)
    assert result_data(result)["dimensions"]["builtin/llm_rubric"]["tone"]["planned"] == 8 * samples
    for text in (
        result_table(result),
        Reporter(store).export_markdown(result.run_id),
        Reporter(store).export_latex(result.run_id),
    ):
        assert all(name in text for name in NAMES)


def test_the_tags_of_a_rubric_are_its_dimensions() -> None:
    rubrics = [{"criterion": "names the words", "points": 1, "tags": ["axis:accuracy"]},
               {"criterion": "is short", "points": 2, "tags": ["axis:style"]}]  # fmt: skip
    rows = [{"input": "the words", "expected_output": {"rubrics": rubrics}} for _ in range(3)]
    result = evaluate(model=says_the_case, data=rows, metric="builtin/rubric_points", judge="builtin/demo_judge")
    assert [each.name for each in read_report(result.view).overview.dimensions] == ["axis:accuracy", "axis:style"]
