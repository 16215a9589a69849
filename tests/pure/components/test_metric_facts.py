"""What a metric made of a function sees of an answer, by the names of its keyword-only parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest

from themis import Case, Dataset, EvaluationConfig, Experiment, GenerationConfig, InMemoryRunStore, metric, verify
from themis.pure.errors import SpecError
from themis.pure.json import JSONValue
from themis.pure.records.contexts import GenerateContext, ScoreContext
from themis.pure.records.generation import GenerationResult, ParsedOutput, TraceStep
from themis.pure.records.scoring import Score
from themis.testing.laws import assert_metric_laws


@attrs.frozen
class Agent:
    """A model that says what it did."""

    component_id: str = "tests/agent"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output=f"<{ctx.candidate_index}>",
            trace=[TraceStep(step_name=name, step_type="tool") for name in ("search", "read")],
            artifacts={"finish_reason": "length"},
            token_usage={"total_tokens": 9 + ctx.candidate_index},
            latency_ms=12.5,
        )


SEEN: list[dict[str, Any]] = []


@metric
def all_facts(
    parsed: ParsedOutput,
    case: Case,
    *,
    answer: JSONValue,
    trace: Sequence[TraceStep] | None,
    candidates: Sequence[GenerationResult],
    usage: Mapping[str, int] | None,
    latency_ms: float | None,
    finish_reason: str | None,
    weight: float = 1.0,
) -> float:
    ids = [candidate.candidate_id for candidate in candidates]
    steps = [step.step_name for step in trace or ()]
    facts = {"answer": answer, "steps": steps, "ids": ids, "ms": latency_ms, "finish": finish_reason}
    SEEN.append({**facts, "usage": dict(usage or {}), "case": case.case_id})
    return weight * len(ids)


@attrs.frozen
class Class:
    """The same as a class."""

    component_id: str = "tests/class"
    version: str = "1"
    reads_candidates: bool = True

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score:
        assert ctx.candidate is not None
        return Score(metric_id=self.component_id, value=float(len(ctx.candidate.trace or ())))


def run(samples: int, reducer: str | None, *metrics: Any) -> tuple[Experiment, Any, InMemoryRunStore]:
    experiment = Experiment(
        generation=GenerationConfig(generator=Agent(), candidate_policy={"num_samples": samples}, reducer=reducer),
        evaluation=EvaluationConfig(metrics=metrics),
        datasets=Dataset(dataset_id="d", cases=[Case(case_id="1", input="?")]),
    )
    store = InMemoryRunStore()
    return experiment, experiment.run(store=store), store


def test_a_metric_sees_what_it_asks_for() -> None:
    SEEN.clear()
    experiment, result, store = run(2, None, all_facts, Class())
    facts = {"steps": ["search", "read"], "ms": 12.5, "finish": "length", "case": "1"}
    assert [
        {**facts, "answer": f"<{n}>", "ids": [f"1-candidate-{n}"], "usage": {"total_tokens": 9 + n}} for n in range(2)
    ] == SEEN
    assert result.benchmark.metric_means == {"all_facts": 1.0, "tests/class": 2.0}
    assert verify(store, result.run_id, experiment=experiment).verdict == "verified"
    assert experiment.replay(stage="score", store=store).digest == result.digest


def test_an_answer_made_of_several_candidates_shows_them_all() -> None:
    SEEN.clear()
    run(3, "builtin/first", all_facts)
    assert [(seen["answer"], seen["ids"]) for seen in SEEN] == [("<0>", [f"1-candidate-{n}" for n in range(3)])]


def test_a_metric_that_asks_for_nothing_is_handed_nothing() -> None:
    @attrs.frozen
    class Plain(Class):
        component_id: str = "tests/plain"
        reads_candidates: bool = False

        def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score:
            assert (ctx.candidate, ctx.candidates) == (None, ())
            return Score(metric_id=self.component_id, value=1.0)

    _, result, _ = run(1, None, Plain())
    assert result.benchmark.metric_means == {"tests/plain": 1.0}


def test_what_no_metric_is_told_is_refused_when_it_is_made() -> None:
    with pytest.raises(SpecError, match=r"asks for what no metric is told: 'latency': did you mean latency_ms"):

        @metric
        def slow(parsed: ParsedOutput, *, latency: float) -> bool:
            return latency > 1


def test_laws_hold_for_a_metric_that_asks() -> None:
    @metric
    def frugal(parsed: ParsedOutput, *, usage: Mapping[str, int] | None) -> bool:
        return usage is not None and usage["total_tokens"] < 50

    assert_metric_laws(frugal)
