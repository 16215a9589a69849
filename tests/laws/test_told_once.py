"""Law 12: engine, recorded driver and a driver by hand make the same events of the same programs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import trio
from hypothesis import example, given
from returns.result import Failure, Success

from themis import InMemoryRunStore, RuntimeConfig
from themis.effects.reading import read_case_events
from themis.planner import (
    Answer,
    Ask,
    CaseItem,
    CaseState,
    Execute,
    Keep,
    Program,
    Run,
    Tell,
    Together,
    carry_out,
    fold_case,
    from_record,
    new_state,
    next_steps,
    planned_run,
    unanswered,
)
from themis.pure.chain import read_event
from themis.pure.events import CaseRunEvent, ScoreFailedEvent
from themis.pure.json import encode
from themis.pure.pipeline.effects import PAID
from themis.pure.pipeline.failures import failure_of
from themis.testing.pipelines import Pipeline, ScriptedSandbox, scripted_result, whole_pipelines

ONE_TRY = RuntimeConfig(generation_retry_attempts=1, judge_retry_attempts=1)


@pytest.fixture(autouse=True)
def _sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("themis.effects.driver", "themis.api.experiment.run"):
        monkeypatch.setattr(f"{module}.open_sandbox", ScriptedSandbox)


def told(event: CaseRunEvent) -> bytes:
    """Return an event as bytes, without its circumstances: times, attempts, and where a traceback went through."""
    data = event.to_dict()
    for name in ("occurred_at", "retry_history", "traceback_digest", "retryable", "provider_key"):
        data.pop(name, None)
    if isinstance(event, ScoreFailedEvent):
        data["error"]["details"].pop("traceback_digest", None)
    result, execution = data.get("result"), data.get("execution")
    if isinstance(result, dict):
        result.pop("latency_ms", None)  # a scripted generator counts its calls there
    for failure in execution["failures"] if execution else ():
        failure.pop("retry_history")
    return encode(data)


def drive(program: Program[Any], kept: list[CaseRunEvent]) -> Any:
    """Drive a program by hand: everything asked is asked, nothing is recalled, and one thing is done at a time."""
    answer: Any = None
    while True:
        try:
            effect = program.send(answer)
        except StopIteration as done:
            return done.value
        answer = None
        if isinstance(effect, Ask):
            answer = ask(effect)
        elif isinstance(effect, Execute):
            answer = scripted_result(effect.request)
        elif isinstance(effect, Together):
            answer = tuple(drive(part, kept) for part in effect.programs)
        elif isinstance(effect, Keep):
            _note(kept, effect)
        else:
            assert not isinstance(effect, Tell)


def ask(effect: Ask) -> Any:
    async def call() -> Any:
        return await effect.method(*effect.args, **effect.keywords)

    try:
        return Success(Answer(trio.run(call)))
    except Exception as error:
        return Failure(failure_of(effect.of.component_id, error))


def fresh(item: CaseItem) -> CaseState:
    return new_state(item.case.case_id, item.dataset_id, item.case_key)


def by_case(pipeline: Pipeline) -> Iterator[tuple[Run, CaseItem, list[CaseRunEvent]]]:
    """Run a pipeline with the engine; yield each case with its events."""
    experiment, store = pipeline.experiment([2, 0, 5], runtime=ONE_TRY), InMemoryRunStore()
    result = experiment.run(store=store)
    run = planned_run(result.snapshot, experiment.components())
    for item, events in read_case_events(store, result.snapshot):
        yield run, item, [event for event in events if isinstance(event, CaseRunEvent)]


EVERYTHING = Pipeline(
    cases=8,
    samples=3,
    generator=("right", "wrong", "right", "right", "right", "raise"),
    reducer=("right", "right", "raise"),
    parser=("right", "right", "right", "raise"),
    metrics=(("right", "error"),),
    judge=("right", "wrong", "raise"),
    repeats=3,
    selector=("right", "first", "raise"),
    execution=("right", "error"),
)


@given(whole_pipelines())
@example(EVERYTHING)
@example(attrs.evolve(EVERYTHING, selector=None, judges_selection=True))
def test_a_driver_by_hand_makes_the_engines_events(pipeline: Pipeline) -> None:
    for run, item, events in by_case(pipeline):
        kept: list[CaseRunEvent] = []
        state = drive(carry_out(run, item, fresh(item)), kept)
        assert not next_steps(run.plan, state)  # one pass over the table leaves nothing that the table would offer
        assert sorted(map(told, kept)) == sorted(map(told, events))
        assert set(state.scores) == set(fold_case(fresh(item), events).scores)


@given(whole_pipelines())
@example(EVERYTHING)
@example(attrs.evolve(EVERYTHING, selector=None, judges_selection=True))
def test_the_recorded_driver_makes_the_engines_events(pipeline: Pipeline) -> None:
    for run, item, events in by_case(pipeline):
        kept: list[CaseRunEvent] = []
        note = functools.partial(_note, kept)
        program = from_record(carry_out(run, item, fresh(item)), fold_case(fresh(item), events), note)
        # What the recorded driver passes on costs nothing: selectors and reducers that have to be awaited.
        drive(_unpaid(program), kept)
        assert sorted(map(told, kept)) == sorted(map(told, events))


def _note(kept: list[CaseRunEvent], keep: Keep) -> None:
    assert isinstance(keep.event, CaseRunEvent)
    kept.append(keep.event)


def _unpaid(program: Program[Any]) -> Program[Any]:
    answer: Any = None
    while True:
        try:
            effect = program.send(answer)
        except StopIteration as done:
            return done.value
        assert isinstance(effect, Ask)
        assert effect.stage not in PAID
        answer = yield effect


@given(whole_pipelines())
def test_what_a_plan_says_is_asked_is_what_the_engine_asks(pipeline: Pipeline) -> None:
    experiment, store = pipeline.experiment(runtime=ONE_TRY), InMemoryRunStore()
    result = experiment.run(store=store)
    run = planned_run(result.snapshot, experiment.components())
    asked: dict[tuple[int | None, int], str] = {}
    for item, _ in read_case_events(store, result.snapshot):
        for effect in unanswered(run, item, fresh(item)):
            asked[item.case_no, effect.args[1].candidate_index] = effect.key
    generated = [event for event in store.events(result.run_id) if event.event_type == "generation_completed"]
    for stored in generated:
        event: Any = read_event(stored, store.blob)
        assert asked[stored.case_no, event.candidate_index] == stored.cache_key
    assert len(asked) == pipeline.cases * pipeline.samples


def test_every_kind_of_event_comes_up() -> None:
    seen: set[str] = set()
    for selector, judges in ((("right", "raise"), False), (None, True)):
        for reducer in (("right", "raise"), ("right",)):
            pipeline = Pipeline(
                cases=12,
                samples=2,
                generator=("right",) * 9 + ("raise",),
                reducer=reducer,
                parser=("right", "right", "right", "raise"),
                metrics=(("right", "error"),),
                judge=("right", "wrong", "raise"),
                selector=selector,
                judges_selection=judges,
                execution=("right", "raise"),
            )
            for _, _, events in by_case(pipeline):
                seen |= {event.event_type for event in events}
    stages = ("generation", "selection", "reduction", "parse", "score", "evaluation", "step")
    assert seen == {f"{stage}_{end}" for stage in stages for end in ("completed", "failed")}
