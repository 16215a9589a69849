"""What a case cost: the calls that its answers and judgments came of, each counted once, whichever run made them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.events import RunEvent, StepEvent
from themis.pure.pipeline.judge import JUDGE_STEP
from themis.pure.pipeline.table import next_steps
from themis.pure.plan import RunPlan
from themis.pure.records.base import HashableModel
from themis.pure.state import CaseState
from themis.pure.stats import SkewedEstimate, StatsEngine
from themis.pure.usage import FAILED_CALLS, AnsweredCall, Price, answered_call, call_cost

PaidStage: TypeAlias = Literal["generate", "judge"]
"""The stages whose calls are paid for: whatever asks a judge is `judge`."""


@attrs.frozen(kw_only=True)
class CaseCosts(HashableModel):
    """What a case costs, described over all cases of a run: mean, median and high percentiles, with intervals.

    Attributes:
        cost: US dollars.
        prompt_tokens, completion_tokens: as the providers count them.
        latency_ms: how long the calls took, one after the other.
    """

    cost: SkewedEstimate
    prompt_tokens: SkewedEstimate
    completion_tokens: SkewedEstimate
    latency_ms: SkewedEstimate


QUANTITIES: Final = tuple(field.name for field in attrs.fields(CaseCosts))


def case_costs(
    cases: Iterable[tuple[CaseState, Sequence[RunEvent]]],
    plan: RunPlan,
    price: Price,
    engine: StatsEngine,
    stage: PaidStage | None = None,
) -> CaseCosts:
    """Describe what a case costs.

    A case is missing where a call failed, was not made yet, or does not say what it took: in full it is not known then.

    Args:
        cases: each as it ended up, and its events in order.
        plan: the run's shape.
        price: what a model's tokens cost.
        engine: level and seed of the intervals.
        stage: count the calls of this stage alone.
    """
    columns = {name: array("d") for name in QUANTITIES}
    for state, events in cases:
        for name, amount in case_amounts(state, events, plan, price, stage).items():
            columns[name].append(math.nan if amount is None else amount)
    return CaseCosts(
        **{
            name: engine.describe_skewed([None if math.isnan(value) else value for value in column], name=name)
            for name, column in columns.items()
        }
    )


def case_amounts(
    state: CaseState, events: Iterable[RunEvent], plan: RunPlan, price: Price, stage: PaidStage | None = None
) -> dict[str, float | None]:
    """Return what one case took, by the names of `CaseCosts`; `None` where it is not known in full."""
    calls = _calls(plan, state, events, stage)
    amounts = {
        name: math.nan if calls is None else math.fsum(_amount(call, name, price) for call in calls)
        for name in QUANTITIES
    }
    return {name: None if math.isnan(amount) else amount for name, amount in amounts.items()}


def _amount(call: AnsweredCall, name: str, price: Price) -> float:
    """Return how much a call took of something; NaN if it does not say."""
    if name == "latency_ms":
        found = call.latency_ms
    elif name == "cost":
        found = call_cost(call.model, call.usage, price)
    else:
        found = (call.usage or {}).get(name)
    return math.nan if found is None else float(found)


def _calls(
    plan: RunPlan, state: CaseState, events: Iterable[RunEvent], stage: PaidStage | None
) -> list[AnsweredCall] | None:
    """Return the calls that a case took, or `None` if these are not all."""
    calls: dict[tuple[object, ...], AnsweredCall | None] = {}  # a later call takes the place of an earlier one
    for event in events:
        call = answered_call(event, plan.generator.component_id)
        if call is not None or event.event_type in FAILED_CALLS:
            calls[_name(event)] = call
    wanted = ("generate", "judge") if stage is None else (stage,)
    chosen = [call for (of_stage, *_), call in calls.items() if of_stage in wanted]
    answered = [call for call in chosen if call is not None]
    generated = sum(of_stage == "generate" for of_stage, *_ in calls) == plan.candidate_count
    finished = stage == "generate" or not next_steps(plan, state)
    return answered if generated and finished and len(answered) == len(chosen) else None


def _name(event: RunEvent) -> tuple[object, ...]:
    """Return the stage of a call, and what names the call within its case."""
    if isinstance(event, StepEvent):
        stage = "judge" if event.step_type == JUDGE_STEP else "sandbox"
        return stage, event.workflow_id, event.step_id, event.candidate_id
    return "generate", getattr(event, "candidate_index", None)
