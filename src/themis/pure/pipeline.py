"""THE stage table: for the state of a case, which steps come next.

No other module decides what comes next. The table below says of each stage what it consumes, what it emits on
success and on failure, and what makes it ready; `next_steps` reads it, and so does the documentation. This
module knows nothing of components, stores or time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from themis.pure.plan import STAGE_ORDER, RunPlan, Stage
from themis.pure.state import CaseState


@attrs.frozen
class Step:
    """One thing to do for a case: a stage, and which candidate or metric of it."""

    stage: Stage
    candidate_index: int = 0
    metric_id: str = ""


@attrs.frozen
class StageRow:
    """One row of the table.

    Attributes:
        stage: the stage's name.
        consumes: what it reads.
        emits: the event of success.
        emits_on_failure: the event of failure.
        ready: in words, when its steps may be done.
        pending: the steps that are neither done nor failed; called once the stage is reached.
        blocked: whether the stage failed, so that nothing after it can be done for this case.
    """

    stage: Stage
    consumes: str
    emits: str
    emits_on_failure: str
    ready: str
    pending: Callable[[RunPlan, CaseState], tuple[Step, ...]]
    blocked: Callable[[RunPlan, CaseState], bool]


_GENERATE: Final = (Step("generate"),)
_SELECT: Final = (Step("select"),)
_REDUCE: Final = (Step("reduce"),)
_PARSE: Final = (Step("parse"),)


def _generate_pending(plan: RunPlan, state: CaseState) -> tuple[Step, ...]:
    done, failed = state.candidates, state.generation_failures
    if len(done) == plan.candidate_count:
        return ()
    if plan.candidate_count == 1:
        return () if failed else _GENERATE
    return tuple([Step("generate", i) for i in range(plan.candidate_count) if i not in done and i not in failed])


def _score_pending(plan: RunPlan, state: CaseState) -> tuple[Step, ...]:
    return _metrics_pending(plan.scored_ids, state, "score")


def _judge_pending(plan: RunPlan, state: CaseState) -> tuple[Step, ...]:
    return _metrics_pending(plan.judged_ids, state, "judge")


def _metrics_pending(metric_ids: tuple[str, ...], state: CaseState, stage: Stage) -> tuple[Step, ...]:
    if not metric_ids or state.parsed is None or not state.parsed.usable:
        return ()
    return tuple([_metric_step(stage, metric_id) for metric_id in metric_ids if not _settled(state, metric_id)])


@functools.lru_cache(maxsize=1024)
def _metric_step(stage: Stage, metric_id: str) -> Step:
    return Step(stage, 0, metric_id)


def _settled(state: CaseState, metric_id: str) -> bool:
    return (
        metric_id in state.scores
        or metric_id in state.score_failures
        or metric_id in state.executions
        or metric_id in state.evaluation_failures
    )


STAGES: Final[tuple[StageRow, ...]] = (
    StageRow(
        stage="generate",
        consumes="the case, the prompt, the candidate's seed",
        emits="generation_completed",
        emits_on_failure="generation_failed",
        ready="at once; all candidates of a case side by side",
        pending=_generate_pending,
        blocked=lambda plan, state: bool(state.generation_failures),
    ),
    StageRow(
        stage="select",
        consumes="all candidates",
        emits="selection_completed",
        emits_on_failure="selection_failed",
        ready="when every candidate is there, if the run has a selector",
        pending=lambda plan, state: _SELECT if plan.selects and not state.selection else (),
        blocked=lambda plan, state: state.selection_failure is not None,
    ),
    StageRow(
        stage="reduce",
        consumes="the selected candidates, or all",
        emits="reduction_completed",
        emits_on_failure="reduction_failed",
        ready="when every candidate is there and selection, if any, is done",
        pending=lambda plan, state: () if state.reduced else _REDUCE,
        blocked=lambda plan, state: state.reduction_failure is not None,
    ),
    StageRow(
        stage="parse",
        consumes="the reduced candidate",
        emits="parse_completed",
        emits_on_failure="parse_failed",
        ready="when the candidates are reduced",
        pending=lambda plan, state: () if state.parsed else _PARSE,
        blocked=lambda plan, state: state.parse_failure is not None,
    ),
    StageRow(
        stage="score",
        consumes="the parsed output, the case",
        emits="score_completed, or evaluation_completed for metrics that run code",
        emits_on_failure="score_failed, or evaluation_failed",
        ready="when a usable answer was parsed; every pure and execution metric on its own",
        pending=_score_pending,
        blocked=lambda plan, state: False,
    ),
    StageRow(
        stage="judge",
        consumes="the reduced candidate, all candidates or the trace, by the metric's family",
        emits="evaluation_completed",
        emits_on_failure="evaluation_failed",
        ready="when scoring is done; every llm, selection and trace metric on its own",
        pending=_judge_pending,
        blocked=lambda plan, state: False,
    ),
)

_PARSE_ROW: Final = STAGE_ORDER.index("parse")
_SCORE: Final = STAGE_ORDER.index("score")


def next_steps(plan: RunPlan, state: CaseState) -> tuple[Step, ...]:
    """Return the steps that can be done now, in any order or at once; none if the case is finished.

    A failed step is not offered again: a new attempt starts from `state.without_failures()`.
    """
    # What was parsed was reduced, and what was reduced was generated: the rows before need no second look.
    first = _SCORE if state.parsed is not None else _PARSE_ROW if state.reduced is not None else 0
    for row in STAGES[first : plan.last + 1]:
        if row.blocked(plan, state):
            # A candidate that failed leaves the others to be made; nothing else is made of a stage that failed.
            return row.pending(plan, state) if row.stage == "generate" else ()
        if steps := row.pending(plan, state):
            return steps
    return ()


def stage_table() -> str:
    """Return the table as Markdown: the documentation's picture of the pipeline is made from it.

    >>> stage_table().splitlines()[0]
    '| stage | consumes | emits | on failure | ready |'
    """
    head = ["| stage | consumes | emits | on failure | ready |", "| --- | --- | --- | --- | --- |"]
    rows = [f"| {r.stage} | {r.consumes} | {r.emits} | {r.emits_on_failure} | {r.ready} |" for r in STAGES]
    return "\n".join(head + rows)


ROWS: Final[Mapping[Stage, StageRow]] = {row.stage: row for row in STAGES}

if tuple(ROWS) != STAGE_ORDER:  # the table and the order are one thing
    raise AssertionError("the stage table is out of order")
