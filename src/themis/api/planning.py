"""`plan` and `estimate`: what a run would do, would reuse, and would cost, before anything is done."""

from __future__ import annotations

from collections.abc import Mapping

from themis.effects.reading import fresh_state, read_cases
from themis.pure.errors import RunNotFoundError
from themis.pure.explain import RunExplanation, StageCounter, changed_fields, stage_reasons
from themis.pure.identity import candidate_key, generation_key
from themis.pure.plan import STAGE_ORDER, CaseItem, RunPlan, UntilStage, case_items, make_plan, request_bytes, seed_of
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.roster import Roster
from themis.pure.stages.generate import generate_context

__all__ = ["RunExplanation", "explain_run"]


def explain_run(
    snapshot: RunSnapshot, roster: Roster, store: RunStore, until_stage: UntilStage = "judge"
) -> RunExplanation:
    """Say what running this would do, stage by stage, and because of which changed field.

    Nothing is written and no component is called, but for a generator's pure `request`.
    """
    plan = make_plan(snapshot, until_stage)
    stored = store.head(snapshot.run_id).count > 0
    counter = StageCounter(plan)
    if stored:
        for _, state in read_cases(store, snapshot):
            counter.add(state)
        return RunExplanation(run_id=snapshot.run_id, stored=True, stages=counter.explanations(_UNFINISHED))
    nearest = _nearest(snapshot, store)
    changed = changed_fields(nearest.identity, snapshot.identity) if nearest else ()
    reasons = stage_reasons(changed) if nearest else _FIRST
    for item in case_items(snapshot):
        counter.add(fresh_state(item), _stored_candidates(plan, snapshot, roster, store, item) if nearest else 0)
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


def _stored_candidates(plan: RunPlan, snapshot: RunSnapshot, roster: Roster, store: RunStore, item: CaseItem) -> int:
    identity = snapshot.identity
    keys = []
    for index in range(plan.candidate_count):
        ctx = generate_context(plan, item, index, None, identity.generation_prompt_spec)
        render = getattr(roster.generator, "request", None)
        request = render(item.case, ctx) if render is not None else None
        generation = generation_key(plan.generator, request_bytes(identity, item.case, request))
        keys.append(candidate_key(generation, index, seed_of(plan, generation, index)))
    return len(store.cached(keys))
