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

from typing import TYPE_CHECKING

from themis._doors import open_door

if TYPE_CHECKING:
    from themis.pure.abilities import Components as Components
    from themis.pure.compilation import Authored as Authored
    from themis.pure.compilation import compile_snapshot as compile_snapshot
    from themis.pure.components.registry import make_builtin as make_builtin
    from themis.pure.pipeline.effects import Answer as Answer
    from themis.pure.pipeline.effects import Ask as Ask
    from themis.pure.pipeline.effects import Effect as Effect
    from themis.pure.pipeline.effects import Execute as Execute
    from themis.pure.pipeline.effects import Keep as Keep
    from themis.pure.pipeline.effects import Program as Program
    from themis.pure.pipeline.effects import Recall as Recall
    from themis.pure.pipeline.effects import Recalled as Recalled
    from themis.pure.pipeline.effects import Tell as Tell
    from themis.pure.pipeline.effects import Together as Together
    from themis.pure.pipeline.effects import Within as Within
    from themis.pure.pipeline.names import work_items as work_items
    from themis.pure.pipeline.recorded import MissingError as MissingError
    from themis.pure.pipeline.recorded import from_record as from_record
    from themis.pure.pipeline.recorded import purely as purely
    from themis.pure.pipeline.recorded import unanswered as unanswered
    from themis.pure.pipeline.run import Run as Run
    from themis.pure.pipeline.run import planned_run as planned_run
    from themis.pure.pipeline.step import Step as Step
    from themis.pure.pipeline.table import STAGES as STAGES
    from themis.pure.pipeline.table import StageRow as StageRow
    from themis.pure.pipeline.table import carry_out as carry_out
    from themis.pure.pipeline.table import next_steps as next_steps
    from themis.pure.pipeline.table import step_program as step_program
    from themis.pure.plan import CaseItem as CaseItem
    from themis.pure.plan import MetricSlot as MetricSlot
    from themis.pure.plan import RunPlan as RunPlan
    from themis.pure.plan import case_items as case_items
    from themis.pure.plan import make_plan as make_plan
    from themis.pure.projections import benchmark_result as benchmark_result
    from themis.pure.records.failure import StepFailure as StepFailure
    from themis.pure.state import CaseState as CaseState
    from themis.pure.state import apply as apply
    from themis.pure.state import fold as fold
    from themis.pure.state import fold_case as fold_case
    from themis.pure.state import new_state as new_state
else:
    __getattr__, __dir__ = open_door(__name__)
