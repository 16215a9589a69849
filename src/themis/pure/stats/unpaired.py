"""Two independent samples, for runs that share no case. Paired designs belong into `pairs`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from themis.pure.stats.arguments import Level, checked_arguments
from themis.pure.stats.intervals import newcombe_interval, t_interval, welch_terms
from themis.pure.stats.records import DEFAULT_LEVEL, Interval, SignificanceTest, UnpairedComparison
from themis.pure.stats.samples import checked, is_binary, is_constant, mean
from themis.pure.stats.significance import score_test, t_test


@checked_arguments
def unpaired_compare(
    values_a: Iterable[float | None], values_b: Iterable[float | None], *, level: Level = DEFAULT_LEVEL
) -> UnpairedComparison:
    """Compare two independent samples: 0/1 scores by the score test and Newcombe's interval, others by Welch's t test.

    Only for runs that share no cases: on shared cases it throws away what pairing gains.

    Source: Welch (1947); Newcombe (1998), method 10; the score test as in `score_test`.

    >>> unpaired_compare([0.0] * 20, [1.0] * 20).test.method
    'score test (N - 1)'
    """
    a = [value for value in checked(values_a, "a") if value is not None]
    b = [value for value in checked(values_b, "b") if value is not None]
    difference = mean(b) - mean(a) if a and b else None
    if difference is None:
        reason = "one of the samples has no scored value"
        interval = Interval(level=level, method="none", reason=reason)
        test = SignificanceTest(method="none", reason=reason)
    elif is_binary(a) and is_binary(b):
        counts = round(sum(a)), len(a), round(sum(b)), len(b)
        interval, test = newcombe_interval(*counts, level=level), score_test(*counts)
    else:
        interval, test = _welch(a, b, difference, level)
    gone = {} if difference is not None else dict.fromkeys(("mean_a", "mean_b", "difference"), test.reason or "")
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


def _welch(
    a: Sequence[float], b: Sequence[float], difference: float, level: float
) -> tuple[Interval, SignificanceTest]:
    error, freedom = welch_terms(a, b) if min(len(a), len(b)) > 1 else (0.0, 0.0)
    reason = None
    if min(len(a), len(b)) < 2:
        reason = "one scored value has no spread"
    elif is_constant(a) and is_constant(b):
        reason = "no variation in either sample"
    interval = t_interval(difference, None if reason else error, freedom, level=level, method="Welch t", reason=reason)
    if reason is not None:
        return interval, SignificanceTest(method="Welch t test", reason=reason)
    return interval, t_test(difference, error, freedom).evolve(method="Welch t test")
