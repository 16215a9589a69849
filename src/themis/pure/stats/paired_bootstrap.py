"""Any statistic of two runs on the same cases: its difference or ratio, by the bootstrap.

The rule of the room: what is drawn with replacement is a case with all that both runs have of it, or a cluster of
cases; so what the runs share is never taken for chance. Differences are `b` minus `a`, ratios `b` over `a`. As in
`resampling`, the same seed gives the same bits, with numpy or without, in any order of rows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.json import EMPTY, FrozenDict, freeze_mapping
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import Level, Resamples, ScoreRange, Seed, checked_arguments, refuse_unless
from themis.pure.stats.distributions import normal_cdf, normal_quantile
from themis.pure.stats.drawn_statistics import (
    MEAN,
    Case,
    Contrast,
    Drawn,
    Matched,
    OfRows,
    OfTotals,
    Quantile,
    Sides,
    Statistic,
    Totals,
    drawn_units,
    matched_cases,
    numbers,
)
from themis.pure.stats.intervals import t_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Interval, SignificanceTest
from themis.pure.stats.resampling import DEFAULT_RESAMPLES
from themis.pure.stats.samples import is_constant, mean, variance
from themis.pure.stats.significance import holm, t_test

Method: TypeAlias = Literal["bca", "studentised", "percentile", "linearised"]

_LINEARISED_FROM: Final = 10_000
"""From this many cases or clusters a statistic of totals is linearised by default: it draws nothing."""

_FEW_UNITS: Final = 20
"""Below this many cases or clusters, too: resamples with next to no spread would stretch a studentised interval."""

_FEW_TOTALS: Final = 4
"""A statistic of more totals than these is not studentised by default: its error within a resample is too unsure."""

_ENOUGH: Final = 0.95
"""The share of resamples for which a statistic must be defined."""

_NO_PAIR: Final = "no case has a value in both runs"


@attrs.frozen(kw_only=True)
class PairedStatistic(HashableModel):
    """A statistic of two runs on the same cases, and how it differs.

    Attributes:
        name: what was measured.
        statistic: what was computed of it.
        contrast: `difference` (b - a), `ratio` (b / a) or `of_differences`: the statistic of each case's own
            difference.
        label_a: what to call the first run.
        label_b: what to call the second run.
        pairs: cases with a value in both runs: the ones that count.
        rows_a: rows of `a` in them; more than `pairs` if cases have several.
        rows_b: the same of `b`.
        unmatched_a: cases that only `a` has.
        unmatched_b: cases that only `b` has.
        unscored: cases that both have but at least one has no value of; left out.
        changed: cases that were left out because their content differs between the runs.
        value_a: the statistic of `a` over the pairs.
        value_b: the same of `b`.
        value: the contrast.
        standard_error: of the contrast: its spread over the resamples.
        interval: of the contrast.
        monte_carlo_low: the standard error of `interval.low` that is due to drawing `resamples` times and no more.
        monte_carlo_high: the same of `interval.high`.
        test: of "no difference": a difference of 0, a ratio of 1; the interval's method, inverted.
        p_holm: its p-value, adjusted over the family of comparisons that was made (Holm 1979).
        family_size: how many comparisons the adjustment is over.
        bias_correction: BCa's z0; `None` with other methods.
        acceleration: BCa's a; `None` with other methods.
        resamples: how many were drawn; `None` if none was.
        undefined_resamples: in how many of these the statistic was not defined.
        seed: of the draws.
        clusters: how many clusters were drawn from; `None` if cases were.
        lowest: the least that the contrast could be, whatever the unscored cases' values are; `None` where that is not
            known.
        highest: the most that it could be.
        undefined: for each figure that is `None`, the reason.
        warnings: what a reader should know.
    """

    name: str
    statistic: str
    contrast: str
    label_a: str = "a"
    label_b: str = "b"
    pairs: int
    rows_a: int
    rows_b: int
    unmatched_a: int = 0
    unmatched_b: int = 0
    unscored: int = 0
    changed: int = 0
    value_a: float | None = None
    value_b: float | None = None
    value: float | None = None
    standard_error: float | None = None
    interval: Interval
    monte_carlo_low: float | None = None
    monte_carlo_high: float | None = None
    test: SignificanceTest
    p_holm: float | None = None
    family_size: int = 1
    bias_correction: float | None = None
    acceleration: float | None = None
    resamples: int | None = None
    undefined_resamples: int = 0
    seed: int = 0
    clusters: int | None = None
    lowest: float | None = None
    highest: float | None = None
    undefined: FrozenDict = attrs.field(default=EMPTY, converter=freeze_mapping)
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@checked_arguments
def paired_statistic(
    rows_a: Iterable[Case],
    rows_b: Iterable[Case],
    statistic: Statistic = "mean",
    *,
    contrast: Contrast = "difference",
    method: Method | None = None,
    clusters: Mapping[str, str] | None = None,
    changed: Collection[str] = (),
    score_range: ScoreRange | None = None,
    level: Level = DEFAULT_LEVEL,
    resamples: Resamples | None = None,
    seed: Seed = 0,
    name: str = "score",
    label_a: str = "a",
    label_b: str = "b",
    vectorised: bool | None = None,
) -> PairedStatistic:
    """Compare any statistic of two runs over the cases that both have.

    Args:
        rows_a: (case key, value) of the first run, a row per sample; `None` is a value that is missing.
        rows_b: the same of the second.
        statistic: of a run's values: `mean`, `median`, `Quantile(0.9)`; `Totals(function)`, for values that are
            sequences of numbers; or any function of a list of values, of any kind, such as the median of their ratios.
        contrast: the `difference` of the two runs' statistics, their `ratio` (both of one sign, and not 0), or the
            statistic `of_differences`, case by case, for which a case's values count as their mean.
        method: of the interval. `studentised` (default of a mean, and of up to four totals) divides each resample by
            its own error, and of ratios takes the logarithm. `bca` (default of the rest) corrects percentiles for bias
            and skewness; `percentile` does not. `linearised` draws nothing: default of a mean and of totals from
            10,000 cases or clusters on, and under 20, unless `resamples` are named.
        clusters: case key -> cluster; clusters are drawn whole, and a case without one is a cluster of its own.
        changed: keys of cases whose content differs between the runs; left out and counted.
        score_range: lowest and highest possible value, for what missing values could change.
        level: nominal coverage.
        resamples: how many; by default 1,999, and 999 where each is resampled itself: `studentised` with a median, a
            quantile or a function of one's own, which is then called 50 times as often.
        seed: of the draws.
        name: what is measured, for the record.
        label_a: the first run's name.
        label_b: the second run's name.
        vectorised: with numpy or without; by default, with it if it is there. The result is the same.

    Conditions: cases, or clusters, are independent. Under 20 of them every bootstrap is too sure. A quantile takes at
    least five cases beyond it, or its interval is too short, and its ends are values that were seen.

    Raises:
        StatisticsError: a value is no number where numbers are needed; or rows of totals are not all of one length.

    Source: Efron (1987), Journal of the American Statistical Association 82, 171-185 (BCa); Hall (1988), Annals of
    Statistics 16, 927-953 (studentised); Davison and Hinkley (1997), Bootstrap Methods and their Application, chapters
    2 and 5; of corpus measures, Koehn (2004), EMNLP, 388-395.

    >>> a = [(f"case {i}", 100.0 + i) for i in range(40)]
    >>> b = [(f"case {i}", 90.0 + i - i % 3) for i in range(40)]
    >>> found = paired_statistic(a, b, "median", name="latency")
    >>> found.value_a, found.value_b, found.value, found.pairs
    (119.5, 108.0, -11.5, 40)
    """
    found = matched_cases(rows_a, rows_b, changed)
    sides = Sides(statistic, contrast)
    base = PairedStatistic(
        name=name,
        statistic=_said(statistic),
        contrast=contrast,
        label_a=label_a,
        label_b=label_b,
        pairs=len(found.keys),
        rows_a=sum(map(len, found.a)),
        rows_b=sum(map(len, found.b)),
        unmatched_a=found.only_a,
        unmatched_b=found.only_b,
        unscored=found.unscored,
        changed=found.changed,
        interval=Interval(level=level, method="none", reason=_NO_PAIR),
        test=SignificanceTest(method="none", reason=_NO_PAIR),
        seed=seed,
        warnings=_left_out(found, label_a, label_b),
    )
    if not found.keys:
        return _undefined(base, _NO_PAIR)
    base = _bounded(base, found, sides, score_range)
    units = drawn_units(found.keys, clusters)
    problem: Drawn
    if isinstance(sides.statistic, Totals):
        problem = OfTotals(found, sides, units, vectorised)
    else:
        problem = OfRows(found, sides, units, vectorised)
    if clusters is not None:
        base = base.evolve(clusters=problem.size)
    value_a, value_b, value = problem.point
    exact = value if contrast == "of_differences" else sides.contrast(value_a, value_b)
    base = base.evolve(value_a=value_a, value_b=value_b, value=sides.shown(exact))
    chosen = method or _usual(problem, resamples)
    smooth = isinstance(sides.statistic, Totals)
    refuse_unless(
        smooth or chosen != "linearised", "paired_statistic", "method", chosen, "of a mean and of totals alone"
    )
    if value is None:
        return _undefined(base, sides.why_undefined(value_a, value_b))
    if problem.size < 2:
        return _undefined(base, f"{problem.size} {'cases' if clusters is None else 'clusters'}: two are needed")
    if chosen == "linearised":
        return _linearised(base, problem, sides)
    if chosen == "studentised":
        return _studentised(base, problem, sides, resamples or (DEFAULT_RESAMPLES if smooth else 999))
    return _percentiles(base, problem, sides, resamples or DEFAULT_RESAMPLES, corrected=chosen == "bca")


def adjusted_statistics(found: Sequence[PairedStatistic]) -> tuple[PairedStatistic, ...]:
    """Adjust the p-values of a family of comparisons of statistics by Holm."""
    adjusted = holm([each.test.p_value for each in found])
    return tuple(each.evolve(p_holm=p, family_size=len(found)) for each, p in zip(found, adjusted, strict=True))


def _usual(problem: Drawn, resamples: int | None) -> Method:
    if not isinstance(problem, OfTotals):
        return "bca"
    if resamples is None and not _FEW_UNITS <= problem.size < _LINEARISED_FROM:
        return "linearised"
    return "studentised" if problem.width <= _FEW_TOTALS else "bca"


def _said(statistic: object) -> str:
    if isinstance(statistic, str):
        return statistic
    if isinstance(statistic, Quantile):
        return f"quantile {statistic.probability:g}"
    return str(getattr(statistic, "name", None) or getattr(statistic, "__name__", "statistic"))


def _left_out(found: Matched, label_a: str, label_b: str) -> Iterator[str]:
    if found.changed:
        yield f"{found.changed} cases were left out: their content differs between the runs"
    if found.unscored:
        yield f"{found.unscored} cases were left out: at least one run has no value of them"
    if found.partial:
        yield f"{found.partial} cases lack some of their values: the others count"
    if found.only_a or found.only_b:
        yield f"{found.only_a} cases are only in {label_a}, {found.only_b} only in {label_b}"


def _undefined(base: PairedStatistic, reason: str) -> PairedStatistic:
    figures = {"value_a": base.value_a, "value_b": base.value_b, "value": base.value}
    gone = [figure for figure, value in figures.items() if value is None]
    return base.evolve(
        interval=base.interval.evolve(reason=reason),
        test=base.test.evolve(reason=reason),
        undefined={**base.undefined, **dict.fromkeys((*gone, "standard_error"), reason)},
    )


# --- intervals --------------------------------------------------------------------------------------------


def _linearised(base: PairedStatistic, problem: Drawn, sides: Sides) -> PairedStatistic:
    value, error = problem.point[2], problem.error()
    method = f"linearised, Student t{_over_clusters(base)}"
    if value is None or not error.standard_error or error.degrees_of_freedom is None:
        return _undefined(base, error.reason or "no variation: every case gives the same")
    interval = t_interval(
        value, error.standard_error, error.degrees_of_freedom, level=base.interval.level, method=method
    )
    test = t_test(value, error.standard_error, error.degrees_of_freedom).evolve(method=f"{method}, of no difference")
    return base.evolve(
        interval=sides.shown_interval(interval), standard_error=_own_scale(error.standard_error, base, sides), test=test
    )


def _own_scale(error: float, base: PairedStatistic, sides: Sides) -> float:
    """Return a standard error of a logarithm as one of the ratio (delta method)."""
    return error * base.value if sides.contrast_name == "ratio" and base.value is not None else error


def _named(base: PairedStatistic, name: str, resamples: int) -> str:
    return f"{name} bootstrap (B={resamples}){_over_clusters(base)}"


def _over_clusters(base: PairedStatistic) -> str:
    return " over clusters" if base.clusters is not None else ""


def _drawn(base: PairedStatistic, method: str, resamples: int, defined: int) -> tuple[PairedStatistic, str | None]:
    gone = resamples - defined
    base = base.evolve(
        resamples=resamples,
        undefined_resamples=gone,
        interval=Interval(level=base.interval.level, method=method),
        test=SignificanceTest(method=f"{method}, inverted", resamples=resamples),
    )
    too_few = defined < max(2.0, _ENOUGH * resamples)
    return base, f"the statistic has no value, or no error, in {gone} of {resamples} resamples" if too_few else None


def _percentiles(
    base: PairedStatistic, problem: Drawn, sides: Sides, resamples: int, *, corrected: bool
) -> PairedStatistic:
    point = problem.drawn_point()
    assert point is not None
    ordered = sorted(value for value in problem.draw(resamples, base.seed) if value is not None)
    method = _named(base, "BCa" if corrected else "percentile", resamples)
    base, reason = _drawn(base, method, resamples, len(ordered))
    if reason is not None or is_constant(ordered):
        return _undefined(base, reason or "no variation: all resamples give the same value")
    base = base.evolve(standard_error=_own_scale(math.sqrt(variance(ordered)), base, sides))
    below = _share_below(ordered, point)
    z0 = acceleration = 0.0
    if corrected:
        if not 0.0 < below < 1.0:
            return _undefined(base, "all resamples lie on one side of the value: its bias can't be told")
        z0, acceleration = normal_quantile(below), _acceleration(problem.left_out())
        base = base.evolve(bias_correction=z0, acceleration=acceleration)
    tail = round((1.0 - base.interval.level) / 2.0, 12)
    places = [_place(chance, z0, acceleration) for chance in (tail, 1.0 - tail)]
    known = [place for place in places if place is not None]
    if len(known) < 2:
        return _undefined(base, "the values are too skewed for BCa")
    low, high = (_order_statistic(ordered, place) for place in known)
    share = below if corrected else None
    errors = [_monte_carlo(ordered, place, share, sides) for place in known]
    warnings = base.warnings
    if min(known[0], 1.0 - known[1]) * (len(ordered) + 1) < 1.0:
        warnings = (*warnings, f"{resamples} resamples are too few for this level: an end is the last of them")
    p_value = _inverted(_share_below(ordered, 0.0), z0, acceleration, len(ordered))
    return base.evolve(
        interval=sides.shown_interval(base.interval.evolve(low=low, high=high)),
        monte_carlo_low=errors[0],
        monte_carlo_high=errors[1],
        test=base.test.evolve(p_value=p_value, statistic=point / math.sqrt(variance(ordered))),
        warnings=warnings,
    )


def _share_below(ordered: Sequence[float], value: float) -> float:
    """Return the share of values below one, ties by half; equal but for rounding is a tie."""
    slack = 1e-12 * max(abs(ordered[0]), abs(ordered[-1]))
    under = sum(each < value - slack for each in ordered)
    up_to = sum(each <= value + slack for each in ordered)
    return (under + up_to) / (2.0 * len(ordered))


def _acceleration(left_out: Sequence[float | None]) -> float:
    """Return a sixth of the skewness of the statistic's influences (Efron 1987, 6.6), from the jackknife."""
    known = [value for value in left_out if value is not None]
    if len(known) < len(left_out) or is_constant(known):
        return 0.0
    centre = mean(known)
    influences = [centre - value for value in known]
    unit = max(map(abs, influences))
    squares = math.fsum((each / unit) ** 2 for each in influences)
    return math.fsum((each / unit) ** 3 for each in influences) / (6.0 * squares * math.sqrt(squares))


def _place(chance: float, z0: float, acceleration: float) -> float | None:
    """Return which quantile of the resamples is BCa's end (Efron 1987, 4.3); `None` past the pole of its formula."""
    shifted = z0 + normal_quantile(chance)
    slope = 1.0 - acceleration * shifted
    return normal_cdf(z0 + shifted / slope) if slope > 0.0 else None


def _order_statistic(ordered: Sequence[float], place: float) -> float:
    # Counted from the nearer end, so that the mirror image of a difference has the mirror image of its interval.
    count = len(ordered)
    rank = round((count + 1) * place) if place < 0.5 else count + 1 - round((count + 1) * (1.0 - place))
    return ordered[min(max(rank, 1), count) - 1]


def _monte_carlo(ordered: Sequence[float], place: float, below: float | None, sides: Sides) -> float | None:
    """Return the standard error of an end that is due to the number of resamples.

    An end is the quantile of the resamples at a place; its error is that of the share of resamples below it over their
    density. With BCa the place moves with the share below the value, too, by twice the ratio of the normal densities.
    """
    count, error = len(ordered), place * (1.0 - place)
    if below is not None and 0.0 < place < 1.0:
        slope = 2.0 * _density(normal_quantile(place)) / _density(normal_quantile(below))
        error += slope**2 * below * (1.0 - below) - 2.0 * slope * (min(place, below) - place * below)
    half = math.sqrt(max(0.0, error) / count)
    low, high = (sides.shown(_order_statistic(ordered, place + way * half)) for way in (-1.0, 1.0))
    return None if low is None or high is None else (high - low) / 2.0


def _density(z: float) -> float:
    return math.exp(-0.5 * z * z)


def _inverted(below: float, z0: float, acceleration: float, count: int) -> float:
    """Return the p-value of 0: the least error rate at which the interval leaves it out; at least 2 / (B + 1)."""
    least = 1.0 / (count + 1)
    if not 0.0 < below < 1.0:
        return 2.0 * least
    w = normal_quantile(min(max(below, least), 1.0 - least)) - z0
    slope = 1.0 + acceleration * w
    z = (w / slope if slope > 0.0 else math.copysign(40.0, w)) - z0
    return min(1.0, max(2.0 * normal_cdf(-abs(z)), 2.0 * least))


def _studentised(base: PairedStatistic, problem: Drawn, sides: Sides, resamples: int) -> PairedStatistic:
    point = problem.drawn_point()
    assert point is not None
    found = [(value, error) for value, error in problem.draw_with_errors(resamples, base.seed) if value is not None]
    draws = [(value, error) for value, error in found if error]
    base, reason = _drawn(base, _named(base, "studentised", resamples), resamples, len(draws))
    if found and is_constant([value for value, _ in found]):
        reason = "no variation: all resamples give the same value"
    if reason is not None:
        return _undefined(base, reason)
    spread = math.sqrt(variance([value for value, _ in draws]))
    # Of totals the linearised error stands for the statistic's own, as it does within the resamples.
    error = problem.error().standard_error or spread
    ordered = sorted((value - point) / own for value, own in draws)
    tail = round((1.0 - base.interval.level) / 2.0, 12)
    low, high = (point - _order_statistic(ordered, chance) * error for chance in (1.0 - tail, tail))
    ends = [_monte_carlo(ordered, chance, None, _PLAIN) or 0.0 for chance in (1.0 - tail, tail)]
    shown = sides.shown_interval(base.interval.evolve(low=low, high=high))
    scales = [1.0 if sides.contrast_name != "ratio" else end or 0.0 for end in (shown.low, shown.high)]
    least = 1.0 / (len(ordered) + 1)
    below = _share_below(ordered, point / error)
    return base.evolve(
        interval=shown,
        standard_error=_own_scale(spread, base, sides),
        monte_carlo_low=ends[0] * error * scales[0],
        monte_carlo_high=ends[1] * error * scales[1],
        test=base.test.evolve(p_value=min(1.0, 2.0 * max(least, min(below, 1.0 - below))), statistic=point / error),
    )


_PLAIN: Final = Sides("mean", "difference")


# --- what is missing --------------------------------------------------------------------------------------


def _bounded(
    base: PairedStatistic, found: Matched, sides: Sides, score_range: tuple[float, float] | None
) -> PairedStatistic:
    """Add the least and the most that the contrast could be: means and quantiles grow with every value."""
    if not found.lacking:
        return base
    if not (sides.statistic is MEAN or isinstance(sides.statistic, Quantile)):
        reason: str | None = "what a missing value would do to this statistic is not known"
    elif sides.own_differences or sides.contrast_name == "ratio":
        reason = f"bounds are those of a difference of two statistics; found {sides.contrast_name!r}"
    elif score_range is None or not all(map(math.isfinite, score_range)):
        reason = "the range of values is not declared"
    else:
        reason = None
    if reason is not None or score_range is None:
        return base.evolve(undefined={**base.undefined, "lowest": reason, "highest": reason})
    ends = {}
    for end, (of_a, of_b) in {"lowest": score_range[::-1], "highest": score_range}.items():
        rows_a = [*(found.a[place] for place in found.complete)]
        rows_b = [*(found.b[place] for place in found.complete)]
        rows_a += [[*a, *[of_a] * missing] for a, missing, _, _ in found.lacking]
        rows_b += [[*b, *[of_b] * missing] for _, _, b, missing in found.lacking]
        ends[end] = sides.contrast(sides.of_cases(numbers(rows_a, "a")), sides.of_cases(numbers(rows_b, "b")))
    return base.evolve(**ends)
