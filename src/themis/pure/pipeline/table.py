"""THE stage table: for the state of a case, which steps come next, and what each stage is.

No other module decides what comes next. A row says of its stage what it consumes, which events it makes, what its steps
are and what the state holds of each, which program does a step, and whatever else differs between stages. Engine,
replay, verification, planning and the documentation read the rows.

A stage is reached when everything before it is settled, and blocked by any failure before it. The exceptions are told
here: candidates of one case don't block each other, and neither do metrics. Where every candidate is an answer of its
own (`RunPlan.answers`), the steps from `parse` on are there once for each answer, and see of the case what belongs to
it (`state.answer_state`): answers don't block each other either.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis._stages import STAGE_ORDER, Stage
from themis.pure.events import (
    CaseRunEvent,
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    GenerationCompletedEvent,
    GenerationFailedEvent,
    ParseCompletedEvent,
    ParseFailedEvent,
    ReductionCompletedEvent,
    ReductionFailedEvent,
    ScoreCompletedEvent,
    ScoreFailedEvent,
    SelectionCompletedEvent,
    SelectionFailedEvent,
)
from themis.pure.identity import candidate_id
from themis.pure.pipeline.effects import Program, Together, Within
from themis.pure.pipeline.execute import execute
from themis.pure.pipeline.generate import generate
from themis.pure.pipeline.judge import all_candidates, judge, the_answer, the_trace
from themis.pure.pipeline.parse import parse
from themis.pure.pipeline.reduce import reduce
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.score import score
from themis.pure.pipeline.select import select
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.state import CaseState, answer_state, apply

StepProgram = Callable[[Run, CaseItem, CaseState, Step], Program[CaseRunEvent]]

OF_FAMILY: Final[Mapping[str, StepProgram]] = {
    "pure": score,
    "execution": execute,
    "llm": functools.partial(judge, the_answer),
    "selection": functools.partial(judge, all_candidates),
    "trace": functools.partial(judge, the_trace),
}
"""What the metrics of a family do (`families.py` has the families themselves)."""


def _of_family(run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    return OF_FAMILY[run.components.metric[step.metric_id].family](run, item, state, step)


def _always(plan: RunPlan, state: CaseState, step: Step) -> bool:
    return True


@attrs.frozen
class StageRow:
    """One row of the table.

    Attributes:
        stage: the stage's name.
        consumes: what it reads, in words.
        ready: in words, when its steps may be done.
        emits, emits_on_failure: its events.
        identity: the fields of the run's identity that it depends on, besides those of the stages before it.
        span: the name of its spans.
        program: does one of its steps.
        planned: its steps for each case.
        at_hand: its component is there, and not only named; what has none needs none.
        settled: what the state holds of a step: an artifact, or the failure in its place; `None` if it is open.
        blocks: a failure of it keeps the case from all later stages.
        applies: a case, or an answer of it, that has come this far has a step to do.
        decides: what comes after it rests on it.
        side_by_side: its steps wait for someone else, so that several of a case are done at once.
    """

    stage: Stage
    consumes: str
    ready: str
    emits: tuple[type[CaseRunEvent], ...]
    emits_on_failure: tuple[type[CaseRunEvent], ...]
    identity: tuple[str, ...]
    span: str
    program: StepProgram
    planned: Callable[[RunPlan], tuple[Step, ...]]
    at_hand: Callable[[Run, Step], bool]
    settled: Callable[[CaseState, Step], object | None]
    blocks: Callable[[RunPlan, CaseState], object]
    side_by_side: bool = False
    decides: bool = True
    applies: Callable[[RunPlan, CaseState, Step], bool] = _always


@functools.lru_cache(maxsize=1024)
def _candidates(count: int) -> tuple[Step, ...]:
    return tuple(Step("generate", index) for index in range(count))


@functools.lru_cache(maxsize=1024)
def _parses(answers: tuple[int | None, ...]) -> tuple[Step, ...]:
    return tuple(Step("parse", answer=answer) for answer in answers)


@functools.lru_cache(maxsize=64)
def _metrics(stage: Stage, plan: RunPlan) -> tuple[Step, ...]:
    return tuple(
        Step(stage, 0, metric.metric_id, answer)
        for metric in plan.metrics
        if metric.stage == stage
        for answer in plan.answers_of(metric)
    )


def _is_answered(plan: RunPlan, state: CaseState, step: Step) -> bool:
    return state.reduced is not None


def _is_usable(plan: RunPlan, state: CaseState, step: Step) -> bool:
    if plan.is_reduced or step.answer is not None:
        return state.parsed is not None and state.parsed.usable
    return not state.generation_failures  # candidates are compared with each other, whatever each of them says


def _metric_outcome(state: CaseState, step: Step) -> object | None:
    name = step.metric_id
    return (
        state.scores.get(name)
        or state.score_failures.get(name)
        or state.executions.get(name)
        or state.evaluation_failures.get(name)
    )


def _metric_at_hand(run: Run, step: Step) -> bool:
    return step.metric_id in run.components.metric


_SELECT: Final = (Step("select"),)
_REDUCE: Final = (Step("reduce"),)

STAGES: Final[tuple[StageRow, ...]] = (
    StageRow(
        stage="generate",
        consumes="the case, the prompt, the candidate's seed",
        ready="at once; all candidates of a case side by side",
        emits=(GenerationCompletedEvent,),
        emits_on_failure=(GenerationFailedEvent,),
        identity=("dataset_refs", "generator_ref", "generation_prompt_spec", "seeds", "candidate_policy"),
        span="generation",
        program=generate,
        planned=lambda plan: _candidates(plan.candidate_count),
        at_hand=lambda run, step: run.components.generator.component is not None,
        settled=lambda state, step: (
            state.candidates.get(step.candidate_index) or state.generation_failures.get(step.candidate_index)
        ),
        blocks=lambda plan, state: state.generation_failures and plan.is_reduced,
        side_by_side=True,
    ),
    StageRow(
        stage="select",
        consumes="all candidates",
        ready="when every candidate is there, if the run has a selector",
        emits=(SelectionCompletedEvent,),
        emits_on_failure=(SelectionFailedEvent,),
        identity=("selector_ref",),
        span="selection",
        program=select,
        planned=lambda plan: _SELECT if plan.selects else (),
        at_hand=lambda run, step: run.components.selector is not None,
        settled=lambda state, step: state.selection or state.selection_failure,
        blocks=lambda plan, state: state.selection_failure,
    ),
    StageRow(
        stage="reduce",
        consumes="the selected candidates, or all",
        ready="when every candidate is there and selection, if any, is done, if a case has one answer",
        emits=(ReductionCompletedEvent,),
        emits_on_failure=(ReductionFailedEvent,),
        identity=("reducer_ref", "parser_refs"),  # a reducer may vote over what the parsers read
        span="reduction",
        program=reduce,
        planned=lambda plan: _REDUCE if plan.is_reduced else (),
        at_hand=lambda run, step: (run.components.reducer is None) == (run.identity.reducer_ref is None),
        settled=lambda state, step: state.reduced or state.reduction_failure,
        blocks=lambda plan, state: state.reduction_failure,
    ),
    StageRow(
        stage="parse",
        consumes="the reduced candidate, or every candidate",
        ready="when the candidates are reduced, or there; every answer on its own",
        emits=(ParseCompletedEvent,),
        emits_on_failure=(ParseFailedEvent,),
        identity=("parser_refs",),
        span="parse",
        program=parse,
        planned=lambda plan: _parses(plan.answers),
        at_hand=lambda run, step: len(run.components.parsers) == len(run.identity.parser_refs),
        applies=_is_answered,
        settled=lambda state, step: state.parsed or state.parse_failure,
        blocks=lambda plan, state: state.parse_failure,
    ),
    StageRow(
        stage="score",
        consumes="the parsed output, the case",
        ready="when a usable answer was parsed; every pure and execution metric on its own",
        emits=(ScoreCompletedEvent, EvaluationCompletedEvent),
        emits_on_failure=(ScoreFailedEvent, EvaluationFailedEvent),
        identity=("metric_refs",),
        span="score",
        program=_of_family,
        planned=lambda plan: _metrics("score", plan),
        at_hand=_metric_at_hand,
        applies=_is_usable,
        decides=False,
        settled=_metric_outcome,
        blocks=lambda plan, state: False,
    ),
    StageRow(
        stage="judge",
        consumes="the reduced candidate, all candidates or the trace, by the metric's family",
        ready="when scoring is done; every llm, selection and trace metric on its own",
        emits=(EvaluationCompletedEvent,),
        emits_on_failure=(EvaluationFailedEvent,),
        identity=("metric_refs", "judge_model_refs", "judge_config", "workflow_overrides", "evaluation_prompt_spec"),
        span="judge",
        program=_of_family,
        planned=lambda plan: _metrics("judge", plan),
        at_hand=_metric_at_hand,
        applies=_is_usable,
        decides=False,
        settled=_metric_outcome,
        blocks=lambda plan, state: False,
        side_by_side=True,
    ),
)
ROWS: Final[Mapping[Stage, StageRow]] = {row.stage: row for row in STAGES}

if tuple(ROWS) != STAGE_ORDER:  # the table and the order are one thing
    raise AssertionError("the stage table is out of order")


def next_steps(plan: RunPlan, state: CaseState) -> tuple[Step, ...]:
    """Return the steps that can be done now, in any order or at once; none if the case is finished.

    A failed step is not offered again: a new attempt starts from `state.without_failures()`.
    """
    for row, planned in _rows_ahead(plan, state):
        if steps := _open_steps(plan, row, planned, state):
            return steps
        if row.blocks(plan, state):
            return ()
    return ()


def _open_steps(plan: RunPlan, row: StageRow, planned: tuple[Step, ...], state: CaseState) -> tuple[Step, ...]:
    """Return those of a stage's steps that there is something to do of, and that are neither done nor failed."""
    if len(planned) == 1:  # the commonest by far, and asked of every stage of every case
        return planned if _is_open(plan, row, state, planned[0]) else ()
    return tuple([step for step in planned if _is_open(plan, row, state, step)])


def _is_open(plan: RunPlan, row: StageRow, state: CaseState, step: Step) -> bool:
    seen, applies = state if step.answer is None else answer_state(state, step.answer), row.applies
    return (applies is _always or applies(plan, seen, step)) and row.settled(seen, step) is None


def _rows_ahead(plan: RunPlan, state: CaseState) -> _Rows:
    """Return the rows that may have open steps: what was parsed was reduced, and what was reduced was generated."""
    from_first, from_parse, from_score = _planned(plan)
    return from_score if state.parsed is not None else from_parse if state.reduced is not None else from_first


_Rows = tuple[tuple[StageRow, tuple[Step, ...]], ...]


@functools.lru_cache(maxsize=64)
def _planned(plan: RunPlan) -> tuple[_Rows, _Rows, _Rows]:
    """Return the rows that have steps in a run, with the steps: all, those from `parse` on, those from `score` on."""

    def rows(first: Stage) -> _Rows:
        wanted = STAGES[STAGE_ORDER.index(first) : plan.last + 1]
        return tuple((row, steps) for row in wanted if (steps := row.planned(plan)))

    return rows("generate"), rows("parse"), rows("score")


def step_of(plan: RunPlan, event: object) -> Step | None:
    """Return the step that an event is the outcome of, or `None` if it is none's."""
    rows = _ROWS_OF.get(type(event))
    if rows is None:
        return None
    metric_id = getattr(event, "metric_id", "")
    stage = rows[0].stage if len(rows) == 1 else "score" if metric_id in plan.scored_ids else "judge"
    return Step(stage, getattr(event, "candidate_index", 0), metric_id, _answer_of(plan, event))


def _answer_of(plan: RunPlan, event: Any) -> int | None:
    """Return which of a case's answers an event is about: the one that it names, where there are several."""
    if plan.is_reduced or not hasattr(event, "candidate_id") or hasattr(event, "candidate_index"):
        return None
    named = (index for index in range(plan.candidate_count) if event.candidate_id == candidate_id(event.case_id, index))
    return next(named, None)


_ROWS_OF: Final[Mapping[type, Sequence[StageRow]]] = {
    kind: [row for row in STAGES if kind in (*row.emits, *row.emits_on_failure)]
    for kind in {kind for row in STAGES for kind in (*row.emits, *row.emits_on_failure)}
}


def settled_steps(plan: RunPlan, state: CaseState) -> Iterator[tuple[StageRow, Step, object]]:
    """Yield every step that a case has behind it, with what the state holds of it, in the order of the stages."""
    for row in STAGES:
        for step in row.planned(plan):
            seen = answer_state(state, step.answer)
            if row.applies(plan, seen, step) and (outcome := row.settled(seen, step)) is not None:
                yield row, step, outcome


def is_reached(plan: RunPlan, state: CaseState, step: Step) -> bool:
    """Tell whether a case has come so far that a step can be done, or could be before it was."""
    row = ROWS[step.stage]
    if not row.applies(plan, answer_state(state, step.answer), step):
        return False
    for earlier, steps in _planned(plan)[0]:
        if earlier is row:
            return True
        if earlier.decides and (
            earlier.blocks(plan, state)
            or any(earlier.settled(answer_state(state, one.answer), one) is None for one in rests_on(plan, step, steps))
        ):
            return False
    return True


def rests_on(plan: RunPlan, step: Step, earlier: Sequence[Step]) -> Sequence[Step]:
    """Return those steps of an earlier stage that a step rests on: of several answers, those of its own.

    What compares candidates with each other rests on all of them, and on nothing that was read out of them.
    """
    if plan.is_reduced or step.stage == "generate":
        return earlier
    if step.answer is None:
        return [one for one in earlier if one.stage == "generate"]
    return [one for one in earlier if step.answer == (one.candidate_index if one.stage == "generate" else one.answer)]


def carry_out(run: Run, item: CaseItem, state: CaseState) -> Program[CaseState]:
    """Do whatever is left of a case, and return its state at the end: the program of a whole case."""
    # One pass over the rows: what a step makes opens steps of later rows alone, never of its own or of an earlier one.
    for row, planned in _rows_ahead(run.plan, state):
        steps = _open_steps(run.plan, row, planned, state)
        if len(steps) > 1 and row.side_by_side:
            events = yield Together(tuple(step_program(run, item, state, step) for step in steps))
            for event in events:
                state = apply(state, event)
        else:
            before = state  # none of the steps reads what another one of them makes
            for step in steps:
                event = yield from step_program(run, item, before, step)
                state = apply(state, event)
        if row.blocks(run.plan, state):
            break
    return state


def step_program(run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    """Return the program of one step, in a span of its own where spans are wanted."""
    row = ROWS[step.stage]
    seen = state if step.answer is None else answer_state(state, step.answer)
    program = row.program(run, item, seen, step)
    return program if not run.traces else _traced(row, program, run, item, step)


def _traced(
    row: StageRow, program: Program[CaseRunEvent], run: Run, item: CaseItem, step: Step
) -> Program[CaseRunEvent]:
    attributes = {"run_id": run.plan.run_id, "case_key": item.case_key, "metric_id": step.metric_id}
    if step.stage == "generate":
        attributes |= run.components.generator.asked
    event: CaseRunEvent = yield Within(row.span, attributes, program)
    return event


def happy_path(plan: RunPlan) -> tuple[str, ...]:
    """Return the events, in order, of a case that went through at once: each step done once, and none failed.

    It is empty for a run that judges or runs code, where scores stand in executions, and not all in their events, and
    for one with several answers a case.
    """
    if not plan.is_reduced or not all(metric.is_scored for metric in plan.metrics):
        return ()
    return tuple(_name(row.emits[0]) for row in STAGES for _ in row.planned(plan))


def stage_table() -> str:
    """Return the table as Markdown: the documentation's picture of the pipeline is made from it.

    >>> stage_table().splitlines()[0]
    '| stage | consumes | emits | on failure | ready |'
    """
    head = ["| stage | consumes | emits | on failure | ready |", "| --- | --- | --- | --- | --- |"]
    rows = [
        f"| {row.stage} | {row.consumes} | {_names(row.emits)} | {_names(row.emits_on_failure)} | {row.ready} |"
        for row in STAGES
    ]
    return "\n".join(head + rows)


def _names(events: tuple[type[Any], ...]) -> str:
    return " or ".join(map(_name, events))


def _name(event: type[Any]) -> str:
    return str(attrs.fields(event).event_type.default)
