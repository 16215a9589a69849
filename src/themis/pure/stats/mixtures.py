"""Mixtures with a closed form: e-values and intervals that stay valid however often one looks.

A mixture averages the likelihood ratio of every other mean against the one in question, so that it is an e-value of it:
it reaches `1 / alpha` at any time with a probability of at most `alpha` (Ville 1939). The means for which it is smaller
are an interval that holds the true one at all times at once, with a probability of `1 - alpha`. What is here depends on
the scores' number and sum alone, so not on their order, and takes no time to compute.

Sources: normal mixture: Robbins (1970), Annals of Mathematical Statistics 41, 1397-1409; Howard, Ramdas, McAuliffe and
Sekhon (2021), Annals of Statistics 49, 1055-1080 (proposition 5, and equation 14). Beta-binomial mixture: Robbins
(1970); Howard et al. (2021), section 3.
"""

from __future__ import annotations

import functools
import math
from typing import Final

from themis.pure.stats.betting import refuted

TUNED_FOR: Final = 500
"""After about so many scores the normal mixture's interval is nearest to the narrowest that any could be."""

_VARIANCE: Final = 0.25
"""Scores in 0 to 1 are sub-Gaussian with this variance factor (Hoeffding 1963)."""

_PRIOR: Final = 0.5
"""Both parameters of the beta distribution that the beta-binomial mixture averages over (Jeffreys' prior)."""


def normal_mixture_width(count: int, alpha: float, tuned_for: int = TUNED_FOR) -> float:
    """Return how far the mean of scores in 0 to 1 may be from the true one, at both sides.

    >>> round(normal_mixture_width(500, 0.05), 4)
    0.0679
    """
    variance, rho = count * _VARIANCE, _rho(alpha, tuned_for)
    return math.sqrt((variance + rho) * (math.log((variance + rho) / rho) - 2.0 * math.log(alpha))) / count


def log_normal_mixture(count: int, total: float, mean: float, alpha: float, tuned_for: int = TUNED_FOR) -> float:
    """Return the logarithm of the e-value of a mean, from the number and the sum of scores in 0 to 1.

    >>> round(math.exp(log_normal_mixture(500, 250 + 500 * normal_mixture_width(500, 0.05), 0.5, 0.05)), 6)
    20.0
    """
    variance, rho = count * _VARIANCE, _rho(alpha, tuned_for)
    return (total - count * mean) ** 2 / (2.0 * (variance + rho)) - 0.5 * math.log((variance + rho) / rho)


def _rho(alpha: float, tuned_for: int) -> float:
    # Howard et al. (2021), section 3.5, with the first terms of the Lambert function.
    size = -2.0 * math.log(alpha)
    return tuned_for * _VARIANCE / (size + math.log1p(size))


def log_beta_binomial(count: int, ones: int, mean: float) -> float:
    """Return the logarithm of the e-value of a share, from how many of `count` 0/1 scores are 1.

    >>> round(math.exp(log_beta_binomial(20, 20, 0.5)), 0)
    131461.0
    """
    zeros = count - ones
    if (ones and mean <= 0.0) or (zeros and mean >= 1.0):
        return math.inf
    likelihood = (ones * math.log(mean) if ones else 0.0) + (zeros * math.log1p(-mean) if zeros else 0.0)
    return _log_beta(_PRIOR + ones, _PRIOR + zeros) - _log_beta(_PRIOR, _PRIOR) - likelihood


def beta_binomial_low(count: int, ones: int, alpha: float) -> float:
    """Return the lower end of the interval of a share; the upper one is 1 minus the lower one of the zeros.

    It never falls when a 0 is a 1 instead.

    >>> round(beta_binomial_low(100, 90, 0.05), 4)
    0.7725
    """
    return refuted(functools.partial(log_beta_binomial, count, ones), ones / count, alpha) if count else 0.0


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
