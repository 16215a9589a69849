"""Taking events into a run: all that it lacks, nothing twice, and nothing that does not fit it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.effects.reading import fresh_state, read_cases
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.bundles.holding import RunShape, held_events, shape_of
from themis.pure.bundles.merging import CaseMerge
from themis.pure.bundles.records import KINDS, BundleKind, Keyed
from themis.pure.events import (
    SCHEMA_VERSION,
    CaseRunEvent,
    EvaluationCompletedEvent,
    GenerationCompletedEvent,
    ParseCompletedEvent,
    ReductionCompletedEvent,
    ScoreCompletedEvent,
    StepCompletedEvent,
    StepStartedEvent,
)
from themis.pure.plan import CaseItem
from themis.pure.records.scoring import Score
from themis.pure.state import CaseState, fold_case
from themis.testing.pipelines import Pipeline, pipelines

GENERATED = Pipeline(
    cases=1, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=("right",)
)


@attrs.frozen
class Case:
    """A case of a run with its state, and what bundles hold of it."""

    run: RunShape
    item: CaseItem
    state: CaseState
    held: dict[BundleKind, list[Keyed]]

    @property
    def all(self) -> list[Keyed]:
        return self.held["evaluation"]

    def merge(self, before: CaseState, events: Iterable[Keyed], kind: BundleKind = "evaluation") -> CaseMerge:
        return CaseMerge(self.run, kind, self.item, before, [*events])

    def taken(self, before: CaseState, events: Iterable[Keyed]) -> CaseState:
        merge = self.merge(before, events)
        assert not merge.faults
        return fold_case(before, [entry.event for entry in merge.entries])

    @property
    def nothing(self) -> CaseState:
        return fresh_state(self.item)

    def faults(self, change: Callable[[Any], Any], kind: type[CaseRunEvent], before: CaseState | None = None) -> str:
        """Return what is wrong with the case's events if those of a kind are changed, or left out."""
        events = [(change(event) if isinstance(event, kind) else event, key) for event, key in self.all]
        changed = [(event, key) for event, key in events if event is not None]
        return "\n".join(self.merge(before or self.nothing, changed).faults)


def cases_of(pipeline: Pipeline) -> list[Case]:
    store = InMemoryRunStore()
    snapshot = pipeline.experiment().run(store=store).snapshot
    run = shape_of(snapshot)
    return [
        Case(run, item, state, {kind: held_events(run, item, stored, store.blob, kind) for kind in KINDS})
        for item, state in read_cases(store, snapshot)
        for stored in [[*store.case_events(snapshot.run_id, item.case_no)]]
    ]


@given(pipelines())
def test_a_run_takes_all_of_its_own_events_and_none_of_them_twice(pipeline: Pipeline) -> None:
    for case in cases_of(pipeline):
        assert case.taken(case.nothing, case.all) == case.state
        second = case.merge(case.state, case.all)
        assert (second.faults, second.entries) == ([], [])


@given(pipelines(), st.sampled_from(KINDS))
def test_what_was_taken_before_makes_no_difference(pipeline: Pipeline, kind: BundleKind) -> None:
    for case in cases_of(pipeline):
        partly = case.taken(case.nothing, case.held[kind])
        assert case.taken(partly, case.all) == case.state


@pytest.fixture(scope="module")
def case() -> Case:
    return cases_of(GENERATED)[0]


def stranger(metric_id: str) -> dict[str, Any]:
    return {"metric_id": metric_id, "score": Score(metric_id=metric_id, value=1)}


def changed(**changes: Any) -> Callable[[Any], Any]:
    return lambda event: event.evolve(**changes)


@pytest.mark.parametrize(
    ("kind", "changes", "fault"),
    [
        (CaseRunEvent, {"run_id": "0" * 64}, "it says that it is of run 0000"),
        (CaseRunEvent, {"case_id": "7"}, "generation record of case 4:made:0, candidate 0: it says .* of case '7'"),
        (CaseRunEvent, {"dataset_id": "x"}, "of dataset 'x'"),
        (CaseRunEvent, {"schema_version": SCHEMA_VERSION + 1}, f"this Themis reads up to {SCHEMA_VERSION}"),
        (CaseRunEvent, {"schema_version": 0}, "event of schema version 0"),
        (CaseRunEvent, {"event_type": "parse_failed"}, "it is no 'parse_failed'|it is no 'parse_failed'"),
        (GenerationCompletedEvent, {"candidate_index": 1}, "counted from 0"),
        (GenerationCompletedEvent, {"candidate_id": "x"}, "is named '0-candidate-0', and 'x' was found"),
        (GenerationCompletedEvent, {"result": None}, "candidate 0: it has no result"),
        (GenerationCompletedEvent, {"result_blob_ref": "0" * 64}, "its result is not what result_blob_ref .0000"),
        (ReductionCompletedEvent, {"candidate_id": "x"}, "another candidate"),
        (ReductionCompletedEvent, {"source_candidate_ids": ["x"]}, "others that it was made of"),
        (ReductionCompletedEvent, {"result": None}, "reduction record of case 4:made:0: it has no result"),
        (ParseCompletedEvent, {"candidate_id": "x"}, "the answer is '0-candidate-0', and it is of 'x'"),
        (ScoreCompletedEvent, {"candidate_id": "x"}, "the answer is '0-candidate-0', and it is of 'x'"),
        (ScoreCompletedEvent, {"metric_id": "stranger"}, "metric stranger: it is a score of 'scripted/metric0'"),
        (ScoreCompletedEvent, stranger("stranger"), "metric stranger: the run has no pure metric 'stranger'"),
        (ScoreCompletedEvent, stranger("scripted/judged"), "the run has no pure metric 'scripted/judged'"),
        (ScoreCompletedEvent, {"score": Score(metric_id="stranger", value=1)}, "metric0: it is a score of 'stranger'"),
        (EvaluationCompletedEvent, {"metric_id": "scripted/metric0"}, "no metric that judges or runs code"),
        (EvaluationCompletedEvent, {"execution": None}, "it has no execution"),
        (StepCompletedEvent, {"workflow_id": "x"}, "workflow x, step scripted/judge-0: the run has no such workflow"),
    ],
)
def test_what_an_event_says_wrongly_is_named(
    kind: type[CaseRunEvent], changes: dict[str, Any], fault: str, case: Case
) -> None:
    faults = case.faults(changed(**changes), kind)
    with pytest.raises(AssertionError, match=fault):
        raise AssertionError(faults)


def test_what_an_event_rests_on_must_be_there(case: Case) -> None:
    def without(kind: type[CaseRunEvent]) -> str:
        return case.faults(lambda event: None, kind)

    assert "candidates that are missing: 0; import the bundle of the stage before first" in without(
        GenerationCompletedEvent
    )
    assert "reduction that is missing" in without(ReductionCompletedEvent)
    assert "usable parsed answer" in without(ParseCompletedEvent)
    assert without(GenerationCompletedEvent).count("\n") == 0  # what comes after it rests on it
    assert not without(ScoreCompletedEvent)


def test_no_kind_takes_more_than_it_holds(case: Case) -> None:
    for number, kind in enumerate(KINDS):
        assert not case.merge(case.nothing, case.held[kind], kind).faults
        for earlier in KINDS[:number]:
            if case.held[kind] != case.held[earlier]:
                faults = case.merge(case.nothing, case.held[kind], earlier).faults
                assert all(f"{earlier} bundles hold no such records" in fault for fault in faults)
                assert faults
    started = StepStartedEvent(
        **{
            name: getattr(case.all[0][0], name)
            for name in ("run_id", "occurred_at", "case_id", "dataset_id", "case_key")
        },
        workflow_id="scripted/judged",
        step_id="s",
        step_type="judge_call",
    )
    assert "no 'step_started' that a bundle can hold" in case.merge(case.nothing, [(started, None)]).faults[0]


def test_a_result_that_is_there_is_not_changed(case: Case) -> None:
    (event, _), *_ = case.all
    assert isinstance(event, GenerationCompletedEvent)
    assert event.result is not None
    other, later = event.result.evolve(final_output="something else"), event.result.evolve(latency_ms=77.0)
    assert "changes no result" in case.faults(changed(result=other), GenerationCompletedEvent, case.state)
    assert not case.faults(changed(result=later), GenerationCompletedEvent, case.state)
    score = Score(metric_id="scripted/metric0", value=0.25)
    assert "changes no result" in case.faults(changed(score=score), ScoreCompletedEvent, case.state)
