"""The SQL views of a store say what the reports say, for runs that fail in every way."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from themis import InMemoryRunStore, RunResult
from themis.api.stores import open_store
from themis.effects.stores.tables import read_schema
from themis.pure.records.config import StorageConfig
from themis.pure.records.results import BenchmarkResult, BenchmarkScoreRow
from themis.pure.stats import StatsEngine
from themis.pure.stats.pass_at_k import pass_at_k, pass_hat_k
from themis.testing.pipelines import Pipeline, ScriptedGenerator, pipelines

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
def test_the_views_agree_with_the_projections(kind: str, fresh: Fresh, pipeline: Pipeline) -> None:
    config = fresh(kind)
    with closing(open_store(config)) as store:
        for until in ("generate", "reduce", "parse", "judge"):
            benchmark = pipeline.experiment().run(store=store, until_stage=until).benchmark
            agree(config, benchmark)
            agree_on_several_answers(config, benchmark.score_rows)


class Moody(ScriptedGenerator):
    """Fails at first."""

    async def generate(self, case: Any, ctx: Any) -> Any:
        result = await super().generate(case, ctx)
        if self.calls.counts[f"{ctx.case_key}/{result.candidate_id.rpartition('-')[2]}"] == 1 and case.input["n"] % 2:
            raise ValueError("not at first")
        return result


@each_sql_store
@given(pipeline=pipelines(), moody=st.booleans(), part=st.floats(0, 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_the_views_agree_wherever_a_run_was_killed(
    kind: str, fresh: Fresh, pipeline: Pipeline, moody: bool, part: float
) -> None:
    made, whole = pipeline.experiment(), InMemoryRunStore()
    if moody:
        made = made.evolve(generation=made.generation.evolve(generator=Moody(script=pipeline.generator)))
        made.run(store=whole, until_stage="reduce")
    run_id = made.run(store=whole).run_id
    events = [*whole.events(run_id)]
    config = fresh(kind)
    with closing(open_store(config)) as store:
        store.persist_snapshot(whole.load_snapshot(run_id))
        store.append(run_id, events[: round(part * len(events))], {ref: whole.blob(ref) for ref in whole.blob_refs()})
        agree(config, RunResult(snapshot=whole.load_snapshot(run_id), store=store).benchmark)


def agree(config: StorageConfig, benchmark: BenchmarkResult) -> None:
    expected = [
        (r.dataset_id, r.case_key, r.case_id, r.metric_id, r.candidate_id, r.value, r.outcome, r.error_category)
        for r in benchmark.score_rows
    ]
    columns = "dataset_id, case_key, case_id, metric_id, candidate_id, value, outcome, error_category"
    assert sorted(map(repr, query(config, f"select {columns} from score_rows"))) == sorted(map(repr, expected))
    figures = "metric_id, planned, scored, mean, correct, incorrect, errors, not_reached"
    summary = query(config, f"select {figures} from run_summary")
    assert {row[0] for row in summary} == set(benchmark.metric_ids)
    for metric, planned, scored, mean, *outcomes in summary:
        counts = benchmark.outcome_counts[metric]
        expected_mean = benchmark.metric_means.get(metric)
        assert (planned, scored) == (sum(counts.values()), counts["correct"] + counts["incorrect"])
        assert mean == (None if expected_mean is None else pytest.approx(expected_mean))
        assert outcomes == [counts["correct"], counts["incorrect"], counts["error"], counts.get("not_reached", 0)]


COLUMNS = "metric_id, k, answers, planned, mean, pass_at_k, pass_at_scored, pass_hat_k, pass_hat_scored"


def agree_on_several_answers(config: StorageConfig, rows: Sequence[BenchmarkScoreRow]) -> None:
    assert as_estimated(query(config, f"select {COLUMNS} from several_answers"), rows)


def as_estimated(found: list[tuple[Any, ...]], rows: Sequence[BenchmarkScoreRow]) -> bool:
    engine, expected = StatsEngine(), {}
    for metric_id, whole in engine.aggregate(rows).items():
        cases = Counter(row.case_key for row in rows if row.metric_id == metric_id)
        answers = max(cases.values())
        for k in range(1, answers + 1):
            figures: list[Any] = [answers, len(cases), near(whole.mean)]
            for of_k in (engine.pass_at_k, engine.pass_hat_k):
                estimate = of_k(rows, k, metric_id=metric_id)
                figures += [near(estimate.mean), estimate.scored]
            expected[metric_id, k] = tuple(figures)
    assert {(row[0], row[1]): row[2:] for row in found} == expected
    return True


def near(figure: float | None) -> Any:
    return None if figure is None else pytest.approx(figure, abs=1e-9)


def several_answers_of(rows: Iterable[tuple[str, str, float | None]], columns: str) -> list[tuple[Any, ...]]:
    """What the view says of metrics, cases and scores."""
    view = re.search(r"^create view several_answers as.+?;$", read_schema("views.sql"), re.MULTILINE | re.DOTALL)
    assert view is not None
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table score_rows (metric_id, case_no, value, outcome, run_id, run_no)")
        made = ((*row, "error" if row[2] is None else "correct" if row[2] >= 1 else "incorrect") for row in rows)
        database.executemany("insert into score_rows values (?, ?, ?, ?, 'r', 1)", made)
        database.execute(view[0])
        return database.execute(f"select {columns} from several_answers").fetchall()


_SCORES = st.sampled_from([None, 0.0, 1.0])


@given(st.integers(1, 5).flatmap(lambda count: st.lists(st.tuples(*[_SCORES] * count), max_size=6)))
@example([(None, None, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0)])  # pass@3 of the first case is 3/4 at least
@example([(None, None, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0)])  # and pass^3 is 1/4 at most
def test_the_view_says_what_the_estimates_say_whatever_is_missing(cases: list[tuple[float | None, ...]]) -> None:
    scores = [(f"c{number}", value) for number, values in enumerate(cases) for value in values]
    rows = [
        BenchmarkScoreRow(
            case_id=case,
            dataset_id="d",
            case_key=case,
            metric_id="m",
            value=value,
            outcome="error" if value is None else "correct" if value else "incorrect",
            error_category="generation_failure" if value is None else None,
        )
        for case, value in scores
    ]
    assert as_estimated(several_answers_of((("m", case, value) for case, value in scores), COLUMNS), rows)


def test_the_chances_of_many_answers_are_exact() -> None:
    answers = ((f"m{correct}", "c", float(number < correct)) for correct in range(201) for number in range(200))
    found = several_answers_of(answers, "metric_id, k, pass_at_k, pass_hat_k")
    assert len(found) == 201 * 200
    for name, k, one, every in found:
        correct = int(name.removeprefix("m"))
        assert one == pytest.approx(pass_at_k(200, correct, k), rel=1e-12, abs=1e-12)
        assert every == pytest.approx(pass_hat_k(200, correct, k), rel=1e-12, abs=1e-300)


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
