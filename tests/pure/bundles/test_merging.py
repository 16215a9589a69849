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
    SelectionCompletedEvent,
    StepCompletedEvent,
    StepFailedEvent,
    StepStartedEvent,
)
from themis.pure.plan import CaseItem
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.scoring import Score
from themis.pure.state import CaseState, fold_case
from themis.testing.pipelines import Pipeline, pipelines

GENERATED = Pipeline(
    cases=1, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=("right",)
)
NAMES = ("run_id", "occurred_at", "case_id", "dataset_id", "case_key")


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
        (ReductionCompletedEvent, {"candidate_id": "x"}, "its candidate_id is not that of its result"),
        (ReductionCompletedEvent, {"source_candidate_ids": ["x"]}, "its source_candidate_ids is not that"),
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
        **{name: getattr(case.all[0][0], name) for name in NAMES},
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


SELECTED = attrs.evolve(GENERATED, samples=2, reducer=("right",), selector=("right",))


@pytest.mark.parametrize(
    ("chosen", "fault"),
    [
        ((), "it must choose a candidate, and none of them twice"),
        (("0-candidate-0", "0-candidate-0"), "it must choose a candidate, and none of them twice"),
        (("0-candidate-7", "x"), "no such candidates: 0-candidate-7, x"),
    ],
)
def test_a_selection_is_of_candidates_that_are_there(chosen: tuple[str, ...], fault: str) -> None:
    (case,) = cases_of(SELECTED)
    assert f"selection record of case 4:made:0: {fault}" in case.faults(
        changed(candidate_ids=chosen), SelectionCompletedEvent
    )
    assert "a selection that is missing" in case.faults(lambda event: None, SelectionCompletedEvent)
    unselected = attrs.evolve(case, run=attrs.evolve(case.run, plan=attrs.evolve(case.run.plan, selects=False)))
    assert "the run has no selector" in unselected.faults(changed(), SelectionCompletedEvent)


def test_a_candidate_has_the_seed_that_the_run_states() -> None:
    (case,) = cases_of(GENERATED)
    stated = attrs.evolve(case, run=attrs.evolve(case.run, plan=attrs.evolve(case.run.plan, seeds=(5,))))
    assert "candidate 0 has seed 5, and 6 was found" in stated.faults(changed(seed=6), GenerationCompletedEvent)
    assert not stated.faults(changed(seed=5), GenerationCompletedEvent)
    assert not case.faults(changed(seed=6), GenerationCompletedEvent)


def test_a_whole_execution_takes_the_place_of_a_part_and_never_the_reverse(case: Case) -> None:
    whole = case.state.executions["scripted/judged"]
    part = whole.evolve(status="partial_failure", aggregation_output=None)

    def with_execution(execution: EvaluationExecution) -> list[Keyed]:
        return [
            (event.evolve(execution=execution) if isinstance(event, EvaluationCompletedEvent) else event, key)
            for event, key in case.all
        ]

    has_part = case.taken(case.nothing, with_execution(part))
    assert case.taken(has_part, case.all) == case.state
    assert case.taken(case.state, with_execution(part)) == case.state
    other = whole.evolve(execution_id="another")
    assert "changes no result" in case.merge(case.state, with_execution(other)).faults[0]
    assert case.taken(has_part, with_execution(other)).executions["scripted/judged"] == other


def test_a_new_outcome_brings_its_own_answers_and_one_that_is_there_keeps_those_it_has(case: Case) -> None:
    def answered(text: str) -> Callable[[Any], Any]:
        return lambda event: event.evolve(output={**event.output, "raw_response": text})

    def with_steps(change: Callable[[Any], Any]) -> list[Keyed]:
        return [(change(event) if isinstance(event, StepCompletedEvent) else event, key) for event, key in case.all]

    def is_no_outcome(keyed: Keyed) -> bool:
        return not isinstance(keyed[0], EvaluationCompletedEvent)

    (step,) = case.state.steps
    interrupted = case.taken(case.nothing, filter(is_no_outcome, with_steps(answered("no"))))
    assert interrupted.steps[step].output["raw_response"] == "no"
    assert case.taken(interrupted, filter(is_no_outcome, case.all)) == interrupted
    assert case.taken(interrupted, case.all).steps == case.state.steps
    assert case.taken(case.state, with_steps(answered("no"))) == case.state
    lacks_answers = attrs.evolve(case.state, steps={})
    assert case.taken(lacks_answers, case.all) == case.state
    failed = StepFailedEvent(
        **{name: getattr(case.state.steps[step], name) for name in NAMES},
        **{name: getattr(case.state.steps[step], name) for name in ("workflow_id", "step_id", "step_type")},
        error_message="gone",
    )
    assert case.taken(case.state, [*case.all, (failed, None)]) == case.state
    assert case.taken(lacks_answers, [(failed, None)]).failed_steps == {step: failed}
