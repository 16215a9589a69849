"""Probability distributions with the standard library alone.

What lives here: normal, Student-t (central and not), binomial and the incomplete beta function they rest on.
Everything is a function of plain numbers; nothing here knows what a score is. Accuracy: 1e-9 or better
against SciPy over the ranges that samples of 2 to 1,000,000 need; the tests hold it to that. The one
exception is named in `noncentral_t_survival`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_TINY: Final = 1e-300
_EPSILON: Final = 1e-16
_LARGE: Final = 10.0
"""Where Stirling's series for the gamma function is accurate to double precision."""


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_quantile(probability: float) -> float:
    """Return z with P(Z <= z) = probability, for a probability strictly between 0 and 1.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    return _NORMAL.inv_cdf(probability)


# --- the incomplete beta function -------------------------------------------------------------------------


def _stirling_correction(x: float) -> float:
    # ln Gamma(x) = (x - 1/2) ln x - x + ln(2 pi)/2 + this (Abramowitz and Stegun 1964, 6.1.41), for x >= 10.
    y = 1.0 / (x * x)
    series = 1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y * (1 / 1188 - y * (691 / 360360)))))
    return series / x


def _log_beta(a: float, b: float) -> float:
    """Return ln B(a, b) without the cancellation that differences of large log-gammas suffer.

    Source: Didonato and Morris (1992), ACM TOMS 708, functions `algdiv` and `bcorr`.
    """
    low, high = min(a, b), max(a, b)
    if high < _LARGE:
        return math.lgamma(low) + math.lgamma(high) - math.lgamma(low + high)
    corrections = _stirling_correction(high) - _stirling_correction(low + high)
    if low < _LARGE:
        difference = low - (low + high - 0.5) * math.log1p(low / high) - low * math.log(high)
        return math.lgamma(low) + difference + corrections
    return (
        0.5 * math.log(2.0 * math.pi / low)
        - low * math.log1p(high / low)
        - (high - 0.5) * math.log1p(low / high)
        + _stirling_correction(low)
        + corrections
    )


def _beta_fraction(a: float, b: float, x: float) -> float:
    # Lentz's evaluation of the continued fraction (NIST DLMF 8.17.22).
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    total = d
    for m in range(1, 1_000_000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + step * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + step / c
            c = c if abs(c) > _TINY else _TINY
            total *= d * c
        if abs(d * c - 1.0) < _EPSILON * 4:
            break
    return total


def incomplete_beta(a: float, b: float, x: float, y: float | None = None) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Args:
        a: first shape, above 0.
        b: second shape, above 0.
        x: from 0 to 1.
        y: 1 - x, for callers that know it more precisely than the subtraction gives it.

    Source: NIST DLMF 8.17.

    >>> round(incomplete_beta(2, 3, 0.5), 6)
    0.6875
    """
    y = 1.0 - x if y is None else y
    if x <= 0.0:
        return 0.0
    if y <= 0.0:
        return 1.0
    front = math.exp(a * math.log(x) + b * math.log(y) - _log_beta(a, b))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, y) / b


# --- Student's t ------------------------------------------------------------------------------------------


def t_survival(t: float, df: float) -> float:
    """Return P(T > t) of Student's t with `df` degrees of freedom (Student 1908).

    >>> round(t_survival(2.0, 10), 9)
    0.036694017
    """
    if t < 0:
        return 1.0 - t_survival(-t, df)
    whole = df + t * t
    return 0.5 * incomplete_beta(df / 2.0, 0.5, df / whole, t * t / whole)


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """Return t with P(T <= t) = probability, for a probability strictly between 0 and 1.

    >>> round(t_quantile(0.975, 19), 6)
    2.093024
    """
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -t_quantile(1.0 - probability, df)
    tail = 1.0 - probability
    high = 2.0
    while t_survival(high, df) > tail:
        high *= 2.0
    return _decreasing_root(lambda t: t_survival(t, df) - tail, 0.0, high)


def _decreasing_root(function: Callable[[float], float], low: float, high: float) -> float:
    # Regula falsi with the Illinois correction (Dowell and Jarratt 1971), closed by bisection.
    f_low, f_high = function(low), function(high)
    side = 0
    for _ in range(200):
        middle = (low * f_high - high * f_low) / (f_high - f_low) if f_high != f_low else (low + high) / 2.0
        if not low < middle < high:
            middle = (low + high) / 2.0
        value = function(middle)
        if value == 0.0 or high - low <= 1e-15 * max(1.0, abs(high)):
            return middle
        if value > 0.0:
            low, f_low = middle, value
            f_high, side = (f_high / 2.0, 1) if side == 1 else (f_high, 1)
        else:
            high, f_high = middle, value
            f_low, side = (f_low / 2.0, -1) if side == -1 else (f_low, -1)
    return (low + high) / 2.0


def noncentral_t_survival(t: float, df: float, noncentrality: float) -> float:
    """Return P(T > t) of the noncentral t distribution: the power of a t test.

    Args:
        t: the critical value.
        df: degrees of freedom.
        noncentrality: the true difference over its standard error.

    Source: Lenth (1989), Algorithm AS 243, Applied Statistics 38, 185-189; beyond a noncentrality of 12 the definition,
    integrated, and past 100,000 degrees of freedom the normal approximation of Abramowitz and Stegun (1964, 26.7.10).
    """
    if t < 0.0:
        return 1.0 - noncentral_t_survival(-t, df, -noncentrality)
    # The series has many terms past 12; the integral is as exact there, unless it is over a root of few squares.
    is_smooth = t * t > 2.0 * df or df >= 10.0
    if abs(noncentrality) > (12.0 if is_smooth else 35.0) and df <= 100_000.0:
        return _integrated_t_survival(t, df, noncentrality)
    if abs(noncentrality) > 35.0:
        z = (t * (1.0 - 1.0 / (4.0 * df)) - noncentrality) / math.sqrt(1.0 + t * t / (2.0 * df))
        return normal_cdf(-z)
    x, y = t * t / (df + t * t), df / (df + t * t)
    half = noncentrality * noncentrality / 2.0
    p = 0.5 * math.exp(-half)
    q = math.sqrt(2.0 / math.pi) * p * noncentrality
    remaining = 0.5 - p
    total, j = 0.0, 0
    while True:
        total += p * incomplete_beta(j + 0.5, df / 2.0, x, y) + q * incomplete_beta(j + 1.0, df / 2.0, x, y)
        j += 1
        p *= half / j
        q *= half / (j + 0.5)
        if (remaining < 1e-14 and j > half) or j > 5000:
            break
        remaining -= p
    return min(1.0, max(0.0, normal_cdf(noncentrality) - total))


def _integrated_t_survival(t: float, df: float, noncentrality: float) -> float:
    """Return P(Z + noncentrality > t S), S the root of chi-square over `df`, integrated over the wider of the two.

    The trapezoidal rule is exact to double precision where the other one is smooth over a step.
    """
    if t * t > 2.0 * df:
        step, steps = 0.125, range(-72, 73)
        return math.fsum(
            step * math.exp(-0.5 * (i * step) ** 2) * _chi_square_cdf(df * ((i * step + noncentrality) / t) ** 2, df)
            for i in steps
            if i * step + noncentrality > 0.0
        ) / math.sqrt(2.0 * math.pi)
    step = 0.1 / math.sqrt(2.0 * df)
    constant = math.log(2.0) + df / 2.0 * math.log(df / 2.0) - math.lgamma(df / 2.0)
    return math.fsum(
        step * math.exp(constant + (df - 1.0) * math.log(s) - df * s * s / 2.0) * normal_cdf(noncentrality - t * s)
        for s in (1.0 + i * step for i in range(-100, 101))
        if s > 0.0
    )


def _chi_square_cdf(x: float, df: float) -> float:
    """Return P(X <= x) of chi-square: the regularised incomplete gamma function (NIST DLMF 8.7.1 and 8.9.2)."""
    a, x = df / 2.0, x / 2.0
    if x <= 0.0:
        return 0.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:
        term = total = 1.0 / a
        n = a
        while term > total * _EPSILON:
            n += 1.0
            term *= x / n
            total += term
        return front * total
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    fraction = d
    for i in range(1, 100_000):
        b += 2.0
        an = -i * (i - a)
        d = an * d + b
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = b + an / c
        c = c if abs(c) > _TINY else _TINY
        fraction *= d * c
        if abs(d * c - 1.0) < 4.0 * _EPSILON:
            break
    return 1.0 - front * fraction


def as_p_value(probability: float) -> float:
    """Return a probability as a p-value: at most 1 for all rounding, and never 0, which would claim certainty."""
    return max(5e-324, min(1.0, probability))


# --- the binomial -----------------------------------------------------------------------------------------


def log_choose(many: int, few: int) -> float:
    """Return the logarithm of the number of ways to choose `few` of `many`."""
    return -_log_beta(few + 1.0, many - few + 1.0) - math.log(many + 1.0)


def binomial_cdf(successes: int, trials: int, probability: float) -> float:
    """Return P(X <= successes) for X ~ Binomial(trials, probability).

    >>> binomial_cdf(1, 4, 0.5)
    0.3125
    """
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    if trials <= 1000 and probability == 0.5:
        return sum(math.comb(trials, i) for i in range(successes + 1)) / (1 << trials)
    return incomplete_beta(trials - successes, successes + 1.0, 1.0 - probability, probability)


def binomial_pmf(successes: int, trials: int, probability: float) -> float:
    """Return P(X = successes) for X ~ Binomial(trials, probability), 0 < probability < 1."""
    if not 0 <= successes <= trials:
        return 0.0
    if trials <= 1000 and probability == 0.5:
        return math.comb(trials, successes) / (1 << trials)
    return math.exp(
        log_choose(trials, successes)
        + successes * math.log(probability)
        + (trials - successes) * math.log1p(-probability)
    )


# --- quantiles of the beta and F distributions ------------------------------------------------------------


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Return x with I_x(a, b) = probability, for a probability strictly between 0 and 1.

    >>> round(beta_quantile(0.025, 8, 3), 6)
    0.443905
    """
    mean = a / (a + b)
    spread = math.sqrt(mean * (1.0 - mean) / (a + b + 1.0))
    low = high = mean
    near = max(4.0 * spread, 2.0**-52)  # more than nothing, or there is no getting away from an end
    reach = near
    while low > 0.0 and incomplete_beta(a, b, low) > probability:
        low, reach = max(0.0, mean - reach), 2.0 * reach
    reach = near
    while high < 1.0 and incomplete_beta(a, b, high) < probability:
        high, reach = min(1.0, mean + reach), 2.0 * reach
    return _decreasing_root(lambda x: probability - incomplete_beta(a, b, x), low, high)


def f_survival(f: float, between: float, within: float) -> float:
    """Return P(F > f) of Fisher's F with `between` and `within` degrees of freedom (NIST DLMF 8.17).

    >>> round(f_survival(3.0, 4, 20), 6)
    0.043201
    """
    whole = within + between * f
    return incomplete_beta(within / 2.0, between / 2.0, within / whole, between * f / whole)


def f_quantile(probability: float, between: float, within: float) -> float:
    """Return f with P(F <= f) = probability, for a probability strictly between 0 and 1.

    >>> round(f_quantile(0.95, 4, 20), 4)
    2.8661
    """
    upper = beta_quantile(1.0 - probability, within / 2.0, between / 2.0)  # of within / (within + between f)
    return within * (1.0 - upper) / (between * upper)
