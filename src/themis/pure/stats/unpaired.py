"""Two independent samples, for runs that share no case. Paired designs belong into `pairs`."""

from __future__ import annotations

from collections.abc import Iterable

from themis.pure.stats.intervals import newcombe_interval, t_interval, welch_terms
from themis.pure.stats.records import DEFAULT_LEVEL, SignificanceTest, UnpairedComparison
from themis.pure.stats.samples import checked, is_binary, is_constant, mean
from themis.pure.stats.significance import t_test


def unpaired_compare(
    values_a: Iterable[float | None], values_b: Iterable[float | None], *, level: float = DEFAULT_LEVEL
) -> UnpairedComparison:
    """Compare two independent samples: Welch's t test, with Newcombe's interval for 0/1 scores.

    Only for runs that share no cases: on shared cases it throws away what pairing gains.

    Source: Welch (1947); Newcombe (1998), method 10.
    """
    a = [value for value in checked(values_a, "a") if value is not None]
    b = [value for value in checked(values_b, "b") if value is not None]
    difference = mean(b) - mean(a) if a and b else None
    error, freedom = welch_terms(a, b) if min(len(a), len(b)) > 1 else (0.0, 0.0)
    reason = None
    if not a or not b:
        reason = "one of the samples has no scored value"
    elif min(len(a), len(b)) < 2:
        reason = "one scored value has no spread"
    elif is_constant(a) and is_constant(b):
        reason = "no variation in either sample"
    if a and b and is_binary(a) and is_binary(b):
        interval = newcombe_interval(round(sum(a)), len(a), round(sum(b)), len(b), level=level)
    else:
        interval = t_interval(
            difference or 0.0, None if reason else error, freedom, level=level, method="Welch t", reason=reason
        )
    test = SignificanceTest(method="Welch t test", reason=reason)
    if reason is None and difference is not None:
        test = t_test(difference, error, freedom).evolve(method="Welch t test")
    gone = {} if difference is not None else dict.fromkeys(("mean_a", "mean_b", "difference"), reason or "")
    return UnpairedComparison(
        scored_a=len(a),
        scored_b=len(b),
        mean_a=mean(a) if a else None,
        mean_b=mean(b) if b else None,
        difference=difference,
        interval=interval,
        test=test,
        undefined=gone,
    )
