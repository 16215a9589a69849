"""Shapley values: the difference of two means attributed to what differs between two runs, whatever order is taken.

Each factor, such as the parser, is as in the first run or as in the second. For every combination of factors the mean
is known, `v(z)`. A factor's share is its Shapley value: what the mean gains when the factor is swapped, averaged over
all orders in which the factors could be swapped one after the other. So the shares sum to the difference (efficiency),
factors that always do the same get the same (symmetry), and one that never changes the mean gets nothing (dummy); no
other rule does all of this and is additive over games.

Source: Shapley (1953), A value for n-person games, in Contributions to the Theory of Games II, 307-317. With more than
`EXACT` factors orders are drawn: Castro, Gómez and Tejada (2009), Computers & Operations Research 36, 1726-1730.

The mean is of scores, `S(z) / N(z)`, and a share is passed on to cases: if a swap leads from `z` to `y`, that is
`(s'-s - (n'-n) v(z)) / N(y)` for a case whose scores sum to `s` and then to `s'`, and whose scored answers are `n` and
then `n'`. Over all cases this is `v(y) - v(z)`, and a case that the swap does not change has none of it.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.errors import DataError

EXACT: Final = 12
"""Up to this many factors all combinations are gone through."""

_ORDERS: Final = 4000
_SEED: Final = 0


@attrs.frozen
class SwappedCase:
    """One case under all combinations of the factors that could change its scores; no other factor does.

    Attributes:
        factors: their names, in an order that is the same in all cases.
        totals: the sum of its scores in each combination. In combination `z`, factor `i` is as in the second run if bit
            `i` of `z` is set.
        counts: how many scores that are.
    """

    factors: tuple[str, ...]
    totals: tuple[float, ...]
    counts: tuple[float, ...]


@attrs.frozen
class Attribution:
    """What each factor did to the mean.

    Attributes:
        mean_a, mean_b: the means.
        shares: of each factor, in score units; they sum to `mean_b - mean_a`.
        cases: of each case, in the order that they were given in, its part of the share of each of its factors.
        combinations: how many combinations of factors there are.
        is_exact: all of them were gone through; else orders were drawn.
    """

    mean_a: float
    mean_b: float
    shares: Mapping[str, float]
    cases: Sequence[tuple[float, ...]]
    combinations: int
    is_exact: bool


def attribute(cases: Sequence[SwappedCase]) -> Attribution:
    """Attribute the difference of two means to the factors.

    Raises:
        DataError: one of the two means is of no scores.

    >>> parser = SwappedCase(("parser",), (0.0, 1.0), (1, 1))
    >>> both = SwappedCase(("parser", "metric"), (0.0, 0.0, 0.0, 1.0), (1, 1, 1, 1))
    >>> found = attribute([parser, both, SwappedCase((), (1.0,), (1,))])
    >>> found.mean_a, found.mean_b, {name: round(share, 4) for name, share in found.shares.items()}
    (0.3333333333333333, 1.0, {'parser': 0.5, 'metric': 0.1667})
    """
    game = _Game.of(cases)
    count = len(game.factors)
    first, last = game.value(0), game.value((1 << count) - 1)
    if first is None or last is None:
        raise DataError("a mean of no scores can't be explained")
    shares = [0.0] * count
    # What a case's part is made of, by its factors: of each factor and combination of the others the sums of the
    # weights over N(y), and of the weights times v(z) over N(y).
    sums: dict[tuple[int, ...], list[list[list[float]]]] = {
        places: [[[0.0, 0.0] for _ in range(1 << len(places))] for _ in places] for places in game.totals
    }
    middle = (first + last) / 2  # stands for a mean of nothing on the way; whatever it is, it cancels out
    for combination, factor, weight in _swaps(count):
        swapped = combination | (1 << factor)
        before, after = game.value(combination), game.value(swapped)
        shares[factor] += weight * ((middle if after is None else after) - (middle if before is None else before))
        if before is None or after is None:
            continue
        scored = game.counted(swapped)
        for places, of_places in sums.items():
            if factor in places:
                sum_of = of_places[places.index(factor)][_within(combination, places)]
                sum_of[0] += weight / scored
                sum_of[1] += weight * before / scored
    return Attribution(
        mean_a=first,
        mean_b=last,
        shares=dict(zip(game.factors, shares, strict=True)),
        cases=[_parts(case, sums[game.places(case.factors)]) for case in cases],
        combinations=1 << count,
        is_exact=count <= EXACT,
    )


@attrs.frozen(eq=False, slots=False)
class _Game:
    """The mean of every combination, from sums over the cases that have the same factors."""

    factors: tuple[str, ...]
    totals: Mapping[tuple[int, ...], Sequence[tuple[float, float]]]

    @classmethod
    def of(cls, cases: Sequence[SwappedCase]) -> _Game:
        factors = tuple(dict.fromkeys(name for case in cases for name in case.factors))
        alike: dict[tuple[str, ...], list[SwappedCase]] = {}
        for case in cases:
            alike.setdefault(case.factors, []).append(case)
        totals = {
            tuple(factors.index(name) for name in names): [
                (math.fsum(case.totals[at] for case in group), math.fsum(case.counts[at] for case in group))
                for at in range(1 << len(names))
            ]
            for names, group in alike.items()
        }
        return cls(factors, totals)

    def places(self, names: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(self.factors.index(name) for name in names)

    @functools.cached_property
    def _values(self) -> dict[int, tuple[float, float]]:
        return {}

    def _sums(self, combination: int) -> tuple[float, float]:
        found = self._values.get(combination)
        if found is None:
            parts = [sums[_within(combination, places)] for places, sums in self.totals.items()]
            found = math.fsum(total for total, _ in parts), math.fsum(count for _, count in parts)
            self._values[combination] = found
        return found

    def counted(self, combination: int) -> float:
        return self._sums(combination)[1]

    def value(self, combination: int) -> float | None:
        total, count = self._sums(combination)
        return total / count if count > 0 else None


def _swaps(count: int) -> Iterator[tuple[int, int, float]]:
    """Yield swaps: the combination before, the factor, and the weight; those of a factor sum to 1."""
    if count <= EXACT:
        weights = [1 / (count * math.comb(count - 1, size)) for size in range(count)]
        for factor in range(count):
            for combination in range(1 << count):
                if not combination >> factor & 1:
                    yield combination, factor, weights[combination.bit_count()]
        return
    source, order = random.Random(_SEED), list(range(count))  # noqa: S311  # statistics, not secrets
    for _ in range(_ORDERS):
        source.shuffle(order)
        combination = 0
        for factor in order:
            yield combination, factor, 1 / _ORDERS
            combination |= 1 << factor


def _within(combination: int, places: tuple[int, ...]) -> int:
    """Return what of a combination concerns the factors at some places, as a combination of these."""
    return sum(1 << number for number, place in enumerate(places) if combination >> place & 1)


def _parts(case: SwappedCase, sums: Sequence[Sequence[Sequence[float]]]) -> tuple[float, ...]:
    return tuple(
        math.fsum(
            (case.totals[at | 1 << number] - case.totals[at]) * sums[number][at][0]
            - (case.counts[at | 1 << number] - case.counts[at]) * sums[number][at][1]
            for at in range(1 << len(case.factors))
            if not at >> number & 1
        )
        for number in range(len(case.factors))
    )
