"""Correlation of two scores of the same cases: Pearson's, Spearman's and Kendall's, with intervals that allow for ties.

Classical intervals assume normal scores (Pearson) or no ties (Spearman, Kendall). Scores of evaluations are grades with
many ties, so here the error is that of the coefficient's linearisation, which assumes neither, and keeps clusters
whole.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import Level, Score, checked_arguments, same_length
from themis.pure.stats.distributions import as_p_value, normal_cdf
from themis.pure.stats.linearised import LinearisedError, centred, linearised_error, transformed_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Interval, SignificanceTest
from themis.pure.stats.samples import CompletePairs, is_constant, mean
from themis.pure.stats.significance import t_test

Coefficient: TypeAlias = Literal["pearson", "spearman", "kendall"]

_FEW = 20
"""Below this many cases, or clusters, the linearised error of a correlation is too small."""


@attrs.frozen(kw_only=True)
class Correlation(HashableModel):
    """How two scores of the same cases go together.

    Attributes:
        method: the coefficient's name.
        value: from -1 to 1; `None` if not defined.
        interval: confidence interval.
        test: of "no association".
        degrees_of_freedom: of the interval.
        size: cases with both scores: what `value` is of.
        left_out: cases that lack either score.
        tied_x: how many cases share their first score with another case.
        tied_y: the same of the second score.
        clusters: how many clusters; `None` if cases count as independent.
        reason: why `value` is not defined.
        warnings: what a reader should know.
    """

    method: str
    value: float | None = None
    interval: Interval
    test: SignificanceTest
    degrees_of_freedom: float | None = None
    size: int
    left_out: int = 0
    tied_x: int = 0
    tied_y: int = 0
    clusters: int | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


_NAMES = {"pearson": "Pearson's r", "spearman": "Spearman's rho", "kendall": "Kendall's tau-b"}
_TESTS = {"pearson": "t test of r", "spearman": "t test of rho", "kendall": "normal test of tau-b, tie-corrected"}


@checked_arguments
def correlation(
    x: Sequence[Score],
    y: Sequence[Score],
    *,
    coefficient: Coefficient = "pearson",
    clusters: Sequence[Hashable] | None = None,
    level: Level = DEFAULT_LEVEL,
) -> Correlation:
    """Return the correlation of two scores, such as a judge's and a person's, over the cases that have both.

    The interval is the t interval of `atanh`, Fisher's z (1921), with the error of the coefficient's influences. The
    test is the usual one of no association: t for Pearson and Spearman, the normal one with Kendall's correction for
    ties; with clusters, the t test of z by its clustered error. Of scores with long tails, Pearson's interval is too
    short (0.85 where 0.95 is said, of log-normal scores of 100 cases); those of ranks are not.

    Args:
        x: the first score of each case, `None` where there is none.
        y: the second, in the same order.
        coefficient: `pearson` for a linear, `spearman` and `kendall` for a monotone relation; tied scores share their
            mean rank (Spearman), and are taken out of the pairs that could agree (tau-b).
        clusters: one key per case.
        level: nominal coverage.

    Source: Kendall and Gibbons (1990), Rank Correlation Methods, 5th edition, for rho and tau-b with ties; influences:
    Devlin, Gnanadesikan and Kettenring (1975), Biometrika 62, 531-545, and Croux and Dehon (2010), Statistical Methods
    and Applications 19, 497-515.

    >>> found = correlation([1, 2, 2, 3, 4, 5, 6, 6], [2, 1, 3, 3, 5, 4, 6, 7], coefficient="kendall")
    >>> round(found.value, 3), found.tied_x, found.tied_y
    (0.793, 4, 2)
    """
    same_length("correlation", x=x, y=y, clusters=clusters)
    kept = CompletePairs.of(x, y, clusters)
    first, second, size = kept.a, kept.b, len(kept.a)
    base = Correlation(
        method=_NAMES[coefficient],
        interval=Interval(level=level, method="Fisher z, linearised"),
        test=SignificanceTest(method=_TESTS[coefficient]),
        size=size,
        left_out=kept.left_out,
        tied_x=_tied(first),
        tied_y=_tied(second),
    )
    reason = None
    if size < 3:
        reason = f"{size} cases have both scores; three are needed"
    elif is_constant(first) or is_constant(second):
        reason = "no variation: all scores of one side are equal"
    if reason is not None:
        interval, test = base.interval.evolve(reason=reason), base.test.evolve(reason=reason)
        return base.evolve(interval=interval, test=test, reason=reason)
    if coefficient == "pearson":
        value, influences = _pearson(first, second)
    elif coefficient == "spearman":
        value, influences = _spearman(first, second)
    else:
        value, influences = _kendall(first, second)
    value = min(1.0, max(-1.0, value))
    error = linearised_error(influences, kept.clusters)
    if coefficient == "pearson" and error.clusters is None and error.standard_error is not None and size > 3:
        # The error of z is sqrt(1 / (n - 3)) where scores are normal, and not sqrt(1 / (n - 1)): Fisher (1921).
        error = attrs.evolve(error, standard_error=error.standard_error * math.sqrt((size - 1) / (size - 3)))
    few = size if error.clusters is None else error.clusters
    base = base.evolve(value=value, clusters=error.clusters, degrees_of_freedom=error.degrees_of_freedom)
    if few < _FEW:
        what = "cases" if error.clusters is None else "clusters"
        base = base.evolve(warnings=(f"{few} {what}: under {_FEW} the interval is too short",))
    test = _test(coefficient, value, first, second) if clusters is None else _clustered_test(value, error)
    if abs(value) > 1.0 - 1e-12:
        reason = "every case lies on one line: the error of a correlation of 1 or -1 can't be told"
        return base.evolve(interval=base.interval.evolve(reason=reason), test=test)
    slope = 1.0 / (1.0 - value * value)
    interval = transformed_interval(
        value, error, level=level, method=base.interval.method, to=math.atanh, slope=slope, back=math.tanh
    )
    return base.evolve(interval=interval, test=test)


def _tied(values: Sequence[float]) -> int:
    return sum(count for count in Counter(values).values() if count > 1)


def _pearson(x: Sequence[float], y: Sequence[float]) -> tuple[float, list[float]]:
    u, v = _standardised(x), _standardised(y)
    value = math.fsum(a * b for a, b in zip(u, v, strict=True)) / len(u)
    return value, [a * b - value * (a * a + b * b) / 2.0 for a, b in zip(u, v, strict=True)]


def _standardised(values: Sequence[float]) -> list[float]:
    scale = max(map(abs, values))  # so that squares neither vanish nor overflow
    deviations = centred([value / scale for value in values])
    spread = math.sqrt(math.fsum(d * d for d in deviations) / len(deviations))
    return [d / spread for d in deviations]


def _spearman(x: Sequence[float], y: Sequence[float]) -> tuple[float, list[float]]:
    """Return the Pearson correlation of mean ranks, and each case's influence, on the ranks of the others included."""
    u, v = _ranks(x), _ranks(y)
    size = len(u)
    covariance = math.fsum(a * b for a, b in zip(u, v, strict=True)) / size
    spread_x, spread_y = (math.fsum(r * r for r in ranks) / size for ranks in (u, v))
    root = math.sqrt(spread_x * spread_y)
    value = covariance / root
    shifts = zip(
        u, v, _above(x, v), _above(y, u), _above(x, u), _above(y, v), strict=True
    )  # how a case moves the ranks of those above it, weighted by their other rank
    influences = [
        (a * b + on_x + on_y - 3.0 * covariance) / root
        - value / 2.0 * ((a * a + 2.0 * own_x) / spread_x + (b * b + 2.0 * own_y) / spread_y - 6.0)
        for a, b, on_x, on_y, own_x, own_y in shifts
    ]
    return value, influences


def _ranks(values: Sequence[float]) -> list[float]:
    """Return mean ranks as shares of all cases, less one half: their mean is 0."""
    size, ranks = len(values), [0.0] * len(values)
    for start, end, places in _runs(values):
        for place in places:
            ranks[place] = (start + end - size) / (2.0 * size)
    return ranks


def _above(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return for each case the mean over all of the weights of those above it, and half the weights of its ties."""
    size, found = len(values), [0.0] * len(values)
    total = math.fsum(weights)
    for _, _, places in _runs(values):
        tied = math.fsum(weights[place] for place in places)
        total -= tied
        for place in places:
            found[place] = (total + tied / 2.0) / size
    return found


def _runs(values: Sequence[float]) -> list[tuple[int, int, list[int]]]:
    """Return the runs of equal values in order: where each begins and ends, and the places of its values."""
    order = sorted(range(len(values)), key=values.__getitem__)
    runs, start = [], 0
    for _, group in itertools.groupby(order, key=values.__getitem__):
        places = list(group)
        runs.append((start, start + len(places), places))
        start += len(places)
    return runs


def _kendall(x: Sequence[float], y: Sequence[float]) -> tuple[float, list[float]]:
    size = len(x)
    agreed = [count / (size - 1) for count in _concordances(x, y)]
    untied_x, untied_y = ([1.0 - (count - 1) / (size - 1) for count in _counts(values)] for values in (x, y))
    s, of_x, of_y = mean(agreed), mean(untied_x), mean(untied_y)
    root = math.sqrt(of_x * of_y)
    value = s / root
    influences = [
        2.0 * (a - s) / root - value * ((p - of_x) / of_x + (q - of_y) / of_y)
        for a, p, q in zip(agreed, untied_x, untied_y, strict=True)
    ]
    return value, influences


def _counts(values: Sequence[float]) -> list[int]:
    counts = Counter(values)
    return [counts[value] for value in values]


def _concordances(x: Sequence[float], y: Sequence[float]) -> list[int]:
    """Return of each case how many others are ordered alike on both sides, less those that are ordered otherwise.

    Cases enter a tree of counts by their rank on `y` in the order of `x` (Fenwick 1994): n log n steps.
    """
    rank = {value: place for place, value in enumerate(sorted(set(y)), start=1)}
    ranks, most = [rank[value] for value in y], len(rank)
    found = [0] * len(x)
    for sign, runs in ((1, _runs(x)), (-1, reversed(_runs(x)))):
        tree, entered = [0] * (most + 1), 0

        def below(place: int, tree: list[int] = tree) -> int:
            total = 0
            while place:
                total += tree[place]
                place &= place - 1
            return total

        for _, _, places in runs:
            for place in places:
                under, up_to = below(ranks[place] - 1), below(ranks[place])
                found[place] += sign * (under - (entered - up_to))
            for place in places:
                at = ranks[place]
                while at <= most:
                    tree[at] += 1
                    at += at & -at
            entered += len(places)
    return found


# --- tests of no association ------------------------------------------------------------------------------


def _test(coefficient: Coefficient, value: float, x: Sequence[float], y: Sequence[float]) -> SignificanceTest:
    method, size = _TESTS[coefficient], len(x)
    if coefficient != "kendall":
        # Student's t of r (Fisher 1915), with n - 2 degrees of freedom; of ranks, Kendall and Gibbons, chapter 4.
        left = 1.0 - value * value
        if left < 1e-12:
            return SignificanceTest(method=method, reason="every case lies on one line")
        return t_test(value, math.sqrt(left / (size - 2)), size - 2.0).evolve(method=method)
    total = sum(_concordances(x, y)) / 2.0
    spread = math.sqrt(_kendall_variance(x, y))
    z = total / spread
    return SignificanceTest(method=method, p_value=as_p_value(2.0 * normal_cdf(-abs(z))), statistic=z)


def _kendall_variance(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the variance of concordant less discordant pairs where nothing is associated (Kendall and Gibbons)."""
    n = len(x)
    ties_x, ties_y = ([count for count in Counter(values).values() if count > 1] for values in (x, y))
    pairs_x, pairs_y = (sum(t * (t - 1) for t in ties) for ties in (ties_x, ties_y))
    triples_x, triples_y = (sum(t * (t - 1) * (t - 2) for t in ties) for ties in (ties_x, ties_y))
    spread_x, spread_y = (sum(t * (t - 1) * (2 * t + 5) for t in ties) for ties in (ties_x, ties_y))
    base = (n * (n - 1) * (2 * n + 5) - spread_x - spread_y) / 18.0
    return base + pairs_x * pairs_y / (2.0 * n * (n - 1)) + triples_x * triples_y / (9.0 * n * (n - 1) * (n - 2))


def _clustered_test(value: float, error: LinearisedError) -> SignificanceTest:
    method = "t test of Fisher's z, clustered"
    if not error.standard_error or error.degrees_of_freedom is None or abs(value) > 1.0 - 1e-12:
        return SignificanceTest(method=method, reason=error.reason or "no variation between the clusters")
    error_of_z = error.standard_error / (1.0 - value * value)
    return t_test(math.atanh(value), error_of_z, error.degrees_of_freedom).evolve(method=method)
