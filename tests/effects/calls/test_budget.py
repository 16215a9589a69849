"""Budgets of whole runs: reserved before each call, split between stages, kept over resumes, and priced."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from themis import adapters, evaluate
from themis.pure.errors import InvalidRecordError, SpecError
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.testing.endpoint import FakeEndpoint

PRICES = {"openai/tiny": {"prompt": 1_000.0, "completion": 2_000.0}}

opened: list[Any] = []


@pytest.fixture(autouse=True)
def _closed_stores() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def rows(count: int) -> list[dict[str, object]]:
    return [
        {"case_id": f"c{i}", "input": f"question {i}", "expected_output": f"echo: question {i}"} for i in range(count)
    ]


def run(endpoint: FakeEndpoint, runtime: RuntimeConfig, path: Path, **options: Any) -> Any:
    result = evaluate(
        model=adapters.openai("tiny", base_url=endpoint.base_url, max_tokens=8),
        data=rows(100),
        storage=StorageConfig(store="sqlite", parameters={"path": str(path)}),
        runtime=runtime,
        **{"metric": "builtin/exact_match", **options},
    )
    opened.append(result.store)
    return result


def test_a_run_stops_within_its_budget_loses_no_paid_answer_and_goes_on_with_a_larger_one(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite3"
    with FakeEndpoint(latency_s=0.02) as endpoint:
        first = run(endpoint, RuntimeConfig(max_tokens=200), path)
        assert first.status == "failed"
        assert "raise max_cost or max_tokens" in (first.error_message or "")
        # Every answer that was paid for is stored, those under way when the budget ended included.
        assert first.usage.stages[0].calls == len(endpoint.log) > 0
        assert 150 < first.usage.total_tokens <= 200
        again = run(endpoint, RuntimeConfig(max_tokens=200), path)
        assert again.usage.total_tokens <= 200  # what an earlier process spent counts
        whole = run(endpoint, RuntimeConfig(max_tokens=2_000), path)
    assert whole.benchmark.outcome_counts["builtin/exact_match"]["correct"] == 100
    assert len(endpoint.log) == 100


def test_dollars_are_reserved_and_counted(tmp_path: Path) -> None:
    runtime = RuntimeConfig(max_cost=0.5, prices=PRICES)
    with FakeEndpoint(latency_s=0.02) as endpoint:
        result = run(endpoint, runtime, tmp_path / "runs.sqlite3")
    costs = result.costs(PRICES)
    (row,) = costs.rows
    assert (row.stage, row.model, row.calls) == ("generate", "openai/tiny", len(endpoint.log))
    assert row.cost == pytest.approx((row.prompt_tokens + 2 * row.completion_tokens) / 1_000)
    assert 0.4 < row.cost <= 0.5
    assert costs.notice is None
    assert result.costs() == costs  # at the run's own prices


def test_judging_has_a_share_of_its_own(tmp_path: Path) -> None:
    runtime = RuntimeConfig(max_tokens=20_000, budget_shares={"judge": 0.0})
    with FakeEndpoint() as endpoint:
        judge = adapters.openai("judge", base_url=endpoint.base_url, max_tokens=8)
        result = run(
            endpoint,
            runtime,
            tmp_path / "runs.sqlite3",
            metric="builtin/llm_rubric",
            judge=judge,
            workflow_overrides={"rubric": "good"},
        )
    assert result.status == "failed"
    assert {served.request.json()["model"] for served in endpoint.log} == {"tiny"}


def test_a_model_without_a_price_is_refused_before_anything_is_paid_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeEndpoint() as endpoint:
        if "genai_prices" in sys.modules or _installed():
            with pytest.raises(SpecError, match="the price of openai/tiny is not known"):
                run(endpoint, RuntimeConfig(max_cost=1.0), tmp_path / "runs.sqlite3")
        monkeypatch.setitem(sys.modules, "genai_prices", None)
        with pytest.raises(SpecError, match=r"themis-evals\[prices\]"):
            run(endpoint, RuntimeConfig(max_cost=1.0), tmp_path / "runs.sqlite3")
    assert endpoint.log == []
    assert not (tmp_path / "runs.sqlite3").exists()


def _installed() -> bool:
    import importlib.util

    return importlib.util.find_spec("genai_prices") is not None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"budget_shares": {"parse": 0.5}}, "budget_shares.parse: no stage that costs"),
        ({"budget_shares": {"judge": 2}}, "budget_shares.judge: a part from 0 to 1 expected, found 2"),
        ({"prices": {"m": {"input": 1}}}, "prices.m: {'prompt': .., 'completion': ..}"),
    ],
)
def test_wrong_shares_and_prices_are_told(fields: Any, message: str) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        RuntimeConfig(**fields)
    assert message in str(caught.value)


def test_an_estimate_counts_real_prompts_and_the_models_own_limit() -> None:
    from themis import Dataset, EvaluationConfig, Experiment, GenerationConfig

    def estimate(text: str, **options: Any) -> Any:
        experiment = Experiment(
            generation=GenerationConfig(generator=adapters.openai("tiny", base_url="http://h/v1", **options)),
            evaluation=EvaluationConfig(metrics="builtin/exact_match"),
            datasets=Dataset(dataset_id="d", cases=[{"case_id": "1", "input": text, "expected_output": "x"}]),
        )
        return experiment.estimate()

    short, long = estimate("x" * 40, max_tokens=7), estimate("x" * 440, max_tokens=7)
    assert long.estimated_generation_input_tokens - short.estimated_generation_input_tokens == 100
    assert short.estimated_generation_output_tokens == 7
    assert "max_tokens allows (7)" in " ".join(short.assumptions)
    assert estimate("x").estimated_generation_output_tokens == 256
