"""Equivalence: showing that a difference is too small to matter, which no failed test of a difference shows."""

from __future__ import annotations

from typing import TypeAlias

from themis.pure.stats.arguments import Alpha, Margin, checked_arguments, refuse_unless
from themis.pure.stats.distributions import as_p_value, normal_cdf, t_quantile, t_survival
from themis.pure.stats.intervals import CONTINUITY, tango_interval, tango_score, tied_interval
from themis.pure.stats.records import DEFAULT_ALPHA, EquivalenceTest, Interval, PairedComparison


@checked_arguments
def equivalence(comparison: PairedComparison, *, margin: Margin, alpha: Alpha = DEFAULT_ALPHA) -> EquivalenceTest:
    """Test whether the true difference lies within plus or minus `margin` (two one-sided tests).

    The margin is to be declared before the data are seen: the largest difference that does not matter. 0/1 scores take
    Tango's score tests, corrected for continuity, others t tests with the standard error and degrees of freedom of the
    comparison, clustered if it is; scores that tie in every pair are bounded by their number. Where scores are missing,
    equivalence is shown only if it is shown whatever they are.

    Args:
        comparison: a paired comparison.
        margin: above 0, in score units.
        alpha: error rate of each one-sided test, and of the whole.

    Raises:
        StatisticsError: the margin is not above 0, or the error rate not below 0.5.

    Source: Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680; Tango (1998), Statistics in
    Medicine 17, 891-908.
    """
    refuse_unless(alpha < 0.5, "equivalence", "alpha", alpha, "a number below 0.5")
    interval, p_value, statistic, freedom = _interval(comparison, margin, round(1.0 - 2.0 * alpha, 12))
    result = EquivalenceTest(
        margin=margin, difference=comparison.difference, alpha=alpha, interval=interval, reason=interval.reason
    )
    if p_value is None:
        return result
    equivalent = p_value <= alpha
    result = result.evolve(p_value=p_value, statistic=statistic, degrees_of_freedom=freedom, equivalent=equivalent)
    if comparison.if_missing is None:
        return result
    widest = comparison.if_missing.equivalence_interval
    if widest.level < interval.level:
        reason = f"the comparison's error rate of {comparison.alpha:g} is not that of the test"
        widest = Interval(level=interval.level, method=widest.method, reason=reason)
    within = widest.low is not None and widest.high is not None and -margin <= widest.low and widest.high <= margin
    return result.evolve(interval_if_missing=widest, equivalent=p_value <= alpha and within)


_Found: TypeAlias = tuple[Interval, float | None, float | None, float | None]
"""The interval, the p-value, the statistic and its degrees of freedom."""


def _interval(comparison: PairedComparison, margin: float, level: float) -> _Found:
    clustered, difference = comparison.clusters is not None, comparison.difference
    pairs, freedom = _independent_pairs(comparison)
    if comparison.binary and pairs:
        scale = pairs / comparison.pairs
        wins, losses = comparison.wins * scale, comparison.losses * scale
        # At or below a margin of 1 there are differences to exclude; the interval ends there in any case.
        lower, upper = (tango_score(wins, losses, pairs, end, CONTINUITY) for end in (-margin, margin))
        scores = lower, -upper
        p_value = max(normal_cdf(-score) if freedom is None else t_survival(score, freedom) for score in scores)
        critical = None if freedom is None else t_quantile(0.5 + level / 2.0, freedom)
        interval = tango_interval(wins, losses, pairs, level=level, critical=critical, continuity=CONTINUITY)
        interval = interval.evolve(method=f"clustered {interval.method}" if clustered else interval.method)
        if margin >= 1.0:
            return interval, as_p_value(0.0), None, None
        return interval, as_p_value(p_value), min(scores), freedom
    error = comparison.clustered_standard_error if clustered else comparison.standard_error
    freedom = comparison.degrees_of_freedom
    if error is not None and freedom is not None and difference is not None:
        half = t_quantile(0.5 + level / 2.0, freedom) * error
        statistic = min(difference + margin, margin - difference) / error
        interval = Interval(low=difference - half, high=difference + half, level=level, method="Student t (TOST)")
        return interval, as_p_value(t_survival(statistic, freedom)), statistic, freedom
    units = comparison.effective_pairs if clustered else comparison.pairs
    if units and units > 1 and comparison.ties == comparison.pairs and comparison.score_range is not None:
        width = comparison.score_range[1] - comparison.score_range[0]
        p_value = as_p_value((1.0 - margin / width) ** units if margin < width else 0.0)
        return tied_interval(units, width, level=level), p_value, None, None
    reason = comparison.undefined.get("clustered_standard_error" if clustered else "standard_error")
    reason = reason or "the standard error is not defined"
    return Interval(level=level, method="two one-sided tests", reason=reason), None, None, None


def _independent_pairs(comparison: PairedComparison) -> tuple[float | None, float | None]:
    """Return how many independent pairs tell as much, and the degrees of freedom; `None` where they are no clusters."""
    pairs, freedom = comparison.effective_pairs, comparison.degrees_of_freedom
    if comparison.clusters is None or comparison.clusters == comparison.pairs:
        return comparison.pairs, None
    return pairs, freedom if freedom is not None or pairs is None else pairs - 1.0
