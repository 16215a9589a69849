"""Point-weighted rubrics: HealthBench's rule, one call an item or several, and rubrics that can't be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from themis import evaluate
from themis.core import JudgeResponse, RenderedJudgePrompt
from themis.pure.components.registry import make_builtin
from themis.testing.pipelines import Calls

RUBRIC = [
    {"criterion": "names two", "points": 6, "tags": ["accuracy"]},
    {"criterion": "is polite", "points": 2, "tags": ["tone"]},
    {"criterion": "lies", "points": -4, "tags": ["accuracy"]},
]


@attrs.frozen
class Judge:
    """Finds these criteria met; in a batch it answers for each number that it is asked about, or for one less."""

    met: tuple[str, ...]
    forgetful: bool = False
    component_id: str = "test/judge"
    version: str = "1"
    calls: Calls = attrs.field(factory=Calls, eq=False)

    def fingerprint(self) -> str:
        return f"{self.met}{self.forgetful}"

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        self.calls.note(prompt.prompt_id)
        text = str(prompt.content)
        task = text.partition("Each part below")[0]
        if "Criteria:" in task:
            asked = [line.partition(". ") for line in task.splitlines() if line[:1].isdigit()]
            lines = [f"Verdict {n}: {'met' if c in self.met else 'not met'}" for n, _, c in asked]
            answer = "\n".join(lines[1:] if self.forgetful else lines)
        else:
            answer = f"Verdict: {'met' if any(c in task for c in self.met) else 'not met'}"
        return JudgeResponse(judge_model_id=self.component_id, raw_response=answer, effective_seed=seed)


def run(judge: Judge, expected: Any, metric: Any = "builtin/rubric_points", **options: Any) -> Any:
    rows = [{"input": "What is 1 + 1?", "expected_output": expected}]
    result = evaluate(model="builtin/demo_generator", data=rows, metric=metric, judge=judge, **options)
    return next(iter(result.benchmark.score_rows))


@pytest.mark.parametrize("batch", [1, 2, 3, 9])
@pytest.mark.parametrize(
    ("met", "value"),
    [
        (("names two", "is polite"), 1.0),
        (("names two", "lies"), 0.25),
        (("lies",), 0.0),
        (("is polite",), 0.25),
        ((), 0.0),
    ],
)
def test_earned_over_positive_points_clipped(met: tuple[str, ...], value: float, batch: int) -> None:
    judge = Judge(met)
    row = run(judge, {"rubrics": RUBRIC}, make_builtin("rubric_points", batch=batch))
    assert row.value == pytest.approx(value)
    assert sum(judge.calls.counts.values()) == -(-len(RUBRIC) // batch)


def test_the_score_by_tag_is_in_the_details() -> None:
    details: Mapping[str, Any] = run(Judge(("names two", "lies")), {"rubrics": RUBRIC}).details
    assert details["tags"] == {"accuracy": pytest.approx(2 / 6), "tone": 0.0}
    assert details["met"] == {"0": 1.0, "1": 0.0, "2": 1.0}
    assert (details["earned"], details["possible"]) == (2.0, 8.0)


def test_the_experiment_may_state_one_rubric_for_all_cases() -> None:
    row = run(Judge(("names two",)), "two", workflow_overrides={"rubrics": RUBRIC, "batch": 3})
    assert row.value == pytest.approx(0.75)


def test_a_batch_with_a_verdict_left_out_is_an_error() -> None:
    row = run(Judge(("names two",), forgetful=True), {"rubrics": RUBRIC}, make_builtin("rubric_points", batch=3))
    assert row.value is None
    assert "no verdict on criterion 1" in str(row.error_message)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"rubrics": [{"criterion": "x", "points": -1}]}, "no item of the rubric has positive points"),
        ({"rubrics": [{"criterion": "x"}]}, "rubrics[0]: {criterion: text, points: number} expected"),
        ({"rubrics": [{"criterion": "x", "points": True}]}, "points: number} expected"),
        ("just a text", "no rubric; a list of {criterion, points} is needed"),
    ],
)
def test_a_rubric_that_cant_be_used_is_an_error(expected: Any, message: str) -> None:
    assert message in str(run(Judge(()), expected).error_message)
