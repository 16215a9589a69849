"""Confidence sequences: intervals and tests of a mean that stay valid however often one looks.

A fixed-size interval holds the true mean in 95 % of runs if its size was fixed beforehand. Whoever looks again and
again, and stops when it looks good, is wrong far more often. What is here holds it in 95 % of runs at all sizes at
once, so that one may stop at any time, for any reason that the scores or anything else seen so far give.

Conditions. Scores lie in `score_range`, which does not depend on them. They come in an order that does not depend on
them, as a random one does, and each is a draw from one population, or, if `population` is given, all are drawn without
replacement from a finite set of that size, whose own mean the interval is of. Values of one cluster (the samples of a
case, the cases of a document) may depend on each other in any way; clusters are independent. The mean is over values,
as everywhere, not over clusters.

Missing scores count as the lowest for the lower end and as the highest for the upper one. Betting, the normal and the
beta-binomial mixture never have a lower end that falls when a score rises, so whatever the missing scores are, the
interval that they would have made lies within.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.stats.arguments import (
    Level,
    OneOrMore,
    Score,
    ScoreRange,
    checked_arguments,
    refuse_unless,
    same_length,
)
from themis.pure.stats.betting import Tally, Wealth, log_mean, lower_end_without_replacement
from themis.pure.stats.mixtures import (
    TUNED_FOR,
    beta_binomial_low,
    log_beta_binomial,
    log_normal_mixture,
    normal_mixture_width,
)
from themis.pure.stats.records import DEFAULT_ALPHA, DEFAULT_LEVEL, Interval
from themis.pure.stats.sequence_units import Unit, bounds_of, differences, scaled, units_of

SequenceMethod: TypeAlias = Literal["betting", "normal mixture", "beta-binomial"]
Alternative: TypeAlias = Literal["two-sided", "greater", "less"]

_NAMES: Final[Mapping[SequenceMethod, str]] = {
    "betting": "betting, valid at any stop",
    "normal mixture": "normal mixture, valid at any stop",
    "beta-binomial": "beta-binomial mixture, valid at any stop",
}
_LOOKS: Final = 100
"""How often a sequence is looked at if nobody says it."""


@attrs.frozen(kw_only=True)
class Look(HashableModel):
    """What was known when one looked.

    Attributes:
        values: how many values had come, those without a score among them.
        mean: of the scores among them; `None` if there was none.
        interval: that of the true mean, valid at this and all other looks at once.
    """

    values: int
    mean: float | None = None
    interval: Interval


@attrs.frozen(kw_only=True)
class EValue(HashableModel):
    """Evidence against a mean: how much a bet against it would have won.

    Attributes:
        mean: the hypothesis, in the unit of the scores.
        alternative: what was bet on: that the true mean is `greater` or `less` than it, or either (`two-sided`).
        method: how it was bet.
        log_e_value: the natural logarithm of the e-value, which is at least `1 / alpha` at any time with a probability
            of at most `alpha` if the hypothesis is true; `None` if not defined.
        p_value: 1 over the e-value, at most 1: a p-value that is valid at any stop.
        reason: why it is not defined; the p-value is 0 then if the scores rule the hypothesis out, and else 1.
    """

    mean: float
    alternative: Alternative
    method: str
    log_e_value: float | None = None
    p_value: float = 1.0
    reason: str | None = None


# --- intervals --------------------------------------------------------------------------------------------


class Sums:
    """What the interval of a mean rests on, unit by unit, where their order does not matter.

    Args:
        method: how it is made.
    """

    def __init__(self, method: SequenceMethod = "betting") -> None:
        self._method = method
        self._lows, self._highs = Tally(), Tally()
        self._count = 0
        self._low = self._high = 0.0

    def add(self, units: Iterable[Unit]) -> None:
        """Take more units."""
        counts = Counter(units)
        self._count += counts.total()
        if self._method == "betting":
            for unit, count in counts.items():
                self._lows.add((unit.low, unit.weight), count)
                self._highs.add((1.0 - unit.high, unit.weight), count)
            return
        self._low = math.fsum((self._low, *(count * unit.low for unit, count in counts.items())))
        self._high = math.fsum((self._high, *(count * unit.high for unit, count in counts.items())))

    def interval(self, score_range: tuple[float, float], level: float) -> Interval:
        """Return the interval of the mean by now, `score_range` being what 0 and 1 stand for."""
        name = _NAMES[self._method]
        if not self._count:
            return Interval(level=level, method=name, reason="no value")
        low, high = self._ends(1.0 - level)
        return Interval(low=_unscaled(low, score_range), high=_unscaled(high, score_range), level=level, method=name)

    def _ends(self, alpha: float) -> tuple[float, float]:
        count = self._count
        if self._method == "betting":
            return self._lows.lower_end(alpha / 2.0), 1.0 - self._highs.lower_end(alpha / 2.0)
        if self._method == "beta-binomial":
            low = beta_binomial_low(count, round(self._low), alpha)
            return low, 1.0 - beta_binomial_low(count, count - round(self._high), alpha)
        width = normal_mixture_width(count, alpha)
        return max(0.0, self._low / count - width), min(1.0, self._high / count + width)


def interval_of(
    units: Sequence[Unit],
    score_range: tuple[float, float],
    level: float,
    method: SequenceMethod = "betting",
    total: float | None = None,
) -> Interval:
    """Return the interval of the mean of units, valid at any stop.

    Args:
        units: in the order in which they came.
        score_range: what 0 and 1 stand for.
        level: nominal coverage, of all looks at once.
        method: how.
        total: the weight of the whole set, if it is finite and drawn without replacement.
    """
    if total is None or not units:
        sums = Sums(method)
        sums.add(units)
        return sums.interval(score_range, level)
    alpha = (1.0 - level) / 2.0
    low = lower_end_without_replacement([(unit.low, unit.weight) for unit in units], total, alpha)
    high = 1.0 - lower_end_without_replacement([(1.0 - unit.high, unit.weight) for unit in units], total, alpha)
    high = max(low, high)  # once all is drawn they are one number, which the two sums round apart
    return Interval(
        low=_unscaled(low, score_range),
        high=_unscaled(high, score_range),
        level=level,
        method=f"{_NAMES[method]}, without replacement",
    )


def _unscaled(place: float, score_range: tuple[float, float]) -> float:
    low, high = score_range
    return low + (high - low) * place if place < 1.0 else high


@checked_arguments
def anytime_interval(
    values: Sequence[Score],
    *,
    score_range: ScoreRange = (0.0, 1.0),
    level: Level = DEFAULT_LEVEL,
    method: SequenceMethod = "betting",
    clusters: Sequence[Hashable] | None = None,
    largest_cluster: OneOrMore | None = None,
    population: OneOrMore | None = None,
) -> Interval:
    """Return the interval of a mean that is valid whenever one stops.

    Args:
        values: scores in the order in which they came, `None` for one that is missing. The order matters only if
            `population` is given.
        score_range: lowest and highest possible score.
        level: nominal coverage, of all looks at once.
        method: `betting` (Waudby-Smith and Ramdas 2024), for any bounded scores, narrow where they vary little; `normal
            mixture` (Robbins 1970; Howard et al. 2021), wider, as it knows no more than their bounds; `beta-binomial`,
            for 0/1 scores.
        clusters: one key per value; values of one cluster are not independent. By betting alone.
        largest_cluster: how many values a cluster may hold; by default as many as the largest does, and that must not
            depend on the scores.
        population: how many values there are in all, if they are a finite set that is drawn from without replacement:
            the interval is of its mean then, and narrows to nothing as all of it is drawn. By betting alone.

    Raises:
        StatisticsError: a score outside its range, or what a method is not made for.

    >>> interval = anytime_interval([1.0] * 90 + [0.0] * 10)
    >>> round(interval.low, 3), round(interval.high, 3), interval.method
    (0.766, 0.971, 'betting, valid at any stop')
    """
    where = "anytime_interval"
    same_length(where, values=values, clusters=clusters)
    bounds = bounds_of(where, values, score_range)
    units, total = _units(where, bounds, method, clusters, largest_cluster, population)
    return interval_of(units, score_range, level, method, total)


@checked_arguments
def anytime_paired_interval(
    a: Sequence[Score],
    b: Sequence[Score],
    *,
    score_range: ScoreRange = (0.0, 1.0),
    level: Level = DEFAULT_LEVEL,
    method: Literal["betting", "normal mixture"] = "betting",
    clusters: Sequence[Hashable] | None = None,
    largest_cluster: OneOrMore | None = None,
    population: OneOrMore | None = None,
) -> Interval:
    """Return the interval of the mean of `b - a`, pair by pair, that is valid whenever one stops.

    A difference lies between minus and plus the width of the score range. Of a pair that lacks a score, what the other
    one leaves open counts.

    Args:
        a: the first score of each pair, in the order in which they came.
        b: the second score of each pair.
        score_range: lowest and highest possible score.
        level: as for `anytime_interval`; so for all that follows.
        method: how.
        clusters: one key per pair.
        largest_cluster: how many pairs a cluster may hold.
        population: how many pairs there are in all, if they are drawn from a finite set.

    >>> interval = anytime_paired_interval([0.0] * 30 + [1.0] * 170, [1.0] * 30 + [1.0] * 170)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.078, 0.25)
    """
    where = "anytime_paired_interval"
    same_length(where, a=a, b=b, clusters=clusters)
    bounds_of(f"{where} (a)", a, score_range)
    bounds_of(f"{where} (b)", b, score_range)
    bounds = differences(a, b, score_range)
    units, total = _units(where, bounds, method, clusters, largest_cluster, population)
    width = score_range[1] - score_range[0]
    return interval_of(units, (-width, width), level, method, total)


def _units(
    where: str,
    bounds: Sequence[tuple[float, float]],
    method: SequenceMethod,
    clusters: Sequence[Hashable] | None,
    largest: int | None,
    population: int | None,
) -> tuple[list[Unit], float | None]:
    if method != "betting":
        refuse_unless(clusters is None and population is None, where, "method", method, "'betting' with these")
    if method == "beta-binomial":
        is_binary = all(end in (0.0, 1.0) for pair in bounds for end in pair)
        refuse_unless(is_binary, where, "method", method, "'betting', as not all scores are the lowest or the highest")
    units, _, total = units_of(where, bounds, clusters, largest, population)
    return units, total


# --- sequences --------------------------------------------------------------------------------------------


@checked_arguments
def confidence_sequence(
    values: Sequence[Score],
    *,
    every: OneOrMore | None = None,
    running: bool = True,
    score_range: ScoreRange = (0.0, 1.0),
    level: Level = DEFAULT_LEVEL,
    method: SequenceMethod = "betting",
) -> tuple[Look, ...]:
    """Return the interval of a mean at every look: all of them hold it at once, in `level` of runs.

    Args:
        values: scores in the order in which they came, `None` for one that is missing.
        every: how many values come between two looks; by default a hundredth of them. The last look sees all.
        running: intersect each interval with all before it, which is valid as all hold at once, and makes them nested.
            They depend on the order then. An empty intersection, which a true mean allows in 1 - `level` of runs at
            most, is an interval that is not defined, with its reason.
        score_range: as for `anytime_interval`; so for all that follows.
        level: nominal coverage, of all looks at once.
        method: how.

    >>> looks = confidence_sequence([1.0, 0.0] * 100, every=50)
    >>> [(look.values, round(look.interval.low, 3), round(look.interval.high, 3)) for look in looks]
    [(50, 0.272, 0.728), (100, 0.336, 0.664), (150, 0.365, 0.635), (200, 0.381, 0.619)]
    """
    where = "confidence_sequence"
    units, _ = _units(where, bounds_of(where, values, score_range), method, None, None, None)
    step = every or max(1, len(units) // _LOOKS)
    looks: list[Look] = []
    low, high = -math.inf, math.inf
    total, scored = 0.0, 0
    sums = Sums(method)
    for start in range(0, len(units), step):
        seen = min(start + step, len(units))
        scores = [value for value in itertools.islice(values, start, seen) if value is not None]
        total, scored = math.fsum((total, *scores)), scored + len(scores)
        sums.add(units[start:seen])
        interval = sums.interval(score_range, level)
        if running and interval.low is not None and interval.high is not None:
            low, high = max(low, interval.low), min(high, interval.high)
            interval = interval.evolve(low=low, high=high) if low <= high else _empty(interval)
        looks.append(Look(values=seen, mean=total / scored if scored else None, interval=interval))
    return tuple(looks)


def _empty(interval: Interval) -> Interval:
    reason = "the intervals at the looks have no mean in common: the scores are hardly draws from one population"
    return Interval(level=interval.level, method=interval.method, reason=reason)


# --- e-values ---------------------------------------------------------------------------------------------


@checked_arguments
def e_value(
    values: Sequence[Score],
    mean: float,
    *,
    alternative: Alternative = "two-sided",
    score_range: ScoreRange = (0.0, 1.0),
    method: SequenceMethod = "betting",
    clusters: Sequence[Hashable] | None = None,
    largest_cluster: OneOrMore | None = None,
    population: OneOrMore | None = None,
) -> EValue:
    """Return the evidence against a mean, which may be looked at as often as one likes.

    Missing scores count as what speaks most for the hypothesis.

    Args:
        values: scores in the order in which they came, `None` for one that is missing.
        mean: the hypothesis, in the unit of the scores.
        alternative: bet that the true mean is `greater` (against a mean of at most `mean`), `less`, or half of the
            wealth on each. The mixtures are `two-sided`.
        score_range: as for `anytime_interval`; so for all that follows.
        method: how; the normal mixture is tuned for 500 values and a level of 95 %.
        clusters: one key per value.
        largest_cluster: how many values a cluster may hold.
        population: how many values there are in all, if they are drawn from a finite set.

    >>> found = e_value([1.0] * 19 + [0.0], 0.5, alternative="greater")
    >>> round(found.log_e_value, 2), f"{found.p_value:.5f}"
    (4.77, '0.00849')
    """
    where = "e_value"
    same_length(where, values=values, clusters=clusters)
    low, high = score_range
    bounds = bounds_of(where, values, score_range)
    refuse_unless(low <= mean <= high, where, "mean", mean, f"a number from {low:g} to {high:g}, the score_range")
    refuse_unless(method == "betting" or alternative == "two-sided", where, "alternative", alternative, "'two-sided'")
    units, total = _units(where, bounds, method, clusters, largest_cluster, population)
    place = scaled(mean, score_range)[0]
    greater = functools.partial(_log_wealth, [(unit.low, unit.weight) for unit in units], place, total)
    less = functools.partial(_log_wealth, [(1.0 - unit.high, unit.weight) for unit in units], 1.0 - place, total)
    if method != "betting":
        log = _log_mixture(units, place, method)
    elif alternative == "two-sided":
        log = log_mean([greater(), less()])
    else:
        log = greater() if alternative == "greater" else less()
    found = EValue(mean=mean, alternative=alternative, method=_NAMES[method])
    if not math.isfinite(log):
        reason = "the scores rule the hypothesis out" if log > 0.0 else "all that was bet is lost"
        return found.evolve(p_value=0.0 if log > 0.0 else 1.0, reason=reason)
    return found.evolve(log_e_value=log, p_value=math.exp(min(0.0, -log)))


def _log_wealth(units: Sequence[tuple[float, float]], mean: float, total: float | None) -> float:
    wealth = Wealth(mean, total)
    for unit in units:
        wealth.add(*unit)
    return wealth.log


def _log_mixture(units: Sequence[Unit], mean: float, method: SequenceMethod) -> float:
    """Return the least that the mixture can be, whatever missing scores are: its smallest value lies at the mean."""
    count = len(units)
    low, high = math.fsum(unit.low for unit in units), math.fsum(unit.high for unit in units)
    total = min(max(count * mean, low), high)
    if method == "normal mixture":
        return log_normal_mixture(count, total, mean, DEFAULT_ALPHA, TUNED_FOR)
    near = {min(max(each, low), high) for each in (math.floor(total), math.ceil(total))}
    return min(log_beta_binomial(count, int(ones), mean) for ones in near)
