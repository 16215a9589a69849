"""Planning for two independent samples, such as runs that share no case: power, and how many cases it takes.

Paired designs are in `power`, and take fewer cases wherever the two runs can answer the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

from themis.pure.stats.arguments import (
    LARGEST,
    MOST,
    Alpha,
    Limits,
    Power,
    Proportion,
    checked_arguments,
    refuse_unless,
)
from themis.pure.stats.distributions import binomial_pmf, normal_cdf, normal_quantile
from themis.pure.stats.intervals import welch_terms_of
from themis.pure.stats.power import in_deviations, least_count, t_test_power
from themis.pure.stats.records import DEFAULT_ALPHA, DEFAULT_POWER

SampleSize: TypeAlias = Annotated[int, Limits(f"a whole number from 2 to {MOST:,}", 2, MOST)]
Deviation: TypeAlias = Annotated[float, Limits("a number above 0", 0.0, LARGEST, low_open=True)]
Ratio: TypeAlias = Annotated[float, Limits("a number from 0.001 to 1,000", 1e-3, 1e3)]

_COUNTED: Final = 200
"""Up to this many cases a side, the test is made of every outcome."""

_UNLIKELY: Final = 1e-12


@checked_arguments
def two_proportion_power(
    rate_a: Proportion, rate_b: Proportion, size_a: SampleSize, size_b: SampleSize, *, alpha: Alpha = DEFAULT_ALPHA
) -> float:
    """Return the power of the two-sided score test of two pass rates from different cases (pooled z, chi-square).

    Up to 200 cases a side the power is exact: the chance of all outcomes that the test rejects. Beyond, it is that of
    the normal approximation.

    Args:
        rate_a: the true pass rate of the first.
        rate_b: of the second.
        size_a: how many cases the first has.
        size_b: the second.
        alpha: error rate.

    Source: Pearson (1900); Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, 3rd edition,
    section 4.2.

    >>> round(two_proportion_power(0.6, 0.8, 100, 100), 3)
    0.88
    """
    critical = normal_quantile(1.0 - alpha / 2.0)
    if max(size_a, size_b) > _COUNTED:
        return _normal_power(rate_a, rate_b, size_a, size_b, critical)
    chances_a, chances_b = _likely(rate_a, size_a), _likely(rate_b, size_b)
    found = []
    for a, chance_a in chances_a:
        for b, chance_b in chances_b:
            pooled = (a + b) / (size_a + size_b)
            spread = pooled * (1.0 - pooled) * (1.0 / size_a + 1.0 / size_b)
            if spread > 0.0 and abs(b / size_b - a / size_a) >= critical * math.sqrt(spread) * (1.0 - 1e-12):
                found.append(chance_a * chance_b)
    return min(1.0, math.fsum(found))


def _likely(rate: float, size: int) -> list[tuple[int, float]]:
    if rate in (0.0, 1.0):
        return [(round(rate * size), 1.0)]
    chances = ((count, binomial_pmf(count, size, rate)) for count in range(size + 1))
    return [(count, chance) for count, chance in chances if chance > _UNLIKELY / size]


def _normal_power(rate_a: float, rate_b: float, size_a: int, size_b: int, critical: float) -> float:
    pooled = (size_a * rate_a + size_b * rate_b) / (size_a + size_b)
    null = math.sqrt(pooled * (1.0 - pooled) * (1.0 / size_a + 1.0 / size_b))
    own = math.sqrt(rate_a * (1.0 - rate_a) / size_a + rate_b * (1.0 - rate_b) / size_b)
    gap = abs(rate_b - rate_a)
    if own == 0.0:
        return float(gap > critical * null)
    return normal_cdf((gap - critical * null) / own) + normal_cdf((-gap - critical * null) / own)


@checked_arguments
def two_proportion_cases(
    rate_a: Proportion,
    rate_b: Proportion,
    *,
    power: Power = DEFAULT_POWER,
    alpha: Alpha = DEFAULT_ALPHA,
    ratio: Ratio = 1.0,
) -> tuple[int, int] | None:
    """Return how many cases of each of two independent samples find a difference of pass rates; `None` past 10^9.

    Args:
        rate_a: the true pass rate of the first.
        rate_b: of the second.
        power: chance of finding the difference.
        alpha: error rate.
        ratio: how many cases of the second there are for each of the first.

    The exact power rises in a saw-tooth, so that a few more cases may have a little less: this many, and every larger
    number up to a tenth more, have it.

    Raises:
        StatisticsError: power is not above alpha.

    >>> two_proportion_cases(0.6, 0.8)
    (80, 80)
    """
    refuse_unless(power > alpha, "two_proportion_cases", "power", power, f"above alpha, {alpha}")
    if rate_a == rate_b:
        return None

    def of(size: int) -> float:
        return two_proportion_power(rate_a, rate_b, size, _second(size, ratio), alpha=alpha)

    size = _fewest(of, power, ratio)
    if size is None:
        return None
    if max(size, size * ratio) <= _COUNTED:
        # Up to the last tooth of the saw: from there on no number falls short.
        last = max((n for n in range(2, size + size // 10 + 20) if of(n) < power), default=1)
        size = last + 1
    return size, _second(size, ratio)


def _fewest(power_of: Callable[[int], float], power: float, ratio: float) -> int | None:
    return least_count(lambda size: power_of(size) >= power, 2, math.floor(MOST / max(1.0, ratio)))


def _second(size: int, ratio: float) -> int:
    """Return how many cases the second sample has."""
    return min(MOST, max(2, math.ceil(size * ratio)))


@checked_arguments
def unpaired_power(
    effect: Annotated[float, Limits("a finite number", -LARGEST, LARGEST)],
    size_a: SampleSize,
    size_b: SampleSize,
    *,
    spread_a: Deviation,
    spread_b: Deviation | None = None,
    alpha: Alpha = DEFAULT_ALPHA,
) -> float:
    """Return the power of Welch's two-sided t test of two independent means.

    Args:
        effect: the true difference of the means, in score units.
        size_a: how many cases the first has.
        size_b: the second.
        spread_a: the standard deviation of the first's scores.
        spread_b: of the second's; by default the same.
        alpha: error rate.

    Source: Cohen (1988), Statistical Power Analysis, chapter 2; Welch's degrees of freedom (1947) at the true spreads;
    the noncentral t by Lenth (1989), AS 243.

    >>> round(unpaired_power(0.5, 64, 64, spread_a=1.0), 4)
    0.8015
    """
    spread_b = spread_a if spread_b is None else spread_b
    unit = max(spread_a, spread_b)  # so that no square vanishes
    error, freedom = welch_terms_of((spread_a / unit) ** 2, size_a, (spread_b / unit) ** 2, size_b)
    return t_test_power(in_deviations(effect, unit) / error, freedom, alpha)


@checked_arguments
def unpaired_cases(
    effect: Annotated[float, Limits("a finite number", -LARGEST, LARGEST)],
    *,
    spread_a: Deviation,
    spread_b: Deviation | None = None,
    power: Power = DEFAULT_POWER,
    alpha: Alpha = DEFAULT_ALPHA,
    ratio: Ratio = 1.0,
) -> tuple[int, int] | None:
    """Return how many cases of each of two independent samples find a difference of means; `None` past 10^9, or for 0.

    Args:
        effect: the true difference of the means, in score units.
        spread_a: the standard deviation of the first's scores.
        spread_b: of the second's; by default the same.
        power: chance of finding the difference.
        alpha: error rate.
        ratio: how many cases of the second there are for each of the first.

    Raises:
        StatisticsError: power is not above alpha.

    >>> unpaired_cases(0.5, spread_a=1.0)
    (64, 64)
    """
    refuse_unless(power > alpha, "unpaired_cases", "power", power, f"above alpha, {alpha}")
    if effect == 0.0:
        return None

    def of(size: int) -> float:
        return unpaired_power(effect, size, _second(size, ratio), spread_a=spread_a, spread_b=spread_b, alpha=alpha)

    size = _fewest(of, power, ratio)
    return None if size is None else (size, _second(size, ratio))
