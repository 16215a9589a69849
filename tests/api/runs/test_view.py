"""The reader of runs: its fast passes say what the fold says, and a run's status is decided in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import InMemoryRunStore
from themis.api.runs.inspect import get_execution_state, quickcheck
from themis.api.runs.view import RunView
from themis.core import GenerationResult, SelectContext
from themis.effects.reading import stored_cases
from themis.pure.chain import Entry, link_all, read_event
from themis.pure.events import ParseCompletedEvent
from themis.pure.happy_path import happy_path_rows
from themis.pure.pipeline.table import happy_path
from themis.pure.projections import benchmark_result, score_rows
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.results import BenchmarkScoreRow, RunStatus
from themis.pure.records.stored import ChainHead
from themis.pure.state import has_failures, status_of
from themis.testing.pipelines import BEHAVIOURS, Pipeline, pick, pipelines

USUAL = Pipeline(
    cases=4,
    samples=3,
    generator=("right", "wrong"),
    reducer=("right",),
    parser=("right",),
    metrics=(("right",), ("right",)),
    judge=None,
)


@attrs.frozen
class Selector:
    """Takes all candidates but the first, or fails by script."""

    script: tuple[str, ...] = ("right",)
    component_id: str = "scripted/selector"
    version: str = "1"

    def fingerprint(self) -> str:
        return "selector " + ",".join(self.script)

    def select(self, candidates: Sequence[GenerationResult], ctx: SelectContext) -> list[GenerationResult]:
        if pick(self.script, ctx.case_id) == "raise":
            raise ValueError("cannot select")
        return list(candidates[1:]) or list(candidates)


def experiment(pipeline: Pipeline, selector: Selector | None) -> Any:
    made = pipeline.experiment()
    return made.evolve(generation=made.generation.evolve(selector=selector))


selectors = st.none() | st.builds(Selector, st.sampled_from([("right",), ("right", "raise")]))
stories = st.lists(st.sampled_from(["generate", "parse", "judge", "again: reduce", "again: score"]), max_size=2)


@given(pipelines(), st.booleans(), selectors, stories)
def test_rows_read_off_events_are_those_of_the_fold(
    pipeline: Pipeline, judged: bool, selector: Selector | None, story: list[str]
) -> None:
    pipeline = pipeline if judged else attrs.evolve(pipeline, judge=None)
    store = InMemoryRunStore()
    made = experiment(pipeline, selector)
    result = made.run(store=store)
    for chapter in story:
        again, _, stage = chapter.rpartition(": ")
        if not again:
            result = made.run(store=store, until_stage=stage)
        elif not any(case.generation_failures for case in result.cases):
            result = made.replay(store=store, stage=stage)
    view = RunView.of(store, result.run_id)
    folded = [
        (item, tuple(score_rows(view.plan, state, view.thresholds)), has_failures(state))
        for item, state in view.cases()
    ]
    assert [(case.item, tuple(case.rows), case.failed) for case in view.scored()] == folded
    states = [state for _, state in view.cases()]
    expected = benchmark_result(view.run_id, view.plan, view.dataset_ids, states, view.thresholds)
    assert result.benchmark == expected
    assert result.status == quickcheck(store, result.run_id).status == view.status(lambda: any_errors(folded))


def any_errors(folded: list[Any]) -> bool:
    return any(
        failed or any(row.outcome == "error" and not is_unparsed(row) for row in rows) for _, rows, failed in folded
    )


def is_unparsed(row: BenchmarkScoreRow) -> bool:
    return str(row.error_category).startswith("parse")


@given(st.sampled_from([1, 3]), selectors.filter(lambda s: s is None or "raise" not in s.script), st.integers(0, 2))
def test_a_case_that_went_through_at_once_has_the_events_of_the_happy_path(
    samples: int, selector: Selector | None, metrics: int
) -> None:
    pipeline = attrs.evolve(USUAL, samples=samples, metrics=(("right",),) * metrics)
    store = InMemoryRunStore()
    view = RunView.of(store, experiment(pipeline, selector).run(store=store).run_id)
    usual = happy_path(view.plan)
    for item, stored in stored_cases(store, view.snapshot):
        assert tuple(event.event_type for event in stored) == usual
        assert happy_path_rows(item, stored, view.metrics, view.thresholds, usual) is not None  # or it is slow


@pytest.mark.parametrize("stage", ["generator", "reducer", "parser", "metrics"])
@pytest.mark.parametrize("behaviour", [each for each in BEHAVIOURS if each not in ("right", "wrong")])
def test_a_case_that_did_not_is_left_to_the_fold(stage: str, behaviour: str) -> None:
    script = (behaviour,)
    store = InMemoryRunStore()
    changes: Any = {stage: (script, script) if stage == "metrics" else script}
    made = attrs.evolve(USUAL, **changes).experiment()
    view = RunView.of(store, made.run(store=store).run_id)
    usual = happy_path(view.plan)
    for (item, stored), (_, state) in zip(stored_cases(store, view.snapshot), view.cases(), strict=True):
        expected = list(score_rows(view.plan, state, view.thresholds))
        found = happy_path_rows(item, stored, view.metrics, view.thresholds, usual)
        assert (
            found == expected
            if found is not None
            else tuple(e.event_type for e in stored) != usual or (state.parsed is not None and not state.parsed.usable)
        )


@pytest.mark.parametrize("answer", [{"value": None}, {"value": "x", "metadata": {"invalid": True}}])
def test_a_score_of_an_answer_that_is_unusable_is_left_to_the_fold(answer: Any) -> None:
    store = InMemoryRunStore()
    pipeline = attrs.evolve(USUAL, samples=1, cases=1, metrics=(("right",),))
    view = RunView.of(store, pipeline.experiment().run(store=store).run_id)
    (item, stored), *_ = stored_cases(store, view.snapshot)
    events = [read_event(event, store.blob) for event in stored]
    changed = [
        event.evolve(result=ParsedOutput(**answer)) if isinstance(event, ParseCompletedEvent) else event
        for event in events
    ]
    entries, *_ = link_all(ChainHead(), [Entry(0, event) for event in changed])
    usual = happy_path(view.plan)
    assert happy_path_rows(item, stored, view.metrics, view.thresholds, usual) is not None
    assert happy_path_rows(item, entries, view.metrics, view.thresholds, usual) is None


def test_runs_that_judge_have_no_happy_path() -> None:
    store = InMemoryRunStore()
    judged = attrs.evolve(USUAL, judge=("right",)).experiment()
    assert happy_path(RunView.of(store, judged.run(store=store).run_id).plan) == ()


def test_the_status_of_a_run_follows_from_its_last_event_and_its_failed_cases() -> None:
    def failed() -> bool:
        return True

    assert status_of(None) is RunStatus.PENDING
    assert status_of("run_started", failed) is RunStatus.RUNNING
    assert status_of("score_completed") is RunStatus.RUNNING
    assert status_of("run_failed", failed) is RunStatus.FAILED
    assert status_of("run_completed") is RunStatus.COMPLETED
    assert status_of("run_completed", failed) is RunStatus.PARTIAL_FAILURE


@given(pipelines())
def test_state_listing_and_result_agree_on_the_status(pipeline: Pipeline) -> None:
    store = InMemoryRunStore()
    made = pipeline.experiment()
    store.persist_snapshot(made.compile())
    (line,) = store.list_runs()
    assert line.status == get_execution_state(store, line.run_id).status == quickcheck(store, line.run_id).status
    result = made.run(store=store)
    (line,) = store.list_runs()
    state = get_execution_state(store, line.run_id)
    failed = any(has_failures(case) for case in state.case_states.values())
    assert state.status is status_of("run_completed", lambda: failed)
    assert line.status == status_of("run_completed")
    assert failed <= (result.status is RunStatus.PARTIAL_FAILURE)
