"""What a whole run would cost, from its estimated tokens and the price table of the extra `prices`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from themis.effects.prices import price_table
from themis.pure.errors import MissingExtraError
from themis.pure.records.base import HashableModel
from themis.pure.usage import COMPLETION_TOKENS, PROMPT_TOKENS

if TYPE_CHECKING:
    from themis.api.experiment import Experiment
    from themis.pure.records.results import RunEstimate


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


def planned_cost(experiment: Experiment, estimate: RunEstimate | None = None) -> PlannedCost:
    """Return about what a whole run of an experiment would cost.

    Args:
        experiment: the experiment.
        estimate: its estimate, if that was made already.
    """
    components = experiment.components()
    estimate = estimate or experiment.estimate()
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
        price = price_table()
    except MissingExtraError as error:
        return PlannedCost(unknown=(str(error),))
    total, unknown = None, []
    for model, prompt, completion in tokens:
        cost = price(model, {PROMPT_TOKENS: prompt, COMPLETION_TOKENS: completion})
        if cost is None:
            unknown.append(f"the price of {model} is not known")
        else:
            total = (total or 0.0) + cost
    return PlannedCost(us_dollars=total, unknown=tuple(unknown))
