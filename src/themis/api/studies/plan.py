"""What a study would do, reuse and cost, before it does anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from themis._stages import UntilStage
from themis.api.experiment.plan import explain_run, planned_cost
from themis.api.studies.run import CellRun
from themis.pure.errors import SpecError
from themis.pure.estimate import estimate_run
from themis.pure.json import JSONValue
from themis.pure.protocols import RunStore
from themis.pure.records.base import HashableModel
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.fields import json_object, named_fields, sequence
from themis.pure.study import study_id


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CellPlan(HashableModel):
    """What running one cell would do.

    Attributes:
        name, run_id: the cell, and its run.
        at: its value on each axis.
        cases: how many it has.
        answers: how many answers it asks for.
        stored: how many of them are stored, or asked for by a cell before it: they are asked for once.
        us_dollars: about what the whole cell costs, what is stored with it; `None` if no price is known.
        unknown: why something is not in that figure.
    """

    name: str
    run_id: str
    at: Mapping[str, JSONValue] = attrs.field(converter=json_object)
    cases: int
    answers: int
    stored: int
    us_dollars: float | None = None
    unknown: tuple[str, ...] = attrs.field(default=(), converter=sequence)

    @property
    def to_ask(self) -> int:
        """How many answers are still to be asked for."""
        return self.answers - self.stored


@attrs.frozen(kw_only=True)
class StudyPlan(HashableModel):
    """What running a study would do.

    Attributes:
        study_id: its identity.
        cells: cell by cell.
        problems: why it can't start as it is.
    """

    study_id: str
    cells: tuple[CellPlan, ...] = attrs.field(converter=sequence)
    problems: tuple[str, ...] = attrs.field(default=(), converter=sequence)

    @property
    def us_dollars(self) -> float | None:
        """About what the cells whose price is known cost together; `None` if it is of none."""
        known = [cell.us_dollars for cell in self.cells if cell.us_dollars is not None]
        return sum(known) if known else None


def plan_study(
    runs: Sequence[CellRun], store: RunStore, runtime: RuntimeConfig, until_stage: UntilStage = "judge"
) -> StudyPlan:
    """Say what running these cells would do; nothing is written, and no model is called."""
    from themis.api.experiment.run import check_run

    cells, problems, asked = [], dict[str, None](), dict[object, int]()
    for run in runs:
        explanation = explain_run(run.snapshot, run.components, store, until_stage)
        generation = next(stage for stage in explanation.stages if stage.stage == "generate")
        estimate = estimate_run(run.snapshot, run.components)
        cost = planned_cost(run.cell.experiment, estimate)
        # Cells that ask the same come one after another: the later one finds what the first asked for.
        identity = run.snapshot.identity
        asks = run.waiting.asks, identity.dataset_refs, identity.seeds
        stored = max(generation.reused, min(asked.get(asks, 0), generation.planned))
        asked[asks] = max(asked.get(asks, 0), generation.planned)
        cells.append(
            CellPlan(
                name=run.name,
                run_id=run.run_id,
                at=run.cell.cell.at,
                cases=estimate.total_cases,
                answers=generation.planned,
                stored=stored,
                us_dollars=cost.us_dollars,
                unknown=cost.unknown,
            )
        )
        try:
            check_run(run.snapshot, run.components, runtime, until_stage)
        except SpecError as error:
            problems[str(error).removeprefix("the run can't start: ")] = None
    return StudyPlan(study_id=study_id([run.run_id for run in runs]), cells=cells, problems=[*problems])
