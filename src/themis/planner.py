"""The door for programs that embed the planner: the pure core that decides what comes next and folds what happened.

    components = Components.of(generator=...)
    snapshot = compile_snapshot(Authored(components=components, datasets=[...]), provenance, source_of)
    run = planned_run(snapshot, components)
    for item in case_items(snapshot):
        state = new_state(item.case.case_id, item.dataset_id, item.case_key)
        program = carry_out(run, item, state)      # yields effects, returns the case's state

Nothing here does I/O. `docs/how-to/embed-the-core.md` shows a whole evaluation.
"""

from __future__ import annotations

from themis.pure.abilities import Components
from themis.pure.compilation import Authored, compile_snapshot
from themis.pure.components.registry import make_builtin
from themis.pure.pipeline.effects import (
    Answer,
    Ask,
    Effect,
    Execute,
    Keep,
    Program,
    Recall,
    Recalled,
    Tell,
    Together,
    Within,
)
from themis.pure.pipeline.names import work_items
from themis.pure.pipeline.recorded import MissingError, from_record, purely, unanswered
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.pipeline.step import Step
from themis.pure.pipeline.table import STAGES, StageRow, carry_out, next_steps, step_program
from themis.pure.plan import CaseItem, MetricSlot, RunPlan, case_items, make_plan
from themis.pure.projections import benchmark_result
from themis.pure.records.failure import StepFailure
from themis.pure.state import CaseState, apply, fold, fold_case, new_state

__all__ = [
    "STAGES",
    "Answer",
    "Ask",
    "Authored",
    "CaseItem",
    "CaseState",
    "Components",
    "Effect",
    "Execute",
    "Keep",
    "MetricSlot",
    "MissingError",
    "Program",
    "Recall",
    "Recalled",
    "Run",
    "RunPlan",
    "StageRow",
    "Step",
    "StepFailure",
    "Tell",
    "Together",
    "Within",
    "apply",
    "benchmark_result",
    "carry_out",
    "case_items",
    "compile_snapshot",
    "fold",
    "fold_case",
    "from_record",
    "make_builtin",
    "make_plan",
    "new_state",
    "next_steps",
    "planned_run",
    "purely",
    "step_program",
    "unanswered",
    "work_items",
]
