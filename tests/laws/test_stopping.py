"""Stopping early is a pure function of the scores and the order of cases: no schedule, crash or store changes it.

And what comes of it: nothing beyond the stop is paid for, what was not planned counts for nothing anywhere, a run that
is finished is finished, and no score that is filled in later overturns the decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from themis import InMemoryRunStore, RunResult, RuntimeConfig, SqliteRunStore, quickcheck, verify
from themis.api.bundles.transfer import export_score_bundle, import_score_bundle
from themis.api.runs.gates import check_gates, read_gates
from themis.api.runs.report import result_data
from themis.effects.stores.jsonl import JsonlRunStore
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.results import RunStatus
from themis.pure.records.stopping import StoppingRule
from themis.pure.report.stopped import NOT_COVERED
from themis.pure.stopping import CaseOrder, Stop, case_order, order_of, stop_of, stop_program
from themis.testing.pipelines import Pipeline, ScriptedError, ScriptedGenerator, scripts

METRIC = "scripted/metric0"
DAWDLES = st.lists(st.integers(0, 9), min_size=1, max_size=7)

RULES = st.builds(
    StoppingRule,
    metric_id=st.just(METRIC),
    operator=st.sampled_from((">=", ">", "<=", "<")),
    value=st.sampled_from((0.3, 0.5, 0.8)),
    alpha=st.sampled_from((0.05, 0.3, 0.5)),
    every=st.integers(1, 13),
    seed=st.integers(0, 3),
    of=st.sampled_from(("population", "cases")),
)

PIPELINES = st.builds(
    Pipeline,
    cases=st.integers(1, 30),
    samples=st.integers(1, 2),
    generator=scripts("right", "wrong", "raise"),
    reducer=st.none() | st.just(("right",)),
    parser=st.none() | scripts("right", "null", "raise"),
    metrics=st.lists(scripts("right", "error"), min_size=1, max_size=2).map(tuple),
    judge=st.none(),
    score_range=st.just((0.0, 1.0)),
    unparsed=st.sampled_from(("incorrect", "missing")),
)


def with_rule(pipeline: Pipeline, rule: StoppingRule, dawdle: Sequence[int] = (0,), **fields: Any) -> Any:
    experiment = pipeline.experiment(dawdle, **fields)
    return experiment.evolve(evaluation=experiment.evaluation.evolve(until=rule))


def stop_at(result: RunResult) -> Stop:
    assert result.stop is not None
    return result.stop


def assert_it_counts_what_was_planned(result: RunResult) -> None:
    stop = stop_at(result)
    assert result.progress.total_cases == stop.cases == len(list(result.cases)) == result.benchmark.total_cases
    assert {row.case_key for row in result.benchmark.score_rows} == {case.case_key for case in result.cases}
    for counts in result.benchmark.outcome_counts.values():
        assert sum(counts.values()) == stop.cases * len(result.view.plan.answers)
    check = quickcheck(result.store, result.run_id)
    assert (check.total_cases, check.stop) == (stop.cases, stop)
    assert all(metric.planned == stop.cases * len(result.view.plan.answers) for metric in check.metrics)
    data = result_data(result)
    assert (data["stop"], data["digest"]) == (stop.to_dict(), result.digest)
    assert data["progress"]["total_cases"] == stop.cases
    assert [line.total_cases for line in result.store.list_runs()] == [stop.cases]


@settings(max_examples=25)
@given(PIPELINES, RULES, DAWDLES, st.sampled_from([1, 2, 7, 64]))
def test_no_schedule_moves_the_stop(pipeline: Pipeline, rule: StoppingRule, dawdle: list[int], workers: int) -> None:
    plain = with_rule(pipeline, rule, runtime=RuntimeConfig(max_concurrent_tasks=1)).run()
    other = with_rule(pipeline, rule, dawdle, runtime=RuntimeConfig(max_concurrent_tasks=workers)).run()
    assert (plain.stop, plain.digest, plain.run_id) == (other.stop, other.digest, other.run_id)
    assert_it_counts_what_was_planned(other)


@settings(max_examples=25)
@given(PIPELINES, RULES)
def test_nothing_beyond_the_stop_is_paid_for(pipeline: Pipeline, rule: StoppingRule) -> None:
    experiment = with_rule(pipeline, rule)
    result = experiment.run()
    stop, order = stop_at(result), case_order(result.snapshot, rule)
    asked = {name.rpartition("/")[0] for name in experiment.generation.generator.calls.counts}
    keys = [item.case_key for item in experiment_items(result)]
    assert asked == {keys[number] for number in order.numbers[: stop.cases]}
    assert stop.beyond == 0
    whole = with_rule(pipeline, rule).evolve(evaluation=pipeline.experiment().evaluation).run()
    assert whole.stop is None
    scores = {(row.case_key, row.candidate_id, row.metric_id): row.value for row in whole.benchmark.score_rows}
    rows = result.benchmark.score_rows
    assert all(scores[row.case_key, row.candidate_id, row.metric_id] == row.value for row in rows)


def experiment_items(result: RunResult) -> list[Any]:
    from themis.pure.plan import case_items

    return list(case_items(result.snapshot))


@settings(max_examples=10)
@given(PIPELINES, RULES, DAWDLES)
def test_no_store_moves_the_stop_and_a_finished_run_is_finished(
    tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline, rule: StoppingRule, dawdle: list[int]
) -> None:
    plain = with_rule(pipeline, rule).run()
    folder = tmp_path_factory.mktemp("s")
    for store in (SqliteRunStore(folder / "s.sqlite3"), JsonlRunStore(folder / "log")):
        with store:
            result = with_rule(pipeline, rule, dawdle).run(store=store)
            assert (result.stop, result.digest) == (plain.stop, plain.digest)
            assert_it_counts_what_was_planned(result)
            assert verify(store, result.run_id, experiment=with_rule(pipeline, rule)).verdict == "verified"
            again = with_rule(pipeline, rule)
            repeated = again.run(store=store)
            failed = {case.case_key for case in result.cases if case.generation_failures}
            asked = {name.rpartition("/")[0] for name in again.generation.generator.calls.counts}
            assert asked <= failed
            assert (repeated.stop, repeated.digest) == (result.stop, result.digest)
            plan = with_rule(pipeline, rule).plan(store=store)
            assert [stage.planned for stage in plan.stages if stage.stage == "generate"] == [
                stop_at(result).cases * pipeline.samples
            ]


@attrs.frozen
class Interrupted(ScriptedGenerator):
    """Is interrupted, as by Ctrl-C, at its Nth call."""

    at: int = 1

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        if sum(self.calls.counts.values()) + 1 == self.at:
            raise KeyboardInterrupt
        return await super().generate(case, ctx)


@settings(max_examples=25)
@given(PIPELINES, RULES, st.lists(st.integers(1, 30), min_size=1, max_size=3), st.sampled_from([1, 7]))
def test_no_interruption_moves_the_stop(
    pipeline: Pipeline, rule: StoppingRule, moments: list[int], workers: int
) -> None:
    store = InMemoryRunStore()
    plain = with_rule(pipeline, rule).run()
    runtime = RuntimeConfig(max_concurrent_tasks=workers)
    for moment in moments:
        experiment = with_rule(pipeline, rule, runtime=runtime)
        generator = Interrupted(pipeline.generator, at=moment)
        dying = experiment.evolve(generation=experiment.generation.evolve(generator=generator))
        try:
            dying.run(store=store)
        except KeyboardInterrupt:
            view = RunResult(snapshot=dying.compile(), store=store).view
            assert view.total_cases >= stop_at(plain).cases  # what is not done yet decides nothing
    result = with_rule(pipeline, rule, runtime=runtime).run(store=store)
    assert (result.stop, result.digest) == (plain.stop, plain.digest)


@settings(max_examples=30)
@given(PIPELINES, RULES, st.sets(st.integers(0, 29), min_size=1, max_size=12))
def test_a_failed_case_that_is_made_good_overturns_nothing(
    pipeline: Pipeline, rule: StoppingRule, failing: set[int]
) -> None:
    @attrs.frozen
    class Flaky(ScriptedGenerator):
        async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
            if int(case.case_id) in failing:
                raise ScriptedError("out of order")
            return await super().generate(case, ctx)

    pipeline = attrs.evolve(pipeline, generator=("right", "wrong", "right"))
    store = InMemoryRunStore()
    experiment = with_rule(pipeline, rule)
    flaky = experiment.evolve(generation=experiment.generation.evolve(generator=Flaky(pipeline.generator)))
    first = flaky.run(store=store)
    before = stop_at(first)
    mended = with_rule(pipeline, rule).run(store=store)
    after = stop_at(mended)
    if before.decision != "undecided":
        assert after.decision == before.decision
        assert after.cases <= before.cases
    clean = with_rule(pipeline, rule).run()
    assert mended.digest == clean.digest
    assert after.evolve(beyond=0) == stop_at(clean)
    assert after.beyond == max(0, before.cases - after.cases)
    assert verify(store, mended.run_id, experiment=with_rule(pipeline, rule)).verdict == "verified"


@given(
    st.lists(st.sampled_from((0.0, 1.0, None)), min_size=1, max_size=60).map(lambda part: part * 4),
    RULES,
    st.data(),
)
def test_no_completion_overturns_a_decision(
    scores: list[float | None], rule: StoppingRule, data: st.DataObject
) -> None:
    order = order_of([str(number) for number in range(len(scores))], rule)

    def bounds(values: Sequence[float | None]) -> Any:
        return lambda number: (0.0, 1.0) if values[number] is None else (values[number], values[number])

    found = stop_of(rule, (0.0, 1.0), order, bounds(scores))
    assume(found.decision != "undecided")
    whole = [score if score is not None else data.draw(st.sampled_from((0.0, 1.0))) for score in scores]
    again = stop_of(rule, (0.0, 1.0), order, bounds(whole))
    assert again.decision == found.decision
    assert again.cases <= found.cases


def decided(rule: str = "builtin/exact_match>=0.5, every=20", cases: int = 300, **fields: Any) -> RunResult:
    from themis import evaluate

    rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n), "metadata": {"topic": n % 30}} for n in range(cases)]
    return evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match", until=rule, **fields)


def test_bundles_carry_a_run_that_ended_early() -> None:
    store, other = InMemoryRunStore(), InMemoryRunStore()
    result = decided(store=store)
    assert stop_at(result).cases < 300
    import_score_bundle(other, export_score_bundle(store, result.run_id))
    there = RunResult(snapshot=other.load_snapshot(result.run_id), store=other)
    assert (there.stop, there.digest) == (result.stop, result.digest)


def test_a_gate_on_it_decides_on_the_interval_that_is_valid_at_the_stop() -> None:
    result = decided()
    assert result.status is RunStatus.COMPLETED
    (gate,) = check_gates(read_gates(["exact_match>=0.5"], "interval", ["builtin/exact_match"]), result)
    assert gate.passed
    assert "valid at any stop" in gate.reason
    assert result.estimate()["builtin/exact_match"].interval == stop_at(result).interval


def test_a_figure_whose_interval_does_not_cover_the_stop_passes_no_gate() -> None:
    result = decided(samples=2)
    gates = read_gates(["exact_match:pass@2>=0.1", "exact_match:pass@2>=0.1"], "interval", ["builtin/exact_match"], 2)
    assert not any(gate.passed for gate in check_gates(gates, result))
    groups = result.by_group("topic")["builtin/exact_match"]
    with_interval = [group.estimate for group in groups.groups if group.estimate.interval.defined]
    assert with_interval
    assert all(NOT_COVERED in estimate.warnings for estimate in with_interval)


def test_clusters_stay_together() -> None:
    result = decided("exact_match>=0.5, every=20, cluster_by=topic")
    stop = stop_at(result)
    rule = result.snapshot.identity.until
    assert rule is not None
    order = case_order(result.snapshot, rule)
    assert sorted(order.numbers) == list(range(300))
    assert all(len({number % 30 for number in unit}) == 1 for unit in order.units())
    assert stop.cases % 10 == 0
    assert result.estimate()["builtin/exact_match"].clusters == stop.cases // 10


def test_verify_finds_a_stop_that_does_not_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    import themis.effects.engine as engine

    store, right, stop = InMemoryRunStore(), stop_program, stop_at(decided())

    def early(*args: Any) -> Any:
        """As if the run had been ended by hand after its first block."""
        yield next(right(*args))
        return stop.evolve(cases=20)

    monkeypatch.setattr(engine, "stop_program", early)
    result = decided("builtin/exact_match>=0.74, every=20", store=store)
    found = verify(store, result.run_id)
    assert found.verdict == "not verified"
    assert found.altered == ("stop: by its scores the run ends after 300 cases, and its last event says after 20",)
    assert found.differences


def test_the_order_is_that_of_the_seed_and_of_nothing_else() -> None:
    rule = StoppingRule(metric_id="m", value=0.5)
    keys = [f"1:d:{number}" for number in range(50)]
    order = order_of(keys, rule)
    assert sorted(order.numbers) == list(range(50))
    assert order.numbers != order_of(keys, rule.evolve(seed=1)).numbers
    turned = order_of(keys[::-1], rule)
    assert [keys[::-1][number] for number in turned.numbers] == [keys[number] for number in order.numbers]
    assert order.numbers[:8] == [7, 30, 47, 19, 14, 21, 27, 35]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.integers(1, 12))
def test_blocks_are_of_whole_clusters_and_no_longer_than_they_must_be(sizes: list[int], every: int) -> None:
    order = CaseOrder(list(range(sum(sizes))), sizes)
    blocks = list(order.blocks(every))
    assert [number for block in blocks for unit in block for number in unit] == list(range(sum(sizes)))
    for block in blocks[:-1]:
        held = sum(map(len, block))
        assert held >= every > held - len(block[-1])


def test_a_rule_of_another_order_is_refused_and_not_misread(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this Themis knows 'themis/1'"):
        order_of(["a"], StoppingRule(metric_id="m", value=0.5, order="themis/9"))
