"""Folding: from events to the state of a case, and of a run.

`apply` takes one event in, `fold` all of them, in time linear in their number. State holds what happened; what comes
next is decided in `pipeline/table.py`. Where a run stands (`status_of`) and whether a case has failed (`has_failures`)
is decided here, at the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

import attrs

from themis.pure.errors import NoAnswerError
from themis.pure.events import (
    CaseRunEvent,
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    FailedEvent,
    GenerationCompletedEvent,
    GenerationFailedEvent,
    LabelGivenEvent,
    ParseCompletedEvent,
    ParseFailedEvent,
    ReductionCompletedEvent,
    ReductionFailedEvent,
    RunEvent,
    ScoreCompletedEvent,
    ScoreFailedEvent,
    SelectionCompletedEvent,
    SelectionFailedEvent,
    StepCompletedEvent,
    StepEvent,
    StepFailedEvent,
)
from themis.pure.json import EMPTY, JSONValue, decode, encode
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.results import RunStatus
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.records.snapshot import RunSnapshot

_NONE: Final[Mapping[Any, Any]] = EMPTY
_Change: TypeAlias = "Callable[[CaseState, Any], CaseState]"


@attrs.frozen(slots=False)
class CaseState:
    """Everything that has happened to a case so far; mappings are by candidate index or metric id.

    `answers` are those of its candidates, by their ids, where each of them is an answer of its own. An answer's state
    is that of a case which has this candidate alone; the case itself has no reduced or parsed answer then.

    Without slots, for then a changed copy is a copied dict: it is made for every event. Therefore it declares the
    fields of `CaseName` itself: inherited, they would be slots.
    """

    case_id: str
    dataset_id: str
    case_key: str
    candidates: Mapping[int, GenerationResult] = _NONE
    generation_failures: Mapping[int, GenerationFailedEvent] = _NONE
    selection: SelectionCompletedEvent | None = None
    selection_failure: SelectionFailedEvent | None = None
    reduced: ReducedCandidate | None = None
    reduction_failure: ReductionFailedEvent | None = None
    parsed: ParsedOutput | None = None
    parser_id: str | None = None
    parse_failure: ParseFailedEvent | None = None
    scores: Mapping[str, Score] = _NONE
    score_failures: Mapping[str, ScoreError] = _NONE
    executions: Mapping[str, EvaluationExecution] = _NONE
    evaluation_failures: Mapping[str, EvaluationFailedEvent] = _NONE
    steps: Mapping[str, StepCompletedEvent] = _NONE
    failed_steps: Mapping[str, StepFailedEvent] = _NONE
    answers: Mapping[str, CaseState] = _NONE
    labels: Mapping[str, LabelGivenEvent] = _NONE

    def without_failures(self) -> CaseState:
        """Return the state as a new attempt finds it: what failed is to be tried again."""
        completed = {metric: e for metric, e in self.executions.items() if e.status == "completed"}
        answers = {name: answer.without_failures() for name, answer in self.answers.items()}
        return changed(self, **_FAILURES, failed_steps=_NONE, executions=completed, answers=answers)


_OF_STAGE: Final[Mapping[str, Mapping[str, Any]]] = {
    "generate": {"candidates": _NONE, "generation_failures": _NONE},
    "select": {"selection": None, "selection_failure": None},
    "reduce": {"reduced": None, "reduction_failure": None},
    "parse": {"parsed": None, "parser_id": None, "parse_failure": None, "answers": _NONE},
    "score": {"scores": _NONE, "score_failures": _NONE, "executions": _NONE, "evaluation_failures": _NONE},
}
"""What a state holds of each stage, as it is before the stage; stages `score` and `judge` go by metric, in one."""
_FROM: Final[Mapping[str, Mapping[str, Any]]] = {
    stage: {name: empty for fields in [*_OF_STAGE.values()][number:] for name, empty in fields.items()}
    for number, stage in enumerate(_OF_STAGE)
}
_FAILURES: Final[Mapping[str, Any]] = {
    name: empty for name, empty in _FROM["generate"].items() if name.endswith(("_failure", "_failures"))
}
_AFTER: Final = dict(itertools.pairwise(_OF_STAGE))
_FLAWS: Final = tuple(name for name in _FAILURES if name not in ("parse_failure", "reduction_failure"))
"""The failures that are always the run's: an answer that can't be read is the model's."""


def without_stages(state: CaseState, first: str = "", *, after: str = "") -> CaseState:
    """Return the state without what a stage and all later ones made: an outcome holds only for what it was made from.

    Args:
        state: the state.
        first: the first stage to forget, or ...
        after: ... the stage after which to forget everything.
    """
    return changed(state, **_FROM[first or _AFTER[after]])


def changed(state: CaseState, **changes: Any) -> CaseState:
    """Return a copy with changes: what `attrs.evolve` does, at a tenth of its cost."""
    copy = object.__new__(CaseState)
    copy.__dict__.update(state.__dict__, **changes)
    return copy


def new_state(case_id: str, dataset_id: str, case_key: str) -> CaseState:
    """Return the state of a case that nothing has happened to."""
    return changed(_UNTOUCHED, case_id=case_id, dataset_id=dataset_id, case_key=case_key)


_UNTOUCHED: Final = CaseState("", "", "")


def apply(state: CaseState, event: RunEvent) -> CaseState:
    """Return the state after an event. An event that changes no case state leaves it as it is."""
    change = _CHANGES.get(type(event))
    return state if change is None else change(state, event)


def candidates_of(state: CaseState) -> tuple[GenerationResult, ...]:
    """Return a case's candidates in the order of their indices."""
    if len(state.candidates) == 1:
        return tuple(state.candidates.values())
    return tuple(state.candidates[index] for index in sorted(state.candidates))


def answer_state(state: CaseState, index: int | None) -> CaseState:
    """Return the state of one of a case's answers: the case as it is with this candidate alone.

    Args:
        state: the case's.
        index: the candidate's; the case itself for `None`.
    """
    if index is None:
        return state
    candidate, failure = state.candidates.get(index), state.generation_failures.get(index)
    if candidate is None or failure is not None:  # what there was of a candidate that failed can't be trusted any more
        failures = {} if failure is None else {index: failure}
        return changed(new_state(*_name(state)), generation_failures=failures)
    answer = state.answers.get(candidate.candidate_id) or _unread(state, index)
    return changed(answer, steps=state.steps, failed_steps=state.failed_steps)


def _unread(state: CaseState, index: int) -> CaseState:
    """Return an answer's state when there is nothing but its candidate."""
    candidate = state.candidates[index]
    return changed(new_state(*_name(state)), candidates={index: candidate}, reduced=as_reduced(candidate))


def _name(state: CaseState) -> tuple[str, str, str]:
    return state.case_id, state.dataset_id, state.case_key


def seen_by(state: CaseState, event: CaseRunEvent) -> CaseState:
    """Return the state that holds what an event tells: that of the answer it names, if that is there, or the case's."""
    of_case = isinstance(event, GenerationCompletedEvent | GenerationFailedEvent | StepEvent | LabelGivenEvent)
    name = None if of_case else getattr(event, "candidate_id", None)
    return state.answers.get(name, state) if name is not None else state


def as_reduced(candidate: GenerationResult) -> ReducedCandidate:
    """Return a candidate that is an answer by itself."""
    return ReducedCandidate(
        candidate_id=candidate.candidate_id,
        source_candidate_ids=(candidate.candidate_id,),
        final_output=candidate.final_output,
    )


def answering_candidate(state: CaseState) -> GenerationResult:
    """Return the answer as it was generated: the candidate reduced to, or one that carries the reduced output."""
    reduced = state.reduced
    assert reduced is not None  # what reads an answer comes after reduction
    for candidate in candidates_of(state):
        if candidate.candidate_id == reduced.candidate_id and candidate.final_output == reduced.final_output:
            return candidate
    return GenerationResult(candidate_id=reduced.candidate_id, final_output=reduced.final_output)


def selected_ids(state: CaseState) -> tuple[str, ...] | None:
    """Return the ids of the selected candidates, best first; `None` where nothing was selected."""
    return None if state.selection is None else state.selection.candidate_ids


def reduction_problem(state: CaseState) -> FailedEvent | None:
    """Return the failure that keeps the candidates from being one answer."""
    return state.selection_failure or state.reduction_failure


def is_without_answer(failure: FailedEvent) -> bool:
    """Tell whether a reduction failed since no candidate holds an answer."""
    return failure.error_type == NoAnswerError.__name__


def recorded_outputs(
    state: CaseState, workflow_id: str, step_type: str, candidate_id: str | None = None
) -> Iterator[tuple[str, Mapping[str, JSONValue]]]:
    """Yield the stored outputs of a workflow's steps, with the steps' ids; of several answers, for one of them."""
    wanted = (workflow_id, step_type, candidate_id)
    for event in state.steps.values():
        if (event.workflow_id, event.step_type, event.candidate_id) == wanted:
            yield event.step_id, event.output


def _put(mapping: Mapping[Any, Any], key: object, value: object) -> Mapping[Any, Any]:
    return {**mapping, key: value}


def _without(mapping: Mapping[Any, Any], key: object) -> Mapping[Any, Any]:
    return {k: v for k, v in mapping.items() if k != key} if key in mapping else mapping


def _generated(state: CaseState, event: GenerationCompletedEvent) -> CaseState:
    index = event.candidate_index
    if index in state.candidates and state.candidates[index] != event.result:
        others = _without(state.answers, event.candidate_id)
        state = changed(without_stages(state, after="generate"), answers=others)
    return changed(
        state,
        candidates=_put(state.candidates, index, event.result),
        generation_failures=_without(state.generation_failures, index),
    )


def _selected(state: CaseState, event: SelectionCompletedEvent) -> CaseState:
    if state.selection is not None and state.selection.candidate_ids != event.candidate_ids:
        state = without_stages(state, after="select")
    return changed(state, selection=event, selection_failure=None)


def _reduced(state: CaseState, event: ReductionCompletedEvent) -> CaseState:
    if state.reduced is not None and state.reduced != event.result:
        state = without_stages(state, after="reduce")
    return changed(state, reduced=event.result, reduction_failure=None)


def _parsed(state: CaseState, event: ParseCompletedEvent) -> CaseState:
    if state.parsed is not None and state.parsed != event.result:
        state = without_stages(state, after="parse")
    return changed(state, parsed=event.result, parser_id=event.parser_id, parse_failure=None)


def _of_answer(change: _Change) -> _Change:
    """Return a change that is made to the answer which an event names, where a case's candidates are answers.

    They are if the event's candidate is one of them and nothing was reduced: an event of a case's one answer comes
    after its reduction.
    """

    def routed(state: CaseState, event: Any) -> CaseState:
        if state.reduced is not None:
            return change(state, event)
        name = event.candidate_id
        for index, candidate in state.candidates.items():
            if candidate.candidate_id == name:
                answer = state.answers.get(name) or _unread(state, index)
                return changed(state, answers=_put(state.answers, name, change(answer, event)))
        return change(state, event)

    return routed


def _of_metric(into: str, out_of: str, value_of: Callable[[Any], object]) -> _Change:
    """Return the change that an outcome of a metric makes: put into one mapping, and taken out of its opposite."""

    def change(state: CaseState, event: Any) -> CaseState:
        metric, held = event.metric_id, state.__dict__
        now = {into: _put(held[into], metric, value_of(event)), out_of: _without(held[out_of], metric)}
        return changed(state, **now)

    return _of_answer(change)


def step_key(workflow_id: str, step_id: str, candidate_id: str | None = None) -> str:
    """Name a step of a workflow within a case; of several answers, the step about one of them."""
    return f"{workflow_id}/{step_id}" if candidate_id is None else f"{workflow_id}/{step_id}/{candidate_id}"


def _stepped(state: CaseState, event: StepCompletedEvent) -> CaseState:
    key = step_key(event.workflow_id, event.step_id, event.candidate_id)
    return changed(state, steps=_put(state.steps, key, event), failed_steps=_without(state.failed_steps, key))


def _step_failed(state: CaseState, event: StepFailedEvent) -> CaseState:
    key = step_key(event.workflow_id, event.step_id, event.candidate_id)
    return changed(state, failed_steps=_put(state.failed_steps, key, event))


def _labelled(state: CaseState, event: LabelGivenEvent) -> CaseState:
    key = encode([event.who, event.metric_id, event.candidate_id]).decode()
    return changed(state, labels=_put(state.labels, key, event))


# Each stage's result is made from those before it. So a result that differs from the one there was takes what later
# stages made of that one with it (`without_stages(after=...)`); the same result again changes nothing. And a stage that
# fails when it is done again takes its own earlier result with it too: what there was can't be trusted any more.
_CHANGES: Final[Mapping[type, _Change]] = {
    GenerationCompletedEvent: _generated,
    GenerationFailedEvent: lambda state, event: changed(
        state, generation_failures=_put(state.generation_failures, event.candidate_index, event)
    ),
    SelectionCompletedEvent: _selected,
    SelectionFailedEvent: lambda state, event: changed(without_stages(state, "select"), selection_failure=event),
    ReductionCompletedEvent: _reduced,
    ReductionFailedEvent: lambda state, event: changed(without_stages(state, "reduce"), reduction_failure=event),
    ParseCompletedEvent: _of_answer(_parsed),
    ParseFailedEvent: _of_answer(lambda state, event: changed(without_stages(state, "parse"), parse_failure=event)),
    ScoreCompletedEvent: _of_metric("scores", "score_failures", lambda event: event.score),
    ScoreFailedEvent: _of_metric("score_failures", "scores", lambda event: event.error),
    EvaluationCompletedEvent: _of_metric("executions", "evaluation_failures", lambda event: event.execution),
    EvaluationFailedEvent: _of_metric("evaluation_failures", "executions", lambda event: event),
    StepCompletedEvent: _stepped,
    StepFailedEvent: _step_failed,
    LabelGivenEvent: _labelled,
}


# --- the whole run ----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ExecutionState(HashableModel):
    """The state of a whole run: for inspection, and for runs that fit into memory."""

    run_id: str
    status: RunStatus = RunStatus.PENDING
    completed_through_stage: str | None = None
    error_message: str | None = None
    case_states: Mapping[str, CaseState] = _NONE

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data; candidates are keyed by their index as text, as JSON wants it."""
        cases = {key: _case_data(case) for key, case in self.case_states.items()}
        return {**super(ExecutionState, self.evolve(case_states=_NONE)).to_dict(), "case_states": cases}


def _case_data(case: CaseState) -> dict[str, Any]:
    textual = {
        name: {str(index): item for index, item in getattr(case, name).items()}
        for name in ("candidates", "generation_failures")
    }
    answers = {name: _case_data(answer) for name, answer in case.answers.items()}
    data: dict[str, Any] = decode(encode(attrs.evolve(case, **cast(Any, textual), answers=_NONE)))
    return {**data, "answers": answers}


def status_of(
    last_event: str | None, has_failures: Callable[[], object] = bool, is_interrupted: Callable[[], object] = bool
) -> RunStatus:
    """Return the status of a run.

    Args:
        last_event: the type of its last event, `None` if there is none. Events of cases may be left out: a run that
            has begun and not ended is running.
        has_failures: called if the run was completed: whether a step of a case failed. A listing, which reads no
            cases, leaves it out, and takes it that none did.
        is_interrupted: called if the run has begun and not ended: whether nobody writes it any more. That is for its
            store to say; without it, the run is taken to be running.
    """
    if last_event == "run_completed":
        return RunStatus.PARTIAL_FAILURE if has_failures() else RunStatus.COMPLETED
    if last_event == "run_failed":
        return RunStatus.FAILED
    if not last_event:
        return RunStatus.PENDING
    return RunStatus.INTERRUPTED if is_interrupted() else RunStatus.RUNNING


def fold(run_id: str, events: Iterable[RunEvent]) -> ExecutionState:
    """Fold a run's events, in order, into its state; linear in their number."""
    last, stage, problem = None, None, None
    cases: dict[str, CaseState] = {}
    for event in events:
        if isinstance(event, CaseRunEvent):
            key = event.case_key
            cases[key] = apply(cases.get(key) or new_state(event.case_id, event.dataset_id, key), event)
            continue
        last, problem = event.event_type, getattr(event, "error_message", None)
        stage = getattr(event, "completed_through_stage", stage)
    return ExecutionState(
        run_id=run_id,
        status=status_of(last, lambda: any(map(has_failures, cases.values()))),
        completed_through_stage=stage,
        error_message=problem,
        case_states=cases,
    )


def fold_case(state: CaseState, events: Iterable[RunEvent]) -> CaseState:
    """Fold one case's events, in order, into its state."""
    for event in events:
        state = apply(state, event)
    return state


def has_failures(state: CaseState) -> bool:
    """Tell whether a step of the case failed and was not made good since; an answer that can't be read did not."""
    held = state.__dict__
    for name in _FLAWS:  # a loop, for it is asked of every case
        if held[name]:
            return True
    if state.reduction_failure is not None and not is_without_answer(state.reduction_failure):
        return True
    if state.executions and any(execution.status != "completed" for execution in state.executions.values()):
        return True
    return bool(state.answers) and any(map(has_failures, state.answers.values()))


@attrs.frozen(kw_only=True)
class StoredRun(HashableModel):
    """A run as read back from a store: its snapshot and all of its events."""

    snapshot: RunSnapshot
    events: tuple[RunEvent, ...] = attrs.field(converter=sequence)

    @property
    def execution_state(self) -> ExecutionState:
        """The state that the events fold into."""
        return fold(self.snapshot.run_id, self.events)
