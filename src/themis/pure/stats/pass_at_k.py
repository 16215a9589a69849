"""pass@k and pass^k: chances over k samples of a problem, from n samples of which c are correct.

The rule of the room: the problem is the unit. Each gives one unbiased estimate, and intervals are over
problems, never over samples.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Final

from themis.pure.stats.arguments import Count, Level, OneOrMore, checked_arguments, refuse_unless, same_length
from themis.pure.stats.bounds import Possible, mean_bounds
from themis.pure.stats.distributions import log_choose
from themis.pure.stats.estimates import estimate_mean
from themis.pure.stats.intervals import chance_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Estimate, Interval
from themis.pure.stats.samples import DEFAULT_CORRECTION, Correction, has_clusters, is_binary, mean


@checked_arguments
def pass_at_k(samples: Count, correct: Count, k: OneOrMore) -> float | None:
    """Return the chance that at least one of k samples is correct; `None` if k exceeds the samples.

    1 - C(n-c, k) / C(n, k), in whole numbers and rounded once (past 10,000 samples by logarithms of gamma functions, to
    about ten digits).

    Source: Chen et al. (2021), arXiv 2107.03374, equation 1.

    >>> pass_at_k(10, 3, 1), pass_at_k(4, 2, 2), pass_at_k(3, 1, 5)
    (0.3, 0.8333333333333334, None)
    """
    refuse_unless(correct <= samples, "pass_at_k", "correct", correct, f"at most the {samples} samples")
    return _one_of(samples, correct, k)


@checked_arguments
def pass_hat_k(samples: Count, correct: Count, k: OneOrMore) -> float | None:
    """Return the chance that all of k samples are correct; `None` if k exceeds the samples.

    C(c, k) / C(n, k), in whole numbers and rounded once, as in `pass_at_k`.

    Source: Yao et al. (2024), arXiv 2406.12045, section 3 ("pass^k").

    >>> pass_hat_k(4, 2, 2), pass_hat_k(3, 1, 5)
    (0.16666666666666666, None)
    """
    refuse_unless(correct <= samples, "pass_hat_k", "correct", correct, f"at most the {samples} samples")
    return _all_of(samples, correct, k)


_MOST_COUNTED: Final = 10_000


@lru_cache(maxsize=65536)
def _one_of(samples: int, correct: int, k: int) -> float | None:
    if k > samples:
        return None
    if samples > _MOST_COUNTED:
        return 1.0 - _share(samples - correct, samples, k)
    ways = math.comb(samples, k)
    return (ways - math.comb(samples - correct, k)) / ways


@lru_cache(maxsize=65536)
def _all_of(samples: int, correct: int, k: int) -> float | None:
    if k > samples:
        return None
    if samples > _MOST_COUNTED:
        return _share(correct, samples, k)
    return math.comb(correct, k) / math.comb(samples, k)


def _share(some: int, every: int, k: int) -> float:
    """Return C(some, k) / C(every, k)."""
    return math.exp(log_choose(some, k) - log_choose(every, k)) if k <= some else 0.0


@checked_arguments
def estimate_pass_at_k(
    problems: Sequence[tuple[Count, Count]],
    k: OneOrMore,
    *,
    every: bool = False,
    planned: Sequence[Count] | None = None,
    clusters: Sequence[Hashable] | None = None,
    level: Level = DEFAULT_LEVEL,
    correction: Correction = DEFAULT_CORRECTION,
    metric_id: str | None = None,
) -> Estimate:
    """Estimate pass@k, or pass^k, over problems.

    Args:
        problems: for each problem (scored samples n, correct samples c). A problem with fewer scored samples
            than k is missing, and says so, unless they decide: one wrong sample of two planned ones makes pass^2 a 0.
        k: how many samples are drawn.
        every: pass^k, all k correct, in place of pass@k, at least one correct.
        planned: samples planned per problem, for the bounds; by default the scored ones.
        clusters: one key per problem.
        level: nominal coverage.
        correction: of the cluster-robust standard error.
        metric_id: name for the record; `pass@k` or `pass^k` with the number by default.

    The bounds count every missing sample as wrong, or as right; they are not defined for a problem that was
    planned with fewer than k samples. Problems that are missing may be the harder ones, as far as it is known of them:
    a mean over the others that lies outside the bounds is cut at them.

    Source: Chen et al. (2021); Yao et al. (2024); intervals over problems: Wilson's if all chances are 0 or 1,
    `chance_interval`'s if not, or Student's over clusters.

    >>> estimate = estimate_pass_at_k([(4, 2), (4, 4), (4, 0)], 2)
    >>> round(estimate.mean, 4), estimate.unit
    (0.6111, 'problem')
    """
    where = "estimate_pass_at_k"
    same_length(where, problems=problems, planned=planned, clusters=clusters)
    wrong_counts = next((each for each in problems if each[1] > each[0]), None)
    refuse_unless(wrong_counts is None, where, "a problem", wrong_counts, "(samples, correct), with correct <= samples")
    totals = [n for n, _ in problems] if planned is None else list(map(max, planned, (n for n, _ in problems)))
    values, wrong, right = chances(problems, totals, k, every=every)
    estimate = estimate_mean(
        values,
        metric_id=metric_id or f"pass{'^' if every else '@'}{k}",
        unit="problem",
        clusters=clusters,
        categories=["fewer_samples_than_k" if value is None else None for value in values],
        level=level,
        correction=correction,
    )
    scored = [value for value in values if value is not None]
    if not has_clusters(clusters) and len(scored) > 1 and not estimate.binary:
        estimate = estimate.evolve(interval=chance_interval(scored, level=level))
    undefined = dict(estimate.undefined)
    if not estimate.scored and problems:
        most = max(n for n, _ in problems)
        reason = f"k = {k} exceeds the scored samples of every problem (at most {most})"
        undefined |= dict.fromkeys(("mean", "standard_error"), reason)
        estimate = estimate.evolve(interval=estimate.interval.evolve(reason=reason))
    bounds = {"if_missing_wrong": _mean_of(wrong), "if_missing_right": _mean_of(right)}
    impossible = f"a problem was planned with fewer than k = {k} samples" if problems else "no problem"
    for field, bound in bounds.items():
        undefined.pop(field, None)
        if bound is None:
            undefined[field] = impossible
    interval = estimate.interval
    ranges = [(low, high) for low, high in zip(wrong, right, strict=True) if low is not None and high is not None]
    if_missing = None
    if len(ranges) < len(problems):
        if_missing = Interval(level=level, method=interval.method, reason=impossible)
    elif any(low < high for low, high in ranges):
        sure = [low for low, high in ranges if low == high]
        # Of k samples planned a chance is 0 or 1; of more, what is missing may make it a fraction.
        whole = is_binary(sure) and all(total == k for total in totals)
        possible = Possible(ranges=ranges, clusters=clusters, step=1.0 if whole else None, whole=whole)
        if_missing = _of_a_chance(
            mean_bounds(possible, level=level, method=interval.method, correction=correction, chances=True)
        )
    estimate = estimate.evolve(
        interval=_of_a_chance(interval), interval_if_missing=if_missing, undefined=undefined, **bounds
    )
    low, high = bounds.values()
    if estimate.mean is None or low is None or high is None:
        return estimate
    centre, ends = min(max(estimate.mean, low), high), estimate.interval
    if math.isclose(centre, estimate.mean, rel_tol=1e-9):
        return estimate
    if ends.low is not None and ends.high is not None:
        ends = ends.evolve(low=min(ends.low, centre), high=max(ends.high, centre))
    return estimate.evolve(mean=centre, interval=ends, warnings=(*estimate.warnings, "the mean is cut at its bound"))


def chances(
    problems: Sequence[tuple[int, int]], totals: Sequence[int], k: int, *, every: bool
) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """Return each problem's chance, and what it is if all its missing samples are wrong, and if all are right."""
    chance = _all_of if every else _one_of
    wrong = [chance(total, c, k) for total, (n, c) in zip(totals, problems, strict=True)]
    right = [chance(total, c + total - n, k) for total, (n, c) in zip(totals, problems, strict=True)]
    values = [low if low == high else chance(n, c, k) for low, high, (n, c) in zip(wrong, right, problems, strict=True)]
    return values, wrong, right


def _of_a_chance(interval: Interval) -> Interval:
    """Cut an interval at 0 and 1: it covers a chance no less often for that."""
    if interval.low is None or interval.high is None:
        return interval
    return interval.evolve(low=max(interval.low, 0.0), high=min(interval.high, 1.0))


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known and len(known) == len(values) else None
