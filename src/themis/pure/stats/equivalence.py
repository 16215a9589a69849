"""Equivalence: showing that a difference is too small to matter, which no failed test of a difference shows."""

from __future__ import annotations

import math

from themis.pure.errors import DataError
from themis.pure.stats.distributions import t_quantile, t_survival
from themis.pure.stats.records import DEFAULT_ALPHA, EquivalenceTest, Interval, PairedComparison


def equivalence(comparison: PairedComparison, *, margin: float, alpha: float = DEFAULT_ALPHA) -> EquivalenceTest:
    """Test whether the true difference lies within plus or minus `margin` (two one-sided t tests).

    The margin is to be declared before the data are seen: the largest difference that does not matter.
    Standard error and degrees of freedom are the comparison's own, clustered if it is.

    Args:
        comparison: a paired comparison.
        margin: above 0, in score units.
        alpha: error rate of each one-sided test, and of the whole.

    Raises:
        DataError: the margin is not above 0.

    Source: Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
    """
    if not margin > 0.0 or not math.isfinite(margin):
        raise DataError(f"margin must be a finite number above 0, in score units; found {margin}")
    clustered = comparison.clusters is not None
    error = comparison.clustered_standard_error if clustered else comparison.standard_error
    level, method = 1.0 - 2.0 * alpha, "Student t (TOST)"
    if error is None or comparison.difference is None or comparison.degrees_of_freedom is None:
        field = "clustered_standard_error" if clustered else "standard_error"
        reason = comparison.undefined.get(field) or "the standard error is not defined"
        none = Interval(level=level, method=method, reason=reason)
        return EquivalenceTest(
            margin=margin, difference=comparison.difference, alpha=alpha, interval=none, reason=reason
        )
    difference, freedom = comparison.difference, comparison.degrees_of_freedom
    p_value = max(
        t_survival((difference + margin) / error, freedom), t_survival((margin - difference) / error, freedom)
    )
    half = t_quantile(1.0 - alpha, freedom) * error
    return EquivalenceTest(
        margin=margin,
        difference=difference,
        p_value=p_value,
        equivalent=p_value <= alpha,
        alpha=alpha,
        interval=Interval(low=difference - half, high=difference + half, level=level, method=method),
    )
