"""What a confidence sequence is made of: independent units, each with what it is at least and at most.

A missing score is anything in its range: the lowest for one end of an interval, the highest for the other.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import attrs

from themis.pure.stats.arguments import refuse_unless


@attrs.frozen
class Unit:
    """What is independent of all others: a value, or a cluster of them.

    Attributes:
        low: its mean, from 0 to 1, if every missing score in it were the lowest.
        high: the same if they were the highest.
        weight: how many values it holds over how many the largest does.
    """

    low: float
    high: float
    weight: float = 1.0


def scaled(score: float | None, score_range: tuple[float, float]) -> tuple[float, float]:
    """Return what a score is at least and at most, from 0 to 1."""
    if score is None:
        return 0.0, 1.0
    low, high = score_range
    place = min(max((score - low) / (high - low), 0.0), 1.0)
    return place, place


def unit_of(bounds: Sequence[tuple[float, float]], largest: int = 1) -> Unit:
    """Return the unit that values make whose scores have these bounds."""
    count = len(bounds)
    if count == 1:
        return Unit(*bounds[0], 1.0 / largest)
    low, high = (math.fsum(ends) / count for ends in zip(*bounds, strict=True))
    return Unit(low, high, count / largest)


def units_of(
    where: str,
    values: Sequence[tuple[float, float]],
    clusters: Sequence[Hashable] | None,
    largest: int | None,
    population: int | None,
) -> tuple[list[Unit], list[int], float | None]:
    """Return units in the order in which their first values come, how many values each holds, and the set's weight.

    Args:
        where: the function that was called, for the error.
        values: what each score is at least and at most, from 0 to 1.
        clusters: one key per value, if they are not independent.
        largest: how many values a cluster may hold; by default as many as the largest does.
        population: how many values there are in all, if they are drawn from a finite set.
    """
    count = len(values)
    if population is not None:
        refuse_unless(population >= count, where, "population", population, f"at least the {count} values")
    if clusters is None:
        refuse_unless(largest is None, where, "largest_cluster", largest, "None where there are no clusters")
        known: dict[tuple[float, float], Unit] = {}  # a million zeros and ones are two units
        units = [known.setdefault(each, Unit(*each)) if len(known) < 1000 else Unit(*each) for each in values]
        return units, [1] * count, None if population is None else float(population)
    members: dict[Hashable, list[tuple[float, float]]] = {}
    for cluster, bounds in zip(clusters, values, strict=True):
        members.setdefault(cluster, []).append(bounds)
    sizes = [len(held) for held in members.values()]
    most = max(sizes, default=1)
    refuse_unless(
        largest is None or largest >= most, where, "largest_cluster", largest, f"the {most} of a cluster, or more"
    )
    most = largest or most
    return [unit_of(held, most) for held in members.values()], sizes, None if population is None else population / most


def bounds_of(
    where: str, values: Iterable[float | None], score_range: tuple[float, float]
) -> list[tuple[float, float]]:
    low, high = score_range
    refuse_unless(
        math.isfinite(low) and math.isfinite(high),
        where,
        "score_range",
        score_range,
        "two finite numbers: no sequence holds for scores without bounds",
    )
    column = []
    for index, value in enumerate(values):
        if value is not None and not low <= value <= high:
            found = f"a score from {low:g} to {high:g}, the score_range"
            refuse_unless(False, where, f"values[{index}]", value, found)
        column.append(scaled(value, score_range))
    return column


def differences(
    a: Sequence[float | None], b: Sequence[float | None], score_range: tuple[float, float]
) -> list[tuple[float, float]]:
    """Return what `b - a` is at least and at most, pair by pair, from 0 (the least it can be) to 1."""
    return [
        difference_bounds(scaled(first, score_range), scaled(second, score_range))
        for first, second in zip(a, b, strict=True)
    ]


def difference_bounds(a: tuple[float, float], b: tuple[float, float], width: float = 1.0) -> tuple[float, float]:
    """Return what `b - a` is at least and at most, from 0 (the least that scores so far apart can differ) to 1."""
    (a_low, a_high), (b_low, b_high) = a, b
    return (b_low - a_high + width) / (2.0 * width), (b_high - a_low + width) / (2.0 * width)
