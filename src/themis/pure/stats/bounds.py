"""How far an interval can move: its lowest and highest ends over everything that missing scores could be.

The rule of the room: a bound holds for every completion of the missing scores. It may be wider than need be, never
narrower; where that can't be told, there is none, and the reason.

The argument. Completing the missing scores gives each cluster g of n_g values (one value is a cluster of one) a sum s_g
that lies in a known range [a_g, b_g]. Let T be the total of all sums, M = T / N the mean, and V(s) = sum of
w_g (s_g - n_g M)^2, from which the standard error is sqrt(V) / N; the weights w_g and degrees of freedom depend on the
sizes alone, so that completions share them. "All missing are 0" is not always the worst case: a missing score of 1 may
widen the interval by more than it lifts the mean. Hence all totals are searched, in blocks T1 <= T <= T2. In a block

- M is at least T1 / N;
- for any price p, V(s) <= sum of max over s in {a_g, b_g} of [w_g (s - n_g M)^2 - p s], plus p T: the bracket is convex
  in s, so that its largest value is at an end (Lagrange's bound). The right side is convex in T, being a sum of largest
  values of convex functions, so that it is largest at T1 or T2.

That bounds every end that falls with falling M and growing V:

- Student's t, and with N + 2 pairs, two of them at +1 and -1, the interval of Bonett and Price: M - c sqrt(V) / N;
- Wilson's, whose lower end grows with the share of ones and with the effective size min(N, M (1 - M) N^2 / V).

For pairs of 0/1 scores in clusters that is the effective number of pairs, n. Let D be the share of pairs that differ:
the total T of a block bounds it, since wins are losses plus T. Bonett and Price's lower end, in this form, is

    M n / (n + 2) - c sqrt(v / (n + 2)) with v = (D n + 2) / (n + 2) - (M n / (n + 2))^2

where v falls with n and with |M|, and grows with D, which bounds each part by itself. Tango's lower end grows with
wins, with falling losses, and with n, as his statistic is sqrt(n) times a function of the shares: it is lowest at the
fewest wins, the most losses and the least n.

Where all missing scores have one range of width d, only totals that are whole multiples of d above the lowest are
searched: M - c sqrt(V) / N is concave in the missing scores (a mean less a norm), so that it is lowest where each of
them is at an end of its range; and missing scores of a 0/1 metric are 0 or 1. The upper end is the lower end of the
mirrored scores.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Final, TypeAlias

import attrs

from themis.pure.stats.distributions import normal_quantile, t_quantile
from themis.pure.stats.intervals import CONTINUITY, tango_interval, tied_interval, wilson_interval
from themis.pure.stats.records import Interval
from themis.pure.stats.samples import (
    ClusteredSample,
    Correction,
    cluster_degrees_of_freedom,
    effective_clusters,
    grouped,
    has_clusters,
)

Range: TypeAlias = tuple[float, float]
"""The lowest and the highest that a value can be; twice the same if it is known."""

_Cluster: TypeAlias = tuple[int, float, float]
"""A cluster's size, and the range of its sum."""

_BLOCKS: Final = 200
_STEPS: Final = 400_000
"""About how many sums are taken in all: many different ranges make do with fewer and wider blocks."""

_Block: TypeAlias = tuple[float, float]
_SLACK: Final = 1e-12
"""Rounding must not put a bound on the wrong side of an end that it bounds."""


@attrs.frozen
class _Kind:
    """Clusters that are alike: how many there are, their size and weight, and the range of their sum."""

    count: int
    size: int
    weight: float
    low: float
    high: float


class _Sample:
    """All completions of a sample: bounds of its total and of its squares.

    Args:
        clusters: for each cluster its size, and the range of its sum.
        correction: which weights; `None` counts each squared residual once.
        step: the distance of the totals that need to be searched, if there is one.
    """

    def __init__(
        self,
        clusters: Sequence[_Cluster],
        correction: Correction | None,
        step: float | None,
    ) -> None:
        self.size = sum(size for size, _, _ in clusters)
        self.count = len(clusters)
        self.low = math.fsum(low for _, low, _ in clusters)
        self.high = math.fsum(high for _, _, high in clusters)
        self.step = step
        self._cluster_sizes = tuple(size for size, _, _ in clusters)
        # Squares are taken around the middle, so that large scores that differ little keep their digits.
        self.centre = (self.low + self.high) / 2.0 / self.size
        centred = [(size, low - size * self.centre, high - size * self.centre) for size, low, high in clusters]
        self._open = [
            _Kind(count, size, self._weight(size, correction), low, high)
            for (size, low, high), count in sorted(Counter(each for each in centred if each[1] < each[2]).items())
        ]
        closed = [(size, self._weight(size, correction), low) for size, low, high in centred if low >= high]
        self._squares = math.fsum(weight * value * value for _, weight, value in closed)
        self._crossed = math.fsum(weight * size * value for size, weight, value in closed)
        self._sizes = math.fsum(weight * size * size for size, weight, _ in closed)
        self._sum = math.fsum(value for _, _, value in closed)

    def _weight(self, size: int, correction: Correction | None) -> float:
        if correction == "CR2":
            return 1.0 / (1.0 - size / self.size)
        return 1.0 if correction is None else self.count / (self.count - 1.0)

    @property
    def _clusters(self) -> ClusteredSample:
        return ClusteredSample(0.0, self.size, self._cluster_sizes, ())

    def degrees_of_freedom(self, correction: Correction) -> float:
        return cluster_degrees_of_freedom(self._clusters, correction)

    def effective_clusters(self) -> float:
        return effective_clusters(self._clusters)

    def least_effective(self, spread: float, squares: float, *, constant: bool) -> float:
        """Return a bound from below of the effective size, as `effective_size` counts it, of whole numbers.

        Args:
            spread: a bound from below of their variance, with divisor n.
            squares: a bound from above of V.
            constant: whether they could all be equal.
        """
        # Whole numbers that are not all equal vary by at least as much as if one of them were another.
        spread = max(spread, (self.size - 1.0) / self.size**2)
        found = float(self.size)
        if squares > 0.0:
            found = min(found, (1.0 - _SLACK) * spread * self.size**2 / squares)
        return min(found, self.effective_clusters()) if constant else found

    def lowest_mean_less(self, errors: float) -> float:
        """Return the lowest value of the mean less so many standard errors."""

        def end(least: float, _: float, squares: float) -> float:
            half = errors * math.sqrt(squares) / self.size
            return least - half - _SLACK * (abs(least) + half)

        return self.lowest(end)

    def lowest(self, end: Callable[[float, float, float], float]) -> float:
        """Return the lowest value of an end, a function of a block's least and greatest mean and of V's bound."""
        return min(
            end(first / self.size, last / self.size, self._largest(first, last)) for first, last in self._blocks()
        )

    def _blocks(self) -> Iterator[_Block]:
        width = self.high - self.low
        most = max(1, min(_BLOCKS, _STEPS // max(1, len(self._open))))
        if self.step is None or width <= 0.0:
            for block in range(most if width > 0.0 else 1):
                yield self.low + width * block / most, self.low + width * (block + 1 if width > 0.0 else block) / most
            return
        last = round(width / self.step)
        edges = sorted({last * block // most for block in range(most)} | {last})
        for first, after in zip(edges, [*edges[1:], last + 1], strict=True):
            yield self.low + first * self.step, self.low + (after - 1) * self.step

    def _largest(self, first: float, last: float) -> float:
        """Return a bound of V over the completions whose total lies in a block."""
        first, last = first - self.size * self.centre, last - self.size * self.centre
        price = self._price((first + last) / 2.0)
        return max(self._priced(first, price), self._priced(last, price))

    def _price(self, total: float) -> float:
        # Any price gives a bound; this one gives the least in the middle of the block: what V gains by the total's last
        # bit, if the sums that gain most are raised first.
        mean = total / self.size
        left = total - self._sum - math.fsum(kind.count * kind.low for kind in self._open)
        gains = [(k.weight * (k.low + k.high - 2.0 * k.size * mean), k.count * (k.high - k.low)) for k in self._open]
        price = 0.0
        for gain, width in sorted(gains, reverse=True):
            price = gain
            left -= width
            if left <= 0.0:
                break
        return price

    def _priced(self, total: float, price: float) -> float:
        mean = total / self.size
        known = self._squares - 2.0 * mean * self._crossed + mean * mean * self._sizes - price * self._sum

        def at(kind: _Kind, value: float) -> float:
            return kind.weight * (value - kind.size * mean) ** 2 - price * value

        rest = math.fsum(kind.count * max(at(kind, kind.low), at(kind, kind.high)) for kind in self._open)
        return max(0.0, known + rest + price * total)


@attrs.frozen(kw_only=True)
class Possible:
    """Values, as far as they are known.

    Attributes:
        ranges: of each value.
        clusters: a key for each value; `None` if they count as independent.
        step: the width of the range of every value that is not known, if it is the same for all.
        whole: whether each value is 0 or 1 (of differences: -1, 0 or 1) in every completion.
    """

    ranges: Sequence[Range]
    clusters: Sequence[Hashable] | None = None
    step: float | None = None
    whole: bool = False

    def whole_alone(self, least: float) -> Possible | None:
        """Return the completions of whole numbers from `least` to 1, the only ones with another interval; if any."""
        ranges = [(math.ceil(max(low, least)), math.floor(min(high, 1.0))) for low, high in self.ranges]
        if any(low > high for low, high in ranges):
            return None
        return attrs.evolve(self, ranges=ranges, step=1.0, whole=True)

    def without_clusters_of_one(self) -> Possible:
        return self if self.clusters is None or has_clusters(self.clusters) else attrs.evolve(self, clusters=None)

    def mirrored(self, around: float = 0.0) -> Possible:
        """Return `2 around - value` for each value."""
        return attrs.evolve(self, ranges=[(2.0 * around - high, 2.0 * around - low) for low, high in self.ranges])

    def by_cluster(self) -> list[_Cluster]:
        if self.clusters is None:
            return [(1, low, high) for low, high in self.ranges]
        groups = grouped(self.ranges, self.clusters)
        return [(len(g), math.fsum(low for low, _ in g), math.fsum(high for _, high in g)) for g in groups]


def mean_bounds(
    values: Possible, *, level: float, method: str, correction: Correction, chances: bool = False
) -> Interval:
    """Return the lowest lower and the highest upper end of the interval that `estimate_mean` gives.

    Of values that are 0 or 1, Wilson's; of others Student's t, or of chances `chance_interval`'s; the wider of both
    where either can be.
    """
    values = values.without_clusters_of_one()
    clusters = values.by_cluster()
    if values.whole and values.clusters is None:  # Wilson's ends grow with the share of ones
        size = len(clusters)
        least, most = (math.fsum(ends) / size for ends in zip(*values.ranges, strict=True))
        bottom, top = wilson_interval(least, size, level=level), wilson_interval(most, size, level=level)
        return Interval(low=bottom.low, high=top.high, level=level, method=method)
    reason = _no_spread(clusters)
    least, most = _shared_means(clusters)
    added = chances and values.clusters is None
    if not reason and not added and least <= most and not values.whole and not least == most in (0.0, 1.0):
        reason = _COULD_BE_CONSTANT
    if reason:
        return Interval(level=level, method=method, reason=reason)
    found = []
    if (whole := values.whole_alone(0.0)) is not None:
        found.append((_wilson(whole, level, correction), 1.0 - _wilson(whole.mirrored(0.5), level, correction)))
    if not values.whole:
        if added:
            found.append((_chance(values, level), 1.0 - _chance(values.mirrored(0.5), level)))
        else:
            found.append((_student(values, level, correction), -_student(values.mirrored(), level, correction)))
    return _widest(found, level, method)


def paired_bounds(
    differences: Possible,
    *,
    level: float,
    method: str,
    correction: Correction,
    width: float,
    equivalence: bool = False,
) -> Interval:
    """Return the lowest lower and the highest upper end of the interval that `paired_compare` or `equivalence` gives.

    Of differences between 0/1 scores, Bonett and Price's (Tango's for equivalence); of others Student's t; the wider of
    both where either can be.

    Args:
        differences: of all pairs.
        level: nominal coverage.
        method: its name.
        correction: of the cluster-robust standard error.
        width: of the range of scores.
        equivalence: whether the interval is the one that decides on equivalence.
    """
    differences = differences.without_clusters_of_one()
    clusters = differences.by_cluster()
    found = []
    reason = None
    if not differences.whole or differences.clusters is not None:
        reason = _no_spread(clusters)
    if not reason and (whole := differences.whole_alone(-1.0)) is not None:
        lowest = _tango if equivalence else _bonett_price
        found.append((lowest(whole, level, correction), -lowest(whole.mirrored(), level, correction)))
    if not reason and not differences.whole:
        least, most = _shared_means(clusters)
        if least <= most:
            tied = tied_interval(_Sample(clusters, None, None).effective_clusters(), width, level=level)
            # Differences of either sign may cancel in every cluster, which leaves no variation, and yet no ties.
            cancel = differences.clusters is not None and any(low < 0.0 for low, _ in differences.ranges)
            cancel = cancel and any(high > 0.0 for _, high in differences.ranges)
            if cancel or least < 0.0 or most > 0.0 or tied.low is None or tied.high is None:
                reason = _COULD_BE_CONSTANT
            else:
                found.append((tied.low, tied.high))
        found.append((_student(differences, level, correction), -_student(differences.mirrored(), level, correction)))
    if reason:
        return Interval(level=level, method=method, reason=reason)
    return _widest(found, level, method)


def _widest(ends: Sequence[Range], level: float, method: str) -> Interval:
    return Interval(low=min(low for low, _ in ends), high=max(high for _, high in ends), level=level, method=method)


# --- the ends ---------------------------------------------------------------------------------------------

_COULD_BE_CONSTANT: Final = "the missing scores could leave no variation"


def _no_spread(clusters: Sequence[_Cluster]) -> str | None:
    return "one value, or one cluster, has no spread; two are needed" if len(clusters) < 2 else None


def _shared_means(clusters: Sequence[_Cluster]) -> Range:
    """Return the range of the means that all clusters could share; if they can't, its first end exceeds its second."""
    least, most = max(low / size for size, low, _ in clusters), min(high / size for size, _, high in clusters)
    return (most, most) if most < least <= most + _SLACK * max(abs(least), abs(most)) else (least, most)


def _student(values: Possible, level: float, correction: Correction) -> float:
    sample = _Sample(values.by_cluster(), correction, values.step)
    return sample.lowest_mean_less(t_quantile(0.5 + level / 2.0, sample.degrees_of_freedom(correction)))


def _chance(values: Possible, level: float) -> float:
    clusters = values.by_cluster()
    sample = _Sample([*clusters, (1, 0.0, 0.0), (1, 1.0, 1.0)], "CR1", values.step)
    lowest = sample.lowest_mean_less(t_quantile(0.5 + level / 2.0, len(clusters) + 1.0))
    return max(0.0, min(lowest, math.fsum(low for _, low, _ in clusters) / len(clusters)))


def _bonett_price(differences: Possible, level: float, correction: Correction) -> float:
    if differences.clusters is None:
        sample = _Sample([*differences.by_cluster(), (1, 1.0, 1.0), (1, -1.0, -1.0)], None, differences.step)
        return max(-1.0, sample.lowest_mean_less(normal_quantile(0.5 + level / 2.0)))
    pairs = _WholePairs(differences, level, correction)

    def end(least: float, most: float, squares: float) -> float:
        fewest = pairs.fewest(least, most, squares)
        size = fewest if least >= 0.0 else pairs.most
        centre = least * size / (size + 2.0)
        nearest = 0.0 if least <= 0.0 <= most else min(abs(least), abs(most))
        discordant = pairs.most_discordant(least, most)
        spread = (discordant * fewest + 2.0) / (fewest + 2.0) - (nearest * fewest / (fewest + 2.0)) ** 2
        half = pairs.critical * math.sqrt(max(0.0, spread) / (fewest + 2.0))
        return centre - half - _SLACK

    return max(-1.0, pairs.sample.lowest(end))


def _tango(differences: Possible, level: float, correction: Correction) -> float:
    wins, losses = _count(differences, 0, 1.0), _count(differences, 0, -1.0)
    if differences.clusters is None:
        found = tango_interval(wins, losses, len(differences.ranges), level=level, continuity=CONTINUITY)
    else:
        pairs = _WholePairs(differences, level, correction)
        fewest = pairs.sample.lowest(pairs.fewest)
        scale = fewest / pairs.sample.size
        found = tango_interval(
            wins * scale, losses * scale, fewest, level=level, critical=pairs.critical, continuity=CONTINUITY
        )
    return -1.0 if found.low is None else max(-1.0, found.low - _SLACK)


def _count(differences: Possible, end: int, value: float) -> int:
    return sum(each[end] == value for each in differences.ranges)


class _WholePairs:
    """All completions of differences that are -1, 0 or 1, in clusters."""

    def __init__(self, differences: Possible, level: float, correction: Correction) -> None:
        self.sample = _Sample(differences.by_cluster(), correction, differences.step)
        freedom = self.sample.degrees_of_freedom(correction)
        # Of pairs that could be alike, equivalence counts the degrees of freedom by the effective number of clusters.
        freedom = min(freedom, self.sample.effective_clusters() - 1.0)
        self.critical = t_quantile(0.5 + level / 2.0, freedom)
        self.most = float(self.sample.size)
        self._wins = _count(differences, 0, 1.0), _count(differences, 1, 1.0)
        self._losses = _count(differences, 1, -1.0), _count(differences, 0, -1.0)
        self._alike = max(low for low, _ in differences.ranges), min(high for _, high in differences.ranges)

    def fewest(self, least: float, most: float, squares: float) -> float:
        """Return a bound from below of the effective number of pairs in a block."""
        size = self.sample.size
        totals = least * size, most * size
        discordant = max(
            2 * self._losses[0] + totals[0],
            2 * self._wins[0] - totals[1],
            self._wins[0] + self._losses[0],
            0.0 if least <= 0.0 <= most else min(map(abs, totals)),
        )
        low, high = self._alike
        constant = any(low <= value <= high and least <= value <= most for value in (-1.0, 0.0, 1.0))
        spread = discordant / size - max(abs(least), abs(most)) ** 2
        return self.sample.least_effective(spread - _SLACK, squares, constant=constant)

    def most_discordant(self, least: float, most: float) -> float:
        """Return a bound from above of the share of pairs that differ in a block."""
        size = self.sample.size
        wins, losses = self._wins[1], self._losses[1]
        return min(wins + losses, 2.0 * losses + most * size, 2.0 * wins - least * size) / size


def _wilson(values: Possible, level: float, correction: Correction) -> float:
    sample = _Sample(values.by_cluster(), correction, values.step)
    clustered = values.clusters is not None
    critical = t_quantile(0.5 + level / 2.0, sample.degrees_of_freedom(correction)) if clustered else None
    every = all(high >= 1.0 for _, high in values.ranges)

    def end(least: float, most: float, squares: float) -> float:
        size = float(sample.size)
        if clustered:
            spread = min(least * (1.0 - least), most * (1.0 - most))
            size = sample.least_effective(spread - _SLACK, squares, constant=every and most >= 1.0 - _SLACK)
        low = wilson_interval(least, size, level=level, critical=critical).low
        return 0.0 if low is None else max(0.0, low - _SLACK)

    return sample.lowest(end)
