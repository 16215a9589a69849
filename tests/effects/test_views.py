"""The SQL views of a store say what the reports say, for runs that fail in every way."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given

from themis import SqliteRunStore
from themis.core import ParseContext, ParsedOutput, ReducedCandidate
from themis.testing.pipelines import Pipeline, pipelines


@given(pipelines())
def test_score_rows_and_run_summary_agree_with_the_projections(
    tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline
) -> None:
    path = tmp_path_factory.mktemp("s") / "s.sqlite3"
    with SqliteRunStore(path) as store:
        pipeline.experiment().run(store=store, until_stage="parse")
        result = pipeline.experiment().run(store=store)
        expected = [
            (r.dataset_id, r.case_key, r.case_id, r.metric_id, r.value, r.outcome, r.error_category)
            for r in result.benchmark.score_rows
        ]
        benchmark = result.benchmark
    database = sqlite3.connect(path)
    rows = database.execute(
        "select dataset_id, case_key, case_id, metric_id, value, outcome, error_category from score_rows"
    ).fetchall()
    summary: Mapping[str, tuple[object, ...]] = {
        row[0]: row[1:]
        for row in database.execute(
            "select metric_id, planned, scored, mean, correct, incorrect, errors from run_summary"
        )
    }
    database.close()
    assert sorted(map(repr, rows)) == sorted(map(repr, expected))
    for metric in benchmark.metric_ids:
        outcomes = benchmark.outcome_counts[metric]
        mean = benchmark.metric_means.get(metric)
        assert summary[metric][0] == benchmark.total_cases
        assert summary[metric][2] == (None if mean is None else pytest.approx(mean))
        assert summary[metric][3:] == (outcomes["correct"], outcomes["incorrect"], outcomes["error"])


class FickleParser:
    component_id = "tests/fickle"
    version = "1"
    broken = False

    def fingerprint(self) -> str:
        return "fickle"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        if self.broken:
            raise OSError("broken")
        return ParsedOutput(value=candidate.final_output)


def test_what_fails_when_it_is_done_again_supersedes_what_went_well(tmp_path: Path) -> None:
    parser, made = FickleParser(), Pipeline(3, 1, ("right",), None, None, (("right",),), None).experiment()
    experiment = made.evolve(evaluation=made.evaluation.evolve(parsers=parser))
    with SqliteRunStore(tmp_path / "s.sqlite3") as store:
        experiment.run(store=store)
        parser.broken = True
        experiment.replay(stage="parse", store=store)
    database = sqlite3.connect(tmp_path / "s.sqlite3")
    rows = database.execute("select value, outcome, error_category from score_rows").fetchall()
    database.close()
    assert rows == [(None, "error", "parse_failure")] * 3
