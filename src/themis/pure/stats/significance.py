"""Tests of "no difference" with a formula, and what many of them at once demand.

What lives here: McNemar, sign and Wilcoxon tests, t and score tests, and Holm's and Benjamini-Hochberg's adjustments.
All p-values are two-sided and above 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from themis.pure.stats.arguments import Count, Proportion, Size, checked_arguments, refuse_unless
from themis.pure.stats.distributions import as_p_value, binomial_cdf, binomial_pmf, normal_cdf, t_survival
from themis.pure.stats.records import SignificanceTest

_WILCOXON_EXACT: Final = 50
"""Up to this many nonzero differences the signed-rank distribution is counted out."""


def _two_sided_binomial(successes: int, trials: int) -> float:
    return as_p_value(2.0 * binomial_cdf(min(successes, trials - successes), trials, 0.5))


@checked_arguments
def mcnemar_test(wins: Count, losses: Count, *, mid_p: bool = False) -> SignificanceTest:
    """Test paired 0/1 scores by their discordant pairs.

    Args:
        wins: pairs that went from 0 to 1.
        losses: pairs that went from 1 to 0.
        mid_p: count only half of the observed outcome's probability, which is less conservative but does not
            guarantee the error rate; the method's name says so.

    Source: McNemar (1947), Psychometrika 12, 153-157; mid-p: Fagerland, Lydersen and Laake (2013), BMC
    Medical Research Methodology 13, 91.

    >>> mcnemar_test(8, 2).p_value
    0.109375
    """
    method = "McNemar mid-p" if mid_p else "McNemar exact"
    discordant = wins + losses
    if not discordant:
        return SignificanceTest(method=method, reason="no pair differs")
    p_value = _two_sided_binomial(wins, discordant)
    if mid_p:
        # Half of all that is exactly as extreme: two outcomes, or the single middle one.
        atom = binomial_pmf(wins, discordant, 0.5)
        p_value = 1.0 - atom / 2.0 if wins == losses else as_p_value(p_value - atom)
    return SignificanceTest(method=method, p_value=p_value, statistic=float(min(wins, losses)))


@checked_arguments
def sign_test(wins: Count, losses: Count) -> SignificanceTest:
    """Test whether wins and losses are equally likely; ties are left out.

    Source: Dixon and Mood (1946), Journal of the American Statistical Association 41, 557-566.

    >>> sign_test(9, 1).p_value
    0.021484375
    """
    if not wins + losses:
        return SignificanceTest(method="sign test (exact)", reason="no pair differs")
    p_value = _two_sided_binomial(wins, wins + losses)
    return SignificanceTest(method="sign test (exact)", p_value=p_value, statistic=float(wins))


@checked_arguments
def wilcoxon_test(differences: Sequence[float]) -> SignificanceTest:
    """Return Wilcoxon's signed-rank test; zero differences are left out, tied sizes share their mean rank.

    Up to `_WILCOXON_EXACT` nonzero differences the p-value is exact, ties included; above, it is the normal
    approximation with the variance corrected for ties. Its statistic is the smaller rank sum.

    Source: Wilcoxon (1945), Biometrics Bulletin 1, 80-83; ties: Pratt and Gibbons (1981), Concepts of
    Nonparametric Theory, chapter 3.
    """
    nonzero = [value for value in differences if value]
    count = len(nonzero)
    if not count:
        return SignificanceTest(method="Wilcoxon signed-rank", reason="no pair differs")
    doubled, tie_term = _doubled_ranks(list(map(abs, nonzero)))
    positive = sum(rank for rank, value in zip(doubled, nonzero, strict=True) if value > 0)
    total = count * (count + 1)
    smaller = min(positive, total - positive)
    statistic = smaller / 2.0
    if count <= _WILCOXON_EXACT:
        counts = _subset_sum_counts(doubled)
        p_value = min(1.0, 2 * sum(counts[: smaller + 1]) / (1 << count))
        return SignificanceTest(method="Wilcoxon signed-rank (exact)", p_value=p_value, statistic=statistic)
    spread = count * (count + 1) * (2 * count + 1) / 24.0 - tie_term / 48.0
    z = (statistic - total / 4.0) / math.sqrt(spread)
    p_value = as_p_value(2.0 * normal_cdf(z))
    return SignificanceTest(method="Wilcoxon signed-rank (normal)", p_value=p_value, statistic=statistic)


def _doubled_ranks(sizes: Sequence[float]) -> tuple[list[int], int]:
    # Mean ranks are halves of integers, so their doubles are exact. Sizes within rounding count as tied.
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    slack = 1e-12 * sizes[order[-1]]
    ranks = [0] * len(sizes)
    tie_term, start = 0, 0
    while start < len(order):
        end = start + 1
        while end < len(order) and sizes[order[end]] - sizes[order[start]] <= slack:
            end += 1
        for place in order[start:end]:
            ranks[place] = start + end + 1
        tied = end - start
        tie_term += tied**3 - tied
        start = end
    return ranks, tie_term


def _subset_sum_counts(sizes: Sequence[int]) -> list[int]:
    counts = [1] + [0] * sum(sizes)
    reach = 0
    for size in sizes:
        reach += size
        for total in range(reach, size - 1, -1):
            counts[total] += counts[total - size]
    return counts


@checked_arguments
def t_test(difference: float, standard_error: Size | None, degrees_of_freedom: Size) -> SignificanceTest:
    """Return the two-sided t test of a difference by its standard error (Student 1908)."""
    if not standard_error or degrees_of_freedom <= 0:
        return SignificanceTest(method="t test", reason="the standard error is not defined")
    statistic = difference / standard_error
    p_value = as_p_value(2.0 * t_survival(abs(statistic), degrees_of_freedom))
    return SignificanceTest(
        method="t test", p_value=p_value, statistic=statistic, degrees_of_freedom=degrees_of_freedom
    )


@checked_arguments
def score_test(ones_a: Count, size_a: Count, ones_b: Count, size_b: Count) -> SignificanceTest:
    """Test whether two independent proportions are equal, by the score statistic with N - 1.

    Its statistic is normal: the difference over the standard error that it has if the proportions are equal, with the
    divisor N - 1 for the variance. Two samples without a one, or with nothing else, have no variation.

    Args:
        ones_a: number of ones in the first sample.
        size_a: its size.
        ones_b: number of ones in the second.
        size_b: its size.

    Source: Pearson (1900) with the N - 1 of Upton (1982), Journal of the Royal Statistical Society A 145, 86-105; for
    small samples, Campbell (2007), Statistics in Medicine 26, 3661-3675.

    >>> round(score_test(5, 20, 12, 20).p_value, 4)
    0.0271
    """
    method = "score test (N - 1)"
    for ones, size in ((ones_a, size_a), (ones_b, size_b)):
        refuse_unless(ones <= size, "score_test", "a number of ones", ones, f"at most the {size} of its sample")
    if not size_a or not size_b:
        return SignificanceTest(method=method, reason="one of the samples has no scored value")
    ones, total = ones_a + ones_b, size_a + size_b
    if ones in (0, total):
        return SignificanceTest(method=method, reason="no variation: all scores are equal")
    # The variance of the difference, of which the last factor is the sum of 1 / size.
    spread = ones / total * ((total - ones) / (total - 1.0)) * (total / size_a / size_b)
    z = (ones_b / size_b - ones_a / size_a) / math.sqrt(spread)
    p_value = as_p_value(2.0 * normal_cdf(-abs(z)))
    return SignificanceTest(method=method, p_value=p_value, statistic=z)


# --- many tests at once -----------------------------------------------------------------------------------


@checked_arguments
def holm(p_values: Sequence[Proportion | None]) -> tuple[float | None, ...]:
    """Return p-values adjusted so that the chance of any false positive in the family stays below alpha.

    A test whose p-value is not defined (`None`) stays so, but counts as a member of the family.

    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    size = len(p_values)
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * size
    running = 0.0
    for rank, (p, index) in enumerate(known):
        running = max(running, min(1.0, p * (size - rank)))
        adjusted[index] = running
    return tuple(adjusted)


@checked_arguments
def benjamini_hochberg(p_values: Sequence[Proportion | None]) -> tuple[float | None, ...]:
    """Return p-values adjusted so that the expected share of false positives among the positives is bounded.

    For screening, not for decisions. A p-value that is not defined counts as a member of the family.

    Source: Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    (0.03, 0.04, 0.04)
    """
    size = len(p_values)
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * size
    running = 1.0
    for rank, (p, index) in reversed(list(enumerate(known, start=1))):
        running = min(running, p * size / rank)
        adjusted[index] = running
    return tuple(adjusted)
