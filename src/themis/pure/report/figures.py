"""A run's figures in a listing: what its report says, in a few numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object, named_fields, sequence
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import RunSummary
from themis.pure.report.sections import Report
from themis.pure.report.settings import described, leaves
from themis.pure.usage import RunCosts

FIGURES_VERSION: Final = 1
"""Of what is kept of a run's figures; another one makes them anew."""


@attrs.frozen(kw_only=True)
class ListedScore(HashableModel):
    """One metric of a run: its mean over scored answers with the 95 % interval, as in the run's report.

    Attributes:
        metric_id: the metric.
        mean: `None` if nothing was scored.
        low: the lower end of the interval; `None` where none is defined.
        high: the upper end.
        planned: answers that should have a score.
        scored: answers that have one.
    """

    metric_id: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    planned: int
    scored: int


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunFigures(HashableModel):
    """What a run came to.

    Attributes:
        status: as in the report, which has read every case: `partial_failure` where some have errors.
        scores: each metric's.
        cost: US dollars, of the calls whose price is known; `None` if none is.
        is_lower_bound: whether calls were made that the cost leaves out.
        tokens: all that its calls used.
    """

    status: str
    scores: tuple[ListedScore, ...] = attrs.field(default=(), converter=sequence)
    cost: float | None = None
    is_lower_bound: bool = False
    tokens: int = 0

    def score(self, metric_id: str) -> ListedScore | None:
        """Return the score by a metric, before whose name `builtin/` may be left out."""
        names = (metric_id, f"builtin/{metric_id}")
        return next((each for each in self.scores if each.metric_id in names), None)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ListedRun(HashableModel):
    """A run in a listing.

    Attributes:
        run: what its store says of it.
        figures: what it came to; `None` if they were not asked for, or can't be read.
        error: why they can't be read.
        differing: its settings that differ among the runs that are listed, by name.
    """

    run: RunSummary
    figures: RunFigures | None = None
    error: str | None = None
    differing: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)

    @property
    def status(self) -> str:
        """The run's status: as its cases tell, where they were read."""
        return self.run.status if self.figures is None or self.run.status != "completed" else self.figures.status


def figures_of(report: Report) -> RunFigures:
    """Return the figures of a report whose costs were counted."""
    costs = report.costs or RunCosts()
    return RunFigures(
        status=report.status,
        scores=[
            ListedScore(
                metric_id=row.metric_id,
                mean=row.estimate.mean,
                low=row.estimate.interval.low,
                high=row.estimate.interval.high,
                planned=row.estimate.planned,
                scored=row.estimate.scored,
            )
            for row in report.overview.metrics
        ],
        cost=costs.cost,
        is_lower_bound=costs.is_lower_bound,
        tokens=costs.total_tokens,
    )


# --- settings ---------------------------------------------------------------------------------------------

_SHOWN_ELSEWHERE: Final = frozenset({"dataset_refs", "generator_ref", "metric_refs", "parser_refs", "judge_model_refs"})


def all_settings(snapshot: RunSnapshot) -> dict[str, JSONValue]:
    """Return every setting of a run by its name: the generator's as they are, others with what they are of."""
    found: dict[str, JSONValue] = {}
    for field, value in snapshot.identity.to_dict().items():
        if field not in _SHOWN_ELSEWHERE and not field.endswith("_ref"):
            found |= dict(leaves(value, _PLAIN.get(field, field)))
    refs = snapshot.component_refs
    found["parsers"] = ", ".join(ref.component_id for ref in refs.parsers) or None
    for place, ref, each in described(snapshot):
        before = "" if place == "generator" else f"{ref.component_id} "
        found |= {f"{before}{name}".strip(): value for name, value in leaves(each)}
    return {name: value for name, value in found.items() if value not in (None, (), [], {}, EMPTY)}


_PLAIN: Final = {"generation_prompt_spec": "prompt", "evaluation_prompt_spec": "judge prompt", "candidate_policy": ""}


def differing_settings(runs: Sequence[Mapping[str, JSONValue]]) -> Iterator[dict[str, JSONValue]]:
    """Yield of each run those of its settings that not all have alike, in the order in which they come.

    >>> list(differing_settings([{"model": "m", "temperature": 0}, {"model": "m", "temperature": 1, "top_p": 0.5}]))
    [{'temperature': 0}, {'temperature': 1, 'top_p': 0.5}]
    """
    missing: Any = object()
    names = dict.fromkeys(name for each in runs for name in each)
    told = {name for name in names if any(each.get(name, missing) != runs[0].get(name, missing) for each in runs)}
    for each in runs:
        yield {name: value for name, value in each.items() if name in told}
