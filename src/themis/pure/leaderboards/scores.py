"""What a leaderboard is made of: the scores of one run by one metric on one benchmark, held as numbers."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence

import attrs

from themis.pure.report.stopped import at_the_stop, not_covered
from themis.pure.stats.arguments import ScoreRange
from themis.pure.stats.estimates import estimate_mean, observed_clusters
from themis.pure.stats.pairs import CaseScores
from themis.pure.stats.records import Estimate
from themis.pure.stopping import Stop


@attrs.define(kw_only=True)
class RunScores:
    """One run's scores by one metric on one benchmark: one for each planned answer, in the order of the plan.

    Attributes:
        run_id: the run.
        score_range: lowest and highest possible score, as the run's report has it.
        higher_is_better: as the metric is read.
        stop: where the run's rule ended it, if it has one.
        is_whole_run: the benchmark is all that the run is of.
        keys: of each answer, the case that it is of; cases of several runs with one key are the same.
        values: the scores; NaN where there is none.
        categories: why there is none, or why an answer that is scored could not be parsed.
    """

    run_id: str
    score_range: ScoreRange | None = None
    stop: Stop | None = None
    is_whole_run: bool = True
    keys: list[str] = attrs.field(factory=list)
    values: array[float] = attrs.field(factory=lambda: array("d"))
    categories: list[str | None] = attrs.field(factory=list)

    def add(self, key: str, value: float | None, category: str | None) -> None:
        """Take the next answer."""
        self.keys.append(key)
        self.values.append(math.nan if value is None else value)
        self.categories.append(category)

    def scores(self) -> Iterator[float | None]:
        """Yield the scores; `None` where there is none."""
        return (None if math.isnan(value) else value for value in self.values)


def cell_estimate(
    parts: Sequence[RunScores], metric_id: str, clusters: Mapping[str, str] | None, level: float
) -> Estimate:
    """Return the estimate of a cell: of one run, the one that its report gives; several are pooled.

    The answers of a case are one cluster, whichever runs they are of, unless a larger one is named.
    """
    keys = [key for part in parts for key in part.keys]
    values = [value for part in parts for value in part.scores()]
    named = observed_clusters(keys, clusters)
    first = parts[0]
    found = estimate_mean(
        values,
        metric_id=metric_id,
        unit="case" if len(keys) <= len(set(keys)) else "answer",
        clusters=named,
        categories=[category for part in parts for category in part.categories],
        score_range=shared_range(parts),
        level=level,
    )
    if all(part.stop is None for part in parts):
        return found
    if len(parts) == 1 and first.stop is not None and first.is_whole_run:
        return at_the_stop(found, values, first.stop, named, first.score_range)
    return not_covered(found)


def shared_range(parts: Sequence[RunScores]) -> tuple[float, float] | None:
    """Return the range of scores that all parts state."""
    ranges = {part.score_range for part in parts}
    return ranges.pop() if len(ranges) == 1 else None


def case_scores(parts: Sequence[RunScores], name: str, prefix: str = "") -> CaseScores:
    """Return the scores by case."""
    rows = [(f"{prefix}{key}", value) for part in parts for key, value in zip(part.keys, part.scores(), strict=True)]
    return CaseScores.of(rows, name)
