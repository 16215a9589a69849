"""`plan` and `estimate`: what a run would do, would reuse, and would cost, before anything is done."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from themis._stages import STAGE_ORDER, UntilStage
from themis.effects.reading import fresh_state, read_cases, recalled
from themis.pure.abilities import Components
from themis.pure.errors import RunNotFoundError
from themis.pure.explain import RunExplanation, StageCounter, changed_fields, stage_reasons
from themis.pure.pipeline.recorded import unanswered
from themis.pure.pipeline.run import planned_run
from themis.pure.plan import case_items
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot

__all__ = ["RunExplanation", "explain_run"]


def explain_run(
    snapshot: RunSnapshot, components: Components, store: RunStore, until_stage: UntilStage = "judge"
) -> RunExplanation:
    """Say what running this would do, stage by stage, and because of which changed field.

    Nothing is written and no component is called, but for a generator's pure `request`.
    """
    run = planned_run(snapshot, components, until_stage)
    stored = store.head(snapshot.run_id).count > 0
    counter = StageCounter(run.plan)
    if stored:
        for _, state in read_cases(store, snapshot):
            counter.add(state)
        return RunExplanation(run_id=snapshot.run_id, stored=True, stages=counter.explanations(_UNFINISHED))
    nearest = _nearest(snapshot, store)
    changed = changed_fields(nearest.identity, snapshot.identity) if nearest else ()
    reasons = stage_reasons(changed) if nearest else _FIRST
    recall = functools.partial(recalled, store)
    for item in case_items(snapshot):
        state = fresh_state(item)
        asks = sum(1 for _ in unanswered(run, item, state, recall)) if nearest else run.plan.candidate_count
        counter.add(state, run.plan.candidate_count - asks)
    return RunExplanation(
        run_id=snapshot.run_id,
        stored=False,
        compared_run_id=nearest.run_id if nearest else None,
        changed_fields=changed,
        stages=counter.explanations(reasons),
    )


_UNFINISHED: Mapping[str, tuple[str, ...]] = dict.fromkeys(STAGE_ORDER, ("interrupted or failed before",))
_FIRST: Mapping[str, tuple[str, ...]] = dict.fromkeys(STAGE_ORDER, ("nothing like it is stored",))


def _nearest(snapshot: RunSnapshot, store: RunStore) -> RunSnapshot | None:
    """Return the stored run that differs in the fewest fields; of equals, the newest."""
    best: tuple[int, RunSnapshot] | None = None
    for line in store.list_runs():
        try:
            other = store.load_snapshot(line.run_id)
        except RunNotFoundError:
            continue
        distance = len(changed_fields(other.identity, snapshot.identity))
        if best is None or distance < best[0]:
            best = (distance, other)
    return best[1] if best else None
