"""What a run used covers all of its attempts; what it took from another run is not counted as used."""

from __future__ import annotations

import pytest
from hypothesis import given

from themis import InMemoryRunStore
from themis.effects.prices import known_prices
from themis.pure.usage import Ledger, RunCosts, RunUsage, UsageRow, total_tokens
from themis.testing.pipelines import Pipeline, pipelines

PIPELINE = Pipeline(
    cases=6, samples=2, generator=("right",), reducer=("right",), parser=None, metrics=(("right",),), judge=("right",)
)


def test_a_resumed_run_counts_all_its_attempts() -> None:
    store = InMemoryRunStore()
    experiment = PIPELINE.experiment()
    experiment.run(store=store, until_stage="generate")
    result = experiment.run(store=store)
    usage = result.usage
    assert len(usage.attempts) == 2
    assert all(attempt.seconds >= 0 for attempt in usage.attempts)
    assert usage.seconds == sum(attempt.seconds for attempt in usage.attempts)
    generate, judge = usage.stages
    assert (generate.calls, generate.reused, generate.failed_attempts) == (12, 0, 0)
    assert dict(generate.tokens) == {"total_tokens": 36}
    assert usage.total_tokens == 36
    assert judge.calls == 6


def test_what_another_run_made_is_reused_and_not_used() -> None:
    store = InMemoryRunStore()
    PIPELINE.experiment().run(store=store)
    more = PIPELINE.experiment()
    more = more.evolve(generation=more.generation.evolve(candidate_policy={"num_samples": 3}))
    generate = more.run(store=store).usage.stages[0]
    assert (generate.calls, generate.reused) == (6, 12)


def test_failures_are_counted() -> None:
    failing = Pipeline(
        cases=6, samples=1, generator=("right", "raise"), reducer=None, parser=None, metrics=(), judge=("raise",)
    )
    result = failing.experiment().run()
    failed = sum(len(case.generation_failures) for case in result.cases)
    generate, judge = result.usage.stages
    assert generate.failed_attempts == failed > 0
    assert generate.calls == 6 - failed
    assert judge.failed_attempts == 6 - failed
    assert judge.calls == 0


def test_totals_add_up_where_only_some_calls_state_one() -> None:
    ledger = Ledger()
    ledger.record("generate", "m", {"total_tokens": 7}, None)
    ledger.record("generate", "m", {"prompt_tokens": 2, "completion_tokens": 3}, 0.5)
    ledger.record("generate", "n", {"prompt_tokens": 1, "total_tokens": 4}, 0.25)
    used = ledger.stage("generate")
    assert RunUsage(run_id="r", stages=[used]).total_tokens == total_tokens(used.tokens) == 7 + 5 + 4
    assert (used.calls, used.tokens["prompt_tokens"]) == (3, 3)
    m, n = ledger.rows()
    assert (m.model, m.calls, m.cost, m.unpriced_calls) == ("m", 2, 0.5, 1)
    assert (n.model, n.calls, n.cost, n.unpriced_calls) == ("n", 1, 0.25, 0)


@given(pipelines())
def test_costs_and_usage_count_the_same_calls(pipeline: Pipeline) -> None:
    result = pipeline.experiment().run()
    rows = result.costs().rows
    for stage in result.usage.stages:
        of_stage = [row for row in rows if row.stage == stage.stage]
        assert stage.calls == sum(row.calls for row in of_stage)
        assert stage.failed_attempts == sum(row.failed_attempts for row in of_stage)


def costs_of(*rows: UsageRow) -> RunCosts:
    return RunCosts(rows=rows)


def test_a_cost_that_leaves_calls_out_is_a_lower_bound_and_says_so() -> None:
    paid = UsageRow(stage="generate", model="openai/x", calls=2, cost=0.5)
    unpriced = UsageRow(stage="judge", model="vllm/y", calls=3, unpriced_calls=3)
    unstated = UsageRow(stage="judge", model="mine", calls=1, unstated_calls=1)
    assert (costs_of(paid).text, costs_of(paid).is_lower_bound, costs_of(paid).notice) == ("$0.5000", False, None)
    found = costs_of(paid, unpriced, unstated)
    assert (found.text, found.is_lower_bound, found.cost) == ("at least $0.5000", True, 0.5)
    assert found.notice == (
        "price unknown, tokens counted: vllm/y (3 calls); no usage stated, nothing counted: mine (1 call)"
    )
    assert costs_of(unpriced).text == "not known"
    assert [costs_of(paid, row).is_lower_bound for row in (paid, unpriced, unstated)] == [False, True, True]
    assert [costs_of(paid.evolve(cost=cost)).text for cost in (0.0, 1234.5, 0.00002)] == [
        "$0.0000",
        "$1,234.50",
        "$2e-05",
    ]


def test_calls_that_state_a_total_alone_or_nothing_have_no_price() -> None:
    ledger, price = Ledger(), known_prices({"m": {"prompt": 1.0, "completion": 1.0}})
    events = PIPELINE.experiment().run().view.events()
    for event in events:
        ledger.take(event, "m", price)
    generate, *judges = ledger.rows()
    assert (generate.calls, generate.cost, generate.unpriced_calls, generate.unstated_calls) == (12, None, 12, 0)
    assert [(row.calls, row.unpriced_calls, row.unstated_calls) for row in judges] == [(6, 0, 6)]


@pytest.mark.parametrize("model", ["builtin/demo_model", "hf/tiny", "llama_cpp/tiny.gguf"])
def test_a_model_in_this_process_costs_nothing(model: str) -> None:
    ledger = Ledger()
    ledger.record("generate", model, None, None)
    [row] = ledger.rows()
    assert (row.cost, row.is_lower_bound, row.text) == (0.0, False, "$0.0000")


def test_reused_answers_are_told_of() -> None:
    store = InMemoryRunStore()
    PIPELINE.experiment().run(store=store)
    more = PIPELINE.experiment()
    more = more.evolve(generation=more.generation.evolve(candidate_policy={"num_samples": 3}))
    assert [row.reused for row in more.run(store=store).costs().rows if row.stage == "generate"] == [12]
