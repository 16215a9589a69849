"""Where a replay starts: a case's state is cut back to before a stage, and the programs go on from there.

A replay is driven as a run is, by `effects/driver.py`, which then asks no generator.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, get_args

from themis._stages import ReplayStage
from themis.pure.errors import SpecError, nearest
from themis.pure.plan import RunPlan
from themis.pure.records.fields import a_list
from themis.pure.state import CaseState, changed, without_stages

REPLAY_STAGES: Final[tuple[ReplayStage, ...]] = get_args(ReplayStage)


def check_replay(plan: RunPlan, stage: str, metric_ids: Collection[str] | None) -> None:
    """Refuse a replay from an unknown stage or of unknown metrics.

    Raises:
        SpecError: naming what is known.
    """
    if stage not in REPLAY_STAGES:
        raise SpecError(f"replay stage: {stage!r} is unknown; {nearest(stage, REPLAY_STAGES)}")
    known = [slot.metric_id for slot in plan.metrics]
    for name in () if metric_ids is None else a_list(metric_ids, "metric_ids", "metrics"):
        if name not in known:
            raise SpecError(f"metric_ids: the run has no metric {name!r}; {nearest(name, known)}")


def restart_from(
    plan: RunPlan, state: CaseState, stage: ReplayStage, metric_ids: Collection[str] | None = None
) -> CaseState:
    """Return a case's state as it was before `stage`: what came after is to be made again.

    Args:
        plan: the run's shape.
        state: what is stored.
        stage: the first stage to do again.
        metric_ids: of the metrics, these alone; all by default.
    """
    state = state.without_failures()
    if stage in ("reduce", "parse"):
        return without_stages(state, stage)
    again = {
        slot.metric_id
        for slot in plan.metrics
        if slot.stage == stage and (metric_ids is None or slot.metric_id in metric_ids)
    }
    return _without_metrics(state, again)


def _without_metrics(state: CaseState, again: Collection[str]) -> CaseState:
    return changed(
        state,
        scores=_others(state.scores, again),
        executions=_others(state.executions, again),
        answers={name: _without_metrics(answer, again) for name, answer in state.answers.items()},
    )


def _others(outcomes: Mapping[str, Any], again: Collection[str]) -> Mapping[str, Any]:
    return {name: outcome for name, outcome in outcomes.items() if name not in again}
