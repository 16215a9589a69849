"""Confidence intervals with a formula.

What lives here: intervals of a mean, a proportion, a median and a difference, as functions of counts and
moments. Which of them a metric gets is decided in `estimates` and `pairs`, not here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from themis.pure.stats.arguments import Count, Level, Proportion, Size, checked_arguments, refuse_unless
from themis.pure.stats.distributions import binomial_cdf, normal_quantile, t_quantile
from themis.pure.stats.records import DEFAULT_LEVEL, Interval
from themis.pure.stats.samples import is_constant, mean, variance


@checked_arguments
def wilson_interval(
    proportion: Proportion,
    size: Size,
    *,
    level: Level = DEFAULT_LEVEL,
    critical: Size | None = None,
    method: str = "Wilson score",
) -> Interval:
    """Return Wilson's score interval of a proportion.

    Args:
        proportion: observed share of ones, 0 to 1.
        size: number of independent observations; an effective number need not be whole.
        level: nominal coverage.
        critical: critical value in place of the normal one (Student's t for few clusters).
        method: name to record.

    Source: Wilson (1927), Journal of the American Statistical Association 22, 209-212.

    >>> interval = wilson_interval(0.9, 20)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.699, 0.9721)
    """
    if size <= 0:
        return Interval(level=level, method=method, reason="no scored value")
    z = normal_quantile(0.5 + level / 2.0) if critical is None else critical
    z2 = z * z
    centre = (proportion * size + z2 / 2.0) / (size + z2)
    half = z * math.sqrt(size * proportion * (1.0 - proportion) + z2 / 4.0) / (size + z2)
    low = 0.0 if proportion <= 0.0 else max(0.0, centre - half)
    high = 1.0 if proportion >= 1.0 else min(1.0, centre + half)
    # Rounding must not push an end past the estimate it encloses.
    return Interval(low=min(low, proportion), high=max(high, proportion), level=level, method=method)


@checked_arguments
def t_interval(
    estimate: float,
    standard_error: Size | None,
    degrees_of_freedom: Size,
    *,
    level: Level = DEFAULT_LEVEL,
    method: str = "Student t",
    reason: str | None = None,
) -> Interval:
    """Return `estimate` plus and minus the t quantile times its standard error (Student 1908).

    A standard error that is not defined gives an interval that is not defined, with the given reason.
    """
    if standard_error is None or degrees_of_freedom <= 0:
        return Interval(level=level, method=method, reason=reason or "the standard error is not defined")
    half = t_quantile(0.5 + level / 2.0, degrees_of_freedom) * standard_error
    return Interval(low=estimate - half, high=estimate + half, level=level, method=method)


def _refuse_more_than(pairs: float, discordant: float, where: str) -> None:
    most = pairs * (1.0 + 1e-9)  # effective numbers are rounded
    refuse_unless(discordant <= most, where, "wins + losses", discordant, f"at most the {pairs:g} pairs")


@checked_arguments
def bonett_price_interval(
    wins: Size, losses: Size, pairs: Size, *, level: Level = DEFAULT_LEVEL, critical: Size | None = None
) -> Interval:
    """Return the adjusted Wald interval of a difference between paired proportions.

    Args:
        wins: pairs that went from 0 to 1; effective numbers of pairs need not be whole.
        losses: pairs that went from 1 to 0.
        pairs: all pairs.
        level: nominal coverage.
        critical: critical value in place of the normal one (Student's t for few clusters).

    Source: Bonett and Price (2012), Journal of Educational and Behavioral Statistics 37, 479-488: one is
    added to both discordant counts, two to the pairs.

    >>> interval = bonett_price_interval(15, 5, 100)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.0099, 0.1861)
    """
    _refuse_more_than(pairs, wins + losses, "bonett_price_interval")
    method = "Bonett-Price"
    if pairs <= 0:
        return Interval(level=level, method=method, reason="no pair is scored in both runs")
    size = pairs + 2.0
    up, down = (wins + 1.0) / size, (losses + 1.0) / size
    centre = up - down
    z = normal_quantile(0.5 + level / 2.0) if critical is None else critical
    half = z * math.sqrt((up + down - centre * centre) / size)
    return Interval(low=max(-1.0, centre - half), high=min(1.0, centre + half), level=level, method=method)


CONTINUITY: Final = 0.5
"""Half of the least that wins minus losses can change by: corrected by it, equivalence tests keep their level."""


def tango_score(wins: float, losses: float, pairs: float, difference: float, continuity: float = 0.0) -> float:
    """Return the score statistic of "the difference between paired proportions is `difference`", normal if it is.

    It grows with wins that take the place of ties and falls with such losses, and so do the ends of the interval. With
    p and q the likeliest shares of wins and losses at that difference D, U the score and n the pairs, the equations of
    the likeliest shares give wins = p (n + U (1 - D)) and losses = q (n - U (1 + D)): with losses held, U and q grow
    with wins. Where U is at least 0 the statistic U sqrt((p + q - D^2) / n) then grows; where it is below 0, so does
    (wins - losses - n D) / sqrt(n (p + q - D^2)), which is the same. Losses go by the mirror image. A correction for
    continuity, in pairs, takes so much from the distance wins - losses - n D, and from less than that all: the score is
    then multiplied by what grows with the distance, and goes on to grow with wins.

    Source: Tango (1998), Statistics in Medicine 17, 891-908.

    >>> round(tango_score(15, 5, 100, 0.0), 4)
    2.2361
    """
    distance = wins - losses - pairs * difference
    a = 2.0 * pairs
    b = (a - wins + losses) * difference - wins - losses
    c = -losses * difference * (1.0 - difference)
    root = math.sqrt(max(0.0, b * b - 4.0 * a * c))
    lost = (root - b) / (2.0 * a) if b <= 0.0 else -2.0 * c / (b + root)
    spread = pairs * (2.0 * max(lost, 0.0, -difference) + difference * (1.0 - difference))
    if spread <= 0.0:
        return math.copysign(math.inf, distance) if abs(distance) > continuity else 0.0
    return math.copysign(max(0.0, abs(distance) - continuity), distance) / math.sqrt(spread)


@checked_arguments
def tango_interval(
    wins: Size,
    losses: Size,
    pairs: Size,
    *,
    level: Level = DEFAULT_LEVEL,
    critical: Size | None = None,
    continuity: Size = 0.0,
) -> Interval:
    """Return the score interval of a difference between paired proportions: all differences that its test keeps.

    Args:
        wins: pairs that went from 0 to 1; effective numbers of pairs need not be whole.
        losses: pairs that went from 1 to 0.
        pairs: all pairs.
        level: nominal coverage.
        critical: critical value in place of the normal one (Student's t for few clusters).
        continuity: a correction for continuity, in pairs: half a pair makes the interval cover at least what it says.

    Source: Tango (1998), Statistics in Medicine 17, 891-908.

    >>> interval = tango_interval(0, 5, 44)
    >>> round(interval.low, 4), round(interval.high, 4)
    (-0.2398, -0.0242)
    """
    _refuse_more_than(pairs, wins + losses, "tango_interval")
    method = "Tango score, corrected for continuity" if continuity else "Tango score"
    if pairs <= 0:
        return Interval(level=level, method=method, reason="no pair is scored in both runs")
    critical = normal_quantile(0.5 + level / 2.0) if critical is None else critical
    observed = (wins - losses) / pairs
    low, high = -1.0, observed
    for _ in range(60):  # down to the last bit of a double
        middle = (low + high) / 2.0
        low, high = (middle, high) if tango_score(wins, losses, pairs, middle, continuity) > critical else (low, middle)
    below = low
    low, high = observed, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (
            (low, middle) if tango_score(wins, losses, pairs, middle, continuity) < -critical else (middle, high)
        )
    return Interval(low=below, high=high, level=level, method=method)


def tied_interval(units: float, width: float, *, level: float = DEFAULT_LEVEL) -> Interval:
    """Return an interval of the mean difference of pairs that all tie.

    Were a share s of all pairs not to tie, that many ties would have the chance (1 - s)^units; and no pair can differ
    by more than the width of the scores' range.

    Args:
        units: how many independent pairs, or clusters of them, tie; an effective number need not be whole.
        width: of the range of scores.
        level: nominal coverage.

    Source: Clopper and Pearson (1934), Biometrika 26, 404-413, for no success.

    >>> round(tied_interval(100, 1.0).high, 4)
    0.0362
    """
    half = width * (1.0 - ((1.0 - level) / 2.0) ** (1.0 / units))
    return Interval(low=-half, high=half, level=level, method="exact, as all pairs tie")


@checked_arguments
def newcombe_interval(
    ones_a: Count, size_a: Count, ones_b: Count, size_b: Count, *, level: Level = DEFAULT_LEVEL
) -> Interval:
    """Return Newcombe's hybrid score interval of `p_b - p_a` for independent proportions.

    Source: Newcombe (1998), Statistics in Medicine 17, 873-890, method 10.
    """
    for ones, size in ((ones_a, size_a), (ones_b, size_b)):
        refuse_unless(ones <= size, "newcombe_interval", "a number of ones", ones, f"at most the {size} of its sample")
    method = "Newcombe hybrid score"
    if not size_a or not size_b:
        return Interval(level=level, method=method, reason="one of the samples has no scored value")
    p_a, p_b = ones_a / size_a, ones_b / size_b
    a, b = wilson_interval(p_a, size_a, level=level), wilson_interval(p_b, size_b, level=level)
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Interval(level=level, method=method, reason=a.reason or b.reason)
    difference = p_b - p_a
    low = difference - math.hypot(p_b - b.low, a.high - p_a)
    high = difference + math.hypot(b.high - p_b, p_a - a.low)
    return Interval(low=low, high=high, level=level, method=method)


def welch_terms(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Return the standard error of `mean(b) - mean(a)` and Welch's degrees of freedom; two values each at least.

    Source: Welch (1947), Biometrika 34, 28-35. No variation on either side gives degrees of freedom of 0.
    """
    share_a, share_b = variance(a) / len(a), variance(b) / len(b)
    total = share_a + share_b
    if total == 0.0:
        return 0.0, 0.0
    part_a, part_b = share_a / total, share_b / total
    df = 1.0 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
    return math.sqrt(total), df


def chance_interval(values: Sequence[float], *, level: float = DEFAULT_LEVEL) -> Interval:
    """Return Student's t interval of a mean of chances, to which a chance of 0 and one of 1 are added, cut at 0 and 1.

    Of twenty chances that are mostly 1, the few small ones that make the difference may be missing from the sample: t
    alone covers the mean in half of the cases then, with the two added in more than 95 %, and where chances are spread
    out they change it little. The idea is that of Agresti and Coull (1998), American Statistician 52, 119-126, for
    proportions, and of `bonett_price_interval` for their differences.

    >>> interval = chance_interval([1.0] * 19 + [0.9])
    >>> round(interval.low, 2), interval.high
    (0.86, 1.0)
    """
    method = "Student t, a 0 and a 1 added"
    if len(values) < 2:
        return Interval(level=level, method=method, reason="one value, or none, has no spread")
    more = [*values, 0.0, 1.0]
    centre, error = mean(more), math.sqrt(variance(more) / len(more))
    half = t_quantile(0.5 + level / 2.0, len(more) - 1.0) * error
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # The mean of the values themselves lies within, as an estimate should.
    return Interval(low=min(low, mean(values)), high=max(high, mean(values)), level=level, method=method)


@checked_arguments
def median_interval(values: Sequence[float], *, level: Level = DEFAULT_LEVEL) -> Interval:
    """Return the distribution-free interval of a median from order statistics.

    The narrowest symmetric pair of order statistics whose coverage is at least `level`; below 6 values no
    pair reaches 95 %.

    Source: Conover (1999), Practical Nonparametric Statistics, 3rd ed., section 3.2.
    """
    method = "order statistics (binomial)"
    size = len(values)
    if not size:
        return Interval(level=level, method=method, reason="no scored value")
    tail = (1.0 - level) / 2.0
    if 0.5**size > tail:
        needed = math.ceil(math.log2(1.0 / tail))
        return Interval(
            level=level, method=method, reason=f"{size} values can't reach {level:.0%}; {needed} are needed"
        )
    if is_constant(values):
        return Interval(level=level, method=method, reason="no variation: all values are equal")
    # The largest rank r with P(X < r) <= tail, X ~ Binomial(size, 1/2); r = 1 has it.
    rank = bisect_right(range(size // 2), tail, lo=1, key=lambda below: binomial_cdf(below, size, 0.5))
    ordered = sorted(values)
    return Interval(low=ordered[rank - 1], high=ordered[size - rank], level=level, method=method)


@checked_arguments
def hall_interval(values: Sequence[float], *, level: Level = DEFAULT_LEVEL) -> Interval:
    """Return the skewness-corrected t interval of a mean: what the studentised bootstrap tends to.

    T is carried through Hall's monotone cubic transformation, whose inverse is explicit.

    Source: Hall (1992), Journal of the Royal Statistical Society B 54, 221-228, transformation g1 with the
    estimated skewness of the values; as good to second order as the studentised bootstrap.
    """
    method = "Hall skewness-corrected t"
    if len(values) < 2 or is_constant(values):
        return Interval(level=level, method=method, reason="no variation, or fewer than two values")
    size, centre = len(values), mean(values)
    spread = math.sqrt(math.fsum((v - centre) ** 2 for v in values) / size)
    skewness = math.fsum(((v - centre) / spread) ** 3 for v in values) / size
    error = spread / math.sqrt(size - 1)
    slope, shift = skewness / 3.0, skewness / 6.0
    root = math.sqrt(size)

    def untransformed(y: float) -> float:
        if abs(slope) < 1e-9:
            return y - shift / root
        inner = 1.0 + 3.0 * slope * (y / root - shift / size)
        return root * (math.copysign(abs(inner) ** (1.0 / 3.0), inner) - 1.0) / slope

    z = t_quantile(0.5 + level / 2.0, size - 1.0)
    low, high = centre - error * untransformed(z), centre - error * untransformed(-z)
    return Interval(low=low, high=high, level=level, method=method)
