"""Planning: how large a difference a paired design can find, and how many cases it takes. Use it before money is spent.

What lives here: the power, the smallest difference that is found, and the number of cases of the tests that decide
comparisons: McNemar's exact test of 0/1 scores and sign flips of others; and those of the paired t test, which sign
flips come to with some twenty pairs. Exact tests have few p-values: with fewer than six pairs none lies below 0.05, and
with a case more the power may fall. Numbers of cases are the smallest from which on the power stays where it should be.
Within a family of m tests a test is sure of an error rate of alpha / m alone: what Holm's adjustment leaves it if no
other test helps it along.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.stats.arguments import (
    Alpha,
    Count,
    Difference,
    OneOrMore,
    Power,
    Proportion,
    Size,
    check_fields,
    checked_arguments,
    refuse_unless,
    same_length,
)
from themis.pure.stats.distributions import (
    binomial_cdf,
    binomial_pmf,
    noncentral_t_survival,
    normal_cdf,
    normal_quantile,
    t_quantile,
)
from themis.pure.stats.records import DEFAULT_ALPHA, DEFAULT_POWER
from themis.pure.stats.samples import mean, variance

_MOST_CASES = 10**9
"""Past this many cases `cases_needed` gives up: the difference is too small to plan for."""


@attrs.frozen(kw_only=True)
class PairedDesign(HashableModel):
    """Two models on the same cases, each sampled one or more times per case. Variances in squared score units.

    Its power is that of the test that decides, sign flips of the cases' differences, where these are near normal.

    Attributes:
        cases: the number of cases both models answer.
        between_variance: variance over cases of the true per-case difference.
        within_variance_a: mean over cases of the variance of one sample of `a`.
        within_variance_b: the same of `b`.
        samples_a: samples per case of `a`.
        samples_b: samples per case of `b`.
        family: how many tests Holm's adjustment will be over: each metric is one.

    Source: Miller (2024), arXiv 2411.00640, section 5.

    >>> design = PairedDesign(cases=400, between_variance=0.09, within_variance_a=0.1, within_variance_b=0.1)
    >>> round(design.minimum_detectable_effect(), 4)
    0.0756
    >>> round(design.evolve(samples_a=10, samples_b=10).minimum_detectable_effect(), 4)
    0.0466
    """

    cases: Count
    between_variance: Size
    within_variance_a: Size = 0.0
    within_variance_b: Size = 0.0
    samples_a: OneOrMore = 1
    samples_b: OneOrMore = 1
    family: OneOrMore = 1

    def __attrs_post_init__(self) -> None:
        check_fields(self)

    @property
    def difference_variance(self) -> float:
        """The variance over cases of the difference of a case's two means."""
        return self.between_variance + self.within_variance_a / self.samples_a + self.within_variance_b / self.samples_b

    @property
    def standard_error(self) -> float | None:
        """The standard error of the mean difference; `None` without a case."""
        return math.sqrt(self.difference_variance / self.cases) if self.cases else None

    @checked_arguments
    def power(self, effect: float, *, alpha: Alpha = DEFAULT_ALPHA) -> float:
        """Return the chance that a true difference of `effect` is found."""
        return sign_flip_power(
            effect, cases=self.cases, spread=math.sqrt(self.difference_variance), alpha=alpha / self.family
        )

    @checked_arguments
    def minimum_detectable_effect(self, *, power: Power = DEFAULT_POWER, alpha: Alpha = DEFAULT_ALPHA) -> float | None:
        """Return the smallest true difference found with `power`; `None` if there are too few cases to find any."""
        _check_power("PairedDesign.minimum_detectable_effect", power, alpha / self.family)
        errors = detectable_by_sign_flips(self.cases, self.cases - 1.0, power, alpha / self.family)
        return None if errors is None or self.standard_error is None else errors * self.standard_error

    @checked_arguments
    def cases_needed(self, effect: float, *, power: Power = DEFAULT_POWER, alpha: Alpha = DEFAULT_ALPHA) -> int | None:
        """Return how many cases find a true difference of `effect` with `power`; `None` if no number does."""
        _check_power("PairedDesign.cases_needed", power, alpha / self.family)
        return cases_by_sign_flips(effect, math.sqrt(self.difference_variance), power, alpha / self.family)


def _check_power(where: str, power: float, alpha: float) -> None:
    refuse_unless(alpha < power, where, "power", power, f"above the error rate of {alpha:g}, and below 1")


# --- the paired t test ------------------------------------------------------------------------------------


@checked_arguments
def paired_power(effect: float, *, cases: Count, spread: Size, alpha: Alpha = DEFAULT_ALPHA) -> float:
    """Return the power of the two-sided paired t test.

    Args:
        effect: true mean difference, in score units.
        cases: number of pairs, at least 2.
        spread: standard deviation of the per-case difference, above 0.
        alpha: error rate, between 0 and 1.

    Raises:
        StatisticsError: fewer than two cases, or a spread that is not above 0.

    Source: Cohen (1988), Statistical Power Analysis, chapter 2; noncentral t by Lenth (1989), AS 243.

    >>> round(paired_power(0.5, cases=34, spread=1.0), 4)
    0.8078
    """
    refuse_unless(cases >= 2, "paired_power", "cases", cases, "2 or more")
    refuse_unless(spread > 0.0, "paired_power", "spread", spread, "a number above 0")
    return _paired_power(in_deviations(effect, spread), cases, alpha)


def in_deviations(effect: float, spread: float) -> float:
    """Return an effect in standard deviations; of those that any test finds, the number is as good as infinite."""
    return math.copysign(min(abs(effect), 1e9 * spread) / spread, effect)


def t_test_power(noncentrality: float, degrees_of_freedom: float, alpha: float = DEFAULT_ALPHA) -> float:
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
    if degrees_of_freedom > 20_000:
        # The normal answer is right to 1e-4 there: start the bisection around it.
        low = normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power) - 0.1
        low, high = max(0.0, low), low + 0.2
    else:
        low, high = 0.0, 4.0
    while t_test_power(high, degrees_of_freedom, alpha) < power:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if high - low < 1e-12 * high:
            break
        if t_test_power(middle, degrees_of_freedom, alpha) < power:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


@checked_arguments
def minimum_detectable_effect(
    *, cases: Count, spread: Size, power: Power = DEFAULT_POWER, alpha: Alpha = DEFAULT_ALPHA
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
    _check_power("minimum_detectable_effect", power, alpha)
    if cases < 2:
        return None
    return detectable_standard_errors(cases - 1, power, alpha) * spread / math.sqrt(cases)


@checked_arguments
def cases_needed(
    effect: float, *, spread: Size, power: Power = DEFAULT_POWER, alpha: Alpha = DEFAULT_ALPHA
) -> int | None:
    """Return the smallest number of pairs that finds a true difference of `effect` with `power`.

    `None` if `effect` is 0, or so small that more than 10^9 pairs would be needed.

    >>> cases_needed(0.5, spread=1.0)
    34
    """
    _check_power("cases_needed", power, alpha)
    return _fewest_cases(effect, spread, power, alpha, 2, _paired_power)


def _paired_power(ratio: float, cases: int, alpha: float) -> float:
    return t_test_power(ratio * math.sqrt(cases), cases - 1, alpha)


@checked_arguments
def binary_difference_spread(discordant: Proportion, effect: Difference = 0.0) -> float:
    """Return the standard deviation of a paired 0/1 difference.

    Args:
        discordant: share of cases that the two models score differently, 0 to 1, at least `abs(effect)`.
        effect: true difference of the two pass rates, -1 to 1.

    Source: the variance of a variable that is 1, 0 or -1; as in McNemar (1947).

    >>> binary_difference_spread(0.25)
    0.5
    """
    _check_discordant("binary_difference_spread", discordant, effect)
    return math.sqrt(discordant - effect * effect)


def _check_discordant(where: str, discordant: float, effect: float) -> None:
    allowed = f"the share of cases on which the models disagree, from |effect| = {abs(effect):g} to 1"
    refuse_unless(abs(effect) <= discordant, where, "discordant", discordant, allowed)


# --- the tests that decide --------------------------------------------------------------------------------


@checked_arguments
def fewest_pairs(alpha: Alpha = DEFAULT_ALPHA, *, mid_p: bool = False) -> int:
    """Return the smallest number of pairs with which a difference can be significant at all: all must differ one way.

    >>> fewest_pairs(0.05), fewest_pairs(0.05 / 10), fewest_pairs(0.05, mid_p=True)
    (6, 9, 5)
    """
    pairs = 1
    while (1.0 if mid_p else 2.0) * 0.5**pairs > alpha:
        pairs += 1
    return pairs


def _fewest_cases(
    effect: float, spread: float, power: float, alpha: float, least: int, found: Callable[[float, int, float], float]
) -> int | None:
    """Return the smallest number of cases from which on a test's power stays at `power` or above."""
    if effect == 0.0:
        return None
    if spread <= 0.0:
        return least
    ratio = abs(in_deviations(effect, spread))
    normal = (normal_quantile(1.0 - alpha / 2.0) + max(0.0, normal_quantile(power))) / ratio if ratio else math.inf
    if normal > math.sqrt(_MOST_CASES):
        return None
    # No test needs fewer cases than the normal one does, and these only a few more.
    count = max(least, math.floor(((normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power)) / ratio) ** 2) - 1)
    while count < _SMOOTH and any(found(ratio, more, alpha) < power for more in range(count, count + 4)):
        count += 1
    while found(ratio, count, alpha) < power:
        count += 1
    return count


_SMOOTH: Final = 40
"""From so many pairs on, sign flips have so many p-values that their power grows with every pair."""


@checked_arguments
def sign_flip_power(effect: float, *, cases: Count, spread: Size, alpha: Alpha = DEFAULT_ALPHA) -> float:
    """Return the power of the sign-flip test of paired differences that are near normal.

    With n pairs there are 2^(n - 1) pairs of flips. Where alpha leaves one of them, all differences must have one sign.
    Where it leaves a few, the power is simulated (seeded, to within a point); from there on it is that of the t test,
    to within a point, too.

    Args:
        effect: true mean difference, in score units.
        cases: number of pairs.
        spread: standard deviation of the per-case difference, in score units.
        alpha: error rate; in a family of m tests, alpha / m.

    Source: Hoeffding (1952), Annals of Mathematical Statistics 23, 169-192: the power of permutation tests tends to
    that of the t test.

    >>> sign_flip_power(100.0, cases=5, spread=1.0), round(sign_flip_power(0.5, cases=34, spread=1.0), 4)
    (0.0, 0.8078)
    """
    if spread == 0.0:
        return float(effect != 0.0 and cases >= fewest_pairs(alpha))
    return _flips_found(in_deviations(abs(effect), spread), cases, alpha)


@lru_cache(maxsize=4096)
def _flips_found(ratio: float, cases: int, alpha: float) -> float:
    kept = _flips_kept(cases, alpha)
    if kept == 0:
        return 0.0
    if kept == 1:
        return min(1.0, normal_cdf(ratio) ** cases + normal_cdf(-ratio) ** cases)
    if kept <= _SIMULATED and cases <= _SMOOTH:  # of more pairs, more are left than are counted
        return _simulated_flips(ratio, cases, kept)
    return _paired_power(ratio, cases, alpha)


_SIMULATED: Final = 25
_DRAWS: Final = 2000


def _flips_kept(cases: int, alpha: float) -> int:
    """Return how many of the 2^(cases - 1) pairs of flips may be as extreme as what is seen."""
    return math.floor(alpha * 2.0 ** (min(cases, _SMOOTH) - 1) * (1.0 + 1e-12)) if cases else 0


@lru_cache(maxsize=16)
def _normal_draws(cases: int) -> tuple[tuple[float, ...], ...]:
    rng = random.Random(cases)  # noqa: S311  # statistics, not secrets
    return tuple(tuple(rng.gauss(0.0, 1.0) for _ in range(cases)) for _ in range(_DRAWS))


def _simulated_flips(ratio: float, cases: int, kept: int) -> float:
    return sum(_is_extreme([z + ratio for z in draw], kept) for draw in _normal_draws(cases)) / _DRAWS


def _is_extreme(differences: Sequence[float], kept: int) -> bool:
    """Whether at most so many pairs of flips have a sum at least as large: sets of sizes whose sum is that small."""
    sizes = sorted(map(abs, differences))
    least = min(math.fsum(d for d in differences if d > 0.0), -math.fsum(d for d in differences if d < 0.0))
    sums = [0.0]  # of sets that are small enough
    for size in sizes:
        if size > least * (1.0 + 1e-12):
            break
        sums += [total + size for total in sums if total + size <= least * (1.0 + 1e-12)]
        if len(sums) > kept:
            return False
    return True


@lru_cache(maxsize=4096)
def detectable_by_sign_flips(units: int, degrees_of_freedom: float, power: float, alpha: float) -> float | None:
    """Return how many standard errors a true difference must measure for sign flips of so many units to find it.

    The units are pairs, or clusters of them, whose sums are flipped; of clusters of unequal size the degrees of freedom
    are fewer than `units - 1`. `None` if there are too few units to find anything.
    """
    kept = _flips_kept(units, alpha)
    if kept == 0:
        return None
    smooth = detectable_standard_errors(max(degrees_of_freedom, 0.2), power, alpha)
    if kept > _SIMULATED or units > _SMOOTH:
        return smooth
    root = math.sqrt(units)
    return max(smooth, root * _smallest(lambda ratio: _flips_found(ratio, units, alpha) >= power, 0.0, smooth / root))


def _smallest(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return the smallest number from which on a condition holds, to about five digits."""
    while not holds(high):
        low, high = high, 2.0 * high
    while high - low > 1e-5 * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def least_count(holds: Callable[[int], bool], first: int, most: int) -> int | None:
    """Return the smallest whole number from which on a condition holds, from `first` (1 or more) to `most`.

    `None` if it holds for none of them.
    """
    low, high = first - 1, first
    while low < most:
        high = min(high, most)
        if holds(high):
            return bisect.bisect_left(range(high), True, low + 1, key=holds)
        low, high = high, 2 * high
    return None


def cases_by_sign_flips(effect: float, spread: float, power: float, alpha: float) -> int | None:
    return _fewest_cases(effect, spread, power, alpha, fewest_pairs(alpha), _flips_found)


@checked_arguments
def mcnemar_power(
    effect: Difference, *, cases: Count, discordant: Proportion, alpha: Alpha = DEFAULT_ALPHA, mid_p: bool = False
) -> float:
    """Return the power of McNemar's exact test: the chance that it finds a true difference of two pass rates.

    The test is conditional on the number of pairs that differ; the power is its mean over that number.

    Args:
        effect: true difference of the two pass rates, -1 to 1.
        cases: number of pairs.
        discordant: share of pairs that the two models score differently, at least `abs(effect)`.
        alpha: error rate; in a family of m tests, alpha / m.
        mid_p: of the mid-p test.

    Source: Duffy (1984), Biometrics 40, 1005-1015 (exact unconditional power of the exact test).

    >>> round(mcnemar_power(0.1, cases=200, discordant=0.2), 4), mcnemar_power(1.0, cases=5, discordant=1.0)
    (0.8753, 0.0)
    """
    _check_discordant("mcnemar_power", discordant, effect)
    return _mcnemar_found(abs(effect), cases, discordant, alpha, mid_p)


def _mcnemar_found(effect: float, cases: int, discordant: float, alpha: float, mid_p: bool) -> float:
    if cases == 0 or discordant <= 0.0:
        return 0.0
    chance = min(1.0, (1.0 + effect / discordant) / 2.0)  # that a pair that differs is a win
    if discordant >= 1.0:
        return _wins_found(cases, chance, alpha, mid_p)
    centre, reach = cases * discordant, 6.0 * math.sqrt(cases * discordant * (1.0 - discordant)) + 6.0
    first, last = max(0, math.floor(centre - reach)), min(cases, math.ceil(centre + reach))
    # Where there are many, their power hardly changes within a step; an odd one takes even and odd numbers in turn.
    step = max(1, (last - first) // _POINTS) | 1
    counts = range(first, last + 1, step)
    weights = [binomial_pmf(count, cases, discordant) for count in counts]
    found = (weight * _wins_found(count, chance, alpha, mid_p) for count, weight in zip(counts, weights, strict=True))
    return min(1.0, math.fsum(found) / math.fsum(weights))


_POINTS: Final = 200
_COUNTED: Final = 20_000


@lru_cache(maxsize=1 << 16)
def _wins_found(count: int, chance: float, alpha: float, mid_p: bool) -> float:
    """Return the power of the test given how many pairs differ, of which each is a win with a chance of 1/2 or more."""
    most = _most_losses(count, alpha, mid_p)
    if most < 0:
        return 0.0
    if count > _COUNTED:
        spread = math.sqrt(count * chance * (1.0 - chance))
        lost = count * (1.0 - chance)
        return normal_cdf((most + 0.5 - lost) / spread) if spread else float(most >= lost)
    return binomial_cdf(most, count, 1.0 - chance) + binomial_cdf(most, count, chance)


@lru_cache(maxsize=1 << 16)
def _most_losses(count: int, alpha: float, mid_p: bool) -> int:
    """Return the most losses (or wins) among pairs that differ with which the test still finds a difference; or -1."""

    def p_value(losses: int) -> float:
        p = 2.0 * binomial_cdf(losses, count, 0.5)
        return p - binomial_pmf(losses, count, 0.5) if mid_p else p

    if count > _COUNTED:
        return math.floor((count - 1.0 - normal_quantile(1.0 - alpha / 2.0) * math.sqrt(count)) / 2.0)
    if count <= 1000:  # in whole numbers, as the test's own p-value
        losses, ways, total = 0, 1, 1
        while 2 * losses < count and (2 * total - (ways if mid_p else 0)) / (1 << count) <= alpha:
            losses += 1
            ways = ways * (count - losses + 1) // losses
            total += ways
        return losses - 1
    return bisect.bisect_right(range((count + 1) // 2), alpha, key=p_value) - 1


@checked_arguments
def mcnemar_detectable_effect(
    *,
    cases: Count,
    discordant: Proportion,
    power: Power = DEFAULT_POWER,
    alpha: Alpha = DEFAULT_ALPHA,
    mid_p: bool = False,
) -> float | None:
    """Return the smallest true difference of pass rates that McNemar's exact test finds with `power`.

    The power grows with the difference while the share of pairs that differ stays; at a difference beyond that share
    all that differ do so one way. `None` if there are too few pairs to find any. Arguments as `mcnemar_power`.

    >>> round(mcnemar_detectable_effect(cases=200, discordant=0.2), 3)
    0.091
    >>> mcnemar_detectable_effect(cases=5, discordant=0.2) is None
    True
    """
    _check_power("mcnemar_detectable_effect", power, alpha)
    return detectable_by_mcnemar(cases, discordant, power, alpha, mid_p)


@lru_cache(maxsize=4096)
def detectable_by_mcnemar(cases: int, discordant: float, power: float, alpha: float, mid_p: bool) -> float | None:
    if cases < fewest_pairs(alpha, mid_p=mid_p):
        return None

    def found(effect: float) -> bool:
        return _mcnemar_found(effect, cases, max(discordant, effect), alpha, mid_p) >= power

    return min(1.0, _smallest(found, 0.0, 1.0))


@checked_arguments
def mcnemar_cases_needed(
    effect: Difference,
    *,
    discordant: Proportion,
    power: Power = DEFAULT_POWER,
    alpha: Alpha = DEFAULT_ALPHA,
    mid_p: bool = False,
) -> int | None:
    """Return the smallest number of pairs from which on McNemar's exact test finds a true difference with `power`.

    `None` if the difference is 0, or so small that more than 10^9 pairs would be needed. Arguments as `mcnemar_power`.

    >>> mcnemar_cases_needed(0.1, discordant=0.2)
    168
    """
    _check_power("mcnemar_cases_needed", power, alpha)
    _check_discordant("mcnemar_cases_needed", discordant, effect)
    return cases_by_mcnemar(abs(effect), discordant, power, alpha, mid_p)


@lru_cache(maxsize=4096)
def cases_by_mcnemar(effect: float, discordant: float, power: float, alpha: float, mid_p: bool) -> int | None:
    # Connor (1987), Biometrics 43, 207-211, gives where to look.
    least = fewest_pairs(alpha, mid_p=mid_p)
    spread = max(0.0, discordant - effect * effect)
    if effect == 0.0:
        return None
    reach = normal_quantile(1.0 - alpha / 2.0) * math.sqrt(discordant) + normal_quantile(power) * math.sqrt(spread)
    if reach / effect > math.sqrt(_MOST_CASES):
        return None

    def found(cases: int) -> bool:
        return _mcnemar_found(effect, cases, discordant, alpha, mid_p) >= power

    high = max(least, math.ceil((reach / effect) ** 2))
    while not found(high):
        high += max(1, high // 8)
    low = least
    while low < high:  # the least that is found, were the power to grow with every pair
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle + 1, high)
    if high * discordant * (1.0 - discordant) >= 3.0 or high > _COUNTED:
        return high  # the number of pairs that differ varies so much that the jumps of the test average out
    last = high + math.ceil(2.0 * math.sqrt(high) + 10.0 / discordant)
    return next((cases for cases in range(last, least - 1, -1) if not found(cases)), least - 1) + 1


# --- pilots -----------------------------------------------------------------------------------------------


@checked_arguments
def design_from_pilot(samples_a: Sequence[Sequence[float]], samples_b: Sequence[Sequence[float]]) -> PairedDesign:
    """Estimate a design's variances from pilot scores: for each case, the samples of `a` and of `b`.

    With one sample per case the within-case variance can't be told apart and stays inside the between-case
    one; then more samples look useless, so pilot with two or more. Samples per case are rounded means.

    Raises:
        StatisticsError: fewer than two cases, unequal numbers of cases, or a case without a sample.

    Source: Miller (2024), arXiv 2411.00640, section 5 (variance decomposition).
    """
    where = "design_from_pilot"
    same_length(where, samples_a=samples_a, samples_b=samples_b)
    refuse_unless(len(samples_a) > 1, where, "the number of cases", len(samples_a), "2 or more")
    fewest = min(map(len, [*samples_a, *samples_b]))
    refuse_unless(fewest, where, "the number of a case's samples", fewest, "1 or more, of each model")
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
