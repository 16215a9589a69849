"""Samples of scores: sums, spreads and clusters.

What lives here: turning columns of `float | None` and cluster keys into the few numbers that every interval
and test needs. Sums are exact (`math.fsum`), so that no result depends on the order of rows.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias, TypeGuard, TypeVar

import attrs

from themis.pure.errors import StatisticsError
from themis.pure.stats.arguments import LARGEST

T = TypeVar("T")
Correction: TypeAlias = Literal["CR1", "CR2"]

DEFAULT_CORRECTION: Final[Correction] = "CR2"
"""CR1 with G - 1 degrees of freedom covers 0.79 where 0.95 is claimed, with 20 clusters of which one is large."""

_SMALLEST_SPREAD: Final = 1e-100
"""Values closer together than this count as equal: products of smaller differences vanish."""


def checked(values: Iterable[float | None], what: str = "values") -> list[float | None]:
    """Return the values as floats, `None` where there is no score.

    Raises:
        StatisticsError: a value is NaN, infinite or larger than `LARGEST`; a score that could not be computed is
            `None`.
    """
    column = [None if value is None else float(value) for value in values]
    for index, value in enumerate(column):
        if value is not None and not abs(value) <= LARGEST:
            raise StatisticsError(
                f"{what}[{index}] is {value}: a score is a finite number of at most {LARGEST:g} in size, "
                "or None if there is none"
            )
    return column


def is_binary(values: Iterable[float]) -> bool:
    return all(value in (0.0, 1.0) for value in values)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if len(values) > 1 else values[0]


def variance(values: Sequence[float]) -> float:
    """Return the sample variance (divisor n - 1) of at least two values."""
    centre = mean(values)
    return math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1)


def is_constant(values: Sequence[float], scale: float | None = None) -> bool:
    """Whether all values are equal but for rounding, relative to `scale` (their own size if not given)."""
    low, high = min(values), max(values)
    return high - low <= max(_SMALLEST_SPREAD, 1e-12 * (max(abs(low), abs(high)) if scale is None else scale))


def quantile(ordered: Sequence[float], probability: float) -> float:
    """Return a quantile of sorted values by linear interpolation (Hyndman and Fan 1996, type 7)."""
    place = probability * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@attrs.frozen
class CompletePairs:
    """The scores and clusters of the cases with both of two scores, and how many cases lack one."""

    a: list[float]
    b: list[float]
    clusters: list[Hashable] | None
    left_out: int

    @classmethod
    def of(
        cls, a: Sequence[float | None], b: Sequence[float | None], clusters: Sequence[Hashable] | None
    ) -> CompletePairs:
        """Take columns of one length."""
        rows = list(itertools.zip_longest(a, b, () if clusters is None else clusters))
        kept = [(float(x), float(y), key) for x, y, key in rows if x is not None and y is not None]
        return cls(
            [x for x, _, _ in kept],
            [y for _, y, _ in kept],
            None if clusters is None else [key for _, _, key in kept],
            len(rows) - len(kept),
        )


@attrs.frozen
class ClusteredSample:
    """Values grouped by cluster: each cluster's size and sum of residuals from the overall mean.

    Clusters of one value each are no clusters: what is computed of them is what it would be without.
    """

    mean: float
    size: int
    cluster_sizes: tuple[int, ...]
    residual_sums: tuple[float, ...]

    @property
    def clusters(self) -> int:
        return len(self.cluster_sizes)


def has_clusters(keys: Sequence[Hashable] | None) -> TypeGuard[Sequence[Hashable]]:
    """Tell whether any values share a cluster: clusters of one value each are no clusters."""
    return keys is not None and len(set(keys)) < len(keys)


def grouped(values: Iterable[T], clusters: Sequence[Hashable]) -> Iterator[list[T]]:
    """Yield the values of each cluster."""
    pairs = zip(clusters, values, strict=True)
    if sum(1 for _ in itertools.groupby(clusters)) == len(set(clusters)):
        # The values of a cluster stand together, as a case's answers do: a million need not be held in groups.
        yield from ([value for _, value in group] for _, group in itertools.groupby(pairs, operator.itemgetter(0)))
        return
    groups: defaultdict[Hashable, list[T]] = defaultdict(list)
    for cluster, value in pairs:
        groups[cluster].append(value)
    yield from groups.values()


def by_cluster(values: Sequence[float], clusters: Sequence[Hashable]) -> ClusteredSample:
    """Group values by cluster; the order of rows does not matter."""
    centre = mean(values)
    # Sorted, so that a resampling that numbers the clusters does not see the order of rows.
    pairs = sorted((len(group), math.fsum(value - centre for value in group)) for group in grouped(values, clusters))
    return ClusteredSample(centre, len(values), tuple(size for size, _ in pairs), tuple(total for _, total in pairs))


def cluster_standard_error(sample: ClusteredSample, correction: Correction = DEFAULT_CORRECTION) -> float:
    """Return the cluster-robust standard error of a mean; at least two clusters are needed.

    CR1 scales the sandwich by G/(G-1); CR2 divides each cluster's squared residual sum by 1 - n_g/N, which is
    Bell and McCaffrey's leverage adjustment for a model that has only a mean.

    Source: Liang and Zeger (1986), Biometrika 73, 13-22; Bell and McCaffrey (2002), Survey Methodology 28,
    169-181; for evaluations, Miller (2024), arXiv 2411.00640, section 2.2.
    """
    total = sample.size
    if correction == "CR2":
        squares = math.fsum(
            residual * residual / (1.0 - size / total)
            for size, residual in zip(sample.cluster_sizes, sample.residual_sums, strict=True)
        )
        return math.sqrt(squares) / total
    squares = math.fsum(residual * residual for residual in sample.residual_sums)
    return math.sqrt(squares * sample.clusters / (sample.clusters - 1)) / total


def cluster_degrees_of_freedom(sample: ClusteredSample, correction: Correction = DEFAULT_CORRECTION) -> float:
    """Return the t distribution's degrees of freedom: G - 1 for CR1, Bell and McCaffrey's for CR2.

    CR2's are Satterthwaite's approximation under independent errors: 2 E[V]^2 / Var[V]. They equal G - 1
    when all clusters are of one size, and are fewer the more the sizes differ.

    Source: Liang and Zeger (1986) with G - 1 as in Cameron and Miller (2015), Journal of Human Resources 50; Bell
    and McCaffrey (2002), Survey Methodology 28, 169-181.
    """
    if correction == "CR1" or len(set(sample.cluster_sizes)) == 1:
        return sample.clusters - 1.0
    total = sample.size
    weights = [size * size / ((1.0 - size / total) * total * total) for size in sample.cluster_sizes]
    diagonal = math.fsum((size / (total * total)) ** 2 for size in sample.cluster_sizes)
    crossed = (math.fsum(weights) ** 2 - math.fsum(w * w for w in weights)) / (total * total)
    return (1.0 / total) ** 2 / (diagonal + crossed)


def effective_clusters(sample: ClusteredSample) -> float:
    """Return how many clusters of one size would tell as much: their number, if they are of one size.

    It is one more than Bell and McCaffrey's degrees of freedom: with them, as the spread is judged by its effective
    number of clusters rather than by their count (Carter, Schnepel and Steigerwald 2017, Review of Economics and
    Statistics 99, 698-709).

    >>> round(effective_clusters(by_cluster([0.0] * 12, "aabbccddeeff")), 9)
    6.0
    >>> round(effective_clusters(by_cluster([0.0] * 12, "aaaaaaabcdef")), 2)
    3.28
    """
    return cluster_degrees_of_freedom(sample, "CR2") + 1.0


def effective_size(sample: ClusteredSample, spread: float, error: float | None) -> float:
    """Return the number of independent values whose mean would be as precise: of clusters of one, how many there are.

    It is never more than there are: clusters that look better than independence do so by chance.

    Args:
        sample: the values by cluster.
        spread: the values' variance: of 0/1 scores and their differences with divisor n, as their formulas have it.
        error: the cluster-robust standard error of their mean; `None` if all values are equal: clusters may be copies
            of one observation each then, and their effective number is what counts.

    Source: Kish (1965), Survey Sampling, section 8.2; for proportions, Korn and Graubard (1998), Survey Methodology 24,
    193-201.
    """
    if sample.clusters == sample.size:
        return float(sample.size)
    if error is None:
        return min(float(sample.size), effective_clusters(sample))
    return float(sample.size) if error * error * sample.size <= spread else spread / (error * error)
