"""What is drawn in a paired bootstrap: the cases of two runs, and a statistic of them.

The rule of the room: a case is drawn with all that both runs have of it. The contrast of two runs is computed on a
scale of its own: of a ratio, its logarithm.
"""

from __future__ import annotations

import functools
import itertools
import math
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import attrs

from themis.pure.stats.arguments import LARGEST, Proportion, check_fields, refuse_unless, refused
from themis.pure.stats.estimates import observed_clusters
from themis.pure.stats.linearised import LinearisedError, linearised_error
from themis.pure.stats.records import Interval
from themis.pure.stats.resampling import fixed_point, numpy_chunks, resampled_rows, resampled_sums
from themis.pure.stats.samples import checked, grouped, is_constant, mean, quantile, variance

Contrast: TypeAlias = Literal["difference", "ratio", "of_differences"]
Case: TypeAlias = tuple[str, Any]
"""A case key, and what a row of it gives: a number, or whatever the statistic is computed from; `None` if nothing."""

_INNER: Final = 50
"""Resamples of a resample, for its error (Efron and Tibshirani 1993, section 12.5)."""

_LEFT_OUT: Final = 400
"""The jackknife leaves out at most so many cases, or as many sets of them: a skewness takes no more."""


@attrs.frozen
class Quantile:
    """The value that a share of the rows lies below, by linear interpolation (Hyndman and Fan 1996, type 7)."""

    probability: Proportion

    def __attrs_post_init__(self) -> None:
        check_fields(self)


@attrs.frozen
class Totals:
    """A statistic of sums: each row gives a few numbers, and the statistic is a function of their totals over all rows.

    Such are a mean, a ratio of means (US dollars per right answer), a corpus' BLEU or chrF. Resampling adds sums up,
    which takes no list of rows.

    Attributes:
        function: of the totals, in the order of a row's numbers; `None` where it is not defined.
        name: what to call it.

    >>> per_right_answer = Totals(lambda t: t[0] / t[1] if t[1] else None, "cost per right answer")
    """

    function: Callable[[Sequence[float]], float | None]
    name: str = "statistic of totals"

    def __attrs_post_init__(self) -> None:
        check_fields(self)


Statistic: TypeAlias = Literal["mean", "median"] | Quantile | Totals | Callable[[Sequence[Any]], float | None]

MEAN: Final = Totals(lambda t: t[0] / t[1] if t[1] else None, "mean")


# --- the cases that count ---------------------------------------------------------------------------------


@attrs.frozen
class Matched:
    """The cases with a value in both runs, in the order of their keys, and what was left out."""

    keys: list[str]
    a: list[Sequence[Any]]
    b: list[Sequence[Any]]
    lacking: list[tuple[Sequence[Any], int, Sequence[Any], int]] = attrs.field(factory=list)
    """Of each case that both runs have: the values of `a`, how many are missing, the same of `b`; if any is missing."""
    partial: int = 0
    """How many of these have values in both runs, and so are among the pairs."""
    complete: list[int] = attrs.field(factory=list)
    """The places of the pairs that lack nothing."""
    only_a: int = 0
    only_b: int = 0
    changed: int = 0

    @property
    def unscored(self) -> int:
        """How many cases both runs have of which at least one has no value."""
        return len(self.lacking) - self.partial


def matched_cases(rows_a: Iterable[Case], rows_b: Iterable[Case], changed: Collection[str]) -> Matched:
    (a, missing_a), (b, missing_b) = _by_case(rows_a), _by_case(rows_b)
    left_out = set(changed)
    shared = sorted(a.keys() & b.keys())
    kept = [key for key in shared if key not in left_out] if left_out else shared
    keys = [key for key in kept if a[key] and b[key]]
    lacking = [key for key in kept if key in missing_a or key in missing_b]
    return Matched(
        keys,
        [a[key] for key in keys],
        [b[key] for key in keys],
        [(a[key], missing_a[key], b[key], missing_b[key]) for key in lacking],
        sum(bool(a[key] and b[key]) for key in lacking),
        [place for place, key in enumerate(keys) if key not in missing_a and key not in missing_b],
        len(a) - len(shared),
        len(b) - len(shared),
        len(shared) - len(kept),
    )


def _by_case(rows: Iterable[Case]) -> tuple[dict[str, Sequence[Any]], Counter[str]]:
    # Most cases have one value, and a tuple of a number costs the collector nothing.
    groups: dict[str, Sequence[Any]] = {}
    missing: Counter[str] = Counter()
    several = set()
    for key, value in rows:
        if value is None:
            missing[key] += 1
            groups.setdefault(key, ())
        elif groups.get(key):
            groups[key] = (*groups[key], value)
            several.add(key)
        else:
            groups[key] = (value,)
    for key in several:
        groups[key] = tuple(sorted(groups[key], key=_order))
    return groups, missing


def _order(value: Any) -> Any:
    # So that the order of a case's rows does not matter: numbers by size, the rest by how they are written.
    return (0, value, "") if isinstance(value, int | float) else (1, 0, repr(value))


Units: TypeAlias = Sequence[Sequence[int]] | None
"""The places of the cases of each unit that is drawn; `None` if each case is one."""


def drawn_units(keys: Sequence[str], clusters: Mapping[str, str] | None) -> Units:
    """Return the units that are drawn, in the order of their first case."""
    if clusters is None:
        return None
    return list(grouped(range(len(keys)), observed_clusters(keys, clusters) or keys))


# --- the statistic ----------------------------------------------------------------------------------------


class Sides:
    """The statistic of each run, and the contrast of the two on the scale that is computed on."""

    def __init__(self, statistic: Any, contrast: Contrast) -> None:
        if statistic == "mean":
            statistic = MEAN
        elif statistic == "median":
            statistic = Quantile(0.5)
        self.statistic: Any = statistic
        self.contrast_name: Contrast = contrast

    @property
    def of_numbers(self) -> bool:
        return self.statistic is MEAN or isinstance(self.statistic, Quantile) or self.own_differences

    @property
    def own_differences(self) -> bool:
        return self.contrast_name == "of_differences"

    def of(self, values: list[Any]) -> float | None:
        """Return the statistic of one run's rows."""
        if isinstance(self.statistic, Quantile):
            values.sort()
            return quantile(values, self.statistic.probability)
        return _finite(self.statistic(values))

    def of_cases(self, rows: Sequence[Sequence[Any]]) -> float | None:
        """Return a mean or a quantile of one run, from the numbers of each case."""
        if self.statistic is MEAN:
            return mean([mean(values) for values in rows])
        return self.of(_flat(rows))

    def contrast(self, a: float | None, b: float | None) -> float | None:
        if a is None or b is None:
            return None
        if self.contrast_name == "difference":
            return _finite(b - a)
        if a == 0.0 or b == 0.0 or (a > 0.0) != (b > 0.0):
            return None
        return math.log(abs(b)) - math.log(abs(a))

    def shown(self, value: float | None) -> float | None:
        """Return a contrast on the scale that people read."""
        if value is None or self.contrast_name != "ratio":
            return value
        return math.exp(value) if value < 700.0 else None

    def shown_interval(self, interval: Interval) -> Interval:
        if interval.low is None or interval.high is None:
            return interval
        low, high = self.shown(interval.low), self.shown(interval.high)
        if low is None or high is None:
            return interval.evolve(low=None, high=None, reason="the ratio is too large for a number")
        return interval.evolve(low=low, high=high)

    def why_undefined(self, a: float | None, b: float | None) -> str:
        if a is None or b is None:
            return "the statistic is not defined for the cases of a run"
        return f"a ratio needs two values of one sign, other than 0; found {a:g} and {b:g}"


def _flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    return [value for values in rows for value in values]


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise refused("statistic", [f"what it returns is {value!r:.60}; allowed: a number, or None"]) from None
    return number if math.isfinite(number) else None


class Drawn(Protocol):
    """A statistic of drawn units, on the scale that is computed on."""

    @property
    def size(self) -> int:
        """How many units are drawn from."""

    @property
    def point(self) -> tuple[float | None, float | None, float | None]:
        """The statistic of `a`, of `b`, and the contrast."""

    def drawn_point(self) -> float | None:
        """The contrast, as it is computed of a resample: one of the same rows equals it to the last bit."""

    def draw(self, resamples: int, seed: int) -> Iterable[float | None]:
        """The contrast of each resample."""

    def draw_with_errors(self, resamples: int, seed: int) -> Iterable[tuple[float | None, float | None]]:
        """The contrast of each resample, and its standard error."""

    def error(self) -> LinearisedError:
        """The linearised standard error of the contrast."""

    def left_out(self) -> list[float | None]:
        """The contrast without each of the units, or of as many sets of them."""


def numbers(rows: Sequence[Sequence[Any]], what: str) -> Sequence[Sequence[float]]:
    """Return rows of numbers, when it was checked that they are."""
    for values in rows:
        if len(values) != 1 or type(values[0]) is not float or not abs(values[0]) <= LARGEST:
            return [[value for value in checked(each, what) if value is not None] for each in rows]
    return rows


class OfRows:
    """A statistic of lists of rows: a quantile, or a function of one's own."""

    def __init__(self, found: Matched, sides: Sides, units: Units, vectorised: bool | None) -> None:
        a: Sequence[Sequence[Any]] = found.a
        b: Sequence[Sequence[Any]] = found.b
        if sides.of_numbers:
            a, b = numbers(a, "a"), numbers(b, "b")
        self._sides, self._vectorised = sides, vectorised
        self._whole = sides.of(_flat(a)), sides.of(_flat(b))
        if sides.own_differences:
            differences = [[mean(y) - mean(x)] for x, y in zip(a, b, strict=True)]
            a, b = [()] * len(a), differences
        self._a = a if units is None else [_flat(a[place] for place in unit) for unit in units]
        self._b = b if units is None else [_flat(b[place] for place in unit) for unit in units]

    @property
    def size(self) -> int:
        return len(self._b)

    @property
    def point(self) -> tuple[float | None, float | None, float | None]:
        return *self._whole, self.drawn_point()

    def drawn_point(self) -> float | None:
        return self._of(range(len(self._b)))

    def _of(self, drawn: Iterable[int]) -> float | None:
        drawn = list(drawn)
        b = self._sides.of([value for unit in drawn for value in self._b[unit]])
        if self._sides.own_differences:
            return b
        return self._sides.contrast(self._sides.of([value for unit in drawn for value in self._a[unit]]), b)

    def draw(self, resamples: int, seed: int) -> Iterable[float | None]:
        statistic = self._sides.statistic
        if isinstance(statistic, Quantile) and all(len(rows) == 1 for rows in self._b):
            columns = [[rows[0] for rows in self._b]]
            if not self._sides.own_differences:
                if not all(len(rows) == 1 for rows in self._a):
                    return self._each(resamples, seed)
                columns.insert(0, [rows[0] for rows in self._a])
            found = numpy_chunks(len(self._b), resamples, seed, self._vectorised)
            if found is not None:
                return self._quantiles(*found, columns, statistic.probability)
        return self._each(resamples, seed)

    def _each(self, resamples: int, seed: int) -> Iterator[float | None]:
        rows = resampled_rows(len(self._b), seed)
        return (self._of(rows()) for _ in range(resamples))

    def _quantiles(
        self, numpy: Any, chunks: Iterator[Any], columns: Sequence[Sequence[float]], probability: float
    ) -> Iterator[float | None]:
        """Yield the contrast of quantiles of each resample, by partition in place of sorting."""
        size = len(columns[0])
        place = probability * (size - 1)
        below = min(int(place), size - 2)
        arrays = [numpy.array(column) for column in columns]
        for rows in chunks:
            sides = []
            for values in arrays:
                parts = numpy.partition(values[rows], (below, below + 1), axis=1)
                low, high = parts[:, below], parts[:, below + 1]
                sides.append((low + (place - below) * (high - low)).tolist())
            if len(sides) == 1:
                yield from sides[0]
            else:
                yield from map(self._sides.contrast, *sides)

    def draw_with_errors(self, resamples: int, seed: int) -> Iterable[tuple[float | None, float | None]]:
        size = len(self._b)
        outer, inner = resampled_rows(size, seed), resampled_rows(size, seed + 1)
        for _ in range(resamples):
            drawn = outer()
            spread = [self._of([drawn[place] for place in inner()]) for _ in range(_INNER)]
            known = [value for value in spread if value is not None]
            error = math.sqrt(variance(known)) if len(known) > _INNER // 2 else None
            yield self._of(drawn), error

    def error(self) -> LinearisedError:
        return LinearisedError(reason="only a statistic of totals is linearised")

    def left_out(self) -> list[float | None]:
        size = len(self._b)
        sets = min(size, _LEFT_OUT)
        # Sets of units, dealt out in turn: the skewness of their sums is that of the units.
        return [self._of(unit for unit in range(size) if unit % sets != gone) for gone in range(sets)]


class OfTotals:
    """A statistic of sums: means, ratios of sums, corpus measures."""

    def __init__(self, found: Matched, sides: Sides, units: Units, vectorised: bool | None) -> None:
        self._sides, self._vectorised = sides, vectorised
        a, b = _columns(found.a, sides, "a"), _columns(found.b, sides, "b")
        self.width: int = len(a)
        self._whole = self._two([math.fsum(column) for column in (*a, *b)])
        if sides.own_differences:
            refuse_unless(sides.statistic is MEAN, "paired_statistic", "contrast", "of_differences", "of numbers alone")
            a, b = (
                [array("d", [0.0]) * len(a[0]), a[1]],
                [array("d", (y - x for x, y in zip(a[0], b[0], strict=True))), b[1]],
            )
        columns = [*a, *b]
        if units is not None:
            columns = [array("d", (math.fsum(column[p] for p in unit) for unit in units)) for column in columns]
        self._columns = columns
        self._totals = [math.fsum(column) for column in columns]
        self._varying = [place for place, column in enumerate(columns) if not is_constant(column)]
        self._steps = [1e-5 * max(max(column), -min(column), abs(math.fsum(column))) for column in columns]

    @functools.cached_property
    def _fixed(self) -> list[tuple[list[int], float]]:
        return [fixed_point(column) for column in self._columns]

    @property
    def size(self) -> int:
        return len(self._columns[0])

    @property
    def point(self) -> tuple[float | None, float | None, float | None]:
        return *self._whole, self._of(self._totals)

    def drawn_point(self) -> float | None:
        return self._of([scale * sum(column) for column, scale in self._fixed])

    def _two(self, totals: Sequence[float]) -> tuple[float | None, float | None]:
        function = self._sides.statistic.function
        return _finite(function(totals[: self.width])), _finite(function(totals[self.width :]))

    def _of(self, totals: Sequence[float]) -> float | None:
        a, b = self._two(totals)
        return b if self._sides.own_differences else self._sides.contrast(a, b)

    def _sums(self, columns: Sequence[tuple[list[int], float]], resamples: int, seed: int) -> Iterator[list[float]]:
        values, scales = zip(*columns, strict=True)
        for sums in resampled_sums(values, resamples, seed, vectorised=self._vectorised):
            yield [scale * total for scale, total in zip(scales, sums, strict=True)]

    def draw(self, resamples: int, seed: int) -> Iterable[float | None]:
        return map(self._of, self._sums(self._fixed, resamples, seed))

    def _gradient(self, totals: Sequence[float]) -> list[float] | None:
        """Return how the contrast moves with each total, by central differences; `None` where it is not defined."""
        moved = [0.0] * len(totals)
        for place in self._varying:
            ends = []
            for way in (1.0, -1.0):
                there = [*totals]
                there[place] += way * self._steps[place]
                ends.append(self._of(there))
            if ends[0] is None or ends[1] is None:
                return None
            moved[place] = (ends[0] - ends[1]) / (2.0 * self._steps[place])
        return moved

    def _influences(self) -> list[float] | None:
        gradient = self._gradient(self._totals)
        if gradient is None:
            return None
        size = self.size
        found = [0.0] * size
        for slope, column, total in zip(gradient, self._columns, self._totals, strict=True):
            if slope:
                centre, weight = total / size, slope * size
                found = [old + weight * (value - centre) for old, value in zip(found, column, strict=True)]
        return found

    def error(self) -> LinearisedError:
        influences = self._influences()
        if influences is None:
            return LinearisedError(reason="the statistic is not defined near its value")
        return linearised_error(influences)

    def draw_with_errors(self, resamples: int, seed: int) -> Iterable[tuple[float | None, float | None]]:
        size, places = self.size, self._varying
        pairs = list(itertools.combinations_with_replacement(places, 2))
        # Products of deviations from the mean of all: sums of squares of large numbers would cancel.
        centres = [total / size for total in self._totals]
        deviations = {place: [value - centres[place] for value in self._columns[place]] for place in places}
        products = [fixed_point([x * y for x, y in zip(deviations[i], deviations[j], strict=True)]) for i, j in pairs]
        for sums in self._sums([*self._fixed, *products], resamples, seed):
            totals, moments = sums[: len(self._fixed)], sums[len(self._fixed) :]
            value, gradient = self._of(totals), self._gradient(totals)
            if value is None or gradient is None:
                yield value, None
                continue
            shift = [total - whole for total, whole in zip(totals, self._totals, strict=True)]
            spread, moved = 0.0, 0.0
            for (i, j), moment in zip(pairs, moments, strict=True):
                spread += (1.0 if i == j else 2.0) * gradient[i] * gradient[j] * moment
            for place in places:
                moved += gradient[place] * shift[place]
            left = spread - moved * moved / size
            yield value, math.sqrt(left * size / (size - 1)) if left > 1e-9 * abs(spread) else None

    def left_out(self) -> list[float | None]:
        whole = self._totals
        rows = zip(*self._columns, strict=True)
        return [self._of([total - part for total, part in zip(whole, row, strict=True)]) for row in rows]


def _columns(rows: Sequence[Sequence[Any]], sides: Sides, what: str) -> list[array[float]]:
    """Return the numbers that each case adds to the totals, by total."""
    if sides.statistic is MEAN:
        means = array("d", map(mean, numbers(rows, what)))
        return [means, array("d", [1.0]) * len(means)]
    where, lengths, sums = "paired_statistic", set[int](), []
    for values in rows:
        vectors = []
        for value in values:
            if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
                raise refused(where, [f"a value of {what} is {value!r}; allowed: a sequence of numbers, for Totals"])
            vectors.append([number for number in checked(value, what) if number is not None])
            lengths.add(len(vectors[-1]))
        sums.append([math.fsum(column) for column in zip(*vectors, strict=False)])
    refuse_unless(
        len(lengths) == 1 and 0 not in lengths, where, f"the lengths of {what}'s rows", sorted(lengths), "one"
    )
    return [array("d", column) for column in zip(*sums, strict=True)]
