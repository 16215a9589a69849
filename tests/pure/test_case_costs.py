"""What a case costs is what its calls took; a case of which not all is known is missing, so that no figure flatters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given

from themis import InMemoryRunStore, RunResult
from themis.effects.reading import fresh_state
from themis.pure.case_costs import CaseCosts, PaidStage, case_costs
from themis.pure.records.judging import JudgeResponse, RenderedJudgePrompt
from themis.pure.state import fold_case, new_state
from themis.pure.stats import StatsEngine
from themis.pure.usage import call_cost, run_costs
from themis.testing.pipelines import Pipeline, ScriptedJudge, pipelines

BASIC = Pipeline(cases=6, samples=2, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None)


def by_token(model: str, usage: Mapping[str, int]) -> float | None:
    """A dollar a token for every model."""
    return float(usage["total_tokens"]) if "total_tokens" in usage else None


def costs(result: RunResult, stage: PaidStage | None = None) -> CaseCosts:
    cases = ((fold_case(fresh_state(item), events), events) for item, events in result.view.case_events())
    return case_costs(cases, result.view.plan, by_token, StatsEngine(), stage)


@attrs.frozen
class PaidJudge(ScriptedJudge):
    """A judge that states what it used."""

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        response = await super().judge(prompt, seed=seed)
        return response.evolve(token_usage={"total_tokens": 5, "prompt_tokens": 4}, latency_ms=2.0)


def judged(script: tuple[str, ...] = ("right",), parser: tuple[str, ...] | None = None, **fields: Any) -> RunResult:
    pipeline = attrs.evolve(BASIC, judge=script, parser=parser)
    made = pipeline.experiment()
    evaluation = made.evaluation.evolve(judge_models=[PaidJudge(script)])
    return made.evolve(evaluation=evaluation).run(store=InMemoryRunStore(), **fields)


def test_a_case_costs_what_all_of_its_calls_cost() -> None:
    found = costs(BASIC.experiment().run(store=InMemoryRunStore()))
    assert (found.cost.mean, found.cost.measured, found.cost.planned) == (6.0, 6, 6)  # two answers of three tokens
    assert (found.prompt_tokens.mean, found.prompt_tokens.missing) == (None, 6)  # which it does not state
    assert found.latency_ms.measured == 6


def test_judges_count_unless_one_stage_is_asked_for() -> None:
    result = judged()
    assert [costs(result, stage).cost.mean for stage in (None, "generate", "judge")] == [16.0, 6.0, 10.0]
    judging = costs(result, "judge")
    assert (judging.prompt_tokens.mean, judging.latency_ms.mean) == (8.0, 4.0)


def test_no_judge_is_paid_for_an_answer_that_could_not_be_parsed() -> None:
    assert costs(judged(parser=("null",)), "judge").cost.mean == 0.0


def test_what_failed_or_was_not_done_yet_is_missing_and_not_free() -> None:
    failing = costs(judged(("raise",)), "judge").cost
    assert (failing.mean, failing.missing) == (None, 6)
    assert costs(judged(until_stage="generate")).cost.missing == 6
    assert costs(judged(until_stage="generate"), "generate").cost.mean == 6.0
    broken = attrs.evolve(BASIC, generator=("right", "raise")).experiment().run(store=InMemoryRunStore())
    whole = [case for case in broken.cases if not case.generation_failures]
    assert 0 < len(whole) < 6
    assert (costs(broken).cost.measured, costs(broken).cost.mean) == (len(whole), 6.0)


def test_a_case_that_nothing_has_happened_to_is_not_free() -> None:
    result = BASIC.experiment().run(store=InMemoryRunStore())
    events = [event for _, of_case in result.view.case_events() for event in of_case]
    untouched = new_state("a", "d", "d:a")
    for happened in ([], events[:1]):  # and one of its two answers is not all of them
        found = case_costs([(untouched, happened)], result.view.plan, by_token, StatsEngine(), "generate")
        assert (found.cost.planned, found.cost.missing) == (1, 1)


def test_answers_that_another_run_made_cost_what_they_cost_then() -> None:
    store = InMemoryRunStore()
    BASIC.experiment().run(store=store)
    again = attrs.evolve(BASIC, metrics=(("wrong",),)).experiment().run(store=store)
    assert run_costs(again.view.events(), "scripted/generator", by_token).cost is None
    assert costs(again).cost.mean == 6.0


@given(pipelines())
def test_cases_add_up_to_the_run(pipeline: Pipeline) -> None:
    result = pipeline.experiment().run(store=InMemoryRunStore())
    found = costs(result, "generate").cost
    total = run_costs(result.view.events(), "scripted/generator", by_token).cost or 0.0
    assert found.planned == result.progress.total_cases
    assert found.missing == sum(bool(case.generation_failures) for case in result.cases)
    spent = 0.0 if found.mean is None else found.mean * found.measured
    assert spent == pytest.approx(total) if not found.missing else spent <= total + 1e-9


def test_a_call_has_no_cost_where_its_usage_or_its_price_is_not_known() -> None:
    assert call_cost("m", {"total_tokens": 7}, by_token) == 7.0
    assert call_cost("m", {"prompt_tokens": 7}, by_token) is None
    assert call_cost("m", None, by_token) is None
