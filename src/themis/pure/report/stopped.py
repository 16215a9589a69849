"""Estimates of a run that its rule ended early: the intervals that are valid at the stop.

A fixed-size interval does not hold what it promises if the scores themselves decide when to stop: neither that of the
metric that the rule is about nor those of others, which go along with it. So each metric that states its score range
has the interval that holds at any stop. All that has none (a metric without a range, averages over groups, means that
labels correct, and what several answers or details say) keeps its interval and says that it does not cover the stop.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Final

from themis.pure.report.labelling import LabelledMetric
from themis.pure.stats import Estimate, anytime_interval
from themis.pure.stats.corrected import CorrectedEstimate
from themis.pure.stats.groups import GroupedEstimate
from themis.pure.stats.several import SeveralAnswers
from themis.pure.stopping import Stop

NOT_COVERED: Final = (
    "the interval is that of a number of cases fixed beforehand, and the run ended when its rule decided: it does not "
    "cover the stop"
)


def at_the_stop(
    estimate: Estimate,
    values: Sequence[float | None],
    stop: Stop,
    clusters: Sequence[Hashable] | None = None,
    score_range: tuple[float, float] | None = None,
) -> Estimate:
    """Return an estimate of a run that may end early with the interval that is valid wherever it ended.

    Args:
        estimate: as if the number of cases had been fixed.
        values: what was estimated.
        stop: where the run ended.
        clusters: one key per value, if they are not independent.
        score_range: lowest and highest possible value, if it is known.
    """
    scored = [value for value in values if value is not None]
    if score_range is None or not all(score_range[0] <= value <= score_range[1] for value in scored):
        return not_covered(estimate)
    if not scored:
        return estimate
    level = estimate.interval.level
    whole = anytime_interval(values, score_range=score_range, level=level, clusters=clusters)
    if estimate.metric_id == stop.metric_id and math.isclose(level, 1.0 - stop.alpha):
        whole = stop.interval
    if not estimate.missing:
        return estimate.evolve(interval=whole)
    keys = None if clusters is None else [key for key, value in zip(clusters, values, strict=True) if value is not None]
    seen = anytime_interval(scored, score_range=score_range, level=level, clusters=keys)
    return estimate.evolve(interval=seen, interval_if_missing=whole)


def not_covered(estimate: Estimate) -> Estimate:
    """Return an estimate that says that its interval does not cover the stop."""
    return estimate.evolve(warnings=(*estimate.warnings, NOT_COVERED)) if estimate.interval.defined else estimate


def groups_not_covered(grouped: GroupedEstimate) -> GroupedEstimate:
    """Return estimates by group that say the same; that over all cases is as it is."""
    groups = [group.evolve(estimate=not_covered(group.estimate)) for group in grouped.groups]
    return grouped.evolve(groups=groups, macro=not_covered(grouped.macro))


def several_not_covered(several: SeveralAnswers) -> SeveralAnswers:
    """Return what several answers say, and that its intervals do not cover the stop."""
    figures = {
        name: [not_covered(each) for each in getattr(several, name)] for name in ("pass_at", "pass_all", "majority")
    }
    return several.evolve(**figures, agreement=not_covered(several.agreement))


def labels_not_covered(labelled: LabelledMetric) -> LabelledMetric:
    """Return what human labels say of a metric, and that the means do not cover the stop."""
    by_rates = labelled.rogan_gladen
    return labelled.evolve(
        corrected=_corrected_not_covered(labelled.corrected),
        rogan_gladen=None if by_rates is None else _corrected_not_covered(by_rates),
    )


def _corrected_not_covered(found: CorrectedEstimate) -> CorrectedEstimate:
    parts = {name: not_covered(getattr(found, name)) for name in ("judge", "labels", "bias")}
    return found.evolve(**parts, warnings=(*found.warnings, NOT_COVERED))
