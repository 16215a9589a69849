"""Planning: how large a difference a paired design can find, and how many cases it takes.

What lives here: power, minimum detectable effect and sample size of the paired t test, from the noncentral
t distribution; and the variance of a design with several samples per case. Use it before money is spent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import attrs

from themis.pure.errors import DataError
from themis.pure.records.base import HashableModel
from themis.pure.stats.distributions import noncentral_t_survival, normal_quantile, t_quantile
from themis.pure.stats.records import DEFAULT_ALPHA, DEFAULT_POWER
from themis.pure.stats.samples import mean, variance

_MOST_CASES = 10**9
"""Past this many cases `cases_needed` gives up: the difference is too small to plan for."""


@attrs.frozen(kw_only=True)
class PairedDesign(HashableModel):
    """Two models on the same cases, each sampled one or more times per case. Variances in squared score units.

    Attributes:
        cases: the number of cases both models answer.
        between_variance: variance over cases of the true per-case difference.
        within_variance_a: mean over cases of the variance of one sample of `a`.
        within_variance_b: the same of `b`.
        samples_a: samples per case of `a`.
        samples_b: samples per case of `b`.

    Source: Miller (2024), arXiv 2411.00640, section 5.

    >>> design = PairedDesign(cases=400, between_variance=0.09, within_variance_a=0.1, within_variance_b=0.1)
    >>> round(design.minimum_detectable_effect(), 4)
    0.0756
    >>> round(design.evolve(samples_a=10, samples_b=10).minimum_detectable_effect(), 4)
    0.0466
    """

    cases: int
    between_variance: float
    within_variance_a: float = 0.0
    within_variance_b: float = 0.0
    samples_a: int = 1
    samples_b: int = 1

    @property
    def difference_variance(self) -> float:
        """The variance over cases of the difference of a case's two means."""
        return self.between_variance + self.within_variance_a / self.samples_a + self.within_variance_b / self.samples_b

    @property
    def standard_error(self) -> float:
        """The standard error of the mean difference."""
        return math.sqrt(self.difference_variance / self.cases)

    def power(self, effect: float, *, alpha: float = DEFAULT_ALPHA) -> float:
        """Return the chance that the paired t test finds a true difference of `effect`."""
        return paired_power(effect, cases=self.cases, spread=math.sqrt(self.difference_variance), alpha=alpha)

    def minimum_detectable_effect(self, *, power: float = DEFAULT_POWER, alpha: float = DEFAULT_ALPHA) -> float | None:
        """Return the smallest true difference found with `power`; `None` below two cases."""
        spread = math.sqrt(self.difference_variance)
        return minimum_detectable_effect(cases=self.cases, spread=spread, power=power, alpha=alpha)

    def cases_needed(self, effect: float, *, power: float = DEFAULT_POWER, alpha: float = DEFAULT_ALPHA) -> int | None:
        """Return how many cases find a true difference of `effect` with `power`; `None` if no number does."""
        return cases_needed(effect, spread=math.sqrt(self.difference_variance), power=power, alpha=alpha)


def paired_power(effect: float, *, cases: int, spread: float, alpha: float = DEFAULT_ALPHA) -> float:
    """Return the power of the two-sided paired t test.

    Args:
        effect: true mean difference, in score units.
        cases: number of pairs, at least 2.
        spread: standard deviation of the per-case difference, above 0.
        alpha: error rate, between 0 and 1.

    Raises:
        DataError: fewer than two cases, or a spread that is not above 0.

    Source: Cohen (1988), Statistical Power Analysis, chapter 2; noncentral t by Lenth (1989), AS 243.

    >>> round(paired_power(0.5, cases=34, spread=1.0), 4)
    0.8078
    """
    if cases < 2 or spread <= 0:
        raise DataError(f"power needs cases >= 2 and spread > 0; found cases={cases}, spread={spread}")
    return _t_test_power(effect / spread * math.sqrt(cases), cases - 1, alpha)


def _t_test_power(noncentrality: float, degrees_of_freedom: float, alpha: float = DEFAULT_ALPHA) -> float:
    """Return the power of a two-sided t test whose true difference is `noncentrality` standard errors."""
    critical = t_quantile(1.0 - alpha / 2.0, degrees_of_freedom)
    upper = noncentral_t_survival(critical, degrees_of_freedom, noncentrality)
    lower = noncentral_t_survival(critical, degrees_of_freedom, -noncentrality)
    return min(1.0, upper + lower)


@lru_cache(maxsize=4096)
def detectable_standard_errors(
    degrees_of_freedom: float, power: float = DEFAULT_POWER, alpha: float = DEFAULT_ALPHA
) -> float:
    """Return how many standard errors a true difference must measure to be found with `power`.

    About 2.8 for 80 % at alpha 0.05 with many cases. `power` must be above `alpha`.
    """
    if not alpha < power < 1.0:
        raise DataError(f"power must lie between alpha ({alpha}) and 1; found {power}")
    if degrees_of_freedom > 20_000:
        # The normal answer is right to 1e-4 there: start the bisection around it.
        low = normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power) - 0.1
        low, high = max(0.0, low), low + 0.2
    else:
        low, high = 0.0, 4.0
    while _t_test_power(high, degrees_of_freedom, alpha) < power:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if high - low < 1e-12 * high:
            break
        if _t_test_power(middle, degrees_of_freedom, alpha) < power:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def minimum_detectable_effect(
    *, cases: int, spread: float, power: float = DEFAULT_POWER, alpha: float = DEFAULT_ALPHA
) -> float | None:
    """Return the smallest true mean difference that `cases` pairs find with `power`; `None` below two cases.

    Args:
        cases: number of pairs.
        spread: standard deviation of the per-case difference, in score units.
        power: chance of finding it.
        alpha: error rate.

    Source: Bloom (1995), Evaluation Review 19, 547-556; Miller (2024), arXiv 2411.00640, section 5.

    >>> round(minimum_detectable_effect(cases=100, spread=0.5), 4)
    0.1415
    """
    if cases < 2:
        return None
    return detectable_standard_errors(cases - 1, power, alpha) * spread / math.sqrt(cases)


def cases_needed(
    effect: float, *, spread: float, power: float = DEFAULT_POWER, alpha: float = DEFAULT_ALPHA
) -> int | None:
    """Return the smallest number of pairs that finds a true difference of `effect` with `power`.

    `None` if `effect` is 0, or so small that more than 10^9 pairs would be needed.

    >>> cases_needed(0.5, spread=1.0)
    34
    """
    if effect == 0.0 or spread <= 0.0:
        return None if effect == 0.0 else 2
    normal = (normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power)) * spread / abs(effect)
    if normal > math.sqrt(_MOST_CASES):
        return None
    # The t test never needs fewer than the normal test does, and only a few more.
    count = max(2, math.floor(normal * normal) - 1)
    while _t_test_power(abs(effect) / spread * math.sqrt(count), count - 1, alpha) < power:
        count += 1
    return count


def binary_difference_spread(discordant: float, effect: float = 0.0) -> float:
    """Return the standard deviation of a paired 0/1 difference.

    Args:
        discordant: share of cases that the two models score differently, 0 to 1, at least `abs(effect)`.
        effect: true difference of the two pass rates, -1 to 1.

    Source: the variance of a variable that is 1, 0 or -1; as in McNemar (1947).

    >>> binary_difference_spread(0.25)
    0.5
    """
    if not abs(effect) <= discordant <= 1.0:
        raise DataError(
            f"discordant must lie between |effect| ({abs(effect)}) and 1; found {discordant}: "
            "pass the share of cases on which the models disagree"
        )
    return math.sqrt(discordant - effect * effect)


def design_from_pilot(samples_a: Sequence[Sequence[float]], samples_b: Sequence[Sequence[float]]) -> PairedDesign:
    """Estimate a design's variances from pilot scores: for each case, the samples of `a` and of `b`.

    With one sample per case the within-case variance can't be told apart and stays inside the between-case
    one; then more samples look useless, so pilot with two or more. Samples per case are rounded means.

    Raises:
        DataError: fewer than two cases, unequal numbers of cases, or a case without a sample.

    Source: Miller (2024), arXiv 2411.00640, section 5 (variance decomposition).
    """
    if len(samples_a) != len(samples_b) or len(samples_a) < 2 or not all(map(len, [*samples_a, *samples_b])):
        raise DataError(
            f"a pilot needs the same two or more cases on both sides, each with a sample; found "
            f"{len(samples_a)} and {len(samples_b)} cases"
        )
    differences = [mean(b) - mean(a) for a, b in zip(samples_a, samples_b, strict=True)]
    within_a, noise_a, count_a = _sampling(samples_a)
    within_b, noise_b, count_b = _sampling(samples_b)
    return PairedDesign(
        cases=len(differences),
        # Sampling noise inflates the variance of the observed differences: take it out again.
        between_variance=max(0.0, variance(differences) - noise_a - noise_b),
        within_variance_a=within_a,
        within_variance_b=within_b,
        samples_a=count_a,
        samples_b=count_b,
    )


def _sampling(cases: Sequence[Sequence[float]]) -> tuple[float, float, int]:
    """Return the variance of a sample within its case, what it adds to that of a case's mean, and samples per case."""
    repeated = [samples for samples in cases if len(samples) > 1]
    freedom = sum(len(samples) - 1 for samples in repeated)
    within = math.fsum(variance(samples) * (len(samples) - 1) for samples in repeated) / freedom if repeated else 0.0
    noise = mean([within / len(samples) for samples in cases])
    return within, noise, round(mean([float(len(samples)) for samples in cases]))
