"""Law 4: whatever the concurrency, the order of completion, the store, crashes and resumes, the digest is the same.

And law 11 for every one of these pipelines: outcomes add up to the answers planned, per metric.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import InMemoryRunStore, RunResult, RuntimeConfig, SqliteRunStore
from themis.pure.plan import make_plan
from themis.pure.projections import UNPARSED
from themis.pure.records.results import RunStatus
from themis.testing.pipelines import Pipeline, pipelines

DAWDLES = st.lists(st.integers(0, 9), min_size=1, max_size=7)


def digest_of(result: RunResult) -> str:
    assert_totals_add_up(result)
    return result.digest


def assert_totals_add_up(result: RunResult) -> None:
    benchmark = result.benchmark
    rows = list(benchmark.score_rows)
    plan = make_plan(result.snapshot)
    for slot in plan.metrics:
        metric, answers = slot.metric_id, len(plan.answers_of(slot))
        outcomes = benchmark.outcome_counts[metric]
        assert sum(outcomes.values()) == benchmark.total_cases * answers
        unparsed = [row for row in rows if row.metric_id == metric and row.value is not None and row.error_category]
        assert sum(benchmark.error_counts[metric].values()) == outcomes["error"] + len(unparsed)
        values = [row.value for row in rows if row.metric_id == metric and row.value is not None]
        assert len(values) == outcomes["correct"] + outcomes["incorrect"]
        if values:
            assert benchmark.metric_means[metric] == pytest.approx(sum(values) / len(values))
        else:
            assert metric not in benchmark.metric_means
    assert all((row.value is None) == (row.outcome == "error") for row in rows)
    assert all(row.error_category is not None for row in rows if row.outcome == "error")
    explained = [row for row in rows if row.error_category is not None and row.outcome != "error"]
    assert all(row.outcome == "incorrect" and row.error_category in UNPARSED for row in explained)
    assert benchmark.completed_cases + benchmark.failed_cases == benchmark.total_cases
    assert result.status in (RunStatus.COMPLETED, RunStatus.PARTIAL_FAILURE)


@given(pipelines(), DAWDLES, st.sampled_from([1, 2, 7, 64]))
def test_no_schedule_changes_the_results(pipeline: Pipeline, dawdle: list[int], workers: int) -> None:
    plain = pipeline.experiment(runtime=RuntimeConfig(max_concurrent_tasks=1)).run()
    other = pipeline.experiment(dawdle, runtime=RuntimeConfig(max_concurrent_tasks=workers)).run()
    assert digest_of(plain) == digest_of(other)
    assert plain.run_id == other.run_id


@given(pipelines(), DAWDLES)
def test_no_store_changes_the_results(
    tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline, dawdle: list[int]
) -> None:
    with SqliteRunStore(tmp_path_factory.mktemp("s") / "s.sqlite3") as store:
        stored = pipeline.experiment(dawdle).run(store=store)
        assert digest_of(stored) == digest_of(pipeline.experiment().run())


@given(pipelines(), st.sampled_from(["generate", "reduce", "parse", "score"]))
def test_stopping_and_going_on_changes_no_result_and_repeats_no_call(pipeline: Pipeline, stage: Any) -> None:
    store = InMemoryRunStore()
    experiment = pipeline.experiment()
    experiment.run(until_stage=stage, store=store)
    result = experiment.run(store=store)
    assert digest_of(result) == digest_of(pipeline.experiment().run())
    calls = experiment.generation.generator.calls.counts
    failed = {
        f"{case.case_key}/{failure.candidate_index}" for case in result.cases for failure in case.generation_failures
    }
    # What failed is tried again by the second run; what was answered is not asked again.
    assert {name for name, count in calls.items() if count > 1} == failed


@given(pipelines())
def test_running_again_asks_nothing_that_was_answered(pipeline: Pipeline) -> None:
    store = InMemoryRunStore()
    first = pipeline.experiment().run(store=store)
    again = pipeline.experiment()
    result = again.run(store=store)
    assert digest_of(result) == digest_of(first)
    answered = {f"{case.case_key}/{i}" for case in result.cases for i in range(len(case.generated_candidates))}
    failed = {f"{c.case_key}/{f.candidate_index}" for c in result.cases for f in c.generation_failures}
    assert set(again.generation.generator.calls.counts) <= failed
    assert answered.isdisjoint(set(again.generation.generator.calls.counts) - failed)


@given(pipelines(max_cases=3))
def test_a_store_file_can_be_read_by_another_process(
    tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline
) -> None:
    path: Path = tmp_path_factory.mktemp("s") / "s.sqlite3"
    with SqliteRunStore(path) as store:
        result = pipeline.experiment().run(store=store)
        digest = result.digest
    with SqliteRunStore(path) as reopened:
        assert RunResult(snapshot=reopened.load_snapshot(result.run_id), store=reopened).digest == digest
