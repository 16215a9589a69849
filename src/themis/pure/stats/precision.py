"""Planning for precision: how many cases make an interval no wider than plus or minus so much.

What lives here: the inversion of the intervals that estimates are given (Wilson's, Student's t, Bonett and Price's), so
that the plan is kept by what will be reported. How many cases a difference takes to be *found* is in `power`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Annotated, Final, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import (
    LARGEST,
    MOST,
    Difference,
    Level,
    Limits,
    OneOrMore,
    Proportion,
    Score,
    checked_arguments,
    refuse_unless,
    same_length,
)
from themis.pure.stats.distributions import normal_quantile, t_quantile
from themis.pure.stats.intervals import wilson_interval
from themis.pure.stats.power import least_count
from themis.pure.stats.records import DEFAULT_LEVEL, Interval
from themis.pure.stats.samples import variance
from themis.pure.stats.variance_components import intraclass_correlation

HalfWidth: TypeAlias = Annotated[float, Limits("a number above 0", 0.0, LARGEST, low_open=True)]
"""Half of an interval's width: the plus or minus."""

Spread: TypeAlias = Annotated[float, Limits("a number of 0 or more", 0.0, LARGEST)]

_FEW_PILOT: Final = 30


@attrs.frozen(kw_only=True)
class PrecisionPlan(HashableModel):
    """How many cases an interval of a given width takes.

    Attributes:
        cases: the fewest that do; `None` if not defined.
        half_width: what was asked for.
        reached: the half width that so many cases are expected to give.
        level: nominal coverage of the interval.
        method: the interval's.
        assumed: what the plan rests on: the proportion, the share of discordant pairs or the standard deviation.
        design_effect: by how much clusters inflate the variance; 1 without clusters.
        clusters: how many clusters of `cluster_size` that makes; `None` without clusters.
        cluster_size: how many cases of a cluster are planned.
        reason: why there is no number.
        warnings: what a reader should know.
    """

    cases: int | None = None
    half_width: float
    reached: float | None = None
    level: float = DEFAULT_LEVEL
    method: str
    assumed: float | None = None
    design_effect: float = 1.0
    clusters: int | None = None
    cluster_size: int | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@checked_arguments
def cases_for_proportion(
    half_width: HalfWidth,
    *,
    proportion: Proportion = 0.5,
    level: Level = DEFAULT_LEVEL,
    cluster_size: OneOrMore = 1,
    correlation: Proportion = 0.0,
) -> PrecisionPlan:
    """Return how many cases give a pass rate to plus or minus so much, by Wilson's interval.

    Args:
        half_width: half of the interval's width: 0.03 for plus or minus 3 points.
        proportion: the pass rate that is expected. At 0.5 the interval is the widest, so that the plan holds whatever
            the rate is.
        level: nominal coverage.
        cluster_size: cases that come in clusters of so many, such as questions on one document.
        correlation: the intraclass correlation within them (`intraclass_correlation`): the design effect is
            1 + (cluster_size - 1) correlation, and the interval has t(G - 1) in place of the normal quantile.

    Source: Wilson (1927), Journal of the American Statistical Association 22, 209-212; clusters: Kish (1965), Survey
    Sampling, section 5.4, and Korn and Graubard (1998), Survey Methodology 24, 193-201.

    >>> cases_for_proportion(0.03).cases, cases_for_proportion(0.03, proportion=0.9).cases
    (1064, 388)
    >>> plan = cases_for_proportion(0.03, cluster_size=5, correlation=0.2)
    >>> plan.cases, plan.clusters, plan.design_effect
    (1930, 386, 1.8)
    """

    def half(effective: float, critical: float) -> float:
        ends = wilson_interval(proportion, effective, level=level, critical=critical)
        return _half(ends)

    base = PrecisionPlan(half_width=half_width, level=level, method="Wilson score", assumed=proportion)
    return _planned(base, half, cluster_size, correlation, least=1, normal=True)


@checked_arguments
def cases_for_difference(
    half_width: HalfWidth,
    *,
    discordant: Proportion,
    difference: Difference = 0.0,
    level: Level = DEFAULT_LEVEL,
) -> PrecisionPlan:
    """Return how many pairs give the difference of two pass rates on the same cases to plus or minus so much.

    Args:
        half_width: half of the width of Bonett and Price's interval.
        discordant: the share of cases that the two runs are expected to score differently.
        difference: the difference that is expected; at 0 the interval is the widest.
        level: nominal coverage.

    Source: Bonett and Price (2012), Journal of Educational and Behavioral Statistics 37, 479-488.

    >>> cases_for_difference(0.03, discordant=0.15).cases
    650
    """
    refuse_unless(
        abs(difference) <= discordant, "cases_for_difference", "discordant", discordant, f"at least |{difference}|"
    )

    def half(pairs: float, critical: float) -> float:
        size = pairs + 2.0
        share = (discordant * pairs + 2.0) / size
        centre = difference * pairs / size
        return critical * math.sqrt(max(0.0, share - centre * centre) / size)

    base = PrecisionPlan(half_width=half_width, level=level, method="Bonett-Price", assumed=discordant)
    return _planned(base, half, 1, 0.0, least=1, normal=True)


@checked_arguments
def cases_for_mean(
    half_width: HalfWidth,
    *,
    spread: Spread | None = None,
    pilot: Sequence[Score] | None = None,
    clusters: Sequence[Hashable] | None = None,
    level: Level = DEFAULT_LEVEL,
    cluster_size: OneOrMore = 1,
    correlation: Proportion = 0.0,
) -> PrecisionPlan:
    """Return how many cases give a mean to plus or minus so much, by Student's t interval.

    For a paired difference, give the spread, or a pilot, of the differences.

    Args:
        half_width: half of the interval's width, in score units.
        spread: the standard deviation of a score.
        pilot: scores of a pilot, in place of `spread`; `None` is a score that is missing, and left out.
        clusters: one key per score of the pilot: then `cluster_size` and `correlation` are those of the pilot, the
            latter not below 0.
        level: nominal coverage.
        cluster_size: cases that come in clusters of so many.
        correlation: the intraclass correlation within them.

    A pilot tells the spread roughly: of 30 cases, to a quarter of itself. Half of all plans are a little short for
    that.

    Raises:
        StatisticsError: neither or both of `spread` and `pilot`; clusters without a pilot, or not one for each score.

    Source: Student (1908), Biometrika 6, 1-25; clusters: Kish (1965), Survey Sampling, section 5.4.

    >>> cases_for_mean(0.1, spread=0.5).cases
    99
    >>> cases_for_mean(0.5, pilot=[3.0, 4.0, 5.0, 3.0, 2.0, 4.0, 4.0, 1.0]).cases
    28
    """
    where = "cases_for_mean"
    refuse_unless((spread is None) != (pilot is None), where, "spread", spread, "either spread or pilot")
    refuse_unless(clusters is None or pilot is not None, where, "clusters", clusters, "None without a pilot")
    base = PrecisionPlan(half_width=half_width, level=level, method="Student t")
    if pilot is not None:
        same_length(where, pilot=pilot, clusters=clusters)
        known = [float(value) for value in pilot if value is not None]
        if len(known) < 2:
            return base.evolve(reason=f"the pilot has {len(known)} scores: two are needed for a spread")
        spread = math.sqrt(variance(known))
        if len(known) < _FEW_PILOT:
            base = base.evolve(warnings=(f"a pilot of {len(known)} scores tells the spread roughly",))
        if clusters is not None:
            found = intraclass_correlation(pilot, clusters)
            if found.value is None or found.weighted_cluster_size is None:
                return base.evolve(reason=f"the pilot's clusters: {found.reason}")
            cluster_size = max(1, round(found.weighted_cluster_size))
            correlation = min(1.0, max(0.0, found.value))
    deviation = spread or 0.0
    base = base.evolve(assumed=deviation)
    return _planned(
        base,
        lambda size, critical: critical * deviation / math.sqrt(size),
        cluster_size,
        correlation,
        least=2,
        normal=False,
    )


def _half(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return (interval.high - interval.low) / 2.0


def _planned(
    base: PrecisionPlan,
    half: Callable[[float, float], float],
    cluster_size: int,
    correlation: float,
    *,
    least: int,
    normal: bool,
) -> PrecisionPlan:
    """Search for the fewest cases: the half width falls as they are added. In whole clusters, if there are any."""
    level, effect = base.level, 1.0 + (cluster_size - 1.0) * correlation
    clustered = cluster_size > 1

    def reached(units: int) -> float:
        cases = units * cluster_size
        if clustered or not normal:
            critical = t_quantile(0.5 + level / 2.0, units - 1.0)
        else:
            critical = normal_quantile(0.5 + level / 2.0)
        return half(cases / effect, critical)

    units = least_count(
        lambda units: reached(units) <= base.half_width, 2 if clustered else least, MOST // cluster_size
    )
    if units is None:
        return base.evolve(design_effect=effect, reason="more than 10^9 cases")
    return base.evolve(
        cases=units * cluster_size,
        reached=reached(units),
        design_effect=effect,
        clusters=units if clustered else None,
        cluster_size=cluster_size if clustered else None,
    )
