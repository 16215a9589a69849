"""The SQL views of a store say what the reports say, for runs that fail in every way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from themis.api.stores import open_store
from themis.pure.records.config import StorageConfig
from themis.pure.records.results import BenchmarkResult
from themis.testing.pipelines import Pipeline, pipelines

Fresh = Callable[[str], StorageConfig]
each_sql_store = pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])


def query(config: StorageConfig, text: str) -> list[tuple[Any, ...]]:
    parameters: Any = config.parameters
    if config.store == "sqlite":
        with closing(sqlite3.connect(parameters["path"])) as database:
            return database.execute(text).fetchall()
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
    with psycopg.connect(parameters["dsn"], options=f"-c jit=off -c search_path={parameters['schema']}") as database:
        return list(database.execute(text).fetchall())


@each_sql_store
@given(pipeline=pipelines())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_score_rows_and_run_summary_agree_with_the_projections(kind: str, fresh: Fresh, pipeline: Pipeline) -> None:
    config = fresh(kind)
    with closing(open_store(config)) as store:
        for until in ("reduce", "parse", "judge"):
            benchmark = pipeline.experiment().run(store=store, until_stage=until).benchmark
            agree(config, benchmark)


def agree(config: StorageConfig, benchmark: BenchmarkResult) -> None:
    expected = [
        (r.dataset_id, r.case_key, r.case_id, r.metric_id, r.candidate_id, r.value, r.outcome, r.error_category)
        for r in benchmark.score_rows
    ]
    columns = "dataset_id, case_key, case_id, metric_id, candidate_id, value, outcome, error_category"
    assert sorted(map(repr, query(config, f"select {columns} from score_rows"))) == sorted(map(repr, expected))
    summary = query(config, "select metric_id, planned, scored, mean, correct, incorrect, errors from run_summary")
    assert {row[0] for row in summary} == set(benchmark.metric_ids)
    for metric, planned, scored, mean, *outcomes in summary:
        counts = benchmark.outcome_counts[metric]
        expected_mean = benchmark.metric_means.get(metric)
        assert (planned, scored) == (sum(counts.values()), sum(counts.values()) - counts["error"])
        assert mean == (None if expected_mean is None else pytest.approx(expected_mean))
        assert outcomes == [counts["correct"], counts["incorrect"], counts["error"]]


@each_sql_store
def test_what_fails_when_it_is_done_again_supersedes_what_went_well(
    kind: str, fresh: Fresh, fickle_parser: Any
) -> None:
    made = Pipeline(3, 1, ("right",), None, None, (("right",),), None).experiment()
    experiment = made.evolve(evaluation=made.evaluation.evolve(parsers=fickle_parser))
    config = fresh(kind)
    with closing(open_store(config)) as store:
        experiment.run(store=store)
        fickle_parser.broken = True
        experiment.replay(stage="parse", store=store)
    rows = query(config, "select value, outcome, error_category from score_rows")
    assert rows == [(None, "error", "parse_failure")] * 3
