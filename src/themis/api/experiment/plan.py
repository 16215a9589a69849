"""What a run would do, reuse and cost, before it does anything."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from themis._stages import STAGE_ORDER, UntilStage
from themis.api.runs.view import RunView
from themis.effects.prices import known_prices, price_table
from themis.effects.reading import fresh_state, recalled
from themis.pure.abilities import Components
from themis.pure.errors import MissingExtraError, RunNotFoundError
from themis.pure.estimate import estimate_run
from themis.pure.explain import RunExplanation, StageCounter, changed_fields, stage_reasons
from themis.pure.pipeline.recorded import unanswered
from themis.pure.pipeline.run import planned_run
from themis.pure.plan import case_items
from themis.pure.preview import RunPreview, preview_run
from themis.pure.protocols import RunStore
from themis.pure.records.base import HashableModel
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.usage import COMPLETION_TOKENS, PROMPT_TOKENS, call_cost, is_free

if TYPE_CHECKING:
    from themis.api.experiment.experiment import Experiment
    from themis.pure.records.results import RunEstimate


def explain_run(
    snapshot: RunSnapshot, components: Components, store: RunStore, until_stage: UntilStage = "judge"
) -> RunExplanation:
    """Say what running this would do, stage by stage, and because of which changed field.

    Nothing is written and no component is called, but for a generator's pure `request`.
    """
    run = planned_run(snapshot, components, until_stage)
    stored = store.head(snapshot.run_id).count > 0
    until = None if snapshot.identity.until is None else str(snapshot.identity.until)
    counter = StageCounter(run.plan)
    if stored:
        for _, state in RunView(snapshot=snapshot, store=store).cases():
            counter.add(state)
        return RunExplanation(
            run_id=snapshot.run_id, stored=True, stages=counter.explanations(_UNFINISHED), until=until
        )
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
        until=until,
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


def require_stored(experiment: Experiment, store: RunStore) -> None:
    """Make sure that an experiment's run is stored, at least in part.

    Raises:
        RunNotFoundError: the store does not hold the run; says what differs from the nearest that it holds.
    """
    explanation = experiment.plan(store=store)
    if explanation.stored:
        return
    changed = ", ".join(explanation.changed_fields)
    nearest_run = explanation.compared_run_id
    hint = f"; the nearest is {nearest_run[:12]}, which differs in {changed}" if nearest_run else ""
    raise RunNotFoundError(
        f"run {explanation.run_id[:12]} is not in {store.location}{hint}; `themis run` starts it, and `themis list` "
        "shows what is stored"
    )


# --- cost -------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class PlannedCost(HashableModel):
    """About what a whole run would cost; nothing that is stored already is taken off.

    Attributes:
        us_dollars: US dollars over the models whose price is known; `None` if none is.
        unknown: why something is not in the figure.
    """

    us_dollars: float | None = None
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        known = "cost not known" if self.us_dollars is None else f"about ${self.us_dollars:.4f} for the whole run"
        return "; ".join([known, *self.unknown])


def planned_cost(experiment: Experiment, estimate: RunEstimate) -> PlannedCost:
    """Return about what a whole run of an experiment would cost, by its estimate."""
    components = experiment.components()
    tokens = [
        (
            components.generator.component_id,
            estimate.estimated_generation_input_tokens,
            estimate.estimated_generation_output_tokens,
        ),
        *(
            (
                judge.component_id,
                estimate.estimated_judge_prompt_tokens // len(components.judge_models),
                estimate.estimated_judge_output_tokens // len(components.judge_models),
            )
            for judge in components.judge_models
        ),
    ]
    try:
        paid = [model for model, *_ in tokens if not is_free(model)]
        price = price_table(experiment.runtime.prices) if paid else known_prices(experiment.runtime.prices)
    except MissingExtraError as error:
        return PlannedCost(unknown=(str(error),))
    total, unknown = None, []
    for model, prompt, completion in tokens:
        cost = call_cost(model, {PROMPT_TOKENS: prompt, COMPLETION_TOKENS: completion}, price)
        if cost is None:
            unknown.append(f"the price of {model} is not known")
        else:
            total = (total or 0.0) + cost
    return PlannedCost(us_dollars=total, unknown=tuple(unknown))


def preview_with_cost(experiment: Experiment, cases: int) -> RunPreview:
    """Return what a run would send for its first cases, with what each call and the whole run would cost."""
    components = experiment.components()
    snapshot = experiment.compile_with(components)
    found = preview_run(snapshot, components, cases, known_prices(experiment.runtime.prices))
    return found.evolve(cost=str(planned_cost(experiment, estimate_run(snapshot, components))))
