"""Effect sizes of two runs on the same cases, with intervals: how large a difference is, on a scale of its own.

The rule of the room: cases are pairs, `values_a[i]` and `values_b[i]` of one case; a case that lacks either score is
left out and counted. Signs are as elsewhere: an effect above 0 says that `b` scores higher.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import Count, Level, Score, checked_arguments, refuse_unless, same_length
from themis.pure.stats.distributions import noncentral_t_survival
from themis.pure.stats.exact_bounds import exact_interval
from themis.pure.stats.intervals import welch_terms
from themis.pure.stats.linearised import LinearisedError, linearised_error, transformed_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Interval
from themis.pure.stats.samples import CompletePairs, is_constant, mean, variance

Standardiser: TypeAlias = Literal["difference", "average"]

_NO_PAIR: Final = "no case is scored in both runs"


@attrs.frozen(kw_only=True)
class EffectSize(HashableModel):
    """One effect size of `b` over `a`.

    Attributes:
        name: which effect size.
        value: `None` if not defined.
        interval: its confidence interval.
        pairs: cases that both runs scored: what `value` is of; of discordant pairs, their number, and of independent
            samples, the scores of the first.
        left_out: cases that lack a score in either run.
        statistic: what the interval rests on: t for Cohen's d, the wins for the odds ratio, the estimate over its error
            otherwise.
        degrees_of_freedom: of the statistic; `None` where the interval is exact or normal.
        clusters: how many clusters; `None` if cases count as independent.
        reason: why `value` is not defined.
        warnings: what a reader should know.
    """

    name: str
    value: float | None = None
    interval: Interval
    pairs: int
    left_out: int = 0
    statistic: float | None = None
    degrees_of_freedom: float | None = None
    clusters: int | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


def _paired(
    where: str, values_a: Sequence[Score], values_b: Sequence[Score], clusters: Sequence[Hashable] | None
) -> CompletePairs:
    same_length(where, values_a=values_a, values_b=values_b, clusters=clusters)
    return CompletePairs.of(values_a, values_b, clusters)


def _effect(
    name: str,
    paired: CompletePairs,
    value: float | None,
    interval: Interval,
    *,
    error: LinearisedError | None = None,
    statistic: float | None = None,
    reason: str | None = None,
) -> EffectSize:
    found = error or LinearisedError()
    if statistic is None and value is not None and found.standard_error:
        statistic = value / found.standard_error
    return EffectSize(
        name=name,
        value=value,
        interval=interval if reason is None else interval.evolve(reason=reason),
        pairs=len(paired.a),
        left_out=paired.left_out,
        statistic=statistic,
        degrees_of_freedom=found.degrees_of_freedom,
        clusters=found.clusters,
        reason=reason,
    )


# --- Cohen's d --------------------------------------------------------------------------------------------


@checked_arguments
def cohen_d(
    values_a: Sequence[Score],
    values_b: Sequence[Score],
    *,
    standardiser: Standardiser = "difference",
    corrected: bool = False,
    level: Level = DEFAULT_LEVEL,
) -> EffectSize:
    """Return Cohen's d of paired scores: the mean difference in standard deviations.

    The interval is exact for normal differences: the noncentral t distributions that put the observed t at their tails.

    Args:
        values_a: the first run's score of each case.
        values_b: the second's.
        standardiser: the standard deviation of the `difference` (d_z, what a paired test sees), or the root of the
            `average` variance of the two runs (d_av, which compares with unpaired studies).
        corrected: Hedges' correction of the bias in small samples, of value and interval.
        level: nominal coverage.

    Source: Cohen (1988), Statistical Power Analysis, section 2.3.5; intervals: Cumming and Finch (2001), Educational
    and Psychological Measurement 61, 532-574, and for d_av Algina and Keselman (2003), the same 63, 537-553; Hedges
    (1981), Journal of Educational Statistics 6, 107-128.

    >>> effect = cohen_d([0.1, 0.4, 0.3, 0.6, 0.2], [0.3, 0.5, 0.7, 0.7, 0.4])
    >>> round(effect.value, 3), round(effect.interval.low, 3), round(effect.interval.high, 3)
    (1.633, 0.204, 2.999)
    """
    name = f"Cohen's {'d_z' if standardiser == 'difference' else 'd_av'}{' (Hedges)' if corrected else ''}"
    method = "noncentral t" if standardiser == "difference" else "noncentral t (Algina-Keselman)"
    none = Interval(level=level, method=method)
    paired = _paired("cohen_d", values_a, values_b, None)
    size = len(paired.a)
    if size < 2:
        return _effect(name, paired, None, none, reason=_NO_PAIR if not size else "one pair has no spread")
    differences = [b - a for a, b in zip(paired.a, paired.b, strict=True)]
    scale = max(map(abs, (*paired.a, *paired.b)))
    if is_constant(differences, scale):
        return _effect(name, paired, None, none, reason="no variation: every pair differs by the same amount")
    spread, freedom = math.sqrt(variance(differences)), size - 1.0
    unit = spread if standardiser == "difference" else math.sqrt((variance(paired.a) + variance(paired.b)) / 2.0)
    factor = spread / unit * (_hedges(freedom) if corrected else 1.0) / math.sqrt(size)
    t = mean(differences) / spread * math.sqrt(size)
    ends = _noncentralities(t, freedom, level)
    interval = none.evolve(low=factor * ends[0], high=factor * ends[1])
    found = LinearisedError(degrees_of_freedom=freedom)
    return _effect(name, paired, factor * t, interval, error=found, statistic=t)


def _hedges(freedom: float) -> float:
    return math.exp(math.lgamma(freedom / 2.0) - math.lgamma((freedom - 1.0) / 2.0)) / math.sqrt(freedom / 2.0)


def _noncentralities(t: float, freedom: float, level: float) -> tuple[float, float]:
    """Return the noncentralities under which a t as large, or as small, has half of the error each."""
    tail = (1.0 - level) / 2.0

    def root(chance: float) -> float:
        # P(T > t) grows with the noncentrality.
        reach = 2.0 + abs(t)
        low, high = t - reach, t + reach
        while noncentral_t_survival(t, freedom, low) > chance:
            low -= reach
        while noncentral_t_survival(t, freedom, high) < chance:
            high += reach
        for _ in range(200):
            middle = (low + high) / 2.0
            if high - low <= 1e-12 * max(1.0, abs(t)):
                break
            low, high = (middle, high) if noncentral_t_survival(t, freedom, middle) < chance else (low, middle)
        return (low + high) / 2.0

    return root(tail), root(1.0 - tail)


# --- shares of 0/1 scores ---------------------------------------------------------------------------------


@checked_arguments
def cohen_h(
    values_a: Sequence[Score],
    values_b: Sequence[Score],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: Level = DEFAULT_LEVEL,
) -> EffectSize:
    """Return Cohen's h of two pass rates on the same cases: the difference of `2 asin(sqrt(p))`, from -pi to pi.

    The variance of h is about 2 (1 - phi) / n with phi the correlation of the two runs' scores: the linearisation of h.
    Where a run has all right or all wrong, phi is not defined and counts as 0, as in independent samples. Good from
    about five right and five wrong answers in each run.

    Args:
        values_a: the first run's 0 or 1 of each case.
        values_b: the second's.
        clusters: one key per case.
        level: nominal coverage.

    Raises:
        StatisticsError: a score is neither 0 nor 1.

    Source: Cohen (1988), Statistical Power Analysis, section 6.2; the variance by the delta method, Freeman and Tukey
    (1950), Annals of Mathematical Statistics 21, 607-611.

    >>> effect = cohen_h([1.0] * 50 + [0.0] * 50, [1.0] * 70 + [0.0] * 30)
    >>> round(effect.value, 3), round(effect.interval.low, 3), round(effect.interval.high, 3)
    (0.412, 0.246, 0.577)
    """
    name, none = "Cohen's h", Interval(level=level, method="linearised arcsine, Student t")
    paired = _paired("cohen_h", values_a, values_b, clusters)
    wrong = next((value for value in (*paired.a, *paired.b) if value not in (0.0, 1.0)), None)
    refuse_unless(wrong is None, "cohen_h", "a score", wrong, "0 or 1")
    if not paired.a:
        return _effect(name, paired, None, none, reason=_NO_PAIR)
    rate_a, rate_b = mean(paired.a), mean(paired.b)
    value = 2.0 * (math.asin(math.sqrt(rate_b)) - math.asin(math.sqrt(rate_a)))
    size = len(paired.a)
    if is_constant(paired.a) or is_constant(paired.b):
        if clusters is not None:
            untold = none.evolve(reason="a run whose scores are all equal shows no clusters")
            return _effect(name, paired, value, untold)
        # As independent samples of one per case, each of variance 1 / n.
        found = LinearisedError(standard_error=math.sqrt(2.0 / size), degrees_of_freedom=max(1.0, size - 1.0))
    else:
        influences = [
            (b - rate_b) / math.sqrt(rate_b * (1.0 - rate_b)) - (a - rate_a) / math.sqrt(rate_a * (1.0 - rate_a))
            for a, b in zip(paired.a, paired.b, strict=True)
        ]
        found = linearised_error(influences, paired.clusters)
    interval = transformed_interval(value, found, level=level, method=none.method, to=float, slope=1.0, back=_angle)
    return _effect(name, paired, value, interval, error=found)


def _angle(value: float) -> float:
    return min(math.pi, max(-math.pi, value))


_ODDS: Final = "odds of the Clopper-Pearson ends"


@checked_arguments
def discordant_odds_ratio(wins: Count, losses: Count, *, level: Level = DEFAULT_LEVEL) -> EffectSize:
    """Return the odds ratio of discordant pairs: how many pairs `b` won for each that it lost.

    Given how many pairs are discordant, the wins are binomial, and the exact interval of their share s is one of the
    odds s / (1 - s). It holds 1 exactly where the exact McNemar test at 1 - level finds nothing.

    Args:
        wins: pairs that went from wrong to right.
        losses: pairs that went from right to wrong; if there is none, the upper end is not finite, and neither is
            given: the reason says what the lower one is.
        level: nominal coverage, which is exceeded.

    Source: Breslow and Day (1980), Statistical Methods in Cancer Research I, section 5.2; Clopper and Pearson (1934).

    >>> effect = discordant_odds_ratio(15, 5)
    >>> effect.value, round(effect.interval.low, 3), round(effect.interval.high, 2)
    (3.0, 1.036, 10.55)
    """
    pairs = wins + losses
    share, interval = exact_interval(wins, pairs, level=level), Interval(level=level, method=_ODDS)
    reason = None
    if not pairs:
        reason = "no pair is discordant"
    elif not losses:
        least = (share.low or 0.0) / max(1.0 - (share.low or 0.0), 1e-300)
        reason = f"no pair is lost: the odds have no finite upper end; they are at least {least:.4g}"
    if reason is not None or share.low is None or share.high is None:
        interval = interval.evolve(reason=reason)
    else:
        interval = interval.evolve(low=share.low / (1.0 - share.low), high=share.high / (1.0 - share.high))
    return EffectSize(
        name="odds ratio of discordant pairs",
        value=wins / losses if losses else None,
        interval=interval,
        pairs=pairs,
        statistic=float(wins),
        reason=reason,
    )


# --- Cliff's delta ----------------------------------------------------------------------------------------


@checked_arguments
def cliff_delta(
    values_a: Sequence[Score],
    values_b: Sequence[Score],
    *,
    paired: bool = True,
    clusters: Sequence[Hashable] | None = None,
    level: Level = DEFAULT_LEVEL,
) -> EffectSize:
    """Return Cliff's delta: the chance that a score of `b` exceeds one of `a`, less the chance that it is below.

    From -1 (every score of `b` is below every one of `a`) to 1; ties count for neither. It needs an order of the scores
    alone, so suits ranks and grades. The interval is of `atanh(delta)`, with the error of a U statistic's
    linearisation; of paired scores each case moves it once, by both of its scores.

    Args:
        values_a: the first run's scores.
        values_b: the second's; one per case in the same order, if `paired`.
        paired: whether the scores are of the same cases; otherwise the two are independent samples.
        clusters: one key per case, if `paired`.
        level: nominal coverage.

    Source: Cliff (1993), Psychological Bulletin 114, 494-509; Cliff (1996), Multivariate Behavioral Research 31,
    331-350, for dependent scores; Hoeffding (1948), Annals of Mathematical Statistics 19, 293-325.

    >>> effect = cliff_delta([1, 2, 2, 3, 4, 4], [2, 3, 3, 4, 5, 4])
    >>> round(effect.value, 3), effect.pairs
    (0.389, 6)
    """
    method = "U statistic, Fisher z" + ("" if paired else ", independent samples")
    name, none = "Cliff's delta", Interval(level=level, method=method)
    if paired:
        data = _paired("cliff_delta", values_a, values_b, clusters)
    else:
        refuse_unless(clusters is None, "cliff_delta", "clusters", clusters, "None, for samples that are not paired")
        a, b = ([float(v) for v in values if v is not None] for values in (values_a, values_b))
        data = CompletePairs(a, b, None, len(values_a) + len(values_b) - len(a) - len(b))
    if not data.a or not data.b:
        return _effect(name, data, None, none, reason=_NO_PAIR if paired else "one of the samples has no scored value")
    over_a, over_b = _dominance(data.a), _dominance(data.b)
    of_b = [over_a(value) for value in data.b]
    of_a = [-over_b(value) for value in data.a]
    value = mean(of_b)
    if paired:
        error = linearised_error([x + y for x, y in zip(of_a, of_b, strict=True)], data.clusters)
    else:
        error = _independent(of_a, of_b)
    if abs(value) >= 1.0 - 1e-12:
        reason = "the scores do not overlap: the error of a delta of 1 or -1 can't be told"
        return _effect(name, data, value, none.evolve(reason=reason), error=LinearisedError(clusters=error.clusters))
    slope = 1.0 / (1.0 - value * value)
    interval = transformed_interval(
        value, error, level=level, method=method, to=math.atanh, slope=slope, back=math.tanh
    )
    return _effect(name, data, value, interval, error=error)


def _dominance(values: Sequence[float]) -> Callable[[float], float]:
    """Return how much a value exceeds others: the share that it is above, less the share that it is below."""
    ordered = sorted(values)
    return lambda value: (bisect_left(ordered, value) + bisect_right(ordered, value) - len(ordered)) / len(ordered)


def _independent(of_a: Sequence[float], of_b: Sequence[float]) -> LinearisedError:
    if min(len(of_a), len(of_b)) < 2:
        return LinearisedError(reason="a sample of one value has no spread")
    error, freedom = welch_terms(of_a, of_b)
    if error == 0.0:
        return LinearisedError(reason="no variation between the cases")
    return LinearisedError(standard_error=error, degrees_of_freedom=freedom)
